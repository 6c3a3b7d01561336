/* SPDX-License-Identifier: Apache-2.0
 * table.h - ordered pairs of bytes in memory. A change is staged first, which may fail, and then
 * applied, which cannot: that is what makes a batch atomic when memory runs out. */
#ifndef DIDES_STORE_MEMORY_TABLE_H
#define DIDES_STORE_MEMORY_TABLE_H

#include "base/ordered.h"
#include "port/store.h"

/* One block of memory holds both; a NULL key.data is an empty place. */
struct memory_pair {
    struct text key, value;
};

struct memory_table {
    struct memory_pair *pairs;
    uint32_t *free_items;
    uint32_t capacity, used, free_count; /* items below `used` are pairs or free */
    struct ordered order;
    uint32_t root;
};

/* A table is not moved once it is initialised: its order points back to it. */
void memory_table_init(struct memory_table *table);
void memory_table_release(struct memory_table *table);

/* False: no memory; then the content is as it was. */
bool memory_table_apply(struct memory_table *table, const struct store_op *ops, size_t count);
/* `to` must be empty. False: no memory; then `to` is a part and must be released. */
bool memory_table_copy(const struct memory_table *from, struct memory_table *to);

/* The first item with key >= `key`, or ORDERED_NONE; then its successor. */
uint32_t memory_table_seek(const struct memory_table *table, struct text key);
uint32_t memory_table_after(const struct memory_table *table, uint32_t item);

#endif
