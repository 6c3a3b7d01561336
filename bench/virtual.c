/* SPDX-License-Identifier: Apache-2.0
 * virtual.c - how long does a rollout over a whole fleet take in virtual time? Every instance is an
 * agent that beats, is told, updates, fails now and then and reports; every heartbeat goes through
 * the core of the server. Beside it, as a reference, a plain binary heap of as many agents from
 * which as many events are taken and put back. What the numbers mean: doc/performance.md.
 *
 * usage: virtual [INSTANCES]     default 1000000 */
#include "base/limits.h"
#include "sim/model.h"
#include "stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define SPREAD_MS_EACH 5   /* virtual, of the first registration of 25 instances */
#define SPREAD_EACH    25u /* as dides sim has it */
#define SLICE_MS       1000
#define LONGEST_MS     (24 * 3600 * 1000ll)
#define BEAT_MS        30000u

/* Heartbeats are held for 30 s; updates take 20 s to 90 s, and one in a thousand fails. */
static const char fleet_yaml[] =
    "mode: virtual\n"
    "seed: 42\n"
    "wait: 30s\n"
    "generate:\n"
    "  - {count: %u, prefix: web-, labels: {role: web}, choose: {zone: {a: 1, b: 1, c: 1}},\n"
    "     start: {code_version: 1.0.0}}\n"
    "behaviours:\n"
    "  normal: {latency: 20s-90s, failure_rate: 0.1%%}\n"
    "script:\n"
    "  - {at: %us, deploy: {code_version: 2.0.0, labels: {role: web},\n"
    "     configuration: {batch_size: 10%%, failure_threshold: 2%%}}}\n";

static void must(bool holds, const char *why)
{
    if (holds)
        return;
    fprintf(stderr, "bench-virtual: %s\n", why);
    exit(70);
}

/* ---- lines ---------------------------------------------------------------------------------- */

struct watch {
    int64_t began_ns;
    int64_t cpu_us;
};

static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static struct watch watch_begin(void)
{
    return (struct watch){ .began_ns = stopwatch_ns(), .cpu_us = cpu_us() };
}

/* What passed since, and of how many events. Returns the processor's time in ns for each. */
static double watch_tell(const struct watch *watch, const char *what, uint64_t events)
{
    double cpu = (double)(cpu_us() - watch->cpu_us) / 1e6;
    double took = (double)(stopwatch_ns() - watch->began_ns) / 1e9;
    double each = events > 0 ? cpu * 1e9 / (double)events : 0;
    printf("%-44s %8.2f s, %7.2f s of a processor", what, took, cpu);
    if (events > 0)
        printf("; %9llu events, %5.0f ns each", (unsigned long long)events, each);
    printf("\n");
    return each;
}

/* ---- the model ------------------------------------------------------------------------------ */

static struct plan *read_plan(uint32_t count, uint32_t deploy_at_s)
{
    static struct plan plan;
    struct buffer yaml;
    struct err err = { 0 };
    buffer_init(&yaml, &memory_heap, 4096);
    buffer_printf(&yaml, fleet_yaml, count, deploy_at_s);
    must(plan_read(&plan, buffer_text(&yaml), &err), err.text);
    buffer_release(&yaml);
    return &plan;
}

static void run_until(struct model *model, int64_t until_ms)
{
    must(model_run(model, until_ms), "an invariant is broken");
}

static double run(uint32_t count)
{
    struct err err = { 0 };
    struct model *model = NULL;
    uint32_t spread_s = count / SPREAD_EACH * SPREAD_MS_EACH / 1000;
    struct watch whole = watch_begin();
    struct plan *plan = read_plan(count, spread_s + 10);
    struct model_options options = { .plan = plan,
                                     .settings = fleet_settings_default,
                                     .spread_ms = (int64_t)spread_s * 1000 };
    must(model_new(&options, &model, &err), err.text);
    watch_tell(&whole, "reading the file", 0);

    struct watch part = watch_begin();
    run_until(model, (int64_t)(spread_s + 9) * 1000);
    uint64_t events = model_counts(model).events;
    watch_tell(&part, "registrations, first heartbeats", events);

    part = watch_begin();
    while (!model_is_over(model) && model_elapsed(model) < LONGEST_MS)
        run_until(model, model_elapsed(model) + SLICE_MS);
    struct model_counts counts = model_counts(model);
    watch_tell(&part, "rollout", counts.events - events);
    int64_t elapsed_s = model_elapsed(model) / 1000;

    part = watch_begin();
    must(model_check_all(model), "an invariant is broken at the end");
    watch_tell(&part, "the last look at everything", 0);
    part = watch_begin();
    uint64_t hash = model_hash(model);
    watch_tell(&part, "hash of all records", 0);
    double each = watch_tell(&whole, "all of it", counts.events);
    must(fleet_rollout(model_fleet(model), 1)->state == ROLLOUT_COMPLETED,
         "the rollout has not completed");
    printf("%-44s %lld s, %llu heartbeats, %llu updates, %llu failed, state %016llx\n",
           "virtual time", (long long)elapsed_s, (unsigned long long)counts.heartbeats,
           (unsigned long long)counts.updates, (unsigned long long)counts.failures,
           (unsigned long long)hash);
    model_free(model);
    plan_release(plan);
    return each;
}

/* ---- the reference -------------------------------------------------------------------------- */

struct entry {
    uint64_t due;
    uint64_t agent;
};

/* Replaces the first by one that is due later. */
static void replace_first(struct entry *heap, uint32_t count, struct entry entry)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1].due < heap[child].due)
            child++;
        if (heap[child].due >= entry.due)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
}

static double run_heap(uint32_t count, uint32_t events)
{
    struct entry *heap = malloc(count * sizeof heap[0]);
    uint64_t random = 88172645463325252u;
    must(heap != NULL, "no memory for the reference");
    for (uint32_t i = 0; i < count; i++)
        heap[i] = (struct entry){ (uint64_t)i * BEAT_MS / count, i };
    struct watch watch = watch_begin();
    for (uint32_t i = 0; i < events; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t due = heap[0].due + BEAT_MS * 3 / 4 + random % (BEAT_MS / 4);
        replace_first(heap, count, (struct entry){ due, heap[0].agent });
    }
    double each = watch_tell(&watch, "reference: a binary heap, first out and in", events);
    free(heap);
    return each;
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    struct rusage usage;
    if (count < 1000 || count > LIMIT_INSTANCES)
        return 64;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%u instances\n", count);
    double reference = run_heap(count, 4 * count);
    double each = run(count);
    getrusage(RUSAGE_SELF, &usage);
    printf("%-44s %8.1f\n", "an event, in events of the reference", each / reference);
    printf("%-44s %8ld MiB\n", "most memory of the process", usage.ru_maxrss / 1024);
    return 0;
}
