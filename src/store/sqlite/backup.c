/* SPDX-License-Identifier: Apache-2.0
 * backup.c - a consistent copy in a new file, made by SQLite itself after every row was checked: a
 * backup of damaged data would only look like one. */
#include "store/sqlite/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <unistd.h>

static bool fail(struct err *err, const char *doing, const char *path)
{
    int code = errno;
    return err_set(err, ERR_IO, "cannot %s %s: %s", doing, path, strerror(code));
}

static bool accept_row(void *ctx, struct text key, struct text value)
{
    (void)ctx, (void)key, (void)value;
    return true;
}

static bool create(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return err_set(err, ERR_REFUSED, "%s exists; a backup goes to a new file", path);
    if (fd < 0)
        return fail(err, "create", path);
    close(fd);
    return true;
}

/* Errors here concern the copy, on what may be another disk: the store goes on. */
static bool copy(struct store *s, const char *path, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db, "VACUUM INTO ?1", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite_run(statement);
    sqlite3_finalize(statement);
    if (code == SQLITE_OK)
        return true;
    return err_set(err, sqlite_result_of(code) == STORE_RETRY ? ERR_STORE : ERR_IO,
                   "cannot copy to %s: %s", path, sqlite3_errstr(code));
}

static bool flush(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(err, "open", path);
    bool ok = fsync(fd) == 0 || fail(err, "flush", path);
    close(fd);
    char space[PATH_MAX];
    if (snprintf(space, sizeof space, "%s", path) >= (int)sizeof space)
        return err_set(err, ERR_IO, "the path of the backup is too long");
    return ok && sqlite_place_flush(dirname(space), err);
}

bool sqlite_backup(struct store *s, const char *path, struct err *err)
{
    if (!sqlite_scan(s, TEXT_NONE, TEXT_NONE, 0, accept_row, NULL, err))
        return false;
    if (!create(path, err))
        return false;
    if (copy(s, path, err) && flush(path, err))
        return true;
    unlink(path);
    return false;
}
