/* SPDX-License-Identifier: Apache-2.0
 * sim_virtual.c - see sim_virtual.h. What goes to stdout depends on file and seed alone; how long
 * it took goes to stderr. */
#include "cmd/sim_virtual.h"

#include "base/cleanup.h"
#include "cmd/exit_code.h"
#include "cmd/sim_report.h"
#include "cmd/terminal.h"
#include "sim/model.h"

#include <signal.h>
#include <time.h>

#define SPREAD_MS      2000 /* of the first registrations, for every 10000 instances */
#define SPREAD_FLEET   10000
#define PACE_MS        100  /* real time between looks at the clock, with a speed */
#define SLICE_MS       1000 /* virtual time between looks at whether it is over */
#define LAST_RESORT_MS (400ll * 24 * 3600 * 1000) /* longer than any timer of a rollout */

static volatile sig_atomic_t is_interrupted;

static void on_signal(int number)
{
    (void)number;
    is_interrupted = 1;
}

void sim_virtual_catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool sim_virtual_is_interrupted(void)
{
    return is_interrupted != 0;
}

void sim_virtual_tell(void *ctx, int64_t at, const char *sentence)
{
    cleanup(buffer_release) struct buffer line = { 0 };
    (void)ctx;
    buffer_init(&line, &memory_heap, SIM_REPORT_MAX);
    format_time(&line, at);
    buffer_add(&line, TEXT("  "));
    terminal_add(&line, text_from(sentence));
    buffer_add_byte(&line, '\n');
    terminal_write(stdout, &line);
}

void sim_virtual_add_violation(struct buffer *out, const struct model *model, uint64_t seed)
{
    buffer_printf(out, "seed=%llu tick=%lld ", (unsigned long long)seed,
                  (long long)model_elapsed(model));
    terminal_add(out, text_from(model_broken(model)));
    buffer_add_byte(out, '\n');
    model_tell_last(model, out);
}

/* ---- one file ------------------------------------------------------------------------------- */

/* With a speed virtual time waits for real time. */
static void keep_pace(uint32_t speed, uint64_t began_us, int64_t elapsed_ms)
{
    if (speed == 0)
        return;
    int64_t real_ms = (int64_t)((sim_ticks_us() - began_us) / 1000);
    int64_t ahead_ms = elapsed_ms / speed - real_ms;
    if (ahead_ms <= 0)
        return;
    fflush(stdout);
    struct timespec wait = { .tv_sec = ahead_ms / 1000, .tv_nsec = ahead_ms % 1000 * 1000000 };
    nanosleep(&wait, NULL); /* a signal ends it, and is looked at next */
}

static bool is_over(const struct model *model, const struct sim_virtual_options *options,
                    bool has_script)
{
    if (is_interrupted)
        return true;
    if (options->duration_ms > 0)
        return model_elapsed(model) >= options->duration_ms;
    return (has_script && model_is_over(model)) || model_elapsed(model) >= LAST_RESORT_MS;
}

/* In slices, so that the end is seen soon, whatever the speed. */
static bool run(struct model *model, const struct plan *plan,
                const struct sim_virtual_options *options)
{
    uint64_t began_us = sim_ticks_us();
    int64_t slice = plan->speed > 0 ? (int64_t)plan->speed * PACE_MS : SLICE_MS;
    bool holds = true;
    while (holds && !is_over(model, options, plan->step_count > 0)) {
        int64_t next = model_next_due(model), until = model_elapsed(model) + slice;
        if (plan->speed == 0 && next != TIMERS_NEVER && next > until)
            until = next;
        if (options->duration_ms > 0 && until > options->duration_ms)
            until = options->duration_ms;
        if (next == TIMERS_NEVER && options->duration_ms == 0)
            break; /* nobody is left */
        holds = model_run(model, until);
        keep_pace(plan->speed, began_us, model_elapsed(model));
    }
    return holds && model_check_all(model);
}

static int judge(struct model *model, const struct plan *plan, uint64_t began_us, bool holds)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    struct model_counts counts = model_counts(model);
    uint64_t took_ms = (sim_ticks_us() - began_us) / 1000 + 1;
    buffer_init(&out, &memory_heap, SIM_REPORT_MAX);
    if (!holds)
        sim_virtual_add_violation(&out, model, plan->seed);
    sim_report_model(&out, model);
    if (!terminal_write(stdout, &out))
        return EXIT_OTHER;
    fflush(stdout);
    remark("sim: %llu events in %llu.%03llu s, %llu per second", (unsigned long long)counts.events,
           (unsigned long long)(took_ms / 1000), (unsigned long long)(took_ms % 1000),
           (unsigned long long)(counts.events * 1000 / took_ms));
    if (counts.refused > 0)
        remark("sim: %u steps of the script were refused", (unsigned)counts.refused);
    bool is_cut = plan->step_count > 0 && !model_is_over(model) && !is_interrupted;
    if (holds && is_cut)
        remark("sim: the time was over before the script was, or a rollout still moves");
    return holds && counts.refused == 0 && !is_cut ? EXIT_DONE : EXIT_OTHER;
}

int sim_virtual(struct plan *plan, const struct sim_virtual_options *options)
{
    struct err err = { .code = ERR_NONE };
    struct model *model = NULL;
    struct model_options model_options = {
        .plan = plan,
        .settings = fleet_settings_default,
        .spread_ms = (int64_t)plan->instance_count * SPREAD_MS / SPREAD_FLEET,
        .is_traced = options->is_traced,
        .told = sim_virtual_tell,
    };
    model_options.settings.max_concurrent = plan->max_concurrent;
    uint64_t began_us = sim_ticks_us();
    sim_virtual_catch_signals();
    if (!model_new(&model_options, &model, &err)) {
        remark("sim: %s", err.text);
        return EXIT_OTHER;
    }
    bool holds = run(model, plan, options);
    int code = judge(model, plan, began_us, holds);
    model_free(model);
    return code;
}
