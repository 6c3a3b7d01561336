/* SPDX-License-Identifier: Apache-2.0
 * histogram.h - how long things took: counts in buckets that grow with the value, 16 to each power
 * of two, so that a percentile is right to 1/16 of itself in 4 KiB, whatever was measured. */
#ifndef DIDES_SIM_HISTOGRAM_H
#define DIDES_SIM_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS   16u
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 32u)

/* Zero-initialised is empty. Any unit. */
struct histogram {
    uint64_t count, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Values beyond 2^34 count as the largest bucket. */
void histogram_add(struct histogram *h, uint64_t value);
/* The value that `per_mille` of all (1 to 1000) do not exceed, rounded up to the end of its bucket
 * and never above the largest seen; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, uint32_t per_mille);

#endif
