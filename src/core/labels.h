/* SPDX-License-Identifier: Apache-2.0
 * labels.h - label sets, each distinct one kept once.
 * A fleet has millions of instances but at most thousands of label combinations, so an instance
 * holds the number of its set. Sets are immutable and counted; keys and values are interned. */
#ifndef DIDES_CORE_LABELS_H
#define DIDES_CORE_LABELS_H

#include "base/err.h"
#include "base/intern.h"

struct label {
    uint32_t key, value; /* interned */
};

struct label_set {
    uint32_t users, count;
    struct label labels[]; /* sorted by the text of the key, bytewise */
};

struct label_slot {
    struct label_set *set; /* NULL: free */
    uint32_t next_free;    /* of a free slot; 0 ends the list */
};

struct label_sets {
    const struct memory *memory;
    struct intern *texts;
    struct map map;
    struct label_slot *slots;             /* by id; slot 0 is never used */
    uint32_t capacity, count, first_free; /* of slots; free ones are counted, slot 0 too */
};

/* One wanted change. A removal of a key that is not there does nothing. */
struct label_change {
    struct text key, value;
    bool is_removal;
};

/* Takes no memory yet. `texts` is borrowed and must be released after the sets. */
void labels_init(struct label_sets *sets, const struct memory *memory, struct intern *texts);
void labels_release(struct label_sets *sets); /* users left or not; gives the texts back */

/* Whether a key has 1 to LIMIT_LABEL_KEY bytes, and a value at most LIMIT_LABEL_VALUE. Fails with
 * ERR_INVALID. */
bool labels_check_key(struct text key, struct err *err);
bool labels_check_value(struct text value, struct err *err);

/* The set `base` (0: the empty one) with `changes` applied in order, with one more user; `base`
 * keeps its own. Only the last change of a key counts. Fails with ERR_INVALID when the result has
 * more than LIMIT_LABELS labels or a key or value of a size that is not allowed, or with
 * ERR_MEMORY; then nothing has changed. Source: spec of rollouts, N4 and 9.7. */
bool labels_merge(struct label_sets *sets, uint32_t base, const struct label_change *changes,
                  size_t count, uint32_t *ret, struct err *err);

uint32_t labels_share(struct label_sets *sets, uint32_t id); /* one more user; returns id */
void labels_drop(struct label_sets *sets, uint32_t id);      /* one less; the last one frees it */

size_t labels_count(const struct label_sets *sets, uint32_t id);
/* Pair number `i`, in order of keys. Texts are borrowed until the last user drops the set. */
void labels_at(const struct label_sets *sets, uint32_t id, size_t i, struct text *ret_key,
               struct text *ret_value);
/* The value of `key`; false when the set has no such key. */
bool labels_value(const struct label_sets *sets, uint32_t id, struct text key,
                  struct text *ret_value);
/* The same as the interned number of the value, or LABELS_ABSENT. */
#define LABELS_ABSENT UINT32_MAX
uint32_t labels_value_id(const struct label_sets *sets, uint32_t id, struct text key);
/* Whether applying `changes` would give the same set. Never allocates; changes in the order of keys
 * cost one walk. */
bool labels_would_stay(const struct label_sets *sets, uint32_t id,
                       const struct label_change *changes, size_t count);

#endif
