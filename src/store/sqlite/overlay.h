/* SPDX-License-Identifier: Apache-2.0
 * overlay.h - journal rows as one ordered change: of several ops on a key only the last is left. */
#ifndef DIDES_STORE_SQLITE_OVERLAY_H
#define DIDES_STORE_SQLITE_OVERLAY_H

#include "store/sqlite/inner.h"

struct sqlite_overlay {
    struct buffer bytes; /* the batches, one after the other; the ops point into them */
    struct store_op *ops;
    size_t count;
    uint64_t seq, chain;     /* of the last row taken */
    uint64_t rows, capacity; /* rows taken; ops before duplicates went */
};

/* Takes the oldest unfolded rows: at least one if there is any, and no more once `bytes` are taken.
 * False: *err says why, and the overlay is released; ERR_MEMORY leaves the store as it was. */
bool sqlite_overlay_take(struct store *s, size_t bytes, struct sqlite_overlay *ret,
                         struct err *err);
void sqlite_overlay_release(struct sqlite_overlay *overlay);
/* The index of the first op with key >= `key`, or count. */
size_t sqlite_overlay_seek(const struct sqlite_overlay *overlay, struct text key);

#endif
