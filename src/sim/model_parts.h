/* SPDX-License-Identifier: Apache-2.0
 * model_parts.h - what the files of the model share, and what the swarm does with one besides
 * letting it run. */
#ifndef DIDES_SIM_MODEL_PARTS_H
#define DIDES_SIM_MODEL_PARTS_H

#include "engine/engine.h"
#include "sim/crowd.h"
#include "sim/invariants.h"
#include "sim/model.h"
#include "sim/vault.h"

#define MODEL_TICK_MS      100   /* how often the shipped server looks at its timers */
#define MODEL_RECONCILE_MS 1000  /* and evaluates live rollouts without a reason */
#define MODEL_STARVED_MS   2000  /* so late does a decision come at most that could not be taken */
#define OPERATOR_UNSETTLED 16    /* steps that wait for a commit; more wait for their turn */
#define MODEL_CALL_MS      10000 /* an answer that takes longer is a lost one */

/* ---- what is remembered of an event --------------------------------------------------------- */

enum note_kind {
    NOTE_REGISTER,
    NOTE_HEARTBEAT,
    NOTE_TICK,
    NOTE_OPERATOR,
    NOTE_COMMIT,
    NOTE_REFUSED_COMMIT,
    NOTE_SERVER_DOWN,
    NOTE_SERVER_UP,
    NOTE_STORE_FAILED,
    NOTE_ANSWER,
    NOTE_UNANSWERED,
    NOTE_FAULT,
    NOTE_FAULTS_END,
};

struct note {
    int64_t at;
    uint8_t kind;    /* enum note_kind */
    uint8_t status;  /* enum instance_state reported */
    uint16_t code;   /* enum err_code */
    uint32_t agent;  /* index, or FLEET_NONE */
    uint32_t number; /* of a rollout or generation */
    struct crowd_pair version;
    const char *what; /* of an operator: a word; static */
};

/* ---- calls ---------------------------------------------------------------------------------- */

enum message_kind { MESSAGE_FREE, MESSAGE_REGISTER, MESSAGE_HEARTBEAT, MESSAGE_ANSWER };
enum answer_kind { ANSWER_TAKEN, ANSWER_ORDER, ANSWER_UNKNOWN, ANSWER_BUSY, ANSWER_NONE };

struct message {
    uint8_t kind, answer, status;
    bool update_needed, has_message, is_new; /* is_new: the instance was not known */
    struct crowd_pair version;               /* claimed, or wished */
    uint32_t agent, call;                    /* call number that it belongs to */
    uint32_t generation, rollout, interval_ms;
    uint32_t next;  /* in the list of free ones; FLEET_NONE ends it */
    uint64_t round; /* an answer waits until this one is durable; 0: none */
};

/* Agents order orders by term, then generation (R17); in one number here: 0 is none. */
#define ORDER_TERM_SHIFT 24
#define ORDER_GENERATION ((1u << ORDER_TERM_SHIFT) - 1)

/* An answer that waits for its round. */
struct held_answer {
    struct engine_waiter waiter; /* first: it is what the engine gives back */
    struct model *model;
    struct message answer;
};

/* How an instance stands with its newest call; only where calls take time or get lost. */
struct call_state {
    int64_t until; /* when it is given up; 0: none is under way */
    uint32_t number;
    uint32_t newest_generation;           /* that the agent knows, of the present record */
    uint32_t stored_generation;           /* found in the store */
    uint64_t stored_start;                /* by this server */
    int64_t cut_to_until, cut_from_until; /* nothing gets to the server; from it */
    bool owes_new;                        /* it was registered anew, and its agent may not know */
    bool is_unknown;                      /* the server did not know it when it was asked last */
    bool is_ignoring;                     /* what it was told last is older than what it knows */
};

enum model_timer {
    TIMER_OPERATOR,
    TIMER_SERVER_UP,
    TIMER_COMMIT,
    TIMER_TICK,
    TIMER_RESTART,
    TIMER_CRASH,
    TIMER_SILENT,
    TIMER_LINK,
    TIMER_OLD_AGENT,
    TIMER_PAUSE,
    TIMER_FULL,
    TIMER_COPY,    /* the store is copied, or an old copy put in place */
    TIMER_SILENCE, /* a window of silence begins or ends */
    TIMER_FAULTS_END,
    MODEL_TIMERS
};

/* ---- operators with keys, watchers of the journal -------------------------------------------- */

#define CLIENT_KEYS    256u /* 0 is no key */
#define MODEL_WATCHERS 2u
#define EVENTS_SLACK   2048u /* entries of one round that are not looked through yet */

/* What a client knows of its key. */
struct client_key {
    bool is_answered, is_over; /* over: it was kept long enough, or an old copy forgot it */
    uint32_t rollout;
    uint64_t commits; /* of the store, when it was answered */
};

/* What the server keeps of an answer. */
struct client_reply {
    bool is_kept;
    uint32_t rollout;
    int64_t at;
    uint64_t round; /* 0: it was loaded */
};

struct clients {
    struct client_key keys[CLIENT_KEYS];
    struct client_reply replies[CLIENT_KEYS];
    uint32_t newest; /* keys above it were never used */
    int64_t kept_ms;
};

struct model_watcher {
    struct engine_reader reader; /* first: it is what the engine gives back */
    struct model *model;
    struct engine_scan scan;
    struct buffer rows;
    uint64_t next, scan_from; /* index it wants next; wanted of the store */
    bool is_on, is_scanning;
};

/* What any of them has seen, by index. */
struct watch_log {
    uint64_t *hashes; /* 0: nobody has */
    uint64_t capacity, newest;
};

/* The heap of the server: it says no to the allocation after `left` others. */
struct server_memory {
    struct memory port;
    uint32_t left; /* 0: it says no to none */
    uint64_t refused;
};

struct model {
    struct model_options options;
    struct plan *plan;
    struct faults faults; /* none after their end */
    struct crowd crowd;
    int64_t now;
    struct timers timers; /* items: enum model_timer, then agents, then messages */
    uint64_t openings;    /* of the timers, when what comes next was looked at last */
    uint64_t events, history;
    struct sim_dice dice; /* of network, store and processes */
    struct err broken;
    struct err why; /* the newest refusal; made once, for an empty one costs more than an event */

    /* the server */
    bool has_engine;       /* false: a large fleet, whose server forgets everything when it dies */
    struct engine *engine; /* NULL: it has none, or none runs */
    struct fleet *fleet;   /* NULL: none runs */
    struct vault vault;
    struct vault_copy copy; /* an old state of the store */
    bool has_copy;
    uint32_t put_by_hand; /* how often that was done without raising the term */
    struct engine_confirm confirm;
    bool is_confirming;
    struct server_memory memory;
    int64_t starved_until;   /* decisions may be late, for want of memory or of a store */
    uint64_t refused_before; /* allocations, when the witness looked last */
    int64_t commit_due;      /* when the store is done with what it was given last */
    bool is_dying;           /* the store has failed: it ends at the end of this turn */
    bool is_gone;            /* it is being taken down: nothing leaves any more */
    uint64_t failures;       /* commits that this server gave up, as far as was noticed */
    int64_t full_until;      /* the disk has no room */
    int64_t paused_until;    /* the process stands still */
    int64_t paused_at;       /* since when; 0: it has been told */
    int64_t clock_ahead_ms;  /* of virtual time */
    uint64_t drops;          /* how often rounds were taken back or lost */
    int64_t died_at;
    int64_t reconciled_at;
    int64_t core_due; /* of the core's first timer, when the next tick was set */
    uint64_t starts;  /* of servers */
    struct witness witness;

    /* the network */
    struct call_state *calls; /* by agent; NULL: calls take no time */
    uint32_t *agents; /* by slot of the server's fleet: whose instance it is, or FLEET_NONE */
    uint32_t agent_capacity;
    struct message *messages;
    uint32_t message_capacity, message_count, first_free;
    uint32_t active_silence; /* bits of faults.silences */

    /* operators */
    uint32_t step;                                 /* of the script, that comes next */
    uint32_t unsettled_steps[OPERATOR_UNSETTLED];  /* done and not durable yet */
    uint64_t unsettled_rounds[OPERATOR_UNSETTLED]; /* of them */
    uint32_t unsettled_count;
    /* Instead of the script: called when TIMER_OPERATOR is due; sets the timer itself. */
    void (*operate)(void *ctx, struct model *model);
    void *operator_ctx;
    uint32_t key; /* of the request that is being served, or 0 */

    struct clients clients;
    struct model_watcher watchers[MODEL_WATCHERS];
    struct watch_log watched;

    struct note notes[MODEL_LAST];
    uint64_t note_count;
    struct model_counts counts;
};

static inline uint32_t model_agent_item(uint32_t agent)
{
    return MODEL_TIMERS + agent;
}

/* The time of the server; of the next one while none runs. */
static inline int64_t model_clock(const struct model *m)
{
    return m->engine ? engine_now(m->engine) : m->now + m->clock_ahead_ms;
}

/* Whether a server runs that does something. */
static inline bool model_has_server(const struct model *m)
{
    return m->fleet && m->now >= m->paused_until;
}

static inline bool model_is_broken(const struct model *m)
{
    return m->broken.code != ERR_NONE;
}

/* ---- model.c -------------------------------------------------------------------------------- */

void model_set_timer(struct model *m, enum model_timer timer, int64_t due);
/* Sets the agent's timer to the first thing that it does next. */
void model_arm_agent(struct model *m, uint32_t agent);
void model_count(struct model *m, enum fault_class fault);
void model_break(struct model *m, const struct err *why); /* the first one counts */
bool model_chance(struct model *m, uint32_t share);
void model_faults_end(struct model *m);

/* ---- model_life.c: servers come and go, and their commits -------------------------------------
 */

bool server_start(struct model *m, struct err *err);
/* It ends as asked, after its last commit; or it is gone at once, and so is the power. */
void server_stop(struct model *m, bool is_asked);
void server_crash(struct model *m, bool is_asked);
void server_come_up(struct model *m);
void server_pause(struct model *m, int64_t until);
void server_resume(struct model *m); /* it learns that it stood still, if it did for long */
/* The end of a turn of its loop: changes go to the store, results are taken. */
/* An operator puts an old copy of the store in place, with the tool, which raises the term, or by
 * hand. */
void server_put_back(struct model *m, bool is_by_hand);
/* An operator says that a held server is to go on. */
void server_confirm(struct model *m);
void server_turn(struct model *m);
void server_note_drop(struct model *m); /* if there was one: nothing is as it was seen last */
struct vault_fate model_draw_fate(void *ctx);
void server_commit_done(struct model *m);
bool server_is_settled(const struct model *m, uint64_t round);

/* ---- model_server.c ------------------------------------------------------------------------- */

void server_forget_slots(struct model *m);
void server_tick(struct model *m);
void server_arm_tick(struct model *m);
/* Before and after a command of anybody's. The latter checks, commits and re-arms; `code` is that
 * of its failure. */
void server_begin(struct model *m, struct text actor);
void server_end(struct model *m, enum event_kind kind, uint32_t slot, bool is_changing,
                enum err_code code);
/* The slot of an agent's instance, or FLEET_NONE. */
uint32_t server_slot(struct model *m, uint32_t agent);
void server_wake(void *ctx, uint32_t slot); /* an engine_wake_fn of the model */
/* Answers a request. */
void server_answer(struct model *m, const struct message *request);

/* ---- model_network.c ------------------------------------------------------------------------ */

bool network_open(struct model *m, struct err *err);
void network_close(struct model *m);
void network_call(struct model *m, uint32_t agent); /* the agent's call is due */
void network_give_up(struct model *m, uint32_t agent);
void network_arrive(struct model *m, uint32_t message); /* an item of the timers */
void network_answer(struct model *m, const struct message *answer);
/* The answer leaves when its round is durable. */
void network_hold(struct model *m, const struct message *answer);
/* The agent's held heartbeat is answered: it reports again, and learns. */
void network_wake(struct model *m, uint32_t agent);
void network_hang_up(struct model *m, uint32_t agent); /* its answers will not be heard */

/* ---- model_operator.c ----------------------------------------------------------------------- */

void operator_begin(struct model *m);
void operator_wake(struct model *m);
void operator_settled(struct model *m);
void operator_dropped(struct model *m);
bool operator_is_done(const struct model *m);
/* One request each. The code of its failure, or ERR_NONE. */
enum err_code operator_deploy(struct model *m, const struct deploy_command *command,
                              struct err *err);
enum err_code operator_rollback(struct model *m, const struct rollback_command *command,
                                struct err *err);
enum err_code operator_verb(struct model *m, uint32_t number, const struct verb_command *command,
                            struct err *err);

/* ---- model_clients.c ------------------------------------------------------------------------ */

/* Whether a kept answer to the key was given once more. */
bool clients_replay(struct model *m, uint32_t key);
/* Between a command and its end: the answer is kept with it. After the end: it is given. */
void clients_keep(struct model *m, uint32_t key, uint32_t rollout);
void clients_answer(struct model *m, uint32_t key);
void clients_note_drop(struct model *m);
void clients_expire(struct model *m);
void clients_load(struct model *m); /* by a server that starts */
bool clients_hold(const struct model *m, struct err *err);

/* ---- model_watch.c -------------------------------------------------------------------------- */

void watchers_init(struct model *m);
void watchers_release(struct model *m);
void watchers_toggle(struct model *m);              /* one leaves or comes back */
void watchers_load(struct model *m, bool is_older); /* by a server that starts */
void server_check_load(struct model *m);
void server_check_bounds(struct model *m);

/* ---- model_trace.c -------------------------------------------------------------------------- */

void model_note(struct model *m, const struct note *note);
void model_note_changes(struct model *m);
__attribute__((format(printf, 2, 3))) void model_tell(struct model *m, const char *format, ...);

#endif
