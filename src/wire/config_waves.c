/* SPDX-License-Identifier: Apache-2.0
 * config_waves.c - the lists of a configuration: waves with their gates, a canary as two waves, and
 * failure domains. Source: spec of rollouts, 7.1 to 7.3. */
#include "base/limits.h"
#include "wire/config_parts.h"
#include "wire/words.h"

#define GATE_INTERVAL_MS   (10 * 1000)
#define GATE_FAILURE_LIMIT 1

#define AMOUNT     .kind = JSON_AMOUNT, .min = 1, .max = LIMIT_AMOUNT
#define DURATION   .kind = JSON_DURATION
#define NAME       .kind = JSON_TEXT, .min = 1, .max = LIMIT_WAVE_NAME
#define WORD(list) .kind = JSON_WORD, .words = &(list)
#define GATES(owner)                                                                               \
    .name = "gates", .kind = JSON_OBJECTS, JSON_AT(owner, gates), JSON_COUNT(owner, gate_count),   \
    .max = LIMIT_GATES, .sub = &wire_gate_table

/* ---- tables --------------------------------------------------------------------------------- */

enum gate_row {
    GATE_NAME,
    GATE_TYPE,
    GATE_INTERVAL,
    GATE_TIMEOUT,
    GATE_FAILURES,
    GATE_INCONCLUSIVE,
    GATE_DRY_RUN,
    GATE_LATER, /* from here on: of types that are not there yet */
    GATE_ROWS = GATE_LATER + WIRE_GATE_LATER
};

/* clang-format off */
#define AT(member)        JSON_AT(struct wire_gate, member)
#define LATER(index, key) [GATE_LATER + (index)] = { .name = (key), .kind = JSON_RAW, .flags = JSON_NULLABLE, .max = LIMIT_BODY, AT(later[index]), .meaning = "reserved" }
static const struct json_field gate_fields[GATE_ROWS] = {
    [GATE_NAME]         = { .name = "name", NAME, .flags = JSON_PRINTABLE | JSON_REQUIRED, AT(gate.name), .meaning = "different in one wave" },
    [GATE_TYPE]         = { .name = "type", WORD(wire_gate_types), .flags = JSON_REQUIRED, AT(gate.type), .meaning = "who decides; only manual for now: an operator, by promote" },
    [GATE_INTERVAL]     = { .name = "interval", DURATION, AT(gate.interval_ms), .meaning = "between two questions to who decides" },
    [GATE_TIMEOUT]      = { .name = "timeout", DURATION, AT(gate.timeout_ms), .meaning = "after which it is inconclusive; 0s is none" },
    [GATE_FAILURES]     = { .name = "failure_limit", .kind = JSON_INTEGER, .min = 1, .max = LIMIT_AMOUNT, AT(gate.failure_limit), .meaning = "so many failing answers fail it" },
    [GATE_INCONCLUSIVE] = { .name = "inconclusive", WORD(wire_undecided), AT(gate.undecided), .meaning = "what follows when its time is over" },
    [GATE_DRY_RUN]      = { .name = "dry_run", .kind = JSON_BOOL, AT(gate.is_dry_run), .meaning = "it is recorded and never blocks" },
    LATER(0, "url"), LATER(1, "source"), LATER(2, "query"), LATER(3, "op"),
    LATER(4, "value"), LATER(5, "count"), LATER(6, "command"), LATER(7, "args"),
};
#undef AT

enum wave_row { WAVE_NAME, WAVE_SIZE, WAVE_PERCENT, WAVE_SELECTOR, WAVE_BATCH, WAVE_MODE, WAVE_THRESHOLD, WAVE_SOAK, WAVE_GATES, WAVE_ROWS };

#define AT(member) JSON_AT(struct wire_wave, member)
static const struct json_field wave_fields[WAVE_ROWS] = {
    [WAVE_NAME]      = { .name = "name", NAME, .flags = JSON_PRINTABLE, AT(name), .meaning = "different in one rollout; without it wave-<n>" },
    [WAVE_SIZE]      = { .name = "size", .kind = JSON_INTEGER, .min = 1, .max = LIMIT_AMOUNT, AT(size), .meaning = "so many members" },
    [WAVE_PERCENT]   = { .name = "percent", .kind = JSON_INTEGER, .min = 1, .max = 100, AT(percent), .meaning = "so many in a hundred of the members at the start, rounded up" },
    [WAVE_SELECTOR]  = { .name = "selector", .kind = JSON_TEXT, .max = LIMIT_SELECTOR, AT(selector), .meaning = "members that match this besides" },
    [WAVE_BATCH]     = { .name = "batch_size", AMOUNT, AT(batch_size), .meaning = "as in the rollout; a percentage is of the wave" },
    [WAVE_MODE]      = { .name = "mode", WORD(wire_modes), AT(mode), .meaning = "as in the rollout" },
    [WAVE_THRESHOLD] = { .name = "failure_threshold", AMOUNT, AT(failure_threshold), .meaning = "failed members of this wave; that of the rollout counts all waves" },
    [WAVE_SOAK]      = { .name = "soak", DURATION, AT(soak_ms), .meaning = "time to pass after its last member was done" },
    [WAVE_GATES]     = { GATES(struct wire_wave), .meaning = "to pass after the soak, in order" },
};
#undef AT

enum canary_row { CANARY_SIZE, CANARY_BATCH, CANARY_SOAK, CANARY_GATES, CANARY_ROWS };

#define AT(member) JSON_AT(struct wire_canary, member)
static const struct json_field canary_fields[CANARY_ROWS] = {
    [CANARY_SIZE]  = { .name = "size", AMOUNT, .flags = JSON_REQUIRED, AT(size), .meaning = "so many members first; a percentage of all is rounded up" },
    [CANARY_BATCH] = { .name = "batch_size", AMOUNT, AT(batch_size), .meaning = "of these, instead of the rollout's" },
    [CANARY_SOAK]  = { .name = "soak", DURATION, AT(soak_ms), .meaning = "time to pass after the last of them was done" },
    [CANARY_GATES] = { GATES(struct wire_canary), .meaning = "to pass after the soak, in order" },
};
#undef AT

enum domain_row { DOMAIN_LABEL, DOMAIN_MAX_IN_PROGRESS, DOMAIN_MAX_FAILED, DOMAIN_ROWS };

#define AT(member) JSON_AT(struct wire_domain, member)
static const struct json_field domain_fields[DOMAIN_ROWS] = {
    [DOMAIN_LABEL]           = { .name = "label", .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, .min = 1, .max = LIMIT_LABEL_KEY, AT(label),
                                 .meaning = "members with an equal value of it form a domain, those without it one more" },
    [DOMAIN_MAX_IN_PROGRESS] = { .name = "max_in_progress", AMOUNT, AT(max_in_progress), .meaning = "members in flight in one domain, of all rollouts; a percentage of the domain is rounded down, to at least 1" },
    [DOMAIN_MAX_FAILED]      = { .name = "max_failed", AMOUNT, AT(max_failed), .meaning = "so many failed members in one domain are a breach; a percentage of the domain is rounded up" },
};
#undef AT

#define TABLE(type, id, rows) { .name = (id), .fields = (rows), .count = sizeof(rows) / sizeof((rows)[0]), .size = sizeof(type), .given_offset = offsetof(type, given) }
const struct json_table wire_gate_table   = TABLE(struct wire_gate, "gate", gate_fields);
const struct json_table wire_wave_table   = TABLE(struct wire_wave, "wave_configuration", wave_fields);
const struct json_table wire_canary_table = TABLE(struct wire_canary, "canary", canary_fields);
const struct json_table wire_domain_table = TABLE(struct wire_domain, "domain_configuration", domain_fields);
/* clang-format on */

static bool has(const struct json_given *given, unsigned row)
{
    return (given->fields & JSON_BIT(row)) != 0;
}

static bool no_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "no memory for a configuration");
}

/* ---- gates ---------------------------------------------------------------------------------- */

static bool check_gate(const struct wire_gate *g, struct json_pointer at, struct err *err)
{
    if (g->gate.type != GATE_MANUAL)
        return err_set_at(
            err, ERR_NOT_SUPPORTED, at.text,
            "gates of the type \"%s\" are reserved for a later version; \"manual\" is "
            "available",
            sm_word_at(&wire_gate_types, g->gate.type));
    for (unsigned row = GATE_LATER; row < GATE_ROWS; row++) {
        if (!has(&g->given, row))
            continue;
        at = config_at(at, gate_fields[row].name);
        return err_set_at(err, ERR_INVALID, at.text, "a manual gate has no such key");
    }
    return true;
}

static bool check_gate_name(const struct gate_config *gates, uint32_t index, struct json_pointer at,
                            struct err *err)
{
    for (uint32_t i = 0; i < index; i++) {
        if (!text_equal(gates[i].name, gates[index].name))
            continue;
        at = config_at(at, gate_fields[GATE_NAME].name);
        return err_set_at(err, ERR_INVALID, at.text,
                          "gate %u of this wave has the same name; names must differ", i + 1);
    }
    return true;
}

static struct gate_config gate_with_defaults(const struct wire_gate *g)
{
    struct gate_config gate = g->gate;
    if (!has(&g->given, GATE_INTERVAL))
        gate.interval_ms = GATE_INTERVAL_MS;
    if (!has(&g->given, GATE_FAILURES))
        gate.failure_limit = GATE_FAILURE_LIMIT;
    return gate;
}

static bool take_gates(const struct wire_gate *list, uint32_t count, struct json_pointer at,
                       struct arena *arena, struct wave_config *wave, struct err *err)
{
    struct gate_config *gates = arena_take_array(arena, count, sizeof *gates);
    if (count > 0 && !gates)
        return no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        struct json_pointer here = config_entry(at, "gates", i);
        gates[i] = gate_with_defaults(&list[i]);
        if (!check_gate(&list[i], here, err) || !check_gate_name(gates, i, here, err))
            return false;
    }
    wave->gates = gates;
    wave->gate_count = count;
    return true;
}

static void write_gates(struct json_writer *w, const struct wave_config *wave)
{
    json_key(w, "gates");
    json_begin_list(w);
    for (uint32_t i = 0; i < wave->gate_count; i++) {
        struct wire_gate g = { .given = { .fields = JSON_BIT(GATE_LATER) - 1 },
                               .gate = wave->gates[i] };
        json_write_table(w, &wire_gate_table, &g, JSON_ABSENT_IS_OMITTED);
    }
    json_end_list(w);
}

/* ---- waves ---------------------------------------------------------------------------------- */

static const unsigned choosing[] = { WAVE_SIZE, WAVE_PERCENT, WAVE_SELECTOR };
#define CHOOSING_COUNT (sizeof choosing / sizeof choosing[0])

/* Every wave but the last says whom it takes, in one of three ways. */
static bool check_choice(const struct wire_wave *v, bool is_last, struct json_pointer at,
                         struct err *err)
{
    const char *first = NULL;
    for (size_t i = 0; i < CHOOSING_COUNT; i++) {
        const char *key = wave_fields[choosing[i]].name;
        if (!has(&v->given, choosing[i]))
            continue;
        struct json_pointer here = config_at(at, key);
        if (is_last)
            return err_set_at(err, ERR_INVALID, here.text,
                              "the last wave takes everything that is left: leave %s out", key);
        if (first)
            return err_set_at(err, ERR_INVALID, here.text,
                              "a wave has one of size, percent and selector, and this one has a "
                              "%s already",
                              first);
        first = key;
    }
    if (!is_last && !first)
        return err_set_at(err, ERR_INVALID, at.text,
                          "needs a size, a percent or a selector: without one it would take "
                          "everything, and leave nobody to the waves after it");
    return true;
}

static bool take_name(const struct wire_wave *v, uint32_t index, struct arena *arena,
                      struct text *ret, struct err *err)
{
    char space[24];
    if (v->name.size > 0) {
        *ret = v->name;
        return true;
    }
    snprintf(space, sizeof space, "wave-%u", index + 1);
    return arena_copy(arena, text_from(space), ret) || no_memory(err);
}

static bool check_name(const struct wave_config *waves, uint32_t index, struct json_pointer at,
                       struct err *err)
{
    for (uint32_t i = 0; i < index; i++) {
        if (!text_equal(waves[i].name, waves[index].name))
            continue;
        at = config_at(at, wave_fields[WAVE_NAME].name);
        return err_set_at(err, ERR_INVALID, at.text,
                          "wave %u is called \"%.*s\" too; names must differ", i + 1,
                          TEXT_ARG(waves[index].name));
    }
    return true;
}

static bool print_selector(const struct selector *selector, struct arena *arena, struct text *ret)
{
    struct buffer canonical;
    buffer_init(&canonical, arena->memory, LIMIT_SELECTOR);
    selector_print(selector, &canonical);
    bool is_good = !canonical.failed && arena_copy(arena, buffer_text(&canonical), ret);
    buffer_release(&canonical);
    return is_good;
}

static bool take_selector(const struct wire_wave *v, struct json_pointer at, struct arena *arena,
                          struct wave_config *wave, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    if (!has(&v->given, WAVE_SELECTOR))
        return true;
    at = config_at(at, wave_fields[WAVE_SELECTOR].name);
    if (!selector_parse(v->selector, NULL, 0, arena, &wave->selector, &why))
        return err_set_at(err, why.code, at.text, "%s", why.text);
    if (wave->selector.count == 0)
        return err_set_at(err, ERR_INVALID, at.text,
                          "selects everything, and leaves nobody to the waves after it");
    wave->has_selector = true;
    return print_selector(&wave->selector, arena, &wave->selector_text) || no_memory(err);
}

static void take_numbers(const struct wire_wave *v, struct wave_config *wave)
{
    wave->has_size = has(&v->given, WAVE_SIZE) || has(&v->given, WAVE_PERCENT);
    wave->size.is_percent = has(&v->given, WAVE_PERCENT);
    wave->size.value = wave->size.is_percent ? v->percent : v->size;
    wave->has_batch_size = has(&v->given, WAVE_BATCH);
    wave->batch_size = v->batch_size;
    wave->has_mode = has(&v->given, WAVE_MODE);
    wave->mode = v->mode;
    wave->has_failure_threshold = has(&v->given, WAVE_THRESHOLD);
    wave->failure_threshold = v->failure_threshold;
    wave->soak_ms = v->soak_ms;
}

static bool take_wave(const struct wire_config *c, uint32_t index, struct json_pointer at,
                      struct arena *arena, struct wave_config *wave, struct err *err)
{
    const struct wire_wave *v = &c->waves[index];
    take_numbers(v, wave);
    return check_choice(v, index + 1 == c->wave_count, at, err) &&
           take_name(v, index, arena, &wave->name, err) && take_selector(v, at, arena, wave, err) &&
           take_gates(v->gates, v->gate_count, at, arena, wave, err);
}

/* Percentages of the waves up to `index` together. */
static bool check_percent(const struct wave_config *waves, uint32_t index, struct json_pointer at,
                          struct err *err)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= index; i++)
        sum += waves[i].size.is_percent ? waves[i].size.value : 0;
    if (sum <= 100 || !waves[index].size.is_percent)
        return true;
    at = config_at(at, wave_fields[WAVE_PERCENT].name);
    return err_set_at(err, ERR_INVALID, at.text,
                      "the waves up to this one have %u percent together; 100 is all", sum);
}

static bool take_list(const struct wire_config *c, struct json_pointer at, struct arena *arena,
                      struct rollout_config *ret, struct err *err)
{
    struct wave_config *waves = arena_take_array(arena, c->wave_count, sizeof *waves);
    if (!waves)
        return no_memory(err);
    for (uint32_t i = 0; i < c->wave_count; i++) {
        struct json_pointer here = config_entry(at, "waves", i);
        if (!take_wave(c, i, here, arena, &waves[i], err) || !check_name(waves, i, here, err) ||
            !check_percent(waves, i, here, err))
            return false;
    }
    ret->waves = waves;
    ret->wave_count = c->wave_count;
    return true;
}

static bool take_canary(const struct wire_canary *canary, struct json_pointer at,
                        struct arena *arena, struct rollout_config *ret, struct err *err)
{
    struct wave_config *waves = arena_take_array(arena, 2, sizeof *waves);
    if (!waves)
        return no_memory(err);
    waves[0] = (struct wave_config){ .name = TEXT("canary"),
                                     .has_size = true,
                                     .size = canary->size,
                                     .has_batch_size = has(&canary->given, CANARY_BATCH),
                                     .batch_size = canary->batch_size,
                                     .soak_ms = canary->soak_ms };
    waves[1] = (struct wave_config){ .name = TEXT("rest") };
    if (!take_gates(canary->gates, canary->gate_count, config_at(at, "canary"), arena, &waves[0],
                    err))
        return false;
    ret->waves = waves;
    ret->wave_count = 2;
    return true;
}

bool config_take_waves(const struct wire_config *c, struct json_pointer at, struct arena *arena,
                       struct rollout_config *ret, struct err *err)
{
    if (c->config.strategy == STRATEGY_CANARY)
        return take_canary(&c->canary, at, arena, ret, err);
    if (c->config.strategy == STRATEGY_WAVES)
        return take_list(c, at, arena, ret, err);
    return true;
}

/* The gates come last in both forms, after what the table writes. */
static void write_wave(struct json_writer *w, const struct wave_config *wave)
{
    struct wire_wave v = { .name = wave->name,
                           .selector = wave->selector_text,
                           .size = wave->size.value,
                           .percent = wave->size.value,
                           .batch_size = wave->batch_size,
                           .failure_threshold = wave->failure_threshold,
                           .mode = wave->mode,
                           .soak_ms = wave->soak_ms };
    v.given.fields = JSON_BIT(WAVE_NAME) | JSON_BIT(WAVE_SOAK) |
                     (wave->has_size && !wave->size.is_percent ? JSON_BIT(WAVE_SIZE) : 0) |
                     (wave->has_size && wave->size.is_percent ? JSON_BIT(WAVE_PERCENT) : 0) |
                     (wave->has_selector ? JSON_BIT(WAVE_SELECTOR) : 0) |
                     (wave->has_batch_size ? JSON_BIT(WAVE_BATCH) : 0) |
                     (wave->has_mode ? JSON_BIT(WAVE_MODE) : 0) |
                     (wave->has_failure_threshold ? JSON_BIT(WAVE_THRESHOLD) : 0);
    json_begin_object(w);
    json_write_members(w, &wire_wave_table, &v, JSON_ABSENT_IS_OMITTED);
    write_gates(w, wave);
    json_end_object(w);
}

void config_write_waves(struct json_writer *w, const struct rollout_config *config)
{
    json_begin_list(w);
    for (uint32_t i = 0; i < config->wave_count; i++)
        write_wave(w, &config->waves[i]);
    json_end_list(w);
}

void config_write_canary(struct json_writer *w, const struct wave_config *wave)
{
    struct wire_canary canary = { .size = wave->size,
                                  .batch_size = wave->batch_size,
                                  .soak_ms = wave->soak_ms };
    canary.given.fields = JSON_BIT(CANARY_SIZE) | JSON_BIT(CANARY_SOAK) |
                          (wave->has_batch_size ? JSON_BIT(CANARY_BATCH) : 0);
    json_begin_object(w);
    json_write_members(w, &wire_canary_table, &canary, JSON_ABSENT_IS_OMITTED);
    write_gates(w, wave);
    json_end_object(w);
}

/* ---- domains -------------------------------------------------------------------------------- */

static bool check_domain(const struct wire_domain *list, uint32_t index, struct json_pointer at,
                         struct err *err)
{
    const struct wire_domain *d = &list[index];
    if (!has(&d->given, DOMAIN_MAX_IN_PROGRESS) && !has(&d->given, DOMAIN_MAX_FAILED))
        return err_set_at(err, ERR_INVALID, at.text,
                          "limits nothing: give max_in_progress, max_failed or both");
    for (uint32_t i = 0; i < index; i++) {
        if (!text_equal(list[i].label, d->label))
            continue;
        at = config_at(at, domain_fields[DOMAIN_LABEL].name);
        return err_set_at(err, ERR_INVALID, at.text, "entry %u is about the same label", i + 1);
    }
    return true;
}

bool config_take_domains(const struct wire_config *c, struct json_pointer at, struct arena *arena,
                         struct rollout_config *ret, struct err *err)
{
    struct domain_config *domains = arena_take_array(arena, c->domain_count, sizeof *domains);
    if (c->domain_count > 0 && !domains)
        return no_memory(err);
    for (uint32_t i = 0; i < c->domain_count; i++) {
        const struct wire_domain *d = &c->domains[i];
        if (!check_domain(c->domains, i, config_entry(at, "domains", i), err))
            return false;
        domains[i] =
            (struct domain_config){ .label = d->label,
                                    .has_max_in_progress = has(&d->given, DOMAIN_MAX_IN_PROGRESS),
                                    .has_max_failed = has(&d->given, DOMAIN_MAX_FAILED),
                                    .max_in_progress = d->max_in_progress,
                                    .max_failed = d->max_failed };
    }
    ret->domains = c->domain_count > 0 ? domains : NULL;
    ret->domain_count = c->domain_count;
    return true;
}

void config_write_domains(struct json_writer *w, const struct rollout_config *config)
{
    json_begin_list(w);
    for (uint32_t i = 0; i < config->domain_count; i++) {
        const struct domain_config *from = &config->domains[i];
        struct wire_domain d = { .label = from->label,
                                 .max_in_progress = from->max_in_progress,
                                 .max_failed = from->max_failed };
        d.given.fields = JSON_BIT(DOMAIN_LABEL) |
                         (from->has_max_in_progress ? JSON_BIT(DOMAIN_MAX_IN_PROGRESS) : 0) |
                         (from->has_max_failed ? JSON_BIT(DOMAIN_MAX_FAILED) : 0);
        json_write_table(w, &wire_domain_table, &d, JSON_ABSENT_IS_OMITTED);
    }
    json_end_list(w);
}
