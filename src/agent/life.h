/* SPDX-License-Identifier: Apache-2.0
 * life.h - what an agent does and when, as two small machines: the uplink, which is how it stands
 * with the server, and the duty, which is what it does about a wish.
 *
 * Pure: events with their time and a random word come in, effects come out as a set, and what they
 * need (the report, the order, when to wake) is read from the struct. runner.h carries them out.
 * Level-triggered (doc/reliability.md, R15): whenever nothing runs, what runs is compared with what
 * is wished; no order is remembered as done. Source: spec of rollouts, section 10. */
#ifndef DIDES_AGENT_LIFE_H
#define DIDES_AGENT_LIFE_H

#include "agent/command.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/status.h"
#include "sm/sm.h"

/* clang-format off */
#define UPLINK_STATES(X, T)                                                                          \
    X(T, UPLINK_NEW,         "new",         "not started")                                           \
    X(T, UPLINK_REGISTERING, "registering", "a registration is under way")                           \
    X(T, UPLINK_STRANGER,    "stranger",    "not registered; waits before it tries")                 \
    X(T, UPLINK_REPORTING,   "reporting",   "a heartbeat is under way")                              \
    X(T, UPLINK_RESTING,     "resting",     "waits until the next heartbeat is due")                 \
    X(T, UPLINK_CUT_OFF,     "cut_off",     "got no answer that helps; waits before it tries again") \
    X(T, UPLINK_CLOSED,      "closed",      "says nothing any more")

#define UPLINK_EVENTS(X, T)                                                                          \
    X(T, UPLINK_START,   "start",   "the agent starts")                                              \
    X(T, UPLINK_TAKEN,   "taken",   "the server took the registration or the heartbeat")             \
    X(T, UPLINK_UNKNOWN, "unknown", "the server does not know this instance (404)")                  \
    X(T, UPLINK_DENIED,  "denied",  "the server does not take the credential (401)")                 \
    X(T, UPLINK_NO_WAIT, "no_wait", "the server does not know the key wait (400)")                   \
    X(T, UPLINK_OVER,    "over",    "the session of the reports has ended (409)")                    \
    X(T, UPLINK_MISSED,  "missed",  "no answer, 429, 503, or another refusal")                       \
    X(T, UPLINK_TIMER,   "timer",   "the wait is over")                                              \
    X(T, UPLINK_TELL,    "tell",    "there is news for the server")                                  \
    X(T, UPLINK_STOP,    "stop",    "the agent is to end")

#define UPLINK_GUARDS(X, T)                                                                          \
    X(T, UPLINK_ALWAYS,    "always",    "no condition")                                              \
    X(T, UPLINK_IS_KNOWN,  "is_known",  "there is a credential from before")                         \
    X(T, UPLINK_HAS_NEWS,  "has_news",  "something happened since the last report went out")         \
    X(T, UPLINK_IS_HELD,   "is_held",   "the heartbeat under way is one that the server may hold")

#define UPLINK_EFFECTS(X, T)                                                                         \
    X(T, UPLINK_KEEP,     "keep",     "keep the credential; orders count anew if the instance is new") \
    X(T, UPLINK_DROP,     "drop",     "forget the credential")                                       \
    X(T, UPLINK_HEED,     "heed",     "take the order unless it is older than one already seen")     \
    X(T, UPLINK_REGISTER, "register", "send a registration")                                         \
    X(T, UPLINK_REPORT,   "report",   "send a heartbeat; without a session, one that asks for it")   \
    X(T, UPLINK_REST,     "rest",     "the next heartbeat goes out when the server said")            \
    X(T, UPLINK_BACK_OFF, "back_off", "try again after a random time, 1 s doubling to 60 s")         \
    X(T, UPLINK_HANG_UP,  "hang_up",  "wait for nothing")

#define DUTY_STATES(X, T)                                                                            \
    X(T, DUTY_NEW,      "new",      "not started")                                                   \
    X(T, DUTY_READING,  "reading",  "version_command runs")                                          \
    X(T, DUTY_PROBING,  "probing",  "health_command runs")                                           \
    X(T, DUTY_JUDGING,  "judging",  "compares what runs with the wish; left in the same step")       \
    X(T, DUTY_IDLE,     "idle",     "nothing to do")                                                 \
    X(T, DUTY_UPDATING, "updating", "update_command runs")                                           \
    X(T, DUTY_PAUSING,  "pausing",  "an attempt failed; waits before the next one")                  \
    X(T, DUTY_ENDING,   "ending",   "the agent is to end; a command still runs")                     \
    X(T, DUTY_STOPPED,  "stopped",  "nothing runs and nothing will")

#define DUTY_EVENTS(X, T)                                                                            \
    X(T, DUTY_START, "start", "the agent starts")                                                    \
    X(T, DUTY_ENDED, "ended", "the command has ended, in whatever way")                              \
    X(T, DUTY_JUDGE, "judge", "comes by itself in judging")                                          \
    X(T, DUTY_ORDER, "order", "the server said what it wishes")                                      \
    X(T, DUTY_TIMER, "timer", "the wait is over")                                                    \
    X(T, DUTY_STOP,  "stop",  "the agent is to end")

#define DUTY_GUARDS(X, T)                                                                            \
    X(T, DUTY_ALWAYS,     "always",     "no condition")                                              \
    X(T, DUTY_CAN_PROBE,  "can_probe",  "there is a health_command")                                 \
    X(T, DUTY_IS_CONTENT, "is_content", "what is wished runs, and no attempt at it failed unhealed") \
    X(T, DUTY_MUST_PAUSE, "must_pause", "an attempt has just failed and another is allowed")         \
    X(T, DUTY_MAY_TRY,    "may_try",    "another attempt is allowed for this order")                 \
    X(T, DUTY_IS_OTHER,   "is_other",   "the order is not the one that was tried")

#define DUTY_EFFECTS(X, T)                                                                           \
    X(T, DUTY_READ,    "read",    "run version_command")                                             \
    X(T, DUTY_PROBE,   "probe",   "run health_command")                                              \
    X(T, DUTY_UPDATE,  "update",  "attempt + 1; run update_command")                                 \
    X(T, DUTY_SETTLE,  "settle",  "forget failures; attempts start anew")                            \
    X(T, DUTY_GIVE_UP, "give_up", "say FAILED, and why")                                             \
    X(T, DUTY_LATER,   "later",   "look again after check_interval")                                 \
    X(T, DUTY_PAUSE,   "pause",   "wait a random time of 1 to 5 s")                                  \
    X(T, DUTY_GRACE,   "grace",   "let the update run for stop_grace")                               \
    X(T, DUTY_KILL,    "kill",    "end the command's process group")                                 \
    X(T, DUTY_UNCOUNT, "uncount", "what we cut short ourselves is no attempt")                       \
    X(T, DUTY_EXIT,    "exit",    "the agent can end")
/* clang-format on */

SM_STATES(uplink_state, UPLINK_STATES);
SM_EVENTS(uplink_event, UPLINK_EVENTS);
SM_GUARDS(uplink_guard, UPLINK_GUARDS);
SM_EFFECTS(uplink_effect, UPLINK_EFFECTS);
SM_STATES(duty_state, DUTY_STATES);
SM_EVENTS(duty_event, DUTY_EVENTS);
SM_GUARDS(duty_guard, DUTY_GUARDS);
SM_EFFECTS(duty_effect, DUTY_EFFECTS);

extern const struct sm_machine uplink_machine;
extern const struct sm_machine duty_machine;

#define LIFE_NEVER           INT64_MAX
#define LIFE_BACKOFF_MS      1000 /* first upper bound, doubling */
#define LIFE_BACKOFF_MAX_MS  (60 * 1000)
#define LIFE_INTERVAL_MS     5000 /* when the server names none */
#define LIFE_INTERVAL_MAX_MS (300 * 1000)
#define LIFE_WAIT_MS         (30 * 1000) /* that the server may hold a heartbeat */
#define LIFE_PAUSE_MIN_MS    1000
#define LIFE_PAUSE_MAX_MS    5000
#define LIFE_ROLLOUT_SIZE    64 /* of a rollout's id */
#define LIFE_SESSION_SIZE    64

struct life_part {
    uint16_t size; /* 0: not known, or not wished */
    char bytes[LIMIT_VERSION];
};
struct life_version {
    struct life_part code, config;
};
struct text life_part_text(const struct life_part *part);
/* Longer texts are a broken promise: the reader bounds them. */
void life_part_set(struct life_part *part, struct text t);
bool life_version_equal(const struct life_version *a, const struct life_version *b);

/* What tells one order from another: a new rollout to the same version is a new order. `term` and
 * `generation` put all orders in a row (R17): a restored server counts generations again, under a
 * higher term. */
struct life_order_id {
    uint64_t term, generation;
    uint64_t attempt; /* of the rollout at this instance; 0: not said */
    uint16_t rollout_size;
    char rollout[LIFE_ROLLOUT_SIZE];
};
struct life_order {
    struct life_order_id id;
    struct life_version wish;
    struct life_version known; /* what the server thinks runs */
    bool is_needed;            /* it thinks that the wish does not run */
};

/* What outlives the process, so that attempts are bounded even if each of them kills the agent. */
struct life_record {
    struct life_order_id tried;
    uint32_t attempts;                   /* at `tried` */
    uint64_t seen_term, seen_generation; /* of the newest order that ever came; term 0: none */
};

struct life_options {
    bool has_credential;   /* kept from before: no registration is needed */
    bool can_probe;        /* there is a health_command */
    uint32_t attempts_max; /* of one order; at least 1 */
    int64_t check_interval_ms, stop_grace_ms;
    struct life_record record; /* zeroed: none */
};

/* What a heartbeat says. Before the first answer and while an update is under way it says nothing
 * but that the agent lives: what was true before is no statement about this order, and the status
 * of what is being replaced would fail the member. */
struct life_report {
    bool has_status; /* with the message */
    bool has_version;
    struct life_version version;
    uint8_t status; /* enum instance_state */
    uint16_t message_size;
    char message[LIMIT_MESSAGE];
    bool has_observed;            /* an order was judged */
    uint64_t observed_generation; /* of that order; a held heartbeat waits for another */
    uint64_t observed_term;
    bool asks; /* for a session; then it says nothing else */
    /* The session that it is put in order by; both 0 with a server that knows of none (R16). */
    struct life_session {
        uint32_t size, sequence;
        char id[LIFE_SESSION_SIZE];
    } session;
};

/* The result of one look: version_command, then health_command. */
struct life_look {
    bool is_read; /* `version` is what version_command printed */
    struct life_version version;
    uint8_t status; /* enum instance_state */
    uint16_t note_size;
    char note[LIMIT_MESSAGE];
};

struct life {
    struct life_options options;
    uint8_t uplink, duty; /* written by life.c only, as all of this */

    /* the uplink */
    uint64_t call; /* number of the newest request; answers to older ones are late */
    int64_t call_sent_at;
    bool call_is_held;           /* sent with ?wait */
    bool call_tells_failure;     /* it says FAILED because of the order */
    bool wait_is_refused;        /* the server does not know it */
    bool is_plain;               /* nor sessions */
    struct life_session session; /* never kept beyond the process; size 0: none */
    bool was_unknown;            /* the next registration makes the instance anew */
    bool has_credential;
    uint32_t misses; /* in a row */
    int64_t uplink_due;
    struct life_report told; /* what the last report that went out said */
    bool must_tell;

    /* the order */
    bool has_order;
    struct life_order order;
    bool is_ignoring; /* the server's orders are older than one already seen */

    /* the duty */
    int64_t duty_due;
    bool has_looked;             /* at least once since the start */
    struct life_look look, next; /* the newest one; the one being taken */
    uint32_t unread_looks;       /* in a row, in which no version could be read */
    struct life_record record, saved;
    struct life_version tried_wish, target,
        previous;        /* of the update; target: wish, and what stays */
    bool is_updating;    /* update_command runs */
    bool is_proving;     /* it has run, and the look that follows says how it went */
    bool ended_well;     /* it ended with 0 */
    bool is_at_work;     /* from the first attempt at an order until it is fulfilled or given up */
    bool attempt_failed; /* the last attempt at record.tried */
    bool has_paused;     /* since then */
    bool has_given_up, failure_is_told;
    uint16_t failure_size;
    char failure[LIMIT_MESSAGE];
    bool has_observed;
    uint64_t observed_term, observed; /* term and generation of the order that was judged last */
};

/* ---- events ------------------------------------------------------------------------------------
 */

enum life_outcome { LIFE_TAKEN, LIFE_UNKNOWN, LIFE_DENIED, LIFE_NO_WAIT, LIFE_OVER, LIFE_MISSED };

struct life_answer {
    uint64_t call; /* life.call when it was sent */
    enum life_outcome outcome;
    int64_t retry_after_ms, next_ms; /* as the server said, or 0 */
    bool is_registration, is_new;    /* is_new: the registration made the instance */
    bool gave_credential;
    struct text session;            /* that it asked for, at most LIFE_SESSION_SIZE bytes */
    const struct life_order *order; /* NULL: none */
};

enum life_event_kind { LIFE_START, LIFE_ANSWERED, LIFE_ENDED, LIFE_TIMER, LIFE_STOP };

struct life_event {
    enum life_event_kind kind;
    int64_t now;     /* ms, of any clock that does not go back */
    uint64_t random; /* for jitter */
    union {
        const struct life_answer *answer;    /* LIFE_ANSWERED */
        const struct command_result *result; /* LIFE_ENDED */
    };
};

/* ---- effects, to be carried out in this order --------------------------------------------------
 */

enum life_effect {
    LIFE_KEEP = 1,     /* the credential of this answer */
    LIFE_DROP = 2,     /* the credential */
    LIFE_SAVE = 4,     /* life.record; before anything that follows */
    LIFE_REGISTER = 8, /* send as life.call */
    LIFE_REPORT = 16,  /* send life_report() as life.call, held if life.call_is_held */
    LIFE_READ = 32,    /* run version_command */
    LIFE_PROBE = 64,   /* run health_command */
    LIFE_UPDATE = 128, /* run update_command for life.tried_wish */
    LIFE_KILL = 256,   /* what runs */
    LIFE_EXIT = 512,
    LIFE_IGNORED = 1024,  /* orders are older than one already seen, from now on; for the log */
    LIFE_GAVE_UP = 2048,  /* life.failure says why; for the log */
    LIFE_FULFILLED = 4096 /* an update brought what was wished; for the log */
};

void life_init(struct life *life, const struct life_options *options);
/* Returns the set of effects. An event that does not fit (a late answer, a timer that was set
 * before) changes nothing. */
uint32_t life_step(struct life *life, const struct life_event *event);

/* When LIFE_TIMER is due; LIFE_NEVER: not. */
int64_t life_due(const struct life *life);
/* What a heartbeat says now. */
void life_report(const struct life *life, struct life_report *ret);

/* The random wait after `misses` failures in a row (from 1): 0 to min(60 s, 1 s * 2^(misses - 1)).
 */
int64_t life_backoff_ms(uint64_t random, uint32_t misses);

/* What must always hold between steps; the sentence that does not, or NULL. */
const char *life_invariant(const struct life *life);

#endif
