/* SPDX-License-Identifier: Apache-2.0
 * test_words.c - a word of the wrong list or of another machine does not compile. Runs the compiler
 * of the build (SM_CC, arguments separated by blanks) on small programs that include SM_INCLUDE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* clang-format off */
static const char preamble[] =
    "#include \"sm/sm.h\"\n"
    "#define DOOR_STATES(X, T) X(T, DOOR_OPEN, \"open\", \"\") X(T, DOOR_SHUT, \"shut\", \"\")\n"
    "#define DOOR_EVENTS(X, T) X(T, DOOR_PUSH, \"push\", \"\")\n"
    "#define DOOR_GUARDS(X, T) X(T, DOOR_ALWAYS, \"always\", \"\") X(T, DOOR_FREE, \"free\", \"\")\n"
    "#define DOOR_EFFECTS(X, T) X(T, DOOR_RING, \"ring\", \"\")\n"
    "SM_STATES(door_state, DOOR_STATES);\n"
    "SM_EVENTS(door_event, DOOR_EVENTS);\n"
    "SM_GUARDS(door_guard, DOOR_GUARDS);\n"
    "SM_EFFECTS(door_effect, DOOR_EFFECTS);\n"
    "#define LAMP_STATES(X, T) X(T, LAMP_ON, \"on\", \"\")\n"
    "SM_STATES(lamp_state, LAMP_STATES);\n"
    "extern const struct sm_row rows[];\n"
    "unsigned event(void);\n";
/* clang-format on */

struct run {
    int status;
    char said[16384];
};

static void write_all(int fd, const char *text)
{
    for (size_t size = strlen(text); size > 0;) {
        ssize_t count = write(fd, text, size);
        assert_true(count > 0);
        text += count;
        size -= (size_t)count;
    }
}

/* In the child: becomes the compiler, its input and output being the given files. */
static _Noreturn void become_compiler(int in, int out)
{
    static char command[1024];
    char *argv[32], *rest = NULL, *include = getenv("SM_INCLUDE");
    size_t count = 0;
    snprintf(command, sizeof command, "%s", getenv("SM_CC"));
    for (char *word = strtok_r(command, " ", &rest); word && count < 16;
         word = strtok_r(NULL, " ", &rest))
        argv[count++] = word;
    char *more[] = { "-std=c11", "-pedantic-errors",
                     "-Wall",    "-Wextra",
                     "-Werror",  "-fsyntax-only",
                     "-I",       include,
                     "-x",       "c",
                     "-",        NULL };
    memcpy(argv + count, more, sizeof more);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(argv[0], argv);
    _exit(127);
}

static struct run compile(const char *source)
{
    struct run ret = { 0 };
    FILE *in = tmpfile(), *out = tmpfile();
    assert_true(in && out && getenv("SM_CC") && getenv("SM_INCLUDE"));
    write_all(fileno(in), preamble);
    write_all(fileno(in), source);
    rewind(in);

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_compiler(fileno(in), fileno(out));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 127);
    ret.status = WEXITSTATUS(status);

    rewind(out);
    ret.said[fread(ret.said, 1, sizeof ret.said - 1, out)] = '\0';
    fclose(in);
    fclose(out);
    return ret;
}

static void assert_compiles(const char *source)
{
    struct run run = compile(source);
    if (run.status != 0)
        print_error("%s", run.said);
    assert_int_equal(run.status, 0);
}

/* Fails, and for the reason that the word has no such mark. */
static void assert_lacks_mark(const char *source, const char *mark)
{
    struct run run = compile(source);
    assert_int_not_equal(run.status, 0);
    if (!strstr(run.said, mark))
        print_error("%s", run.said);
    assert_non_null(strstr(run.said, mark));
}

#define ROW(from, on, when, to, then)                                                              \
    "const struct sm_row rows[] = { SM_ROW(door, " from ", " on ", " when ", " to ", " then ") "   \
    "};\n"

static void test_right_words_compile(void **unused)
{
    (void)unused;

    assert_compiles(
        ROW("DOOR_OPEN", "DOOR_PUSH", "DOOR_FREE", "DOOR_SHUT", "SM_DO(door, DOOR_RING)"));
    assert_compiles(ROW("DOOR_OPEN", "DOOR_PUSH", "DOOR_ALWAYS", "SM_STAY", "0"));
    assert_compiles(ROW("DOOR_OPEN", "DOOR_PUSH", "DOOR_ALWAYS", "SM_REFUSE", "0"));
    assert_compiles("enum door_event e(void);\n"
                    "enum door_event e(void) { return SM_AS(door_event, DOOR_PUSH); }\n");
}

static void test_a_word_of_another_list_does_not_compile_in_a_row(void **unused)
{
    (void)unused;

    assert_lacks_mark(ROW("DOOR_PUSH", "DOOR_PUSH", "DOOR_FREE", "DOOR_SHUT", "0"),
                      "DOOR_PUSH_is_door_state");
    assert_lacks_mark(ROW("DOOR_OPEN", "DOOR_OPEN", "DOOR_FREE", "DOOR_SHUT", "0"),
                      "DOOR_OPEN_is_door_event");
    assert_lacks_mark(ROW("DOOR_OPEN", "DOOR_PUSH", "DOOR_RING", "DOOR_SHUT", "0"),
                      "DOOR_RING_is_door_guard");
    assert_lacks_mark(ROW("DOOR_OPEN", "DOOR_PUSH", "DOOR_FREE", "DOOR_FREE", "0"),
                      "DOOR_FREE_is_door_state");
    assert_lacks_mark(
        ROW("DOOR_OPEN", "DOOR_PUSH", "DOOR_FREE", "DOOR_SHUT", "SM_DO(door, DOOR_SHUT)"),
        "DOOR_SHUT_is_door_effect");
}

static void test_a_word_of_another_machine_does_not_compile_in_a_row(void **unused)
{
    (void)unused;

    assert_lacks_mark(ROW("DOOR_OPEN", "DOOR_PUSH", "DOOR_FREE", "LAMP_ON", "0"),
                      "LAMP_ON_is_door_state");
}

static void test_reserved_targets_are_not_events(void **unused)
{
    (void)unused;

    assert_lacks_mark(ROW("DOOR_OPEN", "SM_STAY", "DOOR_FREE", "DOOR_SHUT", "0"),
                      "SM_STAY_is_door_event");
}

static void test_a_word_of_another_list_does_not_compile_in_a_call(void **unused)
{
    (void)unused;

    assert_lacks_mark("unsigned event(void) { return SM_AS(door_event, DOOR_OPEN); }\n",
                      "DOOR_OPEN_is_door_event");
}

static void test_a_bare_number_does_not_compile_in_a_row(void **unused)
{
    (void)unused;

    assert_lacks_mark(ROW("0", "DOOR_PUSH", "DOOR_FREE", "DOOR_SHUT", "0"), "_is_door_state");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_words_compile),
        cmocka_unit_test(test_a_word_of_another_list_does_not_compile_in_a_row),
        cmocka_unit_test(test_a_word_of_another_machine_does_not_compile_in_a_row),
        cmocka_unit_test(test_reserved_targets_are_not_events),
        cmocka_unit_test(test_a_word_of_another_list_does_not_compile_in_a_call),
        cmocka_unit_test(test_a_bare_number_does_not_compile_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
