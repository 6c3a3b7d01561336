/* SPDX-License-Identifier: Apache-2.0
 * progress.h - one evaluation of one live rollout, and the step of the rollout machine.
 * Neither ever scans the fleet: both work on counters and member sets (spec of rollouts, 6.2, 14).
 */
#ifndef DIDES_CORE_PROGRESS_H
#define DIDES_CORE_PROGRESS_H

#include "core/fleet.h"

struct rollback_plan;

/* What goes with an event of the rollout machine. */
struct rollout_order {
    bool finish_in_flight;          /* of an abort */
    bool is_full;                   /* of a promotion: all later soaks and gates too */
    enum rollout_cause cause;       /* of an event that fails the rollout */
    struct text reason;             /* what the operator said, or empty */
    struct rollback_plan *rollback; /* to be carried out when the step fails the rollout, or NULL */
};

/* Follows `event`: the only place that writes a rollout's state. ERR_REFUSED when the table refuses
 * it, ERR_MEMORY when there is no room for its effects; then nothing has changed. */
bool rollout_step(struct fleet *fleet, struct rollout *r, enum rollout_event event,
                  const struct rollout_order *order, struct err *err);
/* Whether `event` would be accepted now and would change something. */
bool rollout_would_move(const struct fleet *fleet, const struct rollout *r,
                        enum rollout_event event);

/* Evaluates until nothing more follows. ERR_MEMORY: as far as there was memory; ask again. */
bool progress_evaluate(struct fleet *fleet, struct rollout *r, struct err *err);

/* After an event that concerned these rollouts (NULL: none): evaluates them, unless decisions are
 * taken only when asked for. What memory does not allow now is done by the next tick. */
void progress_concern(struct fleet *fleet, struct rollout *before, struct rollout *after);

/* Most of the fleet fell silent, or is heard again (silence.h): clocks stop, and go on. The latter
 * touches the members in flight, for which room was reserved. */
void progress_freeze(struct fleet *fleet, struct rollout *r);
void progress_thaw(struct fleet *fleet, struct rollout *r);

/* P6, P7: whether there is a free slot and a candidate that may be picked. */
bool progress_can_pick(const struct rollout *r);
/* Slots that are free by the batch limit and the mode of the open wave. */
uint32_t progress_free_slots(const struct rollout *r);
/* Whether another available member may be taken (min_available). */
bool progress_may_take_available(const struct rollout *r);
/* Only failed and offline members remain, and every wave has passed, or the open one cannot. */
bool progress_only_leftovers(const struct rollout *r);
/* The instant at which it is to be evaluated: when time alone may change it, or at once when
 * another rollout made room in a failure domain that they share. TIMERS_NEVER: none. */
int64_t progress_due(const struct rollout *r);

#endif
