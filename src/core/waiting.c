/* SPDX-License-Identifier: Apache-2.0
 * waiting.c - names what a live rollout waits for, from its counters. */
#include "core/waiting.h"

#include "core/place.h"
#include "core/progress.h"
#include "core/waves.h"

#include <assert.h>

/* Members of the waves up to the open one that need the update and are not heard. */
static uint32_t offline_pending(const struct rollout *r)
{
    uint32_t pending = 0;
    for (uint32_t i = 0; i < waves_admitted(r); i++)
        pending += wave_tally(r, i)->pending - wave_tally(r, i)->pending_online;
    return pending;
}

/* What the reasons are told from, once for all of them. */
struct facts {
    const struct rollout *r;
    const struct tally *tally;
    bool is_running;
    bool nobody_to_pick;
    bool is_kept_back; /* a slot is free and a candidate waits, and none may be picked */
};

static struct facts facts_of(const struct rollout *r)
{
    struct facts f = { .r = r, .tally = rollout_tally(r) };
    f.is_running = r->state == ROLLOUT_RUNNING;
    f.nobody_to_pick = waves_candidates(r) == 0;
    f.is_kept_back = f.is_running && r->stopped_at == 0 && !f.nobody_to_pick &&
                     progress_free_slots(r) > 0 && !progress_can_pick(r);
    return f;
}

/* Whether `reason` holds now. The store's own trouble is known to the engine only. */
static bool holds(const struct facts *f, enum waiting_reason reason)
{
    const struct rollout *r = f->r;
    const struct tally *t = f->tally;
    bool is_running = f->is_running;
    switch (reason) {
    case WAITING_HELD: return r->live->lots.fleet->is_held;
    case WAITING_PAUSED: return r->state == ROLLOUT_PAUSED;
    case WAITING_BATCH_FULL:
        return is_running && t->in_progress > 0 &&
               (f->nobody_to_pick || t->in_progress >= rollout_batch_limit(r));
    case WAITING_BARRIER:
        return is_running && wave_mode(r, r->open_wave) == MODE_BARRIER && t->in_progress > 0;
    case WAITING_MIN_HEALTHY: return is_running && t->settling > 0;
    case WAITING_SOAK: return is_running && r->wave_state == WAVE_SOAKING;
    case WAITING_GATE: return is_running && waves_gate(r) != NULL;
    case WAITING_DOMAIN_CAP:
        return f->is_kept_back && r->live->lots.parked > 0 && lots_full_cell(&r->live->lots);
    case WAITING_MIN_AVAILABLE:
        return f->is_kept_back && !progress_may_take_available(r) &&
               lots_keep_available(&r->live->lots);
    case WAITING_OFFLINE:
        if (is_running && r->frozen_at != 0)
            return true;
        return is_running && f->nobody_to_pick && offline_pending(r) > 0 &&
               r->config.offline == OFFLINE_WAIT;
    case WAITING_LEFTOVER: return is_running && r->leftover_at != 0;
    case WAITING_STORE:
    case WAITING_REASON_COUNT: break;
    }
    return false;
}

void waiting_note(struct fleet *fleet, struct rollout *r)
{
    int64_t *since = r->live->waits.since;
    struct facts facts = facts_of(r);
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++) {
        if (!holds(&facts, reason))
            since[reason] = 0;
        else if (since[reason] == 0)
            since[reason] = fleet->now;
    }
}

#define LOOKED_AT_ONCE 256u

static int64_t deadline_of(const struct fleet *fleet, const struct rollout *r, uint32_t slot,
                           bool of_settling)
{
    const struct instance *inst = fleet_at(fleet, slot);
    if (of_settling && !inst->placed.is_settling)
        return TIMERS_NEVER;
    struct member_view view = place_view(fleet, inst, r);
    return member_due(MEMBER_IN_PROGRESS, &view);
}

/* The earliest instant at which time alone changes a member in flight; 0: none. */
static int64_t next_deadline(const struct fleet *fleet, const struct rollout *r, bool of_settling)
{
    uint32_t root = r->live->sets[SET_BUSY], slots[LOOKED_AT_ONCE];
    uint32_t first = ordered_first(&fleet->members, root);
    int64_t next = TIMERS_NEVER;
    while (first != ORDERED_NONE) {
        uint32_t count =
            (uint32_t)ordered_take(&fleet->members, root, first, slots, LOOKED_AT_ONCE);
        for (uint32_t i = 0; i < count; i++) {
            fleet_prefetch(fleet, slots, i, count);
            int64_t due = deadline_of(fleet, r, slots[i], of_settling);
            next = due < next ? due : next;
        }
        first = ordered_after(&fleet->members, root, slots[count - 1]);
    }
    return next == TIMERS_NEVER ? 0 : next;
}

static void describe_domain(const struct fleet *fleet, const struct rollout *r, struct waiting *w)
{
    const struct cell *cell = lots_full_cell(&r->live->lots);
    assert(cell); /* else nobody waits for it */
    w->count = cell->busy;
    w->limit = lots_room(&r->live->lots, cell);
    w->name = r->config.domains[cell->domain].label;
    w->value = cell->value == LABELS_ABSENT ? TEXT_NONE : fleet_text(fleet, cell->value);
}

static struct waiting describe(const struct fleet *fleet, const struct rollout *r,
                               enum waiting_reason reason)
{
    const struct tally *t = rollout_tally(r);
    struct waiting w = { .reason = reason, .since = r->live->waits.since[reason] };
    if (w.since == 0)
        w.since = fleet->now;
    switch (reason) {
    case WAITING_BATCH_FULL:
    case WAITING_BARRIER:
        w.count = t->in_progress;
        w.limit = rollout_batch_limit(r);
        w.until = next_deadline(fleet, r, false);
        break;
    case WAITING_MIN_HEALTHY:
        w.count = t->settling;
        w.limit = t->in_progress;
        w.until = next_deadline(fleet, r, true);
        break;
    case WAITING_SOAK: w.until = r->wave_due_at; break;
    case WAITING_GATE:
        w.until = r->wave_due_at;
        w.name = waves_gate(r)->name;
        break;
    case WAITING_DOMAIN_CAP: describe_domain(fleet, r, &w); break;
    case WAITING_MIN_AVAILABLE:
        w.count = t->available;
        w.limit = amount_up(r->config.min_available, t->total);
        break;
    case WAITING_OFFLINE:
        w.is_mass_silence = r->frozen_at != 0;
        w.count = w.is_mass_silence ? fleet->silence.missing : offline_pending(r);
        w.limit = w.is_mass_silence ? fleet->silence.fallen : t->total;
        w.until = r->leftover_at;
        break;
    case WAITING_LEFTOVER:
        w.count = t->pending + t->failed;
        w.limit = t->total;
        w.until = r->leftover_at;
        break;
    case WAITING_PAUSED: w.since = r->paused_at; break;
    case WAITING_HELD:
    case WAITING_STORE:
    case WAITING_REASON_COUNT: break;
    }
    if (r->stopped_at != 0)
        w.until = 0; /* it runs when clocks do */
    return w;
}

size_t waiting_list(const struct fleet *fleet, const struct rollout *r,
                    struct waiting ret[static WAITING_REASON_COUNT])
{
    size_t count = 0;
    if (!r->live)
        return 0;
    struct facts facts = facts_of(r);
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++)
        if (holds(&facts, reason))
            ret[count++] = describe(fleet, r, reason);
    return count;
}

const char *waiting_word(enum waiting_reason reason)
{
    static const char *const words[] = {
#define WAITING_WORD(id, word, meaning) [id] = word,
        WAITING_REASONS(WAITING_WORD)
#undef WAITING_WORD
    };
    return reason < WAITING_REASON_COUNT ? words[reason] : "?";
}

const char *waiting_meaning(enum waiting_reason reason)
{
    static const char *const meanings[] = {
#define WAITING_MEANING(id, word, meaning) [id] = meaning,
        WAITING_REASONS(WAITING_MEANING)
#undef WAITING_MEANING
    };
    return reason < WAITING_REASON_COUNT ? meanings[reason] : "?";
}
