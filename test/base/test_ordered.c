/* SPDX-License-Identifier: Apache-2.0
 * test_ordered.c - ordered sets against sorted arrays. */
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/ordered.h"
#include "base/suite.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS 300u
#define SETS  3u

/* Item i has the rank ranks[i], a permutation; by_rank is its inverse. */
struct model {
    struct faulty_memory faulty;
    struct ordered ordered;
    uint32_t ranks[ITEMS], by_rank[ITEMS];
    uint32_t set_of[ITEMS]; /* SETS: none */
    uint32_t roots[SETS];
};

static int compare(const void *ctx, uint32_t a, uint32_t b)
{
    const uint32_t *ranks = ctx;
    return ranks[a] < ranks[b] ? -1 : ranks[a] > ranks[b];
}

/* The key is twice a rank, or odd to lie between two. */
static int place(const void *ctx, uint32_t item, const void *key)
{
    const uint32_t *ranks = ctx, *wanted = key;
    return ranks[item] * 2 < *wanted ? -1 : ranks[item] * 2 > *wanted;
}

static void shuffle_ranks(struct model *m, struct dice *dice)
{
    for (uint32_t i = 0; i < ITEMS; i++) {
        uint32_t j = dice_roll(dice, i + 1);
        m->by_rank[i] = m->by_rank[j];
        m->by_rank[j] = i;
    }
    for (uint32_t rank = 0; rank < ITEMS; rank++)
        m->ranks[m->by_rank[rank]] = rank;
}

static void model_init(struct model *m, struct dice *dice)
{
    faulty_memory_init(&m->faulty);
    shuffle_ranks(m, dice);
    ordered_init(&m->ordered, &m->faulty.memory, compare, m->ranks);
    assert_true(ordered_reserve(&m->ordered, ITEMS));
    for (uint32_t i = 0; i < ITEMS; i++)
        m->set_of[i] = SETS;
    for (uint32_t s = 0; s < SETS; s++)
        m->roots[s] = ORDERED_NONE;
}

static void model_release(struct model *m)
{
    ordered_release(&m->ordered);
    assert_int_equal(m->faulty.blocks, 0);
}

/* The first item of `set` from `rank` on. */
static uint32_t from_rank(const struct model *m, uint32_t set, uint32_t rank)
{
    for (; rank < ITEMS; rank++)
        if (m->set_of[m->by_rank[rank]] == set)
            return m->by_rank[rank];
    return ORDERED_NONE;
}

static void check_set(const struct model *m, uint32_t set)
{
    const struct ordered *o = &m->ordered;
    uint32_t root = m->roots[set];
    assert_int_equal(ordered_first(o, root), from_rank(m, set, 0));
    for (uint32_t item = 0; item < ITEMS; item++) {
        uint32_t rank = m->ranks[item], exact = rank * 2, between = rank * 2 + 1;
        assert_int_equal(ordered_has(o, root, item), m->set_of[item] == set);
        assert_int_equal(ordered_after(o, root, item), from_rank(m, set, rank + 1));
        assert_int_equal(ordered_seek(o, root, place, m->ranks, &exact, true),
                         from_rank(m, set, rank));
        assert_int_equal(ordered_seek(o, root, place, m->ranks, &exact, false),
                         from_rank(m, set, rank + 1));
        assert_int_equal(ordered_seek(o, root, place, m->ranks, &between, true),
                         from_rank(m, set, rank + 1));
    }
}

static void check(const struct model *m)
{
    for (uint32_t set = 0; set < SETS; set++)
        check_set(m, set);
}

static void toggle(struct model *m, uint32_t item, uint32_t set)
{
    if (m->set_of[item] == SETS) {
        ordered_insert(&m->ordered, &m->roots[set], item);
        m->set_of[item] = set;
    } else {
        ordered_remove(&m->ordered, &m->roots[m->set_of[item]], item);
        m->set_of[item] = SETS;
    }
}

static void test_sets_behave_like_sorted_arrays(void **state)
{
    struct model m;
    struct dice dice = { 30 };
    (void)state;
    model_init(&m, &dice);

    for (unsigned step = 0; step < 8000; step++) {
        toggle(&m, dice_roll(&dice, ITEMS), dice_roll(&dice, SETS));
        if (step % 200 == 0)
            check(&m);
    }

    check(&m);
    model_release(&m);
}

static void test_walking_visits_all_items_in_order(void **state)
{
    struct model m;
    struct dice dice = { 31 };
    uint32_t rank = 0;
    (void)state;
    model_init(&m, &dice);
    for (uint32_t item = 0; item < ITEMS; item++)
        toggle(&m, item, 0);

    for (uint32_t item = ordered_first(&m.ordered, m.roots[0]); item != ORDERED_NONE;
         item = ordered_after(&m.ordered, m.roots[0], item))
        assert_int_equal(item, m.by_rank[rank++]);

    assert_int_equal(rank, ITEMS);
    model_release(&m);
}

static void test_the_shape_depends_on_the_items_alone(void **state)
{
    struct model m;
    struct dice dice = { 32 };
    struct ordered_link built[ITEMS];
    (void)state;
    model_init(&m, &dice);
    for (uint32_t item = 0; item < ITEMS; item += 2)
        toggle(&m, item, 0);
    memcpy(built, m.ordered.links, sizeof built);
    uint32_t root = m.roots[0];

    for (uint32_t i = 0; i < 2000; i++)
        toggle(&m, dice_roll(&dice, ITEMS), 0);
    for (uint32_t item = ITEMS; item-- > 0;)
        if ((m.set_of[item] == 0) != (item % 2 == 0))
            toggle(&m, item, 0);

    assert_int_equal(m.roots[0], root);
    assert_memory_equal(m.ordered.links, built, sizeof built);
    model_release(&m);
}

static void test_building_gives_what_inserting_gives(void **state)
{
    struct dice dice = { 33 };
    (void)state;

    for (uint32_t count = 0; count <= ITEMS; count += count < 20 ? 1 : 40) {
        struct model a, b;
        struct dice same = dice;
        model_init(&a, &dice);
        model_init(&b, &same);
        for (uint32_t rank = 0; rank < count; rank++)
            toggle(&a, a.by_rank[rank], 1);
        /* Rubbish in unused links must not matter. */
        memset(b.ordered.links, 0x5a, ITEMS * sizeof b.ordered.links[0]);
        b.roots[1] = ordered_build(&b.ordered, b.by_rank, count);
        for (uint32_t rank = 0; rank < count; rank++) {
            uint32_t item = b.by_rank[rank];
            b.set_of[item] = 1;
            assert_memory_equal(&a.ordered.links[item], &b.ordered.links[item],
                                sizeof a.ordered.links[0]);
        }
        assert_int_equal(a.roots[1], b.roots[1]);
        check(&b);
        model_release(&a);
        model_release(&b);
    }
}

static void test_sets_filled_in_turns_are_good_for_anything_and_list_in_order(void **state)
{
    struct model m;
    struct dice dice = { 36 };
    uint32_t list[ITEMS];
    (void)state;
    model_init(&m, &dice);

    for (uint32_t rank = 0; rank < ITEMS; rank++) {
        uint32_t set = dice_roll(&dice, SETS);
        ordered_append(&m.ordered, &m.roots[set], m.by_rank[rank]);
        m.set_of[m.by_rank[rank]] = set;
    }
    for (uint32_t set = 0; set < SETS; set++)
        ordered_finish(&m.ordered, &m.roots[set]);

    for (unsigned step = 0; step < 500; step++)
        toggle(&m, dice_roll(&dice, ITEMS), dice_roll(&dice, SETS));
    check(&m);
    for (uint32_t set = 0; set < SETS; set++) {
        uint32_t count = 0, rank = 0;
        for (uint32_t item = 0; item < ITEMS; item++)
            count += m.set_of[item] == set;
        ordered_list(&m.ordered, m.roots[set], list, count);
        for (uint32_t i = 0; i < count; i++, rank = m.ranks[list[i - 1]] + 1)
            assert_int_equal(list[i], from_rank(&m, set, rank));
    }
    model_release(&m);
}

static void test_a_list_needs_no_room_but_its_own_whatever_the_shape(void **state)
{
    struct model m;
    struct dice dice = { 37 };
    uint32_t list[ITEMS + 1];
    (void)state;
    model_init(&m, &dice);
    /* All to the left: the deepest stack there can be. */
    for (uint32_t item = 0; item < ITEMS; item++)
        m.ordered.links[item] =
            (struct ordered_link){ item + 1 < ITEMS ? item + 1 : ORDERED_NONE, ORDERED_NONE };
    list[ITEMS] = 4711;

    ordered_list(&m.ordered, 0, list, ITEMS);

    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(list[i], ITEMS - 1 - i);
    assert_int_equal(list[ITEMS], 4711);
    model_release(&m);
}

static void test_taking_some_gives_what_walking_gives(void **state)
{
    struct model m;
    struct dice dice = { 38 };
    uint32_t some[ITEMS + 1];
    (void)state;
    model_init(&m, &dice);
    for (uint32_t item = 0; item < ITEMS; item++)
        toggle(&m, item, 0);

    for (uint32_t from = 0; from < ITEMS; from++)
        for (uint32_t max = 0; max <= ITEMS; max += 1 + max / 3) {
            uint32_t left = ITEMS - from, expected = left < max ? left : max;
            some[expected] = 4711;
            size_t count = ordered_take(&m.ordered, m.roots[0], m.by_rank[from], some, max);
            assert_int_equal(count, expected);
            for (uint32_t i = 0; i < count; i++)
                assert_int_equal(some[i], m.by_rank[from + i]);
            assert_int_equal(some[expected], 4711);
        }
    model_release(&m);
}

static void test_taking_finds_its_way_in_a_tree_of_any_depth(void **state)
{
    struct model m;
    struct dice dice = { 39 };
    uint32_t some[ITEMS];
    (void)state;
    model_init(&m, &dice);
    /* All to the left: a path longer than is remembered. */
    for (uint32_t item = 0; item < ITEMS; item++) {
        m.ranks[item] = ITEMS - 1 - item;
        m.ordered.links[item] =
            (struct ordered_link){ item + 1 < ITEMS ? item + 1 : ORDERED_NONE, ORDERED_NONE };
    }

    size_t count = ordered_take(&m.ordered, 0, ITEMS - 1, some, ITEMS);

    assert_int_equal(count, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(some[i], ITEMS - 1 - i);
    model_release(&m);
}

static uint32_t depth_of(const struct ordered *o, uint32_t root, uint32_t item)
{
    uint32_t depth = 0;
    for (; root != item; depth++)
        root = o->compare(o->ctx, item, root) < 0 ? o->links[root].left : o->links[root].right;
    return depth;
}

static void test_a_million_items_in_order_of_their_numbers_stay_shallow(void **state)
{
    enum { COUNT = 1000000 };
    struct ordered o;
    uint32_t *ranks = calloc(COUNT, sizeof *ranks), deepest = 0;
    (void)state;
    assert_non_null(ranks);
    for (uint32_t i = 0; i < COUNT; i++)
        ranks[i] = i;
    ordered_init(&o, &memory_heap, compare, ranks);
    assert_true(ordered_reserve(&o, COUNT));

    uint32_t root = ordered_build(&o, ranks, COUNT);

    for (uint32_t i = 0; i < COUNT; i += 7) {
        uint32_t depth = depth_of(&o, root, i);
        deepest = depth > deepest ? depth : deepest;
    }
    assert_in_range(deepest, 20, 70); /* a perfect tree has 19, a random one about 50 */
    ordered_release(&o);
    free(ranks);
}

static void test_a_failed_reservation_changes_nothing(void **state)
{
    struct model m;
    struct dice dice = { 34 };
    (void)state;
    model_init(&m, &dice);
    for (uint32_t item = 0; item < ITEMS; item++)
        toggle(&m, item, item % SETS);
    const struct ordered_link *links = m.ordered.links;
    uint32_t capacity = m.ordered.capacity;
    faulty_memory_fail(&m.faulty, 1, true);

    assert_false(ordered_reserve(&m.ordered, capacity + 1));

    assert_ptr_equal(m.ordered.links, links);
    assert_int_equal(m.ordered.capacity, capacity);
    check(&m);
    model_release(&m);
}

static void test_growing_one_by_one_asks_seldom_and_keeps_the_sets(void **state)
{
    struct model m;
    struct dice dice = { 35 };
    (void)state;
    model_init(&m, &dice);
    for (uint32_t item = 0; item < ITEMS; item++)
        toggle(&m, item, item % SETS);
    size_t requests = m.faulty.requests;

    for (uint32_t count = ITEMS; count <= 100 * ITEMS; count++)
        assert_true(ordered_reserve(&m.ordered, count));

    assert_in_range(m.faulty.requests - requests, 1, 20);
    assert_int_equal(m.ordered.links[100 * ITEMS - 1].left, ORDERED_NONE);
    check(&m);
    model_release(&m);
}

static void test_an_empty_set_has_nothing(void **state)
{
    struct model m;
    struct dice dice = { 36 };
    (void)state;
    model_init(&m, &dice);

    assert_int_equal(ordered_first(&m.ordered, ORDERED_NONE), ORDERED_NONE);
    assert_int_equal(ordered_build(&m.ordered, NULL, 0), ORDERED_NONE);
    check(&m);
    model_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_behave_like_sorted_arrays),
        cmocka_unit_test(test_walking_visits_all_items_in_order),
        cmocka_unit_test(test_the_shape_depends_on_the_items_alone),
        cmocka_unit_test(test_building_gives_what_inserting_gives),
        cmocka_unit_test(test_sets_filled_in_turns_are_good_for_anything_and_list_in_order),
        cmocka_unit_test(test_a_list_needs_no_room_but_its_own_whatever_the_shape),
        cmocka_unit_test(test_taking_some_gives_what_walking_gives),
        cmocka_unit_test(test_taking_finds_its_way_in_a_tree_of_any_depth),
        cmocka_unit_test(test_a_million_items_in_order_of_their_numbers_stay_shallow),
        cmocka_unit_test(test_a_failed_reservation_changes_nothing),
        cmocka_unit_test(test_growing_one_by_one_asks_seldom_and_keeps_the_sets),
        cmocka_unit_test(test_an_empty_set_has_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
