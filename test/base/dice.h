/* SPDX-License-Identifier: Apache-2.0
 * dice.h - seeded random numbers for tests: the same in every run, so a failure can be repeated. */
#ifndef DIDES_TEST_DICE_H
#define DIDES_TEST_DICE_H

#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline uint64_t dice_next(struct dice *dice)
{
    uint64_t x = dice->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

/* 0 to `end` - 1. */
static inline uint32_t dice_roll(struct dice *dice, uint32_t end)
{
    return (uint32_t)(dice_next(dice) % end);
}

#endif
