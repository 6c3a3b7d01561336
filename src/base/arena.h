/* SPDX-License-Identifier: Apache-2.0
 * arena.h - memory that is given back all at once: one request, one round, one document. */
#ifndef DIDES_BASE_ARENA_H
#define DIDES_BASE_ARENA_H

#include "base/memory.h"
#include "base/text.h"

struct arena_chunk;

struct arena {
    const struct memory *memory;
    struct arena_chunk *newest;
    size_t used, max; /* bytes handed out; the most that may be */
};

/* `max` bytes may be handed out in all, padding included; more fails like an exhausted heap. No
 * memory is taken yet. */
void arena_init(struct arena *arena, const struct memory *memory, size_t max);
void arena_release(struct arena *arena);
/* Everything handed out becomes invalid; the first chunk is kept for reuse. */
void arena_clear(struct arena *arena);

/* Aligned for any type, zeroed. NULL: no memory, or `max` reached. */
void *arena_take(struct arena *arena, size_t size);
/* The same for a product that may be too large for size_t. */
void *arena_take_array(struct arena *arena, size_t count, size_t item_size);
/* Copies `t`; on failure returns false and *ret is untouched. The copy ends in NUL besides. */
bool arena_copy(struct arena *arena, struct text t, struct text *ret);

#endif
