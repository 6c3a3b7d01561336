/* SPDX-License-Identifier: Apache-2.0
 * test_chance.c - the simulator's dice and its histogram. */
#include "base/suite.h"
#include "sim/dice.h"
#include "sim/histogram.h"

static void test_the_same_seed_and_name_give_the_same_stream(void **state)
{
    struct sim_dice a = sim_dice_of(42, TEXT("web-1"), TEXT("update"));
    struct sim_dice b = sim_dice_of(42, TEXT("web-1"), TEXT("update"));
    (void)state;

    for (int i = 0; i < 100; i++)
        assert_true(sim_dice_next(&a) == sim_dice_next(&b));
}

static void test_seed_name_and_purpose_each_give_another_stream(void **state)
{
    struct sim_dice base = sim_dice_of(42, TEXT("web-1"), TEXT("update"));
    struct sim_dice seed = sim_dice_of(43, TEXT("web-1"), TEXT("update"));
    struct sim_dice name = sim_dice_of(42, TEXT("web-2"), TEXT("update"));
    struct sim_dice purpose = sim_dice_of(42, TEXT("web-1"), TEXT("jitter"));
    (void)state;

    uint64_t first = sim_dice_next(&base);

    assert_true(first != sim_dice_next(&seed));
    assert_true(first != sim_dice_next(&name));
    assert_true(first != sim_dice_next(&purpose));
}

static void test_a_roll_stays_below_its_end_and_reaches_every_side(void **state)
{
    struct sim_dice dice = { 1 };
    uint32_t seen[6] = { 0 };
    (void)state;

    for (int i = 0; i < 60000; i++)
        seen[sim_dice_roll(&dice, 6)]++;

    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 9500, 10500);
}

static void test_between_includes_both_ends(void **state)
{
    struct sim_dice dice = { 1 };
    bool low = false, high = false;
    (void)state;

    for (int i = 0; i < 1000; i++) {
        int64_t value = sim_dice_between(&dice, -2, 2);
        assert_true(value >= -2 && value <= 2);
        low |= value == -2;
        high |= value == 2;
    }

    assert_true(low && high);
    assert_int_equal(sim_dice_between(&dice, 7, 7), 7);
}

static void test_percentiles_are_right_to_a_sixteenth(void **state)
{
    struct histogram h = { 0 };
    (void)state;

    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&h, value);

    assert_in_range(histogram_at(&h, 500), 50000, 50000 + 50000 / 16);
    assert_in_range(histogram_at(&h, 990), 99000, 100000);
    assert_int_equal(histogram_at(&h, 1000), 100000);
    assert_int_equal(h.max, 100000);
}

static void test_small_values_are_exact(void **state)
{
    struct histogram h = { 0 };
    (void)state;

    for (uint64_t value = 0; value < 10; value++)
        histogram_add(&h, value);

    assert_int_equal(histogram_at(&h, 100), 0);
    assert_int_equal(histogram_at(&h, 500), 4);
    assert_int_equal(histogram_at(&h, 990), 9);
    assert_int_equal(histogram_at(&h, 1000), 9);
}

static void test_an_empty_histogram_says_zero(void **state)
{
    struct histogram h = { 0 };
    (void)state;

    assert_int_equal(histogram_at(&h, 990), 0);
}

static void test_a_value_beyond_the_last_bucket_is_still_counted(void **state)
{
    struct histogram h = { 0 };
    (void)state;

    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, 5);

    assert_int_equal(histogram_at(&h, 500), 5);
    assert_true(histogram_at(&h, 1000) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_seed_and_name_give_the_same_stream),
        cmocka_unit_test(test_seed_name_and_purpose_each_give_another_stream),
        cmocka_unit_test(test_a_roll_stays_below_its_end_and_reaches_every_side),
        cmocka_unit_test(test_between_includes_both_ends),
        cmocka_unit_test(test_percentiles_are_right_to_a_sixteenth),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_an_empty_histogram_says_zero),
        cmocka_unit_test(test_a_value_beyond_the_last_bucket_is_still_counted),
    };
    return cmocka_run_group_tests_name("sim/chance", tests, NULL, NULL);
}
