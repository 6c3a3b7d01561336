/* SPDX-License-Identifier: Apache-2.0
 * help.c - `dides help`, --help, and the wrapping of their lines. */
#include "cmd/help.h"

#include "base/buffer.h"
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/terminal.h"

#define WIDTH        80
#define HELP_MAX     (64 * 1024)
#define OPTION_START 26 /* column at which the meaning of an option starts */

/* Cuts the next word off: up to a blank that stands in no brackets, which are kept on one line. */
static bool cut_word(struct text *rest, struct text *ret)
{
    size_t depth = 0, at = 0;
    if (rest->size == 0)
        return false;
    for (; at < rest->size && (depth > 0 || rest->data[at] != ' '); at++) {
        depth += rest->data[at] == '[';
        depth -= rest->data[at] == ']' && depth > 0;
    }
    *ret = (struct text){ rest->data, at };
    *rest = text_skip(*rest, at + 1);
    return true;
}

/* Appends `t` word by word; lines after the first start at column `indent`. `at` is the present
 * column. Ends the line. */
static void wrap(struct buffer *out, struct text t, unsigned at, unsigned indent)
{
    struct text word;
    bool is_first = true;
    while (cut_word(&t, &word)) {
        if (!is_first && at + 1 + word.size > WIDTH) {
            buffer_printf(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!is_first) {
            buffer_add_byte(out, ' ');
            at++;
        }
        buffer_add(out, word);
        at += (unsigned)word.size;
        is_first = false;
    }
    buffer_add_byte(out, '\n');
}

static void add_usage(struct buffer *out, const struct command *command)
{
    for (size_t i = 0; command->synopsis[i]; i++) {
        size_t start = out->size;
        buffer_printf(out, "%s dides %s", i == 0 ? "usage:" : "   or:", command->name);
        unsigned at = (unsigned)(out->size - start);
        if (command->synopsis[i][0])
            buffer_add_byte(out, ' ');
        wrap(out, text_from(command->synopsis[i]), at + 1, at + 1);
    }
}

static void add_option(struct buffer *out, const struct option_row *row)
{
    size_t start = out->size;
    cleanup(buffer_release) struct buffer meaning = { 0 };
    buffer_init(&meaning, &memory_heap, HELP_MAX);
    buffer_add(&meaning, text_from(row->meaning));
    if (row->fallback)
        buffer_printf(&meaning, " (default %s)", row->fallback);
    if (row->environment)
        buffer_printf(&meaning, " [%s]", row->environment);

    if (row->letter)
        buffer_printf(out, "  -%c, --%s", row->letter, row->name);
    else
        buffer_printf(out, "      --%s", row->name);
    if (row->argument)
        buffer_printf(out, " %s", row->argument);
    unsigned at = (unsigned)(out->size - start);
    if (at + 2 > OPTION_START) {
        buffer_add_byte(out, '\n');
        at = 0;
    }
    buffer_printf(out, "%*s", (int)(OPTION_START - at), "");
    wrap(out, buffer_text(&meaning), OPTION_START, OPTION_START);
}

static void add_examples(struct buffer *out, const struct command_example *example)
{
    if (!example)
        return;
    buffer_add(out, TEXT("\nExamples:\n"));
    for (; example->line; example++) {
        buffer_printf(out, "  %s\n      ", example->line);
        wrap(out, text_from(example->meaning), 6, 6);
    }
}

void help_print(const struct command *command, FILE *stream)
{
    static const struct option_row help_row = { .name = "help",
                                                .letter = 'h',
                                                .meaning = "print this" };
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, HELP_MAX);
    buffer_printf(&out, "dides %s - %s\n\n", command->name, command->summary);
    add_usage(&out, command);
    for (const char *const *detail = command->details; detail && *detail; detail++) {
        buffer_add_byte(&out, '\n');
        wrap(&out, text_from(*detail), 0, 0);
    }
    buffer_add(&out, TEXT("\nOptions:\n"));
    for (size_t i = 0; i < command->option_count; i++)
        add_option(&out, &command->options[i]);
    add_option(&out, &help_row);
    add_examples(&out, command->examples);
    if (!command->is_hidden)
        buffer_printf(&out, "\nExit codes and more: dides man dides-%s | man -l -\n",
                      command->name);
    terminal_write(stream, &out);
}

void help_print_usage(const struct command *command, FILE *stream)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, HELP_MAX);
    add_usage(&out, command);
    buffer_printf(&out, "       dides help %s says more\n", command->name);
    terminal_write(stream, &out);
}

void help_print_all(FILE *stream)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, HELP_MAX);
    buffer_add(&out, TEXT("dides - a control plane for deployments\n\n"
                          "usage: dides COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n"));
    for (size_t i = 0; i < command_count; i++)
        if (!commands[i]->is_hidden)
            buffer_printf(&out, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    buffer_add(&out, TEXT("\ndides help COMMAND, or dides COMMAND --help, says more about one.\n"));
    terminal_write(stream, &out);
}

/* ---- the command ---------------------------------------------------------------------------- */

static int run(const struct command *command, int argc, char **argv)
{
    struct operands operands;
    int code;
    char nothing;
    if (!options_parse_few(command, argc, argv, 1, &nothing, &operands, &code))
        return code;
    if (operands.count == 0) {
        help_print_all(stdout);
        return EXIT_DONE;
    }
    const struct command *asked = command_find(operands.list[0]);
    const struct command *nearest = asked ? NULL : command_nearest(operands.list[0]);
    if (asked)
        help_print(asked, stdout);
    else if (nearest)
        return wrong_usage(command, "no command is called \"%s\"; did you mean %s?",
                           operands.list[0], nearest->name);
    else
        return wrong_usage(command, "no command is called \"%s\"", operands.list[0]);
    return EXIT_DONE;
}

static const char *const synopsis[] = { "[COMMAND]", NULL };

static const struct operand_row operands[] = { { NULL, "COMMAND" }, { NULL, NULL } };

const struct command help_command = {
    .name = "help",
    .summary = "list the commands, or say more about one",
    .synopsis = synopsis,
    .operands = operands,
    .run = run,
};
