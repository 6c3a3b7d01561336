/* SPDX-License-Identifier: Apache-2.0
 * selector.c - what selectors choose: matching and comparing. See selector.h; selector_text.c reads
 * and prints them. Selectors are canonical, so everything here is a walk in the order of keys. */
#include "core/selector.h"

#include <assert.h>

int requirement_compare(const struct requirement *a, const struct requirement *b)
{
    int order = text_compare(a->key, b->key);
    if (order == 0)
        order = (int)a->op - (int)b->op;
    for (size_t i = 0; order == 0 && i < a->value_count && i < b->value_count; i++)
        order = text_compare(a->values[i], b->values[i]);
    if (order == 0)
        order = (a->value_count > b->value_count) - (a->value_count < b->value_count);
    return order;
}

static bool has_value(const struct requirement *requirement, struct text value)
{
    size_t low = 0, high = requirement->value_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare(requirement->values[middle], value);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* `value` is what a label set has under the key, NULL when it has not the key. */
static bool holds(const struct requirement *requirement, const struct text *value)
{
    switch (requirement->op) {
    case SELECTOR_IN: return value && has_value(requirement, *value);
    case SELECTOR_NOT_IN: return !value || !has_value(requirement, *value);
    case SELECTOR_HAS: return value;
    case SELECTOR_HAS_NOT: return !value;
    }
    assert(false);
    return false;
}

/* Labels and requirements are both in the order of their keys: one walk. */
bool selector_matches(const struct selector *selector, const struct label_sets *sets,
                      uint32_t labels)
{
    const size_t count = labels_count(sets, labels);
    size_t place = 0;
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *requirement = &selector->list[i];
        struct text key, value;
        int order = 1;
        for (; place < count; place++) {
            labels_at(sets, labels, place, &key, &value);
            order = text_compare(key, requirement->key);
            if (order >= 0)
                break;
        }
        if (!holds(requirement, order == 0 ? &value : NULL))
            return false;
    }
    return true;
}

bool selector_equal(const struct selector *a, const struct selector *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (requirement_compare(&a->list[i], &b->list[i]) != 0)
            return false;
    return true;
}

/* The requirements of two selectors on one key, as far as `selectors` have any. */
struct demands {
    const struct requirement *list[2];
    size_t count[2];
};

/* Whether all demands hold for `value` (NULL: the key is not there). */
static bool all_hold(const struct demands *demands, const struct text *value)
{
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < demands->count[side]; i++)
            if (!holds(&demands->list[side][i], value))
                return false;
    return true;
}

static const struct requirement *first_with(const struct demands *demands, enum selector_op op)
{
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < demands->count[side]; i++)
            if (demands->list[side][i].op == op)
                return &demands->list[side][i];
    return NULL;
}

/* Whether a label set can meet all demands. Those that name no allowed values leave all texts but a
 * few, so only the key's absence has to be looked at. */
static bool can_hold(const struct demands *demands)
{
    if (all_hold(demands, NULL))
        return true;
    const struct requirement *in = first_with(demands, SELECTOR_IN);
    for (size_t i = 0; in && i < in->value_count; i++)
        if (all_hold(demands, &in->values[i]))
            return true;
    return !in && !first_with(demands, SELECTOR_HAS_NOT);
}

/* Cuts the requirements on `key` off the front of *rest. */
static size_t cut_key(struct selector *rest, struct text key)
{
    size_t count = 0;
    while (count < rest->count && text_equal(rest->list[count].key, key))
        count++;
    rest->list += count;
    rest->count -= count;
    return count;
}

bool selector_disjoint(const struct selector *a, const struct selector *b)
{
    struct selector rest[2] = { *a, *b };
    while (rest[0].count > 0 || rest[1].count > 0) {
        bool b_is_first =
            rest[0].count == 0 ||
            (rest[1].count > 0 && text_compare(rest[1].list->key, rest[0].list->key) < 0);
        struct text key = rest[b_is_first].list->key;
        struct demands demands = { .list = { rest[0].list, rest[1].list } };
        for (size_t side = 0; side < 2; side++)
            demands.count[side] = cut_key(&rest[side], key);
        if (!can_hold(&demands))
            return true;
    }
    return false;
}
