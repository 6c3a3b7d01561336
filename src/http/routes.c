/* SPDX-License-Identifier: Apache-2.0
 * routes.c - every route, the busiest first. Where two spellings of a path are documented, both are
 * rows; one trailing slash is ignored on all. */
#include "http/api_parts.h"

/* clang-format off */
const struct route routes[] = {
    { "PATCH",  "/inventory/instances/{name}", inventory_heartbeat, LIMIT_BODY_AGENT, VERB_COUNT, "wait",
      "a heartbeat: what the instance runs and how it is" },
    { "POST",   "/inventory/register", inventory_register, LIMIT_BODY_AGENT, VERB_COUNT, "",
      "register an instance" },
    { "POST",   "/inventory/instances/register", inventory_register, LIMIT_BODY_AGENT, VERB_COUNT, "",
      "register an instance" },
    { "GET",    "/inventory/instances", inventory_list, LIMIT_BODY, VERB_COUNT,
      "labels status update_state online deployment code_version limit cursor",
      "list instances by name" },
    { "GET",    "/inventory/instances/{name}", inventory_show, LIMIT_BODY, VERB_COUNT, "",
      "one instance with its trail" },
    { "DELETE", "/inventory/instances/{name}", inventory_delete, LIMIT_BODY, VERB_COUNT, "",
      "remove an instance" },
    { "POST",   "/deploy", deploy_create, LIMIT_BODY, VERB_COUNT, "",
      "start a rollout" },
    { "GET",    "/deploy", deploy_list, LIMIT_BODY, VERB_COUNT, "state labels limit cursor",
      "rollouts, newest first" },
    { "GET",    "/deploy/status", deploy_status, LIMIT_BODY, VERB_COUNT, "",
      "live rollouts" },
    { "POST",   "/deploy/progress", deploy_progress, LIMIT_BODY, VERB_COUNT, "id",
      "evaluate a rollout now and report" },
    { "POST",   "/deploy/rollback", deploy_rollback, LIMIT_BODY, VERB_COUNT, "",
      "undo a rollout" },
    { "POST",   "/deploy/plan", deploy_plan, LIMIT_BODY, VERB_COUNT, "",
      "what a rollout would do (reserved)" },
    { "GET",    "/deploy/{id}", deploy_show, LIMIT_BODY, VERB_COUNT, "members limit cursor",
      "one rollout" },
    { "POST",   "/deploy/{id}/pause", deploy_verb, LIMIT_BODY, VERB_PAUSE, "",
      "pick nothing more for now" },
    { "POST",   "/deploy/{id}/resume", deploy_verb, LIMIT_BODY, VERB_RESUME, "",
      "go on after a pause" },
    { "POST",   "/deploy/{id}/promote", deploy_verb, LIMIT_BODY, VERB_PROMOTE, "",
      "pass what is waited for" },
    { "POST",   "/deploy/{id}/abort", deploy_verb, LIMIT_BODY, VERB_ABORT, "",
      "end as failed" },
    { "POST",   "/deploy/{id}/retry", deploy_verb, LIMIT_BODY, VERB_RETRY, "",
      "another attempt for failed members" },
    { "GET",    "/events", stream_open, LIMIT_BODY, VERB_COUNT, "after types deployment follow",
      "the journal as a stream of server-sent events" },
    { "GET",    "/metrics", site_metrics, LIMIT_BODY, VERB_COUNT, "",
      "metrics in the text format of Prometheus" },
    { "GET",    "/healthz", site_health, LIMIT_BODY, VERB_COUNT, "",
      "whether the process answers" },
    { "GET",    "/readyz", site_ready, LIMIT_BODY, VERB_COUNT, "",
      "whether the server accepts changes" },
    { "GET",    "/", site_root, LIMIT_BODY, VERB_COUNT, "",
      "where to go from here" },
};
/* clang-format on */

const size_t route_count = sizeof routes / sizeof routes[0];
