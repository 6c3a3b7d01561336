/* SPDX-License-Identifier: Apache-2.0
 * selector_text.c - reading and printing selectors. See selector.h; selector.c does the rest.
 * One token of lookahead is enough: a requirement begins with its key, and only what follows a key
 * can be "in" or "notin", so keys and values may be these words. */
#include "core/selector.h"

#include "base/limits.h"

#include <string.h>

enum token_kind {
    TOKEN_END,
    TOKEN_BARE,
    TOKEN_QUOTED,
    TOKEN_COMMA,
    TOKEN_EQUAL, /* = or == */
    TOKEN_NOT_EQUAL,
    TOKEN_BANG,
    TOKEN_OPEN,
    TOKEN_CLOSE,
};

struct token {
    enum token_kind kind;
    struct text text; /* as written; a quoted one with its quotes */
    size_t at;        /* of its first byte */
};

/* `list` and `values` have the room that the commas of the text and the labels can fill at most. */
struct parser {
    struct text text;
    struct token next; /* the lookahead */
    struct arena *arena;
    struct requirement *list;
    size_t count;
    struct text *values; /* of all requirements, one after the other */
    size_t value_count;
    struct err *err;
};

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "no memory for the selector");
}

/* The scanner. */

static bool is_control(char byte)
{
    return (unsigned char)byte < 0x20 || byte == 0x7f;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_bare_byte(char byte)
{
    return !is_control(byte) && byte != ' ' && !memchr(",=!()\"", byte, 6);
}

/* "found" is what stands at `at`: a part of the text, or its end when that is empty. */
static bool unexpected(const struct parser *p, size_t at, struct text found, const char *allowed)
{
    char space[ERR_EXCERPT_SIZE];
    const char *quote = found.size == 0 || found.data[0] == '"' ? "" : "\"";
    const char *shown = found.size == 0 ? "the end" : err_excerpt(found, space);
    return err_set(p->err, ERR_INVALID, "selector, byte %zu: found %s%s%s; allowed here: %s", at,
                   quote, shown, quote, allowed);
}

static bool unexpected_next(const struct parser *p, const char *allowed)
{
    return unexpected(p, p->next.at, p->next.text, allowed);
}

static struct text part(const struct parser *p, size_t from, size_t to)
{
    return (struct text){ p->text.data + from, to - from };
}

static bool take_token(struct parser *p, enum token_kind kind, size_t at, size_t size)
{
    p->next = (struct token){ kind, part(p, at, at + size), at };
    return true;
}

/* A word of either kind must be UTF-8. Its delimiters are ASCII, so no character is cut by them. */
static bool take_word(struct parser *p, enum token_kind kind, size_t at, size_t size)
{
    take_token(p, kind, at, size);
    size_t good = 0, step;
    while (good < size && (step = text_utf8_size(text_skip(p->next.text, good))) > 0)
        good += step;
    if (good == size)
        return true;
    return unexpected(p, at + good, part(p, at + good, at + good + 1), "text in UTF-8");
}

static bool scan_quoted(struct parser *p, size_t at)
{
    const char *data = p->text.data;
    size_t end = at + 1;
    for (; end < p->text.size && data[end] != '"'; end++) {
        if (is_control(data[end]))
            return unexpected(p, end, part(p, end, end + 1), "text without control characters");
        if (data[end] != '\\')
            continue;
        end++;
        if (end < p->text.size && data[end] != '"' && data[end] != '\\')
            return unexpected(p, end - 1, part(p, end - 1, end + 1), "\\\" and \\\\");
    }
    if (end >= p->text.size)
        return unexpected(p, p->text.size, TEXT_NONE, "the closing \"");
    return take_word(p, TOKEN_QUOTED, at, end + 1 - at);
}

static bool scan_bare(struct parser *p, size_t at)
{
    size_t end = at;
    while (end < p->text.size && is_bare_byte(p->text.data[end]))
        end++;
    if (end == at) /* the scanner has taken everything else */
        return unexpected(p, at, part(p, at, at + 1), "text without control characters");
    return take_word(p, TOKEN_BARE, at, end - at);
}

/* Moves the lookahead on. */
static bool scan(struct parser *p)
{
    const struct text text = p->text;
    size_t at = p->next.at + p->next.text.size;
    while (at < text.size && is_blank(text.data[at]))
        at++;
    if (at == text.size) {
        p->next = (struct token){ .kind = TOKEN_END, .at = at };
        return true;
    }
    bool equal_follows = at + 1 < text.size && text.data[at + 1] == '=';
    switch (text.data[at]) {
    case ',': return take_token(p, TOKEN_COMMA, at, 1);
    case '(': return take_token(p, TOKEN_OPEN, at, 1);
    case ')': return take_token(p, TOKEN_CLOSE, at, 1);
    case '=': return take_token(p, TOKEN_EQUAL, at, equal_follows ? 2 : 1);
    case '!':
        return take_token(p, equal_follows ? TOKEN_NOT_EQUAL : TOKEN_BANG, at, 1u + equal_follows);
    case '"': return scan_quoted(p, at);
    default: return scan_bare(p, at);
    }
}

/* What a word stands for: without its quotes and the backslashes that go with them. */
static bool copy_token(struct parser *p, const struct token *token, struct text *ret)
{
    const struct text written = token->text;
    const size_t quote = token->kind == TOKEN_QUOTED;
    char *data = arena_take(p->arena, written.size);
    if (!data)
        return out_of_memory(p->err);
    size_t size = 0;
    for (size_t i = quote; i + quote < written.size; i++) {
        if (quote && written.data[i] == '\\')
            i++;
        data[size++] = written.data[i];
    }
    *ret = (struct text){ data, size };
    return true;
}

/* Reads the lookahead, which must be a word, and moves on. */
static bool parse_word(struct parser *p, const char *allowed,
                       bool (*check)(struct text, struct err *), struct text *ret)
{
    struct token token = p->next;
    struct text word;
    if (token.kind != TOKEN_BARE && token.kind != TOKEN_QUOTED)
        return unexpected_next(p, allowed);
    if (!copy_token(p, &token, &word))
        return false;
    if (!check(word, p->err)) {
        err_prefix(p->err, "selector, byte %zu", token.at);
        return false;
    }
    *ret = word;
    return scan(p);
}

static bool has_room(const struct parser *p, size_t count, size_t most, const char *what)
{
    return count < most ||
           err_set(p->err, ERR_INVALID, "the selector has more than %zu %s, the most allowed", most,
                   what);
}

static bool begin_requirement(struct parser *p, struct requirement **ret)
{
    if (!has_room(p, p->count, LIMIT_SELECTOR_REQUIREMENTS, "requirements"))
        return false;
    *ret = &p->list[p->count++];
    **ret = (struct requirement){ .values = &p->values[p->value_count] };
    return true;
}

static bool add_value(struct parser *p, struct requirement *requirement, struct text value)
{
    if (!has_room(p, p->value_count, LIMIT_SELECTOR_VALUES, "values"))
        return false;
    p->values[p->value_count++] = value;
    requirement->value_count++;
    return true;
}

static bool parse_value(struct parser *p, struct requirement *requirement)
{
    struct text value;
    return parse_word(p, "a value (\"\" is the empty one)", labels_check_value, &value) &&
           add_value(p, requirement, value);
}

/* "(" value *("," value) ")" */
static bool parse_values(struct parser *p, struct requirement *requirement)
{
    if (p->next.kind != TOKEN_OPEN)
        return unexpected_next(p, "\"(\"");
    do {
        if (!scan(p) || !parse_value(p, requirement))
            return false;
    } while (p->next.kind == TOKEN_COMMA);
    if (p->next.kind != TOKEN_CLOSE)
        return unexpected_next(p, "\",\" or \")\"");
    return scan(p);
}

/* What follows a key. */
static bool parse_condition(struct parser *p, struct requirement *requirement)
{
    const struct token token = p->next;
    switch (token.kind) {
    case TOKEN_END:
    case TOKEN_COMMA: requirement->op = SELECTOR_HAS; return true;
    case TOKEN_EQUAL:
    case TOKEN_NOT_EQUAL:
        requirement->op = token.kind == TOKEN_EQUAL ? SELECTOR_IN : SELECTOR_NOT_IN;
        return scan(p) && parse_value(p, requirement);
    default: break;
    }
    /* A quoted "in" is no operator: its text has the quotes. */
    bool is_in = text_equal(token.text, TEXT("in"));
    if (!is_in && !text_equal(token.text, TEXT("notin")))
        return unexpected_next(p, "=, ==, !=, in, notin, \",\" or the end");
    requirement->op = is_in ? SELECTOR_IN : SELECTOR_NOT_IN;
    return scan(p) && parse_values(p, requirement);
}

static bool parse_requirement(struct parser *p)
{
    struct requirement *requirement;
    if (!begin_requirement(p, &requirement))
        return false;
    if (p->next.kind != TOKEN_BANG)
        return parse_word(p, "a key, or ! and a key", labels_check_key, &requirement->key) &&
               parse_condition(p, requirement);
    requirement->op = SELECTOR_HAS_NOT;
    return scan(p) && parse_word(p, "a key", labels_check_key, &requirement->key);
}

static bool parse_text(struct parser *p)
{
    if (!scan(p))
        return false;
    bool more = p->next.kind != TOKEN_END;
    while (more) {
        if (!parse_requirement(p))
            return false;
        more = p->next.kind == TOKEN_COMMA;
        if (more && !scan(p))
            return false;
    }
    return p->next.kind == TOKEN_END || unexpected_next(p, "\",\" or the end");
}

/* Texts of a selector can be printed and read again, so they have no control characters. */
static bool copy_word(struct parser *p, struct text word, const char *what, struct text *ret)
{
    if (!text_is_utf8(word) || !text_is_printable(word)) {
        char space[ERR_EXCERPT_SIZE];
        return err_set(p->err, ERR_INVALID,
                       "the label %s \"%s\" is not UTF-8 without control characters", what,
                       err_excerpt(word, space));
    }
    return arena_copy(p->arena, word, ret) || out_of_memory(p->err);
}

static bool add_label(struct parser *p, const struct label_change *label)
{
    struct requirement *requirement;
    struct text value;
    if (label->is_removal) {
        char space[ERR_EXCERPT_SIZE];
        return err_set(p->err, ERR_INVALID, "the label \"%s\" has no value to be selected by",
                       err_excerpt(label->key, space));
    }
    return labels_check_key(label->key, p->err) && labels_check_value(label->value, p->err) &&
           begin_requirement(p, &requirement) &&
           copy_word(p, label->key, "key", &requirement->key) &&
           copy_word(p, label->value, "value", &value) && add_value(p, requirement, value);
}

/* Takes the arrays, as large as this text and these labels can need. Every requirement but the
 * first of the text, and every value but the first of a requirement, comes after a comma. */
static bool take_room(struct parser *p, size_t label_count)
{
    size_t most = 1 + label_count;
    for (size_t i = 0; i < p->text.size; i++)
        most += p->text.data[i] == ',';
    size_t requirements = most < LIMIT_SELECTOR_REQUIREMENTS ? most : LIMIT_SELECTOR_REQUIREMENTS;
    size_t values = most < LIMIT_SELECTOR_VALUES ? most : LIMIT_SELECTOR_VALUES;
    p->list = arena_take_array(p->arena, requirements, sizeof *p->list);
    p->values = arena_take_array(p->arena, values, sizeof *p->values);
    return (p->list && p->values) || out_of_memory(p->err);
}

/* Printing. */

/* Where a selector is printed to; without a buffer it is only measured. */
struct sink {
    struct buffer *out;
    size_t size;
};

static void put(struct sink *sink, struct text t)
{
    sink->size += t.size;
    if (sink->out)
        buffer_add(sink->out, t);
}

static bool is_bare(struct text word)
{
    for (size_t i = 0; i < word.size; i++)
        if (!is_bare_byte(word.data[i]))
            return false;
    return word.size > 0;
}

static void put_word(struct sink *sink, struct text word)
{
    if (is_bare(word)) {
        put(sink, word);
        return;
    }
    put(sink, TEXT("\""));
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] == '"' || word.data[i] == '\\')
            put(sink, TEXT("\\"));
        put(sink, (struct text){ &word.data[i], 1 });
    }
    put(sink, TEXT("\""));
}

static void put_requirement(struct sink *sink, const struct requirement *requirement)
{
    bool is_in = requirement->op == SELECTOR_IN;
    if (requirement->op == SELECTOR_HAS_NOT)
        put(sink, TEXT("!"));
    put_word(sink, requirement->key);
    if (requirement->value_count == 0)
        return;
    if (requirement->value_count == 1) {
        put(sink, is_in ? TEXT("=") : TEXT("!="));
        put_word(sink, requirement->values[0]);
        return;
    }
    put(sink, is_in ? TEXT(" in (") : TEXT(" notin ("));
    for (size_t i = 0; i < requirement->value_count; i++) {
        put(sink, i > 0 ? TEXT(",") : TEXT(""));
        put_word(sink, requirement->values[i]);
    }
    put(sink, TEXT(")"));
}

static size_t put_selector(const struct selector *selector, struct buffer *out)
{
    struct sink sink = { .out = out };
    for (size_t i = 0; i < selector->count; i++) {
        put(&sink, i > 0 ? TEXT(",") : TEXT(""));
        put_requirement(&sink, &selector->list[i]);
    }
    return sink.size;
}

void selector_print(const struct selector *selector, struct buffer *out)
{
    put_selector(selector, out);
}

static bool check_size(size_t size, const char *what, struct err *err)
{
    return size <= LIMIT_SELECTOR ||
           err_set(err, ERR_INVALID, "the %s has %zu bytes; at most %d are allowed", what, size,
                   LIMIT_SELECTOR);
}

bool selector_parse(struct text text, const struct label_change *labels, size_t label_count,
                    struct arena *arena, struct selector *ret, struct err *err)
{
    struct parser p = { .text = text, .arena = arena, .err = err };
    if (!check_size(text.size, "selector", err) || !take_room(&p, label_count) || !parse_text(&p))
        return false;
    for (size_t i = 0; i < label_count; i++)
        if (!add_label(&p, &labels[i]))
            return false;
    struct selector selector = { p.list, p.count };
    selector_canonicalise(&selector);
    if (!check_size(put_selector(&selector, NULL), "selector in its canonical form", err))
        return false;
    *ret = selector;
    return true;
}
