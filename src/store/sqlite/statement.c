/* SPDX-License-Identifier: Apache-2.0
 * statement.c - prepared statements and the few calls that everything else is written in. */
#include "store/sqlite/inner.h"

#include <assert.h>

int sqlite_prepare_all(struct store *s)
{
    static const char *const texts[SQL_COUNT] = {
#define SQLITE_STATEMENT_TEXT(id, text) text,
        SQLITE_STATEMENTS(SQLITE_STATEMENT_TEXT)
#undef SQLITE_STATEMENT_TEXT
    };
    for (int i = 0; i < SQL_COUNT; i++) {
        int code = sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &s->statements[i], NULL);
        if (code != SQLITE_OK)
            return code;
    }
    return SQLITE_OK;
}

void sqlite_finalize_all(struct store *s)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
}

sqlite3_stmt *sqlite_statement(struct store *s, enum sqlite_statement which)
{
    assert(s->statements[which] && !sqlite3_stmt_busy(s->statements[which]));
    return s->statements[which];
}

/* An empty text is not NULL to SQLite only when its address is not. */
static const char *address(struct text t)
{
    return t.size > 0 ? t.data : "";
}

int sqlite_bind_key(sqlite3_stmt *statement, int index, struct text key)
{
    return sqlite3_bind_text64(statement, index, address(key), key.size, SQLITE_STATIC,
                               SQLITE_UTF8);
}

/* Values that are text are stored as text, so that the JSON functions and the shell take them; the
 * type plays no role when they are read. Keys are always text: SQLite orders blobs after texts. */
int sqlite_bind_value(sqlite3_stmt *statement, int index, struct text value)
{
    if (text_is_utf8(value) && text_find(value, '\0') == value.size)
        return sqlite_bind_key(statement, index, value);
    return sqlite3_bind_blob64(statement, index, address(value), value.size, SQLITE_STATIC);
}

int sqlite_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement); /* repeats the code of a failed step */
    sqlite3_clear_bindings(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code == SQLITE_ROW ? SQLITE_MISUSE : code;
}

struct text sqlite_column(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    return (struct text){ data, (size_t)sqlite3_column_bytes(statement, column) };
}

int sqlite_exec(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

void sqlite_rollback(struct store *s)
{
    if (sqlite3_get_autocommit(s->db))
        return; /* SQLite has rolled back by itself, as it does for some errors */
    int code = sqlite_exec(s, "ROLLBACK");
    if (code != SQLITE_OK)
        sqlite_fault(s, code == SQLITE_FULL ? SQLITE_IOERR : code, "rolling back", NULL);
}
