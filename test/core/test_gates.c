/* SPDX-License-Identifier: Apache-2.0
 * test_gates.c - what a wave waits for after its members: a soak, then gates (spec of rollouts,
 * 4.3, 6.2, 7.3). */
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>

static void updated(struct story *s, const char *names)
{
    story_say_all(s, names, "2/b", INSTANCE_HEALTHY);
}

/* Six members; `first` says what the wave of the first two waits for, and these are done. */
static struct rollout *waiting_with(struct story *s, const char *first,
                                    struct rollout_config config)
{
    char words[128];
    story_fleet(s, 6, "", "1/a");
    assert_true(snprintf(words, sizeof words, "first 2 %s; rest", first) < (int)sizeof words);
    story_waves(s, &config, words);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01 web-02");
    return r;
}

static struct rollout *waiting_for(struct story *s, const char *first)
{
    return waiting_with(s, first, story_config(2, 5));
}

static const struct waiting *first_reason(const struct story *s, const struct rollout *r)
{
    static struct waiting list[WAITING_REASON_COUNT];
    assert_true(waiting_list(&s->fleet, r, list) > 0);
    return &list[0];
}

/* ---- soaks ---------------------------------------------------------------------------------- */

static void test_a_soak_lasts_from_when_the_last_member_was_done(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 soak 60; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01");
    story_wait(s, 30 * SECOND);
    updated(s, "web-02");

    assert_string_equal(story_wave_states(r), "soaking not_started");
    assert_int_equal(first_reason(s, r)->reason, WAITING_SOAK);
    assert_int_equal(first_reason(s, r)->until, s->now + MINUTE);
    story_wait(s, MINUTE - 1);
    assert_string_equal(story_flying(s, r), "");
    story_wait(s, 1);

    assert_string_equal(story_wave_states(r), "passed running");
    assert_string_equal(story_flying(s, r), "web-03 web-04");
}

static void test_the_last_wave_soaks_too_before_the_rollout_completes(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 1; rest soak 60");
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    updated(s, "web-01 web-02");
    assert_string_equal(story_wave_states(r), "passed soaking");
    story_pass(s, MINUTE);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
}

static void test_a_soak_begins_anew_when_a_member_comes_back(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    story_crowd(s);
    story_silence(s, "web-02");
    story_wait(s, 100 * SECOND);
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 soak 60; rest");
    struct rollout *r = story_deploy(s, "!crowd", "2/b", &config);
    updated(s, "web-01");
    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_wait(s, 40 * SECOND);

    story_say(s, "web-02", "", SAME);
    assert_string_equal(story_wave_states(r), "running not_started");
    assert_string_equal(story_flying(s, r), "web-02");
    story_wait(s, 40 * SECOND);
    updated(s, "web-02");

    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_wait(s, MINUTE - SECOND);
    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_wait(s, SECOND);
    assert_string_equal(story_wave_states(r), "passed running");
}

static void test_a_retry_during_a_soak_updates_the_failed_member_first(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 soak 60; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");
    assert_string_equal(story_wave_states(r), "soaking not_started");

    story_verb(s, r, VERB_RETRY);

    assert_string_equal(story_wave_states(r), "running not_started");
    assert_string_equal(story_flying(s, r), "web-01");
}

static void test_member_failures_count_while_a_wave_soaks(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "soak 60 limit 2");

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
    assert_int_equal(r->wave_due_at, 0);
}

static void test_time_in_a_soak_or_at_a_gate_is_no_lack_of_progress(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 5);
    config.progress_deadline_ms = 2 * MINUTE;
    struct rollout *r = waiting_with(s, "soak 300 gate go", config);

    story_wait(s, 10 * MINUTE);
    story_promote(s, r, false);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_PROGRESS_DEADLINE);
}

static void test_a_member_that_comes_back_in_a_soak_gets_its_time_to_make_progress(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    config.progress_deadline_ms = 2 * MINUTE;
    story_waves(s, &config, "first 2 gate go; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");
    story_wait(s, 10 * MINUTE);

    story_verb(s, r, VERB_RETRY);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_string_equal(story_flying(s, r), "web-01");
    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_FAILED);
}

/* ---- manual gates --------------------------------------------------------------------------- */

static void test_a_manual_gate_waits_for_promote_and_for_nothing_else(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "gate go");
    assert_string_equal(story_wave_states(r), "gated not_started");
    assert_int_equal(story_changes(s, CHANGE_GATE_WAITING), 1);
    assert_int_equal(first_reason(s, r)->reason, WAITING_GATE);
    assert_text(first_reason(s, r)->name, "go");
    assert_int_equal(first_reason(s, r)->until, 0);

    story_wait(s, 5 * HOUR);
    assert_string_equal(story_wave_states(r), "gated not_started");
    story_promote(s, r, false);

    assert_int_equal(story_changes(s, CHANGE_GATE_PASSED), 1);
    assert_int_equal(story_changes(s, CHANGE_WAVE_PASSED), 1);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_PROMOTED), 1);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
    assert_int_equal(wave_gate_state(r, 0, 0), GATE_PASSED);
}

static void test_a_soak_then_each_gate_is_promoted_by_itself(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "soak 600 gate one gate two");

    story_promote(s, r, false);
    assert_string_equal(story_wave_states(r), "gated not_started");
    assert_text(waves_gate(r)->name, "one");
    assert_int_equal(wave_gate_state(r, 0, 1), GATE_NOT_STARTED);
    story_promote(s, r, false);
    assert_text(waves_gate(r)->name, "two");
    assert_int_equal(wave_gate_state(r, 0, 0), GATE_PASSED);
    story_promote(s, r, false);

    assert_string_equal(story_wave_states(r), "passed running");
}

static void test_a_promotion_in_full_passes_all_later_soaks_and_gates_too(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "one 1 soak 60 gate a gate b; two 1 soak 60 gate c; rest gate d");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01");

    story_promote(s, r, true);
    assert_string_equal(story_wave_states(r), "passed running not_started");
    updated(s, "web-02");
    assert_string_equal(story_wave_states(r), "passed passed running");
    updated(s, "web-03 web-04");

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
}

static void test_a_promotion_when_nothing_waits_is_refused_and_changes_nothing(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 soak 60 gate go; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    uint64_t before = story_hash(s);

    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_NOTHING_TO_PROMOTE);
    assert_true(story_hash(s) == before);
    updated(s, "web-01 web-02");
    story_promote(s, r, false);
    story_promote(s, r, false);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_NOTHING_TO_PROMOTE);
    updated(s, "web-03 web-04");

    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_REFUSED); /* it has ended */
}

static void test_a_soak_that_was_promoted_is_not_waited_for_again(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 soak 600 gate one gate two; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");
    story_promote(s, r, false);
    story_promote(s, r, false);
    assert_text(waves_gate(r)->name, "two");

    story_verb(s, r, VERB_RETRY);
    assert_string_equal(story_wave_states(r), "running not_started");
    updated(s, "web-01");

    assert_string_equal(story_wave_states(r), "gated not_started");
    assert_text(waves_gate(r)->name, "two"); /* neither is the first gate */
}

static void test_a_promotion_of_one_soak_leaves_those_of_later_waves(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "one 1 soak 60 gate go; two 1 soak 60 gate go; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01");
    story_promote(s, r, false);
    story_promote(s, r, false);

    updated(s, "web-02");
    assert_string_equal(story_wave_states(r), "passed soaking not_started");
    story_wait(s, MINUTE);

    assert_string_equal(story_wave_states(r), "passed gated not_started");
    assert_int_equal(wave_gate_state(r, 1, 0), GATE_WAITING);
}

static void test_the_timeout_of_a_gate_that_was_passed_is_over(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "one 1; rest gate go timeout 60");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01 web-02");
    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    story_promote(s, r, false);

    assert_int_equal(r->wave_due_at, 0);
    assert_true(story_waits(s, r, WAITING_LEFTOVER));
    story_wait(s, 10 * MINUTE);
    assert_int_equal(r->outcome, OUTCOME_PARTIAL);
}

static void test_a_gate_begins_anew_when_a_member_comes_back(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 gate go timeout 60; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");
    story_wait(s, 40 * SECOND);

    story_verb(s, r, VERB_RETRY);
    assert_null(waves_gate(r));
    story_wait(s, 40 * SECOND);
    updated(s, "web-01");

    assert_int_equal(story_changes(s, CHANGE_GATE_WAITING), 1);
    assert_int_equal(first_reason(s, r)->until, s->now + MINUTE);
    story_wait(s, MINUTE);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
}

static void test_member_failures_count_while_a_gate_waits(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "gate go limit 1");

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
}

/* ---- when nobody decides -------------------------------------------------------------------- */

static void test_an_undecided_gate_pauses_and_resume_runs_it_again(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "gate go timeout 60");

    story_wait(s, MINUTE - 1);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_pass(s, 1);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    assert_int_equal(wave_gate_state(r, 0, 0), GATE_INCONCLUSIVE);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_REFUSED);
    story_wait(s, HOUR);
    story_verb(s, r, VERB_RESUME);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_int_equal(story_changes(s, CHANGE_GATE_WAITING), 1);
    assert_int_equal(first_reason(s, r)->reason, WAITING_GATE);
    assert_int_equal(first_reason(s, r)->until, s->now + MINUTE);
    story_wait(s, MINUTE);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    story_verb(s, r, VERB_RESUME);
    story_promote(s, r, false);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
}

static void test_the_resume_of_an_undecided_gate_acknowledges_failures(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 2);
    story_waves(s, &config, "first 2 gate go timeout 60; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");
    story_wait(s, MINUTE);
    assert_int_equal(r->state, ROLLOUT_PAUSED);

    story_verb(s, r, VERB_RESUME);

    assert_int_equal(rollout_tally(r)->acknowledged, 1);
}

static void test_an_undecided_gate_may_pass(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "gate go timeout 60 passes gate next");

    story_pass(s, MINUTE);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_text(waves_gate(r)->name, "next");
    story_promote(s, r, false);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
}

static void test_an_undecided_gate_may_fail_which_is_a_breach(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "gate go timeout 60 fails");

    story_pass(s, MINUTE);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_GATE);
    assert_int_equal(story_newest(s)->rollback_of, r->number);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_a_failed_gate_aborts_where_the_request_says_so(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 5);
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = waiting_with(s, "gate go timeout 60 fails", config);

    story_pass(s, MINUTE);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_GATE);
    assert_ptr_equal(story_newest(s), r);
    assert_string_equal(story_wish(s, "web-01"), "2/b");
}

static void test_a_failed_gate_that_paused_runs_again_by_resume(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 5);
    config.on_failure = ON_FAILURE_PAUSE;
    struct rollout *r = waiting_with(s, "gate go timeout 60 fails", config);
    story_pass(s, MINUTE);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    assert_int_equal(wave_gate_state(r, 0, 0), GATE_INCONCLUSIVE);

    story_verb(s, r, VERB_RESUME);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_int_equal(wave_gate_state(r, 0, 0), GATE_WAITING);
    story_promote(s, r, false);
    assert_string_equal(story_wave_states(r), "passed running");
}

static void test_a_dry_run_is_recorded_and_never_blocks(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "gate try timeout 60 fails dry");

    assert_int_equal(story_changes(s, CHANGE_GATE_INCONCLUSIVE), 1);
    assert_int_equal(story_changes(s, CHANGE_GATE_WAITING), 0);
    assert_int_equal(wave_gate_state(r, 0, 0), GATE_INCONCLUSIVE); /* nobody has passed it */
    assert_string_equal(story_wave_states(r), "passed running");
    assert_string_equal(story_flying(s, r), "web-03 web-04");
}

/* ---- clocks --------------------------------------------------------------------------------- */

static void test_the_clock_of_a_soak_stands_still_while_paused(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "soak 60");
    story_wait(s, 40 * SECOND);

    story_verb(s, r, VERB_PAUSE);
    story_wait(s, HOUR);
    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_verb(s, r, VERB_RESUME);

    assert_int_equal(first_reason(s, r)->until, s->now + 20 * SECOND);
    story_wait(s, 20 * SECOND - 1);
    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_wait(s, 1);
    assert_string_equal(story_wave_states(r), "passed running");
}

static void test_the_clock_of_a_gate_stands_still_while_paused(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "gate go timeout 60");
    story_wait(s, 40 * SECOND);

    story_verb(s, r, VERB_PAUSE);
    story_wait(s, HOUR);
    assert_int_equal(wave_gate_state(r, 0, 0), GATE_WAITING);
    story_verb(s, r, VERB_RESUME);

    assert_int_equal(story_changes(s, CHANGE_GATE_WAITING), 0); /* it goes on, not anew */
    story_wait(s, 20 * SECOND - 1);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, 1);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
}

static void test_members_done_in_a_pause_soak_after_it(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 soak 60; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_verb(s, r, VERB_PAUSE);
    updated(s, "web-01 web-02");
    assert_string_equal(story_wave_states(r), "running not_started");
    story_wait(s, HOUR);

    story_verb(s, r, VERB_RESUME);

    assert_string_equal(story_wave_states(r), "soaking not_started");
    assert_int_equal(first_reason(s, r)->until, s->now + MINUTE);
}

static void test_members_completed_in_a_pause_do_not_lengthen_the_progress_deadline(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    config.progress_deadline_ms = 2 * MINUTE;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_verb(s, r, VERB_PAUSE);
    story_wait(s, 5 * MINUTE);
    updated(s, "web-01");
    story_wait(s, 5 * MINUTE);

    story_verb(s, r, VERB_RESUME);

    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_PROGRESS_DEADLINE);
}

static void test_an_undecided_gate_is_decided_by_progress_calls_alone_in_manual_mode(void **state)
{
    struct story *s = *state;
    s->fleet.settings.is_manual = true;
    struct rollout *r = waiting_for(s, "soak 60");
    story_wait(s, HOUR);
    assert_string_equal(story_wave_states(r), "running not_started");

    story_command(s);
    assert_true(fleet_progress(&s->fleet, r, &s->err));
    story_done(s);
    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_promote(s, r, false); /* a verb decides too */

    assert_string_equal(story_flying(s, r), "web-03 web-04");
}

/* ---- restarts ------------------------------------------------------------------------------- */

static void test_a_restart_in_a_soak_gives_the_same_state_and_downtime_does_not_count(void **state)
{
    struct story *s = *state;
    waiting_for(s, "soak 120 gate go");
    story_wait(s, 40 * SECOND);

    story_assert_survives(s);
    story_restart(s, HOUR);
    story_reload(s, HOUR);
    struct rollout *r = story_newest(s);

    assert_int_equal(first_reason(s, r)->until, s->now + 80 * SECOND);
    story_wait(s, 80 * SECOND - 1);
    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_wait(s, 1);
    assert_string_equal(story_wave_states(r), "gated not_started");
}

static void test_a_restart_at_a_gate_gives_the_same_state_and_downtime_does_not_count(void **state)
{
    struct story *s = *state;
    waiting_for(s, "soak 60 gate one gate two timeout 120");
    story_promote(s, story_newest(s), false);
    story_promote(s, story_newest(s), false);
    story_wait(s, 40 * SECOND);

    story_assert_survives(s);
    story_restart(s, HOUR);
    story_reload(s, HOUR);
    struct rollout *r = story_newest(s);

    assert_text(waves_gate(r)->name, "two");
    assert_int_equal(first_reason(s, r)->until, s->now + 80 * SECOND);
    story_wait(s, 80 * SECOND);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    story_assert_survives(s);
    r = story_newest(s);
    story_verb(s, r, VERB_RESUME);
    story_promote(s, r, false);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
}

static void test_a_restart_in_a_pause_of_a_soak_keeps_its_clock_still(void **state)
{
    struct story *s = *state;
    struct rollout *r = waiting_for(s, "soak 60");
    story_wait(s, 40 * SECOND);
    story_verb(s, r, VERB_PAUSE);
    story_wait(s, MINUTE);

    story_assert_survives(s);
    story_reload(s, HOUR);
    r = story_newest(s);
    story_verb(s, r, VERB_RESUME);

    assert_int_equal(first_reason(s, r)->until, s->now + 20 * SECOND);
}

static void test_a_promotion_in_full_survives_a_restart(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "one 1 soak 60; two 1 soak 60 gate go; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01");
    story_promote(s, r, true);

    story_assert_survives(s);
    r = story_newest(s);
    updated(s, "web-02");

    assert_string_equal(story_wave_states(r), "passed passed running");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_soak_lasts_from_when_the_last_member_was_done),
        STORY(test_the_last_wave_soaks_too_before_the_rollout_completes),
        STORY(test_a_soak_begins_anew_when_a_member_comes_back),
        STORY(test_a_retry_during_a_soak_updates_the_failed_member_first),
        STORY(test_member_failures_count_while_a_wave_soaks),
        STORY(test_time_in_a_soak_or_at_a_gate_is_no_lack_of_progress),
        STORY(test_a_member_that_comes_back_in_a_soak_gets_its_time_to_make_progress),
        STORY(test_a_manual_gate_waits_for_promote_and_for_nothing_else),
        STORY(test_a_soak_then_each_gate_is_promoted_by_itself),
        STORY(test_a_promotion_in_full_passes_all_later_soaks_and_gates_too),
        STORY(test_a_promotion_when_nothing_waits_is_refused_and_changes_nothing),
        STORY(test_a_soak_that_was_promoted_is_not_waited_for_again),
        STORY(test_a_promotion_of_one_soak_leaves_those_of_later_waves),
        STORY(test_the_timeout_of_a_gate_that_was_passed_is_over),
        STORY(test_a_gate_begins_anew_when_a_member_comes_back),
        STORY(test_member_failures_count_while_a_gate_waits),
        STORY(test_an_undecided_gate_pauses_and_resume_runs_it_again),
        STORY(test_the_resume_of_an_undecided_gate_acknowledges_failures),
        STORY(test_an_undecided_gate_may_pass),
        STORY(test_an_undecided_gate_may_fail_which_is_a_breach),
        STORY(test_a_failed_gate_aborts_where_the_request_says_so),
        STORY(test_a_failed_gate_that_paused_runs_again_by_resume),
        STORY(test_a_dry_run_is_recorded_and_never_blocks),
        STORY(test_the_clock_of_a_soak_stands_still_while_paused),
        STORY(test_the_clock_of_a_gate_stands_still_while_paused),
        STORY(test_members_done_in_a_pause_soak_after_it),
        STORY(test_members_completed_in_a_pause_do_not_lengthen_the_progress_deadline),
        STORY(test_an_undecided_gate_is_decided_by_progress_calls_alone_in_manual_mode),
        STORY(test_a_restart_in_a_soak_gives_the_same_state_and_downtime_does_not_count),
        STORY(test_a_restart_at_a_gate_gives_the_same_state_and_downtime_does_not_count),
        STORY(test_a_restart_in_a_pause_of_a_soak_keeps_its_clock_still),
        STORY(test_a_promotion_in_full_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
