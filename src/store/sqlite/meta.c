/* SPDX-License-Identifier: Apache-2.0
 * meta.c - the table meta: what the file says about itself. Values are words and decimal numbers.
 */
#include "store/sqlite/inner.h"

#include "store/sqlite/checksum.h"

#include <assert.h>
#include <inttypes.h>

#define MARK_NAME TEXT("folded")
#define TERM_NAME TEXT("term")

int sqlite_meta_set(struct store *s, struct text name, struct text value)
{
    assert(value.size <= SQLITE_META_SIZE);
    sqlite3_stmt *statement = sqlite_statement(s, SQL_SET_META);
    int code = sqlite_bind_key(statement, 1, name);
    if (code == SQLITE_OK)
        code = sqlite_bind_value(statement, 2, value);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 3, (int64_t)sqlite_row_crc(name, value));
    return code == SQLITE_OK ? sqlite_run(statement) : code;
}

static bool copy_value(sqlite3_stmt *statement, struct text name,
                       char space[static SQLITE_META_SIZE], struct text *ret)
{
    struct text value = sqlite_column(statement, 0);
    if (value.size == 0 || value.size > SQLITE_META_SIZE ||
        sqlite3_column_int64(statement, 1) != (int64_t)sqlite_row_crc(name, value))
        return false;
    memcpy(space, value.data, value.size);
    *ret = (struct text){ space, value.size };
    return true;
}

/* *ret_found: whether there is a row of this name. */
static bool find_value(struct store *s, struct text name, char space[static SQLITE_META_SIZE],
                       bool *ret_found, struct text *ret, struct err *err)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_GET_META);
    int code = sqlite_bind_key(statement, 1, name);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    bool good = code != SQLITE_ROW || copy_value(statement, name, space, ret);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        sqlite_fault(s, code, "reading the table meta", err);
        return false;
    }
    if (!good)
        return sqlite_damage(s, err, "row '%.*s' of the table meta is wrong", TEXT_ARG(name));
    *ret_found = code == SQLITE_ROW;
    return true;
}

bool sqlite_meta_get(struct store *s, struct text name, char space[static SQLITE_META_SIZE],
                     struct text *ret, struct err *err)
{
    bool found = false;
    if (!find_value(s, name, space, &found, ret, err))
        return false;
    return found ||
           sqlite_damage(s, err, "row '%.*s' of the table meta is missing", TEXT_ARG(name));
}

bool sqlite_meta_check(struct store *s, struct err *err)
{
    sqlite3_stmt *statement = sqlite_statement(s, SQL_ALL_META);
    char space[ERR_EXCERPT_SIZE];
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct text name = sqlite_column(statement, 0);
        uint32_t crc = sqlite_row_crc(name, sqlite_column(statement, 1));
        if (sqlite3_column_int64(statement, 2) == (int64_t)crc)
            continue;
        sqlite_damage(s, err, "row '%s' of the table meta has a wrong CRC",
                      err_excerpt(name, space));
        break;
    }
    sqlite3_reset(statement);
    if (code == SQLITE_DONE || code == SQLITE_ROW)
        return code == SQLITE_DONE;
    sqlite_fault(s, code, "reading the table meta", err);
    return false;
}

bool sqlite_term_load(struct store *s, struct err *err)
{
    char space[SQLITE_META_SIZE];
    struct text value;
    bool found = false;
    s->term = 1;
    if (!find_value(s, TERM_NAME, space, &found, &value, err))
        return false;
    if (!found || (text_to_u64(value, STORE_TERM_MAX, &s->term) && s->term > 0))
        return true;
    return sqlite_damage(s, err, "row 'term' of the table meta makes no sense");
}

int sqlite_term_save(struct store *s, uint64_t term)
{
    char space[SQLITE_META_SIZE];
    int size = snprintf(space, sizeof space, "%" PRIu64, term);
    return sqlite_meta_set(s, TERM_NAME, (struct text){ space, (size_t)size });
}

int sqlite_mark_save(struct store *s, const struct sqlite_mark *mark)
{
    char space[SQLITE_META_SIZE];
    int size = snprintf(space, sizeof space,
                        "seq %" PRIu64 " chain %" PRIu64 " rows %" PRIu64 " digest %" PRIu64,
                        mark->seq, mark->chain, mark->rows, mark->digest);
    assert(size > 0 && (size_t)size < sizeof space);
    return sqlite_meta_set(s, MARK_NAME, (struct text){ space, (size_t)size });
}

static bool parse_mark(struct text value, struct sqlite_mark *ret)
{
    static const char *const names[] = { "seq", "chain", "rows", "digest" };
    uint64_t numbers[4];
    for (size_t i = 0; i < 4; i++) {
        struct text name, number;
        if (!text_cut(&value, ' ', &name) || !text_equal(name, text_from(names[i])) ||
            !text_cut(&value, ' ', &number) || !text_to_u64(number, UINT64_MAX, &numbers[i]))
            return false;
    }
    *ret = (struct sqlite_mark){ numbers[0], numbers[1], numbers[2], numbers[3] };
    return value.data == NULL;
}

bool sqlite_mark_load(struct store *s, struct err *err)
{
    char space[SQLITE_META_SIZE];
    struct text value;
    if (!sqlite_meta_get(s, MARK_NAME, space, &value, err))
        return false;
    if (!parse_mark(value, &s->folded) || s->folded.seq > INT64_MAX / 2)
        return sqlite_damage(s, err, "row 'folded' of the table meta makes no sense");
    return true;
}
