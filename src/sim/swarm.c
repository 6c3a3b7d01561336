/* SPDX-License-Identifier: Apache-2.0
 * swarm.c - the two phases of a seed, and what must have happened at the end of the second. */
#include "sim/swarm_parts.h"

#define SLICE_MS  (10 * SWARM_SECOND) /* between two looks in the second phase */
#define STILL_MS  (40 * SWARM_MINUTE) /* longer than any timer of what was drawn */
#define ARENA_MAX ((size_t)1 << 20)

/* ---- life ----------------------------------------------------------------------------------- */

static void put_to_sleep(struct swarm *s)
{
    for (uint32_t i = 0; i < s->shape.dormant; i++) {
        uint32_t agent = s->shape.instances - 1 - i;
        s->model->crowd.cells[agent].is_dormant = 1;
        model_arm_agent(s->model, agent);
    }
}

static bool make(struct swarm *s, struct err *err)
{
    if (!plan_init(&s->plan, err))
        return false;
    s->plan.seed = s->seed;
    s->plan.mode = PLAN_VIRTUAL;
    if (!swarm_draw(s, err))
        return false;
    const struct model_options options = { .plan = &s->plan,
                                           .settings = s->settings,
                                           .spread_ms = SWARM_SECOND,
                                           .events_kept = s->shape.events_kept,
                                           .checks_all = true,
                                           .disk = s->shape.has_disk ? s->options.disk : NULL,
                                           .is_traced = s->options.is_traced,
                                           .told = s->options.told,
                                           .ctx = s->options.ctx };
    if (!model_new(&options, &s->model, err))
        return false;
    s->model->operate = swarm_act;
    s->model->clients.kept_ms = s->shape.replies_kept_ms;
    s->model->operator_ctx = s;
    model_set_timer(s->model, TIMER_OPERATOR, s->model->now + s->shape.act_every_ms);
    put_to_sleep(s);
    return true;
}

bool swarm_new(uint64_t seed, const struct swarm_options *options, struct swarm **ret,
               struct err *err)
{
    struct swarm *s = memory_take_zeroed(&memory_heap, sizeof *s);
    if (!s)
        return err_set(err, ERR_MEMORY, "no memory for a seed");
    s->seed = seed;
    s->options = *options;
    s->dice = sim_dice_of(seed, TEXT("swarm"), TEXT_NONE);
    arena_init(&s->arena, &memory_heap, ARENA_MAX);
    if (!make(s, err)) {
        swarm_free(s);
        return false;
    }
    *ret = s;
    return true;
}

void swarm_free(struct swarm *swarm)
{
    if (!swarm)
        return;
    model_free(swarm->model);
    arena_release(&swarm->arena);
    if (swarm->plan.behaviours)
        plan_release(&swarm->plan);
    memory_give(&memory_heap, swarm, sizeof *swarm);
}

struct model *swarm_model(struct swarm *swarm)
{
    return swarm->model;
}

/* ---- the second phase ----------------------------------------------------------------------- */

static void calm_down(struct swarm *s)
{
    struct model *m = s->model;
    s->is_calm = true;
    model_faults_end(m);
    for (uint32_t i = 0; i < m->crowd.count; i++)
        m->crowd.cells[i].behaviour = 0;
    /* A server may be held: by an old copy of the store, or by a late word about a record that was
     * deleted. Then an operator has to confirm. */
    model_set_timer(m, TIMER_OPERATOR, m->now + SWARM_SECOND);
}

static bool is_dead(const struct crowd_cell *cell)
{
    return cell->is_cut || cell->is_dormant || cell->work == WORK_CRASHED;
}

/* The agent of an instance; the names are numbered. */
static const struct crowd_cell *cell_of(const struct swarm *s, const struct instance *inst)
{
    for (uint32_t i = 0; i < s->plan.instance_count; i++)
        if (text_equal(s->plan.instances[i].name, instance_key(inst)))
            return &s->model->crowd.cells[i];
    return NULL;
}

/* In flight without a deadline, and its agent is gone or has given up: nobody can say more. */
static bool never_comes(const struct swarm *s, const struct rollout *r, const struct instance *inst)
{
    const struct crowd_cell *cell = cell_of(s, inst);
    bool has_given_up = cell->work == WORK_BROKEN && cell->attempts == AGENT_ATTEMPTS_MAX;
    return r->config.instance_deadline_ms == 0 && (is_dead(cell) || has_given_up);
}

/* Most of the fleet fell silent, and whoever is missing will never be heard again (R18). */
static bool is_frozen_for_ever(const struct swarm *s)
{
    const struct fleet *fleet = s->model->fleet;
    uint32_t gone = 0;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        gone += inst->texts && !inst->is_gone && inst->presence == PRESENCE_OFFLINE &&
                is_dead(cell_of(s, inst));
    }
    return silence_is_frozen(fleet) && gone > 0 && gone >= fleet->silence.missing;
}

/* A gate that an operator has to pass; more members that must be available than ever will be; a
 * failure domain that somebody else holds. */
static bool waits_for_others(const struct swarm *s, const struct rollout *r)
{
    struct waiting list[WAITING_REASON_COUNT];
    const struct fleet *fleet = s->model->fleet;
    size_t count = waiting_list(fleet, r, list);
    for (size_t i = 0; i < count; i++) {
        bool is_others = list[i].reason == WAITING_GATE ||
                         list[i].reason == WAITING_MIN_AVAILABLE ||
                         (list[i].reason == WAITING_DOMAIN_CAP && fleet->live_count > 1);
        if (is_others && list[i].until == 0)
            return rollout_tally(r)->in_progress == 0;
    }
    return false;
}

/* Waits for ever, and says for what: an operator, or members that will never be heard again. */
static bool waits_for_ever(const struct swarm *s, const struct rollout *r)
{
    const struct fleet *fleet = s->model->fleet;
    if (r->state == ROLLOUT_PAUSED || is_frozen_for_ever(s))
        return true;
    if (waits_for_others(s, r))
        return true;
    if (r->leftover_at != 0 || rollout_tally(r)->in_progress == 0)
        return false;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (inst->texts && fleet_rollout_of(fleet, inst) == r &&
            inst->placed.state == MEMBER_IN_PROGRESS && !never_comes(s, r, inst))
            return false;
    }
    return true;
}

static bool is_anybody_busy(const struct swarm *s)
{
    for (uint32_t i = 0; i < s->model->crowd.count; i++) {
        const struct crowd_cell *cell = &s->model->crowd.cells[i];
        bool is_busy = cell->work == WORK_UPDATING || cell->work == WORK_LYING;
        if (!is_dead(cell) && (is_busy || cell->link == LINK_REGISTERING))
            return true;
    }
    return false;
}

static const struct rollout *first_moving(const struct swarm *s)
{
    const struct fleet *fleet = s->model->fleet;
    for (uint32_t i = 0; i < FLEET_LIVE_MAX && fleet->live_count > 0; i++)
        if (fleet->live[i] && !waits_for_ever(s, fleet->live[i]->rollout))
            return fleet->live[i]->rollout;
    return NULL;
}

/* Each batch may take an update, its deadlines, min_healthy_time and the reports of it all; after
 * a breach the way back takes as long; and leftovers of both get their time. */
static int64_t bound_of(const struct swarm *s)
{
    const struct behaviour *b = s->plan.behaviours;
    int64_t longest = b->latency_max_ms;
    for (uint32_t i = 1; i < s->plan.behaviour_count; i++)
        if (b[i].latency_max_ms * b[i].slow_factor > longest)
            longest = b[i].latency_max_ms * b[i].slow_factor;
    int64_t batch = longest + 30 * SWARM_MINUTE;
    return 2 * (s->shape.instances + 2) * batch;
}

__attribute__((format(printf, 2, 3))) static bool fail(struct swarm *s, const char *format, ...)
{
    char said[ERR_TEXT_SIZE - 32];
    struct err err = { .code = ERR_NONE };
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    err_set(&err, ERR_INTERNAL, "I22 %s", said);
    model_break(s->model, &err);
    return false;
}

/* Who can be heard and did not fail runs what is wished. */
static bool all_run_their_wish(struct swarm *s)
{
    const struct fleet *fleet = s->model->fleet;
    const struct crowd *crowd = &s->model->crowd;
    for (uint32_t i = 0; i < crowd->count; i++) {
        const struct crowd_cell *cell = &crowd->cells[i];
        uint32_t slot = fleet_find(fleet, s->plan.instances[i].name);
        if (is_dead(cell))
            continue;
        if (slot == FLEET_NONE)
            return fail(s, "%.*s is not registered", TEXT_ARG(s->plan.instances[i].name));
        const struct instance *inst = fleet_at(fleet, slot);
        struct version running = crowd_version(crowd, cell->running);
        struct text code = intern_text(&s->plan.texts, running.code);
        struct text config = intern_text(&s->plan.texts, running.config);
        bool is_at =
            (inst->desired.code == 0 || text_equal(code, fleet_text(fleet, inst->desired.code))) &&
            (inst->desired.config == 0 ||
             text_equal(config, fleet_text(fleet, inst->desired.config)));
        if (!is_at && cell->work != WORK_BROKEN)
            return fail(s, "%.*s runs %.*s/%.*s and should run %.*s/%.*s",
                        TEXT_ARG(instance_key(inst)), TEXT_ARG(code), TEXT_ARG(config),
                        TEXT_ARG(fleet_text(fleet, inst->desired.code)),
                        TEXT_ARG(fleet_text(fleet, inst->desired.config)));
    }
    return true;
}

static bool everything_ends(struct swarm *s)
{
    struct model *m = s->model;
    int64_t end = model_elapsed(m) + bound_of(s), still_since = -1;
    while (model_run(m, model_elapsed(m) + SLICE_MS)) {
        const struct rollout *r = m->fleet ? first_moving(s) : NULL;
        int64_t now = model_elapsed(m);
        bool is_still = m->fleet && !r && !is_anybody_busy(s);
        if (!is_still)
            still_since = -1;
        else if (still_since < 0)
            still_since = now;
        if (is_still && (m->fleet->live_count == 0 ? now - still_since >= STILL_MS / 4
                                                   : now - still_since >= STILL_MS))
            return all_run_their_wish(s);
        if (now > end)
            return r ? fail(s, "r-%u is %s and has not ended long after the last fault", r->number,
                            sm_word_at(&rollout_machine.states, r->state))
                     : fail(s, "an agent, or the server, is still busy long after the last fault");
    }
    return false;
}

bool swarm_run(struct swarm *swarm)
{
    if (!model_run(swarm->model, swarm->shape.safety_ms))
        return false;
    calm_down(swarm);
    return everything_ends(swarm) && model_check_all(swarm->model);
}
