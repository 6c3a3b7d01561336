/* SPDX-License-Identifier: Apache-2.0
 * test_timers.c - timers against a scan over all of them: a few, which stand in a heap, and so many
 * that most of them wait in buckets. */
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/suite.h"
#include "base/timers.h"

#define ITEMS 400u
#define MANY  10000u /* room for so many has buckets, whoever uses it */

struct model {
    struct faulty_memory faulty;
    struct timers timers;
    int64_t due[ITEMS];
};

static void model_init(struct model *m, uint32_t room)
{
    faulty_memory_init(&m->faulty);
    timers_init(&m->timers, &m->faulty.memory);
    assert_true(timers_reserve(&m->timers, room));
    for (uint32_t i = 0; i < ITEMS; i++)
        m->due[i] = TIMERS_NEVER;
}

static void model_release(struct model *m)
{
    timers_release(&m->timers);
    assert_int_equal(m->faulty.blocks, 0);
}

static uint32_t scan(const struct model *m, int64_t *ret_due)
{
    uint32_t best = TIMERS_NONE;
    *ret_due = TIMERS_NEVER;
    for (uint32_t i = 0; i < ITEMS; i++)
        if (m->due[i] < *ret_due) {
            *ret_due = m->due[i];
            best = i;
        }
    return best;
}

static void check_first(const struct model *m)
{
    int64_t expected_due, due = 0;
    uint32_t expected = scan(m, &expected_due);
    assert_int_equal(timers_first(&m->timers, &due), expected);
    assert_true(due == expected_due);
}

static void check(const struct model *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        assert_true(timers_due(&m->timers, i) == m->due[i]);
        count += m->due[i] != TIMERS_NEVER;
    }
    assert_int_equal(m->timers.count, count);
    check_first(m);
}

static void set(struct model *m, uint32_t item, int64_t due)
{
    timers_set(&m->timers, item, due);
    m->due[item] = due;
}

/* The next instant of a scenario: near, at the same time as others, in every bucket of the ring,
 * beyond it, before everything, or anywhere at all. */
static int64_t draw_due(struct dice *dice, int64_t now)
{
    switch (dice_roll(dice, 10)) {
    case 0: return (int64_t)dice_next(dice) / 2; /* negative too */
    case 1: return now - dice_roll(dice, 100);
    case 2:
    case 3: return now + dice_roll(dice, 50);
    case 4: return now + dice_roll(dice, 100) * 1000000ll;
    case 5: return now + 262144 + dice_roll(dice, 64) - 32; /* the end of the ring */
    default: return now + dice_roll(dice, 300000);
    }
}

static void step(struct model *m, struct dice *dice, int64_t now)
{
    uint32_t item = dice_roll(dice, ITEMS);
    switch (dice_roll(dice, 8)) {
    case 0:
        timers_clear(&m->timers, item);
        m->due[item] = TIMERS_NEVER;
        break;
    case 1: set(m, item, TIMERS_NEVER); break;
    default: set(m, item, draw_due(dice, now)); break;
    }
}

static void behave_like_a_scan(uint32_t room, uint64_t seed)
{
    struct model m;
    struct dice dice = { seed };
    model_init(&m, room);

    for (unsigned i = 0; i < 30000; i++) {
        step(&m, &dice, 1000000);
        check_first(&m);
        if (i % 100 == 0)
            check(&m);
    }

    check(&m);
    model_release(&m);
}

static void test_few_timers_behave_like_a_scan(void **state)
{
    (void)state;
    behave_like_a_scan(ITEMS, 40);
}

static void test_many_timers_behave_like_a_scan(void **state)
{
    (void)state;
    behave_like_a_scan(MANY, 44);
}

/* As in a simulation: the first is taken, time goes on to it, and it or another is set again. */
static void test_time_that_goes_on_comes_by_every_timer(void **state)
{
    struct model m;
    struct dice dice = { 45 };
    int64_t now = 0;
    (void)state;
    model_init(&m, MANY);
    for (uint32_t i = 0; i < ITEMS / 2; i++)
        set(&m, i, dice_roll(&dice, 300000));

    for (unsigned i = 0; i < 100000; i++) {
        int64_t due;
        uint32_t item = timers_first(&m.timers, &due);
        if (due > now)
            now = due;
        if (i % 16 == 0)
            step(&m, &dice, now);
        set(&m, item, now + 1 + dice_roll(&dice, i % 3 == 0 ? 600000 : 30000));
        if (i % 7 == 0)
            check_first(&m);
    }

    assert_true(m.timers.openings > 1000);
    check(&m);
    model_release(&m);
}

static void test_clearing_all_leaves_none_and_room_for_all(void **state)
{
    struct model m;
    struct dice dice = { 46 };
    (void)state;
    model_init(&m, MANY);

    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 1000; i++)
            step(&m, &dice, 1000000 * round);
        check(&m);
        timers_clear_all(&m.timers);
        for (uint32_t i = 0; i < ITEMS; i++)
            m.due[i] = TIMERS_NEVER;
        check(&m);
    }

    model_release(&m);
}

static void test_all_items_fit_whatever_their_buckets(void **state)
{
    struct timers timers;
    (void)state;
    timers_init(&timers, &memory_heap);
    assert_true(timers_reserve(&timers, MANY));
    uint32_t capacity = timers.capacity;

    for (uint32_t turn = 0; turn < 4; turn++)
        for (uint32_t i = 0; i < capacity; i++)
            timers_set(&timers, i, 1 + (int64_t)(turn % 2 ? i : capacity - i) * 16);

    int64_t due = 0;
    for (uint32_t i = 0; i < capacity; i++) {
        assert_int_equal(timers_first(&timers, &due), i);
        timers_clear(&timers, i);
    }
    assert_int_equal(timers_first(&timers, &due), TIMERS_NONE);
    timers_release(&timers);
}

static void fire_in_order(uint32_t room)
{
    struct model m;
    struct dice dice = { 41 };
    int64_t last_due = -1, due = 0;
    uint32_t last = 0, fired = 0;
    model_init(&m, room);
    for (uint32_t i = 0; i < ITEMS; i++)
        set(&m, i, dice_roll(&dice, 20));

    for (uint32_t item; (item = timers_first(&m.timers, &due)) != TIMERS_NONE; fired++) {
        assert_true(due > last_due || (due == last_due && item > last));
        timers_clear(&m.timers, item);
        last_due = due;
        last = item;
    }

    assert_int_equal(fired, ITEMS);
    assert_true(due == TIMERS_NEVER);
    model_release(&m);
}

static void test_timers_fire_in_order_of_time_then_of_number(void **state)
{
    (void)state;
    fire_in_order(ITEMS);
    fire_in_order(MANY);
}

static void test_a_failed_reservation_changes_nothing(void **state)
{
    struct model m;
    struct dice dice = { 42 };
    (void)state;
    model_init(&m, ITEMS);
    for (unsigned i = 0; i < 1000; i++)
        step(&m, &dice, 1000);
    uint32_t capacity = m.timers.capacity;
    faulty_memory_fail(&m.faulty, 1, true);

    assert_false(timers_reserve(&m.timers, capacity + 1));

    assert_int_equal(m.timers.capacity, capacity);
    check(&m);
    model_release(&m);
}

static void test_growing_one_by_one_asks_seldom_and_keeps_the_timers(void **state)
{
    struct model m;
    struct dice dice = { 43 };
    (void)state;
    model_init(&m, ITEMS);
    for (unsigned i = 0; i < 1000; i++)
        step(&m, &dice, 1000);
    size_t requests = m.faulty.requests;

    for (uint32_t count = ITEMS; count <= 100 * ITEMS; count++)
        assert_true(timers_reserve(&m.timers, count));

    assert_in_range(m.faulty.requests - requests, 1, 20);
    assert_true(timers_due(&m.timers, 100 * ITEMS - 1) == TIMERS_NEVER);
    check(&m);
    model_release(&m);
}

static void test_clearing_what_has_no_timer_does_nothing(void **state)
{
    struct timers timers;
    int64_t due = 0;
    (void)state;
    timers_init(&timers, &memory_heap);

    timers_clear(&timers, 5);

    assert_true(timers_due(&timers, 5) == TIMERS_NEVER);
    assert_int_equal(timers_first(&timers, &due), TIMERS_NONE);
    assert_true(due == TIMERS_NEVER);
    timers_release(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_timers_behave_like_a_scan),
        cmocka_unit_test(test_many_timers_behave_like_a_scan),
        cmocka_unit_test(test_time_that_goes_on_comes_by_every_timer),
        cmocka_unit_test(test_clearing_all_leaves_none_and_room_for_all),
        cmocka_unit_test(test_all_items_fit_whatever_their_buckets),
        cmocka_unit_test(test_timers_fire_in_order_of_time_then_of_number),
        cmocka_unit_test(test_a_failed_reservation_changes_nothing),
        cmocka_unit_test(test_growing_one_by_one_asks_seldom_and_keeps_the_timers),
        cmocka_unit_test(test_clearing_what_has_no_timer_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
