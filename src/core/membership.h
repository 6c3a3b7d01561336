/* SPDX-License-Identifier: Apache-2.0
 * membership.h - instances joining, moving through and leaving live rollouts.
 * member_step() is the only place that writes a member's state. All functions assume that
 * fleet_reserve() was called for the instances they change. */
#ifndef DIDES_CORE_MEMBERSHIP_H
#define DIDES_CORE_MEMBERSHIP_H

#include "core/fleet.h"

/* Follows `event` for a member (or, with MEMBER_JOIN and MEMBER_REASSIGN, a future one) of `r`:
 * state, order, counters, sets, timer and journal. False: the table refuses it, nothing changed. */
bool member_step(struct fleet *fleet, struct rollout *r, uint32_t slot, enum member_event event);

/* After a report was recorded: what it says about the order's target, before MEMBER_REPORT. */
void member_note_report(struct fleet *fleet, const struct rollout *r, uint32_t slot);

/* After labels changed: leaves the rollout that no longer selects it, joins the one that does now.
 */
void member_review(struct fleet *fleet, uint32_t slot);

/* A rollback ends before this member of it was seen on the restored version: what it undoes has
 * still changed the instance, and may be undone again. Touches. */
void member_still_touched(struct fleet *fleet, const struct rollout *r, uint32_t slot);

/* The wish becomes the parts that `target` names; generation and wake-up follow. Touches. */
void member_wish(struct fleet *fleet, uint32_t slot, struct version target);
/* Takes a wish back: it becomes what ran before the order, or empty. Touches. */
void member_withdraw(struct fleet *fleet, uint32_t slot);
/* The wish becomes empty: nobody knows what the instance should run. Touches. */
void member_wish_nothing(struct fleet *fleet, uint32_t slot);

#endif
