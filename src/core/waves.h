/* SPDX-License-Identifier: Apache-2.0
 * waves.h - the waves of one rollout: who belongs to which, which one is open, and what it waits
 * for. Who belongs to which is fixed at the start, and follows from the records alone afterwards:
 * an instance whose record was touched since then says it, for any other it is as it was then.
 * Source: spec of rollouts, 6.1 (D5, D6), 6.2 (P5), 7.2. */
#ifndef DIDES_CORE_WAVES_H
#define DIDES_CORE_WAVES_H

#include "core/fleet.h"
#include "core/gate.h"
#include "core/wave.h"

/* ---- laying out ----------------------------------------------------------------------------- */

/* Gives `r` its waves by its configuration; of a rollback those of its source, the last one first
 * (RB7). False: no memory. */
bool waves_lay_out(struct rollout *r);
/* After the instances of the draft `r` were chosen (entering.h): where its sized waves end, and the
 * lots of all members. ERR_INFEASIBLE: a wave other than the last has no member (D5). ERR_MEMORY.
 */
bool waves_divide(struct fleet *fleet, struct rollout *r, struct err *err);
/* Where an instance belongs that is or becomes a member and does not say it itself. */
uint32_t waves_of(const struct fleet *fleet, const struct instance *inst, const struct rollout *r);
/* Waves whose members are candidates. */
uint32_t waves_admitted(const struct rollout *r);

/* ---- reading -------------------------------------------------------------------------------- */

/* "canary", ...; "all" for the only wave of a rolling rollout. */
struct text wave_name(const struct rollout *r, uint32_t wave);
enum wave_state wave_state_at(const struct rollout *r, uint32_t wave);
/* Present counters, or those at the end. */
const struct tally *wave_tally(const struct rollout *r, uint32_t wave);
uint32_t wave_batch_limit(const struct rollout *r, uint32_t wave);
uint32_t wave_threshold(const struct rollout *r, uint32_t wave); /* failed members of it */
enum rollout_mode wave_mode(const struct rollout *r, uint32_t wave);
/* Of a fast rollback, and of a wave without members: 0. */
uint32_t wave_gate_count(const struct rollout *r, uint32_t wave);
/* Of a gate behind the present one: passed, or inconclusive if it was a dry run. That a timeout let
 * it pass is told by the journal only. */
enum gate_state wave_gate_state(const struct rollout *r, uint32_t wave, uint32_t gate);
int64_t wave_soak_ms(const struct rollout *r, uint32_t wave);

/* The gate that is begun and not settled, or NULL. */
const struct gate_config *waves_gate(const struct rollout *r);
bool waves_are_passed(const struct rollout *r); /* all of them */
/* Nothing in flight and nobody to pick in the waves up to the open one. */
bool waves_are_quiet(const struct rollout *r);
/* Candidates in the waves up to the open one, whether domains have room or not. */
uint32_t waves_candidates(const struct rollout *r);
/* The open wave is quiet, and none of its members has completed: it cannot pass. */
bool waves_lack_proof(const struct rollout *r);
/* Somebody waits for the soak or for a gate, and promote passes it. */
bool waves_can_promote(const struct rollout *r);
/* The present gate's time was over, and the request says that this is to `what`. */
bool waves_gate_undecided(const struct rollout *r, enum gate_undecided what);

/* ---- moving: used by progress.c ------------------------------------------------------------- */

/* Whether waves_move() would do something now. */
bool waves_would_move(const struct fleet *fleet, const struct rollout *r);
/* One step: the open wave follows its table, or the next one opens. */
void waves_move(struct fleet *fleet, struct rollout *r);
/* The soak or gate that is waited for counts as passed; with `is_full` all later ones too. */
void waves_promote(struct fleet *fleet, struct rollout *r, bool is_full);
/* An undecided gate runs again. */
void waves_again(struct fleet *fleet, struct rollout *r);

#endif
