/* SPDX-License-Identifier: Apache-2.0
 * config.h - the configuration of a rollout as JSON, in requests, answers and records alike.
 * Source: spec of rollouts, 7.1 and 7.4. */
#ifndef DIDES_WIRE_CONFIG_H
#define DIDES_WIRE_CONFIG_H

#include "core/rollout.h"
#include "wire/json_table.h"

/* What the table reads: the configuration, and what has a name already but no meaning yet. */
struct wire_config {
    struct json_given given;
    struct rollout_config config;
    struct amount min_available;
    struct text domains, canary, waves, blue_green, windows, start_at, approvals;
    uint8_t if_running;
};

extern const struct json_table wire_config_table;
extern const struct sm_words wire_if_running; /* 0 is "reject", the only one available */

/* All keys with their defaults, none given. */
void wire_config_init(struct wire_config *config);
/* Refuses what is reserved: ERR_NOT_SUPPORTED, or ERR_INVALID for a wrong type there. Pointers
 * begin with `pointer`, the place of the configuration in its document. */
bool wire_config_check(const struct wire_config *config, const char *pointer, struct err *err);
/* Sets ERR_NOT_SUPPORTED for the key and returns false. */
bool wire_refuse_reserved(const char *pointer, const char *key, struct err *err);

#endif
