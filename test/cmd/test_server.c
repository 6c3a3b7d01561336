/* SPDX-License-Identifier: Apache-2.0
 * test_server.c - `dides server` as a process: how it starts, what it refuses, how it ends. */
#include "base/cleanup.h"
#include "base/suite.h"
#include "cmd/commands.h"
#include "net/address.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000 /* sanitizers on a busy machine */
#define END_MS      2000  /* a second is promised, and one is for such a machine */
#define ARGS_MAX    16
#define TEXT_MAX    ((size_t)64 * 1024)

/* ---- kit ------------------------------------------------------------------------------------ */

struct kit {
    char folder[32];
    pid_t pid; /* 0: not running */
    int out, log;
    char line[4096]; /* of the log, the newest */
    char address[ADDRESS_TEXT_SIZE];
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    *kit = (struct kit){ .folder = "server-XXXXXX", .out = -1, .log = -1 };
    assert_non_null(mkdtemp(kit->folder));
    *state = kit;
    return 0;
}

static void forget(struct kit *kit)
{
    if (kit->out >= 0)
        close(kit->out);
    if (kit->log >= 0)
        close(kit->log);
    kit->out = kit->log = -1;
    kit->pid = 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    if (kit->pid) {
        kill(kit->pid, SIGKILL);
        waitpid(kit->pid, NULL, 0);
    }
    forget(kit);
    DIR *dir = opendir(kit->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(kit->folder);
    free(kit);
    return 0;
}

/* Runs the command in a child of its own. `args` are what follows "server"; NULL ends them. */
static void start(struct kit *kit, const char *const *args)
{
    int out[2], log[2], argc = 1;
    char *argv[ARGS_MAX] = { (char[]){ "server" } };
    while (*args && argc < ARGS_MAX - 1)
        argv[argc++] = (char *)(uintptr_t)*args++;
    forget(kit);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    kit->pid = fork();
    assert_true(kit->pid >= 0);
    if (kit->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(log[1], STDERR_FILENO);
        close(out[0]);
        close(log[0]);
        int code = server_command.run(&server_command, argc, argv);
        fflush(stdout);
        _exit(code);
    }
    close(out[1]);
    close(log[1]);
    kit->out = out[0];
    kit->log = log[0];
}

/* The next line of the log; false at its end. */
static bool next_line(struct kit *kit)
{
    size_t size = 0;
    struct pollfd ready = { .fd = kit->log, .events = POLLIN };
    while (size < sizeof kit->line - 1) {
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        if (read(kit->log, kit->line + size, 1) != 1)
            return false;
        if (kit->line[size] == '\n')
            break;
        size++;
    }
    kit->line[size] = '\0';
    return true;
}

static void assert_in_line(const struct kit *kit, const char *part)
{
    if (!strstr(kit->line, part))
        fail_msg("\"%s\" is not in \"%s\"", part, kit->line);
}

static void await(struct kit *kit, const char *message)
{
    char part[64];
    snprintf(part, sizeof part, "\"message\":\"%s\"", message);
    while (next_line(kit))
        if (strstr(kit->line, part))
            return;
    fail_msg("the log ends without \"%s\"", message);
}

static void start_listening(struct kit *kit, const char *const *args)
{
    start(kit, args);
    await(kit, "listening");
    const char *key = "\"address\":\"", *at = strstr(kit->line, key);
    assert_non_null(at);
    at += strlen(key);
    snprintf(kit->address, sizeof kit->address, "%.*s", (int)strcspn(at, "\""), at);
}

/* The exit code; -signal when one ended it. */
static int await_end(struct kit *kit)
{
    int status;
    struct pollfd ended = { .fd = kit->log, .events = POLLIN };
    while (poll(&ended, 1, PATIENCE_MS) == 1 && next_line(kit))
        continue; /* until it has closed its log */
    assert_int_equal(waitpid(kit->pid, &status, 0), kit->pid);
    kit->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Sends `request` to the server and leaves the connection open. */
static int call(const struct kit *kit, const char *request)
{
    union address address;
    struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    assert_true(address_parse(text_from(kit->address), &address, NULL));
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &address.any, address_size(&address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    return fd;
}

/* What comes until `end` was seen or the connection is closed. */
static void receive(int fd, char *space, size_t size, const char *end)
{
    size_t used = 0;
    space[0] = '\0';
    while (used < size - 1 && !(end && strstr(space, end))) {
        ssize_t got = read(fd, space + used, size - 1 - used);
        if (got <= 0)
            break;
        used += (size_t)got;
        space[used] = '\0';
    }
}

static void assert_answers(const struct kit *kit, const char *request, const char *start)
{
    char answer[4096];
    int fd = call(kit, request);
    receive(fd, answer, sizeof answer, "\r\n");
    close(fd);
    if (strncmp(answer, start, strlen(start)) != 0)
        fail_msg("\"%s\" instead of \"%s\"", answer, start);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define REGISTER                                                                                   \
    "POST /inventory/register HTTP/1.1\r\nHost: x\r\nContent-Length: 41\r\n\r\n"                   \
    "{\"token\":\"t\",\"instance\":{\"name\":\"web-1\"}}"
#define MEMORY                                                                                     \
    (const char *[])                                                                               \
    {                                                                                              \
        "--store", "memory", "--listen", "127.0.0.1:0", NULL                                       \
    }
#define SQLITE(kit)                                                                                \
    (const char *[])                                                                               \
    {                                                                                              \
        "--data", (kit)->folder, "--listen", "127.0.0.1:0", NULL                                   \
    }

/* ---- starting ------------------------------------------------------------------------------- */

static void test_it_tells_the_log_where_it_listens_and_prints_nothing(void **state)
{
    struct kit *kit = *state;
    char printed[16];

    start_listening(kit, MEMORY);

    assert_in_line(kit, "\"level\":\"info\"");
    assert_in_line(kit, "\"store\":\"memory\"");
    assert_in_line(kit, "\"instances\":\"0\"");
    assert_in_line(kit, "\"rollouts\":\"0\"");
    assert_null(strstr(kit->address, ":0"));
    assert_answers(kit, GET("/healthz"), "HTTP/1.1 200 ");
    kill(kit->pid, SIGTERM);
    assert_int_equal(await_end(kit), 0);
    assert_int_equal(read(kit->out, printed, sizeof printed), 0);
}

static void test_what_was_answered_outlives_a_kill(void **state)
{
    struct kit *kit = *state;
    start_listening(kit, SQLITE(kit));
    assert_answers(kit, REGISTER, "HTTP/1.1 201 ");

    kill(kit->pid, SIGKILL);
    assert_int_equal(await_end(kit), -SIGKILL);
    start_listening(kit, SQLITE(kit));

    assert_in_line(kit, "\"instances\":\"1\"");
    assert_in_line(kit, "\"store\":\"sqlite\"");
    assert_answers(kit, GET("/inventory/instances/web-1"), "HTTP/1.1 200 ");
}

static void test_what_was_answered_outlives_an_end_in_good_order(void **state)
{
    struct kit *kit = *state;
    start_listening(kit, SQLITE(kit));
    assert_answers(kit, REGISTER, "HTTP/1.1 201 ");

    kill(kit->pid, SIGTERM);
    assert_int_equal(await_end(kit), 0);
    start_listening(kit, SQLITE(kit));

    assert_in_line(kit, "\"instances\":\"1\"");
}

static void test_wrong_usage_ends_with_64_and_touches_nothing(void **state)
{
    static const struct {
        const char *args[4], *said;
    } table[] = {
        { { "--listen", "0.0.0.0:0" }, "say --insecure" },
        { { "--listen", "7420" }, "--listen: \"7420\" is no address to listen on" },
        { { "--store", "etcd" }, "--store must be one of \"sqlite\", \"memory\"" },
        { { "--set", "stor=memory" }, "did you mean \"store\"?" },
        { { "--config", "no-such-file" }, "no-such-file: No such file or directory" },
        { { "--heartbeat_timeout", "1s" }, "unknown option --heartbeat_timeout" },
        { { "start" }, "\"start\" is one argument too many" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct kit *kit = *state;
        char data[64];
        snprintf(data, sizeof data, "--data=%s/inner", kit->folder);

        start(kit, (const char *[]){ data, table[i].args[0], table[i].args[1], NULL });

        assert_true(next_line(kit));
        assert_in_line(kit, table[i].said);
        assert_int_equal(await_end(kit), 64);
        assert_int_equal(access(data + strlen("--data="), F_OK), -1);
    }
}

static void test_an_open_server_may_leave_loopback_when_told_so(void **state)
{
    struct kit *kit = *state;

    start_listening(
        kit, (const char *[]){ "--store", "memory", "--listen", "0.0.0.0:0", "--insecure", NULL });

    assert_non_null(strstr(kit->address, "0.0.0.0:"));
}

static void test_a_folder_in_use_ends_with_1_and_names_it(void **state)
{
    struct kit *kit = *state;
    struct kit second = { .out = -1, .log = -1 };
    start_listening(kit, SQLITE(kit));

    start(&second, SQLITE(kit));

    await(&second, "cannot start");
    assert_in_line(&second, "is in use by another dides");
    assert_in_line(&second, kit->folder);
    assert_int_equal(await_end(&second), 1);
    forget(&second);
    assert_answers(kit, GET("/readyz"), "HTTP/1.1 200 ");
}

static void test_an_address_in_use_ends_with_1_and_names_it(void **state)
{
    struct kit *kit = *state;
    struct kit second = { .out = -1, .log = -1 };
    start_listening(kit, MEMORY);

    start(&second, (const char *[]){ "--store", "memory", "--listen", kit->address, NULL });

    await(&second, "cannot start");
    assert_in_line(&second, kit->address);
    assert_int_equal(await_end(&second), 1);
    forget(&second);
}

static void test_print_config_prints_and_opens_nothing(void **state)
{
    struct kit *kit = *state;
    char data[64], printed[TEXT_MAX];
    snprintf(data, sizeof data, "%s/inner", kit->folder);

    start(kit,
          (const char *[]){ "--data", data, "--set", "max_concurrent=4", "--print-config", NULL });
    receive(kit->out, printed, sizeof printed, NULL);

    assert_int_equal(await_end(kit), 0);
    assert_non_null(strstr(printed, "[from: --set]\nmax_concurrent: 4\n"));
    assert_non_null(strstr(printed, "[from: --data]\ndata: \"server-"));
    assert_int_equal(access(data, F_OK), -1);
}

/* Whether `fd` is what /dev/null is. */
static bool is_null_device(int fd)
{
    struct stat device, stream;
    return stat("/dev/null", &device) == 0 && fstat(fd, &stream) == 0 && S_ISCHR(stream.st_mode) &&
           stream.st_rdev == device.st_rdev;
}

/* Runs it without standard streams, on an address that is taken, so that it returns, and tells in
 * bits how it left the process. */
static int run_bare(const char *address)
{
    char listen[ADDRESS_TEXT_SIZE + 16];
    snprintf(listen, sizeof listen, "--listen=%s", address);
    char *argv[] = { (char[]){ "server" }, (char[]){ "--store=memory" }, listen, NULL };
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    int code = server_command.run(&server_command, 3, argv);
    bool has_streams = is_null_device(0) && is_null_device(1) && is_null_device(2);
    return (code == 1) | has_streams << 1 | (prctl(PR_GET_DUMPABLE) == 0) << 2 |
           (umask(0) == 077) << 3;
}

static void test_it_makes_the_process_ready_for_a_long_life(void **state)
{
    struct kit *kit = *state;
    int status;
    start_listening(kit, MEMORY);

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run_bare(kit->address));
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1 | 1 << 1 | 1 << 2 | 1 << 3);
}

/* ---- ending --------------------------------------------------------------------------------- */

static void test_both_signals_end_it_soon_whatever_is_open(void **state)
{
    static const int signals[] = { SIGTERM, SIGINT };
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct kit *kit = *state;
        char said[4096];
        start_listening(kit, SQLITE(kit));
        int stream = call(kit, GET("/events"));
        receive(stream, said, sizeof said, "\r\n\r\n");
        int half = call(kit, "POST /deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
        int idle = call(kit, GET("/healthz"));
        receive(idle, said, sizeof said, "\r\n\r\n");

        int64_t start = now_ms();
        kill(kit->pid, signals[i]);
        int code = await_end(kit);
        int64_t took = now_ms() - start;

        assert_int_equal(code, 0);
        if (took >= END_MS)
            fail_msg("it took %lld ms", (long long)took);
        receive(stream, said, sizeof said, NULL);
        assert_true(strlen(said) >= 5 && strcmp(said + strlen(said) - 5, "0\r\n\r\n") == 0);
        close(stream);
        close(half);
        close(idle);
    }
}

static void test_a_second_signal_ends_it_at_once(void **state)
{
    struct kit *kit = *state;
    start_listening(kit, MEMORY);
    int half = call(kit, "POST /deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
    assert_answers(kit, GET("/healthz"), "HTTP/1.1 200 "); /* so the other has been accepted */

    kill(kit->pid, SIGTERM);
    await(kit, "stopping");
    kill(kit->pid, SIGTERM);

    assert_int_equal(await_end(kit), 1);
    close(half);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_tells_the_log_where_it_listens_and_prints_nothing),
        TEST(test_what_was_answered_outlives_a_kill),
        TEST(test_what_was_answered_outlives_an_end_in_good_order),
        TEST(test_wrong_usage_ends_with_64_and_touches_nothing),
        TEST(test_an_open_server_may_leave_loopback_when_told_so),
        TEST(test_a_folder_in_use_ends_with_1_and_names_it),
        TEST(test_an_address_in_use_ends_with_1_and_names_it),
        TEST(test_print_config_prints_and_opens_nothing),
        TEST(test_it_makes_the_process_ready_for_a_long_life),
        TEST(test_both_signals_end_it_soon_whatever_is_open),
        TEST(test_a_second_signal_ends_it_at_once),
    };
    return cmocka_run_group_tests_name("cmd/server", tests, NULL, NULL);
}
