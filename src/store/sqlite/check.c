/* SPDX-License-Identifier: Apache-2.0
 * check.c - reads a whole database file and believes nothing in it: what `dides verify` does, and
 * what happens to every backup before anybody relies on it. */
#include "store/sqlite/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool fail(struct err *err, const char *doing, const char *path)
{
    int code = errno;
    return err_set(err, code == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot %s %s: %s", doing, path,
                   strerror(code));
}

static bool has_log(const char *path)
{
    char log[PATH_MAX];
    struct stat status;
    int size = snprintf(log, sizeof log, "%s-wal", path);
    return size > 0 && size < PATH_MAX && stat(log, &status) == 0 && status.st_size > 0;
}

/* A URI in which nothing of the path has a meaning. */
static bool write_uri(struct buffer *out, const char *path, bool is_alone)
{
    buffer_add(out, TEXT("file:"));
    for (const char *c = path; *c; c++) {
        bool is_plain = *c == '/' || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                        (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
        if (is_plain)
            buffer_add_byte(out, *c);
        else
            buffer_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
    }
    /* Without a log nobody has it open for writing, or he has written nothing: the file alone is
     * all there is, and its folder may be read-only. */
    buffer_add(out, is_alone ? TEXT("?immutable=1") : TEXT("?mode=ro"));
    return !out->failed;
}

bool sqlite_check_open(struct store *s, struct err *err)
{
    const char *path = s->place.paths[PLACE_DATABASE];
    struct buffer uri;
    struct stat status;
    if (stat(path, &status) != 0)
        return fail(err, "read", path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_REFUSED, "%s is not a regular file", path);
    buffer_init(&uri, &memory_heap, 4 * PATH_MAX);
    int code = SQLITE_NOMEM;
    if (write_uri(&uri, path, !has_log(path)))
        code = sqlite3_open_v2(buffer_c_string(&uri), &s->db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_EXRESCODE,
                               s->options.vfs);
    buffer_release(&uri);
    if (code == SQLITE_OK) /* one state of it from here on */
        code = sqlite_exec(s, "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; BEGIN");
    if (code == SQLITE_OK)
        return true;
    sqlite_fault(s, code, "opening the database", err);
    return false;
}

static bool accept_row(void *ctx, struct text key, struct text value)
{
    (void)key, (void)value;
    uint64_t *rows = ctx;
    ++*rows;
    return true;
}

/* A file that was cut off has fewer pages than its head says; SQLite notices only when it comes to
 * one of them. */
static bool check_size(struct store *s, uint64_t *ret, struct err *err)
{
    struct stat status;
    sqlite3_stmt *statement = NULL;
    int64_t bytes = 0;
    int code = sqlite3_prepare_v2(
        s->db, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", -1,
        &statement, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        bytes = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW) {
        sqlite_fault(s, code == SQLITE_DONE ? SQLITE_ERROR : code, "reading the database", err);
        return false;
    }
    const char *path = s->place.paths[PLACE_DATABASE];
    if (stat(path, &status) != 0)
        return fail(err, "read", path);
    *ret = (uint64_t)status.st_size;
    if (!has_log(path) && status.st_size != bytes)
        return sqlite_damage(s, err, "the file has %lld bytes instead of %lld",
                             (long long)status.st_size, (long long)bytes);
    return true;
}

static bool check_all(struct store *s, struct store_sqlite_facts *ret, struct err *err)
{
    struct sqlite_identity file;
    struct store_sqlite_facts facts = { .format = 0 };
    if (!sqlite_check_open(s, err) || !sqlite_identity_read(s, &file, err) ||
        !sqlite_identity_check(s, &file, err) || !sqlite_schema_read(s, file.format, err) ||
        !sqlite_mark_load(s, err) || !sqlite_term_load(s, err) || !sqlite_journal_open(s, err) ||
        !check_size(s, &facts.file_bytes, err) ||
        !sqlite_scan_as_is(s, TEXT_NONE, TEXT_NONE, 0, accept_row, &facts.rows, err))
        return false;
    facts.format = file.format;
    facts.term = s->term;
    facts.commits = s->seq;
    *ret = facts;
    return true;
}

bool store_sqlite_verify(const char *file, struct store_sqlite_facts *ret, struct err *err)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ERR_MEMORY, "no memory for a store");
    s->options.formats = &sqlite_formats;
    int size = snprintf(s->place.paths[PLACE_DATABASE], PATH_MAX, "%s", file);
    bool ok = size < PATH_MAX ? check_all(s, ret, err)
                              : err_set(err, ERR_INVALID, "the name of the file is too long");
    sqlite_finalize_all(s);
    sqlite3_close(s->db);
    free(s);
    return ok;
}
