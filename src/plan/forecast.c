/* SPDX-License-Identifier: Apache-2.0
 * forecast.c - sets the stage for a forecast, and puts in order what came of it. */
#include "plan/parts.h"

#include "core/rollback.h"
#include "core/waves.h"

#include <assert.h>

#define NEVER_MISSED (INT64_MAX / 4) /* heartbeats are not played: who is online stays so */

static bool no_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "no memory for a plan");
}

/* ---- the stage ------------------------------------------------------------------------------ */

/* Nobody falls silent, nothing of the past is forgotten, decisions are taken when they can be. */
static void set_stage(struct fleet *fleet, int64_t now)
{
    fleet->settings.heartbeat_timeout_ms = NEVER_MISSED;
    fleet->settings.is_manual = false;
    fleet->settings.rollouts_kept = UINT32_MAX;
    fleet->settings.rollouts_kept_ms = INT64_MAX;
    fleet->is_frozen = false;
    fleet_settle(fleet, fleet->round - 1);
    fleet_begin(fleet, now, TEXT("plan"));
    fleet_settle(fleet, fleet_end_round(fleet));
}

/* D3: who is in the way. Those that may share instances end; beside the others there is room. */
static bool clear_way(struct play *p, const struct selector *selector, struct err *err)
{
    struct fleet *fleet = p->fleet;
    struct forecast *f = p->f;
    bool is_only = fleet->settings.max_concurrent == 1;
    bool is_full = fleet->live_count >= fleet->settings.max_concurrent;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        struct rollout *r = fleet->live[i] ? fleet->live[i]->rollout : NULL;
        bool is_apart = r && selector_disjoint(selector, &r->selector);
        if (!r || (is_apart && !is_full))
            continue;
        f->conflicts[f->conflict_count++] = (struct forecast_conflict){
            .rollout = r->number,
            .code = is_apart || is_only ? ERR_IN_PROGRESS : ERR_OVERLAPPING,
        };
        struct verb_command abort = { .verb = VERB_ABORT };
        struct rollout *same;
        fleet_begin(fleet, fleet->now, TEXT("plan"));
        if (!is_apart && !fleet_verb(fleet, r, &abort, &same, NULL, err))
            return false;
        fleet_settle(fleet, fleet_end_round(fleet));
    }
    if (fleet->settings.max_concurrent <= fleet->live_count)
        fleet->settings.max_concurrent = fleet->live_count + 1;
    return true;
}

/* Rollouts beside it go on from where they are. */
static bool seed_others(struct play *p, struct err *err)
{
    const struct fleet *fleet = p->fleet;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        const struct rollout *r = fleet->live[i] ? fleet->live[i]->rollout : NULL;
        if (!r)
            continue;
        uint32_t root = r->live->sets[SET_BUSY];
        for (uint32_t slot = ordered_first(&fleet->members, root); slot != ORDERED_NONE;
             slot = ordered_after(&fleet->members, root, slot)) {
            int64_t due = fleet_at(fleet, slot)->assignment.assigned_at + p->f->update_ms;
            timers_set(&p->reports, slot, due > fleet->now ? due : fleet->now);
        }
        if (!waves_gate(r))
            continue;
        if (!play_grow(p, (void **)&p->approvals, &p->approval_capacity, p->approval_count + 1,
                       sizeof p->approvals[0]))
            return no_memory(err);
        p->approvals[p->approval_count++] = (struct approval){
            .due = fleet->now + p->assume->approve_ms,
            .rollout = r->number,
            .wave = (uint16_t)r->open_wave,
            .gate = r->gate,
        };
    }
    return true;
}

/* ---- how long an update takes --------------------------------------------------------------- */

static const struct rollout *last_completed(const struct fleet *fleet, struct text selector_text)
{
    for (uint32_t i = fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = fleet->rollouts[i - 1];
        if (r->state == ROLLOUT_COMPLETED && r->rollback_of == 0 &&
            text_equal(r->selector_text, selector_text))
            return r;
    }
    return NULL;
}

/* From the order to the report, without the time it had to stay healthy; -1: unknown. */
static int64_t update_time(const struct instance *inst, const struct rollout *r)
{
    const struct assignment *a = &inst->assignment;
    if (!inst->texts || inst->is_gone || a->rollout != r->number || a->state != MEMBER_COMPLETED)
        return -1;
    int64_t end = a->healthy_since > 0 ? a->healthy_since : a->ended_at;
    return end >= a->assigned_at ? end - a->assigned_at : -1;
}

static uint32_t count_up_to(const struct fleet *fleet, const struct rollout *r, int64_t limit)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        int64_t time = update_time(fleet_at(fleet, slot), r);
        count += time >= 0 && time <= limit ? 1 : 0;
    }
    return count;
}

/* The least time that half of them kept to, found by halving: no list of them is needed. */
static void learn_update(struct forecast *f, const struct fleet *fleet, struct text selector_text)
{
    const struct rollout *r = last_completed(fleet, selector_text);
    uint32_t count = r ? count_up_to(fleet, r, DURATION_MAX_MS) : 0;
    f->update_ms = FORECAST_UPDATE_MS;
    if (count == 0)
        return;
    int64_t low = 0, high = DURATION_MAX_MS;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (2 * (uint64_t)count_up_to(fleet, r, middle) >= count)
            high = middle;
        else
            low = middle + 1;
    }
    f->update_ms = low;
    f->update_from = r->number;
}

static bool take_update(struct play *p, const struct selector *selector, struct err *err)
{
    struct buffer canonical;
    if (p->assume->has_update) {
        p->f->update_ms = p->assume->update_ms;
        return true;
    }
    buffer_init(&canonical, p->fleet->memory, LIMIT_SELECTOR);
    selector_print(selector, &canonical);
    bool failed = canonical.failed;
    if (!failed)
        learn_update(p->f, p->fleet, buffer_text(&canonical));
    buffer_release(&canonical);
    return !failed || no_memory(err);
}

/* ---- members -------------------------------------------------------------------------------- */

/* Everybody who is a member when it starts; whether it has been picked already is noted later. */
static void add_member(struct play *p, uint32_t slot)
{
    struct forecast *f = p->f;
    const struct rollout *r = p->rollout;
    const struct instance *inst = fleet_at(p->fleet, slot);
    struct version from = inst->current;
    if (version_is_at(from, r->target))
        return;
    bool is_known =
        (r->target.code == 0 || from.code != 0) && (r->target.config == 0 || from.config != 0);
    f->known += is_known ? 1 : 0;
    f->unknown += is_known ? 0 : 1;
    f->members[f->member_count] = (struct forecast_member){
        .slot = slot,
        .from = { intern_share(&p->fleet->texts, from.code),
                  intern_share(&p->fleet->texts, from.config) },
        .picked_ms = FORECAST_NEVER,
        .ended_ms = FORECAST_NEVER,
        .wave = inst->placed.wave,
        .state = MEMBER_PENDING,
        .status = inst->status,
        .is_online = inst->presence == PRESENCE_ONLINE,
    };
    p->member_of[slot] = ++f->member_count;
}

static void note_waves(struct play *p)
{
    const struct rollout *r = p->rollout;
    uint32_t first = 0;
    for (uint32_t i = 0; i < r->wave_count; i++) {
        const struct tally *t = wave_tally(r, i);
        p->f->waves[i] = (struct forecast_wave){
            .total = t->total,
            .needing = t->total - t->already_current,
            .current = t->already_current,
            .offline = t->offline,
            .batch_limit = wave_batch_limit(r, i),
            .failure_limit = wave_threshold(r, i),
            .first = first,
        };
        first += p->f->waves[i].needing;
    }
}

static bool take_members(struct play *p, struct err *err)
{
    const struct memory *memory = p->fleet->memory;
    struct forecast *f = p->f;
    const struct rollout *r = p->rollout;
    const struct tally *t = rollout_tally(r);
    f->member_capacity = t->total - t->already_current;
    f->wave_count = r->wave_count;
    f->domain_count = r->live ? r->live->lots.cell_count : 0;
    f->waves = memory_take_zeroed(memory, f->wave_count * sizeof f->waves[0]);
    f->domains = memory_take_zeroed(memory, (f->domain_count + 1) * sizeof f->domains[0]);
    f->members = memory_take(memory, (f->member_capacity + 1) * sizeof f->members[0]);
    p->order = memory_take(memory, (f->member_capacity + 1) * sizeof p->order[0]);
    uint32_t *slots = memory_take(memory, (p->fleet->instance_count + 1) * sizeof slots[0]);
    bool taken = f->waves && f->domains && f->members && p->order && slots;
    uint32_t count = taken ? p->fleet->instance_count : 0;
    if (count > 0)
        ordered_list(&p->fleet->by_name, p->fleet->names, slots, count);
    for (uint32_t i = 0; i < count; i++)
        if (fleet_at(p->fleet, slots[i])->placed.rollout == r->number)
            add_member(p, slots[i]);
    memory_give(memory, slots, (p->fleet->instance_count + 1) * sizeof slots[0]);
    return taken || no_memory(err);
}

/* ---- the order of picks --------------------------------------------------------------------- */

#define RANKS 4u

/* Who was never picked would have come in this order: the broken first. */
static unsigned rank_of(const struct forecast_member *m)
{
    static const uint8_t ranks[instance_state_count] = { [INSTANCE_FAILED] = 0,
                                                         [INSTANCE_DEGRADED] = 1,
                                                         [INSTANCE_UNKNOWN] = 2,
                                                         [INSTANCE_HEALTHY] = 3 };
    return ranks[m->status];
}

/* Who was not picked follows, by rank and then by key. */
static void complete_order(struct play *p)
{
    for (unsigned rank = 0; rank < RANKS; rank++)
        for (uint32_t i = 0; i < p->f->member_count; i++)
            if (p->f->members[i].picked_ms == FORECAST_NEVER && rank_of(&p->f->members[i]) == rank)
                p->order[p->picked++] = i;
    assert(p->picked == p->f->member_count);
}

static bool sort_members(struct play *p, struct err *err)
{
    struct forecast *f = p->f;
    uint32_t at[LIMIT_WAVES];
    size_t size = (f->member_capacity + 1) * sizeof f->members[0];
    struct forecast_member *sorted = memory_take(p->fleet->memory, size);
    if (!sorted)
        return no_memory(err);
    complete_order(p);
    for (uint32_t i = 0; i < f->wave_count; i++)
        at[i] = f->waves[i].first;
    for (uint32_t i = 0; i < f->member_count; i++) {
        const struct forecast_member *m = &f->members[p->order[i]];
        sorted[at[m->wave]++] = *m;
    }
    memory_give(p->fleet->memory, f->members, size);
    f->members = sorted;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool open_play(struct play *p, struct err *err)
{
    struct fleet *fleet = p->fleet;
    timers_init(&p->reports, fleet->memory);
    p->member_of =
        memory_take_zeroed(fleet->memory, (fleet->slot_capacity + 1) * sizeof p->member_of[0]);
    return (p->member_of && timers_reserve(&p->reports, fleet->slot_capacity)) || no_memory(err);
}

static void close_play(struct play *p)
{
    const struct memory *memory = p->fleet->memory;
    timers_release(&p->reports);
    memory_give(memory, p->member_of, (p->fleet->slot_capacity + 1) * sizeof p->member_of[0]);
    memory_give(memory, p->order, (p->f->member_capacity + 1) * sizeof p->order[0]);
    memory_give(memory, p->approvals, p->approval_capacity * sizeof p->approvals[0]);
}

static bool start(struct play *p, const struct deploy_command *command, struct err *err)
{
    struct fleet *fleet = p->fleet;
    fleet_begin(fleet, fleet->now, TEXT("plan"));
    p->rollout = fleet_deploy(fleet, command, NULL, err);
    if (!p->rollout || !take_members(p, err))
        return false;
    const struct rollout *target = rollback_target(fleet, p->rollout);
    p->f->restores = target ? target->number : 0;
    p->f->rollout = p->rollout;
    note_waves(p);
    timeline_begin(p);
    play_note(p, FLEET_NONE);
    return true;
}

static bool run(struct play *p, const struct deploy_command *command, struct err *err)
{
    if (!open_play(p, err) || !take_update(p, &command->selector, err) ||
        !clear_way(p, &command->selector, err) || !seed_others(p, err) || !start(p, command, err) ||
        !play_all(p, err) || !sort_members(p, err))
        return false;
    timeline_end(p);
    return true;
}

bool forecast_run(struct fleet *fleet, int64_t now, const struct deploy_command *command,
                  const struct forecast_assumptions *assume, int64_t horizon_ms,
                  struct forecast *ret, struct err *err)
{
    set_stage(fleet, now);
    struct forecast f = { .fleet = fleet,
                          .began_at = fleet->now,
                          .horizon_ms = horizon_ms,
                          .ended_ms = FORECAST_NEVER,
                          .rollback_ended_ms = FORECAST_NEVER };
    struct play p = {
        .fleet = fleet, .f = &f, .assume = assume, .end_at = fleet->now + horizon_ms
    };
    bool done = run(&p, command, err);
    close_play(&p);
    if (!done) {
        forecast_release(&f);
        return false;
    }
    *ret = f;
    return true;
}

void forecast_release(struct forecast *f)
{
    struct fleet *fleet = f->fleet;
    const struct memory *memory = fleet->memory;
    for (uint32_t i = 0; i < f->member_count; i++) {
        intern_drop(&fleet->texts, f->members[i].from.code);
        intern_drop(&fleet->texts, f->members[i].from.config);
    }
    for (uint32_t i = 0; f->domains && i < f->domain_count; i++)
        if (f->domains[i].value != LABELS_ABSENT)
            intern_drop(&fleet->texts, f->domains[i].value);
    memory_give(memory, f->members, (f->member_capacity + 1) * sizeof f->members[0]);
    memory_give(memory, f->waves, f->wave_count * sizeof f->waves[0]);
    memory_give(memory, f->steps, f->step_capacity * sizeof f->steps[0]);
    memory_give(memory, f->domains, (f->domain_count + 1) * sizeof f->domains[0]);
}
