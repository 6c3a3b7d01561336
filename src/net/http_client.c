/* SPDX-License-Identifier: Apache-2.0
 * http_client.c - the caller port over curl's multi interface: curl says which sockets and what
 * time it waits for, the loop tells it when they come. Handles are kept: setting one up costs more
 * than a request over a kept connection. */
#include "net/http_client.h"

#include "net/http_queue.h"
#include "net/http_request.h"

#include <assert.h>
#include <uv.h>

#define IDLE_HANDLES_KEPT 1024
#define QUEUE_LOOK_MS     100 /* how exact the timeouts of waiting requests are */

struct transfer {
    struct http_request_handle handle;
    struct http_client *client;
    struct transfer *next, *previous; /* under way; or `next` among the idle ones */
    call_done_fn *done;
    void *ctx;
};

struct http_client {
    uv_loop_t *uv;
    CURLM *multi;
    uv_timer_t timer;
    uv_idle_t soon; /* for a wait of 0 ms: as a timer it would come before every socket */
    uv_timer_t queue_timer;
    unsigned handles; /* the three above, not closed yet */
    struct http_queue queue;
    struct http_client_options options;
    struct http_url server;
    struct transfer *live, *idle;
    unsigned live_count, idle_count;
    bool closing;
};

/* A socket that curl waits for. */
struct watch {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

static void link_live(struct transfer *t)
{
    struct http_client *client = t->client;
    t->previous = NULL;
    t->next = client->live;
    if (t->next)
        t->next->previous = t;
    client->live = t;
    client->live_count++;
}

static void unlink_live(struct transfer *t)
{
    if (t->previous)
        t->previous->next = t->next;
    else
        t->client->live = t->next;
    if (t->next)
        t->next->previous = t->previous;
    t->client->live_count--;
}

static void free_transfer(struct transfer *t)
{
    http_request_release(&t->handle);
    free(t);
}

static struct transfer *take_transfer(struct http_client *client)
{
    struct transfer *t = client->idle;
    if (t) {
        client->idle = t->next;
        client->idle_count--;
        return t;
    }
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->client = client;
    if (!http_request_init(&t->handle, client->options.answer_max)) {
        free(t);
        return NULL;
    }
    curl_easy_setopt(t->handle.easy, CURLOPT_PRIVATE, t);
    return t;
}

static void keep_transfer(struct transfer *t)
{
    struct http_client *client = t->client;
    if (client->closing || client->idle_count >= IDLE_HANDLES_KEPT) {
        free_transfer(t);
        return;
    }
    t->next = client->idle;
    client->idle = t;
    client->idle_count++;
}

/* Hands `call` to curl. False: no memory. */
static bool transfer(struct http_client *client, const struct call *call, call_done_fn *done,
                     void *ctx)
{
    struct transfer *t = take_transfer(client);
    if (!t)
        return false;
    if (!http_request_prepare(&t->handle, &client->server, call, NULL) ||
        curl_multi_add_handle(client->multi, t->handle.easy) != CURLM_OK) {
        free_transfer(t);
        return false;
    }
    t->done = done;
    t->ctx = ctx;
    link_live(t);
    return true;
}

static void tell(struct waiting_call *waiting, const struct err *err)
{
    struct call_result result = { .err = *err };
    waiting->done(waiting->ctx, &result);
    free(waiting);
}

static void tell_late(struct http_client *client, struct waiting_call *waiting)
{
    struct err err = { 0 };
    err_set(&err, ERR_UNAVAILABLE, "no connection to %s was free within %lld ms",
            client->server.shown, (long long)waiting->call.timeout_ms);
    tell(waiting, &err);
}

/* Starts what waits, as far as connections are free. */
static void start_waiting(struct http_client *client)
{
    while (!client->closing && client->live_count < client->options.connections_max) {
        struct waiting_call *waiting = http_queue_take(&client->queue);
        if (!waiting)
            return;
        int64_t left_ms = waiting->deadline_ms - (int64_t)uv_now(client->uv);
        if (left_ms <= 0) {
            tell_late(client, waiting);
            continue;
        }
        struct call call = waiting->call;
        call.timeout_ms = left_ms;
        if (!transfer(client, &call, waiting->done, waiting->ctx)) {
            struct err err = { .code = ERR_MEMORY, .text = "no memory for the request" };
            tell(waiting, &err);
            continue;
        }
        free(waiting);
    }
}

static void on_queue_timer(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    struct waiting_call *late = http_queue_take_late(&client->queue, (int64_t)uv_now(client->uv));
    while (late) {
        struct waiting_call *next = late->next;
        tell_late(client, late);
        late = next;
    }
    if (!client->closing && client->queue.count > 0)
        uv_timer_start(timer, on_queue_timer, QUEUE_LOOK_MS, 0);
}

static bool wait_in_line(struct http_client *client, const struct call *call, call_done_fn *done,
                         void *ctx)
{
    int64_t deadline_ms = (int64_t)uv_now(client->uv) + call->timeout_ms;
    if (!http_queue_add(&client->queue, call, deadline_ms, done, ctx))
        return false;
    if (!uv_is_active((uv_handle_t *)&client->queue_timer))
        uv_timer_start(&client->queue_timer, on_queue_timer, QUEUE_LOOK_MS, 0);
    return true;
}

/* Tells the caller, who may start new requests inside; then the handle is free again. */
static void finish(struct transfer *t, CURLcode code)
{
    struct call_result result = { 0 };
    curl_multi_remove_handle(t->client->multi, t->handle.easy);
    unlink_live(t);
    result.status = http_request_result(&t->handle, code, &t->client->server,
                                        &result.retry_after_ms, &result.err);
    if (result.status)
        result.body = buffer_text(&t->handle.body);
    t->done(t->ctx, &result);
    keep_transfer(t);
}

static void finish_all_done(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while (!client->closing && (message = curl_multi_info_read(client->multi, &left))) {
        struct transfer *t = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message goes with its handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        finish(t, code);
    }
    start_waiting(client);
}

static void act(struct http_client *client, curl_socket_t fd, int events)
{
    int running = 0;
    curl_multi_socket_action(client->multi, fd, events, &running);
    finish_all_done(client);
}

static void on_time(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_soon(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    act(idle->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long wait_ms, void *ctx)
{
    (void)multi;
    struct http_client *client = ctx;
    if (client->closing)
        return 0;
    uv_timer_stop(&client->timer);
    if (wait_ms == 0)
        uv_idle_start(&client->soon, on_soon);
    else if (wait_ms > 0)
        uv_timer_start(&client->timer, on_time, (uint64_t)wait_ms, 0);
    return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int seen = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) | (status < 0 ? CURL_CSELECT_ERR : 0);
    act(watch->client, watch->fd, seen);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end_watch(struct watch *watch)
{
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static struct watch *new_watch(struct http_client *client, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    if (uv_poll_init_socket(client->uv, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->client = client;
    watch->fd = fd;
    watch->poll.data = watch;
    curl_multi_assign(client->multi, fd, watch);
    return watch;
}

/* -1 makes curl fail the transfer. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    (void)easy;
    struct http_client *client = ctx;
    struct watch *watch = socket_ctx;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            curl_multi_assign(client->multi, fd, NULL);
            end_watch(watch);
        }
        return 0;
    }
    if (!watch)
        watch = new_watch(client, fd);
    if (!watch)
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, on_socket) == 0 ? 0 : -1;
}

static bool port_start(void *self, const struct call *call, call_done_fn *done, void *ctx)
{
    struct http_client *client = self;
    assert(call->timeout_ms > 0);
    if (client->closing || http_client_calls(client) >= client->options.calls_max ||
        !http_request_is_sound(call))
        return false;
    /* Who waits already comes first. */
    if (client->live_count >= client->options.connections_max || client->queue.count > 0)
        return wait_in_line(client, call, done, ctx);
    return transfer(client, call, done, ctx);
}

static bool set_up_multi(struct http_client *client)
{
    long connections = (long)client->options.connections_max;
    client->multi = curl_multi_init();
    return client->multi &&
           curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK;
}

static void set_defaults(struct http_client_options *options)
{
    if (options->connections_max == 0)
        options->connections_max = 64;
    if (options->calls_max == 0)
        options->calls_max = 100000;
    if (options->answer_max == 0)
        options->answer_max = HTTP_ANSWER_MAX;
}

bool http_client_open(struct loop *loop, struct text server_url,
                      const struct http_client_options *options, struct http_client **ret,
                      struct err *err)
{
    struct http_url server;
    if (!http_request_start_library(err) || !http_url_parse(server_url, &server, err))
        return false;
    struct http_client *client = calloc(1, sizeof *client);
    if (!client)
        return err_set(err, ERR_MEMORY, "no memory for the HTTP client");
    client->uv = loop_uv(loop);
    client->server = server;
    if (options)
        client->options = *options;
    set_defaults(&client->options);
    if (!set_up_multi(client)) {
        curl_multi_cleanup(client->multi);
        free(client);
        return err_set(err, ERR_MEMORY, "no memory for the HTTP client");
    }
    uv_timer_init(client->uv, &client->timer);
    uv_idle_init(client->uv, &client->soon);
    uv_timer_init(client->uv, &client->queue_timer);
    client->timer.data = client->soon.data = client->queue_timer.data = client;
    client->handles = 3;
    *ret = client;
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_client *client = handle->data;
    client->handles--;
    if (client->handles == 0)
        free(client);
}

static void call_off(struct transfer *t, const struct err *err)
{
    struct call_result result = { .err = *err };
    curl_multi_remove_handle(t->client->multi, t->handle.easy);
    unlink_live(t);
    t->done(t->ctx, &result);
    free_transfer(t);
}

void http_client_close(struct http_client *client)
{
    if (!client)
        return;
    struct err err = { 0 };
    struct waiting_call *waiting;
    err_set(&err, ERR_UNAVAILABLE, "the request to %s was called off: stopping",
            client->server.shown);
    client->closing = true;
    while (client->live)
        call_off(client->live, &err);
    while ((waiting = http_queue_take(&client->queue)))
        tell(waiting, &err);
    while (client->idle) {
        struct transfer *t = client->idle;
        client->idle = t->next;
        free_transfer(t);
    }
    curl_multi_cleanup(client->multi); /* ends the watches by on_curl_socket() */
    uv_close((uv_handle_t *)&client->timer, on_closed);
    uv_close((uv_handle_t *)&client->soon, on_closed);
    uv_close((uv_handle_t *)&client->queue_timer, on_closed);
}

struct caller_port http_client_port(struct http_client *client)
{
    return (struct caller_port){ port_start, client };
}

unsigned http_client_calls(const struct http_client *client)
{
    return client->live_count + client->queue.count;
}
