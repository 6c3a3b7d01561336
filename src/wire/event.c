/* SPDX-License-Identifier: Apache-2.0
 * event.c - what each type of journal entry says. */
#include "wire/event.h"

#include "core/waves.h"
#include "wire/view.h"
#include "wire/words.h"

struct entry {
    struct json_writer w;
    const struct fleet *fleet;
    const struct change *change;
    const struct instance *inst; /* NULL: about a rollout */
    const struct rollout *r;     /* NULL: about an instance, or the record is gone */
};

/* ---- parts ---------------------------------------------------------------------------------- */

static void put_state(struct entry *e, const char *key, struct version v)
{
    json_key(&e->w, key);
    wire_write_version(&e->w, e->fleet, v);
}

static void put_id(struct entry *e, const char *key, uint32_t number)
{
    json_key(&e->w, key);
    wire_write_rollout_id(&e->w, number);
}

static void put_labels(struct entry *e, uint32_t labels)
{
    json_key(&e->w, "labels");
    wire_write_labels(&e->w, e->fleet, labels);
}

static void put_status(struct entry *e, const struct sm_words *words, unsigned status)
{
    json_put_u64(&e->w, "status", status);
    json_put_text(&e->w, "status_name", text_from(sm_word_at(words, status)));
}

static void put_update_state(struct entry *e, enum member_state state)
{
    json_put_text(&e->w, "update_state", text_from(sm_word_at(&member_machine.states, state)));
}

static void put_message(struct entry *e)
{
    struct text message = fleet_text(e->fleet, e->inst->message);
    if (message.size > 0)
        json_put_text(&e->w, "message", message);
}

/* ---- instances ------------------------------------------------------------------------------ */

/* The same members on both sides: those that changed. Returns whether there were any. */
static bool put_updated(struct entry *e, uint8_t status, struct version current, uint32_t labels)
{
    const struct change *c = e->change;
    bool is_status = c->was_status != c->status;
    bool is_current = !version_equal(c->was, e->inst->current);
    bool is_labels = c->was_labels != e->inst->labels;
    if (is_status)
        put_status(e, &instance_machine.states, status);
    if (is_current)
        put_state(e, "current_state", current);
    if (is_labels)
        put_labels(e, labels);
    return is_status || is_current || is_labels;
}

static void put_old_of_instance(struct entry *e)
{
    const struct change *c = e->change;
    switch ((enum change_type)c->type) {
    case CHANGE_UPDATED: put_updated(e, c->was_status, c->was, c->was_labels); break;
    case CHANGE_ONLINE: json_put_bool(&e->w, "online", false); break;
    case CHANGE_OFFLINE: json_put_bool(&e->w, "online", true); break;
    case CHANGE_PICKED: put_state(e, "desired_state", c->was); break;
    case CHANGE_DELETED:
        json_put_text_or_null(&e->w, "ip", instance_ip(e->inst));
        put_labels(e, e->inst->labels);
        put_state(e, "current_state", e->inst->current);
        break;
    default: break; /* nothing was before, or nothing of it is known */
    }
}

static void put_new_of_updated(struct entry *e)
{
    if (put_updated(e, e->change->status, e->inst->current, e->inst->labels)) {
        put_message(e);
        return;
    }
    json_put_text_or_null(&e->w, "ip", instance_ip(e->inst));
    json_put_text(&e->w, "message", fleet_text(e->fleet, e->inst->message));
}

static void put_new_of_failed(struct entry *e)
{
    put_update_state(e, MEMBER_FAILED);
    json_put_text_or_null(&e->w, "cause", text_from(member_cause_word(e->change->cause)));
    put_status(e, &instance_machine.states, e->change->status);
    put_state(e, "current_state", e->inst->current);
    put_message(e);
}

static void put_new_of_instance(struct entry *e)
{
    const struct instance *inst = e->inst;
    switch ((enum change_type)e->change->type) {
    case CHANGE_REGISTERED:
        json_put_text_or_null(&e->w, "ip", instance_ip(inst));
        put_labels(e, inst->labels);
        break;
    case CHANGE_UPDATED: put_new_of_updated(e); break;
    case CHANGE_ONLINE: json_put_bool(&e->w, "online", true); break;
    case CHANGE_OFFLINE: json_put_bool(&e->w, "online", false); break;
    case CHANGE_PICKED:
        put_state(e, "desired_state", inst->desired);
        json_put_u64(&e->w, "attempt", inst->assignment.attempt);
        json_put_time(&e->w, "deadline_at", inst->assignment.deadline_at);
        break;
    case CHANGE_COMPLETED:
        put_update_state(e, MEMBER_COMPLETED);
        put_state(e, "current_state", inst->current);
        break;
    case CHANGE_FAILED: put_new_of_failed(e); break;
    case CHANGE_JOINED: put_update_state(e, fleet_member_state(e->fleet, inst)); break;
    default: break; /* deleted, left: nothing is after */
    }
}

/* ---- waves and gates ------------------------------------------------------------------------ */

static bool is_of_wave(const struct change *c)
{
    return c->type >= CHANGE_WAVE_OPENED && c->type <= CHANGE_GATE_INCONCLUSIVE;
}

static bool is_of_gate(const struct change *c)
{
    return c->type >= CHANGE_GATE_WAITING && c->type <= CHANGE_GATE_INCONCLUSIVE;
}

static void put_wave(struct entry *e)
{
    const struct change *c = e->change;
    json_put_text(&e->w, "wave", wave_name(e->r, c->wave));
    if (is_of_gate(c)) {
        const struct gate_config *gate = &e->r->waves[c->wave].config->gates[c->gate];
        json_put_text(&e->w, "gate", gate->name);
        json_put_text(&e->w, "gate_type", text_from(sm_word_at(&wire_gate_types, gate->type)));
        return;
    }
    json_key(&e->w, "progress");
    wire_write_progress(&e->w, wave_tally(e->r, c->wave));
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static void put_old_of_rollout(struct entry *e)
{
    const struct change *c = e->change;
    if (c->type != CHANGE_ROLLOUT_CREATED && c->type != CHANGE_ROLLBACK_STARTED && !is_of_wave(c))
        put_status(e, &rollout_machine.states, c->was_state);
}

static void put_created(struct entry *e)
{
    const struct rollout *r = e->r;
    put_status(e, &rollout_machine.states, ROLLOUT_UNKNOWN);
    json_put_text(&e->w, "selector", r->selector_text);
    json_put_text_or_null(&e->w, "code_version", fleet_text(e->fleet, r->target.code));
    json_put_text_or_null(&e->w, "configuration_version", fleet_text(e->fleet, r->target.config));
    put_id(e, "retry_of", r->retry_of);
    put_id(e, "rollback_of", r->rollback_of);
}

/* What each type leads to, since one command may move a rollout more than once. */
static enum rollout_state state_after(const struct change *change)
{
    switch ((enum change_type)change->type) {
    case CHANGE_ROLLOUT_STARTED:
    case CHANGE_ROLLOUT_RESUMED: return ROLLOUT_RUNNING;
    case CHANGE_ROLLOUT_PAUSED: return ROLLOUT_PAUSED;
    case CHANGE_ROLLOUT_COMPLETED: return ROLLOUT_COMPLETED;
    case CHANGE_ROLLOUT_FAILED: return ROLLOUT_FAILED;
    default: return change->was_state; /* retried, promoted: it stays */
    }
}

static void put_new_of_rollout(struct entry *e)
{
    const struct rollout *r = e->r;
    if (e->change->type == CHANGE_ROLLOUT_CREATED) {
        put_created(e);
        return;
    }
    if (is_of_wave(e->change)) {
        put_wave(e);
        return;
    }
    if (e->change->type == CHANGE_ROLLBACK_STARTED) {
        put_id(e, "rollback_of", r->rollback_of);
        put_id(e, "restores", r->restores);
        json_put_u64(&e->w, "unresolved", r->unresolved_total);
        return;
    }
    put_status(e, &rollout_machine.states, state_after(e->change));
    json_put_text_or_null(&e->w, "cause", text_from(rollout_cause_word(r->cause)));
    json_put_text_or_null(&e->w, "outcome", text_from(rollout_outcome_word(r->outcome)));
    json_key(&e->w, "progress");
    wire_write_progress(&e->w, rollout_tally(r));
}

/* ---- the fleet ------------------------------------------------------------------------------ */

static void put_new_of_fleet(struct entry *e)
{
    if (e->change->type == CHANGE_FLEET_SILENT)
        json_put_u64(&e->w, "silent_instances", e->fleet->silence.fallen);
    json_put_u64(&e->w, "online_instances", e->fleet->tally.online);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void put_head(struct entry *e, int64_t now)
{
    const struct change *c = e->change;
    json_put_u64(&e->w, "index", c->index);
    json_put_text(&e->w, "type", text_from(change_word(c->type)));
    put_id(e, "deployment_id", c->rollout);
    if (e->inst)
        put_labels(e, e->inst->labels);
    else
        json_put_null(&e->w, "labels");
    json_key(&e->w, "selector");
    if (e->r)
        json_write_text(&e->w, e->r->selector_text);
    else
        json_write_null(&e->w);
    json_put_text_or_null(&e->w, "instance", e->inst ? instance_key(e->inst) : TEXT_NONE);
    json_put_time(&e->w, "time", now);
    json_put_text_or_null(&e->w, "actor", c->actor);
    json_put_text_or_null(&e->w, "reason", c->reason);
}

void wire_write_event(struct buffer *out, const struct fleet *fleet, const struct change *change,
                      int64_t now)
{
    struct entry e = { .fleet = fleet, .change = change };
    if (change->slot != FLEET_NONE)
        e.inst = fleet_at(fleet, change->slot);
    else
        e.r = fleet_rollout(fleet, change->rollout);
    json_writer_init(&e.w, out);
    json_begin_object(&e.w);
    put_head(&e, now);
    json_key(&e.w, "old");
    json_begin_object(&e.w);
    if (e.inst)
        put_old_of_instance(&e);
    else if (e.r)
        put_old_of_rollout(&e);
    json_end_object(&e.w);
    json_key(&e.w, "new");
    json_begin_object(&e.w);
    if (e.inst)
        put_new_of_instance(&e);
    else if (e.r)
        put_new_of_rollout(&e);
    else if (change->rollout == 0)
        put_new_of_fleet(&e);
    json_end_object(&e.w);
    json_end_object(&e.w);
}
