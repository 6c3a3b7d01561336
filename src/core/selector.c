/* SPDX-License-Identifier: Apache-2.0
 * selector_text.c - reading and printing selectors. See selector.h; selector.c is about their
 * meaning. The scanner cuts the text into tokens, the parser reads requirements from them with one
 * token of lookahead, and canonicalise() then sorts what it read. No position but the first of a
 * requirement takes a key and only the one after it takes "in" or "notin", so these words need no
 * quotes. */
#include "core/selector.h"

#include "base/limits.h"

#include <assert.h>
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

/* The parser. */

/* What a quoted token stands for. */
static bool unquote(struct parser *p, struct text written, struct text *ret)
{
    char *data = arena_take(p->arena, written.size);
    if (!data)
        return out_of_memory(p->err);
    size_t size = 0;
    for (size_t i = 1; i + 1 < written.size; i++) {
        if (written.data[i] == '\\')
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
    if (token.kind == TOKEN_QUOTED) {
        if (!unquote(p, token.text, &word))
            return false;
    } else if (!arena_copy(p->arena, token.text, &word)) {
        return out_of_memory(p->err);
    }
    if (!check(word, p->err)) {
        err_prefix(p->err, "selector, byte %zu", token.at);
        return false;
    }
    *ret = word;
    return scan(p);
}

static bool begin_requirement(struct parser *p, struct requirement **ret)
{
    if (p->count == LIMIT_SELECTOR_REQUIREMENTS)
        return err_set(p->err, ERR_INVALID,
                       "the selector has more than %d requirements, the most allowed",
                       LIMIT_SELECTOR_REQUIREMENTS);
    *ret = &p->list[p->count++];
    **ret = (struct requirement){ .values = &p->values[p->value_count] };
    return true;
}

static bool add_value(struct parser *p, struct requirement *requirement, struct text value)
{
    if (p->value_count == LIMIT_SELECTOR_VALUES)
        return err_set(p->err, ERR_INVALID,
                       "the selector has more than %d values, the most allowed",
                       LIMIT_SELECTOR_VALUES);
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
    case TOKEN_EQUAL: requirement->op = SELECTOR_IN; return scan(p) && parse_value(p, requirement);
    case TOKEN_NOT_EQUAL:
        requirement->op = SELECTOR_NOT_IN;
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
    if (p->next.kind != TOKEN_BANG) {
        return begin_requirement(p, &requirement) &&
               parse_word(p, "a key, or ! and a key", labels_check_key, &requirement->key) &&
               parse_condition(p, requirement);
    }
    if (!begin_requirement(p, &requirement) || !scan(p))
        return false;
    requirement->op = SELECTOR_HAS_NOT;
    return parse_word(p, "a key", labels_check_key, &requirement->key);
}

static bool parse_text(struct parser *p)
{
    if (!scan(p))
        return false;
    if (p->next.kind == TOKEN_END)
        return true;
    while (parse_requirement(p)) {
        if (p->next.kind == TOKEN_END)
            return true;
        if (p->next.kind != TOKEN_COMMA)
            return unexpected_next(p, "\",\" or the end");
        if (!scan(p))
            return false;
    }
    return false;
}

/* Texts of a selector can be printed and read again, so they have no control characters. */
static bool copy_word(struct parser *p, struct text word, const char *what, struct text *ret)
{
    if (!text_is_utf8(word) || !text_is_printable(word)) {
        char space[ERR_EXCERPT_SIZE];
        return err_set(
            p->err, ERR_INVALID,
            "the label %s \"%s\" cannot be selected by: allowed is text in UTF-8 without "
            "control characters",
            what, err_excerpt(word, space));
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
    size_t most = 1;
    for (size_t i = 0; i < p->text.size; i++)
        most += p->text.data[i] == ',';
    most += label_count < LIMIT_SELECTOR_VALUES ? label_count : LIMIT_SELECTOR_VALUES;
    size_t requirements = most < LIMIT_SELECTOR_REQUIREMENTS ? most : LIMIT_SELECTOR_REQUIREMENTS;
    size_t values = most < LIMIT_SELECTOR_VALUES ? most : LIMIT_SELECTOR_VALUES;
    p->list = arena_take_array(p->arena, requirements, sizeof *p->list);
    p->values = arena_take_array(p->arena, values, sizeof *p->values);
    return (p->list && p->values) || out_of_memory(p->err);
}

/* The canonical form. Both sorts are by insertion: the limits keep the lists short. */

static int compare(const struct requirement *a, const struct requirement *b)
{
    int order = text_compare(a->key, b->key);
    if (order == 0)
        order = (int)a->op - (int)b->op;
    for (size_t i = 0; order == 0 && i < a->value_count && i < b->value_count; i++)
        order = text_compare(a->values[i], b->values[i]);
    if (order == 0)
        order = (a->value_count > b->value_count) - (a->value_count < b->value_count);
    return order;
}

static void sort_values(struct requirement *requirement)
{
    size_t kept = 0;
    for (size_t i = 0; i < requirement->value_count; i++) {
        struct text value = requirement->values[i];
        size_t place = kept;
        int order = -1;
        while (place > 0 && (order = text_compare(requirement->values[place - 1], value)) > 0)
            place--;
        if (place > 0 && order == 0)
            continue;
        memmove(&requirement->values[place + 1], &requirement->values[place],
                (kept - place) * sizeof value);
        requirement->values[place] = value;
        kept++;
    }
    requirement->value_count = kept;
    if (kept == 0)
        requirement->values = NULL;
}

static void canonicalise(struct selector *selector)
{
    size_t kept = 0;
    for (size_t i = 0; i < selector->count; i++) {
        sort_values(&selector->list[i]);
        struct requirement requirement = selector->list[i];
        size_t place = kept;
        int order = -1;
        while (place > 0 && (order = compare(&selector->list[place - 1], &requirement)) > 0)
            place--;
        if (place > 0 && order == 0)
            continue;
        memmove(&selector->list[place + 1], &selector->list[place],
                (kept - place) * sizeof requirement);
        selector->list[place] = requirement;
        kept++;
    }
    selector->count = kept;
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
    if (requirement->op == SELECTOR_HAS || requirement->op == SELECTOR_HAS_NOT)
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
    canonicalise(&selector);
    if (!check_size(put_selector(&selector, NULL), "selector in its canonical form", err))
        return false;
    *ret = selector;
    return true;
}

/* Matching and comparing. */

static bool has_value(const struct requirement *requirement, struct text value)
{
    size_t low = 0, high = requirement->value_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare(requirement->values[middle], value);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* `value` is what a label set has under the key, NULL when it has not the key. */
static bool holds(const struct requirement *requirement, const struct text *value)
{
    switch (requirement->op) {
    case SELECTOR_IN: return value && has_value(requirement, *value);
    case SELECTOR_NOT_IN: return !value || !has_value(requirement, *value);
    case SELECTOR_HAS: return value;
    case SELECTOR_HAS_NOT: return !value;
    }
    assert(false);
    return false;
}

/* Labels and requirements are both in the order of their keys: one walk. */
bool selector_matches(const struct selector *selector, const struct label_sets *sets,
                      uint32_t labels)
{
    const size_t count = labels_count(sets, labels);
    size_t place = 0;
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *requirement = &selector->list[i];
        struct text key, value;
        int order = 1;
        for (; place < count; place++) {
            labels_at(sets, labels, place, &key, &value);
            order = text_compare(key, requirement->key);
            if (order >= 0)
                break;
        }
        if (!holds(requirement, order == 0 ? &value : NULL))
            return false;
    }
    return true;
}

bool selector_equal(const struct selector *a, const struct selector *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (compare(&a->list[i], &b->list[i]) != 0)
            return false;
    return true;
}

/* The requirements of two selectors on one key, as far as `selectors` have any. */
struct demands {
    const struct requirement *list[2];
    size_t count[2];
};

/* Whether all demands hold for `value` (NULL: the key is not there). */
static bool all_hold(const struct demands *demands, const struct text *value)
{
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < demands->count[side]; i++)
            if (!holds(&demands->list[side][i], value))
                return false;
    return true;
}

static const struct requirement *first_with(const struct demands *demands, enum selector_op op)
{
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < demands->count[side]; i++)
            if (demands->list[side][i].op == op)
                return &demands->list[side][i];
    return NULL;
}

/* Whether a label set can meet all demands. Those that name no allowed values leave all texts but a
 * few, so only the key's absence has to be looked at. */
static bool can_hold(const struct demands *demands)
{
    if (all_hold(demands, NULL))
        return true;
    const struct requirement *in = first_with(demands, SELECTOR_IN);
    for (size_t i = 0; in && i < in->value_count; i++)
        if (all_hold(demands, &in->values[i]))
            return true;
    return !in && !first_with(demands, SELECTOR_HAS_NOT);
}

/* Cuts the requirements on `key` off the front of *rest. */
static size_t cut_key(struct selector *rest, struct text key)
{
    size_t count = 0;
    while (count < rest->count && text_equal(rest->list[count].key, key))
        count++;
    rest->list += count;
    rest->count -= count;
    return count;
}

bool selector_disjoint(const struct selector *a, const struct selector *b)
{
    struct selector rest[2] = { *a, *b };
    while (rest[0].count > 0 || rest[1].count > 0) {
        bool b_is_first =
            rest[0].count == 0 ||
            (rest[1].count > 0 && text_compare(rest[1].list->key, rest[0].list->key) < 0);
        struct text key = rest[b_is_first].list->key;
        struct demands demands = { .list = { rest[0].list, rest[1].list } };
        for (size_t side = 0; side < 2; side++)
            demands.count[side] = cut_key(&rest[side], key);
        if (!can_hold(&demands))
            return true;
    }
    return false;
}
