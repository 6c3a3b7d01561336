/* SPDX-License-Identifier: Apache-2.0
 * test_random.c - fleets driven at random. Everything that must always hold is checked after each
 * command; rounds are taken back now and then; in the end the faults stop, and then every rollout
 * ends or waits for an operator (I22 of the reliability guide).
 *
 * A failure prints its seed: SEED=n replays that one, SEEDS=n runs that many from 1 on. */
#include "core/place.h"
#include "core/story.h"
#include "core/waves.h"

#include "base/dice.h"
#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_QUICK 2000u
#define COMMANDS    300u
#define NAMES       40u
#define ROUNDS_MAX  (FLEET_ROUNDS_MAX - 2)

struct driver {
    struct story *s;
    struct dice dice;
    uint32_t names;              /* instances that may exist */
    bool takes_back;             /* dumps are kept, and undo is compared with them */
    char *dumps[ROUNDS_MAX + 1]; /* [0] of the settled state, then of each closed round */
    uint64_t rounds[ROUNDS_MAX + 1];
    uint32_t closed;
};

static uint32_t roll(struct driver *d, uint32_t end)
{
    return dice_roll(&d->dice, end);
}

static bool chance(struct driver *d, uint32_t percent)
{
    return roll(d, 100) < percent;
}

#define PICK(d, list) ((list)[roll((d), (uint32_t)(sizeof(list) / sizeof((list)[0])))])

static const char *a_name(struct driver *d)
{
    static char name[16];
    snprintf(name, sizeof name, "n-%02u", roll(d, d->names));
    return name;
}

static const char *some_labels(struct driver *d)
{
    static const char *const list[] = { "",       "zone=a",         "zone=b",         "zone=c",
                                        "zone=a", "zone=a,env=dev", "zone=b,env=dev", "env=dev" };
    return PICK(d, list);
}

static const char *a_selector(struct driver *d)
{
    static const char *const list[] = { "",        "zone=a",         "zone=b",
                                        "zone=c",  "zone in (a,b)",  "!zone",
                                        "env=dev", "zone=a,env!=dev" };
    return PICK(d, list);
}

static const char *a_version(struct driver *d)
{
    static const char *const list[] = { "1/a", "2/a", "2/b", "3/b", "3/c", "-/b", "-/c", "4/-" };
    return PICK(d, list);
}

/* ---- what may be asked ---------------------------------------------------------------------- */

static struct fleet_settings some_settings(struct driver *d)
{
    struct fleet_settings settings = fleet_settings_default;
    settings.max_concurrent = 1 + roll(d, 3);
    settings.is_manual = chance(d, 10);
    settings.ignores_agent_labels = chance(d, 10);
    settings.rollouts_kept = chance(d, 30) ? 3 : LIMIT_ROLLOUTS_KEPT;
    return settings;
}

static struct amount an_amount(struct driver *d, uint32_t most)
{
    if (chance(d, 30))
        return (struct amount){ .value = 1 + roll(d, 60), .is_percent = true };
    return (struct amount){ .value = 1 + roll(d, most) };
}

static const int64_t waits[] = { 0, 10 * SECOND, 2 * MINUTE, 10 * MINUTE };

static void *take(struct driver *d, size_t size)
{
    void *taken = arena_take(&d->s->arena, size);
    assert_non_null(taken);
    return taken;
}

static void some_gates(struct driver *d, struct wave_config *wave)
{
    static const char *const names[] = { "one", "two" };
    wave->gate_count = roll(d, 3);
    struct gate_config *gates = take(d, 2 * sizeof *gates);
    for (uint32_t i = 0; i < wave->gate_count; i++)
        gates[i] = (struct gate_config){ .name = text_from(names[i]),
                                         .undecided = (uint8_t)roll(d, GATE_UNDECIDED_COUNT),
                                         .is_dry_run = chance(d, 20),
                                         .timeout_ms = PICK(d, waits) };
    wave->gates = gates;
}

static void choose_members(struct driver *d, struct wave_config *wave)
{
    wave->has_selector = chance(d, 40);
    wave->has_size = !wave->has_selector;
    if (wave->has_size) {
        wave->size = an_amount(d, 6);
        return;
    }
    static const char *const list[] = { "zone=a", "zone=b", "zone in (a,b)", "!zone", "env=dev" };
    wave->selector_text = text_from(PICK(d, list));
    assert_true(selector_parse(wave->selector_text, NULL, 0, &d->s->arena, &wave->selector, NULL));
}

static void some_waves(struct driver *d, struct rollout_config *config)
{
    static const char *const names[] = { "first", "second", "third", "fourth" };
    struct wave_config *waves = take(d, 4 * sizeof *waves);
    config->strategy = STRATEGY_WAVES;
    config->waves = waves;
    config->wave_count = 2 + roll(d, 3);
    for (uint32_t i = 0; i < config->wave_count; i++) {
        waves[i] = (struct wave_config){ .name = text_from(names[i]),
                                         .has_batch_size = chance(d, 40),
                                         .batch_size = an_amount(d, 6),
                                         .has_mode = chance(d, 40),
                                         .mode = (uint8_t)roll(d, ROLLOUT_MODE_COUNT),
                                         .has_failure_threshold = chance(d, 40),
                                         .failure_threshold = an_amount(d, 5),
                                         .soak_ms = chance(d, 50) ? PICK(d, waits) : 0 };
        if (chance(d, 50))
            some_gates(d, &waves[i]);
        if (i + 1 < config->wave_count)
            choose_members(d, &waves[i]);
    }
}

static void some_domains(struct driver *d, struct rollout_config *config)
{
    static const char *const labels[] = { "zone", "env" };
    struct domain_config *domains = take(d, 2 * sizeof *domains);
    config->domains = domains;
    config->domain_count = 1 + roll(d, 2);
    for (uint32_t i = 0; i < config->domain_count; i++) {
        domains[i] = (struct domain_config){ .label = text_from(labels[i]),
                                             .has_max_in_progress = chance(d, 80),
                                             .max_in_progress = an_amount(d, 3),
                                             .has_max_failed = chance(d, 30),
                                             .max_failed = an_amount(d, 3) };
    }
}

static struct rollout_config plain_config(struct driver *d)
{
    return (struct rollout_config){
        .mode = (uint8_t)roll(d, ROLLOUT_MODE_COUNT),
        .on_failure = (uint8_t)roll(d, ROLLOUT_ON_FAILURE_COUNT),
        .offline = (uint8_t)roll(d, ROLLOUT_OFFLINE_COUNT),
        .on_leftover = (uint8_t)roll(d, ROLLOUT_ON_LEFTOVER_COUNT),
        .dynamic = chance(d, 70),
        .batch_size = an_amount(d, 6),
        .failure_threshold = an_amount(d, 5),
        .min_healthy_ms = PICK(d, waits),
        .instance_deadline_ms = PICK(d, waits),
        .health_deadline_ms = PICK(d, waits),
        .progress_deadline_ms = chance(d, 30) ? PICK(d, waits) : 0,
        .leftover_timeout_ms = PICK(d, waits),
    };
}

static struct rollout_config a_config(struct driver *d)
{
    struct rollout_config config = plain_config(d);
    if (chance(d, 50))
        some_waves(d, &config);
    if (chance(d, 40))
        some_domains(d, &config);
    if (chance(d, 20))
        config.min_available = an_amount(d, 6);
    return config;
}

static void do_deploy(struct driver *d)
{
    struct rollout_config config = a_config(d);
    const char *selector = a_selector(d);
    enum err_code code = story_try_deploy(d->s, selector, a_version(d), &config);
    assert_true(code == ERR_NONE || code == ERR_NO_MATCH || code == ERR_IN_PROGRESS ||
                code == ERR_OVERLAPPING || code == ERR_INFEASIBLE);
}

static struct rollout *a_rollout(struct driver *d)
{
    const struct fleet *fleet = &d->s->fleet;
    if (fleet->rollout_count == 0)
        return NULL;
    uint32_t newest = fleet->rollout_count < 4 ? fleet->rollout_count : 4;
    return fleet->rollouts[fleet->rollout_count - 1 - roll(d, newest)];
}

static void do_rollback(struct driver *d)
{
    const struct rollout *r = a_rollout(d);
    uint32_t number = r && chance(d, 50) ? r->number : 0;
    const char *selector = number == 0 && chance(d, 50) ? a_selector(d) : "";
    struct rollout_config config = plain_config(d);
    struct rollback_command command = { .number = number,
                                        .has_selector = selector[0] != 0,
                                        .config = chance(d, 30) ? &config : NULL,
                                        .is_fast = chance(d, 50) };
    assert_true(
        selector_parse(text_from(selector), NULL, 0, &d->s->arena, &command.selector, NULL));
    d->s->err = (struct err){ .code = ERR_NONE };
    story_command(d->s);
    fleet_rollback(&d->s->fleet, &command, NULL, &d->s->err);
    story_done(d->s);
    enum err_code code = d->s->err.code;
    assert_true(code == ERR_NONE || code == ERR_NO_ROLLBACK_TARGET || code == ERR_REFUSED ||
                code == ERR_IN_PROGRESS || code == ERR_OVERLAPPING);
}

static void do_verb(struct driver *d)
{
    static const enum verb verbs[] = { VERB_PAUSE, VERB_RESUME, VERB_RESUME, VERB_PROMOTE,
                                       VERB_ABORT, VERB_RETRY,  VERB_RETRY };
    struct rollout *r = a_rollout(d);
    if (!r)
        return;
    struct verb_command command = { .verb = PICK(d, verbs),
                                    .finish_in_flight = chance(d, 30),
                                    .is_full = chance(d, 30) };
    uint32_t allowed = fleet_allowed_verbs(&d->s->fleet, r);
    bool is_live = rollout_is_live(r);
    struct rollout *result = NULL;
    story_command(d->s);
    bool done = fleet_verb(&d->s->fleet, r, &command, &result, NULL, &d->s->err);
    story_done(d->s);
    if (is_live && allowed >> command.verb & 1)
        assert_true(done);
}

static void do_progress(struct driver *d)
{
    struct rollout *r = a_rollout(d);
    if (!r || !rollout_is_live(r))
        return;
    story_command(d->s);
    assert_true(fleet_progress(&d->s->fleet, r, &d->s->err));
    story_done(d->s);
}

/* ---- what agents do ------------------------------------------------------------------------- */

/* The agent has done what it was told, or repeats what runs. */
static struct heartbeat_command behaved(const struct fleet *fleet, const struct instance *inst)
{
    struct heartbeat_command command = { .has_status = true, .status = INSTANCE_HEALTHY };
    command.has_code = inst->desired.code != 0;
    command.has_config = inst->desired.config != 0;
    command.code = fleet_text(fleet, inst->desired.code);
    command.config = fleet_text(fleet, inst->desired.config);
    return command;
}

static void do_heartbeat(struct driver *d)
{
    struct story *s = d->s;
    const char *name = a_name(d);
    uint32_t slot = fleet_find(&s->fleet, text_from(name));
    if (slot == FLEET_NONE)
        return;
    uint32_t way = roll(d, 100);
    if (way < 45) {
        struct heartbeat_command command = behaved(&s->fleet, fleet_at(&s->fleet, slot));
        struct heartbeat_result result;
        story_command(s);
        assert_true(fleet_heartbeat(&s->fleet, slot, &command, &result, &s->err));
        story_done(s);
    } else if (way < 60) {
        story_say(s, name, "", INSTANCE_HEALTHY);
    } else if (way < 75) {
        story_say(s, name, "", (int)roll(d, instance_state_count));
    } else if (way < 95) {
        story_say(s, name, a_version(d), (int)roll(d, instance_state_count));
    } else {
        story_say_labels(s, name, chance(d, 50) ? "!zone" : "zone=b,!env");
    }
}

static void do_register(struct driver *d)
{
    const char *name = a_name(d);
    story_register(d->s, name, chance(d, 80) ? some_labels(d) : NULL);
}

static void do_delete(struct driver *d)
{
    const char *name = a_name(d);
    if (fleet_find(&d->s->fleet, text_from(name)) != FLEET_NONE)
        story_delete(d->s, name);
}

static void do_time(struct driver *d)
{
    static const int64_t jumps[] = { 1,           SECOND,      5 * SECOND, 20 * SECOND,
                                     30 * SECOND, 40 * SECOND, MINUTE,     5 * MINUTE };
    d->s->now += chance(d, 3) ? HOUR : PICK(d, jumps);
    story_tick(d->s);
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void keep_dump(struct driver *d, uint32_t place)
{
    free(d->dumps[place]);
    d->dumps[place] = d->takes_back ? story_dump(d->s) : NULL;
}

static void close_round(struct driver *d)
{
    if (d->closed == ROUNDS_MAX)
        return;
    d->rounds[++d->closed] = fleet_end_round(&d->s->fleet);
    keep_dump(d, d->closed);
}

static void settle_some(struct driver *d)
{
    uint32_t settled = roll(d, d->closed + 1);
    if (settled == 0)
        return;
    fleet_settle(&d->s->fleet, d->rounds[settled]);
    for (uint32_t i = 0; i < settled; i++)
        free(d->dumps[i]);
    for (uint32_t i = settled; i <= d->closed; i++) {
        d->dumps[i - settled] = d->dumps[i];
        d->rounds[i - settled] = d->rounds[i];
    }
    for (uint32_t i = d->closed - settled + 1; i <= d->closed; i++)
        d->dumps[i] = NULL;
    d->closed -= settled;
}

static void settle_all(struct driver *d)
{
    uint64_t round = fleet_end_round(&d->s->fleet);
    fleet_settle(&d->s->fleet, round);
    d->closed = 0;
    keep_dump(d, 0);
}

static void assert_state_is(const struct driver *d, const char *before)
{
    char *after = story_dump(d->s);
    story_assert_same(before, after);
    free(after);
}

static void take_back(struct driver *d)
{
    if (!d->takes_back)
        return;
    story_undo(d->s);
    assert_state_is(d, d->dumps[0]);
    d->closed = 0;
}

static void build_anew(struct driver *d)
{
    char *before = story_dump(d->s);
    place_rebuild(&d->s->fleet);
    assert_state_is(d, before);
    free(before);
}

static void restart(struct driver *d)
{
    settle_all(d);
    story_restart(d->s, chance(d, 50) ? 0 : HOUR);
    settle_all(d);
}

/* ---- the two phases ------------------------------------------------------------------------- */

static void step(struct driver *d)
{
    uint32_t what = roll(d, 1000);
    if (what < 560)
        do_heartbeat(d);
    else if (what < 620)
        do_register(d);
    else if (what < 640)
        do_delete(d);
    else if (what < 710)
        do_deploy(d);
    else if (what < 780)
        do_verb(d);
    else if (what < 810)
        do_rollback(d);
    else if (what < 940)
        do_time(d);
    else if (what < 950)
        do_progress(d);
    else if (what < 970)
        take_back(d);
    else if (what < 975)
        build_anew(d);
    else if (what < 978)
        restart(d);
    else
        settle_some(d);
    if (chance(d, 40))
        close_round(d);
}

/* With a floor as high as the fleet nobody may be picked, for ever. */
static bool is_kept_by_its_floor(const struct fleet *fleet, const struct rollout *r)
{
    struct waiting list[WAITING_REASON_COUNT];
    size_t count = waiting_list(fleet, r, list);
    for (size_t i = 0; i < count; i++)
        if (list[i].reason == WAITING_MIN_AVAILABLE)
            return rollout_tally(r)->in_progress == 0;
    return false;
}

static bool all_ended_or_wait_for_somebody(const struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        const struct rollout *r = fleet->rollouts[i];
        if (r->state == ROLLOUT_RUNNING && !is_kept_by_its_floor(fleet, r))
            return false;
    }
    return true;
}

static void operators_promote(struct driver *d)
{
    const struct fleet *fleet = &d->s->fleet;
    for (uint32_t i = 0; i < fleet->rollout_count; i++)
        if (rollout_is_live(fleet->rollouts[i]) &&
            fleet_allowed_verbs(fleet, fleet->rollouts[i]) >> VERB_PROMOTE & 1)
            story_verb(d->s, fleet->rollouts[i], VERB_PROMOTE);
}

static void everybody_behaves(struct driver *d)
{
    struct fleet *fleet = &d->s->fleet;
    story_command(d->s);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (!inst->texts || inst->is_gone)
            continue;
        struct heartbeat_command command = behaved(fleet, inst);
        struct heartbeat_result result;
        fleet_begin(fleet, d->s->now, TEXT("agent"));
        assert_true(fleet_heartbeat(fleet, slot, &command, &result, &d->s->err));
    }
    for (uint32_t i = 0; fleet->settings.is_manual && i < fleet->rollout_count; i++)
        if (rollout_is_live(fleet->rollouts[i]))
            assert_true(fleet_progress(fleet, fleet->rollouts[i], &d->s->err));
    fleet_begin(fleet, d->s->now, TEXT("tester"));
    story_done(d->s);
}

/* Every batch takes a report, min_healthy_time (10 min at most) and a report; waves soak and wait
 * for leftovers; and a rollback may follow. */
#define BOUND ((2 * NAMES * 12 + 2 * 4 * 60) * MINUTE)

static void faults_stop(struct driver *d)
{
    int64_t end = d->s->now + BOUND;
    settle_all(d);
    while (!all_ended_or_wait_for_somebody(&d->s->fleet)) {
        assert_true(d->s->now < end);
        everybody_behaves(d);
        operators_promote(d);
        story_tick(d->s);
        settle_all(d);
        d->s->now += 30 * SECOND;
    }
}

static uint64_t run_seed(uint64_t seed, uint64_t hash_seed)
{
    struct driver d = { .dice = { .state = seed } };
    struct fleet_settings settings = some_settings(&d);
    d.names = 1 + roll(&d, NAMES);
    d.takes_back = seed % 4 == 0;
    d.s = story_new(&settings, hash_seed);
    d.s->keeps_rounds_open = true;
    d.s->checks_seldom = true;
    keep_dump(&d, 0);
    for (uint32_t i = 0; i < d.names; i++)
        do_register(&d);
    for (uint32_t i = 0; i < COMMANDS; i++)
        step(&d);
    uint64_t hash = story_hash(d.s);
    faults_stop(&d);
    hash = hash * 31 + story_hash(d.s);
    for (uint32_t i = 0; i <= ROUNDS_MAX; i++)
        free(d.dumps[i]);
    story_free(d.s);
    return hash;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static uint64_t running; /* the seed */

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    uint64_t number;
    return text && text_to_u64(text_from(text), UINT64_MAX, &number) ? number : otherwise;
}

static void test_what_must_hold_holds_after_each_command_and_all_ends(void **state)
{
    (void)state;
    uint64_t only = number_of("SEED", 0);
    uint64_t first = only ? only : 1;
    uint64_t last = only ? only : number_of("SEEDS", SEEDS_QUICK);

    for (running = first; running <= last; running++)
        run_seed(running, 7);
    running = 0;
}

static void test_the_same_seed_gives_the_same_bytes_whatever_the_hashes(void **state)
{
    (void)state;

    for (running = 1; running <= 100; running++)
        assert_true(run_seed(running, 7) == run_seed(running, running * 0x9e3779b97f4a7c15u));
    running = 0;
}

static int tell_seed(void **state)
{
    (void)state;
    if (running != 0)
        print_error("replay with SEED=%llu\n", (unsigned long long)running);
    running = 0;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_what_must_hold_holds_after_each_command_and_all_ends,
                                  tell_seed),
        cmocka_unit_test_teardown(test_the_same_seed_gives_the_same_bytes_whatever_the_hashes,
                                  tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
