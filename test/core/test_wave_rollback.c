/* SPDX-License-Identifier: Apache-2.0
 * test_wave_rollback.c - rollouts in waves are undone through their waves, the last one first (spec
 * of rollouts, 6.3: RB6, RB7, RB9). */
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>

static void updated(struct story *s, const char *names)
{
    story_say_all(s, names, "2/b", INSTANCE_HEALTHY);
}

static void restored(struct story *s, const char *names)
{
    story_say_all(s, names, "1/a", INSTANCE_HEALTHY);
}

/* Six members in waves of two, which all run the new version. `limits` are those of the second. */
static struct rollout *completed(struct story *s, const char *waves, uint32_t batch_size)
{
    story_fleet(s, 6, "", "1/a");
    struct rollout_config config = story_config(batch_size, 5);
    story_waves(s, &config, waves);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const pairs[] = { "web-01 web-02", "web-03 web-04", "web-05 web-06" };
        updated(s, pairs[i]);
        if (rollout_is_live(r) && waves_can_promote(r))
            story_promote(s, r, true);
    }
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    return r;
}

/* ---- fast ----------------------------------------------------------------------------------- */

static void test_members_go_back_in_reverse_order_of_their_waves(void **state)
{
    struct story *s = *state;
    completed(s, "first 2; second 2; rest", 1);
    static const char *const order[] = {
        "web-05", "web-06", "web-03", "web-04", "web-01", "web-02"
    };

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_text(wave_name(back, 0), "rest");
    assert_text(wave_name(back, 2), "first");
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_string_equal(story_flying(s, back), order[i]);
        restored(s, order[i]);
    }
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
    assert_int_equal(back->outcome, OUTCOME_FULL);
    assert_string_equal(story_wave_states(back), "passed passed passed");
}

static void test_a_fast_rollback_makes_no_stop_between_waves(void **state)
{
    struct story *s = *state;
    completed(s, "first 2 batch 1 soak 60 gate go; second 2 batch 1 barrier soak 60; rest", 3);

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_true(back->is_fast);
    assert_string_equal(story_flying(s, back), "web-03 web-05 web-06"); /* into the next wave */
    assert_string_equal(story_wave_states(back), "passed running not_started");
    restored(s, "web-05");
    assert_string_equal(story_flying(s, back), "web-03 web-04 web-06");
    restored(s, "web-03");
    assert_string_equal(story_flying(s, back), "web-01 web-04 web-06");
    assert_string_equal(story_wave_states(back), "passed passed running");
    assert_int_equal(wave_soak_ms(back, 2), 0);
    assert_int_equal(wave_gate_count(back, 2), 0);
    restored(s, "web-06 web-04 web-01");
    assert_string_equal(story_flying(s, back), "web-02");
    assert_string_equal(story_wave_states(back), "passed passed running"); /* till the last one */
    restored(s, "web-02");
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

static void test_a_fast_rollback_counts_failures_of_all_waves_only(void **state)
{
    struct story *s = *state;
    completed(s, "first 2 limit 1; second 2 limit 1; rest limit 1", 6);
    struct rollout *back = story_rollback(s, 0, NULL);

    story_say_all(s, "web-05 web-03 web-01 web-06", "2/b", INSTANCE_FAILED);
    assert_int_equal(back->state, ROLLOUT_RUNNING);
    story_say(s, "web-02", "2/b", INSTANCE_FAILED);

    assert_int_equal(back->state, ROLLOUT_FAILED);
    assert_int_equal(back->cause, ROLLOUT_CAUSE_THRESHOLD);
    assert_ptr_equal(story_newest(s), back);
}

static void test_in_a_fast_rollback_any_member_shows_that_it_works(void **state)
{
    struct story *s = *state;
    completed(s, "first 2; second 2; rest", 6);
    struct rollout *back = story_rollback(s, 0, NULL);
    restored(s, "web-03 web-04 web-05 web-06");

    story_say_all(s, "web-01 web-02", "2/b", INSTANCE_FAILED); /* all of its last wave */
    story_wait(s, 10 * MINUTE);

    assert_int_equal(back->state, ROLLOUT_COMPLETED);
    assert_int_equal(back->outcome, OUTCOME_PARTIAL);
}

static void test_a_breach_is_rolled_back_fast(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    story_waves(s, &config, "first 2 soak 60; second 2 gate go; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01 web-02");
    story_wait(s, MINUTE);
    updated(s, "web-03");

    story_say(s, "web-04", "2/b", INSTANCE_FAILED);

    struct rollout *back = story_newest(s);
    assert_int_equal(back->rollback_of, r->number);
    assert_true(back->is_fast);
    assert_tally(back, 2, 2, 2, 0);
    assert_string_equal(story_flying(s, back), "web-03 web-04");
    restored(s, "web-04");
    assert_string_equal(story_flying(s, back), "web-01 web-03");
    restored(s, "web-03 web-01 web-02");
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

/* ---- not fast ------------------------------------------------------------------------------- */

static void test_a_slow_rollback_takes_the_soaks_and_gates_of_its_source(void **state)
{
    struct story *s = *state;
    completed(s, "first 2; second 2 soak 60 gate go; rest soak 30", 2);

    struct rollout *back = story_rollback_slowly(s, 0, NULL);

    assert_string_equal(story_flying(s, back), "web-05 web-06");
    restored(s, "web-05 web-06");
    assert_string_equal(story_wave_states(back), "soaking not_started not_started");
    story_wait(s, 30 * SECOND);
    assert_string_equal(story_flying(s, back), "web-03 web-04");
    restored(s, "web-03 web-04");
    assert_string_equal(story_wave_states(back), "passed soaking not_started");
    story_wait(s, MINUTE);
    assert_string_equal(story_wave_states(back), "passed gated not_started");
    story_promote(s, back, false);
    assert_string_equal(story_flying(s, back), "web-01 web-02");
    restored(s, "web-01 web-02");
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

static void test_a_slow_rollback_takes_the_limits_of_the_waves_but_no_barriers(void **state)
{
    struct story *s = *state;
    completed(s, "first 2; second 2; rest barrier batch 2 limit 1", 1);

    struct rollout *back = story_rollback_slowly(s, 0, NULL);

    assert_string_equal(story_flying(s, back), "web-05 web-06");
    assert_int_equal(wave_mode(back, 0), MODE_WINDOW);
    story_say(s, "web-05", "2/b", INSTANCE_FAILED);
    assert_int_equal(back->state, ROLLOUT_FAILED); /* the limit of that wave */
    assert_ptr_equal(story_newest(s), back);       /* and it stays so (RB9) */
}

static void test_a_slow_rollback_has_waves_that_touched_nobody(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "first 2 gate go; second 2 gate go; rest soak 600");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01 web-02");
    story_promote(s, r, false);
    assert_string_equal(story_flying(s, r), "web-03 web-04");

    struct rollout *back = story_rollback_slowly(s, r->number, NULL);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_string_equal(story_wave_states(back), "passed running not_started");
    assert_string_equal(story_flying(s, back), "web-03 web-04"); /* taken over at once */
    assert_tally(back, 2, 2, 2, 0);
    restored(s, "web-03 web-04");
    assert_string_equal(story_wave_states(back), "passed gated not_started");
    story_promote(s, back, false);
    assert_string_equal(story_flying(s, back), "web-01 web-02");
    restored(s, "web-01 web-02");
    assert_string_equal(story_wave_states(back), "passed passed gated");
    story_promote(s, back, false);
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

static void test_inherited_members_of_later_waves_take_slots_of_the_first(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    story_say_labels(s, "web-01", "early=yes");
    story_say_labels(s, "web-02", "early=yes");
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "early [early] batch 2; rest batch 1");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "web-01 web-02");
    updated(s, "web-03");
    story_say(s, "web-01", "2/b", INSTANCE_FAILED); /* regressed, of an earlier wave */
    story_verb(s, r, VERB_RETRY);
    updated(s, "web-04");
    assert_string_equal(story_flying(s, r), "web-01");

    struct rollout *back = story_rollback_slowly(s, r->number, NULL);

    assert_string_equal(story_flying(s, back), "web-01"); /* of the wave that comes last */
    assert_string_equal(story_wave_states(back), "running not_started");
    restored(s, "web-01");
    assert_string_equal(story_flying(s, back), "web-03");
    restored(s, "web-03");
    assert_string_equal(story_flying(s, back), "web-04");
    restored(s, "web-04");
    assert_string_equal(story_flying(s, back), "web-02");
}

static void test_joiners_of_the_last_wave_go_back_first(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "first 1; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_register(s, "zzz", "");
    story_say(s, "zzz", "1/a", INSTANCE_HEALTHY);
    updated(s, "web-01 web-02 zzz");
    assert_int_equal(r->state, ROLLOUT_COMPLETED);

    struct rollout *back = story_rollback(s, r->number, NULL);

    assert_string_equal(story_wave_members(s, back, 0), "web-02 zzz");
    assert_string_equal(story_wave_members(s, back, 1), "web-01");
}

static void test_members_go_back_with_the_wave_they_came_in_whatever_their_labels_are_now(
    void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "zone=a", "1/a");
    story_register(s, "web-03", "zone=b");
    story_say(s, "web-03", "1/a", INSTANCE_HEALTHY);
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "a [zone=a]; rest");
    story_deploy(s, "", "2/b", &config);
    updated(s, "web-01 web-02 web-03");
    story_say_labels(s, "web-01", "zone=b");
    story_say_labels(s, "web-03", "zone=a");

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_string_equal(story_wave_members(s, back, 0), "web-03");
    assert_string_equal(story_wave_members(s, back, 1), "web-01 web-02");
}

static void test_members_that_only_an_older_rollout_touched_are_in_the_last_wave(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(3, 5);
    story_waves(s, &config, "first 1; rest");
    story_deploy(s, "", "2/b", &config);
    updated(s, "web-01 web-02 web-03");
    story_say(s, "web-03", "3/c", INSTANCE_HEALTHY); /* by itself */
    story_deploy(s, "", "3/c", &config);
    story_say_all(s, "web-01 web-02", "3/c", INSTANCE_HEALTHY);

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_string_equal(story_wave_members(s, back, 0), "web-02");
    assert_string_equal(story_wave_members(s, back, 1), "web-01 web-03");
}

static void test_each_of_repeated_rollbacks_knows_the_waves_of_its_source(void **state)
{
    struct story *s = *state;
    struct rollout *first = completed(s, "first 2; second 2; rest", 6);
    struct rollout_config config = story_config(6, 5);
    story_waves(s, &config, "last 50%; rest");
    story_say_all(s, "web-04 web-05 web-06", "2/b", INSTANCE_DEGRADED);
    struct rollout *second = story_deploy(s, "", "3/c", &config);
    story_say_all(s, "web-04 web-05 web-06", "3/c", INSTANCE_HEALTHY);
    story_say_all(s, "web-01 web-02 web-03", "3/c", INSTANCE_HEALTHY);
    assert_int_equal(second->state, ROLLOUT_COMPLETED);

    struct rollout *back = story_rollback(s, 0, NULL);
    assert_string_equal(story_wave_members(s, back, 0), "web-01 web-02 web-03");
    updated(s, "web-01 web-02 web-03 web-04 web-05 web-06");
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
    back = story_rollback(s, 0, NULL);

    assert_int_equal(back->rollback_of, first->number);
    assert_string_equal(story_wave_members(s, back, 0), "web-05 web-06");
    assert_string_equal(story_wave_members(s, back, 2), "web-01 web-02");
}

static void test_a_configuration_of_the_rollback_itself_replaces_limits_and_keeps_gates(
    void **state)
{
    struct story *s = *state;
    completed(s, "first 2 soak 60; second 2 batch 1 gate go; rest limit 1 gate go", 1);
    struct rollout_config config = story_config(2, 3);

    struct rollout *back = story_rollback_slowly(s, 0, &config);

    assert_string_equal(story_flying(s, back), "web-05 web-06");
    story_say(s, "web-05", "2/b", INSTANCE_FAILED);
    restored(s, "web-06");
    assert_true(story_waits(s, back, WAITING_GATE));
    story_promote(s, back, false);
    assert_string_equal(story_flying(s, back), "web-03 web-04");
    restored(s, "web-03 web-04");
    assert_true(story_waits(s, back, WAITING_GATE));
    story_promote(s, back, false);
    assert_string_equal(story_flying(s, back), "web-01 web-02");
}

static void test_an_undecided_gate_of_a_rollback_pauses_or_ends_it(void **state)
{
    struct story *s = *state;
    completed(s, "first 2; second 2 gate go timeout 60 fails; rest gate go timeout 60", 2);
    struct rollout *back = story_rollback_slowly(s, 0, NULL);
    restored(s, "web-05 web-06");

    story_wait(s, MINUTE);
    assert_int_equal(back->state, ROLLOUT_PAUSED);
    story_verb(s, back, VERB_RESUME);
    story_promote(s, back, false);
    restored(s, "web-03 web-04");
    story_wait(s, MINUTE);

    assert_int_equal(back->state, ROLLOUT_FAILED);
    assert_int_equal(back->cause, ROLLOUT_CAUSE_GATE);
    assert_ptr_equal(story_newest(s), back);
    assert_string_equal(story_wish(s, "web-01"), "2/b"); /* it was not picked */
}

static void test_a_rollout_is_rolled_back_from_a_soak_a_gate_and_a_pause_at_it(void **state)
{
    static const char *const waits[] = { "soak 60", "gate go", "gate go timeout 60" };

    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        struct story *s = *state;
        char words[64];
        assert_true(snprintf(words, sizeof words, "first 2 %s; rest", waits[i]) > 0);
        struct rollout_config config = story_config(2, 5);
        story_fleet(s, 4, "", "1/a");
        story_waves(s, &config, words);
        struct rollout *r = story_deploy(s, "", "2/b", &config);
        updated(s, "web-01 web-02");
        story_wait(s, i < 2 ? 30 * SECOND : MINUTE);
        assert_int_equal(r->state, i < 2 ? ROLLOUT_RUNNING : ROLLOUT_PAUSED);

        struct rollout *back = story_rollback(s, r->number, NULL);

        assert_int_equal(r->state, ROLLOUT_FAILED);
        assert_int_equal(r->wave_due_at, 0);
        assert_string_equal(story_flying(s, back), "web-01 web-02");
        restored(s, "web-01 web-02");
        assert_int_equal(back->state, ROLLOUT_COMPLETED);
    }
}

static void test_a_retry_of_a_slow_rollback_is_as_slow(void **state)
{
    struct story *s = *state;
    completed(s, "first 2; second 2 batch 1 soak 60 gate go; rest", 2);
    struct rollout *back = story_rollback_slowly(s, 0, NULL);
    restored(s, "web-05 web-06");
    assert_string_equal(story_flying(s, back), "web-03");
    story_verb(s, back, VERB_ABORT);

    struct rollout *again = story_verb(s, back, VERB_RETRY);

    assert_int_equal(again->retry_of, back->number);
    assert_false(again->is_fast);
    assert_string_equal(story_flying(s, again), "web-03");
    assert_int_equal(rollout_batch_limit(again), 1);
    restored(s, "web-03");
    assert_string_equal(story_flying(s, again), "web-04");
    restored(s, "web-04");
    assert_string_equal(story_wave_states(again), "passed soaking not_started");
    story_wait(s, MINUTE);
    assert_string_equal(story_wave_states(again), "passed gated not_started");
    story_promote(s, again, false);
    assert_string_equal(story_flying(s, again), "web-01 web-02");
}

static void test_a_restart_in_a_rollback_gives_the_same_state(void **state)
{
    struct story *s = *state;
    struct rollout *r = completed(s, "first 2; second 2 gate go; rest soak 60", 2);
    struct rollout *back = story_rollback_slowly(s, r->number, NULL);
    story_assert_survives(s);
    restored(s, "web-05");
    story_assert_survives(s);
    restored(s, "web-06");
    story_assert_survives(s);
    story_wait(s, MINUTE);
    restored(s, "web-03 web-04");
    story_assert_survives(s);
    back = story_newest(s);
    story_promote(s, back, false);

    story_assert_survives(s);
    back = story_newest(s);
    assert_string_equal(story_flying(s, back), "web-01 web-02");
    restored(s, "web-01 web-02");
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_members_go_back_in_reverse_order_of_their_waves),
        STORY(test_a_fast_rollback_makes_no_stop_between_waves),
        STORY(test_a_fast_rollback_counts_failures_of_all_waves_only),
        STORY(test_in_a_fast_rollback_any_member_shows_that_it_works),
        STORY(test_a_breach_is_rolled_back_fast),
        STORY(test_a_slow_rollback_takes_the_soaks_and_gates_of_its_source),
        STORY(test_a_slow_rollback_takes_the_limits_of_the_waves_but_no_barriers),
        STORY(test_a_slow_rollback_has_waves_that_touched_nobody),
        STORY(test_inherited_members_of_later_waves_take_slots_of_the_first),
        STORY(test_joiners_of_the_last_wave_go_back_first),
        STORY(test_members_go_back_with_the_wave_they_came_in_whatever_their_labels_are_now),
        STORY(test_members_that_only_an_older_rollout_touched_are_in_the_last_wave),
        STORY(test_each_of_repeated_rollbacks_knows_the_waves_of_its_source),
        STORY(test_a_configuration_of_the_rollback_itself_replaces_limits_and_keeps_gates),
        STORY(test_an_undecided_gate_of_a_rollback_pauses_or_ends_it),
        STORY(test_a_rollout_is_rolled_back_from_a_soak_a_gate_and_a_pause_at_it),
        STORY(test_a_retry_of_a_slow_rollback_is_as_slow),
        STORY(test_a_restart_in_a_rollback_gives_the_same_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
