/* SPDX-License-Identifier: Apache-2.0
 * check.c - finds the faults of a table: places no event leads to or out of, rows nobody follows,
 * words nobody uses. What a finding says, and in which order, depends on the table alone.
 * Codes and severities are those of the spec "state machines", section 14. */
#include "sm.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(text, args) __attribute__((format(printf, text, args)))
#else
#define PRINTF_LIKE(text, args)
#endif

enum row_status { ROW_LIVE, ROW_BAD, ROW_SHADOWED };

/* A path takes each state once; a step is a comma, a blank, an event and a guard in brackets. */
enum { STEP_SIZE = 2 + SM_WORD_MAX + 1 + SM_WORD_MAX + 1 };

struct check {
    const struct sm_machine *machine;
    void (*visit)(void *ctx, const struct sm_finding *finding);
    void *ctx;
    size_t fault_count;

    uint64_t final;   /* machine->final without bits that mean no state */
    uint64_t reached; /* set of states */
    uint16_t
        reached_by[SM_STATES_MAX]; /* the row of the shortest path; not for the initial state */
    uint8_t status[SM_ROWS_MAX];   /* enum row_status */
    uint16_t shadowed_by[SM_ROWS_MAX];

    char text[1024];
    char witness[SM_STATES_MAX * STEP_SIZE + 1];
    size_t witness_size;
};

/* Room for "row 1024 (state, event [guard] -> state)". */
struct row_name {
    char text[4 * SM_WORD_MAX + 32];
};

static uint64_t bit(unsigned number)
{
    return (uint64_t)1 << number;
}

static uint64_t all_states(const struct sm_machine *machine)
{
    return machine->states.count >= 64 ? UINT64_MAX : bit(machine->states.count) - 1;
}

static bool is_same_pair(const struct sm_row *a, const struct sm_row *b)
{
    return a->from == b->from && a->on == b->on;
}

/* ---- saying it ------------------------------------------------------------------------------ */

PRINTF_LIKE(5, 6)
static void report(struct check *check, const char *code, enum sm_severity severity, bool is_proven,
                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(check->text, sizeof check->text, format, args);
    va_end(args);
    struct sm_finding finding = { code, severity, check->text, is_proven, check->witness };
    if (severity != SM_NOTE_)
        check->fault_count++;
    if (check->visit)
        check->visit(check->ctx, &finding);
}

static struct row_name name_row(const struct check *check, size_t i)
{
    const struct sm_machine *machine = check->machine;
    const struct sm_row *row = &machine->rows[i];
    bool is_guarded = row->when != 0;
    struct row_name ret;
    snprintf(ret.text, sizeof ret.text, "row %u (%s, %s%s%s%s -> %s)", (unsigned)i + 1,
             sm_word_at(&machine->states, row->from), sm_word_at(&machine->events, row->on),
             is_guarded ? " [" : "", is_guarded ? sm_word_at(&machine->guards, row->when) : "",
             is_guarded ? "]" : "", sm_target_word(machine, row));
    return ret;
}

/* ---- witnesses ------------------------------------------------------------------------------ */

static void clear_witness(struct check *check)
{
    check->witness[0] = '\0';
    check->witness_size = 0;
}

static void add_to_witness(struct check *check, const char *text)
{
    size_t size = strlen(text);
    assert(check->witness_size + size < sizeof check->witness);
    memcpy(check->witness + check->witness_size, text, size + 1);
    check->witness_size += size;
}

/* `condition` NULL: none. */
static void add_step(struct check *check, unsigned event, const char *condition)
{
    if (check->witness_size > 0)
        add_to_witness(check, ", ");
    add_to_witness(check, sm_word_at(&check->machine->events, event));
    if (condition) {
        add_to_witness(check, "[");
        add_to_witness(check, condition);
        add_to_witness(check, "]");
    }
}

static bool is_behind_guarded_row(const struct check *check, size_t i)
{
    const struct sm_row *rows = check->machine->rows;
    for (size_t j = 0; j < i; j++) {
        if (check->status[j] == ROW_LIVE && rows[j].when != 0 && is_same_pair(&rows[j], &rows[i]))
            return true;
    }
    return false;
}

/* What guards must answer for the row to be followed, or NULL when they need not be asked. */
static const char *condition_of(const struct check *check, size_t i)
{
    const struct sm_row *row = &check->machine->rows[i];
    if (row->when != 0)
        return sm_word_at(&check->machine->guards, row->when);
    return is_behind_guarded_row(check, i) ? "else" : NULL;
}

/* Writes the shortest path to `state` as witness, "" when there is none. Returns whether it needs
 * no guard. */
static bool witness_state(struct check *check, unsigned state)
{
    size_t path[SM_STATES_MAX], length = 0;
    bool is_proven = true;
    clear_witness(check);
    if (!(check->reached & bit(state)))
        return true;
    while (state != check->machine->initial) {
        path[length++] = check->reached_by[state];
        state = check->machine->rows[check->reached_by[state]].from;
    }
    while (length-- > 0) {
        const char *condition = condition_of(check, path[length]);
        add_step(check, check->machine->rows[path[length]].on, condition);
        is_proven = is_proven && !condition;
    }
    return is_proven;
}

/* The same for a place behind one more event in `state`. */
static bool witness_event(struct check *check, unsigned state, unsigned event,
                          const char *condition)
{
    bool is_proven = witness_state(check, state);
    if (check->reached & bit(state))
        add_step(check, event, condition);
    return is_proven && !condition;
}

static bool witness_row(struct check *check, size_t i)
{
    const struct sm_row *row = &check->machine->rows[i];
    return witness_event(check, row->from, row->on, condition_of(check, i));
}

/* ---- what must hold before anything else can be looked at ----------------------------------- */

static void check_limit(struct check *check, const char *what, unsigned count, unsigned max)
{
    if (count > max)
        report(check, "limits", SM_ERROR_, true, "%u %s are more than %u", count, what, max);
}

static void check_limits(struct check *check)
{
    const struct sm_machine *machine = check->machine;
    if (machine->states.count == 0)
        report(check, "limits", SM_ERROR_, true, "there is no state");
    check_limit(check, "states", machine->states.count, SM_STATES_MAX);
    check_limit(check, "events", machine->events.count, SM_EVENTS_MAX);
    check_limit(check, "guards", machine->guards.count, SM_GUARDS_MAX);
    check_limit(check, "effects", machine->effects.count, SM_EFFECTS_MAX);
    check_limit(check, "rows", machine->row_count, SM_ROWS_MAX);
}

/* What is wrong with the word, or NULL. */
static const char *word_fault(const char *word)
{
    size_t size = 0;
    if (!word || !word[0])
        return "is empty";
    for (; size <= SM_WORD_MAX && word[size]; size++) {
        char c = word[size];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return "has a character other than letters, digits, _ and -";
    }
    return size > SM_WORD_MAX ? "is longer than 63 bytes" : NULL;
}

static const char *word_fault_in_list(const struct sm_words *words, unsigned i)
{
    const char *fault = words->list ? word_fault(words->list[i].word) : "is empty";
    if (!fault && sm_word_find(words, words->list[i].word, strlen(words->list[i].word)) != (int)i)
        fault = "stands twice in its list";
    return fault;
}

static void check_words(struct check *check, const char *kind, const struct sm_words *words)
{
    for (unsigned i = 0; i < words->count; i++) {
        const char *fault = word_fault_in_list(words, i);
        if (fault)
            report(check, "bad_word", SM_ERROR_, true, "%s %u (%.80s) %s", kind, i,
                   sm_word_at(words, i), fault);
    }
}

static void check_all_words(struct check *check)
{
    const struct sm_machine *machine = check->machine;
    const char *fault = word_fault(machine->name);
    if (fault)
        report(check, "bad_word", SM_ERROR_, true, "the machine's name %s", fault);
    check_words(check, "state", &machine->states);
    check_words(check, "event", &machine->events);
    check_words(check, "guard", &machine->guards);
    check_words(check, "effect", &machine->effects);
    if (sm_word_find(&machine->states, "stay", 4) >= 0 ||
        sm_word_find(&machine->states, "refuse", 6) >= 0)
        report(check, "bad_word", SM_ERROR_, true,
               "a state is called stay or refuse, like the targets of every machine");
}

/* ---- rows that make no sense ---------------------------------------------------------------- */

static const char *row_fault(const struct sm_machine *machine, const struct sm_row *row)
{
    if (row->from >= machine->states.count)
        return "starts in a state that is not in the list";
    if (row->on >= machine->events.count)
        return "answers an event that is not in the list";
    if (row->when != 0 && row->when >= machine->guards.count)
        return "asks a guard that is not in the list";
    if (row->to >= machine->states.count && row->to != SM_STAY && row->to != SM_REFUSE)
        return "leads to a state that is not in the list";
    if (row->then >= bit(machine->effects.count))
        return "has an effect that is not in the list";
    if (row->to == SM_REFUSE && row->then != 0)
        return "refuses and has effects";
    return NULL;
}

static void check_ranges(struct check *check)
{
    const struct sm_machine *machine = check->machine;
    if (machine->initial >= machine->states.count)
        report(check, "bad_row", SM_ERROR_, true, "the initial state %u is not in the list",
               (unsigned)machine->initial);
    if (machine->final & ~all_states(machine))
        report(check, "bad_row", SM_ERROR_, true, "a final state is not in the list");
    check->final = machine->final & all_states(machine);
    for (size_t i = 0; i < machine->row_count; i++) {
        const char *fault = row_fault(machine, &machine->rows[i]);
        check->status[i] = fault ? ROW_BAD : ROW_LIVE;
        if (fault)
            report(check, "bad_row", SM_ERROR_, true, "%s %s", name_row(check, i).text, fault);
    }
}

/* ---- what can be reached -------------------------------------------------------------------- */

static void mark_shadowed_rows(struct check *check)
{
    const struct sm_row *rows = check->machine->rows;
    for (size_t i = 0; i < check->machine->row_count; i++) {
        for (size_t j = 0; j < i && check->status[i] == ROW_LIVE; j++) {
            bool is_first = check->status[j] == ROW_LIVE && is_same_pair(&rows[j], &rows[i]);
            if (is_first && (rows[j].when == 0 || rows[j].when == rows[i].when)) {
                check->status[i] = ROW_SHADOWED;
                check->shadowed_by[i] = (uint16_t)j;
            }
        }
    }
}

/* Whether somebody can follow the row to another place. */
static bool is_arrow(const struct check *check, size_t i)
{
    uint8_t to = check->machine->rows[i].to;
    return check->status[i] == ROW_LIVE && to != SM_STAY && to != SM_REFUSE;
}

/* Breadth first, and the rows of a state in order: of two shortest paths the one whose rows stand
 * higher in the table is found first. */
static void find_paths(struct check *check)
{
    const struct sm_machine *machine = check->machine;
    uint8_t queue[SM_STATES_MAX];
    size_t head = 0, tail = 0;
    check->reached = bit(machine->initial);
    queue[tail++] = machine->initial;
    while (head < tail) {
        uint8_t state = queue[head++];
        for (size_t i = 0; i < machine->row_count; i++) {
            if (!is_arrow(check, i) || machine->rows[i].from != state)
                continue;
            uint8_t to = machine->rows[i].to;
            if (check->reached & bit(to))
                continue;
            check->reached |= bit(to);
            check->reached_by[to] = (uint16_t)i;
            queue[tail++] = to;
        }
    }
}

/* The set of states from which a final state can be reached. */
static uint64_t find_states_that_end(const struct check *check)
{
    const struct sm_row *rows = check->machine->rows;
    uint64_t set = check->final, before;
    do {
        before = set;
        for (size_t i = 0; i < check->machine->row_count; i++) {
            if (is_arrow(check, i) && (set & bit(rows[i].to)))
                set |= bit(rows[i].from);
        }
    } while (set != before);
    return set;
}

/* The set of states with a row that does anything, if only an effect without a move. */
static uint64_t find_states_that_act(const struct check *check)
{
    const struct sm_row *rows = check->machine->rows;
    uint64_t set = 0;
    for (size_t i = 0; i < check->machine->row_count; i++) {
        if (check->status[i] == ROW_LIVE && rows[i].to != SM_REFUSE)
            set |= bit(rows[i].from);
    }
    return set;
}

/* A state nobody reaches is reported as that alone: whether one could leave it is not yet asked. */
static void check_states(struct check *check)
{
    const struct sm_machine *machine = check->machine;
    uint64_t can_end = check->final ? find_states_that_end(check) : all_states(machine);
    uint64_t can_act = find_states_that_act(check) | check->final;
    for (unsigned state = 0; state < machine->states.count; state++) {
        const char *word = sm_word_at(&machine->states, state);
        bool is_proven = witness_state(check, state);
        if (!(check->reached & bit(state)))
            report(check, "unreachable", SM_ERROR_, true, "no event leads to state %s", word);
        else if (!(can_act & bit(state)))
            report(check, "dead_end", SM_ERROR_, is_proven,
                   "state %s is not final and no row leads out of it", word);
        else if (!(can_end & bit(state)))
            report(check, "trap", SM_ERROR_, is_proven,
                   "from state %s no final state can be reached", word);
    }
}

/* ---- rows and pairs ------------------------------------------------------------------------- */

static void check_row(struct check *check, size_t i)
{
    const struct sm_row *rows = check->machine->rows;
    struct row_name name = name_row(check, i);
    if (check->final & bit(rows[i].from)) {
        bool is_proven = witness_row(check, i);
        report(check, "leaves_final", SM_ERROR_, is_proven, "%s starts in a final state",
               name.text);
    }
    if (check->status[i] == ROW_SHADOWED) {
        size_t first = check->shadowed_by[i];
        witness_row(check, i);
        report(check, "shadowed", SM_ERROR_, true, "%s is never followed: %s comes first %s",
               name.text, name_row(check, first).text,
               rows[first].when == 0 ? "and has no guard" : "with the same guard");
    }
}

static void check_rows(struct check *check)
{
    for (size_t i = 0; i < check->machine->row_count; i++) {
        if (check->status[i] != ROW_BAD)
            check_row(check, i);
    }
}

/* The next live row after `i` of the same pair, or row_count. */
static size_t next_in_pair(const struct check *check, size_t i)
{
    const struct sm_row *rows = check->machine->rows;
    size_t j = i + 1;
    while (j < check->machine->row_count &&
           !(check->status[j] == ROW_LIVE && is_same_pair(&rows[i], &rows[j])))
        j++;
    return j;
}

/* Live rows end with the first unguarded one, so the last one tells whether there is an else. */
static void check_else(struct check *check, size_t first)
{
    const struct sm_machine *machine = check->machine;
    size_t last = first;
    for (size_t i = first; i < machine->row_count; i = next_in_pair(check, i))
        last = i;
    const struct sm_row *row = &machine->rows[last];
    if (row->when == 0 || row->to == SM_REFUSE)
        return;
    witness_event(check, row->from, row->on, "else");
    report(check, "no_else", SM_WARNING_, false,
           "%s is the last of its pair: when guard %s is false, the event is refused silently",
           name_row(check, last).text, sm_word_at(&machine->guards, row->when));
}

/* Says it once per pair, of the first row whose order matters. */
static void check_order(struct check *check, size_t first)
{
    const struct sm_row *rows = check->machine->rows;
    size_t count = check->machine->row_count;
    for (size_t i = next_in_pair(check, first); i < count; i = next_in_pair(check, i)) {
        if (rows[i].when == 0 || rows[i].to == rows[first].to)
            continue;
        witness_row(check, i);
        report(check, "ambiguous", SM_NOTE_, false,
               "%s comes after %s: if both guards hold, order decides", name_row(check, i).text,
               name_row(check, first).text);
        return;
    }
}

static bool is_first_of_pair(const struct check *check, size_t i)
{
    const struct sm_row *rows = check->machine->rows;
    for (size_t j = 0; j < i; j++) {
        if (check->status[j] == ROW_LIVE && is_same_pair(&rows[j], &rows[i]))
            return false;
    }
    return check->status[i] == ROW_LIVE;
}

static void check_pairs(struct check *check)
{
    for (size_t i = 0; i < check->machine->row_count; i++) {
        if (is_first_of_pair(check, i)) {
            check_else(check, i);
            check_order(check, i);
        }
    }
}

/* ---- words ---------------------------------------------------------------------------------- */

static void check_used(struct check *check, const char *kind, const struct sm_words *words,
                       uint64_t used)
{
    clear_witness(check);
    for (unsigned i = 0; i < words->count; i++) {
        if (!(used & bit(i)))
            report(check, "unused", SM_WARNING_, true, "%s %s is in no row", kind,
                   sm_word_at(words, i));
    }
}

/* States are not asked: one in no row is unreachable, or a dead end. */
static void check_all_used(struct check *check)
{
    const struct sm_machine *machine = check->machine;
    uint64_t events = 0, guards = bit(0), effects = 0;
    for (size_t i = 0; i < machine->row_count; i++) {
        if (check->status[i] == ROW_BAD)
            continue;
        events |= bit(machine->rows[i].on);
        guards |= bit(machine->rows[i].when);
        effects |= machine->rows[i].then;
    }
    check_used(check, "event", &machine->events, events);
    check_used(check, "guard", &machine->guards, guards);
    check_used(check, "effect", &machine->effects, effects);
}

size_t sm_check(const struct sm_machine *machine,
                void (*visit)(void *ctx, const struct sm_finding *finding), void *ctx)
{
    struct check check = { .machine = machine, .visit = visit, .ctx = ctx };
    check_limits(&check);
    if (check.fault_count == 0)
        check_all_words(&check);
    if (check.fault_count > 0)
        return check.fault_count;

    check_ranges(&check);
    if (machine->initial < machine->states.count) {
        mark_shadowed_rows(&check);
        find_paths(&check);
        check_states(&check);
        check_rows(&check);
        check_pairs(&check);
        check_all_used(&check);
    }
    return check.fault_count;
}
