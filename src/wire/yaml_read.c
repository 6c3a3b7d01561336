/* SPDX-License-Identifier: Apache-2.0
 * yaml_read.c - libyaml's events become JSON. One level per open mapping or sequence. */
#include "wire/yaml_read.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "wire/json_keys.h"
#include "wire/json_write.h"
#include "wire/yaml_scalar.h"

#include <yaml.h>

#include <assert.h>

struct level {
    bool is_mapping, wants_key;
    size_t first_key;
};

struct converter {
    yaml_parser_t parser;
    struct text yaml;
    struct json_writer writer;
    struct arena arena;    /* of keys */
    struct json_keys keys; /* their offsets are places: see place_of() */
    unsigned depth, documents;
    struct level levels[LIMIT_JSON_DEPTH];
    struct err *err;
};

static void release_parser(struct converter *c)
{
    yaml_parser_delete(&c->parser);
    arena_release(&c->arena);
}

static void release_event(yaml_event_t *event)
{
    yaml_event_delete(event); /* accepts a zeroed one */
}

/* ---- failing -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool fail_at(const struct converter *c,
                                                          yaml_mark_t mark, const char *format, ...)
{
    char what[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return err_set(c->err, ERR_INVALID, "line %zu, column %zu: %.*s", mark.line + 1,
                   mark.column + 1, (int)sizeof(what), what);
}

static bool fail_memory(const struct converter *c)
{
    return err_set(c->err, ERR_MEMORY, "no memory to read %zu bytes of YAML", c->yaml.size);
}

static bool fail_syntax(const struct converter *c)
{
    const yaml_parser_t *parser = &c->parser;
    const char *what = parser->problem == NULL ? "not valid YAML" : parser->problem;
    if (parser->error == YAML_MEMORY_ERROR)
        return fail_memory(c);
    if (parser->error == YAML_READER_ERROR) /* has an offset only */
        return err_set(c->err, ERR_INVALID, "byte %zu: %s", parser->problem_offset, what);
    if (parser->context == NULL)
        return fail_at(c, parser->problem_mark, "%s", what);
    return fail_at(c, parser->problem_mark, "%s (%s)", what, parser->context);
}

/* A place as one number that grows along the document, for the offsets of keys. */
static size_t place_of(yaml_mark_t mark)
{
    return mark.line * (YAML_SIZE_MAX + 1) + mark.column;
}

static yaml_mark_t mark_of(size_t place)
{
    return (yaml_mark_t){ .line = place / (YAML_SIZE_MAX + 1),
                          .column = place % (YAML_SIZE_MAX + 1) };
}

/* ---- events --------------------------------------------------------------------------------- */

static struct level *top(struct converter *c)
{
    return c->depth > 0 ? &c->levels[c->depth - 1] : NULL;
}

static bool refuse_decoration(const struct converter *c, const yaml_event_t *event,
                              const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        return fail_at(c, event->start_mark,
                       "anchors (&) are not supported: write the value again");
    if (tag != NULL)
        return fail_at(c, event->start_mark, "tags (!) are not supported: quote what must be text");
    return true;
}

/* The next value follows: in a mapping that is after the key, and then a key is due again. */
static void value_comes(struct converter *c)
{
    struct level *level = top(c);
    if (level != NULL)
        level->wants_key = level->is_mapping;
}

static bool take_key(struct converter *c, const yaml_event_t *event, struct text key)
{
    struct text kept;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && text_equal(key, TEXT("<<")))
        return fail_at(c, event->start_mark, "merge keys (<<) are not supported");
    if (!arena_copy(&c->arena, key, &kept) ||
        !json_keys_add(&c->keys, &c->arena, kept, place_of(event->start_mark)))
        return fail_memory(c);
    json_key_text(&c->writer, key);
    top(c)->wants_key = false;
    return true;
}

static bool take_plain(struct converter *c, const yaml_event_t *event, struct text plain)
{
    struct sentence number; /* room enough for any number a file needs */
    sentence_init(&number);
    switch (yaml_scalar_resolve(plain, &number.buffer)) {
    case YAML_SCALAR_JSON:
        if (number.buffer.failed)
            return fail_at(c, event->start_mark, "this number is too long");
        json_write_raw(&c->writer, buffer_text(&number.buffer));
        return true;
    case YAML_SCALAR_NOT_FINITE:
        return fail_at(c, event->start_mark, "infinity and NaN are not supported");
    case YAML_SCALAR_TOO_LARGE:
        return fail_at(c, event->start_mark, "this number does not fit in 64 bits");
    case YAML_SCALAR_TEXT: break;
    }
    json_write_text(&c->writer, plain);
    return true;
}

static bool take_scalar(struct converter *c, const yaml_event_t *event)
{
    struct text value = { (const char *)event->data.scalar.value, event->data.scalar.length };
    if (!refuse_decoration(c, event, event->data.scalar.anchor, event->data.scalar.tag))
        return false;
    if (memchr(value.data, '\0', value.size) != NULL)
        return fail_at(c, event->start_mark, "NUL is not allowed in texts");
    if (c->depth > 0 && top(c)->wants_key)
        return take_key(c, event, value);
    value_comes(c);
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return take_plain(c, event, value);
    json_write_text(&c->writer, value);
    return true;
}

static bool open_level(struct converter *c, const yaml_event_t *event, bool is_mapping)
{
    if (c->depth > 0 && top(c)->wants_key)
        return fail_at(c, event->start_mark, "a key must be a text, not a mapping or sequence");
    if (c->depth == LIMIT_JSON_DEPTH)
        return fail_at(c, event->start_mark, "nested deeper than %d", LIMIT_JSON_DEPTH);
    value_comes(c);
    c->levels[c->depth++] = (struct level){ .is_mapping = is_mapping,
                                            .wants_key = is_mapping,
                                            .first_key = c->keys.count };
    if (is_mapping)
        json_begin_object(&c->writer);
    else
        json_begin_list(&c->writer);
    return true;
}

static bool close_mapping(struct converter *c)
{
    char space[ERR_EXCERPT_SIZE];
    struct json_key twice;
    c->depth--;
    json_end_object(&c->writer);
    if (json_keys_close(&c->keys, c->levels[c->depth].first_key, &twice))
        return true;
    return fail_at(c, mark_of(twice.offset), "the key \"%s\" is given twice",
                   err_excerpt(twice.text, space));
}

static bool close_sequence(struct converter *c)
{
    c->depth--;
    json_end_list(&c->writer);
    return true;
}

static bool take_document(struct converter *c, const yaml_event_t *event)
{
    if (c->documents++ > 0)
        return fail_at(c, event->start_mark, "only one document is allowed in a file");
    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end)
        return fail_at(c, event->start_mark, "%%TAG is not supported");
    return true;
}

static bool take_event(struct converter *c, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: return take_document(c, event);
    case YAML_SCALAR_EVENT: return take_scalar(c, event);
    case YAML_MAPPING_START_EVENT:
        return refuse_decoration(c, event, event->data.mapping_start.anchor,
                                 event->data.mapping_start.tag) &&
               open_level(c, event, true);
    case YAML_SEQUENCE_START_EVENT:
        return refuse_decoration(c, event, event->data.sequence_start.anchor,
                                 event->data.sequence_start.tag) &&
               open_level(c, event, false);
    case YAML_MAPPING_END_EVENT: return close_mapping(c);
    case YAML_SEQUENCE_END_EVENT: return close_sequence(c);
    case YAML_ALIAS_EVENT:
        return fail_at(c, event->start_mark,
                       "aliases (*) are not supported: write the value again");
    default: return true; /* start and end of the stream, end of a document */
    }
}

/* One event. *ret_more becomes false at the end of the stream. */
static bool step(struct converter *c, bool *ret_more)
{
    cleanup(release_event) yaml_event_t event = { 0 };
    if (!yaml_parser_parse(&c->parser, &event))
        return fail_syntax(c);
    *ret_more = event.type != YAML_STREAM_END_EVENT;
    return take_event(c, &event);
}

bool yaml_to_json(struct text yaml, struct buffer *out, struct err *err)
{
    cleanup(release_parser) struct converter c = { .yaml = yaml, .err = err };
    bool more = true;
    arena_init(&c.arena, out->memory, SIZE_MAX);
    json_writer_init(&c.writer, out);
    if (yaml.size > YAML_SIZE_MAX)
        return err_set(err, ERR_INVALID, "the document has %zu bytes; at most %d are allowed",
                       yaml.size, YAML_SIZE_MAX);
    if (!yaml_parser_initialize(&c.parser))
        return fail_memory(&c);
    yaml_parser_set_encoding(&c.parser, YAML_UTF8_ENCODING);
    /* Of an empty file nothing was allocated, and libyaml asserts that there is something. */
    const char *bytes = yaml.data ? yaml.data : "";
    yaml_parser_set_input_string(&c.parser, (const unsigned char *)bytes, yaml.size);
    while (more)
        if (!step(&c, &more))
            return false;
    return !out->failed || fail_memory(&c);
}
