/* SPDX-License-Identifier: Apache-2.0
 * deploy.c - `dides deploy`: starts a rollout from flags, a file, or both. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/deploy_body.h"
#include "cmd/options.h"
#include "cmd/show.h"

struct deploy_options {
    struct client_options client;
    struct deploy_request request;
    bool is_wait;
    int64_t timeout_ms;
};

static enum exit_code finish(struct client *client, const struct deploy_options *options)
{
    char id[ROLLOUT_ID_SIZE];
    struct text given = json_get_text(client->root, "id", TEXT_NONE);
    if (!options->is_wait)
        return show_change(client, json_member(client->root, "deployment"));
    snprintf(id, sizeof id, "%.*s", TEXT_ARG(given));
    return show_until_ended(client, id, options->timeout_ms, true);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct deploy_options options = { .is_wait = false };
    cleanup(client_release) struct client client = { .status = 0 };
    cleanup(buffer_release) struct buffer body = { 0 };
    struct operands operands;
    struct err err = { 0 };
    int code;
    buffer_init(&body, &memory_heap, LIMIT_BODY);
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.is_wait ? 0 : options.timeout_ms,
                     &code))
        return code;
    if (!deploy_body_make(&options.request, &body, &err)) {
        if (err.code == ERR_USAGE)
            return wrong_usage(command, "%s", err.text);
        remark("%s", err.text);
        return (int)exit_of_err(&err);
    }
    struct request request = { .method = "POST", .path = "/deploy", .body = buffer_text(&body) };
    code = (int)client_ask(&client, &request);
    return code == EXIT_DONE ? (int)finish(&client, &options) : code;
}

/* clang-format off */
static const struct option_row rows[] = {
    DEPLOY_REQUEST_ROWS(struct deploy_options),
    { DEPLOY_TEXT_ROW(struct deploy_options, "plan", 0, plan, "HASH", "only if the plan with this hash still holds; see dides plan") },
    { .name = "wait", .kind = OPTION_FLAG, .offset = offsetof(struct deploy_options, is_wait),
      .meaning = "wait until it, or its rollback, has ended" },
    { .name = "timeout", .kind = OPTION_DURATION, .argument = "TIME",
      .offset = offsetof(struct deploy_options, timeout_ms),
      .meaning = "stop waiting after so long; without --wait, of the request" },
    CLIENT_ROWS(struct deploy_options),
};
/* clang-format on */

static const char *const synopsis[] = {
    "--code V [--config V] (-l SEL | --all) [--batch N] [--threshold N] [--strategy S] [--mode M] "
    "[--on-failure A] [--min-healthy TIME] [--min-available N] [--domain LABEL=N]... "
    "[--reason TEXT] [--plan HASH] [--wait [--timeout TIME]]",
    "--code V (-l SEL | --all) --canary-size N [--soak TIME] [--gate NAME]... [OPTION]...",
    "-f FILE [OPTION]...", NULL
};
static const char *const details[] = {
    "Starts a rollout: the instances that match are told to run the version, a batch at a time. "
    "Each must report that it runs it and is healthy before its slot is free for the next. When "
    "too many fail, everything goes back to what it ran before.",
    "Which instances must be said, by a selector or by --all: a forgotten selector must not mean "
    "everything. Only --config, without --code, changes the configuration version alone.",
    "With a canary a few instances go first. When they are done, --soak lets time pass, and each "
    "--gate waits for dides promote; only then the others follow.",
    "A file has the body of POST /deploy: code_version, configuration_version, labels, selector, "
    "configuration (batch_size, failure_threshold, strategy, waves, domains, ...) and reason. "
    "--gate and --domain replace the lists that it has.",
    NULL
};
static const struct command_example examples[] = {
    { "dides deploy --code 2.5.0 --config c9 -l env=prod,role=web --batch 10% --threshold 3",
      "ten in a hundred at a time, back at the third failure" },
    { "dides deploy --code 2.5.0 -l env=prod --canary-size 5% --soak 10m --gate looks-good",
      "five in a hundred first, the others after ten minutes and dides promote" },
    { "dides deploy -f release.yaml --wait --timeout 1h", "for a pipeline" },
    { NULL, NULL },
};

const struct command deploy_command = {
    .name = "deploy",
    .summary = "bring a set of instances to a version",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "plan rollout wait rollback instances",
    .run = run,
};
