/* SPDX-License-Identifier: Apache-2.0
 * test_silence.c - most of a fleet falls silent at once: rollouts stand still until it is heard
 * again (R18 of the reliability guide). */
#include "core/place.h"
#include "core/silence_kit.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>

static void updated(struct story *s, const char *names)
{
    story_say_all(s, names, "2/b", INSTANCE_HEALTHY);
}

static struct rollout *frozen(struct story *s)
{
    return frozen_with(s, story_config(1, 5));
}

/* ---- freezing ------------------------------------------------------------------------------- */

static void test_more_than_half_of_those_not_in_flight_freeze_the_fleet(void **state)
{
    struct story *s = *state;
    struct rollout *r = one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 5);

    story_wait(s, TIMEOUT - 1);
    assert_false(silence_is_frozen(&s->fleet));
    s->now += 1;
    story_tick(s);

    assert_true(silence_is_frozen(&s->fleet));
    assert_int_equal(story_changes(s, CHANGE_FLEET_SILENT), 1);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_int_equal(r->stopped_at, s->now);
    assert_int_equal(r->frozen_count, 5);
}

static void test_exactly_half_do_not(void **state)
{
    struct story *s = *state;
    struct rollout *r = one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 4);

    story_wait(s, 5 * TIMEOUT);

    assert_false(silence_is_frozen(&s->fleet));
    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_members_in_flight_do_not_vote(void **state)
{
    struct story *s = *state;
    story_fleet(s, 7, "app=web", "1/a");
    bystanders(s, 3);
    struct rollout_config config = story_config(7, 3);
    struct rollout *r = story_deploy(s, "app=web", "2/b", &config);
    assert_int_equal(rollout_tally(r)->in_progress, 7);
    for (unsigned i = 1; i <= 7; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%02u", i);
        story_silence(s, name);
    }

    story_wait(s, 10 * MINUTE); /* the update killed its own batch */

    assert_int_equal(story_changes(s, CHANGE_FLEET_SILENT), 0);
    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
}

static void test_those_who_fall_silent_one_after_the_other_do_not_freeze_the_fleet(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));

    for (unsigned i = 1; i <= 6; i++) {
        fall_silent(s, i, i);
        story_wait(s, 2 * TIMEOUT);
        assert_false(silence_is_frozen(&s->fleet));
    }
}

static void test_those_who_fall_silent_within_one_timeout_count_together(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));

    for (unsigned i = 1; i <= 5; i++) {
        assert_false(silence_is_frozen(&s->fleet));
        fall_silent(s, i, i);
        story_wait(s, 15 * SECOND);
    }
    story_wait(s, TIMEOUT);

    assert_true(silence_is_frozen(&s->fleet));
}

static void test_who_is_heard_again_before_most_fell_silent_does_not_count(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 4);
    story_wait(s, TIMEOUT);

    come_back(s, 1, 1);
    fall_silent(s, 5, 5);
    story_wait(s, 20 * SECOND);
    come_back(s, 2, 2);
    story_wait(s, TIMEOUT);

    assert_false(silence_is_frozen(&s->fleet));
}

static void test_a_fleet_without_rollouts_freezes_too_and_tells_it(void **state)
{
    struct story *s = *state;
    bystanders(s, 5);
    fall_silent(s, 1, 3);

    story_wait(s, TIMEOUT - 1);
    s->now += 1;
    story_tick(s);

    assert_int_equal(story_changes(s, CHANGE_FLEET_SILENT), 1);
    story_wait(s, HOUR);
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 1, 2);
    assert_int_equal(story_changes(s, CHANGE_FLEET_HEARD), 1);
}

/* ---- while it is frozen --------------------------------------------------------------------- */

static void test_nobody_is_picked_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);

    updated(s, "web-01");

    assert_tally(r, 2, 0, 1, 0);
    story_wait(s, HOUR);
    assert_tally(r, 2, 0, 1, 0);
    struct waiting list[WAITING_REASON_COUNT];
    assert_int_equal(waiting_list(&s->fleet, r, list), 1);
    assert_int_equal(list[0].reason, WAITING_OFFLINE);
    assert_true(list[0].is_mass_silence);
    assert_int_equal(list[0].count, 5);
    assert_int_equal(list[0].limit, 5);
    assert_int_equal(list[0].until, 0);
}

static void test_the_next_wave_opens_after_the_thaw(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1; rest");
    struct rollout *r = frozen_with(s, config);
    updated(s, "web-01");
    assert_string_equal(story_wave_states(r), "running not_started");

    come_back(s, 1, 3);

    assert_string_equal(story_wave_states(r), "passed running");
    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_failures_are_judged_after_the_thaw(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = frozen_with(s, config);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_wait(s, MINUTE);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_tally(r, 2, 0, 0, 1);
    come_back(s, 1, 3);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
}

static void test_a_failure_that_recovers_before_the_thaw_is_none(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen_with(s, story_config(1, 1));

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    updated(s, "web-01");
    come_back(s, 1, 3);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_a_rollout_may_complete_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-02 web-03"); /* by themselves */

    updated(s, "web-01");
    come_back(s, 1, 3);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
}

static void test_an_abort_works_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);

    story_verb(s, r, VERB_ABORT);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_ABORTED);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
    assert_int_equal(r->stopped_at, 0);
    assert_int_equal(r->frozen_at, 0);
}

static void test_a_rollback_works_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");
    come_back(s, 1, 3);
    assert_string_equal(story_flying(s, r), "web-02");
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));

    struct rollout *back = story_rollback(s, r->number, NULL);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_string_equal(story_wish(s, "web-02"), "1/a"); /* it was in flight */
    assert_tally(back, 1, 1, 1, 0);
    assert_int_equal(back->stopped_at, s->now);
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);
    assert_string_equal(story_wish(s, "web-01"), "2/b"); /* that is a pick */
    story_wait(s, HOUR);
    assert_int_equal(back->state, ROLLOUT_RUNNING);
    come_back(s, 1, 6);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

static void test_a_deploy_while_the_fleet_is_frozen_picks_after_the_thaw(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "job=yes", "1/a");
    bystanders(s, 6);
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));
    struct rollout_config config = story_config(2, 5);
    config.progress_deadline_ms = 2 * MINUTE;
    story_waves(s, &config, "one 1; rest");

    struct rollout *r = story_deploy(s, "job", "2/b", &config);
    assert_string_equal(story_flying(s, r), "");
    assert_string_equal(story_wave_states(r), "running not_started");
    assert_true(story_waits(s, r, WAITING_OFFLINE));
    story_assert_survives(s);
    r = story_newest(s);
    story_wait(s, HOUR);
    come_back(s, 1, 3);

    assert_string_equal(story_flying(s, r), "web-01");
    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
}

static void test_a_deploy_that_nobody_needs_completes_in_a_frozen_fleet_too(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    story_verb(s, r, VERB_ABORT);

    r = story_deploy(s, "job", "1/a", NULL);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_promotion_works_while_the_fleet_is_frozen_and_acts_after_it(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1 gate go; rest");
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01");
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);

    story_promote(s, r, false);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_NOTHING_TO_PROMOTE);
    assert_string_equal(story_wave_states(r), "gated not_started");
    come_back(s, 1, 6);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_a_soak_is_promoted_once_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1 soak 600; rest");
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01");
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);

    story_promote(s, r, false);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_NOTHING_TO_PROMOTE);
    assert_string_equal(story_wave_states(r), "soaking not_started");
    come_back(s, 1, 6);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_leftovers_are_not_accepted_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    config.offline = OFFLINE_SKIP;
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01 web-02");
    story_say(s, "web-03", "1/a", INSTANCE_FAILED);
    assert_true(story_waits(s, r, WAITING_LEFTOVER));
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));

    story_wait(s, HOUR);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    come_back(s, 1, 6);
    story_wait(s, 10 * MINUTE - TIMEOUT - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);

    assert_int_equal(r->outcome, OUTCOME_PARTIAL);
}

/* ---- the thaw ------------------------------------------------------------------------------- */

/* Picking alone must not make those who are heard a minority: it would wait for a dead one. */
static void test_one_dead_instance_does_not_freeze_a_fleet_that_is_in_flight(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    story_silence(s, "web-04");
    story_wait(s, TIMEOUT - 30 * SECOND);
    struct rollout_config config = story_config(3, 2);

    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_wait(s, MINUTE);
    story_say_all(s, "web-01 web-02 web-03", "2/b", INSTANCE_HEALTHY);

    assert_false(silence_is_frozen(&s->fleet));
    story_wait(s, HOUR);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_PARTIAL);
}

static void test_more_than_half_of_the_silent_thaw_the_fleet(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");

    come_back(s, 1, 2);
    assert_true(silence_is_frozen(&s->fleet));
    assert_string_equal(story_flying(s, r), "");
    come_back(s, 3, 3);

    assert_false(silence_is_frozen(&s->fleet));
    assert_int_equal(story_changes(s, CHANGE_FLEET_HEARD), 1);
    assert_string_equal(story_flying(s, r), "web-02");
    assert_int_equal(r->frozen_at, 0);
    assert_int_equal(r->stopped_at, 0);
}

static void test_half_of_an_even_number_is_not_enough(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);

    come_back(s, 1, 3);
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 4, 4);

    assert_false(silence_is_frozen(&s->fleet));
}

static void test_a_registration_is_a_return_too(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");
    come_back(s, 1, 2);

    story_register(s, "n-3", NULL);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_newcomers_do_not_thaw_the_fleet(void **state)
{
    struct story *s = *state;
    frozen(s);

    for (unsigned i = 20; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof name, "n-%u", i);
        story_register(s, name, "");
    }
    story_tick(s);

    assert_true(silence_is_frozen(&s->fleet));
}

static void test_the_deletion_of_silent_instances_thaws_the_fleet(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");

    story_delete(s, "n-1");
    story_delete(s, "n-2");
    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
    story_delete(s, "n-3");
    story_tick(s);

    assert_false(silence_is_frozen(&s->fleet));
    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_who_falls_silent_after_the_freeze_is_not_awaited(void **state)
{
    struct story *s = *state;
    frozen(s);
    fall_silent(s, 6, 6);
    story_silence(s, "web-02");
    story_wait(s, 2 * TIMEOUT);

    come_back(s, 1, 3);

    assert_false(silence_is_frozen(&s->fleet));
}

/* Who is given an interval of a minute may be silent for three. */
static void give_interval(struct story *s, const char *name, uint32_t interval_ms)
{
    story_instance(s, name)->interval_ms = interval_ms;
    place_arm(&s->fleet, fleet_find(&s->fleet, text_from(name)));
}

/* Missed in the same instant, but in a later command: so it is when one round cannot take all. */
static void test_who_falls_silent_in_the_instant_of_the_freeze_belongs_to_it(void **state)
{
    struct story *s = *state;
    static const char *const late[] = { "n-6", "web-02", "web-03" };
    one_in_flight(s, story_config(1, 5));
    for (size_t i = 0; i < 3; i++) {
        story_silence(s, late[i]);
        give_interval(s, late[i], MINUTE);
    }
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));

    for (size_t i = 0; i < 3; i++) {
        give_interval(s, late[i], 0);
        story_tick(s);
        assert_false(story_is_online(s, late[i]));
        assert_true(silence_is_frozen(&s->fleet));
    }
    story_assert_survives(s);
    come_back(s, 1, 4); /* four of eight */
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 5, 5);

    assert_false(silence_is_frozen(&s->fleet));
}

static void test_the_fleet_can_freeze_again(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    config.instance_deadline_ms = HOUR;
    struct rollout *r = frozen_with(s, config);
    int64_t due = story_instance(s, "web-01")->assignment.deadline_at;

    for (unsigned i = 0; i < 3; i++) {
        story_wait(s, MINUTE);
        come_back(s, 1, 5);
        assert_int_equal(story_instance(s, "web-01")->assignment.deadline_at, due + MINUTE);
        story_wait(s, 2 * TIMEOUT);
        assert_false(silence_is_frozen(&s->fleet));
        fall_silent(s, 1, 5);
        story_wait(s, TIMEOUT);
        assert_true(silence_is_frozen(&s->fleet));
        due += MINUTE;
    }

    assert_int_equal(r->state, ROLLOUT_RUNNING);
}

static void test_all_live_rollouts_freeze_and_thaw(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = 20;
    bystanders(s, 50);
    for (unsigned i = 0; i < 20; i++) {
        char name[16], labels[16];
        snprintf(name, sizeof name, "job-%02u", i);
        snprintf(labels, sizeof labels, "job=%u", i);
        story_register(s, name, labels);
        story_say(s, name, "1/a", INSTANCE_HEALTHY);
        story_deploy(s, labels, "2/b", NULL);
    }
    fall_silent(s, 1, 36);
    story_wait(s, TIMEOUT);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(s->fleet.rollouts[i]->stopped_at, s->now);
    story_wait(s, HOUR);

    come_back(s, 1, 19);

    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(s->fleet.rollouts[i]->stopped_at, 0);
    story_wait(s, 10 * MINUTE - TIMEOUT - SECOND);
    assert_int_equal(s->fleet.rollouts[7]->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(s->fleet.rollouts[7]->state, ROLLOUT_FAILED);
}

/* ---- restarts and undoing ------------------------------------------------------------------- */

static void test_a_restart_while_frozen_gives_the_same_state_and_thaws_as_before(void **state)
{
    struct story *s = *state;
    frozen(s);
    updated(s, "web-01");
    come_back(s, 1, 1);
    story_assert_survives(s);
    story_restart(s, HOUR);
    story_reload(s, HOUR);
    struct rollout *r = story_newest(s);
    assert_true(silence_is_frozen(&s->fleet));
    assert_int_equal(s->fleet.silence.fallen, 5);
    assert_int_equal(s->fleet.silence.missing, 4);

    story_wait(s, MINUTE);
    assert_string_equal(story_flying(s, r), "");
    come_back(s, 2, 2);
    assert_string_equal(story_flying(s, r), "");
    come_back(s, 3, 3);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_a_freeze_and_a_thaw_are_taken_back(void **state)
{
    struct story *s = *state;
    struct rollout *r = one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT - SECOND);
    s->keeps_rounds_open = true;
    char *before = story_dump(s);

    s->now += SECOND;
    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
    story_undo(s);
    char *after = story_dump(s);
    story_assert_same(before, after);
    assert_false(silence_is_frozen(&s->fleet));
    free(before);
    free(after);

    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
    before = story_dump(s);
    s->now += MINUTE;
    come_back(s, 1, 5);
    assert_int_equal(r->stopped_at, 0);
    story_undo(s);
    after = story_dump(s);
    story_assert_same(before, after);
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 1, 3);
    assert_false(silence_is_frozen(&s->fleet));
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_more_than_half_of_those_not_in_flight_freeze_the_fleet),
        STORY(test_exactly_half_do_not),
        STORY(test_members_in_flight_do_not_vote),
        STORY(test_those_who_fall_silent_one_after_the_other_do_not_freeze_the_fleet),
        STORY(test_those_who_fall_silent_within_one_timeout_count_together),
        STORY(test_who_is_heard_again_before_most_fell_silent_does_not_count),
        STORY(test_a_fleet_without_rollouts_freezes_too_and_tells_it),
        STORY(test_nobody_is_picked_while_the_fleet_is_frozen),
        STORY(test_the_next_wave_opens_after_the_thaw),
        STORY(test_failures_are_judged_after_the_thaw),
        STORY(test_a_failure_that_recovers_before_the_thaw_is_none),
        STORY(test_a_rollout_may_complete_while_the_fleet_is_frozen),
        STORY(test_an_abort_works_while_the_fleet_is_frozen),
        STORY(test_a_rollback_works_while_the_fleet_is_frozen),
        STORY(test_a_deploy_while_the_fleet_is_frozen_picks_after_the_thaw),
        STORY(test_a_deploy_that_nobody_needs_completes_in_a_frozen_fleet_too),
        STORY(test_a_promotion_works_while_the_fleet_is_frozen_and_acts_after_it),
        STORY(test_a_soak_is_promoted_once_while_the_fleet_is_frozen),
        STORY(test_leftovers_are_not_accepted_while_the_fleet_is_frozen),
        STORY(test_one_dead_instance_does_not_freeze_a_fleet_that_is_in_flight),
        STORY(test_more_than_half_of_the_silent_thaw_the_fleet),
        STORY(test_half_of_an_even_number_is_not_enough),
        STORY(test_a_registration_is_a_return_too),
        STORY(test_newcomers_do_not_thaw_the_fleet),
        STORY(test_the_deletion_of_silent_instances_thaws_the_fleet),
        STORY(test_who_falls_silent_after_the_freeze_is_not_awaited),
        STORY(test_who_falls_silent_in_the_instant_of_the_freeze_belongs_to_it),
        STORY(test_the_fleet_can_freeze_again),
        STORY(test_all_live_rollouts_freeze_and_thaw),
        STORY(test_a_restart_while_frozen_gives_the_same_state_and_thaws_as_before),
        STORY(test_a_freeze_and_a_thaw_are_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
