/* SPDX-License-Identifier: Apache-2.0
 * draw.c - see draw.h. */
#include "sim/draw.h"

#include "base/format.h"

#include <assert.h>

uint64_t draw_play(struct sim_dice *dice, const struct draw_row *rows, size_t count)
{
    uint64_t play = 0;
    assert(count <= 64);
    for (size_t i = 0; i < count; i++)
        play |= (uint64_t)(sim_dice_roll(dice, 100) < rows[i].percent) << i;
    return play;
}

static int64_t choose_time(const struct draw_row *row, uint32_t roll)
{
    uint32_t count = 0;
    while (row->times[count] >= 0)
        count++;
    return row->times[roll % count];
}

static void put(const struct draw_row *row, uint32_t first, uint32_t second, char *at)
{
    struct amount amount = { .value = 1 + second % row->most };
    switch ((enum draw_kind)row->kind) {
    case DRAW_WORD: *(uint8_t *)at = (uint8_t)(first % row->most); break;
    case DRAW_FLAG: *(bool *)at = first % 100 < row->most; break;
    case DRAW_AMOUNT:
        if (first % 100 < 30)
            amount = (struct amount){ .value = 1 + second % 60, .is_percent = true };
        memcpy(at, &amount, sizeof amount);
        break;
    case DRAW_TIME: *(int64_t *)(void *)at = choose_time(row, first); break;
    case DRAW_NUMBER: *(uint32_t *)(void *)at = 1 + first % row->most; break;
    case DRAW_COUNT: *(uint32_t *)(void *)at = first % (row->most + 1); break;
    }
}

void draw_struct(struct sim_dice *dice, const struct draw_row *rows, size_t count, uint64_t play,
                 void *into)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t first = sim_dice_roll(dice, UINT32_MAX), second = sim_dice_roll(dice, UINT32_MAX);
        if (play >> i & 1)
            put(&rows[i], first, second, (char *)into + rows[i].offset);
    }
}
