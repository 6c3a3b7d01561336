/* SPDX-License-Identifier: Apache-2.0
 * http_request.c - see http_request.h. */
#include "net/http_request.h"

#include "base/limits.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <uv.h>

#define CONNECT_MS 10000
#define BUFFER_KEPT                                                                                \
    (16 * 1024) /* a larger answer's memory is given back before the next request                  \
                 */
#define LINE_MAX_BYTES (LIMIT_TOKEN + 256)

bool http_request_start_library(struct err *err)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT); /* counts its calls */
    if (code != CURLE_OK)
        return err_set(err, ERR_IO, "cannot start the HTTP client: %s", curl_easy_strerror(code));
    return true;
}

static size_t take_body(char *data, size_t one, size_t size, void *ctx)
{
    (void)one;
    struct buffer *body = ctx;
    buffer_add(body, (struct text){ data, size });
    return body->failed ? 0 : size; /* 0 ends the transfer with CURLE_WRITE_ERROR */
}

/* What holds for every request: no proxies, no redirects, no cookies, no signals. */
static bool set_constants(struct http_request_handle *h)
{
    CURL *easy = h->easy;
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "dides/" DIDES_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 4096L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->curl_text) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, &h->body) == CURLE_OK;
}

bool http_request_init(struct http_request_handle *h, size_t body_max)
{
    *h = (struct http_request_handle){ .easy = curl_easy_init() };
    buffer_init(&h->url, &memory_heap, HTTP_URL_SIZE + LIMIT_URL);
    buffer_init(&h->body, &memory_heap, body_max);
    if (h->easy && set_constants(h))
        return true;
    http_request_release(h);
    return false;
}

void http_request_release(struct http_request_handle *h)
{
    curl_easy_cleanup(h->easy);
    curl_slist_free_all(h->fields);
    buffer_release(&h->url);
    buffer_release(&h->body);
    h->easy = NULL;
    h->fields = NULL;
}

bool http_request_is_sound(const struct call *call)
{
    return call->path.size > 0 && call->path.data[0] == '/' && call->path.size <= LIMIT_URL &&
           text_is_printable(call->path) && text_is_printable(call->bearer) &&
           text_is_printable(call->idempotency_key) && text_is_printable(call->if_match) &&
           call->bearer.size <= LIMIT_TOKEN && call->idempotency_key.size <= LIMIT_TOKEN &&
           call->if_match.size <= LIMIT_TOKEN && call->body.size <= INT_MAX;
}

static bool add_line(struct http_request_handle *h, const char *line)
{
    struct curl_slist *longer = curl_slist_append(h->fields, line);
    if (longer)
        h->fields = longer;
    return longer != NULL;
}

static bool add_field(struct http_request_handle *h, const char *name, struct text value)
{
    char line[LINE_MAX_BYTES];
    if (value.size == 0)
        return true;
    snprintf(line, sizeof line, "%s%.*s", name, TEXT_ARG(value));
    return add_line(h, line);
}

static bool set_fields(struct http_request_handle *h, const struct call *call, const char *more)
{
    curl_slist_free_all(h->fields);
    h->fields = NULL;
    return add_line(h, "Expect:") && /* never wait for a 100 */
           add_field(h, "Authorization: Bearer ", call->bearer) &&
           add_field(h, "Idempotency-Key: ", call->idempotency_key) &&
           add_field(h, "If-Match: ", call->if_match) &&
           (call->body.size == 0 || add_line(h, "Content-Type: application/json")) &&
           (!more || add_line(h, more)) &&
           curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->fields) == CURLE_OK;
}

static bool set_body(CURL *easy, struct text body)
{
    return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body.size) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body.size ? body.data : "") == CURLE_OK;
}

static bool set_method(CURL *easy, const struct call *call)
{
    bool is_head = strcmp(call->method, "HEAD") == 0;
    bool is_plain = is_head || strcmp(call->method, "GET") == 0;
    bool has_body = call->body.size > 0 || strcmp(call->method, "POST") == 0 ||
                    strcmp(call->method, "PUT") == 0 || strcmp(call->method, "PATCH") == 0;
    /* In this order: each of the first two changes the method behind the scenes. */
    return curl_easy_setopt(easy, CURLOPT_NOBODY, is_head ? 1L : 0L) == CURLE_OK &&
           (is_head || curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK) &&
           (!has_body || set_body(easy, call->body)) &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, is_plain ? NULL : call->method) ==
               CURLE_OK;
}

bool http_request_prepare(struct http_request_handle *h, const struct http_url *server,
                          const struct call *call, const char *more)
{
    if (h->body.capacity > BUFFER_KEPT)
        buffer_release(&h->body);
    else
        buffer_clear(&h->body);
    h->curl_text[0] = '\0';
    h->timeout_ms = call->timeout_ms;
    buffer_clear(&h->url);
    buffer_add(&h->url, text_from(server->base));
    buffer_add(&h->url, call->path);
    const char *url = buffer_c_string(&h->url);
    return !h->url.failed && curl_easy_setopt(h->easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms) == CURLE_OK &&
           set_fields(h, call, more) && set_method(h->easy, call);
}

/* Why no connection came about: the reason of the last attempt, in the system's words. */
static const char *connect_reason(CURL *easy)
{
    long reason = 0;
    if (curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &reason) != CURLE_OK || reason == 0)
        return "no connection";
    return uv_strerror(-(int)reason);
}

static void explain(struct http_request_handle *h, CURLcode code, const char *shown,
                    struct err *err)
{
    long status = 0;
    curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_COULDNT_CONNECT)
        err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", shown, connect_reason(h->easy));
    else if (code == CURLE_COULDNT_RESOLVE_HOST)
        err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: its name is not known", shown);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        err_set(err, ERR_UNAVAILABLE, "no answer from %s within %lld ms", shown,
                (long long)h->timeout_ms);
    else if (code == CURLE_WRITE_ERROR && h->body.failed)
        err_set(err, ERR_TOO_LARGE, "the answer of %s is larger than %zu bytes", shown,
                h->body.max);
    else if (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
             code == CURLE_PARTIAL_FILE)
        err_set(err, ERR_UNAVAILABLE, "%s closed the connection %s", shown,
                status ? "in the middle of its answer" : "without an answer");
    else
        err_set(err, ERR_IO, "request to %s failed: %s", shown,
                h->curl_text[0] ? h->curl_text : curl_easy_strerror(code));
}

int http_request_result(struct http_request_handle *h, CURLcode code, const struct http_url *server,
                        int64_t *ret_retry_after_ms, struct err *err)
{
    if (code != CURLE_OK) {
        explain(h, code, server->shown, err);
        return 0;
    }
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    *ret_retry_after_ms = retry_after_s > 0 ? (int64_t)retry_after_s * 1000 : 0;
    return (int)status;
}
