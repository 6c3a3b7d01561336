/* SPDX-License-Identifier: Apache-2.0
 * wave.h - one wave of a rollout: its members are updated, then it soaks, then its gates are passed
 * in order. One wave is open at a time; those before it are passed. Source: spec of rollouts, 6.2
 * (P5) and 7.2. */
#ifndef DIDES_CORE_WAVE_H
#define DIDES_CORE_WAVE_H

#include "sm/sm.h"

/* clang-format off */
#define WAVE_STATES(X, T)                                                                       \
    X(T, WAVE_NOT_STARTED, "not_started", "an earlier wave is open")                            \
    X(T, WAVE_RUNNING,     "running",     "its members are updated")                            \
    X(T, WAVE_SOAKING,     "soaking",     "its members are done and watched for a while")       \
    X(T, WAVE_GATED,       "gated",       "its gates are waited for, one after the other")      \
    X(T, WAVE_PASSED,      "passed",      "the next wave may open")

#define WAVE_EVENTS(X, T)                                                                       \
    X(T, WAVE_OPEN,     "open",     "the wave before it was passed, or the rollout started")    \
    X(T, WAVE_EVALUATE, "evaluate", "a member changed, time passed, or somebody asked")         \
    X(T, WAVE_PROMOTE,  "promote",  "operator request")

#define WAVE_GUARDS(X, T)                                                                       \
    X(T, WAVE_ALWAYS,        "always",        "no condition")                                   \
    X(T, WAVE_IS_UNDONE,     "undone",        "a member up to this wave is in flight, or waits and can be picked") \
    X(T, WAVE_HAS_NO_PROOF,  "no_proof",      "none of its members has completed")              \
    X(T, WAVE_HURRIES,       "hurries",       "of a fast rollback, with nobody left to pick: the next wave need not wait") \
    X(T, WAVE_HAS_SOAK,      "has_soak",      "it has a soak that has not been skipped")        \
    X(T, WAVE_SOAK_RUNS,     "soak_runs",     "its soak is not over")                           \
    X(T, WAVE_HAS_GATE,      "has_gate",      "a gate is left that has not been skipped")       \
    X(T, WAVE_GATE_WAITS,    "gate_waits",    "the present gate has not been passed")           \
    X(T, WAVE_GATE_MOVES,    "gate_moves",    "the time of the present gate is over")

#define WAVE_EFFECTS(X, T)                                                                      \
    X(T, WAVE_ADMIT,      "admit",      "its members become candidates; the journal gets wave.opened") \
    X(T, WAVE_ARM_SOAK,   "arm_soak",   "the soak runs from now")                               \
    X(T, WAVE_DISARM,     "disarm",     "what was waited for is waited for anew later")         \
    X(T, WAVE_SKIP_SOAK,  "skip_soak",  "the soak is not waited for again")                     \
    X(T, WAVE_STEP_GATE,  "step_gate",  "the present gate takes the event, or begins")          \
    X(T, WAVE_CREDIT,     "credit",     "the journal gets wave.passed")
/* clang-format on */

SM_STATES(wave_state, WAVE_STATES);
SM_EVENTS(wave_event, WAVE_EVENTS);
SM_GUARDS(wave_guard, WAVE_GUARDS);
SM_EFFECTS(wave_effect, WAVE_EFFECTS);

/* What the guards look at. */
struct wave_view {
    bool is_undone, has_no_proof, hurries;
    bool has_soak, soak_runs;
    bool has_gate, gate_waits, gate_moves;
};

extern const struct sm_machine wave_machine;

/* The row that `event` follows in `state`, or NULL when it is refused. */
const struct sm_row *wave_pick_row(enum wave_state state, enum wave_event event,
                                   const struct wave_view *view);

#endif
