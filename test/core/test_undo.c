/* SPDX-License-Identifier: Apache-2.0
 * test_undo.c - rounds that are taken back, and the derived state built anew. */
#include "core/place.h"
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct story *begun(void **state)
{
    struct story *s = *state;
    s->keeps_rounds_open = true;
    return s;
}

static void settle(struct story *s)
{
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
}

static void assert_same(const struct story *s, const char *before)
{
    char *after = story_dump(s);
    story_assert_same(before, after);
    free(after);
}

/* Takes back what is not settled; the state must be `before`, which is freed. */
static void undo_to(struct story *s, char *before)
{
    story_undo(s);
    assert_same(s, before);
    free(before);
}

static void test_a_registration_is_taken_back(void **state)
{
    struct story *s = begun(state);
    story_register(s, "a", "env=prod");
    settle(s);
    char *before = story_dump(s);

    story_register(s, "b", "env=dev");
    story_say(s, "b", "1/a", INSTANCE_HEALTHY);
    story_say_labels(s, "a", "env=qa");

    undo_to(s, before);
    assert_int_equal(fleet_find(&s->fleet, TEXT("b")), FLEET_NONE);
}

static void test_a_deletion_is_taken_back(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 2, "env=prod", "1/a");
    story_deploy(s, "", "2/b", NULL);
    settle(s);
    char *before = story_dump(s);

    story_delete(s, "web-01");
    story_register(s, "web-01", "env=new");
    fleet_end_round(&s->fleet);
    story_delete(s, "web-01");

    undo_to(s, before);
    assert_string_equal(story_wish(s, "web-01"), "2/b");
}

static void test_a_deploy_is_taken_back_and_its_number_given_again(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 3, "", "1/a");
    settle(s);
    char *before = story_dump(s);
    story_deploy(s, "", "2/b", NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    uint64_t next_index = s->fleet.next_index;

    undo_to(s, before);

    assert_true(s->fleet.next_index < next_index);
    assert_int_equal(story_deploy(s, "", "3/c", NULL)->number, 1);
}

static void test_closed_rounds_are_taken_back_with_the_open_one(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 3, "", "1/a");
    settle(s);
    char *before = story_dump(s);

    story_deploy(s, "", "2/b", NULL);
    fleet_end_round(&s->fleet);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    fleet_end_round(&s->fleet);
    story_say(s, "web-02", "2/b", INSTANCE_FAILED);

    undo_to(s, before);
}

static void test_a_settled_round_stays(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 3, "", "1/a");
    story_deploy(s, "", "2/b", NULL);
    uint64_t first = fleet_end_round(&s->fleet);
    char *before = story_dump(s);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    fleet_end_round(&s->fleet);
    fleet_settle(&s->fleet, first);

    undo_to(s, before);

    assert_string_equal(story_wish(s, "web-01"), "2/b");
}

static void test_the_end_of_a_rollout_is_taken_back(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    settle(s);
    char *before = story_dump(s);

    story_say(s, "web-02", "2/b", INSTANCE_FAILED); /* fails, and is rolled back */
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);

    undo_to(s, before);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_tally(r, 0, 2, 1, 0);
}

static void test_members_of_a_rollout_that_came_back_are_its_members_again(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    story_say(s, "web-03", "1/a", INSTANCE_DEGRADED); /* its record is newer than the rollout */
    story_register(s, "aaa", "");                     /* a joiner */
    settle(s);
    char *before = story_dump(s);

    story_verb(s, r, VERB_ABORT);
    fleet_end_round(&s->fleet);
    story_deploy(s, "", "3/c", NULL);

    undo_to(s, before);
    assert_int_equal(rollout_tally(r)->total, 4);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(story_member(s, "web-03"), MEMBER_IN_PROGRESS);
}

static void test_a_joiner_taken_over_by_a_rollback_is_a_joiner_again(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_register(s, "aaa", "");
    story_say(s, "aaa", "1/a", INSTANCE_HEALTHY);
    settle(s);
    char *before = story_dump(s);

    story_rollback(s, r->number, NULL);

    undo_to(s, before);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(story_member(s, "aaa"), MEMBER_PENDING);
}

static void test_a_pause_is_taken_back(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    settle(s);
    char *before = story_dump(s);

    story_verb(s, r, VERB_PAUSE);
    story_pass(s, MINUTE);
    story_verb(s, r, VERB_RESUME);

    undo_to(s, before);
}

static void test_a_forgotten_rollout_comes_back(void **state)
{
    struct story *s = begun(state);
    s->fleet.settings.rollouts_kept = 2;
    story_fleet(s, 1, "", "1/a");
    for (unsigned i = 0; i < 4; i++) {
        story_deploy(s, "", i % 2 ? "3/c" : "2/b", NULL);
        story_say(s, "web-01", i % 2 ? "3/c" : "2/b", INSTANCE_HEALTHY);
        settle(s);
    }
    s->now += HOUR;
    story_say(s, "web-01", "", SAME);
    settle(s);
    char *before = story_dump(s);
    uint32_t count = s->fleet.rollout_count;

    s->fleet.pruned_at = 0;
    story_deploy(s, "", "4/d", NULL);
    story_say(s, "web-01", "4/d", INSTANCE_HEALTHY);
    fleet_end_round(&s->fleet);
    story_tick(s);
    assert_true(s->fleet.rollout_count < count + 1);

    undo_to(s, before);
}

static void test_old_rollouts_are_forgotten_but_not_what_a_rollback_needs(void **state)
{
    struct story *s = *state;
    s->fleet.settings.rollouts_kept = 3;
    story_fleet(s, 1, "", "1/a");
    static const char *const versions[] = { "2/b", "3/c", "4/d", "5/e", "6/f", "7/g" };
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        story_deploy(s, "", versions[i], NULL);
        story_say(s, "web-01", versions[i], INSTANCE_HEALTHY);
    }

    story_wait(s, 3 * MINUTE);

    assert_int_equal(s->fleet.rollout_count, 3);
    assert_int_equal(s->fleet.rollouts[0]->number, 4);
    struct rollout *back = story_rollback(s, 0, NULL);
    assert_int_equal(back->restores, 5);
    s->fleet.settings.rollouts_kept = 0;
    story_wait(s, 2 * MINUTE);
    assert_non_null(fleet_rollout(&s->fleet, 5));
    assert_non_null(fleet_rollout(&s->fleet, 6));
    assert_ptr_equal(story_newest(s), back);
}

static void test_a_rollout_that_has_just_failed_is_not_forgotten_for_old_ones(void **state)
{
    struct story *s = *state;
    s->fleet.settings.rollouts_kept = 2;
    story_register(s, "a", "zone=a");
    story_register(s, "b", "zone=b");
    story_register(s, "c", "zone=c");
    story_deploy(s, "zone=a", "2/b", NULL);
    story_say(s, "a", "2/b", INSTANCE_HEALTHY);
    story_deploy(s, "zone=b", "2/b", NULL);
    story_say(s, "b", "2/b", INSTANCE_HEALTHY);
    story_deploy(s, "zone=c", "2/b", NULL);

    story_wait(s, 10 * MINUTE); /* past the instance deadline */

    assert_int_equal(s->fleet.rollout_count, 3);
    assert_int_equal(story_newest(s)->state, ROLLOUT_FAILED);
}

/* K7: the first commit of a server that has just started may be refused too. */
static void test_deadlines_stay_moved_by_an_outage_when_the_round_is_taken_back(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    s->keeps_rounds_open = true;
    story_restart(s, HOUR);
    int64_t deadline = story_instance(s, "web-01")->assignment.deadline_at;
    assert_int_equal(deadline, STORY_BEGIN + 10 * MINUTE + HOUR);

    story_undo(s);
    story_undo(s);

    assert_int_equal(story_instance(s, "web-01")->assignment.deadline_at, deadline);
    assert_true(fleet_is_dirty(&s->fleet));
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
    story_say(s, "web-01", "1/a", INSTANCE_DEGRADED);
    story_undo(s);
    assert_int_equal(story_instance(s, "web-01")->assignment.deadline_at, deadline);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
}

static void test_a_wish_that_nobody_else_remembers_can_be_replaced(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 1, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    settle(s);
    story_say(s, "web-01", "9/z", INSTANCE_DEGRADED);
    struct rollout *back = story_rollback(s, r->number, NULL); /* from 9/z to 1/a */
    struct verb_command abort = { .verb = VERB_ABORT, .finish_in_flight = true };
    story_command(s);
    assert_true(fleet_verb(&s->fleet, back, &abort, &back, NULL, &s->err));
    story_done(s);
    story_say(s, "web-01", "5/y", INSTANCE_HEALTHY);

    story_deploy(s, "", "3/c", NULL); /* takes the wish back to 9/z, then replaces it */

    assert_string_equal(story_wish(s, "web-01"), "3/c");
    assert_int_equal(story_changes(s, CHANGE_PICKED), 1);
}

/* ---- step by step --------------------------------------------------------------------------- */

/* A story of waves, gates, domains, a floor, a freeze and a slow rollback, one command at a time.
 * Each step begins at its second of the story, and so does the same step when it is told again. */
struct step {
    int64_t second;
    void (*tell)(struct story *s);
};

/* All that happens before the instant of a step. */
static void pass_to(struct story *s, const struct step *step)
{
    int64_t begin = STORY_BEGIN + step->second * SECOND;
    if (s->now < begin)
        story_wait(s, begin - 1 - s->now);
    s->now = begin;
}

static void deploys(struct story *s)
{
    struct rollout_config config = story_config(3, 5);
    config.min_available.value = 3;
    story_waves(s, &config,
                "one 2 soak 60 gate try dry gate go timeout 60; b [zone=b] batch 2;"
                "rest gate end");
    story_domains(s, &config, "zone max 1; rack fail 3");
    story_deploy(s, "zone", "2/b", &config);
}

static void first_completes(struct story *s)
{
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
}

static void second_fails_and_the_wave_soaks(struct story *s)
{
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    assert_int_equal(story_newest(s)->wave_state, WAVE_SOAKING);
}

static void retries(struct story *s)
{
    story_verb(s, story_newest(s), VERB_RETRY);
    assert_int_equal(story_newest(s)->wave_state, WAVE_RUNNING);
}

static void second_completes(struct story *s)
{
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
}

static void pauses(struct story *s)
{
    story_verb(s, story_newest(s), VERB_PAUSE);
}

static void resumes(struct story *s)
{
    story_verb(s, story_newest(s), VERB_RESUME);
}

static void soak_ends(struct story *s)
{
    story_tick(s);
    assert_int_equal(story_newest(s)->wave_state, WAVE_GATED);
    assert_int_equal(story_newest(s)->gate, 1);
}

static void gate_times_out(struct story *s)
{
    story_tick(s);
    assert_int_equal(story_newest(s)->state, ROLLOUT_PAUSED);
}

static void resumes_the_gate(struct story *s)
{
    story_verb(s, story_newest(s), VERB_RESUME);
    assert_int_equal(story_newest(s)->gate_state, GATE_WAITING);
}

static void promotes(struct story *s)
{
    story_promote(s, story_newest(s), false);
}

static void moves_to_another_zone(struct story *s)
{
    assert_string_equal(story_flying(s, story_newest(s)), "web-05");
    story_say_labels(s, "web-05", "zone=new,rack=7");
    assert_string_equal(story_flying(s, story_newest(s)), "web-05 web-06");
}

static void another_joins(struct story *s)
{
    story_register(s, "aaa", "zone=b,rack=9");
}

static void one_in_flight_leaves(struct story *s)
{
    story_delete(s, "web-06");
    assert_string_equal(story_flying(s, story_newest(s)), "web-05 web-07");
}

/* Heard now for the last time. */
static void fall_silent(struct story *s, const char *names)
{
    struct text rest = text_from(names);
    struct text part;
    while (text_cut(&rest, ' ', &part)) {
        char name[16];
        snprintf(name, sizeof name, "%.*s", TEXT_ARG(part));
        story_say(s, name, "", SAME);
        story_silence(s, name);
    }
}

static void nothing_happens(struct story *s)
{
    story_tick(s);
}

static void most_say_nothing_more(struct story *s)
{
    fall_silent(s, "crowd-1 crowd-2 crowd-3 web-03 web-04 web-08");
}

static void most_are_missed(struct story *s)
{
    assert_false(silence_is_frozen(&s->fleet));
    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
}

static void updates_in_the_freeze(struct story *s)
{
    story_say(s, "web-05", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-07", "2/b", INSTANCE_FAILED);
}

static void most_come_back(struct story *s)
{
    story_say(s, "crowd-1", "", SAME);
    story_say(s, "crowd-2", "", SAME);
    story_say(s, "web-04", "", SAME);
    story_say(s, "web-03", "", SAME);
    assert_false(silence_is_frozen(&s->fleet));
    assert_int_equal(story_newest(s)->open_wave, 2);
}

static void rolls_back_slowly(struct story *s)
{
    story_rollback_slowly(s, story_newest(s)->number, NULL);
}

static void goes_back(struct story *s)
{
    story_say(s, "web-07", "1/a", INSTANCE_HEALTHY);
}

static void most_say_nothing_more_again(struct story *s)
{
    fall_silent(s, "crowd-1 crowd-2 web-01 web-03 web-04");
}

static void aborts_in_the_freeze(struct story *s)
{
    story_verb(s, story_newest(s), VERB_ABORT);
}

static void deploys_in_the_freeze(struct story *s)
{
    deploys(s);
    assert_true(story_newest(s)->frozen_at != 0);
}

static const struct step steps[] = {
    { 0, deploys },
    { 1, first_completes },
    { 2, second_fails_and_the_wave_soaks },
    { 30, retries },
    { 31, second_completes },
    { 51, pauses },
    { 71, resumes },
    { 111, soak_ends },
    { 171, gate_times_out },
    { 180, resumes_the_gate },
    { 190, promotes },
    { 191, moves_to_another_zone },
    { 192, another_joins },
    { 193, one_in_flight_leaves },
    { 200, most_say_nothing_more },
    { 290, most_are_missed },
    { 300, updates_in_the_freeze },
    { 310, most_come_back },
    { 311, rolls_back_slowly },
    { 312, goes_back },
    { 320, most_say_nothing_more_again },
    { 410, most_are_missed },
    { 411, aborts_in_the_freeze },
    { 412, deploys_in_the_freeze },
    { 413, nothing_happens },
};

static void zoned_fleet(struct story *s)
{
    story_crowd(s);
    story_fleet(s, 8, "zone=a,rack=1", "1/a");
    story_say_labels(s, "web-05", "zone=b");
    story_say_labels(s, "web-06", "zone=b,rack=2");
    story_say_labels(s, "web-07", "zone=b,!rack");
}

static void test_each_step_is_taken_back_and_gives_the_same_when_it_is_told_again(void **state)
{
    struct story *s = *state;
    zoned_fleet(s);

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        pass_to(s, &steps[i]);
        s->keeps_rounds_open = true;
        char *before = story_dump(s);
        steps[i].tell(s);
        char *after = story_dump(s);
        undo_to(s, before);
        steps[i].tell(s);
        assert_same(s, after);
        settle(s);
        s->keeps_rounds_open = false;
        free(after);
    }
}

/* Only live rollouts remember a freeze; without any it is noticed anew, if at all. */
static bool remembers(const struct story *s)
{
    return s->fleet.live_count > 0 || !silence_is_frozen(&s->fleet);
}

static void test_each_step_survives_a_restart(void **state)
{
    struct story *s = *state;
    zoned_fleet(s);

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        pass_to(s, &steps[i]);
        steps[i].tell(s);
        if (remembers(s))
            story_assert_survives(s);
    }
}

static void test_all_steps_are_the_same_for_servers_that_take_over_after_each(void **state)
{
    struct story *s = *state;
    struct story *other = story_new(NULL, 99);
    zoned_fleet(s);
    zoned_fleet(other);

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        pass_to(s, &steps[i]);
        steps[i].tell(s);
        pass_to(other, &steps[i]);
        steps[i].tell(other);
        char *dump = story_dump(s);
        assert_same(other, dump);
        if (remembers(other))
            story_reload(other, 0);
        assert_same(other, dump);
        free(dump);
    }

    story_free(other);
}

/* What the engine writes: each changed record once, deletions first for a key used again. */
struct seen {
    unsigned puts, deletes, rollouts;
};

static void note(void *ctx, const struct fleet_dirty *dirty)
{
    struct seen *seen = ctx;
    if (dirty->slot == FLEET_NONE)
        seen->rollouts++;
    else if (dirty->is_delete)
        seen->deletes++;
    else
        seen->puts++;
}

static void test_each_changed_record_is_dirty_once(void **state)
{
    struct story *s = begun(state);
    story_fleet(s, 4, "", "1/a");
    settle(s);
    struct seen seen = { 0 };
    assert_false(fleet_is_dirty(&s->fleet));

    story_deploy(s, "", "2/b", NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_delete(s, "web-04");
    fleet_each_dirty(&s->fleet, note, &seen);

    assert_true(fleet_is_dirty(&s->fleet));
    assert_int_equal(seen.puts, 2); /* web-01 and web-02 */
    assert_int_equal(seen.deletes, 1);
    assert_int_equal(seen.rollouts, 1);
    fleet_end_round(&s->fleet);
    assert_false(fleet_is_dirty(&s->fleet));
}

static void test_building_anew_gives_the_same(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout_config config = story_config(2, 3);
    config.min_healthy_ms = MINUTE;
    story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-02", "2/b", INSTANCE_FAILED);
    story_register(s, "aaa", "");
    story_say(s, "web-05", "2/b", INSTANCE_HEALTHY);
    char *before = story_dump(s);

    place_rebuild(&s->fleet);

    assert_same(s, before);
    story_check(s);
    story_restart(s, 0);
    story_check(s);
    free(before);
}

static void test_a_place_that_is_wrong_is_noticed(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    struct err what = { .code = ERR_NONE };
    uint32_t slot = fleet_find(&s->fleet, TEXT("web-02"));

    r->live->tally.pending++;
    assert_true(place_check(&s->fleet, &what) > 0);
    r->live->tally.pending--;
    s->fleet.tally.online--;
    assert_true(place_check(&s->fleet, &what) > 0);
    s->fleet.tally.online++;
    fleet_at(&s->fleet, slot)->status = INSTANCE_FAILED;
    assert_true(place_check(&s->fleet, &what) > 0);
    fleet_at(&s->fleet, slot)->status = INSTANCE_HEALTHY;
    timers_clear(&s->fleet.timers, slot);
    assert_true(place_check(&s->fleet, &what) > 0);
    place_arm(&s->fleet, slot);

    assert_int_equal(place_check(&s->fleet, &what), 0);
}

static void test_the_background_check_goes_round(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct err what = { .code = ERR_NONE };
    uint32_t cursor = 0;
    uint32_t slot = fleet_find(&s->fleet, TEXT("web-04"));

    assert_int_equal(place_check_some(&s->fleet, &cursor, 3, &what), 0);
    assert_int_equal(cursor, 3);
    fleet_at(&s->fleet, slot)->status = INSTANCE_FAILED;
    assert_true(place_check_some(&s->fleet, &cursor, 3, &what) > 0);
    assert_int_equal(place_check_some(&s->fleet, &cursor, 3, &what), 0);
    fleet_at(&s->fleet, slot)->status = INSTANCE_HEALTHY;
    assert_int_equal(cursor, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_registration_is_taken_back),
        STORY(test_a_deletion_is_taken_back),
        STORY(test_a_deploy_is_taken_back_and_its_number_given_again),
        STORY(test_closed_rounds_are_taken_back_with_the_open_one),
        STORY(test_a_settled_round_stays),
        STORY(test_the_end_of_a_rollout_is_taken_back),
        STORY(test_members_of_a_rollout_that_came_back_are_its_members_again),
        STORY(test_a_joiner_taken_over_by_a_rollback_is_a_joiner_again),
        STORY(test_a_pause_is_taken_back),
        STORY(test_a_forgotten_rollout_comes_back),
        STORY(test_old_rollouts_are_forgotten_but_not_what_a_rollback_needs),
        STORY(test_a_rollout_that_has_just_failed_is_not_forgotten_for_old_ones),
        STORY(test_deadlines_stay_moved_by_an_outage_when_the_round_is_taken_back),
        STORY(test_a_wish_that_nobody_else_remembers_can_be_replaced),
        STORY(test_each_step_is_taken_back_and_gives_the_same_when_it_is_told_again),
        STORY(test_each_step_survives_a_restart),
        STORY(test_all_steps_are_the_same_for_servers_that_take_over_after_each),
        STORY(test_each_changed_record_is_dirty_once),
        STORY(test_building_anew_gives_the_same),
        STORY(test_a_place_that_is_wrong_is_noticed),
        STORY(test_the_background_check_goes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
