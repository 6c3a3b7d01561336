/* SPDX-License-Identifier: Apache-2.0
 * request_heartbeat.c - heartbeats, in all the forms that agents send (Q4).
 * One list of rows serves the top of the body and the object "updates" in it, so that every form is
 * read in one pass; what is given twice is compared afterwards. */
#include "base/limits.h"
#include "wire/request.h"
#include "wire/request_parts.h"
#include "wire/session.h"

struct state_part {
    struct json_given given;
    struct text code, config;
};

struct report_part {
    struct json_given given;
    struct text code, config;
    struct json_pair *labels;
    uint32_t label_count;
    uint32_t observed_generation;
    uint64_t observed_term;
    struct text message, desired_state, session;
    uint32_t sequence;
    int64_t sent_at, last_ping;
    struct state_part current_state;
    uint8_t status;
};

struct report_body {
    struct report_part top; /* first: rows of the parts are rows of the body */
    struct report_part updates;
};

enum report_row {
    REPORT_CODE,
    REPORT_CONFIG,
    REPORT_STATUS,
    REPORT_LABELS,
    REPORT_MESSAGE,
    REPORT_OBSERVED,
    REPORT_TERM,
    REPORT_SESSION,
    REPORT_SEQUENCE,
    REPORT_SENT_AT,
    REPORT_LAST_PING,
    REPORT_CURRENT_STATE,
    REPORT_DESIRED_STATE,
    REPORT_UPDATES, /* only at the top */
    REPORT_ROWS
};

#define AT(member)  JSON_AT(struct report_part, member)
#define VERSION_ROW .kind = JSON_TEXT, .flags = JSON_NULLABLE, .min = 1, .max = LIMIT_VERSION
#define CODE_ROW    .name = "code_version", .alias = "CodeVersion", VERSION_ROW
#define CONFIG_ROW  .name = "configuration_version", .alias = "ConfigurationVersion", VERSION_ROW

/* clang-format off */
static const struct json_field state_fields[] = {
    [REPORT_CODE]   = { CODE_ROW, JSON_AT(struct state_part, code), .meaning = "the code that runs" },
    [REPORT_CONFIG] = { CONFIG_ROW, JSON_AT(struct state_part, config), .meaning = "the configuration it runs with" },
};

static const struct json_table state_table = {
    .name = "reported_state",
    .fields = state_fields,
    .count = 2,
    .unknown = JSON_UNKNOWN_IS_WARNING,
    .size = sizeof(struct state_part),
    .given_offset = offsetof(struct state_part, given),
};

static const struct json_table updates_table;

static const struct json_field report_fields[REPORT_ROWS] = {
    [REPORT_CODE]          = { CODE_ROW, AT(code), .meaning = "the code that runs" },
    [REPORT_CONFIG]        = { CONFIG_ROW, AT(config), .meaning = "the configuration it runs with" },
    [REPORT_STATUS]        = { .name = "status", .kind = JSON_WORD_OR_NUMBER, AT(status), .flags = JSON_NULLABLE, .words = &instance_machine.states,
                               .meaning = "how the instance is" },
    [REPORT_LABELS]        = { .name = "labels", .kind = JSON_MAP, AT(labels), JSON_COUNT(struct report_part, label_count),
                               .flags = JSON_NULLABLE | JSON_NULL_VALUES, .max = LIMIT_LABELS, .key_max = LIMIT_LABEL_KEY, .item_max = LIMIT_LABEL_VALUE,
                               .meaning = "labels to set; null removes one" },
    [REPORT_MESSAGE]       = { .name = "message", .kind = JSON_TEXT, AT(message), .flags = JSON_NULLABLE, .max = LIMIT_MESSAGE, .meaning = "for people" },
    [REPORT_OBSERVED]      = { .name = "observed_generation", .kind = JSON_INTEGER, AT(observed_generation), .flags = JSON_NULLABLE, .max = UINT32_MAX,
                               .meaning = "the newest generation the agent knows; a long poll waits for another" },
    [REPORT_TERM]          = { .name = "observed_term", .kind = JSON_INTEGER, AT(observed_term), .flags = JSON_NULLABLE, .min = 1, .max = WIRE_TERM_MAX,
                               .meaning = "the term that came with that generation; left out, 1" },
    [REPORT_SESSION]       = { .name = "session", .kind = JSON_TEXT, AT(session), .flags = JSON_NULLABLE, .max = WIRE_SESSION_MAX,
                               .meaning = "that orders the reports of one life of the agent; empty asks for one, and then nothing else is taken" },
    [REPORT_SEQUENCE]      = { .name = "sequence", .kind = JSON_INTEGER, AT(sequence), .flags = JSON_NULLABLE, .min = 1, .max = UINT32_MAX,
                               .meaning = "higher with each report of the session, lower ones are late and change nothing" },
    [REPORT_SENT_AT]       = { .name = "sent_at", .kind = JSON_TIME, AT(sent_at), .flags = JSON_NULLABLE, .meaning = "by the agent's clock, to measure its skew" },
    [REPORT_LAST_PING]     = { .name = "last_ping", .kind = JSON_TIME, AT(last_ping), .flags = JSON_NULLABLE, .meaning = "the same as sent_at" },
    [REPORT_CURRENT_STATE] = { .name = "current_state", .kind = JSON_OBJECT, AT(current_state), .flags = JSON_NULLABLE, .sub = &state_table,
                               .meaning = "the version pair that runs" },
    [REPORT_DESIRED_STATE] = { .name = "desired_state", .kind = JSON_RAW, AT(desired_state), .flags = JSON_NULLABLE, .max = LIMIT_BODY_AGENT,
                               .meaning = "ignored: only the server sets it" },
    [REPORT_UPDATES]       = { .name = "updates", .kind = JSON_OBJECT, JSON_AT(struct report_body, updates), .flags = JSON_NULLABLE, .sub = &updates_table,
                               .meaning = "the same once more, the nested form" },
};

static const struct json_table updates_table = {
    .name = "heartbeat_updates",
    .fields = report_fields,
    .count = REPORT_UPDATES,
    .unknown = JSON_UNKNOWN_IS_WARNING,
    .size = sizeof(struct report_part),
    .given_offset = offsetof(struct report_part, given),
};
/* clang-format on */

const struct json_table wire_heartbeat_table = {
    .name = "heartbeat",
    .fields = report_fields,
    .count = REPORT_ROWS,
    .unknown = JSON_UNKNOWN_IS_WARNING,
    .size = sizeof(struct report_body),
    .given_offset = offsetof(struct report_body, top.given),
};

/* ---- what is given once, or twice ----------------------------------------------------------- */

struct merge {
    struct wire_heartbeat h;
    struct arena *arena;
    struct json_warnings *warnings;
    struct err *err;
    const struct json_pair *labels; /* of the first place that gave them */
    uint32_t label_count;
};

/* `path` is the place of the object, `row` the member in it that says something else. */
static bool conflict(const struct merge *m, const char *path, unsigned row)
{
    struct sentence pointer;
    sentence_init(&pointer);
    buffer_printf(&pointer.buffer, "%s/%s", path, report_fields[row].name);
    return err_set_at(m->err, ERR_INVALID, buffer_c_string(&pointer.buffer),
                      "is given twice with different values");
}

static bool merge_text(const struct merge *m, const char *path, unsigned row, struct text value,
                       bool *has, struct text *ret)
{
    if (*has && !text_equal(*ret, value))
        return conflict(m, path, row);
    *has = true;
    *ret = value;
    return true;
}

static bool merge_versions(struct merge *m, const char *path, const struct json_given *given,
                           struct text code, struct text config)
{
    struct heartbeat_command *c = &m->h.command;
    return (!json_has(given, REPORT_CODE) ||
            merge_text(m, path, REPORT_CODE, code, &c->has_code, &c->code)) &&
           (!json_has(given, REPORT_CONFIG) ||
            merge_text(m, path, REPORT_CONFIG, config, &c->has_config, &c->config));
}

static bool merge_time(struct merge *m, const char *path, unsigned row, int64_t ms)
{
    struct heartbeat_command *c = &m->h.command;
    if (c->has_sent_at && c->sent_at != ms)
        return conflict(m, path, row);
    c->has_sent_at = true;
    c->sent_at = ms;
    return true;
}

static const struct json_pair *find_pair(const struct json_pair *pairs, uint32_t count,
                                         struct text key)
{
    for (uint32_t i = 0; i < count; i++)
        if (text_equal(pairs[i].key, key))
            return &pairs[i];
    return NULL;
}

static bool same_labels(const struct merge *m, const struct report_part *part)
{
    if (part->label_count != m->label_count)
        return false;
    for (uint32_t i = 0; i < part->label_count; i++) {
        const struct json_pair *pair = &part->labels[i];
        const struct json_pair *other = find_pair(m->labels, m->label_count, pair->key);
        if (!other || other->is_null != pair->is_null || !text_equal(other->value, pair->value))
            return false;
    }
    return true;
}

static bool merge_labels(struct merge *m, const char *path, const struct report_part *part,
                         bool *has_labels)
{
    if (*has_labels)
        return same_labels(m, part) || conflict(m, path, REPORT_LABELS);
    *has_labels = true;
    m->labels = part->labels;
    m->label_count = part->label_count;
    m->h.command.label_count = part->label_count;
    return wire_take_labels(m->arena, part->labels, part->label_count, &m->h.command.labels,
                            m->err);
}

static bool merge_numbers(struct merge *m, const char *path, const struct report_part *part)
{
    struct heartbeat_command *c = &m->h.command;
    if (json_has(&part->given, REPORT_STATUS)) {
        if (c->has_status && c->status != part->status)
            return conflict(m, path, REPORT_STATUS);
        c->has_status = true;
        c->status = part->status;
    }
    if (json_has(&part->given, REPORT_OBSERVED)) {
        if (m->h.has_observed_generation && m->h.observed_generation != part->observed_generation)
            return conflict(m, path, REPORT_OBSERVED);
        m->h.has_observed_generation = true;
        m->h.observed_generation = part->observed_generation;
    }
    if (json_has(&part->given, REPORT_TERM)) {
        if (m->h.observed_term != 0 && m->h.observed_term != part->observed_term)
            return conflict(m, path, REPORT_TERM);
        m->h.observed_term = part->observed_term;
    }
    return true;
}

static bool merge_order(struct merge *m, const char *path, const struct report_part *part)
{
    struct heartbeat_command *c = &m->h.command;
    if (json_has(&part->given, REPORT_SESSION)) {
        if (c->order != HEARTBEAT_PLAIN && !text_equal(m->h.session, part->session))
            return conflict(m, path, REPORT_SESSION);
        c->order = part->session.size > 0 ? HEARTBEAT_ORDERED : HEARTBEAT_ASKS;
        m->h.session = part->session;
    }
    if (json_has(&part->given, REPORT_SEQUENCE)) {
        if (c->sequence != 0 && c->sequence != part->sequence)
            return conflict(m, path, REPORT_SEQUENCE);
        c->sequence = part->sequence;
    }
    return true;
}

static void note_desired_state(struct merge *m, struct text warning)
{
    struct json_warnings *w = m->warnings;
    m->h.gave_desired_state = true;
    if (w && w->count < JSON_WARNINGS_MAX)
        w->list[w->count++] = warning;
    else if (w)
        w->more++;
}

#define IS_IGNORED "/desired_state was ignored: only the server sets it"

/* `path` is "" for the top, else "/updates". */
static bool merge_part(struct merge *m, const char *path, const struct report_part *part,
                       bool *has_labels)
{
    struct heartbeat_command *c = &m->h.command;
    const struct json_given *given = &part->given;
    bool is_top = path[0] == '\0';
    if (!merge_versions(m, path, given, part->code, part->config) ||
        !merge_numbers(m, path, part) || !merge_order(m, path, part))
        return false;
    if (json_has(given, REPORT_CURRENT_STATE) &&
        !merge_versions(m, is_top ? "/current_state" : "/updates/current_state",
                        &part->current_state.given, part->current_state.code,
                        part->current_state.config))
        return false;
    if (json_has(given, REPORT_LABELS) && !merge_labels(m, path, part, has_labels))
        return false;
    if (json_has(given, REPORT_MESSAGE) &&
        !merge_text(m, path, REPORT_MESSAGE, part->message, &c->has_message, &c->message))
        return false;
    if (json_has(given, REPORT_SENT_AT) && !merge_time(m, path, REPORT_SENT_AT, part->sent_at))
        return false;
    if (json_has(given, REPORT_LAST_PING) &&
        !merge_time(m, path, REPORT_LAST_PING, part->last_ping))
        return false;
    if (json_has(given, REPORT_DESIRED_STATE))
        note_desired_state(m, is_top ? TEXT(IS_IGNORED) : TEXT("/updates" IS_IGNORED));
    return true;
}

bool wire_read_heartbeat(struct text body, struct arena *arena, struct wire_heartbeat *ret,
                         struct json_warnings *warnings, struct err *err)
{
    struct report_body read = { 0 };
    if (!json_read(&wire_heartbeat_table, body, arena, &read, warnings, err))
        return false;
    struct merge m = { .arena = arena, .warnings = warnings, .err = err };
    bool has_labels = false;
    if (!merge_part(&m, "", &read.top, &has_labels))
        return false;
    if (json_has(&read.top.given, REPORT_UPDATES) &&
        !merge_part(&m, "/updates", &read.updates, &has_labels))
        return false;
    if ((m.h.command.order == HEARTBEAT_ORDERED) != (m.h.command.sequence != 0))
        return err_set(err, ERR_INVALID,
                       "session and sequence belong together: a report in a session needs a number "
                       "from 1, and one that asks for a session, or has none, needs none");
    *ret = m.h;
    return true;
}
