/* SPDX-License-Identifier: Apache-2.0
 * scale.c - does anything depend on the size of the fleet? The same requests are made of a fleet of
 * 1,000 and of one of 1,000,000 instances, in turns; then what happens once to a whole fleet is
 * timed, beside a reference on as many records. What the numbers mean: doc/performance.md.
 *
 * usage: scale [INSTANCES [restart]]     INSTANCES of the large fleet, default 1000000;
 *                                        with "restart" only that part */
#include "core/place.h"
#include "folder.h"
#include "stopwatch.h"
#include "world.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define SMALL       1000u
#define REPETITIONS 15u
#define BATCH       50u
#define PAGE        100u
#define NEVER       1000000u /* a threshold that is never reached */

/* ---- what is asked of both fleets ----------------------------------------------------------- */

/* What the hardware makes of size alone: one record at a random place. */
static void read_records(struct world *world, unsigned count)
{
    const struct fleet *fleet = engine_fleet(world->engine);
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += (uint64_t)fleet_at(fleet, world_next(world))->last_seen;
    __asm__ volatile("" : : "r"(sum)); /* or the loop would be thrown away */
}

static void unchanged(struct world *world, unsigned count)
{
    world_say(world, world->version, "HEALTHY");
    for (unsigned i = 0; i < count; i++)
        world_heartbeat(world, world_next(world));
}

static void changed(struct world *world, unsigned count)
{
    world_say(world, world->version, "DEGRADED");
    for (unsigned i = 0; i < count / 2; i++)
        world_heartbeat(world, world_next(world));
    world->cursor -= count / 2;
    world_say(world, world->version, "HEALTHY");
    for (unsigned i = 0; i < count / 2; i++)
        world_heartbeat(world, world_next(world));
}

static void completes(struct world *world, unsigned count)
{
    world_answer(world, count);
}

static void show(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_show(world, world_next(world));
}

static void list(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_list(world, world_next(world), PAGE);
}

static void progress(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_progress(world);
}

static void status(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_status(world);
}

static void metrics(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_metrics(world);
}

static void tick(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        engine_tick(world->engine);
}

struct question {
    const char *name;
    void (*ask)(struct world *world, unsigned count);
    unsigned count;     /* requests in one repetition; of `changed` it divides 2 * SMALL */
    bool needs_rollout; /* a live one with `count` members to go */
};

/* clang-format off */
static const struct question questions[] = {
    { "reference: read one record",             read_records, 20000, false },
    { "heartbeat, nothing changed",             unchanged,    10000, false },
    { "heartbeat, status changed",              changed,       1000, false },
    { "GET /instances/{key}",                   show,          5000, false },
    { "GET /instances?limit=100",               list,           100, false },
    { "heartbeat that completes, next is picked", completes,    400, true  },
    { "POST /deploy/progress",                  progress,      1000, true  },
    { "GET /deploy/status",                     status,        1000, true  },
    { "GET /metrics",                           metrics,       1000, true  },
    { "tick with nothing due",                  tick,          1000, true  },
};
/* clang-format on */
#define QUESTIONS (sizeof questions / sizeof questions[0])

static void make_ready(struct world *world, const struct question *q)
{
    const struct rollout *r = world_live(world);
    world_commit(world);
    if (!q->needs_rollout || (r && rollout_tally(r)->pending > q->count + BATCH))
        return;
    while (world_live(world))
        world_answer(world, world->count);
    world_deploy(world, BATCH, NEVER);
}

/* Nanoseconds for one request. */
static double ask(struct world *world, const struct question *q)
{
    make_ready(world, q);
    int64_t began = stopwatch_ns();
    q->ask(world, q->count);
    return (double)(stopwatch_ns() - began) / q->count;
}

static void compare(struct world *small, struct world *large, const struct question *q)
{
    double of_small[REPETITIONS], of_large[REPETITIONS];
    ask(small, q);
    ask(large, q);
    for (unsigned i = 0; i < REPETITIONS; i++) {
        of_small[i] = ask(small, q);
        of_large[i] = ask(large, q);
    }
    double a = stopwatch_median(of_small, REPETITIONS);
    double b = stopwatch_median(of_large, REPETITIONS);
    printf("%-42s %10.2f us %10.2f us %8.2f\n", q->name, a / 1000, b / 1000, b / a);
}

/* ---- what happens once to a whole fleet ----------------------------------------------------- */

static double reference_ms; /* of sorting as many names */

static void report_ms(const char *name, int64_t began, uint32_t count)
{
    double ms = (double)(stopwatch_ns() - began) / 1000000;
    printf("%-42s %10.1f ms %10.0f ns each %5.2f\n", name, ms, ms * 1000000 / count,
           reference_ms > 0 ? ms / reference_ms : 1.0);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* Making, sorting and reading as many names: the least that bringing a fleet into order costs. */
static void time_reference(const struct world *world)
{
    char(*names)[16] = malloc(world->count * sizeof names[0]);
    if (!names)
        exit(1);
    int64_t began = stopwatch_ns();
    for (uint32_t i = 0; i < world->count; i++)
        snprintf(names[i], sizeof names[i], "web-%06u", world->shuffled[i]);
    qsort(names, world->count, sizeof names[0], compare_names);
    report_ms("reference: make and sort as many names", began, world->count);
    reference_ms = (double)(stopwatch_ns() - began) / 1000000;
    free(names);
}

static void time_start(struct world *world, const char *name, unsigned batch)
{
    int64_t began = stopwatch_ns();
    world_deploy(world, batch, NEVER);
    report_ms(name, began, world->count);
}

static void time_rest(struct world *world, const char *name)
{
    const struct tally *t = rollout_tally(world_live(world));
    uint32_t count = t->pending + t->in_progress;
    int64_t began = stopwatch_ns();
    world_answer(world, UINT32_MAX);
    world_commit(world);
    report_ms(name, began, count);
}

/* Half the fleet is updated, then one member too many fails. */
static void time_rollback(struct world *world)
{
    const struct fleet *fleet = engine_fleet(world->engine);
    world_deploy(world, 1000, 1);
    world_answer(world, world->count / 2);
    const struct rollout_live *live = world_live(world)->live;
    uint32_t slot = ordered_first(&fleet->members, live->sets[SET_BUSY]);
    world_commit(world);
    world_say(world, world->version - 1, "FAILED");
    int64_t began = stopwatch_ns();
    world_heartbeat_slot(world, slot);
    world_commit(world);
    report_ms("automatic rollback of half of it, start", began, world->count / 2);
    time_rest(world, "  the members of it");
}

static void time_check(struct world *world)
{
    struct fleet *fleet = engine_fleet(world->engine);
    struct err what = { .code = ERR_NONE };
    int64_t began = stopwatch_ns();
    size_t faults = place_check(fleet, &what);
    report_ms("recount of everything derived", began, world->count);
    if (faults > 0) {
        fprintf(stderr, "bench: %zu faults: %s\n", faults, what.text);
        exit(1);
    }
    began = stopwatch_ns();
    if (!place_derive(fleet)) {
        fprintf(stderr, "bench: no memory to derive it anew\n");
        exit(1);
    }
    report_ms("deriving it anew, as after a lost round", began, world->count);
}

static void report_memory(const char *name, size_t bytes, uint32_t count)
{
    printf("%-42s %10.1f MB %10.0f bytes each\n", name, (double)bytes / 1e6, (double)bytes / count);
}

static void once(struct world *large)
{
    printf("\n%u instances, once %42s\n", large->count, "of the reference");
    time_reference(large);
    if (world_live(large))
        time_rest(large, "rollout in batches of 50, the members");
    world_deploy(large, BATCH, NEVER);
    time_rest(large, "another one");
    time_start(large, "start of a rollout, until the reply", 1000);
    time_check(large);
    time_rest(large, "rollout in batches of 1000, the members");
    time_rollback(large);
    time_check(large);
}

/* ---- restart -------------------------------------------------------------------------------- */

static void fold(struct store_port *store)
{
    while (store->tend(store->self, 1000))
        ;
}

static bool count_row(void *ctx, struct text key, struct text value)
{
    (void)key, (void)value;
    ++*(uint64_t *)ctx;
    return true;
}

/* What a restart cannot do without: every row read from the file and checked. */
static void time_scan(const char *directory, uint32_t count)
{
    uint64_t rows = 0;
    struct err err = { .code = ERR_NONE };
    int64_t began = stopwatch_ns();
    struct store_port store = folder_open(directory);
    if (!store.scan(store.self, TEXT_NONE, TEXT_NONE, 0, count_row, &rows, &err)) {
        fprintf(stderr, "bench: the store: %s\n", err.text);
        exit(1);
    }
    report_ms("reference: the same rows, only read", began, count);
    store.close(store.self);
    printf("%-42s %10llu\n", "  rows", (unsigned long long)rows);
}

/* Until the engine could answer: what the server does before /readyz is 200. */
static void time_restart(struct world *world, const char *directory, const char *name)
{
    uint32_t count = world->count, version = world->version;
    int64_t now = world->now;
    int64_t began = stopwatch_ns();
    struct store_port store = folder_open(directory);
    world_open(world, &store, count, true);
    report_ms(name, began, count);
    world->version = version;
    world->now = now;
    if (engine_fleet(world->engine)->instance_count != count)
        exit(1);
}

static void restart(uint32_t count)
{
    char directory[PATH_MAX / 2];
    struct world world;
    folder_make(directory, sizeof directory);
    struct store_port store = folder_open(directory);
    world_open(&world, &store, count, false);
    if (reference_ms <= 0)
        time_reference(&world);
    int64_t began = stopwatch_ns();
    world_fill(&world);
    report_ms("registration and first report, SQLite", began, count);
    world_deploy(&world, 1000, NEVER);
    world_answer(&world, count / 2);
    world_commit(&world);
    fold(&world.store);
    world_close(&world);
    time_scan(directory, count);
    size_t before = stopwatch_heap();
    time_restart(&world, directory, "restart in mid-rollout, SQLite");
    report_memory("heap after it", stopwatch_heap() - before, count);
    time_check(&world);
    world_close(&world);
    folder_remove(directory);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void fill(struct world *world, uint32_t count)
{
    struct store_port store = world_no_store();
    size_t before = stopwatch_heap();
    int64_t began = stopwatch_ns();
    world_open(world, &store, count, false);
    world_fill(world);
    char name[64];
    snprintf(name, sizeof name, "registration and first report of %u", count);
    report_ms(name, began, count);
    report_memory("  heap", stopwatch_heap() - before, count);
}

static void requests(uint32_t count)
{
    struct world small, large;
    struct rusage usage;
    fill(&small, SMALL);
    fill(&large, count);
    printf("\n%-42s %13u %13u %8s\n", "one request, median", SMALL, count, "ratio");
    for (size_t i = 0; i < QUESTIONS; i++)
        compare(&small, &large, &questions[i]);
    once(&large);
    getrusage(RUSAGE_SELF, &usage);
    report_memory("most memory used so far", (size_t)usage.ru_maxrss * 1024, count);
    world_close(&small);
    world_close(&large);
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    bool is_restart_only = argc > 2 && strcmp(argv[2], "restart") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count < SMALL || count > LIMIT_INSTANCES || (argc > 2 && !is_restart_only))
        return 64;
    if (!is_restart_only)
        requests(count);
    restart(count);
    return 0;
}
