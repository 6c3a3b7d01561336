/* SPDX-License-Identifier: Apache-2.0
 * place.c - the directory of the database. Nothing here opens the database file while SQLite has it
 * open: closing any descriptor of it would drop the locks of the whole process. */
#include "store/sqlite/place.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[PLACE_FILES] = { "dides.db", "dides.db-wal", "lock" };

static bool fail(struct err *err, const char *doing, const char *path)
{
    int code = errno;
    return err_set(err, ERR_IO, "cannot %s %s: %s", doing, path, strerror(code));
}

/* A library that prints to descriptor 2 would write into the database if that had the number. */
static bool hold_standard_descriptors(struct err *err)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return fail(err, "open", "/dev/null");
    } while (fd <= STDERR_FILENO);
    close(fd);
    return true;
}

bool sqlite_place_flush(const char *directory, struct err *err)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", directory);
    int result = fsync(fd);
    int code = errno;
    close(fd);
    errno = code;
    return result == 0 || fail(err, "flush", directory);
}

static bool make_directory(const char *directory, struct err *err)
{
    char parent[PATH_MAX];
    if (mkdir(directory, 0700) != 0)
        return errno == EEXIST || fail(err, "create", directory);
    int size = snprintf(parent, sizeof parent, "%s/..", directory);
    if (size < 0 || (size_t)size >= sizeof parent)
        return err_set(err, ERR_IO, "the path of the directory is too long");
    return sqlite_place_flush(parent, err);
}

static bool name_files(struct sqlite_place *place, const char *directory, struct err *err)
{
    if (!realpath(directory, place->directory))
        return fail(err, "find", directory);
    for (int i = 0; i < PLACE_FILES; i++) {
        int size = snprintf(place->paths[i], PATH_MAX, "%s/%s", place->directory, names[i]);
        if (size < 0 || size >= PATH_MAX)
            return err_set(err, ERR_IO, "the path of the directory is too long");
    }
    return true;
}

static bool tell_holder(const struct sqlite_place *place, struct err *err)
{
    char space[32];
    ssize_t size = pread(place->lock, space, sizeof space, 0);
    struct text pid = text_trim((struct text){ space, size > 0 ? (size_t)size : 0 });
    uint64_t number;
    if (!text_to_u64(pid, INT32_MAX, &number))
        return err_set(err, ERR_REFUSED, "%s is in use by another dides", place->directory);
    return err_set(err, ERR_REFUSED, "%s is in use by another dides, process %llu",
                   place->directory, (unsigned long long)number);
}

bool sqlite_place_give(const struct sqlite_place *place, int file, const char *path,
                       struct err *err)
{
    struct stat status;
    if (geteuid() != 0)
        return true;
    if (stat(place->directory, &status) != 0 || fchown(file, status.st_uid, status.st_gid) != 0)
        return fail(err, "give away", path);
    return true;
}

/* The lock belongs to the open file, not to the process: a second store in the same process is
 * refused too. The file stays for ever; removing it would let two holders each lock their own. */
static bool take_lock(struct sqlite_place *place, struct err *err)
{
    const char *path = place->paths[PLACE_LOCK];
    place->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (place->lock < 0)
        return fail(err, "open", path);
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(place->lock, F_OFD_SETLK, &whole) != 0)
        return errno == EAGAIN || errno == EACCES ? tell_holder(place, err)
                                                  : fail(err, "lock", path);
    if (!sqlite_place_give(place, place->lock, path, err))
        return false;
    char pid[32];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(place->lock, 0) != 0)
        return fail(err, "write", path);
    /* Only for people: on a full disk the lock holds without a name. */
    if (pwrite(place->lock, pid, (size_t)size, 0) != size && errno != ENOSPC)
        return fail(err, "write", path);
    return true;
}

/* SQLite would create it readable for everyone; -wal and -shm take their mode from it. */
static bool make_database(const struct sqlite_place *place, struct err *err)
{
    const char *path = place->paths[PLACE_DATABASE];
    struct stat status;
    if (stat(path, &status) == 0)
        return S_ISREG(status.st_mode) ||
               err_set(err, ERR_REFUSED, "%s is not a regular file", path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(err, "create", path);
    close(fd);
    return true;
}

/* ---- files that are there for a while ------------------------------------------------------- */

bool sqlite_place_scratch(const struct sqlite_place *place, enum place_scratch which,
                          char ret[static PATH_MAX], struct err *err)
{
    static const char *const scratches[PLACE_SCRATCHES] = { "backup.tmp", "restore.tmp",
                                                            "dides.db.restored" };
    int size = snprintf(ret, PATH_MAX, "%s/%s", place->directory, scratches[which]);
    return (size > 0 && size < PATH_MAX) ||
           err_set(err, ERR_IO, "the path of the directory is too long");
}

/* A file and what SQLite keeps beside it. Nobody has them open: we hold the lock. */
static bool remove_with(const char *path, const char *const *suffixes, struct err *err)
{
    for (; *suffixes; suffixes++) {
        char name[PATH_MAX];
        int size = snprintf(name, sizeof name, "%s%s", path, *suffixes);
        if (size < 0 || size >= PATH_MAX)
            return err_set(err, ERR_IO, "the path of the directory is too long");
        if (unlink(name) != 0 && errno != ENOENT)
            return fail(err, "remove", name);
    }
    return true;
}

static bool move(const char *from, const char *to, struct err *err)
{
    return rename(from, to) == 0 || errno == ENOENT || fail(err, "rename", from);
}

/* The first free name for a database that is replaced. Its log is moved first, so a name is taken
 * only when the database itself has it. */
static bool name_kept(const struct sqlite_place *place, char ret[static PATH_MAX], struct err *err)
{
    for (unsigned i = 1;; i++) {
        int size = snprintf(ret, PATH_MAX, "%s.old-%u", place->paths[PLACE_DATABASE], i);
        if (size < 0 || size + (int)sizeof "-wal" > PATH_MAX)
            return err_set(err, ERR_IO, "the path of the directory is too long");
        if (access(ret, F_OK) != 0)
            return errno == ENOENT || fail(err, "look at", ret);
    }
}

/* The log must never stand beside a database that it does not belong to, so it goes first. */
static bool keep_old(const struct sqlite_place *place, const char *kept, struct err *err)
{
    static const char *const index[] = { "-shm", NULL };
    char log[PATH_MAX];
    snprintf(log, sizeof log, "%s-wal", kept);
    return remove_with(place->paths[PLACE_DATABASE], index, err) &&
           move(place->paths[PLACE_WAL], log, err) && move(place->paths[PLACE_DATABASE], kept, err);
}

bool sqlite_place_switch(const struct sqlite_place *place, char ret_kept[static PATH_MAX],
                         struct err *err)
{
    char restored[PATH_MAX];
    ret_kept[0] = '\0';
    if (!sqlite_place_scratch(place, PLACE_RESTORED, restored, err))
        return false;
    if (access(place->paths[PLACE_DATABASE], F_OK) == 0 && !name_kept(place, ret_kept, err))
        return false;
    if (ret_kept[0] && !keep_old(place, ret_kept, err))
        return false;
    if (rename(restored, place->paths[PLACE_DATABASE]) != 0)
        return fail(err, "rename", restored);
    return sqlite_place_flush(place->directory, err);
}

static bool clean_up(const struct sqlite_place *place, struct err *err)
{
    static const char *const suffixes[] = { "", "-journal", NULL };
    char path[PATH_MAX], kept[PATH_MAX];
    for (enum place_scratch which = 0; which < PLACE_RESTORED; which++)
        if (!sqlite_place_scratch(place, which, path, err) || !remove_with(path, suffixes, err))
            return false;
    if (!sqlite_place_scratch(place, PLACE_RESTORED, path, err))
        return false;
    return access(path, F_OK) != 0 || sqlite_place_switch(place, kept, err);
}

/* ---- taking --------------------------------------------------------------------------------- */

bool sqlite_place_lock(struct sqlite_place *ret, const char *directory, struct err *err)
{
    *ret = (struct sqlite_place){ .lock = -1 };
    if (hold_standard_descriptors(err) && make_directory(directory, err) &&
        name_files(ret, directory, err) && take_lock(ret, err) && clean_up(ret, err))
        return true;
    sqlite_place_release(ret);
    return false;
}

bool sqlite_place_take(struct sqlite_place *ret, const char *directory, struct err *err)
{
    if (!sqlite_place_lock(ret, directory, err))
        return false;
    if (make_database(ret, err))
        return true;
    sqlite_place_release(ret);
    return false;
}

void sqlite_place_release(struct sqlite_place *place)
{
    if (place->lock >= 0)
        close(place->lock);
    place->lock = -1;
}

bool sqlite_place_watch(struct sqlite_place *place, struct err *err)
{
    for (int i = 0; i < PLACE_FILES; i++) {
        struct stat status;
        if (stat(place->paths[i], &status) != 0)
            return fail(err, "find", place->paths[i]);
        place->devices[i] = status.st_dev;
        place->inodes[i] = status.st_ino;
    }
    return true;
}

bool sqlite_place_check(const struct sqlite_place *place, struct err *err)
{
    for (int i = 0; i < PLACE_FILES; i++) {
        struct stat status;
        if (stat(place->paths[i], &status) != 0)
            return fail(err, "find the open file", place->paths[i]);
        if (status.st_dev != place->devices[i] || status.st_ino != place->inodes[i])
            return err_set(err, ERR_IO, "%s was replaced while it was open", place->paths[i]);
    }
    return true;
}
