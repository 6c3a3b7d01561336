/* SPDX-License-Identifier: Apache-2.0
 * options.h - reads a command's options as its rows say: over getopt_long(), into the command's own
 * struct. Given on the command line beats the environment, which beats the fallback. */
#ifndef DIDES_CMD_OPTIONS_H
#define DIDES_CMD_OPTIONS_H

#include "cmd/command.h"

/* What is left when the options are taken away, borrowed from argv. */
struct operands {
    char **list;
    int count;
};

/* Fills the zeroed struct `into`. False: the command is to end with *ret_exit, because help was
 * asked for and printed (0), or because of wrong usage, which was remarked (64). Texts are borrowed
 * from argv and the environment. Sorts argv. */
bool options_parse(const struct command *command, int argc, char **argv, void *into,
                   struct operands *ret, int *ret_exit);

/* The same, for commands that take at most `operands_max` operands. */
bool options_parse_few(const struct command *command, int argc, char **argv, int operands_max,
                       void *into, struct operands *ret, int *ret_exit);

/* Remarks what is wrong, and how the command is used; returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int wrong_usage(const struct command *command,
                                                      const char *format, ...);

/* Letters to change, add, drop or swap to make one name of the other. */
unsigned name_distance(const char *a, const char *b);
#define NAME_DISTANCE_MAX 2 /* further apart is no slip of the finger */

#endif
