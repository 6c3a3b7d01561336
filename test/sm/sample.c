/* SPDX-License-Identifier: Apache-2.0
 * sample.c - the table of the sample machine. */
#include "sample.h"

#define ROW(from, on, when, to, then) SM_ROW(sample, from, on, when, to, then)
#define DO(effect)                    SM_DO(sample, effect)

/* clang-format off */
static const struct sm_row rows[] = {
    ROW(SAMPLE_DRAFT,   SAMPLE_START,    SAMPLE_LOCKED, SM_REFUSE,      0),
    ROW(SAMPLE_DRAFT,   SAMPLE_START,    SAMPLE_ALWAYS, SAMPLE_RUNNING, DO(SAMPLE_BEGIN)),
    ROW(SAMPLE_RUNNING, SAMPLE_STEP_OK,  SAMPLE_LAST,   SAMPLE_DONE,    DO(SAMPLE_TELL)),
    ROW(SAMPLE_RUNNING, SAMPLE_STEP_OK,  SAMPLE_ALWAYS, SAMPLE_RUNNING, DO(SAMPLE_BEGIN)),
    ROW(SAMPLE_RUNNING, SAMPLE_STEP_BAD, SAMPLE_RETRY,  SM_STAY,        DO(SAMPLE_REARM)),
    ROW(SAMPLE_RUNNING, SAMPLE_STEP_BAD, SAMPLE_ALWAYS, SAMPLE_FAILED,  DO(SAMPLE_UNDO) | DO(SAMPLE_TELL)),
    ROW(SAMPLE_RUNNING, SAMPLE_PAUSE,    SAMPLE_ALWAYS, SAMPLE_ON_HOLD, 0),
    ROW(SAMPLE_ON_HOLD, SAMPLE_RESUME,   SAMPLE_ALWAYS, SAMPLE_RUNNING, DO(SAMPLE_BEGIN)),
};
/* clang-format on */

const struct sm_machine sample_machine = {
    .name = "sample",
    .meaning = "steps, one after another",
    .states = SM_WORDS(sample_state, SAMPLE_STATES),
    .events = SM_WORDS(sample_event, SAMPLE_EVENTS),
    .guards = SM_WORDS(sample_guard, SAMPLE_GUARDS),
    .effects = SM_WORDS(sample_effect, SAMPLE_EFFECTS),
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .initial = SAMPLE_DRAFT,
    .final = SM_SET(SAMPLE_DONE) | SM_SET(SAMPLE_FAILED),
};
