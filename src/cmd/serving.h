/* SPDX-License-Identifier: Apache-2.0
 * serving.h - a coordinator put together: store, engine, API and HTTP server on one loop. Here the
 * concrete classes meet; the process around it (settings, signals, log) stands in server.c. */
#ifndef DIDES_CMD_SERVING_H
#define DIDES_CMD_SERVING_H

#include "cmd/settings.h"
#include "engine/engine.h"
#include "net/loop.h"

struct serving;

struct serving_options {
    const struct settings *settings; /* checked; borrowed until serving_free() */
    struct loop *loop;               /* its round-end hook is taken */
    struct log_port log;
    /* The store cannot say what is durable: end the process at once, without answering anybody.
     * Must not return to serving (doc/reliability.md, R2). */
    void (*fatal)(void *ctx, const struct err *why);
    void *ctx;
};

/* Opens the store, loads what it has, and listens. False: *err says which of them failed. */
bool serving_open(const struct serving_options *options, struct serving **ret, struct err *err);
const char *serving_address(const struct serving *s); /* with the port in use */
/* The setting, or fewer when there are not enough descriptors for so many. */
unsigned serving_connections_max(const struct serving *s);
struct engine *serving_engine(struct serving *s);

/* Stops listening, ends streams, lets answers under way go out for `grace_ms` and cuts the rest;
 * then `stopped` is called once from the loop. Call once. */
void serving_stop(struct serving *s, int64_t grace_ms, loop_fn *stopped, void *ctx);
/* Makes everything durable and closes the store. Only before serving_stop() was called on a server
 * that never ran, or after `stopped`. Blocks for as long as the disk does. NULL is allowed. */
void serving_free(struct serving *s);

/* Raises the limit of open descriptors as far as it goes; returns what it is then. */
uint64_t serving_raise_descriptors(void);

#endif
