/* SPDX-License-Identifier: Apache-2.0
 * record.c - keys, the parts of records, and the beginnings of journal entries. */
#include "wire/record.h"

#include "base/limits.h"
#include "wire/record_parts.h"
#include "wire/request.h"
#include "wire/view.h"

/* ---- keys ----------------------------------------------------------------------------------- */

#define INSTANCE_PREFIX TEXT("instance/")
#define ROLLOUT_PREFIX  TEXT("rollout/")
#define EVENT_PREFIX    TEXT("event/")
#define ROLLOUT_DIGITS  8u
#define EVENT_DIGITS    20u

void wire_instance_key(struct buffer *out, struct text key)
{
    buffer_add(out, INSTANCE_PREFIX);
    percent_encode(out, key);
}

void wire_rollout_key(struct buffer *out, uint32_t number)
{
    buffer_add(out, ROLLOUT_PREFIX);
    buffer_add_padded(out, number, ROLLOUT_DIGITS);
}

void wire_event_key(struct buffer *out, uint64_t index)
{
    buffer_add(out, EVENT_PREFIX);
    buffer_add_padded(out, index, EVENT_DIGITS);
}

bool record_key_is(struct text key, const struct buffer *expected)
{
    return !expected->failed && text_equal(key, buffer_text(expected));
}

/* ---- damage --------------------------------------------------------------------------------- */

bool record_is_damaged(struct text key, const char *what, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    return err_set(err, ERR_CORRUPT, "the stored record \"%s\" is damaged: %s",
                   err_excerpt(key, space), what);
}

bool record_read(const struct json_table *table, struct text key, struct text json,
                 struct arena *scratch, void *ret, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    struct sentence s;
    if (json_read(table, json, scratch, ret, NULL, &why))
        return true;
    if (why.code == ERR_MEMORY)
        return err_set(err, ERR_MEMORY, "%s", why.text);
    sentence_init(&s);
    buffer_printf(&s.buffer, "%s%s%s", why.pointer, why.pointer[0] ? " " : "", why.text);
    return record_is_damaged(key, buffer_c_string(&s.buffer), err);
}

/* ---- versions ------------------------------------------------------------------------------- */

/* clang-format off */
static const struct json_field version_fields[] = {
    { .name = "code_version", .kind = JSON_TEXT, JSON_AT(struct stored_version, code), .min = 1, .max = LIMIT_VERSION, .meaning = "left out when not known" },
    { .name = "configuration_version", .kind = JSON_TEXT, JSON_AT(struct stored_version, config), .min = 1, .max = LIMIT_VERSION, .meaning = "left out when not known" },
};
/* clang-format on */

const struct json_table wire_stored_version_table = {
    .name = "stored_version",
    .fields = version_fields,
    .count = 2,
    .size = sizeof(struct stored_version),
    .given_offset = JSON_NOT_KEPT,
};

void record_put_version(struct json_writer *w, const struct fleet *fleet, const char *key,
                        struct version v)
{
    if (v.code == 0 && v.config == 0)
        return;
    json_key(w, key);
    json_begin_object(w);
    record_put_text(w, "code_version", fleet_text(fleet, v.code));
    record_put_text(w, "configuration_version", fleet_text(fleet, v.config));
    json_end_object(w);
}

bool record_take_version(struct fleet *fleet, const struct stored_version *stored,
                         struct version *ret)
{
    return intern_take(&fleet->texts, stored->code, &ret->code) &&
           intern_take(&fleet->texts, stored->config, &ret->config);
}

/* ---- members -------------------------------------------------------------------------------- */

void record_put_number(struct json_writer *w, const char *key, int64_t value)
{
    if (value != 0)
        json_put_i64(w, key, value);
}

void record_put_word(struct json_writer *w, const char *key, const struct sm_words *words,
                     unsigned number)
{
    if (number != 0)
        json_put_text(w, key, text_from(sm_word_at(words, number)));
}

void record_put_text(struct json_writer *w, const char *key, struct text t)
{
    if (t.size > 0)
        json_put_text(w, key, t);
}

void record_put_true(struct json_writer *w, const char *key, bool value)
{
    if (value)
        json_put_bool(w, key, true);
}

void record_put_rollout(struct json_writer *w, const char *key, uint32_t number)
{
    if (number == 0)
        return;
    json_key(w, key);
    wire_write_rollout_id(w, number);
}

bool record_take_rollout(struct text id, uint32_t *ret)
{
    *ret = 0;
    return id.size == 0 || wire_read_rollout_id(id, ret, NULL);
}

/* ---- journal entries ------------------------------------------------------------------------ */

/* Takes `expected` off the front of *rest. */
static bool take(struct text *rest, struct text expected)
{
    if (!text_starts_with(*rest, expected))
        return false;
    *rest = text_skip(*rest, expected.size);
    return true;
}

static bool take_number(struct text *rest, uint64_t max, uint64_t *ret)
{
    struct text digits = { rest->data, 0 };
    while (digits.size < rest->size && rest->data[digits.size] >= '0' &&
           rest->data[digits.size] <= '9')
        digits.size++;
    *rest = text_skip(*rest, digits.size);
    return text_to_u64(digits, max, ret);
}

static bool take_type(struct text *rest, uint8_t *ret)
{
    struct text word = { rest->data, text_find(*rest, '"') };
    for (unsigned type = 0; type < CHANGE_TYPE_COUNT && word.size > 0; type++) {
        const char *known = change_word(type);
        if (known[0] != word.data[0] || !text_equal(word, text_from(known)))
            continue;
        *rest = text_skip(*rest, word.size);
        *ret = (uint8_t)type;
        return true;
    }
    return false;
}

static bool take_event_rollout(struct text *rest, uint32_t *ret)
{
    uint64_t number = 0;
    if (take(rest, TEXT("null"))) {
        *ret = 0;
        return true;
    }
    if (!take(rest, TEXT("\"r-")) || !take_number(rest, UINT32_MAX, &number) || number == 0 ||
        !take(rest, TEXT("\"")))
        return false;
    *ret = (uint32_t)number;
    return true;
}

static bool take_event_key(struct text key, uint64_t *ret)
{
    struct text digits = key;
    if (!take(&digits, EVENT_PREFIX) || digits.size != EVENT_DIGITS)
        return false;
    while (digits.size > 1 && digits.data[0] == '0')
        digits = text_skip(digits, 1);
    return text_to_u64(digits, UINT64_MAX, ret); /* a number has one key of that many digits */
}

bool wire_read_event_head(struct text key, struct text json, struct arena *scratch,
                          uint64_t *ret_index, struct wire_event_head *ret, struct err *err)
{
    struct wire_event_head head = { 0 };
    struct text rest = json;
    uint64_t index = 0, by_key = 0;
    (void)scratch;
    bool is_good = take_event_key(key, &by_key) && take(&rest, TEXT("{\"index\":")) &&
                   take_number(&rest, UINT64_MAX, &index) && take(&rest, TEXT(",\"type\":\"")) &&
                   take_type(&rest, &head.type) && take(&rest, TEXT("\",\"deployment_id\":")) &&
                   take_event_rollout(&rest, &head.rollout) && take(&rest, TEXT(",")) &&
                   text_ends_with(rest, TEXT("}"));
    if (!is_good || index != by_key)
        return record_is_damaged(key, "it is no journal entry of this index", err);
    *ret_index = index;
    *ret = head;
    return true;
}
