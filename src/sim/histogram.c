/* SPDX-License-Identifier: Apache-2.0
 * histogram.c - see histogram.h. Values below HISTOGRAM_STEPS have a bucket each; from there on a
 * bucket is named by the power of two and the next four bits. */
#include "sim/histogram.h"

#include <assert.h>

#define STEP_BITS 4u

static uint32_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (uint32_t)value;
    uint32_t top = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t shift = top - STEP_BITS;
    uint64_t step = (value >> shift) - HISTOGRAM_STEPS;
    uint64_t bucket = (shift + 1ull) * HISTOGRAM_STEPS + step;
    return bucket < HISTOGRAM_BUCKETS ? (uint32_t)bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that falls into the bucket. */
static uint64_t end_of(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t step = bucket % HISTOGRAM_STEPS;
    return ((HISTOGRAM_STEPS + step + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_at(const struct histogram *h, uint32_t per_mille)
{
    assert(per_mille >= 1 && per_mille <= 1000);
    uint64_t wanted = (h->count * per_mille + 999) / 1000;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += h->buckets[i];
        if (seen >= wanted)
            return end_of(i) < h->max ? end_of(i) : h->max;
    }
    return h->max;
}
