/* SPDX-License-Identifier: Apache-2.0
 * committer.c - two queues of jobs and a thread between them. */
#include "engine/committer.h"

#include <assert.h>
#include <pthread.h>

#define TEND_BUDGET_MS 5 /* of housekeeping at a time: a commit waits no longer for it */
#define TEND_EVERY_MS  200
#define BACKUP_STEP_MS 2 /* of copying at a time: the same for that */

struct job_queue {
    struct commit_job *first, *last;
};

struct committer {
    struct store_port store;
    void (*ring)(void *ctx);
    bool (*is_done)(void *ctx);
    void *ctx;
    struct job_queue done; /* without a thread only the owner touches these */
    struct job_queue waiting;
    struct store_stats stats;
    struct store_op *ops; /* of the batch under way */
    size_t op_capacity;
    pthread_t thread;
    pthread_mutex_t lock; /* guards everything below `ctx` but `ops` */
    pthread_cond_t wake, finished;
    unsigned under_way;        /* submitted and not yet done */
    struct commit_job *backup; /* being made, or NULL; changed by the thread alone */
    bool is_stopping;
};

static void push(struct job_queue *queue, struct commit_job *job)
{
    job->next = NULL;
    if (queue->last)
        queue->last->next = job;
    else
        queue->first = job;
    queue->last = job;
}

static struct commit_job *pop(struct job_queue *queue)
{
    struct commit_job *job = queue->first;
    if (job) {
        queue->first = job->next;
        if (!queue->first)
            queue->last = NULL;
    }
    return job;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

static bool ops_have_room(struct committer *c, size_t count)
{
    if (count <= c->op_capacity)
        return true;
    struct store_op *ops = memory_heap.resize(
        memory_heap.ctx, c->ops, c->op_capacity * sizeof ops[0], count * sizeof ops[0]);
    if (!ops)
        return false;
    c->ops = ops;
    c->op_capacity = count;
    return true;
}

static void run_commit(struct committer *c, struct commit_job *job)
{
    const struct batch *batch = job->batch;
    if (!ops_have_room(c, batch->count)) {
        job->result = STORE_RETRY;
        err_set(&job->err, ERR_MEMORY, "no memory for a batch");
        return;
    }
    const char *bytes = batch->bytes.data;
    for (size_t i = 0; i < batch->count; i++) {
        const struct commit_op *op = &batch->ops[i];
        c->ops[i] = (struct store_op){ .is_delete = op->is_delete,
                                       .key = { bytes + op->key_at, op->key_size },
                                       .value = { bytes + op->value_at, op->value_size } };
    }
    struct store_batch view = { .ops = c->ops,
                                .count = batch->count,
                                .frees_room = job->frees_room };
    job->result = c->store.commit(c->store.self, &view, &job->err);
}

static bool add_row(void *ctx, struct text key, struct text value)
{
    (void)key;
    struct buffer *rows = ctx;
    buffer_add(rows, value);
    buffer_add_byte(rows, '\n');
    return !rows->failed;
}

/* One step of a backup, or all of it with a budget without end. True: it is done. */
static bool step_backup(struct committer *c, struct commit_job *job, unsigned budget_ms)
{
    int file = -1;
    enum store_backup result = c->store.backup_step(c->store.self, budget_ms, &file, &job->err);
    job->succeeded = result == STORE_BACKUP_DONE;
    job->file = file;
    return result != STORE_BACKUP_MORE;
}

/* Without a thread nobody else is served meanwhile. */
static void run_backup(struct committer *c, struct commit_job *job)
{
    if (!c->store.backup_begin(c->store.self, &job->err))
        return;
    while (!step_backup(c, job, BACKUP_STEP_MS))
        continue;
}

static void run(struct committer *c, struct commit_job *job)
{
    int64_t began = now_us();
    switch (job->kind) {
    case JOB_COMMIT: run_commit(c, job); break;
    case JOB_SCAN:
        job->succeeded = c->store.scan(c->store.self, job->first, job->end, job->limit, add_row,
                                       job->rows, &job->err);
        break;
    case JOB_TERM: job->result = c->store.raise_term(c->store.self, job->term, &job->err); break;
    case JOB_BACKUP: run_backup(c, job); break;
    }
    job->took_us = now_us() - began;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* Until a job comes, the committer stops, or it is time for housekeeping again. */
static void wait_for_work(struct committer *c)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TEND_EVERY_MS * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000l;
    until.tv_nsec %= 1000000000l;
    if (!c->waiting.first && !c->is_stopping)
        pthread_cond_timedwait(&c->wake, &c->lock, &until);
}

/* With the lock held. */
static void finish(struct committer *c, struct commit_job *job)
{
    c->under_way--;
    push(&c->done, job);
    pthread_cond_signal(&c->finished);
    c->ring(c->ctx);
}

static void serve(struct committer *c, struct commit_job *job)
{
    pthread_mutex_unlock(&c->lock);
    run(c, job);
    struct store_stats stats = c->store.stats(c->store.self);
    pthread_mutex_lock(&c->lock);
    c->stats = stats;
    finish(c, job);
}

/* A begun backup leaves the line; the steps follow between the jobs behind it. */
static void begin_backup(struct committer *c, struct commit_job *job)
{
    pthread_mutex_unlock(&c->lock);
    bool begun = c->store.backup_begin(c->store.self, &job->err);
    pthread_mutex_lock(&c->lock);
    if (begun)
        c->backup = job;
    else
        finish(c, job);
}

static void go_on_with_backup(struct committer *c)
{
    struct commit_job *job = c->backup;
    bool gives_up = c->is_stopping || job->is_cancelled;
    pthread_mutex_unlock(&c->lock);
    bool is_done = gives_up;
    if (gives_up) {
        c->store.backup_cancel(c->store.self);
        err_set(&job->err, ERR_UNAVAILABLE, "the backup was given up");
    } else {
        is_done = step_backup(c, job, BACKUP_STEP_MS);
    }
    pthread_mutex_lock(&c->lock);
    if (!is_done)
        return;
    c->backup = NULL;
    finish(c, job);
}

static bool tend(struct committer *c)
{
    pthread_mutex_unlock(&c->lock);
    bool more = c->store.tend(c->store.self, TEND_BUDGET_MS);
    struct store_stats stats = c->store.stats(c->store.self);
    pthread_mutex_lock(&c->lock);
    c->stats = stats;
    return more;
}

/* Commits go first; the store is tended also while a backup is made. */
static void *work(void *ctx)
{
    struct committer *c = ctx;
    bool has_more = false;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct commit_job *job = pop(&c->waiting);
        if (job && job->kind == JOB_BACKUP)
            begin_backup(c, job);
        else if (job)
            serve(c, job);
        if (c->backup)
            go_on_with_backup(c);
        if (job || c->waiting.first)
            continue;
        if (c->is_stopping && !c->backup)
            break;
        if (!has_more && !c->backup)
            wait_for_work(c);
        has_more = !c->waiting.first && !c->is_stopping && tend(c);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static bool start_thread(struct committer *c, struct err *err)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, &attributes);
    pthread_cond_init(&c->finished, NULL);
    pthread_condattr_destroy(&attributes);
    if (!c->ring || pthread_create(&c->thread, NULL, work, c) == 0)
        return true;
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->finished);
    pthread_mutex_destroy(&c->lock);
    return err_set(err, ERR_MEMORY, "no thread for the store");
}

struct committer *committer_new(const struct store_port *store, void (*ring)(void *ctx),
                                bool (*is_done)(void *ctx), void *ctx, struct err *err)
{
    struct committer *c = memory_take_zeroed(&memory_heap, sizeof *c);
    if (!c) {
        err_set(err, ERR_MEMORY, "no memory for the store's thread");
        return NULL;
    }
    c->store = *store;
    c->ring = ring;
    c->is_done = is_done;
    c->ctx = ctx;
    c->stats = store->stats(store->self);
    if (!start_thread(c, err)) {
        memory_give(&memory_heap, c, sizeof *c);
        return NULL;
    }
    return c;
}

void committer_submit(struct committer *c, struct commit_job *job)
{
    if (!c->ring) {
        run(c, job);
        c->stats = c->store.stats(c->store.self);
        push(&c->done, job);
        return;
    }
    pthread_mutex_lock(&c->lock);
    push(&c->waiting, job);
    c->under_way++;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

void committer_cancel_backup(struct committer *c, struct commit_job *job)
{
    pthread_mutex_lock(&c->lock);
    job->is_cancelled = true;
    pthread_mutex_unlock(&c->lock);
}

struct commit_job *committer_take(struct committer *c)
{
    if (!c->ring && c->is_done && !c->is_done(c->ctx))
        return NULL;
    pthread_mutex_lock(&c->lock);
    struct commit_job *job = pop(&c->done);
    pthread_mutex_unlock(&c->lock);
    return job;
}

struct commit_job *committer_wait(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->done.first && c->under_way > 0)
        pthread_cond_wait(&c->finished, &c->lock);
    struct commit_job *job = pop(&c->done);
    pthread_mutex_unlock(&c->lock);
    return job;
}

struct store_stats committer_stats(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    struct store_stats stats = c->stats;
    pthread_mutex_unlock(&c->lock);
    return stats;
}

void committer_free(struct committer *c)
{
    if (!c)
        return;
    if (c->ring) {
        pthread_mutex_lock(&c->lock);
        c->is_stopping = true;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    c->store.close(c->store.self);
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->finished);
    pthread_mutex_destroy(&c->lock);
    memory_give(&memory_heap, c->ops, c->op_capacity * sizeof c->ops[0]);
    memory_give(&memory_heap, c, sizeof *c);
}
