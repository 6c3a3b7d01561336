/* SPDX-License-Identifier: Apache-2.0
 * tick.c - what time alone brings about: silence, deadlines, the end of waiting, retention. */
#include "core/command.h"
#include "core/inventory.h"
#include "core/membership.h"
#include "core/place.h"
#include "core/progress.h"

/* ---- instances ------------------------------------------------------------------------------ */

static void fire(struct fleet *fleet, uint32_t slot)
{
    const struct instance *inst = fleet_at(fleet, slot);
    if (inst->presence == PRESENCE_ONLINE && fleet->now >= place_offline_at(fleet, inst))
        inventory_silent(fleet, slot);
    struct rollout *r = fleet_rollout_of(fleet, inst);
    if (r) {
        struct member_view view = place_view(fleet, inst, r);
        if (fleet->now >= member_due((enum member_state)inst->placed.state, &view))
            member_step(fleet, r, slot, MEMBER_TIMER);
    }
    place_arm(fleet, slot); /* heartbeats move the instant of silence without moving the timer */
}

/* Asks the memory at once for all that are due soon, whenever others have come to be that. */
static void look_ahead(const struct fleet *fleet, uint64_t *looked_at)
{
    const struct timers *t = &fleet->timers;
    for (uint32_t i = 0; i < t->near_count && *looked_at != t->openings; i++)
        fleet_fetch(fleet, t->heap[i].item);
    *looked_at = t->openings;
}

static bool fire_due(struct fleet *fleet, bool *ret_more, struct err *err)
{
    uint64_t looked_at = 0;
    for (unsigned fired = 0; fired < LIMIT_TIMERS_PER_ROUND; fired++) {
        int64_t due;
        uint32_t slot = timers_first(&fleet->timers, &due);
        if (slot == TIMERS_NONE || due > fleet->now) {
            *ret_more = false;
            return true;
        }
        if (!fleet_reserve(fleet, 2, err))
            return false;
        look_ahead(fleet, &looked_at);
        fire(fleet, slot);
    }
    *ret_more = true;
    return true;
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static bool evaluate_live(struct fleet *fleet, struct err *err)
{
    if (fleet->settings.is_manual)
        return true;
    bool done = true;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            done &= progress_evaluate(fleet, fleet->live[i]->rollout, err);
    return done;
}

/* ---- retention (9.7) ------------------------------------------------------------------------ */

#define FORGET_PER_TICK 8u

/* The two newest completed versions of each selector are what a rollback may need. */
static bool is_needed(const struct fleet *fleet, uint32_t i)
{
    const struct rollout *r = fleet->rollouts[i];
    if (rollout_is_live(r))
        return true;
    for (size_t k = 0; k < FLEET_LIVE_MAX; k++)
        if (fleet->live[k] && fleet->live[k]->rollout->rollback_of == r->number)
            return true;
    if (r->state != ROLLOUT_COMPLETED)
        return false;
    struct version newer = { 0 };
    bool has_newer = false;
    for (uint32_t k = fleet->rollout_count; k > i + 1; k--) {
        const struct rollout *other = fleet->rollouts[k - 1];
        if (other->state != ROLLOUT_COMPLETED || version_equal(other->target, r->target) ||
            !text_equal(other->selector_text, r->selector_text))
            continue;
        if (has_newer && !version_equal(other->target, newer))
            return false;
        newer = other->target;
        has_newer = true;
    }
    return true;
}

static void forget_old(struct fleet *fleet)
{
    const struct fleet_settings *s = &fleet->settings;
    unsigned forgotten = 0;
    for (uint32_t i = 0; i < fleet->rollout_count && forgotten < FORGET_PER_TICK;) {
        struct rollout *r = fleet->rollouts[i];
        /* The newest ones stay, however many old ones are needed: who asked must see the end. */
        bool is_surplus = fleet->rollout_count - i > s->rollouts_kept;
        bool is_old = fleet->now - r->ended_at > s->rollouts_kept_ms; /* or lives, and is needed */
        if ((!is_surplus && !is_old) || is_needed(fleet, i)) {
            i++;
            continue;
        }
        fleet_forget_rollout(fleet, r);
        forgotten++;
    }
}

/* ---- the tick ------------------------------------------------------------------------------- */

#define FORGET_EVERY_MS (60 * 1000)

bool fleet_tick(struct fleet *fleet, struct err *err)
{
    bool more = false;
    if (!fleet_reserve(fleet, 2, err) || !fire_due(fleet, &more, err) ||
        !silence_watch(fleet, err) || !evaluate_live(fleet, err))
        return false;
    if (fleet->now - fleet->pruned_at >= FORGET_EVERY_MS) {
        fleet->pruned_at = fleet->now;
        forget_old(fleet);
    }
    return more;
}

int64_t fleet_next_due(const struct fleet *fleet)
{
    int64_t next;
    timers_first(&fleet->timers, &next);
    if (silence_would_move(fleet) && fleet->now < next)
        next = fleet->now;
    if (fleet->settings.is_manual)
        return next;
    for (size_t i = 0; i < fleet->live_end; i++) {
        if (!fleet->live[i])
            continue;
        int64_t due = progress_due(fleet->live[i]->rollout);
        next = due < next ? due : next;
    }
    return next;
}
