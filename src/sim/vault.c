/* SPDX-License-Identifier: Apache-2.0
 * vault.c - see vault.h. */
#include "sim/vault.h"

#include "wire/json_pull.h"
#include "wire/record.h"

#define BATCH_MAX  ((size_t)4 << 30)
#define RECORD_MAX ((size_t)4 << 20)
#define TEND_MS    1000000u /* nothing may depend on how fast the machine is */

/* ---- life ----------------------------------------------------------------------------------- */

void vault_init(struct vault *vault, vault_fate_fn *draw, void *ctx)
{
    *vault = (struct vault){ .term = 1, .draw = draw, .ctx = ctx };
    memory_table_init(&vault->rows);
    buffer_init(&vault->pending.bytes, &memory_heap, BATCH_MAX);
    buffer_init(&vault->scratch, &memory_heap, RECORD_MAX);
}

void vault_release(struct vault *vault)
{
    memory_table_release(&vault->rows);
    memory_give(&memory_heap, vault->pending.ops,
                vault->pending.capacity * sizeof *vault->pending.ops);
    buffer_release(&vault->pending.bytes);
    buffer_release(&vault->scratch);
    memory_give(&memory_heap, vault->contents, vault->content_capacity * sizeof *vault->contents);
    if (vault->disk)
        vault->disk->end();
}

/* ---- a batch under way ---------------------------------------------------------------------- */

static bool has_room(struct vault_pending *p, const struct store_batch *batch)
{
    size_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++)
        bytes += batch->ops[i].key.size + batch->ops[i].value.size;
    buffer_clear(&p->bytes);
    if (!buffer_reserve(&p->bytes, bytes))
        return false;
    buffer_clear(&p->bytes);
    if (batch->count <= p->capacity)
        return true;
    void *grown = memory_heap.resize(memory_heap.ctx, p->ops, p->capacity * sizeof *p->ops,
                                     batch->count * sizeof *p->ops);
    if (!grown)
        return false;
    p->ops = grown;
    p->capacity = batch->count;
    return true;
}

static struct text keep_text(struct vault_pending *p, struct text text)
{
    size_t at = p->bytes.size;
    buffer_add(&p->bytes, text);
    return (struct text){ p->bytes.data + at, text.size };
}

static bool begin(struct vault_pending *p, const struct store_batch *batch)
{
    if (!has_room(p, batch))
        return false;
    for (size_t i = 0; i < batch->count; i++)
        p->ops[i] = (struct store_op){ .is_delete = batch->ops[i].is_delete,
                                       .key = keep_text(p, batch->ops[i].key),
                                       .value = keep_text(p, batch->ops[i].value) };
    p->count = batch->count;
    p->is_there = true;
    return true;
}

bool vault_settle(struct vault *vault)
{
    struct vault_pending *p = &vault->pending;
    if (!p->is_there || vault->disk) /* the next start finds out whether a disk has it */
        return true;
    p->is_there = false;
    if (p->is_lost)
        return true;
    vault->commits++;
    return memory_table_apply(&vault->rows, p->ops, p->count);
}

bool vault_restart(struct vault *vault, bool is_kept)
{
    vault->is_off = vault->is_stopped = vault->is_instant = false;
    if (!is_kept && !vault->disk)
        vault->pending.is_there = false;
    return vault_settle(vault);
}

/* ---- what a disk must have ------------------------------------------------------------------ */

static uint64_t hash_of(struct text key, struct text value)
{
    return text_hash(value, text_hash(key, 1));
}

static bool note_content(struct vault *vault)
{
    if (vault->commits >= vault->content_capacity) {
        uint64_t next = vault->commits + vault->commits / 2 + 256;
        uint64_t *grown =
            memory_heap.resize(memory_heap.ctx, vault->contents,
                               vault->content_capacity * sizeof *grown, next * sizeof *grown);
        if (!grown)
            return false;
        vault->contents = grown;
        vault->content_capacity = next;
    }
    vault->contents[vault->commits] = vault->content;
    return true;
}

/* Applies a batch that is durable. */
static bool take_ops(struct vault *vault, const struct store_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text old = vault_find(vault, ops[i].key);
        if (old.data)
            vault->content -= hash_of(ops[i].key, old);
        if (!ops[i].is_delete)
            vault->content += hash_of(ops[i].key, ops[i].value);
        if (!memory_table_apply(&vault->rows, &ops[i], 1))
            return false;
    }
    vault->commits++;
    return note_content(vault);
}

static void sum_rows(struct vault *vault)
{
    vault->content = 0;
    for (uint32_t item = memory_table_seek(&vault->rows, TEXT_NONE); item != ORDERED_NONE;
         item = memory_table_after(&vault->rows, item))
        vault->content += hash_of(vault->rows.pairs[item].key, vault->rows.pairs[item].value);
}

bool vault_use_disk(struct vault *vault, const struct vault_disk *disk, uint64_t seed,
                    struct err *err)
{
    vault->disk = disk;
    return disk->begin(seed, err) &&
           (note_content(vault) || err_set(err, ERR_MEMORY, "no memory for a disk"));
}

static bool add_to_sum(void *ctx, struct text key, struct text value)
{
    *(uint64_t *)ctx += hash_of(key, value);
    return true;
}

static bool add_row(void *ctx, struct text key, struct text value)
{
    const struct store_op op = { .key = key, .value = value };
    return memory_table_apply(ctx, &op, 1);
}

static bool read_rows(struct vault *vault, struct err *err)
{
    memory_table_release(&vault->rows);
    memory_table_init(&vault->rows);
    return vault->store.scan(vault->store.self, TEXT_NONE, TEXT_NONE, 0, add_row, &vault->rows,
                             err);
}

/* The batch in doubt, if it is there. */
static bool has_pending(struct vault *vault, uint64_t found)
{
    struct vault_pending *p = &vault->pending;
    struct vault_copy before;
    uint64_t content = vault->content;
    if (!p->is_there || !vault_copy(vault, &before))
        return false;
    bool is_it = take_ops(vault, p->ops, p->count) && vault->content == found;
    if (!is_it && vault_put_back(vault, &before)) {
        vault->content = content;
        vault->commits = before.commits;
    }
    vault_copy_release(&before);
    return is_it;
}

/* Of several that are put back before a server looks, the oldest counts. */
static void note_older(struct vault *vault, uint64_t state)
{
    if (!vault->is_older || state < vault->loaded)
        vault->loaded = state;
    vault->is_older = true;
}

static bool find_older(struct vault *vault, uint64_t found, struct err *err)
{
    for (uint64_t i = vault->commits; i > 0; i--) {
        if (vault->contents[i - 1] != found)
            continue;
        note_older(vault, i - 1);
        vault->content = found;
        vault->commits++;
        return note_content(vault) && read_rows(vault, err);
    }
    return false;
}

static enum vault_found compare(struct vault *vault, struct err *err)
{
    uint64_t found = 0;
    if (!vault->store.scan(vault->store.self, TEXT_NONE, TEXT_NONE, 0, add_to_sum, &found, err))
        return err->code == ERR_CORRUPT && vault->is_harmed ? VAULT_FOUND_DAMAGE
               : err->code == ERR_CORRUPT                   ? VAULT_FOUND_WRONG
                                                            : VAULT_FOUND_NOTHING;
    if (found == vault->content || has_pending(vault, found))
        return VAULT_FOUND_ALL;
    if (vault->is_harmed && find_older(vault, found, err))
        return VAULT_FOUND_OLDER;
    err_set(err, ERR_CORRUPT, "the store holds what never was, after %llu commits",
            (unsigned long long)vault->commits);
    return VAULT_FOUND_WRONG;
}

enum vault_found vault_open(struct vault *vault, struct err *err)
{
    enum vault_found found;
    *err = (struct err){ .code = ERR_NONE };
    if (!vault->disk->open(&vault->store, err)) {
        found = err->code != ERR_CORRUPT ? VAULT_FOUND_NOTHING
                : vault->is_harmed       ? VAULT_FOUND_DAMAGE
                                         : VAULT_FOUND_WRONG;
        return found;
    }
    vault->is_open = true;
    found = compare(vault, err);
    vault->term = vault->store.term(vault->store.self);
    vault->pending.is_there = vault->pending.is_there && found == VAULT_FOUND_NOTHING;
    if (found != VAULT_FOUND_ALL && found != VAULT_FOUND_OLDER)
        vault_close(vault, false);
    return found;
}

void vault_close(struct vault *vault, bool is_asked)
{
    if (!vault->disk)
        return;
    if (!is_asked)
        vault->disk->cut();
    if (vault->is_open)
        vault->store.close(vault->store.self);
    vault->is_open = false;
}

static bool refill_rows(struct vault *vault, struct store_port *store, struct err *err)
{
    for (uint32_t item = memory_table_seek(&vault->rows, TEXT_NONE); item != ORDERED_NONE;
         item = memory_table_after(&vault->rows, item)) {
        const struct store_op op = { .key = vault->rows.pairs[item].key,
                                     .value = vault->rows.pairs[item].value };
        const struct store_batch batch = { .ops = &op, .count = 1 };
        if (store->commit(store->self, &batch, err) != STORE_DURABLE)
            return false;
    }
    return store->raise_term(store->self, vault->term, err) == STORE_DURABLE;
}

bool vault_refill(struct vault *vault, uint64_t seed, struct err *err)
{
    struct store_port store;
    if (!vault->disk->begin(seed, err) || !vault->disk->open(&store, err))
        return false;
    bool is_full = refill_rows(vault, &store, err);
    store.close(store.self);
    vault->is_harmed = vault->pending.is_there = false;
    sum_rows(vault);
    return is_full && note_content(vault);
}

/* ---- the port ------------------------------------------------------------------------------- */

static struct vault *vault_of(struct store *self)
{
    return (struct vault *)self;
}

static enum store_result refuse(struct err *err)
{
    err_set(err, ERR_STORE, "the store has stopped");
    return STORE_UNKNOWN;
}

static bool scan(struct store *self, struct text first, struct text end, size_t limit,
                 store_visit_fn *visit, void *ctx, struct err *err)
{
    const struct vault *vault = vault_of(self);
    const struct memory_table *rows = &vault->rows;
    size_t visited = 0;
    if (vault->is_open)
        return vault->store.scan(vault->store.self, first, end, limit, visit, ctx, err);
    for (uint32_t item = memory_table_seek(rows, first);
         item != ORDERED_NONE && (limit == 0 || visited < limit);
         item = memory_table_after(rows, item), visited++) {
        const struct memory_pair *pair = &rows->pairs[item];
        if ((end.size > 0 && text_compare(pair->key, end) >= 0) ||
            !visit(ctx, pair->key, pair->value))
            break;
    }
    return true;
}

static struct vault_fate fate_of(const struct vault *vault)
{
    return vault->draw ? vault->draw(vault->ctx) : (struct vault_fate){ STORE_DURABLE, true };
}

static enum store_result commit_to_disk(struct vault *vault, const struct store_batch *batch,
                                        struct err *err)
{
    enum store_result result = vault->store.commit(vault->store.self, batch, err);
    switch (result) {
    case STORE_DURABLE:
        if (!take_ops(vault, batch->ops, batch->count))
            return refuse(err);
        vault->store.tend(vault->store.self, TEND_MS);
        break;
    case STORE_RETRY:
        if (++vault->refusals % 3 == 0) /* somebody makes room */
            vault->disk->add_room();
        break;
    case STORE_UNKNOWN:
        vault->is_stopped = true;
        if (!begin(&vault->pending, batch))
            err_set(err, ERR_MEMORY, "no memory for a batch in doubt");
        break;
    }
    return result;
}

static enum store_result raise_on_disk(struct vault *vault, uint64_t term, struct err *err)
{
    enum store_result result = vault->store.raise_term(vault->store.self, term, err);
    if (result == STORE_DURABLE)
        vault->term = term;
    vault->is_stopped = result == STORE_UNKNOWN;
    return result;
}

static enum store_result commit(struct store *self, const struct store_batch *batch,
                                struct err *err)
{
    struct vault *vault = vault_of(self);
    if (vault->is_off || vault->is_stopped)
        return refuse(err);
    if (batch->count == 0)
        return STORE_DURABLE;
    struct vault_fate fate = fate_of(vault);
    if (vault->disk)
        return commit_to_disk(vault, batch, err);
    if (fate.result == STORE_RETRY || !begin(&vault->pending, batch)) {
        err_set(err, ERR_STORE, "the disk is full");
        return STORE_RETRY;
    }
    vault->pending.is_lost = fate.result == STORE_UNKNOWN && !fate.is_kept;
    if (vault->is_instant && !vault_settle(vault))
        return refuse(err);
    if (fate.result == STORE_DURABLE)
        return STORE_DURABLE;
    vault->is_stopped = true;
    err_set(err, ERR_IO, "a flush failed");
    return STORE_UNKNOWN;
}

static bool tend(struct store *self, unsigned budget_ms)
{
    (void)self, (void)budget_ms;
    return false;
}

static bool backup_begin(struct store *self, struct err *err)
{
    (void)self;
    return err_set(err, ERR_NOT_SUPPORTED, "copies are made of the vault from outside");
}

static enum store_backup backup_step(struct store *self, unsigned budget_ms, int *ret_file,
                                     struct err *err)
{
    (void)budget_ms, (void)ret_file;
    backup_begin(self, err);
    return STORE_BACKUP_FAILED;
}

static void backup_cancel(struct store *self)
{
    (void)self;
}

static uint64_t term_of(struct store *self)
{
    return vault_of(self)->term;
}

static enum store_result raise_term(struct store *self, uint64_t term, struct err *err)
{
    struct vault *vault = vault_of(self);
    if (vault->is_off || vault->is_stopped)
        return refuse(err);
    struct vault_fate fate = fate_of(vault);
    if (vault->disk)
        return raise_on_disk(vault, term, err);
    bool arrives = fate.result == STORE_DURABLE || (fate.result == STORE_UNKNOWN && fate.is_kept);
    if (arrives && term > vault->term)
        vault->term = term;
    vault->is_stopped = fate.result == STORE_UNKNOWN;
    if (fate.result != STORE_DURABLE)
        err_set(err, ERR_STORE, "the term may not have been written");
    return fate.result;
}

static struct store_stats stats(struct store *self)
{
    return (struct store_stats){ .commits = vault_of(self)->commits };
}

static void close_port(struct store *self)
{
    (void)self;
}

struct store_port vault_port(struct vault *vault)
{
    return (struct store_port){
        (struct store *)vault, scan,    commit,     tend,  backup_begin, backup_step,
        backup_cancel,         term_of, raise_term, stats, close_port
    };
}

/* ---- copies --------------------------------------------------------------------------------- */

bool vault_copy(const struct vault *vault, struct vault_copy *ret)
{
    *ret = (struct vault_copy){ .commits = vault->commits, .term = vault->term };
    memory_table_init(&ret->rows);
    if (memory_table_copy(&vault->rows, &ret->rows))
        return true;
    memory_table_release(&ret->rows);
    return false;
}

bool vault_put_back(struct vault *vault, const struct vault_copy *copy)
{
    memory_table_release(&vault->rows);
    memory_table_init(&vault->rows);
    vault->pending.is_there = false;
    note_older(vault, copy->commits);
    vault->commits++; /* what comes next is after all that was */
    vault->term = copy->term;
    return memory_table_copy(&copy->rows, &vault->rows);
}

void vault_copy_release(struct vault_copy *copy)
{
    memory_table_release(&copy->rows);
}

/* ---- looking -------------------------------------------------------------------------------- */

struct text vault_find(const struct vault *vault, struct text key)
{
    uint32_t item = memory_table_seek(&vault->rows, key);
    if (item == ORDERED_NONE || !text_equal(vault->rows.pairs[item].key, key))
        return TEXT_NONE;
    return vault->rows.pairs[item].value;
}

bool vault_knows_generation(struct vault *vault, struct text name, uint32_t generation)
{
    struct arena arena;
    const struct json_node *root = NULL;
    buffer_clear(&vault->scratch);
    wire_instance_key(&vault->scratch, name);
    struct text record = vault_find(vault, buffer_text(&vault->scratch));
    if (!record.data)
        return true;
    arena_init(&arena, &memory_heap, RECORD_MAX);
    bool knows = json_tree_parse(record, &arena, &root, NULL) &&
                 json_get_i64(root, "generation", 0) >= (int64_t)generation;
    arena_release(&arena);
    return knows;
}

static size_t first_difference(struct text a, struct text b)
{
    size_t at = 0;
    while (at < a.size && at < b.size && a.data[at] == b.data[at])
        at++;
    return at;
}

/* What stands around a place, bounded. */
static struct text excerpt(struct text t, size_t at)
{
    size_t from = at > 40 ? at - 40 : 0;
    struct text rest = text_skip(t, from);
    return (struct text){ rest.data, rest.size < 60 ? rest.size : 60 };
}

static bool record_equals(struct vault *vault, const struct fleet *fleet, uint32_t slot,
                          const struct rollout *r, struct err *err)
{
    struct buffer *out = &vault->scratch;
    buffer_clear(out);
    if (r)
        wire_rollout_key(out, r->number);
    else
        wire_instance_key(out, instance_key(fleet_at(fleet, slot)));
    size_t key_size = out->size;
    if (r)
        wire_store_rollout(out, fleet, r);
    else
        wire_store_instance(out, fleet, slot);
    if (out->failed)
        return err_set(err, ERR_MEMORY, "no memory to compare a record");
    struct text key = { out->data, key_size }, value = text_skip(buffer_text(out), key_size);
    struct text stored = vault_find(vault, key);
    if (!stored.data)
        return err_set(err, ERR_CORRUPT, "the record %.*s is not stored", TEXT_ARG(key));
    if (text_equal(stored, value))
        return true;
    size_t from = first_difference(stored, value);
    return err_set(err, ERR_CORRUPT, "the record %.*s is %.*s and was stored as %.*s",
                   TEXT_ARG(key), TEXT_ARG(excerpt(value, from)), TEXT_ARG(excerpt(stored, from)));
}

static uint32_t count_below(const struct vault *vault, struct text prefix)
{
    uint32_t count = 0;
    for (uint32_t item = memory_table_seek(&vault->rows, prefix);
         item != ORDERED_NONE && text_starts_with(vault->rows.pairs[item].key, prefix);
         item = memory_table_after(&vault->rows, item))
        count++;
    return count;
}

bool vault_equals(struct vault *vault, const struct fleet *fleet, struct err *err)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (!inst->texts || inst->is_gone)
            continue;
        count++;
        if (!record_equals(vault, fleet, slot, NULL, err))
            return false;
    }
    for (uint32_t i = 0; i < fleet->rollout_count; i++, count++)
        if (!record_equals(vault, fleet, FLEET_NONE, fleet->rollouts[i], err))
            return false;
    uint32_t stored = count_below(vault, TEXT("instance/")) + count_below(vault, TEXT("rollout/"));
    if (count != stored)
        return err_set(err, ERR_CORRUPT, "%u records are stored and %u exist", stored, count);
    return true;
}
