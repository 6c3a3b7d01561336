/* SPDX-License-Identifier: Apache-2.0
 * batch.c - the changes of one round as keys and values. See committer.h. */
#include "engine/committer.h"

#include <assert.h>

#define BATCH_BYTES_MAX ((size_t)3 << 30)

void batch_init(struct batch *batch, const struct memory *memory)
{
    *batch = (struct batch){ .ops = NULL };
    buffer_init(&batch->bytes, memory, BATCH_BYTES_MAX);
}

void batch_release(struct batch *batch)
{
    memory_give(batch->bytes.memory, batch->ops, batch->capacity * sizeof batch->ops[0]);
    buffer_release(&batch->bytes);
}

#define BATCH_BYTES_KEPT ((size_t)16 << 20) /* a round of the whole fleet gives its room back */

void batch_clear(struct batch *batch)
{
    const struct memory *memory = batch->bytes.memory;
    if (batch->bytes.capacity > BATCH_BYTES_KEPT) {
        batch_release(batch);
        batch_init(batch, memory);
    }
    buffer_clear(&batch->bytes);
    batch->count = 0;
    batch->failed = false;
}

static bool has_room(struct batch *batch)
{
    if (batch->count < batch->capacity)
        return true;
    size_t capacity = batch->capacity ? batch->capacity * 2 : 64;
    const struct memory *memory = batch->bytes.memory;
    void *ops = memory->resize(memory->ctx, batch->ops, batch->capacity * sizeof batch->ops[0],
                               capacity * sizeof batch->ops[0]);
    if (!ops)
        return false;
    batch->ops = ops;
    batch->capacity = capacity;
    return true;
}

void batch_begin(struct batch *batch)
{
    if (!has_room(batch)) {
        batch->failed = true;
        return;
    }
    batch->ops[batch->count] = (struct commit_op){ .key_at = batch->bytes.size };
}

void batch_value(struct batch *batch)
{
    if (batch->failed)
        return;
    struct commit_op *op = &batch->ops[batch->count];
    op->value_at = batch->bytes.size;
    op->key_size = op->value_at - op->key_at;
}

void batch_end(struct batch *batch)
{
    batch->failed |= batch->bytes.failed;
    if (batch->failed)
        return;
    struct commit_op *op = &batch->ops[batch->count];
    op->value_size = batch->bytes.size - op->value_at;
    assert(op->key_size > 0);
    batch->count++;
}

void batch_end_delete(struct batch *batch)
{
    batch_value(batch);
    if (!batch->failed)
        batch->ops[batch->count].is_delete = true;
    batch_end(batch);
}
