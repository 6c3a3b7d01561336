/* SPDX-License-Identifier: Apache-2.0
 * lots.h - the candidates of one live rollout, divided so that the next one to pick is found
 * without walking over those that may not be picked.
 *
 * Members of the same wave and the same failure domains form a lot; each lot has one queue for each
 * class of the pick order. A queue of an open wave is `ready`, or it is parked at a domain that has
 * no room, where it waits until it has. So a full domain costs one step and not one for each of its
 * candidates. Everything here is derived; place.c keeps it. Source: spec of rollouts, 6.2
 * (P7), 7.1.
 *
 * Whenever a queue leaves `ready` or has another head, the first parked queue of each of its
 * domains that has room becomes ready: so the least head of all that may be picked always is. */
#ifndef DIDES_CORE_LOTS_H
#define DIDES_CORE_LOTS_H

#include "base/limits.h"
#include "base/map.h"
#include "base/ordered.h"
#include "core/rollout.h"

struct fleet;
struct placement;

/* The classes of the pick order, first to last: original members before joiners, the broken first.
 */
#define LOT_CLASSES 8u
#define LOT_NONE    UINT32_MAX

/* One failure domain: the members with one value of a label. */
struct cell {
    uint32_t value; /* interned; LABELS_ABSENT: they have no such label */
    uint8_t domain; /* index in config.domains */
    bool is_breached;
    struct tally tally;
    uint32_t busy;                /* in flight in any live rollout, members of this one or not */
    uint32_t parked[LOT_CLASSES]; /* sets of queues */
};

struct queue {
    uint32_t root; /* set of candidates in fleet.members */
    uint32_t head; /* its first, or ORDERED_NONE */
    uint32_t at;   /* QUEUE_OUT, QUEUE_READY, or the cell where it is parked */
};
#define QUEUE_OUT   UINT32_MAX
#define QUEUE_READY (UINT32_MAX - 1)

struct lot {
    uint32_t wave;
    uint32_t cells[LIMIT_DOMAINS]; /* one per domain label */
    struct queue queues[LOT_CLASSES];
};

struct lots {
    struct fleet *fleet;
    const struct rollout *rollout;
    struct lot *list; /* without domains: one per wave, in their order */
    uint32_t count, capacity;
    struct cell *cells;
    uint32_t cell_count, cell_capacity;
    struct map by_place, by_value;
    struct ordered order; /* of queues (lot * LOT_CLASSES + class), by their heads */
    uint32_t ready[LOT_CLASSES];
    uint32_t admitted; /* waves whose queues are ready or parked */
    uint32_t parked;   /* queues that are */
    uint32_t breached; /* cells with too many failed members */
    bool has_new_room; /* a domain may have room since the rollout was evaluated last */
    bool is_filling;   /* who is in flight is counted when that ends, all at once */
};

/* ---- life ----------------------------------------------------------------------------------- */

/* For `r` with its waves laid out. False: no memory; release it all the same. */
bool lots_init(struct lots *lots, struct fleet *fleet, const struct rollout *r);
void lots_release(struct lots *lots);
/* Empties queues and counters and keeps lots and cells, whose number only grows. The first
 * `admitted` waves are open. */
void lots_clear(struct lots *lots, uint32_t admitted);

/* ---- finding -------------------------------------------------------------------------------- */

/* The lot of members of `wave` with these labels, or LOT_NONE. */
uint32_t lots_find(const struct lots *lots, uint32_t wave, uint32_t labels);
/* Room for one more lot and its cells: without it lots_get() must not meet new labels. */
bool lots_reserve(struct lots *lots);
/* The same as lots_find(); makes the lot when there is none. */
uint32_t lots_get(struct lots *lots, uint32_t wave, uint32_t labels);

/* ---- keeping: used by place.c --------------------------------------------------------------- */

/* `one` is 1 or its two's complement negative. */
void tally_count(struct tally *tally, const struct placement *p, uint32_t one);
/* In the domains of the lot where `p` says the member is. */
void lots_count(struct lots *lots, const struct placement *p, uint32_t one);
/* An instance with these labels went in flight somewhere, or is not any more. */
void lots_count_busy(struct lots *lots, uint32_t labels, uint32_t one);
/* Filling: from the start, or after lots_begin(), until lots_finish(). Meanwhile queues take
 * members in order of keys only, and nobody is picked. The sets of all live rollouts must be whole
 * when it ends. */
void lots_begin(struct lots *lots);
void lots_append(struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot);
void lots_finish(struct lots *lots);
void lots_insert(struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot);
void lots_remove(struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot);
bool lots_has(const struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot);
/* The queues of the first `waves` waves are open for picks. */
void lots_admit(struct lots *lots, uint32_t waves);

/* ---- picking -------------------------------------------------------------------------------- */

/* The next candidate in the order of picks whose domains have room, or ORDERED_NONE. Without
 * `takes_available`, HEALTHY ones are left alone. Amortised O(log n). */
uint32_t lots_next(struct lots *lots, bool takes_available);
/* Whether a candidate is left alone because it is available. After lots_next() had none. */
bool lots_keep_available(const struct lots *lots);
/* Members in flight that a domain allows; UINT32_MAX: no limit. */
uint32_t lots_room(const struct lots *lots, const struct cell *cell);
/* Failed members that are a breach of a domain; UINT32_MAX: no limit. */
uint32_t lots_failures(const struct lots *lots, const struct cell *cell);
/* A domain at its limit where somebody waits, or NULL. O(domains). */
const struct cell *lots_full_cell(const struct lots *lots);

/* Counts one instance in flight in recounted cells. */
void lots_recount_busy(const struct lots *lots, struct cell *cells, uint32_t labels);
/* What differs from a recomputation, or NULL. `cells` (may be NULL) are recounted ones, in the same
 * order. */
const char *lots_fault(const struct lots *lots, const struct cell *cells);

#endif
