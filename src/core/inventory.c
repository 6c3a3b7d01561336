/* SPDX-License-Identifier: Apache-2.0
 * inventory.c - registration, heartbeats, deletion (spec of rollouts, section 3). A heartbeat costs
 * the same whatever the size of the fleet, and one that changes nothing touches no record. */
#include "core/inventory.h"

#include "core/command.h"
#include "core/membership.h"
#include "core/place.h"
#include "core/progress.h"

#include <assert.h>

/* ---- steps of the two small machines -------------------------------------------------------- */

/* A report's number is its status, so the first events follow the states one by one. */
_Static_assert(INSTANCE_SAYS_UNKNOWN == 0 && (int)INSTANCE_RESET == (int)instance_state_count,
               "one report per status, in the same order, before all other events");

/* The only place that writes an instance's status. */
static void status_step(struct instance *inst, enum instance_event event)
{
    const struct sm_row *row = sm_pick(&instance_machine, inst->status, event, NULL, NULL);
    assert(row); /* every report is possible in every state; a reset is asked for where it is */
    inst->status = sm_target(row, inst->status);
}

bool inventory_reset(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    if (inst->status != INSTANCE_FAILED)
        return false;
    fleet_touch(fleet, slot);
    struct change change = { .type = CHANGE_UPDATED,
                             .slot = slot,
                             .was_status = inst->status,
                             .was = inst->current,
                             .was_labels = inst->labels };
    status_step(inst, INSTANCE_RESET);
    fleet_publish(fleet, &change);
    return true;
}

/* The only place that writes an instance's presence. */
static void presence_step(struct fleet *fleet, uint32_t slot, enum presence_event event)
{
    struct instance *inst = fleet_at(fleet, slot);
    const struct sm_row *row = sm_pick(&presence_machine, inst->presence, event, NULL, NULL);
    assert(row); /* silence is told of those who are heard only */
    if (row->to == SM_STAY)
        return;
    fleet_touch(fleet, slot);
    silence_ended(fleet, inst);
    inst->presence = row->to;
    bool is_online = row->then & SM_DO(presence, PRESENCE_TELL_ONLINE);
    inst->offline_at = is_online ? 0 : fleet->now;
    inst->was_idle = !is_online && fleet_member_state(fleet, inst) != MEMBER_IN_PROGRESS;
    silence_fell(fleet, inst);
    fleet_publish(fleet, &(struct change){ .type = is_online ? CHANGE_ONLINE : CHANGE_OFFLINE,
                                           .slot = slot });
}

void inventory_silent(struct fleet *fleet, uint32_t slot)
{
    presence_step(fleet, slot, PRESENCE_SILENT);
    place_again(fleet, slot);
}

/* Somebody is back: it may be the one with whom most of the fleet is heard again. What memory does
 * not allow now is done by the next tick. */
static void note_return(struct fleet *fleet)
{
    if (!silence_is_frozen(fleet) || !silence_watch(fleet, NULL))
        return;
    for (size_t i = 0; i < FLEET_LIVE_MAX && !silence_is_frozen(fleet); i++)
        if (fleet->live[i])
            progress_concern(fleet, fleet->live[i]->rollout, NULL);
}

/* ---- registration --------------------------------------------------------------------------- */

static bool register_new(struct fleet *fleet, const struct register_command *command,
                         uint32_t *ret_slot, struct err *err)
{
    if (fleet->instance_count >= fleet->settings.max_instances)
        return err_set(err, ERR_FULL, "max_instances is %u and all are in use",
                       fleet->settings.max_instances);
    uint32_t labels = 0;
    if (!labels_merge(&fleet->labels, 0, command->labels, command->label_count, &labels, err))
        return false;
    uint32_t slot = 0;
    if (!fleet_reserve(fleet, 2, err) || !fleet_reserve_labels(fleet, err) ||
        !fleet_add(fleet, command->name, command->ip, &slot, err)) {
        labels_drop(&fleet->labels, labels);
        return false;
    }
    struct instance *inst = fleet_at(fleet, slot);
    inst->labels = labels;
    inst->registered_at = inst->last_seen = fleet->now;
    place_put(fleet, slot, NULL, MEMBER_NONE, 0);
    fleet_publish(fleet, &(struct change){ .type = CHANGE_REGISTERED, .slot = slot });
    member_review(fleet, slot);
    *ret_slot = slot;
    return true;
}

static bool register_known(struct fleet *fleet, const struct register_command *command,
                           uint32_t slot, struct err *err)
{
    struct instance *inst = fleet_at(fleet, slot);
    uint32_t labels = 0;
    if (!fleet_reserve(fleet, 2, err) || !fleet_reserve_labels(fleet, err) ||
        !labels_merge(&fleet->labels, 0, command->labels, command->label_count, &labels, err))
        return false;
    bool is_relabelled = command->has_labels && labels != inst->labels;
    bool is_moved = command->ip.size > 0 && !text_equal(command->ip, instance_ip(inst));
    if (is_relabelled || is_moved)
        fleet_touch(fleet, slot);
    if (is_moved && !fleet_set_ip(fleet, inst, command->ip, err)) {
        labels_drop(&fleet->labels, labels);
        return false;
    }
    struct change change = { .type = CHANGE_UPDATED,
                             .slot = slot,
                             .was_status = inst->status,
                             .was = inst->current,
                             .was_labels = inst->labels };
    if (is_relabelled || is_moved)
        fleet_publish(fleet, &change);
    if (is_relabelled)
        fleet_set_labels(fleet, inst, labels);
    else
        labels_drop(&fleet->labels, labels);
    inst->last_seen = fleet->now;
    inst->session = 0; /* who registers may be another host: reports of the one before are over */
    presence_step(fleet, slot, PRESENCE_SEEN);
    if (is_relabelled)
        member_review(fleet, slot);
    else
        place_again(fleet, slot);
    return true;
}

bool fleet_register(struct fleet *fleet, const struct register_command *command,
                    struct register_result *ret, struct err *err)
{
    if (command->name.size == 0 && command->ip.size == 0)
        return err_set(err, ERR_INVALID, "an instance needs a name or an ip");
    struct text key = command->name.size ? command->name : command->ip;
    uint32_t slot = fleet_find(fleet, key);
    bool is_new = slot == FLEET_NONE;
    struct rollout *before = is_new ? NULL : fleet_rollout_of(fleet, fleet_at(fleet, slot));
    if (is_new ? !register_new(fleet, command, &slot, err)
               : !register_known(fleet, command, slot, err))
        return false;
    progress_concern(fleet, before, fleet_rollout_of(fleet, fleet_at(fleet, slot)));
    note_return(fleet);
    *ret = (struct register_result){ .slot = slot, .is_new = is_new };
    return true;
}

/* ---- heartbeats ----------------------------------------------------------------------------- */

/* What a report changes, with one use of each interned text; nothing is applied yet. */
struct report {
    uint32_t code, config, message, labels;
    bool is_current_new, is_message_new, is_relabelled, is_status_new, is_back;
};

static bool take_text(struct fleet *fleet, bool is_given, struct text given, uint32_t present,
                      uint32_t *ret)
{
    if (!is_given || text_equal(given, fleet_text(fleet, present))) {
        *ret = intern_share(&fleet->texts, present);
        return true;
    }
    return intern_take(&fleet->texts, given, ret);
}

static void drop_report(struct fleet *fleet, const struct report *report)
{
    intern_drop(&fleet->texts, report->code);
    intern_drop(&fleet->texts, report->config);
    intern_drop(&fleet->texts, report->message);
    labels_drop(&fleet->labels, report->labels);
}

static bool take_labels(struct fleet *fleet, const struct instance *inst,
                        const struct heartbeat_command *command, uint32_t *ret, struct err *err)
{
    if (command->label_count == 0 || fleet->settings.ignores_agent_labels ||
        labels_would_stay(&fleet->labels, inst->labels, command->labels, command->label_count)) {
        *ret = labels_share(&fleet->labels, inst->labels);
        return true;
    }
    return labels_merge(&fleet->labels, inst->labels, command->labels, command->label_count, ret,
                        err);
}

static bool read_report(struct fleet *fleet, const struct instance *inst,
                        const struct heartbeat_command *command, struct report *ret,
                        struct err *err)
{
    struct report r = { 0 };
    if (!take_labels(fleet, inst, command, &r.labels, err))
        return false;
    if (!take_text(fleet, command->has_code, command->code, inst->current.code, &r.code) ||
        !take_text(fleet, command->has_config, command->config, inst->current.config, &r.config) ||
        !take_text(fleet, command->has_message, command->message, inst->message, &r.message)) {
        drop_report(fleet, &r);
        return err_set(err, ERR_MEMORY, "no memory for a report");
    }
    r.is_current_new = r.code != inst->current.code || r.config != inst->current.config;
    r.is_message_new = r.message != inst->message;
    r.is_relabelled = r.labels != inst->labels;
    r.is_status_new = command->has_status && command->status != inst->status;
    r.is_back = inst->presence != PRESENCE_ONLINE;
    *ret = r;
    return true;
}

static void apply_report(struct fleet *fleet, uint32_t slot, const struct report *report,
                         enum instance_event event)
{
    struct instance *inst = fleet_touch(fleet, slot);
    struct change change = { .type = CHANGE_UPDATED,
                             .slot = slot,
                             .was_status = inst->status,
                             .was = inst->current,
                             .was_labels = inst->labels };
    if (report->is_status_new)
        status_step(inst, event);
    if (report->is_current_new || report->is_message_new || report->is_relabelled ||
        report->is_status_new)
        fleet_publish(fleet, &change);
    presence_step(fleet, slot, PRESENCE_SEEN);
    fleet_set_version(fleet, &inst->current, (struct version){ report->code, report->config });
    fleet_set_text(fleet, &inst->message, intern_share(&fleet->texts, report->message));
    fleet_set_labels(fleet, inst, labels_share(&fleet->labels, report->labels));
}

static void note_skew(const struct fleet *fleet, struct instance *inst, int64_t sent_at)
{
    int64_t skew = sent_at - fleet->now;
    if (skew > INT32_MAX)
        skew = INT32_MAX;
    if (skew < INT32_MIN)
        skew = INT32_MIN;
    inst->clock_skew_ms = (int32_t)skew;
}

/* Whether the report says nothing about the order that the member carries out: it asks for a
 * session, or is about an order before that one. */
static bool decides_nothing(const struct fleet *fleet, const struct instance *inst,
                            const struct heartbeat_command *command)
{
    return command->order == HEARTBEAT_ASKS ||
           (command->is_outdated && fleet_member_state(fleet, inst) == MEMBER_IN_PROGRESS);
}

/* Members that wait for a report, rather than for a change. */
static bool awaits_report(enum member_state state)
{
    return state == MEMBER_IN_PROGRESS || state == MEMBER_FAILED;
}

static uint32_t new_session(struct fleet *fleet)
{
    fleet->last_session++;
    if (fleet->last_session == 0) /* 0 is none */
        fleet->last_session++;
    return fleet->last_session;
}

static bool take_report(struct fleet *fleet, uint32_t slot, const struct heartbeat_command *command,
                        struct heartbeat_result *ret, struct err *err)
{
    struct instance *inst = fleet_at(fleet, slot);
    struct report report = { 0 };
    if (!read_report(fleet, inst, command, &report, err))
        return false;
    bool is_changed = report.is_current_new || report.is_message_new || report.is_relabelled ||
                      report.is_status_new || report.is_back;
    struct rollout *before = fleet_rollout_of(fleet, inst);
    bool is_awaited = awaits_report(fleet_member_state(fleet, inst));
    if (((is_changed || is_awaited) && !fleet_reserve(fleet, 2, err)) ||
        (report.is_relabelled && !fleet_reserve_labels(fleet, err))) {
        drop_report(fleet, &report);
        return false;
    }
    inst->last_seen = fleet->now;
    if (command->has_sent_at)
        note_skew(fleet, inst, command->sent_at);
    if (is_changed)
        apply_report(fleet, slot, &report, (enum instance_event)command->status);
    drop_report(fleet, &report);
    if (is_changed || is_awaited) {
        if (before && !decides_nothing(fleet, inst, command)) {
            member_note_report(fleet, before, slot);
            member_step(fleet, before, slot, MEMBER_REPORT);
        } else {
            place_again(fleet, slot);
        }
        if (report.is_relabelled)
            member_review(fleet, slot);
        progress_concern(fleet, before, fleet_rollout_of(fleet, inst));
    }
    if (report.is_back)
        note_return(fleet);
    *ret = (struct heartbeat_result){
        .is_changed = inst->touched_round == fleet->round,
        .labels_were_ignored = command->label_count > 0 && fleet->settings.ignores_agent_labels,
    };
    return true;
}

static bool take_session(struct fleet *fleet, uint32_t slot, struct heartbeat_result *ret,
                         struct err *err)
{
    if (!take_report(fleet, slot, &(struct heartbeat_command){ .order = HEARTBEAT_ASKS }, ret, err))
        return false;
    struct instance *inst = fleet_at(fleet, slot);
    inst->session = new_session(fleet);
    inst->sequence = 0;
    return true;
}

static bool take_ordered(struct fleet *fleet, uint32_t slot,
                         const struct heartbeat_command *command, struct heartbeat_result *ret,
                         struct err *err)
{
    struct instance *inst = fleet_at(fleet, slot);
    if (inst->session == 0 || command->session != inst->session)
        return err_set(err, ERR_SESSION,
                       "this session has ended: ask for another with \"session\": \"\"");
    if (command->sequence <= inst->sequence) {
        *ret = (struct heartbeat_result){ .is_stale = true };
        return true;
    }
    if (!take_report(fleet, slot, command, ret, err))
        return false;
    inst->sequence = command->sequence;
    return true;
}

bool fleet_heartbeat(struct fleet *fleet, uint32_t slot, const struct heartbeat_command *command,
                     struct heartbeat_result *ret, struct err *err)
{
    switch ((enum heartbeat_order)command->order) {
    case HEARTBEAT_ASKS: return take_session(fleet, slot, ret, err);
    case HEARTBEAT_ORDERED: return take_ordered(fleet, slot, command, ret, err);
    case HEARTBEAT_PLAIN: break;
    }
    return take_report(fleet, slot, command, ret, err);
}

/* ---- deletion, interval --------------------------------------------------------------------- */

bool fleet_delete(struct fleet *fleet, uint32_t slot, struct err *err)
{
    if (!fleet_reserve(fleet, 2, err))
        return false;
    struct instance *inst = fleet_touch(fleet, slot);
    struct rollout *r = fleet_rollout_of(fleet, inst);
    silence_ended(fleet, inst);
    if (r) {
        member_step(fleet, r, slot, MEMBER_LEAVE);
        fleet_publish(fleet,
                      &(struct change){ .type = CHANGE_LEFT, .slot = slot, .rollout = r->number });
    }
    fleet_publish(fleet, &(struct change){ .type = CHANGE_DELETED, .slot = slot });
    fleet_remove(fleet, slot);
    progress_concern(fleet, r, NULL);
    return true;
}

uint32_t fleet_give_interval(struct fleet *fleet, struct instance *inst)
{
    const struct fleet_settings *s = &fleet->settings;
    bool is_busy = fleet_member_state(fleet, inst) == MEMBER_IN_PROGRESS;
    int64_t interval = 1000ll * fleet->tally.online / (s->target_rate ? s->target_rate : 1);
    if (interval < s->heartbeat_min_ms)
        interval = s->heartbeat_min_ms;
    if (interval > s->heartbeat_max_ms)
        interval = s->heartbeat_max_ms;
    if (is_busy && interval > s->active_interval_ms)
        interval = s->active_interval_ms;
    bool is_shorter = interval < inst->interval_ms;
    inst->interval_ms = (uint32_t)interval;
    if (is_shorter) /* it may have to be missed earlier than its timer stands */
        place_arm(fleet, fleet_find(fleet, instance_key(inst)));
    /* 75 to 100 %, by a hash of who asks and when: neighbours must not beat in step. */
    uint64_t hash = text_hash(instance_key(inst), (uint64_t)inst->last_seen);
    return (uint32_t)(interval - (int64_t)(hash % (uint64_t)(interval / 4 + 1)));
}
