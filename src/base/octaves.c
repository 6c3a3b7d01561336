/* SPDX-License-Identifier: Apache-2.0
 * octaves.c - see octaves.h. */
#include "base/octaves.h"

void octaves_merge(struct octaves *o, const struct octaves *more)
{
    o->sum += more->sum;
    for (unsigned i = 0; i < OCTAVES; i++)
        o->counts[i] += more->counts[i];
}

uint64_t octaves_up_to(const struct octaves *o, unsigned exponent)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < OCTAVES && i <= exponent; i++)
        count += o->counts[i];
    return count;
}
