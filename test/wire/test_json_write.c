/* SPDX-License-Identifier: Apache-2.0
 * test_json_write.c - the writer, and that reading what a table wrote gives the same struct. */
#include "base/arena.h"
#include "base/dice.h"
#include "base/suite.h"
#include "wire/json_pull.h"
#include "wire/json_read.h"
#include "wire/json_write.h"
#include "wire/sample.h"

static struct arena arena;
static struct buffer out;
static struct json_writer writer;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, &memory_heap, 1 << 24);
    buffer_init(&out, &memory_heap, 1 << 20);
    json_writer_init(&writer, &out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buffer_release(&out);
    return 0;
}

static void test_commas_stand_between_and_nowhere_else(void **state)
{
    (void)state;

    json_begin_object(&writer);
    json_key(&writer, "empty");
    json_begin_list(&writer);
    json_end_list(&writer);
    json_put_i64(&writer, "i", INT64_MIN);
    json_put_u64(&writer, "u", UINT64_MAX);
    json_key(&writer, "list");
    json_begin_list(&writer);
    json_write_null(&writer);
    json_begin_object(&writer);
    json_end_object(&writer);
    json_begin_object(&writer);
    json_put_bool(&writer, "yes", true);
    json_end_object(&writer);
    json_write_bool(&writer, false);
    json_end_list(&writer);
    json_put_text(&writer, "t", TEXT(""));
    json_put_text_or_null(&writer, "n", TEXT(""));
    json_end_object(&writer);

    assert_text(buffer_text(&out), "{\"empty\":[],\"i\":-9223372036854775808,"
                                   "\"u\":18446744073709551615,\"list\":[null,{},{\"yes\":true},"
                                   "false],\"t\":\"\",\"n\":null}");
}

static void test_times_are_text_and_no_time_is_null(void **state)
{
    (void)state;

    json_begin_list(&writer);
    json_write_time(&writer, 1925028000123);
    json_write_time(&writer, 0);
    json_end_list(&writer);

    assert_text(buffer_text(&out), "[\"2031-01-01T10:00:00.123Z\",null]");
}

static void test_texts_are_escaped_as_the_standard_says(void **state)
{
    (void)state;

    json_quote(&out, TEXT("\"\\/\b\f\n\r\t\0\x1f\x7f a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));

    assert_text(
        buffer_text(&out),
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

static void test_bytes_that_are_not_utf8_are_replaced_one_by_one(void **state)
{
    (void)state;

    json_quote(&out, TEXT("a\xff\xc3(\xe2\x82\xed\xa0\x80z\xc3"));

    assert_text(buffer_text(&out),
                "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                "\xef\xbf\xbdz\xef\xbf\xbd\"");
}

static void test_any_bytes_without_nul_make_json_that_reads_back(void **state)
{
    struct dice dice = { 5 };
    (void)state;

    for (unsigned round = 0; round < 3000; round++) {
        char bytes[40];
        size_t size = dice_roll(&dice, sizeof(bytes));
        const struct json_node *root;
        struct err err = { 0 };
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)(1 + dice_roll(&dice, round % 2 == 0 ? 127 : 255));
        buffer_clear(&out);
        json_writer_init(&writer, &out);
        json_begin_list(&writer);
        json_write_text(&writer, (struct text){ bytes, size });
        json_end_list(&writer);

        if (!json_tree_parse(buffer_text(&out), &arena, &root, &err))
            fail_msg("%s: %s", buffer_c_string(&out), err.text);

        if (text_is_utf8((struct text){ bytes, size }))
            assert_true(
                text_equal(json_get_text(root, "0", TEXT_NONE), (struct text){ bytes, size }));
    }
}

static void test_a_table_prints_keys_in_its_order_and_absent_as_null(void **state)
{
    struct sample_inner inner = { .level = 3, .given.fields = 1 << 1 };
    (void)state;

    json_write_table(&writer, &sample_inner_table, &inner, JSON_ABSENT_IS_NULL);
    assert_text(buffer_text(&out), "{\"name\":null,\"level\":3,\"a/b~c\":null}");

    buffer_clear(&out);
    json_writer_init(&writer, &out);
    json_write_table(&writer, &sample_inner_table, &inner, JSON_ABSENT_IS_OMITTED);
    assert_text(buffer_text(&out), "{\"level\":3}");
}

static void test_a_table_without_given_bits_goes_by_the_values(void **state)
{
    struct json_table table = sample_inner_table;
    struct sample_inner inner = { .level = 3, .note = TEXT("") };
    (void)state;
    table.given_offset = JSON_NOT_KEPT;

    json_write_table(&writer, &table, &inner, JSON_ABSENT_IS_NULL);

    assert_text(buffer_text(&out), "{\"name\":null,\"level\":3,\"a/b~c\":\"\"}");
}

/* ---- round trip ----------------------------------------------------------------------------- */

static struct text random_text(struct dice *dice, uint32_t min, uint32_t max)
{
    static const char *const pieces[] = { "a", "Z", "0", " ", "\"", "\\", "/", "\xc3\xa4", "=" };
    char bytes[80];
    size_t size = 0, wanted = min + dice_roll(dice, max - min + 1);
    struct text copy = TEXT_NONE;
    while (size < wanted) {
        const char *piece = pieces[dice_roll(dice, 9)];
        if (size + strlen(piece) > wanted)
            piece = "x";
        memcpy(bytes + size, piece, strlen(piece));
        size += strlen(piece);
    }
    assert_true(arena_copy(&arena, (struct text){ bytes, size }, &copy));
    return copy;
}

static struct sample_inner random_inner(struct dice *dice)
{
    struct sample_inner inner = { .name = random_text(dice, 1, 16) };
    inner.given.fields = 1;
    if (dice_roll(dice, 2)) {
        inner.given.fields |= 2;
        inner.level = (uint8_t)(1 + dice_roll(dice, 9));
    }
    if (dice_roll(dice, 2))
        inner.given.fields |= 4;
    if (inner.given.fields & 4 && dice_roll(dice, 2))
        inner.given.nulls = 4;
    else if (inner.given.fields & 4)
        inner.note = random_text(dice, 0, 16);
    return inner;
}

static void fill_lists(struct sample *s, struct dice *dice)
{
    s->part_count = dice_roll(dice, 11);
    s->parts = arena_take_array(&arena, s->part_count, sizeof(*s->parts));
    for (uint32_t i = 0; i < s->part_count; i++)
        s->parts[i] = random_inner(dice);
    s->tag_count = 1 + dice_roll(dice, 6);
    s->tags = arena_take_array(&arena, s->tag_count, sizeof(*s->tags));
    for (uint32_t i = 0; i < s->tag_count; i++)
        s->tags[i] = random_text(dice, 1, 8);
    s->label_count = dice_roll(dice, 10);
    s->labels = arena_take_array(&arena, s->label_count, sizeof(*s->labels));
    for (uint32_t i = 0; i < s->label_count; i++) {
        char key[8];
        int size = snprintf(key, sizeof(key), "\"k%u", i);
        assert_true(arena_copy(&arena, (struct text){ key, (size_t)size }, &s->labels[i].key));
        s->labels[i].is_null = dice_roll(dice, 4) == 0;
        if (!s->labels[i].is_null)
            s->labels[i].value = random_text(dice, 0, 10);
    }
}

static struct sample random_sample(struct dice *dice)
{
    static const char *const raws[] = { "1.5e3", "{\"a\":[]}", "\"x\\n\"", "null" };
    struct sample s = {
        .name = random_text(dice, 1, 64),
        .enabled = dice_roll(dice, 2) == 1,
        .big = (int64_t)dice_next(dice) >> dice_roll(dice, 64),
        .tiny = (int8_t)dice_roll(dice, 256),
        .port = (uint16_t)(1 + dice_roll(dice, 65535)),
        .color = (uint8_t)dice_roll(dice, 3),
        .status = dice_roll(dice, 3),
        .timeout_ms = 1000 + dice_roll(dice, 3599001),
        .at_ms = (int64_t)(dice_next(dice) % 253402300800000u),
        .inner = random_inner(dice),
        .raw = text_from(raws[dice_roll(dice, 4)]),
    };
    s.batch.is_percent = dice_roll(dice, 2) == 1;
    s.batch.value = 1 + dice_roll(dice, s.batch.is_percent ? 100 : 1000000);
    s.given.fields = JSON_BIT(SAMPLE_ROWS) - 1;
    fill_lists(&s, dice);
    return s;
}

static void test_reading_what_was_written_gives_the_same(void **state)
{
    struct dice dice = { 2031 };
    (void)state;

    for (unsigned round = 0; round < 2000; round++) {
        struct sample s = random_sample(&dice), back = { 0 };
        struct err err = { 0 };
        struct text first;
        buffer_clear(&out);
        json_writer_init(&writer, &out);
        json_write_table(&writer, &sample_table, &s, JSON_ABSENT_IS_OMITTED);
        assert_true(arena_copy(&arena, buffer_text(&out), &first));

        if (!json_read(&sample_table, first, &arena, &back, NULL, &err))
            fail_msg("%.*s: %s at %s", TEXT_ARG(first), err.text, err.pointer);
        buffer_clear(&out);
        json_writer_init(&writer, &out);
        json_write_table(&writer, &sample_table, &back, JSON_ABSENT_IS_OMITTED);

        assert_true(text_equal(buffer_text(&out), first));
        assert_true(text_equal(back.name, s.name));
        assert_true(back.big == s.big && back.tiny == s.tiny && back.port == s.port);
        assert_true(back.timeout_ms == s.timeout_ms && back.at_ms == s.at_ms);
        assert_true(back.color == s.color && back.status == s.status && back.enabled == s.enabled);
        assert_true(back.batch.value == s.batch.value &&
                    back.batch.is_percent == s.batch.is_percent);
        assert_int_equal(back.part_count, s.part_count);
        assert_int_equal(back.label_count, s.label_count);
        assert_true(back.inner.given.nulls == s.inner.given.nulls);
        assert_true(back.given.fields == s.given.fields);
        arena_clear(&arena);
    }
}

static void test_a_full_buffer_is_noticed_at_the_end(void **state)
{
    struct buffer small;
    (void)state;
    buffer_init(&small, &memory_heap, 10);
    json_writer_init(&writer, &small);

    json_begin_object(&writer);
    json_put_text(&writer, "key", TEXT("a value that is too long"));
    json_end_object(&writer);

    assert_true(small.failed);
    buffer_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commas_stand_between_and_nowhere_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_times_are_text_and_no_time_is_null, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts_are_escaped_as_the_standard_says, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bytes_that_are_not_utf8_are_replaced_one_by_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_any_bytes_without_nul_make_json_that_reads_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_table_prints_keys_in_its_order_and_absent_as_null,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_table_without_given_bits_goes_by_the_values, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_reading_what_was_written_gives_the_same, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_full_buffer_is_noticed_at_the_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
