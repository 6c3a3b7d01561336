/* SPDX-License-Identifier: Apache-2.0
 * memory.c - taking and giving back through a struct memory. The heap itself is in memory_heap.c,
 * so that everything else links without naming the allocator. */
#include "base/memory.h"

#include <assert.h>
#include <string.h>

void *memory_take(const struct memory *memory, size_t size)
{
    assert(size > 0); /* resize() would take it for a release */
    return memory->resize(memory->ctx, NULL, 0, size);
}

void *memory_take_zeroed(const struct memory *memory, size_t size)
{
    void *block = memory_take(memory, size);
    if (block)
        memset(block, 0, size);
    return block;
}

void memory_give(const struct memory *memory, void *block, size_t size)
{
    if (block)
        memory->resize(memory->ctx, block, size, 0);
}
