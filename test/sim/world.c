/* SPDX-License-Identifier: Apache-2.0
 * world.c - a list of events ordered by time: waits that end, and answers that arrive. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world_event {
    struct world_event *next;
    int64_t at;
    wake_fn *wake; /* of a wait; else it is a call */
    call_done_fn *done;
    void *ctx;
    int status;
    bool is_reached; /* the request gets to the server */
    char *method, *path, *body, *bearer, *key;
    struct buffer answer;
};

void world_init(struct world *world, world_answer_fn *answer, void *ctx)
{
    *world = (struct world){
        .now = 1000000, .answer = answer, .ctx = ctx, .dice = { 11 }, .delay_max_ms = 5
    };
}

static void insert(struct world *world, struct world_event *event)
{
    struct world_event **link = &world->events;
    while (*link && (*link)->at <= event->at)
        link = &(*link)->next;
    event->next = *link;
    *link = event;
}

static struct world_event *new_event(struct world *world, int64_t delay)
{
    struct world_event *event = calloc(1, sizeof *event);
    assert_non_null(event);
    event->at = world->now + delay;
    return event;
}

static void free_event(struct world_event *event)
{
    free(event->method);
    free(event->path);
    free(event->body);
    free(event->bearer);
    free(event->key);
    if (event->answer.memory)
        buffer_release(&event->answer);
    free(event);
}

static char *copy(struct text t)
{
    return strndup(t.data ? t.data : "", t.size);
}

static bool start(void *self, const struct call *call, call_done_fn *done, void *ctx)
{
    struct world *world = self;
    assert_true(call->timeout_ms > 0);
    assert_true(call->path.size > 0 && call->path.data[0] == '/');
    if (world->refuses_calls)
        return false;
    int64_t delay = sim_dice_between(&world->dice, 1, world->delay_max_ms);
    struct world_event *event = new_event(world, delay);
    event->done = done;
    event->ctx = ctx;
    event->is_reached = sim_dice_roll(&world->dice, 1000) >= world->lost_requests;
    event->method = copy(text_from(call->method));
    event->path = copy(call->path);
    event->body = copy(call->body);
    event->bearer = copy(call->bearer);
    event->key = copy(call->idempotency_key);
    buffer_init(&event->answer, &memory_heap, 1 << 20);
    insert(world, event);
    world->calls++;
    if (++world->under_way > world->under_way_max)
        world->under_way_max = world->under_way;
    return true;
}

static bool after(void *self, int64_t delay_ms, wake_fn *wake, void *ctx)
{
    struct world *world = self;
    if (world->refuses_timers)
        return false;
    struct world_event *event = new_event(world, delay_ms);
    event->wake = wake;
    event->ctx = ctx;
    insert(world, event);
    world->waits++;
    return true;
}

static int64_t now_ms(void *self)
{
    return ((struct world *)self)->now;
}

struct caller_port world_caller(struct world *world)
{
    return (struct caller_port){ start, world };
}

struct timer_port world_timer(struct world *world)
{
    return (struct timer_port){ after, now_ms, world };
}

/* The request is handled at the instant of its answer: what counts is that the answer may be lost.
 */
static void serve(struct world *world, struct world_event *event)
{
    struct call call = { .method = event->method,
                         .path = text_from(event->path),
                         .body = text_from(event->body),
                         .bearer = text_from(event->bearer),
                         .idempotency_key = text_from(event->key),
                         .timeout_ms = 1 };
    if (!event->is_reached)
        return;
    if (sim_dice_roll(&world->dice, 1000) < world->busy) {
        event->status = 503;
        return;
    }
    event->status = world->answer(world, &call, &event->answer);
    if (sim_dice_roll(&world->dice, 1000) < world->lost_answers)
        event->status = 0;
}

static void finish(struct world *world, struct world_event *event)
{
    struct call_result result = { .status = event->status };
    if (event->status == 0)
        err_set(&result.err, ERR_UNAVAILABLE, "no answer");
    else
        result.body = buffer_text(&event->answer);
    if (event->status == 503)
        result.retry_after_ms = world->retry_after_ms;
    world->under_way--;
    event->done(event->ctx, &result);
}

static void step(struct world *world)
{
    struct world_event *event = world->events;
    world->events = event->next;
    world->now = event->at > world->now ? event->at : world->now;
    if (event->wake) {
        event->wake(event->ctx);
    } else {
        serve(world, event);
        finish(world, event);
    }
    free_event(event);
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

bool world_run_until(struct world *world, int64_t ms, bool (*is_done)(void *ctx), void *ctx)
{
    int64_t end = world->now + ms;
    while (!is_done(ctx)) {
        if (!world->events || world->events->at > end) {
            world->now = end;
            return is_done(ctx);
        }
        step(world);
    }
    return true;
}

void world_run(struct world *world, int64_t ms)
{
    world_run_until(world, ms, never, NULL);
}

void world_release(struct world *world)
{
    world->refuses_calls = world->refuses_timers = true;
    while (world->events) {
        struct world_event *event = world->events;
        world->events = event->next;
        if (!event->wake) {
            event->status = 0;
            finish(world, event);
        }
        free_event(event);
    }
}
