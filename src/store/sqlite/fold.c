/* SPDX-License-Identifier: Apache-2.0
 * fold.c - moves settled journal rows into kv, the last value of each key, in one transaction with
 * the digest over kv. A crash in it leaves both tables as they were. */
#include "store/sqlite/inner.h"

#include "base/cleanup.h"
#include "store/sqlite/checksum.h"
#include "store/sqlite/overlay.h"

#include <assert.h>

/* What the row of `key` adds to the digest now. *ret_share is untouched when there is no row. */
static int find_share(struct store *s, struct text key, bool *ret_found, uint64_t *ret_share)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_FIND_CRC);
    int code = sqlite_bind_key(statement, 1, key);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *ret_found = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        *ret_share = sqlite_row_share(key, (uint32_t)sqlite3_column_int64(statement, 0));
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int put_row(struct store *s, const struct store_op *op, uint32_t crc)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_PUT);
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

static int apply_op(struct store *s, const struct store_op *op, struct sqlite_mark *mark)
{
    bool found;
    uint64_t share = 0;
    int code = find_share(s, op->key, &found, &share);
    if (code != SQLITE_OK)
        return code;
    if (found) {
        mark->rows--;
        mark->digest -= share;
    }
    if (op->is_delete)
        return found ? delete_row(s, op->key) : SQLITE_OK;
    uint32_t crc = sqlite_row_crc(op->key, op->value);
    mark->rows++;
    mark->digest += sqlite_row_share(op->key, crc);
    return put_row(s, op, crc);
}

/* The journal rows go first: their pages are then free for kv, so that a disk which is full to the
 * last page can still be folded. */
static int apply_all(struct store *s, const struct sqlite_overlay *overlay,
                     struct sqlite_mark *mark)
{
    int code = sqlite_run(sqlite_statement(s, SQL_BEGIN));
    if (code != SQLITE_OK)
        return code;
    sqlite3_stmt *trim = sqlite_statement(s, SQL_TRIM);
    code = sqlite3_bind_int64(trim, 1, (int64_t)overlay->seq);
    if (code == SQLITE_OK)
        code = sqlite_run(trim);
    for (size_t i = 0; code == SQLITE_OK && i < overlay->count; i++)
        code = apply_op(s, &overlay->ops[i], mark);
    if (code == SQLITE_OK)
        code = sqlite_mark_save(s, mark);
    if (code == SQLITE_OK)
        code = sqlite_run(sqlite_statement(s, SQL_COMMIT));
    return code;
}

enum store_result sqlite_fold_slice(struct store *s, size_t bytes, struct err *err)
{
    cleanup(sqlite_overlay_release) struct sqlite_overlay overlay = { 0 };
    struct err why = { 0 };
    if (!sqlite_overlay_take(s, bytes, &overlay, &why)) {
        if (err)
            *err = why;
        return s->is_fatal ? STORE_UNKNOWN : STORE_RETRY;
    }
    if (overlay.rows == 0)
        return STORE_DURABLE;
    struct sqlite_mark mark = s->folded;
    mark.seq = overlay.seq;
    mark.chain = overlay.chain;
    int code = apply_all(s, &overlay, &mark);
    if (code != SQLITE_OK) {
        enum store_result result = sqlite_fault(s, code, "folding the journal", err);
        if (result == STORE_RETRY)
            sqlite_rollback(s);
        return s->is_fatal ? STORE_UNKNOWN : result;
    }
    assert(s->pending_bytes >= overlay.bytes.size);
    s->pending_bytes -= overlay.bytes.size;
    s->folded = mark;
    return STORE_DURABLE;
}

enum store_result sqlite_fold_all(struct store *s, struct err *err)
{
    enum store_result result = STORE_DURABLE;
    while (result == STORE_DURABLE && s->folded.seq < s->seq)
        result = sqlite_fold_slice(s, 4u * 1024 * 1024, err);
    return result;
}
