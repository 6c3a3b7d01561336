/* SPDX-License-Identifier: Apache-2.0
 * test_recovery.c - copies of the store while it is in use, and a store that is an old copy. */
#include "kit.h"

#include "store/sqlite/sqlite.h"

#include <ftw.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- orders that this store does not know --------------------------------------------------- */

struct kit_confirm {
    struct engine_confirm confirm;
    int outcome; /* -1: not yet */
};

static void note_confirmed(struct engine_confirm *confirm, enum engine_outcome outcome)
{
    ((struct kit_confirm *)confirm)->outcome = (int)outcome;
}

static void wait_for_confirm(struct kit *kit, struct kit_confirm *confirm)
{
    struct err err = { 0 };
    *confirm = (struct kit_confirm){ .confirm.done = note_confirmed, .outcome = -1 };
    if (!engine_confirm(kit->engine, &confirm->confirm, &err))
        fail_msg("%s", err.text);
    engine_poll(kit->engine);
}

/* An engine that has loaded web-1 from the store, with an order of generation 1. */
static uint32_t open_with_one(struct kit *kit)
{
    kit_open(kit);
    kit_instance(kit, "web-1", "1.0.0");
    kit_deploy(kit, "2.0.0", 1);
    kit_turn(kit);
    engine_free(kit->engine);
    kit->now += 1000;
    kit_reopen(kit);
    uint32_t slot = fleet_find(engine_fleet(kit->engine), TEXT("web-1"));
    assert_int_equal(fleet_at(engine_fleet(kit->engine), slot)->generation, 1);
    kit->log_calls = 0;
    return slot;
}

static void test_an_agent_that_knows_what_the_server_gave_holds_nothing(void **unused)
{
    (void)unused;
    struct kit kit;
    uint32_t slot = open_with_one(&kit);

    engine_heed_observed(kit.engine, slot, 1, 0);
    engine_heed_observed(kit.engine, slot, 1, 1);

    assert_int_equal(engine_term(kit.engine), 1);
    assert_false(engine_is_held(kit.engine));
    assert_int_equal(kit.log_calls, 0);
    kit_close(&kit);
}

static void test_an_agent_that_knows_a_higher_generation_holds_the_engine(void **unused)
{
    (void)unused;
    struct kit kit;
    uint32_t slot = open_with_one(&kit);

    engine_heed_observed(kit.engine, slot, 1, 2);
    engine_heed_observed(kit.engine, slot, 1, 3);

    assert_true(engine_is_held(kit.engine));
    assert_int_equal(kit.log_calls, 1);
    kit_close(&kit);
}

static void test_an_agent_that_knows_a_higher_term_holds_the_engine(void **unused)
{
    (void)unused;
    struct kit kit;
    uint32_t slot = open_with_one(&kit);

    engine_heed_observed(kit.engine, slot, 2, 0);

    assert_true(engine_is_held(kit.engine));
    kit_close(&kit);
}

static void test_a_higher_generation_of_a_lower_term_is_what_a_restore_leaves(void **unused)
{
    (void)unused;
    struct kit kit;
    uint32_t slot = open_with_one(&kit);
    engine_free(kit.engine);
    assert_int_equal(kit.store.raise_term(kit.store.self, 2, NULL), STORE_DURABLE);
    kit_reopen(&kit);

    engine_heed_observed(kit.engine, slot, 1, 100);

    assert_int_equal(engine_term(kit.engine), 2);
    assert_false(engine_is_held(kit.engine));
    kit_close(&kit);
}

static void test_an_instance_that_was_registered_since_proves_nothing(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    kit.now += 1000;
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");

    engine_heed_observed(kit.engine, slot, 1, 7);

    assert_false(engine_is_held(kit.engine));
    kit_close(&kit);
}

static void test_a_confirmed_engine_goes_on_under_a_term_above_all_that_was_seen(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_confirm confirm;
    uint32_t slot = open_with_one(&kit);
    engine_heed_observed(kit.engine, slot, 1, 9);
    engine_heed_observed(kit.engine, slot, 6, 1);

    wait_for_confirm(&kit, &confirm);

    assert_int_equal(confirm.outcome, ENGINE_DURABLE);
    assert_false(engine_is_held(kit.engine));
    assert_int_equal(engine_term(kit.engine), 7);
    engine_heed_observed(kit.engine, slot, 8, 1); /* no agent can hold it again */
    assert_false(engine_is_held(kit.engine));
    engine_free(kit.engine);
    kit_reopen(&kit);
    assert_int_equal(engine_term(kit.engine), 7);
    kit_close(&kit);
}

static void test_there_is_nothing_to_confirm_unless_the_engine_is_held(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_confirm confirm = { .outcome = -1 };
    struct err err = { 0 };
    open_with_one(&kit);

    assert_false(engine_confirm(kit.engine, &confirm.confirm, &err));

    assert_int_equal(err.code, ERR_REFUSED);
    assert_int_equal(engine_term(kit.engine), 1);
    kit_close(&kit);
}

static void test_a_confirmation_that_is_not_durable_changes_nothing(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_confirm confirm;
    uint32_t slot = open_with_one(&kit);
    engine_heed_observed(kit.engine, slot, 1, 9);
    store_memory_plan_fault(&kit.store, STORE_MEMORY_UNKNOWN_LOST, 1);
    kit_heartbeat(&kit, slot, "1.0.1", INSTANCE_HEALTHY);
    kit_turn(&kit);
    unsigned fatal_calls = kit.fatal_calls;

    wait_for_confirm(&kit, &confirm);

    assert_int_equal(confirm.outcome, ENGINE_UNKNOWN);
    assert_int_equal(fatal_calls, 1);
    assert_int_equal(kit.fatal_calls, 1);
    assert_int_equal(engine_term(kit.engine), 1);
    kit_close(&kit);
}

/* ---- backups -------------------------------------------------------------------------------- */

/* The store as it is, but for copies: each of the first steps of one, which are as small as they
 * can be, waits until one more commit has come in between. So what a test does while a copy is made
 * is done while it is made, however the threads happen to run. One thread uses it. */
static struct {
    struct store_port real;
    unsigned steps, held_steps, commits; /* since the copy began */
} patient;

#define NEVER_WHOLE UINT32_MAX /* a copy whose steps wait for ever */

static bool patient_begin(struct store *self, struct err *err)
{
    patient.steps = patient.commits = 0;
    return patient.real.backup_begin(self, err);
}

static enum store_result patient_commit(struct store *self, const struct store_batch *batch,
                                        struct err *err)
{
    patient.commits++;
    return patient.real.commit(self, batch, err);
}

static enum store_backup patient_step(struct store *self, unsigned budget_ms, int *ret_file,
                                      struct err *err)
{
    bool is_held = patient.steps < patient.held_steps;
    if (is_held && (patient.held_steps == NEVER_WHOLE || patient.commits <= patient.steps)) {
        usleep(100);
        return STORE_BACKUP_MORE;
    }
    patient.steps++;
    return patient.real.backup_step(self, is_held ? 0 : budget_ms, ret_file, err);
}

static struct store_port make_patient(const struct store_port *store, unsigned held_steps)
{
    struct store_port port = *store;
    patient.real = *store;
    patient.held_steps = held_steps;
    port.backup_begin = patient_begin;
    port.backup_step = patient_step;
    port.commit = patient_commit;
    return port;
}

/* An engine on SQLite with its thread. */
struct disk_kit {
    struct kit kit;
    char directory[200], copy[220];
    atomic_uint rings;
};

struct kit_backup {
    struct engine_backup backup;
    unsigned calls;
};

static void note_backup(struct engine_backup *backup)
{
    ((struct kit_backup *)backup)->calls++;
}

static void ring(void *ctx)
{
    struct disk_kit *disk = ctx;
    disk->rings++;
}

static void die(void *ctx, const struct err *why)
{
    (void)ctx;
    fail_msg("%s", why->text);
}

static int64_t disk_now(void *self)
{
    return ((struct disk_kit *)self)->kit.now;
}

static void drop_log(void *self, enum log_level level, const char *message,
                     const struct log_field *fields)
{
    (void)self, (void)level, (void)message, (void)fields;
}

static void disk_open(struct disk_kit *disk, unsigned held_steps)
{
    struct store_port store;
    struct err err = { 0 };
    struct clock_port clock = { .now_ms = disk_now, .self = disk };
    struct log_port log = { .write = drop_log };
    disk->kit.options = (struct engine_options){ .fleet = fleet_settings_default,
                                                 .reconcile_interval_ms = 1000,
                                                 .events_kept = 100000,
                                                 .events_kept_ms = 7ll * 24 * 3600 * 1000,
                                                 .ring = ring,
                                                 .fatal = die,
                                                 .ctx = disk };
    disk->kit.now = KIT_START;
    const char *below = getenv("TMPDIR");
    snprintf(disk->directory, sizeof disk->directory, "%s/dides-engine-XXXXXX",
             below ? below : P_tmpdir);
    assert_non_null(mkdtemp(disk->directory));
    snprintf(disk->copy, sizeof disk->copy, "%s/copy", disk->directory);
    if (!store_sqlite_open(&store, disk->directory, NULL, &err))
        fail_msg("%s", err.text);
    store = make_patient(&store, held_steps);
    if (!engine_new(&disk->kit.options, &store, &clock, &log, &disk->kit.engine, &err))
        fail_msg("%s", err.text);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void disk_close(struct disk_kit *disk)
{
    engine_free(disk->kit.engine);
    nftw(disk->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void register_many(struct disk_kit *disk, unsigned first, unsigned count)
{
    char name[32];
    for (unsigned i = first; i < first + count; i++) {
        snprintf(name, sizeof name, "web-%05u", i);
        kit_instance(&disk->kit, name, "1.0.0");
    }
}

static void settle(struct disk_kit *disk)
{
    while (engine_round_of_all(disk->kit.engine) != 0) {
        kit_turn(&disk->kit);
        usleep(200);
    }
}

static void save(int file, const char *path)
{
    char space[65536];
    ssize_t got;
    FILE *to = fopen(path, "wbe");
    assert_non_null(to);
    while ((got = read(file, space, sizeof space)) > 0)
        assert_int_equal(fwrite(space, 1, (size_t)got, to), got);
    fclose(to);
    close(file);
}

static void test_commits_go_on_while_a_backup_is_made(void **unused)
{
    (void)unused;
    struct disk_kit disk = { .rings = 0 };
    struct kit_backup backup = { .backup.done = note_backup };
    struct store_sqlite_facts facts;
    struct err err = { 0 };
    disk_open(&disk, 3);
    register_many(&disk, 0, 20000);
    settle(&disk);
    assert_true(engine_backup(disk.kit.engine, &backup.backup, &err));

    unsigned registered = 20000;
    while (backup.calls == 0) {
        register_many(&disk, registered++, 1);
        kit_turn(&disk.kit);
        usleep(100);
    }

    assert_true(backup.backup.job.succeeded);
    save(backup.backup.job.file, disk.copy);
    if (!store_sqlite_verify(disk.copy, &facts, &err))
        fail_msg("%s", err.text);
    assert_true(facts.rows >= 20000);
    settle(&disk);
    disk_close(&disk);
    assert_true(patient.steps > 3 && patient.commits >= 3);
}

static void test_a_second_backup_is_refused_while_one_is_made(void **unused)
{
    (void)unused;
    struct disk_kit disk = { .rings = 0 };
    struct kit_backup first = { .backup.done = note_backup };
    struct kit_backup second = { .backup.done = note_backup };
    struct err err = { 0 };
    disk_open(&disk, 0);
    assert_true(engine_backup(disk.kit.engine, &first.backup, &err));

    assert_false(engine_backup(disk.kit.engine, &second.backup, &err));

    assert_int_equal(err.code, ERR_UNAVAILABLE);
    while (first.calls == 0) {
        engine_poll(disk.kit.engine);
        usleep(200);
    }
    assert_int_equal(second.calls, 0);
    close(first.backup.job.file);
    disk_close(&disk);
}

static void test_a_backup_that_nobody_wants_ends_early(void **unused)
{
    (void)unused;
    struct disk_kit disk = { .rings = 0 };
    struct kit_backup backup = { .backup.done = note_backup };
    struct err err = { 0 };
    disk_open(&disk, NEVER_WHOLE);
    register_many(&disk, 0, 20000);
    settle(&disk);
    assert_true(engine_backup(disk.kit.engine, &backup.backup, &err));

    engine_backup_cancel(disk.kit.engine, &backup.backup);

    while (backup.calls == 0) {
        engine_poll(disk.kit.engine);
        usleep(200);
    }
    assert_false(backup.backup.job.succeeded);
    assert_int_equal(backup.backup.job.err.code, ERR_UNAVAILABLE);
    char left[240];
    snprintf(left, sizeof left, "%s/backup.tmp", disk.directory);
    assert_int_equal(access(left, F_OK), -1);
    disk_close(&disk);
}

static void test_the_end_of_the_engine_ends_a_backup(void **unused)
{
    (void)unused;
    struct disk_kit disk = { .rings = 0 };
    struct kit_backup backup = { .backup.done = note_backup };
    struct err err = { 0 };
    disk_open(&disk, NEVER_WHOLE);
    register_many(&disk, 0, 20000);
    settle(&disk);
    assert_true(engine_backup(disk.kit.engine, &backup.backup, &err));

    disk_close(&disk);

    assert_int_equal(backup.calls, 1);
    assert_false(backup.backup.job.succeeded);
}

static void test_a_store_without_files_has_no_backup(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_backup backup = { .backup.done = note_backup };
    struct err err = { 0 };
    kit_open(&kit);
    assert_true(engine_backup(kit.engine, &backup.backup, &err));

    engine_poll(kit.engine);

    assert_int_equal(backup.calls, 1);
    assert_false(backup.backup.job.succeeded);
    assert_int_equal(backup.backup.job.err.code, ERR_NOT_SUPPORTED);
    kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_agent_that_knows_what_the_server_gave_holds_nothing),
        cmocka_unit_test(test_an_agent_that_knows_a_higher_generation_holds_the_engine),
        cmocka_unit_test(test_an_agent_that_knows_a_higher_term_holds_the_engine),
        cmocka_unit_test(test_a_higher_generation_of_a_lower_term_is_what_a_restore_leaves),
        cmocka_unit_test(test_an_instance_that_was_registered_since_proves_nothing),
        cmocka_unit_test(test_a_confirmed_engine_goes_on_under_a_term_above_all_that_was_seen),
        cmocka_unit_test(test_there_is_nothing_to_confirm_unless_the_engine_is_held),
        cmocka_unit_test(test_a_confirmation_that_is_not_durable_changes_nothing),
        cmocka_unit_test(test_commits_go_on_while_a_backup_is_made),
        cmocka_unit_test(test_a_second_backup_is_refused_while_one_is_made),
        cmocka_unit_test(test_a_backup_that_nobody_wants_ends_early),
        cmocka_unit_test(test_the_end_of_the_engine_ends_a_backup),
        cmocka_unit_test(test_a_store_without_files_has_no_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
