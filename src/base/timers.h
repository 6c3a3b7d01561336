/* SPDX-License-Identifier: Apache-2.0
 * timers.h - when each of many items is due, at most once, and which is the first: by the instant,
 * then by the number of the item.
 *
 * What is due soon stands in a heap. The rest, once there may be thousands, waits unordered in a
 * ring of buckets of a few milliseconds each and enters the heap a bucket at a time: so setting a
 * timer costs the same however many there are, and the heap stays small enough for a cache. */
#ifndef DIDES_BASE_TIMERS_H
#define DIDES_BASE_TIMERS_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

#define TIMERS_NEVER INT64_MAX
#define TIMERS_NONE  UINT32_MAX

struct timer_entry {
    int64_t due; /* ms since the epoch */
    uint32_t item;
};

struct timer_page; /* timers.c's own: a piece of a bucket */

struct timers {
    const struct memory *memory;
    struct timer_entry *heap; /* what is due soon, the first in front */
    int64_t *dues;            /* by item */
    uint32_t *places;         /* by item: where it stands in the heap or in a page; 0: nowhere */
    uint32_t near_count, count, capacity;
    struct timer_page *pages; /* NULL: no buckets, all stand in the heap */
    uint32_t *buckets;        /* the newest page of each, or none */
    uint32_t page_count, page_capacity, free_page;
    int64_t opened;     /* number of the bucket from which on timers wait in buckets */
    int64_t later_from; /* the last bucket has what is due later than the ring reaches: no bucket
                           before this one */
    uint64_t openings;  /* buckets that entered the heap: whoever wants to know what comes soon
                           looks at heap[0] to heap[near_count - 1] when this has grown */
};

void timers_init(struct timers *t, const struct memory *memory);
void timers_release(struct timers *t);
/* Room for items 0 to count - 1. False: no memory, nothing changed. */
bool timers_reserve(struct timers *t, uint32_t count);

void timers_set(struct timers *t, uint32_t item, int64_t due); /* TIMERS_NEVER clears */
void timers_clear(struct timers *t, uint32_t item); /* nothing happens when it has none */
void timers_clear_all(struct timers *t);
int64_t timers_due(const struct timers *t, uint32_t item); /* TIMERS_NEVER: none */
/* The earliest entry; TIMERS_NONE and *ret_due TIMERS_NEVER when empty. */
uint32_t timers_first(const struct timers *t, int64_t *ret_due);

#endif
