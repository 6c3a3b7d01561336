/* SPDX-License-Identifier: Apache-2.0
 * plan.c - plans: what a deploy would do, worked out by a forked copy of the server, so that nobody
 * waits for it who did not ask. One is made at a time, a few wait for their turn. Also the hash by
 * which a deploy says which plan it goes by. */
#include "http/api_parts.h"

#include "net/forked.h"
#include "plan/identity.h"
#include "wire/request.h"
#include "wire/view_plan.h"

#include <sodium.h>

#define ARENA_MAX   ((size_t)8 << 20) /* of one request: as for any other */
#define MEMORY_BASE ((size_t)256 << 20)
#define MEMORY_PER_MEMBER                                                                          \
    ((size_t)1536) /* as many as may start at once, with all that is noted                         \
                    */
#define AGAIN_S 5  /* when all places are taken */

/* What the child says begins with one of these. */
#define SAYS_PLAN  'P' /* the answer follows */
#define SAYS_ERROR 'E' /* a struct err follows */

struct plan {
    struct engine_waiter waiter; /* first: the waiter is the plan */
    struct plan *next;           /* waiting for its turn */
    struct api *api;
    struct http_exchange *x; /* NULL: the client is gone, or has been answered */
    const struct route *route;
    int64_t began_us;
    struct arena arena; /* of the request */
    struct wire_plan request;
    struct wire_plan_page page;
    struct forked *child; /* while it is made */
    struct err err;
    struct buffer answer;
    bool waits; /* until what it rests on is durable, or is not */
    enum engine_outcome outcome;
};

/* ---- the hash ------------------------------------------------------------------------------- */

static void add_to_hash(void *ctx, struct text bytes)
{
    crypto_hash_sha256_update(ctx, (const unsigned char *)bytes.data, bytes.size);
}

bool plan_hash(const struct fleet *fleet, const struct deploy_command *command,
               char ret[static LIMIT_PLAN_HASH + 1], struct err *err)
{
    struct buffer request;
    struct json_writer w;
    crypto_hash_sha256_state state;
    unsigned char hash[crypto_hash_sha256_BYTES];
    struct identity_sink sink = { .add = add_to_hash, .ctx = &state };
    buffer_init(&request, &memory_heap, API_BODY_MAX);
    json_writer_init(&w, &request);
    wire_write_plan_request(&w, command);
    crypto_hash_sha256_init(&state);
    bool said = request.failed
                    ? err_set(err, ERR_MEMORY, "no memory for the hash of a plan")
                    : identity_feed(fleet, &command->selector, buffer_text(&request), &sink, err);
    buffer_release(&request);
    if (!said)
        return false;
    crypto_hash_sha256_final(&state, hash);
    memcpy(ret, "sha256:", 7);
    sodium_bin2hex(ret + 7, LIMIT_PLAN_HASH + 1 - 7, hash, sizeof hash);
    return true;
}

static bool is_same_plan(struct text given, const char *hash, struct err *err)
{
    if (given.size == 0 || text_equal(given, text_from(hash)))
        return true;
    return err_set_at(err, ERR_PRECONDITION, "/plan_hash",
                      "the plan does not hold any more: the request, the members or the settings "
                      "are others now; plan again");
}

bool plan_holds(const struct fleet *fleet, const struct deploy_command *command, struct err *err)
{
    char hash[LIMIT_PLAN_HASH + 1];
    if (command->plan_hash.size == 0)
        return true;
    return plan_hash(fleet, command, hash, err) && is_same_plan(command->plan_hash, hash, err);
}

/* ---- in the child --------------------------------------------------------------------------- */

/* The fleet is a copy, which is why it may be spent. */
static bool make(struct plan *plan, struct buffer *out, struct err *err)
{
    struct fleet *fleet = engine_fleet(plan->api->engine);
    const struct wire_plan *request = &plan->request;
    char hash[LIMIT_PLAN_HASH + 1];
    struct forecast forecast;
    struct json_writer w;
    if (!plan_hash(fleet, &request->command, hash, err) ||
        !is_same_plan(request->command.plan_hash, hash, err) ||
        !forecast_run(fleet, engine_now(plan->api->engine), &request->command, &request->assume,
                      request->horizon_ms, &forecast, err))
        return false;
    json_writer_init(&w, out);
    wire_write_plan(&w, &forecast, request, text_from(hash), &plan->page);
    return !out->failed || err_set(err, ERR_MEMORY, "no memory for the answer");
}

static void work(void *ctx, struct buffer *out)
{
    struct err err = { .code = ERR_NONE };
    buffer_add_byte(out, SAYS_PLAN);
    if (make(ctx, out, &err))
        return;
    buffer_clear(out);
    buffer_add_byte(out, SAYS_ERROR);
    buffer_add(out, (struct text){ (const char *)&err, sizeof err });
}

/* ---- answers -------------------------------------------------------------------------------- */

/* At once: what it rests on has been waited for. */
static void answer(struct plan *plan)
{
    struct api *api = plan->api;
    enum err_code code = plan->err.code;
    struct api_call call = {
        .api = api, .x = plan->x, .route = plan->route, .began_us = plan->began_us
    };
    http_on_gone(plan->x, NULL, NULL);
    plan->x = NULL;
    buffer_clear(&api->body);
    if (code == ERR_NONE) {
        buffer_add(&api->body, buffer_text(&plan->answer));
        api_reply(&call, 200, 0);
        return;
    }
    wire_write_problem(&api->body, &plan->err, NULL, text_from(plan->route->path));
    call.fields.is_retryable = err_is_retryable(code);
    api_reply_as(&call, err_http_status(code), 0, "application/problem+json");
}

static void refuse(struct plan *plan, enum err_code code, const char *why)
{
    err_set(&plan->err, code, "%s", why);
    if (plan->x)
        answer(plan);
}

static void free_plan(struct plan *plan)
{
    plan->api->plan_count--;
    buffer_release(&plan->answer);
    arena_release(&plan->arena);
    memory_give(&memory_heap, plan, sizeof *plan);
}

/* Once it is made and what it rests on is durable. */
static void finish(struct plan *plan)
{
    if (plan->child || plan->waits)
        return;
    if (plan->x && plan->outcome == ENGINE_UNKNOWN)
        http_abandon(plan->x);
    else if (plan->x && plan->outcome == ENGINE_DROPPED)
        refuse(plan, ERR_UNAVAILABLE, "the store took no writes: what was planned with is gone");
    else if (plan->x)
        answer(plan);
    free_plan(plan);
}

static void on_round(struct engine_waiter *waiter, enum engine_outcome outcome)
{
    struct plan *plan = (struct plan *)waiter;
    plan->waits = false;
    plan->outcome = outcome;
    finish(plan);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void start_next(struct api *api);

static void take_result(struct plan *plan, struct text text)
{
    struct text rest = text_skip(text, 1);
    bool is_error = text.size > 0 && text.data[0] == SAYS_ERROR && rest.size == sizeof plan->err;
    if (is_error)
        memcpy(&plan->err, rest.data, rest.size);
    else if (rest.size == 0)
        err_set(&plan->err, ERR_INTERNAL, "the process that made the plan said nothing");
    else
        buffer_add(&plan->answer, rest);
    if (plan->answer.failed)
        err_set(&plan->err, ERR_MEMORY, "no memory for the answer");
}

static void on_made(void *ctx, enum forked_outcome outcome, struct text text)
{
    struct plan *plan = ctx;
    struct api *api = plan->api;
    plan->child = NULL;
    switch (outcome) {
    case FORKED_DONE: take_result(plan, text); break;
    case FORKED_LATE:
        err_set(&plan->err, ERR_UNAVAILABLE, "the plan was not done within %d s",
                LIMIT_PLAN_MS / 1000);
        break;
    case FORKED_DIED:
        err_set(&plan->err, ERR_UNAVAILABLE, "the process that made the plan was ended");
        break;
    case FORKED_CANCELLED: err_set(&plan->err, ERR_UNAVAILABLE, "the server is stopping"); break;
    case FORKED_TOO_LARGE: err_set(&plan->err, ERR_MEMORY, "no memory for the answer"); break;
    }
    api->making = NULL;
    finish(plan);
    start_next(api);
}

static bool start(struct plan *plan)
{
    struct api *api = plan->api;
    struct fleet *fleet = engine_fleet(api->engine);
    struct forked_options options = { .work = work,
                                      .done = on_made,
                                      .ctx = plan,
                                      .deadline_ms = LIMIT_PLAN_MS,
                                      .memory_max =
                                          MEMORY_BASE + MEMORY_PER_MEMBER * fleet->instance_count,
                                      .text_max = API_BODY_MAX };
    uint64_t round = engine_round_of_all(api->engine);
    plan->child = forked_start(api->loop, &options, &plan->err);
    if (!plan->child)
        return false;
    plan->waits = round != 0;
    plan->waiter.done = on_round;
    if (round != 0)
        engine_wait(api->engine, round, &plan->waiter);
    return true;
}

static void start_next(struct api *api)
{
    while (!api->making && api->plans) {
        struct plan *plan = api->plans;
        api->plans = plan->next;
        api->making = plan;
        if (start(plan))
            return;
        api->making = NULL;
        finish(plan);
    }
}

/* ---- requests ------------------------------------------------------------------------------- */

static void leave_queue(struct plan *plan)
{
    struct plan **link = &plan->api->plans;
    while (*link != plan)
        link = &(*link)->next;
    *link = plan->next;
}

/* Nobody wants it any more. */
static void on_gone(void *ctx)
{
    struct plan *plan = ctx;
    struct http_exchange *x = plan->x;
    plan->x = NULL;
    http_abandon(x);
    if (plan->child) {
        forked_cancel(plan->child);
    } else if (!plan->waits) {
        leave_queue(plan);
        free_plan(plan);
    }
}

static bool read_page(struct api_call *call, struct plan *plan)
{
    struct text cursor;
    struct text copy = TEXT_NONE;
    if (!api_param_count(call, "limit", LIMIT_LIST_MAX, LIMIT_LIST_DEFAULT, &plan->page.limit))
        return false;
    if (!api_param(call, "cursor", &cursor))
        return true;
    if (!arena_copy(&plan->arena, cursor, &copy))
        return err_set(&call->err, ERR_MEMORY, "no memory for a plan");
    return wire_read_plan_cursor(copy, &plan->page, &call->err);
}

/* The request outlives the call. */
static bool read_request(struct api_call *call, struct plan *plan)
{
    struct text body;
    if (!arena_copy(&plan->arena, call->request->body, &body))
        return err_set(&call->err, ERR_MEMORY, "no memory for a plan");
    return wire_read_plan(body, &plan->arena, &plan->request, &call->err) && read_page(call, plan);
}

static bool may_begin(struct api_call *call)
{
    const struct api *api = call->api;
    if (api->is_stopping)
        return err_set(&call->err, ERR_UNAVAILABLE, "the server is stopping");
    if (api->plan_count < LIMIT_PLANS)
        return true;
    call->fields.retry_after_s = AGAIN_S;
    return err_set(&call->err, ERR_UNAVAILABLE, "%d plans are being made; try again in %d s",
                   LIMIT_PLANS, AGAIN_S);
}

static struct plan *new_plan(struct api_call *call)
{
    struct plan *plan = memory_take_zeroed(&memory_heap, sizeof *plan);
    if (!plan) {
        err_set(&call->err, ERR_MEMORY, "no memory for a plan");
        return NULL;
    }
    *plan = (struct plan){ .api = call->api,
                           .x = call->x,
                           .route = call->route,
                           .began_us = call->began_us,
                           .outcome = ENGINE_DURABLE };
    arena_init(&plan->arena, &memory_heap, ARENA_MAX);
    buffer_init(&plan->answer, &memory_heap, API_BODY_MAX);
    call->api->plan_count++;
    if (read_request(call, plan))
        return plan;
    free_plan(plan);
    return NULL;
}

void deploy_plan(struct api_call *call)
{
    struct api *api = call->api;
    struct plan *plan = may_begin(call) ? new_plan(call) : NULL;
    if (!plan) {
        api_fail(call);
        return;
    }
    struct plan **link = &api->plans;
    while (*link)
        link = &(*link)->next;
    *link = plan;
    http_on_gone(call->x, on_gone, plan);
    start_next(api);
}

/* ---- the end -------------------------------------------------------------------------------- */

void plans_end(struct api *api)
{
    while (api->plans) {
        struct plan *plan = api->plans;
        api->plans = plan->next;
        refuse(plan, ERR_UNAVAILABLE, "the server is stopping");
        free_plan(plan);
    }
    if (!api->making)
        return;
    if (api->making->x)
        refuse(api->making, ERR_UNAVAILABLE, "the server is stopping");
    forked_cancel(api->making->child);
}

void plans_close(struct api *api)
{
    if (!api->making)
        return;
    forked_free(api->making->child);
    free_plan(api->making);
    api->making = NULL;
}
