/* SPDX-License-Identifier: Apache-2.0
 * json_strict.c - the first pass over the bytes, the parser's memory, and the run itself. */
#include "wire/json_strict.h"

#include "base/limits.h"

#include <assert.h>

/* YAJL's own structs and its longest error sentence take less than 600 bytes. */
#define PARSER_SIZE 1024
/* YAJL's buffer for texts with escapes starts so large and doubles. */
#define UNESCAPED_FIRST 2048

/* ---- the first pass ------------------------------------------------------------------------- */

struct scan {
    struct text body;
    size_t at;
    size_t depth;
    size_t longest_escaped; /* bytes between the quotes of the longest text with a backslash */
    struct err *err;
};

static bool scan_fail(const struct scan *s, size_t at, const char *what)
{
    return err_set(s->err, ERR_BAD_JSON, "not valid JSON at byte %zu: %s", at, what);
}

static bool hex_digit(char c, unsigned *ret)
{
    if (c >= '0' && c <= '9')
        *ret = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *ret = (unsigned)(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F')
        *ret = (unsigned)(c - 'A') + 10;
    else
        return false;
    return true;
}

/* The four digits after a \u that stands at `at`. */
static bool escape_unit(const struct scan *s, size_t at, unsigned *ret)
{
    unsigned unit = 0;
    if (s->body.size - at < 6 || s->body.data[at] != '\\' || s->body.data[at + 1] != 'u')
        return false;
    for (size_t i = at + 2; i < at + 6; i++) {
        unsigned digit;
        if (!hex_digit(s->body.data[i], &digit))
            return false;
        unit = unit << 4 | digit;
    }
    *ret = unit;
    return true;
}

/* Moves over the escape at s->at. YAJL turns a lone surrogate into a question mark, and a surrogate
 * before any other escape into some third character; so both are refused here. */
static bool scan_escape(struct scan *s)
{
    size_t at = s->at;
    unsigned unit, low;
    if (s->body.size - at < 2)
        return scan_fail(s, at, "the text is not closed");
    if (s->body.data[at + 1] != 'u') {
        s->at += 2;
        return true;
    }
    if (!escape_unit(s, at, &unit))
        return scan_fail(s, at, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return scan_fail(s, at, "\\u0000 is not allowed in texts");
    s->at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit > 0xdbff || !escape_unit(s, at + 6, &low) || low < 0xdc00 || low > 0xdfff)
        return scan_fail(s, at, "half of a surrogate pair");
    s->at += 6;
    return true;
}

/* Moves over the text whose opening quote is at s->at. */
static bool scan_text(struct scan *s)
{
    size_t start = s->at++;
    bool has_escape = false;
    while (s->at < s->body.size && s->body.data[s->at] != '"') {
        if ((unsigned char)s->body.data[s->at] < 0x20)
            return scan_fail(s, s->at, "a control character inside a text must be escaped");
        if (s->body.data[s->at] != '\\') {
            s->at++;
            continue;
        }
        has_escape = true;
        if (!scan_escape(s))
            return false;
    }
    if (s->at >= s->body.size)
        return scan_fail(s, start, "the text that starts here is not closed");
    if (has_escape && s->at - start > s->longest_escaped)
        s->longest_escaped = s->at - start;
    s->at++;
    return true;
}

static bool scan_bracket(struct scan *s, char c)
{
    bool opens = c == '{' || c == '[';
    if (opens && s->depth == LIMIT_JSON_DEPTH)
        return err_set(s->err, ERR_BAD_JSON,
                       "not acceptable JSON at byte %zu: nested deeper than %d", s->at,
                       LIMIT_JSON_DEPTH);
    if (!opens && s->depth == 0)
        return scan_fail(s, s->at, "nothing is open that could be closed");
    s->depth = opens ? s->depth + 1 : s->depth - 1;
    s->at++;
    if (s->depth == 0 && s->at < s->body.size)
        return scan_fail(s, s->at, "there is something after the end");
    return true;
}

enum { PLAIN, QUOTE, BRACKET, FORBIDDEN };
static const uint8_t byte_class[256] = {
    [0 ... 8] = FORBIDDEN, [11 ... 12] = FORBIDDEN, [14 ... 31] = FORBIDDEN,
    [127] = FORBIDDEN,     ['"'] = QUOTE,           ['{'] = BRACKET,
    ['}'] = BRACKET,       ['['] = BRACKET,         [']'] = BRACKET,
};

/* Afterwards every text is closed, the brackets balance (in number; YAJL looks at their kinds), and
 * the last byte closes the document: YAJL never meets the end of its input inside a token. */
static bool scan_document(struct scan *s)
{
    while (s->at < s->body.size) {
        char c = s->body.data[s->at];
        switch (byte_class[(unsigned char)c]) {
        case QUOTE:
            if (!scan_text(s))
                return false;
            break;
        case BRACKET:
            if (!scan_bracket(s, c))
                return false;
            break;
        case FORBIDDEN: return scan_fail(s, s->at, "a control character outside of texts");
        default: s->at++;
        }
    }
    return s->depth == 0 || scan_fail(s, s->body.size, "the document ends too early");
}

static bool check_utf8(struct text body, struct err *err)
{
    size_t at = 0;
    if (text_is_utf8(body))
        return true;
    while (at < body.size) {
        size_t size = 1;
        while (size <= 4 && at + size <= body.size &&
               !text_is_utf8((struct text){ body.data + at, size }))
            size++;
        if (size > 4 || at + size > body.size)
            break;
        at += size;
    }
    return err_set(err, ERR_BAD_JSON, "not valid JSON at byte %zu: this is not UTF-8", at);
}

static bool check_first(struct text body, struct err *err)
{
    size_t at = 0;
    while (at < body.size && memchr(" \t\r\n", body.data[at], 4) != NULL)
        at++;
    if (at == body.size)
        return err_set(err, ERR_BAD_JSON, "not valid JSON at byte %zu: nothing is there", at);
    if (body.data[at] != '{' && body.data[at] != '[')
        return err_set(err, ERR_BAD_JSON,
                       "not acceptable JSON at byte %zu: the document must start with { or [", at);
    return true;
}

/* ---- the parser's memory -------------------------------------------------------------------- */

struct parser_memory {
    char *block;
    size_t size, used;
    size_t last; /* offset of the newest piece, the only one that can grow */
};

/* The first pass has measured what is needed, so running out is a broken promise of this file. YAJL
 * itself does not survive a NULL. */
static void *parser_take(void *ctx, size_t size)
{
    struct parser_memory *m = ctx;
    size_t start = (m->used + 15) & ~(size_t)15;
    assert(start <= m->size && size <= m->size - start);
    m->last = start;
    m->used = start + size;
    return m->block + start;
}

static void *parser_resize(void *ctx, void *piece, size_t size)
{
    struct parser_memory *m = ctx;
    if (piece == NULL)
        return parser_take(ctx, size);
    assert(piece == m->block + m->last && size <= m->size - m->last);
    m->used = m->last + size;
    return piece;
}

static void parser_give(void *ctx, void *piece)
{
    (void)ctx;
    (void)piece; /* goes with the arena */
}

static bool parser_memory_init(struct parser_memory *m, struct arena *arena, size_t longest_escaped)
{
    size_t unescaped = 0;
    if (longest_escaped > 0)
        for (unescaped = UNESCAPED_FIRST; unescaped <= longest_escaped;)
            unescaped *= 2;
    *m = (struct parser_memory){ .size = PARSER_SIZE + unescaped };
    m->block = arena_take(arena, m->size);
    return m->block != NULL;
}

/* ---- the run -------------------------------------------------------------------------------- */

size_t json_run_start(const struct json_run *run)
{
    size_t at = run->last_end;
    while (at < run->body.size && memchr(" \t\r\n:,", run->body.data[at], 6) != NULL)
        at++;
    return at;
}

void json_run_passed(struct json_run *run)
{
    run->last_end = yajl_get_bytes_consumed(run->handle);
}

bool json_run_keep(struct json_run *run, const unsigned char *data, size_t size, struct text *ret)
{
    const char *bytes = (const char *)data;
    struct text view = { bytes, size };
    if (bytes >= run->body.data && bytes < run->body.data + run->body.size) {
        *ret = view;
        return true;
    }
    if (arena_copy(run->arena, view, ret))
        return true;
    run->failed = true;
    return err_set(run->err, ERR_MEMORY, "no memory for a text of %zu bytes", size);
}

/* "parse error: after key and value, ...\n" becomes what stands after the colon. */
static struct text tidy_sentence(const char *sentence)
{
    struct text rest = text_trim(text_from(sentence));
    struct text kind;
    if (text_find(rest, ':') < rest.size)
        text_cut(&rest, ':', &kind);
    return text_trim(rest);
}

static bool fail_syntax(struct json_run *run)
{
    unsigned char *sentence = yajl_get_error(run->handle, 0, NULL, 0);
    size_t consumed = yajl_get_bytes_consumed(run->handle);
    struct text what = tidy_sentence((const char *)sentence);
    return err_set(run->err, ERR_BAD_JSON, "not valid JSON at byte %zu: %.*s",
                   consumed > 0 ? consumed - 1 : 0, TEXT_ARG(what));
}

bool json_run(struct json_run *run, struct text body, struct arena *arena,
              const yajl_callbacks *callbacks, void *ctx, struct err *err)
{
    struct parser_memory memory;
    yajl_alloc_funcs functions = { parser_take, parser_resize, parser_give, &memory };
    struct scan scan = { .body = body, .err = err };
    yajl_status status;
    while (scan.body.size > 0 && memchr(" \t\r\n", body.data[scan.body.size - 1], 4) != NULL)
        scan.body.size--;
    if (!check_utf8(scan.body, err) || !check_first(scan.body, err) || !scan_document(&scan))
        return false;
    if (!parser_memory_init(&memory, arena, scan.longest_escaped))
        return err_set(err, ERR_MEMORY, "no memory to parse %zu bytes of JSON", body.size);

    *run = (struct json_run){ .body = scan.body, .arena = arena, .err = err };
    run->handle = yajl_alloc(callbacks, &functions, ctx);
    yajl_config(run->handle, yajl_dont_validate_strings, 1); /* done above, and better */
    status = yajl_parse(run->handle, (const unsigned char *)scan.body.data, scan.body.size);
    if (status == yajl_status_error)
        return fail_syntax(run);
    assert((status == yajl_status_client_canceled) == run->failed);
    return !run->failed;
}
