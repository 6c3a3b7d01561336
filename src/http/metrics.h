/* SPDX-License-Identifier: Apache-2.0
 * metrics.h - every metric of the server, one row each: what GET /metrics says of it and what
 * doc/metrics.md says is printed from here. Source: spec of rollouts, section 12. */
#ifndef DIDES_HTTP_METRICS_H
#define DIDES_HTTP_METRICS_H

#include "base/buffer.h"

#include <stdint.h>

/* What the numbers of a histogram are; times are printed in seconds. */
enum metric_unit { UNIT_ONE, UNIT_MS, UNIT_US };

/* clang-format off */
/* X(id, type, name, labels, help, unit, first, last, step): the buckets of a histogram end at
 * 2^first, 2^(first + step), ... 2^last of its unit. In the order in which they are printed. */
#define METRICS(X)                                                                              \
    X(METRIC_BUILD_INFO, "gauge", "dides_build_info", "version",                                \
      "Always 1.", UNIT_ONE, 0, 0, 0)                                                           \
    X(METRIC_LEADER, "gauge", "dides_leader", "",                                               \
      "1 while this server leads, which a single server always does.", UNIT_ONE, 0, 0, 0)       \
    X(METRIC_INSTANCES, "gauge", "dides_instances", "status",                                   \
      "Instances by the status they report.", UNIT_ONE, 0, 0, 0)                                \
    X(METRIC_INSTANCES_ONLINE, "gauge", "dides_instances_online", "",                           \
      "Instances heard within their timeout.", UNIT_ONE, 0, 0, 0)                               \
    X(METRIC_INSTANCES_IN_PROGRESS, "gauge", "dides_instances_in_progress", "",                 \
      "Instances told to run another version.", UNIT_ONE, 0, 0, 0)                              \
    X(METRIC_FLEET_SILENT, "gauge", "dides_fleet_silent", "",                                   \
      "1 while most of the fleet is silent at once and rollouts stand still.", UNIT_ONE, 0, 0, 0) \
    X(METRIC_ROLLOUTS, "gauge", "dides_rollouts", "state",                                      \
      "Rollouts kept, by state.", UNIT_ONE, 0, 0, 0)                                            \
    X(METRIC_ROLLOUT_SECONDS, "histogram", "dides_rollout_seconds", "result",                   \
      "Time from the start of a rollout to its end.", UNIT_MS, 10, 30, 2)                       \
    X(METRIC_ROLLOUT_WAIT_SECONDS, "counter", "dides_rollout_wait_seconds_total", "reason",     \
      "Time in which live rollouts waited, by the reason; several may hold at once.", UNIT_ONE, 0, 0, 0) \
    X(METRIC_INSTANCE_UPDATE_SECONDS, "histogram", "dides_instance_update_seconds", "result",   \
      "Time from the order to an instance to its end, pauses included; one that fails and recovers counts twice.", \
      UNIT_MS, 7, 23, 1)                                                                        \
    X(METRIC_INSTANCE_FAILURES, "counter", "dides_instance_failures_total", "cause",            \
      "Failures of instances in rollouts.", UNIT_ONE, 0, 0, 0)                                  \
    X(METRIC_ROLLBACKS, "counter", "dides_rollbacks_total", "kind",                             \
      "Rollbacks begun, by an operator (manual) or by a breach (automatic).", UNIT_ONE, 0, 0, 0) \
    X(METRIC_GATE_EVALUATIONS, "counter", "dides_gate_evaluations_total", "type,result",        \
      "Results of gates by type.", UNIT_ONE, 0, 0, 0)                                           \
    X(METRIC_HEARTBEATS, "counter", "dides_heartbeats_total", "result",                         \
      "Heartbeats by whether they changed anything durable.", UNIT_ONE, 0, 0, 0)                \
    X(METRIC_HEARTBEAT_SECONDS, "histogram", "dides_heartbeat_seconds", "",                     \
      "Time from the whole heartbeat to its answer, waiting for the disk included, for news not.", \
      UNIT_US, 4, 20, 1)                                                                        \
    X(METRIC_CLOCK_SKEW_SECONDS, "histogram", "dides_clock_skew_seconds", "",                   \
      "By how much clocks of agents differ from the server's, of heartbeats that say their time; the way of the request is in it.", \
      UNIT_MS, 4, 22, 2)                                                                        \
    X(METRIC_LONG_POLLS, "gauge", "dides_long_polls", "",                                       \
      "Heartbeats whose reply is held.", UNIT_ONE, 0, 0, 0)                                     \
    X(METRIC_RECONCILE_SECONDS, "histogram", "dides_reconcile_seconds", "",                     \
      "Time to fire what is due and to evaluate the live rollouts.", UNIT_US, 4, 22, 1)         \
    X(METRIC_TIMER_OVERDUE_SECONDS, "gauge", "dides_timer_overdue_seconds", "",                 \
      "For how long the most overdue timer has been due; up to 0.1 is normal.", UNIT_ONE, 0, 0, 0) \
    X(METRIC_QUEUE_LENGTH, "gauge", "dides_queue_length", "",                                   \
      "Answers that wait until what they say is durable.", UNIT_ONE, 0, 0, 0)                   \
    X(METRIC_STORE_COMMIT_SECONDS, "histogram", "dides_store_commit_seconds", "",               \
      "Time to make one batch durable.", UNIT_US, 6, 22, 1)                                     \
    X(METRIC_STORE_BATCH_SIZE, "histogram", "dides_store_batch_size", "",                       \
      "Keys written or deleted by one batch.", UNIT_ONE, 0, 22, 2)                              \
    X(METRIC_STORE_OPS, "counter", "dides_store_ops_total", "",                                 \
      "Keys written or deleted.", UNIT_ONE, 0, 0, 0)                                            \
    X(METRIC_STORE_COMMIT_FAILURES, "counter", "dides_store_commit_failures_total", "",         \
      "Rounds of changes that were dropped.", UNIT_ONE, 0, 0, 0)                                \
    X(METRIC_STORE_PENDING_BATCHES, "gauge", "dides_store_pending_batches", "",                 \
      "Durable batches not yet folded into the readable table.", UNIT_ONE, 0, 0, 0)             \
    X(METRIC_STORE_FILE_BYTES, "gauge", "dides_store_file_bytes", "",                           \
      "Size of the store's files.", UNIT_ONE, 0, 0, 0)                                          \
    X(METRIC_STORE_WRITABLE, "gauge", "dides_store_writable", "",                               \
      "1 when the store accepts writes.", UNIT_ONE, 0, 0, 0)                                    \
    X(METRIC_TERM, "gauge", "dides_term", "",                                                   \
      "Which life of the database this is; a restore begins a new one.", UNIT_ONE, 0, 0, 0)     \
    X(METRIC_HELD, "gauge", "dides_held", "",                                                   \
      "1 while nothing is picked because an agent knows newer orders than the database.", UNIT_ONE, 0, 0, 0) \
    X(METRIC_EVENTS_INDEX, "gauge", "dides_events_index", "",                                   \
      "Newest durable journal entry; only a restore sets it back.", UNIT_ONE, 0, 0, 0)          \
    X(METRIC_EVENT_CLIENTS, "gauge", "dides_event_clients", "",                                 \
      "Open event streams.", UNIT_ONE, 0, 0, 0)                                                 \
    X(METRIC_INVARIANT_CHECKS, "counter", "dides_invariant_checks_total", "",                   \
      "Background recounts.", UNIT_ONE, 0, 0, 0)                                                \
    X(METRIC_INVARIANT_VIOLATIONS, "counter", "dides_invariant_violations_total", "",           \
      "Differences found by background recounts, each repaired.", UNIT_ONE, 0, 0, 0)            \
    X(METRIC_CREDENTIALS, "gauge", "dides_credentials", "",                                     \
      "Instances that have a credential of their own.", UNIT_ONE, 0, 0, 0)                      \
    X(METRIC_AUTH_REFUSALS, "counter", "dides_auth_refusals_total", "reason",                   \
      "Requests turned away by what was wrong: the token, the name it is for, an instance that is taken, the credential, one of another instance, or their rate.", \
      UNIT_ONE, 0, 0, 0)                                                                        \
    X(METRIC_HTTP_CONNECTIONS, "gauge", "dides_http_connections", "",                           \
      "Open connections.", UNIT_ONE, 0, 0, 0)                                                   \
    X(METRIC_HTTP_REQUESTS, "counter", "dides_http_requests_total", "route,code",               \
      "Requests by route and status code; those that never came are left out.", UNIT_ONE, 0, 0, 0) \
    X(METRIC_HTTP_REQUEST_SECONDS, "histogram", "dides_http_request_seconds", "route",          \
      "Time from the whole request to its answer, waiting for the disk and for news included.", \
      UNIT_US, 6, 26, 2)
/* clang-format on */

enum metric_id {
#define METRIC_ITEM(id, type, name, labels, help, unit, first, last, step) id,
    METRICS(METRIC_ITEM)
#undef METRIC_ITEM
        METRIC_COUNT
};

struct metric {
    const char *type, *name;
    const char *labels; /* names, separated by commas */
    const char *help;   /* a sentence */
    uint8_t unit;       /* enum metric_unit; from here on of histograms */
    uint8_t first, last, step;
};

extern const struct metric metrics[METRIC_COUNT];

/* The reference as Markdown. */
void metrics_markdown(struct buffer *out);

#endif
