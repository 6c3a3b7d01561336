/* SPDX-License-Identifier: Apache-2.0
 * selector_kit.h - what the tests of selectors share: a fixture with memory that keeps accounts,
 * and random selectors. A wish is a requirement in numbers; a world is the value number of each
 * key, and all worlds together are every label set that these keys and values can tell apart. */
#ifndef DIDES_TEST_SELECTOR_KIT_H
#define DIDES_TEST_SELECTOR_KIT_H

#include "core/selector.h"

#include "base/dice.h"
#include "base/faulty_memory.h"

struct fixture {
    struct faulty_memory memory;
    struct arena arena;
    struct buffer out;
};

void begin(struct fixture *f);
void end(struct fixture *f); /* claims that nothing leaks */

struct selector parse(struct fixture *f, struct text text); /* must be one */
/* Good until the next call that prints or writes. */
struct text print(struct fixture *f, const struct selector *selector);

#define WORLD_KEYS   4
#define WORLD_VALUES 5
#define WORLDS       (6u * 6 * 6 * 6) /* each key has one of the values, or is not there */
#define WISHES       6

extern const struct text world_keys[WORLD_KEYS];
extern const struct text world_values[WORLD_VALUES];

struct world {
    int values[WORLD_KEYS]; /* -1: the key is not there */
};

struct wish {
    uint32_t key;
    enum selector_op op;
    uint32_t values; /* set of value numbers, one bit each */
};

struct world world_at(uint32_t number); /* 0 to WORLDS - 1; 0 is empty */
bool wishes_hold(const struct wish *wishes, size_t count, const struct world *world);

/* At most WISHES wishes, and as a selector that was read from a text written at random. */
struct selector roll_selector(struct fixture *f, struct dice *dice, struct wish *ret_wishes,
                              size_t *ret_count);
/* One of the many texts that mean the wishes. */
struct text write_wishes(struct fixture *f, struct dice *dice, const struct wish *wishes,
                         size_t count);

#endif
