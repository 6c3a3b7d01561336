/* SPDX-License-Identifier: Apache-2.0
 * silence.h - the silence of most of a fleet is a fault of the observer, not of the fleet.
 * When more of the instances that are not in flight fell silent within one heartbeat timeout than
 * are heard at all, nobody is picked, deadlines stand still and nothing counts as a breach, until
 * more than half of them are back. The silence of members in flight does not count: an update that
 * kills its own batch still fails by its deadline. That they are heard does count: else picking
 * alone could make a minority of those that are not. Source: RELIABILITY, R18. */
#ifndef DIDES_CORE_SILENCE_H
#define DIDES_CORE_SILENCE_H

#include "base/err.h"
#include "sm/sm.h"

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define SILENCE_STATES(X, T)                                                                    \
    X(T, SILENCE_NONE,   "heard",  "most of the fleet is heard")                                \
    X(T, SILENCE_FROZEN, "frozen", "most of the fleet fell silent at once: rollouts stand still")

#define SILENCE_EVENTS(X, T)                                                                    \
    X(T, SILENCE_WATCH, "watch", "instances fell silent or were heard again")

#define SILENCE_GUARDS(X, T)                                                                    \
    X(T, SILENCE_ALWAYS,       "always",       "no condition")                                  \
    X(T, SILENCE_MOST_FELL,    "most_fell",    "more fell silent within one timeout than are heard") \
    X(T, SILENCE_MOST_RETURNED, "most_returned", "more than half of those are back")

#define SILENCE_EFFECTS(X, T)                                                                   \
    X(T, SILENCE_FREEZE, "freeze", "no picks, deadlines stand still; the journal gets fleet.silent") \
    X(T, SILENCE_THAW,   "thaw",   "deadlines move by the time that stood still; the journal gets fleet.heard")
/* clang-format on */

SM_STATES(silence_state, SILENCE_STATES);
SM_EVENTS(silence_event, SILENCE_EVENTS);
SM_GUARDS(silence_guard, SILENCE_GUARDS);
SM_EFFECTS(silence_effect, SILENCE_EFFECTS);

extern const struct sm_machine silence_machine;

struct fleet;
struct instance;
struct rollout;

#define SILENCE_SLICES 16 /* of one heartbeat timeout: how finely "within" is told */

/* Who fell silent when. Follows from the records of instances (offline_at) and, as far as it is
 * frozen, from those of live rollouts (frozen_at). */
struct silence {
    uint8_t state;                 /* enum silence_state */
    int64_t slice_ms;              /* at least 1 */
    int64_t newest;                /* number of the newest slice: time / slice_ms */
    uint32_t fell[SILENCE_SLICES]; /* by number modulo SILENCE_SLICES: still silent since then */
    int64_t frozen_at;
    uint32_t fallen;  /* that made it freeze */
    uint32_t missing; /* of those, still silent */
};

/* Counts anew, before every instance is told by silence_recount(); frozen as it was, or when a live
 * rollout says so. */
void silence_begin(struct fleet *fleet);

/* An instance is silent now that was not in flight: by its record. */
void silence_fell(struct fleet *fleet, const struct instance *inst);
/* It is heard again, or deleted; to be called before its record changes. */
void silence_ended(struct fleet *fleet, const struct instance *inst);

/* Freezes or thaws; to be called after time passed or somebody was heard. ERR_MEMORY: later. */
bool silence_watch(struct fleet *fleet, struct err *err);
bool silence_would_move(const struct fleet *fleet);
bool silence_is_frozen(const struct fleet *fleet);
/* A rollout that starts while the fleet is frozen stands still at once. */
void silence_join(const struct fleet *fleet, struct rollout *r);

/* For checks: the same without anybody, one more instance if it fell silent, and whether that is
 * all that `s` has counted. */
struct silence silence_empty(const struct silence *s);
void silence_recount(struct silence *counted, const struct instance *inst);
bool silence_equal(const struct silence *s, const struct silence *counted);

#endif
