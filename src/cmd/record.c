/* SPDX-License-Identifier: Apache-2.0
 * record.c - see record.h. The layout is that of the spec of rollouts, section 11. */
#include "cmd/record.h"

#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/record_waves.h"

#define CELL_MAX      (64 * 1024)
#define MEMBERS_SHOWN 20 /* unless wide */
#define SECOND_MS     1000
#define MINUTE_MS     (60 * SECOND_MS)
#define HOUR_MS       (60 * MINUTE_MS)
#define DAY_MS        (24ll * HOUR_MS)
#define FINE_MINUTES  10 /* from here on, seconds are noise */

/* ---- small texts ---------------------------------------------------------------------------- */

static void add_two(struct buffer *out, int64_t large, char large_unit, int64_t small,
                    char small_unit)
{
    buffer_printf(out, "%lld%c", (long long)large, large_unit);
    if (small > 0)
        buffer_printf(out, "%lld%c", (long long)small, small_unit);
}

void add_age(struct buffer *out, int64_t ms)
{
    if (ms < 0)
        ms = 0; /* the server's clock is a little ahead */
    if (ms < MINUTE_MS)
        buffer_printf(out, "%llds", (long long)(ms / SECOND_MS));
    else if (ms < FINE_MINUTES * MINUTE_MS)
        add_two(out, ms / MINUTE_MS, 'm', ms % MINUTE_MS / SECOND_MS, 's');
    else if (ms < HOUR_MS)
        buffer_printf(out, "%lldm", (long long)(ms / MINUTE_MS));
    else if (ms < DAY_MS)
        add_two(out, ms / HOUR_MS, 'h', ms % HOUR_MS / MINUTE_MS, 'm');
    else
        add_two(out, ms / DAY_MS, 'd', ms % DAY_MS / HOUR_MS, 'h');
}

void add_version(struct buffer *out, const struct json_node *version)
{
    struct text code = json_get_text(version, "code_version", TEXT_NONE);
    struct text config = json_get_text(version, "configuration_version", TEXT_NONE);
    if (code.size == 0 && config.size == 0)
        return;
    buffer_add(out, code.size > 0 ? code : TEXT("-"));
    if (config.size == 0)
        return;
    buffer_add_byte(out, '/');
    buffer_add(out, config);
}

struct text record_state(const struct json_node *record)
{
    return json_get_text(record, "status_name", TEXT("?"));
}

static struct text selector_of(const struct json_node *record)
{
    struct text selector = json_get_text(record, "selector", TEXT_NONE);
    return selector.size > 0 ? selector : TEXT("(whole fleet)");
}

static int64_t count_of(const struct json_node *progress, const char *key)
{
    return json_get_i64(progress, key, 0);
}

/* A number or a text, as it was given; "" when it is neither. */
static struct text scalar_of(const struct json_node *node, const char *path)
{
    const struct json_node *at = json_at(node, path);
    return at && (at->kind == JSON_NODE_NUMBER || at->kind == JSON_NODE_TEXT) ? at->text
                                                                              : TEXT_NONE;
}

void record_end_line(struct buffer *out, struct buffer *line, const struct terminal *terminal)
{
    struct buffer safe;
    buffer_init(&safe, &memory_heap, CELL_MAX);
    terminal_add(&safe, buffer_text(line));
    struct text t = buffer_text(&safe);
    if (terminal->width > 0)
        t.size = terminal_fit(t, terminal->width);
    buffer_add(out, t);
    buffer_add_byte(out, '\n');
    out->failed = out->failed || safe.failed || line->failed;
    buffer_release(&safe);
    buffer_clear(line);
}

/* ---- header lines --------------------------------------------------------------------------- */

static void add_rollout_line(struct buffer *line, const struct json_node *record)
{
    struct text undone = json_get_text(record, "rollback_of", TEXT_NONE);
    struct text retried = json_get_text(record, "retry_of", TEXT_NONE);
    buffer_add(line, TEXT("rollout   "));
    buffer_add(line, json_get_text(record, "id", TEXT("?")));
    buffer_add(line, TEXT("  "));
    buffer_add(line, selector_of(record));
    buffer_add(line, TEXT("   -> "));
    add_version(line, json_member(record, "request"));
    if (undone.size > 0)
        buffer_printf(line, "   undoes %.*s", TEXT_ARG(undone));
    if (retried.size > 0)
        buffer_printf(line, "   retries %.*s", TEXT_ARG(retried));
    buffer_printf(line, "   generation %lld", (long long)json_get_i64(record, "generation", 0));
}

/* The open wave, if there are several, after `before`. */
static void add_place(struct buffer *line, const struct json_node *record, const char *before)
{
    cleanup(buffer_release) struct buffer place = { 0 };
    buffer_init(&place, &memory_heap, CELL_MAX);
    waves_add_place(&place, record);
    if (place.size > 0)
        buffer_add(line, text_from(before));
    buffer_add(line, buffer_text(&place));
}

static void add_state_line(struct buffer *line, const struct json_node *record, int64_t now_ms)
{
    int64_t started_ms = json_get_time(record, "started_at", 0);
    int64_t ended_ms = json_get_time(record, "ended_at", 0);
    struct text cause = json_get_text(record, "cause", TEXT_NONE);
    struct text outcome = json_get_text(record, "outcome", TEXT_NONE);
    struct text undone_by = json_get_text(record, "rolled_back_by", TEXT_NONE);
    struct text by = json_get_text(record, "created_by", TEXT_NONE);
    struct text reason = json_get_text(record, "reason", TEXT_NONE);
    buffer_add(line, TEXT("state     "));
    buffer_add(line, record_state(record));
    if (started_ms > 0) {
        buffer_add(line, ended_ms > 0 ? TEXT(" after ") : TEXT(" for "));
        add_age(line, (ended_ms > 0 ? ended_ms : now_ms) - started_ms);
    }
    add_place(line, record, ", ");
    if (cause.size > 0)
        buffer_printf(line, ", cause %.*s", TEXT_ARG(cause));
    if (outcome.size > 0)
        buffer_printf(line, ", outcome %.*s", TEXT_ARG(outcome));
    if (undone_by.size > 0)
        buffer_printf(line, ", rolled back by %.*s", TEXT_ARG(undone_by));
    if (by.size > 0)
        buffer_printf(line, "   by %.*s", TEXT_ARG(by));
    if (reason.size > 0)
        buffer_printf(line, "%s \"%.*s\"", by.size > 0 ? ":" : "  ", TEXT_ARG(reason));
}

static void add_waiting_line(struct buffer *line, const struct json_node *waiting, bool is_first,
                             int64_t now_ms)
{
    struct text message = json_get_text(waiting, "message", TEXT_NONE);
    int64_t until_ms = json_get_time(waiting, "until", 0);
    buffer_add(line, is_first ? TEXT("waiting   ") : TEXT("          "));
    buffer_add(line, json_get_text(waiting, "reason", TEXT("?")));
    if (message.size > 0)
        buffer_printf(line, ": %.*s", TEXT_ARG(message));
    if (until_ms > 0) {
        buffer_add(line, TEXT(", at most "));
        add_age(line, until_ms - now_ms);
        buffer_add(line, TEXT(" more"));
    }
}

static void add_limits_line(struct buffer *line, const struct json_node *record)
{
    const struct json_node *progress = json_member(record, "progress");
    struct text threshold = scalar_of(record, "request.configuration.failure_threshold");
    buffer_printf(line, "limits    failed %lld of %.*s",
                  (long long)count_of(progress, "failed_instances"),
                  TEXT_ARG(threshold.size > 0 ? threshold : TEXT("1")));
    buffer_printf(line, "   busy %lld of %.*s",
                  (long long)count_of(progress, "in_progress_instances"),
                  TEXT_ARG(waves_batch_limit(record)));
    waves_add_available(line, record);
    waves_add_domains(line, record);
}

static void add_next_line(struct buffer *line, const struct json_node *record, int64_t now_ms)
{
    const struct json_node *verb = json_first(json_member(record, "allowed_verbs"));
    buffer_add(line, TEXT("next      "));
    waves_add_next(line, record, now_ms);
    for (bool is_first = true; verb; verb = verb->next, is_first = false)
        buffer_printf(line, "%s%.*s", is_first ? "   allowed " : ", ",
                      TEXT_ARG(json_get_text(verb, "", TEXT("?"))));
}

static void add_header(struct buffer *out, const struct json_node *record, int64_t now_ms,
                       const struct terminal *terminal)
{
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, CELL_MAX);
    add_rollout_line(&line, record);
    record_end_line(out, &line, terminal);
    add_state_line(&line, record, now_ms);
    record_end_line(out, &line, terminal);
    const struct json_node *waiting = json_first(json_member(record, "waiting"));
    for (bool is_first = true; waiting; waiting = waiting->next, is_first = false) {
        add_waiting_line(&line, waiting, is_first, now_ms);
        record_end_line(out, &line, terminal);
    }
    add_limits_line(&line, record);
    record_end_line(out, &line, terminal);
    if (json_get_time(record, "ended_at", 0) == 0) {
        add_next_line(&line, record, now_ms);
        record_end_line(out, &line, terminal);
    }
}

/* ---- members -------------------------------------------------------------------------------- */

static const struct table_column member_columns[] = {
    { .title = "MEMBER" },
    { .title = "UPDATE" },
    { .title = "RUNS" },
    { .title = "STATUS" },
    { .title = "SEEN", .is_right = true },
    { .title = "NOTE" },
};

static void add_note(struct buffer *note, const struct json_node *member, int64_t now_ms)
{
    struct text cause = json_get_text(member, "cause", TEXT_NONE);
    struct text message = json_get_text(member, "message", TEXT_NONE);
    int64_t deadline_ms = json_get_time(member, "deadline_at", 0);
    int64_t attempt = json_get_i64(member, "attempt", 0);
    buffer_add(note, cause);
    if (message.size > 0)
        buffer_printf(note, "%s%.*s", note->size > 0 ? ": " : "", TEXT_ARG(message));
    if (cause.size == 0 && deadline_ms > 0) {
        buffer_add(note, note->size > 0 ? TEXT(", deadline in ") : TEXT("deadline in "));
        add_age(note, deadline_ms - now_ms);
    }
    if (!json_get_bool(member, "online", true))
        buffer_add(note, note->size > 0 ? TEXT(", offline") : TEXT("offline"));
    if (attempt > 1)
        buffer_printf(note, " (attempt %lld)", (long long)attempt);
}

static void add_member(struct table *table, const struct json_node *member, int64_t now_ms)
{
    cleanup(buffer_release) struct buffer text = { 0 };
    struct text state = json_get_text(member, "update_state", TEXT_NONE);
    struct text status = json_get_text(member, "status_name", TEXT_NONE);
    struct text name = json_get_text(member, "name", TEXT_NONE);
    int64_t seen_ms = json_get_time(member, "last_seen", 0);
    buffer_init(&text, &memory_heap, CELL_MAX);
    table_cell(table, name.size > 0 ? name : json_get_text(member, "ip", TEXT_NONE));
    table_cell_tinted(table, text_equal(state, TEXT("in_progress")) ? TEXT("busy") : state,
                      tint_of(state));
    add_version(&text, json_member(member, "current_state"));
    table_cell(table, buffer_text(&text));
    table_cell_tinted(table, status, tint_of(status));
    buffer_clear(&text);
    if (seen_ms > 0)
        add_age(&text, now_ms - seen_ms);
    table_cell(table, buffer_text(&text));
    buffer_clear(&text);
    add_note(&text, member, now_ms);
    table_cell(table, buffer_text(&text));
}

static void add_members(struct buffer *out, const struct json_node *record, int64_t now_ms,
                        const struct terminal *terminal, bool is_wide)
{
    const struct json_node *member = json_first(json_at(record, "members.instances"));
    int64_t wanted = json_get_i64(record, "progress.failed_instances", 0) +
                     json_get_i64(record, "progress.in_progress_instances", 0);
    int64_t shown = 0;
    cleanup(table_release) struct table table = { .column_count = 0 };
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, CELL_MAX);
    if (!member)
        return;
    table_init(&table, member_columns, sizeof member_columns / sizeof member_columns[0], false);
    for (; member && (is_wide || shown < MEMBERS_SHOWN); member = member->next, shown++)
        add_member(&table, member, now_ms);
    table_print(&table, terminal, out);
    if (wanted > shown) {
        buffer_printf(&line, "... %lld more that failed or are busy%s", (long long)(wanted - shown),
                      is_wide ? "" : " (-o wide)");
        record_end_line(out, &line, terminal);
    }
}

/* What the record of an ended rollout kept of its failed members: they may belong to its rollback
 * by now, or have been updated since. */
static const struct table_column failure_columns[] = {
    { .title = "MEMBER" },
    { .title = "UPDATE" },
    { .title = "NOTE" },
};

static void add_failure(struct table *table, const struct json_node *failure)
{
    cleanup(buffer_release) struct buffer note = { 0 };
    struct text message = json_get_text(failure, "message", TEXT_NONE);
    buffer_init(&note, &memory_heap, CELL_MAX);
    buffer_add(&note, json_get_text(failure, "cause", TEXT_NONE));
    if (message.size > 0)
        buffer_printf(&note, "%s%.*s", note.size > 0 ? ": " : "", TEXT_ARG(message));
    table_cell(table, json_get_text(failure, "instance", TEXT_NONE));
    table_cell_tinted(table, TEXT("failed"), tint_of(TEXT("failed")));
    table_cell(table, buffer_text(&note));
}

static void add_failures(struct buffer *out, const struct json_node *record,
                         const struct terminal *terminal)
{
    const struct json_node *failure = json_first(json_member(record, "failures"));
    int64_t failed = json_get_i64(record, "progress.failed_instances", 0);
    int64_t shown = 0;
    cleanup(table_release) struct table table = { .column_count = 0 };
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, CELL_MAX);
    if (!failure)
        return;
    table_init(&table, failure_columns, sizeof failure_columns / sizeof failure_columns[0], false);
    for (; failure; failure = failure->next, shown++)
        add_failure(&table, failure);
    table_print(&table, terminal, out);
    if (failed > shown) {
        buffer_printf(&line, "... %lld more that failed", (long long)(failed - shown));
        record_end_line(out, &line, terminal);
    }
}

void record_add(struct buffer *out, const struct json_node *record, int64_t now_ms,
                const struct terminal *terminal, bool is_wide)
{
    add_header(out, record, now_ms, terminal);
    waves_add_table(out, record, record_state(record), terminal);
    add_members(out, record, now_ms, terminal, is_wide);
    add_failures(out, record, terminal);
}

/* ---- lines and rows ------------------------------------------------------------------------- */

void record_add_summary(struct buffer *out, const struct json_node *record)
{
    const struct json_node *progress = json_member(record, "progress");
    const struct json_node *waiting = json_first(json_member(record, "waiting"));
    struct text cause = json_get_text(record, "cause", TEXT_NONE);
    struct text outcome = json_get_text(record, "outcome", TEXT_NONE);
    terminal_add(out, json_get_text(record, "id", TEXT("?")));
    buffer_add_byte(out, ' ');
    terminal_add(out, record_state(record));
    buffer_printf(out, "  done %lld of %lld  busy %lld  failed %lld  pending %lld  offline %lld",
                  (long long)count_of(progress, "completed_instances"),
                  (long long)count_of(progress, "total_instances"),
                  (long long)count_of(progress, "in_progress_instances"),
                  (long long)count_of(progress, "failed_instances"),
                  (long long)count_of(progress, "pending_instances"),
                  (long long)count_of(progress, "offline_instances"));
    if (cause.size > 0 || outcome.size > 0) {
        buffer_add(out, cause.size > 0 ? TEXT("  cause ") : TEXT("  outcome "));
        terminal_add(out, cause.size > 0 ? cause : outcome);
    }
    if (waiting) {
        buffer_add(out, TEXT("  waiting "));
        terminal_add(out, json_get_text(waiting, "reason", TEXT("?")));
    }
    cleanup(buffer_release) struct buffer place = { 0 };
    buffer_init(&place, &memory_heap, CELL_MAX);
    add_place(&place, record, "  ");
    terminal_add(out, buffer_text(&place));
}

const struct table_column rollout_columns[] = {
    { .title = "ID" },
    { .title = "STATE" },
    { .title = "SELECTOR" },
    { .title = "TARGET" },
    { .title = "DONE", .is_right = true },
    { .title = "FAILED", .is_right = true },
    { .title = "TOTAL", .is_right = true },
    { .title = "AGE", .is_right = true },
    { .title = "TOOK", .is_right = true },
    { .title = "NOTE" },
    { .title = "BY", .is_only_wide = true },
    { .title = "REASON", .is_only_wide = true },
    { .title = "CREATED", .is_only_wide = true },
};
const unsigned rollout_column_count = sizeof rollout_columns / sizeof rollout_columns[0];

static void add_rollout_note(struct buffer *note, const struct json_node *record)
{
    static const char *const keys[][2] = {
        { "cause", "" },
        { "outcome", "" },
        { "rollback_of", "undoes " },
        { "rolled_back_by", "undone by " },
        { "retry_of", "retries " },
        { "waiting.0.reason", "waiting: " },
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct text t = json_get_text(record, keys[i][0], TEXT_NONE);
        if (t.size == 0)
            continue;
        buffer_add(note, note->size > 0 ? TEXT(", ") : TEXT_NONE);
        buffer_add(note, text_from(keys[i][1]));
        buffer_add(note, t);
    }
}

static void add_age_cell(struct table *table, int64_t from_ms, int64_t to_ms)
{
    cleanup(buffer_release) struct buffer text = { 0 };
    buffer_init(&text, &memory_heap, CELL_MAX);
    if (from_ms > 0)
        add_age(&text, to_ms - from_ms);
    table_cell(table, buffer_text(&text));
}

void record_add_row(struct table *table, const struct json_node *record, int64_t now_ms)
{
    static const char *const counts[] = { "completed_instances", "failed_instances",
                                          "total_instances" };
    cleanup(buffer_release) struct buffer text = { 0 };
    int64_t ended_ms = json_get_time(record, "ended_at", 0);
    buffer_init(&text, &memory_heap, CELL_MAX);
    table_cell(table, json_get_text(record, "id", TEXT_NONE));
    table_cell_tinted(table, record_state(record), tint_of(record_state(record)));
    table_cell(table, selector_of(record));
    add_version(&text, json_member(record, "request"));
    table_cell(table, buffer_text(&text));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        table_cell_printf(table, "%lld",
                          (long long)count_of(json_member(record, "progress"), counts[i]));
    add_age_cell(table, json_get_time(record, "created_at", 0), now_ms);
    add_age_cell(table, json_get_time(record, "started_at", 0), ended_ms > 0 ? ended_ms : now_ms);
    buffer_clear(&text);
    add_rollout_note(&text, record);
    table_cell(table, buffer_text(&text));
    table_cell(table, json_get_text(record, "created_by", TEXT_NONE));
    table_cell(table, json_get_text(record, "reason", TEXT_NONE));
    table_cell(table, json_get_text(record, "created_at", TEXT_NONE));
}
