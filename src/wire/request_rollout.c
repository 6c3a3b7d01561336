/* SPDX-License-Identifier: Apache-2.0
 * request_rollout.c - the bodies of deploy, plan and rollback. Their keys are strict: a mistyped
 * selector must not mean "everything" (Q3). */
#include "base/limits.h"
#include "wire/config.h"
#include "wire/json_pointer.h"
#include "wire/request.h"
#include "wire/request_parts.h"

/* ---- what is assumed in a plan -------------------------------------------------------------- */

struct failure_body {
    struct text selector;
    uint8_t percent;
};

struct assume_body {
    struct json_given given;
    int64_t update_ms, approve_ms;
    struct failure_body *fail;
    uint32_t fail_count;
    uint64_t seed;
};

#define SEED_MAX ((int64_t)1 << 53)

/* clang-format off */
#define AT(member) JSON_AT(struct failure_body, member)
static const struct json_field failure_fields[] = {
    { .name = "selector", .kind = JSON_TEXT, .flags = JSON_REQUIRED, AT(selector), .max = LIMIT_SELECTOR, .meaning = "members that match this; the first entry that matches counts" },
    { .name = "percent", .kind = JSON_INTEGER, .flags = JSON_REQUIRED, AT(percent), .max = 100, .meaning = "so many in a hundred of them fail" },
};
#undef AT

static const struct json_table failure_table = {
    .name = "assumed_failure",
    .fields = failure_fields,
    .count = 2,
    .size = sizeof(struct failure_body),
    .given_offset = JSON_NOT_KEPT,
};

enum assume_row { ASSUME_UPDATE, ASSUME_APPROVE, ASSUME_FAIL, ASSUME_SEED, ASSUME_ROWS };

#define AT(member) JSON_AT(struct assume_body, member)
static const struct json_field assume_fields[ASSUME_ROWS] = {
    [ASSUME_UPDATE]  = { .name = "update", .kind = JSON_DURATION, .flags = JSON_NULLABLE, AT(update_ms), .meaning = "time an update takes; without it, the median of the last completed rollout with the same selector, else 60s" },
    [ASSUME_APPROVE] = { .name = "approve", .kind = JSON_DURATION, AT(approve_ms), .meaning = "time until somebody promotes a gate; 0s without it" },
    [ASSUME_FAIL]    = { .name = "fail", .kind = JSON_OBJECTS, .flags = JSON_NULLABLE, AT(fail), JSON_COUNT(struct assume_body, fail_count), .max = LIMIT_PLAN_FAILURES,
                         .sub = &failure_table, .meaning = "who fails; nobody without it" },
    [ASSUME_SEED]    = { .name = "seed", .kind = JSON_INTEGER, AT(seed), .max = SEED_MAX, .meaning = "another one chooses others of those who may fail; 1 without it" },
};
#undef AT
/* clang-format on */

static void assume_defaults(void *ret)
{
    *(struct assume_body *)ret = (struct assume_body){ .seed = FORECAST_SEED };
}

const struct json_table wire_assume_table = {
    .name = "assumptions",
    .fields = assume_fields,
    .count = ASSUME_ROWS,
    .size = sizeof(struct assume_body),
    .given_offset = offsetof(struct assume_body, given),
    .init = assume_defaults,
};

/* ---- what both have ------------------------------------------------------------------------- */

struct choice_body {
    struct json_given given;
    struct json_pair *labels;
    uint32_t label_count;
    struct text selector, reason;
    struct wire_config configuration;
    /* of a deploy */
    struct text code, config, plan_hash, windows, start_at, approvals;
    uint8_t if_running;
    /* of a plan */
    struct assume_body assume;
    int64_t horizon_ms;
    /* of a rollback */
    struct text id;
    bool is_fast;
};

enum choice_row {
    CHOICE_LABELS,
    CHOICE_SELECTOR,
    CHOICE_CONFIGURATION,
    CHOICE_REASON,
    CHOICE_ROWS
};

#define AT(member) JSON_AT(struct choice_body, member)

/* clang-format off */
#define CHOICE_FIELDS                                                                                                                        \
    [CHOICE_LABELS]        = { .name = "labels", .alias = "lables", .kind = JSON_MAP, AT(labels), JSON_COUNT(struct choice_body, label_count), \
                               .flags = JSON_NULLABLE, .max = LIMIT_LABELS, .key_max = LIMIT_LABEL_KEY, .item_max = LIMIT_LABEL_VALUE,          \
                               .meaning = "instances that have all of these labels" },                                                          \
    [CHOICE_SELECTOR]      = { .name = "selector", .kind = JSON_TEXT, AT(selector), .flags = JSON_NULLABLE, .max = LIMIT_SELECTOR,              \
                               .meaning = "the same as text, with more operators; both given are joined by and" },                              \
    [CHOICE_CONFIGURATION] = { .name = "configuration", .alias = "condiguration", .kind = JSON_OBJECT, AT(configuration),                       \
                               .flags = JSON_NULLABLE, .sub = &wire_config_table, .meaning = "how to go about it" },                            \
    [CHOICE_REASON]        = { .name = "reason", .kind = JSON_TEXT, AT(reason), .flags = JSON_NULLABLE, .max = LIMIT_REASON,                    \
                               .meaning = "for the journal" }

enum deploy_row {
    DEPLOY_CODE = CHOICE_ROWS,
    DEPLOY_CONFIG,
    DEPLOY_PLAN_HASH,
    DEPLOY_WINDOWS, /* from here to the approvals: reserved */
    DEPLOY_START_AT,
    DEPLOY_APPROVALS,
    DEPLOY_IF_RUNNING,
    DEPLOY_ROWS,
    PLAN_ASSUME = DEPLOY_ROWS, /* what else a plan has */
    PLAN_HORIZON,
    PLAN_ROWS
};

#define RESERVED(member) .kind = JSON_RAW, .flags = JSON_NULLABLE, .max = LIMIT_BODY, AT(member), .meaning = "reserved"

/* One list for both: a deploy knows all but the end of it. */
static const struct json_field deploy_fields[PLAN_ROWS] = {
    CHOICE_FIELDS,
    [DEPLOY_CODE]       = { .name = "code_version", .kind = JSON_TEXT, AT(code), .flags = JSON_REQUIRED | JSON_NULLABLE, .min = 1, .max = LIMIT_VERSION,
                            .meaning = "the code to run; null beside a configuration_version changes the configuration only" },
    [DEPLOY_CONFIG]     = { .name = "configuration_version", .kind = JSON_TEXT, AT(config), .flags = JSON_NULLABLE, .min = 1, .max = LIMIT_VERSION,
                            .meaning = "the configuration to run it with; without it each keeps its own" },
    [DEPLOY_PLAN_HASH]  = { .name = "plan_hash", .kind = JSON_TEXT, AT(plan_hash), .flags = JSON_NULLABLE, .min = LIMIT_PLAN_HASH, .max = LIMIT_PLAN_HASH,
                            .meaning = "of a plan: refused with 412 when the plan would be another one now" },
    [DEPLOY_WINDOWS]    = { .name = "windows", RESERVED(windows) },
    [DEPLOY_START_AT]   = { .name = "start_at", RESERVED(start_at) },
    [DEPLOY_APPROVALS]  = { .name = "approvals", RESERVED(approvals) },
    [DEPLOY_IF_RUNNING] = { .name = "if_running", .kind = JSON_WORD, AT(if_running), .words = &wire_if_running,
                            .meaning = "what happens when another rollout is live; only reject for now" },
    [PLAN_ASSUME]       = { .name = "assume", .kind = JSON_OBJECT, AT(assume), .flags = JSON_NULLABLE, .sub = &wire_assume_table,
                            .meaning = "what is not known and has to be taken for granted" },
    [PLAN_HORIZON]      = { .name = "horizon", .kind = JSON_DURATION, AT(horizon_ms), .flags = JSON_NULLABLE, .min = 1000, .max = DURATION_MAX_MS,
                            .meaning = "how far to look; 24h without it" },
};

enum rollback_row { ROLLBACK_ID = CHOICE_ROWS, ROLLBACK_FAST, ROLLBACK_ROWS };

static const struct json_field rollback_fields[ROLLBACK_ROWS] = {
    CHOICE_FIELDS,
    [ROLLBACK_ID]   = { .name = "id", .kind = JSON_TEXT, AT(id), .flags = JSON_NULLABLE, .min = 1, .max = 16, .meaning = "the rollout to undo" },
    [ROLLBACK_FAST] = { .name = "fast", .kind = JSON_BOOL, AT(is_fast), .meaning = "skips soaks and gates" },
};
/* clang-format on */

const struct json_table wire_deploy_table = {
    .name = "deploy",
    .fields = deploy_fields,
    .count = DEPLOY_ROWS,
    .size = sizeof(struct choice_body),
    .given_offset = offsetof(struct choice_body, given),
};

const struct json_table wire_plan_table = {
    .name = "plan_request",
    .fields = deploy_fields,
    .count = PLAN_ROWS,
    .size = sizeof(struct choice_body),
    .given_offset = offsetof(struct choice_body, given),
};

const struct json_table wire_rollback_table = {
    .name = "rollback",
    .fields = rollback_fields,
    .count = ROLLBACK_ROWS,
    .empty_is_object = true,
    .size = sizeof(struct choice_body),
    .given_offset = offsetof(struct choice_body, given),
};

static bool read_choice(const struct json_table *table, struct text body, struct arena *arena,
                        struct choice_body *ret, struct err *err)
{
    struct choice_body read = { .is_fast = true, .horizon_ms = FORECAST_HORIZON_MS };
    assume_defaults(&read.assume);
    wire_config_init(&read.configuration);
    if (!json_read(table, body, arena, &read, NULL, err))
        return false;
    if (read.given.nulls & JSON_BIT(CHOICE_CONFIGURATION))
        wire_config_init(&read.configuration);
    if (!wire_config_take(&read.configuration, "/configuration", arena, err))
        return false;
    *ret = read;
    return true;
}

/* The sentence is the parser's; the place is the text, unless that alone would have been good. */
static bool take_selector(const struct choice_body *read, struct arena *arena, struct selector *ret,
                          struct err *err)
{
    const struct label_change *labels;
    struct selector alone;
    struct err why = { .code = ERR_NONE };
    if (!wire_take_labels(arena, read->labels, read->label_count, &labels, err))
        return false;
    if (selector_parse(read->selector, labels, read->label_count, arena, ret, &why))
        return true;
    bool is_by_labels = selector_parse(read->selector, NULL, 0, arena, &alone, NULL);
    return err_set_at(err, why.code, is_by_labels ? "/labels" : "/selector", "%s", why.text);
}

/* ---- deploy --------------------------------------------------------------------------------- */

static bool is_plan_hash(struct text t)
{
    struct text digits = text_skip(t, sizeof "sha256:" - 1);
    bool is_one = text_starts_with(t, TEXT("sha256:")) && t.size == LIMIT_PLAN_HASH;
    for (size_t i = 0; is_one && i < digits.size; i++)
        is_one = (digits.data[i] >= '0' && digits.data[i] <= '9') ||
                 (digits.data[i] >= 'a' && digits.data[i] <= 'f');
    return is_one;
}

static bool check_deploy(const struct choice_body *read, struct err *err)
{
    if (read->code.size == 0 && read->config.size == 0)
        return err_set_at(err, ERR_INVALID, "/code_version",
                          "null is allowed beside a configuration_version only");
    if (read->if_running != 0)
        return err_set_at(err, ERR_NOT_SUPPORTED, "/if_running",
                          "is reserved for a later version; only \"reject\" is available");
    if (read->plan_hash.size > 0 && !is_plan_hash(read->plan_hash))
        return err_set_at(err, ERR_INVALID, "/plan_hash",
                          "must be as a plan said it: sha256: and 64 hexadecimal digits");
    for (unsigned row = DEPLOY_WINDOWS; row <= DEPLOY_APPROVALS; row++)
        if (json_has(&read->given, row))
            return wire_refuse_reserved("", deploy_fields[row].name, err);
    return true;
}

static bool take_deploy(const struct choice_body *read, struct arena *arena,
                        struct deploy_command *ret, struct err *err)
{
    struct selector selector;
    if (!check_deploy(read, err) || !take_selector(read, arena, &selector, err))
        return false;
    *ret = (struct deploy_command){ .code = read->code,
                                    .config = read->config,
                                    .selector = selector,
                                    .rollout = read->configuration.config,
                                    .reason = read->reason,
                                    .plan_hash = read->plan_hash };
    return true;
}

bool wire_read_deploy(struct text body, struct arena *arena, struct deploy_command *ret,
                      struct err *err)
{
    struct choice_body read;
    return read_choice(&wire_deploy_table, body, arena, &read, err) &&
           take_deploy(&read, arena, ret, err);
}

/* ---- plan ----------------------------------------------------------------------------------- */

static bool take_failure(const struct failure_body *read, uint32_t i, struct arena *arena,
                         struct forecast_failure *ret, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    struct json_pointer at = { .size = 0 };
    json_pointer_key(&at, TEXT("assume"));
    json_pointer_key(&at, TEXT("fail"));
    json_pointer_index(&at, i);
    json_pointer_key(&at, TEXT("selector"));
    ret->percent = read->percent;
    if (selector_parse(read->selector, NULL, 0, arena, &ret->selector, &why))
        return true;
    return err_set_at(err, why.code, at.text, "%s", why.text);
}

static bool take_assumptions(const struct choice_body *read, struct arena *arena,
                             struct forecast_assumptions *ret, struct err *err)
{
    const struct assume_body *assume = &read->assume;
    struct forecast_failure *fail = NULL;
    if (assume->fail_count > 0) {
        fail = arena_take_array(arena, assume->fail_count, sizeof fail[0]);
        if (!fail)
            return err_set(err, ERR_MEMORY, "no memory for assumptions");
    }
    for (uint32_t i = 0; i < assume->fail_count; i++)
        if (!take_failure(&assume->fail[i], i, arena, &fail[i], err))
            return false;
    *ret = (struct forecast_assumptions){ .has_update = json_has(&assume->given, ASSUME_UPDATE),
                                          .update_ms = assume->update_ms,
                                          .approve_ms = assume->approve_ms,
                                          .fail = fail,
                                          .fail_count = assume->fail_count,
                                          .seed = assume->seed };
    return true;
}

bool wire_read_plan(struct text body, struct arena *arena, struct wire_plan *ret, struct err *err)
{
    struct choice_body read;
    struct wire_plan plan;
    if (!read_choice(&wire_plan_table, body, arena, &read, err))
        return false;
    if (read.given.nulls & JSON_BIT(PLAN_ASSUME))
        assume_defaults(&read.assume);
    if (read.given.nulls & JSON_BIT(PLAN_HORIZON))
        read.horizon_ms = FORECAST_HORIZON_MS;
    if (!take_deploy(&read, arena, &plan.command, err) ||
        !take_assumptions(&read, arena, &plan.assume, err))
        return false;
    plan.horizon_ms = read.horizon_ms;
    *ret = plan;
    return true;
}

/* ---- rollback ------------------------------------------------------------------------------- */

/* It goes back through the waves of its source, whatever these are. */
static bool check_rollback(const struct choice_body *read, struct err *err)
{
    return read->configuration.config.strategy == STRATEGY_ROLLING ||
           err_set_at(err, ERR_INVALID, "/configuration/strategy",
                      "a rollback goes back through the waves of the rollout that it undoes, in "
                      "reverse: its strategy is \"rolling\"");
}

static bool take_config(const struct choice_body *read, struct arena *arena,
                        const struct rollout_config **ret, struct err *err)
{
    struct rollout_config *config = NULL;
    if (json_has(&read->given, CHOICE_CONFIGURATION)) {
        config = arena_take(arena, sizeof *config);
        if (!config)
            return err_set(err, ERR_MEMORY, "no memory for a configuration");
        *config = read->configuration.config;
    }
    *ret = config;
    return true;
}

bool wire_read_rollback(struct text body, struct arena *arena, struct rollback_command *ret,
                        struct err *err)
{
    struct choice_body read;
    struct rollback_command command = { .number = 0 };
    struct err why = { .code = ERR_NONE };
    if (!read_choice(&wire_rollback_table, body, arena, &read, err) ||
        !check_rollback(&read, err) || !take_selector(&read, arena, &command.selector, err) ||
        !take_config(&read, arena, &command.config, err))
        return false;
    if (read.id.size > 0 && !wire_read_rollout_id(read.id, &command.number, &why))
        return err_set_at(err, why.code, "/id", "%s", why.text);
    command.has_selector = command.selector.count > 0;
    command.is_fast = read.is_fast;
    command.reason = read.reason;
    *ret = command;
    return true;
}
