/* SPDX-License-Identifier: Apache-2.0
 * json_write.h - writes JSON into a buffer. Commas are the writer's business; failure sticks in the
 * buffer, to be asked once at the end. Output is valid JSON whatever bytes the texts have. */
#ifndef DIDES_WIRE_JSON_WRITE_H
#define DIDES_WIRE_JSON_WRITE_H

#include "base/buffer.h"
#include "wire/json_table.h"

#include <assert.h>
#include <string.h>

struct json_writer {
    struct buffer *out; /* borrowed */
    uint64_t has_items; /* bit per level: a comma goes before the next item */
    uint8_t depth;      /* open objects and lists, at most 63 */
    bool after_key;
};

void json_writer_init(struct json_writer *w, struct buffer *out);

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_list(struct json_writer *w);
void json_end_list(struct json_writer *w);
/* A name of ours: nothing to escape in it. Here, so that it is copied with a size that is known
 * when it is compiled. */
static inline void json_key(struct json_writer *w, const char *key)
{
    size_t size = strlen(key);
    bool has_comma = (w->has_items >> w->depth & 1) != 0;
    char *room = buffer_reserve(w->out, has_comma + size + 3);
    assert(!w->after_key);
    w->has_items |= 1ull << w->depth;
    w->after_key = true;
    if (room == NULL)
        return;
    *room = ',';
    room += has_comma;
    room[0] = '"';
    memcpy(room + 1, key, size);
    room[size + 1] = '"';
    room[size + 2] = ':';
}
void json_key_text(struct json_writer *w, struct text key);

/* Values. Bytes that are not UTF-8 become U+FFFD, one for each byte. */
void json_write_text(struct json_writer *w, struct text t);
void json_write_i64(struct json_writer *w, int64_t value);
void json_write_u64(struct json_writer *w, uint64_t value);
void json_write_bool(struct json_writer *w, bool value);
void json_write_null(struct json_writer *w);
void json_write_time(struct json_writer *w, int64_t ms);      /* RFC 3339; null for 0 */
void json_write_raw(struct json_writer *w, struct text json); /* must be one JSON value */
/* A value that stands in the output already, `at` so many bytes after its start. */
void json_write_again(struct json_writer *w, size_t at, size_t size);

/* Key and value in one. */
static inline void json_put_text(struct json_writer *w, const char *key, struct text t)
{
    json_key(w, key);
    json_write_text(w, t);
}
static inline void json_put_null(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_write_null(w);
}
static inline void json_put_text_or_null(struct json_writer *w, const char *key, struct text t)
{
    if (t.size == 0)
        json_put_null(w, key);
    else
        json_put_text(w, key, t);
}
static inline void json_put_i64(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_write_i64(w, value);
}
static inline void json_put_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_write_u64(w, value);
}
static inline void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_write_bool(w, value);
}
static inline void json_put_time(struct json_writer *w, const char *key, int64_t ms)
{
    json_key(w, key);
    json_write_time(w, ms);
}

/* What a member that was not given becomes. */
enum json_absent { JSON_ABSENT_IS_NULL, JSON_ABSENT_IS_OMITTED };

/* The struct as one object, keys in the order of the table. A member is absent when its given bit
 * is not set; in tables without such bits, when it is a text or raw without data, or a time of 0.
 * Given nulls are null. json_read() of the result with the same table gives the same struct,
 * provided that absent is omitted. */
void json_write_table(struct json_writer *w, const struct json_table *table, const void *from,
                      enum json_absent absent);

/* The value of one row alone; it must be there. */
void json_write_member(struct json_writer *w, const struct json_table *table, unsigned row,
                       const void *from);
/* Its members alone, into an object that is open: those that come next may be others. */
void json_write_members(struct json_writer *w, const struct json_table *table, const void *from,
                        enum json_absent absent);

/* Only the quoted text, without a writer. */
void json_quote(struct buffer *out, struct text t);

#endif
