/* SPDX-License-Identifier: Apache-2.0
 * memory.c - the store port over one table, and a second one from the moment a planned lie is told:
 * what the next crash goes back to. */
#include "store/memory/memory.h"

#include "base/cleanup.h"
#include "store/memory/table.h"

#include <assert.h>

struct store {
    struct memory_table *now;
    struct memory_table *durable; /* NULL: the same as `now` */
    enum store_memory_fault planned;
    unsigned planned_in; /* commits until it happens */
    uint64_t term;       /* see port/store.h */
    bool is_fatal;       /* answered UNKNOWN; only a crash helps */
    struct store_stats stats;
};

static struct memory_table *table_new(void)
{
    struct memory_table *table = malloc(sizeof *table);
    if (table)
        memory_table_init(table);
    return table;
}

static void table_free(struct memory_table *table)
{
    if (table)
        memory_table_release(table);
    free(table);
}

static bool refuse(struct err *err)
{
    return err_set(err, ERR_STORE, "the store has stopped after a commit of unknown outcome");
}

static bool scan(struct store *s, struct text first, struct text end, size_t limit,
                 store_visit_fn *visit, void *ctx, struct err *err)
{
    if (s->is_fatal)
        return refuse(err);
    size_t visited = 0;
    uint32_t item = memory_table_seek(s->now, first);
    while (item != ORDERED_NONE && (limit == 0 || visited < limit)) {
        const struct memory_pair *pair = &s->now->pairs[item];
        if (end.size > 0 && text_compare(pair->key, end) >= 0)
            break;
        if (!visit(ctx, pair->key, pair->value))
            break;
        visited++;
        item = memory_table_after(s->now, item);
    }
    return true;
}

static enum store_memory_fault fault_of_this_commit(struct store *s)
{
    if (s->planned == STORE_MEMORY_NO_FAULT || --s->planned_in > 0)
        return STORE_MEMORY_NO_FAULT;
    enum store_memory_fault fault = s->planned;
    s->planned = STORE_MEMORY_NO_FAULT;
    return fault;
}

static enum store_result apply(struct store *s, const struct store_op *ops, size_t count,
                               struct err *err)
{
    if (memory_table_apply(s->now, ops, count))
        return STORE_DURABLE;
    err_set(err, ERR_MEMORY, "no memory for a batch of %zu changes", count);
    return STORE_RETRY;
}

/* Applies the first `count` ops, of which the caller shall learn nothing. */
static enum store_result leave_unknown(struct store *s, const struct store_op *ops, size_t count,
                                       struct err *err)
{
    if (apply(s, ops, count, err) != STORE_DURABLE)
        return STORE_RETRY;
    s->is_fatal = true;
    err_set(err, ERR_IO, "planned fault: the outcome of this commit is unknown");
    return STORE_UNKNOWN;
}

/* Keeps what is durable aside, then goes on as if nothing had happened. */
static enum store_result lie(struct store *s, const struct store_batch *batch, struct err *err)
{
    struct memory_table *kept = s->durable ? NULL : table_new();
    if (!s->durable && (!kept || !memory_table_copy(s->now, kept))) {
        table_free(kept);
        err_set(err, ERR_MEMORY, "no memory to remember what is durable");
        return STORE_RETRY;
    }
    if (kept)
        s->durable = kept;
    return apply(s, batch->ops, batch->count, err);
}

static enum store_result commit_with_fault(struct store *s, enum store_memory_fault fault,
                                           const struct store_batch *batch, struct err *err)
{
    switch (fault) {
    case STORE_MEMORY_NO_FAULT: return apply(s, batch->ops, batch->count, err);
    case STORE_MEMORY_RETRY:
        err_set(err, ERR_STORE, "planned fault: the disk is full");
        return STORE_RETRY;
    case STORE_MEMORY_UNKNOWN_KEPT: return leave_unknown(s, batch->ops, batch->count, err);
    case STORE_MEMORY_UNKNOWN_LOST: return leave_unknown(s, batch->ops, 0, err);
    case STORE_MEMORY_TORN: return leave_unknown(s, batch->ops, batch->count / 2, err);
    case STORE_MEMORY_LIE: return lie(s, batch, err);
    }
    assert(0 && "a fault of the list");
    return STORE_UNKNOWN;
}

static enum store_result commit(struct store *s, const struct store_batch *batch, struct err *err)
{
    if (s->is_fatal) {
        refuse(err);
        return STORE_UNKNOWN;
    }
    if (batch->count == 0)
        return STORE_DURABLE;
    enum store_result result = commit_with_fault(s, fault_of_this_commit(s), batch, err);
    if (result != STORE_DURABLE)
        return result;
    s->stats.commits++;
    s->stats.ops += batch->count;
    for (size_t i = 0; i < batch->count; i++)
        s->stats.bytes += batch->ops[i].key.size + batch->ops[i].value.size;
    return STORE_DURABLE;
}

static bool tend(struct store *s, unsigned budget_ms)
{
    (void)s, (void)budget_ms; /* nothing is ever pending in memory */
    return false;
}

static bool backup_begin(struct store *s, struct err *err)
{
    (void)s;
    return err_set(err, ERR_NOT_SUPPORTED, "a store in memory has no backup; use sqlite");
}

/* Without a begin there is nothing to go on with. */
static enum store_backup backup_step(struct store *s, unsigned budget_ms, int *ret_file,
                                     struct err *err)
{
    (void)budget_ms, (void)ret_file;
    backup_begin(s, err);
    return STORE_BACKUP_FAILED;
}

static void backup_cancel(struct store *s)
{
    (void)s;
}

static uint64_t term(struct store *s)
{
    return s->term;
}

static enum store_result raise_term(struct store *s, uint64_t term, struct err *err)
{
    assert(term <= STORE_TERM_MAX);
    if (s->is_fatal) {
        refuse(err);
        return STORE_UNKNOWN;
    }
    if (term > s->term)
        s->term = term;
    return STORE_DURABLE;
}

static struct store_stats stats(struct store *s)
{
    return s->stats;
}

static void close_store(struct store *s)
{
    if (!s)
        return;
    table_free(s->now);
    table_free(s->durable);
    free(s);
}

bool store_memory_open(struct store_port *ret, struct err *err)
{
    struct store *s = calloc(1, sizeof *s);
    if (s) {
        s->now = table_new();
        s->term = 1;
    }
    if (!s || !s->now) {
        free(s);
        return err_set(err, ERR_MEMORY, "no memory for a store");
    }
    *ret = (struct store_port){ s,           scan,          commit, tend,       backup_begin,
                                backup_step, backup_cancel, term,   raise_term, stats,
                                close_store };
    return true;
}

void store_memory_plan_fault(struct store_port *port, enum store_memory_fault fault, unsigned nth)
{
    assert(port->commit == commit && nth > 0);
    port->self->planned = fault;
    port->self->planned_in = nth;
}

void store_memory_crash(struct store_port *port)
{
    assert(port->commit == commit);
    struct store *s = port->self;
    if (s->durable) {
        table_free(s->now);
        s->now = TAKE_PTR(s->durable);
    }
    s->is_fatal = false;
    s->stats = (struct store_stats){ 0 };
}
