/* SPDX-License-Identifier: Apache-2.0
 * test_buckets.c - rates and waits, with a clock of our own. */
#include "base/suite.h"
#include "http/buckets.h"

#define SECOND 1000000ll
#define START  (77 * SECOND)

static unsigned take_many(struct buckets *b, uint64_t key, int64_t now, unsigned count)
{
    unsigned taken = 0;
    int64_t wait;
    for (unsigned i = 0; i < count; i++)
        taken += buckets_take(b, key, now, &wait);
    return taken;
}

static struct buckets open_buckets(uint32_t amount, int64_t period, uint32_t burst)
{
    struct buckets b;
    assert_true(buckets_init(&b, &memory_heap, 64, amount, period, burst));
    return b;
}

/* ---- rates ---------------------------------------------------------------------------------- */

static void test_a_burst_passes_and_the_next_waits(void **state)
{
    (void)state;
    struct buckets b = open_buckets(10, SECOND, 20);
    int64_t wait = 0;

    assert_int_equal(take_many(&b, 1, START, 20), 20);
    assert_false(buckets_take(&b, 1, START, &wait));

    assert_int_equal(wait, SECOND / 10);
    assert_false(buckets_take(&b, 1, START + wait - 1, &wait));
    assert_true(buckets_take(&b, 1, START + SECOND / 10, &wait));
    buckets_release(&b);
}

static void test_over_time_the_rate_is_kept_exactly(void **state)
{
    (void)state;
    struct buckets b = open_buckets(10, SECOND, 20);
    unsigned taken = 0;

    for (int64_t now = START; now < START + 100 * SECOND; now += 1000)
        taken += take_many(&b, 1, now, 1);

    assert_int_equal(taken, 20 + 10 * 100 - 1);
    buckets_release(&b);
}

static void test_clients_do_not_take_from_each_other(void **state)
{
    (void)state;
    struct buckets b = open_buckets(1, SECOND, 1);

    assert_int_equal(take_many(&b, 1, START, 5), 1);
    assert_int_equal(take_many(&b, 2, START, 5), 1);
    assert_int_equal(take_many(&b, 1u + 64, START, 5), 1);
    buckets_release(&b);
}

static void test_without_an_amount_nothing_is_limited(void **state)
{
    (void)state;
    struct buckets b = open_buckets(0, SECOND, 0);
    int64_t wait;

    for (unsigned i = 0; i < 1000; i++)
        buckets_fail(&b, 1, START);

    assert_int_equal(take_many(&b, 1, START, 1000), 1000);
    assert_false(buckets_is_shut(&b, 1, START, &wait));
    buckets_release(&b);
}

/* The one that has used least is forgotten, so who is at its limit stays there. */
static void test_a_full_table_keeps_those_at_their_limit(void **state)
{
    (void)state;
    struct buckets b = open_buckets(1, SECOND, 100);
    int64_t wait;
    assert_int_equal(take_many(&b, 0, START, 200), 100);

    for (uint64_t key = 64; key < 64 * 1000; key += 64)
        assert_true(buckets_take(&b, key, START, &wait));

    assert_int_equal(take_many(&b, 0, START, 200), 0);
    buckets_release(&b);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void fail_times(struct buckets *b, uint64_t key, int64_t now, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        buckets_fail(b, key, now);
}

static void test_the_tenth_failure_shuts(void **state)
{
    (void)state;
    struct buckets b = open_buckets(10, 60 * SECOND, 10);
    int64_t wait = 0;

    fail_times(&b, 1, START, 9);
    assert_false(buckets_is_shut(&b, 1, START, &wait));
    fail_times(&b, 1, START, 1);

    assert_true(buckets_is_shut(&b, 1, START, &wait));
    assert_int_equal(wait, 6 * SECOND);
    assert_false(buckets_is_shut(&b, 1, START + 6 * SECOND, &wait));
    assert_false(buckets_is_shut(&b, 2, START, &wait));
    buckets_release(&b);
}

static void test_who_goes_on_failing_waits_twice_as_long_up_to_a_bound(void **state)
{
    (void)state;
    struct buckets b = open_buckets(10, 60 * SECOND, 10);
    int64_t now = START, wait = 0;
    static const int64_t expected[] = { 6, 12, 24, 48, 96, 192, 300, 300, 300 };
    fail_times(&b, 1, now, 9);

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        fail_times(&b, 1, now, 1);
        assert_true(buckets_is_shut(&b, 1, now, &wait));
        assert_int_equal(wait, expected[i] * SECOND);
        now += wait;
    }
    buckets_release(&b);
}

static void test_a_pause_makes_it_as_good_as_new(void **state)
{
    (void)state;
    struct buckets b = open_buckets(10, 60 * SECOND, 10);
    int64_t wait = 0;
    fail_times(&b, 1, START, 10);
    fail_times(&b, 1, START + 6 * SECOND, 1);
    int64_t later = START + (6 + 12 + 60) * SECOND;

    fail_times(&b, 1, later, 9);
    assert_false(buckets_is_shut(&b, 1, later, &wait));
    fail_times(&b, 1, later, 1);

    assert_true(buckets_is_shut(&b, 1, later, &wait));
    assert_int_equal(wait, 6 * SECOND);
    buckets_release(&b);
}

static void test_few_failures_never_shut(void **state)
{
    (void)state;
    struct buckets b = open_buckets(10, 60 * SECOND, 10);
    int64_t wait;

    for (int64_t now = START; now < START + 3600 * SECOND; now += 6 * SECOND) {
        buckets_fail(&b, 1, now);
        assert_false(buckets_is_shut(&b, 1, now, &wait));
    }
    buckets_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_passes_and_the_next_waits),
        cmocka_unit_test(test_over_time_the_rate_is_kept_exactly),
        cmocka_unit_test(test_clients_do_not_take_from_each_other),
        cmocka_unit_test(test_without_an_amount_nothing_is_limited),
        cmocka_unit_test(test_a_full_table_keeps_those_at_their_limit),
        cmocka_unit_test(test_the_tenth_failure_shuts),
        cmocka_unit_test(test_who_goes_on_failing_waits_twice_as_long_up_to_a_bound),
        cmocka_unit_test(test_a_pause_makes_it_as_good_as_new),
        cmocka_unit_test(test_few_failures_never_shut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
