/* SPDX-License-Identifier: Apache-2.0
 * sqlite_file.c - what the SQLite store promises about its file: modes, lock, identity, damage,
 * room, views. */
#include "model.h"
#include "store/sqlite/checksum.h"
#include "store/sqlite/sqlite.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

struct fixture {
    char scratch[256], directory[300];
    struct store_port port;
    struct model model;
    bool is_open;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    scratch_make(f->scratch);
    snprintf(f->directory, sizeof f->directory, "%s/data", f->scratch);
    model_init(&f->model, 4, 300);
    *state = f;
    return 0;
}

static void close_store(struct fixture *f)
{
    if (f->is_open)
        f->port.close(f->port.self);
    f->is_open = false;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close_store(f);
    model_release(&f->model);
    scratch_remove(f->scratch);
    free(f);
    return 0;
}

static void open_with(struct fixture *f, struct store_sqlite_options options)
{
    struct err err = { 0 };
    f->is_open = store_sqlite_open(&f->port, f->directory, &options, &err);
    if (!f->is_open)
        fail_msg("%s", err.text);
}

static void open_store(struct fixture *f)
{
    open_with(f, (struct store_sqlite_options){ .eager = true });
}

static enum err_code try_open(struct fixture *f, char sentence[static ERR_TEXT_SIZE])
{
    struct err err = { 0 };
    struct store_port port;
    if (store_sqlite_open(&port, f->directory, NULL, &err))
        port.close(port.self);
    snprintf(sentence, ERR_TEXT_SIZE, "%s", err.text);
    return err.code;
}

static void commit(struct fixture *f, unsigned batches)
{
    struct err err = { 0 };
    for (unsigned i = 0; i < batches; i++) {
        struct store_batch batch = model_make(&f->model);
        assert_int_equal(f->port.commit(f->port.self, &batch, &err), STORE_DURABLE);
        model_accept(&f->model);
    }
}

static void put(struct fixture *f, const char *key, const char *value)
{
    struct err err = { 0 };
    struct store_op op = { false, text_from(key), text_from(value) };
    assert_int_equal(
        f->port.commit(f->port.self, &(struct store_batch){ .ops = &op, .count = 1 }, &err),
        STORE_DURABLE);
}

/* Batches that a killed process left in the journal. */
static void leave_journal(struct fixture *f, unsigned batches)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store_port port;
        struct err err = { 0 };
        bool ok = store_sqlite_open(&port, f->directory, NULL, &err);
        for (unsigned i = 0; ok && i < batches; i++) {
            struct store_batch batch = model_make(&f->model);
            ok = port.commit(port.self, &batch, &err) == STORE_DURABLE;
            model_accept(&f->model);
        }
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    model_go_to(&f->model, f->model.count + batches);
}

static void run_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(scratch_file(f->directory, "dides.db"), &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* The columns of all rows, each followed by '|', as the shell would show them. */
static void query(const char *path, const char *sql, char *ret, size_t size)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    size_t used = 0;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    ret[0] = '\0';
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            used += (size_t)snprintf(ret + used, size - used, "%s|", text ? text : "NULL");
        }
    }
    if (code != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void assert_query(struct fixture *f, const char *sql, const char *expected)
{
    char found[2000];
    query(scratch_file(f->directory, "dides.db"), sql, found, sizeof found);
    assert_string_equal(found, expected);
}

static unsigned mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void test_only_the_owner_may_read_the_files(void **state)
{
    struct fixture *f = *state;
    mode_t before = umask(0);
    open_store(f);
    commit(f, 3);
    umask(before);

    assert_int_equal(mode_of(f->directory), 0700);
    assert_int_equal(mode_of(scratch_file(f->directory, "dides.db")), 0600);
    assert_int_equal(mode_of(scratch_file(f->directory, "dides.db-wal")), 0600);
    assert_int_equal(mode_of(scratch_file(f->directory, "lock")), 0600);
}

static void test_a_closed_store_is_one_file_that_holds_everything(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    commit(f, 50);
    close_store(f);

    assert_int_not_equal(access(scratch_file(f->directory, "dides.db-wal"), F_OK), 0);
    assert_int_not_equal(access(scratch_file(f->directory, "dides.db-shm"), F_OK), 0);
    assert_query(f, "SELECT count(*) FROM journal", "0|");
    assert_query(f, "SELECT value FROM kv WHERE key = 'count'", "50|");
    open_store(f);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_the_journal_goes_on_counting_after_a_restart(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    commit(f, 7);
    close_store(f);
    leave_journal(f, 5);

    assert_query(f, "SELECT min(seq), max(seq) FROM journal", "8|12|");
    open_store(f);
    assert_int_equal(f->port.stats(f->port.self).pending_batches, 5);
    assert_true(model_agrees(&f->model, &f->port));
    assert_int_equal(f->port.stats(f->port.self).pending_batches, 0);
}

static void test_a_second_store_on_the_directory_is_refused(void **state)
{
    struct fixture *f = *state;
    char sentence[ERR_TEXT_SIZE], pid[32];
    open_store(f);
    commit(f, 3);

    assert_int_equal(try_open(f, sentence), ERR_REFUSED);

    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(sentence, pid));
    commit(f, 3); /* the first one did not notice */
    close_store(f);
    assert_int_equal(try_open(f, sentence), ERR_NONE);
}

static void test_a_second_process_on_the_directory_is_refused(void **state)
{
    struct fixture *f = *state;
    int status;
    open_store(f);
    pid_t child = fork();
    if (child == 0) {
        char sentence[ERR_TEXT_SIZE];
        _exit(try_open(f, sentence) == ERR_REFUSED ? 0 : 1);
    }

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    commit(f, 3);
}

static void test_a_child_that_goes_on_using_the_store_is_stopped(void **state)
{
    struct fixture *f = *state;
    int status;
    open_store(f);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO); /* the assertion speaks */
        signal(SIGABRT, SIG_DFL);  /* and is not for cmocka */
        f->port.tend(f->port.self, 1);
        _exit(0);
    }

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void read_bytes(const char *path, char **ret, size_t *ret_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    *ret_size = (size_t)status.st_size;
    *ret = malloc(*ret_size + 1);
    assert_int_equal(read(fd, *ret, *ret_size), status.st_size);
    close(fd);
}

static void assert_refused_unchanged(struct fixture *f, enum err_code code, const char *part)
{
    char sentence[ERR_TEXT_SIZE], *before, *after;
    size_t before_size, after_size;
    const char *path = scratch_file(f->directory, "dides.db");
    read_bytes(path, &before, &before_size);

    assert_int_equal(try_open(f, sentence), code);

    if (!strstr(sentence, part))
        fail_msg("\"%s\" does not say \"%s\"", sentence, part);
    read_bytes(scratch_file(f->directory, "dides.db"), &after, &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(before);
    free(after);
}

static void make_closed(struct fixture *f)
{
    open_store(f);
    commit(f, 20);
    close_store(f);
}

static void test_a_newer_format_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    make_closed(f);
    run_sql(f, "PRAGMA user_version = 2");

    assert_refused_unchanged(f, ERR_NOT_SUPPORTED, "has format 2");
}

static void test_the_database_of_another_program_is_refused(void **state)
{
    struct fixture *f = *state;
    mkdir(f->directory, 0700);
    run_sql(f, "CREATE TABLE kv(key, value); PRAGMA application_id = 7");

    assert_refused_unchanged(f, ERR_REFUSED, "is not a database of dides");
}

static void test_a_database_without_an_identity_is_refused(void **state)
{
    struct fixture *f = *state;
    mkdir(f->directory, 0700);
    run_sql(f, "CREATE TABLE important(data)");

    assert_refused_unchanged(f, ERR_REFUSED, "is not a database of dides");
}

static void test_a_file_that_is_no_database_is_refused(void **state)
{
    struct fixture *f = *state;
    mkdir(f->directory, 0700);
    FILE *file = fopen(scratch_file(f->directory, "dides.db"), "w");
    for (int i = 0; i < 1000; i++)
        fputs("a diary of mine\n", file);
    fclose(file);

    assert_refused_unchanged(f, ERR_CORRUPT, "not a database");
}

/* The full scan, as at a start, must end in ERR_CORRUPT with this in its sentence. */
static void assert_damaged(struct fixture *f, const char *part)
{
    struct store_port port;
    struct err err = { 0 };
    uint64_t count;
    if (store_sqlite_open(&port, f->directory, NULL, &err)) {
        assert_false(model_agrees(&f->model, &port));
        assert_false(model_read_count(&port, &count, &err)); /* stopped, and says why */
        port.close(port.self);
    }
    assert_int_equal(err.code, ERR_CORRUPT);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void test_a_value_that_was_changed_by_hand_is_named(void **state)
{
    struct fixture *f = *state;
    make_closed(f);
    run_sql(f, "UPDATE kv SET value = '49' WHERE key = 'count'");

    assert_damaged(f, "row \"count\" has a wrong CRC");
}

static void test_a_row_that_is_missing_is_noticed(void **state)
{
    struct fixture *f = *state;
    make_closed(f);
    run_sql(f, "DELETE FROM kv WHERE key = (SELECT max(key) FROM kv)");

    assert_damaged(f, " rows instead of ");
}

static void test_a_row_that_is_foreign_is_noticed(void **state)
{
    struct fixture *f = *state;
    make_closed(f);
    run_sql(f, "INSERT INTO kv VALUES('a/foreign', '{}', 0)");

    assert_damaged(f, "row \"a/foreign\" has a wrong CRC");
}

static void test_a_row_that_is_older_is_noticed(void **state)
{
    struct fixture *f = *state;
    char update[300], old[100];
    make_closed(f);
    query(scratch_file(f->directory, "dides.db"),
          "SELECT value || ''', crc = ' || crc FROM kv WHERE key = 'count'", old, sizeof old);
    open_store(f);
    commit(f, 1);
    close_store(f);
    old[strlen(old) - 1] = '\0';
    snprintf(update, sizeof update, "UPDATE kv SET value = '%s WHERE key = 'count'", old);
    run_sql(f, update); /* a row of yesterday, whole and with its CRC */

    assert_damaged(f, "older than the digest says");
}

static void test_a_gap_in_the_journal_is_noticed(void **state)
{
    struct fixture *f = *state;
    leave_journal(f, 10);
    run_sql(f, "DELETE FROM journal WHERE seq = 4");

    assert_damaged(f, "journal row 4 is missing");
}

static void test_a_journal_row_with_another_content_is_noticed(void **state)
{
    struct fixture *f = *state;
    leave_journal(f, 10);
    run_sql(f, "UPDATE journal SET batch = CAST(batch || x'00' AS BLOB) WHERE seq = 6");

    assert_damaged(f, "journal row 6 has a wrong CRC");
}

static void test_a_journal_row_of_another_history_is_noticed(void **state)
{
    struct fixture *f = *state;
    leave_journal(f, 10);
    run_sql(f, "UPDATE journal SET batch = (SELECT batch FROM journal WHERE seq = 2), "
               "crc = (SELECT crc FROM journal WHERE seq = 2) WHERE seq = 7");

    assert_damaged(f, "journal row 7 does not follow the one before");
}

static void test_meta_rows_are_checked(void **state)
{
    struct fixture *f = *state;
    make_closed(f);
    run_sql(f, "UPDATE meta SET value = replace(value, 'seq 2', 'seq 3') WHERE name = 'folded'");

    assert_damaged(f, "'folded'");
}

static void test_the_views_show_the_records(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    put(f, "instance/web-01",
        "{\"name\":\"web-01\",\"ip\":\"192.0.2.1\",\"status\":2,\"online\":true,\"current_state\":{"
        "\"code_version\":\"1.0\",\"configuration_version\":\"7\"},\"deployment_id\":\"r-1\","
        "\"update_state\":\"in_progress\"}");
    put(f, "instance/bare%20one", "{}");
    put(f, "instance/odd", "no JSON");
    put(f, "instances", "{}");
    put(f, "rollout/00000001", "{\"id\":\"r-1\",\"status_name\":\"RUNNING\",\"outcome\":null}");
    put(f, "event/00000000000000000042", "{\"type\":\"rollout.started\",\"actor\":\"ops\"}");
    put(f, "seen/17", "\xff\xfe");
    close_store(f);

    assert_query(f,
                 "SELECT name, ip, status, online, code_version, configuration_version, "
                 "desired_code_version, rollout, update_state FROM instances",
                 "bare%20one|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|"
                 "web-01|192.0.2.1|DEGRADED|1|1.0|7|NULL|r-1|in_progress|");
    assert_query(f, "SELECT id, status, outcome FROM rollouts", "r-1|RUNNING|NULL|");
    assert_query(f, "SELECT event_index, type, actor FROM events", "42|rollout.started|ops|");
}

static void test_views_of_another_version_are_replaced(void **state)
{
    struct fixture *f = *state;
    char sql[300];
    make_closed(f);
    snprintf(sql, sizeof sql,
             "DROP VIEW events; DROP VIEW instances; CREATE VIEW instances AS SELECT 1 AS x;"
             "UPDATE meta SET value = '1', crc = %u WHERE name = 'views'",
             sqlite_row_crc(TEXT("views"), TEXT("1")));
    run_sql(f, sql); /* what a dides with other views would have left */

    open_store(f);
    close_store(f);

    assert_query(f, "SELECT count(*) FROM events", "0|");
    assert_query(f, "SELECT count(name) FROM instances", "0|");
}

static void test_a_full_file_refuses_and_recovers(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    enum store_result result;
    open_with(f, (struct store_sqlite_options){ .max_pages = 60 });
    do {
        struct store_batch batch = model_make(&f->model);
        result = f->port.commit(f->port.self, &batch, &err);
        if (result == STORE_DURABLE)
            model_accept(&f->model);
    } while (result == STORE_DURABLE);

    assert_int_equal(result, STORE_RETRY);
    assert_int_equal(err.code, ERR_STORE);
    assert_true(model_agrees(&f->model, &f->port)); /* all that was acknowledged can be read */
    close_store(f);
    open_store(f);
    assert_true(model_agrees(&f->model, &f->port));
    commit(f, 100);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_a_journal_that_nobody_tends_stays_bounded(void **state)
{
    struct fixture *f = *state;
    open_with(f, (struct store_sqlite_options){ .journal_max_bytes = 20000 });
    uint64_t most = 0;
    for (unsigned i = 0; i < 500; i++) {
        commit(f, 1);
        uint64_t pending = f->port.stats(f->port.self).pending_batches;
        most = pending > most ? pending : most;
    }

    assert_in_range(most, 2, 100);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_tending_waits_and_then_folds(void **state)
{
    struct fixture *f = *state;
    open_with(f, (struct store_sqlite_options){ 0 });
    commit(f, 5);

    f->port.tend(f->port.self, 10);
    assert_int_equal(f->port.stats(f->port.self).pending_batches, 5);
    usleep(600 * 1000);
    while (f->port.tend(f->port.self, 10))
        ;
    assert_int_equal(f->port.stats(f->port.self).pending_batches, 0);
}

static void assert_stops(struct fixture *f, const char *part)
{
    struct err err = { 0 };
    struct store_batch batch = model_make(&f->model);
    f->port.tend(f->port.self, 1);

    assert_int_equal(f->port.commit(f->port.self, &batch, &err), STORE_UNKNOWN);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void test_a_database_that_was_removed_stops_the_store(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    commit(f, 3);
    unlink(scratch_file(f->directory, "dides.db"));

    assert_stops(f, "dides.db");
}

static void test_a_directory_that_was_moved_stops_the_store(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    commit(f, 3);
    assert_int_equal(rename(f->directory, scratch_file(f->scratch, "elsewhere")), 0);

    assert_stops(f, "dides.db");
}

static void test_a_log_that_was_replaced_stops_the_store(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    commit(f, 3);
    const char *path = scratch_file(f->directory, "dides.db-wal");
    assert_int_equal(rename(path, scratch_file(f->directory, "aside")), 0);
    close(open(path, O_CREAT | O_WRONLY, 0600));

    assert_stops(f, "dides.db-wal was replaced");
}

static void test_a_directory_that_cannot_be_made_is_an_error(void **state)
{
    struct fixture *f = *state;
    char sentence[ERR_TEXT_SIZE];
    snprintf(f->directory, sizeof f->directory, "%s/no/such", f->scratch);

    assert_int_equal(try_open(f, sentence), ERR_IO);
    assert_non_null(strstr(sentence, "cannot create"));
}

static void test_the_standard_descriptors_are_never_the_database(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct store_port port;
        struct err err;
        struct stat null, found;
        close(0), close(1), close(2);
        bool ok = store_sqlite_open(&port, f->directory, NULL, &err);
        ok = ok && stat("/dev/null", &null) == 0;
        for (int fd = 0; ok && fd < 3; fd++)
            ok = fstat(fd, &found) == 0 && found.st_rdev == null.st_rdev;
        _exit(ok ? 0 : 1);
    }

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_only_the_owner_may_read_the_files),
        TEST(test_a_closed_store_is_one_file_that_holds_everything),
        TEST(test_the_journal_goes_on_counting_after_a_restart),
        TEST(test_a_second_store_on_the_directory_is_refused),
        TEST(test_a_second_process_on_the_directory_is_refused),
        TEST(test_a_child_that_goes_on_using_the_store_is_stopped),
        TEST(test_a_newer_format_is_refused_and_left_alone),
        TEST(test_the_database_of_another_program_is_refused),
        TEST(test_a_database_without_an_identity_is_refused),
        TEST(test_a_file_that_is_no_database_is_refused),
        TEST(test_a_value_that_was_changed_by_hand_is_named),
        TEST(test_a_row_that_is_missing_is_noticed),
        TEST(test_a_row_that_is_foreign_is_noticed),
        TEST(test_a_row_that_is_older_is_noticed),
        TEST(test_a_gap_in_the_journal_is_noticed),
        TEST(test_a_journal_row_with_another_content_is_noticed),
        TEST(test_a_journal_row_of_another_history_is_noticed),
        TEST(test_meta_rows_are_checked),
        TEST(test_the_views_show_the_records),
        TEST(test_views_of_another_version_are_replaced),
        TEST(test_a_full_file_refuses_and_recovers),
        TEST(test_a_journal_that_nobody_tends_stays_bounded),
        TEST(test_tending_waits_and_then_folds),
        TEST(test_a_database_that_was_removed_stops_the_store),
        TEST(test_a_directory_that_was_moved_stops_the_store),
        TEST(test_a_log_that_was_replaced_stops_the_store),
        TEST(test_a_directory_that_cannot_be_made_is_an_error),
        TEST(test_the_standard_descriptors_are_never_the_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
