/* SPDX-License-Identifier: Apache-2.0
 * faults.h - what goes wrong around the instances in virtual mode: network, processes, the server
 * and its store. What instances do wrong themselves (failing, crashing, lying, flapping, slow
 * updates) is their behaviour, agent.h. All rates may be zero. Source: RELIABILITY, section 5. */
#ifndef DIDES_SIM_FAULTS_H
#define DIDES_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

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
    int64_t commit_min_ms, commit_max_ms; /* how long a commit takes */
    uint32_t commit_fail;                 /* share of commits that are refused by the store */
    uint32_t commit_doubt;                /* share that may be there or not: the server must end */
    struct fault_silence silences[FAULTS_SILENCES_MAX];
    uint32_t silence_count;
    int64_t until_ms; /* after the start all of it ends, but for who is cut off; 0 = never */
};

/* Calls and commits that take no time and always work need no queue. */
static inline bool faults_are_none(const struct faults *f)
{
    return f->loss == 0 && f->duplicate == 0 && f->delay_max_ms == 0 && f->crash.every_ms == 0 &&
           f->silent.every_ms == 0 && f->restart.every_ms == 0 && f->commit_max_ms == 0 &&
           f->commit_fail == 0 && f->commit_doubt == 0 && f->silence_count == 0;
}

/* Whether anything goes wrong with the server or its store. */
static inline bool faults_need_store(const struct faults *f)
{
    return f->restart.every_ms > 0 || f->commit_max_ms > 0 || f->commit_fail > 0 ||
           f->commit_doubt > 0;
}

#endif
