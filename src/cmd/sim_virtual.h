/* SPDX-License-Identifier: Apache-2.0
 * sim_virtual.h - `dides sim` in virtual mode, and its swarm of small seeds. */
#ifndef DIDES_CMD_SIM_VIRTUAL_H
#define DIDES_CMD_SIM_VIRTUAL_H

#include "sim/plan.h"

struct sim_virtual_options {
    int64_t duration_ms; /* 0: until the script is done and no rollout moves */
    bool is_traced;
};

/* Both print, and return the exit code. The plan is not released. */
int sim_virtual(struct plan *plan, const struct sim_virtual_options *options);
/* Seeds `first` to `first` + `count` - 1, up to the first that breaks an invariant. */
int sim_swarm(uint64_t first, uint64_t count, const struct sim_virtual_options *options);

#endif
