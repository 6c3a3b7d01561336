/* SPDX-License-Identifier: Apache-2.0
 * panel.h - a few lines at the foot of a terminal that are drawn anew while others scroll past
 * above them. Elsewhere there is no panel, and what scrolls carries its time. */
#ifndef DIDES_CMD_PANEL_H
#define DIDES_CMD_PANEL_H

#include "cmd/terminal.h"

enum panel_style {
    PANEL_PLAIN,
    PANEL_DIM,
    PANEL_STRONG,
    PANEL_GOOD,
    PANEL_BUSY,
    PANEL_BAD,
    PANEL_STYLE_COUNT
};

/* One part of a bar; parts are told apart by glyph where there is no colour. */
enum panel_glyph { PANEL_FULL, PANEL_HALF, PANEL_CROSS, PANEL_EMPTY, PANEL_GLYPH_COUNT };
struct panel_part {
    uint64_t count;
    enum panel_style style;
    enum panel_glyph glyph;
};

struct panel {
    FILE *stream; /* borrowed */
    struct terminal terminal;
    bool has_blocks;          /* the locale is UTF-8: bars of block characters */
    bool is_open;             /* the cursor is hidden */
    unsigned drawn_lines;     /* on the screen now */
    unsigned lines, column;   /* of the panel being built */
    struct buffer out, frame; /* frame: the panel as it was built last */
};

void panel_init(struct panel *panel, FILE *stream);
/* Takes the panel off the screen and shows the cursor; may be called again. */
void panel_close(struct panel *panel);
void panel_release(struct panel *panel);
bool panel_is_live(const struct panel *panel);

/* A line that stays: above the panel, or, where there is none, with `now_ms` in front. The text may
 * come from anywhere. */
void panel_say(struct panel *panel, int64_t now_ms, enum panel_style style, const char *text);

/* Building: begin, then texts, bars and line ends, then show. What does not fit is cut. Nothing
 * happens where there is no panel. */
void panel_begin(struct panel *panel);
__attribute__((format(printf, 3, 4))) void panel_add(struct panel *panel, enum panel_style style,
                                                     const char *format, ...);
/* Fills the line with blanks up to `column`. */
void panel_move(struct panel *panel, unsigned column);
/* `columns` wide, shared among the parts by their counts; a part that is not 0 has at least one. */
void panel_bar(struct panel *panel, unsigned columns, const struct panel_part *parts, size_t count);
void panel_end_line(struct panel *panel);
void panel_show(struct panel *panel);

/* How panel_bar() shares `columns`; for tests too. */
void panel_share(unsigned columns, const struct panel_part *parts, size_t count, unsigned *ret);

#endif
