/* SPDX-License-Identifier: Apache-2.0
 * intern.c - texts by number, counted. See intern.h. Freed entries form a list; entry 0, the empty
 * text, ends it. */
#include "base/intern.h"

#include <assert.h>
#include <string.h>

#define CAPACITY_MIN 16u

struct intern_entry {
    char *data; /* NULL: free */
    union {
        uint32_t size;
        uint32_t next_free; /* of a free entry; 0 ends the list */
    };
    uint32_t users;
};

bool intern_init(struct intern *intern, const struct memory *memory, uint64_t seed)
{
    struct intern_entry *entries = memory_take_zeroed(memory, CAPACITY_MIN * sizeof *entries);
    if (!entries)
        return false;
    *intern = (struct intern){
        .memory = memory, .entries = entries, .capacity = CAPACITY_MIN, .count = 1, .seed = seed
    };
    map_init(&intern->map, memory);
    return true;
}

void intern_release(struct intern *intern)
{
    for (uint32_t id = 1; id < intern->count; id++) {
        struct intern_entry *entry = &intern->entries[id];
        if (entry->data)
            memory_give(intern->memory, entry->data, entry->size);
    }
    if (intern->entries) {
        memory_give(intern->memory, intern->entries, intern->capacity * sizeof *intern->entries);
        map_release(&intern->map);
    }
    *intern = (struct intern){ .memory = intern->memory };
}

static bool entry_has_text(const void *ctx, uint32_t item, const void *key)
{
    const struct intern *intern = ctx;
    const struct text *t = key;
    return text_equal(intern_text(intern, item), *t);
}

static uint32_t find(const struct intern *intern, uint64_t hash, struct text t)
{
    return map_find(&intern->map, hash, entry_has_text, intern, &t);
}

/* An unused entry there will be, and room for it in the map. */
static bool make_room(struct intern *intern)
{
    if (!map_reserve(&intern->map, intern->map.count + 1))
        return false;
    if (intern->first_free || intern->count < intern->capacity)
        return true;
    if (intern->capacity > UINT32_MAX / 2)
        return false;
    size_t size = intern->capacity * sizeof *intern->entries;
    void *entries = intern->memory->resize(intern->memory->ctx, intern->entries, size, size * 2);
    if (!entries)
        return false;
    intern->entries = entries;
    intern->capacity *= 2;
    return true;
}

static uint32_t unused_entry(struct intern *intern)
{
    uint32_t id = intern->first_free;
    if (id)
        intern->first_free = intern->entries[id].next_free;
    else
        id = intern->count++;
    return id;
}

static bool add(struct intern *intern, uint64_t hash, struct text t, uint32_t *ret)
{
    if (t.size > UINT32_MAX || !make_room(intern))
        return false;
    char *data = memory_take(intern->memory, t.size);
    if (!data)
        return false;
    memcpy(data, t.data, t.size);
    uint32_t id = unused_entry(intern);
    intern->entries[id] =
        (struct intern_entry){ .data = data, .size = (uint32_t)t.size, .users = 1 };
    bool inserted = map_insert(&intern->map, hash, id);
    assert(inserted); /* room was made before */
    *ret = id;
    return true;
}

bool intern_take(struct intern *intern, struct text t, uint32_t *ret)
{
    if (t.size == 0) {
        *ret = 0;
        return true;
    }
    uint64_t hash = text_hash(t, intern->seed);
    uint32_t id = find(intern, hash, t);
    if (id == MAP_NONE)
        return add(intern, hash, t, ret);
    *ret = intern_share(intern, id);
    return true;
}

bool intern_find(const struct intern *intern, struct text t, uint32_t *ret)
{
    uint32_t id = t.size ? find(intern, text_hash(t, intern->seed), t) : 0;
    if (id == MAP_NONE)
        return false;
    *ret = id;
    return true;
}

static struct intern_entry *used_entry(const struct intern *intern, uint32_t id)
{
    assert(id < intern->count && intern->entries[id].users > 0);
    return &intern->entries[id];
}

uint32_t intern_share(struct intern *intern, uint32_t id)
{
    if (id) {
        struct intern_entry *entry = used_entry(intern, id);
        assert(entry->users < UINT32_MAX);
        entry->users++;
    }
    return id;
}

void intern_drop(struct intern *intern, uint32_t id)
{
    if (id == 0)
        return;
    struct intern_entry *entry = used_entry(intern, id);
    if (--entry->users > 0)
        return;
    bool removed = map_remove(
        &intern->map, text_hash((struct text){ entry->data, entry->size }, intern->seed), id);
    assert(removed);
    memory_give(intern->memory, entry->data, entry->size);
    *entry = (struct intern_entry){ .next_free = intern->first_free };
    intern->first_free = id;
}

struct text intern_text(const struct intern *intern, uint32_t id)
{
    if (id == 0)
        return TEXT("");
    const struct intern_entry *entry = used_entry(intern, id);
    return (struct text){ entry->data, entry->size };
}
