/* SPDX-License-Identifier: Apache-2.0
 * demo_server.c - see demo_server.h. Between fork and exec only what is async-signal-safe happens.
 */
#include "cmd/demo_server.h"

#include "base/cleanup.h"
#include "net/address.h"
#include "wire/json_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Quick enough for a story of half a minute: an idle instance hears of its wish within half a
 * second, or, in fleets of more than a thousand, within the time that 2000 heartbeats per second
 * allow. */
static const char *const settings[] = {
    "heartbeat_min=500ms", "heartbeat_timeout=10s",    "active_interval=250ms",
    "target_rate=2000",    "reconcile_interval=200ms",
};
#define SETTING_COUNT (sizeof settings / sizeof settings[0])

/* ---- what is in the way --------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static bool fail_bind(const char *listen_on, struct err *err)
{
    if (errno == EADDRINUSE)
        return err_set(err, ERR_REFUSED,
                       "%s is in use: is another demo or server running? End it, or choose another "
                       "address with --listen",
                       listen_on);
    return err_set(err, ERR_IO, "cannot listen on %s: %s", listen_on, strerror(errno));
}

/* Takes the address, notes its port, and leaves it to the server. Whoever is faster in between is
 * told of by the server's own output. */
static bool find_address(struct demo_server *server, const char *listen_on, struct err *err)
{
    union address address;
    char space[ADDRESS_TEXT_SIZE];
    const int yes = 1;
    if (!address_parse(text_from(listen_on), &address, err))
        return false;
    socklen_t size = address_size(&address);
    cleanup(close_fd) int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)
        return err_set(err, ERR_IO, "cannot make a socket: %s", strerror(errno));
    if (bind(fd, &address.any, size) != 0 || listen(fd, 1) != 0)
        return fail_bind(listen_on, err);
    if (getsockname(fd, &address.any, &size) != 0)
        return err_set(err, ERR_IO, "cannot read the address of a socket: %s", strerror(errno));
    snprintf(server->address, sizeof server->address, "%s", address_format(&address, space));
    return true;
}

static bool make_folder(const char *path, struct err *err)
{
    struct stat found;
    if (mkdir(path, 0700) == 0)
        return true;
    if (errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
    if (stat(path, &found) != 0 || !S_ISDIR(found.st_mode))
        return err_set(err, ERR_IO, "%s is no folder; choose one with --data", path);
    return true;
}

/* ---- the child ------------------------------------------------------------------------------ */

#define ARGUMENTS_MAX 32

static void fill_arguments(struct demo_server *server, char **ret)
{
    size_t count = 0;
    ret[count++] = "dides";
    ret[count++] = "server";
    ret[count++] = "--listen";
    ret[count++] = server->address;
    ret[count++] = "--data";
    ret[count++] = server->data;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        ret[count++] = "--set";
        ret[count++] = (char *)(uintptr_t)settings[i]; /* execv() does not write to them */
    }
    ret[count] = NULL;
}

/* Its own process group, so that Ctrl-C reaches the parent alone, who then ends it in good order;
 * and a signal when the parent dies, however it dies. */
static _Noreturn void become_server(char **arguments, int log, pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent && dup2(null, 0) == 0 &&
        dup2(log, 1) == 1 && dup2(log, 2) == 2)
        execv("/proc/self/exe", arguments);
    _exit(127);
}

bool demo_server_restart(struct demo_server *server, struct err *err)
{
    char *arguments[ARGUMENTS_MAX];
    pid_t parent = getpid();
    fill_arguments(server, arguments);
    cleanup(close_fd) int log = open(server->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", server->log, strerror(errno));
    server->log_start = lseek(log, 0, SEEK_END);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return err_set(err, ERR_IO, "cannot start the server: %s", strerror(errno));
    if (pid == 0)
        become_server(arguments, log, parent);
    server->pid = pid;
    return true;
}

bool demo_server_start(struct demo_server *server, const char *listen_on, const char *data,
                       struct err *err)
{
    *server = (struct demo_server){ .pid = 0 };
    if (strlen(data) + sizeof "/server.log" > DEMO_PATH_SIZE)
        return err_set(err, ERR_USAGE, "the name of the folder is too long");
    snprintf(server->data, sizeof server->data, "%s", data);
    snprintf(server->log, sizeof server->log, "%.*s/server.log",
             (int)(DEMO_PATH_SIZE - sizeof "/server.log"), data);
    return find_address(server, listen_on, err) && make_folder(data, err) &&
           demo_server_restart(server, err);
}

bool demo_server_is_running(struct demo_server *server)
{
    if (server->pid == 0)
        return false;
    pid_t ended = waitpid(server->pid, &server->status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR))
        return true;
    server->pid = 0;
    return false;
}

void demo_server_stop(struct demo_server *server)
{
    const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
    if (!demo_server_is_running(server))
        return;
    kill(server->pid, SIGTERM);
    for (int waited_ms = 0; waited_ms < DEMO_STOP_MS; waited_ms += 10) {
        if (!demo_server_is_running(server))
            return;
        nanosleep(&pause, NULL);
    }
    kill(server->pid, SIGKILL);
    while (waitpid(server->pid, &server->status, 0) < 0 && errno == EINTR)
        ;
    server->pid = 0;
}

/* ---- what it said --------------------------------------------------------------------------- */

void demo_server_explain(const struct demo_server *server, char space[static 64])
{
    if (WIFSIGNALED(server->status))
        snprintf(space, 64, "was killed by signal %d", WTERMSIG(server->status));
    else
        snprintf(space, 64, "ended with exit code %d", WEXITSTATUS(server->status));
}

/* Of a record of the log its detail, or its message; any other line as it is. */
static void shorten(struct text line, char *space, size_t size)
{
    struct arena arena;
    const struct json_node *tree = NULL;
    arena_init(&arena, &memory_heap, 1024 * 1024);
    if (text_starts_with(line, TEXT("{")) && json_tree_parse(line, &arena, &tree, NULL))
        line = json_get_text(tree, "detail", json_get_text(tree, "message", line));
    snprintf(space, size, "%.*s", TEXT_ARG(line));
    arena_release(&arena);
}

void demo_server_last_words(const struct demo_server *server, char space[static DEMO_WORDS_SIZE])
{
    char block[DEMO_WORDS_SIZE];
    struct text rest, line, last = TEXT_NONE;
    space[0] = '\0';
    cleanup(close_fd) int fd = open(server->log, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end - (off_t)sizeof block;
    ssize_t size =
        pread(fd, block, sizeof block, from > server->log_start ? from : server->log_start);
    rest = (struct text){ block, size > 0 ? (size_t)size : 0 };
    while (text_cut(&rest, '\n', &line))
        if (text_trim(line).size > 0)
            last = text_trim(line);
    shorten(last, space, DEMO_WORDS_SIZE);
}
