/* SPDX-License-Identifier: Apache-2.0
 * octaves.h - how values are spread, by powers of two: what a histogram of Prometheus is printed
 * from. For percentiles of one run see sim/histogram.h. */
#ifndef DIDES_BASE_OCTAVES_H
#define DIDES_BASE_OCTAVES_H

#include <stdint.h>

#define OCTAVES 40u

/* Zero-initialised is empty. Any unit. counts[0]: 0 and 1; counts[i]: above 2^(i-1), up to 2^i; the
 * last one also everything beyond. */
struct octaves {
    uint64_t sum;
    uint64_t counts[OCTAVES];
};

static inline unsigned octave_of(uint64_t value)
{
    unsigned octave = value > 1 ? 64u - (unsigned)__builtin_clzll(value - 1) : 0;
    return octave < OCTAVES ? octave : OCTAVES - 1;
}

static inline void octaves_add(struct octaves *o, uint64_t value)
{
    o->counts[octave_of(value)]++;
    o->sum += value;
}

/* Adds all that `more` has. */
void octaves_merge(struct octaves *o, const struct octaves *more);
/* How many values were at most 2^`exponent`; all of them when it is OCTAVES - 1 or more. */
uint64_t octaves_up_to(const struct octaves *o, unsigned exponent);
static inline uint64_t octaves_count(const struct octaves *o)
{
    return octaves_up_to(o, OCTAVES - 1);
}

#endif
