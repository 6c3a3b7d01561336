/* SPDX-License-Identifier: Apache-2.0
 * forked.c - see forked.h. A result that reaches its end, and an exit status of 0, together make it
 * whole: a child that is killed in the middle of writing leaves half a text. */
#include "net/forked.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define READ_BYTES    65536
#define REAP_EVERY_MS 2
#define NICER_BY      10
#define PIPE_IN_CHILD 3
#define HANDLES       2

struct forked {
    struct forked_options options;
    uv_poll_t readable;
    uv_timer_t timer; /* its deadline; once the text has ended: another look whether it is gone */
    struct buffer text;
    pid_t pid; /* 0: gone */
    int fd;    /* -1: read to its end */
    int status;
    enum forked_outcome outcome;
    bool is_silent; /* nobody is told */
    unsigned closed;
};

static int64_t pause_us;

int64_t forked_pause_us(void)
{
    return pause_us;
}

/* ---- the child ------------------------------------------------------------------------------ */

/* Handlers of the parent would write into the pipes that both have. */
static void forget_signals(void)
{
    struct sigaction plain = { .sa_handler = SIG_DFL };
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &plain, NULL); /* two of them refuse, which is right */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_rest(void)
{
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    if (close_range(PIPE_IN_CHILD + 1, ~0u, 0) == 0)
        return;
    struct rlimit limit;
    int end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT32_MAX
                  ? (int)limit.rlim_cur
                  : INT32_MAX;
    for (int fd = PIPE_IN_CHILD + 1; fd < end; fd++)
        close(fd);
}

/* Bytes of address space in use; 0: unknown. */
static size_t address_space(void)
{
    char line[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (fd >= 0)
        close(fd);
    uint64_t pages = 0;
    struct text words = { line, size > 0 ? (size_t)size : 0 };
    words.size = text_find(words, ' ');
    if (!text_to_u64(words, SIZE_MAX / 65536, &pages))
        return 0;
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit(unsigned resource, rlim_t value)
{
    struct rlimit wanted;
    if (getrlimit(resource, &wanted) != 0 || wanted.rlim_max < value)
        return; /* tighter already */
    wanted.rlim_cur = wanted.rlim_max = value;
    setrlimit(resource, &wanted);
}

static void keep_modest(const struct forked_options *options)
{
    size_t in_use = address_space();
    int64_t seconds = (options->deadline_ms + 999) / 1000 + 1;
    setpriority(PRIO_PROCESS, 0, NICER_BY);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, (rlim_t)seconds);
    if (in_use > 0)
        limit(RLIMIT_AS, (rlim_t)(in_use + options->memory_max));
}

static bool write_all(int fd, struct text t)
{
    while (t.size > 0) {
        ssize_t size = write(fd, t.data, t.size);
        if (size < 0 && errno != EINTR)
            return false;
        t = text_skip(t, size > 0 ? (size_t)size : 0);
    }
    return true;
}

__attribute__((noreturn)) static void live_as_child(const struct forked_options *options, int fd,
                                                    pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    forget_signals();
    if (getppid() != parent || (fd != PIPE_IN_CHILD && dup2(fd, PIPE_IN_CHILD) < 0))
        _exit(1);
    close_rest();
    keep_modest(options);
    struct buffer out;
    buffer_init(&out, &memory_heap, options->text_max);
    options->work(options->ctx, &out);
    _exit(!out.failed && write_all(PIPE_IN_CHILD, buffer_text(&out)) ? 0 : 1);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct forked *f = handle->data;
    if (++f->closed < HANDLES)
        return;
    buffer_release(&f->text);
    free(f);
}

static void stop_reading(struct forked *f)
{
    if (f->fd < 0)
        return;
    uv_poll_stop(&f->readable);
    close(f->fd);
    f->fd = -1;
}

static void close_handles(struct forked *f)
{
    stop_reading(f);
    uv_close((uv_handle_t *)&f->readable, on_closed);
    uv_close((uv_handle_t *)&f->timer, on_closed);
}

static void tell(struct forked *f)
{
    bool is_good = WIFEXITED(f->status) && WEXITSTATUS(f->status) == 0;
    if (f->outcome == FORKED_DONE && !is_good)
        f->outcome = FORKED_DIED;
    struct text text = f->outcome == FORKED_DONE ? buffer_text(&f->text) : TEXT_NONE;
    f->options.done(f->options.ctx, f->outcome, text);
}

/* The kernel frees what it had before it can be collected: that may take a while. */
static void look_if_gone(uv_timer_t *timer)
{
    struct forked *f = timer->data;
    pid_t got = waitpid(f->pid, &f->status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) {
        uv_timer_start(&f->timer, look_if_gone, REAP_EVERY_MS, 0);
        return;
    }
    f->pid = 0;
    close_handles(f);
    tell(f);
}

static void put_down(struct forked *f, enum forked_outcome outcome)
{
    if (f->outcome == FORKED_DONE)
        f->outcome = outcome;
    stop_reading(f);
    kill(f->pid, SIGKILL);
    uv_timer_start(&f->timer, look_if_gone, REAP_EVERY_MS, 0);
}

static void on_deadline(uv_timer_t *timer)
{
    put_down(timer->data, FORKED_LATE);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct forked *f = poll->data;
    char space[READ_BYTES];
    (void)events;
    ssize_t size = status < 0 ? 0 : read(f->fd, space, sizeof space);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        stop_reading(f);
        look_if_gone(&f->timer);
        return;
    }
    buffer_add(&f->text, (struct text){ space, (size_t)size });
    if (f->text.failed)
        put_down(f, FORKED_TOO_LARGE);
}

void forked_cancel(struct forked *f)
{
    if (f->fd >= 0)
        put_down(f, FORKED_CANCELLED);
    else if (f->outcome == FORKED_DONE)
        f->outcome = FORKED_CANCELLED; /* it is going already */
}

void forked_free(struct forked *f)
{
    if (!f)
        return;
    kill(f->pid, SIGKILL);
    while (waitpid(f->pid, &f->status, 0) < 0 && errno == EINTR)
        ;
    f->pid = 0;
    close_handles(f);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

/* No signal may reach a handler of the parent in the child. Returns the child, or -1. */
static pid_t fork_child(const struct forked_options *options, const int fds[static 2])
{
    sigset_t all, before;
    pid_t parent = getpid();
    int64_t began_us = now_us();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        live_as_child(options, fds[1], parent);
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pause_us = now_us() - began_us;
    errno = why;
    return pid;
}

static void watch(struct loop *loop, struct forked *f)
{
    uv_poll_init(loop_uv(loop), &f->readable, f->fd);
    uv_timer_init(loop_uv(loop), &f->timer);
    f->readable.data = f->timer.data = f;
    uv_poll_start(&f->readable, UV_READABLE, on_readable);
    uv_timer_start(&f->timer, on_deadline, (uint64_t)f->options.deadline_ms, 0);
}

struct forked *forked_start(struct loop *loop, const struct forked_options *options,
                            struct err *err)
{
    int fds[2];
    assert(options->deadline_ms >= 1);
    struct forked *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(err, ERR_MEMORY, "no memory for another process");
        return NULL;
    }
    if (pipe2(fds, O_CLOEXEC) != 0) {
        err_set(err, ERR_UNAVAILABLE, "no pipe to another process: %s", strerror(errno));
        free(f);
        return NULL;
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    *f = (struct forked){ .options = *options, .fd = fds[0] };
    f->pid = fork_child(options, fds);
    close(fds[1]);
    if (f->pid < 0) {
        err_set(err, errno == ENOMEM ? ERR_MEMORY : ERR_UNAVAILABLE,
                "cannot start another process: %s", strerror(errno));
        close(fds[0]);
        free(f);
        return NULL;
    }
    buffer_init(&f->text, &memory_heap, options->text_max);
    watch(loop, f);
    return f;
}
