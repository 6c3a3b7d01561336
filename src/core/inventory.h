/* SPDX-License-Identifier: Apache-2.0
 * inventory.h - what other parts of the core ask of an instance's own machines. */
#ifndef DIDES_CORE_INVENTORY_H
#define DIDES_CORE_INVENTORY_H

#include "core/fleet.h"

/* FAILED becomes UNKNOWN because a rollback starts; nothing happens otherwise. Touches. */
bool inventory_reset(struct fleet *fleet, uint32_t slot);
/* The heartbeat timeout has passed. Touches. */
void inventory_silent(struct fleet *fleet, uint32_t slot);

#endif
