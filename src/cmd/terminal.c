/* SPDX-License-Identifier: Apache-2.0
 * terminal.c - see terminal.h. Widths follow Unicode's East Asian Width roughly: a table of the
 * wide and the empty blocks, so that no locale is needed. */
#include "cmd/terminal.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REMARK_MAX (64 * 1024)

struct terminal terminal_of(FILE *stream)
{
    struct terminal terminal = { .is_live = false };
    struct winsize size;
    const char *type = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    if (!isatty(fileno(stream)))
        return terminal;
    terminal.is_live = type && type[0] && strcmp(type, "dumb") != 0;
    terminal.has_colour = terminal.is_live && !(no_colour && no_colour[0]);
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0) {
        terminal.width = size.ws_col;
        terminal.height = size.ws_row;
    }
    return terminal;
}

/* The character that `t` begins with, of `size` bytes (1 to 4, well-formed). */
static uint32_t decode(struct text t, size_t size)
{
    static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t point = (uint8_t)t.data[0] & masks[size];
    for (size_t i = 1; i < size; i++)
        point = point << 6 | ((uint8_t)t.data[i] & 0x3f);
    return point;
}

struct range {
    uint32_t first, last;
};

static bool is_in(uint32_t point, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

/* Controls, line separators, and what reorders text on a terminal. */
static bool steers(uint32_t point)
{
    static const struct range ranges[] = {
        { 0, 0x1f }, { 0x7f, 0x9f }, { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 },
    };
    return is_in(point, ranges, sizeof ranges / sizeof ranges[0]);
}

static unsigned columns_of(uint32_t point)
{
    static const struct range empty[] = {
        { 0x300, 0x36f },   { 0x200b, 0x200d }, { 0x20d0, 0x20ff },
        { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff },
    };
    static const struct range wide[] = {
        { 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },   { 0xac00, 0xd7a3 },
        { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
        { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
    };
    if (point < 0x300)
        return 1;
    if (is_in(point, empty, sizeof empty / sizeof empty[0]))
        return 0;
    return is_in(point, wide, sizeof wide / sizeof wide[0]) ? 2 : 1;
}

void terminal_add(struct buffer *out, struct text t)
{
    while (t.size > 0) {
        size_t size = text_utf8_size(t);
        if (size > 0 && !steers(decode(t, size))) {
            buffer_add(out, (struct text){ t.data, size });
            t = text_skip(t, size);
            continue;
        }
        for (size_t left = size > 0 ? size : 1; left > 0; left--) {
            buffer_printf(out, "\\x%02X", (unsigned)(uint8_t)t.data[0]);
            t = text_skip(t, 1);
        }
    }
}

/* Walks over whole characters while they fit. */
static size_t walk(struct text t, unsigned columns_max, unsigned *ret_columns)
{
    unsigned columns = 0;
    size_t at = 0;
    while (at < t.size) {
        struct text rest = text_skip(t, at);
        size_t size = text_utf8_size(rest);
        unsigned more = size > 0 ? columns_of(decode(rest, size)) : 1;
        if (more > columns_max - columns)
            break;
        columns += more;
        at += size > 0 ? size : 1;
    }
    *ret_columns = columns;
    return at;
}

unsigned terminal_columns(struct text t)
{
    unsigned columns;
    walk(t, UINT32_MAX, &columns);
    return columns;
}

size_t terminal_fit(struct text t, unsigned columns)
{
    unsigned used;
    return walk(t, columns, &used);
}

__attribute__((format(printf, 2, 0))) static void remark_after(const char *start,
                                                               const char *format, va_list list)
{
    char *said = NULL;
    int size = vasprintf(&said, format, list);
    if (size < 0) {
        fputs("dides: no memory for an error message\n", stderr);
        return;
    }
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, REMARK_MAX);
    buffer_add(&line, text_from(start));
    terminal_add(&line, (struct text){ said, (size_t)size });
    buffer_add_byte(&line, '\n');
    free(said);
    fputs(line.failed ? "dides: an error message is too long to show\n" : buffer_c_string(&line),
          stderr);
}

void remark(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    remark_after("dides: ", format, list);
    va_end(list);
}

void remark_more(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    remark_after("", format, list);
    va_end(list);
}

bool terminal_write(FILE *stream, const struct buffer *out)
{
    if (out->failed) {
        remark("no memory for the output");
        return false;
    }
    fwrite(out->data, 1, out->size, stream); /* commands_run() looks for errors of the stream */
    return true;
}
