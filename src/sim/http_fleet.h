/* SPDX-License-Identifier: Apache-2.0
 * http_fleet.h - thousands of simulated instances that speak the agents' protocol to a real server,
 * through one caller port, on somebody else's loop. Source: spec of rollouts, section 10. */
#ifndef DIDES_SIM_HTTP_FLEET_H
#define DIDES_SIM_HTTP_FLEET_H

#include "port/caller.h"
#include "sim/histogram.h"
#include "sim/plan.h"

#define FLEET_CALLS_DEFAULT 128
#define FLEET_CALL_MS       10000 /* an answer that takes longer is a lost one */

struct http_fleet_options {
    struct caller_port caller;
    struct timer_port timer;
    uint64_t (*ticks_us)(void); /* of a monotonic clock, for latencies; NULL: the timer's ms */
    uint32_t calls_max;         /* under way at once; 0: FLEET_CALLS_DEFAULT */
    int64_t spread_ms;          /* the first registrations are spread over so long */
    bool adopts_known_versions; /* an instance that the server knows already goes on with the
                                   version it had there, instead of its `start` */
};

struct http_fleet_counts {
    uint32_t instances, registered, crashed, working, failed; /* now */
    uint64_t registrations, heartbeats;                       /* taken by the server */
    uint64_t again;                   /* 404 or 401: had to register again */
    uint64_t busy;                    /* 429 or 503 */
    uint64_t lost;                    /* no answer, or none that could be read */
    uint64_t refused;                 /* any other status */
    uint64_t updates, failures, lies; /* of all instances */
};

struct fleet_version {
    struct text code; /* empty: unknown; borrowed from the plan */
    uint32_t count;
};

struct http_fleet;

/* Borrows `plan`, which must outlive it. Nothing happens before http_fleet_start(). */
bool http_fleet_new(struct plan *plan, const struct http_fleet_options *options,
                    struct http_fleet **ret, struct err *err);
/* No call of it may be under way (close the client first) and no wait may fire any more (free the
 * loop first, or never run it again). NULL is allowed. */
void http_fleet_free(struct http_fleet *fleet);

/* False: no memory for the first wait. */
bool http_fleet_start(struct http_fleet *fleet, struct err *err);
/* No new calls from now on; answers that still come are counted. */
void http_fleet_stop(struct http_fleet *fleet);

/* Whom the selector matches behaves so from the next update on. `behaviour` is borrowed. Returns
 * how many match. */
uint32_t http_fleet_behave(struct http_fleet *fleet, const struct selector *selector,
                           const struct behaviour *behaviour);

/* Costs a walk over the fleet. */
struct http_fleet_counts http_fleet_counts(const struct http_fleet *fleet);
/* The code versions that really run, most frequent first; returns how many were stored. The rest is
 * left out. */
uint32_t http_fleet_versions(const struct http_fleet *fleet, struct fleet_version *ret,
                             uint32_t max);
/* Of answered heartbeats, in us. */
const struct histogram *http_fleet_latency(const struct http_fleet *fleet);
/* Why the newest call got no answer that helps; "" when all did. */
const char *http_fleet_trouble(const struct http_fleet *fleet);

const struct agent *http_fleet_agent(const struct http_fleet *fleet, uint32_t index);

#endif
