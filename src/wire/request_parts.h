/* SPDX-License-Identifier: Apache-2.0
 * request_parts.h - what the files of request.h share, and their tables, for tests and for the
 * reference of the API. */
#ifndef DIDES_WIRE_REQUEST_PARTS_H
#define DIDES_WIRE_REQUEST_PARTS_H

#include "core/labels.h"
#include "wire/json_read.h"

extern const struct json_table wire_register_table, wire_heartbeat_table, wire_deploy_table,
    wire_plan_table, wire_assume_table, wire_rollback_table, wire_verb_table, wire_abort_table,
    wire_promote_table;

/* Given, and not as null. */
static inline bool json_has(const struct json_given *given, unsigned row)
{
    return (given->fields & ~given->nulls & JSON_BIT(row)) != 0;
}

/* The pairs of a map as changes of labels, in `arena`; *ret is NULL for none. ERR_MEMORY. */
bool wire_take_labels(struct arena *arena, const struct json_pair *pairs, uint32_t count,
                      const struct label_change **ret, struct err *err);

#endif
