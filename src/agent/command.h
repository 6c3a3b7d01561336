/* SPDX-License-Identifier: Apache-2.0
 * command.h - the commands of the operator as a port: one at a time is started, and its end comes
 * back as a value. process.h carries it out; tests bring their own. */
#ifndef DIDES_AGENT_COMMAND_H
#define DIDES_AGENT_COMMAND_H

#include "base/text.h"

#define COMMAND_OUTPUT_MAX (64 * 1024) /* bytes of output that are kept: the last ones */
#define COMMAND_HEAD_MAX   1024        /* bytes of stdout alone that are kept: the first ones */

struct command_order {
    const char *const *words; /* ends with NULL; words[0] is a path, or is looked up in PATH */
    const char *const *environment; /* "NAME=value", ends with NULL; all that the command gets */
    int64_t timeout_ms;             /* then its process group is ended; must be > 0 */
};

enum command_end {
    COMMAND_EXITED,    /* by itself; `number` is its exit code */
    COMMAND_KILLED,    /* by a signal from somewhere else; `number` is the signal */
    COMMAND_TIMED_OUT, /* it took longer than its timeout */
    COMMAND_STOPPED,   /* stop() was called before it had ended */
    COMMAND_NOT_RUN,   /* it could not be started; `number` is the errno */
};

struct command_result {
    enum command_end end;
    int number;
    struct text head;   /* of stdout; borrowed like the next for the time of the callback */
    struct text output; /* tail of stdout and stderr as they came */
};

typedef void command_done_fn(void *ctx, const struct command_result *result);

struct command_port {
    /* Starts the command; everything in `order` is copied. `done` is called exactly once, from the
     * loop, never from inside this function. Only when none is under way (an assertion). False: no
     * memory, no thread; then `done` is never called. */
    bool (*start)(void *self, const struct command_order *order, command_done_fn *done, void *ctx);
    /* Ends what is under way, SIGTERM first, SIGKILL after a grace; `done` comes later. Nothing
     * happens when there is none. */
    void (*stop)(void *self);
    void *self;
};

#endif
