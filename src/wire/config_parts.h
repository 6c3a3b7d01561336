/* SPDX-License-Identifier: Apache-2.0
 * config_parts.h - what the files of config.h share. */
#ifndef DIDES_WIRE_CONFIG_PARTS_H
#define DIDES_WIRE_CONFIG_PARTS_H

#include "wire/config.h"
#include "wire/json_pointer.h"
#include "wire/json_write.h"

/* Places in the document: the key, or the entry of the list of that name, inside `at`. */
struct json_pointer config_at(struct json_pointer at, const char *key);
struct json_pointer config_entry(struct json_pointer at, const char *list, uint32_t index);

/* Each fills in one list of `ret`, as wire_config_take() says; `at` is the configuration. */
bool config_take_waves(const struct wire_config *c, struct json_pointer at, struct arena *arena,
                       struct rollout_config *ret, struct err *err);
bool config_take_domains(const struct wire_config *c, struct json_pointer at, struct arena *arena,
                         struct rollout_config *ret, struct err *err);

/* The value alone, after its key. */
void config_write_canary(struct json_writer *w, const struct wave_config *wave);
void config_write_waves(struct json_writer *w, const struct rollout_config *config);
void config_write_domains(struct json_writer *w, const struct rollout_config *config);

#endif
