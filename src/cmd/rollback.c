/* SPDX-License-Identifier: Apache-2.0
 * rollback.c - `dides rollback`: back to what ran before. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/options.h"
#include "cmd/show.h"
#include "wire/json_write.h"

struct rollback_options {
    struct client_options client;
    const char *selector, *reason;
    bool is_sure, is_wait;
    int64_t timeout_ms;
};

static void add_body(struct buffer *body, const char *id, const struct rollback_options *options)
{
    struct json_writer w;
    json_writer_init(&w, body);
    json_begin_object(&w);
    if (id)
        json_put_text(&w, "id", text_from(id));
    if (options->selector)
        json_put_text(&w, "selector", text_from(options->selector));
    if (options->reason)
        json_put_text(&w, "reason", text_from(options->reason));
    json_end_object(&w);
}

/* The answer of POST /deploy and /deploy/rollback: its id and record. */
static enum exit_code finish(struct client *client, const struct rollback_options *options)
{
    char id[ROLLOUT_ID_SIZE];
    struct text given = json_get_text(client->root, "id", TEXT_NONE);
    if (!options->is_wait)
        return show_change(client, json_member(client->root, "deployment"));
    snprintf(id, sizeof id, "%.*s", TEXT_ARG(given));
    return show_until_ended(client, id, options->timeout_ms, true);
}

static enum exit_code start(struct client *client, const char *id,
                            const struct rollback_options *options)
{
    cleanup(buffer_release) struct buffer body = { 0 };
    buffer_init(&body, &memory_heap, LIMIT_BODY);
    add_body(&body, id, options);
    if (body.failed) {
        remark("selector and reason are too long");
        return EXIT_USAGE;
    }
    struct request request = { .method = "POST",
                               .path = "/deploy/rollback",
                               .body = buffer_text(&body) };
    enum exit_code code = client_ask(client, &request);
    return code == EXIT_DONE ? finish(client, options) : code;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct rollback_options options = { .selector = NULL };
    cleanup(client_release) struct client client = { .status = 0 };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.is_wait ? 0 : options.timeout_ms,
                     &code))
        return code;
    const char *id = operands.count > 0 ? operands.list[0] : NULL;
    const char *what = id ? id : options.selector ? options.selector : "the newest rollout";
    if (!confirm(options.is_sure, "Roll back %s?", what))
        return EXIT_OTHER;
    return (int)start(&client, id, &options);
}

static const struct option_row rows[] = {
    { .name = "selector",
      .letter = 'l',
      .kind = OPTION_TEXT,
      .offset = offsetof(struct rollback_options, selector),
      .argument = "SEL",
      .meaning = "undo the newest rollout with this selector" },
    { .name = "reason",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct rollback_options, reason),
      .argument = "TEXT",
      .meaning = "why; kept in the record of events" },
    { .name = "yes",
      .letter = 'y',
      .kind = OPTION_FLAG,
      .offset = offsetof(struct rollback_options, is_sure),
      .meaning = "do not ask, also on a terminal" },
    { .name = "wait",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct rollback_options, is_wait),
      .meaning = "wait until the rollback has ended" },
    { .name = "timeout",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct rollback_options, timeout_ms),
      .argument = "TIME",
      .meaning = "stop waiting after so long; without --wait, of the request" },
    CLIENT_ROWS(struct rollback_options),
};
static const char *const synopsis[] = {
    "[ID] [-l SEL] [--reason TEXT] [-y] [--wait [--timeout TIME]]", NULL
};
static const char *const details[] = {
    "Starts a rollout that undoes another one: ID, or the live one, or the newest that has ended. "
    "Each instance that it changed goes back to what it ran before; others are not touched. Done "
    "twice, it goes back two versions.",
    "It goes as carefully as the rollout that it undoes: by the same batch size, failure domains, "
    "floor, deadlines and min_healthy_time, through its waves in reverse. It does not stop for "
    "their soaks and gates; by the HTTP API, \"fast\": false makes it do so, and a configuration "
    "of "
    "its own replaces the limits.",
    NULL
};
static const struct command_example examples[] = {
    { "dides rollback --reason 'p99 doubled' --wait", "undo the newest rollout and wait" },
    { "dides rollback r-42 -y", "undo this one, without being asked" },
    { NULL, NULL },
};

static const struct operand_row operands[] = { { NULL, "ID" }, { NULL, NULL } };

const struct command rollback_command = {
    .name = "rollback",
    .summary = "undo a rollout: back to what ran before",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "deploy abort rollout wait",
    .operands = operands,
    .run = run,
};
