/* SPDX-License-Identifier: Apache-2.0
 * test_json_read.c - every kind of field: what is taken, what is refused, and how it is said. */
#include "base/arena.h"
#include "base/suite.h"
#include "wire/documents.h"
#include "wire/json_read.h"
#include "wire/sample.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, &memory_heap, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct sample take(const char *body)
{
    struct sample s = { 0 };
    struct err err = { 0 };
    if (!json_read(&sample_table, text_from(body), &arena, &s, NULL, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    return s;
}

struct refusal {
    const char *body, *pointer, *phrase;
};

static void refuse(const struct refusal *list, size_t count, enum err_code code)
{
    for (size_t i = 0; i < count; i++) {
        struct sample s = { 0 }, untouched = { 0 };
        struct err err = { 0 };
        if (json_read(&sample_table, text_from(list[i].body), &arena, &s, NULL, &err))
            fail_msg("taken: %s", list[i].body);
        assert_memory_equal(&s, &untouched, sizeof(s));
        if (err.code != code || strcmp(err.pointer, list[i].pointer) != 0 ||
            strstr(err.text, list[i].phrase) == NULL)
            fail_msg("%s: \"%s\" at \"%s\" (%s)", list[i].body, err.text, err.pointer,
                     err_word(err.code));
    }
}

#define REFUSE(list, code) refuse(list, sizeof(list) / sizeof((list)[0]), code)

static void test_the_tables_keep_their_own_rules(void **state)
{
    struct err err = { 0 };
    (void)state;

    assert_true(json_table_check(&sample_table, &err));
    assert_true(json_table_check(&sample_loose_table, &err));
}

static void test_a_table_that_breaks_a_rule_is_noticed(void **state)
{
    struct json_field fields[2] = { sample_table.fields[SAMPLE_PORT],
                                    sample_table.fields[SAMPLE_BIG] };
    struct json_table table = sample_table;
    struct err err = { 0 };
    (void)state;
    table.fields = fields;
    table.count = 2;
    assert_true(json_table_check(&table, &err));

    fields[0].max = 65536;
    assert_false(json_table_check(&table, &err));
    assert_non_null(strstr(err.text, "row 0 (port): its limits"));

    fields[0].max = 65535;
    fields[1].alias = "port";
    assert_false(json_table_check(&table, &err));
    assert_non_null(strstr(err.text, "row 1 (big): its name or alias"));

    fields[1].alias = NULL;
    fields[1].kind = JSON_BOOL;
    assert_false(json_table_check(&table, &err));
    assert_non_null(strstr(err.text, "does not suit"));
}

static void test_all_that_is_not_json_is_refused(void **state)
{
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(not_json); i++) {
        struct sample s = { 0 };
        struct err err = { 0 };
        assert_false(json_read(&sample_loose_table, not_json[i], &arena, &s, NULL, &err) &&
                     text_trim(not_json[i]).size > 0);
        if (err.code == ERR_INVALID) /* a list where the table wants an object is noticed first */
            assert_int_equal(not_json[i].data[0], '[');
    }
}

static void test_disputed_json_is_refused_inside_of_unknown_keys_too(void **state)
{
    (void)state;

    for (size_t i = 3; i < DOCUMENTS(not_wanted); i++) {
        char body[200];
        struct sample s = { 0 };
        struct err err = { 0 };
        int size = snprintf(body, sizeof(body), "{\"mystery\":%.*s}", TEXT_ARG(not_wanted[i]));
        assert_false(json_read(&sample_loose_table, (struct text){ body, (size_t)size }, &arena, &s,
                               NULL, &err));
        assert_int_equal(err.code, ERR_BAD_JSON);
    }
}

static void test_one_of_each_kind_is_stored(void **state)
{
    (void)state;

    struct sample s = take(
        "{\"name\":\"web-1\",\"enabled\":true,\"big\":-9223372036854775808,\"tiny\":-128,"
        "\"port\":65535,\"color\":\"BLUE\",\"status\":\"healthy\",\"timeout\":\"1m30s\","
        "\"batch_size\":\"25%\",\"at\":\"2031-01-01T10:00:00.000Z\","
        "\"inner\":{\"name\":\"in\",\"level\":9},\"parts\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
        "\"tags\":[\"x\",\"y\"],\"labels\":{\"k\":\"v\",\"gone\":null,\"e\":\"\"},"
        "\"raw\": {\"a\" : [1, 2]} }");

    assert_text(s.name, "web-1");
    assert_true(s.enabled);
    assert_true(s.big == INT64_MIN);
    assert_int_equal(s.tiny, -128);
    assert_int_equal(s.port, 65535);
    assert_int_equal(s.color, 2);
    assert_int_equal(s.status, 1);
    assert_int_equal(s.timeout_ms, 90000);
    assert_true(s.batch.is_percent && s.batch.value == 25);
    assert_true(s.at_ms == 1925028000000);
    assert_text(s.inner.name, "in");
    assert_int_equal(s.inner.level, 9);
    assert_int_equal(s.part_count, 2);
    assert_text(s.parts[1].name, "b");
    assert_int_equal(s.tag_count, 2);
    assert_text(s.tags[1], "y");
    assert_int_equal(s.label_count, 3);
    assert_text(s.labels[0].value, "v");
    assert_true(s.labels[1].is_null);
    assert_text(s.labels[2].key, "e");
    assert_text(s.raw, "{\"a\" : [1, 2]}");
    assert_true(s.given.fields == JSON_BIT(SAMPLE_ROWS) - 1);
    assert_true(s.given.nulls == 0);
    assert_true(s.parts[0].given.fields == 1);
}

static void test_omitted_null_and_given_are_told_apart(void **state)
{
    (void)state;

    struct sample s = take("{\"name\":null,\"port\":1,\"labels\":{}}");

    assert_true(s.given.fields ==
                (JSON_BIT(SAMPLE_NAME) | JSON_BIT(SAMPLE_PORT) | JSON_BIT(SAMPLE_LABELS)));
    assert_true(s.given.nulls == JSON_BIT(SAMPLE_NAME));
}

static void test_defaults_stay_unless_given(void **state)
{
    struct sample s = { .port = 80, .big = 5, .inner.level = 3, .tag_count = 0 };
    struct err err;
    (void)state;

    assert_true(json_read(&sample_table, TEXT("{\"big\":null,\"inner\":{\"name\":\"x\"}}"), &arena,
                          &s, NULL, &err));

    assert_int_equal(s.port, 80);
    assert_int_equal(s.big, 0);
    assert_int_equal(s.inner.level, 3);
}

static void test_texts_without_escapes_are_views_into_the_body(void **state)
{
    static const char body[] = "{\"name\":\"abc\",\"tags\":[\"d\\u0065f\"]}";
    struct sample s = { 0 };
    struct err err;
    (void)state;

    assert_true(json_read(&sample_table, TEXT(body), &arena, &s, NULL, &err));

    assert_ptr_equal(s.name.data, body + 9);
    assert_text(s.tags[0], "def");
    assert_false(s.tags[0].data >= body && s.tags[0].data < body + sizeof(body));
}

static const struct refusal wrong_values[] = {
    { "{\"name\":\"\"}", "/name",
      "must be a text of 1 to 64 bytes without control characters, or null; it is empty" },
    { "{\"name\":\"a\\nb\"}", "/name", "it has a control character" },
    { "{\"name\":1.10}", "/name", "not 1.10; it is a number and must stand in quotes" },
    { "{\"name\":[]}", "/name", "it is a list" },
    { "{\"enabled\":\"yes\"}", "/enabled", "must be true or false, not \"yes\"" },
    { "{\"enabled\":null}", "/enabled", "must be true or false, not null" },
    { "{\"enabled\":0}", "/enabled", "not 0" },
    { "{\"big\":1.0}", "/big",
      "must be an integer, or null, not 1.0; write it without fraction and exponent" },
    { "{\"big\":1e3}", "/big", "without fraction and exponent" },
    { "{\"big\":1E3}", "/big", "without fraction and exponent" },
    { "{\"big\":9223372036854775808}", "/big", "out of range" },
    { "{\"big\":-9223372036854775809}", "/big", "out of range" },
    { "{\"big\":18446744073709551617}", "/big", "out of range" },
    { "{\"big\":123456789012345678901234567890}", "/big", "out of range" },
    { "{\"big\":\"1\"}", "/big", "must be an integer" },
    { "{\"tiny\":128}", "/tiny", "must be an integer from -128 to 127, not 128" },
    { "{\"tiny\":-129}", "/tiny", "must be an integer from -128 to 127" },
    { "{\"port\":0}", "/port", "must be an integer from 1 to 65535" },
    { "{\"port\":65536}", "/port", "must be an integer from 1 to 65535" },
    { "{\"port\":-1}", "/port", "must be an integer from 1 to 65535" },
    { "{\"color\":\"pink\"}", "/color",
      "must be one of \"red\", \"green\", \"Blue\", not \"pink\"" },
    { "{\"color\":1}", "/color", "must be one of" },
    { "{\"color\":\"\"}", "/color", "must be one of" },
    { "{\"status\":3}", "/status",
      "must be a number or name of: 0 \"UNKNOWN\", 1 \"HEALTHY\", 2 \"FAILED\", not 3" },
    { "{\"status\":-1}", "/status", "must be a number or name" },
    { "{\"status\":1.0}", "/status", "without fraction" },
    { "{\"status\":\"1\"}", "/status", "must be a number or name" },
    { "{\"timeout\":90}", "/timeout",
      "must be a duration such as \"90s\" or \"1h30m\", from \"1s\" to \"1h\", not 90" },
    { "{\"timeout\":\"0s\"}", "/timeout", "must be a duration" },
    { "{\"timeout\":\"61m\"}", "/timeout", "must be a duration" },
    { "{\"timeout\":\"\"}", "/timeout", "must be a duration" },
    { "{\"batch_size\":0}", "/batch_size",
      "must be a count from 1 to 1000000 or a percentage from \"1%\" to \"100%\", not 0" },
    { "{\"batch_size\":1000001}", "/batch_size", "must be a count" },
    { "{\"batch_size\":\"0%\"}", "/batch_size", "must be a count" },
    { "{\"batch_size\":\"101%\"}", "/batch_size", "must be a count" },
    { "{\"batch_size\":\"10\"}", "/batch_size", "must be a count" },
    { "{\"batch_size\":4294967297}", "/batch_size", "must be a count" },
    { "{\"at\":\"yesterday\"}", "/at", "must be a time such as" },
    { "{\"at\":1925028000}", "/at", "must be a time such as" },
    { "{\"inner\":[]}", "/inner", "must be an object; it is a list" },
    { "{\"inner\":{}}", "/inner/name", "must be a text of 1 to 16 bytes; it is missing" },
    { "{\"inner\":{\"name\":\"x\",\"level\":10}}", "/inner/level", "from 1 to 9" },
    { "{\"inner\":{\"name\":\"x\",\"a/b~c\":3}}", "/inner/a~1b~0c", "must be a text" },
    { "{\"parts\":{}}", "/parts", "must be a list of 0 to 10 objects; it is an object" },
    { "{\"parts\":[{\"name\":\"x\"},{\"level\":1}]}", "/parts/1/name", "it is missing" },
    { "{\"parts\":[{\"name\":\"x\"},{\"name\":\"y\",\"level\":0}]}", "/parts/1/level",
      "from 1 to 9" },
    { "{\"parts\":[{\"name\":\"x\"},7]}", "/parts/1", "this entry is not an object" },
    { "{\"parts\":[[]]}", "/parts/0", "this entry is a list" },
    { "{\"parts\":[{\"name\":\"1\"},{\"name\":\"1\"},{\"name\":\"1\"},{\"name\":\"1\"},{"
      "\"name\":\"1\"},{\"name\":\"1\"},"
      "{\"name\":\"1\"},{\"name\":\"1\"},{\"name\":\"1\"},{\"name\":\"1\"},{\"name\":\"1\"}]}",
      "/parts", "must be a list of 0 to 10 objects; it has more" },
    { "{\"tags\":[]}", "/tags", "must be a list of 1 to 6 texts of 1 to 8 bytes; it has fewer" },
    { "{\"tags\":[\"a\",\"\"]}", "/tags/1", "it is empty" },
    { "{\"tags\":[\"a\",\"123456789\"]}", "/tags/1", "it is too long" },
    { "{\"tags\":[\"a\",null]}", "/tags/1", "this entry is not a text" },
    { "{\"tags\":[{}]}", "/tags/0", "this entry is an object" },
    { "{\"tags\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\"]}", "/tags", "it has more" },
    { "{\"labels\":[]}", "/labels",
      "must be an object of 0 to 64 entries, keys of 1 to 8 and texts or nulls of 0 to 10 "
      "bytes" },
    { "{\"labels\":{\"k\":1}}", "/labels/k", "this value is not a text" },
    { "{\"labels\":{\"k\":{}}}", "/labels/k", "this entry is an object" },
    { "{\"labels\":{\"\":\"v\"}}", "/labels/", "this key is empty" },
    { "{\"labels\":{\"123456789\":\"v\"}}", "/labels/123456789", "this key is too long" },
    { "{\"labels\":{\"a\\tb\":\"v\"}}", "/labels/a\tb", "this key has a control character" },
    { "{\"labels\":{\"k\":\"12345678901\"}}", "/labels/k", "it is too long" },
    { "{\"raw\":[\"1234567890\",\"1234567890\",\"1234567890\",\"1234567890\",\"1234567890\"]}",
      "/raw", "must be any JSON value of at most 60 bytes; it is too long" },
    { "[]", "", "the body must be an object, not a list" },
    { "{\"name\":\"a\",\"nmae\":\"a\"}", "/nmae",
      "\"nmae\" and \"name\" mean the same: give one of them" },
    { "{\"nmae\":\"a\",\"name\":\"a\"}", "/name", "mean the same" },
};

static void test_a_wrong_value_is_refused_with_pointer_and_range(void **state)
{
    (void)state;

    REFUSE(wrong_values, ERR_INVALID);
}

static void test_bounds_themselves_are_taken(void **state)
{
    static const char *const bodies[] = {
        "{\"big\":9223372036854775807}",
        "{\"big\":-0}",
        "{\"tiny\":127}",
        "{\"port\":1}",
        "{\"timeout\":\"1s\"}",
        "{\"timeout\":\"1h\"}",
        "{\"batch_size\":1}",
        "{\"batch_size\":1000000}",
        "{\"batch_size\":\"1%\"}",
        "{\"batch_size\":\"100%\"}",
        "{\"status\":0}",
        "{\"status\":2}",
        "{\"status\":\"FaiLed\"}",
        "{\"tags\":[\"12345678\"]}",
        "{\"at\":null}",
        "{\"labels\":{\"12345678\":\"1234567890\"}}",
        "{\"labels\":null}",
        "{\"raw\":null}",
        "{\"raw\":1e5}",
        "{\"parts\":[]}",
    };
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(bodies); i++)
        take(bodies[i]);
}

static void test_raw_values_are_the_exact_bytes(void **state)
{
    static const char *const values[] = {
        "null", "-1.50e+3", "true", "\"a\\u0041\\n\"", "{ \"x\" : [ ] }", "[[1 , 2],\t3]", "[]",
    };
    (void)state;

    for (size_t i = 0; i < DOCUMENTS(values); i++) {
        char body[100];
        snprintf(body, sizeof(body), "{\"raw\" :  %s ,\"port\":1}", values[i]);
        assert_text(take(body).raw, values[i]);
    }
}

static void test_a_key_given_twice_is_bad_json(void **state)
{
    static const struct refusal cases[] = {
        { "{\"port\":1,\"port\":1}", "/port", "at byte 10: this key is given twice" },
        { "{\"nmae\":\"a\",\"nmae\":\"a\"}", "/nmae", "given twice" },
        { "{\"port\":1,\"p\\u006frt\":1}", "/port", "at byte 10" },
        { "{\"labels\":{\"a\":\"1\",\"b\":\"1\",\"a\":\"1\"}}", "/labels/a", "at byte 27" },
        { "{\"raw\":{\"a\":1,\"b\":{\"c\":1,\"c\":2}}}", "/raw/b/c", "at byte 25" },
    };
    (void)state;

    REFUSE(cases, ERR_BAD_JSON);
}

static void test_unknown_keys_are_refused_with_a_suggestion(void **state)
{
    static const struct refusal cases[] = {
        { "{\"batchsize\":1}", "/batchsize", "is not a known key; did you mean \"batch_size\"?" },
        { "{\"batch-size\":1}", "/batch-size", "did you mean \"batch_size\"?" },
        { "{\"lables\":{}}", "/lables", "did you mean \"labels\"?" },
        { "{\"Port\":1}", "/Port", "did you mean \"port\"?" },
        { "{\"inner\":{\"name\":\"x\",\"levle\":1}}", "/inner/levle", "did you mean \"level\"?" },
        { "{\"inner\":{\"name\":\"x\",\"zzzzzz\":1}}", "/inner/zzzzzz",
          "is not a known key; known are \"name\", \"level\", \"a/b~c\"" },
        { "{\"\":1}", "/", "is not a known key" },
        { "{\"parts\":[{\"name\":\"x\",\"foo\":[1]}]}", "/parts/0/foo", "is not a known key" },
    };
    (void)state;

    REFUSE(cases, ERR_UNKNOWN_KEY);
}

static void test_unknown_keys_become_warnings_where_the_table_says_so(void **state)
{
    struct json_warnings warnings = { 0 };
    struct sample s = { 0 };
    struct err err = { 0 };
    (void)state;

    assert_true(json_read(&sample_loose_table,
                          TEXT("{\"prot\":{\"a\":[1,{\"b\":2}]},\"port\":1,\"x/y\":[]}"), &arena,
                          &s, &warnings, &err));

    assert_int_equal(s.port, 1);
    assert_int_equal(warnings.count, 2);
    assert_text(warnings.list[0],
                "/prot was ignored: it is not a known key; did you mean \"port\"?");
    assert_true(
        text_starts_with(warnings.list[1], TEXT("/x~1y was ignored: it is not a known key")));
}

static void test_warnings_are_bounded(void **state)
{
    struct json_warnings warnings = { 0 };
    struct sample s = { 0 };
    struct err err = { 0 };
    (void)state;

    assert_true(json_read(&sample_loose_table,
                          TEXT("{\"q0\":1,\"q1\":1,\"q2\":1,\"q3\":1,\"q4\":1,\"q5\":1,\"q6\":1,"
                               "\"q7\":1,\"q8\":1,\"q9\":1}"),
                          &arena, &s, &warnings, &err));

    assert_int_equal(warnings.count, JSON_WARNINGS_MAX);
    assert_int_equal(warnings.more, 2);
}

static void test_an_unknown_key_given_twice_is_refused_though_ignored(void **state)
{
    struct sample s = { 0 };
    struct err err = { 0 };
    (void)state;

    assert_false(
        json_read(&sample_loose_table, TEXT("{\"zz\":1,\"zz\":2}"), &arena, &s, NULL, &err));

    assert_int_equal(err.code, ERR_BAD_JSON);
    assert_string_equal(err.pointer, "/zz");
}

static void test_an_empty_body_is_an_object_where_the_table_says_so(void **state)
{
    struct sample s = { 0 };
    struct err err = { 0 };
    (void)state;

    assert_true(json_read(&sample_loose_table, TEXT(""), &arena, &s, NULL, &err));
    assert_true(json_read(&sample_loose_table, TEXT(" \n"), &arena, &s, NULL, &err));
    assert_false(json_read(&sample_table, TEXT(""), &arena, &s, NULL, &err));

    assert_int_equal(err.code, ERR_BAD_JSON);
}

static void test_a_text_that_may_be_secret_is_not_repeated(void **state)
{
    struct sample s = { 0 };
    struct err err = { 0 };
    (void)state;

    assert_false(
        json_read(&sample_table, TEXT("{\"tags\":[\"hunter2hunter2\"]}"), &arena, &s, NULL, &err));
    assert_null(strstr(err.text, "hunter2"));
    assert_false(
        json_read(&sample_table, TEXT("{\"name\":\"hunter2\\n\"}"), &arena, &s, NULL, &err));
    assert_null(strstr(err.text, "hunter2"));
}

static void test_a_long_pointer_is_cut_between_characters(void **state)
{
    char body[400] = "{\"";
    struct sample s = { 0 };
    struct err err = { 0 };
    size_t size = 2;
    (void)state;
    for (; size < 300; size += 2)
        memcpy(body + size, "\xc3\xa4", 2);
    memcpy(body + size, "\":1}", 4);

    assert_false(json_read(&sample_table, (struct text){ body, size + 4 }, &arena, &s, NULL, &err));

    assert_int_equal(err.code, ERR_UNKNOWN_KEY);
    assert_true(strlen(err.pointer) > 100);
    assert_true(text_is_utf8(text_from(err.pointer)));
}

static void test_every_shortage_of_memory_is_reported_and_changes_nothing(void **state)
{
    static const char body[] =
        "{\"name\":\"w\\u0065b\",\"tags\":[\"a\\n\",\"2\",\"3\",\"4\",\"5\"],\"mystery\":{\"a\":1},"
        "\"labels\":{\"a\":\"1\",\"b\\u0062\":\"2\"},\"parts\":[{\"name\":\"p\"}]}";
    struct sample s = { 0 }, untouched = { 0 };
    size_t max = 0;
    (void)state;

    for (;; max += 16) {
        struct json_warnings warnings = { 0 };
        struct err err = { 0 };
        struct arena small;
        bool good;
        arena_init(&small, &memory_heap, max);
        good = json_read(&sample_loose_table, TEXT(body), &small, &s, &warnings, &err);
        arena_release(&small);
        if (good)
            break;
        assert_int_equal(err.code, ERR_MEMORY);
        assert_memory_equal(&s, &untouched, sizeof(s));
    }

    assert_true(max > 500 && max < 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tables_keep_their_own_rules),
        cmocka_unit_test(test_a_table_that_breaks_a_rule_is_noticed),
        cmocka_unit_test(test_all_that_is_not_json_is_refused),
        cmocka_unit_test(test_disputed_json_is_refused_inside_of_unknown_keys_too),
        cmocka_unit_test(test_one_of_each_kind_is_stored),
        cmocka_unit_test(test_omitted_null_and_given_are_told_apart),
        cmocka_unit_test(test_defaults_stay_unless_given),
        cmocka_unit_test(test_texts_without_escapes_are_views_into_the_body),
        cmocka_unit_test(test_a_wrong_value_is_refused_with_pointer_and_range),
        cmocka_unit_test(test_bounds_themselves_are_taken),
        cmocka_unit_test(test_raw_values_are_the_exact_bytes),
        cmocka_unit_test(test_a_key_given_twice_is_bad_json),
        cmocka_unit_test(test_unknown_keys_are_refused_with_a_suggestion),
        cmocka_unit_test(test_unknown_keys_become_warnings_where_the_table_says_so),
        cmocka_unit_test(test_warnings_are_bounded),
        cmocka_unit_test(test_an_unknown_key_given_twice_is_refused_though_ignored),
        cmocka_unit_test(test_an_empty_body_is_an_object_where_the_table_says_so),
        cmocka_unit_test(test_a_text_that_may_be_secret_is_not_repeated),
        cmocka_unit_test(test_a_long_pointer_is_cut_between_characters),
        cmocka_unit_test(test_every_shortage_of_memory_is_reported_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
