/* SPDX-License-Identifier: Apache-2.0
 * timers.h - a heap of (due, item) with at most one entry per item and its place known, so that
 * setting, moving and clearing cost a logarithm. Items due at the same instant come in the order of
 * the compare function, so that the order does not depend on numbering. */
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

typedef int timers_compare_fn(const void *ctx, uint32_t a, uint32_t b);

struct timers {
    const struct memory *memory;
    struct timer_entry *heap;
    uint32_t *places; /* by item: index in heap + 1, or 0 */
    uint32_t count, capacity;
    timers_compare_fn *compare;
    const void *ctx;
};

void timers_init(struct timers *t, const struct memory *memory, timers_compare_fn *compare,
                 const void *ctx);
void timers_release(struct timers *t);
/* Room for items 0 to count - 1. False: no memory, nothing changed. */
bool timers_reserve(struct timers *t, uint32_t count);

void timers_set(struct timers *t, uint32_t item, int64_t due); /* TIMERS_NEVER clears */
void timers_clear(struct timers *t, uint32_t item);        /* nothing happens when it has none */
void timers_clear_all(struct timers *t);                   /* compares nothing */
int64_t timers_due(const struct timers *t, uint32_t item); /* TIMERS_NEVER: none */
/* The earliest entry; TIMERS_NONE and *ret_due TIMERS_NEVER when empty. */
uint32_t timers_first(const struct timers *t, int64_t *ret_due);

#endif
