/* SPDX-License-Identifier: Apache-2.0
 * document.c - see document.h. */
#include "cmd/document.h"

#include "base/cleanup.h"
#include "cmd/terminal.h"
#include "wire/json_write.h"

#define SCALAR_MAX ((size_t)64 << 20)
#define INDENT     2

bool output_format_parse(struct text word, enum output_format *ret)
{
    static const char *const words[] = {
#define OUTPUT_ITEM(id, word) word,
        OUTPUT_FORMATS(OUTPUT_ITEM)
#undef OUTPUT_ITEM
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_equal(word, text_from(words[i]))) {
            *ret = (enum output_format)i;
            return true;
        }
    }
    return false;
}

bool output_is_table(enum output_format format)
{
    return format == OUTPUT_TABLE || format == OUTPUT_WIDE;
}

static void add_indent(struct buffer *out, unsigned level)
{
    buffer_printf(out, "%*s", (int)(level * INDENT), "");
}

/* json_quote() escapes C0 only; DEL and C1 (U+0080 to U+009F, in UTF-8 from C2 80 on) steer some
 * terminals too, and U+2028 and U+2029 (E2 80 A8 and A9) end a line for readers of YAML 1.1. */
static void add_quoted(struct buffer *out, struct text t)
{
    cleanup(buffer_release) struct buffer quoted = { 0 };
    buffer_init(&quoted, &memory_heap, SCALAR_MAX);
    json_quote(&quoted, t);
    struct text rest = buffer_text(&quoted);
    for (size_t size; rest.size > 0; rest = text_skip(rest, size)) {
        uint8_t byte = (uint8_t)rest.data[0];
        uint8_t next = rest.size > 1 ? (uint8_t)rest.data[1] : 0;
        bool is_line_end = text_starts_with(rest, TEXT("\xe2\x80\xa8")) ||
                           text_starts_with(rest, TEXT("\xe2\x80\xa9"));
        size = is_line_end ? 3 : byte == 0xc2 && next >= 0x80 && next <= 0x9f ? 2 : 1;
        if (byte == 0x7f)
            buffer_add(out, TEXT("\\u007f"));
        else if (size == 2)
            buffer_printf(out, "\\u00%02x", (unsigned)next);
        else if (size == 3)
            buffer_printf(out, "\\u20%02x", (unsigned)(uint8_t)rest.data[2] - 0x80);
        else
            buffer_add_byte(out, rest.data[0]);
    }
    out->failed = out->failed || quoted.failed;
}

static bool is_container(const struct json_node *node)
{
    return node->kind == JSON_NODE_OBJECT || node->kind == JSON_NODE_LIST;
}

static void add_scalar(struct buffer *out, const struct json_node *node)
{
    switch (node->kind) {
    case JSON_NODE_BOOL: buffer_add(out, node->truth ? TEXT("true") : TEXT("false")); break;
    case JSON_NODE_NUMBER: buffer_add(out, node->text); break;
    case JSON_NODE_TEXT: add_quoted(out, node->text); break;
    default: buffer_add(out, TEXT("null")); break;
    }
}

/* The tree is at most LIMIT_JSON_DEPTH deep, and so are these. */
static void add_json(struct buffer *out, const struct json_node *node, bool is_pretty,
                     unsigned level)
{
    if (!is_container(node)) {
        add_scalar(out, node);
        return;
    }
    bool is_object = node->kind == JSON_NODE_OBJECT;
    buffer_add_byte(out, is_object ? '{' : '[');
    for (const struct json_node *entry = node->first; entry; entry = entry->next) {
        if (is_pretty) {
            buffer_add_byte(out, '\n');
            add_indent(out, level + 1);
        }
        if (is_object) {
            add_quoted(out, entry->key);
            buffer_add(out, is_pretty ? TEXT(": ") : TEXT(":"));
        }
        add_json(out, entry, is_pretty, level + 1);
        buffer_add(out, entry->next ? TEXT(",") : TEXT_NONE);
    }
    if (is_pretty && node->first) {
        buffer_add_byte(out, '\n');
        add_indent(out, level);
    }
    buffer_add_byte(out, is_object ? '}' : ']');
}

void document_add_json(struct buffer *out, const struct json_node *node, bool is_pretty)
{
    add_json(out, node, is_pretty, 0);
}

/* Whether YAML reads it as this very text without quotes. Others are quoted as in JSON, which every
 * YAML 1.2 reader takes; so are the words that YAML 1.1 readers take for truth. */
static bool is_plain(struct text t)
{
    static const char *const reserved[] = { "true", "false", "null", "yes", "no",
                                            "on",   "off",   "y",    "n" };
    if (t.size == 0 || !((t.data[0] >= 'a' && t.data[0] <= 'z') ||
                         (t.data[0] >= 'A' && t.data[0] <= 'Z') || t.data[0] == '/'))
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (text_equal_nocase(t, text_from(reserved[i])))
            return false;
    for (size_t i = 0; i < t.size; i++) {
        char c = t.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.' || c == '/'))
            return false;
    }
    return true;
}

static void add_yaml_text(struct buffer *out, struct text t)
{
    if (is_plain(t))
        buffer_add(out, t);
    else
        add_quoted(out, t);
}

static void add_yaml(struct buffer *out, const struct json_node *node, unsigned level,
                     bool is_started);

/* What follows "key:" or "-". */
static void add_yaml_value(struct buffer *out, const struct json_node *node, unsigned level,
                           bool is_after_key)
{
    if (node->kind == JSON_NODE_TEXT) {
        buffer_add_byte(out, ' ');
        add_yaml_text(out, node->text);
        buffer_add_byte(out, '\n');
    } else if (!is_container(node) || !node->first) {
        buffer_add_byte(out, ' ');
        add_json(out, node, false, 0);
        buffer_add_byte(out, '\n');
    } else if (is_after_key) {
        buffer_add_byte(out, '\n');
        add_yaml(out, node, level, false);
    } else {
        buffer_add_byte(out, ' ');
        add_yaml(out, node, level, true);
    }
}

/* `is_started`: the first entry stands behind a dash, where its indent is. */
static void add_yaml(struct buffer *out, const struct json_node *node, unsigned level,
                     bool is_started)
{
    for (const struct json_node *entry = node->first; entry; entry = entry->next) {
        if (!is_started)
            add_indent(out, level);
        is_started = false;
        if (node->kind == JSON_NODE_OBJECT) {
            add_yaml_text(out, entry->key);
            buffer_add_byte(out, ':');
            add_yaml_value(out, entry, level + 1, true);
        } else {
            buffer_add_byte(out, '-');
            add_yaml_value(out, entry, level + 1, false);
        }
    }
}

void document_add_yaml(struct buffer *out, const struct json_node *node)
{
    if (is_container(node) && node->first) {
        add_yaml(out, node, 0, false);
        return;
    }
    add_json(out, node, false, 0);
    buffer_add_byte(out, '\n');
}

static void add_name(struct buffer *out, const struct json_node *node, const char *key)
{
    terminal_add(out, json_get_text(node, key, TEXT("-")));
    buffer_add_byte(out, '\n');
}

void document_add_one(struct buffer *out, enum output_format format, const struct json_node *node,
                      const char *name_key)
{
    if (format == OUTPUT_NAME) {
        add_name(out, node, name_key);
    } else if (format == OUTPUT_YAML) {
        document_add_yaml(out, node);
    } else {
        document_add_json(out, node, format == OUTPUT_JSON);
        buffer_add_byte(out, '\n');
    }
}

void document_list_begin(struct document_list *list, struct buffer *out, enum output_format format,
                         const char *name_key)
{
    *list = (struct document_list){ .out = out, .format = format, .name_key = name_key };
    if (format == OUTPUT_JSON)
        buffer_add_byte(out, '[');
}

void document_list_add(struct document_list *list, const struct json_node *node)
{
    if (list->format == OUTPUT_JSON) {
        buffer_add(list->out, list->has_items ? TEXT(",\n  ") : TEXT("\n  "));
        add_json(list->out, node, true, 1);
    } else if (list->format == OUTPUT_YAML) {
        buffer_add_byte(list->out, '-');
        add_yaml_value(list->out, node, 1, false);
    } else {
        document_add_one(list->out, list->format, node, list->name_key);
    }
    list->has_items = true;
}

void document_list_end(struct document_list *list)
{
    if (list->format == OUTPUT_JSON)
        buffer_add(list->out, list->has_items ? TEXT("\n]\n") : TEXT("]\n"));
    else if (list->format == OUTPUT_YAML && !list->has_items)
        buffer_add(list->out, TEXT("[]\n"));
}
