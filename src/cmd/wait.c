/* SPDX-License-Identifier: Apache-2.0
 * wait.c - `dides wait`: blocks until a rollout has ended, for scripts. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/options.h"
#include "cmd/show.h"

struct wait_options {
    struct client_options client;
    int64_t timeout_ms;
};

static int run(const struct command *command, int argc, char **argv)
{
    struct wait_options options = { .timeout_ms = 0 };
    cleanup(client_release) struct client client = { .status = 0 };
    struct operands operands;
    char id[ROLLOUT_ID_SIZE];
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code))
        return code;
    if (operands.count == 0)
        return wrong_usage(command, "which rollout? dides rollouts lists them");
    if (!client_open(&client, command, &options.client, 0, &code))
        return code;
    code = (int)client_rollout_id(&client, operands.list[0], id);
    return code == EXIT_DONE ? (int)show_until_ended(&client, id, options.timeout_ms, true) : code;
}

static const struct option_row rows[] = {
    { .name = "timeout",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct wait_options, timeout_ms),
      .argument = "TIME",
      .meaning = "stop waiting after so long; without it, wait for ever" },
    CLIENT_ROWS(struct wait_options),
};
static const char *const synopsis[] = { "ID [--timeout TIME]", NULL };
static const char *const details[] = {
    "Waits until the rollout has completed, or has failed and its rollback has ended, and tells by "
    "the exit status which. A paused rollout, and one at a gate that waits for a person, ends the "
    "waiting too.",
    NULL
};
static const struct command_example examples[] = {
    { "dides wait r-42 --timeout 30m && echo released", "go on only after a success" },
    { NULL, NULL },
};

static const struct operand_row operands[] = { { NULL, "LIVE" }, { NULL, NULL } };

const struct command wait_command = {
    .name = "wait",
    .summary = "wait until a rollout has ended",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "deploy rollout",
    .operands = operands,
    .run = run,
};
