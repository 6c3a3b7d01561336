/* SPDX-License-Identifier: Apache-2.0
 * http_call.c - the blocking requests of http_client.h. */
#include "net/http_client.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "net/http_request.h"

#define LINE_MAX_BYTES (1024 * 1024) /* of a stream; an event is far smaller */

static bool open_handle(struct text server_url, const struct call *call, size_t body_max,
                        struct http_url *ret_server, struct http_request_handle *h, struct err *err)
{
    if (!http_request_start_library(err) || !http_url_parse(server_url, ret_server, err))
        return false;
    if (!http_request_is_sound(call))
        return err_set(err, ERR_INVALID,
                       "the request has control characters, is too long, or its path has no '/'");
    if (!http_request_init(h, body_max))
        return err_set(err, ERR_MEMORY, "no memory for the request");
    return true;
}

bool http_call_now(struct text server_url, const struct call *call, struct buffer *ret_body,
                   int *ret_status, struct err *err)
{
    struct http_url server;
    cleanup(http_request_release) struct http_request_handle h = { 0 };
    if (!open_handle(server_url, call, ret_body->max, &server, &h, err))
        return false;
    if (!http_request_prepare(&h, &server, call, NULL))
        return err_set(err, ERR_MEMORY, "no memory for the request");
    int64_t retry_after_ms;
    int status = http_request_result(&h, curl_easy_perform(h.easy), &server, &retry_after_ms, err);
    if (status == 0)
        return false;
    buffer_clear(ret_body);
    buffer_add(ret_body, buffer_text(&h.body));
    if (ret_body->failed)
        return err_set(err, ERR_MEMORY, "no memory for the answer");
    *ret_status = status;
    return true;
}

/* Takes an event stream apart. */
struct lines {
    struct http_request_handle *handle;
    struct buffer part; /* of a line whose end has not come */
    http_line_fn *on_line;
    void *ctx;
    bool ended; /* on_line had enough */
};

static struct text without_cr(struct text line)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

static bool take_line(struct lines *lines, struct text line)
{
    bool more;
    if (lines->part.size == 0) {
        more = lines->on_line(lines->ctx, without_cr(line));
    } else {
        buffer_add(&lines->part, line);
        if (lines->part.failed)
            return false;
        more = lines->on_line(lines->ctx, without_cr(buffer_text(&lines->part)));
        buffer_clear(&lines->part);
    }
    lines->ended = !more;
    return more;
}

static bool take_bytes(struct lines *lines, struct text bytes)
{
    while (bytes.size > 0) {
        size_t end = text_find(bytes, '\n');
        if (end == bytes.size) {
            buffer_add(&lines->part, bytes);
            return !lines->part.failed;
        }
        if (!take_line(lines, (struct text){ bytes.data, end }))
            return false;
        bytes = text_skip(bytes, end + 1);
    }
    return true;
}

static size_t on_stream_bytes(char *data, size_t one, size_t size, void *ctx)
{
    (void)one;
    struct lines *lines = ctx;
    struct text bytes = { data, size };
    long status = 0;
    curl_easy_getinfo(lines->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status <= 299)
        return take_bytes(lines, bytes) ? size : 0;
    buffer_add(&lines->handle->body, bytes);
    return lines->handle->body.failed ? 0 : size;
}

static bool set_stream(struct http_request_handle *h, const struct http_stream_call *call,
                       struct lines *lines)
{
    long silence_s = (long)((call->silence_ms + 999) / 1000);
    return curl_easy_setopt(h->easy, CURLOPT_LOW_SPEED_LIMIT, silence_s ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(h->easy, CURLOPT_LOW_SPEED_TIME, silence_s) == CURLE_OK &&
           curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_stream_bytes) == CURLE_OK &&
           curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, lines) == CURLE_OK;
}

static bool run_stream(struct http_request_handle *h, const struct http_url *server,
                       const struct http_stream_call *call, struct lines *lines, int *ret_status,
                       struct err *err)
{
    int64_t retry_after_ms;
    CURLcode code = curl_easy_perform(h->easy);
    if (code == CURLE_WRITE_ERROR && lines->ended)
        code = CURLE_OK;
    else if (code == CURLE_WRITE_ERROR && lines->part.failed)
        return err_set(err, ERR_TOO_LARGE, "a line from %s is longer than %d bytes", server->shown,
                       LINE_MAX_BYTES);
    h->timeout_ms = call->silence_ms;
    int status = http_request_result(h, code, server, &retry_after_ms, err);
    if (status != 0)
        *ret_status = status;
    return status != 0;
}

bool http_stream_lines(struct text server_url, const struct http_stream_call *call,
                       http_line_fn *on_line, void *ctx, struct buffer *ret_body, int *ret_status,
                       struct err *err)
{
    char resume[LIMIT_REASON] = "";
    struct http_url server;
    struct call request = { .method = "GET", .path = call->path, .bearer = call->bearer };
    cleanup(http_request_release) struct http_request_handle h = { 0 };
    if (call->last_event_id.size > LIMIT_NAME || !text_is_printable(call->last_event_id))
        return err_set(err, ERR_INVALID, "the last event id is no printable text of 253 bytes");
    if (!open_handle(server_url, &request, ret_body->max, &server, &h, err))
        return false;
    snprintf(resume, sizeof resume, "Last-Event-ID: %.*s", TEXT_ARG(call->last_event_id));

    struct lines lines = { .handle = &h, .on_line = on_line, .ctx = ctx };
    buffer_init(&lines.part, &memory_heap, LINE_MAX_BYTES);
    bool ready =
        http_request_prepare(&h, &server, &request, call->last_event_id.size ? resume : NULL) &&
        set_stream(&h, call, &lines);
    bool done = ready ? run_stream(&h, &server, call, &lines, ret_status, err)
                      : err_set(err, ERR_MEMORY, "no memory for the request");
    buffer_release(&lines.part);
    buffer_clear(ret_body);
    buffer_add(ret_body, buffer_text(&h.body));
    return done;
}

/* ---- downloads ------------------------------------------------------------------------------ */

struct download {
    struct http_request_handle *handle;
    http_bytes_fn *on_bytes;
    void *ctx;
    bool was_ended; /* on_bytes had enough */
};

static size_t on_download(char *data, size_t one, size_t size, void *ctx)
{
    (void)one;
    struct download *d = ctx;
    struct text bytes = { data, size };
    long status = 0;
    curl_easy_getinfo(d->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status <= 299) {
        d->was_ended = !d->on_bytes(d->ctx, bytes);
        return d->was_ended ? 0 : size;
    }
    buffer_add(&d->handle->body, bytes);
    return d->handle->body.failed ? 0 : size;
}

static bool set_download(struct download *d, int64_t silence_ms)
{
    CURL *easy = d->handle->easy;
    long silence_s = (long)((silence_ms + 999) / 1000);
    return curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, silence_s ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silence_s) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_download) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, d) == CURLE_OK;
}

bool http_download(struct text server_url, const struct call *call, http_bytes_fn *on_bytes,
                   void *ctx, struct buffer *ret_body, int *ret_status, struct err *err)
{
    struct http_url server;
    struct call request = *call;
    cleanup(http_request_release) struct http_request_handle h = { 0 };
    request.timeout_ms = 0;
    if (!open_handle(server_url, &request, ret_body->max, &server, &h, err))
        return false;
    struct download d = { .handle = &h, .on_bytes = on_bytes, .ctx = ctx };
    if (!http_request_prepare(&h, &server, &request, NULL) || !set_download(&d, call->timeout_ms))
        return err_set(err, ERR_MEMORY, "no memory for the request");
    CURLcode code = curl_easy_perform(h.easy);
    if (d.was_ended)
        return err_set(err, ERR_IO, "what came from %s could not be kept", server.shown);
    int64_t retry_after_ms;
    h.timeout_ms = call->timeout_ms;
    int status = http_request_result(&h, code, &server, &retry_after_ms, err);
    if (status == 0)
        return false;
    buffer_clear(ret_body);
    buffer_add(ret_body, buffer_text(&h.body));
    *ret_status = status;
    return true;
}
