/* SPDX-License-Identifier: Apache-2.0
 * vault.h - the store of the simulated server, behind the port that the shipped ones have: pairs in
 * memory, and commits that take time, are refused, or end in doubt, as whoever draws their fate
 * says. A crash between the order to write and the answer keeps a batch whole or loses it whole.
 *
 * The vault outlives the servers that use it: closing the port ends nothing. */
#ifndef DIDES_SIM_VAULT_H
#define DIDES_SIM_VAULT_H

#include "base/buffer.h"
#include "core/fleet.h"
#include "port/store.h"
#include "store/memory/table.h"

/* What becomes of a commit. */
struct vault_fate {
    enum store_result result;
    bool is_kept; /* of STORE_UNKNOWN: it is there all the same */
};
typedef struct vault_fate vault_fate_fn(void *ctx);

/* A batch on its way to the disk. */
struct vault_pending {
    struct store_op *ops;
    size_t count, capacity;
    struct buffer bytes;
    bool is_there, is_lost; /* is_lost: it will never arrive */
};

struct vault {
    struct memory_table rows; /* what a server would load */
    struct vault_pending pending;
    uint64_t commits; /* that arrived */
    uint64_t term;
    bool is_off;         /* no power: nothing is written */
    bool is_stopped;     /* answered UNKNOWN; until the next start */
    bool is_instant;     /* commits arrive before they are answered */
    vault_fate_fn *draw; /* for each commit; NULL: it works */
    void *ctx;
    struct buffer scratch;
};

void vault_init(struct vault *vault, vault_fate_fn *draw, void *ctx);
void vault_release(struct vault *vault);
struct store_port vault_port(struct vault *vault);

/* The batch under way, if any, has arrived. False: no memory; then the vault is good for nothing.
 */
bool vault_settle(struct vault *vault);
/* The power is gone and back: a batch under way is there or not. False: as above. */
bool vault_restart(struct vault *vault, bool is_kept);

/* A copy of what is there, and the way back to it. False: no memory. */
struct vault_copy {
    struct memory_table rows;
    uint64_t commits, term;
};
bool vault_copy(const struct vault *vault, struct vault_copy *ret);
bool vault_put_back(struct vault *vault, const struct vault_copy *copy);
void vault_copy_release(struct vault_copy *copy);

/* The value of a key; data NULL: there is none. Borrowed until the next change. */
struct text vault_find(const struct vault *vault, struct text key);
/* Whether an instance of that name is stored, with a wish of that generation or a later one. A
 * record that is not there says nothing: it may have been deleted. */
bool vault_knows_generation(struct vault *vault, struct text name, uint32_t generation);
/* Whether the records of `fleet`, none of which waits for a commit, are those stored, byte for
 * byte. *err names one that is not. */
bool vault_equals(struct vault *vault, const struct fleet *fleet, struct err *err);

#endif
