/* SPDX-License-Identifier: Apache-2.0
 * vault.h - the store of the simulated server: records as the shipped writers make them, and only
 * those of committed rounds. What is loaded from it is what a server would load after a crash. */
#ifndef DIDES_SIM_VAULT_H
#define DIDES_SIM_VAULT_H

#include "base/buffer.h"
#include "core/fleet.h"

struct vault_entry;

struct vault {
    struct map map; /* of entries, by key */
    struct vault_entry *entries;
    uint32_t count, capacity;
    uint64_t next_index; /* counters of the newest batch */
    uint32_t last_number;
    struct buffer scratch;
};

/* The records of one round. */
struct vault_batch {
    struct buffer ops;
    uint64_t next_index;
    uint32_t last_number;
};

void vault_init(struct vault *vault);
void vault_release(struct vault *vault);

void vault_batch_init(struct vault_batch *batch);
void vault_batch_release(struct vault_batch *batch);

/* What the open round of `fleet` changed; before fleet_end_round(). False: no memory. */
bool vault_collect(struct vault_batch *batch, const struct fleet *fleet);
/* False: no memory; then the vault is good for nothing. */
bool vault_apply(struct vault *vault, const struct vault_batch *batch);

/* Fills a fleet that was just made and finishes loading. ERR_MEMORY, ERR_CORRUPT. */
bool vault_load(const struct vault *vault, struct fleet *fleet, int64_t now, int64_t stood_still_ms,
                struct err *err);

/* The generation of the wish that is stored for an instance; false: there is no such record. */
bool vault_generation(struct vault *vault, struct text key, uint32_t *ret);
/* Whether the records of `fleet`, none of which waits for a commit, are those stored, byte for
 * byte. *err names one that is not. */
bool vault_equals(struct vault *vault, const struct fleet *fleet, struct err *err);

#endif
