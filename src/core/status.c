/* SPDX-License-Identifier: Apache-2.0
 * status.c - the tables of an instance's status and presence. doc/machines/instance.mmd and
 * presence.mmd are printed from them. */
#include "core/status.h"

/* clang-format off */
#define ROW(from, on, to, then) SM_ROW(instance, from, on, INSTANCE_ALWAYS, to, then)
static const struct sm_row instance_rows[] = {
    /*  from               on                      to                 then                            */
    ROW(INSTANCE_UNKNOWN,  INSTANCE_SAYS_UNKNOWN,  SM_STAY,           0),
    ROW(INSTANCE_UNKNOWN,  INSTANCE_SAYS_HEALTHY,  INSTANCE_HEALTHY,  SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_UNKNOWN,  INSTANCE_SAYS_DEGRADED, INSTANCE_DEGRADED, SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_UNKNOWN,  INSTANCE_SAYS_FAILED,   INSTANCE_FAILED,   SM_DO(instance, INSTANCE_TELL)),

    ROW(INSTANCE_HEALTHY,  INSTANCE_SAYS_UNKNOWN,  INSTANCE_UNKNOWN,  SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_HEALTHY,  INSTANCE_SAYS_HEALTHY,  SM_STAY,           0),
    ROW(INSTANCE_HEALTHY,  INSTANCE_SAYS_DEGRADED, INSTANCE_DEGRADED, SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_HEALTHY,  INSTANCE_SAYS_FAILED,   INSTANCE_FAILED,   SM_DO(instance, INSTANCE_TELL)),

    ROW(INSTANCE_DEGRADED, INSTANCE_SAYS_UNKNOWN,  INSTANCE_UNKNOWN,  SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_DEGRADED, INSTANCE_SAYS_HEALTHY,  INSTANCE_HEALTHY,  SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_DEGRADED, INSTANCE_SAYS_DEGRADED, SM_STAY,           0),
    ROW(INSTANCE_DEGRADED, INSTANCE_SAYS_FAILED,   INSTANCE_FAILED,   SM_DO(instance, INSTANCE_TELL)),

    ROW(INSTANCE_FAILED,   INSTANCE_SAYS_UNKNOWN,  INSTANCE_UNKNOWN,  SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_FAILED,   INSTANCE_SAYS_HEALTHY,  INSTANCE_HEALTHY,  SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_FAILED,   INSTANCE_SAYS_DEGRADED, INSTANCE_DEGRADED, SM_DO(instance, INSTANCE_TELL)),
    ROW(INSTANCE_FAILED,   INSTANCE_SAYS_FAILED,   SM_STAY,           0),
    ROW(INSTANCE_FAILED,   INSTANCE_RESET,         INSTANCE_UNKNOWN,  SM_DO(instance, INSTANCE_TELL)),
};
#undef ROW

const struct sm_machine instance_machine = {
    .name = "instance",
    .meaning = "what an instance says about its own health",
    .states = SM_WORDS(instance_state, INSTANCE_STATES),
    .events = SM_WORDS(instance_event, INSTANCE_EVENTS),
    .guards = SM_WORDS(instance_guard, INSTANCE_GUARDS),
    .effects = SM_WORDS(instance_effect, INSTANCE_EFFECTS),
    .rows = instance_rows,
    .row_count = sizeof instance_rows / sizeof instance_rows[0],
    .initial = INSTANCE_UNKNOWN,
};

#define ROW(from, on, to, then) SM_ROW(presence, from, on, PRESENCE_ALWAYS, to, then)
static const struct sm_row presence_rows[] = {
    ROW(PRESENCE_OFFLINE, PRESENCE_SEEN,   PRESENCE_ONLINE,  SM_DO(presence, PRESENCE_TELL_ONLINE)),
    ROW(PRESENCE_ONLINE,  PRESENCE_SEEN,   SM_STAY,          0),
    ROW(PRESENCE_ONLINE,  PRESENCE_SILENT, PRESENCE_OFFLINE, SM_DO(presence, PRESENCE_TELL_OFFLINE)),
};
#undef ROW
/* clang-format on */

const struct sm_machine presence_machine = {
    .name = "presence",
    .meaning = "whether an instance is heard",
    .states = SM_WORDS(presence_state, PRESENCE_STATES),
    .events = SM_WORDS(presence_event, PRESENCE_EVENTS),
    .guards = SM_WORDS(presence_guard, PRESENCE_GUARDS),
    .effects = SM_WORDS(presence_effect, PRESENCE_EFFECTS),
    .rows = presence_rows,
    .row_count = sizeof presence_rows / sizeof presence_rows[0],
    .initial = PRESENCE_ONLINE,
};
