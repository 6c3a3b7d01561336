/* SPDX-License-Identifier: Apache-2.0
 * test_invariants.c - each rule is shown a fleet that obeys it and one that breaks it: a check that
 * cannot fail checks nothing. Fleets are broken by writing into records behind the core's back. */
#include "base/suite.h"
#include "sim/invariants.h"

#include <stdlib.h>
#include <string.h>

#define BEGIN 1000000000000ll

struct scene {
    struct fleet fleet;
    struct witness witness;
    struct arena arena;
    struct rollout *r;
    int64_t now;
};

/* ---- a fleet -----------------------------------------------------------------------------------
 */

static void begin(struct scene *s)
{
    fleet_begin(&s->fleet, s->now, TEXT("tester"));
}

static void settle(struct scene *s)
{
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
}

static uint32_t add(struct scene *s, const char *name, const char *zone)
{
    struct label_change label = { .key = TEXT("zone"), .value = text_from(zone) };
    struct register_command command = {
        .name = text_from(name), .labels = &label, .label_count = 1, .has_labels = true
    };
    struct register_result result;
    struct err err = { 0 };
    begin(s);
    assert_true(fleet_register(&s->fleet, &command, &result, &err));
    settle(s);
    return result.slot;
}

static void say(struct scene *s, uint32_t slot, const char *code, enum instance_state status)
{
    struct heartbeat_command command = {
        .has_code = true, .code = text_from(code), .has_status = true, .status = (uint8_t)status
    };
    struct heartbeat_result result;
    struct err err = { 0 };
    begin(s);
    assert_true(fleet_heartbeat(&s->fleet, slot, &command, &result, &err));
}

static struct rollout *deploy(struct scene *s, const char *selector,
                              const struct rollout_config *config)
{
    struct deploy_command command = { .code = TEXT("2"), .rollout = *config };
    struct err err = { 0 };
    assert_true(selector_parse(text_from(selector), NULL, 0, &s->arena, &command.selector, &err));
    begin(s);
    struct rollout *r = fleet_deploy(&s->fleet, &command, NULL, &err);
    assert_non_null(r);
    return r;
}

/* Four instances that run version 1, slots 0 to 3; the rollout of version 2 has picked slot 0. What
 * the witness saw last is the state after that. */
static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct fleet_settings settings = fleet_settings_default;
    struct rollout_config config = rollout_config_default;
    settings.max_concurrent = 2;
    s->now = BEGIN;
    arena_init(&s->arena, &memory_heap, 1 << 20);
    assert_true(fleet_init(&s->fleet, &memory_heap, &settings, 1, NULL));
    witness_init(&s->witness, true);
    for (uint32_t i = 0; i < 4; i++) {
        const char *const names[] = { "n-0", "n-1", "n-2", "n-3" };
        assert_int_equal(add(s, names[i], "a"), i);
        say(s, i, "1", INSTANCE_HEALTHY);
        settle(s);
    }
    s->now += 1000;
    s->r = deploy(s, "zone=a", &config);
    settle(s);
    assert_true(witness_begin(&s->witness, &s->fleet));
    begin(s);
    s->witness.event = (struct event){ .kind = EVENT_TICK, .slot = FLEET_NONE };
    *state = s;
    return 0;
}

/* A broken fleet can only be given back as memory: its own release would assert. */
static int teardown(void **state)
{
    struct scene *s = *state;
    witness_release(&s->witness);
    arena_release(&s->arena);
    fleet_release(&s->fleet);
    free(s);
    *state = NULL;
    return 0;
}

static void assert_holds(struct scene *s, invariant_fn *holds)
{
    struct err err = { 0 };
    if (!holds(&s->witness, &err))
        fail_msg("%s", err.text);
}

static void assert_broken(struct scene *s, invariant_fn *holds, const char *sentence)
{
    struct err err = { 0 };
    assert_false(holds(&s->witness, &err));
    if (!strstr(err.text, sentence))
        fail_msg("\"%s\" does not say \"%s\"", err.text, sentence);
}

/* What changed since the witness looked last, found by itself. */
static bool event(struct scene *s, enum event_kind kind, uint32_t slot, bool is_refused,
                  struct err *err)
{
    struct event e = {
        .kind = (uint8_t)kind, .is_refused = is_refused, .is_changing = true, .slot = slot
    };
    *err = (struct err){ 0 };
    return witness_event(&s->witness, &e, err);
}

static void assert_event_broken(struct scene *s, enum event_kind kind, uint32_t slot,
                                const char *sentence)
{
    struct err err;
    assert_false(event(s, kind, slot, false, &err));
    if (!strstr(err.text, sentence))
        fail_msg("\"%s\" does not say \"%s\"", err.text, sentence);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void test_a_good_fleet_breaks_no_rule(void **state)
{
    struct scene *s = *state;
    struct err err = { 0 };

    for (size_t i = 0; i < invariant_count; i++)
        assert_holds(s, invariant_rows[i].holds);
    assert_true(witness_all(&s->witness, &err));
}

static void test_every_rule_has_an_id_and_a_meaning(void **state)
{
    (void)state;

    for (size_t i = 0; i < invariant_count; i++) {
        assert_true(invariant_rows[i].id[0] == 'I' && invariant_rows[i].meaning[0] != '\0');
        assert_non_null(invariant_rows[i].holds);
    }
}

static void test_i1_counters_that_do_not_add_up_are_seen(void **state)
{
    struct scene *s = *state;
    s->r->live->tally.completed++;

    assert_broken(s, invariant_sums, "r-1 has 4 members, but 3 + 1 + 1 + 0");
    assert_broken(s, invariant_parts, "r-1");
    assert_broken(s, invariant_recount, "");

    s->r->live->tally.completed--;
}

static void test_i2_too_many_in_flight_are_seen(void **state)
{
    struct scene *s = *state;
    s->r->live->tally.in_progress++;

    assert_broken(s, invariant_limits, "r-1 has 2 in flight after 1, and its limit is 1");

    s->r->live->tally.in_progress--;
}

static void test_i2_a_pick_that_leaves_too_few_available_is_seen(void **state)
{
    struct scene *s = *state;
    struct change picked = { .type = CHANGE_PICKED, .slot = 1, .rollout = 1 };
    struct err err = { 0 };
    assert_true(fleet_reserve(&s->fleet, 2, &err));
    fleet_publish(&s->fleet, &picked);
    assert_holds(s, invariant_available);

    s->r->config.min_available = (struct amount){ .value = 4 };

    assert_broken(s, invariant_available, "n-1 was picked, and 3 of at least 4 are available");
    s->r->config.min_available = (struct amount){ 0 };
}

static void test_i2_a_pick_into_a_full_domain_is_seen(void **state)
{
    struct scene *s = *state;
    struct domain_config domain = { .label = TEXT("zone"),
                                    .has_max_in_progress = true,
                                    .max_in_progress = { .value = 1 } };
    struct change picked = { .type = CHANGE_PICKED, .slot = 1, .rollout = 1 };
    struct err err = { 0 };
    assert_true(fleet_reserve(&s->fleet, 2, &err));
    fleet_publish(&s->fleet, &picked);
    s->r->config.domains = &domain;
    s->r->config.domain_count = 1;
    assert_holds(s, invariant_domains);

    fleet_at(&s->fleet, 2)->placed.state = MEMBER_IN_PROGRESS;

    assert_broken(s, invariant_domains, "n-1 was picked as number 2 of at most 1 in its zone");
    fleet_at(&s->fleet, 2)->placed.state = MEMBER_PENDING;
    s->r->config.domain_count = 0;
}

static void test_i3_an_order_without_flight_is_seen(void **state)
{
    struct scene *s = *state;
    fleet_at(&s->fleet, 2)->assignment.state = MEMBER_IN_PROGRESS;

    assert_broken(s, invariant_orders, "n-2 has an order and is not in flight");

    fleet_at(&s->fleet, 2)->assignment.state = MEMBER_NONE;
}

static void test_i3_a_wish_outside_every_selector_is_seen(void **state)
{
    struct scene *s = *state;
    uint32_t other = add(s, "other", "b");
    struct err err = { 0 };
    begin(s);
    assert_true(fleet_reserve(&s->fleet, 2, &err));

    fleet_wake(&s->fleet, other);

    assert_broken(s, invariant_wishes, "other got a wish of no rollout that selects it");
}

static void test_i4_too_many_live_rollouts_are_seen(void **state)
{
    struct scene *s = *state;
    s->fleet.settings.max_concurrent = 0;

    assert_broken(s, invariant_concurrency, "1 rollouts are live, and 0 may be");

    s->fleet.settings.max_concurrent = 2;
}

static void test_i5_a_refusal_that_changed_something_is_seen(void **state)
{
    struct scene *s = *state;
    struct err err;
    say(s, 1, "3", INSTANCE_HEALTHY);

    assert_false(event(s, EVENT_VERB, FLEET_NONE, true, &err));

    assert_non_null(strstr(err.text, "I5 a refused request left"));
    settle(s);
}

static void abort_it(struct scene *s)
{
    struct verb_command command = { .verb = VERB_ABORT };
    struct rollout *result;
    struct err err = { 0 };
    begin(s);
    assert_true(fleet_verb(&s->fleet, s->r, &command, &result, NULL, &err));
}

static void test_i5_a_record_that_changes_after_its_end_is_seen(void **state)
{
    struct scene *s = *state;
    struct err err;
    abort_it(s);
    assert_true(event(s, EVENT_VERB, FLEET_NONE, false, &err));
    settle(s);

    s->r->final.completed++;

    assert_broken(s, invariant_frozen, "r-1 had ended and its record changed");
}

static void test_i6_a_rollout_that_waits_for_nothing_is_seen(void **state)
{
    struct scene *s = *state;
    s->r->live->tally.in_progress = 0;
    s->r->live->waves[0].in_progress = 0;
    s->r->config.batch_size = (struct amount){ .value = 1 };
    s->r->live->tally.pending_online = 0;
    s->r->live->waves[0].pending_online = 0;
    s->r->live->waves[0].pending = s->r->live->tally.pending = 0;
    s->r->stopped_at = s->now;

    assert_broken(s, invariant_movable, "r-1 names nothing that it waits for");

    s->r->stopped_at = 0;
}

static void test_i7_a_second_automatic_rollback_is_seen(void **state)
{
    struct scene *s = *state;
    struct rollout_config config = rollout_config_default;
    add(s, "other", "b");
    struct rollout *second = deploy(s, "zone=b", &config);
    second->rollback_of = 1;
    second->created_by = TEXT("server");
    assert_holds(s, invariant_one_rollback);

    s->witness.rollouts[1].undone_by_server = 1;

    assert_broken(s, invariant_one_rollback, "r-2 is the second automatic rollback of r-1");
}

static struct rollout *roll_back(struct scene *s)
{
    struct rollback_command command = { .number = 1, .is_fast = true };
    struct err err = { 0 };
    begin(s);
    struct rollout *undo = fleet_rollback(&s->fleet, &command, NULL, &err);
    assert_non_null(undo);
    return undo;
}

static void test_i8_a_rollback_that_changes_others_is_seen(void **state)
{
    struct scene *s = *state;
    roll_back(s);

    fleet_at(&s->fleet, 3)->generation++;

    assert_event_broken(s, EVENT_ROLLBACK, FLEET_NONE,
                        "I8 n-3 was not touched by r-1, and r-2 changed its wish");
}

static void test_i8_a_full_rollback_that_left_the_version_is_seen(void **state)
{
    struct scene *s = *state;
    struct err err;
    roll_back(s);
    assert_true(event(s, EVENT_ROLLBACK, FLEET_NONE, false, &err));
    settle(s);
    say(s, 0, "1", INSTANCE_HEALTHY);
    assert_int_equal(fleet_rollout(&s->fleet, 2)->outcome, OUTCOME_FULL);

    struct instance *inst = fleet_at(&s->fleet, 0);
    struct version undone = s->r->target, kept = inst->current;
    inst->current = undone;

    assert_broken(s, invariant_restored, "n-0 runs what r-2 has undone");
    inst->current = kept;
}

static void test_i13_a_breach_without_its_rollback_is_seen(void **state)
{
    struct scene *s = *state;
    say(s, 0, "1", INSTANCE_FAILED);
    assert_int_equal(s->r->state, ROLLOUT_FAILED);
    assert_holds(s, invariant_breach);

    s->r->rolled_back_by = 0;

    assert_broken(s, invariant_breach, "r-1 failed by a breach without its rollback");
}

static void test_i13_a_breach_that_says_there_is_no_way_back_is_checked(void **state)
{
    struct scene *s = *state;
    abort_it(s);
    s->r->cause = ROLLOUT_CAUSE_THRESHOLD;

    s->r->has_no_target = true;

    assert_broken(s, invariant_breach, "has something to go back to, and says not");
}

static void test_i13_a_rollout_that_goes_on_past_its_threshold_is_seen(void **state)
{
    struct scene *s = *state;
    s->r->live->tally.failed = 1;

    assert_broken(s, invariant_breach, "r-1 goes on, and 1 of at most 1 failed");

    s->r->live->tally.failed = 0;
}

static void test_i15_a_version_nobody_reported_is_seen(void **state)
{
    struct scene *s = *state;
    struct instance *inst = fleet_at(&s->fleet, 1);
    struct version kept = inst->current;

    inst->current = s->r->target;

    assert_event_broken(s, EVENT_TICK, FLEET_NONE, "n-1 runs another version");
    inst->current = kept;
}

static void test_i15_a_generation_that_falls_is_seen(void **state)
{
    struct scene *s = *state;

    fleet_at(&s->fleet, 0)->generation--;

    assert_event_broken(s, EVENT_TICK, FLEET_NONE, "n-0 went back from generation 1 to 0");
}

static void test_i15_a_wish_of_no_rollout_is_seen(void **state)
{
    struct scene *s = *state;
    uint32_t other = add(s, "other", "b");
    struct err err;
    begin(s);
    s->witness.last_number = s->fleet.last_number;
    assert_true(event(s, EVENT_REGISTER, other, false, &err));

    fleet_at(&s->fleet, other)->generation++;

    assert_event_broken(s, EVENT_TICK, FLEET_NONE, "other has another wish by no rollout");
}

static void test_i16_a_forgotten_member_is_seen(void **state)
{
    struct scene *s = *state;
    for (uint32_t slot = 0; slot < 4; slot++)
        say(s, slot, "2", INSTANCE_HEALTHY);
    assert_int_equal(s->r->state, ROLLOUT_COMPLETED);
    assert_holds(s, invariant_complete);

    fleet_at(&s->fleet, 3)->placed.rollout = 0;

    assert_broken(s, invariant_complete, "r-1 completed and forgot n-3");
}

static void test_i16_a_full_outcome_that_is_not_full_is_seen(void **state)
{
    struct scene *s = *state;
    for (uint32_t slot = 0; slot < 4; slot++)
        say(s, slot, "2", INSTANCE_HEALTHY);

    s->r->outcome = OUTCOME_PARTIAL;

    assert_broken(s, invariant_complete, "r-1 completed 4 of 4, and its outcome is partial");
}

static void test_i19_a_state_off_the_table_is_seen(void **state)
{
    struct scene *s = *state;
    s->witness.rollouts[1].state = ROLLOUT_COMPLETED;

    assert_broken(s, invariant_states, "r-1 went from COMPLETED to RUNNING");
}

static void test_i19_a_member_off_the_table_is_seen(void **state)
{
    struct scene *s = *state;
    s->witness.members[1].state = MEMBER_NONE;
    s->witness.members[1].rollout = 1;
    fleet_at(&s->fleet, 1)->placed.state = member_state_count;

    assert_event_broken(s, EVENT_TICK, FLEET_NONE, "");

    fleet_at(&s->fleet, 1)->placed.state = MEMBER_PENDING;
}

static void test_i23_a_deadline_that_counted_an_outage_is_seen(void **state)
{
    struct scene *s = *state;
    struct change failed = {
        .type = CHANGE_FAILED, .slot = 0, .rollout = 1, .cause = CAUSE_TIMEOUT
    };
    struct err err = { 0 };
    s->now += s->r->config.instance_deadline_ms;
    begin(s);
    assert_true(fleet_reserve(&s->fleet, 2, &err));
    fleet_publish(&s->fleet, &failed);
    assert_holds(s, invariant_silence);

    witness_note_outage(&s->witness, s->now - 5000, s->now - 4000);

    assert_broken(s, invariant_silence, "n-0 failed by its deadline, and had 599000 ms of 600000");
}

static void test_i23_offline_before_the_timeout_is_seen(void **state)
{
    struct scene *s = *state;
    struct err err = { 0 };
    s->now += 1000;
    begin(s);
    assert_true(fleet_reserve(&s->fleet, 2, &err));

    fleet_publish(&s->fleet, &(struct change){ .type = CHANGE_OFFLINE, .slot = 2 });

    assert_broken(s, invariant_silence, "n-2 is offline, and was heard 2000 ms ago");
}

static void test_i23_a_deadline_that_acts_while_most_are_silent_is_seen(void **state)
{
    struct scene *s = *state;
    struct err err = { 0 };
    s->r->frozen_at = s->now;
    s->witness.rollouts[1].stands_still = true;
    assert_true(fleet_reserve(&s->fleet, 2, &err));

    fleet_publish(&s->fleet,
                  &(struct change){
                      .type = CHANGE_FAILED, .slot = 0, .rollout = 1, .cause = CAUSE_UNHEALTHY });

    assert_broken(s, invariant_stillness, "while most of the fleet is silent");
}

static void test_tables_are_followed_over_several_rows(void **state)
{
    (void)state;

    assert_true(machine_reaches(&rollout_machine, ROLLOUT_UNKNOWN, ROLLOUT_PAUSED));
    assert_true(machine_reaches(&rollout_machine, ROLLOUT_PAUSED, ROLLOUT_PAUSED));
    assert_false(machine_reaches(&rollout_machine, ROLLOUT_FAILED, ROLLOUT_RUNNING));
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(test_a_good_fleet_breaks_no_rule),
        cmocka_unit_test(test_every_rule_has_an_id_and_a_meaning),
        SCENE(test_i1_counters_that_do_not_add_up_are_seen),
        SCENE(test_i2_too_many_in_flight_are_seen),
        SCENE(test_i2_a_pick_that_leaves_too_few_available_is_seen),
        SCENE(test_i2_a_pick_into_a_full_domain_is_seen),
        SCENE(test_i3_an_order_without_flight_is_seen),
        SCENE(test_i3_a_wish_outside_every_selector_is_seen),
        SCENE(test_i4_too_many_live_rollouts_are_seen),
        SCENE(test_i5_a_refusal_that_changed_something_is_seen),
        SCENE(test_i5_a_record_that_changes_after_its_end_is_seen),
        SCENE(test_i6_a_rollout_that_waits_for_nothing_is_seen),
        SCENE(test_i7_a_second_automatic_rollback_is_seen),
        SCENE(test_i8_a_rollback_that_changes_others_is_seen),
        SCENE(test_i8_a_full_rollback_that_left_the_version_is_seen),
        SCENE(test_i13_a_breach_without_its_rollback_is_seen),
        SCENE(test_i13_a_breach_that_says_there_is_no_way_back_is_checked),
        SCENE(test_i13_a_rollout_that_goes_on_past_its_threshold_is_seen),
        SCENE(test_i15_a_version_nobody_reported_is_seen),
        SCENE(test_i15_a_generation_that_falls_is_seen),
        SCENE(test_i15_a_wish_of_no_rollout_is_seen),
        SCENE(test_i16_a_forgotten_member_is_seen),
        SCENE(test_i16_a_full_outcome_that_is_not_full_is_seen),
        SCENE(test_i19_a_state_off_the_table_is_seen),
        SCENE(test_i19_a_member_off_the_table_is_seen),
        SCENE(test_i23_a_deadline_that_counted_an_outage_is_seen),
        SCENE(test_i23_offline_before_the_timeout_is_seen),
        SCENE(test_i23_a_deadline_that_acts_while_most_are_silent_is_seen),
        cmocka_unit_test(test_tables_are_followed_over_several_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
