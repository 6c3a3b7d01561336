/* SPDX-License-Identifier: Apache-2.0
 * timeline.c - when waves, soaks and gates begin and end, how many are in flight and available, and
 * which limits hold: looked at after each command, between which nothing changes. */
#include "plan/parts.h"

#include "core/waves.h"

/* ---- steps ---------------------------------------------------------------------------------- */

static uint32_t begin_step(struct play *p, enum forecast_step_kind kind, uint32_t wave,
                           uint32_t gate, int64_t at)
{
    struct forecast *f = p->f;
    if (!play_grow(p, (void **)&f->steps, &f->step_capacity, f->step_count + 1, sizeof f->steps[0]))
        return STEP_NONE;
    f->steps[f->step_count] = (struct forecast_step){ .kind = (uint8_t)kind,
                                                      .wave = (uint8_t)wave,
                                                      .gate = (uint16_t)gate,
                                                      .start_ms = play_offset(p, at),
                                                      .end_ms = FORECAST_NEVER };
    return f->step_count++;
}

static void end_step(struct play *p, uint32_t *step, int64_t at)
{
    if (*step != STEP_NONE)
        p->f->steps[*step].end_ms = play_offset(p, at);
    *step = STEP_NONE;
}

/* One command may open, and pass, several waves. */
static void note_waves(struct play *p)
{
    const struct rollout *r = p->rollout;
    int64_t now = p->fleet->now;
    bool is_soaking = rollout_is_live(r) && r->wave_state == WAVE_SOAKING;
    bool is_running = rollout_is_live(r) && r->wave_state == WAVE_RUNNING;
    for (; p->opened < waves_admitted(r); p->opened++) {
        end_step(p, &p->wave_step, now);
        p->wave_step = begin_step(p, FORECAST_WAVE, p->opened, 0, r->waves[p->opened].opened_at);
    }
    if (!is_running)
        end_step(p, &p->wave_step, now);
    else if (p->wave_step == STEP_NONE) /* somebody has to be updated after all */
        p->wave_step = begin_step(p, FORECAST_WAVE, r->open_wave, 0, now);
    if (!is_soaking)
        end_step(p, &p->soak_step, now);
    else if (p->soak_step == STEP_NONE)
        p->soak_step = begin_step(p, FORECAST_SOAK, r->open_wave, 0, now);
}

void timeline_note_gate(struct play *p, const struct change *change)
{
    int64_t now = p->fleet->now;
    if (change->rollout != p->rollout->number)
        return;
    if (p->gate_step == STEP_NONE)
        p->gate_step = begin_step(p, FORECAST_GATE, change->wave, change->gate, now);
    if (change->type != CHANGE_GATE_WAITING)
        end_step(p, &p->gate_step, now);
}

/* ---- load ----------------------------------------------------------------------------------- */

static void note_load(struct play *p)
{
    const struct tally *t = rollout_tally(p->rollout);
    if (t->in_progress > p->f->peak_in_progress)
        p->f->peak_in_progress = t->in_progress;
    if (t->available < p->f->lowest_available)
        p->f->lowest_available = t->available;
}

void timeline_note_member(struct play *p, uint32_t slot)
{
    const struct rollout_live *live = p->rollout->live;
    const struct instance *inst = fleet_at(p->fleet, slot);
    if (!live || fleet_rollout_of(p->fleet, inst) != p->rollout)
        return;
    for (uint32_t i = 0; i < p->rollout->config.domain_count; i++) {
        uint32_t cell = live->lots.list[inst->placed.lot].cells[i];
        const struct tally *t = &live->lots.cells[cell].tally;
        struct forecast_domain *domain = &p->f->domains[cell];
        if (t->in_progress > domain->peak_in_progress)
            domain->peak_in_progress = t->in_progress;
        if (t->available < domain->lowest_available)
            domain->lowest_available = t->available;
    }
}

/* ---- limits --------------------------------------------------------------------------------- */

/* A full batch is no limit for a rollout that has nobody else to pick. */
static bool binds(const struct rollout *r, enum waiting_reason reason)
{
    if (!r->live || r->live->waits.since[reason] == 0)
        return false;
    return reason != WAITING_BATCH_FULL || waves_candidates(r) > 0;
}

static void note_limits(struct play *p)
{
    struct forecast *f = p->f;
    int64_t now = p->fleet->now;
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++) {
        struct forecast_limit *limit = &f->limits[reason];
        if (p->holds[reason])
            limit->held_ms += now - p->looked_at;
        p->holds[reason] = binds(p->rollout, reason);
        if (!p->holds[reason] || limit->first_ms != FORECAST_NEVER)
            continue;
        limit->first_ms = play_offset(p, now);
        if (f->first_limit == WAITING_REASON_COUNT)
            f->first_limit = (uint8_t)reason;
    }
    p->looked_at = now;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

void timeline_begin(struct play *p)
{
    const struct lots *lots = p->rollout->live ? &p->rollout->live->lots : NULL;
    p->wave_step = p->soak_step = p->gate_step = STEP_NONE;
    p->looked_at = p->fleet->now;
    p->f->first_limit = WAITING_REASON_COUNT;
    p->f->lowest_available = UINT32_MAX;
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++)
        p->f->limits[reason].first_ms = FORECAST_NEVER;
    for (uint32_t i = 0; i < p->f->domain_count; i++) {
        const struct cell *cell = &lots->cells[i];
        bool has_label = cell->value != LABELS_ABSENT;
        p->f->domains[i] = (struct forecast_domain){
            .label = cell->domain,
            .value = has_label ? intern_share(&p->fleet->texts, cell->value) : LABELS_ABSENT,
            .total = cell->tally.total,
            .peak_in_progress = cell->tally.in_progress,
            .lowest_available = cell->tally.available,
        };
    }
}

void timeline_note(struct play *p)
{
    note_waves(p);
    note_load(p);
    note_limits(p);
}

static int64_t end_of(const struct play *p, const struct rollout *r)
{
    return r && !rollout_is_live(r) ? play_offset(p, r->ended_at) : FORECAST_NEVER;
}

/* What it waits for in the end, most important first. */
static void note_stop(struct play *p)
{
    struct waiting list[WAITING_REASON_COUNT];
    struct forecast *f = p->f;
    const struct rollout *r = p->rollout;
    f->is_stopped = r->state != ROLLOUT_COMPLETED;
    if (!f->is_stopped)
        return;
    f->stop = (struct waiting){ .reason = WAITING_REASON_COUNT };
    f->stop_ms = f->ended_ms;
    if (!rollout_is_live(r) || waiting_list(p->fleet, r, list) == 0)
        return;
    f->stop = list[0];
    f->stop_ms = play_offset(p, list[0].since);
}

void timeline_end(struct play *p)
{
    struct forecast *f = p->f;
    f->ended_ms = end_of(p, p->rollout);
    f->rollback_ended_ms = end_of(p, f->rollback);
    if (!rollout_is_live(p->rollout))
        end_step(p, &p->gate_step, p->rollout->ended_at);
    for (unsigned reason = 0; f->is_cut && reason < WAITING_REASON_COUNT; reason++)
        if (p->holds[reason])
            f->limits[reason].held_ms += p->end_at - p->looked_at;
    note_stop(p);
}
