/* SPDX-License-Identifier: Apache-2.0
 * test_plan.c - simulation files: what becomes of a good one, and what is said of a bad one. */
#include "base/suite.h"
#include "sim/plan.h"
#include "sim/plan_document.h"

#define FLEET   "generate: [{count: 3, prefix: web-}]\n"
#define VIRTUAL "mode: virtual\n" FLEET

/* The example of the specification. */
static const char full[] =
    "mode: http\n"
    "server: http://127.0.0.1:7420\n"
    "token: try-out\n"
    "seed: 42\n"
    "speed: 10\n"
    "instances:\n"
    "  - {ip: 192.168.1.100, name: web-server-01, labels: {environment: production, role: web}}\n"
    "generate:\n"
    "  - {count: 500, prefix: web-, base_ip: 10.1.0.0, labels: {role: web},\n"
    "     choose: {env: {prod: 80, dev: 20}, zone: {a: 1, b: 1, c: 1}},\n"
    "     start: {code_version: 1.0.0, configuration_version: c1}, behaviour: normal}\n"
    "behaviours:\n"
    "  normal: {latency: 20s-90s, failure_rate: 0.5%}\n"
    "  shaky:  {latency: 20s-90s, failure_rate: 20%, crash: 2%, flap: 30s,\n"
    "           slow: {share: 5%, factor: 20}, lie: 1%, code_version: 2.0.0}\n"
    "script:\n"
    "  - {at: 5m, behave: {selector: zone=a, behaviour: shaky}}\n"
    "  - {at: 30s, deploy: {code_version: 2.0.0, labels: {env: prod},\n"
    "     configuration: {batch_size: 50, failure_threshold: 2%}}}\n"
    "  - {at: 6m, verb: {verb: pause, id: r-1, reason: lunch}}\n"
    "  - {at: 7m, rollback: {}}\n"
    "  - {at: 8m, verb: {verb: promote, full: true}}\n";

static int setup(void **state)
{
    static struct plan plan;
    struct err err = { 0 };
    if (!plan_read(&plan, text_from(full), &err))
        fail_msg("%s", err.text);
    *state = &plan;
    return 0;
}

static int teardown(void **state)
{
    plan_release(*state);
    return 0;
}

static void test_the_field_tables_keep_their_own_rules(void **state)
{
    struct err err = { 0 };
    (void)state;

    if (!json_table_check(&plan_table, &err) || !json_table_check(&behaviour_table, &err) ||
        !json_table_check(&faults_table, &err))
        fail_msg("%s", err.text);
}

static void test_the_head_is_taken_as_written(void **state)
{
    const struct plan *plan = *state;

    assert_int_equal(plan->mode, PLAN_HTTP);
    assert_text(plan->server, "http://127.0.0.1:7420");
    assert_text(plan->token, "try-out");
    assert_int_equal(plan->seed, 42);
    assert_int_equal(plan->max_concurrent, 1);
}

static void test_instances_come_before_generated_ones(void **state)
{
    const struct plan *plan = *state;

    assert_int_equal(plan->instance_count, 501);
    assert_text(plan->instances[0].name, "web-server-01");
    assert_text(plan->instances[0].ip, "192.168.1.100");
    assert_text(plan->instances[1].name, "web-1");
    assert_text(plan->instances[1].ip, "10.1.0.1");
    assert_text(plan->instances[500].name, "web-500");
    assert_text(plan->instances[500].ip, "10.1.1.244");
}

static void test_start_versions_are_interned(void **state)
{
    const struct plan *plan = *state;

    assert_int_equal(plan->instances[0].start.code, 0);
    assert_text(intern_text(&plan->texts, plan->instances[7].start.code), "1.0.0");
    assert_text(intern_text(&plan->texts, plan->instances[7].start.config), "c1");
}

static void test_chosen_labels_follow_their_weights(void **state)
{
    const struct plan *plan = *state;
    uint32_t prod = 0, zone_a = 0;

    for (uint32_t i = 1; i < plan->instance_count; i++) {
        struct text value;
        assert_true(labels_value(&plan->labels, plan->instances[i].labels, TEXT("role"), &value));
        assert_text(value, "web");
        assert_true(labels_value(&plan->labels, plan->instances[i].labels, TEXT("env"), &value));
        prod += text_equal(value, TEXT("prod"));
        assert_true(labels_value(&plan->labels, plan->instances[i].labels, TEXT("zone"), &value));
        zone_a += text_equal(value, TEXT("a"));
    }

    assert_in_range(prod, 370, 430);   /* 400 expected */
    assert_in_range(zone_a, 130, 205); /* 167 expected */
}

static void test_behaviours_are_shares_of_ten_thousand(void **state)
{
    const struct behaviour *normal = plan_behaviour(*state, TEXT("normal"));
    const struct behaviour *shaky = plan_behaviour(*state, TEXT("shaky"));

    assert_int_equal(normal->failure_share, 50);
    assert_int_equal(normal->slow_factor, 1);
    assert_int_equal(shaky->failure_share, 2000);
    assert_int_equal(shaky->crash_share, 200);
    assert_int_equal(shaky->lie_share, 100);
    assert_int_equal(shaky->slow_share, 500);
    assert_int_equal(shaky->slow_factor, 20);
    assert_true(shaky->only_code != 0 && normal->only_code == 0);
    assert_null(plan_behaviour(*state, TEXT("absent")));
}

static void test_speed_divides_latencies_flaps_and_the_script(void **state)
{
    const struct plan *plan = *state;
    const struct behaviour *shaky = plan_behaviour(plan, TEXT("shaky"));

    assert_int_equal(shaky->latency_min_ms, 2000);
    assert_int_equal(shaky->latency_max_ms, 9000);
    assert_int_equal(shaky->flap_ms, 3000);
    assert_int_equal(plan->steps[0].at_ms, 3000);
}

static void test_the_script_is_put_in_order_and_bodies_stay_raw(void **state)
{
    const struct plan *plan = *state;

    assert_int_equal(plan->step_count, 5);
    assert_int_equal(plan->steps[0].action, PLAN_DEPLOY);
    assert_text(plan->steps[0].body,
                "{\"code_version\":\"2.0.0\",\"labels\":{\"env\":\"prod\"},\"configuration\":"
                "{\"batch_size\":50,\"failure_threshold\":\"2%\"}}");
    assert_int_equal(plan->steps[1].action, PLAN_BEHAVE);
    assert_ptr_equal(plan->steps[1].behaviour, plan_behaviour(plan, TEXT("shaky")));
    assert_int_equal(plan->steps[2].action, PLAN_VERB);
    assert_text(plan->steps[2].verb, "pause");
    assert_text(plan->steps[2].rollout, "r-1");
    assert_text(plan->steps[2].body, "{\"reason\":\"lunch\"}");
    assert_int_equal(plan->steps[3].action, PLAN_ROLLBACK);
    assert_text(plan->steps[3].body, "{}");
    assert_text(plan->steps[4].verb, "promote");
    assert_text(plan->steps[4].body, "{\"full\":true}");
}

static void test_labels_by_chance_do_not_depend_on_the_rest_of_the_file(void **state)
{
    const struct plan *plan = *state;
    struct plan other;
    struct err err = { 0 };
    struct text here, there;

    assert_true(plan_read(&other,
                          TEXT("seed: 42\n"
                               "generate: [{count: 20, prefix: web-, choose: {zone: {a: 1, b: 1, "
                               "c: 1}}}]\n"),
                          &err));

    for (uint32_t i = 0; i < 20; i++) {
        assert_true(
            labels_value(&plan->labels, plan->instances[i + 1].labels, TEXT("zone"), &here));
        assert_true(labels_value(&other.labels, other.instances[i].labels, TEXT("zone"), &there));
        assert_true(text_equal(here, there));
    }
    plan_release(&other);
}

static void test_a_small_file_has_defaults(void **state)
{
    struct plan plan;
    struct err err = { 0 };
    (void)state;

    assert_true(plan_read(&plan, TEXT(FLEET), &err));

    assert_int_equal(plan.instance_count, 3);
    assert_text(plan.token, "sim");
    assert_int_equal(plan.speed, 1);
    assert_int_equal(plan.step_count, 0);
    assert_text(plan.instances[0].behaviour->name, "normal");
    assert_int_equal(plan.instances[0].behaviour->failure_share, 0);
    assert_int_equal(plan.instances[0].ip.size, 0);
    plan_release(&plan);
}

struct refusal {
    const char *yaml, *sentence; /* how the sentence begins, or a part of it */
};

static const struct refusal refusals[] = {
    { "", "the file must have keys" },
    { "- 1\n", "the file must have keys" },
    { "a: {b\n", "line " },
    { "speed: 2\n", "the file has no instances" },
    { FLEET "faults: {loss: 1%}\n", "/faults: faults need mode: virtual" },
    { FLEET "wait: 30s\n", "/wait: wait needs mode: virtual" },
    { VIRTUAL "faults: {loss: '10'}\n", "/faults/loss: \"10\" is no share" },
    { VIRTUAL "faults: {loss: 100%}\n", "/faults/loss: 100% leaves nothing to simulate" },
    { VIRTUAL "faults: {commit: {fail: 100%}}\n", "/faults/commit/fail: 100% leaves nothing" },
    { VIRTUAL "faults: {delay: 5s-1s}\n", "/faults/delay: the range" },
    { VIRTUAL "faults: {crash: {down: 5s}}\n", "/faults/crash" },
    { VIRTUAL "faults: {silence: [{share: 60%, from: 5m, until: 5m}]}\n",
      "/faults/silence/0: ends before it begins" },
    { VIRTUAL "faults: {gremlins: 1%}\n", "/faults/gremlins: " },
    { FLEET "mode: warp\n", "/mode: " },
    { FLEET "speed: 0\n", "/speed: 0 (as fast as possible) needs virtual time" },
    { FLEET "speed: -1\n", "/speed: " },
    { FLEET "sede: 1\n", "/sede: " },
    { FLEET "seed: 1.5\n", "/seed: " },
    { FLEET "max_concurrent: 0\n", "/max_concurrent: " },
    { "instances: [{labels: {a: b}}]\n", "/instances/0: an instance needs a name or an ip" },
    { "instances: [{name: a, ip: 1.2.3}]\n", "/instances/0/ip: \"1.2.3\" is no IPv4" },
    { "instances: [{name: a}, {name: a}]\n", "/instances/1: there are two instances \"a\"" },
    { "instances: [{name: a, behaviour: wild}]\n",
      "/instances/0/behaviour: there is no behaviour \"wild\"" },
    { "instances: [{name: a, labels: {b: 1}}]\n", "/instances/0/labels" },
    { "generate: [{count: 0, prefix: a}]\n", "/generate/0/count: " },
    { "generate: [{count: 5}]\n", "/generate/0" },
    { "generate: [{count: 600000, prefix: a}, {count: 600000, prefix: b}]\n",
      "more than 1000000 instances" },
    { "generate: [{count: 2, prefix: a, base_ip: 255.255.255.254}]\n",
      "/generate/0/base_ip: must be an IPv4 address with room for 2" },
    { "generate: [{count: 2, prefix: a, base_ip: 10.0.0.300}]\n", "/generate/0/base_ip: " },
    { "generate: [{count: 2, prefix: a, choose: [1]}]\n", "/generate/0/choose: must be" },
    { "generate: [{count: 2, prefix: a, choose: {zone: {}}}]\n",
      "/generate/0/choose/zone: 1 to 1000 values" },
    { "generate: [{count: 2, prefix: a, choose: {zone: {a: 0}}}]\n",
      "/generate/0/choose/zone: some weight" },
    { "generate: [{count: 2, prefix: a, choose: {zone: {a: -1}}}]\n",
      "/generate/0/choose/zone: a weight is an integer" },
    { "generate: [{count: 2, prefix: a, choose: {zone: {a: 0.5}}}]\n",
      "/generate/0/choose/zone: a weight is an integer" },
    { FLEET "behaviours: [a]\n", "/behaviours: must be an object" },
    { FLEET "behaviours: {shaky: 1}\n", "/behaviours/shaky: a behaviour is an object" },
    { FLEET "behaviours: {shaky: {failure_rate: 101%}}\n",
      "/behaviours/shaky/failure_rate: \"101%\" is no share" },
    { FLEET "behaviours: {shaky: {failure_rate: 5}}\n", "/behaviours/shaky/failure_rate: " },
    { FLEET "behaviours: {shaky: {latency: 5s-1s}}\n",
      "/behaviours/shaky/latency: the range \"5s-1s\" ends before it starts" },
    { FLEET "behaviours: {shaky: {latency: soon}}\n", "/behaviours/shaky/latency: " },
    { FLEET "behaviours: {shaky: {failure_rate: 60%, crash: 30%, lie: 20%}}\n",
      "/behaviours/shaky: failure_rate, crash and lie are more than 100%" },
    { FLEET "behaviours: {shaky: {slow: {share: 5%, factor: 0}}}\n",
      "/behaviours/shaky/slow/factor: " },
    { FLEET "behaviours: {shaky: {slow: {share: x%, factor: 2}}}\n",
      "/behaviours/shaky/slow/share: " },
    { FLEET "behaviours: {shaky: {flep: 3s}}\n", "/behaviours/shaky/flep: " },
    { FLEET "script: [{deploy: {}}]\n", "/script/0" },
    { FLEET "script: [{at: 1s}]\n", "/script/0: a step is `at` and one of" },
    { FLEET "script: [{at: 1s, deploy: {}, rollback: {}}]\n",
      "/script/0: a step is `at` and one of" },
    { FLEET "script: [{at: 1s, deploy: 5}]\n", "/script/0: a deploy or rollback is an object" },
    { FLEET "script: [{at: 1s, verb: {verb: explode}}]\n", "/script/0/verb/verb: " },
    { FLEET "script: [{at: 1s, verb: {verb: pause, full: true}}]\n", "/script/0/verb/full: " },
    { FLEET "script: [{at: 1s, verb: {verb: rollback}}]\n", "/script/0/verb/verb: " },
    { FLEET "script: [{at: 1s, verb: {verb: pause, id: seven}}]\n", "/script/0/verb/id: " },
    { FLEET "script: [{at: 1s, behave: {selector: 'a==,', behaviour: normal}}]\n",
      "/script/0/behave/selector: " },
    { FLEET "script: [{at: 1s, behave: {behaviour: wild}}]\n",
      "/script/0/behave/behaviour: there is no behaviour" },
    { FLEET "script: [{at: soon, deploy: {}}]\n", "/script/0/at: " },
};

static void test_what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct plan plan;
        struct err err = { 0 };
        if (plan_read(&plan, text_from(refusals[i].yaml), &err))
            fail_msg("taken: %s", refusals[i].yaml);
        if (strncmp(err.text, refusals[i].sentence, strlen(refusals[i].sentence)) != 0)
            fail_msg("%s: \"%s\" instead of \"%s...\"", refusals[i].yaml, err.text,
                     refusals[i].sentence);
    }
}

static void test_shares_have_at_most_two_decimals(void **state)
{
    static const struct {
        const char *text;
        uint32_t share;
    } good[] = { { "0%", 0 },       { "0.5%", 50 },     { "0.05%", 5 },    { "2%", 200 },
                 { "12.5%", 1250 }, { "99.99%", 9999 }, { "100%", 10000 }, { "100.00%", 10000 } };
    static const char *const bad[] = { "",       "%",    "5",    "-1%",    "100.01%",
                                       "1.234%", "1.%",  ".5%",  "1,5%",   "01%",
                                       "1 %",    "1e1%", "0x1%", "1.5.5%", "999999%" };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint32_t share = 77777;
        assert_true(plan_parse_share(text_from(good[i].text), &share, NULL));
        assert_int_equal(share, good[i].share);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t share = 77777;
        if (plan_parse_share(text_from(bad[i]), &share, NULL))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(share, 77777);
    }
}

static void test_a_range_may_be_one_duration(void **state)
{
    int64_t min = 0, max = 0;
    (void)state;

    assert_true(plan_parse_range(TEXT("200ms - 1m"), &min, &max, NULL));
    assert_int_equal(min, 200);
    assert_int_equal(max, 60000);
    assert_true(plan_parse_range(TEXT("30s"), &min, &max, NULL));
    assert_int_equal(min, 30000);
    assert_int_equal(max, 30000);
    assert_false(plan_parse_range(TEXT("1s-2s-3s"), &min, &max, NULL));
    assert_false(plan_parse_range(TEXT("1s-"), &min, &max, NULL));
    struct err err = { .code = ERR_NONE };
    assert_false(plan_parse_range(TEXT("3s-\r0s"), &min, &max, &err));
    assert_string_equal(err.text, "the range \"3s-\\x0d0s\" ends before it starts");
    assert_int_equal(min, 30000);
}

static void test_addresses_carry_over_their_bytes(void **state)
{
    struct arena arena;
    struct text ip;
    (void)state;
    arena_init(&arena, &memory_heap, 4096);

    assert_true(plan_count_ip(TEXT("10.0.255.255"), 1, &arena, &ip));
    assert_text(ip, "10.1.0.0");
    assert_true(plan_count_ip(TEXT("255.255.255.254"), 1, &arena, &ip));
    assert_text(ip, "255.255.255.255");
    assert_false(plan_count_ip(TEXT("255.255.255.254"), 2, &arena, &ip));
    assert_false(plan_count_ip(TEXT("1.2.3.4.5"), 0, &arena, &ip));
    assert_false(plan_count_ip(TEXT("1.2.3"), 0, &arena, &ip));
    assert_false(plan_count_ip(TEXT("::1"), 0, &arena, &ip));
    arena_release(&arena);
}

static void test_faults_of_virtual_mode_are_read(void **state)
{
    struct plan plan;
    struct err err = { 0 };
    (void)state;

    if (!plan_read(&plan,
                   TEXT(VIRTUAL
                        "wait: 30s\n"
                        "faults: {loss: 2%, duplicate: 1.5%, delay: 10ms-2s,\n"
                        "         crash: {every: 10m, down: 5s-60s}, silent: {every: 1h},\n"
                        "         restart: {every: 20m}, commit: {takes: 5ms, fail: 1%},\n"
                        "         silence: [{share: 60%, from: 5m, until: 8m}], until: 30m}\n"),
                   &err))
        fail_msg("%s", err.text);

    const struct faults *f = &plan.faults;
    assert_int_equal(plan.mode, PLAN_VIRTUAL);
    assert_int_equal(plan.wait_ms, 30000);
    assert_int_equal(f->loss, 200);
    assert_int_equal(f->duplicate, 150);
    assert_true(f->delay_min_ms == 10 && f->delay_max_ms == 2000);
    assert_true(f->crash.every_ms == 600000 && f->crash.down_max_ms == 60000);
    assert_true(f->silent.every_ms == 3600000 && f->restart.every_ms == 1200000);
    assert_true(f->commit_min_ms == 5 && f->commit_max_ms == 5 && f->commit_fail == 100);
    assert_int_equal(f->silence_count, 1);
    assert_true(f->silences[0].share == 6000 && f->silences[0].until_ms == 480000);
    assert_int_equal(f->until_ms, 1800000);
    assert_false(faults_are_none(f));
    plan_release(&plan);
}

static void test_virtual_time_passes_as_written_and_as_fast_as_possible(void **state)
{
    struct plan plan;
    struct err err = { 0 };
    (void)state;

    assert_true(plan_read(&plan, TEXT(VIRTUAL "behaviours: {normal: {latency: 10s}}\n"), &err));
    assert_int_equal(plan.speed, 0);
    assert_true(faults_are_none(&plan.faults));
    plan_release(&plan);

    assert_true(
        plan_read(&plan, TEXT(VIRTUAL "speed: 10\nbehaviours: {normal: {latency: 10s}}\n"), &err));
    assert_int_equal(plan.speed, 10);
    assert_true(plan.behaviours[0].latency_min_ms == 10000);
    plan_release(&plan);
}

static void test_another_seed_may_be_asked_for(void **state)
{
    struct plan plan;
    struct err err = { 0 };
    uint64_t seed = 77;
    (void)state;

    assert_true(plan_read_seeded(&plan, TEXT(VIRTUAL "seed: 3\n"), &seed, &err));

    assert_int_equal(plan.seed, 77);
    plan_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_field_tables_keep_their_own_rules),
        cmocka_unit_test(test_faults_of_virtual_mode_are_read),
        cmocka_unit_test(test_virtual_time_passes_as_written_and_as_fast_as_possible),
        cmocka_unit_test(test_another_seed_may_be_asked_for),
        cmocka_unit_test_setup_teardown(test_the_head_is_taken_as_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_instances_come_before_generated_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_versions_are_interned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chosen_labels_follow_their_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_behaviours_are_shares_of_ten_thousand, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_speed_divides_latencies_flaps_and_the_script, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_script_is_put_in_order_and_bodies_stay_raw, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_labels_by_chance_do_not_depend_on_the_rest_of_the_file,
                                        setup, teardown),
        cmocka_unit_test(test_a_small_file_has_defaults),
        cmocka_unit_test(test_what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(test_shares_have_at_most_two_decimals),
        cmocka_unit_test(test_a_range_may_be_one_duration),
        cmocka_unit_test(test_addresses_carry_over_their_bytes),
    };
    return cmocka_run_group_tests_name("sim/plan", tests, NULL, NULL);
}
