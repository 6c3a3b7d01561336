/* SPDX-License-Identifier: Apache-2.0
 * talk.h - registrations and heartbeats as JSON, and what their answers say. Pure.
 * Source: spec of rollouts, 9.1, 9.3 (Q4) and section 10 (G0, G2). */
#ifndef DIDES_AGENT_TALK_H
#define DIDES_AGENT_TALK_H

#include "agent/life.h"
#include "base/arena.h"
#include "base/err.h"
#include "wire/json_table.h"

/* Who registers; borrowed. */
struct talk_host {
    struct text name, ip, token; /* ip may be empty */
    const struct json_pair *labels;
    uint32_t label_count;
};

#define TALK_REGISTER "/inventory/register"
void talk_registration(struct buffer *out, const struct talk_host *host);

/* "/inventory/instances/web-1", with "?wait=30s" when the server may hold it. */
void talk_path(struct buffer *out, struct text name, bool is_held);
/* `labels_of` NULL: without labels. */
void talk_heartbeat(struct buffer *out, const struct life_report *report,
                    const struct talk_host *labels_of, int64_t sent_at);

/* The sentence of a problem document, printable; false: it is none. Borrowed likewise. */
bool talk_read_problem(struct text body, struct arena *arena, struct text *ret_detail);
/* Texts are borrowed from the body or the arena. ERR_BAD_JSON, ERR_INVALID, ERR_MEMORY. Without a
 * session in the answer *ret_session is TEXT_NONE. */
bool talk_read_registration(struct text body, struct arena *arena, struct text *ret_credential,
                            struct err *err);
bool talk_read_heartbeat(struct text body, struct arena *arena, struct life_order *ret,
                         int64_t *ret_next_ms, struct text *ret_session, struct err *err);

#endif
