/* SPDX-License-Identifier: Apache-2.0
 * invariants.c - the witness: what it remembers, whom it asks when. The rules themselves are in
 * invariants_rollout.c and invariants_member.c. */
#include "sim/invariants.h"

#include "core/place.h"

#define WHOLE_EVERY                                                                                \
    16u /* events of a small fleet that changed nothing, between looks at all of it */
#define CHEAP_EVERY 64u   /* events of a large fleet that changed nothing, between looks */
#define SLICE_EVERY 2048u /* events of a large fleet between slices of the recount */
#define SLICE       64u   /* instances */
#define BATCH_EVERY                                                                                \
    65536u /* events of a large fleet between looks at what is in flight; of a very                \
              large one as many as it has instances */

/* clang-format off */
const struct invariant invariant_rows[] = {
    { "I1",  INVARIANT_CHEAP, invariant_sums,         "counters of a rollout add up" },
    { "I1",  INVARIANT_BATCH, invariant_parts,        "counters of waves add up to those of their rollout" },
    { "I1",  INVARIANT_WHOLE, invariant_recount,      "counters, sets and timers equal a recount" },
    { "I2",  INVARIANT_CHEAP, invariant_limits,       "in flight within the batch limit" },
    { "I2",  INVARIANT_BATCH, invariant_available,    "no pick leaves too few available" },
    { "I2",  INVARIANT_WHOLE, invariant_domains,      "no pick passes the limit of a failure domain" },
    { "I3",  INVARIANT_WHOLE, invariant_orders,       "one live rollout per instance, one order per member in flight" },
    { "I3",  INVARIANT_CHEAP, invariant_wishes,       "wishes only for whom a rollout selects" },
    { "I4",  INVARIANT_CHEAP, invariant_concurrency,  "not too many live rollouts, and disjoint ones" },
    { "I5",  INVARIANT_CHEAP, invariant_refusals,     "a refused request changes nothing" },
    { "I5",  INVARIANT_WHOLE, invariant_frozen,       "ended records never change" },
    { "I6",  INVARIANT_BATCH, invariant_movable,      "live rollouts can move, or name what they wait for" },
    { "I7",  INVARIANT_CHEAP, invariant_one_rollback, "one automatic rollback, none of a rollback" },
    { "I8",  INVARIANT_CHEAP, invariant_touched,      "a rollback changes touched members only" },
    { "I8",  INVARIANT_CHEAP, invariant_restored,     "after a full rollback nobody runs or wants what was undone" },
    { "I13", INVARIANT_CHEAP, invariant_breach,       "a breach, FAILED and the rollback are one commit" },
    { "I15", INVARIANT_CHEAP, invariant_reports,      "versions change by reports, wishes by live rollouts" },
    { "I16", INVARIANT_CHEAP, invariant_complete,     "COMPLETED forgets nobody" },
    { "I19", INVARIANT_CHEAP, invariant_states,       "rollouts move along their table" },
    { "I19", INVARIANT_CHEAP, invariant_steps,        "members move along their table" },
    { "I23", INVARIANT_CHEAP, invariant_silence,      "time without a server belongs to no deadline" },
    { "I23", INVARIANT_CHEAP, invariant_stillness,    "while most are silent nobody fails for it" },
};
/* clang-format on */
const size_t invariant_count = sizeof invariant_rows / sizeof invariant_rows[0];

/* ---- looking -------------------------------------------------------------------------------- */

uint64_t seen_version(const struct fleet *fleet, struct version v)
{
    return text_hash(fleet_text(fleet, v.config), text_hash(fleet_text(fleet, v.code), 1));
}

struct seen_member seen_member_of(const struct fleet *fleet, uint32_t slot)
{
    const struct instance *inst = fleet_at(fleet, slot);
    if (!inst->texts || inst->is_gone)
        return (struct seen_member){ 0 };
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    return (struct seen_member){
        .current = seen_version(fleet, inst->current),
        .desired = seen_version(fleet, inst->desired),
        .generation = inst->generation,
        .rollout = r ? r->number : 0,
        .trail_top = inst->trail_count ? inst->trail[inst->trail_count - 1].rollout : 0,
        .state = (uint8_t)fleet_member_state(fleet, inst),
        .is_there = true,
        .is_available = inst->placed.is_available,
    };
}

static bool looks_equal(const struct seen_member *a, const struct seen_member *b)
{
    return a->current == b->current && a->desired == b->desired && a->generation == b->generation &&
           a->rollout == b->rollout && a->trail_top == b->trail_top && a->state == b->state &&
           a->is_there == b->is_there && a->is_available == b->is_available;
}

static uint64_t mix_number(uint64_t hash, uint64_t number)
{
    hash ^= number + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    return hash * 0xff51afd7ed558ccdu;
}

/* Everything but what may change after the end: rolled_back_by and the revision. */
uint64_t seen_record(const struct fleet *fleet, const struct rollout *r)
{
    const struct tally *t = &r->final;
    const uint64_t numbers[] = {
        r->state,
        r->cause,
        r->outcome,
        r->has_no_target,
        r->is_fast,
        r->generation,
        r->retry_of,
        r->rollback_of,
        r->restores,
        t->total,
        t->pending,
        t->in_progress,
        t->completed,
        t->failed,
        t->offline,
        t->already_current,
        t->available,
        r->started_index,
        r->unresolved_total,
        (uint64_t)r->created_at,
        (uint64_t)r->started_at,
        (uint64_t)r->ended_at,
        seen_version(fleet, r->target),
        text_hash(r->selector_text, 1),
        text_hash(r->reason, 2),
        text_hash(r->created_by, 3),
    };
    uint64_t hash = r->number;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hash = mix_number(hash, numbers[i]);
    return hash | 1;
}

struct seen_member seen_before(const struct witness *w, uint32_t slot)
{
    return slot < w->member_capacity ? w->members[slot] : (struct seen_member){ 0 };
}

struct seen_rollout seen_rollout_before(const struct witness *w, uint32_t number)
{
    return number < w->rollout_capacity ? w->rollouts[number] : (struct seen_rollout){ 0 };
}

bool machine_reaches(const struct sm_machine *machine, unsigned from, unsigned to)
{
    uint64_t reached = 1ull << from, before = 0;
    while (reached != before) {
        before = reached;
        for (uint16_t i = 0; i < machine->row_count; i++) {
            const struct sm_row *row = &machine->rows[i];
            if (reached >> row->from & 1 && row->to != SM_STAY && row->to != SM_REFUSE)
                reached |= 1ull << row->to;
        }
    }
    return reached >> to & 1;
}

void witness_note_outage(struct witness *w, int64_t from, int64_t until)
{
    if (w->outage_count == OUTAGES_MAX) {
        memmove(w->outages, w->outages + 1, (OUTAGES_MAX - 1) * sizeof w->outages[0]);
        w->outage_count--;
    }
    w->outages[w->outage_count++] = (struct outage){ from, until };
}

int64_t witness_outage(const struct witness *w, int64_t from, int64_t until)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < w->outage_count; i++) {
        int64_t begin = w->outages[i].from > from ? w->outages[i].from : from;
        int64_t end = w->outages[i].until < until ? w->outages[i].until : until;
        sum += end > begin ? end - begin : 0;
    }
    return sum;
}

/* ---- remembering ---------------------------------------------------------------------------- */

void witness_init(struct witness *w, bool is_small)
{
    *w = (struct witness){ .is_small = is_small };
}

void witness_release(struct witness *w)
{
    memory_give(&memory_heap, w->members, w->member_capacity * sizeof *w->members);
    memory_give(&memory_heap, w->rollouts, w->rollout_capacity * sizeof *w->rollouts);
    memory_give(&memory_heap, w->changed, w->changed_capacity * sizeof *w->changed);
    *w = (struct witness){ 0 };
}

static bool grow(void **items, uint32_t *capacity, uint32_t wanted, size_t item_size)
{
    if (wanted <= *capacity)
        return true;
    uint32_t next = *capacity + *capacity / 2 + 64;
    if (next < wanted)
        next = wanted;
    char *grown =
        memory_heap.resize(memory_heap.ctx, *items, *capacity * item_size, next * item_size);
    if (!grown)
        return false;
    memset(grown + *capacity * item_size, 0, (next - *capacity) * item_size);
    *items = grown;
    *capacity = next;
    return true;
}

static bool make_room(struct witness *w)
{
    return grow((void **)&w->members, &w->member_capacity, w->fleet->slot_count,
                sizeof *w->members) &&
           grow((void **)&w->rollouts, &w->rollout_capacity, w->fleet->last_number + 1,
                sizeof *w->rollouts);
}

static void note_changed(void *ctx, uint32_t slot)
{
    struct witness *w = ctx;
    struct seen_member now = seen_member_of(w->fleet, slot);
    struct seen_member before = seen_before(w, slot);
    if (looks_equal(&now, &before))
        return;
    if (!grow((void **)&w->changed, &w->changed_capacity, w->changed_count + 1,
              sizeof *w->changed)) {
        w->lacks_memory = true;
        return;
    }
    w->changed[w->changed_count++] = slot;
}

static void note_dirty(void *ctx, const struct fleet_dirty *dirty)
{
    if (dirty->slot != FLEET_NONE)
        note_changed(ctx, dirty->slot);
}

static void find_changed(struct witness *w)
{
    w->changed_count = 0;
    if (!w->is_small && !w->event.is_changing)
        return;
    if (!w->is_small) {
        fleet_each_dirty(w->fleet, note_dirty, w);
        return;
    }
    for (uint32_t slot = 0; slot < w->fleet->slot_count; slot++)
        note_changed(w, slot);
}

static void remember_rollout(struct witness *w, const struct rollout *r)
{
    struct seen_rollout *seen = &w->rollouts[r->number];
    bool is_new = !seen->is_there;
    seen->is_there = true;
    seen->state = r->state;
    seen->stands_still = r->frozen_at != 0;
    seen->in_flight = r->live ? r->live->tally.in_progress : 0;
    if (!rollout_is_live(r) && seen->frozen == 0)
        seen->frozen = seen_record(w->fleet, r);
    if (is_new && r->rollback_of != 0 && r->rollback_of < w->rollout_capacity &&
        text_equal(r->created_by, TEXT("server")))
        w->rollouts[r->rollback_of].undone_by_server++;
}

/* Those that were live or did not exist: the others cannot move any more, see invariant_frozen. */
static void remember_rollouts(struct witness *w)
{
    for (uint32_t i = w->fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = w->fleet->rollouts[i - 1];
        const struct seen_rollout *seen = &w->rollouts[r->number];
        if (!seen->is_there || seen->frozen == 0)
            remember_rollout(w, r);
    }
    w->last_number = w->fleet->last_number;
    w->next_index = w->fleet->next_index;
}

static void remember(struct witness *w)
{
    for (uint32_t i = 0; i < w->changed_count; i++)
        w->members[w->changed[i]] = seen_member_of(w->fleet, w->changed[i]);
    remember_rollouts(w);
}

bool witness_begin(struct witness *w, struct fleet *fleet)
{
    w->fleet = fleet;
    w->changed_count = 0;
    if (!make_room(w))
        return false;
    if (w->member_capacity > 0)
        memset(w->members, 0, w->member_capacity * sizeof *w->members);
    memset(w->rollouts, 0, w->rollout_capacity * sizeof *w->rollouts);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++)
        w->members[slot] = seen_member_of(fleet, slot);
    remember_rollouts(w);
    return true;
}

/* ---- asking --------------------------------------------------------------------------------- */

static bool ask(struct witness *w, unsigned cost, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    for (size_t i = 0; i < invariant_count; i++) {
        const struct invariant *row = &invariant_rows[i];
        if (row->cost != cost)
            continue;
        w->checks++;
        if (!row->holds(w, &why))
            return err_set(err, ERR_INTERNAL, "%s %s", row->id, why.text);
    }
    return true;
}

static bool look_at_slice(struct witness *w, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    if (place_check_some(w->fleet, &w->cursor, SLICE, &why) == 0)
        return true;
    return err_set(err, ERR_INTERNAL, "I1 %s", why.text);
}

static bool look_at_large(struct witness *w, struct err *err)
{
    if (!ask(w, INVARIANT_CHEAP, err))
        return false;
    uint32_t every = w->fleet->instance_count / BATCH_EVERY + 1;
    if (w->events % ((uint64_t)every * BATCH_EVERY) == 0 && !ask(w, INVARIANT_BATCH, err))
        return false;
    return w->events % SLICE_EVERY != 0 || look_at_slice(w, err);
}

static bool look_at_small(struct witness *w, struct err *err)
{
    return ask(w, INVARIANT_CHEAP, err) && ask(w, INVARIANT_BATCH, err) &&
           ask(w, INVARIANT_WHOLE, err);
}

bool witness_event(struct witness *w, const struct event *event, struct err *err)
{
    w->event = *event;
    w->events++;
    bool is_idle = !event->is_changing && !event->is_refused;
    if (is_idle && w->events % (w->is_small ? WHOLE_EVERY : CHEAP_EVERY) != 0)
        return true;
    if (!make_room(w))
        return err_set(err, ERR_MEMORY, "no memory for the witness");
    find_changed(w);
    if (w->lacks_memory)
        return err_set(err, ERR_MEMORY, "no memory for the witness");
    if (w->is_small ? !look_at_small(w, err) : !look_at_large(w, err))
        return false;
    remember(w);
    return true;
}

bool witness_all(struct witness *w, struct err *err)
{
    return ask(w, INVARIANT_BATCH, err) && ask(w, INVARIANT_WHOLE, err);
}
