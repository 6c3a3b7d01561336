/* SPDX-License-Identifier: Apache-2.0
 * change.h - journal entries as data. Every change of state is exactly one; log, stream and audit
 * are the same record. The engine renders and stores them. Source: spec of rollouts, 9.5. */
#ifndef DIDES_CORE_CHANGE_H
#define DIDES_CORE_CHANGE_H

#include "base/text.h"
#include "core/rollout.h"

/* clang-format off */
#define CHANGES(X)                                                                              \
    X(CHANGE_REGISTERED,         "instance.registered", "an instance was registered")           \
    X(CHANGE_UPDATED,            "instance.updated",    "a report or a reset changed an instance") \
    X(CHANGE_ONLINE,             "instance.online",     "an instance is heard again")           \
    X(CHANGE_OFFLINE,            "instance.offline",    "an instance was silent for its timeout") \
    X(CHANGE_DELETED,            "instance.deleted",    "an operator removed an instance")      \
    X(CHANGE_PICKED,             "member.picked",       "an instance was told to run another version") \
    X(CHANGE_COMPLETED,          "member.completed",    "an instance was seen healthy on its target") \
    X(CHANGE_FAILED,             "member.failed",       "an instance failed in a rollout")      \
    X(CHANGE_JOINED,             "member.joined",       "an instance came to match a live rollout") \
    X(CHANGE_LEFT,               "member.left",         "an instance left a live rollout")      \
    X(CHANGE_WAVE_OPENED,        "wave.opened",         "members of a wave may be picked")      \
    X(CHANGE_WAVE_PASSED,        "wave.passed",         "a wave is done, soaked and past its gates") \
    X(CHANGE_GATE_WAITING,       "gate.waiting",        "a gate waits for its result")          \
    X(CHANGE_GATE_PASSED,        "gate.passed",         "a gate was passed")                    \
    X(CHANGE_GATE_INCONCLUSIVE,  "gate.inconclusive",   "a gate's time was over without a result") \
    X(CHANGE_ROLLOUT_CREATED,    "rollout.created",     "a rollout was admitted")               \
    X(CHANGE_ROLLOUT_STARTED,    "rollout.started",     "a rollout picks its first members")    \
    X(CHANGE_ROLLOUT_PAUSED,     "rollout.paused",      "by an operator or a breach")           \
    X(CHANGE_ROLLOUT_RESUMED,    "rollout.resumed",     "an operator let it go on")             \
    X(CHANGE_ROLLOUT_PROMOTED,   "rollout.promoted",    "an operator passed a soak or a gate")  \
    X(CHANGE_ROLLOUT_RETRIED,    "rollout.retried",     "failed members get another attempt")   \
    X(CHANGE_ROLLOUT_COMPLETED,  "rollout.completed",   "a rollout ended well")                 \
    X(CHANGE_ROLLOUT_FAILED,     "rollout.failed",      "a rollout ended without success")      \
    X(CHANGE_ROLLBACK_STARTED,   "rollback.started",    "a rollout is being undone by another") \
    X(CHANGE_FLEET_SILENT,       "fleet.silent",        "most of the fleet fell silent: rollouts stand still") \
    X(CHANGE_FLEET_HEARD,        "fleet.heard",         "most of the fleet is heard again")
/* clang-format on */

enum change_type {
#define CHANGE_ITEM(id, word, meaning) id,
    CHANGES(CHANGE_ITEM)
#undef CHANGE_ITEM
        CHANGE_TYPE_COUNT
};

/* Valid until the next fleet_begin(): new values are read from the records themselves. */
struct change {
    uint8_t type;
    uint8_t was_status;  /* enum instance_state, of CHANGE_UPDATED */
    uint8_t status;      /* of the instance now, which the same command may change again; given by
                            fleet_publish() */
    uint8_t was_state;   /* enum rollout_state, of rollout.* */
    uint8_t cause;       /* enum member_cause, of CHANGE_FAILED */
    uint16_t wave, gate; /* indices, of wave.* and gate.* */
    uint32_t slot;       /* instance, or FLEET_NONE */
    uint32_t rollout;    /* number, or 0 */
    struct version was; /* current state before, of CHANGE_UPDATED; wish before, of CHANGE_PICKED */
    uint32_t was_labels; /* label set before, of CHANGE_UPDATED */
    int64_t ordered_at;  /* of CHANGE_COMPLETED and CHANGE_FAILED: when it was picked; ms */
    struct text actor;   /* who acted, given by fleet_publish(); borrowed */
    struct text reason;  /* what the operator said, or empty; borrowed */
    uint64_t index;      /* given by fleet_publish() */
};

const char *change_word(enum change_type type);

#endif
