/* SPDX-License-Identifier: Apache-2.0
 * shape.h - what answers and parameters look like: rows of name, kind and meaning, from which the
 * reference of the API is printed. Answers are written by hand where they are not a field table
 * (json_table.h); test/openapi checks each kind of answer of a real server against its shape, key
 * by key, so that neither goes on without the other. */
#ifndef DIDES_WIRE_SHAPE_H
#define DIDES_WIRE_SHAPE_H

#include "wire/json_table.h"

enum shape_kind {
    SHAPE_TEXT,       /* min, max: bytes; max 0: no bound is promised */
    SHAPE_BOOL,       /* */
    SHAPE_COUNT,      /* integer from min; to max, unless that is 0 */
    SHAPE_INTEGER,    /* of either sign */
    SHAPE_TIME,       /* RFC 3339, UTC */
    SHAPE_DURATION,   /* "90s"; min, max: ms */
    SHAPE_ROLLOUT_ID, /* "r-42" */
    SHAPE_WORD,       /* one of the words */
    SHAPE_NUMBER,     /* the number of a word in the list */
    SHAPE_EITHER,     /* the word or its number */
    SHAPE_WORDS,      /* list of such words */
    SHAPE_TEXTS,      /* list of texts */
    SHAPE_LABELS,     /* texts by text */
    SHAPE_OBJECT,     /* `shape` */
    SHAPE_OBJECTS,    /* list of `shape` */
    SHAPE_TABLE,      /* what json_write_table() makes of `table` */
    SHAPE_KIND_COUNT
};

enum shape_flag {
    SHAPE_NULLABLE = 1,
    SHAPE_OPTIONAL = 2, /* left out where the meaning says so */
    SHAPE_PARTIAL = 4,  /* of a table: absent members are left out, not null */
};

/* Words are those of a list, or of a function (number 0 to count - 1). `first` skips a word that
 * stands for "none". */
struct shape_field {
    const char *name;
    uint8_t kind, flags, first;
    int64_t min, max;
    const struct shape *shape;
    const struct json_table *table;
    const struct sm_words *words;
    const char *(*word)(unsigned number);
    unsigned word_count;
    const char *meaning; /* one clause */
    const char *example; /* JSON, or NULL */
};

struct shape {
    const char *name; /* of the schema */
    const char *meaning;
    const struct shape_field *fields;
    size_t count;
};

#define SHAPE_FIELDS(rows) .fields = (rows), .count = sizeof(rows) / sizeof((rows)[0])

#endif
