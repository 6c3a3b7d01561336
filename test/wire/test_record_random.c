/* SPDX-License-Identifier: Apache-2.0
 * test_record_random.c - records with every member at random are stored without loss. */
#include "base/dice.h"
#include "base/limits.h"
#include "core/waves.h"
#include "wire/config.h"
#include "wire/json_read.h"
#include "wire/stored.h"

/* ---- instances ------------------------------------------------------------------------------ */

static uint32_t random_text(struct kit *kit, struct dice *dice)
{
    char space[LIMIT_VERSION];
    size_t size = dice_roll(dice, 4) == 0 ? LIMIT_VERSION : dice_roll(dice, 12);
    uint32_t id;
    for (size_t i = 0; i < size; i++)
        space[i] = (char)(1 + dice_roll(dice, 127)); /* control characters and quotes too */
    assert_true(intern_take(&kit->fleet.texts, (struct text){ space, size }, &id));
    return id;
}

static struct version random_version(struct kit *kit, struct dice *dice)
{
    struct version v = { 0 };
    v.code = random_text(kit, dice);
    v.config = random_text(kit, dice);
    return v;
}

static int64_t random_time(struct dice *dice)
{
    return dice_roll(dice, 3) == 0 ? 0 : (int64_t)(dice_next(dice) >> (1 + dice_roll(dice, 40)));
}

static uint32_t random_number(struct dice *dice)
{
    return 1 + (uint32_t)(dice_next(dice) >> (33 + dice_roll(dice, 31)));
}

static void random_order(struct kit *kit, struct dice *dice, struct assignment *a)
{
    if (dice_roll(dice, 3) == 0)
        return;
    a->rollout = random_number(dice);
    a->attempt = (uint16_t)(1 + dice_roll(dice, LIMIT_ATTEMPT));
    a->state = (uint8_t)dice_roll(dice, member_state_count);
    a->cause = (uint8_t)dice_roll(dice, MEMBER_CAUSE_COUNT);
    a->status_when_picked = (uint8_t)dice_roll(dice, instance_state_count);
    a->is_acknowledged = dice_roll(dice, 2);
    a->target = random_version(kit, dice);
    a->previous = random_version(kit, dice);
    a->assigned_at = random_time(dice);
    a->on_target_since = random_time(dice);
    a->healthy_since = random_time(dice);
    a->ended_at = random_time(dice);
    a->deadline_at = random_time(dice);
    a->health_deadline_at = random_time(dice);
}

static void random_instance(struct kit *kit, struct dice *dice, struct instance *inst)
{
    inst->message = random_text(kit, dice);
    inst->current = random_version(kit, dice);
    inst->desired = random_version(kit, dice);
    random_order(kit, dice, &inst->assignment);
    inst->trail_count = dice_roll(dice, LIMIT_TRAIL + 1) & 7u;
    for (size_t i = 0; i < inst->trail_count; i++) {
        inst->trail[i] = (struct trail_entry){ random_number(dice), random_version(kit, dice) };
        inst->trail_waves[i] = (uint8_t)dice_roll(dice, LIMIT_WAVES);
    }
    inst->registered_at = random_time(dice);
    inst->changed_index = (uint64_t)random_time(dice);
    inst->generation = (uint32_t)dice_next(dice);
    inst->member_of = dice_roll(dice, 2) ? random_number(dice) : 0;
    inst->is_joiner = dice_roll(dice, 2);
    inst->wave = (uint8_t)dice_roll(dice, LIMIT_WAVES);
    inst->offline_at = random_time(dice);
    inst->was_idle = dice_roll(dice, 2);
    inst->status = (uint8_t)dice_roll(dice, instance_state_count);
    inst->presence = (uint8_t)dice_roll(dice, presence_state_count);
}

static void random_labels(struct kit *kit, struct dice *dice, struct instance *inst)
{
    struct label_change changes[LIMIT_LABELS];
    char keys[LIMIT_LABELS][8];
    size_t count = dice_roll(dice, 3) == 0 ? LIMIT_LABELS : dice_roll(dice, 4);
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "k\"\t%zu", i);
        changes[i] =
            (struct label_change){ .key = text_from(keys[i]), .value = text_from(keys[i]) };
    }
    assert_true(labels_merge(&kit->fleet.labels, 0, changes, count, &inst->labels, NULL));
}

static void assert_same_instance(struct kit *kit, struct kit *other, const struct instance *inst,
                                 uint32_t slot)
{
    const struct instance *loaded =
        fleet_at(&other->fleet, fleet_find(&other->fleet, instance_key(inst)));
    const struct assignment *a = &inst->assignment, *b = &loaded->assignment;
    assert_text(store_instance(other, fleet_find(&other->fleet, instance_key(inst))).value,
                store_instance(kit, slot).value.data);
    assert_int_equal(loaded->status, inst->status);
    assert_int_equal(loaded->presence, inst->presence);
    assert_int_equal(loaded->member_of, inst->member_of);
    assert_int_equal(loaded->is_joiner, inst->is_joiner);
    assert_int_equal(loaded->wave, inst->wave);
    assert_true(loaded->offline_at == inst->offline_at && loaded->was_idle == inst->was_idle);
    if (inst->trail_count > 0)
        assert_int_equal(loaded->trail_waves[0], inst->trail_waves[0]);
    assert_int_equal(loaded->trail_count, inst->trail_count);
    assert_true(loaded->changed_index == inst->changed_index);
    assert_int_equal(loaded->generation, inst->generation);
    assert_int_equal(b->rollout, a->rollout);
    assert_int_equal(b->state, a->state);
    assert_int_equal(b->cause, a->cause);
    assert_int_equal(b->is_acknowledged, a->is_acknowledged);
    assert_true(b->health_deadline_at == a->health_deadline_at && b->ended_at == a->ended_at);
    assert_int_equal(labels_count(&other->fleet.labels, loaded->labels),
                     labels_count(&kit->fleet.labels, inst->labels));
}

static void test_random_instances_are_stored_without_loss(void **state)
{
    struct kit *kit = *state, other;
    struct dice dice = { 4711 };
    kit_init(&other);
    for (unsigned i = 0; i < 400; i++) {
        char name[40];
        uint32_t slot;
        snprintf(name, sizeof name, "%u \"/\xc3\xa9%s", i, i % 5 ? "" : "%2F");
        assert_true(fleet_add(&kit->fleet, i % 7 ? text_from(name) : TEXT_NONE,
                              i % 7 && i % 2 ? TEXT_NONE : TEXT("10.0.0.1"), &slot, NULL));
        struct instance *inst = fleet_at(&kit->fleet, slot);
        random_instance(kit, &dice, inst);
        random_labels(kit, &dice, inst);
        struct stored s = store_instance(kit, slot);

        load(&other, &s);

        assert_same_instance(kit, &other, inst, slot);
        /* The address is a key of its own once only. */
        if (i % 7 == 0) {
            kit_release(&other);
            kit_init(&other);
            fleet_release(&kit->fleet);
            assert_true(fleet_init(&kit->fleet, &memory_heap, &fleet_settings_default, i, NULL));
        }
    }
    kit_release(&other);
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static void random_config(struct dice *dice, struct rollout_config *c)
{
    c->mode = (uint8_t)dice_roll(dice, ROLLOUT_MODE_COUNT);
    c->on_failure = (uint8_t)dice_roll(dice, ROLLOUT_ON_FAILURE_COUNT);
    c->offline = (uint8_t)dice_roll(dice, ROLLOUT_OFFLINE_COUNT);
    c->on_leftover = (uint8_t)dice_roll(dice, ROLLOUT_ON_LEFTOVER_COUNT);
    c->dynamic = dice_roll(dice, 2);
    c->batch_size = (struct amount){ 1 + dice_roll(dice, 100), dice_roll(dice, 2) };
    c->failure_threshold = (struct amount){ 1 + dice_roll(dice, LIMIT_AMOUNT), false };
    c->min_healthy_ms = dice_roll(dice, 100000);
    c->instance_deadline_ms = dice_roll(dice, 1u << 30);
    c->health_deadline_ms = 1000 * (int64_t)dice_roll(dice, 100000);
    c->progress_deadline_ms = DURATION_MAX_MS - dice_roll(dice, 2);
    c->leftover_timeout_ms = 60000 * (int64_t)dice_roll(dice, 1000);
}

static void copy_text(struct rollout *r, struct text t, struct text *ret)
{
    assert_true(arena_copy(&r->arena, t, ret));
}

/* The lists of a configuration, by the bodies that clients send. */
static void random_lists(struct kit *kit, struct dice *dice, struct rollout *r)
{
    static const char *const bodies[] = {
        "{}",
        "{'min_available':'7%','domains':[{'label':'a \\\"b','max_failed':2}]}",
        "{'strategy':'canary','canary':{'size':3,'gates':[{'name':'\\u00e9','type':'manual'}]}}",
        "{'strategy':'waves','min_available':3,'waves':[{'selector':'zone in (b,a)','soak':'1h'},"
        "{'size':7,'batch_size':'50%','mode':'barrier','failure_threshold':2},{'percent':100,"
        "'name':'x'},{'name':'rest','gates':[{'name':'a','type':'manual','dry_run':true}]}]}",
    };
    struct wire_config read;
    struct rollout_config copy;
    struct err err = { 0 };
    const char *body = bodies[dice_roll(dice, sizeof bodies / sizeof bodies[0])];
    wire_config_init(&read);
    if (!json_read(&wire_config_table, kit_quote(kit, body), &kit->arena, &read, NULL, &err) ||
        !wire_config_take(&read, "", &kit->arena, &err))
        fail_msg("%s: %s", body, err.text);
    assert_true(rollout_config_copy(&r->arena, &read.config, &copy));
    r->config.strategy = copy.strategy;
    r->config.min_available = copy.min_available;
    r->config.waves = copy.waves;
    r->config.wave_count = copy.wave_count;
    r->config.domains = copy.domains;
    r->config.domain_count = copy.domain_count;
}

static void random_tally(struct dice *dice, struct tally *tally)
{
    for (size_t i = 0; i < sizeof *tally / sizeof(uint32_t); i++)
        ((uint32_t *)(void *)tally)[i] = (uint32_t)(dice_next(dice) >> (32 + dice_roll(dice, 32)));
}

static void random_waves(struct dice *dice, struct rollout *r)
{
    assert_true(waves_lay_out(r));
    r->open_wave = dice_roll(dice, r->wave_count);
    r->wave_state = (uint8_t)dice_roll(dice, wave_state_count);
    r->gate = (uint16_t)dice_roll(dice, LIMIT_GATES + 1);
    r->gate_state = (uint8_t)dice_roll(dice, gate_state_count);
    r->is_soaked = dice_roll(dice, 2);
    r->is_promoted = dice_roll(dice, 2);
    r->wave_due_at = random_time(dice);
    r->frozen_at = random_time(dice);
    r->frozen_count = dice_roll(dice, 1000);
    for (uint32_t i = 0; i < r->wave_count; i++) {
        struct wave *wave = &r->waves[i];
        if (dice_roll(dice, 2))
            assert_true(arena_copy(&r->arena, TEXT("n\xc3\xa9\"1"), &wave->last_key));
        wave->last_rank = (uint8_t)dice_roll(dice, 8);
        enum wave_state state = wave_state_at(r, i); /* times mean something only with it */
        wave->opened_at = state == WAVE_NOT_STARTED ? 0 : random_time(dice);
        wave->passed_at = state == WAVE_PASSED ? random_time(dice) : 0;
        random_tally(dice, &wave->final);
    }
}

static void random_texts(struct kit *kit, struct dice *dice, struct rollout *r)
{
    static const char *const selectors[] = { "", "env=prod", "!old,zone in (a,b)",
                                             "\"a \\\"b\"=\"c,d\"" };
    copy_text(r, text_from(selectors[dice_roll(dice, 4)]), &r->selector_text);
    assert_true(selector_parse(r->selector_text, NULL, 0, &r->arena, &r->selector, NULL));
    if (dice_roll(dice, 2))
        copy_text(r, TEXT("ana \"a\"\n"), &r->created_by);
    if (dice_roll(dice, 2))
        copy_text(r, TEXT("\xe2\x82\xac 5"), &r->reason);
    r->target = random_version(kit, dice);
    r->unresolved_total = dice_roll(dice, 2) ? 0 : random_number(dice);
    r->unresolved_count = dice_roll(dice, 4) ? 0 : 1 + dice_roll(dice, LIMIT_UNRESOLVED);
    if (r->unresolved_count > 0)
        r->unresolved = arena_take_array(&r->arena, r->unresolved_count, sizeof(struct text));
    for (uint32_t i = 0; i < r->unresolved_count; i++)
        copy_text(r, TEXT("name"), &r->unresolved[i]);
}

static void random_failures(struct dice *dice, struct rollout *r)
{
    r->failure_count = dice_roll(dice, 4) ? 0 : 1 + dice_roll(dice, LIMIT_FAILURES);
    if (r->failure_count > 0)
        r->failures = arena_take_array(&r->arena, r->failure_count, sizeof r->failures[0]);
    for (uint32_t i = 0; i < r->failure_count; i++) {
        r->failures[i].cause = (uint8_t)dice_roll(dice, MEMBER_CAUSE_COUNT);
        copy_text(r, TEXT("na\"me"), &r->failures[i].key);
        copy_text(r, dice_roll(dice, 2) ? TEXT("exit\n1") : TEXT_NONE, &r->failures[i].message);
    }
}

static struct rollout *random_rollout(struct kit *kit, struct dice *dice)
{
    struct rollout *r = fleet_new_rollout(&kit->fleet, NULL);
    assert_non_null(r);
    r->number = random_number(dice);
    /* Live ones have no final counters; they are in the other tests. */
    r->state = dice_roll(dice, 2) ? ROLLOUT_COMPLETED : ROLLOUT_FAILED;
    r->cause = (uint8_t)dice_roll(dice, ROLLOUT_CAUSE_COUNT);
    r->outcome = (uint8_t)dice_roll(dice, ROLLOUT_OUTCOME_COUNT);
    r->has_no_target = dice_roll(dice, 2);
    r->is_fast = dice_roll(dice, 2);
    r->is_breach_pause = dice_roll(dice, 2);
    r->generation = (uint32_t)dice_next(dice);
    r->revision = (uint64_t)random_time(dice);
    r->started_index = (uint64_t)random_time(dice);
    random_config(dice, &r->config);
    random_texts(kit, dice, r);
    r->created_at = random_time(dice);
    r->started_at = random_time(dice);
    r->ended_at = random_time(dice);
    r->paused_at = random_time(dice);
    r->leftover_at = random_time(dice);
    r->progressed_at = random_time(dice);
    r->retry_of = dice_roll(dice, 2) ? random_number(dice) : 0;
    r->rollback_of = dice_roll(dice, 2) ? random_number(dice) : 0;
    r->restores = dice_roll(dice, 2) ? random_number(dice) : 0;
    r->rolled_back_by = dice_roll(dice, 2) ? random_number(dice) : 0;
    r->stopped_at = dice_roll(dice, 2) ? r->paused_at : r->paused_at + 1;
    random_failures(dice, r);
    random_lists(kit, dice, r);
    random_waves(dice, r);
    random_tally(dice, &r->final);
    return r;
}

static void assert_same_waves(const struct rollout *loaded, const struct rollout *r)
{
    assert_true(loaded->stopped_at == r->stopped_at && loaded->frozen_at == r->frozen_at);
    assert_int_equal(loaded->frozen_count, r->frozen_count);
    assert_int_equal(loaded->wave_count, r->wave_count);
    assert_int_equal(loaded->open_wave, r->open_wave);
    assert_int_equal(loaded->wave_state, r->wave_state);
    assert_int_equal(loaded->gate, r->gate);
    assert_int_equal(loaded->gate_state, r->gate_state);
    assert_int_equal(loaded->is_soaked, r->is_soaked);
    assert_int_equal(loaded->is_promoted, r->is_promoted);
    assert_true(loaded->wave_due_at == r->wave_due_at);
    for (uint32_t i = 0; i < r->wave_count; i++) {
        const struct wave *a = &r->waves[i], *b = &loaded->waves[i];
        assert_true(text_equal(a->last_key, b->last_key) && a->last_rank == b->last_rank);
        assert_true(a->opened_at == b->opened_at && a->passed_at == b->passed_at);
        assert_memory_equal(&a->final, &b->final, sizeof a->final);
        assert_int_equal(a->config != NULL, b->config != NULL);
    }
}

static void assert_same_failures(const struct rollout *loaded, const struct rollout *r)
{
    assert_int_equal(loaded->failure_count, r->failure_count);
    for (uint32_t i = 0; i < r->failure_count; i++) {
        const struct rollout_failure *a = &r->failures[i], *b = &loaded->failures[i];
        assert_true(text_equal(a->key, b->key) && text_equal(a->message, b->message));
        assert_int_equal(a->cause, b->cause);
    }
}

static void test_random_rollouts_are_stored_without_loss(void **state)
{
    struct kit *kit = *state;
    struct dice dice = { 815 };
    for (unsigned i = 0; i < 300; i++) {
        struct kit other;
        kit_init(&other);
        arena_clear(&kit->arena);
        struct rollout *r = random_rollout(kit, &dice);
        struct stored s = store_rollout(kit, r);

        load(&other, &s);

        const struct rollout *loaded = fleet_rollout(&other.fleet, r->number);
        assert_non_null(loaded);
        assert_text(store_rollout(&other, loaded).value, s.value.data);
        assert_int_equal(other.fleet.last_number, r->number);
        assert_int_equal(loaded->state, r->state);
        assert_int_equal(loaded->cause, r->cause);
        assert_true(loaded->config.instance_deadline_ms == r->config.instance_deadline_ms);
        assert_int_equal(loaded->config.dynamic, r->config.dynamic);
        assert_memory_equal(&loaded->final, &r->final, sizeof r->final);
        assert_same_waves(loaded, r);
        assert_same_failures(loaded, r);
        assert_true(selector_equal(&loaded->selector, &r->selector));
        assert_int_equal(loaded->unresolved_count, r->unresolved_count);
        fleet_drop_rollout(&kit->fleet, r);
        kit_release(&other);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_random_instances_are_stored_without_loss),
        TEST(test_random_rollouts_are_stored_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
