/* SPDX-License-Identifier: Apache-2.0
 * batch.h - a batch as bytes, the content of one journal row. All numbers little-endian:
 *
 *   batch := 01 (version)  count:u32  op{count}
 *   op    := kind:u8 (0 put, 1 delete)  key_size:u16  value_size:u32  key  value
 *
 * A key has 1 to STORE_KEY_MAX bytes, a value at most STORE_VALUE_MAX, that of a delete none.
 * Nothing may follow the last op. */
#ifndef DIDES_STORE_SQLITE_BATCH_H
#define DIDES_STORE_SQLITE_BATCH_H

#include "base/buffer.h"
#include "port/store.h"

/* Largest encoded batch; SQLite itself ends at 1,000,000,000 bytes a row. */
#define SQLITE_BATCH_MAX (512u * 1024 * 1024)

/* Encoded size; may be over SQLITE_BATCH_MAX. Asserts the limits of keys and values. */
size_t sqlite_batch_size(const struct store_batch *batch);
/* Replaces the content of `out`; out->failed says that there was no memory. */
void sqlite_batch_encode(struct buffer *out, const struct store_batch *batch);

struct sqlite_batch_reader {
    struct text rest;
    uint32_t left; /* ops still to come */
};

/* Reads the head of the batch that `bytes` starts with. False: it is not one. */
bool sqlite_batch_open(struct sqlite_batch_reader *ret, struct text bytes);
/* The next op, while `left` > 0; its texts point into the bytes. False: damaged. */
bool sqlite_batch_next(struct sqlite_batch_reader *reader, struct store_op *ret);
/* Whether `bytes` is exactly one batch; then *ret_ops is its number of ops. */
bool sqlite_batch_check(struct text bytes, uint32_t *ret_ops);

#endif
