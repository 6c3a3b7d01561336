/* SPDX-License-Identifier: Apache-2.0
 * json_value.c - one scalar of JSON against one field. */
#include "wire/json_value.h"

#include <assert.h>

void json_integer_store(void *at, size_t size, int64_t value)
{
    switch (size) {
    case 1: *(uint8_t *)at = (uint8_t)value; break;
    case 2: *(uint16_t *)at = (uint16_t)value; break;
    case 4: *(uint32_t *)at = (uint32_t)value; break;
    default: assert(size == 8); *(int64_t *)at = value;
    }
}

int64_t json_integer_load(const void *at, size_t size, bool is_signed)
{
    switch (size) {
    case 1: return is_signed ? *(const int8_t *)at : *(const uint8_t *)at;
    case 2: return is_signed ? *(const int16_t *)at : *(const uint16_t *)at;
    case 4: return is_signed ? *(const int32_t *)at : (int64_t) * (const uint32_t *)at;
    default: assert(size == 8); return *(const int64_t *)at;
    }
}

bool json_text_fits(const struct json_field *field, struct text t, size_t min, size_t max,
                    const char **ret_hint)
{
    if (t.size < min)
        *ret_hint = t.size == 0 ? "it is empty" : "it is too short";
    else if (t.size > max)
        *ret_hint = "it is too long";
    else if (field->flags & JSON_PRINTABLE && !text_is_printable(t))
        *ret_hint = "it has a control character";
    else
        return true;
    return false;
}

/* Exactly, or not at all. `t` is a number of JSON's grammar. */
static bool to_integer(struct text t, int64_t *ret, const char **ret_hint)
{
    bool negative = t.data[0] == '-';
    struct text digits = text_skip(t, negative ? 1 : 0);
    uint64_t value;
    if (text_to_u64(digits, (uint64_t)INT64_MAX + (negative ? 1 : 0), &value)) {
        *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
        return true;
    }
    if (memchr(t.data, '.', t.size) != NULL || memchr(t.data, 'e', t.size) != NULL ||
        memchr(t.data, 'E', t.size) != NULL) {
        *ret_hint = "write it without fraction and exponent";
        return false;
    }
    *ret_hint = "it is out of range";
    return false;
}

static bool store_integer(const struct json_field *field, const struct json_token *token, void *at,
                          const char **ret_hint)
{
    bool any = field->min == 0 && field->max == 0;
    int64_t value;
    if (token->kind != JSON_TOKEN_NUMBER || !to_integer(token->text, &value, ret_hint))
        return false;
    if (!any && (value < field->min || value > field->max))
        return false;
    json_integer_store(at, field->size, value);
    return true;
}

static bool store_word(const struct json_field *field, const struct json_token *token, void *at,
                       const char **ret_hint)
{
    int64_t number;
    if (token->kind == JSON_TOKEN_NUMBER && field->kind == JSON_WORD_OR_NUMBER) {
        if (!to_integer(token->text, &number, ret_hint) || number < 0 ||
            number >= field->words->count)
            return false;
        json_integer_store(at, field->size, number);
        return true;
    }
    if (token->kind != JSON_TOKEN_TEXT)
        return false;
    for (number = 0; number < field->words->count; number++) {
        if (!text_equal_nocase(token->text, text_from(field->words->list[number].word)))
            continue;
        json_integer_store(at, field->size, number);
        return true;
    }
    return false;
}

static bool store_duration(const struct json_field *field, const struct json_token *token, void *at)
{
    int64_t ms, max = field->max > 0 ? field->max : DURATION_MAX_MS;
    if (token->kind != JSON_TOKEN_TEXT || !parse_duration(token->text, &ms, NULL) ||
        ms < field->min || ms > max)
        return false;
    *(int64_t *)at = ms;
    return true;
}

static bool store_amount(const struct json_field *field, const struct json_token *token, void *at,
                         const char **ret_hint)
{
    struct amount amount = { 0 };
    int64_t count;
    if (token->kind == JSON_TOKEN_TEXT) {
        amount.is_percent = true;
        if (!parse_percent(token->text, &amount.value, NULL))
            return false;
    } else {
        if (token->kind != JSON_TOKEN_NUMBER || !to_integer(token->text, &count, ret_hint) ||
            count < field->min || count > field->max)
            return false;
        amount.value = (uint32_t)count;
    }
    *(struct amount *)at = amount;
    return true;
}

static bool store_time(const struct json_token *token, void *at)
{
    return token->kind == JSON_TOKEN_TEXT && parse_time(token->text, at, NULL);
}

static bool store_text(const struct json_field *field, const struct json_token *token, void *at,
                       const char **ret_hint)
{
    if (token->kind == JSON_TOKEN_NUMBER)
        *ret_hint = "it is a number and must stand in quotes";
    if (token->kind != JSON_TOKEN_TEXT ||
        !json_text_fits(field, token->text, (size_t)field->min, (size_t)field->max, ret_hint))
        return false;
    *(struct text *)at = token->text;
    return true;
}

bool json_value_store(const struct json_field *field, const struct json_token *token, void *at,
                      const char **ret_hint)
{
    switch ((enum json_kind)field->kind) {
    case JSON_TEXT: return store_text(field, token, at, ret_hint);
    case JSON_BOOL:
        if (token->kind != JSON_TOKEN_BOOL)
            return false;
        *(bool *)at = token->truth;
        return true;
    case JSON_INTEGER: return store_integer(field, token, at, ret_hint);
    case JSON_WORD:
    case JSON_WORD_OR_NUMBER: return store_word(field, token, at, ret_hint);
    case JSON_DURATION: return store_duration(field, token, at);
    case JSON_AMOUNT: return store_amount(field, token, at, ret_hint);
    case JSON_TIME: return store_time(token, at);
    default: return false; /* objects, lists and maps are not scalars */
    }
}
