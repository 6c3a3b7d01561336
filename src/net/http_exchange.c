/* SPDX-License-Identifier: Apache-2.0
 * http_exchange.c - from libmicrohttpd's callbacks to one request in the owner's hands, and back.
 *
 * libmicrohttpd calls http_on_url() when the request line is there, http_on_request() once when the
 * head is, once per piece of the body and once at the end, and http_on_completed() when it is done
 * with the request for whatever reason. An exchange is held by its connection (from http_on_url to
 * http_on_completed) and by its owner (from handle() until given back), and free when by neither.
 */
#include "net/http_relay.h"

#include "base/limits.h"

#include <assert.h>
#include <sys/socket.h>

#define FREE_EXCHANGES_KEPT 1024
#define BUFFER_KEPT         (8 * 1024) /* larger buffers are not kept with a free exchange */

/* Before its limit is known a body has none of the buffer's own. */
#define BODY_BUFFER_MAX SIZE_MAX

static struct http_exchange *new_exchange(struct http_server *server)
{
    struct http_exchange *x = server->free_exchanges;
    if (x) {
        server->free_exchanges = x->next_free;
        server->free_exchange_count--;
    } else {
        x = calloc(1, sizeof *x);
        if (!x)
            return NULL;
        buffer_init(&x->url, &memory_heap, LIMIT_URL);
        buffer_init(&x->body, &memory_heap, BODY_BUFFER_MAX);
        buffer_init(&x->out, &memory_heap, 2 * LIMIT_STREAM_BYTES);
    }
    x->server = server;
    server->exchanges++;
    return x;
}

static void destroy_exchange(struct http_exchange *x)
{
    buffer_release(&x->url);
    buffer_release(&x->body);
    buffer_release(&x->out);
    free(x);
}

static void keep_small(struct buffer *buffer)
{
    if (buffer->capacity > BUFFER_KEPT)
        buffer_release(buffer);
    else
        buffer_clear(buffer);
}

static void free_exchange(struct http_exchange *x)
{
    struct http_server *server = x->server;
    server->exchanges--;
    if (server->closing)
        http_run_soon(server->tiers);
    if (server->free_exchange_count >= FREE_EXCHANGES_KEPT) {
        destroy_exchange(x);
        return;
    }
    keep_small(&x->url);
    keep_small(&x->body);
    keep_small(&x->out);
    *x = (struct http_exchange){
        .url = x->url, .body = x->body, .out = x->out, .next_free = server->free_exchanges
    };
    server->free_exchanges = x;
    server->free_exchange_count++;
}

void http_free_exchanges(struct http_server *server)
{
    while (server->free_exchanges) {
        struct http_exchange *x = server->free_exchanges;
        server->free_exchanges = x->next_free;
        destroy_exchange(x);
    }
}

void http_give_back(struct http_exchange *x)
{
    assert(x->owned);
    x->owned = false;
    x->gone = NULL;
    x->taken = NULL;
    if (!x->connection)
        free_exchange(x);
}

void http_suspend(struct http_exchange *x)
{
    struct http_connection *connection = x->connection;
    x->suspended = true;
    MHD_suspend_connection(connection->mhd);
    connection->deadline_ms = NEVER;
    http_wheel_remove(connection);
    http_wheel_add(connection, http_now_ms(x->server));
}

void http_resume(struct http_exchange *x)
{
    if (!x->suspended)
        return;
    x->suspended = false;
    x->connection->deadline_ms = http_now_ms(x->server) + x->server->options.write_ms;
    MHD_resume_connection(x->connection->mhd);
    http_run_soon(x->connection->tier);
}

void http_cut(struct http_exchange *x)
{
    if (!x->connection || x->cut)
        return;
    x->cut = true;
    if (x->suspended)
        http_resume(x);
    else if (!x->in_call)
        shutdown(x->connection->fd, SHUT_RDWR);
}

/* The owner may give the exchange back inside the call. */
static void tell_gone(struct http_exchange *x)
{
    if (!x->owned || x->told_gone)
        return;
    x->told_gone = true;
    if (x->gone)
        x->gone(x->gone_ctx);
}

void http_client_left(struct http_exchange *x)
{
    http_cut(x);
    tell_gone(x);
}

/* Splits the URL, and shows HEAD as GET. */
static void describe(const struct http_exchange *x, struct http_request *ret)
{
    struct text url = buffer_text(&x->url);
    size_t mark = text_find(url, '?');
    ret->is_head = strcmp(x->method, "HEAD") == 0;
    ret->method = ret->is_head ? "GET" : x->method;
    ret->path = (struct text){ url.data, mark };
    ret->query = text_skip(url, mark + 1);
    ret->body = buffer_text(&x->body);
}

static void answer_refusal(struct http_exchange *x)
{
    struct http_server *server = x->server;
    struct buffer body;
    buffer_init(&body, &memory_heap, LIMIT_BODY);
    server->handler.render_error(server->handler.ctx, x->refusal, x->refusal_detail, &body);
    server->stats.errors++;
    const struct http_header again = { "Retry-After", "1" };
    struct http_answer answer = { .status = x->refusal_status,
                                  .content_type = server->options.error_type,
                                  .headers = &again,
                                  .header_count = err_is_retryable(x->refusal) ? 1 : 0,
                                  .body = body.failed ? TEXT_NONE : buffer_text(&body),
                                  .closes = true };
    http_send_response(x, &answer, NULL);
    buffer_release(&body);
}

static enum MHD_Result answer_refusal_in_call(struct http_exchange *x)
{
    x->in_call = true;
    answer_refusal(x);
    x->in_call = false;
    return x->cut ? MHD_NO : MHD_YES;
}

/* A body is announced: asks the route for its limit, and makes room. */
static void expect_body(struct http_exchange *x)
{
    struct http_server *server = x->server;
    struct http_request request;
    describe(x, &request);
    x->body_limit = server->handler.body_limit(server->handler.ctx, request.method, request.path);
    x->body_since_ms = http_now_ms(server);
    x->connection->deadline_ms = x->body_since_ms + server->options.body_ms;
    if (x->content_length != UINT64_MAX && x->content_length > x->body_limit)
        http_refuse(x, 413, ERR_TOO_LARGE, "the body is larger than this route allows");
}

/* Whether the refused body is read and dropped first, see HTTP_SWALLOW_MAX. */
static bool may_swallow(const struct http_exchange *x, bool expects)
{
    return x->refusal == ERR_TOO_LARGE && !expects && x->content_length <= HTTP_SWALLOW_MAX;
}

static enum MHD_Result take_head(struct http_exchange *x, const char *method, const char *version)
{
    bool expects;
    x->head_seen = true;
    x->method = method;
    http_check_head(x, version, &expects);
    if (x->refusal == ERR_NONE && x->content_length > 0)
        expect_body(x);
    if (x->refusal == ERR_NONE || may_swallow(x, expects))
        return MHD_YES;
    return answer_refusal_in_call(x); /* so early, libmicrohttpd closes after it */
}

static enum MHD_Result take_body(struct http_exchange *x, const char *data, size_t *size)
{
    x->received += *size;
    x->connection->deadline_ms =
        x->body_since_ms + x->server->options.body_ms + (int64_t)x->received;
    if (x->refusal == ERR_NONE && x->received > x->body_limit) {
        http_refuse(x, 413, ERR_TOO_LARGE, "the body is larger than this route allows");
        buffer_release(&x->body);
    }
    if (x->refusal == ERR_NONE) {
        buffer_add(&x->body, (struct text){ data, *size });
        if (x->body.failed)
            http_refuse(x, 503, ERR_MEMORY, "no memory for the body");
    } else if (x->received > x->body_limit + (uint64_t)HTTP_SWALLOW_MAX) {
        return MHD_NO;
    }
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result hand_over(struct http_exchange *x)
{
    struct http_server *server = x->server;
    struct http_request request;
    describe(x, &request);
    x->phase = HTTP_OWNED;
    x->owned = true;
    server->stats.requests++;
    x->in_call = true;
    server->handler.handle(server->handler.ctx, x, &request);
    x->in_call = false;
    if (x->cut)
        return MHD_NO;
    if (x->phase == HTTP_OWNED)
        http_suspend(x);
    return MHD_YES;
}

/* The URL may come with scheme and host in front (RFC 9112, section 3.2.2). */
static struct text without_origin(struct text url)
{
    if (!text_starts_with(url, TEXT("http://")) && !text_starts_with(url, TEXT("https://")))
        return url;
    struct text rest = text_skip(url, text_find(url, '/') + 2);
    rest = text_skip(rest, text_find(rest, '/'));
    return rest.size > 0 ? rest : TEXT("/");
}

void *http_on_url(void *ctx, const char *url, struct MHD_Connection *mhd)
{
    struct http_server *server = ctx;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_connection *connection = info->socket_context;
    server->callbacks++;
    struct http_exchange *x = new_exchange(server);
    if (!x)
        return NULL; /* http_on_request() closes */
    x->connection = connection;
    connection->exchange = x;
    connection->deadline_ms = http_now_ms(server) + server->options.head_ms;
    x->target = text_from(url);
    buffer_add(&x->url, without_origin(x->target));
    return x;
}

enum MHD_Result http_on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *size, void **state)
{
    (void)mhd;
    (void)url;
    struct http_server *server = ctx;
    struct http_exchange *x = *state;
    server->callbacks++;
    if (!x || x->cut)
        return MHD_NO;
    if (!x->head_seen)
        return take_head(x, method, version);
    if (*size > 0)
        return take_body(x, data, size);
    if (x->refusal != ERR_NONE)
        return answer_refusal_in_call(x);
    return hand_over(x);
}

void http_on_completed(void *ctx, struct MHD_Connection *mhd, void **state,
                       enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    (void)code;
    struct http_server *server = ctx;
    struct http_exchange *x = *state;
    server->callbacks++;
    if (!x)
        return;
    *state = NULL;
    http_spare_give(x);
    struct http_connection *connection = x->connection;
    connection->exchange = NULL;
    connection->deadline_ms = http_now_ms(server) + server->options.idle_ms;
    x->connection = NULL;
    if (server->closing)
        shutdown(connection->fd, SHUT_RD);
    if (x->pull_done)
        x->pull_done(x->pull_ctx);
    if (!x->owned)
        free_exchange(x);
    else
        tell_gone(x);
}

void http_on_gone(struct http_exchange *x, loop_fn *gone, void *ctx)
{
    if (x->is_relayed) {
        http_relayed_on_gone(http_relayed(x), gone, ctx);
        return;
    }
    assert(x->owned);
    x->gone = gone;
    x->gone_ctx = ctx;
}

struct text http_field(const struct http_exchange *x, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (x->is_relayed)
        return http_relayed_field(http_relayed(x), name);
    if (!x->connection || MHD_lookup_connection_value_n(x->connection->mhd, MHD_HEADER_KIND, name,
                                                        strlen(name), &value, &size) != MHD_YES)
        return TEXT_NONE;
    return text_trim((struct text){ value, size });
}

/* NULL: it is gone. */
static const union address *client_address(const struct http_exchange *x)
{
    if (x->is_relayed)
        return http_relayed(x)->has_left ? NULL : &http_relayed(x)->address;
    return x->connection ? &x->connection->address : NULL;
}

const char *http_client_host(const struct http_exchange *x, char space[static HTTP_HOST_SIZE])
{
    _Static_assert(HTTP_HOST_SIZE >= ADDRESS_TEXT_SIZE, "a host fits");
    const union address *address = client_address(x);
    space[0] = '\0';
    return address ? address_format_host(address, space) : space;
}

void http_client_source(const struct http_exchange *x, struct http_source *ret)
{
    struct http_source source = { .is_v6 = false };
    const union address *address = client_address(x);
    if (address && address->any.sa_family == AF_INET6) {
        const struct in6_addr *host = &address->v6.sin6_addr;
        source.is_v6 = !IN6_IS_ADDR_V4MAPPED(host);
        memcpy(source.network, &host->s6_addr[source.is_v6 ? 0 : 12], source.is_v6 ? 8 : 4);
    } else if (address) {
        memcpy(source.network, &address->v4.sin_addr, 4);
    }
    source.is_loopback = address && address_is_loopback(address);
    *ret = source;
}

static bool add_fields(struct MHD_Response *response, const struct http_answer *answer, bool closes)
{
    if (answer->content_type && MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                                        answer->content_type) != MHD_YES)
        return false;
    for (size_t i = 0; i < answer->header_count; i++) {
        const struct http_header *header = &answer->headers[i];
        if (MHD_add_response_header(response, header->name, header->value) != MHD_YES)
            return false;
    }
    return !closes || MHD_add_response_header(response, "Connection", "close") == MHD_YES;
}

void http_send_response(struct http_exchange *x, const struct http_answer *answer,
                        struct MHD_Response *response)
{
    int status = answer->status;
    /* libmicrohttpd is lenient about line ends between chunks, of which it shows us nothing.
     * Whoever stands before us may see the end of such a body elsewhere, but no further request in
     * it. */
    bool closes = answer->closes || x->server->closing || x->content_length == UINT64_MAX;
    bool is_spare = false;
    if (!response && !closes) {
        response = http_spare_take(x, answer);
        is_spare = response != NULL;
    }
    if (!response)
        response = MHD_create_response_from_buffer(answer->body.size, (void *)answer->body.data,
                                                   MHD_RESPMEM_MUST_COPY);
    if (response && !is_spare && !add_fields(response, answer, closes)) {
        MHD_destroy_response(response);
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        status = 500;
        x->ended = true;
    }
    bool queued =
        response && MHD_queue_response(x->connection->mhd, (unsigned)status, response) == MHD_YES;
    if (response && !is_spare)
        MHD_destroy_response(response);
    if (!queued) {
        http_cut(x);
        return;
    }
    http_resume(x);
    x->connection->deadline_ms =
        http_now_ms(x->server) + x->server->options.write_ms + (int64_t)answer->body.size;
}

void http_answer(struct http_exchange *x, const struct http_answer *answer)
{
    if (x->is_relayed) {
        http_relayed_answer(http_relayed(x), answer);
        return;
    }
    assert(x->owned && x->phase == HTTP_OWNED);
    assert(answer->status >= 200 && answer->status <= 599);
    x->phase = HTTP_SENDING;
    if (x->connection && !x->cut)
        http_send_response(x, answer, NULL);
    http_give_back(x);
}

void http_answer_error(struct http_exchange *x, int status, enum err_code code, const char *detail)
{
    if (x->is_relayed) {
        http_relayed_answer_error(http_relayed(x), status, code, detail);
        return;
    }
    assert(x->owned && x->phase == HTTP_OWNED);
    x->phase = HTTP_SENDING;
    http_refuse(x, status, code, detail);
    if (x->connection && !x->cut)
        answer_refusal(x);
    http_give_back(x);
}

void http_abandon(struct http_exchange *x)
{
    if (x->is_relayed) {
        http_relayed_abandon(http_relayed(x));
        return;
    }
    assert(x->phase == HTTP_OWNED || x->phase == HTTP_STREAMING);
    x->phase = HTTP_SENDING;
    x->ended = true;
    http_cut(x);
    http_give_back(x);
}
