/* SPDX-License-Identifier: Apache-2.0
 * settings.h - the configuration keys of the server: one list gives members, kinds, ranges,
 * defaults, meanings, environment variables, --print-config and doc/settings.md.
 *
 * Layers are read in the order of rising precedence: defaults, --config FILE, environment, --set
 * KEY=VALUE, and the flags that are named like their keys. Each layer goes through the same field
 * table, so all of them have the same rules and the same sentences. */
#ifndef DIDES_CMD_SETTINGS_H
#define DIDES_CMD_SETTINGS_H

#include "base/arena.h"
#include "base/limits.h"
#include "core/fleet.h"
#include "http/tokens.h"
#include "net/http_server.h"
#include "wire/json_table.h"

/* Kinds: ADDRESS and TEXT (bytes), WORD (of the list), DURATION (ms), COUNT, BOOL, TOKENS. */
/* clang-format off */
#define SETTINGS_MS(s) ((s) * 1000ll)
#define SETTINGS(X)                                                                                                          \
/*    kind      key                 member                 min              max                        words          default            meaning */ \
    X(ADDRESS,  listen,             listen,                1,               255,                       NULL,          "127.0.0.1:7420",  "Address and port to listen on; port 0 takes a free one") \
    X(BOOL,     insecure,           insecure,              0,               0,                         NULL,          "false",           "Whether it may listen beyond loopback, where nothing is encrypted and everybody who reaches it is an operator") \
    X(TEXT,     data,               data,                  1,               4000,                      NULL,          "dides-data",      "Folder of the database; made when it is missing") \
    X(WORD,     store,              store,                 0,               0,                         &store_words,  "sqlite",          "Where state is kept; memory forgets everything at the end") \
    X(DURATION, heartbeat_timeout,  heartbeat_timeout_ms,  100,             SETTINGS_MS(86400),        NULL,          "90s",             "Silence after which an instance is offline; never less than three of its intervals") \
    X(DURATION, heartbeat_min,      heartbeat_min_ms,      100,             SETTINGS_MS(3600),         NULL,          "5s",              "Shortest interval given to an idle instance") \
    X(DURATION, heartbeat_max,      heartbeat_max_ms,      100,             SETTINGS_MS(3600),         NULL,          "5m",              "Longest interval given to an idle instance") \
    X(DURATION, active_interval,    active_interval_ms,    100,             SETTINGS_MS(3600),         NULL,          "2s",              "Longest interval given to an instance that is being updated") \
    X(COUNT,    target_rate,        target_rate,           1,               10000000,                  NULL,          "20000",           "Heartbeats per second that idle instances may send together; their intervals follow from it") \
    X(WORD,     agent_labels,       agent_labels,          0,               0,                         &label_words,  "merge",           "What becomes of labels in heartbeats") \
    X(COUNT,    max_instances,      max_instances,         1,               10000000,                  NULL,          "2000000",         "Registered instances; one more is refused with 503") \
    X(COUNT,    max_concurrent,     max_concurrent,        1,               LIMIT_LIVE_ROLLOUTS,       NULL,          "1",               "Rollouts that may be live at once; above 1 their selectors must be disjoint") \
    X(WORD,     reconcile,          reconcile,             0,               0,                         &when_words,   "auto",            "When live rollouts decide: by themselves, or only on trigger, verb and progress calls") \
    X(DURATION, reconcile_interval, reconcile_interval_ms, 100,             SETTINGS_MS(3600),         NULL,          "1s",              "How often live rollouts are evaluated when nothing is reported") \
    X(COUNT,    rollouts_kept,      rollouts_kept,         2,               1000000,                   NULL,          "1000",            "Ended rollouts that are kept") \
    X(COUNT,    rollouts_kept_days, rollouts_kept_days,    1,               36500,                     NULL,          "90",              "Days for which ended rollouts are kept; the two newest completed versions of a selector always are") \
    X(COUNT,    events_kept,        events_kept,           1000,            1000000000,                NULL,          "1000000",         "Journal entries that are kept") \
    X(COUNT,    events_kept_days,   events_kept_days,      1,               3650,                      NULL,          "7",               "Days for which journal entries are kept") \
    X(COUNT,    connections_max,    connections_max,       16,              1000000,                   NULL,          "20000",           "Open connections; one more is answered 503. The limit of descriptors may lower it") \
    X(COUNT,    io_threads,         io_threads,            0,               HTTP_IO_THREADS_MAX,       NULL,          "0",               "Threads that hold connections and read requests, each with as many descriptors as the limit allows. 0: one thread does it all") \
    X(TOKENS,   registration_tokens, tokens,               0,               TOKEN_RULES_MAX,           NULL,          "[]",              "What agents must know to register; without any the server is open: everybody may, and no agent needs a credential") \
    X(COUNT,    rate_limit_client,  rate_limit_client,     0,               1000000,                   NULL,          "10000",           "Requests per second of one client beyond loopback, an IPv4 address or an IPv6 /64; twice as many at once, the next is answered 429. 0: no limit") \
    X(COUNT,    rate_limit_instance, rate_limit_instance,  0,               1000000,                   NULL,          "100",             "Heartbeats per second of one instance that has a credential; twice as many at once, the next is answered 429. 0: no limit") \
    X(COUNT,    rate_limit_failures, rate_limit_failures,  0,               1000000,                   NULL,          "10",              "Wrong registration tokens per minute of one client, or wrong credentials for one instance; the next is answered 429 for a time that doubles up to 5 minutes. 0: no limit")
/* clang-format on */

enum setting_store { SETTING_STORE_SQLITE, SETTING_STORE_MEMORY, SETTING_STORE_COUNT };

#define SETTING_TYPE_ADDRESS  struct text
#define SETTING_TYPE_TEXT     struct text
#define SETTING_TYPE_WORD     uint8_t
#define SETTING_TYPE_DURATION int64_t
#define SETTING_TYPE_COUNT    uint32_t
#define SETTING_TYPE_BOOL     bool
#define SETTING_TYPE_TOKENS   struct setting_token *

/* One of `token`, `token_file` and `sha256` says what the token is. */
struct setting_token {
    struct text name, token, token_file, sha256, instances;
    int64_t expires; /* ms since the epoch; 0: never */
};

struct setting_values {
#define SETTING_MEMBER(kind, key, member, ...) SETTING_TYPE_##kind member;
    SETTINGS(SETTING_MEMBER)
#undef SETTING_MEMBER
    uint32_t token_count;
    struct json_given given; /* by the layer that was read last */
};

enum setting {
#define SETTING_ITEM(kind, key, ...) SETTING_##key,
    SETTINGS(SETTING_ITEM)
#undef SETTING_ITEM
        SETTING_COUNT
};

enum setting_source {
    SETTING_FROM_DEFAULT,
    SETTING_FROM_FILE,
    SETTING_FROM_ENVIRONMENT,
    SETTING_FROM_SET,
    SETTING_FROM_FLAG,
};

struct settings {
    struct setting_values value;
    uint8_t sources[SETTING_COUNT]; /* enum setting_source */
    struct text file;               /* what --config named; empty: nothing */
    struct arena arena;             /* holds all texts */
};

/* Row i is setting i. */
extern const struct json_table settings_table;
extern const struct json_table setting_token_table; /* an entry of registration_tokens */

/* Sets the defaults. False: no memory; settings_release() is due all the same. */
bool settings_init(struct settings *s, struct err *err);
void settings_release(struct settings *s);

/* The layers. On failure *s is as it was and *err names the source, the key and what is allowed:
 * ERR_USAGE, or ERR_MEMORY. A file whose name ends in .json is JSON, any other YAML. */
bool settings_read_file(struct settings *s, const char *path, struct err *err);
/* `environment` is like environ. Variables that merely begin with DIDES_ are other people's (the
 * command line client's, service links of an orchestrator) unless one looks like a misspelt key. */
bool settings_read_environment(struct settings *s, char *const *environment, struct err *err);
bool settings_read_pair(struct settings *s, const char *pair, struct err *err); /* "KEY=VALUE" */
/* `key` is one of the list: the flag has its name, with dashes. */
bool settings_read_flag(struct settings *s, const char *key, const char *value, struct err *err);

/* What no single key can tell: bounds that cross, entries that contradict each other, and a server
 * beyond loopback (ERR_USAGE). Reads no file. */
bool settings_check(const struct settings *s, struct err *err);

struct fleet_settings settings_fleet(const struct settings *s);

/* The configuration as YAML that settings_read_file() reads back, a line of explanation per key. */
void settings_print(const struct settings *s, struct buffer *out);
/* The reference: doc/settings.md. */
void settings_markdown(struct buffer *out);

#endif
