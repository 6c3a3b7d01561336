/* SPDX-License-Identifier: Apache-2.0
 * rollouts.c - `dides rollouts`: the history, newest first. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/list.h"
#include "cmd/options.h"
#include "cmd/record.h"
#include "core/selector.h"

#define SELECTOR_MEMORY (1024 * 1024)

struct rollouts_options {
    struct client_options client;
    const char *selector;
    bool is_active;
    uint64_t limit;
    int64_t timeout_ms;
};

/* The server tells selectors in canonical form; what was typed is brought into it. */
static bool make_canonical(const char *selector, struct buffer *ret, struct err *err)
{
    struct selector parsed;
    struct arena arena;
    arena_init(&arena, &memory_heap, SELECTOR_MEMORY);
    bool good = selector_parse(text_from(selector), NULL, 0, &arena, &parsed, err);
    if (good)
        selector_print(&parsed, ret);
    arena_release(&arena);
    return good && (!ret->failed || err_set(err, ERR_MEMORY, "no memory for the selector"));
}

static bool has_selector(void *ctx, const struct json_node *record)
{
    const struct buffer *wanted = ctx;
    return text_equal(json_get_text(record, "selector", TEXT_NONE), buffer_text(wanted));
}

/* The route of live rollouts has no filters and no pages: there are few. */
static enum exit_code list_active(struct client *client, struct list_view *view,
                                  const char *selector)
{
    cleanup(buffer_release) struct buffer canonical = { 0 };
    struct err err = { 0 };
    buffer_init(&canonical, &memory_heap, LIMIT_SELECTOR);
    if (selector && !make_canonical(selector, &canonical, &err)) {
        remark("%s", err.text);
        return exit_of_err(&err);
    }
    view->path = "/deploy/status";
    view->is_whole = true;
    view->wants = selector ? has_selector : NULL;
    view->ctx = &canonical;
    return list_print(client, view);
}

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
    path_init(&path, "/deploy");
    path_add_parameter(&path, "labels", text_from(options.selector));
    struct list_view view = { .path = buffer_c_string(&path.text),
                              .key = "deployments",
                              .name_key = "id",
                              .things = "rollouts",
                              .columns = rollout_columns,
                              .column_count = rollout_column_count,
                              .add_row = record_add_row,
                              .limit = options.limit };
    return (int)(options.is_active ? list_active(&client, &view, options.selector)
                                   : list_print(&client, &view));
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
