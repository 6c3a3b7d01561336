/* SPDX-License-Identifier: Apache-2.0
 * rollout.h - one attempt to bring a selected set of instances to a target version pair.
 * This file has the words, the table and the record. What the effects do stands in progress.c,
 * verbs.c and rollback.c. Source: spec of rollouts, sections 4 to 7. */
#ifndef DIDES_CORE_ROLLOUT_H
#define DIDES_CORE_ROLLOUT_H

#include "base/limits.h"
#include "core/rollout_config.h"
#include "sm/sm.h"

/* clang-format off */
/* The number of a state is part of the API: never reorder. */
#define ROLLOUT_STATES(X, T)                                                                    \
    X(T, ROLLOUT_UNKNOWN,   "UNKNOWN",   "the record exists and has not started")               \
    X(T, ROLLOUT_RUNNING,   "RUNNING",   "progresses, or waits for reasons it names")           \
    X(T, ROLLOUT_COMPLETED, "COMPLETED", "all members run the target, or leftovers were accepted") \
    X(T, ROLLOUT_FAILED,    "FAILED",    "ended without success")                               \
    X(T, ROLLOUT_PAUSED,    "PAUSED",    "observes and counts, but picks and decides nothing")

#define ROLLOUT_EVENTS(X, T)                                                                    \
    X(T, ROLLOUT_START,    "start",    "the request was admitted and its members are known")    \
    X(T, ROLLOUT_EVALUATE, "evaluate", "a member changed, time passed, or somebody asked")      \
    X(T, ROLLOUT_PAUSE,    "pause",    "operator request")                                      \
    X(T, ROLLOUT_RESUME,   "resume",   "operator request")                                      \
    X(T, ROLLOUT_ABORT,    "abort",    "operator request")                                      \
    X(T, ROLLOUT_RETRY,    "retry",    "operator request: failed members once more")            \
    X(T, ROLLOUT_PROMOTE,  "promote",  "operator request: past the soak or gate that is waited for") \
    X(T, ROLLOUT_ROLLBACK, "rollback", "operator request: back to what ran before")

#define ROLLOUT_GUARDS(X, T)                                                                    \
    X(T, ROLLOUT_ALWAYS,             "always",             "no condition")                      \
    X(T, ROLLOUT_NOBODY_NEEDS_IT,    "nobody_needs_it",    "every member runs the target already") \
    X(T, ROLLOUT_GATE_PAUSES,        "gate_pauses",        "a gate is undecided, and that is to pause") \
    X(T, ROLLOUT_BREACH_PAUSES,      "breach_pauses",      "too many failed, on_failure is pause") \
    X(T, ROLLOUT_BREACH_ROLLS_BACK,  "breach_rolls_back",  "too many failed, on_failure is rollback, and this is none") \
    X(T, ROLLOUT_BREACH_ENDS_UNDO,   "breach_ends_undo",   "too many failed in a rollback")     \
    X(T, ROLLOUT_BREACH_ABORTS,      "breach_aborts",      "too many failed, on_failure is abort") \
    X(T, ROLLOUT_ALL_DONE,           "all_done",           "every member is completed or never needed it") \
    X(T, ROLLOUT_LEFTOVERS_ACCEPTED, "leftovers_accepted", "only leftovers remain, and their time is over or they do not count") \
    X(T, ROLLOUT_WAVE_MOVES,         "wave_moves",         "the open wave is done, soaked or past its gates, or the next may open") \
    X(T, ROLLOUT_CAN_PROMOTE,        "can_promote",        "a soak or a gate is waited for") \
    X(T, ROLLOUT_CAN_PICK,           "can_pick",           "a slot is free and a candidate waits") \
    X(T, ROLLOUT_LEFTOVERS_APPEAR,   "leftovers_appear",   "only failed or offline members remain, since now") \
    X(T, ROLLOUT_LEFTOVERS_VANISH,   "leftovers_vanish",   "others remain again")               \
    X(T, ROLLOUT_HAS_FAILED_MEMBERS, "has_failed_members", "some member failed")                \
    X(T, ROLLOUT_BREACH_PAUSED_IT,   "breach_paused_it",   "it was a breach that paused")       \
    X(T, ROLLOUT_FINISH_IN_FLIGHT,   "finish_in_flight",   "the operator lets members in flight finish")

#define ROLLOUT_EFFECTS(X, T)                                                                   \
    X(T, ROLLOUT_PICK,             "pick",             "assign candidates to the free slots")   \
    X(T, ROLLOUT_STOP_CLOCKS,      "stop_clocks",      "deadlines stand still from now on")     \
    X(T, ROLLOUT_MOVE_CLOCKS,      "move_clocks",      "deadlines move by the length of the pause") \
    X(T, ROLLOUT_ACKNOWLEDGE,      "acknowledge",      "members failed by now no longer count for the threshold") \
    X(T, ROLLOUT_ARM_LEFTOVERS,    "arm_leftovers",    "leftovers get leftover_timeout to recover") \
    X(T, ROLLOUT_DISARM_LEFTOVERS, "disarm_leftovers", "the leftover timer is cleared, its time does not count")         \
    X(T, ROLLOUT_MOVE_WAVE,        "move_wave",        "the open wave takes its step, or the next one opens") \
    X(T, ROLLOUT_PASS_ON,          "pass_on",          "the soak or gate that is waited for counts as passed") \
    X(T, ROLLOUT_TRY_AGAIN,        "try_again",        "failed members wait for another slot")  \
    X(T, ROLLOUT_WITHDRAW,         "withdraw",         "wishes that were not fulfilled are taken back") \
    X(T, ROLLOUT_RESTORE,          "restore",          "the automatic rollback starts in the same commit")

#define ROLLOUT_CAUSES(X)                                                                       \
    X(ROLLOUT_CAUSE_NONE,              NULL)                                                    \
    X(ROLLOUT_CAUSE_THRESHOLD,         "threshold")                                             \
    X(ROLLOUT_CAUSE_DOMAIN_THRESHOLD,  "domain_threshold")                                      \
    X(ROLLOUT_CAUSE_GATE,              "gate")                                                  \
    X(ROLLOUT_CAUSE_PROGRESS_DEADLINE, "progress_deadline")                                     \
    X(ROLLOUT_CAUSE_LEFTOVER,          "leftover")                                              \
    X(ROLLOUT_CAUSE_HOOK,              "hook")                                                  \
    X(ROLLOUT_CAUSE_ABORTED,           "aborted")                                               \
    X(ROLLOUT_CAUSE_ROLLED_BACK,       "rolled_back")

#define ROLLOUT_OUTCOMES(X)    X(OUTCOME_NONE, NULL) X(OUTCOME_FULL, "full") X(OUTCOME_PARTIAL, "partial")
/* clang-format on */

SM_STATES(rollout_state, ROLLOUT_STATES);
SM_EVENTS(rollout_event, ROLLOUT_EVENTS);
SM_GUARDS(rollout_guard, ROLLOUT_GUARDS);
SM_EFFECTS(rollout_effect, ROLLOUT_EFFECTS);

#define ROLLOUT_WORD_ITEM(id, word) id,
enum rollout_cause { ROLLOUT_CAUSES(ROLLOUT_WORD_ITEM) ROLLOUT_CAUSE_COUNT };
enum rollout_outcome { ROLLOUT_OUTCOMES(ROLLOUT_WORD_ITEM) ROLLOUT_OUTCOME_COUNT };
#undef ROLLOUT_WORD_ITEM

/* A version pair as interned texts of the fleet; part 0 = not known, or left out of a target. */
struct version {
    uint32_t code, config;
};

/* Every part that `target` names equals that part of `current`. */
static inline bool version_is_at(struct version current, struct version target)
{
    return (target.code == 0 || current.code == target.code) &&
           (target.config == 0 || current.config == target.config);
}

static inline bool version_equal(struct version a, struct version b)
{
    return a.code == b.code && a.config == b.config;
}

/* Counts of members, each maintained as they change and always equal to a recount.
 * total = pending + in_progress + completed + failed. */
struct tally {
    uint32_t total;
    uint32_t pending;        /* needing update */
    uint32_t pending_online; /* of those, the candidates */
    uint32_t retrying;       /* of those, told before: they wait for another attempt */
    uint32_t in_progress;
    uint32_t settling;        /* of those, HEALTHY on the target, waiting for min_healthy_time */
    uint32_t completed;       /* including already_current */
    uint32_t already_current; /* never needed it */
    uint32_t failed;
    uint32_t acknowledged; /* of those, not counted for the threshold any more */
    uint32_t offline;      /* overlaps the others */
    uint32_t available;    /* online, HEALTHY, not in flight */
};

/* A wave as it was fixed at the start; what becomes of the open one stands in the rollout. */
struct wave {
    const struct wave_config *config; /* NULL: the only wave of a rolling rollout */
    /* Of a sized wave: its last original member in the order of picks at the start. */
    struct text last_key; /* in the rollout's arena */
    uint8_t last_rank;
    /* Written once each: they mean something up to the open wave, and before it. */
    int64_t opened_at, passed_at;
    struct tally final; /* when the rollout ended */
};

struct rollout_live;

/* A member that had failed when the rollout ended, as it was then: a rollback that follows takes
 * the member over in the same moment. */
struct rollout_failure {
    struct text key;     /* of the instance */
    uint8_t cause;       /* enum member_cause */
    struct text message; /* what it had said last; may be empty */
};

/* The record. Numbers of other rollouts: 0 = none. Times in ms since the epoch, 0 = not yet. */
struct rollout {
    uint32_t number;        /* shown as r-<number>, never reused */
    uint8_t state;          /* enum rollout_state; written by rollout_step() only */
    uint8_t cause, outcome; /* enum rollout_cause, rollout_outcome */
    bool has_no_target;     /* automatic rollback found nothing: rollback_error no_target */
    bool is_fast;           /* of a rollback: no soak, no gates */
    bool is_breach_pause;   /* paused by a breach, not by an operator */
    uint32_t generation;    /* +1 with each decision */
    uint64_t revision;      /* +1 with anything */
    struct version target;  /* of a rollback: the restored version where no own one is known */
    struct rollout_config config;
    struct selector selector;       /* in `arena` */
    struct text selector_text;      /* canonical, in `arena` */
    struct text created_by, reason; /* in `arena` */
    struct text *unresolved;        /* names, in `arena`; at most LIMIT_UNRESOLVED */
    uint32_t unresolved_count, unresolved_total;
    /* Why it ended so: in order of keys, in `arena`; at most LIMIT_FAILURES, fewer when memory was
     * short. How many there were is final.failed. */
    struct rollout_failure *failures;
    uint32_t failure_count;
    struct arena arena; /* owns the texts; freed with the record */
    int64_t created_at, started_at, ended_at;
    uint64_t started_index; /* of its first journal entry */
    struct wave *waves;     /* in `arena`; at least one */
    uint32_t wave_count;
    uint32_t open_wave;  /* index; those before it are passed, those after it not started */
    uint8_t wave_state;  /* enum wave_state of the open one */
    uint8_t gate_state;  /* enum gate_state of the present gate */
    uint16_t gate;       /* its index; those before it are settled */
    bool is_soaked;      /* the open wave's soak has been skipped */
    bool is_promoted;    /* all soaks and gates from here on are skipped */
    int64_t wave_due_at; /* when the soak or the gate's time is over; 0 = nothing is timed */
    int64_t paused_at;   /* while PAUSED */
    int64_t stopped_at;  /* since when deadlines stand still: PAUSED, or most are silent; 0 = no */
    int64_t frozen_at;   /* when most of the fleet fell silent; 0 = it is heard */
    uint32_t frozen_count; /* how many that were */
    int64_t leftover_at;   /* when leftovers are given up; 0 = none are waited for */
    int64_t progressed_at; /* when a member last completed, or picking began */
    uint32_t retry_of, rollback_of, restores, rolled_back_by;
    struct tally final;        /* the counters when it ended */
    struct rollout_live *live; /* NULL once it has ended */
    uint64_t touched_round;    /* newest round that changed it */
    bool is_dirty;             /* in this round */
};

extern const struct sm_machine rollout_machine;

static inline bool rollout_is_live(const struct rollout *r)
{
    return r->state == ROLLOUT_UNKNOWN || r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_PAUSED;
}

/* "threshold", ...; NULL for none. */
const char *rollout_cause_word(enum rollout_cause cause);
const char *rollout_outcome_word(enum rollout_outcome outcome);

#endif
