/* SPDX-License-Identifier: Apache-2.0
 * options.c - see options.h. */
#include "cmd/options.h"

#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/exit_code.h"
#include "cmd/help.h"
#include "cmd/terminal.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>

#define OPTIONS_MAX   64
#define NAME_SIZE_MAX 64
#define NUMBER_BASE   0x100 /* what getopt_long() returns for row i is this + i */
#define NUMBER_HELP   0xff

/* ---- near misses ---------------------------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The optimal string alignment distance, row by row. */
unsigned name_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    unsigned rows[3][NAME_SIZE_MAX + 1];
    if (a_size > NAME_SIZE_MAX || b_size > NAME_SIZE_MAX)
        return UINT32_MAX;
    for (unsigned j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *swapped = rows[(i + 1) % 3];
        now[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            unsigned change = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(change, least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], swapped[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

static const char *nearest_option(const struct command *command, const char *name)
{
    const char *best = NULL;
    unsigned best_distance = NAME_DISTANCE_MAX + 1;
    for (size_t i = 0; i < command->option_count; i++) {
        unsigned distance = name_distance(name, command->options[i].name);
        if (distance < best_distance) {
            best = command->options[i].name;
            best_distance = distance;
        }
    }
    return best;
}

/* ---- wrong usage ---------------------------------------------------------------------------- */

int wrong_usage(const struct command *command, const char *format, ...)
{
    char said[512];
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    remark("%s: %s", command->name, said);
    help_print_usage(command, stderr);
    return EXIT_USAGE;
}

static int unknown_option(const struct command *command, const char *given, int letter)
{
    char name[NAME_SIZE_MAX + 1];
    if (letter != 0)
        return wrong_usage(command, "unknown option -%c", letter);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given + 2, "="), given + 2);
    const char *nearest = nearest_option(command, name);
    if (nearest)
        return wrong_usage(command, "unknown option --%s; did you mean --%s?", name, nearest);
    return wrong_usage(command, "unknown option --%s", name);
}

/* ---- values --------------------------------------------------------------------------------- */

/* Stores `value` as the row says; `from` names where it came from. */
static bool store(const struct option_row *row, const char *value, void *into, struct err *err)
{
    void *at = (char *)into + row->offset;
    struct option_list *list = at;
    switch (row->kind) {
    case OPTION_FLAG: *(bool *)at = true; return true;
    case OPTION_TEXT: *(const char **)at = value; return true;
    case OPTION_COUNT:
        return text_to_u64(text_from(value), UINT64_MAX, at) ||
               err_set(err, ERR_USAGE, "\"%s\" is no whole number", value);
    case OPTION_DURATION: return parse_duration(text_from(value), at, err);
    case OPTION_LIST:
        if (list->count == OPTION_LIST_MAX)
            return err_set(err, ERR_USAGE, "given more than %d times", OPTION_LIST_MAX);
        list->items[list->count++] = value;
        return true;
    }
    return false;
}

/* A flag in the environment is on unless it says off. */
static bool flag_is_off(const char *value)
{
    return strcmp(value, "0") == 0 || strcmp(value, "false") == 0;
}

static bool store_default(const struct command *command, const struct option_row *row, void *into)
{
    struct err err = { 0 };
    const char *value = row->environment ? getenv(row->environment) : NULL;
    bool is_set = value && value[0];
    if (row->kind == OPTION_FLAG && (!is_set || flag_is_off(value)))
        return true;
    if (!is_set)
        value = row->fallback;
    if (!value || store(row, value, into, &err))
        return true;
    wrong_usage(command, "%s (for --%s): %s", row->environment, row->name, err.text);
    return false;
}

/* ---- getopt_long() -------------------------------------------------------------------------- */

struct getopt_rows {
    struct option longs[OPTIONS_MAX + 2];
    char shorts[2 * OPTIONS_MAX + 4];
};

static void prepare(const struct command *command, struct getopt_rows *ret)
{
    size_t at = 0;
    assert(command->option_count <= OPTIONS_MAX);
    memset(ret, 0, sizeof *ret);
    ret->shorts[at++] = ':'; /* a missing argument is told apart from an unknown option */
    ret->shorts[at++] = 'h';
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_row *row = &command->options[i];
        assert((row->kind == OPTION_FLAG) == (row->argument == NULL));
        ret->longs[i] = (struct option){ .name = row->name,
                                         .has_arg = row->argument != NULL,
                                         .val = NUMBER_BASE + (int)i };
        if (row->letter)
            ret->shorts[at++] = row->letter;
        if (row->letter && row->argument)
            ret->shorts[at++] = ':';
    }
    ret->longs[command->option_count] = (struct option){ .name = "help", .val = NUMBER_HELP };
}

static const struct option_row *row_of(const struct command *command, int number)
{
    if (number >= NUMBER_BASE)
        return &command->options[number - NUMBER_BASE];
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].letter == number)
            return &command->options[i];
    return NULL;
}

/* Takes what getopt_long() found. False: the command ends with *ret_exit. */
static bool take(const struct command *command, int number, const char *given, void *into,
                 int *ret_exit)
{
    struct err err = { 0 };
    if (number == 'h' || number == NUMBER_HELP) {
        help_print(command, stdout);
        *ret_exit = EXIT_DONE;
        return false;
    }
    if (number == ':' || number == '?') {
        bool is_long = strncmp(given, "--", 2) == 0;
        if (number == ':')
            *ret_exit = wrong_usage(command, "%s needs an argument", given);
        else if (is_long && optopt != 0)
            *ret_exit = wrong_usage(command, "%s takes no argument", given);
        else
            *ret_exit = unknown_option(command, given, is_long ? 0 : optopt);
        return false;
    }
    const struct option_row *row = row_of(command, number);
    if (store(row, optarg, into, &err))
        return true;
    *ret_exit = wrong_usage(command, "--%s: %s", row->name, err.text);
    return false;
}

bool options_parse(const struct command *command, int argc, char **argv, void *into,
                   struct operands *ret, int *ret_exit)
{
    struct getopt_rows rows;
    int number;
    prepare(command, &rows);
    for (size_t i = 0; i < command->option_count; i++) {
        /* Lists start with what the environment says; the command line adds to it. */
        if (store_default(command, &command->options[i], into))
            continue;
        *ret_exit = EXIT_USAGE;
        return false;
    }
    opterr = 0;
    optind = 0; /* start anew, also in a process that has parsed before */
    while ((number = getopt_long(argc, argv, rows.shorts, rows.longs, NULL)) != -1) {
        if (!take(command, number, argv[optind - 1], into, ret_exit))
            return false;
    }
    *ret = (struct operands){ argv + optind, argc - optind };
    return true;
}

bool options_parse_few(const struct command *command, int argc, char **argv, int operands_max,
                       void *into, struct operands *ret, int *ret_exit)
{
    struct operands operands;
    if (!options_parse(command, argc, argv, into, &operands, ret_exit))
        return false;
    if (operands.count > operands_max) {
        *ret_exit =
            wrong_usage(command, "\"%s\" is one argument too many", operands.list[operands_max]);
        return false;
    }
    *ret = operands;
    return true;
}
