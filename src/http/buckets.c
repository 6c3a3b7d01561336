/* SPDX-License-Identifier: Apache-2.0
 * buckets.c - see buckets.h. The generic cell rate algorithm over sets of eight cells. */
#include "http/buckets.h"

#include <assert.h>

#define SET_SIZE    8u
#define STRIKES_MAX 16u

bool buckets_init(struct buckets *b, const struct memory *memory, uint32_t count, uint32_t amount,
                  int64_t period_us, uint32_t burst)
{
    *b = (struct buckets){ .memory = memory };
    if (amount == 0)
        return true;
    assert(count >= SET_SIZE && (count & (count - 1)) == 0 && amount <= 1000000 && burst > 0);
    b->cells = memory_take_zeroed(memory, count * sizeof b->cells[0]);
    if (!b->cells)
        return false;
    b->count = count;
    b->cost_us = period_us / amount;
    b->window_us = b->cost_us * burst;
    return true;
}

void buckets_release(struct buckets *b)
{
    memory_give(b->memory, b->cells, b->count * sizeof b->cells[0]);
    b->cells = NULL;
    b->count = 0;
}

static struct bucket *set_of(const struct buckets *b, uint64_t key)
{
    return &b->cells[key & (b->count - 1) & ~(uint64_t)(SET_SIZE - 1)];
}

/* NULL: it is as good as new. */
static struct bucket *find(const struct buckets *b, uint64_t key, int64_t now_us)
{
    struct bucket *set = set_of(b, key);
    for (unsigned i = 0; i < SET_SIZE; i++)
        if (set[i].key == key && set[i].full_at > now_us)
            return &set[i];
    return NULL;
}

/* That of `key`, or the one that is missed least. */
static struct bucket *find_or_add(const struct buckets *b, uint64_t key, int64_t now_us)
{
    struct bucket *found = find(b, key, now_us);
    struct bucket *set = set_of(b, key);
    if (found)
        return found;
    found = &set[0];
    for (unsigned i = 1; i < SET_SIZE; i++)
        if (set[i].full_at < found->full_at)
            found = &set[i];
    *found = (struct bucket){ .key = key, .full_at = now_us };
    return found;
}

/* How long until one more fits; 0: now. */
static int64_t wait_of(const struct buckets *b, int64_t full_at, int64_t now_us)
{
    int64_t wait = full_at + b->cost_us - now_us - b->window_us;
    return wait > 0 ? wait : 0;
}

bool buckets_take(struct buckets *b, uint64_t key, int64_t now_us, int64_t *ret_wait_us)
{
    if (b->count == 0)
        return true;
    struct bucket *bucket = find_or_add(b, key, now_us);
    int64_t wait = wait_of(b, bucket->full_at, now_us);
    if (wait > 0) {
        *ret_wait_us = wait;
        return false;
    }
    bucket->full_at += b->cost_us;
    return true;
}

bool buckets_is_shut(struct buckets *b, uint64_t key, int64_t now_us, int64_t *ret_wait_us)
{
    const struct bucket *bucket = b->count > 0 ? find(b, key, now_us) : NULL;
    int64_t wait = bucket ? wait_of(b, bucket->full_at, now_us) : 0;
    if (wait == 0)
        return false;
    *ret_wait_us = wait;
    return true;
}

void buckets_fail(struct buckets *b, uint64_t key, int64_t now_us)
{
    if (b->count == 0)
        return;
    struct bucket *bucket = find_or_add(b, key, now_us);
    bucket->full_at += b->cost_us;
    if (wait_of(b, bucket->full_at, now_us) == 0)
        return;
    int64_t shut = b->cost_us << bucket->strikes;
    if (bucket->strikes < STRIKES_MAX && shut < BUCKETS_SHUT_MAX_US)
        bucket->strikes++;
    if (shut > BUCKETS_SHUT_MAX_US)
        shut = BUCKETS_SHUT_MAX_US;
    bucket->full_at = now_us + b->window_us - b->cost_us + shut;
}
