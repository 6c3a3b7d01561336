/* SPDX-License-Identifier: Apache-2.0
 * progress.c - `dides progress`: one pass of the reconciliation, now. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/options.h"
#include "cmd/show.h"

struct progress_options {
    struct client_options client;
    int64_t timeout_ms;
};

static enum exit_code show(const struct client *client)
{
    const struct json_node *record = json_member(client->root, "deployment");
    struct text message = json_get_text(client->root, "message", TEXT_NONE);
    if (!output_is_table(client->format) && client->format != OUTPUT_NAME)
        return show_record(client, client->root);
    if (message.size > 0)
        remark_more("%.*s", TEXT_ARG(message));
    if (record && record->kind == JSON_NODE_OBJECT)
        return show_change(client, record);
    return EXIT_DONE;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct progress_options options = { .timeout_ms = 0 };
    cleanup(client_release) struct client client = { .status = 0 };
    cleanup(path_release) struct path path = { .has_query = false };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.timeout_ms, &code))
        return code;
    path_init(&path, "/deploy/progress");
    path_add_parameter(&path, "id", text_from(operands.count > 0 ? operands.list[0] : NULL));
    struct request request = { .method = "POST",
                               .path = buffer_c_string(&path.text),
                               .body = TEXT("{}") };
    code = (int)client_ask(&client, &request);
    return code == EXIT_DONE ? (int)show(&client) : code;
}

static const struct option_row rows[] = {
    CALL_TIMEOUT_ROW(struct progress_options),
    CLIENT_ROWS(struct progress_options),
};
static const char *const synopsis[] = { "[ID]", NULL };
static const char *const details[] = {
    "The server moves rollouts on by itself. This asks it to look once more now, and tells where "
    "the rollout stands: of use with the setting reconcile: manual, in tests, and for learning.",
    NULL
};

static const struct operand_row operands[] = { { NULL, "LIVE" }, { NULL, NULL } };

const struct command progress_command = {
    .name = "progress",
    .summary = "move the live rollout on now, and tell where it stands",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .see_also = "rollout",
    .operands = operands,
    .run = run,
};
