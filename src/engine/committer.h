/* SPDX-License-Identifier: Apache-2.0
 * committer.h - the thread that makes batches durable while the loop applies the next round. It
 * owns the store: no other thread calls it. One commit is under way at a time (group commit); reads
 * of old journal entries wait in line behind it. A backup is made in small steps between jobs. */
#ifndef DIDES_ENGINE_COMMITTER_H
#define DIDES_ENGINE_COMMITTER_H

#include "base/buffer.h"
#include "port/store.h"

/* A batch under construction: texts by offset, because the buffer moves while it grows. */
struct commit_op {
    size_t key_at, key_size, value_at, value_size;
    bool is_delete;
};

struct batch {
    struct buffer bytes;
    struct commit_op *ops;
    size_t count, capacity;
    bool failed; /* no memory for it */
};

/* What the thread is asked to do, and what came of it. Owned by the caller throughout. */
struct commit_job {
    struct commit_job *next;
    enum { JOB_COMMIT, JOB_SCAN, JOB_TERM, JOB_BACKUP } kind;
    uint64_t round;         /* of JOB_COMMIT: the caller's own mark */
    struct batch *batch;    /* of JOB_COMMIT */
    bool frees_room;        /* of JOB_COMMIT: see port/store.h */
    struct text first, end; /* of JOB_SCAN; borrowed until it is done */
    size_t limit;
    struct buffer *rows; /* of JOB_SCAN: values, one per line */
    uint64_t term;       /* of JOB_TERM: what to raise it to */
    void *ctx;           /* the caller's */

    enum store_result result; /* of JOB_COMMIT and JOB_TERM */
    bool succeeded;           /* of JOB_SCAN and JOB_BACKUP */
    bool is_cancelled;        /* of JOB_BACKUP: the committer's own */
    int file;                 /* of JOB_BACKUP that succeeded: a descriptor, see port/store.h */
    struct err err;
    int64_t took_us; /* inside the store */
};

struct committer;

/* `ring` is called from the thread whenever a job is done; NULL: there is no thread, and jobs are
 * done inside committer_submit() (tests, simulation); committer_take() then gives them out when
 * `is_done`, unless NULL, says so. The port is copied; the store is closed by committer_free().
 * NULL with *err: no thread, no memory; then the store is still the caller's. */
struct committer *committer_new(const struct store_port *store, void (*ring)(void *ctx),
                                bool (*is_done)(void *ctx), void *ctx, struct err *err);
void committer_submit(struct committer *committer, struct commit_job *job);
/* Ends a backup that was submitted, if it is not done: it is done soon then, and did not succeed.
 */
void committer_cancel_backup(struct committer *committer, struct commit_job *job);
/* A job that is done, in the order of submission but for backups, or NULL. */
struct commit_job *committer_take(struct committer *committer);
/* The same, waiting for one; NULL: none was submitted. */
struct commit_job *committer_wait(struct committer *committer);
struct store_stats committer_stats(struct committer *committer);
/* Waits for what was submitted, gives a backup up, closes the store. NULL is allowed. */
void committer_free(struct committer *committer);

void batch_init(struct batch *batch, const struct memory *memory);
void batch_release(struct batch *batch);
void batch_clear(struct batch *batch);
/* A put whose key and value the caller writes: begin, write the key into batch->bytes, batch_value,
 * write the value, batch_end. With batch_end_delete() instead it deletes the key. */
void batch_begin(struct batch *batch);
void batch_value(struct batch *batch);
void batch_end(struct batch *batch);
void batch_end_delete(struct batch *batch);

#endif
