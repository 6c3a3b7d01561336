/* SPDX-License-Identifier: Apache-2.0
 * forecast.h - what a rollout would do, without doing it: the commands of the core itself, on a
 * fleet that nobody else uses, under a virtual clock. Here the clock, the agents and the operator
 * are played; every decision is the core's.
 *
 * Assumed: who is online stays online, works well on its target once the update has taken its time,
 * and reports at once; who is offline stays so; nobody joins, leaves or is relabelled; every gate
 * that is asked about is promoted. Some members may be told to fail; going back succeeds always.
 * Source: spec of rollouts, section 8. */
#ifndef DIDES_PLAN_FORECAST_H
#define DIDES_PLAN_FORECAST_H

#include "core/command.h"

#define FORECAST_UPDATE_MS  60000ll       /* when nothing better is known */
#define FORECAST_HORIZON_MS 86400000ll    /* default */
#define FORECAST_SEED       1u            /* default */
#define FORECAST_NEVER      ((int64_t)-1) /* of an instant: it did not come */

/* Of the members that match, this share fails: chosen by a hash of the key and the seed. */
struct forecast_failure {
    struct selector selector;
    uint8_t percent; /* 0 to 100 */
};

struct forecast_assumptions {
    bool has_update;
    int64_t update_ms;                   /* from the order to the report that it is done */
    int64_t approve_ms;                  /* how long a gate waits for an operator */
    const struct forecast_failure *fail; /* the first that matches counts */
    uint32_t fail_count;
    uint64_t seed;
};

/* Instants are ms from the beginning of the rollout, so that the same inventory gives the same
 * forecast at any time of day. */

struct forecast_member {
    uint32_t slot;
    struct version from; /* what it ran before */
    int64_t picked_ms, ended_ms;
    uint8_t wave;
    uint8_t state;  /* enum member_state in which the rollout leaves it */
    uint8_t cause;  /* enum member_cause */
    uint8_t status; /* enum instance_state, before */
    bool is_online;
};

struct forecast_wave {
    uint32_t total, needing, current, offline; /* at the beginning; offline overlaps the others */
    uint32_t batch_limit, failure_limit;
    uint32_t first; /* in `members`; it has `needing` of them */
};

enum forecast_step_kind { FORECAST_WAVE, FORECAST_SOAK, FORECAST_GATE };

struct forecast_step {
    uint8_t kind; /* enum forecast_step_kind */
    uint8_t wave;
    uint16_t gate;
    int64_t start_ms, end_ms;
};

/* Members with one value of the label of config.domains[label]. */
struct forecast_domain {
    uint8_t label;
    uint32_t value; /* interned; LABELS_ABSENT: they have no such label */
    uint32_t total, peak_in_progress, lowest_available;
};

struct forecast_limit {
    int64_t first_ms; /* when it kept candidates or the next step waiting first */
    int64_t held_ms;  /* in all */
};

/* A live rollout because of which a deploy would be refused now. */
struct forecast_conflict {
    uint32_t rollout;
    enum err_code code;
};

struct forecast {
    struct fleet *fleet;            /* as it is afterwards; borrowed */
    const struct rollout *rollout;  /* what became of it */
    const struct rollout *rollback; /* the automatic one that it caused, or NULL */
    int64_t began_at, horizon_ms;   /* ms since the epoch; ms */
    int64_t update_ms;              /* as it was taken */
    uint32_t update_from;           /* number of the rollout it was learnt from, or 0 */
    int64_t ended_ms, rollback_ended_ms;
    struct forecast_member *members; /* who needs the update: by wave, in the order of picks */
    uint32_t member_count, member_capacity;
    struct forecast_wave *waves; /* rollout->wave_count */
    uint32_t wave_count;
    struct forecast_step *steps; /* in the order of their beginnings */
    uint32_t step_count, step_capacity;
    struct forecast_domain *domains;
    uint32_t domain_count;
    uint32_t peak_in_progress, lowest_available;
    struct forecast_limit limits[WAITING_REASON_COUNT];
    uint8_t first_limit; /* enum waiting_reason; WAITING_REASON_COUNT: nothing ever bound */
    bool is_stopped;     /* it does not complete; of a live one `stop` says what it waits for */
    bool is_cut;         /* the horizon came first: later it would have gone on */
    struct waiting stop;
    int64_t stop_ms;
    uint32_t restores;       /* rollout whose version a rollback would put back, or 0 */
    uint32_t known, unknown; /* members with and without a previous version to go back to */
    struct forecast_conflict conflicts[FLEET_LIVE_MAX];
    uint32_t conflict_count;
};

/* Plays `command` on `fleet`, which is spent afterwards: it can only be read and released. Live
 * rollouts that may share instances with it are taken as aborted at the beginning, whatever number
 * of rollouts may be live; the others go on beside it. Ends when the rollout and a rollback of it
 * have ended, when nothing can happen any more, or after `horizon_ms`. `now` is not before
 * fleet->now.
 *
 * Fails as fleet_deploy() does, or with ERR_MEMORY; then *ret is untouched. To be released before
 * the fleet. */
bool forecast_run(struct fleet *fleet, int64_t now, const struct deploy_command *command,
                  const struct forecast_assumptions *assume, int64_t horizon_ms,
                  struct forecast *ret, struct err *err);
void forecast_release(struct forecast *forecast);

#endif
