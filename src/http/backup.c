/* SPDX-License-Identifier: Apache-2.0
 * backup.c - copies of the store as downloads, and the word of an operator that an old copy is the
 * one to go on from.
 *
 * The copy is an unnamed file: once it is made, the store is not concerned any more with how slowly
 * it is read. Nobody who asks can say where anything is written. */
#include "http/api_parts.h"

#include <errno.h>
#include <unistd.h>

#define PULL_BYTES      ((size_t)64 * 1024)
#define SHRINK_BYTES    ((off_t)32 << 20)
#define SHRINK_EVERY_MS 10

/* ---- backups -------------------------------------------------------------------------------- */

struct backup {
    struct engine_backup made; /* first: what is made is the backup */
    struct api *api;
    struct http_exchange *x; /* NULL: the client is gone */
    const struct route *route;
    int64_t began_us;
    int file; /* while there is one, else -1 */
    off_t sent;
    struct backup *next, **link; /* of those that shrink */
    off_t left;
    struct loop_timer *shrink; /* NULL: it does not yet */
};

static void free_backup(struct backup *b)
{
    if (b->shrink) {
        *b->link = b->next;
        if (b->next)
            b->next->link = b->link;
        loop_timer_free(b->shrink);
    }
    if (b->file >= 0)
        close(b->file);
    b->api->backup_count--;
    memory_give(&memory_heap, b, sizeof *b);
}

static void shrink(void *ctx)
{
    struct backup *b = ctx;
    b->left -= b->left < SHRINK_BYTES ? b->left : SHRINK_BYTES;
    if (ftruncate(b->file, b->left) != 0 || b->left == 0)
        free_backup(b);
}

/* Giving a large file back at once, by closing it, stops this thread for as long as that takes:
 * 0.3 s for a million instances. So it goes piece by piece. */
static void release_backup(struct backup *b)
{
    struct api *api = b->api;
    if (b->file >= 0)
        b->left = lseek(b->file, 0, SEEK_END);
    if (b->left > SHRINK_BYTES && !api->is_stopping)
        b->shrink = loop_every(api->loop, SHRINK_EVERY_MS, shrink, b, NULL);
    if (!b->shrink) {
        free_backup(b);
        return;
    }
    b->next = api->backups;
    b->link = &api->backups;
    if (b->next)
        b->next->link = &b->next;
    api->backups = b;
}

void backups_close(struct api *api)
{
    while (api->backups)
        free_backup(api->backups);
}

/* While it is made; the store gives it up, and tells so. */
static void on_gone(void *ctx)
{
    struct backup *b = ctx;
    struct http_exchange *x = b->x;
    b->x = NULL;
    engine_backup_cancel(b->api->engine, &b->made);
    http_abandon(x);
}

static enum http_pull pull(void *ctx, struct buffer *out, size_t wanted)
{
    struct backup *b = ctx;
    char space[PULL_BYTES];
    ssize_t got;
    do
        got = pread(b->file, space, wanted < sizeof space ? wanted : sizeof space, b->sent);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return HTTP_PULL_FAILED;
    if (got == 0)
        return HTTP_PULL_END;
    b->sent += got;
    buffer_add(out, (struct text){ space, (size_t)got });
    return out->failed ? HTTP_PULL_FAILED : HTTP_PULL_MORE;
}

static void on_sent(void *ctx)
{
    release_backup(ctx);
}

static void send_copy(struct backup *b)
{
    struct http_header headers[] = { { "Content-Disposition",
                                       "attachment; filename=\"dides-backup.db\"" },
                                     { "Cache-Control", "no-store" } };
    struct http_answer head = { .status = 200,
                                .content_type = "application/vnd.sqlite3",
                                .headers = headers,
                                .header_count = sizeof headers / sizeof headers[0] };
    b->file = b->made.job.file;
    api_count(b->api, b->route, 200, b->began_us);
    http_answer_pull(b->x, &head, pull, on_sent, b);
}

/* An answer that comes later than its call has a call of its own; `write` is to end it. */
static void answer_late(struct api *api, struct http_exchange *x, const struct route *route,
                        int64_t began_us, void (*write)(struct api_call *call, void *ctx),
                        void *ctx)
{
    const struct http_request asked = { .method = route->method, .path = text_from(route->path) };
    struct api_call call = {
        .api = api, .request = &asked, .route = route, .began_us = began_us, .x = x
    };
    struct buffer mine; /* the body of the call that caused this is not ours to write into */
    struct buffer body = api->body;
    buffer_init(&mine, &memory_heap, API_BODY_MAX);
    api->body = mine;
    json_writer_init(&call.w, &api->body);
    write(&call, ctx);
    mine = api->body;
    api->body = body;
    buffer_release(&mine);
}

/* That the disk does not take a copy is no more than that it does not take a copy now. */
static void write_failure(struct api_call *call, void *ctx)
{
    const struct err *why = ctx;
    call->err = *why;
    if (!err_is_retryable(why->code) && why->code != ERR_NOT_SUPPORTED)
        call->err.code = ERR_STORE;
    api_fail(call);
}

static void answer_failure(struct backup *b)
{
    answer_late(b->api, b->x, b->route, b->began_us, write_failure, &b->made.job.err);
    free_backup(b);
}

static void on_made(struct engine_backup *made)
{
    struct backup *b = (struct backup *)made;
    if (b->x)
        http_on_gone(b->x, NULL, NULL);
    if (b->x && made->job.succeeded) {
        send_copy(b);
    } else if (b->x) {
        answer_failure(b);
    } else {
        b->file = made->job.file;
        release_backup(b);
    }
}

/* Each copy that is still being sent takes its size on the disk. */
static bool may_begin(struct api_call *call)
{
    struct api *api = call->api;
    if (api->is_stopping)
        return err_set(&call->err, ERR_UNAVAILABLE, "the server is stopping");
    if (api->backup_count >= LIMIT_BACKUPS)
        return err_set(&call->err, ERR_UNAVAILABLE,
                       "%d backups are being made or sent; ask again when one is done",
                       LIMIT_BACKUPS);
    return true;
}

void backup_create(struct api_call *call)
{
    struct api *api = call->api;
    struct backup *b = NULL;
    if (may_begin(call)) {
        b = memory_take_zeroed(&memory_heap, sizeof *b);
        if (!b)
            err_set(&call->err, ERR_MEMORY, "no memory for a backup");
    }
    if (b) {
        *b = (struct backup){ .made = { .done = on_made },
                              .api = api,
                              .x = call->x,
                              .route = call->route,
                              .began_us = call->began_us,
                              .file = -1 };
        if (!engine_backup(api->engine, &b->made, &call->err))
            memory_give(&memory_heap, b, sizeof *b);
    }
    if (call->err.code != ERR_NONE) {
        api_fail(call);
        return;
    }
    api->backup_count++;
    http_on_gone(call->x, on_gone, b);
}

/* ---- going on from an old copy -------------------------------------------------------------- */

struct confirmation {
    struct engine_confirm confirm; /* first: the confirm is the confirmation */
    struct api *api;
    struct http_exchange *x;
    const struct route *route;
    int64_t began_us;
};

static void write_confirmed(struct api_call *call, void *ctx)
{
    const enum engine_outcome *outcome = ctx;
    if (*outcome != ENGINE_DURABLE) {
        err_set(&call->err, ERR_STORE, "the store took no writes; nothing was changed");
        api_fail(call);
        return;
    }
    json_begin_object(&call->w);
    json_put_u64(&call->w, "term", engine_term(call->api->engine));
    json_end_object(&call->w);
    api_reply(call, 200, 0);
}

static void on_confirmed(struct engine_confirm *confirm, enum engine_outcome outcome)
{
    struct confirmation *c = (struct confirmation *)confirm;
    if (outcome == ENGINE_UNKNOWN)
        http_abandon(c->x);
    else
        answer_late(c->api, c->x, c->route, c->began_us, write_confirmed, &outcome);
    memory_give(&memory_heap, c, sizeof *c);
}

void backup_confirm(struct api_call *call)
{
    struct confirmation *c =
        api_is_writable(call) ? memory_take_zeroed(&memory_heap, sizeof *c) : NULL;
    if (!c && call->err.code == ERR_NONE)
        err_set(&call->err, ERR_MEMORY, "no memory for a confirmation");
    if (c) {
        *c = (struct confirmation){ .confirm = { .done = on_confirmed },
                                    .api = call->api,
                                    .x = call->x,
                                    .route = call->route,
                                    .began_us = call->began_us };
        if (!engine_confirm(call->api->engine, &c->confirm, &call->err))
            memory_give(&memory_heap, c, sizeof *c);
    }
    if (call->err.code != ERR_NONE)
        api_fail(call);
}
