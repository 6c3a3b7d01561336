/* SPDX-License-Identifier: Apache-2.0
 * test_progress.c - health, deadlines and leftovers (spec of rollouts, 5.2, 5.3, 6.2). */
#include "core/story.h"

#include "base/suite.h"

/* ---- health and deadlines ------------------------------------------------------------------- */

static void test_a_report_of_an_older_order_decides_nothing_in_flight(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    struct rollout *r = story_one(s, &config);

    story_say_late(s, "web-01", "1/a", INSTANCE_FAILED);

    assert_tally(r, 0, 1, 0, 0);
    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_FAILED); /* it is kept */
    story_say_late(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_tally(r, 0, 1, 0, 0);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_min_healthy_time_completes_by_timer(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.min_healthy_ms = 30 * SECOND;
    struct rollout *r = story_one(s, &config);

    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_tally(r, 0, 1, 0, 0);
    assert_int_equal(rollout_tally(r)->settling, 1);
    story_pass(s, 30 * SECOND - 1);
    assert_tally(r, 0, 1, 0, 0);
    story_pass(s, 1);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->ended_at, s->now);
}

static void test_a_degraded_report_starts_min_healthy_time_anew(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.min_healthy_ms = 30 * SECOND;
    struct rollout *r = story_one(s, &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_pass(s, 29 * SECOND);

    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    story_pass(s, 29 * SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_pass(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_degraded_member_keeps_its_slot_until_its_health_deadline(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_wait(s, MINUTE);

    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED);
    story_wait(s, 5 * MINUTE - SECOND);
    assert_tally(r, 1, 1, 0, 0);
    story_wait(s, SECOND);

    assert_tally(r, 0, 1, 0, 1);
    assert_int_equal(story_instance(s, "web-01")->assignment.cause, CAUSE_UNHEALTHY);
}

static void test_a_silent_member_fails_at_its_instance_deadline(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_silence(s, "web-01");

    story_wait(s, 10 * MINUTE - 1);
    assert_tally(r, 1, 1, 0, 0);
    assert_true(story_waits(s, r, WAITING_BATCH_FULL));
    story_wait(s, 1);

    assert_tally(r, 0, 1, 0, 1);
    assert_int_equal(story_instance(s, "web-01")->assignment.cause, CAUSE_TIMEOUT);
}

static void test_the_earlier_deadline_acts(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    struct rollout *r = story_one(s, &config);
    story_wait(s, 6 * MINUTE);

    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED); /* health deadline at 11 min */
    story_wait(s, 4 * MINUTE);

    assert_tally(r, 0, 0, 0, 1);
    assert_int_equal(story_instance(s, "web-01")->assignment.cause, CAUSE_TIMEOUT);
}

static void test_deadlines_do_not_act_on_a_healthy_member(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.min_healthy_ms = 30 * MINUTE;
    struct rollout *r = story_one(s, &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    story_wait(s, 30 * MINUTE - SECOND);

    assert_tally(r, 0, 1, 0, 0);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_member_that_dies_while_it_settles_fails_by_its_deadline(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    config.min_healthy_ms = 5 * MINUTE;
    struct rollout *r = story_one(s, &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_silence(s, "web-01");

    story_wait(s, 4 * MINUTE);
    assert_tally(r, 0, 1, 0, 0);
    story_wait(s, 7 * MINUTE);

    assert_tally(r, 0, 0, 0, 1);
}

static void test_an_offline_member_completes_only_by_its_next_heartbeat(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.min_healthy_ms = 4 * MINUTE;
    struct rollout *r = story_one(s, &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    story_pass(s, 4 * MINUTE);
    assert_false(story_is_online(s, "web-01"));
    assert_tally(r, 0, 1, 0, 0);
    story_say(s, "web-01", "", SAME);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_third_version_and_unknown_keep_the_member_in_flight(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);

    story_say(s, "web-01", "9/z", INSTANCE_HEALTHY);
    assert_tally(r, 0, 1, 0, 0);
    story_say(s, "web-01", "2/b", INSTANCE_UNKNOWN);
    assert_tally(r, 0, 1, 0, 0);
    story_say(s, "web-01", "2/z", INSTANCE_HEALTHY);
    assert_tally(r, 0, 1, 0, 0);
}

static void test_a_completed_member_that_fails_or_leaves_the_target_regressed(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(4, 5);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-03", "2/b", INSTANCE_HEALTHY);

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);
    story_say(s, "web-03", "2/b", INSTANCE_DEGRADED);

    assert_tally(r, 0, 1, 1, 2);
    assert_int_equal(story_instance(s, "web-01")->assignment.cause, CAUSE_REGRESSED);
    assert_int_equal(rollout_tally(r)->available, 1); /* DEGRADED is no more, web-04 is in flight */
}

static void test_a_failed_member_that_recovers_completes(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    config.min_healthy_ms = 10 * SECOND;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    assert_tally(r, 0, 1, 0, 1);

    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_tally(r, 0, 1, 0, 1);
    story_pass(s, 10 * SECOND);

    assert_tally(r, 0, 1, 1, 0);
    assert_int_equal(story_instance(s, "web-01")->assignment.cause, CAUSE_NONE);
}

static void test_a_progress_deadline_is_a_breach(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(1, 3);
    config.progress_deadline_ms = 2 * MINUTE;
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_wait(s, MINUTE);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_PROGRESS_DEADLINE);
}

static void test_time_with_nobody_in_flight_is_no_lack_of_progress(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    story_crowd(s);
    struct rollout_config config = story_config(1, 3);
    config.progress_deadline_ms = 3 * MINUTE;
    config.leftover_timeout_ms = HOUR;
    story_silence(s, "web-02");
    struct rollout *r = story_deploy(s, "!crowd", "2/b", &config);
    story_wait(s, 2 * MINUTE);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_wait(s, 20 * MINUTE);

    story_say(s, "web-02", "", SAME);

    assert_tally(r, 0, 1, 1, 0);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, 3 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_members_that_fail_one_after_the_other_are_no_progress(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout_config config = story_config(1, 9);
    config.progress_deadline_ms = 3 * MINUTE;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_wait(s, MINUTE);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_wait(s, MINUTE);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    story_wait(s, MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_PROGRESS_DEADLINE);
}

/* ---- leftovers (P9) ------------------------------------------------------------------------- */

static void test_leftovers_are_accepted_after_their_timeout(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_leftovers(s, rollout_config_default);
    assert_tally(r, 1, 0, 1, 1);
    assert_true(story_waits(s, r, WAITING_OFFLINE));

    story_wait(s, 10 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_PARTIAL);
    assert_int_equal(r->final.failed, 1);
    assert_int_equal(r->final.offline, 1);
}

static void test_leftovers_can_fail_the_rollout(void **state)
{
    struct story *s = *state;
    struct rollout_config config = rollout_config_default;
    config.on_leftover = ON_LEFTOVER_FAIL;
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = story_leftovers(s, config);

    story_wait(s, 10 * MINUTE);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_LEFTOVER);
}

static void test_leftovers_may_recover(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_leftovers(s, rollout_config_default);
    story_wait(s, 5 * MINUTE);

    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
    assert_tally(r, 1, 0, 2, 0);
    story_say(s, "web-03", "", SAME);
    assert_tally(r, 0, 1, 2, 0);
    assert_int_equal(r->leftover_at, 0);
    story_say(s, "web-03", "2/b", INSTANCE_HEALTHY);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
}

static void test_skipped_offline_members_do_not_hold_completion_up(void **state)
{
    struct story *s = *state;
    struct rollout_config config = rollout_config_default;
    config.offline = OFFLINE_SKIP;
    struct rollout *r = story_leftovers(s, config);
    assert_int_equal(r->state, ROLLOUT_RUNNING); /* the failed one may still recover */

    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_PARTIAL);
    assert_int_equal(r->final.pending, 1);
}

/* Among others that are heard: silent like most of a fleet, they would only make it wait. */
static struct rollout *two_silent_members(struct story *s, struct rollout_config config)
{
    story_fleet(s, 2, "", "1/a");
    story_crowd(s);
    story_silence(s, "web-01");
    story_silence(s, "web-02");
    story_wait(s, 100 * SECOND);
    return story_deploy(s, "!crowd", "2/b", &config);
}

static void test_without_any_completed_member_leftovers_are_a_breach(void **state)
{
    struct story *s = *state;
    struct rollout *r = two_silent_members(s, rollout_config_default);
    assert_tally(r, 2, 0, 0, 0);
    assert_true(story_waits(s, r, WAITING_OFFLINE));

    story_wait(s, 10 * MINUTE);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_LEFTOVER);
    assert_true(r->has_no_target);
}

static void test_skipping_offline_members_does_not_wait_for_ever_for_the_first_one(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.offline = OFFLINE_SKIP;
    struct rollout *r = two_silent_members(s, config);

    story_wait(s, 10 * MINUTE);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_LEFTOVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_report_of_an_older_order_decides_nothing_in_flight),
        STORY(test_min_healthy_time_completes_by_timer),
        STORY(test_a_degraded_report_starts_min_healthy_time_anew),
        STORY(test_a_degraded_member_keeps_its_slot_until_its_health_deadline),
        STORY(test_a_silent_member_fails_at_its_instance_deadline),
        STORY(test_the_earlier_deadline_acts),
        STORY(test_deadlines_do_not_act_on_a_healthy_member),
        STORY(test_a_member_that_dies_while_it_settles_fails_by_its_deadline),
        STORY(test_an_offline_member_completes_only_by_its_next_heartbeat),
        STORY(test_a_third_version_and_unknown_keep_the_member_in_flight),
        STORY(test_a_completed_member_that_fails_or_leaves_the_target_regressed),
        STORY(test_a_failed_member_that_recovers_completes),
        STORY(test_a_progress_deadline_is_a_breach),
        STORY(test_time_with_nobody_in_flight_is_no_lack_of_progress),
        STORY(test_members_that_fail_one_after_the_other_are_no_progress),
        STORY(test_leftovers_are_accepted_after_their_timeout),
        STORY(test_leftovers_can_fail_the_rollout),
        STORY(test_leftovers_may_recover),
        STORY(test_skipped_offline_members_do_not_hold_completion_up),
        STORY(test_without_any_completed_member_leftovers_are_a_breach),
        STORY(test_skipping_offline_members_does_not_wait_for_ever_for_the_first_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
