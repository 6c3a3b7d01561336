/* SPDX-License-Identifier: Apache-2.0
 * test_options.c - option rows against command lines, the environment and mistakes. */
#include "kit.h"

#include "cmd/exit_code.h"
#include "cmd/options.h"

struct sample_options {
    bool is_loud;
    const char *name;
    uint64_t count;
    int64_t time_ms;
    struct option_list pairs;
};

static int run_sample(const struct command *command, int argc, char **argv)
{
    (void)command;
    (void)argc;
    (void)argv;
    return EXIT_DONE;
}

/* clang-format off */
static const struct option_row rows[] = {
    { .name = "loud", .letter = 'L', .kind = OPTION_FLAG, .offset = offsetof(struct sample_options, is_loud),
      .meaning = "say more", .environment = "SAMPLE_LOUD" },
    { .name = "name", .letter = 'n', .kind = OPTION_TEXT, .offset = offsetof(struct sample_options, name),
      .argument = "NAME", .meaning = "whose", .fallback = "nobody", .environment = "SAMPLE_NAME" },
    { .name = "count", .kind = OPTION_COUNT, .offset = offsetof(struct sample_options, count),
      .argument = "N", .meaning = "how many", .fallback = "7", .environment = "SAMPLE_COUNT" },
    { .name = "time", .kind = OPTION_DURATION, .offset = offsetof(struct sample_options, time_ms),
      .argument = "TIME", .meaning = "how long" },
    { .name = "set", .kind = OPTION_LIST, .offset = offsetof(struct sample_options, pairs),
      .argument = "KEY=VALUE", .meaning = "what" },
};
/* clang-format on */
static const char *const synopsis[] = { "[OPTION]... [FILE]", NULL };
static const struct command sample = {
    .name = "sample",
    .summary = "be parsed",
    .synopsis = synopsis,
    COMMAND_OPTIONS(rows),
    .run = run_sample,
};

#define PARSE(options, operands, code, ...)                                                        \
    parse(options, operands, code, (const char *[]){ "sample" __VA_OPT__(, ) __VA_ARGS__, NULL })

/* Parses with stderr and stdout kept quiet: what is said is tested through the whole program. */
static bool parse(struct sample_options *options, struct operands *operands, int *code,
                  const char *const *words)
{
    static char *argv[16]; /* operands point into it */
    int argc = 0;
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    argv[argc] = NULL;
    *options = (struct sample_options){ .is_loud = false };
    return options_parse_few(&sample, argc, argv, 1, options, operands, code);
}

static void test_what_is_not_given_has_its_fallback(void **state)
{
    struct sample_options options;
    struct operands operands;
    int code;
    (void)state;

    assert_true(PARSE(&options, &operands, &code));

    assert_false(options.is_loud);
    assert_string_equal(options.name, "nobody");
    assert_int_equal(options.count, 7);
    assert_int_equal(options.time_ms, 0);
    assert_int_equal(options.pairs.count, 0);
    assert_int_equal(operands.count, 0);
}

static void test_options_and_operands_may_be_mixed(void **state)
{
    struct sample_options options;
    struct operands operands;
    int code;
    (void)state;

    assert_true(PARSE(&options, &operands, &code, "file", "--count=3", "-Ln", "ana", "--time",
                      "1m30s", "--set", "a=1", "--set", "b=2"));

    assert_true(options.is_loud);
    assert_string_equal(options.name, "ana");
    assert_int_equal(options.count, 3);
    assert_int_equal(options.time_ms, 90000);
    assert_int_equal(options.pairs.count, 2);
    assert_string_equal(options.pairs.items[1], "b=2");
    assert_int_equal(operands.count, 1);
    assert_string_equal(operands.list[0], "file");
}

static void test_after_two_dashes_everything_is_an_operand(void **state)
{
    struct sample_options options;
    struct operands operands;
    int code;
    (void)state;

    assert_true(PARSE(&options, &operands, &code, "--", "--loud"));

    assert_false(options.is_loud);
    assert_string_equal(operands.list[0], "--loud");
}

static void test_the_environment_beats_the_fallback_and_loses_to_the_line(void **state)
{
    struct sample_options options;
    struct operands operands;
    int code;
    (void)state;
    setenv("SAMPLE_NAME", "env", 1);
    setenv("SAMPLE_COUNT", "9", 1);
    setenv("SAMPLE_LOUD", "1", 1);

    assert_true(PARSE(&options, &operands, &code, "--name", "line"));

    assert_string_equal(options.name, "line");
    assert_int_equal(options.count, 9);
    assert_true(options.is_loud);
    setenv("SAMPLE_LOUD", "0", 1);
    assert_true(PARSE(&options, &operands, &code));
    assert_string_equal(options.name, "env");
    assert_false(options.is_loud);
    unsetenv("SAMPLE_NAME");
    unsetenv("SAMPLE_COUNT");
    unsetenv("SAMPLE_LOUD");
}

static void test_values_of_the_wrong_kind_are_wrong_usage(void **state)
{
    struct sample_options options;
    struct operands operands;
    int code = 0;
    (void)state;

    assert_false(PARSE(&options, &operands, &code, "--count", "three"));
    assert_int_equal(code, EXIT_USAGE);
    code = 0;
    assert_false(PARSE(&options, &operands, &code, "--time", "3 hours"));
    assert_int_equal(code, EXIT_USAGE);
    code = 0;
    setenv("SAMPLE_COUNT", "many", 1);
    assert_false(PARSE(&options, &operands, &code));
    assert_int_equal(code, EXIT_USAGE);
    unsetenv("SAMPLE_COUNT");
}

static void test_one_operand_too_many_is_wrong_usage(void **state)
{
    struct sample_options options;
    struct operands operands;
    int code = 0;
    (void)state;

    assert_false(PARSE(&options, &operands, &code, "one", "two"));

    assert_int_equal(code, EXIT_USAGE);
}

static void test_more_of_a_list_than_there_is_room_for_is_wrong_usage(void **state)
{
    char *argv[2 * (OPTION_LIST_MAX + 1) + 2] = { (char *)(uintptr_t) "sample" };
    struct sample_options options = { .is_loud = false };
    struct operands operands;
    int argc = 1, code = 0;
    (void)state;
    for (int i = 0; i <= OPTION_LIST_MAX; i++) {
        argv[argc++] = (char *)(uintptr_t) "--set";
        argv[argc++] = (char *)(uintptr_t) "a=1";
    }

    assert_false(options_parse(&sample, argc, argv, &options, &operands, &code));

    assert_int_equal(code, EXIT_USAGE);
    assert_int_equal(options.pairs.count, OPTION_LIST_MAX);
}

static void test_distances_count_slips_of_the_finger(void **state)
{
    (void)state;

    assert_int_equal(name_distance("batch", "batch"), 0);
    assert_int_equal(name_distance("bacth", "batch"), 1); /* swapped */
    assert_int_equal(name_distance("batc", "batch"), 1);
    assert_int_equal(name_distance("xbatch", "batch"), 1);
    assert_int_equal(name_distance("butch", "batch"), 1);
    assert_int_equal(name_distance("", "batch"), 5);
    assert_int_equal(name_distance("kitten", "sitting"), 3);
}

/* ---- through the whole program -------------------------------------------------------------- */

static void test_a_mistyped_option_gets_a_hint_and_the_synopsis(void **state)
{
    struct said said = dides("deploy", "--bacth", "3", NULL);
    (void)state;

    assert_int_equal(said.code, 64);
    assert_is(&said.out, "");
    assert_has(&said.err, "dides: deploy: unknown option --bacth; did you mean --batch?\n");
    assert_has(&said.err, "usage: dides deploy --code V");
    said_release(&said);
}

static void test_an_option_that_resembles_nothing_gets_no_hint(void **state)
{
    struct said said = dides("deploy", "--frobnicate=1", NULL);
    (void)state;

    assert_int_equal(said.code, 64);
    assert_has(&said.err, "unknown option --frobnicate\n");
    assert_lacks(&said.err, "did you mean");
    said_release(&said);
}

static void test_each_way_to_misuse_an_option_is_told_apart(void **state)
{
    struct said letter = dides("deploy", "-q", NULL);
    struct said missing = dides("deploy", "--code", NULL);
    struct said needless = dides("deploy", "--all=yes", NULL);
    (void)state;

    assert_int_equal(letter.code, 64);
    assert_has(&letter.err, "unknown option -q\n");
    assert_int_equal(missing.code, 64);
    assert_has(&missing.err, "--code needs an argument\n");
    assert_int_equal(needless.code, 64);
    assert_has(&needless.err, "--all=yes takes no argument\n");
    said_release(&letter);
    said_release(&missing);
    said_release(&needless);
}

static void test_a_mistyped_command_gets_a_hint(void **state)
{
    struct said near = dides("rollot", NULL);
    struct said far = dides("frobnicate", NULL);
    struct said none = dides(NULL, NULL);
    (void)state;

    assert_int_equal(near.code, 64);
    assert_is(&near.err, "dides: no command is called \"rollot\"; did you mean rollout?\n");
    assert_int_equal(far.code, 64);
    assert_has(&far.err, "dides help lists them");
    assert_int_equal(none.code, 64);
    assert_is(&none.out, "");
    assert_has(&none.err, "Commands:\n");
    said_release(&near);
    said_release(&far);
    said_release(&none);
}

static void test_control_characters_of_arguments_are_not_echoed(void **state)
{
    struct said said = dides("\033[2Jx", NULL);
    (void)state;

    assert_lacks(&said.err, "\033");
    assert_has(&said.err, "\\x1B[2Jx");
    said_release(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_given_has_its_fallback),
        cmocka_unit_test(test_options_and_operands_may_be_mixed),
        cmocka_unit_test(test_after_two_dashes_everything_is_an_operand),
        cmocka_unit_test(test_the_environment_beats_the_fallback_and_loses_to_the_line),
        cmocka_unit_test(test_values_of_the_wrong_kind_are_wrong_usage),
        cmocka_unit_test(test_one_operand_too_many_is_wrong_usage),
        cmocka_unit_test(test_more_of_a_list_than_there_is_room_for_is_wrong_usage),
        cmocka_unit_test(test_distances_count_slips_of_the_finger),
        cmocka_unit_test(test_a_mistyped_option_gets_a_hint_and_the_synopsis),
        cmocka_unit_test(test_an_option_that_resembles_nothing_gets_no_hint),
        cmocka_unit_test(test_each_way_to_misuse_an_option_is_told_apart),
        cmocka_unit_test(test_a_mistyped_command_gets_a_hint),
        cmocka_unit_test(test_control_characters_of_arguments_are_not_echoed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
