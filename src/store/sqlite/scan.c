/* SPDX-License-Identifier: Apache-2.0
 * scan.c - walks kv in key order and checks every row. Journal rows that could not be folded, on a
 * full disk, are laid over it, so that reading never depends on writing. */
#include "store/sqlite/inner.h"

#include "store/sqlite/checksum.h"
#include "store/sqlite/overlay.h"

#include <inttypes.h>

struct scan {
    struct store *store;
    struct err *err;
    struct text end;
    sqlite3_stmt *statement;
    struct sqlite_overlay overlay;
    size_t at; /* the next op of the overlay */

    bool has_row; /* a row of kv is at hand */
    struct text key, value;
    struct text last_key; /* of the row before, in last_space; empty before the first */
    char last_space[STORE_KEY_MAX];
    uint64_t rows, digest; /* of kv so far */
};

static bool damaged_row(struct scan *scan, const char *how)
{
    char space[ERR_EXCERPT_SIZE];
    return sqlite_damage(scan->store, scan->err, "row \"%s\" %s", err_excerpt(scan->key, space),
                         how);
}

static bool check_row(struct scan *scan)
{
    int value_type = sqlite3_column_type(scan->statement, 1);
    scan->key = sqlite_column(scan->statement, 0);
    scan->value = sqlite_column(scan->statement, 1);
    if (sqlite3_column_type(scan->statement, 0) != SQLITE_TEXT || scan->key.size == 0 ||
        scan->key.size > STORE_KEY_MAX)
        return damaged_row(scan, "has no proper key");
    if (value_type != SQLITE_TEXT && value_type != SQLITE_BLOB)
        return damaged_row(scan, "has no proper value");
    if (sqlite3_column_type(scan->statement, 2) != SQLITE_INTEGER)
        return damaged_row(scan, "has no CRC: it was not written by dides");
    uint32_t crc = sqlite_row_crc(scan->key, scan->value);
    if (sqlite3_column_int64(scan->statement, 2) != (int64_t)crc)
        return damaged_row(scan, "has a wrong CRC");
    if (scan->rows > 0 && text_compare(scan->last_key, scan->key) >= 0)
        return damaged_row(scan, "is not in order");
    memcpy(scan->last_space, scan->key.data, scan->key.size);
    scan->last_key = (struct text){ scan->last_space, scan->key.size };
    scan->rows++;
    scan->digest += sqlite_row_share(scan->key, crc);
    return true;
}

/* The next row of kv, if there is one. */
static bool next_row(struct scan *scan)
{
    int code = sqlite3_step(scan->statement);
    scan->has_row = code == SQLITE_ROW;
    if (scan->has_row)
        return check_row(scan);
    if (code == SQLITE_DONE)
        return true;
    sqlite_fault(scan->store, code, "reading the database", scan->err);
    return false;
}

static const struct store_op *next_op(const struct scan *scan)
{
    if (scan->at == scan->overlay.count)
        return NULL;
    const struct store_op *op = &scan->overlay.ops[scan->at];
    if (scan->end.size > 0 && text_compare(op->key, scan->end) >= 0)
        return NULL;
    return op;
}

/* The smaller of the two next keys; of equal ones the journal's, which is newer. False: the end. */
static bool next_pair(struct scan *scan, struct store_op *ret, bool *ret_from_journal)
{
    const struct store_op *op = next_op(scan);
    if (!op && !scan->has_row)
        return false;
    *ret_from_journal = op && (!scan->has_row || text_compare(op->key, scan->key) <= 0);
    *ret = *ret_from_journal ? *op : (struct store_op){ false, scan->key, scan->value };
    return true;
}

static bool advance(struct scan *scan, bool from_journal, struct text key)
{
    bool both = from_journal && scan->has_row && text_equal(key, scan->key);
    if (from_journal)
        scan->at++;
    return (from_journal && !both) || next_row(scan);
}

/* *ret_is_complete: the walk came to the end by itself. */
static bool walk(struct scan *scan, size_t limit, store_visit_fn *visit, void *ctx,
                 bool *ret_is_complete)
{
    struct store_op pair;
    bool from_journal;
    size_t visited = 0;
    if (!next_row(scan))
        return false;
    while (next_pair(scan, &pair, &from_journal)) {
        if (limit > 0 && visited == limit)
            return true;
        if (!pair.is_delete && !visit(ctx, pair.key, pair.value))
            return true;
        visited += pair.is_delete ? 0 : 1;
        if (!advance(scan, from_journal, pair.key))
            return false;
    }
    *ret_is_complete = true;
    return true;
}

static bool check_digest(struct scan *scan)
{
    const struct sqlite_mark *folded = &scan->store->folded;
    if (scan->rows != folded->rows)
        return sqlite_damage(scan->store, scan->err,
                             "the table kv has %" PRIu64 " rows instead of %" PRIu64, scan->rows,
                             folded->rows);
    if (scan->digest != folded->digest)
        return sqlite_damage(scan->store, scan->err,
                             "the table kv has a row that is older than the digest says");
    return true;
}

static int start(struct scan *scan, struct text first)
{
    bool has_end = scan->end.size > 0;
    scan->statement = sqlite_statement(scan->store, has_end ? SQL_FROM_TO : SQL_FROM);
    int code = sqlite_bind_key(scan->statement, 1, first);
    if (code == SQLITE_OK && has_end)
        code = sqlite_bind_key(scan->statement, 2, scan->end);
    return code;
}

static bool run(struct scan *scan, struct text first, size_t limit, store_visit_fn *visit,
                void *ctx)
{
    int code = start(scan, first);
    if (code != SQLITE_OK) {
        sqlite_fault(scan->store, code, "reading the database", scan->err);
        return false;
    }
    scan->at = sqlite_overlay_seek(&scan->overlay, first);
    bool is_complete = false;
    bool ok = walk(scan, limit, visit, ctx, &is_complete);
    sqlite3_reset(scan->statement);
    sqlite3_clear_bindings(scan->statement);
    if (!ok || !is_complete || first.size > 0 || scan->end.size > 0)
        return ok;
    sqlite3_db_release_memory(scan->store->db); /* full of pages that nobody will ask for soon */
    return check_digest(scan);
}

bool sqlite_scan_as_is(struct store *s, struct text first, struct text end, size_t limit,
                       store_visit_fn *visit, void *ctx, struct err *err)
{
    struct scan scan = { .store = s, .err = err, .end = end };
    if (!sqlite_overlay_take(s, SIZE_MAX, &scan.overlay, err))
        return false;
    bool ok = run(&scan, first, limit, visit, ctx);
    sqlite_overlay_release(&scan.overlay);
    return ok;
}

bool sqlite_scan(struct store *s, struct text first, struct text end, size_t limit,
                 store_visit_fn *visit, void *ctx, struct err *err)
{
    if (s->is_fatal || sqlite_fold_all(s, NULL) == STORE_UNKNOWN)
        return sqlite_refuse(s, err);
    return sqlite_scan_as_is(s, first, end, limit, visit, ctx, err);
}
