/* SPDX-License-Identifier: Apache-2.0
 * test_corners.c - where rules that are simple by themselves meet: members that move between
 * rollouts, servers that hold still, records that no sound server writes, and limits. */
#include "core/place.h"
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>

/* ---- members that move ---------------------------------------------------------------------- */

static struct story *two_rollouts(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = 2;
    story_register(s, "mover", "zone=a");
    story_say(s, "mover", "1/a", INSTANCE_HEALTHY);
    story_register(s, "other-a", "zone=a");
    story_say(s, "other-a", "1/a", INSTANCE_HEALTHY);
    story_register(s, "other-b", "zone=b");
    story_say(s, "other-b", "1/a", INSTANCE_HEALTHY);
    return s;
}

static void test_a_member_back_from_elsewhere_keeps_what_it_ran_before_the_first_order(void **state)
{
    struct story *s = two_rollouts(state);
    struct rollout_config config = story_config(1, 5);
    struct rollout *a = story_deploy(s, "zone=a", "2/b", &config);
    story_say(s, "mover", "2/b", INSTANCE_HEALTHY);
    struct rollout *b = story_deploy(s, "zone=b", "3/c", &config);
    story_say_labels(s, "mover", "zone=b");
    story_say(s, "other-b", "3/c", INSTANCE_HEALTHY);
    assert_string_equal(story_wish(s, "mover"), "3/c");
    story_say(s, "mover", "3/c", INSTANCE_HEALTHY);
    assert_int_equal(b->state, ROLLOUT_COMPLETED);
    story_rollback(s, b->number, NULL);
    story_say(s, "other-b", "1/a", INSTANCE_HEALTHY);
    story_say(s, "mover", "1/x", INSTANCE_HEALTHY);

    story_say_labels(s, "mover", "zone=a");
    story_say(s, "other-a", "2/b", INSTANCE_HEALTHY);

    const struct instance *mover = story_instance(s, "mover");
    assert_int_equal(story_member(s, "mover"), MEMBER_IN_PROGRESS);
    assert_int_equal(mover->trail_count, 1);
    assert_int_equal(mover->trail[0].rollout, a->number);
    assert_text(fleet_text(&s->fleet, mover->trail[0].previous.config), "a");
}

static void test_a_second_attempt_whose_wish_was_withdrawn_is_told_once(void **state)
{
    struct story *s = two_rollouts(state);
    struct rollout_config config = story_config(1, 5);
    story_deploy(s, "zone=a", "2/b", &config);
    story_say_labels(s, "mover", "zone=c");
    story_register(s, "early", "zone=c");
    story_deploy(s, "zone=c", "3/c", &config); /* withdraws the wish of a member that waits */
    assert_string_equal(story_wish(s, "mover"), "1/a");
    uint32_t generation = story_instance(s, "mover")->generation;
    story_say(s, "other-a", "2/b", INSTANCE_FAILED);

    story_say_labels(s, "mover", "zone=a");

    assert_int_equal(story_member(s, "mover"), MEMBER_IN_PROGRESS);
    assert_int_equal(story_instance(s, "mover")->assignment.attempt, 2);
    assert_string_equal(story_wish(s, "mover"), "2/b");
    assert_int_equal(story_instance(s, "mover")->generation, generation + 1);
}

static void test_attempts_are_counted_up_to_their_limit(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    config.on_leftover = ON_LEFTOVER_FAIL;
    struct rollout *r = story_one(s, &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_instance(s, "web-01")->assignment.attempt = LIMIT_ATTEMPT;

    story_verb(s, r, VERB_RETRY);

    assert_int_equal(story_member(s, "web-01"), MEMBER_IN_PROGRESS);
    assert_int_equal(story_instance(s, "web-01")->assignment.attempt, LIMIT_ATTEMPT);
}

static void test_an_order_that_was_never_given_says_nothing_after_the_end(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 5);
    story_fleet(s, 3, "zone=a", "1/a");
    struct rollout *r = story_deploy(s, "zone=a", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_say_labels(s, "web-01", "zone=b");
    story_say_labels(s, "web-01", "zone=a"); /* again a member, which runs it already */
    assert_int_equal(story_member(s, "web-01"), MEMBER_NOT_NEEDED);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    story_verb(s, r, VERB_PAUSE);
    story_verb(s, r, VERB_RETRY);
    assert_int_equal(story_member(s, "web-02"), MEMBER_PENDING);

    story_verb(s, r, VERB_ABORT);

    assert_int_equal(fleet_update_state(&s->fleet, story_instance(s, "web-01")), MEMBER_NONE);
    assert_int_equal(fleet_update_state(&s->fleet, story_instance(s, "web-02")), MEMBER_NONE);
}

static void test_one_without_a_name_keeps_the_address_that_it_is_known_by(void **state)
{
    struct story *s = *state;
    story_try_register(s, NULL, "10.0.0.1", "");

    enum err_code code = story_try_register(s, "10.0.0.1", "10.0.0.2", "");

    assert_int_equal(code, ERR_NONE);
    assert_text(instance_ip(story_instance(s, "10.0.0.1")), "10.0.0.1");
    assert_int_equal(s->fleet.instance_count, 1);
}

static void test_the_same_address_again_is_no_change(void **state)
{
    struct story *s = *state;
    story_try_register(s, "web-01", "10.0.0.1", "zone=a");

    story_try_register(s, "web-01", "10.0.0.1", "zone=a");

    assert_int_equal(story_changes(s, CHANGE_UPDATED), 0);
    story_try_register(s, "web-01", "10.0.0.2", "zone=a");
    assert_int_equal(story_changes(s, CHANGE_UPDATED), 1);
    assert_text(instance_ip(story_instance(s, "web-01")), "10.0.0.2");
}

static void test_a_late_report_of_one_that_is_done_counts(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_fleet(s, 2, "", "1/a");
    story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    story_say_late(s, "web-01", "2/b", INSTANCE_FAILED);

    assert_int_equal(story_member(s, "web-01"), MEMBER_FAILED);
}

/* ---- domains -------------------------------------------------------------------------------- */

static bool waits_for(const struct story *s, const struct rollout *r, enum waiting_reason wanted)
{
    struct waiting list[WAITING_REASON_COUNT];
    size_t count = waiting_list(&s->fleet, r, list);
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found |= list[i].reason == wanted;
    return found;
}

static void test_a_domain_that_has_room_again_is_not_waited_for(void **state)
{
    struct story *s = *state;
    story_crowd(s);
    for (unsigned i = 1; i <= 30; i++) {
        char name[16], labels[32];
        snprintf(name, sizeof name, "web-%02u", i);
        snprintf(labels, sizeof labels, "zone=a,rack=%u", i);
        story_register(s, name, labels);
        story_say(s, name, "1/a", INSTANCE_HEALTHY);
    }
    struct rollout_config config = story_config(9, 5);
    config.min_available = (struct amount){ .value = 28 };
    story_domains(s, &config, "zone max 1; rack max 1");
    struct rollout *r = story_deploy(s, "zone", "2/b", &config);
    assert_string_equal(story_flying(s, r), "web-01");
    assert_true(waits_for(s, r, WAITING_DOMAIN_CAP));
    story_silence(s, "web-29");
    story_silence(s, "web-30");
    story_wait(s, 100 * SECOND);

    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    assert_string_equal(story_flying(s, r), "");
    assert_true(waits_for(s, r, WAITING_MIN_AVAILABLE));
    assert_false(waits_for(s, r, WAITING_DOMAIN_CAP));
}

/* Instances i-00000 and so on, each in a rack of its own. Without the story, which would look at
 * all of them after each. */
static void many(struct story *s, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "i-%05u", i);
        struct label_change label = { TEXT("rack"), text_from(name), false };
        struct register_command command = {
            .name = text_from(name), .labels = &label, .label_count = 1, .has_labels = true
        };
        struct register_result result;
        s->now += i % 8 == 0 ? 1 : 0;
        story_command(s);
        assert_true(fleet_register(&s->fleet, &command, &result, &s->err));
    }
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
}

static void test_values_beyond_the_limit_are_one_domain(void **state)
{
    struct story *s = *state;
    struct fleet *fleet = &s->fleet;
    const uint32_t beyond = 3;
    many(s, LIMIT_DOMAIN_CELLS + beyond);
    struct rollout_config config = story_config(LIMIT_INSTANCES, 1);
    story_domains(s, &config, "rack max 1");
    struct deploy_command command = story_request(s, "", "2/b", &config);
    story_command(s);

    struct rollout *r = fleet_deploy(fleet, &command, NULL, &s->err);

    assert_non_null(r);
    const struct lots *lots = &r->live->lots;
    assert_int_equal(lots->cell_count, LIMIT_DOMAIN_CELLS + 1);
    assert_int_equal(lots->cells[LIMIT_DOMAIN_CELLS].value, LABELS_ABSENT);
    assert_int_equal(lots->cells[LIMIT_DOMAIN_CELLS].tally.total, beyond);
    assert_int_equal(rollout_tally(r)->in_progress, LIMIT_DOMAIN_CELLS + 1);
}

static void test_a_large_fleet_that_falls_silent_is_offline_with_the_ticks(void **state)
{
    struct story *s = *state;
    many(s, 20000);
    s->now += 2 * MINUTE;
    bool more = true;
    unsigned ticks = 0;

    for (; more; ticks++) {
        story_command(s);
        more = fleet_tick(&s->fleet, &s->err);
        fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
    }

    assert_int_equal(s->fleet.tally.online, 0);
    assert_true(ticks > 1 && s->fleet.timers.openings > 0);
    uint32_t slot = 77;
    assert_int_equal(fleet_list(&s->fleet, FLEET_NONE, &slot, 1), 0);
    assert_int_equal(slot, 77);
}

/* ---- servers that hold still ---------------------------------------------------------------- */

static void test_a_server_that_is_held_starts_rollouts_and_picks_nobody(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    s->fleet.is_held = true;

    struct rollout *r = story_deploy(s, "", "2/b", NULL);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_string_equal(story_flying(s, r), "");
    assert_true(waits_for(s, r, WAITING_HELD));
    s->fleet.is_held = false;
    story_tick(s);
    assert_string_equal(story_flying(s, r), "web-01");
}

static void test_a_breach_while_held_is_judged_before_the_rollout_completes(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    config.leftover_timeout_ms = SECOND;
    config.on_leftover = ON_LEFTOVER_COMPLETE;
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    s->fleet.is_held = true;
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    story_wait(s, MINUTE);
    assert_int_equal(r->state, ROLLOUT_RUNNING);

    s->fleet.is_held = false;
    story_tick(s);
    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_a_gate_that_ran_out_of_time_while_held_cannot_be_promoted(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    story_waves(s, &config, "one 1 gate go timeout 30 fails; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    s->fleet.is_held = true;
    s->now += MINUTE;
    story_tick(s);
    assert_int_equal(r->gate_state, GATE_INCONCLUSIVE);

    enum err_code code = story_try_verb(s, r, VERB_PROMOTE);

    assert_int_equal(code, ERR_NOTHING_TO_PROMOTE);
    s->fleet.is_held = false;
    story_tick(s);
    assert_int_equal(r->state, ROLLOUT_FAILED);
}

static void test_a_soak_is_promoted_once_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    story_waves(s, &config, "one 1 soak 600; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    for (unsigned i = 2; i <= 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%02u", i);
        story_silence(s, name);
    }
    story_wait(s, 2 * MINUTE);
    assert_true(silence_is_frozen(&s->fleet));
    story_promote(s, r, false);

    enum err_code again = story_try_verb(s, r, VERB_PROMOTE);

    assert_int_equal(again, ERR_NOTHING_TO_PROMOTE);
    assert_int_equal(r->wave_state, WAVE_SOAKING);
}

/* ---- records that no sound server writes ---------------------------------------------------- */

static void test_a_wave_beyond_the_last_is_read_as_the_last(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    story_waves(s, &config, "one 1; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-02", "1/a", INSTANCE_DEGRADED); /* written since the start */
    story_instance(s, "web-02")->wave = 200;

    story_restart(s, 0);

    assert_string_equal(story_wave_members(s, r, 1), "web-02 web-03");
}

static void test_an_order_without_a_state_is_derived_anew(void **state)
{
    struct story *s = *state;
    story_one(s, NULL);
    story_instance(s, "web-01")->assignment.state = MEMBER_NONE;

    s->in_flight[1] = 0;
    story_restart(s, 0);

    assert_int_equal(s->err.code, ERR_NONE);
    assert_int_not_equal(story_member(s, "web-01"), MEMBER_NONE);
}

static void test_a_trail_that_names_no_wave_of_the_rollback_goes_last(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1; rest");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say_all(s, "web-01 web-02", "2/b", INSTANCE_HEALTHY);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    story_instance(s, "web-02")->trail_waves[0] = 99;

    struct rollout *back = story_rollback(s, r->number, NULL);

    assert_string_equal(story_wave_members(s, back, 1), "web-01 web-02");
}

static void test_one_that_fell_silent_in_the_future_is_counted_nowhere(void **state)
{
    struct story *s = *state;
    story_crowd(s);
    story_fleet(s, 1, "", "1/a");
    story_silence(s, "web-01");
    story_wait(s, 2 * MINUTE);
    assert_false(story_is_online(s, "web-01"));
    story_instance(s, "web-01")->offline_at = s->now + HOUR;

    story_restart(s, 0);

    uint32_t fell = 0;
    for (size_t i = 0; i < SILENCE_SLICES; i++)
        fell += s->fleet.silence.fell[i];
    assert_int_equal(fell, 0);
}

static void test_a_rollback_whose_source_is_gone_restores_what_it_names_itself(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 5);
    story_deploy(s, "", "2/b", &config);
    story_say_all(s, "web-01 web-02", "2/b", INSTANCE_HEALTHY);
    story_deploy(s, "", "3/c", &config);
    story_say_all(s, "web-01 web-02", "3/c", INSTANCE_HEALTHY);
    config.batch_size.value = 1;
    struct rollback_command command = { .number = 2, .config = &config, .is_fast = true };
    story_command(s);
    struct rollout *back = fleet_rollback(&s->fleet, &command, NULL, &s->err);
    story_done(s);
    assert_non_null(back);
    struct rollout *source = fleet_rollout(&s->fleet, 2);
    fleet_forget_rollout(&s->fleet, source);
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));

    struct version target;
    bool concerned = place_target(&s->fleet, story_instance(s, "web-02"), back, &target);

    assert_true(concerned);
    assert_text(fleet_text(&s->fleet, target.code), "2");
}

/* ---- rounds --------------------------------------------------------------------------------- */

struct seen {
    uint32_t instances, rollouts;
};

static void see(void *ctx, const struct fleet_dirty *dirty)
{
    struct seen *seen = ctx;
    seen->instances += dirty->rollout ? 0 : 1;
    seen->rollouts += dirty->rollout ? 1 : 0;
}

static void test_only_the_open_rounds_records_are_dirty(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = 2;
    s->keeps_rounds_open = true;
    story_fleet(s, 3, "zone=a", "1/a");
    story_deploy(s, "zone=a", "2/b", NULL);
    fleet_end_round(&s->fleet);
    assert_false(fleet_is_dirty(&s->fleet));
    story_register(s, "new", "zone=b");
    story_deploy(s, "zone=b", "2/b", NULL);
    struct seen seen = { 0 };

    fleet_each_dirty(&s->fleet, see, &seen);

    assert_int_equal(seen.instances, 1);
    assert_int_equal(seen.rollouts, 1);
}

static void test_deadlines_that_an_outage_moved_stay_moved_until_that_is_durable(void **state)
{
    struct story *s = *state;
    story_one(s, NULL);
    s->keeps_rounds_open = true;
    story_restart(s, HOUR);
    uint64_t before = s->fleet.round - 1;
    uint64_t moved = fleet_end_round(&s->fleet);

    fleet_settle(&s->fleet, before);

    assert_int_equal(s->fleet.stood_still_ms, HOUR);
    fleet_settle(&s->fleet, moved);
    assert_int_equal(s->fleet.stood_still_ms, 0);
}

static void test_an_outage_of_the_store_moves_no_clock_that_stands_still(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    story_verb(s, r, VERB_PAUSE);
    int64_t progressed_at = r->progressed_at;
    story_command(s);

    bool stood = fleet_stand_still(&s->fleet, HOUR, &s->err);

    story_done(s);
    assert_true(stood);
    assert_int_equal(r->progressed_at, progressed_at);
}

/* ---- retention, intervals, words ------------------------------------------------------------ */

static void test_rollouts_are_forgotten_by_age_and_a_few_at_a_time(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    for (unsigned i = 0; i < 20; i++)
        story_verb(s, story_deploy(s, "", "2/b", NULL), VERB_ABORT);
    s->fleet.settings.rollouts_kept_ms = HOUR;
    s->now += 2 * HOUR;
    struct rollout *live = story_deploy(s, "", "2/b", NULL);

    story_tick(s);
    uint32_t after_one = s->fleet.rollout_count;
    story_wait(s, 3 * MINUTE);

    assert_int_equal(after_one, 21 - 8);
    assert_int_equal(s->fleet.rollout_count, 1);
    assert_ptr_equal(s->fleet.rollouts[0], live);
}

static void test_intervals_stay_within_their_bounds(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    s->fleet.settings.heartbeat_min_ms = 1000;
    s->fleet.settings.heartbeat_max_ms = 3000;
    s->fleet.settings.active_interval_ms = 9000;
    struct instance *first = story_instance(s, "web-01");

    s->fleet.settings.target_rate = 2; /* 4 instances: every 2 s */
    assert_in_range(fleet_give_interval(&s->fleet, first), 1500, 2000);
    s->fleet.settings.target_rate = 1;
    assert_in_range(fleet_give_interval(&s->fleet, first), 2250, 3000);
    s->fleet.settings.target_rate = 0; /* read as 1 */
    assert_in_range(fleet_give_interval(&s->fleet, first), 2250, 3000);
    story_deploy(s, "", "2/b", NULL);
    assert_in_range(fleet_give_interval(&s->fleet, first), 2250, 3000);
}

static void test_an_ended_rollout_waits_for_nothing(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    struct waiting list[WAITING_REASON_COUNT];

    assert_int_equal(waiting_list(&s->fleet, r, list), 0);
}

static void test_words_beyond_the_last_are_none(void **state)
{
    (void)state;
    const struct rollout draft = { .state = ROLLOUT_UNKNOWN };

    assert_string_equal(verb_meaning(VERB_COUNT), "?");
    assert_null(rollout_cause_word(ROLLOUT_CAUSE_COUNT));
    assert_null(rollout_outcome_word(ROLLOUT_OUTCOME_COUNT));
    assert_true(rollout_is_live(&draft));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_member_back_from_elsewhere_keeps_what_it_ran_before_the_first_order),
        STORY(test_a_second_attempt_whose_wish_was_withdrawn_is_told_once),
        STORY(test_attempts_are_counted_up_to_their_limit),
        STORY(test_an_order_that_was_never_given_says_nothing_after_the_end),
        STORY(test_one_without_a_name_keeps_the_address_that_it_is_known_by),
        STORY(test_the_same_address_again_is_no_change),
        STORY(test_a_late_report_of_one_that_is_done_counts),
        STORY(test_a_domain_that_has_room_again_is_not_waited_for),
        STORY(test_values_beyond_the_limit_are_one_domain),
        STORY(test_a_large_fleet_that_falls_silent_is_offline_with_the_ticks),
        STORY(test_a_server_that_is_held_starts_rollouts_and_picks_nobody),
        STORY(test_a_breach_while_held_is_judged_before_the_rollout_completes),
        STORY(test_a_gate_that_ran_out_of_time_while_held_cannot_be_promoted),
        STORY(test_a_soak_is_promoted_once_while_the_fleet_is_frozen),
        STORY(test_a_wave_beyond_the_last_is_read_as_the_last),
        STORY(test_an_order_without_a_state_is_derived_anew),
        STORY(test_a_trail_that_names_no_wave_of_the_rollback_goes_last),
        STORY(test_one_that_fell_silent_in_the_future_is_counted_nowhere),
        STORY(test_a_rollback_whose_source_is_gone_restores_what_it_names_itself),
        STORY(test_only_the_open_rounds_records_are_dirty),
        STORY(test_deadlines_that_an_outage_moved_stay_moved_until_that_is_durable),
        STORY(test_an_outage_of_the_store_moves_no_clock_that_stands_still),
        STORY(test_rollouts_are_forgotten_by_age_and_a_few_at_a_time),
        STORY(test_intervals_stay_within_their_bounds),
        STORY(test_an_ended_rollout_waits_for_nothing),
        STORY(test_words_beyond_the_last_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
