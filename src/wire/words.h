/* SPDX-License-Identifier: Apache-2.0
 * words.h - the word lists of the core that are no states, in the form that field tables take.
 * Where a list has a member for "none", that is the word "none": such a member is left out of
 * documents. */
#ifndef DIDES_WIRE_WORDS_H
#define DIDES_WIRE_WORDS_H

#include "sm/sm.h"

extern const struct sm_words wire_strategies, wire_modes, wire_on_failure, wire_offline,
    wire_on_leftover;                                         /* enum rollout_... */
extern const struct sm_words wire_gate_types, wire_undecided; /* enum gate_... */
extern const struct sm_words wire_rollout_causes, wire_outcomes, wire_member_causes;

#endif
