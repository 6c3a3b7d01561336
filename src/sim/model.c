/* SPDX-License-Identifier: Apache-2.0
 * model.c - the loop of events. What has no time between it happens in the order of enum
 * model_timer, then agents by number, then messages by their places in the pool. */
#include "sim/model_parts.h"

#include <assert.h>

#define DICE_OF_MODEL   3u
#define EVENTS_KEPT     1000000u /* as the server's default */
#define EVENTS_KEPT_MS  (7ll * 24 * 3600 * 1000)
#define REPLIES_KEPT_MS (24ll * 3600 * 1000)
#define CACHE_LINE      64u
#define TERMS_MAX       100u
#define SHARE_OF_STOPS  2500u /* of the ends of servers are asked for */

/* ---- timers ---------------------------------------------------------------------------------- */

void model_set_timer(struct model *m, enum model_timer timer, int64_t due)
{
    timers_set(&m->timers, timer, due);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void model_arm_agent(struct model *m, uint32_t agent)
{
    const struct crowd_cell *cell = &m->crowd.cells[agent];
    int64_t due = TIMERS_NEVER;
    if (!cell->is_dormant) {
        due = cell->call_due;
        if (cell->work == WORK_UPDATING || cell->work == WORK_LYING)
            due = earlier(due, cell->work_or_again_at);
        if (m->calls && m->calls[agent].until != 0)
            due = earlier(due, m->calls[agent].until);
    }
    timers_set(&m->timers, model_agent_item(agent), due);
}

void model_break(struct model *m, const struct err *why)
{
    if (!model_is_broken(m))
        m->broken = *why;
}

void model_count(struct model *m, enum fault_class fault)
{
    m->counts.faults[fault]++;
}

bool model_chance(struct model *m, uint32_t share)
{
    return share > 0 && sim_dice_roll(&m->dice, SHARE_WHOLE) < share;
}

/* ---- agents --------------------------------------------------------------------------------- */

/* Work goes first: a call that is due as well tells of it. */
static void wake_agent(struct model *m, uint32_t index)
{
    const struct crowd_cell *cell = &m->crowd.cells[index];
    bool is_busy = cell->work == WORK_UPDATING || cell->work == WORK_LYING;
    if (is_busy && cell->work_or_again_at <= m->now) {
        struct agent agent;
        crowd_load(&m->crowd, index, &agent);
        agent_worked(&agent, m->now);
        crowd_store(&m->crowd, index, &agent);
    }
    if (m->calls && m->calls[index].until != 0 && m->calls[index].until <= m->now)
        network_give_up(m, index);
    if (cell->call_due <= m->now)
        network_call(m, index);
    model_arm_agent(m, index);
}

/* ---- faults --------------------------------------------------------------------------------- */

/* The next time of something that happens once in `every_ms` on average: evenly between none and
 * twice that. */
static int64_t draw_next(struct model *m, const struct fault_every *fault)
{
    if (fault->every_ms == 0)
        return TIMERS_NEVER;
    return m->now + sim_dice_between(&m->dice, 1, 2 * fault->every_ms);
}

static int64_t draw_down(struct model *m, const struct fault_every *fault)
{
    return sim_dice_between(&m->dice, fault->down_min_ms, fault->down_max_ms);
}

static void note_fault(struct model *m, enum fault_class fault, uint32_t agent)
{
    static const char *const words[] = {
#define FAULT_WORD(id, meaning) meaning,
        FAULT_CLASSES(FAULT_WORD)
#undef FAULT_WORD
    };
    model_count(m, fault);
    model_note(m, &(struct note){ .kind = NOTE_FAULT, .agent = agent, .what = words[fault] });
}

static void restart_server(struct model *m)
{
    if (m->fleet) {
        bool is_asked = model_chance(m, SHARE_OF_STOPS);
        model_count(m, is_asked ? FAULT_SERVER_ENDED : FAULT_SERVER_DIED);
        server_crash(m, is_asked);
        model_set_timer(m, TIMER_SERVER_UP, m->now + draw_down(m, &m->faults.restart));
    }
    model_set_timer(m, TIMER_RESTART, draw_next(m, &m->faults.restart));
}

/* Some agent that runs; FLEET_NONE: the one that was drawn does not. */
static uint32_t draw_agent(struct model *m)
{
    uint32_t index = sim_dice_roll(&m->dice, m->crowd.count);
    const struct crowd_cell *cell = &m->crowd.cells[index];
    return cell->is_dormant || cell->work == WORK_CRASHED ? FLEET_NONE : index;
}

/* It remembers what runs, which `running` replaces, and nothing else. */
static void start_anew(struct model *m, uint32_t index, const struct version *running, int64_t up)
{
    struct agent agent;
    network_hang_up(m, index);
    crowd_load(&m->crowd, index, &agent);
    if (running)
        agent.running = *running;
    agent_restart(&agent, up);
    crowd_store(&m->crowd, index, &agent);
    model_arm_agent(m, index);
}

static void crash_agent(struct model *m)
{
    uint32_t index = draw_agent(m);
    int64_t up = m->now + draw_down(m, &m->faults.crash);
    model_set_timer(m, TIMER_CRASH, draw_next(m, &m->faults.crash));
    if (index == FLEET_NONE)
        return;
    note_fault(m, FAULT_AGENT_DIED, index);
    start_anew(m, index, NULL, up);
}

/* FA4: its host is restored from a backup of its first day. */
static void put_agent_back(struct model *m)
{
    uint32_t index = draw_agent(m);
    int64_t up = m->now + draw_down(m, &m->faults.old_agent);
    model_set_timer(m, TIMER_OLD_AGENT, draw_next(m, &m->faults.old_agent));
    const struct version *start = index == FLEET_NONE ? NULL : &m->plan->instances[index].start;
    if (!start || start->code == 0 || start->config == 0)
        return; /* what it runs cannot be said */
    note_fault(m, FAULT_AGENT_OLD, index);
    start_anew(m, index, start, up);
}

static void cut_agent(struct model *m)
{
    uint32_t index = sim_dice_roll(&m->dice, m->crowd.count);
    model_set_timer(m, TIMER_SILENT, draw_next(m, &m->faults.silent));
    if (m->crowd.cells[index].is_cut)
        return;
    m->crowd.cells[index].is_cut = 1;
    note_fault(m, FAULT_AGENT_GONE, index);
}

/* Links break one by one and are mended in another order. Half of them only one way. */
static void break_link(struct model *m)
{
    uint32_t index = sim_dice_roll(&m->dice, m->crowd.count);
    uint32_t way = sim_dice_roll(&m->dice, 4);
    int64_t until = m->now + draw_down(m, &m->faults.link);
    model_set_timer(m, TIMER_LINK, draw_next(m, &m->faults.link));
    if (way != 0)
        m->calls[index].cut_to_until = until;
    if (way != 1)
        m->calls[index].cut_from_until = until;
    note_fault(m, FAULT_LINK, index);
}

static void pause_server(struct model *m)
{
    int64_t until = m->now + draw_down(m, &m->faults.pause);
    model_set_timer(m, TIMER_PAUSE, draw_next(m, &m->faults.pause));
    if (!m->fleet || m->now < m->paused_until)
        return;
    note_fault(m, FAULT_PAUSE, FLEET_NONE);
    server_pause(m, until);
}

static void fill_disk(struct model *m)
{
    m->full_until = m->now + draw_down(m, &m->faults.full);
    model_set_timer(m, TIMER_FULL, draw_next(m, &m->faults.full));
}

static void copy_store(struct model *m)
{
    bool is_by_hand = model_chance(m, SHARE_WHOLE / 2);
    bool puts_back = m->has_copy && model_chance(m, SHARE_WHOLE / 2);
    int64_t up = m->now + draw_down(m, &m->faults.copy);
    model_set_timer(m, TIMER_COPY, draw_next(m, &m->faults.copy));
    if (puts_back && m->fleet && m->vault.term < TERMS_MAX) {
        note_fault(m, FAULT_OLD_COPY, FLEET_NONE);
        server_crash(m, false);
        server_put_back(m, is_by_hand);
        model_set_timer(m, TIMER_SERVER_UP, up);
        return;
    }
    if (m->has_copy)
        vault_copy_release(&m->copy);
    m->has_copy = vault_copy(&m->vault, &m->copy);
}

/* Which windows are open now; the timer is set to the next edge of one. */
static void turn_silence(struct model *m)
{
    int64_t next = TIMERS_NEVER, elapsed = m->now - MODEL_BEGIN_MS;
    uint32_t active = 0;
    for (uint32_t i = 0; i < m->faults.silence_count; i++) {
        const struct fault_silence *s = &m->faults.silences[i];
        if (elapsed >= s->from_ms && elapsed < s->until_ms)
            active |= 1u << i;
        if (elapsed < s->from_ms)
            next = earlier(next, s->from_ms);
        else if (elapsed < s->until_ms)
            next = earlier(next, s->until_ms);
    }
    if (active != m->active_silence)
        model_tell(m, active ? "a part of the fleet falls silent" : "everybody can be heard again");
    m->active_silence = active;
    model_set_timer(m, TIMER_SILENCE, next == TIMERS_NEVER ? next : MODEL_BEGIN_MS + next);
}

static void arm_faults(struct model *m)
{
    model_set_timer(m, TIMER_CRASH, draw_next(m, &m->faults.crash));
    model_set_timer(m, TIMER_SILENT, draw_next(m, &m->faults.silent));
    model_set_timer(m, TIMER_RESTART, draw_next(m, &m->faults.restart));
    model_set_timer(m, TIMER_LINK, draw_next(m, &m->faults.link));
    model_set_timer(m, TIMER_OLD_AGENT, draw_next(m, &m->faults.old_agent));
    model_set_timer(m, TIMER_PAUSE, draw_next(m, &m->faults.pause));
    model_set_timer(m, TIMER_FULL, draw_next(m, &m->faults.full));
    model_set_timer(m, TIMER_COPY, draw_next(m, &m->faults.copy));
    if (m->faults.until_ms != 0)
        model_set_timer(m, TIMER_FAULTS_END, MODEL_BEGIN_MS + m->faults.until_ms);
    turn_silence(m);
}

void model_faults_end(struct model *m)
{
    m->faults = (struct faults){ 0 };
    m->active_silence = 0;
    m->full_until = 0;
    for (uint32_t i = 0; m->calls && i < m->crowd.count; i++)
        m->calls[i].cut_to_until = m->calls[i].cut_from_until = 0;
    for (unsigned timer = TIMER_RESTART; timer <= TIMER_FAULTS_END; timer++)
        model_set_timer(m, timer, TIMERS_NEVER);
    model_note(m, &(struct note){ .kind = NOTE_FAULTS_END, .agent = FLEET_NONE });
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void fire(struct model *m, enum model_timer timer)
{
    model_set_timer(m, timer, TIMERS_NEVER);
    switch (timer) {
    case TIMER_OPERATOR: operator_wake(m); break;
    case TIMER_SERVER_UP: server_come_up(m); break;
    case TIMER_COMMIT: server_commit_done(m); break;
    case TIMER_TICK: server_tick(m); break;
    case TIMER_RESTART: restart_server(m); break;
    case TIMER_CRASH: crash_agent(m); break;
    case TIMER_SILENT: cut_agent(m); break;
    case TIMER_LINK: break_link(m); break;
    case TIMER_OLD_AGENT: put_agent_back(m); break;
    case TIMER_PAUSE: pause_server(m); break;
    case TIMER_FULL: fill_disk(m); break;
    case TIMER_COPY: copy_store(m); break;
    case TIMER_SILENCE: turn_silence(m); break;
    case TIMER_FAULTS_END: model_faults_end(m); break;
    case MODEL_TIMERS: break;
    }
}

static void happen(struct model *m, uint32_t item)
{
    m->events++;
    m->history = (m->history ^ (uint64_t)m->now ^ (uint64_t)item << 32) * 0x9e3779b97f4a7c15u;
    if (item < MODEL_TIMERS)
        fire(m, item);
    else if (item < model_agent_item(m->crowd.count))
        wake_agent(m, item - MODEL_TIMERS);
    else
        network_arrive(m, item);
}

/* Everything that the events of the next milliseconds need is asked of the memory at once. Each of
 * them is about another instance, so that otherwise each would wait for it some ten times. */
static void look_ahead(struct model *m)
{
    const struct timers *t = &m->timers;
    uint32_t agents = m->crowd.count;
    m->openings = t->openings;
    for (uint32_t i = 0; i < t->near_count; i++)
        if (t->heap[i].item - MODEL_TIMERS < agents) {
            const struct crowd_cell *cell = &m->crowd.cells[t->heap[i].item - MODEL_TIMERS];
            __builtin_prefetch(cell, 1);
            __builtin_prefetch((const char *)(cell + 1) - 1, 1); /* it may stand in two lines */
        }
    for (uint32_t pass = 0; pass < 2 && m->fleet; pass++) {
        for (uint32_t i = 0; i < t->near_count; i++) {
            uint32_t agent = t->heap[i].item - MODEL_TIMERS;
            uint32_t slot = agent < agents ? m->crowd.cells[agent].slot : FLEET_NONE;
            if (slot >= m->fleet->slot_count)
                continue;
            if (pass == 0)
                fleet_fetch(m->fleet, slot);
            else
                __builtin_prefetch(fleet_at(m->fleet, slot)->texts);
        }
    }
}

bool model_run(struct model *model, int64_t until_ms)
{
    int64_t due, end = MODEL_BEGIN_MS + until_ms;
    uint32_t item = timers_first(&model->timers, &due);
    assert(until_ms <= MODEL_RUN_MAX_MS);
    for (; !model_is_broken(model) && due <= end; item = timers_first(&model->timers, &due)) {
        assert(due >= model->now);
        if (model->openings != model->timers.openings)
            look_ahead(model);
        model->now = due;
        happen(model, item);
    }
    if (!model_is_broken(model) && model->now < end)
        model->now = end;
    return !model_is_broken(model);
}

int64_t model_next_due(const struct model *model)
{
    int64_t due;
    timers_first(&model->timers, &due);
    return due == TIMERS_NEVER ? due : due - MODEL_BEGIN_MS;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool make(struct model *m, struct err *err)
{
    if (!crowd_init(&m->crowd, m->plan, m->now, m->options.spread_ms, err) || !network_open(m, err))
        return false;
    if (!timers_reserve(&m->timers, m->crowd.count + MODEL_TIMERS + m->message_capacity))
        return err_set(err, ERR_MEMORY, "no memory for %u instances", m->crowd.count);
    if (m->options.disk && !vault_use_disk(&m->vault, m->options.disk, m->plan->seed, err))
        return false;
    return server_start(m, err);
}

bool model_new(const struct model_options *options, struct model **ret, struct err *err)
{
    struct model *m = memory_take_zeroed(&memory_heap, sizeof *m);
    if (!m)
        return err_set(err, ERR_MEMORY, "no memory for a simulation");
    bool is_small = options->checks_all || options->plan->instance_count <= INVARIANTS_SMALL;
    m->options = *options;
    if (m->options.events_kept == 0)
        m->options.events_kept = EVENTS_KEPT;
    if (m->options.events_kept_ms == 0)
        m->options.events_kept_ms = EVENTS_KEPT_MS;
    m->plan = options->plan;
    m->faults = m->plan->faults;
    m->now = MODEL_BEGIN_MS;
    m->dice = sim_dice_at(m->plan->seed, 0, DICE_OF_MODEL);
    m->has_engine = is_small || faults_need_store(&m->faults);
    m->first_free = FLEET_NONE;
    timers_init(&m->timers, &memory_heap);
    witness_init(&m->witness, is_small);
    vault_init(&m->vault, model_draw_fate, m);
    watchers_init(m);
    m->clients.kept_ms = REPLIES_KEPT_MS;
    if (!make(m, err)) {
        model_free(m);
        return false;
    }
    for (uint32_t i = 0; i < m->crowd.count; i++)
        model_arm_agent(m, i);
    arm_faults(m);
    operator_begin(m);
    *ret = m;
    return true;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    server_stop(model, false);
    vault_close(&model->vault, false);
    network_close(model);
    crowd_release(&model->crowd);
    timers_release(&model->timers);
    witness_release(&model->witness);
    vault_release(&model->vault);
    if (model->has_copy)
        vault_copy_release(&model->copy);
    watchers_release(model);
    memory_give(&memory_heap, model, sizeof *model);
}

/* ---- looking -------------------------------------------------------------------------------- */

const struct fleet *model_fleet(const struct model *model)
{
    return model->fleet;
}

const char *model_broken(const struct model *model)
{
    return model_is_broken(model) ? model->broken.text : NULL;
}

int64_t model_elapsed(const struct model *model)
{
    return model->now - MODEL_BEGIN_MS;
}

/* Only who is PAUSED waits for an operator, and in a plan no other step will come. */
bool model_is_over(const struct model *model)
{
    const struct fleet *fleet = model->fleet;
    if (!fleet || !operator_is_done(model))
        return false;
    for (uint32_t i = 0; i < FLEET_LIVE_MAX && fleet->live_count > 0; i++)
        if (fleet->live[i] && fleet->live[i]->rollout->state != ROLLOUT_PAUSED)
            return false;
    return true;
}

struct model_counts model_counts(const struct model *model)
{
    struct model_counts counts = model->counts;
    counts.instances = model->crowd.count;
    for (uint32_t i = 0; i < model->crowd.count; i++) {
        const struct crowd_cell *cell = &model->crowd.cells[i];
        counts.registered += cell->link == LINK_BEATING && !cell->is_dormant;
        counts.cut += cell->is_cut || cell->work == WORK_CRASHED;
        counts.working += cell->work == WORK_UPDATING;
        counts.failed += cell->is_failed;
    }
    counts.updates = model->crowd.counts.updates;
    counts.failures = model->crowd.counts.failures;
    counts.lies = model->crowd.counts.lies;
    counts.faults[FAULT_UPDATE] = counts.failures + counts.lies;
    counts.faults[FAULT_MEMORY] = model->memory.refused;
    counts.events = model->events;
    counts.checks = model->witness.checks;
    return counts;
}
