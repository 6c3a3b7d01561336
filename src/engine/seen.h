/* SPDX-License-Identifier: Apache-2.0
 * seen.h - when each instance was last heard, written lazily: a heartbeat that changes nothing
 * costs no write (K5). Instances are grouped by slot; a group is written when one of it was heard
 * since. */
#ifndef DIDES_ENGINE_SEEN_H
#define DIDES_ENGINE_SEEN_H

#include "core/fleet.h"
#include "engine/committer.h"

#define SEEN_GROUP    256u /* instances in one record */
#define SEEN_EVERY_MS (30 * 1000)

struct seen {
    int64_t began_at; /* of the present pass over the groups; 0: none yet */
    uint32_t next_group;
    int64_t written_at; /* groups heard after this are written */
};

/* Adds the groups whose turn it is by `now` to the batch; all of them when `is_all`. Returns how
 * many records were added. */
size_t seen_write(struct seen *seen, const struct fleet *fleet, int64_t now, bool is_all,
                  struct batch *batch);
/* Whether seen_write() would have something to look at now. */
bool seen_is_due(const struct seen *seen, const struct fleet *fleet, int64_t now);
/* Reads one record into the fleet; instances that are gone are passed over. False: damaged. */
bool seen_load(struct fleet *fleet, struct text json, struct err *err);

#endif
