/* SPDX-License-Identifier: Apache-2.0
 * gate.c - the gate table. doc/machines/gate.mmd is printed from it. */
#include "core/gate.h"

/* clang-format off */
#define ROW(from, on, when, to, then) SM_ROW(gate, from, on, when, to, then)
#define DO(effect) SM_DO(gate, effect)
static const struct sm_row rows[] = {
    /*  from               on             when               to                 then                          */
    ROW(GATE_NOT_STARTED,  GATE_BEGIN,    GATE_NEVER_BLOCKS, GATE_INCONCLUSIVE, DO(GATE_TELL)),
    ROW(GATE_NOT_STARTED,  GATE_BEGIN,    GATE_ALWAYS,       GATE_WAITING,      DO(GATE_ARM) | DO(GATE_TELL)),

    ROW(GATE_WAITING,      GATE_PROMOTE,  GATE_ALWAYS,       GATE_PASSED,       DO(GATE_TELL)),
    ROW(GATE_WAITING,      GATE_EVALUATE, GATE_TIME_IS_OVER, GATE_INCONCLUSIVE, DO(GATE_TELL)),
    ROW(GATE_WAITING,      GATE_EVALUATE, GATE_ALWAYS,       SM_STAY,           0),

    ROW(GATE_INCONCLUSIVE, GATE_EVALUATE, GATE_ALWAYS,       SM_STAY,           0),
    ROW(GATE_INCONCLUSIVE, GATE_AGAIN,    GATE_NEVER_BLOCKS, SM_STAY,           0),
    ROW(GATE_INCONCLUSIVE, GATE_AGAIN,    GATE_ALWAYS,       GATE_WAITING,      DO(GATE_ARM) | DO(GATE_TELL)),
};
#undef DO
#undef ROW
/* clang-format on */

const struct sm_machine gate_machine = {
    .name = "gate",
    .meaning = "one gate after a wave of a rollout",
    .states = SM_WORDS(gate_state, GATE_STATES),
    .events = SM_WORDS(gate_event, GATE_EVENTS),
    .guards = SM_WORDS(gate_guard, GATE_GUARDS),
    .effects = SM_WORDS(gate_effect, GATE_EFFECTS),
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .initial = GATE_NOT_STARTED,
    .final = SM_SET(GATE_PASSED),
};

static bool holds(const void *subject, unsigned guard)
{
    const struct gate_view *v = subject;
    switch ((enum gate_guard)guard) {
    case GATE_NEVER_BLOCKS: return v->never_blocks;
    case GATE_TIME_IS_OVER: return v->time_is_over;
    case GATE_ALWAYS:
    case gate_guard_count: break;
    }
    return true;
}

const struct sm_row *gate_pick_row(enum gate_state state, enum gate_event event,
                                   const struct gate_view *view)
{
    return sm_pick(&gate_machine, state, event, holds, view);
}
