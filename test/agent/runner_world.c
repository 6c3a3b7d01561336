/* SPDX-License-Identifier: Apache-2.0
 * runner_world.c - see runner_world.h. */
#include "agent/runner_world.h"

#include "base/suite.h"

#include <stdio.h>

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
    if (strstr(body, "\"labels\""))
        w->labelled++;
    if (find_value(body, "\"code_version\":\"", space))
        snprintf(w->runs, sizeof w->runs, "%.60s", space);
    if (find_value(body, "\"status\":", space)) {
        w->status = space[0];
        assert_true(find_value(body, "\"message\":\"", w->message));
    }
}

enum order { ORDER_TAKE, ORDER_LATE, ORDER_OVER, ORDER_GIVE };

/* What a server that knows sessions does about the one of this report. */
static enum order order_report(struct world *w, const char *body)
{
    char session[512], sequence[512], present[32];
    uint64_t number;
    if (w->is_plain || !find_value(body, "\"session\":\"", session))
        return ORDER_TAKE;
    if (!session[0]) {
        assert_null(strstr(body, "status"));
        assert_null(strstr(body, "labels"));
        w->session = ++w->sessions;
        w->sequence = 0;
        return ORDER_GIVE;
    }
    snprintf(present, sizeof present, "s-%u", w->session);
    if (strcmp(session, present) != 0)
        return ORDER_OVER;
    assert_true(find_value(body, "\"sequence\":", sequence));
    assert_true(text_to_u64(text_from(sequence), UINT32_MAX, &number));
    if (number <= w->sequence)
        return ORDER_LATE;
    w->sequence = number;
    return ORDER_TAKE;
}

static void write_answer(const struct world *w, bool gives_session, char *space, size_t size)
{
    char session[32] = "null";
    bool is_needed = w->wish[0] && strcmp(w->wish, w->runs) != 0;
    if (gives_session)
        snprintf(session, sizeof session, "\"s-%u\"", w->session);
    snprintf(space, size,
             "{\"update_needed\":%s,\"generation\":%llu,\"next_heartbeat_ms\":2000,"
             "\"deployment_id\":\"r-%llu\",\"current_state\":{\"code_version\":\"%s\"},"
             "\"desired_state\":{\"code_version\":\"%s\",\"configuration_version\":null},"
             "\"session\":%s}",
             is_needed ? "true" : "false", (unsigned long long)w->generation,
             (unsigned long long)w->generation, w->runs, w->wish, session);
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
    enum order order = order_report(w, p->body);
    if (order == ORDER_OVER)
        return 409;
    w->heartbeats++;
    if (order == ORDER_TAKE)
        take_report(w, p->body);
    write_answer(w, order == ORDER_GIVE, space, size);
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

void pass(struct world *w, int64_t ms)
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

void start_agent(struct world *w)
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
void kill_agent(struct world *w)
{
    for (size_t i = 0; i < w->call_count; i++)
        free(w->calls[i].ctx);
    w->call_count = w->wake_count = 0;
    w->command_done = NULL;
    runner_free(w->runner);
    w->runner = NULL;
}

int world_set_up(void **state)
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

int world_tear_down(void **state)
{
    struct world *w = *state;
    kill_agent(w);
    free(w);
    return 0;
}

void wish(struct world *w, const char *code)
{
    snprintf(w->wish, sizeof w->wish, "%s", code);
    w->generation++;
    for (size_t i = 0; i < w->call_count; i++)
        if (w->calls[i].is_held)
            w->calls[i].due = w->now + LATENCY_MS;
}
