/* SPDX-License-Identifier: Apache-2.0
 * model_server.c - the server of the model: the shipped core, commits that take time and may be
 * refused, crashes and loads. Answers and wishes leave when what they rest on is durable. */
#include "base/limits.h"
#include "sim/model_parts.h"
#include "wire/record.h"

#include <assert.h>

#define HASH_SEED_OF_STARTS 0x5851f42d4c957f2du
#define STORED_EVERY        256u /* events between two comparisons of everything with the store */

/* ---- life ----------------------------------------------------------------------------------- */

static void forget_slots(struct model *m)
{
    for (uint32_t i = 0; i < m->crowd.count; i++)
        m->crowd.cells[i].slot = FLEET_NONE;
}

static bool load(struct model *m, int64_t stood_still_ms, struct err *err)
{
    /* Nothing may depend on the seed of the hashes: each server has another. */
    uint64_t hash_seed = m->plan->seed + ++m->starts * HASH_SEED_OF_STARTS;
    if (!fleet_init(m->fleet, &memory_heap, &m->options.settings, hash_seed, err))
        return false;
    if (!vault_load(&m->vault, m->fleet, m->now, stood_still_ms, err))
        return false;
    return witness_begin(&m->witness, m->fleet) ||
           err_set(err, ERR_MEMORY, "no memory for the witness");
}

static void commit(struct model *m);
static void arm_tick(struct model *m);

bool server_start(struct model *m, int64_t stood_still_ms, struct err *err)
{
    m->fleet = memory_take_zeroed(&memory_heap, sizeof *m->fleet);
    if (!m->fleet)
        return err_set(err, ERR_MEMORY, "no memory for the server");
    m->fleet->memory = &memory_heap;
    if (!load(m, stood_still_ms, err))
        return false;
    m->settled = m->fleet->round - 1;
    m->reconciled_at = m->now;
    forget_slots(m);
    arm_tick(m);
    return true;
}

void server_stop(struct model *m)
{
    if (!m->fleet)
        return;
    fleet_release(m->fleet);
    memory_give(&memory_heap, m->fleet, sizeof *m->fleet);
    m->fleet = NULL;
}

/* A batch under way may have reached the disk or not; nobody was told either way. */
void server_crash(struct model *m)
{
    if (!m->fleet)
        return;
    bool is_kept = m->is_committing && !m->is_starting && model_chance(m, SHARE_WHOLE / 2);
    if (is_kept && !vault_apply(&m->vault, &m->batch))
        model_break(m, &(struct err){ .code = ERR_MEMORY, .text = "no memory for the store" });
    if (is_kept) {
        m->settled = m->batch_round;
        operator_settled(m);
    }
    m->died_at = m->now;
    m->is_committing = false;
    m->drops++;
    m->counts.server_restarts++;
    if (!m->is_starting)
        m->down_since = m->now; /* else what moved the deadlines is lost: they move by it all */
    model_set_timer(m, TIMER_COMMIT, TIMERS_NEVER);
    model_set_timer(m, TIMER_TICK, TIMERS_NEVER);
    network_forget_held(m);
    operator_dropped(m);
    server_stop(m);
    model_note(m, &(struct note){ .kind = NOTE_SERVER_DOWN, .agent = FLEET_NONE });
    model_tell(m, "the server dies");
}

void server_come_up(struct model *m)
{
    struct err err = { .code = ERR_NONE }, why = { .code = ERR_NONE };
    if (m->fleet)
        return;
    witness_note_outage(&m->witness, m->died_at, m->now);
    if (!server_start(m, m->now - m->down_since, &why)) {
        err_set(&err, why.code, "I9 what was committed cannot be loaded: %s", why.text);
        model_break(m, &err);
        return;
    }
    model_note(m, &(struct note){ .kind = NOTE_SERVER_UP, .agent = FLEET_NONE });
    model_tell(m, "another server goes on from what was committed");
    if (!witness_all(&m->witness, &err))
        model_break(m, &err);
    m->is_starting = fleet_is_dirty(m->fleet);
    commit(m);
}

/* ---- commits -------------------------------------------------------------------------------- */

/* I9: what is stored is what the server knows, when nothing waits for a commit. */
static void compare_with_store(struct model *m)
{
    struct err why = { .code = ERR_NONE }, err = { .code = ERR_NONE };
    if (!m->keeps_records || m->is_committing || fleet_is_dirty(m->fleet) ||
        vault_equals(&m->vault, m->fleet, &why))
        return;
    err_set(&err, ERR_INTERNAL, "I9 %s", why.text);
    model_break(m, &err);
}

/* The changes of all rounds that are not settled are taken back. */
static void refuse_commit(struct model *m)
{
    m->counts.commits_refused++;
    m->drops++;
    fleet_undo(m->fleet);
    forget_slots(m);
    if (!witness_begin(&m->witness, m->fleet))
        model_break(m, &(struct err){ .code = ERR_MEMORY, .text = "no memory for the witness" });
    model_note(m, &(struct note){ .kind = NOTE_REFUSED_COMMIT, .agent = FLEET_NONE });
    network_refuse_held(m);
    operator_dropped(m);
    compare_with_store(m);
}

static void finish_commit(struct model *m)
{
    bool is_refused = model_chance(m, m->faults.commit_fail);
    m->is_committing = false;
    if (is_refused) {
        refuse_commit(m);
        return;
    }
    m->is_starting = false;
    if (m->keeps_records && !vault_apply(&m->vault, &m->batch))
        model_break(m, &(struct err){ .code = ERR_MEMORY, .text = "no memory for the store" });
    fleet_settle(m->fleet, m->batch_round);
    m->settled = m->batch_round;
    if (m->calls)
        network_release(m);
    operator_settled(m);
}

/* Hands what changed to the store, unless a commit is under way. */
static void commit(struct model *m)
{
    while (m->fleet && !m->is_committing && fleet_is_dirty(m->fleet) && !model_is_broken(m)) {
        if (m->keeps_records && !vault_collect(&m->batch, m->fleet)) {
            model_break(m, &(struct err){ .code = ERR_MEMORY, .text = "no memory for a commit" });
            return;
        }
        m->batch_round = fleet_end_round(m->fleet);
        m->is_committing = true;
        int64_t takes =
            m->faults.commit_max_ms == 0
                ? 0
                : sim_dice_between(&m->dice, m->faults.commit_min_ms, m->faults.commit_max_ms);
        if (takes == 0)
            finish_commit(m);
        else
            model_set_timer(m, TIMER_COMMIT, m->now + takes);
    }
}

void server_commit_done(struct model *m)
{
    if (!m->fleet || !m->is_committing)
        return;
    model_note(m, &(struct note){ .kind = NOTE_COMMIT, .agent = FLEET_NONE });
    finish_commit(m);
    commit(m);
    if (m->fleet)
        arm_tick(m);
}

/* ---- slots ---------------------------------------------------------------------------------- */

static void know_slot(struct model *m, uint32_t agent, uint32_t slot)
{
    m->crowd.cells[agent].slot = slot;
    if (slot >= m->agent_capacity) {
        uint32_t next = slot + slot / 2 + 64;
        uint32_t *grown = memory_heap.resize(
            memory_heap.ctx, m->agents, m->agent_capacity * sizeof *grown, next * sizeof *grown);
        if (!grown) {
            model_break(m, &(struct err){ .code = ERR_MEMORY, .text = "no memory for slots" });
            return;
        }
        m->agents = grown;
        m->agent_capacity = next;
    }
    m->agents[slot] = agent;
}

uint32_t server_slot(struct model *m, uint32_t agent)
{
    struct crowd_cell *cell = &m->crowd.cells[agent];
    if (cell->slot != FLEET_NONE)
        return cell->slot;
    uint32_t slot = fleet_find(m->fleet, m->plan->instances[agent].name);
    if (slot != FLEET_NONE)
        know_slot(m, agent, slot);
    return slot;
}

/* Who waits for news learns of it at once; whoever was not heard since the start waits for nothing
 * yet. */
static void wake_agents(struct model *m)
{
    for (uint32_t i = 0; i < m->fleet->woken_count; i++) {
        uint32_t slot = m->fleet->woken[i];
        uint32_t agent = slot < m->agent_capacity ? m->agents[slot] : FLEET_NONE;
        if (agent < m->crowd.count && m->crowd.cells[agent].slot == slot)
            network_wake(m, agent);
    }
}

/* ---- commands ------------------------------------------------------------------------------- */

/* The next look at the timers: on the grid of the shipped server's. */
static void arm_tick(struct model *m)
{
    int64_t due = fleet_next_due(m->fleet);
    if (m->fleet->live_count > 0 && m->reconciled_at + MODEL_RECONCILE_MS < due)
        due = m->reconciled_at + MODEL_RECONCILE_MS;
    if (due == TIMERS_NEVER) {
        model_set_timer(m, TIMER_TICK, due);
        return;
    }
    if (due <= m->now)
        due = m->now + 1;
    due += MODEL_TICK_MS - 1;
    model_set_timer(m, TIMER_TICK, due - due % MODEL_TICK_MS);
}

void server_begin(struct model *m, struct text actor)
{
    fleet_begin(m->fleet, m->now, actor);
}

static bool has_effects(const struct fleet *fleet)
{
    return fleet->change_count > 0 || fleet->woken_count > 0;
}

void server_end(struct model *m, enum event_kind kind, uint32_t slot, bool is_changing,
                enum err_code code)
{
    struct err err = { .code = ERR_NONE };
    struct event event = { .kind = (uint8_t)kind,
                           .is_refused = code != ERR_NONE,
                           .is_changing = is_changing || has_effects(m->fleet),
                           .slot = slot };
    model_note_changes(m);
    if (!witness_event(&m->witness, &event, &err))
        model_break(m, &err);
    if (model_is_broken(m))
        return;
    if (m->plan->wait_ms > 0)
        wake_agents(m);
    commit(m);
    if (!m->fleet)
        return;
    if (m->witness.is_small && m->events % STORED_EVERY == 0)
        compare_with_store(m);
    arm_tick(m);
}

void server_tick(struct model *m)
{
    struct err err = { .code = ERR_NONE };
    if (!m->fleet)
        return;
    m->reconciled_at = m->now;
    server_begin(m, TEXT("server"));
    bool has_more = fleet_tick(m->fleet, &err);
    model_note(m, &(struct note){ .kind = NOTE_TICK, .agent = FLEET_NONE });
    if (!has_more && err.code == ERR_MEMORY)
        model_break(m, &err);
    server_end(m, EVENT_TICK, FLEET_NONE, true, ERR_NONE);
}

/* ---- what agents ask ------------------------------------------------------------------------ */

static size_t list_labels(const struct plan *plan, uint32_t labels,
                          struct label_change changes[static LIMIT_LABELS])
{
    size_t count = labels_count(&plan->labels, labels);
    for (size_t i = 0; i < count; i++) {
        changes[i].is_removal = false;
        labels_at(&plan->labels, labels, i, &changes[i].key, &changes[i].value);
    }
    return count;
}

static void take_registration(struct model *m, const struct message *request,
                              struct message *answer)
{
    const struct plan_instance *instance = &m->plan->instances[request->agent];
    struct label_change changes[LIMIT_LABELS];
    struct register_result result = { .slot = FLEET_NONE };
    struct err err = { .code = ERR_NONE };
    struct register_command command = {
        .name = instance->name,
        .ip = instance->ip,
        .labels = changes,
        .label_count = list_labels(m->plan, instance->labels, changes),
        .has_labels = true,
    };
    server_begin(m, TEXT("agent"));
    bool done = fleet_register(m->fleet, &command, &result, &err);
    if (done) {
        know_slot(m, request->agent, result.slot);
        answer->round = fleet_at(m->fleet, result.slot)->touched_round;
        m->counts.registrations++;
    }
    answer->answer = done ? ANSWER_TAKEN : ANSWER_BUSY;
    model_note(m, &(struct note){
                      .kind = NOTE_REGISTER, .agent = request->agent, .code = (uint16_t)err.code });
    server_end(m, EVENT_REGISTER, result.slot, true, err.code);
}

/* The plan's number of one of the fleet's texts. Most often it is the one the agent knows. */
static uint16_t number_of(struct model *m, uint32_t id, uint16_t likely)
{
    struct text text = fleet_text(m->fleet, id);
    struct err err = { .code = ERR_NONE };
    uint32_t found;
    if (text_equal(text, intern_text(&m->plan->texts, m->crowd.texts[likely])))
        return likely;
    if (text.size == 0)
        return 0;
    if ((!intern_find(&m->plan->texts, text, &found) &&
         !intern_take(&m->plan->texts, text, &found)) ||
        !crowd_know_version(&m->crowd, (struct version){ found, 0 }, &err)) {
        model_break(
            m, err.code ? &err
                        : &(struct err){ .code = ERR_MEMORY, .text = "no memory for a version" });
        return 0;
    }
    return m->crowd.numbers[found];
}

static void tell_order(struct model *m, struct instance *inst, const struct message *request,
                       struct message *answer)
{
    const struct crowd_cell *cell = &m->crowd.cells[request->agent];
    const struct rollout *r = fleet_rollout_of(m->fleet, inst);
    answer->answer = ANSWER_ORDER;
    answer->version.code = number_of(m, inst->desired.code, cell->wish.code);
    answer->version.config = number_of(m, inst->desired.config, cell->wish.config);
    answer->generation = inst->generation;
    answer->update_needed = instance_needs_update(inst);
    answer->rollout = r ? r->number : inst->assignment.rollout;
    bool is_held = m->plan->wait_ms > 0 && inst->generation == request->generation;
    answer->interval_ms =
        is_held ? (uint32_t)m->plan->wait_ms : fleet_give_interval(m->fleet, inst);
    answer->round = inst->touched_round;
}

static void take_heartbeat(struct model *m, const struct message *request, struct message *answer)
{
    uint32_t slot = server_slot(m, request->agent);
    struct heartbeat_result result = { 0 };
    struct err err = { .code = ERR_NONE };
    if (slot == FLEET_NONE) {
        answer->answer = ANSWER_UNKNOWN;
        return;
    }
    struct instance *inst = fleet_at(m->fleet, slot);
    struct version version = crowd_version(&m->crowd, request->version);
    struct heartbeat_command command = {
        .has_code = version.code != 0,
        .has_config = version.config != 0,
        .has_status = true,
        .has_message = request->has_message,
        .status = request->status,
        .code = intern_text(&m->plan->texts, version.code),
        .config = intern_text(&m->plan->texts, version.config),
        .message = request->has_message ? TEXT("simulated: the update failed") : TEXT_NONE,
        .is_outdated = request->generation < inst->generation,
    };
    server_begin(m, TEXT("agent"));
    bool done = fleet_heartbeat(m->fleet, slot, &command, &result, &err);
    if (done) {
        tell_order(m, inst, request, answer);
        m->counts.heartbeats++;
    } else {
        answer->answer = ANSWER_BUSY;
    }
    model_note(m, &(struct note){ .kind = NOTE_HEARTBEAT,
                                  .agent = request->agent,
                                  .status = request->status,
                                  .version = request->version,
                                  .number = request->generation,
                                  .code = (uint16_t)err.code });
    server_end(m, EVENT_HEARTBEAT, slot, result.is_changed, err.code);
}

void server_answer(struct model *m, const struct message *request)
{
    struct message answer = { .kind = MESSAGE_ANSWER,
                              .answer = ANSWER_NONE,
                              .agent = request->agent,
                              .call = request->call };
    uint64_t drops = m->drops;
    if (m->fleet && request->kind == MESSAGE_REGISTER)
        take_registration(m, request, &answer);
    else if (m->fleet)
        take_heartbeat(m, request, &answer);
    if (answer.round != 0 && m->drops != drops)
        answer.answer = ANSWER_BUSY; /* its round was taken back at once */
    else if (answer.round > m->settled && m->fleet) {
        network_hold(m, &answer);
        return;
    }
    network_answer(m, &answer);
}
