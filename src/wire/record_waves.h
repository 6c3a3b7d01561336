/* SPDX-License-Identifier: Apache-2.0
 * record_waves.h - the part of a stored rollout that is about its waves: where they end, when they
 * opened and passed, and what the open one waits for. */
#ifndef DIDES_WIRE_RECORD_WAVES_H
#define DIDES_WIRE_RECORD_WAVES_H

#include "core/fleet.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

struct stored_wave {
    struct text last_key;
    uint8_t last_rank;
    int64_t opened_at, passed_at;
    struct tally progress; /* of an ended rollout */
};

struct stored_waves {
    struct stored_wave *list;
    uint32_t count; /* 0: written before there were waves */
    uint32_t open, gate;
    uint8_t state, gate_state;
    bool is_soaked, is_promoted;
    int64_t due_at;
};

extern const struct json_table wire_stored_wave_table;

#define RECORD_RANK_MAX 7 /* of places in the order of picks (waves.c) */

/* Rows of the table of stored rollouts, for a member `waves` of `type`. */
/* clang-format off */
#define RECORD_WAVE_ROWS(type)                                                                                                                            \
    { .name = "waves", .kind = JSON_OBJECTS, JSON_AT(type, waves.list), JSON_COUNT(type, waves.count), .min = 1, .max = LIMIT_WAVES,                      \
      .sub = &wire_stored_wave_table, .meaning = "in their order" },                                                                                      \
    { .name = "open_wave", .kind = JSON_INTEGER, .max = LIMIT_WAVES - 1, JSON_AT(type, waves.open), .meaning = "index; those before it are passed" },    \
    { .name = "wave_state", .kind = JSON_WORD, .words = &wave_machine.states, JSON_AT(type, waves.state), .meaning = "of the open one" },                \
    { .name = "gate", .kind = JSON_INTEGER, .max = LIMIT_GATES, JSON_AT(type, waves.gate), .meaning = "index of its present gate" },                     \
    { .name = "gate_state", .kind = JSON_WORD, .words = &gate_machine.states, JSON_AT(type, waves.gate_state), .meaning = "of that" },                   \
    { .name = "soaked", .kind = JSON_BOOL, JSON_AT(type, waves.is_soaked), .meaning = "the soak of the open one has been skipped" },                     \
    { .name = "promoted", .kind = JSON_BOOL, JSON_AT(type, waves.is_promoted), .meaning = "all soaks and gates from here on are skipped" },              \
    { .name = "wave_due_at", .kind = JSON_INTEGER, .max = INT64_MAX, JSON_AT(type, waves.due_at), .meaning = "when the soak or the gate's time is over" }
/* clang-format on */

/* Members of the object that is open. */
void record_put_waves(struct json_writer *w, const struct rollout *r);
/* Into a record whose state, times and final counters were filled in, and whose waves were laid
 * out. *ret_fault says what is damaged, or is NULL for a lack of memory. */
bool record_take_waves(struct rollout *r, const struct stored_waves *s, const char **ret_fault);

#endif
