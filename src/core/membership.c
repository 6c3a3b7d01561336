/* SPDX-License-Identifier: Apache-2.0
 * membership.c - carries out what the member table says. */
#include "core/membership.h"

#include "core/place.h"

#include <assert.h>

/* ---- wishes --------------------------------------------------------------------------------- */

static void set_wish(struct fleet *fleet, uint32_t slot, struct version wish)
{
    struct instance *inst = fleet_at(fleet, slot);
    if (version_equal(inst->desired, wish))
        return;
    fleet_touch(fleet, slot);
    fleet_set_version(fleet, &inst->desired, wish);
    inst->generation++;
    fleet_wake(fleet, slot);
}

void member_wish(struct fleet *fleet, uint32_t slot, struct version target)
{
    struct version wish = fleet_at(fleet, slot)->desired;
    if (target.code)
        wish.code = target.code;
    if (target.config)
        wish.config = target.config;
    set_wish(fleet, slot, wish);
}

/* One part. Half an update is taken back as a whole: that pair may never have run together. */
static uint32_t withdrawn(uint32_t wish, uint32_t current, uint32_t target, uint32_t previous)
{
    if (target != 0 && wish == target)
        return previous;
    return wish == current ? wish : 0;
}

void member_withdraw(struct fleet *fleet, uint32_t slot)
{
    const struct instance *inst = fleet_at(fleet, slot);
    const struct assignment *a = &inst->assignment;
    struct version wish = {
        .code = withdrawn(inst->desired.code, inst->current.code, a->target.code, a->previous.code),
        .config = withdrawn(inst->desired.config, inst->current.config, a->target.config,
                            a->previous.config),
    };
    set_wish(fleet, slot, wish);
}

void member_wish_nothing(struct fleet *fleet, uint32_t slot)
{
    set_wish(fleet, slot, (struct version){ 0 });
}

/* ---- the trail (5.1) ------------------------------------------------------------------------ */

/* Entry `i` goes, the newer ones move up. */
static void trail_drop(struct fleet *fleet, struct instance *inst, size_t i)
{
    size_t newer = inst->trail_count - i - 1;
    fleet_set_version(fleet, &inst->trail[i].previous, (struct version){ 0 });
    memmove(inst->trail + i, inst->trail + i + 1, newer * sizeof inst->trail[0]);
    memmove(inst->trail_waves + i, inst->trail_waves + i + 1, newer);
    inst->trail[--inst->trail_count] = (struct trail_entry){ 0 };
}

static void trail_push(struct fleet *fleet, struct instance *inst, uint32_t rollout, uint32_t wave,
                       struct version previous)
{
    if (inst->trail_count > 0 && inst->trail[inst->trail_count - 1].rollout == rollout)
        return; /* another attempt: what ran before the first one counts */
    if (inst->trail_count == LIMIT_TRAIL)
        trail_drop(fleet, inst, 0);
    inst->trail_waves[inst->trail_count] = (uint8_t)wave;
    struct trail_entry *top = &inst->trail[inst->trail_count++];
    *top = (struct trail_entry){ .rollout = rollout };
    fleet_set_version(fleet, &top->previous, previous);
}

/* Who has an order of a rollback has its source on top: place_target() asks no more of others. */
static void trail_pop(struct fleet *fleet, struct instance *inst, uint32_t rollout)
{
    assert(inst->trail_count > 0 && inst->trail[inst->trail_count - 1].rollout == rollout);
    trail_drop(fleet, inst, inst->trail_count - 1u);
}

void member_still_touched(struct fleet *fleet, const struct rollout *r, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    const struct assignment *a = &inst->assignment;
    if (a->rollout != r->number || version_is_at(inst->current, a->target))
        return;
    fleet_touch(fleet, slot);
    trail_push(fleet, inst, r->rollback_of, r->wave_count - 1 - place_wave(fleet, inst, r),
               a->target);
}

/* ---- orders --------------------------------------------------------------------------------- */

static int64_t deadline(int64_t from, int64_t duration)
{
    return duration > 0 ? from + duration : 0;
}

/* MEMBER_ASSIGN: wish := target, deadlines set, agent woken. */
static void assign(struct fleet *fleet, const struct rollout *r, uint32_t slot, uint32_t wave)
{
    struct instance *inst = fleet_touch(fleet, slot);
    struct assignment *a = &inst->assignment;
    struct version target = { 0 };
    bool concerns = place_target(fleet, inst, r, &target);
    assert(concerns);

    if (a->rollout == r->number) {
        a->attempt = a->attempt < LIMIT_ATTEMPT ? a->attempt + 1 : LIMIT_ATTEMPT;
    } else {
        a->rollout = r->number;
        a->attempt = 1;
        fleet_set_version(fleet, &a->target, target);
        fleet_set_version(fleet, &a->previous, inst->current);
        if (r->rollback_of)
            trail_pop(fleet, inst, r->rollback_of);
        else
            trail_push(fleet, inst, r->number, wave, inst->current);
    }
    a->cause = CAUSE_NONE;
    a->is_acknowledged = false;
    a->status_when_picked = inst->status;
    a->assigned_at = fleet->now;
    a->ended_at = 0;
    a->on_target_since = a->healthy_since = a->health_deadline_at = 0;
    a->deadline_at = deadline(rollout_clock(fleet, r), r->config.instance_deadline_ms);
    /* Told before the wish goes: nobody else may remember it. */
    fleet_publish(fleet, &(struct change){ .type = CHANGE_PICKED,
                                           .slot = slot,
                                           .rollout = r->number,
                                           .was = inst->desired });
    uint32_t generation = inst->generation;
    member_wish(fleet, slot, target);
    if (a->attempt > 1 && inst->generation == generation) {
        /* The same wish again is another order: an agent that gave up tries once more. */
        inst->generation++;
        fleet_wake(fleet, slot);
    }
}

void member_note_report(struct fleet *fleet, const struct rollout *r, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    if (inst->assignment.rollout != r->number)
        return;
    struct assignment next = inst->assignment;
    bool is_on_target = version_is_at(inst->current, next.target);
    if (!is_on_target) {
        next.on_target_since = next.health_deadline_at = 0;
    } else if (next.on_target_since == 0) {
        next.on_target_since = fleet->now;
        next.health_deadline_at = deadline(rollout_clock(fleet, r), r->config.health_deadline_ms);
    }
    if (!is_on_target || inst->status != INSTANCE_HEALTHY)
        next.healthy_since = 0;
    else if (next.healthy_since == 0)
        next.healthy_since = fleet->now;
    if (next.on_target_since == inst->assignment.on_target_since &&
        next.healthy_since == inst->assignment.healthy_since)
        return;
    fleet_touch(fleet, slot);
    inst->assignment = next;
}

/* ---- the step ------------------------------------------------------------------------------- */

static void blame(struct fleet *fleet, const struct rollout *r, uint32_t slot,
                  enum member_cause cause)
{
    struct assignment *a = &fleet_touch(fleet, slot)->assignment;
    a->cause = (uint8_t)cause;
    a->is_acknowledged = false;
    a->healthy_since = 0;
    a->ended_at = fleet->now;
    fleet_publish(fleet, &(struct change){ .type = CHANGE_FAILED,
                                           .slot = slot,
                                           .rollout = r->number,
                                           .cause = (uint8_t)cause,
                                           .ordered_at = a->assigned_at });
}

static void credit(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    struct assignment *a = &fleet_touch(fleet, slot)->assignment;
    a->cause = CAUSE_NONE;
    a->ended_at = fleet->now;
    fleet_touch_rollout(fleet, r);
    r->progressed_at = rollout_clock(fleet, r);
    fleet_publish(fleet, &(struct change){ .type = CHANGE_COMPLETED,
                                           .slot = slot,
                                           .rollout = r->number,
                                           .ordered_at = a->assigned_at });
}

bool member_step(struct fleet *fleet, struct rollout *r, uint32_t slot, enum member_event event)
{
    struct instance *inst = fleet_at(fleet, slot);
    bool is_member = fleet_rollout_of(fleet, inst) == r;
    enum member_state state = is_member ? inst->placed.state : MEMBER_NONE;
    struct member_view view = place_view(fleet, inst, r);
    const struct sm_row *row = member_pick_row(state, event, &view);
    if (!row)
        return false;

    uint32_t wave = place_wave(fleet, inst, r); /* before the order changes what it follows from */
    enum member_state next = sm_target(row, (uint8_t)state);
    if (row->then & SM_DO(member, MEMBER_ASSIGN))
        assign(fleet, r, slot, wave);
    if (inst->assignment.rollout == r->number && inst->assignment.state != next) {
        fleet_touch(fleet, slot);
        inst->assignment.state = (uint8_t)next;
    }
    enum member_cause cause = member_blamed_cause(row->then);
    if (cause != CAUSE_NONE)
        blame(fleet, r, slot, cause);
    if (row->then & SM_DO(member, MEMBER_CREDIT))
        credit(fleet, r, slot);
    place_put(fleet, slot, next == MEMBER_NONE ? NULL : r->live, next, wave);
    return true;
}

/* ---- joining and leaving (A6, A7) ----------------------------------------------------------- */

static struct rollout *joinable(const struct fleet *fleet, const struct instance *inst)
{
    for (size_t i = 0; i < fleet->live_end; i++) {
        const struct rollout_live *live = fleet->live[i];
        if (live && live->rollout->config.dynamic &&
            selector_matches(&live->rollout->selector, &fleet->labels, inst->labels))
            return live->rollout;
    }
    return NULL;
}

static void leave(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    bool left = member_step(fleet, r, slot, MEMBER_LEAVE);
    assert(left);
    fleet_publish(fleet,
                  &(struct change){ .type = CHANGE_LEFT, .slot = slot, .rollout = r->number });
}

void member_review(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_touch(fleet, slot);
    struct rollout *r = fleet_rollout_of(fleet, inst);
    if (r && selector_matches(&r->selector, &fleet->labels, inst->labels)) {
        place_again(fleet, slot);
        return;
    }
    if (r)
        leave(fleet, r, slot);
    r = joinable(fleet, inst);
    if (!r) {
        place_again(fleet, slot);
        return;
    }
    bool joined = member_step(fleet, r, slot, MEMBER_JOIN);
    assert(joined);
    fleet_publish(fleet,
                  &(struct change){ .type = CHANGE_JOINED, .slot = slot, .rollout = r->number });
}
