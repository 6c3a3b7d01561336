/* SPDX-License-Identifier: Apache-2.0
 * json_write.c - JSON into a buffer, by calls or by a field table. */
#include "wire/json_write.h"

#include "wire/json_value.h"

#include <assert.h>

/* ---- texts ---------------------------------------------------------------------------------- */

/* Bytes that need a look: quote, backslash, control characters, and all of UTF-8 beyond ASCII. */
static const bool is_special[256] = {
    [0 ... 31] = true, ['"'] = true, ['\\'] = true, [127 ... 255] = true
};

static void escape(struct buffer *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[256] = { ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                      ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't' };
    char two[2] = { '\\', shorts[c] };
    char six[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
    if (shorts[c] != '\0')
        buffer_add(out, (struct text){ two, sizeof(two) });
    else
        buffer_add(out, (struct text){ six, sizeof(six) });
}

/* Size of the UTF-8 character at the start of `t`, 0 when there is none. */
static size_t character_size(struct text t)
{
    for (size_t size = 2; size <= 4 && size <= t.size; size++)
        if (text_is_utf8((struct text){ t.data, size }))
            return size;
    return 0;
}

/* Writes what is special at the start of `t` and returns its size. */
static size_t quote_special(struct buffer *out, struct text t)
{
    unsigned char c = (unsigned char)t.data[0];
    size_t size;
    if (c <= 127) {
        escape(out, c);
        return 1;
    }
    size = character_size(t);
    if (size > 0) {
        buffer_add(out, (struct text){ t.data, size });
        return size;
    }
    buffer_add(out, TEXT("\xef\xbf\xbd"));
    return 1;
}

#define EACH_BYTE 0x0101010101010101ull /* times a byte: eight of it */

/* Whether one of eight bytes is special, by the carries into their highest bits: below a space, one
 * of two characters (which the xor makes 0), or 127 and above. */
static bool has_special(const char *eight)
{
    const uint64_t high = EACH_BYTE * 0x80;
    uint64_t bytes;
    memcpy(&bytes, eight, sizeof bytes);
    uint64_t quote = bytes ^ EACH_BYTE * '"', backslash = bytes ^ EACH_BYTE * '\\';
    uint64_t low = (bytes - EACH_BYTE * ' ') | (quote - EACH_BYTE) | (backslash - EACH_BYTE);
    return ((low | (bytes + EACH_BYTE) | bytes) & high) != 0;
}

/* Bytes at the start of `t` that need no look. */
static size_t plain_size(struct text t)
{
    size_t size = 0;
    while (t.size - size >= 8 && !has_special(t.data + size))
        size += 8;
    while (size < t.size && !is_special[(unsigned char)t.data[size]])
        size++;
    return size;
}

/* All of `t` is plain: one piece, because nearly every text is. */
static void quote_plain(struct buffer *out, struct text t)
{
    char *room = buffer_reserve(out, t.size + 2);
    if (room == NULL)
        return;
    room[0] = '"';
    if (t.size > 0)
        memcpy(room + 1, t.data, t.size);
    room[t.size + 1] = '"';
}

void json_quote(struct buffer *out, struct text t)
{
    size_t plain = plain_size(t);
    if (plain == t.size) {
        quote_plain(out, t);
        return;
    }
    buffer_add_byte(out, '"');
    while (t.size > 0) {
        buffer_add(out, (struct text){ t.data, plain });
        t = text_skip(t, plain);
        if (t.size > 0)
            t = text_skip(t, quote_special(out, t));
        plain = plain_size(t);
    }
    buffer_add_byte(out, '"');
}

/* ---- structure ------------------------------------------------------------------------------ */

#define WRITER_DEPTH_MAX 63

void json_writer_init(struct json_writer *w, struct buffer *out)
{
    *w = (struct json_writer){ .out = out };
}

/* Before each item of an object or list, and before each value. */
static void begin_item(struct json_writer *w)
{
    uint64_t bit = 1ull << w->depth;
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->has_items & bit)
        buffer_add_byte(w->out, ',');
    w->has_items |= bit;
}

static void begin(struct json_writer *w, char bracket)
{
    begin_item(w);
    assert(w->depth < WRITER_DEPTH_MAX);
    buffer_add_byte(w->out, bracket);
    w->depth++;
    w->has_items &= ~(1ull << w->depth);
}

static void end(struct json_writer *w, char bracket)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    buffer_add_byte(w->out, bracket);
}

void json_begin_object(struct json_writer *w)
{
    begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
    end(w, '}');
}

void json_begin_list(struct json_writer *w)
{
    begin(w, '[');
}

void json_end_list(struct json_writer *w)
{
    end(w, ']');
}

void json_key_text(struct json_writer *w, struct text key)
{
    assert(!w->after_key);
    begin_item(w);
    json_quote(w->out, key);
    buffer_add_byte(w->out, ':');
    w->after_key = true;
}

/* ---- values --------------------------------------------------------------------------------- */

void json_write_text(struct json_writer *w, struct text t)
{
    begin_item(w);
    json_quote(w->out, t);
}

void json_write_i64(struct json_writer *w, int64_t value)
{
    begin_item(w);
    buffer_add_i64(w->out, value);
}

void json_write_u64(struct json_writer *w, uint64_t value)
{
    begin_item(w);
    buffer_add_u64(w->out, value);
}

void json_write_raw(struct json_writer *w, struct text json)
{
    begin_item(w);
    buffer_add(w->out, json);
}

void json_write_again(struct json_writer *w, size_t at, size_t size)
{
    begin_item(w);
    assert(w->out->failed || (at <= w->out->size && size <= w->out->size - at));
    char *room = buffer_reserve(w->out, size); /* which may move the output */
    if (room)
        memcpy(room, w->out->data + at, size);
}

void json_write_bool(struct json_writer *w, bool value)
{
    json_write_raw(w, value ? TEXT("true") : TEXT("false"));
}

void json_write_null(struct json_writer *w)
{
    json_write_raw(w, TEXT("null"));
}

void json_write_time(struct json_writer *w, int64_t ms)
{
    begin_item(w);
    if (ms == 0) {
        buffer_add(w->out, TEXT("null"));
        return;
    }
    buffer_add_byte(w->out, '"');
    format_time(w->out, ms);
    buffer_add_byte(w->out, '"');
}

/* ---- tables --------------------------------------------------------------------------------- */

enum presence { ABSENT, IS_NULL, HAS_VALUE };

static enum presence presence_of(const struct json_table *table, unsigned row, const char *base)
{
    const struct json_field *field = &table->fields[row];
    const char *at = base + field->offset;
    if (table->given_offset != JSON_NOT_KEPT) {
        const struct json_given *given = (const void *)(base + table->given_offset);
        return given->nulls & JSON_BIT(row)    ? IS_NULL
               : given->fields & JSON_BIT(row) ? HAS_VALUE
                                               : ABSENT;
    }
    if (field->kind == JSON_TEXT || field->kind == JSON_RAW)
        return ((const struct text *)(const void *)at)->data == NULL ? ABSENT : HAS_VALUE;
    if (field->kind == JSON_TIME)
        return *(const int64_t *)(const void *)at == 0 ? ABSENT : HAS_VALUE;
    return HAS_VALUE;
}

/* JSON texts that need no escapes, from the formatters. */
static void write_formatted(struct json_writer *w, const struct json_field *field, const void *at)
{
    begin_item(w);
    buffer_add_byte(w->out, '"');
    if (field->kind == JSON_DURATION)
        format_duration(w->out, *(const int64_t *)at);
    else if (field->kind == JSON_TIME)
        format_time(w->out, *(const int64_t *)at);
    else
        format_amount(w->out, *(const struct amount *)at);
    buffer_add_byte(w->out, '"');
}

static void write_integer(struct json_writer *w, const struct json_field *field, const void *at)
{
    bool is_signed = field->min < 0 || field->size == sizeof(int64_t);
    json_write_i64(w, json_integer_load(at, field->size, is_signed));
}

static void write_word(struct json_writer *w, const struct json_field *field, const void *at)
{
    int64_t number = json_integer_load(at, field->size, false);
    assert(number < field->words->count);
    json_write_text(w, text_from(field->words->list[number].word));
}

static void write_entries(struct json_writer *w, const struct json_field *field, const char *base,
                          enum json_absent absent)
{
    const char *entries = *(const char *const *)(const void *)(base + field->offset);
    uint32_t count = *(const uint32_t *)(const void *)(base + field->count_offset);
    json_begin_list(w);
    for (uint32_t i = 0; i < count; i++) {
        if (field->kind == JSON_OBJECTS)
            json_write_table(w, field->sub, entries + (size_t)i * field->sub->size, absent);
        else
            json_write_text(w, ((const struct text *)(const void *)entries)[i]);
    }
    json_end_list(w);
}

static void write_map(struct json_writer *w, const struct json_field *field, const char *base)
{
    const struct json_pair *pairs =
        *(const struct json_pair *const *)(const void *)(base + field->offset);
    uint32_t count = *(const uint32_t *)(const void *)(base + field->count_offset);
    json_begin_object(w);
    for (uint32_t i = 0; i < count; i++) {
        json_key_text(w, pairs[i].key);
        if (pairs[i].is_null)
            json_write_null(w);
        else
            json_write_text(w, pairs[i].value);
    }
    json_end_object(w);
}

static void write_amount(struct json_writer *w, const struct json_field *field, const void *at)
{
    const struct amount *amount = at;
    if (amount->is_percent)
        write_formatted(w, field, at);
    else
        json_write_u64(w, amount->value);
}

static void write_member(struct json_writer *w, const struct json_field *field, const char *base,
                         enum json_absent absent)
{
    const void *at = base + field->offset;
    switch ((enum json_kind)field->kind) {
    case JSON_TEXT: json_write_text(w, *(const struct text *)at); break;
    case JSON_BOOL: json_write_bool(w, *(const bool *)at); break;
    case JSON_INTEGER: write_integer(w, field, at); break;
    case JSON_WORD:
    case JSON_WORD_OR_NUMBER: write_word(w, field, at); break;
    case JSON_DURATION:
    case JSON_TIME: write_formatted(w, field, at); break;
    case JSON_AMOUNT: write_amount(w, field, at); break;
    case JSON_RAW: json_write_raw(w, *(const struct text *)at); break;
    case JSON_OBJECT: json_write_table(w, field->sub, at, absent); break;
    case JSON_OBJECTS:
    case JSON_TEXTS: write_entries(w, field, base, absent); break;
    case JSON_MAP: write_map(w, field, base); break;
    case JSON_KIND_COUNT: assert(false); /* not a kind */
    }
}

void json_write_members(struct json_writer *w, const struct json_table *table, const void *from,
                        enum json_absent absent)
{
    for (unsigned row = 0; row < table->count; row++) {
        enum presence presence = presence_of(table, row, from);
        if (presence == ABSENT && absent == JSON_ABSENT_IS_OMITTED)
            continue;
        json_key(w, table->fields[row].name);
        if (presence == HAS_VALUE)
            write_member(w, &table->fields[row], from, absent);
        else
            json_write_null(w);
    }
}

void json_write_table(struct json_writer *w, const struct json_table *table, const void *from,
                      enum json_absent absent)
{
    json_begin_object(w);
    json_write_members(w, table, from, absent);
    json_end_object(w);
}

void json_write_member(struct json_writer *w, const struct json_table *table, unsigned row,
                       const void *from)
{
    assert(row < table->count);
    write_member(w, &table->fields[row], from, JSON_ABSENT_IS_OMITTED);
}
