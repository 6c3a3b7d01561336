/* SPDX-License-Identifier: Apache-2.0
 * events.c - the journal as a stream of server-sent events. A stream reads at its own pace, from
 * memory while it can and from the store where it must, and resumes after the last index it saw. */
#include "http/api_parts.h"

#include "wire/event_filter.h"
#include "wire/record.h"
#include "wire/request.h"

#define RESUME_EVERY_MS 10
#define STALL_MS        3000 /* a reader that takes nothing for so long is disconnected */
#define FILTER_MAX      ((size_t)256 << 10) /* memory of a parsed selector */
#define OLD_PAGE        256u                /* entries asked of the store at once */

struct stream {
    struct engine_reader reader; /* first: the reader is the stream */
    struct stream *next, **link;
    struct api *api;
    struct http_exchange *x; /* NULL once it is closed */
    uint64_t next_index;
    uint32_t types;      /* wanted, one bit per enum change_type */
    uint32_t deployment; /* number, or 0: any */
    bool has_filter;
    struct wire_event_filter filter; /* in `arena` */
    struct arena arena;
    bool is_once;      /* ends when it has caught up */
    bool is_held;      /* its reader has to take something first */
    size_t held_bytes; /* what waited for the reader when he last took something */
    int64_t held_ms;   /* and when that was */
    bool is_reading;   /* a page from the store is under way */
    struct engine_scan scan;
    struct buffer rows;
};

/* ---- life ----------------------------------------------------------------------------------- */

static void free_stream(struct stream *s)
{
    buffer_release(&s->rows);
    arena_release(&s->arena);
    memory_give(&memory_heap, s, sizeof *s);
}

/* Takes it out of all lists; its memory goes when the store no longer writes into it. */
static void close_stream(struct stream *s)
{
    engine_reader_remove(s->api->engine, &s->reader);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->api->stream_count--;
    s->x = NULL;
    if (!s->is_reading)
        free_stream(s);
}

static void on_gone(void *ctx)
{
    struct stream *s = ctx;
    struct http_exchange *x = s->x;
    close_stream(s);
    http_abandon(x);
}

static void end_stream(struct stream *s)
{
    struct http_exchange *x = s->x;
    close_stream(s);
    http_stream_end(x);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void catch_up(struct stream *s);

/* A burst, or a long way to catch up, is more than may wait for one reader at a time. Who reads
 * gets it piece by piece; who does not is disconnected, and resumes by the last index he saw. */
static void resume_held(void *ctx)
{
    struct api *api = ctx;
    struct stream *next;
    bool is_needed = false;
    for (struct stream *s = api->streams; s; s = next) {
        next = s->next;
        if (!s->is_held)
            continue;
        size_t waiting = http_stream_waiting(s->x);
        int64_t now_ms = loop_ticks_ms(api->loop);
        if (waiting < s->held_bytes) {
            s->held_bytes = waiting;
            s->held_ms = now_ms;
        }
        s->is_held = waiting > LIMIT_STREAM_BYTES / 2;
        if (s->is_held && now_ms - s->held_ms >= STALL_MS)
            on_gone(s);
        else if (s->is_held)
            is_needed = true;
        else
            catch_up(s);
    }
    for (struct stream *s = api->streams; s && !is_needed; s = s->next)
        is_needed = s->is_held;
    if (!is_needed) {
        loop_timer_free(api->resume);
        api->resume = NULL;
    }
}

static void hold(struct stream *s)
{
    struct api *api = s->api;
    if (!api->resume)
        api->resume = loop_every(api->loop, RESUME_EVERY_MS, resume_held, api, NULL);
    if (!api->resume) {
        on_gone(s);
        return;
    }
    s->is_held = true;
    s->held_bytes = http_stream_waiting(s->x);
    s->held_ms = loop_ticks_ms(api->loop);
}

/* False: nothing more now; the stream is held, or closed. */
static bool send_entry(struct stream *s, uint64_t index, uint8_t type, uint32_t rollout,
                       struct text json)
{
    if (!(s->types & 1u << type) || (s->deployment != 0 && s->deployment != rollout) ||
        (s->has_filter && !wire_event_passes(&s->filter, json))) {
        s->next_index = index + 1;
        return true;
    }
    struct buffer *out = &s->api->body;
    buffer_clear(out);
    buffer_add(out, TEXT("id: "));
    buffer_add_u64(out, index);
    buffer_add(out, TEXT("\nevent: "));
    buffer_add(out, text_from(change_word(type)));
    buffer_add(out, TEXT("\ndata: "));
    buffer_add(out, json);
    buffer_add(out, TEXT("\n\n"));
    if (!out->failed && http_stream_send(s->x, buffer_text(out))) {
        s->next_index = index + 1;
        return true;
    }
    if (!out->failed && http_stream_waiting(s->x) > 0)
        hold(s);
    else
        on_gone(s);
    return false;
}

static void read_old(struct stream *s);

/* What is durable and not yet sent. */
static void catch_up(struct stream *s)
{
    const struct journal *journal = engine_journal(s->api->engine);
    while (s->next_index <= journal->durable) {
        const struct journal_entry *entry = journal_at(journal, s->next_index);
        if (!entry) {
            read_old(s);
            return;
        }
        if (!send_entry(s, entry->index, entry->type, entry->rollout,
                        (struct text){ entry->json, entry->size }))
            return;
    }
    if (s->is_once)
        end_stream(s);
}

static void more(struct engine_reader *reader)
{
    struct stream *s = (struct stream *)reader;
    if (!s->is_reading && !s->is_held)
        catch_up(s);
}

/* ---- entries from the store ----------------------------------------------------------------- */

/* Every entry says its own index; false when the stream is held or closed, or the page damaged. */
static bool send_page(struct stream *s)
{
    struct text rest = buffer_text(&s->rows);
    struct text line;
    while (rest.size > 0 && text_cut(&rest, '\n', &line)) {
        struct wire_event_head head;
        uint64_t index;
        struct buffer key;
        buffer_init(&key, &memory_heap, 64);
        wire_event_key(&key, s->next_index);
        bool is_sound =
            wire_read_event_head(buffer_text(&key), line, &s->api->arena, &index, &head, NULL);
        buffer_release(&key);
        if (!is_sound) {
            on_gone(s);
            return false;
        }
        if (!send_entry(s, index, head.type, head.rollout, line))
            return false;
    }
    return true;
}

static void page_done(struct engine_scan *scan)
{
    struct stream *s = scan->ctx;
    s->is_reading = false;
    if (!s->x) {
        free_stream(s);
        return;
    }
    if (!scan->job.succeeded || s->rows.failed || s->rows.size == 0) {
        on_gone(s);
        return;
    }
    if (send_page(s))
        catch_up(s);
}

static void read_old(struct stream *s)
{
    buffer_clear(&s->rows);
    s->scan = (struct engine_scan){ .job = { .rows = &s->rows }, .done = page_done, .ctx = s };
    s->is_reading = true;
    engine_read_old(s->api->engine, &s->scan, s->next_index, OLD_PAGE);
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool read_types(struct api_call *call, uint32_t *ret)
{
    struct text value;
    struct text word;
    uint32_t types = 0;
    if (!api_param(call, "types", &value)) {
        *ret = UINT32_MAX;
        return true;
    }
    while (text_cut(&value, ',', &word)) {
        uint32_t before = types;
        for (unsigned type = 0; type < CHANGE_TYPE_COUNT; type++)
            if (text_equal(word, text_from(change_word(type))))
                types |= 1u << type;
        char space[ERR_EXCERPT_SIZE];
        if (types == before)
            return err_set(&call->err, ERR_INVALID, "there is no type of event \"%s\"",
                           err_excerpt(word, space));
    }
    *ret = types;
    return true;
}

/* Where to begin: after the index given, else with what comes next. */
static bool read_start(struct api_call *call, uint64_t *ret)
{
    const struct journal *journal = engine_journal(call->api->engine);
    struct text after = http_field(call->x, "Last-Event-ID");
    uint64_t index;
    *ret = journal->durable + 1;
    if (after.size == 0 && !api_param(call, "after", &after))
        return true;
    if (!text_to_u64(after, INT64_MAX, &index))
        return err_set(&call->err, ERR_INVALID, "the index to resume after must be a number");
    if (index + 1 < journal->oldest) {
        call->oldest = journal->oldest;
        return err_set(&call->err, ERR_GONE, "the oldest index still kept is %llu",
                       (unsigned long long)journal->oldest);
    }
    if (index > journal->durable)
        return err_set(&call->err, ERR_INVALID, "the newest index is %llu",
                       (unsigned long long)journal->durable);
    *ret = index + 1;
    return true;
}

static bool read_request(struct api_call *call, struct stream *ret)
{
    struct text value;
    if (!read_types(call, &ret->types) || !read_start(call, &ret->next_index))
        return false;
    if (api_param(call, "deployment", &value) &&
        !wire_read_rollout_id(value, &ret->deployment, &call->err))
        return false;
    ret->has_filter = api_param(call, "labels", &value);
    if (ret->has_filter && !wire_read_event_filter(value, &ret->arena, &ret->filter, &call->err))
        return false;
    if (api_param(call, "follow", &value)) {
        ret->is_once = text_equal(value, TEXT("false"));
        if (!ret->is_once && !text_equal(value, TEXT("true")))
            return err_set(&call->err, ERR_INVALID, "follow must be true or false");
    }
    return true;
}

void stream_open(struct api_call *call)
{
    struct api *api = call->api;
    struct stream wanted = { .api = api, .x = call->x };
    struct stream *s = NULL;
    arena_init(&wanted.arena, &memory_heap, FILTER_MAX);
    if (read_request(call, &wanted)) {
        s = memory_take(&memory_heap, sizeof *s);
        if (!s)
            err_set(&call->err, ERR_MEMORY, "no memory for a stream");
        else if (api->is_stopping)
            err_set(&call->err, ERR_UNAVAILABLE, "the server is stopping");
    }
    if (call->err.code != ERR_NONE) {
        memory_give(&memory_heap, s, sizeof *s);
        arena_release(&wanted.arena);
        api_fail(call);
        return;
    }
    *s = wanted;
    s->reader.more = more;
    buffer_init(&s->rows, &memory_heap, API_BODY_MAX);
    s->next = api->streams;
    s->link = &api->streams;
    if (s->next)
        s->next->link = &s->next;
    api->streams = s;
    api->stream_count++;
    engine_reader_add(api->engine, &s->reader);
    struct http_header headers[] = { { "Cache-Control", "no-store" } };
    http_stream_open(call->x, &(struct http_answer){ .status = 200,
                                                     .content_type = "text/event-stream",
                                                     .headers = headers,
                                                     .header_count = 1,
                                                     .body = TEXT(": dides\n\n") });
    http_on_gone(call->x, on_gone, s);
    api_count(api, call->route, 200, call->began_us);
    catch_up(s);
}

/* A comment line tells both sides that the other one is there. */
void streams_beat(void *ctx)
{
    struct api *api = ctx;
    struct stream *next;
    for (struct stream *s = api->streams; s; s = next) {
        next = s->next;
        if (http_stream_waiting(s->x) == 0 && !http_stream_send(s->x, TEXT(":\n\n")))
            on_gone(s);
    }
}

void streams_end(struct api *api)
{
    while (api->streams)
        end_stream(api->streams);
    loop_timer_free(api->resume);
    api->resume = NULL;
}
