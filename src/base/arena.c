/* SPDX-License-Identifier: Apache-2.0
 * arena.c - chunks that double in size, handed out from front to back. See arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

#define CHUNK_MIN ((size_t)4096)
#define CHUNK_MAX ((size_t)256 * 1024) /* larger ones only for a single larger request */

struct arena_chunk {
    struct arena_chunk *older;
    size_t size, used; /* of data */
    alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *arena, const struct memory *memory, size_t max)
{
    *arena = (struct arena){ .memory = memory, .max = max };
}

/* Gives the newest chunks back until `last` is the newest. */
static void give_chunks(struct arena *arena, const struct arena_chunk *last)
{
    while (arena->newest != last) {
        struct arena_chunk *chunk = arena->newest;
        arena->newest = chunk->older;
        memory_give(arena->memory, chunk, sizeof *chunk + chunk->size);
    }
}

void arena_release(struct arena *arena)
{
    give_chunks(arena, NULL);
    arena->used = 0;
}

void arena_clear(struct arena *arena)
{
    struct arena_chunk *first = arena->newest;
    while (first && first->older)
        first = first->older;
    give_chunks(arena, first);
    if (first)
        first->used = 0;
    arena->used = 0;
}

static bool add_chunk(struct arena *arena, size_t size)
{
    size_t wanted = arena->newest ? arena->newest->size * 2 : CHUNK_MIN;
    if (wanted > CHUNK_MAX)
        wanted = CHUNK_MAX;
    if (wanted < size)
        wanted = size;
    if (wanted > SIZE_MAX - sizeof(struct arena_chunk))
        return false;
    struct arena_chunk *chunk = memory_take(arena->memory, sizeof *chunk + wanted);
    if (!chunk)
        return false;
    *chunk = (struct arena_chunk){ .older = arena->newest, .size = wanted };
    arena->newest = chunk;
    return true;
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t mask = alignof(max_align_t) - 1;
    size_t allowed = arena->max - arena->used;
    if (size == 0)
        size = 1; /* NULL means failure, so even nothing has an address */
    if (size > allowed || size > SIZE_MAX - mask)
        return NULL;
    size_t rounded = (size + mask) & ~mask;
    struct arena_chunk *chunk = arena->newest;
    if (!chunk || chunk->size - chunk->used < rounded) {
        if (!add_chunk(arena, rounded))
            return NULL;
        chunk = arena->newest;
    }
    unsigned char *block = chunk->data + chunk->used;
    chunk->used += rounded;
    /* Alignment counts, or many small blocks would cost a multiple of `max`; an exact fit passes.
     */
    arena->used += rounded < allowed ? rounded : allowed;
    return memset(block, 0, size);
}

void *arena_take_array(struct arena *arena, size_t count, size_t item_size)
{
    size_t size;
    if (__builtin_mul_overflow(count, item_size, &size))
        return NULL;
    return arena_take(arena, size);
}

bool arena_copy(struct arena *arena, struct text t, struct text *ret)
{
    if (t.size == SIZE_MAX)
        return false;
    char *copy = arena_take(arena, t.size + 1);
    if (!copy)
        return false;
    if (t.size)
        memcpy(copy, t.data, t.size);
    *ret = (struct text){ copy, t.size };
    return true;
}
