/* SPDX-License-Identifier: Apache-2.0
 * crowd.c - see crowd.h. */
#include "sim/crowd.h"

#include "core/fleet.h"

#include <assert.h>

#define DICE_OF_UPDATES 1u
#define DICE_OF_JITTER  2u

/* ---- versions ------------------------------------------------------------------------------- */

static bool grow(void **items, uint32_t *capacity, uint32_t wanted, size_t item_size)
{
    if (wanted <= *capacity)
        return true;
    uint32_t next = *capacity < 64 ? 64 : *capacity * 2;
    if (next < wanted)
        next = wanted;
    void *grown = memory_take_zeroed(&memory_heap, next * item_size);
    if (!grown)
        return false;
    if (*items)
        memcpy(grown, *items, *capacity * item_size);
    memory_give(&memory_heap, *items, *capacity * item_size);
    *items = grown;
    *capacity = next;
    return true;
}

static bool know_text(struct crowd *crowd, uint32_t id, struct err *err)
{
    if (id == 0 || (id < crowd->number_capacity && crowd->numbers[id] != 0))
        return true;
    if (crowd->text_count > CROWD_VERSIONS)
        return err_set(err, ERR_FULL, "more than %u versions", CROWD_VERSIONS);
    if (!grow((void **)&crowd->numbers, &crowd->number_capacity, id + 1, sizeof *crowd->numbers) ||
        !grow((void **)&crowd->texts, &crowd->text_capacity, crowd->text_count + 1,
              sizeof *crowd->texts))
        return err_set(err, ERR_MEMORY, "no memory for a version");
    crowd->numbers[id] = (uint16_t)crowd->text_count;
    crowd->texts[crowd->text_count++] = intern_share(&crowd->plan->texts, id); /* for good */
    return true;
}

bool crowd_know_version(struct crowd *crowd, struct version version, struct err *err)
{
    return know_text(crowd, version.code, err) && know_text(crowd, version.config, err);
}

struct version crowd_version(const struct crowd *crowd, struct crowd_pair pair)
{
    return (struct version){ crowd->texts[pair.code], crowd->texts[pair.config] };
}

static struct crowd_pair pair_of(const struct crowd *crowd, struct version version)
{
    return (struct crowd_pair){ version.code ? crowd->numbers[version.code] : 0,
                                version.config ? crowd->numbers[version.config] : 0 };
}

/* ---- packing -------------------------------------------------------------------------------- */

static bool is_busy(const struct agent *agent)
{
    return agent->work == WORK_UPDATING || agent->work == WORK_LYING;
}

/* What a liar says: the target as far as it names parts, else what runs. */
static struct version claimed(const struct agent *agent)
{
    struct version wish = agent->tried.wish, running = agent->running;
    if (agent->work != WORK_LYING)
        return running;
    return (struct version){ wish.code ? wish.code : running.code,
                             wish.config ? wish.config : running.config };
}

void crowd_look(const struct crowd *crowd, uint32_t index, struct agent *ret)
{
    const struct crowd_cell *cell = &crowd->cells[index];
    *ret = (struct agent){
        .link = cell->link,
        .work = cell->work,
        .fate = cell->fate,
        .attempts = cell->attempts,
        .misses = cell->misses,
        .is_failed = cell->is_failed,
        .must_tell = cell->must_tell,
        .running = crowd_version(crowd, cell->running),
        .order = { crowd_version(crowd, cell->wish), cell->generation, cell->rollout },
        .tried = { crowd_version(crowd, cell->tried), cell->tried_generation, cell->tried_rollout },
        .call_due = cell->call_due,
        .work_due = TIMERS_NEVER,
        .updated_at = cell->updated_at,
        .behaviour = &crowd->plan->behaviours[cell->behaviour],
    };
    ret->claimed = claimed(ret);
    if (is_busy(ret))
        ret->work_due = cell->work_or_again_at;
    else
        ret->again_at = cell->work_or_again_at;
}

void crowd_load(const struct crowd *crowd, uint32_t index, struct agent *ret)
{
    const struct crowd_cell *cell = &crowd->cells[index];
    crowd_look(crowd, index, ret);
    ret->dice = sim_dice_below(crowd->dice_root, index, DICE_OF_UPDATES);
    ret->jitter = sim_dice_below(crowd->dice_root, index, DICE_OF_JITTER);
    sim_dice_skip(&ret->dice, (uint64_t)cell->updates * AGENT_ROLLS);
    sim_dice_skip(&ret->jitter, cell->jitters);
}

void crowd_sent(struct crowd *crowd, uint32_t index)
{
    crowd->cells[index].call_due = TIMERS_NEVER;
    crowd->cells[index].must_tell = 0;
}

/* How many numbers were taken off a stream since it was unpacked; few. */
static uint16_t taken(struct sim_dice from, struct sim_dice to)
{
    uint16_t count = 0;
    while (from.state != to.state) {
        sim_dice_skip(&from, 1);
        count++;
        assert(count < 64);
    }
    return count;
}

void crowd_store(struct crowd *crowd, uint32_t index, const struct agent *agent)
{
    struct crowd_cell *cell = &crowd->cells[index];
    struct sim_dice jitter = sim_dice_below(crowd->dice_root, index, DICE_OF_JITTER);
    sim_dice_skip(&jitter, cell->jitters);
    assert(agent->attempts <= AGENT_ATTEMPTS_MAX);
    cell->link = agent->link & 3u;
    cell->work = agent->work & 7u;
    cell->fate = agent->fate & 3u;
    cell->attempts = agent->attempts & 3u;
    cell->is_failed = agent->is_failed & 1u;
    cell->must_tell = agent->must_tell & 1u;
    cell->misses = agent->misses;
    cell->behaviour = (uint8_t)(agent->behaviour - crowd->plan->behaviours);
    cell->running = pair_of(crowd, agent->running);
    cell->wish = pair_of(crowd, agent->order.wish);
    cell->tried = pair_of(crowd, agent->tried.wish);
    cell->generation = (uint32_t)agent->order.generation;
    cell->tried_generation = (uint32_t)agent->tried.generation;
    cell->rollout = (uint32_t)agent->order.rollout;
    cell->tried_rollout = (uint32_t)agent->tried.rollout;
    cell->updates = (uint16_t)(cell->updates + agent->counts.updates);
    cell->jitters = (uint16_t)(cell->jitters + taken(jitter, agent->jitter));
    cell->call_due = agent->call_due;
    cell->work_or_again_at = is_busy(agent) ? agent->work_due : agent->again_at;
    cell->updated_at = agent->updated_at;
    crowd->counts.updates += agent->counts.updates;
    crowd->counts.failures += agent->counts.failures;
    crowd->counts.lies += agent->counts.lies;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool fill(struct crowd *crowd, int64_t now, int64_t spread_ms, struct err *err)
{
    struct agent agent;
    for (uint32_t i = 0; i < crowd->count; i++) {
        const struct plan_instance *instance = &crowd->plan->instances[i];
        if (!crowd_know_version(crowd, instance->start, err))
            return false;
        crowd->cells[i].slot = FLEET_NONE;
        agent_init(&agent, 0, TEXT_NONE, instance->start, instance->behaviour,
                   now + (int64_t)((uint64_t)spread_ms * i / crowd->count));
        agent.jitter = sim_dice_below(crowd->dice_root, i, DICE_OF_JITTER);
        crowd_store(crowd, i, &agent);
    }
    return true;
}

bool crowd_init(struct crowd *crowd, struct plan *plan, int64_t now, int64_t spread_ms,
                struct err *err)
{
    *crowd = (struct crowd){ .plan = plan,
                             .dice_root = sim_dice_root(plan->seed),
                             .count = plan->instance_count };
    crowd->cells = memory_take_zeroed(&memory_heap, (size_t)crowd->count * sizeof *crowd->cells);
    if (!crowd->cells ||
        !grow((void **)&crowd->texts, &crowd->text_capacity, 1, sizeof *crowd->texts)) {
        crowd_release(crowd);
        return err_set(err, ERR_MEMORY, "no memory for %u instances", plan->instance_count);
    }
    crowd->text_count = 1; /* number 0 is the empty text, as in the plan */
    if (fill(crowd, now, spread_ms, err))
        return true;
    crowd_release(crowd);
    return false;
}

void crowd_release(struct crowd *crowd)
{
    memory_give(&memory_heap, crowd->cells, (size_t)crowd->count * sizeof *crowd->cells);
    memory_give(&memory_heap, crowd->texts, crowd->text_capacity * sizeof *crowd->texts);
    memory_give(&memory_heap, crowd->numbers, crowd->number_capacity * sizeof *crowd->numbers);
    *crowd = (struct crowd){ 0 };
}
