/* SPDX-License-Identifier: Apache-2.0
 * swarm.h - one seed: a small fleet, its faults, its rollouts and its operators, all drawn by
 * chance, some of them not at all. First everything goes wrong that was drawn, and the invariants
 * must hold after each event; then the faults stop, and everything must end, or wait for an
 * operator, or name what never comes (I22). Source: RELIABILITY, section 5. */
#ifndef DIDES_SIM_SWARM_H
#define DIDES_SIM_SWARM_H

#include "sim/model.h"

struct swarm;

struct swarm_options {
    bool is_traced;
    const struct vault_disk *disk; /* some seeds put their store on it; NULL: none does */
    void (*told)(void *ctx, int64_t at, const char *sentence); /* may be NULL */
    void *ctx;
};

bool swarm_new(uint64_t seed, const struct swarm_options *options, struct swarm **ret,
               struct err *err);
void swarm_free(struct swarm *swarm); /* NULL is allowed */

/* Both phases. False: an invariant is broken; see model_broken() of its model. */
bool swarm_run(struct swarm *swarm);
struct model *swarm_model(struct swarm *swarm);

#endif
