/* SPDX-License-Identifier: Apache-2.0
 * overlay.c - collects journal rows, sorts their ops by key and keeps the last of each. */
#include "store/sqlite/overlay.h"

#include "store/sqlite/batch.h"

#include <assert.h>

struct taking {
    struct sqlite_overlay *overlay;
    size_t bytes;
};

static bool take_row(void *ctx, const struct sqlite_journal_row *row)
{
    struct taking *taking = ctx;
    struct sqlite_overlay *overlay = taking->overlay;
    buffer_add(&overlay->bytes, row->batch);
    overlay->seq = row->seq;
    overlay->chain = row->chain;
    overlay->rows++;
    overlay->capacity += row->ops;
    return !overlay->bytes.failed && overlay->bytes.size < taking->bytes;
}

static void decode(struct sqlite_overlay *overlay)
{
    struct text rest = buffer_text(&overlay->bytes);
    while (rest.size > 0) {
        struct sqlite_batch_reader reader;
        bool good = sqlite_batch_open(&reader, rest);
        while (good && reader.left > 0)
            good = sqlite_batch_next(&reader, &overlay->ops[overlay->count++]);
        assert(good); /* the walk has checked it */
        rest = reader.rest;
    }
    assert(overlay->count == overlay->capacity);
}

/* Keys stand in the bytes in the order of the ops, so of equal keys the later one is the newer. */
static int compare_ops(const void *a, const void *b)
{
    const struct store_op *left = a, *right = b;
    int order = text_compare(left->key, right->key);
    if (order != 0)
        return order;
    return left->key.data < right->key.data ? -1 : left->key.data > right->key.data;
}

static void keep_last_of_each(struct sqlite_overlay *overlay)
{
    size_t kept = 0;
    for (size_t i = 0; i < overlay->count; i++) {
        if (i + 1 < overlay->count && text_equal(overlay->ops[i].key, overlay->ops[i + 1].key))
            continue;
        overlay->ops[kept++] = overlay->ops[i];
    }
    overlay->count = kept;
}

static bool collect(struct store *s, size_t bytes, struct sqlite_overlay *overlay, struct err *err)
{
    struct taking taking = { overlay, bytes };
    if (!sqlite_journal_walk(s, take_row, &taking, err))
        return false;
    if (!overlay->bytes.failed && overlay->capacity > 0)
        overlay->ops = calloc(overlay->capacity, sizeof *overlay->ops);
    if (overlay->bytes.failed || (overlay->capacity > 0 && !overlay->ops))
        return err_set(err, ERR_MEMORY, "no memory to read %zu bytes of the journal",
                       overlay->bytes.size);
    return true;
}

bool sqlite_overlay_take(struct store *s, size_t bytes, struct sqlite_overlay *ret, struct err *err)
{
    struct sqlite_overlay overlay = { .seq = s->folded.seq, .chain = s->folded.chain };
    buffer_init(&overlay.bytes, &memory_heap, SIZE_MAX / 2);
    if (!collect(s, bytes, &overlay, err)) {
        sqlite_overlay_release(&overlay);
        return false;
    }
    decode(&overlay);
    if (overlay.count > 0)
        qsort(overlay.ops, overlay.count, sizeof *overlay.ops, compare_ops);
    keep_last_of_each(&overlay);
    *ret = overlay;
    return true;
}

void sqlite_overlay_release(struct sqlite_overlay *overlay)
{
    buffer_release(&overlay->bytes);
    free(overlay->ops);
    overlay->ops = NULL;
    overlay->count = 0;
}

size_t sqlite_overlay_seek(const struct sqlite_overlay *overlay, struct text key)
{
    size_t low = 0, high = overlay->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (text_compare(overlay->ops[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
