/* SPDX-License-Identifier: Apache-2.0
 * view_plan.c - see view_plan.h. Instants are ms from the beginning, and null when they do not
 * come. */
#include "wire/view_plan.h"

#include "core/waves.h"
#include "wire/words.h"

/* ---- small parts ---------------------------------------------------------------------------- */

static void put_instant(struct json_writer *w, const char *key, int64_t ms)
{
    if (ms == FORECAST_NEVER)
        json_put_null(w, key);
    else
        json_put_i64(w, key, ms);
}

static void put_duration(struct json_writer *w, const char *key, int64_t ms)
{
    struct sentence s;
    sentence_init(&s);
    format_duration(&s.buffer, ms);
    json_put_text(w, key, buffer_text(&s.buffer));
}

static void put_id(struct json_writer *w, const char *key, uint32_t number)
{
    json_key(w, key);
    wire_write_rollout_id(w, number);
}

static void put_selector(struct json_writer *w, const struct selector *selector)
{
    struct buffer canonical;
    buffer_init(&canonical, w->out->memory, LIMIT_SELECTOR);
    selector_print(selector, &canonical);
    w->out->failed = w->out->failed || canonical.failed;
    json_put_text(w, "selector", buffer_text(&canonical));
    buffer_release(&canonical);
}

static void put_word(struct json_writer *w, const char *key, const char *word)
{
    json_put_text_or_null(w, key, text_from(word));
}

/* ---- what was asked ------------------------------------------------------------------------- */

void wire_write_plan_request(struct json_writer *w, const struct deploy_command *command)
{
    json_begin_object(w);
    json_put_text_or_null(w, "code_version", command->code);
    json_put_text_or_null(w, "configuration_version", command->config);
    put_selector(w, &command->selector);
    json_key(w, "configuration");
    wire_write_config(w, &command->rollout);
    json_end_object(w);
}

static void put_assumptions(struct json_writer *w, const struct forecast *f,
                            const struct forecast_assumptions *assume)
{
    json_key(w, "assume");
    json_begin_object(w);
    put_duration(w, "update", f->update_ms);
    put_id(w, "update_from", f->update_from);
    put_duration(w, "approve", assume->approve_ms);
    json_key(w, "fail");
    json_begin_list(w);
    for (uint32_t i = 0; i < assume->fail_count; i++) {
        json_begin_object(w);
        put_selector(w, &assume->fail[i].selector);
        json_put_u64(w, "percent", assume->fail[i].percent);
        json_end_object(w);
    }
    json_end_list(w);
    json_put_u64(w, "seed", assume->seed);
    json_end_object(w);
    put_duration(w, "horizon", f->horizon_ms);
}

/* ---- members and waves ---------------------------------------------------------------------- */

static void put_counts(struct json_writer *w, const struct forecast_wave *counts)
{
    json_put_u64(w, "total_instances", counts->total);
    json_put_u64(w, "pending_instances", counts->needing);
    json_put_u64(w, "already_current_instances", counts->current);
    json_put_u64(w, "offline_instances", counts->offline);
}

static void put_members(struct json_writer *w, const struct forecast *f)
{
    struct forecast_wave all = { .total = 0 };
    for (uint32_t i = 0; i < f->wave_count; i++) {
        all.total += f->waves[i].total;
        all.needing += f->waves[i].needing;
        all.current += f->waves[i].current;
        all.offline += f->waves[i].offline;
    }
    json_key(w, "members");
    json_begin_object(w);
    put_counts(w, &all);
    json_end_object(w);
}

static void write_member(struct json_writer *w, const struct forecast *f,
                         const struct forecast_member *m)
{
    const struct fleet *fleet = f->fleet;
    json_begin_object(w);
    json_put_text(w, "instance", instance_key(fleet_at(fleet, m->slot)));
    json_key(w, "previous_state");
    wire_write_version(w, fleet, m->from);
    json_put_text(w, "status_name", text_from(sm_word_at(&instance_machine.states, m->status)));
    json_put_bool(w, "online", m->is_online);
    put_instant(w, "picked_ms", m->picked_ms);
    put_instant(w, "ended_ms", m->ended_ms);
    json_put_text(w, "update_state", text_from(sm_word_at(&member_machine.states, m->state)));
    put_word(w, "cause", member_cause_word((enum member_cause)m->cause));
    json_end_object(w);
}

static void put_gates(struct json_writer *w, const struct rollout *r, uint32_t wave)
{
    const struct wave_config *config = r->waves[wave].config;
    json_key(w, "gates");
    json_begin_list(w);
    for (uint32_t i = 0; config && i < config->gate_count; i++) {
        json_begin_object(w);
        json_put_text(w, "name", config->gates[i].name);
        json_put_text(w, "type", text_from(sm_word_at(&wire_gate_types, config->gates[i].type)));
        json_end_object(w);
    }
    json_end_list(w);
}

/* Members [*first, end) of the page, as far as they are of this wave. */
static void write_wave(struct json_writer *w, const struct forecast *f, uint32_t wave,
                       uint32_t first, uint32_t end)
{
    const struct rollout *r = f->rollout;
    const struct forecast_wave *counts = &f->waves[wave];
    const struct wave_config *config = r->waves[wave].config;
    uint32_t from = counts->first > first ? counts->first : first;
    uint32_t to = counts->first + counts->needing < end ? counts->first + counts->needing : end;
    json_begin_object(w);
    json_put_text(w, "name", wave_name(r, wave));
    json_put_text(w, "mode", text_from(sm_word_at(&wire_modes, wave_mode(r, wave))));
    json_put_u64(w, "batch_limit", counts->batch_limit);
    json_put_u64(w, "failure_limit", counts->failure_limit);
    put_duration(w, "soak", config ? config->soak_ms : 0);
    put_gates(w, r, wave);
    put_counts(w, counts);
    json_key(w, "members");
    json_begin_list(w);
    for (uint32_t i = from; i < to && i < f->member_count; i++)
        write_member(w, f, &f->members[i]);
    json_end_list(w);
    json_end_object(w);
}

static uint32_t find_place(const struct forecast *f, const struct wire_plan_page *page)
{
    uint32_t slot = page->last.size > 0 ? fleet_find(f->fleet, page->last) : FLEET_NONE;
    for (uint32_t i = 0; slot != FLEET_NONE && i < f->member_count; i++)
        if (f->members[i].slot == slot)
            return i + 1;
    return page->position < f->member_count ? page->position : f->member_count;
}

static void put_cursor(struct json_writer *w, const struct forecast *f, uint32_t end)
{
    struct buffer cursor;
    json_key(w, "next_cursor");
    if (end == 0 || end >= f->member_count) {
        json_write_null(w);
        return;
    }
    buffer_init(&cursor, w->out->memory, LIMIT_NAME + 32);
    buffer_add_u64(&cursor, end);
    buffer_add_byte(&cursor, '.');
    buffer_add(&cursor, instance_key(fleet_at(f->fleet, f->members[end - 1].slot)));
    w->out->failed = w->out->failed || cursor.failed;
    json_write_text(w, buffer_text(&cursor));
    buffer_release(&cursor);
}

static void put_waves(struct json_writer *w, const struct forecast *f,
                      const struct wire_plan_page *page)
{
    uint32_t first = find_place(f, page);
    uint32_t left = f->member_count - first;
    uint32_t end = first + (page->limit < left ? (uint32_t)page->limit : left);
    json_key(w, "waves");
    json_begin_list(w);
    for (uint32_t i = 0; i < f->wave_count; i++)
        write_wave(w, f, i, first, end);
    json_end_list(w);
    put_cursor(w, f, end);
}

bool wire_read_plan_cursor(struct text cursor, struct wire_plan_page *ret, struct err *err)
{
    size_t end = text_find(cursor, '.');
    uint64_t position;
    struct text last = text_skip(cursor, end + 1);
    if (!text_to_u64((struct text){ cursor.data, end }, UINT32_MAX, &position) || last.size == 0)
        return err_set(err, ERR_INVALID, "cursor must be the next_cursor of the page before");
    ret->position = (uint32_t)position;
    ret->last = last;
    return true;
}

/* ---- the timeline --------------------------------------------------------------------------- */

static void write_step(struct json_writer *w, const struct forecast *f,
                       const struct forecast_step *step)
{
    static const char *const kinds[] = { "wave", "soak", "gate" };
    const struct rollout *r = f->rollout;
    json_begin_object(w);
    json_put_text(w, "step", text_from(kinds[step->kind]));
    json_put_text(w, "wave", wave_name(r, step->wave));
    json_key(w, "gate");
    if (step->kind == FORECAST_GATE)
        json_write_text(w, r->waves[step->wave].config->gates[step->gate].name);
    else
        json_write_null(w);
    put_instant(w, "start_ms", step->start_ms);
    put_instant(w, "end_ms", step->end_ms);
    json_end_object(w);
}

static void write_domain(struct json_writer *w, const struct forecast *f,
                         const struct forecast_domain *domain)
{
    json_begin_object(w);
    json_put_text(w, "label", f->rollout->config.domains[domain->label].label);
    json_key(w, "value");
    if (domain->value == LABELS_ABSENT)
        json_write_null(w);
    else
        json_write_text(w, fleet_text(f->fleet, domain->value));
    json_put_u64(w, "total_instances", domain->total);
    json_put_u64(w, "peak_in_progress", domain->peak_in_progress);
    json_put_u64(w, "lowest_available", domain->lowest_available);
    json_end_object(w);
}

static void put_timeline(struct json_writer *w, const struct forecast *f)
{
    json_key(w, "timeline");
    json_begin_object(w);
    put_instant(w, "duration_ms", f->ended_ms);
    json_key(w, "steps");
    json_begin_list(w);
    for (uint32_t i = 0; i < f->step_count; i++)
        write_step(w, f, &f->steps[i]);
    json_end_list(w);
    json_put_u64(w, "peak_in_progress", f->peak_in_progress);
    json_put_u64(w, "lowest_available", f->lowest_available);
    json_key(w, "domains");
    json_begin_list(w);
    for (uint32_t i = 0; i < f->domain_count && i < WIRE_PLAN_DOMAINS_SHOWN; i++)
        write_domain(w, f, &f->domains[i]);
    json_end_list(w);
    json_put_u64(w, "domain_count", f->domain_count);
    json_end_object(w);
}

static void put_state(struct json_writer *w, const struct rollout *r)
{
    json_put_u64(w, "status", r->state);
    json_put_text(w, "status_name", text_from(sm_word_at(&rollout_machine.states, r->state)));
    put_word(w, "outcome", rollout_outcome_word((enum rollout_outcome)r->outcome));
    put_word(w, "cause", rollout_cause_word((enum rollout_cause)r->cause));
    json_key(w, "progress");
    wire_write_progress(w, rollout_tally(r));
}

static void put_result(struct json_writer *w, const struct forecast *f)
{
    json_key(w, "result");
    json_begin_object(w);
    put_state(w, f->rollout);
    json_end_object(w);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void write_first(struct json_writer *w, const struct forecast *f)
{
    if (f->first_limit == WAITING_REASON_COUNT) {
        json_write_null(w);
        return;
    }
    enum waiting_reason reason = (enum waiting_reason)f->first_limit;
    json_begin_object(w);
    json_put_text(w, "reason", text_from(waiting_word(reason)));
    json_put_text(w, "message", text_from(waiting_meaning(reason)));
    put_instant(w, "at_ms", f->limits[reason].first_ms);
    json_end_object(w);
}

static void put_held(struct json_writer *w, const struct forecast *f)
{
    json_key(w, "held");
    json_begin_list(w);
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++) {
        if (f->limits[reason].first_ms == FORECAST_NEVER)
            continue;
        json_begin_object(w);
        json_put_text(w, "reason", text_from(waiting_word((enum waiting_reason)reason)));
        put_instant(w, "first_ms", f->limits[reason].first_ms);
        json_put_i64(w, "held_ms", f->limits[reason].held_ms);
        json_end_object(w);
    }
    json_end_list(w);
}

static const char *why_failed(enum rollout_cause cause)
{
    switch (cause) {
    case ROLLOUT_CAUSE_THRESHOLD: return "too many members fail";
    case ROLLOUT_CAUSE_DOMAIN_THRESHOLD: return "too many members of a failure domain fail";
    case ROLLOUT_CAUSE_GATE: return "a gate fails, or is answered too late";
    case ROLLOUT_CAUSE_PROGRESS_DEADLINE: return "no member completes in time";
    case ROLLOUT_CAUSE_LEFTOVER: return "failed or offline members are left over";
    case ROLLOUT_CAUSE_HOOK: return "a hook does not answer";
    case ROLLOUT_CAUSE_ABORTED: return "somebody aborts it";
    case ROLLOUT_CAUSE_ROLLED_BACK: return "somebody rolls it back";
    case ROLLOUT_CAUSE_NONE:
    case ROLLOUT_CAUSE_COUNT: break;
    }
    return "it fails";
}

/* The reason as a record shows it: gates have their names with them. */
static void put_stop_reason(struct json_writer *w, const struct forecast *f)
{
    struct sentence s;
    sentence_init(&s);
    if (!rollout_is_live(f->rollout))
        buffer_add(&s.buffer, text_from(rollout_cause_word((enum rollout_cause)f->rollout->cause)));
    else if (f->stop.reason == WAITING_REASON_COUNT)
        buffer_add(&s.buffer, TEXT("horizon"));
    else
        buffer_add(&s.buffer, text_from(waiting_word(f->stop.reason)));
    if (rollout_is_live(f->rollout) && f->stop.reason == WAITING_GATE)
        buffer_printf(&s.buffer, ":%.*s", TEXT_ARG(f->stop.name));
    json_put_text(w, "reason", buffer_text(&s.buffer));
}

static void put_stop_message(struct json_writer *w, const struct forecast *f)
{
    struct sentence s;
    sentence_init(&s);
    if (!rollout_is_live(f->rollout)) {
        buffer_printf(&s.buffer, "it ends FAILED: %s",
                      why_failed((enum rollout_cause)f->rollout->cause));
    } else if (f->is_cut) {
        buffer_add(&s.buffer, TEXT("it is not done after the horizon of "));
        format_duration(&s.buffer, f->horizon_ms);
    } else if (f->rollout->state == ROLLOUT_PAUSED) {
        buffer_add(&s.buffer, TEXT("it pauses, and stays so until an operator resumes it"));
    } else {
        buffer_add(&s.buffer, TEXT("it would wait for ever"));
    }
    json_put_text(w, "message", buffer_text(&s.buffer));
}

static void write_stop(struct json_writer *w, const struct forecast *f)
{
    if (!f->is_stopped) {
        json_write_null(w);
        return;
    }
    json_begin_object(w);
    put_stop_reason(w, f);
    put_stop_message(w, f);
    put_instant(w, "at_ms", f->stop_ms);
    json_put_bool(w, "is_beyond_horizon", rollout_is_live(f->rollout) && f->is_cut);
    json_end_object(w);
}

static void put_limits(struct json_writer *w, const struct forecast *f)
{
    json_key(w, "limits");
    json_begin_object(w);
    json_key(w, "first");
    write_first(w, f);
    put_held(w, f);
    json_key(w, "stop");
    write_stop(w, f);
    json_end_object(w);
}

/* ---- rollback and conflicts ----------------------------------------------------------------- */

static void write_automatic(struct json_writer *w, const struct forecast *f)
{
    if (!f->rollback) {
        json_write_null(w);
        return;
    }
    json_begin_object(w);
    put_state(w, f->rollback);
    put_instant(w, "start_ms", f->rollback->created_at - f->began_at);
    put_instant(w, "end_ms", f->rollback_ended_ms);
    json_end_object(w);
}

static void put_rollback(struct json_writer *w, const struct forecast *f)
{
    const struct rollout *target = fleet_rollout(f->fleet, f->restores);
    json_key(w, "rollback");
    json_begin_object(w);
    put_id(w, "restores", f->restores);
    json_key(w, "target");
    if (target)
        wire_write_version(w, f->fleet, target->target);
    else
        json_write_null(w);
    json_put_u64(w, "with_previous", f->known);
    json_put_u64(w, "without_previous", f->unknown);
    json_key(w, "automatic");
    write_automatic(w, f);
    json_end_object(w);
}

static void put_conflicts(struct json_writer *w, const struct forecast *f)
{
    json_key(w, "conflicts");
    json_begin_list(w);
    for (uint32_t i = 0; i < f->conflict_count; i++) {
        json_begin_object(w);
        put_id(w, "deployment_id", f->conflicts[i].rollout);
        json_put_text(w, "code", text_from(err_word(f->conflicts[i].code)));
        json_put_text(w, "message", text_from(err_title(f->conflicts[i].code)));
        json_end_object(w);
    }
    json_end_list(w);
}

/* ---- the whole ------------------------------------------------------------------------------ */

void wire_write_plan(struct json_writer *w, const struct forecast *f,
                     const struct wire_plan *request, struct text hash,
                     const struct wire_plan_page *page)
{
    json_begin_object(w);
    json_put_text(w, "plan_hash", hash);
    json_key(w, "request");
    wire_write_plan_request(w, &request->command);
    put_assumptions(w, f, &request->assume);
    put_members(w, f);
    put_waves(w, f, page);
    put_timeline(w, f);
    put_result(w, f);
    put_limits(w, f);
    put_rollback(w, f);
    put_conflicts(w, f);
    json_end_object(w);
}
