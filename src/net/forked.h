/* SPDX-License-Identifier: Apache-2.0
 * forked.h - long computations over all that this process has in memory, done by a copy of it: a
 * forked child sees everything as it was at that moment, may change what it likes, and hands back
 * one text. Meanwhile the loop goes on. What the parent pays is the fork, which copies page tables,
 * and one copy of each page that it writes to while the child lives.
 *
 * The child keeps no descriptor but its pipe and stderr, has no other thread, and must not touch
 * this floor, the store, or a library that has threads or locks of its own; the C library's heap is
 * safe. It is nicer than the parent, has no core file, and dies with the parent. */
#ifndef DIDES_NET_FORKED_H
#define DIDES_NET_FORKED_H

#include "base/buffer.h"
#include "net/loop.h"

struct forked;

enum forked_outcome {
    FORKED_DONE,      /* the text is whole */
    FORKED_DIED,      /* it crashed, or somebody killed it */
    FORKED_LATE,      /* it was killed at its deadline */
    FORKED_CANCELLED, /* it was killed by forked_cancel() */
    FORKED_TOO_LARGE, /* it was killed for a text over its limit, or there was no memory for it */
};

struct forked_options {
    /* In the child, which ends when it returns. A failed buffer is FORKED_DIED. */
    void (*work)(void *ctx, struct buffer *out);
    /* In the loop, once, when the child is gone. `text` is borrowed for the time of the call, and
     * empty unless the outcome is FORKED_DONE. */
    void (*done)(void *ctx, enum forked_outcome outcome, struct text text);
    void *ctx;
    int64_t deadline_ms; /* at least 1; of the clock on the wall, and of processor time */
    size_t memory_max;   /* bytes of new address space for the child */
    size_t text_max;
};

/* NULL: no memory, no descriptors, or too many processes; *err says so, and nothing is called. */
struct forked *forked_start(struct loop *loop, const struct forked_options *options,
                            struct err *err);
/* Its result is not wanted any more: it is killed, and `done` called when it is gone. */
void forked_cancel(struct forked *forked);
/* Kills it and waits until it is gone, without a call of `done`. Blocks for as long as the kernel
 * takes to free its memory. To be used before loop_free(). NULL is allowed. */
void forked_free(struct forked *forked);

/* How long the newest fork of this process took the parent, in us; 0: there was none. */
int64_t forked_pause_us(void);

#endif
