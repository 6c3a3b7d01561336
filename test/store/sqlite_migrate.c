/* SPDX-License-Identifier: Apache-2.0
 * sqlite_migrate.c - formats of the file. One format is released so far, so the steps here are
 * those of a table of the test's own; what is tested is what carries them out: order, one
 * transaction, refusals, and a process that is killed in the middle. */
#include "model.h"
#include "store/sqlite/inner.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

#define FINISHED_ENOUGH 5 /* so often in a row the child was not killed in time */

/* ---- formats of the test -------------------------------------------------------------------- */

static int add_table(struct store *s)
{
    return sqlite_exec(s, "CREATE TABLE second(n INTEGER PRIMARY KEY);"
                          "INSERT INTO second VALUES(2)");
}

/* Needs what the step before it made, and takes a while. */
static int fill_table(struct store *s)
{
    return sqlite_exec(
        s, "INSERT INTO second WITH RECURSIVE c(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM c "
           "WHERE n < 30000) SELECT n FROM c;"
           "CREATE TABLE third(n INTEGER PRIMARY KEY)");
}

static int fail_after_a_change(struct store *s)
{
    int code = sqlite_exec(s, "CREATE TABLE half(n INTEGER PRIMARY KEY)");
    return code == SQLITE_OK ? SQLITE_FULL : code;
}

static sqlite_step_fn *const good_steps[] = { add_table, fill_table };
static sqlite_step_fn *const bad_steps[] = { add_table, fail_after_a_change };
static const struct sqlite_formats up_to_3 = { .newest = 3, .oldest = 1, .steps = good_steps };
static const struct sqlite_formats up_to_3_badly = { .newest = 3, .oldest = 1, .steps = bad_steps };
static const struct sqlite_formats from_2 = { .newest = 3, .oldest = 2, .steps = good_steps + 1 };

/* ---- fixture -------------------------------------------------------------------------------- */

struct fixture {
    char directory[256];
    struct store_port port;
    struct model model;
    bool is_open;
};

static enum err_code open_as(struct fixture *f, const struct sqlite_formats *formats,
                             struct err *ret)
{
    *ret = (struct err){ 0 };
    f->is_open =
        store_sqlite_open(&f->port, f->directory,
                          &(struct store_sqlite_options){ .formats = formats, .eager = true }, ret);
    return ret->code;
}

static void close_store(struct fixture *f)
{
    if (f->is_open)
        f->port.close(f->port.self);
    f->is_open = false;
}

/* A store of the released format with 50 batches in it. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err;
    scratch_make_fast(f->directory);
    model_init(&f->model, 8, 300);
    if (open_as(f, NULL, &err) != ERR_NONE)
        return -1;
    for (unsigned i = 0; i < 50; i++) {
        struct store_batch batch = model_make(&f->model);
        if (f->port.commit(f->port.self, &batch, &err) != STORE_DURABLE)
            return -1;
        model_accept(&f->model);
    }
    close_store(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close_store(f);
    model_release(&f->model);
    scratch_remove(f->directory);
    free(f);
    return 0;
}

static int64_t ask(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(scratch_file(f->directory, "dides.db"), &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return answer;
}

#define TABLES "SELECT count(*) FROM sqlite_schema WHERE name IN ('second', 'third', 'half')"

static void assert_old(struct fixture *f)
{
    assert_int_equal(ask(f, "PRAGMA user_version"), 1);
    assert_int_equal(ask(f, "SELECT value FROM meta WHERE name = 'format'"), 1);
    assert_int_equal(ask(f, TABLES), 0);
}

static void assert_new(struct fixture *f)
{
    assert_int_equal(ask(f, "PRAGMA user_version"), 3);
    assert_int_equal(ask(f, "SELECT value FROM meta WHERE name = 'format'"), 3);
    assert_int_equal(ask(f, TABLES), 2);
    assert_int_equal(ask(f, "SELECT count(*) FROM second"), 29999);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_an_older_format_is_brought_forward_step_by_step(void **state)
{
    struct fixture *f = *state;
    struct err err;

    assert_int_equal(open_as(f, &up_to_3, &err), ERR_NONE);

    assert_true(model_agrees(&f->model, &f->port));
    close_store(f);
    assert_new(f);
}

static void test_a_format_is_brought_forward_once(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(open_as(f, &up_to_3, &err), ERR_NONE);
    close_store(f);

    assert_int_equal(open_as(f, &up_to_3, &err), ERR_NONE); /* the tables would be there twice */

    close_store(f);
    assert_new(f);
}

static void test_a_step_that_fails_leaves_the_file_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct err err;

    assert_int_equal(open_as(f, &up_to_3_badly, &err), ERR_STORE);

    assert_non_null(strstr(err.text, "format 1"));
    assert_old(f);
    assert_int_equal(open_as(f, NULL, &err), ERR_NONE);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_a_newer_format_is_refused_in_one_sentence_and_not_touched(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(open_as(f, &up_to_3, &err), ERR_NONE);
    close_store(f);

    assert_int_equal(open_as(f, NULL, &err), ERR_NOT_SUPPORTED);

    assert_non_null(strstr(err.text, "has format 3"));
    assert_non_null(strstr(err.text, "formats up to 1"));
    assert_null(strchr(err.text, '\n'));
    assert_new(f);
}

static void test_a_format_that_is_too_old_is_refused_and_not_touched(void **state)
{
    struct fixture *f = *state;
    struct err err;

    assert_int_equal(open_as(f, &from_2, &err), ERR_NOT_SUPPORTED);

    assert_non_null(strstr(err.text, "formats from 2"));
    assert_old(f);
}

static void test_a_new_file_has_the_newest_format(void **state)
{
    struct fixture *f = *state;
    struct err err;
    unlink(scratch_file(f->directory, "dides.db"));

    assert_int_equal(open_as(f, &up_to_3, &err), ERR_NONE);

    close_store(f);
    assert_int_equal(ask(f, "PRAGMA user_version"), 3);
    assert_int_equal(ask(f, "SELECT value FROM meta WHERE name = 'format'"), 3);
}

/* The child migrates and is killed at some moment. Whether it had come to its end. */
static bool migrate_and_kill(struct fixture *f, unsigned after_us)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct err err;
        _exit(open_as(f, &up_to_3, &err) == ERR_NONE ? 0 : 1);
    }
    usleep(after_us);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return !WIFSIGNALED(status);
}

/* Later and later, until there is nothing left to kill. */
static void test_a_killed_migration_leaves_the_old_or_the_new(void **state)
{
    unsigned found[2] = { 0, 0 }, finished = 0;
    (void)state;
    for (unsigned after_us = 0; finished < FINISHED_ENOUGH; after_us += 300 + after_us / 20) {
        struct fixture *f;
        struct err err;
        assert_int_equal(setup((void **)&f), 0);
        finished = migrate_and_kill(f, after_us) ? finished + 1 : 0;

        bool is_new = ask(f, "PRAGMA user_version") == 3;
        if (is_new)
            assert_new(f);
        else
            assert_old(f);
        found[is_new]++;
        assert_int_equal(open_as(f, &up_to_3, &err), ERR_NONE);
        assert_true(model_agrees(&f->model, &f->port));
        close_store(f);
        assert_new(f);
        teardown((void **)&f);
    }
    print_message("%u times the old one, %u times the new one\n", found[0], found[1]);
    assert_true(found[0] > 0 && found[1] > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_older_format_is_brought_forward_step_by_step),
        TEST(test_a_format_is_brought_forward_once),
        TEST(test_a_step_that_fails_leaves_the_file_as_it_was),
        TEST(test_a_newer_format_is_refused_in_one_sentence_and_not_touched),
        TEST(test_a_format_that_is_too_old_is_refused_and_not_touched),
        TEST(test_a_new_file_has_the_newest_format),
        cmocka_unit_test(test_a_killed_migration_leaves_the_old_or_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
