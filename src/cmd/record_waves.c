/* SPDX-License-Identifier: Apache-2.0
 * record_waves.c - see record_waves.h. */
#include "cmd/record_waves.h"

#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/record.h"

#define DOMAINS_SHOWN 3
#define CLOCK_AT      11 /* of the minute in an instant: 2031-01-01T10:00:00.000Z */
#define CLOCK_SIZE    5

static struct text text_at(const struct json_node *node, const char *path, struct text otherwise)
{
    const struct json_node *at = json_at(node, path);
    return at && (at->kind == JSON_NODE_NUMBER || at->kind == JSON_NODE_TEXT) ? at->text
                                                                              : otherwise;
}

/* ---- the open wave -------------------------------------------------------------------------- */

struct place {
    const struct json_node *wave; /* NULL: none is open */
    unsigned number, count;       /* from 1 */
};

static bool is_open(const struct json_node *wave)
{
    return json_get_time(wave, "opened_at", 0) > 0 && json_get_time(wave, "passed_at", 0) == 0;
}

static struct place place_of(const struct json_node *record)
{
    struct place place = { .wave = NULL };
    bool has_ended = json_get_time(record, "ended_at", 0) > 0;
    const struct json_node *wave = json_first(json_member(record, "waves"));
    for (; wave; wave = wave->next) {
        place.count++;
        if (has_ended || place.wave || !is_open(wave))
            continue;
        place.wave = wave;
        place.number = place.count;
    }
    return place;
}

void waves_add_place(struct buffer *line, const struct json_node *record)
{
    struct place place = place_of(record);
    struct text name = json_get_text(place.wave, "name", TEXT("?"));
    if (place.wave && place.count > 1)
        buffer_printf(line, "wave %u of %u (%.*s)", place.number, place.count, TEXT_ARG(name));
}

/* ---- limits --------------------------------------------------------------------------------- */

struct text waves_batch_limit(const struct json_node *record)
{
    struct place place = place_of(record);
    struct text asked = text_at(record, "request.configuration.batch_size", TEXT("1"));
    return text_at(place.wave, "batch_limit", asked);
}

/* A floor in percent is compared best with a percentage. */
void waves_add_available(struct buffer *line, const struct json_node *record)
{
    const struct json_node *available = json_member(record, "available");
    struct text floor = text_at(record, "request.configuration.min_available", TEXT("0"));
    int64_t total = json_get_i64(record, "progress.total_instances", 0);
    int64_t count = json_get_i64(record, "available", 0);
    if (!available || available->kind != JSON_NODE_NUMBER)
        return;
    if (text_ends_with(floor, TEXT("%")) && total > 0)
        buffer_printf(line, "   available %lld.%lld%%", (long long)(count * 100 / total),
                      (long long)(count * 1000 / total % 10));
    else
        buffer_printf(line, "   available %lld of %lld", (long long)count, (long long)total);
    if (!text_equal(floor, TEXT("0")))
        buffer_printf(line, " (floor %.*s)", TEXT_ARG(floor));
}

struct cap {
    const struct json_node *domain;
    const char *what; /* "busy" or "failed" */
    int64_t count, limit;
};

/* How near the count is to its limit; 0: there is no limit. */
static struct cap cap_of(const struct json_node *domain, const char *what, const char *count,
                         const char *limit)
{
    return (struct cap){ .domain = domain,
                         .what = what,
                         .count = json_get_i64(domain, count, 0),
                         .limit = json_get_i64(domain, limit, 0) };
}

static bool is_nearer(const struct cap *a, const struct cap *b)
{
    return a->limit > 0 && a->count > 0 &&
           (!b->domain || a->count * b->limit > b->count * a->limit);
}

/* Keeps the nearest few, nearest first. */
static void consider(struct cap nearest[static DOMAINS_SHOWN], struct cap cap)
{
    for (size_t i = 0; i < DOMAINS_SHOWN; i++) {
        if (!is_nearer(&cap, &nearest[i]))
            continue;
        struct cap pushed = nearest[i];
        nearest[i] = cap;
        cap = pushed;
        if (!cap.domain)
            return;
    }
}

void waves_add_domains(struct buffer *line, const struct json_node *record)
{
    struct cap nearest[DOMAINS_SHOWN] = { { .domain = NULL } };
    const struct json_node *domain = json_first(json_member(record, "domains"));
    for (; domain; domain = domain->next) {
        consider(nearest, cap_of(domain, "busy", "busy", "max_in_progress"));
        consider(nearest, cap_of(domain, "failed", "progress.failed_instances", "max_failed"));
    }
    for (size_t i = 0; i < DOMAINS_SHOWN && nearest[i].domain; i++) {
        const struct cap *cap = &nearest[i];
        struct text label = json_get_text(cap->domain, "label", TEXT("?"));
        struct text value = json_get_text(cap->domain, "value", TEXT_NONE);
        bool has_value = json_member(cap->domain, "value") && value.data;
        buffer_printf(line, "   %s%.*s%s%.*s %s %lld of %lld", has_value ? "" : "no ",
                      TEXT_ARG(label), has_value ? "=" : "", TEXT_ARG(value), cap->what,
                      (long long)cap->count, (long long)cap->limit);
    }
}

/* ---- what comes next ------------------------------------------------------------------------ */

static void add_step(struct buffer *line, bool *has_step)
{
    buffer_add(line, *has_step ? TEXT(", ") : TEXT_NONE);
    *has_step = true;
}

static void add_soak(struct buffer *line, const struct json_node *wave, int64_t now_ms,
                     bool *has_step)
{
    struct text soak = json_get_text(wave, "soak", TEXT("0s"));
    struct text state = json_get_text(wave, "state", TEXT_NONE);
    int64_t until_ms = json_get_time(wave, "soak_until", 0);
    bool is_over = text_equal(state, TEXT("gated")) || text_equal(soak, TEXT("0s"));
    if (is_over)
        return;
    add_step(line, has_step);
    buffer_add(line, TEXT("soak "));
    if (until_ms == 0) {
        buffer_add(line, soak);
        return;
    }
    add_age(line, until_ms - now_ms);
    buffer_add(line, TEXT(" more"));
}

static void add_gates(struct buffer *line, const struct json_node *wave, bool *has_step)
{
    const struct json_node *gate = json_first(json_member(wave, "gates"));
    for (; gate; gate = gate->next) {
        struct text name = json_get_text(gate, "name", TEXT("?"));
        struct text type = json_get_text(gate, "type", TEXT("?"));
        if (text_equal(json_get_text(gate, "state", TEXT_NONE), TEXT("passed")))
            continue;
        add_step(line, has_step);
        buffer_printf(line, "gate %.*s (%.*s)", TEXT_ARG(name), TEXT_ARG(type));
    }
}

void waves_add_next(struct buffer *line, const struct json_node *record, int64_t now_ms)
{
    struct place place = place_of(record);
    const struct json_node *after = place.wave ? place.wave->next : NULL;
    bool has_step = false;
    add_soak(line, place.wave, now_ms, &has_step);
    add_gates(line, place.wave, &has_step);
    if (after) {
        struct text name = json_get_text(after, "name", TEXT("?"));
        add_step(line, &has_step);
        buffer_printf(line, "then wave %.*s (%lld instances)", TEXT_ARG(name),
                      (long long)json_get_i64(after, "progress.total_instances", 0));
    }
    if (!has_step)
        buffer_printf(line, "%lld to be started",
                      (long long)json_get_i64(record, "progress.pending_instances", 0));
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct table_column columns[] = {
    { .title = "WAVE" },
    { .title = "MODE" },
    { .title = "TOTAL", .is_right = true },
    { .title = "DONE", .is_right = true },
    { .title = "BUSY", .is_right = true },
    { .title = "FAILED", .is_right = true },
    { .title = "PENDING", .is_right = true },
    { .title = "OFFLINE", .is_right = true },
    { .title = "STATE" },
};

/* "passed 13:31Z": when is worth a look only once it is over. */
static void add_state(struct table *table, const struct json_node *wave, struct text state)
{
    char space[64];
    struct text at = json_get_text(wave, "passed_at", TEXT_NONE);
    struct text shown = state;
    if (at.size >= CLOCK_AT + CLOCK_SIZE && state.size < sizeof space / 2) {
        int size = snprintf(space, sizeof space, "%.*s %.*sZ", TEXT_ARG(state), CLOCK_SIZE,
                            at.data + CLOCK_AT);
        shown = (struct text){ space, (size_t)size };
    }
    table_cell_tinted(table, shown, tint_of(state));
}

/* `wave` is NULL for a record that tells none. */
static void add_wave(struct table *table, const struct json_node *record,
                     const struct json_node *wave, struct text state)
{
    static const char *const counts[] = { "total_instances",       "completed_instances",
                                          "in_progress_instances", "failed_instances",
                                          "pending_instances",     "offline_instances" };
    const struct json_node *progress = json_member(wave ? wave : record, "progress");
    struct text mode = text_at(record, "request.configuration.mode", TEXT("window"));
    struct text batch = text_at(record, "request.configuration.batch_size", TEXT("1"));
    mode = text_at(wave, "mode", mode);
    batch = text_at(wave, "batch_limit", batch);
    table_cell(table, json_get_text(wave, "name", wave ? TEXT_NONE : TEXT("all")));
    table_cell_printf(table, "%.*s %.*s", TEXT_ARG(mode), TEXT_ARG(batch));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        table_cell_printf(table, "%lld", (long long)json_get_i64(progress, counts[i], 0));
    add_state(table, wave, wave ? json_get_text(wave, "state", TEXT_NONE) : state);
}

void waves_add_table(struct buffer *out, const struct json_node *record, struct text state,
                     const struct terminal *terminal)
{
    const struct json_node *wave = json_first(json_member(record, "waves"));
    cleanup(table_release) struct table table = { 0 };
    table_init(&table, columns, sizeof columns / sizeof columns[0], false);
    if (!wave)
        add_wave(&table, record, NULL, state);
    for (; wave; wave = wave->next)
        add_wave(&table, record, wave, state);
    table_print(&table, terminal, out);
}
