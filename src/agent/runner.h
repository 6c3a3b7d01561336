/* SPDX-License-Identifier: Apache-2.0
 * runner.h - an agent at work: gives life.h its events and carries its effects out through ports.
 * It knows no socket, no process and no clock of its own. */
#ifndef DIDES_AGENT_RUNNER_H
#define DIDES_AGENT_RUNNER_H

#include "agent/command.h"
#include "agent/config.h"
#include "agent/identity.h"
#include "port/caller.h"
#include "port/log.h"

struct runner;

struct runner_options {
    const struct config_values *config; /* checked; borrowed */
    struct text path, lang;             /* PATH and LANG of the commands; borrowed */
    const struct identity *identity;    /* of the same server and name, or NULL; copied */
    struct caller_port caller;
    struct timer_port timer;
    struct command_port command;
    struct log_port log;
    uint64_t (*random)(void *ctx);                                  /* for jitter */
    bool (*save)(void *ctx, const struct identity *, struct err *); /* durable when it returns */
    void (*ended)(void *ctx); /* after runner_stop(): nothing runs any more; from the loop */
    void *ctx;
};

bool runner_new(const struct runner_options *options, struct runner **ret, struct err *err);
/* Looks, registers, and so on. Call once. */
void runner_start(struct runner *runner);
/* Says nothing more to the server; a running update gets its grace. A second call ends it at once.
 * `ended` is called when all is over, maybe from inside. */
void runner_stop(struct runner *runner);
/* Only when its ports will not call any more: caller, command and timer are closed before. NULL is
 * allowed. */
void runner_free(struct runner *runner);

const struct life *runner_life(const struct runner *runner);

#endif
