/* SPDX-License-Identifier: Apache-2.0
 * view.h - what clients see of instances and rollouts, and the documents of errors. Members and
 * their order are part of the API; what is absent is null, empty sets are [] or {}.
 * Source: spec of rollouts, 5.4, 9.2, 9.6 and G0. */
#ifndef DIDES_WIRE_VIEW_H
#define DIDES_WIRE_VIEW_H

#include "core/command.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

/* ---- parts ---------------------------------------------------------------------------------- */

/* "r-42"; null for 0. */
void wire_write_rollout_id(struct json_writer *w, uint32_t number);
/* {"code_version","configuration_version"}, unknown parts null. */
void wire_write_version(struct json_writer *w, const struct fleet *fleet, struct version v);
/* A label set as a map. */
void wire_write_labels(struct json_writer *w, const struct fleet *fleet, uint32_t labels);
/* The requirements of the form key=value as a map; others have no place in it. */
void wire_write_selector_labels(struct json_writer *w, const struct selector *selector);
/* Every effective value, as the body of a deploy takes it. */
void wire_write_config(struct json_writer *w, const struct rollout_config *config);
/* The counters with the names of 5.4. */
void wire_write_progress(struct json_writer *w, const struct tally *tally);
/* The waves of a rollout in their order, as a list. */
void wire_write_waves(struct json_writer *w, const struct rollout *r);
/* Members "domains", a list of at most WIRE_DOMAINS_SHOWN, those at a limit first, and
 * "domain_count", how many there are. None for an ended rollout. O(domains). */
#define WIRE_DOMAINS_SHOWN 100
void wire_put_domains(struct json_writer *w, const struct fleet *fleet, const struct rollout *r);
/* The verbs of a set, one bit per enum verb, as a list of words. */
void wire_write_verbs(struct json_writer *w, uint32_t verbs);

/* ---- objects -------------------------------------------------------------------------------- */

/* update_state, deployment_id, attempt and cause are of the live rollout the instance belongs to,
 * else of its newest order; deadline_at only while a deadline acts. */
void wire_write_instance(struct json_writer *w, const struct fleet *fleet, uint32_t slot,
                         bool with_trail);
/* Several without their trails into a list that is open. What neighbours have in common, labels and
 * versions, is made once and copied. */
void wire_write_instances(struct json_writer *w, const struct fleet *fleet, const uint32_t *slots,
                          uint32_t count);

/* `store_fails_since`: when the store stopped accepting writes, in ms; 0: it works. */
void wire_write_rollout(struct json_writer *w, const struct fleet *fleet, const struct rollout *r,
                        int64_t store_fails_since);
/* The same without its end: the caller adds members and calls json_end_object(). */
void wire_write_rollout_open(struct json_writer *w, const struct fleet *fleet,
                             const struct rollout *r, int64_t store_fails_since);
/* What was asked for, as the body of a deploy that asks for the same. */
void wire_write_request(struct json_writer *w, const struct fleet *fleet, const struct rollout *r);

/* The reply to a heartbeat (G0). `warnings` may be NULL. */
struct wire_reply {
    uint32_t slot;
    uint32_t next_heartbeat_ms;
    int64_t server_time; /* ms */
    const struct json_warnings *warnings;
    bool labels_were_ignored; /* adds a warning: setting agent_labels */
    bool is_stale;            /* adds a warning: a newer report was there before */
    uint64_t process;         /* of sessions, see session.h */
    bool gave_session;        /* shows the instance's */
    uint64_t term;            /* of the server's store, R17 of doc/reliability.md */
};
void wire_write_heartbeat_reply(struct json_writer *w, const struct fleet *fleet,
                                const struct wire_reply *reply);

/* A list of texts; says how many more there were. NULL: empty. */
void wire_write_warnings(struct json_writer *w, const struct json_warnings *warnings);

/* ---- errors --------------------------------------------------------------------------------- */

/* What a refusal tells besides; everything may be left out. */
struct wire_conflict {
    const char *current_state; /* a word, or NULL */
    uint32_t allowed_verbs;    /* one bit per enum verb */
    bool has_allowed_verbs;
    uint32_t deployment; /* number, or 0 */
    uint64_t oldest;     /* of ERR_GONE: the oldest journal index still kept; 0: not said */
};

/* The document of application/problem+json. `extra` may be NULL; `instance_path` is the path of the
 * request. `out` has been initialised. */
void wire_write_problem(struct buffer *out, const struct err *err,
                        const struct wire_conflict *extra, struct text instance_path);

#endif
