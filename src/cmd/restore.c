/* SPDX-License-Identifier: Apache-2.0
 * restore.c - `dides restore`: a backup becomes the database of a stopped server. */
#include "cmd/commands.h"
#include "cmd/facts.h"
#include "cmd/options.h"
#include "cmd/terminal.h"

struct restore_options {
    const char *data, *output;
    bool replaces;
};

static void tell_rest(const struct store_sqlite_restored *restored)
{
    if (restored->kept[0] != '\0')
        remark_more("the database that was there is kept as %s", restored->kept);
    if (restored->kept_is_unreadable)
        remark_more("it could not be read: if it had a term above %llu, agents that obeyed it will "
                    "make the server wait for dides confirm",
                    (unsigned long long)restored->facts.term - 1);
}

static int restore(const struct restore_options *options, const char *file,
                   enum output_format format)
{
    struct store_sqlite_restored restored;
    struct err err = { 0 };
    if (store_sqlite_restore(options->data, file, options->replaces, &restored, &err)) {
        tell_rest(&restored);
        return (int)facts_print(format, options->data, &restored.facts);
    }
    return (int)facts_complain("restore", &err);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct restore_options options = { .data = NULL };
    struct operands operands;
    enum output_format format;
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code))
        return code;
    if (operands.count < 1)
        return wrong_usage(command, "the backup to restore is missing");
    if (!output_format_parse(text_from(options.output), &format))
        return wrong_usage(command, "--output: \"%s\" is no output format", options.output);
    return restore(&options, operands.list[0], format);
}

static const struct option_row rows[] = {
    { .name = "data",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct restore_options, data),
      .argument = "DIR",
      .meaning = "folder of the database; made when it is missing",
      .fallback = "dides-data",
      .environment = "DIDES_DATA" },
    { .name = "force",
      .letter = 'f',
      .kind = OPTION_FLAG,
      .offset = offsetof(struct restore_options, replaces),
      .meaning = "replace a database that is there; it is kept beside the new one" },
    FACTS_OUTPUT_ROW(struct restore_options),
};
static const char *const synopsis[] = { "[--data DIR] [--force] FILE", NULL };
static const char *const details[] = {
    "Checks the whole backup, copies it into the folder of a stopped server, and raises its term "
    "above that of the backup and of the database that was there. Agents take orders of a higher "
    "term for newer, so they obey the restored server although they may have seen later orders of "
    "the old one.",
    "If it is killed, the next start of the server finds the old database or the restored one, "
    "never something between.",
    "A copy of the database that was put in place by hand has no new term. When an agent reports "
    "an order that such a server never gave, it picks nothing any more until dides confirm.",
    NULL
};
static const struct command_example examples[] = {
    { "dides restore --data /var/lib/dides --force /var/backups/dides-2026-11-20.db",
      "Go back to that day" },
    { NULL, NULL },
};
static const struct operand_row operand_rows[] = { { NULL, "FILE" }, { NULL, NULL } };

const struct command restore_command = {
    .name = "restore",
    .summary = "put a backup in place of a stopped server's database",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .operands = operand_rows,
    .examples = examples,
    .see_also = "backup verify confirm server",
    .run = run,
};
