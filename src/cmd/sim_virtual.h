/* SPDX-License-Identifier: Apache-2.0
 * sim_virtual.h - `dides sim` in virtual mode (sim_virtual.c), and its swarm of small seeds, in one
 * process or several (sim_swarm.c). */
#ifndef DIDES_CMD_SIM_VIRTUAL_H
#define DIDES_CMD_SIM_VIRTUAL_H

#include "base/buffer.h"
#include "sim/model.h"

struct sim_virtual_options {
    int64_t duration_ms; /* 0: until the script is done and no rollout moves */
    bool is_traced;
    uint32_t jobs; /* processes for many seeds; 0 and 1: this one */
};

/* Both print, and return the exit code. The plan is not released. */
int sim_virtual(struct plan *plan, const struct sim_virtual_options *options);
/* What both do: SIGINT and SIGTERM end the run early; an event becomes a line on stdout; and
 * `seed=<n> tick=<ms> I13 <sentence>` with what happened before it. */
void sim_virtual_catch_signals(void);
bool sim_virtual_is_interrupted(void);
void sim_virtual_tell(void *ctx, int64_t at, const char *sentence);
void sim_virtual_add_violation(struct buffer *out, const struct model *model, uint64_t seed);

/* Seeds `first` to `first` + `count` - 1, up to the first that breaks an invariant. */
int sim_swarm(uint64_t first, uint64_t count, const struct sim_virtual_options *options);

#endif
