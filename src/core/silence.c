/* SPDX-License-Identifier: Apache-2.0
 * silence.c - the table of the fleet's silence, and its two effects. */
#include "core/silence.h"

#include "core/fleet.h"
#include "core/progress.h"

#include <assert.h>

/* clang-format off */
#define ROW(from, on, when, to, then) SM_ROW(silence, from, on, when, to, then)
#define DO(effect) SM_DO(silence, effect)
static const struct sm_row rows[] = {
    /*  from            on             when                   to              then               */
    ROW(SILENCE_NONE,   SILENCE_WATCH, SILENCE_MOST_FELL,     SILENCE_FROZEN, DO(SILENCE_FREEZE)),
    ROW(SILENCE_NONE,   SILENCE_WATCH, SILENCE_ALWAYS,        SM_STAY,        0),
    ROW(SILENCE_FROZEN, SILENCE_WATCH, SILENCE_MOST_RETURNED, SILENCE_NONE,   DO(SILENCE_THAW)),
    ROW(SILENCE_FROZEN, SILENCE_WATCH, SILENCE_ALWAYS,        SM_STAY,        0),
};
#undef DO
#undef ROW
/* clang-format on */

const struct sm_machine silence_machine = {
    .name = "silence",
    .meaning = "whether most of the fleet fell silent at once",
    .states = SM_WORDS(silence_state, SILENCE_STATES),
    .events = SM_WORDS(silence_event, SILENCE_EVENTS),
    .guards = SM_WORDS(silence_guard, SILENCE_GUARDS),
    .effects = SM_WORDS(silence_effect, SILENCE_EFFECTS),
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .initial = SILENCE_NONE,
};

/* ---- counting ------------------------------------------------------------------------------- */

/* Slices that have passed hold nobody any more. */
static void turn(struct silence *s, int64_t now)
{
    int64_t newest = now / s->slice_ms;
    if (newest - s->newest >= SILENCE_SLICES)
        s->newest = newest - SILENCE_SLICES;
    while (s->newest < newest)
        s->fell[++s->newest % SILENCE_SLICES] = 0;
}

/* Where those stand that fell silent at `at`, or NULL: too long ago. */
static uint32_t *slice_of(struct silence *s, int64_t at)
{
    int64_t number = at / s->slice_ms;
    if (number > s->newest || number <= s->newest - SILENCE_SLICES)
        return NULL;
    return &s->fell[number % SILENCE_SLICES];
}

static uint32_t sum(const struct silence *s)
{
    uint32_t fell = 0;
    for (size_t i = 0; i < SILENCE_SLICES; i++)
        fell += s->fell[i];
    return fell;
}

/* Whether an instance was among those that made the fleet freeze. */
static bool is_one_of_them(const struct silence *s, int64_t offline_at)
{
    int64_t frozen = s->frozen_at / s->slice_ms;
    int64_t number = offline_at / s->slice_ms;
    return s->state == SILENCE_FROZEN && offline_at <= s->frozen_at &&
           number > frozen - SILENCE_SLICES;
}

static void count(struct silence *s, const struct instance *inst, uint32_t one)
{
    if (inst->presence != PRESENCE_OFFLINE || !inst->was_idle)
        return;
    uint32_t *slice = slice_of(s, inst->offline_at);
    if (slice)
        *slice += one;
    if (is_one_of_them(s, inst->offline_at))
        s->missing += one;
}

/* One more of those that made the fleet freeze, in the same instant but after it: so it is when one
 * round cannot take them all. */
static void note_another(struct fleet *fleet)
{
    fleet->silence.fallen++;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        struct rollout *r = fleet->live[i] ? fleet->live[i]->rollout : NULL;
        if (!r)
            continue;
        fleet_touch_rollout(fleet, r);
        r->frozen_count = fleet->silence.fallen;
    }
}

void silence_fell(struct fleet *fleet, const struct instance *inst)
{
    struct silence *s = &fleet->silence;
    uint32_t missing = s->missing;
    turn(s, fleet->now);
    count(s, inst, 1);
    if (s->missing > missing)
        note_another(fleet);
}

void silence_ended(struct fleet *fleet, const struct instance *inst)
{
    turn(&fleet->silence, fleet->now);
    count(&fleet->silence, inst, UINT32_MAX);
}

void silence_begin(struct fleet *fleet)
{
    struct silence *s = &fleet->silence;
    int64_t slice_ms = fleet->settings.heartbeat_timeout_ms / SILENCE_SLICES;
    *s = (struct silence){ .state = s->state,
                           .slice_ms = slice_ms > 0 ? slice_ms : 1,
                           .frozen_at = s->frozen_at,
                           .fallen = s->fallen };
    s->newest = fleet->now / s->slice_ms;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        const struct rollout *r = fleet->live[i] ? fleet->live[i]->rollout : NULL;
        if (!r || r->frozen_at == 0)
            continue;
        s->state = SILENCE_FROZEN;
        s->frozen_at = r->frozen_at;
        s->fallen = r->frozen_count;
    }
}

struct silence silence_empty(const struct silence *s)
{
    struct silence empty = *s;
    memset(empty.fell, 0, sizeof empty.fell);
    empty.missing = 0;
    return empty;
}

void silence_recount(struct silence *counted, const struct instance *inst)
{
    count(counted, inst, 1);
}

bool silence_equal(const struct silence *s, const struct silence *counted)
{
    return s->missing == counted->missing && memcmp(s->fell, counted->fell, sizeof s->fell) == 0;
}

/* ---- freezing and thawing ------------------------------------------------------------------- */

static bool holds(const void *subject, unsigned guard)
{
    const struct fleet *fleet = subject;
    const struct silence *s = &fleet->silence;
    switch ((enum silence_guard)guard) {
    case SILENCE_MOST_FELL: return sum(s) > fleet->tally.online;
    case SILENCE_MOST_RETURNED: return s->fallen - s->missing > s->missing;
    case SILENCE_ALWAYS:
    case silence_guard_count: break;
    }
    return true;
}

static void freeze(struct fleet *fleet)
{
    struct silence *s = &fleet->silence;
    s->frozen_at = fleet->now;
    s->fallen = s->missing = sum(s);
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            progress_freeze(fleet, fleet->live[i]->rollout);
    fleet_publish(fleet, &(struct change){ .type = CHANGE_FLEET_SILENT, .slot = FLEET_NONE });
}

static void thaw(struct fleet *fleet)
{
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++)
        if (fleet->live[i])
            progress_thaw(fleet, fleet->live[i]->rollout);
    fleet_publish(fleet, &(struct change){ .type = CHANGE_FLEET_HEARD, .slot = FLEET_NONE });
    fleet->silence.fallen = fleet->silence.missing = 0;
    fleet->silence.frozen_at = 0;
}

bool silence_would_move(const struct fleet *fleet)
{
    const struct sm_row *row =
        sm_pick(&silence_machine, fleet->silence.state, SILENCE_WATCH, holds, fleet);
    assert(row);
    return row->to != SM_STAY;
}

bool silence_watch(struct fleet *fleet, struct err *err)
{
    struct silence *s = &fleet->silence;
    turn(s, fleet->now);
    const struct sm_row *row = sm_pick(&silence_machine, s->state, SILENCE_WATCH, holds, fleet);
    assert(row);
    if (row->to == SM_STAY)
        return true;
    if (!fleet_reserve(fleet, fleet->tally.in_progress + 2u, err))
        return false;
    s->state = sm_target(row, s->state);
    if (row->then & SM_DO(silence, SILENCE_FREEZE))
        freeze(fleet);
    if (row->then & SM_DO(silence, SILENCE_THAW))
        thaw(fleet);
    return true;
}

bool silence_is_frozen(const struct fleet *fleet)
{
    return fleet->silence.state == SILENCE_FROZEN;
}

void silence_join(const struct fleet *fleet, struct rollout *r)
{
    if (!silence_is_frozen(fleet))
        return;
    r->frozen_at = fleet->silence.frozen_at;
    r->frozen_count = fleet->silence.fallen;
    r->stopped_at = fleet->now;
}
