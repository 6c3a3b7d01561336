/* SPDX-License-Identifier: Apache-2.0
 * test_memory.c - the heap as a value, arenas and buffers, each with every request failing once. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/suite.h"

#include <stdalign.h>
#include <string.h>

static void test_the_heap_keeps_the_content_of_a_resized_block(void **state)
{
    (void)state;
    char *block = memory_take_zeroed(&memory_heap, 8);
    assert_non_null(block);
    assert_memory_equal(block, "\0\0\0\0\0\0\0\0", 8);
    memcpy(block, "content", 8);

    block = memory_heap.resize(memory_heap.ctx, block, 8, 100000);

    assert_non_null(block);
    assert_string_equal(block, "content");
    memory_give(&memory_heap, block, 100000);
    memory_give(&memory_heap, NULL, 0);
}

static void test_taking_a_pointer_leaves_null_behind(void **state)
{
    int value = 0, *from = &value;
    (void)state;

    int *to = TAKE_PTR(from);

    assert_ptr_equal(to, &value);
    assert_null(from);
}

static void test_an_arena_gives_zeroed_aligned_blocks_that_do_not_overlap(void **state)
{
    struct faulty_memory faulty;
    struct arena arena;
    struct dice dice = { 3 };
    unsigned char *blocks[500];
    size_t sizes[500];
    (void)state;
    faulty_memory_init(&faulty);
    arena_init(&arena, &faulty.memory, SIZE_MAX);

    for (unsigned i = 0; i < 500; i++) {
        sizes[i] = 1 + dice_roll(&dice, i % 50 ? 200 : 300000);
        blocks[i] = arena_take(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % alignof(max_align_t), 0);
        for (size_t byte = 0; byte < sizes[i]; byte++)
            assert_int_equal(blocks[i][byte], 0);
        memset(blocks[i], (int)i & 0xff, sizes[i]);
    }

    for (unsigned i = 0; i < 500; i++)
        for (size_t byte = 0; byte < sizes[i]; byte++)
            assert_int_equal(blocks[i][byte], i & 0xff);
    arena_release(&arena);
    assert_int_equal(faulty.blocks, 0);
}

static void test_an_arena_hands_out_its_maximum_and_no_more(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, &memory_heap, 100);

    assert_non_null(arena_take(&arena, 100));

    assert_int_equal(arena.used, 100);
    assert_null(arena_take(&arena, 1));
    assert_null(arena_take(&arena, 0));
    arena_clear(&arena);
    assert_null(arena_take(&arena, 101));
    assert_non_null(arena_take(&arena, 1));
    arena_release(&arena);
}

static void test_small_blocks_count_with_their_padding(void **state)
{
    struct arena arena;
    unsigned taken = 0;
    (void)state;
    arena_init(&arena, &memory_heap, 1000);

    while (arena_take(&arena, 1))
        taken++;

    assert_in_range(taken, 1000 / alignof(max_align_t), 1000 / alignof(max_align_t) + 1);
    arena_release(&arena);
}

static void test_a_cleared_arena_reuses_its_first_chunk_and_zeroes_it(void **state)
{
    struct faulty_memory faulty;
    struct arena arena;
    (void)state;
    faulty_memory_init(&faulty);
    arena_init(&arena, &faulty.memory, SIZE_MAX);
    unsigned char *first = arena_take(&arena, 64);
    assert_non_null(first);
    memset(first, 0xff, 64);
    for (unsigned i = 0; i < 100; i++)
        assert_non_null(arena_take(&arena, 1000));

    arena_clear(&arena);

    assert_int_equal(faulty.blocks, 1);
    assert_int_equal(arena.used, 0);
    size_t requests = faulty.requests;
    unsigned char *again = arena_take(&arena, 64);
    assert_ptr_equal(again, first);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(again[i], 0);
    assert_int_equal(faulty.requests, requests);
    arena_release(&arena);
    arena_clear(&arena);
    assert_int_equal(faulty.blocks, 0);
}

static void test_impossible_sizes_fail_like_an_exhausted_heap(void **state)
{
    struct faulty_memory faulty;
    struct arena arena;
    (void)state;
    faulty_memory_init(&faulty);
    arena_init(&arena, &faulty.memory, SIZE_MAX);

    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX - 32));
    assert_null(arena_take_array(&arena, SIZE_MAX / 2, 3));

    assert_int_equal(faulty.requests, 0);
    assert_non_null(arena_take_array(&arena, 0, 8));
    assert_non_null(arena_take_array(&arena, 10, 8));
    arena_release(&arena);
}

static void test_a_failed_chunk_leaves_the_arena_as_it_was(void **state)
{
    struct faulty_memory faulty;
    struct arena arena;
    struct text copy = TEXT("untouched");
    (void)state;
    faulty_memory_init(&faulty);
    arena_init(&arena, &faulty.memory, SIZE_MAX);
    faulty_memory_fail(&faulty, 1, false);

    assert_false(arena_copy(&arena, TEXT("abc"), &copy));

    assert_text(copy, "untouched");
    assert_int_equal(arena.used, 0);
    assert_true(arena_copy(&arena, TEXT("abc"), &copy));
    assert_string_equal(copy.data, "abc");
    assert_int_equal(copy.size, 3);
    assert_true(arena_copy(&arena, TEXT_NONE, &copy));
    assert_string_equal(copy.data, "");
    arena_release(&arena);
}

static void write_everything(struct buffer *buffer)
{
    buffer_add(buffer, TEXT("a text, "));
    buffer_add(buffer, TEXT_NONE);
    buffer_add_i64(buffer, INT64_MIN);
    buffer_add_byte(buffer, ' ');
    buffer_add_i64(buffer, -7);
    buffer_add_byte(buffer, ' ');
    buffer_add_u64(buffer, UINT64_MAX);
    buffer_add_byte(buffer, ' ');
    buffer_add_padded(buffer, 42, 5);
    buffer_add_padded(buffer, 12345, 2);
    buffer_add_padded(buffer, 0, 0);
    buffer_printf(buffer, " %s=%d %s", "x", 5, "and a longer tail that makes it grow once more");
    char *room = buffer_reserve(buffer, 3);
    if (room)
        memcpy(room, "end", 3);
}

#define EVERYTHING                                                                                 \
    "a text, -9223372036854775808 -7 18446744073709551615 00042123450 x=5 "                        \
    "and a longer tail that makes it grow once moreend"

static void test_a_buffer_writes_texts_and_numbers(void **state)
{
    cleanup(buffer_release) struct buffer buffer = { 0 };
    (void)state;
    buffer_init(&buffer, &memory_heap, SIZE_MAX);

    write_everything(&buffer);

    assert_false(buffer.failed);
    assert_text(buffer_text(&buffer), EVERYTHING);
    assert_string_equal(buffer_c_string(&buffer), EVERYTHING);
}

static void test_a_buffer_takes_its_maximum_and_fails_at_one_byte_more(void **state)
{
    struct faulty_memory faulty;
    (void)state;
    faulty_memory_init(&faulty);

    for (size_t max = 0; max < 200; max++) {
        struct buffer buffer;
        buffer_init(&buffer, &faulty.memory, max);
        for (size_t i = 0; i < max; i++)
            buffer_add_byte(&buffer, 'x');
        assert_false(buffer.failed);
        assert_int_equal(strlen(buffer_c_string(&buffer)), max);
        assert_true(faulty.bytes <= max + 1);
        buffer_add_byte(&buffer, 'y');
        assert_true(buffer.failed);
        assert_string_equal(buffer_c_string(&buffer), "");
        buffer_release(&buffer);
    }
    assert_int_equal(faulty.blocks, 0);
}

static void test_a_failure_sticks_until_the_buffer_is_cleared(void **state)
{
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, &memory_heap, 4);
    buffer_add(&buffer, TEXT("ab"));

    buffer_add(&buffer, TEXT("too long"));
    buffer_add(&buffer, TEXT("c"));

    assert_true(buffer.failed);
    assert_int_equal(buffer.size, 2);
    assert_null(buffer_reserve(&buffer, 0));
    buffer_clear(&buffer);
    buffer_add(&buffer, TEXT("abcd"));
    assert_string_equal(buffer_c_string(&buffer), "abcd");
    buffer_release(&buffer);
}

static void test_every_failing_request_makes_a_buffer_fail_and_nothing_leaks(void **state)
{
    struct faulty_memory faulty;
    bool failed = true;
    (void)state;
    faulty_memory_init(&faulty);

    for (size_t n = 1; failed; n++) {
        cleanup(buffer_release) struct buffer buffer = { 0 };
        buffer_init(&buffer, &faulty.memory, 1000);
        faulty_memory_fail(&faulty, n, false);
        size_t failures = faulty.failures;
        write_everything(&buffer);
        failed = buffer.failed;
        assert_int_equal(failed, faulty.failures > failures);
        assert_string_equal(buffer_c_string(&buffer), failed ? "" : EVERYTHING);
        assert_true(n < 10);
    }

    assert_true(faulty.failures >= 2);
    assert_int_equal(faulty.blocks, 0);
}

static void test_an_unused_buffer_is_an_empty_text(void **state)
{
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, &memory_heap, 10);

    assert_int_equal(buffer_text(&buffer).size, 0);
    assert_string_equal(buffer_c_string(&buffer), "");
    buffer_release(&buffer);
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_heap_keeps_the_content_of_a_resized_block),
        cmocka_unit_test(test_taking_a_pointer_leaves_null_behind),
        cmocka_unit_test(test_an_arena_gives_zeroed_aligned_blocks_that_do_not_overlap),
        cmocka_unit_test(test_an_arena_hands_out_its_maximum_and_no_more),
        cmocka_unit_test(test_small_blocks_count_with_their_padding),
        cmocka_unit_test(test_a_cleared_arena_reuses_its_first_chunk_and_zeroes_it),
        cmocka_unit_test(test_impossible_sizes_fail_like_an_exhausted_heap),
        cmocka_unit_test(test_a_failed_chunk_leaves_the_arena_as_it_was),
        cmocka_unit_test(test_a_buffer_writes_texts_and_numbers),
        cmocka_unit_test(test_a_buffer_takes_its_maximum_and_fails_at_one_byte_more),
        cmocka_unit_test(test_a_failure_sticks_until_the_buffer_is_cleared),
        cmocka_unit_test(test_every_failing_request_makes_a_buffer_fail_and_nothing_leaks),
        cmocka_unit_test(test_an_unused_buffer_is_an_empty_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
