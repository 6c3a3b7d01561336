/* SPDX-License-Identifier: Apache-2.0
 * progress.c - answers the guards of the rollout table and carries out its effects. */
#include "core/progress.h"

#include "core/membership.h"
#include "core/place.h"
#include "core/rollback.h"
#include "core/waves.h"

#include <assert.h>

/* ---- guards --------------------------------------------------------------------------------- */

struct rollout_view {
    const struct fleet *fleet;
    const struct rollout *r;
    const struct rollout_order *order;
};

bool progress_only_leftovers(const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    if (t->pending + t->failed == 0 || !waves_are_quiet(r))
        return false;
    return waves_are_passed(r) || waves_lack_proof(r);
}

/* Leftovers that hold completion up: offline members do not where the request says `skip`. */
static uint32_t awaited_leftovers(const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    return t->failed + (r->config.offline == OFFLINE_WAIT ? t->pending : 0);
}

static bool leftover_time_is_over(const struct fleet *fleet, const struct rollout *r)
{
    return progress_only_leftovers(r) && r->leftover_at != 0 && fleet->now >= r->leftover_at;
}

/* Failed members, as far as nobody has accepted them, of the rollout, the open wave or a domain. */
static enum rollout_cause threshold_breach(const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    const struct tally *open = wave_tally(r, r->open_wave);
    if (t->failed - t->acknowledged >= rollout_threshold(r) ||
        open->failed - open->acknowledged >= wave_threshold(r, r->open_wave))
        return ROLLOUT_CAUSE_THRESHOLD;
    return r->live->lots.breached > 0 ? ROLLOUT_CAUSE_DOMAIN_THRESHOLD : ROLLOUT_CAUSE_NONE;
}

/* P3, a failed gate and the bad end of P9: why the rollout has to stop, or ROLLOUT_CAUSE_NONE. */
static enum rollout_cause breach(const struct fleet *fleet, const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    if (r->stopped_at != 0 || fleet->is_held)
        return ROLLOUT_CAUSE_NONE; /* what was seen meanwhile is judged when it goes on */
    enum rollout_cause cause = threshold_breach(r);
    if (cause != ROLLOUT_CAUSE_NONE)
        return cause;
    if (r->config.progress_deadline_ms > 0 && t->in_progress > 0 &&
        fleet->now >= r->progressed_at + r->config.progress_deadline_ms)
        return ROLLOUT_CAUSE_PROGRESS_DEADLINE;
    if (waves_gate_undecided(r, UNDECIDED_FAILS))
        return ROLLOUT_CAUSE_GATE;
    bool is_hopeless = waves_lack_proof(r) ||
                       (r->config.on_leftover == ON_LEFTOVER_FAIL && awaited_leftovers(r) > 0);
    if (is_hopeless && leftover_time_is_over(fleet, r))
        return ROLLOUT_CAUSE_LEFTOVER;
    return ROLLOUT_CAUSE_NONE;
}

static bool leftovers_are_accepted(const struct fleet *fleet, const struct rollout *r)
{
    if (!progress_only_leftovers(r) || !waves_are_passed(r) || r->stopped_at != 0 ||
        fleet->is_held) /* a breach is judged first when it goes on */
        return false;
    return awaited_leftovers(r) == 0 ||
           (r->config.on_leftover == ON_LEFTOVER_COMPLETE && leftover_time_is_over(fleet, r));
}

uint32_t progress_free_slots(const struct rollout *r)
{
    uint32_t busy = rollout_tally(r)->in_progress;
    uint32_t limit = rollout_batch_limit(r);
    if (wave_mode(r, r->open_wave) == MODE_BARRIER && busy > 0)
        return 0;
    return busy < limit ? limit - busy : 0;
}

bool progress_may_take_available(const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    return t->available > amount_up(r->config.min_available, t->total);
}

/* Asking parks what a full domain keeps back; no record knows of that. */
bool progress_can_pick(const struct rollout *r)
{
    return !r->live->lots.fleet->is_held && r->stopped_at == 0 && progress_free_slots(r) > 0 &&
           rollout_tally(r)->pending_online > 0 &&
           lots_next(&r->live->lots, progress_may_take_available(r)) != ORDERED_NONE;
}

static bool breaches(const struct rollout_view *v, bool is_undo, enum rollout_on_failure action)
{
    if (breach(v->fleet, v->r) == ROLLOUT_CAUSE_NONE)
        return false;
    /* A failing rollback never loops: it ends, and its wishes stay (RB9). */
    return (v->r->rollback_of != 0) == is_undo && (is_undo || v->r->config.on_failure == action);
}

static bool holds(const void *subject, unsigned guard)
{
    const struct rollout_view *v = subject;
    const struct rollout *r = v->r;
    const struct tally *t = rollout_tally(r);
    switch ((enum rollout_guard)guard) {
    case ROLLOUT_NOBODY_NEEDS_IT: return t->completed == t->total;
    case ROLLOUT_GATE_PAUSES:
        return r->stopped_at == 0 && waves_gate_undecided(r, UNDECIDED_PAUSES);
    case ROLLOUT_BREACH_PAUSES: return breaches(v, false, ON_FAILURE_PAUSE);
    case ROLLOUT_BREACH_ROLLS_BACK: return breaches(v, false, ON_FAILURE_ROLLBACK);
    case ROLLOUT_BREACH_ENDS_UNDO: return breaches(v, true, ON_FAILURE_ABORT);
    case ROLLOUT_BREACH_ABORTS: return breaches(v, false, ON_FAILURE_ABORT);
    case ROLLOUT_ALL_DONE: return t->completed == t->total && waves_are_passed(r);
    case ROLLOUT_LEFTOVERS_ACCEPTED: return leftovers_are_accepted(v->fleet, r);
    case ROLLOUT_WAVE_MOVES: return r->stopped_at == 0 && waves_would_move(v->fleet, r);
    case ROLLOUT_CAN_PROMOTE: return waves_can_promote(r);
    case ROLLOUT_CAN_PICK: return progress_can_pick(r);
    case ROLLOUT_LEFTOVERS_APPEAR: return r->leftover_at == 0 && progress_only_leftovers(r);
    case ROLLOUT_LEFTOVERS_VANISH: return r->leftover_at != 0 && !progress_only_leftovers(r);
    case ROLLOUT_HAS_FAILED_MEMBERS: return t->failed > 0;
    case ROLLOUT_BREACH_PAUSED_IT: return r->is_breach_pause;
    case ROLLOUT_FINISH_IN_FLIGHT: return v->order && v->order->finish_in_flight;
    case ROLLOUT_ALWAYS:
    case rollout_guard_count: break;
    }
    return true;
}

bool rollout_would_move(const struct fleet *fleet, const struct rollout *r,
                        enum rollout_event event)
{
    struct rollout_view view = { .fleet = fleet, .r = r };
    const struct sm_row *row = sm_pick(&rollout_machine, r->state, event, holds, &view);
    return row && (row->to != SM_STAY || row->then != 0);
}

/* ---- effects -------------------------------------------------------------------------------- */

/* Calls `visit` for each member of a set. The visit may move that member to another set. */
static void each_member(struct fleet *fleet, struct rollout *r, enum member_set set,
                        void (*visit)(struct fleet *, struct rollout *, uint32_t slot))
{
    uint32_t slot = ordered_first(&fleet->members, r->live->sets[set]);
    while (slot != ORDERED_NONE) {
        uint32_t next = ordered_after(&fleet->members, r->live->sets[set], slot);
        visit(fleet, r, slot);
        slot = next;
    }
}

/* The same for all candidates. The visit must leave them where they are. */
static void each_candidate(struct fleet *fleet, struct rollout *r,
                           void (*visit)(struct fleet *, struct rollout *, uint32_t slot))
{
    const struct lots *lots = &r->live->lots;
    for (uint32_t i = 0; i < lots->count * LOT_CLASSES; i++) {
        uint32_t root = lots->list[i / LOT_CLASSES].queues[i % LOT_CLASSES].root;
        for (uint32_t slot = ordered_first(&fleet->members, root); slot != ORDERED_NONE;
             slot = ordered_after(&fleet->members, root, slot))
            visit(fleet, r, slot);
    }
}

/* P7, P8: candidates in pick order until the slots or they run out. */
static void pick(struct fleet *fleet, struct rollout *r)
{
    /* In barrier mode the first pick would close the batch: slots are counted before. */
    uint32_t slots = progress_free_slots(r);
    /* The time in which nobody was in flight is no lack of progress (P3). */
    if (rollout_tally(r)->in_progress == 0 && r->live->landed_at != fleet->now)
        r->progressed_at = fleet->now;
    for (; slots > 0 && r->stopped_at == 0 && !fleet->is_held; slots--) {
        uint32_t slot = lots_next(&r->live->lots, progress_may_take_available(r));
        if (slot == ORDERED_NONE)
            return;
        bool picked = member_step(fleet, r, slot, MEMBER_PICK);
        assert(picked);
    }
}

static void arm_again(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    (void)r;
    place_again(fleet, slot);
}

static void move_deadlines(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    int64_t delta = fleet->now - r->stopped_at;
    struct assignment *a = &fleet_touch(fleet, slot)->assignment;
    if (a->deadline_at)
        a->deadline_at += delta;
    if (a->health_deadline_at)
        a->health_deadline_at += delta;
}

static void stop_clocks(struct fleet *fleet, struct rollout *r)
{
    if (r->stopped_at != 0)
        return;
    r->stopped_at = fleet->now;
    each_member(fleet, r, SET_BUSY, arm_again);
}

/* K7: the time that stood still does not count. Stays stopped while the other reason holds. */
static void start_clocks(struct fleet *fleet, struct rollout *r)
{
    if (r->state == ROLLOUT_PAUSED || r->frozen_at != 0)
        return;
    each_member(fleet, r, SET_BUSY, move_deadlines);
    int64_t delta = fleet->now - r->stopped_at;
    r->progressed_at += delta;
    if (r->leftover_at)
        r->leftover_at += delta;
    if (r->wave_due_at)
        r->wave_due_at += delta;
    r->stopped_at = 0;
    each_member(fleet, r, SET_BUSY, arm_again);
}

void progress_freeze(struct fleet *fleet, struct rollout *r)
{
    fleet_touch_rollout(fleet, r);
    r->frozen_at = fleet->silence.frozen_at;
    r->frozen_count = fleet->silence.fallen;
    stop_clocks(fleet, r);
}

void progress_thaw(struct fleet *fleet, struct rollout *r)
{
    fleet_touch_rollout(fleet, r);
    r->frozen_at = 0;
    r->frozen_count = 0;
    start_clocks(fleet, r);
}

static void acknowledge_one(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    (void)r;
    fleet_touch(fleet, slot)->assignment.is_acknowledged = true;
    place_again(fleet, slot);
}

static void acknowledge(struct fleet *fleet, struct rollout *r)
{
    each_member(fleet, r, SET_BROKEN, acknowledge_one);
    r->progressed_at = rollout_clock(fleet, r);
    r->leftover_at = 0; /* what is left over gets its time once more */
    waves_again(fleet, r);
}

static void try_again(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    member_step(fleet, r, slot, MEMBER_RETRY);
}

static void withdraw_one(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    const struct instance *inst = fleet_at(fleet, slot);
    if (inst->assignment.rollout == r->number &&
        !version_is_at(inst->current, inst->assignment.target)) {
        member_withdraw(fleet, slot);
        place_again(fleet, slot);
    }
}

/* Members that have an order of `r` and have not completed it; those that wait for another attempt
 * have one too. The visit must leave them where they are. */
static void each_told(struct fleet *fleet, struct rollout *r,
                      void (*visit)(struct fleet *, struct rollout *, uint32_t slot))
{
    each_member(fleet, r, SET_BUSY, visit);
    each_member(fleet, r, SET_BROKEN, visit);
    if (rollout_tally(r)->retrying == 0)
        return;
    each_member(fleet, r, SET_AWAY, visit);
    each_candidate(fleet, r, visit);
}

/* Wishes of members that have not reported the target; those on the target keep theirs. */
static void withdraw(struct fleet *fleet, struct rollout *r)
{
    each_told(fleet, r, withdraw_one);
}

/* While only leftovers remained nobody was in flight: that time is no lack of progress (P3). */
static void disarm_leftovers(const struct fleet *fleet, struct rollout *r)
{
    if (r->leftover_at == 0)
        return;
    int64_t now = rollout_clock(fleet, r);
    r->progressed_at += now - (r->leftover_at - r->config.leftover_timeout_ms);
    r->leftover_at = 0;
}

static void carry_out(struct fleet *fleet, struct rollout *r, uint32_t effects,
                      enum rollout_event event, const struct rollout_order *order)
{
    if (effects & SM_DO(rollout, ROLLOUT_MOVE_WAVE))
        waves_move(fleet, r);
    if (effects & SM_DO(rollout, ROLLOUT_PASS_ON))
        waves_promote(fleet, r, order->is_full);
    if (effects & SM_DO(rollout, ROLLOUT_PICK))
        pick(fleet, r);
    if (effects & SM_DO(rollout, ROLLOUT_STOP_CLOCKS)) {
        r->paused_at = fleet->now;
        r->is_breach_pause = event == ROLLOUT_EVALUATE;
        stop_clocks(fleet, r);
    }
    if (effects & SM_DO(rollout, ROLLOUT_MOVE_CLOCKS)) {
        r->paused_at = 0;
        r->is_breach_pause = false;
        start_clocks(fleet, r);
    }
    if (effects & SM_DO(rollout, ROLLOUT_ACKNOWLEDGE))
        acknowledge(fleet, r);
    if (effects & SM_DO(rollout, ROLLOUT_ARM_LEFTOVERS))
        r->leftover_at = rollout_clock(fleet, r) + r->config.leftover_timeout_ms;
    if (effects & SM_DO(rollout, ROLLOUT_DISARM_LEFTOVERS))
        disarm_leftovers(fleet, r);
    if (effects & SM_DO(rollout, ROLLOUT_TRY_AGAIN))
        each_member(fleet, r, SET_BROKEN, try_again);
    if (effects & SM_DO(rollout, ROLLOUT_WITHDRAW))
        withdraw(fleet, r);
}

/* ---- the end of a rollout ------------------------------------------------------------------- */

/* Nothing is in flight outside a live rollout (A1): what is not taken over is let go. */
static void let_go(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    (void)r;
    struct instance *inst = fleet_touch(fleet, slot);
    inst->assignment.state = MEMBER_NONE;
    inst->assignment.ended_at = fleet->now;
    place_put(fleet, slot, NULL, MEMBER_NONE, 0);
}

static void keep_touched(struct fleet *fleet, struct rollout *r, uint32_t slot)
{
    member_still_touched(fleet, r, slot);
}

static void end(struct fleet *fleet, struct rollout *r, const struct rollout_order *order)
{
    if (r->rollback_of != 0)
        each_told(fleet, r, keep_touched);
    if (order->rollback)
        rollback_carry_out(fleet, order->rollback);
    each_member(fleet, r, SET_BUSY, let_go);
    fleet_end_live(fleet, r);
}

/* The first failed members in order of keys. They explain the end and decide nothing, so that too
 * little memory for all of them is no reason to let the rollout go on. */
static void note_failures(const struct fleet *fleet, struct rollout *r)
{
    uint32_t failed = r->live->tally.failed;
    uint32_t room = failed < LIMIT_FAILURES ? failed : LIMIT_FAILURES;
    uint32_t root = r->live->sets[SET_BROKEN];
    if (room == 0)
        return;
    r->failures = arena_take_array(&r->arena, room, sizeof r->failures[0]);
    if (!r->failures)
        return;
    uint32_t slot = ordered_first(&fleet->members, root);
    for (; slot != ORDERED_NONE && r->failure_count < room;
         slot = ordered_after(&fleet->members, root, slot)) {
        const struct instance *inst = fleet_at(fleet, slot);
        struct rollout_failure *failure = &r->failures[r->failure_count];
        failure->cause = inst->assignment.cause;
        if (!arena_copy(&r->arena, instance_key(inst), &failure->key) ||
            !arena_copy(&r->arena, fleet_text(fleet, inst->message), &failure->message))
            return;
        r->failure_count++;
    }
}

static void note_end(const struct fleet *fleet, struct rollout *r, enum rollout_cause cause)
{
    r->ended_at = fleet->now;
    note_failures(fleet, r);
    r->final = r->live->tally;
    for (uint32_t i = 0; i < r->wave_count; i++)
        r->waves[i].final = r->live->waves[i];
    r->leftover_at = r->paused_at = r->stopped_at = r->frozen_at = r->wave_due_at = 0;
    if (r->state == ROLLOUT_FAILED)
        r->cause = (uint8_t)cause;
    else
        r->outcome = r->final.completed == r->final.total ? OUTCOME_FULL : OUTCOME_PARTIAL;
}

/* ---- the step ------------------------------------------------------------------------------- */

static void publish_move(struct fleet *fleet, const struct rollout *r, enum rollout_state was,
                         uint32_t effects, struct text reason)
{
    static const uint8_t types[rollout_state_count] = {
        [ROLLOUT_RUNNING] = CHANGE_ROLLOUT_STARTED,
        [ROLLOUT_COMPLETED] = CHANGE_ROLLOUT_COMPLETED,
        [ROLLOUT_FAILED] = CHANGE_ROLLOUT_FAILED,
        [ROLLOUT_PAUSED] = CHANGE_ROLLOUT_PAUSED,
    };
    struct change change = {
        .slot = FLEET_NONE, .rollout = r->number, .was_state = (uint8_t)was, .reason = reason
    };
    if (r->state != was)
        change.type = was == ROLLOUT_PAUSED && r->state == ROLLOUT_RUNNING ? CHANGE_ROLLOUT_RESUMED
                                                                           : types[r->state];
    else if (effects & SM_DO(rollout, ROLLOUT_TRY_AGAIN))
        change.type = CHANGE_ROLLOUT_RETRIED;
    else if (effects & SM_DO(rollout, ROLLOUT_PASS_ON))
        change.type = CHANGE_ROLLOUT_PROMOTED;
    else
        return;
    fleet_publish(fleet, &change);
}

/* Picks and timers are none, and neither is the only wave of a rolling rollout. */
static bool is_decision(const struct rollout *r, enum rollout_event event, enum rollout_state was,
                        uint32_t effects)
{
    return event != ROLLOUT_EVALUATE || r->state != was ||
           (effects & SM_DO(rollout, ROLLOUT_MOVE_WAVE) && r->waves[r->open_wave].config);
}

/* The most records that following a row may touch, each counted once; the rollback reserves for
 * itself. */
static size_t touches_of(const struct rollout *r, const struct sm_row *row)
{
    const struct tally *t = rollout_tally(r);
    size_t touches = 4;
    if (row->then & SM_DO(rollout, ROLLOUT_PICK)) {
        uint32_t slots = progress_free_slots(r);
        touches += slots < t->pending_online ? slots : t->pending_online;
    }
    if (row->to != SM_STAY)
        touches += t->in_progress;
    if (row->then & (SM_DO(rollout, ROLLOUT_ACKNOWLEDGE) | SM_DO(rollout, ROLLOUT_TRY_AGAIN)))
        touches += t->failed;
    if (row->then & (SM_DO(rollout, ROLLOUT_WITHDRAW) | SM_DO(rollout, ROLLOUT_RESTORE)) ||
        (row->to != SM_STAY && r->rollback_of != 0))
        touches += t->failed + t->retrying;
    return touches;
}

bool rollout_step(struct fleet *fleet, struct rollout *r, enum rollout_event event,
                  const struct rollout_order *order, struct err *err)
{
    struct rollout_view view = { .fleet = fleet, .r = r, .order = order };
    const struct sm_row *row = sm_pick(&rollout_machine, r->state, event, holds, &view);
    if (!row)
        return err_set(err, ERR_REFUSED, "%s is not possible while the rollout is %s",
                       rollout_machine.events.list[event].word,
                       rollout_machine.states.list[r->state].word);
    if (row->to == SM_STAY && row->then == 0)
        return true;
    struct rollout_order breached = { .cause = breach(fleet, r) };
    struct rollback_plan plan = { .source = r };
    /* Who starts a rollout has reserved for it: a start cannot fail. */
    if (event != ROLLOUT_START && !fleet_reserve(fleet, touches_of(r, row), err))
        return false;
    if (row->then & SM_DO(rollout, ROLLOUT_RESTORE)) {
        if (!rollback_prepare_automatic(fleet, r, &plan, err))
            return false;
        breached.rollback = plan.created ? &plan : NULL;
    }
    if (event == ROLLOUT_EVALUATE)
        order = &breached;

    enum rollout_state was = r->state;
    fleet_touch_rollout(fleet, r);
    r->state = sm_target(row, r->state);
    if (is_decision(r, event, was, row->then))
        r->generation++;
    bool is_end = !rollout_is_live(r);
    if (is_end)
        note_end(fleet, r, order->cause);
    if (row->then & SM_DO(rollout, ROLLOUT_RESTORE))
        r->has_no_target = !plan.created;
    publish_move(fleet, r, was, row->then, order->reason);
    carry_out(fleet, r, row->then, event, order);
    if (is_end && r->has_no_target)
        withdraw(fleet, r); /* RB10: statuses stay as evidence, unfinished wishes do not */
    if (is_end)
        end(fleet, r, order);
    return true;
}

/* ---- evaluation ----------------------------------------------------------------------------- */

/* Arming, accepting, picking and ending follow each other at most once; each wave opens, is done,
 * soaked and passed, and each of its gates begins and ends. */
static unsigned evaluations_max(const struct rollout *r)
{
    return 8 + r->wave_count * (4 + 2 * LIMIT_GATES);
}

bool progress_evaluate(struct fleet *fleet, struct rollout *r, struct err *err)
{
    for (unsigned i = 0; rollout_is_live(r) && i < evaluations_max(r); i++) {
        if (!rollout_would_move(fleet, r, ROLLOUT_EVALUATE))
            break;
        if (!rollout_step(fleet, r, ROLLOUT_EVALUATE, NULL, err))
            return false;
    }
    if (!r->live)
        return true;
    r->live->lots.has_new_room = false;
    waiting_note(fleet, r);
    return true;
}

void progress_concern(struct fleet *fleet, struct rollout *before, struct rollout *after)
{
    if (fleet->settings.is_manual)
        return;
    if (before && rollout_is_live(before))
        progress_evaluate(fleet, before, NULL);
    if (after && after != before && rollout_is_live(after))
        progress_evaluate(fleet, after, NULL);
}

int64_t progress_due(const struct rollout *r)
{
    int64_t due = TIMERS_NEVER;
    if (r->state != ROLLOUT_RUNNING || r->stopped_at != 0)
        return due;
    if (r->wave_due_at != 0)
        due = r->wave_due_at;
    if (r->live->lots.fleet->is_held)
        return due; /* all else is decided when it goes on */
    if (r->live->lots.has_new_room)
        return 0;
    if (r->leftover_at != 0 && r->leftover_at < due)
        due = r->leftover_at;
    int64_t deadline = r->config.progress_deadline_ms;
    if (deadline > 0 && rollout_tally(r)->in_progress > 0 && r->progressed_at + deadline < due)
        due = r->progressed_at + deadline;
    return due;
}
