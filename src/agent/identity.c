/* SPDX-License-Identifier: Apache-2.0
 * identity.c - see identity.h. */
#include "agent/identity.h"

#include "base/cleanup.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX     (32 * 1024) /* every byte of a credential may need six */
#define PATH_SIZE    4096
#define LOCK_LOOK_MS 50

struct document {
    struct text server, name, credential, rollout;
    uint64_t term, generation, attempt, seen_term, seen_generation;
    uint32_t attempts;
};

/* clang-format off */
#define AT(member) JSON_AT(struct document, member)
static const struct json_field fields[] = {
    { .name = "server",     .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, AT(server), .max = IDENTITY_SERVER_SIZE - 1, .meaning = "URL of the server that gave the credential" },
    { .name = "name",       .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, AT(name), .max = LIMIT_NAME, .meaning = "of the instance" },
    { .name = "credential", .kind = JSON_TEXT, .flags = JSON_NULLABLE | JSON_PRINTABLE, AT(credential), .max = LIMIT_TOKEN, .meaning = "for its heartbeats" },
    { .name = "term",       .kind = JSON_INTEGER, AT(term), .max = INT64_MAX, .meaning = "of the order tried last" },
    { .name = "generation", .kind = JSON_INTEGER, AT(generation), .max = INT64_MAX, .meaning = "of the order tried last" },
    { .name = "rollout",    .kind = JSON_TEXT, .flags = JSON_NULLABLE | JSON_PRINTABLE, AT(rollout), .max = LIFE_ROLLOUT_SIZE, .meaning = "of that order" },
    { .name = "attempt",    .kind = JSON_INTEGER, AT(attempt), .max = INT64_MAX, .meaning = "of that rollout, as the server counts" },
    { .name = "attempts",   .kind = JSON_INTEGER, AT(attempts), .max = UINT32_MAX, .meaning = "at that order, as the agent counts" },
    { .name = "seen_term",  .kind = JSON_INTEGER, AT(seen_term), .max = INT64_MAX, .meaning = "of the newest order that came" },
    { .name = "seen_generation", .kind = JSON_INTEGER, AT(seen_generation), .max = INT64_MAX, .meaning = "of the newest order that came" },
};
/* clang-format on */
static const struct json_table document_table = { .name = "identity",
                                                  .fields = fields,
                                                  .count = sizeof fields / sizeof fields[0],
                                                  .unknown = JSON_UNKNOWN_IS_WARNING,
                                                  .size = sizeof(struct document),
                                                  .given_offset = JSON_NOT_KEPT };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

static bool check_owner(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_set(err, ERR_IO, "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_REFUSED, "%s is no regular file", path);
    if (st.st_uid != geteuid())
        return err_set(err, ERR_REFUSED, "%s belongs to another user", path);
    if (st.st_mode & 077)
        return err_set(err, ERR_REFUSED,
                       "%s can be read or written by others (mode %03o): it holds a credential and "
                       "must have mode 600",
                       path, (unsigned)(st.st_mode & 0777));
    return true;
}

static bool slurp(int fd, struct buffer *out)
{
    char block[4096];
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got == 0)
            return !out->failed;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            buffer_add(out, (struct text){ block, (size_t)got });
    }
}

static void copy(char *to, struct text t)
{
    if (t.size > 0)
        memcpy(to, t.data, t.size);
    to[t.size] = '\0';
}

static void fill(struct identity *identity, const struct document *d)
{
    struct life_order_id *tried = &identity->record.tried;
    *identity = (struct identity){ .record = { .attempts = d->attempts,
                                               .seen_term = d->seen_term,
                                               .seen_generation = d->seen_generation } };
    copy(identity->server, d->server);
    copy(identity->name, d->name);
    copy(identity->credential, d->credential);
    tried->term = d->term > 0 || d->attempts == 0 ? d->term : 1; /* a file from before terms */
    tried->generation = d->generation;
    tried->attempt = d->attempt;
    tried->rollout_size = (uint16_t)d->rollout.size;
    if (d->rollout.size > 0)
        memcpy(tried->rollout, d->rollout.data, d->rollout.size);
}

static bool read_document(const char *path, struct text json, struct identity *ret, struct err *err)
{
    cleanup(arena_release) struct arena arena = { 0 };
    struct document d = { 0 };
    struct err why = { 0 };
    arena_init(&arena, &memory_heap, FILE_MAX);
    if (!json_read(&document_table, json, &arena, &d, NULL, &why)) {
        /* Not even a word of it: it may be the credential. */
        return err_set(err, ERR_CORRUPT, "%s is damaged (%s); without it the agent registers anew",
                       path, err_word(why.code));
    }
    fill(ret, &d);
    return true;
}

bool identity_load(const char *path, struct identity *ret, bool *ret_found, struct err *err)
{
    cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    cleanup(buffer_release) struct buffer json = { 0 };
    buffer_init(&json, &memory_heap, FILE_MAX);
    if (fd < 0 && errno == ENOENT) {
        *ret_found = false;
        return true;
    }
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (!check_owner(fd, path, err))
        return false;
    if (!slurp(fd, &json))
        return err_set(err, ERR_IO, "cannot read %s", path);
    if (!read_document(path, buffer_text(&json), ret, err))
        return false;
    *ret_found = true;
    return true;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static void write_document(struct buffer *out, const struct identity *identity)
{
    const struct life_order_id *tried = &identity->record.tried;
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_put_text(&w, "server", text_from(identity->server));
    json_put_text(&w, "name", text_from(identity->name));
    json_put_text_or_null(&w, "credential", text_from(identity->credential));
    json_put_u64(&w, "term", tried->term);
    json_put_u64(&w, "generation", tried->generation);
    json_put_text_or_null(&w, "rollout", (struct text){ tried->rollout, tried->rollout_size });
    json_put_u64(&w, "attempt", tried->attempt);
    json_put_u64(&w, "attempts", identity->record.attempts);
    json_put_u64(&w, "seen_term", identity->record.seen_term);
    json_put_u64(&w, "seen_generation", identity->record.seen_generation);
    json_end_object(&w);
    buffer_add_byte(out, '\n');
}

static bool write_all(int fd, struct text t)
{
    while (t.size > 0) {
        ssize_t done = write(fd, t.data, t.size);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0)
            t = text_skip(t, (size_t)done);
    }
    return true;
}

static bool write_new(const char *path, struct text content, struct err *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return err_set(err, ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    cleanup(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || !write_all(fd, content) || fsync(fd) != 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    return true;
}

static bool sync_folder_of(const char *path, struct err *err)
{
    char copy_of[PATH_SIZE];
    snprintf(copy_of, sizeof copy_of, "%s", path);
    cleanup(close_fd) int fd = open(dirname(copy_of), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_set(err, ERR_IO, "cannot make the folder of %s durable: %s", path,
                       strerror(errno));
    return true;
}

static bool join_path(char space[static PATH_SIZE], const char *path, const char *suffix,
                      struct err *err)
{
    int size = snprintf(space, PATH_SIZE, "%s%s", path, suffix);
    if (size < 0 || size >= PATH_SIZE)
        return err_set(err, ERR_IO, "the path of the credential file is too long");
    return true;
}

bool identity_save(const char *path, const struct identity *identity, struct err *err)
{
    char temporary[PATH_SIZE];
    cleanup(buffer_release) struct buffer json = { 0 };
    buffer_init(&json, &memory_heap, FILE_MAX);
    write_document(&json, identity);
    if (json.failed)
        return err_set(err, ERR_MEMORY, "no memory for the credential file");
    if (!join_path(temporary, path, ".new", err) || !write_new(temporary, buffer_text(&json), err))
        return false;
    if (rename(temporary, path) != 0)
        return err_set(err, ERR_IO, "cannot replace %s: %s", path, strerror(errno));
    return sync_folder_of(path, err);
}

/* ---- the lock ----------------------------------------------------------------------------------
 */

static void sleep_ms(int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

int identity_lock(const char *path, int64_t wait_ms, struct err *err)
{
    char lock[PATH_SIZE];
    if (!join_path(lock, path, ".lock", err))
        return -1;
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_set(err, ERR_IO, "cannot open %s: %s", lock, strerror(errno));
        return -1;
    }
    for (int64_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_LOOK_MS) {
        if (errno == EWOULDBLOCK && waited < wait_ms) {
            sleep_ms(LOCK_LOOK_MS);
            continue;
        }
        err_set(err, errno == EWOULDBLOCK ? ERR_REFUSED : ERR_IO,
                "%s is locked: another agent uses this credential file, or a command that it left "
                "is still running",
                lock);
        close(fd);
        return -1;
    }
    return fd;
}
