/* SPDX-License-Identifier: Apache-2.0
 * script.h - carries out the steps of a plan when their time has come, through the public API. A
 * step that gets no answer is asked again with the same idempotency key, so that it happens once.
 */
#ifndef DIDES_SIM_SCRIPT_H
#define DIDES_SIM_SCRIPT_H

#include "sim/http_fleet.h"
#include "sim/watcher.h"

#define SCRIPT_CALL_MS   10000
#define SCRIPT_TRIES_MAX 20 /* with back-offs up to 60 s: about a quarter of an hour */

struct script_options {
    struct caller_port caller;
    struct timer_port timer;
    const struct plan *plan;       /* borrowed */
    struct http_fleet *fleet;      /* for behave */
    const struct watcher *watcher; /* to find the live rollout */
    /* One sentence per step, for a person; may be NULL. */
    void (*told)(void *ctx, const char *sentence);
    void *ctx;
};

struct script {
    struct script_options options;
    struct sim_dice jitter;
    int64_t started_at;
    uint32_t at;      /* the step that is waited for, or under way */
    uint32_t tries;   /* of it */
    uint32_t refused; /* steps that the server refused, or that were given up */
    bool is_calling, is_stopped;
    char key[64]; /* idempotency key of the step */
};

bool script_start(struct script *script, const struct script_options *options, struct err *err);
void script_stop(struct script *script);
bool script_is_done(const struct script *script); /* nothing is left to do */

#endif
