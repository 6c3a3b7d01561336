/* SPDX-License-Identifier: Apache-2.0
 * backup.c - a consistent copy of the running database, page by page between commits.
 *
 * SQLite's backup API on our own connection: what that connection changes in pages that were copied
 * already it changes in the copy too, so the copy never has to begin anew and holds nothing back in
 * the log. VACUUM INTO, which stood here before, held up commits for as long as it ran: 10 s for a
 * million instances. The copy is made in the folder of the database under one name, which is taken
 * away when it is whole; what a crash leaves goes at the next start (place.c). Whoever receives it
 * checks all of it (check.c). */
#include "store/sqlite/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAGES_A_STEP 64                    /* 256 KiB */
#define PUSH_PAGES   1024                  /* 4 MiB: what the kernel may hold back */
#define ROOM_KEPT    (16ull * 1024 * 1024) /* of the disk, for commits meanwhile */
#define COPIES_MAX   4                     /* times the size, after rollbacks on a full disk */

static bool fail(struct err *err, const char *doing, const char *path)
{
    int code = errno;
    return err_set(err, code == ENOSPC ? ERR_STORE : ERR_IO, "cannot %s %s: %s", doing, path,
                   strerror(code));
}

/* The size of the database; 0: unknown. */
static uint64_t size_of(const struct store *s)
{
    struct stat status;
    return stat(s->place.paths[PLACE_DATABASE], &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* A copy that does not fit would take the last room from the commits. */
static bool has_room(const struct store *s, uint64_t bytes, struct err *err)
{
    struct statvfs room;
    if (s->options.vfs || statvfs(s->place.directory, &room) != 0)
        return true;
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    if (free_bytes >= bytes + ROOM_KEPT)
        return true;
    return err_set(err, ERR_STORE,
                   "the disk of %s has %llu MiB free; a backup needs %llu MiB for its copy",
                   s->place.directory, (unsigned long long)(free_bytes >> 20),
                   (unsigned long long)((bytes + ROOM_KEPT) >> 20) + 1);
}

static bool create(struct sqlite_backup *b, struct err *err)
{
    if (unlink(b->path) != 0 && errno != ENOENT)
        return fail(err, "remove", b->path);
    b->file = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return b->file >= 0 || fail(err, "create", b->path);
}

/* The copy is worth nothing before it is whole, so nothing in it is flushed or journalled. */
static int connect(struct store *s, struct sqlite_backup *b)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(b->path, &b->to, flags, s->options.vfs);
    if (code == SQLITE_OK)
        code = sqlite3_exec(b->to,
                            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -4096",
                            NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return code;
    b->work = sqlite3_backup_init(b->to, "main", s->db, "main");
    return b->work ? SQLITE_OK : sqlite3_errcode(b->to);
}

/* Errors here concern the copy: the store goes on. */
static bool fault(int code, struct err *err)
{
    return err_set(err, sqlite_result_of(code) == STORE_RETRY ? ERR_STORE : ERR_IO,
                   "the copy failed: %s (SQLite %d)", sqlite3_errstr(code), code);
}

bool sqlite_backup_begin(struct store *s, struct err *err)
{
    struct sqlite_backup *b = &s->backup;
    if (s->is_fatal)
        return sqlite_refuse(s, err);
    if (b->work)
        return err_set(err, ERR_REFUSED, "a backup is being made already");
    if (!has_room(s, size_of(s), err) ||
        !sqlite_place_scratch(&s->place, PLACE_BACKUP, b->path, err) || !create(b, err))
        return false;
    int code = connect(s, b);
    if (code == SQLITE_OK)
        return true;
    sqlite_backup_end(s);
    return fault(code, err);
}

void sqlite_backup_end(struct store *s)
{
    struct sqlite_backup *b = &s->backup;
    if (b->file < 0)
        return;
    sqlite3_backup_finish(b->work);
    sqlite3_close(b->to);
    unlink(b->path);
    close(b->file);
    *b = (struct sqlite_backup){ .file = -1 };
}

/* Lets the kernel begin to write what was copied: all of it at once, at the next flush of a commit,
 * would make that commit wait. */
static bool push(struct store *s, struct err *err)
{
    struct sqlite_backup *b = &s->backup;
    if (b->copied - b->pushed < PUSH_PAGES)
        return true;
    b->pushed = b->copied;
    sync_file_range(b->file, 0, 0, SYNC_FILE_RANGE_WRITE); /* only a hint */
    return has_room(s, 0, err);
}

bool sqlite_backup_mark_plain(int file, struct err *err)
{
    static const char rollback_mode[2] = { 1, 1 }; /* file format, section 1.3: bytes 18 and 19 */
    return pwrite(file, rollback_mode, sizeof rollback_mode, 18) == sizeof rollback_mode ||
           fail(err, "finish", "the copy");
}

static bool finish(struct store *s, int *ret_file, struct err *err)
{
    struct sqlite_backup *b = &s->backup;
    int code = sqlite3_backup_finish(b->work);
    b->work = NULL;
    if (code == SQLITE_OK)
        code = sqlite3_close(b->to);
    if (code != SQLITE_OK)
        return fault(code, err);
    b->to = NULL;
    if (!sqlite_backup_mark_plain(b->file, err))
        return false;
    *ret_file = b->file;
    unlink(b->path);
    *b = (struct sqlite_backup){ .file = -1 };
    return true;
}

/* Each rollback of a fold on a full disk begins the copy anew. */
static bool is_endless(const struct sqlite_backup *b)
{
    int pages = sqlite3_backup_pagecount(b->work);
    return b->copied > (uint64_t)COPIES_MAX * (uint64_t)(pages + PAGES_A_STEP);
}

enum store_backup sqlite_backup_step(struct store *s, int *ret_file, struct err *err)
{
    struct sqlite_backup *b = &s->backup;
    bool ok = !s->is_fatal && b->work;
    if (!ok) {
        err_set(err, ERR_STORE, "no backup is being made");
        sqlite_backup_end(s);
        return STORE_BACKUP_FAILED;
    }
    int code = sqlite3_backup_step(b->work, PAGES_A_STEP);
    b->copied += PAGES_A_STEP;
    if (code == SQLITE_DONE)
        ok = finish(s, ret_file, err);
    else if (code != SQLITE_OK)
        ok = fault(code, err);
    else if (is_endless(b))
        ok = err_set(err, ERR_STORE, "the disk was full too often to make a copy");
    else
        ok = push(s, err);
    if (!ok)
        sqlite_backup_end(s);
    return !ok ? STORE_BACKUP_FAILED : code == SQLITE_DONE ? STORE_BACKUP_DONE : STORE_BACKUP_MORE;
}
