/* SPDX-License-Identifier: Apache-2.0
 * http_deadlines.c - which connection is late, and which waiting client has left.
 *
 * A request only writes its connection's new deadline down; the wheel finds out when it comes to
 * the slot where the connection stands, and moves it on. So a request costs no list operation, and
 * a tick costs only the connections that stand in its slot. */
#include "net/http_server_parts.h"

#include <poll.h>
#include <sys/socket.h>

int64_t http_now_ms(const struct http_server *server)
{
    return (int64_t)uv_now(server->uv);
}

/* Ticks from now until `due_ms`, at least one and at most one turn. */
static unsigned ticks_until(const struct http_server *server, int64_t due_ms)
{
    int64_t left_ms = due_ms == NEVER ? INT64_MAX : due_ms - http_now_ms(server);
    if (left_ms < 0)
        return 1;
    int64_t ticks = left_ms / server->options.tick_ms + 1;
    return ticks < WHEEL_SLOTS ? (unsigned)ticks : WHEEL_SLOTS - 1;
}

void http_wheel_add(struct http_connection *connection, int64_t due_ms)
{
    struct http_server *server = connection->server;
    /* `tick` is looked at next, one tick from now at most. */
    unsigned slot = (unsigned)((server->tick + ticks_until(server, due_ms) - 1) % WHEEL_SLOTS);
    connection->slot = slot;
    connection->previous = NULL;
    connection->next = server->wheel[slot];
    if (connection->next)
        connection->next->previous = connection;
    server->wheel[slot] = connection;
}

void http_wheel_remove(struct http_connection *connection)
{
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        connection->server->wheel[connection->slot] = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
}

/* Whether the client has closed its side, or the connection broke. */
static bool client_left(const struct http_connection *connection)
{
    struct pollfd look = { .fd = connection->fd, .events = POLLRDHUP };
    return poll(&look, 1, 0) == 1;
}

/* Suspended: libmicrohttpd does not look at it. */
static bool is_waiting(const struct http_connection *connection)
{
    return connection->exchange && connection->exchange->suspended;
}

static bool is_reading(const struct http_connection *connection)
{
    return !connection->exchange || connection->exchange->phase == HTTP_READING;
}

/* Returns when to look again. */
static int64_t look_at(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    int64_t now_ms = http_now_ms(server);
    if (is_waiting(connection)) {
        if (client_left(connection))
            http_client_left(connection->exchange);
        return now_ms;
    }
    if (is_reading(connection) && client_left(connection))
        shutdown(connection->fd, SHUT_RD); /* wakes libmicrohttpd; what came before is still read */
    if (connection->deadline_ms > now_ms)
        return connection->deadline_ms;
    server->stats.connections_expired++;
    shutdown(connection->fd, SHUT_RDWR); /* libmicrohttpd notices and closes it */
    connection->deadline_ms = now_ms + server->options.write_ms;
    return connection->deadline_ms;
}

void http_on_tick(uv_timer_t *ticker)
{
    struct http_server *server = ticker->data;
    unsigned slot = (unsigned)(server->tick % WHEEL_SLOTS);
    struct http_connection *connection = server->wheel[slot];
    server->wheel[slot] = NULL;
    server->tick++;
    while (connection) {
        struct http_connection *next = connection->next;
        http_wheel_add(connection, look_at(connection));
        connection = next;
    }
    http_tiers_trim(server);
}

void http_cut_connections(struct http_server *server, bool all)
{
    for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
        struct http_connection *next;
        for (struct http_connection *c = server->wheel[slot]; c; c = next) {
            next = c->next;
            if (c->exchange && all)
                http_client_left(c->exchange);
            else if (!c->exchange)
                shutdown(c->fd, SHUT_RD); /* what has come in already is still answered */
        }
    }
}
