/* SPDX-License-Identifier: Apache-2.0
 * view_rollout.c - what clients see of a rollout, and why it waits, in sentences. */
#include "wire/view.h"

/* ---- waiting -------------------------------------------------------------------------------- */

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void describe_slots(const struct rollout *r, const struct waiting *waiting,
                           struct buffer *out)
{
    buffer_printf(out, "%u of %u slots busy", waiting->count, waiting->limit);
    if (waiting->count < waiting->limit)
        buffer_printf(out, "; %s",
                      rollout_tally(r)->pending > 0 ? "the other members are offline"
                                                    : "nobody else needs the update");
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
    case WAITING_OFFLINE:
        buffer_printf(out, "%u of %u members need the update and are offline", waiting->count,
                      waiting->limit);
        return;
    case WAITING_LEFTOVER: describe_leftovers(r, out); return;
    case WAITING_PAUSED:
        buffer_add(out, r->is_breach_pause
                            ? TEXT("too many members failed; resume it to go on, or roll it back")
                            : TEXT("an operator paused it; resume it to go on"));
        return;
    case WAITING_SOAK:
    case WAITING_GATE:
    case WAITING_DOMAIN_CAP:
    case WAITING_MIN_AVAILABLE:
    case WAITING_STORE:
    case WAITING_REASON_COUNT: break;
    }
    buffer_add(out, text_from(waiting_meaning(waiting->reason)));
}

static void write_waiting(struct json_writer *w, const struct rollout *r,
                          const struct waiting *waiting)
{
    struct sentence s;
    sentence_init(&s);
    describe(r, waiting, &s.buffer);
    json_begin_object(w);
    json_put_text(w, "reason", text_from(waiting_word(waiting->reason)));
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

static const char *wave_state(const struct rollout *r)
{
    switch ((enum rollout_state)r->state) {
    case ROLLOUT_RUNNING: return "running";
    case ROLLOUT_PAUSED: return "paused";
    case ROLLOUT_COMPLETED: return "passed";
    case ROLLOUT_FAILED: return "failed";
    case ROLLOUT_UNKNOWN:
    case rollout_state_count: break;
    }
    return "not started";
}

/* A rolling rollout has one wave that holds everybody. */
static void put_waves(struct json_writer *w, const struct rollout *r)
{
    json_key(w, "waves");
    json_begin_list(w);
    json_begin_object(w);
    json_put_text(w, "name", TEXT("all"));
    json_put_text(w, "state", text_from(wave_state(r)));
    json_key(w, "progress");
    wire_write_progress(w, rollout_tally(r));
    json_end_object(w);
    json_end_list(w);
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
    put_waves(w, r);
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
}

void wire_write_rollout(struct json_writer *w, const struct fleet *fleet, const struct rollout *r,
                        int64_t store_fails_since)
{
    wire_write_rollout_open(w, fleet, r, store_fails_since);
    json_end_object(w);
}
