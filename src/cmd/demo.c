/* SPDX-License-Identifier: Apache-2.0
 * demo.c - `dides demo`: the whole product in half a minute. One timer drives it: it looks after
 * the server, lets the story go on, and draws. */
#include "cmd/demo.h"

#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/sim_report.h"

#include <signal.h>
#include <sys/wait.h>

#define TICK_MS         100
#define WATCH_MS        200
#define READY_MS        15000 /* for the server to load and listen */
#define RESTARTS_MAX    20
#define FLEET_CALLS     64
#define SPREAD_MS       1000 /* of the first registrations */
#define PLAN_MAX        4096
#define INSTANCES_USUAL "1000"

struct demo_options {
    bool is_once;
    uint64_t instances;
    const char *data, *listen;
};

int64_t demo_now(const struct demo *demo)
{
    struct timer_port timer = loop_timer_port(demo->loop);
    return timer.now_ms(timer.self);
}

void demo_say(void *ctx, enum panel_style style, const char *sentence)
{
    struct demo *demo = ctx;
    panel_say(&demo->panel, demo_now(demo), style, sentence);
}

__attribute__((format(printf, 2, 3))) static void give_up(struct demo *demo, const char *format,
                                                          ...)
{
    char said[ERR_TEXT_SIZE];
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    err_set(&demo->failure, ERR_UNAVAILABLE, "%s", said);
    loop_stop(demo->loop);
}

/* ---- the fleet ------------------------------------------------------------------------------ */

/* The same file could be given to `dides sim`. Latencies are those of a story, not of life. */
static bool make_plan(struct plan *plan, uint64_t instances, struct err *err)
{
    cleanup(buffer_release) struct buffer yaml = { 0 };
    buffer_init(&yaml, &memory_heap, PLAN_MAX);
    buffer_printf(&yaml,
                  "mode: http\n"
                  "token: demo\n"
                  "seed: 7\n"
                  "generate:\n"
                  "  - count: %llu\n"
                  "    prefix: %s\n"
                  "    base_ip: 10.20.0.0\n"
                  "    labels: {fleet: demo, role: web}\n"
                  "    choose: {env: {prod: 80, dev: 20}, zone: {a: 1, b: 1, c: 1}}\n"
                  "    start: {code_version: 1.0.0, configuration_version: c1}\n"
                  "behaviours:\n"
                  "  normal: {latency: 200ms-1s, slow: {share: 1%%, factor: 2}}\n",
                  (unsigned long long)instances, DEMO_PREFIX);
    return plan_read(plan, buffer_text(&yaml), err);
}

static bool start_fleet(struct demo *demo, struct err *err)
{
    const struct http_fleet_options options = {
        .caller = http_client_port(demo->fleet_client),
        .timer = loop_timer_port(demo->loop),
        .ticks_us = sim_ticks_us,
        .calls_max = FLEET_CALLS,
        .spread_ms = SPREAD_MS,
        .adopts_known_versions = true,
    };
    return http_fleet_new(&demo->plan, &options, &demo->fleet, err) &&
           http_fleet_start(demo->fleet, err);
}

static bool start_watcher(struct demo *demo, struct err *err)
{
    const struct watcher_options options = {
        .caller = http_client_port(demo->client),
        .timer = loop_timer_port(demo->loop),
        .bearer = demo->plan.token,
        .every_ms = WATCH_MS,
        .max_concurrent = 1,
    };
    return watcher_start(&demo->watcher, &options, err);
}

static void start_all(struct demo *demo)
{
    struct err err = { .code = ERR_NONE };
    if (!start_fleet(demo, &err) || !start_watcher(demo, &err)) {
        give_up(demo, "%s", err.text);
        return;
    }
    const struct story_options options = {
        .caller = http_client_port(demo->client),
        .timer = loop_timer_port(demo->loop),
        .plan = &demo->plan,
        .fleet = demo->fleet,
        .watcher = &demo->watcher,
        .told = demo_say,
        .ctx = demo,
    };
    story_start(&demo->story, &options);
}

/* ---- the server ----------------------------------------------------------------------------- */

static void on_ready(void *ctx, const struct call_result *result)
{
    struct demo *demo = ctx;
    char said[DEMO_PATH_SIZE + 128];
    demo->is_asking = false;
    if (result->status != 200 || demo->is_interrupted || demo->failure.code != ERR_NONE)
        return;
    demo->is_ready = true;
    snprintf(said, sizeof said, "server ready at %s, data in %s", demo->url, demo->server.data);
    demo_say(demo, PANEL_GOOD, said);
    start_all(demo);
}

static void ask_whether_ready(struct demo *demo)
{
    struct caller_port caller = http_client_port(demo->client);
    const struct call call = { .method = "GET", .path = TEXT("/readyz"), .timeout_ms = 1000 };
    if (demo_now(demo) - demo->started_at > READY_MS)
        give_up(demo, "the server was not ready within %d s; its output is in %s", READY_MS / 1000,
                demo->server.log);
    else if (!demo->is_asking)
        demo->is_asking = caller.start(caller.self, &call, on_ready, demo);
}

/* A server that somebody killed is started again, which is worth seeing: nothing is lost. One that
 * ended by itself has said why. */
static void on_server_ended(struct demo *demo)
{
    char how[64], words[DEMO_WORDS_SIZE], said[128];
    struct err err = { .code = ERR_NONE };
    demo_server_explain(&demo->server, how);
    demo_server_last_words(&demo->server, words);
    bool was_killed = demo->is_ready && WIFSIGNALED(demo->server.status);
    if (!was_killed || demo->restarts++ >= RESTARTS_MAX) {
        give_up(demo, "the server %s: %s", how, words[0] ? words : "it said nothing");
        return;
    }
    if (!demo_server_restart(&demo->server, &err)) {
        give_up(demo, "%s", err.text);
        return;
    }
    snprintf(said, sizeof said, "the server %s and was started again (pid %d)", how,
             (int)demo->server.pid);
    demo_say(demo, PANEL_BAD, said);
}

/* ---- after the story ------------------------------------------------------------------------ */

static void tell_rollout(struct demo *demo, const struct sighting *r)
{
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, SIM_REPORT_MAX);
    sim_report_rollout(&line, r);
    demo_say(demo, PANEL_PLAIN, buffer_c_string(&line));
}

/* Rollouts that the reader started: their start and their end, for those who see no panel. */
static void follow_others(struct demo *demo)
{
    const struct watcher *w = &demo->watcher;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sighting *r = &w->list[i].newest;
        if (r->number <= demo->told_rollout || r->is_live)
            continue;
        demo->told_rollout = r->number;
        tell_rollout(demo, r);
    }
}

static void after_story(struct demo *demo)
{
    if (demo->is_once) {
        loop_stop(demo->loop);
        return;
    }
    if (!demo->has_told_next) {
        demo->has_told_next = true;
        if (demo->story.state == STORY_SPOILT)
            demo_say(demo, PANEL_BAD, demo->story.reason);
        demo_tell_next(demo);
        if (demo->watcher.count > 0)
            demo->told_rollout = demo->watcher.list[demo->watcher.count - 1].newest.number;
    }
    follow_others(demo);
}

static void on_tick(void *ctx)
{
    struct demo *demo = ctx;
    if (demo->failure.code != ERR_NONE)
        return;
    if (!demo_server_is_running(&demo->server)) {
        on_server_ended(demo);
    } else if (!demo->is_ready) {
        ask_whether_ready(demo);
    } else {
        story_step(&demo->story);
        if (story_is_over(&demo->story))
            after_story(demo);
    }
    demo_draw(demo);
}

static void on_signal(void *ctx, int number)
{
    (void)number;
    struct demo *demo = ctx;
    demo->is_interrupted = true;
    loop_stop(demo->loop);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static bool open_clients(struct demo *demo, struct err *err)
{
    const struct http_client_options options = { .connections_max = FLEET_CALLS };
    struct text url = text_from(demo->url);
    return http_client_open(demo->loop, url, &options, &demo->fleet_client, err) &&
           http_client_open(demo->loop, url, NULL, &demo->client, err);
}

static bool start(struct demo *demo, const struct demo_options *options, struct err *err)
{
    if (!make_plan(&demo->plan, options->instances, err) ||
        !demo_server_start(&demo->server, options->listen, options->data, err))
        return false;
    snprintf(demo->url, sizeof demo->url, "http://%s", demo->server.address);
    demo->loop = loop_new(err);
    if (!demo->loop)
        return false;
    demo->started_at = demo_now(demo);
    return loop_on_signal(demo->loop, SIGINT, on_signal, demo, err) &&
           loop_on_signal(demo->loop, SIGTERM, on_signal, demo, err) &&
           loop_on_signal(demo->loop, SIGHUP, on_signal, demo, err) && open_clients(demo, err) &&
           loop_every(demo->loop, TICK_MS, on_tick, demo, err);
}

/* In the order of use: nobody is called when he is gone, and the child goes in any case. */
static void release(struct demo *demo)
{
    story_stop(&demo->story);
    watcher_stop(&demo->watcher);
    if (demo->fleet)
        http_fleet_stop(demo->fleet);
    http_client_close(demo->fleet_client);
    http_client_close(demo->client);
    loop_free(demo->loop);
    watcher_release(&demo->watcher);
    http_fleet_free(demo->fleet);
    plan_release(&demo->plan);
    demo_server_stop(&demo->server);
    panel_release(&demo->panel);
}

static int judge(struct demo *demo)
{
    panel_close(&demo->panel);
    if (demo->failure.code != ERR_NONE) {
        remark("demo: %s", demo->failure.text);
        return EXIT_OTHER;
    }
    for (uint64_t i = 0; i < demo->watcher.violation_count && i < WATCHER_VIOLATIONS_MAX; i++)
        remark("demo: violated: %s", demo->watcher.violations[i]);
    if (demo->story.state == STORY_SPOILT) {
        remark("demo: the story did not go as told: %s", demo->story.reason);
        return EXIT_OTHER;
    }
    if (demo->is_once && demo->story.state != STORY_TOLD) {
        remark("demo: interrupted before the end of the story");
        return EXIT_OTHER;
    }
    return demo->watcher.violation_count > 0 ? EXIT_OTHER : EXIT_DONE;
}

static int run_demo(const struct command *command, int argc, char **argv)
{
    struct demo_options options = { .is_once = false };
    struct demo demo = { .loop = NULL };
    struct operands operands;
    struct err err = { .code = ERR_NONE };
    int code;
    if (!options_parse_few(command, argc, argv, 0, &options, &operands, &code))
        return code;
    if (options.instances < DEMO_INSTANCES_MIN || options.instances > DEMO_INSTANCES_MAX)
        return wrong_usage(command, "--instances must be from %d to %d", DEMO_INSTANCES_MIN,
                           DEMO_INSTANCES_MAX);
    signal(SIGPIPE, SIG_IGN);
    panel_init(&demo.panel, stdout);
    demo.is_once = options.is_once;
    if (start(&demo, &options, &err)) {
        loop_run(demo.loop);
        code = judge(&demo);
    } else {
        remark("demo: %s", err.text);
        code = err.code == ERR_USAGE || err.code == ERR_INVALID ? EXIT_USAGE : EXIT_OTHER;
    }
    release(&demo);
    return code;
}

/* ---- the row -------------------------------------------------------------------------------- */

/* clang-format off */
static const struct option_row rows[] = {
    { .name = "once", .kind = OPTION_FLAG, .offset = offsetof(struct demo_options, is_once),
      .meaning = "end after the story: 0 when it went as told" },
    { .name = "instances", .letter = 'n', .kind = OPTION_COUNT, .offset = offsetof(struct demo_options, instances), .argument = "N",
      .meaning = "size of the fleet, 20 to 10000", .fallback = INSTANCES_USUAL },
    { .name = "data", .kind = OPTION_TEXT, .offset = offsetof(struct demo_options, data), .argument = "DIR",
      .meaning = "folder for the database and the server's output", .fallback = "dides-data" },
    { .name = "listen", .kind = OPTION_TEXT, .offset = offsetof(struct demo_options, listen), .argument = "ADDRESS",
      .meaning = "where the server listens; port 0 takes a free one", .fallback = "127.0.0.1:7420" },
};
/* clang-format on */
static const char *const synopsis[] = { "[--once] [--instances N] [--data DIR] [--listen ADDRESS]",
                                        NULL };
static const char *const details[] = {
    "Starts a server with an embedded database and a simulated fleet that talks to it over real "
    "HTTP, "
    "and shows a rollout that completes and one that fails at its threshold and is rolled back.",
    "On a terminal the state is drawn live; elsewhere, or with TERM=dumb, each event is one line "
    "with "
    "its time. After the story it stays up, to be played with, until Ctrl-C; then the server ends "
    "too. "
    "What it stored stays in the folder, and the next demo goes on from there.",
    NULL
};
static const struct command_example examples[] = {
    { "dides demo", "The story, and then a server and a fleet to play with" },
    { "dides demo --once --data /var/tmp/demo", "The story alone, for a quick check" },
    { NULL, NULL },
};

const struct command demo_command = {
    .name = "demo",
    .summary = "show a server, a fleet and two rollouts",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "sim server",
    .run = run_demo,
};
