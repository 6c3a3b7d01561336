/* SPDX-License-Identifier: Apache-2.0
 * http_file.c - see http_file.h. Closing a large file takes as long as giving its room back does,
 * 0.3 s for a gigabyte, and this thread has others to serve: so it shrinks, piece by piece. */
#include "net/http_file.h"

#include "base/memory.h"

#include <errno.h>
#include <unistd.h>

#define PULL_BYTES      ((size_t)64 * 1024)
#define SHRINK_BYTES    ((off_t)32 << 20)
#define SHRINK_EVERY_MS 10

struct http_file {
    struct loop *loop;
    int fd;
    loop_fn *done;
    void *ctx;
    off_t sent, left;
    struct loop_timer *shrink; /* NULL: it does not yet */
};

struct http_file *http_file_new(struct loop *loop, int fd, loop_fn *done, void *ctx)
{
    struct http_file *file = memory_take(&memory_heap, sizeof *file);
    if (file)
        *file = (struct http_file){ .loop = loop, .fd = fd, .done = done, .ctx = ctx };
    else
        close(fd);
    return file;
}

void http_file_free(struct http_file *file)
{
    if (!file)
        return;
    if (file->shrink)
        loop_timer_free(file->shrink);
    close(file->fd);
    memory_give(&memory_heap, file, sizeof *file);
}

/* ---- giving it back ------------------------------------------------------------------------- */

static void finish(struct http_file *file)
{
    loop_fn *done = file->done;
    void *ctx = file->ctx;
    http_file_free(file);
    done(ctx);
}

static void shrink(void *ctx)
{
    struct http_file *file = ctx;
    file->left -= file->left < SHRINK_BYTES ? file->left : SHRINK_BYTES;
    if (ftruncate(file->fd, file->left) != 0 || file->left == 0)
        finish(file);
}

void http_file_drop(struct http_file *file)
{
    file->left = lseek(file->fd, 0, SEEK_END);
    if (file->left > SHRINK_BYTES)
        file->shrink = loop_every(file->loop, SHRINK_EVERY_MS, shrink, file, NULL);
    if (!file->shrink)
        finish(file);
}

/* ---- sending -------------------------------------------------------------------------------- */

static enum http_pull pull(void *ctx, struct buffer *out, size_t wanted)
{
    struct http_file *file = ctx;
    char space[PULL_BYTES];
    ssize_t got;
    do
        got = pread(file->fd, space, wanted < sizeof space ? wanted : sizeof space, file->sent);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return HTTP_PULL_FAILED;
    if (got == 0)
        return HTTP_PULL_END;
    file->sent += got;
    buffer_add(out, (struct text){ space, (size_t)got });
    return out->failed ? HTTP_PULL_FAILED : HTTP_PULL_MORE;
}

static void on_sent(void *ctx)
{
    http_file_drop(ctx);
}

void http_file_send(struct http_file *file, struct http_exchange *x, const struct http_answer *head)
{
    http_answer_pull(x, head, pull, on_sent, file);
}
