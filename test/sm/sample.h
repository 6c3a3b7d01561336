/* SPDX-License-Identifier: Apache-2.0
 * sample.h - a sound machine with one row of every kind, for the tests of the table layer. */
#ifndef DIDES_TEST_SM_SAMPLE_H
#define DIDES_TEST_SM_SAMPLE_H

#include "sm/sm.h"

/* clang-format off */
#define SAMPLE_STATES(X, T)                                                \
    X(T, SAMPLE_DRAFT,   "draft",   "accepted, nothing started")           \
    X(T, SAMPLE_RUNNING, "running", "one step is in flight")               \
    X(T, SAMPLE_ON_HOLD, "on-hold", "an operator asked to \"hold\"")       \
    X(T, SAMPLE_DONE,    "done",    "every step succeeded")                \
    X(T, SAMPLE_FAILED,  "failed",  "gave up and rolled back")

#define SAMPLE_EVENTS(X, T)                                                \
    X(T, SAMPLE_START,    "start",    "the scheduler has a free slot")     \
    X(T, SAMPLE_STEP_OK,  "step_ok",  "the health gate of the step passed") \
    X(T, SAMPLE_STEP_BAD, "step_bad", "the step failed or timed out")      \
    X(T, SAMPLE_PAUSE,    "pause",    "operator request")                  \
    X(T, SAMPLE_RESUME,   "resume",   "operator request")

#define SAMPLE_GUARDS(X, T)                                                \
    X(T, SAMPLE_ALWAYS, "always",    "no condition")                       \
    X(T, SAMPLE_LOCKED, "locked",    "somebody else changes this fleet")   \
    X(T, SAMPLE_LAST,   "last",      "no step is left after this one")     \
    X(T, SAMPLE_RETRY,  "may_retry", "attempts are left")

#define SAMPLE_EFFECTS(X, T)                                               \
    X(T, SAMPLE_BEGIN, "begin_step", "send the next step to agents")       \
    X(T, SAMPLE_REARM, "arm_retry",  "wake up after the retry delay")      \
    X(T, SAMPLE_UNDO,  "roll_back",  "send the old version again")         \
    X(T, SAMPLE_TELL,  "notify",     "tell the watchers")
/* clang-format on */

SM_STATES(sample_state, SAMPLE_STATES);
SM_EVENTS(sample_event, SAMPLE_EVENTS);
SM_GUARDS(sample_guard, SAMPLE_GUARDS);
SM_EFFECTS(sample_effect, SAMPLE_EFFECTS);

extern const struct sm_machine sample_machine;

#endif
