/* SPDX-License-Identifier: Apache-2.0
 * test_deploy.c - admission, membership and the order of picks (spec of rollouts, 5.1, 6.1, 6.2).
 */
#include "core/story.h"

#include "base/suite.h"

#include <stdio.h>

/* ---- admission (D3 to D6) ------------------------------------------------------------------- */

static void test_a_second_rollout_is_refused_while_one_is_live(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    struct rollout *r = story_deploy(s, "env=prod", "2/b", NULL);
    struct deploy_command command = story_request(s, "env=dev", "2/b", NULL);
    struct rollout *other = NULL;
    uint64_t before = story_hash(s);

    story_command(s);
    assert_null(fleet_deploy(&s->fleet, &command, &other, &s->err));
    story_done(s);

    assert_int_equal(s->err.code, ERR_IN_PROGRESS);
    assert_ptr_equal(other, r);
    assert_true(story_hash(s) == before);
}

static void test_a_selector_without_match_leaves_no_record(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");

    assert_int_equal(story_try_deploy(s, "env=dev", "2/b", NULL), ERR_NO_MATCH);

    assert_int_equal(s->fleet.rollout_count, 0);
    assert_int_equal(s->fleet.live_count, 0);
    assert_int_equal(story_deploy(s, "env=prod", "2/b", NULL)->number, 1);
}

static void test_a_rollout_that_nobody_needs_completes_at_once(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "env=prod", "2/b");

    struct rollout *r = story_deploy(s, "env=prod", "2/b", NULL);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
    assert_int_equal(r->final.already_current, 3);
    assert_tally(r, 0, 0, 3, 0);
    assert_int_equal(story_changes(s, CHANGE_PICKED), 0);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_CREATED), 1);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_COMPLETED), 1);
}

static void test_a_rollout_picks_its_first_batch_at_once(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "env=prod", "1/a");
    struct rollout_config config = story_config(2, 1);

    struct rollout *r = story_deploy(s, "env=prod", "2/b", &config);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_tally(r, 3, 2, 0, 0);
    assert_int_equal(story_changes(s, CHANGE_PICKED), 2);
    assert_string_equal(story_wish(s, "web-01"), "2/b");
    assert_string_equal(story_wish(s, "web-03"), "/");
    assert_int_equal(story_instance(s, "web-01")->assignment.attempt, 1);
    assert_true(story_waits(s, r, WAITING_BATCH_FULL));
}

static void test_an_ended_rollout_lets_the_next_one_start(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "env=prod", "1/a");
    story_deploy(s, "env=prod", "2/b", NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    struct rollout *r = story_deploy(s, "env=prod", "3/c", NULL);

    assert_int_equal(r->number, 2);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_int_equal(story_instance(s, "web-01")->trail_count, 2);
}

static void test_disjoint_rollouts_run_side_by_side(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = 2;
    story_register(s, "a", "env=prod");
    story_register(s, "b", "env=dev");
    story_register(s, "c", "env=qa");
    struct rollout *prod = story_deploy(s, "env=prod", "2/b", NULL);

    assert_int_equal(story_try_deploy(s, "role=web", "2/b", NULL), ERR_OVERLAPPING);
    struct rollout *dev = story_deploy(s, "env=dev", "3/c", NULL);
    assert_int_equal(story_try_deploy(s, "env=qa", "2/b", NULL), ERR_IN_PROGRESS);

    story_say(s, "a", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(prod->state, ROLLOUT_COMPLETED);
    assert_int_equal(dev->state, ROLLOUT_RUNNING);
    assert_string_equal(story_wish(s, "b"), "3/c");
    story_say(s, "b", "3/c", INSTANCE_FAILED);
    assert_int_equal(dev->state, ROLLOUT_FAILED);
}

static void test_an_instance_may_move_from_one_live_rollout_to_another(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = 2;
    story_register(s, "a", "env=prod");
    story_register(s, "b", "env=dev");
    story_register(s, "x", "env=prod");
    struct rollout_config config = story_config(5, 1);
    struct rollout *prod = story_deploy(s, "env=prod", "2/b", &config);
    struct rollout *dev = story_deploy(s, "env=dev", "3/c", &config);

    story_say_labels(s, "x", "env=dev");

    assert_tally(prod, 0, 1, 0, 0);
    assert_tally(dev, 0, 2, 0, 0);
    assert_string_equal(story_wish(s, "x"), "3/c");
    assert_int_equal(story_changes(s, CHANGE_LEFT), 1);
    assert_int_equal(story_changes(s, CHANGE_JOINED), 1);
}

static void test_a_huge_batch_size_costs_no_memory(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    size_t bytes = s->memory.bytes;
    struct rollout_config config = story_config(LIMIT_AMOUNT, 1);

    struct rollout *r = story_deploy(s, "", "2/b", &config);

    assert_tally(r, 0, 3, 0, 0);
    assert_true(s->memory.bytes - bytes < 200000);
}

static void test_only_the_configuration_can_be_deployed(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    story_say(s, "web-02", "7/b", INSTANCE_HEALTHY);

    struct rollout *r = story_deploy(s, "", "-/b", NULL);

    assert_tally(r, 0, 1, 1, 0);
    assert_string_equal(story_wish(s, "web-01"), "/b");
    assert_string_equal(story_wish(s, "web-02"), "/b");
    story_say(s, "web-01", "9/b", INSTANCE_HEALTHY); /* the code is not compared */
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

/* ---- membership (A3 to A7) ------------------------------------------------------------------ */

static void test_a_member_failed_before_its_pick_does_not_fail_by_staying_so(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);

    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);

    assert_tally(r, 0, 1, 0, 0);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_reports_before_the_pick_do_not_count(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    assert_tally(r, 1, 1, 0, 0);
    assert_int_equal(story_member(s, "web-02"), MEMBER_PENDING);
}

static void test_wishes_of_ended_rollouts_are_withdrawn_at_the_next_start(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(3, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    struct verb_command abort = { .verb = VERB_ABORT, .finish_in_flight = true };
    struct rollout *same;
    story_command(s);
    assert_true(fleet_verb(&s->fleet, r, &abort, &same, NULL, &s->err));
    story_done(s);
    assert_string_equal(story_wish(s, "web-03"), "2/b");

    config = story_config(1, 1);
    story_deploy(s, "", "3/c", &config);

    assert_string_equal(story_wish(s, "web-01"), "3/c");
    assert_string_equal(story_wish(s, "web-02"), "1/a");
    assert_string_equal(story_wish(s, "web-03"), "1/a");
}

static void test_members_on_the_target_get_it_as_wish_without_a_slot(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);

    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    assert_tally(r, 0, 1, 1, 0);
    assert_string_equal(story_wish(s, "web-02"), "2/b");
    assert_int_equal(story_member(s, "web-02"), MEMBER_NOT_NEEDED);
    assert_int_equal(story_instance(s, "web-02")->assignment.rollout, 0);
}

static void test_a_joiner_stands_behind_all_original_members(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "env=prod", "1/a");
    struct rollout *r = story_deploy(s, "env=prod", "2/b", NULL);

    story_register(s, "aaa", "env=prod");
    story_say(s, "aaa", "1/a", INSTANCE_FAILED);

    assert_int_equal(rollout_tally(r)->total, 4);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(story_member(s, "web-02"), MEMBER_IN_PROGRESS);
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(story_member(s, "web-03"), MEMBER_IN_PROGRESS);
    story_say(s, "web-03", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(story_member(s, "aaa"), MEMBER_IN_PROGRESS);
}

static void test_a_joiner_is_no_joiner_of_the_next_rollout(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    story_register(s, "aaa", "");
    story_say(s, "aaa", "1/a", INSTANCE_HEALTHY);
    story_verb(s, r, VERB_ABORT);

    story_deploy(s, "", "3/c", NULL);

    assert_int_equal(story_member(s, "aaa"), MEMBER_IN_PROGRESS);
}

static void test_a_static_rollout_takes_nobody_in(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    story_register(s, "dev", "env=dev");
    struct rollout_config config = story_config(1, 1);
    config.dynamic = false;
    struct rollout *r = story_deploy(s, "env=prod", "2/b", &config);

    story_register(s, "new", "env=prod");
    story_say_labels(s, "dev", "env=prod");

    assert_int_equal(rollout_tally(r)->total, 2);
    assert_int_equal(story_member(s, "new"), MEMBER_NONE);
    assert_int_equal(story_member(s, "dev"), MEMBER_NONE);
    story_say(s, "new", "1/a", INSTANCE_HEALTHY);
    assert_int_equal(story_member(s, "new"), MEMBER_NONE);
}

static void test_a_deleted_member_leaves_all_counts_and_frees_its_slot(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    story_delete(s, "web-01");

    assert_int_equal(rollout_tally(r)->total, 2);
    assert_int_equal(story_member(s, "web-02"), MEMBER_IN_PROGRESS);
    story_delete(s, "web-03");
    story_delete(s, "web-02");
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->final.total, 0);
}

static void test_a_relabelled_member_leaves_and_keeps_its_wish(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    struct rollout *r = story_deploy(s, "env=prod", "2/b", NULL);

    story_say_labels(s, "web-01", "env=dev");

    assert_int_equal(rollout_tally(r)->total, 1);
    assert_string_equal(story_wish(s, "web-01"), "2/b");
    assert_int_equal(story_member(s, "web-02"), MEMBER_IN_PROGRESS);
}

static void test_a_member_that_left_and_came_back_is_tried_again(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    struct rollout_config config = story_config(2, 5);
    struct rollout *r = story_deploy(s, "env=prod", "2/b", &config);
    story_say_labels(s, "web-01", "env=dev");

    story_say_labels(s, "web-01", "env=prod");

    assert_tally(r, 0, 2, 0, 0);
    assert_int_equal(story_instance(s, "web-01")->assignment.attempt, 2);
    assert_int_equal(story_instance(s, "web-01")->trail_count, 1);
}

static void test_an_offline_member_relabelled_by_registration_is_online_again(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    story_silence(s, "web-02");
    struct rollout *r = story_deploy(s, "env=prod", "2/b", NULL);
    story_wait(s, 100 * SECOND);
    assert_int_equal(rollout_tally(r)->offline, 1);

    story_register(s, "web-02", "env=prod,zone=b");

    assert_int_equal(rollout_tally(r)->offline, 0);
    assert_int_equal(rollout_tally(r)->pending_online, 1);
}

static void test_a_pending_member_that_updates_itself_never_needed_it(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    story_say(s, "web-02", "2/b", INSTANCE_DEGRADED);
    assert_tally(r, 0, 1, 1, 0);
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);
    assert_tally(r, 1, 1, 0, 0);
}

/* ---- the order of picks, slots -------------------------------------------------------------- */

static void test_the_broken_are_picked_first_then_by_name(void **state)
{
    struct story *s = *state;
    story_fleet(s, 6, "", "1/a");
    story_say(s, "web-02", "1/a", INSTANCE_UNKNOWN);
    story_say(s, "web-03", "1/a", INSTANCE_DEGRADED);
    story_say(s, "web-04", "1/a", INSTANCE_FAILED);
    story_say(s, "web-06", "1/a", INSTANCE_FAILED);
    static const char *const order[] = {
        "web-04", "web-06", "web-03", "web-02", "web-01", "web-05"
    };

    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_int_equal(story_member(s, order[i]), MEMBER_IN_PROGRESS);
        story_say(s, order[i], "2/b", INSTANCE_HEALTHY);
    }
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_status_that_changes_moves_the_candidate(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    story_deploy(s, "", "2/b", NULL);

    story_say(s, "web-03", "1/a", INSTANCE_FAILED);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    assert_int_equal(story_member(s, "web-03"), MEMBER_IN_PROGRESS);
    assert_int_equal(story_member(s, "web-02"), MEMBER_PENDING);
}

static void test_names_are_ordered_bytewise(void **state)
{
    struct story *s = *state;
    story_register(s, "b", "");
    story_register(s, "a-10", "");
    story_register(s, "a-9", "");
    story_register(s, "Z", "");
    static const char *const order[] = { "Z", "a-10", "a-9", "b" };

    story_deploy(s, "", "2/b", NULL);

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(story_member(s, order[i]), MEMBER_IN_PROGRESS);
        story_say(s, order[i], "2/b", INSTANCE_HEALTHY);
    }
}

static void test_a_window_refills_each_slot_as_it_frees(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    assert_tally(r, 1, 2, 1, 0);
}

static void test_a_barrier_waits_for_the_whole_batch(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    config.mode = MODE_BARRIER;
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_tally(r, 2, 1, 1, 0);
    assert_true(story_waits(s, r, WAITING_BARRIER));

    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
    assert_tally(r, 0, 2, 2, 0);
}

static void test_a_batch_in_percent_is_rounded_down_but_at_least_one(void **state)
{
    struct story *s = *state;
    story_fleet(s, 7, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    config.batch_size = (struct amount){ .value = 30, .is_percent = true };
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    assert_tally(r, 5, 2, 0, 0); /* 2.1 */
    story_verb(s, r, VERB_ABORT);

    config.batch_size.value = 1;
    r = story_deploy(s, "", "2/b", &config);
    assert_tally(r, 6, 1, 0, 0); /* 0.07 */
}

static void test_a_threshold_in_percent_is_rounded_up(void **state)
{
    struct story *s = *state;
    story_fleet(s, 7, "", "1/a");
    struct rollout_config config = story_config(7, 1);
    config.failure_threshold = (struct amount){ .value = 15, .is_percent = true }; /* 1.05 */
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    assert_int_equal(rollout_threshold(r), 2);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
}

static void test_picks_do_not_count_as_decisions(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    uint32_t generation = r->generation;
    uint64_t revision = r->revision;

    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    assert_tally(r, 0, 1, 1, 0);
    assert_int_equal(r->generation, generation);
    assert_true(r->revision > revision);
    story_verb(s, r, VERB_PAUSE);
    assert_int_equal(r->generation, generation + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_second_rollout_is_refused_while_one_is_live),
        STORY(test_a_selector_without_match_leaves_no_record),
        STORY(test_a_rollout_that_nobody_needs_completes_at_once),
        STORY(test_a_rollout_picks_its_first_batch_at_once),
        STORY(test_an_ended_rollout_lets_the_next_one_start),
        STORY(test_disjoint_rollouts_run_side_by_side),
        STORY(test_an_instance_may_move_from_one_live_rollout_to_another),
        STORY(test_a_huge_batch_size_costs_no_memory),
        STORY(test_only_the_configuration_can_be_deployed),
        STORY(test_a_member_failed_before_its_pick_does_not_fail_by_staying_so),
        STORY(test_reports_before_the_pick_do_not_count),
        STORY(test_wishes_of_ended_rollouts_are_withdrawn_at_the_next_start),
        STORY(test_members_on_the_target_get_it_as_wish_without_a_slot),
        STORY(test_a_joiner_stands_behind_all_original_members),
        STORY(test_a_joiner_is_no_joiner_of_the_next_rollout),
        STORY(test_a_static_rollout_takes_nobody_in),
        STORY(test_a_deleted_member_leaves_all_counts_and_frees_its_slot),
        STORY(test_a_relabelled_member_leaves_and_keeps_its_wish),
        STORY(test_a_member_that_left_and_came_back_is_tried_again),
        STORY(test_an_offline_member_relabelled_by_registration_is_online_again),
        STORY(test_a_pending_member_that_updates_itself_never_needed_it),
        STORY(test_the_broken_are_picked_first_then_by_name),
        STORY(test_a_status_that_changes_moves_the_candidate),
        STORY(test_names_are_ordered_bytewise),
        STORY(test_a_window_refills_each_slot_as_it_frees),
        STORY(test_a_barrier_waits_for_the_whole_batch),
        STORY(test_a_batch_in_percent_is_rounded_down_but_at_least_one),
        STORY(test_a_threshold_in_percent_is_rounded_up),
        STORY(test_picks_do_not_count_as_decisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
