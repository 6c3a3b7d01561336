/* SPDX-License-Identifier: Apache-2.0
 * config.c - the table of a rollout's configuration, and what of it is reserved for later. */
#include "wire/config.h"

#include "base/limits.h"
#include "wire/config_parts.h"
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
    CONFIG_CANARY, /* with its strategy only, as the next */
    CONFIG_WAVES,
    CONFIG_BLUE_GREEN, /* from here on: reserved, and not shown */
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
    [CONFIG_MIN_AVAILABLE]     = { .name = "min_available", AMOUNT(0), AT(config.min_available), .meaning = "members that stay available: online, HEALTHY and not in flight; a percentage of all is rounded up" },
    [CONFIG_DOMAINS]           = { .name = "domains", .kind = JSON_OBJECTS, .flags = JSON_NULLABLE, AT(domains), JSON_COUNT(struct wire_config, domain_count), .max = LIMIT_DOMAINS,
                                   .sub = &wire_domain_table, .meaning = "failure domains with limits of their own" },
    [CONFIG_DYNAMIC]           = { .name = "dynamic", .kind = JSON_BOOL, AT(config.dynamic), .meaning = "instances that come to match join" },
    [CONFIG_OFFLINE]           = { .name = "offline", WORD(wire_offline), AT(config.offline), .meaning = "whether offline members hold up completion" },
    [CONFIG_LEFTOVER_TIMEOUT]  = { .name = "leftover_timeout", DURATION, AT(config.leftover_timeout_ms), .meaning = "time for failed and offline members to recover at the end" },
    [CONFIG_ON_LEFTOVER]       = { .name = "on_leftover", WORD(wire_on_leftover), AT(config.on_leftover), .meaning = "what follows when they do not" },
    [CONFIG_CANARY]            = { .name = "canary", .kind = JSON_OBJECT, .flags = JSON_NULLABLE, AT(canary), .sub = &wire_canary_table, .meaning = "who goes first; with the strategy canary only" },
    [CONFIG_WAVES]             = { .name = "waves", .kind = JSON_OBJECTS, .flags = JSON_NULLABLE, AT(waves), JSON_COUNT(struct wire_config, wave_count), .max = LIMIT_WAVES,
                                   .sub = &wire_wave_table, .meaning = "one after the other, the last takes who is left; with the strategy waves only" },
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

/* ---- places --------------------------------------------------------------------------------- */

struct json_pointer config_at(struct json_pointer at, const char *key)
{
    json_pointer_key(&at, text_from(key));
    return at;
}

struct json_pointer config_entry(struct json_pointer at, const char *list, uint32_t index)
{
    at = config_at(at, list);
    json_pointer_index(&at, index);
    return at;
}

/* `pointer` is a text of ours, short and without escapes. */
static struct json_pointer root_at(const char *pointer)
{
    struct json_pointer at = { .size = 0 };
    struct text rest = text_from(pointer), part;
    text_cut(&rest, '/', &part); /* nothing stands before the first */
    while (text_cut(&rest, '/', &part))
        json_pointer_key(&at, part);
    return at;
}

/* ---- what is reserved ----------------------------------------------------------------------- */

static bool refuse(enum err_code code, struct json_pointer at, const char *key, const char *why,
                   struct err *err)
{
    at = config_at(at, key);
    return err_set_at(err, code, at.text, "%s", why);
}

bool wire_refuse_reserved(const char *pointer, const char *key, struct err *err)
{
    return refuse(ERR_NOT_SUPPORTED, root_at(pointer), key,
                  "is reserved for a later version; leave it out", err);
}

static bool check_reserved(const struct wire_config *c, const char *pointer, struct err *err)
{
    if (c->if_running != 0)
        return refuse(ERR_NOT_SUPPORTED, root_at(pointer), fields[CONFIG_IF_RUNNING].name,
                      "is reserved for a later version; only \"reject\" is available", err);
    for (unsigned row = CONFIG_BLUE_GREEN; row <= CONFIG_APPROVALS; row++)
        if (c->given.fields & ~c->given.nulls & JSON_BIT(row))
            return wire_refuse_reserved(pointer, fields[row].name, err);
    return true;
}

/* ---- the strategy --------------------------------------------------------------------------- */

/* Whether the part of one strategy is there exactly with that strategy. */
static bool check_part(const struct wire_config *c, struct json_pointer at, unsigned row,
                       enum rollout_strategy owner, bool is_there, struct err *err)
{
    const char *key = fields[row].name;
    if (is_there == (c->config.strategy == owner))
        return true;
    at = config_at(at, key);
    if (is_there)
        return err_set_at(
            err, ERR_INVALID, at.text, "belongs to the strategy \"%s\", and the strategy is \"%s\"",
            sm_word_at(&wire_strategies, owner), sm_word_at(&wire_strategies, c->config.strategy));
    return err_set_at(err, ERR_INVALID, at.text, "is missing: the strategy \"%s\" needs it", key);
}

static bool check_strategy(const struct wire_config *c, struct json_pointer at, struct err *err)
{
    bool has_canary = c->given.fields & ~c->given.nulls & JSON_BIT(CONFIG_CANARY);
    if (c->config.strategy == STRATEGY_BLUE_GREEN)
        return refuse(ERR_NOT_SUPPORTED, at, fields[CONFIG_STRATEGY].name,
                      "this strategy is reserved for a later version; \"rolling\", \"canary\" and "
                      "\"waves\" are available",
                      err);
    return check_part(c, at, CONFIG_CANARY, STRATEGY_CANARY, has_canary, err) &&
           check_part(c, at, CONFIG_WAVES, STRATEGY_WAVES, c->wave_count > 0, err);
}

bool wire_config_take(struct wire_config *c, const char *pointer, struct arena *arena,
                      struct err *err)
{
    struct json_pointer at = root_at(pointer);
    struct rollout_config taken = c->config;
    if (!check_strategy(c, at, err) || !check_reserved(c, pointer, err) ||
        !config_take_waves(c, at, arena, &taken, err) ||
        !config_take_domains(c, at, arena, &taken, err))
        return false;
    c->config = taken;
    return true;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void write_rows(struct json_writer *w, const struct rollout_config *config, uint64_t rows)
{
    struct wire_config c = { .given = { .fields = rows }, .config = *config };
    json_write_members(w, &wire_config_table, &c, JSON_ABSENT_IS_OMITTED);
}

/* In the order of the table, and the lists one entry at a time: they have no bound worth copying.
 */
void wire_write_config(struct json_writer *w, const struct rollout_config *config)
{
    uint64_t before = JSON_BIT(CONFIG_DOMAINS) - 1;
    json_begin_object(w);
    write_rows(w, config, before);
    json_key(w, fields[CONFIG_DOMAINS].name);
    config_write_domains(w, config);
    write_rows(w, config, (JSON_BIT(CONFIG_CANARY) - 1) & ~before & ~JSON_BIT(CONFIG_DOMAINS));
    if (config->strategy == STRATEGY_CANARY) {
        json_key(w, fields[CONFIG_CANARY].name);
        config_write_canary(w, &config->waves[0]);
    } else if (config->strategy == STRATEGY_WAVES) {
        json_key(w, fields[CONFIG_WAVES].name);
        config_write_waves(w, config);
    }
    json_end_object(w);
}
