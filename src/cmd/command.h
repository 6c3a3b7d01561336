/* SPDX-License-Identifier: Apache-2.0
 * command.h - what a sub-command is: one row from which dispatch, --help and the man page are made.
 * A command's file has its option rows, its row, and its run function; commands.h names them all.
 */
#ifndef DIDES_CMD_COMMAND_H
#define DIDES_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_FLAG,     /* bool; takes no argument */
    OPTION_TEXT,     /* const char *; NULL when not given */
    OPTION_COUNT,    /* uint64_t */
    OPTION_DURATION, /* int64_t, ms; read as in "1h30m" */
    OPTION_LIST,     /* struct option_list; may be given several times */
};

#define OPTION_LIST_MAX 64
struct option_list {
    const char *items[OPTION_LIST_MAX];
    unsigned count;
};

struct option_row {
    const char *name; /* long name, without dashes */
    char letter;      /* or 0 */
    enum option_kind kind;
    size_t offset;           /* of the member in the command's struct of options */
    const char *argument;    /* what stands for its argument in texts; NULL for a flag */
    const char *meaning;     /* one clause, no full stop */
    const char *fallback;    /* used when it is not given, or NULL */
    const char *environment; /* variable that stands between the two, or NULL */
    const char *choices;     /* see operand_row; NULL: what `argument` stands for */
};

/* Choices are words apart by blanks, offered to who completes an argument or operand in a shell.
 * Words in capitals stand for what is looked up then: FILE, ID, INSTANCE, ... (see complete.c). */
struct operand_row {
    const char *after;   /* the operand before it; NULL: it is the first one */
    const char *choices; /* NULL ends the list */
};

struct command_example {
    const char *line;    /* NULL ends the list */
    const char *meaning; /* one clause */
};

struct command {
    const char *name;
    const char *summary;         /* one clause */
    const char *const *synopsis; /* each without "dides NAME "; NULL ends the list */
    const char *const *details;  /* paragraphs; NULL ends the list, which may be NULL itself */
    const struct option_row *options;
    size_t option_count;
    const struct operand_row *operands;     /* what completes them; may be NULL */
    const struct command_example *examples; /* may be NULL */
    const char *see_also;                   /* names of commands, apart by blanks, or NULL */
    bool is_hidden;                         /* not in the list that help prints; has no page */
    /* argv[0] is the command's name. Returns the exit code, see exit_code.h. */
    int (*run)(const struct command *command, int argc, char **argv);
};

#define COMMAND_OPTIONS(rows) .options = (rows), .option_count = sizeof(rows) / sizeof((rows)[0])

#endif
