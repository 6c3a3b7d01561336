/* SPDX-License-Identifier: Apache-2.0
 * document.h - the server's answers printed as they are: JSON, JSON lines, YAML, or names. */
#ifndef DIDES_CMD_DOCUMENT_H
#define DIDES_CMD_DOCUMENT_H

#include "base/buffer.h"
#include "wire/json_pull.h"

/* clang-format off */
#define OUTPUT_FORMATS(X)                                                                       \
    X(OUTPUT_TABLE, "table") X(OUTPUT_WIDE, "wide") X(OUTPUT_JSON, "json")                      \
    X(OUTPUT_JSONL, "jsonl") X(OUTPUT_YAML, "yaml") X(OUTPUT_NAME, "name")
/* clang-format on */

/* For .choices of an option. */
#define OUTPUT_CHOICE(id, word) word " "

enum output_format {
#define OUTPUT_ITEM(id, word) id,
    OUTPUT_FORMATS(OUTPUT_ITEM)
#undef OUTPUT_ITEM
};

bool output_format_parse(struct text word, enum output_format *ret);
/* Whether people read it: table or wide. */
bool output_is_table(enum output_format format);

/* Appends `node` as JSON. Characters that steer a terminal are escaped as \u00NN, so that the text
 * stays valid JSON. `is_pretty`: two blanks a level; else one line. No line end after it. */
void document_add_json(struct buffer *out, const struct json_node *node, bool is_pretty);
/* Appends `node` as a YAML 1.2 document, with line end. */
void document_add_yaml(struct buffer *out, const struct json_node *node);

/* One thing by itself: json, yaml, jsonl (one line), or name, which is its member `name_key`. Not
 * for tables. */
void document_add_one(struct buffer *out, enum output_format format, const struct json_node *node,
                      const char *name_key);

/* Many things, arriving page by page: a JSON list, YAML list, lines. Begin, items, end. */
struct document_list {
    struct buffer *out;
    enum output_format format;
    const char *name_key;
    bool has_items;
};
void document_list_begin(struct document_list *list, struct buffer *out, enum output_format format,
                         const char *name_key);
void document_list_add(struct document_list *list, const struct json_node *node);
void document_list_end(struct document_list *list);

#endif
