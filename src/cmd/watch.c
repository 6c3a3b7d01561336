/* SPDX-License-Identifier: Apache-2.0
 * watch.c - see watch.h. */
#include "cmd/watch.h"

#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/record.h"
#include "net/http_client.h"

#define LOOK_INTERVAL_MS 200  /* at most five looks a second */
#define SILENCE_MS       5000 /* without an event the record is looked at all the same */
#define RETRY_MIN_MS     250
#define RETRY_MAX_MS     2000
#define EVENT_ID_MAX     64
#define FRAME_MAX        (1024 * 1024)
#define EVENT_BYTES_MAX  (1024 * 1024)

struct watch {
    struct client *client;
    const struct watch_options *options;
    char id[ROLLOUT_ID_SIZE];
    bool is_undo;         /* `id` is the rollback of what was to be watched */
    int64_t deadline_ms;  /* steady; 0: none */
    int64_t looked_at_ms; /* steady */
    bool is_over;
    enum exit_code code; /* once it is over, or why the newest look failed */
    bool is_lost;        /* the server did not answer the newest look */
    int64_t retry_ms;
    unsigned frame_lines;  /* on the terminal now */
    struct buffer summary; /* the newest line that was told */
    char event_id[EVENT_ID_MAX];
    int64_t heard_at_ms;    /* steady: the newest line of the stream */
    int64_t event_time_ms;  /* of the event whose lines are coming in; 0: not said */
    int64_t known_until_ms; /* by the server's clock: older events were seen by the newest look */
    bool has_event;
    bool has_opened; /* something of this stream has come */
    bool is_cut;     /* the stream ended by itself, before its time */
};

/* ---- telling -------------------------------------------------------------------------------- */

static unsigned count_lines(const struct buffer *frame)
{
    unsigned lines = 0;
    for (size_t i = 0; i < frame->size; i++)
        lines += frame->data[i] == '\n';
    return lines;
}

/* Without what does not fit on the screen: a frame that scrolls cannot be drawn over. */
static void cut_lines(struct buffer *frame, unsigned lines_max)
{
    for (size_t i = 0; i < frame->size && lines_max > 0; i++) {
        if (frame->data[i] == '\n' && --lines_max == 0)
            frame->size = i + 1;
    }
}

static void redraw(struct watch *watch, const struct terminal *terminal)
{
    cleanup(buffer_release) struct buffer frame = { 0 };
    buffer_init(&frame, &memory_heap, FRAME_MAX);
    if (watch->frame_lines > 0)
        buffer_printf(&frame, "\033[%uA\r\033[J", watch->frame_lines);
    record_add(&frame, watch->client->root, wall_now_ms(), terminal, watch->options->is_wide);
    if (terminal->height > 1)
        cut_lines(&frame, terminal->height - 1);
    watch->frame_lines = count_lines(&frame);
    terminal_write(watch->options->stream, &frame);
    fflush(watch->options->stream);
}

/* One line, if it says something new. */
static void tell(struct watch *watch)
{
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, FRAME_MAX);
    record_add_summary(&line, watch->client->root);
    if (text_equal(buffer_text(&line), buffer_text(&watch->summary)))
        return;
    buffer_clear(&watch->summary);
    buffer_add(&watch->summary, buffer_text(&line));
    buffer_clear(&line);
    format_time(&line, wall_now_ms());
    buffer_printf(&line, "  %s\n", buffer_c_string(&watch->summary));
    terminal_write(watch->options->stream, &line);
    fflush(watch->options->stream);
}

static void show(struct watch *watch)
{
    struct terminal terminal = terminal_of(watch->options->stream);
    if (terminal.is_live)
        redraw(watch, &terminal);
    else
        tell(watch);
}

/* A remark below the frame: the next frame starts anew. */
__attribute__((format(printf, 2, 3))) static void note(struct watch *watch, const char *format, ...)
{
    char said[512];
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    remark("%s", said);
    watch->frame_lines = 0;
}

/* ---- judging -------------------------------------------------------------------------------- */

/* A gate that waits without end waits for a person. */
static bool waits_for_person(const struct json_node *record)
{
    const struct json_node *waiting = json_at(record, "waiting.0");
    struct text reason = json_get_text(waiting, "reason", TEXT_NONE);
    return text_starts_with(reason, TEXT("gate:")) && json_get_time(waiting, "until", 0) == 0;
}

static void end(struct watch *watch, enum exit_code code)
{
    watch->is_over = true;
    watch->code = code;
}

/* After a failure: on to the rollback, or the end. */
static void judge_failed(struct watch *watch, const struct json_node *record)
{
    struct text undo = json_get_text(record, "rolled_back_by", TEXT_NONE);
    if (watch->is_undo || undo.size == 0 || undo.size >= sizeof watch->id) {
        end(watch, EXIT_NOT_UNDONE);
        return;
    }
    note(watch, "%s failed; following its rollback %.*s", watch->id, TEXT_ARG(undo));
    snprintf(watch->id, sizeof watch->id, "%.*s", TEXT_ARG(undo));
    watch->is_undo = true;
    watch->event_id[0] = '\0';
}

static void judge(struct watch *watch)
{
    const struct json_node *record = watch->client->root;
    struct text state = record_state(record);
    bool is_paused = text_equal(state, TEXT("PAUSED"));
    if (text_equal(state, TEXT("COMPLETED")))
        end(watch, watch->is_undo ? EXIT_UNDONE : EXIT_DONE);
    else if (text_equal(state, TEXT("FAILED")))
        judge_failed(watch, record);
    else if (watch->options->ends_when_stopped && (is_paused || waits_for_person(record)))
        end(watch, EXIT_STOPPED);
}

/* ---- looking -------------------------------------------------------------------------------- */

static int64_t left_ms(const struct watch *watch)
{
    return watch->deadline_ms == 0 ? INT64_MAX : watch->deadline_ms - steady_now_ms();
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum exit_code fetch(struct watch *watch)
{
    cleanup(path_release) struct path path = { 0 };
    int64_t timeout_ms = watch->client->timeout_ms;
    path_init(&path, "/deploy");
    path_add_part(&path, text_from(watch->id));
    path_add_parameter(&path, "members", TEXT("failed,in_progress"));
    int64_t left = left_ms(watch);
    watch->client->timeout_ms = smaller(timeout_ms, left > 1 ? left : 1);
    struct request request = { .method = "GET", .path = buffer_c_string(&path.text) };
    enum exit_code code = client_try(watch->client, &request);
    watch->client->timeout_ms = timeout_ms;
    return code;
}

static void look_failed(struct watch *watch, bool is_first)
{
    if (watch->code == EXIT_UNAVAILABLE && !is_first) {
        if (!watch->is_lost)
            note(watch, "the server does not answer (%s); trying again",
                 watch->client->status == 0 ? watch->client->err.text : "it is not ready");
        watch->is_lost = true;
        return;
    }
    client_complain(watch->client);
    end(watch, watch->code);
}

/* Fetches the record and shows it; ends the watch if that is the end. */
static void look(struct watch *watch)
{
    bool is_first = watch->looked_at_ms == 0;
    int64_t lag_ms = steady_now_ms() - watch->heard_at_ms;
    /* At the least so late it was at the server when this look began. */
    int64_t known_until_ms = watch->event_time_ms > 0 ? watch->event_time_ms + lag_ms : 0;
    watch->code = fetch(watch);
    watch->looked_at_ms = steady_now_ms();
    if (watch->code != EXIT_DONE) {
        look_failed(watch, is_first);
        return;
    }
    watch->known_until_ms = known_until_ms;
    watch->retry_ms = RETRY_MIN_MS;
    if (watch->is_lost)
        note(watch, "the server answers again; following on%s%s",
             watch->event_id[0] ? " after event " : "", watch->event_id);
    else if (watch->is_cut)
        note(watch, "the connection to the server ended; following on%s%s",
             watch->event_id[0] ? " after event " : "", watch->event_id);
    watch->is_lost = watch->is_cut = false;
    show(watch);
    judge(watch);
}

/* ---- listening ------------------------------------------------------------------------------ */

/* An empty line ends an event. False: the stream is no longer wanted. */
static bool take_event(struct watch *watch)
{
    char id[ROLLOUT_ID_SIZE];
    bool is_known = watch->event_time_ms > 0 && watch->event_time_ms <= watch->known_until_ms;
    bool has_event = watch->has_event;
    watch->has_event = false;
    if (!has_event || is_known)
        return true;
    snprintf(id, sizeof id, "%s", watch->id);
    int64_t wait_ms = watch->looked_at_ms + LOOK_INTERVAL_MS - steady_now_ms();
    sleep_ms(smaller(wait_ms, left_ms(watch)));
    look(watch);
    return !watch->is_over && !watch->is_lost && left_ms(watch) > 0 && strcmp(id, watch->id) == 0;
}

static void take_data(struct watch *watch, struct text data)
{
    const struct json_node *event = NULL;
    struct err err = { 0 };
    struct arena arena;
    arena_init(&arena, &memory_heap, EVENT_BYTES_MAX);
    watch->has_event = true;
    /* Data that cannot be read still rings the bell. */
    watch->event_time_ms =
        json_tree_parse(data, &arena, &event, &err) ? json_get_time(event, "time", 0) : 0;
    arena_release(&arena);
}

static bool on_line(void *ctx, struct text line)
{
    struct watch *watch = ctx;
    watch->heard_at_ms = steady_now_ms();
    if (!watch->has_opened) {
        /* What happened between the newest look and the opening of the stream rang no bell. */
        watch->has_event = watch->has_opened = true;
        watch->event_time_ms = 0;
    }
    if (text_starts_with(line, TEXT("id:"))) {
        struct text id = text_trim(text_skip(line, 3));
        if (id.size < EVENT_ID_MAX)
            snprintf(watch->event_id, sizeof watch->event_id, "%.*s", TEXT_ARG(id));
    } else if (text_starts_with(line, TEXT("data:"))) {
        take_data(watch, text_skip(line, 5));
    }
    if (line.size == 0)
        return take_event(watch);
    return left_ms(watch) > 0;
}

static bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

static void stream_ended(struct watch *watch, int status)
{
    bool was_silent = steady_now_ms() - watch->heard_at_ms >= SILENCE_MS;
    if (status == 410) {
        note(watch, "event %s is no longer kept; following on from now", watch->event_id);
    }
    if (status != 0 && !is_success(status))
        watch->event_id[0] = '\0'; /* it may be what was refused */
    watch->is_cut = status == 0 && !was_silent;
}

/* Listens until something else is to be done. */
static void listen_for_events(struct watch *watch)
{
    cleanup(path_release) struct path path = { 0 };
    cleanup(buffer_release) struct buffer body = { 0 };
    struct err err = { 0 };
    int status = 0;
    path_init(&path, "/events");
    buffer_init(&body, &memory_heap, EVENT_BYTES_MAX);
    path_add_parameter(&path, "deployment", text_from(watch->id));
    path_add_parameter(&path, "after", text_from(watch->event_id));
    watch->has_event = watch->has_opened = false;
    watch->event_time_ms = 0;
    watch->heard_at_ms = steady_now_ms();
    struct http_stream_call call = { .path = buffer_text(&path.text),
                                     .bearer = watch->client->bearer,
                                     .last_event_id = text_from(watch->event_id),
                                     .silence_ms = SILENCE_MS };
    bool is_whole =
        http_stream_lines(watch->client->server, &call, on_line, watch, &body, &status, &err);
    if (watch->is_over || watch->is_lost)
        return;
    stream_ended(watch, is_whole ? status : 0);
    if (is_whole && !is_success(status) && status != 410)
        sleep_ms(smaller(RETRY_MAX_MS, left_ms(watch))); /* no stream to be had: look again */
}

/* A stream ends on silence only to the second; near the deadline the record is polled instead. */
static void wait_for_change(struct watch *watch)
{
    int64_t left = left_ms(watch);
    if (watch->is_lost) {
        sleep_ms(smaller(watch->retry_ms, left));
        watch->retry_ms = smaller(2 * watch->retry_ms, RETRY_MAX_MS);
    } else if (left < 3 * SILENCE_MS) {
        sleep_ms(smaller(LOOK_INTERVAL_MS, left));
    } else {
        listen_for_events(watch);
        sleep_ms(smaller(watch->looked_at_ms + LOOK_INTERVAL_MS - steady_now_ms(), left));
    }
}

enum exit_code watch_rollout(struct client *client, const char *id,
                             const struct watch_options *options)
{
    struct watch watch = { .client = client, .options = options, .retry_ms = RETRY_MIN_MS };
    snprintf(watch.id, sizeof watch.id, "%s", id);
    buffer_init(&watch.summary, &memory_heap, FRAME_MAX);
    if (options->timeout_ms > 0)
        watch.deadline_ms = steady_now_ms() + options->timeout_ms;
    look(&watch);
    while (!watch.is_over) {
        if (left_ms(&watch) <= 0) {
            end(&watch, watch.is_lost ? EXIT_UNAVAILABLE : EXIT_TIMEOUT);
            note(&watch, "%s has not ended in time", watch.id);
            break;
        }
        wait_for_change(&watch);
        if (!watch.is_over && left_ms(&watch) > 0)
            look(&watch);
    }
    buffer_release(&watch.summary);
    return watch.code;
}
