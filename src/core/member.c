/* SPDX-License-Identifier: Apache-2.0
 * member.c - the member table. doc/machines/member.mmd is printed from it. */
#include "core/member.h"

/* clang-format off */
#define ROW(from, on, when, to, then) SM_ROW(member, from, on, when, to, then)
#define DO(effect) SM_DO(member, effect)
static const struct sm_row rows[] = {
    /*  from                on               when              to                  then                        */
    ROW(MEMBER_NONE,        MEMBER_JOIN,     MEMBER_IS_EXEMPT,  MEMBER_NOT_NEEDED,  0),
    ROW(MEMBER_NONE,        MEMBER_JOIN,     MEMBER_ON_TARGET,  MEMBER_NOT_NEEDED,  0),
    ROW(MEMBER_NONE,        MEMBER_JOIN,     MEMBER_ALWAYS,     MEMBER_PENDING,     0),
    ROW(MEMBER_NONE,        MEMBER_REASSIGN, MEMBER_ALWAYS,     MEMBER_IN_PROGRESS, DO(MEMBER_ASSIGN)),

    ROW(MEMBER_NOT_NEEDED,  MEMBER_REPORT,   MEMBER_IS_EXEMPT,  SM_STAY,            0),
    ROW(MEMBER_NOT_NEEDED,  MEMBER_REPORT,   MEMBER_ON_TARGET,  SM_STAY,            0),
    ROW(MEMBER_NOT_NEEDED,  MEMBER_REPORT,   MEMBER_ALWAYS,     MEMBER_PENDING,     0),
    ROW(MEMBER_NOT_NEEDED,  MEMBER_LEAVE,    MEMBER_ALWAYS,     MEMBER_NONE,        0),

    ROW(MEMBER_PENDING,     MEMBER_REPORT,   MEMBER_ON_TARGET,  MEMBER_NOT_NEEDED,  0),
    ROW(MEMBER_PENDING,     MEMBER_REPORT,   MEMBER_ALWAYS,     SM_STAY,            0),
    ROW(MEMBER_PENDING,     MEMBER_PICK,     MEMBER_ALWAYS,     MEMBER_IN_PROGRESS, DO(MEMBER_ASSIGN)),
    ROW(MEMBER_PENDING,     MEMBER_LEAVE,    MEMBER_ALWAYS,     MEMBER_NONE,        0),

    ROW(MEMBER_IN_PROGRESS, MEMBER_REPORT,   MEMBER_IS_SETTLED, MEMBER_COMPLETED,   DO(MEMBER_CREDIT)),
    ROW(MEMBER_IN_PROGRESS, MEMBER_REPORT,   MEMBER_BROKE,      MEMBER_FAILED,      DO(MEMBER_BLAME_REPORT)),
    ROW(MEMBER_IN_PROGRESS, MEMBER_REPORT,   MEMBER_ALWAYS,     SM_STAY,            0),
    ROW(MEMBER_IN_PROGRESS, MEMBER_TIMER,    MEMBER_IS_SETTLED, MEMBER_COMPLETED,   DO(MEMBER_CREDIT)),
    ROW(MEMBER_IN_PROGRESS, MEMBER_TIMER,    MEMBER_IS_SICK,    MEMBER_FAILED,      DO(MEMBER_BLAME_HEALTH)),
    ROW(MEMBER_IN_PROGRESS, MEMBER_TIMER,    MEMBER_IS_LATE,    MEMBER_FAILED,      DO(MEMBER_BLAME_TIME)),
    ROW(MEMBER_IN_PROGRESS, MEMBER_TIMER,    MEMBER_ALWAYS,     SM_STAY,            0),
    ROW(MEMBER_IN_PROGRESS, MEMBER_LEAVE,    MEMBER_ALWAYS,     MEMBER_NONE,        0),

    ROW(MEMBER_FAILED,      MEMBER_REPORT,   MEMBER_IS_SETTLED, MEMBER_COMPLETED,   DO(MEMBER_CREDIT)),
    ROW(MEMBER_FAILED,      MEMBER_REPORT,   MEMBER_ALWAYS,     SM_STAY,            0),
    ROW(MEMBER_FAILED,      MEMBER_TIMER,    MEMBER_IS_SETTLED, MEMBER_COMPLETED,   DO(MEMBER_CREDIT)),
    ROW(MEMBER_FAILED,      MEMBER_TIMER,    MEMBER_ALWAYS,     SM_STAY,            0),
    ROW(MEMBER_FAILED,      MEMBER_RETRY,    MEMBER_ALWAYS,     MEMBER_PENDING,     0),
    ROW(MEMBER_FAILED,      MEMBER_LEAVE,    MEMBER_ALWAYS,     MEMBER_NONE,        0),

    ROW(MEMBER_COMPLETED,   MEMBER_REPORT,   MEMBER_REGRESSED,  MEMBER_FAILED,      DO(MEMBER_BLAME_REGRESSION)),
    ROW(MEMBER_COMPLETED,   MEMBER_REPORT,   MEMBER_ALWAYS,     SM_STAY,            0),
    ROW(MEMBER_COMPLETED,   MEMBER_LEAVE,    MEMBER_ALWAYS,     MEMBER_NONE,        0),
};
#undef DO
#undef ROW
/* clang-format on */

const struct sm_machine member_machine = {
    .name = "member",
    .meaning = "the update state of one instance in one live rollout",
    .states = SM_WORDS(member_state, MEMBER_STATES),
    .events = SM_WORDS(member_event, MEMBER_EVENTS),
    .guards = SM_WORDS(member_guard, MEMBER_GUARDS),
    .effects = SM_WORDS(member_effect, MEMBER_EFFECTS),
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .initial = MEMBER_NONE,
};

/* HEALTHY on the target by a report that came after the order. */
static bool is_well(const struct member_view *v)
{
    return v->is_on_target && v->status == INSTANCE_HEALTHY && v->healthy_since != 0;
}

/* Who is not heard is not well: a member that dies while it settles must not hold its slot for
 * ever. */
static bool is_heard_well(const struct member_view *v)
{
    return v->is_online && is_well(v);
}

static bool is_overdue(const struct member_view *v, int64_t deadline)
{
    return deadline != 0 && !v->clocks_stand_still && v->now >= deadline && !is_heard_well(v);
}

static bool holds(const void *subject, unsigned guard)
{
    const struct member_view *v = subject;
    switch ((enum member_guard)guard) {
    case MEMBER_IS_EXEMPT: return v->is_exempt;
    case MEMBER_ON_TARGET: return v->is_on_target;
    case MEMBER_IS_SETTLED:
        return is_heard_well(v) && v->now - v->healthy_since >= v->min_healthy_ms;
    case MEMBER_BROKE:
        return v->status == INSTANCE_FAILED &&
               (v->is_on_target || v->status_when_picked != INSTANCE_FAILED);
    case MEMBER_IS_SICK:
        return v->is_on_target && is_overdue(v, v->health_deadline_at) &&
               (v->deadline_at == 0 || v->health_deadline_at <= v->deadline_at);
    case MEMBER_IS_LATE: return is_overdue(v, v->deadline_at);
    case MEMBER_REGRESSED: return v->status == INSTANCE_FAILED || !v->is_on_target;
    case MEMBER_ALWAYS:
    case member_guard_count: break;
    }
    return true;
}

const struct sm_row *member_pick_row(enum member_state state, enum member_event event,
                                     const struct member_view *view)
{
    return sm_pick(&member_machine, state, event, holds, view);
}

static int64_t earlier(int64_t due, int64_t instant)
{
    return instant != 0 && instant < due ? instant : due;
}

int64_t member_due(enum member_state state, const struct member_view *v)
{
    if (state != MEMBER_IN_PROGRESS && state != MEMBER_FAILED)
        return INT64_MAX;
    if (is_heard_well(v))
        return v->healthy_since + v->min_healthy_ms;
    if (state == MEMBER_FAILED || v->clocks_stand_still)
        return INT64_MAX;
    int64_t due = earlier(INT64_MAX, v->deadline_at);
    return v->is_on_target ? earlier(due, v->health_deadline_at) : due;
}

enum member_cause member_blamed_cause(uint32_t effects)
{
    if (effects & SM_DO(member, MEMBER_BLAME_REPORT))
        return CAUSE_REPORTED;
    if (effects & SM_DO(member, MEMBER_BLAME_HEALTH))
        return CAUSE_UNHEALTHY;
    if (effects & SM_DO(member, MEMBER_BLAME_TIME))
        return CAUSE_TIMEOUT;
    if (effects & SM_DO(member, MEMBER_BLAME_REGRESSION))
        return CAUSE_REGRESSED;
    return CAUSE_NONE;
}

const char *member_cause_word(enum member_cause cause)
{
    static const char *const words[] = {
#define CAUSE_ITEM(id, word) [id] = word,
        MEMBER_CAUSES(CAUSE_ITEM)
#undef CAUSE_ITEM
    };
    return cause < MEMBER_CAUSE_COUNT ? words[cause] : NULL;
}
