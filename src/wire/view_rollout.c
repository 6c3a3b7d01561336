/* SPDX-License-Identifier: Apache-2.0
 * view_rollout.c - what clients see of a rollout, and why it waits, in sentences. */
#include "core/waves.h"
#include "wire/view.h"

/* ---- waiting -------------------------------------------------------------------------------- */

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

/* Members of the waves up to the open one that need the update: when slots are free and nobody is
 * picked, they are offline. */
static uint32_t awaited(const struct rollout *r)
{
    uint32_t pending = 0;
    for (uint32_t i = 0; i <= r->open_wave; i++)
        pending += wave_tally(r, i)->pending;
    return pending;
}

static void describe_slots(const struct rollout *r, const struct waiting *waiting,
                           struct buffer *out)
{
    bool is_last = r->open_wave + 1 == r->wave_count;
    buffer_printf(out, "%u of %u slots busy", waiting->count, waiting->limit);
    if (waiting->count >= waiting->limit)
        return;
    if (awaited(r) > 0)
        buffer_add(out, TEXT("; the other members are offline"));
    else if (is_last)
        buffer_add(out, TEXT("; nobody else needs the update"));
    else
        buffer_printf(out, "; nobody else of wave %.*s needs the update",
                      TEXT_ARG(wave_name(r, r->open_wave)));
}

static void describe_settling(const struct rollout *r, const struct waiting *waiting,
                              struct buffer *out)
{
    buffer_printf(out,
                  "%u of %u members in progress are HEALTHY on the target and must stay so for ",
                  waiting->count, waiting->limit);
    format_duration(out, r->config.min_healthy_ms);
}

static void describe_leftovers(const struct rollout *r, struct buffer *out)
{
    const struct tally *t = rollout_tally(r);
    buffer_printf(out, "%u failed and %u offline member%s may still recover, return or be retried",
                  t->failed, t->pending, plural(t->failed + t->pending));
}

static void describe_pause(const struct rollout *r, struct buffer *out)
{
    const struct gate_config *gate = waves_gate(r);
    if (gate && r->gate_state == GATE_INCONCLUSIVE)
        buffer_printf(out, "gate %.*s was not decided in time; resume it to wait once more",
                      TEXT_ARG(gate->name));
    else if (r->is_breach_pause)
        buffer_add(out, rollout_tally(r)->failed > 0
                            ? TEXT("too many members failed; resume it to go on, or roll it back")
                            : TEXT("a breach paused it; resume it to go on, or roll it back"));
    else
        buffer_add(out, TEXT("an operator paused it; resume it to go on"));
}

static void describe_soak(const struct rollout *r, struct buffer *out)
{
    const struct tally *t = wave_tally(r, r->open_wave);
    struct text name = wave_name(r, r->open_wave);
    buffer_printf(out, "%u completed member%s of wave %.*s %s watched for ", t->completed,
                  plural(t->completed), TEXT_ARG(name), t->completed == 1 ? "is" : "are");
    format_duration(out, wave_soak_ms(r, r->open_wave));
    buffer_add(out, TEXT("; promote cuts that short"));
}

static void describe_domain(const struct waiting *waiting, struct buffer *out)
{
    if (waiting->name.size == 0) {
        buffer_add(out, text_from(waiting_meaning(waiting->reason)));
        return;
    }
    buffer_printf(
        out, "%s%.*s%s%.*s has %u of %u members in flight, and those left are in such domains",
        waiting->value.data ? "" : "the domain without ", TEXT_ARG(waiting->name),
        waiting->value.data ? "=" : "", TEXT_ARG(waiting->value), waiting->count, waiting->limit);
}

static void describe_offline(const struct waiting *waiting, struct buffer *out)
{
    if (waiting->is_mass_silence)
        buffer_printf(
            out,
            "most of the fleet fell silent at once, and %u of %u are silent still: nothing "
            "is decided until more than half of them are heard again",
            waiting->count, waiting->limit);
    else
        buffer_printf(out, "%u of %u members need the update and are offline", waiting->count,
                      waiting->limit);
}

/* One sentence that says how much is waited for. */
static void describe(const struct rollout *r, const struct waiting *waiting, struct buffer *out)
{
    switch (waiting->reason) {
    case WAITING_BATCH_FULL: describe_slots(r, waiting, out); return;
    case WAITING_BARRIER:
        buffer_printf(out, "the next batch starts when %u member%s of this one %s done",
                      waiting->count, plural(waiting->count), waiting->count == 1 ? "is" : "are");
        return;
    case WAITING_MIN_HEALTHY: describe_settling(r, waiting, out); return;
    case WAITING_SOAK: describe_soak(r, out); return;
    case WAITING_GATE:
        buffer_printf(out, "gate %.*s after wave %.*s waits for promote", TEXT_ARG(waiting->name),
                      TEXT_ARG(wave_name(r, r->open_wave)));
        return;
    case WAITING_DOMAIN_CAP: describe_domain(waiting, out); return;
    case WAITING_MIN_AVAILABLE:
        buffer_printf(out, "%u member%s available, and %u must stay so", waiting->count,
                      waiting->count == 1 ? " is" : "s are", waiting->limit);
        return;
    case WAITING_OFFLINE: describe_offline(waiting, out); return;
    case WAITING_LEFTOVER: describe_leftovers(r, out); return;
    case WAITING_PAUSED: describe_pause(r, out); return;
    case WAITING_HELD:
    case WAITING_STORE:
    case WAITING_REASON_COUNT: break;
    }
    buffer_add(out, text_from(waiting_meaning(waiting->reason)));
}

/* "batch_full", or "gate:ok": which gate it is matters to who is to pass it. */
static void put_reason(struct json_writer *w, const struct waiting *waiting)
{
    struct sentence s;
    sentence_init(&s);
    buffer_add(&s.buffer, text_from(waiting_word(waiting->reason)));
    if (waiting->reason == WAITING_GATE)
        buffer_printf(&s.buffer, ":%.*s", TEXT_ARG(waiting->name));
    json_put_text(w, "reason", buffer_text(&s.buffer));
}

static void write_waiting(struct json_writer *w, const struct rollout *r,
                          const struct waiting *waiting)
{
    struct sentence s;
    sentence_init(&s);
    describe(r, waiting, &s.buffer);
    json_begin_object(w);
    put_reason(w, waiting);
    json_put_text(w, "message", buffer_text(&s.buffer));
    json_put_time(w, "since", waiting->since);
    json_put_time(w, "until", waiting->until);
    json_end_object(w);
}

static void put_waiting(struct json_writer *w, const struct fleet *fleet, const struct rollout *r,
                        int64_t store_fails_since)
{
    struct waiting list[WAITING_REASON_COUNT];
    size_t count = waiting_list(fleet, r, list);
    json_key(w, "waiting");
    json_begin_list(w);
    if (store_fails_since != 0 && rollout_is_live(r))
        write_waiting(w, r,
                      &(struct waiting){ .reason = WAITING_STORE, .since = store_fails_since });
    for (size_t i = 0; i < count; i++)
        write_waiting(w, r, &list[i]);
    json_end_list(w);
}

/* ---- parts ---------------------------------------------------------------------------------- */

static void put_id(struct json_writer *w, const char *key, uint32_t number)
{
    json_key(w, key);
    wire_write_rollout_id(w, number);
}

/* As the body of a deploy would have to be, to ask for the same. */
void wire_write_request(struct json_writer *w, const struct fleet *fleet, const struct rollout *r)
{
    json_begin_object(w);
    json_put_text_or_null(w, "code_version", fleet_text(fleet, r->target.code));
    json_put_text_or_null(w, "configuration_version", fleet_text(fleet, r->target.config));
    json_put_text(w, "selector", r->selector_text);
    json_key(w, "configuration");
    wire_write_config(w, &r->config);
    json_put_text_or_null(w, "reason", r->reason);
    json_end_object(w);
}

static void put_state(struct json_writer *w, const struct rollout *r)
{
    put_id(w, "id", r->number);
    json_put_u64(w, "status", r->state);
    json_put_text(w, "status_name", text_from(sm_word_at(&rollout_machine.states, r->state)));
    json_put_text_or_null(w, "outcome", text_from(rollout_outcome_word(r->outcome)));
    json_put_text_or_null(w, "cause", text_from(rollout_cause_word(r->cause)));
    json_put_u64(w, "generation", r->generation);
    json_put_u64(w, "revision", r->revision);
}

static void put_relations(struct json_writer *w, const struct rollout *r)
{
    put_id(w, "retry_of", r->retry_of);
    put_id(w, "rollback_of", r->rollback_of);
    put_id(w, "restores", r->restores);
    put_id(w, "rolled_back_by", r->rolled_back_by);
    json_put_text_or_null(w, "rollback_error", r->has_no_target ? TEXT("no_target") : TEXT_NONE);
    json_key(w, "unresolved");
    json_begin_list(w);
    for (uint32_t i = 0; i < r->unresolved_count; i++)
        json_write_text(w, r->unresolved[i]);
    json_end_list(w);
}

static void put_failures(struct json_writer *w, const struct rollout *r)
{
    json_key(w, "failures");
    json_begin_list(w);
    for (uint32_t i = 0; i < r->failure_count; i++) {
        const struct rollout_failure *failure = &r->failures[i];
        json_begin_object(w);
        json_put_text(w, "instance", failure->key);
        json_put_text_or_null(w, "cause", text_from(member_cause_word(failure->cause)));
        json_put_text(w, "message", failure->message);
        json_end_object(w);
    }
    json_end_list(w);
}

/* ---- the whole ------------------------------------------------------------------------------ */

void wire_write_rollout_open(struct json_writer *w, const struct fleet *fleet,
                             const struct rollout *r, int64_t store_fails_since)
{
    json_begin_object(w);
    put_state(w, r);
    json_key(w, "request");
    wire_write_request(w, fleet, r);
    json_put_text(w, "selector", r->selector_text);
    json_key(w, "progress");
    wire_write_progress(w, rollout_tally(r));
    json_key(w, "waves");
    wire_write_waves(w, r);
    wire_put_domains(w, fleet, r);
    put_waiting(w, fleet, r, store_fails_since);
    json_put_u64(w, "available", rollout_tally(r)->available);
    json_key(w, "allowed_verbs");
    wire_write_verbs(w, fleet_allowed_verbs(fleet, r));
    json_put_text_or_null(w, "created_by", r->created_by);
    json_put_text_or_null(w, "reason", r->reason);
    json_put_time(w, "created_at", r->created_at);
    json_put_time(w, "started_at", r->started_at);
    json_put_time(w, "ended_at", r->ended_at);
    put_relations(w, r);
    put_failures(w, r);
}

void wire_write_rollout(struct json_writer *w, const struct fleet *fleet, const struct rollout *r,
                        int64_t store_fails_since)
{
    wire_write_rollout_open(w, fleet, r, store_fails_since);
    json_end_object(w);
}
