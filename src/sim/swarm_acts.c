/* SPDX-License-Identifier: Apache-2.0
 * swarm_acts.c - what operators of a swarm do: anything, at any time, sensible or not. */
#include "sim/swarm_parts.h"

#include <assert.h>

static bool parse(struct swarm *s, const char *text, struct selector *ret)
{
    struct err err = { .code = ERR_NONE };
    bool parsed = selector_parse(text_from(text), NULL, 0, &s->arena, ret, &err);
    if (!parsed)
        model_break(s->model, &err);
    return parsed;
}

/* One of the newest few, or NULL. */
static struct rollout *some_rollout(struct swarm *s)
{
    const struct fleet *fleet = s->model->fleet;
    uint32_t roll = swarm_roll(s, UINT32_MAX);
    if (!fleet || fleet->rollout_count == 0)
        return NULL;
    uint32_t newest = fleet->rollout_count < 4 ? fleet->rollout_count : 4;
    return fleet->rollouts[fleet->rollout_count - 1 - roll % newest];
}

static uint32_t some_agent(struct swarm *s)
{
    return swarm_roll(s, s->model->crowd.count);
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static void deploy(struct swarm *s)
{
    struct err err = { .code = ERR_NONE };
    struct deploy_command command = { .rollout = swarm_draw_config(s),
                                      .reason = text_from(s->reason) };
    const char *selector = swarm_draw_selector(s);
    command.code = swarm_draw_version(s, &command.config);
    if (parse(s, selector, &command.selector))
        operator_deploy(s->model, &command, &err);
}

static void roll_back(struct swarm *s, uint32_t number)
{
    struct err err = { .code = ERR_NONE };
    struct rollback_command command = { .is_fast = swarm_chance(s, 70) };
    struct rollout_config config = swarm_draw_config(s);
    const char *selector = swarm_draw_selector(s);
    uint32_t way = swarm_roll(s, 3);
    if (swarm_chance(s, 30))
        command.config = &config;
    if (way == 0)
        command.number = number;
    command.has_selector = way == 1;
    if (way != 1 || parse(s, selector, &command.selector))
        operator_rollback(s->model, &command, &err);
}

static void verb(struct swarm *s, enum verb verb, uint32_t number)
{
    struct err err = { .code = ERR_NONE };
    struct verb_command command = { .verb = verb,
                                    .finish_in_flight = swarm_chance(s, 30),
                                    .is_full = swarm_chance(s, 20) };
    if (number != 0)
        operator_verb(s->model, number, &command, &err);
}

/* Requests may have a key; everything about them follows from the act, the number and the dice, so
 * that they can be made again. */
static void request(struct swarm *s, enum swarm_act act, uint32_t number)
{
    switch (act) {
    case ACT_DEPLOY: deploy(s); break;
    case ACT_ROLLBACK: roll_back(s, number); break;
    case ACT_PAUSE: verb(s, VERB_PAUSE, number); break;
    case ACT_RESUME: verb(s, VERB_RESUME, number); break;
    case ACT_PROMOTE: verb(s, VERB_PROMOTE, number); break;
    case ACT_ABORT: verb(s, VERB_ABORT, number); break;
    case ACT_RETRY: verb(s, VERB_RETRY, number); break;
    default: assert(0 && "an act of operators"); break;
    }
}

static void ask_with_key(struct swarm *s, uint32_t key)
{
    struct model *m = s->model;
    const struct swarm_request *r = &s->requests[key];
    struct sim_dice dice = s->dice;
    if (m->clients.keys[key].is_over || !model_has_server(m) || clients_replay(m, key))
        return;
    snprintf(s->reason, sizeof s->reason, "k-%u", (unsigned)key);
    s->dice = r->dice;
    m->key = key;
    request(s, r->act, r->number);
    m->key = 0;
    s->dice = dice;
    s->reason[0] = '\0';
}

/* The request may get lost, as everything. */
static void ask(struct swarm *s, enum swarm_act act)
{
    const struct rollout *r = some_rollout(s);
    uint32_t number = r ? r->number : 0;
    if (!swarm_chance(s, 60) || s->request_count + 1 == CLIENT_KEYS) {
        request(s, act, number);
        return;
    }
    s->requests[++s->request_count] =
        (struct swarm_request){ .act = (uint8_t)act, .number = number, .dice = s->dice };
    swarm_roll(s, 2); /* what comes next is drawn anew */
    if (!model_chance(s->model, s->model->faults.loss))
        ask_with_key(s, s->request_count);
}

/* Whoever was not answered asks again; some who were do so too. */
static void ask_again(struct swarm *s)
{
    uint32_t last = s->request_count < 8 ? s->request_count : 8;
    if (last > 0)
        ask_with_key(s, s->request_count - swarm_roll(s, last));
}

static void progress(struct swarm *s, struct rollout *r)
{
    struct err err = { .code = ERR_NONE };
    if (!r || !rollout_is_live(r) || !model_has_server(s->model))
        return;
    server_begin(s->model, TEXT("operator"));
    bool done = fleet_progress(s->model->fleet, r, &err);
    server_end(s->model, EVENT_PROGRESS, FLEET_NONE, true, done ? ERR_NONE : err.code);
}

/* ---- instances ------------------------------------------------------------------------------ */

/* The host may be gone as well; else its agent will have to register again. */
static void delete_instance(struct swarm *s)
{
    struct model *m = s->model;
    struct err err = { .code = ERR_NONE };
    uint32_t agent = some_agent(s);
    bool is_gone = swarm_chance(s, 50);
    if (is_gone) {
        network_hang_up(m, agent);
        m->crowd.cells[agent].is_dormant = 1;
        model_arm_agent(m, agent);
    }
    uint32_t slot = model_has_server(m) ? server_slot(m, agent) : FLEET_NONE;
    if (slot == FLEET_NONE)
        return;
    server_begin(m, TEXT("operator"));
    bool done = fleet_delete(m->fleet, slot, &err);
    m->crowd.cells[agent].slot = FLEET_NONE;
    model_note(m, &(struct note){ .kind = NOTE_OPERATOR, .agent = agent, .what = "deletes" });
    server_end(m, EVENT_DELETE, slot, true, done ? ERR_NONE : err.code);
}

/* Starts the agent anew, as after a reboot. */
static void start_agent(struct swarm *s, uint32_t index)
{
    struct model *m = s->model;
    struct agent agent;
    network_hang_up(m, index);
    crowd_load(&m->crowd, index, &agent);
    if (agent.work == WORK_CRASHED)
        return;
    m->crowd.cells[index].is_dormant = 0;
    agent_restart(&agent, m->now);
    crowd_store(&m->crowd, index, &agent);
    model_arm_agent(m, index);
}

/* New labels come with the registration of an agent that starts anew. */
static void relabel(struct swarm *s)
{
    struct err err = { .code = ERR_NONE };
    uint32_t agent = some_agent(s), labels;
    struct plan_instance *instance = &s->plan.instances[agent];
    if (!swarm_draw_labels(s, &labels, &err)) {
        model_break(s->model, &err);
        return;
    }
    labels_drop(&s->plan.labels, instance->labels);
    instance->labels = labels;
    if (!s->model->crowd.cells[agent].is_dormant)
        start_agent(s, agent);
}

static void join(struct swarm *s)
{
    uint32_t first = some_agent(s), count = s->model->crowd.count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t agent = (first + i) % count;
        if (!s->model->crowd.cells[agent].is_dormant)
            continue;
        start_agent(s, agent);
        return;
    }
}

static void behave(struct swarm *s)
{
    uint32_t agent = some_agent(s);
    s->model->crowd.cells[agent].behaviour = (uint8_t)swarm_roll(s, s->plan.behaviour_count);
}

/* ---- the act -------------------------------------------------------------------------------- */

static enum swarm_act draw_act(struct swarm *s)
{
    uint32_t roll = swarm_roll(s, s->shape.weight);
    unsigned act = 0;
    for (; roll >= s->shape.weights[act]; act++)
        roll -= s->shape.weights[act];
    assert(act < SWARM_ACT_COUNT);
    return act;
}

static void act_once(struct swarm *s)
{
    enum swarm_act act = draw_act(s);
    switch (act) {
    case ACT_DEPLOY:
    case ACT_ROLLBACK:
    case ACT_PAUSE:
    case ACT_RESUME:
    case ACT_PROMOTE:
    case ACT_ABORT:
    case ACT_RETRY: ask(s, act); break;
    case ACT_PROGRESS: progress(s, some_rollout(s)); break;
    case ACT_DELETE: delete_instance(s); break;
    case ACT_RELABEL: relabel(s); break;
    case ACT_JOIN: join(s); break;
    case ACT_BEHAVE: behave(s); break;
    case SWARM_ACT_COUNT: break;
    }
}

/* Where decisions are taken only when asked for, somebody has to ask. */
static void ask_all(struct swarm *s)
{
    for (uint32_t i = 0; s->model->fleet && i < FLEET_LIVE_MAX; i++)
        if (s->model->fleet->live[i])
            progress(s, s->model->fleet->live[i]->rollout);
}

/* An engine that was confirmed is held by nobody, until it is loaded anew: an agent that was away
 * and knows a later term still goes on ignoring it. Operators see that, and start the server again.
 */
static void start_ignored_server_again(struct swarm *s)
{
    struct model *m = s->model;
    bool is_ignored = false;
    if (!model_has_server(m) || engine_is_held(m->engine) || m->is_confirming)
        return;
    for (uint32_t i = 0; i < m->crowd.count && m->put_by_hand > 0; i++) {
        const struct crowd_cell *cell = &m->crowd.cells[i];
        bool is_heard = !cell->is_cut && !cell->is_dormant && cell->work != WORK_CRASHED;
        is_ignored |= is_heard && m->calls[i].is_ignoring &&
                      m->calls[i].newest_generation >> ORDER_TERM_SHIFT >= engine_term(m->engine);
    }
    if (!is_ignored)
        return;
    server_crash(m, true);
    model_set_timer(m, TIMER_SERVER_UP, m->now + SWARM_SECOND);
}

void swarm_act(void *ctx, struct model *model)
{
    struct swarm *s = ctx;
    arena_clear(&s->arena);
    if (!s->is_calm)
        act_once(s);
    if (!s->is_calm && swarm_chance(s, 40))
        ask_again(s);
    if (swarm_chance(s, 20))
        watchers_toggle(model);
    if (s->is_calm || swarm_chance(s, 30))
        server_confirm(model);
    if (s->is_calm)
        start_ignored_server_again(s);
    if (s->settings.is_manual)
        ask_all(s);
    int64_t wait = sim_dice_between(&s->dice, 1, 2 * s->shape.act_every_ms);
    model_set_timer(model, TIMER_OPERATOR, model->now + wait);
}
