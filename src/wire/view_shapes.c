/* SPDX-License-Identifier: Apache-2.0
 * view_shapes.c - see view_shapes.h. Members stand in the order in which they are written. */
#include "wire/view_shapes.h"

#include "base/err.h"
#include "base/limits.h"
#include "core/change.h"
#include "core/command.h"
#include "core/gate.h"
#include "wire/config.h"
#include "wire/progress.h"
#include "wire/words.h"

/* ---- words ---------------------------------------------------------------------------------- */

static const char *word_of_verb(unsigned number)
{
    return verb_word((enum verb)number);
}

static const char *word_of_change(unsigned number)
{
    return change_word((enum change_type)number);
}

static const char *word_of_err(unsigned number)
{
    return err_word((enum err_code)number);
}

#define WORD(list)           .kind = SHAPE_WORD, .words = &(list)
#define WORDS_OF(fn, amount) .word = (fn), .word_count = (amount)
#define ID(key, text)                                                                              \
    {                                                                                              \
        .name = (key), .kind = SHAPE_ROLLOUT_ID, .flags = SHAPE_NULLABLE, .meaning = (text)        \
    }
#define TIME(key, text)                                                                            \
    {                                                                                              \
        .name = (key), .kind = SHAPE_TIME, .flags = SHAPE_NULLABLE, .meaning = (text)              \
    }
#define NOTE(key, text)                                                                            \
    {                                                                                              \
        .name = (key), .kind = SHAPE_TEXT, .meaning = (text)                                       \
    }
#define OBJECT(key, of, text)                                                                      \
    {                                                                                              \
        .name = (key), .kind = SHAPE_OBJECT, .shape = &(of), .meaning = (text)                     \
    }
#define OBJECTS(key, of, text)                                                                     \
    {                                                                                              \
        .name = (key), .kind = SHAPE_OBJECTS, .shape = &(of), .meaning = (text)                    \
    }
#define COUNT_OF(text)                                                                             \
    {                                                                                              \
        .name = "count", .kind = SHAPE_COUNT, .meaning = (text)                                    \
    }
#define PROGRESS(key, text)                                                                        \
    {                                                                                              \
        .name = (key), .kind = SHAPE_TABLE, .table = &wire_progress_table, .meaning = (text)       \
    }
#define LABELS(text)                                                                               \
    {                                                                                              \
        .name = "labels", .kind = SHAPE_LABELS, .meaning = (text)                                  \
    }

/* clang-format off */

/* ---- instances ------------------------------------------------------------------------------ */

static const struct shape_field version_fields[] = {
    { .name = "code_version", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .max = LIMIT_VERSION, .meaning = "the code; null when it is not known", .example = "\"2.5.0\"" },
    { .name = "configuration_version", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .max = LIMIT_VERSION, .meaning = "the configuration; null when it is not known", .example = "\"c9\"" },
};
const struct shape wire_version_shape = {
    .name = "version_pair", .meaning = "a version pair", SHAPE_FIELDS(version_fields)
};

static const struct shape_field trail_fields[] = {
    ID("deployment_id", "the rollout that picked the instance"),
    OBJECT("previous_state", wire_version_shape, "what it ran before"),
};
static const struct shape trail_shape = {
    .name = "trail_entry", .meaning = "a rollout that has changed the instance", SHAPE_FIELDS(trail_fields)
};

#define STATUS_FIELDS(list)                                                                             \
    { .name = "status", .kind = SHAPE_NUMBER, .words = &(list), .meaning = "the number of its status" }, \
    { .name = "status_name", WORD(list), .meaning = "the name of its status" }

#define UPDATE_NEEDED { .name = "update_needed", .kind = SHAPE_BOOL, .meaning = "whether a part of the desired state differs from the current one" }
#define ATTEMPT       { .name = "attempt", .kind = SHAPE_COUNT, .flags = SHAPE_NULLABLE, .min = 1, .meaning = "of its newest order; null without one" }

static const struct shape_field instance_fields[] = {
    { .name = "name", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .max = LIMIT_NAME, .meaning = "its key; null when the address is the key", .example = "\"web-server-01\"" },
    { .name = "ip", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "its address", .example = "\"192.168.1.100\"" },
    LABELS("what selectors choose it by"),
    STATUS_FIELDS(instance_machine.states),
    { .name = "online", .kind = SHAPE_BOOL, .meaning = "whether it is heard" },
    TIME("offline_since", "when it fell silent; null: it is heard, or has never been offline"),
    TIME("last_seen", "when it was last heard, by the server's clock"),
    TIME("registered_at", "when it was first registered"),
    { .name = "clock_skew_ms", .kind = SHAPE_INTEGER, .meaning = "how far its clock is ahead" },
    OBJECT("current_state", wire_version_shape, "what it last reported running"),
    UPDATE_NEEDED,
    { .name = "generation", .kind = SHAPE_COUNT, .meaning = "changes with its wish; also the ETag" },
    OBJECT("desired_state", wire_version_shape, "what it is to run; nulls: no wish"),
    ID("deployment_id", "the live rollout it belongs to, else that of its newest order"),
    { .name = "wave", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the name of its wave in a live rollout" },
    { .name = "update_state", WORD(member_machine.states), .first = MEMBER_NONE + 1, .flags = SHAPE_NULLABLE, .meaning = "where it is in that rollout" },
    ATTEMPT,
    TIME("deadline_at", "when time alone fails it; null while no deadline acts"),
    { .name = "cause", WORD(wire_member_causes), .first = 1, .flags = SHAPE_NULLABLE, .meaning = "why it failed in that rollout" },
    { .name = "message", .kind = SHAPE_TEXT, .max = LIMIT_MESSAGE, .meaning = "what it last said" },
    { .name = "trail", .kind = SHAPE_OBJECTS, .shape = &trail_shape, .flags = SHAPE_OPTIONAL, .meaning = "rollouts that have changed it, newest last; only in the answer about one instance" },
};
const struct shape wire_instance_shape = {
    .name = "instance", .meaning = "a managed machine or process", SHAPE_FIELDS(instance_fields)
};

static const struct shape_field heartbeat_reply_fields[] = {
    { .name = "instance", .kind = SHAPE_TEXT, .meaning = "its key", .example = "\"web-server-01\"" },
    OBJECT("current_state", wire_version_shape, "what it reported running"),
    OBJECT("desired_state", wire_version_shape, "what it is to run"),
    UPDATE_NEEDED,
    ID("deployment_id", "the rollout whose order this is"),
    ATTEMPT,
    { .name = "generation", .kind = SHAPE_COUNT, .meaning = "of its wish, for observed_generation" },
    { .name = "next_heartbeat_ms", .kind = SHAPE_COUNT, .meaning = "when to report again", .example = "5000" },
    TIME("server_time", "the server's clock"),
    { .name = "warnings", .kind = SHAPE_TEXTS, .meaning = "what was ignored in the report" },
    NOTE("message", "for people"),
    { .name = "term", .kind = SHAPE_COUNT, .min = 1, .meaning = "which life of the server's database this is; an order of a lower term, or of the same and a lower generation, is older", .example = "1" },
    { .name = "session", .kind = SHAPE_TEXT, .flags = SHAPE_OPTIONAL, .meaning = "of its reports from now on; there if the report asked for one", .example = "\"1f6ac2d0935be788-2a\"" },
};
const struct shape wire_heartbeat_reply_shape = {
    .name = "heartbeat_reply", .meaning = "what the instance is to do", SHAPE_FIELDS(heartbeat_reply_fields)
};

static const struct shape_field registered_fields[] = {
    OBJECT("instance", wire_instance_shape, "as it is now"),
    { .name = "credential", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "what the instance shows from now on; null while the server is open" },
    { .name = "next_heartbeat_ms", .kind = SHAPE_COUNT, .meaning = "when to report first", .example = "5000" },
    { .name = "warnings", .kind = SHAPE_TEXTS, .meaning = "what was ignored in the request" },
    NOTE("message", "for people"),
};
const struct shape wire_registered_shape = {
    .name = "registered", .meaning = "the answer to a registration", SHAPE_FIELDS(registered_fields)
};

#define CURSOR { .name = "next_cursor", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "for the next page; null on the last one" }

static const struct shape_field instances_fields[] = {
    OBJECTS("instances", wire_instance_shape, "in the order of their keys"),
    COUNT_OF("instances on this page"),
    { .name = "total", .kind = SHAPE_COUNT, .flags = SHAPE_NULLABLE, .meaning = "all that match; null when counting them would cost a walk over the fleet" },
    CURSOR,
};
const struct shape wire_instances_shape = {
    .name = "instances", .meaning = "a page of instances", SHAPE_FIELDS(instances_fields)
};

/* ---- rollouts ------------------------------------------------------------------------------- */

static const struct shape_field request_fields[] = {
    { .name = "code_version", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the code to run", .example = "\"2.5.0\"" },
    { .name = "configuration_version", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the configuration to run it with; null: each keeps its own" },
    { .name = "selector", .kind = SHAPE_TEXT, .meaning = "in canonical form; empty: the whole fleet", .example = "\"env=prod,role=web\"" },
    { .name = "configuration", .kind = SHAPE_TABLE, .table = &wire_config_table, .flags = SHAPE_PARTIAL, .meaning = "every value in force" },
    { .name = "reason", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "what the operator said" },
};
static const struct shape request_shape = {
    .name = "request", .meaning = "what was asked for, as the body of a deploy that asks for the same", SHAPE_FIELDS(request_fields)
};

static const struct shape_field gate_fields[] = {
    NOTE("name", "of the gate"),
    { .name = "type", WORD(wire_gate_types), .meaning = "who decides" },
    { .name = "state", WORD(gate_machine.states), .meaning = "how far it is" },
    TIME("until", "when it is inconclusive; null: it is not waited for, has no timeout, or clocks stand still"),
};
static const struct shape gate_shape = {
    .name = "gate_state", .meaning = "what has to be passed after a wave", SHAPE_FIELDS(gate_fields)
};

static const struct shape_field wave_fields[] = {
    NOTE("name", "of the wave; all: the only one of a rolling rollout"),
    NOTE("state", "not_started, running, soaking, gated or passed; of the open one failed or paused when the rollout is"),
    { .name = "mode", WORD(wire_modes), .meaning = "when slots are refilled" },
    { .name = "batch_limit", .kind = SHAPE_COUNT, .min = 1, .meaning = "members in flight at most while it is open" },
    { .name = "failure_limit", .kind = SHAPE_COUNT, .min = 1, .meaning = "so many failed members of it are a breach" },
    { .name = "soak", .kind = SHAPE_DURATION, .meaning = "time to pass after its last member was done", .example = "\"10m\"" },
    TIME("opened_at", "when its members became candidates"),
    TIME("passed_at", "when it was done, soaked and past its gates"),
    TIME("soak_until", "when its soak is over; null: it does not soak, or clocks stand still"),
    OBJECTS("gates", gate_shape, "in the order in which they are passed; none where they are skipped"),
    PROGRESS("progress", "its members"),
};
static const struct shape wave_shape = {
    .name = "wave", .meaning = "a part of the members, updated before the next one", SHAPE_FIELDS(wave_fields)
};

#define LIMIT(key, text) { .name = (key), .kind = SHAPE_COUNT, .flags = SHAPE_NULLABLE, .min = 1, .meaning = (text) }

static const struct shape_field domain_fields[] = {
    NOTE("label", "whose values divide the members"),
    { .name = "value", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "of the label; null: these members have none" },
    { .name = "busy", .kind = SHAPE_COUNT, .meaning = "instances in flight, of all live rollouts" },
    LIMIT("max_in_progress", "of those; null: no limit"),
    LIMIT("max_failed", "so many failed members are a breach; null: no limit"),
    PROGRESS("progress", "its members"),
};
static const struct shape domain_shape = {
    .name = "domain", .meaning = "members that may fail together", SHAPE_FIELDS(domain_fields)
};

static const struct shape_field waiting_fields[] = {
    NOTE("reason", "why nobody is picked: store, paused, batch_full, barrier, min_healthy_time, soak, gate:<name>, domain_cap, min_available, offline or leftover"),
    NOTE("message", "the same in a sentence, with numbers"),
    TIME("since", "when that began"),
    TIME("until", "when it ends by itself at the latest; null: unknown"),
};
static const struct shape waiting_shape = {
    .name = "waiting", .meaning = "a reason for which a live rollout picks nobody", SHAPE_FIELDS(waiting_fields)
};

static const struct shape_field members_fields[] = {
    OBJECTS("instances", wire_instance_shape, "members in one of the states asked for"),
    COUNT_OF("instances on this page"),
    CURSOR,
};
static const struct shape members_shape = {
    .name = "members", .meaning = "a page of members of a rollout", SHAPE_FIELDS(members_fields)
};

static const struct shape_field failure_fields[] = {
    { .name = "instance", .kind = SHAPE_TEXT, .meaning = "its key", .example = "\"web-server-01\"" },
    { .name = "cause", WORD(wire_member_causes), .first = 1, .flags = SHAPE_NULLABLE, .meaning = "why it failed" },
    { .name = "message", .kind = SHAPE_TEXT, .max = LIMIT_MESSAGE, .meaning = "what it had said last" },
};
static const struct shape failure_shape = {
    .name = "failure", .meaning = "a member that had failed when its rollout ended", SHAPE_FIELDS(failure_fields)
};

static const struct shape_field rollout_fields[] = {
    { .name = "id", .kind = SHAPE_ROLLOUT_ID, .meaning = "never used again" },
    STATUS_FIELDS(rollout_machine.states),
    { .name = "outcome", WORD(wire_outcomes), .first = 1, .flags = SHAPE_NULLABLE, .meaning = "whether all members got there; null unless COMPLETED" },
    { .name = "cause", WORD(wire_rollout_causes), .first = 1, .flags = SHAPE_NULLABLE, .meaning = "why it FAILED" },
    { .name = "generation", .kind = SHAPE_COUNT, .meaning = "changes with decisions; also the ETag" },
    { .name = "revision", .kind = SHAPE_COUNT, .meaning = "changes with anything" },
    OBJECT("request", request_shape, "what was asked for"),
    { .name = "selector", .kind = SHAPE_TEXT, .meaning = "in canonical form; empty: the whole fleet", .example = "\"env=prod,role=web\"" },
    PROGRESS("progress", "its members"),
    OBJECTS("waves", wave_shape, "in their order"),
    OBJECTS("domains", domain_shape, "failure domains, those at a limit first, and at most a hundred; none once it has ended"),
    { .name = "domain_count", .kind = SHAPE_COUNT, .meaning = "how many failure domains there are" },
    OBJECTS("waiting", waiting_shape, "most important first; empty while it picks, and when it has ended"),
    { .name = "available", .kind = SHAPE_COUNT, .meaning = "members that are online, HEALTHY and not in flight" },
    { .name = "allowed_verbs", .kind = SHAPE_WORDS, WORDS_OF(word_of_verb, VERB_COUNT), .meaning = "what may be asked of it now" },
    { .name = "created_by", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "who asked for it" },
    { .name = "reason", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "what he said" },
    TIME("created_at", "when it was admitted"),
    TIME("started_at", "when it picked first"),
    TIME("ended_at", "when it ended"),
    ID("retry_of", "the rollout it is another attempt of"),
    ID("rollback_of", "the rollout it undoes"),
    ID("restores", "the rollout whose version it puts back"),
    ID("rolled_back_by", "the rollout that undoes it"),
    { .name = "rollback_error", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "no_target: there was nothing to go back to by itself" },
    { .name = "unresolved", .kind = SHAPE_TEXTS, .meaning = "members without a known version to go back to" },
    OBJECTS("failures", failure_shape, "members that had failed when it ended, in the order of their keys, and at most twenty; none while it is live"),
    { .name = "members", .kind = SHAPE_OBJECT, .shape = &members_shape, .flags = SHAPE_OPTIONAL, .meaning = "only with the parameter members" },
};
const struct shape wire_rollout_shape = {
    .name = "deployment", .meaning = "the record of a rollout", SHAPE_FIELDS(rollout_fields)
};

static const struct shape_field rollouts_fields[] = {
    OBJECTS("deployments", wire_rollout_shape, "newest first"),
    COUNT_OF("rollouts on this page"),
    { .name = "next_cursor", .kind = SHAPE_ROLLOUT_ID, .flags = SHAPE_NULLABLE, .meaning = "for the next page; null on the last one" },
};
const struct shape wire_rollouts_shape = {
    .name = "deployments", .meaning = "a page of rollouts", SHAPE_FIELDS(rollouts_fields)
};

static const struct shape_field live_fields[] = {
    OBJECTS("deployments", wire_rollout_shape, "live ones"),
    COUNT_OF("how many there are"),
};
const struct shape wire_live_rollouts_shape = {
    .name = "live_deployments", .meaning = "all live rollouts", SHAPE_FIELDS(live_fields)
};

#define CREATED                                                                     \
    { .name = "id", .kind = SHAPE_ROLLOUT_ID, .meaning = "of the new rollout" },    \
    NOTE("message", "for people"),                                                  \
    OBJECT("deployment", wire_rollout_shape, "its record")

static const struct shape_field created_fields[] = {
    CREATED,
    OBJECT("request", request_shape, "what was asked for"),
};
const struct shape wire_created_shape = {
    .name = "deployed", .meaning = "the answer to a deploy", SHAPE_FIELDS(created_fields)
};

static const struct shape_field rolled_back_fields[] = {
    CREATED,
    LABELS("requirements of the form key=value of its selector"),
    { .name = "config", .kind = SHAPE_TABLE, .table = &wire_config_table, .flags = SHAPE_PARTIAL, .meaning = "every value in force" },
};
const struct shape wire_rolled_back_shape = {
    .name = "rolled_back", .meaning = "the answer to a rollback", SHAPE_FIELDS(rolled_back_fields)
};

static const struct shape_field progressed_fields[] = {
    NOTE("message", "for people"),
    { .name = "deployment", .kind = SHAPE_OBJECT, .shape = &wire_rollout_shape, .flags = SHAPE_NULLABLE, .meaning = "the rollout that was live when the call arrived, as it is now; null when none was" },
    { .name = "status", WORD(rollout_machine.states), .flags = SHAPE_NULLABLE, .meaning = "its state" },
    { .name = "progress", .kind = SHAPE_TABLE, .table = &wire_progress_table, .flags = SHAPE_NULLABLE, .meaning = "its members" },
    { .name = "last", .kind = SHAPE_OBJECT, .shape = &wire_rollout_shape, .flags = SHAPE_NULLABLE, .meaning = "the newest ended rollout" },
};
const struct shape wire_progressed_shape = {
    .name = "progressed", .meaning = "the answer to a progress call", SHAPE_FIELDS(progressed_fields)
};

/* ---- the server itself ---------------------------------------------------------------------- */

static const struct shape_field alive_fields[] = { NOTE("status", "ok, or ready") };
const struct shape wire_alive_shape = {
    .name = "server_status", .meaning = "the server answers", SHAPE_FIELDS(alive_fields)
};

static const struct shape_field confirmed_fields[] = {
    { .name = "term", .kind = SHAPE_COUNT, .min = 1, .meaning = "under which orders count now", .example = "2" },
};
const struct shape wire_confirmed_shape = {
    .name = "confirmed", .meaning = "what the database is now", SHAPE_FIELDS(confirmed_fields)
};

/* ---- errors --------------------------------------------------------------------------------- */

static const struct shape_field fault_fields[] = {
    { .name = "pointer", .kind = SHAPE_TEXT, .meaning = "to the faulty value (RFC 6901)", .example = "\"/configuration/batch_size\"" },
    NOTE("message", "what is wrong with it"),
};
static const struct shape fault_shape = {
    .name = "fault", .meaning = "the place of a fault in the body", SHAPE_FIELDS(fault_fields)
};

static const struct shape_field problem_fields[] = {
    { .name = "type", .kind = SHAPE_TEXT, .meaning = "a reference made of the code", .example = "\"/problems/no_match\"" },
    NOTE("title", "the meaning of the code"),
    { .name = "status", .kind = SHAPE_COUNT, .min = 400, .max = 599, .meaning = "the status code of the answer" },
    NOTE("detail", "what was wrong with this request"),
    { .name = "instance", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the path of the request; null when it was not read that far" },
    { .name = "code", .kind = SHAPE_WORD, WORDS_OF(word_of_err, ERR_CODE_COUNT), .first = ERR_NONE + 1, .meaning = "stable: what programs match on" },
    { .name = "retryable", .kind = SHAPE_BOOL, .meaning = "whether the same request may succeed later" },
    OBJECTS("errors", fault_shape, "places in the body"),
    { .name = "current_state", WORD(rollout_machine.states), .flags = SHAPE_OPTIONAL, .meaning = "of the rollout that is in the way" },
    { .name = "allowed_verbs", .kind = SHAPE_WORDS, WORDS_OF(word_of_verb, VERB_COUNT), .flags = SHAPE_OPTIONAL, .meaning = "what may be asked of it now" },
    { .name = "deployment_id", .kind = SHAPE_ROLLOUT_ID, .flags = SHAPE_OPTIONAL, .meaning = "that rollout" },
    { .name = "oldest", .kind = SHAPE_COUNT, .flags = SHAPE_OPTIONAL, .meaning = "of the code gone: the oldest index still kept" },
};
const struct shape wire_problem_shape = {
    .name = "problem", .meaning = "an error (RFC 9457)", SHAPE_FIELDS(problem_fields)
};

/* ---- journal entries ------------------------------------------------------------------------ */

#define MAYBE SHAPE_OPTIONAL
#define MAYBE_NULL (SHAPE_OPTIONAL | SHAPE_NULLABLE)

static const struct shape_field values_fields[] = {
    { .name = "ip", .kind = SHAPE_TEXT, .flags = MAYBE_NULL, .meaning = "its address" },
    { .name = "labels", .kind = SHAPE_LABELS, .flags = MAYBE, .meaning = "its labels" },
    { .name = "status", .kind = SHAPE_COUNT, .flags = MAYBE, .meaning = "of the instance or rollout" },
    { .name = "status_name", .kind = SHAPE_TEXT, .flags = MAYBE, .meaning = "the name of that" },
    { .name = "current_state", .kind = SHAPE_OBJECT, .shape = &wire_version_shape, .flags = MAYBE, .meaning = "what it runs" },
    { .name = "desired_state", .kind = SHAPE_OBJECT, .shape = &wire_version_shape, .flags = MAYBE, .meaning = "what it is to run" },
    { .name = "message", .kind = SHAPE_TEXT, .flags = MAYBE, .meaning = "what it said" },
    { .name = "online", .kind = SHAPE_BOOL, .flags = MAYBE, .meaning = "whether it is heard" },
    { .name = "update_state", WORD(member_machine.states), .flags = MAYBE, .meaning = "where it is in the rollout" },
    { .name = "attempt", .kind = SHAPE_COUNT, .flags = MAYBE, .meaning = "of the order" },
    { .name = "deadline_at", .kind = SHAPE_TIME, .flags = MAYBE_NULL, .meaning = "of the order" },
    { .name = "cause", .kind = SHAPE_TEXT, .flags = MAYBE_NULL, .meaning = "of the failure" },
    { .name = "outcome", WORD(wire_outcomes), .first = 1, .flags = MAYBE_NULL, .meaning = "of the rollout" },
    { .name = "progress", .kind = SHAPE_TABLE, .table = &wire_progress_table, .flags = MAYBE, .meaning = "of the rollout" },
    { .name = "selector", .kind = SHAPE_TEXT, .flags = MAYBE, .meaning = "of the rollout" },
    { .name = "code_version", .kind = SHAPE_TEXT, .flags = MAYBE_NULL, .meaning = "of the rollout" },
    { .name = "configuration_version", .kind = SHAPE_TEXT, .flags = MAYBE_NULL, .meaning = "of the rollout" },
    { .name = "retry_of", .kind = SHAPE_ROLLOUT_ID, .flags = MAYBE_NULL, .meaning = "the rollout it is another attempt of" },
    { .name = "rollback_of", .kind = SHAPE_ROLLOUT_ID, .flags = MAYBE_NULL, .meaning = "the rollout it undoes" },
    { .name = "restores", .kind = SHAPE_ROLLOUT_ID, .flags = MAYBE_NULL, .meaning = "the rollout whose version it puts back" },
    { .name = "wave", .kind = SHAPE_TEXT, .flags = MAYBE, .meaning = "of the rollout" },
    { .name = "gate", .kind = SHAPE_TEXT, .flags = MAYBE, .meaning = "after that wave" },
    { .name = "gate_type", WORD(wire_gate_types), .flags = MAYBE, .meaning = "who decides about it" },
    { .name = "silent_instances", .kind = SHAPE_COUNT, .flags = MAYBE, .meaning = "of the fleet, that fell silent at once" },
    { .name = "online_instances", .kind = SHAPE_COUNT, .flags = MAYBE, .meaning = "of the fleet" },
    { .name = "unresolved", .kind = SHAPE_COUNT, .flags = MAYBE, .meaning = "members without a known version to go back to" },
};
static const struct shape values_shape = {
    .name = "event_values", .meaning = "what the type of the event is about; other members are left out", SHAPE_FIELDS(values_fields)
};

static const struct shape_field event_fields[] = {
    { .name = "index", .kind = SHAPE_COUNT, .min = 1, .meaning = "without gaps; also the id of the event" },
    { .name = "type", .kind = SHAPE_WORD, WORDS_OF(word_of_change, CHANGE_TYPE_COUNT), .meaning = "what happened" },
    ID("deployment_id", "the rollout it is about"),
    { .name = "labels", .kind = SHAPE_LABELS, .flags = SHAPE_NULLABLE, .meaning = "of the instance at that time; null: the event is about a rollout" },
    { .name = "selector", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "of the rollout, in canonical form; null: the event is about an instance" },
    { .name = "instance", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "the key of the instance it is about" },
    TIME("time", "when it happened, by the server's clock"),
    { .name = "actor", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "who did it; null: the server by itself" },
    { .name = "reason", .kind = SHAPE_TEXT, .flags = SHAPE_NULLABLE, .meaning = "what he said" },
    OBJECT("old", values_shape, "values before"),
    OBJECT("new", values_shape, "values after"),
};
const struct shape wire_event_shape = {
    .name = "event", .meaning = "one change of state", SHAPE_FIELDS(event_fields)
};
/* clang-format on */
