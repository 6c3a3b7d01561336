/* SPDX-License-Identifier: Apache-2.0
 * journal.h - the newest journal entries, rendered, in memory; all kept ones are in the store.
 * Entries have indexes without gaps. An entry is visible to readers once it is durable. */
#ifndef DIDES_ENGINE_JOURNAL_H
#define DIDES_ENGINE_JOURNAL_H

#include "base/buffer.h"
#include "base/text.h"

struct journal_entry {
    uint64_t index;
    uint32_t rollout; /* number, or 0 */
    uint8_t type;     /* enum change_type */
    char *json;
    size_t size;
};

/* Entries in memory: a ring bounded by count and bytes, so that a slow reader costs no memory. */
#define JOURNAL_ENTRIES_MAX 16384u
#define JOURNAL_BYTES_MAX   ((size_t)16 << 20)

struct journal {
    const struct memory *memory;
    struct journal_entry *ring; /* by index modulo JOURNAL_ENTRIES_MAX */
    uint64_t first, next;       /* [first, next) are in the ring */
    uint64_t durable;           /* newest visible index; 0 = none */
    uint64_t oldest;            /* oldest index that the store keeps; next when it keeps none */
    size_t bytes;
};

bool journal_init(struct journal *journal, const struct memory *memory); /* false: no memory */
void journal_release(struct journal *journal);

/* Appends the entry with the next index; copies the text. False: no memory for it; then the entry
 * can only be read from the store. */
bool journal_add(struct journal *journal, uint8_t type, uint32_t rollout, struct text json);
/* Forgets the entries from `index` on: their round was taken back. */
void journal_cut(struct journal *journal, uint64_t index);
/* The entry, if it is in memory and durable; NULL otherwise. Borrowed until the next change. */
const struct journal_entry *journal_at(const struct journal *journal, uint64_t index);

#endif
