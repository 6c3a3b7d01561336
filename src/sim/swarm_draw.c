/* SPDX-License-Identifier: Apache-2.0
 * swarm_draw.c - what a seed is about: fleet, behaviours, faults, settings, configurations. */
#include "sim/swarm_parts.h"

#include <assert.h>
#include <stddef.h>

#define MOST_INSTANCES 24u
#define MOST_WAVES     4u
#define MOST_GATES     2u
#define MOST_DOMAINS   2u
#define SHARE_OF_DISKS 25u /* percent of the seeds */

/* ---- rows ----------------------------------------------------------------------------------- */

static const int64_t waits[] = { 0, 10000, 120000, 600000, -1 };
static const int64_t deadlines[] = { 0, 30000, 120000, 600000, 600000, -1 };
static const int64_t delays[] = { 20, 500, 5000, 15000, 80000, -1 };
static const int64_t everys[] = { 30000, 120000, 600000, -1 };
static const int64_t downs[] = { 0, 500, 10000, 150000, 900000, -1 };
static const int64_t jumps[] = { 1000, 60000, 600000, -1 };
static const int64_t commits[] = { 1, 20, 300, 3000, -1 };
static const int64_t flaps[] = { 4000, 30000, -1 };
static const int64_t polls[] = { 10000, 30000, -1 };
static const int64_t beats[] = { 5000, 10000, 20000, -1 };

/* clang-format off */
#define AT(member) .offset = offsetof(struct ROWS, member)
#define ROWS rollout_config
static const struct draw_row config_rows[] = {
    { "mode",              DRAW_WORD,   50, AT(mode),        ROLLOUT_MODE_COUNT, NULL },
    { "on_failure",        DRAW_WORD,   60, AT(on_failure),  ROLLOUT_ON_FAILURE_COUNT, NULL },
    { "offline",           DRAW_WORD,   40, AT(offline),     ROLLOUT_OFFLINE_COUNT, NULL },
    { "on_leftover",       DRAW_WORD,   40, AT(on_leftover), ROLLOUT_ON_LEFTOVER_COUNT, NULL },
    { "dynamic",           DRAW_FLAG,   40, AT(dynamic),     50, NULL },
    { "batch_size",        DRAW_AMOUNT, 90, AT(batch_size),  6, NULL },
    { "failure_threshold", DRAW_AMOUNT, 70, AT(failure_threshold), 5, NULL },
    { "min_healthy_time",  DRAW_TIME,   50, AT(min_healthy_ms), 1, waits },
    { "instance_deadline", DRAW_TIME,   60, AT(instance_deadline_ms), 1, deadlines },
    { "health_deadline",   DRAW_TIME,   60, AT(health_deadline_ms), 1, deadlines },
    { "progress_deadline", DRAW_TIME,   25, AT(progress_deadline_ms), 1, waits },
    { "leftover_timeout",  DRAW_TIME,   60, AT(leftover_timeout_ms), 1, waits },
    { "min_available",     DRAW_AMOUNT, 20, AT(min_available), 8, NULL },
    { "waves",             DRAW_COUNT,  35, AT(wave_count), MOST_WAVES, NULL },
    { "domains",           DRAW_COUNT,  30, AT(domain_count), MOST_DOMAINS, NULL },
};
#undef ROWS

#define ROWS wave_config
static const struct draw_row wave_rows[] = {
    { "has batch_size",    DRAW_FLAG,   90, AT(has_batch_size), 40, NULL },
    { "batch_size",        DRAW_AMOUNT, 90, AT(batch_size),     5, NULL },
    { "has mode",          DRAW_FLAG,   90, AT(has_mode),       40, NULL },
    { "mode",              DRAW_WORD,   90, AT(mode),           ROLLOUT_MODE_COUNT, NULL },
    { "has threshold",     DRAW_FLAG,   90, AT(has_failure_threshold), 40, NULL },
    { "failure_threshold", DRAW_AMOUNT, 90, AT(failure_threshold), 4, NULL },
    { "size",              DRAW_AMOUNT, 90, AT(size),           4, NULL },
    { "soak",              DRAW_TIME,   50, AT(soak_ms),        1, waits },
    { "gates",             DRAW_COUNT,  40, AT(gate_count),     MOST_GATES, NULL },
};
#undef ROWS

#define ROWS gate_config
static const struct draw_row gate_rows[] = {
    { "inconclusive",      DRAW_WORD,   90, AT(undecided),  GATE_UNDECIDED_COUNT, NULL },
    { "dry_run",           DRAW_FLAG,   90, AT(is_dry_run), 20, NULL },
    { "timeout",           DRAW_TIME,   80, AT(timeout_ms), 1, waits },
};
#undef ROWS

#define ROWS domain_config
static const struct draw_row domain_rows[] = {
    { "has cap",           DRAW_FLAG,   95, AT(has_max_in_progress), 70, NULL },
    { "max_in_progress",   DRAW_AMOUNT, 95, AT(max_in_progress), 3, NULL },
    { "has max_failed",    DRAW_FLAG,   95, AT(has_max_failed), 50, NULL },
    { "max_failed",        DRAW_AMOUNT, 95, AT(max_failed),     3, NULL },
};
#undef ROWS

#define ROWS faults
static const struct draw_row fault_rows[] = {
    { "loss",          DRAW_NUMBER, 40, AT(loss),                3000, NULL },
    { "duplicate",     DRAW_NUMBER, 40, AT(duplicate),           5000, NULL },
    { "delay",         DRAW_TIME,   50, AT(delay_max_ms),        1, delays },
    { "crash",         DRAW_TIME,   40, AT(crash.every_ms),      1, everys },
    { "crash/down",    DRAW_TIME,   60, AT(crash.down_max_ms),   1, downs },
    { "silent",        DRAW_TIME,   25, AT(silent.every_ms),     1, everys },
    { "restart",       DRAW_TIME,   40, AT(restart.every_ms),    1, everys },
    { "restart/down",  DRAW_TIME,   60, AT(restart.down_max_ms), 1, downs },
    { "link",          DRAW_TIME,   40, AT(link.every_ms),       1, everys },
    { "link/down",     DRAW_TIME,   90, AT(link.down_max_ms),    1, downs },
    { "old agent",     DRAW_TIME,   25, AT(old_agent.every_ms),  1, everys },
    { "old agent/down", DRAW_TIME,  60, AT(old_agent.down_max_ms), 1, downs },
    { "pause",         DRAW_TIME,   25, AT(pause.every_ms),      1, everys },
    { "pause/down",    DRAW_TIME,   90, AT(pause.down_max_ms),   1, downs },
    { "clock",         DRAW_TIME,   30, AT(clock_jump_ms),       1, jumps },
    { "memory",        DRAW_NUMBER, 30, AT(memory),              500, NULL },
    { "full",          DRAW_TIME,   25, AT(full.every_ms),       1, everys },
    { "full/down",     DRAW_TIME,   90, AT(full.down_max_ms),    1, downs },
    { "copy",          DRAW_TIME,   20, AT(copy.every_ms),       1, everys },
    { "copy/down",     DRAW_TIME,   60, AT(copy.down_max_ms),    1, downs },
    { "damage",        DRAW_NUMBER, 70, AT(damage),              8000, NULL },
    { "commit/takes",  DRAW_TIME,   50, AT(commit_max_ms),       1, commits },
    { "commit/fail",   DRAW_NUMBER, 40, AT(commit_fail),         2000, NULL },
    { "commit/doubt",  DRAW_NUMBER, 30, AT(commit_doubt),        200, NULL },
};
#undef ROWS

#define ROWS behaviour
static const struct draw_row behaviour_rows[] = {
    { "failure_rate", DRAW_NUMBER, 60, AT(failure_share), 5000, NULL },
    { "crash",        DRAW_NUMBER, 30, AT(crash_share),   1000, NULL },
    { "lie",          DRAW_NUMBER, 30, AT(lie_share),     3000, NULL },
    { "slow/share",   DRAW_NUMBER, 40, AT(slow_share),    5000, NULL },
    { "slow/factor",  DRAW_NUMBER, 90, AT(slow_factor),   20, NULL },
    { "flap",         DRAW_TIME,   40, AT(flap_ms),       1, flaps },
};
#undef ROWS

#define ROWS fleet_settings
static const struct draw_row setting_rows[] = {
    { "max_concurrent",    DRAW_NUMBER, 60, AT(max_concurrent),       3, NULL },
    { "agent_labels",      DRAW_FLAG,   20, AT(ignores_agent_labels), 50, NULL },
    { "reconcile",         DRAW_FLAG,   20, AT(is_manual),            50, NULL },
    { "rollouts_kept",     DRAW_NUMBER, 30, AT(rollouts_kept),        4, NULL },
    { "heartbeat",         DRAW_TIME,   70, AT(heartbeat_min_ms),     1, beats },
};
#undef ROWS

#define ROWS plan
static const struct draw_row plan_rows[] = {
    { "wait", DRAW_TIME, 40, AT(wait_ms), 1, polls },
};
#undef ROWS
#undef AT
/* clang-format on */

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void draw(struct swarm *s, const struct draw_row *rows, size_t count, void *into)
{
    uint64_t play = draw_play(&s->dice, rows, count);
    draw_struct(&s->dice, rows, count, play, into);
}

/* ---- choices -------------------------------------------------------------------------------- */

#define PICK(s, list) ((list)[swarm_roll((s), (uint32_t)(sizeof(list) / sizeof((list)[0])))])

const char *swarm_draw_selector(struct swarm *s)
{
    static const char *const list[] = {
        "", "", "zone=a", "zone=b", "zone=c", "!zone", "env=dev", "zone in (a,b)", "zone=a,env!=dev"
    };
    return PICK(s, list);
}

/* Few of them, so that rollouts go back to what ran before. */
struct text swarm_draw_version(struct swarm *s, struct text *ret_config)
{
    static const char *const codes[] = { "1", "2", "2", "3", "4", "" };
    static const char *const configs[] = { "a", "a", "b", "c", "" };
    struct text code = text_from(PICK(s, codes));
    *ret_config = text_from(PICK(s, configs));
    if (code.size == 0 && ret_config->size == 0)
        code = TEXT("2");
    return code;
}

/* "w-0", "w-1", ... in the arena of the act; empty without memory: it is bounded and large enough.
 */
static struct text name_of(struct swarm *s, const char *prefix, uint32_t number)
{
    char space[16];
    struct text name = TEXT_NONE;
    int size = snprintf(space, sizeof space, "%s-%u", prefix, number);
    bool copied = arena_copy(&s->arena, (struct text){ space, (size_t)size }, &name);
    assert(copied);
    return name;
}

static const struct gate_config *draw_gates(struct swarm *s, uint32_t count)
{
    struct gate_config *gates = arena_take_array(&s->arena, count, sizeof *gates);
    assert(gates || count == 0);
    for (uint32_t i = 0; i < count; i++) {
        gates[i] = (struct gate_config){ .name = name_of(s, "g", i),
                                         .type = GATE_MANUAL,
                                         .interval_ms = 10000,
                                         .failure_limit = 1 };
        draw(s, gate_rows, COUNT(gate_rows), &gates[i]);
    }
    return gates;
}

/* All but the last have a size, or a selector within that of the rollout. */
static void draw_wave(struct swarm *s, uint32_t index, uint32_t count, struct wave_config *wave)
{
    static const char *const selectors[] = { "zone=a", "zone=b", "env=dev", "!zone" };
    const char *selector = PICK(s, selectors);
    *wave = (struct wave_config){ .name = name_of(s, "w", index),
                                  .size = { .value = 1 },
                                  .batch_size = { .value = 1 },
                                  .failure_threshold = { .value = 1 } };
    draw(s, wave_rows, COUNT(wave_rows), wave);
    if (wave->size.is_percent)
        wave->size.value = 1 + wave->size.value % (100 / MOST_WAVES); /* together at most 100 */
    wave->gates = draw_gates(s, wave->gate_count);
    bool takes_selector = swarm_chance(s, 30);
    if (index + 1 == count)
        return;
    wave->has_size = !takes_selector;
    wave->has_selector = takes_selector;
    wave->selector_text = text_from(selector);
    bool parsed = selector_parse(wave->selector_text, NULL, 0, &s->arena, &wave->selector, NULL);
    assert(parsed);
}

static const struct wave_config *draw_waves(struct swarm *s, uint32_t count)
{
    struct wave_config *waves = arena_take_array(&s->arena, count, sizeof *waves);
    assert(waves || count == 0);
    for (uint32_t i = 0; i < count; i++)
        draw_wave(s, i, count, &waves[i]);
    return waves;
}

static const struct domain_config *draw_domains(struct swarm *s, uint32_t count)
{
    static const char *const labels[MOST_DOMAINS] = { "zone", "env" };
    struct domain_config *domains = arena_take_array(&s->arena, count, sizeof *domains);
    assert(domains || count == 0);
    for (uint32_t i = 0; i < count; i++) {
        domains[i] = (struct domain_config){ .label = text_from(labels[i]),
                                             .max_in_progress = { .value = 1 },
                                             .max_failed = { .value = 1 } };
        draw(s, domain_rows, COUNT(domain_rows), &domains[i]);
        if (!domains[i].has_max_in_progress)
            domains[i].has_max_failed = true; /* a request without either is refused */
    }
    return domains;
}

struct rollout_config swarm_draw_config(struct swarm *s)
{
    struct rollout_config config = rollout_config_default;
    draw_struct(&s->dice, config_rows, COUNT(config_rows), s->shape.config_play, &config);
    config.strategy = config.wave_count > 0 ? STRATEGY_WAVES : STRATEGY_ROLLING;
    config.waves = draw_waves(s, config.wave_count);
    config.domains = draw_domains(s, config.domain_count);
    return config;
}

bool swarm_draw_labels(struct swarm *s, uint32_t *ret, struct err *err)
{
    static const char *const zones[] = { "a", "a", "b", "c", "" };
    struct label_change changes[2];
    size_t count = 0;
    struct text zone = text_from(PICK(s, zones));
    bool is_dev = swarm_chance(s, 40);
    if (zone.size > 0)
        changes[count++] = (struct label_change){ .key = TEXT("zone"), .value = zone };
    if (is_dev)
        changes[count++] = (struct label_change){ .key = TEXT("env"), .value = TEXT("dev") };
    return labels_merge(&s->plan.labels, 0, changes, count, ret, err);
}

/* ---- fleet ---------------------------------------------------------------------------------- */

/* The first is calm, for the second phase; the others are what was drawn. */
static void draw_behaviours(struct swarm *s)
{
    static const int64_t latencies[] = { 1000, 5000, 20000, 90000 };
    struct behaviour *list = s->plan.behaviours;
    list[0].latency_min_ms = PICK(s, latencies) / 4;
    list[0].latency_max_ms = 4 * list[0].latency_min_ms;
    for (s->plan.behaviour_count = 1; s->plan.behaviour_count < 4; s->plan.behaviour_count++) {
        struct behaviour *b = &list[s->plan.behaviour_count];
        *b = list[0];
        draw(s, behaviour_rows, COUNT(behaviour_rows), b);
    }
}

static bool draw_instance(struct swarm *s, uint32_t i, struct err *err)
{
    struct plan *plan = &s->plan;
    struct plan_instance *instance = &plan->instances[i];
    char name[16];
    struct text code, config;
    int size = snprintf(name, sizeof name, "n-%02u", i);
    code = swarm_draw_version(s, &config);
    if (swarm_chance(s, 60))
        code = TEXT("1"), config = TEXT("a");
    instance->behaviour = &plan->behaviours[swarm_roll(s, plan->behaviour_count)];
    if (!arena_copy(&plan->arena, (struct text){ name, (size_t)size }, &instance->name) ||
        !intern_take(&plan->texts, code, &instance->start.code) ||
        !intern_take(&plan->texts, config, &instance->start.config))
        return err_set(err, ERR_MEMORY, "no memory for the fleet");
    return swarm_draw_labels(s, &instance->labels, err);
}

static bool draw_fleet(struct swarm *s, struct err *err)
{
    struct plan *plan = &s->plan;
    plan->instance_count = s->shape.instances;
    plan->instances = arena_take_array(&plan->arena, plan->instance_count, sizeof *plan->instances);
    if (!plan->instances)
        return err_set(err, ERR_MEMORY, "no memory for the fleet");
    for (uint32_t i = 0; i < plan->instance_count; i++)
        if (!draw_instance(s, i, err))
            return false;
    return true;
}

/* ---- faults --------------------------------------------------------------------------------- */

static void draw_silence(struct swarm *s)
{
    struct faults *f = &s->plan.faults;
    static const int64_t lengths[] = { 60000, 100000, 300000, 1200000 };
    uint32_t count = swarm_chance(s, 25) ? 1 + swarm_roll(s, 2) : 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t from = (int64_t)swarm_roll(s, (uint32_t)s->shape.safety_ms);
        f->silences[f->silence_count++] = (struct fault_silence){
            .from_ms = from,
            .until_ms = from + PICK(s, lengths),
            .share = 2000 + swarm_roll(s, 8001),
        };
    }
}

/* A third of the seeds is calm: what they find is wrong without any fault. */
static void draw_faults(struct swarm *s)
{
    struct faults *f = &s->plan.faults;
    bool is_hostile = swarm_chance(s, 67);
    if (!is_hostile)
        return;
    draw(s, fault_rows, COUNT(fault_rows), f);
    draw_silence(s);
}

static void draw_shape(struct swarm *s)
{
    static const uint32_t weights[] = {
#define ACT_WEIGHT(id, weight) weight,
        SWARM_ACTS(ACT_WEIGHT)
#undef ACT_WEIGHT
    };
    static const int64_t lengths[] = { 10 * SWARM_MINUTE, 20 * SWARM_MINUTE, 40 * SWARM_MINUTE };
    static const int64_t everys_of_acts[] = { 10000, 30000, 90000 };
    struct swarm_shape *shape = &s->shape;
    shape->instances = 1 + swarm_roll(s, swarm_chance(s, 30) ? 4 : MOST_INSTANCES);
    shape->dormant = swarm_chance(s, 60) ? shape->instances / 4 : 0;
    shape->safety_ms = PICK(s, lengths);
    shape->act_every_ms = PICK(s, everys_of_acts);
    static const uint64_t kept[] = { 1000000, 1000, 100, 10 };
    static const int64_t replies_kept[] = { 24 * SWARM_HOUR, 24 * SWARM_HOUR, 10 * SWARM_MINUTE };
    shape->has_disk = swarm_chance(s, SHARE_OF_DISKS);
    shape->events_kept = PICK(s, kept);
    shape->replies_kept_ms = PICK(s, replies_kept);
    shape->config_play = draw_play(&s->dice, config_rows, COUNT(config_rows));
    for (unsigned act = 0; act < SWARM_ACT_COUNT; act++) {
        bool is_in_play = act == ACT_DEPLOY || swarm_chance(s, 60);
        shape->weights[act] = is_in_play ? weights[act] : 0;
        shape->weight += shape->weights[act];
    }
}

static void draw_settings(struct swarm *s)
{
    s->settings = fleet_settings_default;
    draw(s, setting_rows, COUNT(setting_rows), &s->settings);
    draw(s, plan_rows, COUNT(plan_rows), &s->plan);
}

bool swarm_draw(struct swarm *s, struct err *err)
{
    draw_shape(s);
    draw_settings(s);
    draw_behaviours(s);
    draw_faults(s);
    return draw_fleet(s, err);
}
