/* SPDX-License-Identifier: Apache-2.0
 * place.h - everything that is derived of an instance's record: the counters it is counted in, the
 * member set it stands in, and its timer. One function computes the place, one applies the
 * difference, so that incremental and recomputed results cannot drift apart unnoticed. */
#ifndef DIDES_CORE_PLACE_H
#define DIDES_CORE_PLACE_H

#include "core/fleet.h"

/* What the member table needs to know about `inst` in `r`. */
struct member_view place_view(const struct fleet *fleet, const struct instance *inst,
                              const struct rollout *r);

/* What `inst` is to run in `r`: its order, or what it would be told. False: a rollback that does
 * not concern it. */
bool place_target(const struct fleet *fleet, const struct instance *inst, const struct rollout *r,
                  struct version *ret);

/* To be called after each change of the record: moves the instance to where it now belongs, as a
 * member of `live` (NULL: none) in `state` and `wave`. Needs no memory, but for labels that are new
 * to a failure domain, for which room was reserved. */
void place_put(struct fleet *fleet, uint32_t slot, struct rollout_live *live,
               enum member_state state, uint32_t wave);
/* The same, as the member it was. */
void place_again(struct fleet *fleet, uint32_t slot);
/* Writes into the record of which live rollout it is a member now; for fleet_touch(). Records that
 * are not touched keep what they said, so that a start need not write the whole fleet. */
void place_sign(const struct fleet *fleet, struct instance *inst);
/* The wave of a member of `r`; of a future one the wave it will belong to. */
uint32_t place_wave(const struct fleet *fleet, const struct instance *inst,
                    const struct rollout *r);
/* Replaces the labels of the record and takes over the caller's use of them; place_put() or
 * place_again() follow. */
void place_set_labels(struct fleet *fleet, struct instance *inst, uint32_t labels);
/* Out of all counters, sets and timers; for a record that goes. */
void place_take_out(struct fleet *fleet, uint32_t slot);

/* Sets the timer to the earliest instant at which something may have to happen to the instance. */
void place_arm(struct fleet *fleet, uint32_t slot);

/* When an online instance will be taken for offline unless it is heard. */
int64_t place_offline_at(const struct fleet *fleet, const struct instance *inst);

/* The member state that follows from the records alone: the order's, else by comparing versions. */
enum member_state place_derive_state(const struct fleet *fleet, const struct instance *inst,
                                     const struct rollout *r);
/* Whether `inst` is a member of `r` by the records alone. */
bool place_derive_member(const struct fleet *fleet, const struct instance *inst,
                         const struct rollout *r);

/* Derives everything anew from the records, for all but the keys and their order, which are right
 * already. Needs no memory when all live rollouts have their live part with all failure domains,
 * but is faster with some. False: it was needed, and what is derived is of no use now. */
bool place_derive(struct fleet *fleet);
/* The same with the keys, of a fleet that has all it needs. */
void place_rebuild(struct fleet *fleet);

/* Compares everything derived with a recomputation (I1, I3, I18). Returns the number of
 * differences; the first one is described in `ret_what`. Changes nothing. Costs the whole fleet. */
size_t place_check(struct fleet *fleet, struct err *ret_what);
/* The part of it that concerns single instances, for `count` slots from *cursor on, which moves and
 * starts anew at the end: a check in the background. */
size_t place_check_some(struct fleet *fleet, uint32_t *cursor, uint32_t count,
                        struct err *ret_what);

#endif
