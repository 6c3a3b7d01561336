/* SPDX-License-Identifier: Apache-2.0
 * buckets.h - how much each of many clients may do, in a table that never grows and has no timers:
 * a bucket is the instant at which it will be as good as new. Pure: the time is given, in us of a
 * clock that never goes back.
 *
 * Where a client has no room, the one that has used least of its own is forgotten. Who could fill
 * the table on purpose would need thousands of addresses that are all at their limit. */
#ifndef DIDES_HTTP_BUCKETS_H
#define DIDES_HTTP_BUCKETS_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t key;
    int64_t full_at; /* when nothing of it is used any more */
    uint32_t strikes;
};

struct buckets {
    const struct memory *memory;
    struct bucket *cells;
    uint32_t count;    /* a power of two; 0: nothing is limited */
    int64_t cost_us;   /* of one use */
    int64_t window_us; /* uses at once are window / cost */
};

#define BUCKETS_SHUT_MAX_US (300ll * 1000 * 1000)

/* Room for `count` (a power of two, at least 8) clients, each of which may do `amount` (1 to 10^6)
 * things in `period_us` on average, and `burst` at once. `amount` 0: nothing is limited. False: no
 * memory. */
bool buckets_init(struct buckets *b, const struct memory *memory, uint32_t count, uint32_t amount,
                  int64_t period_us, uint32_t burst);
void buckets_release(struct buckets *b);

/* Uses one; false: it is used up, and *ret_wait_us says for how long. Keys are hashes. */
bool buckets_take(struct buckets *b, uint64_t key, int64_t now_us, int64_t *ret_wait_us);

/* For failures, which are known only afterwards: whether `key` has to wait, and for how long. */
bool buckets_is_shut(struct buckets *b, uint64_t key, int64_t now_us, int64_t *ret_wait_us);
/* One failure. The one that uses the bucket up shuts it for the time that one costs; if the next
 * after that is a failure again, for twice as long, and so on up to BUCKETS_SHUT_MAX_US. It is
 * forgotten when the bucket is as good as new. */
void buckets_fail(struct buckets *b, uint64_t key, int64_t now_us);

#endif
