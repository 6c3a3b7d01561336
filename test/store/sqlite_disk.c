/* SPDX-License-Identifier: Apache-2.0
 * sqlite_disk.c - the SQLite store on a disk that fails or loses power at every single operation of
 * a scenario: nothing acknowledged is lost, nothing refused appears, nothing is there by half. */
#include "model.h"
#include "sim/disk/disk.h"
#include "store/sqlite/sqlite.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka needs the two above */
#include <cmocka.h>

#define BATCHES   24
#define VALUE_MAX 1500

static char directory[256];
static unsigned refused_commits; /* answered with RETRY */

/* What the user of the store was told. */
struct outcome {
    struct model model; /* the acknowledged batches */
    bool is_unknown;    /* the one after them was answered with UNKNOWN */
};

static bool open_store(struct store_port *ret, struct err *err)
{
    struct store_sqlite_options options = { .vfs = DISK_VFS, .eager = true };
    *err = (struct err){ 0 };
    return store_sqlite_open(ret, directory, &options, err);
}

static void assert_stays_stopped(struct store_port *port, struct model *model)
{
    struct err err = { 0 };
    struct store_batch batch = model_make(model);
    assert_int_equal(port->commit(port->self, &batch, &err), STORE_UNKNOWN);
    assert_int_not_equal(err.code, ERR_NONE);
    assert_false(port->tend(port->self, 10));
}

/* False: the store has stopped. */
static bool commit_next(struct store_port *port, struct outcome *o)
{
    struct err err = { 0 };
    struct store_batch batch = model_make(&o->model);
    switch (port->commit(port->self, &batch, &err)) {
    case STORE_DURABLE: model_accept(&o->model); return true;
    case STORE_RETRY:
        refused_commits++;
        assert_true(model_agrees(&o->model, port)); /* reading goes on */
        disk_add_room();
        return true;
    case STORE_UNKNOWN:
        o->is_unknown = true;
        assert_stays_stopped(port, &o->model);
        return false;
    }
    return false;
}

static void run_scenario(struct outcome *o, uint64_t seed)
{
    struct store_port port;
    struct err err;
    uint64_t random = seed;
    *o = (struct outcome){ 0 };
    model_init(&o->model, seed % 5, VALUE_MAX);
    if (!open_store(&port, &err))
        return;
    for (unsigned i = 0; i < BATCHES && commit_next(&port, o); i++) {
        if (random_below(&random, 6) == 0)
            port.tend(port.self, 2);
    }
    uint64_t operations = disk_operations();
    port.close(port.self);
    if (o->is_unknown) /* a store that has stopped writes nothing any more, not even at the end */
        assert_int_equal(disk_operations(), operations);
}

/* Opens the disk as it is now; the content must be one that the outcome allows. */
static void assert_holds(struct outcome *o)
{
    struct store_port port;
    struct err err;
    uint64_t count = 0, acknowledged = o->model.count;
    if (!open_store(&port, &err) || !model_read_count(&port, &count, &err))
        fail_msg("%s", err.text);
    assert_true(count == acknowledged || (o->is_unknown && count == acknowledged + 1));
    model_go_to(&o->model, count);
    assert_true(model_agrees(&o->model, &port));
    o->is_unknown = false;
    for (unsigned i = 0; i < 3; i++)
        assert_true(commit_next(&port, o));
    port.tend(port.self, 10);
    assert_true(model_agrees(&o->model, &port));
    port.close(port.self);
}

static unsigned for_every_operation(enum disk_fault fault, void (*check)(struct outcome *o))
{
    unsigned points = 0;
    for (uint64_t at = 1;; at += POINTS_STEP, points++) {
        struct outcome o;
        disk_reset(fault, at, at);
        run_scenario(&o, at % 5);
        bool has_failed = disk_has_failed();
        if (has_failed)
            check(&o);
        model_release(&o.model);
        if (!has_failed)
            return points;
    }
}

static void check_after_restart(struct outcome *o)
{
    disk_restart();
    assert_holds(o);
}

static void test_no_power_cut_loses_what_was_acknowledged(void **state)
{
    (void)state;
    unsigned points = for_every_operation(DISK_CUT, check_after_restart);

    print_message("%u cuts\n", points);
    assert_true(points > 300 / POINTS_STEP);
}

static void test_no_io_error_loses_what_was_acknowledged(void **state)
{
    (void)state;
    unsigned points = for_every_operation(DISK_EIO, check_after_restart);

    print_message("%u errors\n", points);
    assert_true(points > 300 / POINTS_STEP);
}

static void check_full(struct outcome *o)
{
    assert_false(o->is_unknown); /* a full disk stops nobody */
    disk_add_room();
    assert_holds(o);
    disk_cut();
    disk_restart();
    assert_holds(o);
}

static void test_a_full_disk_refuses_and_recovers(void **state)
{
    (void)state;
    unsigned points = for_every_operation(DISK_FULL, check_full);

    print_message("%u times full, %u commits refused\n", points, refused_commits);
    assert_true(points > 300 / POINTS_STEP && refused_commits > 100 / POINTS_STEP);
}

/* Without flushes anything may be gone; what may not happen is a state that never was. */
static void test_a_disk_that_lies_is_noticed_or_merely_older(void **state)
{
    unsigned refused = 0, older = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed += POINTS_STEP) {
        struct outcome o = { 0 };
        struct store_port port;
        struct err err;
        uint64_t count = 0;
        disk_reset(DISK_CUT, 60 + seed * 3 % 300, seed);
        disk_lie();
        run_scenario(&o, seed);
        disk_cut();
        disk_restart();
        bool is_open = open_store(&port, &err);
        if (is_open && model_read_count(&port, &count, &err)) {
            model_go_to(&o.model, count);
            bool agrees = model_agrees(&o.model, &port);
            struct store_batch none = { 0 };
            bool stopped = port.commit(port.self, &none, &err) == STORE_UNKNOWN;
            assert_true(agrees || stopped);
            refused += stopped;
            older += agrees;
        } else {
            refused++;
        }
        if (is_open)
            port.close(port.self);
        model_release(&o.model);
    }
    print_message("%u refused, %u older\n", refused, older);
    assert_true(refused > 0 && older > 0);
}

/* What was found after a fault that nobody was told of. */
struct found {
    unsigned noticed, older, whole, silent;
};

static void judge(struct outcome *o, struct found *found)
{
    struct store_port port;
    struct err err;
    uint64_t count = 0, acknowledged = o->model.count;
    bool is_open = open_store(&port, &err);
    if (!is_open || !model_read_count(&port, &count, &err)) {
        found->noticed++;
    } else {
        model_go_to(&o->model, count);
        bool agrees = model_agrees(&o->model, &port);
        bool stopped = port.commit(port.self, &(struct store_batch){ 0 }, &err) == STORE_UNKNOWN;
        found->noticed += !agrees && stopped;
        found->silent += !agrees && !stopped;
        found->older += agrees && count < acknowledged;
        found->whole += agrees && count >= acknowledged;
    }
    if (is_open)
        port.close(port.self);
}

/* With every other one the power goes at the end. */
static struct found for_every_silent(enum disk_fault fault)
{
    struct found found = { 0 };
    bool has_failed = true;
    for (uint64_t at = 1; has_failed; at += POINTS_STEP) {
        struct outcome o;
        disk_reset(fault, at, at);
        run_scenario(&o, at % 5);
        has_failed = disk_has_failed();
        if (at % 2 == 0)
            disk_cut();
        disk_restart();
        if (has_failed)
            judge(&o, &found);
        model_release(&o.model);
    }
    return found;
}

/* A state that is whole but older than what was acknowledged is the one thing that a single machine
 * cannot know of; agents that have seen more do (R17). */
static void test_no_lost_misdirected_or_short_write_is_served(void **state)
{
    static const struct {
        enum disk_fault fault;
        const char *name;
    } faults[] = { { DISK_LOST, "lost" },
                   { DISK_MISDIRECTED, "misdirected" },
                   { DISK_SHORT, "cut short" } };
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct found f = for_every_silent(faults[i].fault);
        unsigned points = f.noticed + f.older + f.whole + f.silent;
        print_message(
            "%u operations %s: %u noticed, %u merely older, %u without effect, %u silent\n", points,
            faults[i].name, f.noticed, f.older, f.whole, f.silent);
        assert_int_equal(f.silent, 0);
        assert_true(points > 300 / POINTS_STEP);
        assert_true(f.noticed > 0); /* how many follows from how much was folded at a time */
    }
}

static int setup(void **state)
{
    (void)state;
    disk_register();
    scratch_make_fast(directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    disk_reset(DISK_NO_FAULT, 0, 0);
    scratch_remove(directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_power_cut_loses_what_was_acknowledged),
        cmocka_unit_test(test_no_io_error_loses_what_was_acknowledged),
        cmocka_unit_test(test_a_full_disk_refuses_and_recovers),
        cmocka_unit_test(test_a_disk_that_lies_is_noticed_or_merely_older),
        cmocka_unit_test(test_no_lost_misdirected_or_short_write_is_served),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
