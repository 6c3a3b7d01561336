/* SPDX-License-Identifier: Apache-2.0
 * help.h - what --help prints, made from a command's row. */
#ifndef DIDES_CMD_HELP_H
#define DIDES_CMD_HELP_H

#include "cmd/command.h"

#include <stdio.h>

void help_print(const struct command *command, FILE *stream);
/* The synopsis only, and where to read on. */
void help_print_usage(const struct command *command, FILE *stream);
/* All commands with their summaries. */
void help_print_all(FILE *stream);

#endif
