/* SPDX-License-Identifier: Apache-2.0
 * timers.c - a heap with four children a node that knows where each item stands. See timers.h.
 * Both arrays are one block, so that growing either happens or does not. */
#include "base/timers.h"

#include <assert.h>
#include <string.h>

#define CHILDREN 4u /* half as deep as two, and siblings share a cache line */

static size_t block_size(size_t capacity)
{
    return capacity * (sizeof(struct timer_entry) + sizeof(uint32_t));
}

void timers_init(struct timers *t, const struct memory *memory, timers_compare_fn *compare,
                 const void *ctx)
{
    *t = (struct timers){ .memory = memory, .compare = compare, .ctx = ctx };
}

void timers_release(struct timers *t)
{
    if (t->heap)
        memory_give(t->memory, t->heap, block_size(t->capacity));
    t->heap = NULL;
    t->places = NULL;
    t->count = t->capacity = 0;
}

bool timers_reserve(struct timers *t, uint32_t count)
{
    if (count <= t->capacity)
        return true;
    /* At least half as much again, so that growing one by one stays linear in all. */
    uint64_t capacity = (uint64_t)t->capacity + t->capacity / 2;
    if (capacity < count)
        capacity = count;
    if (capacity > UINT32_MAX)
        capacity = UINT32_MAX;
    struct timer_entry *heap = memory_take(t->memory, block_size((size_t)capacity));
    if (!heap)
        return false;
    uint32_t *places = (uint32_t *)(heap + capacity);
    memset(places, 0, (size_t)capacity * sizeof *places);
    if (t->heap) {
        memcpy(heap, t->heap, t->count * sizeof *heap);
        memcpy(places, t->places, t->capacity * sizeof *places);
        memory_give(t->memory, t->heap, block_size(t->capacity));
    }
    t->heap = heap;
    t->places = places;
    t->capacity = (uint32_t)capacity;
    return true;
}

static bool is_before(const struct timers *t, struct timer_entry a, struct timer_entry b)
{
    if (a.due != b.due)
        return a.due < b.due;
    return t->compare(t->ctx, a.item, b.item) < 0;
}

static void put(struct timers *t, uint32_t at, struct timer_entry entry)
{
    t->heap[at] = entry;
    t->places[entry.item] = at + 1;
}

/* Moves the hole at `at` up to where `entry` may stand; returns that place. */
static uint32_t rise(struct timers *t, uint32_t at, struct timer_entry entry)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / CHILDREN;
        if (!is_before(t, entry, t->heap[parent]))
            break;
        put(t, at, t->heap[parent]);
        at = parent;
    }
    return at;
}

/* The earliest child of `at`, or t->count. */
static uint32_t earliest_child(const struct timers *t, uint32_t at)
{
    uint64_t first = (uint64_t)at * CHILDREN + 1;
    if (first >= t->count)
        return t->count;
    uint64_t end = first + CHILDREN < t->count ? first + CHILDREN : t->count;
    uint32_t best = (uint32_t)first;
    for (uint32_t child = best + 1; child < end; child++)
        if (is_before(t, t->heap[child], t->heap[best]))
            best = child;
    return best;
}

static uint32_t sink(struct timers *t, uint32_t at, struct timer_entry entry)
{
    for (;;) {
        uint32_t child = earliest_child(t, at);
        if (child == t->count || !is_before(t, t->heap[child], entry))
            return at;
        put(t, at, t->heap[child]);
        at = child;
    }
}

/* Puts `entry` into the hole at `at`, or where the order wants it. */
static void settle(struct timers *t, uint32_t at, struct timer_entry entry)
{
    uint32_t place = rise(t, at, entry);
    if (place == at)
        place = sink(t, at, entry);
    put(t, place, entry);
}

void timers_set(struct timers *t, uint32_t item, int64_t due)
{
    assert(item < t->capacity);
    if (due == TIMERS_NEVER) {
        timers_clear(t, item);
        return;
    }
    uint32_t place = t->places[item];
    if (place && t->heap[place - 1].due == due)
        return;
    settle(t, place ? place - 1 : t->count++, (struct timer_entry){ due, item });
}

void timers_clear(struct timers *t, uint32_t item)
{
    if (item >= t->capacity || t->places[item] == 0)
        return;
    uint32_t hole = t->places[item] - 1;
    t->places[item] = 0;
    t->count--;
    if (hole < t->count)
        settle(t, hole, t->heap[t->count]);
}

void timers_clear_all(struct timers *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        t->places[t->heap[i].item] = 0;
    t->count = 0;
}

int64_t timers_due(const struct timers *t, uint32_t item)
{
    if (item >= t->capacity || t->places[item] == 0)
        return TIMERS_NEVER;
    return t->heap[t->places[item] - 1].due;
}

uint32_t timers_first(const struct timers *t, int64_t *ret_due)
{
    if (t->count == 0) {
        *ret_due = TIMERS_NEVER;
        return TIMERS_NONE;
    }
    *ret_due = t->heap[0].due;
    return t->heap[0].item;
}
