/* SPDX-License-Identifier: Apache-2.0
 * table.h - aligned columns. Fill it cell by cell, row after row, then print it. */
#ifndef DIDES_CMD_TABLE_H
#define DIDES_CMD_TABLE_H

#include "cmd/terminal.h"

struct table_column {
    const char *title;
    bool is_right;     /* numbers end where the title ends */
    bool is_only_wide; /* shown by -o wide only; only appended ones, so that columns never move */
};

enum tint { TINT_NONE, TINT_GOOD, TINT_BUSY, TINT_BAD };
#define TABLE_COLUMNS_MAX 16

struct table_cell {
    size_t start, size; /* in `texts` */
    unsigned columns;
    enum tint tint;
};

struct table {
    const struct table_column *columns;
    unsigned column_count;
    bool is_wide, has_printed;
    struct buffer texts, cells; /* `cells` holds struct table_cell after struct table_cell */
    unsigned widths[TABLE_COLUMNS_MAX];
};

/* `columns` is borrowed. */
void table_init(struct table *table, const struct table_column *columns, unsigned count,
                bool is_wide);
void table_release(struct table *table);

/* The next cell; every column gets one, shown or not. The text is made safe to show. */
void table_cell(struct table *table, struct text t);
void table_cell_tinted(struct table *table, struct text t, enum tint tint);
__attribute__((format(printf, 2, 3))) void table_cell_printf(struct table *table,
                                                             const char *format, ...);

/* Appends title line (the first time only) and rows to `out`, cuts lines at the terminal's width,
 * and forgets the rows. Widths are kept, so that the next page of a list stands in line. */
void table_print(struct table *table, const struct terminal *terminal, struct buffer *out);

/* Appends `t` in its colour, if the terminal has any. */
void tint_add(struct buffer *out, const struct terminal *terminal, enum tint tint, struct text t);
/* Of the words that states and statuses have. */
enum tint tint_of(struct text word);

#endif
