/* SPDX-License-Identifier: Apache-2.0
 * test_selector.c - matching and comparing selectors, by tables and against plain evaluators that
 * know nothing of texts or of the canonical form. */
#include "core/selector_kit.h"

#include "base/suite.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

struct fleet {
    struct intern texts;
    struct label_sets sets;
    uint32_t ids[WORLDS];
};

static void fleet_begin(struct fleet *fleet, const struct memory *memory)
{
    assert_true(intern_init(&fleet->texts, memory, 11));
    labels_init(&fleet->sets, memory, &fleet->texts);
    for (uint32_t number = 0; number < WORLDS; number++) {
        struct world world = world_at(number);
        struct label_change changes[WORLD_KEYS];
        size_t count = 0;
        for (size_t key = 0; key < WORLD_KEYS; key++)
            if (world.values[key] >= 0)
                changes[count++] = (struct label_change){ world_keys[key],
                                                          world_values[world.values[key]], false };
        assert_true(labels_merge(&fleet->sets, 0, changes, count, &fleet->ids[number], NULL));
    }
}

static void fleet_end(struct fleet *fleet)
{
    labels_release(&fleet->sets);
    intern_release(&fleet->texts);
}

static void test_matching_is_like_the_plain_evaluator(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    static struct fleet fleet;
    fleet_begin(&fleet, &f.memory.memory);
    struct dice dice = { 97 };
    struct wish wishes[WISHES];
    size_t count, matches = 0, looked = 0;

    for (int i = 0; i < 2000; i++) {
        struct selector selector = roll_selector(&f, &dice, wishes, &count);
        for (uint32_t number = dice_roll(&dice, 10); number < WORLDS; number += 10, looked++) {
            struct world world = world_at(number);
            bool expected = wishes_hold(wishes, count, &world);
            assert_int_equal(selector_matches(&selector, &fleet.sets, fleet.ids[number]), expected);
            matches += expected;
        }
        arena_clear(&f.arena);
    }

    assert_true(matches > looked / 20 && matches < looked - looked / 20);
    fleet_end(&fleet);
    end(&f);
}

static void test_nothing_but_blanks_matches_everything(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    static struct fleet fleet;
    fleet_begin(&fleet, &f.memory.memory);
    struct selector selector = parse(&f, TEXT(" "));

    for (uint32_t number = 0; number < WORLDS; number++)
        assert_true(selector_matches(&selector, &fleet.sets, fleet.ids[number]));

    assert_int_equal(fleet.ids[0], 0); /* the set without labels is among them */
    fleet_end(&fleet);
    end(&f);
}

/* Disjointness. */

/* clang-format off */
static const struct {
    const char *a, *b;
    bool disjoint;
} pairs[] = {
    { "",                   "",                         false },
    { "",                   "k=a",                      false },
    { "k=a",                "k=a",                      false },
    { "k=a",                "k=b",                      true },
    { "k=a",                "j=b",                      false },
    { "k=a",                "k in (a,b)",               false },
    { "k=c",                "k in (a,b)",               true },
    { "k in (a,b)",         "k in (b,c)",               false },
    { "k in (a,b)",         "k in (c,d)",               true },
    { "k=a",                "k!=a",                     true },
    { "k=a",                "k!=b",                     false },
    { "k in (a,b)",         "k notin (a,b,c)",          true },
    { "k in (a,b)",         "k notin (a,c)",            false },
    { "k!=a",               "k!=b",                     false },
    { "k",                  "!k",                       true },
    { "k=a",                "!k",                       true },
    { "k!=a",               "!k",                       false },
    { "k",                  "k!=a",                     false },
    { "!k",                 "!k",                       false },
    { "k=\"\"",             "!k",                       true },
    /* several on one key, on either side */
    { "k in (a,b),k!=a",    "k=a",                      true },
    { "k in (a,b),k!=a",    "k=b",                      false },
    { "k in (a,b)",         "k in (b,c),k notin (b,d)", true },
    { "k in (a,b),k in (b,c)", "k in (a,c)",            true },
    { "k,k!=a",             "!k",                       true },
    /* any key will do, also the last */
    { "a=1,b=2,c=3",        "a=1,b=2,c=4",              true },
    { "a=1,c=3",            "b=2,c!=3",                 true },
    { "a=1,b=2",            "c=3,d=4",                  false },
    /* what matches nothing at all is disjoint from everything */
    { "k=a,k=b",            "",                         true },
    { "k,!k",               "j",                        true },
};
/* clang-format on */

static void test_disjoint_means_that_one_key_cannot_have_a_common_value(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct selector a = parse(&f, text_from(pairs[i].a));
        struct selector b = parse(&f, text_from(pairs[i].b));
        if (selector_disjoint(&a, &b) != pairs[i].disjoint ||
            selector_disjoint(&b, &a) != pairs[i].disjoint)
            fail_msg("\"%s\" and \"%s\"", pairs[i].a, pairs[i].b);
    }

    end(&f);
}

static bool some_world_has_both(const struct wish *a, size_t a_count, const struct wish *b,
                                size_t b_count)
{
    for (uint32_t number = 0; number < WORLDS; number++) {
        struct world world = world_at(number);
        if (wishes_hold(a, a_count, &world) && wishes_hold(b, b_count, &world))
            return true;
    }
    return false;
}

/* The worlds hold every case there is for these keys and values, so the answer must be exact: never
 * wrong, and never less than what can be proven. */
static void test_disjoint_selectors_have_no_world_in_common(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct dice dice = { 98 };
    struct wish a[WISHES], b[WISHES];
    size_t a_count, b_count, disjoint = 0;
    const int rounds = 5000;

    for (int i = 0; i < rounds; i++) {
        struct selector one = roll_selector(&f, &dice, a, &a_count);
        struct selector other = roll_selector(&f, &dice, b, &b_count);
        bool expected = !some_world_has_both(a, a_count, b, b_count);
        assert_int_equal(selector_disjoint(&one, &other), expected);
        assert_int_equal(selector_disjoint(&other, &one), expected);
        disjoint += expected;
        arena_clear(&f.arena);
    }

    assert_in_range(disjoint, rounds / 20, rounds - rounds / 20);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching_is_like_the_plain_evaluator),
        cmocka_unit_test(test_nothing_but_blanks_matches_everything),
        cmocka_unit_test(test_disjoint_means_that_one_key_cannot_have_a_common_value),
        cmocka_unit_test(test_disjoint_selectors_have_no_world_in_common),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
