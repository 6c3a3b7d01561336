/* SPDX-License-Identifier: Apache-2.0
 * answers.c - what an agent makes of a server's answers. */
#include "agent/talk.h"
#include "fuzz.h"

void fuzz_answer(struct text input)
{
    struct fuzz f;
    struct text credential = TEXT_NONE, detail = TEXT_NONE, session = TEXT_NONE;
    struct life_order order;
    int64_t next_ms = -1;
    fuzz_begin(&f);
    if (talk_read_problem(input, &f.arena, &detail))
        fuzz_claim_safe(detail);
    if (talk_read_registration(input, &f.arena, &credential, &f.err))
        CLAIM(credential.size <= LIMIT_TOKEN);
    else
        CLAIM_ERROR(&f.err, ERR_BAD_JSON, ERR_INVALID, ERR_MEMORY);
    if (talk_read_heartbeat(input, &f.arena, &order, &next_ms, &session, &f.err)) {
        CLAIM(next_ms >= 0);
        fuzz_claim_safe(session);
        CLAIM(order.id.rollout_size <= LIFE_ROLLOUT_SIZE);
        CLAIM(order.wish.code.size <= LIMIT_VERSION && order.wish.config.size <= LIMIT_VERSION);
        CLAIM(order.known.code.size <= LIMIT_VERSION && order.known.config.size <= LIMIT_VERSION);
    } else {
        CLAIM_ERROR(&f.err, ERR_BAD_JSON, ERR_INVALID, ERR_MEMORY);
    }
    fuzz_end(&f);
}
