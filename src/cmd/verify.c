/* SPDX-License-Identifier: Apache-2.0
 * verify.c - `dides verify`: whether a database file is whole and as it was written. */
#include "cmd/commands.h"
#include "cmd/facts.h"
#include "cmd/options.h"

#include <limits.h>
#include <sys/stat.h>

struct verify_options {
    const char *output;
};

/* Of a folder, the database in it. */
static bool find_file(const char *operand, char ret[static PATH_MAX])
{
    struct stat status;
    bool is_folder = stat(operand, &status) == 0 && S_ISDIR(status.st_mode);
    int size = snprintf(ret, PATH_MAX, "%s%s", operand, is_folder ? "/dides.db" : "");
    return size > 0 && size < PATH_MAX;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct verify_options options = { .output = NULL };
    struct operands operands;
    struct store_sqlite_facts facts;
    struct err err = { 0 };
    enum output_format format;
    char file[PATH_MAX];
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code))
        return code;
    if (operands.count < 1 || !find_file(operands.list[0], file))
        return wrong_usage(command, "the file or folder to verify is missing");
    if (!output_format_parse(text_from(options.output), &format))
        return wrong_usage(command, "--output: \"%s\" is no output format", options.output);
    if (store_sqlite_verify(file, &facts, &err))
        return (int)facts_print(format, file, &facts);
    return (int)facts_complain(file, &err);
}

static const struct option_row rows[] = {
    FACTS_OUTPUT_ROW(struct verify_options),
};
static const char *const synopsis[] = { "FILE|DIR", NULL };
static const char *const details[] = {
    "Reads the whole database, a backup or the one in the folder of a server, and checks the sum "
    "of "
    "every row, the chain of the journal, and the digest over all rows. It writes nothing; the "
    "server may be running.",
    "Exit code 0: all of it is as it was written. 1: it is damaged; the message names where. 7: it "
    "is no database of dides. 8: there is no such file.",
    NULL
};
static const struct command_example examples[] = {
    { "dides verify /var/backups/dides-2026-11-20.db", "Before relying on a backup" },
    { NULL, NULL },
};
static const struct operand_row operand_rows[] = { { NULL, "FILE" }, { NULL, NULL } };

const struct command verify_command = {
    .name = "verify",
    .summary = "check a backup, or the database of a server",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .operands = operand_rows,
    .examples = examples,
    .see_also = "backup restore",
    .run = run,
};
