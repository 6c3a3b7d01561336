/* SPDX-License-Identifier: Apache-2.0
 * retention.h - which journal entries are old. Entries do not carry their time in the key, so from
 * time to time a mark says which index was next at which instant; with 168 marks the age of an
 * entry is known to the 168th part of the time that entries are kept. */
#ifndef DIDES_ENGINE_RETENTION_H
#define DIDES_ENGINE_RETENTION_H

#include "base/arena.h"
#include "engine/committer.h"

#define RETENTION_MARKS 168u

struct retention_mark {
    int64_t at;     /* ms since the epoch */
    uint64_t index; /* next one at that instant */
};

struct retention {
    int64_t kept_ms;
    struct retention_mark marks[RETENTION_MARKS + 1]; /* oldest first */
    uint32_t count;
};

/* Sets a mark when it is time for one and adds the record of all marks to the batch. */
void retention_mark(struct retention *retention, int64_t now, uint64_t next_index,
                    struct batch *batch);
/* Entries before this index are older than kept_ms. */
uint64_t retention_oldest(const struct retention *retention, int64_t now);

#define RETENTION_KEY "meta/marks"
/* False: damaged. */
bool retention_load(struct retention *retention, struct text json, struct arena *scratch,
                    struct err *err);

#endif
