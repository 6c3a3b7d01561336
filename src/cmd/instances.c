/* SPDX-License-Identifier: Apache-2.0
 * instances.c - `dides instances`: list, show, remove. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/list.h"
#include "cmd/options.h"
#include "cmd/record.h"

#define VIEW_MAX (1024 * 1024)

struct instances_options {
    struct client_options client;
    const char *selector, *status;
    uint64_t limit;
    int64_t timeout_ms;
};

/* ---- list ----------------------------------------------------------------------------------- */

static const struct table_column columns[] = {
    { .title = "NAME" },
    { .title = "STATUS" },
    { .title = "ONLINE" },
    { .title = "RUNS" },
    { .title = "WISH" },
    { .title = "UPDATE" },
    { .title = "ROLLOUT" },
    { .title = "SEEN", .is_right = true },
    { .title = "IP", .is_only_wide = true },
    { .title = "LABELS", .is_only_wide = true },
    { .title = "ATTEMPT", .is_right = true, .is_only_wide = true },
    { .title = "MESSAGE", .is_only_wide = true },
};

static void add_labels(struct buffer *out, const struct json_node *labels)
{
    for (const struct json_node *label = json_first(labels); label; label = label->next)
        buffer_printf(out, "%s%.*s=%.*s", label == labels->first ? "" : ",", TEXT_ARG(label->key),
                      TEXT_ARG(json_get_text(label, "", TEXT_NONE)));
}

/* A cell whose text is made by `text`, which is emptied after it. */
static void add_cell(struct table *table, struct buffer *text)
{
    table_cell(table, buffer_text(text));
    buffer_clear(text);
}

static void add_row(struct table *table, const struct json_node *instance, int64_t now_ms)
{
    struct text status = json_get_text(instance, "status_name", TEXT_NONE);
    struct text name = json_get_text(instance, "name", TEXT_NONE);
    struct text ip = json_get_text(instance, "ip", TEXT_NONE);
    bool is_online = json_get_bool(instance, "online", true);
    int64_t seen_ms = json_get_time(instance, "last_seen", 0);
    cleanup(buffer_release) struct buffer text = { 0 };
    buffer_init(&text, &memory_heap, VIEW_MAX);
    table_cell(table, name.size > 0 ? name : ip);
    table_cell_tinted(table, status, tint_of(status));
    table_cell_tinted(table, is_online ? TEXT("online") : TEXT("offline"),
                      is_online ? TINT_NONE : TINT_BAD);
    add_version(&text, json_member(instance, "current_state"));
    add_cell(table, &text);
    add_version(&text, json_member(instance, "desired_state"));
    add_cell(table, &text);
    table_cell(table, json_get_text(instance, "update_state", TEXT_NONE));
    table_cell(table, json_get_text(instance, "deployment_id", TEXT_NONE));
    if (seen_ms > 0)
        add_age(&text, now_ms - seen_ms);
    add_cell(table, &text);
    table_cell(table, ip);
    add_labels(&text, json_member(instance, "labels"));
    add_cell(table, &text);
    table_cell_printf(table, "%lld", (long long)json_get_i64(instance, "attempt", 0));
    table_cell(table, json_get_text(instance, "message", TEXT_NONE));
}

static enum exit_code list(struct client *client, const struct instances_options *options)
{
    cleanup(path_release) struct path path = { 0 };
    path_init(&path, "/inventory/instances");
    path_add_parameter(&path, "labels", text_from(options->selector));
    path_add_parameter(&path, "status", text_from(options->status));
    struct list_view view = { .path = buffer_c_string(&path.text),
                              .key = "instances",
                              .name_key = "name",
                              .things = "instances",
                              .columns = columns,
                              .column_count = sizeof columns / sizeof columns[0],
                              .add_row = add_row,
                              .limit = options->limit };
    return list_print(client, &view);
}

/* ---- show ----------------------------------------------------------------------------------- */

/* Every member on a line of its own: what people cannot read, they can at least see. */
static void add_view(struct buffer *out, const struct json_node *instance)
{
    for (const struct json_node *member = json_first(instance); member; member = member->next) {
        cleanup(buffer_release) struct buffer value = { 0 };
        buffer_init(&value, &memory_heap, VIEW_MAX);
        if (text_equal(member->key, TEXT("labels")))
            add_labels(&value, member);
        else if (member->kind == JSON_NODE_OBJECT)
            add_version(&value, member);
        else if (member->kind == JSON_NODE_TEXT)
            buffer_add(&value, member->text);
        else if (member->kind != JSON_NODE_NULL)
            document_add_json(&value, member, false);
        int pad = member->key.size < 15 ? 15 - (int)member->key.size : 0;
        terminal_add(out, member->key);
        buffer_printf(out, "%*s ", pad, "");
        terminal_add(out, value.size > 0 ? buffer_text(&value) : TEXT("-"));
        buffer_add_byte(out, '\n');
    }
}

static enum exit_code show(struct client *client, const char *name)
{
    cleanup(path_release) struct path path = { 0 };
    cleanup(buffer_release) struct buffer out = { 0 };
    path_init(&path, "/inventory/instances");
    path_add_part(&path, text_from(name));
    buffer_init(&out, &memory_heap, VIEW_MAX);
    struct request request = { .method = "GET", .path = buffer_c_string(&path.text) };
    enum exit_code code = client_ask(client, &request);
    if (code != EXIT_DONE)
        return code;
    if (output_is_table(client->format))
        add_view(&out, client->root);
    else
        document_add_one(&out, client->format, client->root, "name");
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

/* ---- remove --------------------------------------------------------------------------------- */

static enum exit_code delete_one(struct client *client, const char *name)
{
    cleanup(path_release) struct path path = { 0 };
    path_init(&path, "/inventory/instances");
    path_add_part(&path, text_from(name));
    struct request request = { .method = "DELETE", .path = buffer_c_string(&path.text) };
    enum exit_code code = client_ask(client, &request);
    if (code == EXIT_DONE)
        remark_more("removed %s", name);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int act(const struct command *command, struct client *client,
               const struct instances_options *options, const struct operands *operands)
{
    const char *first = operands->count > 0 ? operands->list[0] : NULL;
    bool has_filter = options->selector || options->status;
    if (!first)
        return (int)list(client, options);
    if (has_filter)
        return wrong_usage(command, "a name and a filter do not go together");
    if (operands->count == 2 && strcmp(first, "rm") == 0)
        return (int)delete_one(client, operands->list[1]);
    if (operands->count == 2)
        return wrong_usage(command, "one name at a time");
    if (strcmp(first, "rm") == 0)
        return wrong_usage(command, "rm needs the name of an instance");
    return (int)show(client, first);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct instances_options options = { .selector = NULL };
    cleanup(client_release) struct client client = { .status = 0 };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 2, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, options.timeout_ms, &code))
        return code;
    return act(command, &client, &options, &operands);
}

static const struct option_row rows[] = {
    { .name = "selector",
      .letter = 'l',
      .kind = OPTION_TEXT,
      .offset = offsetof(struct instances_options, selector),
      .argument = "SEL",
      .meaning = "only those that match, as in env=prod,zone in (a,b),!canary" },
    { .name = "status",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct instances_options, status),
      .argument = "S",
      .meaning = "only those of this status: unknown, healthy, degraded or failed",
      .choices = "unknown healthy degraded failed" },
    LIST_LIMIT_ROW(struct instances_options),
    CALL_TIMEOUT_ROW(struct instances_options),
    CLIENT_ROWS(struct instances_options),
};
static const char *const synopsis[] = { "[-l SEL] [--status S] [--limit N]", "NAME", "rm NAME",
                                        NULL };
static const char *const details[] = {
    "Lists instances by name, shows one, or removes one from the inventory. Removing does not stop "
    "the machine: if its agent still runs, it registers again.",
    NULL
};
static const struct command_example examples[] = {
    { "dides instances -l env=prod --status failed", "what is broken in production" },
    { "dides instances web-01 -o yaml", "everything known about one instance" },
    { NULL, NULL },
};

static const struct operand_row operands[] = { { NULL, "rm INSTANCE" },
                                               { "rm", "INSTANCE" },
                                               { NULL, NULL } };

const struct command instances_command = {
    .name = "instances",
    .summary = "list instances, show one, or remove one",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "deploy rollouts",
    .operands = operands,
    .run = run,
};
