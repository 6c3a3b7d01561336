/* SPDX-License-Identifier: Apache-2.0
 * request_rollout.c - the bodies of deploy and rollback. Their keys are strict: a mistyped selector
 * must not mean "everything" (Q3). */
#include "base/limits.h"
#include "wire/config.h"
#include "wire/request.h"
#include "wire/request_parts.h"

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
    DEPLOY_WINDOWS,
    DEPLOY_START_AT,
    DEPLOY_APPROVALS,
    DEPLOY_IF_RUNNING,
    DEPLOY_ROWS
};

#define RESERVED(member) .kind = JSON_RAW, .flags = JSON_NULLABLE, .max = LIMIT_BODY, AT(member), .meaning = "reserved"

static const struct json_field deploy_fields[DEPLOY_ROWS] = {
    CHOICE_FIELDS,
    [DEPLOY_CODE]       = { .name = "code_version", .kind = JSON_TEXT, AT(code), .flags = JSON_REQUIRED | JSON_NULLABLE, .min = 1, .max = LIMIT_VERSION,
                            .meaning = "the code to run; null beside a configuration_version changes the configuration only" },
    [DEPLOY_CONFIG]     = { .name = "configuration_version", .kind = JSON_TEXT, AT(config), .flags = JSON_NULLABLE, .min = 1, .max = LIMIT_VERSION,
                            .meaning = "the configuration to run it with; without it each keeps its own" },
    [DEPLOY_PLAN_HASH]  = { .name = "plan_hash", RESERVED(plan_hash) },
    [DEPLOY_WINDOWS]    = { .name = "windows", RESERVED(windows) },
    [DEPLOY_START_AT]   = { .name = "start_at", RESERVED(start_at) },
    [DEPLOY_APPROVALS]  = { .name = "approvals", RESERVED(approvals) },
    [DEPLOY_IF_RUNNING] = { .name = "if_running", .kind = JSON_WORD, AT(if_running), .words = &wire_if_running,
                            .meaning = "what happens when another rollout is live; only reject for now" },
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
    struct choice_body read = { .is_fast = true };
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

static bool check_deploy(const struct choice_body *read, struct err *err)
{
    if (read->code.size == 0 && read->config.size == 0)
        return err_set_at(err, ERR_INVALID, "/code_version",
                          "null is allowed beside a configuration_version only");
    if (read->if_running != 0)
        return err_set_at(err, ERR_NOT_SUPPORTED, "/if_running",
                          "is reserved for a later version; only \"reject\" is available");
    for (unsigned row = DEPLOY_PLAN_HASH; row <= DEPLOY_APPROVALS; row++)
        if (json_has(&read->given, row))
            return wire_refuse_reserved("", deploy_fields[row].name, err);
    return true;
}

bool wire_read_deploy(struct text body, struct arena *arena, struct deploy_command *ret,
                      struct err *err)
{
    struct choice_body read;
    struct selector selector;
    if (!read_choice(&wire_deploy_table, body, arena, &read, err) || !check_deploy(&read, err) ||
        !take_selector(&read, arena, &selector, err))
        return false;
    *ret = (struct deploy_command){ .code = read.code,
                                    .config = read.config,
                                    .selector = selector,
                                    .rollout = read.configuration.config,
                                    .reason = read.reason };
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
