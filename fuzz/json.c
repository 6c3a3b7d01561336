/* SPDX-License-Identifier: Apache-2.0
 * json.c - JSON and YAML as trees: what was read is written so that it reads as the same, and a
 * document in one language survives the way through the other. */
#include "base/limits.h"
#include "cmd/document.h"
#include "cmd/event_view.h"
#include "cmd/terminal.h"
#include "fuzz.h"
#include "wire/json_pull.h"
#include "wire/yaml_read.h"

#include <string.h>

static const struct json_node *parse(struct fuzz *f, struct text json)
{
    const struct json_node *root = NULL;
    if (!json_tree_parse(json, &f->arena, &root, &f->err)) {
        CLAIM(root == NULL);
        CLAIM_ERROR(&f->err, ERR_BAD_JSON, ERR_MEMORY);
    }
    return root;
}

/* Returns the depth; claims that counts and kinds are what the nodes say. */
static unsigned walk(const struct json_node *node)
{
    unsigned deepest = 0, count = 0;
    for (const struct json_node *entry = json_first(node); entry; entry = entry->next) {
        unsigned depth = walk(entry);
        deepest = depth > deepest ? depth : deepest;
        count++;
        CLAIM(text_is_utf8(entry->key));
    }
    bool is_nested = node->kind == JSON_NODE_LIST || node->kind == JSON_NODE_OBJECT;
    CLAIM(is_nested ? count == node->count : count == 0);
    CLAIM(text_is_utf8(node->text));
    return deepest + is_nested;
}

/* ---- a second reader, by the grammar of RFC 8259 ----------------------------------------------
 */

struct reader {
    struct text rest;
    unsigned depth;
    bool is_disputed; /* grammatical, but what we refuse: NUL, half a surrogate, nesting too deep */
};

static bool take(struct reader *r, char c)
{
    bool is_there = r->rest.size > 0 && r->rest.data[0] == c;
    r->rest = text_skip(r->rest, is_there);
    return is_there;
}

static void skip_blanks(struct reader *r)
{
    while (take(r, ' ') || take(r, '\t') || take(r, '\n') || take(r, '\r'))
        continue;
}

static unsigned take_digits(struct reader *r)
{
    unsigned count = 0;
    for (; r->rest.size > 0 && r->rest.data[0] >= '0' && r->rest.data[0] <= '9'; count++)
        r->rest = text_skip(r->rest, 1);
    return count;
}

static bool read_number(struct reader *r)
{
    take(r, '-');
    if (!take(r, '0') && take_digits(r) == 0)
        return false;
    if (take(r, '.') && take_digits(r) == 0)
        return false;
    if (!take(r, 'e') && !take(r, 'E'))
        return true;
    if (!take(r, '+'))
        take(r, '-');
    return take_digits(r) > 0;
}

/* The four digits of \u; false: there are none. */
static bool read_unit(struct reader *r, unsigned *ret)
{
    *ret = 0;
    for (int i = 0; i < 4; i++, r->rest = text_skip(r->rest, 1)) {
        const char *digits = "0123456789abcdefABCDEF";
        const char *at = r->rest.size > 0 ? memchr(digits, r->rest.data[0], 22) : NULL;
        if (!at)
            return false;
        *ret = *ret * 16 + (unsigned)(at - digits > 15 ? at - digits - 6 : at - digits);
    }
    return true;
}

static bool read_escape(struct reader *r)
{
    unsigned unit, second;
    if (r->rest.size > 0 && memchr("\"\\/bfnrt", r->rest.data[0], 8)) {
        r->rest = text_skip(r->rest, 1);
        return true;
    }
    if (!take(r, 'u') || !read_unit(r, &unit))
        return false;
    bool is_high = unit >= 0xd800 && unit < 0xdc00, is_low = unit >= 0xdc00 && unit < 0xe000;
    struct reader ahead = *r;
    bool is_pair = is_high && take(&ahead, '\\') && take(&ahead, 'u') &&
                   read_unit(&ahead, &second) && second >= 0xdc00 && second < 0xe000;
    if (is_pair)
        r->rest = ahead.rest;
    r->is_disputed |= unit == 0 || is_low || (is_high && !is_pair);
    return true;
}

static bool read_text(struct reader *r)
{
    if (!take(r, '"'))
        return false;
    while (r->rest.size > 0 && !take(r, '"')) {
        if (take(r, '\\')) {
            if (!read_escape(r))
                return false;
        } else if ((unsigned char)r->rest.data[0] < ' ') {
            return false;
        } else {
            r->rest = text_skip(r->rest, 1);
        }
        if (r->rest.size == 0)
            return false;
    }
    return r->rest.data[-1] == '"';
}

static bool read_value(struct reader *r);

static bool read_entries(struct reader *r, char end, bool is_object)
{
    skip_blanks(r);
    if (take(r, end))
        return true;
    do {
        skip_blanks(r);
        if (is_object) {
            if (!read_text(r))
                return false;
            skip_blanks(r);
            if (!take(r, ':'))
                return false;
        }
        if (!read_value(r))
            return false;
        skip_blanks(r);
    } while (take(r, ','));
    return take(r, end);
}

static bool read_word(struct reader *r, struct text word)
{
    bool is_there = text_starts_with(r->rest, word);
    r->rest = text_skip(r->rest, is_there ? word.size : 0);
    return is_there;
}

static bool read_value(struct reader *r)
{
    skip_blanks(r);
    if (r->rest.size == 0)
        return false;
    char c = r->rest.data[0];
    if (c == '{' || c == '[') {
        r->rest = text_skip(r->rest, 1);
        r->depth++;
        r->is_disputed |= r->depth > LIMIT_JSON_DEPTH;
        bool is_good = read_entries(r, c == '{' ? '}' : ']', c == '{');
        r->depth--;
        return is_good;
    }
    if (c == '"')
        return read_text(r);
    return read_word(r, TEXT("true")) || read_word(r, TEXT("false")) ||
           read_word(r, TEXT("null")) || read_number(r);
}

/* Of duplicate keys it knows nothing: then we say so. */
static void compare(struct text input, bool is_taken, const struct err *err)
{
    struct reader r = { .rest = input };
    if (input.size > 2000)
        return; /* it is recursive */
    bool is_json = read_value(&r);
    skip_blanks(&r);
    is_json = is_json && r.rest.size == 0 && text_is_utf8(input);
    if (is_taken) {
        CLAIM(is_json && !r.is_disputed);
        return;
    }
    struct text first = text_trim(input);
    bool is_nested = first.size > 0 && (first.data[0] == '{' || first.data[0] == '[');
    bool is_twice = strstr(err->text, "twice") != NULL;
    if (is_json && !r.is_disputed && is_nested && !is_twice)
        fprintf(stderr, "%s\n", err->text);
    CLAIM(!is_json || r.is_disputed || !is_nested || is_twice);
}

void fuzz_json(struct text input)
{
    struct fuzz f;
    fuzz_begin(&f);
    const struct json_node *root = parse(&f, input);
    compare(input, root != NULL, &f.err);
    if (root) {
        CLAIM(text_is_utf8(input));
        CLAIM(walk(root) <= LIMIT_JSON_DEPTH);
        document_add_json(&f.out, root, false);
        fuzz_claim_safe(buffer_text(&f.out));
        const struct json_node *again = parse(&f, buffer_text(&f.out));
        CLAIM(again != NULL);
        document_add_json(&f.again, again, false);
        fuzz_claim_equal(buffer_text(&f.out), buffer_text(&f.again));
        document_add_json(&f.third, root, true);
        again = parse(&f, buffer_text(&f.third));
        CLAIM(again != NULL);
        buffer_clear(&f.again);
        document_add_json(&f.again, again, false);
        fuzz_claim_equal(buffer_text(&f.out), buffer_text(&f.again));
    }
    fuzz_end(&f);
}

static size_t longest_key(const struct json_node *node)
{
    size_t longest = node->key.size;
    for (const struct json_node *entry = json_first(node); entry; entry = entry->next) {
        size_t size = longest_key(entry);
        longest = size > longest ? size : longest;
    }
    return longest;
}

/* YAML has keys of 1024 characters, into which the longest of ours goes whatever it holds.
 * A number may be written otherwise: what is compared is what YAML makes of its own output. */
void fuzz_json_to_yaml(struct text input)
{
    struct fuzz f;
    fuzz_begin(&f);
    const struct json_node *root = parse(&f, input);
    if (root && input.size < YAML_SIZE_MAX / 16 && longest_key(root) <= LIMIT_LABEL_KEY) {
        document_add_yaml(&f.out, root);
        CLAIM(!f.out.failed);
        if (!yaml_to_json(buffer_text(&f.out), &f.again, &f.err))
            fprintf(stderr, "%s\n%.*s\n", f.err.text, TEXT_ARG(buffer_text(&f.out)));
        CLAIM(f.err.code == ERR_NONE);
        const struct json_node *again = parse(&f, buffer_text(&f.again));
        CLAIM(again != NULL && again->kind == root->kind && again->count == root->count);
        document_add_yaml(&f.third, again);
        buffer_clear(&f.out);
        CLAIM(yaml_to_json(buffer_text(&f.third), &f.out, &f.err));
        const struct json_node *third = parse(&f, buffer_text(&f.out));
        CLAIM(third != NULL);
        buffer_clear(&f.again);
        document_add_yaml(&f.again, third);
        fuzz_claim_equal(buffer_text(&f.third), buffer_text(&f.again));
    }
    fuzz_end(&f);
}

void fuzz_yaml(struct text input)
{
    struct fuzz f;
    fuzz_begin(&f);
    buffer_add_byte(&f.out, '['); /* a document may be a scalar, which is no JSON text here */
    if (yaml_to_json(input, &f.out, &f.err)) {
        bool is_empty = f.out.size == 1;
        buffer_add_byte(&f.out, ']');
        struct arena arena;
        arena_init(&arena, &memory_heap, FUZZ_ROOM);
        const struct json_node *root = NULL;
        struct err err = { .code = ERR_NONE };
        bool is_deep = !json_tree_parse(buffer_text(&f.out), &arena, &root, &err);
        /* The list around it is a level more than a document may have. */
        if (is_deep) {
            buffer_clear(&f.out);
            CLAIM(yaml_to_json(input, &f.out, &f.err));
            if (!json_tree_parse(buffer_text(&f.out), &arena, &root, &err))
                fprintf(stderr, "%s: %.*s\n", err.text, TEXT_ARG(buffer_text(&f.out)));
            CLAIM(root != NULL);
        } else {
            CLAIM(root->count == !is_empty);
        }
        arena_release(&arena);
    } else {
        CLAIM_ERROR(&f.err, ERR_INVALID, ERR_MEMORY);
        CLAIM(text_starts_with(text_from(f.err.text), TEXT("line ")) ||
              text_starts_with(text_from(f.err.text), TEXT("byte ")));
    }
    fuzz_end(&f);
}

void fuzz_event_view(struct text input)
{
    struct fuzz f;
    fuzz_begin(&f);
    const struct json_node *root = parse(&f, input);
    if (root) {
        event_view_add(&f.out, json_get_text(root, "type", TEXT("unknown")), root);
        CLAIM(!f.out.failed);
        terminal_add(&f.again, buffer_text(&f.out));
        fuzz_claim_safe(buffer_text(&f.again));
    }
    fuzz_end(&f);
}
