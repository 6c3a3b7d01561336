/* SPDX-License-Identifier: Apache-2.0
 * faults.h - what goes wrong around the instances in virtual mode: network, processes, the server
 * and its store. What instances do wrong themselves (failing, crashing, lying, flapping, slow
 * updates) is their behaviour, agent.h. All rates may be zero. Source: RELIABILITY, section 5. */
#ifndef DIDES_SIM_FAULTS_H
#define DIDES_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define FAULT_CLASSES(X)                                                                        \
    X(FAULT_LOST,        "messages lost")                                                       \
    X(FAULT_CUT_OFF,     "messages cut off")                                                    \
    X(FAULT_DOUBLED,     "requests doubled")                                                    \
    X(FAULT_DELAYED,     "messages delayed")                                                    \
    X(FAULT_LINK,        "links broken")                                                        \
    X(FAULT_AGENT_DIED,  "agents died")                                                         \
    X(FAULT_AGENT_OLD,   "agents put back")                                                     \
    X(FAULT_AGENT_GONE,  "agents silent for ever")                                              \
    X(FAULT_UPDATE,      "updates failed, lied or died")                                        \
    X(FAULT_SERVER_DIED, "servers died")                                                        \
    X(FAULT_SERVER_ENDED, "servers ended")                                                      \
    X(FAULT_PAUSE,       "servers stood still")                                                 \
    X(FAULT_CLOCK,       "clocks jumped")                                                       \
    X(FAULT_MEMORY,      "allocations refused")                                                 \
    X(FAULT_SLOW,        "slow commits")                                                        \
    X(FAULT_REFUSED,     "commits refused")                                                     \
    X(FAULT_DOUBT,       "commits in doubt")                                                    \
    X(FAULT_TORN,        "commits cut by a crash")                                              \
    X(FAULT_OLD_COPY,    "old copies put in place")                                             \
    X(FAULT_DAMAGE,      "damages of the disk")
/* clang-format on */

enum fault_class {
#define FAULT_ITEM(id, meaning) id,
    FAULT_CLASSES(FAULT_ITEM)
#undef FAULT_ITEM
        FAULT_CLASS_COUNT
};

#define FAULTS_SILENCES_MAX 16

/* Something that happens again and again, at random: on average once in `every_ms`. */
struct fault_every {
    int64_t every_ms;                 /* 0 = never */
    int64_t down_min_ms, down_max_ms; /* and how long it lasts */
};

/* A share of the fleet that is cut off from the server for a while. */
struct fault_silence {
    int64_t from_ms, until_ms; /* after the start */
    uint32_t share;            /* of SHARE_WHOLE */
};

struct faults {
    uint32_t loss, duplicate;             /* shares of messages, each way; of requests */
    int64_t delay_min_ms, delay_max_ms;   /* of each message: they overtake each other */
    struct fault_every crash;             /* the agent of some instance dies and starts again */
    struct fault_every silent;            /* some instance is cut off for ever */
    struct fault_every restart;           /* the server dies and loads what was committed */
    struct fault_every link;              /* one instance is cut off for a while, one way or both */
    struct fault_every old_agent;         /* a host is put back to what it ran before */
    struct fault_every pause;             /* the server's process stands still */
    struct fault_every full;              /* the disk has no room */
    struct fault_every copy;              /* the store is copied, or an old copy put in place */
    int64_t clock_jump_ms;                /* the wall clock jumps so far at most between servers */
    uint32_t damage;                      /* share of starts after which the disk fails */
    uint32_t memory;                      /* share of commands that meet a refused allocation */
    int64_t commit_min_ms, commit_max_ms; /* how long a commit takes */
    uint32_t commit_fail;                 /* share of commits that are refused by the store */
    uint32_t commit_doubt;                /* share that may be there or not: the server must end */
    struct fault_silence silences[FAULTS_SILENCES_MAX];
    uint32_t silence_count;
    int64_t until_ms; /* after the start all of it ends, but for who is cut off; 0 = never */
};

/* Whether anything goes wrong with the server or its store. */
static inline bool faults_need_store(const struct faults *f)
{
    return f->restart.every_ms > 0 || f->commit_max_ms > 0 || f->commit_fail > 0 ||
           f->commit_doubt > 0 || f->pause.every_ms > 0 || f->full.every_ms > 0 ||
           f->copy.every_ms > 0 || f->memory > 0;
}

/* Calls that take no time and always work need no queue. */
static inline bool faults_are_none(const struct faults *f)
{
    return !faults_need_store(f) && f->loss == 0 && f->duplicate == 0 && f->delay_max_ms == 0 &&
           f->crash.every_ms == 0 && f->silent.every_ms == 0 && f->link.every_ms == 0 &&
           f->old_agent.every_ms == 0 && f->silence_count == 0;
}

#endif
