/* SPDX-License-Identifier: Apache-2.0
 * dice.c - splitmix64: every 64-bit state is a good one, so that a hash may be the start. */
#include "sim/dice.h"

#include <assert.h>

struct sim_dice sim_dice_of(uint64_t seed, struct text name, struct text purpose)
{
    return (struct sim_dice){ text_hash(purpose, text_hash(name, seed)) };
}

#define GAMMA 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t sim_dice_root(uint64_t seed)
{
    return mix(seed + GAMMA);
}

struct sim_dice sim_dice_below(uint64_t root, uint64_t number, uint64_t purpose)
{
    return (struct sim_dice){ mix(root + number * 2 * GAMMA + purpose) };
}

struct sim_dice sim_dice_at(uint64_t seed, uint64_t number, uint64_t purpose)
{
    return sim_dice_below(sim_dice_root(seed), number, purpose);
}

void sim_dice_skip(struct sim_dice *dice, uint64_t count)
{
    dice->state += count * GAMMA;
}

uint64_t sim_dice_next(struct sim_dice *dice)
{
    return mix(dice->state += GAMMA);
}

uint32_t sim_dice_roll(struct sim_dice *dice, uint32_t end)
{
    assert(end >= 1);
    return (uint32_t)((sim_dice_next(dice) >> 32) * end >> 32);
}

int64_t sim_dice_between(struct sim_dice *dice, int64_t min, int64_t max)
{
    assert(min <= max);
    uint64_t span = (uint64_t)(max - min) + 1;
    uint64_t roll = sim_dice_next(dice);
    return min + (int64_t)(span ? roll % span : roll);
}
