/* SPDX-License-Identifier: Apache-2.0
 * batch.c - encoding and strict decoding of batches; pure. */
#include "store/sqlite/batch.h"

#include <assert.h>

#define VERSION      1
#define HEAD_SIZE    5
#define OP_HEAD_SIZE 7

size_t sqlite_batch_size(const struct store_batch *batch)
{
    size_t size = HEAD_SIZE;
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_op *op = &batch->ops[i];
        assert(op->key.size > 0 && op->key.size <= STORE_KEY_MAX);
        assert(op->value.size <= STORE_VALUE_MAX);
        assert(!op->is_delete || op->value.size == 0);
        size += OP_HEAD_SIZE + op->key.size + op->value.size;
    }
    return size;
}

static char *write_number(char *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *at++ = (char)(unsigned char)(value >> (8 * i));
    return at;
}

static uint32_t read_number(const char *at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)(unsigned char)at[i] << (8 * i);
    return value;
}

static char *write_text(char *at, struct text t)
{
    if (t.size > 0)
        memcpy(at, t.data, t.size);
    return at + t.size;
}

void sqlite_batch_encode(struct buffer *out, const struct store_batch *batch)
{
    size_t size = sqlite_batch_size(batch);
    buffer_clear(out);
    char *at = buffer_reserve(out, size);
    if (!at)
        return;
    const char *end = at + size;
    at = write_number(at, VERSION, 1);
    at = write_number(at, batch->count, 4);
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_op *op = &batch->ops[i];
        at = write_number(at, op->is_delete ? 1 : 0, 1);
        at = write_number(at, op->key.size, 2);
        at = write_number(at, op->value.size, 4);
        at = write_text(at, op->key);
        at = write_text(at, op->value);
    }
    assert(at == end);
}

bool sqlite_batch_open(struct sqlite_batch_reader *ret, struct text bytes)
{
    if (bytes.size < HEAD_SIZE || bytes.data[0] != VERSION)
        return false;
    *ret =
        (struct sqlite_batch_reader){ text_skip(bytes, HEAD_SIZE), read_number(bytes.data + 1, 4) };
    return true;
}

bool sqlite_batch_next(struct sqlite_batch_reader *reader, struct store_op *ret)
{
    assert(reader->left > 0);
    struct text rest = reader->rest;
    if (rest.size < OP_HEAD_SIZE)
        return false;
    unsigned kind = (unsigned char)rest.data[0];
    size_t key_size = read_number(rest.data + 1, 2);
    size_t value_size = read_number(rest.data + 3, 4);
    rest = text_skip(rest, OP_HEAD_SIZE);
    if (kind > 1 || key_size == 0 || key_size > STORE_KEY_MAX || value_size > STORE_VALUE_MAX)
        return false;
    if ((kind == 1 && value_size > 0) || rest.size < key_size + value_size)
        return false;
    ret->is_delete = kind == 1;
    ret->key = (struct text){ rest.data, key_size };
    ret->value = (struct text){ rest.data + key_size, value_size };
    reader->rest = text_skip(rest, key_size + value_size);
    reader->left--;
    return true;
}

bool sqlite_batch_check(struct text bytes, uint32_t *ret_ops)
{
    struct sqlite_batch_reader reader;
    struct store_op op;
    if (!sqlite_batch_open(&reader, bytes))
        return false;
    uint32_t ops = reader.left;
    while (reader.left > 0) {
        if (!sqlite_batch_next(&reader, &op))
            return false;
    }
    if (reader.rest.size > 0)
        return false;
    *ret_ops = ops;
    return true;
}
