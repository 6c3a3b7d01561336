/* SPDX-License-Identifier: Apache-2.0
 * fleet_rollouts.c - the records of rollouts: finding, adding and forgetting them. */
#include "core/fleet_parts.h"
#include "core/waves.h"

#include <assert.h>

/* ---- reading -------------------------------------------------------------------------------- */

/* Index of the first rollout whose number is >= `number`. */
static uint32_t rollout_index(const struct fleet *fleet, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = fleet->rollout_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (fleet->rollouts[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct rollout *fleet_rollout(const struct fleet *fleet, uint32_t number)
{
    uint32_t i = rollout_index(fleet, number);
    if (i == fleet->rollout_count || fleet->rollouts[i]->number != number)
        return NULL;
    return fleet->rollouts[i];
}

struct rollout *fleet_first_live(const struct fleet *fleet)
{
    struct rollout *first = NULL;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        struct rollout_live *live = fleet->live[i];
        if (live && (!first || live->rollout->number < first->number))
            first = live->rollout;
    }
    return first;
}

const struct tally *rollout_tally(const struct rollout *r)
{
    return r->live ? &r->live->tally : &r->final;
}

uint32_t rollout_batch_limit(const struct rollout *r)
{
    return wave_batch_limit(r, r->open_wave);
}

uint32_t rollout_threshold(const struct rollout *r)
{
    uint32_t threshold = amount_up(r->config.failure_threshold, rollout_tally(r)->total);
    return threshold > 0 ? threshold : 1;
}

/* ---- adding and forgetting --------------------------------------------------------------------
 */

#define ROLLOUT_ARENA_MAX (2u * 1024 * 1024)

void fleet_link_rollout(struct fleet *fleet, struct rollout *r)
{
    assert(fleet->rollout_count < fleet->rollout_capacity);
    uint32_t i = rollout_index(fleet, r->number);
    memmove(&fleet->rollouts[i + 1], &fleet->rollouts[i],
            (fleet->rollout_count - i) * sizeof fleet->rollouts[0]);
    fleet->rollouts[i] = r;
    fleet->rollout_count++;
}

void fleet_unlink_rollout(struct fleet *fleet, const struct rollout *r)
{
    uint32_t i = rollout_index(fleet, r->number);
    assert(i < fleet->rollout_count && fleet->rollouts[i] == r);
    memmove(&fleet->rollouts[i], &fleet->rollouts[i + 1],
            (fleet->rollout_count - i - 1) * sizeof fleet->rollouts[0]);
    fleet->rollout_count--;
}

void fleet_end_live(struct fleet *fleet, struct rollout *r)
{
    fleet->live[r->live->index] = NULL;
    fleet->live_count--;
    while (fleet->live_end > 0 && !fleet->live[fleet->live_end - 1])
        fleet->live_end--;
    memory_give(fleet->memory, r->live->entering,
                r->live->entering_capacity * sizeof r->live->entering[0]);
    lots_release(&r->live->lots);
    memory_give(fleet->memory, r->live->waves, r->wave_count * sizeof r->live->waves[0]);
    memory_give(fleet->memory, r->live, sizeof *r->live);
    r->live = NULL;
}

void fleet_free_rollout(struct fleet *fleet, struct rollout *r)
{
    if (r->live)
        fleet_end_live(fleet, r);
    intern_drop(&fleet->texts, r->target.code);
    intern_drop(&fleet->texts, r->target.config);
    arena_release(&r->arena);
    memory_give(fleet->memory, r, sizeof *r);
}

struct rollout *fleet_new_rollout(struct fleet *fleet, struct err *err)
{
    if (!fleet_reserve(fleet, 0, err))
        return NULL;
    struct rollout *r = NULL;
    if (fleet_grow(fleet->memory, (void **)&fleet->rollouts, &fleet->rollout_capacity,
                   fleet->rollout_count + 1u, sizeof fleet->rollouts[0]))
        r = memory_take_zeroed(fleet->memory, sizeof *r);
    if (!r) {
        err_set(err, ERR_MEMORY, "no memory for a rollout");
        return NULL;
    }
    arena_init(&r->arena, fleet->memory, ROLLOUT_ARENA_MAX);
    return r;
}

void fleet_drop_rollout(struct fleet *fleet, struct rollout *r)
{
    fleet_free_rollout(fleet, r);
}

void fleet_add_rollout(struct fleet *fleet, struct rollout *r)
{
    r->number = ++fleet->last_number;
    fleet_link_rollout(fleet, r);
    r->touched_round = fleet->round;
    fleet_log_rollout(fleet, r, LOG_ADDED);
}

void fleet_adopt_rollout(struct fleet *fleet, struct rollout *r)
{
    fleet_link_rollout(fleet, r);
    if (r->number > fleet->last_number)
        fleet->last_number = r->number;
}

void fleet_forget_rollout(struct fleet *fleet, struct rollout *r)
{
    assert(!rollout_is_live(r) && !r->live);
    fleet_unlink_rollout(fleet, r);
    fleet_log_rollout(fleet, r, LOG_FORGOTTEN);
}

bool fleet_make_live(struct fleet *fleet, struct rollout *r, struct err *err)
{
    uint16_t index = 0;
    while (index < FLEET_LIVE_MAX && fleet->live[index])
        index++;
    if (index == FLEET_LIVE_MAX)
        return err_set(err, ERR_FULL, "%d rollouts are live already", LIMIT_LIVE_ROLLOUTS);
    assert(r->wave_count > 0);
    struct rollout_live *live = memory_take_zeroed(fleet->memory, sizeof *live);
    if (!live)
        return err_set(err, ERR_MEMORY, "no memory for a rollout");
    live->rollout = r;
    live->index = index;
    live->waves = memory_take_zeroed(fleet->memory, r->wave_count * sizeof live->waves[0]);
    if (!live->waves || !lots_init(&live->lots, fleet, r)) {
        lots_release(&live->lots);
        memory_give(fleet->memory, live->waves, r->wave_count * sizeof live->waves[0]);
        memory_give(fleet->memory, live, sizeof *live);
        return err_set(err, ERR_MEMORY, "no memory for a rollout");
    }
    for (size_t i = 0; i < MEMBER_SET_COUNT; i++)
        live->sets[i] = ORDERED_NONE;
    fleet->live[index] = live;
    fleet->live_count++;
    if (index >= fleet->live_end)
        fleet->live_end = index + 1u;
    r->live = live;
    return true;
}
