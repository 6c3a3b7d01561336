/* SPDX-License-Identifier: Apache-2.0
 * json_table.c - looking keys up, suggesting the nearest, and saying what a field expects. */
#include "wire/json_table.h"

#include <assert.h>

/* ---- keys ----------------------------------------------------------------------------------- */

static bool is_named(const char *name, struct text key)
{
    return key.size > 0 && name[0] == key.data[0] && strncmp(name, key.data, key.size) == 0 &&
           name[key.size] == '\0';
}

int json_table_find(const struct json_table *table, struct text key, unsigned first,
                    bool *ret_is_alias)
{
    for (unsigned i = 0, row = first; i < table->count; i++, row++) {
        if (row >= table->count)
            row = 0;
        const struct json_field *field = &table->fields[row];
        bool by_alias = field->alias != NULL && is_named(field->alias, key);
        if (!by_alias && !is_named(field->name, key))
            continue;
        *ret_is_alias = by_alias;
        return (int)row;
    }
    return -1;
}

#define NEAREST_KEY_MAX 40

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Letters to add, drop, change or swap with their neighbour until `a` is `b`, any letter case. Both
 * have at most NEAREST_KEY_MAX bytes. */
static unsigned edit_distance(struct text a, struct text b)
{
    unsigned rows[3][NEAREST_KEY_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.size; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.size; j++) {
            char x = lower(a.data[i - 1]), y = lower(b.data[j - 1]);
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x == y ? 0 : 1));
            if (i > 1 && j > 1 && x == lower(b.data[j - 2]) && y == lower(a.data[i - 2]) &&
                above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[a.size % 3][b.size];
}

const char *json_table_nearest(const struct json_table *table, struct text key)
{
    const char *nearest = NULL;
    unsigned best = key.size < 4 ? 1 : key.size < 9 ? 2 : 3; /* farther is no misspelling */
    if (key.size == 0 || key.size > NEAREST_KEY_MAX)
        return NULL;
    for (unsigned row = 0; row < table->count; row++) {
        struct text name = text_from(table->fields[row].name);
        unsigned distance;
        if (name.size > NEAREST_KEY_MAX)
            continue;
        distance = edit_distance(key, name);
        if (distance > best || (distance == best && nearest != NULL))
            continue;
        best = distance;
        nearest = table->fields[row].name;
    }
    return nearest;
}

/* ---- sentences ------------------------------------------------------------------------------ */

/* Grows in place until the space is used up. */
static void *sentence_resize(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)block;
    (void)old_size;
    return new_size > 0 && new_size <= SENTENCE_SIZE ? ctx : NULL;
}

void sentence_init(struct sentence *s)
{
    s->memory = (struct memory){ sentence_resize, s->space };
    buffer_init(&s->buffer, &s->memory, SENTENCE_SIZE - 1);
}

static void expect_text(const struct json_field *field, struct buffer *out)
{
    buffer_printf(out, "a text of %lld to %lld bytes%s", (long long)field->min,
                  (long long)field->max,
                  field->flags & JSON_PRINTABLE ? " without control characters" : "");
}

static void expect_integer(const struct json_field *field, struct buffer *out)
{
    if (field->min == 0 && field->max == 0)
        buffer_add(out, TEXT("an integer"));
    else if (field->max == INT64_MAX)
        buffer_printf(out, "an integer of at least %lld", (long long)field->min);
    else
        buffer_printf(out, "an integer from %lld to %lld", (long long)field->min,
                      (long long)field->max);
}

#define EXPECT_WORDS_MAX 16

static void expect_word(const struct json_field *field, struct buffer *out)
{
    bool numbers = field->kind == JSON_WORD_OR_NUMBER;
    buffer_add(out, numbers ? TEXT("a number or name of: ") : TEXT("one of "));
    for (unsigned i = 0; i < field->words->count && i < EXPECT_WORDS_MAX; i++) {
        buffer_add(out, i == 0 ? TEXT("") : TEXT(", "));
        if (numbers)
            buffer_printf(out, "%u ", i);
        buffer_printf(out, "\"%s\"", field->words->list[i].word);
    }
    if (field->words->count > EXPECT_WORDS_MAX)
        buffer_add(out, TEXT(", ..."));
}

static void expect_duration(const struct json_field *field, struct buffer *out)
{
    buffer_add(out, TEXT("a duration such as \"90s\" or \"1h30m\", from \""));
    format_duration(out, field->min);
    buffer_add(out, TEXT("\" to \""));
    format_duration(out, field->max > 0 ? field->max : DURATION_MAX_MS);
    buffer_add(out, TEXT("\""));
}

static void expect_map(const struct json_field *field, struct buffer *out)
{
    buffer_printf(
        out, "an object of %lld to %lld entries, keys of 1 to %u and %s of %u to %u bytes%s",
        (long long)field->min, (long long)field->max, field->key_max,
        field->flags & JSON_NULL_VALUES ? "texts or nulls" : "texts", field->item_min,
        field->item_max, field->flags & JSON_PRINTABLE ? " without control characters" : "");
}

void json_field_expect(const struct json_field *field, struct buffer *out)
{
    switch ((enum json_kind)field->kind) {
    case JSON_TEXT: expect_text(field, out); break;
    case JSON_BOOL: buffer_add(out, TEXT("true or false")); break;
    case JSON_INTEGER: expect_integer(field, out); break;
    case JSON_WORD:
    case JSON_WORD_OR_NUMBER: expect_word(field, out); break;
    case JSON_DURATION: expect_duration(field, out); break;
    case JSON_AMOUNT:
        buffer_printf(out, "a count from %lld to %lld or a percentage from \"1%%\" to \"100%%\"",
                      (long long)field->min, (long long)field->max);
        break;
    case JSON_TIME:
        buffer_add(out, TEXT("a time such as \"2031-01-01T10:00:00.000Z\" (RFC 3339)"));
        break;
    case JSON_RAW:
        buffer_printf(out, "any JSON value of at most %lld bytes", (long long)field->max);
        break;
    case JSON_OBJECT: buffer_add(out, TEXT("an object")); break;
    case JSON_OBJECTS:
        buffer_printf(out, "a list of %lld to %lld objects", (long long)field->min,
                      (long long)field->max);
        break;
    case JSON_TEXTS:
        buffer_printf(out, "a list of %lld to %lld texts of %u to %u bytes%s",
                      (long long)field->min, (long long)field->max, field->item_min,
                      field->item_max,
                      field->flags & JSON_PRINTABLE ? " without control characters" : "");
        break;
    case JSON_MAP: expect_map(field, out); break;
    case JSON_KIND_COUNT: assert(false); /* not a kind */
    }
    if (field->flags & JSON_NULLABLE)
        buffer_add(out, TEXT(", or null"));
}

/* ---- checking ------------------------------------------------------------------------------- */

static bool has_fitting_size(const struct json_field *field)
{
    size_t size = field->size;
    switch ((enum json_kind)field->kind) {
    case JSON_TEXT:
    case JSON_RAW: return size == sizeof(struct text);
    case JSON_BOOL: return size == sizeof(bool);
    case JSON_INTEGER: return size == 1 || size == 2 || size == 4 || size == 8;
    case JSON_WORD:
    case JSON_WORD_OR_NUMBER: return size == 1 || size == 2 || size == 4;
    case JSON_DURATION:
    case JSON_TIME: return size == sizeof(int64_t);
    case JSON_AMOUNT: return size == sizeof(struct amount);
    case JSON_OBJECT: return field->sub != NULL && size == field->sub->size;
    case JSON_OBJECTS:
    case JSON_TEXTS:
    case JSON_MAP: return size == sizeof(void *) && field->count_offset != 0;
    case JSON_KIND_COUNT: break;
    }
    return false;
}

/* Whether every value from min to max fits into the member. */
static bool has_fitting_range(const struct json_field *field)
{
    unsigned bits = 8u * field->size;
    if (bits >= 64)
        return field->min <= field->max;
    int64_t low = field->min < 0 ? -((int64_t)1 << (bits - 1)) : 0;
    int64_t high = field->min < 0 ? ((int64_t)1 << (bits - 1)) - 1 : ((int64_t)1 << bits) - 1;
    return field->min < field->max && field->min >= low && field->max <= high;
}

static bool has_limits(const struct json_field *field)
{
    switch ((enum json_kind)field->kind) {
    case JSON_INTEGER: return has_fitting_range(field);
    case JSON_WORD:
    case JSON_WORD_OR_NUMBER: return field->words != NULL && field->words->count > 0;
    case JSON_AMOUNT: return field->min >= 0 && field->max >= 1 && field->max <= UINT32_MAX;
    case JSON_DURATION: return field->min >= 0 && field->max >= 0 && field->max <= DURATION_MAX_MS;
    case JSON_OBJECTS:
        return field->min >= 0 && field->max >= 1 && field->max <= UINT32_MAX && field->sub != NULL;
    case JSON_MAP:
    case JSON_TEXTS:
        return field->min >= 0 && field->max >= 1 && field->max <= UINT32_MAX &&
               field->item_max > 0 && (field->kind == JSON_TEXTS || field->key_max > 0);
    case JSON_TEXT:
    case JSON_RAW: return field->min >= 0 && field->max >= 1;
    default: return true;
    }
}

static bool has_own_names(const struct json_table *table, unsigned row)
{
    const struct json_field *field = &table->fields[row];
    bool is_alias;
    if (json_table_find(table, text_from(field->name), 0, &is_alias) != (int)row)
        return false;
    return field->alias == NULL ||
           json_table_find(table, text_from(field->alias), row + 1, &is_alias) == (int)row;
}

bool json_table_check(const struct json_table *table, struct err *err)
{
    if (table->count == 0 || table->count > JSON_FIELDS_MAX)
        return err_set(err, ERR_INTERNAL, "table %s: 1 to %d rows", table->name, JSON_FIELDS_MAX);
    for (unsigned row = 0; row < table->count; row++) {
        const struct json_field *field = &table->fields[row];
        const char *wrong = field->name == NULL || field->name[0] == '\0' ? "it has no name"
                            : !has_own_names(table, row) ? "its name or alias is taken"
                            : !has_fitting_size(field)   ? "the member does not suit the kind"
                            : !has_limits(field)         ? "its limits are missing or do not fit"
                            : field->meaning == NULL     ? "its meaning is missing"
                            : field->offset + field->size > table->size
                                ? "it lies outside the struct"
                                : NULL;
        if (wrong != NULL)
            return err_set(err, ERR_INTERNAL, "table %s, row %u (%s): %s", table->name, row,
                           field->name == NULL ? "" : field->name, wrong);
        if (field->sub != NULL && field->sub != table && !json_table_check(field->sub, err))
            return false;
    }
    return true;
}
