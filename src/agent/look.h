/* SPDX-License-Identifier: Apache-2.0
 * look.h - what the end of a command means: a version pair, a status, or a sentence for people.
 * Output is somebody else's text: it is bounded and escaped here. */
#ifndef DIDES_AGENT_LOOK_H
#define DIDES_AGENT_LOOK_H

#include "agent/life.h"
#include "base/buffer.h"

/* A bounded sentence; too long is cut at a character. */
struct look_note {
    uint16_t size;
    char bytes[LIMIT_MESSAGE];
};

/* The version pair: first line code, second configuration (may be missing), blanks around them
 * taken away. False: it ended otherwise than with 0, or printed none, or one that is too long or
 * has control characters; *ret_why says so. */
bool look_version(const struct command_result *result, struct life_version *ret,
                  struct look_note *ret_why);

/* 0 HEALTHY, 1 DEGRADED, a timeout DEGRADED, else FAILED; the note is empty when HEALTHY. */
enum instance_state look_health(const struct command_result *result, struct look_note *ret_note);

/* "update_command ended with exit code 1: last line of its output" */
void look_end(const char *command, const struct command_result *result, struct look_note *ret);

/* "version_command prints 1.0 c1 after the update, not 2.0 c1" */
void look_difference(const struct life_version *printed, const struct life_version *wished,
                     struct look_note *ret);

#endif
