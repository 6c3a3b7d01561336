/* SPDX-License-Identifier: Apache-2.0
 * admission.h - making and starting rollouts: what deploy, retry and rollback have in common. */
#ifndef DIDES_CORE_ADMISSION_H
#define DIDES_CORE_ADMISSION_H

#include "core/command.h"

/* A record outside the fleet with selector, texts and configuration, already with a live part. */
struct rollout *admission_draft(struct fleet *fleet, const struct selector *selector,
                                const struct rollout_config *config, uint32_t rollback_of,
                                struct text reason, struct err *err);
/* D3: whether another live rollout is in the way of `selector`; `but` (may be NULL) is not. Then
 * false, *ret_other and *err. */
bool admission_is_free(const struct fleet *fleet, const struct selector *selector,
                       const struct rollout *but, struct rollout **ret_other, struct err *err);
/* Puts the draft into the fleet and tells the journal; members join after that. */
void admission_enter(struct fleet *fleet, struct rollout *r);
/* After its members have joined: COMPLETED at once when nobody needs it, else RUNNING. The caller
 * has reserved for the first picks. */
void admission_start(struct fleet *fleet, struct rollout *r);

/* The command that made `r`, to make it again; texts are borrowed from the fleet. */
struct deploy_command admission_again(const struct fleet *fleet, const struct rollout *r);
/* fleet_deploy() for a retry: ERR_NOTHING_TO_RETRY when no member needs the update. */
struct rollout *admission_retry(struct fleet *fleet, const struct rollout *r, struct text reason,
                                struct rollout **ret_other, struct err *err);

#endif
