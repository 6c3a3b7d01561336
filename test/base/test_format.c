/* SPDX-License-Identifier: Apache-2.0
 * test_format.c - times, durations, amounts, addresses, percent-encoding. */
#include "base/cleanup.h"
#include "base/dice.h"
#include "base/format.h"
#include "base/suite.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#define DAY_MS       86400000ll
#define TIME_LAST_MS 253402300799999ll

static void assert_time(int64_t ms, const char *expected)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, 100);
    format_time(&out, ms);
    assert_string_equal(buffer_c_string(&out), expected);
    int64_t back = -1;
    assert_true(parse_time(text_from(expected), &back, NULL));
    assert_true(back == ms);
}

static void test_times_at_the_edges_are_written_and_read(void **state)
{
    (void)state;

    assert_time(0, "1970-01-01T00:00:00.000Z");
    assert_time(1, "1970-01-01T00:00:00.001Z");
    assert_time(DAY_MS - 1, "1970-01-01T23:59:59.999Z");
    assert_time(68169600000, "1972-02-29T00:00:00.000Z");
    assert_time(951782400000, "2000-02-29T00:00:00.000Z");
    assert_time(951868800000, "2000-03-01T00:00:00.000Z");
    assert_time(1709251199999, "2024-02-29T23:59:59.999Z");
    assert_time(1735689599999, "2024-12-31T23:59:59.999Z");
    assert_time(2147483648000, "2038-01-19T03:14:08.000Z");
    assert_time(4107542399999, "2100-02-28T23:59:59.999Z");
    assert_time(4107542400000, "2100-03-01T00:00:00.000Z");
    assert_time(1925028000000, "2031-01-01T10:00:00.000Z");
    assert_time(TIME_LAST_MS, "9999-12-31T23:59:59.999Z");
}

static void test_every_day_until_9999_agrees_with_the_c_library(void **state)
{
    (void)state;

    for (int64_t day = 0; day <= TIME_LAST_MS / DAY_MS; day++) {
        char expected[40], space[40];
        struct tm date;
        time_t seconds = day * 86400 + day % 86400;
        assert_non_null(gmtime_r(&seconds, &date));
        size_t size = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000Z", &date);
        struct buffer out = { .data = space, .capacity = sizeof space, .max = sizeof space - 1 };
        format_time(&out, (int64_t)seconds * 1000);
        if (!text_equal(buffer_text(&out), (struct text){ expected, size }))
            fail_msg("%.*s instead of %s", TEXT_ARG(buffer_text(&out)), expected);
        int64_t back = -1;
        assert_true(parse_time(buffer_text(&out), &back, NULL));
        assert_true(back == (int64_t)seconds * 1000);
    }
}

static void test_other_forms_of_rfc_3339_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01t00:00:00z", 0 },
        { "1970-01-01T00:00:00.5Z", 500 },
        { "1970-01-01T00:00:00.12Z", 120 },
        { "1970-01-01T00:00:00.123999999Z", 123 },
        { "1970-01-01T02:00:00+02:00", 0 },
        { "1969-12-31T23:30:00-00:30", 0 },
        { "1970-01-01T00:00:00-00:00", 0 },
        { "1970-01-02T00:00:00+23:59", 60000 },
        { "2031-01-01T10:00:00.250+02:00", 1925020800250 },
        { "9999-12-31T00:00:00.000-23:59", TIME_LAST_MS + 1 - 60000 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -1;
        struct err err = { 0 };
        if (!parse_time(text_from(good[i].text), &ms, &err))
            fail_msg("%s", err.text);
        assert_true(ms == good[i].ms);
    }
}

static void test_wrong_times_are_refused_and_change_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "2031",
        "2031-01-01",
        "2031-01-01T10:00:00",
        "2031-01-01 10:00:00Z",
        "2031-1-01T10:00:00Z",
        "31-01-01T10:00:00Z",
        "2031-01-01T10:00Z",
        "2031-00-01T10:00:00Z",
        "2031-13-01T10:00:00Z",
        "2031-01-00T10:00:00Z",
        "2031-01-32T10:00:00Z",
        "2031-04-31T10:00:00Z",
        "2031-02-29T10:00:00Z",
        "2100-02-29T10:00:00Z",
        "2024-02-30T10:00:00Z",
        "2031-01-01T24:00:00Z",
        "2031-01-01T10:60:00Z",
        "2031-01-01T10:00:60Z",
        "2031-01-01T10:00:00.Z",
        "2031-01-01T10:00:00.1234567890Z",
        "2031-01-01T10:00:00,5Z",
        "2031-01-01T10:00:00+2:00",
        "2031-01-01T10:00:00+0200",
        "2031-01-01T10:00:00+24:00",
        "2031-01-01T10:00:00+02:60",
        "2031-01-01T10:00:00+02",
        "2031-01-01T10:00:00Z ",
        " 2031-01-01T10:00:00Z",
        "+031-01-01T10:00:00Z",
        "2031-01-01T10:00:00ZZ",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+00:01",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = 77;
        struct err err = { 0 };
        if (parse_time(text_from(bad[i]), &ms, &err))
            fail_msg("\"%s\" passed", bad[i]);
        assert_int_equal(ms, 77);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void test_a_refused_time_is_shown_escaped(void **state)
{
    int64_t ms = 0;
    struct err err = { 0 };
    (void)state;

    assert_false(parse_time(TEXT("2031\n\xff"), &ms, &err));

    assert_string_equal(err.text, "\"2031\\x0a\\xff\" is not a time: use RFC 3339, like "
                                  "2031-01-01T10:00:00Z");
}

static void assert_duration(const char *text, int64_t ms, const char *printed)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    int64_t value = -1;
    struct err err = { 0 };
    buffer_init(&out, &memory_heap, 100);
    if (!parse_duration(text_from(text), &value, &err))
        fail_msg("%s", err.text);
    assert_true(value == ms);
    format_duration(&out, ms);
    assert_string_equal(buffer_c_string(&out), printed);
}

static void test_durations_are_read_and_printed_as_short_as_can_be(void **state)
{
    (void)state;

    assert_duration("500ms", 500, "500ms");
    assert_duration("90s", 90000, "90s");
    assert_duration("1h30m", 5400000, "90m");
    assert_duration("2d", 2 * DAY_MS, "2d");
    assert_duration("48h", 2 * DAY_MS, "2d");
    assert_duration("60s", 60000, "1m");
    assert_duration("3600s", 3600000, "1h");
    assert_duration("1000ms", 1000, "1s");
    assert_duration("1500ms", 1500, "1500ms");
    assert_duration("1d1ms", DAY_MS + 1, "1d1ms");
    assert_duration("1h0m5s", 3605000, "1h5s");
    assert_duration("1h1m1s", 3661000, "3661s");
    assert_duration("1d2h3m4s5ms", 93784005, "93784s5ms");
    assert_duration("0s", 0, "0s");
    assert_duration("0d0h0m0s0ms", 0, "0s");
    assert_duration("30d", DURATION_MAX_MS, "30d");
    assert_duration("2592000000ms", DURATION_MAX_MS, "30d");
}

static void test_wrong_durations_are_refused_and_change_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "5",
        "s",
        "5 s",
        " 5s",
        "5s ",
        "-5s",
        "+5s",
        "1.5h",
        "5S",
        "5sec",
        "1m1h",
        "1s1s",
        "1ms1s",
        "05s",
        "00s",
        "1h30",
        "5msx",
        "5s\n",
        "31d",
        "30d1ms",
        "2592000001ms",
        "721h",
        "99999999999999999999999d",
        "99999999999999999999ms",
        "18446744073709551616s",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = 77;
        struct err err = { 0 };
        if (parse_duration(text_from(bad[i]), &ms, &err))
            fail_msg("\"%s\" passed", bad[i]);
        assert_int_equal(ms, 77);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void test_a_long_duration_is_told_from_a_wrong_one(void **state)
{
    int64_t ms = 0;
    struct err err = { 0 };
    (void)state;

    assert_false(parse_duration(TEXT("31d"), &ms, &err));

    assert_string_equal(err.text, "the duration \"31d\" is longer than 30 days");
}

static void test_printed_durations_read_back_as_the_same(void **state)
{
    static const int64_t steps[] = { 1, 1000, 60000, 3600000, DAY_MS };
    struct dice dice = { 50 };
    (void)state;

    for (unsigned i = 0; i < 20000; i++) {
        char space[40];
        int64_t step = steps[dice_roll(&dice, 5)], back = -1;
        int64_t ms = (int64_t)(dice_next(&dice) % (uint64_t)(DURATION_MAX_MS / step + 1)) * step;
        struct buffer out = { .data = space, .capacity = sizeof space, .max = sizeof space - 1 };
        format_duration(&out, ms);
        assert_true(parse_duration(buffer_text(&out), &back, NULL));
        assert_true(back == ms);
    }
}

static void test_percentages_are_1_to_100(void **state)
{
    static const char *const bad[] = { "",     "%",   "0%",  "101%", "25",    "-1%", "1.5%",
                                       "025%", "5 %", " 5%", "5%%",  "1000%", "x%",  "5%\n" };
    uint32_t value = 7;
    struct err err = { 0 };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(parse_percent(text_from(bad[i]), &value, &err));
    assert_int_equal(value, 7);
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(parse_percent(TEXT("1%"), &value, NULL) && value == 1);
    assert_true(parse_percent(TEXT("25%"), &value, NULL) && value == 25);
    assert_true(parse_percent(TEXT("100%"), &value, NULL) && value == 100);
}

static void test_percentages_round_as_asked(void **state)
{
    const struct amount quarter = { 25, true }, tenth = { 10, true }, all = { 100, true };
    (void)state;

    assert_int_equal(amount_down(quarter, 10), 2);
    assert_int_equal(amount_up(quarter, 10), 3);
    assert_int_equal(amount_down(quarter, 8), 2);
    assert_int_equal(amount_up(quarter, 8), 2);
    assert_int_equal(amount_down(tenth, 9), 1); /* at least 1 */
    assert_int_equal(amount_up(tenth, 9), 1);
    assert_int_equal(amount_up(tenth, 0), 0);
    assert_int_equal(amount_down(tenth, 0), 1);
    assert_int_equal(amount_down(all, UINT32_MAX), UINT32_MAX);
    assert_int_equal(amount_up(all, UINT32_MAX), UINT32_MAX);
}

static void test_percentages_are_exact_for_every_small_total(void **state)
{
    (void)state;

    for (uint32_t percent = 1; percent <= 100; percent++)
        for (uint32_t total = 1; total <= 1000; total++) {
            struct amount amount = { percent, true };
            uint32_t up = amount_up(amount, total), down = amount_down(amount, total);
            assert_true(up * 100 >= total * percent && (up - 1) * 100 < total * percent);
            assert_true(down == 1 || down * 100 <= total * percent);
            assert_true((down + 1) * 100 > total * percent);
        }
}

static void test_a_count_is_itself(void **state)
{
    const struct amount ten = { 10, false }, none = { 0, false };
    (void)state;

    assert_int_equal(amount_down(ten, 3), 10);
    assert_int_equal(amount_up(ten, 3), 10);
    assert_int_equal(amount_down(none, 3), 0);
    assert_int_equal(amount_up(none, 3), 0);
}

static void test_amounts_print_as_they_are_written(void **state)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    (void)state;
    buffer_init(&out, &memory_heap, 100);

    format_amount(&out, (struct amount){ 10, false });
    buffer_add_byte(&out, ' ');
    format_amount(&out, (struct amount){ 25, true });

    assert_string_equal(buffer_c_string(&out), "10 25%");
}

static void test_addresses_of_both_families_are_known(void **state)
{
    static const char *const good[] = { "0.0.0.0",
                                        "192.168.1.254",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "2001:db8::1",
                                        "fe80:0:0:0:1:2:3:4",
                                        "::ffff:10.0.0.1",
                                        "2001:DB8:FFFF:FFFF:FFFF:FFFF:255.255.255.255" };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(is_ip_address(text_from(good[i])));
}

static void test_what_is_no_bare_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:80",
        "0x1.2.3.4",
        "[::1]",
        "::1%eth0",
        ":::",
        "1::2::3",
        "12345::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "::1/64",
        "1.2.3.",
        ":",
        "g::",
        "2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (is_ip_address(text_from(bad[i])))
            fail_msg("\"%s\" passed", bad[i]);
    assert_false(is_ip_address(TEXT_NONE));
    assert_false(is_ip_address(TEXT("1.2.3.4\0")));
}

static bool c_library_knows(const char *address)
{
    unsigned char binary[16];
    return inet_pton(AF_INET, address, binary) == 1 || inet_pton(AF_INET6, address, binary) == 1;
}

/* Takes a byte out, puts one in, or changes one. */
static void edit(struct dice *dice, char *address, size_t *size)
{
    static const char alphabet[] = "0123456789abcdefF:::....g ";
    size_t at = dice_roll(dice, (uint32_t)*size);
    uint32_t kind = dice_roll(dice, 3);
    if (kind == 0 && *size > 1) {
        memmove(address + at, address + at + 1, *size - at);
        --*size;
        return;
    }
    if (kind == 1)
        memmove(address + at + 1, address + at, ++*size - at);
    address[at] = alphabet[dice_roll(dice, sizeof alphabet - 1)];
}

static void test_addresses_agree_with_the_c_library_whatever_is_changed(void **state)
{
    static const char *const seeds[] = { "10.20.30.255",    "1:2:3:4:5:6:7:8", "fe80::1:2",
                                         "::ffff:10.0.0.1", "1:2:3:4:5:6:7::", "0:0::" };
    struct dice dice = { 51 };
    unsigned good = 0, tries = 200000;
    (void)state;

    for (unsigned i = 0; i < tries; i++) {
        char address[40];
        size_t size = (size_t)snprintf(address, sizeof address, "%s", seeds[dice_roll(&dice, 6)]);
        for (uint32_t edits = dice_roll(&dice, 4); edits > 0; edits--)
            edit(&dice, address, &size);
        bool known = c_library_knows(address);
        if (is_ip_address(text_from(address)) != known)
            fail_msg("\"%s\"", address);
        good += known;
    }

    assert_in_range(good, tries / 10, tries - tries / 10);
}

static void test_escapes_are_decoded_once(void **state)
{
    char space[64];
    struct text t = TEXT_NONE;
    (void)state;

    assert_true(percent_decode(TEXT("a%2Fb%2fc+%25%32%35"), space, &t));
    assert_text(t, "a/b/c+%25");
    assert_true(percent_decode(TEXT("%C3%BC\xff"), space, &t));
    assert_text(t, "\xc3\xbc\xff");
    assert_true(percent_decode(TEXT_NONE, space, &t));
    assert_int_equal(t.size, 0);
}

static void test_bad_escapes_and_nul_are_refused(void **state)
{
    static const char *const bad[] = { "%",   "a%",   "%2",  "a%2", "%zz", "%2z",
                                       "%z2", "%%20", "%00", "% 2", "%+2" };
    char space[64];
    struct text t = TEXT("untouched");
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(percent_decode(text_from(bad[i]), space, &t));
    assert_false(percent_decode(TEXT("a\0b"), space, &t));
    assert_text(t, "untouched");
}

static void test_only_unreserved_characters_stay_as_they_are(void **state)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    (void)state;
    buffer_init(&out, &memory_heap, 1000);

    percent_encode(&out, TEXT("AZaz09-._~ /%+\xc3\xbc"));

    assert_string_equal(buffer_c_string(&out), "AZaz09-._~%20%2F%25%2B%C3%BC");
}

static void test_what_was_encoded_decodes_to_itself(void **state)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    char all[255], space[3 * 255];
    struct text t = TEXT_NONE;
    (void)state;
    buffer_init(&out, &memory_heap, 1000);
    for (unsigned i = 0; i < sizeof all; i++)
        all[i] = (char)(i + 1);

    percent_encode(&out, (struct text){ all, sizeof all });

    assert_true(percent_decode(buffer_text(&out), space, &t));
    assert_true(text_equal(t, (struct text){ all, sizeof all }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_at_the_edges_are_written_and_read),
        cmocka_unit_test(test_every_day_until_9999_agrees_with_the_c_library),
        cmocka_unit_test(test_other_forms_of_rfc_3339_are_read),
        cmocka_unit_test(test_wrong_times_are_refused_and_change_nothing),
        cmocka_unit_test(test_a_refused_time_is_shown_escaped),
        cmocka_unit_test(test_durations_are_read_and_printed_as_short_as_can_be),
        cmocka_unit_test(test_wrong_durations_are_refused_and_change_nothing),
        cmocka_unit_test(test_a_long_duration_is_told_from_a_wrong_one),
        cmocka_unit_test(test_printed_durations_read_back_as_the_same),
        cmocka_unit_test(test_percentages_are_1_to_100),
        cmocka_unit_test(test_percentages_round_as_asked),
        cmocka_unit_test(test_percentages_are_exact_for_every_small_total),
        cmocka_unit_test(test_a_count_is_itself),
        cmocka_unit_test(test_amounts_print_as_they_are_written),
        cmocka_unit_test(test_addresses_of_both_families_are_known),
        cmocka_unit_test(test_what_is_no_bare_address_is_refused),
        cmocka_unit_test(test_addresses_agree_with_the_c_library_whatever_is_changed),
        cmocka_unit_test(test_escapes_are_decoded_once),
        cmocka_unit_test(test_bad_escapes_and_nul_are_refused),
        cmocka_unit_test(test_only_unreserved_characters_stay_as_they_are),
        cmocka_unit_test(test_what_was_encoded_decodes_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
