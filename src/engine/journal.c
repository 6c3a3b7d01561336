/* SPDX-License-Identifier: Apache-2.0
 * journal.c - a ring of rendered entries. */
#include "engine/journal.h"

#include <assert.h>

static struct journal_entry *cell(const struct journal *journal, uint64_t index)
{
    return &journal->ring[index % JOURNAL_ENTRIES_MAX];
}

bool journal_init(struct journal *journal, const struct memory *memory)
{
    struct journal_entry *ring = memory_take_zeroed(memory, JOURNAL_ENTRIES_MAX * sizeof ring[0]);
    if (!ring)
        return false;
    *journal =
        (struct journal){ .memory = memory, .ring = ring, .first = 1, .next = 1, .oldest = 1 };
    return true;
}

static void drop(struct journal *journal, uint64_t index)
{
    struct journal_entry *entry = cell(journal, index);
    memory_give(journal->memory, entry->json, entry->size);
    journal->bytes -= entry->size;
    *entry = (struct journal_entry){ .index = 0 };
}

void journal_release(struct journal *journal)
{
    if (!journal->ring)
        return;
    for (; journal->first < journal->next; journal->first++)
        drop(journal, journal->first);
    memory_give(journal->memory, journal->ring, JOURNAL_ENTRIES_MAX * sizeof journal->ring[0]);
    journal->ring = NULL;
}

bool journal_add(struct journal *journal, uint8_t type, uint32_t rollout, struct text json)
{
    assert(json.size > 0);
    while (journal->first < journal->next &&
           (journal->next - journal->first >= JOURNAL_ENTRIES_MAX ||
            journal->bytes + json.size > JOURNAL_BYTES_MAX))
        drop(journal, journal->first++);
    uint64_t index = journal->next++;
    char *copy = memory_take(journal->memory, json.size);
    if (!copy)
        return false;
    memcpy(copy, json.data, json.size);
    *cell(journal, index) = (struct journal_entry){
        .index = index, .rollout = rollout, .type = type, .json = copy, .size = json.size
    };
    journal->bytes += json.size;
    return true;
}

void journal_cut(struct journal *journal, uint64_t index)
{
    while (journal->next > index) {
        journal->next--;
        if (journal->next >= journal->first)
            drop(journal, journal->next);
    }
    if (journal->first > journal->next)
        journal->first = journal->next;
}

const struct journal_entry *journal_at(const struct journal *journal, uint64_t index)
{
    if (index < journal->first || index >= journal->next || index > journal->durable)
        return NULL;
    const struct journal_entry *entry = cell(journal, index);
    return entry->json ? entry : NULL;
}
