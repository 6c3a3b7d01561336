/* SPDX-License-Identifier: Apache-2.0
 * ordered.c - treaps whose priorities are mixed from the item's number. See ordered.h.
 * Nothing recurses: paths are walked with a pointer to the link that has to change. */
#include "base/ordered.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* A bijection, so that no two items are equal; the greater one stands above. */
static uint32_t priority(uint32_t item)
{
    uint32_t x = item + 0x9e3779b9u;
    x = (x ^ x >> 16) * 0x6c078967u;
    x = (x ^ x >> 15) * 0x2f8c14b5u;
    return x ^ x >> 16;
}

void ordered_init(struct ordered *o, const struct memory *memory, ordered_compare_fn *compare,
                  const void *ctx)
{
    *o = (struct ordered){ .memory = memory, .compare = compare, .ctx = ctx };
}

void ordered_release(struct ordered *o)
{
    if (o->links)
        memory_give(o->memory, o->links, o->capacity * sizeof *o->links);
    o->links = NULL;
    o->capacity = 0;
}

bool ordered_reserve(struct ordered *o, uint32_t count)
{
    if (count <= o->capacity)
        return true;
    /* At least half as much again, so that growing one by one stays linear in all. */
    uint64_t capacity = (uint64_t)o->capacity + o->capacity / 2;
    if (capacity < count)
        capacity = count;
    if (capacity > UINT32_MAX)
        capacity = UINT32_MAX;
    struct ordered_link *links = o->memory->resize(
        o->memory->ctx, o->links, o->capacity * sizeof *links, (size_t)capacity * sizeof *links);
    if (!links)
        return false;
    for (size_t i = o->capacity; i < capacity; i++)
        links[i] = (struct ordered_link){ ORDERED_NONE, ORDERED_NONE };
    o->links = links;
    o->capacity = (uint32_t)capacity;
    return true;
}

/* Deals the tree `from` out: what lies before `item` to its left, the rest to its right. */
static void split(struct ordered *o, uint32_t from, uint32_t item)
{
    uint32_t *left = &o->links[item].left, *right = &o->links[item].right;
    while (from != ORDERED_NONE) {
        struct ordered_link *link = &o->links[from];
        int order = o->compare(o->ctx, from, item);
        assert(order != 0);
        if (order < 0) {
            *left = from;
            left = &link->right;
            from = link->right;
        } else {
            *right = from;
            right = &link->left;
            from = link->left;
        }
    }
    *left = *right = ORDERED_NONE;
}

void ordered_insert(struct ordered *o, uint32_t *root, uint32_t item)
{
    assert(item < o->capacity);
    const uint32_t own = priority(item);
    uint32_t *at = root;
    while (*at != ORDERED_NONE && priority(*at) > own) {
        struct ordered_link *link = &o->links[*at];
        int order = o->compare(o->ctx, item, *at);
        assert(order != 0);
        at = order < 0 ? &link->left : &link->right;
    }
    uint32_t below = *at;
    assert(below != item);
    *at = item;
    split(o, below, item);
}

void ordered_remove(struct ordered *o, uint32_t *root, uint32_t item)
{
    assert(item < o->capacity);
    uint32_t *at = root;
    while (*at != item) {
        assert(*at != ORDERED_NONE);
        struct ordered_link *link = &o->links[*at];
        at = o->compare(o->ctx, item, *at) < 0 ? &link->left : &link->right;
    }
    uint32_t left = o->links[item].left, right = o->links[item].right;
    while (left != ORDERED_NONE && right != ORDERED_NONE) {
        if (priority(left) > priority(right)) {
            *at = left;
            at = &o->links[left].right;
            left = *at;
        } else {
            *at = right;
            at = &o->links[right].left;
            right = *at;
        }
    }
    *at = left != ORDERED_NONE ? left : right;
    o->links[item] = (struct ordered_link){ ORDERED_NONE, ORDERED_NONE };
}

bool ordered_has(const struct ordered *o, uint32_t root, uint32_t item)
{
    /* Below an item of lower priority it cannot be. */
    const uint32_t own = priority(item);
    uint32_t at = root;
    while (at != ORDERED_NONE && priority(at) > own)
        at = o->compare(o->ctx, item, at) < 0 ? o->links[at].left : o->links[at].right;
    return at == item && item != ORDERED_NONE;
}

uint32_t ordered_first(const struct ordered *o, uint32_t root)
{
    if (root == ORDERED_NONE)
        return ORDERED_NONE;
    while (o->links[root].left != ORDERED_NONE)
        root = o->links[root].left;
    return root;
}

uint32_t ordered_after(const struct ordered *o, uint32_t root, uint32_t item)
{
    uint32_t best = ORDERED_NONE;
    while (root != ORDERED_NONE) {
        if (o->compare(o->ctx, root, item) > 0) {
            best = root;
            root = o->links[root].left;
        } else {
            root = o->links[root].right;
        }
    }
    return best;
}

uint32_t ordered_seek(const struct ordered *o, uint32_t root, ordered_place_fn *place,
                      const void *ctx, const void *key, bool or_equal)
{
    uint32_t best = ORDERED_NONE;
    while (root != ORDERED_NONE) {
        int order = place(ctx, root, key);
        if (order > 0 || (or_equal && order == 0)) {
            best = root;
            root = o->links[root].left;
        } else {
            root = o->links[root].right;
        }
    }
    return best;
}

/* Takes the items of lower priority than `item` off the right spine, gives them back their right
 * children, and makes the highest of them the left child of `item`, which ends the new spine. */
static void extend_spine(struct ordered *o, uint32_t *spine, uint32_t item)
{
    const uint32_t own = priority(item);
    uint32_t below = ORDERED_NONE, at = *spine;
    while (at != ORDERED_NONE && priority(at) < own) {
        uint32_t above = o->links[at].right;
        o->links[at].right = below;
        below = at;
        at = above;
    }
    o->links[item] = (struct ordered_link){ .left = below, .right = at };
    *spine = item;
}

/* While it grows, an item on the right spine keeps the one above it in `right`, where its child
 * will stand; so no stack is needed, and each item enters and leaves the spine once. */
void ordered_append(struct ordered *o, uint32_t *root, uint32_t item)
{
    assert(item < o->capacity);
    assert(*root == ORDERED_NONE || o->compare(o->ctx, *root, item) < 0);
    extend_spine(o, root, item);
}

void ordered_finish(struct ordered *o, uint32_t *root)
{
    uint32_t spine = *root, below = ORDERED_NONE;
    while (spine != ORDERED_NONE) {
        uint32_t above = o->links[spine].right;
        o->links[spine].right = below;
        below = spine;
        spine = above;
    }
    *root = below;
}

uint32_t ordered_build(struct ordered *o, const uint32_t *items, size_t count)
{
    uint32_t root = ORDERED_NONE;
    for (size_t i = 0; i < count; i++)
        ordered_append(o, &root, items[i]);
    ordered_finish(o, &root);
    return root;
}

/* The items above the present one whose turn comes later, nearest last. Of a path with more of them
 * the farthest are forgotten; a search finds them again. */
#define PATH_MAX_ITEMS 64u
struct path {
    uint32_t items[PATH_MAX_ITEMS];
    uint32_t count;
    bool has_forgotten;
};

static void path_push(struct path *path, uint32_t item)
{
    if (path->count == PATH_MAX_ITEMS) {
        path->count /= 2;
        memmove(path->items, path->items + path->count, path->count * sizeof path->items[0]);
        path->has_forgotten = true;
    }
    path->items[path->count++] = item;
}

/* From `at` to `item`, which is below it. */
static void path_find(const struct ordered *o, struct path *path, uint32_t at, uint32_t item)
{
    *path = (struct path){ .count = 0 };
    while (at != item) {
        assert(at != ORDERED_NONE);
        bool is_later = o->compare(o->ctx, at, item) > 0;
        if (is_later)
            path_push(path, at);
        at = is_later ? o->links[at].left : o->links[at].right;
    }
}

/* The item after `item`, to which `path` leads, and which it leads to afterwards. */
static uint32_t path_next(const struct ordered *o, struct path *path, uint32_t root, uint32_t item)
{
    uint32_t at = o->links[item].right;
    if (at == ORDERED_NONE && path->count == 0) {
        uint32_t next = path->has_forgotten ? ordered_after(o, root, item) : ORDERED_NONE;
        if (next != ORDERED_NONE)
            path_find(o, path, root, next);
        return next;
    }
    if (at == ORDERED_NONE)
        return path->items[--path->count];
    for (; o->links[at].left != ORDERED_NONE; at = o->links[at].left)
        path_push(path, at);
    return at;
}

size_t ordered_take(const struct ordered *o, uint32_t root, uint32_t first, uint32_t *ret,
                    size_t max)
{
    struct path path;
    size_t count = 0;
    if (max > 0)
        path_find(o, &path, root, first);
    for (uint32_t at = first; at != ORDERED_NONE && count < max;) {
        ret[count++] = at;
        if (count < max)
            at = path_next(o, &path, root, at);
    }
    return count;
}

/* The items whose turn has not come stand as a stack at the end of the list: written and waiting
 * together are never more than there are, whatever the shape of the tree. */
void ordered_list(const struct ordered *o, uint32_t root, uint32_t *ret, size_t count)
{
    size_t written = 0, top = count;
    uint32_t at = root;
    while (at != ORDERED_NONE || top < count) {
        for (; at != ORDERED_NONE; at = o->links[at].left) {
            assert(top > written);
            ret[--top] = at;
        }
        at = ret[top++];
        ret[written++] = at;
        at = o->links[at].right;
    }
    assert(written == count);
}
