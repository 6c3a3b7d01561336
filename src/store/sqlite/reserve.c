/* SPDX-License-Identifier: Apache-2.0
 * reserve.c - room on the disk that is kept for changes which free more than they take: a file
 * beside the database. On a full disk nothing can be deleted otherwise, for a deletion has to be
 * written down too. It is given up when such a change meets a full disk, and made again when there
 * is room. Until then other changes are refused, or they would take what it was kept for. */
#include "store/sqlite/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOOK_EVERY_MS 1000
#define TIGHT_BYTES   (64ull << 20)
#define FREE_SHARE    4 /* of the reserve, in free pages of the database, is enough to go on */

static uint64_t free_bytes(const struct store *s)
{
    struct statvfs room;
    return statvfs(s->place.directory, &room) == 0 ? (uint64_t)room.f_bavail * room.f_frsize
                                                   : UINT64_MAX;
}

/* A limit on the size of files is answered with a signal, not with an error. */
static bool is_allowed(uint64_t bytes)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes);
}

static bool open_file(struct store *s)
{
    char path[PATH_MAX];
    struct err why = { 0 };
    int size = snprintf(path, sizeof path, "%s/reserve", s->place.directory);
    if (size < 0 || size >= PATH_MAX)
        return false;
    s->reserve.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return s->reserve.file >= 0 && sqlite_place_give(&s->place, s->reserve.file, path, &why);
}

/* What is there already costs nothing. */
static void fill(struct store *s)
{
    struct sqlite_reserve *r = &s->reserve;
    if (fallocate(r->file, 0, 0, (off_t)s->options.reserve_bytes) == 0) {
        r->is_given = false;
        return;
    }
    if (errno == ENOSPC || errno == EDQUOT || errno == EINTR) {
        /* A file that is there by half is no use to anybody. */
        r->is_given = ftruncate(r->file, 0) == 0;
        return;
    }
    sqlite_reserve_close(s); /* this file system cannot promise room */
}

void sqlite_reserve_open(struct store *s)
{
    uint64_t bytes = s->options.reserve_bytes;
    if (bytes == 0 || s->options.vfs || !is_allowed(bytes))
        return;
    if (!open_file(s)) {
        sqlite_reserve_close(s);
        return;
    }
    fill(s);
    s->reserve.is_tight = free_bytes(s) < TIGHT_BYTES;
    sqlite_reserve_look(s);
}

void sqlite_reserve_close(struct store *s)
{
    if (s->reserve.file >= 0)
        close(s->reserve.file);
    s->reserve = (struct sqlite_reserve){ .file = -1 };
}

/* Of pages that a pragma counts. */
static uint64_t count_bytes(struct store *s, enum sqlite_statement which)
{
    sqlite3_stmt *statement = sqlite_statement(s, which);
    uint64_t pages = 0;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        pages = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        sqlite_fault(s, code, "counting pages", NULL);
    return pages * SQLITE_PAGE_BYTES;
}

/* By so much the file must grow for what is in the log. */
static uint64_t missing_bytes(struct store *s)
{
    struct stat status;
    uint64_t all = count_bytes(s, SQL_ALL_PAGES);
    if (stat(s->place.paths[PLACE_DATABASE], &status) != 0)
        return UINT64_MAX;
    return all > (uint64_t)status.st_size ? all - (uint64_t)status.st_size : 0;
}

/* Without room to write all of it back nothing is begun, for what is written by half would take the
 * room all the same. Somebody who reads the file meanwhile keeps the log as long as it is. */
bool sqlite_reserve_empty_log(struct store *s)
{
    if (s->reserve.file < 0 || s->wal_pages == 0 || missing_bytes(s) > free_bytes(s) || s->is_fatal)
        return false;
    int code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (code == SQLITE_OK)
        s->wal_pages = 0;
    else if ((code & 0xff) != SQLITE_BUSY)
        sqlite_fault(s, code, "emptying the log", NULL);
    return code == SQLITE_OK;
}

/* Free pages inside the database are as good as room on the disk. */
void sqlite_reserve_look(struct store *s)
{
    struct sqlite_reserve *r = &s->reserve;
    r->is_short = r->is_given && !s->is_fatal &&
                  count_bytes(s, SQL_FREE_PAGES) < s->options.reserve_bytes / FREE_SHARE;
}

void sqlite_reserve_tend(struct store *s, int64_t now)
{
    struct sqlite_reserve *r = &s->reserve;
    if (r->file < 0 || (!s->options.eager && now - r->looked_ms < LOOK_EVERY_MS))
        return;
    r->looked_ms = now;
    r->is_tight = free_bytes(s) < TIGHT_BYTES;
    if (!r->is_given)
        return;
    sqlite_reserve_empty_log(s);
    if (!s->is_fatal)
        fill(s);
    sqlite_reserve_look(s);
}

bool sqlite_reserve_admits(const struct store *s, const struct store_batch *batch, struct err *err)
{
    if (!s->reserve.is_short || batch->frees_room)
        return true;
    return err_set(err, ERR_STORE,
                   "the disk is full; the %llu KiB that were kept are for deletions alone",
                   (unsigned long long)(s->options.reserve_bytes >> 10));
}

/* Truncated blocks are free for certain file systems only after a flush; that it fails says nothing
 * about the database. */
bool sqlite_reserve_give(struct store *s)
{
    struct sqlite_reserve *r = &s->reserve;
    if (!r->is_given && r->file >= 0) {
        r->is_given = ftruncate(r->file, 0) == 0;
        fsync(r->file);
    }
    if (r->is_given)
        sqlite_reserve_empty_log(s);
    return r->is_given && !s->is_fatal;
}
