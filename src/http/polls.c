/* SPDX-License-Identifier: Apache-2.0
 * polls.c - heartbeats whose reply is held until there is news (spec of rollouts, G2). The report
 * is applied at once; the reply comes when the instance's wish changes, or when its time is over.
 * One reply is held per instance: a newer heartbeat releases the older one. */
#include "http/api_parts.h"

#include <assert.h>

#define TICK_MS 100

struct poll {
    struct api *api;
    struct http_exchange *x;
    const struct route *route;
    uint32_t slot;
    size_t key_size;
    int64_t began_us, held_at_us;
    char key[LIMIT_NAME]; /* a slot may be given to another instance meanwhile */
};

/* ---- the table by slot ---------------------------------------------------------------------- */

static void expire(void *ctx);
static void wake(void *ctx, uint32_t slot);

bool polls_open(struct api *api, struct err *err)
{
    timers_init(&api->polls.due, &memory_heap);
    api->polls.timer = loop_every(api->loop, TICK_MS, expire, api, err);
    engine_on_wake(api->engine, wake, api);
    return api->polls.timer != NULL;
}

static bool has_room(struct polls *polls, uint32_t slot)
{
    if (slot < polls->capacity)
        return true;
    uint32_t capacity = polls->capacity ? polls->capacity : 1024;
    while (capacity <= slot)
        capacity *= 2;
    struct poll **grown =
        memory_heap.resize(memory_heap.ctx, polls->by_slot,
                           polls->capacity * sizeof polls->by_slot[0], capacity * sizeof grown[0]);
    if (!grown)
        return false;
    memset(grown + polls->capacity, 0, (capacity - polls->capacity) * sizeof grown[0]);
    polls->by_slot = grown;
    polls->capacity = capacity;
    return timers_reserve(&polls->due, capacity);
}

/* Out of the table; the exchange is still to be given back. */
static struct http_exchange *take_out(struct poll *poll)
{
    struct polls *polls = &poll->api->polls;
    struct http_exchange *x = poll->x;
    timers_clear(&polls->due, poll->slot);
    polls->by_slot[poll->slot] = NULL;
    polls->count--;
    http_on_gone(x, NULL, NULL);
    return x;
}

static void free_poll(struct poll *poll)
{
    memory_give(&memory_heap, poll, sizeof *poll);
}

static void on_gone(void *ctx)
{
    struct poll *poll = ctx;
    http_abandon(take_out(poll));
    free_poll(poll);
}

/* ---- answers -------------------------------------------------------------------------------- */

static bool is_there(const struct poll *poll)
{
    const struct fleet *fleet = engine_fleet(poll->api->engine);
    return fleet_find(fleet, (struct text){ poll->key, poll->key_size }) == poll->slot;
}

/* With what is true now, once that is durable. */
static void answer(struct poll *poll)
{
    struct api *api = poll->api;
    const struct http_request gone = { .method = poll->route->method };
    struct api_call call = { .api = api,
                             .request = &gone,
                             .route = poll->route,
                             .began_us = poll->began_us,
                             .fields = { .held_us = (uint64_t)(api_now_us() - poll->held_at_us) },
                             .x = take_out(poll) };
    struct buffer mine; /* the body of the call that caused this is not ours to write into */
    struct buffer body = api->body;
    buffer_init(&mine, &memory_heap, API_BODY_MAX);
    api->body = mine;
    json_writer_init(&call.w, &api->body);
    if (is_there(poll)) {
        struct fleet *fleet = engine_fleet(api->engine);
        struct instance *inst = fleet_at(fleet, poll->slot);
        wire_write_heartbeat_reply(
            &call.w, fleet,
            &(struct wire_reply){ .slot = poll->slot,
                                  .next_heartbeat_ms = fleet_give_interval(fleet, inst),
                                  .server_time = fleet->now,
                                  .term = engine_term(api->engine) });
        api_reply(&call, 200, engine_round_of(api->engine, inst));
    } else {
        err_set(&call.err, ERR_NOT_FOUND, "this instance was removed");
        api_fail(&call);
    }
    mine = api->body;
    api->body = body;
    buffer_release(&mine);
    free_poll(poll);
}

static struct poll *poll_of(const struct api *api, uint32_t slot)
{
    return slot < api->polls.capacity ? api->polls.by_slot[slot] : NULL;
}

static void wake(void *ctx, uint32_t slot)
{
    struct poll *poll = poll_of(ctx, slot);
    if (poll)
        answer(poll);
}

void polls_release(struct api *api, uint32_t slot)
{
    wake(api, slot);
}

static void expire(void *ctx)
{
    struct api *api = ctx;
    int64_t now = loop_ticks_ms(api->loop);
    int64_t due;
    for (uint32_t slot = timers_first(&api->polls.due, &due); slot != TIMERS_NONE && due <= now;
         slot = timers_first(&api->polls.due, &due))
        answer(api->polls.by_slot[slot]);
}

/* ---- holding -------------------------------------------------------------------------------- */

bool polls_hold(struct api_call *call, uint32_t slot, int64_t wait_ms)
{
    struct api *api = call->api;
    struct instance *inst = fleet_at(engine_fleet(api->engine), slot);
    struct poll *poll = NULL;
    if (api->is_stopping || !has_room(&api->polls, slot))
        return false;
    poll = memory_take(&memory_heap, sizeof *poll);
    if (!poll)
        return false;
    polls_release(api, slot);
    struct text key = instance_key(inst);
    *poll = (struct poll){ .api = api,
                           .x = call->x,
                           .route = call->route,
                           .slot = slot,
                           .key_size = key.size,
                           .began_us = call->began_us,
                           .held_at_us = api_now_us() };
    memcpy(poll->key, key.data, key.size);
    /* Waiting counts as alive: silence is judged by the interval that was given. */
    if (inst->interval_ms < wait_ms)
        inst->interval_ms = (uint32_t)wait_ms;
    api->polls.by_slot[slot] = poll;
    api->polls.count++;
    timers_set(&api->polls.due, slot, loop_ticks_ms(api->loop) + wait_ms);
    http_on_gone(call->x, on_gone, poll);
    return true;
}

/* ---- the end -------------------------------------------------------------------------------- */

void polls_end(struct api *api)
{
    for (uint32_t slot = 0; slot < api->polls.capacity && api->polls.count > 0; slot++)
        polls_release(api, slot);
}

void polls_close(struct api *api)
{
    assert(api->polls.count == 0);
    loop_timer_free(api->polls.timer);
    timers_release(&api->polls.due);
    memory_give(&memory_heap, api->polls.by_slot,
                api->polls.capacity * sizeof api->polls.by_slot[0]);
}
