/* SPDX-License-Identifier: Apache-2.0
 * sqlite_cuts.c - every operation of a disk as the moment in which the power goes. A story is told
 * once on a disk that keeps what is done to it; then each of its moments is put in place again,
 * with other luck for what was not flushed, and opened: what was acknowledged is there, the next
 * change wholly or not at all, nothing else, and the store goes on from there. */
#include "model.h"
#include "sim/disk/disk.h"
#include "store/sqlite/inner.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

#define MARKS_MAX    256
#define ROWS_MADE    200 /* by a migration */
#define POINTS_LEAST 10000

static char directory[256];

/* What was acknowledged, and when: after so many operations of the disk. */
struct mark {
    uint64_t operations, count, term;
};

struct story {
    const char *name;
    void (*before)(struct story *s); /* not recorded; NULL: an empty disk */
    void (*tell)(struct story *s);
    size_t value_max;
    uint64_t seeds;        /* so often, each time another story; more with DIDES_LONG */
    unsigned luck;         /* tries of each cut */
    uint64_t points_least; /* it has as many in all */
    const struct sqlite_formats *formats;
    bool eager;

    struct store_port port;
    struct model model; /* as acknowledged */
    struct mark marks[MARKS_MAX];
    size_t mark_count;
};

/* ---- telling -------------------------------------------------------------------------------- */

static bool open_store(const struct story *s, struct store_port *ret, struct err *err)
{
    struct store_sqlite_options options = { .vfs = DISK_VFS,
                                            .eager = s->eager,
                                            .formats = s->formats };
    *err = (struct err){ 0 };
    return store_sqlite_open(ret, directory, &options, err);
}

static void open_up(struct story *s)
{
    struct err err;
    if (!open_store(s, &s->port, &err))
        fail_msg("%s", err.text);
}

static void shut(struct story *s)
{
    s->port.close(s->port.self);
    s->port.self = NULL;
}

static void mark(struct story *s)
{
    assert_true(s->mark_count < MARKS_MAX);
    s->marks[s->mark_count++] =
        (struct mark){ disk_operations(), s->model.count, s->port.term(s->port.self) };
}

static void commit(struct story *s)
{
    struct err err = { 0 };
    struct store_batch batch = model_make(&s->model);
    assert_int_equal(s->port.commit(s->port.self, &batch, &err), STORE_DURABLE);
    model_accept(&s->model);
    mark(s);
}

static void commit_some(struct story *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        commit(s);
}

static void tend(struct story *s)
{
    while (s->port.tend(s->port.self, 100))
        continue;
}

static void tell_a_new_store(struct story *s)
{
    open_up(s);
    mark(s);
    commit_some(s, 2);
    shut(s);
}

/* Commits alone: nobody tends. */
static void tell_commits(struct story *s)
{
    open_up(s);
    commit_some(s, 100);
    shut(s);
}

/* Eager: folds at each call, writes the log back at every 32 pages. */
static void tell_housekeeping(struct story *s)
{
    uint64_t random = s->model.seed;
    open_up(s);
    for (unsigned i = 0; i < 80; i++) {
        commit(s);
        if (random_below(&random, 4) == 0)
            tend(s);
    }
    shut(s);
}

static void tell_many_starts(struct story *s)
{
    for (unsigned i = 0; i < 12; i++) {
        open_up(s);
        commit_some(s, 3);
        if (i % 3 == 0)
            tend(s);
        shut(s);
    }
}

static void tell_terms(struct story *s)
{
    open_up(s);
    for (unsigned i = 0; i < 30; i++) {
        commit(s);
        assert_int_equal(s->port.raise_term(s->port.self, 2 + 3 * i, NULL), STORE_DURABLE);
        mark(s);
        if (i % 7 == 0)
            tend(s);
    }
    shut(s);
}

/* The copy is in files of its own; what is tested is the store that it is made of. */
static void tell_a_backup(struct story *s)
{
    enum store_backup step = STORE_BACKUP_MORE;
    struct err err = { 0 };
    int file = -1;
    open_up(s);
    assert_true(s->port.backup_begin(s->port.self, &err));
    for (unsigned i = 0; step == STORE_BACKUP_MORE; i++) {
        commit(s);
        if (i % 3 == 0)
            tend(s);
        step = s->port.backup_step(s->port.self, 0, &file, &err);
    }
    assert_int_equal(step, STORE_BACKUP_DONE);
    close(file);
    commit_some(s, 5);
    shut(s);
}

static void give_content(struct story *s)
{
    const struct sqlite_formats *formats = s->formats;
    s->formats = NULL; /* the released ones */
    open_up(s);
    commit_some(s, 40);
    shut(s);
    s->formats = formats;
}

static void give_much_content(struct story *s)
{
    open_up(s);
    commit_some(s, 200);
    shut(s);
}

/* ---- a migration ---------------------------------------------------------------------------- */

static int add_table(struct store *s)
{
    return sqlite_exec(s, "CREATE TABLE second(n INTEGER PRIMARY KEY, filling)");
}

static int fill_table(struct store *s)
{
    return sqlite_exec(s, "INSERT INTO second WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL "
                          "SELECT n + 1 FROM c WHERE n < 200) SELECT n, zeroblob(900) FROM c");
}

static sqlite_step_fn *const steps[] = { add_table, fill_table };
static const struct sqlite_formats up_to_3 = { .newest = 3, .oldest = 1, .steps = steps };

static void tell_a_migration(struct story *s)
{
    open_up(s);
    mark(s);
    commit_some(s, 2);
    shut(s);
}

/* Of a disk that was put in place: the old format has no second table, the new one all of it. */
static void assert_old_or_new(void)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    char path[300];
    snprintf(path, sizeof path, "%s/dides.db", directory);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, DISK_VFS), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    assert_true(version == 1 || version == 3);
    int code = sqlite3_prepare_v2(db, "SELECT count(*) FROM second", -1, &statement, NULL);
    assert_int_equal(code == SQLITE_OK, version == 3);
    if (version == 3) {
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(statement, 0), ROWS_MADE);
    }
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- cutting -------------------------------------------------------------------------------- */

/* Three neighbours, so that none has to go back: the state that was acknowledged, the one after it,
 * and what a commit on top of that makes. */
struct neighbours {
    struct model at[3];
};

static void go_to(struct neighbours *n, uint64_t count)
{
    for (unsigned i = 0; i < 3; i++)
        model_go_to(&n->at[i], count + i);
}

/* Which mark the cut after `operations` is behind; SIZE_MAX: none. */
static size_t find_mark(const struct story *s, uint64_t operations)
{
    size_t i = 0;
    while (i < s->mark_count && s->marks[i].operations <= operations)
        i++;
    return i - 1;
}

static bool is_of(const struct mark *m, uint64_t count, uint64_t term)
{
    return m->count == count && m->term == term;
}

static void assert_goes_on(struct store_port *port, struct neighbours *n, unsigned state)
{
    struct err err = { 0 };
    struct store_batch batch = model_make(&n->at[state]);
    assert_int_equal(port->commit(port->self, &batch, &err), STORE_DURABLE);
    port->tend(port->self, 5);
    assert_true(model_agrees(&n->at[state + 1], port));
}

static void assert_holds(struct story *s, struct neighbours *n, uint64_t operations)
{
    struct store_port port;
    struct err err;
    uint64_t count = 0;
    size_t newest = find_mark(s, operations);
    struct mark before = newest == SIZE_MAX ? (struct mark){ .term = 1 } : s->marks[newest];
    if (s->tell == tell_a_migration)
        assert_old_or_new();
    if (!open_store(s, &port, &err) || !model_read_count(&port, &count, &err))
        fail_msg("%s, cut after %" PRIu64 ": %s", s->name, operations, err.text);
    uint64_t term = port.term(port.self);
    bool is_next = newest + 1 < s->mark_count && is_of(&s->marks[newest + 1], count, term);
    if (!is_of(&before, count, term) && !is_next)
        fail_msg("%s, cut after %" PRIu64 ": %" PRIu64 " batches and term %" PRIu64
                 ", acknowledged were %" PRIu64 " and %" PRIu64,
                 s->name, operations, count, term, before.count, before.term);
    go_to(n, before.count);
    unsigned state = (unsigned)(count - before.count);
    assert_true(model_agrees(&n->at[state], &port));
    assert_goes_on(&port, n, state);
    port.close(port.self);
}

/* Returns the number of points. */
static uint64_t cut_everywhere(struct story *s, uint64_t last)
{
    struct neighbours n;
    uint64_t points = 0;
    for (unsigned i = 0; i < 3; i++)
        model_init(&n.at[i], s->model.seed, s->value_max);
    for (uint64_t at = 0; at <= last; at += POINTS_STEP) {
        for (unsigned i = 0; i < s->luck; i++, points++) {
            disk_replay(at, at * 1000 + i);
            assert_holds(s, &n, at);
        }
    }
    for (unsigned i = 0; i < 3; i++)
        model_release(&n.at[i]);
    return points;
}

static uint64_t tell_and_cut(struct story *s, uint64_t seed)
{
    disk_reset(DISK_NO_FAULT, 0, seed);
    model_init(&s->model, seed, s->value_max);
    s->mark_count = 0;
    if (s->before)
        s->before(s);
    s->mark_count = 0;
    disk_record();
    if (s->model.count > 0) /* what was there before */
        s->marks[s->mark_count++] = (struct mark){ 0, s->model.count, 1 };
    s->tell(s);
    uint64_t points = cut_everywhere(s, disk_operations());
    model_release(&s->model);
    return points;
}

/* clang-format off */
static struct story stories[] = {
    { .name = "a new store",   .tell = tell_a_new_store,  .value_max = 300,  .seeds = 1, .luck = 12, .points_least = 400 },
    { .name = "commits",       .tell = tell_commits,      .value_max = 600,  .seeds = 1, .luck = 2,  .points_least = 1500 },
    { .name = "housekeeping",  .tell = tell_housekeeping, .value_max = 1500, .seeds = 1, .luck = 1,  .points_least = 2500, .eager = true },
    { .name = "many starts",   .tell = tell_many_starts,  .value_max = 300,  .seeds = 1, .luck = 3,  .points_least = 1500, .eager = true },
    { .name = "terms",         .tell = tell_terms,        .value_max = 300,  .seeds = 1, .luck = 3,  .points_least = 800 },
    { .name = "a backup",      .tell = tell_a_backup,     .value_max = 600,  .seeds = 1, .luck = 3,  .points_least = 700, .eager = true, .before = give_much_content },
    { .name = "a migration",   .tell = tell_a_migration,  .value_max = 300,  .seeds = 1, .luck = 8,  .points_least = 500, .before = give_content, .formats = &up_to_3 },
};
/* clang-format on */

static void test_no_power_cut_at_any_operation_loses_or_halves_anything(void **state)
{
    uint64_t all = 0;
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        struct story *s = &stories[i];
        uint64_t points = 0;
        for (uint64_t seed = 1; seed <= s->seeds * how_long(); seed++)
            points += tell_and_cut(s, seed);
        print_message("%s: %" PRIu64 " cuts\n", s->name, points);
        assert_true(points >= s->points_least / POINTS_STEP);
        all += points;
    }
    assert_true(all >= POINTS_LEAST / POINTS_STEP);
    print_message("%" PRIu64 " cuts in all, nothing lost, nothing by half\n", all);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        test_no_power_cut_at_any_operation_loses_or_halves_anything) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
