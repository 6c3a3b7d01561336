/* SPDX-License-Identifier: Apache-2.0
 * waves.c - answers the guards of the wave and gate tables and carries out their effects. */
#include "core/waves.h"

#include <assert.h>

/* ---- who belongs to which ------------------------------------------------------------------- */

/* Place in the order of picks at the start: who needs the update before who runs it already, for a
 * wave of those proves nothing; then the broken first. */
static uint8_t rank_of(const struct instance *inst, const struct rollout *r)
{
    static const uint8_t ranks[instance_state_count] = { [INSTANCE_FAILED] = 0,
                                                         [INSTANCE_DEGRADED] = 1,
                                                         [INSTANCE_UNKNOWN] = 2,
                                                         [INSTANCE_HEALTHY] = 3 };
    return (uint8_t)(ranks[inst->status] + (version_is_at(inst->current, r->target) ? 4 : 0));
}
#define RANKS 8u

static bool is_up_to(const struct instance *inst, uint8_t rank, const struct wave *wave)
{
    return rank != wave->last_rank ? rank < wave->last_rank
                                   : text_compare(instance_key(inst), wave->last_key) <= 0;
}

static uint32_t wave_of_rollback(const struct instance *inst, const struct rollout *r)
{
    uint32_t last = r->wave_count - 1;
    if (inst->trail_count == 0)
        return last;
    uint32_t top = inst->trail_count - 1u;
    bool is_touched = inst->trail[top].rollout == r->rollback_of;
    return is_touched && inst->trail_waves[top] <= last ? last - inst->trail_waves[top] : last;
}

uint32_t waves_of(const struct fleet *fleet, const struct instance *inst, const struct rollout *r)
{
    uint32_t last = r->wave_count - 1;
    if (last == 0)
        return 0;
    if (r->rollback_of != 0)
        return wave_of_rollback(inst, r);
    uint8_t rank = rank_of(inst, r);
    for (uint32_t i = 0; i < last; i++) {
        const struct wave *wave = &r->waves[i];
        if (wave->config->has_selector
                ? selector_matches(&wave->config->selector, &fleet->labels, inst->labels)
                : is_up_to(inst, rank, wave))
            return i;
    }
    return last;
}

bool waves_lay_out(struct rollout *r)
{
    uint32_t count = r->config.wave_count > 0 ? r->config.wave_count : 1;
    r->waves = arena_take_array(&r->arena, count, sizeof r->waves[0]);
    if (!r->waves)
        return false;
    r->wave_count = count;
    for (uint32_t i = 0; i < r->config.wave_count; i++)
        r->waves[i].config = &r->config.waves[r->rollback_of ? count - 1 - i : i];
    return true;
}

/* ---- dividing a draft ----------------------------------------------------------------------- */

/* Members that no wave has taken yet, by rank, each list in order of keys. */
struct division {
    struct fleet *fleet;
    struct rollout *r;
    uint32_t *order; /* indices of members, rank by rank */
    uint32_t first[RANKS], end[RANKS];
    uint8_t *is_taken; /* by index of the member */
    uint32_t left;
};

static const struct instance *member_at(const struct division *d, uint32_t i)
{
    return fleet_at(d->fleet, d->r->live->entering[i]);
}

static void sort_by_rank(struct division *d)
{
    uint32_t count = d->r->live->entering_count;
    uint32_t sizes[RANKS] = { 0 };
    for (uint32_t i = 0; i < count; i++)
        sizes[rank_of(member_at(d, i), d->r)]++;
    uint32_t at = 0;
    for (uint32_t rank = 0; rank < RANKS; rank++) {
        d->first[rank] = d->end[rank] = at;
        at += sizes[rank];
    }
    for (uint32_t i = 0; i < count; i++)
        d->order[d->end[rank_of(member_at(d, i), d->r)]++] = i;
}

/* The next members in the order of picks; `wave` remembers the last one. */
static bool take_sized(struct division *d, struct wave *wave, uint32_t size)
{
    uint32_t last = UINT32_MAX;
    uint8_t last_rank = 0;
    for (uint8_t rank = 0; rank < RANKS && size > 0; rank++) {
        for (; d->first[rank] < d->end[rank] && size > 0; d->first[rank]++) {
            uint32_t member = d->order[d->first[rank]];
            if (d->is_taken[member])
                continue;
            d->is_taken[member] = 1;
            d->left--;
            size--;
            last = member;
            last_rank = rank;
        }
    }
    wave->last_rank = last_rank;
    return last == UINT32_MAX ||
           arena_copy(&d->r->arena, instance_key(member_at(d, last)), &wave->last_key);
}

static void take_selected(struct division *d, const struct wave *wave)
{
    for (uint32_t i = 0; i < d->r->live->entering_count; i++) {
        bool is_new =
            !d->is_taken[i] &&
            selector_matches(&wave->config->selector, &d->fleet->labels, member_at(d, i)->labels);
        d->is_taken[i] |= is_new;
        d->left -= is_new ? 1 : 0;
    }
}

static bool divide(struct division *d, struct err *err)
{
    uint32_t total = d->left = d->r->live->entering_count;
    sort_by_rank(d);
    for (uint32_t i = 0; i + 1 < d->r->wave_count; i++) {
        struct wave *wave = &d->r->waves[i];
        uint32_t left = d->left;
        if (wave->config->has_selector)
            take_selected(d, wave);
        else if (!take_sized(d, wave, amount_up(wave->config->size, total)))
            return err_set(err, ERR_MEMORY, "no memory for the waves of a rollout");
        char excerpt[ERR_EXCERPT_SIZE];
        if (d->left == left)
            return err_set_at(err, ERR_INFEASIBLE, "/configuration",
                              "wave %s would have no member: of %u selected, %s",
                              err_excerpt(wave->config->name, excerpt), total,
                              left == 0 ? "all are in earlier waves"
                                        : "none that is left has its labels");
    }
    return true;
}

/* Fixes the ends of sized waves; a rollback has them from its source's picks. */
static bool find_ends(struct fleet *fleet, struct rollout *r, struct err *err)
{
    if (r->wave_count == 1 || r->rollback_of != 0)
        return true;
    uint32_t count = r->live->entering_count;
    struct division d = { .fleet = fleet, .r = r };
    d.order = memory_take(fleet->memory, count * sizeof d.order[0]);
    d.is_taken = memory_take_zeroed(fleet->memory, count);
    bool divided = d.order && d.is_taken
                       ? divide(&d, err)
                       : err_set(err, ERR_MEMORY, "no memory for the waves of a rollout");
    memory_give(fleet->memory, d.order, count * sizeof d.order[0]);
    memory_give(fleet->memory, d.is_taken, count);
    return divided;
}

bool waves_divide(struct fleet *fleet, struct rollout *r, struct err *err)
{
    if (r->live->entering_count == 0)
        return true; /* the caller says what is wrong with that */
    if (!find_ends(fleet, r, err))
        return false;
    struct lots *lots = &r->live->lots;
    for (uint32_t i = 0; r->config.domain_count > 0 && i < r->live->entering_count; i++) {
        const struct instance *inst = fleet_at(fleet, r->live->entering[i]);
        if (!lots_reserve(lots))
            return err_set(err, ERR_MEMORY, "no memory for failure domains");
        lots_get(lots, waves_of(fleet, inst, r), inst->labels);
    }
    return true;
}

/* ---- reading -------------------------------------------------------------------------------- */

uint32_t waves_admitted(const struct rollout *r)
{
    return r->open_wave + (r->wave_state != WAVE_NOT_STARTED ? 1 : 0);
}

struct text wave_name(const struct rollout *r, uint32_t wave)
{
    const struct wave_config *config = r->waves[wave].config;
    return config ? config->name : TEXT("all");
}

enum wave_state wave_state_at(const struct rollout *r, uint32_t wave)
{
    if (wave == r->open_wave)
        return r->wave_state;
    return wave < r->open_wave ? WAVE_PASSED : WAVE_NOT_STARTED;
}

const struct tally *wave_tally(const struct rollout *r, uint32_t wave)
{
    return r->live ? &r->live->waves[wave] : &r->waves[wave].final;
}

/* A fast rollback goes through its waves without a stop: their own limits mean nothing then. */
static bool is_hurrying(const struct rollout *r)
{
    return r->rollback_of != 0 && r->is_fast;
}

uint32_t wave_batch_limit(const struct rollout *r, uint32_t wave)
{
    const struct wave_config *config = r->waves[wave].config;
    if (!config || is_hurrying(r))
        return amount_down(r->config.batch_size, rollout_tally(r)->total);
    return amount_down(config->has_batch_size ? config->batch_size : r->config.batch_size,
                       wave_tally(r, wave)->total);
}

uint32_t wave_threshold(const struct rollout *r, uint32_t wave)
{
    const struct wave_config *config = r->waves[wave].config;
    if (!config || is_hurrying(r))
        return rollout_threshold(r);
    uint32_t threshold = amount_up(config->has_failure_threshold ? config->failure_threshold
                                                                 : r->config.failure_threshold,
                                   wave_tally(r, wave)->total);
    return threshold > 0 ? threshold : 1;
}

enum rollout_mode wave_mode(const struct rollout *r, uint32_t wave)
{
    const struct wave_config *config = r->waves[wave].config;
    if (r->rollback_of != 0)
        return MODE_WINDOW; /* RB7 */
    return config && config->has_mode ? config->mode : r->config.mode;
}

/* Nobody is watched, and nobody is asked, about a wave without members. */
static bool skips(const struct rollout *r, uint32_t wave)
{
    return !r->waves[wave].config || is_hurrying(r) || wave_tally(r, wave)->total == 0;
}

uint32_t wave_gate_count(const struct rollout *r, uint32_t wave)
{
    return skips(r, wave) ? 0 : r->waves[wave].config->gate_count;
}

int64_t wave_soak_ms(const struct rollout *r, uint32_t wave)
{
    return skips(r, wave) ? 0 : r->waves[wave].config->soak_ms;
}

static const struct gate_config *present_gate(const struct rollout *r)
{
    if (r->is_promoted || r->gate >= wave_gate_count(r, r->open_wave))
        return NULL;
    return &r->waves[r->open_wave].config->gates[r->gate];
}

enum gate_state wave_gate_state(const struct rollout *r, uint32_t wave, uint32_t gate)
{
    enum wave_state state = wave_state_at(r, wave);
    if (state == WAVE_PASSED || (wave == r->open_wave && gate < r->gate))
        return r->waves[wave].config->gates[gate].is_dry_run ? GATE_INCONCLUSIVE : GATE_PASSED;
    return wave == r->open_wave && gate == r->gate ? (enum gate_state)r->gate_state
                                                   : GATE_NOT_STARTED;
}

const struct gate_config *waves_gate(const struct rollout *r)
{
    return r->wave_state == WAVE_GATED && r->gate_state != GATE_NOT_STARTED ? present_gate(r)
                                                                            : NULL;
}

bool waves_are_passed(const struct rollout *r)
{
    return r->open_wave + 1 == r->wave_count && r->wave_state == WAVE_PASSED;
}

uint32_t waves_candidates(const struct rollout *r)
{
    uint32_t candidates = 0;
    for (uint32_t i = 0; i < waves_admitted(r); i++)
        candidates += wave_tally(r, i)->pending_online;
    return candidates;
}

bool waves_are_quiet(const struct rollout *r)
{
    uint32_t in_flight = 0;
    for (uint32_t i = 0; i <= r->open_wave; i++)
        in_flight += wave_tally(r, i)->in_progress;
    return in_flight == 0 && waves_candidates(r) == 0;
}

static bool has_proof(const struct rollout *r)
{
    const struct tally *t = is_hurrying(r) ? rollout_tally(r) : wave_tally(r, r->open_wave);
    return t->completed > 0 || t->total == 0;
}

bool waves_lack_proof(const struct rollout *r)
{
    return r->wave_state == WAVE_RUNNING && waves_are_quiet(r) && !has_proof(r);
}

bool waves_can_promote(const struct rollout *r)
{
    if (r->wave_state == WAVE_SOAKING)
        return !r->is_soaked;
    return waves_gate(r) != NULL && r->gate_state == GATE_WAITING;
}

bool waves_gate_undecided(const struct rollout *r, enum gate_undecided what)
{
    const struct gate_config *gate = waves_gate(r);
    return gate && r->gate_state == GATE_INCONCLUSIVE && gate->undecided == what;
}

/* ---- gates ---------------------------------------------------------------------------------- */

static bool time_is_over(const struct fleet *fleet, const struct rollout *r)
{
    return r->wave_due_at != 0 && r->stopped_at == 0 && fleet->now >= r->wave_due_at;
}

static void tell_gate(struct fleet *fleet, const struct rollout *r)
{
    static const uint8_t types[gate_state_count] = {
        [GATE_WAITING] = CHANGE_GATE_WAITING,
        [GATE_PASSED] = CHANGE_GATE_PASSED,
        [GATE_INCONCLUSIVE] = CHANGE_GATE_INCONCLUSIVE,
    };
    fleet_publish(fleet, &(struct change){ .type = types[r->gate_state],
                                           .slot = FLEET_NONE,
                                           .rollout = r->number,
                                           .wave = (uint16_t)r->open_wave,
                                           .gate = r->gate });
}

static void arm(const struct fleet *fleet, struct rollout *r, int64_t duration_ms)
{
    r->wave_due_at = duration_ms > 0 ? rollout_clock(fleet, r) + duration_ms : 0;
}

/* The only place that writes a gate's state, but for a wave that begins or is disarmed. */
static void step_gate(struct fleet *fleet, struct rollout *r, enum gate_event event)
{
    const struct gate_config *gate = present_gate(r);
    assert(gate);
    struct gate_view view = { .never_blocks = gate->is_dry_run,
                              .time_is_over = time_is_over(fleet, r) };
    const struct sm_row *row = gate_pick_row(r->gate_state, event, &view);
    if (!row)
        return;
    r->gate_state = sm_target(row, r->gate_state);
    if (row->then & SM_DO(gate, GATE_ARM))
        arm(fleet, r, gate->timeout_ms);
    if (row->then & SM_DO(gate, GATE_TELL))
        tell_gate(fleet, r);
    bool is_settled =
        r->gate_state == GATE_PASSED || (r->gate_state == GATE_INCONCLUSIVE &&
                                         (gate->is_dry_run || gate->undecided == UNDECIDED_PASSES));
    if (!is_settled)
        return;
    r->gate++;
    r->gate_state = GATE_NOT_STARTED;
    r->wave_due_at = 0;
}

/* ---- the wave machine ----------------------------------------------------------------------- */

static struct wave_view view_of(const struct fleet *fleet, const struct rollout *r)
{
    bool has_gate = present_gate(r) != NULL;
    bool is_timed_out = time_is_over(fleet, r);
    bool has_soak = wave_soak_ms(r, r->open_wave) > 0 && !r->is_soaked && !r->is_promoted;
    return (struct wave_view){
        .is_undone = !waves_are_quiet(r),
        .has_no_proof = !has_proof(r),
        .hurries = is_hurrying(r) && r->open_wave + 1 < r->wave_count && waves_candidates(r) == 0,
        .has_soak = has_soak,
        .soak_runs = has_soak && !is_timed_out,
        .has_gate = has_gate,
        .gate_waits = has_gate,
        .gate_moves = has_gate && (r->gate_state == GATE_NOT_STARTED ||
                                   (r->gate_state == GATE_WAITING && is_timed_out)),
    };
}

static void tell_wave(struct fleet *fleet, const struct rollout *r, enum change_type type)
{
    if (!r->waves[r->open_wave].config)
        return; /* the only wave of a rolling rollout is the rollout */
    fleet_publish(fleet, &(struct change){ .type = (uint8_t)type,
                                           .slot = FLEET_NONE,
                                           .rollout = r->number,
                                           .wave = (uint16_t)r->open_wave });
}

static void carry_out(struct fleet *fleet, struct rollout *r, uint32_t effects,
                      enum wave_event event)
{
    struct wave *wave = &r->waves[r->open_wave];
    if (effects & SM_DO(wave, WAVE_ADMIT)) {
        wave->opened_at = fleet->now;
        lots_admit(&r->live->lots, waves_admitted(r));
        tell_wave(fleet, r, CHANGE_WAVE_OPENED);
    }
    if (effects & SM_DO(wave, WAVE_ARM_SOAK))
        arm(fleet, r, wave_soak_ms(r, r->open_wave));
    if (effects & SM_DO(wave, WAVE_DISARM)) {
        r->wave_due_at = 0;
        r->gate_state = GATE_NOT_STARTED;
    }
    if (effects & SM_DO(wave, WAVE_SKIP_SOAK))
        r->is_soaked = true;
    if (effects & SM_DO(wave, WAVE_STEP_GATE) && event == WAVE_PROMOTE)
        step_gate(fleet, r, GATE_PROMOTE);
    else if (effects & SM_DO(wave, WAVE_STEP_GATE))
        step_gate(fleet, r, r->gate_state == GATE_NOT_STARTED ? GATE_BEGIN : GATE_EVALUATE);
    if (effects & SM_DO(wave, WAVE_CREDIT)) {
        wave->passed_at = fleet->now;
        tell_wave(fleet, r, CHANGE_WAVE_PASSED);
    }
}

/* The only place that writes the state of a wave. */
static void step(struct fleet *fleet, struct rollout *r, enum wave_event event)
{
    struct wave_view view = view_of(fleet, r);
    const struct sm_row *row = wave_pick_row(r->wave_state, event, &view);
    assert(row); /* who moves or promotes a wave has asked whether it would */
    r->wave_state = sm_target(row, r->wave_state);
    carry_out(fleet, r, row->then, event);
}

static bool next_may_open(const struct rollout *r)
{
    return r->wave_state == WAVE_PASSED && r->open_wave + 1 < r->wave_count;
}

bool waves_would_move(const struct fleet *fleet, const struct rollout *r)
{
    if (next_may_open(r))
        return true;
    struct wave_view view = view_of(fleet, r);
    const struct sm_row *row = wave_pick_row(r->wave_state, WAVE_EVALUATE, &view);
    return row && (row->to != SM_STAY || row->then != 0);
}

void waves_move(struct fleet *fleet, struct rollout *r)
{
    if (next_may_open(r)) {
        r->open_wave++;
        r->wave_state = WAVE_NOT_STARTED;
        r->gate = 0;
        r->gate_state = GATE_NOT_STARTED;
        r->is_soaked = false;
        r->wave_due_at = 0;
    }
    step(fleet, r, r->wave_state == WAVE_NOT_STARTED ? WAVE_OPEN : WAVE_EVALUATE);
}

void waves_promote(struct fleet *fleet, struct rollout *r, bool is_full)
{
    step(fleet, r, WAVE_PROMOTE);
    r->is_promoted |= is_full;
}

void waves_again(struct fleet *fleet, struct rollout *r)
{
    if (waves_gate(r))
        step_gate(fleet, r, GATE_AGAIN);
}
