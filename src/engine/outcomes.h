/* SPDX-License-Identifier: Apache-2.0
 * outcomes.h - how updates and rollouts ended, counted from the journal entries of commands. What a
 * round brings about is kept apart until it is durable: what the store drops has never happened. */
#ifndef DIDES_ENGINE_OUTCOMES_H
#define DIDES_ENGINE_OUTCOMES_H

#include "base/octaves.h"
#include "core/fleet.h"

#define ROLLOUT_RESULTS(X)                                                                         \
    X(RESULT_FULL, "full") X(RESULT_PARTIAL, "partial") X(RESULT_FAILED, "failed")
#define UPDATE_RESULTS(X) X(UPDATE_COMPLETED, "completed") X(UPDATE_FAILED, "failed")
#define ROLLBACK_KINDS(X) X(ROLLBACK_MANUAL, "manual") X(ROLLBACK_AUTOMATIC, "automatic")

#define OUTCOME_ITEM(id, word) id,
enum rollout_result { ROLLOUT_RESULTS(OUTCOME_ITEM) ROLLOUT_RESULT_COUNT };
enum update_result { UPDATE_RESULTS(OUTCOME_ITEM) UPDATE_RESULT_COUNT };
enum rollback_kind { ROLLBACK_KINDS(OUTCOME_ITEM) ROLLBACK_KIND_COUNT };
#undef OUTCOME_ITEM

/* Zero-initialised is empty. */
struct outcomes {
    bool has_any;
    struct octaves rollout_ms[ROLLOUT_RESULT_COUNT]; /* from the start to the end */
    /* From the order to its end, pauses included. A failed member that recovers ends twice; one
     * that regresses after it completed does not end again. */
    struct octaves update_ms[UPDATE_RESULT_COUNT];
    uint64_t failures[MEMBER_CAUSE_COUNT]; /* by enum member_cause */
    uint64_t rollbacks[ROLLBACK_KIND_COUNT];
    uint64_t gates_passed, gates_inconclusive;
};

/* Counts what one journal entry of the present command says. */
void outcomes_note(struct outcomes *outcomes, const struct fleet *fleet,
                   const struct change *change);
/* Adds all of `more`, which is empty afterwards. */
void outcomes_take(struct outcomes *outcomes, struct outcomes *more);

#endif
