/* SPDX-License-Identifier: Apache-2.0
 * fold.c - moves settled journal rows into kv, the last value of each key, together with the digest
 * over kv. Many rows are taken at once and moved in order of keys, a step at a time: a page of kv
 * is then written once for all that changed in it, while no commit waits for more than a step. Each
 * step is a transaction; a crash between two of them leaves some keys newer than the mark says,
 * which the journal rows, still there, make good. */
#include "store/sqlite/inner.h"

#include "base/cleanup.h"
#include "store/sqlite/checksum.h"
#include "store/sqlite/overlay.h"

#include <assert.h>

#define RUN_BYTES  (32u * 1024 * 1024) /* of the rows taken at once, which are kept in memory */
#define CHUNK_OPS  64u                 /* looked up before they are written */
#define MISSES_MAX 4u  /* rows of kv that are stepped over before searching is cheaper */
#define OP_BYTES   48u /* what an op costs besides its key and value */

struct sqlite_fold {
    struct sqlite_overlay overlay;
    size_t at; /* the ops before are in kv */
};

/* What kv has for a key. */
struct old_row {
    bool is_there;
    uint64_t share; /* of the digest */
};

static int seek(sqlite3_stmt *crcs, struct text key)
{
    sqlite3_reset(crcs);
    int code = sqlite_bind_key(crcs, 1, key);
    return code == SQLITE_OK ? sqlite3_step(crcs) : code;
}

/* Goes on to the first row of kv that is not before `key`. SQLITE_ROW or SQLITE_DONE, or an error.
 * Neighbours of the last one are stepped to, which is cheaper than to search from the root. */
static int go_to(sqlite3_stmt *crcs, int code, struct text key, int *ret_order)
{
    for (unsigned misses = 0; code == SQLITE_ROW; misses++) {
        *ret_order = text_compare(sqlite_column(crcs, 0), key);
        if (*ret_order >= 0)
            break;
        code = misses < MISSES_MAX ? sqlite3_step(crcs) : seek(crcs, key);
    }
    return code;
}

static int find_rows(struct store *s, const struct store_op *ops, size_t count, struct old_row *ret)
{
    sqlite3_stmt *crcs = sqlite_statement(s, SQL_CRCS);
    int code = seek(crcs, ops[0].key);
    for (size_t i = 0; i < count; i++) {
        int order = 1;
        code = go_to(crcs, code, ops[i].key, &order);
        if (code != SQLITE_ROW && code != SQLITE_DONE)
            break;
        ret[i] = (struct old_row){ .is_there = code == SQLITE_ROW && order == 0 };
        if (ret[i].is_there)
            ret[i].share = sqlite_row_share(ops[i].key, (uint32_t)sqlite3_column_int64(crcs, 1));
    }
    sqlite3_reset(crcs);
    sqlite3_clear_bindings(crcs);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int put_row(struct store *s, const struct store_op *op, uint32_t crc, bool is_there)
{
    sqlite3_stmt *statement = sqlite_statement(s, is_there ? SQL_UPDATE : SQL_INSERT);
    int code = sqlite_bind_key(statement, 1, op->key);
    if (code == SQLITE_OK)
        code = sqlite_bind_value(statement, 2, op->value);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 3, (int64_t)crc);
    return code == SQLITE_OK ? sqlite_run(statement) : code;
}

static int delete_row(struct store *s, struct text key)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_DELETE);
    int code = sqlite_bind_key(statement, 1, key);
    return code == SQLITE_OK ? sqlite_run(statement) : code;
}

static int apply_op(struct store *s, const struct store_op *op, const struct old_row *old,
                    struct sqlite_mark *mark)
{
    if (old->is_there) {
        mark->rows--;
        mark->digest -= old->share;
    }
    if (op->is_delete)
        return old->is_there ? delete_row(s, op->key) : SQLITE_OK;
    uint32_t crc = sqlite_row_crc(op->key, op->value);
    mark->rows++;
    mark->digest += sqlite_row_share(op->key, crc);
    return put_row(s, op, crc, old->is_there);
}

static int apply_ops(struct store *s, const struct store_op *ops, size_t count,
                     struct sqlite_mark *mark)
{
    struct old_row old[CHUNK_OPS];
    int code = SQLITE_OK;
    for (size_t done = 0; code == SQLITE_OK && done < count; done += CHUNK_OPS) {
        size_t chunk = count - done < CHUNK_OPS ? count - done : CHUNK_OPS;
        code = find_rows(s, ops + done, chunk, old);
        for (size_t i = 0; code == SQLITE_OK && i < chunk; i++)
            code = apply_op(s, &ops[done + i], &old[i], mark);
    }
    return code;
}

static int trim(struct store *s, uint64_t seq)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_TRIM);
    int code = sqlite3_bind_int64(statement, 1, (int64_t)seq);
    return code == SQLITE_OK ? sqlite_run(statement) : code;
}

/* One transaction. When it brings the mark forward the journal rows go first: their pages are then
 * free for kv, so that a disk which is full to the last page can still be folded. */
static int apply(struct store *s, const struct store_op *ops, size_t count,
                 struct sqlite_mark *mark)
{
    int code = sqlite_run(sqlite_statement(s, SQL_BEGIN));
    if (code == SQLITE_OK && mark->seq > s->folded.seq)
        code = trim(s, mark->seq);
    if (code == SQLITE_OK)
        code = apply_ops(s, ops, count, mark);
    if (code == SQLITE_OK)
        code = sqlite_mark_save(s, mark);
    if (code == SQLITE_OK)
        code = sqlite_run(sqlite_statement(s, SQL_COMMIT));
    return code;
}

/* `is_last`: with these ops all of the overlay's rows are folded. */
static enum store_result move(struct store *s, const struct sqlite_overlay *overlay,
                              const struct store_op *ops, size_t count, bool is_last,
                              struct err *err)
{
    struct sqlite_mark mark = s->folded;
    if (is_last) {
        mark.seq = overlay->seq;
        mark.chain = overlay->chain;
    }
    int code = apply(s, ops, count, &mark);
    if (code != SQLITE_OK) {
        enum store_result result = sqlite_fault(s, code, "folding the journal", err);
        if (result == STORE_RETRY)
            sqlite_rollback(s);
        return s->is_fatal ? STORE_UNKNOWN : result;
    }
    assert(!is_last || s->pending_bytes >= overlay->bytes.size);
    s->pending_bytes -= is_last ? overlay->bytes.size : 0;
    s->folded = mark;
    return STORE_DURABLE;
}

static enum store_result take(struct store *s, size_t bytes, struct sqlite_overlay *ret,
                              struct err *err)
{
    struct err why = { 0 };
    if (sqlite_overlay_take(s, bytes, ret, &why))
        return STORE_DURABLE;
    if (err)
        *err = why;
    return s->is_fatal ? STORE_UNKNOWN : STORE_RETRY;
}

static enum store_result begin(struct store *s, struct err *err)
{
    struct sqlite_fold *fold = calloc(1, sizeof *fold);
    if (!fold) {
        err_set(err, ERR_MEMORY, "no memory to fold the journal");
        return STORE_RETRY;
    }
    enum store_result result = take(s, RUN_BYTES, &fold->overlay, err);
    if (result == STORE_DURABLE)
        s->fold = fold;
    else
        free(fold);
    return result;
}

void sqlite_fold_end(struct store *s)
{
    if (!s->fold)
        return;
    sqlite_overlay_release(&s->fold->overlay);
    free(s->fold);
    s->fold = NULL;
}

/* Ops from `at` on that make up `bytes`, at least one if there is any. */
static size_t count_ops(const struct sqlite_fold *fold, size_t bytes)
{
    size_t count = 0, sum = 0;
    for (size_t i = fold->at; i < fold->overlay.count && sum < bytes; i++, count++)
        sum += OP_BYTES + fold->overlay.ops[i].key.size + fold->overlay.ops[i].value.size;
    return count;
}

static enum store_result go_on(struct store *s, size_t bytes, struct err *err)
{
    struct sqlite_fold *fold = s->fold;
    size_t count = count_ops(fold, bytes);
    bool is_last = fold->at + count == fold->overlay.count;
    enum store_result result =
        move(s, &fold->overlay, fold->overlay.ops + fold->at, count, is_last, err);
    fold->at += count;
    if (is_last || result != STORE_DURABLE)
        sqlite_fold_end(s);
    return result;
}

/* The oldest rows at once, which need no room on a full disk. What was moved of newer ones may go
 * back to an older value: the journal rows with the newer one stay. */
static enum store_result fold_oldest(struct store *s, size_t bytes, struct err *err)
{
    cleanup(sqlite_overlay_release) struct sqlite_overlay overlay = { 0 };
    enum store_result result = take(s, bytes, &overlay, err);
    if (result != STORE_DURABLE || overlay.rows == 0)
        return result;
    return move(s, &overlay, overlay.ops, overlay.count, true, err);
}

enum store_result sqlite_fold_step(struct store *s, size_t bytes, struct err *err)
{
    enum store_result result = STORE_DURABLE;
    if (!s->fold && s->folded.seq < s->seq)
        result = begin(s, err);
    if (result == STORE_DURABLE && s->fold)
        result = go_on(s, bytes, err);
    return result == STORE_RETRY ? fold_oldest(s, bytes, err) : result;
}

enum store_result sqlite_fold_all(struct store *s, struct err *err)
{
    enum store_result result = STORE_DURABLE;
    while (result == STORE_DURABLE && s->folded.seq < s->seq)
        result = sqlite_fold_step(s, 4u * 1024 * 1024, err);
    return result;
}
