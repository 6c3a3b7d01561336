/* SPDX-License-Identifier: Apache-2.0
 * verb.c - `dides pause`, `resume`, `promote`, `abort` and `retry`: one body, one row each. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/options.h"
#include "cmd/show.h"
#include "wire/json_write.h"

struct verb_options {
    struct client_options client;
    const char *reason;
    uint64_t if_generation;
    bool is_sure, is_full, is_finish;
    int64_t timeout_ms;
};

static void add_body(struct buffer *body, const struct verb_options *options)
{
    struct json_writer w;
    json_writer_init(&w, body);
    json_begin_object(&w);
    if (options->reason)
        json_put_text(&w, "reason", text_from(options->reason));
    if (options->is_full)
        json_put_bool(&w, "full", true);
    if (options->is_finish)
        json_put_text(&w, "in_flight", TEXT("finish"));
    json_end_object(&w);
}

static enum exit_code send(struct client *client, const char *verb, const char *id,
                           const struct verb_options *options)
{
    cleanup(path_release) struct path path = { 0 };
    cleanup(buffer_release) struct buffer body = { 0 };
    path_init(&path, "/deploy");
    path_add_part(&path, text_from(id));
    path_add_part(&path, text_from(verb));
    buffer_init(&body, &memory_heap, LIMIT_BODY);
    add_body(&body, options);
    if (body.failed) {
        remark("the reason is too long");
        return EXIT_USAGE;
    }
    struct request request = { .method = "POST",
                               .path = buffer_c_string(&path.text),
                               .body = buffer_text(&body),
                               .if_generation = options->if_generation };
    enum exit_code code = client_ask(client, &request);
    return code == EXIT_DONE ? show_change(client, client->root) : code;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct verb_options options = { .reason = NULL };
    cleanup(client_release) struct client client = { .status = 0 };
    struct operands operands;
    char id[ROLLOUT_ID_SIZE];
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.timeout_ms, &code))
        return code;
    code = (int)client_rollout_id(&client, operands.count > 0 ? operands.list[0] : NULL, id);
    if (code != EXIT_DONE)
        return code;
    if (command == &abort_command && !confirm(options.is_sure, "Abort %s?", id))
        return EXIT_OTHER;
    return (int)send(&client, command->name, id, &options);
}

/* clang-format off */
#define VERB_ROWS                                                                               \
    { .name = "reason", .kind = OPTION_TEXT, .offset = offsetof(struct verb_options, reason),   \
      .argument = "TEXT", .meaning = "why; kept in the record of events" },                     \
    { .name = "if-generation", .kind = OPTION_COUNT,                                            \
      .offset = offsetof(struct verb_options, if_generation), .argument = "N",                  \
      .meaning = "only if nobody has decided anything since this generation" },                 \
    CALL_TIMEOUT_ROW(struct verb_options),                                                      \
    CLIENT_ROWS(struct verb_options)

static const struct option_row plain_rows[] = { VERB_ROWS };
static const struct option_row promote_rows[] = {
    { .name = "full", .kind = OPTION_FLAG, .offset = offsetof(struct verb_options, is_full),
      .meaning = "pass all later soaks, gates and holds too" },
    VERB_ROWS
};
static const struct option_row abort_rows[] = {
    { .name = "finish", .kind = OPTION_FLAG, .offset = offsetof(struct verb_options, is_finish),
      .meaning = "let instances that are being updated finish" },
    { .name = "yes", .letter = 'y', .kind = OPTION_FLAG,
      .offset = offsetof(struct verb_options, is_sure),
      .meaning = "do not ask, also on a terminal" },
    VERB_ROWS
};
/* clang-format on */

static const char *const plain_synopsis[] = { "[ID] [--reason TEXT]", NULL };
static const char *const promote_synopsis[] = { "[ID] [--full] [--reason TEXT]", NULL };
static const char *const abort_synopsis[] = { "[ID] [--finish] [-y] [--reason TEXT]", NULL };

#define LIVE_ONE "Without ID it is the rollout that is live."

static const char *const pause_details[] = {
    "No more instances are picked and nothing is decided until it is resumed. Those that are being "
    "updated go on, and are counted. " LIVE_ONE,
    NULL
};
static const char *const resume_details[] = {
    "Goes on with a paused rollout. If too many failures had paused it, those members no longer "
    "count for the threshold. " LIVE_ONE,
    NULL
};
static const char *const promote_details[] = {
    "Passes the soak, gate or hold that the rollout now waits for. " LIVE_ONE, NULL
};
static const char *const abort_details[] = {
    "Nothing more is picked, the rollout ends as failed, and instances that do not run the new "
    "version yet no longer should. Those that run it keep it: use rollback to undo it. " LIVE_ONE,
    NULL
};
static const char *const retry_details[] = {
    "Gives failed members of a live rollout another attempt. Of one that has ended, starts a new "
    "rollout with the same request. " LIVE_ONE,
    NULL
};

static const struct operand_row live_operands[] = { { NULL, "LIVE" }, { NULL, NULL } };

const struct command pause_command = {
    .name = "pause",
    .summary = "pause a rollout",
    .synopsis = plain_synopsis,
    .details = pause_details,
    COMMAND_OPTIONS(plain_rows),
    .see_also = "resume abort rollout",
    .operands = live_operands,
    .run = run,
};

const struct command resume_command = {
    .name = "resume",
    .summary = "go on with a paused rollout",
    .synopsis = plain_synopsis,
    .details = resume_details,
    COMMAND_OPTIONS(plain_rows),
    .see_also = "pause rollout",
    .operands = live_operands,
    .run = run,
};

const struct command promote_command = {
    .name = "promote",
    .summary = "pass the soak, gate or hold that a rollout waits for",
    .synopsis = promote_synopsis,
    .details = promote_details,
    COMMAND_OPTIONS(promote_rows),
    .see_also = "pause rollout",
    .operands = live_operands,
    .run = run,
};

const struct command abort_command = {
    .name = "abort",
    .summary = "end a rollout where it stands",
    .synopsis = abort_synopsis,
    .details = abort_details,
    COMMAND_OPTIONS(abort_rows),
    .see_also = "pause rollback rollout",
    .operands = live_operands,
    .run = run,
};

static const struct operand_row retry_operands[] = { { NULL, "ID" }, { NULL, NULL } };

const struct command retry_command = {
    .name = "retry",
    .summary = "give failed members another attempt",
    .synopsis = plain_synopsis,
    .details = retry_details,
    COMMAND_OPTIONS(plain_rows),
    .see_also = "rollout",
    .operands = retry_operands,
    .run = run,
};
