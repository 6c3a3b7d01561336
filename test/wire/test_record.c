/* SPDX-License-Identifier: Apache-2.0
 * test_record.c - what is stored can be loaded, and storing it again gives the same bytes. */
#include "base/dice.h"
#include "base/limits.h"
#include "core/place.h"
#include "wire/fleet_kit.h"
#include "wire/record.h"

/* ---- storing and loading -------------------------------------------------------------------- */

struct stored {
    struct text key, value;
};

static struct text copy_of(struct kit *kit, const struct buffer *buffer)
{
    struct text copy;
    assert_false(buffer->failed);
    assert_true(arena_copy(&kit->arena, buffer_text(buffer), &copy));
    return copy;
}

static struct stored store_instance(struct kit *kit, uint32_t slot)
{
    struct stored s;
    buffer_clear(&kit->out);
    wire_instance_key(&kit->out, instance_key(fleet_at(&kit->fleet, slot)));
    s.key = copy_of(kit, &kit->out);
    buffer_clear(&kit->out);
    wire_store_instance(&kit->out, &kit->fleet, slot);
    s.value = copy_of(kit, &kit->out);
    return s;
}

static struct stored store_rollout(struct kit *kit, const struct rollout *r)
{
    struct stored s;
    buffer_clear(&kit->out);
    wire_rollout_key(&kit->out, r->number);
    s.key = copy_of(kit, &kit->out);
    buffer_clear(&kit->out);
    wire_store_rollout(&kit->out, &kit->fleet, r);
    s.value = copy_of(kit, &kit->out);
    return s;
}

static void load(struct kit *to, const struct stored *s)
{
    struct err err = { 0 };
    bool is_instance = text_starts_with(s->key, TEXT("instance/"));
    bool loaded = is_instance ? wire_load_instance(&to->fleet, s->key, s->value, &to->arena, &err)
                              : wire_load_rollout(&to->fleet, s->key, s->value, &to->arena, &err);
    if (!loaded)
        fail_msg("%s: %.*s", err.text, TEXT_ARG(s->value));
}

/* Everything that `from` holds goes to `to` by its records; both must store the same then. */
static void assert_same_after_loading(struct kit *from, struct kit *to)
{
    struct err err = { 0 };
    for (uint32_t slot = fleet_next(&from->fleet, TEXT_NONE, true); slot != FLEET_NONE;
         slot = fleet_after(&from->fleet, slot)) {
        struct stored s = store_instance(from, slot);
        load(to, &s);
    }
    for (uint32_t i = 0; i < from->fleet.rollout_count; i++) {
        struct stored s = store_rollout(from, from->fleet.rollouts[i]);
        load(to, &s);
    }
    if (!fleet_finish_loading(&to->fleet, from->fleet.now, 0, &err) ||
        place_check(&to->fleet, &err) != 0)
        fail_msg("%s", err.text);

    assert_int_equal(to->fleet.instance_count, from->fleet.instance_count);
    for (uint32_t slot = fleet_next(&from->fleet, TEXT_NONE, true); slot != FLEET_NONE;
         slot = fleet_after(&from->fleet, slot)) {
        struct stored s = store_instance(from, slot);
        uint32_t other = fleet_find(&to->fleet, instance_key(fleet_at(&from->fleet, slot)));
        assert_int_not_equal(other, FLEET_NONE);
        struct stored again = store_instance(to, other);
        assert_text(again.key, s.key.data);
        assert_text(again.value, s.value.data);
    }
    assert_int_equal(to->fleet.rollout_count, from->fleet.rollout_count);
    for (uint32_t i = 0; i < from->fleet.rollout_count; i++) {
        struct stored s = store_rollout(from, from->fleet.rollouts[i]);
        struct stored again = store_rollout(to, to->fleet.rollouts[i]);
        assert_text(again.key, s.key.data);
        assert_text(again.value, s.value.data);
    }
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void test_keys_sort_as_their_numbers_and_hide_no_slash(void **state)
{
    struct kit *kit = *state;

    buffer_clear(&kit->out);
    wire_instance_key(&kit->out, TEXT("a/b %c.\xc3\xa9"));
    assert_text(buffer_text(&kit->out), "instance/a%2Fb%20%25c.%C3%A9");

    buffer_clear(&kit->out);
    wire_rollout_key(&kit->out, 42);
    assert_text(buffer_text(&kit->out), "rollout/00000042");
    buffer_clear(&kit->out);
    wire_rollout_key(&kit->out, UINT32_MAX);
    assert_text(buffer_text(&kit->out), "rollout/4294967295");

    buffer_clear(&kit->out);
    wire_event_key(&kit->out, 42);
    assert_text(buffer_text(&kit->out), "event/00000000000000000042");
    buffer_clear(&kit->out);
    wire_event_key(&kit->out, UINT64_MAX);
    assert_text(buffer_text(&kit->out), "event/18446744073709551615");
}

/* ---- what the records look like ------------------------------------------------------------- */

static void test_a_new_instance_is_a_small_record(void **state)
{
    struct kit *kit = *state;

    uint32_t slot = kit_register(kit, "{'instance':{'name':'web-1','ip':'10.0.0.1',"
                                      "'labels':{'zone':'b','env':'prod'}}}");

    kit_assert(kit, store_instance(kit, slot).value,
               "{'name':'web-1','ip':'10.0.0.1','labels':{'env':'prod','zone':'b'},"
               "'status':'UNKNOWN','online':true,'registered_at':1924941600000,"
               "'changed_index':2}");
}

static void test_a_nameless_instance_is_stored_under_its_address(void **state)
{
    struct kit *kit = *state;

    uint32_t slot = kit_register(kit, "{'instance':{'ip':'2001:db8::1'}}");

    struct stored s = store_instance(kit, slot);
    assert_text(s.key, "instance/2001%3Adb8%3A%3A1");
    kit_assert(kit, s.value,
               "{'ip':'2001:db8::1','status':'UNKNOWN','online':true,"
               "'registered_at':1924941600000,'changed_index':2}");
}

static void start_rollout(struct kit *kit)
{
    kit_register(kit, "{'instance':{'name':'a','labels':{'env':'prod'}}}");
    kit_register(kit, "{'instance':{'name':'b','labels':{'env':'prod'}}}");
    kit_beat(kit, "a", "{'code_version':'1','configuration_version':'c','status':1}");
    kit_beat(kit, "b", "{'code_version':'1','status':'FAILED','message':'disk \\\"full\\\"'}");
    kit_begin(kit, 1000);
    kit_deploy(kit, "{'code_version':'2','labels':{'env':'prod'},'reason':'fix',"
                    "'configuration':{'failure_threshold':2,'batch_size':'50%'}}");
}

static void test_a_member_in_flight_is_stored_with_its_order(void **state)
{
    struct kit *kit = *state;

    start_rollout(kit);

    kit_assert(kit, store_instance(kit, kit_slot(kit, "b")).value,
               "{'name':'b','labels':{'env':'prod'},'status':'FAILED','online':true,"
               "'current_state':{'code_version':'1'},'desired_state':{'code_version':'2'},"
               "'message':'disk \\\"full\\\"','generation':1,'registered_at':1924941600000,"
               "'changed_index':8,'member_of':'r-1','deployment_id':'r-1',"
               "'update_state':'in_progress','attempt':1,'status_when_picked':'FAILED',"
               "'target':{'code_version':'2'},'previous_state':{'code_version':'1'},"
               "'assigned_at':1924941601000,'deadline_at':1924942201000,"
               "'trail':[{'deployment_id':'r-1','previous_state':{'code_version':'1'}}]}");
}

static void test_a_rollout_is_stored_with_its_whole_configuration(void **state)
{
    struct kit *kit = *state;

    start_rollout(kit);
    fleet_rollout(&kit->fleet, 1)->revision = 9; /* how the core counts is its own business */

    kit_assert(
        kit, store_rollout(kit, fleet_rollout(&kit->fleet, 1)).value,
        "{'id':'r-1','status':'RUNNING','generation':2,'revision':9,'started_index':5,"
        "'request':{'code_version':'2','configuration':{'strategy':'rolling','batch_size':'50%',"
        "'mode':'window','failure_threshold':2,'on_failure':'rollback','min_healthy_time':'0s',"
        "'instance_deadline':'10m','health_deadline':'5m','progress_deadline':'0s',"
        "'min_available':0,'domains':[],'dynamic':true,'offline':'wait',"
        "'leftover_timeout':'10m','on_leftover':'complete'}},'selector':'env=prod',"
        "'progress':{'total_instances':2,'pending_instances':1,'in_progress_instances':1,"
        "'completed_instances':0,'already_current_instances':0,'failed_instances':0,"
        "'offline_instances':0,'pending_online_instances':1,'retrying_instances':0,'settling_"
        "instances':0,"
        "'acknowledged_instances':0,'available_instances':1},'created_by':'ana','reason':'fix',"
        "'created_at':1924941601000,'started_at':1924941601000,"
        "'progressed_at':1924941601000}");
}

/* ---- round trips ---------------------------------------------------------------------------- */

static void test_a_fleet_in_mid_rollout_survives_a_restart(void **state)
{
    struct kit *kit = *state, other;
    start_rollout(kit);
    kit_init(&other);

    assert_same_after_loading(kit, &other);

    const struct instance *b = fleet_at(&other.fleet, kit_slot(&other, "b"));
    assert_int_equal(b->status, INSTANCE_FAILED);
    assert_int_equal(b->presence, PRESENCE_ONLINE);
    assert_int_equal(b->assignment.state, MEMBER_IN_PROGRESS);
    assert_int_equal(b->assignment.status_when_picked, INSTANCE_FAILED);
    assert_text(fleet_text(&other.fleet, b->message), "disk \"full\"");
    assert_int_equal(fleet_member_state(&other.fleet, b), MEMBER_IN_PROGRESS);
    assert_int_equal(rollout_tally(fleet_rollout(&other.fleet, 1))->total, 2);
    assert_int_equal(b->last_seen, b->registered_at);
    kit_release(&other);
}

static void test_an_ended_rollout_keeps_its_final_counters(void **state)
{
    struct kit *kit = *state, other;
    start_rollout(kit);
    kit_beat(kit, "b", "{'code_version':'2','status':1}");
    kit_beat(kit, "a", "{'code_version':'2','status':1}");
    kit_init(&other);

    assert_same_after_loading(kit, &other);

    const struct rollout *r = fleet_rollout(&other.fleet, 1);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
    assert_memory_equal(&r->final, &fleet_rollout(&kit->fleet, 1)->final, sizeof r->final);
    assert_int_equal(r->final.completed, 2);
    kit_release(&other);
}

static void test_rollbacks_and_what_they_could_not_restore_are_kept(void **state)
{
    struct kit *kit = *state, other;
    kit_register(kit, "{'instance':{'name':'known'}}");
    kit_register(kit, "{'instance':{'name':'un \\\"known'}}");
    kit_beat(kit, "known", "{'code_version':'1','status':1}");
    kit_deploy(kit, "{'code_version':'2','configuration':{'batch_size':5,'failure_threshold':5}}");
    kit_rollback(kit, "{'reason':'no good'}");
    kit_init(&other);

    assert_same_after_loading(kit, &other);

    const struct rollout *r = fleet_rollout(&other.fleet, 2);
    assert_int_equal(r->rollback_of, 1);
    assert_int_equal(fleet_rollout(&other.fleet, 1)->rolled_back_by, 2);
    assert_int_equal(r->unresolved_count, 1);
    assert_text(r->unresolved[0], "un \"known");
    assert_true(r->is_fast);
    kit_release(&other);
}

/* Commands at random, by the bodies that clients send. */
static void act(struct kit *kit, struct dice *dice)
{
    static const char *const beats[] = {
        "{'code_version':'1','configuration_version':'c1','status':1}",
        "{'code_version':'2','status':1}",
        "{'code_version':'3','status':1,'message':'tab\\tand \\u00e9'}",
        "{'status':2}",
        "{'status':3,'message':'broken'}",
        "{'configuration_version':'c2','status':1,'labels':{'zone':'b'}}",
        "{'labels':{'zone':null}}",
    };
    static const char *const deploys[] = {
        "{'code_version':'1','configuration':{'batch_size':'50%','failure_threshold':'40%'}}",
        "{'code_version':'2','configuration_version':'c2','selector':'zone',"
        "'configuration':{'on_failure':'pause','min_healthy_time':'3s'}}",
        "{'code_version':null,'configuration_version':'c1','reason':'only \\\"c\\\"',"
        "'configuration':{'on_failure':'abort','batch_size':3,'offline':'skip'}}",
        "{'code_version':'3','selector':'zone in (a,b)','configuration':{'batch_size':4,"
        "'mode':'barrier','on_leftover':'fail','leftover_timeout':'5s','dynamic':false}}",
    };
    char name[16];
    struct err err = { 0 };
    struct rollout *live = fleet_first_live(&kit->fleet);
    snprintf(name, sizeof name, "n%u", dice_roll(dice, 12));
    switch (dice_roll(dice, 16)) {
    case 0:
        if (!live)
            kit_deploy(kit, deploys[dice_roll(dice, 4)]);
        break;
    case 1:
        kit_begin(kit, 0);
        fleet_rollback(&kit->fleet, &(struct rollback_command){ .is_fast = true }, NULL, &err);
        break;
    case 2:
        kit_begin(kit, 0);
        if (live)
            fleet_verb(&kit->fleet, live,
                       &(struct verb_command){ .verb = dice_roll(dice, VERB_ROLLBACK) }, &live,
                       NULL, &err);
        break;
    case 3: kit_tick(kit, dice_roll(dice, 120000)); break;
    default:
        kit_begin(kit, dice_roll(dice, 2000));
        kit_beat(kit, name, beats[dice_roll(dice, sizeof beats / sizeof beats[0])]);
    }
}

static void settle(struct kit *kit)
{
    fleet_settle(&kit->fleet, fleet_end_round(&kit->fleet));
}

static void test_fleets_after_random_commands_survive_a_restart(void **state)
{
    unsigned lived = 0, ended = 0;
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct dice dice = { seed };
        struct kit kit, other;
        char body[80];
        kit_init(&kit);
        kit_init(&other);
        for (unsigned i = 0; i < 12; i++) {
            snprintf(body, sizeof body, "{'instance':{'name':'n%u','labels':{'zone':'%c'}}}", i,
                     "abc"[i % 3]);
            kit_register(&kit, body);
        }
        for (unsigned step = dice_roll(&dice, 300); step > 0; step--) {
            act(&kit, &dice);
            settle(&kit);
        }
        assert_same_after_loading(&kit, &other);
        lived += fleet_first_live(&kit.fleet) != NULL;
        ended += kit.fleet.rollout_count;
        kit_release(&other);
        kit_release(&kit);
    }
    assert_true(lived > 5 && ended > 60); /* the commands did something */
}

/* ---- records with every member at random ---------------------------------------------------- */

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
    inst->trail_count = (uint8_t)dice_roll(dice, LIMIT_TRAIL + 1);
    for (size_t i = 0; i < inst->trail_count; i++)
        inst->trail[i] = (struct trail_entry){ .rollout = random_number(dice),
                                               .previous = random_version(kit, dice) };
    inst->registered_at = random_time(dice);
    inst->changed_index = (uint64_t)random_time(dice);
    inst->generation = (uint32_t)dice_next(dice);
    inst->member_of = dice_roll(dice, 2) ? random_number(dice) : 0;
    inst->is_joiner = dice_roll(dice, 2);
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
    for (size_t i = 0; i < sizeof r->final / sizeof(uint32_t); i++)
        ((uint32_t *)(void *)&r->final)[i] =
            (uint32_t)(dice_next(dice) >> (32 + dice_roll(dice, 32)));
    return r;
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
        TEST(test_keys_sort_as_their_numbers_and_hide_no_slash),
        TEST(test_a_new_instance_is_a_small_record),
        TEST(test_a_nameless_instance_is_stored_under_its_address),
        TEST(test_a_member_in_flight_is_stored_with_its_order),
        TEST(test_a_rollout_is_stored_with_its_whole_configuration),
        TEST(test_a_fleet_in_mid_rollout_survives_a_restart),
        TEST(test_an_ended_rollout_keeps_its_final_counters),
        TEST(test_rollbacks_and_what_they_could_not_restore_are_kept),
        TEST(test_fleets_after_random_commands_survive_a_restart),
        TEST(test_random_instances_are_stored_without_loss),
        TEST(test_random_rollouts_are_stored_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
