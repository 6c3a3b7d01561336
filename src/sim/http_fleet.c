/* SPDX-License-Identifier: Apache-2.0
 * http_fleet.c - one heap holds what every instance does next, one wait of the loop its first
 * entry. An instance has at most one call under way, so that its reports arrive in order. The
 * messages are in http_fleet_talk.c. */
#include "sim/http_fleet.h"

#include "sim/http_fleet_parts.h"

#include <assert.h>

#define BEAT_MIN_MS 1
#define BEAT_MAX_MS 50 /* an answer may bring a nearer instant than the one waited for */

/* Two timers per instance. */
static uint32_t call_timer(uint32_t index)
{
    return index * 2;
}

static uint32_t work_timer(uint32_t index)
{
    return index * 2 + 1;
}

static int64_t now_of(const struct http_fleet *fleet)
{
    return fleet->options.timer.now_ms(fleet->options.timer.self);
}

static uint64_t ticks_of(const struct http_fleet *fleet)
{
    return fleet->options.ticks_us ? fleet->options.ticks_us() : (uint64_t)now_of(fleet) * 1000;
}

/* Puts what the agent wants next into the heap. While a call is under way only work goes on. */
static void rearm(struct http_fleet *fleet, struct caller *caller)
{
    const struct agent *agent = &caller->agent;
    bool may_call = !caller->is_calling && !fleet->is_stopped;
    timers_set(&fleet->timers, call_timer(caller->index),
               may_call ? agent->call_due : TIMERS_NEVER);
    timers_set(&fleet->timers, work_timer(caller->index), agent->work_due);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool take_room(struct http_fleet *fleet, uint32_t count)
{
    fleet->callers = memory_take_zeroed(&memory_heap, (size_t)count * sizeof *fleet->callers);
    return fleet->callers && timers_reserve(&fleet->timers, count * 2);
}

bool http_fleet_new(struct plan *plan, const struct http_fleet_options *options,
                    struct http_fleet **ret, struct err *err)
{
    struct http_fleet *fleet = memory_take_zeroed(&memory_heap, sizeof *fleet);
    if (!fleet)
        return err_set(err, ERR_MEMORY, "no memory for the fleet");
    fleet->plan = plan;
    fleet->options = *options;
    if (fleet->options.calls_max == 0)
        fleet->options.calls_max = FLEET_CALLS_DEFAULT;
    timers_init(&fleet->timers, &memory_heap);
    arena_init(&fleet->answers, &memory_heap, FLEET_ANSWER_MAX);
    buffer_init(&fleet->path, &memory_heap, FLEET_MESSAGE_MAX);
    buffer_init(&fleet->body, &memory_heap, FLEET_MESSAGE_MAX);
    if (!take_room(fleet, plan->instance_count)) {
        http_fleet_free(fleet);
        return err_set(err, ERR_MEMORY, "no memory for %u instances",
                       (unsigned)plan->instance_count);
    }
    *ret = fleet;
    return true;
}

void http_fleet_free(struct http_fleet *fleet)
{
    if (!fleet)
        return;
    assert(fleet->calls == 0);
    uint32_t count = fleet->plan->instance_count;
    for (uint32_t i = 0; fleet->callers && i < count; i++)
        buffer_release(&fleet->callers[i].credential);
    memory_give(&memory_heap, fleet->callers, (size_t)count * sizeof *fleet->callers);
    timers_release(&fleet->timers);
    arena_release(&fleet->answers);
    buffer_release(&fleet->path);
    buffer_release(&fleet->body);
    memory_give(&memory_heap, fleet, sizeof *fleet);
}

static void start_caller(struct http_fleet *fleet, uint32_t index, int64_t now)
{
    const struct plan_instance *instance = &fleet->plan->instances[index];
    struct caller *caller = &fleet->callers[index];
    int64_t spread = fleet->options.spread_ms;
    int64_t delay = spread > 0 ? spread * index / fleet->plan->instance_count : 0;
    caller->fleet = fleet;
    caller->index = index;
    buffer_init(&caller->credential, &memory_heap, LIMIT_TOKEN);
    agent_init(&caller->agent, fleet->plan->seed, instance->name, instance->start,
               instance->behaviour, now + delay);
    rearm(fleet, caller);
}

/* ---- the beat ------------------------------------------------------------------------------- */

static void on_done(void *ctx, const struct call_result *result)
{
    struct caller *caller = ctx;
    struct http_fleet *fleet = caller->fleet;
    caller->is_calling = false;
    fleet->calls--;
    uint64_t took_us = ticks_of(fleet) - caller->called_at_us;
    fleet_hear(fleet, caller, result, took_us, now_of(fleet));
    rearm(fleet, caller);
    fleet_run_due(fleet);
}

static void call_now(struct http_fleet *fleet, struct caller *caller, int64_t now)
{
    struct call call;
    timers_clear(&fleet->timers, call_timer(caller->index));
    caller->is_registering = caller->agent.link == LINK_REGISTERING;
    if (fleet_say(fleet, caller, now, &call)) {
        caller->called_at_us = ticks_of(fleet);
        caller->is_calling = true;
        if (fleet->options.caller.start(fleet->options.caller.self, &call, on_done, caller)) {
            agent_sent(&caller->agent);
            fleet->calls++;
            return;
        }
        caller->is_calling = false;
    }
    fleet_trouble(fleet, "a call could not be started: no memory, or too many are under way");
    fleet->counts.lost++;
    agent_missed(&caller->agent, 0, now);
    rearm(fleet, caller);
}

/* Everything that is due, oldest first, as far as calls may be under way. Calls wait in the heap:
 * work goes first, because it costs none. */
void fleet_run_due(struct http_fleet *fleet)
{
    int64_t now = now_of(fleet), due;
    uint32_t item = timers_first(&fleet->timers, &due);
    for (; due <= now; item = timers_first(&fleet->timers, &due)) {
        struct caller *caller = &fleet->callers[item / 2];
        if (item == work_timer(caller->index)) {
            agent_worked(&caller->agent, now);
            rearm(fleet, caller);
        } else if (fleet->calls < fleet->options.calls_max) {
            call_now(fleet, caller, now);
        } else {
            break;
        }
    }
}

static void on_beat(void *ctx);

static bool wait_for_next(struct http_fleet *fleet)
{
    int64_t due;
    timers_first(&fleet->timers, &due);
    int64_t wait = due == TIMERS_NEVER ? BEAT_MAX_MS : due - now_of(fleet);
    if (wait < BEAT_MIN_MS)
        wait = BEAT_MIN_MS;
    if (wait > BEAT_MAX_MS)
        wait = BEAT_MAX_MS;
    return fleet->options.timer.after(fleet->options.timer.self, wait, on_beat, fleet);
}

static void on_beat(void *ctx)
{
    struct http_fleet *fleet = ctx;
    if (fleet->is_stopped)
        return;
    fleet_run_due(fleet);
    if (!wait_for_next(fleet)) {
        fleet_trouble(fleet, "no memory for a timer: the fleet stands still");
        fleet->is_stopped = true;
    }
}

bool http_fleet_start(struct http_fleet *fleet, struct err *err)
{
    int64_t now = now_of(fleet);
    for (uint32_t i = 0; i < fleet->plan->instance_count; i++)
        start_caller(fleet, i, now);
    return wait_for_next(fleet) || err_set(err, ERR_MEMORY, "no memory for a timer");
}

void http_fleet_stop(struct http_fleet *fleet)
{
    fleet->is_stopped = true;
    for (uint32_t i = 0; i < fleet->plan->instance_count; i++)
        timers_clear(&fleet->timers, call_timer(i));
}

/* ---- looking -------------------------------------------------------------------------------- */

uint32_t http_fleet_behave(struct http_fleet *fleet, const struct selector *selector,
                           const struct behaviour *behaviour)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fleet->plan->instance_count; i++) {
        const struct plan_instance *instance = &fleet->plan->instances[i];
        if (!selector_matches(selector, &fleet->plan->labels, instance->labels))
            continue;
        fleet->callers[i].agent.behaviour = behaviour;
        count++;
    }
    return count;
}

struct http_fleet_counts http_fleet_counts(const struct http_fleet *fleet)
{
    struct http_fleet_counts counts = fleet->counts;
    counts.instances = fleet->plan->instance_count;
    for (uint32_t i = 0; i < counts.instances; i++) {
        const struct agent *agent = &fleet->callers[i].agent;
        counts.registered += fleet->callers[i].was_registered;
        counts.crashed += agent->work == WORK_CRASHED;
        counts.working += agent->work == WORK_UPDATING;
        counts.failed += agent->is_failed;
        counts.updates += agent->counts.updates;
        counts.failures += agent->counts.failures;
        counts.lies += agent->counts.lies;
    }
    return counts;
}

/* How many instances run a version, by its id; ids are few. */
struct tallies {
    uint32_t ids[FLEET_VERSIONS_MAX], counts[FLEET_VERSIONS_MAX], used;
};

static void count_version(struct tallies *t, uint32_t id)
{
    uint32_t i = 0;
    while (i < t->used && t->ids[i] != id)
        i++;
    if (i == FLEET_VERSIONS_MAX)
        return;
    t->used += i == t->used;
    t->ids[i] = id;
    t->counts[i]++;
}

uint32_t http_fleet_versions(const struct http_fleet *fleet, struct fleet_version *ret,
                             uint32_t max)
{
    struct tallies t = { .used = 0 };
    for (uint32_t i = 0; i < fleet->plan->instance_count; i++)
        count_version(&t, fleet->callers[i].agent.running.code);
    uint32_t stored = 0;
    for (; stored < max && stored < t.used; stored++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < t.used; i++)
            if (t.counts[i] > t.counts[best])
                best = i;
        ret[stored] =
            (struct fleet_version){ intern_text(&fleet->plan->texts, t.ids[best]), t.counts[best] };
        t.counts[best] = 0;
    }
    return stored;
}

const struct histogram *http_fleet_latency(const struct http_fleet *fleet)
{
    return &fleet->latency;
}

const char *http_fleet_trouble(const struct http_fleet *fleet)
{
    return fleet->trouble.text;
}

const struct agent *http_fleet_agent(const struct http_fleet *fleet, uint32_t index)
{
    assert(index < fleet->plan->instance_count);
    return &fleet->callers[index].agent;
}

void fleet_trouble(struct http_fleet *fleet, const char *sentence)
{
    err_set(&fleet->trouble, ERR_UNAVAILABLE, "%s", sentence);
}
