/* SPDX-License-Identifier: Apache-2.0
 * sighting.h - one look at a rollout from outside, and what must hold of it: the invariants of the
 * server that can be checked without being the server. Pure.
 * Source: spec of rollouts, 5.4, 9.2 and section 15 (I1, I2, I4, I5, I7). */
#ifndef DIDES_SIM_SIGHTING_H
#define DIDES_SIM_SIGHTING_H

#include "base/format.h"
#include "wire/json_pull.h"

#define SIGHTING_TEXT 128

/* A record as one answer showed it. Texts are cut to fit. */
struct sighting {
    uint32_t number;                                          /* of r-<number> */
    uint32_t rollback_of, rolled_back_by, restores, retry_of; /* numbers; 0 = none */
    bool is_live;
    char status[16], outcome[16], cause[32];         /* words; "" = null */
    char code[SIGHTING_TEXT], config[SIGHTING_TEXT]; /* the target; "" = left out */
    char waiting[SIGHTING_TEXT * 2]; /* "batch_full: 16 of 16 slots busy"; "" = none */
    int64_t total, pending, in_progress, completed, already_current, failed, offline;
    struct amount batch, threshold; /* 1 and 1 when not said */
    uint64_t revision;
    int64_t created_at, ended_at; /* ms since the epoch; 0 = not yet */
};

/* False: no record of a rollout; *err says what is missing. */
bool sighting_read(const struct json_node *record, struct sighting *ret, struct err *err);

/* What one look shows to be wrong; false and one sentence, or true. `before` is an earlier look at
 * the same rollout, or NULL. */
bool sighting_check(const struct sighting *now, const struct sighting *before, struct err *err);

/* "r-3" as 3; 0: it is none. */
uint32_t sighting_number(struct text id);

#endif
