/* SPDX-License-Identifier: Apache-2.0
 * targets.h - the list of fuzz targets: name and function, longest input, file of words, and the
 * sources of the decoder. */
#ifndef DIDES_FUZZ_TARGETS_H
#define DIDES_FUZZ_TARGETS_H

#include "base/text.h"

#define FUZZ_JSON                                                                                  \
    "src/wire/json_strict.c src/wire/json_read.c src/wire/json_value.c src/wire/json_table.c "

/* clang-format off */
/*        name            bytes   words         the decoder */
#define FUZZ_TARGETS(X)                                                                             \
    X(address,          100,  NULL,       "src/base/format_address.c src/net/address.c")            \
    X(agent_config,     4096, "agent",    "src/agent/config.c")                                     \
    X(answer,           4096, "request",  "src/agent/talk.c")                                       \
    X(batch,            4096, NULL,       "src/store/sqlite/batch.c")                               \
    X(crc,              4096, NULL,       "src/base/crc32c.c")                                      \
    X(database,         256,  NULL,       "src/store/sqlite/check.c src/store/sqlite/schema.c src/store/sqlite/meta.c src/store/sqlite/journal.c") \
    X(deploy,           4096, "deploy",   FUZZ_JSON "src/wire/request_rollout.c src/wire/config.c src/wire/config_waves.c") \
    X(duration,         64,   NULL,       "src/base/format_time.c")                                     \
    X(escapes,          256,  NULL,       "src/base/format.c")                                      \
    X(event_filter,     2048, "selector", "src/wire/event_filter.c")                                \
    X(event_head,       1024, "record",   "src/wire/record.c")                                      \
    X(event_view,       2048, "record",   "src/cmd/event_view.c src/cmd/terminal.c")                \
    X(heartbeat,        4096, "request",  FUZZ_JSON "src/wire/request_heartbeat.c")                      \
    X(http,             4096, "http",     "src/net/http_head.c src/net/http_exchange.c")            \
    X(identity,         2048, "record",   "src/agent/identity.c")                                   \
    X(instance,         4096, "record",   FUZZ_JSON "src/wire/record.c src/wire/record_instance.c")      \
    X(json,             4096, "json",     "src/wire/json_strict.c src/wire/json_pull.c src/wire/json_keys.c") \
    X(json_to_yaml,     4096, "json",     "src/cmd/document.c")                                     \
    X(number,           64,   NULL,       "src/base/text.c")                                        \
    X(pattern,          400,  NULL,       "src/http/tokens.c")                                      \
    X(percent,          32,   NULL,       "src/base/format.c")                                      \
    X(plan,             4096, "deploy",   FUZZ_JSON "src/wire/request_rollout.c")                        \
    X(register,         4096, "request",  FUZZ_JSON "src/wire/request.c")                                \
    X(rollback,         4096, "deploy",   FUZZ_JSON "src/wire/request_rollout.c")                        \
    X(rollout,          8192, "record",   FUZZ_JSON "src/wire/record_rollout.c src/wire/record_waves.c") \
    X(rollout_id,       300,  NULL,       "src/wire/view_plan.c")                                   \
    X(secret,           512,  NULL,       "src/http/secret.c")                                      \
    X(selector,         1024, "selector", "src/core/selector_text.c src/core/selector.c")           \
    X(setting_pairs,    1024, "settings", "src/cmd/settings.c src/cmd/tokens.c")                    \
    X(settings,         4096, "settings", "src/cmd/settings.c src/cmd/tokens.c")                    \
    X(share,            64,   NULL,       "src/sim/plan.c")                                         \
    X(shown,            512,  NULL,       "src/base/err.c src/cmd/terminal.c src/wire/json_write.c") \
    X(simulation,       4096, "simulation", "src/sim/plan.c src/sim/plan_document.c src/sim/plan_fleet.c src/sim/plan_faults.c") \
    X(store,            32768, "record",   "src/engine/load.c src/engine/decoder.c src/engine/seen.c src/engine/retention.c src/http/replies.c src/http/auth.c") \
    X(tags,             256,  NULL,       "src/http/api.c")                                         \
    X(time,             64,   NULL,       "src/base/format_time.c")                                 \
    X(url,              512,  NULL,       "src/net/http_url.c")                                     \
    X(utf8,             256,  NULL,       "src/base/text.c")                                        \
    X(verb,             1024, "request",  FUZZ_JSON "src/wire/request.c")                                \
    X(yaml,             4096, "yaml",     "src/wire/yaml_read.c src/wire/yaml_scalar.c")
/* clang-format on */

#define FUZZ_DECLARE(name, ...) void fuzz_##name(struct text input);
FUZZ_TARGETS(FUZZ_DECLARE)
#undef FUZZ_DECLARE

#endif
