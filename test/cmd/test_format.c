/* SPDX-License-Identifier: Apache-2.0
 * test_format.c - how texts, tables, documents and records look, and which exit code means what. */
#include "kit.h"

#include "cmd/document.h"
#include "cmd/exit_code.h"
#include "cmd/record.h"
#include "cmd/table.h"
#include "wire/yaml_read.h"

static const struct terminal no_terminal = { .is_live = false };

static struct buffer empty(void)
{
    struct buffer buffer;
    buffer_init(&buffer, &memory_heap, 1024 * 1024);
    return buffer;
}

static const struct json_node *parse(struct arena *arena, const char *json)
{
    const struct json_node *root = NULL;
    struct err err = { 0 };
    if (!json_tree_parse(text_from(json), arena, &root, &err))
        fail_msg("%s", err.text);
    return root;
}

/* ---- texts ---------------------------------------------------------------------------------- */

static void shows_as(const char *given, const char *wanted)
{
    struct buffer out = empty();
    terminal_add(&out, text_from(given));
    assert_is(&out, wanted);
    buffer_release(&out);
}

static void test_nothing_that_steers_a_terminal_is_shown_as_it_is(void **state)
{
    (void)state;

    shows_as("plain", "plain");
    shows_as("h\xc3\xa9llo \xe2\x86\x92 \xf0\x9f\x9a\x80",
             "h\xc3\xa9llo \xe2\x86\x92 \xf0\x9f\x9a\x80");
    shows_as("\033[31mred", "\\x1B[31mred");
    shows_as("a\tb\r\nc\x7f", "a\\x09b\\x0D\\x0Ac\\x7F");
    shows_as("\xc2\x9b"
             "2J",
             "\\xC2\\x9B2J"); /* CSI as one character */
    shows_as("\xe2\x80\xae"
             "gpj",
             "\\xE2\\x80\\xAEgpj");     /* right-to-left override */
    shows_as("\xff\xc3", "\\xFF\\xC3"); /* no UTF-8 */
}

static void test_columns_are_those_of_the_screen(void **state)
{
    (void)state;

    assert_int_equal(terminal_columns(TEXT("abc")), 3);
    assert_int_equal(terminal_columns(TEXT("h\xc3\xa9")), 2);
    assert_int_equal(terminal_columns(TEXT("e\xcc\x81")), 1);                /* combining accent */
    assert_int_equal(terminal_columns(TEXT("\xe6\xbc\xa2\xe5\xad\x97")), 4); /* two wide ones */
    assert_int_equal(terminal_columns(TEXT("\xf0\x9f\x9a\x80")), 2);
}

static void test_cutting_keeps_characters_whole(void **state)
{
    (void)state;

    assert_int_equal(terminal_fit(TEXT("abc"), 2), 2);
    assert_int_equal(terminal_fit(TEXT("h\xc3\xa9j"), 2), 3);
    assert_int_equal(terminal_fit(TEXT("\xe6\xbc\xa2\xe5\xad\x97"), 3), 3); /* half of one: none */
    assert_int_equal(terminal_fit(TEXT("e\xcc\x81x"), 1), 3);               /* accent stays on */
    assert_int_equal(terminal_fit(TEXT("abc"), 0), 0);
    assert_int_equal(terminal_fit(TEXT("abc"), 9), 3);
}

/* ---- tables --------------------------------------------------------------------------------- */

static const struct table_column columns[] = {
    { .title = "NAME" },
    { .title = "N", .is_right = true },
    { .title = "NOTE" },
    { .title = "MORE", .is_only_wide = true },
};

static void fill(struct table *table, bool is_wide)
{
    table_init(table, columns, 4, is_wide);
    table_cell(table, TEXT("a"));
    table_cell_printf(table, "%d", 1000);
    table_cell(table, TEXT("h\xc3\xa9"));
    table_cell(table, TEXT("x"));
    table_cell(table, TEXT("web-01"));
    table_cell_printf(table, "%d", 7);
    table_cell(table, TEXT_NONE);
    table_cell(table, TEXT("y"));
}

static void test_columns_are_aligned_and_lines_end_without_blanks(void **state)
{
    struct table table;
    struct buffer out = empty();
    (void)state;
    fill(&table, false);

    table_print(&table, &no_terminal, &out);

    assert_is(&out, "NAME       N  NOTE\n"
                    "a       1000  h\xc3\xa9\n"
                    "web-01     7  -\n");
    table_release(&table);
    buffer_release(&out);
}

static void test_wide_appends_columns(void **state)
{
    struct table table;
    struct buffer out = empty();
    (void)state;
    fill(&table, true);

    table_print(&table, &no_terminal, &out);

    assert_is(&out, "NAME       N  NOTE  MORE\n"
                    "a       1000  h\xc3\xa9    x\n"
                    "web-01     7  -     y\n");
    table_release(&table);
    buffer_release(&out);
}

static void test_lines_are_cut_at_the_width_of_the_terminal(void **state)
{
    const struct terminal narrow = { .is_live = true, .width = 9 };
    struct table table;
    struct buffer out = empty();
    (void)state;
    fill(&table, false);

    table_print(&table, &narrow, &out);

    assert_is(&out, "NAME\n"
                    "a       1\n"
                    "web-01\n");
    table_release(&table);
    buffer_release(&out);
}

static void test_the_next_page_has_no_titles_and_stands_in_line(void **state)
{
    struct table table;
    struct buffer out = empty();
    (void)state;
    fill(&table, false);
    table_print(&table, &no_terminal, &out);
    buffer_clear(&out);

    table_cell(&table, TEXT("b"));
    table_cell(&table, TEXT("2"));
    table_cell(&table, TEXT("z"));
    table_cell(&table, TEXT("w"));
    table_print(&table, &no_terminal, &out);

    assert_is(&out, "b          2  z\n");
    table_release(&table);
    buffer_release(&out);
}

static void test_colours_are_for_terminals_that_want_them(void **state)
{
    const struct terminal coloured = { .is_live = true, .has_colour = true };
    struct buffer out = empty();
    (void)state;

    tint_add(&out, &no_terminal, tint_of(TEXT("FAILED")), TEXT("FAILED"));
    assert_is(&out, "FAILED");
    buffer_clear(&out);
    tint_add(&out, &coloured, tint_of(TEXT("FAILED")), TEXT("FAILED"));
    assert_is(&out, "\033[31mFAILED\033[0m");
    buffer_release(&out);
}

/* ---- documents ------------------------------------------------------------------------------ */

static const char document[] = "{\"name\":\"a\",\"n\":1.50,\"t\":true,\"z\":null,\"e\":[],\"o\":{},"
                               "\"l\":[1,{\"k\":\"v\",\"w\":\"x: y\"},[2,3]],\"q\":\"no\"}";

static void test_json_keeps_order_and_numbers_as_they_were_written(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);
    const struct json_node *root = parse(&arena, document);

    document_add_json(&out, root, false);
    assert_is(&out, document);
    buffer_clear(&out);
    document_add_json(&out, parse(&arena, "{\"a\":[1,{}],\"b\":\"c\"}"), true);
    assert_is(&out, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"c\"\n}");
    buffer_release(&out);
    arena_release(&arena);
}

static void test_json_escapes_what_steers_a_terminal(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    document_add_json(&out, parse(&arena, "[\"\\u001b\\u009b\x7f\xc3\xa9\"]"), false);

    assert_lacks(&out, "\x7f");
    assert_lacks(&out, "\xc2\x9b");
    assert_lacks(&out, "\033");
    assert_has(&out, "\\u009b\\u007f\xc3\xa9\"]");
    buffer_release(&out);
    arena_release(&arena);
}

static void test_no_text_ends_a_line_for_a_reader_of_yaml(void **state)
{
    struct arena arena;
    struct buffer out = empty(), json = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);
    const char *texts = "{\"a\xe2\x80\xa8 b\":\"c\xe2\x80\xa9 d\\u0085\xe2\x80\xaa\"}";

    document_add_yaml(&out, parse(&arena, texts));

    assert_is(&out, "\"a\\u2028 b\": \"c\\u2029 d\\u0085\xe2\x80\xaa\"\n");
    assert_true(yaml_to_json(buffer_text(&out), &json, NULL));
    assert_is(&json, "{\"a\xe2\x80\xa8 b\":\"c\xe2\x80\xa9 d\xc2\x85\xe2\x80\xaa\"}");
    buffer_release(&json);
    buffer_release(&out);
    arena_release(&arena);
}

static void test_yaml_quotes_what_it_would_misread(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    document_add_yaml(&out, parse(&arena, document));

    assert_is(&out, "name: a\n"
                    "\"n\": 1.50\n"
                    "t: true\n"
                    "z: null\n"
                    "e: []\n"
                    "o: {}\n"
                    "l:\n"
                    "  - 1\n"
                    "  - k: v\n"
                    "    w: \"x: y\"\n"
                    "  - - 2\n"
                    "    - 3\n"
                    "q: \"no\"\n");
    buffer_release(&out);
    arena_release(&arena);
}

/* ---- records -------------------------------------------------------------------------------- */

static void age_is(int64_t ms, const char *wanted)
{
    struct buffer out = empty();
    add_age(&out, ms);
    assert_is(&out, wanted);
    buffer_release(&out);
}

static void test_ages_have_two_units_at_most(void **state)
{
    (void)state;

    age_is(-5, "0s");
    age_is(999, "0s");
    age_is(45 * 1000, "45s");
    age_is(190 * 1000, "3m10s");
    age_is(180 * 1000, "3m");
    age_is(38 * 60 * 1000 + 12345, "38m");
    age_is((2 * 60 + 5) * 60 * 1000ll, "2h5m");
    age_is((3 * 24 + 4) * 3600 * 1000ll, "3d4h");
}

static const char live_record[] =
    "{\"id\":\"r-42\",\"status\":1,\"status_name\":\"RUNNING\",\"outcome\":null,\"cause\":null,"
    "\"generation\":18,\"selector\":\"env=prod,role=web\",\"request\":{\"code_version\":\"2.5.0\","
    "\"configuration_version\":\"c9\",\"configuration\":{\"batch_size\":16,\"mode\":\"window\","
    "\"failure_threshold\":25}},\"progress\":{\"total_instances\":120,\"pending_instances\":18,"
    "\"in_progress_instances\":16,\"completed_instances\":83,\"failed_instances\":3,"
    "\"offline_instances\":2},\"waves\":[],\"waiting\":[{\"reason\":\"batch_full\",\"message\":"
    "\"16 of 16 slots busy\",\"since\":\"2031-01-01T10:37:00.000Z\",\"until\":"
    "\"2031-01-01T10:41:10.000Z\"}],\"available\":101,\"allowed_verbs\":[\"pause\",\"abort\"],"
    "\"created_by\":\"ana\",\"reason\":\"hotfix\\u001b[2J\","
    "\"created_at\":\"2031-01-01T10:00:00.000Z\",\"started_at\":\"2031-01-01T10:00:00.000Z\","
    "\"ended_at\":null,\"members\":{\"instances\":[{\"name\":\"web-0187\",\"update_state\":"
    "\"failed\",\"status_name\":\"FAILED\",\"online\":true,\"last_seen\":"
    "\"2031-01-01T10:37:55.000Z\",\"current_state\":{\"code_version\":\"2.4.1\","
    "\"configuration_version\":\"c8\"},\"cause\":\"reported\",\"message\":\"port 8080 in use\","
    "\"attempt\":2},{\"name\":\"web-0190\",\"update_state\":\"in_progress\",\"status_name\":"
    "\"DEGRADED\",\"online\":false,\"last_seen\":\"2031-01-01T10:36:00.000Z\",\"current_state\":"
    "{\"code_version\":\"2.5.0\",\"configuration_version\":\"c9\"},\"cause\":null,"
    "\"deadline_at\":\"2031-01-01T10:41:50.000Z\",\"message\":\"\",\"attempt\":1}],\"count\":2}}";
#define TEN_THIRTY_EIGHT 1925030280000ll /* 2031-01-01T10:38:00Z */

static void test_a_live_record_is_shown_in_full(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    record_add(&out, parse(&arena, live_record), TEN_THIRTY_EIGHT, &no_terminal, false);

    assert_is(&out,
              "rollout   r-42  env=prod,role=web   -> 2.5.0/c9   generation 18\n"
              "state     RUNNING for 38m   by ana: \"hotfix\\x1B[2J\"\n"
              "waiting   batch_full: 16 of 16 slots busy, at most 3m10s more\n"
              "limits    failed 3 of 25   busy 16 of 16   available 101 of 120\n"
              "next      18 to be started   allowed pause, abort\n"
              "WAVE  MODE       TOTAL  DONE  BUSY  FAILED  PENDING  OFFLINE  STATE\n"
              "all   window 16    120    83    16       3       18        2  RUNNING\n"
              "MEMBER    UPDATE  RUNS      STATUS    SEEN  NOTE\n"
              "web-0187  failed  2.4.1/c8  FAILED      5s  reported: port 8080 in use (attempt 2)\n"
              "web-0190  busy    2.5.0/c9  DEGRADED    2m  deadline in 3m50s, offline\n"
              "... 17 more that failed or are busy (-o wide)\n");
    buffer_release(&out);
    arena_release(&arena);
}

static const char ended_record[] =
    "{\"id\":\"r-3\",\"status_name\":\"FAILED\",\"cause\":\"threshold\",\"generation\":3,"
    "\"selector\":\"\",\"request\":{\"code_version\":\"2\",\"configuration\":{\"mode\":"
    "\"window\"}},\"progress\":{\"total_instances\":9,\"failed_instances\":3},\"waves\":[],"
    "\"started_at\":\"2031-01-01T10:00:00.000Z\",\"ended_at\":\"2031-01-01T10:01:00.000Z\","
    "\"members\":{\"instances\":[],\"count\":0},\"failures\":[{\"instance\":\"web-1\","
    "\"cause\":\"reported\",\"message\":\"update exit 1\\u001b[2J\"},{\"instance\":"
    "\"web-10\",\"cause\":\"timeout\",\"message\":\"\"}]}";

static void test_an_ended_record_tells_why_members_failed(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    record_add(&out, parse(&arena, ended_record), TEN_THIRTY_EIGHT, &no_terminal, false);

    assert_has(&out, "MEMBER  UPDATE  NOTE\n"
                     "web-1   failed  reported: update exit 1\\x1B[2J\n"
                     "web-10  failed  timeout\n"
                     "... 1 more that failed\n");
    buffer_release(&out);
    arena_release(&arena);
}

static const char record_in_waves[] =
    "{\"id\":\"r-42\",\"status_name\":\"RUNNING\",\"generation\":18,\"selector\":\"env=prod\","
    "\"request\":{\"code_version\":\"2.5.0\",\"configuration\":{\"batch_size\":\"10%\","
    "\"mode\":\"window\",\"failure_threshold\":25,\"min_available\":\"90%\"}},"
    "\"progress\":{\"total_instances\":370,\"pending_instances\":258,\"in_progress_instances\":16,"
    "\"completed_instances\":93,\"failed_instances\":3,\"offline_instances\":2},\"waves\":["
    "{\"name\":\"canary\",\"state\":\"passed\",\"mode\":\"window\",\"batch_limit\":2,\"soak\":"
    "\"5m\",\"opened_at\":\"2031-01-01T10:00:00.000Z\",\"passed_at\":\"2031-01-01T10:31:00.000Z\","
    "\"soak_until\":null,\"gates\":[],\"progress\":{\"total_instances\":10,"
    "\"completed_instances\":10}},"
    "{\"name\":\"zone-a\",\"state\":\"running\",\"mode\":\"barrier\",\"batch_limit\":16,\"soak\":"
    "\"15m\",\"opened_at\":\"2031-01-01T10:31:00.000Z\",\"passed_at\":null,\"soak_until\":null,"
    "\"gates\":[{\"name\":\"seen\",\"type\":\"manual\",\"state\":\"passed\"},{\"name\":\"errors\","
    "\"type\":\"manual\",\"state\":\"not_started\"}],\"progress\":{\"total_instances\":120,"
    "\"completed_instances\":83,\"in_progress_instances\":16,\"failed_instances\":3,"
    "\"pending_instances\":18,\"offline_instances\":2}},"
    "{\"name\":\"rest\",\"state\":\"not_started\",\"mode\":\"window\",\"batch_limit\":24,\"opened_"
    "at\":"
    "null,\"passed_at\":null,\"progress\":{\"total_instances\":240,\"pending_instances\":240}}],"
    "\"domains\":[{\"label\":\"zone\",\"value\":\"b\",\"busy\":0,\"max_in_progress\":20},"
    "{\"label\":\"zone\",\"value\":\"a\",\"busy\":16,\"max_in_progress\":20,\"max_failed\":30,"
    "\"progress\":{\"failed_instances\":3}},{\"label\":\"rack\",\"value\":null,\"busy\":1,"
    "\"max_in_progress\":1},{\"label\":\"rack\",\"value\":\"7\",\"busy\":1,\"max_in_progress\":4}],"
    "\"waiting\":[{\"reason\":\"batch_full\",\"message\":\"16 of 16 slots busy\"}],"
    "\"available\":349,\"allowed_verbs\":[\"pause\"],\"created_by\":null,\"reason\":null,"
    "\"started_at\":\"2031-01-01T10:00:00.000Z\",\"ended_at\":null}";

static void test_waves_gates_and_limits_are_shown(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    record_add(&out, parse(&arena, record_in_waves), TEN_THIRTY_EIGHT, &no_terminal, false);
    buffer_add_byte(&out, '\n');
    record_add_summary(&out, parse(&arena, record_in_waves));

    assert_is(&out,
              "rollout   r-42  env=prod   -> 2.5.0   generation 18\n"
              "state     RUNNING for 38m, wave 2 of 3 (zone-a)\n"
              "waiting   batch_full: 16 of 16 slots busy\n"
              "limits    failed 3 of 25   busy 16 of 16   available 94.3% (floor 90%)   "
              "no rack busy 1 of 1   zone=a busy 16 of 20   rack=7 busy 1 of 4\n"
              "next      soak 15m, gate errors (manual), then wave rest (240 instances)   "
              "allowed pause\n"
              "WAVE    MODE        TOTAL  DONE  BUSY  FAILED  PENDING  OFFLINE  STATE\n"
              "canary  window 2       10    10     0       0        0        0  passed 10:31Z\n"
              "zone-a  barrier 16    120    83    16       3       18        2  running\n"
              "rest    window 24     240     0     0       0      240        0  not_started\n"
              "\nr-42 RUNNING  done 93 of 370  busy 16  failed 3  pending 258  offline 2  "
              "waiting batch_full  wave 2 of 3 (zone-a)");
    buffer_release(&out);
    arena_release(&arena);
}

static void test_a_record_of_another_shape_is_shown_as_far_as_it_goes(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    record_add(&out, parse(&arena, "{\"id\":7,\"waves\":3,\"progress\":[],\"members\":null}"), 0,
               &no_terminal, true);

    assert_has(&out, "rollout   ?  (whole fleet)");
    assert_has(&out, "state     ?\n");
    buffer_release(&out);
    arena_release(&arena);
}

static unsigned count_lines_longer(struct text rest, unsigned limit)
{
    struct text line;
    unsigned count = 0;
    while (text_cut(&rest, '\n', &line))
        count += terminal_columns(line) > limit;
    return count;
}

static void test_lines_of_a_record_are_cut_at_the_width_of_the_terminal(void **state)
{
    const struct terminal narrow = { .is_live = true, .width = 30 };
    struct arena arena;
    struct buffer out = empty();
    struct text rest, line;
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    record_add(&out, parse(&arena, live_record), TEN_THIRTY_EIGHT, &narrow, false);

    assert_int_equal(count_lines_longer(buffer_text(&out), 30), 0);
    rest = buffer_text(&out);
    assert_true(text_cut(&rest, '\n', &line));
    assert_true(text_equal(line, TEXT("rollout   r-42  env=prod,role=")));
    buffer_release(&out);
    arena_release(&arena);
}

static void test_a_summary_is_one_line(void **state)
{
    struct arena arena;
    struct buffer out = empty();
    (void)state;
    arena_init(&arena, &memory_heap, 1024 * 1024);

    record_add_summary(&out, parse(&arena, live_record));

    assert_is(&out, "r-42 RUNNING  done 83 of 120  busy 16  failed 3  pending 18  offline 2  "
                    "waiting batch_full");
    buffer_release(&out);
    arena_release(&arena);
}

/* ---- exit codes ----------------------------------------------------------------------------- */

static void test_every_status_has_its_exit_code(void **state)
{
    (void)state;

    assert_int_equal(exit_of_status(400, TEXT("unknown_key")), 64);
    assert_int_equal(exit_of_status(401, TEXT_NONE), 9);
    assert_int_equal(exit_of_status(403, TEXT_NONE), 9);
    assert_int_equal(exit_of_status(404, TEXT("no_rollback_target")), 8);
    assert_int_equal(exit_of_status(409, TEXT("refused")), 7);
    assert_int_equal(exit_of_status(412, TEXT_NONE), 7);
    assert_int_equal(exit_of_status(422, TEXT("no_match")), 8);
    assert_int_equal(exit_of_status(422, TEXT("infeasible")), 1);
    assert_int_equal(exit_of_status(429, TEXT_NONE), 75);
    assert_int_equal(exit_of_status(500, TEXT_NONE), 1);
    assert_int_equal(exit_of_status(503, TEXT("store_unavailable")), 75);
    assert_int_equal(exit_of_status(302, TEXT_NONE), 1);
}

static void test_errors_of_this_side_have_exit_codes_too(void **state)
{
    struct err err = { 0 };
    (void)state;

    err_set(&err, ERR_UNAVAILABLE, "x");
    assert_int_equal(exit_of_err(&err), 75);
    err_set(&err, ERR_INVALID, "x");
    assert_int_equal(exit_of_err(&err), 64);
    err_set(&err, ERR_IO, "x");
    assert_int_equal(exit_of_err(&err), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_that_steers_a_terminal_is_shown_as_it_is),
        cmocka_unit_test(test_columns_are_those_of_the_screen),
        cmocka_unit_test(test_cutting_keeps_characters_whole),
        cmocka_unit_test(test_columns_are_aligned_and_lines_end_without_blanks),
        cmocka_unit_test(test_wide_appends_columns),
        cmocka_unit_test(test_lines_are_cut_at_the_width_of_the_terminal),
        cmocka_unit_test(test_the_next_page_has_no_titles_and_stands_in_line),
        cmocka_unit_test(test_colours_are_for_terminals_that_want_them),
        cmocka_unit_test(test_json_keeps_order_and_numbers_as_they_were_written),
        cmocka_unit_test(test_json_escapes_what_steers_a_terminal),
        cmocka_unit_test(test_no_text_ends_a_line_for_a_reader_of_yaml),
        cmocka_unit_test(test_yaml_quotes_what_it_would_misread),
        cmocka_unit_test(test_ages_have_two_units_at_most),
        cmocka_unit_test(test_a_live_record_is_shown_in_full),
        cmocka_unit_test(test_an_ended_record_tells_why_members_failed),
        cmocka_unit_test(test_waves_gates_and_limits_are_shown),
        cmocka_unit_test(test_a_record_of_another_shape_is_shown_as_far_as_it_goes),
        cmocka_unit_test(test_lines_of_a_record_are_cut_at_the_width_of_the_terminal),
        cmocka_unit_test(test_a_summary_is_one_line),
        cmocka_unit_test(test_every_status_has_its_exit_code),
        cmocka_unit_test(test_errors_of_this_side_have_exit_codes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
