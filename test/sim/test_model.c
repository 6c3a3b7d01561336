/* SPDX-License-Identifier: Apache-2.0
 * test_model.c - files in virtual mode: what becomes of a fleet, with and without faults. */
#include "base/suite.h"
#include "sim/model_parts.h"

#define FLEET                                                                                      \
    "mode: virtual\n"                                                                              \
    "seed: 42\n"                                                                                   \
    "generate: [{count: 80, prefix: web-, labels: {role: web}, choose: {zone: {a: 1, b: 1}},\n"    \
    "            start: {code_version: 1.0.0, configuration_version: c1}}]\n"
#define STEADY "behaviours: {normal: {latency: 5s-20s}}\n"
#define DEPLOY                                                                                     \
    "script: [{at: 30s, deploy: {code_version: 2.0.0, labels: {role: web},\n"                      \
    "          configuration: {batch_size: 10}}}]\n"
#define HOUR (3600ll * 1000)

struct run {
    struct plan plan;
    struct model *model;
};

static struct run *begin(const char *yaml)
{
    static struct run run;
    struct err err = { 0 };
    if (!plan_read(&run.plan, text_from(yaml), &err))
        fail_msg("%s", err.text);
    struct model_options options = { .plan = &run.plan, .settings = fleet_settings_default };
    if (!model_new(&options, &run.model, &err))
        fail_msg("%s", err.text);
    return &run;
}

static void until(struct run *run, int64_t ms)
{
    if (!model_run(run->model, ms) || !model_check_all(run->model))
        fail_msg("%s", model_broken(run->model));
}

static void end(struct run *run)
{
    model_free(run->model);
    plan_release(&run->plan);
}

static uint64_t hash_of(const char *yaml)
{
    struct run *run = begin(yaml);
    until(run, HOUR);
    uint64_t hash = model_hash(run->model);
    end(run);
    return hash;
}

static const struct rollout *newest(const struct run *run)
{
    const struct fleet *fleet = model_fleet(run->model);
    assert_true(fleet->rollout_count > 0);
    return fleet->rollouts[fleet->rollout_count - 1];
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void test_a_rollout_reaches_every_instance(void **state)
{
    (void)state;
    struct run *run = begin(FLEET STEADY DEPLOY);

    until(run, HOUR);

    struct model_counts counts = model_counts(run->model);
    assert_int_equal(newest(run)->state, ROLLOUT_COMPLETED);
    assert_int_equal(newest(run)->final.completed, 80);
    assert_int_equal(counts.updates, 80);
    assert_true(model_is_over(run->model));
    end(run);
}

static void test_the_same_file_gives_the_same_history_and_another_seed_another(void **state)
{
    (void)state;
    uint64_t first = hash_of(FLEET STEADY DEPLOY);

    assert_true(hash_of(FLEET STEADY DEPLOY) == first);
    assert_true(hash_of("seed: 43\n" STEADY DEPLOY "mode: virtual\n"
                        "generate: [{count: 80, prefix: web-, labels: {role: web}}]\n") != first);
}

static void test_a_fleet_that_fails_is_rolled_back(void **state)
{
    (void)state;
    struct run *run =
        begin(FLEET DEPLOY
              "behaviours: {normal: {latency: 5s-20s, failure_rate: 50%, code_version: 2.0.0}}\n");

    until(run, HOUR);

    const struct fleet *fleet = model_fleet(run->model);
    assert_int_equal(fleet->rollout_count, 2);
    assert_int_equal(fleet->rollouts[0]->cause, ROLLOUT_CAUSE_THRESHOLD);
    assert_int_equal(fleet->rollouts[1]->state, ROLLOUT_COMPLETED);
    end(run);
}

static void test_a_rollout_survives_network_agents_server_and_store(void **state)
{
    (void)state;
    struct run *run =
        begin(FLEET DEPLOY "behaviours: {normal: {latency: 5s-20s}}\n"
                           "wait: 30s\n"
                           "faults: {loss: 5%, duplicate: 10%, delay: 0ms-2s,\n"
                           "         crash: {every: 20s, down: 1s-30s},\n"
                           "         restart: {every: 1m, down: 0s-20s},\n"
                           "         commit: {takes: 0ms-100ms, fail: 2%}, until: 40m}\n");

    until(run, 2 * HOUR);

    struct model_counts counts = model_counts(run->model);
    assert_true(counts.lost > 100 && counts.faults[FAULT_DOUBLED] > 100);
    assert_true(counts.faults[FAULT_AGENT_DIED] > 20 && counts.faults[FAULT_SERVER_DIED] > 10);
    assert_true(counts.faults[FAULT_REFUSED] > 0 && counts.refused == 0);
    assert_int_equal(newest(run)->final.completed, 80);
    end(run);
}

static void test_mass_silence_fails_nobody(void **state)
{
    (void)state;
    struct run *run =
        begin(FLEET STEADY DEPLOY "faults: {silence: [{share: 95%, from: 60s, until: 40m}]}\n");

    until(run, 30 * 60 * 1000);
    assert_int_equal(newest(run)->state, ROLLOUT_RUNNING);
    assert_true(newest(run)->frozen_at != 0);

    until(run, 2 * HOUR);

    assert_int_equal(newest(run)->state, ROLLOUT_COMPLETED);
    assert_int_equal(model_fleet(run->model)->rollout_count, 1);
    end(run);
}

static void test_who_is_cut_off_is_left_over(void **state)
{
    (void)state;
    struct run *run =
        begin(FLEET STEADY "script: [{at: 10m, deploy: {code_version: 2.0.0, labels: {role: web},\n"
                           "          configuration: {batch_size: 10, failure_threshold: 50}}}]\n"
                           "faults: {silent: {every: 1m}, until: 8m}\n");

    until(run, 2 * HOUR);

    struct model_counts counts = model_counts(run->model);
    assert_true(counts.cut > 1);
    assert_int_equal(newest(run)->outcome, OUTCOME_PARTIAL);
    assert_int_equal(newest(run)->final.completed, 80 - counts.cut);
    end(run);
}

static void test_a_step_that_makes_no_sense_is_counted_as_refused(void **state)
{
    (void)state;
    struct run *run = begin(FLEET "script: [{at: 1s, verb: {verb: pause}}]\n");

    until(run, 60 * 1000);

    assert_int_equal(model_counts(run->model).refused, 1);
    assert_true(model_is_over(run->model));
    end(run);
}

static void test_verbs_and_behaviours_come_from_the_script(void **state)
{
    (void)state;
    struct run *run =
        begin(FLEET "behaviours: {normal: {latency: 5s-20s}, bad: {failure_rate: 100%}}\n"
                    "script:\n"
                    "  - {at: 1s, behave: {selector: zone=a, behaviour: bad}}\n"
                    "  - {at: 30s, deploy: {code_version: 2.0.0, labels: {role: web},\n"
                    "     configuration: {batch_size: 80, failure_threshold: 80}}}\n"
                    "  - {at: 31s, verb: {verb: pause}}\n"
                    "  - {at: 5m, verb: {verb: abort, id: r-1}}\n");

    until(run, HOUR);

    uint32_t failed = newest(run)->final.failed;
    assert_int_equal(newest(run)->cause, ROLLOUT_CAUSE_ABORTED);
    assert_true(failed > 20 && failed < 60);
    assert_int_equal(model_counts(run->model).refused, 0);
    end(run);
}

static void test_a_violation_stops_the_model_and_is_told(void **state)
{
    (void)state;
    struct run *run = begin(FLEET STEADY DEPLOY);
    struct buffer last;
    until(run, 60 * 1000);
    buffer_init(&last, &memory_heap, 1 << 20);

    run->model->fleet->rollouts[0]->live->tally.completed++;

    assert_false(model_run(run->model, HOUR));
    assert_true(text_starts_with(text_from(model_broken(run->model)), TEXT("I1 ")));
    model_tell_last(run->model, &last);
    assert_true(text_find(buffer_text(&last), '\n') < last.size);
    int64_t stopped = model_elapsed(run->model);
    assert_false(model_run(run->model, 2 * HOUR));
    assert_true(model_elapsed(run->model) == stopped);
    run->model->fleet->rollouts[0]->live->tally.completed--;
    buffer_release(&last);
    end(run);
}

static void test_a_store_that_forgets_is_seen(void **state)
{
    (void)state;
    struct run *run = begin(FLEET STEADY);
    struct err err = { 0 };
    until(run, 60 * 1000);
    assert_true(vault_equals(&run->model->vault, run->model->fleet, &err));

    fleet_at(run->model->fleet, 7)->generation++;

    assert_false(vault_equals(&run->model->vault, run->model->fleet, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    fleet_at(run->model->fleet, 7)->generation--;
    end(run);
}

static void test_an_agent_is_packed_and_unpacked_without_loss(void **state)
{
    (void)state;
    struct run *run = begin(FLEET STEADY DEPLOY);
    const struct crowd *crowd = &run->model->crowd;
    until(run, 45 * 1000); /* some update, some wait */

    for (uint32_t i = 0; i < crowd->count; i++) {
        struct agent before, after;
        crowd_load(crowd, i, &before);
        assert_null(agent_invariant(&before));
        crowd_store(&run->model->crowd, i, &before);
        crowd_load(crowd, i, &after);
        assert_true(version_equal(before.claimed, after.claimed));
        assert_true(before.dice.state == after.dice.state &&
                    before.jitter.state == after.jitter.state);
        assert_true(before.work_due == after.work_due && before.call_due == after.call_due);
        assert_int_equal(before.order.generation, after.order.generation);
    }
    end(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rollout_reaches_every_instance),
        cmocka_unit_test(test_the_same_file_gives_the_same_history_and_another_seed_another),
        cmocka_unit_test(test_a_fleet_that_fails_is_rolled_back),
        cmocka_unit_test(test_a_rollout_survives_network_agents_server_and_store),
        cmocka_unit_test(test_mass_silence_fails_nobody),
        cmocka_unit_test(test_who_is_cut_off_is_left_over),
        cmocka_unit_test(test_a_step_that_makes_no_sense_is_counted_as_refused),
        cmocka_unit_test(test_verbs_and_behaviours_come_from_the_script),
        cmocka_unit_test(test_a_violation_stops_the_model_and_is_told),
        cmocka_unit_test(test_a_store_that_forgets_is_seen),
        cmocka_unit_test(test_an_agent_is_packed_and_unpacked_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
