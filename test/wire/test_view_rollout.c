/* SPDX-License-Identifier: Apache-2.0
 * test_view_rollout.c - what clients see of a rollout at each point of its life. */
#include "wire/fleet_kit.h"
#include "wire/request.h"
#include "wire/view.h"

static struct text show(struct kit *kit, const struct rollout *r)
{
    wire_write_rollout(kit_writer(kit), &kit->fleet, r, 0);
    return kit_written(kit);
}

static void add_instances(struct kit *kit, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16], body[64];
        snprintf(name, sizeof name, "n%u", i);
        snprintf(body, sizeof body, "{'instance':{'name':'n%u','labels':{'env':'prod'}}}", i);
        kit_register(kit, body);
        kit_beat(kit, name, "{'code_version':'1','configuration_version':'c','status':1}");
    }
}

/* ---- the record ----------------------------------------------------------------------------- */

static void test_a_running_rollout_shows_everything(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 3);
    kit_begin(kit, 1000);

    struct rollout *r =
        kit_deploy(kit, "{'code_version':'2','lables':{'env':'prod'},'reason':'hotfix'}");
    r->revision = 9; /* how the core counts is its own business */

    kit_assert(kit, show(kit, r),
               "{'id':'r-1','status':1,'status_name':'RUNNING','outcome':null,'cause':null,"
               "'generation':2,'revision':9,"
               "'request':{'code_version':'2','configuration_version':null,'selector':'env=prod',"
               "'configuration':{'strategy':'rolling','batch_size':1,'mode':'window',"
               "'failure_threshold':1,'on_failure':'rollback','min_healthy_time':'0s',"
               "'instance_deadline':'10m','health_deadline':'5m','progress_deadline':'0s',"
               "'min_available':0,'domains':[],'dynamic':true,'offline':'wait',"
               "'leftover_timeout':'10m','on_leftover':'complete'},'reason':'hotfix'},"
               "'selector':'env=prod',"
               "'progress':{'total_instances':3,'pending_instances':2,'in_progress_instances':1,"
               "'completed_instances':0,'already_current_instances':0,'failed_instances':0,"
               "'offline_instances':0},"
               "'waves':[{'name':'all','state':'running','mode':'window','batch_limit':1,"
               "'failure_limit':1,'soak':'0s','opened_at':'2030-12-31T10:00:01.000Z',"
               "'passed_at':null,'soak_until':null,'gates':[],'progress':{'total_instances':3,"
               "'pending_instances':2,'in_progress_instances':1,'completed_instances':0,"
               "'already_current_instances':0,'failed_instances':0,'offline_instances':0}}],"
               "'domains':[],'domain_count':0,"
               "'waiting':[{'reason':'batch_full','message':'1 of 1 slots busy',"
               "'since':'2030-12-31T10:00:01.000Z','until':'2030-12-31T10:10:01.000Z'}],"
               "'available':2,'allowed_verbs':['pause','abort','rollback'],'created_by':'ana',"
               "'reason':'hotfix','created_at':'2030-12-31T10:00:01.000Z',"
               "'started_at':'2030-12-31T10:00:01.000Z','ended_at':null,'retry_of':null,"
               "'rollback_of':null,'restores':null,'rolled_back_by':null,'rollback_error':null,"
               "'unresolved':[],'failures':[]}");
}

static void test_a_completed_rollout_waits_for_nothing(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 1);
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    kit_beat(kit, "n0", "{'code_version':'2'}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "status", "2");
    kit_assert_at(kit, shown, "status_name", "'COMPLETED'");
    kit_assert_at(kit, shown, "outcome", "'full'");
    kit_assert_at(kit, shown, "waiting", "[]");
    kit_assert_at(kit, shown, "waves.0.state", "'passed'");
    kit_assert_at(kit, shown, "progress.completed_instances", "1");
    kit_assert_at(kit, shown, "available", "1");
    kit_assert_at(kit, shown, "selector", "''");
    kit_assert_at(kit, shown, "reason", "null");
    kit_assert_at(kit, shown, "ended_at", "'2030-12-31T10:00:00.000Z'");
}

static void test_the_request_can_be_sent_again_as_it_is_shown(void **state)
{
    struct kit *kit = *state;
    struct deploy_command again;
    struct err err = { 0 };
    add_instances(kit, 2);
    struct rollout *r =
        kit_deploy(kit, "{'code_version':null,'configuration_version':'d','reason':null,"
                        "'selector':'env in (prod,\\\"a,b\\\")','labels':{'env':'prod'},"
                        "'configuration':{'batch_size':'30%','failure_threshold':7,"
                        "'min_healthy_time':'90s','on_failure':'pause','dynamic':false}}");

    wire_write_request(kit_writer(kit), &kit->fleet, r);
    struct text body = kit_written(kit);

    if (!wire_read_deploy(body, &kit->arena, &again, &err))
        fail_msg("%s at \"%s\": %.*s", err.text, err.pointer, TEXT_ARG(body));
    assert_int_equal(again.code.size, 0);
    assert_text(again.config, "d");
    assert_true(selector_equal(&again.selector, &r->selector));
    assert_memory_equal(&again.rollout, &r->config, sizeof r->config);
}

static void test_a_failed_rollout_and_its_rollback_name_each_other(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 2);
    struct rollout *first = kit_deploy(kit, "{'code_version':'1','configuration_version':'c'}");
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    kit_beat(kit, "n0", "{'status':3,'message':'port 80 in use'}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "status_name", "'FAILED'");
    kit_assert_at(kit, shown, "cause", "'threshold'");
    kit_assert_at(kit, shown, "waves.0.state", "'failed'");
    kit_assert_at(kit, shown, "rolled_back_by", "'r-3'");
    kit_assert_at(kit, shown, "failures",
                  "[{'instance':'n0','cause':'reported','message':'port 80 in use'}]");
    struct text undo = show(kit, fleet_rollout(&kit->fleet, 3));
    kit_assert_at(kit, undo, "rollback_of", "'r-2'");
    kit_assert_at(kit, undo, "restores", "'r-1'");
    kit_assert_at(kit, undo, "status_name", "'RUNNING'");
    kit_assert_at(kit, undo, "failures", "[]");
    assert_int_equal(first->state, ROLLOUT_COMPLETED);
}

static void test_a_rollback_without_a_target_says_so(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'name':'a'}}");
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    kit_beat(kit, "a", "{'status':3}");

    kit_assert_at(kit, show(kit, r), "rollback_error", "'no_target'");
    kit_assert_at(kit, show(kit, r), "rolled_back_by", "null");
}

static void test_instances_that_cannot_be_restored_are_listed(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 1);
    kit_register(kit, "{'instance':{'name':'new','labels':{'env':'prod'}}}");
    kit_deploy(kit, "{'code_version':'2','configuration':{'batch_size':5}}");

    struct rollout *undo = kit_rollback(kit, "");

    kit_assert_at(kit, show(kit, undo), "unresolved", "['new']");
}

static void test_a_retry_names_what_it_repeats(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 1);
    struct rollout *r =
        kit_deploy(kit, "{'code_version':'2','configuration':{'on_failure':'abort'}}");
    kit_beat(kit, "n0", "{'status':3}");

    kit_verb(kit, r, VERB_RETRY, "{'reason':'once more'}");

    kit_assert_at(kit, show(kit, fleet_rollout(&kit->fleet, 2)), "retry_of", "'r-1'");
    kit_assert_at(kit, show(kit, fleet_rollout(&kit->fleet, 2)), "reason", "'once more'");
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void test_a_pause_is_what_is_waited_for(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 2);
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    kit_verb(kit, r, VERB_PAUSE, "");

    kit_assert_at(kit, show(kit, r), "waiting",
                  "[{'reason':'paused','message':'an operator paused it; resume it to go on',"
                  "'since':'2030-12-31T10:00:00.000Z','until':null}]");
    kit_assert_at(kit, show(kit, r), "waves.0.state", "'paused'");
    kit_assert_at(kit, show(kit, r), "allowed_verbs", "['resume','abort','rollback']");
}

static void test_a_pause_by_a_breach_says_so(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 2);
    struct rollout *r =
        kit_deploy(kit, "{'code_version':'2','configuration':{'on_failure':'pause'}}");

    kit_beat(kit, "n0", "{'status':3}");

    kit_assert_at(kit, show(kit, r), "waiting.0.message",
                  "'too many members failed; resume it to go on, or roll it back'");
}

static void test_a_barrier_and_settling_members_are_named(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 3);
    struct rollout *r = kit_deploy(kit, "{'code_version':'2','configuration':{'batch_size':2,"
                                        "'mode':'barrier','min_healthy_time':'30s'}}");

    kit_beat(kit, "n0", "{'code_version':'2'}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "waiting.0.message", "'2 of 2 slots busy'");
    kit_assert_at(kit, shown, "waiting.1.reason", "'barrier'");
    kit_assert_at(kit, shown, "waiting.1.message",
                  "'the next batch starts when 2 members of this one are done'");
    kit_assert_at(kit, shown, "waiting.2.reason", "'min_healthy_time'");
    kit_assert_at(
        kit, shown, "waiting.2.message",
        "'1 of 2 members in progress are HEALTHY on the target and must stay so for 30s'");
    kit_assert_at(kit, shown, "waiting.2.until", "'2030-12-31T10:00:30.000Z'");
}

static void test_nobody_else_to_pick_is_said(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 2);

    struct rollout *r = kit_deploy(kit, "{'code_version':'2','configuration':{'batch_size':5}}");

    kit_assert_at(kit, show(kit, r), "waiting.0.message",
                  "'2 of 5 slots busy; nobody else needs the update'");
}

static void test_silent_and_failed_leftovers_are_counted(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 3);
    kit_tick(kit, 3600000);
    kit_beat(kit, "n0", "{}");
    kit_beat(kit, "n1", "{}");
    struct rollout *r = kit_deploy(
        kit, "{'code_version':'2','configuration':{'batch_size':2,'failure_threshold':2}}");
    kit_assert_at(kit, show(kit, r), "waiting.1.reason", "'offline'");
    kit_assert_at(kit, show(kit, r), "waiting.1.message",
                  "'1 of 3 members need the update and are offline'");

    kit_beat(kit, "n0", "{'code_version':'2'}");
    kit_beat(kit, "n1", "{'status':3}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "waiting.0.reason", "'offline'");
    kit_assert_at(kit, shown, "waiting.1.reason", "'leftover'");
    kit_assert_at(kit, shown, "waiting.1.message",
                  "'1 failed and 1 offline members may still recover, return or be retried'");
    kit_assert_at(kit, shown, "waiting.1.until", "'2030-12-31T11:10:00.000Z'");
}

static void test_a_store_that_fails_comes_first(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 2);
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    wire_write_rollout(kit_writer(kit), &kit->fleet, r, KIT_START + 7);

    struct text shown = kit_written(kit);
    kit_assert_at(kit, shown, "waiting.0",
                  "{'reason':'store','message':'the store does not accept writes now',"
                  "'since':'2030-12-31T10:00:00.007Z','until':null}");
    kit_assert_at(kit, shown, "waiting.1.reason", "'batch_full'");
}

static void test_a_view_left_open_takes_more_members(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 1);
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    struct json_writer *w = kit_writer(kit);
    wire_write_rollout_open(w, &kit->fleet, r, 0);
    json_put_i64(w, "more", 1);
    json_end_object(w);

    kit_assert_at(kit, kit_written(kit), "more", "1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_running_rollout_shows_everything),
        TEST(test_a_completed_rollout_waits_for_nothing),
        TEST(test_the_request_can_be_sent_again_as_it_is_shown),
        TEST(test_a_failed_rollout_and_its_rollback_name_each_other),
        TEST(test_a_rollback_without_a_target_says_so),
        TEST(test_instances_that_cannot_be_restored_are_listed),
        TEST(test_a_retry_names_what_it_repeats),
        TEST(test_a_pause_is_what_is_waited_for),
        TEST(test_a_pause_by_a_breach_says_so),
        TEST(test_a_barrier_and_settling_members_are_named),
        TEST(test_nobody_else_to_pick_is_said),
        TEST(test_silent_and_failed_leftovers_are_counted),
        TEST(test_a_store_that_fails_comes_first),
        TEST(test_a_view_left_open_takes_more_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
