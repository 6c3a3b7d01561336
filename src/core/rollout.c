/* SPDX-License-Identifier: Apache-2.0
 * rollout.c - the rollout table. Read the rows as the manual: the rows of "evaluate" are the steps
 * of one evaluation, in their order (spec of rollouts, 6.2). doc/machines/rollout.mmd is printed
 * from here; progress.c answers the guards and carries out the effects. */
#include "core/rollout.h"

/* clang-format off */
#define ROW(from, on, when, to, then) SM_ROW(rollout, from, on, when, to, then)
#define DO(effect) SM_DO(rollout, effect)
static const struct sm_row rows[] = {
    /*  from             on                when                        to                 then                          */
    ROW(ROLLOUT_UNKNOWN, ROLLOUT_START,    ROLLOUT_NOBODY_NEEDS_IT,    ROLLOUT_COMPLETED, 0),
    ROW(ROLLOUT_UNKNOWN, ROLLOUT_START,    ROLLOUT_ALWAYS,             ROLLOUT_RUNNING,   DO(ROLLOUT_MOVE_WAVE) | DO(ROLLOUT_PICK)),
    ROW(ROLLOUT_UNKNOWN, ROLLOUT_ABORT,    ROLLOUT_ALWAYS,             ROLLOUT_FAILED,    0),
    ROW(ROLLOUT_UNKNOWN, ROLLOUT_ROLLBACK, ROLLOUT_ALWAYS,             ROLLOUT_FAILED,    0),

    /* A breach is tested before completion: the last failure must not pass as a success. */
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_BREACH_PAUSES,      ROLLOUT_PAUSED,    DO(ROLLOUT_STOP_CLOCKS)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_BREACH_ROLLS_BACK,  ROLLOUT_FAILED,    DO(ROLLOUT_RESTORE)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_BREACH_ENDS_UNDO,   ROLLOUT_FAILED,    0),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_BREACH_ABORTS,      ROLLOUT_FAILED,    DO(ROLLOUT_WITHDRAW)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_GATE_PAUSES,        ROLLOUT_PAUSED,    DO(ROLLOUT_STOP_CLOCKS)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_ALL_DONE,           ROLLOUT_COMPLETED, 0),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_LEFTOVERS_ACCEPTED, ROLLOUT_COMPLETED, 0),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_LEFTOVERS_VANISH,   SM_STAY,           DO(ROLLOUT_DISARM_LEFTOVERS)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_WAVE_MOVES,         SM_STAY,           DO(ROLLOUT_MOVE_WAVE)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_CAN_PICK,           SM_STAY,           DO(ROLLOUT_PICK)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_LEFTOVERS_APPEAR,   SM_STAY,           DO(ROLLOUT_ARM_LEFTOVERS)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_EVALUATE, ROLLOUT_ALWAYS,             SM_STAY,           0),

    ROW(ROLLOUT_RUNNING, ROLLOUT_PAUSE,    ROLLOUT_ALWAYS,             ROLLOUT_PAUSED,    DO(ROLLOUT_STOP_CLOCKS)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_RESUME,   ROLLOUT_ALWAYS,             SM_STAY,           0),
    ROW(ROLLOUT_RUNNING, ROLLOUT_ABORT,    ROLLOUT_FINISH_IN_FLIGHT,   ROLLOUT_FAILED,    0),
    ROW(ROLLOUT_RUNNING, ROLLOUT_ABORT,    ROLLOUT_ALWAYS,             ROLLOUT_FAILED,    DO(ROLLOUT_WITHDRAW)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_RETRY,    ROLLOUT_HAS_FAILED_MEMBERS, SM_STAY,           DO(ROLLOUT_TRY_AGAIN) | DO(ROLLOUT_DISARM_LEFTOVERS)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_RETRY,    ROLLOUT_ALWAYS,             SM_REFUSE,         0),
    ROW(ROLLOUT_RUNNING, ROLLOUT_PROMOTE,  ROLLOUT_CAN_PROMOTE,        SM_STAY,           DO(ROLLOUT_PASS_ON)),
    ROW(ROLLOUT_RUNNING, ROLLOUT_PROMOTE,  ROLLOUT_ALWAYS,             SM_REFUSE,         0),
    ROW(ROLLOUT_RUNNING, ROLLOUT_ROLLBACK, ROLLOUT_ALWAYS,             ROLLOUT_FAILED,    0),

    ROW(ROLLOUT_PAUSED,  ROLLOUT_EVALUATE, ROLLOUT_ALWAYS,             SM_STAY,           0),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_PAUSE,    ROLLOUT_ALWAYS,             SM_STAY,           0),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_RESUME,   ROLLOUT_BREACH_PAUSED_IT,   ROLLOUT_RUNNING,   DO(ROLLOUT_MOVE_CLOCKS) | DO(ROLLOUT_ACKNOWLEDGE)),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_RESUME,   ROLLOUT_ALWAYS,             ROLLOUT_RUNNING,   DO(ROLLOUT_MOVE_CLOCKS)),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_ABORT,    ROLLOUT_FINISH_IN_FLIGHT,   ROLLOUT_FAILED,    0),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_ABORT,    ROLLOUT_ALWAYS,             ROLLOUT_FAILED,    DO(ROLLOUT_WITHDRAW)),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_RETRY,    ROLLOUT_HAS_FAILED_MEMBERS, SM_STAY,           DO(ROLLOUT_TRY_AGAIN) | DO(ROLLOUT_DISARM_LEFTOVERS)),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_RETRY,    ROLLOUT_ALWAYS,             SM_REFUSE,         0),
    ROW(ROLLOUT_PAUSED,  ROLLOUT_ROLLBACK, ROLLOUT_ALWAYS,             ROLLOUT_FAILED,    0),
};
#undef DO
#undef ROW
/* clang-format on */

const struct sm_machine rollout_machine = {
    .name = "rollout",
    .meaning = "one attempt to bring a selected set of instances to a target version",
    .states = SM_WORDS(rollout_state, ROLLOUT_STATES),
    .events = SM_WORDS(rollout_event, ROLLOUT_EVENTS),
    .guards = SM_WORDS(rollout_guard, ROLLOUT_GUARDS),
    .effects = SM_WORDS(rollout_effect, ROLLOUT_EFFECTS),
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .initial = ROLLOUT_UNKNOWN,
    .final = SM_SET(ROLLOUT_COMPLETED) | SM_SET(ROLLOUT_FAILED),
};

#define ROLLOUT_WORD_OF(id, word) [id] = word,
const char *rollout_cause_word(enum rollout_cause cause)
{
    static const char *const words[] = { ROLLOUT_CAUSES(ROLLOUT_WORD_OF) };
    return cause < ROLLOUT_CAUSE_COUNT ? words[cause] : NULL;
}

const char *rollout_outcome_word(enum rollout_outcome outcome)
{
    static const char *const words[] = { ROLLOUT_OUTCOMES(ROLLOUT_WORD_OF) };
    return outcome < ROLLOUT_OUTCOME_COUNT ? words[outcome] : NULL;
}
#undef ROLLOUT_WORD_OF
