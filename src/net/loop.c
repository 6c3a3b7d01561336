/* SPDX-License-Identifier: Apache-2.0
 * loop.c - struct loop over libuv. Every handle of ours stands in one list, so that loop_free() can
 * close what is left and libuv itself tells whether somebody else forgot to. */
#include "net/loop.h"

#include "net/steady_clock.h"

#include <assert.h>
#include <uv.h>

#define SIGNALS_MAX     8
#define IDLE_WAITS_KEPT 4096 /* one-shot waits kept for reuse */

/* One handle of ours. A wait that has fired goes to the list of idle ones. */
struct handle {
    union {
        uv_handle_t handle;
        uv_timer_t timer;
        uv_async_t async;
    } uv;
    struct loop *loop;
    struct handle *next, *previous; /* in loop->handles, or `next` alone in loop->idle_waits */
    loop_fn *fn;
    void *ctx;
};

struct loop_timer {
    struct handle handle;
};

struct loop_waker {
    struct handle handle;
};

struct signal_watch {
    uv_signal_t uv;
    loop_signal_fn *fn;
    void *ctx;
    int number; /* 0: unused */
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t round;
    loop_fn *round_hook;
    void *round_ctx;
    struct signal_watch signals[SIGNALS_MAX];
    struct handle *handles;
    struct handle *idle_waits;
    unsigned idle_wait_count;
    struct steady_clock clock;
};

static void end_round(struct loop *loop)
{
    if (loop->round_hook)
        loop->round_hook(loop->round_ctx);
}

static void on_prepare(uv_prepare_t *prepare)
{
    end_round(prepare->data);
}

struct loop *loop_new(struct err *err)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        err_set(err, ERR_MEMORY, "no memory for the event loop");
        return NULL;
    }
    int failure = uv_loop_init(&loop->uv);
    if (failure) {
        err_set(err, ERR_IO, "cannot start the event loop: %s", uv_strerror(failure));
        free(loop);
        return NULL;
    }
    uv_prepare_init(&loop->uv, &loop->round);
    loop->round.data = loop;
    uv_prepare_start(&loop->round, on_prepare);
    steady_clock_init(&loop->clock, time_source_system);
    return loop;
}

static void link_handle(struct loop *loop, struct handle *handle)
{
    handle->previous = NULL;
    handle->next = loop->handles;
    if (handle->next)
        handle->next->previous = handle;
    loop->handles = handle;
}

static void unlink_handle(struct handle *handle)
{
    if (handle->previous)
        handle->previous->next = handle->next;
    else
        handle->loop->handles = handle->next;
    if (handle->next)
        handle->next->previous = handle->previous;
}

static void on_handle_closed(uv_handle_t *closed)
{
    free(closed->data);
}

static void close_handle(struct handle *handle)
{
    uv_close(&handle->uv.handle, on_handle_closed);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    loop->round_hook = NULL;
    while (loop->handles) {
        struct handle *handle = loop->handles;
        unlink_handle(handle);
        close_handle(handle);
    }
    while (loop->idle_waits) {
        struct handle *handle = loop->idle_waits;
        loop->idle_waits = handle->next;
        close_handle(handle);
    }
    for (unsigned i = 0; i < SIGNALS_MAX; i++) {
        if (loop->signals[i].number)
            uv_close((uv_handle_t *)&loop->signals[i].uv, NULL);
    }
    uv_close((uv_handle_t *)&loop->round, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT); /* closing handles of servers and clients among them */
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    int failure = uv_loop_close(&loop->uv);
    assert(failure == 0); /* a server or a client on this loop was not closed */
    free(loop);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    end_round(loop);
}

void loop_step(struct loop *loop, bool wait)
{
    uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    end_round(loop);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_on_round_end(struct loop *loop, loop_fn *hook, void *ctx)
{
    loop->round_hook = hook;
    loop->round_ctx = ctx;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct signal_watch *watch = handle->data;
    watch->fn(watch->ctx, number);
}

static struct signal_watch *find_signal(struct loop *loop, int number)
{
    for (unsigned i = 0; i < SIGNALS_MAX; i++) {
        if (loop->signals[i].number == number)
            return &loop->signals[i];
    }
    return NULL;
}

bool loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *ctx,
                    struct err *err)
{
    assert(signal_number > 0);
    struct signal_watch *watch = find_signal(loop, signal_number);
    bool is_new = !watch;
    if (is_new)
        watch = find_signal(loop, 0);
    assert(watch); /* more signals than this process could mean */
    if (is_new) {
        uv_signal_init(&loop->uv, &watch->uv);
        watch->number = signal_number;
        watch->uv.data = watch;
    }
    watch->fn = fn;
    watch->ctx = ctx;
    int failure = uv_signal_start(&watch->uv, on_signal, signal_number);
    if (failure)
        return err_set(err, ERR_IO, "cannot watch signal %d: %s", signal_number,
                       uv_strerror(failure));
    return true;
}

/* A zeroed handle that is not known to libuv yet. */
static struct handle *new_handle(struct loop *loop, loop_fn *fn, void *ctx)
{
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return NULL;
    handle->loop = loop;
    handle->fn = fn;
    handle->ctx = ctx;
    handle->uv.handle.data = handle;
    return handle;
}

static void on_beat(uv_timer_t *timer)
{
    struct handle *handle = timer->data;
    handle->fn(handle->ctx);
}

struct loop_timer *loop_every(struct loop *loop, int64_t interval_ms, loop_fn *fn, void *ctx,
                              struct err *err)
{
    assert(interval_ms >= 1);
    struct handle *handle = new_handle(loop, fn, ctx);
    if (!handle) {
        err_set(err, ERR_MEMORY, "no memory for a timer");
        return NULL;
    }
    uv_timer_init(&loop->uv, &handle->uv.timer);
    uv_timer_start(&handle->uv.timer, on_beat, (uint64_t)interval_ms, (uint64_t)interval_ms);
    link_handle(loop, handle);
    return (struct loop_timer *)handle;
}

static void free_handle(struct handle *handle)
{
    unlink_handle(handle);
    close_handle(handle);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer)
        free_handle(&timer->handle);
}

static void on_ring(uv_async_t *async)
{
    struct handle *handle = async->data;
    handle->fn(handle->ctx);
}

struct loop_waker *loop_waker_new(struct loop *loop, loop_fn *fn, void *ctx, struct err *err)
{
    struct handle *handle = new_handle(loop, fn, ctx);
    if (!handle) {
        err_set(err, ERR_MEMORY, "no memory for a waker");
        return NULL;
    }
    int failure = uv_async_init(&loop->uv, &handle->uv.async, on_ring);
    if (failure) {
        free(handle);
        err_set(err, ERR_IO, "cannot make a waker: %s", uv_strerror(failure));
        return NULL;
    }
    link_handle(loop, handle);
    return (struct loop_waker *)handle;
}

void loop_waker_wake(struct loop_waker *waker)
{
    uv_async_send(&waker->handle.uv.async);
}

void loop_waker_free(struct loop_waker *waker)
{
    if (waker)
        free_handle(&waker->handle);
}

/* The handle is idle before its owner is called, so that he can wait again with it. */
static void on_wait_over(uv_timer_t *timer)
{
    struct handle *handle = timer->data;
    struct loop *loop = handle->loop;
    loop_fn *fn = handle->fn;
    void *ctx = handle->ctx;
    unlink_handle(handle);
    if (loop->idle_wait_count < IDLE_WAITS_KEPT) {
        handle->next = loop->idle_waits;
        loop->idle_waits = handle;
        loop->idle_wait_count++;
    } else {
        close_handle(handle);
    }
    fn(ctx);
}

static struct handle *take_wait(struct loop *loop, loop_fn *fn, void *ctx)
{
    struct handle *handle = loop->idle_waits;
    if (!handle) {
        handle = new_handle(loop, fn, ctx);
        if (handle)
            uv_timer_init(&loop->uv, &handle->uv.timer);
        return handle;
    }
    loop->idle_waits = handle->next;
    loop->idle_wait_count--;
    handle->fn = fn;
    handle->ctx = ctx;
    return handle;
}

static bool port_after(void *self, int64_t delay_ms, wake_fn *wake, void *ctx)
{
    struct loop *loop = self;
    struct handle *handle = take_wait(loop, wake, ctx);
    if (!handle)
        return false;
    link_handle(loop, handle);
    /* A wait of 0 ms that is asked for from inside another would keep libuv in its timers. */
    uv_timer_start(&handle->uv.timer, on_wait_over, delay_ms > 1 ? (uint64_t)delay_ms : 1, 0);
    return true;
}

static int64_t port_now_ms(void *self)
{
    struct loop *loop = self;
    return steady_clock_now_ns(&loop->clock) / 1000000;
}

struct timer_port loop_timer_port(struct loop *loop)
{
    return (struct timer_port){ port_after, port_now_ms, loop };
}

struct clock_port loop_clock_port(struct loop *loop)
{
    return steady_clock_port(&loop->clock);
}

int64_t loop_ticks_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
}
