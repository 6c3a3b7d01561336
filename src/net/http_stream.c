/* SPDX-License-Identifier: Apache-2.0
 * http_stream.c - answers that come in pieces: streams that the owner feeds, and long answers that
 * are pulled from him. Both wait in the exchange's `out` and leave it as the socket has room. */
#include "net/http_relay.h"

#include "base/limits.h"

#include <assert.h>

#define SLICE_WANTED (16 * 1024)
#define READ_BLOCK   4096 /* libmicrohttpd takes what its connection's memory has room for */

static size_t waiting(const struct http_exchange *x)
{
    return x->out.size - x->out_sent;
}

/* Fills the empty `out` with the next slice. False: broken. */
static bool pull_slice(struct http_exchange *x)
{
    enum http_pull result = HTTP_PULL_MORE;
    buffer_clear(&x->out);
    x->out_sent = 0;
    x->in_call = true;
    while (result == HTTP_PULL_MORE && x->out.size == 0 && !x->out.failed)
        result = x->pull(x->pull_ctx, &x->out, SLICE_WANTED);
    x->in_call = false;
    x->ended = result == HTTP_PULL_END;
    return result != HTTP_PULL_FAILED && !x->out.failed;
}

static ssize_t read_out(void *ctx, uint64_t position, char *space, size_t max)
{
    (void)position;
    struct http_exchange *x = ctx;
    x->server->callbacks++;
    if (waiting(x) == 0 && !x->ended && !x->cut && x->pull && !pull_slice(x))
        x->cut = true;
    if (x->cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (waiting(x) == 0 && x->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (waiting(x) == 0) {
        http_suspend(x);
        return 0;
    }
    size_t size = waiting(x) < max ? waiting(x) : max;
    memcpy(space, x->out.data + x->out_sent, size);
    x->out_sent += size;
    if (x->taken)
        x->taken(x->taken_ctx, size, waiting(x));
    x->connection->deadline_ms = http_now_ms(x->server) + x->server->options.write_ms;
    return (ssize_t)size;
}

static bool begin(struct http_exchange *x, const struct http_answer *answer)
{
    assert(x->owned && x->phase == HTTP_OWNED);
    assert(answer->status >= 200 && answer->status <= 599);
    if (!x->connection || x->cut)
        return false;
    buffer_clear(&x->out);
    x->out_sent = 0;
    buffer_add(&x->out, answer->body);
    struct MHD_Response *response =
        x->out.failed
            ? NULL
            : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, READ_BLOCK, read_out, x, NULL);
    if (!response) {
        http_cut(x);
        return false;
    }
    struct http_answer head = *answer;
    head.body = TEXT_NONE;
    http_send_response(x, &head, response);
    return !x->cut;
}

void http_answer_pull(struct http_exchange *x, const struct http_answer *answer, http_pull_fn *pull,
                      loop_fn *done, void *ctx)
{
    if (x->is_relayed) {
        http_relayed_answer_pull(http_relayed(x), answer, pull, done, ctx);
        return;
    }
    x->pull = pull;
    x->pull_ctx = ctx;
    if (begin(x, answer))
        x->pull_done = done; /* called by http_on_completed() */
    else if (done)
        done(ctx);
    x->phase = HTTP_SENDING;
    http_give_back(x);
}

void http_on_taken(struct http_exchange *x, void (*taken)(void *ctx, size_t size, size_t left),
                   void *ctx)
{
    x->taken = taken;
    x->taken_ctx = ctx;
}

void http_stream_open(struct http_exchange *x, const struct http_answer *head)
{
    if (x->is_relayed) {
        http_relayed_stream_open(http_relayed(x), head);
        return;
    }
    begin(x, head);
    x->phase = HTTP_STREAMING;
}

/* Moves what waits to the front once most of the buffer is sent. */
static void compact(struct http_exchange *x)
{
    if (x->out_sent < x->out.size / 2)
        return;
    memmove(x->out.data, x->out.data + x->out_sent, waiting(x));
    x->out.size = waiting(x);
    x->out_sent = 0;
}

bool http_stream_send(struct http_exchange *x, struct text text)
{
    if (x->is_relayed)
        return http_relayed_stream_send(http_relayed(x), text);
    assert(x->owned && x->phase == HTTP_STREAMING);
    if (!x->connection || x->cut || x->ended || text.size > LIMIT_STREAM_BYTES - waiting(x))
        return false;
    if (text.size == 0)
        return true;
    compact(x);
    buffer_add(&x->out, text);
    if (x->out.failed) {
        http_cut(x); /* what was queued before cannot be told apart any more */
        return false;
    }
    http_resume(x);
    return true;
}

size_t http_stream_waiting(const struct http_exchange *x)
{
    return x->is_relayed ? http_relayed_stream_waiting(http_relayed(x)) : waiting(x);
}

void http_stream_end(struct http_exchange *x)
{
    if (x->is_relayed) {
        http_relayed_stream_end(http_relayed(x));
        return;
    }
    assert(x->owned && x->phase == HTTP_STREAMING);
    x->phase = HTTP_SENDING;
    x->ended = true;
    if (x->connection)
        http_resume(x);
    http_give_back(x);
}
