/* SPDX-License-Identifier: Apache-2.0
 * waiting.c - names what a live rollout waits for, from its counters. */
#include "core/waiting.h"

#include "core/place.h"
#include "core/progress.h"

/* Whether `reason` holds now. The store's own trouble is known to the engine only. */
static bool holds(const struct rollout *r, enum waiting_reason reason)
{
    const struct tally *t = rollout_tally(r);
    bool is_running = r->state == ROLLOUT_RUNNING;
    bool nobody_to_pick = t->pending_online == 0;
    switch (reason) {
    case WAITING_PAUSED: return r->state == ROLLOUT_PAUSED;
    case WAITING_BATCH_FULL:
        return is_running && t->in_progress > 0 &&
               (nobody_to_pick || t->in_progress >= rollout_batch_limit(r));
    case WAITING_BARRIER: return is_running && r->config.mode == MODE_BARRIER && t->in_progress > 0;
    case WAITING_MIN_HEALTHY: return is_running && t->settling > 0 && r->config.min_healthy_ms > 0;
    case WAITING_OFFLINE:
        return is_running && nobody_to_pick && t->pending > 0 && r->config.offline == OFFLINE_WAIT;
    case WAITING_LEFTOVER: return is_running && r->leftover_at != 0;
    case WAITING_STORE:
    case WAITING_REASON_COUNT: break;
    }
    return false;
}

void waiting_note(struct fleet *fleet, struct rollout *r)
{
    int64_t *since = r->live->waits.since;
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++) {
        if (!holds(r, reason))
            since[reason] = 0;
        else if (since[reason] == 0)
            since[reason] = fleet->now;
    }
}

/* The earliest instant at which time alone changes a member in flight; 0: none. */
static int64_t next_deadline(const struct fleet *fleet, const struct rollout *r, bool of_settling)
{
    int64_t next = TIMERS_NEVER;
    uint32_t root = r->live->sets[SET_BUSY];
    for (uint32_t slot = ordered_first(&fleet->members, root); slot != ORDERED_NONE;
         slot = ordered_after(&fleet->members, root, slot)) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (of_settling && !inst->placed.is_settling)
            continue;
        struct member_view view = place_view(fleet, inst, r);
        int64_t due = member_due(MEMBER_IN_PROGRESS, &view);
        next = due < next ? due : next;
    }
    return next == TIMERS_NEVER ? 0 : next;
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
    case WAITING_OFFLINE:
        w.count = t->pending;
        w.limit = t->total;
        w.until = r->leftover_at;
        break;
    case WAITING_LEFTOVER:
        w.count = t->pending + t->failed;
        w.limit = t->total;
        w.until = r->leftover_at;
        break;
    case WAITING_PAUSED: w.since = r->paused_at; break;
    case WAITING_STORE:
    case WAITING_REASON_COUNT: break;
    }
    return w;
}

size_t waiting_list(const struct fleet *fleet, const struct rollout *r,
                    struct waiting ret[static WAITING_REASON_COUNT])
{
    size_t count = 0;
    for (unsigned reason = 0; r->live && reason < WAITING_REASON_COUNT; reason++)
        if (holds(r, reason))
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
