/* SPDX-License-Identifier: Apache-2.0
 * ordered.h - many ordered sets over one universe of 32-bit items, each item in at most one set.
 * Treaps whose links stand in an array indexed by item: inserting and removing never allocate, and
 * the shape depends on the items alone, not on the order of calls. A set is its root. */
#ifndef DIDES_BASE_ORDERED_H
#define DIDES_BASE_ORDERED_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

#define ORDERED_NONE UINT32_MAX /* an empty set; "no item" */

struct ordered_link {
    uint32_t left, right;
};

/* Strict total order of items: < 0, 0 only for the same item, > 0. */
typedef int ordered_compare_fn(const void *ctx, uint32_t a, uint32_t b);
/* Places items against a key that need not be an item: < 0 when `item` lies before the key. */
typedef int ordered_place_fn(const void *ctx, uint32_t item, const void *key);

struct ordered {
    const struct memory *memory;
    struct ordered_link *links;
    uint32_t capacity;
    ordered_compare_fn *compare;
    const void *ctx;
};

void ordered_init(struct ordered *o, const struct memory *memory, ordered_compare_fn *compare,
                  const void *ctx);
void ordered_release(struct ordered *o);
/* Room for items 0 to count - 1. False: no memory, nothing changed. */
bool ordered_reserve(struct ordered *o, uint32_t count);

void ordered_insert(struct ordered *o, uint32_t *root, uint32_t item); /* must not be in any set */
void ordered_remove(struct ordered *o, uint32_t *root, uint32_t item); /* must be in this one */
bool ordered_has(const struct ordered *o, uint32_t root, uint32_t item);
uint32_t ordered_first(const struct ordered *o, uint32_t root);
/* The item after `item`, which itself need not be in the set; ORDERED_NONE at the end. */
uint32_t ordered_after(const struct ordered *o, uint32_t root, uint32_t item);
/* The first item for which place(ctx, item, key) > 0, or >= 0 with `or_equal`. */
uint32_t ordered_seek(const struct ordered *o, uint32_t root, ordered_place_fn *place,
                      const void *ctx, const void *key, bool or_equal);
/* Builds a set from `count` items that are already in order, in linear time. */
uint32_t ordered_build(struct ordered *o, const uint32_t *items, size_t count);
/* The same one by one: a set that is ORDERED_NONE at first takes items in order, and is a set
 * again, good for anything else, after ordered_finish(). */
void ordered_append(struct ordered *o, uint32_t *root, uint32_t item);
void ordered_finish(struct ordered *o, uint32_t *root);
/* Writes up to `max` items to `ret`, in order, from `first` on, which is in the set; returns how
 * many: less than `max` only at the end. One search, then a step for each. */
size_t ordered_take(const struct ordered *o, uint32_t root, uint32_t first, uint32_t *ret,
                    size_t max);
/* Writes the items of a set to `ret`, in order and in linear time; `count` is how many it has. */
void ordered_list(const struct ordered *o, uint32_t root, uint32_t *ret, size_t count);

#endif
