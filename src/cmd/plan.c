/* SPDX-License-Identifier: Apache-2.0
 * plan.c - `dides plan`: what a deploy with the same flags would do, and the deploy that does only
 * that. */
#include "base/cleanup.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/deploy_body.h"
#include "cmd/options.h"
#include "cmd/plan_view.h"

#include <stdlib.h>

#define SHOW_MAX ((size_t)64 << 20)

struct plan_options {
    struct client_options client;
    struct deploy_request request;
    uint64_t members;
    int64_t timeout_ms;
};

static const struct option_row request_rows[] = { DEPLOY_REQUEST_ROWS(struct plan_options) };

/* ---- the command that goes by the plan ------------------------------------------------------ */

/* As a shell reads it back. */
static void add_word(struct buffer *out, struct text word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=,./:@%";
    bool is_plain = word.size > 0;
    for (size_t i = 0; i < word.size; i++)
        is_plain = is_plain && memchr(plain, word.data[i], sizeof plain - 1);
    if (is_plain) {
        buffer_add(out, word);
        return;
    }
    buffer_add_byte(out, '\'');
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] == '\'')
            buffer_add(out, TEXT("'\\''"));
        else
            buffer_add_byte(out, word.data[i]);
    }
    buffer_add_byte(out, '\'');
}

static void add_option(struct buffer *out, const struct option_row *row, const char *value)
{
    if (row->letter)
        buffer_printf(out, " -%c", row->letter);
    else
        buffer_printf(out, " --%s", row->name);
    if (!value)
        return;
    buffer_add_byte(out, ' ');
    add_word(out, text_from(value));
}

static void add_given(struct buffer *out, const struct option_row *row,
                      const struct plan_options *options)
{
    const char *at = (const char *)options + row->offset;
    const struct option_list *list = (const void *)at;
    const char *const *text = (const void *)at;
    if (row->kind == OPTION_FLAG && *(const bool *)at)
        add_option(out, row, NULL);
    if (row->kind == OPTION_TEXT && *text)
        add_option(out, row, *text);
    for (unsigned i = 0; row->kind == OPTION_LIST && i < list->count; i++)
        add_option(out, row, list->items[i]);
}

/* Only a server that was named on this command line: who takes another one from the environment
 * does so again. */
static bool names_server(const struct plan_options *options, const struct command *command)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_row *row = &command->options[i];
        if (!row->environment || strcmp(row->name, "server") != 0)
            continue;
        const char *otherwise = getenv(row->environment);
        if (!otherwise || !otherwise[0])
            otherwise = row->fallback;
        return strcmp(options->client.server, otherwise) != 0;
    }
    return false;
}

static void add_command(struct buffer *out, const struct plan_options *options,
                        const struct command *command, struct text hash)
{
    buffer_add(out, TEXT("dides deploy"));
    if (names_server(options, command)) {
        buffer_add(out, TEXT(" --server "));
        add_word(out, text_from(options->client.server));
    }
    for (size_t i = 0; i < sizeof request_rows / sizeof request_rows[0]; i++)
        add_given(out, &request_rows[i], options);
    buffer_add(out, TEXT(" --plan "));
    add_word(out, hash);
}

/* ---- running -------------------------------------------------------------------------------- */

/* Cut at no width: it is to be copied. */
static bool print(const struct client *client, const struct plan_options *options,
                  const struct command *command)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    cleanup(buffer_release) struct buffer line = { 0 };
    struct terminal terminal = terminal_of(stdout);
    struct text hash = json_get_text(client->root, "plan_hash", TEXT_NONE);
    buffer_init(&out, &memory_heap, SHOW_MAX);
    buffer_init(&line, &memory_heap, SHOW_MAX);
    if (!output_is_table(client->format)) {
        document_add_one(&out, client->format, client->root, "plan_hash");
        return terminal_write(stdout, &out);
    }
    plan_add(&out, client->root, &terminal, client->format == OUTPUT_WIDE);
    if (plan_has_changes(client->root)) {
        add_command(&line, options, command, hash);
        buffer_add_byte(&out, '\n');
        terminal_add(&out, buffer_text(&line));
        buffer_add_byte(&out, '\n');
    }
    out.failed = out.failed || line.failed;
    return terminal_write(stdout, &out);
}

/* A table shows no members, and what is not shown need not be sent. */
static enum exit_code ask(struct client *client, const struct plan_options *options,
                          struct text body)
{
    char limit[24];
    cleanup(path_release) struct path path = { 0 };
    uint64_t members = client->format == OUTPUT_TABLE ? 1 : options->members;
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)members);
    path_init(&path, "/deploy/plan");
    path_add_parameter(&path, "limit", text_from(limit));
    struct request request = { .method = "POST",
                               .path = buffer_c_string(&path.text),
                               .body = body };
    return client_ask(client, &request);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct plan_options options = { .timeout_ms = 0 };
    cleanup(client_release) struct client client = { .status = 0 };
    cleanup(buffer_release) struct buffer body = { 0 };
    struct operands operands;
    struct err err = { 0 };
    int code;
    buffer_init(&body, &memory_heap, LIMIT_BODY);
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.timeout_ms, &code))
        return code;
    if (!deploy_body_make(&options.request, &body, &err)) {
        if (err.code == ERR_USAGE)
            return wrong_usage(command, "%s", err.text);
        remark("%s", err.text);
        return (int)exit_of_err(&err);
    }
    code = (int)ask(&client, &options, buffer_text(&body));
    if (code != EXIT_DONE)
        return code;
    if (!print(&client, &options, command))
        return EXIT_OTHER;
    return plan_has_changes(client.root) ? EXIT_CHANGES : EXIT_DONE;
}

/* clang-format off */
#define TEXT_ROW(word, member, what, text) { DEPLOY_TEXT_ROW(struct plan_options, word, 0, member, what, text) }

static const struct option_row rows[] = {
    DEPLOY_REQUEST_ROWS(struct plan_options),
    TEXT_ROW("assume-update", update, "TIME", "how long an update takes; without it as in the last completed rollout with the same selector, else a minute"),
    { .name = "assume-fail", .kind = OPTION_LIST, .argument = "SEL:N", .offset = offsetof(struct plan_options, request.failures),
      .meaning = "N in a hundred of these instances fail, as in zone=a:30; may be repeated, the first that matches counts" },
    TEXT_ROW("approve", approve, "TIME", "how long a gate waits for dides promote; without it, not at all"),
    TEXT_ROW("horizon", horizon, "TIME", "how far to look; without it, a day"),
    TEXT_ROW("seed", seed, "N", "another number chooses others of those who may fail"),
    { .name = "members", .kind = OPTION_COUNT, .argument = "N", .offset = offsetof(struct plan_options, members),
      .meaning = "how many members to list, with -o wide and in documents", .fallback = "1000" },
    { .name = "timeout", .kind = OPTION_DURATION, .offset = offsetof(struct plan_options, timeout_ms),
      .argument = "TIME", .meaning = "give up when the server has not answered for so long", .fallback = "90s" },
    CLIENT_ROWS(struct plan_options),
};
/* clang-format on */

static const char *const synopsis[] = {
    "--code V [--config V] (-l SEL | --all) [OPTION]... [--assume-update TIME] "
    "[--assume-fail SEL:N]... [--approve TIME] [--horizon TIME] [--seed N]",
    "-f FILE [OPTION]...", NULL
};
static const char *const details[] = {
    "Tells what dides deploy with the same options would do, and changes nothing: the server plays "
    "the rollout to its end on a copy of the fleet, by the same rules, with the time that updates "
    "take, the failures and the approvals that are assumed. Who is offline stays so.",
    "Shows who needs the update, when each wave begins, is done and has passed its soak and gates, "
    "how many are in flight at most and available at least, what holds it up first, whether it "
    "would stop and why, and what a rollback would go back to. Live rollouts that a deploy would "
    "meet are named; where they may share instances, the plan takes them as aborted.",
    "Ends with the deploy that goes by this plan: with --plan it is refused when the request, the "
    "members (which there are, their labels, versions, status, who is online), or the settings are "
    "not the same any more.",
    NULL
};
static const struct command_example examples[] = {
    { "dides plan --code 2.5.0 -l env=prod --batch 10% --threshold 3", "before a deploy" },
    { "dides plan -f release.yaml --assume-fail zone=a:30", "what if three in ten of zone a fail" },
    { "dides plan -f release.yaml -o name", "the hash alone, for a pipeline" },
    { NULL, NULL },
};

const struct command plan_command = {
    .name = "plan",
    .summary = "tell what a deploy would do, and change nothing",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "deploy rollout instances",
    .run = run,
};
