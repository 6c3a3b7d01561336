/* SPDX-License-Identifier: Apache-2.0
 * memory_faults.c - the faults that the store in memory has on demand do what their list says. */
#include "model.h"
#include "store/memory/memory.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka needs the two above */
#include <cmocka.h>

struct fixture {
    struct store_port port;
    struct model model;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = { 0 };
    assert_true(store_memory_open(&f->port, &err));
    model_init(&f->model, 3, 40);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->port.close(f->port.self);
    model_release(&f->model);
    free(f);
    return 0;
}

static enum store_result try_next(struct fixture *f, struct err *err)
{
    struct store_batch batch = model_make(&f->model);
    return f->port.commit(f->port.self, &batch, err);
}

static void commit(struct fixture *f, unsigned batches)
{
    struct err err = { 0 };
    for (unsigned i = 0; i < batches; i++) {
        assert_int_equal(try_next(f, &err), STORE_DURABLE);
        model_accept(&f->model);
    }
}

static void test_a_full_disk_changes_nothing_and_passes(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    store_memory_plan_fault(&f->port, STORE_MEMORY_RETRY, 3);
    commit(f, 2);

    assert_int_equal(try_next(f, &err), STORE_RETRY);

    assert_int_equal(err.code, ERR_STORE);
    assert_true(model_agrees(&f->model, &f->port));
    commit(f, 2);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_after_an_unknown_outcome_everything_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    uint64_t count;
    commit(f, 2);
    store_memory_plan_fault(&f->port, STORE_MEMORY_UNKNOWN_LOST, 1);

    assert_int_equal(try_next(f, &err), STORE_UNKNOWN);

    assert_int_equal(try_next(f, &err), STORE_UNKNOWN);
    assert_int_equal(f->port.commit(f->port.self, &(struct store_batch){ 0 }, &err), STORE_UNKNOWN);
    assert_false(model_read_count(&f->port, &count, &err));
}

static void test_an_unknown_batch_may_be_lost(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    commit(f, 2);
    store_memory_plan_fault(&f->port, STORE_MEMORY_UNKNOWN_LOST, 1);
    assert_int_equal(try_next(f, &err), STORE_UNKNOWN);

    store_memory_crash(&f->port);

    assert_true(model_agrees(&f->model, &f->port));
    commit(f, 3);
}

static void test_an_unknown_batch_may_be_there(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    commit(f, 2);
    store_memory_plan_fault(&f->port, STORE_MEMORY_UNKNOWN_KEPT, 1);
    assert_int_equal(try_next(f, &err), STORE_UNKNOWN);

    store_memory_crash(&f->port);

    model_accept(&f->model);
    assert_true(model_agrees(&f->model, &f->port));
}

static bool count_pairs(void *ctx, struct text key, struct text value)
{
    (void)key, (void)value;
    ++*(size_t *)ctx;
    return true;
}

static void test_a_torn_batch_is_there_by_half(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    const struct store_op ops[] = { { false, TEXT("a"), TEXT("1") },
                                    { false, TEXT("b"), TEXT("2") },
                                    { false, TEXT("c"), TEXT("3") },
                                    { false, TEXT("d"), TEXT("4") } };
    store_memory_plan_fault(&f->port, STORE_MEMORY_TORN, 1);
    assert_int_equal(
        f->port.commit(f->port.self, &(struct store_batch){ .ops = ops, .count = 4 }, &err),
        STORE_UNKNOWN);

    store_memory_crash(&f->port);

    size_t pairs = 0;
    assert_true(f->port.scan(f->port.self, TEXT_NONE, TEXT_NONE, 0, count_pairs, &pairs, &err));
    assert_int_equal(pairs, 2);
}

static void test_a_crash_after_a_lie_goes_back_to_before_it(void **state)
{
    struct fixture *f = *state;
    commit(f, 20);
    store_memory_plan_fault(&f->port, STORE_MEMORY_LIE, 2);
    commit(f, 20);
    assert_true(model_agrees(&f->model, &f->port)); /* nobody can tell yet */

    store_memory_crash(&f->port);

    model_go_to(&f->model, 21);
    assert_true(model_agrees(&f->model, &f->port));
    commit(f, 5);
    store_memory_crash(&f->port);
    assert_true(model_agrees(&f->model, &f->port));
}

static void test_a_plan_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    store_memory_plan_fault(&f->port, STORE_MEMORY_RETRY, 1);
    store_memory_plan_fault(&f->port, STORE_MEMORY_NO_FAULT, 1);

    commit(f, 3);
}

static void test_a_backup_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_false(f->port.backup_begin(f->port.self, &err));

    assert_int_equal(err.code, ERR_NOT_SUPPORTED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_disk_changes_nothing_and_passes),
        TEST(test_after_an_unknown_outcome_everything_is_refused),
        TEST(test_an_unknown_batch_may_be_lost),
        TEST(test_an_unknown_batch_may_be_there),
        TEST(test_a_torn_batch_is_there_by_half),
        TEST(test_a_crash_after_a_lie_goes_back_to_before_it),
        TEST(test_a_plan_can_be_cancelled),
        TEST(test_a_backup_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
