/* SPDX-License-Identifier: Apache-2.0
 * wave.c - the wave table. doc/machines/wave.mmd is printed from it; waves.c answers the guards and
 * carries out the effects. */
#include "core/wave.h"

/* clang-format off */
#define ROW(from, on, when, to, then) SM_ROW(wave, from, on, when, to, then)
#define DO(effect) SM_DO(wave, effect)
static const struct sm_row rows[] = {
    /*  from              on             when               to             then               */
    ROW(WAVE_NOT_STARTED, WAVE_OPEN,     WAVE_ALWAYS,       WAVE_RUNNING,  DO(WAVE_ADMIT)),

    /* Failed and offline members within the threshold do not hold it back, but somebody has to have
     * shown that the target works. */
    ROW(WAVE_RUNNING,     WAVE_EVALUATE, WAVE_HURRIES,      WAVE_PASSED,   DO(WAVE_CREDIT)),
    ROW(WAVE_RUNNING,     WAVE_EVALUATE, WAVE_IS_UNDONE,    SM_STAY,       0),
    ROW(WAVE_RUNNING,     WAVE_EVALUATE, WAVE_HAS_NO_PROOF, SM_STAY,       0),
    ROW(WAVE_RUNNING,     WAVE_EVALUATE, WAVE_HAS_SOAK,     WAVE_SOAKING,  DO(WAVE_ARM_SOAK)),
    ROW(WAVE_RUNNING,     WAVE_EVALUATE, WAVE_HAS_GATE,     WAVE_GATED,    0),
    ROW(WAVE_RUNNING,     WAVE_EVALUATE, WAVE_ALWAYS,       WAVE_PASSED,   DO(WAVE_CREDIT)),

    /* A member that comes back is updated first; the soak then begins anew. */
    ROW(WAVE_SOAKING,     WAVE_EVALUATE, WAVE_IS_UNDONE,    WAVE_RUNNING,  DO(WAVE_DISARM)),
    ROW(WAVE_SOAKING,     WAVE_EVALUATE, WAVE_SOAK_RUNS,    SM_STAY,       0),
    ROW(WAVE_SOAKING,     WAVE_EVALUATE, WAVE_HAS_GATE,     WAVE_GATED,    DO(WAVE_DISARM)),
    ROW(WAVE_SOAKING,     WAVE_EVALUATE, WAVE_ALWAYS,       WAVE_PASSED,   DO(WAVE_DISARM) | DO(WAVE_CREDIT)),
    ROW(WAVE_SOAKING,     WAVE_PROMOTE,  WAVE_ALWAYS,       SM_STAY,       DO(WAVE_SKIP_SOAK)),

    ROW(WAVE_GATED,       WAVE_EVALUATE, WAVE_IS_UNDONE,    WAVE_RUNNING,  DO(WAVE_DISARM)),
    ROW(WAVE_GATED,       WAVE_EVALUATE, WAVE_GATE_MOVES,   SM_STAY,       DO(WAVE_STEP_GATE)),
    ROW(WAVE_GATED,       WAVE_EVALUATE, WAVE_GATE_WAITS,   SM_STAY,       0),
    ROW(WAVE_GATED,       WAVE_EVALUATE, WAVE_ALWAYS,       WAVE_PASSED,   DO(WAVE_CREDIT)),
    ROW(WAVE_GATED,       WAVE_PROMOTE,  WAVE_GATE_WAITS,   SM_STAY,       DO(WAVE_STEP_GATE)),
    ROW(WAVE_GATED,       WAVE_PROMOTE,  WAVE_ALWAYS,       SM_REFUSE,     0),
};
#undef DO
#undef ROW
/* clang-format on */

const struct sm_machine wave_machine = {
    .name = "wave",
    .meaning = "one wave of a rollout",
    .states = SM_WORDS(wave_state, WAVE_STATES),
    .events = SM_WORDS(wave_event, WAVE_EVENTS),
    .guards = SM_WORDS(wave_guard, WAVE_GUARDS),
    .effects = SM_WORDS(wave_effect, WAVE_EFFECTS),
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .initial = WAVE_NOT_STARTED,
    .final = SM_SET(WAVE_PASSED),
};

static bool holds(const void *subject, unsigned guard)
{
    const struct wave_view *v = subject;
    switch ((enum wave_guard)guard) {
    case WAVE_IS_UNDONE: return v->is_undone;
    case WAVE_HAS_NO_PROOF: return v->has_no_proof;
    case WAVE_HURRIES: return v->hurries;
    case WAVE_HAS_SOAK: return v->has_soak;
    case WAVE_SOAK_RUNS: return v->soak_runs;
    case WAVE_HAS_GATE: return v->has_gate;
    case WAVE_GATE_WAITS: return v->gate_waits;
    case WAVE_GATE_MOVES: return v->gate_moves;
    case WAVE_ALWAYS:
    case wave_guard_count: break;
    }
    return true;
}

const struct sm_row *wave_pick_row(enum wave_state state, enum wave_event event,
                                   const struct wave_view *view)
{
    return sm_pick(&wave_machine, state, event, holds, view);
}
