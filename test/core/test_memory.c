/* SPDX-License-Identifier: Apache-2.0
 * test_memory.c - every request for memory fails in turn. A command then either succeeds or says
 * ERR_MEMORY and has changed nothing; and nothing leaks (FS11 of the reliability guide). */
#include "core/story.h"
#include "core/waves.h"

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

/* The same, with no room for the two records that the smallest commands reserve. */
static void fill_the_log_up(struct story *s)
{
    fill_the_log(s);
    story_register(s, "last", "env=dev");
    assert_int_equal(s->fleet.undo_capacity - s->fleet.undo_count, 1);
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

static void one_away_and_no_room(struct story *s)
{
    one_away(s);
    fill_the_log_up(s);
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

static void zoned(struct story *s)
{
    story_crowd(s);
    some(s);
    story_say_labels(s, "web-01", "zone=a,rack=1");
    story_say_labels(s, "web-02", "zone=b,rack=1");
    story_say_labels(s, "web-03", "zone=a");
    story_say_labels(s, "web-04", "zone=c,rack=2");
}

static struct rollout_config in_waves(struct story *s, const char *waves)
{
    struct rollout_config config = story_config(3, 2);
    story_waves(s, &config, waves);
    story_domains(s, &config, "zone max 1; rack max 50% fail 3");
    return config;
}

/* web-01 and web-06 are the first wave, web-06 because it is broken. */
static void waves_begun(struct story *s)
{
    zoned(s);
    struct rollout_config config = in_waves(s, "one 2; two 2; rest");
    story_deploy(s, "env=prod", "7/g", &config);
    story_say(s, "web-01", "7/g", INSTANCE_HEALTHY);
}

static void gate_waits(struct story *s)
{
    zoned(s);
    struct rollout_config config = in_waves(s, "one 2 gate go limit 1; two 2; rest");
    story_deploy(s, "env=prod", "7/g", &config);
    story_say(s, "web-01", "7/g", INSTANCE_HEALTHY);
    story_say(s, "web-06", "7/g", INSTANCE_HEALTHY);
    assert_true(waves_can_promote(story_newest(s)));
}

static void gate_waits_with_a_full_log(struct story *s)
{
    gate_waits(s);
    fill_the_log(s);
}

static void waves_done(struct story *s)
{
    zoned(s);
    struct rollout_config config = in_waves(s, "one 2 soak 60 gate go; two 2 gate go; rest");
    struct rollout *r = story_deploy(s, "env=prod", "7/g", &config);
    story_say_all(s, "web-06 web-01", "7/g", INSTANCE_HEALTHY);
    story_promote(s, r, true);
    story_say_all(s, "web-02 web-03 web-04 web-05", "7/g", INSTANCE_HEALTHY);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

/* Four of seven that are not in flight say nothing any more, and are missed with the next tick. */
static void nearly_frozen(struct story *s)
{
    waves_begun(s);
    story_silence(s, "crowd-1");
    story_silence(s, "crowd-2");
    story_silence(s, "crowd-3");
    story_silence(s, "web-04");
    story_silence(s, "web-05");
    story_wait(s, 89 * SECOND);
    s->now += SECOND;
}

/* Everybody but the members, and the log of the round is full. */
static void nearly_frozen_with_a_full_log(struct story *s)
{
    waves_begun(s);
    fill_the_log(s);
    for (uint32_t slot = 0; slot < s->fleet.slot_count; slot++) {
        struct text name = instance_key(fleet_at(&s->fleet, slot));
        s->is_silent[slot] = !text_starts_with(name, TEXT("web"));
    }
    story_wait(s, 89 * SECOND);
    s->now += SECOND;
}

/* One more return, and the fleet is heard again. */
static void nearly_thawed(struct story *s)
{
    nearly_frozen(s);
    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
    s->now += MINUTE;
    story_say(s, "web-04", "", SAME);
    story_say(s, "web-05", "", SAME);
    assert_true(silence_is_frozen(&s->fleet));
    fill_the_log(s);
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

/* The last one of its wave. */
static bool hears_the_end_of_a_wave(struct story *s, struct err *err)
{
    return hears(s, "web-06", INSTANCE_HEALTHY, err);
}

static bool hears_a_failure_in_a_wave(struct story *s, struct err *err)
{
    struct heartbeat_command worse = { .has_status = true, .status = INSTANCE_FAILED };
    struct heartbeat_result result;
    uint32_t slot = fleet_find(&s->fleet, TEXT("web-01"));
    return fleet_heartbeat(&s->fleet, slot, &worse, &result, err);
}

/* In flight or not, and in a domain that nobody has seen. */
static bool relabels(struct story *s, const char *name, struct err *err)
{
    struct label_change labels[] = { { TEXT("zone"), TEXT("never seen"), false },
                                     { TEXT("rack"), TEXT("neither"), false } };
    struct heartbeat_command command = { .labels = labels, .label_count = 2 };
    struct heartbeat_result result;
    return fleet_heartbeat(&s->fleet, fleet_find(&s->fleet, text_from(name)), &command, &result,
                           err);
}

static bool relabels_one_in_flight(struct story *s, struct err *err)
{
    return relabels(s, "web-06", err);
}

static bool relabels_a_candidate(struct story *s, struct err *err)
{
    return relabels(s, "web-05", err);
}

static bool registers_in_a_new_domain(struct story *s, struct err *err)
{
    struct label_change labels[] = { { TEXT("env"), TEXT("prod"), false },
                                     { TEXT("zone"), TEXT("never seen"), false } };
    struct register_command command = {
        .name = TEXT("new"), .labels = labels, .label_count = 2, .has_labels = true
    };
    struct register_result result;
    return fleet_register(&s->fleet, &command, &result, err);
}

static bool moves_to_a_new_domain(struct story *s, struct err *err)
{
    struct label_change labels[] = { { TEXT("env"), TEXT("prod"), false },
                                     { TEXT("zone"), TEXT("never seen"), false },
                                     { TEXT("rack"), TEXT("neither"), false } };
    struct register_command command = {
        .name = TEXT("web-05"), .labels = labels, .label_count = 3, .has_labels = true
    };
    struct register_result result;
    return fleet_register(&s->fleet, &command, &result, err);
}

static bool hears_one_come_back(struct story *s, struct err *err)
{
    struct heartbeat_command command = { 0 };
    struct heartbeat_result result;
    return fleet_heartbeat(&s->fleet, fleet_find(&s->fleet, TEXT("crowd-1")), &command, &result,
                           err);
}

static bool asks_for_a_session(struct story *s, struct err *err)
{
    struct heartbeat_command command = { .order = HEARTBEAT_ASKS };
    struct heartbeat_result result;
    return fleet_heartbeat(&s->fleet, fleet_find(&s->fleet, TEXT("web-02")), &command, &result,
                           err);
}

static bool stands_still(struct story *s, struct err *err)
{
    return fleet_stand_still(&s->fleet, MINUTE, err);
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

static bool deploys_in_waves(struct story *s, struct err *err)
{
    struct rollout_config config =
        in_waves(s, "one [zone=a] soak 60 gate go; two 20%; three 1 gate go gate on; rest");
    struct deploy_command command = story_request(s, "env=prod", "8/h", &config);
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

static bool promotes(struct story *s, struct err *err)
{
    return does(s, VERB_PROMOTE, err);
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
TRIAL(test_a_deletion_without_memory, one_away_and_no_room, deletes)
TRIAL(test_a_registration_behind_a_full_log_without_memory, one_away_and_no_room, registers)
TRIAL(test_another_registration_behind_a_full_log_without_memory, one_away_and_no_room,
      registers_again)
TRIAL(test_a_registration_in_another_domain_without_memory, waves_begun, moves_to_a_new_domain)
TRIAL(test_a_session_without_memory, one_away_and_no_room, asks_for_a_session)
TRIAL(test_standing_still_without_memory, one_away_and_no_room, stands_still)

TRIAL(test_a_deploy_in_waves_without_memory, zoned, deploys_in_waves)
TRIAL(test_the_end_of_a_wave_without_memory, waves_begun, hears_the_end_of_a_wave)
TRIAL(test_a_joiner_of_a_new_domain_without_memory, waves_begun, registers_in_a_new_domain)
TRIAL(test_a_new_domain_of_one_in_flight_without_memory, waves_begun, relabels_one_in_flight)
TRIAL(test_a_new_domain_of_a_candidate_without_memory, waves_begun, relabels_a_candidate)
TRIAL(test_a_promotion_without_memory, gate_waits_with_a_full_log, promotes)
TRIAL(test_a_slow_rollback_of_waves_without_memory, waves_done, rolls_back)
TRIAL(test_a_rollback_amid_waves_without_memory, gate_waits, rolls_back)
TRIAL(test_a_failure_in_a_wave_without_memory, gate_waits_with_a_full_log,
      hears_a_failure_in_a_wave)
TRIAL(test_a_thaw_without_memory, nearly_thawed, hears_one_come_back)

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
static void tick_without_memory(void (*before)(struct story *s), void (*claim)(struct story *s))
{
    bool has_failed = true;
    size_t failures = 0;
    for (size_t n = 1; has_failed; n++) {
        struct story *s = story_new(NULL, 7);
        before(s);
        s->keeps_rounds_open = true;
        story_command(s);
        faulty_memory_fail(&s->memory, n, true);
        bool ticked = ticks(s, &s->err);
        has_failed = s->memory.failures > 0;
        failures += has_failed ? 1 : 0;
        faulty_memory_fail(&s->memory, 0, false);
        assert_true(ticked || s->err.code == ERR_MEMORY);
        story_check(s);
        story_tick(s);
        claim(s);
        story_free(s);
    }
    assert_true(failures > 0); /* it asks for memory at all */
}

static void claim_failed(struct story *s)
{
    assert_int_equal(fleet_rollout(&s->fleet, 1)->state, ROLLOUT_FAILED);
}

static void test_a_tick_without_memory_goes_on_later(void **state)
{
    (void)state;

    tick_without_memory(due, claim_failed);
}

static void claim_frozen(struct story *s)
{
    assert_true(silence_is_frozen(&s->fleet));
    assert_int_equal(story_newest(s)->stopped_at, s->now);
}

static void test_a_freeze_without_memory_comes_later(void **state)
{
    (void)state;

    tick_without_memory(nearly_frozen_with_a_full_log, claim_frozen);
}

static void claim_thawed(struct story *s)
{
    assert_false(silence_is_frozen(&s->fleet));
    assert_int_equal(story_newest(s)->stopped_at, 0);
}

/* One of those who are missed is deleted: time alone notices that most are heard. */
static void thawed_by_a_deletion(struct story *s)
{
    nearly_thawed(s);
    story_delete(s, "crowd-1");
    assert_true(silence_is_frozen(&s->fleet));
}

static void test_a_thaw_by_time_without_memory_comes_later(void **state)
{
    (void)state;

    tick_without_memory(thawed_by_a_deletion, claim_thawed);
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
        cmocka_unit_test(test_a_registration_behind_a_full_log_without_memory),
        cmocka_unit_test(test_another_registration_behind_a_full_log_without_memory),
        cmocka_unit_test(test_a_registration_in_another_domain_without_memory),
        cmocka_unit_test(test_a_session_without_memory),
        cmocka_unit_test(test_standing_still_without_memory),
        cmocka_unit_test(test_a_deploy_in_waves_without_memory),
        cmocka_unit_test(test_the_end_of_a_wave_without_memory),
        cmocka_unit_test(test_a_joiner_of_a_new_domain_without_memory),
        cmocka_unit_test(test_a_new_domain_of_one_in_flight_without_memory),
        cmocka_unit_test(test_a_new_domain_of_a_candidate_without_memory),
        cmocka_unit_test(test_a_promotion_without_memory),
        cmocka_unit_test(test_a_slow_rollback_of_waves_without_memory),
        cmocka_unit_test(test_a_rollback_amid_waves_without_memory),
        cmocka_unit_test(test_a_failure_in_a_wave_without_memory),
        cmocka_unit_test(test_a_thaw_without_memory),
        cmocka_unit_test(test_a_freeze_without_memory_comes_later),
        cmocka_unit_test(test_a_thaw_by_time_without_memory_comes_later),
        cmocka_unit_test(test_small_commands_without_memory),
        cmocka_unit_test(test_a_tick_without_memory_goes_on_later),
        cmocka_unit_test(test_an_empty_fleet_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
