/* SPDX-License-Identifier: Apache-2.0
 * plan.c - what does a plan cost who did not ask for it? The pause for the fork, what heartbeats
 * cost while the copy lives and takes pages away, and the hash that a deploy by a plan computes;
 * beside them the reference: the start of the rollout itself, and the heartbeats before. What the
 * numbers mean: doc/performance.md.
 *
 * usage: plan [INSTANCES [BATCH]]     default 1000000, and 1 % of them */
#include "http/api_parts.h"
#include "net/forked.h"
#include "stopwatch.h"
#include "wire/request.h"
#include "wire/view_plan.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define HEARTBEATS 20000u
#define AT_A_TIME  200u
#define ANSWER_MAX ((size_t)64 << 20)

struct scene {
    struct world world;
    struct loop *loop;
    struct arena arena;
    struct wire_plan request;
    unsigned batch;
    bool is_done;
    size_t answer_size;
};

static double ms_since(int64_t ns)
{
    return (double)(stopwatch_ns() - ns) / 1e6;
}

static void must(bool good, const struct err *err)
{
    if (good)
        return;
    fprintf(stderr, "plan: %s\n", err->text);
    exit(1);
}

static void read_request(struct scene *s)
{
    char body[160];
    struct err err = { 0 };
    struct text copy;
    arena_init(&s->arena, &memory_heap, (size_t)1 << 20);
    int size =
        snprintf(body, sizeof body,
                 "{\"code_version\":\"next\",\"configuration\":{\"batch_size\":%u}}", s->batch);
    must(arena_copy(&s->arena, (struct text){ body, (size_t)size }, &copy) &&
             wire_read_plan(copy, &s->arena, &s->request, &err),
         &err);
}

static void hash(struct scene *s)
{
    char text[LIMIT_PLAN_HASH + 1];
    struct err err = { 0 };
    int64_t began = stopwatch_ns();
    must(plan_hash(engine_fleet(s->world.engine), &s->request.command, text, &err), &err);
    printf("%-52s %10.1f ms\n", "hash of the plan, in the loop", ms_since(began));
}

/* ---- in the child --------------------------------------------------------------------------- */

static void work(void *ctx, struct buffer *out)
{
    struct scene *s = ctx;
    struct fleet *fleet = engine_fleet(s->world.engine);
    struct wire_plan_page page = { .limit = LIMIT_LIST_DEFAULT };
    struct forecast forecast;
    struct json_writer w;
    struct err err = { 0 };
    int64_t began = stopwatch_ns();
    must(forecast_run(fleet, fleet->now, &s->request.command, &s->request.assume,
                      s->request.horizon_ms, &forecast, &err),
         &err);
    double played_ms = ms_since(began);
    json_writer_init(&w, out);
    wire_write_plan(&w, &forecast, &s->request, TEXT("-"), &page);
    fprintf(stderr, "%-52s %10.1f ms\n", "in the child: the rollout is played", played_ms);
    fprintf(stderr, "%-52s %10.1f MiB\n", "in the child: new heap",
            (double)stopwatch_heap() / (1 << 20));
}

static void on_done(void *ctx, enum forked_outcome outcome, struct text text)
{
    struct scene *s = ctx;
    if (outcome != FORKED_DONE)
        fprintf(stderr, "plan: the child ended with %d\n", (int)outcome);
    s->is_done = true;
    s->answer_size = text.size;
}

/* ---- in the loop ---------------------------------------------------------------------------- */

/* Microseconds for one heartbeat, in small portions: the median and the worst. */
static void beat(struct scene *s, const char *when)
{
    static double samples[HEARTBEATS / AT_A_TIME];
    size_t count = 0;
    double worst = 0;
    world_say(&s->world, s->world.version, "DEGRADED");
    for (unsigned i = 0; i < HEARTBEATS / AT_A_TIME; i++) {
        int64_t began = stopwatch_ns();
        for (unsigned k = 0; k < AT_A_TIME; k++)
            world_heartbeat(&s->world, world_next(&s->world));
        samples[count] = ms_since(began) * 1000 / AT_A_TIME;
        worst = samples[count] > worst ? samples[count] : worst;
        count++;
    }
    printf("heartbeat with a change, %-27s %10.2f us, worst portion %.2f us\n", when,
           stopwatch_median(samples, count), worst);
}

static void plan(struct scene *s)
{
    struct forked_options options = { .work = work,
                                      .done = on_done,
                                      .ctx = s,
                                      .deadline_ms = 600000,
                                      .memory_max = (size_t)4 << 30,
                                      .text_max = ANSWER_MAX };
    struct err err = { 0 };
    int64_t began = stopwatch_ns();
    must(forked_start(s->loop, &options, &err) != NULL, &err);
    printf("%-52s %10.1f ms\n", "fork, in the loop", (double)forked_pause_us() / 1000);
    beat(s, "while the copy lives:");
    while (!s->is_done)
        loop_step(s->loop, true);
    printf("%-52s %10.1f ms\n", "from the request to the answer", ms_since(began));
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    struct store_port store = world_no_store();
    struct err err = { 0 };
    static struct scene s;
    if (count < 1000 || count > LIMIT_INSTANCES)
        return 64;
    setvbuf(stdout, NULL, _IOLBF, 0);
    s.batch = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : count / 100;
    s.loop = loop_new(&err);
    must(s.loop != NULL, &err);
    world_open(&s.world, &store, count, false);
    world_fill(&s.world);
    read_request(&s);
    printf("%u instances, %u at a time; heap %.0f MiB\n", count, s.batch,
           (double)stopwatch_heap() / (1 << 20));
    beat(&s, "before:");
    for (unsigned i = 0; i < 5; i++)
        hash(&s);
    plan(&s);
    int64_t began = stopwatch_ns();
    world_deploy(&s.world, s.batch, LIMIT_AMOUNT);
    printf("%-52s %10.1f ms\n", "reference: the rollout is started", ms_since(began));
    world_close(&s.world);
    arena_release(&s.arena);
    loop_free(s.loop);
    return 0;
}
