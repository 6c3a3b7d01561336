/* SPDX-License-Identifier: Apache-2.0
 * fault.c - what an SQLite result means for the store: the table "Errors of the store" of
 * doc/reliability.md. */
#include "store/sqlite/inner.h"

/* Whatever is not named here is fatal at run time. That includes SQLITE_NOMEM from a running
 * statement: it can come after the commit frame was synced, while the index of the log grows, and
 * then the row may be back after a restart. Memory that we ask for ourselves is another matter. */
/* clang-format off */
static const struct fault {
    int code; /* primary */
    enum store_result result;
    enum err_code err;
    const char *meaning;
} faults[] = {
    { SQLITE_FULL,     STORE_RETRY,   ERR_STORE,   "the disk is full" },
    { SQLITE_IOERR,    STORE_UNKNOWN, ERR_IO,      "the disk failed" },
    { SQLITE_READONLY, STORE_UNKNOWN, ERR_IO,      "the database cannot be written to" },
    { SQLITE_CANTOPEN, STORE_UNKNOWN, ERR_IO,      "a file cannot be opened" },
    { SQLITE_PERM,     STORE_UNKNOWN, ERR_IO,      "a file may not be used" },
    { SQLITE_BUSY,     STORE_UNKNOWN, ERR_REFUSED, "someone else has the database open" },
    { SQLITE_LOCKED,   STORE_UNKNOWN, ERR_REFUSED, "someone else has the database open" },
    { SQLITE_CORRUPT,  STORE_UNKNOWN, ERR_CORRUPT, "the database is damaged" },
    { SQLITE_NOTADB,   STORE_UNKNOWN, ERR_CORRUPT, "the file is not a database" },
    { SQLITE_FORMAT,   STORE_UNKNOWN, ERR_CORRUPT, "the file is not a database" },
    { SQLITE_NOMEM,    STORE_UNKNOWN, ERR_MEMORY,  "out of memory" },
};
/* clang-format on */

static const struct fault *find_fault(int code)
{
    static const struct fault other = { 0, STORE_UNKNOWN, ERR_IO, "unexpected result" };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (faults[i].code == (code & 0xff))
            return &faults[i];
    }
    return &other;
}

enum store_result sqlite_result_of(int code)
{
    return find_fault(code)->result;
}

static void make_fatal(struct store *s, const struct err *why)
{
    if (s->is_fatal)
        return; /* the first reason is the one that helps */
    s->is_fatal = true;
    s->why_fatal = *why;
}

enum store_result sqlite_fault(struct store *s, int code, const char *doing, struct err *err)
{
    const struct fault *fault = find_fault(code);
    int system_code = s->db ? sqlite3_system_errno(s->db) : 0;
    struct err why = { 0 };
    if ((code & 0xff) == SQLITE_IOERR && system_code != 0)
        err_set(&why, fault->err, "%s failed: %s (SQLite %d: %s; system error %d)", doing,
                fault->meaning, code, sqlite3_errstr(code), system_code);
    else
        err_set(&why, fault->err, "%s failed: %s (SQLite %d: %s)", doing, fault->meaning, code,
                sqlite3_errstr(code));
    if (fault->result == STORE_UNKNOWN)
        make_fatal(s, &why);
    if (err)
        *err = why;
    return fault->result;
}

bool sqlite_damage(struct store *s, struct err *err, const char *format, ...)
{
    char text[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct err why = { 0 };
    err_set(&why, ERR_CORRUPT, "damaged: %s; restore the newest good backup", text);
    make_fatal(s, &why);
    if (err)
        *err = why;
    return false;
}

void sqlite_stop(struct store *s, const char *format, ...)
{
    char text[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct err why = { 0 };
    err_set(&why, ERR_IO, "%s", text);
    make_fatal(s, &why);
}

bool sqlite_refuse(const struct store *s, struct err *err)
{
    if (err)
        *err = s->why_fatal;
    return false;
}
