/* SPDX-License-Identifier: Apache-2.0
 * test_yaml_read.c - which YAML becomes which JSON, and what is refused where. */
#include "base/buffer.h"
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/suite.h"
#include "wire/yaml_read.h"

static struct buffer out;

static int setup(void **state)
{
    (void)state;
    buffer_init(&out, &memory_heap, 1 << 22);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buffer_release(&out);
    return 0;
}

struct pair {
    const char *yaml, *json;
};

static void becomes(const struct pair *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = { 0 };
        buffer_clear(&out);
        if (!yaml_to_json(text_from(list[i].yaml), &out, &err))
            fail_msg("%s: %s", list[i].yaml, err.text);
        if (!text_equal(buffer_text(&out), text_from(list[i].json)))
            fail_msg("%s: %s instead of %s", list[i].yaml, buffer_c_string(&out), list[i].json);
    }
}

#define BECOMES(list) becomes(list, sizeof(list) / sizeof((list)[0]))

static void test_no_bytes_at_all_are_no_document(void **state)
{
    (void)state;
    struct buffer json;
    struct err err = { .code = ERR_NONE };
    buffer_init(&json, &memory_heap, 100);

    assert_true(yaml_to_json(TEXT_NONE, &json, &err));

    assert_int_equal(json.size, 0);
    buffer_release(&json);
}

static void test_words_of_yaml_1_1_are_texts(void **state)
{
    static const struct pair cases[] = {
        { "- no\n- NO\n- yes\n- on\n- off\n- y\n- n",
          "[\"no\",\"NO\",\"yes\",\"on\",\"off\",\"y\",\"n\"]" },
        { "on: push", "{\"on\":\"push\"}" },
        { "country: no", "{\"country\":\"no\"}" },
        { "- 1:30\n- 2031-01-01\n- 1_000\n- 0b11\n- =\n- tRue\n- nULL",
          "[\"1:30\",\"2031-01-01\",\"1_000\",\"0b11\",\"=\",\"tRue\",\"nULL\"]" },
        { "- 1.2.3\n- v1\n- 1e\n- .\n- +\n- 0x\n- 0o8\n- -0x1\n- e3\n- .e3",
          "[\"1.2.3\",\"v1\",\"1e\",\".\",\"+\",\"0x\",\"0o8\",\"-0x1\",\"e3\",\".e3\"]" },
    };
    (void)state;

    BECOMES(cases);
}

static void test_words_and_numbers_of_the_core_schema_are_such(void **state)
{
    static const struct pair cases[] = {
        { "- null\n- Null\n- NULL\n- ~\n-\n- true\n- True\n- FALSE",
          "[null,null,null,null,null,true,true,false]" },
        { "- 0\n- -0\n- +12\n- 007\n- -19\n- 123456789012345678901234567890",
          "[0,-0,12,7,-19,123456789012345678901234567890]" },
        { "- 0o17\n- 0xFf\n- 0x0\n- 0xffffffffffffffff", "[15,255,0,18446744073709551615]" },
        { "- 1.5\n- .5\n- 1.\n- -.5\n- 1e3\n- 1.5E+03\n- 2e-07\n- +0.10",
          "[1.5,0.5,1,-0.5,1e3,1.5e3,2e-7,0.10]" },
        { "a:", "{\"a\":null}" },
        { "a: # comment", "{\"a\":null}" },
    };
    (void)state;

    BECOMES(cases);
}

static void test_quoted_and_block_scalars_are_texts(void **state)
{
    static const struct pair cases[] = {
        { "- '1'\n- \"true\"\n- ''\n- \"a\\n\\u00e4\\\"\"",
          "[\"1\",\"true\",\"\",\"a\\n\xc3\xa4\\\"\"]" },
        { "a: |\n  1\n  2\nb: >-\n  1\n", "{\"a\":\"1\\n2\\n\",\"b\":\"1\"}" },
        { "a: two\n  lines", "{\"a\":\"two lines\"}" },
    };
    (void)state;

    BECOMES(cases);
}

static void test_keys_are_the_text_that_stands_there(void **state)
{
    static const struct pair cases[] = {
        { "1: a\ntrue: b\n~: c\n'': d\n\"<<\": e",
          "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\",\"\":\"d\",\"<<\":\"e\"}" },
    };
    (void)state;

    BECOMES(cases);
}

static void test_nesting_and_flow_style_are_taken(void **state)
{
    static const struct pair cases[] = {
        { "a:\n  - b: 1\n    c: [x, {d: e}]\n  -\n    - 2\nf: {}\ng: []\n",
          "{\"a\":[{\"b\":1,\"c\":[\"x\",{\"d\":\"e\"}]},[2]],\"f\":{},\"g\":[]}" },
        { "{\"json\": [1, true, null, \"x\"]}", "{\"json\":[1,true,null,\"x\"]}" },
        { "%YAML 1.2\n---\na: 1\n...\n", "{\"a\":1}" },
        { "\xef\xbb\xbf"
          "a: 1",
          "{\"a\":1}" },
        { "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]" },
        { "{a: {x: 1}, b: {x: 1}}", "{\"a\":{\"x\":1},\"b\":{\"x\":1}}" },
        { "", "" },
        { "# only a comment\n", "" },
    };
    (void)state;

    BECOMES(cases);
}

static void test_what_would_mislead_is_refused_with_line_and_column(void **state)
{
    static const struct {
        struct text yaml;
        const char *sentence;
    } cases[] = {
        { TEXT("a: &x 1"), "line 1, column 4: anchors (&) are not supported" },
        { TEXT("a: &x [1]"), "line 1, column 4: anchors (&) are not supported" },
        { TEXT("a: 1\nb: *x"), "line 2, column 4: aliases (*) are not supported" },
        { TEXT("a: !!str 1"), "line 1, column 4: tags (!) are not supported" },
        { TEXT("a: ! 1"), "line 1, column 4: tags (!) are not supported" },
        { TEXT("a: !x {}"), "line 1, column 4: tags (!) are not supported" },
        { TEXT("%TAG ! tag:x,2000:\n---\na: 1"), "%TAG is not supported" },
        { TEXT("<<: {a: 1}"), "line 1, column 1: merge keys (<<) are not supported" },
        { TEXT("a: 1\n---\nb: 1"), "line 2, column 1: only one document" },
        { TEXT("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n"),
          "line 5, column 3: the key \"c\" is given twice" },
        { TEXT("{a: 1, 'a': 2}"), "line 1, column 8: the key \"a\" is given twice" },
        { TEXT("? [a]\n: b"), "line 1, column 3: a key must be a text" },
        { TEXT("a: .inf"), "line 1, column 4: infinity and NaN are not supported" },
        { TEXT("a: -.Inf"), "infinity and NaN are not supported" },
        { TEXT("a: .nan"), "infinity and NaN are not supported" },
        { TEXT("a: 0x10000000000000000"), "line 1, column 4: this number does not fit in 64 bits" },
        { TEXT("a: \"x\\0y\""), "line 1, column 4: NUL is not allowed" },
        { TEXT("a:\n\t- b"), "line 2, column 1: " },
        { TEXT("a: b: c"), "line 1, column 5: " },
        { TEXT("a: [1, 2"), "line 2, column 1: " },
        { TEXT("a: 'x"), "line 1, column 6: " },
        { TEXT("a: 1\n b: 2"), "line 2, column 3: " },
        { TEXT("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"), "line 1, column 17: nested deeper than 16" },
        { TEXT("a: \xff"), "byte 3: " },
        { TEXT("a: \x01"), "byte 3: " },
        { TEXT("\xff\xfe"
               "a\0:\0"),
          "byte 0: " },
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { 0 };
        buffer_clear(&out);
        if (yaml_to_json(cases[i].yaml, &out, &err))
            fail_msg("taken: %s", cases[i].yaml.data);
        assert_int_equal(err.code, ERR_INVALID);
        if (strstr(err.text, cases[i].sentence) == NULL)
            fail_msg("\"%s\" has no \"%s\"", err.text, cases[i].sentence);
    }
}

static void test_too_large_a_document_is_refused(void **state)
{
    struct buffer yaml;
    struct err err = { 0 };
    (void)state;
    buffer_init(&yaml, &memory_heap, 2 * YAML_SIZE_MAX);
    while (yaml.size <= YAML_SIZE_MAX)
        buffer_add(&yaml, TEXT("# comment\n"));
    buffer_clear(&out);

    assert_false(yaml_to_json(buffer_text(&yaml), &out, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(yaml_to_json((struct text){ yaml.data, YAML_SIZE_MAX }, &out, &err));

    buffer_release(&yaml);
}

static void test_every_shortage_of_memory_is_reported(void **state)
{
    static const char yaml[] =
        "a: [1, x, {b: c}]\nd: a longer text that makes the buffer grow twice "
        "and then once more, so it needs a second block\n";
    size_t n = 0;
    bool good = false;
    (void)state;

    while (!good) {
        struct faulty_memory faulty;
        struct buffer small;
        struct err err = { 0 };
        faulty_memory_init(&faulty);
        faulty_memory_fail(&faulty, ++n, true);
        buffer_init(&small, &faulty.memory, 1 << 16);
        good = yaml_to_json(TEXT(yaml), &small, &err);
        if (!good)
            assert_int_equal(err.code, ERR_MEMORY);
        buffer_release(&small);
        assert_int_equal(faulty.blocks, 0);
    }

    assert_true(n > 3);
}

static void test_damaged_documents_do_no_harm(void **state)
{
    static const char sound[] =
        "a: [1, 'x', \"y\\n\", {b: c}]\nd:\n  - e: |\n      f\n    g: ~\nh: 0x1f\n";
    static const char bytes[] = "{}[]\":,'\\&*!|>-?#%@`~ \t\n0x.\xc3\xff";
    struct dice dice = { 17 };
    unsigned taken = 0;
    (void)state;

    for (unsigned round = 0; round < 5000; round++) {
        char body[sizeof(sound) - 1];
        memcpy(body, sound, sizeof(body));
        for (unsigned i = dice_roll(&dice, 2); i < 2; i++)
            body[dice_roll(&dice, sizeof(body))] = bytes[dice_roll(&dice, sizeof(bytes) - 1)];
        buffer_clear(&out);
        taken += yaml_to_json((struct text){ body, sizeof(body) }, &out, NULL);
    }

    assert_true(taken > 100 && taken < 4900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_bytes_at_all_are_no_document),
        cmocka_unit_test(test_words_of_yaml_1_1_are_texts),
        cmocka_unit_test(test_words_and_numbers_of_the_core_schema_are_such),
        cmocka_unit_test(test_quoted_and_block_scalars_are_texts),
        cmocka_unit_test(test_keys_are_the_text_that_stands_there),
        cmocka_unit_test(test_nesting_and_flow_style_are_taken),
        cmocka_unit_test(test_what_would_mislead_is_refused_with_line_and_column),
        cmocka_unit_test(test_too_large_a_document_is_refused),
        cmocka_unit_test(test_every_shortage_of_memory_is_reported),
        cmocka_unit_test(test_damaged_documents_do_no_harm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
