/* SPDX-License-Identifier: Apache-2.0
 * rollback.h - undoing a rollout: a new record that brings each instance back to what it ran
 * before. Preparing checks everything and takes all memory; carrying out cannot fail, so that the
 * failure of the source and the start of its rollback are one commit. Source: spec of
 * rollouts, 6.3. */
#ifndef DIDES_CORE_ROLLBACK_H
#define DIDES_CORE_ROLLBACK_H

#include "core/fleet.h"

struct rollback_plan {
    struct rollout *source;
    struct rollout *created; /* not yet part of the fleet; NULL: no touched member resolves (RB5) */
};

struct rollback_request {
    const struct rollout_config *config; /* NULL: that of the source */
    bool is_fast;
    struct text reason;
};

/* RB4: the rollout whose version is put back where no own previous one is known, or NULL. */
const struct rollout *rollback_target(const struct fleet *fleet, const struct rollout *source);

/* Finds what to restore. True with `created` NULL when there is no target. ERR_MEMORY, ERR_FULL. */
bool rollback_prepare(struct fleet *fleet, struct rollout *source,
                      const struct rollback_request *request, struct rollback_plan *ret,
                      struct err *err);
bool rollback_prepare_automatic(struct fleet *fleet, struct rollout *source,
                                struct rollback_plan *ret, struct err *err);
/* Starts the rollback. The source may still have its live part; its members are taken over. */
void rollback_carry_out(struct fleet *fleet, struct rollback_plan *plan);

#endif
