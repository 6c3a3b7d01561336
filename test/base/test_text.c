/* SPDX-License-Identifier: Apache-2.0
 * test_text.c - views: comparing, cutting, hashing, UTF-8, numbers. */
#include "base/dice.h"
#include "base/suite.h"

#include <stdlib.h>
#include <string.h>

static void test_a_missing_c_string_is_the_empty_text(void **state)
{
    (void)state;

    assert_true(text_equal(text_from(NULL), TEXT("")));
    assert_null(text_from(NULL).data);
    assert_int_equal(text_from("abc").size, 3);
}

static void test_texts_are_equal_by_bytes_and_size(void **state)
{
    (void)state;

    assert_true(text_equal(TEXT("a\0b"), TEXT("a\0b")));
    assert_false(text_equal(TEXT("a\0b"), TEXT("a\0c")));
    assert_false(text_equal(TEXT("a"), TEXT("ab")));
    assert_true(text_equal(TEXT_NONE, TEXT_NONE));
}

static void test_case_is_ignored_for_ascii_letters_only(void **state)
{
    (void)state;

    assert_true(text_equal_nocase(TEXT("Content-Type"), TEXT("cONTENT-tYPE")));
    assert_false(text_equal_nocase(TEXT("@"), TEXT("`")));
    assert_false(text_equal_nocase(TEXT("["), TEXT("{")));
    assert_false(text_equal_nocase(TEXT("\xc3\x84"), TEXT("\xc3\xa4")));
    assert_false(text_equal_nocase(TEXT("a"), TEXT("ab")));
}

static void test_a_prefix_sorts_first(void **state)
{
    (void)state;

    assert_true(text_compare(TEXT("web"), TEXT("web-1")) < 0);
    assert_true(text_compare(TEXT("web-1"), TEXT("web")) > 0);
    assert_true(text_compare(TEXT(""), TEXT("a")) < 0);
    assert_int_equal(text_compare(TEXT("same"), TEXT("same")), 0);
}

static void test_bytes_sort_as_unsigned(void **state)
{
    (void)state;

    assert_true(text_compare(TEXT("\x7f"), TEXT("\x80")) < 0);
    assert_true(text_compare(TEXT("web-10"), TEXT("web-9")) < 0);
}

static void test_beginnings_and_ends_are_found(void **state)
{
    (void)state;

    assert_true(text_starts_with(TEXT("instance/web"), TEXT("instance/")));
    assert_false(text_starts_with(TEXT("inst"), TEXT("instance/")));
    assert_true(text_starts_with(TEXT_NONE, TEXT("")));
    assert_true(text_ends_with(TEXT("a.json"), TEXT(".json")));
    assert_false(text_ends_with(TEXT("json"), TEXT(".json")));
    assert_true(text_ends_with(TEXT("x"), TEXT_NONE));
}

static void test_trimming_takes_blanks_from_both_sides_only(void **state)
{
    (void)state;

    assert_text(text_trim(TEXT(" \t\r\n a b \n")), "a b");
    assert_text(text_trim(TEXT(" \t ")), "");
    assert_text(text_trim(TEXT_NONE), "");
}

static void test_skipping_stops_at_the_end(void **state)
{
    (void)state;

    assert_text(text_skip(TEXT("abc"), 1), "bc");
    assert_text(text_skip(TEXT("abc"), 99), "");
    assert_text(text_skip(TEXT_NONE, 1), "");
}

static void test_a_missing_byte_is_found_at_the_end(void **state)
{
    (void)state;

    assert_int_equal(text_find(TEXT("a=b=c"), '='), 1);
    assert_int_equal(text_find(TEXT("abc"), '='), 3);
    assert_int_equal(text_find(TEXT_NONE, '='), 0);
}

static void test_a_trailing_separator_makes_an_empty_last_part(void **state)
{
    struct text rest = TEXT("a,"), part = TEXT("untouched");
    (void)state;

    assert_true(text_cut(&rest, ',', &part));
    assert_text(part, "a");
    assert_true(text_cut(&rest, ',', &part));
    assert_text(part, "");
    part = TEXT("untouched");

    assert_false(text_cut(&rest, ',', &part));
    assert_text(part, "untouched");
}

static void test_an_empty_text_is_one_empty_part(void **state)
{
    struct text rest = TEXT(""), part = TEXT("untouched");
    (void)state;

    assert_true(text_cut(&rest, ',', &part));

    assert_text(part, "");
    assert_false(text_cut(&rest, ',', &part));
}

static void test_a_hash_is_the_same_on_every_machine(void **state)
{
    char long_text[200];
    (void)state;
    for (size_t i = 0; i < sizeof long_text; i++)
        long_text[i] = (char)(i * 7);

    assert_true(text_hash(TEXT(""), 0) == 0xda0c97099d53d91au);
    assert_true(text_hash(TEXT("abc"), 1) == 0xc588f0e15369ba95u);
    assert_true(text_hash(TEXT("instance/web-01"), 42) == 0x617514636e5c8ed3u);
    assert_true(text_hash((struct text){ long_text, sizeof long_text }, 7) == 0xbcfde887bf0908f2u);
}

static void test_a_hash_does_not_read_outside_its_text(void **state)
{
    struct dice dice = { 1 };
    (void)state;

    /* Exact allocations: the sanitizers see a step aside; the copy at an odd address must agree. */
    for (size_t size = 1; size < 150; size++) {
        char *exact = malloc(size), *shifted = malloc(size + 1);
        assert_true(exact && shifted);
        for (size_t i = 0; i < size; i++)
            exact[i] = shifted[i + 1] = (char)dice_next(&dice);

        assert_true(text_hash((struct text){ exact, size }, 5) ==
                    text_hash((struct text){ shifted + 1, size }, 5));
        free(exact);
        free(shifted);
    }
}

/* How often each of 64 output bits changes when one input bit does, over many texts of one size. */
static void measure_avalanche(struct dice *dice, size_t size, unsigned trials, unsigned *changes)
{
    unsigned char bytes[100];
    for (unsigned trial = 0; trial < trials; trial++) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)dice_next(dice);
        struct text t = { (const char *)bytes, size };
        uint64_t before = text_hash(t, 3);
        uint32_t bit = dice_roll(dice, (uint32_t)size * 8);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        uint64_t changed = before ^ text_hash(t, 3);
        for (unsigned i = 0; i < 64; i++)
            changes[i] += (unsigned)(changed >> i & 1);
    }
}

static void test_one_changed_bit_changes_half_of_the_hash(void **state)
{
    static const size_t sizes[] = { 1, 3, 4, 7, 8, 12, 16, 17, 32, 48, 49, 64, 97 };
    struct dice dice = { 2 };
    (void)state;

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        unsigned changes[64] = { 0 };
        measure_avalanche(&dice, sizes[s], 4000, changes);
        for (unsigned i = 0; i < 64; i++)
            assert_in_range(changes[i], 4000 * 45 / 100, 4000 * 55 / 100);
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static void test_a_hundred_thousand_names_hash_differently(void **state)
{
    enum { COUNT = 100000 };
    uint64_t *hashes = calloc(COUNT, sizeof *hashes);
    (void)state;
    assert_non_null(hashes);
    for (unsigned i = 0; i < COUNT; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "host-%u.example", i);
        hashes[i] = text_hash((struct text){ name, (size_t)size }, 0);
    }

    qsort(hashes, COUNT, sizeof *hashes, compare_u64);

    for (unsigned i = 1; i < COUNT; i++)
        assert_true(hashes[i - 1] != hashes[i]);
    free(hashes);
}

static void test_zero_bytes_and_the_seed_count_in_a_hash(void **state)
{
    static const char zeros[120];
    (void)state;

    for (size_t a = 0; a < sizeof zeros; a++)
        for (size_t b = 0; b < a; b++)
            assert_true(text_hash((struct text){ zeros, a }, 0) !=
                        text_hash((struct text){ zeros, b }, 0));
    assert_true(text_hash(TEXT("abc"), 1) != text_hash(TEXT("abc"), 2));
}

static void test_well_formed_utf8_passes(void **state)
{
    static const char *const good[] = {
        "",
        "plain ASCII, longer than eight bytes",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x9a\x80 and more text behind",
    };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(text_is_utf8(text_from(good[i])));
    assert_true(text_is_utf8(TEXT_NONE));
    assert_true(text_is_utf8(TEXT("a\0b")));
}

static void test_malformed_utf8_is_refused(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xbf", /* continuation alone */
        "\xc0\x80",
        "\xc1\xbf", /* overlong, two bytes */
        "\xe0\x80\x80",
        "\xe0\x9f\xbf", /* overlong, three */
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", /* overlong, four */
        "\xed\xa0\x80",
        "\xed\xbf\xbf", /* surrogates */
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", /* over U+10FFFF */
        "\xfe",
        "\xff", /* never */
        "\xc3",
        "\xe2\x82", /* cut short */
        "\xf0\x9f\x9a",
        "\xc3\x28", /* no continuation */
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
        "\xf0\x9f\x28\x80",
        "\xf0\x9f\x9a\x28",
        "12345678\xff",
        "1234567\xc3",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (text_is_utf8(text_from(bad[i])))
            fail_msg("text %zu passed", i);
}

/* The definition, the slow way: decodes the bits, then judges the code point. */
static size_t model_utf8_size(const unsigned char *bytes, size_t size)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t want = bytes[0] < 0x80   ? 1
                  : bytes[0] < 0xc0 ? 0
                  : bytes[0] < 0xe0 ? 2
                  : bytes[0] < 0xf0 ? 3
                  : bytes[0] < 0xf8 ? 4
                                    : 0;
    if (want <= 1 || want > size)
        return want == 1;
    uint32_t point = bytes[0] & (0xffu >> (want + 1));
    for (size_t i = 1; i < want; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    bool is_surrogate = point >= 0xd800 && point < 0xe000;
    return point < least[want] || point > 0x10ffff || is_surrogate ? 0 : want;
}

static void test_every_start_of_a_character_is_judged_by_the_definition(void **state)
{
    static const unsigned char edges[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0 };
    (void)state;

    for (unsigned pair = 0; pair < 0x10000; pair++)
        for (size_t e = 0; e < 25; e++) {
            unsigned char bytes[4] = { (unsigned char)(pair >> 8), (unsigned char)pair,
                                       edges[e / 5], edges[e % 5] };
            for (size_t size = 1; size <= 4; size++)
                if (text_utf8_size((struct text){ (const char *)bytes, size }) !=
                    model_utf8_size(bytes, size))
                    fail_msg("%02x %02x %02x %02x, %zu bytes", bytes[0], bytes[1], bytes[2],
                             bytes[3], size);
        }
    assert_int_equal(text_utf8_size(TEXT_NONE), 0);
}

static void test_control_bytes_are_not_printable(void **state)
{
    (void)state;

    assert_true(text_is_printable(TEXT(" ~\xc3\xbc")));
    assert_true(text_is_printable(TEXT_NONE));
    assert_false(text_is_printable(TEXT("a\nb")));
    assert_false(text_is_printable(TEXT("a\0b")));
    assert_false(text_is_printable(TEXT("\x1f")));
    assert_false(text_is_printable(TEXT("\x7f")));
}

static void test_numbers_are_read_up_to_their_maximum(void **state)
{
    uint64_t value = 0;
    (void)state;

    assert_true(text_to_u64(TEXT("0"), 0, &value) && value == 0);
    assert_true(text_to_u64(TEXT("65535"), 65535, &value) && value == 65535);
    assert_true(text_to_u64(TEXT("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
}

static void test_other_forms_of_numbers_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "00",
                                       "01",
                                       "+1",
                                       "-1",
                                       " 1",
                                       "1 ",
                                       "1.0",
                                       "1e",
                                       "x",
                                       "0x1",
                                       "18446744073709551616",
                                       "99999999999999999999999" };
    uint64_t value = 7;
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(text_to_u64(text_from(bad[i]), UINT64_MAX, &value));
    assert_false(text_to_u64(TEXT("65536"), 65535, &value));
    assert_false(text_to_u64(TEXT_NONE, 10, &value));
    assert_int_equal(value, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_missing_c_string_is_the_empty_text),
        cmocka_unit_test(test_texts_are_equal_by_bytes_and_size),
        cmocka_unit_test(test_case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(test_a_prefix_sorts_first),
        cmocka_unit_test(test_bytes_sort_as_unsigned),
        cmocka_unit_test(test_beginnings_and_ends_are_found),
        cmocka_unit_test(test_trimming_takes_blanks_from_both_sides_only),
        cmocka_unit_test(test_skipping_stops_at_the_end),
        cmocka_unit_test(test_a_missing_byte_is_found_at_the_end),
        cmocka_unit_test(test_a_trailing_separator_makes_an_empty_last_part),
        cmocka_unit_test(test_an_empty_text_is_one_empty_part),
        cmocka_unit_test(test_a_hash_is_the_same_on_every_machine),
        cmocka_unit_test(test_a_hash_does_not_read_outside_its_text),
        cmocka_unit_test(test_one_changed_bit_changes_half_of_the_hash),
        cmocka_unit_test(test_a_hundred_thousand_names_hash_differently),
        cmocka_unit_test(test_zero_bytes_and_the_seed_count_in_a_hash),
        cmocka_unit_test(test_well_formed_utf8_passes),
        cmocka_unit_test(test_malformed_utf8_is_refused),
        cmocka_unit_test(test_every_start_of_a_character_is_judged_by_the_definition),
        cmocka_unit_test(test_control_bytes_are_not_printable),
        cmocka_unit_test(test_numbers_are_read_up_to_their_maximum),
        cmocka_unit_test(test_other_forms_of_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
