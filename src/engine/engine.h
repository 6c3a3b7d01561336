/* SPDX-License-Identifier: Apache-2.0
 * engine.h - the shell around the core: rounds, atomic commits, the journal, and who waits for
 * what.
 *
 * The life of a command: engine_begin(), one function of core/command.h on engine_fleet(),
 * engine_end(). The caller renders its answer at once and gives it out when the round that the
 * answer rests on is durable: engine_wait() calls back. At the end of each turn of the loop
 * engine_end_round() hands everything that changed to the store as one batch; while that is under
 * way the next round fills (group commit). Nothing leaves before it is durable.
 *
 * The engine is called from one thread. It reads no clock: the port given to it does. */
#ifndef DIDES_ENGINE_ENGINE_H
#define DIDES_ENGINE_ENGINE_H

#include "core/command.h"
#include "engine/committer.h"
#include "engine/journal.h"
#include "engine/outcomes.h"
#include "port/clock.h"
#include "port/log.h"

struct engine;

struct engine_options {
    struct fleet_settings fleet;
    int64_t reconcile_interval_ms; /* how often live rollouts are evaluated without a reason */
    uint64_t events_kept;          /* journal entries in the store, at most */
    int64_t events_kept_ms;        /* and for how long */
    uint64_t hash_seed;            /* random, per process */
    const struct memory *memory;   /* of fleet, journal and batches; NULL: the heap */
    void (*ring)(void *ctx); /* from the store's thread: call engine_poll() soon; NULL: no thread */
    /* Without a thread the store does its work at once; engine_poll() learns of it when this says
     * so. For virtual time; NULL: at once. */
    bool (*is_done)(void *ctx);
    /* The store cannot say whether a batch is durable, or the state is damaged: the process must
     * end without answering anybody (doc/reliability.md, R2). Called once, from engine_poll(). */
    void (*fatal)(void *ctx, const struct err *why);
    void *ctx;
};

/* Loads everything that is stored. The store port is taken over on success: engine_free() closes
 * it. False: ERR_CORRUPT names the record; ERR_MEMORY; ERR_IO. */
bool engine_new(const struct engine_options *options, const struct store_port *store,
                const struct clock_port *clock, const struct log_port *log, struct engine **ret,
                struct err *err);
/* Makes durable what is open, times of last reports included, tells waiters and closes the store.
 * Blocks for as long as the disk does. NULL is allowed. */
void engine_free(struct engine *engine);

struct fleet *engine_fleet(struct engine *engine);
const struct journal *engine_journal(const struct engine *engine);

/* ---- commands ------------------------------------------------------------------------------- */

/* Before each command; `actor` is borrowed until engine_end(). */
void engine_begin(struct engine *engine, struct text actor);
/* The same before a command that frees more room than it takes, or that stops something: it is let
 * through also while the store is full, on what the store keeps for that. */
void engine_begin_freeing(struct engine *engine, struct text actor);
/* After each command, whether it succeeded or not: renders its journal entries. */
void engine_end(struct engine *engine);

/* The round whose durability an answer needs; 0: none, it may go out now. Of an answer that shows
 * one instance, and of one that may show anything. */
uint64_t engine_round_of(const struct engine *engine, const struct instance *inst);
uint64_t engine_round_of_all(const struct engine *engine);

/* `fn` is called inside engine_end() for each instance whose wish changed; not durable yet: see
 * engine_round_of(). It must not begin a command. One at a time; NULL: nobody. */
typedef void engine_wake_fn(void *ctx, uint32_t slot);
void engine_on_wake(struct engine *engine, engine_wake_fn *fn, void *ctx);

enum engine_outcome {
    ENGINE_DURABLE, /* give the answer out */
    ENGINE_DROPPED, /* nothing of the round is in force: answer ERR_STORE */
    ENGINE_UNKNOWN, /* nobody knows: close without an answer */
};

struct engine_waiter {
    struct engine_waiter *next;
    uint64_t round;
    void (*done)(struct engine_waiter *waiter, enum engine_outcome outcome);
};
/* Calls `done` once, from a later engine_poll() or engine_free(). The waiter must stay until then.
 * `round` is one of engine_round_of*() and not 0. */
void engine_wait(struct engine *engine, uint64_t round, struct engine_waiter *waiter);

/* ---- records of the layers above ------------------------------------------------------------ */

/* Keys that the engine keeps without knowing what they are. */
#define ENGINE_OTHER_PREFIX "other/"

/* Adds to the open round: durable with the command before it, or dropped with it. The key begins
 * with the prefix. `failed`: the caller had no memory for the texts; the round is dropped. */
void engine_put(struct engine *engine, struct text key, struct text value, bool failed);
void engine_delete(struct engine *engine, struct text key, bool failed);
/* Visits what was stored under such keys at start, once, in the order of keys; then it is
 * forgotten. False: the visitor's. */
typedef bool engine_other_fn(void *ctx, struct text key, struct text value, struct err *err);
bool engine_each_other(struct engine *engine, engine_other_fn *visit, void *ctx, struct err *err);
/* ms since the epoch, never going back: when a server starts with a clock behind that of the one
 * before, time goes on from there, a little slower until the clock has caught up. */
int64_t engine_now(const struct engine *engine);
bool engine_is_settled(const struct engine *engine, uint64_t round);

/* ---- turns of the loop ---------------------------------------------------------------------- */

/* Hands the open round to the store when none is under way; nothing happens when nothing changed.
 */
void engine_end_round(struct engine *engine);
/* After a ring: takes results of the store, releases waiters, tells readers, starts the next batch.
 */
void engine_poll(struct engine *engine);
/* Lets time pass; to be called about every 100 ms. */
void engine_tick(struct engine *engine);
/* Before a tick: this process got no time for so long, because it was stopped or its machine slept.
 * Deadlines move by it, and nobody is offline for one timeout (K7). */
void engine_stood_still(struct engine *engine, int64_t ms);

/* ---- readers of the journal (streams) ------------------------------------------------------- */

struct engine_reader {
    struct engine_reader *next, **link;         /* the engine's */
    void (*more)(struct engine_reader *reader); /* entries became durable; look at journal_at() */
};
void engine_reader_add(struct engine *engine, struct engine_reader *reader);
void engine_reader_remove(struct engine *engine, struct engine_reader *reader);

/* Entries that are no longer in memory, from the store: `job` (zeroed but for `rows`, an
 * initialised buffer) gets their JSON, one per line, at most `limit` from `first` on. `done` is
 * called from a later engine_poll(). */
struct engine_scan {
    struct commit_job job;
    char first_key[40], end_key[40];
    void (*done)(struct engine_scan *scan);
    void *ctx; /* the caller's */
};
void engine_read_old(struct engine *engine, struct engine_scan *scan, uint64_t first, size_t limit);

/* ---- backups, and old states put in place (recovery.c) --------------------------------------- */

/* A copy of the store, made while it is in use; one at a time. Everything that was durable when it
 * was asked for is in it. `done` is called once, from a later engine_poll() or engine_free(): with
 * job.succeeded, job.file is a descriptor of the copy, at its start, and the caller's to close;
 * otherwise job.err says why not. `backup` (zeroed but for these) must stay until then. */
struct engine_backup {
    struct commit_job job;
    void (*done)(struct engine_backup *backup);
    void *ctx; /* the caller's */
};
/* False: one is being made (ERR_UNAVAILABLE), and `done` is not called. */
bool engine_backup(struct engine *engine, struct engine_backup *backup, struct err *err);
/* Nobody wants it any more; `done` is called all the same. */
void engine_backup_cancel(struct engine *engine, struct engine_backup *backup);

/* Which life of the store this is: with the generation of an instance it orders all orders that
 * were ever given to it (doc/reliability.md, R17). Durable. */
uint64_t engine_term(const struct engine *engine);
/* An agent says which order it knows. If the server never gave it, the store is older than what the
 * agents have seen, an old copy of it was put in place by hand: from then on the engine is held,
 * which is logged (FS9). */
void engine_heed_observed(struct engine *engine, uint32_t slot, uint64_t term, uint32_t generation);
/* Nothing is picked while this is so. */
bool engine_is_held(const struct engine *engine);

/* An operator says that the state is the one to go on from: raises the term above all that any
 * agent has seen, and the engine is not held again before it is loaded anew. `done` is called once,
 * from a later engine_poll() or engine_free(). */
struct engine_confirm {
    void (*done)(struct engine_confirm *confirm, enum engine_outcome outcome);
};
/* False: it is not held, or being confirmed (ERR_REFUSED); then `done` is not called. */
bool engine_confirm(struct engine *engine, struct engine_confirm *confirm, struct err *err);

/* ---- state of the engine itself ------------------------------------------------------------- */

/* Whether writes are accepted; false while the store is full, and for good after a fatal result. */
bool engine_is_writable(const struct engine *engine);
/* Whether commands after engine_begin_freeing() may be accepted. */
bool engine_is_freeable(const struct engine *engine);
/* When that began, in ms; 0 while writes are accepted. */
int64_t engine_store_fails_since(const struct engine *engine);

struct engine_stats {
    uint64_t heartbeats_unchanged, heartbeats_changed;
    struct octaves clock_skew_ms; /* of heartbeats, by how much, in either direction */
    uint64_t commits, commit_failures;
    struct octaves commit_us, batch_ops;      /* of durable batches */
    struct octaves reconcile_us;              /* of engine_tick() when something was due */
    uint64_t checks, violations;              /* of the background check (K8) */
    uint64_t waited_ms[WAITING_REASON_COUNT]; /* in which live rollouts waited, by reason */
    struct outcomes outcomes;                 /* durable ones */
    uint32_t waiter_count;                    /* answers that wait until they are durable */
    int64_t overdue_ms; /* for how long the most overdue timer has been due; 0: none is */
    struct store_stats store;
};
/* Everything since the start of the process. */
struct engine_stats engine_stats(struct engine *engine);
void engine_count_heartbeat(struct engine *engine, bool is_changed);
/* An agent's clock, minus that of the server. */
void engine_count_skew(struct engine *engine, int64_t skew_ms);

#endif
