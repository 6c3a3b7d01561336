/* SPDX-License-Identifier: Apache-2.0
 * json_keys.h - the keys of objects that no field table describes, to find one that came twice.
 * One stack serves all open objects. Looking happens when an object is closed: few keys are
 * compared pairwise, many are sorted, so that no choice of keys makes it slow. */
#ifndef DIDES_WIRE_JSON_KEYS_H
#define DIDES_WIRE_JSON_KEYS_H

#include "base/arena.h"
#include "base/text.h"

struct json_key {
    struct text text;
    size_t offset; /* in the document */
};

struct json_keys {
    struct json_key *list;
    size_t count, capacity;
};

/* False: no memory, nothing added. */
bool json_keys_add(struct json_keys *keys, struct arena *arena, struct text text, size_t offset);
/* Takes the keys from `first` on away. True: all were different; else *ret is one that came before,
 * with the offset of the later one. */
bool json_keys_close(struct json_keys *keys, size_t first, struct json_key *ret);

#endif
