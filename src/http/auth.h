/* SPDX-License-Identifier: Apache-2.0
 * auth.h - who may register, who may report, and how often (spec of rollouts, G3, G4, N7).
 *
 * Without tokens the server is open: any text registers, nobody needs a credential. With tokens a
 * registration is answered with a credential of that one instance, and heartbeats need it. Only
 * hashes are kept, in the store under other/credential/<percent-encoded key>.
 *
 * Limits: requests of one client, heartbeats of one instance, wrong tokens of one client. Those of
 * clients do not count on loopback, where a proxy or a whole simulated fleet may sit; wrong tokens
 * count everywhere. A client with a good credential is never shut out by what others of its address
 * do wrong. */
#ifndef DIDES_HTTP_AUTH_H
#define DIDES_HTTP_AUTH_H

#include "http/buckets.h"
#include "http/credentials.h"
#include "http/tokens.h"
#include "port/log.h"

/* 0: no limit. */
struct auth_limits {
    uint32_t requests_per_second;   /* of one client beyond loopback; twice as many at once */
    uint32_t heartbeats_per_second; /* of one instance with a credential; twice as many at once */
    uint32_t failures_per_minute;   /* wrong tokens, or wrong credentials for one instance */
};

struct auth_options {
    const struct token_rule *tokens; /* borrowed until api_close() */
    size_t token_count;              /* 0: the server is open */
    struct auth_limits limits;
};

/* Why requests were turned away, for the metrics. */
/* clang-format off */
#define AUTH_REFUSALS(X)                                                                      \
    X(AUTH_TOKEN,      "token")      /* missing, wrong or expired */                          \
    X(AUTH_NAME,       "name")       /* the token is not for this name */                     \
    X(AUTH_TAKEN,      "taken")      /* the instance is online and has its own credential */  \
    X(AUTH_CREDENTIAL, "credential") /* missing or wrong */                                   \
    X(AUTH_FOREIGN,    "foreign")    /* of another instance */                                \
    X(AUTH_RATE,       "rate")       /* too many requests or failures */
/* clang-format on */

enum auth_refusal {
#define AUTH_ITEM(id, word) id,
    AUTH_REFUSALS(AUTH_ITEM)
#undef AUTH_ITEM
        AUTH_REFUSAL_COUNT
};

struct auth {
    struct auth_options options;
    struct credentials credentials;
    struct buckets clients, instances, failures;
    uint64_t seed; /* of keys in buckets */
    struct log_port log;
    struct buckets lines; /* one bucket: strangers must not fill the log */
    uint64_t refusals[AUTH_REFUSAL_COUNT];
};

/* What a registration or a deletion will do to a credential once it has succeeded. */
struct auth_waiter;
struct auth_grant {
    const struct token_rule *rule; /* NULL: the server is open */
    enum credential_kind shown;    /* which of its credentials the instance showed */
    struct auth_waiter *waiter;    /* NULL: nothing is to be done */
};

#endif
