/* SPDX-License-Identifier: Apache-2.0
 * json_keys.c - finding keys that came twice. */
#include "wire/json_keys.h"

#define PAIRWISE_MAX 16

bool json_keys_add(struct json_keys *keys, struct arena *arena, struct text text, size_t offset)
{
    if (keys->count == keys->capacity) {
        size_t capacity = keys->capacity == 0 ? 16 : keys->capacity * 2;
        struct json_key *list = arena_take_array(arena, capacity, sizeof(*list));
        if (list == NULL)
            return false;
        if (keys->count > 0)
            memcpy(list, keys->list, keys->count * sizeof(*list));
        keys->list = list;
        keys->capacity = capacity;
    }
    keys->list[keys->count++] = (struct json_key){ text, offset };
    return true;
}

/* Any total order of texts would do; the size decides most pairs without a look at the bytes. */
static int key_compare(const struct json_key *a, const struct json_key *b)
{
    if (a->text.size != b->text.size)
        return a->text.size < b->text.size ? -1 : 1;
    return text_compare(a->text, b->text);
}

static void sift_down(struct json_key *list, size_t root, size_t count)
{
    struct json_key moved = list[root];
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && key_compare(&list[child], &list[child + 1]) < 0)
            child++;
        if (key_compare(&moved, &list[child]) >= 0)
            break;
        list[root] = list[child];
    }
    list[root] = moved;
}

static void heap_sort(struct json_key *list, size_t count)
{
    for (size_t i = count / 2; i > 0; i--)
        sift_down(list, i - 1, count);
    for (size_t end = count; end > 1; end--) {
        struct json_key greatest = list[0];
        list[0] = list[end - 1];
        list[end - 1] = greatest;
        sift_down(list, 0, end - 1);
    }
}

static bool same(const struct json_key *a, const struct json_key *b, struct json_key *ret)
{
    if (!text_equal(a->text, b->text))
        return false;
    *ret = a->offset > b->offset ? *a : *b;
    return true;
}

bool json_keys_close(struct json_keys *keys, size_t first, struct json_key *ret)
{
    size_t count = keys->count - first;
    struct json_key *list;
    if (count < 2) {
        keys->count = first;
        return true;
    }
    list = keys->list + first;
    keys->count = first;
    if (count > PAIRWISE_MAX)
        heap_sort(list, count);
    for (size_t i = 1; i < count; i++)
        for (size_t j = count > PAIRWISE_MAX ? i - 1 : 0; j < i; j++)
            if (same(&list[j], &list[i], ret))
                return false;
    return true;
}
