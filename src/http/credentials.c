/* SPDX-License-Identifier: Apache-2.0
 * credentials.c - see credentials.h. Found by hash: of 256 random bits nothing can be learned from
 * how long looking for their hash takes. */
#include "http/credentials.h"

#include <assert.h>
#include <string.h>

#define CAPACITY_MIN 1024u

static const unsigned char no_hash[SECRET_HASH_SIZE];

/* ---- life ----------------------------------------------------------------------------------- */

void credentials_init(struct credentials *c, const struct memory *memory)
{
    *c = (struct credentials){ .memory = memory };
    map_init(&c->hashes, memory);
}

static void give_hash(struct credentials *c, unsigned char *hash)
{
    memory_give(c->memory, hash, SECRET_HASH_SIZE);
}

void credentials_release(struct credentials *c)
{
    for (struct credential_change *log = c->newest; log; log = log->older)
        give_hash(c, log->was.previous);
    for (uint32_t slot = 0; slot < c->capacity; slot++)
        give_hash(c, c->by_slot[slot].previous);
    give_hash(c, c->spare);
    map_release(&c->hashes);
    memory_give(c->memory, c->by_slot, c->capacity * sizeof c->by_slot[0]);
    *c = (struct credentials){ .memory = c->memory };
}

/* ---- looking -------------------------------------------------------------------------------- */

static uint64_t key_of(const unsigned char *hash)
{
    uint64_t key;
    memcpy(&key, hash, sizeof key);
    return key;
}

bool credentials_has(const struct credentials *c, uint32_t slot)
{
    return credentials_present(c, slot) != NULL;
}

const unsigned char *credentials_present(const struct credentials *c, uint32_t slot)
{
    bool is_there = slot < c->capacity && !secret_equal(c->by_slot[slot].present, no_hash);
    return is_there ? c->by_slot[slot].present : NULL;
}

const unsigned char *credentials_previous(const struct credentials *c, uint32_t slot)
{
    return slot < c->capacity ? c->by_slot[slot].previous : NULL;
}

/* Two items for each slot: map_remove() finds them by item alone. */
static uint32_t item_of(uint32_t slot, bool is_previous)
{
    return slot * 2 + is_previous;
}

static const unsigned char *hash_of(const struct credentials *c, uint32_t item)
{
    const struct credential *credential = &c->by_slot[item / 2];
    return item % 2 ? credential->previous : credential->present;
}

static bool has_hash(const void *ctx, uint32_t item, const void *hash)
{
    const struct credentials *c = ctx;
    return secret_equal(hash_of(c, item), hash);
}

uint32_t credentials_find(const struct credentials *c,
                          const unsigned char hash[static SECRET_HASH_SIZE],
                          enum credential_kind *ret_kind)
{
    uint32_t item = map_find(&c->hashes, key_of(hash), has_hash, c, hash);
    if (item == MAP_NONE)
        return CREDENTIAL_NOBODY;
    *ret_kind = item % 2 ? CREDENTIAL_PREVIOUS : CREDENTIAL_PRESENT;
    return item / 2;
}

/* ---- changing ------------------------------------------------------------------------------- */

static bool grow(struct credentials *c, uint32_t slots)
{
    uint32_t capacity = c->capacity ? c->capacity : CAPACITY_MIN;
    while (capacity < slots)
        capacity += capacity / 2;
    struct credential *grown = c->memory->resize(
        c->memory->ctx, c->by_slot, c->capacity * sizeof grown[0], capacity * sizeof grown[0]);
    if (!grown)
        return false;
    memset(grown + c->capacity, 0, (capacity - c->capacity) * sizeof grown[0]);
    c->by_slot = grown;
    c->capacity = capacity;
    return true;
}

bool credentials_reserve(struct credentials *c, uint32_t slots)
{
    if (!c->spare)
        c->spare = memory_take(c->memory, SECRET_HASH_SIZE);
    return c->spare && (slots <= c->capacity || grow(c, slots)) &&
           map_reserve(&c->hashes, c->hashes.count + 2);
}

static void insert(struct credentials *c, uint32_t item)
{
    bool is_in = map_insert(&c->hashes, key_of(hash_of(c, item)), item);
    assert(is_in); /* room was made before */
}

static void take_out(struct credentials *c, uint32_t item)
{
    bool was_in = map_remove(&c->hashes, key_of(hash_of(c, item)), item);
    assert(was_in);
}

static void out_of_map(struct credentials *c, uint32_t slot)
{
    const struct credential *credential = &c->by_slot[slot];
    if (!credentials_has(c, slot))
        return;
    take_out(c, item_of(slot, false));
    if (credential->previous)
        take_out(c, item_of(slot, true));
    c->count--;
}

static void into_map(struct credentials *c, uint32_t slot)
{
    const struct credential *credential = &c->by_slot[slot];
    if (!credentials_has(c, slot))
        return;
    insert(c, item_of(slot, false));
    if (credential->previous)
        insert(c, item_of(slot, true));
    c->count++;
}

/* Takes over `is`; what was there goes into the log. */
static void change(struct credentials *c, uint32_t slot, struct credential is,
                   struct credential_change *log)
{
    assert(slot < c->capacity);
    out_of_map(c, slot);
    *log = (struct credential_change){
        .older = c->newest, .was = c->by_slot[slot], .slot = slot, .is_open = true
    };
    if (c->newest)
        c->newest->newer = log;
    c->newest = log;
    c->by_slot[slot] = is;
    into_map(c, slot);
}

static unsigned char *take_spare(struct credentials *c, const unsigned char *hash)
{
    unsigned char *copy = c->spare;
    assert(copy); /* reserved */
    c->spare = NULL;
    memcpy(copy, hash, SECRET_HASH_SIZE);
    return copy;
}

void credentials_replace(struct credentials *c, uint32_t slot,
                         const unsigned char hash[static SECRET_HASH_SIZE],
                         enum credential_kind shown, struct credential_change *log)
{
    const unsigned char *present = credentials_present(c, slot);
    const unsigned char *previous = credentials_previous(c, slot);
    /* While there is a previous one, the present one was never used. */
    const unsigned char *kept = previous && shown != CREDENTIAL_PRESENT ? previous : present;
    struct credential is = { .previous = kept ? take_spare(c, kept) : NULL };
    memcpy(is.present, hash, SECRET_HASH_SIZE);
    change(c, slot, is, log);
}

void credentials_remove(struct credentials *c, uint32_t slot, struct credential_change *log)
{
    change(c, slot, (struct credential){ .previous = NULL }, log);
}

void credentials_retire(struct credentials *c, uint32_t slot)
{
    struct credential *credential = &c->by_slot[slot];
    assert(slot < c->capacity && credential->previous);
    take_out(c, item_of(slot, true));
    give_hash(c, credential->previous);
    credential->previous = NULL;
}

void credentials_load(struct credentials *c, uint32_t slot,
                      const unsigned char present[static SECRET_HASH_SIZE],
                      const unsigned char *previous)
{
    assert(slot < c->capacity && !credentials_has(c, slot));
    memcpy(c->by_slot[slot].present, present, SECRET_HASH_SIZE);
    c->by_slot[slot].previous = previous ? take_spare(c, previous) : NULL;
    into_map(c, slot);
}

/* ---- durable or not ------------------------------------------------------------------------- */

static void close_log(struct credentials *c, struct credential_change *log)
{
    if (log->newer)
        log->newer->older = log->older;
    else
        c->newest = log->older;
    if (log->older)
        log->older->newer = log->newer;
    log->is_open = false;
}

void credentials_settle(struct credentials *c, struct credential_change *log)
{
    if (!log->is_open)
        return;
    close_log(c, log);
    give_hash(c, log->was.previous);
    log->was.previous = NULL;
}

void credentials_take_back(struct credentials *c)
{
    while (c->newest) {
        struct credential_change *log = c->newest;
        out_of_map(c, log->slot);
        give_hash(c, c->by_slot[log->slot].previous);
        c->by_slot[log->slot] = log->was;
        into_map(c, log->slot);
        close_log(c, log);
        log->was.previous = NULL;
    }
}
