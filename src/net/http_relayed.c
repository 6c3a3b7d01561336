/* SPDX-License-Identifier: Apache-2.0
 * http_relayed.c - what an owner does with an exchange whose connection is on another thread: each
 * word of his becomes a letter. Runs on the owner's loop. */
#include "net/http_relay.h"

#include "base/limits.h"

#include <assert.h>

#define SLICE_WANTED ((size_t)64 * 1024)

void http_relayed_drop(struct http_relayed *r)
{
    if (--r->holds > 0)
        return;
    free(r->call);
    free(r);
}

static bool is_last(enum relay_word word)
{
    return word >= RELAY_END && word <= RELAY_ERROR;
}

void http_relayed_discard(struct relay_letter *letter)
{
    struct http_relayed *r = letter->about;
    enum relay_word word = letter->word;
    if (!r)
        return;
    if (letter != &r->word) {
        struct relay_parcel *parcel = (struct relay_parcel *)letter;
        buffer_release(&parcel->slice);
        free(parcel);
    }
    if (is_last(word))
        http_relayed_drop(r);
}

/* ---- letters -------------------------------------------------------------------------------- */

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *pack_string(char **at, const char *text)
{
    const char *packed = *at;
    size_t size = text_size(text);
    if (!text)
        return NULL;
    memcpy(*at, text, size);
    *at += size;
    return packed;
}

static void pack_answer(struct relay_parcel *parcel, const struct http_answer *answer)
{
    struct http_header *headers = (struct http_header *)(parcel + 1);
    char *at = (char *)(headers + answer->header_count);
    parcel->answer = *answer;
    parcel->answer.headers = headers;
    parcel->answer.content_type = pack_string(&at, answer->content_type);
    for (size_t i = 0; i < answer->header_count; i++) {
        headers[i].name = pack_string(&at, answer->headers[i].name);
        headers[i].value = pack_string(&at, answer->headers[i].value);
    }
    if (answer->body.size > 0)
        memcpy(at, answer->body.data, answer->body.size);
    parcel->answer.body.data = at;
}

/* NULL: no memory. */
static struct relay_parcel *pack(struct http_relayed *r, enum relay_word word,
                                 const struct http_answer *answer)
{
    size_t size = sizeof(struct relay_parcel) + answer->header_count * sizeof(struct http_header) +
                  text_size(answer->content_type) + answer->body.size;
    for (size_t i = 0; i < answer->header_count; i++)
        size += text_size(answer->headers[i].name) + text_size(answer->headers[i].value);
    struct relay_parcel *parcel = malloc(size);
    if (!parcel)
        return NULL;
    *parcel = (struct relay_parcel){ .letter = { .about = r, .word = word } };
    pack_answer(parcel, answer);
    return parcel;
}

static void post(struct http_relayed *r, struct relay_letter *letter)
{
    if (r->front->is_running)
        mailbox_post(&r->front->down, &letter->letter);
    else
        http_relayed_discard(letter);
}

/* The owner is through with it. `parcel` is his last word; NULL: `word` alone is. */
static void post_last(struct http_relayed *r, struct relay_parcel *parcel, enum relay_word word)
{
    struct http_relay *relay = r->front->relay;
    r->owned = false;
    r->gone = NULL;
    r->pull = NULL;
    r->word = (struct relay_letter){ .about = r, .word = word };
    post(r, parcel ? &parcel->letter : &r->word);
    relay->server->exchanges--;
    http_relay_finish_close(relay);
}

/* ---- whole answers -------------------------------------------------------------------------- */

void http_relayed_answer(struct http_relayed *r, const struct http_answer *answer)
{
    assert(r->owned && r->phase == HTTP_OWNED);
    assert(answer->status >= 200 && answer->status <= 599);
    r->phase = HTTP_SENDING;
    post_last(r, r->has_left ? NULL : pack(r, RELAY_ANSWER, answer), RELAY_ABANDON);
}

void http_relayed_answer_error(struct http_relayed *r, int status, enum err_code code,
                               const char *detail)
{
    assert(r->owned && r->phase == HTTP_OWNED);
    struct http_answer answer = { .status = status, .body = { detail, strlen(detail) + 1 } };
    struct relay_parcel *parcel = r->has_left ? NULL : pack(r, RELAY_ERROR, &answer);
    r->phase = HTTP_SENDING;
    if (parcel)
        parcel->code = code;
    post_last(r, parcel, RELAY_ABANDON);
}

void http_relayed_abandon(struct http_relayed *r)
{
    assert(r->owned && (r->phase == HTTP_OWNED || r->phase == HTTP_STREAMING));
    r->phase = HTTP_SENDING;
    post_last(r, NULL, RELAY_ABANDON);
}

/* ---- streams -------------------------------------------------------------------------------- */

/* False: there is nobody to open it for. */
static bool open_stream(struct http_relayed *r, enum relay_word word,
                        const struct http_answer *head)
{
    assert(r->owned && r->phase == HTTP_OWNED);
    assert(head->status >= 200 && head->status <= 599);
    struct relay_parcel *parcel = r->has_left ? NULL : pack(r, word, head);
    r->broken = !parcel;
    if (!parcel)
        return false;
    r->sent = head->body.size;
    post(r, &parcel->letter);
    return true;
}

void http_relayed_stream_open(struct http_relayed *r, const struct http_answer *head)
{
    open_stream(r, RELAY_OPEN, head);
    r->phase = HTTP_STREAMING;
}

size_t http_relayed_stream_waiting(const struct http_relayed *r)
{
    return (size_t)(r->sent - r->taken);
}

bool http_relayed_stream_send(struct http_relayed *r, struct text text)
{
    assert(r->owned && r->phase == HTTP_STREAMING);
    if (r->has_left || r->broken || text.size > LIMIT_STREAM_BYTES - http_relayed_stream_waiting(r))
        return false;
    if (text.size == 0)
        return true;
    struct relay_parcel *parcel = pack(r, RELAY_TEXT, &(struct http_answer){ .body = text });
    if (!parcel)
        return false;
    r->sent += text.size;
    post(r, &parcel->letter);
    return true;
}

void http_relayed_stream_end(struct http_relayed *r)
{
    assert(r->owned && r->phase == HTTP_STREAMING);
    r->phase = HTTP_SENDING;
    post_last(r, NULL, r->broken ? RELAY_ABANDON : RELAY_END);
}

/* ---- pulled answers ------------------------------------------------------------------------- */

static void end_pull(struct http_relayed *r, enum relay_word word)
{
    loop_fn *done = r->pull_done;
    void *ctx = r->pull_ctx;
    post_last(r, NULL, word);
    if (done)
        done(ctx);
}

void http_relayed_answer_pull(struct http_relayed *r, const struct http_answer *answer,
                              http_pull_fn *pull, loop_fn *done, void *ctx)
{
    bool is_open = open_stream(r, r->is_head ? RELAY_OPEN : RELAY_PULL, answer);
    r->phase = HTTP_SENDING;
    r->owned = false;
    r->gone = NULL;
    r->pull = pull;
    r->pull_done = done;
    r->pull_ctx = ctx;
    if (!is_open || r->is_head) /* nobody will ask for more */
        end_pull(r, is_open ? RELAY_END : RELAY_ABANDON);
}

/* NULL: no memory. */
static struct relay_parcel *pack_slice(struct http_relayed *r, struct buffer *slice)
{
    struct relay_parcel *parcel = calloc(1, sizeof *parcel);
    if (!parcel)
        return NULL;
    parcel->letter = (struct relay_letter){ .about = r, .word = RELAY_TEXT };
    parcel->slice = *slice;
    parcel->answer.body = buffer_text(slice);
    *slice = (struct buffer){ 0 };
    return parcel;
}

/* False: broken. */
static bool pull_slice(struct http_relayed *r, enum http_pull *ret)
{
    enum http_pull result = HTTP_PULL_MORE;
    struct buffer slice;
    buffer_init(&slice, &memory_heap, LIMIT_STREAM_BYTES);
    while (result == HTTP_PULL_MORE && slice.size == 0 && !slice.failed)
        result = r->pull(r->pull_ctx, &slice, SLICE_WANTED);
    bool is_good = result != HTTP_PULL_FAILED && !slice.failed;
    struct relay_parcel *parcel = is_good && slice.size > 0 ? pack_slice(r, &slice) : NULL;
    if (parcel)
        post(r, &parcel->letter);
    is_good = is_good && slice.size == 0; /* what there was is in the parcel */
    buffer_release(&slice);
    *ret = result;
    return is_good;
}

void http_relayed_pull_more(struct http_relayed *r)
{
    enum http_pull result;
    if (!r->pull)
        return;
    if (!pull_slice(r, &result))
        end_pull(r, RELAY_ABANDON);
    else if (result == HTTP_PULL_END)
        end_pull(r, RELAY_END);
}

/* ---- the client ----------------------------------------------------------------------------- */

void http_relayed_client_left(struct http_relayed *r)
{
    r->has_left = true;
    if (r->pull)
        end_pull(r, RELAY_ABANDON);
    else if (r->owned && r->gone)
        r->gone(r->gone_ctx);
}

void http_relayed_on_gone(struct http_relayed *r, loop_fn *gone, void *ctx)
{
    assert(r->owned);
    r->gone = gone;
    r->gone_ctx = ctx;
}

struct text http_relayed_field(const struct http_relayed *r, const char *name)
{
    const char *end = r->fields + r->fields_size;
    if (r->has_left)
        return TEXT_NONE;
    for (const char *at = r->fields; at < end;) {
        const char *value = at + strlen(at) + 1;
        if (text_equal_nocase(text_from(at), text_from(name)))
            return text_trim(text_from(value));
        at = value + strlen(value) + 1;
    }
    return TEXT_NONE;
}
