/* SPDX-License-Identifier: Apache-2.0
 * command_table.c - the list of all commands, and dispatch over it. */
#include "cmd/commands.h"

#include "cmd/exit_code.h"
#include "cmd/help.h"
#include "cmd/options.h"
#include "cmd/terminal.h"

#include <errno.h>

const struct command *const commands[] = {
    &demo_command,       &server_command,  &agent_command,   &sim_command,
    &instances_command,  &plan_command,    &deploy_command,  &rollouts_command,
    &rollout_command,    &wait_command,    &pause_command,   &resume_command,
    &promote_command,    &abort_command,   &retry_command,   &rollback_command,
    &progress_command,   &events_command,  &backup_command,  &restore_command,
    &verify_command,     &confirm_command, &machine_command, &openapi_command,
    &metrics_command,    &config_command,  &token_command,   &version_command,
    &completion_command, &help_command,    &man_command,     &complete_command,
};
const size_t command_count = sizeof commands / sizeof commands[0];

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const struct command *command_nearest(const char *name)
{
    const struct command *best = NULL;
    unsigned best_distance = NAME_DISTANCE_MAX + 1;
    for (size_t i = 0; i < command_count; i++) {
        unsigned distance =
            commands[i]->is_hidden ? best_distance : name_distance(name, commands[i]->name);
        if (distance < best_distance) {
            best = commands[i];
            best_distance = distance;
        }
    }
    return best;
}

static int unknown_command(const char *name)
{
    const struct command *nearest = command_nearest(name);
    if (nearest)
        remark("no command is called \"%s\"; did you mean %s?", name, nearest->name);
    else
        remark("no command is called \"%s\"; dides help lists them", name);
    return EXIT_USAGE;
}

static int dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (name[0] == '\0') {
        help_print_all(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    const struct command *command = command_find(name);
    return command ? command->run(command, argc - 1, argv + 1) : unknown_command(name);
}

int commands_run(int argc, char **argv)
{
    int code = dispatch(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    remark("cannot write the output: %s", strerror(errno));
    return code == EXIT_DONE ? EXIT_OTHER : code;
}
