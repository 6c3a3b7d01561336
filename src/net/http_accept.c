/* SPDX-License-Identifier: Apache-2.0
 * http_accept.c - listening and accepting. We accept ourselves and hand sockets to libmicrohttpd,
 * because only so can a connection be sized by its first request, and one more than the limit, or
 * than there are descriptors for, be told 503 instead of left hanging. */
#include "net/http_server_parts.h"

#include "base/cleanup.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG          4096
#define ACCEPTS_PER_CALL 64
#define STARVED_PAUSE_MS 100
#define DEFER_ACCEPT_S   1 /* the kernel hands a connection over when its first bytes are there */
#define PEEK_SIZE        2048

static bool fail(int fd, const char *address, struct err *err)
{
    int reason = errno;
    if (fd >= 0)
        close(fd);
    return err_set(err, ERR_IO, "cannot listen on %s: %s", address, uv_strerror(-reason));
}

static void set_flag(int fd, int level, int option, int value)
{
    /* Comfort only: without it the server works, slower. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

/* Before binding, it lets us in where others are that share; after it, others in with us. So the
 * first of ours is refused by a stranger's, and a stranger's by ours. */
static bool share_port(int fd)
{
    const int yes = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) == 0;
}

bool http_listen(struct http_server *server, struct text address, struct err *err)
{
    union address wanted;
    if (!address_parse(address, &wanted, err))
        return false;
    char *text = server->address_text;
    address_format(&wanted, text);
    int fd = socket(wanted.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(fd, text, err);
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* accepted sockets inherit it */
    set_flag(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_ACCEPT_S);
    if ((server->part.port == HTTP_PORT_SHARED && !share_port(fd)) ||
        bind(fd, &wanted.any, address_size(&wanted)) != 0 ||
        (server->part.port == HTTP_PORT_FIRST && !share_port(fd)) || listen(fd, BACKLOG) != 0)
        return fail(fd, text, err);
    socklen_t size = sizeof server->address;
    if (getsockname(fd, &server->address.any, &size) != 0)
        return fail(fd, text, err);
    address_format(&server->address, text);
    server->listen_fd = fd;
    server->reserve_fd = -1;
    return true;
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Says 503 as well as one write can, and closes. */
static void turn_away(struct http_server *server, int fd)
{
    struct text answer = buffer_text(&server->busy_answer);
    char drop[PEEK_SIZE];
    (void)!send(fd, answer.data, answer.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    /* Unread bytes would turn the close into a reset that overtakes the answer. */
    while (recv(fd, drop, sizeof drop, MSG_DONTWAIT) > 0)
        continue;
    close(fd);
    server->stats.connections_refused++;
}

static void on_pause_over(uv_timer_t *timer);

/* Out of descriptors: the reserve lets one client hear so; then we stop accepting for a moment
 * instead of spinning on a socket that stays readable. */
static void starve(struct http_server *server)
{
    if (server->reserve_fd >= 0) {
        close(server->reserve_fd);
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            turn_away(server, fd);
        server->reserve_fd = open_reserve();
    }
    uv_poll_stop(&server->listen_poll);
    uv_timer_start(&server->accept_again, on_pause_over, STARVED_PAUSE_MS, 0);
}

/* Whether the first request is there and has a small head, and not that of a browser, which may
 * send many cookies with its next one. */
static bool is_small(const char *bytes, size_t size)
{
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    if (!end || end - bytes > HTTP_SMALL_HEAD)
        return false;
    return memmem(bytes, (size_t)(end - bytes), "\nUser-Agent: Mozilla", 20) == NULL;
}

static void add_connection(struct http_server *server, int fd, const union address *address)
{
    char bytes[PEEK_SIZE];
    ssize_t size = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    struct http_connection *connection = size == 0 ? NULL : calloc(1, sizeof *connection);
    if (!connection) { /* closed already, or no memory */
        close(fd);
        return;
    }
    bool small = size > 0 && is_small(bytes, (size_t)size);
    struct http_tier *tier = http_tier_with_room(server, small ? HTTP_SMALL : HTTP_LARGE);
    connection->server = server;
    connection->tier = tier;
    connection->fd = fd;
    connection->address = *address;
    server->arriving = connection;
    if (MHD_add_connection(tier->daemon, fd, &address->any, address_size(address)) != MHD_YES)
        server->stats.connections_refused++; /* it has closed the socket */
    free(server->arriving);                  /* not taken over; else NULL */
    server->arriving = NULL;
}

static unsigned connections_open(const struct http_server *server)
{
    const struct http_part *part = &server->part;
    return part->connections_open ? *part->connections_open : server->stats.connections_open;
}

/* Returns false when there is nothing more to accept now. */
static bool accept_one(struct http_server *server)
{
    union address address = { 0 };
    socklen_t size = sizeof address;
    int fd = accept4(server->listen_fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            starve(server);
        return errno == ECONNABORTED || errno == EINTR;
    }
    server->stats.connections_accepted++;
    if (connections_open(server) >= server->options.connections_max)
        turn_away(server, fd);
    else
        add_connection(server, fd, &address);
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error shows up in accept() */
    (void)events;
    struct http_server *server = poll->data;
    for (int i = 0; i < ACCEPTS_PER_CALL && accept_one(server); i++)
        continue;
    /* Their first bytes are there already. */
    for (struct http_tier *tier = server->tiers; tier; tier = tier->next)
        if (tier->is_fresh)
            http_run(tier);
    http_finish_close(server);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uv_poll_start(&server->listen_poll, UV_READABLE, on_readable);
}

static void render_busy(struct http_server *server)
{
    struct buffer body;
    buffer_init(&body, &memory_heap, LIMIT_BODY);
    server->handler.render_error(server->handler.ctx, ERR_FULL, "too many connections", &body);
    struct text text = body.failed ? TEXT_NONE : buffer_text(&body);
    buffer_init(&server->busy_answer, &memory_heap, LIMIT_BODY);
    buffer_printf(&server->busy_answer,
                  "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
                  "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                  server->options.error_type, text.size);
    buffer_add(&server->busy_answer, text);
    buffer_release(&body);
}

bool http_accept_start(struct http_server *server, struct err *err)
{
    render_busy(server);
    int failure = uv_poll_init(server->uv, &server->listen_poll, server->listen_fd);
    if (failure)
        return err_set(err, ERR_IO, "cannot watch %s: %s", server->address_text,
                       uv_strerror(failure));
    server->reserve_fd = open_reserve();
    server->listen_poll.data = server;
    uv_timer_init(server->uv, &server->accept_again);
    server->accept_again.data = server;
    server->handles += 2;
    server->accepting = true;
    uv_poll_start(&server->listen_poll, UV_READABLE, on_readable);
    return true;
}

void http_accept_stop(struct http_server *server)
{
    if (server->accepting) {
        uv_close((uv_handle_t *)&server->listen_poll, http_handle_closed);
        uv_close((uv_handle_t *)&server->accept_again, http_handle_closed);
    }
    server->accepting = false;
    close(server->listen_fd);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    server->listen_fd = server->reserve_fd = -1;
}

void http_on_connection(void *ctx, struct MHD_Connection *mhd, void **context,
                        enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct http_connection *connection = TAKE_PTR(server->arriving);
        connection->mhd = mhd;
        connection->deadline_ms = http_now_ms(server) + server->options.head_ms;
        http_wheel_add(connection, connection->deadline_ms);
        server->stats.connections_open++;
        if (server->part.connections_open)
            ++*server->part.connections_open;
        connection->tier->connections++;
        connection->tier->is_fresh = true;
        *context = connection;
    } else {
        struct http_connection *connection = *context;
        http_wheel_remove(connection);
        server->stats.connections_open--;
        if (server->part.connections_open)
            --*server->part.connections_open;
        connection->tier->connections--;
        free(connection);
    }
}
