/* SPDX-License-Identifier: Apache-2.0
 * terminal.h - where output goes, how wide it is, and how to show texts that somebody else wrote:
 * no byte of them may steer the terminal. */
#ifndef DIDES_CMD_TERMINAL_H
#define DIDES_CMD_TERMINAL_H

#include "base/buffer.h"

#include <stdio.h>

struct terminal {
    bool is_live;    /* a terminal that understands cursor movement: redraw in place */
    bool has_colour; /* live, and NO_COLOR is not set */
    unsigned width;  /* columns; 0: no limit */
    unsigned height; /* lines; 0: no limit */
};

/* What `stream` is now; ask again after a resize. */
struct terminal terminal_of(FILE *stream);

/* Appends `t` for showing: control characters (C0, C1, DEL), bytes that are no UTF-8, and
 * characters that turn the direction of text become \xNN, byte by byte. */
void terminal_add(struct buffer *out, struct text t);

/* How many columns `t` takes once shown. `t` has been through terminal_add(). */
unsigned terminal_columns(struct text t);
/* How many bytes of `t` fit into `columns`: whole characters only. */
size_t terminal_fit(struct text t, unsigned columns);

/* One line on stderr: "dides: ...", made safe like the rest. */
__attribute__((format(printf, 1, 2))) void remark(const char *format, ...);
/* The same without the name in front. */
__attribute__((format(printf, 1, 2))) void remark_more(const char *format, ...);

/* Writes what was built; false: there was no memory to build it, which was remarked. */
bool terminal_write(FILE *stream, const struct buffer *out);

#endif
