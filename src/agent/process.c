/* SPDX-License-Identifier: Apache-2.0
 * process.c - see process.h. The loop's thread forks; a thread of its own waits, because output and
 * end come from descriptors that the loop does not know. */
#include "agent/process.h"

#include "agent/keeper.h"
#include "base/buffer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK_SIZE (16 * 1024)
#define DRAIN_MAX                                                                                  \
    (256 * 1024)              /* read after the end: whoever is left may go on writing for ever    \
                               */
#define COPY_MAX (256 * 1024) /* bytes of both */

/* The last bytes of a stream, within twice their number. */
struct tail {
    char data[2 * COMMAND_OUTPUT_MAX];
    size_t size;
};

static void tail_add(struct tail *tail, const char *data, size_t size)
{
    assert(size <= COMMAND_OUTPUT_MAX);
    if (tail->size + size > sizeof tail->data) {
        size_t kept = COMMAND_OUTPUT_MAX - size;
        memmove(tail->data, tail->data + tail->size - kept, kept);
        tail->size = kept;
    }
    memcpy(tail->data + tail->size, data, size);
    tail->size += size;
}

static struct text tail_text(const struct tail *tail)
{
    size_t kept = tail->size < COMMAND_OUTPUT_MAX ? tail->size : COMMAND_OUTPUT_MAX;
    return (struct text){ tail->data + tail->size - kept, kept };
}

/* Read ends of the pipes from the keeper. */
enum { PIPE_OUT, PIPE_ERRORS, PIPE_STATUS, PIPE_COUNT };

struct job {
    struct process *process;
    pthread_t thread;
    pid_t keeper;
    int control;           /* -1: closed, the command is being stopped */
    int pipes[PIPE_COUNT]; /* -1: ended */
    command_done_fn *done;
    void *ctx;
    struct keeper_status status;
    size_t status_size;
    char head[COMMAND_HEAD_MAX];
    size_t head_size;
    struct tail tail;
};

struct process {
    struct loop_waker *waker;
    struct job *job; /* NULL: nothing is under way */
    int lock_fd;
    int64_t grace_ms;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- the thread --------------------------------------------------------------------------------
 */

static void take_bytes(struct job *job, int which, const char *data, size_t size)
{
    if (which == PIPE_STATUS) {
        size_t room = sizeof job->status - job->status_size;
        size_t taken = size < room ? size : room;
        memcpy((char *)&job->status + job->status_size, data, taken);
        job->status_size += taken;
        return;
    }
    if (which == PIPE_OUT) {
        size_t room = sizeof job->head - job->head_size;
        size_t taken = size < room ? size : room;
        memcpy(job->head + job->head_size, data, taken);
        job->head_size += taken;
    }
    tail_add(&job->tail, data, size);
}

/* What is there now. False: nothing is. */
static bool read_some(struct job *job, int which)
{
    char block[BLOCK_SIZE];
    ssize_t got = read(job->pipes[which], block, sizeof block);
    if (got > 0)
        take_bytes(job, which, block, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&job->pipes[which]);
    return got > 0;
}

/* Ends with the status pipe, which only the keeper holds. Whoever the command left behind may hold
 * the other two for ever. */
static void *watch_job(void *ctx)
{
    struct job *job = ctx;
    while (job->pipes[PIPE_STATUS] >= 0) {
        struct pollfd fds[PIPE_COUNT];
        for (int i = 0; i < PIPE_COUNT; i++)
            fds[i] = (struct pollfd){ .fd = job->pipes[i], .events = POLLIN };
        if (poll(fds, PIPE_COUNT, -1) < 0)
            continue;
        for (int i = 0; i < PIPE_COUNT; i++)
            if (fds[i].revents)
                read_some(job, i);
    }
    for (int i = PIPE_OUT; i <= PIPE_ERRORS; i++)
        for (size_t blocks = 0; blocks < DRAIN_MAX / BLOCK_SIZE && job->pipes[i] >= 0; blocks++)
            if (!read_some(job, i))
                break;
    while (waitpid(job->keeper, NULL, 0) < 0 && errno == EINTR)
        ;
    loop_waker_wake(job->process->waker);
    return NULL;
}

/* ---- starting ----------------------------------------------------------------------------------
 */

struct ends {
    int read, write;
};

static bool open_pipe(struct ends *ret)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    *ret = (struct ends){ fds[0], fds[1] };
    return true;
}

static void close_ends(struct ends *ends, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        close_fd(&ends[i].read);
        close_fd(&ends[i].write);
    }
}

/* The file that words[0] means, in `space`: itself, or the first of that name in PATH. */
static const char *find_program(const struct command_order *order, struct buffer *space)
{
    struct text path = TEXT_NONE, folder;
    if (strchr(order->words[0], '/'))
        return order->words[0];
    for (const char *const *e = order->environment; *e; e++)
        if (text_starts_with(text_from(*e), TEXT("PATH=")))
            path = text_skip(text_from(*e), 5);
    while (text_cut(&path, ':', &folder)) {
        buffer_clear(space);
        buffer_add(space, folder);
        buffer_add_byte(space, '/');
        buffer_add(space, text_from(order->words[0]));
        if (!space->failed && access(buffer_c_string(space), X_OK) == 0)
            return buffer_c_string(space);
    }
    return order->words[0];
}

static pid_t fork_keeper(const struct process *p, const struct command_order *order,
                         const struct ends *pipes, const struct ends *control, const char *path)
{
    const struct keeper_task task = {
        .path = path,
        .words = (char *const *)order->words, /* execve() takes them as they are */
        .environment = (char *const *)order->environment,
        .timeout_ms = order->timeout_ms,
        .grace_ms = p->grace_ms,
        .control_fd = control->read,
        .status_fd = pipes[PIPE_STATUS].write,
        .out_fd = pipes[PIPE_OUT].write,
        .errors_fd = pipes[PIPE_ERRORS].write,
        .lock_fd = p->lock_fd,
    };
    pid_t keeper = _Fork(); /* no handlers of libraries: it runs but our own code */
    if (keeper == 0)
        keeper_run(&task);
    return keeper;
}

/* The job owns the read ends from here on. */
static bool start_job(struct job *job, struct ends *pipes, struct ends *control)
{
    for (int i = 0; i < PIPE_COUNT; i++) {
        close_fd(&pipes[i].write);
        fcntl(pipes[i].read, F_SETFL, O_NONBLOCK);
        job->pipes[i] = pipes[i].read;
        pipes[i].read = -1;
    }
    close_fd(&control->read);
    job->control = control->write;
    control->write = -1;
    if (pthread_create(&job->thread, NULL, watch_job, job) == 0)
        return true;
    close_fd(&job->control); /* the keeper ends the command */
    while (waitpid(job->keeper, NULL, 0) < 0 && errno == EINTR)
        ;
    for (int i = 0; i < PIPE_COUNT; i++)
        close_fd(&job->pipes[i]);
    return false;
}

static bool open_ends(struct ends *ends, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ends[i] = (struct ends){ -1, -1 };
    for (size_t i = 0; i < count; i++)
        if (!open_pipe(&ends[i]))
            return false;
    return true;
}

static bool launch(struct process *p, struct job *job, const struct command_order *order)
{
    struct ends ends[PIPE_COUNT + 1]; /* the last is the control */
    struct buffer space;
    buffer_init(&space, &memory_heap, COPY_MAX);
    bool is_open = open_ends(ends, PIPE_COUNT + 1);
    if (is_open)
        job->keeper = fork_keeper(p, order, ends, &ends[PIPE_COUNT], find_program(order, &space));
    bool started = is_open && job->keeper > 0 && start_job(job, ends, &ends[PIPE_COUNT]);
    close_ends(ends, PIPE_COUNT + 1);
    buffer_release(&space);
    return started;
}

static bool port_start(void *self, const struct command_order *order, command_done_fn *done,
                       void *ctx)
{
    struct process *p = self;
    assert(!p->job && order->timeout_ms > 0 && order->words[0]);
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return false;
    job->process = p;
    job->done = done;
    job->ctx = ctx;
    if (!launch(p, job, order)) {
        free(job);
        return false;
    }
    p->job = job;
    return true;
}

static void port_stop(void *self)
{
    struct process *p = self;
    if (p->job)
        close_fd(&p->job->control);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static struct job *join(struct process *p)
{
    struct job *job = p->job;
    pthread_join(job->thread, NULL);
    close_fd(&job->control);
    for (int i = 0; i < PIPE_COUNT; i++)
        close_fd(&job->pipes[i]);
    p->job = NULL;
    return job;
}

/* The thread rings as the last thing it does. */
static void on_ended(void *ctx)
{
    struct process *p = ctx;
    if (!p->job)
        return;
    struct job *job = join(p);
    bool is_whole = job->status_size == sizeof job->status;
    struct command_result result = {
        .end = is_whole ? (enum command_end)job->status.end : COMMAND_KILLED,
        .number = is_whole ? job->status.number : SIGKILL, /* somebody killed the keeper */
        .head = { job->head, job->head_size },
        .output = tail_text(&job->tail),
    };
    job->done(job->ctx, &result);
    free(job);
}

bool process_new(struct loop *loop, int lock_fd, int64_t grace_ms, struct process **ret,
                 struct err *err)
{
    struct process *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ERR_MEMORY, "no memory for commands");
    p->lock_fd = lock_fd;
    p->grace_ms = grace_ms;
    p->waker = loop_waker_new(loop, on_ended, p, err);
    if (!p->waker) {
        free(p);
        return false;
    }
    *ret = p;
    return true;
}

void process_free(struct process *process)
{
    if (!process)
        return;
    if (process->job) {
        close_fd(&process->job->control);
        free(join(process));
    }
    loop_waker_free(process->waker);
    free(process);
}

struct command_port process_port(struct process *process)
{
    return (struct command_port){ port_start, port_stop, process };
}
