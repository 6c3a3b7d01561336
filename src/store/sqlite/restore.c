/* SPDX-License-Identifier: Apache-2.0
 * restore.c - backups become files, and files become databases. Everything is prepared and checked
 * under another name; one rename is the point of no return. What has to follow it, moving the old
 * database aside, is finished by whoever opens the directory next (place.c). */
#include "store/sqlite/inner.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <unistd.h>

#define COPY_BYTES (256u * 1024)

static bool fail(struct err *err, const char *doing, const char *path)
{
    int code = errno;
    return err_set(err,
                   code == ENOENT   ? ERR_NOT_FOUND
                   : code == ENOSPC ? ERR_STORE
                                    : ERR_IO,
                   "cannot %s %s: %s", doing, path, strerror(code));
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- copying -------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            data += done;
            size -= (size_t)done;
        }
    }
    return true;
}

static bool copy_bytes(int from, int to, const char *name, struct err *err)
{
    char *space = malloc(COPY_BYTES);
    if (!space)
        return err_set(err, ERR_MEMORY, "no memory to copy a file");
    ssize_t got;
    bool ok = true;
    while (ok && (got = read(from, space, COPY_BYTES)) != 0) {
        if (got > 0)
            ok = write_all(to, space, (size_t)got);
        else
            ok = errno == EINTR;
    }
    free(space);
    return ok || fail(err, "write", name);
}

/* A new file (0600) with all that is left to read from `from`; flushed. */
static bool copy_to_new(int from, const char *path, struct err *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return fail(err, "remove", path);
    cleanup(close_file) int to =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return fail(err, "create", path);
    if (!copy_bytes(from, to, path, err))
        return false;
    return fsync(to) == 0 || fail(err, "flush", path);
}

static bool flush_folder_of(const char *path, struct err *err)
{
    char space[PATH_MAX];
    snprintf(space, sizeof space, "%s", path);
    return sqlite_place_flush(dirname(space), err);
}

/* ---- keeping a backup ----------------------------------------------------------------------- */

/* An existing file is seen by link() at the last moment too; rename() would replace it. */
static bool put_in_place(const char *partial, const char *path, bool replaces, struct err *err)
{
    if (replaces ? rename(partial, path) == 0 : link(partial, path) == 0) {
        if (!replaces)
            unlink(partial);
        return flush_folder_of(path, err);
    }
    if (errno == EEXIST)
        return err_set(err, ERR_REFUSED, "%s exists", path);
    return fail(err, replaces ? "replace" : "create", path);
}

static bool flush(const char *path, struct err *err)
{
    cleanup(close_file) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(err, "open", path);
    return fsync(fd) == 0 || fail(err, "flush", path);
}

bool store_sqlite_keep(const char *partial, const char *path, bool replaces,
                       struct store_sqlite_facts *ret, struct err *err)
{
    struct store_sqlite_facts facts;
    if (!flush(partial, err) || !store_sqlite_verify(partial, &facts, err) ||
        !put_in_place(partial, path, replaces, err)) {
        unlink(partial);
        return false;
    }
    *ret = facts;
    return true;
}

/* ---- a backup of a stopped server ----------------------------------------------------------- */

/* Without locks of SQLite's: the caller has one of another kind on the file. */
static int copy_pages(struct store *s, const char *path)
{
    sqlite3 *to = NULL;
    int code = sqlite3_open_v2(path, &to,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                               "unix-none");
    if (code == SQLITE_OK)
        code = sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL,
                            NULL);
    sqlite3_backup *work =
        code == SQLITE_OK ? sqlite3_backup_init(to, "main", s->db, "main") : NULL;
    if (work) {
        sqlite3_backup_step(work, -1);
        code = sqlite3_backup_finish(work);
    } else if (code == SQLITE_OK) {
        code = sqlite3_errcode(to);
    }
    int closed = sqlite3_close(to);
    return code == SQLITE_OK ? closed : code;
}

static bool copy_closed(struct store *s, const char *path, int to, struct err *err)
{
    if (!sqlite_check_open(s, err))
        return false;
    int code = copy_pages(s, path);
    if (code != SQLITE_OK)
        return err_set(err, sqlite_result_of(code) == STORE_RETRY ? ERR_STORE : ERR_IO,
                       "cannot copy to %s: %s (SQLite %d)", path, sqlite3_errstr(code), code);
    return sqlite_backup_mark_plain(to, err);
}

bool store_sqlite_copy(const char *directory, const char *path, int to, struct err *err)
{
    struct stat status;
    if (stat(directory, &status) != 0) /* taking the lock would make it */
        return fail(err, "read", directory);
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ERR_MEMORY, "no memory for a store");
    bool ok = sqlite_place_lock(&s->place, directory, err);
    if (ok) {
        ok = copy_closed(s, path, to, err);
        sqlite3_close(s->db);
        sqlite_place_release(&s->place);
    }
    free(s);
    return ok;
}

/* ---- restoring ------------------------------------------------------------------------------ */

static int write_term(struct store *s, uint64_t term)
{
    int code =
        sqlite3_open_v2(s->place.paths[PLACE_DATABASE], &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) /* in its own file, without a log beside it */
        code = sqlite_exec(s, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL");
    if (code == SQLITE_OK)
        code = sqlite_prepare_all(s);
    if (code == SQLITE_OK)
        code = sqlite_term_save(s, term);
    sqlite_finalize_all(s);
    int closed = sqlite3_close(s->db);
    s->db = NULL;
    return code == SQLITE_OK ? closed : code;
}

static bool set_term(const char *path, uint64_t term, struct err *err)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ERR_MEMORY, "no memory for a store");
    snprintf(s->place.paths[PLACE_DATABASE], PATH_MAX, "%s", path);
    int code = write_term(s, term);
    if (code != SQLITE_OK)
        sqlite_fault(s, code, "writing the term", err);
    free(s);
    return code == SQLITE_OK;
}

/* Above both, so that who obeyed one of them obeys neither any more. */
static bool choose_term(const struct sqlite_place *place, uint64_t of_backup, bool *ret_unreadable,
                        uint64_t *ret, struct err *err)
{
    const char *path = place->paths[PLACE_DATABASE];
    struct store_sqlite_facts old = { .term = 0 };
    struct stat status;
    bool is_there = stat(path, &status) == 0 && status.st_size > 0;
    *ret_unreadable = is_there && !store_sqlite_verify(path, &old, NULL);
    uint64_t newest = old.term > of_backup ? old.term : of_backup;
    if (newest >= STORE_TERM_MAX)
        return err_set(err, ERR_REFUSED, "there is no term above %llu", (unsigned long long)newest);
    *ret = newest + 1;
    return true;
}

static bool give_away(const struct sqlite_place *place, const char *path, struct err *err)
{
    cleanup(close_file) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(err, "open", path);
    return sqlite_place_give(place, fd, path, err);
}

/* A copy of `file` under the new term, checked as what it is now. */
static bool prepare(const struct sqlite_place *place, const char *file, const char *path,
                    uint64_t term, struct store_sqlite_facts *ret, struct err *err)
{
    cleanup(close_file) int from = open(file, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return fail(err, "read", file);
    return copy_to_new(from, path, err) && set_term(path, term, err) &&
           give_away(place, path, err) && store_sqlite_verify(path, ret, err);
}

static bool restore(const struct sqlite_place *place, const char *file, uint64_t of_backup,
                    struct store_sqlite_restored *ret, struct err *err)
{
    char copy[PATH_MAX], restored[PATH_MAX];
    uint64_t term;
    if (!sqlite_place_scratch(place, PLACE_RESTORING, copy, err) ||
        !sqlite_place_scratch(place, PLACE_RESTORED, restored, err) ||
        !choose_term(place, of_backup, &ret->kept_is_unreadable, &term, err))
        return false;
    if (!prepare(place, file, copy, term, &ret->facts, err)) {
        unlink(copy);
        return false;
    }
    if (rename(copy, restored) != 0)
        return fail(err, "rename", copy);
    return sqlite_place_flush(place->directory, err) && sqlite_place_switch(place, ret->kept, err);
}

/* A file of no bytes is what a start leaves that failed at once. */
static bool check_empty(const struct sqlite_place *place, struct err *err)
{
    struct stat status;
    if (stat(place->paths[PLACE_DATABASE], &status) != 0 || status.st_size == 0)
        return true;
    return err_set(err, ERR_REFUSED, "%s has a database already, which only --force replaces",
                   place->directory);
}

bool store_sqlite_restore(const char *directory, const char *file, bool replaces,
                          struct store_sqlite_restored *ret, struct err *err)
{
    _Static_assert(sizeof ret->kept >= PATH_MAX, "a path fits");
    struct store_sqlite_restored restored = { .kept = "" };
    struct store_sqlite_facts facts;
    struct sqlite_place place;
    if (!store_sqlite_verify(file, &facts, err)) {
        err_prefix(err, "%s", file);
        return false;
    }
    if (!sqlite_place_lock(&place, directory, err))
        return false;
    bool ok =
        (replaces || check_empty(&place, err)) && restore(&place, file, facts.term, &restored, err);
    sqlite_place_release(&place);
    if (ok)
        *ret = restored;
    return ok;
}
