/* SPDX-License-Identifier: Apache-2.0
 * request.h - bodies of requests become commands of the core. Form is checked here (types, ranges,
 * sizes, known keys), meaning by the core. Every text of a result is borrowed from `body` or
 * `arena`, and results hold pointers into `arena`: both must outlive the command.
 *
 * All functions fail with ERR_BAD_JSON, ERR_UNKNOWN_KEY, ERR_INVALID, ERR_NOT_SUPPORTED (reserved
 * for later) or ERR_MEMORY; then *ret is untouched. err->pointer names the faulty value.
 * `warnings` is added to and must be initialised; NULL: they are dropped.
 * Source: spec of rollouts, 7.1, 9.3 and 9.7. */
#ifndef DIDES_WIRE_REQUEST_H
#define DIDES_WIRE_REQUEST_H

#include "core/command.h"
#include "plan/forecast.h"
#include "wire/json_read.h"

/* ---- registration --------------------------------------------------------------------------- */

/* Only the token, because it is tested before the fields: they may be wrong or missing here. A
 * token that is missing or null is TEXT_NONE. */
bool wire_read_token(struct text body, struct arena *arena, struct text *ret_token,
                     struct err *err);

struct wire_register {
    struct register_command command;
    struct text token; /* TEXT_NONE: not given */
    bool has_token;    /* given, and not empty */
};
/* An empty name or ip counts as not given; an instance needs one of them (N1). */
bool wire_read_register(struct text body, struct arena *arena, struct wire_register *ret,
                        struct json_warnings *warnings, struct err *err);

/* ---- heartbeats ----------------------------------------------------------------------------- */

#define WIRE_TERM_MAX ((int64_t)1 << 53)

struct wire_heartbeat {
    struct heartbeat_command command;
    uint32_t observed_generation; /* if given */
    bool has_observed_generation;
    uint64_t observed_term;  /* of that generation; 0: not given */
    bool gave_desired_state; /* ignored, and named in the warnings (N7) */
    struct text session;     /* of command.order HEARTBEAT_ORDERED: as given, see session.h; its
                                number is not read yet */
};
/* Q4: every field may stand at the top, in "updates", or (versions) in "current_state" of either;
 * given more than once it must be the same each time. Null counts as not given, but for the values
 * of labels, where it removes the label. */
bool wire_read_heartbeat(struct text body, struct arena *arena, struct wire_heartbeat *ret,
                         struct json_warnings *warnings, struct err *err);

/* ---- rollouts ------------------------------------------------------------------------------- */

/* Q2. */
bool wire_read_deploy(struct text body, struct arena *arena, struct deploy_command *ret,
                      struct err *err);
/* A deploy, and what a plan assumes besides. */
struct wire_plan {
    struct deploy_command command;
    struct forecast_assumptions assume;
    int64_t horizon_ms;
};
bool wire_read_plan(struct text body, struct arena *arena, struct wire_plan *ret, struct err *err);
/* RB1. No body is {}. A selector without requirements, as text or as labels, counts as not given. A
 * configuration given in part has the defaults of 7.1 in the rest; it lies in `arena`. */
bool wire_read_rollback(struct text body, struct arena *arena, struct rollback_command *ret,
                        struct err *err);
/* The optional body of POST /deploy/{id}/<verb>; no body is {}. Not for VERB_ROLLBACK. */
bool wire_read_verb(struct text body, struct arena *arena, enum verb verb, struct verb_command *ret,
                    struct err *err);
/* "r-42". ERR_INVALID. */
bool wire_read_rollout_id(struct text id, uint32_t *ret, struct err *err);

#endif
