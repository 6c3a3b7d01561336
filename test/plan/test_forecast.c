/* SPDX-License-Identifier: Apache-2.0
 * test_forecast.c - what a rollout would do (spec of rollouts, section 8), played on fleets of a
 * few instances. */
#include "core/place.h"
#include "core/story.h"
#include "plan/forecast.h"

#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- what the tests share ------------------------------------------------------------------- */

#define DAY (24 * HOUR)

static const struct forecast_assumptions one_minute = { .has_update = true, .update_ms = MINUTE };

/* The fleet of the story is spent afterwards. */
static struct forecast play(struct story *s, const char *selector,
                            const struct rollout_config *config,
                            const struct forecast_assumptions *assume)
{
    struct deploy_command command = story_request(s, selector, "2/b", config);
    struct forecast f;
    if (!forecast_run(&s->fleet, s->now, &command, assume, DAY, &f, &s->err))
        fail_msg("refused: %s", s->err.text);
    struct err what;
    if (place_check(&s->fleet, &what) > 0)
        fail_msg("the fleet is in disorder afterwards: %s", what.text);
    return f;
}

static enum err_code try_play(struct story *s, const char *selector,
                              const struct rollout_config *config)
{
    struct deploy_command command = story_request(s, selector, "2/b", config);
    struct forecast f;
    assert_false(forecast_run(&s->fleet, s->now, &command, &one_minute, DAY, &f, &s->err));
    return s->err.code;
}

/* "wave 0 0-60, soak 0 60-120, gate 0 120-180": steps in seconds; good until next. */
static const char *steps_of(const struct forecast *f)
{
    static const char *const kinds[] = { "wave", "soak", "gate" };
    static char text[1024];
    size_t size = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < f->step_count; i++) {
        const struct forecast_step *step = &f->steps[i];
        size +=
            (size_t)snprintf(text + size, sizeof text - size, "%s%s %u %lld-%lld",
                             i > 0 ? ", " : "", kinds[step->kind], step->wave,
                             (long long)step->start_ms / SECOND, (long long)step->end_ms / SECOND);
    }
    return text;
}

/* "web-01@0 web-02@60": who is picked when, in seconds; "-" for never. Good until next. */
static const char *picks_of(const struct forecast *f)
{
    static char text[4096];
    size_t size = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < f->member_count; i++) {
        const struct forecast_member *m = &f->members[i];
        struct text key = instance_key(fleet_at(f->fleet, m->slot));
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%.*s@", i > 0 ? " " : "",
                                 TEXT_ARG(key));
        size += m->picked_ms == FORECAST_NEVER
                    ? (size_t)snprintf(text + size, sizeof text - size, "-")
                    : (size_t)snprintf(text + size, sizeof text - size, "%lld",
                                       (long long)m->picked_ms / SECOND);
    }
    return text;
}

static struct forecast_assumptions failing(struct story *s, const char *selector, uint8_t percent,
                                           struct forecast_failure *space)
{
    struct rollout_config config = story_config(1, 1);
    *space =
        (struct forecast_failure){ .selector = story_request(s, selector, "2/b", &config).selector,
                                   .percent = percent };
    struct forecast_assumptions assume = one_minute;
    assume.fail = space;
    assume.fail_count = 1;
    assume.seed = 1;
    return assume;
}

/* ---- rolling -------------------------------------------------------------------------------- */

static void test_a_rolling_rollout_takes_its_batches_one_after_the_other(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 1);
    story_fleet(s, 5, "zone=a", "1/a");

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.rollout->state, ROLLOUT_COMPLETED);
    assert_int_equal(f.ended_ms, 3 * MINUTE);
    assert_string_equal(picks_of(&f), "web-01@0 web-02@0 web-03@60 web-04@60 web-05@120");
    assert_string_equal(steps_of(&f), "wave 0 0-180");
    assert_int_equal(f.peak_in_progress, 2);
    assert_int_equal(f.lowest_available, 3);
    assert_int_equal(f.first_limit, WAITING_BATCH_FULL);
    assert_int_equal(f.limits[WAITING_BATCH_FULL].first_ms, 0);
    assert_int_equal(f.limits[WAITING_BATCH_FULL].held_ms, 2 * MINUTE);
    assert_false(f.is_stopped);
    assert_int_equal(f.waves[0].needing, 5);
    assert_int_equal(f.waves[0].batch_limit, 2);
    forecast_release(&f);
}

static void test_a_fleet_on_the_target_has_nothing_to_do(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 1);
    story_fleet(s, 3, "zone=a", "2/b");

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.rollout->state, ROLLOUT_COMPLETED);
    assert_int_equal(f.ended_ms, 0);
    assert_int_equal(f.member_count, 0);
    assert_int_equal(f.waves[0].current, 3);
    assert_int_equal(f.first_limit, WAITING_REASON_COUNT);
    assert_int_equal(f.lowest_available, 3);
    forecast_release(&f);
}

static void test_min_healthy_time_is_waited_for(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.min_healthy_ms = 30 * SECOND;
    story_fleet(s, 2, "zone=a", "1/a");

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.ended_ms, 3 * MINUTE);
    assert_int_equal(f.limits[WAITING_MIN_HEALTHY].held_ms, MINUTE);
    forecast_release(&f);
}

static void test_an_update_that_takes_longer_than_its_deadline_fails(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.instance_deadline_ms = 30 * SECOND;
    config.on_failure = ON_FAILURE_ABORT;
    story_fleet(s, 2, "zone=a", "1/a");

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.rollout->state, ROLLOUT_FAILED);
    assert_int_equal(f.ended_ms, 30 * SECOND);
    assert_int_equal(f.members[0].cause, CAUSE_TIMEOUT);
    assert_true(f.is_stopped);
    forecast_release(&f);
}

/* ---- waves ---------------------------------------------------------------------------------- */

static void test_a_canary_is_soaked_and_its_gate_passed_before_the_rest(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(4, 1);
    struct forecast_assumptions assume = one_minute;
    assume.approve_ms = 5 * MINUTE;
    story_fleet(s, 5, "zone=a", "1/a");
    story_waves(s, &config, "canary 1 soak 120 gate go;rest");

    struct forecast f = play(s, "", &config, &assume);

    assert_int_equal(f.rollout->state, ROLLOUT_COMPLETED);
    assert_string_equal(steps_of(&f), "wave 0 0-60, soak 0 60-180, gate 0 180-480, wave 1 480-540");
    assert_string_equal(picks_of(&f), "web-01@0 web-02@480 web-03@480 web-04@480 web-05@480");
    assert_int_equal(f.waves[0].needing, 1);
    assert_int_equal(f.waves[1].first, 1);
    assert_int_equal(f.limits[WAITING_SOAK].held_ms, 2 * MINUTE);
    assert_int_equal(f.limits[WAITING_GATE].held_ms, 5 * MINUTE);
    forecast_release(&f);
}

static void test_a_gate_that_is_answered_too_late_pauses_it(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(4, 1);
    struct forecast_assumptions assume = one_minute;
    assume.approve_ms = 5 * MINUTE;
    story_fleet(s, 3, "zone=a", "1/a");
    story_waves(s, &config, "canary 1 gate go timeout 60;rest");

    struct forecast f = play(s, "", &config, &assume);

    assert_int_equal(f.rollout->state, ROLLOUT_PAUSED);
    assert_true(f.is_stopped);
    assert_int_equal(f.stop.reason, WAITING_PAUSED);
    assert_int_equal(f.stop_ms, 2 * MINUTE);
    assert_false(f.is_cut);
    assert_int_equal(f.ended_ms, FORECAST_NEVER);
    assert_string_equal(picks_of(&f), "web-01@0 web-02@- web-03@-");
    forecast_release(&f);
}

static void test_waves_by_selector_follow_each_other(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(10, 1);
    story_fleet(s, 2, "zone=a", "1/a");
    story_register(s, "lab-1", "zone=lab");
    story_say(s, "lab-1", "1/a", INSTANCE_HEALTHY);
    story_waves(s, &config, "lab [zone=lab];rest");

    struct forecast f = play(s, "", &config, &one_minute);

    assert_string_equal(picks_of(&f), "lab-1@0 web-01@60 web-02@60");
    assert_string_equal(steps_of(&f), "wave 0 0-60, wave 1 60-120");
    forecast_release(&f);
}

static void test_a_wave_without_a_member_is_refused(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(10, 1);
    story_fleet(s, 2, "zone=a", "1/a");
    story_waves(s, &config, "lab [zone=lab];rest");

    assert_int_equal(try_play(s, "", &config), ERR_INFEASIBLE);
}

static void test_a_selector_without_a_match_is_refused(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(10, 1);
    story_fleet(s, 2, "zone=a", "1/a");

    assert_int_equal(try_play(s, "zone=b", &config), ERR_NO_MATCH);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void test_a_domain_has_its_own_peak_and_floor(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(10, 1);
    story_fleet(s, 3, "zone=a", "1/a");
    story_register(s, "x-1", "zone=b");
    story_say(s, "x-1", "1/a", INSTANCE_HEALTHY);
    story_domains(s, &config, "zone max 1");

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.ended_ms, 3 * MINUTE);
    assert_int_equal(f.first_limit, WAITING_DOMAIN_CAP);
    assert_int_equal(f.domain_count, 2);
    assert_int_equal(f.domains[0].total, 3);
    assert_int_equal(f.domains[0].peak_in_progress, 1);
    assert_int_equal(f.domains[0].lowest_available, 2);
    assert_int_equal(f.domains[1].total, 1);
    assert_int_equal(f.domains[1].lowest_available, 0);
    assert_int_equal(f.peak_in_progress, 2);
    assert_int_equal(f.lowest_available, 2);
    forecast_release(&f);
}

static void test_min_available_binds(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(10, 1);
    config.min_available = (struct amount){ .value = 75, .is_percent = true };
    story_fleet(s, 4, "zone=a", "1/a");

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.ended_ms, 4 * MINUTE);
    assert_int_equal(f.first_limit, WAITING_MIN_AVAILABLE);
    assert_int_equal(f.lowest_available, 3);
    assert_int_equal(f.peak_in_progress, 1);
    forecast_release(&f);
}

static void test_offline_members_are_left_over(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(10, 1);
    story_fleet(s, 3, "zone=a", "1/a");
    story_crowd(s);
    story_silence(s, "web-02");
    story_wait(s, 100 * SECOND);

    struct forecast f = play(s, "zone=a", &config, &one_minute);

    assert_int_equal(f.rollout->state, ROLLOUT_COMPLETED);
    assert_int_equal(f.rollout->outcome, OUTCOME_PARTIAL);
    assert_int_equal(f.ended_ms, 11 * MINUTE); /* leftover_timeout is 10m */
    assert_int_equal(f.waves[0].offline, 1);
    assert_string_equal(picks_of(&f), "web-01@0 web-03@0 web-02@-");
    assert_false(f.members[2].is_online);
    forecast_release(&f);
}

static void test_nobody_falls_silent_while_it_is_played(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    struct forecast_assumptions slow = { .has_update = true, .update_ms = 9 * MINUTE };
    story_fleet(s, 3, "zone=a", "1/a");

    struct forecast f = play(s, "", &config, &slow);

    assert_int_equal(f.rollout->outcome, OUTCOME_FULL);
    assert_int_equal(f.ended_ms, 27 * MINUTE);
    forecast_release(&f);
}

static void test_the_horizon_cuts_it_off(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    struct deploy_command command;
    struct forecast f;
    story_fleet(s, 5, "zone=a", "1/a");
    command = story_request(s, "", "2/b", &config);

    bool done = forecast_run(&s->fleet, s->now, &command, &one_minute, 150 * SECOND, &f, &s->err);

    assert_true(done);
    assert_true(f.is_cut);
    assert_true(f.is_stopped);
    assert_int_equal(f.rollout->state, ROLLOUT_RUNNING);
    assert_int_equal(f.ended_ms, FORECAST_NEVER);
    assert_int_equal(f.stop.reason, WAITING_BATCH_FULL);
    assert_int_equal(f.limits[WAITING_BATCH_FULL].held_ms, 150 * SECOND);
    assert_string_equal(picks_of(&f), "web-01@0 web-02@60 web-03@120 web-04@- web-05@-");
    forecast_release(&f);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void test_failing_members_bring_the_rollback(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 2);
    struct forecast_failure space;
    story_fleet(s, 6, "zone=a", "1/a");
    struct forecast_assumptions assume = failing(s, "zone=a", 100, &space);

    struct forecast f = play(s, "", &config, &assume);

    assert_int_equal(f.rollout->state, ROLLOUT_FAILED);
    assert_int_equal(f.rollout->cause, ROLLOUT_CAUSE_THRESHOLD);
    assert_int_equal(f.ended_ms, MINUTE);
    assert_int_equal(f.members[0].state, MEMBER_FAILED);
    assert_int_equal(f.members[0].cause, CAUSE_REPORTED);
    assert_true(f.is_stopped);
    assert_non_null(f.rollback);
    assert_int_equal(f.rollback->state, ROLLOUT_COMPLETED);
    /* The third was picked before the second failed: three go back, two at a time. */
    assert_int_equal(f.rollback_ended_ms, 3 * MINUTE);
    assert_string_equal(story_runs(s, "web-01"), "1/a");
    forecast_release(&f);
}

static void test_only_who_matches_fails(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(10, 3);
    struct forecast_failure space;
    story_fleet(s, 3, "zone=a", "1/a");
    story_register(s, "x-1", "zone=b");
    story_say(s, "x-1", "1/a", INSTANCE_HEALTHY);
    struct forecast_assumptions assume = failing(s, "zone=b", 100, &space);

    struct forecast f = play(s, "", &config, &assume);

    assert_int_equal(f.rollout->state, ROLLOUT_COMPLETED);
    assert_int_equal(f.rollout->outcome, OUTCOME_PARTIAL);
    assert_int_equal(rollout_tally(f.rollout)->failed, 1);
    assert_int_equal(f.members[3].state, MEMBER_FAILED);
    forecast_release(&f);
}

static void test_a_share_fails_and_the_seed_says_which(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(100, 1000);
    struct forecast_failure space;
    story_fleet(s, 99, "zone=a", "1/a");
    struct forecast_assumptions assume = failing(s, "", 30, &space);

    struct forecast f = play(s, "", &config, &assume);

    uint32_t failed = rollout_tally(f.rollout)->failed;
    assert_in_range(failed, 15, 45);
    forecast_release(&f);
}

static void test_a_member_that_was_failed_before_fails_all_the_same(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    struct forecast_failure space;
    config.on_failure = ON_FAILURE_ABORT;
    story_fleet(s, 1, "zone=a", "1/a");
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    struct forecast_assumptions assume = failing(s, "", 100, &space);

    struct forecast f = play(s, "", &config, &assume);

    assert_int_equal(f.rollout->state, ROLLOUT_FAILED);
    assert_int_equal(f.ended_ms, MINUTE);
    forecast_release(&f);
}

/* ---- what goes before ----------------------------------------------------------------------- */

static void test_the_time_of_an_update_is_learnt_from_the_last_rollout(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(3, 1);
    struct forecast_assumptions nothing = { .approve_ms = 0 };
    story_fleet(s, 3, "zone=a", "0/z");
    struct rollout *last = story_deploy(s, "zone=a", "1/a", &config);
    uint32_t number = last->number;
    story_wait(s, 10 * SECOND);
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    story_wait(s, 10 * SECOND);
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);
    story_wait(s, 60 * SECOND);
    story_say(s, "web-03", "1/a", INSTANCE_HEALTHY);
    assert_int_equal(last->state, ROLLOUT_COMPLETED);

    struct forecast f = play(s, "zone=a", &config, &nothing);

    assert_int_equal(f.update_from, number);
    assert_int_equal(f.update_ms, 20 * SECOND);
    assert_int_equal(f.ended_ms, 20 * SECOND);
    assert_int_equal(f.restores, number);
    assert_int_equal(f.known, 3);
    assert_int_equal(f.unknown, 0);
    forecast_release(&f);
}

static void test_without_a_last_rollout_an_update_takes_a_minute(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(3, 1);
    struct forecast_assumptions nothing = { .approve_ms = 0 };
    story_register(s, "web-01", "zone=a");
    story_say(s, "web-01", "", INSTANCE_HEALTHY);

    struct forecast f = play(s, "zone=a", &config, &nothing);

    assert_int_equal(f.update_from, 0);
    assert_int_equal(f.update_ms, MINUTE);
    assert_int_equal(f.restores, 0);
    assert_int_equal(f.unknown, 1);
    forecast_release(&f);
}

static void test_a_live_rollout_in_the_way_is_taken_as_aborted(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    story_fleet(s, 3, "zone=a", "0/z");
    struct rollout *live = story_deploy(s, "zone=a", "1/a", &config);

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.conflict_count, 1);
    assert_int_equal(f.conflicts[0].rollout, live->number);
    assert_int_equal(f.conflicts[0].code, ERR_IN_PROGRESS);
    assert_int_equal(f.rollout->state, ROLLOUT_COMPLETED);
    assert_int_equal(f.ended_ms, 3 * MINUTE);
    forecast_release(&f);
}

static void test_a_disjoint_live_rollout_goes_on_beside_it(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    story_fleet(s, 3, "zone=a", "0/z");
    story_register(s, "x-1", "zone=b");
    struct rollout *live = story_deploy(s, "zone=a", "1/a", &config);

    struct forecast f = play(s, "zone=b", &config, &one_minute);

    assert_int_equal(f.conflict_count, 1); /* one at a time is the default */
    assert_int_equal(f.conflicts[0].code, ERR_IN_PROGRESS);
    assert_int_equal(live->state, ROLLOUT_RUNNING);
    assert_int_equal(rollout_tally(live)->completed, 1); /* after the same minute */
    assert_int_equal(f.ended_ms, MINUTE);
    forecast_release(&f);
}

static void test_decisions_by_hand_are_taken_at_once(void **state)
{
    struct fleet_settings settings = fleet_settings_default;
    settings.is_manual = true;
    struct story *s = story_new(&settings, 7);
    struct rollout_config config = story_config(1, 1);
    story_fleet(s, 2, "zone=a", "1/a");
    (void)state;

    struct forecast f = play(s, "", &config, &one_minute);

    assert_int_equal(f.ended_ms, 2 * MINUTE);
    forecast_release(&f);
    story_free(s);
}

/* ---- the same again ------------------------------------------------------------------------- */

/* What a forecast says, in one text; to be freed. */
static char *tell(uint64_t hash_seed, int64_t later_ms)
{
    struct story *s = story_new(NULL, hash_seed);
    struct rollout_config config = story_config(3, 50);
    struct forecast_failure space;
    s->now += later_ms;
    for (unsigned i = 0; i < 60; i++) {
        char name[16], labels[32];
        snprintf(name, sizeof name, "web-%02u", i * 7 % 60);
        snprintf(labels, sizeof labels, "zone=%c", "abc"[i * 7 % 60 % 3]);
        story_register(s, name, labels);
        story_say(s, name, "1/a", i % 5 ? INSTANCE_HEALTHY : INSTANCE_DEGRADED);
    }
    story_waves(s, &config, "first 10 soak 30;half 50% gate go;rest");
    story_domains(s, &config, "zone max 1");
    struct forecast_assumptions assume = failing(s, "zone in (a,b)", 40, &space);
    struct forecast f = play(s, "", &config, &assume);
    char *text = malloc(8192);
    assert_non_null(text);
    int size = snprintf(text, 8192, "%s\n%s\n%lld %u %u", picks_of(&f), steps_of(&f),
                        (long long)f.ended_ms, f.peak_in_progress, f.lowest_available);
    for (uint32_t i = 0; i < f.domain_count; i++)
        size += snprintf(text + size, 8192 - (size_t)size, " %u/%u/%u", f.domains[i].total,
                         f.domains[i].peak_in_progress, f.domains[i].lowest_available);
    forecast_release(&f);
    story_free(s);
    return text;
}

static void test_the_same_inventory_gives_the_same_forecast(void **state)
{
    (void)state;
    char *first = tell(7, 0);
    char *again = tell(99, 0);
    char *later = tell(7, 12345678);

    assert_string_equal(first, again);
    assert_string_equal(first, later);
    free(first);
    free(again);
    free(later);
}

static void test_a_lack_of_memory_is_told_and_nothing_leaks(void **state)
{
    (void)state;
    unsigned refusals = 0;
    for (unsigned allowed = 0;; allowed++) {
        struct story *s = story_new(NULL, 7);
        struct rollout_config config = story_config(2, 1);
        struct forecast f;
        story_fleet(s, 5, "zone=a", "1/a");
        story_waves(s, &config, "canary 1 soak 120 gate go;rest");
        story_domains(s, &config, "zone max 1");
        struct deploy_command command = story_request(s, "", "2/b", &config);

        faulty_memory_fail(&s->memory, allowed + 1, true);
        bool done = forecast_run(&s->fleet, s->now, &command, &one_minute, DAY, &f, &s->err);
        faulty_memory_fail(&s->memory, 0, false);

        if (done)
            forecast_release(&f);
        else
            assert_int_equal(s->err.code, ERR_MEMORY);
        refusals += done ? 0 : 1;
        story_free(s);
        if (done)
            break;
    }
    assert_true(refusals > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_rolling_rollout_takes_its_batches_one_after_the_other),
        STORY(test_a_fleet_on_the_target_has_nothing_to_do),
        STORY(test_min_healthy_time_is_waited_for),
        STORY(test_an_update_that_takes_longer_than_its_deadline_fails),
        STORY(test_a_canary_is_soaked_and_its_gate_passed_before_the_rest),
        STORY(test_a_gate_that_is_answered_too_late_pauses_it),
        STORY(test_waves_by_selector_follow_each_other),
        STORY(test_a_wave_without_a_member_is_refused),
        STORY(test_a_selector_without_a_match_is_refused),
        STORY(test_a_domain_has_its_own_peak_and_floor),
        STORY(test_min_available_binds),
        STORY(test_offline_members_are_left_over),
        STORY(test_nobody_falls_silent_while_it_is_played),
        STORY(test_the_horizon_cuts_it_off),
        STORY(test_failing_members_bring_the_rollback),
        STORY(test_only_who_matches_fails),
        STORY(test_a_share_fails_and_the_seed_says_which),
        STORY(test_a_member_that_was_failed_before_fails_all_the_same),
        STORY(test_the_time_of_an_update_is_learnt_from_the_last_rollout),
        STORY(test_without_a_last_rollout_an_update_takes_a_minute),
        STORY(test_a_live_rollout_in_the_way_is_taken_as_aborted),
        STORY(test_a_disjoint_live_rollout_goes_on_beside_it),
        cmocka_unit_test(test_decisions_by_hand_are_taken_at_once),
        cmocka_unit_test(test_the_same_inventory_gives_the_same_forecast),
        cmocka_unit_test(test_a_lack_of_memory_is_told_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
