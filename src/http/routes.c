/* SPDX-License-Identifier: Apache-2.0
 * routes.c - every route, the busiest first: what is dispatched, and what the reference of the API
 * (openapi.c) is printed from. Where two spellings of a path are documented, both are rows; one
 * trailing slash is ignored on all. */
#include "http/api_parts.h"

#include "wire/request_parts.h"
#include "wire/view_plan.h"
#include "wire/view_shapes.h"

#define E(code) ROUTE_ERR(ERR_##code)

#define CHANGING   (ROUTE_WRITES | ROUTE_RESTS)
#define GENERATION (ROUTE_TAGGED | ROUTE_MATCHED)

#define LIVE_ONES    (E(IN_PROGRESS) | E(OVERLAPPING))
#define TOKEN_ERRORS (E(UNAUTHENTICATED) | E(FORBIDDEN) | E(REFUSED))
#define VERB_ANSWER                                                                                \
    {                                                                                              \
        {                                                                                          \
            200, "the record as it is now", &wire_rollout_shape, NULL                              \
        }                                                                                          \
    }
#define TEXT_PLAIN   "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4"

/* clang-format off */
#define REGISTRATION                                                                                              \
    .tag = "inventory", .body = &wire_register_table, .flags = CHANGING, .errors = TOKEN_ERRORS | E(FULL),          \
    .example = "{\"instance\":{\"name\":\"web-server-01\",\"ip\":\"192.168.1.100\",\"labels\":{\"env\":\"prod\"}},\"token\":\"try-out\"}", \
    .answers = { { 201, "a new instance", &wire_registered_shape, NULL },                                         \
                 { 200, "it was known already: address and labels are replaced, the rest is kept", &wire_registered_shape, NULL } }

#define REASON "{\"reason\":\"maintenance\"}"

const struct route routes[] = {
    { "PATCH",  "/inventory/instances/{name}", inventory_heartbeat, LIMIT_BODY_AGENT, VERB_COUNT, "wait",
      "a heartbeat: what the instance runs and how it is",
      .name = "heartbeat", .tag = "inventory", .body = &wire_heartbeat_table, .flags = ROUTE_RESTS | ROUTE_MATCHED,
      .errors = E(UNAUTHENTICATED) | E(FORBIDDEN) | E(SESSION),
      .example = "{\"code_version\":\"1.0.0\",\"configuration_version\":\"c1\",\"status\":\"HEALTHY\"}",
      .answers = { { 200, "what the instance is to do", &wire_heartbeat_reply_shape, NULL } } },
    { "POST",   "/inventory/register", inventory_register, LIMIT_BODY_AGENT, VERB_COUNT, "",
      "register an instance", .name = "register", REGISTRATION },
    { "POST",   "/inventory/instances/register", inventory_register, LIMIT_BODY_AGENT, VERB_COUNT, "",
      "register an instance", .name = "register_instance", REGISTRATION },
    { "GET",    "/inventory/instances", inventory_list, LIMIT_BODY, VERB_COUNT,
      "labels status update_state online deployment code_version limit cursor",
      "list instances by name",
      .name = "list_instances", .tag = "inventory", .flags = ROUTE_RESTS,
      .answers = { { 200, "a page of instances", &wire_instances_shape, NULL } } },
    { "GET",    "/inventory/instances/{name}", inventory_show, LIMIT_BODY, VERB_COUNT, "",
      "one instance with its trail",
      .name = "show_instance", .tag = "inventory", .flags = ROUTE_RESTS | ROUTE_TAGGED,
      .answers = { { 200, "the instance", &wire_instance_shape, NULL } } },
    { "DELETE", "/inventory/instances/{name}", inventory_delete, LIMIT_BODY, VERB_COUNT, "",
      "remove an instance",
      .name = "remove_instance", .tag = "inventory", .flags = CHANGING | ROUTE_MATCHED,
      .answers = { { 204, "it is removed", NULL, NULL } } },
    { "POST",   "/deploy", deploy_create, LIMIT_BODY, VERB_COUNT, "",
      "start a rollout",
      .name = "deploy", .tag = "rollouts", .body = &wire_deploy_table, .flags = CHANGING | ROUTE_TAGGED,
      .errors = LIVE_ONES | E(NOT_SUPPORTED) | E(NO_MATCH) | E(INFEASIBLE) | E(PRECONDITION),
      .example = "{\"code_version\":\"2.5.0\",\"labels\":{\"env\":\"prod\"},\"configuration\":{\"batch_size\":\"25%\",\"failure_threshold\":2},\"reason\":\"hotfix\"}",
      .answers = { { 201, "the rollout is there, and its first members are picked", &wire_created_shape, NULL } } },
    { "GET",    "/deploy", deploy_list, LIMIT_BODY, VERB_COUNT, "state labels limit cursor",
      "rollouts, newest first",
      .name = "list_rollouts", .tag = "rollouts", .flags = ROUTE_RESTS,
      .answers = { { 200, "a page of rollouts", &wire_rollouts_shape, NULL } } },
    { "GET",    "/deploy/status", deploy_status, LIMIT_BODY, VERB_COUNT, "",
      "live rollouts",
      .name = "list_live_rollouts", .tag = "rollouts", .flags = ROUTE_RESTS,
      .answers = { { 200, "all live rollouts", &wire_live_rollouts_shape, NULL } } },
    { "POST",   "/deploy/progress", deploy_progress, LIMIT_BODY, VERB_COUNT, "id",
      "evaluate a rollout now and report",
      .name = "progress", .tag = "rollouts", .flags = CHANGING | GENERATION, .errors = E(NOT_FOUND),
      .answers = { { 200, "the rollout after the evaluation", &wire_progressed_shape, NULL } } },
    { "POST",   "/deploy/rollback", deploy_rollback, LIMIT_BODY, VERB_COUNT, "",
      "undo a rollout",
      .name = "rollback", .tag = "rollouts", .body = &wire_rollback_table, .flags = CHANGING | GENERATION,
      .errors = LIVE_ONES | E(NOT_SUPPORTED) | E(NOT_FOUND) | E(NO_ROLLBACK_TARGET) | E(REFUSED),
      .example = "{\"labels\":{\"env\":\"prod\"},\"reason\":\"errors in the logs\"}",
      .answers = { { 201, "the rollout that undoes the other one", &wire_rolled_back_shape, NULL } } },
    { "POST",   "/deploy/plan", deploy_plan, LIMIT_BODY, VERB_COUNT, "limit cursor",
      "what a deploy would do; nothing is changed",
      .name = "plan", .tag = "rollouts", .body = &wire_plan_table,
      .errors = E(NOT_SUPPORTED) | E(NO_MATCH) | E(INFEASIBLE) | E(PRECONDITION) | E(UNAVAILABLE),
      .example = "{\"code_version\":\"2.5.0\",\"labels\":{\"env\":\"prod\"},\"configuration\":{\"batch_size\":\"25%\"},\"assume\":{\"update\":\"90s\",\"fail\":[{\"selector\":\"zone=a\",\"percent\":30}]}}",
      .answers = { { 200, "the plan, with a page of its members", &wire_plan_shape, NULL } } },
    { "GET",    "/deploy/{id}", deploy_show, LIMIT_BODY, VERB_COUNT, "members limit cursor",
      "one rollout",
      .name = "show_rollout", .tag = "rollouts", .flags = ROUTE_RESTS | ROUTE_TAGGED,
      .answers = { { 200, "the record", &wire_rollout_shape, NULL } } },
    { "POST",   "/deploy/{id}/pause", deploy_verb, LIMIT_BODY, VERB_PAUSE, "",
      "pick nothing more for now",
      .name = "pause", .tag = "rollouts", .body = &wire_verb_table, .flags = CHANGING | GENERATION,
      .errors = E(REFUSED), .example = REASON, .answers = VERB_ANSWER },
    { "POST",   "/deploy/{id}/resume", deploy_verb, LIMIT_BODY, VERB_RESUME, "",
      "go on after a pause",
      .name = "resume", .tag = "rollouts", .body = &wire_verb_table, .flags = CHANGING | GENERATION,
      .errors = E(REFUSED), .example = REASON, .answers = VERB_ANSWER },
    { "POST",   "/deploy/{id}/promote", deploy_verb, LIMIT_BODY, VERB_PROMOTE, "",
      "pass what is waited for",
      .name = "promote", .tag = "rollouts", .body = &wire_promote_table, .flags = CHANGING | GENERATION,
      .errors = E(REFUSED) | E(NOTHING_TO_PROMOTE), .example = "{\"full\":false}", .answers = VERB_ANSWER },
    { "POST",   "/deploy/{id}/abort", deploy_verb, LIMIT_BODY, VERB_ABORT, "",
      "end as failed",
      .name = "abort", .tag = "rollouts", .body = &wire_abort_table, .flags = CHANGING | GENERATION,
      .errors = E(REFUSED), .example = "{\"in_flight\":\"finish\"}", .answers = VERB_ANSWER },
    { "POST",   "/deploy/{id}/retry", deploy_verb, LIMIT_BODY, VERB_RETRY, "",
      "another attempt for failed members",
      .name = "retry", .tag = "rollouts", .body = &wire_verb_table, .flags = CHANGING | GENERATION,
      .errors = LIVE_ONES | E(NOTHING_TO_RETRY) | E(NO_MATCH) | E(INFEASIBLE), .example = REASON,
      .answers = { { 200, "the live record as it is now", &wire_rollout_shape, NULL },
                   { 201, "a new rollout of the same request, since this one has ended", &wire_rollout_shape, NULL } } },
    { "GET",    "/events", stream_open, LIMIT_BODY, VERB_COUNT, "after types deployment labels follow",
      "the journal as a stream of server-sent events",
      .name = "events", .tag = "events", .flags = ROUTE_STREAMS, .errors = E(GONE) | E(UNAVAILABLE),
      .answers = { { 200, "id: the index, event: the type, data: the schema event; a comment line every 15 s", &wire_event_shape, "text/event-stream" } } },
    { "POST",   "/backup", backup_create, LIMIT_BODY, VERB_COUNT, "",
      "a copy of the whole database, for dides restore",
      .name = "backup", .tag = "server", .errors = E(UNAVAILABLE) | E(STORE) | E(NOT_SUPPORTED),
      .answers = { { 200, "an SQLite file; it is whole only when the answer ends in good order, so check it with dides verify", NULL, "application/vnd.sqlite3" } } },
    { "POST",   "/confirm", backup_confirm, LIMIT_BODY, VERB_COUNT, "",
      "go on from this database although an agent knows newer orders than it",
      .name = "confirm", .tag = "server", .flags = ROUTE_WRITES, .errors = E(REFUSED),
      .answers = { { 200, "orders count under a new term", &wire_confirmed_shape, NULL } } },
    { "GET",    "/metrics", site_metrics, LIMIT_BODY, VERB_COUNT, "",
      "metrics in the text format of Prometheus",
      .name = "metrics", .tag = "server", .answers = { { 200, "the metrics", NULL, TEXT_METRICS } } },
    { "GET",    "/healthz", site_health, LIMIT_BODY, VERB_COUNT, "",
      "whether the process answers",
      .name = "healthz", .tag = "server", .answers = { { 200, "it does", &wire_alive_shape, NULL } } },
    { "GET",    "/readyz", site_ready, LIMIT_BODY, VERB_COUNT, "",
      "whether the server accepts changes",
      .name = "readyz", .tag = "server", .flags = ROUTE_WRITES, .answers = { { 200, "it does", &wire_alive_shape, NULL } } },
    { "GET",    "/openapi.json", site_openapi, LIMIT_BODY, VERB_COUNT, "",
      "this reference of the API (OpenAPI 3.1)",
      .name = "openapi", .tag = "server", .flags = ROUTE_TAGGED | ROUTE_CACHED,
      .answers = { { 200, "the document", NULL, "application/json" }, { 304, "it is the one that If-None-Match names", NULL, NULL } } },
    { "GET",    "/", site_root, LIMIT_BODY, VERB_COUNT, "",
      "where to go from here",
      .name = "root", .tag = "server", .answers = { { 200, "every route in one line", NULL, TEXT_PLAIN } } },
};
/* clang-format on */

const size_t route_count = sizeof routes / sizeof routes[0];

/* ---- what follows from a row ---------------------------------------------------------------- */

/* Of every request: a broken escape or field, an unknown parameter, lengths, too many
 * connections or requests. */
#define ALWAYS                                                                                     \
    (E(INVALID) | E(UNKNOWN_KEY) | E(TOO_LARGE) | E(URI_TOO_LONG) | E(HEADERS_TOO_LARGE) |         \
     E(FULL) | E(CODING) | E(MEMORY) | E(RATE))

uint64_t route_errors(const struct route *route)
{
    uint64_t errors = route->errors | ALWAYS;
    if (strchr(route->path, '{'))
        errors |= E(NOT_FOUND);
    if (route->body)
        errors |= E(BAD_JSON);
    if (strcmp(route->method, "POST") == 0)
        errors |= E(KEY_REUSED);
    if (route->flags & ROUTE_WRITES)
        errors |= E(STORE) | E(UNAVAILABLE);
    if (route->flags & ROUTE_RESTS)
        errors |= E(STORE);
    if (route->flags & ROUTE_MATCHED)
        errors |= E(PRECONDITION);
    return errors;
}

/* ---- parameters ----------------------------------------------------------------------------- */

static const char *word_of_change(unsigned number)
{
    return change_word((enum change_type)number);
}

#define STRINGIFY(value) #value
#define PRINTED(value)   STRINGIFY(value)

/* clang-format off */
#define SELECTOR(text) { .name = "labels", .kind = SHAPE_TEXT, .max = LIMIT_SELECTOR, .meaning = (text), .example = "\"env=prod,zone in (a,b),!canary\"" }

/* The path of a row that goes for one path only comes before the row for all. */
static const struct param params[] = {
    { NULL, NULL, { .name = "name", .kind = SHAPE_TEXT, .min = 1, .max = LIMIT_NAME, .meaning = "the name of the instance, or its address when it has none", .example = "\"web-server-01\"" } },
    { NULL, NULL, { .name = "id", .kind = SHAPE_ROLLOUT_ID, .meaning = "the id of the rollout" } },
    { NULL, "\"0s\"", { .name = "wait", .kind = SHAPE_DURATION, .max = LIMIT_WAIT_MS, .meaning = "hold the reply for at most so long (60s) until the wish of the instance changes" } },
    { "/deploy", NULL, SELECTOR("only rollouts with the same selector, whatever its spelling") },
    { "/events", NULL, SELECTOR("only events about instances whose labels matched then, before the change or after it, about rollouts with the same selector, whatever its spelling, and about neither") },
    { NULL, NULL, SELECTOR("only instances whose labels match") },
    { NULL, NULL, { .name = "status", .kind = SHAPE_EITHER, .words = &instance_machine.states, .meaning = "only instances with this status" } },
    { NULL, NULL, { .name = "update_state", .kind = SHAPE_WORD, .words = &member_machine.states, .meaning = "only instances in this state of their rollout" } },
    { NULL, NULL, { .name = "online", .kind = SHAPE_BOOL, .meaning = "only instances that are heard, or are not" } },
    { "/events", NULL, { .name = "deployment", .kind = SHAPE_ROLLOUT_ID, .meaning = "only events about this rollout" } },
    { NULL, NULL, { .name = "deployment", .kind = SHAPE_ROLLOUT_ID, .meaning = "only instances with this deployment_id" } },
    { NULL, NULL, { .name = "code_version", .kind = SHAPE_TEXT, .max = LIMIT_VERSION, .meaning = "only instances that run this code", .example = "\"2.5.0\"" } },
    { NULL, PRINTED(LIMIT_LIST_DEFAULT), { .name = "limit", .kind = SHAPE_COUNT, .min = 1, .max = LIMIT_LIST_MAX, .meaning = "entries of a page at most" } },
    { NULL, NULL, { .name = "cursor", .kind = SHAPE_TEXT, .meaning = "the next_cursor of the page before" } },
    { NULL, NULL, { .name = "state", .kind = SHAPE_WORD, .words = &rollout_machine.states, .meaning = "only rollouts in this state; any letter case" } },
    { NULL, NULL, { .name = "members", .kind = SHAPE_WORDS, .words = &member_machine.states, .first = MEMBER_NONE + 1, .meaning = "adds a page of the members in these states", .example = "[\"failed\",\"in_progress\"]" } },
    { NULL, NULL, { .name = "after", .kind = SHAPE_COUNT, .meaning = "resume after this index; without it, with what happens next", .example = "0" } },
    { NULL, NULL, { .name = "types", .kind = SHAPE_WORDS, .word = word_of_change, .word_count = CHANGE_TYPE_COUNT, .meaning = "only events of these types", .example = "[\"rollout.completed\",\"rollout.failed\"]" } },
    { NULL, "true", { .name = "follow", .kind = SHAPE_BOOL, .meaning = "false: end when everything there is was sent" } },
};
/* clang-format on */

const struct param *param_find(const struct route *route, struct text name)
{
    for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
        const struct param *param = &params[i];
        if (text_equal(text_from(param->field.name), name) &&
            (!param->path || strcmp(param->path, route->path) == 0))
            return param;
    }
    return NULL;
}
