/* SPDX-License-Identifier: Apache-2.0
 * rollout_config.h - how a rollout goes about it: what an operator may ask for besides the target.
 * Values are checked in form by whoever decoded them; ranges: spec of rollouts, 7.1 and 9.7. */
#ifndef DIDES_CORE_ROLLOUT_CONFIG_H
#define DIDES_CORE_ROLLOUT_CONFIG_H

#include "base/arena.h"
#include "base/format.h"
#include "core/selector.h"

/* clang-format off */
/* The words of a configuration; the first of each is the default. */
#define ROLLOUT_STRATEGIES(X)  X(STRATEGY_ROLLING, "rolling") X(STRATEGY_CANARY, "canary")      \
    X(STRATEGY_BLUE_GREEN, "blue_green") X(STRATEGY_WAVES, "waves")
#define ROLLOUT_MODES(X)       X(MODE_WINDOW, "window") X(MODE_BARRIER, "barrier")
#define ROLLOUT_ON_FAILURE(X)  X(ON_FAILURE_ROLLBACK, "rollback") X(ON_FAILURE_PAUSE, "pause")  \
    X(ON_FAILURE_ABORT, "abort")
#define ROLLOUT_OFFLINE(X)     X(OFFLINE_WAIT, "wait") X(OFFLINE_SKIP, "skip")
#define ROLLOUT_ON_LEFTOVER(X) X(ON_LEFTOVER_COMPLETE, "complete") X(ON_LEFTOVER_FAIL, "fail")
#define GATE_TYPES(X)          X(GATE_MANUAL, "manual") X(GATE_WEBHOOK, "webhook")              \
    X(GATE_METRIC, "metric") X(GATE_COMMAND, "command")
#define GATE_UNDECIDED(X)      X(UNDECIDED_PAUSES, "pause") X(UNDECIDED_PASSES, "pass")         \
    X(UNDECIDED_FAILS, "fail")
/* clang-format on */

#define ROLLOUT_WORD_ITEM(id, word) id,
enum rollout_strategy { ROLLOUT_STRATEGIES(ROLLOUT_WORD_ITEM) ROLLOUT_STRATEGY_COUNT };
enum rollout_mode { ROLLOUT_MODES(ROLLOUT_WORD_ITEM) ROLLOUT_MODE_COUNT };
enum rollout_on_failure { ROLLOUT_ON_FAILURE(ROLLOUT_WORD_ITEM) ROLLOUT_ON_FAILURE_COUNT };
enum rollout_offline { ROLLOUT_OFFLINE(ROLLOUT_WORD_ITEM) ROLLOUT_OFFLINE_COUNT };
enum rollout_on_leftover { ROLLOUT_ON_LEFTOVER(ROLLOUT_WORD_ITEM) ROLLOUT_ON_LEFTOVER_COUNT };
enum gate_type { GATE_TYPES(ROLLOUT_WORD_ITEM) GATE_TYPE_COUNT };
enum gate_undecided { GATE_UNDECIDED(ROLLOUT_WORD_ITEM) GATE_UNDECIDED_COUNT };
#undef ROLLOUT_WORD_ITEM

/* What has to be passed after a wave, in order (7.3). Only manual gates are available yet. */
struct gate_config {
    struct text name;    /* unique in its wave */
    uint8_t type;        /* enum gate_type */
    uint8_t undecided;   /* enum gate_undecided: what follows when the time is over */
    bool is_dry_run;     /* recorded, never blocks */
    int64_t timeout_ms;  /* 0 = none */
    int64_t interval_ms; /* kept for gates that ask somebody */
    uint32_t failure_limit;
};

/* One wave of members (7.2). It has a size, a selector, or neither: then it takes what is left. */
struct wave_config {
    struct text name; /* unique in its rollout */
    bool has_size, has_selector, has_batch_size, has_mode, has_failure_threshold;
    uint8_t mode;                    /* enum rollout_mode */
    struct amount size;              /* a percentage is of the members at the start, rounded up */
    struct amount batch_size;        /* a percentage is of the wave, rounded down, at least 1 */
    struct amount failure_threshold; /* a percentage is of the wave, rounded up */
    struct selector selector;        /* within the rollout's */
    struct text selector_text;       /* canonical */
    int64_t soak_ms;                 /* since the last member of the wave was done; 0 = none */
    const struct gate_config *gates;
    uint32_t gate_count;
};

/* Members with an equal value of `label` form a domain, those without the label one more (7.1). */
struct domain_config {
    struct text label;
    bool has_max_in_progress, has_max_failed;
    struct amount max_in_progress; /* a percentage is of the domain, rounded down, at least 1 */
    struct amount max_failed;      /* a percentage is of the domain, rounded up */
};

/* Durations in ms, 0 = none. */
struct rollout_config {
    uint8_t strategy, mode, on_failure, offline, on_leftover; /* the enums above */
    bool dynamic;                    /* instances that come to match later join */
    struct amount batch_size;        /* rounded down, at least 1 */
    struct amount failure_threshold; /* rounded up; breach when failed >= it */
    struct amount min_available;     /* rounded up; 0 = none */
    int64_t min_healthy_ms, instance_deadline_ms, health_deadline_ms;
    int64_t progress_deadline_ms, leftover_timeout_ms;
    const struct wave_config *waves; /* of canary: "canary" and "rest"; of rolling: none */
    uint32_t wave_count;
    const struct domain_config *domains;
    uint32_t domain_count; /* at most LIMIT_DOMAINS */
};

extern const struct rollout_config rollout_config_default;

/* Copies everything `config` points to into `arena`. False: no memory, *ret untouched. */
bool rollout_config_copy(struct arena *arena, const struct rollout_config *config,
                         struct rollout_config *ret);

#endif
