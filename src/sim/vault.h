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

/* What goes wrong with a disk. */
enum vault_damage {
    VAULT_UNHARMED,
    VAULT_CUT,       /* the power goes at an operation */
    VAULT_EIO,       /* an operation fails */
    VAULT_FULL,      /* there is no room from it on */
    VAULT_LOSE,      /* a write is lost, in silence */
    VAULT_MISDIRECT, /* a write goes elsewhere, in silence */
    VAULT_SHORT,     /* a write is done in part, in silence */
    VAULT_DAMAGES
};

/* A shipped store on a disk that fails. One at a time. */
struct vault_disk {
    bool (*begin)(uint64_t seed, struct err *err); /* an empty one */
    void (*end)(void);
    bool (*open)(struct store_port *ret, struct err *err);
    void (*plan)(enum vault_damage damage, uint64_t after); /* operations from now */
    void (*add_room)(void);
    bool (*has_failed)(void);        /* as was planned */
    void (*cut)(void);               /* the power goes now */
    void (*start_again)(bool flips); /* the computer does; a bit may have changed meanwhile */
};

/* With a disk the rows are what must be found on it, and the fate of a commit is what it says. */
struct vault {
    const struct vault_disk *disk; /* NULL: there are the rows alone */
    struct store_port store;       /* on the disk, while a server runs */
    bool is_open;
    bool is_harmed; /* its drive broke a promise since it was whole last */
    uint64_t refusals;
    uint64_t content;   /* sum of the hashes of all rows */
    uint64_t *contents; /* after each commit, by number */
    uint64_t content_capacity;
    struct memory_table rows; /* what a server would load */
    struct vault_pending pending;
    uint64_t commits; /* states that there were; never falls, whatever is put back */
    bool is_older;    /* an old state was put back, and no server has seen it yet */
    uint64_t loaded;  /* that state */
    uint64_t term;
    bool is_off;         /* no power: nothing is written */
    bool is_stopped;     /* answered UNKNOWN; until the next start */
    bool is_instant;     /* commits arrive before they are answered */
    vault_fate_fn *draw; /* for each commit; NULL: it works */
    void *ctx;
    struct buffer scratch;
};

void vault_init(struct vault *vault, vault_fate_fn *draw, void *ctx);
/* Puts it on an empty disk. */
bool vault_use_disk(struct vault *vault, const struct vault_disk *disk, uint64_t seed,
                    struct err *err);
/* What a start finds on the disk. */
enum vault_found {
    VAULT_FOUND_ALL,
    VAULT_FOUND_OLDER,   /* a drive that broke its promise has an older state, and a whole one */
    VAULT_FOUND_DAMAGE,  /* and the store noticed */
    VAULT_FOUND_WRONG,   /* the store has what never was: *err says what */
    VAULT_FOUND_NOTHING, /* it cannot be opened for another reason */
};
enum vault_found vault_open(struct vault *vault, struct err *err);
void vault_close(struct vault *vault, bool is_asked);
/* An empty disk gets the rows. */
bool vault_refill(struct vault *vault, uint64_t seed, struct err *err);
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
