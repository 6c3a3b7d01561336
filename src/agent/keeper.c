/* SPDX-License-Identifier: Apache-2.0
 * keeper.c - see keeper.h. */
#include "agent/keeper.h"

#include "agent/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the descriptors stand in the keeper; nothing else is open. */
enum { CONTROL_FD = 3, STATUS_FD, OUT_FD, ERRORS_FD, LOCK_FD, FIRST_FREE_FD };
#define ASIDE_FD 64 /* no clash with the above while they are moved */

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static void close_from(unsigned first, unsigned flags)
{
    syscall(SYS_close_range, first, ~0u, flags);
}

static void die_with(enum command_end end, int number)
{
    struct keeper_status status = { (int32_t)end, number };
    if (write(STATUS_FD, &status, sizeof status) != sizeof status)
        _exit(1);
    _exit(0);
}

/* From wherever they are to the numbers above; standard streams become /dev/null. */
static void arrange(const struct keeper_task *task)
{
    const int from[] = { task->control_fd, task->status_fd, task->out_fd, task->errors_fd,
                         task->lock_fd };
    int aside[5];
    for (int i = 0; i < 5; i++)
        aside[i] = from[i] >= 0 ? fcntl(from[i], F_DUPFD_CLOEXEC, ASIDE_FD) : -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    for (int i = 0; i < 5; i++) {
        if (aside[i] >= 0)
            dup3(aside[i], CONTROL_FD + i, O_CLOEXEC);
        else
            close(CONTROL_FD + i);
    }
    close_from(FIRST_FREE_FD, 0);
}

static _Noreturn void become_command(const struct keeper_task *task)
{
    struct sigaction plain = { .sa_handler = SIG_DFL };
    sigset_t none;
    setsid();
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(OUT_FD, 1);
    dup2(ERRORS_FD, 2);
    execve(task->path, task->words, task->environment);
    die_with(COMMAND_NOT_RUN, errno);
    _exit(127);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Its group, or itself as long as it has none of its own yet. */
static void signal_group(pid_t leader, int number)
{
    if (kill(-leader, number) != 0 && errno == ESRCH)
        kill(leader, number);
}

struct watch {
    const struct keeper_task *task;
    pid_t leader;
    int leader_fd;
    bool is_ending; /* SIGTERM was sent */
    bool is_killed; /* SIGKILL was sent */
    enum command_end cause;
    int64_t deadline; /* of the present phase */
};

static int poll_timeout(const struct watch *w)
{
    int64_t left = w->deadline - now_ms();
    if (w->is_killed)
        return -1;
    if (left < 0)
        return 0;
    return left < INT32_MAX ? (int)left : INT32_MAX;
}

static void end_command(struct watch *w, enum command_end cause)
{
    w->is_ending = true;
    w->cause = cause;
    w->deadline = now_ms() + w->task->grace_ms;
    signal_group(w->leader, SIGTERM);
}

/* Until the leader is gone, which is left as a zombie: its number, and so its group's, stays ours.
 */
static void watch_leader(struct watch *w)
{
    for (;;) {
        struct pollfd fds[] = { { .fd = w->leader_fd, .events = POLLIN },
                                { .fd = w->is_ending ? -1 : CONTROL_FD, .events = POLLIN } };
        int ready = poll(fds, 2, poll_timeout(w));
        if (ready > 0 && fds[0].revents)
            return;
        if (ready > 0 && fds[1].revents)
            end_command(w, COMMAND_STOPPED);
        else if (ready == 0 && !w->is_ending)
            end_command(w, COMMAND_TIMED_OUT);
        else if (ready == 0) {
            w->is_killed = true;
            signal_group(w->leader, SIGKILL);
        }
    }
}

static _Noreturn void report(const struct watch *w)
{
    int status = 0;
    if (w->is_ending)
        signal_group(w->leader, SIGKILL); /* who is left of the group */
    while (waitpid(w->leader, &status, 0) < 0 && errno == EINTR)
        ;
    if (w->is_ending)
        die_with(w->cause, 0);
    if (WIFSIGNALED(status))
        die_with(COMMAND_KILLED, WTERMSIG(status));
    die_with(COMMAND_EXITED, WEXITSTATUS(status));
    _exit(1);
}

_Noreturn void keeper_run(const struct keeper_task *task)
{
    sigset_t all;
    struct watch w = { .task = task, .deadline = now_ms() + task->timeout_ms };
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "dides-keeper");
    arrange(task);
    w.leader =
        _Fork(); /* fork() would run handlers of libraries on descriptors that are ours now */
    if (w.leader == 0)
        become_command(task);
    if (w.leader < 0)
        die_with(COMMAND_NOT_RUN, errno);
    close(OUT_FD);
    close(ERRORS_FD);
    w.leader_fd = (int)syscall(SYS_pidfd_open, w.leader, 0);
    if (w.leader_fd < 0) {
        int why = errno;
        signal_group(w.leader, SIGKILL);
        die_with(COMMAND_NOT_RUN, why);
    }
    watch_leader(&w);
    report(&w);
}
