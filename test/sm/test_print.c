/* SPDX-License-Identifier: Apache-2.0
 * test_print.c - printers against their whole expected texts. */
#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* clang-format off */
static const char expected_mermaid[] =
    "stateDiagram-v2\n"
    "    state \"on-hold\" as S_onXhold\n"
    "    [*] --> draft\n"
    "    draft --> running : start / begin_step\n"
    "    running --> done : step_ok [last] / notify\n"
    "    running --> running : step_ok / begin_step\n"
    "    running --> running : step_bad (stay) [may_retry] / arm_retry\n"
    "    running --> failed : step_bad / roll_back, notify\n"
    "    running --> S_onXhold : pause\n"
    "    S_onXhold --> running : resume / begin_step\n"
    "    done --> [*]\n"
    "    failed --> [*]\n";

static const char expected_dot[] =
    "digraph \"sample\" {\n"
    "    rankdir=LR;\n"
    "    node [shape=box, style=rounded];\n"
    "    \"[*]\" [shape=point];\n"
    "    \"draft\" [tooltip=\"accepted, nothing started\"];\n"
    "    \"running\" [tooltip=\"one step is in flight\"];\n"
    "    \"on-hold\" [tooltip=\"an operator asked to \\\"hold\\\"\"];\n"
    "    \"done\" [tooltip=\"every step succeeded\", peripheries=2];\n"
    "    \"failed\" [tooltip=\"gave up and rolled back\", peripheries=2];\n"
    "    \"[*]\" -> \"draft\";\n"
    "    \"draft\" -> \"running\" [label=\"start / begin_step\"];\n"
    "    \"running\" -> \"done\" [label=\"step_ok [last] / notify\"];\n"
    "    \"running\" -> \"running\" [label=\"step_ok / begin_step\"];\n"
    "    \"running\" -> \"running\" [label=\"step_bad (stay) [may_retry] / arm_retry\"];\n"
    "    \"running\" -> \"failed\" [label=\"step_bad / roll_back, notify\"];\n"
    "    \"running\" -> \"on-hold\" [label=\"pause\"];\n"
    "    \"on-hold\" -> \"running\" [label=\"resume / begin_step\"];\n"
    "}\n";

static const char expected_json[] =
    "{\"name\":\"sample\",\"meaning\":\"steps, one after another\",\"initial\":\"draft\",\"final\":[\"done\",\"failed\"],"
    "\"states\":[{\"word\":\"draft\",\"meaning\":\"accepted, nothing started\"},"
    "{\"word\":\"running\",\"meaning\":\"one step is in flight\"},"
    "{\"word\":\"on-hold\",\"meaning\":\"an operator asked to \\\"hold\\\"\"},"
    "{\"word\":\"done\",\"meaning\":\"every step succeeded\"},"
    "{\"word\":\"failed\",\"meaning\":\"gave up and rolled back\"}],"
    "\"events\":[{\"word\":\"start\",\"meaning\":\"the scheduler has a free slot\"},"
    "{\"word\":\"step_ok\",\"meaning\":\"the health gate of the step passed\"},"
    "{\"word\":\"step_bad\",\"meaning\":\"the step failed or timed out\"},"
    "{\"word\":\"pause\",\"meaning\":\"operator request\"},"
    "{\"word\":\"resume\",\"meaning\":\"operator request\"}],"
    "\"guards\":[{\"word\":\"always\",\"meaning\":\"no condition\"},"
    "{\"word\":\"locked\",\"meaning\":\"somebody else changes this fleet\"},"
    "{\"word\":\"last\",\"meaning\":\"no step is left after this one\"},"
    "{\"word\":\"may_retry\",\"meaning\":\"attempts are left\"}],"
    "\"effects\":[{\"word\":\"begin_step\",\"meaning\":\"send the next step to agents\"},"
    "{\"word\":\"arm_retry\",\"meaning\":\"wake up after the retry delay\"},"
    "{\"word\":\"roll_back\",\"meaning\":\"send the old version again\"},"
    "{\"word\":\"notify\",\"meaning\":\"tell the watchers\"}],"
    "\"rows\":[{\"from\":\"draft\",\"on\":\"start\",\"when\":\"locked\",\"to\":\"refuse\",\"then\":[]},"
    "{\"from\":\"draft\",\"on\":\"start\",\"when\":\"always\",\"to\":\"running\",\"then\":[\"begin_step\"]},"
    "{\"from\":\"running\",\"on\":\"step_ok\",\"when\":\"last\",\"to\":\"done\",\"then\":[\"notify\"]},"
    "{\"from\":\"running\",\"on\":\"step_ok\",\"when\":\"always\",\"to\":\"running\",\"then\":[\"begin_step\"]},"
    "{\"from\":\"running\",\"on\":\"step_bad\",\"when\":\"may_retry\",\"to\":\"stay\",\"then\":[\"arm_retry\"]},"
    "{\"from\":\"running\",\"on\":\"step_bad\",\"when\":\"always\",\"to\":\"failed\",\"then\":[\"roll_back\",\"notify\"]},"
    "{\"from\":\"running\",\"on\":\"pause\",\"when\":\"always\",\"to\":\"on-hold\",\"then\":[]},"
    "{\"from\":\"on-hold\",\"on\":\"resume\",\"when\":\"always\",\"to\":\"running\",\"then\":[\"begin_step\"]}]}";

static const char expected_table[] =
    "sample - steps, one after another\n"
    "\n"
    "States\n"
    "  draft    accepted, nothing started (initial)\n"
    "  running  one step is in flight\n"
    "  on-hold  an operator asked to \"hold\"\n"
    "  done     every step succeeded (final)\n"
    "  failed   gave up and rolled back (final)\n"
    "\n"
    "Events\n"
    "  start     the scheduler has a free slot\n"
    "  step_ok   the health gate of the step passed\n"
    "  step_bad  the step failed or timed out\n"
    "  pause     operator request\n"
    "  resume    operator request\n"
    "\n"
    "Guards\n"
    "  always     no condition\n"
    "  locked     somebody else changes this fleet\n"
    "  last       no step is left after this one\n"
    "  may_retry  attempts are left\n"
    "\n"
    "Effects\n"
    "  begin_step  send the next step to agents\n"
    "  arm_retry   wake up after the retry delay\n"
    "  roll_back   send the old version again\n"
    "  notify      tell the watchers\n"
    "\n"
    "Rows, tried from top to bottom\n"
    "  from     on        when       to       then\n"
    "  draft    start     locked     refuse\n"
    "  draft    start     always     running  begin_step\n"
    "  running  step_ok   last       done     notify\n"
    "  running  step_ok   always     running  begin_step\n"
    "  running  step_bad  may_retry  stay     arm_retry\n"
    "  running  step_bad  always     failed   roll_back, notify\n"
    "  running  pause     always     on-hold\n"
    "  on-hold  resume    always     running  begin_step\n";
/* clang-format on */

struct page {
    char text[8192];
    size_t size;
};

static void add(void *ctx, const char *text, size_t size)
{
    struct page *page = ctx;
    assert_true(page->size + size < sizeof page->text);
    memcpy(page->text + page->size, text, size);
    page->size += size;
    page->text[page->size] = '\0';
}

typedef void printer(const struct sm_machine *machine, sm_print_fn *print, void *ctx);

static void assert_prints(printer *print, const struct sm_machine *machine, const char *expected)
{
    struct page page = { .size = 0 };
    print(machine, add, &page);
    assert_string_equal(page.text, expected);
}

static void test_mermaid_draws_every_row_but_refusals(void **unused)
{
    (void)unused;

    assert_prints(sm_mermaid, &sample_machine, expected_mermaid);
}

static void test_dot_draws_every_row_but_refusals(void **unused)
{
    (void)unused;

    assert_prints(sm_dot, &sample_machine, expected_dot);
}

static void test_json_holds_the_whole_machine_without_blanks(void **unused)
{
    (void)unused;

    assert_prints(sm_json, &sample_machine, expected_json);
}

static void test_the_table_reads_like_a_manual(void **unused)
{
    (void)unused;

    assert_prints(sm_table, &sample_machine, expected_table);
}

/* Two states, one event, and nothing else; states carry the given words. */
static struct sm_machine two_states(const struct sm_word *states, const struct sm_row *row)
{
    static const struct sm_word events[] = { { "go", NULL } };
    return (struct sm_machine){
        .name = "pair",
        .states = { states, 2 },
        .events = { events, 1 },
        .rows = row,
        .row_count = 1,
    };
}

static const struct sm_row go = { 0, 0, 0, 1, 0 };

static void test_mermaid_gives_an_alias_to_words_that_are_no_identifiers(void **unused)
{
    (void)unused;
    static const struct sm_word states[] = { { "a-b", "" }, { "a_b", "" } };
    static const struct sm_word more[] = { { "state", "" }, { "2nd", "" } };
    struct sm_machine dashed = two_states(states, &go), reserved = two_states(more, &go);

    assert_prints(sm_mermaid, &dashed,
                  "stateDiagram-v2\n"
                  "    state \"a-b\" as S_aXb\n"
                  "    [*] --> S_aXb\n"
                  "    S_aXb --> a_b : go\n");
    assert_prints(sm_mermaid, &reserved,
                  "stateDiagram-v2\n"
                  "    state \"state\" as S_state\n"
                  "    state \"2nd\" as S_2nd\n"
                  "    [*] --> S_state\n"
                  "    S_state --> S_2nd : go\n");
}

static void test_json_escapes_what_texts_may_contain(void **unused)
{
    (void)unused;
    static const struct sm_word states[] = { { "a", "a \\ \"b\"\n\x7f" }, { "b", "h\303\266her" } };
    struct sm_machine machine = two_states(states, &go);

    assert_prints(sm_json, &machine,
                  "{\"name\":\"pair\",\"meaning\":\"\",\"initial\":\"a\",\"final\":[],\"states\":["
                  "{\"word\":\"a\",\"meaning\":\"a \\\\ \\\"b\\\"\\u000a\\u007f\"},"
                  "{\"word\":\"b\",\"meaning\":\"h\303\266her\"}],"
                  "\"events\":[{\"word\":\"go\",\"meaning\":\"\"}],\"guards\":[],\"effects\":[],"
                  "\"rows\":[{\"from\":\"a\",\"on\":\"go\",\"when\":\"always\",\"to\":\"b\","
                  "\"then\":[]}]}");
}

static void test_the_table_leaves_out_empty_lists_and_ends_no_line_in_blanks(void **unused)
{
    (void)unused;
    static const struct sm_word states[] = { { "a", NULL }, { "far", "" } };
    struct sm_machine machine = two_states(states, &go);
    machine.initial = 1;
    machine.final = SM_SET(1);

    assert_prints(sm_table, &machine,
                  "pair\n\n"
                  "States\n  a\n  far (initial, final)\n\n"
                  "Events\n  go\n\n"
                  "Rows, tried from top to bottom\n"
                  "  from  on  when    to   then\n"
                  "  a     go  always  far\n");
}

static void test_mermaid_gives_no_alias_to_words_that_begin_with_a_letter(void **unused)
{
    (void)unused;
    static const struct sm_word states[] = { { "Apple", "" }, { "zebra", "" } };
    static const struct sm_word more[] = { { "S_a", "" }, { "{b", "" } };
    struct sm_machine plain = two_states(states, &go), odd = two_states(more, &go);

    assert_prints(sm_mermaid, &plain,
                  "stateDiagram-v2\n"
                  "    [*] --> Apple\n"
                  "    Apple --> zebra : go\n");
    assert_prints(sm_mermaid, &odd,
                  "stateDiagram-v2\n"
                  "    state \"S_a\" as S_S_a\n"
                  "    state \"{b\" as S_{b\n"
                  "    [*] --> S_S_a\n"
                  "    S_S_a --> S_{b : go\n");
}

static void test_what_no_set_can_hold_is_neither_final_nor_an_effect(void **unused)
{
    (void)unused;
    static struct sm_word words[65];
    for (size_t i = 0; i < 65; i++)
        words[i] = (struct sm_word){ i == 64 ? "last" : "other", "" };
    static const struct sm_row row = { 0, 0, 0, 64, 0xffffffff };
    struct sm_machine machine = two_states(words, &row);
    machine.states.count = 65;
    machine.effects = (struct sm_words){ words + 32, 33 };
    machine.final = UINT64_MAX;
    struct page page = { .size = 0 };

    sm_mermaid(&machine, add, &page);

    assert_non_null(strstr(page.text, "other --> last : go / other, other"));
    assert_null(strstr(page.text, "last --> [*]"));
    assert_null(strstr(page.text, ", last"));
}

static void test_numbers_outside_the_lists_print_as_question_marks(void **unused)
{
    (void)unused;
    static const struct sm_word states[] = { { "a", "" }, { "b", "" } };
    static const struct sm_row row = { 9, 9, 9, 9, 0xffffffff };
    struct sm_machine machine = two_states(states, &row);

    assert_prints(sm_mermaid, &machine,
                  "stateDiagram-v2\n    [*] --> a\n    S_? --> S_? : ? [?]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mermaid_draws_every_row_but_refusals),
        cmocka_unit_test(test_dot_draws_every_row_but_refusals),
        cmocka_unit_test(test_json_holds_the_whole_machine_without_blanks),
        cmocka_unit_test(test_the_table_reads_like_a_manual),
        cmocka_unit_test(test_mermaid_gives_an_alias_to_words_that_are_no_identifiers),
        cmocka_unit_test(test_json_escapes_what_texts_may_contain),
        cmocka_unit_test(test_the_table_leaves_out_empty_lists_and_ends_no_line_in_blanks),
        cmocka_unit_test(test_mermaid_gives_no_alias_to_words_that_begin_with_a_letter),
        cmocka_unit_test(test_what_no_set_can_hold_is_neither_final_nor_an_effect),
        cmocka_unit_test(test_numbers_outside_the_lists_print_as_question_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
