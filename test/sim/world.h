/* SPDX-License-Identifier: Apache-2.0
 * world.h - ports without a network: virtual time, calls that take as long as a die says, and
 * answers from a function of the test. Faults are for all calls alike. */
#ifndef DIDES_TEST_SIM_WORLD_H
#define DIDES_TEST_SIM_WORLD_H

#include "base/buffer.h"
#include "port/caller.h"
#include "sim/dice.h"

struct world;

/* What the server says to a call: returns the status and may append a body. */
typedef int world_answer_fn(struct world *world, const struct call *call, struct buffer *body);

struct world_event;

struct world {
    int64_t now;
    world_answer_fn *answer;
    void *ctx; /* of the answers */
    struct sim_dice dice;
    int64_t delay_max_ms;                       /* a call takes 1 to this; the default is 5 */
    uint32_t lost_requests, lost_answers, busy; /* of 1000 calls */
    int64_t retry_after_ms;                     /* said with 503 */
    bool refuses_calls;                         /* start() fails */
    bool refuses_timers;                        /* after() fails */
    uint32_t under_way, under_way_max;
    uint64_t calls, waits;
    struct world_event *events; /* by time */
};

void world_init(struct world *world, world_answer_fn *answer, void *ctx);
/* What is under way is called off, as by closing a client; waits are dropped. */
void world_release(struct world *world);

struct caller_port world_caller(struct world *world);
struct timer_port world_timer(struct world *world);
/* Lets `ms` pass. */
void world_run(struct world *world, int64_t ms);
/* Runs until `is_done` says so, at most `ms`; whether it did. */
bool world_run_until(struct world *world, int64_t ms, bool (*is_done)(void *ctx), void *ctx);

#endif
