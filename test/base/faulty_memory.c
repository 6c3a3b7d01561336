/* SPDX-License-Identifier: Apache-2.0
 * faulty_memory.c - see faulty_memory.h. Each block is an allocation of its own, so that the
 * sanitizers see every step over its end. */
#include "base/faulty_memory.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define RUBBISH 0xa5

struct head {
    alignas(max_align_t) size_t size;
};

static bool must_fail(struct faulty_memory *faulty)
{
    size_t number = ++faulty->requests;
    bool fails = faulty->fail_at &&
                 (number == faulty->fail_at || (faulty->fail_on && number > faulty->fail_at));
    faulty->failures += fails;
    return fails;
}

static struct head *take(struct faulty_memory *faulty, size_t size)
{
    struct head *head = malloc(sizeof *head + size);
    assert(head);
    memset(head + 1, RUBBISH, size);
    head->size = size;
    faulty->blocks++;
    faulty->bytes += size;
    return head;
}

static void give(struct faulty_memory *faulty, struct head *head)
{
    faulty->blocks--;
    faulty->bytes -= head->size;
    free(head);
}

static void *resize(void *ctx, void *block, size_t old_size, size_t new_size)
{
    struct faulty_memory *faulty = ctx;
    struct head *old = block ? (struct head *)block - 1 : NULL;
    assert(old_size == (old ? old->size : 0)); /* the contract of struct memory */
    if (new_size == 0) {
        if (old)
            give(faulty, old);
        return NULL;
    }
    if (must_fail(faulty))
        return NULL;
    struct head *head = take(faulty, new_size);
    if (old) {
        memcpy(head + 1, block, old_size < new_size ? old_size : new_size);
        give(faulty, old);
    }
    return head + 1;
}

void faulty_memory_init(struct faulty_memory *faulty)
{
    *faulty = (struct faulty_memory){ .memory = { resize, faulty } };
}

void faulty_memory_fail(struct faulty_memory *faulty, size_t n, bool on)
{
    faulty->fail_at = n ? faulty->requests + n : 0;
    faulty->fail_on = on;
}
