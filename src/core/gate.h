/* SPDX-License-Identifier: Apache-2.0
 * gate.h - one gate after a wave: what has to be passed before the next wave opens. Gates ask the
 * operator; others that ask a service follow later. Source: spec of rollouts, 7.3. */
#ifndef DIDES_CORE_GATE_H
#define DIDES_CORE_GATE_H

#include "sm/sm.h"

/* clang-format off */
#define GATE_STATES(X, T)                                                                       \
    X(T, GATE_NOT_STARTED,  "not_started",  "its turn has not come")                            \
    X(T, GATE_WAITING,      "waiting",      "no result yet")                                    \
    X(T, GATE_PASSED,       "passed",       "the next gate, or the next wave, may follow")      \
    X(T, GATE_INCONCLUSIVE, "inconclusive", "its time was over before there was a result")

#define GATE_EVENTS(X, T)                                                                       \
    X(T, GATE_BEGIN,    "begin",    "all before it is passed")                                  \
    X(T, GATE_EVALUATE, "evaluate", "time passed")                                              \
    X(T, GATE_PROMOTE,  "promote",  "operator request")                                         \
    X(T, GATE_AGAIN,    "again",    "an operator resumed the rollout that it paused")

#define GATE_GUARDS(X, T)                                                                       \
    X(T, GATE_ALWAYS,       "always",       "no condition")                                     \
    X(T, GATE_NEVER_BLOCKS, "never_blocks", "it is a dry run: nobody is waited for")            \
    X(T, GATE_TIME_IS_OVER, "time_is_over", "its timeout has passed without a result")

#define GATE_EFFECTS(X, T)                                                                      \
    X(T, GATE_ARM,  "arm",  "its timeout runs from now")                                        \
    X(T, GATE_TELL, "tell", "the journal gets gate.waiting, passed or inconclusive")
/* clang-format on */

SM_STATES(gate_state, GATE_STATES);
SM_EVENTS(gate_event, GATE_EVENTS);
SM_GUARDS(gate_guard, GATE_GUARDS);
SM_EFFECTS(gate_effect, GATE_EFFECTS);

struct gate_view {
    bool never_blocks, time_is_over;
};

extern const struct sm_machine gate_machine;

/* The row that `event` follows in `state`, or NULL when it is refused. */
const struct sm_row *gate_pick_row(enum gate_state state, enum gate_event event,
                                   const struct gate_view *view);

#endif
