/* SPDX-License-Identifier: Apache-2.0
 * http_front.c - a thread that holds connections: an ordinary HTTP server on a loop of its own,
 * whose handler copies each request and hands it to the owner's loop, and whose answers come back
 * from there. See http_relay.h. */
#include "net/http_relay.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* What may wait for the owner, of one thread. He takes all at once, so this is a burst, not a rate;
 * beyond it clients are told 503. */
static const struct mailbox_bounds waiting_max = { 16384, (size_t)16 << 20 };

/* ThreadSanitizer takes one number in two tables for one descriptor: under it, threads share. */
#if defined(__SANITIZE_THREAD__)
#define SHARES_DESCRIPTORS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARES_DESCRIPTORS 1
#endif
#endif
#ifndef SHARES_DESCRIPTORS
#define SHARES_DESCRIPTORS 0
#endif

/* ---- to the owner --------------------------------------------------------------------------- */

struct field_copy {
    char *at; /* NULL: only counted */
    size_t size;
};

static enum MHD_Result copy_field(void *ctx, enum MHD_ValueKind kind, const char *name,
                                  size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    struct field_copy *copy = ctx;
    copy->size += name_size + value_size + 2;
    if (!copy->at)
        return MHD_YES;
    memcpy(copy->at, name, name_size);
    copy->at[name_size] = '\0';
    copy->at += name_size + 1;
    if (value_size > 0)
        memcpy(copy->at, value, value_size);
    copy->at[value_size] = '\0';
    copy->at += value_size + 1;
    return MHD_YES;
}

static struct text pack_text(char **at, struct text t)
{
    struct text packed = { *at, t.size };
    if (t.size > 0)
        memcpy(*at, t.data, t.size);
    *at += t.size;
    return packed;
}

static size_t call_size(const struct http_request *request)
{
    return sizeof(struct relay_call) + strlen(request->method) + 1 + request->path.size +
           request->query.size + request->body.size;
}

/* NULL: no memory. */
static struct relay_call *copy_call(const struct http_request *request)
{
    struct relay_call *call = malloc(call_size(request));
    if (!call)
        return NULL;
    char *at = call->texts;
    struct text method = { request->method, strlen(request->method) + 1 };
    call->request = (struct http_request){ .method = pack_text(&at, method).data,
                                           .is_head = request->is_head,
                                           .path = pack_text(&at, request->path),
                                           .query = pack_text(&at, request->query),
                                           .body = pack_text(&at, request->body) };
    return call;
}

static void copy_exchange(struct http_relayed *r, struct http_front *f, struct http_exchange *x)
{
    struct field_copy copy = { .at = r->fields };
    MHD_get_connection_values_n(x->connection->mhd, MHD_HEADER_KIND, copy_field, &copy);
    r->fields_size = copy.size;
    r->is_relayed = true;
    r->front = f;
    r->address = x->connection->address;
    r->local = x;
    r->holds = 1;
    r->phase = HTTP_OWNED;
    r->owned = true;
    r->word = (struct relay_letter){ .about = r, .word = RELAY_REQUEST };
    r->left = (struct relay_letter){ .about = r, .word = RELAY_LEFT };
    r->room = (struct relay_letter){ .about = r, .word = RELAY_ROOM };
}

/* NULL: no memory. */
static struct http_relayed *copy_request(struct http_front *f, struct http_exchange *x,
                                         const struct http_request *request)
{
    struct field_copy fields = { .at = NULL };
    MHD_get_connection_values_n(x->connection->mhd, MHD_HEADER_KIND, copy_field, &fields);
    struct http_relayed *r = calloc(1, sizeof *r + fields.size);
    struct relay_call *call = r ? copy_call(request) : NULL;
    if (!call) {
        free(r);
        return NULL;
    }
    copy_exchange(r, f, x);
    r->is_head = request->is_head;
    r->call = call;
    return r;
}

/* The letter has a hold of its own, because the owner may be saying his last word. */
static void post(struct http_relayed *r, struct relay_letter *letter)
{
    r->holds++;
    mailbox_post(&r->front->up, &letter->letter);
}

/* The local exchange is given back at once: who the client was does not matter any more. */
static void let_go(struct http_relayed *r)
{
    struct http_exchange *x = r->local;
    r->local = NULL;
    http_abandon(x);
    post(r, &r->left);
}

static void on_local_gone(void *ctx)
{
    let_go(ctx);
}

static void handle(void *ctx, struct http_exchange *x, const struct http_request *request)
{
    struct http_front *f = ctx;
    struct http_relayed *r = copy_request(f, x, request);
    if (!r) {
        http_answer_error(x, 503, ERR_MEMORY, "no memory for the request");
        return;
    }
    size_t size = call_size(request) + sizeof *r + r->fields_size;
    if (!mailbox_post_bounded(&f->up, &r->word.letter, size, &waiting_max)) {
        http_answer_error(x, 503, ERR_FULL, "too many requests are waiting");
        http_relayed_drop(r);
        return;
    }
    http_on_gone(x, on_local_gone, r);
}

static size_t body_limit(void *ctx, const char *method, struct text path)
{
    const struct http_front *f = ctx;
    const struct http_handler *owner = &f->relay->server->handler;
    return owner->body_limit(owner->ctx, method, path);
}

static void render_error(void *ctx, enum err_code code, const char *detail, struct buffer *out)
{
    const struct http_front *f = ctx;
    const struct http_handler *owner = &f->relay->server->handler;
    owner->render_error(owner->ctx, code, detail, out);
}

/* ---- from the owner ------------------------------------------------------------------------- */

static void on_taken(void *ctx, size_t size, size_t left)
{
    struct http_relayed *r = ctx;
    r->taken += size;
    if (left == 0 && r->is_pulled)
        post(r, &r->room);
}

static void open_stream(struct http_relayed *r, const struct relay_parcel *parcel)
{
    r->is_pulled = parcel->letter.word == RELAY_PULL;
    http_stream_open(r->local, &parcel->answer);
    http_on_taken(r->local, on_taken, r);
    if (r->is_pulled && parcel->answer.body.size == 0)
        post(r, &r->room);
}

/* A word after which the exchange is his server's again, or an open stream goes on. */
static void obey(struct http_relayed *r, const struct relay_letter *letter)
{
    const struct relay_parcel *parcel = (const struct relay_parcel *)letter;
    struct http_exchange *x = r->local;
    switch (letter->word) {
    case RELAY_OPEN:
    case RELAY_PULL: open_stream(r, parcel); return;
    case RELAY_TEXT:
        if (!http_stream_send(x, parcel->answer.body))
            let_go(r);
        return;
    case RELAY_END: http_stream_end(x); break;
    case RELAY_ABANDON: http_abandon(x); break;
    case RELAY_ANSWER: http_answer(x, &parcel->answer); break;
    case RELAY_ERROR:
        http_answer_error(x, parcel->answer.status, parcel->code, parcel->answer.body.data);
        break;
    default: assert(false);
    }
    r->local = NULL;
}

static void on_closed(void *ctx)
{
    struct http_front *f = ctx;
    f->http = NULL;
    loop_stop(f->loop);
}

static void on_bell(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct http_front *f = poll->data;
    bell_silence(f->bell);
    struct letter *next;
    for (struct letter *l = mailbox_take(&f->down); l; l = next) {
        struct relay_letter *letter = (struct relay_letter *)l;
        next = l->next;
        if (letter->word == RELAY_CLOSE)
            http_server_close(f->http, f->grace_ms, on_closed, f);
        else if (letter->about->local)
            obey(letter->about, letter);
        http_relayed_discard(letter);
    }
}

/* At the end of each round: so an owner who has heard of a request sees its connection counted. */
static void publish(void *ctx)
{
    struct http_front *f = ctx;
    if (!f->http)
        return;
    struct http_server_stats stats = http_server_stats(f->http);
    f->accepted = stats.connections_accepted;
    f->refused = stats.connections_refused;
    f->expired = stats.connections_expired;
    f->errors = stats.errors;
}

/* ---- the thread's life ---------------------------------------------------------------------- */

/* What the process has open is not ours, and would stay open with us. */
static bool take_own_descriptors(const struct http_front *f, struct err *err)
{
    if (SHARES_DESCRIPTORS)
        return true;
    int a = f->bell, b = f->relay->bell;
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    if (unshare(CLONE_FILES) != 0)
        return err_set(err, ERR_IO, "no descriptors of its own for an I/O thread: %s",
                       strerror(errno));
    if ((low > 3 && close_range(3, low - 1, 0) != 0) ||
        (high > low + 1 && close_range(low + 1, high - 1, 0) != 0) ||
        close_range(high + 1, ~0u, 0) != 0)
        return err_set(err, ERR_IO, "cannot close the descriptors of an I/O thread: %s",
                       strerror(errno));
    return true;
}

static bool watch_bell(struct http_front *f, struct err *err)
{
    int failure = uv_poll_init(loop_uv(f->loop), &f->bell_poll, f->bell);
    if (failure)
        return err_set(err, ERR_IO, "cannot watch the bell of an I/O thread: %s",
                       uv_strerror(failure));
    f->bell_poll.data = f;
    uv_poll_start(&f->bell_poll, UV_READABLE, on_bell);
    return true;
}

static void close_loop(struct http_front *f, bool watches)
{
    if (watches)
        uv_close((uv_handle_t *)&f->bell_poll, NULL);
    loop_free(f->loop);
    f->loop = NULL;
}

static bool open_front(struct http_front *f, struct err *err)
{
    const struct http_server *owner = f->relay->server;
    struct http_handler handler = { handle, body_limit, render_error, f };
    struct http_part part = { .port = f->number == 0 ? HTTP_PORT_FIRST : HTTP_PORT_SHARED,
                              .connections_open = &f->relay->connections_open };
    if (!take_own_descriptors(f, err))
        return false;
    f->loop = loop_new(err);
    if (!f->loop)
        return false;
    bool watches = watch_bell(f, err);
    if (!watches || !http_server_open_part(f->loop, f->wanted, &owner->options, &handler, &part,
                                           &f->http, err)) {
        close_loop(f, watches);
        return false;
    }
    loop_on_round_end(f->loop, publish, f);
    return true;
}

static void tell_started(struct http_front *f, bool is_good)
{
    pthread_mutex_lock(&f->start_lock);
    f->has_started = is_good;
    f->has_failed = !is_good;
    pthread_cond_signal(&f->start_told);
    pthread_mutex_unlock(&f->start_lock);
}

static void *live(void *ctx)
{
    struct http_front *f = ctx;
    char name[16];
    snprintf(name, sizeof name, "dides-io-%u", f->number);
    pthread_setname_np(pthread_self(), name);
    bool is_good = open_front(f, &f->err);
    tell_started(f, is_good);
    if (!is_good)
        return NULL;
    loop_run(f->loop);
    close_loop(f, true);
    mailbox_post(&f->up, &f->closed.letter);
    return NULL;
}

/* No signal may be handled here: its handler would write into a descriptor of another table. */
static int start_thread(struct http_front *f)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&f->thread, NULL, live, f);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

bool http_front_start(struct http_front *f, struct text address, struct err *err)
{
    f->wanted = address;
    pthread_mutex_init(&f->start_lock, NULL);
    pthread_cond_init(&f->start_told, NULL);
    f->closed = (struct relay_letter){ .word = RELAY_CLOSED };
    int failure = start_thread(f);
    if (failure)
        return err_set(err, ERR_IO, "cannot start an I/O thread: %s", strerror(failure));
    f->is_running = true;
    pthread_mutex_lock(&f->start_lock);
    while (!f->has_started && !f->has_failed)
        pthread_cond_wait(&f->start_told, &f->start_lock);
    bool is_good = f->has_started;
    pthread_mutex_unlock(&f->start_lock);
    if (is_good)
        return true;
    http_front_join(f);
    *err = f->err;
    return false;
}

void http_front_join(struct http_front *f)
{
    pthread_join(f->thread, NULL);
    f->is_running = false;
}
