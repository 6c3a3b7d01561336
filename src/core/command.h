/* SPDX-License-Identifier: Apache-2.0
 * command.h - what can be asked of the fleet: one struct and one function per command, already
 * checked in form (types, ranges, sizes) by whoever decoded it.
 *
 * Every function follows one rule: on failure *err says why, and nothing has changed; on success
 * the changes stand in fleet.changes and the records in the round's log. Call fleet_begin() before
 * each. Texts are borrowed for the time of the call. Source: spec of rollouts, sections 3 to 6. */
#ifndef DIDES_CORE_COMMAND_H
#define DIDES_CORE_COMMAND_H

#include "core/fleet.h"

/* ---- inventory (section 3) ------------------------------------------------------------------ */

struct register_command {
    struct text name, ip; /* one of them may be empty: N1 */
    const struct label_change *labels;
    size_t label_count;
    bool has_labels; /* false keeps those of a known instance */
};
struct register_result {
    uint32_t slot;
    bool is_new;
};
bool fleet_register(struct fleet *fleet, const struct register_command *command,
                    struct register_result *ret, struct err *err);

/* How a report is put in a row with the others of its instance (R16). */
enum heartbeat_order {
    HEARTBEAT_PLAIN, /* not at all: it counts as a statement about now */
    HEARTBEAT_ASKS,  /* asks for a session; what else it says is not taken, as nothing orders it */
    HEARTBEAT_ORDERED, /* by `session` and `sequence` */
};

struct heartbeat_command {
    uint8_t order;              /* enum heartbeat_order */
    uint32_t session, sequence; /* of HEARTBEAT_ORDERED; from 1 */
    bool has_code, has_config, has_status, has_message, has_sent_at;
    uint8_t status;           /* enum instance_state */
    struct text code, config; /* 1 to LIMIT_VERSION bytes when given */
    struct text message;
    const struct label_change *labels;
    size_t label_count;
    int64_t sent_at;  /* by the agent's clock; only measures its skew */
    bool is_outdated; /* the agent did not know the present wish when it reported: what it says is
                         kept, but neither completes nor fails who is in flight (R16) */
};
struct heartbeat_result {
    bool is_changed;          /* something durable changed: the reply waits for its commit */
    bool labels_were_ignored; /* setting agent_labels: ignore */
    bool is_stale;            /* a newer report of the session was there before: nothing changed */
};
/* ERR_SESSION: the session is not the present one of the instance. ERR_STORE, ERR_MEMORY. */
bool fleet_heartbeat(struct fleet *fleet, uint32_t slot, const struct heartbeat_command *command,
                     struct heartbeat_result *ret, struct err *err);

bool fleet_delete(struct fleet *fleet, uint32_t slot, struct err *err);

/* The interval to give to `inst` now, in ms; also remembers it (G1). */
uint32_t fleet_give_interval(struct fleet *fleet, struct instance *inst);

/* ---- rollouts (sections 4 to 6) ------------------------------------------------------------- */

struct deploy_command {
    struct text code, config; /* empty = left out; not both */
    struct selector selector;
    struct rollout_config rollout;
    struct text reason;
    struct text plan_hash; /* empty = not given; D2 is tested before the command is given */
};
/* D3 to D6: ERR_IN_PROGRESS or ERR_OVERLAPPING (*ret_other is the live one), ERR_NO_MATCH,
 * ERR_FULL, ERR_MEMORY. `ret_other` may be NULL. */
struct rollout *fleet_deploy(struct fleet *fleet, const struct deploy_command *command,
                             struct rollout **ret_other, struct err *err);

struct rollback_command {
    uint32_t number; /* the rollout to undo, or 0: found by RB2 */
    bool has_selector;
    struct selector selector;
    const struct rollout_config *config; /* NULL: that of the source */
    bool is_fast;
    struct text reason;
};
/* RB1 to RB10: ERR_NOT_FOUND, ERR_NO_ROLLBACK_TARGET, ERR_REFUSED, ERR_IN_PROGRESS (*ret_other). */
struct rollout *fleet_rollback(struct fleet *fleet, const struct rollback_command *command,
                               struct rollout **ret_other, struct err *err);

/* clang-format off */
#define VERBS(X)                                                                                \
    X(VERB_PAUSE,    "pause",    "picks nothing more; members in flight go on")                 \
    X(VERB_RESUME,   "resume",   "goes on after a pause; its failures so far no longer count if it was a breach that paused") \
    X(VERB_PROMOTE,  "promote",  "passes the soak, gate or hold that is waited for")            \
    X(VERB_ABORT,    "abort",    "ends it as failed and takes unfulfilled wishes back")         \
    X(VERB_RETRY,    "retry",    "gives failed members another attempt, or repeats an ended rollout") \
    X(VERB_ROLLBACK, "rollback", "brings what it touched back to what ran before")
/* clang-format on */

enum verb {
#define VERB_ITEM(id, word, meaning) id,
    VERBS(VERB_ITEM)
#undef VERB_ITEM
        VERB_COUNT
};

struct verb_command {
    enum verb verb;        /* not VERB_ROLLBACK: that is fleet_rollback() */
    bool finish_in_flight; /* of abort */
    bool is_full;          /* of promote: all later soaks and gates too */
    struct text reason;
};
/* Table 4.3. *ret is `r`, or the new rollout of a retry of an ended one. ERR_REFUSED,
 * ERR_NOTHING_TO_PROMOTE, ERR_NOTHING_TO_RETRY; a retry also fails like fleet_deploy(). */
bool fleet_verb(struct fleet *fleet, struct rollout *r, const struct verb_command *command,
                struct rollout **ret, struct rollout **ret_other, struct err *err);
/* The verbs that would be accepted now, one bit per enum verb. */
uint32_t fleet_allowed_verbs(const struct fleet *fleet, const struct rollout *r);
const char *verb_word(enum verb verb);
const char *verb_meaning(enum verb verb);

/* One evaluation now, whatever the setting reconcile (6.2). */
bool fleet_progress(struct fleet *fleet, struct rollout *r, struct err *err);

/* ---- time ----------------------------------------------------------------------------------- */

/* Fires what is due: at most LIMIT_TIMERS_PER_ROUND instances, in due order, and evaluates the live
 * rollouts. Returns true when more is due at once. ERR_MEMORY: try again later. */
bool fleet_tick(struct fleet *fleet, struct err *err);
/* When fleet_tick() has something to do next; TIMERS_NEVER: nothing. */
int64_t fleet_next_due(const struct fleet *fleet);

#endif
