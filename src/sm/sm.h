/* SPDX-License-Identifier: Apache-2.0
 * sm.h - state machines written as tables.
 *
 * A machine is data: lists of words, and rows that say which words follow which. One row is one
 * arrow of the diagram. This layer only reads tables: it keeps no state, calls no clock, does no
 * I/O and allocates nothing. See doc/architecture.md and spec "state machines", section 3. */
#ifndef DIDES_SM_H
#define DIDES_SM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Named limits; sm_check names the one that is exceeded. */
#define SM_STATES_MAX  64
#define SM_EVENTS_MAX  64
#define SM_GUARDS_MAX  64
#define SM_EFFECTS_MAX 30
#define SM_ROWS_MAX    1024
#define SM_WORD_MAX    63 /* bytes of a word; made of letters, digits, _ and - */

/* Words that every machine knows. Targets: SM_STAY leaves the state as it is (no exit, no entry);
 * SM_REFUSE refuses explicitly, the row's guard being the reason. */
enum sm_reserved_target { SM_STAY = 254, SM_REFUSE = 255 };

struct sm_word {
    const char *word;    /* what is stored and shown; never renamed without a migration */
    const char *meaning; /* one clause for people */
};
struct sm_words {
    const struct sm_word *list;
    uint8_t count;
};

struct sm_row {
    uint8_t from, on, when, to;
    uint32_t then; /* set of effects, carried out in list order */
};

struct sm_machine {
    const char *name;
    const char *meaning;
    struct sm_words states, events, guards, effects;
    const struct sm_row *rows;
    uint16_t row_count;
    uint8_t initial;
    uint64_t final;        /* set of states (SM_SET), one bit each; may be 0: lives for ever */
    const uint16_t *index; /* of sm_index_init, or NULL: rows are scanned */
};

/* ---- typed words ----------------------------------------------------------------------------
 * A list names its words once:
 *     #define DOOR_EVENTS(X, T) X(T, DOOR_PUSH, "push", "somebody pushed")
 *     SM_EVENTS(door_event, DOOR_EVENTS);
 * and gives the enum, the texts, and one mark type per word, so that a word of another list, or of
 * another machine, does not compile where it does not belong. */
#define SM_MARK_ITEM(tag, id, word, meaning) typedef char id##_is_##tag;
#define SM_ENUM_ITEM(tag, id, word, meaning) id,
#define SM_WORD_ITEM(tag, id, word, meaning) [id] = { word, meaning },
#define SM_LIST(tag, LIST)                                                                         \
    enum tag { LIST(SM_ENUM_ITEM, tag) tag##_count };                                              \
    LIST(SM_MARK_ITEM, tag)

#define SM_STATES(tag, LIST)                                                                       \
    SM_LIST(tag, LIST)                                                                             \
    typedef char SM_STAY_is_##tag;                                                                 \
    typedef char SM_REFUSE_is_##tag
#define SM_EVENTS(tag, LIST)  SM_LIST(tag, LIST) struct sm_unused_##tag
#define SM_GUARDS(tag, LIST)  SM_LIST(tag, LIST) struct sm_unused_##tag
#define SM_EFFECTS(tag, LIST) SM_LIST(tag, LIST) struct sm_unused_##tag

#define SM_IS(tag, id)     ((id) * (unsigned)sizeof(id##_is_##tag)) /* sizeof is 1 */
#define SM_AS(tag, id)     ((enum tag)SM_IS(tag, id))
#define SM_DO(machine, id) (1u << SM_IS(machine##_effect, id))
#define SM_SET(id)         (1ull << (id))
#define SM_ROW(machine, from, on, when, to, then)                                                  \
    {                                                                                              \
        SM_IS(machine##_state, from), SM_IS(machine##_event, on), SM_IS(machine##_guard, when),    \
            SM_IS(machine##_state, to), then                                                       \
    }
#define SM_WORDS(tag, LIST)                                                                        \
    {                                                                                              \
        (const struct sm_word[]){ LIST(SM_WORD_ITEM, tag) }, tag##_count                           \
    }

/* ---- following a table ---------------------------------------------------------------------- */

/* Whether `guard` holds for `subject`. Guard 0 is "always" and is never asked. Must be pure. */
typedef bool sm_holds_fn(const void *subject, unsigned guard);

/* The row to follow, or NULL when `event` is refused in `state`: no row, no guard holds, or the
 * first that holds says SM_REFUSE. Rows are tried top to bottom, each guard is asked at most once
 * per row and none after the first that holds. `state` and `event` are numbers of the machine's own
 * words; `holds` may be NULL when no row of the pair is guarded. Borrowed from the machine. */
const struct sm_row *sm_pick(const struct sm_machine *machine, unsigned state, unsigned event,
                             sm_holds_fn *holds, const void *subject);

/* Like sm_pick, but a row to SM_REFUSE is returned as well: its guard is the reason of the refusal.
 * NULL: no row answers. */
const struct sm_row *sm_match(const struct sm_machine *machine, unsigned state, unsigned event,
                              sm_holds_fn *holds, const void *subject);

/* The state after following `row` from `state`. Not for rows to SM_REFUSE, which nobody follows. */
static inline uint8_t sm_target(const struct sm_row *row, uint8_t state)
{
    return row->to == SM_STAY ? state : row->to;
}

/* Fills `cells` so that a pick costs the rows of its (state, event) pair only. `count` must be at
 * least SM_INDEX_CELLS(states, events, rows). To use it, set machine->index = cells. The result
 * depends on the table alone; it may be computed once and shared by threads. False, and `cells`
 * untouched: too few cells, more rows than SM_ROWS_MAX, or a row whose state or event is not in the
 * lists (sm_check says which). */
#define SM_INDEX_CELLS(states, events, rows) ((size_t)(states) * (events) + (rows))
bool sm_index_init(const struct sm_machine *machine, uint16_t *cells, size_t count);

/* The number of the word in the list, or -1. `size` bytes, exact letter case. */
int sm_word_find(const struct sm_words *words, const char *text, size_t size);

/* The word with that number, or "?" when there is none. */
const char *sm_word_at(const struct sm_words *words, unsigned number);

/* The word of the row's target: of its state, or "stay", or "refuse". */
const char *sm_target_word(const struct sm_machine *machine, const struct sm_row *row);

/* ---- checking ------------------------------------------------------------------------------- */

enum sm_severity { SM_NOTE_, SM_WARNING_, SM_ERROR_ };

struct sm_finding {
    const char *code; /* "unreachable", "shadowed", ... of the spec, section 14 */
    enum sm_severity severity;
    const char *text;    /* one sentence naming words and row */
    bool is_proven;      /* true whatever the guards answer; else it assumes that guards pass */
    const char *witness; /* shortest event sequence from the start to the place, or "" */
};

/* Reports every finding; returns how many were warnings or errors. `visit` NULL: only count.
 *
 * Codes: unreachable, dead_end, trap, shadowed, leaves_final (errors), no_else, unused (warnings)
 * and ambiguous (note) as in the spec; bad_row (a row, `initial` or `final` names what is not in
 * the lists, or a refusal has effects), bad_word (empty, too long, twice in its list, of other
 * characters than a-z 0-9 _ -, or a state called like a reserved target) and limits (errors). After
 * limits or bad_word nothing else is looked at; bad rows are left out of the rest.
 *
 * A witness reads "start, step_ok[last]": events, each with the guard that must hold. "[else]"
 * stands for an unguarded row behind guarded ones, or for no row at all: every guard before it is
 * false. A finding is proven when its witness needs no guard to answer in a certain way.
 *
 * Texts live until `visit` returns. Uses about 16 KiB of stack. */
size_t sm_check(const struct sm_machine *machine,
                void (*visit)(void *ctx, const struct sm_finding *finding), void *ctx);

/* ---- printing ------------------------------------------------------------------------------- */

/* Takes `size` bytes of text, not ended by NUL. Printers call it many times. */
typedef void sm_print_fn(void *ctx, const char *text, size_t size);

/* The same machine always gives the same bytes. Numbers that are in no list print as "?". Rows to
 * SM_STAY are self arrows marked "(stay)"; rows to SM_REFUSE are in the JSON and in the table only.
 * Diagrams show effects after "/" and guards in brackets, without guard 0.
 * In this order: mermaid stateDiagram-v2; Graphviz; JSON in one line without its end; aligned text.
 */
void sm_mermaid(const struct sm_machine *machine, sm_print_fn *print, void *ctx);
void sm_dot(const struct sm_machine *machine, sm_print_fn *print, void *ctx);
void sm_json(const struct sm_machine *machine, sm_print_fn *print, void *ctx);
void sm_table(const struct sm_machine *machine, sm_print_fn *print, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
