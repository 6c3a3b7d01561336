/* SPDX-License-Identifier: Apache-2.0
 * record.h - how a rollout's record, its members, and instances look to people. Every field may be
 * missing: an older or newer server is no reason to show nothing. */
#ifndef DIDES_CMD_RECORD_H
#define DIDES_CMD_RECORD_H

#include "cmd/table.h"
#include "wire/json_pull.h"

/* Ages and remaining times, two units at most: "45s", "3m10s", "38m", "2h5m", "3d4h". */
void add_age(struct buffer *out, int64_t ms);

/* "2.5.0/c9"; "-" for a part that is not known, "" for an object that is not there. */
void add_version(struct buffer *out, const struct json_node *version);

/* Moves a line to `out`, safe to show and cut at the terminal's width; `line` is empty then. Every
 * line with texts of the server goes through here as a whole. */
void record_end_line(struct buffer *out, struct buffer *line, const struct terminal *terminal);

/* The whole view: header lines, waves, members that failed or are in flight; of an ended rollout
 * those that had failed. Times are told as seen at `now_ms`. */
void record_add(struct buffer *out, const struct json_node *record, int64_t now_ms,
                const struct terminal *terminal, bool is_wide);

/* One line: state, counts, and what is waited for. Two that are equal tell the same. */
void record_add_summary(struct buffer *out, const struct json_node *record);

/* Rollouts as rows. */
extern const struct table_column rollout_columns[];
extern const unsigned rollout_column_count;
void record_add_row(struct table *table, const struct json_node *record, int64_t now_ms);

/* "COMPLETED", ...; "?" when the record does not say. */
struct text record_state(const struct json_node *record);

#endif
