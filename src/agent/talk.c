/* SPDX-License-Identifier: Apache-2.0
 * talk.c - see talk.h. */
#include "agent/talk.h"

#include "base/format.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

/* ---- saying ------------------------------------------------------------------------------------
 */

static void put_labels(struct json_writer *w, const struct talk_host *host)
{
    json_key(w, "labels");
    json_begin_object(w);
    for (uint32_t i = 0; i < host->label_count; i++) {
        json_key_text(w, host->labels[i].key);
        json_write_text(w, host->labels[i].value);
    }
    json_end_object(w);
}

void talk_registration(struct buffer *out, const struct talk_host *host)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "instance");
    json_begin_object(&w);
    json_put_text(&w, "name", host->name);
    if (host->ip.size > 0)
        json_put_text(&w, "ip", host->ip);
    put_labels(&w, host);
    json_end_object(&w);
    json_put_text(&w, "token", host->token);
    json_end_object(&w);
}

void talk_path(struct buffer *out, struct text name, bool is_held)
{
    buffer_add(out, TEXT("/inventory/instances/"));
    percent_encode(out, name);
    if (is_held)
        buffer_printf(out, "?wait=%ds", LIFE_WAIT_MS / 1000);
}

static void put_part(struct json_writer *w, const char *key, const struct life_part *part)
{
    if (part->size > 0)
        json_put_text(w, key, life_part_text(part));
}

void talk_heartbeat(struct buffer *out, const struct life_report *report,
                    const struct talk_host *labels_of, int64_t sent_at)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    if (report->has_version) {
        put_part(&w, "code_version", &report->version.code);
        put_part(&w, "configuration_version", &report->version.config);
    }
    if (report->has_status) {
        json_put_u64(&w, "status", report->status);
        json_put_text(&w, "message", (struct text){ report->message, report->message_size });
    }
    if (report->has_observed) {
        json_put_u64(&w, "observed_generation", report->observed_generation);
        json_put_u64(&w, "observed_term", report->observed_term);
    }
    if (report->asks) {
        json_put_text(&w, "session", TEXT_NONE);
    } else if (report->session.size > 0) {
        json_put_text(&w, "session", (struct text){ report->session.id, report->session.size });
        json_put_u64(&w, "sequence", report->session.sequence);
    }
    if (labels_of)
        put_labels(&w, labels_of);
    json_put_time(&w, "sent_at", sent_at);
    json_end_object(&w);
}

/* ---- hearing -----------------------------------------------------------------------------------
 */

struct version_answer {
    struct text code, config;
};

struct heartbeat_answer {
    bool update_needed;
    uint64_t generation, attempt, term;
    int64_t next_ms;
    struct text rollout, session;
    struct version_answer wish, known;
};

struct registration_answer {
    struct text credential;
};

#define TABLE(type, rows)                                                                          \
    .fields = (rows), .count = (uint8_t)(sizeof(rows) / sizeof((rows)[0])),                        \
    .unknown = JSON_UNKNOWN_IS_WARNING, .size = sizeof(type), .given_offset = JSON_NOT_KEPT

/* clang-format off */
#define AT(member) JSON_AT(struct version_answer, member)
static const struct json_field version_fields[] = {
    { .name = "code_version", .kind = JSON_TEXT, .flags = JSON_NULLABLE | JSON_PRINTABLE, AT(code), .max = LIMIT_VERSION, .meaning = "of the code" },
    { .name = "configuration_version", .kind = JSON_TEXT, .flags = JSON_NULLABLE | JSON_PRINTABLE, AT(config), .max = LIMIT_VERSION, .meaning = "of the configuration" },
};
static const struct json_table version_table = { .name = "version", TABLE(struct version_answer, version_fields) };
#undef AT

#define AT(member) JSON_AT(struct heartbeat_answer, member)
static const struct json_field heartbeat_fields[] = {
    { .name = "desired_state", .kind = JSON_OBJECT, .flags = JSON_NULLABLE, AT(wish), .sub = &version_table, .meaning = "the wish" },
    { .name = "current_state", .kind = JSON_OBJECT, .flags = JSON_NULLABLE, AT(known), .sub = &version_table, .meaning = "what it thinks runs" },
    { .name = "update_needed", .kind = JSON_BOOL, .flags = JSON_REQUIRED, AT(update_needed), .meaning = "whether the wish is not fulfilled" },
    { .name = "deployment_id", .kind = JSON_TEXT, .flags = JSON_NULLABLE | JSON_PRINTABLE, AT(rollout), .max = LIFE_ROLLOUT_SIZE, .meaning = "of the rollout it belongs to" },
    { .name = "generation", .kind = JSON_INTEGER, .flags = JSON_REQUIRED, AT(generation), .max = INT64_MAX, .meaning = "of the wish" },
    { .name = "attempt", .kind = JSON_INTEGER, .flags = JSON_NULLABLE, AT(attempt), .max = INT64_MAX, .meaning = "of the rollout at this instance" },
    { .name = "term", .kind = JSON_INTEGER, .flags = JSON_NULLABLE, AT(term), .min = 1, .max = INT64_MAX, .meaning = "of the server" },
    { .name = "session", .kind = JSON_TEXT, .flags = JSON_NULLABLE | JSON_PRINTABLE, AT(session), .max = LIFE_SESSION_SIZE, .meaning = "that the reports belong to from now on" },
    { .name = "next_heartbeat_ms", .kind = JSON_INTEGER, .flags = JSON_NULLABLE, AT(next_ms), .max = INT64_MAX, .meaning = "when to report again" },
};
static const struct json_table heartbeat_table = { .name = "heartbeat_answer", TABLE(struct heartbeat_answer, heartbeat_fields) };
#undef AT

#define AT(member) JSON_AT(struct registration_answer, member)
static const struct json_field registration_fields[] = {
    { .name = "credential", .kind = JSON_TEXT, .flags = JSON_NULLABLE | JSON_PRINTABLE, AT(credential), .max = LIMIT_TOKEN, .meaning = "for its heartbeats" },
};
static const struct json_table registration_table = { .name = "registration_answer", TABLE(struct registration_answer, registration_fields) };
#undef AT

static const struct json_field problem_fields[] = {
    { .name = "detail", .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, .offset = 0, .size = sizeof(struct text), .max = LIMIT_REASON, .meaning = "what is wrong" },
};
static const struct json_table problem_table = { .name = "problem", TABLE(struct text, problem_fields) };
/* clang-format on */

bool talk_read_problem(struct text body, struct arena *arena, struct text *ret_detail)
{
    struct text detail = TEXT_NONE;
    if (!json_read(&problem_table, body, arena, &detail, NULL, NULL))
        return false;
    *ret_detail = detail;
    return true;
}

bool talk_read_registration(struct text body, struct arena *arena, struct text *ret_credential,
                            struct err *err)
{
    struct registration_answer answer = { 0 };
    if (!json_read(&registration_table, body, arena, &answer, NULL, err))
        return false;
    *ret_credential = answer.credential;
    return true;
}

bool talk_read_heartbeat(struct text body, struct arena *arena, struct life_order *ret,
                         int64_t *ret_next_ms, struct text *ret_session, struct err *err)
{
    struct heartbeat_answer answer = { 0 };
    if (!json_read(&heartbeat_table, body, arena, &answer, NULL, err))
        return false;
    *ret = (struct life_order){
        .id = { .term = answer.term > 0 ? answer.term : 1, /* a server that knows of none */
                .generation = answer.generation,
                .attempt = answer.attempt,
                .rollout_size = (uint16_t)answer.rollout.size },
        .is_needed = answer.update_needed,
    };
    if (answer.rollout.size > 0)
        memcpy(ret->id.rollout, answer.rollout.data, answer.rollout.size);
    life_part_set(&ret->wish.code, answer.wish.code);
    life_part_set(&ret->wish.config, answer.wish.config);
    life_part_set(&ret->known.code, answer.known.code);
    life_part_set(&ret->known.config, answer.known.config);
    *ret_next_ms = answer.next_ms;
    *ret_session = answer.session;
    return true;
}
