/* SPDX-License-Identifier: Apache-2.0
 * rollout.c - `dides rollout`: one of them, once or until it has ended. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/options.h"
#include "cmd/show.h"

struct rollout_options {
    struct client_options client;
    bool is_watch;
    int64_t timeout_ms;
};

/* The live one, else the newest. */
static enum exit_code choose(struct client *client, const char *operand,
                             char space[static ROLLOUT_ID_SIZE])
{
    if (operand)
        return client_rollout_id(client, operand, space);
    enum exit_code code = client_live_rollout(client, true, space);
    if (code != EXIT_NOT_FOUND)
        return code;
    struct request request = { .method = "GET", .path = "/deploy?limit=1" };
    code = client_ask(client, &request);
    if (code != EXIT_DONE)
        return code;
    struct text id = json_get_text(client->root, "deployments.0.id", TEXT_NONE);
    if (id.size > 0 && id.size < ROLLOUT_ID_SIZE) {
        snprintf(space, ROLLOUT_ID_SIZE, "%.*s", TEXT_ARG(id));
        return EXIT_DONE;
    }
    remark("there is no rollout yet; dides deploy starts one");
    return EXIT_NOT_FOUND;
}

static enum exit_code show_once(struct client *client, const char *id)
{
    cleanup(path_release) struct path path = { 0 };
    path_init(&path, "/deploy");
    path_add_part(&path, text_from(id));
    path_add_parameter(&path, "members", TEXT("failed,in_progress"));
    struct request request = { .method = "GET", .path = buffer_c_string(&path.text) };
    enum exit_code code = client_ask(client, &request);
    return code == EXIT_DONE ? show_record(client, client->root) : code;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct rollout_options options = { .is_watch = false };
    cleanup(client_release) struct client client = { .status = 0 };
    struct operands operands;
    char id[ROLLOUT_ID_SIZE];
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.is_watch ? 0 : options.timeout_ms,
                     &code))
        return code;
    code = (int)choose(&client, operands.count > 0 ? operands.list[0] : NULL, id);
    if (code != EXIT_DONE)
        return code;
    if (options.is_watch)
        return (int)show_until_ended(&client, id, options.timeout_ms, false);
    return (int)show_once(&client, id);
}

static const struct option_row rows[] = {
    { .name = "watch",
      .letter = 'w',
      .kind = OPTION_FLAG,
      .offset = offsetof(struct rollout_options, is_watch),
      .meaning = "go on until it, or its rollback, has ended" },
    { .name = "timeout",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct rollout_options, timeout_ms),
      .argument = "TIME",
      .meaning = "stop watching, or waiting for an answer, after so long" },
    CLIENT_ROWS(struct rollout_options),
};
static const char *const synopsis[] = { "[ID] [--watch [--timeout TIME]]", NULL };
static const char *const details[] = {
    "Shows one rollout; without ID the live one, or, when none is live, the newest. The header "
    "lines tell what it waits for and what limits it, the tables where its members are, and "
    "which of them failed or are being updated.",
    "With --watch the view is drawn anew with every change on a terminal; elsewhere each change is "
    "a line with its time in UTC. A restart of the server is waited for. Ends as the rollout ends.",
    NULL
};
static const struct command_example examples[] = {
    { "dides rollout", "what is going on" },
    { "dides rollout r-42 --watch", "follow one to its end" },
    { NULL, NULL },
};

static const struct operand_row operands[] = { { NULL, "ID" }, { NULL, NULL } };

const struct command rollout_command = {
    .name = "rollout",
    .summary = "show one rollout, or watch it",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "rollouts wait pause rollback",
    .operands = operands,
    .run = run,
};
