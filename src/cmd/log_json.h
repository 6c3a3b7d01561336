/* SPDX-License-Identifier: Apache-2.0
 * log_json.h - the sink of the log: one record is one line, JSON for machines and shorter for the
 * eyes of whoever runs the server in a terminal. */
#ifndef DIDES_CMD_LOG_JSON_H
#define DIDES_CMD_LOG_JSON_H

#include "base/buffer.h"
#include "port/log.h"

/* The record with its line end: {"time","level","message"} and then the fields, all texts. Whatever
 * bytes they have, it stays one line of valid JSON. Values of fields whose name speaks of a secret
 * (token, credential, password, secret, authorization) are shown as ***. */
void log_json_line(struct buffer *out, int64_t now_ms, enum log_level level, const char *message,
                   const struct log_field *fields);
/* The same record as "10:00:00Z info message key=value"; no byte of it can steer the terminal. */
void log_human_line(struct buffer *out, int64_t now_ms, enum log_level level, const char *message,
                    const struct log_field *fields);

struct log_json {
    int fd;
    bool is_human;
};

/* For `fd`, lines for people when that is a terminal. Debug records are left out. A line that
 * cannot be written is lost: there is nobody left to tell. */
void log_json_init(struct log_json *log, int fd);
struct log_port log_json_port(struct log_json *log);

#endif
