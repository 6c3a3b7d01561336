/* SPDX-License-Identifier: Apache-2.0
 * selector.c - selectors: parse(print(t)) = t, and what the two choose is the same. */
#include "core/selector.h"

#include "base/limits.h"
#include "fuzz.h"

/* The label set of the keys, with the first value each. */
static uint32_t labels_of(const struct selector *selector, struct label_sets *sets,
                          bool with_values)
{
    struct label_change changes[LIMIT_LABELS];
    size_t count = 0;
    uint32_t id = 0;
    for (size_t i = 0; i < selector->count && count < LIMIT_LABELS; i++) {
        const struct requirement *r = &selector->list[i];
        struct text value = r->value_count > 0 && with_values ? r->values[0] : TEXT("other");
        changes[count++] = (struct label_change){ .key = r->key, .value = value };
    }
    CLAIM(labels_merge(sets, 0, changes, count, &id, NULL));
    return id;
}

static void compare(const struct selector *a, const struct selector *b)
{
    struct intern texts;
    struct label_sets sets;
    intern_init(&texts, &memory_heap, 7);
    labels_init(&sets, &memory_heap, &texts);
    uint32_t first = labels_of(a, &sets, true), other = labels_of(a, &sets, false);
    CLAIM(selector_matches(a, &sets, first) == selector_matches(b, &sets, first));
    CLAIM(selector_matches(a, &sets, other) == selector_matches(b, &sets, other));
    CLAIM(selector_matches(a, &sets, 0) == selector_matches(b, &sets, 0));
    if (selector_disjoint(a, b)) /* then nothing at all matches */
        CLAIM(!selector_matches(a, &sets, first) && !selector_matches(a, &sets, other));
    labels_release(&sets);
    intern_release(&texts);
}

void fuzz_selector(struct text input)
{
    struct fuzz f;
    struct selector selector, again;
    fuzz_begin(&f);
    if (selector_parse(input, NULL, 0, &f.arena, &selector, &f.err)) {
        CLAIM(selector.count <= LIMIT_SELECTOR_REQUIREMENTS);
        selector_print(&selector, &f.out);
        CLAIM(!f.out.failed && f.out.size <= LIMIT_SELECTOR);
        CLAIM(selector_parse(buffer_text(&f.out), NULL, 0, &f.arena, &again, &f.err));
        CLAIM(selector_equal(&selector, &again));
        selector_print(&again, &f.again);
        fuzz_claim_equal(buffer_text(&f.out), buffer_text(&f.again));
        fuzz_claim_safe(buffer_text(&f.out));
        compare(&selector, &again);
    } else {
        CLAIM_ERROR(&f.err, ERR_INVALID);
    }
    fuzz_end(&f);
}
