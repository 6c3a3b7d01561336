/* SPDX-License-Identifier: Apache-2.0
 * test_intern.c - interned texts against an array of counts. */
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/intern.h"
#include "base/suite.h"

#include <stdio.h>

#define TEXTS 200u

struct model {
    struct faulty_memory faulty;
    struct intern intern;
    char names[TEXTS][16];
    uint32_t users[TEXTS], ids[TEXTS];
};

static struct text name_of(const struct model *m, uint32_t i)
{
    return text_from(m->names[i]);
}

static void model_init(struct model *m)
{
    *m = (struct model){ .users = { 0 } };
    faulty_memory_init(&m->faulty);
    for (uint32_t i = 0; i < TEXTS; i++)
        snprintf(m->names[i], sizeof m->names[i], "text-%u", i);
    assert_true(intern_init(&m->intern, &m->faulty.memory, 99));
}

static void model_release(struct model *m)
{
    intern_release(&m->intern);
    assert_int_equal(m->faulty.blocks, 0);
}

static void check(const struct model *m)
{
    size_t live = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        uint32_t id = 12345;
        bool found = intern_find(&m->intern, name_of(m, i), &id);
        assert_int_equal(found, m->users[i] > 0);
        assert_int_equal(id, found ? m->ids[i] : 12345);
        if (found)
            assert_text(intern_text(&m->intern, id), m->names[i]);
        live += found;
    }
    assert_int_equal(m->intern.map.count, live);
}

/* One more user; false when the memory failed. */
static bool take(struct model *m, uint32_t i)
{
    uint32_t id = 12345;
    if (!intern_take(&m->intern, name_of(m, i), &id)) {
        assert_int_equal(id, 12345);
        return false;
    }
    if (m->users[i] > 0)
        assert_int_equal(id, m->ids[i]);
    m->ids[i] = id;
    m->users[i]++;
    return true;
}

static void step(struct model *m, struct dice *dice, bool grow)
{
    uint32_t i = dice_roll(dice, TEXTS);
    if (grow) {
        take(m, i);
    } else if (m->users[i] > 0 && dice_roll(dice, 4) == 0) {
        assert_int_equal(intern_share(&m->intern, m->ids[i]), m->ids[i]);
        m->users[i]++;
    } else if (m->users[i] > 0) {
        intern_drop(&m->intern, m->ids[i]);
        m->users[i]--;
    }
}

static void test_texts_live_as_long_as_somebody_uses_them(void **state)
{
    struct model m;
    struct dice dice = { 20 };
    (void)state;
    model_init(&m);

    for (unsigned i = 0; i < 20000; i++) {
        step(&m, &dice, dice_roll(&dice, 10) < (i / 3000 % 2 ? 2u : 6u));
        if (i % 100 == 0)
            check(&m);
    }

    check(&m);
    assert_in_range(m.intern.count, 1, TEXTS + 1);
    model_release(&m);
}

static void test_the_same_holds_when_every_seventh_request_fails(void **state)
{
    struct model m;
    struct dice dice = { 21 };
    (void)state;
    model_init(&m);

    for (unsigned i = 0; i < 20000; i++) {
        if (m.faulty.requests >= m.faulty.fail_at)
            faulty_memory_fail(&m.faulty, 7, false);
        step(&m, &dice, dice_roll(&dice, 10) < (i / 3000 % 2 ? 2u : 6u));
        if (i % 100 == 0)
            check(&m);
    }

    check(&m);
    assert_true(m.faulty.failures > 100);
    model_release(&m);
}

static void test_each_failing_request_leaves_the_texts_as_they_were(void **state)
{
    size_t seen = 0;
    bool failed = true;
    (void)state;

    for (size_t n = 1; failed; n++) {
        struct model m;
        model_init(&m);
        faulty_memory_fail(&m.faulty, n, false);
        for (uint32_t i = 0; i < TEXTS; i++)
            if (!take(&m, i))
                assert_true(take(&m, i)); /* the second time it goes */
        check(&m);
        failed = m.faulty.failures > 0;
        seen += failed;
        model_release(&m);
    }

    assert_true(seen > TEXTS);
}

static void test_without_memory_there_is_no_table(void **state)
{
    struct faulty_memory faulty;
    struct intern intern;
    (void)state;
    faulty_memory_init(&faulty);
    faulty_memory_fail(&faulty, 1, false);

    assert_false(intern_init(&intern, &faulty.memory, 1));
    assert_int_equal(faulty.blocks, 0);
}

static void test_a_text_costs_one_request_and_its_slot_is_used_again(void **state)
{
    struct model m;
    (void)state;
    model_init(&m);
    assert_true(take(&m, 0) && take(&m, 1));
    size_t requests = m.faulty.requests;
    uint32_t freed = m.ids[0];

    intern_drop(&m.intern, freed);
    m.users[0] = 0;
    assert_true(take(&m, 2));

    assert_int_equal(m.ids[2], freed);
    assert_int_equal(m.faulty.requests, requests + 1);
    check(&m);
    model_release(&m);
}

static void test_the_empty_text_is_always_there_and_never_counted(void **state)
{
    struct model m;
    uint32_t id = 7;
    (void)state;
    model_init(&m);

    assert_true(intern_find(&m.intern, TEXT_NONE, &id) && id == 0);
    id = 7;
    assert_true(intern_take(&m.intern, TEXT(""), &id) && id == 0);
    intern_drop(&m.intern, 0);
    intern_drop(&m.intern, 0);

    assert_int_equal(intern_share(&m.intern, 0), 0);
    assert_int_equal(intern_text(&m.intern, 0).size, 0);
    assert_true(intern_find(&m.intern, TEXT(""), &id));
    model_release(&m);
}

static void test_bytes_of_any_kind_are_kept(void **state)
{
    struct model m;
    uint32_t a = 0, b = 0;
    (void)state;
    model_init(&m);

    assert_true(intern_take(&m.intern, TEXT("a\0b"), &a));
    assert_true(intern_take(&m.intern, TEXT("a\0c"), &b));

    assert_int_not_equal(a, b);
    assert_true(text_equal(intern_text(&m.intern, a), TEXT("a\0b")));
    model_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_live_as_long_as_somebody_uses_them),
        cmocka_unit_test(test_the_same_holds_when_every_seventh_request_fails),
        cmocka_unit_test(test_each_failing_request_leaves_the_texts_as_they_were),
        cmocka_unit_test(test_without_memory_there_is_no_table),
        cmocka_unit_test(test_a_text_costs_one_request_and_its_slot_is_used_again),
        cmocka_unit_test(test_the_empty_text_is_always_there_and_never_counted),
        cmocka_unit_test(test_bytes_of_any_kind_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
