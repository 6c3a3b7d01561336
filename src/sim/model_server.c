/* SPDX-License-Identifier: Apache-2.0
 * model_server.c - what the server of the model is asked, by the clock, by agents and by operators.
 * Answers and wishes leave when what they rest on is durable. */
#include "base/limits.h"
#include "sim/model_parts.h"

#include <assert.h>

#define MEMORY_CALLS 12u   /* allocations of a command, about */
#define LOADED_EVERY 2048u /* and two loads of what is stored */
#define STORED_EVERY 256u  /* events between two comparisons of everything with the store */

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

void server_forget_slots(struct model *m)
{
    for (uint32_t i = 0; i < m->crowd.count; i++)
        m->crowd.cells[i].slot = FLEET_NONE;
}

/* Who waits for news learns of it at once; whoever was not heard since the start waits for nothing
 * yet. */
void server_wake(void *ctx, uint32_t slot)
{
    struct model *m = ctx;
    uint32_t agent = slot < m->agent_capacity ? m->agents[slot] : FLEET_NONE;
    if (agent < m->crowd.count && m->crowd.cells[agent].slot == slot)
        network_wake(m, agent);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* The next look at the timers: on the grid of the shipped server's. */
void server_arm_tick(struct model *m)
{
    timers_first(&m->fleet->timers, &m->core_due);
    int64_t due = fleet_next_due(m->fleet);
    if (due != TIMERS_NEVER)
        due -= model_clock(m) - m->now;
    if (m->fleet->live_count > 0 && m->reconciled_at + MODEL_RECONCILE_MS < due)
        due = m->reconciled_at + MODEL_RECONCILE_MS;
    if (m->fleet->is_frozen && m->now + MODEL_RECONCILE_MS < due)
        due = m->now + MODEL_RECONCILE_MS; /* the store is asked again whether it has room */
    if (due == TIMERS_NEVER) {
        model_set_timer(m, TIMER_TICK, due);
        return;
    }
    if (due <= m->now)
        due = m->now + 1;
    if (due < m->paused_until)
        due = m->paused_until;
    due += MODEL_TICK_MS - 1;
    model_set_timer(m, TIMER_TICK, due - due % MODEL_TICK_MS);
}

/* FS11: one of the next allocations is refused. */
static void run_out_of_memory(struct model *m)
{
    if (model_chance(m, m->faults.memory))
        m->memory.left = 1 + sim_dice_roll(&m->dice, MEMORY_CALLS);
}

void server_begin(struct model *m, struct text actor)
{
    run_out_of_memory(m);
    if (m->engine)
        engine_begin(m->engine, actor);
    else
        fleet_begin(m->fleet, m->now, actor);
}

static bool has_effects(const struct fleet *fleet)
{
    return fleet->change_count > 0 || fleet->woken_count > 0;
}

static void end_command(struct model *m)
{
    if (m->engine) {
        engine_end(m->engine);
        return;
    }
    for (uint32_t i = 0; m->plan->wait_ms > 0 && i < m->fleet->woken_count; i++)
        server_wake(m, m->fleet->woken[i]);
}

/* I9: what is stored is what the server knows, when nothing waits for a commit. */
static void compare_with_store(struct model *m)
{
    struct err why = { .code = ERR_NONE }, err = { .code = ERR_NONE };
    if (!m->engine || engine_round_of_all(m->engine) != 0 ||
        vault_equals(&m->vault, m->fleet, &why))
        return;
    err_set(&err, ERR_INTERNAL, "I9 %s", why.text);
    model_break(m, &err);
}

static void witness(struct model *m, enum event_kind kind, uint32_t slot, bool is_changing,
                    enum err_code code)
{
    struct event event = { .kind = (uint8_t)kind,
                           .is_refused = code != ERR_NONE,
                           .is_changing = is_changing || has_effects(m->fleet),
                           .slot = slot };
    model_note_changes(m);
    if (m->memory.refused != m->refused_before || m->fleet->is_frozen)
        m->starved_until = m->now + MODEL_STARVED_MS;
    m->witness.is_starved = m->now < m->starved_until;
    m->refused_before = m->memory.refused;
    if (!witness_event(&m->witness, &event, &m->why))
        model_break(m, &m->why);
}

void server_end(struct model *m, enum event_kind kind, uint32_t slot, bool is_changing,
                enum err_code code)
{
    int64_t due;
    bool is_quiet = !is_changing && !m->witness.is_small && !has_effects(m->fleet);
    timers_first(&m->fleet->timers, &due);
    end_command(m);
    witness(m, kind, slot, is_changing, code);
    if (model_is_broken(m))
        return;
    server_turn(m);
    if (!m->fleet)
        return;
    if (m->witness.is_small && m->events % STORED_EVERY == 0) {
        compare_with_store(m);
        server_check_bounds(m);
    }
    if (m->witness.is_small && m->events % LOADED_EVERY == 0)
        server_check_load(m);
    /* What changes nothing may at most have made a timer of the core's earlier. */
    if (!is_quiet || due != m->core_due)
        server_arm_tick(m);
}

static void tick_bare(struct model *m)
{
    struct err err = { .code = ERR_NONE };
    server_begin(m, TEXT("server"));
    bool has_more = fleet_tick(m->fleet, &err);
    if (!has_more && err.code == ERR_MEMORY)
        model_break(m, &err);
    server_end(m, EVENT_TICK, FLEET_NONE, true, ERR_NONE);
}

/* The engine begins and ends the command itself, if any is due, and hands the round over. */
static void tick_engine(struct model *m)
{
    uint64_t drops = m->drops;
    server_begin(m, TEXT("server"));
    engine_end(m->engine);
    server_resume(m);
    if (m->calls)
        clients_expire(m);
    engine_tick(m->engine);
    server_note_drop(m);
    if (m->drops == drops)
        witness(m, EVENT_TICK, FLEET_NONE, true, ERR_NONE);
    if (!model_is_broken(m))
        server_turn(m);
    if (m->fleet)
        server_arm_tick(m);
}

void server_tick(struct model *m)
{
    if (!m->fleet)
        return;
    if (m->now < m->paused_until) {
        server_arm_tick(m);
        return;
    }
    m->reconciled_at = m->now;
    model_note(m, &(struct note){ .kind = NOTE_TICK, .agent = FLEET_NONE });
    if (m->engine)
        tick_engine(m);
    else
        tick_bare(m);
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

/* The round that an answer about it rests on; 0: none. Known before it is handed over. */
static uint64_t round_of(const struct model *m, const struct instance *inst)
{
    return m->engine ? engine_round_of(m->engine, inst) : 0;
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
        answer->round = round_of(m, fleet_at(m->fleet, result.slot));
        m->counts.registrations++;
        if (m->calls) {
            m->calls[request->agent].owes_new |= result.is_new;
            answer->is_new = m->calls[request->agent].owes_new;
        }
    }
    answer->answer = done ? ANSWER_TAKEN : ANSWER_BUSY;
    model_note(m, &(struct note){
                      .kind = NOTE_REGISTER, .agent = request->agent, .code = (uint16_t)err.code });
    server_end(m, EVENT_REGISTER, result.slot, true, err.code);
}

static uint16_t learn_number(struct model *m, struct text text)
{
    struct err err = { .code = ERR_NONE };
    uint32_t found;
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

/* The plan's number of one of the fleet's texts. Most often it is the one the agent knows. */
static uint16_t number_of(struct model *m, uint32_t id, uint16_t likely)
{
    struct text text = fleet_text(m->fleet, id);
    bool is_known = text_equal(text, intern_text(&m->plan->texts, m->crowd.texts[likely]));
    return is_known ? likely : learn_number(m, text);
}

static uint32_t order_of(const struct model *m, const struct instance *inst)
{
    uint64_t term = m->engine ? engine_term(m->engine) : 1;
    return (uint32_t)(term << ORDER_TERM_SHIFT) | inst->generation;
}

static void tell_order(struct model *m, struct instance *inst, const struct message *request,
                       struct message *answer)
{
    const struct crowd_cell *cell = &m->crowd.cells[request->agent];
    const struct rollout *r = fleet_rollout_of(m->fleet, inst);
    answer->answer = ANSWER_ORDER;
    answer->version.code = number_of(m, inst->desired.code, cell->wish.code);
    answer->version.config = number_of(m, inst->desired.config, cell->wish.config);
    answer->generation = order_of(m, inst);
    answer->update_needed = instance_needs_update(inst);
    answer->rollout = r ? r->number : inst->assignment.rollout;
    bool is_held = m->plan->wait_ms > 0 && answer->generation == request->generation;
    answer->interval_ms =
        is_held ? (uint32_t)m->plan->wait_ms : fleet_give_interval(m->fleet, inst);
    answer->round = round_of(m, inst);
}

static void take_heartbeat(struct model *m, const struct message *request, struct message *answer)
{
    uint32_t slot = server_slot(m, request->agent);
    struct heartbeat_result result = { 0 };
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
        .is_outdated = request->generation < order_of(m, inst),
    };
    if (m->engine && request->generation != 0)
        engine_heed_observed(m->engine, slot, request->generation >> ORDER_TERM_SHIFT,
                             request->generation & ORDER_GENERATION);
    server_begin(m, TEXT("agent"));
    m->why.code = ERR_NONE;
    bool done = fleet_heartbeat(m->fleet, slot, &command, &result, &m->why);
    enum err_code code = m->why.code;
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
                                  .code = (uint16_t)code });
    server_end(m, EVENT_HEARTBEAT, slot, result.is_changed, code);
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
    if (!m->fleet)
        answer.answer = ANSWER_NONE; /* it died of this one */
    else if (answer.round != 0 && m->drops != drops)
        answer.answer = ANSWER_BUSY; /* its round was taken back at once */
    else if (answer.round != 0 && !server_is_settled(m, answer.round)) {
        network_hold(m, &answer);
        return;
    }
    network_answer(m, &answer);
}
