/* SPDX-License-Identifier: Apache-2.0
 * memory_heap.c - the C library's heap as a struct memory. The only file of the lower floors that
 * names it. */
#include "base/memory.h"

#include <stdlib.h>

static void *heap_resize(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)ctx;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

const struct memory memory_heap = { heap_resize, NULL };
