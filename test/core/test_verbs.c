/* SPDX-License-Identifier: Apache-2.0
 * test_verbs.c - what operators do to rollouts: pause, resume, abort, retry; and what time without
 * a server does (spec of rollouts, K7, 4.1, 4.3). */
#include "core/story.h"

#include "base/suite.h"

/* ---- pause and resume (K7, 4.1) ------------------------------------------------------------- */

static void test_a_pause_picks_nothing_and_lets_members_finish(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    story_verb(s, r, VERB_PAUSE);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    assert_tally(r, 2, 0, 1, 0);
    assert_true(story_waits(s, r, WAITING_PAUSED));
    story_verb(s, r, VERB_RESUME);
    assert_tally(r, 1, 1, 1, 0);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_RESUMED), 1);
}

static void test_deadlines_stand_still_while_paused(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    story_wait(s, 4 * MINUTE);
    story_verb(s, r, VERB_PAUSE);
    story_wait(s, 3 * HOUR);
    assert_tally(r, 0, 1, 0, 0);

    story_verb(s, r, VERB_RESUME);
    story_wait(s, 6 * MINUTE - SECOND);
    assert_tally(r, 0, 1, 0, 0);
    story_wait(s, SECOND);

    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_a_health_deadline_that_begins_in_a_pause_runs_after_it(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    config.instance_deadline_ms = 0;
    struct rollout *r = story_one(s, &config);
    story_verb(s, r, VERB_PAUSE);
    story_wait(s, HOUR);
    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED);
    story_wait(s, HOUR);
    story_verb(s, r, VERB_RESUME);

    story_wait(s, 5 * MINUTE - SECOND);
    assert_tally(r, 0, 1, 0, 0);
    story_wait(s, SECOND);
    assert_tally(r, 0, 0, 0, 1);
}

static void test_leftovers_stand_still_while_paused(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_leftovers(s, rollout_config_default);
    story_wait(s, 4 * MINUTE);
    story_verb(s, r, VERB_PAUSE);
    story_wait(s, HOUR);
    story_verb(s, r, VERB_RESUME);

    story_wait(s, 6 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_progress_deadline_stands_still_while_paused(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 3);
    config.progress_deadline_ms = 3 * MINUTE;
    struct rollout *r = story_one(s, &config);
    story_wait(s, MINUTE);
    story_verb(s, r, VERB_PAUSE);
    story_wait(s, HOUR);
    story_verb(s, r, VERB_RESUME);

    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_leftovers_that_paused_a_rollout_get_their_time_again(void **state)
{
    struct story *s = *state;
    struct rollout_config config = rollout_config_default;
    config.on_leftover = ON_LEFTOVER_FAIL;
    config.on_failure = ON_FAILURE_PAUSE;
    struct rollout *r = story_leftovers(s, config);
    story_wait(s, 10 * MINUTE);
    assert_int_equal(r->state, ROLLOUT_PAUSED);

    story_verb(s, r, VERB_RESUME);

    story_wait(s, 10 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
}

static void test_downtime_does_not_count_for_leftovers(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_leftovers(s, rollout_config_default);
    story_wait(s, 4 * MINUTE);

    story_restart(s, HOUR);

    story_wait(s, 6 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_breach_can_pause_and_its_failures_are_acknowledged_by_resume(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    config.on_failure = ON_FAILURE_PAUSE;
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    assert_tally(r, 3, 0, 0, 1);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_PAUSED), 1);
    story_verb(s, r, VERB_RESUME);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_tally(r, 2, 1, 0, 1);
    assert_int_equal(rollout_tally(r)->acknowledged, 1);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
}

static void test_a_manual_pause_acknowledges_nothing(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 2);
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_verb(s, r, VERB_PAUSE);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);

    story_verb(s, r, VERB_RESUME);

    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_downtime_does_not_count_towards_deadlines(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    story_wait(s, 4 * MINUTE);
    story_restart(s, HOUR);

    story_wait(s, 6 * MINUTE - SECOND);
    assert_tally(r, 0, 1, 0, 0);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_FAILED);
}

/* ---- verbs (4.3) ---------------------------------------------------------------------------- */

static void test_verbs_answer_as_their_table_says(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    assert_int_equal(story_try_verb(s, r, VERB_RESUME), ERR_NONE);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_NOTHING_TO_PROMOTE);
    assert_int_equal(story_try_verb(s, r, VERB_RETRY), ERR_NOTHING_TO_RETRY);
    assert_int_equal(story_try_verb(s, r, VERB_PAUSE), ERR_NONE);
    uint64_t before = story_hash(s);
    assert_int_equal(story_try_verb(s, r, VERB_PAUSE), ERR_NONE);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_REFUSED);
    assert_int_equal(story_try_verb(s, r, VERB_RETRY), ERR_NOTHING_TO_RETRY);
    assert_true(story_hash(s) == before);
    assert_int_equal(story_try_verb(s, r, VERB_ABORT), ERR_NONE);
    before = story_hash(s);
    assert_int_equal(story_try_verb(s, r, VERB_ABORT), ERR_NONE); /* it is aborted already */
    assert_int_equal(story_try_verb(s, r, VERB_PAUSE), ERR_REFUSED);
    assert_int_equal(story_try_verb(s, r, VERB_RESUME), ERR_REFUSED);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_REFUSED);
    assert_true(story_hash(s) == before);
}

static void test_a_completed_rollout_refuses_all_but_what_makes_a_new_one(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    uint64_t before = story_hash(s);

    assert_int_equal(story_try_verb(s, r, VERB_PAUSE), ERR_REFUSED);
    assert_int_equal(story_try_verb(s, r, VERB_RESUME), ERR_REFUSED);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_REFUSED);
    assert_int_equal(story_try_verb(s, r, VERB_ABORT), ERR_REFUSED);
    assert_int_equal(story_try_verb(s, r, VERB_RETRY), ERR_NOTHING_TO_RETRY);
    assert_true(story_hash(s) == before);
}

static void test_an_abort_withdraws_what_is_not_fulfilled(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(3, 5);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    story_verb(s, r, VERB_ABORT);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_ABORTED);
    assert_string_equal(story_wish(s, "web-01"), "2/b");
    assert_string_equal(story_wish(s, "web-02"), "1/a");
    assert_string_equal(story_wish(s, "web-03"), "1/a");
    assert_int_equal(s->fleet.tally.in_progress, 0);
}

static void test_an_abort_takes_half_an_update_back_as_a_whole(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    story_say(s, "web-01", "2/a", INSTANCE_UNKNOWN);

    story_verb(s, r, VERB_ABORT);

    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_an_abort_withdraws_wishes_of_members_that_wait_for_another_attempt(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(3, 5);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_verb(s, r, VERB_PAUSE);
    story_verb(s, r, VERB_RETRY);
    assert_int_equal(story_member(s, "web-01"), MEMBER_PENDING);

    story_verb(s, r, VERB_ABORT);

    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_an_abort_can_let_members_in_flight_finish(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    struct verb_command command = { .verb = VERB_ABORT, .finish_in_flight = true };
    struct rollout *same;

    story_command(s);
    assert_true(fleet_verb(&s->fleet, r, &command, &same, NULL, &s->err));
    story_done(s);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_string_equal(story_wish(s, "web-01"), "2/b");
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
}

static void test_a_retry_gives_failed_members_another_attempt(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);

    story_verb(s, r, VERB_RETRY);

    assert_tally(r, 0, 2, 0, 0);
    assert_int_equal(story_instance(s, "web-01")->assignment.attempt, 2);
    assert_int_equal(story_instance(s, "web-01")->generation, 2); /* another order, the same wish */
    assert_int_equal(story_instance(s, "web-01")->assignment.cause, CAUSE_NONE);
    assert_int_equal(story_instance(s, "web-01")->trail_count, 1);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_RETRIED), 1);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED); /* it was FAILED when picked again */
    assert_tally(r, 0, 2, 0, 0);
}

static void test_another_attempt_gets_its_own_health_deadline(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    config.instance_deadline_ms = 0;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED);
    story_wait(s, 5 * MINUTE);
    assert_int_equal(story_member(s, "web-01"), MEMBER_FAILED);

    story_verb(s, r, VERB_RETRY);

    assert_int_equal(story_member(s, "web-01"), MEMBER_IN_PROGRESS);
    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED);
    story_wait(s, 5 * MINUTE - SECOND);
    assert_int_equal(story_member(s, "web-01"), MEMBER_IN_PROGRESS);
    story_wait(s, SECOND);
    assert_int_equal(story_member(s, "web-01"), MEMBER_FAILED);
}

static void test_a_failed_member_that_says_the_same_after_its_return_may_complete(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    config.min_healthy_ms = 5 * MINUTE;
    story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_silence(s, "web-01");
    story_wait(s, 6 * MINUTE);
    assert_int_equal(story_member(s, "web-01"), MEMBER_FAILED);

    story_register(s, "web-01", NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_wait(s, 5 * MINUTE);

    assert_int_equal(story_member(s, "web-01"), MEMBER_COMPLETED);
}

static void test_what_failed_otherwise_cannot_be_aborted(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = story_one(s, &config);
    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_FAILED);

    assert_int_equal(story_try_verb(s, r, VERB_ABORT), ERR_REFUSED);
}

static void test_a_retry_of_an_ended_rollout_is_a_new_one(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    struct rollout_config config = story_config(2, 1);
    struct rollout *r = story_deploy(s, "env=prod", "2/b", &config);
    story_verb(s, r, VERB_ABORT);

    struct rollout *again = story_verb(s, r, VERB_RETRY);

    assert_ptr_not_equal(again, r);
    assert_int_equal(again->retry_of, r->number);
    assert_int_equal(again->config.batch_size.value, 2);
    assert_tally(again, 0, 2, 0, 0);
    assert_string_equal(story_wish(s, "web-01"), "2/b");
}

static void test_in_manual_mode_only_verbs_triggers_and_progress_decide(void **state)
{
    struct story *s = *state;
    s->fleet.settings.is_manual = true;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_pass(s, MINUTE);
    assert_tally(r, 2, 0, 1, 0);

    story_command(s);
    assert_true(fleet_progress(&s->fleet, r, &s->err));
    story_done(s);
    assert_tally(r, 1, 1, 1, 0);

    story_verb(s, r, VERB_PAUSE);
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
    story_verb(s, r, VERB_RESUME);
    assert_tally(r, 0, 1, 2, 0);
}

static void test_only_results_outlive_a_rollout_in_what_clients_see(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-02", "2/b", INSTANCE_FAILED);
    assert_int_equal(fleet_update_state(&s->fleet, story_instance(s, "web-03")),
                     MEMBER_IN_PROGRESS);

    story_verb(s, r, VERB_ABORT);

    assert_int_equal(fleet_update_state(&s->fleet, story_instance(s, "web-01")), MEMBER_COMPLETED);
    assert_int_equal(fleet_update_state(&s->fleet, story_instance(s, "web-02")), MEMBER_FAILED);
    assert_int_equal(fleet_update_state(&s->fleet, story_instance(s, "web-03")), MEMBER_NONE);
}

static void test_waiting_reasons_and_verbs_have_words(void **state)
{
    (void)state;

    assert_string_equal(waiting_word(WAITING_BATCH_FULL), "batch_full");
    assert_string_equal(waiting_word(WAITING_MIN_HEALTHY), "min_healthy_time");
    assert_string_equal(waiting_word(WAITING_REASON_COUNT), "?");
    assert_string_equal(waiting_meaning(WAITING_REASON_COUNT), "?");
    assert_non_null(waiting_meaning(WAITING_STORE));
    assert_string_equal(verb_word(VERB_ROLLBACK), "rollback");
    assert_string_equal(verb_word(VERB_COUNT), "?");
    assert_non_null(verb_meaning(VERB_PAUSE));
    assert_string_equal(change_word(CHANGE_ROLLBACK_STARTED), "rollback.started");
    assert_string_equal(change_word(CHANGE_TYPE_COUNT), "?");
}

static void test_a_rollout_says_until_when_it_waits_at_the_latest(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    config.min_healthy_ms = MINUTE;
    int64_t begun = s->now;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_pass(s, 10 * SECOND);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    struct waiting list[WAITING_REASON_COUNT];

    size_t count = waiting_list(&s->fleet, r, list);

    assert_int_equal(count, 2);
    assert_int_equal(list[0].reason, WAITING_BATCH_FULL);
    assert_int_equal(list[0].since, begun);
    assert_int_equal(list[0].count, 2);
    assert_int_equal(list[0].limit, 2);
    assert_int_equal(list[1].reason, WAITING_MIN_HEALTHY);
    assert_int_equal(list[1].since, s->now);
    assert_int_equal(list[1].until, s->now + MINUTE);
    assert_int_equal(list[1].count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_pause_picks_nothing_and_lets_members_finish),
        STORY(test_deadlines_stand_still_while_paused),
        STORY(test_a_health_deadline_that_begins_in_a_pause_runs_after_it),
        STORY(test_leftovers_stand_still_while_paused),
        STORY(test_a_progress_deadline_stands_still_while_paused),
        STORY(test_leftovers_that_paused_a_rollout_get_their_time_again),
        STORY(test_downtime_does_not_count_for_leftovers),
        STORY(test_a_breach_can_pause_and_its_failures_are_acknowledged_by_resume),
        STORY(test_a_manual_pause_acknowledges_nothing),
        STORY(test_downtime_does_not_count_towards_deadlines),
        STORY(test_verbs_answer_as_their_table_says),
        STORY(test_a_completed_rollout_refuses_all_but_what_makes_a_new_one),
        STORY(test_an_abort_withdraws_what_is_not_fulfilled),
        STORY(test_an_abort_takes_half_an_update_back_as_a_whole),
        STORY(test_an_abort_withdraws_wishes_of_members_that_wait_for_another_attempt),
        STORY(test_an_abort_can_let_members_in_flight_finish),
        STORY(test_a_retry_gives_failed_members_another_attempt),
        STORY(test_another_attempt_gets_its_own_health_deadline),
        STORY(test_a_failed_member_that_says_the_same_after_its_return_may_complete),
        STORY(test_what_failed_otherwise_cannot_be_aborted),
        STORY(test_a_retry_of_an_ended_rollout_is_a_new_one),
        STORY(test_only_results_outlive_a_rollout_in_what_clients_see),
        cmocka_unit_test(test_waiting_reasons_and_verbs_have_words),
        STORY(test_a_rollout_says_until_when_it_waits_at_the_latest),
        STORY(test_in_manual_mode_only_verbs_triggers_and_progress_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
