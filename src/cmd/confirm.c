/* SPDX-License-Identifier: Apache-2.0
 * confirm.c - `dides confirm`: go on from the database as it is, although an agent knows more. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/options.h"
#include "cmd/show.h"

struct confirm_options {
    struct client_options client;
    int64_t timeout_ms;
    bool is_sure;
};

static enum exit_code show(const struct client *client)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, LIMIT_BODY);
    if (output_is_table(client->format))
        buffer_printf(&out, "confirmed: orders count from here, under term %lld\n",
                      (long long)json_get_i64(client->root, "term", 0));
    else
        document_add_one(&out, client->format, client->root, "term");
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct confirm_options options = { .timeout_ms = 0 };
    cleanup(client_release) struct client client = { .status = 0 };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.timeout_ms, &code))
        return code;
    if (!confirm(options.is_sure, "Go on from this database? What happened after it was copied is "
                                  "lost to the server."))
        return EXIT_OTHER;
    code = (int)client_ask(
        &client, &(struct request){ .method = "POST", .path = "/confirm", .body = TEXT("{}") });
    return code == EXIT_DONE ? (int)show(&client) : code;
}

static const struct option_row rows[] = {
    { .name = "yes",
      .letter = 'y',
      .kind = OPTION_FLAG,
      .offset = offsetof(struct confirm_options, is_sure),
      .meaning = "ask nothing" },
    CALL_TIMEOUT_ROW(struct confirm_options),
    CLIENT_ROWS(struct confirm_options),
};
static const char *const synopsis[] = { "[-y]", NULL };
static const char *const details[] = {
    "A server that learns from an agent of an order which it never gave runs on an old copy of its "
    "database that was put in place by hand, and picks nothing any more: dides_held in its metrics "
    "is 1, and its log names the agent. Stop it and restore the right backup, or confirm that this "
    "copy is the one to go on from.",
    "The term rises above all that agents have seen, so that they take new orders for newer.", NULL
};

const struct command confirm_command = {
    .name = "confirm",
    .summary = "go on from an old copy of the database",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .see_also = "restore",
    .run = run,
};
