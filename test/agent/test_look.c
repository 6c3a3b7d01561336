/* SPDX-License-Identifier: Apache-2.0
 * test_look.c - what the end of a command means: versions, health, and sentences that are bounded
 * and escaped. */
#include "agent/look.h"
#include "base/suite.h"

static struct command_result exited(int code, struct text output)
{
    return (struct command_result){ COMMAND_EXITED, code, output, output };
}

static struct text text_of(const struct look_note *note)
{
    return (struct text){ note->bytes, note->size };
}

static bool read_version(struct text output, struct life_version *ret, struct look_note *why)
{
    const struct command_result result = exited(0, output);
    return look_version(&result, ret, why);
}

static void test_a_version_is_two_lines_without_blanks(void **state)
{
    struct life_version v = { 0 };
    struct look_note why;
    (void)state;

    assert_true(read_version(TEXT(" 1.2.3 \r\n c7\nmore\n"), &v, &why));

    assert_text(life_part_text(&v.code), "1.2.3");
    assert_text(life_part_text(&v.config), "c7");
}

static void test_the_configuration_may_be_missing(void **state)
{
    struct life_version v = { 0 };
    struct look_note why;
    (void)state;

    assert_true(read_version(TEXT("1.2.3"), &v, &why));

    assert_int_equal(v.config.size, 0);
}

static void test_what_is_no_version_is_refused(void **state)
{
    static char longer[LIMIT_VERSION + 1];
    struct life_version v = { .code = { .size = 1, .bytes = "x" } };
    struct look_note why;
    const struct command_result failed = exited(3, TEXT("1.0\n"));
    (void)state;
    memset(longer, 'v', sizeof longer);

    assert_false(read_version(TEXT(""), &v, &why));
    assert_text(text_of(&why), "version_command printed no version");
    assert_false(read_version(TEXT("\nc1"), &v, &why));
    assert_false(read_version(TEXT("1.0\x1b[31m"), &v, &why));
    assert_false(read_version(TEXT("1.0\0\n"), &v, &why));
    assert_false(read_version(TEXT("\xff\xfe"), &v, &why));
    assert_false(read_version((struct text){ longer, sizeof longer }, &v, &why));
    assert_false(look_version(&failed, &v, &why));
    assert_text(text_of(&why), "version_command ended with exit code 3: 1.0");
    assert_text(life_part_text(&v.code), "x");
}

static void test_health_is_told_by_the_exit_code(void **state)
{
    static const struct {
        enum command_end end;
        int number;
        enum instance_state status;
    } cases[] = {
        { COMMAND_EXITED, 0, INSTANCE_HEALTHY },     { COMMAND_EXITED, 1, INSTANCE_DEGRADED },
        { COMMAND_EXITED, 2, INSTANCE_FAILED },      { COMMAND_EXITED, 255, INSTANCE_FAILED },
        { COMMAND_TIMED_OUT, 0, INSTANCE_DEGRADED }, { COMMAND_KILLED, 9, INSTANCE_FAILED },
        { COMMAND_NOT_RUN, 2, INSTANCE_FAILED },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct command_result result = { .end = cases[i].end, .number = cases[i].number };
        struct look_note note;
        assert_int_equal(look_health(&result, &note), cases[i].status);
        assert_int_equal(note.size == 0, cases[i].status == INSTANCE_HEALTHY);
    }
}

static void test_the_last_line_is_escaped(void **state)
{
    const struct command_result result =
        exited(1, TEXT("first\nbad \x1b[2J\x07 \xc2\x9b \xff caf\xc3\xa9\n\n  \n"));
    struct look_note note;
    (void)state;

    look_end("update_command", &result, &note);

    assert_text(
        text_of(&note),
        "update_command ended with exit code 1: bad \\x1b[2J\\x07 \\xc2\\x9b \\xff caf\xc3\xa9");
}

static void test_a_sentence_is_bounded_and_cut_at_a_character(void **state)
{
    static char flood[4096];
    const struct command_result result = exited(1, (struct text){ flood, sizeof flood });
    struct look_note note;
    (void)state;
    for (size_t i = 0; i < sizeof flood; i += 2)
        memcpy(flood + i, "\xc3\xa9", 2);

    look_end("update_command", &result, &note);

    assert_true(note.size > LIMIT_MESSAGE - 2 && note.size <= LIMIT_MESSAGE);
    assert_true(text_is_utf8(text_of(&note)));
}

static void test_ends_are_told_apart(void **state)
{
    static const struct {
        enum command_end end;
        int number;
        const char *sentence;
    } cases[] = {
        { COMMAND_KILLED, 15, "x ended with signal 15" },
        { COMMAND_TIMED_OUT, 0, "x ended with its timeout" },
        { COMMAND_STOPPED, 0, "x ended with the stop of the agent" },
        { COMMAND_NOT_RUN, 2, "x could not be started: No such file or directory" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct command_result result = { .end = cases[i].end, .number = cases[i].number };
        struct look_note note;
        look_end("x", &result, &note);
        assert_text(text_of(&note), cases[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_version_is_two_lines_without_blanks),
        cmocka_unit_test(test_the_configuration_may_be_missing),
        cmocka_unit_test(test_what_is_no_version_is_refused),
        cmocka_unit_test(test_health_is_told_by_the_exit_code),
        cmocka_unit_test(test_the_last_line_is_escaped),
        cmocka_unit_test(test_a_sentence_is_bounded_and_cut_at_a_character),
        cmocka_unit_test(test_ends_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
