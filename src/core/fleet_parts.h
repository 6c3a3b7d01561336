/* SPDX-License-Identifier: Apache-2.0
 * fleet_parts.h - what the files fleet*.c share; nobody else includes it. */
#ifndef DIDES_CORE_FLEET_PARTS_H
#define DIDES_CORE_FLEET_PARTS_H

#include "core/fleet.h"

/* Grows an array to at least `wanted` items; doubling keeps the cost of many calls linear. */
bool fleet_grow(const struct memory *memory, void **items, uint32_t *capacity, size_t wanted,
                size_t item_size);

/* Uses of counted texts by a record; one more, one less. */
void fleet_share_version(struct fleet *fleet, struct version v);
void fleet_drop_version(struct fleet *fleet, struct version v);
void fleet_share_record(struct fleet *fleet, const struct instance *inst);
void fleet_drop_record(struct fleet *fleet, struct instance *inst);
void fleet_free_slot(struct fleet *fleet, uint32_t slot);
/* Out of the key map and the order of keys. */
void fleet_unindex(struct fleet *fleet, uint32_t slot);

void fleet_free_rollout(struct fleet *fleet, struct rollout *r);
void fleet_link_rollout(struct fleet *fleet, struct rollout *r); /* there must be room */
void fleet_unlink_rollout(struct fleet *fleet, const struct rollout *r);

/* The log of the open round; there must be room. */
enum fleet_log_kind { LOG_ADDED, LOG_FORGOTTEN };
void fleet_log_new(struct fleet *fleet, uint32_t slot);
void fleet_log_rollout(struct fleet *fleet, struct rollout *r, enum fleet_log_kind kind);
/* Moves deadlines by the time in which no server ran; to be done again when the round that has it
 * is taken back. Needs no more room than the first time. */
void fleet_resume_clocks(struct fleet *fleet);
void fleet_log_release(struct fleet *fleet);
void fleet_clear_changes(struct fleet *fleet);

#endif
