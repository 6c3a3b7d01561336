/* SPDX-License-Identifier: Apache-2.0
 * map.c - linear probing over cells of (hash, item). See map.h.
 * An empty cell holds MAP_NONE. At most 7/8 of the cells are used, so every probe ends. */
#include "base/map.h"

#include <assert.h>
#include <stddef.h>

#define CAPACITY_MIN ((size_t)8)

/* The part of a hash that is kept. The product spreads hashes that are only counters. */
static uint32_t kept(uint64_t hash)
{
    return (uint32_t)((hash * 0x9e3779b97f4a7c15u) >> 32);
}

/* The cell a hash belongs to: its top bits. Cells then stand in the order of their hashes, so that
 * a rehash writes the new array from front to back. */
static size_t home(const struct map *map, uint32_t hash)
{
    return (size_t)((uint64_t)hash * map->capacity >> 32);
}

static size_t next(const struct map *map, size_t at)
{
    return (at + 1) & (map->capacity - 1);
}

void map_init(struct map *map, const struct memory *memory)
{
    *map = (struct map){ .memory = memory };
}

void map_release(struct map *map)
{
    if (map->cells)
        memory_give(map->memory, map->cells, map->capacity * sizeof *map->cells);
    map->cells = NULL;
    map->capacity = map->count = 0;
}

void map_clear(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        map->cells[i].item = MAP_NONE;
    map->count = 0;
}

uint32_t map_find(const struct map *map, uint64_t hash, map_equal_fn *equal, const void *ctx,
                  const void *key)
{
    if (map->count == 0)
        return MAP_NONE;
    const uint32_t wanted = kept(hash);
    for (size_t at = home(map, wanted);; at = next(map, at)) {
        const struct map_cell *cell = &map->cells[at];
        if (cell->item == MAP_NONE)
            return MAP_NONE;
        if (cell->hash == wanted && equal(ctx, cell->item, key))
            return cell->item;
    }
}

/* Into the first empty cell from home on; there is one. */
static void place(struct map *map, struct map_cell cell)
{
    size_t at = home(map, cell.hash);
    while (map->cells[at].item != MAP_NONE)
        at = next(map, at);
    map->cells[at] = cell;
}

static bool rehash(struct map *map, size_t capacity)
{
    struct map_cell *cells = memory_take(map->memory, capacity * sizeof *cells);
    if (!cells)
        return false;
    struct map grown = { map->memory, cells, capacity, map->count };
    for (size_t i = 0; i < capacity; i++)
        cells[i].item = MAP_NONE;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->cells[i].item != MAP_NONE)
            place(&grown, map->cells[i]);
    map_release(map);
    *map = grown;
    return true;
}

bool map_reserve(struct map *map, size_t count)
{
    size_t capacity = map->capacity ? map->capacity : CAPACITY_MIN;
    if (count > SIZE_MAX / sizeof(struct map_cell) / 4)
        return false;
    while (capacity / 8 * 7 < count)
        capacity *= 2;
    return capacity == map->capacity || rehash(map, capacity);
}

bool map_insert(struct map *map, uint64_t hash, uint32_t item)
{
    assert(item != MAP_NONE);
    if (!map_reserve(map, map->count + 1))
        return false;
    place(map, (struct map_cell){ kept(hash), item });
    map->count++;
    return true;
}

/* Closes the gap at `hole`: each later cell of the run moves into it unless that lies before the
 * cell's home, where a probe would not look. */
static void shift_back(struct map *map, size_t hole)
{
    const size_t mask = map->capacity - 1;
    for (size_t at = next(map, hole); map->cells[at].item != MAP_NONE; at = next(map, at)) {
        size_t from_home = (at - home(map, map->cells[at].hash)) & mask;
        size_t from_hole = (at - hole) & mask;
        if (from_home < from_hole)
            continue;
        map->cells[hole] = map->cells[at];
        hole = at;
    }
    map->cells[hole].item = MAP_NONE;
}

bool map_remove(struct map *map, uint64_t hash, uint32_t item)
{
    if (map->count == 0 || item == MAP_NONE)
        return false;
    size_t at = home(map, kept(hash));
    while (map->cells[at].item != item) {
        if (map->cells[at].item == MAP_NONE)
            return false;
        at = next(map, at);
    }
    shift_back(map, at);
    map->count--;
    return true;
}
