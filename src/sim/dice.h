/* SPDX-License-Identifier: Apache-2.0
 * dice.h - the simulator's chance: one stream of numbers per instance and purpose, derived from the
 * seed and a name, so that a run draws the same whatever the order in which answers arrive. */
#ifndef DIDES_SIM_DICE_H
#define DIDES_SIM_DICE_H

#include "base/text.h"

struct sim_dice {
    uint64_t state;
};

/* The stream of `name` for one purpose; other names and purposes give unrelated streams. */
struct sim_dice sim_dice_of(uint64_t seed, struct text name, struct text purpose);
/* The same for something that has a number instead of a name. */
struct sim_dice sim_dice_at(uint64_t seed, uint64_t number, uint64_t purpose);
/* What of that depends on the seed alone, for who needs many. */
uint64_t sim_dice_root(uint64_t seed);
struct sim_dice sim_dice_below(uint64_t root, uint64_t number, uint64_t purpose);

uint64_t sim_dice_next(struct sim_dice *dice);
/* 0 to `end` - 1, each equally likely to within 2^-32; `end` is at least 1. */
uint32_t sim_dice_roll(struct sim_dice *dice, uint32_t end);
/* As if `count` numbers had been taken: streams of many instances are kept as such counts. */
void sim_dice_skip(struct sim_dice *dice, uint64_t count);
/* `min` to `max`, both included. */
int64_t sim_dice_between(struct sim_dice *dice, int64_t min, int64_t max);

#endif
