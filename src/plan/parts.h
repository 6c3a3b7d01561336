/* SPDX-License-Identifier: Apache-2.0
 * parts.h - what the files of forecast.h share; nobody else includes it. */
#ifndef DIDES_PLAN_PARTS_H
#define DIDES_PLAN_PARTS_H

#include "plan/forecast.h"

/* A gate that somebody is asked about. */
struct approval {
    int64_t due;
    uint32_t rollout;
    uint16_t wave, gate;
};

/* A forecast while it is made. */
struct play {
    struct fleet *fleet;
    struct forecast *f;
    const struct forecast_assumptions *assume;
    int64_t end_at; /* of the horizon */
    struct rollout *rollout;
    struct timers reports;      /* by slot: when it says how the update went */
    struct approval *approvals; /* [approval_first, approval_count), by due */
    uint32_t approval_first, approval_count, approval_capacity;
    uint32_t *member_of;                      /* by slot: index in f->members + 1, or 0 */
    uint32_t *order;                          /* of picks: indices in f->members */
    uint32_t picked;                          /* entries of it */
    uint32_t opened;                          /* waves whose beginning has been seen */
    uint32_t wave_step, soak_step, gate_step; /* the open ones in f->steps, or STEP_NONE */
    bool holds[WAITING_REASON_COUNT];
    int64_t looked_at; /* when `holds` was true */
    bool is_out_of_memory;
};
#define STEP_NONE UINT32_MAX

static inline int64_t play_offset(const struct play *p, int64_t at)
{
    return at - p->f->began_at;
}

/* player.c: until there is nothing left to play. False: ERR_MEMORY. */
bool play_all(struct play *p, struct err *err);
/* After each command: what it says is noted, and its round closed. `slot` has reported, or
 * FLEET_NONE. */
void play_note(struct play *p, uint32_t slot);

/* timeline.c: what can be seen of the rollout after each command. */
void timeline_begin(struct play *p);
void timeline_note(struct play *p);
void timeline_note_gate(struct play *p, const struct change *change);
void timeline_note_member(struct play *p, uint32_t slot);
void timeline_end(struct play *p);

/* Grows an array by doubling. False: p->is_out_of_memory is set. */
bool play_grow(struct play *p, void **items, uint32_t *capacity, uint32_t wanted, size_t item_size);

#endif
