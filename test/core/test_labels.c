/* SPDX-License-Identifier: Apache-2.0
 * test_labels.c - label sets: merging, sharing, dropping, and memory that fails. The random test
 * compares with a model, an array with one value for each of a few keys. */
#include "core/labels.h"

#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/limits.h"
#include "base/suite.h"

#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define PUT(key, value)                                                                            \
    {                                                                                              \
        { (key), sizeof(key) - 1 }, { (value), sizeof(value) - 1 }, false                          \
    }
#define REMOVE(key)                                                                                \
    {                                                                                              \
        { (key), sizeof(key) - 1 }, { NULL, 0 }, true                                              \
    }

struct fixture {
    struct faulty_memory memory;
    struct intern texts;
    struct label_sets sets;
};

static void begin(struct fixture *f)
{
    faulty_memory_init(&f->memory);
    assert_true(intern_init(&f->texts, &f->memory.memory, 7));
    labels_init(&f->sets, &f->memory.memory, &f->texts);
}

static void end(struct fixture *f)
{
    labels_release(&f->sets);
    assert_int_equal(f->texts.map.count, 0); /* every text was given back */
    intern_release(&f->texts);
    assert_int_equal(f->memory.blocks, 0);
}

static uint32_t merge(struct fixture *f, uint32_t base, const struct label_change *changes,
                      size_t count)
{
    uint32_t id = UINT32_MAX;
    struct err err = { 0 };
    if (!labels_merge(&f->sets, base, changes, count, &id, &err))
        fail_msg("%s", err.text);
    return id;
}

#define MERGE(f, base, ...)                                                                        \
    merge((f), (base), (const struct label_change[]){ __VA_ARGS__ },                               \
          COUNT(((const struct label_change[]){ __VA_ARGS__ })))

#define STAYS(f, id, ...)                                                                          \
    labels_would_stay(&(f)->sets, (id), (const struct label_change[]){ __VA_ARGS__ },              \
                      COUNT(((const struct label_change[]){ __VA_ARGS__ })))

/* "key=value key=value" in the order of the set; good until the next call. */
static struct text shown(const struct fixture *f, uint32_t id)
{
    static char space[1024];
    size_t size = 0;
    for (size_t i = 0; i < labels_count(&f->sets, id); i++) {
        struct text key, value;
        labels_at(&f->sets, id, i, &key, &value);
        size += (size_t)snprintf(space + size, sizeof space - size, "%s%.*s=%.*s", i ? " " : "",
                                 TEXT_ARG(key), TEXT_ARG(value));
        assert_true(size < sizeof space);
    }
    return (struct text){ space, size };
}

static void test_labels_stand_in_the_order_of_their_keys(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    uint32_t id = MERGE(&f, 0, PUT("zone", "a"), PUT("env", "prod"), PUT("envoy", ""));

    assert_text(shown(&f, id), "env=prod envoy= zone=a");
    assert_int_equal(labels_count(&f.sets, id), 3);
    end(&f);
}

static void test_equal_sets_are_one_set(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    uint32_t one = MERGE(&f, 0, PUT("env", "prod"), PUT("zone", "a"));
    uint32_t same = MERGE(&f, 0, PUT("zone", "a"), PUT("env", "prod"));
    uint32_t other = MERGE(&f, 0, PUT("zone", "a"), PUT("env", "dev"));
    uint32_t swapped = MERGE(&f, 0, PUT("prod", "env"), PUT("a", "zone"));

    assert_int_equal(one, same);
    assert_int_not_equal(one, other);
    assert_int_not_equal(one, swapped);
    assert_int_not_equal(one, 0);
    assert_int_equal(f.sets.map.count, 3);
    end(&f);
}

static void test_a_merge_adds_changes_and_removes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t base = MERGE(&f, 0, PUT("env", "prod"), PUT("role", "web"), PUT("zone", "a"));

    uint32_t id =
        MERGE(&f, base, PUT("zone", "b"), REMOVE("role"), PUT("app", "x"), REMOVE("missing"));

    assert_text(shown(&f, id), "app=x env=prod zone=b");
    assert_text(shown(&f, base), "env=prod role=web zone=a");
    end(&f);
}

static void test_the_last_change_of_a_key_counts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t base = MERGE(&f, 0, PUT("a", "1"), PUT("b", "1"));

    uint32_t id = MERGE(&f, base, PUT("a", "2"), REMOVE("a"), REMOVE("b"), PUT("b", "2"),
                        PUT("c", "1"), PUT("c", "2"), PUT("d", "1"), REMOVE("d"));

    assert_text(shown(&f, id), "b=2 c=2");
    end(&f);
}

static void test_a_set_without_labels_is_zero(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t base = MERGE(&f, 0, PUT("a", "1"));
    struct text value = TEXT("untouched");

    assert_int_equal(merge(&f, 0, NULL, 0), 0);
    assert_int_equal(MERGE(&f, base, REMOVE("a")), 0);
    assert_int_equal(labels_share(&f.sets, 0), 0);
    labels_drop(&f.sets, 0);
    assert_int_equal(labels_count(&f.sets, 0), 0);
    assert_false(labels_value(&f.sets, 0, TEXT("a"), &value));
    assert_text(value, "untouched");
    end(&f);
}

static void test_a_merge_that_changes_nothing_shares_the_base(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t base = MERGE(&f, 0, PUT("a", "1"));

    uint32_t id = MERGE(&f, base, PUT("a", "1"), REMOVE("b"));

    assert_int_equal(id, base);
    labels_drop(&f.sets, id);
    assert_text(shown(&f, base), "a=1");
    end(&f);
}

static void test_a_value_is_found_by_its_key(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t id = MERGE(&f, 0, PUT("a", "1"), PUT("b", ""), PUT("c", "3"));
    struct text value = TEXT("untouched");

    assert_false(labels_value(&f.sets, id, TEXT("bb"), &value));
    assert_false(labels_value(&f.sets, id, TEXT(""), &value));
    assert_text(value, "untouched");
    assert_true(labels_value(&f.sets, id, TEXT("a"), &value));
    assert_text(value, "1");
    assert_true(labels_value(&f.sets, id, TEXT("b"), &value));
    assert_text(value, "");
    assert_true(labels_value(&f.sets, id, TEXT("c"), &value));
    assert_text(value, "3");
    end(&f);
}

static void test_the_last_user_frees_the_set_and_its_texts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t id = MERGE(&f, 0, PUT("env", "prod")), text;
    uint32_t other = MERGE(&f, 0, PUT("env", "dev"));
    labels_share(&f.sets, id);

    labels_drop(&f.sets, id);
    assert_true(intern_find(&f.texts, TEXT("prod"), &text));
    labels_drop(&f.sets, id);

    assert_false(intern_find(&f.texts, TEXT("prod"), &text));
    assert_true(intern_find(&f.texts, TEXT("env"), &text));
    assert_text(shown(&f, other), "env=dev");
    assert_int_equal(MERGE(&f, 0, PUT("new", "set")), id); /* numbers are used again */
    end(&f);
}

/* Changes that put k00 to k<count - 1>; good until the next call. */
static struct label_change *many(size_t count)
{
    static struct label_change changes[2 * LIMIT_LABELS];
    static char keys[COUNT(changes)][8];
    for (size_t i = 0; i < count; i++) {
        int size = snprintf(keys[i], sizeof keys[i], "k%02zu", i);
        changes[i] = (struct label_change){ { keys[i], (size_t)size }, TEXT("v"), false };
    }
    return changes;
}

static void test_more_labels_than_allowed_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t full = merge(&f, 0, many(LIMIT_LABELS), LIMIT_LABELS), id = 77;
    size_t blocks = f.memory.blocks;
    struct err err = { 0 };

    assert_false(labels_merge(&f.sets, full, many(LIMIT_LABELS + 1), LIMIT_LABELS + 1, &id, &err));

    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "there would be more than 64 labels, the most allowed");
    assert_int_equal(id, 77);
    assert_int_equal(f.memory.blocks, blocks);
    assert_false(labels_merge(&f.sets, 0, many(LIMIT_LABELS + 1), LIMIT_LABELS + 1, &id, NULL));
    assert_int_equal(f.memory.blocks, blocks);
    end(&f);
}

static void test_a_full_set_can_swap_a_label_in_any_order(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t full = merge(&f, 0, many(LIMIT_LABELS), LIMIT_LABELS);

    uint32_t first = MERGE(&f, full, PUT("new", "v"), REMOVE("k00"));
    uint32_t second = MERGE(&f, full, REMOVE("k00"), PUT("new", "v"));

    assert_int_equal(first, second);
    assert_int_equal(labels_count(&f.sets, first), LIMIT_LABELS);
    end(&f);
}

static bool merge_sizes(struct fixture *f, size_t key_size, size_t value_size, struct err *err)
{
    static const char letters[LIMIT_LABEL_VALUE + 1] = { 0 };
    struct label_change change = { { letters, key_size }, { letters, value_size }, false };
    uint32_t id;
    return labels_merge(&f->sets, 0, &change, 1, &id, err);
}

static void test_keys_and_values_have_limits(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct err err = { 0 };

    assert_true(merge_sizes(&f, LIMIT_LABEL_KEY, LIMIT_LABEL_VALUE, NULL));
    assert_true(merge_sizes(&f, 1, 0, NULL));
    assert_false(merge_sizes(&f, 0, 1, &err));
    assert_string_equal(err.text, "the label key \"\" has 0 bytes; 1 to 128 are allowed");
    assert_false(merge_sizes(&f, LIMIT_LABEL_KEY + 1, 1, &err));
    assert_non_null(strstr(err.text, "has 129 bytes; 1 to 128 are allowed"));
    assert_false(merge_sizes(&f, 1, LIMIT_LABEL_VALUE + 1, &err));
    assert_non_null(strstr(err.text, "has 257 bytes; at most 256 are allowed"));
    assert_int_equal(err.code, ERR_INVALID);
    end(&f);
}

static void test_a_long_value_for_a_known_key_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    char letters[LIMIT_LABEL_VALUE + 1];
    memset(letters, 'x', sizeof letters);
    uint32_t base = MERGE(&f, 0, PUT("a", "1"), PUT("b", "2")), id = 77;
    struct label_change change = { TEXT("b"), { letters, sizeof letters }, false };

    assert_false(labels_merge(&f.sets, base, &change, 1, &id, NULL));

    assert_int_equal(id, 77);
    assert_text(shown(&f, base), "a=1 b=2");
    end(&f);
}

static void test_repeated_labels_stay(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t id = MERGE(&f, 0, PUT("a", "1"), PUT("b", ""), PUT("c", "3"));
    size_t requests = f.memory.requests;

    assert_true(STAYS(&f, id, PUT("a", "1"), PUT("b", ""), PUT("c", "3")));
    assert_true(STAYS(&f, id, PUT("c", "3"), PUT("a", "1"), PUT("b", "")));
    assert_true(STAYS(&f, id, PUT("c", "3")));
    assert_true(STAYS(&f, id, REMOVE("d"), PUT("b", ""), REMOVE("0")));
    assert_true(labels_would_stay(&f.sets, id, NULL, 0));
    assert_true(STAYS(&f, 0, REMOVE("a")));

    assert_int_equal(f.memory.requests, requests);
    end(&f);
}

static void test_other_labels_do_not_stay(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t id = MERGE(&f, 0, PUT("a", "1"), PUT("b", ""), PUT("c", "3"));
    size_t requests = f.memory.requests;

    assert_false(STAYS(&f, id, PUT("a", "1"), PUT("b", "2")));
    assert_false(STAYS(&f, id, PUT("a", "")));
    assert_false(STAYS(&f, id, PUT("d", "")));
    assert_false(STAYS(&f, id, PUT("a", "1"), REMOVE("b")));
    assert_false(STAYS(&f, 0, PUT("a", "1")));

    assert_int_equal(f.memory.requests, requests);
    end(&f);
}

static void test_only_the_last_change_of_a_key_decides_whether_labels_stay(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint32_t id = MERGE(&f, 0, PUT("a", "1"));

    assert_true(STAYS(&f, id, PUT("a", "2"), PUT("a", "1")));
    assert_true(STAYS(&f, id, REMOVE("a"), PUT("a", "1")));
    assert_true(STAYS(&f, id, PUT("b", "1"), REMOVE("b")));
    assert_false(STAYS(&f, id, PUT("a", "1"), PUT("a", "2")));
    assert_false(STAYS(&f, id, PUT("a", "1"), REMOVE("a")));
    end(&f);
}

/* One merge that touches every path, at a moment when map, slots and texts all have to grow. */
static bool grow(struct fixture *f, uint32_t base, uint32_t *ret, struct err *err)
{
    static const struct label_change changes[] = { PUT("b", "new"), REMOVE("c"), PUT("d", "other"),
                                                   PUT("e", "third") };
    return labels_merge(&f->sets, base, changes, COUNT(changes), ret, err);
}

static void test_failing_memory_changes_nothing(void **state)
{
    (void)state;
    size_t failed = 0;
    for (size_t fill = 0; fill < 20; fill++) {
        for (size_t n = 1;; n++) {
            struct fixture f;
            begin(&f);
            uint32_t base = MERGE(&f, 0, PUT("a", "1"), PUT("b", "2"), PUT("c", "3")), id = 77;
            for (size_t i = 0; i < fill; i++)
                merge(&f, 0, many(i + 1), i + 1);
            size_t sets = f.sets.map.count, texts = f.texts.map.count;
            struct err err = { 0 };

            faulty_memory_fail(&f.memory, n, false);
            bool done = grow(&f, base, &id, &err);

            if (!done) {
                failed++;
                assert_int_equal(err.code, ERR_MEMORY);
                assert_int_equal(id, 77);
                assert_int_equal(f.sets.map.count, sets);
                assert_int_equal(f.texts.map.count, texts);
                assert_true(grow(&f, base, &id, NULL)); /* memory is back */
            }
            assert_text(shown(&f, id), "a=1 b=new d=other e=third");
            assert_text(shown(&f, base), "a=1 b=2 c=3");
            end(&f);
            if (done)
                break;
        }
    }
    assert_true(failed >= 20 * 6); /* five texts and the set itself */
}

static void test_ten_thousand_sets_come_and_go(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    static uint32_t ids[10000];

    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < COUNT(ids); i++) {
            char number[16];
            int size = snprintf(number, sizeof number, "%u", i);
            struct label_change changes[] = { PUT("host", ""), PUT("role", "web") };
            changes[0].value = (struct text){ number, (size_t)size };
            ids[i] = merge(&f, 0, changes, COUNT(changes));
        }
        assert_int_equal(f.sets.map.count, COUNT(ids));
        for (uint32_t i = 0; i < COUNT(ids); i++)
            labels_drop(&f.sets, ids[(i * 7919) % COUNT(ids)]);
        assert_int_equal(f.sets.map.count, 0);
    }

    assert_int_equal(f.sets.count, COUNT(ids) + 1); /* the second round took the same numbers */
    end(&f);
}

#define MODEL_KEYS   6
#define MODEL_VALUES 3
#define HOLDERS      16

/* A value number for each key, or -1. */
struct model {
    int values[MODEL_KEYS];
};

static const struct text model_keys[MODEL_KEYS] = {
    { "a", 1 }, { "aa", 2 }, { "b", 1 }, { "env", 3 }, { "zone", 4 }, { "\xc3\xbc", 2 }
};
/* Some texts are keys as well, to mix up their counts. */
static const struct text model_values[MODEL_VALUES] = { { "", 0 }, { "a", 1 }, { "prod", 4 } };

static size_t roll_changes(struct dice *dice, struct label_change *ret, struct model *model)
{
    size_t count = dice_roll(dice, 8);
    for (size_t i = 0; i < count; i++) {
        uint32_t key = dice_roll(dice, MODEL_KEYS);
        int value = (int)dice_roll(dice, MODEL_VALUES + 1) - 1;
        ret[i] = (struct label_change){ .key = model_keys[key], .is_removal = value < 0 };
        if (value >= 0)
            ret[i].value = model_values[value];
        model->values[key] = value;
    }
    return count;
}

static void assert_like_model(const struct fixture *f, uint32_t id, const struct model *model)
{
    size_t count = 0;
    for (size_t key = 0; key < MODEL_KEYS; key++) {
        if (model->values[key] < 0)
            continue;
        struct text found_key, found_value;
        labels_at(&f->sets, id, count++, &found_key, &found_value);
        assert_true(text_equal(found_key, model_keys[key]));
        assert_true(text_equal(found_value, model_values[model->values[key]]));
    }
    assert_int_equal(labels_count(&f->sets, id), count);
}

static void test_random_merges_are_like_the_model(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct dice dice = { 20310101 };
    struct model models[HOLDERS];
    uint32_t ids[HOLDERS] = { 0 };
    memset(models, -1, sizeof models);
    size_t failures = 0;

    for (int step = 0; step < 20000; step++) {
        uint32_t at = dice_roll(&dice, HOLDERS), id;
        struct model wanted = models[at];
        struct label_change changes[8];
        size_t count = roll_changes(&dice, changes, &wanted);
        bool same = memcmp(&wanted, &models[at], sizeof wanted) == 0;
        assert_int_equal(labels_would_stay(&f.sets, ids[at], changes, count), same);
        if (dice_roll(&dice, 4) == 0)
            faulty_memory_fail(&f.memory, 1 + dice_roll(&dice, 4), false);
        if (labels_merge(&f.sets, ids[at], changes, count, &id, NULL)) {
            assert_int_equal(id == ids[at], same);
            labels_drop(&f.sets, ids[at]);
            ids[at] = id;
            models[at] = wanted;
        } else {
            failures++;
        }
        faulty_memory_fail(&f.memory, 0, false);
        assert_like_model(&f, ids[at], &models[at]);
        uint32_t other = dice_roll(&dice, HOLDERS);
        assert_int_equal(ids[at] == ids[other],
                         memcmp(&models[at], &models[other], sizeof wanted) == 0);
    }

    for (size_t i = 0; i < HOLDERS; i++)
        labels_drop(&f.sets, ids[i]);
    assert_int_equal(f.sets.map.count, 0);
    assert_int_equal(f.texts.map.count, 0);
    assert_true(failures > 100);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_stand_in_the_order_of_their_keys),
        cmocka_unit_test(test_equal_sets_are_one_set),
        cmocka_unit_test(test_a_merge_adds_changes_and_removes),
        cmocka_unit_test(test_the_last_change_of_a_key_counts),
        cmocka_unit_test(test_a_set_without_labels_is_zero),
        cmocka_unit_test(test_a_merge_that_changes_nothing_shares_the_base),
        cmocka_unit_test(test_a_value_is_found_by_its_key),
        cmocka_unit_test(test_the_last_user_frees_the_set_and_its_texts),
        cmocka_unit_test(test_more_labels_than_allowed_are_refused),
        cmocka_unit_test(test_a_full_set_can_swap_a_label_in_any_order),
        cmocka_unit_test(test_keys_and_values_have_limits),
        cmocka_unit_test(test_a_long_value_for_a_known_key_is_refused),
        cmocka_unit_test(test_repeated_labels_stay),
        cmocka_unit_test(test_other_labels_do_not_stay),
        cmocka_unit_test(test_only_the_last_change_of_a_key_decides_whether_labels_stay),
        cmocka_unit_test(test_failing_memory_changes_nothing),
        cmocka_unit_test(test_ten_thousand_sets_come_and_go),
        cmocka_unit_test(test_random_merges_are_like_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
