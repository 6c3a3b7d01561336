/* SPDX-License-Identifier: Apache-2.0
 * server.c - `dides server` and `dides config`: reads the settings, makes the process ready for a
 * long life, serves, and ends cleanly. What serves stands in serving.c. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/log_json.h"
#include "cmd/options.h"
#include "cmd/serving.h"
#include "cmd/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRINT_MAX ((size_t)256 * 1024)
#define GRACE_MS  500 /* for answers under way, so that all is over within a second */

extern char **environ;

/* ---- settings ------------------------------------------------------------------------------- */

struct server_options {
    const char *listen, *data, *store, *config, *io_threads;
    struct option_list sets;
    bool is_insecure, prints_config;
};

static bool read_flags(const struct server_options *o, struct settings *settings, struct err *err)
{
    const char *flags[][2] = { { "listen", o->listen },
                               { "data", o->data },
                               { "store", o->store },
                               { "io_threads", o->io_threads },
                               { "insecure", o->is_insecure ? "true" : NULL } };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (flags[i][1] && !settings_read_flag(settings, flags[i][0], flags[i][1], err))
            return false;
    return true;
}

/* In the order of rising precedence. */
static bool read_layers(const struct server_options *o, struct settings *settings, struct err *err)
{
    if (!settings_init(settings, err) ||
        (o->config && !settings_read_file(settings, o->config, err)) ||
        !settings_read_environment(settings, environ, err))
        return false;
    for (unsigned i = 0; i < o->sets.count; i++)
        if (!settings_read_pair(settings, o->sets.items[i], err))
            return false;
    return read_flags(o, settings, err) && settings_check(settings, err);
}

static int print_settings(const struct settings *settings)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, PRINT_MAX);
    settings_print(settings, &out);
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

/* ---- the process ---------------------------------------------------------------------------- */

/* A database opened as descriptor 2 would receive error messages (doc/reliability.md, R3). */
static bool open_standard_streams(struct err *err)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
            return err_set(err, ERR_IO, "cannot open /dev/null as descriptor %d: %s", fd,
                           strerror(errno));
    }
    return true;
}

static bool prepare_process(struct err *err)
{
    if (!open_standard_streams(err))
        return false;
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_DUMPABLE, 0) != 0) /* memory holds credentials: no core files, no tracing */
        return err_set(err, ERR_IO, "cannot forbid core files: %s", strerror(errno));
    serving_raise_descriptors();
    return true;
}

/* ---- serving -------------------------------------------------------------------------------- */

struct server {
    struct loop *loop;
    struct serving *serving;
    struct log_json sink;
    struct log_port log;
};

static void log_err(const struct log_port *log, const char *message, const struct err *why)
{
    struct log_field fields[] = { { "code", text_from(err_word(why->code)) },
                                  { "detail", text_from(why->text) },
                                  { NULL, TEXT_NONE } };
    log->write(log->self, LOG_ERROR_, message, fields);
}

/* The engine has logged why. Nothing may be answered any more, so nothing is closed in good order:
 * the kernel does it all. */
static void on_fatal(void *ctx, const struct err *why)
{
    (void)ctx;
    (void)why;
    _exit(EXIT_OTHER);
}

static void leave(int number)
{
    (void)number;
    _exit(EXIT_OTHER);
}

static void on_stopped(void *ctx)
{
    struct server *server = ctx;
    loop_stop(server->loop);
}

/* The first signal. From now on another one means "at once", even while the disk is waited for:
 * it must not depend on the loop. */
static void on_signal(void *ctx, int number)
{
    struct server *server = ctx;
    struct sigaction at_once = { .sa_handler = leave };
    sigemptyset(&at_once.sa_mask);
    sigaction(SIGTERM, &at_once, NULL);
    sigaction(SIGINT, &at_once, NULL);
    struct log_field fields[] = { { "signal", number == SIGINT ? TEXT("SIGINT") : TEXT("SIGTERM") },
                                  { NULL, TEXT_NONE } };
    server->log.write(server->log.self, LOG_INFO_, "stopping", fields);
    serving_stop(server->serving, GRACE_MS, on_stopped, server);
}

static void log_start(const struct server *server, const struct settings *settings)
{
    const struct fleet *fleet = engine_fleet(serving_engine(server->serving));
    bool is_file = settings->value.store == SETTING_STORE_SQLITE;
    char instances[24], rollouts[24], live[24], connections[24];
    snprintf(instances, sizeof instances, "%u", fleet->instance_count);
    snprintf(rollouts, sizeof rollouts, "%u", fleet->rollout_count);
    snprintf(live, sizeof live, "%u", fleet->live_count);
    snprintf(connections, sizeof connections, "%u", serving_connections_max(server->serving));
    struct log_field fields[] = {
        { "address", text_from(serving_address(server->serving)) },
        { "store", is_file ? TEXT("sqlite") : TEXT("memory") },
        { "instances", text_from(instances) },
        { "rollouts", text_from(rollouts) },
        { "live_rollouts", text_from(live) },
        { "connections_max", text_from(connections) },
        { "registration", settings->value.token_count ? TEXT("tokens") : TEXT("open") },
        { "version", TEXT(DIDES_VERSION) },
        { is_file ? "data" : NULL, settings->value.data },
        { NULL, TEXT_NONE },
    };
    server->log.write(server->log.self, LOG_INFO_, "listening", fields);
}

static bool start(struct server *server, const struct settings *settings, struct err *err)
{
    struct serving_options options = {
        .settings = settings, .loop = server->loop, .log = server->log, .fatal = on_fatal
    };
    return serving_open(&options, &server->serving, err) &&
           loop_on_signal(server->loop, SIGTERM, on_signal, server, err) &&
           loop_on_signal(server->loop, SIGINT, on_signal, server, err);
}

static int serve(const struct settings *settings)
{
    struct err err = { .code = ERR_NONE };
    struct server server = { .loop = NULL };
    if (!prepare_process(&err)) {
        remark("server: %s", err.text);
        return EXIT_OTHER;
    }
    log_json_init(&server.sink, STDERR_FILENO);
    server.log = log_json_port(&server.sink);
    server.loop = loop_new(&err);
    if (!server.loop || !start(&server, settings, &err)) {
        log_err(&server.log, "cannot start", &err);
        if (server.serving)
            _exit(EXIT_OTHER); /* it never ran: there is nothing to end in good order */
        loop_free(server.loop);
        return EXIT_OTHER;
    }
    log_start(&server, settings);
    loop_run(server.loop);
    serving_free(server.serving);
    loop_free(server.loop);
    server.log.write(server.log.self, LOG_INFO_, "stopped", NULL);
    return EXIT_DONE;
}

/* ---- commands ------------------------------------------------------------------------------- */

static int run(const struct command *command, int argc, char **argv)
{
    struct server_options options = { .listen = NULL };
    struct operands operands;
    struct err err = { .code = ERR_NONE };
    cleanup(settings_release) struct settings settings = { .file = TEXT_NONE };
    int code;
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code))
        return code;
    if (!read_layers(&options, &settings, &err)) {
        remark("server: %s", err.text);
        return err.code == ERR_MEMORY ? EXIT_OTHER : EXIT_USAGE;
    }
    return options.prints_config ? print_settings(&settings) : serve(&settings);
}

static int run_config(const struct command *command, int argc, char **argv)
{
    struct config_options {
        bool as_markdown;
    } options = { .as_markdown = false };
    struct operands operands;
    struct err err = { .code = ERR_NONE };
    cleanup(settings_release) struct settings settings = { .file = TEXT_NONE };
    cleanup(buffer_release) struct buffer out = { 0 };
    int code;
    buffer_init(&out, &memory_heap, PRINT_MAX);
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code))
        return code;
    if (!settings_init(&settings, &err)) {
        remark("config: %s", err.text);
        return EXIT_OTHER;
    }
    if (!options.as_markdown)
        return print_settings(&settings);
    settings_markdown(&out);
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

#define SERVER_ROW(word, what, member, wants, text)                                                \
    {                                                                                              \
        .name = word, .kind = what, .offset = offsetof(struct server_options, member),             \
        .argument = wants, .meaning = text                                                         \
    }

static const struct option_row server_rows[] = {
    SERVER_ROW("listen", OPTION_TEXT, listen, "ADDRESS",
               "address and port to listen on, 127.0.0.1:7420 unless set otherwise"),
    SERVER_ROW("data", OPTION_TEXT, data, "DIR",
               "folder of the database, dides-data unless set otherwise"),
    { .name = "store",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct server_options, store),
      .argument = "STORE",
      .meaning = "where state is kept: sqlite, the default, or memory",
      .choices = "sqlite memory" },
    SERVER_ROW("io-threads", OPTION_TEXT, io_threads, "N",
               "threads that hold connections; 0 unless set otherwise: one thread does it all"),
    SERVER_ROW("config", OPTION_TEXT, config, "FILE", "read settings from this YAML or JSON file"),
    SERVER_ROW("set", OPTION_LIST, sets, "KEY=VALUE", "one setting; may be given several times"),
    SERVER_ROW("insecure", OPTION_FLAG, is_insecure, NULL,
               "listen beyond loopback, where everybody who reaches it is an operator"),
    SERVER_ROW("print-config", OPTION_FLAG, prints_config, NULL,
               "print the settings in force and where each came from, and end"),
};
static const char *const server_synopsis[] = {
    "[--listen ADDRESS] [--data DIR] [--store sqlite|memory] [--io-threads N] [--config FILE] "
    "[--set KEY=VALUE]... [--insecure] [--print-config]",
    NULL
};
static const char *const server_details[] = {
    "Runs the coordinator: it keeps the inventory, carries rollouts out, and serves the HTTP API. "
    "It writes one line per event worth knowing to stderr, as JSON unless that is a terminal.",
    "Every setting has a default and can come from the file of --config, from the environment "
    "variable DIDES_ followed by its name in upper case, from --set, and five of them from a flag "
    "of their own; later ones win. dides config --markdown prints all of them.",
    "Without registration tokens the server is open: every text registers an instance, and "
    "heartbeats need no credential. With the setting registration_tokens, a list of entries with "
    "name, one of sha256, token_file and token, and optionally instances (a pattern such as web-*) "
    "and expires, an agent gets a credential of its own for one of these tokens, and reports with "
    "it. dides token makes a token and its entry.",
    "Tokens guard what agents do. Operators are not told apart yet, and nothing is encrypted: "
    "the server listens on loopback only, with tokens or without, unless --insecure is given. Put "
    "a proxy with TLS and access control in front of it.",
    "One thread decides everything. With --io-threads others hold the connections: each has its "
    "own listener on the same port and as many descriptors as the limit allows a process, so 8 of "
    "them hold 100,000 connections where the limit is 20,000; connections_max has to be raised, "
    "too.",
    "SIGTERM and SIGINT end it within a second: answers under way go out, everything is made "
    "durable, and the exit code is 0. A second signal ends it at once with 1. When the store "
    "cannot say whether a change is durable, the server ends with 1 without answering anybody; "
    "started again, it loads what is true.",
    NULL
};
static const struct command_example server_examples[] = {
    { "dides server --data /var/lib/dides", "Serve on 127.0.0.1:7420" },
    { "dides server --store memory --listen 127.0.0.1:0", "Try something out on a free port" },
    { "dides server --set max_concurrent=4 --print-config", "See what would be in force" },
    { NULL, NULL },
};

const struct command server_command = {
    .name = "server",
    .summary = "run the coordinator",
    .synopsis = server_synopsis,
    .details = server_details,
    COMMAND_OPTIONS(server_rows),
    .examples = server_examples,
    .see_also = "config",
    .run = run,
};

static const struct option_row config_rows[] = {
    { .name = "markdown", .kind = OPTION_FLAG, .offset = 0, .meaning = "print a table of them" },
};
static const char *const config_synopsis[] = { "[--markdown]", NULL };
static const char *const config_details[] = {
    "Prints every setting of dides server with its default, as a file to start from for --config.",
    NULL
};
static const struct command_example config_examples[] = {
    { "dides config >dides.yaml", "A configuration file to edit" },
    { NULL, NULL },
};

const struct command config_command = {
    .name = "config",
    .summary = "print the settings of the server",
    .synopsis = config_synopsis,
    .details = config_details,
    COMMAND_OPTIONS(config_rows),
    .examples = config_examples,
    .see_also = "server",
    .run = run_config,
};
