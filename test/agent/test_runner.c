/* SPDX-License-Identifier: Apache-2.0
 * test_runner.c - whole lives of an agent against a scripted server and a scripted host, in virtual
 * time: answers that get lost, refusals, wishes that change, orders that are old. */
#include "agent/runner.h"
#include "base/suite.h"

#include <stdio.h>

/* ---- the world ---------------------------------------------------------------------------------
 */

#define WAKES_MAX  64
#define CALLS_MAX  8
#define LATENCY_MS 5

struct pending_call {
    call_done_fn *done;
    void *ctx;
    int64_t due;
    bool is_registration, is_held;
    char body[1024], bearer[64];
};

struct pending_wake {
    wake_fn *wake;
    void *ctx;
    int64_t due;
};

struct world {
    int64_t now;
    struct runner *runner;
    bool has_ended;
    struct identity saved;
    unsigned saves;

    /* the server */
    bool knows_instance, knows_wait, is_down, loses_answers;
    int refuses_with; /* status, 0: nothing */
    int64_t retry_after_ms;
    char credential[64];     /* given at registration; "": none */
    char wish[64], runs[64]; /* code versions */
    uint64_t generation;
    char status; /* digit of the newest report, or '-' */
    char message[512];
    unsigned registrations, heartbeats, held, labelled;
    struct pending_call calls[CALLS_MAX];
    size_t call_count;

    /* the host */
    char installed[64];
    int update_code, health_code;
    int64_t update_ms;
    unsigned updates;
    char environment[1024]; /* of the newest update */
    command_done_fn *command_done;
    void *command_ctx;
    int64_t command_due;
    struct command_result result;
    char output[128];

    struct pending_wake wakes[WAKES_MAX];
    size_t wake_count;
};

static bool start_call(void *self, const struct call *call, call_done_fn *done, void *ctx)
{
    struct world *w = self;
    assert_true(w->call_count < CALLS_MAX);
    struct pending_call *p = &w->calls[w->call_count++];
    *p = (struct pending_call){ .done = done, .ctx = ctx, .due = w->now + LATENCY_MS };
    p->is_registration = strcmp(call->method, "POST") == 0;
    p->is_held = text_ends_with(call->path, TEXT("?wait=30s"));
    snprintf(p->body, sizeof p->body, "%.*s", TEXT_ARG(call->body));
    snprintf(p->bearer, sizeof p->bearer, "%.*s", TEXT_ARG(call->bearer));
    if (!p->is_registration)
        assert_true(text_starts_with(call->path, TEXT("/inventory/instances/web%201")));
    if (p->is_held && w->knows_wait && !w->is_down)
        p->due = w->now + 30000;
    return true;
}

/* The text behind `key` in a flat JSON object, up to a quote, comma or brace. */
static bool find_value(const char *json, const char *key, char space[static 512])
{
    const char *at = strstr(json, key);
    if (!at)
        return false;
    at += strlen(key);
    size_t size = strcspn(at, "\",}");
    memcpy(space, at, size);
    space[size] = '\0';
    return true;
}

static void take_report(struct world *w, const char *body)
{
    char space[512];
    w->heartbeats++;
    if (strstr(body, "\"labels\""))
        w->labelled++;
    if (find_value(body, "\"code_version\":\"", space))
        snprintf(w->runs, sizeof w->runs, "%.60s", space);
    if (find_value(body, "\"status\":", space)) {
        w->status = space[0];
        assert_true(find_value(body, "\"message\":\"", w->message));
    }
}

static int serve(struct world *w, const struct pending_call *p, char *space, size_t size)
{
    if (w->is_down)
        return 0;
    if (w->refuses_with)
        return w->refuses_with;
    if (p->is_registration) {
        bool is_new = !w->knows_instance;
        w->registrations++;
        w->knows_instance = true;
        snprintf(space, size, "{\"credential\":%s%s%s}", w->credential[0] ? "\"" : "",
                 w->credential[0] ? w->credential : "null", w->credential[0] ? "\"" : "");
        return is_new ? 201 : 200;
    }
    if (!w->knows_instance)
        return 404;
    if (strcmp(p->bearer, w->credential) != 0)
        return 401;
    if (p->is_held && !w->knows_wait)
        return 400;
    w->held += p->is_held;
    take_report(w, p->body);
    bool is_needed = w->wish[0] && strcmp(w->wish, w->runs) != 0;
    snprintf(space, size,
             "{\"update_needed\":%s,\"generation\":%llu,\"next_heartbeat_ms\":2000,"
             "\"deployment_id\":\"r-%llu\",\"current_state\":{\"code_version\":\"%s\"},"
             "\"desired_state\":{\"code_version\":\"%s\",\"configuration_version\":null}}",
             is_needed ? "true" : "false", (unsigned long long)w->generation,
             (unsigned long long)w->generation, w->runs, w->wish);
    return 200;
}

static void answer_call(struct world *w, size_t index)
{
    char space[1024] = "{}";
    struct pending_call p = w->calls[index];
    w->calls[index] = w->calls[--w->call_count];
    struct call_result result = { .status = serve(w, &p, space, sizeof space) };
    result.body = text_from(space);
    result.retry_after_ms = result.status == 503 || result.status == 429 ? w->retry_after_ms : 0;
    if (w->loses_answers)
        result.status = 0;
    if (result.status == 0)
        err_set(&result.err, ERR_UNAVAILABLE, "no answer");
    p.done(p.ctx, &result);
}

static bool after(void *self, int64_t delay_ms, wake_fn *wake, void *ctx)
{
    struct world *w = self;
    assert_true(w->wake_count < WAKES_MAX);
    w->wakes[w->wake_count++] = (struct pending_wake){ wake, ctx, w->now + delay_ms };
    return true;
}

static int64_t now_ms(void *self)
{
    return ((struct world *)self)->now;
}

static void note_environment(struct world *w, const struct command_order *order)
{
    w->environment[0] = '\0';
    for (size_t i = 0; order->environment[i]; i++) {
        size_t used = strlen(w->environment);
        snprintf(w->environment + used, sizeof w->environment - used, "%s\n",
                 order->environment[i]);
    }
}

static bool start_command(void *self, const struct command_order *order, command_done_fn *done,
                          void *ctx)
{
    struct world *w = self;
    char space[512];
    assert_null(w->command_done);
    w->command_done = done;
    w->command_ctx = ctx;
    w->command_due = w->now + 1;
    w->output[0] = '\0';
    w->result = (struct command_result){ .end = COMMAND_EXITED };
    if (strcmp(order->words[0], "version") == 0)
        snprintf(w->output, sizeof w->output, "%s\n", w->installed);
    else if (strcmp(order->words[0], "health") == 0)
        w->result.number = w->health_code;
    else {
        note_environment(w, order);
        w->updates++;
        w->command_due = w->now + w->update_ms;
        w->result.number = w->update_code;
        assert_true(
            find_value(strstr(w->environment, "\nDIDES_CODE"), "\nDIDES_CODE_VERSION=", space));
        if (w->update_code == 0)
            snprintf(w->installed, sizeof w->installed, "%.*s", (int)strcspn(space, "\n") % 60,
                     space);
    }
    return true;
}

static void stop_command(void *self)
{
    struct world *w = self;
    w->result.end = COMMAND_STOPPED;
    w->command_due = w->now + 1;
}

static void end_command(struct world *w)
{
    command_done_fn *done = w->command_done;
    w->command_done = NULL;
    w->result.head = w->result.output = text_from(w->output);
    done(w->command_ctx, &w->result);
}

/* What comes next, and nothing when nothing is left before `until`. */
static bool advance(struct world *w, int64_t until)
{
    int64_t due = w->command_done ? w->command_due : INT64_MAX;
    int call = -1, wake = -1;
    for (size_t i = 0; i < w->call_count; i++)
        if (w->calls[i].due < due) {
            due = w->calls[i].due;
            call = (int)i;
        }
    for (size_t i = 0; i < w->wake_count; i++)
        if (w->wakes[i].due < due) {
            due = w->wakes[i].due;
            wake = (int)i;
        }
    if (due > until)
        return false;
    w->now = due > w->now ? due : w->now;
    if (wake >= 0) {
        struct pending_wake p = w->wakes[wake];
        w->wakes[wake] = w->wakes[--w->wake_count];
        p.wake(p.ctx);
    } else if (call >= 0) {
        answer_call(w, (size_t)call);
    } else {
        end_command(w);
    }
    return true;
}

static void pass(struct world *w, int64_t ms)
{
    int64_t until = w->now + ms;
    while (advance(w, until))
        ;
    w->now = until;
}

static void log_nothing(void *self, enum log_level level, const char *message,
                        const struct log_field *fields)
{
    (void)self;
    (void)level;
    (void)message;
    (void)fields;
}

static uint64_t draw(void *ctx)
{
    return (uint64_t)((struct world *)ctx)->now * 2654435761u;
}

static bool save(void *ctx, const struct identity *identity, struct err *err)
{
    struct world *w = ctx;
    (void)err;
    w->saved = *identity;
    w->saves++;
    return true;
}

static void on_ended(void *ctx)
{
    ((struct world *)ctx)->has_ended = true;
}

static struct text update_words[] = { { "update", 6 } }, version_words[] = { { "version", 7 } },
                   health_words[] = { { "health", 6 } };
static struct json_pair labels[] = { { .key = { "env", 3 }, .value = { "prod", 4 } } };
static const struct config_values config = {
    .server = { "http://s", 8 },
    .name = { "web 1", 5 },
    .token = { "t", 1 },
    .labels = labels,
    .label_count = 1,
    .update = { update_words, 1 },
    .version = { version_words, 1 },
    .health = { health_words, 1 },
    .update_timeout_ms = 60000,
    .version_timeout_ms = 1000,
    .health_timeout_ms = 1000,
    .check_interval_ms = 10000,
    .stop_grace_ms = 3000,
    .update_retries = 1,
};

static void start_agent(struct world *w)
{
    struct err err = { 0 };
    const struct runner_options options = {
        .config = &config,
        .path = TEXT("/bin"),
        .lang = TEXT("C"),
        .identity = w->saves > 0 ? &w->saved : NULL,
        .caller = { start_call, w },
        .timer = { after, now_ms, w },
        .command = { start_command, stop_command, w },
        .log = { log_nothing, w },
        .random = draw,
        .save = save,
        .ended = on_ended,
        .ctx = w,
    };
    w->has_ended = false;
    assert_true(runner_new(&options, &w->runner, &err));
    runner_start(w->runner);
}

/* The process is gone: nobody is called any more. */
static void kill_agent(struct world *w)
{
    for (size_t i = 0; i < w->call_count; i++)
        free(w->calls[i].ctx);
    w->call_count = w->wake_count = 0;
    w->command_done = NULL;
    runner_free(w->runner);
    w->runner = NULL;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->now = 1000000;
    w->knows_wait = true;
    w->status = '-';
    w->update_ms = 4000;
    snprintf(w->installed, sizeof w->installed, "1.0");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    kill_agent(w);
    free(w);
    return 0;
}

static void wish(struct world *w, const char *code)
{
    snprintf(w->wish, sizeof w->wish, "%s", code);
    w->generation++;
    for (size_t i = 0; i < w->call_count; i++)
        if (w->calls[i].is_held)
            w->calls[i].due = w->now + LATENCY_MS;
}

/* ---- lives -------------------------------------------------------------------------------------
 */

static void test_it_registers_reports_and_then_waits_for_orders(void **state)
{
    struct world *w = *state;

    start_agent(w);
    pass(w, 1000 * 3600);

    assert_int_equal(w->registrations, 1);
    assert_string_equal(w->runs, "1.0");
    assert_int_equal(w->status, '1');
    assert_in_range(w->held, 118, 121); /* one each 30 s */
    assert_in_range(w->heartbeats - w->held, 2, 4);
}

static void test_a_wish_reaches_a_waiting_agent_at_once(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    wish(w, "2.0");
    pass(w, 4100);

    assert_string_equal(w->runs, "2.0");
    assert_int_equal(w->status, '1');
    assert_non_null(strstr(w->environment, "PATH=/bin\nLANG=C\nDIDES_CODE_VERSION=2.0\n"));
    assert_non_null(strstr(w->environment, "DIDES_PREVIOUS_CODE_VERSION=1.0\n"));
    assert_non_null(
        strstr(w->environment, "DIDES_ATTEMPT=1\nDIDES_GENERATION=1\nDIDES_DEPLOYMENT_ID=r-1\n"));
}

static void test_without_wait_it_polls_at_the_interval_it_is_given(void **state)
{
    struct world *w = *state;
    w->knows_wait = false;

    start_agent(w);
    pass(w, 100 * 1000);
    unsigned before = w->heartbeats;
    wish(w, "2.0");
    pass(w, 10000);

    assert_in_range(before, 45, 55);
    assert_int_equal(w->held, 0);
    assert_string_equal(w->runs, "2.0");
}

static void test_a_failed_update_is_told_after_its_retry(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->update_code = 4;
    wish(w, "2.0");
    pass(w, 5000);
    char meanwhile = w->status;
    pass(w, 60000);

    assert_int_equal(meanwhile, '1');
    assert_int_equal(w->updates, 2);
    assert_int_equal(w->status, '3');
    assert_string_equal(w->message, "update_command ended with exit code 4");
    assert_string_equal(w->runs, "1.0");
}

static void test_after_a_failure_the_way_back_needs_no_update(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);
    w->update_code = 4;
    wish(w, "2.0");
    pass(w, 60000);

    wish(w, "1.0");
    pass(w, 1000);

    assert_int_equal(w->updates, 2);
    assert_int_equal(w->status, '1');
}

static void test_answers_that_get_lost_change_nothing_but_the_time(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->loses_answers = true;
    wish(w, "2.0");
    pass(w, 300 * 1000);
    unsigned updates = w->updates;
    w->loses_answers = false;
    pass(w, 70000);

    assert_int_equal(updates, 0);
    assert_int_equal(w->updates, 1);
    assert_int_equal(w->registrations, 1);
    assert_string_equal(w->runs, "2.0");
}

static void test_a_server_that_is_down_is_asked_less_and_less(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->is_down = true;
    pass(w, 3600 * 1000);
    size_t asked = w->call_count;
    w->is_down = false;
    pass(w, 61000);

    assert_true(asked <= 1);
    assert_int_equal(w->registrations, 1);
    assert_int_equal(w->status, '1');
}

static void test_retry_after_is_honoured(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 1000);
    unsigned before = w->heartbeats;

    w->refuses_with = 503;
    w->retry_after_ms = 50000;
    pass(w, 35000); /* the held one comes back refused */
    w->refuses_with = 0;
    pass(w, 45000);
    unsigned early = w->heartbeats;
    pass(w, 33000); /* the next one may be held, too */

    assert_int_equal(early, before);
    assert_true(w->heartbeats > early);
}

static void test_an_instance_that_was_deleted_registers_again(void **state)
{
    struct world *w = *state;
    w->generation = 40;
    start_agent(w);
    pass(w, 20000);

    w->knows_instance = false;
    w->runs[0] = '\0';
    w->generation = 0;
    pass(w, 40000);
    wish(w, "2.0");
    pass(w, 10000);

    assert_int_equal(w->registrations, 2);
    assert_string_equal(w->runs, "2.0");
}

static void test_a_credential_is_sent_kept_and_replaced_when_refused(void **state)
{
    struct world *w = *state;
    snprintf(w->credential, sizeof w->credential, "first");
    start_agent(w);
    pass(w, 20000);
    assert_string_equal(w->saved.credential, "first");
    unsigned labelled = w->labelled;

    kill_agent(w);
    start_agent(w);
    pass(w, 20000);
    unsigned registrations = w->registrations;
    snprintf(w->credential, sizeof w->credential, "second");
    pass(w, 60000);

    assert_int_equal(registrations, 1);
    assert_int_equal(labelled, 0);
    assert_int_equal(w->labelled, 1); /* by the start without registration */
    assert_int_equal(w->registrations, 2);
    assert_string_equal(w->saved.credential, "second");
    assert_int_equal(w->status, '1');
}

static void test_an_older_generation_is_ignored(void **state)
{
    struct world *w = *state;
    w->generation = 7;
    start_agent(w);
    pass(w, 20000);

    snprintf(w->wish, sizeof w->wish, "0.9");
    w->generation = 6;
    pass(w, 120 * 1000);

    assert_int_equal(w->updates, 0);
    assert_int_equal(w->registrations, 1);
}

static void test_a_wish_that_changes_in_mid_update_waits_for_its_end(void **state)
{
    struct world *w = *state;
    w->update_ms = 20000;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 5000);

    w->update_code = 1; /* of the next: this one has its fate */
    wish(w, "3.0");
    pass(w, 10000);
    unsigned meanwhile = w->updates;
    w->update_code = 0;
    pass(w, 60000);

    assert_int_equal(meanwhile, 1);
    assert_int_equal(w->updates, 2);
    assert_string_equal(w->runs, "3.0");
}

static void test_a_failure_of_an_order_that_is_no_more_is_not_told(void **state)
{
    struct world *w = *state;
    w->update_ms = 20000;
    w->update_code = 1;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 5000);

    wish(w, "1.0");
    pass(w, 60000);

    assert_int_equal(w->updates, 1);
    assert_int_equal(w->status, '1');
}

static void test_a_killed_agent_tries_no_more_often_than_allowed(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");

    for (int i = 0; i < 6; i++) {
        pass(w, 3000); /* within the update */
        kill_agent(w);
        snprintf(w->installed, sizeof w->installed, "1.0");
        start_agent(w);
    }
    pass(w, 10000);

    assert_int_equal(w->updates, 2);
    assert_int_equal(w->status, '3');
    assert_non_null(strstr(w->message, "gave up: 2 attempts"));
}

static void test_drift_is_noticed_and_told(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 20000);

    snprintf(w->installed, sizeof w->installed, "1.9");
    pass(w, 30000);

    assert_int_equal(w->updates, 2);
    assert_string_equal(w->runs, "2.0");
}

static void test_health_is_told_when_it_changes(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->health_code = 1;
    pass(w, 11000);
    char degraded = w->status;
    w->health_code = 0;
    pass(w, 11000);

    assert_int_equal(degraded, '2');
    assert_int_equal(w->status, '1');
}

static void test_stopping_in_mid_update_waits_and_then_kills(void **state)
{
    struct world *w = *state;
    w->update_ms = 60000;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 5000);
    unsigned before = w->heartbeats;

    runner_stop(w->runner);
    pass(w, 2900);
    bool early = w->has_ended;
    pass(w, 200);

    assert_false(early);
    assert_true(w->has_ended);
    assert_int_equal(w->heartbeats - before <= 1, 1); /* one was under way */
    assert_int_equal(w->saved.record.attempts, 0);
}

/* Every kind of trouble at random instants; when it is over, the agent runs what is wished. */
static void test_after_any_trouble_it_comes_right(void **state)
{
    struct world *w = *state;
    uint64_t dice = 3;
    (void)state;
    start_agent(w);

    for (int i = 0; i < 2000; i++) {
        char code[16];
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        uint32_t roll = (uint32_t)(dice >> 33);
        snprintf(code, sizeof code, "%u.0", roll % 3 + 1);
        switch (roll % 9) {
        case 0: w->is_down = !w->is_down; break;
        case 1: w->loses_answers = !w->loses_answers; break;
        case 2: w->refuses_with = w->refuses_with ? 0 : roll & 64 ? 503 : 401; break;
        case 3: w->knows_instance = false; break;
        case 4: w->knows_wait = !w->knows_wait; break;
        case 5: w->update_code = roll & 64 ? 1 : 0; break;
        case 6:
            kill_agent(w);
            start_agent(w);
            break;
        default: wish(w, code);
        }
        pass(w, roll % 9000);
    }
    w->is_down = w->loses_answers = false;
    w->refuses_with = w->update_code = 0;
    wish(w, "9.0");
    pass(w, 300 * 1000);

    assert_string_equal(w->runs, "9.0");
    assert_int_equal(w->status, '1');
    assert_null(life_invariant(runner_life(w->runner)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_registers_reports_and_then_waits_for_orders),
        TEST(test_a_wish_reaches_a_waiting_agent_at_once),
        TEST(test_without_wait_it_polls_at_the_interval_it_is_given),
        TEST(test_a_failed_update_is_told_after_its_retry),
        TEST(test_after_a_failure_the_way_back_needs_no_update),
        TEST(test_answers_that_get_lost_change_nothing_but_the_time),
        TEST(test_a_server_that_is_down_is_asked_less_and_less),
        TEST(test_retry_after_is_honoured),
        TEST(test_an_instance_that_was_deleted_registers_again),
        TEST(test_a_credential_is_sent_kept_and_replaced_when_refused),
        TEST(test_an_older_generation_is_ignored),
        TEST(test_a_wish_that_changes_in_mid_update_waits_for_its_end),
        TEST(test_a_failure_of_an_order_that_is_no_more_is_not_told),
        TEST(test_a_killed_agent_tries_no_more_often_than_allowed),
        TEST(test_drift_is_noticed_and_told),
        TEST(test_health_is_told_when_it_changes),
        TEST(test_stopping_in_mid_update_waits_and_then_kills),
        TEST(test_after_any_trouble_it_comes_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
