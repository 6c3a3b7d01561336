/* SPDX-License-Identifier: Apache-2.0
 * table.c - see table.h. */
#include "cmd/table.h"

#include "base/cleanup.h"

#include <assert.h>
#include <stdarg.h>

#define TABLE_BYTES_MAX ((size_t)64 << 20)
#define GAP             2 /* blanks between columns */

void table_init(struct table *table, const struct table_column *columns, unsigned count,
                bool is_wide)
{
    assert(count <= TABLE_COLUMNS_MAX);
    *table = (struct table){ .columns = columns, .column_count = count, .is_wide = is_wide };
    buffer_init(&table->texts, &memory_heap, TABLE_BYTES_MAX);
    buffer_init(&table->cells, &memory_heap, TABLE_BYTES_MAX);
    for (unsigned i = 0; i < count; i++)
        table->widths[i] = (unsigned)strlen(columns[i].title);
}

void table_release(struct table *table)
{
    buffer_release(&table->texts);
    buffer_release(&table->cells);
}

static size_t cell_count(const struct table *table)
{
    return table->cells.size / sizeof(struct table_cell);
}

void table_cell_tinted(struct table *table, struct text t, enum tint tint)
{
    struct table_cell cell = { .start = table->texts.size, .tint = tint };
    size_t column = cell_count(table) % table->column_count;
    terminal_add(&table->texts, t.size > 0 ? t : TEXT("-"));
    if (table->texts.failed)
        return;
    cell.size = table->texts.size - cell.start;
    cell.columns = terminal_columns(text_skip(buffer_text(&table->texts), cell.start));
    if (cell.columns > table->widths[column])
        table->widths[column] = cell.columns;
    buffer_add(&table->cells, (struct text){ (const char *)&cell, sizeof cell });
}

void table_cell(struct table *table, struct text t)
{
    table_cell_tinted(table, t, TINT_NONE);
}

void table_cell_printf(struct table *table, const char *format, ...)
{
    char *said = NULL;
    va_list list;
    va_start(list, format);
    int size = vasprintf(&said, format, list);
    va_end(list);
    if (size < 0) {
        table->texts.failed = true;
        return;
    }
    table_cell(table, (struct text){ said, (size_t)size });
    free(said);
}

void tint_add(struct buffer *out, const struct terminal *terminal, enum tint tint, struct text t)
{
    static const char *const starts[] = { "", "\033[32m", "\033[33m", "\033[31m" };
    bool is_tinted = terminal->has_colour && tint != TINT_NONE;
    buffer_add(out, text_from(is_tinted ? starts[tint] : ""));
    buffer_add(out, t);
    buffer_add(out, text_from(is_tinted ? "\033[0m" : ""));
}

enum tint tint_of(struct text word)
{
    static const struct {
        const char *word;
        enum tint tint;
    } rows[] = {
        { "COMPLETED", TINT_GOOD }, { "HEALTHY", TINT_GOOD },     { "RUNNING", TINT_BUSY },
        { "PAUSED", TINT_BUSY },    { "DEGRADED", TINT_BUSY },    { "FAILED", TINT_BAD },
        { "failed", TINT_BAD },     { "in_progress", TINT_BUSY }, { "offline", TINT_BAD },
        { "passed", TINT_GOOD },    { "running", TINT_BUSY },     { "soaking", TINT_BUSY },
        { "gated", TINT_BUSY },     { "paused", TINT_BUSY },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (text_equal(word, text_from(rows[i].word)))
            return rows[i].tint;
    return TINT_NONE;
}

/* A line under way: what was written, and what is still to come before the next text. */
struct line {
    struct buffer *out;
    const struct terminal *terminal;
    unsigned at;    /* columns written */
    unsigned blank; /* blanks owed; never written at the end of a line */
};

static void put(struct line *line, struct text t, unsigned columns, enum tint tint)
{
    unsigned width = line->terminal->width > 0 ? line->terminal->width : UINT32_MAX;
    if (line->at + line->blank >= width)
        return;
    for (; line->blank > 0; line->blank--, line->at++)
        buffer_add_byte(line->out, ' ');
    if (columns > width - line->at) {
        t.size = terminal_fit(t, width - line->at);
        columns = width - line->at;
    }
    tint_add(line->out, line->terminal, tint, t);
    line->at += columns;
}

static void put_cell(const struct table *table, struct line *line, unsigned column, struct text t,
                     unsigned columns, enum tint tint)
{
    unsigned rest = table->widths[column] - columns;
    if (table->columns[column].is_only_wide && !table->is_wide)
        return;
    if (line->at > 0)
        line->blank += GAP;
    if (table->columns[column].is_right)
        line->blank += rest;
    put(line, t, columns, tint);
    if (!table->columns[column].is_right)
        line->blank += rest;
}

void table_print(struct table *table, const struct terminal *terminal, struct buffer *out)
{
    const struct table_cell *cells = (const struct table_cell *)(const void *)table->cells.data;
    size_t count = cell_count(table);
    if (!table->has_printed) {
        struct line line = { .out = out, .terminal = terminal };
        for (unsigned i = 0; i < table->column_count; i++) {
            struct text title = text_from(table->columns[i].title);
            put_cell(table, &line, i, title, (unsigned)title.size, TINT_NONE);
        }
        buffer_add_byte(out, '\n');
    }
    table->has_printed = true;
    for (size_t i = 0; i < count && !table->texts.failed;) {
        struct line line = { .out = out, .terminal = terminal };
        for (unsigned column = 0; column < table->column_count && i < count; column++, i++) {
            struct text t = { table->texts.data + cells[i].start, cells[i].size };
            put_cell(table, &line, column, t, cells[i].columns, cells[i].tint);
        }
        buffer_add_byte(out, '\n');
    }
    if (table->texts.failed || table->cells.failed)
        out->failed = true;
    buffer_clear(&table->texts);
    buffer_clear(&table->cells);
}
