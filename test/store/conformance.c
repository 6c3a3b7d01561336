/* SPDX-License-Identifier: Apache-2.0
 * conformance.c - what port/store.h promises, asked of every store. A store that comes later adds a
 * group to main(). */
#include "model.h"
#include "store/memory/memory.h"
#include "store/sqlite/sqlite.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka needs the three above */
#include <cmocka.h>

struct fixture {
    char directory[256];
    struct store_port port;
    void (*reopen)(struct fixture *f);
};

static void open_sqlite(struct fixture *f)
{
    struct err err = { 0 };
    struct store_sqlite_options options = { .eager = true };
    if (!store_sqlite_open(&f->port, f->directory, &options, &err))
        fail_msg("%s", err.text);
}

static void reopen_sqlite(struct fixture *f)
{
    f->port.close(f->port.self);
    open_sqlite(f);
}

static void reopen_memory(struct fixture *f)
{
    store_memory_crash(&f->port);
}

static int setup_sqlite(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    scratch_make(f->directory);
    f->reopen = reopen_sqlite;
    open_sqlite(f);
    *state = f;
    return 0;
}

static int setup_memory(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = { 0 };
    scratch_make(f->directory);
    f->reopen = reopen_memory;
    assert_true(store_memory_open(&f->port, &err));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->port.close(f->port.self);
    scratch_remove(f->directory);
    free(f);
    return 0;
}

static struct store_op put(const char *key, const char *value)
{
    return (struct store_op){ false, text_from(key), text_from(value) };
}

static struct store_op delete_op(const char *key)
{
    return (struct store_op){ true, text_from(key), TEXT_NONE };
}

static void commit(struct fixture *f, const struct store_op *ops, size_t count)
{
    struct err err = { 0 };
    struct store_batch batch = { .ops = ops, .count = count };
    assert_int_equal(f->port.commit(f->port.self, &batch, &err), STORE_DURABLE);
    assert_int_equal(err.code, ERR_NONE);
}

#define COMMIT(f, ...)                                                                             \
    do {                                                                                           \
        const struct store_op ops_[] = { __VA_ARGS__ };                                            \
        commit(f, ops_, sizeof ops_ / sizeof ops_[0]);                                             \
    } while (0)

struct listing {
    char text[512];
    size_t size, stop_after, pairs;
};

static bool list_pair(void *ctx, struct text key, struct text value)
{
    struct listing *l = ctx;
    int size = snprintf(l->text + l->size, sizeof l->text - l->size, "%.*s=%.*s ", TEXT_ARG(key),
                        TEXT_ARG(value));
    l->size += (size_t)size;
    return ++l->pairs != l->stop_after;
}

static void assert_lists(struct fixture *f, const char *first, const char *end, size_t limit,
                         const char *expected)
{
    struct listing l = { 0 };
    struct err err = { 0 };
    assert_true(
        f->port.scan(f->port.self, text_from(first), text_from(end), limit, list_pair, &l, &err));
    assert_string_equal(l.text, expected);
}

static void test_a_new_store_is_empty(void **state)
{
    assert_lists(*state, "", "", 0, "");
}

static void test_what_was_put_is_there_and_what_was_deleted_is_not(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("a", "1"), put("b", "2"));
    COMMIT(f, delete_op("a"), put("c", "3"), delete_op("never"));

    assert_lists(f, "", "", 0, "b=2 c=3 ");
    f->reopen(f);
    assert_lists(f, "", "", 0, "b=2 c=3 ");
}

static void test_a_later_batch_replaces_a_value(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("a", "1"));
    COMMIT(f, put("a", "22"));

    assert_lists(f, "", "", 0, "a=22 ");
}

static void test_the_last_op_on_a_key_counts(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("a", "1"), put("b", "1"), put("a", "2"), delete_op("b"), delete_op("c"),
           put("c", "3"), put("d", "1"), delete_op("d"), put("d", "2"));

    assert_lists(f, "", "", 0, "a=2 c=3 d=2 ");
    f->reopen(f);
    assert_lists(f, "", "", 0, "a=2 c=3 d=2 ");
}

static void test_an_empty_value_is_a_value(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("a", ""));

    assert_lists(f, "", "", 0, "a= ");
}

static void test_an_empty_batch_is_durable_at_once(void **state)
{
    struct fixture *f = *state;
    commit(f, NULL, 0);

    assert_int_equal(f->port.stats(f->port.self).commits, 0);
}

static void test_keys_come_in_order_of_their_bytes(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("b", "4"), put("a/b", "3"), put("a", "1"), put("a-b", "2"), put("\xff", "7"),
           put("\xc3\xa9", "6"), put("z", "5"));

    assert_lists(f, "", "", 0, "a=1 a-b=2 a/b=3 b=4 z=5 \xc3\xa9=6 \xff=7 ");
}

static void test_a_range_has_its_first_and_not_its_end(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("a", "1"), put("b", "2"), put("c", "3"), put("d", "4"));

    assert_lists(f, "b", "d", 0, "b=2 c=3 ");
    assert_lists(f, "aa", "cc", 0, "b=2 c=3 ");
    assert_lists(f, "c", "", 0, "c=3 d=4 ");
    assert_lists(f, "", "b", 0, "a=1 ");
    assert_lists(f, "d", "b", 0, "");
    assert_lists(f, "e", "", 0, "");
}

static void test_a_scan_ends_at_its_limit(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("a", "1"), put("b", "2"), put("c", "3"));

    assert_lists(f, "", "", 2, "a=1 b=2 ");
    assert_lists(f, "", "", 3, "a=1 b=2 c=3 ");
    assert_lists(f, "b", "", 1, "b=2 ");
    assert_lists(f, "", "", 9, "a=1 b=2 c=3 ");
}

static void test_a_visitor_ends_the_scan_without_an_error(void **state)
{
    struct fixture *f = *state;
    struct listing l = { .stop_after = 2 };
    struct err err = { 0 };
    COMMIT(f, put("a", "1"), put("b", "2"), put("c", "3"));

    assert_true(f->port.scan(f->port.self, TEXT_NONE, TEXT_NONE, 0, list_pair, &l, &err));

    assert_int_equal(l.pairs, 2);
    assert_lists(f, "", "", 0, "a=1 b=2 c=3 ");
}

struct expected_pair {
    struct text key, value;
    size_t seen;
};

static bool match_pair(void *ctx, struct text key, struct text value)
{
    struct expected_pair *expected = ctx;
    assert_true(text_equal(key, expected->key));
    assert_true(text_equal(value, expected->value));
    expected->seen++;
    return true;
}

static void assert_only_pair(struct fixture *f, struct text key, struct text value)
{
    struct expected_pair expected = { key, value, 0 };
    struct err err = { 0 };
    assert_true(f->port.scan(f->port.self, TEXT_NONE, TEXT_NONE, 0, match_pair, &expected, &err));
    assert_int_equal(expected.seen, 1);
}

static void test_keys_and_values_are_any_bytes(void **state)
{
    struct fixture *f = *state;
    char key[STORE_KEY_MAX], value[1000];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (char)i; /* starts with NUL, has 0x80 to 0xff, is no UTF-8 */
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)(255 - i % 256);
    struct text k = { key, sizeof key }, v = { value, sizeof value };

    commit(f, &(struct store_op){ false, k, v }, 1);

    assert_only_pair(f, k, v);
    f->reopen(f);
    assert_only_pair(f, k, v);
    commit(f, &(struct store_op){ true, k, TEXT_NONE }, 1);
    assert_lists(f, "", "", 0, "");
}

static void test_keys_that_differ_after_a_nul_are_different(void **state)
{
    struct fixture *f = *state;
    const struct store_op ops[] = { { false, { "a\0b", 3 }, TEXT("2") },
                                    { false, { "a", 1 }, TEXT("1") },
                                    { false, { "a\0c", 3 }, TEXT("3") } };
    commit(f, ops, 3);
    f->reopen(f);
    commit(f, &(struct store_op){ true, { "a\0b", 3 }, TEXT_NONE }, 1);
    commit(f, &(struct store_op){ true, { "a", 1 }, TEXT_NONE }, 1);

    assert_only_pair(f, (struct text){ "a\0c", 3 }, TEXT("3"));
}

static void test_the_largest_value_comes_back(void **state)
{
    struct fixture *f = *state;
    char *value = malloc(STORE_VALUE_MAX);
    uint64_t random = 7;
    assert_non_null(value);
    for (size_t i = 0; i < STORE_VALUE_MAX; i++)
        value[i] = (char)random_next(&random);
    struct text v = { value, STORE_VALUE_MAX };

    commit(f, &(struct store_op){ false, TEXT("big"), v }, 1);
    f->reopen(f);

    assert_only_pair(f, TEXT("big"), v);
    free(value);
}

static void test_what_the_caller_changes_afterwards_is_not_stored(void **state)
{
    struct fixture *f = *state;
    char key[] = "a", value[] = "1";
    COMMIT(f, put(key, value));
    key[0] = 'x';
    value[0] = '9';

    assert_lists(f, "", "", 0, "a=1 ");
}

static void test_statistics_count_what_became_durable(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, put("a", "1"), delete_op("b"));
    COMMIT(f, put("c", "3"));

    struct store_stats stats = f->port.stats(f->port.self);
    assert_int_equal(stats.commits, 2);
    assert_int_equal(stats.ops, 3);
    assert_true(stats.bytes >= 5);
}

static void step(struct fixture *f, struct model *model)
{
    struct store_batch batch = model_make(model);
    struct err err = { 0 };
    assert_int_equal(f->port.commit(f->port.self, &batch, &err), STORE_DURABLE);
    model_accept(model);
}

static void test_ten_thousand_random_batches_agree_with_the_model(void **state)
{
    struct fixture *f = *state;
    struct model model;
    uint64_t random = 42;
    model_init(&model, 1, 300);
    for (unsigned i = 0; i < 10000; i++) {
        step(f, &model);
        if (random_below(&random, 20) == 0)
            f->port.tend(f->port.self, 1);
        if (random_below(&random, 100) == 0)
            f->reopen(f);
        if (random_below(&random, 50) == 0)
            assert_true(model_agrees(&model, &f->port));
    }
    assert_true(model_agrees(&model, &f->port));
    model_release(&model);
}

#define TESTS(setup)                                                                               \
    {                                                                                              \
        TEST(setup, test_a_new_store_is_empty),                                                    \
            TEST(setup, test_what_was_put_is_there_and_what_was_deleted_is_not),                   \
            TEST(setup, test_a_later_batch_replaces_a_value),                                      \
            TEST(setup, test_the_last_op_on_a_key_counts),                                         \
            TEST(setup, test_an_empty_value_is_a_value),                                           \
            TEST(setup, test_an_empty_batch_is_durable_at_once),                                   \
            TEST(setup, test_keys_come_in_order_of_their_bytes),                                   \
            TEST(setup, test_a_range_has_its_first_and_not_its_end),                               \
            TEST(setup, test_a_scan_ends_at_its_limit),                                            \
            TEST(setup, test_a_visitor_ends_the_scan_without_an_error),                            \
            TEST(setup, test_keys_and_values_are_any_bytes),                                       \
            TEST(setup, test_keys_that_differ_after_a_nul_are_different),                          \
            TEST(setup, test_the_largest_value_comes_back),                                        \
            TEST(setup, test_what_the_caller_changes_afterwards_is_not_stored),                    \
            TEST(setup, test_statistics_count_what_became_durable),                                \
            TEST(setup, test_ten_thousand_random_batches_agree_with_the_model),                    \
    }
#define TEST(setup, name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest memory[] = TESTS(setup_memory);
    const struct CMUnitTest sqlite[] = TESTS(setup_sqlite);
    int failures = cmocka_run_group_tests_name("memory", memory, NULL, NULL);
    return failures + cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
}
