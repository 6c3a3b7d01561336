/* SPDX-License-Identifier: Apache-2.0
 * test_faults.c - what a full disk, a refused allocation, a clock that was set back and a process
 * that was stopped must not do to the engine. */
#include "kit.h"

static void test_entries_whose_deletion_was_refused_are_deleted_later(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    kit.options.events_kept = 4;
    engine_free(kit.engine);
    kit_reopen(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    for (int i = 0; i < 8; i++) {
        if (i == 4)
            store_memory_plan_fault(&kit.store, STORE_MEMORY_RETRY, 1);
        kit_heartbeat(&kit, slot, "1.0.0", i % 2 ? INSTANCE_HEALTHY : INSTANCE_DEGRADED);
        kit_turn(&kit);
        kit.now += 2000;
        kit_turn(&kit); /* the store is asked again */
    }

    kit_crash(&kit, 0); /* with a gap in the journal it would not start */

    const struct journal *journal = engine_journal(kit.engine);
    assert_int_equal(journal->oldest, journal->durable - 3);
    kit_close(&kit);
}

static void test_the_stored_clock_never_goes_back(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);
    int64_t newest = kit.now;

    for (int i = 0; i < 2; i++) {
        kit_crash(&kit, -60000);
        slot = fleet_find(engine_fleet(kit.engine), TEXT("web-1"));
        kit_heartbeat(&kit, slot, "1.0.0", i ? INSTANCE_HEALTHY : INSTANCE_DEGRADED);
        kit_turn(&kit);
        assert_true(engine_now(kit.engine) >= newest);
        newest = engine_now(kit.engine);
        kit.now += 16000; /* it goes on, though a little slower */
        assert_true(engine_now(kit.engine) == newest + 15000);
        newest += 15000;
        kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);
        kit_turn(&kit);
    }

    kit_close(&kit);
}

static void test_the_time_in_which_the_process_was_stopped_does_not_count_towards_deadlines(
    void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit_turn(&kit);
    int64_t deadline = fleet_at(engine_fleet(kit.engine), slot)->assignment.deadline_at;
    assert_true(deadline > 0);

    kit.now = deadline + 1;
    engine_stood_still(kit.engine, 3600000);
    engine_tick(kit.engine);
    engine_poll(kit.engine);

    const struct instance *inst = fleet_at(engine_fleet(kit.engine), slot);
    assert_int_equal(inst->assignment.state, MEMBER_IN_PROGRESS);
    assert_true(inst->assignment.deadline_at == deadline + 3600000);
    assert_int_equal(inst->presence, PRESENCE_ONLINE);
    kit_close(&kit);
}

/* ---- memory --------------------------------------------------------------------------------- */

struct scarce {
    struct memory memory;
    unsigned left; /* 0: all are given */
};

static void *give(void *ctx, void *block, size_t old_size, size_t new_size)
{
    struct scarce *scarce = ctx;
    if (new_size > old_size && scarce->left > 0 && --scarce->left == 0)
        return NULL;
    return memory_heap.resize(memory_heap.ctx, block, old_size, new_size);
}

static void test_a_refused_allocation_drops_the_round_or_refuses_the_command(void **unused)
{
    (void)unused;
    for (unsigned nth = 1; nth < 40; nth++) {
        struct kit kit;
        struct scarce scarce = { .memory = { .resize = give, .ctx = &scarce } };
        struct register_command command = { .name = TEXT("web-2") };
        struct register_result result;
        struct err err = { .code = ERR_NONE };
        kit_open(&kit);
        engine_free(kit.engine);
        kit.options.memory = &scarce.memory;
        kit_reopen(&kit);
        kit_instance(&kit, "web-1", "1.0.0");
        kit_turn(&kit);

        scarce.left = nth;
        engine_begin(kit.engine, TEXT("test"));
        bool done = fleet_register(engine_fleet(kit.engine), &command, &result, &err);
        engine_end(kit.engine);
        kit_turn(&kit);
        scarce.left = 0;

        bool is_there = fleet_find(engine_fleet(kit.engine), TEXT("web-2")) != FLEET_NONE;
        assert_true(done || (!is_there && err.code == ERR_MEMORY));
        assert_true(is_there || !done || !engine_is_writable(kit.engine));
        kit_crash(&kit, 0);
        assert_true(is_there ==
                    (fleet_find(engine_fleet(kit.engine), TEXT("web-2")) != FLEET_NONE));
        kit_close(&kit);
    }
}

static void test_a_last_round_without_memory_is_not_stored_by_half(void **unused)
{
    (void)unused;
    struct kit kit;
    struct register_command command = { .name = TEXT("web-2") };
    struct register_result result;
    struct err err = { .code = ERR_NONE };
    kit_open(&kit);
    kit_instance(&kit, "web-1", "1.0.0");
    kit_turn(&kit);

    engine_begin(kit.engine, TEXT("test"));
    assert_true(fleet_register(engine_fleet(kit.engine), &command, &result, &err));
    engine_put(kit.engine, TEXT("other/x"), TEXT("1"), true);
    engine_end(kit.engine);
    engine_free(kit.engine);
    store_memory_crash(&kit.store);
    kit_reopen(&kit);

    assert_int_equal(fleet_find(engine_fleet(kit.engine), TEXT("web-2")), FLEET_NONE);
    kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_whose_deletion_was_refused_are_deleted_later),
        cmocka_unit_test(test_the_stored_clock_never_goes_back),
        cmocka_unit_test(
            test_the_time_in_which_the_process_was_stopped_does_not_count_towards_deadlines),
        cmocka_unit_test(test_a_refused_allocation_drops_the_round_or_refuses_the_command),
        cmocka_unit_test(test_a_last_round_without_memory_is_not_stored_by_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
