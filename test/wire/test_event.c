/* SPDX-License-Identifier: Apache-2.0
 * test_event.c - what each type of journal entry says. */
#include "wire/event.h"
#include "wire/fleet_kit.h"
#include "wire/record.h"

/* The newest entry of the present command with that type. Every entry must have a head that can be
 * read, and be whole JSON. */
static struct text entry(struct kit *kit, enum change_type type)
{
    struct text found = TEXT_NONE;
    for (uint32_t i = 0; i < kit->fleet.change_count; i++) {
        const struct change *change = &kit->fleet.changes[i];
        struct wire_event_head head;
        struct buffer key;
        uint64_t index = 0;
        kit_writer(kit);
        wire_write_event(&kit->out, &kit->fleet, change, kit->fleet.now);
        struct text json = kit_written(kit);
        buffer_init(&key, &memory_heap, 100);
        wire_event_key(&key, change->index);
        assert_true(
            wire_read_event_head(buffer_text(&key), json, &kit->arena, &index, &head, NULL));
        buffer_release(&key);
        assert_true(index == change->index);
        assert_int_equal(head.type, change->type);
        assert_int_equal(head.rollout, change->rollout);
        if (change->type == type)
            found = json;
    }
    if (found.size == 0)
        fail_msg("no %s", change_word(type));
    return found;
}

static void add(struct kit *kit, const char *name)
{
    char body[80];
    snprintf(body, sizeof body, "{'instance':{'name':'%s','ip':'::1','labels':{'env':'p'}}}", name);
    kit_register(kit, body);
}

static void add_running(struct kit *kit, const char *name)
{
    add(kit, name);
    kit_beat(kit, name, "{'code_version':'1','configuration_version':'c','status':1}");
}

/* ---- instances ------------------------------------------------------------------------------ */

static void test_a_registration_tells_address_and_labels(void **state)
{
    struct kit *kit = *state;

    add(kit, "a");

    kit_assert(kit, entry(kit, CHANGE_REGISTERED),
               "{'index':1,'type':'instance.registered','deployment_id':null,"
               "'labels':{'env':'p'},'selector':null,'instance':'a','time':'2030-12-31T10:00:00."
               "000Z','actor':'ana','reason':null,'old':{},"
               "'new':{'ip':'::1','labels':{'env':'p'}}}");
}

static void test_a_report_tells_only_what_it_changed(void **state)
{
    struct kit *kit = *state;
    add(kit, "a");

    kit_beat(kit, "a", "{'code_version':'1','status':1}");
    struct text first = entry(kit, CHANGE_UPDATED);
    kit_assert_at(kit, first, "old",
                  "{'status':0,'status_name':'UNKNOWN',"
                  "'current_state':{'code_version':null,'configuration_version':null}}");
    kit_assert_at(kit, first, "new",
                  "{'status':1,'status_name':'HEALTHY',"
                  "'current_state':{'code_version':'1','configuration_version':null}}");

    kit_beat(kit, "a", "{'code_version':'1','labels':{'zone':'b'},'message':'moved'}");
    struct text second = entry(kit, CHANGE_UPDATED);
    kit_assert_at(kit, second, "old", "{'labels':{'env':'p'}}");
    kit_assert_at(kit, second, "new", "{'labels':{'env':'p','zone':'b'},'message':'moved'}");

    kit_beat(kit, "a", "{'message':'still'}");
    struct text third = entry(kit, CHANGE_UPDATED);
    kit_assert_at(kit, third, "old", "{}");
    kit_assert_at(kit, third, "new", "{'ip':'::1','message':'still'}");
}

static void test_silence_and_return_tell_the_presence(void **state)
{
    struct kit *kit = *state;
    struct err err = { 0 };
    add(kit, "a");

    kit_begin(kit, 3600000);
    fleet_tick(&kit->fleet, &err);
    kit_assert_at(kit, entry(kit, CHANGE_OFFLINE), "old", "{'online':true}");
    kit_assert_at(kit, entry(kit, CHANGE_OFFLINE), "new", "{'online':false}");

    kit_beat(kit, "a", "{}");
    kit_assert_at(kit, entry(kit, CHANGE_ONLINE), "old", "{'online':false}");
    kit_assert_at(kit, entry(kit, CHANGE_ONLINE), "new", "{'online':true}");
}

static void test_a_deletion_tells_what_was_lost(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    kit_begin(kit, 0);

    assert_true(fleet_delete(&kit->fleet, kit_slot(kit, "a"), NULL));

    kit_assert_at(kit, entry(kit, CHANGE_DELETED), "instance", "'a'");
    kit_assert_at(kit, entry(kit, CHANGE_DELETED), "old",
                  "{'ip':'::1','labels':{'env':'p'},"
                  "'current_state':{'code_version':'1','configuration_version':'c'}}");
    kit_assert_at(kit, entry(kit, CHANGE_DELETED), "new", "{}");
}

/* ---- members -------------------------------------------------------------------------------- */

static void test_a_pick_tells_the_old_wish_and_the_new(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");

    kit_deploy(kit, "{'code_version':'2','configuration_version':'d'}");

    struct text e = entry(kit, CHANGE_PICKED);
    kit_assert_at(kit, e, "deployment_id", "'r-1'");
    kit_assert_at(kit, e, "instance", "'a'");
    kit_assert_at(kit, e, "old",
                  "{'desired_state':{'code_version':null,'configuration_version':null}}");
    kit_assert_at(kit, e, "new",
                  "{'desired_state':{'code_version':'2','configuration_version':'d'},"
                  "'attempt':1,'deadline_at':'2030-12-31T10:10:00.000Z'}");
}

static void test_a_completed_member_tells_what_it_runs(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    kit_deploy(kit, "{'code_version':'2'}");

    kit_beat(kit, "a", "{'code_version':'2'}");

    kit_assert_at(kit, entry(kit, CHANGE_COMPLETED), "new",
                  "{'update_state':'completed',"
                  "'current_state':{'code_version':'2','configuration_version':'c'}}");
}

static void test_a_failed_member_tells_why(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    kit_deploy(kit, "{'code_version':'2','configuration':{'on_failure':'abort'}}");

    kit_beat(kit, "a", "{'status':3,'message':'exit 1'}");

    kit_assert_at(kit, entry(kit, CHANGE_FAILED), "deployment_id", "'r-1'");
    kit_assert_at(kit, entry(kit, CHANGE_FAILED), "new",
                  "{'update_state':'failed','cause':'reported','status':3,'status_name':'FAILED',"
                  "'current_state':{'code_version':'1','configuration_version':'c'},"
                  "'message':'exit 1'}");
}

/* The same command starts the rollback, which resets the status. */
static void test_what_failed_is_told_as_it_was_before_its_rollback(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    kit_deploy(kit, "{'code_version':'2'}");

    kit_beat(kit, "a", "{'status':3,'message':'exit 1'}");

    kit_assert_at(kit, entry(kit, CHANGE_FAILED), "new.status_name", "'FAILED'");
    kit_assert_at(kit, entry(kit, CHANGE_UPDATED), "old.status_name", "'FAILED'");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLBACK_STARTED), "new.rollback_of", "'r-1'");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLBACK_STARTED), "actor", "'server'");
}

static void test_joining_and_leaving_are_told(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    kit_deploy(kit, "{'code_version':'2','labels':{'env':'p'}}");

    add(kit, "b");
    kit_assert_at(kit, entry(kit, CHANGE_JOINED), "instance", "'b'");
    kit_assert_at(kit, entry(kit, CHANGE_JOINED), "new", "{'update_state':'needing_update'}");

    kit_beat(kit, "b", "{'labels':{'env':null}}");
    kit_assert_at(kit, entry(kit, CHANGE_LEFT), "deployment_id", "'r-1'");
    kit_assert_at(kit, entry(kit, CHANGE_LEFT), "old", "{}");
    kit_assert_at(kit, entry(kit, CHANGE_LEFT), "new", "{}");
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static void test_a_new_rollout_tells_what_was_asked_for(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");

    kit_deploy(kit, "{'code_version':'2','labels':{'env':'p'},'reason':'fix'}");

    struct text created = entry(kit, CHANGE_ROLLOUT_CREATED);
    kit_assert_at(kit, created, "instance", "null");
    kit_assert_at(kit, created, "reason", "'fix'");
    kit_assert_at(kit, created, "old", "{}");
    kit_assert_at(kit, created, "new",
                  "{'status':0,'status_name':'UNKNOWN','selector':'env=p','code_version':'2',"
                  "'configuration_version':null,'retry_of':null,'rollback_of':null}");
    struct text started = entry(kit, CHANGE_ROLLOUT_STARTED);
    kit_assert_at(kit, started, "old", "{'status':0,'status_name':'UNKNOWN'}");
    kit_assert_at(kit, started, "new.status_name", "'RUNNING'");
}

static void test_verbs_tell_the_states_on_both_sides(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    kit_verb(kit, r, VERB_PAUSE, "{'reason':'lunch'}");
    kit_assert(kit, entry(kit, CHANGE_ROLLOUT_PAUSED),
               "{'index':6,'type':'rollout.paused','deployment_id':'r-1','labels':null,"
               "'selector':'','instance':null,'time':'2030-12-31T10:00:00.000Z','actor':'ana','"
               "reason':'lunch',"
               "'old':{'status':1,'status_name':'RUNNING'},"
               "'new':{'status':4,'status_name':'PAUSED','cause':null,'outcome':null,"
               "'progress':{'total_instances':1,'pending_instances':0,"
               "'in_progress_instances':1,'completed_instances':0,"
               "'already_current_instances':0,'failed_instances':0,'offline_instances':0}}}");

    kit_verb(kit, r, VERB_RESUME, "");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_RESUMED), "old.status_name", "'PAUSED'");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_RESUMED), "new.status_name", "'RUNNING'");

    kit_verb(kit, r, VERB_ABORT, "");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_FAILED), "new.cause", "'aborted'");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_FAILED), "new.status", "3");
}

static void test_a_retry_leaves_the_state_as_it_is(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    add_running(kit, "b");
    struct rollout *r = kit_deploy(kit, "{'code_version':'2','configuration':"
                                        "{'failure_threshold':5}}");
    kit_beat(kit, "a", "{'status':3}");

    kit_verb(kit, r, VERB_RETRY, "");

    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_RETRIED), "old.status_name", "'RUNNING'");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_RETRIED), "new.status_name", "'RUNNING'");
}

static void test_the_end_of_a_rollout_tells_outcome_and_counters(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    kit_deploy(kit, "{'code_version':'2'}");

    kit_beat(kit, "a", "{'code_version':'2'}");

    struct text e = entry(kit, CHANGE_ROLLOUT_COMPLETED);
    kit_assert_at(kit, e, "new.outcome", "'full'");
    kit_assert_at(kit, e, "new.status", "2");
    kit_assert_at(kit, e, "new.progress.completed_instances", "1");
    kit_assert_at(kit, e, "reason", "null");
}

static void test_a_rollback_tells_what_it_undoes(void **state)
{
    struct kit *kit = *state;
    add_running(kit, "a");
    kit_deploy(kit, "{'code_version':'2'}");

    kit_beat(kit, "a", "{'status':3}");

    struct text e = entry(kit, CHANGE_ROLLBACK_STARTED);
    kit_assert_at(kit, e, "deployment_id", "'r-2'");
    kit_assert_at(kit, e, "reason", "'automatic: the rollout failed'");
    kit_assert_at(kit, e, "old", "{}");
    kit_assert_at(kit, e, "new", "{'rollback_of':'r-1','restores':null,'unresolved':0}");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_FAILED), "new.cause", "'threshold'");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_registration_tells_address_and_labels),
        TEST(test_a_report_tells_only_what_it_changed),
        TEST(test_silence_and_return_tell_the_presence),
        TEST(test_a_deletion_tells_what_was_lost),
        TEST(test_a_pick_tells_the_old_wish_and_the_new),
        TEST(test_a_completed_member_tells_what_it_runs),
        TEST(test_a_failed_member_tells_why),
        TEST(test_what_failed_is_told_as_it_was_before_its_rollback),
        TEST(test_joining_and_leaving_are_told),
        TEST(test_a_new_rollout_tells_what_was_asked_for),
        TEST(test_verbs_tell_the_states_on_both_sides),
        TEST(test_a_retry_leaves_the_state_as_it_is),
        TEST(test_the_end_of_a_rollout_tells_outcome_and_counters),
        TEST(test_a_rollback_tells_what_it_undoes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
