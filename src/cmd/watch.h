/* SPDX-License-Identifier: Apache-2.0
 * watch.h - follows one rollout, and the rollback of it, until it has ended.
 * The record is always fetched anew; the event stream only rings the bell. So a missed event, a
 * restarted server or a stream that begins too late can delay a line, never falsify it. */
#ifndef DIDES_CMD_WATCH_H
#define DIDES_CMD_WATCH_H

#include "cmd/client.h"

struct watch_options {
    int64_t timeout_ms;     /* 0: wait for ever */
    bool ends_when_stopped; /* a pause, or a gate that waits for a person, ends it: EXIT_STOPPED */
    bool is_wide;
    FILE *stream; /* redrawn if it is a terminal; else one line per change */
};

/* Returns how the rollout `id` ended: EXIT_DONE, EXIT_NOT_UNDONE, EXIT_UNDONE; or EXIT_TIMEOUT,
 * EXIT_STOPPED, or why it could not be followed, remarked. The client's root is then the newest
 * record, unless there is none. */
enum exit_code watch_rollout(struct client *client, const char *id,
                             const struct watch_options *options);

#endif
