/* SPDX-License-Identifier: Apache-2.0
 * record.h - the durable form of instances and rollouts: one JSON object per record.
 * Members are named as in the API where they mean the same. States, causes and choices are words,
 * durations and amounts are texts, instants are integers in ms since the epoch. Members with their
 * default value (0, false, none, empty) are left out, unless people would miss them in the views
 * that the store offers. A member that no dides of this version writes is a damage, never ignored.
 *
 * Not stored: everything derived (fleet.h), when an instance was last heard (the engine keeps that
 * apart), its clock skew and interval. Storing what was loaded gives the same bytes. */
#ifndef DIDES_WIRE_RECORD_H
#define DIDES_WIRE_RECORD_H

#include "core/fleet.h"

/* ---- keys ----------------------------------------------------------------------------------- */

void wire_instance_key(struct buffer *out, struct text key); /* instance/<percent-encoded> */
void wire_rollout_key(struct buffer *out, uint32_t number);  /* rollout/00000042 */
void wire_event_key(struct buffer *out, uint64_t index);     /* event/00000000000000000042 */

/* ---- records -------------------------------------------------------------------------------- */

void wire_store_instance(struct buffer *out, const struct fleet *fleet, uint32_t slot);
/* Adds the instance to the fleet. Fails with ERR_CORRUPT, the sentence naming the key, when the
 * record is anything but one that wire_store_instance() may have written for this key, and with
 * ERR_MEMORY; then the fleet is good for fleet_release() only. last_seen becomes registered_at.
 * `scratch` is used up by some multiple of the record's size. */
bool wire_load_instance(struct fleet *fleet, struct text key, struct text json,
                        struct arena *scratch, struct err *err);

/* The two halves of it, for a loader with several threads: the first knows no fleet. What it gives
 * lies in `scratch`, with texts in `key` and `json`. */
struct wire_stored_instance;
bool wire_decode_instance(struct text key, struct text json, struct arena *scratch,
                          const struct wire_stored_instance **ret, struct err *err);
bool wire_add_instance(struct fleet *fleet, struct text key,
                       const struct wire_stored_instance *stored, struct err *err);

/* The counters of a live rollout are written for people and not loaded: they are derived. */
void wire_store_rollout(struct buffer *out, const struct fleet *fleet, const struct rollout *r);
/* As wire_load_instance(); fleet_finish_loading() makes live ones live. */
bool wire_load_rollout(struct fleet *fleet, struct text key, struct text json,
                       struct arena *scratch, struct err *err);

/* ---- journal entries ------------------------------------------------------------------------ */

struct wire_event_head {
    uint8_t type;     /* enum change_type */
    uint32_t rollout; /* number, or 0 */
};
/* What filters need of a stored entry (event.h), without reading the rest. Fails with ERR_CORRUPT
 * when it does not begin as one, or its index is not that of the key. `scratch` is not used. */
bool wire_read_event_head(struct text key, struct text json, struct arena *scratch,
                          uint64_t *ret_index, struct wire_event_head *ret, struct err *err);

#endif
