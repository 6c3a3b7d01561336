/* SPDX-License-Identifier: Apache-2.0
 * test_timers.c - the heap of timers against a scan over all of them. */
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/suite.h"
#include "base/timers.h"

#define ITEMS 400u

struct model {
    struct faulty_memory faulty;
    struct timers timers;
    int64_t due[ITEMS];
};

/* The other way round than the numbers, to tell the two apart. */
static int later_number_first(const void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx;
    return a > b ? -1 : a < b;
}

static void model_init(struct model *m)
{
    faulty_memory_init(&m->faulty);
    timers_init(&m->timers, &m->faulty.memory, later_number_first, NULL);
    assert_true(timers_reserve(&m->timers, ITEMS));
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
        if (m->due[i] != TIMERS_NEVER && m->due[i] <= *ret_due) {
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

static void step(struct model *m, struct dice *dice)
{
    uint32_t item = dice_roll(dice, ITEMS);
    switch (dice_roll(dice, 8)) {
    case 0:
        timers_clear(&m->timers, item);
        m->due[item] = TIMERS_NEVER;
        break;
    case 1: set(m, item, TIMERS_NEVER); break;
    case 2: set(m, item, (int64_t)dice_next(dice) / 2); break; /* negative too */
    default: set(m, item, dice_roll(dice, 50)); break;         /* many at the same instant */
    }
}

static void test_timers_behave_like_a_scan(void **state)
{
    struct model m;
    struct dice dice = { 40 };
    (void)state;
    model_init(&m);

    for (unsigned i = 0; i < 30000; i++) {
        step(&m, &dice);
        check_first(&m);
        if (i % 100 == 0)
            check(&m);
    }

    check(&m);
    model_release(&m);
}

static void test_timers_fire_in_order_of_time_then_of_compare(void **state)
{
    struct model m;
    struct dice dice = { 41 };
    int64_t last_due = -1, due = 0;
    uint32_t last = 0, fired = 0;
    (void)state;
    model_init(&m);
    for (uint32_t i = 0; i < ITEMS; i++)
        set(&m, i, dice_roll(&dice, 20));

    for (uint32_t item; (item = timers_first(&m.timers, &due)) != TIMERS_NONE; fired++) {
        assert_true(due > last_due || (due == last_due && item < last));
        timers_clear(&m.timers, item);
        last_due = due;
        last = item;
    }

    assert_int_equal(fired, ITEMS);
    assert_true(due == TIMERS_NEVER);
    model_release(&m);
}

static void test_a_failed_reservation_changes_nothing(void **state)
{
    struct model m;
    struct dice dice = { 42 };
    (void)state;
    model_init(&m);
    for (unsigned i = 0; i < 1000; i++)
        step(&m, &dice);
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
    model_init(&m);
    for (unsigned i = 0; i < 1000; i++)
        step(&m, &dice);
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
    timers_init(&timers, &memory_heap, later_number_first, NULL);

    timers_clear(&timers, 5);

    assert_true(timers_due(&timers, 5) == TIMERS_NEVER);
    assert_int_equal(timers_first(&timers, &due), TIMERS_NONE);
    assert_true(due == TIMERS_NEVER);
    timers_release(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_behave_like_a_scan),
        cmocka_unit_test(test_timers_fire_in_order_of_time_then_of_compare),
        cmocka_unit_test(test_a_failed_reservation_changes_nothing),
        cmocka_unit_test(test_growing_one_by_one_asks_seldom_and_keeps_the_timers),
        cmocka_unit_test(test_clearing_what_has_no_timer_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
