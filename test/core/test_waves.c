/* SPDX-License-Identifier: Apache-2.0
 * test_waves.c - members divided into waves that follow each other (spec of rollouts, 6.1, 6.2,
 * 7.2). What a wave waits for after its members stands in test_gates.c. */
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>

static struct rollout *deployed(struct story *s, const char *waves, uint32_t batch_size)
{
    struct rollout_config config = story_config(batch_size, 5);
    story_waves(s, &config, waves);
    return story_deploy(s, "", "2/b", &config);
}

static void updated(struct story *s, const char *names)
{
    story_say_all(s, names, "2/b", INSTANCE_HEALTHY);
}

/* ---- who belongs to which wave -------------------------------------------------------------- */

static void test_sized_waves_take_members_that_need_the_update_in_pick_order(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    updated(s, "web-02");
    story_say(s, "web-03", "1/a", INSTANCE_DEGRADED);
    story_say(s, "web-04", "1/a", INSTANCE_FAILED);
    story_say(s, "web-05", "1/a", INSTANCE_UNKNOWN);

    struct rollout *r = deployed(s, "first 2; second 2; rest", 1);

    assert_string_equal(story_wave_members(s, r, 0), "web-03 web-04");
    assert_string_equal(story_wave_members(s, r, 1), "web-01 web-05");
    assert_string_equal(story_wave_members(s, r, 2), "web-02 web-06");
}

static void test_percentages_of_all_members_are_rounded_up(void **state)
{
    struct story *s = *state;
    story_fleet(s, 7, "", "1/a");

    struct rollout *r = deployed(s, "quarter 25%; half 50%; rest", 1); /* 1.75 and 3.5 */

    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-02");
    assert_string_equal(story_wave_members(s, r, 1), "web-03 web-04 web-05 web-06");
    assert_string_equal(story_wave_members(s, r, 2), "web-07");
}

static void test_the_last_wave_takes_the_rest_even_if_that_is_nobody(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");

    struct rollout *r = deployed(s, "all 5; rest", 3);

    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-02 web-03");
    assert_string_equal(story_wave_members(s, r, 1), "");
    updated(s, "web-01 web-02 web-03");
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
    assert_string_equal(story_wave_states(r), "passed passed");
}

static void test_a_member_belongs_to_the_first_wave_that_selects_it(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    story_say_labels(s, "web-03", "zone=a");
    story_say_labels(s, "web-02", "zone=b");
    story_say_labels(s, "web-04", "zone=a");

    struct rollout *r = deployed(s, "a [zone=a]; with [zone]; rest", 1);

    assert_string_equal(story_wave_members(s, r, 0), "web-03 web-04");
    assert_string_equal(story_wave_members(s, r, 1), "web-02");
    assert_string_equal(story_wave_members(s, r, 2), "web-01");
}

static void test_sized_waves_take_the_next_of_those_whom_nobody_selected(void **state)
{
    struct story *s = *state;
    story_fleet(s, 8, "", "1/a");
    story_say_labels(s, "web-01", "lab=yes");
    story_say_labels(s, "web-04", "lab=yes");
    story_say_labels(s, "web-05", "late=yes");
    story_say(s, "web-07", "1/a", INSTANCE_FAILED);

    struct rollout *r = deployed(s, "lab [lab]; two 2; late [late]; more 2; rest", 1);

    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-04");
    assert_string_equal(story_wave_members(s, r, 1), "web-02 web-07");
    assert_string_equal(story_wave_members(s, r, 2), "web-05");
    assert_string_equal(story_wave_members(s, r, 3), "web-03 web-06");
    assert_string_equal(story_wave_members(s, r, 4), "web-08");
}

static void test_a_wave_before_the_last_without_members_is_infeasible_and_leaves_no_record(
    void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "zone=a", "1/a");
    static const char *const infeasible[] = { "all 3; none 1; rest", "all [zone=a]; none 50%; rest",
                                              "none [zone=b]; rest", "one 1; none [zone!=a]; rest",
                                              "all [zone]; none [zone=a]; rest" };
    uint64_t before = story_hash(s);

    for (size_t i = 0; i < sizeof infeasible / sizeof infeasible[0]; i++) {
        struct rollout_config config = story_config(1, 1);
        story_waves(s, &config, infeasible[i]);
        assert_int_equal(story_try_deploy(s, "", "2/b", &config), ERR_INFEASIBLE);
        assert_string_equal(s->err.pointer, "/configuration");
    }

    assert_true(story_hash(s) == before);
    assert_int_equal(s->fleet.rollout_count, 0);
    assert_int_equal(s->fleet.live_count, 0);
    assert_int_equal(story_deploy(s, "", "2/b", NULL)->number, 1);
}

static void test_a_joiner_goes_to_the_last_wave_behind_all_original_members(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "zone=a", "1/a");
    story_fleet(s, 1, "zone=a", "1/a");
    struct rollout *r = deployed(s, "a [zone=a]; rest", 3);
    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-02 web-03");

    story_register(s, "aaa", "zone=a");
    story_say(s, "aaa", "1/a", INSTANCE_FAILED);

    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-02 web-03");
    assert_string_equal(story_wave_members(s, r, 1), "aaa");
    assert_string_equal(story_flying(s, r), "web-01 web-02 web-03");
    updated(s, "web-01 web-02 web-03");
    assert_string_equal(story_flying(s, r), "aaa");
}

static void test_original_members_of_the_last_wave_are_picked_before_joiners(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = deployed(s, "one 1; rest", 1);
    story_register(s, "aaa", "");

    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-02");
    updated(s, "web-02");
    assert_string_equal(story_flying(s, r), "web-03");
    updated(s, "web-03");
    assert_string_equal(story_flying(s, r), "aaa");
}

static void test_a_relabelled_member_stays_in_its_wave(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "zone=a", "1/a");
    story_register(s, "web-03", "zone=b");
    struct rollout *r = deployed(s, "a [zone=a]; rest", 1);

    story_say_labels(s, "web-02", "zone=b");
    story_say_labels(s, "web-03", "zone=a");

    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-02");
    assert_string_equal(story_wave_members(s, r, 1), "web-03");
    story_reload(s, 0);
    r = story_newest(s);
    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-02");
    assert_string_equal(story_wave_members(s, r, 1), "web-03");
}

static void test_a_member_whose_status_changes_stays_in_its_wave(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout *r = deployed(s, "two 2; rest", 1);

    story_say(s, "web-04", "1/a", INSTANCE_FAILED);
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY); /* by itself */

    assert_string_equal(story_wave_members(s, r, 0), "web-01 web-02");
    assert_string_equal(story_flying(s, r), "web-01");
    story_reload(s, 0);
    assert_string_equal(story_wave_members(s, story_newest(s), 0), "web-01 web-02");
}

static void test_a_member_that_is_relabelled_out_leaves_its_wave_and_returns_as_a_joiner(
    void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "env=prod", "1/a");
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "two 2; rest");
    struct rollout *r = story_deploy(s, "env=prod", "2/b", &config);

    story_say_labels(s, "web-01", "env=dev");

    assert_string_equal(story_wave_members(s, r, 0), "web-02");
    assert_int_equal(wave_tally(r, 0)->total, 1);
    assert_string_equal(story_flying(s, r), "web-02"); /* its slot is free */
    story_say_labels(s, "web-01", "env=prod");
    assert_string_equal(story_wave_members(s, r, 0), "web-02");
    assert_string_equal(story_wave_members(s, r, 1), "web-01 web-03 web-04");
    updated(s, "web-02");
    assert_string_equal(story_flying(s, r), "web-03");
}

static void test_a_wave_whose_members_all_left_is_passed_without_stops(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = deployed(s, "one 1; two 1 soak 60 gate go; rest", 1);

    story_delete(s, "web-02");
    assert_string_equal(story_wave_states(r), "running not_started not_started");
    updated(s, "web-01");

    assert_string_equal(story_wave_states(r), "passed passed running");
    assert_string_equal(story_flying(s, r), "web-03");
}

static void test_the_last_member_of_a_wave_that_leaves_opens_the_next(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = deployed(s, "one 1 soak 60; rest", 1);

    story_delete(s, "web-01");

    assert_string_equal(story_wave_states(r), "passed running");
    assert_string_equal(story_flying(s, r), "web-02");
}

/* ---- one after the other -------------------------------------------------------------------- */

static void test_a_wave_opens_when_the_one_before_it_is_done(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout *r = deployed(s, "two 2; rest", 3);
    assert_string_equal(story_flying(s, r), "web-01 web-02"); /* the third slot is for nobody */
    assert_true(story_waits(s, r, WAITING_BATCH_FULL));
    assert_int_equal(r->waves[0].opened_at, s->now);
    s->now += SECOND;

    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-02");
    updated(s, "web-02");

    assert_int_equal(story_changes(s, CHANGE_WAVE_PASSED), 1);
    assert_int_equal(story_changes(s, CHANGE_WAVE_OPENED), 1);
    assert_int_equal(r->waves[0].passed_at, s->now);
    assert_int_equal(r->waves[1].opened_at, s->now);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
    updated(s, "web-03 web-04");
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
}

static void test_a_wave_is_a_decision_and_a_pick_is_none(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout *r = deployed(s, "two 2; rest", 1);
    uint32_t generation = r->generation;

    updated(s, "web-01");
    assert_int_equal(r->generation, generation);
    updated(s, "web-02");

    assert_true(r->generation > generation);
}

static void test_each_wave_counts_its_own_members(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    story_crowd(s);
    story_silence(s, "web-05");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "three 3; rest");
    story_wait(s, 100 * SECOND);
    struct rollout *r = story_deploy(s, "!crowd", "2/b", &config);

    updated(s, "web-01");
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    const struct tally *first = wave_tally(r, 0);
    const struct tally *rest = wave_tally(r, 1);
    assert_int_equal(first->total, 3);
    assert_int_equal(first->completed, 1);
    assert_int_equal(first->failed, 1);
    assert_int_equal(first->in_progress, 1);
    assert_int_equal(rest->total, 2);
    assert_int_equal(rest->pending, 2);
    assert_int_equal(rest->offline, 1);
    updated(s, "web-02 web-03 web-04");
    story_say(s, "web-05", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(wave_tally(r, 0)->completed, 3); /* as it was in the end */
    assert_int_equal(wave_tally(r, 1)->completed, 2);
}

static void test_a_wave_has_its_own_batch_size_and_mode(void **state)
{
    struct story *s = *state;
    story_fleet(s, 9, "", "1/a");
    struct rollout *r = deployed(s, "lab 2 batch 1; first 4 barrier batch 50%; rest", 3);

    assert_string_equal(story_flying(s, r), "web-01");
    updated(s, "web-01 web-02");
    assert_string_equal(story_flying(s, r), "web-03 web-04");
    updated(s, "web-03");
    assert_string_equal(story_flying(s, r), "web-04");
    assert_int_equal(rollout_batch_limit(r), 2);
    updated(s, "web-04");
    assert_string_equal(story_flying(s, r), "web-05 web-06");
    updated(s, "web-05 web-06");
    assert_string_equal(story_flying(s, r), "web-07 web-08 web-09");
}

static void test_a_wave_may_be_a_window_where_the_others_have_barriers(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    config.mode = MODE_BARRIER;
    story_waves(s, &config, "one 3 window; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-02 web-03");
    updated(s, "web-02 web-03 web-04");

    assert_string_equal(story_flying(s, r), "web-05"); /* web-06 comes with the next batch */
    assert_true(story_waits(s, r, WAITING_BARRIER));
}

static void test_nobody_needs_the_update_and_all_waves_are_skipped(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "2/b");

    struct rollout *r = deployed(s, "one 1 soak 60 gate go; rest", 1);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
    assert_int_equal(story_changes(s, CHANGE_WAVE_OPENED), 0);
    assert_int_equal(wave_tally(r, 0)->completed, 1);
}

static void test_a_wave_that_runs_the_target_already_has_its_proof(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    story_say_labels(s, "web-01", "lab=yes");
    updated(s, "web-01");

    struct rollout *r = deployed(s, "lab [lab] soak 60; rest", 1);

    assert_string_equal(story_wave_states(r), "soaking not_started");
    story_wait(s, MINUTE);
    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_a_rolling_rollout_has_one_wave_that_nobody_hears_of(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");

    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    assert_int_equal(story_changes(s, CHANGE_WAVE_OPENED), 0);
    assert_int_equal(r->wave_count, 1);
    assert_text(wave_name(r, 0), "all");
    updated(s, "web-01 web-02");
    assert_int_equal(story_changes(s, CHANGE_WAVE_PASSED), 0);
    assert_string_equal(story_wave_states(r), "passed");
}

/* One instance per wave, and as many waves and gates as there may be: only the last one needs the
 * update. `words` has room for all. */
static void say_hundred_waves(struct story *s, struct buffer *words)
{
    for (unsigned i = 0; i < LIMIT_WAVES; i++) {
        char name[16], labels[16];
        bool is_last = i + 1 == LIMIT_WAVES;
        snprintf(name, sizeof name, "w-%02u", i);
        snprintf(labels, sizeof labels, "n=%u", i);
        story_register(s, name, labels);
        story_say(s, name, is_last ? "1/a" : "2/b", INSTANCE_HEALTHY);
        buffer_printf(words, is_last ? "w%u" : "w%u [n=%u]", i, i);
        for (unsigned gate = 0; gate < LIMIT_GATES && !is_last; gate++)
            buffer_printf(words, " gate g%u dry", gate);
        if (!is_last)
            buffer_printf(words, ";");
    }
}

static void test_a_hundred_waves_with_sixteen_dry_runs_each_pass_at_once(void **state)
{
    struct story *s = *state;
    struct buffer words;
    buffer_init(&words, &memory_heap, LIMIT_WAVES * 512);
    say_hundred_waves(s, &words);

    struct rollout *r = deployed(s, buffer_c_string(&words), 1);

    assert_int_equal(r->open_wave, LIMIT_WAVES - 1);
    assert_int_equal(story_changes(s, CHANGE_GATE_INCONCLUSIVE), (LIMIT_WAVES - 1) * LIMIT_GATES);
    assert_string_equal(story_flying(s, r), "w-99");
    buffer_release(&words);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void test_a_wave_breaches_by_its_own_threshold(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout *r = deployed(s, "three 3 limit 1; rest", 3);

    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
    assert_int_equal(story_newest(s)->rollback_of, r->number);
}

static void test_a_percentage_of_failures_is_of_the_wave_and_rounded_up(void **state)
{
    struct story *s = *state;
    story_fleet(s, 8, "", "1/a");
    struct rollout *r = deployed(s, "five 5 limit 30%; rest", 5); /* 1.5 */

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_int_equal(wave_threshold(r, 0), 2);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_failures_of_earlier_waves_do_not_count_for_the_open_one(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout *r = deployed(s, "two 2; more 2 limit 1; rest", 2);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");
    assert_string_equal(story_wave_states(r), "passed running not_started");
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_say(s, "web-03", "1/a", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_the_threshold_of_the_rollout_counts_all_waves(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout_config config = story_config(2, 2);
    story_waves(s, &config, "two 2 limit 2; more 2 limit 2; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");
    assert_string_equal(story_wave_states(r), "passed running not_started");
    story_say(s, "web-03", "1/a", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
}

static void test_a_breach_in_the_canary_touches_nobody_else(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout_config config = story_config(6, 1);
    story_waves(s, &config, "canary 20%; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    assert_string_equal(story_flying(s, r), "web-01 web-02");

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    for (unsigned i = 3; i <= 6; i++) {
        char name[] = { 'w', 'e', 'b', '-', '0', (char)('0' + i), 0 };
        assert_int_equal(story_instance(s, name)->assignment.rollout, 0);
    }
}

static void test_failed_and_offline_members_within_the_threshold_do_not_hold_a_wave_back(
    void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    story_crowd(s);
    story_silence(s, "web-02");
    story_wait(s, 100 * SECOND);
    struct rollout_config config = story_config(5, 5);
    story_waves(s, &config, "three 3; rest");
    struct rollout *r = story_deploy(s, "!crowd", "2/b", &config);
    assert_string_equal(story_flying(s, r), "web-01 web-03");

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-03");

    assert_string_equal(story_wave_states(r), "passed running");
    assert_string_equal(story_flying(s, r), "web-04 web-05");
}

static void test_a_wave_with_no_completed_member_waits_for_leftovers_and_breaches(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout *r = deployed(s, "one 1; rest", 2);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_true(story_waits(s, r, WAITING_LEFTOVER));
    story_wait(s, 10 * MINUTE - SECOND);
    assert_string_equal(story_wave_states(r), "running not_started");
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_LEFTOVER);
}

static void test_a_wave_with_no_completed_member_goes_on_when_one_recovers(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout *r = deployed(s, "one 1; rest", 2);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_wait(s, 9 * MINUTE);

    updated(s, "web-01");

    assert_string_equal(story_wave_states(r), "passed running");
    assert_int_equal(r->leftover_at, 0);
    assert_string_equal(story_flying(s, r), "web-02 web-03");
}

static void test_a_wave_whose_members_are_all_offline_waits_for_them(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    story_crowd(s);
    story_silence(s, "web-01");
    story_wait(s, 100 * SECOND);
    struct rollout_config config = story_config(2, 5);
    config.offline = OFFLINE_SKIP; /* even then: somebody has to show that the target works */
    story_waves(s, &config, "one 1; rest");
    struct rollout *r = story_deploy(s, "!crowd", "2/b", &config);
    assert_string_equal(story_flying(s, r), "");

    story_wait(s, 9 * MINUTE);
    assert_string_equal(story_wave_states(r), "running not_started");
    story_say(s, "web-01", "", SAME);
    assert_string_equal(story_flying(s, r), "web-01");
    updated(s, "web-01");

    assert_string_equal(story_flying(s, r), "web-02 web-03");
}

static void test_leftovers_of_earlier_waves_are_accepted_in_the_end(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout *r = deployed(s, "two 2; rest", 2);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");

    updated(s, "web-03 web-04");
    assert_string_equal(story_wave_states(r), "passed passed");
    assert_true(story_waits(s, r, WAITING_LEFTOVER));
    story_wait(s, 10 * MINUTE);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_PARTIAL);
    assert_int_equal(wave_tally(r, 0)->failed, 1);
}

/* ---- stragglers ----------------------------------------------------------------------------- */

/* web-01 to web-06, of which web-01 and web-06 are a wave of their own, with web-05; those two are
 * away while it runs. The second wave is open, with one slot. */
static struct rollout *with_stragglers(struct story *s)
{
    story_fleet(s, 6, "", "1/a");
    story_crowd(s);
    story_say_labels(s, "web-01", "early=yes");
    story_say_labels(s, "web-05", "early=yes");
    story_say_labels(s, "web-06", "early=yes");
    story_silence(s, "web-01");
    story_silence(s, "web-06");
    story_wait(s, 100 * SECOND);
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "early [early]; middle [!late]; rest");
    struct rollout *r = story_deploy(s, "!crowd", "2/b", &config);
    updated(s, "web-05");
    assert_string_equal(story_wave_states(r), "passed running not_started");
    assert_string_equal(story_flying(s, r), "web-02");
    return r;
}

static void test_stragglers_of_an_earlier_wave_are_picked_in_pick_order(void **state)
{
    struct story *s = *state;
    struct rollout *r = with_stragglers(s);

    story_say(s, "web-01", "", SAME);
    story_say(s, "web-06", "", SAME);
    assert_string_equal(story_flying(s, r), "web-02");
    updated(s, "web-02");
    assert_string_equal(story_flying(s, r), "web-01"); /* by its name, not by its wave */
    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-03");
    updated(s, "web-03 web-04");

    assert_string_equal(story_flying(s, r), "web-06");
    assert_string_equal(story_wave_states(r), "passed running not_started");
    updated(s, "web-06");
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_broken_straggler_is_picked_first(void **state)
{
    struct story *s = *state;
    struct rollout *r = with_stragglers(s);

    story_say(s, "web-06", "1/a", INSTANCE_FAILED);
    updated(s, "web-02");

    assert_string_equal(story_flying(s, r), "web-06");
    assert_int_equal(wave_tally(r, 0)->in_progress, 1);
}

static void test_a_retry_picks_failed_members_of_an_earlier_wave_again(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout *r = deployed(s, "two 2; rest", 2);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-03 web-04");

    story_verb(s, r, VERB_RETRY);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
    updated(s, "web-03");

    assert_string_equal(story_flying(s, r), "web-02 web-04"); /* FAILED before HEALTHY */
    updated(s, "web-02");
    assert_int_equal(wave_tally(r, 0)->completed, 2);
}

static void test_a_straggler_of_a_failed_threshold_does_not_fail_the_open_wave(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout *r = deployed(s, "two 2; rest limit 1", 2);
    updated(s, "web-01 web-02");

    story_say(s, "web-01", "2/b", INSTANCE_FAILED); /* regressed */
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_say(s, "web-03", "2/b", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
}

/* ---- again, and going on -------------------------------------------------------------------- */

static void test_a_retry_of_an_ended_rollout_divides_its_members_anew(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout *r = deployed(s, "two 2 soak 60; rest", 2);
    updated(s, "web-01 web-02");
    story_verb(s, r, VERB_ABORT);

    struct rollout *again = story_verb(s, r, VERB_RETRY);

    assert_int_equal(again->retry_of, r->number);
    assert_string_equal(story_wave_members(s, again, 0), "web-03 web-04");
    assert_string_equal(story_wave_members(s, again, 1), "web-01 web-02 web-05");
    assert_int_equal(wave_soak_ms(again, 0), MINUTE);
}

static void test_a_restart_in_a_wave_gives_the_same_state(void **state)
{
    struct story *s = *state;
    struct rollout *r = with_stragglers(s);
    story_register(s, "aaa", "early=yes"); /* a joiner */
    story_say_labels(s, "web-03", "late=yes,early=no");
    story_say(s, "web-04", "1/a", INSTANCE_DEGRADED);
    story_say(s, "web-01", "", SAME);

    story_assert_survives(s);
    r = story_newest(s);
    assert_string_equal(story_flying(s, r), "web-02");
    updated(s, "web-02");

    assert_string_equal(story_flying(s, r), "web-04");
    updated(s, "web-04 web-01 web-03");
    assert_string_equal(story_wave_states(r), "passed passed running");
    assert_string_equal(story_flying(s, r), "aaa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_sized_waves_take_members_that_need_the_update_in_pick_order),
        STORY(test_percentages_of_all_members_are_rounded_up),
        STORY(test_the_last_wave_takes_the_rest_even_if_that_is_nobody),
        STORY(test_a_member_belongs_to_the_first_wave_that_selects_it),
        STORY(test_sized_waves_take_the_next_of_those_whom_nobody_selected),
        STORY(test_a_wave_before_the_last_without_members_is_infeasible_and_leaves_no_record),
        STORY(test_a_joiner_goes_to_the_last_wave_behind_all_original_members),
        STORY(test_original_members_of_the_last_wave_are_picked_before_joiners),
        STORY(test_a_relabelled_member_stays_in_its_wave),
        STORY(test_a_member_whose_status_changes_stays_in_its_wave),
        STORY(test_a_member_that_is_relabelled_out_leaves_its_wave_and_returns_as_a_joiner),
        STORY(test_a_wave_whose_members_all_left_is_passed_without_stops),
        STORY(test_the_last_member_of_a_wave_that_leaves_opens_the_next),
        STORY(test_a_wave_opens_when_the_one_before_it_is_done),
        STORY(test_a_wave_is_a_decision_and_a_pick_is_none),
        STORY(test_each_wave_counts_its_own_members),
        STORY(test_a_wave_has_its_own_batch_size_and_mode),
        STORY(test_a_wave_may_be_a_window_where_the_others_have_barriers),
        STORY(test_nobody_needs_the_update_and_all_waves_are_skipped),
        STORY(test_a_wave_that_runs_the_target_already_has_its_proof),
        STORY(test_a_rolling_rollout_has_one_wave_that_nobody_hears_of),
        STORY(test_a_hundred_waves_with_sixteen_dry_runs_each_pass_at_once),
        STORY(test_a_wave_breaches_by_its_own_threshold),
        STORY(test_a_percentage_of_failures_is_of_the_wave_and_rounded_up),
        STORY(test_failures_of_earlier_waves_do_not_count_for_the_open_one),
        STORY(test_the_threshold_of_the_rollout_counts_all_waves),
        STORY(test_a_breach_in_the_canary_touches_nobody_else),
        STORY(test_failed_and_offline_members_within_the_threshold_do_not_hold_a_wave_back),
        STORY(test_a_wave_with_no_completed_member_waits_for_leftovers_and_breaches),
        STORY(test_a_wave_with_no_completed_member_goes_on_when_one_recovers),
        STORY(test_a_wave_whose_members_are_all_offline_waits_for_them),
        STORY(test_leftovers_of_earlier_waves_are_accepted_in_the_end),
        STORY(test_stragglers_of_an_earlier_wave_are_picked_in_pick_order),
        STORY(test_a_broken_straggler_is_picked_first),
        STORY(test_a_retry_picks_failed_members_of_an_earlier_wave_again),
        STORY(test_a_straggler_of_a_failed_threshold_does_not_fail_the_open_wave),
        STORY(test_a_retry_of_an_ended_rollout_divides_its_members_anew),
        STORY(test_a_restart_in_a_wave_gives_the_same_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
