/* SPDX-License-Identifier: Apache-2.0
 * invariants.h - what must always hold of a fleet, looked at from outside after every event. Each
 * function knows the rule by its id and how to see that it is broken; none of them asks the code
 * that has to obey it, as far as that can be avoided.
 *
 * A witness remembers how everything looked after the event before. Of a small fleet everything is
 * looked at every time. Of a large one what the event changed, and the rest now and then.
 * Source: spec of rollouts, section 15; RELIABILITY, section 4. */
#ifndef DIDES_SIM_INVARIANTS_H
#define DIDES_SIM_INVARIANTS_H

#include "core/command.h"

#define INVARIANTS_SMALL 500u /* instances at most, for everything to be looked at every time */

enum event_kind {
    EVENT_REGISTER,
    EVENT_HEARTBEAT,
    EVENT_DELETE,
    EVENT_DEPLOY,
    EVENT_ROLLBACK,
    EVENT_VERB,
    EVENT_PROGRESS,
    EVENT_TICK,
    EVENT_KIND_COUNT
};

struct event {
    uint8_t kind;
    bool is_refused;
    bool is_changing; /* false: known to have touched no record and told nobody anything */
    uint32_t slot;    /* of whom it tells, or FLEET_NONE */
};

/* How an instance looked; texts as hashes, because numbers of texts are given again. */
struct seen_member {
    uint64_t current, desired;
    uint32_t generation;
    uint32_t rollout;   /* the live one it was a member of, or 0 */
    uint32_t trail_top; /* number, or 0 */
    uint8_t state;      /* enum member_state there */
    bool is_there, is_available;
};

/* How a rollout looked, by number. */
struct seen_rollout {
    uint64_t frozen; /* hash of the record at its end; 0 = it is live, or there was none */
    uint32_t in_flight;
    uint8_t state;               /* enum rollout_state */
    uint8_t undone_by_server;    /* automatic rollbacks of it */
    bool is_there, stands_still; /* most of the fleet was silent */
};

/* A time in which no server ran. */
struct outage {
    int64_t from, until;
};
#define OUTAGES_MAX 64u /* the oldest are forgotten: no deadline is that long */

struct witness {
    struct fleet *fleet;
    struct event event;
    bool is_small;
    struct seen_member *members; /* by slot */
    uint32_t member_capacity;
    struct seen_rollout *rollouts; /* by number */
    uint32_t rollout_capacity;
    uint32_t *changed; /* slots that look different since the event before */
    uint32_t changed_count, changed_capacity;
    uint32_t last_number;    /* after the event before */
    uint64_t next_index;     /* likewise */
    uint32_t cursor;         /* of the recount in slices */
    uint64_t events, checks; /* looked at; functions called */
    struct outage outages[OUTAGES_MAX];
    uint32_t outage_count;
    bool lacks_memory;
    bool is_starved; /* the server had no memory or no store: what it could not decide comes with a
                        tick */
};

void witness_init(struct witness *w, bool is_small);
void witness_release(struct witness *w);
/* What it sees now is how it looked before: after a start, a load, or a round taken back. False: no
 * memory. */
bool witness_begin(struct witness *w, struct fleet *fleet);
void witness_note_outage(struct witness *w, int64_t from, int64_t until);

/* After each command, before the next fleet_begin(). False: *err is "I13 <sentence>". */
bool witness_event(struct witness *w, const struct event *event, struct err *err);
/* Everything, whatever the size. */
bool witness_all(struct witness *w, struct err *err);

/* ---- the rules ------------------------------------------------------------------------------ */

typedef bool invariant_fn(const struct witness *w, struct err *err);

enum invariant_cost {
    INVARIANT_CHEAP, /* O(live rollouts + what changed): after every event */
    INVARIANT_BATCH, /* O(batch) */
    INVARIANT_WHOLE, /* O(fleet) */
};

struct invariant {
    const char *id;
    uint8_t cost; /* enum invariant_cost */
    invariant_fn *holds;
    const char *meaning; /* one clause */
};
extern const struct invariant invariant_rows[];
extern const size_t invariant_count;

/* invariants_rollout.c */
invariant_fn invariant_sums, invariant_limits, invariant_concurrency, invariant_refusals,
    invariant_frozen, invariant_movable, invariant_one_rollback, invariant_breach,
    invariant_complete, invariant_states, invariant_parts, invariant_stillness;
/* invariants_member.c */
invariant_fn invariant_recount, invariant_domains, invariant_available, invariant_orders,
    invariant_wishes, invariant_touched, invariant_restored, invariant_reports, invariant_steps,
    invariant_silence;

/* ---- helpers of the rules ------------------------------------------------------------------- */

uint64_t seen_version(const struct fleet *fleet, struct version v);
struct seen_member seen_member_of(const struct fleet *fleet, uint32_t slot);
uint64_t seen_record(const struct fleet *fleet, const struct rollout *r); /* of an ended one */
/* How it looked before the event; zero when it was not there. */
struct seen_member seen_before(const struct witness *w, uint32_t slot);
struct seen_rollout seen_rollout_before(const struct witness *w, uint32_t number);
/* Whether a machine can come from one state to another by any rows, in none or more steps. */
bool machine_reaches(const struct sm_machine *machine, unsigned from, unsigned to);
/* How long no server ran between two instants. */
int64_t witness_outage(const struct witness *w, int64_t from, int64_t until);

#endif
