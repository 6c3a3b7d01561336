/* SPDX-License-Identifier: Apache-2.0
 * plan.h - a simulation as its YAML file describes it: the fleet, how it behaves, and what happens
 * when. Everything is checked here; errors name the place in the file.
 * Source: spec of rollouts, section 13. Beyond it: `max_concurrent` (what the server allows),
 * `code_version` of a behaviour, the steps `rollback` and `verb`, and `faults` (faults.h). */
#ifndef DIDES_SIM_PLAN_H
#define DIDES_SIM_PLAN_H

#include "base/arena.h"
#include "base/err.h"
#include "core/selector.h"
#include "sim/agent.h"
#include "sim/faults.h"

#define PLAN_INSTANCES_MAX  1000000
#define PLAN_BEHAVIOURS_MAX 64
#define PLAN_STEPS_MAX      1000
#define PLAN_SPEED_MAX      100000
#define PLAN_FACTOR_MAX     1000

enum plan_mode { PLAN_HTTP, PLAN_VIRTUAL };

struct plan_instance {
    struct text name, ip; /* ip may be empty */
    uint32_t labels;      /* id in plan.labels */
    struct version start; /* ids in plan.texts; 0 = reports no version */
    const struct behaviour *behaviour;
};

enum plan_action { PLAN_DEPLOY, PLAN_ROLLBACK, PLAN_VERB, PLAN_BEHAVE };

struct plan_step {
    int64_t at_ms;            /* after the start */
    uint8_t action;           /* enum plan_action */
    struct text body;         /* of deploy, rollback and verb: JSON as it stands in the file */
    struct text verb;         /* "pause", ... */
    struct text rollout;      /* of a verb: an id, or empty: the one that is live then */
    struct selector selector; /* of behave */
    const struct behaviour *behaviour; /* of behave */
};

/* Borrows nothing: all texts are its own. */
struct plan {
    struct arena arena;
    struct intern texts; /* versions and labels */
    struct label_sets labels;
    uint8_t mode;              /* enum plan_mode */
    struct text server, token; /* server may be empty */
    uint64_t seed;
    uint32_t speed; /* http: what the times below were divided by already; virtual: virtual seconds
                       per second, 0 = as fast as possible */
    uint32_t max_concurrent;
    int64_t wait_ms; /* virtual mode: heartbeats are held so long while there is no news */
    struct behaviour *behaviours;
    uint32_t behaviour_count;
    struct plan_instance *instances;
    uint32_t instance_count;
    struct plan_step *steps; /* by time; equal times as in the file */
    uint32_t step_count;
    struct faults faults; /* virtual mode */
};

/* Reads a YAML document. In http mode `speed` (from 1, default 1) divides latencies, flap periods
 * and the times of the script, so that a file made for hours can be shown in minutes. Fails with
 * ERR_INVALID, ERR_UNKNOWN_KEY, ERR_NOT_SUPPORTED or ERR_MEMORY; the sentence begins with the
 * place; then there is nothing to release. */
bool plan_read(struct plan *plan, struct text yaml, struct err *err);
/* The same with another seed than the file's; `seed` may be NULL. */
bool plan_read_seeded(struct plan *plan, struct text yaml, const uint64_t *seed, struct err *err);
/* A plan without instances, behaviours but "normal", and script, to be filled by hand. */
bool plan_init(struct plan *plan, struct err *err);
void plan_release(struct plan *plan);

/* NULL: no such behaviour. "normal" is always there. */
const struct behaviour *plan_behaviour(const struct plan *plan, struct text name);

/* ---- parts, for tests ----------------------------------------------------------------------- */

/* "0.5%" -> 50 of 10000: 0% to 100%, at most two decimals. */
bool plan_parse_share(struct text t, uint32_t *ret, struct err *err);
/* "20s-90s" or "30s". */
bool plan_parse_range(struct text t, int64_t *ret_min_ms, int64_t *ret_max_ms, struct err *err);
/* The IPv4 address `add` after `base`; false: no IPv4 address, or there are not so many. */
bool plan_count_ip(struct text base, uint32_t add, struct arena *arena, struct text *ret);

#endif
