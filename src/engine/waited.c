/* SPDX-License-Identifier: Apache-2.0
 * waited.c - see waited.h. */
#include "engine/waited.h"

static uint64_t passed(int64_t since, int64_t now)
{
    return since != 0 && now > since ? (uint64_t)(now - since) : 0;
}

/* One place of fleet.live. Who comes into the place of another waits since later: that tells them
 * apart. */
static void note_one(struct waited *w, struct waits *then, const struct waits *waits, int64_t now)
{
    if (memcmp(then, waits, sizeof *waits) == 0)
        return;
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++)
        if (then->since[reason] != waits->since[reason])
            w->ms[reason] += passed(then->since[reason], now);
    *then = *waits;
}

/* The store's trouble is that of all alike. */
static void note_store(struct waited *w, uint32_t count, int64_t since, int64_t now)
{
    w->ms[WAITING_STORE] += w->count * passed(w->store_since, now);
    w->store_since = since != 0 && w->store_since != 0 ? now : since;
    w->count = count;
}

void waited_note(struct waited *w, const struct fleet *fleet, int64_t store_fails_since,
                 int64_t now)
{
    static const struct waits nothing;
    if (store_fails_since != 0 || w->store_since != 0)
        note_store(w, fleet->live_count, store_fails_since, now);
    uint32_t seen = 0;
    uint32_t end = 0;
    for (uint32_t i = 0; seen < fleet->live_count || i < w->end; i++) {
        const struct rollout_live *live = fleet->live[i];
        note_one(w, &w->live[i], live ? &live->waits : &nothing, now);
        seen += live ? 1 : 0;
        end = live ? i + 1 : end;
    }
    w->end = end;
}

uint64_t waited_total(const struct waited *w, enum waiting_reason reason, int64_t now)
{
    uint64_t ms = w->ms[reason];
    if (reason == WAITING_STORE)
        ms += w->count * passed(w->store_since, now);
    for (uint32_t i = 0; i < w->end; i++)
        ms += passed(w->live[i].since[reason], now);
    return ms;
}
