/* SPDX-License-Identifier: Apache-2.0
 * test_check.c - one planted fault per code is found, alone, with its severity and its witness. */
#include "findings.h"
#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Words to plant faults among; each machine takes as many of each list as it needs. */
/* clang-format off */
#define PLANT_STATES(X, T) \
    X(T, A, "a", "") X(T, B, "b", "") X(T, C, "c", "") X(T, D, "d", "")
#define PLANT_EVENTS(X, T) \
    X(T, GO, "go", "") X(T, NEXT, "next", "") X(T, HALT, "halt", "")
#define PLANT_GUARDS(X, T) \
    X(T, ALWAYS, "always", "") X(T, LAST, "last", "") X(T, EARLY, "early", "")
#define PLANT_EFFECTS(X, T) \
    X(T, RING, "ring", "") X(T, WRITE, "write", "")
/* clang-format on */
SM_STATES(plant_state, PLANT_STATES);
SM_EVENTS(plant_event, PLANT_EVENTS);
SM_GUARDS(plant_guard, PLANT_GUARDS);
SM_EFFECTS(plant_effect, PLANT_EFFECTS);

#define ROW(from, on, when, to, then) SM_ROW(plant, from, on, when, to, then)
#define COUNT(array)                  (sizeof(array) / sizeof((array)[0]))

static const struct sm_machine words = {
    .name = "plant",
    .states = SM_WORDS(plant_state, PLANT_STATES),
    .events = SM_WORDS(plant_event, PLANT_EVENTS),
    .guards = SM_WORDS(plant_guard, PLANT_GUARDS),
    .effects = SM_WORDS(plant_effect, PLANT_EFFECTS),
};

/* As many words of each list, from its beginning. */
struct counts {
    uint8_t states, events, guards, effects;
};

static struct sm_machine plant(const struct sm_row *rows, size_t row_count, struct counts counts,
                               uint64_t final)
{
    struct sm_machine ret = words;
    ret.states.count = counts.states;
    ret.events.count = counts.events;
    ret.guards.count = counts.guards;
    ret.effects.count = counts.effects;
    ret.rows = rows;
    ret.row_count = (uint16_t)row_count;
    ret.final = final;
    return ret;
}

/* ---- what was found ------------------------------------------------------------------------- */

enum proof { ASSUMED, PROVEN };

static void assert_found(const struct found *found, const char *code, enum sm_severity severity,
                         enum proof proof, const char *witness, const char *text)
{
    assert_string_equal(found->code, code);
    assert_int_equal(found->severity, severity);
    assert_int_equal(found->is_proven, proof == PROVEN);
    assert_string_equal(found->witness, witness);
    assert_string_equal(found->text, text);
}

/* The machine has this one finding and no other. */
static void assert_only(const struct sm_machine *machine, const char *code,
                        enum sm_severity severity, enum proof proof, const char *witness,
                        const char *text)
{
    const struct findings *findings = findings_of(machine);
    for (size_t i = 1; i < findings->count; i++)
        print_error("also found: %s: %s\n", findings->list[i].code, findings->list[i].text);
    assert_int_equal(findings->count, 1);
    assert_found(&findings->list[0], code, severity, proof, witness, text);
}

/* ---- one fault each ------------------------------------------------------------------------- */

static void test_a_sound_machine_has_no_findings(void **unused)
{
    (void)unused;

    assert_int_equal(findings_of(&sample_machine)->count, 0);
}

static void test_a_machine_without_an_end_may_live_for_ever(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(B, GO, ALWAYS, A, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 1, 1, 0 }, 0);

    assert_int_equal(findings_of(&machine)->count, 0);
}

static void test_a_state_no_row_leads_to_is_unreachable(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(C, GO, ALWAYS, B, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 3, 1, 1, 0 }, SM_SET(B));

    assert_only(&machine, "unreachable", SM_ERROR_, PROVEN, "", "no event leads to state c");
}

static void test_refusing_and_staying_rows_lead_nowhere(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, SM_REFUSE, 0),
        ROW(A, NEXT, ALWAYS, SM_STAY, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 2, 1, 0 }, SM_SET(B));

    const struct findings *findings = findings_of(&machine);

    assert_int_equal(findings->count, 2);
    assert_found(&findings->list[0], "trap", SM_ERROR_, PROVEN, "",
                 "from state a no final state can be reached");
    assert_found(&findings->list[1], "unreachable", SM_ERROR_, PROVEN, "",
                 "no event leads to state b");
}

static void test_a_state_only_a_shadowed_row_leads_to_is_unreachable(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(A, GO, ALWAYS, C, 0),
    };
    struct sm_machine machine =
        plant(rows, COUNT(rows), (struct counts){ 3, 1, 1, 0 }, SM_SET(B) | SM_SET(C));

    const struct findings *findings = findings_of(&machine);

    assert_int_equal(findings->count, 2);
    assert_found(&findings->list[0], "unreachable", SM_ERROR_, PROVEN, "",
                 "no event leads to state c");
    assert_string_equal(findings->list[1].code, "shadowed");
}

static void test_a_state_without_rows_is_a_dead_end(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(B, NEXT, LAST, C, 0),
        ROW(B, NEXT, ALWAYS, D, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 4, 2, 2, 0 }, SM_SET(D));

    assert_only(&machine, "dead_end", SM_ERROR_, ASSUMED, "go, next[last]",
                "state c is not final and no row leads out of it");
}

static void test_a_dead_end_is_proven_when_no_guard_stands_before_it(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(A, NEXT, ALWAYS, C, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 3, 2, 1, 0 }, SM_SET(C));

    assert_only(&machine, "dead_end", SM_ERROR_, PROVEN, "go",
                "state b is not final and no row leads out of it");
}

static void test_a_row_behind_a_guarded_one_assumes_that_the_guard_is_false(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, LAST, C, 0),
        ROW(A, GO, ALWAYS, B, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 3, 1, 2, 0 }, SM_SET(C));

    assert_only(&machine, "dead_end", SM_ERROR_, ASSUMED, "go[else]",
                "state b is not final and no row leads out of it");
}

static void test_a_machine_without_an_end_can_still_have_a_dead_end(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(B, GO, ALWAYS, SM_REFUSE, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 1, 1, 0 }, 0);

    assert_only(&machine, "dead_end", SM_ERROR_, PROVEN, "go",
                "state b is not final and no row leads out of it");
}

static void test_states_that_lead_only_to_each_other_are_traps(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, D, 0),
        ROW(A, NEXT, ALWAYS, B, 0),
        ROW(B, GO, ALWAYS, C, 0),
        ROW(C, GO, ALWAYS, B, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 4, 2, 1, 0 }, SM_SET(D));

    const struct findings *findings = findings_of(&machine);

    assert_int_equal(findings->count, 2);
    assert_found(&findings->list[0], "trap", SM_ERROR_, PROVEN, "next",
                 "from state b no final state can be reached");
    assert_found(&findings->list[1], "trap", SM_ERROR_, PROVEN, "next, go",
                 "from state c no final state can be reached");
}

static void test_a_row_behind_an_unguarded_one_is_shadowed(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),   ROW(B, HALT, ALWAYS, A, 0), ROW(B, NEXT, LAST, C, 0),
        ROW(B, NEXT, ALWAYS, B, 0), ROW(B, NEXT, EARLY, C, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 3, 3, 3, 0 }, SM_SET(C));

    assert_only(&machine, "shadowed", SM_ERROR_, PROVEN, "go, next[early]",
                "row 5 (b, next [early] -> c) is never followed: "
                "row 4 (b, next -> b) comes first and has no guard");
}

static void test_a_row_behind_one_with_the_same_guard_is_shadowed(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, LAST, B, 0),
        ROW(A, GO, EARLY, B, 0),
        ROW(A, GO, LAST, A, 0),
        ROW(A, GO, ALWAYS, A, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 1, 3, 0 }, SM_SET(B));

    assert_only(&machine, "shadowed", SM_ERROR_, PROVEN, "go[last]",
                "row 3 (a, go [last] -> a) is never followed: "
                "row 1 (a, go [last] -> b) comes first with the same guard");
}

static void test_a_row_from_a_final_state_leaves_it(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(B, NEXT, ALWAYS, A, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 2, 1, 0 }, SM_SET(B));

    assert_only(&machine, "leaves_final", SM_ERROR_, PROVEN, "go, next",
                "row 2 (b, next -> a) starts in a final state");
}

static void test_a_pair_whose_last_row_is_guarded_has_no_else(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, 0),
        ROW(B, NEXT, LAST, C, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 3, 2, 2, 0 }, SM_SET(C));

    assert_only(&machine, "no_else", SM_WARNING_, ASSUMED, "go, next[else]",
                "row 2 (b, next [last] -> c) is the last of its pair: when guard last is false, "
                "the event is refused silently");
}

static void test_a_last_row_that_refuses_says_that_it_is_meant(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, LAST, B, 0),
        ROW(A, GO, ALWAYS, SM_REFUSE, 0),
        ROW(A, NEXT, ALWAYS, B, 0),
        ROW(A, HALT, EARLY, SM_REFUSE, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 3, 3, 0 }, SM_SET(B));

    assert_int_equal(findings_of(&machine)->count, 0);
}

static void test_words_in_no_row_are_unused(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, SM_DO(plant, RING)),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 2, 2, 2 }, SM_SET(B));

    const struct findings *findings = findings_of(&machine);

    assert_int_equal(findings->count, 3);
    assert_found(&findings->list[0], "unused", SM_WARNING_, PROVEN, "", "event next is in no row");
    assert_found(&findings->list[1], "unused", SM_WARNING_, PROVEN, "", "guard last is in no row");
    assert_found(&findings->list[2], "unused", SM_WARNING_, PROVEN, "",
                 "effect write is in no row");
}

static void test_guarded_rows_with_different_targets_are_ambiguous(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, LAST, B, 0),
        ROW(A, GO, EARLY, C, 0),
        ROW(A, GO, ALWAYS, C, 0),
    };
    struct sm_machine machine =
        plant(rows, COUNT(rows), (struct counts){ 3, 1, 3, 0 }, SM_SET(B) | SM_SET(C));

    assert_only(&machine, "ambiguous", SM_NOTE_, ASSUMED, "go[early]",
                "row 2 (a, go [early] -> c) comes after row 1 (a, go [last] -> b): "
                "if both guards hold, order decides");
    assert_int_equal(sm_check(&machine, NULL, NULL), 0);
}

static void test_guarded_rows_with_one_target_are_not_ambiguous(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, LAST, B, 0),
        ROW(A, GO, EARLY, B, 0),
        ROW(A, GO, ALWAYS, SM_STAY, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 1, 3, 0 }, SM_SET(B));

    assert_int_equal(findings_of(&machine)->count, 0);
}

static void test_of_two_shortest_witnesses_the_higher_row_is_shown(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(B, GO, ALWAYS, D, 0),   ROW(C, GO, ALWAYS, D, 0), ROW(A, HALT, ALWAYS, C, 0),
        ROW(A, NEXT, ALWAYS, B, 0), ROW(A, GO, ALWAYS, A, 0),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 4, 3, 1, 0 }, 0);

    assert_only(&machine, "dead_end", SM_ERROR_, PROVEN, "halt, go",
                "state d is not final and no row leads out of it");
}

/* ---- rows and lists out of range ------------------------------------------------------------ */

static void assert_bad_row(struct sm_row bad, const char *text)
{
    struct sm_row rows[] = { ROW(A, GO, ALWAYS, B, 0), bad };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 1, 1, 0 }, SM_SET(B));
    assert_only(&machine, "bad_row", SM_ERROR_, PROVEN, "", text);
}

static void test_numbers_outside_the_lists_make_a_bad_row(void **unused)
{
    (void)unused;

    assert_bad_row((struct sm_row){ 2, 0, 0, 1, 0 },
                   "row 2 (?, go -> b) starts in a state that is not in the list");
    assert_bad_row((struct sm_row){ 0, 1, 0, 1, 0 },
                   "row 2 (a, ? -> b) answers an event that is not in the list");
    assert_bad_row((struct sm_row){ 0, 0, 1, 1, 0 },
                   "row 2 (a, go [?] -> b) asks a guard that is not in the list");
    assert_bad_row((struct sm_row){ 0, 0, 0, 2, 0 },
                   "row 2 (a, go -> ?) leads to a state that is not in the list");
    assert_bad_row((struct sm_row){ 0, 0, 0, 253, 0 },
                   "row 2 (a, go -> ?) leads to a state that is not in the list");
    assert_bad_row((struct sm_row){ 0, 0, 0, 1, 1 },
                   "row 2 (a, go -> b) has an effect that is not in the list");
    assert_bad_row((struct sm_row){ 0, 0, 0, 1, 1u << 31 },
                   "row 2 (a, go -> b) has an effect that is not in the list");
}

static void test_a_refusal_with_effects_is_a_bad_row(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = {
        ROW(A, GO, ALWAYS, B, SM_DO(plant, RING)),
        ROW(A, NEXT, ALWAYS, B, 0),
        ROW(A, NEXT, ALWAYS, SM_REFUSE, SM_DO(plant, RING)),
    };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 2, 1, 1 }, SM_SET(B));

    assert_only(&machine, "bad_row", SM_ERROR_, PROVEN, "",
                "row 3 (a, next -> refuse) refuses and has effects");
}

static void test_initial_and_final_states_must_be_in_the_list(void **unused)
{
    (void)unused;
    static const struct sm_row rows[] = { ROW(A, GO, ALWAYS, B, 0) };
    struct sm_machine machine =
        plant(rows, COUNT(rows), (struct counts){ 2, 1, 1, 0 }, SM_SET(B) | SM_SET(2));

    assert_only(&machine, "bad_row", SM_ERROR_, PROVEN, "", "a final state is not in the list");

    machine.final = SM_SET(B);
    machine.initial = 2;
    assert_only(&machine, "bad_row", SM_ERROR_, PROVEN, "",
                "the initial state 2 is not in the list");
}

static void test_an_exceeded_limit_is_named(void **unused)
{
    (void)unused;
    static const struct sm_word many[65];
    static const struct sm_row rows[SM_ROWS_MAX + 1];
    struct sm_machine machine = words;
    machine.states = (struct sm_words){ many, 65 };
    machine.events = (struct sm_words){ many, 65 };
    machine.guards = (struct sm_words){ many, 65 };
    machine.effects = (struct sm_words){ many, 31 };
    machine.rows = rows;
    machine.row_count = SM_ROWS_MAX + 1;
    static const char *const texts[] = { "65 states are more than 64", "65 events are more than 64",
                                         "65 guards are more than 64",
                                         "31 effects are more than 30",
                                         "1025 rows are more than 1024" };

    const struct findings *findings = findings_of(&machine);

    assert_int_equal(findings->count, COUNT(texts));
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_found(&findings->list[i], "limits", SM_ERROR_, PROVEN, "", texts[i]);
}

static void test_a_machine_needs_a_state(void **unused)
{
    (void)unused;
    struct sm_machine machine = plant(NULL, 0, (struct counts){ 0, 0, 0, 0 }, 0);

    assert_only(&machine, "limits", SM_ERROR_, PROVEN, "", "there is no state");
}

static void assert_bad_state_word(const char *word, const char *text)
{
    static const struct sm_row rows[] = { ROW(A, GO, ALWAYS, B, 0) };
    const struct sm_word states[] = { { "a", "" }, { word, "" } };
    struct sm_machine machine = plant(rows, COUNT(rows), (struct counts){ 2, 1, 1, 0 }, SM_SET(B));
    machine.states.list = states;
    assert_only(&machine, "bad_word", SM_ERROR_, PROVEN, "", text);
}

static void test_words_are_short_plain_and_unique(void **unused)
{
    (void)unused;
    char longest[] = "0123456789012345678901234567890123456789012345678901234567890123";
    assert_int_equal(strlen(longest), SM_WORD_MAX + 1);

    assert_bad_state_word(NULL, "state 1 (?) is empty");
    assert_bad_state_word("", "state 1 () is empty");
    assert_bad_state_word("a", "state 1 (a) stands twice in its list");
    assert_bad_state_word("b.d",
                          "state 1 (b.d) has a character other than letters, digits, _ and -");
    assert_bad_state_word("b{d",
                          "state 1 (b{d) has a character other than letters, digits, _ and -");
    assert_bad_state_word("refuse",
                          "a state is called stay or refuse, like the targets of every machine");
    assert_bad_state_word("b\"",
                          "state 1 (b\") has a character other than letters, digits, _ and -");
    assert_bad_state_word("stay",
                          "a state is called stay or refuse, like the targets of every machine");
    assert_bad_state_word(longest,
                          "state 1 (0123456789012345678901234567890123456789012345678901234567"
                          "890123) is longer than 63 bytes");
}

static void test_a_list_with_a_count_and_no_words_is_empty_words(void **unused)
{
    (void)unused;
    struct sm_machine machine = sample_machine;
    machine.guards.list = NULL;

    const struct findings *findings = findings_of(&machine);

    assert_int_equal(findings->count, machine.guards.count);
    assert_found(&findings->list[0], "bad_word", SM_ERROR_, PROVEN, "", "guard 0 (?) is empty");
}

static void test_a_machine_needs_a_name(void **unused)
{
    (void)unused;
    struct sm_machine machine = sample_machine;
    machine.name = NULL;

    assert_only(&machine, "bad_word", SM_ERROR_, PROVEN, "", "the machine's name is empty");
}

static void test_the_longest_witness_of_the_longest_words_fits(void **unused)
{
    (void)unused;
    static char texts[SM_STATES_MAX][SM_WORD_MAX + 1];
    static struct sm_word list[SM_STATES_MAX];
    static struct sm_row rows[SM_STATES_MAX - 1];
    for (unsigned i = 0; i < SM_STATES_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "%063u", i);
        list[i] = (struct sm_word){ texts[i], "" };
        if (i > 0)
            rows[i - 1] = (struct sm_row){ (uint8_t)(i - 1), 0, 1, (uint8_t)i, 0 };
    }
    struct sm_machine machine = { .name = "chain", .rows = rows, .row_count = COUNT(rows) };
    machine.states = (struct sm_words){ list, SM_STATES_MAX };
    machine.events = (struct sm_words){ list, 1 };
    machine.guards = (struct sm_words){ list, 2 };

    const struct findings *findings = findings_of(&machine);

    assert_int_equal(findings->count, 1 + COUNT(rows));
    assert_string_equal(findings->list[0].code, "dead_end");
    assert_string_equal(findings->list[1].code, "no_else");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sound_machine_has_no_findings),
        cmocka_unit_test(test_a_machine_without_an_end_may_live_for_ever),
        cmocka_unit_test(test_a_state_no_row_leads_to_is_unreachable),
        cmocka_unit_test(test_refusing_and_staying_rows_lead_nowhere),
        cmocka_unit_test(test_a_state_only_a_shadowed_row_leads_to_is_unreachable),
        cmocka_unit_test(test_a_state_without_rows_is_a_dead_end),
        cmocka_unit_test(test_a_dead_end_is_proven_when_no_guard_stands_before_it),
        cmocka_unit_test(test_a_row_behind_a_guarded_one_assumes_that_the_guard_is_false),
        cmocka_unit_test(test_a_machine_without_an_end_can_still_have_a_dead_end),
        cmocka_unit_test(test_states_that_lead_only_to_each_other_are_traps),
        cmocka_unit_test(test_a_row_behind_an_unguarded_one_is_shadowed),
        cmocka_unit_test(test_a_row_behind_one_with_the_same_guard_is_shadowed),
        cmocka_unit_test(test_a_row_from_a_final_state_leaves_it),
        cmocka_unit_test(test_a_pair_whose_last_row_is_guarded_has_no_else),
        cmocka_unit_test(test_a_last_row_that_refuses_says_that_it_is_meant),
        cmocka_unit_test(test_words_in_no_row_are_unused),
        cmocka_unit_test(test_guarded_rows_with_different_targets_are_ambiguous),
        cmocka_unit_test(test_guarded_rows_with_one_target_are_not_ambiguous),
        cmocka_unit_test(test_of_two_shortest_witnesses_the_higher_row_is_shown),
        cmocka_unit_test(test_numbers_outside_the_lists_make_a_bad_row),
        cmocka_unit_test(test_a_refusal_with_effects_is_a_bad_row),
        cmocka_unit_test(test_initial_and_final_states_must_be_in_the_list),
        cmocka_unit_test(test_an_exceeded_limit_is_named),
        cmocka_unit_test(test_a_machine_needs_a_state),
        cmocka_unit_test(test_words_are_short_plain_and_unique),
        cmocka_unit_test(test_a_list_with_a_count_and_no_words_is_empty_words),
        cmocka_unit_test(test_a_machine_needs_a_name),
        cmocka_unit_test(test_the_longest_witness_of_the_longest_words_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
