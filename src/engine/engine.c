/* SPDX-License-Identifier: Apache-2.0
 * engine.c - rounds: what changed is encoded, committed as one batch, and only then shown. */
#include "engine/engine_parts.h"

#include "wire/event.h"
#include "wire/json_write.h"
#include "wire/record.h"

#include <assert.h>

#define PROBE_EVERY_MS     1000 /* while the store refuses: how often it is asked again */
#define ALIVE_EVERY_MS     5000 /* while a rollout is live: how old the stored clock may be (K7) */
#define AHEAD_SHRINKS      16 /* by so little of what passes, until time is that of the clock again */
#define CHECK_EVERY_MS     1000
#define CHECK_SLOTS        500u   /* instances looked at in one check */
#define CHECK_ALL_BELOW    20000u /* smaller fleets are recounted whole, every minute */
#define CHECK_ALL_EVERY_MS 60000
#define OTHERS_MAX         ((size_t)1 << 30)
#define EVENT_SIZE_MAX     (LIMIT_STREAM_BYTES - 1024)

/* ---- life ----------------------------------------------------------------------------------- */

static void release(struct engine *e)
{
    batch_release(&e->batches[0]);
    batch_release(&e->batches[1]);
    buffer_release(&e->scratch);
    buffer_release(&e->others);
    journal_release(&e->journal);
    fleet_release(&e->fleet);
    memory_give(&memory_heap, e, sizeof *e);
}

static struct engine *new_engine(const struct engine_options *options,
                                 const struct clock_port *clock, const struct log_port *log,
                                 struct err *err)
{
    struct engine *e = memory_take_zeroed(&memory_heap, sizeof *e);
    if (!e) {
        err_set(err, ERR_MEMORY, "no memory for an engine");
        return NULL;
    }
    e->options = *options;
    if (!e->options.memory)
        e->options.memory = &memory_heap;
    e->clock = *clock;
    e->log = *log;
    const struct memory *memory = e->options.memory;
    batch_init(&e->batches[0], memory);
    batch_init(&e->batches[1], memory);
    e->open = &e->batches[0];
    e->retention.kept_ms = options->events_kept_ms;
    buffer_init(&e->scratch, memory, EVENT_SIZE_MAX);
    buffer_init(&e->others, &memory_heap, OTHERS_MAX);
    if (!fleet_init(&e->fleet, memory, &options->fleet, options->hash_seed, err)) {
        memory_give(&memory_heap, e, sizeof *e);
        return NULL;
    }
    if (!journal_init(&e->journal, memory)) {
        release(e);
        err_set(err, ERR_MEMORY, "no memory for the journal");
        return NULL;
    }
    return e;
}

bool engine_new(const struct engine_options *options, const struct store_port *store,
                const struct clock_port *clock, const struct log_port *log, struct engine **ret,
                struct err *err)
{
    struct engine *e = new_engine(options, clock, log, err);
    if (!e)
        return false;
    if (!engine_load(e, store, err)) {
        release(e);
        return false;
    }
    e->recovery.term = store->term(store->self);
    e->recovery.loaded_at = e->alive_at;
    e->committer = committer_new(store, options->ring, options->is_done, options->ctx, err);
    if (!e->committer) {
        release(e);
        return false;
    }
    *ret = e;
    return true;
}

struct fleet *engine_fleet(struct engine *e)
{
    return &e->fleet;
}

const struct journal *engine_journal(const struct engine *e)
{
    return &e->journal;
}

/* ---- commands ------------------------------------------------------------------------------- */

int64_t engine_now(const struct engine *e)
{
    int64_t clock = e->clock.now_ms(e->clock.self);
    int64_t ahead = e->ahead_ms - (clock - e->ahead_since) / AHEAD_SHRINKS;
    int64_t now = ahead > 0 ? clock + ahead : clock;
    return now > e->fleet.now ? now : e->fleet.now;
}

void engine_begin(struct engine *e, struct text actor)
{
    fleet_begin(&e->fleet, engine_now(e), actor);
}

void engine_begin_freeing(struct engine *e, struct text actor)
{
    engine_begin(e, actor);
    e->is_let_through = e->fleet.is_frozen && !e->is_dead;
    e->frees_room = true;
    if (e->is_let_through)
        e->fleet.is_frozen = false;
}

/* Its round is not to wait for the next probe: it is one. */
static void end_freeing(struct engine *e)
{
    if (!e->is_let_through)
        return;
    e->is_let_through = false;
    e->fleet.is_frozen = true;
    e->probe_at = e->fleet.now;
}

/* What an operator should see at once. */
static void log_change(struct engine *e, const struct change *change)
{
    if (change->type == CHANGE_FLEET_SILENT)
        e->log.write(e->log.self, LOG_WARNING_,
                     "most of the fleet fell silent at once; rollouts stand still", NULL);
    else if (change->type == CHANGE_FLEET_HEARD)
        e->log.write(e->log.self, LOG_INFO_, "most of the fleet is heard again; rollouts go on",
                     NULL);
}

/* One entry goes to the memory of the journal and, with the round, to the store. */
static void write_entry(struct engine *e, const struct change *change)
{
    buffer_clear(&e->scratch);
    wire_write_event(&e->scratch, &e->fleet, change, e->fleet.now);
    assert(!e->scratch.failed || e->scratch.size < EVENT_SIZE_MAX / 2);
    batch_begin(e->open);
    wire_event_key(&e->open->bytes, change->index);
    batch_value(e->open);
    buffer_add(&e->open->bytes, buffer_text(&e->scratch));
    batch_end(e->open);
    e->open->failed |= e->scratch.failed;
    if (!e->scratch.failed) /* else the round is dropped, and the entry with it */
        journal_add(&e->journal, change->type, change->rollout, buffer_text(&e->scratch));
}

void engine_end(struct engine *e)
{
    end_freeing(e);
    for (uint32_t i = 0; i < e->fleet.change_count; i++) {
        log_change(e, &e->fleet.changes[i]);
        outcomes_note(&e->opened, &e->fleet, &e->fleet.changes[i]);
        write_entry(e, &e->fleet.changes[i]);
    }
    for (uint32_t i = 0; e->wake && i < e->fleet.woken_count; i++)
        e->wake(e->wake_ctx, e->fleet.woken[i]);
    waited_note(&e->waited, &e->fleet, engine_store_fails_since(e), e->fleet.now);
    e->fleet.actor = TEXT_NONE;
}

void engine_on_wake(struct engine *e, engine_wake_fn *fn, void *ctx)
{
    e->wake = fn;
    e->wake_ctx = ctx;
}

uint64_t engine_round_of(const struct engine *e, const struct instance *inst)
{
    return inst->touched_round > e->settled ? inst->touched_round : 0;
}

uint64_t engine_round_of_all(const struct engine *e)
{
    if (fleet_is_dirty(&e->fleet) || e->open->count > 0 || e->open->failed)
        return e->fleet.round;
    return e->is_committing && e->job.round > e->settled ? e->job.round : 0;
}

void engine_wait(struct engine *e, uint64_t round, struct engine_waiter *waiter)
{
    assert(round > e->settled);
    waiter->round = round;
    waiter->next = NULL;
    *e->last_waiter = waiter;
    e->last_waiter = &waiter->next;
    e->stats.waiter_count++;
}

/* Calls those that wait for a round up to `round`. They may wait anew from inside. */
static void release_waiters(struct engine *e, uint64_t round, enum engine_outcome outcome)
{
    struct engine_waiter *list = e->waiters;
    e->waiters = NULL;
    e->last_waiter = &e->waiters;
    e->stats.waiter_count = 0; /* those who go on waiting are counted anew */
    while (list) {
        struct engine_waiter *waiter = list;
        list = waiter->next;
        if (waiter->round <= round)
            waiter->done(waiter, outcome);
        else
            engine_wait(e, waiter->round, waiter);
    }
}

/* ---- records of the layers above ------------------------------------------------------------ */

void engine_put(struct engine *e, struct text key, struct text value, bool failed)
{
    batch_begin(e->open);
    buffer_add(&e->open->bytes, key);
    batch_value(e->open);
    buffer_add(&e->open->bytes, value);
    batch_end(e->open);
    e->open->failed |= failed;
}

void engine_delete(struct engine *e, struct text key, bool failed)
{
    batch_begin(e->open);
    buffer_add(&e->open->bytes, key);
    batch_end_delete(e->open);
    e->open->failed |= failed;
}

static struct text cut_sized(struct text *rest)
{
    size_t size;
    memcpy(&size, rest->data, sizeof size);
    struct text t = { rest->data + sizeof size, size };
    *rest = text_skip(*rest, sizeof size + size);
    return t;
}

bool engine_each_other(struct engine *e, engine_other_fn *visit, void *ctx, struct err *err)
{
    struct text rest = buffer_text(&e->others);
    bool goes_on = true;
    while (rest.size > 0 && goes_on) {
        struct text key = cut_sized(&rest);
        goes_on = visit(ctx, key, cut_sized(&rest), err);
    }
    buffer_release(&e->others);
    buffer_init(&e->others, &memory_heap, OTHERS_MAX);
    return goes_on;
}

bool engine_is_settled(const struct engine *e, uint64_t round)
{
    return round <= e->settled;
}

/* ---- closing a round ------------------------------------------------------------------------ */

static void add_record(void *ctx, const struct fleet_dirty *dirty)
{
    struct engine *e = ctx;
    batch_begin(e->open);
    if (dirty->rollout)
        wire_rollout_key(&e->open->bytes, dirty->rollout->number);
    else
        wire_instance_key(&e->open->bytes, instance_key(fleet_at(&e->fleet, dirty->slot)));
    if (dirty->is_delete) {
        batch_end_delete(e->open);
        return;
    }
    batch_value(e->open);
    if (dirty->rollout)
        wire_store_rollout(&e->open->bytes, &e->fleet, dirty->rollout);
    else
        wire_store_instance(&e->open->bytes, &e->fleet, dirty->slot);
    batch_end(e->open);
}

/* The clock and the counters that must never go back. */
static void add_meta(struct engine *e, int64_t now)
{
    batch_begin(e->open);
    buffer_add(&e->open->bytes, TEXT("meta/state"));
    batch_value(e->open);
    struct json_writer w;
    json_writer_init(&w, &e->open->bytes);
    json_begin_object(&w);
    json_put_i64(&w, "at", now - e->stood_still_ms); /* what deadlines did not move by yet */
    json_put_u64(&w, "next_index", e->fleet.next_index);
    json_put_u64(&w, "last_number", e->fleet.last_number);
    json_end_object(&w);
    batch_end(e->open);
    e->alive_at = now;
}

/* Entries beyond the number or the time kept go in small steps. */
static void add_retention(struct engine *e, int64_t now)
{
    uint64_t next = e->fleet.next_index;
    uint64_t oldest = retention_oldest(&e->retention, now);
    if (next > e->options.events_kept && next - e->options.events_kept > oldest)
        oldest = next - e->options.events_kept;
    for (unsigned i = 0; i < RETENTION_STEP && e->journal.oldest < oldest; i++) {
        batch_begin(e->open);
        wire_event_key(&e->open->bytes, e->journal.oldest++);
        batch_end_delete(e->open);
        e->frees_room = true;
    }
    retention_mark(&e->retention, now, next, e->open);
}

static bool has_something(const struct engine *e, int64_t now)
{
    if (fleet_is_dirty(&e->fleet) || e->open->count > 0 || e->open->failed)
        return true;
    if (e->fleet.live_count > 0 && now - e->alive_at >= ALIVE_EVERY_MS)
        return true;
    return seen_is_due(&e->seen, &e->fleet, now) && e->fleet.slot_count > 0;
}

/* The store dropped a round, or there was no memory to encode it: everything since the last durable
 * one is taken back, and its askers hear of it (K4). */
static void drop_rounds(struct engine *e, const struct err *why)
{
    engine_log_error(e, "a round of changes was dropped", why);
    e->stats.commit_failures++;
    batch_clear(e->open);
    e->frees_room = false;
    fleet_undo(&e->fleet);
    e->opened = e->closed = (struct outcomes){ .has_any = false };
    journal_cut(&e->journal, e->fleet.next_index);
    e->journal.oldest = e->kept_oldest; /* what was to be deleted is there */
    if (!e->fleet.is_frozen)
        e->failing_since = engine_now(e);
    e->fleet.is_frozen = true;
    e->probe_at = engine_now(e) + PROBE_EVERY_MS;
    waited_note(&e->waited, &e->fleet, e->failing_since, engine_now(e));
    release_waiters(e, UINT64_MAX, ENGINE_DROPPED);
}

static void submit(struct engine *e)
{
    e->job = (struct commit_job){
        .kind = JOB_COMMIT, .batch = e->open, .round = fleet_end_round(&e->fleet), .ctx = e
    };
    e->job.frees_room = e->frees_room;
    e->frees_room = false;
    e->job_last_index = e->fleet.next_index - 1;
    e->job_oldest = e->journal.oldest;
    e->is_committing = true;
    outcomes_take(&e->closed, &e->opened);
    e->open = e->open == &e->batches[0] ? &e->batches[1] : &e->batches[0];
    batch_clear(e->open);
    committer_submit(e->committer, &e->job);
}

void engine_end_round(struct engine *e)
{
    if (e->is_committing || e->is_dead)
        return;
    int64_t now = engine_now(e);
    if (e->fleet.is_frozen ? now < e->probe_at : !has_something(e, now))
        return;
    bool has_records = fleet_is_dirty(&e->fleet) || e->open->count > 0;
    fleet_each_dirty(&e->fleet, add_record, e);
    add_retention(e, now); /* also on a full disk, where it may help */
    if (!e->fleet.is_frozen) {
        if (seen_write(&e->seen, &e->fleet, now, false, e->open) == 0 && !has_records &&
            e->fleet.live_count == 0)
            return; /* nothing was heard since the last pass */
    }
    add_meta(e, now);
    if (e->open->failed) {
        drop_rounds(e, &(struct err){ .code = ERR_MEMORY, .text = "no memory for a batch" });
        return;
    }
    submit(e);
}

/* ---- results -------------------------------------------------------------------------------- */

static void count_commit(struct engine *e)
{
    struct engine_stats *s = &e->stats;
    s->commits++;
    octaves_add(&s->commit_us, (uint64_t)e->job.took_us);
    octaves_add(&s->batch_ops, e->job.batch->count);
    outcomes_take(&s->outcomes, &e->closed);
}

static void tell_readers(struct engine *e)
{
    struct engine_reader *next;
    for (struct engine_reader *reader = e->readers; reader; reader = next) {
        next = reader->next;
        reader->more(reader);
    }
}

void engine_die(struct engine *e, const struct err *why)
{
    e->is_dead = e->fleet.is_frozen = true;
    engine_log_error(e, "the store cannot say what is durable; this process must end", why);
    release_waiters(e, UINT64_MAX, ENGINE_UNKNOWN);
    if (e->options.fatal)
        e->options.fatal(e->options.ctx, why);
}

/* The store takes writes. */
static void thaw(struct engine *e)
{
    if (!e->fleet.is_frozen)
        return;
    e->fleet.is_frozen = false;
    waited_note(&e->waited, &e->fleet, 0, engine_now(e));
}

static void finish_commit(struct engine *e)
{
    e->is_committing = false;
    switch (e->job.result) {
    case STORE_DURABLE:
        count_commit(e);
        fleet_settle(&e->fleet, e->job.round);
        e->settled = e->job.round;
        if (!committer_stats(e->committer).is_full)
            thaw(e);
        e->journal.durable = e->job_last_index;
        e->kept_oldest = e->job_oldest;
        release_waiters(e, e->settled, ENGINE_DURABLE);
        tell_readers(e);
        break;
    case STORE_RETRY: drop_rounds(e, &e->job.err); break;
    case STORE_UNKNOWN: engine_die(e, &e->job.err); break;
    }
}

static void finish_job(struct engine *e, struct commit_job *job)
{
    struct engine_scan *scan = job->ctx;
    switch (job->kind) {
    case JOB_COMMIT: finish_commit(e); break;
    case JOB_SCAN: scan->done(scan); break;
    case JOB_TERM:
    case JOB_BACKUP: recovery_finish(e, job); break;
    }
}

void engine_poll(struct engine *e)
{
    struct commit_job *job;
    while ((job = committer_take(e->committer))) {
        finish_job(e, job);
        engine_end_round(e);
    }
}

/* Waits for everything that was asked of the store. */
static void drain(struct engine *e)
{
    struct commit_job *job;
    while ((job = committer_wait(e->committer)))
        finish_job(e, job);
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    recovery_stop(e);
    drain(e);
    if (!e->is_dead && !e->fleet.is_frozen) {
        fleet_each_dirty(&e->fleet, add_record, e);
        int64_t now = engine_now(e);
        seen_write(&e->seen, &e->fleet, now, true, e->open);
        add_meta(e, now);
        if (!e->open->failed) /* a round is durable as a whole or not at all */
            submit(e);
        drain(e);
    }
    release_waiters(e, UINT64_MAX, ENGINE_UNKNOWN);
    committer_free(e->committer);
    release(e);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void check(struct engine *e, int64_t now)
{
    struct err what = { .code = ERR_NONE };
    size_t faults;
    bool is_whole =
        e->fleet.instance_count < CHECK_ALL_BELOW && now - e->checked_all_at >= CHECK_ALL_EVERY_MS;
    if (is_whole) {
        e->checked_all_at = now;
        faults = place_check(&e->fleet, &what);
    } else {
        faults = place_check_some(&e->fleet, &e->check_cursor, CHECK_SLOTS, &what);
    }
    e->checked_at = now;
    e->stats.checks++;
    if (faults == 0)
        return;
    e->stats.violations += faults;
    engine_log_error(e, "something derived differed from its records and was derived anew", &what);
    place_rebuild(&e->fleet);
}

/* For measuring; 0 where nothing is measured. */
static int64_t now_us(const struct engine *e)
{
    return e->clock.now_us ? e->clock.now_us(e->clock.self) : 0;
}

static void reconcile(struct engine *e)
{
    int64_t began_us = now_us(e);
    engine_begin(e, TEXT("server"));
    struct err err = { .code = ERR_NONE };
    bool has_more = fleet_tick(&e->fleet, &err);
    if (!has_more && err.code == ERR_MEMORY)
        engine_log_error(e, "timers wait for memory", &err);
    engine_end(e);
    octaves_add(&e->stats.reconcile_us, (uint64_t)(now_us(e) - began_us));
}

void engine_stood_still(struct engine *e, int64_t ms)
{
    e->stood_still_ms += ms;
}

/* Until there is memory for it, or room in the store, nothing falls due either. */
static void resume_clocks(struct engine *e)
{
    struct err err = { .code = ERR_NONE };
    if (e->stood_still_ms == 0)
        return;
    engine_begin(e, TEXT("server"));
    if (fleet_stand_still(&e->fleet, e->stood_still_ms, &err))
        e->stood_still_ms = 0;
    engine_end(e);
}

void engine_tick(struct engine *e)
{
    if (e->is_dead)
        return;
    int64_t now = engine_now(e);
    resume_clocks(e);
    bool is_turn = now - e->reconciled_at >= e->options.reconcile_interval_ms;
    if (e->stood_still_ms == 0 && (is_turn || fleet_next_due(&e->fleet) <= now)) {
        e->reconciled_at = now;
        reconcile(e);
    }
    if (now - e->checked_at >= CHECK_EVERY_MS)
        check(e, now);
    engine_end_round(e);
}

/* ---- readers, errors ------------------------------------------------------------------------ */

void engine_reader_add(struct engine *e, struct engine_reader *reader)
{
    reader->next = e->readers;
    reader->link = &e->readers;
    if (reader->next)
        reader->next->link = &reader->next;
    e->readers = reader;
}

void engine_reader_remove(struct engine *e, struct engine_reader *reader)
{
    (void)e;
    *reader->link = reader->next;
    if (reader->next)
        reader->next->link = reader->link;
}

static struct text key_of(char *space, size_t size, uint64_t index)
{
    struct buffer key;
    buffer_init(&key, &memory_heap, size);
    wire_event_key(&key, index);
    struct text text = buffer_text(&key);
    assert(!key.failed && text.size < size);
    memcpy(space, text.data, text.size);
    size_t key_size = text.size;
    buffer_release(&key);
    return (struct text){ space, key_size };
}

void engine_read_old(struct engine *e, struct engine_scan *scan, uint64_t first, size_t limit)
{
    scan->job.kind = JOB_SCAN;
    scan->job.first = key_of(scan->first_key, sizeof scan->first_key, first);
    scan->job.end = key_of(scan->end_key, sizeof scan->end_key, e->journal.durable + 1);
    scan->job.limit = limit;
    scan->job.ctx = scan;
    committer_submit(e->committer, &scan->job);
}

bool engine_is_writable(const struct engine *e)
{
    return !e->is_dead && !e->fleet.is_frozen;
}

bool engine_is_freeable(const struct engine *e)
{
    return !e->is_dead;
}

int64_t engine_store_fails_since(const struct engine *e)
{
    return engine_is_writable(e) ? 0 : e->failing_since;
}

void engine_log_error(const struct engine *e, const char *message, const struct err *why)
{
    struct log_field fields[] = { { "code", text_from(err_word(why->code)) },
                                  { "detail", text_from(why->text) },
                                  { NULL, TEXT_NONE } };
    e->log.write(e->log.self, LOG_ERROR_, message, fields);
}
