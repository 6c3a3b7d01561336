/* SPDX-License-Identifier: Apache-2.0
 * member.h - the update state of one instance in one live rollout.
 * The table says what a report, a timer or a pick does to it; everything a guard needs to know is
 * in struct member_view, so that the table can be tested and planned with without a fleet. Source:
 * spec of rollouts, 5.2 and 5.3. */
#ifndef DIDES_CORE_MEMBER_H
#define DIDES_CORE_MEMBER_H

#include "core/status.h"
#include "sm/sm.h"

/* clang-format off */
#define MEMBER_STATES(X, T)                                                                     \
    X(T, MEMBER_NONE,        "none",           "belongs to no live rollout")                    \
    X(T, MEMBER_NOT_NEEDED,  "not_needed",     "ran the target before anybody asked")           \
    X(T, MEMBER_PENDING,     "needing_update", "waits for a free slot")                         \
    X(T, MEMBER_IN_PROGRESS, "in_progress",    "was told to run the target; holds a slot")      \
    X(T, MEMBER_COMPLETED,   "completed",      "was seen healthy on the target")                \
    X(T, MEMBER_FAILED,      "failed",         "failed by its report or by a deadline")

#define MEMBER_EVENTS(X, T)                                                                     \
    X(T, MEMBER_JOIN,     "join",     "the selector came to match")                             \
    X(T, MEMBER_REPORT,   "report",   "a heartbeat arrived")                                    \
    X(T, MEMBER_PICK,     "pick",     "a slot is free and it is its turn")                      \
    X(T, MEMBER_REASSIGN, "reassign", "a rollback takes it over at once")                       \
    X(T, MEMBER_TIMER,    "timer",    "one of its instants has come")                           \
    X(T, MEMBER_RETRY,    "retry",    "an operator wants another attempt")                      \
    X(T, MEMBER_LEAVE,    "leave",    "deleted, or the selector no longer matches")

#define MEMBER_GUARDS(X, T)                                                                     \
    X(T, MEMBER_ALWAYS,        "always",        "no condition")                                 \
    X(T, MEMBER_IS_EXEMPT,     "exempt",        "a rollback does not concern it")               \
    X(T, MEMBER_ON_TARGET,     "on_target",     "it runs the target")                           \
    X(T, MEMBER_IS_SETTLED,    "settled",       "online, on the target and HEALTHY for min_healthy_time") \
    X(T, MEMBER_BROKE,         "broke",         "FAILED, and not as it was when picked")        \
    X(T, MEMBER_IS_SICK,       "sick_too_long", "on the target, not HEALTHY at its health deadline") \
    X(T, MEMBER_IS_LATE,       "late",          "not HEALTHY on the target at its instance deadline") \
    X(T, MEMBER_REGRESSED,     "regressed",     "FAILED, or off the target again")

#define MEMBER_EFFECTS(X, T)                                                                    \
    X(T, MEMBER_ASSIGN,           "assign",           "wish := target, deadlines set, agent woken") \
    X(T, MEMBER_CREDIT,           "credit",           "the journal gets member.completed")      \
    X(T, MEMBER_BLAME_REPORT,     "blame_report",     "failed, cause reported")                 \
    X(T, MEMBER_BLAME_HEALTH,     "blame_health",     "failed, cause unhealthy")                \
    X(T, MEMBER_BLAME_TIME,       "blame_time",       "failed, cause timeout")                  \
    X(T, MEMBER_BLAME_REGRESSION, "blame_regression", "failed, cause regressed")

/* Why a member failed. */
#define MEMBER_CAUSES(X)                                                                        \
    X(CAUSE_NONE,      NULL)                                                                    \
    X(CAUSE_REPORTED,  "reported")                                                              \
    X(CAUSE_UNHEALTHY, "unhealthy")                                                             \
    X(CAUSE_TIMEOUT,   "timeout")                                                               \
    X(CAUSE_REGRESSED, "regressed")
/* clang-format on */

SM_STATES(member_state, MEMBER_STATES);
SM_EVENTS(member_event, MEMBER_EVENTS);
SM_GUARDS(member_guard, MEMBER_GUARDS);
SM_EFFECTS(member_effect, MEMBER_EFFECTS);

enum member_cause {
#define CAUSE_ITEM(id, word) id,
    MEMBER_CAUSES(CAUSE_ITEM)
#undef CAUSE_ITEM
        MEMBER_CAUSE_COUNT
};

/* What the guards look at. Times are ms since the epoch; 0 = not set. */
struct member_view {
    int64_t now;
    int64_t healthy_since; /* on the target and HEALTHY without a break since */
    int64_t min_healthy_ms;
    int64_t deadline_at, health_deadline_at;
    enum instance_state status, status_when_picked;
    bool is_on_target, is_online;
    bool is_exempt;          /* of a rollback that does not restore it */
    bool clocks_stand_still; /* the rollout is paused: deadlines do not act */
};

extern const struct sm_machine member_machine;

/* The row that `event` follows for a member in `state`, or NULL when it is refused. */
const struct sm_row *member_pick_row(enum member_state state, enum member_event event,
                                     const struct member_view *view);

/* The earliest instant at which a MEMBER_TIMER may matter; INT64_MAX: none. */
int64_t member_due(enum member_state state, const struct member_view *view);

/* The cause that the effects of a row blame, or CAUSE_NONE. */
enum member_cause member_blamed_cause(uint32_t effects);

/* "reported", ...; NULL for CAUSE_NONE. */
const char *member_cause_word(enum member_cause cause);

#endif
