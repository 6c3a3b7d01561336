/* SPDX-License-Identifier: Apache-2.0
 * journal.c - appending batches, and reading them back with every check they allow. */
#include "store/sqlite/inner.h"

#include "base/crc32c.h"
#include "store/sqlite/batch.h"
#include "store/sqlite/checksum.h"

#include <inttypes.h>

/* False: the row is damaged, and *err names it. */
static bool read_row(struct store *s, sqlite3_stmt *statement, uint64_t seq, uint64_t chain,
                     struct sqlite_journal_row *ret, struct err *err)
{
    uint64_t stored_seq = (uint64_t)sqlite3_column_int64(statement, 0);
    struct text batch = sqlite_column(statement, 1);
    if (stored_seq != seq)
        return sqlite_damage(s, err, "journal row %" PRIu64 " is missing, %" PRIu64 " is there",
                             seq, stored_seq);
    uint32_t crc = crc32c(0, batch.data, batch.size);
    if (sqlite3_column_type(statement, 2) != SQLITE_INTEGER ||
        sqlite3_column_int64(statement, 2) != (int64_t)crc)
        return sqlite_damage(s, err, "journal row %" PRIu64 " has a wrong CRC", seq);
    uint64_t expected = sqlite_chain(chain, seq, crc);
    if ((uint64_t)sqlite3_column_int64(statement, 3) != expected)
        return sqlite_damage(s, err, "journal row %" PRIu64 " does not follow the one before", seq);
    uint32_t ops;
    if (!sqlite_batch_check(batch, &ops))
        return sqlite_damage(s, err, "journal row %" PRIu64 " holds no batch", seq);
    *ret = (struct sqlite_journal_row){ seq, expected, batch, ops };
    return true;
}

bool sqlite_journal_walk(struct store *s, sqlite_journal_visit_fn *visit, void *ctx,
                         struct err *err)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_JOURNAL);
    struct sqlite_journal_row row = { .seq = s->folded.seq, .chain = s->folded.chain };
    int code;
    bool ok = true;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        ok = read_row(s, statement, row.seq + 1, row.chain, &row, err);
        if (!ok || !visit(ctx, &row))
            break;
    }
    sqlite3_reset(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return ok;
    sqlite_fault(s, code, "reading the journal", err);
    return false;
}

static bool count_row(void *ctx, const struct sqlite_journal_row *row)
{
    struct store *s = ctx;
    s->seq = row->seq;
    s->chain = row->chain;
    s->pending_bytes += row->batch.size;
    return true;
}

bool sqlite_journal_open(struct store *s, struct err *err)
{
    s->seq = s->folded.seq;
    s->chain = s->folded.chain;
    s->pending_bytes = 0;
    return sqlite_journal_walk(s, count_row, s, err);
}

static int append_row(struct store *s, struct text bytes, uint32_t crc, uint64_t chain)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_APPEND);
    int code = sqlite3_bind_int64(statement, 1, (int64_t)(s->seq + 1));
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob64(statement, 2, bytes.data, bytes.size, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 3, (int64_t)crc);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 4, (int64_t)chain);
    return code == SQLITE_OK ? sqlite_run(statement) : code;
}

enum store_result sqlite_journal_append(struct store *s, const struct store_batch *batch,
                                        struct err *err)
{
    if (batch->count > UINT32_MAX || sqlite_batch_size(batch) > SQLITE_BATCH_MAX) {
        err_set(err, ERR_TOO_LARGE, "a batch of %zu changes is too large to store", batch->count);
        return STORE_RETRY;
    }
    sqlite_batch_encode(&s->encoded, batch);
    if (s->encoded.failed) {
        err_set(err, ERR_MEMORY, "no memory to encode a batch of %zu changes", batch->count);
        return STORE_RETRY;
    }
    struct text bytes = buffer_text(&s->encoded);
    uint32_t crc = crc32c(0, bytes.data, bytes.size);
    uint64_t chain = sqlite_chain(s->chain, s->seq + 1, crc);
    int code = append_row(s, bytes, crc, chain);
    if (code != SQLITE_OK)
        return sqlite_fault(s, code, "appending to the journal", err);
    s->seq++;
    s->chain = chain;
    s->pending_bytes += bytes.size;
    s->stats.commits++;
    s->stats.ops += batch->count;
    s->stats.bytes += bytes.size;
    return STORE_DURABLE;
}
