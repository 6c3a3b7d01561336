/* SPDX-License-Identifier: Apache-2.0
 * model.h - the whole system in one process under a virtual clock: a server that is the shipped
 * core, its store, a network, and the agents of a plan. One thread, one seed, one history: the same
 * plan gives the same events, byte for byte.
 *
 * After each event the invariants are checked (invariants.h). When one is broken the model stands
 * still: model_broken() says which, model_tell_last() shows how it came to that. */
#ifndef DIDES_SIM_MODEL_H
#define DIDES_SIM_MODEL_H

#include "base/buffer.h"
#include "core/fleet.h"
#include "sim/plan.h"
#include "sim/vault.h"

/* Where virtual time begins: 2030-01-01T00:00:00Z. */
#define MODEL_BEGIN_MS 1893456000000ll
#define MODEL_LAST     50u /* events that are remembered for model_tell_last() */

struct model_options {
    struct plan *plan; /* borrowed; versions are added to its texts */
    struct fleet_settings settings;
    int64_t spread_ms;    /* the first registrations are spread over so long */
    uint64_t events_kept; /* of the journal; 0: as the server's default */
    int64_t events_kept_ms;
    const struct vault_disk *disk; /* for the store; NULL: none */
    bool checks_all;               /* records and invariants of a small fleet, whatever its size */
    bool is_traced;                /* every event is told, not only what people want to know */
    void (*told)(void *ctx, int64_t at, const char *sentence); /* may be NULL */
    void *ctx;
};

struct model_counts {
    uint32_t instances, registered, working, failed, cut; /* now; crashed ones are among the cut */
    uint64_t registrations, heartbeats;                   /* taken by the server */
    uint64_t again, busy, lost;       /* told to register; told to wait; no answer */
    uint64_t updates, failures, lies; /* of all agents */
    uint64_t faults[FAULT_CLASS_COUNT];
    uint64_t events;  /* of all kinds */
    uint64_t checks;  /* of invariants */
    uint32_t refused; /* steps of the script */
};

struct model;

bool model_new(const struct model_options *options, struct model **ret, struct err *err);
void model_free(struct model *model); /* NULL is allowed */

#define MODEL_RUN_MAX_MS (10ll * 365 * 24 * 3600 * 1000)

/* Lets everything happen that is due up to `until_ms` after the start. False: see model_broken(),
 * or there was no memory. */
bool model_run(struct model *model, int64_t until_ms);
/* The script is done and no rollout is live, or all that are wait for an operator. */
bool model_is_over(const struct model *model);
/* When the next event is due, in ms after the start; TIMERS_NEVER: never. */
int64_t model_next_due(const struct model *model);

/* Everything is looked at once more. False: as model_run(). */
bool model_check_all(struct model *model);
/* "I13 <sentence>", or NULL. */
const char *model_broken(const struct model *model);
int64_t model_elapsed(const struct model *model); /* ms since the start */
/* The last events, one per line, oldest first. */
void model_tell_last(const struct model *model, struct buffer *out);

/* Of all records and of the whole history: equal hashes are equal runs. */
uint64_t model_hash(const struct model *model);
const struct fleet *model_fleet(const struct model *model);
struct model_counts model_counts(const struct model *model);

#endif
