/* SPDX-License-Identifier: Apache-2.0
 * vault.c - see vault.h. A batch is a text of (head, key, value); the vault is a map of copies. */
#include "sim/vault.h"

#include "wire/record.h"

#define BATCH_MAX   ((size_t)4 << 30)
#define RECORD_MAX  ((size_t)4 << 20)
#define SCRATCH_MAX ((size_t)16 << 20)
#define GONE        UINT32_MAX

struct op_head {
    uint32_t key_size, value_size; /* value_size GONE: the record goes */
    uint32_t generation;
    bool is_rollout;
};

struct vault_entry {
    struct op_head head;
    char *bytes; /* key, value */
};

static struct text key_of(const struct vault_entry *entry)
{
    return (struct text){ entry->bytes, entry->head.key_size };
}

static struct text value_of(const struct vault_entry *entry)
{
    return (struct text){ entry->bytes + entry->head.key_size, entry->head.value_size };
}

static void drop(struct vault_entry *entry)
{
    memory_give(&memory_heap, entry->bytes, (size_t)entry->head.key_size + entry->head.value_size);
}

void vault_init(struct vault *vault)
{
    *vault = (struct vault){ .next_index = 1 };
    map_init(&vault->map, &memory_heap);
    buffer_init(&vault->scratch, &memory_heap, RECORD_MAX);
}

void vault_release(struct vault *vault)
{
    for (uint32_t i = 0; i < vault->count; i++)
        drop(&vault->entries[i]);
    memory_give(&memory_heap, vault->entries, vault->capacity * sizeof *vault->entries);
    map_release(&vault->map);
    buffer_release(&vault->scratch);
    *vault = (struct vault){ 0 };
}

void vault_batch_init(struct vault_batch *batch)
{
    *batch = (struct vault_batch){ 0 };
    buffer_init(&batch->ops, &memory_heap, BATCH_MAX);
}

void vault_batch_release(struct vault_batch *batch)
{
    buffer_release(&batch->ops);
}

/* ---- collecting ----------------------------------------------------------------------------- */

struct collecting {
    struct buffer *ops;
    const struct fleet *fleet;
};

static void add_record(struct buffer *ops, const struct fleet *fleet, const struct fleet_dirty *d)
{
    bool is_rollout = d->rollout != NULL;
    struct op_head head = { .value_size = GONE, .is_rollout = is_rollout };
    size_t at = ops->size;
    if (!buffer_reserve(ops, sizeof head))
        return;
    if (is_rollout)
        wire_rollout_key(ops, d->rollout->number);
    else
        wire_instance_key(ops, instance_key(fleet_at(fleet, d->slot)));
    head.key_size = (uint32_t)(ops->size - at - sizeof head);
    if (!is_rollout)
        head.generation = fleet_at(fleet, d->slot)->generation;
    if (!d->is_delete) {
        size_t before = ops->size;
        if (is_rollout)
            wire_store_rollout(ops, fleet, d->rollout);
        else
            wire_store_instance(ops, fleet, d->slot);
        head.value_size = (uint32_t)(ops->size - before);
    }
    if (!ops->failed)
        memcpy(ops->data + at, &head, sizeof head);
}

static void collect_one(void *ctx, const struct fleet_dirty *dirty)
{
    struct collecting *c = ctx;
    add_record(c->ops, c->fleet, dirty);
}

bool vault_collect(struct vault_batch *batch, const struct fleet *fleet)
{
    struct collecting c = { &batch->ops, fleet };
    buffer_clear(&batch->ops);
    fleet_each_dirty(fleet, collect_one, &c);
    batch->next_index = fleet->next_index;
    batch->last_number = fleet->last_number;
    return !batch->ops.failed;
}

/* ---- applying ------------------------------------------------------------------------------- */

static bool entry_is(const void *ctx, uint32_t item, const void *key)
{
    const struct vault *vault = ctx;
    return text_equal(key_of(&vault->entries[item]), *(const struct text *)key);
}

static uint32_t find(const struct vault *vault, struct text key)
{
    return map_find(&vault->map, text_hash(key, 0), entry_is, vault, &key);
}

static bool add_entry(struct vault *vault, const struct vault_entry *entry)
{
    if (vault->count == vault->capacity) {
        uint32_t next = vault->capacity ? vault->capacity * 2 : 64;
        void *grown = memory_heap.resize(memory_heap.ctx, vault->entries,
                                         vault->capacity * sizeof *entry, next * sizeof *entry);
        if (!grown)
            return false;
        vault->entries = grown;
        vault->capacity = next;
    }
    vault->entries[vault->count] = *entry;
    if (!map_insert(&vault->map, text_hash(key_of(entry), 0), vault->count))
        return false;
    vault->count++;
    return true;
}

static void remove_entry(struct vault *vault, uint32_t at)
{
    uint32_t last = vault->count - 1;
    map_remove(&vault->map, text_hash(key_of(&vault->entries[at]), 0), at);
    drop(&vault->entries[at]);
    if (at != last) {
        uint64_t hash = text_hash(key_of(&vault->entries[last]), 0);
        map_remove(&vault->map, hash, last);
        vault->entries[at] = vault->entries[last];
        map_insert(&vault->map, hash, at); /* there is room: one was taken out */
    }
    vault->count--;
}

/* A copy of the record at the front of *rest, which moves on. */
static bool take_op(struct text *rest, struct vault_entry *ret)
{
    struct op_head head;
    memcpy(&head, rest->data, sizeof head);
    struct text bytes = text_skip(*rest, sizeof head);
    bytes.size = head.key_size + (head.value_size == GONE ? 0 : (size_t)head.value_size);
    *rest = text_skip(*rest, sizeof head + bytes.size);
    char *copy = memory_take(&memory_heap, bytes.size);
    if (!copy)
        return false;
    memcpy(copy, bytes.data, bytes.size);
    *ret = (struct vault_entry){ head, copy };
    return true;
}

bool vault_apply(struct vault *vault, const struct vault_batch *batch)
{
    struct text rest = buffer_text(&batch->ops);
    while (rest.size > 0) {
        struct vault_entry entry;
        if (!take_op(&rest, &entry))
            return false;
        bool is_gone = entry.head.value_size == GONE;
        if (is_gone)
            entry.head.value_size = 0;
        uint32_t at = find(vault, key_of(&entry));
        if (is_gone && at != MAP_NONE)
            remove_entry(vault, at);
        if (is_gone) {
            drop(&entry);
        } else if (at != MAP_NONE) {
            drop(&vault->entries[at]);
            vault->entries[at] = entry;
        } else if (!add_entry(vault, &entry)) {
            drop(&entry);
            return false;
        }
    }
    vault->next_index = batch->next_index;
    vault->last_number = batch->last_number;
    return true;
}

/* ---- loading -------------------------------------------------------------------------------- */

static bool load_kind(const struct vault *vault, struct fleet *fleet, bool is_rollout,
                      struct arena *scratch, struct err *err)
{
    for (uint32_t i = 0; i < vault->count; i++) {
        const struct vault_entry *entry = &vault->entries[i];
        if (entry->head.is_rollout != is_rollout)
            continue;
        arena_clear(scratch);
        if (is_rollout ? !wire_load_rollout(fleet, key_of(entry), value_of(entry), scratch, err)
                       : !wire_load_instance(fleet, key_of(entry), value_of(entry), scratch, err))
            return false;
    }
    return true;
}

/* Instances come before rollouts, as in the order of keys; counters as the engine loads them. */
bool vault_load(const struct vault *vault, struct fleet *fleet, int64_t now, int64_t stood_still_ms,
                struct err *err)
{
    struct arena scratch;
    arena_init(&scratch, &memory_heap, SCRATCH_MAX);
    bool loaded = load_kind(vault, fleet, false, &scratch, err) &&
                  load_kind(vault, fleet, true, &scratch, err);
    arena_release(&scratch);
    if (!loaded)
        return false;
    fleet->next_index = vault->next_index;
    if (vault->last_number > fleet->last_number)
        fleet->last_number = vault->last_number;
    fleet_settle(fleet, fleet_end_round(fleet));
    return fleet_finish_loading(fleet, now, stood_still_ms, err);
}

/* ---- comparing ------------------------------------------------------------------------------ */

bool vault_generation(struct vault *vault, struct text key, uint32_t *ret)
{
    buffer_clear(&vault->scratch);
    wire_instance_key(&vault->scratch, key);
    uint32_t at = vault->scratch.failed ? MAP_NONE : find(vault, buffer_text(&vault->scratch));
    if (at == MAP_NONE)
        return false;
    *ret = vault->entries[at].head.generation;
    return true;
}

static size_t first_difference(struct text a, struct text b)
{
    size_t at = 0;
    while (at < a.size && at < b.size && a.data[at] == b.data[at])
        at++;
    return at;
}

/* What stands around a place, bounded. */
static struct text excerpt(struct text t, size_t at)
{
    size_t from = at > 40 ? at - 40 : 0;
    struct text rest = text_skip(t, from);
    return (struct text){ rest.data, rest.size < 60 ? rest.size : 60 };
}

static bool record_equals(struct vault *vault, const struct fleet *fleet,
                          const struct fleet_dirty *record, struct err *err)
{
    struct op_head head;
    buffer_clear(&vault->scratch);
    add_record(&vault->scratch, fleet, record);
    if (vault->scratch.failed)
        return err_set(err, ERR_MEMORY, "no memory to compare a record");
    memcpy(&head, vault->scratch.data, sizeof head);
    struct text key = { vault->scratch.data + sizeof head, head.key_size };
    struct text value = { key.data + key.size, head.value_size };
    uint32_t at = find(vault, key);
    if (at == MAP_NONE)
        return err_set(err, ERR_CORRUPT, "the record %.*s is not stored", TEXT_ARG(key));
    struct text stored = value_of(&vault->entries[at]);
    if (text_equal(stored, value))
        return true;
    size_t from = first_difference(stored, value);
    return err_set(err, ERR_CORRUPT, "the record %.*s is %.*s and was stored as %.*s",
                   TEXT_ARG(key), TEXT_ARG(excerpt(value, from)), TEXT_ARG(excerpt(stored, from)));
}

bool vault_equals(struct vault *vault, const struct fleet *fleet, struct err *err)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (!inst->texts || inst->is_gone)
            continue;
        count++;
        if (!record_equals(vault, fleet, &(struct fleet_dirty){ .slot = slot }, err))
            return false;
    }
    for (uint32_t i = 0; i < fleet->rollout_count; i++, count++)
        if (!record_equals(
                vault, fleet,
                &(struct fleet_dirty){ .slot = FLEET_NONE, .rollout = fleet->rollouts[i] }, err))
            return false;
    if (count != vault->count)
        return err_set(err, ERR_CORRUPT, "%u records are stored and %u exist", vault->count, count);
    return true;
}
