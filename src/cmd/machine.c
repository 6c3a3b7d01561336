/* SPDX-License-Identifier: Apache-2.0
 * machine.c - `dides machine`: the state machines of this binary, as they are compiled in. */
#include "agent/life.h"
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/demo_story.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "core/gate.h"
#include "core/member.h"
#include "core/rollout.h"
#include "core/silence.h"
#include "core/status.h"
#include "core/wave.h"
#include "sim/agent.h"

#define PRINT_MAX ((size_t)4 << 20)

static const struct sm_machine *const machines[] = {
    &instance_machine, &presence_machine, &silence_machine, &member_machine,
    &rollout_machine,  &wave_machine,     &gate_machine,    &uplink_machine,
    &duty_machine,     &link_machine,     &work_machine,    &story_machine,
};
#define MACHINE_COUNT (sizeof machines / sizeof machines[0])

struct machine_options {
    bool as_mermaid, as_dot, as_json, as_table;
};

const char *machine_name(size_t index)
{
    return index < MACHINE_COUNT ? machines[index]->name : NULL;
}

static const struct sm_machine *find(const char *name)
{
    for (size_t i = 0; i < MACHINE_COUNT; i++)
        if (strcmp(machines[i]->name, name) == 0)
            return machines[i];
    return NULL;
}

static void print_piece(void *ctx, const char *text, size_t size)
{
    buffer_add(ctx, (struct text){ text, size });
}

static int list(void)
{
    for (size_t i = 0; i < MACHINE_COUNT; i++)
        printf("%-10s %2u states  %3u rows  %s\n", machines[i]->name, machines[i]->states.count,
               machines[i]->row_count, machines[i]->meaning);
    return EXIT_DONE;
}

static int show(const struct command *command, const char *name,
                const struct machine_options *options)
{
    const struct sm_machine *machine = find(name);
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, PRINT_MAX);
    if (options->as_mermaid + options->as_dot + options->as_json + options->as_table > 1)
        return wrong_usage(command, "one form at a time");
    if (!machine) {
        remark("there is no machine \"%s\"; dides machine list names them", name);
        return EXIT_NOT_FOUND;
    }
    if (options->as_mermaid)
        sm_mermaid(machine, print_piece, &out);
    else if (options->as_dot)
        sm_dot(machine, print_piece, &out);
    else if (options->as_json)
        sm_json(machine, print_piece, &out);
    else
        sm_table(machine, print_piece, &out);
    if (options->as_json)
        buffer_add_byte(&out, '\n');
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

static void print_finding(void *ctx, const struct sm_finding *finding)
{
    static const char *const words[] = { "note", "warning", "error" };
    const char *name = ctx;
    printf("%s: %s: %s (%s)\n", name, words[finding->severity], finding->text, finding->code);
    if (finding->witness[0])
        printf("    after: %s\n", finding->witness);
}

static int check(void)
{
    size_t bad = 0;
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        const struct sm_machine *machine = machines[i];
        char name[SM_WORD_MAX + 1];
        snprintf(name, sizeof name, "%s", machine->name);
        size_t found = sm_check(machine, print_finding, name);
        printf("%s: %u states, %u rows, %zu faults\n", name, machine->states.count,
               machine->row_count, found);
        bad += found;
    }
    return bad == 0 ? EXIT_DONE : EXIT_OTHER;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct machine_options options = { .as_table = false };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 2, &options, &operands, &code))
        return code;
    const char *verb = operands.count > 0 ? operands.list[0] : "";
    if (operands.count == 1 && strcmp(verb, "list") == 0)
        return list();
    if (operands.count == 1 && strcmp(verb, "check") == 0)
        return check();
    if (operands.count == 2 && strcmp(verb, "show") == 0)
        return show(command, operands.list[1], &options);
    return wrong_usage(command, "list, show NAME, or check?");
}

#define FORM_ROW(word, member, text)                                                               \
    {                                                                                              \
        .name = word, .kind = OPTION_FLAG, .offset = offsetof(struct machine_options, member),     \
        .meaning = text                                                                            \
    }

static const struct option_row rows[] = {
    FORM_ROW("table", as_table, "show it as an aligned table, which is the default"),
    FORM_ROW("mermaid", as_mermaid, "show it as a mermaid diagram"),
    FORM_ROW("dot", as_dot, "show it as a Graphviz diagram"),
    FORM_ROW("json", as_json, "show it as JSON"),
};
static const char *const synopsis[] = { "list", "show NAME [--table | --mermaid | --dot | --json]",
                                        "check", NULL };
static const char *const details[] = { "Every life cycle in dides is a table of rows: from, event, "
                                       "guard, to, effects. What is printed "
                                       "is the table that the server follows.",
                                       "check looks for unreachable states, dead ends, shadowed "
                                       "rows and other faults, and ends with 1 "
                                       "when it finds one.",
                                       NULL };
static const struct command_example examples[] = {
    { "dides machine show rollout", "The life of a rollout as a table" },
    { "dides machine show member --dot | dot -Tsvg >member.svg", "A picture of it" },
    { NULL, NULL },
};

static const struct operand_row operands[] = { { NULL, "list show check" },
                                               { "show", "MACHINE" },
                                               { NULL, NULL } };

const struct command machine_command = {
    .name = "machine",
    .summary = "show and check the state machines",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "rollout",
    .operands = operands,
    .run = run,
};
