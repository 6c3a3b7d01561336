/* SPDX-License-Identifier: Apache-2.0
 * caller.h - an HTTP client as a port: the simulator and the agent ask for requests without knowing
 * who carries them out. */
#ifndef DIDES_PORT_CALLER_H
#define DIDES_PORT_CALLER_H

#include "base/err.h"
#include "base/text.h"

struct call {
    const char *method;
    struct text path;   /* with query, starting with '/'; appended to the caller's server URL */
    struct text body;   /* empty: none */
    struct text bearer; /* credential, or empty */
    struct text idempotency_key, if_match; /* header values, or empty */
    int64_t timeout_ms;                    /* whole request; must be > 0 */
};

struct call_result {
    int status;             /* HTTP status; 0: no answer, and `err` says why */
    struct text body;       /* borrowed for the time of the callback */
    int64_t retry_after_ms; /* 0: not said */
    struct err err;
};

typedef void call_done_fn(void *ctx, const struct call_result *result);

struct caller_port {
    /* Starts a request; everything in `call` is copied. `done` is called exactly once, from the
     * loop, never from inside this function. False: no memory or too many; then `done` is never
     * called. */
    bool (*start)(void *self, const struct call *call, call_done_fn *done, void *ctx);
    void *self;
};

/* Timers for those who run on someone else's loop. */
typedef void wake_fn(void *ctx);
struct timer_port {
    /* Calls `wake` once after `delay_ms`. False: no memory. */
    bool (*after)(void *self, int64_t delay_ms, wake_fn *wake, void *ctx);
    int64_t (*now_ms)(void *self);
    void *self;
};

#endif
