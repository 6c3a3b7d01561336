/* SPDX-License-Identifier: Apache-2.0
 * labels.c - merging, sharing and dropping label sets. See labels.h.
 * A set is found by a hash over its interned ids, so equal sets are one set and comparing two of
 * them is comparing two numbers. A merge first gathers the wanted labels, each with a user of its
 * texts, and only then makes or finds the set: up to there everything can be given back. */
#include "core/labels.h"

#include "base/limits.h"

#include <assert.h>
#include <string.h>

#define CAPACITY_MIN 16u

/* What a merge has gathered: labels in order of keys that hold a user of each text. A base has
 * LIMIT_LABELS at most, and gathering more fails, so the array is never too small. */
struct gathered {
    struct label labels[LIMIT_LABELS];
    uint32_t count;
};

void labels_init(struct label_sets *sets, const struct memory *memory, struct intern *texts)
{
    *sets = (struct label_sets){ .memory = memory, .texts = texts, .count = 1 };
    map_init(&sets->map, memory);
}

static size_t set_size(uint32_t count)
{
    return sizeof(struct label_set) + count * sizeof(struct label);
}

static void drop_texts(const struct label_sets *sets, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        intern_drop(sets->texts, labels[i].key);
        intern_drop(sets->texts, labels[i].value);
    }
}

static void free_set(const struct label_sets *sets, struct label_set *set)
{
    drop_texts(sets, set->labels, set->count);
    memory_give(sets->memory, set, set_size(set->count));
}

void labels_release(struct label_sets *sets)
{
    for (uint32_t id = 1; sets->slots && id < sets->count; id++)
        if (sets->slots[id].set)
            free_set(sets, sets->slots[id].set);
    memory_give(sets->memory, sets->slots, sets->capacity * sizeof *sets->slots);
    map_release(&sets->map);
    labels_init(sets, sets->memory, sets->texts);
}

/* Not for id 0, which has no slot. */
static struct label_set *set_of(const struct label_sets *sets, uint32_t id)
{
    assert(id > 0 && id < sets->count && sets->slots[id].set);
    return sets->slots[id].set;
}

bool labels_check_key(struct text key, struct err *err)
{
    if (key.size >= 1 && key.size <= LIMIT_LABEL_KEY)
        return true;
    char space[ERR_EXCERPT_SIZE];
    return err_set(err, ERR_INVALID, "the label key \"%s\" has %zu bytes; 1 to %d are allowed",
                   err_excerpt(key, space), key.size, LIMIT_LABEL_KEY);
}

bool labels_check_value(struct text value, struct err *err)
{
    if (value.size <= LIMIT_LABEL_VALUE)
        return true;
    char space[ERR_EXCERPT_SIZE];
    return err_set(err, ERR_INVALID, "the label value \"%s\" has %zu bytes; at most %d are allowed",
                   err_excerpt(value, space), value.size, LIMIT_LABEL_VALUE);
}

/* The place of `key` among `labels`, or where it belongs; returns whether it is there. */
static bool find_key(const struct intern *texts, const struct label *labels, size_t count,
                     struct text key, size_t *ret_place)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare(intern_text(texts, labels[middle].key), key);
        if (order == 0) {
            *ret_place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_place = low;
    return false;
}

/* The last of `changes` that is about `key`; NULL: none. */
static const struct label_change *last_change(const struct label_change *changes, size_t count,
                                              struct text key)
{
    while (count > 0)
        if (text_equal(changes[--count].key, key))
            return &changes[count];
    return NULL;
}

/* Whether a later change of the same key makes `changes[i]` void. */
static bool is_void(const struct label_change *changes, size_t count, size_t i)
{
    return last_change(&changes[i + 1], count - i - 1, changes[i].key) != NULL;
}

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "no memory for a label set");
}

/* The labels of the base that stay, with their new values where they get one. */
static bool gather_base(const struct label_sets *sets, uint32_t base,
                        const struct label_change *changes, size_t count, struct gathered *all,
                        struct err *err)
{
    const struct label_set *set = base ? set_of(sets, base) : NULL;
    for (uint32_t i = 0; set && i < set->count; i++) {
        struct label label = set->labels[i];
        const struct label_change *change =
            last_change(changes, count, intern_text(sets->texts, label.key));
        if (change && change->is_removal)
            continue;
        if (change && !labels_check_value(change->value, err))
            return false;
        if (!change)
            intern_share(sets->texts, label.value);
        else if (!intern_take(sets->texts, change->value, &label.value))
            return out_of_memory(err);
        intern_share(sets->texts, label.key);
        all->labels[all->count++] = label;
    }
    return true;
}

static bool take_texts(const struct label_sets *sets, const struct label_change *change,
                       struct label *ret, struct err *err)
{
    struct label label;
    if (!labels_check_key(change->key, err) || !labels_check_value(change->value, err))
        return false;
    if (!intern_take(sets->texts, change->key, &label.key))
        return out_of_memory(err);
    if (!intern_take(sets->texts, change->value, &label.value)) {
        intern_drop(sets->texts, label.key);
        return out_of_memory(err);
    }
    *ret = label;
    return true;
}

/* The labels whose keys the base has not. Those it has were gathered with their new values. */
static bool gather_new(const struct label_sets *sets, const struct label_change *changes,
                       size_t count, struct gathered *all, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t place;
        struct label label;
        if (changes[i].is_removal ||
            find_key(sets->texts, all->labels, all->count, changes[i].key, &place) ||
            is_void(changes, count, i))
            continue;
        if (all->count == LIMIT_LABELS)
            return err_set(err, ERR_INVALID, "there would be more than %d labels, the most allowed",
                           LIMIT_LABELS);
        if (!take_texts(sets, &changes[i], &label, err))
            return false;
        memmove(&all->labels[place + 1], &all->labels[place],
                (all->count - place) * sizeof all->labels[0]);
        all->labels[place] = label;
        all->count++;
    }
    return true;
}

static uint64_t hash_of(const struct label_sets *sets, const struct label *labels, uint32_t count)
{
    return text_hash((struct text){ (const char *)labels, count * sizeof *labels },
                     sets->texts->seed);
}

static bool set_has_labels(const void *ctx, uint32_t item, const void *key)
{
    const struct label_set *set = set_of(ctx, item);
    const struct gathered *all = key;
    return set->count == all->count &&
           memcmp(set->labels, all->labels, set->count * sizeof set->labels[0]) == 0;
}

/* A free slot there will be, and room for it in the map. */
static bool make_room(struct label_sets *sets)
{
    if (!map_reserve(&sets->map, sets->map.count + 1))
        return false;
    if (sets->first_free || sets->count < sets->capacity)
        return true;
    if (sets->capacity > UINT32_MAX / 2)
        return false;
    uint32_t capacity = sets->capacity ? sets->capacity * 2 : CAPACITY_MIN;
    void *slots =
        sets->memory->resize(sets->memory->ctx, sets->slots, sets->capacity * sizeof *sets->slots,
                             capacity * sizeof *sets->slots);
    if (!slots)
        return false;
    sets->slots = slots;
    sets->capacity = capacity;
    return true;
}

static uint32_t free_slot(struct label_sets *sets)
{
    uint32_t id = sets->first_free;
    if (id)
        sets->first_free = sets->slots[id].next_free;
    else
        id = sets->count++;
    return id;
}

/* Moves the texts of `all` into a new set with one user. */
static bool add_set(struct label_sets *sets, uint64_t hash, const struct gathered *all,
                    uint32_t *ret, struct err *err)
{
    if (!make_room(sets))
        return out_of_memory(err);
    struct label_set *set = memory_take(sets->memory, set_size(all->count));
    if (!set)
        return out_of_memory(err);
    set->users = 1;
    set->count = all->count;
    memcpy(set->labels, all->labels, all->count * sizeof all->labels[0]);
    uint32_t id = free_slot(sets);
    sets->slots[id] = (struct label_slot){ .set = set };
    bool inserted = map_insert(&sets->map, hash, id);
    assert(inserted); /* room was made before */
    *ret = id;
    return true;
}

/* The set of the labels in `all`, new or not, with one more user. Takes the texts on success. */
static bool keep_set(struct label_sets *sets, const struct gathered *all, uint32_t *ret,
                     struct err *err)
{
    if (all->count == 0) {
        *ret = 0;
        return true;
    }
    uint64_t hash = hash_of(sets, all->labels, all->count);
    uint32_t id = map_find(&sets->map, hash, set_has_labels, sets, all);
    if (id == MAP_NONE)
        return add_set(sets, hash, all, ret, err);
    *ret = labels_share(sets, id);
    drop_texts(sets, all->labels, all->count);
    return true;
}

bool labels_merge(struct label_sets *sets, uint32_t base, const struct label_change *changes,
                  size_t count, uint32_t *ret, struct err *err)
{
    struct gathered all;
    all.count = 0;
    if (gather_base(sets, base, changes, count, &all, err) &&
        gather_new(sets, changes, count, &all, err) && keep_set(sets, &all, ret, err))
        return true;
    drop_texts(sets, all.labels, all.count);
    return false;
}

uint32_t labels_share(struct label_sets *sets, uint32_t id)
{
    if (id) {
        struct label_set *set = set_of(sets, id);
        assert(set->users < UINT32_MAX);
        set->users++;
    }
    return id;
}

void labels_drop(struct label_sets *sets, uint32_t id)
{
    if (id == 0)
        return;
    struct label_set *set = set_of(sets, id);
    assert(set->users > 0);
    if (--set->users > 0)
        return;
    bool removed = map_remove(&sets->map, hash_of(sets, set->labels, set->count), id);
    assert(removed);
    free_set(sets, set);
    sets->slots[id] = (struct label_slot){ .next_free = sets->first_free };
    sets->first_free = id;
}

size_t labels_count(const struct label_sets *sets, uint32_t id)
{
    return id ? set_of(sets, id)->count : 0;
}

void labels_at(const struct label_sets *sets, uint32_t id, size_t i, struct text *ret_key,
               struct text *ret_value)
{
    const struct label_set *set = set_of(sets, id);
    assert(i < set->count);
    *ret_key = intern_text(sets->texts, set->labels[i].key);
    *ret_value = intern_text(sets->texts, set->labels[i].value);
}

bool labels_value(const struct label_sets *sets, uint32_t id, struct text key,
                  struct text *ret_value)
{
    const struct label_set *set = id ? set_of(sets, id) : NULL;
    size_t place;
    if (!set || !find_key(sets->texts, set->labels, set->count, key, &place))
        return false;
    *ret_value = intern_text(sets->texts, set->labels[place].value);
    return true;
}

uint32_t labels_value_id(const struct label_sets *sets, uint32_t id, struct text key)
{
    const struct label_set *set = id ? set_of(sets, id) : NULL;
    size_t place;
    if (!set || !find_key(sets->texts, set->labels, set->count, key, &place))
        return LABELS_ABSENT;
    return set->labels[place].value;
}

/* Whether `change` alone leaves the set as it is. *place is where the key is likely to stand: an
 * agent repeats its labels in one order, so the label after the last one is nearly always it. */
static bool agrees(const struct label_sets *sets, const struct label_set *set,
                   const struct label_change *change, size_t *place)
{
    bool is_there = *place < set->count &&
                    text_equal(intern_text(sets->texts, set->labels[*place].key), change->key);
    if (!is_there)
        is_there = find_key(sets->texts, set->labels, set->count, change->key, place);
    if (!is_there)
        return change->is_removal;
    uint32_t value = set->labels[(*place)++].value;
    return !change->is_removal && text_equal(intern_text(sets->texts, value), change->value);
}

bool labels_would_stay(const struct label_sets *sets, uint32_t id,
                       const struct label_change *changes, size_t count)
{
    static const struct label_set empty = { 0 };
    const struct label_set *set = id ? set_of(sets, id) : &empty;
    size_t place = 0;
    for (size_t i = 0; i < count; i++)
        if (!agrees(sets, set, &changes[i], &place) && !is_void(changes, count, i))
            return false;
    return true;
}
