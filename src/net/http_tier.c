/* SPDX-License-Identifier: Apache-2.0
 * http_tier.c - daemons of libmicrohttpd inside our loop: their epoll descriptors are watched and
 * their work is done in turns.
 *
 * There are several, of two sizes (see "Memory" in http_server.h), because whenever a connection
 * comes back to a daemon, it walks over all that are away: a daemon takes a bounded number, the
 * next one is opened when none has room, and closed again when it is empty. Fewer would make the
 * walks longer, more would tear apart what can be read from the kernel at once. */
#include "net/http_server_parts.h"

#include <assert.h>

#define TIER_CONNECTIONS 1024
#define TIER_CONNECTIONS_OF_ONE                                                                    \
    128                  /* of several threads: there every request waits for the owner */
#define RUNS_PER_CALL  4 /* then other descriptors have their turn */
#define STUCK_PAUSE_MS 5

/* ---- running -------------------------------------------------------------------------------- */

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
    if (tier && !tier->is_closing)
        uv_idle_start(&tier->again, on_again);
}

/* libmicrohttpd wants to be run again. A connection whose memory is full of what is not a whole
 * item yet (a chunk extension without end) makes it say so until its deadline, for nothing. */
static void run_again(struct http_tier *tier, bool got_somewhere)
{
    if (got_somewhere)
        http_run_soon(tier);
    else if (!tier->is_closing)
        uv_timer_start(&tier->later, on_later, STUCK_PAUSE_MS, 0);
}

void http_run(struct http_tier *tier)
{
    struct http_server *server = tier->server;
    uint64_t callbacks = server->callbacks;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    tier->is_fresh = false;
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

/* ---- opening -------------------------------------------------------------------------------- */

/* libmicrohttpd decodes URLs in place; ours are decoded by who knows the route. */
static size_t keep_escaped(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct http_server *server, enum http_size size)
{
    const size_t memory = size == HTTP_SMALL ? HTTP_SMALL_MEMORY : HTTP_LARGE_MEMORY;
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
        http_on_request, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
        MHD_OPTION_CONNECTION_LIMIT, server->options.connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        0u, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, http_on_url, server,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        http_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, server,
        MHD_OPTION_END);
}

static bool start(struct http_tier *tier, struct err *err)
{
    struct http_server *server = tier->server;
    tier->daemon = start_daemon(server, tier->size);
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
    tier->handles = 3;
    server->handles += 3;
    uv_poll_start(&tier->poll, UV_READABLE, on_events);
    return true;
}

/* NULL: *err says why. */
static struct http_tier *open_tier(struct http_server *server, enum http_size size, struct err *err)
{
    struct http_tier *tier = calloc(1, sizeof *tier);
    if (!tier) {
        err_set(err, ERR_MEMORY, "no memory for the HTTP server");
        return NULL;
    }
    tier->server = server;
    tier->size = size;
    if (!start(tier, err)) {
        free(tier);
        return NULL;
    }
    struct http_tier **last = &server->tiers;
    while (*last)
        last = &(*last)->next;
    *last = tier;
    return tier;
}

bool http_tiers_open(struct http_server *server, struct err *err)
{
    return open_tier(server, HTTP_SMALL, err) && open_tier(server, HTTP_LARGE, err);
}

struct http_tier *http_tier_with_room(struct http_server *server, enum http_size size)
{
    struct http_tier *first = NULL;
    const bool is_only = !server->part.connections_open;
    const unsigned most = is_only ? TIER_CONNECTIONS : TIER_CONNECTIONS_OF_ONE;
    for (struct http_tier *tier = server->tiers; tier; tier = tier->next) {
        if (tier->size != size)
            continue;
        if (tier->connections < most)
            return tier;
        if (!first)
            first = tier;
    }
    assert(first);
    struct http_tier *fresh = open_tier(server, size, NULL);
    return fresh ? fresh : first; /* one that is too long is better than none */
}

/* ---- closing -------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_tier *tier = handle->data;
    bool is_last = --tier->handles == 0;
    handle->data = tier->server;
    http_handle_closed(handle);
    if (is_last)
        free(tier);
}

static void close_tier(struct http_tier *tier)
{
    tier->is_closing = true;
    uv_close((uv_handle_t *)&tier->poll, on_handle_closed);
    uv_close((uv_handle_t *)&tier->again, on_handle_closed);
    uv_close((uv_handle_t *)&tier->later, on_handle_closed);
    MHD_stop_daemon(tier->daemon);
}

void http_tiers_trim(struct http_server *server)
{
    bool is_spare[HTTP_SIZES] = { false }; /* the first one of each size stays */
    struct http_tier **link = &server->tiers;
    while (*link) {
        struct http_tier *tier = *link;
        bool goes = is_spare[tier->size] && tier->connections == 0;
        is_spare[tier->size] = true;
        if (!goes) {
            link = &tier->next;
            continue;
        }
        *link = tier->next;
        close_tier(tier);
    }
}

void http_tiers_close(struct http_server *server)
{
    while (server->tiers) {
        struct http_tier *tier = server->tiers;
        server->tiers = tier->next;
        close_tier(tier);
    }
}
