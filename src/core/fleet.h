/* SPDX-License-Identifier: Apache-2.0
 * fleet.h - the whole state of the rollout domain: instances, rollouts, and what is derived of
 * them.
 *
 * One fleet is changed by one thread, one command at a time, each completely (K3). A command first
 * checks and reserves everything it may need; after that nothing can fail. Every record is logged
 * before its first change in a round, so that a round whose commit fails can be taken back.
 *
 * Records (instances, rollouts) are the truth and go to the store. Everything else, such as sets,
 * counters and timers, is derived from them by place.c and can be rebuilt at any time. */
#ifndef DIDES_CORE_FLEET_H
#define DIDES_CORE_FLEET_H

#include "base/limits.h"
#include "base/ordered.h"
#include "base/timers.h"
#include "core/change.h"
#include "core/lots.h"
#include "core/member.h"
#include "core/rollout.h"
#include "core/silence.h"
#include "core/waiting.h"

#define FLEET_NONE UINT32_MAX /* "no instance" */
/* A rollback is made before the live rollout that it undoes has ended. */
#define FLEET_LIVE_MAX (LIMIT_LIVE_ROLLOUTS + 1)

/* Settings that the core obeys. Times in ms. Ranges: cmd/settings.c. */
struct fleet_settings {
    int64_t heartbeat_timeout_ms;
    int64_t heartbeat_min_ms,
        heartbeat_max_ms;       /* bounds of the interval given to an idle instance */
    int64_t active_interval_ms; /* the interval of members in flight */
    uint32_t target_rate;       /* heartbeats per second wanted at most */
    uint32_t max_concurrent;    /* live rollouts, at most LIMIT_LIVE_ROLLOUTS */
    uint32_t max_instances;
    uint32_t rollouts_kept;
    int64_t rollouts_kept_ms;
    bool ignores_agent_labels;
    bool is_manual; /* reconcile: manual: decisions only on trigger, verbs and progress calls */
};

extern const struct fleet_settings fleet_settings_default;

/* What an instance ran before a rollout picked it; the newest entry is the top (5.1). */
struct trail_entry {
    uint32_t rollout;
    struct version previous;
};

/* The newest order given to an instance: kept after its rollout has ended, as history. */
struct assignment {
    uint32_t rollout;           /* number; 0 = never picked */
    uint16_t attempt;           /* from 1 */
    uint8_t state;              /* enum member_state reached in `rollout` */
    uint8_t cause;              /* enum member_cause */
    uint8_t status_when_picked; /* enum instance_state */
    bool is_acknowledged;       /* this failure no longer counts for the threshold */
    struct version target, previous;
    int64_t assigned_at, on_target_since, healthy_since, ended_at;
    int64_t deadline_at, health_deadline_at; /* 0 = none; the latter once on the target */
};

/* Name and address in one block; shared by the log of the round. */
struct instance_texts {
    uint32_t users;
    uint8_t name_size, ip_size;
    char bytes[]; /* the name, then the address */
};

enum member_set {
    SET_NONE, /* completed or not needed */
    /* Candidates in pick order (P7): original members before joiners; the broken first. They stand
     * in the queues of lots.h, one class each. */
    SET_FIRST_FAILED,
    SET_FIRST_DEGRADED,
    SET_FIRST_UNKNOWN,
    SET_FIRST_HEALTHY,
    SET_LATER_FAILED,
    SET_LATER_DEGRADED,
    SET_LATER_UNKNOWN,
    SET_LATER_HEALTHY,
    SET_AWAY,   /* needs the update and is offline */
    SET_BUSY,   /* in flight */
    SET_BROKEN, /* failed */
    MEMBER_SET_COUNT
};

/* Where the derived structures count an instance; written by place.c only. */
struct placement {
    uint32_t rollout; /* number; once that has ended, the instance is a member of none */
    uint32_t lot;     /* in the rollout's lots */
    uint16_t live;    /* index in fleet.live + 1; 0 = none */
    uint8_t set;      /* enum member_set */
    uint8_t state;    /* enum member_state */
    uint8_t wave;     /* index */
    uint8_t status;
    bool is_joiner : 1; /* it came to match after the start */
    bool is_online : 1, is_available : 1, is_settling : 1, is_acknowledged : 1, is_retrying : 1;
};

struct instance {
    struct instance_texts *texts; /* NULL: the slot is free */
    uint32_t labels;              /* id of a label set */
    uint32_t message;             /* interned; of the newest report that had one */
    struct version current, desired;
    struct assignment assignment;
    struct trail_entry trail[LIMIT_TRAIL]; /* oldest first */
    int64_t registered_at, last_seen;
    int64_t offline_at;     /* since when it is offline; 0 = it is not, or never was heard */
    uint64_t changed_index; /* index of the journal entry that was next when this last changed */
    uint64_t touched_round; /* newest round that changed it */
    uint32_t generation;    /* +1 when the wish changes */
    int32_t clock_skew_ms;  /* agent minus server; not durable */
    uint32_t interval_ms;   /* heartbeat interval given last; not durable */
    uint32_t session;       /* that its reports are ordered by, 0: none (R16); not durable */
    uint32_t sequence;      /* of the newest report in it */
    uint32_t member_of;     /* number of the live rollout it belonged to when the record was touched
                               last, or 0: one not touched since a rollout started says nothing
                               about it, and membership follows from the selector (place.c) */
    uint8_t status;         /* enum instance_state */
    uint8_t presence;       /* enum presence_state */
    uint8_t wave;           /* of `member_of`: index of its wave */
    uint8_t trail_waves[LIMIT_TRAIL]; /* beside the trail: index of its wave in each rollout */
    uint8_t trail_count : 3;
    bool is_joiner : 1; /* of `member_of`: it came to match after the start */
    bool was_idle : 1;  /* when it fell silent it was not in flight (silence.h) */
    bool is_gone : 1;   /* deleted; the slot is freed when that is durable */
    struct placement placed;
};

/* One live rollout's derived part. */
struct rollout_live {
    struct rollout *rollout;
    uint16_t index; /* in fleet.live */
    struct tally tally;
    struct tally *waves;             /* one per wave */
    struct lots lots;                /* candidates */
    uint32_t sets[MEMBER_SET_COUNT]; /* roots in fleet.members; those of candidates are unused */
    struct waits waits;
    bool is_entering;   /* sets are being filled in order of keys (entering.h) */
    bool has_sets;      /* they are sets again */
    int64_t landed_at;  /* when nobody was in flight any more */
    uint32_t *entering; /* slots of the members to be, until it starts; NULL: none */
    uint32_t entering_count, entering_capacity;
};

struct undo_instance; /* fleet_log.c's own: what a record was before its first change in a round */
struct undo_rollout;

/* What no record says, as it was when a round was closed. */
struct round_mark {
    uint64_t round, next_index;
    uint32_t last_number;
    struct silence silence;
};
#define FLEET_ROUNDS_MAX 4 /* closed and not yet settled */

struct fleet {
    const struct memory *memory;
    struct fleet_settings settings;
    struct intern texts; /* versions, label keys and values, messages */
    struct label_sets labels;

    struct instance **chunks; /* by slot: FLEET_CHUNK instances each, so that they never move */
    uint32_t slot_count, slot_capacity, chunk_capacity;
    uint32_t *free_slots;
    uint32_t free_count, free_capacity;
    uint32_t instance_count;
    struct map keys;
    struct ordered by_name, members;
    uint32_t names;  /* root of all instances in fleet.by_name */
    uint32_t *ranks; /* by slot: its number in the order of keys when all were numbered last, so
                        that sets compare without keys; 0: it has come since */
    uint32_t rank_capacity;
    struct timers timers;

    struct rollout **rollouts; /* ascending numbers, ended ones included */
    uint32_t rollout_count, rollout_capacity;
    struct rollout_live *live[FLEET_LIVE_MAX]; /* NULL = free */
    uint32_t live_count, live_end;             /* none is in `live` from the latter on */
    uint32_t last_number;                      /* of a rollout */

    struct tally_fleet {
        uint32_t by_status[instance_state_count];
        uint32_t online, in_progress;
    } tally;
    struct silence silence;

    struct undo_instance *undo; /* [undo_first, undo_count), oldest first */
    uint32_t undo_first, undo_count, undo_capacity;
    struct undo_rollout *undo_rollouts;
    uint32_t undo_rollout_first, undo_rollout_count, undo_rollout_capacity;
    struct round_mark marks[FLEET_ROUNDS_MAX]; /* [0] = the newest settled one */
    uint32_t mark_count;
    uint64_t round;         /* being filled; starts at 1 */
    struct change *changes; /* of the present command */
    uint32_t change_count, change_capacity;
    uint64_t next_index; /* of the next journal entry; starts at 1 */

    uint32_t *woken; /* slots whose wish changed in the present command */
    uint32_t woken_count, woken_capacity;

    uint32_t last_session;  /* given to an instance, by this process */
    int64_t now;            /* of the present command */
    int64_t started_at;     /* nobody goes offline for one timeout from here */
    int64_t stood_still_ms; /* by which deadlines moved at the start, until that is durable */
    uint64_t resumed_round; /* the round in which they did */
    int64_t pruned_at;      /* when old records were last looked for */
    struct text actor;      /* of the present command; borrowed for its time */
    bool is_frozen;         /* the store takes no writes: fleet_reserve() fails with ERR_STORE */
    bool is_held; /* agents know newer orders than this state: nobody is picked, and nothing is
                     a breach, until an operator confirms (RELIABILITY, FS9) */
};

#define FLEET_CHUNK 1024u

/* ---- life ----------------------------------------------------------------------------------- */

/* The fleet must stay where it is: its orders point back to it. */
bool fleet_init(struct fleet *fleet, const struct memory *memory,
                const struct fleet_settings *settings, uint64_t hash_seed, struct err *err);
void fleet_release(struct fleet *fleet);

/* ---- reading -------------------------------------------------------------------------------- */

static inline struct instance *fleet_at(const struct fleet *fleet, uint32_t slot)
{
    return &fleet->chunks[slot / FLEET_CHUNK][slot % FLEET_CHUNK];
}

/* Asks the memory for a whole record. Inlined always: of a function that does nothing else the
 * compiler drops the calls. */
static inline __attribute__((always_inline)) void fleet_fetch(const struct fleet *fleet,
                                                              uint32_t slot)
{
    const char *record = (const char *)fleet_at(fleet, slot);
    for (size_t at = 0; at < sizeof(struct instance); at += 64)
        __builtin_prefetch(record + at);
    __builtin_prefetch(record + sizeof(struct instance) - 1);
}

/* For walks over slots in no order: asks the memory for one that comes a little later. */
static inline void fleet_prefetch(const struct fleet *fleet, const uint32_t *slots, uint32_t i,
                                  uint32_t count)
{
    const struct instance *later = fleet_at(fleet, slots[i + 8 < count ? i + 8 : i]);
    __builtin_prefetch(later);
    __builtin_prefetch(&later->placed);
}

struct text instance_name(const struct instance *inst); /* empty when nameless */
struct text instance_ip(const struct instance *inst);   /* empty when not given */
struct text instance_key(const struct instance *inst);  /* the name, or the address */

uint32_t fleet_find(const struct fleet *fleet, struct text key); /* slot, or FLEET_NONE */
/* In order of keys: the first whose key is > `after` (>= it when `or_equal`), or FLEET_NONE. */
uint32_t fleet_next(const struct fleet *fleet, struct text after, bool or_equal);
uint32_t fleet_after(const struct fleet *fleet, uint32_t slot);
/* Up to `max` of them, from `slot` on (FLEET_NONE: none), for much less than a call for each.
 * Returns how many; less than `max` only at the end. */
size_t fleet_list(const struct fleet *fleet, uint32_t slot, uint32_t *ret, size_t max);

struct rollout *fleet_rollout(const struct fleet *fleet, uint32_t number); /* NULL: none */
/* The live one with the lowest number, or NULL. */
struct rollout *fleet_first_live(const struct fleet *fleet);
/* Present counters of a live rollout, the final ones of an ended one. */
const struct tally *rollout_tally(const struct rollout *r);
uint32_t rollout_batch_limit(const struct rollout *r);
uint32_t rollout_threshold(const struct rollout *r);

/* What a clock of `r` shows: now, or when clocks stopped. What begins while they stand still begins
 * then, for that time is added when they go on (K7). */
static inline int64_t rollout_clock(const struct fleet *fleet, const struct rollout *r)
{
    return r->stopped_at != 0 ? r->stopped_at : fleet->now;
}

/* The live rollout that `inst` is a member of, or NULL. */
struct rollout *fleet_rollout_of(const struct fleet *fleet, const struct instance *inst);
/* The state in that rollout; MEMBER_NONE when there is none. */
enum member_state fleet_member_state(const struct fleet *fleet, const struct instance *inst);
/* What clients see as update_state: of the live rollout, else of the newest order. */
enum member_state fleet_update_state(const struct fleet *fleet, const struct instance *inst);
bool instance_needs_update(const struct instance *inst); /* N5 */

static inline struct text fleet_text(const struct fleet *fleet, uint32_t id)
{
    return intern_text(&fleet->texts, id);
}

/* ---- writing: used by the other files of the core ------------------------------------------- */

/* Room for `touches` first changes of records and their journal entries, so that the calls below
 * cannot fail. ERR_MEMORY or, while frozen, ERR_STORE: nothing changed. */
bool fleet_reserve(struct fleet *fleet, size_t touches, struct err *err);

/* To be called before any change of a record; logs what it was. Counts against the reserve. */
struct instance *fleet_touch(struct fleet *fleet, uint32_t slot);
void fleet_touch_rollout(struct fleet *fleet, struct rollout *r);

/* A slot with texts, labels 0 and the rest zero, already in the key map and in name order. */
bool fleet_add(struct fleet *fleet, struct text name, struct text ip, uint32_t *ret_slot,
               struct err *err);
/* Into the key map and the order of keys, for which there is room. */
void fleet_index(struct fleet *fleet, uint32_t slot);
/* All instances in order of keys into `ret`, which has room for instance_count, and their numbers
 * into fleet.ranks. */
void fleet_number_all(struct fleet *fleet, uint32_t *ret);
/* Out of both; freed once durable. Must have been taken out of its rollout. */
void fleet_remove(struct fleet *fleet, uint32_t slot);
bool fleet_set_ip(struct fleet *fleet, struct instance *inst, struct text ip, struct err *err);

/* Counted replacement of an interned text; takes over the caller's use of `id`. */
void fleet_set_text(struct fleet *fleet, uint32_t *place, uint32_t id);
void fleet_set_version(struct fleet *fleet, struct version *place, struct version v); /* shares v */
void fleet_set_labels(struct fleet *fleet, struct instance *inst, uint32_t labels); /* takes over */

/* Room for an instance with other labels in the failure domains of every live rollout. */
bool fleet_reserve_labels(struct fleet *fleet, struct err *err);

/* A record outside the fleet, zeroed but for its arena, with room for it to be added. NULL: no
 * memory (ERR_MEMORY). It is either added or dropped. */
struct rollout *fleet_new_rollout(struct fleet *fleet, struct err *err);
void fleet_drop_rollout(struct fleet *fleet, struct rollout *r);
/* Gives it the next number and logs it. Cannot fail. */
void fleet_add_rollout(struct fleet *fleet, struct rollout *r);
/* Only for an ended one. */
void fleet_forget_rollout(struct fleet *fleet, struct rollout *r);
/* Gives `r` its live part. False: no memory. */
bool fleet_make_live(struct fleet *fleet, struct rollout *r, struct err *err);
/* Takes it away: all its members are members of none from now on. None may be in flight. */
void fleet_end_live(struct fleet *fleet, struct rollout *r);

/* Appends to the changes of the present command. */
void fleet_publish(struct fleet *fleet, const struct change *change);
/* Notes that the agent of `slot` should learn of its wish now. */
void fleet_wake(struct fleet *fleet, uint32_t slot);

/* ---- commands and rounds: used by the engine ------------------------------------------------ */

/* Before each command: the time (ms, never falling) and who acts. Clears the lists of the last. */
void fleet_begin(struct fleet *fleet, int64_t now, struct text actor);

/* A record that the open round changed. */
struct fleet_dirty {
    uint32_t slot;           /* FLEET_NONE for a rollout */
    struct rollout *rollout; /* NULL for an instance */
    bool is_delete;
};
bool fleet_is_dirty(const struct fleet *fleet);
/* Visits each once, in the order of first changes: a key deleted and used again comes twice, the
 * deletion first. */
void fleet_each_dirty(const struct fleet *fleet,
                      void (*visit)(void *ctx, const struct fleet_dirty *dirty), void *ctx);

/* Closes the round; what comes next belongs to the following one. Returns the closed one's number.
 */
uint64_t fleet_end_round(struct fleet *fleet);
/* `round` and all before it are durable: their log is dropped. */
void fleet_settle(struct fleet *fleet, uint64_t round);
/* Takes back all rounds that are not settled, the open one included, and rebuilds what is derived.
 * Numbers already given to rollouts and journal entries are given again. */
void fleet_undo(struct fleet *fleet);

/* ---- loading: used by the engine at start --------------------------------------------------- */

/* Adds a record of fleet_new_rollout() with the number that stands in it. */
void fleet_adopt_rollout(struct fleet *fleet, struct rollout *r);
/* After all records were added by fleet_add() and fleet_adopt_rollout(): gives live rollouts their
 * live part and derives everything. Deadlines move by `stood_still_ms`, the time in which no server
 * ran (K7); the moved records are dirty in the open round. ERR_MEMORY, ERR_CORRUPT. */
bool fleet_finish_loading(struct fleet *fleet, int64_t now, int64_t stood_still_ms,
                          struct err *err);
/* The same for a server that got no time for so long, as a command: deadlines move, and nobody is
 * offline for one timeout from here. ERR_MEMORY, ERR_STORE: nothing moved. */
bool fleet_stand_still(struct fleet *fleet, int64_t ms, struct err *err);

#endif
