// SPDX-License-Identifier: Apache-2.0
// header.cpp - sm.h is usable from C++: its words, rows and calls compile. Only checked, never run.
#include "sm/sm.h"

#define DOOR_STATES(X, T)  X(T, DOOR_OPEN, "open", "") X(T, DOOR_SHUT, "shut", "")
#define DOOR_EVENTS(X, T)  X(T, DOOR_PUSH, "push", "")
#define DOOR_GUARDS(X, T)  X(T, DOOR_ALWAYS, "always", "")
#define DOOR_EFFECTS(X, T) X(T, DOOR_RING, "ring", "")
SM_STATES(door_state, DOOR_STATES);
SM_EVENTS(door_event, DOOR_EVENTS);
SM_GUARDS(door_guard, DOOR_GUARDS);
SM_EFFECTS(door_effect, DOOR_EFFECTS);

extern const sm_row door_rows[];
const sm_row door_rows[] = {
    SM_ROW(door, DOOR_OPEN, DOOR_PUSH, DOOR_ALWAYS, DOOR_SHUT, SM_DO(door, DOOR_RING)),
    SM_ROW(door, DOOR_SHUT, DOOR_PUSH, DOOR_ALWAYS, SM_STAY, 0),
};

bool door_step(const sm_machine &machine, door_state *state, door_event event);
bool door_step(const sm_machine &machine, door_state *state, door_event event)
{
    const sm_row *row = sm_pick(&machine, *state, event, nullptr, nullptr);
    if (!row)
        return false;
    *state = static_cast<door_state>(sm_target(row, static_cast<uint8_t>(*state)));
    return true;
}
