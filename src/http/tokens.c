/* SPDX-License-Identifier: Apache-2.0
 * tokens.c - see tokens.h. */
#include "http/tokens.h"

#include <string.h>

const struct token_rule *token_find(const struct token_rule *rules, size_t count, struct text token)
{
    unsigned char hash[SECRET_HASH_SIZE];
    const struct token_rule *found = NULL;
    secret_hash(token, hash);
    for (size_t i = 0; i < count; i++)
        found = secret_equal(rules[i].hash, hash) ? &rules[i] : found;
    return found;
}

bool token_is_expired(const struct token_rule *rule, int64_t now)
{
    return rule->expires_at != 0 && now >= rule->expires_at;
}

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

bool token_name_is_sound(struct text name)
{
    bool is_sound = name.size > 0 && name.size <= TOKEN_NAME_MAX;
    for (size_t i = 0; is_sound && i < name.size; i++)
        is_sound = is_of_name(name.data[i]);
    return is_sound;
}

bool pattern_check(struct text pattern, struct err *err)
{
    if (pattern.size == 0 || pattern.size > TOKEN_PATTERN_MAX || !text_is_utf8(pattern) ||
        !text_is_printable(pattern))
        return err_set(err, ERR_INVALID,
                       "must be a pattern of 1 to %d bytes without control characters",
                       TOKEN_PATTERN_MAX);
    for (size_t i = 0; i < pattern.size; i++)
        if (strchr("[]{}\\", pattern.data[i]))
            return err_set(err, ERR_INVALID,
                           "must be a pattern of *, ? and characters that stand for themselves; "
                           "it has a '%c'",
                           pattern.data[i]);
    return true;
}

/* Bytes of the first character; one byte where `t` is no UTF-8. */
static size_t character_size(struct text t)
{
    size_t size = text_utf8_size(t);
    return size > 0 ? size : 1;
}

/* Goes back to the newest star only: it can take over what any earlier one could, so that the time
 * is bounded by the product of both sizes. */
bool pattern_matches(struct text pattern, struct text key)
{
    size_t p = 0, k = 0, star = SIZE_MAX, taken = 0;
    while (k < key.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            taken = k;
        } else if (p < pattern.size && pattern.data[p] == '?') {
            p++;
            k += character_size(text_skip(key, k));
        } else if (p < pattern.size && pattern.data[p] == key.data[k]) {
            p++;
            k++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            k = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}
