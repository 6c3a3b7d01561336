/* SPDX-License-Identifier: Apache-2.0
 * pick.c - which row answers an event, by scan or by index, and which number a word has.
 * The index is two arrays in one: the first row of each (state, event), then for each row the next
 * one of the same pair. */
#include "sm.h"

#include <assert.h>
#include <string.h>

static const uint16_t NO_ROW = UINT16_MAX;

static bool row_answers(const struct sm_row *row, sm_holds_fn *holds, const void *subject)
{
    if (row->when == 0)
        return true;
    assert(holds != NULL);
    return holds(subject, row->when);
}

static const struct sm_row *match_by_index(const struct sm_machine *machine, unsigned state,
                                           unsigned event, sm_holds_fn *holds, const void *subject)
{
    size_t pairs = (size_t)machine->states.count * machine->events.count;
    const uint16_t *next = machine->index + pairs;
    uint16_t i = machine->index[(size_t)state * machine->events.count + event];
    for (; i != NO_ROW; i = next[i]) {
        if (row_answers(&machine->rows[i], holds, subject))
            return &machine->rows[i];
    }
    return NULL;
}

static const struct sm_row *match_by_scan(const struct sm_machine *machine, unsigned state,
                                          unsigned event, sm_holds_fn *holds, const void *subject)
{
    for (size_t i = 0; i < machine->row_count; i++) {
        const struct sm_row *row = &machine->rows[i];
        if (row->from == state && row->on == event && row_answers(row, holds, subject))
            return row;
    }
    return NULL;
}

const struct sm_row *sm_match(const struct sm_machine *machine, unsigned state, unsigned event,
                              sm_holds_fn *holds, const void *subject)
{
    assert(state < machine->states.count);
    assert(event < machine->events.count);
    return machine->index ? match_by_index(machine, state, event, holds, subject)
                          : match_by_scan(machine, state, event, holds, subject);
}

const struct sm_row *sm_pick(const struct sm_machine *machine, unsigned state, unsigned event,
                             sm_holds_fn *holds, const void *subject)
{
    const struct sm_row *row = sm_match(machine, state, event, holds, subject);
    return row && row->to != SM_REFUSE ? row : NULL;
}

static bool index_fits(const struct sm_machine *machine, size_t count)
{
    size_t states = machine->states.count, events = machine->events.count;
    if (machine->row_count > SM_ROWS_MAX ||
        count < SM_INDEX_CELLS(states, events, machine->row_count))
        return false;
    for (size_t i = 0; i < machine->row_count; i++) {
        if (machine->rows[i].from >= states || machine->rows[i].on >= events)
            return false;
    }
    return true;
}

bool sm_index_init(const struct sm_machine *machine, uint16_t *cells, size_t count)
{
    if (!index_fits(machine, count))
        return false;
    size_t pairs = (size_t)machine->states.count * machine->events.count;
    for (size_t pair = 0; pair < pairs; pair++)
        cells[pair] = NO_ROW;
    /* Backwards, so that each row is put before the later ones of its pair. */
    for (size_t i = machine->row_count; i-- > 0;) {
        size_t pair = (size_t)machine->rows[i].from * machine->events.count + machine->rows[i].on;
        cells[pairs + i] = cells[pair];
        cells[pair] = (uint16_t)i;
    }
    return true;
}

int sm_word_find(const struct sm_words *words, const char *text, size_t size)
{
    if (size == 0)
        return -1;
    for (int i = 0; i < words->count; i++) {
        const char *word = words->list[i].word;
        if (word && strlen(word) == size && memcmp(word, text, size) == 0)
            return i;
    }
    return -1;
}

const char *sm_word_at(const struct sm_words *words, unsigned number)
{
    if (number >= words->count || !words->list || !words->list[number].word)
        return "?";
    return words->list[number].word;
}

const char *sm_target_word(const struct sm_machine *machine, const struct sm_row *row)
{
    switch (row->to) {
    case SM_STAY: return "stay";
    case SM_REFUSE: return "refuse";
    default: return sm_word_at(&machine->states, row->to);
    }
}
