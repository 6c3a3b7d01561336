/* SPDX-License-Identifier: Apache-2.0
 * test_tables.c - the tables of the core against those of the spec of rollouts: 3.1, 4.1, 5.2, 5.3,
 * P5 of 6.2, 7.3; and R18 of the reliability guide. Every row of every machine is taken by some
 * case here. */
#include "core/gate.h"
#include "core/member.h"
#include "core/rollout.h"
#include "core/silence.h"
#include "core/status.h"
#include "core/wave.h"

#include "base/suite.h"

#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void complain(void *ctx, const struct sm_finding *finding)
{
    const struct sm_machine *machine = ctx;
    if (finding->severity != SM_NOTE_)
        print_error("%s: %s: %s (%s)\n", machine->name, finding->code, finding->text,
                    finding->witness);
}

static void test_all_tables_are_sound(void **state)
{
    (void)state;
    const struct sm_machine *machines[] = { &instance_machine, &presence_machine, &member_machine,
                                            &rollout_machine,  &wave_machine,     &gate_machine,
                                            &silence_machine };

    for (size_t i = 0; i < COUNT(machines); i++) {
        struct sm_machine machine = *machines[i];
        assert_int_equal(sm_check(&machine, complain, &machine), 0);
    }
}

/* ---- coverage of rows ----------------------------------------------------------------------- */

static uint64_t taken; /* rows of one machine, one bit each */

static void take(const struct sm_machine *machine, const struct sm_row *row)
{
    taken |= 1ull << (row - machine->rows);
}

/* Rows to SM_REFUSE are never returned by a pick. */
static void assert_all_taken(const struct sm_machine *machine)
{
    for (size_t i = 0; i < machine->row_count; i++)
        if (machine->rows[i].to != SM_REFUSE && !(taken >> i & 1))
            fail_msg("no case takes row %zu of %s", i, machine->name);
    taken = 0;
}

/* ---- 3.1 ------------------------------------------------------------------------------------ */

static void test_a_status_becomes_what_is_reported(void **state)
{
    (void)state;

    for (unsigned from = 0; from < instance_state_count; from++) {
        for (unsigned said = 0; said < instance_state_count; said++) {
            const struct sm_row *row =
                sm_pick(&instance_machine, from, INSTANCE_SAYS_UNKNOWN + said, NULL, NULL);
            assert_non_null(row);
            take(&instance_machine, row);
            assert_int_equal(sm_target(row, (uint8_t)from), said);
            assert_int_equal(row->then != 0, from != said);
        }
        const struct sm_row *reset = sm_pick(&instance_machine, from, INSTANCE_RESET, NULL, NULL);
        assert_int_equal(reset != NULL, from == INSTANCE_FAILED);
        if (reset) {
            take(&instance_machine, reset);
            assert_int_equal(reset->to, INSTANCE_UNKNOWN);
        }
    }
    assert_all_taken(&instance_machine);
}

static void test_presence_follows_silence_and_sound(void **state)
{
    (void)state;
    const struct sm_row *back =
        sm_pick(&presence_machine, PRESENCE_OFFLINE, PRESENCE_SEEN, NULL, NULL);
    const struct sm_row *stays =
        sm_pick(&presence_machine, PRESENCE_ONLINE, PRESENCE_SEEN, NULL, NULL);
    const struct sm_row *gone =
        sm_pick(&presence_machine, PRESENCE_ONLINE, PRESENCE_SILENT, NULL, NULL);

    assert_int_equal(back->to, PRESENCE_ONLINE);
    assert_int_equal(stays->to, SM_STAY);
    assert_int_equal(gone->to, PRESENCE_OFFLINE);
    assert_null(sm_pick(&presence_machine, PRESENCE_OFFLINE, PRESENCE_SILENT, NULL, NULL));
    take(&presence_machine, back);
    take(&presence_machine, stays);
    take(&presence_machine, gone);
    assert_all_taken(&presence_machine);
}

/* ---- 5.2, 5.3 ------------------------------------------------------------------------------- */

#define NOW 1000000ll

enum flags {
    ON = 1, /* runs the target */
    OFFLINE = 2,
    EXEMPT = 4,
    PAUSE = 8,
    WAS_BAD = 16, /* FAILED when picked */
    STEADY = 32,  /* HEALTHY on the target for 30 s of 30 s */
    SHORT = 64,   /* for 29 s */
    LATE = 128,   /* the instance deadline is now */
    SICK = 256,   /* the health deadline is now */
    EARLY = 512,  /* both deadlines are still to come */
};

static struct member_view view_of(enum instance_state status, unsigned flags)
{
    struct member_view v = { .now = NOW,
                             .min_healthy_ms = 30000,
                             .status = status,
                             .is_on_target = flags & ON,
                             .is_online = !(flags & OFFLINE),
                             .is_exempt = flags & EXEMPT,
                             .clocks_stand_still = flags & PAUSE };
    v.status_when_picked = flags & WAS_BAD ? INSTANCE_FAILED : INSTANCE_UNKNOWN;
    if (flags & (STEADY | SHORT))
        v.healthy_since = NOW - (flags & STEADY ? 30000 : 29999);
    v.deadline_at = flags & LATE ? NOW : flags & (SICK | EARLY) ? NOW + 1 : 0;
    v.health_deadline_at = flags & SICK ? NOW : flags & EARLY ? NOW + 2 : 0;
    return v;
}

struct member_case {
    enum member_state from;
    enum member_event on;
    enum instance_state status;
    unsigned flags;
    int to; /* enum member_state; -1: refused */
    enum member_cause cause;
};

#define REFUSED (-1)
/* clang-format off */
static const struct member_case member_cases[] = {
    /* 5.2, joining */
    { MEMBER_NONE,        MEMBER_JOIN,     INSTANCE_FAILED,   ON,              MEMBER_NOT_NEEDED,  0 },
    { MEMBER_NONE,        MEMBER_JOIN,     INSTANCE_HEALTHY,  0,               MEMBER_PENDING,     0 },
    { MEMBER_NONE,        MEMBER_JOIN,     INSTANCE_HEALTHY,  EXEMPT,          MEMBER_NOT_NEEDED,  0 },
    { MEMBER_NONE,        MEMBER_REASSIGN, INSTANCE_HEALTHY,  ON,              MEMBER_IN_PROGRESS, 0 },
    { MEMBER_NONE,        MEMBER_REPORT,   INSTANCE_HEALTHY,  ON,              REFUSED,            0 },
    { MEMBER_NONE,        MEMBER_PICK,     INSTANCE_HEALTHY,  0,               REFUSED,            0 },
    /* 5.3, not picked */
    { MEMBER_NOT_NEEDED,  MEMBER_REPORT,   INSTANCE_FAILED,   ON,              MEMBER_NOT_NEEDED,  0 },
    { MEMBER_NOT_NEEDED,  MEMBER_REPORT,   INSTANCE_FAILED,   0,               MEMBER_PENDING,     0 },
    { MEMBER_NOT_NEEDED,  MEMBER_REPORT,   INSTANCE_FAILED,   EXEMPT,          MEMBER_NOT_NEEDED,  0 },
    { MEMBER_PENDING,     MEMBER_REPORT,   INSTANCE_UNKNOWN,  ON,              MEMBER_NOT_NEEDED,  0 },
    { MEMBER_PENDING,     MEMBER_REPORT,   INSTANCE_FAILED,   ON,              MEMBER_NOT_NEEDED,  0 },
    { MEMBER_PENDING,     MEMBER_REPORT,   INSTANCE_FAILED,   0,               MEMBER_PENDING,     0 },
    { MEMBER_PENDING,     MEMBER_REPORT,   INSTANCE_HEALTHY,  0,               MEMBER_PENDING,     0 },
    { MEMBER_PENDING,     MEMBER_PICK,     INSTANCE_FAILED,   0,               MEMBER_IN_PROGRESS, 0 },
    { MEMBER_PENDING,     MEMBER_TIMER,    INSTANCE_HEALTHY,  LATE,            REFUSED,            0 },
    /* 5.3, picked */
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_UNKNOWN,  0,               MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_HEALTHY,  0,               MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_DEGRADED, 0,               MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_FAILED,   0,               MEMBER_FAILED,      CAUSE_REPORTED },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_FAILED,   WAS_BAD,         MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_HEALTHY,  ON | STEADY,     MEMBER_COMPLETED,   0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_HEALTHY,  ON | SHORT,      MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_HEALTHY,  ON,              MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_UNKNOWN,  ON,              MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_DEGRADED, ON,              MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_FAILED,   ON,              MEMBER_FAILED,      CAUSE_REPORTED },
    { MEMBER_IN_PROGRESS, MEMBER_REPORT,   INSTANCE_FAILED,   ON | WAS_BAD,    MEMBER_FAILED,      CAUSE_REPORTED },
    { MEMBER_IN_PROGRESS, MEMBER_PICK,     INSTANCE_HEALTHY,  0,               REFUSED,            0 },
    { MEMBER_IN_PROGRESS, MEMBER_RETRY,    INSTANCE_HEALTHY,  0,               REFUSED,            0 },
    /* deadlines */
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_HEALTHY,  ON | STEADY,     MEMBER_COMPLETED,   0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_HEALTHY,  ON | STEADY | OFFLINE, MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_HEALTHY,  ON | STEADY | PAUSE, MEMBER_COMPLETED, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_UNKNOWN,  LATE,            MEMBER_FAILED,      CAUSE_TIMEOUT },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_HEALTHY,  LATE,            MEMBER_FAILED,      CAUSE_TIMEOUT },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_DEGRADED, ON | LATE,       MEMBER_FAILED,      CAUSE_TIMEOUT },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_DEGRADED, ON | SICK,       MEMBER_FAILED,      CAUSE_UNHEALTHY },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_UNKNOWN,  SICK,            MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_DEGRADED, ON | EARLY,      MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_HEALTHY,  ON | SHORT | LATE, MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_HEALTHY,  ON | SHORT | SICK, MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_HEALTHY,  ON | SHORT | LATE | OFFLINE, MEMBER_FAILED, CAUSE_TIMEOUT },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_UNKNOWN,  LATE | PAUSE,    MEMBER_IN_PROGRESS, 0 },
    { MEMBER_IN_PROGRESS, MEMBER_TIMER,    INSTANCE_UNKNOWN,  ON | SICK | PAUSE, MEMBER_IN_PROGRESS, 0 },
    /* after the end */
    { MEMBER_FAILED,      MEMBER_REPORT,   INSTANCE_HEALTHY,  ON | STEADY,     MEMBER_COMPLETED,   0 },
    { MEMBER_FAILED,      MEMBER_REPORT,   INSTANCE_HEALTHY,  ON | SHORT,      MEMBER_FAILED,      0 },
    { MEMBER_FAILED,      MEMBER_REPORT,   INSTANCE_HEALTHY,  0,               MEMBER_FAILED,      0 },
    { MEMBER_FAILED,      MEMBER_TIMER,    INSTANCE_HEALTHY,  ON | STEADY,     MEMBER_COMPLETED,   0 },
    { MEMBER_FAILED,      MEMBER_TIMER,    INSTANCE_FAILED,   LATE,            MEMBER_FAILED,      0 },
    { MEMBER_FAILED,      MEMBER_RETRY,    INSTANCE_FAILED,   0,               MEMBER_PENDING,     0 },
    { MEMBER_FAILED,      MEMBER_PICK,     INSTANCE_FAILED,   0,               REFUSED,            0 },
    { MEMBER_COMPLETED,   MEMBER_REPORT,   INSTANCE_FAILED,   ON,              MEMBER_FAILED,      CAUSE_REGRESSED },
    { MEMBER_COMPLETED,   MEMBER_REPORT,   INSTANCE_HEALTHY,  0,               MEMBER_FAILED,      CAUSE_REGRESSED },
    { MEMBER_COMPLETED,   MEMBER_REPORT,   INSTANCE_DEGRADED, ON,              MEMBER_COMPLETED,   0 },
    { MEMBER_COMPLETED,   MEMBER_REPORT,   INSTANCE_UNKNOWN,  ON,              MEMBER_COMPLETED,   0 },
    { MEMBER_COMPLETED,   MEMBER_PICK,     INSTANCE_HEALTHY,  ON,              REFUSED,            0 },
    { MEMBER_COMPLETED,   MEMBER_RETRY,    INSTANCE_HEALTHY,  ON,              REFUSED,            0 },
    /* A7 */
    { MEMBER_NOT_NEEDED,  MEMBER_LEAVE,    INSTANCE_HEALTHY,  ON,              MEMBER_NONE,        0 },
    { MEMBER_PENDING,     MEMBER_LEAVE,    INSTANCE_HEALTHY,  0,               MEMBER_NONE,        0 },
    { MEMBER_IN_PROGRESS, MEMBER_LEAVE,    INSTANCE_HEALTHY,  0,               MEMBER_NONE,        0 },
    { MEMBER_FAILED,      MEMBER_LEAVE,    INSTANCE_HEALTHY,  0,               MEMBER_NONE,        0 },
    { MEMBER_COMPLETED,   MEMBER_LEAVE,    INSTANCE_HEALTHY,  ON,              MEMBER_NONE,        0 },
};
/* clang-format on */

static void check_member_case(size_t i)
{
    const struct member_case *c = &member_cases[i];
    struct member_view view = view_of(c->status, c->flags);
    const struct sm_row *row = member_pick_row(c->from, c->on, &view);
    int to = row ? sm_target(row, (uint8_t)c->from) : REFUSED;
    if (to != c->to)
        fail_msg("case %zu goes to %d, not to %d", i, to, c->to);
    if (!row)
        return;
    take(&member_machine, row);
    assert_int_equal(member_blamed_cause(row->then), c->cause);
    bool is_assigned = row->then & SM_DO(member, MEMBER_ASSIGN);
    bool is_credited = row->then & SM_DO(member, MEMBER_CREDIT);
    assert_int_equal(is_assigned, c->on == MEMBER_PICK || c->on == MEMBER_REASSIGN);
    assert_int_equal(is_credited, to == MEMBER_COMPLETED && c->from != MEMBER_COMPLETED);
}

static void test_a_member_moves_as_the_update_machine_says(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(member_cases); i++)
        check_member_case(i);
    assert_all_taken(&member_machine);
}

/* Else the shell would fire a timer again and again for nothing. */
static void test_a_member_that_is_due_moves_by_its_timer(void **state)
{
    (void)state;

    for (unsigned flags = 0; flags < 2 * EARLY; flags++) {
        for (unsigned status = 0; status < instance_state_count; status++) {
            for (unsigned from = 0; from < member_state_count; from++) {
                struct member_view view = view_of(status, flags);
                bool is_due = member_due(from, &view) <= view.now;
                const struct sm_row *row = member_pick_row(from, MEMBER_TIMER, &view);
                bool moves = row && row->to != SM_STAY;
                if (is_due != moves)
                    fail_msg("state %u status %u flags %u: due %d, moves %d", from, status, flags,
                             is_due, moves);
            }
        }
    }
}

static void test_causes_have_words(void **state)
{
    (void)state;

    assert_null(member_cause_word(CAUSE_NONE));
    assert_string_equal(member_cause_word(CAUSE_REPORTED), "reported");
    assert_string_equal(member_cause_word(CAUSE_UNHEALTHY), "unhealthy");
    assert_string_equal(member_cause_word(CAUSE_TIMEOUT), "timeout");
    assert_string_equal(member_cause_word(CAUSE_REGRESSED), "regressed");
    assert_null(member_cause_word(MEMBER_CAUSE_COUNT));
    assert_null(rollout_cause_word(ROLLOUT_CAUSE_NONE));
    assert_string_equal(rollout_cause_word(ROLLOUT_CAUSE_ROLLED_BACK), "rolled_back");
    assert_null(rollout_outcome_word(OUTCOME_NONE));
    assert_string_equal(rollout_outcome_word(OUTCOME_PARTIAL), "partial");
}

/* ---- 4.1, 4.3 ------------------------------------------------------------------------------- */

struct rollout_case {
    enum rollout_state from;
    enum rollout_event on;
    int holds; /* the one guard that holds besides always; -1: none */
    int to;    /* REFUSED, or enum rollout_state */
};

#define NONE (-1)
/* clang-format off */
static const struct rollout_case rollout_cases[] = {
    { ROLLOUT_UNKNOWN,   ROLLOUT_START,    ROLLOUT_NOBODY_NEEDS_IT,    ROLLOUT_COMPLETED },
    { ROLLOUT_UNKNOWN,   ROLLOUT_START,    NONE,                       ROLLOUT_RUNNING },
    { ROLLOUT_UNKNOWN,   ROLLOUT_PAUSE,    NONE,                       REFUSED },
    { ROLLOUT_UNKNOWN,   ROLLOUT_RESUME,   NONE,                       REFUSED },
    { ROLLOUT_UNKNOWN,   ROLLOUT_RETRY,    NONE,                       REFUSED },
    { ROLLOUT_UNKNOWN,   ROLLOUT_ABORT,    NONE,                       ROLLOUT_FAILED },
    { ROLLOUT_UNKNOWN,   ROLLOUT_ROLLBACK, NONE,                       ROLLOUT_FAILED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, NONE,                       ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_CAN_PICK,           ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_LEFTOVERS_APPEAR,   ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_LEFTOVERS_VANISH,   ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_ALL_DONE,           ROLLOUT_COMPLETED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_LEFTOVERS_ACCEPTED, ROLLOUT_COMPLETED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_BREACH_ROLLS_BACK,  ROLLOUT_FAILED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_BREACH_ENDS_UNDO,   ROLLOUT_FAILED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_BREACH_ABORTS,      ROLLOUT_FAILED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_BREACH_PAUSES,      ROLLOUT_PAUSED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_GATE_PAUSES,        ROLLOUT_PAUSED },
    { ROLLOUT_RUNNING,   ROLLOUT_EVALUATE, ROLLOUT_WAVE_MOVES,         ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_PROMOTE,  ROLLOUT_CAN_PROMOTE,        ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_PROMOTE,  NONE,                       REFUSED },
    { ROLLOUT_PAUSED,    ROLLOUT_PROMOTE,  ROLLOUT_CAN_PROMOTE,        REFUSED },
    { ROLLOUT_RUNNING,   ROLLOUT_PAUSE,    NONE,                       ROLLOUT_PAUSED },
    { ROLLOUT_RUNNING,   ROLLOUT_RESUME,   NONE,                       ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_ABORT,    NONE,                       ROLLOUT_FAILED },
    { ROLLOUT_RUNNING,   ROLLOUT_ABORT,    ROLLOUT_FINISH_IN_FLIGHT,   ROLLOUT_FAILED },
    { ROLLOUT_RUNNING,   ROLLOUT_RETRY,    NONE,                       REFUSED },
    { ROLLOUT_RUNNING,   ROLLOUT_RETRY,    ROLLOUT_HAS_FAILED_MEMBERS, ROLLOUT_RUNNING },
    { ROLLOUT_RUNNING,   ROLLOUT_ROLLBACK, NONE,                       ROLLOUT_FAILED },
    { ROLLOUT_RUNNING,   ROLLOUT_START,    NONE,                       REFUSED },
    { ROLLOUT_PAUSED,    ROLLOUT_EVALUATE, ROLLOUT_BREACH_ROLLS_BACK,  ROLLOUT_PAUSED },
    { ROLLOUT_PAUSED,    ROLLOUT_EVALUATE, ROLLOUT_ALL_DONE,           ROLLOUT_PAUSED },
    { ROLLOUT_PAUSED,    ROLLOUT_PAUSE,    NONE,                       ROLLOUT_PAUSED },
    { ROLLOUT_PAUSED,    ROLLOUT_RESUME,   NONE,                       ROLLOUT_RUNNING },
    { ROLLOUT_PAUSED,    ROLLOUT_RESUME,   ROLLOUT_BREACH_PAUSED_IT,   ROLLOUT_RUNNING },
    { ROLLOUT_PAUSED,    ROLLOUT_ABORT,    NONE,                       ROLLOUT_FAILED },
    { ROLLOUT_PAUSED,    ROLLOUT_ABORT,    ROLLOUT_FINISH_IN_FLIGHT,   ROLLOUT_FAILED },
    { ROLLOUT_PAUSED,    ROLLOUT_RETRY,    NONE,                       REFUSED },
    { ROLLOUT_PAUSED,    ROLLOUT_RETRY,    ROLLOUT_HAS_FAILED_MEMBERS, ROLLOUT_PAUSED },
    { ROLLOUT_PAUSED,    ROLLOUT_ROLLBACK, NONE,                       ROLLOUT_FAILED },
};
/* clang-format on */

static bool only(const void *subject, unsigned guard)
{
    return (int)guard == *(const int *)subject;
}

static void test_a_rollout_moves_as_its_table_says(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(rollout_cases); i++) {
        const struct rollout_case *c = &rollout_cases[i];
        const struct sm_row *row = sm_pick(&rollout_machine, c->from, c->on, only, &c->holds);
        int to = row ? sm_target(row, (uint8_t)c->from) : REFUSED;
        if (to != c->to)
            fail_msg("case %zu goes to %d, not to %d", i, to, c->to);
        if (row)
            take(&rollout_machine, row);
    }
    assert_all_taken(&rollout_machine);
}

static void test_nothing_moves_an_ended_rollout(void **state)
{
    (void)state;

    for (unsigned event = 0; event < rollout_event_count; event++) {
        assert_null(sm_pick(&rollout_machine, ROLLOUT_COMPLETED, event, NULL, NULL));
        assert_null(sm_pick(&rollout_machine, ROLLOUT_FAILED, event, NULL, NULL));
    }
}

/* P3: the last failure must not pass as a success; P4 before P9. */
static void test_a_breach_is_tested_before_completion(void **state)
{
    (void)state;
    static const enum rollout_guard wanted[] = {
        ROLLOUT_BREACH_PAUSES,      ROLLOUT_BREACH_ROLLS_BACK, ROLLOUT_BREACH_ENDS_UNDO,
        ROLLOUT_BREACH_ABORTS,      ROLLOUT_GATE_PAUSES,       ROLLOUT_ALL_DONE,
        ROLLOUT_LEFTOVERS_ACCEPTED,
    };
    size_t found = 0;

    for (size_t i = 0; i < rollout_machine.row_count && found < COUNT(wanted); i++) {
        const struct sm_row *row = &rollout_machine.rows[i];
        if (row->from == ROLLOUT_RUNNING && row->on == ROLLOUT_EVALUATE)
            assert_int_equal(row->when, wanted[found++]);
    }
    assert_int_equal(found, COUNT(wanted));
}

/* ---- 6.2, P5 -------------------------------------------------------------------------------- */

enum wave_flags {
    UNDONE = 1,
    UNPROVEN = 2,
    HURRY = 4,
    SOAK = 8, /* it has one, and it runs */
    SOAKED = 16,
    GATE = 32, /* it waits */
    GATE_DUE = 64,
};

static struct wave_view wave_view_of(unsigned flags)
{
    return (struct wave_view){
        .is_undone = flags & UNDONE,
        .has_no_proof = flags & UNPROVEN,
        .hurries = flags & HURRY,
        .has_soak = flags & (SOAK | SOAKED),
        .soak_runs = flags & SOAK,
        .has_gate = flags & (GATE | GATE_DUE),
        .gate_waits = flags & (GATE | GATE_DUE),
        .gate_moves = flags & GATE_DUE,
    };
}

struct wave_case {
    enum wave_state from;
    enum wave_event on;
    unsigned flags;
    int to;
    uint32_t then;
};

#define WAVE_DO(effect) SM_DO(wave, effect)
/* clang-format off */
static const struct wave_case wave_cases[] = {
    { WAVE_NOT_STARTED, WAVE_OPEN,     0,                        WAVE_RUNNING, WAVE_DO(WAVE_ADMIT) },
    { WAVE_NOT_STARTED, WAVE_EVALUATE, 0,                        REFUSED,      0 },
    { WAVE_NOT_STARTED, WAVE_PROMOTE,  GATE,                     REFUSED,      0 },
    /* while members are updated */
    { WAVE_RUNNING,     WAVE_EVALUATE, UNDONE | SOAK | GATE,     WAVE_RUNNING, 0 },
    { WAVE_RUNNING,     WAVE_EVALUATE, UNDONE | UNPROVEN,        WAVE_RUNNING, 0 },
    { WAVE_RUNNING,     WAVE_EVALUATE, UNPROVEN,                 WAVE_RUNNING, 0 },
    { WAVE_RUNNING,     WAVE_EVALUATE, UNPROVEN | SOAK | GATE,   WAVE_RUNNING, 0 },
    { WAVE_RUNNING,     WAVE_EVALUATE, SOAK | GATE,              WAVE_SOAKING, WAVE_DO(WAVE_ARM_SOAK) },
    { WAVE_RUNNING,     WAVE_EVALUATE, SOAK,                     WAVE_SOAKING, WAVE_DO(WAVE_ARM_SOAK) },
    { WAVE_RUNNING,     WAVE_EVALUATE, GATE,                     WAVE_GATED,   0 },
    { WAVE_RUNNING,     WAVE_EVALUATE, 0,                        WAVE_PASSED,  WAVE_DO(WAVE_CREDIT) },
    { WAVE_RUNNING,     WAVE_EVALUATE, HURRY | UNDONE,           WAVE_PASSED,  WAVE_DO(WAVE_CREDIT) },
    { WAVE_RUNNING,     WAVE_EVALUATE, HURRY | UNPROVEN,         WAVE_PASSED,  WAVE_DO(WAVE_CREDIT) },
    { WAVE_RUNNING,     WAVE_PROMOTE,  0,                        REFUSED,      0 },
    { WAVE_RUNNING,     WAVE_OPEN,     0,                        REFUSED,      0 },
    /* while it soaks */
    { WAVE_SOAKING,     WAVE_EVALUATE, SOAK | GATE,              WAVE_SOAKING, 0 },
    { WAVE_SOAKING,     WAVE_EVALUATE, UNDONE | SOAK,            WAVE_RUNNING, WAVE_DO(WAVE_DISARM) },
    { WAVE_SOAKING,     WAVE_EVALUATE, UNDONE | SOAKED | GATE,   WAVE_RUNNING, WAVE_DO(WAVE_DISARM) },
    { WAVE_SOAKING,     WAVE_EVALUATE, SOAKED | GATE,            WAVE_GATED,   WAVE_DO(WAVE_DISARM) },
    { WAVE_SOAKING,     WAVE_EVALUATE, SOAKED,                   WAVE_PASSED,  WAVE_DO(WAVE_DISARM) | WAVE_DO(WAVE_CREDIT) },
    { WAVE_SOAKING,     WAVE_EVALUATE, 0,                        WAVE_PASSED,  WAVE_DO(WAVE_DISARM) | WAVE_DO(WAVE_CREDIT) },
    { WAVE_SOAKING,     WAVE_PROMOTE,  SOAK | GATE,              WAVE_SOAKING, WAVE_DO(WAVE_SKIP_SOAK) },
    { WAVE_SOAKING,     WAVE_OPEN,     0,                        REFUSED,      0 },
    /* while a gate waits */
    { WAVE_GATED,       WAVE_EVALUATE, GATE,                     WAVE_GATED,   0 },
    { WAVE_GATED,       WAVE_EVALUATE, GATE_DUE,                 WAVE_GATED,   WAVE_DO(WAVE_STEP_GATE) },
    { WAVE_GATED,       WAVE_EVALUATE, GATE_DUE | UNDONE,        WAVE_RUNNING, WAVE_DO(WAVE_DISARM) },
    { WAVE_GATED,       WAVE_EVALUATE, 0,                        WAVE_PASSED,  WAVE_DO(WAVE_CREDIT) },
    { WAVE_GATED,       WAVE_PROMOTE,  GATE,                     WAVE_GATED,   WAVE_DO(WAVE_STEP_GATE) },
    { WAVE_GATED,       WAVE_PROMOTE,  0,                        REFUSED,      0 },
    { WAVE_GATED,       WAVE_OPEN,     0,                        REFUSED,      0 },
    { WAVE_PASSED,      WAVE_OPEN,     0,                        REFUSED,      0 },
    { WAVE_PASSED,      WAVE_EVALUATE, UNDONE,                   REFUSED,      0 },
    { WAVE_PASSED,      WAVE_PROMOTE,  GATE,                     REFUSED,      0 },
};
/* clang-format on */

static void test_a_wave_moves_as_its_table_says(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(wave_cases); i++) {
        const struct wave_case *c = &wave_cases[i];
        struct wave_view view = wave_view_of(c->flags);
        const struct sm_row *row = wave_pick_row(c->from, c->on, &view);
        int to = row ? sm_target(row, (uint8_t)c->from) : REFUSED;
        if (to != c->to || (row && row->then != c->then))
            fail_msg("case %zu goes to %d, not to %d, or does something else", i, to, c->to);
        if (row)
            take(&wave_machine, row);
    }
    assert_all_taken(&wave_machine);
}

/* Else a rollout in waves would stand there for ever: whatever holds, each state either has a row
 * to follow or is passed. */
static void test_every_wave_has_something_to_do_or_to_wait_for(void **state)
{
    (void)state;

    for (unsigned flags = 0; flags < 2 * GATE_DUE; flags++) {
        struct wave_view view = wave_view_of(flags);
        for (unsigned from = WAVE_RUNNING; from < WAVE_PASSED; from++)
            assert_non_null(wave_pick_row(from, WAVE_EVALUATE, &view));
    }
}

/* ---- 7.3 ------------------------------------------------------------------------------------ */

enum gate_flags { DRY = 1, OVER = 2 };

struct gate_case {
    enum gate_state from;
    enum gate_event on;
    unsigned flags;
    int to;
    uint32_t then;
};

#define GATE_DO(effect) SM_DO(gate, effect)
/* clang-format off */
static const struct gate_case gate_cases[] = {
    { GATE_NOT_STARTED,  GATE_BEGIN,    0,          GATE_WAITING,      GATE_DO(GATE_ARM) | GATE_DO(GATE_TELL) },
    { GATE_NOT_STARTED,  GATE_BEGIN,    DRY,        GATE_INCONCLUSIVE, GATE_DO(GATE_TELL) },
    { GATE_NOT_STARTED,  GATE_EVALUATE, OVER,       REFUSED,           0 },
    { GATE_NOT_STARTED,  GATE_PROMOTE,  0,          REFUSED,           0 },
    { GATE_NOT_STARTED,  GATE_AGAIN,    0,          REFUSED,           0 },
    { GATE_WAITING,      GATE_EVALUATE, 0,          GATE_WAITING,      0 },
    { GATE_WAITING,      GATE_EVALUATE, OVER,       GATE_INCONCLUSIVE, GATE_DO(GATE_TELL) },
    { GATE_WAITING,      GATE_PROMOTE,  0,          GATE_PASSED,       GATE_DO(GATE_TELL) },
    { GATE_WAITING,      GATE_PROMOTE,  OVER,       GATE_PASSED,       GATE_DO(GATE_TELL) },
    { GATE_WAITING,      GATE_AGAIN,    0,          REFUSED,           0 },
    { GATE_WAITING,      GATE_BEGIN,    0,          REFUSED,           0 },
    { GATE_INCONCLUSIVE, GATE_EVALUATE, OVER,       GATE_INCONCLUSIVE, 0 },
    { GATE_INCONCLUSIVE, GATE_AGAIN,    OVER,       GATE_WAITING,      GATE_DO(GATE_ARM) | GATE_DO(GATE_TELL) },
    { GATE_INCONCLUSIVE, GATE_AGAIN,    DRY,        GATE_INCONCLUSIVE, 0 },
    { GATE_INCONCLUSIVE, GATE_PROMOTE,  0,          REFUSED,           0 },
    { GATE_PASSED,       GATE_AGAIN,    0,          REFUSED,           0 },
    { GATE_PASSED,       GATE_EVALUATE, OVER,       REFUSED,           0 },
    { GATE_PASSED,       GATE_PROMOTE,  0,          REFUSED,           0 },
};
/* clang-format on */

static void test_a_gate_moves_as_its_table_says(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(gate_cases); i++) {
        const struct gate_case *c = &gate_cases[i];
        struct gate_view view = { .never_blocks = c->flags & DRY, .time_is_over = c->flags & OVER };
        const struct sm_row *row = gate_pick_row(c->from, c->on, &view);
        int to = row ? sm_target(row, (uint8_t)c->from) : REFUSED;
        if (to != c->to || (row && row->then != c->then))
            fail_msg("case %zu goes to %d, not to %d, or does something else", i, to, c->to);
        if (row)
            take(&gate_machine, row);
    }
    assert_all_taken(&gate_machine);
}

/* ---- R18 ------------------------------------------------------------------------------------ */

static void test_the_silence_of_a_fleet_begins_and_ends_as_its_table_says(void **state)
{
    (void)state;
    static const struct {
        enum silence_state from;
        int holds, to;
        uint32_t then;
    } cases[] = {
        { SILENCE_NONE, SILENCE_MOST_FELL, SILENCE_FROZEN, SM_DO(silence, SILENCE_FREEZE) },
        { SILENCE_NONE, SILENCE_MOST_RETURNED, SILENCE_NONE, 0 },
        { SILENCE_NONE, NONE, SILENCE_NONE, 0 },
        { SILENCE_FROZEN, SILENCE_MOST_RETURNED, SILENCE_NONE, SM_DO(silence, SILENCE_THAW) },
        { SILENCE_FROZEN, SILENCE_MOST_FELL, SILENCE_FROZEN, 0 },
        { SILENCE_FROZEN, NONE, SILENCE_FROZEN, 0 },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct sm_row *row =
            sm_pick(&silence_machine, cases[i].from, SILENCE_WATCH, only, &cases[i].holds);
        assert_non_null(row);
        take(&silence_machine, row);
        assert_int_equal(sm_target(row, (uint8_t)cases[i].from), cases[i].to);
        assert_int_equal(row->then, cases[i].then);
    }
    assert_all_taken(&silence_machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_tables_are_sound),
        cmocka_unit_test(test_a_status_becomes_what_is_reported),
        cmocka_unit_test(test_presence_follows_silence_and_sound),
        cmocka_unit_test(test_a_member_moves_as_the_update_machine_says),
        cmocka_unit_test(test_a_member_that_is_due_moves_by_its_timer),
        cmocka_unit_test(test_causes_have_words),
        cmocka_unit_test(test_a_rollout_moves_as_its_table_says),
        cmocka_unit_test(test_nothing_moves_an_ended_rollout),
        cmocka_unit_test(test_a_breach_is_tested_before_completion),
        cmocka_unit_test(test_a_wave_moves_as_its_table_says),
        cmocka_unit_test(test_every_wave_has_something_to_do_or_to_wait_for),
        cmocka_unit_test(test_a_gate_moves_as_its_table_says),
        cmocka_unit_test(test_the_silence_of_a_fleet_begins_and_ends_as_its_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
