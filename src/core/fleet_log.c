/* SPDX-License-Identifier: Apache-2.0
 * fleet_log.c - what records were before their first change in a round, and the lists of the
 * present command. A round whose commit fails is taken back from here. */
#include "core/fleet_parts.h"
#include "core/place.h"

#include <assert.h>

struct undo_instance {
    uint64_t round;
    uint32_t slot;
    bool was_absent;
    struct instance before; /* holds its own uses of all texts */
};

struct undo_rollout {
    uint64_t round;
    struct rollout *rollout;
    bool was_absent, is_forgotten;
    struct rollout before; /* shares the arena: texts of a record are never replaced, only added */
};

/* ---- room ----------------------------------------------------------------------------------- */

/* Grows an array to at least `wanted` items; doubling keeps the cost of many calls linear. */
bool fleet_grow(const struct memory *memory, void **items, uint32_t *capacity, size_t wanted,
                size_t item_size)
{
    if (wanted <= *capacity)
        return true;
    if (wanted > UINT32_MAX / 2)
        return false;
    size_t next = *capacity ? *capacity : 64;
    while (next < wanted)
        next *= 2;
    void *grown = memory->resize(memory->ctx, *items, *capacity * item_size, next * item_size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = (uint32_t)next;
    return true;
}

/* Moves what is still needed of a log to its front, when most of it is not. */
static void compact(void *items, uint32_t *first, uint32_t *count, size_t item_size)
{
    uint32_t kept = *count - *first;
    if (*first == 0 || *first < *count / 2)
        return;
    if (kept > 0)
        memmove(items, (char *)items + *first * item_size, kept * item_size);
    *count = kept;
    *first = 0;
}

#define ROLLOUTS_PER_COMMAND 8u /* the most records of rollouts that one command may touch */
#define CHANGES_PER_TOUCH    4u /* the most journal entries that one touch may cause */

static bool has_room(struct fleet *fleet, size_t touches)
{
    const struct memory *memory = fleet->memory;
    compact(fleet->undo, &fleet->undo_first, &fleet->undo_count, sizeof fleet->undo[0]);
    compact(fleet->undo_rollouts, &fleet->undo_rollout_first, &fleet->undo_rollout_count,
            sizeof fleet->undo_rollouts[0]);
    size_t rollouts = ROLLOUTS_PER_COMMAND + FLEET_LIVE_MAX;
    size_t changes = (touches + rollouts) * CHANGES_PER_TOUCH;
    return fleet_grow(memory, (void **)&fleet->undo, &fleet->undo_capacity,
                      fleet->undo_count + touches, sizeof fleet->undo[0]) &&
           fleet_grow(memory, (void **)&fleet->undo_rollouts, &fleet->undo_rollout_capacity,
                      fleet->undo_rollout_count + rollouts, sizeof fleet->undo_rollouts[0]) &&
           fleet_grow(memory, (void **)&fleet->changes, &fleet->change_capacity,
                      fleet->change_count + changes, sizeof fleet->changes[0]) &&
           fleet_grow(memory, (void **)&fleet->woken, &fleet->woken_capacity,
                      fleet->woken_count + 2 * touches, sizeof fleet->woken[0]);
}

bool fleet_reserve(struct fleet *fleet, size_t touches, struct err *err)
{
    if (fleet->is_frozen)
        return err_set(err, ERR_STORE, "the store does not accept writes now");
    if (!has_room(fleet, touches))
        return err_set(err, ERR_MEMORY, "no memory to change %zu records", touches);
    return true;
}

bool fleet_reserve_labels(struct fleet *fleet, struct err *err)
{
    for (size_t i = 0; i < FLEET_LIVE_MAX && fleet->live_count > 0; i++) {
        struct rollout_live *live = fleet->live[i];
        if (live && live->rollout->config.domain_count > 0 && !lots_reserve(&live->lots))
            return err_set(err, ERR_MEMORY, "no memory for failure domains");
    }
    return true;
}

/* ---- touching ------------------------------------------------------------------------------- */

struct instance *fleet_touch(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    if (inst->touched_round != fleet->round) {
        assert(fleet->undo_count < fleet->undo_capacity);
        fleet_share_record(fleet, inst);
        fleet->undo[fleet->undo_count++] =
            (struct undo_instance){ .round = fleet->round, .slot = slot, .before = *inst };
        inst->touched_round = fleet->round;
        place_sign(fleet, inst);
    }
    inst->changed_index = fleet->next_index;
    return inst;
}

void fleet_touch_rollout(struct fleet *fleet, struct rollout *r)
{
    r->revision++;
    if (r->touched_round == fleet->round)
        return;
    assert(fleet->undo_rollout_count < fleet->undo_rollout_capacity);
    struct undo_rollout entry = { .round = fleet->round, .rollout = r, .before = *r };
    entry.before.revision--;
    fleet->undo_rollouts[fleet->undo_rollout_count++] = entry;
    r->touched_round = fleet->round;
}

void fleet_log_new(struct fleet *fleet, uint32_t slot)
{
    assert(fleet->undo_count < fleet->undo_capacity);
    fleet->undo[fleet->undo_count++] =
        (struct undo_instance){ .round = fleet->round, .slot = slot, .was_absent = true };
}

void fleet_log_rollout(struct fleet *fleet, struct rollout *r, enum fleet_log_kind kind)
{
    assert(fleet->undo_rollout_count < fleet->undo_rollout_capacity);
    fleet->undo_rollouts[fleet->undo_rollout_count++] =
        (struct undo_rollout){ .round = fleet->round,
                               .rollout = r,
                               .was_absent = kind == LOG_ADDED,
                               .is_forgotten = kind == LOG_FORGOTTEN };
}

/* ---- lists of the present command ------------------------------------------------------------ */

#define LOG_KEPT 16384u /* entries of an empty list whose room is kept for the next time */

/* What one command on the whole fleet needed once is not kept for ever. */
static void give_back(struct fleet *fleet, void **items, uint32_t *capacity, size_t item_size)
{
    if (*capacity <= LOG_KEPT)
        return;
    memory_give(fleet->memory, *items, *capacity * item_size);
    *items = NULL;
    *capacity = 0;
}

void fleet_clear_changes(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->change_count; i++) {
        fleet_drop_version(fleet, fleet->changes[i].was);
        labels_drop(&fleet->labels, fleet->changes[i].was_labels);
    }
    fleet->change_count = 0;
    fleet->woken_count = 0;
    give_back(fleet, (void **)&fleet->changes, &fleet->change_capacity, sizeof fleet->changes[0]);
    give_back(fleet, (void **)&fleet->woken, &fleet->woken_capacity, sizeof fleet->woken[0]);
}

void fleet_log_release(struct fleet *fleet)
{
    const struct memory *memory = fleet->memory;
    memory_give(memory, fleet->undo, fleet->undo_capacity * sizeof fleet->undo[0]);
    memory_give(memory, fleet->undo_rollouts,
                fleet->undo_rollout_capacity * sizeof fleet->undo_rollouts[0]);
    memory_give(memory, fleet->changes, fleet->change_capacity * sizeof fleet->changes[0]);
    memory_give(memory, fleet->woken, fleet->woken_capacity * sizeof fleet->woken[0]);
}

/* ---- commands and rounds -------------------------------------------------------------------- */

void fleet_publish(struct fleet *fleet, const struct change *change)
{
    assert(fleet->change_count < fleet->change_capacity);
    struct change *entry = &fleet->changes[fleet->change_count++];
    *entry = *change;
    entry->index = fleet->next_index++;
    entry->actor = fleet->actor;
    entry->status = entry->slot == FLEET_NONE ? 0 : fleet_at(fleet, entry->slot)->status;
    fleet_share_version(fleet, entry->was);
    labels_share(&fleet->labels, entry->was_labels);
}

void fleet_wake(struct fleet *fleet, uint32_t slot)
{
    assert(fleet->woken_count < fleet->woken_capacity);
    fleet->woken[fleet->woken_count++] = slot;
}

void fleet_begin(struct fleet *fleet, int64_t now, struct text actor)
{
    fleet_clear_changes(fleet);
    fleet->now = now > fleet->now ? now : fleet->now;
    fleet->actor = actor;
}

static uint32_t first_dirty_instance(const struct fleet *fleet)
{
    uint32_t first = fleet->undo_count;
    while (first > fleet->undo_first && fleet->undo[first - 1].round == fleet->round)
        first--;
    return first;
}

static uint32_t first_dirty_rollout(const struct fleet *fleet)
{
    uint32_t first = fleet->undo_rollout_count;
    while (first > fleet->undo_rollout_first &&
           fleet->undo_rollouts[first - 1].round == fleet->round)
        first--;
    return first;
}

bool fleet_is_dirty(const struct fleet *fleet)
{
    return (fleet->undo_count > fleet->undo_first &&
            fleet->undo[fleet->undo_count - 1].round == fleet->round) ||
           (fleet->undo_rollout_count > fleet->undo_rollout_first &&
            fleet->undo_rollouts[fleet->undo_rollout_count - 1].round == fleet->round);
}

void fleet_each_dirty(const struct fleet *fleet,
                      void (*visit)(void *ctx, const struct fleet_dirty *dirty), void *ctx)
{
    for (uint32_t i = first_dirty_instance(fleet); i < fleet->undo_count; i++) {
        uint32_t slot = fleet->undo[i].slot;
        visit(ctx,
              &(struct fleet_dirty){ .slot = slot, .is_delete = fleet_at(fleet, slot)->is_gone });
    }
    for (uint32_t i = first_dirty_rollout(fleet); i < fleet->undo_rollout_count; i++) {
        const struct undo_rollout *entry = &fleet->undo_rollouts[i];
        visit(ctx, &(struct fleet_dirty){ .slot = FLEET_NONE,
                                          .rollout = entry->rollout,
                                          .is_delete = entry->is_forgotten });
    }
}

uint64_t fleet_end_round(struct fleet *fleet)
{
    assert(fleet->mark_count < FLEET_ROUNDS_MAX);
    fleet->marks[fleet->mark_count++] = (struct round_mark){ .round = fleet->round,
                                                             .next_index = fleet->next_index,
                                                             .last_number = fleet->last_number,
                                                             .silence = fleet->silence };
    return fleet->round++;
}

void fleet_settle(struct fleet *fleet, uint64_t round)
{
    assert(round < fleet->round);
    while (fleet->undo_first < fleet->undo_count && fleet->undo[fleet->undo_first].round <= round) {
        struct undo_instance *entry = &fleet->undo[fleet->undo_first++];
        struct instance *inst = fleet_at(fleet, entry->slot);
        if (!entry->was_absent)
            fleet_drop_record(fleet, &entry->before);
        if (inst->is_gone && inst->touched_round == entry->round)
            fleet_free_slot(fleet, entry->slot);
    }
    if (fleet->undo_first == fleet->undo_count) {
        fleet->undo_first = fleet->undo_count = 0;
        give_back(fleet, (void **)&fleet->undo, &fleet->undo_capacity, sizeof fleet->undo[0]);
    }
    while (fleet->undo_rollout_first < fleet->undo_rollout_count &&
           fleet->undo_rollouts[fleet->undo_rollout_first].round <= round) {
        struct undo_rollout *entry = &fleet->undo_rollouts[fleet->undo_rollout_first++];
        if (entry->is_forgotten)
            fleet_free_rollout(fleet, entry->rollout);
    }
    if (round >= fleet->resumed_round)
        fleet->stood_still_ms = 0;
    uint32_t settled = 0;
    while (settled + 1 < fleet->mark_count && fleet->marks[settled + 1].round <= round)
        settled++;
    memmove(fleet->marks, fleet->marks + settled,
            (fleet->mark_count - settled) * sizeof fleet->marks[0]);
    fleet->mark_count -= settled;
}

static void undo_instance(struct fleet *fleet, struct undo_instance *entry)
{
    struct instance *inst = fleet_at(fleet, entry->slot);
    bool was_gone = inst->is_gone;
    if (entry->was_absent) {
        if (!was_gone)
            fleet_unindex(fleet, entry->slot);
        fleet_free_slot(fleet, entry->slot);
        return;
    }
    uint32_t session = inst->session, sequence = inst->sequence; /* no store knows of them */
    fleet_drop_record(fleet, inst);
    *inst = entry->before;
    inst->session = session;
    inst->sequence = sequence;
    if (was_gone)
        fleet_index(fleet, entry->slot);
}

static void undo_rollout(struct fleet *fleet, struct undo_rollout *entry)
{
    struct rollout *r = entry->rollout;
    if (entry->was_absent) {
        fleet_unlink_rollout(fleet, r);
        fleet_free_rollout(fleet, r);
    } else if (entry->is_forgotten) {
        fleet_link_rollout(fleet, r); /* it stood there before, so there is room */
    } else {
        struct rollout_live *live = r->live;
        struct arena arena = r->arena; /* what was added to it meanwhile is unused, not lost */
        *r = entry->before;
        r->live = live;
        r->arena = arena;
    }
}

/* A rollout whose end was taken back needs its live part again. Without memory for it there is no
 * consistent state to go on from: stop, a restart loads what is durable. */
static void revive_rollouts(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        struct rollout *r = fleet->rollouts[i];
        if (rollout_is_live(r) && !r->live) {
            bool revived = fleet_make_live(fleet, r, NULL);
            assert(revived);
        }
    }
}

void fleet_undo(struct fleet *fleet)
{
    fleet_clear_changes(fleet);
    while (fleet->undo_count > fleet->undo_first)
        undo_instance(fleet, &fleet->undo[--fleet->undo_count]);
    while (fleet->undo_rollout_count > fleet->undo_rollout_first)
        undo_rollout(fleet, &fleet->undo_rollouts[--fleet->undo_rollout_count]);
    fleet->mark_count = 1;
    fleet->next_index = fleet->marks[0].next_index;
    fleet->last_number = fleet->marks[0].last_number;
    fleet->silence = fleet->marks[0].silence;
    fleet->round++; /* records touched in a round that was taken back must be logged anew */
    revive_rollouts(fleet);
    bool derived = place_derive(fleet);
    assert(derived); /* as above */
    if (fleet->stood_still_ms > 0)
        fleet_resume_clocks(fleet);
}
