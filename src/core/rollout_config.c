/* SPDX-License-Identifier: Apache-2.0
 * rollout_config.c - defaults and deep copies of configurations. */
#include "core/rollout_config.h"

const struct rollout_config rollout_config_default = {
    .strategy = STRATEGY_ROLLING,
    .mode = MODE_WINDOW,
    .on_failure = ON_FAILURE_ROLLBACK,
    .offline = OFFLINE_WAIT,
    .on_leftover = ON_LEFTOVER_COMPLETE,
    .dynamic = true,
    .batch_size = { .value = 1 },
    .failure_threshold = { .value = 1 },
    .instance_deadline_ms = 10 * 60 * 1000,
    .health_deadline_ms = 5 * 60 * 1000,
    .leftover_timeout_ms = 10 * 60 * 1000,
};

static bool copy_gates(struct arena *arena, const struct wave_config *from, struct wave_config *to)
{
    struct gate_config *gates = arena_take_array(arena, from->gate_count, sizeof *gates);
    if (from->gate_count > 0 && !gates)
        return false;
    for (uint32_t i = 0; i < from->gate_count; i++) {
        gates[i] = from->gates[i];
        if (!arena_copy(arena, from->gates[i].name, &gates[i].name))
            return false;
    }
    to->gates = gates;
    return true;
}

static bool copy_wave(struct arena *arena, const struct wave_config *from, struct wave_config *to)
{
    *to = *from;
    return arena_copy(arena, from->name, &to->name) && copy_gates(arena, from, to) &&
           arena_copy(arena, from->selector_text, &to->selector_text) &&
           selector_parse(to->selector_text, NULL, 0, arena, &to->selector, NULL);
}

bool rollout_config_copy(struct arena *arena, const struct rollout_config *config,
                         struct rollout_config *ret)
{
    struct rollout_config copy = *config;
    struct wave_config *waves = arena_take_array(arena, config->wave_count, sizeof *waves);
    struct domain_config *domains = arena_take_array(arena, config->domain_count, sizeof *domains);
    if ((config->wave_count > 0 && !waves) || (config->domain_count > 0 && !domains))
        return false;
    for (uint32_t i = 0; i < config->wave_count; i++)
        if (!copy_wave(arena, &config->waves[i], &waves[i]))
            return false;
    for (uint32_t i = 0; i < config->domain_count; i++) {
        domains[i] = config->domains[i];
        if (!arena_copy(arena, config->domains[i].label, &domains[i].label))
            return false;
    }
    copy.waves = config->wave_count > 0 ? waves : NULL;
    copy.domains = config->domain_count > 0 ? domains : NULL;
    *ret = copy;
    return true;
}
