/* SPDX-License-Identifier: Apache-2.0
 * config.h - the configuration of a rollout as JSON, in requests, answers and records alike.
 * What is read is what was sent: a canary is written as one, though the core sees two waves.
 * Source: spec of rollouts, 7.1 to 7.4. */
#ifndef DIDES_WIRE_CONFIG_H
#define DIDES_WIRE_CONFIG_H

#include "base/arena.h"
#include "core/rollout.h"
#include "wire/json_table.h"

/* ---- what the tables read ------------------------------------------------------------------- */

#define WIRE_GATE_LATER 8 /* keys of gate types that are not there yet */

struct wire_gate {
    struct json_given given;
    struct gate_config gate;
    struct text later[WIRE_GATE_LATER];
};

struct wire_wave {
    struct json_given given;
    struct text name, selector;
    uint32_t size, percent;
    struct amount batch_size, failure_threshold;
    uint8_t mode;
    int64_t soak_ms;
    struct wire_gate *gates;
    uint32_t gate_count;
};

struct wire_canary {
    struct json_given given;
    struct amount size, batch_size;
    int64_t soak_ms;
    struct wire_gate *gates;
    uint32_t gate_count;
};

struct wire_domain {
    struct json_given given;
    struct text label;
    struct amount max_in_progress, max_failed;
};

/* The configuration, and what it is made of besides. */
struct wire_config {
    struct json_given given;
    struct rollout_config config; /* waves and domains: set by wire_config_take() */
    struct wire_canary canary;
    struct wire_wave *waves;
    uint32_t wave_count;
    struct wire_domain *domains;
    uint32_t domain_count;
    struct text blue_green, windows, start_at, approvals;
    uint8_t if_running;
};

extern const struct json_table wire_config_table, wire_canary_table, wire_wave_table,
    wire_gate_table, wire_domain_table;
extern const struct sm_words wire_if_running; /* 0 is "reject", the only one available */

/* ---- reading -------------------------------------------------------------------------------- */

/* All keys with their defaults, none given. */
void wire_config_init(struct wire_config *config);
/* After the table has read it: checks what no table can say and fills in config->config.waves and
 * .domains, in `arena`, with texts as they were read. A canary becomes the waves "canary" and
 * "rest"; a wave without a name is called "wave-<n>". Pointers begin with `pointer`, the place of
 * the configuration in its document. Fails with ERR_INVALID, ERR_NOT_SUPPORTED (reserved for later)
 * or ERR_MEMORY; then config->config is as it was. */
bool wire_config_take(struct wire_config *config, const char *pointer, struct arena *arena,
                      struct err *err);
/* Sets ERR_NOT_SUPPORTED for the key and returns false. */
bool wire_refuse_reserved(const char *pointer, const char *key, struct err *err);

#endif
