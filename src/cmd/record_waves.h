/* SPDX-License-Identifier: Apache-2.0
 * record_waves.h - the parts of a rollout's view that are about waves, gates and limits. As in
 * record.h, every field may be missing. */
#ifndef DIDES_CMD_RECORD_WAVES_H
#define DIDES_CMD_RECORD_WAVES_H

#include "cmd/table.h"
#include "wire/json_pull.h"

/* "wave 2 of 3 (zone-a)": the one that is open. Nothing when all members form one wave, or none is
 * open. */
void waves_add_place(struct buffer *line, const struct json_node *record);

/* How many may be in flight now: as told of the open wave, else as asked for. */
struct text waves_batch_limit(const struct json_node *record);

/* "available 94.3% (floor 90%)", with three blanks before it; nothing when it is not told. */
void waves_add_available(struct buffer *line, const struct json_node *record);

/* "zone=a busy 16 of 20", each with three blanks before it: the domains nearest to their limits. */
void waves_add_domains(struct buffer *line, const struct json_node *record);

/* "soak 15m, gate ok (manual), then wave rest (240 instances)"; with one wave and nothing after it,
 * how many are still to be started. */
void waves_add_next(struct buffer *line, const struct json_node *record, int64_t now_ms);

/* The table of waves. `state` stands for that of a rollout that tells no waves. */
void waves_add_table(struct buffer *out, const struct json_node *record, struct text state,
                     const struct terminal *terminal);

#endif
