/* SPDX-License-Identifier: Apache-2.0
 * schema.h - field tables and shapes as JSON Schema (draft 2020-12, as in OpenAPI 3.1). Whatever is
 * referred to is noted in a book, and written once, under its own name, at the end. */
#ifndef DIDES_WIRE_SCHEMA_H
#define DIDES_WIRE_SCHEMA_H

#include "wire/json_write.h"
#include "wire/shape.h"

#define SCHEMA_BOOK_MAX 128

struct schema_book {
    struct schema_entry {
        const struct shape *shape; /* or */
        const struct json_table *table;
        bool is_answer; /* of a table: written by us, so every member is there */
    } list[SCHEMA_BOOK_MAX];
    size_t count;
};

/* {"$ref": "#/components/schemas/..."}. Two things of one name are a broken promise. */
void schema_refer_shape(struct schema_book *book, struct json_writer *w, const struct shape *shape);
void schema_refer_table(struct schema_book *book, struct json_writer *w,
                        const struct json_table *table, bool is_answer);

/* The schema of one value. `fallback`: its default as JSON, or NULL. */
void schema_write_field(struct schema_book *book, struct json_writer *w,
                        const struct shape_field *field, const char *fallback);

/* Key and schema of everything in the book, also of what that refers to in turn. */
void schema_write_book(struct schema_book *book, struct json_writer *w);

#endif
