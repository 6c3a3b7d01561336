/* SPDX-License-Identifier: Apache-2.0
 * http_fleet_parts.h - what the files of the fleet share; nobody else includes it. */
#ifndef DIDES_SIM_HTTP_FLEET_PARTS_H
#define DIDES_SIM_HTTP_FLEET_PARTS_H

#include "base/buffer.h"
#include "base/limits.h"
#include "sim/http_fleet.h"

#define FLEET_ANSWER_MAX   (1024 * 1024) /* bytes that decoding one answer may need */
#define FLEET_MESSAGE_MAX  LIMIT_BODY_AGENT
#define FLEET_VERSIONS_MAX 32

/* An instance and its call. */
struct caller {
    struct http_fleet *fleet;
    struct agent agent;
    struct buffer credential; /* empty: none */
    uint64_t called_at_us;
    uint32_t index;
    bool is_calling, is_registering; /* what is under way */
    bool was_registered;             /* at least once */
};

struct http_fleet {
    struct plan *plan;
    struct http_fleet_options options;
    struct caller *callers; /* one per instance of the plan */
    struct timers timers;
    uint32_t calls; /* under way */
    bool is_stopped;
    struct http_fleet_counts counts; /* its sums; what is counted now is not kept */
    struct histogram latency;
    struct arena answers;     /* for one answer at a time */
    struct buffer path, body; /* of the call being built */
    struct err trouble;
};

void fleet_run_due(struct http_fleet *fleet);
void fleet_trouble(struct http_fleet *fleet, const char *sentence);

/* Builds the call the agent wants to make; borrowed from the fleet until the next one. False: no
 * memory. */
bool fleet_say(struct http_fleet *fleet, struct caller *caller, int64_t now, struct call *ret);
/* Tells the agent what came. */
void fleet_hear(struct http_fleet *fleet, struct caller *caller, const struct call_result *result,
                uint64_t took_us, int64_t now);

#endif
