/* SPDX-License-Identifier: Apache-2.0
 * waited.h - for how long live rollouts waited, by reason, to the millisecond. The core says since
 * when a reason holds and forgets it when it holds no more; here the time in between is kept. */
#ifndef DIDES_ENGINE_WAITED_H
#define DIDES_ENGINE_WAITED_H

#include "core/fleet.h"

/* Zero-initialised is empty. */
struct waited {
    uint64_t ms[WAITING_REASON_COUNT]; /* of reasons that have ended */
    int64_t store_since;               /* all below wait for the store since then; 0: none does */
    uint32_t count;                    /* how many those are */
    struct waits live[FLEET_LIVE_MAX]; /* as they were looked at last, by place in fleet.live */
    uint32_t end;                      /* those from here on are nobody */
};

/* To be called after each command, and when `store_fails_since` (0: it takes writes) changes.
 * O(live rollouts). */
void waited_note(struct waited *waited, const struct fleet *fleet, int64_t store_fails_since,
                 int64_t now);
/* All of it so far, in ms, with what goes on. Never falls. */
uint64_t waited_total(const struct waited *waited, enum waiting_reason reason, int64_t now);

#endif
