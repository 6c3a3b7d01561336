/* SPDX-License-Identifier: Apache-2.0
 * http_server.c - the server as its owner sees it: options, opening, closing. Timeouts are ours:
 * libmicrohttpd has but one, and no notion of progress. */
#include "net/http_relay.h"

#include <assert.h>

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
    http_spares_free(server);
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
    if (!http_tiers_open(server, err) || !http_accept_start(server, err))
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
    http_run_soon(server->tiers);
    uv_timer_start(&server->grace, on_grace_over, grace_ms > 0 ? (uint64_t)grace_ms : 0, 0);
}

void http_finish_close(struct http_server *server)
{
    if (!server->closing || server->stopped || server->stats.connections_open > 0 ||
        server->exchanges > 0)
        return;
    server->stopped = true;
    http_tiers_close(server);
    uv_close((uv_handle_t *)&server->ticker, http_handle_closed);
    uv_close((uv_handle_t *)&server->grace, http_handle_closed);
}
