/* SPDX-License-Identifier: Apache-2.0
 * commands.h - every sub-command, one row each, and how they are found and run. */
#ifndef DIDES_CMD_COMMANDS_H
#define DIDES_CMD_COMMANDS_H

#include "cmd/command.h"

extern const struct command abort_command, agent_command, backup_command, config_command,
    confirm_command, restore_command, verify_command, demo_command, deploy_command, events_command,
    help_command, instances_command, machine_command, man_command, metrics_command, openapi_command,
    pause_command, plan_command, progress_command, promote_command, resume_command, retry_command,
    rollback_command, complete_command, completion_command, server_command, sim_command,
    rollout_command, rollouts_command, token_command, version_command, wait_command;

/* In the order of the list that help prints. */
extern const struct command *const commands[];
extern const size_t command_count;

const struct command *command_find(const char *name); /* NULL: there is none */
/* The command whose name is nearest to a mistyped one, or NULL. */
const struct command *command_nearest(const char *name);

/* What main() does: finds the command, runs it, and makes sure that its output was written. Returns
 * the exit code. */
int commands_run(int argc, char **argv);

/* The names of the state machines that `dides machine` knows; NULL beyond the last. */
const char *machine_name(size_t index);

#endif
