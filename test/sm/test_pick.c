/* SPDX-License-Identifier: Apache-2.0
 * test_pick.c - the row that answers an event, by scan and by index. */
#include "random_machine.h"
#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define GUARD(id) SM_SET(SM_IS(sample_guard, id))

static const struct sm_row *pick(uint64_t answers, enum sample_state state, enum sample_event event)
{
    return sm_pick(&sample_machine, state, event, random_guard_holds, &answers);
}

static void test_the_first_row_whose_guard_holds_is_followed(void **unused)
{
    (void)unused;

    const struct sm_row *last = pick(GUARD(SAMPLE_LAST), SAMPLE_RUNNING, SAMPLE_STEP_OK);
    const struct sm_row *other = pick(0, SAMPLE_RUNNING, SAMPLE_STEP_OK);

    assert_ptr_equal(last, &sample_machine.rows[2]);
    assert_ptr_equal(other, &sample_machine.rows[3]);
}

static void test_an_event_without_a_row_is_refused(void **unused)
{
    (void)unused;

    assert_null(pick(UINT64_MAX, SAMPLE_DONE, SAMPLE_START));
    assert_null(pick(UINT64_MAX, SAMPLE_DRAFT, SAMPLE_RESUME));
}

static void test_an_event_is_refused_when_no_guard_holds(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        SM_ROW(sample, SAMPLE_DRAFT, SAMPLE_START, SAMPLE_RETRY, SAMPLE_RUNNING, 0),
    };
    struct sm_machine machine = sample_machine;
    machine.rows = rows;
    machine.row_count = 1;
    uint64_t none = 0, retry = GUARD(SAMPLE_RETRY);

    assert_null(sm_pick(&machine, SAMPLE_DRAFT, SAMPLE_START, random_guard_holds, &none));
    assert_ptr_equal(sm_pick(&machine, SAMPLE_DRAFT, SAMPLE_START, random_guard_holds, &retry),
                     rows);
}

static void test_a_refusing_row_refuses_and_match_tells_its_guard(void **unused)
{
    (void)unused;
    uint64_t locked = GUARD(SAMPLE_LOCKED);

    const struct sm_row *row =
        sm_match(&sample_machine, SAMPLE_DRAFT, SAMPLE_START, random_guard_holds, &locked);

    assert_null(pick(locked, SAMPLE_DRAFT, SAMPLE_START));
    assert_int_equal(row->when, SAMPLE_LOCKED);
}

static void test_a_staying_row_keeps_the_state(void **unused)
{
    (void)unused;

    const struct sm_row *retry = pick(GUARD(SAMPLE_RETRY), SAMPLE_RUNNING, SAMPLE_STEP_BAD);
    const struct sm_row *failure = pick(0, SAMPLE_RUNNING, SAMPLE_STEP_BAD);

    assert_int_equal(sm_target(retry, SAMPLE_RUNNING), SAMPLE_RUNNING);
    assert_int_equal(sm_target(failure, SAMPLE_RUNNING), SAMPLE_FAILED);
}

static void test_unguarded_pairs_need_no_guard_function(void **unused)
{
    (void)unused;

    const struct sm_row *row = sm_pick(&sample_machine, SAMPLE_RUNNING, SAMPLE_PAUSE, NULL, NULL);

    assert_int_equal(row->to, SAMPLE_ON_HOLD);
}

static void assert_same_picks(struct random_machine *made, const uint16_t *cells)
{
    struct sm_machine indexed = made->machine;
    indexed.index = cells;
    for (unsigned state = 0; state < indexed.states.count; state++) {
        for (unsigned event = 0; event < indexed.events.count; event++) {
            uint64_t answers = random_next(&made->random);
            assert_ptr_equal(sm_pick(&made->machine, state, event, random_guard_holds, &answers),
                             sm_pick(&indexed, state, event, random_guard_holds, &answers));
            assert_ptr_equal(sm_match(&made->machine, state, event, random_guard_holds, &answers),
                             sm_match(&indexed, state, event, random_guard_holds, &answers));
        }
    }
}

static void test_index_and_scan_pick_the_same_rows_of_random_machines(void **unused)
{
    (void)unused;
    static const struct random_size sizes[] = { { 3, 3, 4, 40 },
                                                { 12, 12, 8, 300 },
                                                { 64, 64, 64, 1024 } };
    static const unsigned machines[] = { 1000, 100, 5 };
    static struct random_machine made = { .random = 1 };
    static uint16_t cells[SM_INDEX_CELLS(64, 64, SM_ROWS_MAX)];

    for (size_t size = 0; size < 3; size++) {
        for (unsigned i = 0; i < machines[size]; i++) {
            random_machine_init(&made, sizes[size]);
            assert_true(sm_index_init(&made.machine, cells, sizeof cells / sizeof cells[0]));
            assert_same_picks(&made, cells);
        }
    }
}

static void test_an_index_fills_exactly_the_cells_it_asks_for(void **unused)
{
    (void)unused;
    enum { CELLS = SM_INDEX_CELLS(sample_state_count, sample_event_count, 8) };
    uint16_t cells[CELLS + 1];
    memset(cells, 0xab, sizeof cells);
    assert_int_equal(sample_machine.row_count, 8);

    assert_false(sm_index_init(&sample_machine, cells, CELLS - 1));
    assert_int_equal(cells[0], 0xabab);
    assert_true(sm_index_init(&sample_machine, cells, CELLS));

    for (size_t i = 0; i < CELLS; i++)
        assert_true(cells[i] < 8 || cells[i] == UINT16_MAX);
    assert_int_equal(cells[CELLS], 0xabab);
}

static void test_a_table_with_unknown_words_gets_no_index(void **unused)
{
    (void)unused;
    struct sm_row rows[] = { { sample_state_count, 0, 0, 0, 0 } };
    struct sm_machine machine = sample_machine;
    uint16_t cells[128];
    machine.rows = rows;
    machine.row_count = 1;

    assert_false(sm_index_init(&machine, cells, 128));
    rows[0] = (struct sm_row){ 0, sample_event_count, 0, 0, 0 };
    assert_false(sm_index_init(&machine, cells, 128));
    rows[0] = (struct sm_row){ 0, 0, 0, 0, 0 };
    machine.row_count = SM_ROWS_MAX + 1;
    assert_false(sm_index_init(&machine, cells, SIZE_MAX));
    machine.row_count = 1;
    assert_true(sm_index_init(&machine, cells, 128));
}

static void test_a_word_is_found_by_its_exact_text(void **unused)
{
    (void)unused;
    const struct sm_words *states = &sample_machine.states;

    assert_int_equal(sm_word_find(states, "running", 7), SAMPLE_RUNNING);
    assert_int_equal(sm_word_find(states, "on-hold", 7), SAMPLE_ON_HOLD);
    assert_int_equal(sm_word_find(states, "runningx", 7), SAMPLE_RUNNING);
    assert_int_equal(sm_word_find(states, "Running", 7), -1);
    assert_int_equal(sm_word_find(states, "running", 6), -1);
    assert_int_equal(sm_word_find(states, "running\0", 8), -1);
    assert_int_equal(sm_word_find(states, NULL, 0), -1);
}

static void test_a_number_outside_the_list_has_no_word(void **unused)
{
    (void)unused;

    assert_string_equal(sm_word_at(&sample_machine.states, SAMPLE_FAILED), "failed");
    assert_string_equal(sm_word_at(&sample_machine.states, sample_state_count), "?");
    assert_string_equal(sm_target_word(&sample_machine, &sample_machine.rows[0]), "refuse");
    assert_string_equal(sm_target_word(&sample_machine, &sample_machine.rows[4]), "stay");
    assert_string_equal(sm_target_word(&sample_machine, &sample_machine.rows[6]), "on-hold");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_row_whose_guard_holds_is_followed),
        cmocka_unit_test(test_an_event_without_a_row_is_refused),
        cmocka_unit_test(test_an_event_is_refused_when_no_guard_holds),
        cmocka_unit_test(test_a_refusing_row_refuses_and_match_tells_its_guard),
        cmocka_unit_test(test_a_staying_row_keeps_the_state),
        cmocka_unit_test(test_unguarded_pairs_need_no_guard_function),
        cmocka_unit_test(test_index_and_scan_pick_the_same_rows_of_random_machines),
        cmocka_unit_test(test_an_index_fills_exactly_the_cells_it_asks_for),
        cmocka_unit_test(test_a_table_with_unknown_words_gets_no_index),
        cmocka_unit_test(test_a_word_is_found_by_its_exact_text),
        cmocka_unit_test(test_a_number_outside_the_list_has_no_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
