/* SPDX-License-Identifier: Apache-2.0
 * buffer.h - a growing text. Failure sticks: write everything, ask once at the end. */
#ifndef DIDES_BASE_BUFFER_H
#define DIDES_BASE_BUFFER_H

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

struct buffer {
    const struct memory *memory;
    char *data;
    size_t size, capacity, max;
    bool failed; /* no memory, or more than `max` bytes; then the content means nothing */
};

void buffer_init(struct buffer *buffer, const struct memory *memory, size_t max);
void buffer_release(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* empties it and forgets a failure, keeps the memory */

void buffer_add_i64(struct buffer *buffer, int64_t value);
void buffer_add_u64(struct buffer *buffer, uint64_t value);
void buffer_add_padded(struct buffer *buffer, uint64_t value, unsigned width); /* zero-padded */
__attribute__((format(printf, 2, 3))) void buffer_printf(struct buffer *buffer, const char *format,
                                                         ...);
/* The same as buffer_reserve(), for when there may be no room yet. */
char *buffer_reserve_more(struct buffer *buffer, size_t count);
/* Room for `count` more bytes, uninitialised; NULL on failure. Counts as added. Here, because all
 * that is ever printed comes through it in small pieces. */
static inline char *buffer_reserve(struct buffer *buffer, size_t count)
{
    if (buffer->failed || count >= buffer->capacity - buffer->size) /* one stays for the NUL */
        return buffer_reserve_more(buffer, count);
    char *room = buffer->data + buffer->size;
    buffer->size += count;
    return room;
}

/* `t` is no part of this buffer. */
static inline void buffer_add(struct buffer *buffer, struct text t)
{
    char *room = buffer_reserve(buffer, t.size);
    if (room && t.size)
        memcpy(room, t.data, t.size);
}
static inline void buffer_add_byte(struct buffer *buffer, char byte)
{
    char *room = buffer_reserve(buffer, 1);
    if (room)
        *room = byte;
}

/* What was written; borrowed until the next change. */
struct text buffer_text(const struct buffer *buffer);
/* The content as a C string, borrowed; "" after a failure. */
const char *buffer_c_string(struct buffer *buffer);

#endif
