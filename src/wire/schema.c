/* SPDX-License-Identifier: Apache-2.0
 * schema.c - see schema.h. Limits in bytes become limits in characters, which are never more than
 * the bytes: a schema refuses nothing that the server takes. What only the server can see (bytes,
 * the time span of a duration) stands in the description. */
#include "wire/schema.h"

#include <assert.h>

#define PATTERN_DURATION "^([0-9]+(ms|s|m|h|d))+$"
#define PATTERN_PERCENT  "^([1-9][0-9]?|100)%$"
#define PATTERN_ID       "^r-[1-9][0-9]*$"

/* ---- the book ------------------------------------------------------------------------------- */

static const char *name_of(const struct schema_entry *entry)
{
    return entry->shape ? entry->shape->name : entry->table->name;
}

static void note(struct schema_book *book, const struct schema_entry *entry)
{
    for (size_t i = 0; i < book->count; i++) {
        const struct schema_entry *known = &book->list[i];
        if (strcmp(name_of(known), name_of(entry)) != 0)
            continue;
        assert(known->shape == entry->shape && known->table == entry->table);
        return;
    }
    assert(book->count < SCHEMA_BOOK_MAX);
    book->list[book->count++] = *entry;
}

static void refer(struct schema_book *book, struct json_writer *w, const struct schema_entry *entry)
{
    struct sentence s;
    note(book, entry);
    sentence_init(&s);
    buffer_add(&s.buffer, TEXT("#/components/schemas/"));
    buffer_add(&s.buffer, text_from(name_of(entry)));
    json_begin_object(w);
    json_put_text(w, "$ref", buffer_text(&s.buffer));
    json_end_object(w);
}

void schema_refer_shape(struct schema_book *book, struct json_writer *w, const struct shape *shape)
{
    refer(book, w, &(struct schema_entry){ .shape = shape });
}

void schema_refer_table(struct schema_book *book, struct json_writer *w,
                        const struct json_table *table, bool is_answer)
{
    refer(book, w, &(struct schema_entry){ .table = table, .is_answer = is_answer });
}

/* ---- parts ---------------------------------------------------------------------------------- */

static void put_type(struct json_writer *w, const char *type, bool is_nullable)
{
    json_key(w, "type");
    if (is_nullable)
        json_begin_list(w);
    json_write_text(w, text_from(type));
    if (!is_nullable)
        return;
    json_write_text(w, TEXT("null"));
    json_end_list(w);
}

/* Limits in bytes as limits in characters: UTF-8 has one to four bytes for each. */
static void put_lengths(struct json_writer *w, int64_t min, int64_t max)
{
    if (min > 0)
        json_put_i64(w, "minLength", (min + 3) / 4);
    if (max > 0)
        json_put_i64(w, "maxLength", max);
}

static void put_range(struct json_writer *w, int64_t min, int64_t max)
{
    json_put_i64(w, "minimum", min);
    if (max > min && max < INT64_MAX)
        json_put_i64(w, "maximum", max);
}

static void put_pattern(struct json_writer *w, const char *pattern, bool is_nullable)
{
    put_type(w, "string", is_nullable);
    json_put_text(w, "pattern", text_from(pattern));
}

static void begin_choice(struct json_writer *w)
{
    json_key(w, "anyOf");
    json_begin_list(w);
}

static void write_null_type(struct json_writer *w)
{
    json_begin_object(w);
    put_type(w, "null", false);
    json_end_object(w);
}

/* ---- shapes --------------------------------------------------------------------------------- */

static unsigned word_count(const struct shape_field *field)
{
    return field->words ? field->words->count : field->word_count;
}

static const char *word_at(const struct shape_field *field, unsigned number)
{
    return field->words ? sm_word_at(field->words, number) : field->word(number);
}

static void put_enum(struct json_writer *w, const struct shape_field *field, bool is_nullable)
{
    json_key(w, "enum");
    json_begin_list(w);
    for (unsigned i = field->first; i < word_count(field); i++)
        json_write_text(w, text_from(word_at(field, i)));
    if (is_nullable)
        json_write_null(w);
    json_end_list(w);
}

static void put_numbers(struct json_writer *w, const struct shape_field *field)
{
    put_type(w, "integer", false);
    put_range(w, field->first, word_count(field) - 1);
}

static void put_either(struct json_writer *w, const struct shape_field *field)
{
    begin_choice(w);
    json_begin_object(w);
    put_type(w, "string", false);
    put_enum(w, field, false);
    json_end_object(w);
    json_begin_object(w);
    put_numbers(w, field);
    json_end_object(w);
    json_end_list(w);
}

static void put_items(struct schema_book *book, struct json_writer *w,
                      const struct shape_field *field)
{
    put_type(w, "array", false);
    json_key(w, "items");
    if (field->kind == SHAPE_OBJECTS) {
        schema_refer_shape(book, w, field->shape);
        return;
    }
    json_begin_object(w);
    put_type(w, "string", false);
    if (field->kind == SHAPE_WORDS)
        put_enum(w, field, false);
    json_end_object(w);
}

/* "allOf" carries one reference, so that a meaning can stand beside it. */
static void put_reference(struct schema_book *book, struct json_writer *w,
                          const struct shape_field *field, bool is_nullable)
{
    json_key(w, is_nullable ? "anyOf" : "allOf");
    json_begin_list(w);
    if (field->kind == SHAPE_OBJECT)
        schema_refer_shape(book, w, field->shape);
    else
        schema_refer_table(book, w, field->table, !(field->flags & SHAPE_PARTIAL));
    if (is_nullable)
        write_null_type(w);
    json_end_list(w);
}

static void put_map(struct json_writer *w, bool is_nullable)
{
    put_type(w, "object", is_nullable);
    json_key(w, "additionalProperties");
    json_begin_object(w);
    put_type(w, "string", false);
    json_end_object(w);
}

static void put_kind(struct schema_book *book, struct json_writer *w,
                     const struct shape_field *field)
{
    bool is_nullable = field->flags & SHAPE_NULLABLE;
    switch ((enum shape_kind)field->kind) {
    case SHAPE_TEXT:
        put_type(w, "string", is_nullable);
        put_lengths(w, field->min, field->max);
        break;
    case SHAPE_BOOL: put_type(w, "boolean", is_nullable); break;
    case SHAPE_COUNT:
        put_type(w, "integer", is_nullable);
        put_range(w, field->min, field->max);
        break;
    case SHAPE_INTEGER: put_type(w, "integer", is_nullable); break;
    case SHAPE_TIME:
        put_type(w, "string", is_nullable);
        json_put_text(w, "format", TEXT("date-time"));
        break;
    case SHAPE_DURATION: put_pattern(w, PATTERN_DURATION, is_nullable); break;
    case SHAPE_ROLLOUT_ID: put_pattern(w, PATTERN_ID, is_nullable); break;
    case SHAPE_WORD:
        put_type(w, "string", is_nullable);
        put_enum(w, field, is_nullable);
        break;
    case SHAPE_NUMBER: put_numbers(w, field); break;
    case SHAPE_EITHER: put_either(w, field); break;
    case SHAPE_WORDS:
    case SHAPE_TEXTS:
    case SHAPE_OBJECTS: put_items(book, w, field); break;
    case SHAPE_LABELS: put_map(w, is_nullable); break;
    case SHAPE_OBJECT:
    case SHAPE_TABLE: put_reference(book, w, field, is_nullable); break;
    case SHAPE_KIND_COUNT: assert(false); /* not a kind */
    }
}

static const char *own_example(const struct shape_field *field)
{
    if (field->example)
        return field->example;
    switch ((enum shape_kind)field->kind) {
    case SHAPE_TIME: return "\"2031-01-01T10:00:00.000Z\"";
    case SHAPE_ROLLOUT_ID: return "\"r-42\"";
    case SHAPE_DURATION: return "\"30s\"";
    case SHAPE_LABELS: return "{\"env\":\"prod\",\"role\":\"web\"}";
    default: return NULL;
    }
}

static void put_example(struct json_writer *w, const char *example)
{
    if (!example)
        return;
    json_key(w, "examples");
    json_begin_list(w);
    json_write_raw(w, text_from(example));
    json_end_list(w);
}

void schema_write_field(struct schema_book *book, struct json_writer *w,
                        const struct shape_field *field, const char *fallback)
{
    json_begin_object(w);
    if (field->meaning)
        json_put_text(w, "description", text_from(field->meaning));
    put_kind(book, w, field);
    if (fallback) {
        json_key(w, "default");
        json_write_raw(w, text_from(fallback));
    }
    put_example(w, own_example(field));
    json_end_object(w);
}

static void write_shape(struct schema_book *book, struct json_writer *w, const struct shape *shape)
{
    json_begin_object(w);
    json_put_text(w, "description", text_from(shape->meaning));
    put_type(w, "object", false);
    json_key(w, "required");
    json_begin_list(w);
    for (size_t i = 0; i < shape->count; i++)
        if (!(shape->fields[i].flags & SHAPE_OPTIONAL))
            json_write_text(w, text_from(shape->fields[i].name));
    json_end_list(w);
    json_key(w, "properties");
    json_begin_object(w);
    for (size_t i = 0; i < shape->count; i++) {
        json_key(w, shape->fields[i].name);
        schema_write_field(book, w, &shape->fields[i], NULL);
    }
    json_end_object(w);
    json_end_object(w);
}

/* ---- field tables --------------------------------------------------------------------------- */

/* Its meaning and, for requests, what it must be: the sentence that a refusal says too. */
static void put_meaning(struct json_writer *w, const struct json_field *field, bool is_answer,
                        bool is_alias)
{
    struct sentence s;
    sentence_init(&s);
    if (is_alias)
        buffer_printf(&s.buffer, "another spelling of %s, never beside it: ", field->name);
    buffer_add(&s.buffer, text_from(field->meaning));
    if (!is_answer) {
        buffer_add(&s.buffer, TEXT("; "));
        json_field_expect(field, &s.buffer);
    }
    json_put_text(w, "description", buffer_text(&s.buffer));
}

static void put_words(struct json_writer *w, const struct sm_words *words, bool is_nullable)
{
    json_key(w, "enum");
    json_begin_list(w);
    for (unsigned i = 0; i < words->count; i++)
        json_write_text(w, text_from(words->list[i].word));
    if (is_nullable)
        json_write_null(w);
    json_end_list(w);
}

static void put_word_or_number(struct json_writer *w, const struct json_field *field,
                               bool is_nullable)
{
    begin_choice(w);
    json_begin_object(w);
    put_type(w, "string", is_nullable);
    put_words(w, field->words, is_nullable);
    json_end_object(w);
    json_begin_object(w);
    put_type(w, "integer", false);
    put_range(w, 0, field->words->count - 1);
    json_end_object(w);
    json_end_list(w);
}

static void put_amount(struct json_writer *w, const struct json_field *field, bool is_nullable)
{
    begin_choice(w);
    json_begin_object(w);
    put_type(w, "integer", is_nullable);
    put_range(w, field->min, field->max);
    json_end_object(w);
    json_begin_object(w);
    put_pattern(w, PATTERN_PERCENT, false);
    json_end_object(w);
    json_end_list(w);
}

static void put_text_items(struct json_writer *w, const char *key, const struct json_field *field,
                           bool is_nullable)
{
    json_key(w, key);
    json_begin_object(w);
    put_type(w, "string", is_nullable);
    put_lengths(w, field->item_min, field->item_max);
    json_end_object(w);
}

static void put_pairs(struct json_writer *w, const struct json_field *field)
{
    json_put_i64(w, "maxProperties", field->max);
    json_key(w, "propertyNames");
    json_begin_object(w);
    put_lengths(w, 1, field->key_max);
    json_end_object(w);
    put_text_items(w, "additionalProperties", field, field->flags & JSON_NULL_VALUES);
}

static void put_sub(struct schema_book *book, struct json_writer *w, const struct json_field *field,
                    bool is_answer, bool is_nullable)
{
    json_key(w, is_nullable ? "anyOf" : "allOf");
    json_begin_list(w);
    schema_refer_table(book, w, field->sub, is_answer);
    if (is_nullable)
        write_null_type(w);
    json_end_list(w);
}

static void put_entries(struct schema_book *book, struct json_writer *w,
                        const struct json_field *field, bool is_answer, bool is_nullable)
{
    put_type(w, "array", is_nullable);
    if (field->min > 0)
        json_put_i64(w, "minItems", field->min);
    json_put_i64(w, "maxItems", field->max);
    if (field->kind == JSON_TEXTS) {
        put_text_items(w, "items", field, false);
        return;
    }
    json_key(w, "items");
    schema_refer_table(book, w, field->sub, is_answer);
}

static void put_field_kind(struct schema_book *book, struct json_writer *w,
                           const struct json_field *field, bool is_answer)
{
    bool is_nullable = field->flags & JSON_NULLABLE;
    switch ((enum json_kind)field->kind) {
    case JSON_TEXT:
        put_type(w, "string", is_nullable);
        put_lengths(w, field->min, field->max);
        break;
    case JSON_BOOL: put_type(w, "boolean", is_nullable); break;
    case JSON_INTEGER:
        put_type(w, "integer", is_nullable);
        put_range(w, field->min, field->max);
        break;
    case JSON_WORD:
        put_type(w, "string", is_nullable);
        put_words(w, field->words, is_nullable);
        break;
    case JSON_WORD_OR_NUMBER: put_word_or_number(w, field, is_nullable); break;
    case JSON_DURATION: put_pattern(w, PATTERN_DURATION, is_nullable); break;
    case JSON_AMOUNT: put_amount(w, field, is_nullable); break;
    case JSON_TIME:
        put_type(w, "string", is_nullable);
        json_put_text(w, "format", TEXT("date-time"));
        break;
    case JSON_RAW: break; /* any value */
    case JSON_OBJECT: put_sub(book, w, field, is_answer, is_nullable); break;
    case JSON_OBJECTS:
    case JSON_TEXTS: put_entries(book, w, field, is_answer, is_nullable); break;
    case JSON_MAP:
        put_type(w, "object", is_nullable);
        put_pairs(w, field);
        break;
    case JSON_KIND_COUNT: assert(false); /* not a kind */
    }
}

static bool has_default(const struct json_field *field)
{
    return field->kind == JSON_WORD || field->kind == JSON_AMOUNT || field->kind == JSON_DURATION ||
           field->kind == JSON_BOOL || field->kind == JSON_INTEGER;
}

/* `defaults`: a struct of the table, or NULL. */
static void write_member(struct schema_book *book, struct json_writer *w,
                         const struct json_table *table, unsigned row, bool is_answer,
                         bool is_alias, const void *defaults)
{
    const struct json_field *field = &table->fields[row];
    json_key(w, is_alias ? field->alias : field->name);
    json_begin_object(w);
    put_meaning(w, field, is_answer, is_alias);
    put_field_kind(book, w, field, is_answer);
    if (is_alias)
        json_put_bool(w, "deprecated", true);
    if (defaults && has_default(field)) {
        json_key(w, "default");
        json_write_member(w, table, row, defaults);
    }
    json_end_object(w);
}

#define DEFAULTS_SIZE 4096

static void write_table(struct schema_book *book, struct json_writer *w,
                        const struct json_table *table, bool is_answer)
{
    _Alignas(max_align_t) char space[DEFAULTS_SIZE] = { 0 };
    const void *defaults = NULL;
    if (table->init) {
        assert(table->size <= DEFAULTS_SIZE);
        table->init(space);
        defaults = space;
    }
    json_begin_object(w);
    put_type(w, "object", false);
    json_key(w, "required");
    json_begin_list(w);
    for (unsigned row = 0; row < table->count; row++)
        if (is_answer || table->fields[row].flags & JSON_REQUIRED)
            json_write_text(w, text_from(table->fields[row].name));
    json_end_list(w);
    json_key(w, "properties");
    json_begin_object(w);
    for (unsigned row = 0; row < table->count; row++) {
        write_member(book, w, table, row, is_answer, false, defaults);
        if (table->fields[row].alias && !is_answer)
            write_member(book, w, table, row, is_answer, true, NULL);
    }
    json_end_object(w);
    if (!is_answer && table->unknown == JSON_UNKNOWN_IS_ERROR)
        json_put_bool(w, "additionalProperties", false);
    json_end_object(w);
}

/* ---- the whole ------------------------------------------------------------------------------ */

void schema_write_book(struct schema_book *book, struct json_writer *w)
{
    for (size_t i = 0; i < book->count; i++) {
        const struct schema_entry entry = book->list[i];
        json_key(w, name_of(&entry));
        if (entry.shape)
            write_shape(book, w, entry.shape);
        else
            write_table(book, w, entry.table, entry.is_answer);
    }
}
