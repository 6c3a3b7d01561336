/* SPDX-License-Identifier: Apache-2.0
 * keeper.h - the process between the agent and a command. It outlives the agent for a moment: when
 * the agent is killed it ends the command's whole group, so that the next agent never runs a second
 * update beside the first. */
#ifndef DIDES_AGENT_KEEPER_H
#define DIDES_AGENT_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct keeper_task {
    const char *path; /* absolute, or relative to the working folder */
    char *const *words, *const *environment;
    int64_t timeout_ms, grace_ms; /* between SIGTERM and SIGKILL */
    int control_fd;               /* its end means: stop. The agent alone holds the other end */
    int status_fd;                /* one struct keeper_status is written here at the end */
    int out_fd, errors_fd;        /* stdout and stderr of the command */
    int lock_fd;                  /* held as long as the command runs; -1: none */
};

struct keeper_status {
    int32_t end; /* enum command_end */
    int32_t number;
};

/* Called in a freshly forked child; runs the command in a session and group of its own, stdin from
 * /dev/null, no other descriptors. Only async-signal-safe calls: other threads may have held locks
 * when it was forked. When the command ends by itself its children are left alone: an update may
 * have started a service. */
_Noreturn void keeper_run(const struct keeper_task *task);

#endif
