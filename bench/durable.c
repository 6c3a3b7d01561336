/* SPDX-License-Identifier: Apache-2.0
 * durable.c - how many changes of instances become durable in a second? Reports that change the
 * status of an instance go through core, engine, the thread of the committer and the SQLite store,
 * on a disk; without HTTP. The reference, in turns with it, is a loop that appends batches of the
 * same sizes and bytes to a table of the same form and does nothing else: it has no fleet, makes no
 * journal entries or records, and never moves anything to where it can be read.
 * What the numbers mean: doc/performance.md.
 *
 * usage: durable [CHANGES [INSTANCES [REPETITIONS]]]   of each line; 300000, 100000 and 5 */
#include "folder.h"
#include "stopwatch.h"
#include "store/sqlite/batch.h"
#include "wire/request.h"
#include "world.h"

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURN            64u /* requests that a turn of the loop takes at most, as a server does */
#define CLIENTS_MAX     10000u
#define REPETITIONS_MAX 31u
#define POOL_BYTES      ((size_t)64 << 20)
#define WAL_PAGES       4096 /* in its log, and both go back to the database, as in the store */

static uint32_t changes = 300000, instances = 100000, repetitions = 5;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

/* Of the calling thread. */
static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- the store, watched --------------------------------------------------------------------- */

/* Written by the store's thread, read when nothing is under way. */
static struct {
    struct store_port inner;
    int64_t commit_cpu_ns, tend_cpu_ns;
    size_t *sizes; /* of the batches of this repetition */
    size_t count, capacity;
    char *pool; /* bytes of batches, for the reference */
    size_t pooled;
    struct buffer encoded;
} watched;

static void note_size(size_t size)
{
    if (watched.count == watched.capacity) {
        watched.capacity = watched.capacity ? 2 * watched.capacity : 1024;
        watched.sizes = realloc(watched.sizes, watched.capacity * sizeof watched.sizes[0]);
        if (!watched.sizes)
            die("memory", "none for the sizes of batches");
    }
    watched.sizes[watched.count++] = size;
}

/* The first batches fill the pool, in a repetition that is not timed. */
static void note_batch(const struct store_batch *batch)
{
    size_t size = sqlite_batch_size(batch);
    note_size(size);
    if (watched.pooled + size > POOL_BYTES)
        return;
    sqlite_batch_encode(&watched.encoded, batch);
    memcpy(watched.pool + watched.pooled, watched.encoded.data, size);
    watched.pooled += size;
}

static enum store_result commit(struct store *self, const struct store_batch *batch,
                                struct err *err)
{
    (void)self;
    note_batch(batch);
    int64_t began = cpu_ns();
    enum store_result result = watched.inner.commit(watched.inner.self, batch, err);
    watched.commit_cpu_ns += cpu_ns() - began;
    return result;
}

static bool tend(struct store *self, unsigned budget_ms)
{
    (void)self;
    int64_t began = cpu_ns();
    bool has_more = watched.inner.tend(watched.inner.self, budget_ms);
    watched.tend_cpu_ns += cpu_ns() - began;
    return has_more;
}

static struct store_port watch(struct store_port inner)
{
    watched.inner = inner;
    watched.pool = malloc(POOL_BYTES);
    buffer_init(&watched.encoded, &memory_heap, SQLITE_BATCH_MAX);
    if (!watched.pool)
        die("memory", "none for batches");
    inner.commit = commit;
    inner.tend = tend;
    return inner;
}

/* ---- the loop ------------------------------------------------------------------------------- */

struct loop {
    struct world world;
    struct heartbeat_command said[2];
    uint64_t said_count; /* reports so far */
    pthread_mutex_t lock;
    pthread_cond_t rings;
    bool has_rung;               /* guarded by the lock */
    struct engine_waiter *ready; /* clients that have their answer */
    int64_t close_cpu_ns;        /* of closing rounds: records are encoded */
};

static void ring(void *ctx)
{
    struct loop *loop = ctx;
    pthread_mutex_lock(&loop->lock);
    loop->has_rung = true;
    pthread_cond_signal(&loop->rings);
    pthread_mutex_unlock(&loop->lock);
}

static bool take_ring(struct loop *loop, bool waits)
{
    pthread_mutex_lock(&loop->lock);
    while (waits && !loop->has_rung)
        pthread_cond_wait(&loop->rings, &loop->lock);
    bool has_rung = loop->has_rung;
    loop->has_rung = false;
    pthread_mutex_unlock(&loop->lock);
    return has_rung;
}

static struct loop *loop_of_waiter; /* there is one */

static void be_ready(struct engine_waiter *waiter, enum engine_outcome outcome)
{
    if (outcome != ENGINE_DURABLE)
        die("a change", "it did not become durable");
    waiter->next = loop_of_waiter->ready;
    loop_of_waiter->ready = waiter;
}

/* One instance changes its status; each in its turn, so that every report changes something. */
static uint32_t report(struct loop *loop)
{
    struct engine *engine = loop->world.engine;
    struct heartbeat_result result;
    struct err err = { .code = ERR_NONE };
    uint32_t slot = (uint32_t)(loop->said_count % instances);
    unsigned which = loop->said_count++ / instances % 2;
    engine_begin(engine, TEXT("agent"));
    bool done = fleet_heartbeat(engine_fleet(engine), slot, &loop->said[which], &result, &err);
    engine_end(engine);
    if (!done || !result.is_changed)
        die("a report", done ? "it changed nothing" : err.text);
    engine_count_heartbeat(engine, true);
    return slot;
}

/* The end of a turn. */
static void close_round(struct loop *loop, bool waits)
{
    int64_t began = cpu_ns();
    loop->world.now++;
    engine_end_round(loop->world.engine);
    loop->close_cpu_ns += cpu_ns() - began;
    if (!take_ring(loop, waits))
        return;
    began = cpu_ns();
    engine_poll(loop->world.engine);
    loop->close_cpu_ns += cpu_ns() - began;
}

static void wait_until_durable(struct loop *loop)
{
    while (engine_round_of_all(loop->world.engine) != 0)
        close_round(loop, true);
}

/* Each client sends its next report when the one before is durable: batches are what came while the
 * one before was written. */
static void run_clients(struct loop *loop, uint32_t clients)
{
    static struct engine_waiter waiters[CLIENTS_MAX];
    struct engine *engine = loop->world.engine;
    loop->ready = NULL;
    for (uint32_t i = 0; i < clients; i++) {
        waiters[i].done = be_ready;
        be_ready(&waiters[i], ENGINE_DURABLE);
    }
    for (uint32_t left = changes; left > 0;) {
        for (uint32_t turn = TURN; turn > 0 && left > 0 && loop->ready; turn--, left--) {
            struct engine_waiter *waiter = loop->ready;
            loop->ready = waiter->next;
            const struct instance *inst = fleet_at(engine_fleet(engine), report(loop));
            engine_wait(engine, engine_round_of(engine, inst), waiter);
        }
        close_round(loop, !loop->ready);
    }
    wait_until_durable(loop);
}

/* Rounds of one size: each is handed over when the one before is durable and this one is full. */
static void run_rounds(struct loop *loop, uint32_t size)
{
    for (uint32_t left = changes; left > 0;) {
        for (uint32_t i = 0; i < size && left > 0; i++, left--)
            report(loop);
        uint64_t round = engine_fleet(loop->world.engine)->round;
        close_round(loop, false);
        while (engine_fleet(loop->world.engine)->round == round)
            close_round(loop, true);
    }
    wait_until_durable(loop);
}

/* ---- the reference -------------------------------------------------------------------------- */

struct bare {
    sqlite3 *db;
    sqlite3_stmt *insert;
    int wal_pages;
};

static void must(int code, const char *what)
{
    if (code != SQLITE_OK && code != SQLITE_DONE)
        die(what, sqlite3_errstr(code));
}

static int note_pages(void *ctx, sqlite3 *db, const char *name, int pages)
{
    (void)db, (void)name;
    ((struct bare *)ctx)->wal_pages = pages;
    return SQLITE_OK;
}

static void bare_open(struct bare *bare, const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/dides.db", directory);
    must(sqlite3_open(path, &bare->db), "the reference");
    must(sqlite3_exec(bare->db,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                      "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;"
                      "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
                      "CREATE TABLE journal(seq INTEGER PRIMARY KEY, batch BLOB NOT NULL,"
                      "                     crc INTEGER NOT NULL, chain INTEGER NOT NULL)",
                      NULL, NULL, NULL),
         "the reference");
    must(sqlite3_prepare_v3(bare->db, "INSERT INTO journal VALUES(NULL, ?1, 1000000007, ?2)", -1,
                            SQLITE_PREPARE_PERSISTENT, &bare->insert, NULL),
         "the reference");
    sqlite3_wal_hook(bare->db, note_pages, bare);
}

static void append(struct bare *bare, size_t at, size_t size)
{
    must(sqlite3_bind_blob64(bare->insert, 1, watched.pool + at, size, SQLITE_STATIC), "a row");
    must(sqlite3_bind_int64(bare->insert, 2, INT64_MAX / 3), "a row");
    must(sqlite3_step(bare->insert), "a row");
    must(sqlite3_reset(bare->insert), "a row");
    if (bare->wal_pages < WAL_PAGES)
        return;
    must(sqlite3_wal_checkpoint_v2(bare->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL), "a log");
    bare->wal_pages = 0;
}

/* Nanoseconds for the batches of this repetition. */
static int64_t run_bare(int64_t *ret_cpu_ns)
{
    char directory[PATH_MAX / 2];
    struct bare bare = { .db = NULL };
    folder_make(directory, sizeof directory);
    bare_open(&bare, directory);
    int64_t began = stopwatch_ns(), cpu = cpu_ns();
    size_t at = 0;
    for (size_t i = 0; i < watched.count; i++) {
        if (watched.sizes[i] > watched.pooled)
            die("the reference", "a batch is larger than what was kept of them");
        at = at + watched.sizes[i] > watched.pooled ? 0 : at;
        append(&bare, at, watched.sizes[i]);
        at += watched.sizes[i];
    }
    int64_t took = stopwatch_ns() - began;
    *ret_cpu_ns = cpu_ns() - cpu;
    sqlite3_finalize(bare.insert);
    sqlite3_close(bare.db);
    folder_remove(directory);
    return took;
}

/* ---- all of it ------------------------------------------------------------------------------ */

struct question {
    const char *name;
    void (*run)(struct loop *loop, uint32_t number);
    uint32_t number;
};

static const struct question questions[] = {
    { "64 clients", run_clients, 64 },        { "1,000 clients", run_clients, 1000 },
    { "10,000 clients", run_clients, 10000 }, { "rounds of 100", run_rounds, 100 },
    { "rounds of 1,000", run_rounds, 1000 },
};
#define QUESTIONS (sizeof questions / sizeof questions[0])

enum figure { PER_SECOND, BARE_PER_SECOND, RATIO, STEP_US, CLOSE_US, COMMIT_US, TEND_US, BARE_US };
#define FIGURES (BARE_US + 1)

static void forget(struct loop *loop)
{
    watched.count = 0;
    watched.commit_cpu_ns = watched.tend_cpu_ns = loop->close_cpu_ns = 0;
}

static void ask(struct loop *loop, const struct question *q, double ret[FIGURES])
{
    forget(loop);
    int64_t began = stopwatch_ns(), cpu = cpu_ns(), bare_cpu;
    q->run(loop, q->number);
    double took = (double)(stopwatch_ns() - began), step = (double)(cpu_ns() - cpu);
    double n = changes, close = (double)loop->close_cpu_ns;
    ret[PER_SECOND] = n / took * 1e9;
    ret[STEP_US] = (step - close) / n / 1000;
    ret[CLOSE_US] = close / n / 1000;
    ret[COMMIT_US] = (double)watched.commit_cpu_ns / n / 1000;
    ret[TEND_US] = (double)watched.tend_cpu_ns / n / 1000;
    ret[BARE_PER_SECOND] = n / (double)run_bare(&bare_cpu) * 1e9;
    ret[BARE_US] = (double)bare_cpu / n / 1000;
    ret[RATIO] = ret[PER_SECOND] / ret[BARE_PER_SECOND];
}

static size_t bytes_of_batches(void)
{
    size_t sum = 0;
    for (size_t i = 0; i < watched.count; i++)
        sum += watched.sizes[i];
    return sum;
}

static void answer(struct loop *loop, const struct question *q)
{
    double samples[FIGURES][REPETITIONS_MAX], figures[FIGURES];
    for (uint32_t i = 0; i < repetitions; i++) {
        ask(loop, q, figures);
        for (unsigned k = 0; k < FIGURES; k++)
            samples[k][i] = figures[k];
    }
    for (unsigned k = 0; k < FIGURES; k++)
        figures[k] = stopwatch_median(samples[k], repetitions);
    printf("%-16s %8.0f %9.0f %6.2f %8.0f %6.0f %7.2f %6.2f %7.2f %6.2f %6.2f\n", q->name,
           figures[PER_SECOND], figures[BARE_PER_SECOND], figures[RATIO],
           (double)changes / (double)watched.count, (double)bytes_of_batches() / changes,
           figures[STEP_US], figures[CLOSE_US], figures[COMMIT_US], figures[TEND_US],
           figures[BARE_US]);
}

/* What the clients say; decoded once, because the network is not asked about here. */
static void prepare(struct loop *loop, struct arena *arena)
{
    static const char *const bodies[] = { "{\"status\":\"DEGRADED\"}", "{\"status\":\"HEALTHY\"}" };
    struct wire_heartbeat heartbeat;
    struct json_warnings warnings = { .count = 0 };
    struct err err = { .code = ERR_NONE };
    for (unsigned i = 0; i < 2; i++) {
        if (!wire_read_heartbeat(text_from(bodies[i]), arena, &heartbeat, &warnings, &err))
            die("a heartbeat", err.text);
        loop->said[i] = heartbeat.command;
    }
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->rings, NULL);
    loop_of_waiter = loop;
}

/* The fleet comes up without a loop, then the store is opened again, now with its thread. */
static void bring_up(struct loop *loop, const char *directory)
{
    struct store_port store = folder_open(directory);
    world_open(&loop->world, &store, instances, false);
    world_fill(&loop->world);
    world_close(&loop->world);
    store = watch(folder_open(directory));
    world_open_ringing(&loop->world, &store, instances, ring, loop);
    loop->world.now += 3600 * 1000; /* after all that was stored */
}

static void run_all(const char *directory)
{
    static struct loop loop;
    struct arena arena;
    arena_init(&arena, &memory_heap, LIMIT_BODY);
    prepare(&loop, &arena);
    bring_up(&loop, directory);
    run_rounds(&loop, 1000); /* fills the pool */
    printf("%u changes of %u instances, medians of %u; CPU in us for each change\n", changes,
           instances, repetitions);
    printf("%-16s %8s %9s %6s %8s %6s %7s %6s %7s %6s %6s\n", "", "a second", "reference", "ratio",
           "in batch", "bytes", "command", "close", "commit", "tend", "refer.");
    for (size_t i = 0; i < QUESTIONS; i++)
        answer(&loop, &questions[i]);
    world_close(&loop.world);
    arena_release(&arena);
}

static uint32_t number_of(const char *word, uint32_t max)
{
    unsigned long number = strtoul(word, NULL, 10);
    if (number == 0 || number > max)
        exit(64);
    return (uint32_t)number;
}

int main(int argc, char **argv)
{
    char directory[PATH_MAX / 2];
    changes = argc > 1 ? number_of(argv[1], 100000000) : changes;
    instances = argc > 2 ? number_of(argv[2], LIMIT_INSTANCES) : instances;
    repetitions = argc > 3 ? number_of(argv[3], REPETITIONS_MAX) : repetitions;
    setvbuf(stdout, NULL, _IOLBF, 0);
    folder_make(directory, sizeof directory);
    run_all(directory);
    folder_remove(directory);
    return 0;
}
