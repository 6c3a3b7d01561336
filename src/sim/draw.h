/* SPDX-License-Identifier: Apache-2.0
 * draw.h - structs filled by chance, one row per member. A row is in play in some seeds and not in
 * others, so that calm and hostile ones occur; a member that is not in play keeps its value. To
 * draw one more key, add its row. */
#ifndef DIDES_SIM_DRAW_H
#define DIDES_SIM_DRAW_H

#include "sim/dice.h"

#include <stdbool.h>

enum draw_kind {
    DRAW_WORD,   /* uint8_t, 0 to most - 1 */
    DRAW_FLAG,   /* bool, true in `most` of 100 */
    DRAW_AMOUNT, /* struct amount: 1 to `most`, or a percentage */
    DRAW_TIME,   /* int64_t, one of `times`, which end with a negative one */
    DRAW_NUMBER, /* uint32_t, 1 to `most` */
    DRAW_COUNT,  /* uint32_t, 0 to `most` */
};

struct draw_row {
    const char *key;
    uint8_t kind;    /* enum draw_kind */
    uint8_t percent; /* of the seeds have it in play */
    uint16_t offset;
    uint32_t most;
    const int64_t *times;
};

/* Which of `count` rows are in play, one bit each; at most 64. */
uint64_t draw_play(struct sim_dice *dice, const struct draw_row *rows, size_t count);
/* Fills the members of those rows. Always takes as many numbers off the stream. */
void draw_struct(struct sim_dice *dice, const struct draw_row *rows, size_t count, uint64_t play,
                 void *into);

#endif
