/* SPDX-License-Identifier: Apache-2.0
 * model_network.c - calls of agents and their answers. Without faults a call is answered in the
 * event that makes it; otherwise messages take time, get lost, arrive twice and overtake each
 * other, and an agent gives up a call that takes too long. */
#include "sim/model_parts.h"

#define MESSAGES_FIRST  64u
#define DICE_OF_SILENCE 4u

bool network_open(struct model *m, struct err *err)
{
    if (faults_are_none(&m->faults) && !m->options.checks_all)
        return true;
    m->calls = memory_take_zeroed(&memory_heap, m->crowd.count * sizeof *m->calls);
    return m->calls || err_set(err, ERR_MEMORY, "no memory for calls");
}

void network_close(struct model *m)
{
    if (m->calls)
        memory_give(&memory_heap, m->calls, m->crowd.count * sizeof *m->calls);
    memory_give(&memory_heap, m->agents, m->agent_capacity * sizeof *m->agents);
    memory_give(&memory_heap, m->messages, m->message_capacity * sizeof *m->messages);
}

/* ---- messages under way --------------------------------------------------------------------- */

static uint32_t item_of(const struct model *m, uint32_t message)
{
    return model_agent_item(m->crowd.count) + message;
}

static bool add_messages(struct model *m)
{
    uint32_t next = m->message_capacity ? m->message_capacity * 2 : MESSAGES_FIRST;
    struct message *grown = memory_heap.resize(
        memory_heap.ctx, m->messages, m->message_capacity * sizeof *grown, next * sizeof *grown);
    if (!grown)
        return false;
    m->messages = grown;
    m->message_capacity = next;
    return timers_reserve(&m->timers, item_of(m, next));
}

/* A copy of `message` in the pool; FLEET_NONE: no memory, and the model is broken. */
static uint32_t keep(struct model *m, const struct message *message)
{
    uint32_t at = m->first_free;
    if (at != FLEET_NONE) {
        m->first_free = m->messages[at].next;
    } else if (m->message_count < m->message_capacity || add_messages(m)) {
        at = m->message_count++;
    } else {
        model_break(m, &(struct err){ .code = ERR_MEMORY, .text = "no memory for a message" });
        return FLEET_NONE;
    }
    m->messages[at] = *message;
    return at;
}

static struct message take(struct model *m, uint32_t at)
{
    struct message message = m->messages[at];
    m->messages[at] = (struct message){ .kind = MESSAGE_FREE, .next = m->first_free };
    m->first_free = at;
    return message;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* Whether messages of and to this one get through at all. Who falls silent with others is drawn for
 * each window apart. */
static bool is_cut(const struct model *m, uint32_t agent, bool is_answer)
{
    const struct crowd_cell *cell = &m->crowd.cells[agent];
    if (cell->is_cut || cell->is_dormant)
        return true;
    const struct call_state *call = m->calls ? &m->calls[agent] : NULL;
    if (call && m->now < (is_answer ? call->cut_from_until : call->cut_to_until))
        return true;
    for (uint32_t i = 0; m->active_silence >> i; i++) {
        struct sim_dice dice = sim_dice_at(m->plan->seed + i, agent, DICE_OF_SILENCE);
        if (m->active_silence >> i & 1 &&
            sim_dice_roll(&dice, SHARE_WHOLE) < m->faults.silences[i].share)
            return true;
    }
    return false;
}

static void deliver(struct model *m, const struct message *message);

static void send_at(struct model *m, const struct message *message, int64_t at_ms)
{
    uint32_t at = keep(m, message);
    if (at != FLEET_NONE)
        timers_set(&m->timers, item_of(m, at), at_ms);
}

static void send_once(struct model *m, const struct message *message)
{
    if (m->faults.delay_max_ms == 0) {
        deliver(m, message);
        return;
    }
    model_count(m, FAULT_DELAYED);
    send_at(m, message,
            m->now + sim_dice_between(&m->dice, m->faults.delay_min_ms, m->faults.delay_max_ms));
}

static void send(struct model *m, const struct message *message)
{
    bool is_off = is_cut(m, message->agent, message->kind == MESSAGE_ANSWER);
    if (is_off || model_chance(m, m->faults.loss)) {
        model_count(m, is_off ? FAULT_CUT_OFF : FAULT_LOST);
        model_note(m, &(struct note){ .kind = NOTE_UNANSWERED, .agent = message->agent });
        return;
    }
    bool is_doubled = message->kind != MESSAGE_ANSWER && model_chance(m, m->faults.duplicate);
    if (is_doubled) {
        model_count(m, FAULT_DOUBLED);
        send_once(m, message);
    }
    send_once(m, message);
}

void network_arrive(struct model *m, uint32_t message)
{
    uint32_t at = message - item_of(m, 0);
    timers_clear(&m->timers, message);
    struct message arrived = take(m, at);
    deliver(m, &arrived);
}

/* ---- agents --------------------------------------------------------------------------------- */

void network_call(struct model *m, uint32_t index)
{
    struct agent agent;
    crowd_look(&m->crowd, index, &agent);
    bool is_registering = agent.link == LINK_REGISTERING;
    struct message request = {
        .kind = is_registering ? MESSAGE_REGISTER : MESSAGE_HEARTBEAT,
        .status = (uint8_t)agent_status(&agent, m->now),
        .has_message = agent_message(&agent) != NULL,
        .agent = index,
        .generation = (uint32_t)agent_observed(&agent),
    };
    struct version claimed = agent.claimed;
    request.version.code = claimed.code ? m->crowd.numbers[claimed.code] : 0;
    request.version.config = claimed.config ? m->crowd.numbers[claimed.config] : 0;
    crowd_sent(&m->crowd, index);
    if (m->calls) {
        if (m->calls[index].is_ignoring)
            request.generation = m->calls[index].newest_generation;
        request.call = ++m->calls[index].number;
        m->calls[index].until = m->now + MODEL_CALL_MS;
    }
    send(m, &request);
}

static void end_call(struct model *m, uint32_t index)
{
    if (m->calls)
        m->calls[index].until = 0;
}

void network_give_up(struct model *m, uint32_t index)
{
    struct agent agent;
    end_call(m, index);
    m->counts.lost++;
    crowd_load(&m->crowd, index, &agent);
    agent_missed(&agent, 0, m->now);
    crowd_store(&m->crowd, index, &agent);
}

void network_wake(struct model *m, uint32_t index)
{
    struct crowd_cell *cell = &m->crowd.cells[index];
    bool is_calling = m->calls && m->calls[index].until != 0;
    if (cell->link != LINK_BEATING || cell->misses > 0 || is_calling || cell->call_due <= m->now ||
        cell->call_due == TIMERS_NEVER || is_cut(m, index, true) || model_chance(m, m->faults.loss))
        return;
    cell->call_due = m->now;
    model_arm_agent(m, index);
}

void network_hang_up(struct model *m, uint32_t index)
{
    if (!m->calls)
        return;
    m->calls[index].until = 0;
    m->calls[index].number++;
}

/* R17: what is older than what the agent knows is ignored, and told. I15: only an old copy of the
 * store that was put in place by hand says such things. */
static bool is_older(struct model *m, const struct message *answer)
{
    struct call_state *call = m->calls ? &m->calls[answer->agent] : NULL;
    if (!call)
        return false;
    if (call->owes_new) /* of another record, which a late message of its own made */
        call->newest_generation = 0;
    call->is_ignoring = answer->generation < call->newest_generation;
    if (!call->is_ignoring)
        call->newest_generation = answer->generation;
    if (call->is_ignoring && m->put_by_hand == 0) {
        err_set(&m->why, ERR_INTERNAL, "I15 %.*s knew order %u.%u and is told %u.%u",
                TEXT_ARG(m->plan->instances[answer->agent].name),
                call->newest_generation >> ORDER_TERM_SHIFT,
                call->newest_generation & ORDER_GENERATION, answer->generation >> ORDER_TERM_SHIFT,
                answer->generation & ORDER_GENERATION);
        model_break(m, &m->why);
    }
    return call->is_ignoring;
}

/* A new record counts its generations from the beginning. */
static void take_registration(struct model *m, const struct message *answer)
{
    struct call_state *call = m->calls ? &m->calls[answer->agent] : NULL;
    if (!call)
        return;
    if (answer->is_new || call->is_unknown) {
        call->newest_generation = 0;
        call->is_ignoring = false;
    }
    call->owes_new = call->is_unknown = false;
}

/* An order that is ignored leaves the one that is known. */
static void take_order(struct model *m, struct agent *agent, const struct message *answer)
{
    struct agent_order order = { crowd_version(&m->crowd, answer->version), answer->generation,
                                 answer->rollout };
    bool update_needed = answer->update_needed;
    if (is_older(m, answer)) {
        order = agent->order;
        update_needed = (order.wish.code && order.wish.code != agent->running.code) ||
                        (order.wish.config && order.wish.config != agent->running.config);
    }
    agent_answered(agent, &order, update_needed, answer->interval_ms, m->now);
}

static void hear(struct model *m, struct agent *agent, const struct message *answer)
{
    switch ((enum answer_kind)answer->answer) {
    case ANSWER_TAKEN:
        take_registration(m, answer);
        agent_registered(agent, m->now);
        break;
    case ANSWER_ORDER: take_order(m, agent, answer); break;
    case ANSWER_UNKNOWN:
        m->counts.again++;
        if (m->calls)
            m->calls[answer->agent].is_unknown = true;
        agent_unknown(agent, m->now);
        break;
    case ANSWER_BUSY:
        m->counts.busy++;
        agent_missed(agent, 1000, m->now);
        break;
    case ANSWER_NONE:
        m->counts.lost++;
        agent_missed(agent, 0, m->now);
        break;
    }
}

static void deliver_answer(struct model *m, const struct message *answer)
{
    struct agent agent;
    const struct call_state *call = m->calls ? &m->calls[answer->agent] : NULL;
    if (call && (call->until == 0 || call->number != answer->call))
        return; /* too late, or the second one */
    end_call(m, answer->agent);
    crowd_load(&m->crowd, answer->agent, &agent);
    hear(m, &agent, answer);
    crowd_store(&m->crowd, answer->agent, &agent);
    model_note(m, &(struct note){ .kind = NOTE_ANSWER,
                                  .agent = answer->agent,
                                  .status = answer->answer,
                                  .version = answer->version,
                                  .number = answer->generation });
    model_arm_agent(m, answer->agent);
}

static void deliver(struct model *m, const struct message *message)
{
    if (model_is_broken(m))
        return;
    if (message->kind == MESSAGE_ANSWER)
        deliver_answer(m, message);
    else if (m->fleet && m->now < m->paused_until)
        send_at(m, message, m->paused_until); /* the kernel keeps it for the server */
    else
        server_answer(m, message);
}

/* I9: a wish leaves when it is durable. An instance that was deleted meanwhile has no record. What
 * was found there once is looked at again only after a load. */
static void check_durable(struct model *m, const struct message *answer)
{
    struct call_state *call = m->calls ? &m->calls[answer->agent] : NULL;
    if (answer->answer != ANSWER_ORDER || !m->engine || !call)
        return;
    struct text name = m->plan->instances[answer->agent].name;
    bool was_found =
        call->stored_start == m->starts && call->stored_generation == answer->generation;
    if (was_found ||
        vault_knows_generation(&m->vault, name, answer->generation & ORDER_GENERATION)) {
        call->stored_start = m->starts;
        call->stored_generation = answer->generation;
        return;
    }
    err_set(&m->why, ERR_INTERNAL, "I9 %.*s learns of generation %u, which is not stored",
            TEXT_ARG(name), answer->generation & ORDER_GENERATION);
    model_break(m, &m->why);
}

void network_answer(struct model *m, const struct message *answer)
{
    check_durable(m, answer);
    send(m, answer);
}

/* ---- answers that wait for a commit --------------------------------------------------------- */

/* Whoever dies leaves without a word. */
static void let_go(struct engine_waiter *waiter, enum engine_outcome outcome)
{
    struct held_answer *held = (struct held_answer *)waiter;
    struct model *m = held->model;
    struct message answer = held->answer;
    memory_give(&memory_heap, held, sizeof *held);
    if (m->is_gone || outcome == ENGINE_UNKNOWN)
        return;
    if (outcome == ENGINE_DROPPED)
        answer.answer = ANSWER_BUSY;
    network_answer(m, &answer);
}

void network_hold(struct model *m, const struct message *answer)
{
    struct held_answer *held = memory_take_zeroed(&memory_heap, sizeof *held);
    if (!held) {
        model_break(m, &(struct err){ .code = ERR_MEMORY, .text = "no memory for an answer" });
        return;
    }
    held->waiter.done = let_go;
    held->model = m;
    held->answer = *answer;
    engine_wait(m->engine, answer->round, &held->waiter);
}
