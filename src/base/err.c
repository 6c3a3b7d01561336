/* SPDX-License-Identifier: Apache-2.0
 * err.c - setting, prefixing and naming errors. See err.h. Nothing here allocates. */
#include "base/err.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define EXCERPT_BYTES 48

static const struct err_row {
    const char *word, *title;
    int http_status;
    bool is_retryable;
} err_rows[] = {
#define ERR_ROW(id, word, http, again, title) [id] = { word, title, http, again },
    ERR_CODES(ERR_ROW)
#undef ERR_ROW
};

static const struct err_row *row_of(enum err_code code)
{
    assert((unsigned)code < ERR_CODE_COUNT);
    return &err_rows[code];
}

/* Copies `from` into `size` bytes. What does not fit is cut before the character it would split, so
 * that the text stays UTF-8. The two may not overlap. */
static void copy_cut(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    if (length >= size) {
        length = size - 1;
        while (length && ((unsigned char)from[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(to, from, length);
    to[length] = '\0';
}

/* Formats through a second array because the arguments may be the text that is replaced. It is four
 * bytes longer than the text, so that copy_cut() sees where the character it cuts begins. */
__attribute__((format(printf, 4, 0))) static bool set(struct err *err, enum err_code code,
                                                      const char *pointer, const char *format,
                                                      va_list args)
{
    assert(code != ERR_NONE && (unsigned)code < ERR_CODE_COUNT);
    if (!err)
        return false;
    char text[ERR_TEXT_SIZE + 4], place[ERR_POINTER_SIZE];
    if (vsnprintf(text, sizeof text, format, args) < 0)
        copy_cut(text, sizeof text, err_title(code));
    copy_cut(place, sizeof place, pointer);
    err->code = code;
    copy_cut(err->text, sizeof err->text, text);
    copy_cut(err->pointer, sizeof err->pointer, place);
    return false;
}

bool err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(err, code, "", format, args);
    va_end(args);
    return false;
}

bool err_set_at(struct err *err, enum err_code code, const char *pointer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(err, code, pointer, format, args);
    va_end(args);
    return false;
}

void err_prefix(struct err *err, const char *format, ...)
{
    if (!err)
        return;
    char prefix[ERR_TEXT_SIZE + 4], text[2 * ERR_TEXT_SIZE + 6];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    if (size < 0)
        return;
    snprintf(text, sizeof text, "%s: %s", prefix, err->text);
    copy_cut(err->text, sizeof err->text, text);
}

const char *err_word(enum err_code code)
{
    return row_of(code)->word;
}

const char *err_title(enum err_code code)
{
    return row_of(code)->title;
}

int err_http_status(enum err_code code)
{
    return row_of(code)->http_status;
}

bool err_is_retryable(enum err_code code)
{
    return row_of(code)->is_retryable;
}

/* Terminals obey the controls U+0080 to U+009F as well as those of ASCII. */
static bool is_control(struct text character)
{
    unsigned char first = (unsigned char)character.data[0];
    if (character.size == 1)
        return first < 0x20 || first == 0x7f;
    return first == 0xc2 && (unsigned char)character.data[1] < 0xa0;
}

static char *write_escaped(char *at, struct text bytes)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char byte = (unsigned char)bytes.data[i];
        *at++ = '\\';
        *at++ = 'x';
        *at++ = hex[byte >> 4];
        *at++ = hex[byte & 15];
    }
    return at;
}

const char *err_excerpt(struct text t, char space[static ERR_EXCERPT_SIZE])
{
    static_assert(EXCERPT_BYTES * 4 + sizeof "..." <= ERR_EXCERPT_SIZE,
                  "every byte may be escaped");
    char *at = space;
    size_t taken = 0;
    while (taken < t.size) {
        struct text rest = text_skip(t, taken);
        size_t size = text_utf8_size(rest);
        struct text character = { rest.data, size ? size : 1 };
        if (taken + character.size > EXCERPT_BYTES)
            break;
        if (size == 0 || is_control(character))
            at = write_escaped(at, character);
        else
            at = (char *)memcpy(at, character.data, size) + size;
        taken += character.size;
    }
    memcpy(at, taken < t.size ? "..." : "", taken < t.size ? 4 : 1);
    return space;
}
