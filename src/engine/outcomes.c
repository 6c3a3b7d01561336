/* SPDX-License-Identifier: Apache-2.0
 * outcomes.c - see outcomes.h. */
#include "engine/outcomes.h"

static uint64_t duration(int64_t from, int64_t to)
{
    return to > from ? (uint64_t)(to - from) : 0;
}

static void note_end(struct outcomes *o, const struct rollout *r)
{
    enum rollout_result result = r->state != ROLLOUT_COMPLETED ? RESULT_FAILED
                                 : r->outcome == OUTCOME_FULL  ? RESULT_FULL
                                                               : RESULT_PARTIAL;
    int64_t began = r->started_at ? r->started_at : r->created_at;
    octaves_add(&o->rollout_ms[result], duration(began, r->ended_at));
}

/* Whom the server itself made is automatic (core/rollback.c). */
static enum rollback_kind kind_of(const struct rollout *r)
{
    return text_equal(r->created_by, TEXT("server")) ? ROLLBACK_AUTOMATIC : ROLLBACK_MANUAL;
}

void outcomes_note(struct outcomes *o, const struct fleet *fleet, const struct change *change)
{
    const struct rollout *r;
    switch ((enum change_type)change->type) {
    case CHANGE_COMPLETED:
        octaves_add(&o->update_ms[UPDATE_COMPLETED], duration(change->ordered_at, fleet->now));
        break;
    case CHANGE_FAILED:
        o->failures[change->cause]++;
        if (change->cause != CAUSE_REGRESSED)
            octaves_add(&o->update_ms[UPDATE_FAILED], duration(change->ordered_at, fleet->now));
        break;
    case CHANGE_ROLLOUT_COMPLETED:
    case CHANGE_ROLLOUT_FAILED:
        r = fleet_rollout(fleet, change->rollout);
        if (r) /* else it was forgotten in the same breath */
            note_end(o, r);
        break;
    case CHANGE_ROLLBACK_STARTED:
        r = fleet_rollout(fleet, change->rollout);
        if (r)
            o->rollbacks[kind_of(r)]++;
        break;
    case CHANGE_GATE_PASSED: o->gates_passed++; break;
    case CHANGE_GATE_INCONCLUSIVE: o->gates_inconclusive++; break;
    default: return;
    }
    o->has_any = true;
}

void outcomes_take(struct outcomes *o, struct outcomes *more)
{
    if (!more->has_any)
        return;
    for (unsigned i = 0; i < ROLLOUT_RESULT_COUNT; i++)
        octaves_merge(&o->rollout_ms[i], &more->rollout_ms[i]);
    for (unsigned i = 0; i < UPDATE_RESULT_COUNT; i++)
        octaves_merge(&o->update_ms[i], &more->update_ms[i]);
    for (unsigned i = 0; i < MEMBER_CAUSE_COUNT; i++)
        o->failures[i] += more->failures[i];
    for (unsigned i = 0; i < ROLLBACK_KIND_COUNT; i++)
        o->rollbacks[i] += more->rollbacks[i];
    o->gates_passed += more->gates_passed;
    o->gates_inconclusive += more->gates_inconclusive;
    o->has_any = true;
    *more = (struct outcomes){ .has_any = false };
}
