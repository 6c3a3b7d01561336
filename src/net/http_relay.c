/* SPDX-License-Identifier: Apache-2.0
 * http_relay.c - the owner's side of threads that hold connections: they are started and ended, and
 * what they write is read. See http_relay.h. */
#include "net/http_relay.h"

#include <assert.h>
#include <unistd.h>

#define LETTERS_PER_ROUND                                                                          \
    256 /* of each thread; then the round ends, and others have their turn                         \
         */

/* ---- letters from threads ------------------------------------------------------------------- */

static void hand_over(struct http_relayed *r)
{
    struct http_server *server = r->front->relay->server;
    struct relay_call *call = r->call;
    r->call = NULL; /* r may be gone after the call */
    server->stats.requests++;
    server->exchanges++;
    server->handler.handle(server->handler.ctx, (struct http_exchange *)(void *)r, &call->request);
    free(call);
}

/* Its thread will not read any more. */
static void on_closed(struct http_front *f)
{
    http_front_join(f);
    f->relay->closed_count++;
    struct letter *next;
    for (struct letter *l = mailbox_take(&f->down); l; l = next) {
        next = l->next;
        http_relayed_discard((struct relay_letter *)l);
    }
    http_relay_finish_close(f->relay);
}

static void read_letter(struct http_front *f, const struct relay_letter *letter)
{
    struct http_relayed *r = letter->about;
    switch (letter->word) {
    case RELAY_REQUEST: hand_over(r); return;
    case RELAY_CLOSED: on_closed(f); return;
    case RELAY_LEFT: http_relayed_client_left(r); break;
    case RELAY_ROOM: http_relayed_pull_more(r); break;
    default: assert(false);
    }
    http_relayed_drop(r);
}

static void read_letters(struct http_front *f)
{
    for (unsigned i = 0; i < LETTERS_PER_ROUND; i++) {
        struct letter *letter = f->unread ? f->unread : mailbox_take(&f->up);
        if (!letter)
            return;
        f->unread = letter->next;
        read_letter(f, (const struct relay_letter *)letter);
    }
    bell_ring(f->relay->bell);
}

static void on_bell(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct http_relay *relay = poll->data;
    bell_silence(relay->bell);
    for (unsigned i = 0; i < relay->count; i++)
        read_letters(&relay->fronts[i]);
}

/* ---- closing -------------------------------------------------------------------------------- */

static void release_front(struct http_front *f)
{
    mailbox_release(&f->up);
    mailbox_release(&f->down);
    close(f->bell);
    pthread_mutex_destroy(&f->start_lock);
    pthread_cond_destroy(&f->start_told);
}

static void release(struct http_relay *relay)
{
    struct http_server *server = relay->server;
    for (unsigned i = 0; i < relay->count; i++)
        release_front(&relay->fronts[i]);
    close(relay->bell);
    free(relay);
    free(server);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct http_relay *relay = handle->data;
    loop_fn *closed = relay->server->closed;
    void *ctx = relay->server->closed_ctx;
    release(relay);
    if (closed)
        closed(ctx);
}

void http_relay_finish_close(struct http_relay *relay)
{
    if (!relay->is_closing || relay->is_over || relay->closed_count < relay->count ||
        relay->server->exchanges > 0)
        return;
    relay->is_over = true;
    uv_close((uv_handle_t *)&relay->bell_poll, on_poll_closed);
}

static void post_close(struct http_front *f, int64_t grace_ms)
{
    f->grace_ms = grace_ms;
    f->close = (struct relay_letter){ .word = RELAY_CLOSE };
    mailbox_post(&f->down, &f->close.letter);
}

void http_relay_close(struct http_server *server, int64_t grace_ms)
{
    struct http_relay *relay = server->relay;
    relay->is_closing = true;
    for (unsigned i = 0; i < relay->count; i++)
        post_close(&relay->fronts[i], grace_ms);
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool add_front(struct http_relay *relay, struct text address, struct err *err)
{
    struct http_front *f = &relay->fronts[relay->count];
    f->relay = relay;
    f->number = relay->count;
    f->bell = bell_new();
    if (f->bell < 0)
        return err_set(err, ERR_IO, "no descriptor for an I/O thread");
    mailbox_init(&f->up, relay->bell);
    mailbox_init(&f->down, f->bell);
    if (!http_front_start(f, address, err)) {
        release_front(f);
        return false;
    }
    relay->count++;
    return true;
}

/* All threads after the first have the port that it got. */
static bool add_fronts(struct http_relay *relay, struct text address, struct err *err)
{
    struct http_server *server = relay->server;
    for (unsigned i = 0; i < server->options.io_threads; i++) {
        if (!add_front(relay, i == 0 ? address : text_from(server->address_text), err))
            return false;
        server->address = relay->fronts[0].http->address;
        address_format(&server->address, server->address_text);
    }
    return true;
}

/* The owner has not heard of any request, and will not. */
static void forget_letters(struct http_front *f)
{
    struct letter *next;
    for (struct letter *l = mailbox_take(&f->up); l; l = next) {
        const struct relay_letter *letter = (const struct relay_letter *)l;
        next = l->next;
        if (letter->about)
            http_relayed_drop(letter->about);
    }
}

static bool undo_open(struct http_relay *relay)
{
    for (unsigned i = 0; i < relay->count; i++) {
        post_close(&relay->fronts[i], 0);
        http_front_join(&relay->fronts[i]);
        forget_letters(&relay->fronts[i]);
    }
    relay->is_closing = true;
    relay->closed_count = relay->count;
    http_relay_finish_close(relay);
    return false;
}

static bool watch_bell(struct loop *loop, struct http_relay *relay, struct err *err)
{
    relay->bell = bell_new();
    int failure =
        relay->bell < 0 ? UV_EMFILE : uv_poll_init(loop_uv(loop), &relay->bell_poll, relay->bell);
    if (failure) {
        if (relay->bell >= 0)
            close(relay->bell);
        return err_set(err, ERR_IO, "no bell for I/O threads: %s", uv_strerror(failure));
    }
    relay->bell_poll.data = relay;
    uv_poll_start(&relay->bell_poll, UV_READABLE, on_bell);
    return true;
}

bool http_relay_open(struct loop *loop, struct text address,
                     const struct http_server_options *options, const struct http_handler *handler,
                     struct http_server **ret, struct err *err)
{
    assert(options->io_threads >= 1 && options->io_threads <= HTTP_IO_THREADS_MAX);
    struct http_server *server = calloc(1, sizeof *server);
    struct http_relay *relay =
        calloc(1, sizeof *relay + options->io_threads * sizeof relay->fronts[0]);
    if (!server || !relay || !watch_bell(loop, relay, err)) {
        if (!server || !relay)
            err_set(err, ERR_MEMORY, "no memory for I/O threads");
        free(relay);
        free(server);
        return false;
    }
    *server = (struct http_server){ .relay = relay, .handler = *handler, .options = *options };
    relay->server = server;
    if (!add_fronts(relay, address, err))
        return undo_open(relay);
    *ret = server;
    return true;
}

struct http_server_stats http_relay_stats(const struct http_server *server)
{
    const struct http_relay *relay = server->relay;
    struct http_server_stats stats = { .requests = server->stats.requests,
                                       .connections_open = relay->connections_open,
                                       .exchanges_open = server->exchanges };
    for (unsigned i = 0; i < relay->count; i++) {
        stats.connections_accepted += relay->fronts[i].accepted;
        stats.connections_refused += relay->fronts[i].refused;
        stats.connections_expired += relay->fronts[i].expired;
        stats.errors += relay->fronts[i].errors;
    }
    return stats;
}
