/* SPDX-License-Identifier: Apache-2.0
 * test_process.c - real commands: their output, their ends, what they get and what they do not, and
 * that nothing of them is left when they are ended. */
#include "agent/process.h"
#include "base/suite.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_MS  60000
#define GRACE_MS 300

struct kit {
    char folder[64];
    char path[128]; /* of the script written last */
    struct loop *loop;
    struct process *process;
    struct command_port port;
    struct command_result result;
    char head[COMMAND_HEAD_MAX + 1];
    char output[COMMAND_OUTPUT_MAX + 1];
    bool is_done;
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    struct err err = { 0 };
    assert_non_null(kit);
    snprintf(kit->folder, sizeof kit->folder, "agent-process-XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    kit->loop = loop_new(&err);
    assert_non_null(kit->loop);
    assert_true(process_new(kit->loop, -1, GRACE_MS, &kit->process, &err));
    kit->port = process_port(kit->process);
    *state = kit;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    process_free(kit->process);
    loop_free(kit->loop);
    nftw(kit->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(kit);
    return 0;
}

static const char *inside(const struct kit *kit, const char *name, char space[static 128])
{
    snprintf(space, 128, "%s/%s", kit->folder, name);
    return space;
}

/* A program of that text. */
static const char *script(struct kit *kit, const char *text)
{
    inside(kit, "script", kit->path);
    int fd = open(kit->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(dprintf(fd, "#!/bin/sh\ncd %s || exit 99\n%s\n", kit->folder, text) > 0, 1);
    close(fd);
    return kit->path;
}

static void on_done(void *ctx, const struct command_result *result)
{
    struct kit *kit = ctx;
    kit->result = *result;
    memcpy(kit->head, result->head.data, result->head.size);
    kit->head[result->head.size] = '\0';
    memcpy(kit->output, result->output.data, result->output.size);
    kit->output[result->output.size] = '\0';
    kit->is_done = true;
}

static void begin(struct kit *kit, const char *const *words, int64_t timeout_ms)
{
    static const char *const environment[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
                                               "DIDES_CODE_VERSION=$(id); `id`", NULL };
    const struct command_order order = { words, environment, timeout_ms };
    kit->is_done = false;
    assert_true(kit->port.start(kit->port.self, &order, on_done, kit));
    assert_false(kit->is_done);
}

static void finish(struct kit *kit)
{
    while (!kit->is_done)
        loop_step(kit->loop, true);
}

static void run_for(struct kit *kit, const char *text, int64_t timeout_ms)
{
    begin(kit, (const char *const[]){ script(kit, text), NULL }, timeout_ms);
    finish(kit);
}

static void run(struct kit *kit, const char *text)
{
    run_for(kit, text, LONG_MS);
}

static bool exists(const struct kit *kit, const char *name)
{
    char path[128];
    return access(inside(kit, name, path), F_OK) == 0;
}

static void wait_for_file(struct kit *kit, const char *name)
{
    while (!exists(kit, name))
        usleep(2000);
}

/* The process whose number stands in the file; gone is also who is a zombie of init. */
static bool is_gone(struct kit *kit, const char *name)
{
    char path[128], line[512] = "";
    int number = 0;
    FILE *file = fopen(inside(kit, name, path), "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &number), 1);
    fclose(file);
    snprintf(path, sizeof path, "/proc/%d/stat", number);
    file = fopen(path, "re");
    if (!file)
        return true;
    bool has_line = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *after_name = has_line ? strrchr(line, ')') : NULL;
    return !after_name || after_name[2] == 'Z' || after_name[2] == 'X';
}

static void wait_until_gone(struct kit *kit, const char *name)
{
    while (!is_gone(kit, name))
        usleep(2000);
}

/* ---- ends --------------------------------------------------------------------------------------
 */

static void test_exit_code_and_both_outputs_come_back(void **state)
{
    struct kit *kit = *state;

    run(kit, "echo to stdout; echo to stderr >&2; exit 7");

    assert_int_equal(kit->result.end, COMMAND_EXITED);
    assert_int_equal(kit->result.number, 7);
    assert_string_equal(kit->head, "to stdout\n");
    assert_non_null(strstr(kit->output, "to stdout\n"));
    assert_non_null(strstr(kit->output, "to stderr\n"));
}

static void test_one_command_follows_the_other(void **state)
{
    struct kit *kit = *state;

    for (int i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "exit %d", i);
        run(kit, text);
        assert_int_equal(kit->result.number, i);
    }
}

static void test_of_much_output_the_end_is_kept_and_of_stdout_the_beginning(void **state)
{
    struct kit *kit = *state;

    run(kit, "echo first; i=0; while [ $i -lt 9000 ]; do echo 'a line of forty bytes, more or "
             "less, $i'; "
             "i=$((i+1)); done; echo last >&2");

    assert_int_equal(kit->result.output.size, COMMAND_OUTPUT_MAX);
    assert_int_equal(kit->result.head.size, COMMAND_HEAD_MAX);
    assert_memory_equal(kit->head, "first\n", 6);
    assert_null(strstr(kit->output, "first\n"));
}

static void test_a_signal_from_elsewhere_is_told(void **state)
{
    struct kit *kit = *state;

    run(kit, "kill -USR1 $$");

    assert_int_equal(kit->result.end, COMMAND_KILLED);
    assert_int_equal(kit->result.number, SIGUSR1);
}

static void test_what_cannot_be_started_says_why(void **state)
{
    struct kit *kit = *state;

    begin(kit, (const char *const[]){ "no-such-program-anywhere", NULL }, LONG_MS);
    finish(kit);
    assert_int_equal(kit->result.end, COMMAND_NOT_RUN);
    assert_int_equal(kit->result.number, ENOENT);

    script(kit, "");
    chmod(kit->path, 0600);
    begin(kit, (const char *const[]){ kit->path, NULL }, LONG_MS);
    finish(kit);
    assert_int_equal(kit->result.end, COMMAND_NOT_RUN);
    assert_int_equal(kit->result.number, EACCES);
}

/* ---- what it gets ------------------------------------------------------------------------------
 */

static void test_it_gets_its_environment_and_nothing_else(void **state)
{
    struct kit *kit = *state;
    setenv("DIDES_TEST_SECRET", "canary", 1);

    begin(kit, (const char *const[]){ "env", NULL }, LONG_MS);
    finish(kit);

    assert_string_equal(kit->output,
                        "PATH=/usr/bin:/bin\nLANG=C.UTF-8\nDIDES_CODE_VERSION=$(id); `id`\n");
    unsetenv("DIDES_TEST_SECRET");
}

static void test_arguments_arrive_as_they_are(void **state)
{
    struct kit *kit = *state;

    begin(kit, (const char *const[]){ "printf", "<%s>", "a b", "$(id)", "'\";&|", NULL }, LONG_MS);
    finish(kit);

    assert_string_equal(kit->output, "<a b><$(id)><'\";&|>");
}

static void test_it_inherits_no_descriptor_and_reads_nothing(void **state)
{
    struct kit *kit = *state;
    int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    assert_true(leak >= 0);

    run(kit, "ls /proc/self/fd | wc -l; wc -c; readlink /proc/self/fd/0");

    assert_string_equal(kit->output, "4\n0\n/dev/null\n"); /* ls has its folder open */
    close(leak);
}

static void test_it_has_a_session_of_its_own_and_plain_signals(void **state)
{
    struct kit *kit = *state;
    signal(SIGPIPE, SIG_IGN);

    run(kit, "cut -d' ' -f6 /proc/$$/stat; echo $$; grep -E 'SigBlk|SigIgn' /proc/self/status");

    int session = 0, number = 0;
    assert_int_equal(sscanf(kit->output, "%d\n%d", &session, &number), 2);
    assert_int_equal(session, number);
    assert_non_null(strstr(kit->output, "SigBlk:\t0000000000000000"));
    const char *ignored = strstr(kit->output, "SigIgn:\t");
    assert_non_null(ignored);
    /* 32 and 33 are the C library's own: nobody can set them, so they stay as they were found. */
    unsigned long long own = 3ull << 31;
    assert_int_equal(strtoull(ignored + sizeof "SigIgn:\t" - 1, NULL, 16) & ~own, 0);
}

/* ---- ending it ---------------------------------------------------------------------------------
 */

static void test_a_command_that_hangs_is_ended_with_its_children(void **state)
{
    struct kit *kit = *state;

    run_for(kit, "sleep 1000 & echo $! >child; echo $$ >leader; echo begun; wait", 300);

    assert_int_equal(kit->result.end, COMMAND_TIMED_OUT);
    assert_string_equal(kit->output, "begun\n");
    wait_until_gone(kit, "leader");
    wait_until_gone(kit, "child");
}

static void test_who_ignores_sigterm_is_killed_after_the_grace(void **state)
{
    struct kit *kit = *state;

    run_for(kit,
            "trap 'echo asked' TERM; sh -c \"trap '' TERM; echo \\$\\$ >child; sleep 1000\" & "
            "while :; do wait; sleep 0.02; done",
            300);

    assert_int_equal(kit->result.end, COMMAND_TIMED_OUT);
    assert_non_null(strstr(kit->output, "asked"));
    wait_until_gone(kit, "child");
}

static void test_it_can_be_stopped(void **state)
{
    struct kit *kit = *state;
    begin(kit, (const char *const[]){ script(kit, "echo $$ >leader; exec sleep 1000"), NULL },
          LONG_MS);
    wait_for_file(kit, "leader");

    kit->port.stop(kit->port.self);
    kit->port.stop(kit->port.self);
    finish(kit);

    assert_int_equal(kit->result.end, COMMAND_STOPPED);
    wait_until_gone(kit, "leader");
}

static void test_stopping_nothing_does_nothing(void **state)
{
    struct kit *kit = *state;

    kit->port.stop(kit->port.self);

    run(kit, "exit 3");
    assert_int_equal(kit->result.number, 3);
}

static void test_a_service_that_an_update_started_stays(void **state)
{
    struct kit *kit = *state;
    char path[128];
    int number = 0;

    run(kit, "sleep 1000 >/dev/null 2>&1 & echo $! >service");

    assert_int_equal(kit->result.end, COMMAND_EXITED);
    assert_false(is_gone(kit, "service"));
    FILE *file = fopen(inside(kit, "service", path), "re");
    assert_int_equal(fscanf(file, "%d", &number), 1);
    fclose(file);
    kill(number, SIGKILL);
}

static void test_who_keeps_the_output_open_does_not_hold_up_the_end(void **state)
{
    struct kit *kit = *state;

    run(kit, "(while :; do echo noise; done) & echo $! >noise; exit 5");

    assert_int_equal(kit->result.end, COMMAND_EXITED);
    assert_int_equal(kit->result.number, 5);
    wait_until_gone(kit, "noise"); /* by SIGPIPE */
}

static void test_freeing_ends_what_runs(void **state)
{
    struct kit *kit = *state;
    begin(kit, (const char *const[]){ script(kit, "echo $$ >leader; exec sleep 1000"), NULL },
          LONG_MS);
    wait_for_file(kit, "leader");

    process_free(kit->process);
    kit->process = NULL;

    assert_false(kit->is_done);
    wait_until_gone(kit, "leader");
}

/* An agent of its own, which is killed while a command runs. The lock is free when the command is
 * gone, and not before. */
static void test_a_killed_agent_takes_its_command_along(void **state)
{
    struct kit *kit = *state;
    char path[128];
    const char *words[] = {
        script(kit, "sleep 1000 & echo $! >child; echo $$ >leader; touch runs; wait"), NULL
    };
    int lock = open(inside(kit, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    pid_t agent = fork();
    if (agent == 0) {
        struct err err = { 0 };
        int held = open(path, O_RDWR | O_CLOEXEC);
        struct loop *loop = loop_new(&err);
        struct process *process;
        if (flock(held, LOCK_EX) != 0 || !process_new(loop, held, GRACE_MS, &process, &err))
            _exit(9);
        kit->port = process_port(process);
        begin(kit, words, LONG_MS);
        loop_run(loop);
        _exit(9);
    }
    wait_for_file(kit, "runs");
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), -1);

    kill(agent, SIGKILL);
    waitpid(agent, NULL, 0);

    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_true(is_gone(kit, "leader"));
    wait_until_gone(kit, "child");
    close(lock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exit_code_and_both_outputs_come_back),
        TEST(test_one_command_follows_the_other),
        TEST(test_of_much_output_the_end_is_kept_and_of_stdout_the_beginning),
        TEST(test_a_signal_from_elsewhere_is_told),
        TEST(test_what_cannot_be_started_says_why),
        TEST(test_it_gets_its_environment_and_nothing_else),
        TEST(test_arguments_arrive_as_they_are),
        TEST(test_it_inherits_no_descriptor_and_reads_nothing),
        TEST(test_it_has_a_session_of_its_own_and_plain_signals),
        TEST(test_a_command_that_hangs_is_ended_with_its_children),
        TEST(test_who_ignores_sigterm_is_killed_after_the_grace),
        TEST(test_it_can_be_stopped),
        TEST(test_stopping_nothing_does_nothing),
        TEST(test_a_service_that_an_update_started_stays),
        TEST(test_who_keeps_the_output_open_does_not_hold_up_the_end),
        TEST(test_freeing_ends_what_runs),
        TEST(test_a_killed_agent_takes_its_command_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
