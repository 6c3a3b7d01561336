/* SPDX-License-Identifier: Apache-2.0
 * test_inventory.c - registration, heartbeats, presence, deletion (spec of rollouts, section 3). */
#include "core/story.h"

#include "base/suite.h"

#include <stdio.h>

static void test_a_registration_needs_a_name_or_an_ip(void **state)
{
    struct story *s = *state;

    assert_int_equal(story_try_register(s, "", "", NULL), ERR_INVALID);

    assert_int_equal(s->fleet.instance_count, 0);
    assert_int_equal(story_try_register(s, "", "10.0.0.1", NULL), ERR_NONE);
    assert_text(instance_key(story_instance(s, "10.0.0.1")), "10.0.0.1");
}

static void test_an_ip_used_as_key_and_an_equal_name_are_one_instance(void **state)
{
    struct story *s = *state;
    story_try_register(s, "", "10.0.0.1", NULL);

    story_register(s, "10.0.0.1", "env=prod");

    assert_int_equal(s->fleet.instance_count, 1);
}

static void test_registering_again_keeps_state_wish_and_place(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    story_deploy(s, "env=prod", "2/b", NULL);
    uint32_t generation = story_instance(s, "web-01")->generation;

    assert_int_equal(story_try_register(s, "web-01", "10.0.0.9", "env=prod,zone=a"), ERR_NONE);

    assert_int_equal(s->fleet.instance_count, 2);
    assert_text(instance_ip(story_instance(s, "web-01")), "10.0.0.9");
    assert_int_equal(labels_count(&s->fleet.labels, story_instance(s, "web-01")->labels), 2);
    assert_string_equal(story_runs(s, "web-01"), "1/a");
    assert_string_equal(story_wish(s, "web-01"), "2/b");
    assert_int_equal(story_instance(s, "web-01")->generation, generation);
    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_HEALTHY);
    assert_int_equal(story_member(s, "web-01"), MEMBER_IN_PROGRESS);
    assert_int_equal(story_instance(s, "web-01")->trail_count, 1);
}

static void test_registering_without_labels_keeps_them(void **state)
{
    struct story *s = *state;
    story_register(s, "web-01", "env=prod");

    story_register(s, "web-01", NULL);

    assert_int_equal(labels_count(&s->fleet.labels, story_instance(s, "web-01")->labels), 1);
}

static void test_registering_with_other_labels_replaces_them(void **state)
{
    struct story *s = *state;
    story_register(s, "web-01", "env=prod,zone=a");

    story_register(s, "web-01", "role=db");

    struct text value;
    uint32_t labels = story_instance(s, "web-01")->labels;
    assert_int_equal(labels_count(&s->fleet.labels, labels), 1);
    assert_true(labels_value(&s->fleet.labels, labels, TEXT("role"), &value));
}

static void test_a_full_fleet_refuses_new_instances_only(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_instances = 2;
    story_register(s, "a", "");
    story_register(s, "b", "");

    assert_int_equal(story_try_register(s, "c", "", ""), ERR_FULL);
    assert_int_equal(story_try_register(s, "b", "", ""), ERR_NONE);

    story_delete(s, "a");
    assert_int_equal(story_try_register(s, "c", "", ""), ERR_NONE);
}

static void test_a_heartbeat_repeats_what_it_leaves_out(void **state)
{
    struct story *s = *state;
    story_register(s, "web-01", "env=prod");
    story_say(s, "web-01", "1/a", INSTANCE_DEGRADED);

    story_say(s, "web-01", "2/-", SAME);

    assert_string_equal(story_runs(s, "web-01"), "2/a");
    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_DEGRADED);

    story_say(s, "web-01", "-/b", INSTANCE_HEALTHY);

    assert_string_equal(story_runs(s, "web-01"), "2/b");
    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_HEALTHY);
}

static void test_heartbeat_labels_merge_and_null_removes(void **state)
{
    struct story *s = *state;
    story_register(s, "web-01", "env=prod,zone=a");

    story_say_labels(s, "web-01", "!zone,role=db");

    struct text value;
    uint32_t labels = story_instance(s, "web-01")->labels;
    assert_int_equal(labels_count(&s->fleet.labels, labels), 2);
    assert_true(labels_value(&s->fleet.labels, labels, TEXT("env"), &value));
    assert_true(labels_value(&s->fleet.labels, labels, TEXT("role"), &value));
    assert_false(labels_value(&s->fleet.labels, labels, TEXT("zone"), &value));
}

static void test_agents_labels_are_ignored_when_operators_keep_them(void **state)
{
    struct story *s = *state;
    s->fleet.settings.ignores_agent_labels = true;
    uint32_t slot = story_register(s, "web-01", "env=prod");
    struct label_change change = { TEXT("env"), TEXT("dev"), false };
    struct heartbeat_command command = { .labels = &change, .label_count = 1 };
    struct heartbeat_result result;

    story_command(s);
    assert_true(fleet_heartbeat(&s->fleet, slot, &command, &result, &s->err));
    story_done(s);

    assert_true(result.labels_were_ignored);
    assert_false(result.is_changed);
}

static void test_a_heartbeat_that_changes_nothing_touches_no_record(void **state)
{
    struct story *s = *state;
    uint32_t slot = story_register(s, "web-01", "env=prod");
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    struct heartbeat_command command = {
        .has_code = true, .code = TEXT("1"), .has_status = true, .status = INSTANCE_HEALTHY
    };
    struct heartbeat_result result;
    s->now += SECOND;

    story_command(s);
    assert_true(fleet_heartbeat(&s->fleet, slot, &command, &result, &s->err));
    bool is_dirty = fleet_is_dirty(&s->fleet);
    story_done(s);

    assert_false(result.is_changed);
    assert_false(is_dirty);
    assert_int_equal(s->fleet.change_count, 0);
    assert_int_equal(story_instance(s, "web-01")->last_seen, s->now);
}

static void test_an_update_is_needed_only_towards_a_wish(void **state)
{
    struct story *s = *state;
    story_register(s, "web-01", "env=prod");

    assert_false(instance_needs_update(story_instance(s, "web-01")));

    story_deploy(s, "", "2/-", NULL);
    assert_true(instance_needs_update(story_instance(s, "web-01")));

    story_say(s, "web-01", "2/zzz", INSTANCE_HEALTHY);
    assert_false(instance_needs_update(story_instance(s, "web-01")));
}

static void test_silence_for_the_timeout_is_offline_and_a_heartbeat_online(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");

    story_pass(s, 90 * SECOND - 1);
    assert_true(story_is_online(s, "web-01"));
    story_pass(s, 1);
    assert_false(story_is_online(s, "web-01"));
    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_HEALTHY);
    assert_int_equal(s->fleet.tally.online, 0);

    story_say(s, "web-01", "", SAME);
    assert_true(story_is_online(s, "web-01"));
    assert_int_equal(story_changes(s, CHANGE_ONLINE), 1);
}

static void test_a_registration_counts_as_a_heartbeat(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    story_pass(s, 100 * SECOND);

    story_register(s, "web-01", NULL);

    assert_true(story_is_online(s, "web-01"));
    story_pass(s, 89 * SECOND);
    assert_true(story_is_online(s, "web-01"));
}

static void test_a_long_interval_stretches_the_timeout(void **state)
{
    struct story *s = *state;
    s->fleet.settings.heartbeat_min_ms = 50 * SECOND;
    story_fleet(s, 1, "", "1/a");
    story_command(s);
    fleet_give_interval(&s->fleet, story_instance(s, "web-01"));
    story_done(s);
    story_say(s, "web-01", "", SAME);

    story_pass(s, 150 * SECOND - 1);
    assert_true(story_is_online(s, "web-01"));
    story_pass(s, 1);
    assert_false(story_is_online(s, "web-01"));
}

static void test_a_shorter_interval_shortens_the_timeout_at_once(void **state)
{
    struct story *s = *state;
    s->fleet.settings.heartbeat_min_ms = 100 * SECOND;
    story_fleet(s, 1, "", "1/a");
    uint32_t slot = fleet_find(&s->fleet, TEXT("web-01"));
    story_command(s);
    fleet_give_interval(&s->fleet, fleet_at(&s->fleet, slot));
    story_done(s);
    story_say(s, "web-01", "1/b", SAME); /* its timer now stands at 300 s */
    s->fleet.settings.heartbeat_min_ms = 5 * SECOND;

    story_command(s);
    fleet_give_interval(&s->fleet, fleet_at(&s->fleet, slot));
    story_done(s);

    story_pass(s, 90 * SECOND);
    assert_false(story_is_online(s, "web-01"));
}

static void test_the_interval_is_jittered_within_a_quarter(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    story_deploy(s, "", "2/b", NULL);

    for (unsigned i = 1; i <= 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%02u", i);
        uint32_t interval = fleet_give_interval(&s->fleet, story_instance(s, name));
        uint32_t wanted = i == 1 ? 2000 : 5000; /* the one in flight is asked more often */
        assert_in_range(interval, wanted * 3 / 4, wanted);
    }
}

static void test_nobody_is_offline_for_one_timeout_after_a_start(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");

    story_restart(s, HOUR);

    story_pass(s, 90 * SECOND - 1);
    assert_true(story_is_online(s, "web-01"));
    story_pass(s, 1);
    assert_false(story_is_online(s, "web-01"));
}

static void test_a_deleted_instance_is_found_no_more_and_its_name_is_free(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");

    story_delete(s, "web-01");

    assert_int_equal(fleet_find(&s->fleet, TEXT("web-01")), FLEET_NONE);
    assert_int_equal(s->fleet.instance_count, 1);
    story_register(s, "web-01", "env=dev");
    assert_string_equal(story_runs(s, "web-01"), "/");
}

static void test_a_name_deleted_and_used_again_in_one_round_is_written_last(void **state)
{
    struct story *s = *state;
    s->keeps_rounds_open = true;
    story_fleet(s, 1, "", "1/a");
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));

    story_delete(s, "web-01");
    story_register(s, "web-01", "env=new");
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));

    assert_string_equal(story_runs(s, "web-01"), "/");
    assert_int_equal(s->fleet.instance_count, 1);
    story_check(s);
}

static void test_instances_are_listed_in_order_of_their_keys(void **state)
{
    struct story *s = *state;
    story_register(s, "b", "");
    story_register(s, "a-2", "");
    story_register(s, "a", "");
    story_register(s, "B", "");

    uint32_t slot = fleet_next(&s->fleet, TEXT_NONE, true);
    assert_text(instance_key(fleet_at(&s->fleet, slot)), "B");
    slot = fleet_after(&s->fleet, slot);
    assert_text(instance_key(fleet_at(&s->fleet, slot)), "a");
    slot = fleet_next(&s->fleet, TEXT("a"), false);
    assert_text(instance_key(fleet_at(&s->fleet, slot)), "a-2");
    slot = fleet_after(&s->fleet, slot);
    assert_text(instance_key(fleet_at(&s->fleet, slot)), "b");
    assert_int_equal(fleet_after(&s->fleet, slot), FLEET_NONE);
}

static void test_an_agents_clock_only_measures_its_skew(void **state)
{
    struct story *s = *state;
    uint32_t slot = story_register(s, "web-01", "");
    struct heartbeat_command command = { .has_sent_at = true, .sent_at = s->now + 12 };
    struct heartbeat_result result;

    story_command(s);
    assert_true(fleet_heartbeat(&s->fleet, slot, &command, &result, &s->err));
    assert_int_equal(story_instance(s, "web-01")->clock_skew_ms, 12);
    command.sent_at = INT64_MAX;
    assert_true(fleet_heartbeat(&s->fleet, slot, &command, &result, &s->err));
    assert_int_equal(story_instance(s, "web-01")->clock_skew_ms, INT32_MAX);
    story_done(s);

    assert_false(result.is_changed);
    assert_int_equal(story_instance(s, "web-01")->last_seen, s->now);
}

/* FT4 of the reliability guide: a wake-up does not stop everything else. */
static void test_a_storm_of_timers_is_spread_over_ticks(void **state)
{
    struct story *s = *state;
    for (unsigned i = 0; i < LIMIT_TIMERS_PER_ROUND + 5; i++) {
        char name[16];
        struct register_command command = { .name = { name, 0 } };
        struct register_result result;
        command.name.size = (size_t)snprintf(name, sizeof name, "n%05u", i);
        story_command(s);
        assert_true(fleet_register(&s->fleet, &command, &result, &s->err));
    }
    story_done(s);
    s->now += 90 * SECOND;

    story_command(s);
    assert_true(fleet_tick(&s->fleet, &s->err));
    assert_int_equal(s->fleet.tally.online, 5);
    assert_true(fleet_next_due(&s->fleet) <= s->now);
    story_done(s);

    story_tick(s);
    assert_int_equal(s->fleet.tally.online, 0);
}

static void test_a_frozen_fleet_refuses_changes_and_hears_what_is_not_new(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct heartbeat_command same = { .has_status = true, .status = INSTANCE_HEALTHY };
    struct heartbeat_command other = { .has_status = true, .status = INSTANCE_FAILED };
    struct heartbeat_result result;
    uint32_t slot = fleet_find(&s->fleet, TEXT("web-01"));
    uint64_t before = story_hash(s);

    s->fleet.is_frozen = true;
    assert_int_equal(story_try_deploy(s, "", "2/b", NULL), ERR_STORE);
    assert_int_equal(story_try_register(s, "new", "", ""), ERR_STORE);
    story_command(s);
    assert_true(fleet_heartbeat(&s->fleet, slot, &same, &result, &s->err));
    assert_false(fleet_heartbeat(&s->fleet, slot, &other, &result, &s->err));
    assert_int_equal(s->err.code, ERR_STORE);
    story_done(s);
    assert_true(story_hash(s) == before);

    s->fleet.is_frozen = false;
    story_say(s, "web-01", "", INSTANCE_FAILED);
}

static void test_an_agents_clock_may_lie_far_behind(void **state)
{
    struct story *s = *state;
    uint32_t slot = story_register(s, "web-01", "");
    struct heartbeat_command command = { .has_sent_at = true, .sent_at = -(1ll << 40) };
    struct heartbeat_result result;

    story_command(s);
    assert_true(fleet_heartbeat(&s->fleet, slot, &command, &result, &s->err));
    story_done(s);

    assert_int_equal(story_instance(s, "web-01")->clock_skew_ms, INT32_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_registration_needs_a_name_or_an_ip),
        STORY(test_an_ip_used_as_key_and_an_equal_name_are_one_instance),
        STORY(test_registering_again_keeps_state_wish_and_place),
        STORY(test_registering_without_labels_keeps_them),
        STORY(test_registering_with_other_labels_replaces_them),
        STORY(test_a_full_fleet_refuses_new_instances_only),
        STORY(test_a_heartbeat_repeats_what_it_leaves_out),
        STORY(test_heartbeat_labels_merge_and_null_removes),
        STORY(test_agents_labels_are_ignored_when_operators_keep_them),
        STORY(test_a_heartbeat_that_changes_nothing_touches_no_record),
        STORY(test_an_update_is_needed_only_towards_a_wish),
        STORY(test_silence_for_the_timeout_is_offline_and_a_heartbeat_online),
        STORY(test_a_registration_counts_as_a_heartbeat),
        STORY(test_a_long_interval_stretches_the_timeout),
        STORY(test_a_shorter_interval_shortens_the_timeout_at_once),
        STORY(test_the_interval_is_jittered_within_a_quarter),
        STORY(test_nobody_is_offline_for_one_timeout_after_a_start),
        STORY(test_a_deleted_instance_is_found_no_more_and_its_name_is_free),
        STORY(test_a_name_deleted_and_used_again_in_one_round_is_written_last),
        STORY(test_instances_are_listed_in_order_of_their_keys),
        STORY(test_an_agents_clock_only_measures_its_skew),
        STORY(test_a_storm_of_timers_is_spread_over_ticks),
        STORY(test_a_frozen_fleet_refuses_changes_and_hears_what_is_not_new),
        STORY(test_an_agents_clock_may_lie_far_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
