/* SPDX-License-Identifier: Apache-2.0
 * test_crc32c.c - published vectors, and three implementations against each other. */
#include "base/crc32c.h"
#include "base/dice.h"
#include "base/suite.h"

#include <string.h>

typedef uint32_t crc_fn(uint32_t crc, const void *data, size_t size);

/* The definition, one bit at a time. */
static uint32_t crc_by_bit(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void check_vectors(crc_fn *crc)
{
    unsigned char bytes[32];
    assert_int_equal(crc(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc(0, "", 0), 0);
    memset(bytes, 0x00, sizeof bytes);
    assert_int_equal(crc(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc(0, bytes, sizeof bytes), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(crc(0, bytes, sizeof bytes), 0x46dd794e);
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(crc(0, bytes, sizeof bytes), 0x113fdb5c);
}

static void test_the_vectors_of_rfc_3720_come_out(void **state)
{
    (void)state;

    check_vectors(crc_by_bit);
    check_vectors(crc32c_by_table);
    check_vectors(crc32c);
}

static void test_all_ways_agree_at_every_size_and_alignment(void **state)
{
    unsigned char bytes[600];
    struct dice dice = { 4 };
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)dice_next(&dice);

    for (size_t size = 0; size <= 500; size++) {
        const unsigned char *at = bytes + size % 17;
        uint32_t start = (uint32_t)dice_next(&dice), expected = crc_by_bit(start, at, size);
        assert_int_equal(crc32c_by_table(start, at, size), expected);
        assert_int_equal(crc32c(start, at, size), expected);
    }
}

static void test_one_call_continues_another(void **state)
{
    unsigned char bytes[100];
    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 3);
    uint32_t whole = crc32c(0, bytes, sizeof bytes);

    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        size_t rest = sizeof bytes - cut;
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, rest), whole);
        assert_int_equal(crc32c_by_table(crc32c(0, bytes, cut), bytes + cut, rest), whole);
    }
}

static void test_every_single_bit_error_is_seen(void **state)
{
    unsigned char bytes[64] = "a record of the journal";
    (void)state;
    uint32_t right = crc32c(0, bytes, sizeof bytes);

    for (unsigned bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, bytes, sizeof bytes), right);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_of_rfc_3720_come_out),
        cmocka_unit_test(test_all_ways_agree_at_every_size_and_alignment),
        cmocka_unit_test(test_one_call_continues_another),
        cmocka_unit_test(test_every_single_bit_error_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
