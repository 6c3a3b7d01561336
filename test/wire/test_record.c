/* SPDX-License-Identifier: Apache-2.0
 * test_record.c - what is stored can be loaded, and storing it again gives the same bytes. */
#include "base/dice.h"
#include "base/limits.h"
#include "core/place.h"
#include "core/waves.h"
#include "wire/stored.h"

/* ---- loading -------------------------------------------------------------------------------- */

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

static void settle(struct kit *kit)
{
    fleet_settle(&kit->fleet, fleet_end_round(&kit->fleet));
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
        "'progressed_at':1924941601000,'waves':[{'opened_at':1924941601000}],"
        "'wave_state':'running'}");
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

static void test_what_failed_members_said_is_kept_after_their_rollback(void **state)
{
    struct kit *kit = *state, other;
    kit_register(kit, "{'instance':{'name':'a'}}");
    kit_beat(kit, "a", "{'code_version':'1','status':1}");
    kit_deploy(kit, "{'code_version':'2'}");
    kit_beat(kit, "a", "{'status':3,'message':'exit \\u0022 1'}");
    kit_beat(kit, "a", "{'status':1,'message':'well again'}");
    kit_init(&other);

    assert_same_after_loading(kit, &other);

    const struct rollout *r = fleet_rollout(&other.fleet, 1);
    assert_int_equal(r->failure_count, 1);
    assert_text(r->failures[0].key, "a");
    assert_text(r->failures[0].message, "exit \" 1");
    assert_int_equal(r->failures[0].cause, CAUSE_REPORTED);
    assert_int_equal(fleet_rollout(&other.fleet, 2)->failure_count, 0);
    kit_release(&other);
}

/* Ten members, of which the first two are the canary. */
static struct rollout *start_canary(struct kit *kit, const char *configuration)
{
    struct sentence body;
    for (unsigned i = 0; i < 10; i++) {
        sentence_init(&body);
        buffer_printf(&body.buffer, "{'instance':{'name':'n%u','labels':{'zone':'%c'}}}", i,
                      "ab"[i % 2]);
        kit_register(kit, buffer_c_string(&body.buffer));
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        kit_beat(kit, name, "{'code_version':'1','status':1}");
    }
    sentence_init(&body);
    buffer_printf(&body.buffer, "{'code_version':'2','configuration':{%s}}", configuration);
    return kit_deploy(kit, buffer_c_string(&body.buffer));
}

#define CANARY                                                                                     \
    "'strategy':'canary','batch_size':4,'min_available':2,'domains':[{'label':'zone',"             \
    "'max_in_progress':2}],'canary':{'size':2,'soak':'10m','gates':[{'name':'a','type':'manual',"  \
    "'timeout':'1h'}]}"

static void complete(struct kit *kit, const char *name)
{
    kit_beat(kit, name, "{'code_version':'2','status':1}");
}

static void assert_survives(struct kit *kit, const char *reason)
{
    struct kit other;
    struct waiting list[WAITING_REASON_COUNT];
    kit_init(&other);
    settle(kit);

    assert_same_after_loading(kit, &other);

    const struct rollout *r = fleet_first_live(&other.fleet);
    assert_non_null(r);
    assert_true(waiting_list(&other.fleet, r, list) > 0);
    assert_string_equal(waiting_word(list[0].reason), reason);
    kit_release(&other);
}

/* Everybody is heard, lest the fleet counts as silent and stands still. */
static void pass_minutes(struct kit *kit, unsigned minutes)
{
    char name[8];
    for (unsigned i = 0; i < minutes * 10; i++) {
        if (i % 10 == 0)
            kit_tick(kit, 60000);
        snprintf(name, sizeof name, "n%u", i % 10);
        kit_beat(kit, name, "{}");
    }
}

static void test_each_stage_of_a_canary_survives_a_restart(void **state)
{
    struct kit *kit = *state;
    struct rollout *r = start_canary(kit, CANARY);

    assert_survives(kit, "batch_full");
    complete(kit, "n0");
    assert_survives(kit, "batch_full");
    complete(kit, "n1");
    assert_survives(kit, "soak");
    kit_verb(kit, r, VERB_PROMOTE, "");
    assert_survives(kit, "gate");
    kit_verb(kit, r, VERB_PAUSE, "");
    kit_begin(kit, 5000);
    assert_survives(kit, "paused");
    kit_verb(kit, r, VERB_RESUME, "");
    pass_minutes(kit, 61);
    assert_survives(kit, "paused"); /* undecided in time */
    kit_verb(kit, r, VERB_RESUME, "");
    kit_verb(kit, r, VERB_PROMOTE, "");
    assert_survives(kit, "batch_full");
    kit_rollback(kit, "{'fast':false}");
    assert_survives(kit, "batch_full");
}

static void test_a_frozen_fleet_is_frozen_after_a_restart(void **state)
{
    struct kit *kit = *state, other;
    struct rollout *r = start_canary(kit, CANARY);
    for (unsigned i = 0; i < 10; i++)
        kit_tick(kit, 10000);
    assert_true(silence_is_frozen(&kit->fleet));
    assert_true(r->frozen_at != 0 && r->stopped_at != 0);
    settle(kit);
    kit_init(&other);

    assert_same_after_loading(kit, &other);

    assert_true(silence_is_frozen(&other.fleet));
    assert_int_equal(other.fleet.silence.fallen, kit->fleet.silence.fallen);
    assert_int_equal(other.fleet.silence.missing, kit->fleet.silence.missing);
    kit_release(&other);
}

/* What a version of dides without waves wrote. */
static void test_a_record_from_before_there_were_waves_has_one(void **state)
{
    static const char request[] = "'request':{'code_version':'2','configuration':{}},'selector':''";
    static const struct {
        const char *status, *more;
        enum wave_state wave;
    } list[] = {
        { "RUNNING", "'started_at':8,'progressed_at':8", WAVE_RUNNING },
        { "PAUSED", "'started_at':8,'paused_at':9,'progressed_at':8", WAVE_RUNNING },
        { "COMPLETED", "'started_at':8,'ended_at':9,'progressed_at':8", WAVE_PASSED },
        { "FAILED", "'started_at':8,'ended_at':9,'progressed_at':8", WAVE_RUNNING },
    };
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct kit kit;
        struct sentence json;
        struct err err = { 0 };
        kit_init(&kit);
        sentence_init(&json);
        buffer_printf(&json.buffer,
                      "{'id':'r-1','status':'%s','generation':2,'revision':3,'started_index':1,%s,"
                      "'progress':{'total_instances':0},'created_at':5,%s}",
                      list[i].status, request, list[i].more);
        struct stored s = { TEXT("rollout/00000001"),
                            kit_quote(&kit, buffer_c_string(&json.buffer)) };

        load(&kit, &s);
        if (!fleet_finish_loading(&kit.fleet, kit.fleet.now, 0, &err) ||
            place_check(&kit.fleet, &err) != 0)
            fail_msg("%s", err.text);

        const struct rollout *r = fleet_rollout(&kit.fleet, 1);
        assert_int_equal(r->wave_count, 1);
        assert_int_equal(wave_state_at(r, 0), list[i].wave);
        assert_int_equal(r->waves[0].opened_at, 8);
        assert_int_equal(r->stopped_at, r->paused_at);
        kit_release(&kit);
    }
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
        "{'code_version':'1','configuration':{'strategy':'canary','batch_size':4,"
        "'failure_threshold':4,'canary':{'size':'20%','soak':'20s','gates':["
        "{'name':'ok','type':'manual'},{'name':'b','type':'manual','timeout':'30s'}]}}}",
        "{'code_version':'2','configuration':{'strategy':'waves','batch_size':3,"
        "'failure_threshold':'50%','min_available':2,"
        "'domains':[{'label':'zone','max_in_progress':2,'max_failed':3}],'waves':["
        "{'size':1,'soak':'1s'},{'percent':30,'batch_size':1,'gates':[{'name':'g',"
        "'type':'manual','timeout':'9s','inconclusive':'pass'}]},{'name':'last'}]}}",
    };
    char name[16];
    struct err err = { 0 };
    struct rollout *live = fleet_first_live(&kit->fleet);
    snprintf(name, sizeof name, "n%u", dice_roll(dice, 12));
    switch (dice_roll(dice, 16)) {
    case 0:
        if (!live)
            kit_deploy(kit, deploys[dice_roll(dice, sizeof deploys / sizeof deploys[0])]);
        break;
    case 1:
        kit_begin(kit, 0);
        fleet_rollback(&kit->fleet, &(struct rollback_command){ .is_fast = true }, NULL, &err);
        break;
    case 2:
        kit_begin(kit, 0);
        if (live)
            fleet_verb(&kit->fleet, live,
                       &(struct verb_command){ .verb = dice_roll(dice, VERB_ROLLBACK),
                                               .is_full = dice_roll(dice, 4) == 0 },
                       &live, NULL, &err);
        break;
    case 3: kit_tick(kit, dice_roll(dice, 120000)); break;
    default:
        kit_begin(kit, dice_roll(dice, 2000));
        kit_beat(kit, name, beats[dice_roll(dice, sizeof beats / sizeof beats[0])]);
    }
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
        TEST(test_what_failed_members_said_is_kept_after_their_rollback),
        TEST(test_each_stage_of_a_canary_survives_a_restart),
        TEST(test_a_frozen_fleet_is_frozen_after_a_restart),
        TEST(test_a_record_from_before_there_were_waves_has_one),
        TEST(test_fleets_after_random_commands_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
