/* SPDX-License-Identifier: Apache-2.0
 * entering.c - choosing by label sets, of which there are few, instead of by instances. */
#include "core/entering.h"

#include <assert.h>

#define FETCHED_AHEAD 12u

/* Whether a label set matches, asked once for each of them. */
enum verdict { VERDICT_UNKNOWN, VERDICT_YES, VERDICT_NO };

struct choice {
    const struct fleet *fleet;
    const struct selector *selector;
    uint8_t *verdicts; /* enum verdict by id of the label set */
};

static bool is_chosen(const struct choice *choice, uint32_t slot)
{
    uint32_t labels = fleet_at(choice->fleet, slot)->labels;
    uint8_t *verdict = &choice->verdicts[labels];
    if (*verdict == VERDICT_UNKNOWN)
        *verdict = selector_matches(choice->selector, &choice->fleet->labels, labels) ? VERDICT_YES
                                                                                      : VERDICT_NO;
    return *verdict == VERDICT_YES;
}

/* Keeps the chosen ones of a list; returns how many. */
static uint32_t keep_chosen(const struct choice *choice, uint32_t *slots, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        fleet_prefetch(choice->fleet, slots, i, count);
        if (is_chosen(choice, slots[i]))
            slots[kept++] = slots[i];
    }
    return kept;
}

bool entering_choose(struct fleet *fleet, struct rollout *r, struct err *err)
{
    struct rollout_live *live = r->live;
    const struct memory *memory = fleet->memory;
    uint32_t count = fleet->instance_count;
    assert(!live->entering);
    if (count == 0)
        return true;
    live->entering = memory_take(memory, count * sizeof live->entering[0]);
    live->entering_capacity = count;
    struct choice choice = { .fleet = fleet, .selector = &r->selector };
    if (live->entering)
        choice.verdicts = memory_take_zeroed(memory, fleet->labels.count);
    if (!choice.verdicts) /* the list is given back with the draft */
        return err_set(err, ERR_MEMORY, "no memory for the members of a rollout");
    fleet_number_all(fleet, live->entering);
    live->entering_count =
        r->selector.count == 0 ? count : keep_chosen(&choice, live->entering, count);
    memory_give(memory, choice.verdicts, fleet->labels.count);
    return true;
}

void entering_begin(struct rollout_live *live)
{
    live->is_entering = true;
    live->has_sets = false;
    lots_begin(&live->lots);
}

void entering_finish_sets(struct fleet *fleet, struct rollout_live *live)
{
    for (unsigned set = SET_NONE + 1; set < MEMBER_SET_COUNT && !live->has_sets; set++)
        ordered_finish(&fleet->members, &live->sets[set]);
    live->has_sets = true;
}

void entering_end(struct fleet *fleet, struct rollout_live *live)
{
    entering_finish_sets(fleet, live);
    lots_finish(&live->lots);
    live->is_entering = false;
    memory_give(fleet->memory, live->entering, live->entering_capacity * sizeof live->entering[0]);
    live->entering = NULL;
    live->entering_count = live->entering_capacity = 0;
}

/* What entering touches of a member that comes a little later: its record, its links in the sets,
 * its number and its timer. */
static inline __attribute__((always_inline)) void fetch_later(const struct fleet *fleet,
                                                              const struct rollout_live *live,
                                                              uint32_t i)
{
    if (i + FETCHED_AHEAD >= live->entering_count)
        return;
    uint32_t slot = live->entering[i + FETCHED_AHEAD];
    fleet_fetch(fleet, slot);
    __builtin_prefetch(&fleet->members.links[slot], 1);
    __builtin_prefetch(&fleet->ranks[slot]);
    __builtin_prefetch(&fleet->timers.dues[slot]);
    __builtin_prefetch(&fleet->timers.places[slot], 1);
}

void entering_each(struct fleet *fleet, struct rollout *r,
                   void (*enter)(struct fleet *fleet, void *ctx, uint32_t slot), void *ctx)
{
    struct rollout_live *live = r->live;
    entering_begin(live);
    for (uint32_t i = 0; i < live->entering_count; i++) {
        fetch_later(fleet, live, i);
        enter(fleet, ctx, live->entering[i]);
    }
    entering_end(fleet, live);
}
