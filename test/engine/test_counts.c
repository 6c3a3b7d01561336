/* SPDX-License-Identifier: Apache-2.0
 * test_counts.c - what the engine counts for the metrics: outcomes once they are durable, waiting
 * to the millisecond, batches, clocks and what is late. */
#include "kit.h"

#define MINUTE (60 * 1000)

static struct outcomes outcomes(struct kit *kit)
{
    return engine_stats(kit->engine).outcomes;
}

static uint64_t updates(struct kit *kit, enum update_result result)
{
    struct outcomes o = outcomes(kit);
    return octaves_count(&o.update_ms[result]);
}

static uint64_t rollouts(struct kit *kit, enum rollout_result result)
{
    struct outcomes o = outcomes(kit);
    return octaves_count(&o.rollout_ms[result]);
}

static uint64_t waited(struct kit *kit, enum waiting_reason reason)
{
    return engine_stats(kit->engine).waited_ms[reason];
}

static struct rollout *deploy(struct kit *kit, const char *code, enum rollout_on_failure on_failure)
{
    struct deploy_command command = { .code = text_from(code), .rollout = rollout_config_default };
    command.rollout.on_failure = (uint8_t)on_failure;
    struct err err = { .code = ERR_NONE };
    engine_begin(kit->engine, TEXT("operator"));
    struct rollout *r = fleet_deploy(engine_fleet(kit->engine), &command, NULL, &err);
    engine_end(kit->engine);
    if (!r)
        fail_msg("%s", err.text);
    return r;
}

static void verb(struct kit *kit, enum verb verb)
{
    struct verb_command command = { .verb = verb };
    struct rollout *r = fleet_first_live(engine_fleet(kit->engine));
    struct err err = { .code = ERR_NONE };
    engine_begin(kit->engine, TEXT("operator"));
    if (!fleet_verb(engine_fleet(kit->engine), r, &command, &r, NULL, &err))
        fail_msg("%s", err.text);
    engine_end(kit->engine);
}

static void roll_back(struct kit *kit)
{
    struct rollback_command command = { .number = 0 };
    struct err err = { .code = ERR_NONE };
    engine_begin(kit->engine, TEXT("operator"));
    if (!fleet_rollback(engine_fleet(kit->engine), &command, NULL, &err))
        fail_msg("%s", err.text);
    engine_end(kit->engine);
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static void test_an_update_counts_once_it_is_durable(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit_turn(&kit);

    kit.now += 90 * 1000;
    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);
    struct outcomes before = outcomes(&kit);
    kit_turn(&kit);
    struct outcomes after = outcomes(&kit);

    assert_int_equal(octaves_count(&before.update_ms[UPDATE_COMPLETED]), 0);
    assert_int_equal(octaves_count(&before.rollout_ms[RESULT_FULL]), 0);
    assert_int_equal(octaves_count(&after.update_ms[UPDATE_COMPLETED]), 1);
    assert_int_equal(after.update_ms[UPDATE_COMPLETED].sum, 90 * 1000);
    assert_int_equal(octaves_count(&after.rollout_ms[RESULT_FULL]), 1);
    assert_int_equal(after.rollout_ms[RESULT_FULL].sum, 90 * 1000);
    assert_int_equal(octaves_count(&after.update_ms[UPDATE_FAILED]), 0);
    kit_close(&kit);
}

static void test_what_the_store_dropped_is_not_counted(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit_turn(&kit);

    store_memory_plan_fault(&kit.store, STORE_MEMORY_RETRY, 1);
    kit.now += 1000;
    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);
    kit_turn(&kit);
    kit.now += 1000;
    kit_turn(&kit);
    assert_true(engine_is_writable(kit.engine));
    assert_int_equal(updates(&kit, UPDATE_COMPLETED), 0);

    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);
    kit_turn(&kit);
    assert_int_equal(updates(&kit, UPDATE_COMPLETED), 1);
    assert_int_equal(outcomes(&kit).update_ms[UPDATE_COMPLETED].sum, 2000);
    assert_int_equal(rollouts(&kit, RESULT_FULL), 1);
    kit_close(&kit);
}

/* The one who fails is told to go back by the same command. */
static void test_a_failure_that_starts_a_rollback_keeps_its_cause_and_duration(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    deploy(&kit, "2.0.0", ON_FAILURE_ROLLBACK);
    kit_turn(&kit);

    kit.now += 7000;
    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_FAILED);
    kit_turn(&kit);

    struct outcomes o = outcomes(&kit);
    assert_int_equal(fleet_first_live(engine_fleet(kit.engine))->rollback_of, 1);
    assert_int_equal(o.failures[CAUSE_REPORTED], 1);
    assert_int_equal(octaves_count(&o.update_ms[UPDATE_FAILED]), 1);
    assert_int_equal(o.update_ms[UPDATE_FAILED].sum, 7000);
    assert_int_equal(octaves_count(&o.rollout_ms[RESULT_FAILED]), 1);
    assert_int_equal(o.rollout_ms[RESULT_FAILED].sum, 7000);
    assert_int_equal(o.rollbacks[ROLLBACK_AUTOMATIC], 1);
    assert_int_equal(o.rollbacks[ROLLBACK_MANUAL], 0);
    kit_close(&kit);
}

static void test_a_rollback_that_an_operator_wants_is_manual(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    deploy(&kit, "2.0.0", ON_FAILURE_PAUSE);
    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);
    kit_turn(&kit);

    roll_back(&kit);
    kit_turn(&kit);

    assert_int_equal(outcomes(&kit).rollbacks[ROLLBACK_MANUAL], 1);
    assert_int_equal(outcomes(&kit).rollbacks[ROLLBACK_AUTOMATIC], 0);
    assert_int_equal(rollouts(&kit, RESULT_FAILED), 0);
    kit_close(&kit);
}

static void test_a_regression_is_a_failure_but_no_second_update(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_instance(&kit, "web-2", "1.0.0");
    deploy(&kit, "2.0.0", ON_FAILURE_PAUSE);
    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);

    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_FAILED);
    kit_turn(&kit);

    assert_int_equal(outcomes(&kit).failures[CAUSE_REGRESSED], 1);
    assert_int_equal(updates(&kit, UPDATE_COMPLETED), 1);
    assert_int_equal(updates(&kit, UPDATE_FAILED), 0);
    kit_close(&kit);
}

static void test_a_deadline_is_a_failure_of_its_own_cause(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    kit_instance(&kit, "web-1", "1.0.0");
    deploy(&kit, "2.0.0", ON_FAILURE_ABORT);
    kit_turn(&kit);

    for (unsigned minute = 0; minute < 11; minute++) {
        kit.now += MINUTE;
        kit_heartbeat(&kit, 0, "1.0.0", INSTANCE_HEALTHY);
        engine_tick(kit.engine);
        engine_poll(kit.engine);
    }

    assert_int_equal(outcomes(&kit).failures[CAUSE_TIMEOUT], 1);
    assert_int_equal(outcomes(&kit).failures[CAUSE_REPORTED], 0);
    assert_int_equal(outcomes(&kit).update_ms[UPDATE_FAILED].sum, 10 * MINUTE);
    kit_close(&kit);
}

static void test_everything_begins_at_nothing_after_a_restart(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_instance(&kit, "web-2", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);
    kit_turn(&kit);
    assert_int_equal(updates(&kit, UPDATE_COMPLETED), 1);

    kit_crash(&kit, MINUTE);

    assert_int_equal(updates(&kit, UPDATE_COMPLETED), 0);
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++)
        assert_int_equal(waited(&kit, reason), 0);
    engine_tick(kit.engine);
    kit.now += 500;
    assert_int_equal(waited(&kit, WAITING_BATCH_FULL), 500);
    kit_close(&kit);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void test_a_wait_between_two_ticks_is_counted_to_the_millisecond(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    uint32_t slot = kit_instance(&kit, "web-1", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);

    kit.now += 13;
    assert_int_equal(waited(&kit, WAITING_BATCH_FULL), 13);
    verb(&kit, VERB_PAUSE);
    kit.now += 29;
    verb(&kit, VERB_RESUME);
    kit.now += 4;
    kit_heartbeat(&kit, slot, "2.0.0", INSTANCE_HEALTHY);
    kit.now += 1000;

    assert_null(fleet_first_live(engine_fleet(kit.engine)));
    assert_int_equal(waited(&kit, WAITING_PAUSED), 29);
    assert_int_equal(waited(&kit, WAITING_BATCH_FULL), 13 + 4);
    assert_int_equal(waited(&kit, WAITING_GATE), 0);
    kit_close(&kit);
}

static void test_a_rollout_in_the_place_of_another_waits_for_itself(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    kit_instance(&kit, "web-1", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit.now += 100;
    verb(&kit, VERB_ABORT);
    kit.now += 50;
    kit_deploy(&kit, "3.0.0", 1);

    kit.now += 7;

    assert_int_equal(waited(&kit, WAITING_BATCH_FULL), 107);
    kit_close(&kit);
}

static void test_time_without_a_store_is_waited_for(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    kit_instance(&kit, "web-1", "1.0.0");
    kit_deploy(&kit, "2.0.0", 1);
    kit_turn(&kit);
    store_memory_plan_fault(&kit.store, STORE_MEMORY_RETRY, 1);
    kit_register(&kit, "web-2", "prod");
    kit_turn(&kit);
    assert_false(engine_is_writable(kit.engine));

    kit.now += 1000;
    assert_int_equal(waited(&kit, WAITING_STORE), 1000);
    kit_turn(&kit);
    kit.now += 1000;

    assert_true(engine_is_writable(kit.engine));
    assert_int_equal(waited(&kit, WAITING_STORE), 1000);
    kit_close(&kit);
}

static void test_waiting_never_falls(void **unused)
{
    (void)unused;
    struct kit kit;
    uint64_t last[WAITING_REASON_COUNT] = { 0 };
    kit_open(&kit);
    uint32_t slots[2] = { kit_instance(&kit, "web-1", "1.0.0"),
                          kit_instance(&kit, "web-2", "1.0.0") };
    for (unsigned i = 0; i < 200; i++) {
        kit.now += 37 * (i % 5);
        if (i % 40 == 0)
            kit_deploy(&kit, i % 80 ? "1.0.0" : "2.0.0", 1);
        if (i % 40 == 7)
            verb(&kit, VERB_PAUSE);
        if (i % 40 == 11)
            verb(&kit, VERB_RESUME);
        if (i % 40 == 20 || i % 40 == 30)
            kit_heartbeat(&kit, slots[i % 40 == 30], i % 80 >= 40 ? "1.0.0" : "2.0.0",
                          INSTANCE_HEALTHY);
        store_memory_plan_fault(&kit.store, STORE_MEMORY_RETRY, i % 40 == 35 ? 1 : 1000);
        engine_tick(kit.engine);
        engine_poll(kit.engine);
        for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++) {
            uint64_t now = waited(&kit, reason);
            assert_true(now >= last[reason]);
            last[reason] = now;
        }
    }
    assert_true(last[WAITING_PAUSED] > 0);
    assert_true(last[WAITING_BATCH_FULL] > 0);
    kit_close(&kit);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void test_batches_are_counted_with_their_size(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    struct engine_stats before = engine_stats(kit.engine);

    kit_register(&kit, "web-1", "prod");
    kit_turn(&kit);

    struct engine_stats after = engine_stats(kit.engine);
    assert_int_equal(octaves_count(&after.batch_ops), octaves_count(&before.batch_ops) + 1);
    /* An instance, its journal entry and the clock, at least. */
    assert_true(after.batch_ops.sum >= before.batch_ops.sum + 3);
    assert_int_equal(octaves_count(&after.commit_us), after.commits);
    kit_close(&kit);
}

static void test_answers_that_wait_are_counted_until_they_go_out(void **unused)
{
    (void)unused;
    struct kit kit;
    struct kit_waiter one, two;
    kit_open(&kit);
    kit_register(&kit, "web-1", "prod");
    assert_int_equal(engine_stats(kit.engine).waiter_count, 0);

    kit_wait(&kit, engine_round_of_all(kit.engine), &one);
    kit_wait(&kit, engine_round_of_all(kit.engine), &two);
    assert_int_equal(engine_stats(kit.engine).waiter_count, 2);
    kit_turn(&kit);

    assert_int_equal(engine_stats(kit.engine).waiter_count, 0);
    kit_close(&kit);
}

static void test_a_timer_is_overdue_until_it_fires(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);
    kit_instance(&kit, "web-1", "1.0.0");
    kit_instance(&kit, "web-2", "1.0.0");
    kit_turn(&kit);
    int64_t due = fleet_next_due(engine_fleet(kit.engine));
    assert_int_equal(engine_stats(kit.engine).overdue_ms, 0);

    kit.now = due + 1234;
    assert_int_equal(engine_stats(kit.engine).overdue_ms, 1234);
    engine_tick(kit.engine);

    struct engine_stats after = engine_stats(kit.engine);
    assert_int_equal(after.overdue_ms, 0);
    assert_int_equal(octaves_count(&after.reconcile_us), 1);
    kit_close(&kit);
}

static void test_clocks_differ_in_either_direction(void **unused)
{
    (void)unused;
    struct kit kit;
    kit_open(&kit);

    engine_count_skew(kit.engine, 300);
    engine_count_skew(kit.engine, -300);
    engine_count_skew(kit.engine, INT32_MIN);

    struct octaves skew = engine_stats(kit.engine).clock_skew_ms;
    assert_int_equal(octaves_up_to(&skew, 9), 2);
    assert_int_equal(skew.sum, 600 + ((uint64_t)1 << 31));
    kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_update_counts_once_it_is_durable),
        cmocka_unit_test(test_what_the_store_dropped_is_not_counted),
        cmocka_unit_test(test_a_failure_that_starts_a_rollback_keeps_its_cause_and_duration),
        cmocka_unit_test(test_a_rollback_that_an_operator_wants_is_manual),
        cmocka_unit_test(test_a_regression_is_a_failure_but_no_second_update),
        cmocka_unit_test(test_a_deadline_is_a_failure_of_its_own_cause),
        cmocka_unit_test(test_everything_begins_at_nothing_after_a_restart),
        cmocka_unit_test(test_a_wait_between_two_ticks_is_counted_to_the_millisecond),
        cmocka_unit_test(test_a_rollout_in_the_place_of_another_waits_for_itself),
        cmocka_unit_test(test_time_without_a_store_is_waited_for),
        cmocka_unit_test(test_waiting_never_falls),
        cmocka_unit_test(test_batches_are_counted_with_their_size),
        cmocka_unit_test(test_answers_that_wait_are_counted_until_they_go_out),
        cmocka_unit_test(test_a_timer_is_overdue_until_it_fires),
        cmocka_unit_test(test_clocks_differ_in_either_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
