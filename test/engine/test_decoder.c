/* SPDX-License-Identifier: Apache-2.0
 * test_decoder.c - stored instances come into the fleet in order, whoever decodes them. */
#include "engine/decoder.h"

#include "base/suite.h"
#include "wire/record.h"

#include <stdio.h>
#include <string.h>

#define RECORDS 5000u /* many times the ring */

struct pair {
    char key[32], value[160];
};

static void write_pair(unsigned i, struct pair *ret)
{
    snprintf(ret->key, sizeof ret->key, "instance/web-%05u", i);
    snprintf(ret->value, sizeof ret->value,
             "{\"name\":\"web-%05u\",\"labels\":{\"zone\":\"z%u\"},\"status\":\"HEALTHY\","
             "\"online\":true,\"current_state\":{\"code_version\":\"1.%u\"},"
             "\"registered_at\":1,\"changed_index\":1}",
             i, i % 7, i % 3);
}

static void open_fleet(struct fleet *fleet)
{
    assert_true(fleet_init(fleet, &memory_heap, &fleet_settings_default, 7, NULL));
}

/* Gives `count` records, of which number `damaged` cannot be read. */
static bool load(struct fleet *fleet, bool has_thread, unsigned count, unsigned damaged,
                 struct err *err)
{
    struct decoder *decoder = decoder_new(fleet, has_thread);
    bool loaded = true;
    assert_non_null(decoder);
    for (unsigned i = 0; i < count && loaded; i++) {
        struct pair pair;
        write_pair(i, &pair);
        if (i == damaged)
            pair.value[10] = '\0';
        loaded =
            decoder_take(decoder, text_from(pair.key),
                         (struct text){ pair.value, strlen(pair.value) + (i == damaged) }, err);
    }
    loaded = loaded && decoder_drain(decoder, err);
    decoder_free(decoder);
    return loaded;
}

static void check_all(bool has_thread, unsigned count)
{
    struct fleet fleet;
    struct err err = { .code = ERR_NONE };
    struct buffer stored;
    open_fleet(&fleet);

    assert_true(load(&fleet, has_thread, count, UINT32_MAX, &err));

    assert_int_equal(fleet.instance_count, count);
    assert_false(fleet_is_dirty(&fleet));
    buffer_init(&stored, &memory_heap, 4096);
    for (unsigned i = 0; i < count; i++) {
        struct pair pair;
        write_pair(i, &pair);
        buffer_clear(&stored);
        wire_store_instance(&stored, &fleet, i); /* slots are given in the order of adding */
        assert_string_equal(buffer_c_string(&stored), pair.value);
    }
    buffer_release(&stored);
    fleet_release(&fleet);
}

static void test_every_record_is_added_in_the_order_it_came(void **state)
{
    (void)state;
    static const unsigned counts[] = { 0, 1, 31, 32, 33, 511, 512, 513, RECORDS };

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        check_all(false, counts[i]);
        check_all(true, counts[i]);
    }
}

static void check_damage(bool has_thread, unsigned damaged)
{
    struct fleet fleet;
    struct pair pair;
    struct err err = { .code = ERR_NONE };
    open_fleet(&fleet);
    write_pair(damaged, &pair);

    assert_false(load(&fleet, has_thread, RECORDS, damaged, &err));

    assert_int_equal(err.code, ERR_CORRUPT);
    assert_non_null(strstr(err.text, pair.key));
    assert_int_equal(fleet.instance_count, damaged);
    fleet_release(&fleet);
}

static void test_the_first_damaged_record_is_named_and_nothing_after_it_is_added(void **state)
{
    (void)state;
    static const unsigned places[] = { 0, 31, 32, 700, RECORDS - 1 };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        check_damage(false, places[i]);
        check_damage(true, places[i]);
    }
}

static void test_a_record_that_comes_twice_is_a_damage(void **state)
{
    struct fleet fleet;
    struct pair pair;
    struct err err = { .code = ERR_NONE };
    (void)state;
    open_fleet(&fleet);
    struct decoder *decoder = decoder_new(&fleet, true);
    write_pair(1, &pair);

    bool taken = decoder_take(decoder, text_from(pair.key), text_from(pair.value), &err) &&
                 decoder_take(decoder, text_from(pair.key), text_from(pair.value), &err);

    assert_true(taken);
    assert_false(decoder_drain(decoder, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    decoder_free(decoder);
    fleet_release(&fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_record_is_added_in_the_order_it_came),
        cmocka_unit_test(test_the_first_damaged_record_is_named_and_nothing_after_it_is_added),
        cmocka_unit_test(test_a_record_that_comes_twice_is_a_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
