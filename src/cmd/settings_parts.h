/* SPDX-License-Identifier: Apache-2.0
 * settings_parts.h - what settings.c and settings_print.c share. */
#ifndef DIDES_CMD_SETTINGS_PARTS_H
#define DIDES_CMD_SETTINGS_PARTS_H

#include "cmd/settings.h"

#define SETTINGS_PREFIX "DIDES_"

extern const char *const setting_defaults[SETTING_COUNT]; /* as one would write them */

bool setting_is_address(enum setting row);
/* "DIDES_HEARTBEAT_MIN" */
void setting_variable(enum setting row, struct buffer *out);
/* "--io-threads"; written into `space` and returned. */
#define SETTING_FLAG_SIZE 64
const char *setting_flag(const char *key, char space[static SETTING_FLAG_SIZE]);
/* The present value in YAML. */
void setting_write_value(const struct settings *s, enum setting row, struct buffer *out);
/* "default", "file conf.yaml", "environment DIDES_DATA", "--set", "--listen" */
void setting_write_source(const struct settings *s, enum setting row, struct buffer *out);

#endif
