/* SPDX-License-Identifier: Apache-2.0
 * record_waves.c - see record_waves.h. */
#include "wire/record_waves.h"

#include "core/waves.h"
#include "wire/progress.h"
#include "wire/record_parts.h"

/* clang-format off */
#define AT(member) JSON_AT(struct stored_wave, member)
static const struct json_field fields[] = {
    { .name = "last_key", .kind = JSON_TEXT, AT(last_key), .min = 1, .max = LIMIT_NAME, .meaning = "its last member in the order of picks at the start, if it has a size" },
    { .name = "last_rank", .kind = JSON_INTEGER, .max = RECORD_RANK_MAX, AT(last_rank), .meaning = "where that order began with it" },
    { .name = "opened_at", .kind = JSON_INTEGER, .max = INT64_MAX, AT(opened_at), .meaning = "when its members became candidates" },
    { .name = "passed_at", .kind = JSON_INTEGER, .max = INT64_MAX, AT(passed_at), .meaning = "when the next one might open" },
    { .name = "progress", .kind = JSON_OBJECT, .sub = &wire_tally_table, AT(progress), .meaning = "counters when the rollout ended" },
};
#undef AT
/* clang-format on */

const struct json_table wire_stored_wave_table = {
    .name = "stored_wave",
    .fields = fields,
    .count = sizeof fields / sizeof fields[0],
    .size = sizeof(struct stored_wave),
    .given_offset = JSON_NOT_KEPT,
};

/* ---- storing -------------------------------------------------------------------------------- */

/* The counters of a live rollout's waves follow from its members: they would be written again with
 * every change. What a wave became in a round that was taken back still stands in it, and means
 * nothing. */
static void put_wave(struct json_writer *w, const struct rollout *r, uint32_t i)
{
    const struct wave *wave = &r->waves[i];
    enum wave_state state = wave_state_at(r, i);
    json_begin_object(w);
    record_put_text(w, "last_key", wave->last_key);
    record_put_number(w, "last_rank", wave->last_rank);
    record_put_number(w, "opened_at", state == WAVE_NOT_STARTED ? 0 : wave->opened_at);
    record_put_number(w, "passed_at", state == WAVE_PASSED ? wave->passed_at : 0);
    if (!rollout_is_live(r)) {
        json_key(w, "progress");
        json_write_table(w, &wire_tally_table, wave_tally(r, i), JSON_ABSENT_IS_OMITTED);
    }
    json_end_object(w);
}

void record_put_waves(struct json_writer *w, const struct rollout *r)
{
    json_key(w, "waves");
    json_begin_list(w);
    for (uint32_t i = 0; i < r->wave_count; i++)
        put_wave(w, r, i);
    json_end_list(w);
    record_put_number(w, "open_wave", r->open_wave);
    record_put_word(w, "wave_state", &wave_machine.states, r->wave_state);
    record_put_number(w, "gate", r->gate);
    record_put_word(w, "gate_state", &gate_machine.states, r->gate_state);
    record_put_true(w, "soaked", r->is_soaked);
    record_put_true(w, "promoted", r->is_promoted);
    record_put_number(w, "wave_due_at", r->wave_due_at);
}

/* ---- loading -------------------------------------------------------------------------------- */

/* What a rollout was before there were waves: one, that holds everybody. */
static void take_only_one(struct rollout *r)
{
    struct wave *all = &r->waves[0];
    if (r->started_at == 0)
        return;
    all->opened_at = r->started_at;
    r->wave_state = r->state == ROLLOUT_COMPLETED ? WAVE_PASSED : WAVE_RUNNING;
    all->passed_at = r->state == ROLLOUT_COMPLETED ? r->ended_at : 0;
    all->final = r->final;
}

static bool take_wave(struct rollout *r, const struct stored_wave *s, struct wave *wave)
{
    wave->last_rank = s->last_rank;
    wave->opened_at = s->opened_at;
    wave->passed_at = s->passed_at;
    if (!rollout_is_live(r))
        wave->final = s->progress;
    return arena_copy(&r->arena, s->last_key, &wave->last_key);
}

bool record_take_waves(struct rollout *r, const struct stored_waves *s, const char **ret_fault)
{
    *ret_fault = NULL;
    if (s->count == 0 && r->wave_count == 1) {
        take_only_one(r);
        return true;
    }
    if (s->count != r->wave_count)
        *ret_fault = "/waves are not those of its configuration";
    else if (s->open >= r->wave_count)
        *ret_fault = "/open_wave is none of its waves";
    if (*ret_fault)
        return false;
    r->open_wave = s->open;
    r->wave_state = s->state;
    r->gate = (uint16_t)s->gate;
    r->gate_state = s->gate_state;
    r->is_soaked = s->is_soaked;
    r->is_promoted = s->is_promoted;
    r->wave_due_at = s->due_at;
    for (uint32_t i = 0; i < r->wave_count; i++)
        if (!take_wave(r, &s->list[i], &r->waves[i]))
            return false;
    return true;
}
