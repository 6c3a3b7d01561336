/* SPDX-License-Identifier: Apache-2.0
 * config.c - the table of a rollout's configuration, and what of it is reserved for later. */
#include "wire/config.h"

#include "base/limits.h"
#include "wire/view.h"
#include "wire/words.h"

enum config_row {
    CONFIG_STRATEGY,
    CONFIG_BATCH_SIZE,
    CONFIG_MODE,
    CONFIG_FAILURE_THRESHOLD,
    CONFIG_ON_FAILURE,
    CONFIG_MIN_HEALTHY_TIME,
    CONFIG_INSTANCE_DEADLINE,
    CONFIG_HEALTH_DEADLINE,
    CONFIG_PROGRESS_DEADLINE,
    CONFIG_MIN_AVAILABLE,
    CONFIG_DOMAINS,
    CONFIG_DYNAMIC,
    CONFIG_OFFLINE,
    CONFIG_LEFTOVER_TIMEOUT,
    CONFIG_ON_LEFTOVER,
    CONFIG_CANARY, /* from here on: reserved, and not shown */
    CONFIG_WAVES,
    CONFIG_BLUE_GREEN,
    CONFIG_WINDOWS,
    CONFIG_START_AT,
    CONFIG_APPROVALS,
    CONFIG_IF_RUNNING,
    CONFIG_ROWS
};

static const struct sm_word if_running_list[] = {
    { "reject", "a deploy that meets a live rollout is refused" },
    { "queue", "it waits for its end" },
    { "supersede", "it takes its place" },
};
const struct sm_words wire_if_running = { if_running_list, 3 };

#define AT(member)       JSON_AT(struct wire_config, member)
#define AMOUNT(from)     .kind = JSON_AMOUNT, .min = (from), .max = LIMIT_AMOUNT
#define WORD(list)       .kind = JSON_WORD, .words = &(list)
#define DURATION         .kind = JSON_DURATION
#define RESERVED(member) .kind = JSON_RAW, .flags = JSON_NULLABLE, .max = LIMIT_BODY, AT(member)

/* clang-format off */
static const struct json_field fields[CONFIG_ROWS] = {
    [CONFIG_STRATEGY]          = { .name = "strategy", WORD(wire_strategies), AT(config.strategy), .meaning = "how members are divided into waves" },
    [CONFIG_BATCH_SIZE]        = { .name = "batch_size", AMOUNT(1), AT(config.batch_size), .meaning = "members in flight at most; a percentage of all is rounded down, to at least 1" },
    [CONFIG_MODE]              = { .name = "mode", WORD(wire_modes), AT(config.mode), .meaning = "window refills each slot as it frees, barrier waits for the whole batch" },
    [CONFIG_FAILURE_THRESHOLD] = { .name = "failure_threshold", AMOUNT(1), AT(config.failure_threshold), .meaning = "so many failed members are a breach; a percentage of all is rounded up" },
    [CONFIG_ON_FAILURE]        = { .name = "on_failure", WORD(wire_on_failure), AT(config.on_failure), .meaning = "what a breach does" },
    [CONFIG_MIN_HEALTHY_TIME]  = { .name = "min_healthy_time", DURATION, AT(config.min_healthy_ms), .meaning = "HEALTHY on the target without a break for this long completes a member" },
    [CONFIG_INSTANCE_DEADLINE] = { .name = "instance_deadline", DURATION, AT(config.instance_deadline_ms), .meaning = "from the order on; 0s is none" },
    [CONFIG_HEALTH_DEADLINE]   = { .name = "health_deadline", DURATION, AT(config.health_deadline_ms), .meaning = "from the first report of the target on; 0s is none" },
    [CONFIG_PROGRESS_DEADLINE] = { .name = "progress_deadline", DURATION, AT(config.progress_deadline_ms), .meaning = "no completed member for this long is a breach; 0s is none" },
    [CONFIG_MIN_AVAILABLE]     = { .name = "min_available", AMOUNT(0), AT(min_available), .meaning = "members that stay available; only 0 for now" },
    [CONFIG_DOMAINS]           = { .name = "domains", RESERVED(domains), .meaning = "failure domains with limits of their own; only [] for now" },
    [CONFIG_DYNAMIC]           = { .name = "dynamic", .kind = JSON_BOOL, AT(config.dynamic), .meaning = "instances that come to match join" },
    [CONFIG_OFFLINE]           = { .name = "offline", WORD(wire_offline), AT(config.offline), .meaning = "whether offline members hold up completion" },
    [CONFIG_LEFTOVER_TIMEOUT]  = { .name = "leftover_timeout", DURATION, AT(config.leftover_timeout_ms), .meaning = "time for failed and offline members to recover at the end" },
    [CONFIG_ON_LEFTOVER]       = { .name = "on_leftover", WORD(wire_on_leftover), AT(config.on_leftover), .meaning = "what follows when they do not" },
    [CONFIG_CANARY]            = { .name = "canary", RESERVED(canary), .meaning = "reserved" },
    [CONFIG_WAVES]             = { .name = "waves", RESERVED(waves), .meaning = "reserved" },
    [CONFIG_BLUE_GREEN]        = { .name = "blue_green", RESERVED(blue_green), .meaning = "reserved" },
    [CONFIG_WINDOWS]           = { .name = "windows", RESERVED(windows), .meaning = "reserved" },
    [CONFIG_START_AT]          = { .name = "start_at", RESERVED(start_at), .meaning = "reserved" },
    [CONFIG_APPROVALS]         = { .name = "approvals", RESERVED(approvals), .meaning = "reserved" },
    [CONFIG_IF_RUNNING]        = { .name = "if_running", WORD(wire_if_running), AT(if_running), .meaning = "what a deploy does that meets a live rollout; only reject for now" },
};
/* clang-format on */

static void put_defaults(void *ret)
{
    wire_config_init(ret);
}

const struct json_table wire_config_table = {
    .name = "configuration",
    .fields = fields,
    .count = CONFIG_ROWS,
    .size = sizeof(struct wire_config),
    .given_offset = offsetof(struct wire_config, given),
    .init = put_defaults,
};

void wire_config_init(struct wire_config *config)
{
    *config = (struct wire_config){ .config = rollout_config_default };
}

/* ---- what is reserved ----------------------------------------------------------------------- */

static bool refuse(enum err_code code, const char *pointer, const char *key, const char *why,
                   struct err *err)
{
    struct sentence place;
    sentence_init(&place);
    buffer_add(&place.buffer, text_from(pointer));
    buffer_add_byte(&place.buffer, '/');
    buffer_add(&place.buffer, text_from(key));
    return err_set_at(err, code, buffer_c_string(&place.buffer), "%s", why);
}

bool wire_refuse_reserved(const char *pointer, const char *key, struct err *err)
{
    return refuse(ERR_NOT_SUPPORTED, pointer, key, "is reserved for a later version; leave it out",
                  err);
}

static bool is_empty_list(struct text json)
{
    struct text inner = { json.data + 1, json.size >= 2 ? json.size - 2 : 0 };
    return json.data[0] == '[' && text_trim(inner).size == 0;
}

static bool check_domains(struct text domains, const char *pointer, struct err *err)
{
    const char *key = fields[CONFIG_DOMAINS].name;
    if (!domains.data || is_empty_list(domains))
        return true;
    if (domains.data[0] != '[')
        return refuse(ERR_INVALID, pointer, key, "must be a list of objects", err);
    return refuse(ERR_NOT_SUPPORTED, pointer, key,
                  "failure domains are reserved for a later version; only [] is available", err);
}

static bool check_raw(const struct wire_config *c, const char *pointer, struct err *err)
{
    for (unsigned row = CONFIG_CANARY; row <= CONFIG_APPROVALS; row++)
        if (c->given.fields & ~c->given.nulls & JSON_BIT(row))
            return wire_refuse_reserved(pointer, fields[row].name, err);
    return check_domains(c->domains, pointer, err);
}

bool wire_config_check(const struct wire_config *c, const char *pointer, struct err *err)
{
    if (c->config.strategy != STRATEGY_ROLLING)
        return refuse(ERR_NOT_SUPPORTED, pointer, fields[CONFIG_STRATEGY].name,
                      "this strategy is reserved for a later version; \"rolling\" is available",
                      err);
    if (c->min_available.value != 0)
        return refuse(ERR_NOT_SUPPORTED, pointer, fields[CONFIG_MIN_AVAILABLE].name,
                      "a floor of available members is reserved for a later version; only 0 is "
                      "available",
                      err);
    if (c->if_running != 0)
        return refuse(ERR_NOT_SUPPORTED, pointer, fields[CONFIG_IF_RUNNING].name,
                      "is reserved for a later version; only \"reject\" is available", err);
    return check_raw(c, pointer, err);
}

/* ---- writing -------------------------------------------------------------------------------- */

void wire_write_config(struct json_writer *w, const struct rollout_config *config)
{
    struct wire_config c = { .given = { .fields = JSON_BIT(CONFIG_CANARY) - 1 },
                             .config = *config,
                             .domains = TEXT("[]") };
    json_write_table(w, &wire_config_table, &c, JSON_ABSENT_IS_OMITTED);
}
