/* SPDX-License-Identifier: Apache-2.0
 * api.c - finds the route, calls its handler, and gives answers out when they are durable. */
#include "http/auth_parts.h"

#include "base/format.h"
#include "wire/request.h"

#include <assert.h>

#define ARENA_MAX     ((size_t)8 << 20)
#define BEAT_EVERY_MS 15000
#define PROBLEM_TYPE  "application/problem+json"

int64_t api_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

/* ---- counting ------------------------------------------------------------------------------- */

uint64_t api_count(struct api *api, const struct route *route, int status, int64_t began_us)
{
#define CODE_ITEM(code) code,
    static const int codes[API_CODE_COUNT] = { API_CODES(CODE_ITEM) };
#undef CODE_ITEM
    struct route_stats *stats = &api->stats[route ? (size_t)(route - routes) : route_count];
    size_t code = 0;
    while (code < API_CODE_COUNT && codes[code] != status)
        code++;
    stats->by_code[code]++;
    uint64_t took_us = (uint64_t)(api_now_us() - began_us);
    octaves_add(&stats->us, took_us);
    return took_us;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void send_body(struct api *api, struct http_exchange *x, const struct route *route,
                      int status, const char *content_type, const struct api_fields *fields,
                      struct text body, int64_t began_us)
{
    struct http_header headers[6];
    char retry_after[12];
    size_t count = 0;
    if (fields->location[0] != '\0')
        headers[count++] = (struct http_header){ "Location", fields->location };
    if (fields->etag[0] != '\0')
        headers[count++] = (struct http_header){ "ETag", fields->etag };
    if (fields->allow[0] != '\0')
        headers[count++] = (struct http_header){ "Allow", fields->allow };
    if (fields->is_replayed)
        headers[count++] = (struct http_header){ "Idempotency-Replayed", "true" };
    if (fields->is_retryable) {
        snprintf(retry_after, sizeof retry_after, "%u",
                 fields->retry_after_s ? fields->retry_after_s : 1);
        headers[count++] = (struct http_header){ "Retry-After", retry_after };
    }
    if (status == 401)
        headers[count++] = (struct http_header){ "WWW-Authenticate", "Bearer" };
    http_answer(x, &(struct http_answer){ .status = status,
                                          .content_type = body.size > 0 ? content_type : NULL,
                                          .headers = headers,
                                          .header_count = count,
                                          .body = body });
    uint64_t took_us = api_count(api, route, status, began_us);
    if (status == 200 && route && route->handle == inventory_heartbeat)
        octaves_add(&api->heartbeat_us, took_us - fields->held_us);
}

/* The problem document of call->err goes into api->body. */
static void write_problem(struct api_call *call)
{
    struct api *api = call->api;
    const struct rollout *r = call->conflict;
    struct wire_conflict extra = { .oldest = call->oldest };
    if (r)
        extra = (struct wire_conflict){
            .current_state = rollout_machine.states.list[r->state].word,
            .allowed_verbs = fleet_allowed_verbs(engine_fleet(api->engine), r),
            .has_allowed_verbs = true,
            .deployment = r->number,
        };
    buffer_clear(&api->body);
    wire_write_problem(&api->body, &call->err, &extra, call->request->path);
    call->fields.is_retryable = err_is_retryable(call->err.code);
}

static void release_pending(struct pending *p)
{
    buffer_clear(&p->body);
    p->next_free = p->api->free_pending;
    p->api->free_pending = p;
}

static void answer_dropped(struct pending *p)
{
    struct err dropped = { .code = ERR_STORE,
                           .text = "the store took no writes; nothing was changed" };
    struct api_fields fields = { .is_retryable = true };
    replies_forget(p->api, p->waiter.round);
    buffer_clear(&p->body);
    wire_write_problem(&p->body, &dropped, NULL, TEXT_NONE);
    send_body(p->api, p->x, p->route, err_http_status(ERR_STORE), PROBLEM_TYPE, &fields,
              buffer_text(&p->body), p->began_us);
}

static void pending_done(struct engine_waiter *waiter, enum engine_outcome outcome)
{
    struct pending *p = (struct pending *)waiter;
    switch (outcome) {
    case ENGINE_DURABLE:
        send_body(p->api, p->x, p->route, p->status, p->content_type, &p->fields,
                  buffer_text(&p->body), p->began_us);
        break;
    case ENGINE_DROPPED: answer_dropped(p); break;
    case ENGINE_UNKNOWN: http_abandon(p->x); break;
    }
    release_pending(p);
}

static struct pending *take_pending(struct api *api)
{
    struct pending *p = api->free_pending;
    if (p) {
        api->free_pending = p->next_free;
        return p;
    }
    p = memory_take_zeroed(&memory_heap, sizeof *p);
    if (p) {
        p->api = api;
        buffer_init(&p->body, &memory_heap, API_BODY_MAX);
    }
    return p;
}

/* What was written into api->body goes out when `round` is durable. */
static void reply_later(struct api_call *call, int status, uint64_t round, const char *content_type)
{
    struct api *api = call->api;
    struct pending *p = take_pending(api);
    if (!p) {
        /* What changed will be durable; only this answer is lost. */
        http_abandon(call->x);
        return;
    }
    p->x = call->x;
    p->route = call->route;
    p->status = status;
    p->content_type = content_type;
    p->began_us = call->began_us;
    p->fields = call->fields;
    struct buffer body = p->body; /* the text moves, not its bytes */
    p->body = api->body;
    api->body = body;
    p->waiter.done = pending_done;
    engine_wait(api->engine, round, &p->waiter);
}

/* Whether the answer tells what the fleet is like, and not only what the request is like. */
static bool rests_on_state(enum err_code code)
{
    int status = err_http_status(code);
    return status == 404 || status == 409 || status == 412 || status == 422;
}

/* What stands in api->body, at once or when `round` is durable. */
static void send_or_wait(struct api_call *call, int status, uint64_t round,
                         const char *content_type)
{
    struct api *api = call->api;
    if (round == 0)
        send_body(api, call->x, call->route, status, content_type, &call->fields,
                  buffer_text(&api->body), call->began_us);
    else
        reply_later(call, status, round, content_type);
}

void api_fail(struct api_call *call)
{
    assert(call->err.code != ERR_NONE);
    uint64_t round = rests_on_state(call->err.code) ? engine_round_of_all(call->api->engine) : 0;
    write_problem(call);
    send_or_wait(call, err_http_status(call->err.code), round, PROBLEM_TYPE);
}

static void fail_for_memory(struct api_call *call)
{
    err_set(&call->err, ERR_MEMORY, "no memory for the answer");
    api_fail(call);
}

void api_reply_as(struct api_call *call, int status, uint64_t round, const char *content_type)
{
    if (call->api->body.failed) {
        fail_for_memory(call);
        return;
    }
    uint64_t kept = replies_keep(call, status);
    send_or_wait(call, status, kept > round ? kept : round, content_type);
}

void api_reply(struct api_call *call, int status, uint64_t round)
{
    api_reply_as(call, status, round, "application/json");
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool decode(struct api_call *call, struct text raw, struct text *ret)
{
    char *space = arena_take(&call->api->arena, raw.size + 1);
    if (!space)
        return err_set(&call->err, ERR_MEMORY, "no memory for a request");
    if (percent_decode(raw, space, ret))
        return true;
    return err_set(&call->err, ERR_INVALID, "the path or query has a bad percent escape");
}

/* Whether `path` has the form of the route; fills the parts, not yet decoded. */
static bool matches(const struct route *route, struct text path, struct text parts[API_PARTS_MAX],
                    size_t *ret_count)
{
    const char *want = route->path;
    size_t at = 0;
    *ret_count = 0;
    while (*want != '\0') {
        if (*want != '{') {
            if (at == path.size || path.data[at++] != *want++)
                return false;
            continue;
        }
        struct text rest = text_skip(path, at);
        struct text part = { rest.data, text_find(rest, '/') };
        if (part.size == 0 || *ret_count == API_PARTS_MAX)
            return false;
        parts[(*ret_count)++] = part;
        at += part.size;
        want = strchr(want, '}') + 1;
    }
    return at == path.size;
}

/* One trailing slash is ignored. */
static struct text canonical(struct text path)
{
    if (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    return path;
}

static const struct route *find_route(const char *method, struct text path,
                                      struct text parts[API_PARTS_MAX], size_t *ret_count)
{
    path = canonical(path);
    for (size_t i = 0; i < route_count; i++)
        if (strcmp(routes[i].method, method) == 0 && matches(&routes[i], path, parts, ret_count))
            return &routes[i];
    return NULL;
}

/* The error for a request without a route: 405 with the methods that there are, or 404. */
static void set_no_route(struct api_call *call)
{
    struct text parts[API_PARTS_MAX];
    size_t count;
    char *allow = call->fields.allow;
    size_t used = 0;
    for (size_t i = 0; i < route_count; i++) {
        if (!matches(&routes[i], canonical(call->request->path), parts, &count))
            continue;
        bool is_get = strcmp(routes[i].method, "GET") == 0;
        int size = snprintf(allow + used, sizeof call->fields.allow - used, "%s%s",
                            used ? ", " : "", is_get ? "GET, HEAD" : routes[i].method);
        used += size > 0 && (size_t)size < sizeof call->fields.allow - used ? (size_t)size : 0;
    }
    char space[ERR_EXCERPT_SIZE];
    if (used > 0)
        err_set(&call->err, ERR_METHOD, "this path knows the methods %s", allow);
    else
        err_set(&call->err, ERR_NOT_FOUND, "there is no route %s",
                err_excerpt(call->request->path, space));
}

static bool is_known_param(const struct route *route, struct text name)
{
    struct text rest = text_from(route->params);
    struct text known;
    while (text_cut(&rest, ' ', &known))
        if (name.size > 0 && text_equal(known, name))
            return true;
    return false;
}

static bool read_params(struct api_call *call)
{
    struct text rest = call->request->query;
    struct text pair;
    while (rest.size > 0 && text_cut(&rest, '&', &pair)) {
        if (pair.size == 0)
            continue;
        size_t equals = text_find(pair, '=');
        struct api_param param;
        char space[ERR_EXCERPT_SIZE];
        if (!decode(call, (struct text){ pair.data, equals }, &param.name) ||
            !decode(call, text_skip(pair, equals + 1), &param.value))
            return false;
        if (!is_known_param(call->route, param.name))
            return err_set(&call->err, ERR_UNKNOWN_KEY,
                           "there is no query parameter %s; this route knows: %s",
                           err_excerpt(param.name, space),
                           call->route->params[0] ? call->route->params : "none");
        if (call->param_count == API_PARAMS_MAX)
            return err_set(&call->err, ERR_INVALID, "there are more than %d query parameters",
                           API_PARAMS_MAX);
        call->params[call->param_count++] = param;
    }
    return true;
}

bool api_param(const struct api_call *call, const char *name, struct text *ret)
{
    for (size_t i = 0; i < call->param_count; i++) {
        if (text_equal(call->params[i].name, text_from(name))) {
            *ret = call->params[i].value;
            return true;
        }
    }
    return false;
}

bool api_param_count(struct api_call *call, const char *name, uint64_t max, uint64_t otherwise,
                     uint64_t *ret)
{
    struct text value;
    uint64_t number = otherwise;
    if (api_param(call, name, &value) && (!text_to_u64(value, max, &number) || number == 0))
        return err_set(&call->err, ERR_INVALID, "%s must be a number from 1 to %llu", name,
                       (unsigned long long)max);
    *ret = number;
    return true;
}

uint32_t api_instance(struct api_call *call)
{
    uint32_t slot = fleet_find(engine_fleet(call->api->engine), call->parts[0]);
    char space[ERR_EXCERPT_SIZE];
    if (slot == FLEET_NONE)
        err_set(&call->err, ERR_NOT_FOUND, "there is no instance \"%s\"",
                err_excerpt(call->parts[0], space));
    return slot;
}

struct rollout *api_rollout(struct api_call *call)
{
    uint32_t number;
    if (!wire_read_rollout_id(call->parts[0], &number, &call->err)) {
        call->err.code = ERR_NOT_FOUND;
        return NULL;
    }
    struct rollout *r = fleet_rollout(engine_fleet(call->api->engine), number);
    if (!r)
        err_set(&call->err, ERR_NOT_FOUND, "there is no rollout r-%u", number);
    return r;
}

void api_tag(struct api_call *call, uint32_t generation)
{
    snprintf(call->fields.etag, sizeof call->fields.etag, "\"%u\"", generation);
}

bool api_lists_tag(struct text list, const char *tag)
{
    struct text one;
    while (list.size > 0 && text_cut(&list, ',', &one))
        if (text_equal(text_trim(one), text_from(tag)) || text_equal(text_trim(one), TEXT("*")))
            return true;
    return false;
}

bool api_matches(struct api_call *call, uint32_t generation)
{
    struct text wanted = http_field(call->x, "If-Match");
    char space[ERR_EXCERPT_SIZE];
    char current[16];
    if (wanted.size == 0)
        return true;
    snprintf(current, sizeof current, "\"%u\"", generation);
    if (api_lists_tag(wanted, current))
        return true;
    return err_set(&call->err, ERR_PRECONDITION, "the generation is %s, not %s", current,
                   err_excerpt(wanted, space));
}

bool api_is_writable(struct api_call *call)
{
    if (call->api->is_stopping)
        return err_set(&call->err, ERR_UNAVAILABLE, "the server is stopping");
    if (!engine_is_writable(call->api->engine))
        return err_set(&call->err, ERR_STORE, "the store does not accept writes now");
    return true;
}

bool api_is_freeable(struct api_call *call)
{
    return engine_is_freeable(call->api->engine) && !call->api->is_stopping ? true
                                                                            : api_is_writable(call);
}

/* ---- the handler of the server -------------------------------------------------------------- */

static void handle(void *ctx, struct http_exchange *x, const struct http_request *request)
{
    struct api *api = ctx;
    struct api_call call = { .api = api, .x = x, .request = request, .began_us = api_now_us() };
    arena_clear(&api->arena);
    buffer_clear(&api->body);
    json_writer_init(&call.w, &api->body);
    call.route = find_route(request->method, request->path, call.parts, &call.part_count);
    if (!auth_admits(&call)) {
        api_fail(&call);
        return;
    }
    if (!call.route) {
        set_no_route(&call);
        api_fail(&call);
        return;
    }
    for (size_t i = 0; i < call.part_count; i++) {
        if (!decode(&call, call.parts[i], &call.parts[i])) {
            api_fail(&call);
            return;
        }
    }
    if (!read_params(&call)) {
        api_fail(&call);
        return;
    }
    /* A registration looks at its token before at what was answered to its key. */
    if (call.route->handle == inventory_register || !replies_answer(&call))
        call.route->handle(&call);
}

static size_t body_limit(void *ctx, const char *method, struct text path)
{
    (void)ctx;
    struct text parts[API_PARTS_MAX];
    size_t count;
    const struct route *route = find_route(method, path, parts, &count);
    return route ? route->body_limit : LIMIT_BODY_AGENT;
}

static void render_error(void *ctx, enum err_code code, const char *detail, struct buffer *out)
{
    (void)ctx;
    struct err err = { .code = ERR_NONE };
    err_set(&err, code, "%s", detail);
    wire_write_problem(out, &err, NULL, TEXT_NONE);
}

struct http_handler api_handler(struct api *api)
{
    return (struct http_handler){
        .handle = handle, .body_limit = body_limit, .render_error = render_error, .ctx = api
    };
}

/* ---- life ----------------------------------------------------------------------------------- */

/* What the layers above the engine stored. */
static bool load_other(void *ctx, struct text key, struct text value, struct err *err)
{
    struct api *api = ctx;
    char space[ERR_EXCERPT_SIZE];
    if (text_starts_with(key, TEXT(REPLIES_PREFIX)))
        return replies_load(api, value, err);
    if (text_starts_with(key, TEXT(AUTH_PREFIX)))
        return auth_load(api, text_skip(key, sizeof AUTH_PREFIX - 1), value, err);
    return err_set(err, ERR_CORRUPT, "the store has a record \"%s\" that no dides wrote",
                   err_excerpt(key, space));
}

bool api_open(const struct api_options *options, struct api **ret, struct err *err)
{
    struct api *api = memory_take_zeroed(&memory_heap, sizeof *api);
    struct route_stats *stats =
        memory_take_zeroed(&memory_heap, (route_count + 1) * sizeof stats[0]);
    if (!api || !stats) {
        memory_give(&memory_heap, api, sizeof *api);
        memory_give(&memory_heap, stats, (route_count + 1) * sizeof stats[0]);
        return err_set(err, ERR_MEMORY, "no memory for the API");
    }
    api->engine = options->engine;
    api->loop = options->loop;
    api->stats = stats;
    arena_init(&api->arena, &memory_heap, ARENA_MAX);
    buffer_init(&api->body, &memory_heap, API_BODY_MAX);
    buffer_init(&api->openapi, &memory_heap, API_BODY_MAX);
    api->beat = loop_every(api->loop, BEAT_EVERY_MS, streams_beat, api, err);
    replies_open(api);
    if (!api->beat || !polls_open(api, err) || !auth_open(api, options, err) ||
        !engine_each_other(api->engine, load_other, api, err)) {
        api_close(api);
        return false;
    }
    api->process = secret_seed();
    *ret = api;
    return true;
}

void api_watch_server(struct api *api, const struct http_server *server)
{
    api->server = server;
}

void api_stop(struct api *api)
{
    api->is_stopping = true;
    api->server = NULL;
    streams_end(api);
    polls_end(api);
    plans_end(api);
}

void api_close(struct api *api)
{
    if (!api)
        return;
    while (api->free_pending) {
        struct pending *p = api->free_pending;
        api->free_pending = p->next_free;
        buffer_release(&p->body);
        memory_give(&memory_heap, p, sizeof *p);
    }
    polls_close(api);
    plans_close(api);
    backups_close(api);
    replies_close(api);
    auth_close(api);
    loop_timer_free(api->beat);
    arena_release(&api->arena);
    buffer_release(&api->body);
    buffer_release(&api->openapi);
    memory_give(&memory_heap, api->stats, (route_count + 1) * sizeof api->stats[0]);
    memory_give(&memory_heap, api, sizeof *api);
}
