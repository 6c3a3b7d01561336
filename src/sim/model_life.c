/* SPDX-License-Identifier: Apache-2.0
 * model_life.c - how servers come and go: the shipped engine over the vault, commits that take
 * virtual time, crashes, orderly ends, and the loads after them. A large fleet that loses no server
 * needs none of it: its core runs bare, and each round is durable at once. */
#include "base/limits.h"
#include "sim/model_parts.h"

#include <assert.h>
#include <stddef.h>

#define HASH_SEED_OF_STARTS 0x5851f42d4c957f2du
#define SHARE_OF_JUMPS      3000u
#define SLOW_MS             100  /* a commit that takes so long is one of a bad disk */
#define GAP_MS              2000 /* as cmd/serving.c: a gap between ticks that the server notices */
#define DISK_OPERATIONS     200u /* writes and flushes of a minute or so */
#define DOWN_MS             1000 /* until the supervisor has started another one */

static const struct err no_memory = { .code = ERR_MEMORY, .text = "no memory for the server" };

/* ---- what the engine asks of its host ------------------------------------------------------- */

static int64_t clock_now(void *self)
{
    const struct model *m = self;
    return m->now + m->clock_ahead_ms;
}

static void write_log(void *self, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    struct model *m = self;
    (void)fields;
    if (m->options.is_traced && level >= LOG_WARNING_ && !m->is_gone)
        model_tell(m, "           log: %s", message);
}

static bool is_done(void *ctx)
{
    struct model *m = ctx;
    if (m->is_gone)
        return true;
    if (m->now < m->commit_due || m->now < m->paused_until)
        return false;
    if (!vault_settle(&m->vault))
        model_break(m, &no_memory);
    return true;
}

static void on_fatal(void *ctx, const struct err *why)
{
    struct model *m = ctx;
    (void)why;
    m->is_dying = true;
}

static void *resize(void *ctx, void *block, size_t old_size, size_t new_size)
{
    struct server_memory *memory = ctx;
    bool is_more = new_size > 0 && (!block || new_size > old_size);
    if (is_more && memory->left > 0 && --memory->left == 0) {
        memory->refused++;
        return NULL;
    }
    return memory_heap.resize(memory_heap.ctx, block, old_size, new_size);
}

/* ---- start ---------------------------------------------------------------------------------- */

static uint64_t next_hash_seed(struct model *m)
{
    /* Nothing may depend on the seed of the hashes: each server has another. */
    return m->plan->seed + ++m->starts * HASH_SEED_OF_STARTS;
}

static bool start_bare(struct model *m, struct err *err)
{
    m->fleet = memory_take_zeroed(&memory_heap, sizeof *m->fleet);
    if (!m->fleet)
        return err_set(err, ERR_MEMORY, "no memory for the server");
    m->fleet->memory = &memory_heap;
    return fleet_init(m->fleet, &memory_heap, &m->options.settings, next_hash_seed(m), err);
}

/* What goes wrong with the disk until the next start. */
static void plan_damage(struct model *m)
{
    enum vault_damage damage = VAULT_UNHARMED;
    bool flips = model_chance(m, m->faults.damage / 4);
    m->vault.disk->start_again(flips);
    m->vault.is_harmed |= flips;
    if (flips)
        model_count(m, FAULT_DAMAGE);
    if (model_chance(m, m->faults.damage))
        damage = (enum vault_damage)(1 + sim_dice_roll(&m->dice, VAULT_DAMAGES - 1));
    m->vault.disk->plan(damage, 1 + sim_dice_roll(&m->dice, DISK_OPERATIONS));
    m->vault.is_harmed |= damage >= VAULT_LOSE;
}

/* PR9: what the store noticed is mended by an operator, with the newest copy of it that there is.
 */
static bool mend_disk(struct model *m, struct err *err)
{
    model_tell(m, "the store is damaged, and says so: %s", err->text);
    if (m->has_copy)
        server_put_back(m, false);
    else
        m->vault.term++;
    return vault_refill(&m->vault, m->plan->seed + m->starts, err);
}

static bool open_disk(struct model *m, struct err *err)
{
    enum vault_found found = VAULT_FOUND_NOTHING;
    plan_damage(m);
    for (unsigned tries = 0; tries < 3 && found == VAULT_FOUND_NOTHING; tries++) {
        if (tries > 0)
            m->vault.disk->start_again(false); /* its disk failed while it started */
        found = vault_open(&m->vault, err);
    }
    if (found == VAULT_FOUND_NOTHING && m->vault.is_harmed)
        found = VAULT_FOUND_DAMAGE; /* it does not start, whatever it says of the reason */
    if (found == VAULT_FOUND_DAMAGE && mend_disk(m, err))
        found = vault_open(&m->vault, err);
    m->put_by_hand += found == VAULT_FOUND_OLDER;
    if (found == VAULT_FOUND_OLDER)
        model_tell(m, "the disk has lost what it had promised to keep");
    return found == VAULT_FOUND_ALL || found == VAULT_FOUND_OLDER;
}

static bool load_engine(struct model *m, struct err *err)
{
    struct store_port store = vault_port(&m->vault);
    const struct clock_port clock = { .now_ms = clock_now, .self = m };
    const struct log_port log = { .write = write_log, .self = m };
    m->memory.port = (struct memory){ .resize = resize, .ctx = &m->memory };
    m->memory.left = 0;
    const struct engine_options options = {
        .fleet = m->options.settings,
        .reconcile_interval_ms = MODEL_RECONCILE_MS,
        .events_kept = m->options.events_kept,
        .events_kept_ms = m->options.events_kept_ms,
        .hash_seed = next_hash_seed(m),
        .memory = &m->memory.port,
        .is_done = is_done,
        .fatal = on_fatal,
        .ctx = m,
    };
    return engine_new(&options, &store, &clock, &log, &m->engine, err);
}

/* What a drive has damaged may be noticed by the load only. */
static bool load_mended(struct model *m, struct err *err)
{
    vault_close(&m->vault, false);
    return mend_disk(m, err) && vault_open(&m->vault, err) == VAULT_FOUND_ALL &&
           load_engine(m, err);
}

static bool start_engine(struct model *m, struct err *err)
{
    if (m->vault.disk && !open_disk(m, err))
        return false;
    if (!load_engine(m, err) && !(m->vault.is_harmed && load_mended(m, err)))
        return false;
    m->fleet = engine_fleet(m->engine);
    engine_on_wake(m->engine, m->plan->wait_ms > 0 ? server_wake : NULL, m);
    return true;
}

bool server_start(struct model *m, struct err *err)
{
    m->is_dying = m->is_gone = m->is_confirming = false;
    m->commit_due = m->now;
    m->failures = 0;
    if (m->has_engine ? !start_engine(m, err) : !start_bare(m, err))
        return false;
    if (!witness_begin(&m->witness, m->fleet))
        return err_set(err, ERR_MEMORY, "no memory for the witness");
    m->reconciled_at = m->now;
    server_forget_slots(m);
    server_arm_tick(m);
    if (m->engine && m->calls) {
        clients_load(m);
        watchers_load(m, m->vault.is_older);
        m->vault.is_older = false;
    }
    return true;
}

/* ---- end ------------------------------------------------------------------------------------ */

static void stop_bare(struct model *m)
{
    fleet_release(m->fleet);
    memory_give(&memory_heap, m->fleet, sizeof *m->fleet);
}

/* In order it waits for its commits, which arrive before they are answered then. */
static void stop_engine(struct model *m, bool is_asked)
{
    m->memory.left = 0;
    if (is_asked && !vault_settle(&m->vault))
        model_break(m, &no_memory);
    m->vault.is_instant = is_asked;
    m->vault.is_off = !is_asked;
    m->is_gone = !is_asked;
    if (!is_asked && m->vault.disk)
        m->vault.disk->cut();
    engine_free(m->engine);
    m->engine = NULL;
    m->is_gone = true;
    if (m->vault.disk && m->vault.disk->has_failed())
        model_count(m, FAULT_DAMAGE);
    vault_close(&m->vault, is_asked);
}

void server_stop(struct model *m, bool is_asked)
{
    if (m->engine)
        stop_engine(m, is_asked);
    else if (m->fleet)
        stop_bare(m);
    m->fleet = NULL;
}

/* A batch under way may have reached the disk or not; nobody was told either way. */
void server_crash(struct model *m, bool is_asked)
{
    if (!m->fleet)
        return;
    assert(m->has_engine);
    bool was_paused = m->now < m->paused_until; /* of that the next one hears as of an outage */
    m->died_at = model_clock(m) - (was_paused ? m->now - m->paused_at : 0);
    m->drops++;
    model_set_timer(m, TIMER_COMMIT, TIMERS_NEVER);
    model_set_timer(m, TIMER_TICK, TIMERS_NEVER);
    server_stop(m, is_asked && m->paused_at == 0);
    if (m->vault.pending.is_there)
        model_count(m, FAULT_TORN);
    if (!vault_restart(&m->vault, model_chance(m, SHARE_WHOLE / 2)))
        model_break(m, &no_memory);
    m->paused_until = m->paused_at = 0;
    operator_dropped(m);
    model_note(m, &(struct note){ .kind = NOTE_SERVER_DOWN, .agent = FLEET_NONE });
    model_tell(m, is_asked ? "the server ends" : "the server dies");
}

/* The wall clock was set while no server ran. What a running one reads goes on evenly. */
static void jump_clock(struct model *m)
{
    int64_t most = m->faults.clock_jump_ms;
    if (most == 0 || !model_chance(m, SHARE_OF_JUMPS))
        return;
    model_count(m, FAULT_CLOCK);
    int64_t by = sim_dice_between(&m->dice, -most, most);
    m->clock_ahead_ms += by;
    if (by < 0) /* what was seen of the time that comes again says nothing */
        m->witness.outage_count = 0;
}

void server_come_up(struct model *m)
{
    struct err err = { .code = ERR_NONE }, why = { .code = ERR_NONE };
    if (m->fleet)
        return;
    jump_clock(m);
    witness_note_outage(&m->witness, m->died_at, model_clock(m));
    if (!server_start(m, &why)) {
        err_set(&err, why.code, "I9 what was committed cannot be loaded: %s", why.text);
        model_break(m, &err);
        return;
    }
    model_note(m, &(struct note){ .kind = NOTE_SERVER_UP, .agent = FLEET_NONE });
    model_tell(m, "another server goes on from what was committed");
    if (!witness_all(&m->witness, &err))
        model_break(m, &err);
    server_turn(m);
}

/* ---- old copies of the store ---------------------------------------------------------------- */

void server_put_back(struct model *m, bool is_by_hand)
{
    struct err why = { .code = ERR_NONE };
    uint64_t term = m->vault.term > m->copy.term ? m->vault.term : m->copy.term;
    if (!vault_put_back(&m->vault, &m->copy))
        model_break(m, &no_memory);
    if (is_by_hand)
        m->put_by_hand++;
    else
        m->vault.term = term + 1;
    if (m->vault.disk && !vault_refill(&m->vault, m->plan->seed + m->starts, &why))
        model_break(m, &why);
    model_tell(m, "an old copy of the store is put in place%s", is_by_hand ? " by hand" : "");
}

static void on_confirmed(struct engine_confirm *confirm, enum engine_outcome outcome)
{
    struct model *m = (struct model *)(void *)((char *)confirm - offsetof(struct model, confirm));
    m->is_confirming = false;
    m->starved_until = m->now + MODEL_STARVED_MS; /* what was held goes on with the next tick */
    if (outcome == ENGINE_DURABLE && !m->is_gone)
        model_tell(m, "an operator confirms the old copy");
}

void server_confirm(struct model *m)
{
    if (!m->engine || !model_has_server(m) || !engine_is_held(m->engine) || m->is_confirming)
        return;
    m->confirm.done = on_confirmed;
    m->is_confirming = engine_confirm(m->engine, &m->confirm, NULL);
    server_turn(m);
    if (m->fleet)
        server_arm_tick(m);
}

/* ---- standing still ------------------------------------------------------------------------- */

/* Its process gets no time: what comes for it waits. */
void server_pause(struct model *m, int64_t until)
{
    m->paused_at = m->now;
    m->paused_until = until;
    model_set_timer(m, TIMER_TICK, until);
    if (m->now < m->commit_due)
        model_set_timer(m, TIMER_COMMIT, m->commit_due < until ? until : m->commit_due);
}

void server_resume(struct model *m)
{
    int64_t stood_still = m->paused_until - m->paused_at;
    if (m->paused_at == 0)
        return;
    int64_t until = model_clock(m) - (m->now - m->paused_until);
    m->paused_at = 0;
    if (stood_still <= GAP_MS)
        return;
    witness_note_outage(&m->witness, until - stood_still, until);
    engine_stood_still(m->engine, stood_still);
}

/* ---- commits -------------------------------------------------------------------------------- */

bool server_is_settled(const struct model *m, uint64_t round)
{
    return !m->engine || engine_is_settled(m->engine, round);
}

/* When a round was dropped, what was changed since the last durable one is not there any more. The
 * engine takes no writes for a while after it. */
void server_note_drop(struct model *m)
{
    if (!m->engine || !m->fleet->is_frozen)
        return;
    uint64_t failures = engine_stats(m->engine).commit_failures;
    if (failures == m->failures)
        return;
    m->failures = failures;
    model_count(m, FAULT_REFUSED);
    m->drops++;
    server_forget_slots(m);
    if (!witness_begin(&m->witness, m->fleet))
        model_break(m, &no_memory);
    model_note(m, &(struct note){ .kind = NOTE_REFUSED_COMMIT, .agent = FLEET_NONE });
    operator_dropped(m);
    clients_note_drop(m);
}

static void die(struct model *m)
{
    model_count(m, FAULT_DOUBT);
    model_note(m, &(struct note){ .kind = NOTE_STORE_FAILED, .agent = FLEET_NONE });
    server_crash(m, false);
    model_set_timer(m, TIMER_SERVER_UP, m->now + DOWN_MS);
}

void server_turn(struct model *m)
{
    if (!m->engine) {
        if (fleet_is_dirty(m->fleet))
            fleet_settle(m->fleet, fleet_end_round(m->fleet));
        return;
    }
    engine_end_round(m->engine);
    m->memory.left = 0;
    engine_poll(m->engine);
    if (m->is_dying) {
        die(m);
        return;
    }
    server_note_drop(m);
    operator_settled(m);
}

void server_commit_done(struct model *m)
{
    if (!m->fleet)
        return;
    model_note(m, &(struct note){ .kind = NOTE_COMMIT, .agent = FLEET_NONE });
    server_turn(m);
    if (m->fleet)
        server_arm_tick(m);
}

/* ---- the store's fate ----------------------------------------------------------------------- */

struct vault_fate model_draw_fate(void *ctx)
{
    struct model *m = ctx;
    const struct faults *f = &m->faults;
    int64_t takes =
        f->commit_max_ms == 0 ? 0 : sim_dice_between(&m->dice, f->commit_min_ms, f->commit_max_ms);
    m->commit_due = m->now + takes;
    if (takes >= SLOW_MS)
        model_count(m, FAULT_SLOW);
    if (takes > 0 && !m->is_gone && !m->vault.is_instant)
        model_set_timer(m, TIMER_COMMIT, m->commit_due);
    if (model_chance(m, f->commit_doubt))
        return (struct vault_fate){ STORE_UNKNOWN, sim_dice_roll(&m->dice, 2) == 0 };
    bool is_refused = m->now < m->full_until || model_chance(m, f->commit_fail);
    return (struct vault_fate){ is_refused ? STORE_RETRY : STORE_DURABLE, true };
}
