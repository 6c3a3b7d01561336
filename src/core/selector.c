/* SPDX-License-Identifier: Apache-2.0
 * selector.c - the canonical form of selectors, matching and comparing. See selector.h;
 * selector_text.c reads and prints them. Sorting is by insertion: the limits keep lists short. */
#include "core/selector.h"

#include <assert.h>
#include <string.h>

static int compare(const struct requirement *a, const struct requirement *b)
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

/* The place of `value` among the sorted values, or where it belongs; says whether it is there. */
static bool find_value(const struct requirement *requirement, struct text value, size_t *ret_place)
{
    size_t low = 0, high = requirement->value_count;
    int order = 1;
    while (low < high && order != 0) {
        size_t middle = low + (high - low) / 2;
        order = text_compare(requirement->values[middle], value);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_place = high;
    return order == 0;
}

static void sort_values(struct requirement *requirement)
{
    const size_t given = requirement->value_count;
    requirement->value_count = 0;
    for (size_t i = 0; i < given; i++) {
        struct text value = requirement->values[i];
        size_t place;
        if (find_value(requirement, value, &place))
            continue;
        memmove(&requirement->values[place + 1], &requirement->values[place],
                (requirement->value_count - place) * sizeof value);
        requirement->values[place] = value;
        requirement->value_count++;
    }
}

void selector_canonicalise(struct selector *selector)
{
    size_t kept = 0;
    for (size_t i = 0; i < selector->count; i++) {
        sort_values(&selector->list[i]);
        struct requirement requirement = selector->list[i];
        size_t place = kept;
        int order = -1;
        while (place > 0 && (order = compare(&selector->list[place - 1], &requirement)) > 0)
            place--;
        if (place > 0 && order == 0)
            continue;
        memmove(&selector->list[place + 1], &selector->list[place],
                (kept - place) * sizeof requirement);
        selector->list[place] = requirement;
        kept++;
    }
    selector->count = kept;
}

/* `value` is what a label set has under the key, NULL when it has not the key. */
static bool holds(const struct requirement *requirement, const struct text *value)
{
    size_t place;
    switch (requirement->op) {
    case SELECTOR_IN: return value && find_value(requirement, *value, &place);
    case SELECTOR_NOT_IN: return !value || !find_value(requirement, *value, &place);
    case SELECTOR_HAS: return value;
    case SELECTOR_HAS_NOT: break;
    }
    return !value;
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
        if (compare(&a->list[i], &b->list[i]) != 0)
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

/* Whether a label set can meet all demands: without the key, with a value that nobody names (a
 * control character is in no selector), or with one that is allowed by name. If values are allowed
 * by name at all, then by the first demand of a side: IN sorts first. */
static bool can_hold(const struct demands *demands)
{
    const struct text unnamed = TEXT("\n");
    if (all_hold(demands, NULL) || all_hold(demands, &unnamed))
        return true;
    for (size_t side = 0; side < 2; side++) {
        const struct requirement *first = demands->list[side];
        for (size_t i = 0; demands->count[side] > 0 && i < first->value_count; i++)
            if (all_hold(demands, &first->values[i]))
                return true;
    }
    return false;
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
