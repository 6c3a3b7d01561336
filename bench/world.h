/* SPDX-License-Identifier: Apache-2.0
 * world.h - an engine with a fleet of any size, and the requests that agents and operators make of
 * it, from the bytes of the body to the bytes of the answer. No sockets: what the network costs is
 * asked by other programs. Time is virtual and moves only when told to.
 *
 * Instances are named web-000001 and so on and have three labels: env (70 % prod, 20 % staging,
 * 10 % dev), role (8 values) and zone (12 values). They register in shuffled order, as hosts do. */
#ifndef DIDES_BENCH_WORLD_H
#define DIDES_BENCH_WORLD_H

#include "base/arena.h"
#include "engine/engine.h"

struct world {
    struct engine *engine;
    struct store_port store;
    uint32_t count;
    uint32_t *shuffled; /* numbers of instances */
    uint32_t cursor;    /* in `shuffled` */
    int64_t now;        /* ms */
    uint32_t version;   /* number of the newest version asked for */
    unsigned unsaved;   /* requests in the open round */
    struct arena arena; /* of one request */
    struct buffer name, body, reply;
};

/* Requests that share one commit. */
#define WORLD_ROUND 64u

/* A store that takes every batch and keeps nothing: what is measured is the engine. */
struct store_port world_no_store(void);

/* Takes the store over. With threads, as a server has them, nothing may be changed afterwards:
 * there is no loop to hear of commits. A failure of anything here or below ends the process with a
 * sentence. */
void world_open(struct world *world, const struct store_port *store, uint32_t count,
                bool has_threads);
/* The same for who has a loop: `ring` says from the store's thread that engine_poll() is due. NULL:
 * there is no such thread, and commits are done when a round ends. */
void world_open_ringing(struct world *world, const struct store_port *store, uint32_t count,
                        void (*ring)(void *ctx), void *ctx);
void world_close(struct world *world);

/* The fleet registers and reports version 0, HEALTHY. */
void world_fill(struct world *world);
/* The number of the next instance in shuffled order. */
uint32_t world_next(struct world *world);
/* The open round is committed. */
void world_commit(struct world *world);

/* ---- requests: each leaves its answer in world->reply --------------------------------------- */

/* Sets world->body to a report of a version. */
void world_say(struct world *world, uint32_t version, const char *status);
/* A heartbeat with world->body. */
void world_heartbeat(struct world *world, uint32_t number);
void world_heartbeat_slot(struct world *world, uint32_t slot);
void world_progress(struct world *world);
void world_status(struct world *world);
void world_show(struct world *world, uint32_t number);
void world_list(struct world *world, uint32_t number, unsigned limit);
void world_metrics(struct world *world);

/* A rollout of the whole fleet to the next version; `batch` members at a time, failing at
 * `threshold`. The answer may be sent when it returns: the start has been committed. */
void world_deploy(struct world *world, unsigned batch, unsigned threshold);

/* ---- agents --------------------------------------------------------------------------------- */

/* The live rollout, or NULL. */
struct rollout *world_live(const struct world *world);
/* Up to `count` members in flight answer at once that they run what they were asked to run. Returns
 * how many did: less than `count` only when no rollout is live any more. */
uint32_t world_answer(struct world *world, uint32_t count);

#endif
