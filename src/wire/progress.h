/* SPDX-License-Identifier: Apache-2.0
 * progress.h - the counters of a rollout as JSON. Source: spec of rollouts, 5.4. */
#ifndef DIDES_WIRE_PROGRESS_H
#define DIDES_WIRE_PROGRESS_H

#include "core/rollout.h"
#include "wire/json_table.h"

/* Both for struct tally: what clients see, and all of it. */
extern const struct json_table wire_progress_table, wire_tally_table;

#endif
