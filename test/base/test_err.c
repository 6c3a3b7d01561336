/* SPDX-License-Identifier: Apache-2.0
 * test_err.c - errors as values: setting, prefixing, cutting, and excerpts of bad input. */
#include "base/err.h"
#include "base/suite.h"

#include <string.h>

static void test_setting_an_error_returns_false_and_replaces_the_old_one(void **state)
{
    struct err err = { 0 };
    (void)state;
    assert_false(err_set_at(&err, ERR_UNKNOWN_KEY, "/a/b", "first"));

    assert_false(err_set(&err, ERR_NOT_FOUND, "no instance \"%s\"", "web"));

    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "no instance \"web\"");
    assert_string_equal(err.pointer, "");
}

static void test_an_error_can_be_dropped(void **state)
{
    (void)state;

    assert_false(err_set(NULL, ERR_IO, "nobody hears %d", 1));
    assert_false(err_set_at(NULL, ERR_IO, "/x", "nobody hears"));
    err_prefix(NULL, "nowhere");
}

static void test_a_pointer_names_the_place(void **state)
{
    struct err err = { 0 };
    (void)state;

    err_set_at(&err, ERR_INVALID, "/labels/zone", "too long");

    assert_string_equal(err.pointer, "/labels/zone");
    assert_string_equal(err.text, "too long");
}

static void test_a_prefix_comes_before_the_sentence_and_keeps_the_rest(void **state)
{
    struct err err = { 0 };
    (void)state;
    err_set_at(&err, ERR_INVALID, "/a", "too long");

    err_prefix(&err, "line %d", 7);

    assert_string_equal(err.text, "line 7: too long");
    assert_string_equal(err.pointer, "/a");
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_an_error_may_be_set_from_its_own_text(void **state)
{
    struct err err = { 0 };
    (void)state;
    err_set_at(&err, ERR_IO, "/a", "disk");

    err_set_at(&err, ERR_STORE, err.pointer, "cannot commit: %s", err.text);
    err_prefix(&err, "%s", err.text);

    assert_string_equal(err.text, "cannot commit: disk: cannot commit: disk");
    assert_string_equal(err.pointer, "/a");
}

static void test_long_sentences_are_cut_between_characters(void **state)
{
    struct err err = { 0 };
    char euros[3 * 500 + 1];
    (void)state;
    for (size_t i = 0; i < 500; i++)
        memcpy(euros + 3 * i, "\xe2\x82\xac", 3);
    euros[sizeof euros - 1] = '\0';

    for (size_t shift = 0; shift < 3; shift++) {
        err_set_at(&err, ERR_INVALID, euros, "%.*s%s", (int)shift, "ab", euros);
        assert_true(text_is_utf8(text_from(err.text)));
        assert_true(strlen(err.text) >= ERR_TEXT_SIZE - 3);
        assert_true(text_is_utf8(text_from(err.pointer)));
        assert_true(strlen(err.pointer) >= ERR_POINTER_SIZE - 3);
        err_prefix(&err, "%.*s%s", (int)shift, "ab", euros);
        assert_true(text_is_utf8(text_from(err.text)));
        assert_true(strlen(err.text) >= ERR_TEXT_SIZE - 3);
    }
}

static void test_a_sentence_that_just_fits_is_whole(void **state)
{
    struct err err = { 0 };
    char text[ERR_TEXT_SIZE];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';

    err_set(&err, ERR_INVALID, "%s", text);

    assert_string_equal(err.text, text);
}

static void test_every_code_has_a_word_of_its_own_and_a_status(void **state)
{
    (void)state;

    for (int a = 0; a < ERR_CODE_COUNT; a++) {
        enum err_code code = (enum err_code)a;
        assert_true(strlen(err_word(code)) > 0 && strlen(err_title(code)) > 0);
        assert_in_range(err_http_status(code), 200, 599);
        for (int b = 0; b < a; b++)
            assert_string_not_equal(err_word(code), err_word((enum err_code)b));
    }
    assert_string_equal(err_word(ERR_TOO_LARGE), "body_too_large");
    assert_int_equal(err_http_status(ERR_TOO_LARGE), 413);
    assert_true(err_is_retryable(ERR_RATE));
    assert_false(err_is_retryable(ERR_INVALID));
}

static void test_an_excerpt_escapes_control_bytes_and_what_is_not_utf8(void **state)
{
    char space[ERR_EXCERPT_SIZE];
    (void)state;

    assert_string_equal(err_excerpt(TEXT("plain \xc3\xbc"), space), "plain \xc3\xbc");
    assert_string_equal(err_excerpt(TEXT("a\0\n\x1b\x7f"), space), "a\\x00\\x0a\\x1b\\x7f");
    assert_string_equal(err_excerpt(TEXT("\xff\xc3z"), space), "\\xff\\xc3z");
    assert_string_equal(err_excerpt(TEXT("\xc2\x9b\xc2\xa0"), space), "\\xc2\\x9b\xc2\xa0");
    assert_string_equal(err_excerpt(TEXT_NONE, space), "");
}

static void test_an_excerpt_is_cut_between_characters_at_48_bytes(void **state)
{
    char space[ERR_EXCERPT_SIZE], bytes[60];
    (void)state;
    memset(bytes, 'x', sizeof bytes);

    assert_int_equal(strlen(err_excerpt((struct text){ bytes, 48 }, space)), 48);
    assert_int_equal(strlen(err_excerpt((struct text){ bytes, 49 }, space)), 51);
    assert_string_equal(space + 48, "...");
    memcpy(bytes + 46, "\xe2\x82\xac", 3);
    err_excerpt((struct text){ bytes, 49 }, space);

    assert_string_equal(space + 46, "...");
}

static void test_the_worst_excerpt_fits(void **state)
{
    char space[ERR_EXCERPT_SIZE], bytes[100];
    (void)state;
    memset(bytes, 0xff, sizeof bytes);

    err_excerpt((struct text){ bytes, sizeof bytes }, space);

    assert_int_equal(strlen(space), 48 * 4 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setting_an_error_returns_false_and_replaces_the_old_one),
        cmocka_unit_test(test_an_error_can_be_dropped),
        cmocka_unit_test(test_a_pointer_names_the_place),
        cmocka_unit_test(test_a_prefix_comes_before_the_sentence_and_keeps_the_rest),
        cmocka_unit_test(test_an_error_may_be_set_from_its_own_text),
        cmocka_unit_test(test_long_sentences_are_cut_between_characters),
        cmocka_unit_test(test_a_sentence_that_just_fits_is_whole),
        cmocka_unit_test(test_every_code_has_a_word_of_its_own_and_a_status),
        cmocka_unit_test(test_an_excerpt_escapes_control_bytes_and_what_is_not_utf8),
        cmocka_unit_test(test_an_excerpt_is_cut_between_characters_at_48_bytes),
        cmocka_unit_test(test_the_worst_excerpt_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
