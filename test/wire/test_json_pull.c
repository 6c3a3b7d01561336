/* SPDX-License-Identifier: Apache-2.0
 * test_json_pull.c - strictness of parsing, and looking things up in the tree. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/suite.h"
#include "wire/documents.h"
#include "wire/json_pull.h"
#include "wire/json_write.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, &memory_heap, 1 << 24);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static const struct json_node *parse(const char *body)
{
    const struct json_node *root = NULL;
    struct err err = { 0 };
    if (!json_tree_parse(text_from(body), &arena, &root, &err))
        fail_msg("%s: %s", body, err.text);
    return root;
}

static void refuse(struct text body)
{
    const struct json_node *root = NULL;
    struct err err = { 0 };
    char space[ERR_EXCERPT_SIZE];
    if (json_tree_parse(body, &arena, &root, &err))
        fail_msg("taken: %s", err_excerpt(body, space));
    assert_null(root);
    assert_int_equal(err.code, ERR_BAD_JSON);
    assert_non_null(strstr(err.text, " JSON at byte "));
}

static void test_what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(not_json); i++)
        refuse(not_json[i]);
}

static void test_what_others_take_but_readers_dispute_is_refused(void **state)
{
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(not_wanted); i++)
        refuse(not_wanted[i]);
}

static void test_good_json_is_taken(void **state)
{
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(good_json); i++)
        parse(good_json[i].data);
}

static void test_every_true_prefix_of_a_document_is_refused(void **state)
{
    static const char body[] =
        "{\"a\":[1,-2.5e+3,\"x\\n\\ud83d\\ude00\",true,null],\"b\":{\"c\":{}}}";
    (void)state;

    for (size_t size = 0; size < sizeof(body) - 1; size++)
        refuse((struct text){ body, size });

    parse(body);
}

static void test_the_place_of_a_fault_is_exact(void **state)
{
    static const struct {
        struct text body;
        const char *place;
    } cases[] = {
        { TEXT("{\"a\":\"\\ud800\"}"), " 6: half of a surrogate pair" },
        { TEXT("{\"a\":\"x\\u0000\"}"), " 7: \\u0000 is not allowed" },
        { TEXT("[\"\xc3\xa4\xff\"]"), " 4: this is not UTF-8" },
        { TEXT("[1,\f2]"), " 3: a control character outside" },
        { TEXT("[\"a\nb\"]"), " 3: a control character inside" },
        { TEXT("{\"a\":1,\"b\":2,\"a\":3}"), " 13: this key is given twice" },
        { TEXT("  [\"abc ]"), " 3: the text that starts here is not closed" },
        { TEXT("[1]]"), " 3: there is something after the end" },
        { TEXT("[1,]"), " 3: " },
        { TEXT("{\"a\" 1}"), " 5: object key and value must be separated by a colon" },
    };
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(cases); i++) {
        const struct json_node *root;
        struct err err = { 0 };
        assert_false(json_tree_parse(cases[i].body, &arena, &root, &err));
        if (strstr(err.text, cases[i].place) == NULL)
            fail_msg("\"%s\" has no \"%s\"", err.text, cases[i].place);
    }
}

static void test_escapes_are_decoded(void **state)
{
    (void)state;

    const struct json_node *root =
        parse("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\u20ac\\ud83d\\ude00\"]");

    assert_text(json_get_text(root, "0", TEXT_NONE),
                "\"\\/\b\f\n\r\tA\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void test_long_texts_with_escapes_outgrow_the_first_buffer(void **state)
{
    size_t sizes[] = { 2046, 2047, 2048, 2049, 4095, 4096, 4097, 100000 };
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(sizes); i++) {
        struct buffer body;
        const struct json_node *root;
        buffer_init(&body, &memory_heap, 1 << 20);
        buffer_add(&body, TEXT("[\"short\\n\",\"\\t"));
        for (size_t j = 0; j < sizes[i]; j++)
            buffer_add_byte(&body, 'x');
        buffer_add(&body, TEXT("\\n\"]"));

        assert_true(json_tree_parse(buffer_text(&body), &arena, &root, NULL));

        assert_int_equal(json_get_text(root, "1", TEXT_NONE).size, sizes[i] + 2);
        buffer_release(&body);
    }
}

static void test_paths_lead_through_objects_and_lists(void **state)
{
    const struct json_node *root;
    (void)state;

    root = parse("{\"progress\":{\"total\":7},\"waves\":[{\"name\":\"lab\"},{\"name\":\"rest\"}],"
                 "\"a.b\":1}");

    assert_int_equal(json_get_i64(root, "progress.total", -1), 7);
    assert_text(json_get_text(root, "waves.1.name", TEXT_NONE), "rest");
    assert_null(json_at(root, "waves.2"));
    assert_null(json_at(root, "waves.01"));
    assert_null(json_at(root, "waves.x"));
    assert_null(json_at(root, "progress.total.more"));
    assert_null(json_at(root, "a.b"));
    assert_non_null(json_member(root, "a.b"));
    assert_ptr_equal(json_at(root, ""), root);
    assert_null(json_at(NULL, "a"));
}

static void test_getters_take_the_default_for_another_kind(void **state)
{
    const struct json_node *root;
    (void)state;

    root = parse("{\"n\":12,\"t\":\"x\",\"b\":true,\"f\":1.0,\"min\":-9223372036854775808,"
                 "\"huge\":9223372036854775808,\"when\":\"2031-01-01T10:00:00.000Z\",\"z\":null}");

    assert_int_equal(json_get_i64(root, "n", 0), 12);
    assert_true(json_get_i64(root, "min", 0) == INT64_MIN);
    assert_int_equal(json_get_i64(root, "huge", 5), 5);
    assert_int_equal(json_get_i64(root, "f", 5), 5);
    assert_int_equal(json_get_i64(root, "t", 5), 5);
    assert_true(json_get_bool(root, "b", false));
    assert_true(json_get_bool(root, "n", true));
    assert_text(json_get_text(root, "n", TEXT("d")), "d");
    assert_text(json_get_text(root, "z", TEXT("d")), "d");
    assert_true(json_get_time(root, "when", 0) == 1925028000000);
    assert_int_equal(json_get_time(root, "t", 3), 3);
}

static void test_entries_come_in_order_with_their_keys(void **state)
{
    static const char *const keys[] = { "b", "a", "c" };
    const struct json_node *root = parse("{\"b\":[],\"a\":{},\"c\":[1,2]}");
    size_t i = 0;
    (void)state;

    for (const struct json_node *entry = json_first(root); entry != NULL; entry = entry->next)
        assert_text(entry->key, keys[i++]);

    assert_int_equal(i, 3);
    assert_int_equal(json_member(root, "c")->count, 2);
    assert_null(json_first(json_member(root, "b")));
}

/* {"k0":0,"k1":0,...}, the last key being a repetition of number `again` */
static void add_many_keys(struct buffer *body, unsigned count, unsigned again)
{
    buffer_add_byte(body, '{');
    for (unsigned i = 0; i < count; i++)
        buffer_printf(body, "\"k%u\":0,", i * 7919 % count);
    buffer_printf(body, "\"k%u\":0}", again);
}

static void test_a_key_given_twice_is_found_among_many(void **state)
{
    unsigned counts[] = { 1, 2, 14, 15, 16, 17, 18, 100, 20000 };
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(counts); i++) {
        struct buffer body;
        const struct json_node *root;
        struct err err;
        buffer_init(&body, &memory_heap, 1 << 20);

        add_many_keys(&body, counts[i], counts[i] / 2);
        refuse(buffer_text(&body));
        buffer_clear(&body);
        add_many_keys(&body, counts[i], counts[i]);
        assert_true(json_tree_parse(buffer_text(&body), &arena, &root, &err));

        assert_int_equal(root->count, counts[i] + 1);
        buffer_release(&body);
    }
}

static void test_every_shortage_of_memory_is_reported(void **state)
{
    static const char body[] = "{\"a\\n\":[1,\"x\\n\",{\"b\":null,\"c\":true}],\"d\":{\"e\":[[]]}}";
    struct err err;
    const struct json_node *root = NULL;
    size_t max = 0;
    (void)state;

    for (;; max += 16) {
        struct arena small;
        bool good;
        arena_init(&small, &memory_heap, max);
        err = (struct err){ 0 };
        good = json_tree_parse(TEXT(body), &small, &root, &err);
        arena_release(&small);
        if (good)
            break;
        assert_int_equal(err.code, ERR_MEMORY);
        assert_null(root);
    }

    assert_true(max > 1000 && max < 8192);
}

/* Any one or two bytes changed: refused or taken, but never read outside, which sanitizers watch.
 */
static void test_damaged_documents_do_no_harm(void **state)
{
    static const char sound[] =
        "{\"a\":[1,-2.5e+3,\"x\\n\\ud83d\\ude00\",true,null],\"b\":{\"c\\u0041\":{}}}";
    static const char bytes[] = "{}[]\":,\\u019.-+eEtrufalsn \n\x01\x80\xff/";
    struct dice dice = { 11 };
    unsigned taken = 0;
    (void)state;

    for (unsigned round = 0; round < 60000; round++) {
        char *body = test_malloc(sizeof(sound) - 1); /* exact, so that a byte too far is noticed */
        const struct json_node *root;
        memcpy(body, sound, sizeof(sound) - 1);
        for (unsigned i = dice_roll(&dice, 2); i < 2; i++)
            body[dice_roll(&dice, sizeof(sound) - 1)] = bytes[dice_roll(&dice, sizeof(bytes) - 1)];
        taken += json_tree_parse((struct text){ body, sizeof(sound) - 1 }, &arena, &root, NULL);
        arena_clear(&arena);
        test_free(body);
    }

    assert_true(taken > 100 && taken < 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(test_what_others_take_but_readers_dispute_is_refused),
        cmocka_unit_test(test_good_json_is_taken),
        cmocka_unit_test(test_every_true_prefix_of_a_document_is_refused),
        cmocka_unit_test(test_the_place_of_a_fault_is_exact),
        cmocka_unit_test(test_escapes_are_decoded),
        cmocka_unit_test(test_long_texts_with_escapes_outgrow_the_first_buffer),
        cmocka_unit_test(test_paths_lead_through_objects_and_lists),
        cmocka_unit_test(test_getters_take_the_default_for_another_kind),
        cmocka_unit_test(test_entries_come_in_order_with_their_keys),
        cmocka_unit_test(test_a_key_given_twice_is_found_among_many),
        cmocka_unit_test(test_every_shortage_of_memory_is_reported),
        cmocka_unit_test(test_damaged_documents_do_no_harm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
