/* SPDX-License-Identifier: Apache-2.0
 * test_watcher.c - what is seen of rollouts from outside: every violation is found and said, and
 * what is right stays unblamed; the script of a plan happens once, whatever gets lost. */
#include "base/suite.h"
#include "sim/script.h"
#include "sim/watcher.h"
#include "world.h"

/* ---- one look ------------------------------------------------------------------------------- */

#define RECORD_SIZE 2048

struct record {
    unsigned number, rollback_of, rolled_back_by;
    const char *status, *outcome, *cause;
    const char *batch; /* JSON */
    int total, pending, in_progress, completed, failed;
    bool has_ended;
};

static const struct record running = { .number = 1,
                                       .status = "RUNNING",
                                       .batch = "10",
                                       .total = 100,
                                       .pending = 50,
                                       .in_progress = 10,
                                       .completed = 38,
                                       .failed = 2 };

static const struct record completed = { .number = 1,
                                         .status = "COMPLETED",
                                         .outcome = "full",
                                         .batch = "10",
                                         .total = 100,
                                         .completed = 100,
                                         .has_ended = true };

static void put_word(struct buffer *out, const char *key, const char *word)
{
    buffer_printf(out, word ? ",\"%s\":\"%s\"" : ",\"%s\":null", key, word);
}

static void put_id(struct buffer *out, const char *key, unsigned number)
{
    buffer_printf(out, number ? ",\"%s\":\"r-%u\"" : ",\"%s\":null", key, number);
}

static void write_record(const struct record *r, struct buffer *out)
{
    buffer_printf(out, "{\"id\":\"r-%u\"", r->number);
    put_word(out, "status_name", r->status);
    put_word(out, "outcome", r->outcome);
    put_word(out, "cause", r->cause);
    put_id(out, "rollback_of", r->rollback_of);
    put_id(out, "rolled_back_by", r->rolled_back_by);
    buffer_printf(out,
                  ",\"request\":{\"code_version\":\"2.0.0\",\"configuration\":{\"batch_size\":%s,"
                  "\"failure_threshold\":\"3%%\"}},\"progress\":{\"total_instances\":%d,"
                  "\"pending_instances\":%d,\"in_progress_instances\":%d,"
                  "\"completed_instances\":%d,\"already_current_instances\":0,"
                  "\"failed_instances\":%d,\"offline_instances\":0},\"revision\":5,"
                  "\"waiting\":[{\"reason\":\"batch_full\",\"message\":\"10 of 10 slots busy\"}],"
                  "\"created_at\":\"2031-01-01T10:00:00.000Z\",\"ended_at\":%s}",
                  r->batch, r->total, r->pending, r->in_progress, r->completed, r->failed,
                  r->has_ended ? "\"2031-01-01T10:05:00.000Z\"" : "null");
}

static struct sighting look(const struct record *record)
{
    struct sighting s = { 0 };
    struct err err = { 0 };
    struct buffer json;
    struct arena arena;
    const struct json_node *tree = NULL;
    buffer_init(&json, &memory_heap, RECORD_SIZE);
    arena_init(&arena, &memory_heap, 1 << 20);
    write_record(record, &json);
    if (!json_tree_parse(buffer_text(&json), &arena, &tree, &err) || !sighting_read(tree, &s, &err))
        fail_msg("%s", err.text);
    arena_release(&arena);
    buffer_release(&json);
    return s;
}

static void assert_fine(const struct record *record, const struct record *before)
{
    struct sighting now = look(record), then = look(before ? before : record);
    struct err err = { 0 };
    if (!sighting_check(&now, before ? &then : NULL, &err))
        fail_msg("%s", err.text);
}

static void assert_blamed(const struct record *record, const struct record *before,
                          const char *sentence)
{
    struct sighting now = look(record), then = look(before ? before : record);
    struct err err = { 0 };
    assert_false(sighting_check(&now, before ? &then : NULL, &err));
    if (!strstr(err.text, sentence))
        fail_msg("\"%s\" instead of \"%s\"", err.text, sentence);
}

static void test_a_record_is_read_whole(void **state)
{
    (void)state;

    struct sighting s = look(&running);

    assert_int_equal(s.number, 1);
    assert_true(s.is_live);
    assert_string_equal(s.status, "RUNNING");
    assert_string_equal(s.code, "2.0.0");
    assert_string_equal(s.waiting, "batch_full: 10 of 10 slots busy");
    assert_int_equal(s.completed, 38);
    assert_int_equal(s.batch.value, 10);
    assert_true(s.threshold.is_percent && s.threshold.value == 3);
    assert_int_equal(s.ended_at, 0);
    assert_int_equal(look(&completed).ended_at - look(&completed).created_at, 5 * 60 * 1000);
}

static void test_what_is_right_is_not_blamed(void **state)
{
    (void)state;

    assert_fine(&running, NULL);
    assert_fine(&running, &running);
    assert_fine(&completed, &running);
    assert_fine(&completed, &completed);
}

static void test_counters_that_do_not_add_up_are_blamed(void **state)
{
    struct record r = running;
    (void)state;

    r.pending++;

    assert_blamed(&r, NULL, "I1: r-1 counts 51 pending");
}

static void test_more_in_progress_than_the_batch_is_blamed(void **state)
{
    struct record r = running;
    (void)state;
    r.in_progress = 11;
    r.pending = 49;

    assert_blamed(&r, NULL, "I2: r-1 has 11 in progress, more than its limit of 10");
    r.batch = "\"10%\"";
    assert_blamed(&r, NULL, "more than its limit of 10");
    r.batch = "\"11%\"";
    assert_fine(&r, NULL);
}

static void test_a_rollback_may_inherit_more_than_its_batch(void **state)
{
    struct record r = running;
    (void)state;

    r.in_progress = 30;
    r.pending = 30;
    r.rollback_of = 3;

    assert_fine(&r, NULL);
}

static void test_a_fleet_that_shrank_may_leave_more_in_flight(void **state)
{
    struct record before = running, r = running;
    (void)state;
    before.batch = r.batch = "\"10%\"";

    r.total = 90;
    r.pending = 40;

    assert_fine(&r, &before);
    assert_blamed(&r, NULL, "limit of 9");
}

static void test_a_full_completion_with_somebody_left_is_blamed(void **state)
{
    struct record r = completed;
    (void)state;

    r.completed = 99;
    r.failed = 1;
    assert_blamed(&r, NULL, "completed in full with 99 of 100");
    r.outcome = "partial";

    assert_fine(&r, NULL);
}

static void test_an_ended_record_that_changes_is_blamed(void **state)
{
    struct record r = completed;
    (void)state;

    r.rolled_back_by = 2; /* the one thing that may change */
    assert_fine(&r, &completed);
    r.outcome = "partial";

    assert_blamed(&r, &completed, "I5: r-1 changed after it had ended");
}

static void test_an_end_without_a_time_is_blamed(void **state)
{
    struct record r = completed;
    (void)state;

    r.has_ended = false;

    assert_blamed(&r, NULL, "r-1 is COMPLETED and has no end");
}

static void test_a_record_without_its_counts_is_no_record(void **state)
{
    struct arena arena;
    const struct json_node *tree = NULL;
    struct sighting s = { .number = 9 };
    struct err err = { 0 };
    (void)state;
    arena_init(&arena, &memory_heap, 4096);

    assert_true(json_tree_parse(TEXT("{\"id\":\"r-1\",\"progress\":{}}"), &arena, &tree, &err));

    assert_false(sighting_read(tree, &s, &err));
    assert_int_equal(s.number, 9);
    arena_release(&arena);
}

/* ---- looking again and again ---------------------------------------------------------------- */

#define RECORDS_MAX 8

struct fake {
    struct world world;
    struct watcher watcher;
    struct record records[RECORDS_MAX];
    size_t count;
    uint32_t shown[RECORDS_MAX + 1]; /* how often each was asked for by its id */
    uint32_t looked;
    int status; /* of all answers, when not 0 */
    /* of the script */
    struct plan plan;
    struct http_fleet *fleet;
    struct script script;
    char paths[16][64], bodies[16][128], keys[16][64];
    uint32_t posts;
    int post_status;
    char told[16][256];
    uint32_t told_count;
};

static int answer_list(struct fake *fake, struct buffer *body)
{
    buffer_printf(body, "{\"deployments\":[");
    for (size_t i = fake->count; i > 0; i--) {
        write_record(&fake->records[i - 1], body);
        buffer_printf(body, i > 1 ? "," : "]");
    }
    buffer_printf(body, fake->count ? ",\"count\":1}" : "]}");
    return 200;
}

static int answer_record(struct fake *fake, struct text id, struct buffer *body)
{
    for (size_t i = 0; i < fake->count; i++) {
        if (fake->records[i].number != sighting_number(id))
            continue;
        fake->shown[fake->records[i].number]++;
        write_record(&fake->records[i], body);
        return 200;
    }
    return 404;
}

static int answer_post(struct fake *fake, const struct call *call, struct buffer *body)
{
    uint32_t i = fake->posts++;
    assert_true(i < 16);
    snprintf(fake->paths[i], sizeof fake->paths[i], "%.*s", TEXT_ARG(call->path));
    snprintf(fake->bodies[i], sizeof fake->bodies[i], "%.*s", TEXT_ARG(call->body));
    snprintf(fake->keys[i], sizeof fake->keys[i], "%.*s", TEXT_ARG(call->idempotency_key));
    if (fake->post_status >= 400)
        buffer_printf(body, "{\"code\":\"refused\",\"detail\":\"the present state forbids it\"}");
    return fake->post_status;
}

static int answer(struct world *world, const struct call *call, struct buffer *body)
{
    struct fake *fake = world->ctx;
    if (fake->status != 0)
        return fake->status;
    if (strcmp(call->method, "POST") == 0)
        return answer_post(fake, call, body);
    if (text_starts_with(call->path, TEXT("/deploy?")))
        return answer_list(fake, body);
    assert_true(text_starts_with(call->path, TEXT("/deploy/r-")));
    return answer_record(fake, text_skip(call->path, 8), body);
}

static void on_looked(void *ctx)
{
    ((struct fake *)ctx)->looked++;
}

static int setup(void **state)
{
    static struct fake fake;
    fake = (struct fake){ .post_status = 201 };
    world_init(&fake.world, answer, &fake);
    *state = &fake;
    return 0;
}

static int teardown(void **state)
{
    struct fake *fake = *state;
    watcher_stop(&fake->watcher);
    script_stop(&fake->script);
    world_release(&fake->world);
    watcher_release(&fake->watcher);
    http_fleet_free(fake->fleet);
    if (fake->plan.arena.memory)
        plan_release(&fake->plan);
    return 0;
}

static void watch(struct fake *fake)
{
    const struct watcher_options options = { .caller = world_caller(&fake->world),
                                             .timer = world_timer(&fake->world),
                                             .every_ms = 100,
                                             .max_concurrent = 1,
                                             .looked = on_looked,
                                             .ctx = fake };
    struct err err = { 0 };
    if (!watcher_start(&fake->watcher, &options, &err))
        fail_msg("%s", err.text);
}

static void show(struct fake *fake, const struct record *record)
{
    assert_true(fake->count < RECORDS_MAX);
    fake->records[fake->count++] = *record;
}

static void test_a_server_without_rollouts_is_fine(void **state)
{
    struct fake *fake = *state;

    watch(fake);
    world_run(&fake->world, 1000);

    assert_true(fake->looked >= 9);
    assert_int_equal(fake->watcher.violation_count, 0);
    assert_null(watcher_first_live(&fake->watcher));
}

static void test_a_live_rollout_is_followed_to_its_end(void **state)
{
    struct fake *fake = *state;
    show(fake, &running);
    watch(fake);
    world_run(&fake->world, 1000);
    assert_int_equal(watcher_live_count(&fake->watcher), 1);
    assert_int_equal(watcher_first_live(&fake->watcher)->number, 1);
    uint32_t shown = fake->shown[1];
    assert_true(shown >= 8);

    fake->records[0] = completed;
    world_run(&fake->world, 1000);

    assert_int_equal(watcher_live_count(&fake->watcher), 0);
    assert_string_equal(watcher_rollout(&fake->watcher, 1)->status, "COMPLETED");
    assert_in_range(fake->shown[1] - shown, 1, 2); /* its end is looked at, and then no more */
    assert_int_equal(fake->watcher.violation_count, 0);
}

static void test_rollouts_that_had_ended_before_are_old(void **state)
{
    struct fake *fake = *state;
    struct record second = running;
    second.number = 2;
    show(fake, &completed);

    watch(fake);
    world_run(&fake->world, 300);
    show(fake, &second);
    world_run(&fake->world, 300);

    assert_int_equal(fake->watcher.count, 2);
    assert_true(fake->watcher.list[0].is_old);
    assert_false(fake->watcher.list[1].is_old);
    assert_int_equal(fake->shown[1], 0);
}

static void test_two_live_rollouts_are_blamed_when_one_is_allowed(void **state)
{
    struct fake *fake = *state;
    struct record second = running;
    second.number = 2;
    show(fake, &running);
    show(fake, &second);

    watch(fake);
    world_run(&fake->world, 50);

    assert_true(fake->watcher.violation_count > 0);
    assert_non_null(strstr(fake->watcher.violations[0], "I4: 2 rollouts are live at once"));
}

static void test_a_rollback_of_a_rollback_is_blamed(void **state)
{
    struct fake *fake = *state;
    struct record undo = completed, again = running;
    undo.number = 2;
    undo.rollback_of = 1;
    again.number = 3;
    again.rollback_of = 2;
    show(fake, &completed);
    show(fake, &undo);
    watch(fake);
    world_run(&fake->world, 300);
    assert_int_equal(fake->watcher.violation_count, 0);

    show(fake, &again);
    world_run(&fake->world, 300);

    assert_int_equal(fake->watcher.violation_count, 1);
    assert_non_null(strstr(fake->watcher.violations[0], "I7: r-3 rolls back r-2"));
}

static void test_a_violation_is_kept_and_counted_beyond_what_is_kept(void **state)
{
    struct fake *fake = *state;
    struct record bad = running;
    bad.total++;
    show(fake, &bad);

    watch(fake);
    world_run(&fake->world, 5000);

    assert_true(fake->watcher.violation_count > WATCHER_VIOLATIONS_MAX);
    assert_non_null(strstr(fake->watcher.violations[WATCHER_VIOLATIONS_MAX - 1], "I1"));
}

static void test_no_answer_is_no_violation(void **state)
{
    struct fake *fake = *state;
    fake->status = 503;
    watch(fake);
    world_run(&fake->world, 1000);
    assert_int_equal(fake->looked, 0);
    assert_true(fake->watcher.missed >= 9);
    assert_true(fake->watcher.trouble.text[0] != '\0');

    fake->status = 0;
    world_run(&fake->world, 1000);

    assert_true(fake->looked >= 8);
    assert_int_equal(fake->watcher.violation_count, 0);
}

static void test_a_record_that_is_kept_no_longer_is_let_go(void **state)
{
    struct fake *fake = *state;
    show(fake, &running);
    watch(fake);
    world_run(&fake->world, 500);

    fake->count = 0;
    world_run(&fake->world, 500);

    assert_int_equal(fake->watcher.violation_count, 0);
}

/* ---- scripts -------------------------------------------------------------------------------- */

static void on_told(void *ctx, const char *sentence)
{
    struct fake *fake = ctx;
    assert_true(fake->told_count < 16);
    snprintf(fake->told[fake->told_count++], sizeof fake->told[0], "%s", sentence);
}

static void run_script(struct fake *fake, const char *yaml)
{
    struct err err = { 0 };
    const struct http_fleet_options fleet_options = { .caller = world_caller(&fake->world),
                                                      .timer = world_timer(&fake->world) };
    if (!plan_read(&fake->plan, text_from(yaml), &err) ||
        !http_fleet_new(&fake->plan, &fleet_options, &fake->fleet, &err))
        fail_msg("%s", err.text);
    const struct script_options options = { .caller = world_caller(&fake->world),
                                            .timer = world_timer(&fake->world),
                                            .plan = &fake->plan,
                                            .fleet = fake->fleet,
                                            .watcher = &fake->watcher,
                                            .told = on_told,
                                            .ctx = fake };
    if (!script_start(&fake->script, &options, &err))
        fail_msg("%s", err.text);
}

#define FLEET "generate: [{count: 3, prefix: web-}]\n"

static void test_steps_happen_at_their_time_in_order(void **state)
{
    struct fake *fake = *state;
    run_script(fake, FLEET "script:\n"
                           "  - {at: 2s, rollback: {}}\n"
                           "  - {at: 1s, deploy: {code_version: '2'}}\n"
                           "  - {at: 1500ms, behave: {behaviour: normal}}\n");

    world_run(&fake->world, 900);
    assert_int_equal(fake->posts, 0);
    world_run(&fake->world, 900);
    assert_int_equal(fake->posts, 1);
    assert_false(script_is_done(&fake->script));
    world_run(&fake->world, 900);

    assert_int_equal(fake->posts, 2);
    assert_string_equal(fake->paths[0], "/deploy");
    assert_string_equal(fake->bodies[0], "{\"code_version\":\"2\"}");
    assert_string_equal(fake->paths[1], "/deploy/rollback");
    assert_true(script_is_done(&fake->script));
    assert_int_equal(fake->script.refused, 0);
    assert_string_equal(fake->told[1], "step 2 (behave): 3 instances behave as normal");
}

static void test_a_verb_goes_to_the_rollout_that_is_live(void **state)
{
    struct fake *fake = *state;
    struct record r = running;
    r.number = 7;
    show(fake, &r);
    watch(fake);

    run_script(fake, FLEET "script:\n"
                           "  - {at: 1s, verb: {verb: pause, reason: lunch}}\n"
                           "  - {at: 2s, verb: {verb: resume, id: r-9}}\n");
    world_run(&fake->world, 3000);

    assert_string_equal(fake->paths[0], "/deploy/r-7/pause");
    assert_string_equal(fake->bodies[0], "{\"reason\":\"lunch\"}");
    assert_string_equal(fake->paths[1], "/deploy/r-9/resume");
}

static void test_a_verb_without_a_live_rollout_is_refused(void **state)
{
    struct fake *fake = *state;

    run_script(fake, FLEET "script: [{at: 1s, verb: {verb: pause}}]\n");
    world_run(&fake->world, 3000);

    assert_int_equal(fake->posts, 0);
    assert_int_equal(fake->script.refused, 1);
    assert_true(script_is_done(&fake->script));
}

static void test_a_refusal_is_told_with_its_reason(void **state)
{
    struct fake *fake = *state;
    fake->post_status = 409;

    run_script(fake, FLEET "script: [{at: 1s, deploy: {}}]\n");
    world_run(&fake->world, 3000);

    assert_int_equal(fake->script.refused, 1);
    assert_string_equal(fake->told[0],
                        "step 1 (deploy): refused, 409: the present state forbids it");
}

static void test_a_lost_answer_is_asked_for_again_with_the_same_key(void **state)
{
    struct fake *fake = *state;
    fake->world.lost_answers = 1000;
    run_script(fake, FLEET "script: [{at: 1s, deploy: {}}, {at: 1s, deploy: {}}]\n");
    world_run(&fake->world, 6000);
    uint32_t tries = fake->posts;
    assert_true(tries >= 2);

    fake->world.lost_answers = 0;
    world_run(&fake->world, 120000);

    assert_true(script_is_done(&fake->script));
    assert_int_equal(fake->script.refused, 0);
    assert_true(fake->keys[0][0] != '\0');
    assert_string_equal(fake->keys[0], fake->keys[tries]);
    assert_string_not_equal(fake->keys[0], fake->keys[fake->posts - 1]); /* of the second step */
}

static void test_a_step_nobody_answers_is_given_up_at_last(void **state)
{
    struct fake *fake = *state;
    fake->world.lost_requests = 1000;

    run_script(fake, FLEET "script: [{at: 1s, deploy: {}}]\n");
    world_run(&fake->world, 3600 * 1000);

    assert_int_equal(fake->script.refused, 1);
    assert_true(script_is_done(&fake->script));
    assert_int_equal(fake->world.calls, SCRIPT_TRIES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_read_whole),
        cmocka_unit_test(test_what_is_right_is_not_blamed),
        cmocka_unit_test(test_counters_that_do_not_add_up_are_blamed),
        cmocka_unit_test(test_more_in_progress_than_the_batch_is_blamed),
        cmocka_unit_test(test_a_rollback_may_inherit_more_than_its_batch),
        cmocka_unit_test(test_a_fleet_that_shrank_may_leave_more_in_flight),
        cmocka_unit_test(test_a_full_completion_with_somebody_left_is_blamed),
        cmocka_unit_test(test_an_ended_record_that_changes_is_blamed),
        cmocka_unit_test(test_an_end_without_a_time_is_blamed),
        cmocka_unit_test(test_a_record_without_its_counts_is_no_record),
        TEST(test_a_server_without_rollouts_is_fine),
        TEST(test_a_live_rollout_is_followed_to_its_end),
        TEST(test_rollouts_that_had_ended_before_are_old),
        TEST(test_two_live_rollouts_are_blamed_when_one_is_allowed),
        TEST(test_a_rollback_of_a_rollback_is_blamed),
        TEST(test_a_violation_is_kept_and_counted_beyond_what_is_kept),
        TEST(test_no_answer_is_no_violation),
        TEST(test_a_record_that_is_kept_no_longer_is_let_go),
        TEST(test_steps_happen_at_their_time_in_order),
        TEST(test_a_verb_goes_to_the_rollout_that_is_live),
        TEST(test_a_verb_without_a_live_rollout_is_refused),
        TEST(test_a_refusal_is_told_with_its_reason),
        TEST(test_a_lost_answer_is_asked_for_again_with_the_same_key),
        TEST(test_a_step_nobody_answers_is_given_up_at_last),
    };
    return cmocka_run_group_tests_name("sim/watcher", tests, NULL, NULL);
}
