/* SPDX-License-Identifier: Apache-2.0
 * view_waves.c - what clients see of a rollout's waves, their gates, and failure domains. */
#include "core/waves.h"
#include "wire/view.h"
#include "wire/words.h"

/* ---- waves ---------------------------------------------------------------------------------- */

/* The word of its machine, unless the rollout as a whole says more. */
static const char *state_of(const struct rollout *r, uint32_t wave)
{
    bool is_open = wave == r->open_wave;
    if (r->state == ROLLOUT_COMPLETED)
        return sm_word_at(&wave_machine.states, WAVE_PASSED);
    if (is_open && r->state == ROLLOUT_FAILED)
        return "failed";
    if (is_open && r->state == ROLLOUT_PAUSED)
        return "paused";
    return sm_word_at(&wave_machine.states, wave_state_at(r, wave));
}

/* When what is timed now is over; 0: nothing is, or clocks stand still. */
static int64_t due_at(const struct rollout *r, uint32_t wave, enum wave_state state)
{
    bool runs = wave == r->open_wave && r->wave_state == state && r->stopped_at == 0;
    return runs ? r->wave_due_at : 0;
}

static void write_gate(struct json_writer *w, const struct rollout *r, uint32_t wave, uint32_t gate)
{
    const struct gate_config *config = &r->waves[wave].config->gates[gate];
    enum gate_state state = wave_gate_state(r, wave, gate);
    json_begin_object(w);
    json_put_text(w, "name", config->name);
    json_put_text(w, "type", text_from(sm_word_at(&wire_gate_types, config->type)));
    json_put_text(w, "state", text_from(sm_word_at(&gate_machine.states, state)));
    json_put_time(w, "until", state == GATE_WAITING ? due_at(r, wave, WAVE_GATED) : 0);
    json_end_object(w);
}

static void put_gates(struct json_writer *w, const struct rollout *r, uint32_t wave, uint32_t count)
{
    json_key(w, "gates");
    json_begin_list(w);
    for (uint32_t gate = 0; gate < count; gate++)
        write_gate(w, r, wave, gate);
    json_end_list(w);
}

static void put_duration(struct json_writer *w, const char *key, int64_t ms)
{
    struct sentence s;
    sentence_init(&s);
    format_duration(&s.buffer, ms);
    json_put_text(w, key, buffer_text(&s.buffer));
}

/* Soaks and gates that were passed over in advance are told no more. */
static void write_wave(struct json_writer *w, const struct rollout *r, uint32_t i)
{
    const struct wave *wave = &r->waves[i];
    enum wave_state state = wave_state_at(r, i);
    bool is_skipped = r->is_promoted && state != WAVE_PASSED;
    json_begin_object(w);
    json_put_text(w, "name", wave_name(r, i));
    json_put_text(w, "state", text_from(state_of(r, i)));
    json_put_text(w, "mode", text_from(sm_word_at(&wire_modes, wave_mode(r, i))));
    json_put_u64(w, "batch_limit", wave_batch_limit(r, i));
    json_put_u64(w, "failure_limit", wave_threshold(r, i));
    put_duration(w, "soak", is_skipped ? 0 : wave_soak_ms(r, i));
    /* A round that was taken back may have left something there. */
    json_put_time(w, "opened_at", state == WAVE_NOT_STARTED ? 0 : wave->opened_at);
    json_put_time(w, "passed_at", state == WAVE_PASSED ? wave->passed_at : 0);
    json_put_time(w, "soak_until", due_at(r, i, WAVE_SOAKING));
    put_gates(w, r, i, is_skipped ? 0 : wave_gate_count(r, i));
    json_key(w, "progress");
    wire_write_progress(w, wave_tally(r, i));
    json_end_object(w);
}

void wire_write_waves(struct json_writer *w, const struct rollout *r)
{
    json_begin_list(w);
    for (uint32_t i = 0; i < r->wave_count; i++)
        write_wave(w, r, i);
    json_end_list(w);
}

/* ---- failure domains ------------------------------------------------------------------------ */

static void put_limit(struct json_writer *w, const char *key, uint32_t limit)
{
    if (limit == UINT32_MAX)
        json_put_null(w, key);
    else
        json_put_u64(w, key, limit);
}

static void write_domain(struct json_writer *w, const struct fleet *fleet, const struct lots *lots,
                         const struct cell *cell)
{
    bool has_value = cell->value != LABELS_ABSENT;
    json_begin_object(w);
    json_put_text(w, "label", lots->rollout->config.domains[cell->domain].label);
    json_key(w, "value");
    if (has_value)
        json_write_text(w, fleet_text(fleet, cell->value));
    else
        json_write_null(w);
    json_put_u64(w, "busy", cell->busy);
    put_limit(w, "max_in_progress", lots_room(lots, cell));
    put_limit(w, "max_failed", lots_failures(lots, cell));
    json_key(w, "progress");
    wire_write_progress(w, &cell->tally);
    json_end_object(w);
}

static bool is_at_limit(const struct lots *lots, const struct cell *cell)
{
    return cell->is_breached || cell->busy >= lots_room(lots, cell);
}

/* Those at a limit first: they are what one looks for among many. */
static uint32_t write_domains(struct json_writer *w, const struct fleet *fleet,
                              const struct lots *lots, bool at_limit, uint32_t room)
{
    uint32_t written = 0;
    for (uint32_t i = 0; i < lots->cell_count && written < room; i++) {
        const struct cell *cell = &lots->cells[i];
        if (cell->tally.total == 0 || is_at_limit(lots, cell) != at_limit)
            continue;
        write_domain(w, fleet, lots, cell);
        written++;
    }
    return written;
}

static uint32_t count_domains(const struct lots *lots)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < lots->cell_count; i++)
        count += lots->cells[i].tally.total > 0 ? 1 : 0;
    return count;
}

void wire_put_domains(struct json_writer *w, const struct fleet *fleet, const struct rollout *r)
{
    const struct lots *lots = r->live ? &r->live->lots : NULL;
    json_key(w, "domains");
    json_begin_list(w);
    if (lots) {
        uint32_t full = write_domains(w, fleet, lots, true, WIRE_DOMAINS_SHOWN);
        write_domains(w, fleet, lots, false, WIRE_DOMAINS_SHOWN - full);
    }
    json_end_list(w);
    json_put_u64(w, "domain_count", lots ? count_domains(lots) : 0);
}
