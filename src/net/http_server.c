/* SPDX-License-Identifier: Apache-2.0
 * http_server.c - two libmicrohttpd daemons (see "Memory" in http_server.h) inside our loop: their
 * epoll descriptors are watched, their work is done in turns, and they are stopped when the last
 * connection is closed. Timeouts are ours: libmicrohttpd has but one, and no notion of progress. */
#include "net/http_relay.h"

#include <assert.h>

#define RUNS_PER_CALL  4 /* then other descriptors have their turn */
#define STUCK_PAUSE_MS 5

static void set_default(unsigned *value, unsigned fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void set_defaults(struct http_server_options *o)
{
    set_default(&o->connections_max, 20000);
    set_default(&o->head_ms, 10000);
    set_default(&o->body_ms, 30000);
    set_default(&o->write_ms, 30000);
    set_default(&o->idle_ms, 75000);
    set_default(&o->tick_ms, 1000);
    if (!o->error_type)
        o->error_type = "application/problem+json";
}

/* libmicrohttpd decodes URLs in place; ours are decoded by who knows the route. */
static size_t keep_escaped(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text);
}

static void on_again(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    http_run(idle->data);
}

static void on_later(uv_timer_t *timer)
{
    http_run(timer->data);
}

/* Not by a timer of 0 ms: one that is started again in its callback runs before anything else. */
void http_run_soon(struct http_tier *tier)
{
    if (tier->server->tiers_open > 0)
        uv_idle_start(&tier->again, on_again);
}

/* libmicrohttpd wants to be run again. A connection whose memory is full of what is not a whole
 * item yet (a chunk extension without end) makes it say so until its deadline, for nothing. */
static void run_again(struct http_tier *tier, bool got_somewhere)
{
    if (got_somewhere)
        http_run_soon(tier);
    else if (tier->server->tiers_open > 0)
        uv_timer_start(&tier->later, on_later, STUCK_PAUSE_MS, 0);
}

void http_run(struct http_tier *tier)
{
    struct http_server *server = tier->server;
    uint64_t callbacks = server->callbacks;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    for (int i = 0; i < RUNS_PER_CALL && wait_ms == 0; i++) {
        MHD_run(tier->daemon);
        if (MHD_get_timeout(tier->daemon, &wait_ms) != MHD_YES)
            wait_ms = 1; /* nothing to do without a socket */
    }
    if (wait_ms == 0)
        run_again(tier, server->callbacks != callbacks);
    http_finish_close(server);
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    http_run(poll->data);
}

static struct MHD_Daemon *start_daemon(struct http_server *server, size_t memory)
{
    const struct http_server_options *o = &server->options;
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
        http_on_request, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
        MHD_OPTION_CONNECTION_LIMIT, o->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->connections_per_address_max,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, http_on_url, server,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        http_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, server,
        MHD_OPTION_END);
}

static bool open_tier(struct http_server *server, size_t memory, struct err *err)
{
    struct http_tier *tier = &server->tiers[server->tiers_open];
    tier->server = server;
    tier->daemon = start_daemon(server, memory);
    if (!tier->daemon)
        return err_set(err, ERR_IO, "cannot start the HTTP server: no memory or no descriptors");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(tier->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int failure = uv_poll_init(server->uv, &tier->poll, info->epoll_fd);
    if (failure) {
        MHD_stop_daemon(tier->daemon);
        return err_set(err, ERR_IO, "cannot watch the HTTP server: %s", uv_strerror(failure));
    }
    uv_idle_init(server->uv, &tier->again);
    uv_timer_init(server->uv, &tier->later);
    tier->poll.data = tier->again.data = tier->later.data = tier;
    server->handles += 3;
    uv_poll_start(&tier->poll, UV_READABLE, on_events);
    server->tiers_open++;
    return true;
}

static void on_tier_handle_closed(uv_handle_t *handle)
{
    struct http_tier *tier = handle->data;
    handle->data = tier->server;
    http_handle_closed(handle);
}

static void close_tiers(struct http_server *server)
{
    for (unsigned i = 0; i < server->tiers_open; i++) {
        struct http_tier *tier = &server->tiers[i];
        uv_close((uv_handle_t *)&tier->poll, on_tier_handle_closed);
        uv_close((uv_handle_t *)&tier->again, on_tier_handle_closed);
        uv_close((uv_handle_t *)&tier->later, on_tier_handle_closed);
        MHD_stop_daemon(tier->daemon);
    }
    server->tiers_open = 0;
}

static void start_timers(struct http_server *server)
{
    uv_timer_init(server->uv, &server->ticker);
    uv_timer_init(server->uv, &server->grace);
    server->ticker.data = server->grace.data = server;
    server->handles += 2;
    uv_timer_start(&server->ticker, http_on_tick, server->options.tick_ms, server->options.tick_ms);
}

static void destroy(struct http_server *server)
{
    loop_fn *closed = server->closed;
    void *ctx = server->closed_ctx;
    http_free_exchanges(server);
    buffer_release(&server->busy_answer);
    free(server);
    if (closed)
        closed(ctx);
}

void http_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    server->handles--;
    if (server->handles == 0)
        destroy(server);
}

/* After a failure while opening: everything goes the way of a close. */
static bool undo_open(struct http_server *server)
{
    server->closing = true;
    http_accept_stop(server);
    http_finish_close(server);
    return false;
}

bool http_server_open(struct loop *loop, struct text address,
                      const struct http_server_options *options, const struct http_handler *handler,
                      struct http_server **ret, struct err *err)
{
    const struct http_part alone = { HTTP_PORT_ALONE, NULL };
    assert(handler->handle && handler->body_limit && handler->render_error);
    if (options && options->io_threads > 0)
        return http_relay_open(loop, address, options, handler, ret, err);
    return http_server_open_part(loop, address, options, handler, &alone, ret, err);
}

bool http_server_open_part(struct loop *loop, struct text address,
                           const struct http_server_options *options,
                           const struct http_handler *handler, const struct http_part *part,
                           struct http_server **ret, struct err *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return err_set(err, ERR_MEMORY, "no memory for the HTTP server");
    server->part = *part;
    server->uv = loop_uv(loop);
    server->handler = *handler;
    if (options)
        server->options = *options;
    set_defaults(&server->options);
    if (!http_listen(server, address, err)) {
        free(server);
        return false;
    }
    start_timers(server);
    if (!open_tier(server, HTTP_SMALL_MEMORY, err) || !open_tier(server, HTTP_LARGE_MEMORY, err) ||
        !http_accept_start(server, err))
        return undo_open(server);
    *ret = server;
    return true;
}

uint16_t http_server_port(const struct http_server *server)
{
    return address_port(&server->address);
}

const char *http_server_address(const struct http_server *server)
{
    return server->address_text;
}

struct http_server_stats http_server_stats(const struct http_server *server)
{
    if (server->relay)
        return http_relay_stats(server);
    struct http_server_stats stats = server->stats;
    stats.exchanges_open = server->exchanges;
    return stats;
}

static void on_grace_over(uv_timer_t *timer)
{
    http_cut_connections(timer->data, true);
    /* Who is answered late, between now and the end, is cut with the next look. */
    uv_timer_start(timer, on_grace_over, 100, 0);
}

void http_server_close(struct http_server *server, int64_t grace_ms, loop_fn *closed, void *ctx)
{
    assert(!server->closing);
    server->closing = true;
    server->closed = closed;
    server->closed_ctx = ctx;
    if (server->relay) {
        http_relay_close(server, grace_ms);
        return;
    }
    http_accept_stop(server);
    http_cut_connections(server, false);
    http_run_soon(&server->tiers[0]);
    uv_timer_start(&server->grace, on_grace_over, grace_ms > 0 ? (uint64_t)grace_ms : 0, 0);
}

void http_finish_close(struct http_server *server)
{
    if (!server->closing || server->stopped || server->stats.connections_open > 0 ||
        server->exchanges > 0)
        return;
    server->stopped = true;
    close_tiers(server);
    uv_close((uv_handle_t *)&server->ticker, http_handle_closed);
    uv_close((uv_handle_t *)&server->grace, http_handle_closed);
}
