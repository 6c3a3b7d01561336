/* SPDX-License-Identifier: Apache-2.0
 * http_fleet_talk.c - registrations and heartbeats as JSON, and what their answers mean.
 * Source: spec of rollouts, 9.3 Q4, 9.6 and section 10. */
#include "base/format.h"
#include "sim/http_fleet_parts.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

/* ---- saying --------------------------------------------------------------------------------- */

static void write_labels(struct json_writer *w, const struct plan *plan, uint32_t labels)
{
    size_t count = labels_count(&plan->labels, labels);
    json_key(w, "labels");
    json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        struct text key, value;
        labels_at(&plan->labels, labels, i, &key, &value);
        json_key_text(w, key);
        json_write_text(w, value);
    }
    json_end_object(w);
}

static void write_registration(struct json_writer *w, const struct plan *plan,
                               const struct plan_instance *instance)
{
    json_begin_object(w);
    json_key(w, "instance");
    json_begin_object(w);
    if (instance->ip.size > 0)
        json_put_text(w, "ip", instance->ip);
    if (!text_equal(instance->name, instance->ip))
        json_put_text(w, "name", instance->name);
    write_labels(w, plan, instance->labels);
    json_end_object(w);
    json_put_text(w, "token", plan->token);
    json_end_object(w);
}

static void put_version(struct json_writer *w, const char *key, const struct plan *plan,
                        uint32_t id)
{
    if (id != 0)
        json_put_text(w, key, intern_text(&plan->texts, id));
}

static void write_heartbeat(struct json_writer *w, const struct plan *plan,
                            const struct agent *agent, int64_t now)
{
    const char *message = agent_message(agent);
    json_begin_object(w);
    put_version(w, "code_version", plan, agent->claimed.code);
    put_version(w, "configuration_version", plan, agent->claimed.config);
    json_put_u64(w, "status", agent_status(agent, now));
    json_put_text(w, "message", text_from(message ? message : ""));
    if (agent_observed(agent) > 0)
        json_put_u64(w, "observed_generation", agent_observed(agent));
    json_end_object(w);
}

bool fleet_say(struct http_fleet *fleet, struct caller *caller, int64_t now, struct call *ret)
{
    const struct plan_instance *instance = &fleet->plan->instances[caller->index];
    struct json_writer w;
    buffer_clear(&fleet->path);
    buffer_clear(&fleet->body);
    json_writer_init(&w, &fleet->body);
    if (caller->is_registering) {
        buffer_add(&fleet->path, TEXT("/inventory/register"));
        write_registration(&w, fleet->plan, instance);
    } else {
        buffer_add(&fleet->path, TEXT("/inventory/instances/"));
        percent_encode(&fleet->path, instance->name);
        write_heartbeat(&w, fleet->plan, &caller->agent, now);
    }
    *ret = (struct call){
        .method = caller->is_registering ? "POST" : "PATCH",
        .path = buffer_text(&fleet->path),
        .body = buffer_text(&fleet->body),
        .bearer = buffer_text(&caller->credential),
        .timeout_ms = FLEET_CALL_MS,
    };
    return !fleet->path.failed && !fleet->body.failed;
}

/* ---- hearing -------------------------------------------------------------------------------- */

struct version_answer {
    struct text code, config;
};

struct heartbeat_answer {
    bool update_needed;
    uint64_t generation;
    int64_t next_ms;
    struct text rollout;
    struct version_answer wish;
};

struct instance_answer {
    struct version_answer current;
};

struct registration_answer {
    struct text credential;
    struct instance_answer instance;
};

#define NULLABLE .flags = JSON_NULLABLE
#define TABLE(type, rows)                                                                          \
    .fields = (rows), .count = (uint8_t)(sizeof(rows) / sizeof((rows)[0])),                        \
    .unknown = JSON_UNKNOWN_IS_WARNING, .size = sizeof(type), .given_offset = JSON_NOT_KEPT

/* clang-format off */
#define AT(member) JSON_AT(struct version_answer, member)
static const struct json_field version_fields[] = {
    { .name = "code_version", .kind = JSON_TEXT, NULLABLE, AT(code), .max = LIMIT_VERSION, .meaning = "of the code" },
    { .name = "configuration_version", .kind = JSON_TEXT, NULLABLE, AT(config), .max = LIMIT_VERSION, .meaning = "of the configuration" },
};
static const struct json_table version_table = { .name = "version", TABLE(struct version_answer, version_fields) };
#undef AT

#define AT(member) JSON_AT(struct heartbeat_answer, member)
static const struct json_field heartbeat_fields[] = {
    { .name = "desired_state", .kind = JSON_OBJECT, NULLABLE, AT(wish), .sub = &version_table, .meaning = "the wish" },
    { .name = "update_needed", .kind = JSON_BOOL, .flags = JSON_REQUIRED, AT(update_needed), .meaning = "whether the wish is not fulfilled" },
    { .name = "deployment_id", .kind = JSON_TEXT, NULLABLE, AT(rollout), .max = 64, .meaning = "of the rollout it belongs to" },
    { .name = "generation", .kind = JSON_INTEGER, NULLABLE, AT(generation), .max = INT64_MAX, .meaning = "of the wish" },
    { .name = "next_heartbeat_ms", .kind = JSON_INTEGER, NULLABLE, AT(next_ms), .max = INT64_MAX, .meaning = "when to report again" },
};
static const struct json_table heartbeat_table = { .name = "heartbeat_answer", TABLE(struct heartbeat_answer, heartbeat_fields) };
#undef AT

#define AT(member) JSON_AT(struct instance_answer, member)
static const struct json_field instance_fields[] = {
    { .name = "current_state", .kind = JSON_OBJECT, NULLABLE, AT(current), .sub = &version_table, .meaning = "what it reported last" },
};
static const struct json_table instance_table = { .name = "instance_answer", TABLE(struct instance_answer, instance_fields) };
#undef AT

#define AT(member) JSON_AT(struct registration_answer, member)
static const struct json_field registration_fields[] = {
    { .name = "instance", .kind = JSON_OBJECT, NULLABLE, AT(instance), .sub = &instance_table, .meaning = "as the server knows it" },
    { .name = "credential", .kind = JSON_TEXT, NULLABLE, AT(credential), .max = LIMIT_TOKEN, .meaning = "for its heartbeats" },
};
static const struct json_table registration_table = { .name = "registration_answer", TABLE(struct registration_answer, registration_fields) };
#undef AT
/* clang-format on */

/* The plan's id for a text. Versions are few and stay: none is ever dropped, and each is taken
 * once, or heartbeats would count users without end. */
static bool intern_once(struct plan *plan, struct text t, uint32_t *ret)
{
    return intern_find(&plan->texts, t, ret) || intern_take(&plan->texts, t, ret);
}

/* False: no memory. */
static bool intern_version(struct plan *plan, const struct version_answer *answer,
                           struct version *ret)
{
    return intern_once(plan, answer->code, &ret->code) &&
           intern_once(plan, answer->config, &ret->config);
}

static void lose(struct http_fleet *fleet, struct caller *caller, const struct err *why,
                 int64_t now)
{
    fleet->counts.lost++;
    fleet_trouble(fleet, why->text);
    agent_missed(&caller->agent, 0, now);
}

/* A server that forgot what runs is told by the first heartbeat. */
static bool adopt(struct http_fleet *fleet, struct caller *caller,
                  const struct version_answer *known)
{
    struct version version;
    if (!fleet->options.adopts_known_versions || caller->was_registered ||
        (known->code.size == 0 && known->config.size == 0))
        return true;
    if (!intern_version(fleet->plan, known, &version))
        return false;
    caller->agent.running = caller->agent.claimed = version;
    return true;
}

static void hear_registration(struct http_fleet *fleet, struct caller *caller, struct text body,
                              int64_t now)
{
    struct registration_answer answer = { 0 };
    struct err err = { 0 };
    if (!json_read(&registration_table, body, &fleet->answers, &answer, NULL, &err)) {
        lose(fleet, caller, &err, now);
        return;
    }
    buffer_clear(&caller->credential);
    buffer_add(&caller->credential, answer.credential);
    if (caller->credential.failed || !adopt(fleet, caller, &answer.instance.current)) {
        buffer_clear(&caller->credential);
        err_set(&err, ERR_MEMORY, "no memory for the answer to a registration");
        lose(fleet, caller, &err, now);
        return;
    }
    caller->was_registered = true;
    fleet->counts.registrations++;
    agent_registered(&caller->agent, now);
}

static void hear_heartbeat(struct http_fleet *fleet, struct caller *caller, struct text body,
                           int64_t now)
{
    struct heartbeat_answer answer = { 0 };
    struct agent_order order = { 0 };
    struct err err = { 0 };
    if (!json_read(&heartbeat_table, body, &fleet->answers, &answer, NULL, &err)) {
        lose(fleet, caller, &err, now);
        return;
    }
    if (!intern_version(fleet->plan, &answer.wish, &order.wish)) {
        err_set(&err, ERR_MEMORY, "no memory for the answer to a heartbeat");
        lose(fleet, caller, &err, now);
        return;
    }
    order.generation = answer.generation;
    order.rollout = answer.rollout.size > 0 ? text_hash(answer.rollout, 0) : 0;
    fleet->counts.heartbeats++;
    agent_answered(&caller->agent, &order, answer.update_needed, answer.next_ms, now);
}

static void hear_refusal(struct http_fleet *fleet, struct caller *caller,
                         const struct call_result *result, int64_t now)
{
    struct err why = { 0 };
    char excerpt[ERR_EXCERPT_SIZE];
    const char *name = caller->is_registering ? "a registration" : "a heartbeat";
    err_set(&why, ERR_UNAVAILABLE, "%s was answered %d: %s", name, result->status,
            err_excerpt(result->body, excerpt));
    fleet_trouble(fleet, why.text);
    if (result->status == 404 || result->status == 401) {
        fleet->counts.again++;
        buffer_clear(&caller->credential);
        agent_unknown(&caller->agent, now);
        return;
    }
    if (result->status == 429 || result->status == 503)
        fleet->counts.busy++;
    else
        fleet->counts.refused++;
    agent_missed(&caller->agent, result->retry_after_ms, now);
}

void fleet_hear(struct http_fleet *fleet, struct caller *caller, const struct call_result *result,
                uint64_t took_us, int64_t now)
{
    arena_clear(&fleet->answers);
    if (result->status == 0) {
        lose(fleet, caller, &result->err, now);
    } else if (result->status != 200 && result->status != 201) {
        hear_refusal(fleet, caller, result, now);
    } else if (caller->is_registering) {
        hear_registration(fleet, caller, result->body, now);
    } else {
        histogram_add(&fleet->latency, took_us);
        hear_heartbeat(fleet, caller, result->body, now);
    }
}
