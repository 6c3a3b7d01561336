/* SPDX-License-Identifier: Apache-2.0
 * words.c - lists of the core's words, made from its own lists of them. */
#include "wire/words.h"

#include "core/member.h"
#include "core/rollout.h"

#define NONE                "none"
#define WORD_ITEM(id, text) [id] = { (const char *)(text) != NULL ? (text) : NONE, "" },
#define WORDS(name, LIST)                                                                          \
    static const struct sm_word name##_list[] = { LIST(WORD_ITEM) };                               \
    const struct sm_words name = { name##_list, sizeof name##_list / sizeof name##_list[0] }

WORDS(wire_strategies, ROLLOUT_STRATEGIES);
WORDS(wire_modes, ROLLOUT_MODES);
WORDS(wire_on_failure, ROLLOUT_ON_FAILURE);
WORDS(wire_offline, ROLLOUT_OFFLINE);
WORDS(wire_on_leftover, ROLLOUT_ON_LEFTOVER);
WORDS(wire_gate_types, GATE_TYPES);
WORDS(wire_undecided, GATE_UNDECIDED);
WORDS(wire_rollout_causes, ROLLOUT_CAUSES);
WORDS(wire_outcomes, ROLLOUT_OUTCOMES);
WORDS(wire_member_causes, MEMBER_CAUSES);
