/* SPDX-License-Identifier: Apache-2.0
 * store.h - the port behind which state is durable: memory, SQLite, later etcd.
 *
 * The store holds keys and values. Keys are readable paths ("instance/web-01"), values JSON objects
 * or the words a spec fixes. Both are bytes to it. One batch is one atomic, ordered change.
 * All calls on one store come from one thread at a time; each may block on the disk. */
#ifndef DIDES_PORT_STORE_H
#define DIDES_PORT_STORE_H

#include "base/err.h"
#include "base/text.h"

#define STORE_KEY_MAX   1024
#define STORE_VALUE_MAX (1024 * 1024)

struct store_op {
    bool is_delete; /* then `value` is empty; deleting what is not there is fine */
    struct text key, value;
};

/* Borrowed by commit() for the time of the call. Of several ops on one key the last counts. */
struct store_batch {
    const struct store_op *ops;
    size_t count;
    /* It frees more room than it takes, or is an order to stop: it may have what a store keeps of
     * the disk for such batches. */
    bool frees_room;
};

/* What became of a batch: the classes of doc/reliability.md, "Errors of the store". */
enum store_result {
    STORE_DURABLE, /* survives a power cut from now on */
    STORE_RETRY,   /* certainly not in force (disk full): drop the change, answer 503, try later */
    STORE_UNKNOWN, /* may or may not be in force: answer nobody, stop, let the supervisor restart */
};

/* Called for every pair, in order of keys (bytewise). Views are borrowed for the time of the call.
 * False stops the walk; the visitor keeps its own reason. It must not call the store. */
typedef bool store_visit_fn(void *ctx, struct text key, struct text value);

/* How far a copy is. */
enum store_backup { STORE_BACKUP_MORE, STORE_BACKUP_DONE, STORE_BACKUP_FAILED };

#define STORE_TERM_MAX ((uint64_t)1 << 53) /* the largest that JSON tools keep exact */

struct store_stats {
    uint64_t commits, ops, bytes; /* made durable since open */
    uint64_t pending_batches;     /* durable, not yet folded into the readable table */
    uint64_t file_bytes;
    bool is_full; /* only batches with `frees_room` are taken, until there is room again */
};

struct store; /* the implementation's own */

struct store_port {
    struct store *self;

    /* Walks every pair with `first` <= key < `end` (empty `end`: to the last), checks each row's
     * integrity and sees everything that is durable. At most `limit` pairs (0: all). False: damage
     * or I/O, told in *err; what was visited before must not be used. A visitor's false ends the
     * walk with true. */
    bool (*scan)(struct store *self, struct text first, struct text end, size_t limit,
                 store_visit_fn *visit, void *ctx, struct err *err);

    /* Applies the batch. *err says why for every result but STORE_DURABLE. After STORE_UNKNOWN the
     * store refuses everything with STORE_UNKNOWN. An empty batch is STORE_DURABLE at once.
     * Keys are 1 to STORE_KEY_MAX bytes, values at most STORE_VALUE_MAX: more is an assertion. */
    enum store_result (*commit)(struct store *self, const struct store_batch *batch,
                                struct err *err);

    /* Housekeeping between commits, at most about `budget_ms` of it (a row or a flush is not cut in
     * two). Returns true when there is more to do now: call again before going idle. On false call
     * again after some 500 ms, or sooner: the store knows what is due.
     * A failure in it shows up as the result of the next commit, never as a lost batch. */
    bool (*tend)(struct store *self, unsigned budget_ms);

    /* Begins a copy of the whole store; one at a time (ERR_REFUSED). ERR_NOT_SUPPORTED: this store
     * has no files; ERR_STORE: there is no room for one. */
    bool (*backup_begin)(struct store *self, struct err *err);
    /* Goes on with it for about `budget_ms`; commits may come between two steps. The copy is of the
     * state at the last step. When it is whole, *ret_file is a descriptor of an unnamed file at its
     * start: it is the caller's, and no longer concerns the store. A failure ends the copy and does
     * not harm the store. */
    enum store_backup (*backup_step)(struct store *self, unsigned budget_ms, int *ret_file,
                                     struct err *err);
    void (*backup_cancel)(struct store *self); /* nothing, if none is under way */

    /* Which life of the store this is, from 1: it rises whenever an older state is put in place, so
     * that who saw the newer one can tell (doc/reliability.md, R17). At most STORE_TERM_MAX. */
    uint64_t (*term)(struct store *self);
    /* Results as of commit(). A term that is not higher changes nothing and is STORE_DURABLE. */
    enum store_result (*raise_term)(struct store *self, uint64_t term, struct err *err);

    struct store_stats (*stats)(struct store *self);

    void (*close)(struct store *self); /* also frees; what was durable stays so */
};

#endif
