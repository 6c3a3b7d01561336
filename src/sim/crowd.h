/* SPDX-License-Identifier: Apache-2.0
 * crowd.h - a million agents: each is packed into 64 bytes and unpacked into a struct agent when
 * something happens to it, so that the machines of agent.c serve both modes.
 *
 * Versions are numbers of texts in the plan; at most CROWD_VERSIONS different ones occur. */
#ifndef DIDES_SIM_CROWD_H
#define DIDES_SIM_CROWD_H

#include "sim/plan.h"

#define CROWD_VERSIONS 65535u

struct crowd_pair {
    uint16_t code, config; /* numbers in crowd.texts */
};

struct crowd_cell {
    uint8_t link : 2, work : 3, fate : 2;
    uint8_t attempts : 2, is_failed : 1, must_tell : 1, is_cut : 1, is_dormant : 1;
    uint8_t misses;
    uint8_t behaviour; /* index in the plan */
    struct crowd_pair running, wish, tried;
    uint32_t generation, tried_generation;
    uint32_t rollout, tried_rollout;
    uint16_t updates, jitters; /* numbers taken off the streams; they may start anew */
    uint32_t slot;             /* in the server's fleet, or FLEET_NONE: not known */
    int64_t call_due;
    int64_t work_or_again_at; /* end of the update under way, else when to try again */
    int64_t updated_at;
};
_Static_assert(sizeof(struct crowd_cell) == 64, "one cache line per instance");

struct crowd_counts {
    uint64_t updates, failures, lies;
};

struct crowd {
    struct plan *plan; /* borrowed; new versions are added to its texts */
    uint64_t dice_root;
    struct crowd_cell *cells;
    uint32_t count;
    uint32_t *texts;   /* by number in a pair: id in plan->texts */
    uint16_t *numbers; /* by id in plan->texts: the number, 0 = none yet but for the empty text */
    uint32_t text_count, text_capacity, number_capacity;
    struct crowd_counts counts;
};

/* All agents of the plan, waiting to register at `now` or, spread evenly, up to `spread_ms` later.
 * False: no memory, or too many versions; nothing to release. */
bool crowd_init(struct crowd *crowd, struct plan *plan, int64_t now, int64_t spread_ms,
                struct err *err);
void crowd_release(struct crowd *crowd);

void crowd_load(const struct crowd *crowd, uint32_t index, struct agent *ret);
/* The same but for the dice, which nobody may roll: it is looked at, and not packed again. */
void crowd_look(const struct crowd *crowd, uint32_t index, struct agent *ret);
/* Packs it again. Its counts are added to those of the crowd. */
void crowd_store(struct crowd *crowd, uint32_t index, const struct agent *agent);

/* agent_sent(), where it is packed. */
void crowd_sent(struct crowd *crowd, uint32_t index);

/* Makes a version fit for pairs. False: no memory, or there are too many. */
bool crowd_know_version(struct crowd *crowd, struct version version, struct err *err);
struct version crowd_version(const struct crowd *crowd, struct crowd_pair pair);

#endif
