/* SPDX-License-Identifier: Apache-2.0
 * backup.c - copies of the store as downloads, and the word of an operator that an old copy is the
 * one to go on from.
 *
 * The copy is an unnamed file: once it is made, the store is not concerned any more with how slowly
 * it is read. Nobody who asks can say where anything is written. */
#include "http/api_parts.h"
#include "net/http_file.h"

/* ---- backups -------------------------------------------------------------------------------- */

struct backup {
    struct engine_backup made; /* first: what is made is the backup */
    struct backup *next, **link;
    struct api *api;
    struct http_exchange *x; /* while it is made; NULL: the client is gone */
    const struct route *route;
    int64_t began_us;
    struct http_file *file; /* once it is made */
};

static void free_backup(struct backup *b)
{
    *b->link = b->next;
    if (b->next)
        b->next->link = b->link;
    b->api->backup_count--;
    memory_give(&memory_heap, b, sizeof *b);
}

/* The server is closed, so what is left was sent and only takes room on the disk. */
void backups_close(struct api *api)
{
    while (api->backups) {
        http_file_free(api->backups->file);
        free_backup(api->backups);
    }
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

static void on_given_back(void *ctx)
{
    free_backup(ctx);
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
    struct http_exchange *x = b->x;
    b->x = NULL;
    api_count(b->api, b->route, 200, b->began_us);
    http_file_send(b->file, x, &head);
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
    if (made->job.succeeded) {
        b->file = http_file_new(b->api->loop, made->job.file, on_given_back, b);
        if (!b->file)
            err_set(&made->job.err, ERR_MEMORY, "no memory for a backup");
    }
    if (b->x && b->file)
        send_copy(b);
    else if (b->x)
        answer_failure(b);
    else if (b->file)
        http_file_drop(b->file);
    else
        free_backup(b);
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
                              .began_us = call->began_us };
        if (!engine_backup(api->engine, &b->made, &call->err))
            memory_give(&memory_heap, b, sizeof *b);
    }
    if (call->err.code != ERR_NONE) {
        api_fail(call);
        return;
    }
    b->next = api->backups;
    b->link = &api->backups;
    if (b->next)
        b->next->link = &b->next;
    api->backups = b;
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
