/* SPDX-License-Identifier: Apache-2.0
 * test_octaves.c - counts by powers of two against counting one by one. */
#include "base/dice.h"
#include "base/octaves.h"
#include "base/suite.h"

#define VALUES 2000u

static void test_nothing_is_counted_in_an_empty_one(void **unused)
{
    (void)unused;
    struct octaves o = { 0 };

    assert_int_equal(octaves_count(&o), 0);
    assert_int_equal(o.sum, 0);
}

static void test_a_bound_belongs_to_what_it_bounds(void **unused)
{
    (void)unused;
    for (unsigned exponent = 0; exponent < OCTAVES - 1; exponent++) {
        struct octaves o = { 0 };
        uint64_t bound = (uint64_t)1 << exponent;

        octaves_add(&o, bound);
        octaves_add(&o, bound + 1);

        assert_int_equal(octaves_up_to(&o, exponent), 1);
        assert_int_equal(octaves_up_to(&o, exponent + 1), 2);
        assert_int_equal(exponent > 0 ? octaves_up_to(&o, exponent - 1) : 0, 0);
        assert_int_equal(o.sum, 2 * bound + 1);
    }
}

static void test_nothing_is_too_small_or_too_large_to_be_counted(void **unused)
{
    (void)unused;
    struct octaves o = { 0 };

    octaves_add(&o, 0);
    octaves_add(&o, UINT64_MAX);

    assert_int_equal(octaves_up_to(&o, 0), 1);
    assert_int_equal(octaves_up_to(&o, OCTAVES - 2), 1);
    assert_int_equal(octaves_count(&o), 2);
    assert_int_equal(octaves_up_to(&o, UINT32_MAX), 2);
}

static void test_every_bound_counts_what_a_recount_finds(void **unused)
{
    (void)unused;
    struct dice dice = { .state = 11 };
    uint64_t values[VALUES];
    struct octaves whole = { 0 }, parts[2] = { { 0 }, { 0 } };

    for (unsigned i = 0; i < VALUES; i++) {
        values[i] = dice_next(&dice) >> dice_roll(&dice, 64);
        octaves_add(&whole, values[i]);
        octaves_add(&parts[i % 2], values[i]);
    }
    octaves_merge(&parts[0], &parts[1]);

    assert_memory_equal(&parts[0], &whole, sizeof whole);
    assert_int_equal(octaves_count(&whole), VALUES);
    for (unsigned exponent = 0; exponent < OCTAVES - 1; exponent++) {
        uint64_t expected = 0;
        for (unsigned i = 0; i < VALUES; i++)
            expected += values[i] <= (uint64_t)1 << exponent;
        assert_int_equal(octaves_up_to(&whole, exponent), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_counted_in_an_empty_one),
        cmocka_unit_test(test_a_bound_belongs_to_what_it_bounds),
        cmocka_unit_test(test_nothing_is_too_small_or_too_large_to_be_counted),
        cmocka_unit_test(test_every_bound_counts_what_a_recount_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
