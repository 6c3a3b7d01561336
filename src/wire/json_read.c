/* SPDX-License-Identifier: Apache-2.0
 * json_read.c - the events of a parse against field tables. One frame per open object or list says
 * what is expected next; values go to a working copy of the struct, which becomes the result at the
 * end. */
#include "wire/json_read.h"

#include "base/limits.h"
#include "wire/json_keys.h"
#include "wire/json_pointer.h"
#include "wire/json_strict.h"
#include "wire/json_value.h"

#include <assert.h>

enum frame_kind {
    FRAME_TABLE,      /* an object with a table */
    FRAME_OBJECTS,    /* a list of such */
    FRAME_TEXTS,      /* a list of texts */
    FRAME_MAP,        /* an object of texts */
    FRAME_ANY_OBJECT, /* inside of raw values and unknown keys */
    FRAME_ANY_LIST,
};

struct frame {
    enum frame_kind kind;
    uint32_t index;                 /* lists: of the item at hand */
    uint32_t capacity;              /* lists and maps: entries there is room for */
    unsigned next_row;              /* where the next key probably is */
    const struct json_table *table; /* FRAME_TABLE */
    const struct json_field *field; /* FRAME_TABLE: of the present key, NULL when unknown; lists and
                                       maps: their own; raw: the outermost frame has it */
    char *base;                     /* FRAME_TABLE: the struct; lists, maps, raw: the owner's */
    struct text key;                /* objects: the present one */
    uint64_t seen, seen_as_alias;
    size_t first_key; /* in keys, of those that no table has */
    size_t raw_start;
};

struct reader {
    struct json_run run; /* first: events get the reader as their context */
    const struct json_table *table;
    struct json_warnings *warnings;
    struct json_keys keys;
    char *root;
    unsigned depth;
    struct frame frames[LIMIT_JSON_DEPTH];
};

static struct frame *top(struct reader *r)
{
    return &r->frames[r->depth - 1];
}

/* ---- failing -------------------------------------------------------------------------------- */

/* To the value at hand in the top frame. */
static struct json_pointer pointer_here(const struct reader *r)
{
    struct json_pointer p = { .size = 0 };
    for (unsigned i = 0; i < r->depth; i++) {
        const struct frame *f = &r->frames[i];
        if (f->kind == FRAME_OBJECTS || f->kind == FRAME_TEXTS || f->kind == FRAME_ANY_LIST)
            json_pointer_index(&p, f->index);
        else
            json_pointer_key(&p, f->key);
    }
    return p;
}

static bool fail(struct reader *r, enum err_code code, const struct buffer *sentence)
{
    struct json_pointer p = pointer_here(r);
    struct text t = buffer_text(sentence);
    return err_set_at(r->run.err, code, p.text, "%.*s", TEXT_ARG(t));
}

static bool fail_memory(struct reader *r)
{
    return err_set(r->run.err, ERR_MEMORY, "no memory to decode %zu bytes of JSON",
                   r->run.body.size);
}

/* Texts are not repeated: some are secrets. */
static void add_found(const struct json_token *found, const struct json_field *field,
                      struct buffer *out)
{
    char space[ERR_EXCERPT_SIZE];
    bool may_be_secret = field->kind == JSON_TEXT || field->kind == JSON_TEXTS ||
                         field->kind == JSON_MAP || field->kind == JSON_OBJECT ||
                         field->kind == JSON_OBJECTS;
    if (found->kind == JSON_TOKEN_NULL)
        buffer_add(out, TEXT(", not null"));
    else if (found->kind == JSON_TOKEN_BOOL)
        buffer_add(out, found->truth ? TEXT(", not true") : TEXT(", not false"));
    else if (found->kind == JSON_TOKEN_NUMBER)
        buffer_printf(out, ", not %s", err_excerpt(found->text, space));
    else if (!may_be_secret)
        buffer_printf(out, ", not \"%s\"", err_excerpt(found->text, space));
}

static bool fail_expected(struct reader *r, const struct json_field *field,
                          const struct json_token *found, const char *hint)
{
    struct sentence s;
    sentence_init(&s);
    buffer_add(&s.buffer, TEXT("must be "));
    json_field_expect(field, &s.buffer);
    if (found != NULL)
        add_found(found, field, &s.buffer);
    if (hint != NULL)
        buffer_printf(&s.buffer, "; %s", hint);
    return fail(r, ERR_INVALID, &s.buffer);
}

static bool fail_duplicate(struct reader *r, size_t offset)
{
    struct sentence s;
    sentence_init(&s);
    buffer_printf(&s.buffer, "not acceptable JSON at byte %zu: this key is given twice", offset);
    return fail(r, ERR_BAD_JSON, &s.buffer);
}

/* ---- frames --------------------------------------------------------------------------------- */

static struct frame *push(struct reader *r, enum frame_kind kind, const struct json_field *field,
                          char *base)
{
    struct frame *f;
    assert(r->depth < LIMIT_JSON_DEPTH); /* the parser has looked */
    f = &r->frames[r->depth++];
    *f = (struct frame){ .kind = kind, .field = field, .base = base, .first_key = r->keys.count };
    return f;
}

static struct json_given *given_of(const struct json_table *table, char *base)
{
    if (table->given_offset == JSON_NOT_KEPT)
        return NULL;
    return (struct json_given *)(void *)(base + table->given_offset);
}

static void push_table(struct reader *r, const struct json_table *table, char *base)
{
    struct json_given *given = given_of(table, base);
    push(r, FRAME_TABLE, NULL, base)->table = table;
    if (given != NULL)
        *given = (struct json_given){ 0 };
}

/* After each value, when its container is on top again. */
static void value_done(struct reader *r)
{
    if (r->depth > 0)
        top(r)->index++;
}

static uint32_t *count_of(const struct frame *f)
{
    return (uint32_t *)(void *)(f->base + f->field->count_offset);
}

static char **entries_of(const struct frame *f)
{
    return (char **)(void *)(f->base + f->field->offset);
}

/* One more zeroed entry in the array of the list or map. NULL: it failed. */
static void *add_entry(struct reader *r, struct frame *f, size_t size)
{
    uint32_t *count = count_of(f);
    char **entries = entries_of(f);
    if (*count >= f->field->max) {
        r->depth--; /* the fault is the list, not its entry */
        fail_expected(r, f->field, NULL, "it has more");
        return NULL;
    }
    if (*count == f->capacity) {
        uint32_t capacity = f->capacity == 0 ? 4 : f->capacity * 2;
        char *grown = arena_take_array(r->run.arena, capacity, size);
        if (grown == NULL) {
            fail_memory(r);
            return NULL;
        }
        if (*count > 0)
            memcpy(grown, *entries, *count * size);
        *entries = grown;
        f->capacity = capacity;
    }
    return *entries + (*count)++ * size;
}

/* ---- values --------------------------------------------------------------------------------- */

static void mark_given(const struct frame *f, bool is_null)
{
    struct json_given *given = given_of(f->table, f->base);
    uint64_t bit = JSON_BIT(f->field - f->table->fields);
    if (given == NULL)
        return;
    given->fields |= bit;
    if (is_null)
        given->nulls |= bit;
}

static void zero_member(const struct json_field *field, char *base)
{
    memset(base + field->offset, 0, field->size);
    if (field->kind == JSON_OBJECTS || field->kind == JSON_TEXTS || field->kind == JSON_MAP)
        *(uint32_t *)(void *)(base + field->count_offset) = 0;
}

static bool store_raw(struct reader *r, const struct json_field *field, char *base, size_t start)
{
    size_t end = r->run.end;
    if (end - start > (uint64_t)field->max)
        return fail_expected(r, field, NULL, "it is too long");
    *(struct text *)(void *)(base + field->offset) =
        (struct text){ r->run.body.data + start, end - start };
    return true;
}

static bool scalar_in_table(struct reader *r, struct frame *f, const struct json_token *token)
{
    const struct json_field *field = f->field;
    const char *hint = NULL;
    bool is_null = token->kind == JSON_TOKEN_NULL;
    if (field == NULL) /* an unknown key */
        return true;
    if (is_null && field->flags & JSON_NULLABLE) {
        zero_member(field, f->base);
    } else if (field->kind == JSON_RAW) {
        is_null = false;
        if (!store_raw(r, field, f->base, r->run.start))
            return false;
    } else {
        void *at = f->base + field->offset;
        if (is_null || !json_value_store(field, token, at, &hint))
            return fail_expected(r, field, token, hint);
    }
    mark_given(f, is_null);
    return true;
}

static bool scalar_in_texts(struct reader *r, struct frame *f, const struct json_token *token)
{
    const char *hint = NULL;
    struct text *item;
    if (token->kind != JSON_TOKEN_TEXT)
        return fail_expected(r, f->field, token, "this entry is not a text");
    if (!json_text_fits(f->field, token->text, f->field->item_min, f->field->item_max, &hint))
        return fail_expected(r, f->field, NULL, hint);
    item = add_entry(r, f, sizeof(*item));
    if (item != NULL)
        *item = token->text;
    return item != NULL;
}

static bool scalar_in_map(struct reader *r, struct frame *f, const struct json_token *token)
{
    const char *hint = NULL;
    struct json_pair *pair;
    bool is_null = token->kind == JSON_TOKEN_NULL && f->field->flags & JSON_NULL_VALUES;
    if (!is_null && token->kind != JSON_TOKEN_TEXT)
        return fail_expected(r, f->field, token, "this value is not a text");
    if (!is_null &&
        !json_text_fits(f->field, token->text, f->field->item_min, f->field->item_max, &hint))
        return fail_expected(r, f->field, NULL, hint);
    pair = add_entry(r, f, sizeof(*pair));
    if (pair == NULL)
        return false;
    *pair = (struct json_pair){ .key = f->key, .value = token->text, .is_null = is_null };
    return true;
}

static bool take_scalar(struct reader *r, struct json_token token)
{
    struct frame *f = top(r);
    bool good = true;
    switch (f->kind) {
    case FRAME_TABLE: good = scalar_in_table(r, f, &token); break;
    case FRAME_TEXTS: good = scalar_in_texts(r, f, &token); break;
    case FRAME_MAP: good = scalar_in_map(r, f, &token); break;
    case FRAME_OBJECTS:
        good = fail_expected(r, f->field, &token, "this entry is not an object");
        break;
    case FRAME_ANY_OBJECT:
    case FRAME_ANY_LIST: break;
    }
    value_done(r);
    return good;
}

static bool on_null(void *ctx)
{
    return take_scalar(ctx, (struct json_token){ .kind = JSON_TOKEN_NULL });
}

static bool on_truth(void *ctx, bool truth)
{
    return take_scalar(ctx, (struct json_token){ .kind = JSON_TOKEN_BOOL, .truth = truth });
}

static bool on_number(void *ctx, struct text t)
{
    return take_scalar(ctx, (struct json_token){ .kind = JSON_TOKEN_NUMBER, .text = t });
}

static bool on_text(void *ctx, struct text t)
{
    return take_scalar(ctx, (struct json_token){ .kind = JSON_TOKEN_TEXT, .text = t });
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void describe_unknown(const struct json_table *table, struct text key, struct buffer *out)
{
    const char *nearest = json_table_nearest(table, key);
    buffer_add(out, TEXT("is not a known key"));
    if (nearest != NULL) {
        buffer_printf(out, "; did you mean \"%s\"?", nearest);
        return;
    }
    for (unsigned row = 0; row < table->count && row < 12; row++)
        buffer_printf(out, "%s\"%s\"", row == 0 ? "; known are " : ", ", table->fields[row].name);
    if (table->count > 12)
        buffer_add(out, TEXT(", ..."));
}

static bool warn_unknown(struct reader *r, const struct json_table *table, struct text key)
{
    struct json_warnings *w = r->warnings;
    struct json_pointer p = pointer_here(r);
    struct sentence s;
    if (w == NULL)
        return true;
    if (w->count == JSON_WARNINGS_MAX) {
        w->more++;
        return true;
    }
    sentence_init(&s);
    buffer_printf(&s.buffer, "%s was ignored: it ", p.text);
    describe_unknown(table, key, &s.buffer);
    if (!arena_copy(r->run.arena, buffer_text(&s.buffer), &w->list[w->count]))
        return fail_memory(r);
    w->count++;
    return true;
}

static bool unknown_key(struct reader *r, struct frame *f)
{
    struct sentence s;
    f->field = NULL;
    if (!json_keys_add(&r->keys, r->run.arena, f->key, r->run.start))
        return fail_memory(r);
    if (f->table->unknown == JSON_UNKNOWN_IS_WARNING)
        return warn_unknown(r, f->table, f->key);
    sentence_init(&s);
    describe_unknown(f->table, f->key, &s.buffer);
    return fail(r, ERR_UNKNOWN_KEY, &s.buffer);
}

static bool fail_seen(struct reader *r, const struct json_field *field, bool same_spelling)
{
    struct sentence s;
    if (same_spelling)
        return fail_duplicate(r, r->run.start);
    sentence_init(&s);
    buffer_printf(&s.buffer, "\"%s\" and \"%s\" mean the same: give one of them", field->alias,
                  field->name);
    return fail(r, ERR_INVALID, &s.buffer);
}

static bool key_in_table(struct reader *r, struct frame *f)
{
    bool is_alias = false, was_alias;
    int row = json_table_find(f->table, f->key, f->next_row, &is_alias);
    uint64_t bit;
    if (row < 0)
        return unknown_key(r, f);
    bit = JSON_BIT(row);
    f->field = &f->table->fields[row];
    f->next_row = (unsigned)row + 1;
    was_alias = (f->seen_as_alias & bit) != 0;
    if (f->seen & bit)
        return fail_seen(r, f->field, is_alias == was_alias);
    f->seen |= bit;
    if (is_alias)
        f->seen_as_alias |= bit;
    return true;
}

static bool key_in_map(struct reader *r, struct frame *f)
{
    const char *hint = NULL;
    if (!json_text_fits(f->field, f->key, 1, f->field->key_max, &hint))
        return fail_expected(r, f->field, NULL,
                             f->key.size == 0 ? "this key is empty"
                             : f->key.size > f->field->key_max
                                 ? "this key is too long"
                                 : "this key has a control character");
    return json_keys_add(&r->keys, r->run.arena, f->key, r->run.start) || fail_memory(r);
}

static bool on_key(void *ctx, struct text t)
{
    struct reader *r = ctx;
    struct frame *f = top(r);
    f->key = t;
    if (f->kind == FRAME_TABLE)
        return key_in_table(r, f);
    if (f->kind == FRAME_MAP)
        return key_in_map(r, f);
    return json_keys_add(&r->keys, r->run.arena, f->key, r->run.start) || fail_memory(r);
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void push_any(struct reader *r, bool is_object, const struct json_field *raw, char *base)
{
    push(r, is_object ? FRAME_ANY_OBJECT : FRAME_ANY_LIST, raw, base)->raw_start = r->run.start;
}

/* A list or map starts empty, whatever default stood there. */
static void push_entries(struct reader *r, enum frame_kind kind, const struct json_field *field,
                         char *base)
{
    zero_member(field, base);
    push(r, kind, field, base);
}

static bool open_in_table(struct reader *r, struct frame *f, bool is_object)
{
    const struct json_field *field = f->field;
    if (field == NULL) {
        push_any(r, is_object, NULL, NULL);
        return true;
    }
    mark_given(f, false);
    if (field->kind == JSON_RAW)
        push_any(r, is_object, field, f->base);
    else if (is_object && field->kind == JSON_OBJECT)
        push_table(r, field->sub, f->base + field->offset);
    else if (is_object && field->kind == JSON_MAP)
        push_entries(r, FRAME_MAP, field, f->base);
    else if (!is_object && field->kind == JSON_OBJECTS)
        push_entries(r, FRAME_OBJECTS, field, f->base);
    else if (!is_object && field->kind == JSON_TEXTS)
        push_entries(r, FRAME_TEXTS, field, f->base);
    else
        return fail_expected(r, field, NULL, is_object ? "it is an object" : "it is a list");
    return true;
}

static bool open_entry(struct reader *r, struct frame *f, bool is_object)
{
    char *entry;
    if (f->kind != FRAME_OBJECTS || !is_object)
        return fail_expected(r, f->field, NULL,
                             is_object ? "this entry is an object" : "this entry is a list");
    entry = add_entry(r, f, f->field->sub->size);
    if (entry == NULL)
        return false;
    push_table(r, f->field->sub, entry);
    return true;
}

static bool on_open(void *ctx, bool is_object)
{
    struct reader *r = ctx;
    if (r->depth == 0 && !is_object)
        return err_set(r->run.err, ERR_INVALID, "the body must be an object, not a list");
    if (r->depth == 0)
        push_table(r, r->table, r->root);
    else if (top(r)->kind == FRAME_TABLE)
        return open_in_table(r, top(r), is_object);
    else if (top(r)->kind == FRAME_ANY_OBJECT || top(r)->kind == FRAME_ANY_LIST)
        push_any(r, is_object, NULL, NULL);
    else
        return open_entry(r, top(r), is_object);
    return true;
}

static bool check_required(struct reader *r, struct frame *f)
{
    for (unsigned row = 0; row < f->table->count; row++) {
        const struct json_field *field = &f->table->fields[row];
        if (!(field->flags & JSON_REQUIRED) || f->seen & JSON_BIT(row))
            continue;
        f->key = text_from(field->name);
        return fail_expected(r, field, NULL, "it is missing");
    }
    return true;
}

static bool check_minimum(struct reader *r, const struct frame *f)
{
    if (*count_of(f) >= f->field->min)
        return true;
    r->depth--;
    return fail_expected(r, f->field, NULL, "it has fewer");
}

static bool close_frame(struct reader *r, struct frame *f)
{
    struct json_key twice;
    if (f->kind != FRAME_OBJECTS && f->kind != FRAME_TEXTS && f->kind != FRAME_ANY_LIST &&
        !json_keys_close(&r->keys, f->first_key, &twice)) {
        f->key = twice.text;
        return fail_duplicate(r, twice.offset);
    }
    if (f->kind == FRAME_TABLE)
        return check_required(r, f);
    if (f->kind == FRAME_OBJECTS || f->kind == FRAME_TEXTS || f->kind == FRAME_MAP)
        return check_minimum(r, f);
    if (f->field == NULL)
        return true;
    r->depth--; /* a raw value is complete; should it fail, the pointer is its key */
    return store_raw(r, f->field, f->base, f->raw_start) && ++r->depth > 0;
}

static bool on_close(void *ctx)
{
    struct reader *r = ctx;
    if (!close_frame(r, top(r)))
        return false;
    r->depth--;
    value_done(r);
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static const struct json_events events = {
    .null = on_null,
    .truth = on_truth,
    .number = on_number,
    .text = on_text,
    .key = on_key,
    .open = on_open,
    .close = on_close,
};

bool json_read(const struct json_table *table, struct text body, struct arena *arena, void *ret,
               struct json_warnings *warnings, struct err *err)
{
    struct reader r;
    if (table->empty_is_object && text_trim(body).size == 0)
        body = TEXT("{}");
    r.root = arena_take(arena, table->size);
    if (r.root == NULL)
        return err_set(err, ERR_MEMORY, "no memory to decode %zu bytes of JSON", body.size);
    r.table = table;
    r.warnings = warnings;
    r.keys = (struct json_keys){ 0 };
    memcpy(r.root, ret, table->size);
    r.depth = 0;
    if (!json_run(&r.run, body, arena, &events, &r, err))
        return false;
    memcpy(ret, r.root, table->size);
    return true;
}
