/* SPDX-License-Identifier: Apache-2.0
 * man.c - `dides man`: the manual pages, from the same rows as --help. Macros of man(7) only, so
 * that both groff and mandoc read them. */
#include "cmd/man.h"

#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/terminal.h"

/* Of the texts, not of the build: the same source prints the same bytes. */
#define MANUAL_DATE "2026-11-20"
#define PAGE_MAX    (256 * 1024)
#define PREFIX      "dides-"

/* Escapes what roff would read as its own. */
static void add(struct buffer *out, const char *t)
{
    bool starts_line = out->size == 0 || out->data[out->size - 1] == '\n';
    for (; *t; t++) {
        if (starts_line && (*t == '.' || *t == '\''))
            buffer_add(out, TEXT("\\&"));
        starts_line = *t == '\n';
        if (*t == '\\')
            buffer_add(out, TEXT("\\e"));
        else if (*t == '-')
            buffer_add(out, TEXT("\\-"));
        else
            buffer_add_byte(out, *t);
    }
}

/* An argument of a macro: in quotes, quotes doubled. */
static void add_quoted(struct buffer *out, const char *t)
{
    buffer_add_byte(out, '"');
    for (; *t; t++) {
        char one[2] = { *t, '\0' };
        buffer_add(out, *t == '"' ? TEXT("\"") : TEXT_NONE);
        add(out, one);
    }
    buffer_add(out, TEXT("\"\n"));
}

static void add_line(struct buffer *out, const char *t)
{
    add(out, t);
    buffer_add_byte(out, '\n');
}

/* A clause of a table as a sentence. */
static void add_sentence(struct buffer *out, const char *clause)
{
    char first[2] = {
        (char)(clause[0] >= 'a' && clause[0] <= 'z' ? clause[0] - 'a' + 'A' : clause[0]), '\0'
    };
    add(out, first);
    add(out, clause + 1);
    buffer_add(out, TEXT(".\n"));
}

static void add_section(struct buffer *out, const char *title)
{
    buffer_add(out, TEXT(".SH "));
    add_quoted(out, title);
}

static void add_term(struct buffer *out, const char *term)
{
    buffer_add(out, TEXT(".TP\n.B "));
    add_quoted(out, term);
}

static void add_title(struct buffer *out, const char *page)
{
    buffer_add(out, TEXT(".\\\" SPDX-License-Identifier: Apache-2.0\n"
                         ".\\\" Printed by dides man from the table of commands.\n.TH "));
    for (const char *at = page; *at; at++) {
        char one[2] = { (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at), '\0' };
        add(out, one);
    }
    buffer_add(out, TEXT(" 1 " MANUAL_DATE " \"dides " DIDES_VERSION "\" \"dides manual\"\n"));
}

static void add_name(struct buffer *out, const char *page, const char *summary)
{
    add_section(out, "NAME");
    add(out, page);
    buffer_add(out, TEXT(" \\- "));
    add_line(out, summary);
}

static void add_exit_codes(struct buffer *out)
{
    add_section(out, "EXIT STATUS");
    for (size_t i = 0; i < exit_row_count; i++) {
        buffer_printf(out, ".TP\n.B %d\n", (int)exit_rows[i].code);
        add_sentence(out, exit_rows[i].meaning);
    }
}

/* Options with a variable, of one command or, with NULL, of all, each name once. */
static void add_environment(struct buffer *out, const struct command *one)
{
    const char *seen[64];
    size_t seen_count = 0;
    add_section(out, "ENVIRONMENT");
    for (size_t c = 0; c < command_count; c++) {
        const struct command *command = commands[c];
        for (size_t i = 0; i < command->option_count && (!one || one == command); i++) {
            const struct option_row *row = &command->options[i];
            bool is_new = row->environment != NULL && seen_count < 64;
            for (size_t s = 0; s < seen_count && is_new; s++)
                is_new = strcmp(seen[s], row->environment) != 0;
            if (!is_new)
                continue;
            seen[seen_count++] = row->environment;
            add_term(out, row->environment);
            add(out, "Used when --");
            add(out, row->name);
            add(out, " is not given: ");
            add(out, row->meaning);
            buffer_add(out, TEXT(".\n"));
        }
    }
    add_term(out, "NO_COLOR");
    add_line(out, "When set and not empty, no colours are used.");
}

static void add_option(struct buffer *out, const struct option_row *row)
{
    buffer_add(out, TEXT(".TP\n"));
    if (row->letter)
        buffer_printf(out, "\\fB\\-%c\\fR, ", row->letter);
    buffer_add(out, TEXT("\\fB\\-\\-"));
    add(out, row->name);
    buffer_add(out, TEXT("\\fR"));
    if (row->argument) {
        buffer_add(out, TEXT(" \\fI"));
        add(out, row->argument);
        buffer_add(out, TEXT("\\fR"));
    }
    buffer_add_byte(out, '\n');
    add_sentence(out, row->meaning);
    if (row->fallback) {
        buffer_add(out, TEXT("Default: "));
        add(out, row->fallback);
        buffer_add(out, TEXT(".\n"));
    }
}

static void add_examples(struct buffer *out, const struct command_example *example)
{
    if (!example)
        return;
    add_section(out, "EXAMPLES");
    for (; example->line; example++) {
        add_term(out, example->line);
        add_sentence(out, example->meaning);
    }
}

static void add_reference(struct buffer *out, const char *page, bool is_last)
{
    buffer_add(out, TEXT(".BR "));
    add(out, page);
    buffer_printf(out, " (1)%s\n", is_last ? "" : ",");
}

static void add_see_also(struct buffer *out, const struct command *command)
{
    struct text names = text_from(command->see_also), name;
    add_section(out, "SEE ALSO");
    add_reference(out, "dides", names.size == 0);
    while (names.size > 0 && text_cut(&names, ' ', &name)) {
        char page[64];
        snprintf(page, sizeof page, PREFIX "%.*s", TEXT_ARG(name));
        add_reference(out, page, names.data == NULL);
    }
}

void man_add_command(struct buffer *out, const struct command *command)
{
    char page[64];
    snprintf(page, sizeof page, PREFIX "%s", command->name);
    add_title(out, page);
    add_name(out, page, command->summary);
    add_section(out, "SYNOPSIS");
    for (size_t i = 0; command->synopsis[i]; i++) {
        buffer_add(out, text_from(i > 0 ? ".br\n" : ""));
        buffer_printf(out, "\\fBdides %s\\fR%s", command->name, command->synopsis[i][0] ? " " : "");
        add_line(out, command->synopsis[i]);
    }
    add_section(out, "DESCRIPTION");
    add_sentence(out, command->summary);
    for (const char *const *detail = command->details; detail && *detail; detail++) {
        buffer_add(out, TEXT(".PP\n"));
        add_line(out, *detail);
    }
    add_section(out, "OPTIONS");
    for (size_t i = 0; i < command->option_count; i++)
        add_option(out, &command->options[i]);
    buffer_add(out, TEXT(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nPrint help.\n"));
    add_exit_codes(out);
    add_environment(out, command);
    add_examples(out, command->examples);
    add_see_also(out, command);
}

void man_add_program(struct buffer *out)
{
    add_title(out, "dides");
    add_name(out, "dides", "a control plane for deployments");
    add_section(out, "SYNOPSIS");
    buffer_add(out, TEXT("\\fBdides\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... "
                         "[\\fIARGUMENT\\fR]...\n"));
    add_section(out, "DESCRIPTION");
    add_line(out, "dides keeps an inventory of instances, tells them which version to run, moves a "
                  "fleet from one version to the next in batches, stops when too many fail, and "
                  "puts back what each instance ran before.");
    buffer_add(out, TEXT(".PP\n"));
    add_line(out, "Data goes to standard output, remarks and errors to standard error. Colours and "
                  "redrawing are for terminals only. Columns of tables are only ever appended.");
    add_section(out, "COMMANDS");
    for (size_t i = 0; i < command_count; i++) {
        if (commands[i]->is_hidden)
            continue;
        char page[64];
        snprintf(page, sizeof page, PREFIX "%s(1)", commands[i]->name);
        add_term(out, page);
        add_sentence(out, commands[i]->summary);
    }
    add_exit_codes(out);
    add_environment(out, NULL);
    add_section(out, "SEE ALSO");
    const struct command *last = NULL;
    for (size_t i = 0; i < command_count; i++)
        last = commands[i]->is_hidden ? last : commands[i];
    for (size_t i = 0; i < command_count; i++) {
        char page[64];
        snprintf(page, sizeof page, PREFIX "%s", commands[i]->name);
        if (!commands[i]->is_hidden)
            add_reference(out, page, commands[i] == last);
    }
}

/* ---- the command ---------------------------------------------------------------------------- */

struct man_options {
    bool is_list;
};

static void list_pages(struct buffer *out)
{
    buffer_add(out, TEXT("dides  a control plane for deployments\n"));
    for (size_t i = 0; i < command_count; i++)
        if (!commands[i]->is_hidden)
            buffer_printf(out, PREFIX "%s  %s\n", commands[i]->name, commands[i]->summary);
}

static bool add_page(struct buffer *out, const char *page)
{
    const struct command *command = NULL;
    if (strncmp(page, PREFIX, strlen(PREFIX)) == 0)
        command = command_find(page + strlen(PREFIX));
    if (command && !command->is_hidden)
        man_add_command(out, command);
    else if (strcmp(page, "dides") == 0)
        man_add_program(out);
    else
        return false;
    return true;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct man_options options = { .is_list = false };
    struct operands operands;
    int code;
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, PAGE_MAX);
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code))
        return code;
    if (options.is_list)
        list_pages(&out);
    else if (operands.count == 0)
        return wrong_usage(command, "which page? --list names them");
    else if (!add_page(&out, operands.list[0])) {
        remark("there is no page \"%s\"; dides man --list names them", operands.list[0]);
        return EXIT_NOT_FOUND;
    }
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

static const struct option_row rows[] = {
    { .name = "list",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct man_options, is_list),
      .meaning = "list the pages" },
};
static const char *const synopsis[] = { "PAGE", "--list", NULL };
static const char *const details[] = {
    "Prints a manual page as roff. To read one: dides man dides-deploy | man -l -", NULL
};

const struct command man_command = {
    .name = "man",
    .summary = "print a manual page as roff",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .is_hidden = true,
    .run = run,
};
