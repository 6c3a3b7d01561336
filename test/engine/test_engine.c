/* SPDX-License-Identifier: Apache-2.0
 * test_engine.c - rounds: nothing is answered before it is durable, and what the store drops has
 * never happened. */
#include "kit.h"

#include "core/place.h"

static void test_an_answer_waits_until_its_round_is_durable(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_waiter waiter;
    kit_open(&kit);

    uint32_t slot = kit_register(&kit, "web-1", "prod");
    uint64_t round = engine_round_of(kit.engine, fleet_at(engine_fleet(kit.engine), slot));
    assert_true(round != 0);
    kit_wait(&kit, round, &waiter);
    assert_int_equal(waiter.outcome, -1);

    kit_turn(&kit);
    assert_int_equal(waiter.outcome, ENGINE_DURABLE);
    assert_int_equal(engine_round_of_all(kit.engine), 0);
    kit_close(&kit);
}

static void test_a_heartbeat_that_changes_nothing_costs_no_commit(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    uint64_t commits = engine_stats(kit.engine).commits;

    for (int i = 0; i < 100; i++) {
        kit.now += 100;
        struct heartbeat_result result = kit_heartbeat(&kit, slot, "1.0.0", INSTANCE_HEALTHY);
        assert_false(result.is_changed);
        kit_turn(&kit);
    }

    assert_int_equal(engine_stats(kit.engine).commits, commits);
    assert_int_equal(fleet_at(engine_fleet(kit.engine), slot)->last_seen, kit.now);
    kit_close(&kit);
}

static void test_a_full_store_drops_the_round_and_works_again_later(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_waiter waiter;
    struct buffer before, after;
    kit_open(&kit);
    kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    uint64_t index = engine_fleet(kit.engine)->next_index;
    kit_dump(&kit, &before);

    store_memory_plan_fault(&kit.store, STORE_MEMORY_RETRY, 1);
    kit_instance(&kit, "web-2", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit_wait(&kit, engine_round_of_all(kit.engine), &waiter);
    kit_turn(&kit);

    assert_int_equal(waiter.outcome, ENGINE_DROPPED);
    assert_false(engine_is_writable(kit.engine));
    assert_int_equal(engine_store_fails_since(kit.engine), kit.now);
    assert_int_equal(kit.log_calls, 1);
    kit_dump(&kit, &after);
    assert_text(buffer_text(&after), buffer_c_string(&before));
    assert_int_equal(engine_fleet(kit.engine)->next_index, index);
    assert_int_equal(place_check(engine_fleet(kit.engine), NULL), 0);

    kit.now += 1000;
    kit_turn(&kit);
    assert_true(engine_is_writable(kit.engine));
    assert_int_equal(kit_deploy(&kit, "2.0.0", 1)->number, 1);
    kit_turn(&kit);
    buffer_release(&before);
    buffer_release(&after);
    kit_close(&kit);
}

static void test_a_change_is_refused_while_the_store_is_full_but_unchanged_heartbeats_go_on(
    void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    store_memory_plan_fault(&kit.store, STORE_MEMORY_RETRY, 1);
    kit_register(&kit, "web-2", "prod");
    kit_turn(&kit);

    assert_false(kit_heartbeat(&kit, slot, "1.0.0", INSTANCE_HEALTHY).is_changed);
    struct heartbeat_command changed = { .has_status = true, .status = INSTANCE_FAILED };
    struct heartbeat_result result;
    struct err err = { .code = ERR_NONE };
    engine_begin(kit.engine, TEXT("test"));
    assert_false(fleet_heartbeat(engine_fleet(kit.engine), slot, &changed, &result, &err));
    engine_end(kit.engine);

    assert_int_equal(err.code, ERR_STORE);
    assert_int_equal(fleet_at(engine_fleet(kit.engine), slot)->status, INSTANCE_HEALTHY);
    kit_close(&kit);
}

static void test_nobody_is_answered_when_the_store_cannot_say_what_is_durable(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_waiter waiter;
    kit_open(&kit);
    store_memory_plan_fault(&kit.store, STORE_MEMORY_UNKNOWN_KEPT, 1);

    kit_register(&kit, "web-1", "prod");
    kit_wait(&kit, engine_round_of_all(kit.engine), &waiter);
    kit_turn(&kit);

    assert_int_equal(waiter.outcome, ENGINE_UNKNOWN);
    assert_int_equal(kit.fatal_calls, 1);
    assert_false(engine_is_writable(kit.engine));
    kit_close(&kit);
}

static void test_a_new_start_has_the_state_of_the_last_durable_round(void **unused)
{
    (void)unused;
    struct kit kit;
    struct buffer before, after;
    kit_open(&kit);
    for (int i = 0; i < 20; i++) {
        char name[] = "web-00";
        name[4] = (char)('0' + i / 10);
        name[5] = (char)('0' + i % 10);
        kit_instance(&kit, name, i % 5 ? "1.0.0" : "0.9.0");
    }
    kit_turn(&kit);
    struct rollout *r = kit_deploy(&kit, "2.0.0", 7);
    kit_heartbeat(&kit, fleet_find(engine_fleet(kit.engine), TEXT("web-00")), "2.0.0",
                  INSTANCE_HEALTHY);
    kit_turn(&kit);
    struct tally tally = *rollout_tally(r);
    kit_dump(&kit, &before);
    kit_register(&kit, "lost", "prod");

    kit_crash(&kit, 0);

    kit_dump(&kit, &after);
    assert_text(buffer_text(&after), buffer_c_string(&before));
    r = fleet_first_live(engine_fleet(kit.engine));
    assert_non_null(r);
    assert_memory_equal(rollout_tally(r), &tally, sizeof tally);
    assert_int_equal(place_check(engine_fleet(kit.engine), NULL), 0);
    buffer_release(&before);
    buffer_release(&after);
    kit_close(&kit);
}

static void test_the_time_without_a_server_does_not_count_towards_deadlines(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit_turn(&kit);
    int64_t deadline = fleet_at(engine_fleet(kit.engine), slot)->assignment.deadline_at;

    kit_crash(&kit, 3600 * 1000);
    engine_tick(kit.engine);
    kit_turn(&kit);

    slot = fleet_find(engine_fleet(kit.engine), TEXT("web-1"));
    const struct instance *inst = fleet_at(engine_fleet(kit.engine), slot);
    assert_int_equal(inst->assignment.deadline_at, deadline + 3600 * 1000);
    assert_int_equal(inst->assignment.state, MEMBER_IN_PROGRESS);
    assert_int_equal(inst->presence, PRESENCE_ONLINE);
    kit_close(&kit);
}

static void test_journal_entries_have_no_gap_and_old_ones_go(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    for (int i = 0; i < 1500; i++) {
        kit_heartbeat(&kit, slot, "1.0.0", i % 2 ? INSTANCE_HEALTHY : INSTANCE_DEGRADED);
        kit_turn(&kit);
    }

    const struct journal *journal = engine_journal(kit.engine);
    assert_int_equal(journal->durable + 1, engine_fleet(kit.engine)->next_index);
    for (uint64_t index = journal->first; index <= journal->durable; index++)
        assert_int_equal(journal_at(journal, index)->index, index);
    assert_int_equal(journal->durable - journal->oldest + 1, kit.options.events_kept);

    uint64_t durable = journal->durable;
    kit_crash(&kit, 0);
    assert_int_equal(engine_journal(kit.engine)->durable, durable);
    assert_int_equal(engine_journal(kit.engine)->oldest, durable - kit.options.events_kept + 1);
    kit_close(&kit);
}

static void test_journal_entries_go_when_their_time_is_over(void **unused)
{
    (void)unused;
    struct kit kit;
    int64_t day = 24ll * 3600 * 1000;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    uint64_t first_day = engine_journal(kit.engine)->durable;

    for (int i = 0; i < 8; i++) {
        kit.now += day;
        kit_heartbeat(&kit, slot, "1.0.0", i % 2 ? INSTANCE_HEALTHY : INSTANCE_DEGRADED);
        kit_turn(&kit);
        if (i == 3)
            kit_crash(&kit, 0);
        slot = fleet_find(engine_fleet(kit.engine), TEXT("web-1"));
        bool is_kept = engine_journal(kit.engine)->oldest <= first_day;
        assert_int_equal(is_kept, i < 6);
    }
    kit_close(&kit);
}

static void test_when_an_instance_was_last_heard_survives_a_clean_stop(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    kit.now += 5000;
    kit_heartbeat(&kit, slot, "1.0.0", INSTANCE_HEALTHY);
    int64_t seen = kit.now;

    engine_free(kit.engine);
    kit.engine = NULL;
    store_memory_crash(&kit.store);
    kit.now += 60000;
    kit_reopen(&kit);

    slot = fleet_find(engine_fleet(kit.engine), TEXT("web-1"));
    assert_int_equal(fleet_at(engine_fleet(kit.engine), slot)->last_seen, seen);
    kit_close(&kit);
}

static void test_last_reports_are_written_within_half_a_minute(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    kit.now += 5000;
    kit_heartbeat(&kit, slot, "1.0.0", INSTANCE_HEALTHY);
    int64_t seen = kit.now;

    for (int i = 0; i < 700; i++) {
        kit.now += 100;
        engine_tick(kit.engine);
        engine_poll(kit.engine);
    }
    kit_crash(&kit, 0);

    slot = fleet_find(engine_fleet(kit.engine), TEXT("web-1"));
    assert_int_equal(fleet_at(engine_fleet(kit.engine), slot)->last_seen, seen);
    kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_waits_until_its_round_is_durable),
        cmocka_unit_test(test_a_heartbeat_that_changes_nothing_costs_no_commit),
        cmocka_unit_test(test_a_full_store_drops_the_round_and_works_again_later),
        cmocka_unit_test(
            test_a_change_is_refused_while_the_store_is_full_but_unchanged_heartbeats_go_on),
        cmocka_unit_test(test_nobody_is_answered_when_the_store_cannot_say_what_is_durable),
        cmocka_unit_test(test_a_new_start_has_the_state_of_the_last_durable_round),
        cmocka_unit_test(test_the_time_without_a_server_does_not_count_towards_deadlines),
        cmocka_unit_test(test_journal_entries_have_no_gap_and_old_ones_go),
        cmocka_unit_test(test_journal_entries_go_when_their_time_is_over),
        cmocka_unit_test(test_when_an_instance_was_last_heard_survives_a_clean_stop),
        cmocka_unit_test(test_last_reports_are_written_within_half_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
