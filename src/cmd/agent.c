/* SPDX-License-Identifier: Apache-2.0
 * agent.c - `dides agent`: reads the configuration, takes the lock, and connects the agent's ports
 * to the loop, the HTTP client and the processes of this host. */
#include "agent/process.h"
#include "agent/runner.h"
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/log_json.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "net/http_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRINT_MAX    ((size_t)256 * 1024)
#define KILL_MS      5000  /* between SIGTERM and SIGKILL for a command */
#define LOCK_WAIT_MS 20000 /* longer than what a killed agent leaves running */
#define ANSWER_MAX   ((size_t)256 * 1024)

struct agent_options {
    const char *config, *server, *name, *ip, *token_file, *credential_file;
    const char *update_command, *version_command, *health_command;
    const char *update_timeout, *update_retries, *version_timeout, *health_timeout;
    const char *check_interval, *stop_grace;
    struct option_list labels;
    bool is_insecure, prints_config;
};

/* ---- configuration -----------------------------------------------------------------------------
 */

static bool read_flags(const struct agent_options *o, struct config *config, struct err *err)
{
    const char *flags[][2] = { { "server", o->server },
                               { "name", o->name },
                               { "ip", o->ip },
                               { "token_file", o->token_file },
                               { "credential_file", o->credential_file },
                               { "update_command", o->update_command },
                               { "version_command", o->version_command },
                               { "health_command", o->health_command },
                               { "update_timeout", o->update_timeout },
                               { "update_retries", o->update_retries },
                               { "version_timeout", o->version_timeout },
                               { "health_timeout", o->health_timeout },
                               { "check_interval", o->check_interval },
                               { "stop_grace", o->stop_grace },
                               { "insecure", o->is_insecure ? "true" : NULL } };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (flags[i][1] && !config_read_flag(config, flags[i][0], flags[i][1], err))
            return false;
    for (unsigned i = 0; i < o->labels.count; i++)
        if (!config_read_label(config, o->labels.items[i], err))
            return false;
    return true;
}

/* In the order of rising precedence. */
static bool read_layers(const struct agent_options *o, struct config *config, struct err *err)
{
    const char *token = getenv("DIDES_TOKEN");
    return config_init(config, err) && (!o->config || config_read_file(config, o->config, err)) &&
           (!token || !token[0] || config_set_token(config, token, err)) &&
           read_flags(o, config, err) && (o->prints_config || config_read_token(config, err)) &&
           (o->prints_config || config_check(config, err));
}

static int print_config(const struct config *config)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, PRINT_MAX);
    config_print(config, &out);
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

/* ---- the process -------------------------------------------------------------------------------
 */

struct host {
    const struct config_values *config;
    struct log_json sink;
    struct log_port log;
    struct loop *loop;
    struct http_client *client;
    struct process *process;
    struct runner *runner;
    struct identity identity;
    bool is_known; /* the identity is from the file */
    int lock;
};

static bool prepare_process(struct err *err)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
            return err_set(err, ERR_IO, "cannot open /dev/null as descriptor %d", fd);
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_DUMPABLE, 0) != 0) /* memory holds the credential: no core files, no tracing */
        return err_set(err, ERR_IO, "cannot forbid core files");
    unsetenv("DIDES_TOKEN");
    return true;
}

/* A credential of another server or name is none of ours. */
static bool load_identity(struct host *h, struct err *err)
{
    const struct config_values *v = h->config;
    if (!identity_load(v->credential_file.data, &h->identity, &h->is_known, err))
        return false;
    h->is_known = h->is_known && text_equal(text_from(h->identity.server), v->server) &&
                  text_equal(text_from(h->identity.name), v->name);
    if (v->token.size > 0 || (h->is_known && h->identity.credential[0]))
        return true;
    return err_set(err, ERR_USAGE,
                   "there is no credential yet, and no token to get one with: set DIDES_TOKEN or "
                   "token_file");
}

static uint64_t draw(void *ctx)
{
    uint64_t word;
    (void)ctx;
    /* Only jitter depends on it. */
    if (getrandom(&word, sizeof word, 0) != (ssize_t)sizeof word)
        word = (uint64_t)getpid() * 2654435761u;
    return word;
}

static bool save(void *ctx, const struct identity *identity, struct err *err)
{
    struct host *h = ctx;
    return identity_save(h->config->credential_file.data, identity, err);
}

static void on_ended(void *ctx)
{
    struct host *h = ctx;
    loop_stop(h->loop);
}

static void on_signal(void *ctx, int number)
{
    struct host *h = ctx;
    const struct log_field fields[] = {
        { "signal", number == SIGINT ? TEXT("SIGINT") : TEXT("SIGTERM") }, { NULL, TEXT_NONE }
    };
    h->log.write(h->log.self, LOG_INFO_, "stopping", fields);
    runner_stop(h->runner);
}

static bool open_runner(struct host *h, struct err *err)
{
    const char *path = getenv("PATH"), *lang = getenv("LANG");
    const struct runner_options options = {
        .config = h->config,
        .path = path && path[0] ? text_from(path) : TEXT("/usr/local/bin:/usr/bin:/bin"),
        .lang = lang && lang[0] ? text_from(lang) : TEXT("C.UTF-8"),
        .identity = h->is_known ? &h->identity : NULL,
        .caller = http_client_port(h->client),
        .timer = loop_timer_port(h->loop),
        .command = process_port(h->process),
        .log = h->log,
        .random = draw,
        .save = save,
        .ended = on_ended,
        .ctx = h,
    };
    return runner_new(&options, &h->runner, err);
}

static bool open_host(struct host *h, struct err *err)
{
    const struct http_client_options client = { .connections_max = 4, .answer_max = ANSWER_MAX };
    h->lock = identity_lock(h->config->credential_file.data, LOCK_WAIT_MS, err);
    if (h->lock < 0 || !load_identity(h, err))
        return false;
    h->loop = loop_new(err);
    return h->loop && http_client_open(h->loop, h->config->server, &client, &h->client, err) &&
           process_new(h->loop, h->lock, KILL_MS, &h->process, err) && open_runner(h, err) &&
           loop_on_signal(h->loop, SIGTERM, on_signal, h, err) &&
           loop_on_signal(h->loop, SIGINT, on_signal, h, err);
}

/* In the order of use: nobody may be called when he is gone. */
static void close_host(struct host *h)
{
    http_client_close(h->client);
    process_free(h->process);
    loop_free(h->loop);
    runner_free(h->runner);
    explicit_bzero(&h->identity, sizeof h->identity);
    if (h->lock >= 0)
        close(h->lock);
}

static int serve(const struct config *config)
{
    struct host h = { .config = &config->value, .lock = -1 };
    struct err err = { .code = ERR_NONE };
    log_json_init(&h.sink, STDERR_FILENO);
    h.log = log_json_port(&h.sink);
    if (!prepare_process(&err) || !open_host(&h, &err)) {
        remark("agent: %s", err.text);
        close_host(&h);
        return err.code == ERR_USAGE ? EXIT_USAGE : EXIT_OTHER;
    }
    const struct log_field fields[] = { { "name", config->value.name },
                                        { "version", TEXT(DIDES_VERSION) },
                                        { NULL, TEXT_NONE } };
    h.log.write(h.log.self, LOG_INFO_, "started", fields);
    runner_start(h.runner);
    loop_run(h.loop);
    close_host(&h);
    h.log.write(h.log.self, LOG_INFO_, "stopped", NULL);
    return EXIT_DONE;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct agent_options options = { .config = NULL };
    struct operands operands;
    struct err err = { .code = ERR_NONE };
    cleanup(config_release) struct config config = { .arena = { .memory = &memory_heap } };
    int code;
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code))
        return code;
    if (!read_layers(&options, &config, &err)) {
        remark("agent: %s", err.text);
        return err.code == ERR_MEMORY ? EXIT_OTHER : EXIT_USAGE;
    }
    return options.prints_config ? print_config(&config) : serve(&config);
}

/* ---- the row -----------------------------------------------------------------------------------
 */

#define ROW(word, what, member, wants, text)                                                       \
    .name = word, .kind = what, .offset = offsetof(struct agent_options, member),                  \
    .argument = wants, .meaning = text

/* clang-format off */
static const struct option_row rows[] = {
    { ROW("config", OPTION_TEXT, config, "FILE", "read the configuration from this YAML or JSON file") },
    { ROW("server", OPTION_TEXT, server, "URL", "server to work for"), .environment = "DIDES_SERVER" },
    { ROW("name", OPTION_TEXT, name, "NAME", "name of this instance; the host's name unless set otherwise") },
    { ROW("ip", OPTION_TEXT, ip, "ADDRESS", "address of this instance, for people") },
    { ROW("label", OPTION_LIST, labels, "KEY=VALUE", "label of this instance; may be given several times"), .letter = 'L' },
    { ROW("token-file", OPTION_TEXT, token_file, "FILE", "file whose first line is the registration token") },
    { ROW("credential-file", OPTION_TEXT, credential_file, "FILE", "where to keep the credential, dides-agent.json unless set otherwise") },
    { ROW("update-command", OPTION_TEXT, update_command, "PROGRAM", "brings the version that is wished") },
    { ROW("version-command", OPTION_TEXT, version_command, "PROGRAM", "prints the code version that runs and, on a second line, the configuration version") },
    { ROW("health-command", OPTION_TEXT, health_command, "PROGRAM", "ends with 0 when HEALTHY, 1 when DEGRADED, other when FAILED") },
    { ROW("update-timeout", OPTION_TEXT, update_timeout, "D", "time for one update, 5m unless set otherwise") },
    { ROW("update-retries", OPTION_TEXT, update_retries, "N", "attempts after the first failed, 1 unless set otherwise") },
    { ROW("version-timeout", OPTION_TEXT, version_timeout, "D", "time for the version command, 30s unless set otherwise") },
    { ROW("health-timeout", OPTION_TEXT, health_timeout, "D", "time for the health command, 30s unless set otherwise") },
    { ROW("check-interval", OPTION_TEXT, check_interval, "D", "how often to look at version and health when idle, 30s unless set otherwise") },
    { ROW("stop-grace", OPTION_TEXT, stop_grace, "D", "time a running update gets when the agent is to end, 30s unless set otherwise") },
    { ROW("insecure", OPTION_FLAG, is_insecure, NULL, "speak plain HTTP to a server beyond loopback") },
    { ROW("print-config", OPTION_FLAG, prints_config, NULL, "print the configuration in force, and end") },
};
/* clang-format on */
static const char *const synopsis[] = {
    "--server URL --update-command PROGRAM --version-command PROGRAM [--health-command PROGRAM] "
    "[OPTION]...",
    "--config FILE [OPTION]...", "--print-config [OPTION]...", NULL
};
static const char *const details[] = {
    "Runs on the host of an instance: registers it, reports what runs and how it is, and brings "
    "what the server wishes by running commands of yours. It takes names of versions from the "
    "server, never commands.",
    "The update command finds in its environment DIDES_CODE_VERSION and "
    "DIDES_CONFIGURATION_VERSION, what to bring; DIDES_PREVIOUS_CODE_VERSION and "
    "DIDES_PREVIOUS_CONFIGURATION_VERSION, what runs; DIDES_ATTEMPT, DIDES_GENERATION and "
    "DIDES_DEPLOYMENT_ID. Besides these there are PATH and LANG only. It must bear to be run again "
    "after it was cut short. Whether it succeeded is what the version command then prints.",
    "Commands run without a shell, in a session of their own, with /dev/null as input. A command "
    "that takes too long is ended with its process group, SIGTERM first; so is one whose agent is "
    "killed. What an update starts and leaves behind must have its output redirected. An update "
    "that restarts the agent itself must do so without waiting for it (systemctl restart "
    "--no-block).",
    "An update that fails is tried again; then the instance is reported as FAILED with the last "
    "line of its output, until the server wishes something else or the wish runs healthy.",
    "The registration token comes from DIDES_TOKEN, the key token_file, or the key token of a file "
    "that nobody else can read; it is exchanged for a credential, which is kept in a file of mode "
    "0600.",
    "SIGTERM and SIGINT end the agent; a running update gets its grace. A second signal ends it at "
    "once. Nothing is lost: the next start compares what runs with what is wished.",
    NULL
};
static const struct command_example examples[] = {
    { "dides agent --config /etc/dides/agent.yaml", "Run with a configuration file" },
    { "dides agent --server http://127.0.0.1:7420 --update-command ./update --version-command "
      "./version",
      "Try it out beside a server, with DIDES_TOKEN set to any word" },
    { NULL, NULL },
};

const struct command agent_command = {
    .name = "agent",
    .summary = "work for a server on the host of an instance",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "server instances",
    .run = run,
};
