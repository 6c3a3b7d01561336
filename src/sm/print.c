/* SPDX-License-Identifier: Apache-2.0
 * print.c - a machine as a mermaid diagram, as Graphviz, as JSON and as a table for people.
 * All of them read the rows in table order and the words in list order, so that a changed line
 * in a printed file is a changed line in the machine. */
#include "sm.h"

#include <stdio.h>
#include <string.h>

struct out {
    const struct sm_machine *machine;
    sm_print_fn *print;
    void *ctx;
};

static void put_bytes(struct out *out, const char *text, size_t size)
{
    if (size > 0)
        out->print(out->ctx, text, size);
}

static void put(struct out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static bool is_final(const struct sm_machine *machine, unsigned state)
{
    return state < 64 && (machine->final >> state & 1) != 0;
}

static bool has_effect(const struct sm_row *row, unsigned effect)
{
    return effect < 32 && (row->then >> effect & 1) != 0;
}

/* Guard 0 has a word only in machines with a list of guards. */
static const char *guard_word(const struct sm_machine *machine, const struct sm_row *row)
{
    if (row->when == 0 && machine->guards.count == 0)
        return "always";
    return sm_word_at(&machine->guards, row->when);
}

static void put_effects(struct out *out, const struct sm_row *row, const char *before)
{
    const char *separator = before;
    for (unsigned i = 0; i < out->machine->effects.count; i++) {
        if (!has_effect(row, i))
            continue;
        put(out, separator);
        put(out, sm_word_at(&out->machine->effects, i));
        separator = ", ";
    }
}

/* "event (stay) [guard] / effect, effect", the same in both kinds of diagram. */
static void put_label(struct out *out, const struct sm_row *row)
{
    put(out, sm_word_at(&out->machine->events, row->on));
    if (row->to == SM_STAY)
        put(out, " (stay)");
    if (row->when != 0) {
        put(out, " [");
        put(out, guard_word(out->machine, row));
        put(out, "]");
    }
    put_effects(out, row, " / ");
}

/* ---- mermaid -------------------------------------------------------------------------------- */

/* Words with a meaning of their own where mermaid expects the name of a state. */
static bool is_mermaid_keyword(const char *word)
{
    static const char *const keywords[] = {
        "accdescr", "acctitle",  "as",    "class", "classdef",     "click",
        "default",  "direction", "end",   "fork",  "hide",         "href",
        "join",     "note",      "scale", "state", "statediagram", "style",
    };
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(word, keywords[i]) == 0)
            return true;
    }
    return false;
}

static bool is_mermaid_id(const char *word)
{
    bool is_letter = (word[0] >= 'a' && word[0] <= 'z') || (word[0] >= 'A' && word[0] <= 'Z');
    return is_letter && strncmp(word, "S_", 2) != 0 && !strchr(word, '-') &&
           !is_mermaid_keyword(word);
}

/* An alias meets no other state's name, because what begins like one has an alias too. */
static void put_mermaid_id(struct out *out, const char *word)
{
    if (is_mermaid_id(word)) {
        put(out, word);
        return;
    }
    put(out, "S_");
    for (; *word; word++)
        put_bytes(out, *word == '-' ? "X" : word, 1);
}

static void put_mermaid_aliases(struct out *out)
{
    for (unsigned i = 0; i < out->machine->states.count; i++) {
        const char *word = sm_word_at(&out->machine->states, i);
        if (is_mermaid_id(word))
            continue;
        put(out, "    state \"");
        put(out, word);
        put(out, "\" as ");
        put_mermaid_id(out, word);
        put(out, "\n");
    }
}

static void put_mermaid_row(struct out *out, const struct sm_row *row)
{
    const struct sm_words *states = &out->machine->states;
    put(out, "    ");
    put_mermaid_id(out, sm_word_at(states, row->from));
    put(out, " --> ");
    put_mermaid_id(out, sm_word_at(states, sm_target(row, row->from)));
    put(out, " : ");
    put_label(out, row);
    put(out, "\n");
}

void sm_mermaid(const struct sm_machine *machine, sm_print_fn *print, void *ctx)
{
    struct out out = { machine, print, ctx };
    put(&out, "stateDiagram-v2\n");
    put_mermaid_aliases(&out);
    put(&out, "    [*] --> ");
    put_mermaid_id(&out, sm_word_at(&machine->states, machine->initial));
    put(&out, "\n");
    for (size_t i = 0; i < machine->row_count; i++) {
        if (machine->rows[i].to != SM_REFUSE)
            put_mermaid_row(&out, &machine->rows[i]);
    }
    for (unsigned i = 0; i < machine->states.count; i++) {
        if (!is_final(machine, i))
            continue;
        put(&out, "    ");
        put_mermaid_id(&out, sm_word_at(&machine->states, i));
        put(&out, " --> [*]\n");
    }
}

/* ---- DOT and JSON share their quoting ------------------------------------------------------- */

/* Bytes from 0x80 on pass: texts are UTF-8. */
static void put_escaped(struct out *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        char code[8];
        if (byte == '"' || byte == '\\') {
            put(out, "\\");
            put_bytes(out, text, 1);
        } else if (byte < 0x20 || byte == 0x7f) {
            snprintf(code, sizeof code, "\\u%04x", (unsigned)byte);
            put(out, code);
        } else {
            put_bytes(out, text, 1);
        }
    }
}

static void put_quoted(struct out *out, const char *text)
{
    put(out, "\"");
    put_escaped(out, text);
    put(out, "\"");
}

/* ---- DOT ------------------------------------------------------------------------------------ */

static void put_dot_state(struct out *out, unsigned state)
{
    const struct sm_words *states = &out->machine->states;
    put(out, "    ");
    put_quoted(out, sm_word_at(states, state));
    put(out, " [tooltip=");
    put_quoted(out, text_or_empty(states->list[state].meaning));
    put(out, is_final(out->machine, state) ? ", peripheries=2];\n" : "];\n");
}

static void put_dot_row(struct out *out, const struct sm_row *row)
{
    const struct sm_words *states = &out->machine->states;
    put(out, "    ");
    put_quoted(out, sm_word_at(states, row->from));
    put(out, " -> ");
    put_quoted(out, sm_word_at(states, sm_target(row, row->from)));
    put(out, " [label=\"");
    put_label(out, row);
    put(out, "\"];\n");
}

/* The start is drawn as a point called "[*]", which no state can be called. */
void sm_dot(const struct sm_machine *machine, sm_print_fn *print, void *ctx)
{
    struct out out = { machine, print, ctx };
    put(&out, "digraph ");
    put_quoted(&out, text_or_empty(machine->name));
    put(&out, " {\n    rankdir=LR;\n    node [shape=box, style=rounded];\n"
              "    \"[*]\" [shape=point];\n");
    for (unsigned i = 0; i < machine->states.count; i++)
        put_dot_state(&out, i);
    put(&out, "    \"[*]\" -> ");
    put_quoted(&out, sm_word_at(&machine->states, machine->initial));
    put(&out, ";\n");
    for (size_t i = 0; i < machine->row_count; i++) {
        if (machine->rows[i].to != SM_REFUSE)
            put_dot_row(&out, &machine->rows[i]);
    }
    put(&out, "}\n");
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void put_json_field(struct out *out, const char *key, const char *value)
{
    put_quoted(out, key);
    put(out, ":");
    put_quoted(out, value);
}

static void put_json_words(struct out *out, const char *key, const struct sm_words *words)
{
    put(out, ",");
    put_quoted(out, key);
    put(out, ":[");
    for (unsigned i = 0; i < words->count; i++) {
        put(out, i > 0 ? ",{" : "{");
        put_json_field(out, "word", sm_word_at(words, i));
        put(out, ",");
        put_json_field(out, "meaning", text_or_empty(words->list[i].meaning));
        put(out, "}");
    }
    put(out, "]");
}

static void put_json_final(struct out *out)
{
    const char *separator = "";
    put(out, ",\"final\":[");
    for (unsigned i = 0; i < out->machine->states.count; i++) {
        if (!is_final(out->machine, i))
            continue;
        put(out, separator);
        put_quoted(out, sm_word_at(&out->machine->states, i));
        separator = ",";
    }
    put(out, "]");
}

static void put_json_effects(struct out *out, const struct sm_row *row)
{
    const char *separator = "";
    put(out, ",\"then\":[");
    for (unsigned i = 0; i < out->machine->effects.count; i++) {
        if (!has_effect(row, i))
            continue;
        put(out, separator);
        put_quoted(out, sm_word_at(&out->machine->effects, i));
        separator = ",";
    }
    put(out, "]");
}

static void put_json_row(struct out *out, const struct sm_row *row)
{
    put(out, "{");
    put_json_field(out, "from", sm_word_at(&out->machine->states, row->from));
    put(out, ",");
    put_json_field(out, "on", sm_word_at(&out->machine->events, row->on));
    put(out, ",");
    put_json_field(out, "when", guard_word(out->machine, row));
    put(out, ",");
    put_json_field(out, "to", sm_target_word(out->machine, row));
    put_json_effects(out, row);
    put(out, "}");
}

void sm_json(const struct sm_machine *machine, sm_print_fn *print, void *ctx)
{
    struct out out = { machine, print, ctx };
    put(&out, "{");
    put_json_field(&out, "name", text_or_empty(machine->name));
    put(&out, ",");
    put_json_field(&out, "meaning", text_or_empty(machine->meaning));
    put(&out, ",");
    put_json_field(&out, "initial", sm_word_at(&machine->states, machine->initial));
    put_json_final(&out);
    put_json_words(&out, "states", &machine->states);
    put_json_words(&out, "events", &machine->events);
    put_json_words(&out, "guards", &machine->guards);
    put_json_words(&out, "effects", &machine->effects);
    put(&out, ",\"rows\":[");
    for (size_t i = 0; i < machine->row_count; i++) {
        put(&out, i > 0 ? "," : "");
        put_json_row(&out, &machine->rows[i]);
    }
    put(&out, "]}");
}

/* ---- the table for people ------------------------------------------------------------------- */

enum column { COLUMN_FROM, COLUMN_ON, COLUMN_WHEN, COLUMN_TO, COLUMN_COUNT };

static const char *const column_titles[COLUMN_COUNT] = { "from", "on", "when", "to" };

/* Fills up with blanks to `width`. */
static void put_cell(struct out *out, const char *text, size_t width)
{
    put(out, text);
    for (size_t size = strlen(text); size < width; size++)
        put(out, " ");
}

static size_t longest_word(const struct sm_words *words)
{
    size_t longest = 0;
    for (unsigned i = 0; i < words->count; i++) {
        size_t size = strlen(sm_word_at(words, i));
        longest = size > longest ? size : longest;
    }
    return longest;
}

/* `note` NULL: none; otherwise gives what follows the meaning of each word. */
static void put_manual(struct out *out, const char *title, const struct sm_words *words,
                       const char *(*note)(const struct sm_machine *machine, unsigned number))
{
    size_t width = longest_word(words);
    if (words->count == 0)
        return;
    put(out, "\n");
    put(out, title);
    put(out, "\n");
    for (unsigned i = 0; i < words->count; i++) {
        const char *meaning = text_or_empty(words->list[i].meaning);
        put(out, "  ");
        put_cell(out, sm_word_at(words, i), meaning[0] ? width + 2 : 0);
        put(out, meaning);
        put(out, note ? note(out->machine, i) : "");
        put(out, "\n");
    }
}

static const char *state_note(const struct sm_machine *machine, unsigned state)
{
    if (state == machine->initial)
        return is_final(machine, state) ? " (initial, final)" : " (initial)";
    return is_final(machine, state) ? " (final)" : "";
}

static const char *cell_of(const struct sm_machine *machine, const struct sm_row *row,
                           enum column column)
{
    switch (column) {
    case COLUMN_FROM: return sm_word_at(&machine->states, row->from);
    case COLUMN_ON: return sm_word_at(&machine->events, row->on);
    case COLUMN_WHEN: return guard_word(machine, row);
    case COLUMN_TO: return sm_target_word(machine, row);
    case COLUMN_COUNT: break;
    }
    return "";
}

static size_t width_of(const struct sm_machine *machine, enum column column)
{
    size_t width = strlen(column_titles[column]);
    for (size_t i = 0; i < machine->row_count; i++) {
        size_t size = strlen(cell_of(machine, &machine->rows[i], column));
        width = size > width ? size : width;
    }
    return width;
}

/* Without effects the last cell is not filled up: lines do not end in blanks. */
static void put_table_row(struct out *out, const struct sm_row *row, const size_t *widths)
{
    put(out, "  ");
    for (unsigned column = 0; column < COLUMN_COUNT; column++) {
        const char *cell = cell_of(out->machine, row, (enum column)column);
        bool is_last = column == COLUMN_TO && row->then == 0;
        put_cell(out, cell, is_last ? 0 : widths[column]);
    }
    put_effects(out, row, "");
    put(out, "\n");
}

static void put_rows(struct out *out)
{
    size_t widths[COLUMN_COUNT];
    put(out, "\nRows, tried from top to bottom\n  ");
    for (unsigned column = 0; column < COLUMN_COUNT; column++) {
        widths[column] = width_of(out->machine, (enum column)column) + 2;
        put_cell(out, column_titles[column], widths[column]);
    }
    put(out, "then\n");
    for (size_t i = 0; i < out->machine->row_count; i++)
        put_table_row(out, &out->machine->rows[i], widths);
}

void sm_table(const struct sm_machine *machine, sm_print_fn *print, void *ctx)
{
    struct out out = { machine, print, ctx };
    put(&out, text_or_empty(machine->name));
    if (machine->meaning) {
        put(&out, " - ");
        put(&out, machine->meaning);
    }
    put(&out, "\n");
    put_manual(&out, "States", &machine->states, state_note);
    put_manual(&out, "Events", &machine->events, NULL);
    put_manual(&out, "Guards", &machine->guards, NULL);
    put_manual(&out, "Effects", &machine->effects, NULL);
    put_rows(&out);
}
