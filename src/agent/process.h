/* SPDX-License-Identifier: Apache-2.0
 * process.h - the command port on this machine: a keeper process for each command, and a thread
 * that reads its output. No shell, no inherited descriptors, a session and a process group of its
 * own (doc/reliability.md, FX10). */
#ifndef DIDES_AGENT_PROCESS_H
#define DIDES_AGENT_PROCESS_H

#include "agent/command.h"
#include "base/err.h"
#include "net/loop.h"

struct process;

/* `lock_fd`: a descriptor that every command's keeper holds as long as the command runs, so that a
 * lock on it outlives a killed agent until its command is ended; -1: none. Borrowed.
 * `grace_ms`: between SIGTERM and SIGKILL. */
bool process_new(struct loop *loop, int lock_fd, int64_t grace_ms, struct process **ret,
                 struct err *err);
/* Ends what is under way and waits for it; its `done` is not called. NULL is allowed. */
void process_free(struct process *process);

struct command_port process_port(struct process *process);

#endif
