/* SPDX-License-Identifier: Apache-2.0
 * plan_view.c - see plan_view.h. */
#include "cmd/plan_view.h"

#include "base/cleanup.h"
#include "cmd/record.h"

#define CELL_MAX      (64 * 1024)
#define DOMAINS_SHOWN 20 /* unless wide */

struct view {
    struct buffer *out;
    struct buffer line;
    const struct json_node *plan;
    const struct terminal *terminal;
    bool is_wide;
};

static long long count_at(const struct json_node *node, const char *path)
{
    return (long long)json_get_i64(node, path, 0);
}

static struct text text_at(const struct json_node *node, const char *path)
{
    return json_get_text(node, path, TEXT_NONE);
}

/* -1: it is not told, or does not come. */
static int64_t instant_at(const struct json_node *node, const char *path)
{
    return json_get_i64(node, path, -1);
}

static void end_line(struct view *v)
{
    record_end_line(v->out, &v->line, v->terminal);
}

static void add_texts(struct buffer *line, struct text a, const char *between, struct text b)
{
    buffer_add(line, a);
    buffer_add(line, text_from(between));
    buffer_add(line, b);
}

/* ---- header lines --------------------------------------------------------------------------- */

static void add_plan_line(struct view *v)
{
    struct text selector = text_at(v->plan, "request.selector");
    buffer_add(&v->line, TEXT("plan      "));
    buffer_add(&v->line, selector.size > 0 ? selector : TEXT("(whole fleet)"));
    buffer_add(&v->line, TEXT("   -> "));
    add_version(&v->line, json_member(v->plan, "request"));
    end_line(v);
}

static void add_members_line(struct view *v)
{
    const struct json_node *members = json_member(v->plan, "members");
    buffer_printf(
        &v->line, "members   %lld of %lld need the update, %lld run it already; %lld offline",
        count_at(members, "pending_instances"), count_at(members, "total_instances"),
        count_at(members, "already_current_instances"), count_at(members, "offline_instances"));
    end_line(v);
}

static void add_assumed_line(struct view *v)
{
    const struct json_node *assume = json_member(v->plan, "assume");
    const struct json_node *fail = json_first(json_member(assume, "fail"));
    struct text from = text_at(assume, "update_from");
    if (!assume)
        return;
    add_texts(&v->line, TEXT("assumed   an update takes "), "", text_at(assume, "update"));
    if (from.size > 0)
        add_texts(&v->line, TEXT_NONE, " as in ", from);
    add_texts(&v->line, TEXT_NONE, ", a gate is promoted after ", text_at(assume, "approve"));
    for (bool is_first = true; fail; fail = fail->next, is_first = false) {
        struct text selector = text_at(fail, "selector");
        buffer_printf(&v->line, "%s%lld%% of ", is_first ? ", failing: " : ", ",
                      count_at(fail, "percent"));
        buffer_add(&v->line, selector.size > 0 ? selector : TEXT("all"));
    }
    end_line(v);
}

static void add_after(struct buffer *line, int64_t ms)
{
    if (ms < 0)
        return;
    buffer_add(line, TEXT(" after "));
    add_age(line, ms);
}

static void add_result_line(struct view *v)
{
    const struct json_node *result = json_member(v->plan, "result");
    const struct json_node *undo = json_at(v->plan, "rollback.automatic");
    struct text outcome = text_at(result, "outcome");
    int64_t ended_ms = instant_at(v->plan, "timeline.duration_ms");
    bool is_beyond = json_get_bool(v->plan, "limits.stop.is_beyond_horizon", false);
    buffer_add(&v->line, TEXT("result    "));
    buffer_add(&v->line, record_state(result));
    if (is_beyond)
        add_texts(&v->line, TEXT_NONE, " still after ", text_at(v->plan, "horizon"));
    add_after(&v->line, ended_ms);
    if (outcome.size > 0)
        add_texts(&v->line, TEXT_NONE, ", outcome ", outcome);
    buffer_printf(&v->line, "   done %lld  failed %lld  pending %lld",
                  count_at(result, "progress.completed_instances"),
                  count_at(result, "progress.failed_instances"),
                  count_at(result, "progress.pending_instances"));
    if (undo && undo->kind == JSON_NODE_OBJECT) {
        buffer_add(&v->line, TEXT("   rollback "));
        buffer_add(&v->line, record_state(undo));
        add_after(&v->line, instant_at(undo, "end_ms"));
    }
    end_line(v);
}

static void add_limits_line(struct view *v)
{
    const struct json_node *limits = json_member(v->plan, "limits");
    const struct json_node *timeline = json_member(v->plan, "timeline");
    struct text first = text_at(limits, "first.reason");
    buffer_printf(&v->line, "limits    at most %lld in flight, at least %lld of %lld available",
                  count_at(timeline, "peak_in_progress"), count_at(timeline, "lowest_available"),
                  count_at(v->plan, "members.total_instances"));
    if (first.size > 0) {
        add_texts(&v->line, TEXT_NONE, "; first to bind: ", first);
        add_after(&v->line, instant_at(limits, "first.at_ms"));
    }
    end_line(v);
    struct text reason = text_at(limits, "stop.reason");
    if (reason.size == 0)
        return;
    add_texts(&v->line, TEXT("stops     "), "", reason);
    add_after(&v->line, instant_at(limits, "stop.at_ms"));
    add_texts(&v->line, TEXT_NONE, ": ", text_at(limits, "stop.message"));
    end_line(v);
}

static void add_rollback_line(struct view *v)
{
    const struct json_node *rollback = json_member(v->plan, "rollback");
    struct text restores = text_at(rollback, "restores");
    if (!rollback || !plan_has_changes(v->plan))
        return;
    buffer_printf(&v->line, "rollback  %lld to what they run now",
                  count_at(rollback, "with_previous"));
    if (count_at(rollback, "without_previous") > 0)
        buffer_printf(&v->line, ", %lld whose version is not known",
                      count_at(rollback, "without_previous"));
    if (count_at(rollback, "without_previous") > 0 && restores.size > 0) {
        add_texts(&v->line, TEXT_NONE, " to that of ", restores);
        buffer_add(&v->line, TEXT(", "));
        add_version(&v->line, json_member(rollback, "target"));
    } else if (count_at(rollback, "without_previous") > 0) {
        buffer_add(&v->line, TEXT(" to nothing"));
    }
    end_line(v);
}

static void add_conflict_lines(struct view *v)
{
    const struct json_node *conflict = json_first(json_member(v->plan, "conflicts"));
    for (; conflict; conflict = conflict->next) {
        add_texts(&v->line, TEXT("conflict  "), "", text_at(conflict, "deployment_id"));
        add_texts(&v->line, TEXT_NONE,
                  " is live; a deploy would be refused now: ", text_at(conflict, "code"));
        end_line(v);
    }
}

/* ---- waves ---------------------------------------------------------------------------------- */

static const struct table_column wave_columns[] = {
    { .title = "WAVE" },
    { .title = "MODE" },
    { .title = "TOTAL", .is_right = true },
    { .title = "UPDATE", .is_right = true },
    { .title = "CURRENT", .is_right = true },
    { .title = "OFFLINE", .is_right = true },
    { .title = "START", .is_right = true },
    { .title = "DONE", .is_right = true },
    { .title = "PASSED", .is_right = true },
    { .title = "THEN" },
};

/* From the steps of one wave: when its members are begun with and done, and all that follows is. */
struct span {
    int64_t start_ms, done_ms, passed_ms;
};

static struct span span_of(const struct json_node *plan, struct text wave)
{
    struct span span = { -1, -1, -1 };
    const struct json_node *step = json_first(json_at(plan, "timeline.steps"));
    for (; step; step = step->next) {
        if (!text_equal(text_at(step, "wave"), wave))
            continue;
        if (span.start_ms < 0)
            span.start_ms = instant_at(step, "start_ms");
        span.passed_ms = instant_at(step, "end_ms");
        if (text_equal(text_at(step, "step"), TEXT("wave")))
            span.done_ms = span.passed_ms;
    }
    return span;
}

static void add_instant(struct table *table, int64_t ms)
{
    cleanup(buffer_release) struct buffer text = { 0 };
    buffer_init(&text, &memory_heap, CELL_MAX);
    if (ms >= 0)
        add_age(&text, ms);
    table_cell(table, ms >= 0 ? buffer_text(&text) : TEXT("-"));
}

/* "soak 10m, gate ok (manual)". */
static void add_then(struct table *table, const struct json_node *wave)
{
    cleanup(buffer_release) struct buffer text = { 0 };
    struct text soak = text_at(wave, "soak");
    const struct json_node *gate = json_first(json_member(wave, "gates"));
    buffer_init(&text, &memory_heap, CELL_MAX);
    if (soak.size > 0 && !text_equal(soak, TEXT("0s")))
        add_texts(&text, TEXT("soak"), " ", soak);
    for (; gate; gate = gate->next) {
        add_texts(&text, text.size > 0 ? TEXT(", ") : TEXT_NONE, "gate ", text_at(gate, "name"));
        add_texts(&text, TEXT(" ("), "", text_at(gate, "type"));
        buffer_add_byte(&text, ')');
    }
    table_cell(table, buffer_text(&text));
}

static void add_waves(struct view *v)
{
    const struct json_node *wave = json_first(json_member(v->plan, "waves"));
    cleanup(table_release) struct table table = { 0 };
    table_init(&table, wave_columns, sizeof wave_columns / sizeof wave_columns[0], false);
    for (; wave; wave = wave->next) {
        struct text name = text_at(wave, "name");
        struct span span = span_of(v->plan, name);
        table_cell(&table, name);
        table_cell_printf(&table, "%.*s %lld", TEXT_ARG(text_at(wave, "mode")),
                          count_at(wave, "batch_limit"));
        table_cell_printf(&table, "%lld", count_at(wave, "total_instances"));
        table_cell_printf(&table, "%lld", count_at(wave, "pending_instances"));
        table_cell_printf(&table, "%lld", count_at(wave, "already_current_instances"));
        table_cell_printf(&table, "%lld", count_at(wave, "offline_instances"));
        add_instant(&table, span.start_ms);
        add_instant(&table, span.done_ms);
        add_instant(&table, span.passed_ms);
        add_then(&table, wave);
    }
    table_print(&table, v->terminal, v->out);
}

/* ---- failure domains ------------------------------------------------------------------------ */

static const struct table_column domain_columns[] = {
    { .title = "DOMAIN" },
    { .title = "TOTAL", .is_right = true },
    { .title = "PEAK", .is_right = true },
    { .title = "AVAILABLE", .is_right = true },
};

static void add_domain(struct table *table, const struct json_node *domain)
{
    cleanup(buffer_release) struct buffer name = { 0 };
    const struct json_node *value = json_member(domain, "value");
    bool has_value = value && value->kind == JSON_NODE_TEXT;
    buffer_init(&name, &memory_heap, CELL_MAX);
    add_texts(&name, has_value ? TEXT_NONE : TEXT("no "), "", text_at(domain, "label"));
    if (has_value)
        add_texts(&name, TEXT_NONE, "=", value->text);
    table_cell(table, buffer_text(&name));
    table_cell_printf(table, "%lld", count_at(domain, "total_instances"));
    table_cell_printf(table, "%lld", count_at(domain, "peak_in_progress"));
    table_cell_printf(table, "%lld", count_at(domain, "lowest_available"));
}

static void add_domains(struct view *v)
{
    const struct json_node *domain = json_first(json_at(v->plan, "timeline.domains"));
    long long total = count_at(v->plan, "timeline.domain_count");
    long long shown = 0;
    cleanup(table_release) struct table table = { 0 };
    if (!domain)
        return;
    table_init(&table, domain_columns, sizeof domain_columns / sizeof domain_columns[0], false);
    for (; domain && (v->is_wide || shown < DOMAINS_SHOWN); domain = domain->next, shown++)
        add_domain(&table, domain);
    table_print(&table, v->terminal, v->out);
    if (total > shown) {
        buffer_printf(&v->line, "... %lld more domains%s", total - shown,
                      v->is_wide ? "" : " (-o wide)");
        end_line(v);
    }
}

/* ---- members -------------------------------------------------------------------------------- */

static const struct table_column member_columns[] = {
    { .title = "MEMBER" },
    { .title = "WAVE" },
    { .title = "RUNS" },
    { .title = "STATUS" },
    { .title = "PICKED", .is_right = true },
    { .title = "ENDED", .is_right = true },
    { .title = "UPDATE" },
};

static void add_member(struct table *table, const struct json_node *member, struct text wave)
{
    cleanup(buffer_release) struct buffer runs = { 0 };
    struct text status = text_at(member, "status_name");
    struct text state = text_at(member, "update_state");
    buffer_init(&runs, &memory_heap, CELL_MAX);
    add_version(&runs, json_member(member, "previous_state"));
    table_cell(table, text_at(member, "instance"));
    table_cell(table, wave);
    table_cell(table, buffer_text(&runs));
    table_cell_tinted(table, status, tint_of(status));
    add_instant(table, instant_at(member, "picked_ms"));
    add_instant(table, instant_at(member, "ended_ms"));
    table_cell_tinted(table, state, tint_of(state));
}

static void add_members(struct view *v)
{
    const struct json_node *wave = json_first(json_member(v->plan, "waves"));
    long long shown = 0;
    cleanup(table_release) struct table table = { 0 };
    table_init(&table, member_columns, sizeof member_columns / sizeof member_columns[0], false);
    for (; wave; wave = wave->next) {
        const struct json_node *member = json_first(json_member(wave, "members"));
        for (; member; member = member->next, shown++)
            add_member(&table, member, text_at(wave, "name"));
    }
    if (shown == 0)
        return;
    table_print(&table, v->terminal, v->out);
    if (text_at(v->plan, "next_cursor").size > 0) {
        buffer_printf(&v->line, "... %lld more members",
                      count_at(v->plan, "members.pending_instances") - shown);
        end_line(v);
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

bool plan_has_changes(const struct json_node *plan)
{
    return count_at(plan, "members.pending_instances") > 0;
}

void plan_add(struct buffer *out, const struct json_node *plan, const struct terminal *terminal,
              bool is_wide)
{
    struct view v = { .out = out, .plan = plan, .terminal = terminal, .is_wide = is_wide };
    buffer_init(&v.line, &memory_heap, CELL_MAX);
    add_plan_line(&v);
    add_members_line(&v);
    add_assumed_line(&v);
    add_result_line(&v);
    add_limits_line(&v);
    add_rollback_line(&v);
    add_conflict_lines(&v);
    add_waves(&v);
    add_domains(&v);
    if (is_wide)
        add_members(&v);
    buffer_release(&v.line);
}
