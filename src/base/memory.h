/* SPDX-License-Identifier: Apache-2.0
 * memory.h - where containers get their memory from, as a value, so that tests can let any request
 * fail and the core never names malloc. */
#ifndef DIDES_BASE_MEMORY_H
#define DIDES_BASE_MEMORY_H

#include <stddef.h>

struct memory {
    /* Like realloc: block NULL allocates, new_size 0 frees and returns NULL. Returns NULL when
     * there is no memory; then the old block is as it was. `old_size` was asked for before. */
    void *(*resize)(void *ctx, void *block, size_t old_size, size_t new_size);
    void *ctx;
};

/* The C library's heap. */
extern const struct memory memory_heap;

/* `size` is not 0. */
void *memory_take(const struct memory *memory, size_t size);             /* NULL: no memory */
void *memory_take_zeroed(const struct memory *memory, size_t size);      /* NULL: no memory */
void memory_give(const struct memory *memory, void *block, size_t size); /* block may be NULL */

#endif
