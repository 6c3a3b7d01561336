/* SPDX-License-Identifier: Apache-2.0
 * invariants_member.c - the rules that are seen on instances. See invariants.h. */
#include "core/place.h"
#include "sim/invariants.h"

/* False and the sentence "<name> ...". */
__attribute__((format(printf, 4, 5))) static bool blame(struct err *err, const struct witness *w,
                                                        uint32_t slot, const char *format, ...)
{
    char said[ERR_TEXT_SIZE / 2], space[ERR_EXCERPT_SIZE];
    const struct instance *inst = fleet_at(w->fleet, slot);
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    return err_set(err, ERR_INTERNAL, "%s %s",
                   inst->texts ? err_excerpt(instance_key(inst), space) : "a free slot", said);
}

static bool is_there(const struct instance *inst)
{
    return inst->texts && !inst->is_gone;
}

/* ---- I1 ------------------------------------------------------------------------------------- */

bool invariant_recount(const struct witness *w, struct err *err)
{
    return place_check(w->fleet, err) == 0;
}

/* ---- I2 ------------------------------------------------------------------------------------- */

/* One pick of this event. */
struct pick {
    const struct rollout *r;
    uint32_t slot, at; /* index among the changes */
};
typedef bool pick_fn(const struct witness *w, const struct pick *pick, struct err *err);

/* By rollouts that were there before: what a new rollback takes over at once is bound by no limit
 * (RB6). */
static bool each_pick(const struct witness *w, struct err *err, pick_fn *holds)
{
    for (uint32_t i = 0; i < w->fleet->change_count; i++) {
        const struct change *change = &w->fleet->changes[i];
        struct pick pick = { fleet_rollout(w->fleet, change->rollout), change->slot, i };
        if (change->type == CHANGE_PICKED && pick.r && pick.r->live &&
            pick.r->number <= w->last_number && is_there(fleet_at(w->fleet, pick.slot)) &&
            !holds(w, &pick, err))
            return false;
    }
    return true;
}

/* Another rollout, with other limits, may pick after it in the same event. */
static bool is_picked_later(const struct witness *w, const struct pick *pick, uint32_t slot)
{
    for (uint32_t i = pick->at + 1; i < w->fleet->change_count; i++)
        if (w->fleet->changes[i].type == CHANGE_PICKED && w->fleet->changes[i].slot == slot)
            return true;
    return false;
}

static struct text domain_of(const struct witness *w, const struct rollout *r, uint32_t domain,
                             uint32_t slot)
{
    struct text value = TEXT_NONE; /* those without the label form one more domain */
    labels_value(&w->fleet->labels, fleet_at(w->fleet, slot)->labels,
                 r->config.domains[domain].label, &value);
    return value;
}

/* Members of the domain, and how many instances of it are in flight in any live rollout. */
static bool has_room(const struct witness *w, const struct pick *pick, uint32_t domain,
                     struct err *err)
{
    const struct fleet *fleet = w->fleet;
    const struct domain_config *config = &pick->r->config.domains[domain];
    struct text value = domain_of(w, pick->r, domain, pick->slot);
    uint32_t busy = 0, members = 0;
    for (uint32_t i = 0; i < fleet->slot_count; i++) {
        const struct instance *inst = fleet_at(fleet, i);
        struct text other = domain_of(w, pick->r, domain, i);
        if (!is_there(inst) || !text_equal(other, value) || !other.data != !value.data)
            continue;
        busy +=
            fleet_member_state(fleet, inst) == MEMBER_IN_PROGRESS && !is_picked_later(w, pick, i);
        members += fleet_rollout_of(fleet, inst) == pick->r;
    }
    uint32_t room = amount_down(config->max_in_progress, members);
    return busy <= room ||
           blame(err, w, pick->slot, "was picked as number %u of at most %u in its %.*s", busy,
                 room, TEXT_ARG(config->label));
}

static bool keeps_domains(const struct witness *w, const struct pick *pick, struct err *err)
{
    for (uint32_t i = 0; i < pick->r->config.domain_count; i++)
        if (pick->r->config.domains[i].has_max_in_progress && !has_room(w, pick, i, err))
            return false;
    return true;
}

bool invariant_domains(const struct witness *w, struct err *err)
{
    return each_pick(w, err, keeps_domains);
}

/* Members that were not available may always be picked. */
static bool keeps_available(const struct witness *w, const struct pick *pick, struct err *err)
{
    const struct tally *t = rollout_tally(pick->r);
    uint32_t least = amount_up(pick->r->config.min_available, t->total);
    if (pick->r->config.min_available.value == 0 || !seen_before(w, pick->slot).is_available ||
        w->event.slot == pick->slot || t->available >= least)
        return true;
    return blame(err, w, pick->slot, "was picked, and %u of at least %u are available",
                 t->available, least);
}

bool invariant_available(const struct witness *w, struct err *err)
{
    return each_pick(w, err, keeps_available);
}

/* ---- I3 ------------------------------------------------------------------------------------- */

static bool has_one_order(const struct witness *w, uint32_t slot, struct err *err)
{
    const struct instance *inst = fleet_at(w->fleet, slot);
    const struct rollout *r = fleet_rollout_of(w->fleet, inst);
    bool is_flying = fleet_member_state(w->fleet, inst) == MEMBER_IN_PROGRESS;
    bool is_ordered = inst->assignment.state == MEMBER_IN_PROGRESS;
    if (is_flying != is_ordered)
        return blame(err, w, slot,
                     is_flying ? "is in flight without an order"
                               : "has an order and is not in flight");
    if (is_flying && (!r || inst->assignment.rollout != r->number))
        return blame(err, w, slot, "is in flight by an order of r-%u",
                     (unsigned)inst->assignment.rollout);
    if (r && !selector_matches(&r->selector, &w->fleet->labels, inst->labels))
        return blame(err, w, slot, "is a member of r-%u, which does not select it", r->number);
    return true;
}

bool invariant_orders(const struct witness *w, struct err *err)
{
    for (uint32_t slot = 0; slot < w->fleet->slot_count; slot++)
        if (is_there(fleet_at(w->fleet, slot)) && !has_one_order(w, slot, err))
            return false;
    return true;
}

/* Some rollout that is live, or ended in this event, selects it. Records may be forgotten in the
 * event in which they end, when few are kept: then nothing can be said. */
static bool is_selected(const struct witness *w, const struct instance *inst)
{
    const struct fleet *fleet = w->fleet;
    for (uint32_t i = fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = fleet->rollouts[i - 1];
        if ((rollout_is_live(r) || r->ended_at == fleet->now) &&
            selector_matches(&r->selector, &fleet->labels, inst->labels))
            return true;
    }
    return false;
}

static bool has_forgotten(const struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->change_count; i++)
        if (fleet->changes[i].rollout != 0 && !fleet_rollout(fleet, fleet->changes[i].rollout))
            return true;
    return false;
}

bool invariant_wishes(const struct witness *w, struct err *err)
{
    if (w->fleet->woken_count == 0 || has_forgotten(w->fleet))
        return true;
    for (uint32_t i = 0; i < w->fleet->woken_count; i++) {
        uint32_t slot = w->fleet->woken[i];
        const struct instance *inst = fleet_at(w->fleet, slot);
        if (is_there(inst) && !is_selected(w, inst))
            return blame(err, w, slot, "got a wish of no rollout that selects it");
    }
    return true;
}

/* ---- I8 ------------------------------------------------------------------------------------- */

/* The rollback that this event started, or NULL. */
static const struct rollout *new_rollback(const struct witness *w)
{
    for (uint32_t i = w->fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = w->fleet->rollouts[i - 1];
        if (r->number <= w->last_number)
            return NULL;
        if (r->rollback_of != 0)
            return r;
    }
    return NULL;
}

/* The source may pick somebody and break in one event. */
static bool is_picked_now(const struct fleet *fleet, uint32_t slot, uint32_t rollout)
{
    for (uint32_t i = 0; i < fleet->change_count; i++) {
        const struct change *change = &fleet->changes[i];
        if (change->type == CHANGE_PICKED && change->slot == slot && change->rollout == rollout)
            return true;
    }
    return false;
}

bool invariant_touched(const struct witness *w, struct err *err)
{
    const struct rollout *undo = new_rollback(w);
    for (uint32_t i = 0; undo && i < w->changed_count; i++) {
        uint32_t slot = w->changed[i];
        struct seen_member before = seen_before(w, slot);
        const struct instance *inst = fleet_at(w->fleet, slot);
        if (!before.is_there || !is_there(inst) || inst->generation == before.generation ||
            inst->placed.rollout != undo->number)
            continue;
        if (before.trail_top != undo->rollback_of &&
            !is_picked_now(w->fleet, slot, undo->rollback_of))
            return blame(err, w, slot, "was not touched by r-%u, and r-%u changed its wish",
                         undo->rollback_of, undo->number);
    }
    return true;
}

/* Whether the undone target is the very pair it is to be brought back to. */
static bool is_own_previous(const struct instance *inst, const struct rollout *undo,
                            const struct rollout *source)
{
    return inst->assignment.rollout == undo->number &&
           version_is_at(inst->assignment.target, source->target);
}

static bool has_undone(const struct witness *w, const struct rollout *undo, struct err *err)
{
    const struct rollout *source = fleet_rollout(w->fleet, undo->rollback_of);
    for (uint32_t slot = 0; source && slot < w->fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(w->fleet, slot);
        if (!is_there(inst) || inst->placed.rollout != undo->number ||
            inst->assignment.rollout != undo->number || is_own_previous(inst, undo, source))
            continue;
        if (version_is_at(inst->current, source->target))
            return blame(err, w, slot, "runs what r-%u has undone", undo->number);
        if (version_is_at(inst->desired, source->target))
            return blame(err, w, slot, "is to run what r-%u has undone", undo->number);
    }
    return true;
}

bool invariant_restored(const struct witness *w, struct err *err)
{
    for (uint32_t i = w->fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = w->fleet->rollouts[i - 1];
        bool is_new_end = !rollout_is_live(r) && seen_rollout_before(w, r->number).frozen == 0;
        if (is_new_end && r->rollback_of != 0 && r->outcome == OUTCOME_FULL &&
            !has_undone(w, r, err))
            return false;
    }
    return true;
}

/* ---- I15 ------------------------------------------------------------------------------------ */

/* A rollout that could change the wish: the one it was or is a member of, or one that ended in this
 * event and left the placement behind. */
static bool has_owner(const struct witness *w, uint32_t slot, const struct seen_member *before,
                      const struct seen_member *now)
{
    const struct instance *inst = fleet_at(w->fleet, slot);
    const struct rollout *last = fleet_rollout(w->fleet, inst->placed.rollout);
    return before->rollout != 0 || now->rollout != 0 || has_forgotten(w->fleet) ||
           (last && last->ended_at == w->fleet->now) || before->trail_top != now->trail_top;
}

static bool changed_by_right(const struct witness *w, uint32_t slot, struct err *err)
{
    struct seen_member before = seen_before(w, slot), now = seen_member_of(w->fleet, slot);
    bool is_of_event = w->event.slot == slot;
    if (before.is_there != now.is_there)
        return (is_of_event && w->event.kind == (now.is_there ? EVENT_REGISTER : EVENT_DELETE)) ||
               blame(err, w, slot, now.is_there ? "appeared unasked" : "vanished unasked");
    if (before.current != now.current && !(is_of_event && w->event.kind == EVENT_HEARTBEAT))
        return blame(err, w, slot, "runs another version, and did not report it");
    if (now.generation < before.generation)
        return blame(err, w, slot, "went back from generation %u to %u", before.generation,
                     now.generation);
    if (before.desired != now.desired && now.generation == before.generation)
        return blame(err, w, slot, "has another wish of the same generation %u", now.generation);
    if (now.generation != before.generation && !has_owner(w, slot, &before, &now))
        return blame(err, w, slot, "has another wish by no rollout");
    return true;
}

bool invariant_reports(const struct witness *w, struct err *err)
{
    for (uint32_t i = 0; i < w->changed_count; i++)
        if (!changed_by_right(w, w->changed[i], err))
            return false;
    return true;
}

/* ---- I19 ------------------------------------------------------------------------------------ */

bool invariant_steps(const struct witness *w, struct err *err)
{
    for (uint32_t i = 0; i < w->changed_count; i++) {
        uint32_t slot = w->changed[i];
        struct seen_member before = seen_before(w, slot), now = seen_member_of(w->fleet, slot);
        if (now.state >= member_state_count)
            return blame(err, w, slot, "is in no state of the table");
        if (before.rollout == 0 || before.rollout != now.rollout)
            continue;
        if (!machine_reaches(&member_machine, before.state, now.state))
            return blame(err, w, slot, "went from %s to %s in r-%u",
                         sm_word_at(&member_machine.states, before.state),
                         sm_word_at(&member_machine.states, now.state), now.rollout);
    }
    return true;
}

/* ---- I23 ------------------------------------------------------------------------------------ */

/* Time in which no server ran belongs to no deadline (K7), and nobody is offline for it (N6). */
static bool had_its_time(const struct witness *w, const struct change *change, struct err *err)
{
    const struct instance *inst = fleet_at(w->fleet, change->slot);
    const struct rollout *r = fleet_rollout(w->fleet, change->rollout);
    const struct assignment *a = &inst->assignment;
    int64_t now = w->fleet->now;
    if (!r || a->rollout != r->number)
        return true;
    if (change->cause == CAUSE_TIMEOUT &&
        now - a->assigned_at - witness_outage(w, a->assigned_at, now) <
            r->config.instance_deadline_ms)
        return blame(err, w, change->slot, "failed by its deadline, and had %lld ms of %lld",
                     (long long)(now - a->assigned_at - witness_outage(w, a->assigned_at, now)),
                     (long long)r->config.instance_deadline_ms);
    if (change->cause == CAUSE_UNHEALTHY &&
        now - a->on_target_since - witness_outage(w, a->on_target_since, now) <
            r->config.health_deadline_ms)
        return blame(err, w, change->slot, "failed by its health deadline, and had less time");
    return true;
}

static bool was_silent(const struct witness *w, uint32_t slot, struct err *err)
{
    const struct fleet *fleet = w->fleet;
    const struct instance *inst = fleet_at(fleet, slot);
    int64_t heard = inst->last_seen > fleet->started_at ? inst->last_seen : fleet->started_at;
    return fleet->now - heard >= fleet->settings.heartbeat_timeout_ms ||
           blame(err, w, slot, "is offline, and was heard %lld ms ago",
                 (long long)(fleet->now - heard));
}

bool invariant_silence(const struct witness *w, struct err *err)
{
    for (uint32_t i = 0; i < w->fleet->change_count; i++) {
        const struct change *change = &w->fleet->changes[i];
        if (change->type == CHANGE_FAILED && !had_its_time(w, change, err))
            return false;
        if (change->type == CHANGE_OFFLINE && !was_silent(w, change->slot, err))
            return false;
    }
    return true;
}
