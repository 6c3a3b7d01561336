/* SPDX-License-Identifier: Apache-2.0
 * serving.c - see serving.h. */
#include "cmd/serving.h"

#include "base/memory.h"
#include "cmd/tokens.h"
#include "http/api.h"
#include "store/memory/memory.h"
#include "store/sqlite/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>

#define TICK_MS              100  /* engine.h: how often time passes */
#define GAP_MS               2000 /* between two ticks: longer than any work, so the process stood */
#define DESCRIPTORS_KEPT     64   /* for the store, the loop, the log */
#define CONNECTIONS_AT_LEAST 16
#define RESERVE_BYTES        (1024u * 1024) /* of a full disk, so that something can be deleted */

struct serving {
    struct serving_options options;
    struct engine *engine;
    struct api *api;
    struct http_server *http; /* NULL once it is being closed */
    struct loop_waker *waker;
    struct loop_timer *timer;
    struct token_rule *tokens;
    int64_t ticked_at;
    unsigned connections_max;
    char address[64];
};

/* ---- what the loop calls -------------------------------------------------------------------- */

static void on_bell(void *ctx)
{
    struct serving *s = ctx;
    engine_poll(s->engine);
}

/* From the store's thread. */
static void ring(void *ctx)
{
    struct serving *s = ctx;
    loop_waker_wake(s->waker);
}

static void on_round_end(void *ctx)
{
    struct serving *s = ctx;
    engine_end_round(s->engine);
}

static void on_tick(void *ctx)
{
    struct serving *s = ctx;
    int64_t now = engine_now(s->engine);
    if (now - s->ticked_at > GAP_MS)
        engine_stood_still(s->engine, now - s->ticked_at);
    s->ticked_at = now;
    engine_tick(s->engine);
}

static void on_fatal(void *ctx, const struct err *why)
{
    struct serving *s = ctx;
    s->options.fatal(s->options.ctx, why);
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool open_store(const struct settings *settings, struct store_port *ret, struct err *err)
{
    char folder[4096 + 1];
    struct text data = settings->value.data;
    if (settings->value.store == SETTING_STORE_MEMORY)
        return store_memory_open(ret, err);
    assert(data.size < sizeof folder); /* the range of the setting */
    memcpy(folder, data.data, data.size);
    folder[data.size] = '\0';
    struct store_sqlite_options options = { .reserve_bytes = RESERVE_BYTES };
    if (store_sqlite_open(ret, folder, &options, err))
        return true;
    char space[ERR_EXCERPT_SIZE];
    err_prefix(err, "cannot open the store in %s", err_excerpt(data, space));
    return false;
}

/* Clients choose the keys of our maps; they must not know how they are hashed. */
static bool take_seed(uint64_t *ret, struct err *err)
{
    ssize_t got;
    do
        got = getrandom(ret, sizeof *ret, 0);
    while (got < 0 && errno == EINTR);
    if (got == sizeof *ret)
        return true;
    return err_set(err, ERR_IO, "the kernel gives no random numbers: %s", strerror(errno));
}

static bool open_engine(struct serving *s, struct err *err)
{
    const struct settings *settings = s->options.settings;
    struct engine_options options = { .fleet = settings_fleet(settings),
                                      .reconcile_interval_ms =
                                          settings->value.reconcile_interval_ms,
                                      .events_kept = settings->value.events_kept,
                                      .events_kept_ms =
                                          settings->value.events_kept_days * 24ll * 3600 * 1000,
                                      .ring = ring,
                                      .fatal = on_fatal,
                                      .ctx = s };
    struct clock_port clock = loop_clock_port(s->options.loop);
    struct store_port store;
    if (!take_seed(&options.hash_seed, err) || !open_store(settings, &store, err))
        return false;
    if (engine_new(&options, &store, &clock, &s->options.log, &s->engine, err))
        return true;
    store.close(store.self);
    return false;
}

/* What was asked for is not given in silence; the default is as much as there is. */
static void warn_of_few(const struct serving *s, unsigned possible)
{
    char has[24], wants[24];
    if (s->options.settings->sources[SETTING_connections_max] == SETTING_FROM_DEFAULT)
        return;
    snprintf(has, sizeof has, "%u", possible);
    snprintf(wants, sizeof wants, "%u", s->options.settings->value.connections_max);
    struct log_field fields[] = { { "connections", text_from(has) },
                                  { "connections_max", text_from(wants) },
                                  { NULL, TEXT_NONE } };
    s->options.log.write(s->options.log.self, LOG_WARNING_,
                         "the limit of open descriptors allows fewer connections", fields);
}

/* The setting, unless there are too few descriptors for so many. Each I/O thread has the whole
 * limit. */
static unsigned connections(const struct serving *s)
{
    struct rlimit limit;
    unsigned wanted = s->options.settings->value.connections_max;
    unsigned threads = s->options.settings->value.io_threads;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= (rlim_t)wanted + DESCRIPTORS_KEPT)
        return wanted;
    rlim_t possible = limit.rlim_cur > DESCRIPTORS_KEPT + CONNECTIONS_AT_LEAST
                          ? limit.rlim_cur - DESCRIPTORS_KEPT
                          : CONNECTIONS_AT_LEAST;
    possible *= threads > 0 ? threads : 1;
    if (possible >= wanted)
        return wanted;
    warn_of_few(s, (unsigned)possible);
    return (unsigned)possible;
}

/* An expired token is no mistake, but who forgot it should hear of it before agents do. */
static void warn_of_expired(const struct serving *s)
{
    struct clock_port clock = loop_clock_port(s->options.loop);
    int64_t now = clock.now_ms(clock.self);
    for (uint32_t i = 0; i < s->options.settings->value.token_count; i++) {
        struct log_field fields[] = { { "rule", s->tokens[i].name }, { NULL, TEXT_NONE } };
        if (token_is_expired(&s->tokens[i], now))
            s->options.log.write(s->options.log.self, LOG_WARNING_,
                                 "a registration token has expired", fields);
    }
}

static bool load_tokens(struct serving *s, struct err *err)
{
    const struct setting_values *v = &s->options.settings->value;
    if (v->token_count == 0)
        return true;
    s->tokens = memory_take_zeroed(&memory_heap, v->token_count * sizeof s->tokens[0]);
    if (!s->tokens)
        return err_set(err, ERR_MEMORY, "no memory for registration tokens");
    if (!tokens_load(v->tokens, v->token_count, s->tokens, err))
        return false;
    warn_of_expired(s);
    return true;
}

static bool open_api(struct serving *s, struct err *err)
{
    const struct setting_values *v = &s->options.settings->value;
    struct api_options options = {
        .engine = s->engine,
        .loop = s->options.loop,
        .log = s->options.log,
        .auth = { .tokens = s->tokens,
                  .token_count = v->token_count,
                  .limits = { .requests_per_second = v->rate_limit_client,
                              .heartbeats_per_second = v->rate_limit_instance,
                              .failures_per_minute = v->rate_limit_failures } },
    };
    return api_open(&options, &s->api, err);
}

static bool open_http(struct serving *s, struct err *err)
{
    struct loop *loop = s->options.loop;
    s->connections_max = connections(s);
    struct http_server_options options = {
        .connections_max = s->connections_max,
        .io_threads = s->options.settings->value.io_threads,
    };
    if (!open_api(s, err))
        return false;
    struct http_handler handler = api_handler(s->api);
    if (!http_server_open(loop, s->options.settings->value.listen, &options, &handler, &s->http,
                          err))
        return false;
    api_watch_server(s->api, s->http);
    snprintf(s->address, sizeof s->address, "%s", http_server_address(s->http));
    return true;
}

static bool open_parts(struct serving *s, struct err *err)
{
    struct loop *loop = s->options.loop;
    s->waker = loop_waker_new(loop, on_bell, s, err);
    if (!s->waker || !load_tokens(s, err) || !open_engine(s, err))
        return false;
    s->ticked_at = engine_now(s->engine);
    s->timer = loop_every(loop, TICK_MS, on_tick, s, err);
    if (!s->timer || !open_http(s, err))
        return false;
    loop_on_round_end(loop, on_round_end, s);
    return true;
}

bool serving_open(const struct serving_options *options, struct serving **ret, struct err *err)
{
    struct serving *s = memory_take_zeroed(&memory_heap, sizeof *s);
    if (!s)
        return err_set(err, ERR_MEMORY, "no memory for a server");
    s->options = *options;
    if (!open_parts(s, err)) {
        serving_free(s);
        return false;
    }
    *ret = s;
    return true;
}

const char *serving_address(const struct serving *s)
{
    return s->address;
}

unsigned serving_connections_max(const struct serving *s)
{
    return s->connections_max;
}

struct engine *serving_engine(struct serving *s)
{
    return s->engine;
}

/* ---- closing -------------------------------------------------------------------------------- */

void serving_stop(struct serving *s, int64_t grace_ms, loop_fn *stopped, void *ctx)
{
    struct http_server *http = s->http;
    assert(http); /* once */
    s->http = NULL;
    api_watch_server(s->api, NULL);
    api_stop(s->api);
    http_server_close(http, grace_ms, stopped, ctx);
}

void serving_free(struct serving *s)
{
    if (!s)
        return;
    assert(!s->http);
    loop_on_round_end(s->options.loop, NULL, NULL);
    loop_timer_free(s->timer);
    engine_free(s->engine);
    api_close(s->api);
    loop_waker_free(s->waker); /* after the engine, whose thread rings it */
    memory_give(&memory_heap, s->tokens,
                s->options.settings->value.token_count * sizeof s->tokens[0]);
    memory_give(&memory_heap, s, sizeof *s);
}

uint64_t serving_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    struct rlimit raised = { .rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max };
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    return limit.rlim_cur;
}
