/* SPDX-License-Identifier: Apache-2.0
 * waiting.h - why a live rollout does not pick anybody right now. A person looking at a stalled
 * rollout reads this first. Source: spec of rollouts, 4.2. */
#ifndef DIDES_CORE_WAITING_H
#define DIDES_CORE_WAITING_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* Most important first; the order is that of the answer. */
#define WAITING_REASONS(X)                                                                      \
    X(WAITING_STORE,       "store",            "the store does not accept writes now")          \
    X(WAITING_HELD,        "held",             "agents know newer orders than this database: until an operator confirms") \
    X(WAITING_PAUSED,      "paused",           "until an operator resumes it")                  \
    X(WAITING_BATCH_FULL,  "batch_full",       "every slot is taken, or nobody else is left to pick") \
    X(WAITING_BARRIER,     "barrier",          "the whole batch must be done before the next one") \
    X(WAITING_MIN_HEALTHY, "min_healthy_time", "members must stay HEALTHY on the target for a while") \
    X(WAITING_SOAK,        "soak",             "the members of the wave are watched for a while") \
    X(WAITING_GATE,        "gate",             "a gate has to be passed")                       \
    X(WAITING_DOMAIN_CAP,  "domain_cap",       "every candidate is in a failure domain at its limit") \
    X(WAITING_MIN_AVAILABLE, "min_available",  "picking another available member would leave too few") \
    X(WAITING_OFFLINE,     "offline",          "members that need the update are not heard")    \
    X(WAITING_LEFTOVER,    "leftover",         "failed or offline members may still recover")
/* clang-format on */

enum waiting_reason {
#define WAITING_ITEM(id, word, meaning) id,
    WAITING_REASONS(WAITING_ITEM)
#undef WAITING_ITEM
        WAITING_REASON_COUNT
};

/* When each reason began to hold, in ms since the epoch; 0 = it does not hold. Not durable: after a
 * restart a reason begins anew. */
struct waits {
    int64_t since[WAITING_REASON_COUNT];
};

struct waiting {
    enum waiting_reason reason;
    int64_t since;
    int64_t until;         /* the instant at which it ends by itself at the latest; 0 = unknown */
    uint32_t count, limit; /* what it counts, e.g. 16 of 16 slots; 0 of 0: nothing */
    struct text name;      /* of the gate, or the label of the domain; borrowed */
    struct text value;     /* of that label; empty when the members lack it */
    bool is_mass_silence;  /* of WAITING_OFFLINE: most of the fleet fell silent at once */
};

struct fleet;
struct rollout;

/* Brings the times up to date; to be called after each evaluation. O(1). */
void waiting_note(struct fleet *fleet, struct rollout *r);
/* The reasons that hold now, most important first; returns how many. `ret` has room for all.
 * O(batch) for the earliest deadline. None for an ended rollout. */
size_t waiting_list(const struct fleet *fleet, const struct rollout *r,
                    struct waiting ret[static WAITING_REASON_COUNT]);

const char *waiting_word(enum waiting_reason reason);
const char *waiting_meaning(enum waiting_reason reason);

#endif
