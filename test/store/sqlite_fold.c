/* SPDX-License-Identifier: Apache-2.0
 * sqlite_fold.c - between any two steps of folding, with commits in between, the file holds what
 * was acknowledged: also for who finds it as a crash would leave it. */
#include "model.h"
#include "store/sqlite/sqlite.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

#define ROUNDS    150
#define VALUE_MAX 4000 /* so that what waits takes many steps of the least size */

static char directory[256], copy[256];

static struct store_port open_in(const char *where, uint32_t max_pages)
{
    struct store_sqlite_options options = { .eager = true, .max_pages = max_pages };
    struct store_port port;
    struct err err = { 0 };
    if (!store_sqlite_open(&port, where, &options, &err))
        fail_msg("%s", err.text);
    return port;
}

static void copy_file(const char *name)
{
    unlink(scratch_file(copy, name));
    int from = open(scratch_file(directory, name), O_RDONLY | O_CLOEXEC);
    assert_true(from >= 0);
    model_save(from, scratch_file(copy, name));
}

/* What a crash at this moment would leave. */
static void assert_a_crash_loses_nothing(const struct model *model)
{
    copy_file("dides.db");
    copy_file("dides.db-wal");
    struct store_port port = open_in(copy, 0);
    assert_true(model_agrees(model, &port));
    port.close(port.self);
}

/* What was seen on the way, so that a run that met nothing fails. */
struct seen {
    unsigned halves;  /* states in the middle of a fold */
    unsigned refused; /* commits, because the file may not grow */
};

static void commit_some(struct store_port *port, struct model *model, unsigned count,
                        struct seen *seen)
{
    for (unsigned i = 0; i < count; i++) {
        struct err err = { 0 };
        struct store_batch batch = model_make(model);
        enum store_result result = port->commit(port->self, &batch, &err);
        assert_int_not_equal(result, STORE_UNKNOWN);
        if (result == STORE_DURABLE)
            model_accept(model);
        else
            seen->refused++;
    }
}

static struct seen run(uint32_t max_pages)
{
    struct seen seen = { 0 };
    struct model model;
    uint64_t random = 5;
    struct store_port port = open_in(directory, max_pages);
    model_init(&model, 7, VALUE_MAX);
    for (unsigned round = 0; round < ROUNDS; round++) {
        commit_some(&port, &model, (unsigned)random_below(&random, 8), &seen);
        bool has_more = true;
        for (uint64_t steps = random_below(&random, 6); steps > 0 && has_more; steps--)
            has_more = port.tend(port.self, 0);
        seen.halves += has_more;
        assert_a_crash_loses_nothing(&model);
        if (round % 30 == 29)
            assert_true(model_agrees(&model, &port));
    }
    port.close(port.self);
    port = open_in(directory, 0);
    assert_true(model_agrees(&model, &port));
    port.close(port.self);
    model_release(&model);
    return seen;
}

static void test_folding_by_steps_is_never_seen(void **state)
{
    (void)state;

    struct seen seen = run(0);

    assert_true(seen.halves > ROUNDS / 5);
    assert_int_equal(seen.refused, 0);
}

static void test_folding_goes_on_when_the_file_may_not_grow(void **state)
{
    (void)state;

    struct seen seen = run(220);

    assert_true(seen.halves > ROUNDS / 10);
    assert_true(seen.refused > 10);
}

static int setup(void **state)
{
    (void)state;
    scratch_make_fast(directory);
    scratch_make_fast(copy);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(directory);
    scratch_remove(copy);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_folding_by_steps_is_never_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folding_goes_on_when_the_file_may_not_grow, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("folding", tests, NULL, NULL);
}
