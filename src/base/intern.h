/* SPDX-License-Identifier: Apache-2.0
 * intern.h - equal texts once, as small numbers with a count of users. Id 0 is the empty text: it
 * is always there and never counted. Ids differ from run to run: never store or order by them. */
#ifndef DIDES_BASE_INTERN_H
#define DIDES_BASE_INTERN_H

#include "base/map.h"
#include "base/text.h"

struct intern_entry;

struct intern {
    const struct memory *memory;
    struct map map;
    struct intern_entry *entries;
    uint32_t capacity, count; /* of entries, free ones included */
    uint32_t first_free;
    uint64_t seed;
};

/* False: no memory. */
bool intern_init(struct intern *intern, const struct memory *memory, uint64_t seed);
void intern_release(struct intern *intern);

/* The id of `t` with one more user. False: no memory, or 4 GiB and more; *ret untouched. */
bool intern_take(struct intern *intern, struct text t, uint32_t *ret);
/* The id of `t` if it is in use. False: nobody uses it. Adds no user. */
bool intern_find(const struct intern *intern, struct text t, uint32_t *ret);
uint32_t intern_share(struct intern *intern, uint32_t id); /* one more user; returns id */
void intern_drop(struct intern *intern, uint32_t id); /* one less; the last one frees the text */
/* Borrowed until its last user drops it. */
struct text intern_text(const struct intern *intern, uint32_t id);

#endif
