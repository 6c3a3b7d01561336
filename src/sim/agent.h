/* SPDX-License-Identifier: Apache-2.0
 * agent.h - one simulated instance: what a real one would run, say and do wrong.
 *
 * Two small machines: the link, which is how it stands with the server, and the work, which is what
 * it makes of a wish. Pure: time comes in, instants and texts to report come out. Who calls the
 * server is http_fleet.h. Source: spec of rollouts, sections 10 and 13; RELIABILITY R15. */
#ifndef DIDES_SIM_AGENT_H
#define DIDES_SIM_AGENT_H

#include "base/timers.h"
#include "core/rollout.h"
#include "core/status.h"
#include "sim/dice.h"
#include "sm/sm.h"

/* clang-format off */
#define LINK_STATES(X, T)                                                                       \
    X(T, LINK_REGISTERING, "registering", "the server does not know it, or not any more")       \
    X(T, LINK_BEATING,     "beating",     "sends heartbeats")                                   \
    X(T, LINK_SILENT,      "silent",      "crashed: never heard again")

#define LINK_EVENTS(X, T)                                                                       \
    X(T, LINK_ACCEPTED, "accepted", "the server took the registration or the heartbeat")        \
    X(T, LINK_UNKNOWN,  "unknown",  "the server does not know it (404) or its credential (401)") \
    X(T, LINK_MISSED,   "missed",   "no answer, 429, 503, or another refusal")                  \
    X(T, LINK_CRASH,    "crash",    "an update takes it down")

#define LINK_GUARDS(X, T) X(T, LINK_ALWAYS, "always", "no condition")

#define LINK_EFFECTS(X, T)                                                                      \
    X(T, LINK_REPORT_NOW,  "report_now",  "the next heartbeat goes out at once")                \
    X(T, LINK_REPORT_LATER, "report_later", "the next heartbeat goes out when the server said") \
    X(T, LINK_BACK_OFF,    "back_off",    "try again after a random time, 1 s doubling to 60 s") \
    X(T, LINK_HANG_UP,     "hang_up",     "no call any more")

#define WORK_STATES(X, T)                                                                       \
    X(T, WORK_IDLE,     "idle",     "runs what it says")                                        \
    X(T, WORK_UPDATING, "updating", "an update is under way")                                   \
    X(T, WORK_LYING,    "lying",    "says that the target runs, and the old version does")      \
    X(T, WORK_BROKEN,   "broken",   "the update failed; runs the old version and is FAILED")    \
    X(T, WORK_CRASHED,  "crashed",  "nothing runs any more")

#define WORK_EVENTS(X, T)                                                                       \
    X(T, WORK_WISH,    "wish",    "the server wants another version than it says to run")       \
    X(T, WORK_CONTENT, "content", "the server wants nothing else")                              \
    X(T, WORK_TIMER,   "timer",   "the time of the update, or of the lie, is over")

#define WORK_GUARDS(X, T)                                                                       \
    X(T, WORK_ALWAYS,      "always",      "no condition")                                       \
    X(T, WORK_WILL_LIE,    "will_lie",    "the next update is one that only pretends")          \
    X(T, WORK_WILL_CRASH,  "will_crash",  "this update takes the instance down")                \
    X(T, WORK_FAILS_IN_VAIN, "fails_in_vain", "this update ends FAILED, and something else is wanted by now") \
    X(T, WORK_WILL_FAIL,   "will_fail",   "this update ends FAILED")                            \
    X(T, WORK_HAS_GIVEN_UP, "has_given_up", "this order was tried as often as allowed")         \
    X(T, WORK_MUST_WAIT,   "must_wait",   "the same order as the one that failed, and not yet time to try again")

#define WORK_EFFECTS(X, T)                                                                      \
    X(T, WORK_BEGIN,   "begin",   "attempt + 1; the fate and the length of the update are drawn") \
    X(T, WORK_PRETEND, "pretend", "say that the target runs")                                   \
    X(T, WORK_ADMIT,   "admit",   "say what runs")                                              \
    X(T, WORK_INSTALL, "install", "the target runs")                                            \
    X(T, WORK_FAIL,    "fail",    "say FAILED, and why")                                        \
    X(T, WORK_HEAL,    "heal",    "say HEALTHY, or go on to the present wish")                                          \
    X(T, WORK_FALL,    "fall",    "the link crashes")                                           \
    X(T, WORK_TELL,    "tell",    "the next heartbeat goes out at once")
/* clang-format on */

SM_STATES(link_state, LINK_STATES);
SM_EVENTS(link_event, LINK_EVENTS);
SM_GUARDS(link_guard, LINK_GUARDS);
SM_EFFECTS(link_effect, LINK_EFFECTS);
SM_STATES(work_state, WORK_STATES);
SM_EVENTS(work_event, WORK_EVENTS);
SM_GUARDS(work_guard, WORK_GUARDS);
SM_EFFECTS(work_effect, WORK_EFFECTS);

extern const struct sm_machine link_machine;
extern const struct sm_machine work_machine;

/* Shares are of 10000 updates, and together at most that many. */
#define SHARE_WHOLE 10000u

struct behaviour {
    struct text name;
    int64_t latency_min_ms, latency_max_ms; /* how long an update takes */
    uint32_t failure_share;                 /* ends FAILED */
    uint32_t crash_share;                   /* falls silent for ever, half-way */
    uint32_t lie_share;  /* says at once that the target runs, and later that it does not */
    uint32_t slow_share; /* takes `slow_factor` times as long; apart from the other three */
    uint32_t slow_factor;
    int64_t flap_ms;    /* after an update HEALTHY and DEGRADED by turns; 0 = steady */
    uint32_t only_code; /* interned: the shares are of updates to this code version; 0 = all */
};

#define AGENT_ROLLS           3           /* numbers off the stream `dice` for each update */
#define AGENT_ATTEMPTS_MAX    3           /* of one order */
#define AGENT_AGAIN_MS        (60 * 1000) /* after the first failure, doubling */
#define AGENT_BACKOFF_MS      1000        /* first upper bound, doubling */
#define AGENT_BACKOFF_MAX_MS  (60 * 1000)
#define AGENT_INTERVAL_MS     5000 /* when the server names none */
#define AGENT_INTERVAL_MAX_MS (300 * 1000)

/* What the server wants, as the newest answer says. */
struct agent_order {
    struct version wish;
    uint64_t generation;
    uint64_t rollout; /* hash of the deployment's id; 0 = none */
};

struct agent_counts {
    uint32_t updates, failures, lies; /* begun; ended FAILED; pretended */
};

struct agent {
    uint8_t link;           /* enum link_state; written by agent.c only, as all of this */
    uint8_t work;           /* enum work_state */
    uint8_t fate;           /* of the update under way */
    uint8_t attempts;       /* of `tried` */
    uint8_t misses;         /* since the server last took a heartbeat */
    bool is_failed;         /* what it says */
    bool must_tell;         /* something to report happened since the last heartbeat went out */
    struct version running; /* what runs */
    struct version claimed; /* what it says */
    struct agent_order order, tried;
    struct agent_counts counts;
    int64_t call_due;       /* of the next registration or heartbeat; TIMERS_NEVER: none */
    int64_t work_due;       /* of WORK_TIMER */
    int64_t again_at;       /* the failed order may be tried again */
    int64_t updated_at;     /* flapping starts here; 0 = never updated */
    struct sim_dice dice;   /* of updates */
    struct sim_dice jitter; /* of back-offs: they depend on the network and must not move fates */
    const struct behaviour *behaviour; /* borrowed */
};

/* Registers first at `now`. `start` is what runs; parts may be 0, unknown. */
void agent_init(struct agent *agent, uint64_t seed, struct text name, struct version start,
                const struct behaviour *behaviour, int64_t now);

/* Its process died and starts again at `now`: it remembers what runs, and nothing else. An update
 * under way is lost. The streams of chance go on. */
void agent_restart(struct agent *agent, int64_t now);

/* A registration or heartbeat goes out now: what must be told is told by it. */
void agent_sent(struct agent *agent);
/* The registration was taken. */
void agent_registered(struct agent *agent, int64_t now);
/* A heartbeat was answered; `interval_ms` as the server said, or 0. */
void agent_answered(struct agent *agent, const struct agent_order *order, bool update_needed,
                    int64_t interval_ms, int64_t now);
/* 404 or 401. */
void agent_unknown(struct agent *agent, int64_t now);
/* No answer, or none that helps. `retry_after_ms` as the server said, or 0. */
void agent_missed(struct agent *agent, int64_t retry_after_ms, int64_t now);
/* work_due has come. */
void agent_worked(struct agent *agent, int64_t now);

/* What a heartbeat says at `now`. */
enum instance_state agent_status(const struct agent *agent, int64_t now);
/* The generation of the order that its words are about: while an update runs that of the update,
 * though a newer one is known, or the old version would count as an answer to the newer wish. */
uint64_t agent_observed(const struct agent *agent);
/* A sentence for FAILED, or NULL. */
const char *agent_message(const struct agent *agent);

/* The random wait after `misses` failures in a row (from 1): 1 to min(60 s, 1 s * 2^(misses - 1)).
 */
int64_t agent_backoff_ms(struct sim_dice *dice, uint32_t misses);

/* What must always hold; the sentence that does not, or NULL. */
const char *agent_invariant(const struct agent *agent);

#endif
