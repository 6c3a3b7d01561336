/* SPDX-License-Identifier: Apache-2.0
 * test_map.c - the hash map against a plain array, and with every request for memory failing. */
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/map.h"
#include "base/suite.h"

#define ITEMS 600u

/* Keys by item. A few hundred hashes for many items make long runs and equal hashes common. */
struct model {
    struct map map;
    uint64_t hashes[ITEMS];
    bool present[ITEMS];
    uint32_t count;
};

struct probe {
    const struct model *model;
    uint64_t hash; /* the callback must see no other */
};

static bool has_key(const void *ctx, uint32_t item, const void *key)
{
    const struct probe *probe = ctx;
    const uint32_t *wanted = key;
    assert_true(item < ITEMS && probe->model->present[item]);
    assert_true(probe->model->hashes[item] == probe->hash);
    return item == *wanted;
}

static uint32_t find(const struct model *m, uint32_t item)
{
    struct probe probe = { m, m->hashes[item] };
    return map_find(&m->map, m->hashes[item], has_key, &probe, &item);
}

static void model_init(struct model *m, const struct memory *memory, uint32_t hash_count,
                       uint64_t stride)
{
    *m = (struct model){ .count = 0 };
    map_init(&m->map, memory);
    for (uint32_t i = 0; i < ITEMS; i++)
        m->hashes[i] = (i % hash_count) * stride;
}

static void check(const struct model *m)
{
    assert_int_equal(m->map.count, m->count);
    assert_true(m->map.count * 8 <= m->map.capacity * 7);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(find(m, i), m->present[i] ? i : MAP_NONE);
}

static void insert(struct model *m, uint32_t item)
{
    if (!map_insert(&m->map, m->hashes[item], item))
        return;
    m->present[item] = true;
    m->count++;
}

static void remove_item(struct model *m, uint32_t item)
{
    assert_int_equal(map_remove(&m->map, m->hashes[item], item), m->present[item]);
    m->count -= m->present[item];
    m->present[item] = false;
}

/* Waves of growing and shrinking. */
static void run(struct model *m, uint64_t seed, unsigned steps)
{
    struct dice dice = { seed };
    for (unsigned step = 0; step < steps; step++) {
        uint32_t item = dice_roll(&dice, ITEMS);
        bool grow = dice_roll(&dice, 10) < (step / 1500 % 2 ? 3u : 7u);
        if (grow && !m->present[item])
            insert(m, item);
        else if (!grow)
            remove_item(m, item);
        if (step % 50 == 0)
            check(m);
    }
    check(m);
}

static void test_a_map_behaves_like_an_array_of_flags(void **state)
{
    static const struct {
        uint32_t hash_count;
        uint64_t stride;
    } kinds[] = {
        { ITEMS, 0x123456789abcdef1u }, /* well spread */
        { ITEMS, 1 },                   /* counters */
        { ITEMS, 1ull << 32 },          /* only upper bits differ */
        { 37, 0x9e3779b97f4a7c15u },    /* many equal hashes */
        { 1, 0 },                       /* one single run */
    };
    (void)state;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct faulty_memory faulty;
        struct model m;
        faulty_memory_init(&faulty);
        model_init(&m, &faulty.memory, kinds[i].hash_count, kinds[i].stride);
        run(&m, 10 + i, 6000);
        map_release(&m.map);
        assert_int_equal(faulty.blocks, 0);
    }
}

static void test_the_callback_never_sees_an_item_of_another_hash(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, &memory_heap, ITEMS, 0x5851f42d4c957f2du);
    for (uint32_t i = 0; i < ITEMS / 2; i++)
        insert(&m, i);

    /* has_key() asserts it for the hits as for the misses. */
    check(&m);
    map_release(&m.map);
}

static void test_runs_wrap_around_the_end_of_the_cells(void **state)
{
    (void)state;

    /* With one hash for all, some multiples of this stride have their home in the last cell. */
    for (uint64_t start = 0; start < 64; start++) {
        struct model m;
        model_init(&m, &memory_heap, 1, 0);
        for (uint32_t i = 0; i < ITEMS; i++)
            m.hashes[i] = start * 0x0400000000000000u / 7;
        for (uint32_t i = 0; i < 7; i++)
            insert(&m, i);
        for (uint32_t i = 0; i < 7; i += 2)
            remove_item(&m, i);
        check(&m);
        map_release(&m.map);
    }
}

static void test_a_failed_insertion_leaves_the_map_as_it_was(void **state)
{
    struct faulty_memory faulty;
    struct model m;
    (void)state;
    faulty_memory_init(&faulty);

    for (size_t n = 1; n <= 9; n++) {
        model_init(&m, &faulty.memory, ITEMS, 0x123456789abcdef1u);
        faulty_memory_fail(&faulty, n, false);
        size_t failures = faulty.failures;
        for (uint32_t i = 0; i < ITEMS; i++)
            insert(&m, i);
        assert_int_equal(m.count + (faulty.failures - failures), ITEMS);
        check(&m);
        map_release(&m.map);
    }

    assert_int_equal(faulty.failures, 8); /* 8, 16, ... 1024 cells; the ninth was not asked for */
    assert_int_equal(faulty.blocks, 0);
}

static void test_insertions_after_a_reservation_need_no_memory(void **state)
{
    struct faulty_memory faulty;
    struct model m;
    (void)state;
    faulty_memory_init(&faulty);
    model_init(&m, &faulty.memory, ITEMS, 3);
    faulty_memory_fail(&faulty, 1, false);
    assert_false(map_reserve(&m.map, ITEMS));
    assert_true(map_reserve(&m.map, ITEMS));
    assert_true(map_reserve(&m.map, 1));
    faulty_memory_fail(&faulty, 1, true);

    for (uint32_t i = 0; i < ITEMS; i++)
        insert(&m, i);

    assert_int_equal(m.count, ITEMS);
    check(&m);
    map_release(&m.map);
}

static void test_an_impossible_reservation_is_refused(void **state)
{
    struct faulty_memory faulty;
    struct map map;
    (void)state;
    faulty_memory_init(&faulty);
    map_init(&map, &faulty.memory);

    assert_false(map_reserve(&map, SIZE_MAX));
    assert_false(map_reserve(&map, SIZE_MAX / sizeof(struct map_cell)));

    assert_int_equal(faulty.requests, 0);
}

static void test_a_cleared_map_is_empty_and_keeps_its_cells(void **state)
{
    struct faulty_memory faulty;
    struct model m;
    (void)state;
    faulty_memory_init(&faulty);
    model_init(&m, &faulty.memory, ITEMS, 3);
    for (uint32_t i = 0; i < 100; i++)
        insert(&m, i);
    size_t requests = faulty.requests;

    map_clear(&m.map);

    for (uint32_t i = 0; i < ITEMS; i++)
        m.present[i] = false;
    m.count = 0;
    check(&m);
    for (uint32_t i = 0; i < 100; i++)
        insert(&m, i);
    check(&m);
    assert_int_equal(faulty.requests, requests);
    map_release(&m.map);
    assert_int_equal(faulty.blocks, 0);
}

static void test_an_empty_map_finds_and_removes_nothing(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, &memory_heap, ITEMS, 1);

    assert_int_equal(find(&m, 5), MAP_NONE);
    assert_false(map_remove(&m.map, 5, 5));
    assert_false(map_remove(&m.map, 5, MAP_NONE));
    map_clear(&m.map);
    map_release(&m.map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_map_behaves_like_an_array_of_flags),
        cmocka_unit_test(test_the_callback_never_sees_an_item_of_another_hash),
        cmocka_unit_test(test_runs_wrap_around_the_end_of_the_cells),
        cmocka_unit_test(test_a_failed_insertion_leaves_the_map_as_it_was),
        cmocka_unit_test(test_insertions_after_a_reservation_need_no_memory),
        cmocka_unit_test(test_an_impossible_reservation_is_refused),
        cmocka_unit_test(test_a_cleared_map_is_empty_and_keeps_its_cells),
        cmocka_unit_test(test_an_empty_map_finds_and_removes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
