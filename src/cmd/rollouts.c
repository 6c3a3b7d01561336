/* SPDX-License-Identifier: Apache-2.0
 * rollouts.c - `dides rollouts`: the history, newest first. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/list.h"
#include "cmd/options.h"
#include "cmd/record.h"

struct rollouts_options {
    struct client_options client;
    const char *selector;
    bool is_active;
    uint64_t limit;
    int64_t timeout_ms;
};

static int run(const struct command *command, int argc, char **argv)
{
    struct rollouts_options options = { .selector = NULL };
    cleanup(client_release) struct client client = { .status = 0 };
    cleanup(path_release) struct path path = { .has_query = false };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.timeout_ms, &code))
        return code;
    path_init(&path, options.is_active ? "/deploy/status" : "/deploy");
    path_add_parameter(&path, "labels", text_from(options.selector));
    struct list_view view = { .path = buffer_c_string(&path.text),
                              .key = "deployments",
                              .name_key = "id",
                              .things = "rollouts",
                              .columns = rollout_columns,
                              .column_count = rollout_column_count,
                              .add_row = record_add_row,
                              .limit = options.limit };
    return list_print(&client, &view);
}

static const struct option_row rows[] = {
    { .name = "selector",
      .letter = 'l',
      .kind = OPTION_TEXT,
      .offset = offsetof(struct rollouts_options, selector),
      .argument = "SEL",
      .meaning = "only those with this selector" },
    { .name = "active",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct rollouts_options, is_active),
      .meaning = "only those that have not ended" },
    LIST_LIMIT_ROW(struct rollouts_options),
    CALL_TIMEOUT_ROW(struct rollouts_options),
    CLIENT_ROWS(struct rollouts_options),
};
static const char *const synopsis[] = { "[-l SEL] [--active] [--limit N]", NULL };
static const struct command_example examples[] = {
    { "dides rollouts --limit 10", "the ten newest" },
    { "dides rollouts --active -o name", "the ids of those under way" },
    { NULL, NULL },
};

const struct command rollouts_command = {
    .name = "rollouts",
    .summary = "list rollouts, newest first",
    .synopsis = synopsis,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "rollout deploy rollback",
    .run = run,
};
