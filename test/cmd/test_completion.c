/* SPDX-License-Identifier: Apache-2.0
 * test_completion.c - what words on the command line are completed to: from the rows, from a server
 * with canned answers, and through the script in a real bash. */
#include "kit.h"

#include "cmd/commands.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSTANCES                                                                                  \
    "{\"instances\":[{\"name\":\"web-1\",\"status_name\":\"HEALTHY\",\"labels\":{\"env\":"         \
    "\"prod\",\"zone\":\"a\"}},{\"name\":\"web-2\",\"status_name\":\"FAI\\u001bLED\",\"labels\":"  \
    "{\"env\":\"stage\",\"zone\":\"a\"}},{\"name\":\"$(reboot)\",\"labels\":{\"a b\":\"`c`\"}},"   \
    "{\"name\":\":files\"}]}"
#define ROLLOUTS                                                                                   \
    "{\"deployments\":[{\"id\":\"r-42\",\"status_name\":\"RUNNING\"},{\"id\":\"r-41\","            \
    "\"status_name\":\"COMPLETED\"}]}"
#define LIVE "{\"deployments\":[{\"id\":\"r-42\",\"status_name\":\"RUNNING\"}]}"

/* The one line `line` is among the answers. */
static bool has_line(struct said *said, const char *line)
{
    struct text rest = buffer_text(&said->out), part;
    while (rest.data && text_cut(&rest, '\n', &part))
        if (text_equal(part, text_from(line)))
            return true;
    return false;
}

/* ---- from the rows -------------------------------------------------------------------------- */

static void test_every_command_that_help_lists_is_offered(void **state)
{
    (void)state;

    struct said said = dides("complete", "--", "", NULL);

    assert_int_equal(said.code, 0);
    for (size_t i = 0; i < command_count; i++) {
        char line[256];
        snprintf(line, sizeof line, "%s\t%s", commands[i]->name, commands[i]->summary);
        assert_int_equal(has_line(&said, line), !commands[i]->is_hidden);
    }
    said_release(&said);
}

static void test_a_command_is_completed_from_its_beginning(void **state)
{
    struct said said = dides("complete", "--", "rollo", NULL);
    (void)state;

    assert_is(&said.out, "rollouts\tlist rollouts, newest first\n"
                         "rollout\tshow one rollout, or watch it\n");
    said_release(&said);
}

static void test_every_option_of_every_command_is_offered(void **state)
{
    (void)state;

    for (size_t i = 0; i < command_count; i++) {
        struct said said = dides("complete", "--", commands[i]->name, "--", NULL);
        for (size_t o = 0; o < commands[i]->option_count; o++) {
            char line[512];
            snprintf(line, sizeof line, "--%s\t%s", commands[i]->options[o].name,
                     commands[i]->options[o].meaning);
            assert_true(has_line(&said, line));
        }
        assert_has(&said.out, "--help\t");
        said_release(&said);
    }
}

static void test_an_option_that_was_given_is_not_offered_again(void **state)
{
    struct said once = dides("complete", "--", "deploy", "-l", "a=b", "--code=1", "--", NULL);
    struct said often = dides("complete", "--", "server", "--set", "a=b", "--s", NULL);
    (void)state;

    assert_lacks(&once.out, "--selector");
    assert_lacks(&once.out, "--code");
    assert_has(&once.out, "--config\t");
    assert_has(&often.out, "--set\t");
    said_release(&once);
    said_release(&often);
}

static void test_choices_complete_the_argument_in_every_spelling(void **state)
{
    struct said apart = dides("complete", "--", "deploy", "--on-failure", "", NULL);
    struct said letter = dides("complete", "--", "rollouts", "-o", "j", NULL);
    struct said joined = dides("complete", "--", "rollouts", "--output=y", NULL);
    struct said bundled = dides("complete", "--", "abort", "-yo", "w", NULL);
    (void)state;

    assert_is(&apart.out, "rollback\npause\nabort\n");
    assert_is(&letter.out, "json\njsonl\n");
    assert_is(&joined.out, "--output=yaml\n");
    assert_is(&bundled.out, "wide\n");
    said_release(&apart);
    said_release(&letter);
    said_release(&joined);
    said_release(&bundled);
}

static void test_the_last_of_a_list_is_completed(void **state)
{
    struct said said = dides("complete", "--", "events", "--types", "member.left,rollback.", NULL);
    (void)state;

    assert_is(&said.out, "member.left,rollback.started\n");
    said_release(&said);
}

static void test_files_and_folders_are_left_to_the_shell(void **state)
{
    struct said file = dides("complete", "--", "deploy", "-f", "x", NULL);
    struct said folder = dides("complete", "--", "server", "--data=x", NULL);
    struct said operand = dides("complete", "--", "sim", "", NULL);
    (void)state;

    assert_is(&file.out, ":files\n");
    assert_is(&folder.out, ":folders\n");
    assert_is(&operand.out, ":files\n");
    said_release(&file);
    said_release(&folder);
    said_release(&operand);
}

static void test_operands_follow_each_other(void **state)
{
    struct said first = dides("complete", "--", "machine", "", NULL);
    struct said second = dides("complete", "--", "machine", "--json", "show", "ro", NULL);
    struct said third = dides("complete", "--", "machine", "show", "rollout", "r", NULL);
    struct said shell = dides("complete", "--", "completion", "", NULL);
    (void)state;

    assert_is(&first.out, "list\nshow\ncheck\n");
    assert_is(&second.out, "rollout\n");
    assert_is(&third.out, "");
    assert_is(&shell.out, "bash\nzsh\nfish\n");
    said_release(&first);
    said_release(&second);
    said_release(&third);
    said_release(&shell);
}

static void test_after_two_dashes_there_are_no_options(void **state)
{
    struct said said = dides("complete", "--", "version", "--", "-", NULL);
    (void)state;

    assert_is(&said.out, "");
    said_release(&said);
}

static void test_nonsense_is_completed_to_nothing_in_silence(void **state)
{
    struct said command = dides("complete", "--", "dploy", "--", NULL);
    struct said option = dides("complete", "--", "deploy", "--nonsense=", NULL);
    struct said text = dides("complete", "--", "pause", "--reason", "", NULL);
    (void)state;

    assert_int_equal(command.code, 0);
    assert_is(&command.out, "");
    assert_is(&option.out, "");
    assert_is(&text.out, "");
    assert_is(&command.err, "");
    said_release(&command);
    said_release(&option);
    said_release(&text);
}

/* ---- from the server ------------------------------------------------------------------------ */

static void test_verbs_offer_live_rollouts_and_the_others_all(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200, LIVE);
    kit_answer(kit, "GET /deploy", 200, ROLLOUTS);

    struct said live = dides("complete", "--", "pause", "", NULL);
    struct said all = dides("complete", "--", "rollback", "r-", NULL);
    struct said option = dides("complete", "--", "events", "--deployment=", NULL);

    assert_is(&live.out, "r-42\tRUNNING\n");
    assert_is(&all.out, "r-42\tRUNNING\nr-41\tCOMPLETED\n");
    assert_is(&option.out, "--deployment=r-42\tRUNNING\n--deployment=r-41\tCOMPLETED\n");
    said_release(&live);
    said_release(&all);
    said_release(&option);
}

static void test_names_are_offered_unless_a_shell_would_read_them(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 200, INSTANCES);

    struct said first = dides("complete", "--", "instances", "", NULL);
    struct said removed = dides("complete", "--", "instances", "rm", "web-2", NULL);

    assert_is(&first.out, "rm\nweb-1\tHEALTHY\nweb-2\tFAI\\x1BLED\n");
    assert_is(&removed.out, "web-2\tFAI\\x1BLED\n");
    said_release(&first);
    said_release(&removed);
}

static void test_a_domain_is_completed_up_to_its_limit(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 200, INSTANCES);

    struct said keys = dides("complete", "--", "deploy", "--domain", "z", NULL);
    struct said limit = dides("complete", "--", "deploy", "--domain", "zone=", NULL);

    assert_is(&keys.out, "zone=\n");
    assert_is(&limit.out, "");
    said_release(&keys);
    said_release(&limit);
}

static void test_a_selector_is_completed_label_by_label(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 200, INSTANCES);

    struct said keys = dides("complete", "--", "deploy", "-l", "", NULL);
    struct said values = dides("complete", "--", "deploy", "-l", "env=", NULL);
    struct said next = dides("complete", "--", "deploy", "-l", "env=prod,z", NULL);
    struct said unequal = dides("complete", "--", "deploy", "--selector=zone=a,env!=s", NULL);

    assert_is(&keys.out, "env=\nzone=\n");
    assert_is(&values.out, "env=prod\nenv=stage\n");
    assert_is(&next.out, "env=prod,zone=\n");
    assert_is(&unequal.out, "--selector=zone=a,env!=stage\n");
    said_release(&keys);
    said_release(&values);
    said_release(&next);
    said_release(&unequal);
}

static void test_pages_are_followed(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances?limit=1000&cursor=x%2F", 200,
               "{\"instances\":[{\"name\":\"b\"}]}");
    kit_answer(kit, "GET /inventory/instances?limit=1000", 200,
               "{\"instances\":[{\"name\":\"a\"}],\"next_cursor\":\"x/\"}");

    struct said said = dides("complete", "--", "instances", "rm", "", NULL);

    assert_is(&said.out, "a\nb\n");
    said_release(&said);
}

static void test_the_server_and_token_on_the_line_are_used(void **state)
{
    struct kit *kit = *state;
    char url[128];
    kit_answer(kit, "GET /deploy/status", 200, LIVE);
    snprintf(url, sizeof url, "%s", getenv("DIDES_SERVER"));
    setenv("DIDES_SERVER", "http://127.0.0.1:1", 1);

    struct said elsewhere = dides("complete", "--", "pause", "", NULL);
    struct said said =
        dides("complete", "--", "pause", "--server", url, "--token=secret", "", NULL);

    assert_lacks(&elsewhere.out, "r-42");
    assert_has(&elsewhere.out, "--reason\t");
    assert_is(&said.out, "r-42\tRUNNING\n");
    assert_string_equal(kit_heard(kit), "GET /deploy/status auth=Bearer secret\n");
    said_release(&elsewhere);
    said_release(&said);
}

static void test_a_server_that_fails_is_passed_over_in_silence(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 401, "{\"detail\":\"who are you?\"}");

    struct said refused = dides("complete", "--", "instances", "r", NULL);
    struct said file =
        dides("complete", "--", "instances", "--token-file", "no-such-file", "r", NULL);
    kit_stop(kit);
    struct said gone = dides("complete", "--", "instances", "r", NULL);

    assert_is(&refused.out, "rm\n");
    assert_is(&refused.err, "");
    assert_is(&file.out, "rm\n");
    assert_is(&file.err, "");
    assert_is(&gone.out, "rm\n");
    assert_is(&gone.err, "");
    assert_int_equal(gone.code, 0);
    said_release(&refused);
    said_release(&file);
    said_release(&gone);
}

static void test_a_silent_server_is_given_up_after_a_second(void **state)
{
    struct kit *kit = *state;
    struct timespec start, end;
    kit_stream(kit, "GET /inventory/instances", "", true);

    clock_gettime(CLOCK_MONOTONIC, &start);
    struct said said = dides("complete", "--", "instances", "r", NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);

    assert_is(&said.out, "rm\n");
    assert_true(end.tv_sec - start.tv_sec < 10);
    said_release(&said);
}

/* ---- the scripts ---------------------------------------------------------------------------- */

static void test_a_script_is_printed_for_three_shells_only(void **state)
{
    struct said none = dides("completion", NULL);
    struct said other = dides("completion", "tcsh", NULL);
    (void)state;

    assert_int_equal(none.code, 64);
    assert_int_equal(other.code, 64);
    assert_has(&other.err, "bash, zsh or fish?");
    said_release(&none);
    said_release(&other);
}

/* What a program says on stdout and stderr; release it. False: there is no such program. */
static bool run_shell(const char *const *arguments, struct buffer *ret)
{
    int ends[2], status;
    char bytes[4096];
    ssize_t size;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(ends[1]);
    buffer_init(ret, &memory_heap, 1 << 20);
    while ((size = read(ends[0], bytes, sizeof bytes)) > 0)
        buffer_add(ret, (struct text){ bytes, (size_t)size });
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) != 127;
}

/* COMPREPLY is asked for as readline would: words split at its signs. */
#define ASK                                                                                        \
    "source <(\"$DIDES\" completion bash)\n"                                                       \
    "ask() { COMP_LINE=$1; shift; COMP_POINT=${#COMP_LINE}; COMP_WORDS=(\"$@\")\n"                 \
    "COMP_CWORD=$(($# - 1)); _dides; printf '<%s>' \"${COMPREPLY[@]}\"; echo; }\n"                 \
    "d=$DIDES\n"                                                                                   \
    "ask \"$d deploy --on-fail\" $d deploy --on-fail\n"                                            \
    "ask \"$d deploy --on-failure=p\" $d deploy --on-failure = p\n"                                \
    "ask \"$d deploy -l env=\" $d deploy -l env =\n"                                               \
    "ask \"$d deploy -l env=prod,zo\" $d deploy -l env = prod,zo\n"                                \
    "ask \"$d pause \" $d pause ''\n"                                                              \
    "ask \"$d server --data /us\" $d server --data /us\n"                                          \
    "ask \"$d instances nowhere\" $d instances nowhere\n"                                          \
    "complete -p dides\n"

static void test_bash_completes_with_the_script(void **state)
{
    struct kit *kit = *state;
    const char *const arguments[] = { "bash", "--norc", "--noprofile", "-c", ASK, NULL };
    struct buffer said;
    kit_answer(kit, "GET /inventory/instances", 200, INSTANCES);
    kit_answer(kit, "GET /deploy/status", 200, LIVE);

    if (!run_shell(arguments, &said)) {
        print_message("bash is not installed\n");
        buffer_release(&said);
        skip();
    }

    assert_is(&said, "<--on-failure>\n"
                     "<pause>\n"
                     "<prod><stage>\n"
                     "<prod,zone=>\n"
                     "<r-42>\n"
                     "</usr>\n"
                     "<>\n"
                     "complete -F _dides dides\n");
    buffer_release(&said);
}

/* Loaded without fault, in shells that are installed. */
static void check_loads(const char *shell, const char *code)
{
    const char *const arguments[] = { shell, "-c", code, NULL };
    struct buffer said;
    if (!run_shell(arguments, &said)) {
        print_message("%s is not installed\n", shell);
        buffer_release(&said);
        skip();
    }
    assert_is(&said, "loaded\n");
    buffer_release(&said);
}

static void test_zsh_loads_the_script(void **state)
{
    (void)state;
    check_loads("zsh", "autoload -U compinit && compinit -D -u\n"
                       "source <($DIDES completion zsh)\n"
                       "[[ $_comps[dides] == _dides ]] && echo loaded");
}

static void test_fish_completes_with_the_script(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200, LIVE);
    check_loads("fish", "$DIDES completion fish | source\n"
                        "set -x PATH (dirname $DIDES) $PATH\n"
                        "test (complete -C 'dides pause ') = r-42\\tRUNNING; and echo loaded");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_open, kit_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_command_that_help_lists_is_offered),
        TEST(test_a_command_is_completed_from_its_beginning),
        TEST(test_every_option_of_every_command_is_offered),
        TEST(test_an_option_that_was_given_is_not_offered_again),
        TEST(test_choices_complete_the_argument_in_every_spelling),
        TEST(test_the_last_of_a_list_is_completed),
        TEST(test_files_and_folders_are_left_to_the_shell),
        TEST(test_operands_follow_each_other),
        TEST(test_after_two_dashes_there_are_no_options),
        TEST(test_nonsense_is_completed_to_nothing_in_silence),
        TEST(test_verbs_offer_live_rollouts_and_the_others_all),
        TEST(test_names_are_offered_unless_a_shell_would_read_them),
        TEST(test_a_domain_is_completed_up_to_its_limit),
        TEST(test_a_selector_is_completed_label_by_label),
        TEST(test_pages_are_followed),
        TEST(test_the_server_and_token_on_the_line_are_used),
        TEST(test_a_server_that_fails_is_passed_over_in_silence),
        TEST(test_a_silent_server_is_given_up_after_a_second),
        TEST(test_a_script_is_printed_for_three_shells_only),
        TEST(test_bash_completes_with_the_script),
        TEST(test_zsh_loads_the_script),
        TEST(test_fish_completes_with_the_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
