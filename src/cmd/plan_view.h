/* SPDX-License-Identifier: Apache-2.0
 * plan_view.h - how a plan looks to people. Every field may be missing, as in record.h. */
#ifndef DIDES_CMD_PLAN_VIEW_H
#define DIDES_CMD_PLAN_VIEW_H

#include "cmd/table.h"
#include "wire/json_pull.h"

/* Header lines, waves, failure domains, and with `is_wide` the members that the answer has. */
void plan_add(struct buffer *out, const struct json_node *plan, const struct terminal *terminal,
              bool is_wide);

/* Whether anybody needs the update. */
bool plan_has_changes(const struct json_node *plan);

#endif
