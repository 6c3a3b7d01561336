/* SPDX-License-Identifier: Apache-2.0
 * place.c - one function says where an instance is counted, one applies the difference. */
#include "core/place.h"

#include "core/entering.h"
#include "core/waves.h"

#include <assert.h>

#define STATUS_UNCOUNTED instance_state_count /* of a placement that is counted nowhere */

/* ---- what follows from the records ---------------------------------------------------------- */

/* The pair to restore for an instance that the rollback's source touched: what it ran before, as
 * far as the source changed it. */
static bool own_previous(const struct fleet *fleet, const struct instance *inst,
                         const struct rollout *r, struct version *ret)
{
    const struct rollout *source = fleet_rollout(fleet, r->rollback_of);
    if (!source)
        return false;
    struct version previous = inst->trail[inst->trail_count - 1].previous;
    struct version v = { .code = source->target.code ? previous.code : 0,
                         .config = source->target.config ? previous.config : 0 };
    bool is_known =
        (!source->target.code || previous.code) && (!source->target.config || previous.config);
    if (is_known)
        *ret = v;
    return is_known;
}

static bool is_touched_by(const struct instance *inst, uint32_t rollout)
{
    return inst->trail_count > 0 && inst->trail[inst->trail_count - 1].rollout == rollout;
}

bool place_target(const struct fleet *fleet, const struct instance *inst, const struct rollout *r,
                  struct version *ret)
{
    if (inst->assignment.rollout == r->number) {
        *ret = inst->assignment.target;
        return true;
    }
    if (r->rollback_of != 0) {
        if (!is_touched_by(inst, r->rollback_of))
            return false;
        if (own_previous(fleet, inst, r, ret))
            return true;
    }
    if (r->target.code == 0 && r->target.config == 0)
        return false;
    *ret = r->target;
    return true;
}

struct member_view place_view(const struct fleet *fleet, const struct instance *inst,
                              const struct rollout *r)
{
    struct member_view view = { .now = fleet->now,
                                .status = inst->status,
                                .is_online = inst->presence == PRESENCE_ONLINE };
    struct version target = { 0 };
    view.is_exempt = !place_target(fleet, inst, r, &target);
    view.is_on_target = !view.is_exempt && version_is_at(inst->current, target);
    view.min_healthy_ms = r->config.min_healthy_ms;
    view.clocks_stand_still = r->stopped_at != 0;
    if (inst->assignment.rollout == r->number) {
        const struct assignment *a = &inst->assignment;
        view.healthy_since = a->healthy_since;
        view.deadline_at = a->deadline_at;
        view.health_deadline_at = a->health_deadline_at;
        view.status_when_picked = a->status_when_picked;
    }
    return view;
}

bool place_derive_member(const struct fleet *fleet, const struct instance *inst,
                         const struct rollout *r)
{
    if (!selector_matches(&r->selector, &fleet->labels, inst->labels))
        return false;
    if (inst->changed_index > r->started_index)
        return inst->member_of == r->number;
    return true;
}

enum member_state place_derive_state(const struct fleet *fleet, const struct instance *inst,
                                     const struct rollout *r)
{
    if (inst->assignment.rollout == r->number && inst->assignment.state != MEMBER_NONE)
        return inst->assignment.state;
    struct member_view view = place_view(fleet, inst, r);
    const struct sm_row *row = member_pick_row(MEMBER_NONE, MEMBER_JOIN, &view);
    return row->to;
}

/* ---- counting ------------------------------------------------------------------------------- */

static enum member_set candidate_set(const struct instance *inst, bool is_joiner)
{
    static const uint8_t offsets[instance_state_count] = { [INSTANCE_FAILED] = 0,
                                                           [INSTANCE_DEGRADED] = 1,
                                                           [INSTANCE_UNKNOWN] = 2,
                                                           [INSTANCE_HEALTHY] = 3 };
    unsigned base = is_joiner ? SET_LATER_FAILED : SET_FIRST_FAILED;
    return base + offsets[inst->status];
}

static enum member_set set_of(const struct instance *inst, enum member_state state, bool is_joiner)
{
    switch (state) {
    case MEMBER_PENDING:
        return inst->presence == PRESENCE_ONLINE ? candidate_set(inst, is_joiner) : SET_AWAY;
    case MEMBER_IN_PROGRESS: return SET_BUSY;
    case MEMBER_FAILED: return SET_BROKEN;
    case MEMBER_NONE:
    case MEMBER_NOT_NEEDED:
    case MEMBER_COMPLETED:
    case member_state_count: break;
    }
    return SET_NONE;
}

static struct placement placement_of(const struct instance *inst, const struct rollout_live *live,
                                     enum member_state state, bool is_joiner, uint32_t wave)
{
    bool is_online = inst->presence == PRESENCE_ONLINE;
    struct placement p = { .state = (uint8_t)state,
                           .status = inst->status,
                           .is_online = is_online };
    if (!live)
        return p;
    bool is_mine = inst->assignment.rollout == live->rollout->number;
    p.live = (uint16_t)(live->index + 1);
    p.rollout = live->rollout->number;
    p.wave = (uint8_t)wave;
    p.lot = lots_find(&live->lots, wave, inst->labels);
    p.is_joiner = is_joiner;
    p.set = (uint8_t)set_of(inst, state, is_joiner);
    p.is_available = is_online && inst->status == INSTANCE_HEALTHY && state != MEMBER_IN_PROGRESS;
    p.is_settling = state == MEMBER_IN_PROGRESS && inst->assignment.healthy_since != 0;
    p.is_retrying = state == MEMBER_PENDING && is_mine;
    p.is_acknowledged = state == MEMBER_FAILED && inst->assignment.is_acknowledged;
    return p;
}

static bool is_busy(const struct placement *p)
{
    return p->live && p->state == MEMBER_IN_PROGRESS;
}

static void count_instance(struct tally_fleet *tally, const struct placement *p, uint32_t one)
{
    if (p->status == STATUS_UNCOUNTED)
        return;
    tally->by_status[p->status] += one;
    tally->online += p->is_online ? one : 0;
    tally->in_progress += is_busy(p) ? one : 0;
}

static void count_member(struct rollout_live *live, const struct placement *p, uint32_t one)
{
    tally_count(&live->tally, p, one);
    tally_count(&live->waves[p->wave], p, one);
    lots_count(&live->lots, p, one);
}

/* Failure domains of all live rollouts see who is in flight (7.1). */
static void count_busy(struct fleet *fleet, uint32_t labels, uint32_t one)
{
    for (size_t i = 0; i < fleet->live_end; i++)
        if (fleet->live[i])
            lots_count_busy(&fleet->live[i]->lots, labels, one);
}

static bool placement_equal(const struct placement *a, const struct placement *b)
{
    return a->live == b->live && a->rollout == b->rollout && a->set == b->set && a->lot == b->lot &&
           a->wave == b->wave && a->state == b->state && a->is_joiner == b->is_joiner &&
           a->status == b->status && a->is_online == b->is_online &&
           a->is_available == b->is_available && a->is_settling == b->is_settling &&
           a->is_acknowledged == b->is_acknowledged && a->is_retrying == b->is_retrying;
}

/* The live part that counts `p`, or NULL: the members of an ended rollout are left as they are. */
static struct rollout_live *counting(const struct fleet *fleet, const struct placement *p)
{
    struct rollout_live *live = p->live ? fleet->live[p->live - 1] : NULL;
    return live && live->rollout->number == p->rollout ? live : NULL;
}

/* `placed` without what an ended rollout left in it. */
static struct placement effective(const struct fleet *fleet, const struct placement *placed)
{
    if (counting(fleet, placed))
        return *placed;
    return (struct placement){ .status = placed->status, .is_online = placed->is_online };
}

static bool is_candidate(const struct placement *p)
{
    return p->set >= SET_FIRST_FAILED && p->set <= SET_LATER_HEALTHY;
}

static uint32_t class_of(const struct placement *p)
{
    return p->set - (uint32_t)SET_FIRST_FAILED;
}

static void take_out_of_set(struct fleet *fleet, struct rollout_live *live,
                            const struct placement *p, uint32_t slot)
{
    if (is_candidate(p))
        lots_remove(&live->lots, p->lot, class_of(p), slot);
    else if (p->set != SET_NONE)
        ordered_remove(&fleet->members, &live->sets[p->set], slot);
}

static void put_in_set(struct fleet *fleet, struct rollout_live *live, const struct placement *p,
                       uint32_t slot)
{
    if (is_candidate(p) && live->is_entering)
        lots_append(&live->lots, p->lot, class_of(p), slot);
    else if (is_candidate(p))
        lots_insert(&live->lots, p->lot, class_of(p), slot);
    else if (p->set != SET_NONE && live->is_entering)
        ordered_append(&fleet->members, &live->sets[p->set], slot);
    else if (p->set != SET_NONE)
        ordered_insert(&fleet->members, &live->sets[p->set], slot);
}

static bool is_in_set(const struct fleet *fleet, const struct rollout_live *live,
                      const struct placement *p, uint32_t slot)
{
    if (is_candidate(p))
        return lots_has(&live->lots, p->lot, class_of(p), slot);
    return p->set == SET_NONE || ordered_has(&fleet->members, live->sets[p->set], slot);
}

/* Moves the instance from where it is counted to `next`. */
static void move(struct fleet *fleet, uint32_t slot, const struct placement *next)
{
    struct instance *inst = fleet_at(fleet, slot);
    struct placement placed = effective(fleet, &inst->placed);
    struct rollout_live *left = counting(fleet, &placed);
    struct rollout_live *joined = counting(fleet, next);
    /* What changes of a candidate changes its queue. */
    bool stays = left == joined && placed.set == next->set && !is_candidate(next);
    if (left && !stays)
        take_out_of_set(fleet, left, &placed, slot);
    count_instance(&fleet->tally, &placed, UINT32_MAX);
    if (left)
        count_member(left, &placed, UINT32_MAX);
    count_instance(&fleet->tally, next, 1);
    if (joined)
        count_member(joined, next, 1);
    if (left && is_busy(&placed) && left->tally.in_progress == 0)
        left->landed_at = fleet->now;
    if (is_busy(&placed) != is_busy(next))
        count_busy(fleet, inst->labels, is_busy(next) ? 1 : UINT32_MAX);
    if (joined && !stays)
        put_in_set(fleet, joined, next, slot);
    inst->placed = *next;
}

void place_set_labels(struct fleet *fleet, struct instance *inst, uint32_t labels)
{
    struct placement placed = effective(fleet, &inst->placed);
    if (is_busy(&placed)) {
        count_busy(fleet, inst->labels, UINT32_MAX);
        count_busy(fleet, labels, 1);
    }
    labels_drop(&fleet->labels, inst->labels);
    inst->labels = labels;
}

void place_sign(const struct fleet *fleet, struct instance *inst)
{
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    inst->member_of = r ? r->number : 0;
    inst->is_joiner = r && inst->placed.is_joiner;
    inst->wave = r ? inst->placed.wave : 0;
}

uint32_t place_wave(const struct fleet *fleet, const struct instance *inst, const struct rollout *r)
{
    if (fleet_rollout_of(fleet, inst) == r)
        return inst->placed.wave;
    return r->state == ROLLOUT_UNKNOWN ? waves_of(fleet, inst, r) : r->wave_count - 1;
}

/* Whoever joins a rollout that has started is a joiner (A6). */
static bool joins_late(const struct instance *inst, const struct rollout *before,
                       const struct rollout *r)
{
    return r == before ? inst->placed.is_joiner : r->state != ROLLOUT_UNKNOWN;
}

void place_put(struct fleet *fleet, uint32_t slot, struct rollout_live *live,
               enum member_state state, uint32_t wave)
{
    struct instance *inst = fleet_at(fleet, slot);
    struct rollout *before = fleet_rollout_of(fleet, inst);
    bool is_joiner = live && joins_late(inst, before, live->rollout);
    if (live)
        lots_get(&live->lots, wave, inst->labels);
    struct placement next = placement_of(inst, live, live ? state : MEMBER_NONE, is_joiner, wave);
    if (!placement_equal(&inst->placed, &next)) {
        if (before)
            fleet_touch_rollout(fleet, before);
        if (live && live->rollout != before)
            fleet_touch_rollout(fleet, live->rollout);
        move(fleet, slot, &next);
    }
    if (inst->touched_round == fleet->round)
        place_sign(fleet, inst);
    place_arm(fleet, slot);
}

void place_again(struct fleet *fleet, uint32_t slot)
{
    const struct instance *inst = fleet_at(fleet, slot);
    place_put(fleet, slot, counting(fleet, &inst->placed), inst->placed.state, inst->placed.wave);
}

void place_take_out(struct fleet *fleet, uint32_t slot)
{
    struct placement nowhere = { .status = STATUS_UNCOUNTED };
    move(fleet, slot, &nowhere);
    timers_clear(&fleet->timers, slot);
}

/* ---- timers --------------------------------------------------------------------------------- */

int64_t place_offline_at(const struct fleet *fleet, const struct instance *inst)
{
    int64_t timeout = fleet->settings.heartbeat_timeout_ms;
    int64_t of_interval = 3ll * inst->interval_ms;
    int64_t seen = inst->last_seen > fleet->started_at ? inst->last_seen : fleet->started_at;
    return seen + (of_interval > timeout ? of_interval : timeout);
}

static int64_t due_of(const struct fleet *fleet, const struct instance *inst)
{
    int64_t due = inst->presence == PRESENCE_ONLINE ? place_offline_at(fleet, inst) : TIMERS_NEVER;
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    if (!r)
        return due;
    struct member_view view = place_view(fleet, inst, r);
    int64_t member = member_due((enum member_state)inst->placed.state, &view);
    return member < due ? member : due;
}

void place_arm(struct fleet *fleet, uint32_t slot)
{
    timers_set(&fleet->timers, slot, due_of(fleet, fleet_at(fleet, slot)));
}

/* ---- all of it anew ------------------------------------------------------------------------- */

static struct rollout_live *derive_live(const struct fleet *fleet, const struct instance *inst)
{
    for (size_t i = 0; i < fleet->live_end; i++) {
        struct rollout_live *live = fleet->live[i];
        if (live && place_derive_member(fleet, inst, live->rollout))
            return live;
    }
    return NULL;
}

static bool derive_joiner(const struct instance *inst, const struct rollout_live *live)
{
    return live && inst->changed_index > live->rollout->started_index && inst->is_joiner;
}

static uint32_t derive_wave(const struct fleet *fleet, const struct instance *inst,
                            const struct rollout_live *live)
{
    if (!live)
        return 0;
    const struct rollout *r = live->rollout;
    if (inst->changed_index <= r->started_index)
        return waves_of(fleet, inst, r);
    return inst->wave < r->wave_count ? inst->wave : r->wave_count - 1;
}

static void forget_places(struct fleet *fleet)
{
    timers_clear_all(&fleet->timers);
    fleet->tally = (struct tally_fleet){ .online = 0 };
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        if (!fleet->live[i])
            continue;
        struct rollout_live *live = fleet->live[i];
        live->tally = (struct tally){ .total = 0 };
        for (uint32_t wave = 0; wave < live->rollout->wave_count; wave++)
            live->waves[wave] = (struct tally){ .total = 0 };
        for (size_t set = 0; set < MEMBER_SET_COUNT; set++)
            live->sets[set] = ORDERED_NONE;
        lots_clear(&live->lots, waves_admitted(live->rollout));
    }
    silence_begin(fleet);
}

/* False: no memory for a failure domain that the rollout has not met before. */
static bool derive_one(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    struct rollout_live *live = derive_live(fleet, inst);
    enum member_state state = live ? place_derive_state(fleet, inst, live->rollout) : MEMBER_NONE;
    uint32_t wave = derive_wave(fleet, inst, live);
    if (live && lots_find(&live->lots, wave, inst->labels) == LOT_NONE) {
        if (!lots_reserve(&live->lots))
            return false;
        lots_get(&live->lots, wave, inst->labels);
    }
    struct placement next = placement_of(inst, live, state, derive_joiner(inst, live), wave);
    inst->placed = (struct placement){ .status = STATUS_UNCOUNTED };
    move(fleet, slot, &next);
    place_arm(fleet, slot);
    silence_recount(&fleet->silence, inst);
    return true;
}

/* In order of keys, so that sets are filled in linear time. */
static bool derive_listed(struct fleet *fleet, uint32_t *slots)
{
    bool derived = true;
    uint32_t count = fleet->instance_count;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            entering_begin(fleet->live[i]);
    fleet_number_all(fleet, slots);
    for (uint32_t i = 0; i < count; i++) {
        fleet_prefetch(fleet, slots, i, count);
        derived &= derive_one(fleet, slots[i]);
    }
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            entering_finish_sets(fleet, fleet->live[i]);
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            entering_end(fleet, fleet->live[i]);
    return derived;
}

bool place_derive(struct fleet *fleet)
{
    size_t size = fleet->instance_count * sizeof(uint32_t);
    uint32_t *slots = size > 0 ? memory_take(fleet->memory, size) : NULL;
    forget_places(fleet);
    if (slots) {
        bool derived = derive_listed(fleet, slots);
        memory_give(fleet->memory, slots, size);
        return derived;
    }
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            lots_finish(&fleet->live[i]->lots);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (inst->texts && !inst->is_gone && !derive_one(fleet, slot))
            return false;
    }
    return true;
}

void place_rebuild(struct fleet *fleet)
{
    map_clear(&fleet->keys);
    fleet->names = ORDERED_NONE;
    fleet->instance_count = 0;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (inst->texts && !inst->is_gone)
            fleet_index(fleet, slot);
    }
    bool derived = place_derive(fleet);
    assert(derived);
}

/* ---- checking ------------------------------------------------------------------------------- */

struct recount {
    struct tally_fleet fleet;
    struct tally live[FLEET_LIVE_MAX];
    struct tally *waves[FLEET_LIVE_MAX]; /* NULL: not counted */
    struct cell *cells[FLEET_LIVE_MAX];
    struct silence silence;
    uint32_t instances;
    size_t faults;
    struct err *what;
};

/* Keeps the first difference, counts them all. */
static void differ(struct recount *r, const struct instance *inst, const char *sentence)
{
    char excerpt[ERR_EXCERPT_SIZE];
    if (r->faults++ == 0)
        err_set(r->what, ERR_INTERNAL, "%s: %s",
                inst ? err_excerpt(instance_key(inst), excerpt) : "counters", sentence);
}

static void recount_domains(const struct fleet *fleet, struct recount *r, size_t i,
                            const struct placement *p)
{
    const struct lots *lots = &fleet->live[i]->lots;
    for (uint32_t d = 0; r->cells[i] && d < lots->rollout->config.domain_count; d++)
        tally_count(&r->cells[i][lots->list[p->lot].cells[d]].tally, p, 1);
}

static void recount_busy(const struct fleet *fleet, struct recount *r, const struct instance *inst)
{
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (r->cells[i])
            lots_recount_busy(&fleet->live[i]->lots, r->cells[i], inst->labels);
}

static void check_counters(struct fleet *fleet, const struct instance *inst,
                           const struct placement *p, struct recount *r)
{
    r->instances++;
    count_instance(&r->fleet, p, 1);
    silence_recount(&r->silence, inst);
    if (!p->live)
        return;
    size_t i = p->live - 1u;
    tally_count(&r->live[i], p, 1);
    if (r->waves[i])
        tally_count(&r->waves[i][p->wave], p, 1);
    recount_domains(fleet, r, i, p);
    if (is_busy(p))
        recount_busy(fleet, r, inst);
}

static void check_one(struct fleet *fleet, uint32_t slot, struct recount *r)
{
    struct instance *inst = fleet_at(fleet, slot);
    struct placement p = effective(fleet, &inst->placed);
    struct rollout_live *live = derive_live(fleet, inst);
    enum member_state state = live ? place_derive_state(fleet, inst, live->rollout) : MEMBER_NONE;
    struct placement expected =
        placement_of(inst, live, state, derive_joiner(inst, live), derive_wave(fleet, inst, live));
    if (!placement_equal(&p, &expected))
        differ(r, inst, "its place is not the one that follows from its record");
    if (p.live && !is_in_set(fleet, fleet->live[p.live - 1], &p, slot))
        differ(r, inst, "missing in its member set");
    if (fleet_find(fleet, instance_key(inst)) != slot)
        differ(r, inst, "not found by its key");
    if (timers_due(&fleet->timers, slot) > due_of(fleet, inst))
        differ(r, inst, "its timer is later than its due time");
    check_counters(fleet, inst, &p, r);
}

static void check_live(const struct rollout_live *live, size_t i, struct recount *r)
{
    const struct tally *t = &live->tally;
    uint32_t waves = live->rollout->wave_count;
    if (memcmp(t, &r->live[i], sizeof *t) != 0)
        differ(r, NULL, "the counters of a rollout are not a recount");
    if (t->total != t->pending + t->in_progress + t->completed + t->failed)
        differ(r, NULL, "the counters of a rollout do not add up");
    if (r->waves[i] && memcmp(r->waves[i], live->waves, waves * sizeof live->waves[0]) != 0)
        differ(r, NULL, "the counters of a wave are not a recount");
    const char *fault = lots_fault(&live->lots, r->cells[i]);
    if (fault)
        differ(r, NULL, fault);
}

static void check_sums(struct fleet *fleet, struct recount *r)
{
    if (memcmp(&r->fleet, &fleet->tally, sizeof r->fleet) != 0)
        differ(r, NULL, "the counters of the fleet are not a recount");
    if (r->instances != fleet->instance_count)
        differ(r, NULL, "the number of instances is not a recount");
    if (!silence_equal(&fleet->silence, &r->silence))
        differ(r, NULL, "the number of those who fell silent is not a recount");
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            check_live(fleet->live[i], i, r);
}

static void take_counters(const struct fleet *fleet, struct recount *r)
{
    r->silence = silence_empty(&fleet->silence);
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        const struct rollout_live *live = fleet->live[i];
        if (!live)
            continue;
        r->waves[i] =
            memory_take_zeroed(fleet->memory, live->rollout->wave_count * sizeof r->waves[i][0]);
        if (live->lots.cell_count > 0)
            r->cells[i] =
                memory_take_zeroed(fleet->memory, live->lots.cell_count * sizeof r->cells[i][0]);
    }
}

static void give_counters(const struct fleet *fleet, struct recount *r)
{
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        const struct rollout_live *live = fleet->live[i];
        if (!live)
            continue;
        memory_give(fleet->memory, r->waves[i], live->rollout->wave_count * sizeof r->waves[i][0]);
        memory_give(fleet->memory, r->cells[i], live->lots.cell_count * sizeof r->cells[i][0]);
    }
}

size_t place_check(struct fleet *fleet, struct err *ret_what)
{
    struct recount r = { .what = ret_what };
    take_counters(fleet, &r);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (inst->texts && !inst->is_gone)
            check_one(fleet, slot, &r);
    }
    check_sums(fleet, &r);
    give_counters(fleet, &r);
    return r.faults;
}

size_t place_check_some(struct fleet *fleet, uint32_t *cursor, uint32_t count, struct err *ret_what)
{
    struct recount r = { .silence = silence_empty(&fleet->silence), .what = ret_what };
    if (*cursor >= fleet->slot_count)
        *cursor = 0;
    for (; count > 0 && *cursor < fleet->slot_count; count--, (*cursor)++) {
        const struct instance *inst = fleet_at(fleet, *cursor);
        if (inst->texts && !inst->is_gone)
            check_one(fleet, *cursor, &r);
    }
    return r.faults;
}
