/* SPDX-License-Identifier: Apache-2.0
 * request.c - registration, the bodies of verbs, and ids. */
#include "wire/request.h"

#include "base/format.h"
#include "base/limits.h"
#include "wire/request_parts.h"

#include <assert.h>

bool wire_take_labels(struct arena *arena, const struct json_pair *pairs, uint32_t count,
                      const struct label_change **ret, struct err *err)
{
    struct label_change *changes = NULL;
    if (count > 0) {
        changes = arena_take_array(arena, count, sizeof *changes);
        if (!changes)
            return err_set(err, ERR_MEMORY, "no memory for %u labels", count);
    }
    for (uint32_t i = 0; i < count; i++)
        changes[i] = (struct label_change){ .key = pairs[i].key,
                                            .value = pairs[i].value,
                                            .is_removal = pairs[i].is_null };
    *ret = changes;
    return true;
}

/* ---- registration --------------------------------------------------------------------------- */

struct instance_body {
    struct json_given given;
    struct text name, ip;
    struct json_pair *labels;
    uint32_t label_count;
};

struct register_body {
    struct instance_body instance;
    struct text token;
};

#define ADDRESS_SIZE 64 /* the longest text of an address has 45 bytes */

#define AT(member)    JSON_AT(struct instance_body, member)
#define COUNT(member) JSON_COUNT(struct instance_body, member)

/* clang-format off */
enum instance_row { INSTANCE_NAME, INSTANCE_IP, INSTANCE_LABELS, INSTANCE_ROWS };
static const struct json_field instance_fields[INSTANCE_ROWS] = {
    [INSTANCE_NAME]   = { .name = "name", .kind = JSON_TEXT, AT(name), .flags = JSON_NULLABLE | JSON_PRINTABLE, .max = LIMIT_NAME,
                          .meaning = "its key; without one the address is the key" },
    [INSTANCE_IP]     = { .name = "ip", .kind = JSON_TEXT, AT(ip), .flags = JSON_NULLABLE, .max = ADDRESS_SIZE, .meaning = "its IPv4 or IPv6 address" },
    [INSTANCE_LABELS] = { .name = "labels", .kind = JSON_MAP, AT(labels), COUNT(label_count), .flags = JSON_NULLABLE,
                          .max = LIMIT_LABELS, .key_max = LIMIT_LABEL_KEY, .item_max = LIMIT_LABEL_VALUE, .meaning = "what selectors choose it by" },
};

static const struct json_table instance_table = {
    .name = "registered_instance",
    .fields = instance_fields,
    .count = INSTANCE_ROWS,
    .unknown = JSON_UNKNOWN_IS_WARNING,
    .size = sizeof(struct instance_body),
    .given_offset = offsetof(struct instance_body, given),
};

/* The token comes first, so that a table of one row can read it alone. */
static const struct json_field register_fields[] = {
    { .name = "token", .kind = JSON_TEXT, JSON_AT(struct register_body, token), .flags = JSON_NULLABLE, .max = LIMIT_TOKEN,
      .meaning = "a registration token; any text while the server is open" },
    { .name = "instance", .kind = JSON_OBJECT, JSON_AT(struct register_body, instance), .flags = JSON_REQUIRED, .sub = &instance_table,
      .meaning = "who registers" },
};
/* clang-format on */
#undef AT
#undef COUNT

static const struct json_table token_table = {
    .name = "token",
    .fields = register_fields,
    .count = 1,
    .unknown = JSON_UNKNOWN_IS_WARNING,
    .size = sizeof(struct register_body),
    .given_offset = JSON_NOT_KEPT,
};

const struct json_table wire_register_table = {
    .name = "register",
    .fields = register_fields,
    .count = 2,
    .unknown = JSON_UNKNOWN_IS_WARNING,
    .size = sizeof(struct register_body),
    .given_offset = JSON_NOT_KEPT,
};

bool wire_read_token(struct text body, struct arena *arena, struct text *ret_token, struct err *err)
{
    struct register_body read = { 0 };
    if (!json_read(&token_table, body, arena, &read, NULL, err))
        return false;
    *ret_token = read.token;
    return true;
}

static bool check_instance(const struct instance_body *instance, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    if (instance->ip.size > 0 && !is_ip_address(instance->ip))
        return err_set_at(err, ERR_INVALID, "/instance/ip", "\"%s\" is not an IPv4 or IPv6 address",
                          err_excerpt(instance->ip, space));
    if (instance->ip.size == 0 && instance->name.size == 0)
        return err_set_at(err, ERR_INVALID, "/instance", "needs a name or an ip");
    return true;
}

bool wire_read_register(struct text body, struct arena *arena, struct wire_register *ret,
                        struct json_warnings *warnings, struct err *err)
{
    struct register_body read = { .token = TEXT_NONE };
    const struct label_change *labels;
    if (!json_read(&wire_register_table, body, arena, &read, warnings, err) ||
        !check_instance(&read.instance, err) ||
        !wire_take_labels(arena, read.instance.labels, read.instance.label_count, &labels, err))
        return false;
    *ret = (struct wire_register){
        .command = { .name = read.instance.name,
                     .ip = read.instance.ip,
                     .labels = labels,
                     .label_count = read.instance.label_count,
                     .has_labels = json_has(&read.instance.given, INSTANCE_LABELS) },
        .token = read.token,
        .has_token = read.token.size > 0,
    };
    return true;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

struct verb_body {
    struct json_given given;
    struct text reason;
    uint8_t in_flight;
    bool is_full;
};

enum verb_row { VERB_REASON, VERB_OWN, VERB_ROWS };

static const struct sm_words in_flight_words = {
    (const struct sm_word[]){ { "finish", "members in flight keep their wishes" } }, 1
};

#define REASON_FIELD                                                                               \
    {                                                                                              \
        .name = "reason", .kind = JSON_TEXT, JSON_AT(struct verb_body, reason),                    \
        .flags = JSON_NULLABLE, .max = LIMIT_REASON, .meaning = "for the journal"                  \
    }

static const struct json_field abort_fields[VERB_ROWS] = {
    [VERB_REASON] = REASON_FIELD,
    [VERB_OWN] = { .name = "in_flight",
                   .kind = JSON_WORD,
                   JSON_AT(struct verb_body, in_flight),
                   .words = &in_flight_words,
                   .meaning = "what becomes of members in flight; without it their wishes go" },
};

static const struct json_field promote_fields[VERB_ROWS] = {
    [VERB_REASON] = REASON_FIELD,
    [VERB_OWN] = { .name = "full",
                   .kind = JSON_BOOL,
                   JSON_AT(struct verb_body, is_full),
                   .meaning = "passes all later soaks, gates and holds too" },
};

#define VERB_TABLE(word, rows, row_count)                                                          \
    {                                                                                              \
        .name = word, .fields = rows, .count = row_count, .empty_is_object = true,                 \
        .size = sizeof(struct verb_body), .given_offset = offsetof(struct verb_body, given)        \
    }

const struct json_table wire_verb_table = VERB_TABLE("verb", abort_fields, 1);
const struct json_table wire_abort_table = VERB_TABLE("abort", abort_fields, VERB_ROWS);
const struct json_table wire_promote_table = VERB_TABLE("promote", promote_fields, VERB_ROWS);

bool wire_read_verb(struct text body, struct arena *arena, enum verb verb, struct verb_command *ret,
                    struct err *err)
{
    const struct json_table *table = verb == VERB_ABORT     ? &wire_abort_table
                                     : verb == VERB_PROMOTE ? &wire_promote_table
                                                            : &wire_verb_table;
    struct verb_body read = { .reason = TEXT_NONE };
    assert(verb < VERB_COUNT && verb != VERB_ROLLBACK);
    if (!json_read(table, body, arena, &read, NULL, err))
        return false;
    *ret = (struct verb_command){
        .verb = verb,
        .finish_in_flight = verb == VERB_ABORT && json_has(&read.given, VERB_OWN),
        .is_full = verb == VERB_PROMOTE && read.is_full,
        .reason = read.reason,
    };
    return true;
}

/* ---- ids ------------------------------------------------------------------------------------ */

bool wire_read_rollout_id(struct text id, uint32_t *ret, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    uint64_t number = 0;
    if (!text_starts_with(id, TEXT("r-")) || !text_to_u64(text_skip(id, 2), UINT32_MAX, &number) ||
        number == 0)
        return err_set(err, ERR_INVALID, "\"%s\" is not the id of a rollout: those are like r-42",
                       err_excerpt(id, space));
    *ret = (uint32_t)number;
    return true;
}
