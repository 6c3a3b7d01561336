/* SPDX-License-Identifier: Apache-2.0
 * test_tokens.c - which registration token is which, for which names, until when; and the texts of
 * secrets. */
#include "base/suite.h"
#include "http/tokens.h"

static int set_up(void **state)
{
    (void)state;
    return secret_open(NULL) ? 0 : -1;
}

/* ---- secrets -------------------------------------------------------------------------------- */

static void test_the_hash_is_that_of_sha256sum(void **state)
{
    (void)state;
    unsigned char hash[SECRET_HASH_SIZE];
    char hex[SECRET_HEX_SIZE + 1];

    secret_hash(TEXT("abc"), hash);
    secret_to_hex(hash, hex);

    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_hex_reads_back_in_both_letter_cases(void **state)
{
    (void)state;
    unsigned char hash[SECRET_HASH_SIZE], lower[SECRET_HASH_SIZE], upper[SECRET_HASH_SIZE];
    secret_hash(TEXT("abc"), hash);

    assert_true(secret_from_hex(
        TEXT("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), lower));
    assert_true(secret_from_hex(
        TEXT("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"), upper));

    assert_true(secret_equal(hash, lower));
    assert_true(secret_equal(hash, upper));
}

static void test_what_is_no_hex_is_refused_and_leaves_the_hash(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",
        "ba",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015adad",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ag",
        "ba7816bf8f01cfea414140de5dae2223 b00361a396177a9cb410ff61f20015a",
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        unsigned char hash[SECRET_HASH_SIZE] = { 7 };

        assert_false(secret_from_hex(text_from(table[i]), hash));

        assert_int_equal(hash[0], 7);
    }
}

static void test_made_secrets_differ_and_say_what_they_are(void **state)
{
    (void)state;
    char a[SECRET_TEXT_SIZE], b[SECRET_TEXT_SIZE];

    secret_make(SECRET_TOKEN, a);
    secret_make(SECRET_TOKEN, b);

    assert_string_not_equal(a, b);
    assert_true(text_starts_with(text_from(a), TEXT("dt_")));
    assert_int_equal(strlen(a), SECRET_TEXT_SIZE - 1);
    assert_int_equal(strspn(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
                     SECRET_TEXT_SIZE - 1);
}

static void test_only_the_same_phrase_opens_a_seal(void **state)
{
    (void)state;
    struct buffer sealed, other, opened;
    buffer_init(&sealed, &memory_heap, 1000);
    buffer_init(&other, &memory_heap, 1000);
    buffer_init(&opened, &memory_heap, 1000);

    secret_seal(TEXT("the answer"), TEXT("the question"), &sealed);
    secret_seal(TEXT("the answer"), TEXT("the question"), &other);

    assert_false(sealed.failed);
    assert_false(text_equal(buffer_text(&sealed), buffer_text(&other)));
    assert_false(secret_unseal(buffer_text(&sealed), TEXT("the questions"), &opened));
    assert_int_equal(opened.size, 0);
    assert_true(secret_unseal(buffer_text(&sealed), TEXT("the question"), &opened));
    assert_text(buffer_text(&opened), "the answer");
    buffer_release(&sealed);
    buffer_release(&other);
    buffer_release(&opened);
}

static void test_a_broken_seal_opens_for_nobody(void **state)
{
    (void)state;
    struct buffer sealed, opened;
    buffer_init(&sealed, &memory_heap, 1000);
    buffer_init(&opened, &memory_heap, 1000);
    secret_seal(TEXT("the answer"), TEXT("the question"), &sealed);

    for (size_t i = 0; i < sealed.size; i++) {
        char was = sealed.data[i];
        sealed.data[i] = was == 'A' ? 'B' : 'A';
        assert_false(secret_unseal(buffer_text(&sealed), TEXT("the question"), &opened));
        sealed.data[i] = was;
        struct text cut = { sealed.data, i };
        assert_false(secret_unseal(cut, TEXT("the question"), &opened));
    }
    assert_true(secret_unseal(buffer_text(&sealed), TEXT("the question"), &opened));
    buffer_release(&sealed);
    buffer_release(&opened);
}

/* ---- rules ---------------------------------------------------------------------------------- */

static void test_a_token_finds_its_rule_and_a_wrong_one_none(void **state)
{
    (void)state;
    struct token_rule rules[3] = { { .name = TEXT("a") },
                                   { .name = TEXT("b") },
                                   { .name = TEXT("c") } };
    secret_hash(TEXT("token of a"), rules[0].hash);
    secret_hash(TEXT("token of b"), rules[1].hash);
    secret_hash(TEXT("token of c"), rules[2].hash);

    assert_ptr_equal(token_find(rules, 3, TEXT("token of a")), &rules[0]);
    assert_ptr_equal(token_find(rules, 3, TEXT("token of b")), &rules[1]);
    assert_ptr_equal(token_find(rules, 3, TEXT("token of c")), &rules[2]);
    assert_null(token_find(rules, 3, TEXT("token of d")));
    assert_null(token_find(rules, 3, TEXT("token of ")));
    assert_null(token_find(rules, 3, TEXT_NONE));
    assert_null(token_find(rules, 0, TEXT("token of a")));
}

static void test_a_token_ends_at_its_instant(void **state)
{
    (void)state;
    const struct token_rule ends = { .expires_at = 1000 }, lasts = { .expires_at = 0 };

    assert_false(token_is_expired(&ends, 999));
    assert_true(token_is_expired(&ends, 1000));
    assert_true(token_is_expired(&ends, 1001));
    assert_false(token_is_expired(&lasts, INT64_MAX));
}

static void test_names_have_few_characters(void **state)
{
    (void)state;
    char longest[TOKEN_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);

    assert_true(token_name_is_sound(TEXT("web-1.A_z")));
    assert_true(token_name_is_sound((struct text){ longest, TOKEN_NAME_MAX }));

    assert_false(token_name_is_sound((struct text){ longest, TOKEN_NAME_MAX + 1 }));
    assert_false(token_name_is_sound(TEXT_NONE));
    assert_false(token_name_is_sound(TEXT("a b")));
    assert_false(token_name_is_sound(TEXT("a\n")));
    assert_false(token_name_is_sound(TEXT("\xc3\xa4")));
}

/* ---- patterns ------------------------------------------------------------------------------- */

static void test_patterns_match_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *key;
        bool matches;
    } table[] = {
        { "web-1", "web-1", true },
        { "web-1", "web-10", false },
        { "web-1", "web-", false },
        { "web-1", "WEB-1", false },
        { "*", "", true },
        { "*", "anything", true },
        { "**", "x", true },
        { "web-*", "web-", true },
        { "web-*", "web-12", true },
        { "web-*", "xweb-12", false },
        { "*-1", "web-1", true },
        { "*-1", "web-11", false },
        { "*-1", "web-1-1", true },
        { "a*b*c", "abc", true },
        { "a*b*c", "aXbYbZc", true },
        { "a*b*c", "aXbYcZ", false },
        { "web-?", "web-1", true },
        { "web-?", "web-", false },
        { "web-?", "web-10", false },
        { "?", "\xc3\xa4", true },
        { "??", "\xc3\xa4", false },
        { "?*", "", false },
        { "10.0.*", "10.0.0.1", true },
        { "fd00::*", "fd00::1", true },
        { "a.c", "abc", false },
        { "*a*a*a", "aaa", true },
        { "*a*a*a*a", "aaa", false },
        { "", "", true },
        { "", "a", false },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (pattern_matches(text_from(table[i].pattern), text_from(table[i].key)) !=
            table[i].matches)
            fail_msg("%s on %s", table[i].pattern, table[i].key);
}

/* With going back to every star this would take longer than the universe has. */
static void test_a_nasty_pattern_takes_no_time(void **state)
{
    (void)state;
    char pattern[TOKEN_PATTERN_MAX], key[253];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    memset(key, 'a', sizeof key);
    key[sizeof key - 1] = 'b';
    pattern[sizeof pattern - 1] = 'c';

    assert_false(pattern_matches((struct text){ pattern, sizeof pattern },
                                 (struct text){ key, sizeof key }));
}

static void test_patterns_of_other_languages_are_refused(void **state)
{
    (void)state;
    static const char *const table[] = { "",     "web-[0-9]", "web-{a,b}", "web-\\*",
                                         "a\nb", "\xff",      "}" };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct err err = { .code = ERR_NONE };

        assert_false(pattern_check(text_from(table[i]), &err));

        assert_int_equal(err.code, ERR_INVALID);
    }
    assert_true(pattern_check(TEXT("web-*.\xc3\xa4?"), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_hash_is_that_of_sha256sum),
        cmocka_unit_test(test_hex_reads_back_in_both_letter_cases),
        cmocka_unit_test(test_what_is_no_hex_is_refused_and_leaves_the_hash),
        cmocka_unit_test(test_made_secrets_differ_and_say_what_they_are),
        cmocka_unit_test(test_only_the_same_phrase_opens_a_seal),
        cmocka_unit_test(test_a_broken_seal_opens_for_nobody),
        cmocka_unit_test(test_a_token_finds_its_rule_and_a_wrong_one_none),
        cmocka_unit_test(test_a_token_ends_at_its_instant),
        cmocka_unit_test(test_names_have_few_characters),
        cmocka_unit_test(test_patterns_match_what_they_say),
        cmocka_unit_test(test_a_nasty_pattern_takes_no_time),
        cmocka_unit_test(test_patterns_of_other_languages_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
