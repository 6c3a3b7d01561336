/* SPDX-License-Identifier: Apache-2.0
 * json_table.h - field tables: which JSON keys go to which members of a struct. One table serves
 * the decoder (json_read.h), the writer (json_write.h), error sentences and the reference of the
 * API. */
#ifndef DIDES_WIRE_JSON_TABLE_H
#define DIDES_WIRE_JSON_TABLE_H

#include "base/buffer.h"
#include "base/format.h"
#include "base/text.h"
#include "sm/sm.h"

/* Kinds, with the type of the member and what `min` and `max` mean.
 *                        member                        min, max */
enum json_kind {
    JSON_TEXT,    /* struct text                 bytes */
    JSON_BOOL,    /* bool */
    JSON_INTEGER, /* 1, 2, 4 or 8 bytes; signed when min < 0; the value itself */
    JSON_WORD,    /* 1, 2 or 4 bytes, unsigned:  number in the list `words`; any letter case */
    JSON_WORD_OR_NUMBER, /* the same; the JSON number is accepted too */
    JSON_DURATION,       /* int64_t, ms                 ms; max 0: DURATION_MAX_MS */
    JSON_AMOUNT,         /* struct amount               of counts, not of percentages */
    JSON_TIME,           /* int64_t, ms since the epoch */
    JSON_RAW,     /* struct text: the JSON of any value as it stands in the document; bytes */
    JSON_OBJECT,  /* the struct of `sub`, embedded */
    JSON_OBJECTS, /* pointer to structs of `sub` entries, with a count */
    JSON_TEXTS,   /* struct text *, with a count: entries; each item_min to item_max bytes */
    JSON_MAP,     /* struct json_pair *, with a count: entries; keys 1 to key_max bytes,
                     values item_min to item_max bytes */
    JSON_KIND_COUNT
};

enum json_flag {
    JSON_REQUIRED = 1,    /* must be given (explicit null counts where it is allowed) */
    JSON_NULLABLE = 2,    /* null is allowed: the member is zeroed and its null bit set */
    JSON_PRINTABLE = 4,   /* texts (keys and values too): no control characters */
    JSON_NULL_VALUES = 8, /* of a map: null is allowed as a value */
};

struct json_pair {
    struct text key, value;
    bool is_null;
};

/* Tells what was omitted from what was given. Bit i belongs to row i of the table. */
struct json_given {
    uint64_t fields; /* given, explicit nulls included */
    uint64_t nulls;  /* given as null */
};
#define JSON_BIT(row) (1ull << (row))

struct json_table;

struct json_field {
    const char *name;
    const char *alias;     /* accepted instead of the name, never beside it; or NULL */
    uint8_t kind;          /* enum json_kind */
    uint8_t flags;         /* enum json_flag */
    uint16_t offset, size; /* of the member: see JSON_AT */
    uint16_t count_offset; /* of the uint32_t that counts entries: see JSON_COUNT */
    int64_t min, max;
    uint32_t key_max, item_min, item_max;
    const struct json_table *sub;
    const struct sm_words *words;
    const char *meaning; /* one clause for people */
};

#define JSON_AT(type, member)                                                                      \
    .offset = offsetof(type, member), .size = (uint16_t)sizeof(((type *)NULL)->member)
#define JSON_COUNT(type, member) .count_offset = offsetof(type, member)

enum json_unknown { JSON_UNKNOWN_IS_ERROR, JSON_UNKNOWN_IS_WARNING };

#define JSON_NOT_KEPT   UINT16_MAX
#define JSON_FIELDS_MAX 64

struct json_table {
    const char *name; /* of the schema, for the reference */
    const struct json_field *fields;
    uint8_t count;           /* at most JSON_FIELDS_MAX */
    uint8_t unknown;         /* enum json_unknown */
    bool empty_is_object;    /* an empty body stands for {} */
    uint16_t size;           /* of the struct */
    uint16_t given_offset;   /* of its struct json_given, or JSON_NOT_KEPT */
    void (*init)(void *ret); /* puts the defaults into a struct; NULL: it has none */
};

/* Row number of the key, or -1. *ret_is_alias says which spelling it was. Looking starts at row
 * `first` and goes round, because keys mostly come in the order of the table. */
int json_table_find(const struct json_table *table, struct text key, unsigned first,
                    bool *ret_is_alias);
/* The name or alias nearest to a misspelt key, or NULL when none is near. */
const char *json_table_nearest(const struct json_table *table, struct text key);

/* "a count from 1 to 1000000 or ...": what a value of the field must be. For errors and reference.
 */
void json_field_expect(const struct json_field *field, struct buffer *out);

/* Whether the table keeps its own rules (sizes of members, limits named, names different), sub
 * tables included. False: *err names the row. For tests: tables are constant. */
bool json_table_check(const struct json_table *table, struct err *err);

/* A buffer over `space` for one sentence: no memory is taken and nothing needs to be released. */
#define SENTENCE_SIZE 1024
struct sentence {
    struct memory memory;
    struct buffer buffer;
    char space[SENTENCE_SIZE];
};
void sentence_init(struct sentence *s);

#endif
