/* SPDX-License-Identifier: Apache-2.0
 * sim.c - `dides sim`: a simulated fleet against a real server. Connects the simulator's ports to
 * the loop and the HTTP client, tells what happens line by line, and judges the run at its end.
 * Virtual mode, which needs no server, is in sim_virtual.c. */
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/sim_report.h"
#include "cmd/sim_virtual.h"
#include "cmd/terminal.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "sim/script.h"
#include "wire/yaml_read.h"

#include <errno.h>
#include <signal.h>

#define SPREAD_MS       2000 /* of the first registrations, for every 10000 instances */
#define SPREAD_FLEET    10000
#define WATCH_MS        500
#define TELL_EVERY      10 /* rounds of watching between two lines that say how it goes */
#define CONNECTIONS_MAX 256

struct sim_options {
    const char *server, *token, *seed;
    uint64_t seeds, jobs;
    int64_t duration_ms;
    bool is_traced;
};

struct sim_run {
    struct plan plan;
    struct loop *loop;
    struct http_client *client;
    struct http_fleet *fleet;
    struct watcher watcher;
    struct script script;
    int64_t started_at, ends_at; /* ends_at 0: when the script is done */
    uint64_t told_round;         /* of the watcher */
    bool is_interrupted;
    char last_trouble[ERR_TEXT_SIZE];
};

/* ---- reading -------------------------------------------------------------------------------- */

static bool read_file(const char *path, struct buffer *out, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    char block[16 * 1024];
    for (size_t size; (size = fread(block, 1, sizeof block, file)) > 0;)
        buffer_add(out, (struct text){ block, size });
    bool is_broken = ferror(file) != 0;
    fclose(file);
    if (is_broken)
        return err_set(err, ERR_IO, "cannot read %s", path);
    if (out->failed)
        return err_set(err, ERR_INVALID, "%s is larger than %d bytes", path, YAML_SIZE_MAX);
    return true;
}

static bool read_plan(const char *path, const struct sim_options *options, struct plan *ret,
                      struct err *err)
{
    cleanup(buffer_release) struct buffer yaml = { 0 };
    buffer_init(&yaml, &memory_heap, YAML_SIZE_MAX);
    if (!read_file(path, &yaml, err))
        return false;
    uint64_t seed = 0;
    bool has_seed = options->seed && text_to_u64(text_from(options->seed), INT64_MAX, &seed);
    if (plan_read_seeded(ret, buffer_text(&yaml), has_seed ? &seed : NULL, err))
        return true;
    err_prefix(err, "%s", path);
    return false;
}

/* ---- telling -------------------------------------------------------------------------------- */

static int64_t now_of(const struct sim_run *run)
{
    struct timer_port timer = loop_timer_port(run->loop);
    return timer.now_ms(timer.self);
}

static void tell(void *ctx, const char *sentence)
{
    struct sim_run *run = ctx;
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, SIM_REPORT_MAX);
    format_time(&line, now_of(run));
    buffer_add(&line, TEXT("  "));
    terminal_add(&line, text_from(sentence));
    buffer_add_byte(&line, '\n');
    terminal_write(stdout, &line);
    fflush(stdout);
}

static void tell_progress(struct sim_run *run)
{
    cleanup(buffer_release) struct buffer line = { 0 };
    const struct sighting *live = watcher_first_live(&run->watcher);
    struct http_fleet_counts counts = http_fleet_counts(run->fleet);
    buffer_init(&line, &memory_heap, SIM_REPORT_MAX);
    buffer_printf(&line, "%u of %u registered, %u updating, %u failed", (unsigned)counts.registered,
                  (unsigned)counts.instances, (unsigned)counts.working, (unsigned)counts.failed);
    if (live) {
        buffer_add(&line, TEXT("; "));
        sim_report_rollout(&line, live);
    }
    tell(run, buffer_c_string(&line));
}

/* What is wrong with the talk to the server is said once, not once per instance. */
static void tell_trouble(struct sim_run *run)
{
    const char *trouble = run->watcher.trouble.text;
    if (trouble[0] == '\0')
        trouble = http_fleet_trouble(run->fleet);
    if (strcmp(trouble, run->last_trouble) == 0)
        return;
    snprintf(run->last_trouble, sizeof run->last_trouble, "%s", trouble);
    remark("sim: %s", trouble);
}

/* ---- the end -------------------------------------------------------------------------------- */

/* The script is done, everybody is there, and no rollout is live in a look taken after that. */
static bool is_story_over(const struct sim_run *run)
{
    return run->plan.step_count > 0 && script_is_done(&run->script) &&
           run->watcher.rounds > run->told_round + 1 && watcher_live_count(&run->watcher) == 0;
}

static void on_looked(void *ctx)
{
    struct sim_run *run = ctx;
    if (run->watcher.rounds % TELL_EVERY == 1)
        tell_progress(run);
    if (!script_is_done(&run->script))
        run->told_round = run->watcher.rounds;
    if (run->ends_at == 0 && is_story_over(run))
        loop_stop(run->loop);
}

static void on_second(void *ctx)
{
    struct sim_run *run = ctx;
    tell_trouble(run);
    if (run->ends_at != 0 && now_of(run) >= run->ends_at)
        loop_stop(run->loop);
}

static void on_signal(void *ctx, int number)
{
    (void)number;
    struct sim_run *run = ctx;
    run->is_interrupted = true;
    loop_stop(run->loop);
}

/* ---- running -------------------------------------------------------------------------------- */

static bool open_client(struct sim_run *run, struct text server, struct err *err)
{
    const struct http_client_options options = { .connections_max = CONNECTIONS_MAX };
    return http_client_open(run->loop, server, &options, &run->client, err);
}

static bool start_fleet(struct sim_run *run, struct err *err)
{
    const struct http_fleet_options options = {
        .caller = http_client_port(run->client),
        .timer = loop_timer_port(run->loop),
        .ticks_us = sim_ticks_us,
        .spread_ms = (int64_t)run->plan.instance_count * SPREAD_MS / SPREAD_FLEET,
    };
    return http_fleet_new(&run->plan, &options, &run->fleet, err) &&
           http_fleet_start(run->fleet, err);
}

static bool start_watcher(struct sim_run *run, struct err *err)
{
    const struct watcher_options options = {
        .caller = http_client_port(run->client),
        .timer = loop_timer_port(run->loop),
        .bearer = run->plan.token,
        .every_ms = WATCH_MS,
        .max_concurrent = run->plan.max_concurrent,
        .looked = on_looked,
        .ctx = run,
    };
    return watcher_start(&run->watcher, &options, err);
}

static bool start_script(struct sim_run *run, struct err *err)
{
    const struct script_options options = {
        .caller = http_client_port(run->client),
        .timer = loop_timer_port(run->loop),
        .plan = &run->plan,
        .fleet = run->fleet,
        .watcher = &run->watcher,
        .told = tell,
        .ctx = run,
    };
    return script_start(&run->script, &options, err);
}

static bool start(struct sim_run *run, struct text server, int64_t duration_ms, struct err *err)
{
    run->loop = loop_new(err);
    if (!run->loop || !open_client(run, server, err))
        return false;
    run->started_at = now_of(run);
    run->ends_at = duration_ms > 0 ? run->started_at + duration_ms : 0;
    return loop_on_signal(run->loop, SIGINT, on_signal, run, err) &&
           loop_on_signal(run->loop, SIGTERM, on_signal, run, err) && start_fleet(run, err) &&
           start_watcher(run, err) && start_script(run, err) &&
           loop_every(run->loop, 1000, on_second, run, err);
}

/* In the order of use: nobody may be called when he is gone. */
static void release(struct sim_run *run)
{
    script_stop(&run->script);
    watcher_stop(&run->watcher);
    if (run->fleet)
        http_fleet_stop(run->fleet);
    http_client_close(run->client);
    loop_free(run->loop);
    watcher_release(&run->watcher);
    http_fleet_free(run->fleet);
    plan_release(&run->plan);
}

static int judge(struct sim_run *run)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    struct http_fleet_counts counts = http_fleet_counts(run->fleet);
    buffer_init(&out, &memory_heap, SIM_REPORT_MAX);
    sim_report(&out, run->fleet, &run->watcher, now_of(run) - run->started_at);
    if (!terminal_write(stdout, &out))
        return EXIT_OTHER;
    if (counts.registered == 0) {
        remark("sim: no instance could register at the server");
        return EXIT_UNAVAILABLE;
    }
    if (run->script.refused > 0)
        remark("sim: %u steps of the script were refused", (unsigned)run->script.refused);
    bool is_cut = run->script.at < run->plan.step_count && !run->is_interrupted;
    if (is_cut)
        remark("sim: the time was over before the script was");
    return run->watcher.violation_count > 0 || run->script.refused > 0 || is_cut ? EXIT_OTHER
                                                                                 : EXIT_DONE;
}

static int simulate(struct sim_run *run, const struct sim_options *options)
{
    struct err err = { .code = ERR_NONE };
    struct text server = text_from(options->server);
    if (!options->server || options->server[0] == '\0')
        server = run->plan.server.size > 0 ? run->plan.server : TEXT("http://127.0.0.1:7420");
    if (options->token && options->token[0])
        run->plan.token = text_from(options->token);
    if (!start(run, server, options->duration_ms, &err)) {
        remark("sim: %s", err.text);
        return (int)exit_of_err(&err);
    }
    loop_run(run->loop);
    return judge(run);
}

/* The seed of the file, unless another one was asked for. */
static bool take_seed(const struct sim_options *options, uint64_t *seed)
{
    return !options->seed || text_to_u64(text_from(options->seed), INT64_MAX, seed);
}

static int run_file(const struct command *command, const char *path,
                    const struct sim_options *options)
{
    struct sim_run run = { .loop = NULL };
    struct err err = { .code = ERR_NONE };
    int code;
    if (!read_plan(path, options, &run.plan, &err)) {
        remark("sim: %s", err.text);
        return err.code == ERR_MEMORY || err.code == ERR_IO ? EXIT_OTHER : EXIT_USAGE;
    }
    if (run.plan.mode == PLAN_VIRTUAL) {
        code = sim_virtual(&run.plan,
                           &(struct sim_virtual_options){ .duration_ms = options->duration_ms,
                                                          .is_traced = options->is_traced });
        plan_release(&run.plan);
        return code;
    }
    if (options->is_traced) {
        plan_release(&run.plan);
        return wrong_usage(command, "--trace needs mode: virtual");
    }
    code = simulate(&run, options);
    release(&run);
    return code;
}

static int run_sim(const struct command *command, int argc, char **argv)
{
    struct sim_options options = { .server = NULL };
    struct operands operands;
    uint64_t seed = 1;
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code))
        return code;
    if (!take_seed(&options, &seed))
        return wrong_usage(command, "--seed is a number from 0 to %lld", (long long)INT64_MAX);
    if (operands.count == 1 && options.seeds == 0)
        return run_file(command, operands.list[0], &options);
    if (operands.count == 1)
        return wrong_usage(command, "--seeds draws its own fleets: give it no FILE");
    if (options.seeds == 0 && !options.seed)
        return wrong_usage(command, "which FILE.yaml describes the fleet?");
    return sim_swarm(seed, options.seeds ? options.seeds : 1,
                     &(struct sim_virtual_options){ .is_traced = options.is_traced,
                                                    .jobs = (uint32_t)options.jobs });
}

/* ---- the row -------------------------------------------------------------------------------- */

/* clang-format off */
static const struct option_row rows[] = {
    { .name = "server", .kind = OPTION_TEXT, .offset = offsetof(struct sim_options, server), .argument = "URL",
      .meaning = "server to talk to, instead of the one in the file", .environment = "DIDES_SERVER" },
    { .name = "token", .kind = OPTION_TEXT, .offset = offsetof(struct sim_options, token), .argument = "TOKEN",
      .meaning = "token for registration and script, instead of the one in the file", .environment = "DIDES_TOKEN" },
    { .name = "duration", .kind = OPTION_DURATION, .offset = offsetof(struct sim_options, duration_ms), .argument = "D",
      .meaning = "end after this time; default: when the script is done and no rollout is live" },
    { .name = "seed", .kind = OPTION_TEXT, .offset = offsetof(struct sim_options, seed), .argument = "N",
      .meaning = "source of every random choice, instead of the one in the file" },
    { .name = "seeds", .kind = OPTION_COUNT, .offset = offsetof(struct sim_options, seeds), .argument = "N",
      .meaning = "no file: draw N small fleets, with what happens to them, from seed 1 or --seed on" },
    { .name = "jobs", .kind = OPTION_COUNT, .offset = offsetof(struct sim_options, jobs), .argument = "N",
      .meaning = "with --seeds: in so many processes; what is printed does not depend on it" },
    { .name = "trace", .kind = OPTION_FLAG, .offset = offsetof(struct sim_options, is_traced),
      .meaning = "virtual mode: tell every event" },
};
/* clang-format on */
static const char *const synopsis[] = {
    "FILE.yaml [--server URL] [--duration D] [--seed N] [--trace]",
    "--seeds N [--seed FIRST] [--jobs N] [--trace]",
    NULL,
};
static const char *const details[] = {
    "Every instance of the file registers, sends heartbeats, and carries out what the server "
    "wishes, as well or as badly as its behaviour says. The same file and seed make the same "
    "choices.",
    "With a script it ends when all steps are done and no rollout is live; without one it goes on "
    "until Ctrl-C. In http mode the key speed divides latencies, flap periods and the times of the "
    "script, so that a file made for hours can be shown in minutes.",
    "In mode: virtual no server is needed: the very core of dides server runs in this process "
    "under a virtual clock, with a network, a store and agents that are modelled. Nothing waits "
    "(key speed: virtual seconds per second, 0, the default, as fast as possible), a million "
    "instances fit, and the same file gives the same output, byte for byte; the line \"state\" at "
    "the end is a hash of all records and all events. Heartbeats come as often as the server says, "
    "or with the key wait (30s) are held until there is news.",
    "What goes wrong in virtual mode stands under the key faults, each part of which may be left "
    "out: loss (2%, of messages, each way), duplicate (1%, of requests), delay (0ms-500ms, of each "
    "message, so that they overtake each other), crash ({every: 10m, down: 5s-60s}: the agent of "
    "some instance dies and starts again), silent ({every: 30m}: some instance is cut off for "
    "ever), restart ({every: 20m, down: 0s-2m}: the server dies, and another loads what was "
    "committed), commit ({takes: 0ms-20ms, fail: 1%}: the store is slow, or refuses and changes "
    "are taken back), silence ([{share: 60%, from: 5m, until: 8m}]: a share of the fleet is cut "
    "off for a while) and until (30m: all of it stops). What instances do wrong themselves, such "
    "as failing, crashing, lying and flapping, is their behaviour.",
    "After every event what must always hold is checked. If it does not, the simulation ends with "
    "one line, seed=N tick=MS I13 and a sentence, and the last 50 events; --trace with the same "
    "seed tells everything that led to it. With --seeds no file is needed: each seed draws a small "
    "fleet, its faults, its rollouts and what operators do, lets them go on for a while, then "
    "stops the faults and claims that everything ends, waits for an operator, or for an instance "
    "that is gone.",
    "It ends with 0 only if nothing was wrong: in http mode what can be seen from outside, such as "
    "counters that do not add up, too many instances in progress, too many live rollouts, ended "
    "records that change; in virtual mode every invariant; and if no step of the script was "
    "refused.",
    NULL
};
static const struct command_example examples[] = {
    { "dides sim fleet.yaml --duration 10m", "Ten minutes of the fleet in the file" },
    { "dides sim fleet.yaml --server http://10.0.0.5:7420", "The same against another server" },
    { "dides sim --seeds 1000", "A thousand small fleets in virtual time, a few seconds" },
    { "dides sim --seeds 20000 --jobs 2", "What a change has to pass; make seeds" },
    { "dides sim --seed 1137 --trace", "One of them again, event by event" },
    { NULL, NULL },
};

static const struct operand_row operands[] = { { NULL, "FILE" }, { NULL, NULL } };

const struct command sim_command = {
    .name = "sim",
    .summary = "run a simulated fleet",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "demo server",
    .operands = operands,
    .run = run_sim,
};
