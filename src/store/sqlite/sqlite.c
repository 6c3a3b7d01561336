/* SPDX-License-Identifier: Apache-2.0
 * sqlite.c - opening and closing, the commit path with its back-pressure, and the housekeeping. */
#include "store/sqlite/sqlite.h"

#include "store/sqlite/batch.h"
#include "store/sqlite/inner.h"

#include <assert.h>
#include <unistd.h>

#define JOURNAL_MAX_BYTES (64u * 1024 * 1024)
#define SLICE_MIN_BYTES   (32u * 1024)
#define SLICE_MAX_BYTES   (4u * 1024 * 1024)
/* Waiting a little lets the next fold meet more ops on the same keys; views lag by it. */
#define FOLD_DELAY_MS    500
#define FOLD_AT_BYTES    (1024u * 1024) /* so much is not waited for */
#define FULL_PAUSE_MS    1000           /* between attempts to fold on a full disk */
#define FILES_CHECK_MS   60000
#define WAL_TEND_PAGES   4096  /* 16 MiB: tend() writes the log back to the database */
#define WAL_COMMIT_PAGES 16384 /* 64 MiB: nobody tends, so commit() has to */
#define WAL_TIGHT_PAGES  64    /* 256 KiB: little room is left, and writing back needs some too */
#define WAL_EAGER_PAGES  32

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* SQLite and its locks do not survive a fork; to go on in the child would damage the file. */
static void assert_owner(const struct store *s)
{
    assert(s->owner == getpid());
}

/* Frames go from the log to the database, which is flushed. A full disk is met again next time; no
 * frame is lost by it. */
static enum store_result checkpoint(struct store *s, int mode, struct err *err)
{
    int code = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL);
    if (code == SQLITE_OK) {
        s->wal_pages = 0;
        return STORE_DURABLE;
    }
    return sqlite_fault(s, code, "writing the log back to the database", err);
}

static int note_wal_pages(void *ctx, sqlite3 *db, const char *name, int pages)
{
    (void)db, (void)name;
    struct store *s = ctx;
    s->wal_pages = pages;
    return SQLITE_OK;
}

static bool is_folding_full(const struct store *s, int64_t now)
{
    return s->full_since_ms != 0 && !s->options.eager && now - s->full_since_ms < FULL_PAUSE_MS;
}

static enum store_result fold(struct store *s, size_t bytes, int64_t now, struct err *err)
{
    enum store_result result = sqlite_fold_step(s, bytes, err);
    s->full_since_ms = result == STORE_RETRY ? now : 0;
    s->pending_since_ms = s->folded.seq < s->seq ? now : 0;
    return result;
}

/* More than `batch` brings, so that the journal shrinks. On a full disk it may grow to twice its
 * bound before commits are refused. */
static enum store_result fold_for(struct store *s, const struct store_batch *batch, struct err *err)
{
    int64_t now = monotonic_ms();
    bool has_room = s->pending_bytes <= 2 * s->options.journal_max_bytes;
    if (has_room && is_folding_full(s, now))
        return STORE_DURABLE;
    size_t bytes = 2 * sqlite_batch_size(batch);
    enum store_result result = fold(s, bytes < SLICE_MAX_BYTES ? SLICE_MAX_BYTES : bytes, now, err);
    return result == STORE_RETRY && has_room ? STORE_DURABLE : result;
}

/* Keeps the journal and the log within their bounds when tend() does not. */
static enum store_result make_room(struct store *s, const struct store_batch *batch,
                                   struct err *err)
{
    if (s->wal_pages >= (s->reserve.is_tight ? WAL_TIGHT_PAGES : WAL_COMMIT_PAGES) &&
        checkpoint(s, SQLITE_CHECKPOINT_PASSIVE, err) == STORE_UNKNOWN)
        return STORE_UNKNOWN;
    if (s->pending_bytes <= s->options.journal_max_bytes)
        return STORE_DURABLE;
    return fold_for(s, batch, err);
}

/* `why` is set for every result but STORE_DURABLE. */
static enum store_result append(struct store *s, const struct store_batch *batch, struct err *why)
{
    enum store_result result = make_room(s, batch, why);
    return result == STORE_DURABLE ? sqlite_journal_append(s, batch, why) : result;
}

static bool is_full(enum store_result result, const struct err *why)
{
    return result == STORE_RETRY && why->code == ERR_STORE;
}

/* On a full disk the log gives back what it takes, and then the reserve, to whom it is for. */
static enum store_result append_or_give(struct store *s, const struct store_batch *batch,
                                        struct err *why)
{
    if (!sqlite_reserve_admits(s, batch, why))
        return STORE_RETRY;
    enum store_result result = append(s, batch, why);
    if (is_full(result, why) && sqlite_reserve_empty_log(s))
        result = append(s, batch, why);
    if (is_full(result, why) && batch->frees_room && sqlite_reserve_give(s))
        result = append(s, batch, why);
    if (s->is_fatal)
        return STORE_UNKNOWN;
    if (s->reserve.is_given && batch->frees_room)
        sqlite_reserve_look(s);
    return result;
}

static enum store_result commit(struct store *s, const struct store_batch *batch, struct err *err)
{
    assert_owner(s);
    if (s->is_fatal) {
        sqlite_refuse(s, err);
        return STORE_UNKNOWN;
    }
    if (batch->count == 0)
        return STORE_DURABLE;
    struct err why = { 0 };
    enum store_result result = append_or_give(s, batch, &why);
    if (result != STORE_DURABLE && err)
        *err = s->is_fatal ? s->why_fatal : why;
    if (result == STORE_DURABLE && s->pending_since_ms == 0)
        s->pending_since_ms = monotonic_ms();
    return result;
}

static void look_at_files(struct store *s, int64_t now)
{
    struct err err = { 0 };
    if (s->options.vfs || (!s->options.eager && now - s->looked_at_files_ms < FILES_CHECK_MS))
        return;
    s->looked_at_files_ms = now;
    if (!sqlite_place_check(&s->place, &err))
        sqlite_stop(s, "%s", err.text);
}

static bool is_fold_due(const struct store *s, int64_t now)
{
    if (s->folded.seq == s->seq || is_folding_full(s, now))
        return false;
    return s->options.eager || s->pending_bytes >= FOLD_AT_BYTES ||
           now - s->pending_since_ms >= FOLD_DELAY_MS;
}

/* Slices grow and shrink until one takes between half the budget and all of it. */
static void adapt_slice(struct store *s, int64_t took_ms, unsigned budget_ms)
{
    if (took_ms > budget_ms && s->slice_bytes > SLICE_MIN_BYTES)
        s->slice_bytes /= 2;
    else if (2 * took_ms < budget_ms && s->slice_bytes < SLICE_MAX_BYTES)
        s->slice_bytes *= 2;
}

/* Once begun, folds until nothing waits or the time is up. */
static bool fold_within(struct store *s, unsigned budget_ms, int64_t begin)
{
    int64_t now = begin;
    do {
        int64_t before = now;
        if (fold(s, s->slice_bytes, now, NULL) != STORE_DURABLE)
            return false;
        now = monotonic_ms();
        adapt_slice(s, now - before, budget_ms);
    } while (s->folded.seq < s->seq && now - begin < budget_ms);
    if (s->folded.seq == s->seq)
        return false;
    s->pending_since_ms = begin - FOLD_DELAY_MS; /* the rest is due at once */
    return true;
}

/* So many pages in the log are written back. */
static int tended_pages(const struct store *s)
{
    if (s->options.eager)
        return WAL_EAGER_PAGES;
    return s->reserve.is_tight ? WAL_TIGHT_PAGES : WAL_TEND_PAGES;
}

static bool tend(struct store *s, unsigned budget_ms)
{
    assert_owner(s);
    if (s->is_fatal)
        return false;
    int64_t now = monotonic_ms();
    look_at_files(s, now);
    if (s->is_fatal)
        return false;
    bool is_more = is_fold_due(s, now) && fold_within(s, budget_ms, now);
    if (!s->is_fatal && s->wal_pages >= tended_pages(s))
        checkpoint(s, SQLITE_CHECKPOINT_PASSIVE, NULL);
    if (!s->is_fatal)
        sqlite_reserve_tend(s, now);
    return is_more && !s->is_fatal;
}

static bool scan(struct store *s, struct text first, struct text end, size_t limit,
                 store_visit_fn *visit, void *ctx, struct err *err)
{
    assert_owner(s);
    return sqlite_scan(s, first, end, limit, visit, ctx, err);
}

static bool backup_begin(struct store *s, struct err *err)
{
    assert_owner(s);
    return sqlite_backup_begin(s, err);
}

static enum store_backup backup_step(struct store *s, unsigned budget_ms, int *ret_file,
                                     struct err *err)
{
    assert_owner(s);
    int64_t until = monotonic_ms() + budget_ms;
    enum store_backup result;
    do
        result = sqlite_backup_step(s, ret_file, err);
    while (result == STORE_BACKUP_MORE && monotonic_ms() < until);
    return result;
}

static void backup_cancel(struct store *s)
{
    assert_owner(s);
    sqlite_backup_end(s);
}

static uint64_t term(struct store *s)
{
    return s->term;
}

static enum store_result raise_term(struct store *s, uint64_t term, struct err *err)
{
    assert_owner(s);
    assert(term <= STORE_TERM_MAX);
    if (s->is_fatal) {
        sqlite_refuse(s, err);
        return STORE_UNKNOWN;
    }
    if (term <= s->term)
        return STORE_DURABLE;
    int code = sqlite_term_save(s, term);
    if (code != SQLITE_OK)
        return sqlite_fault(s, code, "writing the term", err);
    s->term = term;
    return STORE_DURABLE;
}

static uint64_t file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static struct store_stats stats(struct store *s)
{
    struct store_stats ret = s->stats;
    ret.is_full = s->reserve.is_short;
    ret.pending_batches = s->seq - s->folded.seq;
    ret.file_bytes =
        file_size(s->place.paths[PLACE_DATABASE]) + file_size(s->place.paths[PLACE_WAL]);
    return ret;
}

static void release(struct store *s)
{
    sqlite_fold_end(s);
    sqlite_finalize_all(s);
    sqlite3_close(s->db);
    sqlite_reserve_close(s);
    sqlite_place_release(&s->place);
    buffer_release(&s->encoded);
    free(s);
}

/* A healthy store leaves one file behind. SQLite's own checkpoint at close stays off unless ours,
 * whose failure is seen, has done the work: after an error nothing may be written any more.
 * Whatever fails here, every commit is in the log. */
static void close_store(struct store *s)
{
    if (!s)
        return;
    assert_owner(s);
    sqlite_backup_end(s);
    if (!s->is_fatal)
        sqlite_fold_all(s, NULL);
    if (!s->is_fatal && checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE, NULL) == STORE_DURABLE)
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    release(s);
}

static bool connect(struct store *s, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(s->place.paths[PLACE_DATABASE], &s->db, flags, s->options.vfs);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK)
        return true;
    sqlite_fault(s, code, "opening the database", err);
    return false;
}

/* The log exists once the database was read, so its name is flushed last. */
static bool settle(struct store *s, struct err *err)
{
    if (!sqlite_place_flush(s->place.directory, err))
        return false;
    return s->options.vfs || sqlite_place_watch(&s->place, err);
}

static bool open_all(struct store *s, const char *directory, struct err *err)
{
    if (!sqlite_place_take(&s->place, directory, err) || !connect(s, err))
        return false;
    if (!sqlite_schema_open(s, err))
        return false;
    /* Takes the place of SQLite's own hook, which checkpoints by itself and keeps failures secret.
     */
    sqlite3_wal_hook(s->db, note_wal_pages, s);
    return sqlite_mark_load(s, err) && sqlite_term_load(s, err) && sqlite_journal_open(s, err) &&
           settle(s, err);
}

static struct store *store_new(const struct store_sqlite_options *options)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    if (options)
        s->options = *options;
    if (!s->options.formats)
        s->options.formats = &sqlite_formats;
    if (s->options.journal_max_bytes == 0)
        s->options.journal_max_bytes = JOURNAL_MAX_BYTES;
    s->owner = getpid();
    s->place.lock = -1;
    s->backup.file = -1;
    s->reserve.file = -1;
    s->slice_bytes = SLICE_MIN_BYTES;
    buffer_init(&s->encoded, &memory_heap, SQLITE_BATCH_MAX);
    return s;
}

bool store_sqlite_open(struct store_port *ret, const char *directory,
                       const struct store_sqlite_options *options, struct err *err)
{
    struct store *s = store_new(options);
    if (!s)
        return err_set(err, ERR_MEMORY, "no memory for a store");
    if (!open_all(s, directory, err)) {
        release(s);
        return false;
    }
    sqlite_reserve_open(s);
    s->looked_at_files_ms = monotonic_ms();
    s->pending_since_ms = s->folded.seq < s->seq ? s->looked_at_files_ms : 0;
    *ret = (struct store_port){ s,           scan,          commit, tend,       backup_begin,
                                backup_step, backup_cancel, term,   raise_term, stats,
                                close_store };
    return true;
}
