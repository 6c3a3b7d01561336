/* SPDX-License-Identifier: Apache-2.0
 * view.c - parts that several answers share, and instances. */
#include "wire/view.h"

#include "core/place.h"
#include "core/waves.h"
#include "wire/progress.h"
#include "wire/session.h"

/* ---- parts ---------------------------------------------------------------------------------- */

void wire_write_rollout_id(struct json_writer *w, uint32_t number)
{
    char digits[16] = "r-";
    struct buffer id = {
        .data = digits, .size = 2, .capacity = sizeof digits, .max = sizeof digits - 1
    };
    if (number == 0) {
        json_write_null(w);
        return;
    }
    buffer_add_u64(&id, number); /* at most ten digits: it never grows */
    json_write_text(w, buffer_text(&id));
}

void wire_write_version(struct json_writer *w, const struct fleet *fleet, struct version v)
{
    json_begin_object(w);
    json_put_text_or_null(w, "code_version", fleet_text(fleet, v.code));
    json_put_text_or_null(w, "configuration_version", fleet_text(fleet, v.config));
    json_end_object(w);
}

void wire_write_labels(struct json_writer *w, const struct fleet *fleet, uint32_t labels)
{
    size_t count = labels_count(&fleet->labels, labels);
    json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        struct text key, value;
        labels_at(&fleet->labels, labels, i, &key, &value);
        json_key_text(w, key);
        json_write_text(w, value);
    }
    json_end_object(w);
}

void wire_write_selector_labels(struct json_writer *w, const struct selector *selector)
{
    const struct requirement *last = NULL;
    json_begin_object(w);
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *r = &selector->list[i];
        /* Two values for one key match nothing, and no map can say it: the first stands. */
        if (r->op != SELECTOR_IN || r->value_count != 1 || (last && text_equal(last->key, r->key)))
            continue;
        json_key_text(w, r->key);
        json_write_text(w, r->values[0]);
        last = r;
    }
    json_end_object(w);
}

#define AT(member) JSON_AT(struct tally, member), .kind = JSON_INTEGER, .max = UINT32_MAX

/* clang-format off */
static const struct json_field tally_fields[] = {
    { .name = "total_instances",           AT(total),           .meaning = "members" },
    { .name = "pending_instances",         AT(pending),         .meaning = "of those, waiting for a slot" },
    { .name = "in_progress_instances",     AT(in_progress),     .meaning = "of those, holding a slot" },
    { .name = "completed_instances",       AT(completed),       .meaning = "of those, on the target" },
    { .name = "already_current_instances", AT(already_current), .meaning = "of the completed ones, those that never needed it" },
    { .name = "failed_instances",          AT(failed),          .meaning = "of those, failed" },
    { .name = "offline_instances",         AT(offline),         .meaning = "members that are not heard; overlaps the others" },
    { .name = "pending_online_instances",  AT(pending_online),  .meaning = "of the pending ones, the candidates" },
    { .name = "retrying_instances",        AT(retrying),        .meaning = "of those, waiting for another attempt" },
    { .name = "settling_instances",        AT(settling),        .meaning = "of those in progress, HEALTHY on the target for now" },
    { .name = "acknowledged_instances",    AT(acknowledged),    .meaning = "of the failed ones, no longer counted for the threshold" },
    { .name = "available_instances",       AT(available),       .meaning = "online, HEALTHY and not in flight" },
};
/* clang-format on */
#undef AT
_Static_assert(sizeof tally_fields / sizeof tally_fields[0] ==
                   sizeof(struct tally) / sizeof(uint32_t),
               "every counter has a row");

const struct json_table wire_progress_table = {
    .name = "progress",
    .fields = tally_fields,
    .count = 7,
    .size = sizeof(struct tally),
    .given_offset = JSON_NOT_KEPT,
};

const struct json_table wire_tally_table = {
    .name = "tally",
    .fields = tally_fields,
    .count = sizeof tally_fields / sizeof tally_fields[0],
    .size = sizeof(struct tally),
    .given_offset = JSON_NOT_KEPT,
};

void wire_write_progress(struct json_writer *w, const struct tally *tally)
{
    json_write_table(w, &wire_progress_table, tally, JSON_ABSENT_IS_NULL);
}

void wire_write_verbs(struct json_writer *w, uint32_t verbs)
{
    json_begin_list(w);
    for (unsigned verb = 0; verb < VERB_COUNT; verb++)
        if (verbs >> verb & 1)
            json_write_text(w, text_from(verb_word(verb)));
    json_end_list(w);
}

void wire_write_warnings(struct json_writer *w, const struct json_warnings *warnings)
{
    json_begin_list(w);
    for (uint32_t i = 0; warnings && i < warnings->count; i++)
        json_write_text(w, warnings->list[i]);
    if (warnings && warnings->more > 0) {
        struct sentence s;
        sentence_init(&s);
        buffer_printf(&s.buffer, "and %u more", warnings->more);
        json_write_text(w, buffer_text(&s.buffer));
    }
    json_end_list(w);
}

/* ---- instances ------------------------------------------------------------------------------ */

/* The rollout whose orders the instance follows, or followed last; 0: none. */
static uint32_t rollout_of(const struct fleet *fleet, const struct instance *inst)
{
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    return r ? r->number : inst->assignment.rollout;
}

/* The instant at which time alone fails the member, or 0. */
static int64_t deadline_of(const struct fleet *fleet, const struct instance *inst)
{
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    if (!r || inst->placed.state != MEMBER_IN_PROGRESS)
        return 0;
    struct member_view view = place_view(fleet, inst, r);
    int64_t health = view.is_on_target ? view.health_deadline_at : 0;
    if (view.clocks_stand_still || view.healthy_since != 0)
        return 0; /* paused, or only waiting for min_healthy_time */
    if (health != 0 && (view.deadline_at == 0 || health < view.deadline_at))
        return health;
    return view.deadline_at;
}

static void put_state(struct json_writer *w, const struct fleet *fleet, const char *key,
                      struct version v)
{
    json_key(w, key);
    wire_write_version(w, fleet, v);
}

static void put_id(struct json_writer *w, const char *key, uint32_t number)
{
    json_key(w, key);
    wire_write_rollout_id(w, number);
}

static bool is_ordered(const struct fleet *fleet, const struct instance *inst)
{
    uint32_t number = rollout_of(fleet, inst);
    return number != 0 && inst->assignment.rollout == number;
}

static void put_attempt(struct json_writer *w, const struct fleet *fleet,
                        const struct instance *inst)
{
    if (is_ordered(fleet, inst))
        json_put_u64(w, "attempt", inst->assignment.attempt);
    else
        json_put_null(w, "attempt");
}

static void put_member(struct json_writer *w, const struct fleet *fleet,
                       const struct instance *inst)
{
    enum member_state state = fleet_update_state(fleet, inst);
    const char *cause = is_ordered(fleet, inst) ? member_cause_word(inst->assignment.cause) : NULL;
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    put_id(w, "deployment_id", rollout_of(fleet, inst));
    json_put_text_or_null(w, "wave", r ? wave_name(r, inst->placed.wave) : TEXT_NONE);
    json_put_text_or_null(
        w, "update_state",
        state == MEMBER_NONE ? TEXT_NONE : text_from(sm_word_at(&member_machine.states, state)));
    put_attempt(w, fleet, inst);
    json_put_time(w, "deadline_at", deadline_of(fleet, inst));
    json_put_text_or_null(w, "cause", text_from(cause));
}

static void put_trail(struct json_writer *w, const struct fleet *fleet, const struct instance *inst)
{
    json_key(w, "trail");
    json_begin_list(w);
    for (size_t i = 0; i < inst->trail_count; i++) {
        json_begin_object(w);
        put_id(w, "deployment_id", inst->trail[i].rollout);
        put_state(w, fleet, "previous_state", inst->trail[i].previous);
        json_end_object(w);
    }
    json_end_list(w);
}

/* Where in the output a value was written that may come again: sets of labels and pairs of versions
 * are few, and rendering one costs more than copying it. Nothing is taken from a buffer that
 * failed.
 */
#define RECENT_COUNT 16u /* a power of 2 */
struct recent {
    uint64_t id; /* 0: nothing; empty values are not kept */
    size_t at, size;
};
struct recents {
    struct recent labels[RECENT_COUNT], versions[RECENT_COUNT];
};

static bool write_again(struct json_writer *w, const struct recent *recent, uint64_t id)
{
    if (recent->id != id || id == 0 || w->out->failed)
        return false;
    json_write_again(w, recent->at, recent->size);
    return true;
}

static void put_labels(struct json_writer *w, const struct fleet *fleet, uint32_t labels,
                       struct recents *recents)
{
    struct recent *recent = &recents->labels[labels % RECENT_COUNT];
    json_key(w, "labels");
    if (write_again(w, recent, labels))
        return;
    size_t at = w->out->size;
    wire_write_labels(w, fleet, labels);
    *recent = (struct recent){ labels, at, w->out->size - at };
}

static void put_version(struct json_writer *w, const struct fleet *fleet, const char *key,
                        struct version v, struct recents *recents)
{
    struct recent *recent = &recents->versions[(v.code + 3 * v.config) % RECENT_COUNT];
    uint64_t id = (uint64_t)v.code << 32 | v.config;
    json_key(w, key);
    if (write_again(w, recent, id))
        return;
    size_t at = w->out->size;
    wire_write_version(w, fleet, v);
    *recent = (struct recent){ id, at, w->out->size - at };
}

static void write_instance(struct json_writer *w, const struct fleet *fleet, uint32_t slot,
                           bool with_trail, struct recents *recents)
{
    const struct instance *inst = fleet_at(fleet, slot);
    json_begin_object(w);
    json_put_text_or_null(w, "name", instance_name(inst));
    json_put_text_or_null(w, "ip", instance_ip(inst));
    put_labels(w, fleet, inst->labels, recents);
    json_put_u64(w, "status", inst->status);
    json_put_text(w, "status_name", text_from(sm_word_at(&instance_machine.states, inst->status)));
    json_put_bool(w, "online", inst->presence == PRESENCE_ONLINE);
    json_put_time(w, "offline_since", inst->offline_at);
    json_put_time(w, "last_seen", inst->last_seen);
    json_put_time(w, "registered_at", inst->registered_at);
    json_put_i64(w, "clock_skew_ms", inst->clock_skew_ms);
    put_version(w, fleet, "current_state", inst->current, recents);
    json_put_bool(w, "update_needed", instance_needs_update(inst));
    json_put_u64(w, "generation", inst->generation);
    put_version(w, fleet, "desired_state", inst->desired, recents);
    put_member(w, fleet, inst);
    json_put_text(w, "message", fleet_text(fleet, inst->message));
    if (with_trail)
        put_trail(w, fleet, inst);
    json_end_object(w);
}

void wire_write_instance(struct json_writer *w, const struct fleet *fleet, uint32_t slot,
                         bool with_trail)
{
    struct recents recents = { .labels = { { 0 } } };
    write_instance(w, fleet, slot, with_trail, &recents);
}

/* A record is asked for 16 ahead and its texts 8 ahead: neighbours in the list are far apart in
 * memory. */
static void prefetch(const struct fleet *fleet, const uint32_t *slots, uint32_t i, uint32_t count)
{
    if (i + 16 < count)
        for (size_t at = 0; at < sizeof(struct instance); at += 64)
            __builtin_prefetch((const char *)fleet_at(fleet, slots[i + 16]) + at);
    if (i + 8 < count)
        __builtin_prefetch(fleet_at(fleet, slots[i + 8])->texts);
}

void wire_write_instances(struct json_writer *w, const struct fleet *fleet, const uint32_t *slots,
                          uint32_t count)
{
    struct recents recents = { .labels = { { 0 } } };
    for (uint32_t i = 0; i < count; i++) {
        prefetch(fleet, slots, i, count);
        write_instance(w, fleet, slots[i], false, &recents);
    }
}

/* ---- the reply to a heartbeat --------------------------------------------------------------- */

#define LABELS_IGNORED "/labels was ignored: the setting agent_labels is ignore"

#define WAS_LATE "the report was ignored: a newer one of its session was there before"

static void add_warning(struct json_warnings *all, struct text warning)
{
    if (all->count < JSON_WARNINGS_MAX)
        all->list[all->count++] = warning;
    else
        all->more++;
}

static void put_warnings(struct json_writer *w, const struct wire_reply *reply)
{
    json_key(w, "warnings");
    if (!reply->labels_were_ignored && !reply->is_stale) {
        wire_write_warnings(w, reply->warnings);
        return;
    }
    struct json_warnings all = { 0 };
    if (reply->warnings)
        all = *reply->warnings;
    if (reply->labels_were_ignored)
        add_warning(&all, TEXT(LABELS_IGNORED));
    if (reply->is_stale)
        add_warning(&all, TEXT(WAS_LATE));
    wire_write_warnings(w, &all);
}

static void put_session(struct json_writer *w, const struct instance *inst, uint64_t process)
{
    char space[WIRE_SESSION_SIZE];
    json_put_text(w, "session", wire_session_text(process, inst->session, space));
}

void wire_write_heartbeat_reply(struct json_writer *w, const struct fleet *fleet,
                                const struct wire_reply *reply)
{
    const struct instance *inst = fleet_at(fleet, reply->slot);
    bool needs_update = instance_needs_update(inst);
    json_begin_object(w);
    json_put_text(w, "instance", instance_key(inst));
    put_state(w, fleet, "current_state", inst->current);
    put_state(w, fleet, "desired_state", inst->desired);
    json_put_bool(w, "update_needed", needs_update);
    put_id(w, "deployment_id", rollout_of(fleet, inst));
    put_attempt(w, fleet, inst); /* what tells a retry of the same wish from the wish itself */
    json_put_u64(w, "generation", inst->generation);
    json_put_u64(w, "next_heartbeat_ms", reply->next_heartbeat_ms);
    json_put_time(w, "server_time", reply->server_time);
    put_warnings(w, reply);
    json_put_text(w, "message",
                  needs_update ? TEXT("run the desired state") : TEXT("nothing to do"));
    json_put_u64(w, "term", reply->term);
    if (reply->gave_session)
        put_session(w, inst, reply->process);
    json_end_object(w);
}
