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
#define TEXT_ROW(word, key, member, what, text)                                                 \
    .name = word, .letter = key, .kind = OPTION_TEXT, .argument = what, .meaning = text,        \
    .offset = offsetof(struct deploy_options, request.member)

static const struct option_row rows[] = {
    { TEXT_ROW("code", 0, code, "V", "the code version to run") },
    { TEXT_ROW("config", 0, config, "V", "the configuration version to run; without it, each instance keeps its own") },
    { TEXT_ROW("selector", 'l', selector, "SEL", "which instances, as in env=prod,zone in (a,b)") },
    { .name = "all", .kind = OPTION_FLAG, .offset = offsetof(struct deploy_options, request.is_all),
      .meaning = "the whole fleet" },
    { TEXT_ROW("batch", 0, batch, "N", "how many at a time: a count, or a percentage like 25%") },
    { TEXT_ROW("threshold", 0, threshold, "N", "how many failures end it: a count, or a percentage") },
    { TEXT_ROW("min-available", 0, min_available, "N", "how many stay online, healthy and left alone: a count, or a percentage") },
    { .name = "domain", .kind = OPTION_LIST, .argument = "LABEL=N", .choices = "LABEL", .offset = offsetof(struct deploy_options, request.domains),
      .meaning = "at most N at a time among those with an equal value of the label, as in zone=20%; may be repeated" },
    { TEXT_ROW("strategy", 0, strategy, "S", "how to go about it: rolling, all alike; canary, a few first; waves, as the file says"), .choices = "rolling canary waves" },
    { TEXT_ROW("canary-size", 0, canary_size, "N", "how many go first: a count, or a percentage; makes the strategy canary") },
    { TEXT_ROW("soak", 0, soak, "TIME", "how long to watch them before the others follow") },
    { .name = "gate", .kind = OPTION_LIST, .argument = "NAME", .offset = offsetof(struct deploy_options, request.gates),
      .meaning = "wait for dides promote after the canary; may be repeated" },
    { TEXT_ROW("mode", 0, mode, "M", "when slots are refilled: window, each as it frees; barrier, all when the batch is done"), .choices = "window barrier" },
    { TEXT_ROW("on-failure", 0, on_failure, "A", "what happens at the threshold: rollback, pause or abort"), .choices = "rollback pause abort" },
    { TEXT_ROW("min-healthy", 0, min_healthy, "TIME", "how long an instance must be healthy to count as done") },
    { TEXT_ROW("file", 'f', file, "FILE", "read the request from YAML or JSON, - for standard input; flags win") },
    { TEXT_ROW("plan", 0, plan, "HASH", "only if the plan with this hash still holds") },
    { TEXT_ROW("reason", 0, reason, "TEXT", "why; kept in the record") },
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
    "[--reason TEXT] [--wait [--timeout TIME]]",
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
    .see_also = "rollout wait rollback instances",
    .run = run,
};
