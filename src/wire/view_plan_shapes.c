/* SPDX-License-Identifier: Apache-2.0
 * view_plan_shapes.c - the shapes of what view_plan.c writes, in that order. */
#include "base/err.h"
#include "base/limits.h"
#include "core/change.h"
#include "core/waiting.h"
#include "wire/config.h"
#include "wire/progress.h"
#include "wire/view_plan.h"
#include "wire/view_shapes.h"
#include "wire/words.h"

static const char *word_of_waiting(unsigned number)
{
    return waiting_word((enum waiting_reason)number);
}

static const char *word_of_err(unsigned number)
{
    return err_word((enum err_code)number);
}

static const struct sm_word step_list[] = {
    { "wave", "its members are updated" },
    { "soak", "they are watched for a while" },
    { "gate", "somebody is asked" },
};
static const struct sm_words steps = { step_list, 3 };

#define WORD(list)           .kind = SHAPE_WORD, .words = &(list)
#define WORDS_OF(fn, amount) .kind = SHAPE_WORD, .word = (fn), .word_count = (amount)
/* clang-format off */
#define NOTE(key, text)        { .name = (key), .kind = SHAPE_TEXT, .meaning = (text) }
#define COUNT(key, text)       { .name = (key), .kind = SHAPE_COUNT, .meaning = (text) }
#define INSTANT(key, text)     { .name = (key), .kind = SHAPE_COUNT, .flags = SHAPE_NULLABLE, .meaning = (text) }
#define DURATION(key, text)    { .name = (key), .kind = SHAPE_DURATION, .meaning = (text), .example = "\"60s\"" }
#define ID(key, text)          { .name = (key), .kind = SHAPE_ROLLOUT_ID, .flags = SHAPE_NULLABLE, .meaning = (text) }
#define OBJECT(key, of, text)  { .name = (key), .kind = SHAPE_OBJECT, .shape = &(of), .meaning = (text) }
#define MAYBE(key, of, text)   { .name = (key), .kind = SHAPE_OBJECT, .shape = &(of), .flags = SHAPE_NULLABLE, .meaning = (text) }
#define OBJECTS(key, of, text) { .name = (key), .kind = SHAPE_OBJECTS, .shape = &(of), .meaning = (text) }

/* ---- what was asked ------------------------------------------------------------------------- */

static const struct shape_field request_fields[] = {
    { .name = "code_version", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the code to run", .example = "\"2.5.0\"" },
    { .name = "configuration_version", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the configuration to run it with; null: each keeps its own" },
    { .name = "selector", .kind = SHAPE_TEXT, .meaning = "in canonical form; empty: the whole fleet", .example = "\"env=prod,role=web\"" },
    { .name = "configuration", .kind = SHAPE_TABLE, .table = &wire_config_table, .flags = SHAPE_PARTIAL, .meaning = "every value in force" },
};
static const struct shape request_shape = {
    .name = "planned_request", .meaning = "what of the request the plan rests on", SHAPE_FIELDS(request_fields)
};

static const struct shape_field failure_fields[] = {
    NOTE("selector", "whom it is about, in canonical form"),
    { .name = "percent", .kind = SHAPE_COUNT, .max = 100, .meaning = "so many in a hundred of them fail" },
};
static const struct shape failure_shape = {
    .name = "planned_failure", .meaning = "members that are taken to fail", SHAPE_FIELDS(failure_fields)
};

static const struct shape_field assume_fields[] = {
    DURATION("update", "time an update takes"),
    ID("update_from", "the rollout that this was learnt from; null: it was given, or is the default"),
    DURATION("approve", "time until somebody promotes a gate"),
    OBJECTS("fail", failure_shape, "the first that matches counts"),
    COUNT("seed", "chooses who fails"),
};
static const struct shape assume_shape = {
    .name = "planned_assumptions", .meaning = "what was taken for granted", SHAPE_FIELDS(assume_fields)
};

/* ---- members and waves ---------------------------------------------------------------------- */

#define COUNTS                                                                                          \
    COUNT("total_instances", "members"),                                                                \
    COUNT("pending_instances", "of those, needing the update"),                                         \
    COUNT("already_current_instances", "of those, running the target already"),                         \
    COUNT("offline_instances", "of those, not heard; overlaps the others")

static const struct shape_field counts_fields[] = { COUNTS };
static const struct shape counts_shape = {
    .name = "planned_members", .meaning = "who it is about", SHAPE_FIELDS(counts_fields)
};

static const struct shape_field member_fields[] = {
    NOTE("instance", "its key"),
    OBJECT("previous_state", wire_version_shape, "what it runs now"),
    { .name = "status_name", WORD(instance_machine.states), .meaning = "how it is now" },
    { .name = "online", .kind = SHAPE_BOOL, .meaning = "whether it is heard" },
    INSTANT("picked_ms", "when it is told to update; null: never"),
    INSTANT("ended_ms", "when it completes or fails; null: never"),
    { .name = "update_state", WORD(member_machine.states), .first = MEMBER_NONE + 1, .meaning = "where the rollout leaves it" },
    { .name = "cause", WORD(wire_member_causes), .first = 1, .flags = SHAPE_NULLABLE, .meaning = "why it fails" },
};
static const struct shape member_shape = {
    .name = "planned_member", .meaning = "a member that needs the update", SHAPE_FIELDS(member_fields)
};

static const struct shape_field gate_fields[] = {
    NOTE("name", "of the gate"),
    { .name = "type", WORD(wire_gate_types), .meaning = "who decides" },
};
static const struct shape gate_shape = {
    .name = "planned_gate", .meaning = "what has to be passed after a wave", SHAPE_FIELDS(gate_fields)
};

static const struct shape_field wave_fields[] = {
    NOTE("name", "of the wave; all: the only one of a rolling rollout"),
    { .name = "mode", WORD(wire_modes), .meaning = "when slots are refilled" },
    { .name = "batch_limit", .kind = SHAPE_COUNT, .min = 1, .meaning = "members in flight at most while it is open" },
    { .name = "failure_limit", .kind = SHAPE_COUNT, .min = 1, .meaning = "so many failed members of it are a breach" },
    DURATION("soak", "time to pass after its last member was done"),
    OBJECTS("gates", gate_shape, "in the order in which they are passed"),
    COUNTS,
    OBJECTS("members", member_shape, "those on this page, in the order of picks"),
};
static const struct shape wave_shape = {
    .name = "planned_wave", .meaning = "a part of the members, updated before the next one", SHAPE_FIELDS(wave_fields)
};

/* ---- the timeline --------------------------------------------------------------------------- */

static const struct shape_field step_fields[] = {
    { .name = "step", WORD(steps), .meaning = "what it is" },
    NOTE("wave", "the name of its wave"),
    { .name = "gate", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the name of the gate" },
    INSTANT("start_ms", "when it begins"),
    INSTANT("end_ms", "when it ends; null: not in this plan"),
};
static const struct shape step_shape = {
    .name = "planned_step", .meaning = "a part of the way", SHAPE_FIELDS(step_fields)
};

static const struct shape_field domain_fields[] = {
    NOTE("label", "whose values divide the members"),
    { .name = "value", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "of the label; null: these members have none" },
    COUNT("total_instances", "members of it"),
    COUNT("peak_in_progress", "most of them in flight at a time"),
    COUNT("lowest_available", "fewest of them online, HEALTHY and not in flight"),
};
static const struct shape domain_shape = {
    .name = "planned_domain", .meaning = "members that may fail together", SHAPE_FIELDS(domain_fields)
};

static const struct shape_field timeline_fields[] = {
    INSTANT("duration_ms", "until it ends; null: it does not"),
    OBJECTS("steps", step_shape, "in the order of their beginnings"),
    COUNT("peak_in_progress", "most members in flight at a time"),
    COUNT("lowest_available", "fewest members online, HEALTHY and not in flight"),
    OBJECTS("domains", domain_shape, "failure domains, at most a thousand"),
    COUNT("domain_count", "how many failure domains there are"),
};
static const struct shape timeline_shape = {
    .name = "planned_timeline", .meaning = "in ms from the beginning", SHAPE_FIELDS(timeline_fields)
};

#define STATE                                                                                           \
    { .name = "status", .kind = SHAPE_NUMBER, .words = &rollout_machine.states, .meaning = "the number of its state" }, \
    { .name = "status_name", WORD(rollout_machine.states), .meaning = "how far it gets" },               \
    { .name = "outcome", WORD(wire_outcomes), .first = 1, .flags = SHAPE_NULLABLE, .meaning = "whether all members get there; null unless COMPLETED" }, \
    { .name = "cause", WORD(wire_rollout_causes), .first = 1, .flags = SHAPE_NULLABLE, .meaning = "why it fails" }, \
    { .name = "progress", .kind = SHAPE_TABLE, .table = &wire_progress_table, .meaning = "its members in the end" }

static const struct shape_field result_fields[] = { STATE };
static const struct shape result_shape = {
    .name = "planned_result", .meaning = "what becomes of it", SHAPE_FIELDS(result_fields)
};

/* ---- limits --------------------------------------------------------------------------------- */

#define REASON { .name = "reason", WORDS_OF(word_of_waiting, WAITING_REASON_COUNT), .meaning = "as a live rollout shows it in waiting" }

static const struct shape_field first_fields[] = {
    REASON,
    NOTE("message", "the same in a sentence"),
    INSTANT("at_ms", "when it keeps it waiting first"),
};
static const struct shape first_shape = {
    .name = "planned_first_limit", .meaning = "what it waits for first", SHAPE_FIELDS(first_fields)
};

static const struct shape_field held_fields[] = {
    REASON,
    INSTANT("first_ms", "when that is so first"),
    COUNT("held_ms", "for how long, in all"),
};
static const struct shape held_shape = {
    .name = "planned_limit", .meaning = "what it waits for", SHAPE_FIELDS(held_fields)
};

static const struct shape_field stop_fields[] = {
    NOTE("reason", "the cause when it fails, else what it waits for in the end: as in waiting, gates as gate:<name>"),
    NOTE("message", "the same in a sentence"),
    INSTANT("at_ms", "when that begins"),
    { .name = "is_beyond_horizon", .kind = SHAPE_BOOL, .meaning = "it might go on after the horizon" },
};
static const struct shape stop_shape = {
    .name = "planned_stop", .meaning = "why it does not complete", SHAPE_FIELDS(stop_fields)
};

static const struct shape_field limits_fields[] = {
    MAYBE("first", first_shape, "the first limit that binds; null: none does"),
    OBJECTS("held", held_shape, "all that it waits for, most important first"),
    MAYBE("stop", stop_shape, "null: it completes"),
};
static const struct shape limits_shape = {
    .name = "planned_limits", .meaning = "what holds it up", SHAPE_FIELDS(limits_fields)
};

/* ---- rollback and conflicts ----------------------------------------------------------------- */

static const struct shape_field automatic_fields[] = {
    STATE,
    INSTANT("start_ms", "when it begins"),
    INSTANT("end_ms", "when it ends; null: not in this plan"),
};
static const struct shape automatic_shape = {
    .name = "planned_automatic_rollback", .meaning = "what becomes of the automatic rollback", SHAPE_FIELDS(automatic_fields)
};

static const struct shape_field rollback_fields[] = {
    ID("restores", "the completed rollout whose version a rollback would put back where no own one is known"),
    MAYBE("target", wire_version_shape, "that version"),
    COUNT("with_previous", "members that need the update and whose present version is known"),
    COUNT("without_previous", "members that need the update and whose present version is not"),
    MAYBE("automatic", automatic_shape, "null: in this plan nothing is rolled back"),
};
static const struct shape rollback_shape = {
    .name = "planned_rollback", .meaning = "the way back", SHAPE_FIELDS(rollback_fields)
};

static const struct shape_field conflict_fields[] = {
    { .name = "deployment_id", .kind = SHAPE_ROLLOUT_ID, .meaning = "the live rollout" },
    { .name = "code", WORDS_OF(word_of_err, ERR_CODE_COUNT), .first = ERR_NONE + 1, .meaning = "of the refusal" },
    NOTE("message", "the same in words"),
};
static const struct shape conflict_shape = {
    .name = "planned_conflict", .meaning = "a live rollout because of which a deploy would be refused with 409 now; the plan takes it as aborted where it may share instances", SHAPE_FIELDS(conflict_fields)
};

/* ---- the whole ------------------------------------------------------------------------------ */

static const struct shape_field plan_fields[] = {
    { .name = "plan_hash", .kind = SHAPE_TEXT, .min = LIMIT_PLAN_HASH, .max = LIMIT_PLAN_HASH, .meaning = "for a deploy that is to happen only as planned" },
    OBJECT("request", request_shape, "what was asked for"),
    OBJECT("assume", assume_shape, "what was taken for granted"),
    DURATION("horizon", "how far was looked"),
    OBJECT("members", counts_shape, "at the beginning"),
    OBJECTS("waves", wave_shape, "in their order"),
    { .name = "next_cursor", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "for the next page of members; null on the last one" },
    OBJECT("timeline", timeline_shape, "what happens when"),
    OBJECT("result", result_shape, "what becomes of it"),
    OBJECT("limits", limits_shape, "what holds it up"),
    OBJECT("rollback", rollback_shape, "the way back"),
    OBJECTS("conflicts", conflict_shape, "why a deploy would be refused now"),
};
const struct shape wire_plan_shape = {
    .name = "plan", .meaning = "what a rollout would do", SHAPE_FIELDS(plan_fields)
};
/* clang-format on */
