/* SPDX-License-Identifier: Apache-2.0
 * buffer.c - a growing text that remembers its first failure. See buffer.h.
 * One byte more than the content is always allocated, so that asking for a C string cannot fail. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CAPACITY_MIN ((size_t)64)
#define U64_DIGITS   20

void buffer_init(struct buffer *buffer, const struct memory *memory, size_t max)
{
    if (max == SIZE_MAX)
        max--; /* room for the NUL */
    *buffer = (struct buffer){ .memory = memory, .max = max };
}

void buffer_release(struct buffer *buffer)
{
    if (buffer->data)
        memory_give(buffer->memory, buffer->data, buffer->capacity);
    buffer->data = NULL;
    buffer->size = buffer->capacity = 0;
    buffer->failed = false;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

/* Twice as much as now, at least `needed`, at most what `max` can use. */
static size_t next_capacity(const struct buffer *buffer, size_t needed)
{
    size_t most = buffer->max + 1;
    size_t wanted = buffer->capacity < most / 2 ? buffer->capacity * 2 : most;
    if (wanted < CAPACITY_MIN)
        wanted = CAPACITY_MIN < most ? CAPACITY_MIN : most;
    return wanted < needed ? needed : wanted;
}

/* Makes room for `count` more bytes and a NUL. */
static bool make_room(struct buffer *buffer, size_t count)
{
    if (buffer->failed)
        return false;
    if (count > buffer->max - buffer->size) {
        buffer->failed = true;
        return false;
    }
    size_t needed = buffer->size + count + 1;
    if (needed <= buffer->capacity)
        return true;
    size_t capacity = next_capacity(buffer, needed);
    char *data =
        buffer->memory->resize(buffer->memory->ctx, buffer->data, buffer->capacity, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

char *buffer_reserve_more(struct buffer *buffer, size_t count)
{
    if (!make_room(buffer, count))
        return NULL;
    char *room = buffer->data + buffer->size;
    buffer->size += count;
    return room;
}

/* Writes the digits of `value` so that they end at `end`; returns where they begin. */
static char *write_digits(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return end;
}

void buffer_add_u64(struct buffer *buffer, uint64_t value)
{
    char digits[U64_DIGITS], *end = digits + sizeof digits;
    const char *begin = write_digits(end, value);
    buffer_add(buffer, (struct text){ begin, (size_t)(end - begin) });
}

void buffer_add_i64(struct buffer *buffer, int64_t value)
{
    if (value < 0)
        buffer_add_byte(buffer, '-');
    buffer_add_u64(buffer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buffer_add_padded(struct buffer *buffer, uint64_t value, unsigned width)
{
    char digits[U64_DIGITS], *end = digits + sizeof digits;
    const char *begin = write_digits(end, value);
    size_t count = (size_t)(end - begin), zeros = count < width ? width - count : 0;
    char *room = buffer_reserve(buffer, zeros + count);
    if (!room)
        return;
    memset(room, '0', zeros);
    memcpy(room + zeros, begin, count);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        buffer->failed = true;
    if (size < 0 || !make_room(buffer, (size_t)size))
        return;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, args);
    va_end(args);
    buffer->size += (size_t)size;
}

struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){ buffer->data, buffer->size };
}

const char *buffer_c_string(struct buffer *buffer)
{
    if (buffer->failed || !buffer->data)
        return "";
    buffer->data[buffer->size] = '\0';
    return buffer->data;
}
