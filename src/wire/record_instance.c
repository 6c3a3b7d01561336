/* SPDX-License-Identifier: Apache-2.0
 * record_instance.c - the stored form of instances. Storing is on the way of every report that
 * changes something, so it is written by hand; loading goes through a table, which is stricter. */
#include "base/limits.h"
#include "wire/record.h"
#include "wire/record_parts.h"
#include "wire/view.h"
#include "wire/words.h"

/* ---- storing -------------------------------------------------------------------------------- */

static void put_order(struct json_writer *w, const struct fleet *fleet, const struct assignment *a)
{
    if (a->rollout == 0)
        return;
    record_put_rollout(w, "deployment_id", a->rollout);
    record_put_word(w, "update_state", &member_machine.states, a->state);
    json_put_u64(w, "attempt", a->attempt);
    record_put_word(w, "cause", &wire_member_causes, a->cause);
    record_put_true(w, "acknowledged", a->is_acknowledged);
    record_put_word(w, "status_when_picked", &instance_machine.states, a->status_when_picked);
    record_put_version(w, fleet, "target", a->target);
    record_put_version(w, fleet, "previous_state", a->previous);
    record_put_number(w, "assigned_at", a->assigned_at);
    record_put_number(w, "on_target_since", a->on_target_since);
    record_put_number(w, "healthy_since", a->healthy_since);
    record_put_number(w, "ended_at", a->ended_at);
    record_put_number(w, "deadline_at", a->deadline_at);
    record_put_number(w, "health_deadline_at", a->health_deadline_at);
}

static void put_trail(struct json_writer *w, const struct fleet *fleet, const struct instance *inst)
{
    if (inst->trail_count == 0)
        return;
    json_key(w, "trail");
    json_begin_list(w);
    for (size_t i = 0; i < inst->trail_count; i++) {
        json_begin_object(w);
        record_put_rollout(w, "deployment_id", inst->trail[i].rollout);
        record_put_number(w, "wave", inst->trail_waves[i]);
        record_put_version(w, fleet, "previous_state", inst->trail[i].previous);
        json_end_object(w);
    }
    json_end_list(w);
}

void wire_store_instance(struct buffer *out, const struct fleet *fleet, uint32_t slot)
{
    const struct instance *inst = fleet_at(fleet, slot);
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    record_put_text(&w, "name", instance_name(inst));
    record_put_text(&w, "ip", instance_ip(inst));
    if (inst->labels != 0) {
        json_key(&w, "labels");
        wire_write_labels(&w, fleet, inst->labels);
    }
    json_put_text(&w, "status", text_from(sm_word_at(&instance_machine.states, inst->status)));
    json_put_bool(&w, "online", inst->presence == PRESENCE_ONLINE);
    record_put_number(&w, "offline_at", inst->offline_at);
    record_put_true(&w, "was_idle", inst->was_idle);
    record_put_version(&w, fleet, "current_state", inst->current);
    record_put_version(&w, fleet, "desired_state", inst->desired);
    record_put_text(&w, "message", fleet_text(fleet, inst->message));
    record_put_number(&w, "generation", inst->generation);
    json_put_i64(&w, "registered_at", inst->registered_at);
    json_put_u64(&w, "changed_index", inst->changed_index);
    record_put_rollout(&w, "member_of", inst->member_of);
    record_put_true(&w, "joiner", inst->is_joiner);
    record_put_number(&w, "wave", inst->wave);
    put_order(&w, fleet, &inst->assignment);
    put_trail(&w, fleet, inst);
    json_end_object(&w);
}

/* ---- loading -------------------------------------------------------------------------------- */

struct stored_trail {
    struct text rollout;
    uint8_t wave;
    struct stored_version previous;
};

struct stored_instance {
    struct json_given given;
    struct text name, ip, message;
    struct json_pair *labels;
    uint32_t label_count, generation;
    struct stored_version current, desired;
    int64_t registered_at, offline_at;
    uint64_t changed_index;
    struct text member_of, rollout;
    uint8_t status, wave, update_state, cause, status_when_picked;
    bool is_online, was_idle, is_joiner, is_acknowledged;
    uint16_t attempt;
    struct stored_version target, previous;
    int64_t assigned_at, on_target_since, healthy_since, ended_at, deadline_at, health_deadline_at;
    struct stored_trail *trail;
    uint32_t trail_count;
};

#define ID_SIZE    16 /* of the longest id */
#define ID         .kind = JSON_TEXT, .min = 1, .max = ID_SIZE
#define INSTANT    .kind = JSON_INTEGER, .max = INT64_MAX
#define WAVE       .kind = JSON_INTEGER, .max = LIMIT_WAVES - 1
#define VERSION    .kind = JSON_OBJECT, .sub = &wire_stored_version_table
#define WORD(list) .kind = JSON_WORD, .words = &(list)

/* clang-format off */
static const struct json_field trail_fields[] = {
    { .name = "deployment_id", ID, .flags = JSON_REQUIRED, JSON_AT(struct stored_trail, rollout), .meaning = "the rollout that picked it" },
    { .name = "wave", WAVE, JSON_AT(struct stored_trail, wave), .meaning = "index of its wave in that" },
    { .name = "previous_state", VERSION, JSON_AT(struct stored_trail, previous), .meaning = "what it ran before" },
};

static const struct json_table trail_table = {
    .name = "stored_trail",
    .fields = trail_fields,
    .count = 3,
    .size = sizeof(struct stored_trail),
    .given_offset = JSON_NOT_KEPT,
};

#define AT(member) JSON_AT(struct stored_instance, member)

enum stored_row {
    ROW_NAME, ROW_IP, ROW_LABELS, ROW_STATUS, ROW_ONLINE, ROW_OFFLINE, ROW_WAS_IDLE, ROW_CURRENT, ROW_DESIRED, ROW_MESSAGE, ROW_GENERATION,
    ROW_REGISTERED, ROW_CHANGED, ROW_MEMBER_OF, ROW_JOINER, ROW_WAVE, ROW_ROLLOUT, ROW_UPDATE_STATE, ROW_ATTEMPT, ROW_CAUSE, ROW_ACKNOWLEDGED,
    ROW_STATUS_WHEN_PICKED, ROW_TARGET, ROW_PREVIOUS, ROW_ASSIGNED, ROW_ON_TARGET, ROW_HEALTHY, ROW_ENDED, ROW_DEADLINE,
    ROW_HEALTH_DEADLINE, ROW_TRAIL, ROW_COUNT
};

static const struct json_field fields[ROW_COUNT] = {
    [ROW_NAME]         = { .name = "name", .kind = JSON_TEXT, AT(name), .flags = JSON_PRINTABLE, .min = 1, .max = LIMIT_NAME, .meaning = "left out when nameless" },
    [ROW_IP]           = { .name = "ip", .kind = JSON_TEXT, AT(ip), .min = 1, .max = 64, .meaning = "its address" },
    [ROW_LABELS]       = { .name = "labels", .kind = JSON_MAP, AT(labels), JSON_COUNT(struct stored_instance, label_count), .min = 1, .max = LIMIT_LABELS,
                           .key_max = LIMIT_LABEL_KEY, .item_max = LIMIT_LABEL_VALUE, .meaning = "its labels" },
    [ROW_STATUS]       = { .name = "status", WORD(instance_machine.states), AT(status), .flags = JSON_REQUIRED, .meaning = "as it said last" },
    [ROW_ONLINE]       = { .name = "online", .kind = JSON_BOOL, AT(is_online), .flags = JSON_REQUIRED, .meaning = "whether it is heard" },
    [ROW_OFFLINE]      = { .name = "offline_at", INSTANT, AT(offline_at), .meaning = "since when it is not" },
    [ROW_WAS_IDLE]     = { .name = "was_idle", .kind = JSON_BOOL, AT(was_idle), .meaning = "it was not in flight then" },
    [ROW_CURRENT]      = { .name = "current_state", VERSION, AT(current), .meaning = "what it runs" },
    [ROW_DESIRED]      = { .name = "desired_state", VERSION, AT(desired), .meaning = "what it is to run" },
    [ROW_MESSAGE]      = { .name = "message", .kind = JSON_TEXT, AT(message), .min = 1, .max = LIMIT_MESSAGE, .meaning = "of the newest report that had one" },
    [ROW_GENERATION]   = { .name = "generation", .kind = JSON_INTEGER, AT(generation), .max = UINT32_MAX, .meaning = "changes of its wish" },
    [ROW_REGISTERED]   = { .name = "registered_at", INSTANT, AT(registered_at), .flags = JSON_REQUIRED, .meaning = "when it came" },
    [ROW_CHANGED]      = { .name = "changed_index", INSTANT, AT(changed_index), .flags = JSON_REQUIRED, .meaning = "the journal entry that was next when it changed" },
    [ROW_MEMBER_OF]    = { .name = "member_of", ID, AT(member_of), .meaning = "the live rollout it belongs to" },
    [ROW_JOINER]       = { .name = "joiner", .kind = JSON_BOOL, AT(is_joiner), .meaning = "it came to match after the start" },
    [ROW_WAVE]         = { .name = "wave", WAVE, AT(wave), .meaning = "index of its wave in that rollout" },
    [ROW_ROLLOUT]      = { .name = "deployment_id", ID, AT(rollout), .meaning = "of the newest order, as all below" },
    [ROW_UPDATE_STATE] = { .name = "update_state", WORD(member_machine.states), AT(update_state), .meaning = "reached in that rollout" },
    [ROW_ATTEMPT]      = { .name = "attempt", .kind = JSON_INTEGER, AT(attempt), .min = 1, .max = LIMIT_ATTEMPT, .meaning = "from 1" },
    [ROW_CAUSE]        = { .name = "cause", WORD(wire_member_causes), AT(cause), .meaning = "why it failed" },
    [ROW_ACKNOWLEDGED] = { .name = "acknowledged", .kind = JSON_BOOL, AT(is_acknowledged), .meaning = "its failure no longer counts" },
    [ROW_STATUS_WHEN_PICKED] = { .name = "status_when_picked", WORD(instance_machine.states), AT(status_when_picked), .meaning = "left out for UNKNOWN" },
    [ROW_TARGET]       = { .name = "target", VERSION, AT(target), .meaning = "what it was told to run" },
    [ROW_PREVIOUS]     = { .name = "previous_state", VERSION, AT(previous), .meaning = "what it ran then" },
    [ROW_ASSIGNED]     = { .name = "assigned_at", INSTANT, AT(assigned_at), .meaning = "when it was told" },
    [ROW_ON_TARGET]    = { .name = "on_target_since", INSTANT, AT(on_target_since), .meaning = "by its reports" },
    [ROW_HEALTHY]      = { .name = "healthy_since", INSTANT, AT(healthy_since), .meaning = "on the target, without a break" },
    [ROW_ENDED]        = { .name = "ended_at", INSTANT, AT(ended_at), .meaning = "when it completed, failed or was let go" },
    [ROW_DEADLINE]     = { .name = "deadline_at", INSTANT, AT(deadline_at), .meaning = "instance deadline" },
    [ROW_HEALTH_DEADLINE] = { .name = "health_deadline_at", INSTANT, AT(health_deadline_at), .meaning = "health deadline" },
    [ROW_TRAIL]        = { .name = "trail", .kind = JSON_OBJECTS, AT(trail), JSON_COUNT(struct stored_instance, trail_count), .min = 1, .max = LIMIT_TRAIL,
                           .sub = &trail_table, .meaning = "what it ran before each rollout, oldest first" },
};
/* clang-format on */

const struct json_table wire_stored_instance_table = {
    .name = "stored_instance",
    .fields = fields,
    .count = ROW_COUNT,
    .size = sizeof(struct stored_instance),
    .given_offset = offsetof(struct stored_instance, given),
};

/* What a table cannot say, and the numbers of rollouts. */
struct stored_numbers {
    uint32_t member_of, rollout, trail[LIMIT_TRAIL];
};

static bool check_key(struct text key, const struct stored_instance *s, struct err *err)
{
    char space[sizeof "instance/" + (size_t)LIMIT_NAME * 3];
    struct buffer expected = { .data = space, .capacity = sizeof space, .max = sizeof space - 1 };
    if (s->name.size == 0 && s->ip.size == 0)
        return record_is_damaged(key, "it has neither name nor ip", err);
    if (s->ip.size > 0 && !is_ip_address(s->ip))
        return record_is_damaged(key, "/ip is no address", err);
    wire_instance_key(&expected, s->name.size > 0 ? s->name : s->ip); /* never grows */
    return record_key_is(key, &expected) ||
           record_is_damaged(key, "it is about another instance", err);
}

static bool check_order(struct text key, const struct stored_instance *s, struct err *err)
{
    uint64_t order = JSON_BIT(ROW_TRAIL) - JSON_BIT(ROW_UPDATE_STATE);
    bool has_order = (s->given.fields & JSON_BIT(ROW_ROLLOUT)) != 0;
    if (!has_order && s->given.fields & order)
        return record_is_damaged(key, "it has an order without /deployment_id", err);
    if (has_order && s->attempt == 0)
        return record_is_damaged(key, "it has an order without /attempt", err);
    return true;
}

static bool take_numbers(struct text key, const struct stored_instance *s,
                         struct stored_numbers *ret, struct err *err)
{
    bool is_good = record_take_rollout(s->member_of, &ret->member_of) &&
                   record_take_rollout(s->rollout, &ret->rollout);
    for (uint32_t i = 0; i < s->trail_count; i++)
        is_good = is_good && record_take_rollout(s->trail[i].rollout, &ret->trail[i]);
    return is_good || record_is_damaged(key, "it names what is no rollout", err);
}

#define NEIGHBOURS 4u /* instances loaded just before that are compared with */

static bool has_labels(const struct fleet *fleet, uint32_t labels, const struct stored_instance *s)
{
    if (labels == 0 || labels_count(&fleet->labels, labels) != s->label_count)
        return false;
    for (uint32_t i = 0; i < s->label_count; i++) {
        struct text key, value;
        labels_at(&fleet->labels, labels, i, &key, &value);
        if (!text_equal(value, s->labels[i].value) || !text_equal(key, s->labels[i].key))
            return false;
    }
    return true;
}

/* Neighbours mostly share their labels, and comparing costs less than looking the texts up. */
static bool take_labels(struct fleet *fleet, uint32_t slot, const struct stored_instance *s,
                        uint32_t *ret)
{
    for (uint32_t back = 1; back <= NEIGHBOURS && back <= slot; back++) {
        uint32_t labels = fleet_at(fleet, slot - back)->labels;
        if (has_labels(fleet, labels, s)) {
            *ret = labels_share(&fleet->labels, labels);
            return true;
        }
    }
    struct label_change changes[LIMIT_LABELS];
    for (uint32_t i = 0; i < s->label_count; i++)
        changes[i] = (struct label_change){ .key = s->labels[i].key, .value = s->labels[i].value };
    return labels_merge(&fleet->labels, 0, changes, s->label_count, ret, NULL);
}

static void fill_order(struct assignment *a, const struct stored_instance *s, uint32_t rollout)
{
    a->rollout = rollout;
    a->attempt = s->attempt;
    a->state = s->update_state;
    a->cause = s->cause;
    a->status_when_picked = s->status_when_picked;
    a->is_acknowledged = s->is_acknowledged;
    a->assigned_at = s->assigned_at;
    a->on_target_since = s->on_target_since;
    a->healthy_since = s->healthy_since;
    a->ended_at = s->ended_at;
    a->deadline_at = s->deadline_at;
    a->health_deadline_at = s->health_deadline_at;
}

static void fill_plain(struct instance *inst, const struct stored_instance *s,
                       const struct stored_numbers *numbers)
{
    inst->status = s->status;
    inst->presence = s->is_online ? PRESENCE_ONLINE : PRESENCE_OFFLINE;
    inst->generation = s->generation;
    inst->registered_at = inst->last_seen = s->registered_at;
    inst->changed_index = s->changed_index;
    inst->member_of = numbers->member_of;
    inst->is_joiner = s->is_joiner;
    inst->wave = s->wave;
    inst->offline_at = s->offline_at;
    inst->was_idle = s->was_idle;
    fill_order(&inst->assignment, s, numbers->rollout);
}

/* `guess` is often the same. */
static bool take_version(struct fleet *fleet, const struct stored_version *stored,
                         struct version guess, struct version *ret)
{
    if (!text_equal(stored->code, fleet_text(fleet, guess.code)) ||
        !text_equal(stored->config, fleet_text(fleet, guess.config)))
        return record_take_version(fleet, stored, ret);
    *ret = (struct version){ intern_share(&fleet->texts, guess.code),
                             intern_share(&fleet->texts, guess.config) };
    return true;
}

/* The members that are counted elsewhere; false: no memory. */
static bool fill_shared(struct fleet *fleet, uint32_t slot, const struct stored_instance *s,
                        const struct stored_numbers *numbers)
{
    static const struct instance nobody;
    struct instance *inst = fleet_at(fleet, slot);
    const struct instance *before = slot > 0 ? fleet_at(fleet, slot - 1) : &nobody;
    if (!take_labels(fleet, slot, s, &inst->labels) ||
        !intern_take(&fleet->texts, s->message, &inst->message) ||
        !take_version(fleet, &s->current, before->current, &inst->current) ||
        !take_version(fleet, &s->desired, inst->current, &inst->desired) ||
        !take_version(fleet, &s->target, inst->desired, &inst->assignment.target) ||
        !take_version(fleet, &s->previous, before->assignment.previous, &inst->assignment.previous))
        return false;
    for (uint32_t i = 0; i < s->trail_count; i++) {
        inst->trail_waves[inst->trail_count] = s->trail[i].wave;
        struct trail_entry *entry = &inst->trail[inst->trail_count++];
        entry->rollout = numbers->trail[i];
        if (!take_version(fleet, &s->trail[i].previous, inst->assignment.previous,
                          &entry->previous))
            return false;
    }
    return true;
}

struct wire_stored_instance {
    struct stored_instance s;
    struct stored_numbers numbers;
};

bool wire_decode_instance(struct text key, struct text json, struct arena *scratch,
                          const struct wire_stored_instance **ret, struct err *err)
{
    struct wire_stored_instance *stored = arena_take(scratch, sizeof *stored);
    if (!stored)
        return err_set(err, ERR_MEMORY, "no memory for an instance that was stored");
    if (!record_read(&wire_stored_instance_table, key, json, scratch, &stored->s, err) ||
        !check_key(key, &stored->s, err) || !check_order(key, &stored->s, err) ||
        !take_numbers(key, &stored->s, &stored->numbers, err))
        return false;
    *ret = stored;
    return true;
}

bool wire_add_instance(struct fleet *fleet, struct text key,
                       const struct wire_stored_instance *stored, struct err *err)
{
    const struct stored_instance *s = &stored->s;
    uint32_t slot = FLEET_NONE;
    if (fleet_find(fleet, s->name.size > 0 ? s->name : s->ip) != FLEET_NONE)
        return record_is_damaged(key, "there are two of it", err);
    if (!fleet_add(fleet, s->name, s->ip, &slot, err))
        return false;
    fill_plain(fleet_at(fleet, slot), s, &stored->numbers);
    if (!fill_shared(fleet, slot, s, &stored->numbers))
        return err_set(err, ERR_MEMORY, "no memory for an instance that was stored");
    return true;
}

bool wire_load_instance(struct fleet *fleet, struct text key, struct text json,
                        struct arena *scratch, struct err *err)
{
    const struct wire_stored_instance *stored = NULL;
    return wire_decode_instance(key, json, scratch, &stored, err) &&
           wire_add_instance(fleet, key, stored, err);
}
