/* SPDX-License-Identifier: Apache-2.0
 * cursors.c - small texts in paths, queries and header fields: ids of rollouts, cursors, ETags,
 * patterns and names of tokens, URLs of servers. */
#include "fuzz.h"
#include "http/api_parts.h"
#include "http/tokens.h"
#include "net/http_url.h"
#include "wire/request.h"
#include "wire/view_plan.h"

#include <string.h>

void fuzz_rollout_id(struct text input)
{
    struct fuzz f;
    uint32_t number = 0;
    fuzz_begin(&f);
    if (wire_read_rollout_id(input, &number, &f.err)) {
        buffer_printf(&f.out, "r-%u", number);
        fuzz_claim_equal(buffer_text(&f.out), input);
        CLAIM(number > 0);
    } else {
        CLAIM_ERROR(&f.err, ERR_INVALID);
    }
    struct wire_plan_page page = { .limit = 1 };
    if (wire_read_plan_cursor(input, &page, &f.err))
        CLAIM(page.last.size <= input.size);
    else
        CLAIM_ERROR(&f.err, ERR_INVALID);
    fuzz_end(&f);
}

/* The list of RFC 9110, read by hand: every entry is a quoted text, maybe after W/, or "*". */
void fuzz_tags(struct text input)
{
    static const char tag[] = "\"7\"";
    bool is_listed = api_lists_tag(input, tag);
    if (memmem(input.data ? input.data : "", input.size, tag, 3) == NULL &&
        text_find(input, '*') == input.size)
        CLAIM(!is_listed);
    if (text_equal(input, TEXT("*")) || text_equal(input, text_from(tag)))
        CLAIM(is_listed);
}

/* Tries every way; patterns of a fuzzer are short. */
static bool matches(struct text pattern, struct text key)
{
    if (pattern.size == 0)
        return key.size == 0;
    if (pattern.data[0] == '*')
        return matches(text_skip(pattern, 1), key) ||
               (key.size > 0 && matches(pattern, text_skip(key, 1)));
    if (key.size == 0)
        return false;
    size_t size = text_utf8_size(key);
    if (pattern.data[0] == '?')
        return size > 0 && matches(text_skip(pattern, 1), text_skip(key, size));
    return pattern.data[0] == key.data[0] && matches(text_skip(pattern, 1), text_skip(key, 1));
}

void fuzz_pattern(struct text input)
{
    struct err err = { .code = ERR_NONE };
    struct text rest = input;
    struct text pattern = fuzz_part(&rest, '\n');
    size_t stars = 0;
    for (size_t i = 0; i < pattern.size; i++)
        stars += pattern.data[i] == '*';
    if (token_name_is_sound(pattern))
        CLAIM(pattern.size > 0 && pattern.size <= TOKEN_NAME_MAX && text_is_printable(pattern));
    if (!pattern_check(pattern, &err)) {
        CLAIM_ERROR(&err, ERR_INVALID);
        return;
    }
    CLAIM(pattern.size <= TOKEN_PATTERN_MAX);
    /* Keys are UTF-8; the reference takes exponential time. */
    if (stars <= 3 && rest.size <= 40 && text_is_utf8(rest) && text_is_utf8(pattern))
        CLAIM(pattern_matches(pattern, rest) == matches(pattern, rest));
    else
        (void)pattern_matches(pattern, rest);
}

void fuzz_url(struct text input)
{
    struct err err = { .code = ERR_NONE };
    struct http_url url, again;
    if (!http_url_parse(input, &url, &err)) {
        CLAIM_ERROR(&err, ERR_INVALID, ERR_MEMORY);
        return;
    }
    fuzz_claim_safe(text_from(url.shown));
    CLAIM(strncmp(url.base, "http", 4) == 0);
    if (text_find(input, '%') < input.size)
        return; /* of a host: libcurl escapes it anew each time */
    CLAIM(http_url_parse(text_from(url.base), &again, &err));
    CLAIM(strcmp(url.base, again.base) == 0 && strcmp(url.shown, again.shown) == 0);
    CLAIM(http_url_parse(text_from(url.shown), &again, &err));
    CLAIM(strcmp(url.shown, again.base) == 0); /* nothing of a password was left */
}
