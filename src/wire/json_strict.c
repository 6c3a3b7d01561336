/* SPDX-License-Identifier: Apache-2.0
 * json_strict.c - see json_strict.h. `end` is the place of the parser: every function here begins
 * at it and moves it on. */
#include "wire/json_strict.h"

#include "base/limits.h"

static bool fail(const struct json_run *run, size_t at, const char *what)
{
    return err_set(run->err, ERR_BAD_JSON, "not valid JSON at byte %zu: %s", at, what);
}

/* The byte at the place, or 0, which stands nowhere in JSON. */
static unsigned char peek(const struct json_run *run)
{
    return run->end < run->body.size ? (unsigned char)run->body.data[run->end] : 0;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* Bytes that end a plain piece of a text. */
static const bool is_special[256] = { [0 ... 31] = true, ['"'] = true, ['\\'] = true };

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

/* The four digits of a \u that stands at `at`. */
static bool escape_unit(const struct json_run *run, size_t at, unsigned *ret)
{
    unsigned unit = 0;
    const char *bytes = run->body.data;
    if (run->body.size < 6 || at > run->body.size - 6 || bytes[at] != '\\' || bytes[at + 1] != 'u')
        return false;
    for (size_t i = at + 2; i < at + 6; i++) {
        unsigned digit;
        if (!hex_digit(bytes[i], &digit))
            return false;
        unit = unit << 4 | digit;
    }
    *ret = unit;
    return true;
}

/* A code point as UTF-8; returns its size. */
static size_t put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    out[0] = (char)(leads[size] | code);
    return size;
}

/* A \u escape, or two that are one character. */
static bool take_unicode(struct json_run *run, char *out, size_t *used)
{
    unsigned unit, low = 0;
    size_t at = run->end;
    if (!escape_unit(run, at, &unit))
        return fail(run, at, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return fail(run, at, "\\u0000 is not allowed in texts");
    run->end += 6;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        if (unit > 0xdbff || !escape_unit(run, at + 6, &low) || low < 0xdc00 || low > 0xdfff)
            return fail(run, at, "half of a surrogate pair");
        run->end += 6;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    *used += put_utf8(out + *used, unit);
    return true;
}

static bool take_escape(struct json_run *run, char *out, size_t *used)
{
    static const char meant[256] = { ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                     ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t' };
    size_t next = run->end + 1;
    unsigned char c = next < run->body.size ? (unsigned char)run->body.data[next] : 0;
    if (c == 'u')
        return take_unicode(run, out, used);
    if (meant[c] == '\0')
        return fail(run, run->end, "there is no such escape in JSON");
    out[(*used)++] = meant[c];
    run->end += 2;
    return true;
}

/* Whether one of eight bytes is special, found in all of them at once: taking n off a byte below n
 * sets its top bit. The borrow may spoil a byte above it, but then the answer is yes already. */
static bool has_special(const char *bytes)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    return ((word - ones * ' ') | (quote - ones) | (backslash - ones)) & tops & ~word;
}

static void skip_plain(struct json_run *run)
{
    const char *bytes = run->body.data;
    size_t at = run->end, size = run->body.size;
    while (size - at >= 8 && !has_special(bytes + at))
        at += 8;
    while (at < size && !is_special[(unsigned char)bytes[at]])
        at++;
    run->end = at;
}

/* At what ends a plain piece. */
static bool is_closed(const struct json_run *run)
{
    if (run->end >= run->body.size)
        return fail(run, run->start, "the text that starts here is not closed");
    unsigned char c = peek(run);
    return c == '"' || c == '\\' ||
           fail(run, run->end, "a control character inside a text must be escaped");
}

/* Goes on at the first backslash of a text. What escapes mean is never longer than they are, so
 * what is left of the document is room enough; what is too much is given back. */
static bool take_escaped(struct json_run *run, struct text *ret)
{
    size_t first = run->start + 1, used = run->end - first;
    const char *quote = run->body.data + run->end;
    do
        quote = memchr(quote + 1, '"', (size_t)(run->body.data + run->body.size - quote - 1));
    while (quote && quote[-1] == '\\');
    size_t most = quote ? (size_t)(quote - run->body.data) - first : run->body.size - first;
    char *out = arena_take(run->arena, most);
    if (out == NULL)
        return err_set(run->err, ERR_MEMORY, "no memory for a text of %zu bytes", most);
    memcpy(out, run->body.data + first, used);
    while (peek(run) != '"') {
        size_t at = run->end;
        if (peek(run) == '\\') {
            if (!take_escape(run, out, &used))
                return false;
            continue;
        }
        skip_plain(run);
        if (!is_closed(run))
            return false;
        memcpy(out + used, run->body.data + at, run->end - at);
        used += run->end - at;
    }
    *ret = (struct text){ out, used };
    return true;
}

/* The text whose opening quote is at the place. */
static bool take_text(struct json_run *run, struct text *ret)
{
    run->start = run->end++;
    skip_plain(run);
    if (!is_closed(run))
        return false;
    if (peek(run) == '"')
        *ret = (struct text){ run->body.data + run->start + 1, run->end - run->start - 1 };
    else if (!take_escaped(run, ret))
        return false;
    run->end++;
    return true;
}

/* ---- other scalars -------------------------------------------------------------------------- */

/* At least one. */
static bool skip_digits(struct json_run *run)
{
    size_t first = run->end;
    while (is_digit(peek(run)))
        run->end++;
    return run->end > first || fail(run, run->end, "a digit is missing in this number");
}

static bool skip_number(struct json_run *run)
{
    if (peek(run) == '-')
        run->end++;
    if (peek(run) == '0')
        run->end++; /* and no digit after it */
    else if (!skip_digits(run))
        return false;
    if (peek(run) == '.') {
        run->end++;
        if (!skip_digits(run))
            return false;
    }
    if (peek(run) != 'e' && peek(run) != 'E')
        return true;
    run->end++;
    if (peek(run) == '+' || peek(run) == '-')
        run->end++;
    return skip_digits(run);
}

static bool number(struct json_run *run)
{
    if (!skip_number(run))
        return false;
    struct text t = { run->body.data + run->start, run->end - run->start };
    return run->events->number(run->ctx, t);
}

static bool text(struct json_run *run)
{
    struct text t;
    return take_text(run, &t) && run->events->text(run->ctx, t);
}

static bool skip_word(struct json_run *run, struct text word)
{
    struct text rest = text_skip(run->body, run->end);
    if (!text_starts_with(rest, word))
        return fail(run, run->end, "this is no value of JSON");
    run->end += word.size;
    return true;
}

/* ---- structure ------------------------------------------------------------------------------ */

static bool in_object(const struct json_run *run)
{
    return run->objects >> run->depth & 1;
}

static bool open(struct json_run *run, bool is_object)
{
    if (run->depth == LIMIT_JSON_DEPTH)
        return err_set(run->err, ERR_BAD_JSON,
                       "not acceptable JSON at byte %zu: nested deeper than %d", run->end,
                       LIMIT_JSON_DEPTH);
    run->end++;
    run->depth++;
    run->objects &= ~(1u << run->depth);
    run->objects |= (uint32_t)is_object << run->depth;
    return run->events->open(run->ctx, is_object);
}
_Static_assert(LIMIT_JSON_DEPTH < 32, "a bit per level");

static bool close(struct json_run *run)
{
    run->start = run->end++;
    run->depth--;
    if (run->depth == 0 && run->end < run->body.size) /* told before what the document lacks */
        return fail(run, run->end, "there is something after the end");
    return run->events->close(run->ctx);
}

/* One value, or the beginning of an object or list. */
static bool value(struct json_run *run)
{
    run->start = run->end;
    switch (peek(run)) {
    case '"': return text(run);
    case '{': return open(run, true);
    case '[': return open(run, false);
    case 't': return skip_word(run, TEXT("true")) && run->events->truth(run->ctx, true);
    case 'f': return skip_word(run, TEXT("false")) && run->events->truth(run->ctx, false);
    case 'n': return skip_word(run, TEXT("null")) && run->events->null(run->ctx);
    case '-':
    case '0' ... '9': return number(run);
    default: return fail(run, run->end, "this is no value of JSON");
    }
}

static bool key(struct json_run *run)
{
    struct text t;
    if (peek(run) != '"')
        return fail(run, run->end, "here must be a key, in quotes");
    return take_text(run, &t) && run->events->key(run->ctx, t);
}

/* To the next byte that means something. There is one: who asks is inside of something. */
static bool skip_blanks(struct json_run *run)
{
    for (;; run->end++) {
        if (run->end >= run->body.size)
            return fail(run, run->body.size, "the document ends too early");
        unsigned char c = peek(run);
        if (c > ' ' && c != 0x7f)
            return true;
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            return fail(run, run->end, "a control character outside of texts");
    }
}

/* A member of the object or an entry of the list that is open. */
static bool item(struct json_run *run)
{
    if (!in_object(run))
        return value(run);
    if (!key(run) || !skip_blanks(run))
        return false;
    if (peek(run) != ':')
        return fail(run, run->end, "object key and value must be separated by a colon");
    run->end++;
    return skip_blanks(run) && value(run);
}

/* Behind a value, or behind the bracket that `is_empty` tells of: the next item, or the end. */
static bool go_on(struct json_run *run, bool is_empty)
{
    char end = in_object(run) ? '}' : ']';
    if (!skip_blanks(run))
        return false;
    if (peek(run) == end)
        return close(run);
    if (is_empty)
        return item(run);
    if (peek(run) != ',')
        return fail(run, run->end,
                    end == '}' ? "after a value there must be a comma or }"
                               : "after a value there must be a comma or ]");
    run->end++;
    return skip_blanks(run) && item(run);
}

static bool run_document(struct json_run *run)
{
    bool is_empty = true;
    if (!value(run))
        return false;
    while (run->depth > 0) {
        unsigned before = run->depth;
        if (!go_on(run, is_empty))
            return false;
        is_empty = run->depth > before;
    }
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool check_utf8(struct text body, struct err *err)
{
    size_t at = 0, size;
    if (text_is_utf8(body))
        return true;
    while ((size = text_utf8_size(text_skip(body, at))) > 0)
        at += size;
    return err_set(err, ERR_BAD_JSON, "not valid JSON at byte %zu: this is not UTF-8", at);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool check_first(struct json_run *run)
{
    while (run->end < run->body.size && is_blank(run->body.data[run->end]))
        run->end++;
    if (run->end == run->body.size)
        return fail(run, run->end, "nothing is there");
    if (peek(run) != '{' && peek(run) != '[')
        return err_set(run->err, ERR_BAD_JSON,
                       "not acceptable JSON at byte %zu: the document must start with { or [",
                       run->end);
    return true;
}

bool json_run(struct json_run *run, struct text body, struct arena *arena,
              const struct json_events *events, void *ctx, struct err *err)
{
    while (body.size > 0 && is_blank(body.data[body.size - 1]))
        body.size--;
    *run =
        (struct json_run){ .body = body, .arena = arena, .err = err, .events = events, .ctx = ctx };
    return check_utf8(body, err) && check_first(run) && run_document(run);
}
