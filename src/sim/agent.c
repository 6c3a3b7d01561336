/* SPDX-License-Identifier: Apache-2.0
 * agent.c - the tables of a simulated instance, and what their effects do. See agent.h. */
#include "sim/agent.h"

#include <assert.h>

/* ---- tables --------------------------------------------------------------------------------- */

/* clang-format off */
#define DO(effect) SM_DO(link, effect)
#define ROW(from, on, to, then) SM_ROW(link, from, on, LINK_ALWAYS, to, then)
static const struct sm_row link_rows[] = {
    /*  from             on             to                then                     */
    ROW(LINK_REGISTERING, LINK_ACCEPTED, LINK_BEATING,     DO(LINK_REPORT_NOW)),
    ROW(LINK_REGISTERING, LINK_UNKNOWN,  SM_STAY,          DO(LINK_BACK_OFF)),
    ROW(LINK_REGISTERING, LINK_MISSED,   SM_STAY,          DO(LINK_BACK_OFF)),
    ROW(LINK_REGISTERING, LINK_CRASH,    LINK_SILENT,      DO(LINK_HANG_UP)),

    ROW(LINK_BEATING,     LINK_ACCEPTED, SM_STAY,          DO(LINK_REPORT_LATER)),
    ROW(LINK_BEATING,     LINK_UNKNOWN,  LINK_REGISTERING, DO(LINK_BACK_OFF)),
    ROW(LINK_BEATING,     LINK_MISSED,   SM_STAY,          DO(LINK_BACK_OFF)),
    ROW(LINK_BEATING,     LINK_CRASH,    LINK_SILENT,      DO(LINK_HANG_UP)),
};
#undef ROW
#undef DO

#define DO(effect) SM_DO(work, effect)
#define ROW(from, on, when, to, then) SM_ROW(work, from, on, when, to, then)
static const struct sm_row work_rows[] = {
    /*  from           on            when                to             then                           */
    ROW(WORK_IDLE,     WORK_WISH,    WORK_HAS_GIVEN_UP,  WORK_BROKEN,   DO(WORK_FAIL) | DO(WORK_TELL)),
    ROW(WORK_IDLE,     WORK_WISH,    WORK_WILL_LIE,      WORK_LYING,    DO(WORK_BEGIN) | DO(WORK_PRETEND) | DO(WORK_TELL)),
    ROW(WORK_IDLE,     WORK_WISH,    WORK_ALWAYS,        WORK_UPDATING, DO(WORK_BEGIN)),
    ROW(WORK_IDLE,     WORK_CONTENT, WORK_ALWAYS,        SM_STAY,       0),

    ROW(WORK_UPDATING, WORK_WISH,    WORK_ALWAYS,        SM_STAY,       0),
    ROW(WORK_UPDATING, WORK_CONTENT, WORK_ALWAYS,        SM_STAY,       0),
    ROW(WORK_UPDATING, WORK_TIMER,   WORK_WILL_CRASH,    WORK_CRASHED,  DO(WORK_FALL)),
    ROW(WORK_UPDATING, WORK_TIMER,   WORK_FAILS_IN_VAIN, WORK_IDLE,     DO(WORK_HEAL) | DO(WORK_TELL)),
    ROW(WORK_UPDATING, WORK_TIMER,   WORK_WILL_FAIL,     WORK_BROKEN,   DO(WORK_FAIL) | DO(WORK_TELL)),
    ROW(WORK_UPDATING, WORK_TIMER,   WORK_ALWAYS,        WORK_IDLE,     DO(WORK_INSTALL) | DO(WORK_TELL)),

    ROW(WORK_LYING,    WORK_WISH,    WORK_ALWAYS,        SM_STAY,       0),
    ROW(WORK_LYING,    WORK_CONTENT, WORK_ALWAYS,        SM_STAY,       0),
    ROW(WORK_LYING,    WORK_TIMER,   WORK_ALWAYS,        WORK_IDLE,     DO(WORK_ADMIT) | DO(WORK_TELL)),

    ROW(WORK_BROKEN,   WORK_WISH,    WORK_MUST_WAIT,     SM_STAY,       0),
    ROW(WORK_BROKEN,   WORK_WISH,    WORK_WILL_LIE,      WORK_LYING,    DO(WORK_BEGIN) | DO(WORK_PRETEND) | DO(WORK_TELL)),
    ROW(WORK_BROKEN,   WORK_WISH,    WORK_ALWAYS,        WORK_UPDATING, DO(WORK_BEGIN)),
    ROW(WORK_BROKEN,   WORK_CONTENT, WORK_ALWAYS,        WORK_IDLE,     DO(WORK_HEAL) | DO(WORK_TELL)),
};
#undef ROW
/* clang-format on */

const struct sm_machine link_machine = {
    .name = "sim_link",
    .meaning = "how a simulated instance stands with the server",
    .states = SM_WORDS(link_state, LINK_STATES),
    .events = SM_WORDS(link_event, LINK_EVENTS),
    .guards = SM_WORDS(link_guard, LINK_GUARDS),
    .effects = SM_WORDS(link_effect, LINK_EFFECTS),
    .rows = link_rows,
    .row_count = sizeof link_rows / sizeof link_rows[0],
    .initial = LINK_REGISTERING,
    .final = SM_SET(LINK_SILENT),
};

const struct sm_machine work_machine = {
    .name = "sim_work",
    .meaning = "what a simulated instance makes of a wish",
    .states = SM_WORDS(work_state, WORK_STATES),
    .events = SM_WORDS(work_event, WORK_EVENTS),
    .guards = SM_WORDS(work_guard, WORK_GUARDS),
    .effects = SM_WORDS(work_effect, WORK_EFFECTS),
    .rows = work_rows,
    .row_count = sizeof work_rows / sizeof work_rows[0],
    .initial = WORK_IDLE,
    .final = SM_SET(WORK_CRASHED),
};

/* ---- the link ------------------------------------------------------------------------------- */

int64_t agent_backoff_ms(struct sim_dice *dice, uint32_t misses)
{
    assert(misses >= 1);
    uint32_t doublings = misses - 1 < 6 ? misses - 1 : 6; /* 2^6 s is over the bound already */
    int64_t bound = (int64_t)AGENT_BACKOFF_MS << doublings;
    if (bound > AGENT_BACKOFF_MAX_MS)
        bound = AGENT_BACKOFF_MAX_MS;
    return sim_dice_between(dice, 1, bound);
}

/* The times that came with an event of the link. */
struct link_times {
    int64_t now, interval_ms, retry_after_ms;
};

static void back_off(struct agent *agent, const struct link_times *times)
{
    if (agent->misses < UINT8_MAX)
        agent->misses++;
    int64_t wait = agent_backoff_ms(&agent->jitter, agent->misses);
    int64_t least = times->retry_after_ms;
    /* What the server asks for is added to the jitter, or all would come back at that instant. */
    if (least > 0)
        wait += least < AGENT_BACKOFF_MAX_MS ? least : AGENT_BACKOFF_MAX_MS;
    agent->call_due = times->now + wait;
}

static int64_t bounded_interval(int64_t interval_ms)
{
    if (interval_ms <= 0)
        return AGENT_INTERVAL_MS;
    return interval_ms < AGENT_INTERVAL_MAX_MS ? interval_ms : AGENT_INTERVAL_MAX_MS;
}

static void link_step(struct agent *agent, enum link_event event, const struct link_times *times)
{
    const struct sm_row *row = sm_pick(&link_machine, agent->link, event, NULL, NULL);
    if (!row)
        return; /* an answer that comes after the crash */
    agent->link = sm_target(row, agent->link);
    if (row->then & SM_DO(link, LINK_REPORT_NOW))
        agent->call_due = times->now;
    if (row->then & SM_DO(link, LINK_REPORT_LATER)) {
        agent->misses = 0;
        agent->call_due = times->now;
        if (!agent->must_tell)
            agent->call_due += bounded_interval(times->interval_ms);
    }
    if (row->then & SM_DO(link, LINK_BACK_OFF))
        back_off(agent, times);
    if (row->then & SM_DO(link, LINK_HANG_UP))
        agent->call_due = TIMERS_NEVER;
}

/* ---- fates ---------------------------------------------------------------------------------- */

enum fate { FATE_GOOD, FATE_FAILURE, FATE_CRASH, FATE_LIE };

/* What the next update would be, without drawing it: guards must be pure. Each update takes
 * AGENT_ROLLS numbers off the stream, whatever the behaviour, so that changing one does not shift
 * the others.
 */
struct draw {
    struct sim_dice after;
    enum fate fate;
    int64_t length_ms;
};

static enum fate fate_of(const struct behaviour *b, uint32_t roll, uint32_t code)
{
    if (b->only_code != 0 && b->only_code != code)
        return FATE_GOOD;
    if (roll < b->crash_share)
        return FATE_CRASH;
    if (roll < b->crash_share + b->lie_share)
        return FATE_LIE;
    return roll < b->crash_share + b->lie_share + b->failure_share ? FATE_FAILURE : FATE_GOOD;
}

/* Who never knew what runs cannot say it again: an omitted part repeats what was said last (N3). */
static bool can_admit(const struct agent *agent)
{
    struct version running = agent->running, wish = agent->order.wish;
    return (running.code || !wish.code) && (running.config || !wish.config);
}

static struct draw draw_next(const struct agent *agent)
{
    const struct behaviour *b = agent->behaviour;
    struct draw draw = { .after = agent->dice };
    uint32_t roll = sim_dice_roll(&draw.after, SHARE_WHOLE);
    draw.fate = fate_of(b, roll, agent->order.wish.code);
    if (draw.fate == FATE_LIE && !can_admit(agent))
        draw.fate = FATE_GOOD;
    draw.length_ms = sim_dice_between(&draw.after, b->latency_min_ms, b->latency_max_ms);
    if (sim_dice_roll(&draw.after, SHARE_WHOLE) < b->slow_share)
        draw.length_ms *= b->slow_factor;
    if (draw.fate == FATE_CRASH)
        draw.length_ms /= 2;
    return draw;
}

/* ---- the work ------------------------------------------------------------------------------- */

/* Whether the present order is the one that was tried. That its rollout has ended makes no new one
 * of it; another rollout with the same target does. */
static bool is_tried(const struct agent *agent)
{
    const struct agent_order *order = &agent->order, *tried = &agent->tried;
    return version_equal(order->wish, tried->wish) && order->generation == tried->generation &&
           (order->rollout == 0 || order->rollout == tried->rollout);
}

struct work_view {
    const struct agent *agent;
    int64_t now;
};

static bool has_given_up(const struct agent *agent)
{
    return agent->attempts >= AGENT_ATTEMPTS_MAX && is_tried(agent);
}

static bool holds(const void *subject, unsigned guard)
{
    const struct work_view *view = subject;
    const struct agent *agent = view->agent;
    switch ((enum work_guard)guard) {
    case WORK_WILL_LIE: return draw_next(agent).fate == FATE_LIE;
    case WORK_WILL_CRASH: return agent->fate == FATE_CRASH;
    /* The failure belongs to an order that is no more: the present one starts anew. */
    case WORK_FAILS_IN_VAIN: return agent->fate == FATE_FAILURE && !is_tried(agent);
    case WORK_WILL_FAIL: return agent->fate == FATE_FAILURE;
    case WORK_HAS_GIVEN_UP: return has_given_up(agent);
    case WORK_MUST_WAIT:
        return has_given_up(agent) || (is_tried(agent) && view->now < agent->again_at);
    case WORK_ALWAYS:
    case work_guard_count: break;
    }
    return true;
}

static void begin(struct agent *agent, int64_t now)
{
    struct draw draw = draw_next(agent);
    if (!is_tried(agent))
        agent->attempts = 0;
    agent->tried = agent->order;
    agent->attempts++;
    agent->counts.updates++;
    agent->dice = draw.after;
    agent->fate = (uint8_t)draw.fate;
    agent->work_due = now + draw.length_ms;
}

/* `target` where it names a part, else what was there. */
static struct version merged(struct version old, struct version target)
{
    return (struct version){ target.code ? target.code : old.code,
                             target.config ? target.config : old.config };
}

static void fail(struct agent *agent, int64_t now)
{
    agent->is_failed = true;
    agent->counts.failures++;
    uint32_t doublings = agent->attempts > 0 ? agent->attempts - 1u : 0;
    agent->again_at = now + ((int64_t)AGENT_AGAIN_MS << doublings);
}

static void carry_out(struct agent *agent, uint32_t effects, int64_t now)
{
    if (effects & SM_DO(work, WORK_BEGIN))
        begin(agent, now);
    if (effects & SM_DO(work, WORK_PRETEND)) {
        agent->claimed = merged(agent->running, agent->tried.wish);
        agent->is_failed = false;
        agent->counts.lies++;
    }
    if (effects & SM_DO(work, WORK_ADMIT))
        agent->claimed = agent->running;
    if (effects & SM_DO(work, WORK_INSTALL)) {
        agent->running = agent->claimed = merged(agent->running, agent->tried.wish);
        agent->is_failed = false;
        agent->updated_at = now;
    }
    if (effects & SM_DO(work, WORK_FAIL))
        fail(agent, now);
    if (effects & SM_DO(work, WORK_HEAL))
        agent->is_failed = false;
    if (effects & SM_DO(work, WORK_FALL))
        link_step(agent, LINK_CRASH, &(struct link_times){ .now = now });
    if (effects & SM_DO(work, WORK_TELL)) {
        agent->must_tell = true;
        /* Who is backing off goes on to; who must register reports after that anyway. */
        if (agent->link == LINK_BEATING && agent->misses == 0)
            agent->call_due = now;
    }
}

static void work_step(struct agent *agent, enum work_event event, int64_t now)
{
    struct work_view view = { agent, now };
    const struct sm_row *row = sm_pick(&work_machine, agent->work, event, holds, &view);
    if (!row)
        return; /* crashed meanwhile */
    agent->work = sm_target(row, agent->work);
    carry_out(agent, row->then, now);
    const char *broken = agent_invariant(agent);
    assert(!broken);
    (void)broken;
}

/* ---- from outside --------------------------------------------------------------------------- */

void agent_init(struct agent *agent, uint64_t seed, struct text name, struct version start,
                const struct behaviour *behaviour, int64_t now)
{
    *agent = (struct agent){
        .link = link_machine.initial,
        .work = work_machine.initial,
        .running = start,
        .claimed = start,
        .call_due = now,
        .work_due = TIMERS_NEVER,
        .dice = sim_dice_of(seed, name, TEXT("update")),
        .jitter = sim_dice_of(seed, name, TEXT("jitter")),
        .behaviour = behaviour,
    };
}

void agent_restart(struct agent *agent, int64_t now)
{
    *agent = (struct agent){
        .link = link_machine.initial,
        .work = work_machine.initial,
        .running = agent->running,
        .claimed = agent->running,
        .counts = agent->counts,
        .call_due = now,
        .work_due = TIMERS_NEVER,
        .dice = agent->dice,
        .jitter = agent->jitter,
        .behaviour = agent->behaviour,
    };
}

void agent_sent(struct agent *agent)
{
    agent->call_due = TIMERS_NEVER;
    agent->must_tell = false;
}

void agent_registered(struct agent *agent, int64_t now)
{
    link_step(agent, LINK_ACCEPTED, &(struct link_times){ .now = now });
}

void agent_answered(struct agent *agent, const struct agent_order *order, bool update_needed,
                    int64_t interval_ms, int64_t now)
{
    if (agent->link != LINK_BEATING)
        return;
    link_step(agent, LINK_ACCEPTED, &(struct link_times){ .now = now, .interval_ms = interval_ms });
    agent->order = *order;
    /* The answer may be to a report from before the end of an update: what is said now counts. */
    bool is_needed = update_needed && !version_is_at(agent->claimed, order->wish);
    work_step(agent, is_needed ? WORK_WISH : WORK_CONTENT, now);
}

void agent_unknown(struct agent *agent, int64_t now)
{
    link_step(agent, LINK_UNKNOWN, &(struct link_times){ .now = now });
}

void agent_missed(struct agent *agent, int64_t retry_after_ms, int64_t now)
{
    link_step(agent, LINK_MISSED,
              &(struct link_times){ .now = now, .retry_after_ms = retry_after_ms });
}

void agent_worked(struct agent *agent, int64_t now)
{
    agent->work_due = TIMERS_NEVER;
    work_step(agent, WORK_TIMER, now);
}

enum instance_state agent_status(const struct agent *agent, int64_t now)
{
    if (agent->is_failed)
        return INSTANCE_FAILED;
    int64_t flap = agent->behaviour->flap_ms;
    if (flap > 0 && agent->updated_at != 0 && (now - agent->updated_at) / flap % 2 == 1)
        return INSTANCE_DEGRADED;
    return INSTANCE_HEALTHY;
}

uint64_t agent_observed(const struct agent *agent)
{
    bool is_busy = agent->work == WORK_UPDATING || agent->work == WORK_LYING;
    return is_busy ? agent->tried.generation : agent->order.generation;
}

const char *agent_message(const struct agent *agent)
{
    return agent->is_failed ? "simulated: the update ended with exit code 1" : NULL;
}

const char *agent_invariant(const struct agent *agent)
{
    bool is_busy = agent->work == WORK_UPDATING || agent->work == WORK_LYING;
    if (is_busy != (agent->work_due != TIMERS_NEVER))
        return "an update under way has a timer, and nothing else has";
    if ((agent->work == WORK_CRASHED) != (agent->link == LINK_SILENT))
        return "who crashed is silent, and nobody else";
    if (agent->link == LINK_SILENT && agent->call_due != TIMERS_NEVER)
        return "who is silent calls nobody";
    if (agent->work == WORK_BROKEN && !agent->is_failed)
        return "who is broken says so";
    if (agent->work == WORK_IDLE && agent->is_failed)
        return "who is idle is not FAILED";
    if (agent->work != WORK_LYING && !version_equal(agent->running, agent->claimed))
        return "only a liar says what does not run";
    if (agent->attempts > AGENT_ATTEMPTS_MAX)
        return "an order is tried a bounded number of times";
    return NULL;
}
