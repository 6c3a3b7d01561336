/* SPDX-License-Identifier: Apache-2.0
 * show.h - the ends that commands about one rollout have in common. */
#ifndef DIDES_CMD_SHOW_H
#define DIDES_CMD_SHOW_H

#include "cmd/watch.h"

/* Prints the record: as a view for people, or as the output format says. */
enum exit_code show_record(const struct client *client, const struct json_node *record);
/* The same after something was done to it: one line is enough for people. */
enum exit_code show_change(const struct client *client, const struct json_node *record);
/* Waits for the end and shows the way: for people on stdout; in other formats the way is told on
 * stderr and the last record printed on stdout. `timeout_ms` 0: for ever. */
enum exit_code show_until_ended(struct client *client, const char *id, int64_t timeout_ms,
                                bool ends_when_stopped);

/* Asks on a terminal whether to go on; without one, or with `is_sure`, nobody is asked. False: no,
 * which was remarked. */
__attribute__((format(printf, 2, 3))) bool confirm(bool is_sure, const char *format, ...);

#endif
