/* SPDX-License-Identifier: Apache-2.0
 * load.c - from records that were read to a fleet that goes on where it stopped. */
#include "core/fleet_parts.h"
#include "core/place.h"

static bool revive(struct fleet *fleet, uint32_t *ret_in_flight, struct err *err)
{
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        struct rollout *r = fleet->rollouts[i];
        if (rollout_is_live(r) && !fleet_make_live(fleet, r, err))
            return false;
    }
    *ret_in_flight = 0;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (inst->texts && inst->assignment.state == MEMBER_IN_PROGRESS)
            (*ret_in_flight)++;
    }
    return true;
}

/* K7: deadlines do not run while no server does. A pause goes on: what stood still stays so. */
static void move_member(struct fleet *fleet, uint32_t slot, int64_t delta)
{
    struct assignment *a = &fleet_touch(fleet, slot)->assignment;
    if (a->deadline_at)
        a->deadline_at += delta;
    if (a->health_deadline_at)
        a->health_deadline_at += delta;
    place_again(fleet, slot);
}

static void move_rollout(struct fleet *fleet, struct rollout *r, int64_t delta)
{
    fleet_touch_rollout(fleet, r);
    r->progressed_at += delta;
    if (r->leftover_at)
        r->leftover_at += delta;
    if (r->wave_due_at)
        r->wave_due_at += delta;
    uint32_t root = r->live->sets[SET_BUSY];
    for (uint32_t slot = ordered_first(&fleet->members, root); slot != ORDERED_NONE;
         slot = ordered_after(&fleet->members, root, slot))
        move_member(fleet, slot, delta);
}

void fleet_resume_clocks(struct fleet *fleet)
{
    for (size_t i = 0; i < FLEET_LIVE_MAX && fleet->stood_still_ms > 0; i++)
        if (fleet->live[i] && fleet->live[i]->rollout->stopped_at == 0)
            move_rollout(fleet, fleet->live[i]->rollout, fleet->stood_still_ms);
    fleet->resumed_round = fleet->round;
}

bool fleet_finish_loading(struct fleet *fleet, int64_t now, int64_t stood_still_ms, struct err *err)
{
    uint32_t in_flight;
    fleet_begin(fleet, now, TEXT("server"));
    fleet->started_at = now;
    if (!revive(fleet, &in_flight, err) || !fleet_reserve(fleet, in_flight, err) ||
        !place_derive(fleet))
        return err_set(err, ERR_MEMORY, "no memory for the state that was stored");
    fleet->stood_still_ms = stood_still_ms;
    fleet_resume_clocks(fleet);
    return true;
}

bool fleet_stand_still(struct fleet *fleet, int64_t ms, struct err *err)
{
    if (!fleet_reserve(fleet, (size_t)fleet->tally.in_progress + fleet->live_count, err))
        return false;
    fleet->started_at = fleet->now;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i] && fleet->live[i]->rollout->stopped_at == 0)
            move_rollout(fleet, fleet->live[i]->rollout, ms);
    fleet->stood_still_ms += ms; /* what an outage moved may not be durable yet either */
    fleet->resumed_round = fleet->round;
    return true;
}
