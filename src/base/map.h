/* SPDX-License-Identifier: Apache-2.0
 * map.h - open addressing from a hash to 32-bit items. The map knows no keys: the caller compares.
 * Linear probing with the hash beside the item, deletion by backward shift, so there are no
 * tombstones and a rehash needs no callback. text_hash()'s seed guards against crafted keys. */
#ifndef DIDES_BASE_MAP_H
#define DIDES_BASE_MAP_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

#define MAP_NONE UINT32_MAX

struct map_cell {
    uint32_t hash, item;
};

struct map {
    const struct memory *memory;
    struct map_cell *cells;
    size_t capacity, count; /* capacity is 0 or a power of two */
};

/* Whether `item` has `key`. */
typedef bool map_equal_fn(const void *ctx, uint32_t item, const void *key);

void map_init(struct map *map, const struct memory *memory);
void map_release(struct map *map);
void map_clear(struct map *map);

/* The item with `key`, or MAP_NONE. */
uint32_t map_find(const struct map *map, uint64_t hash, map_equal_fn *equal, const void *ctx,
                  const void *key);
/* Room for `count` items in all, so that insertions up to it cannot fail. False: no memory. */
bool map_reserve(struct map *map, size_t count);
/* Adds `item`, which must not be there under that key. False: no memory, map unchanged. */
bool map_insert(struct map *map, uint64_t hash, uint32_t item);
/* Removes `item`; false when it is not there. Never needs memory. */
bool map_remove(struct map *map, uint64_t hash, uint32_t item);

#endif
