/* SPDX-License-Identifier: Apache-2.0
 * test_http_fleet.c - the fleet against a small server in memory, which remembers what each
 * instance said, notices what no agent may do, and loses, delays and forgets things. */
#include "base/suite.h"
#include "sim/http_fleet.h"
#include "wire/json_pull.h"
#include "world.h"

#define INSTANCES 60
#define LATENCY   1000 /* of every update, ms */

struct known {
    bool is_registered;
    uint32_t generation;
    char code[16], wish[16], message[80];
    int64_t status, told_at; /* when the wish was first told */
    uint32_t heartbeats, registrations;
    uint32_t credential; /* number of the newest one */
    uint64_t observed;
};

struct fake {
    struct world world;
    struct plan plan;
    struct http_fleet *fleet;
    struct known known[INSTANCES + 1]; /* by number, from 1 */
    bool gives_credentials, talks_rubbish, knows_nobody;
    bool is_dishonest_allowed; /* of behaviours that lie */
    int64_t interval_ms;
    char wish[16]; /* of everybody; "" = none */
};

static const char yaml[] = "token: secret\n"
                           "generate:\n"
                           "  - {count: 60, prefix: web-, base_ip: 10.0.0.0, labels: {role: web},\n"
                           "     choose: {zone: {a: 1, b: 1}}, start: {code_version: 1.0.0}}\n"
                           "behaviours:\n"
                           "  normal: {latency: 1s}\n"
                           "  bad: {latency: 1s, failure_rate: 100%}\n";

/* ---- the server ----------------------------------------------------------------------------- */

static void take_text(const struct json_node *tree, const char *path, char *space, size_t size)
{
    snprintf(space, size, "%.*s", TEXT_ARG(json_get_text(tree, path, TEXT_NONE)));
}

static uint32_t number_in(struct text name)
{
    uint64_t number = 0;
    assert_true(text_starts_with(name, TEXT("web-")));
    assert_true(text_to_u64(text_skip(name, 4), INSTANCES, &number) && number >= 1);
    return (uint32_t)number;
}

static int answer_registration(struct fake *fake, const struct json_node *tree, struct buffer *body)
{
    struct text name = json_get_text(tree, "instance.name", TEXT_NONE);
    struct known *known = &fake->known[number_in(name)];
    assert_text(json_get_text(tree, "token", TEXT_NONE), "secret");
    assert_text(json_get_text(tree, "instance.labels.role", TEXT_NONE), "web");
    assert_true(text_starts_with(json_get_text(tree, "instance.ip", TEXT_NONE), TEXT("10.0.0.")));
    known->is_registered = true;
    known->registrations++;
    known->credential = known->registrations;
    buffer_printf(body, "{\"instance\":{\"name\":\"x\",\"current_state\":{\"code_version\":");
    buffer_printf(body, known->code[0] ? "\"%s\"" : "null%s", known->code);
    buffer_printf(body, ",\"configuration_version\":null}},\"credential\":");
    if (fake->gives_credentials)
        buffer_printf(body, "\"%.*s/%u\"", TEXT_ARG(name), known->credential);
    else
        buffer_printf(body, "null");
    buffer_printf(body, ",\"next_heartbeat_ms\":5000,\"message\":\"registered\"}");
    return known->registrations == 1 ? 201 : 200;
}

/* What no agent may do: claim the wish before it had time to install it. */
static void check_honesty(const struct fake *fake, const struct known *known)
{
    bool is_on_wish = known->wish[0] && strcmp(known->code, known->wish) == 0;
    if (is_on_wish && !fake->is_dishonest_allowed)
        assert_true(known->told_at != 0 && fake->world.now - known->told_at >= LATENCY);
}

static void write_heartbeat(const struct fake *fake, const struct known *known, struct buffer *body)
{
    bool is_needed = known->wish[0] && strcmp(known->code, known->wish) != 0;
    buffer_printf(body,
                  "{\"instance\":\"x\",\"desired_state\":{\"code_version\":\"%s\","
                  "\"configuration_version\":null},\"update_needed\":%s,\"deployment_id\":%s,"
                  "\"generation\":%u,\"next_heartbeat_ms\":%lld,\"warnings\":[],\"new\":{}}",
                  known->wish, is_needed ? "true" : "false", known->wish[0] ? "\"r-1\"" : "null",
                  known->generation, (long long)fake->interval_ms);
}

static int answer_heartbeat(struct fake *fake, uint32_t number, const struct json_node *tree,
                            const struct call *call, struct buffer *body)
{
    struct known *known = &fake->known[number];
    char expected[32];
    if (!known->is_registered || fake->knows_nobody)
        return 404;
    snprintf(expected, sizeof expected, "web-%u/%u", number, known->credential);
    if (fake->gives_credentials && !text_equal(call->bearer, text_from(expected)))
        return 401;
    take_text(tree, "code_version", known->code, sizeof known->code);
    take_text(tree, "message", known->message, sizeof known->message);
    known->status = json_get_i64(tree, "status", -1);
    known->observed = (uint64_t)json_get_i64(tree, "observed_generation", 0);
    known->heartbeats++;
    check_honesty(fake, known);
    if (strcmp(known->wish, fake->wish) != 0) {
        snprintf(known->wish, sizeof known->wish, "%s", fake->wish);
        known->generation++;
        known->told_at = fake->world.now;
    }
    write_heartbeat(fake, known, body);
    return 200;
}

static int answer(struct world *world, const struct call *call, struct buffer *body)
{
    struct fake *fake = world->ctx;
    struct arena arena;
    const struct json_node *tree = NULL;
    struct text start = TEXT("/inventory/instances/");
    int status = 405;
    arena_init(&arena, &memory_heap, 1 << 20);
    assert_true(json_tree_parse(call->body, &arena, &tree, NULL));
    if (strcmp(call->method, "POST") == 0 && text_equal(call->path, TEXT("/inventory/register")))
        status = answer_registration(fake, tree, body);
    else if (strcmp(call->method, "PATCH") == 0 && text_starts_with(call->path, start))
        status =
            answer_heartbeat(fake, number_in(text_skip(call->path, start.size)), tree, call, body);
    arena_release(&arena);
    if (fake->talks_rubbish) {
        buffer_clear(body);
        buffer_printf(body, "<html>");
    }
    return status;
}

/* ---- the fixture ---------------------------------------------------------------------------- */

static struct http_fleet_options options_of(struct fake *fake)
{
    return (struct http_fleet_options){ .caller = world_caller(&fake->world),
                                        .timer = world_timer(&fake->world),
                                        .calls_max = 8 };
}

static int setup(void **state)
{
    static struct fake fake;
    struct err err = { 0 };
    fake = (struct fake){ .interval_ms = 500 };
    world_init(&fake.world, answer, &fake);
    if (!plan_read(&fake.plan, text_from(yaml), &err))
        fail_msg("%s", err.text);
    *state = &fake;
    return 0;
}

static int teardown(void **state)
{
    struct fake *fake = *state;
    if (fake->fleet)
        http_fleet_stop(fake->fleet);
    world_release(&fake->world);
    http_fleet_free(fake->fleet);
    plan_release(&fake->plan);
    return 0;
}

static void start(struct fake *fake, const struct http_fleet_options *options)
{
    struct err err = { 0 };
    if (!http_fleet_new(&fake->plan, options, &fake->fleet, &err) ||
        !http_fleet_start(fake->fleet, &err))
        fail_msg("%s", err.text);
}

static void start_plainly(struct fake *fake)
{
    const struct http_fleet_options options = options_of(fake);
    start(fake, &options);
}

static void wish(struct fake *fake, const char *version)
{
    snprintf(fake->wish, sizeof fake->wish, "%s", version);
}

static uint32_t count_running(const struct fake *fake, const char *version)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i <= INSTANCES; i++)
        count += strcmp(fake->known[i].code, version) == 0;
    return count;
}

static bool everybody_runs_the_wish(void *ctx)
{
    const struct fake *fake = ctx;
    return count_running(fake, fake->wish) == INSTANCES;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_everybody_registers_and_reports_what_runs(void **state)
{
    struct fake *fake = *state;

    start_plainly(fake);
    world_run(&fake->world, 2000);

    struct http_fleet_counts counts = http_fleet_counts(fake->fleet);
    assert_int_equal(counts.instances, INSTANCES);
    assert_int_equal(counts.registered, INSTANCES);
    assert_int_equal(counts.registrations, INSTANCES);
    assert_int_equal(counts.lost + counts.busy + counts.refused + counts.again, 0);
    assert_int_equal(count_running(fake, "1.0.0"), INSTANCES);
    for (uint32_t i = 1; i <= INSTANCES; i++)
        assert_int_equal(fake->known[i].status, INSTANCE_HEALTHY);
    assert_string_equal(http_fleet_trouble(fake->fleet), "");
}

static void test_heartbeats_keep_the_interval_the_server_gives(void **state)
{
    struct fake *fake = *state;

    start_plainly(fake);
    world_run(&fake->world, 10000);

    for (uint32_t i = 1; i <= INSTANCES; i++) /* 500 ms, and a little for the call */
        assert_in_range(fake->known[i].heartbeats, 18, 21);
}

static void test_a_wish_is_carried_out_by_everybody(void **state)
{
    struct fake *fake = *state;
    struct fleet_version versions[2];
    start_plainly(fake);
    world_run(&fake->world, 1000);

    wish(fake, "2.0.0");

    assert_true(world_run_until(&fake->world, 3000, everybody_runs_the_wish, fake));
    assert_int_equal(http_fleet_versions(fake->fleet, versions, 2), 1);
    assert_text(versions[0].code, "2.0.0");
    assert_int_equal(versions[0].count, INSTANCES);
    assert_int_equal(http_fleet_counts(fake->fleet).updates, INSTANCES);
}

static void test_no_more_calls_are_under_way_than_allowed(void **state)
{
    struct fake *fake = *state;
    fake->world.delay_max_ms = 200;

    start_plainly(fake);
    world_run(&fake->world, 5000);

    assert_int_equal(fake->world.under_way_max, 8);
    assert_int_equal(http_fleet_counts(fake->fleet).registered, INSTANCES);
}

static void test_registrations_are_spread_over_the_time_given(void **state)
{
    struct fake *fake = *state;
    struct http_fleet_options options = options_of(fake);
    options.spread_ms = 6000;

    start(fake, &options);
    world_run(&fake->world, 3000);

    assert_in_range(http_fleet_counts(fake->fleet).registered, 28, 32);
}

static void test_lost_requests_and_answers_delay_and_harm_nobody(void **state)
{
    struct fake *fake = *state;
    fake->world.lost_requests = 150;
    fake->world.lost_answers = 150;
    fake->world.busy = 100;
    fake->world.delay_max_ms = 400; /* answers of different instances overtake each other */
    start_plainly(fake);
    world_run(&fake->world, 20000);

    wish(fake, "2.0.0");

    assert_true(world_run_until(&fake->world, 300000, everybody_runs_the_wish, fake));
    struct http_fleet_counts counts = http_fleet_counts(fake->fleet);
    assert_true(counts.lost > 20 && counts.busy > 5);
    assert_int_equal(counts.updates, INSTANCES); /* once each: level, not edge */
    assert_int_equal(counts.failures, 0);
}

static void test_a_server_that_forgot_everybody_is_told_again(void **state)
{
    struct fake *fake = *state;
    start_plainly(fake);
    world_run(&fake->world, 2000);

    for (uint32_t i = 1; i <= INSTANCES; i++)
        fake->known[i] = (struct known){ .registrations = fake->known[i].registrations };
    world_run(&fake->world, 5000);

    for (uint32_t i = 1; i <= INSTANCES; i++) {
        assert_int_equal(fake->known[i].registrations, 2);
        assert_string_equal(fake->known[i].code, "1.0.0");
    }
    assert_int_equal(http_fleet_counts(fake->fleet).again, INSTANCES);
}

static void test_a_server_that_never_knows_anybody_is_not_hammered(void **state)
{
    struct fake *fake = *state;
    fake->knows_nobody = true;

    start_plainly(fake);
    world_run(&fake->world, 60000);

    for (uint32_t i = 1; i <= INSTANCES; i++)
        assert_in_range(fake->known[i].registrations, 3, 25);
}

static void test_a_credential_is_used_and_replaced(void **state)
{
    struct fake *fake = *state;
    fake->gives_credentials = true;
    start_plainly(fake);
    world_run(&fake->world, 2000);
    assert_int_equal(http_fleet_counts(fake->fleet).again, 0);
    assert_int_equal(count_running(fake, "1.0.0"), INSTANCES);

    fake->known[7].credential = 99; /* revoked */
    world_run(&fake->world, 5000);

    assert_int_equal(http_fleet_counts(fake->fleet).again, 1);
    assert_int_equal(fake->known[7].registrations, 2);
    assert_int_equal(fake->known[7].credential, 2);
}

static void test_answers_that_cannot_be_read_are_lost_answers(void **state)
{
    struct fake *fake = *state;
    fake->talks_rubbish = true;
    start_plainly(fake);
    world_run(&fake->world, 10000);
    assert_int_equal(http_fleet_counts(fake->fleet).registered, 0);
    assert_true(http_fleet_counts(fake->fleet).lost >= INSTANCES);
    assert_true(http_fleet_trouble(fake->fleet)[0] != '\0');

    fake->talks_rubbish = false;
    world_run(&fake->world, 60000);

    assert_int_equal(http_fleet_counts(fake->fleet).registered, INSTANCES);
}

static void test_503_is_waited_for_as_long_as_it_says(void **state)
{
    struct fake *fake = *state;
    fake->world.busy = 1000;
    fake->world.retry_after_ms = 20000;

    start_plainly(fake);
    world_run(&fake->world, 20000);

    assert_int_equal(fake->world.calls, INSTANCES); /* nobody asked twice */
    fake->world.busy = 0;
    world_run(&fake->world, 3000);
    assert_int_equal(http_fleet_counts(fake->fleet).registered, INSTANCES);
}

static void test_known_versions_are_adopted_when_asked_for(void **state)
{
    struct fake *fake = *state;
    struct http_fleet_options options = options_of(fake);
    options.adopts_known_versions = true;
    fake->is_dishonest_allowed = true;
    snprintf(fake->known[3].code, sizeof fake->known[3].code, "7.0.0");

    start(fake, &options);
    world_run(&fake->world, 2000);

    assert_string_equal(fake->known[3].code, "7.0.0");
    assert_int_equal(count_running(fake, "1.0.0"), INSTANCES - 1);
}

static void test_otherwise_an_instance_starts_with_its_own_version(void **state)
{
    struct fake *fake = *state;
    snprintf(fake->known[3].code, sizeof fake->known[3].code, "7.0.0");

    start_plainly(fake);
    world_run(&fake->world, 2000);

    assert_int_equal(count_running(fake, "1.0.0"), INSTANCES);
}

static int answer_any(struct world *world, const struct call *call, struct buffer *body)
{
    char *path = world->ctx;
    if (strcmp(call->method, "PATCH") == 0)
        snprintf(path, 64, "%.*s", TEXT_ARG(call->path));
    buffer_printf(body, "{\"update_needed\":false}");
    return 200;
}

static void test_a_name_is_percent_encoded_in_the_path(void **state)
{
    struct fake *fake = *state;
    struct err err = { 0 };
    char path[64] = "";
    fake->world.answer = answer_any;
    fake->world.ctx = path;
    plan_release(&fake->plan);
    assert_true(plan_read(&fake->plan, TEXT("instances: [{name: a b/c?}]\n"), &err));

    start_plainly(fake);
    world_run(&fake->world, 1000);

    assert_string_equal(path, "/inventory/instances/a%20b%2Fc%3F");
}

static void test_a_behaviour_can_be_given_to_those_a_selector_matches(void **state)
{
    struct fake *fake = *state;
    struct arena arena;
    struct selector zone_a;
    struct err err = { 0 };
    start_plainly(fake);
    world_run(&fake->world, 1000);
    arena_init(&arena, &memory_heap, 4096);
    assert_true(selector_parse(TEXT("zone=a"), NULL, 0, &arena, &zone_a, &err));

    uint32_t count =
        http_fleet_behave(fake->fleet, &zone_a, plan_behaviour(&fake->plan, TEXT("bad")));
    arena_release(&arena);
    wish(fake, "2.0.0");
    world_run(&fake->world, 5000);

    assert_in_range(count, 15, 45);
    assert_int_equal(http_fleet_counts(fake->fleet).failed, count);
    assert_int_equal(count_running(fake, "2.0.0"), INSTANCES - count);
    for (uint32_t i = 1; i <= INSTANCES; i++) {
        bool is_old = strcmp(fake->known[i].code, "1.0.0") == 0;
        assert_int_equal(fake->known[i].status, is_old ? INSTANCE_FAILED : INSTANCE_HEALTHY);
        assert_int_equal(fake->known[i].message[0] != '\0', is_old);
    }
}

static void test_a_report_tells_which_wish_it_knew(void **state)
{
    struct fake *fake = *state;
    start_plainly(fake);
    world_run(&fake->world, 1000);

    wish(fake, "2.0.0");
    world_run(&fake->world, 5000);

    for (uint32_t i = 1; i <= INSTANCES; i++)
        assert_int_equal(fake->known[i].observed, fake->known[i].generation);
}

static void test_calls_that_cannot_start_are_tried_again(void **state)
{
    struct fake *fake = *state;
    fake->world.refuses_calls = true;
    start_plainly(fake);
    world_run(&fake->world, 3000);
    assert_true(http_fleet_counts(fake->fleet).lost >= INSTANCES);

    fake->world.refuses_calls = false;
    world_run(&fake->world, 60000);

    assert_int_equal(http_fleet_counts(fake->fleet).registered, INSTANCES);
}

static void test_a_stopped_fleet_starts_no_call(void **state)
{
    struct fake *fake = *state;
    fake->world.delay_max_ms = 1000; /* many wait for the end of somebody else's call */
    start_plainly(fake);
    world_run(&fake->world, 2000);
    assert_int_equal(fake->world.under_way, 8);

    http_fleet_stop(fake->fleet);
    uint64_t calls = fake->world.calls;
    world_run(&fake->world, 60000);

    assert_int_equal(fake->world.calls, calls);
}

static void test_a_fleet_without_timers_says_so(void **state)
{
    struct fake *fake = *state;
    const struct http_fleet_options options = options_of(fake);
    struct err err = { 0 };
    fake->world.refuses_timers = true;

    assert_true(http_fleet_new(&fake->plan, &options, &fake->fleet, &err));
    assert_false(http_fleet_start(fake->fleet, &err));

    assert_int_equal(err.code, ERR_MEMORY);
}

static void test_latencies_of_heartbeats_are_measured(void **state)
{
    struct fake *fake = *state;
    fake->world.delay_max_ms = 100;

    start_plainly(fake);
    world_run(&fake->world, 20000);

    const struct histogram *h = http_fleet_latency(fake->fleet);
    assert_int_equal(h->count, http_fleet_counts(fake->fleet).heartbeats);
    assert_in_range(histogram_at(h, 500), 45000, 56000); /* us; evenly from 1 to 100 ms */
    assert_int_equal(h->max, 100000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_everybody_registers_and_reports_what_runs),
        TEST(test_heartbeats_keep_the_interval_the_server_gives),
        TEST(test_a_wish_is_carried_out_by_everybody),
        TEST(test_no_more_calls_are_under_way_than_allowed),
        TEST(test_registrations_are_spread_over_the_time_given),
        TEST(test_lost_requests_and_answers_delay_and_harm_nobody),
        TEST(test_a_server_that_forgot_everybody_is_told_again),
        TEST(test_a_server_that_never_knows_anybody_is_not_hammered),
        TEST(test_a_credential_is_used_and_replaced),
        TEST(test_answers_that_cannot_be_read_are_lost_answers),
        TEST(test_503_is_waited_for_as_long_as_it_says),
        TEST(test_known_versions_are_adopted_when_asked_for),
        TEST(test_otherwise_an_instance_starts_with_its_own_version),
        TEST(test_a_name_is_percent_encoded_in_the_path),
        TEST(test_a_behaviour_can_be_given_to_those_a_selector_matches),
        TEST(test_a_report_tells_which_wish_it_knew),
        TEST(test_calls_that_cannot_start_are_tried_again),
        TEST(test_a_stopped_fleet_starts_no_call),
        TEST(test_a_fleet_without_timers_says_so),
        TEST(test_latencies_of_heartbeats_are_measured),
    };
    return cmocka_run_group_tests_name("sim/http_fleet", tests, NULL, NULL);
}
