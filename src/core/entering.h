/* SPDX-License-Identifier: Apache-2.0
 * entering.h - the instances that a new rollout begins with: chosen once, in order of their keys,
 * so that its member sets are filled in linear time (spec of rollouts, 14). */
#ifndef DIDES_CORE_ENTERING_H
#define DIDES_CORE_ENTERING_H

#include "core/fleet.h"

/* Chooses the instances that the selector of the draft `r` matches: r->live->entering. ERR_MEMORY.
 */
bool entering_choose(struct fleet *fleet, struct rollout *r, struct err *err);
/* Calls `enter` for each in order of keys; it makes the instance a member of `r` and of no other
 * set of `r` after that. The list is gone when this returns. */
void entering_each(struct fleet *fleet, struct rollout *r,
                   void (*enter)(struct fleet *fleet, void *ctx, uint32_t slot), void *ctx);

/* Sets of the live rollouts take members in order of keys only, until the latter is called; looking
 * into them has to wait for that. */
void entering_begin(struct rollout_live *live);
/* The first half of the end, for all of several live rollouts before the second half of any. */
void entering_finish_sets(struct fleet *fleet, struct rollout_live *live);
void entering_end(struct fleet *fleet, struct rollout_live *live);

#endif
