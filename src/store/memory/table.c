/* SPDX-License-Identifier: Apache-2.0
 * table.c - ordered pairs: an array of places, a free list, and a treap over their indexes. */
#include "store/memory/table.h"

#include <assert.h>

static int compare_items(const void *ctx, uint32_t a, uint32_t b)
{
    const struct memory_table *table = ctx;
    return text_compare(table->pairs[a].key, table->pairs[b].key);
}

static int place_item(const void *ctx, uint32_t item, const void *key)
{
    const struct memory_table *table = ctx;
    return text_compare(table->pairs[item].key, *(const struct text *)key);
}

void memory_table_init(struct memory_table *table)
{
    *table = (struct memory_table){ .root = ORDERED_NONE };
    ordered_init(&table->order, &memory_heap, compare_items, table);
}

static void pair_free(struct memory_pair *pair)
{
    free((void *)(uintptr_t)pair->key.data);
    *pair = (struct memory_pair){ 0 };
}

void memory_table_release(struct memory_table *table)
{
    for (uint32_t i = 0; i < table->used; i++)
        pair_free(&table->pairs[i]);
    free(table->pairs);
    free(table->free_items);
    ordered_release(&table->order);
    *table = (struct memory_table){ .root = ORDERED_NONE };
}

static bool pair_copy(struct text key, struct text value, struct memory_pair *ret)
{
    assert(key.size > 0 && key.size <= STORE_KEY_MAX && value.size <= STORE_VALUE_MAX);
    char *bytes = malloc(key.size + value.size);
    if (!bytes)
        return false;
    memcpy(bytes, key.data, key.size);
    if (value.size > 0)
        memcpy(bytes + key.size, value.data, value.size);
    *ret = (struct memory_pair){ { bytes, key.size }, { bytes + key.size, value.size } };
    return true;
}

static bool reserve(struct memory_table *table, size_t more)
{
    size_t want = table->used + more;
    if (want <= table->capacity)
        return true;
    want += want / 2;
    if (want >= ORDERED_NONE || !ordered_reserve(&table->order, (uint32_t)want))
        return false;
    struct memory_pair *pairs = reallocarray(table->pairs, want, sizeof *pairs);
    if (!pairs)
        return false;
    table->pairs = pairs;
    uint32_t *free_items = reallocarray(table->free_items, want, sizeof *free_items);
    if (!free_items)
        return false;
    table->free_items = free_items;
    table->capacity = (uint32_t)want;
    return true;
}

static uint32_t find(const struct memory_table *table, struct text key)
{
    uint32_t item = memory_table_seek(table, key);
    if (item != ORDERED_NONE && text_equal(table->pairs[item].key, key))
        return item;
    return ORDERED_NONE;
}

static void put(struct memory_table *table, struct memory_pair pair)
{
    uint32_t item = find(table, pair.key);
    if (item != ORDERED_NONE) {
        pair_free(&table->pairs[item]);
        table->pairs[item] = pair; /* an equal key keeps its place in the order */
        return;
    }
    item = table->free_count > 0 ? table->free_items[--table->free_count] : table->used++;
    assert(item < table->capacity);
    table->pairs[item] = pair;
    ordered_insert(&table->order, &table->root, item);
}

static void drop(struct memory_table *table, struct text key)
{
    uint32_t item = find(table, key);
    if (item == ORDERED_NONE)
        return;
    ordered_remove(&table->order, &table->root, item);
    pair_free(&table->pairs[item]);
    table->free_items[table->free_count++] = item;
}

static void staged_free(struct memory_pair *staged, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pair_free(&staged[i]);
    free(staged);
}

/* Copies of everything that will be put, so that applying needs no memory. NULL: there is none. */
static struct memory_pair *stage(const struct store_op *ops, size_t count)
{
    struct memory_pair *staged = calloc(count, sizeof *staged);
    for (size_t i = 0; staged && i < count; i++) {
        if (!ops[i].is_delete && !pair_copy(ops[i].key, ops[i].value, &staged[i])) {
            staged_free(staged, i);
            return NULL;
        }
    }
    return staged;
}

bool memory_table_apply(struct memory_table *table, const struct store_op *ops, size_t count)
{
    if (count == 0)
        return true;
    struct memory_pair *staged = stage(ops, count);
    if (!staged)
        return false;
    if (!reserve(table, count)) {
        staged_free(staged, count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (ops[i].is_delete)
            drop(table, ops[i].key);
        else
            put(table, staged[i]);
    }
    free(staged);
    return true;
}

bool memory_table_copy(const struct memory_table *from, struct memory_table *to)
{
    assert(to->used == 0);
    if (!reserve(to, from->used))
        return false;
    for (uint32_t i = 0; i < from->used; i++) {
        struct memory_pair pair;
        if (!from->pairs[i].key.data)
            continue;
        if (!pair_copy(from->pairs[i].key, from->pairs[i].value, &pair))
            return false;
        put(to, pair);
    }
    return true;
}

uint32_t memory_table_seek(const struct memory_table *table, struct text key)
{
    return ordered_seek(&table->order, table->root, place_item, table, &key, true);
}

uint32_t memory_table_after(const struct memory_table *table, uint32_t item)
{
    return ordered_after(&table->order, table->root, item);
}
