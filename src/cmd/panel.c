/* SPDX-License-Identifier: Apache-2.0
 * panel.c - see panel.h. A frame is built as one text and written with one call, so that the
 * terminal never shows half of it. Lines are cut before they could wrap: a wrapped line would make
 * the count of lines to go back wrong. */
#include "cmd/panel.h"

#include "base/format.h"

#include <stdarg.h>

#define FRAME_MAX       (64 * 1024)
#define COLUMNS_UNKNOWN 80
#define LINES_UNKNOWN   24

static const char *const styles[PANEL_STYLE_COUNT] = {
    [PANEL_PLAIN] = "",        [PANEL_DIM] = "\x1b[2m",   [PANEL_STRONG] = "\x1b[1m",
    [PANEL_GOOD] = "\x1b[32m", [PANEL_BUSY] = "\x1b[36m", [PANEL_BAD] = "\x1b[31m",
};
#define STYLE_END   "\x1b[0m"
#define ERASE_BELOW "\x1b[J"
#define ERASE_RIGHT "\x1b[K"
#define CURSOR_HIDE "\x1b[?25l"
#define CURSOR_SHOW "\x1b[?25h"
#define LINE_UP     "\x1b[%uA\r"

static const char *const blocks[PANEL_GLYPH_COUNT] = { "\u2588", "\u2592", "\u2573", "\u2591" };
static const char *const letters[PANEL_GLYPH_COUNT] = { "#", "=", "x", "." };

static bool locale_is_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

void panel_init(struct panel *panel, FILE *stream)
{
    *panel = (struct panel){ .stream = stream, .terminal = terminal_of(stream) };
    panel->has_blocks = locale_is_utf8();
    buffer_init(&panel->out, &memory_heap, FRAME_MAX);
    buffer_init(&panel->frame, &memory_heap, FRAME_MAX);
}

void panel_release(struct panel *panel)
{
    panel_close(panel);
    buffer_release(&panel->out);
    buffer_release(&panel->frame);
}

bool panel_is_live(const struct panel *panel)
{
    return panel->terminal.is_live;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void flush(struct panel *panel)
{
    terminal_write(panel->stream, &panel->out);
    fflush(panel->stream);
    buffer_clear(&panel->out);
}

static void take_off(struct panel *panel)
{
    if (panel->drawn_lines > 0)
        buffer_printf(&panel->out, LINE_UP ERASE_BELOW, panel->drawn_lines);
    panel->drawn_lines = 0;
}

static void put_on(struct panel *panel)
{
    if (!panel->is_open)
        buffer_add(&panel->out, TEXT(CURSOR_HIDE));
    panel->is_open = true;
    buffer_add(&panel->out, buffer_text(&panel->frame));
    panel->drawn_lines = panel->lines;
}

void panel_close(struct panel *panel)
{
    if (!panel->is_open)
        return;
    take_off(panel);
    buffer_add(&panel->out, TEXT(CURSOR_SHOW));
    panel->is_open = false;
    panel->lines = 0;
    buffer_clear(&panel->frame);
    flush(panel);
}

static void begin_style(struct panel *panel, struct buffer *out, enum panel_style style)
{
    if (panel->terminal.has_colour && styles[style][0])
        buffer_add(out, text_from(styles[style]));
}

static void end_style(struct panel *panel, struct buffer *out, enum panel_style style)
{
    if (panel->terminal.has_colour && styles[style][0])
        buffer_add(out, TEXT(STYLE_END));
}

void panel_say(struct panel *panel, int64_t now_ms, enum panel_style style, const char *text)
{
    take_off(panel);
    if (!panel_is_live(panel)) {
        format_time(&panel->out, now_ms);
        buffer_add(&panel->out, TEXT("  "));
    }
    begin_style(panel, &panel->out, style);
    terminal_add(&panel->out, text_from(text));
    end_style(panel, &panel->out, style);
    buffer_add_byte(&panel->out, '\n');
    if (panel->is_open)
        put_on(panel);
    flush(panel);
}

/* ---- building ------------------------------------------------------------------------------- */

static unsigned columns_left(const struct panel *panel)
{
    unsigned width = panel->terminal.width ? panel->terminal.width : COLUMNS_UNKNOWN;
    /* The last column stays free: writing there makes some terminals wrap. */
    return width - 1 > panel->column ? width - 1 - panel->column : 0;
}

static bool has_room_for_line(const struct panel *panel)
{
    unsigned height = panel->terminal.height ? panel->terminal.height : LINES_UNKNOWN;
    return panel->lines + 1 < height;
}

static bool is_building(const struct panel *panel)
{
    return panel_is_live(panel) && has_room_for_line(panel);
}

void panel_begin(struct panel *panel)
{
    if (panel_is_live(panel))
        panel->terminal = terminal_of(panel->stream);
    take_off(panel);
    buffer_clear(&panel->frame);
    panel->lines = panel->column = 0;
}

/* `text` is safe to show. */
static void add_shown(struct panel *panel, enum panel_style style, struct text text)
{
    size_t size = terminal_fit(text, columns_left(panel));
    struct text part = { text.data, size };
    if (size == 0)
        return;
    begin_style(panel, &panel->frame, style);
    buffer_add(&panel->frame, part);
    end_style(panel, &panel->frame, style);
    panel->column += terminal_columns(part);
}

void panel_add(struct panel *panel, enum panel_style style, const char *format, ...)
{
    char said[1024];
    va_list list;
    struct buffer safe;
    if (!is_building(panel))
        return;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    buffer_init(&safe, &memory_heap, FRAME_MAX);
    terminal_add(&safe, text_from(said));
    if (!safe.failed)
        add_shown(panel, style, buffer_text(&safe));
    buffer_release(&safe);
}

void panel_move(struct panel *panel, unsigned column)
{
    while (is_building(panel) && panel->column < column && columns_left(panel) > 0)
        add_shown(panel, PANEL_PLAIN, TEXT(" "));
}

void panel_end_line(struct panel *panel)
{
    if (!is_building(panel))
        return;
    buffer_add(&panel->frame, TEXT(ERASE_RIGHT "\n"));
    panel->lines++;
    panel->column = 0;
}

void panel_show(struct panel *panel)
{
    if (!panel_is_live(panel))
        return;
    if (panel->column > 0)
        panel_end_line(panel);
    if (panel->frame.failed) {
        buffer_clear(&panel->frame);
        panel->lines = 0;
    }
    put_on(panel);
    flush(panel);
}

/* ---- bars ----------------------------------------------------------------------------------- */

static uint64_t sum_of(const struct panel_part *parts, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += parts[i].count;
    return sum;
}

static size_t widest(const unsigned *shares, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (shares[i] > shares[best])
            best = i;
    return best;
}

void panel_share(unsigned columns, const struct panel_part *parts, size_t count, unsigned *ret)
{
    uint64_t sum = sum_of(parts, count);
    unsigned given = 0;
    for (size_t i = 0; i < count; i++) {
        ret[i] = sum ? (unsigned)(parts[i].count * columns / sum) : 0;
        if (ret[i] == 0 && parts[i].count > 0)
            ret[i] = 1;
        given += ret[i];
    }
    while (sum > 0 && given < columns) {
        ret[widest(ret, count)]++;
        given++;
    }
    while (given > columns) {
        ret[widest(ret, count)]--;
        given--;
    }
}

#define PARTS_MAX 8

void panel_bar(struct panel *panel, unsigned columns, const struct panel_part *parts, size_t count)
{
    unsigned shares[PARTS_MAX];
    const char *const *glyphs = panel->has_blocks ? blocks : letters;
    if (!is_building(panel) || count > PARTS_MAX)
        return;
    panel_share(columns, parts, count, shares);
    for (size_t i = 0; i < count; i++) {
        struct text glyph = text_from(glyphs[parts[i].glyph]);
        if (shares[i] == 0)
            continue;
        begin_style(panel, &panel->frame, parts[i].style);
        for (unsigned j = 0; j < shares[i] && columns_left(panel) > 0; j++) {
            buffer_add(&panel->frame, glyph);
            panel->column++;
        }
        end_style(panel, &panel->frame, parts[i].style);
    }
}
