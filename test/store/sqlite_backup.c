/* SPDX-License-Identifier: Apache-2.0
 * sqlite_backup.c - copies of a store in use, checking them, and putting them in place: whole or
 * not at all, under a higher term. */
#include "model.h"
#include "store/sqlite/sqlite.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

#define FINISHED_ENOUGH 5 /* so often in a row the child was not killed in time */

struct fixture {
    char scratch[256], directory[300], backup[300];
    struct store_port port;
    struct model model;
    bool is_open;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    scratch_make(f->scratch);
    snprintf(f->directory, sizeof f->directory, "%s/data", f->scratch);
    snprintf(f->backup, sizeof f->backup, "%s/backup.db", f->scratch);
    model_init(&f->model, 7, 3000);
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

static void open_store(struct fixture *f)
{
    struct err err = { 0 };
    f->is_open = store_sqlite_open(&f->port, f->directory,
                                   &(struct store_sqlite_options){ .eager = true }, &err);
    if (!f->is_open)
        fail_msg("%s", err.text);
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

/* A store of `batches` batches, closed, and a backup of it. */
static void make_backup(struct fixture *f, unsigned batches)
{
    open_store(f);
    commit(f, batches);
    model_backup(&f->port, f->backup);
    close_store(f);
}

static bool exists(const char *directory, const char *name)
{
    return access(scratch_file(directory, name), F_OK) == 0;
}

static unsigned mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static enum err_code verify(const char *path, struct store_sqlite_facts *ret)
{
    struct err err = { 0 };
    if (!store_sqlite_verify(path, ret, &err))
        print_message("%s\n", err.text);
    return err.code;
}

static enum err_code restore(struct fixture *f, bool replaces, struct store_sqlite_restored *ret)
{
    struct err err = { 0 };
    if (!store_sqlite_restore(f->directory, f->backup, replaces, ret, &err))
        print_message("%s\n", err.text);
    return err.code;
}

static uint64_t term(struct fixture *f)
{
    return f->port.term(f->port.self);
}

/* ---- copies --------------------------------------------------------------------------------- */

static void test_a_backup_of_a_store_in_use_is_its_state_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct store_sqlite_facts facts;
    int file = -1;
    unsigned steps = 0;
    open_store(f);
    commit(f, 400);
    assert_true(f->port.backup_begin(f->port.self, &err));

    while (f->port.backup_step(f->port.self, 0, &file, &err) == STORE_BACKUP_MORE) {
        commit(f, 1);
        f->port.tend(f->port.self, 1);
        steps++;
    }

    assert_true(steps > 3);
    assert_true(file >= 0);
    uint64_t count = f->model.count;
    commit(f, 20);
    model_save(file, f->backup);
    close_store(f);
    assert_int_equal(verify(f->backup, &facts), ERR_NONE);
    assert_int_equal(facts.commits, count);
    assert_int_equal(rename(f->backup, scratch_file(f->directory, "dides.db")), 0);
    open_store(f);
    model_go_to(&f->model, count);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_a_backup_has_no_name_once_it_is_whole(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    int file = -1;
    open_store(f);
    commit(f, 5);
    assert_true(f->port.backup_begin(f->port.self, &err));
    assert_true(exists(f->directory, "backup.tmp"));
    assert_int_equal(mode_of(scratch_file(f->directory, "backup.tmp")), 0600);

    assert_int_equal(f->port.backup_step(f->port.self, 60000, &file, &err), STORE_BACKUP_DONE);

    assert_false(exists(f->directory, "backup.tmp"));
    close(file);
}

static void test_one_backup_is_made_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    open_store(f);
    commit(f, 400);
    assert_true(f->port.backup_begin(f->port.self, &err));

    assert_false(f->port.backup_begin(f->port.self, &err));
    assert_int_equal(err.code, ERR_REFUSED);

    f->port.backup_cancel(f->port.self);
    assert_false(exists(f->directory, "backup.tmp"));
    model_backup(&f->port, f->backup);
}

static void test_what_a_crash_left_of_a_backup_goes_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    close_store(f);
    close(open(scratch_file(f->directory, "backup.tmp"), O_CREAT | O_WRONLY, 0600));
    close(open(scratch_file(f->directory, "restore.tmp"), O_CREAT | O_WRONLY, 0600));
    close(open(scratch_file(f->directory, "restore.tmp-journal"), O_CREAT | O_WRONLY, 0600));

    open_store(f);

    assert_false(exists(f->directory, "backup.tmp"));
    assert_false(exists(f->directory, "restore.tmp"));
    assert_false(exists(f->directory, "restore.tmp-journal"));
}

static void test_closing_the_store_gives_a_backup_up(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    int file = -1;
    open_store(f);
    commit(f, 400);
    assert_true(f->port.backup_begin(f->port.self, &err));
    assert_int_equal(f->port.backup_step(f->port.self, 0, &file, &err), STORE_BACKUP_MORE);

    close_store(f);

    assert_false(exists(f->directory, "backup.tmp"));
    open_store(f);
    assert_true(model_agrees(&f->model, &f->port));
}

/* A limit of the size of files: what was written before it is folded away, then the copy meets it.
 */
static void test_a_copy_that_cannot_be_written_does_not_harm_the_store(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct rlimit before, little = { .rlim_cur = 400 * 1024 };
    enum store_backup step = STORE_BACKUP_MORE;
    int file = -1;
    open_store(f);
    commit(f, 400);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_true(f->port.backup_begin(f->port.self, &err));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);

    while (step == STORE_BACKUP_MORE)
        step = f->port.backup_step(f->port.self, 0, &file, &err);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(step, STORE_BACKUP_FAILED);
    assert_int_not_equal(err.code, ERR_NONE);
    assert_int_equal(file, -1);
    assert_false(exists(f->directory, "backup.tmp"));
    commit(f, 5);
    assert_true(model_agrees(&f->model, &f->port));
    model_backup(&f->port, f->backup);
}

/* ---- checks --------------------------------------------------------------------------------- */

static void overwrite(const char *path, off_t at, const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), (ssize_t)size);
    close(fd);
}

/* Cells fill pages from their ends. */
static void spoil(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    for (off_t page = 4096; page < status.st_size; page += 4096)
        overwrite(path, page + 4090, "rot", 3);
}

static void test_a_backup_says_what_it_holds(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_facts facts;
    make_backup(f, 30);

    assert_int_equal(verify(f->backup, &facts), ERR_NONE);

    assert_int_equal(facts.format, 1);
    assert_int_equal(facts.term, 1);
    assert_int_equal(facts.commits, 30);
    assert_true(facts.rows > 10 && facts.rows <= MODEL_KEYS);
    assert_true(facts.file_bytes > 4096);
}

static void test_a_backup_that_was_cut_off_is_damaged(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_facts facts;
    struct stat status;
    make_backup(f, 200);
    assert_int_equal(stat(f->backup, &status), 0);

    assert_int_equal(truncate(f->backup, status.st_size - 4096), 0);

    assert_int_equal(verify(f->backup, &facts), ERR_CORRUPT);
}

static void test_a_file_that_is_no_database_is_said_to_be_none(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_facts facts;
    static const char other[] = "this is a letter and no database, however long it goes on....";
    int fd = open(f->backup, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, other, sizeof other), sizeof other);
    close(fd);

    assert_int_equal(verify(f->backup, &facts), ERR_CORRUPT);
    assert_int_equal(verify(scratch_file(f->scratch, "nothing"), &facts), ERR_NOT_FOUND);
    assert_int_equal(verify(f->scratch, &facts), ERR_REFUSED);
}

static void test_the_database_of_a_running_store_can_be_verified(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_facts facts;
    open_store(f);
    commit(f, 25);

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool ok = store_sqlite_verify(scratch_file(f->directory, "dides.db"), &facts, NULL);
        _exit(ok && facts.commits == 25 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);

    assert_int_equal(status, 0);
    commit(f, 5);
}

static void test_a_backup_is_kept_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_facts facts;
    struct err err = { 0 };
    const char *partial = f->backup;
    char kept[300];
    snprintf(kept, sizeof kept, "%s/kept.db", f->scratch);
    make_backup(f, 30);
    spoil(partial);

    assert_false(store_sqlite_keep(partial, kept, false, &facts, &err));

    assert_false(exists(f->scratch, "kept.db"));
    assert_false(exists(f->scratch, "backup.db"));
}

static void test_a_kept_backup_replaces_another_only_when_asked_to(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_facts facts;
    struct err err = { 0 };
    char kept[300];
    snprintf(kept, sizeof kept, "%s/kept.db", f->scratch);
    make_backup(f, 30);
    assert_true(store_sqlite_keep(f->backup, kept, false, &facts, &err));
    make_backup(f, 7);

    assert_false(store_sqlite_keep(f->backup, kept, false, &facts, &err));
    assert_int_equal(err.code, ERR_REFUSED);
    assert_int_equal(verify(kept, &facts), ERR_NONE);
    assert_int_equal(facts.commits, 30);

    open_store(f);
    model_backup(&f->port, f->backup);
    assert_true(store_sqlite_keep(f->backup, kept, true, &facts, &err));
    assert_int_equal(facts.commits, 37);
    assert_int_equal(mode_of(kept), 0600);
}

/* ---- putting in place ----------------------------------------------------------------------- */

static void test_a_restored_store_has_the_backups_state_and_a_higher_term(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_restored restored;
    make_backup(f, 40);
    scratch_remove(f->directory);

    assert_int_equal(restore(f, false, &restored), ERR_NONE);

    assert_string_equal(restored.kept, "");
    assert_int_equal(restored.facts.term, 2);
    open_store(f);
    assert_int_equal(term(f), 2);
    assert_true(model_agrees(&f->model, &f->port));
    commit(f, 5);
}

static void test_a_store_that_is_there_is_replaced_only_when_asked_to(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_restored restored;
    make_backup(f, 40);
    open_store(f);
    commit(f, 20);
    close_store(f);

    assert_int_equal(restore(f, false, &restored), ERR_REFUSED);
    assert_int_equal(restore(f, true, &restored), ERR_NONE);

    assert_string_equal(restored.kept, scratch_file(f->directory, "dides.db.old-1"));
    open_store(f);
    model_go_to(&f->model, 40);
    assert_true(model_agrees(&f->model, &f->port));
    struct store_sqlite_facts old;
    assert_int_equal(verify(restored.kept, &old), ERR_NONE);
    assert_int_equal(old.commits, 60);
}

static void test_each_restore_of_the_same_backup_has_a_new_term(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_restored restored;
    make_backup(f, 40);

    for (uint64_t i = 2; i < 5; i++) {
        assert_int_equal(restore(f, true, &restored), ERR_NONE);
        assert_int_equal(restored.facts.term, i);
        assert_false(restored.kept_is_unreadable);
    }

    assert_true(exists(f->directory, "dides.db.old-3"));
}

static void test_a_damaged_store_can_be_replaced(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_restored restored;
    make_backup(f, 40);
    overwrite(scratch_file(f->directory, "dides.db"), 100, "damage all over", 15);

    assert_int_equal(restore(f, true, &restored), ERR_NONE);

    assert_true(restored.kept_is_unreadable);
    open_store(f);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_a_damaged_backup_is_not_put_in_place(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_restored restored;
    make_backup(f, 40);
    spoil(f->backup);

    assert_int_equal(restore(f, true, &restored), ERR_CORRUPT);

    assert_false(exists(f->directory, "dides.db.old-1"));
    open_store(f);
    assert_true(model_agrees(&f->model, &f->port));
    assert_int_equal(term(f), 1);
}

static void test_a_store_that_root_restores_is_its_folders_owners(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_restored restored;
    struct stat database, lock;
    make_backup(f, 5);
    scratch_remove(f->directory);
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(f->directory, 0700), 0);
    assert_int_equal(chown(f->directory, 12345, 54321), 0);

    assert_int_equal(restore(f, false, &restored), ERR_NONE);

    assert_int_equal(stat(scratch_file(f->directory, "dides.db"), &database), 0);
    assert_int_equal(stat(scratch_file(f->directory, "lock"), &lock), 0);
    assert_int_equal(database.st_uid, 12345);
    assert_int_equal(database.st_gid, 54321);
    assert_int_equal(lock.st_uid, 12345);
}

static void test_a_store_in_use_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_restored restored;
    make_backup(f, 40);
    open_store(f);

    assert_int_equal(restore(f, true, &restored), ERR_REFUSED);

    commit(f, 3);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_a_term_rises_and_stays(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    open_store(f);
    assert_int_equal(term(f), 1);

    assert_int_equal(f->port.raise_term(f->port.self, 5, &err), STORE_DURABLE);
    assert_int_equal(f->port.raise_term(f->port.self, 3, &err), STORE_DURABLE);

    assert_int_equal(term(f), 5);
    commit(f, 3);
    close_store(f);
    open_store(f);
    assert_int_equal(term(f), 5);
}

/* ---- crashes -------------------------------------------------------------------------------- */

/* A process that ends without closing leaves its log beside the database. */
static void commit_and_die(struct fixture *f, unsigned batches)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        open_store(f);
        commit(f, batches);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(exists(f->directory, "dides.db-wal"));
}

/* As a restore leaves them that dies after its point of no return. */
static void test_a_restore_that_was_cut_short_is_finished_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct store_sqlite_facts old;
    make_backup(f, 40);
    commit_and_die(f, 20);
    assert_int_equal(rename(f->backup, scratch_file(f->directory, "dides.db.restored")), 0);

    open_store(f);

    assert_true(model_agrees(&f->model, &f->port));
    assert_false(exists(f->directory, "dides.db.restored"));
    assert_true(exists(f->directory, "dides.db.old-1-wal"));
    assert_int_equal(verify(scratch_file(f->directory, "dides.db.old-1"), &old), ERR_NONE);
    assert_int_equal(old.commits, 60);
}

static void test_half_of_the_switch_is_gone_on_with(void **state)
{
    struct fixture *f = *state;
    make_backup(f, 40);
    assert_int_equal(rename(f->backup, scratch_file(f->directory, "dides.db.restored")), 0);
    assert_int_equal(rename(scratch_file(f->directory, "dides.db"),
                            scratch_file(f->directory, "dides.db.old-1")),
                     0);

    open_store(f);

    assert_true(model_agrees(&f->model, &f->port));
    assert_false(exists(f->directory, "dides.db.old-2"));
}

/* The child restores the backup of 40 batches over the store of 60, and is killed at some moment.
 * Whether it had come to its end. */
static bool restore_and_kill(struct fixture *f, unsigned after_us)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store_sqlite_restored restored;
        _exit(store_sqlite_restore(f->directory, f->backup, true, &restored, NULL) ? 0 : 1);
    }
    usleep(after_us);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return !WIFSIGNALED(status);
}

/* Later and later, until there is nothing left to kill. */
static void test_a_killed_restore_leaves_the_old_or_the_new(void **state)
{
    struct fixture *f = *state;
    unsigned found[2] = { 0, 0 }, finished = 0;
    make_backup(f, 40);
    open_store(f);
    commit(f, 20);
    close_store(f);
    uint64_t before = 1;
    for (unsigned after_us = 0; finished < FINISHED_ENOUGH; after_us += 200 + after_us / 20) {
        finished = restore_and_kill(f, after_us) ? finished + 1 : 0;

        open_store(f);
        uint64_t count;
        struct err err = { 0 };
        assert_true(model_read_count(&f->port, &count, &err));
        assert_true(count == 40 || count == 60);
        bool is_new = term(f) > before;
        assert_true(is_new ? count == 40 && term(f) == before + 1 : term(f) == before);
        model_go_to(&f->model, count);
        assert_true(model_agrees(&f->model, &f->port));
        before = term(f);
        found[is_new]++;
        if (count == 40)
            commit(f, 20); /* the store of 60 again */
        close_store(f);
    }
    print_message("%u times the old one, %u times the new one\n", found[0], found[1]);
    assert_true(found[0] > 0 && found[1] > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_backup_of_a_store_in_use_is_its_state_at_the_end),
        TEST(test_a_backup_has_no_name_once_it_is_whole),
        TEST(test_one_backup_is_made_at_a_time),
        TEST(test_what_a_crash_left_of_a_backup_goes_at_the_next_start),
        TEST(test_closing_the_store_gives_a_backup_up),
        TEST(test_a_copy_that_cannot_be_written_does_not_harm_the_store),
        TEST(test_a_backup_says_what_it_holds),
        TEST(test_a_backup_that_was_cut_off_is_damaged),
        TEST(test_a_file_that_is_no_database_is_said_to_be_none),
        TEST(test_the_database_of_a_running_store_can_be_verified),
        TEST(test_a_backup_is_kept_whole_or_not_at_all),
        TEST(test_a_kept_backup_replaces_another_only_when_asked_to),
        TEST(test_a_restored_store_has_the_backups_state_and_a_higher_term),
        TEST(test_a_store_that_is_there_is_replaced_only_when_asked_to),
        TEST(test_each_restore_of_the_same_backup_has_a_new_term),
        TEST(test_a_damaged_store_can_be_replaced),
        TEST(test_a_damaged_backup_is_not_put_in_place),
        TEST(test_a_store_that_root_restores_is_its_folders_owners),
        TEST(test_a_store_in_use_is_not_replaced),
        TEST(test_a_term_rises_and_stays),
        TEST(test_a_restore_that_was_cut_short_is_finished_at_the_next_start),
        TEST(test_half_of_the_switch_is_gone_on_with),
        TEST(test_a_killed_restore_leaves_the_old_or_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
