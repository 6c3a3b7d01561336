/* SPDX-License-Identifier: Apache-2.0
 * test_memory.c - every request for memory fails in turn. A command then either succeeds or says
 * ERR_MEMORY and has changed nothing; and nothing leaks (FS11 of the reliability guide). */
#include "core/story.h"

#include "base/suite.h"

#include <stdlib.h>

/* A command to be tried on a fleet that `before` made; false: refused, *err says why. */
struct trial {
    void (*before)(struct story *s);
    bool (*command)(struct story *s, struct err *err);
};

/* Fails the n-th request, with `on` all after it too. Returns whether one failed. */
static bool try_with(const struct trial *trial, size_t n, bool on)
{
    struct story *s = story_new(NULL, 7);
    trial->before(s);
    char *before = story_dump(s);
    story_command(s);
    faulty_memory_fail(&s->memory, n, on);

    bool succeeded = trial->command(s, &s->err);

    bool has_failed = s->memory.failures > 0;
    faulty_memory_fail(&s->memory, 0, false);
    assert_true(succeeded || s->err.code == ERR_MEMORY);
    assert_true(succeeded || has_failed);
    if (!succeeded) {
        char *after = story_dump(s);
        story_assert_same(before, after);
        free(after);
    }
    story_done(s);
    /* What had no memory goes on later: the next tick decides. */
    s->now += SECOND;
    story_tick(s);
    if (!succeeded)
        assert_true(trial->command(s, &s->err));
    free(before);
    story_free(s);
    return has_failed;
}

static void try_all(const struct trial *trial)
{
    for (int on = 0; on < 2; on++) {
        size_t n = 1;
        while (try_with(trial, n, on))
            n++;
        assert_true(n > 1); /* the command asks for memory at all */
    }
}

/* ---- the fleets ----------------------------------------------------------------------------- */

static void nobody(struct story *s)
{
    (void)s;
}

static void some(struct story *s)
{
    story_fleet(s, 6, "env=prod", "1/a");
    story_say(s, "web-06", "1/a", INSTANCE_FAILED);
}

/* The log of the round becomes as full as it gets without growing. */
static void fill_the_log(struct story *s)
{
    s->keeps_rounds_open = true;
    for (unsigned i = 0; s->fleet.undo_capacity - s->fleet.undo_count > 2; i++) {
        char name[] = { 'x', (char)('a' + i / 26), (char)('a' + i % 26), 0 };
        story_register(s, name, "env=dev");
    }
}

static void some_with_a_full_log(struct story *s)
{
    some(s);
    fill_the_log(s);
}

static void one_away(struct story *s)
{
    some(s);
    struct rollout_config config = story_config(2, 1);
    story_deploy(s, "env=prod", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
}

static void paused_with_failures(struct story *s)
{
    some(s);
    struct rollout_config config = story_config(3, 2);
    config.on_failure = ON_FAILURE_PAUSE;
    struct rollout *r = story_deploy(s, "env=prod", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    story_say(s, "web-02", "2/b", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
}

static void one_away_with_a_full_log(struct story *s)
{
    one_away(s);
    fill_the_log(s);
}

static void paused_with_a_full_log(struct story *s)
{
    paused_with_failures(s);
    fill_the_log(s);
}

static void ended(struct story *s)
{
    one_away(s);
    story_verb(s, story_newest(s), VERB_ABORT);
}

static void due(struct story *s)
{
    one_away(s);
    story_wait(s, 10 * MINUTE - SECOND); /* heard all the time: silence alone fails nobody */
    s->now += SECOND;
}

/* ---- the commands --------------------------------------------------------------------------- */

static bool registers(struct story *s, struct err *err)
{
    struct label_change labels[] = { { TEXT("env"), TEXT("prod"), false },
                                     { TEXT("new"), TEXT("label"), false } };
    struct register_command command = {
        .name = TEXT("new"),
        .ip = TEXT("10.0.0.1"),
        .labels = labels,
        .label_count = 2,
        .has_labels = true,
    };
    struct register_result result;
    return fleet_register(&s->fleet, &command, &result, err);
}

static bool registers_again(struct story *s, struct err *err)
{
    struct label_change labels[] = { { TEXT("env"), TEXT("never seen"), false } };
    struct register_command command = {
        .name = TEXT("web-03"),
        .ip = TEXT("10.0.0.3"),
        .labels = labels,
        .label_count = 1,
        .has_labels = true,
    };
    struct register_result result;
    return fleet_register(&s->fleet, &command, &result, err);
}

static bool hears(struct story *s, const char *name, enum instance_state status, struct err *err)
{
    struct label_change labels[] = { { TEXT("env"), TEXT("prod"), false },
                                     { TEXT("seen"), TEXT("now"), false } };
    struct heartbeat_command command = {
        .has_code = true,
        .code = TEXT("7"),
        .has_config = true,
        .config = TEXT("g"),
        .has_message = true,
        .message = TEXT("oh no"),
        .has_status = true,
        .status = (uint8_t)status,
        .labels = labels,
        .label_count = 2,
    };
    struct heartbeat_result result;
    return fleet_heartbeat(&s->fleet, fleet_find(&s->fleet, text_from(name)), &command, &result,
                           err);
}

static bool hears_success(struct story *s, struct err *err)
{
    return hears(s, "web-02", INSTANCE_HEALTHY, err);
}

/* The last straw: the rollout fails and is rolled back. */
static bool hears_failure(struct story *s, struct err *err)
{
    return hears(s, "web-02", INSTANCE_FAILED, err);
}

static bool deletes(struct story *s, struct err *err)
{
    uint32_t slot = fleet_find(&s->fleet, TEXT("web-02"));
    return fleet_delete(&s->fleet, slot, err);
}

static bool deploys(struct story *s, struct err *err)
{
    struct rollout_config config = story_config(3, 1);
    struct deploy_command command = story_request(s, "env in (prod,dev)", "8/h", &config);
    return fleet_deploy(&s->fleet, &command, NULL, err) != NULL;
}

static bool rolls_back(struct story *s, struct err *err)
{
    struct rollback_command command = { .has_selector = true, .reason = TEXT("back") };
    command.selector = story_request(s, "env=prod", "1/a", NULL).selector;
    return fleet_rollback(&s->fleet, &command, NULL, err) != NULL;
}

static bool does(struct story *s, enum verb verb, struct err *err)
{
    struct verb_command command = { .verb = verb };
    struct rollout *result;
    return fleet_verb(&s->fleet, story_newest(s), &command, &result, NULL, err);
}

static bool aborts(struct story *s, struct err *err)
{
    return does(s, VERB_ABORT, err);
}

static bool resumes(struct story *s, struct err *err)
{
    return does(s, VERB_RESUME, err);
}

static bool retries(struct story *s, struct err *err)
{
    return does(s, VERB_RETRY, err);
}

static bool ticks(struct story *s, struct err *err)
{
    fleet_tick(&s->fleet, err);
    return err->code == ERR_NONE;
}

/* ---- the tests ------------------------------------------------------------------------------ */

#define TRIAL(name, fleet, what)                                                                   \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        try_all(&(struct trial){ fleet, what });                                                   \
    }

TRIAL(test_a_first_registration_without_memory, nobody, registers)
TRIAL(test_a_registration_that_joins_without_memory, one_away, registers)
TRIAL(test_a_registration_that_relabels_without_memory, one_away, registers_again)
TRIAL(test_a_heartbeat_without_memory, one_away, hears_success)
TRIAL(test_a_breach_and_its_rollback_without_memory, one_away, hears_failure)
TRIAL(test_a_deploy_without_memory, some, deploys)
TRIAL(test_a_deploy_behind_a_full_log_without_memory, some_with_a_full_log, deploys)
TRIAL(test_a_rollback_of_a_live_rollout_without_memory, one_away, rolls_back)
TRIAL(test_a_rollback_of_an_ended_rollout_without_memory, ended, rolls_back)
TRIAL(test_a_retry_of_an_ended_rollout_without_memory, ended, retries)

TRIAL(test_an_abort_without_memory, one_away_with_a_full_log, aborts)
TRIAL(test_a_resume_without_memory, paused_with_a_full_log, resumes)
TRIAL(test_a_retry_without_memory, paused_with_a_full_log, retries)
TRIAL(test_a_deletion_without_memory, one_away_with_a_full_log, deletes)

/* Commands that find room enough in what was reserved before. */
static void test_small_commands_without_memory(void **state)
{
    (void)state;
    static const struct trial trials[] = {
        { one_away, deletes },
        { one_away, aborts },
        { paused_with_failures, resumes },
        { paused_with_failures, retries },
        { paused_with_failures, aborts },
    };

    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++)
        for (size_t n = 1; try_with(&trials[i], n, true); n++)
            ;
}

/* A tick may do a part; the rest comes when there is memory. */
static void test_a_tick_without_memory_goes_on_later(void **state)
{
    (void)state;
    bool has_failed = true;

    for (size_t n = 1; has_failed; n++) {
        struct story *s = story_new(NULL, 7);
        due(s);
        s->keeps_rounds_open = true;
        story_command(s);
        faulty_memory_fail(&s->memory, n, true);
        bool ticked = ticks(s, &s->err);
        has_failed = s->memory.failures > 0;
        faulty_memory_fail(&s->memory, 0, false);
        assert_true(ticked || s->err.code == ERR_MEMORY);
        story_check(s);
        story_tick(s);
        assert_int_equal(fleet_rollout(&s->fleet, 1)->state, ROLLOUT_FAILED);
        story_free(s);
    }
}

static void test_an_empty_fleet_without_memory(void **state)
{
    (void)state;
    struct faulty_memory memory;
    struct fleet fleet;
    struct err err = { .code = ERR_NONE };
    faulty_memory_init(&memory);
    bool begun = false;

    for (size_t n = 1; !begun; n++) {
        faulty_memory_fail(&memory, n, false);
        size_t failures = memory.failures;
        begun = fleet_init(&fleet, &memory.memory, &fleet_settings_default, 1, &err);
        assert_int_equal(begun, memory.failures == failures);
        assert_true(begun || memory.blocks == 0);
    }

    fleet_release(&fleet);
    assert_int_equal(memory.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_first_registration_without_memory),
        cmocka_unit_test(test_a_registration_that_joins_without_memory),
        cmocka_unit_test(test_a_registration_that_relabels_without_memory),
        cmocka_unit_test(test_a_heartbeat_without_memory),
        cmocka_unit_test(test_a_breach_and_its_rollback_without_memory),
        cmocka_unit_test(test_a_deploy_without_memory),
        cmocka_unit_test(test_a_deploy_behind_a_full_log_without_memory),
        cmocka_unit_test(test_a_rollback_of_a_live_rollout_without_memory),
        cmocka_unit_test(test_a_rollback_of_an_ended_rollout_without_memory),
        cmocka_unit_test(test_a_retry_of_an_ended_rollout_without_memory),
        cmocka_unit_test(test_an_abort_without_memory),
        cmocka_unit_test(test_a_resume_without_memory),
        cmocka_unit_test(test_a_retry_without_memory),
        cmocka_unit_test(test_a_deletion_without_memory),
        cmocka_unit_test(test_small_commands_without_memory),
        cmocka_unit_test(test_a_tick_without_memory_goes_on_later),
        cmocka_unit_test(test_an_empty_fleet_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
