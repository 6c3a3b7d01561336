/* SPDX-License-Identifier: Apache-2.0
 * watcher.h - looks at all rollouts again and again through the public API, keeps the newest look
 * at each, and collects what must not be. */
#ifndef DIDES_SIM_WATCHER_H
#define DIDES_SIM_WATCHER_H

#include "base/arena.h"
#include "port/caller.h"
#include "sim/sighting.h"

#define WATCHER_ROLLOUTS_MAX   1000 /* kept; older ended ones are forgotten */
#define WATCHER_VIOLATIONS_MAX 16   /* sentences kept; all are counted */
#define WATCHER_LIST           50   /* rollouts asked for at once */
#define WATCHER_CALL_MS        10000

struct watcher;
typedef void watcher_fn(void *ctx);

struct watcher_options {
    struct caller_port caller;
    struct timer_port timer;
    struct text bearer;      /* borrowed; may be empty */
    int64_t every_ms;        /* pause between two rounds of looking */
    uint32_t max_concurrent; /* rollouts that may be live at once */
    watcher_fn *looked;      /* called after each round that got its answers; may be NULL */
    void *ctx;
};

struct watched {
    struct sighting newest;
    bool is_old;    /* had ended before the first look */
    bool is_wanted; /* to be looked at in this round */
};

struct watcher {
    struct watcher_options options;
    struct arena arena;   /* of one answer */
    struct watched *list; /* ascending numbers */
    uint32_t count;
    uint64_t rounds; /* that got their answers */
    uint64_t missed; /* that did not */
    uint64_t violation_count;
    char violations[WATCHER_VIOLATIONS_MAX][ERR_TEXT_SIZE];
    struct err trouble; /* of the newest round that got no answers */
    bool is_calling, is_stopped;
    uint32_t at; /* in `list`, of the call under way */
};

/* False: no memory. Starts looking when the loop runs. */
bool watcher_start(struct watcher *watcher, const struct watcher_options *options, struct err *err);
/* No new calls. */
void watcher_stop(struct watcher *watcher);
/* No call may be under way and no wait fire any more, see http_fleet_free(). A zeroed one is fine.
 */
void watcher_release(struct watcher *watcher);

uint32_t watcher_live_count(const struct watcher *watcher);
/* NULL: not seen. */
const struct sighting *watcher_rollout(const struct watcher *watcher, uint32_t number);
/* The live one with the lowest number, or NULL. */
const struct sighting *watcher_first_live(const struct watcher *watcher);

#endif
