/* SPDX-License-Identifier: Apache-2.0
 * status.h - what an instance says about itself, and whether it is heard at all: two small
 * machines. Source: spec of rollouts, section 3. */
#ifndef DIDES_CORE_STATUS_H
#define DIDES_CORE_STATUS_H

#include "sm/sm.h"

/* clang-format off */
/* The number of a status is part of the API: never reorder. */
#define INSTANCE_STATES(X, T)                                                                   \
    X(T, INSTANCE_UNKNOWN,  "UNKNOWN",  "registered and nothing reported yet, or reset")        \
    X(T, INSTANCE_HEALTHY,  "HEALTHY",  "works normally")                                       \
    X(T, INSTANCE_DEGRADED, "DEGRADED", "works, but not fully")                                 \
    X(T, INSTANCE_FAILED,   "FAILED",   "does not work")

#define INSTANCE_EVENTS(X, T)                                                                   \
    X(T, INSTANCE_SAYS_UNKNOWN,  "reports_unknown",  "a heartbeat with status 0")               \
    X(T, INSTANCE_SAYS_HEALTHY,  "reports_healthy",  "a heartbeat with status 1")               \
    X(T, INSTANCE_SAYS_DEGRADED, "reports_degraded", "a heartbeat with status 2")               \
    X(T, INSTANCE_SAYS_FAILED,   "reports_failed",   "a heartbeat with status 3")               \
    X(T, INSTANCE_RESET,         "reset",            "a rollback starts")

#define INSTANCE_GUARDS(X, T)  X(T, INSTANCE_ALWAYS, "always", "no condition")
#define INSTANCE_EFFECTS(X, T) X(T, INSTANCE_TELL, "publish", "the journal gets instance.updated")

#define PRESENCE_STATES(X, T)                                                                   \
    X(T, PRESENCE_OFFLINE, "offline", "no heartbeat within its timeout")                        \
    X(T, PRESENCE_ONLINE,  "online",  "a heartbeat or registration within its timeout")

#define PRESENCE_EVENTS(X, T)                                                                   \
    X(T, PRESENCE_SEEN,   "seen",   "a heartbeat or a registration arrived")                    \
    X(T, PRESENCE_SILENT, "silent", "the heartbeat timeout has passed")

#define PRESENCE_GUARDS(X, T)  X(T, PRESENCE_ALWAYS, "always", "no condition")
#define PRESENCE_EFFECTS(X, T)                                                                  \
    X(T, PRESENCE_TELL_ONLINE,  "publish_online",  "the journal gets instance.online")          \
    X(T, PRESENCE_TELL_OFFLINE, "publish_offline", "the journal gets instance.offline")
/* clang-format on */

SM_STATES(instance_state, INSTANCE_STATES);
SM_EVENTS(instance_event, INSTANCE_EVENTS);
SM_GUARDS(instance_guard, INSTANCE_GUARDS);
SM_EFFECTS(instance_effect, INSTANCE_EFFECTS);
SM_STATES(presence_state, PRESENCE_STATES);
SM_EVENTS(presence_event, PRESENCE_EVENTS);
SM_GUARDS(presence_guard, PRESENCE_GUARDS);
SM_EFFECTS(presence_effect, PRESENCE_EFFECTS);

extern const struct sm_machine instance_machine;
extern const struct sm_machine presence_machine;

#endif
