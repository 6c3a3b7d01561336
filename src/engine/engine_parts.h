/* SPDX-License-Identifier: Apache-2.0
 * engine_parts.h - what the files of the engine share; nobody else includes it. */
#ifndef DIDES_ENGINE_ENGINE_PARTS_H
#define DIDES_ENGINE_ENGINE_PARTS_H

#include "core/place.h"
#include "engine/engine.h"
#include "engine/retention.h"
#include "engine/seen.h"
#include "engine/waited.h"

#define RETENTION_STEP 256u /* journal entries deleted in one round at most */

/* Old states of the store that were put in place, and copies of it. */
struct recovery {
    uint64_t term;         /* of the store */
    uint64_t term_seen;    /* the highest that an agent reported */
    bool is_held;          /* an agent knows more than the store does */
    bool is_confirmed;     /* an operator said to go on all the same */
    int64_t loaded_at;     /* instances registered before came with the store */
    struct commit_job job; /* raises the term, while `confirm` is set */
    struct engine_confirm *confirm;
    struct engine_backup *backup; /* being made */
};

struct engine {
    struct engine_options options;
    struct clock_port clock;
    struct log_port log;
    struct fleet fleet;
    struct journal journal;
    struct seen seen;
    struct retention retention;
    struct committer *committer;

    struct batch batches[2];
    struct batch *open;               /* of the open round; the other one may be under way */
    struct commit_job job;            /* valid while is_committing */
    uint64_t job_last_index;          /* of the journal, when that round was closed */
    uint64_t job_oldest, kept_oldest; /* entry of the journal: then; in the store */
    bool is_committing;
    bool is_dead;           /* a commit had an unknown result */
    uint64_t settled;       /* newest durable round */
    int64_t probe_at;       /* while frozen: when to ask the store again */
    bool is_let_through;    /* the command under way is, although the fleet is frozen */
    bool frees_room;        /* there is such a command in the open round */
    int64_t failing_since;  /* while frozen */
    int64_t alive_at;       /* the clock of the newest batch */
    int64_t stood_still_ms; /* not yet added to deadlines */
    int64_t ahead_ms; /* of the clock, which was behind the stored one when the engine was loaded */
    int64_t ahead_since; /* what the clock showed then */

    struct engine_waiter *waiters, **last_waiter;
    struct engine_reader *readers;
    engine_wake_fn *wake;
    void *wake_ctx;
    struct buffer scratch; /* one journal entry */
    struct buffer others;  /* other records at start: key and value, each after its size */

    struct recovery recovery;

    int64_t reconciled_at, checked_at, checked_all_at;
    uint32_t check_cursor;
    struct outcomes opened, closed; /* of the open round; of the one under way */
    struct waited waited;
    struct engine_stats stats;
};

/* Reads everything that is stored into a new engine. */
bool engine_load(struct engine *engine, const struct store_port *store, struct err *err);
/* recovery.c */
void recovery_finish(struct engine *engine, struct commit_job *job);
/* What is under way ends soon, without success. */
void recovery_stop(struct engine *engine);

/* The store cannot say what is durable. */
void engine_die(struct engine *engine, const struct err *why);
void engine_log_error(const struct engine *engine, const char *message, const struct err *why);

#endif
