/* SPDX-License-Identifier: Apache-2.0
 * deploy_body.h - the body of POST /deploy and /deploy/plan, made of flags and a file. */
#ifndef DIDES_CMD_DEPLOY_BODY_H
#define DIDES_CMD_DEPLOY_BODY_H

#include "base/buffer.h"
#include "base/err.h"
#include "cmd/command.h"

/* As given on the command line; NULL: not given. */
struct deploy_request {
    const char *code, *config, *selector, *batch, *threshold, *strategy, *mode, *on_failure,
        *min_healthy, *min_available, *canary_size, *soak, *file, *plan, *reason;
    struct option_list gates;   /* names of manual gates of the canary */
    struct option_list domains; /* "LABEL=N": at most N in flight in each domain of the label */
    bool is_all;
    /* Of a plan. */
    const char *update, *approve, *seed, *horizon;
    struct option_list failures; /* "SEL:PERCENT" */
};

/* clang-format off */
#define DEPLOY_TEXT_ROW(type, word, key, member, what, text)                                    \
    .name = word, .letter = key, .kind = OPTION_TEXT, .argument = what, .meaning = text,        \
    .offset = offsetof(type, request.member)

/* What deploy and plan have in common: rows for a struct `type` with a member `request`. */
#define DEPLOY_REQUEST_ROWS(type)                                                               \
    { DEPLOY_TEXT_ROW(type, "code", 0, code, "V", "the code version to run") },                 \
    { DEPLOY_TEXT_ROW(type, "config", 0, config, "V", "the configuration version to run; without it, each instance keeps its own") }, \
    { DEPLOY_TEXT_ROW(type, "selector", 'l', selector, "SEL", "which instances, as in env=prod,zone in (a,b)") }, \
    { .name = "all", .kind = OPTION_FLAG, .offset = offsetof(type, request.is_all),             \
      .meaning = "the whole fleet" },                                                           \
    { DEPLOY_TEXT_ROW(type, "batch", 0, batch, "N", "how many at a time: a count, or a percentage like 25%") }, \
    { DEPLOY_TEXT_ROW(type, "threshold", 0, threshold, "N", "how many failures end it: a count, or a percentage") }, \
    { DEPLOY_TEXT_ROW(type, "min-available", 0, min_available, "N", "how many stay online, healthy and left alone: a count, or a percentage") }, \
    { .name = "domain", .kind = OPTION_LIST, .argument = "LABEL=N", .choices = "LABEL", .offset = offsetof(type, request.domains), \
      .meaning = "at most N at a time among those with an equal value of the label, as in zone=20%; may be repeated" }, \
    { DEPLOY_TEXT_ROW(type, "strategy", 0, strategy, "S", "how to go about it: rolling, all alike; canary, a few first; waves, as the file says"), .choices = "rolling canary waves" }, \
    { DEPLOY_TEXT_ROW(type, "canary-size", 0, canary_size, "N", "how many go first: a count, or a percentage; makes the strategy canary") }, \
    { DEPLOY_TEXT_ROW(type, "soak", 0, soak, "TIME", "how long to watch them before the others follow") }, \
    { .name = "gate", .kind = OPTION_LIST, .argument = "NAME", .offset = offsetof(type, request.gates), \
      .meaning = "wait for dides promote after the canary; may be repeated" },                  \
    { DEPLOY_TEXT_ROW(type, "mode", 0, mode, "M", "when slots are refilled: window, each as it frees; barrier, all when the batch is done"), .choices = "window barrier" }, \
    { DEPLOY_TEXT_ROW(type, "on-failure", 0, on_failure, "A", "what happens at the threshold: rollback, pause or abort"), .choices = "rollback pause abort" }, \
    { DEPLOY_TEXT_ROW(type, "min-healthy", 0, min_healthy, "TIME", "how long an instance must be healthy to count as done") }, \
    { DEPLOY_TEXT_ROW(type, "file", 'f', file, "FILE", "read the request from YAML or JSON, - for standard input; flags win") }, \
    { DEPLOY_TEXT_ROW(type, "reason", 0, reason, "TEXT", "why; kept in the record") }
/* clang-format on */

/* Appends the body as JSON: what the file has, with flags in place of what it says to the same key;
 * labels of the file stay beside a selector given as a flag, since both must match. Flags about a
 * canary make it the strategy, unless that is given. Keys are not checked: the server knows them
 * better. Fails with ERR_USAGE when it says not which instances or which version, or says it twice,
 * when a canary has no size, a domain no limit, or a failure no percentage; with ERR_IO,
 * ERR_INVALID or ERR_BAD_JSON when the file cannot be used. */
bool deploy_body_make(const struct deploy_request *request, struct buffer *out, struct err *err);

#endif
