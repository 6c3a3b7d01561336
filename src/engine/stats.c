/* SPDX-License-Identifier: Apache-2.0
 * stats.c - numbers about the engine: most are counted where things happen, the rest here. */
#include "engine/engine_parts.h"

/* A rollout that wants to be looked at says so by an instant before all others: that is no delay.
 */
static int64_t overdue_ms(const struct engine *e, int64_t now)
{
    int64_t due = fleet_next_due(&e->fleet);
    return due > 0 && due < now ? now - due : 0;
}

struct engine_stats engine_stats(struct engine *e)
{
    int64_t now = engine_now(e);
    struct engine_stats stats = e->stats;
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++)
        stats.waited_ms[reason] = waited_total(&e->waited, reason, now);
    stats.overdue_ms = overdue_ms(e, now);
    stats.store = committer_stats(e->committer);
    return stats;
}

void engine_count_heartbeat(struct engine *e, bool is_changed)
{
    if (is_changed)
        e->stats.heartbeats_changed++;
    else
        e->stats.heartbeats_unchanged++;
}

void engine_count_skew(struct engine *e, int64_t skew_ms)
{
    octaves_add(&e->stats.clock_skew_ms, (uint64_t)(skew_ms < 0 ? -skew_ms : skew_ms));
}
