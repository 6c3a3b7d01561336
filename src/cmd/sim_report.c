/* SPDX-License-Identifier: Apache-2.0
 * sim_report.c - see sim_report.h. */
#include "cmd/sim_report.h"

#include "cmd/terminal.h"

#include <time.h>

uint64_t sim_ticks_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void sim_report_rollout(struct buffer *out, const struct sighting *s)
{
    buffer_printf(out, "r-%u to %s %s: %lld of %lld done, %lld in progress, %lld failed",
                  (unsigned)s->number, s->code[0] ? s->code : s->config, s->status,
                  (long long)s->completed, (long long)s->total, (long long)s->in_progress,
                  (long long)s->failed);
}

static void report_counts(struct buffer *out, const struct http_fleet_counts *c, int64_t took_ms)
{
    buffer_add(out, TEXT("\nran        "));
    format_duration(out, took_ms / 1000 * 1000);
    buffer_printf(out,
                  "\ninstances  %u, of them %u registered, %u crashed, %u failed\n"
                  "updates    %llu begun, %llu failed, %llu only pretended\n"
                  "calls      %llu registrations, %llu heartbeats, %llu told to register again,\n"
                  "           %llu told to wait, %llu refused, %llu lost\n",
                  (unsigned)c->instances, (unsigned)c->registered, (unsigned)c->crashed,
                  (unsigned)c->failed, (unsigned long long)c->updates,
                  (unsigned long long)c->failures, (unsigned long long)c->lies,
                  (unsigned long long)c->registrations, (unsigned long long)c->heartbeats,
                  (unsigned long long)c->again, (unsigned long long)c->busy,
                  (unsigned long long)c->refused, (unsigned long long)c->lost);
}

static void add_ms(struct buffer *out, const char *name, uint64_t us)
{
    buffer_printf(out, "%s %llu.%llu ms  ", name, (unsigned long long)(us / 1000),
                  (unsigned long long)(us / 100 % 10));
}

static void report_latency(struct buffer *out, const struct histogram *h)
{
    if (h->count == 0)
        return;
    buffer_add(out, TEXT("heartbeats "));
    add_ms(out, "p50", histogram_at(h, 500));
    add_ms(out, "p90", histogram_at(h, 900));
    add_ms(out, "p99", histogram_at(h, 990));
    add_ms(out, "p99.9", histogram_at(h, 999));
    add_ms(out, "max", h->max);
    buffer_add_byte(out, '\n');
}

static void report_one(struct buffer *out, const struct sighting *s)
{
    buffer_printf(out, "rollout    r-%u ", (unsigned)s->number);
    terminal_add(out, text_from(s->code[0] ? s->code : s->config));
    buffer_printf(out, "  %s", s->status);
    if (s->outcome[0])
        buffer_printf(out, " (%s)", s->outcome);
    if (s->cause[0])
        buffer_printf(out, ", cause %s", s->cause);
    buffer_printf(out, ": %lld of %lld completed, %lld failed", (long long)s->completed,
                  (long long)s->total, (long long)s->failed);
    if (s->rollback_of)
        buffer_printf(out, "; rolls back r-%u", (unsigned)s->rollback_of);
    if (s->rolled_back_by)
        buffer_printf(out, "; rolled back by r-%u", (unsigned)s->rolled_back_by);
    if (s->ended_at > s->created_at) {
        int64_t took_ms = s->ended_at - s->created_at;
        buffer_printf(out, "; took %lld.%lld s", (long long)(took_ms / 1000),
                      (long long)(took_ms / 100 % 10));
    }
    buffer_add_byte(out, '\n');
}

static void report_violations(struct buffer *out, const struct watcher *w)
{
    uint64_t shown = w->violation_count;
    if (shown > WATCHER_VIOLATIONS_MAX)
        shown = WATCHER_VIOLATIONS_MAX;
    buffer_printf(out, "invariants %llu looks at all rollouts, %llu violations\n",
                  (unsigned long long)w->rounds, (unsigned long long)w->violation_count);
    for (uint64_t i = 0; i < shown; i++) {
        buffer_add(out, TEXT("           "));
        terminal_add(out, text_from(w->violations[i]));
        buffer_add_byte(out, '\n');
    }
}

void sim_report(struct buffer *out, const struct http_fleet *fleet, const struct watcher *watcher,
                int64_t took_ms)
{
    struct http_fleet_counts counts = http_fleet_counts(fleet);
    report_counts(out, &counts, took_ms);
    report_latency(out, http_fleet_latency(fleet));
    for (uint32_t i = 0; i < watcher->count; i++)
        if (!watcher->list[i].is_old)
            report_one(out, &watcher->list[i].newest);
    report_violations(out, watcher);
}

/* ---- of a model ----------------------------------------------------------------------------- */

static void copy_text(char *space, size_t size, struct text t)
{
    snprintf(space, size, "%.*s", TEXT_ARG(t));
}

/* A record as a look from outside would show it. */
static struct sighting sighting_of(const struct fleet *fleet, const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    struct sighting s = { .number = r->number,
                          .rollback_of = r->rollback_of,
                          .rolled_back_by = r->rolled_back_by,
                          .completed = t->completed,
                          .total = t->total,
                          .failed = t->failed,
                          .in_progress = t->in_progress,
                          .created_at = r->created_at,
                          .ended_at = r->ended_at };
    const char *cause = rollout_cause_word(r->cause), *outcome = rollout_outcome_word(r->outcome);
    copy_text(s.status, sizeof s.status, text_from(sm_word_at(&rollout_machine.states, r->state)));
    copy_text(s.outcome, sizeof s.outcome, text_from(outcome));
    copy_text(s.cause, sizeof s.cause, text_from(cause));
    copy_text(s.code, sizeof s.code, fleet_text(fleet, r->target.code));
    copy_text(s.config, sizeof s.config, fleet_text(fleet, r->target.config));
    return s;
}

/* Classes of which there was none are left out. */
static void report_faults(struct buffer *out, const struct model_counts *c)
{
    static const char *const words[] = {
#define FAULT_WORD(id, meaning) meaning,
        FAULT_CLASSES(FAULT_WORD)
#undef FAULT_WORD
    };
    uint64_t total = 0;
    for (unsigned i = 0; i < FAULT_CLASS_COUNT; i++)
        total += c->faults[i];
    buffer_printf(out, "faults     %llu", (unsigned long long)total);
    for (unsigned i = 0, shown = 0; i < FAULT_CLASS_COUNT; i++) {
        if (c->faults[i] == 0)
            continue;
        buffer_printf(out, "%s%llu %s",
                      shown == 0  ? ": "
                      : shown % 4 ? ", "
                                  : ",\n           ",
                      (unsigned long long)c->faults[i], words[i]);
        shown++;
    }
    buffer_add_byte(out, '\n');
}

void sim_report_model(struct buffer *out, const struct model *model)
{
    struct model_counts c = model_counts(model);
    const struct fleet *fleet = model_fleet(model);
    struct http_fleet_counts counts = {
        .instances = c.instances,
        .registered = c.registered,
        .crashed = c.cut,
        .failed = c.failed,
        .updates = c.updates,
        .failures = c.failures,
        .lies = c.lies,
        .registrations = c.registrations,
        .heartbeats = c.heartbeats,
        .again = c.again,
        .busy = c.busy,
        .lost = c.lost,
    };
    report_counts(out, &counts, model_elapsed(model));
    report_faults(out, &c);
    for (uint32_t i = 0; fleet && i < fleet->rollout_count; i++) {
        struct sighting s = sighting_of(fleet, fleet->rollouts[i]);
        report_one(out, &s);
    }
    buffer_printf(out, "invariants %llu checks, %d violations\n", (unsigned long long)c.checks,
                  model_broken(model) ? 1 : 0);
    buffer_printf(out, "state      %016llx after %llu events\n",
                  (unsigned long long)model_hash(model), (unsigned long long)c.events);
}

void sim_report_swarm(struct buffer *out, uint64_t seeds, const struct model_counts *sum,
                      uint64_t hash, bool holds)
{
    buffer_printf(out, "seeds      %llu, %llu events, %llu heartbeats, %llu updates\n",
                  (unsigned long long)seeds, (unsigned long long)sum->events,
                  (unsigned long long)sum->heartbeats, (unsigned long long)sum->updates);
    report_faults(out, sum);
    buffer_printf(out, "invariants %llu checks, %d violations\nstate      %016llx\n",
                  (unsigned long long)sum->checks, holds ? 0 : 1, (unsigned long long)hash);
}
