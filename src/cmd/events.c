/* SPDX-License-Identifier: Apache-2.0
 * events.c - `dides events`: what has happened, and what happens. */
#include "base/cleanup.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/event_view.h"
#include "cmd/options.h"
#include "core/change.h"
#include "net/http_client.h"

#define FOLLOW_SILENCE_MS 60000 /* four of the server's comment lines are missing */
#define LIST_SILENCE_MS   2000  /* for a server that does not end the list by itself */
#define RETRY_MS          1000
#define DATA_MAX          (1024 * 1024)
#define WORD_MAX          64

struct events_options {
    struct client_options client;
    const char *after, *types, *deployment, *selector;
    bool is_follow;
    int64_t timeout_ms;
};

/* The event whose lines are coming in. */
struct reading {
    struct client *client;
    bool is_follow;
    char id[WORD_MAX], type[WORD_MAX];
    char last_id[WORD_MAX]; /* of the newest event that was printed */
    struct buffer data, out;
    struct terminal terminal;
    int64_t heard_at_ms;
};

/* ---- printing ------------------------------------------------------------------------------- */

/* Members that the wide line has in a column of its own. */
static const char *const unshown[] = { "time", "type", "index" };

static bool is_shown(struct text key)
{
    for (size_t i = 0; i < sizeof unshown / sizeof unshown[0]; i++)
        if (text_equal(key, text_from(unshown[i])))
            return false;
    return true;
}

static void add_member(struct buffer *line, const struct json_node *member)
{
    if (!is_shown(member->key) || member->kind == JSON_NODE_NULL)
        return;
    buffer_add(line, TEXT("  "));
    buffer_add(line, member->key);
    buffer_add_byte(line, '=');
    if (member->kind == JSON_NODE_TEXT)
        buffer_add(line, member->text);
    else
        document_add_json(line, member, false);
}

static void add_members(struct buffer *line, const struct json_node *event)
{
    for (const struct json_node *member = json_first(event); member; member = member->next)
        add_member(line, member);
}

static void add_line(struct reading *reading, const struct json_node *event)
{
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, DATA_MAX);
    size_t start = reading->out.size;
    buffer_printf(&line, "%.*s  %6s  %-20s", TEXT_ARG(json_get_text(event, "time", TEXT("-"))),
                  reading->id, reading->type);
    if (reading->client->format == OUTPUT_WIDE) {
        add_members(&line, event);
    } else {
        buffer_add(&line, TEXT("  "));
        event_view_add(&line, text_from(reading->type), event);
    }
    terminal_add(&reading->out, buffer_text(&line));
    reading->out.failed = reading->out.failed || line.failed;
    struct text shown = text_skip(buffer_text(&reading->out), start);
    if (reading->terminal.width > 0 && reading->client->format != OUTPUT_WIDE)
        reading->out.size = start + terminal_fit(shown, reading->terminal.width);
    buffer_add_byte(&reading->out, '\n');
}

static void print_event(struct reading *reading)
{
    const struct json_node *event = NULL;
    struct err err = { 0 };
    struct client *client = reading->client;
    arena_clear(&client->arena);
    if (!json_tree_parse(buffer_text(&reading->data), &client->arena, &event, &err)) {
        remark("event %s: %s", reading->id, err.text);
        return;
    }
    if (output_is_table(client->format))
        add_line(reading, event);
    else if (client->format == OUTPUT_NAME)
        buffer_printf(&reading->out, "%s\n", reading->id);
    else if (client->format == OUTPUT_YAML) {
        buffer_add(&reading->out, TEXT("---\n")); /* a stream of documents */
        document_add_yaml(&reading->out, event);
    } else {
        document_add_json(&reading->out, event, false); /* lines: a list has no end to wait for */
        buffer_add_byte(&reading->out, '\n');
    }
    terminal_write(stdout, &reading->out);
    fflush(stdout);
    buffer_clear(&reading->out);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void keep_word(char space[static WORD_MAX], struct text value)
{
    cleanup(buffer_release) struct buffer safe = { 0 };
    buffer_init(&safe, &memory_heap, 4 * DATA_MAX);
    terminal_add(&safe, text_trim(value));
    snprintf(space, WORD_MAX, "%s", buffer_c_string(&safe));
}

static void end_event(struct reading *reading)
{
    if (reading->data.size > 0 && !reading->data.failed) {
        print_event(reading);
        snprintf(reading->last_id, sizeof reading->last_id, "%s", reading->id);
    }
    buffer_clear(&reading->data);
    reading->type[0] = '\0';
}

static bool on_line(void *ctx, struct text line)
{
    struct reading *reading = ctx;
    reading->heard_at_ms = steady_now_ms();
    if (line.size == 0)
        end_event(reading);
    else if (text_starts_with(line, TEXT("id:")))
        keep_word(reading->id, text_skip(line, 3));
    else if (text_starts_with(line, TEXT("event:")))
        keep_word(reading->type, text_skip(line, 6));
    else if (text_starts_with(line, TEXT("data:")))
        buffer_add(&reading->data, text_trim(text_skip(line, 5)));
    return !ferror(stdout);
}

/* One stream, to its end. EXIT_DONE: it ended as it should; EXIT_UNAVAILABLE: worth another try. */
static enum exit_code read_stream(struct reading *reading, const struct events_options *options)
{
    cleanup(path_release) struct path path = { 0 };
    struct client *client = reading->client;
    int64_t silence_ms = options->is_follow ? FOLLOW_SILENCE_MS : LIST_SILENCE_MS;
    const char *after = reading->last_id[0] ? reading->last_id : options->after;
    path_init(&path, "/events");
    path_add_parameter(&path, "follow", options->is_follow ? TEXT_NONE : TEXT("false"));
    path_add_parameter(&path, "after", text_from(after ? after : options->is_follow ? NULL : "0"));
    path_add_parameter(&path, "types", text_from(options->types));
    path_add_parameter(&path, "deployment", text_from(options->deployment));
    path_add_parameter(&path, "labels", text_from(options->selector));
    struct http_stream_call call = { .path = buffer_text(&path.text),
                                     .bearer = client->bearer,
                                     .last_event_id = text_from(reading->last_id),
                                     .silence_ms = silence_ms };
    reading->heard_at_ms = 0;
    buffer_clear(&reading->data);
    client->status = 0;
    client->root = NULL;
    client->err = (struct err){ 0 };
    if (!http_stream_lines(client->server, &call, on_line, reading, &client->body, &client->status,
                           &client->err)) {
        bool was_silent =
            reading->heard_at_ms > 0 && steady_now_ms() - reading->heard_at_ms >= silence_ms;
        return !options->is_follow && was_silent ? EXIT_DONE : exit_of_err(&client->err);
    }
    if (client->status >= 200 && client->status <= 299)
        return EXIT_DONE;
    arena_clear(&client->arena);
    if (!json_tree_parse(buffer_text(&client->body), &client->arena, &client->root, &client->err))
        client->root = NULL;
    return exit_of_status(client->status, json_get_text(client->root, "code", TEXT_NONE));
}

/* Streams one after the other until one is refused. The first must come about: a wrong address is
 * not waited for. */
static enum exit_code follow(struct reading *reading, const struct events_options *options)
{
    bool is_lost = false;
    for (bool is_first = true;; is_first = false) {
        enum exit_code code = read_stream(reading, options);
        bool has_heard = reading->heard_at_ms > 0;
        if (ferror(stdout))
            return EXIT_OTHER;
        if ((code != EXIT_DONE && code != EXIT_UNAVAILABLE) ||
            (is_first && code != EXIT_DONE && !has_heard)) {
            client_complain(reading->client);
            return code;
        }
        if (has_heard || !is_lost)
            remark("the stream of events ended; following on%s%s",
                   reading->last_id[0] ? " after event " : "", reading->last_id);
        is_lost = true;
        sleep_ms(RETRY_MS);
    }
}

static enum exit_code list(struct reading *reading, const struct events_options *options)
{
    enum exit_code code = read_stream(reading, options);
    int64_t oldest = json_get_i64(reading->client->root, "oldest", 0);
    if (reading->client->status == 410 && !options->after && oldest > 0) {
        /* Everything from the start was asked for, and the start is no longer kept. */
        struct events_options from_oldest = *options;
        char after[32];
        snprintf(after, sizeof after, "%lld", (long long)oldest - 1);
        from_oldest.after = after;
        code = read_stream(reading, &from_oldest);
    }
    if (code != EXIT_DONE)
        client_complain(reading->client);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int run(const struct command *command, int argc, char **argv)
{
    struct events_options options = { .after = NULL };
    cleanup(client_release) struct client client = { .status = 0 };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code) ||
        !client_open(&client, command, &options.client, 0, &code))
        return code;
    struct reading reading = { .client = &client,
                               .is_follow = options.is_follow,
                               .terminal = terminal_of(stdout) };
    buffer_init(&reading.data, &memory_heap, DATA_MAX);
    buffer_init(&reading.out, &memory_heap, 4 * DATA_MAX);
    code = (int)(options.is_follow ? follow(&reading, &options) : list(&reading, &options));
    buffer_release(&reading.data);
    buffer_release(&reading.out);
    return code;
}

#define CHANGE_CHOICE(id, word, meaning) word " "

static const struct option_row rows[] = {
    { .name = "follow",
      .letter = 'f',
      .kind = OPTION_FLAG,
      .offset = offsetof(struct events_options, is_follow),
      .meaning = "go on with what happens from now on, until interrupted" },
    { .name = "after",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct events_options, after),
      .argument = "N",
      .meaning = "only events after this index; 0 stands for all that are kept" },
    { .name = "types",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct events_options, types),
      .argument = "LIST",
      .meaning = "only these, apart by commas, as in member.failed,rollout.completed",
      .choices = CHANGES(CHANGE_CHOICE) },
    { .name = "deployment",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct events_options, deployment),
      .argument = "ID",
      .meaning = "only those of this rollout" },
    { .name = "selector",
      .letter = 'l',
      .kind = OPTION_TEXT,
      .offset = offsetof(struct events_options, selector),
      .argument = "SEL",
      .meaning = "only those about instances that matched then, and rollouts with this selector" },
    CLIENT_ROWS(struct events_options),
};
static const char *const synopsis[] = {
    "[--follow] [--after N] [--types LIST] [--deployment ID] [-l SEL]", NULL
};
static const char *const details[] = {
    "Prints events, oldest first: those that are kept, or with --follow those to come. Every "
    "change "
    "of state is one event; its index never changes, so --after goes on where another call ended. "
    "A lost connection is followed by another that misses nothing.",
    "-l judges an instance by the labels that it had before the change or after it, and a rollout "
    "by "
    "its own selector, which must be the same, whatever its spelling; what is about neither "
    "passes.",
    "A line is the time, the index, the type and a sentence: what became of whom, the message of "
    "the report, and in quotes the reason of the operator who did it. With -o wide it is all that "
    "the event holds, with the values before and after as JSON. In JSON an event is one line.",
    NULL
};
static const struct command_example examples[] = {
    { "dides events --follow", "every change, as it happens" },
    { "dides events --deployment r-42 --types member.failed", "what failed in one rollout" },
    { "dides events -l env=prod --follow", "what becomes of the instances of production" },
    { NULL, NULL },
};

const struct command events_command = {
    .name = "events",
    .summary = "print what has happened, or follow what happens",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "rollout",
    .run = run,
};
