/* SPDX-License-Identifier: Apache-2.0
 * http_queue.h - requests that wait for a connection, in their order, each in one block of memory.
 * Why not in libcurl: 7.88 looks at every waiting handle each time a transfer ends. */
#ifndef DIDES_NET_HTTP_QUEUE_H
#define DIDES_NET_HTTP_QUEUE_H

#include "port/caller.h"

struct waiting_call {
    struct waiting_call *next;
    struct call call; /* its texts stand behind this struct */
    int64_t deadline_ms;
    call_done_fn *done;
    void *ctx;
};

struct http_queue {
    struct waiting_call *first, *last;
    unsigned count;
};

/* Copies `call` with all it points to. False: no memory. */
bool http_queue_add(struct http_queue *queue, const struct call *call, int64_t deadline_ms,
                    call_done_fn *done, void *ctx);
/* The caller frees it. NULL: empty. */
struct waiting_call *http_queue_take(struct http_queue *queue);
/* Takes every call out whose deadline is not after `now_ms`, as a list of their own. */
struct waiting_call *http_queue_take_late(struct http_queue *queue, int64_t now_ms);

#endif
