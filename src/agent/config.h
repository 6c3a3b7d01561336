/* SPDX-License-Identifier: Apache-2.0
 * config.h - the configuration of an agent: one field table gives the keys of the file, their
 * ranges, what the flags accept, and --print-config. */
#ifndef DIDES_AGENT_CONFIG_H
#define DIDES_AGENT_CONFIG_H

#include "base/arena.h"
#include "base/limits.h"
#include "wire/json_table.h"

#define CONFIG_WORDS_MAX 64 /* of one command */

struct config_command {
    struct text *words;
    uint32_t count; /* 0: not set */
};

struct config_values {
    struct text server, name, ip, token, token_file, credential_file;
    struct json_pair *labels;
    uint32_t label_count;
    struct config_command update, version, health;
    int64_t update_timeout_ms, version_timeout_ms, health_timeout_ms;
    int64_t check_interval_ms, stop_grace_ms;
    uint32_t update_retries;
    bool insecure;
};

struct config {
    struct config_values value;
    struct arena arena; /* holds all texts; each ends in NUL */
};

extern const struct json_table config_table;

/* Sets the defaults; the name is the host's. False: no memory; config_release() is due all the
 * same.
 */
bool config_init(struct config *config, struct err *err);
void config_release(struct config *config);

/* The layers, in the order of rising precedence. On failure *config is as it was and *err names the
 * source and the key: ERR_USAGE or ERR_MEMORY. */

/* YAML, or JSON when the name ends in .json. A file with a token must not be readable by others. */
bool config_read_file(struct config *config, const char *path, struct err *err);
/* One flag: `key` is one of the table; a command is one word. */
bool config_read_flag(struct config *config, const char *key, const char *value, struct err *err);
/* "key=value"; adds to the labels there are or replaces one. */
bool config_read_label(struct config *config, const char *pair, struct err *err);
/* DIDES_TOKEN, which must not be given as a flag: others see arguments. */
bool config_set_token(struct config *config, const char *token, struct err *err);
/* Reads `token_file`, when it is set and no token is. */
bool config_read_token(struct config *config, struct err *err);

/* What no single key can tell: what is missing, and a server beyond loopback over plain HTTP. */
bool config_check(const struct config *config, struct err *err);

/* The configuration as YAML that config_read_file() reads back; the token is left out. */
void config_print(const struct config *config, struct buffer *out);

#endif
