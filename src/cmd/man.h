/* SPDX-License-Identifier: Apache-2.0
 * man.h - manual pages in roff, made from the table of commands. */
#ifndef DIDES_CMD_MAN_H
#define DIDES_CMD_MAN_H

#include "base/buffer.h"
#include "cmd/command.h"

/* dides(1). */
void man_add_program(struct buffer *out);
/* dides-NAME(1). */
void man_add_command(struct buffer *out, const struct command *command);

#endif
