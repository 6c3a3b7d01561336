/* SPDX-License-Identifier: Apache-2.0
 * invariants_rollout.c - the rules that are seen on rollouts. See invariants.h. */
#include "core/progress.h"
#include "core/waves.h"
#include "sim/invariants.h"

/* False and the sentence "r-<number> ...". */
__attribute__((format(printf, 3, 4))) static bool blame(struct err *err, const struct rollout *r,
                                                        const char *format, ...)
{
    char said[ERR_TEXT_SIZE - 32];
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    return err_set(err, ERR_INTERNAL, "r-%u %s", (unsigned)r->number, said);
}

/* Rollouts that ended in this event. */
static bool has_ended_now(const struct witness *w, const struct rollout *r)
{
    return !rollout_is_live(r) && seen_rollout_before(w, r->number).frozen == 0;
}

/* Calls `holds` for rollouts that ended in this event; they are among the newest or were live. */
static bool each_ended(const struct witness *w, struct err *err,
                       bool (*holds)(const struct witness *, const struct rollout *, struct err *))
{
    for (uint32_t i = w->fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = w->fleet->rollouts[i - 1];
        if (has_ended_now(w, r) && !holds(w, r, err))
            return false;
    }
    return true;
}

static bool each_live(const struct witness *w, struct err *err,
                      bool (*holds)(const struct witness *, const struct rollout *, struct err *))
{
    const struct fleet *fleet = w->fleet;
    uint32_t found = 0;
    for (uint32_t i = 0; i < FLEET_LIVE_MAX && found < fleet->live_count; i++) {
        if (!fleet->live[i])
            continue;
        found++;
        if (!holds(w, fleet->live[i]->rollout, err))
            return false;
    }
    return found == fleet->live_count ||
           err_set(err, ERR_INTERNAL, "%u rollouts are said to be live and %u are",
                   fleet->live_count, found);
}

/* ---- I1 ------------------------------------------------------------------------------------- */

static bool adds_up(const struct witness *w, const struct rollout *r, struct err *err)
{
    const struct tally *t = rollout_tally(r);
    (void)w;
    if (t->total != t->pending + t->in_progress + t->completed + t->failed)
        return blame(err, r, "has %u members, but %u + %u + %u + %u", t->total, t->pending,
                     t->in_progress, t->completed, t->failed);
    if (t->pending_online > t->pending || t->already_current > t->completed ||
        t->acknowledged > t->failed || t->settling > t->in_progress || t->offline > t->total ||
        t->available > t->total)
        return blame(err, r, "counts more in a part than in the whole");
    return true;
}

bool invariant_sums(const struct witness *w, struct err *err)
{
    return each_live(w, err, adds_up) && each_ended(w, err, adds_up);
}

/* Each member belongs to one wave (5.4). */
static bool parts_add_up(const struct witness *w, const struct rollout *r, struct err *err)
{
    const struct tally *whole = rollout_tally(r);
    struct tally sum = { 0 };
    (void)w;
    for (uint32_t i = 0; i < r->wave_count; i++) {
        const struct tally *t = wave_tally(r, i);
        sum.total += t->total;
        sum.pending += t->pending;
        sum.in_progress += t->in_progress;
        sum.completed += t->completed;
        sum.failed += t->failed;
    }
    return (sum.total == whole->total && sum.pending == whole->pending &&
            sum.in_progress == whole->in_progress && sum.completed == whole->completed &&
            sum.failed == whole->failed) ||
           blame(err, r, "has %u members, and its waves %u", whole->total, sum.total);
}

bool invariant_parts(const struct witness *w, struct err *err)
{
    return each_live(w, err, parts_add_up);
}

/* ---- I2 ------------------------------------------------------------------------------------- */

/* The limit is passed only by what a rollback inherits, or when the fleet, and a limit in percent
 * with it, gets smaller. */
static bool is_within_limit(const struct witness *w, const struct rollout *r, struct err *err)
{
    struct seen_rollout before = seen_rollout_before(w, r->number);
    uint32_t busy = rollout_tally(r)->in_progress;
    uint32_t limit = rollout_batch_limit(r);
    bool inherits = !before.is_there && r->rollback_of != 0;
    if (busy <= limit || inherits || (before.is_there && busy <= before.in_flight))
        return true;
    return blame(err, r, "has %u in flight after %u, and its limit is %u", busy, before.in_flight,
                 limit);
}

bool invariant_limits(const struct witness *w, struct err *err)
{
    return each_live(w, err, is_within_limit);
}

/* ---- I4 ------------------------------------------------------------------------------------- */

static bool is_disjoint(const struct witness *w, const struct rollout *r, struct err *err)
{
    const struct fleet *fleet = w->fleet;
    for (uint32_t i = 0; i < FLEET_LIVE_MAX && fleet->live_count > 1; i++) {
        const struct rollout *other = fleet->live[i] ? fleet->live[i]->rollout : r;
        if (other != r && !selector_disjoint(&r->selector, &other->selector))
            return blame(err, r, "may select the same instances as r-%u", other->number);
    }
    return true;
}

bool invariant_concurrency(const struct witness *w, struct err *err)
{
    const struct fleet *fleet = w->fleet;
    if (fleet->live_count > fleet->settings.max_concurrent)
        return err_set(err, ERR_INTERNAL, "%u rollouts are live, and %u may be", fleet->live_count,
                       fleet->settings.max_concurrent);
    return each_live(w, err, is_disjoint);
}

/* ---- I5 ------------------------------------------------------------------------------------- */

bool invariant_refusals(const struct witness *w, struct err *err)
{
    const struct fleet *fleet = w->fleet;
    if (!w->event.is_refused)
        return true;
    if (fleet->change_count > 0 || fleet->woken_count > 0 || fleet->next_index != w->next_index ||
        fleet->last_number != w->last_number)
        return err_set(err, ERR_INTERNAL, "a refused request left %u journal entries and %u wishes",
                       fleet->change_count, fleet->woken_count);
    if (w->changed_count > 0)
        return err_set(err, ERR_INTERNAL, "a refused request changed %u instances",
                       w->changed_count);
    return true;
}

bool invariant_frozen(const struct witness *w, struct err *err)
{
    for (uint32_t i = 0; i < w->fleet->rollout_count; i++) {
        const struct rollout *r = w->fleet->rollouts[i];
        struct seen_rollout before = seen_rollout_before(w, r->number);
        if (before.frozen == 0)
            continue;
        if (rollout_is_live(r))
            return blame(err, r, "had ended and is live again");
        if (seen_record(w->fleet, r) != before.frozen)
            return blame(err, r, "had ended and its record changed");
    }
    return true;
}

/* ---- I6 ------------------------------------------------------------------------------------- */

static bool is_movable(const struct witness *w, const struct rollout *r, struct err *err)
{
    struct waiting list[WAITING_REASON_COUNT];
    const struct fleet *fleet = w->fleet;
    size_t count = waiting_list(fleet, r, list);
    if (fleet->settings.is_manual || w->is_starved)
        return true;
    if (rollout_would_move(fleet, r, ROLLOUT_EVALUATE))
        return fleet_next_due(fleet) <= fleet->now ||
               blame(err, r, "could move, and nothing will make it");
    if (count == 0)
        return blame(err, r, "names nothing that it waits for");
    if (r->state == ROLLOUT_PAUSED && list[0].reason != WAITING_PAUSED && !fleet->is_held)
        return blame(err, r, "is PAUSED and waits for %s", waiting_word(list[0].reason));
    for (size_t i = 0; i < count; i++) {
        if (list[i].since <= 0 || list[i].since > fleet->now)
            return blame(err, r, "waits for %s since the future", waiting_word(list[i].reason));
        if (list[i].until != 0 && r->state == ROLLOUT_RUNNING && !fleet->is_held &&
            fleet_next_due(fleet) > list[i].until)
            return blame(err, r, "waits for %s until an instant that no timer has",
                         waiting_word(list[i].reason));
    }
    return true;
}

bool invariant_movable(const struct witness *w, struct err *err)
{
    return each_live(w, err, is_movable);
}

/* ---- I7 ------------------------------------------------------------------------------------- */

bool invariant_one_rollback(const struct witness *w, struct err *err)
{
    for (uint32_t i = w->fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = w->fleet->rollouts[i - 1];
        if (seen_rollout_before(w, r->number).is_there)
            continue; /* only new ones can break it */
        if (r->rollback_of == 0)
            continue;
        const struct rollout *source = fleet_rollout(w->fleet, r->rollback_of);
        if (source && source->rollback_of != 0)
            return blame(err, r, "undoes r-%u, which is a rollback", source->number);
        bool is_automatic = text_equal(r->created_by, TEXT("server"));
        if (is_automatic && seen_rollout_before(w, r->rollback_of).undone_by_server > 0)
            return blame(err, r, "is the second automatic rollback of r-%u", r->rollback_of);
    }
    return true;
}

/* ---- I13 ------------------------------------------------------------------------------------ */

static bool is_breach(const struct rollout *r)
{
    return r->state == ROLLOUT_FAILED && r->cause != ROLLOUT_CAUSE_NONE &&
           r->cause != ROLLOUT_CAUSE_ABORTED && r->cause != ROLLOUT_CAUSE_ROLLED_BACK;
}

static bool replaces(struct version target, struct version source)
{
    return (!source.code || target.code) && (!source.config || target.config) &&
           !version_is_at(target, source);
}

/* RB4: a completed one before it, with the same selector and another version of all that the source
 * changed. */
static bool has_target_rollout(const struct fleet *fleet, const struct rollout *source)
{
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        const struct rollout *r = fleet->rollouts[i];
        if (r->number < source->number && r->state == ROLLOUT_COMPLETED && r->rollback_of == 0 &&
            r->rolled_back_by == 0 && text_equal(r->selector_text, source->selector_text) &&
            replaces(r->target, source->target))
            return true;
    }
    return false;
}

/* RB5: whether some touched member can be brought back. */
static bool has_target(const struct fleet *fleet, const struct rollout *source)
{
    bool has_rollout = has_target_rollout(fleet, source);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (!inst->texts || inst->is_gone || inst->trail_count == 0 ||
            !selector_matches(&source->selector, &fleet->labels, inst->labels))
            continue;
        struct trail_entry top = inst->trail[inst->trail_count - 1];
        bool is_known = (!source->target.code || top.previous.code) &&
                        (!source->target.config || top.previous.config);
        if (top.rollout == source->number && (is_known || has_rollout))
            return true;
    }
    return false;
}

static bool is_undone(const struct witness *w, const struct rollout *r, struct err *err)
{
    if (!is_breach(r) || r->rollback_of != 0 || r->config.on_failure != ON_FAILURE_ROLLBACK)
        return true;
    if (r->has_no_target)
        return !has_target(w->fleet, r) ||
               blame(err, r, "failed by a breach, has something to go back to, and says not");
    const struct rollout *undo = fleet_rollout(w->fleet, r->rolled_back_by);
    if (!undo || undo->rollback_of != r->number)
        return blame(err, r, "failed by a breach without its rollback");
    return seen_rollout_before(w, undo->number).is_there == false ||
           blame(err, r, "failed by a breach after its rollback r-%u", undo->number);
}

static bool stops_at_threshold(const struct witness *w, const struct rollout *r, struct err *err)
{
    const struct tally *t = rollout_tally(r);
    if (r->state != ROLLOUT_RUNNING || w->fleet->settings.is_manual || w->is_starved ||
        w->fleet->is_held || r->stopped_at != 0 ||
        t->failed - t->acknowledged < rollout_threshold(r))
        return true;
    return blame(err, r, "goes on, and %u of at most %u failed", t->failed - t->acknowledged,
                 rollout_threshold(r));
}

bool invariant_breach(const struct witness *w, struct err *err)
{
    return each_ended(w, err, is_undone) && each_live(w, err, stops_at_threshold);
}

/* ---- I16 ------------------------------------------------------------------------------------ */

/* Who is a member when a rollout completes: placements are left as they were then. */
static bool forgets(const struct witness *w, const struct rollout *r, uint32_t slot)
{
    const struct instance *inst = fleet_at(w->fleet, slot);
    return inst->texts && !inst->is_gone && inst->placed.rollout != r->number &&
           selector_matches(&r->selector, &w->fleet->labels, inst->labels);
}

static bool is_complete(const struct witness *w, const struct rollout *r, struct err *err)
{
    const struct tally *t = &r->final;
    if (r->state != ROLLOUT_COMPLETED)
        return r->outcome == OUTCOME_NONE || blame(err, r, "did not complete and has an outcome");
    if ((r->outcome == OUTCOME_FULL) != (t->completed == t->total))
        return blame(err, r, "completed %u of %u, and its outcome is %s", t->completed, t->total,
                     rollout_outcome_word(r->outcome));
    if (t->in_progress > 0 || t->pending_online > 0)
        return blame(err, r, "completed with %u in flight and %u waiting", t->in_progress,
                     t->pending_online);
    if (t->failed - t->acknowledged >= rollout_threshold(r))
        return blame(err, r, "completed with %u failed of at most %u", t->failed - t->acknowledged,
                     rollout_threshold(r));
    for (uint32_t slot = 0; r->config.dynamic && slot < w->fleet->slot_count; slot++)
        if (forgets(w, r, slot))
            return blame(err, r, "completed and forgot %.*s",
                         TEXT_ARG(instance_key(fleet_at(w->fleet, slot))));
    return true;
}

bool invariant_complete(const struct witness *w, struct err *err)
{
    return each_ended(w, err, is_complete);
}

/* ---- I19 ------------------------------------------------------------------------------------ */

static bool moved_by_table(const struct witness *w, const struct rollout *r, struct err *err)
{
    struct seen_rollout before = seen_rollout_before(w, r->number);
    unsigned from = before.is_there ? before.state : rollout_machine.initial;
    if (r->state >= rollout_state_count)
        return blame(err, r, "is in no state of the table");
    bool has_end = !rollout_is_live(r);
    if (has_end != (r->ended_at != 0) || has_end != (r->live == NULL))
        return blame(err, r, "is %s, and its end says something else",
                     sm_word_at(&rollout_machine.states, r->state));
    if ((r->state == ROLLOUT_FAILED) != (r->cause != ROLLOUT_CAUSE_NONE))
        return blame(err, r, "is %s, and its cause says something else",
                     sm_word_at(&rollout_machine.states, r->state));
    return machine_reaches(&rollout_machine, from, r->state) ||
           blame(err, r, "went from %s to %s", sm_word_at(&rollout_machine.states, from),
                 sm_word_at(&rollout_machine.states, r->state));
}

bool invariant_states(const struct witness *w, struct err *err)
{
    return each_live(w, err, moved_by_table) && each_ended(w, err, moved_by_table);
}

/* ---- I23 ------------------------------------------------------------------------------------ */

/* R18: while most of the fleet is silent there is no breach. Only what stood still before the event
 * and still does: it may freeze or thaw in it. */
static bool failed_while_still(const struct witness *w, const struct rollout *r, struct err *err)
{
    struct seen_rollout before = seen_rollout_before(w, r->number);
    if (!before.stands_still || !silence_is_frozen(w->fleet) || !is_breach(r))
        return true;
    return blame(err, r, "failed (%s) while most of the fleet is silent",
                 rollout_cause_word(r->cause));
}

bool invariant_stillness(const struct witness *w, struct err *err)
{
    for (uint32_t i = 0; i < w->fleet->change_count; i++) {
        const struct change *change = &w->fleet->changes[i];
        const struct rollout *r = fleet_rollout(w->fleet, change->rollout);
        bool is_by_time = change->cause == CAUSE_TIMEOUT || change->cause == CAUSE_UNHEALTHY;
        if (change->type == CHANGE_FAILED && is_by_time && r && r->frozen_at != 0 &&
            seen_rollout_before(w, r->number).stands_still)
            return blame(err, r,
                         "fails a member by its deadline while most of the fleet is silent");
    }
    return each_ended(w, err, failed_while_still);
}
