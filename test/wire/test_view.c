/* SPDX-License-Identifier: Apache-2.0
 * test_view.c - what clients see of instances, the reply to a heartbeat, and problem documents. */
#include "wire/fleet_kit.h"
#include "wire/view.h"

static struct text instance(struct kit *kit, const char *key, bool with_trail)
{
    wire_write_instance(kit_writer(kit), &kit->fleet, kit_slot(kit, key), with_trail);
    return kit_written(kit);
}

/* ---- instances ------------------------------------------------------------------------------ */

static void test_a_new_instance_shows_what_is_absent_as_null(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'ip':'192.168.1.100'}}");

    kit_assert(
        kit, instance(kit, "192.168.1.100", false),
        "{'name':null,'ip':'192.168.1.100','labels':{},'status':0,'status_name':'UNKNOWN',"
        "'online':true,'offline_since':null,'last_seen':'2030-12-31T10:00:00.000Z',"
        "'registered_at':'2030-12-31T10:00:00.000Z','clock_skew_ms':0,"
        "'current_state':{'code_version':null,'configuration_version':null},"
        "'update_needed':false,'generation':0,"
        "'desired_state':{'code_version':null,'configuration_version':null},"
        "'deployment_id':null,'wave':null,'update_state':null,'attempt':null,'deadline_at':null,"
        "'cause':null,'message':''}");
}

static void test_a_member_in_flight_shows_its_order(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'name':'web','labels':{'role':'web','env':'p'}}}");
    kit_beat(kit, "web",
             "{'code_version':'1.0.0','configuration_version':'1.0.1','status':1,'message':'ok',"
             "'sent_at':'2030-12-31T10:00:00.012Z'}");
    kit_begin(kit, 1000);
    kit_deploy(kit, "{'code_version':'1.1.0'}");

    kit_assert(kit, instance(kit, "web", true),
               "{'name':'web','ip':null,'labels':{'env':'p','role':'web'},'status':1,"
               "'status_name':'HEALTHY','online':true,'offline_since':null,'last_seen':'2030-12-"
               "31T10:00:00.000Z',"
               "'registered_at':'2030-12-31T10:00:00.000Z','clock_skew_ms':12,"
               "'current_state':{'code_version':'1.0.0','configuration_version':'1.0.1'},"
               "'update_needed':true,'generation':1,"
               "'desired_state':{'code_version':'1.1.0','configuration_version':null},"
               "'deployment_id':'r-1','wave':'all','update_state':'in_progress','attempt':1,"
               "'deadline_at':'2030-12-31T10:10:01.000Z','cause':null,'message':'ok',"
               "'trail':[{'deployment_id':'r-1','previous_state':{'code_version':'1.0.0',"
               "'configuration_version':'1.0.1'}}]}");
}

static void test_the_earlier_of_the_deadlines_that_act_is_shown(void **state)
{
    struct kit *kit = *state;
    struct rollout *r;
    kit_register(kit, "{'instance':{'name':'a'}}");
    kit_beat(kit, "a", "{'code_version':'1','status':1}");
    r = kit_deploy(kit, "{'code_version':'2','configuration':{'min_healthy_time':'1m',"
                        "'on_failure':'abort'}}");
    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "'2030-12-31T10:10:00.000Z'");

    kit_begin(kit, 60000);
    kit_beat(kit, "a", "{'code_version':'2','status':2}"); /* on the target: 5m from now on */
    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "'2030-12-31T10:06:00.000Z'");

    kit_beat(kit, "a", "{'status':1}"); /* only min_healthy_time is waited for */
    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "null");

    kit_beat(kit, "a", "{'status':2}");
    kit_verb(kit, r, VERB_PAUSE, "");
    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "null");

    kit_verb(kit, r, VERB_RESUME, "");
    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "'2030-12-31T10:06:00.000Z'");

    kit_beat(kit, "a", "{'status':3}");
    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "null");
}

static void test_a_list_shows_each_as_it_is_shown_alone(void **state)
{
    struct kit *kit = *state;
    enum { COUNT = 60 };
    uint32_t slots[COUNT];
    char body[200];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(body, sizeof body,
                 "{'instance':{'name':'host-%02u','labels':{'env':'e%u','rack':'r%u'}}}", i, i % 3,
                 i / 20);
        slots[i] = kit_register(kit, body);
        snprintf(body, sizeof body, "host-%02u", i);
        if (i % 5 != 0)
            kit_beat(kit, body, i % 2 ? "{'code_version':'1'}" : "{'configuration_version':'c'}");
    }

    struct json_writer *w = kit_writer(kit);
    json_begin_list(w);
    wire_write_instances(w, &kit->fleet, slots, COUNT);
    json_end_list(w);

    struct text list = kit_written(kit);
    for (unsigned i = 0; i < COUNT; i++) {
        struct buffer alone;
        struct json_writer single;
        buffer_init(&alone, &memory_heap, 4096);
        json_writer_init(&single, &alone);
        wire_write_instance(&single, &kit->fleet, slots[i], false);
        list = text_skip(list, 1); /* a bracket or comma */
        assert_true(text_starts_with(list, buffer_text(&alone)));
        list = text_skip(list, alone.size);
        buffer_release(&alone);
    }
    assert_true(text_equal(list, TEXT("]")));
}

static void test_a_deadline_of_none_is_not_shown(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'name':'a'}}");
    kit_beat(kit, "a", "{'code_version':'1','status':1}");
    kit_deploy(kit, "{'code_version':'2','configuration':{'instance_deadline':'0s'}}");
    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "null");

    kit_beat(kit, "a", "{'code_version':'2','status':2}");

    kit_assert_at(kit, instance(kit, "a", false), "deadline_at", "'2030-12-31T10:05:00.000Z'");
}

static void test_a_failure_is_shown_with_its_cause_after_the_end_too(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'name':'a'}}");
    kit_beat(kit, "a", "{'code_version':'1','status':1}");
    kit_deploy(kit, "{'code_version':'2','configuration':{'on_failure':'abort'}}");

    kit_beat(kit, "a", "{'status':3,'message':'exit 1'}");

    struct text shown = instance(kit, "a", false);
    kit_assert_at(kit, shown, "update_state", "'failed'");
    kit_assert_at(kit, shown, "cause", "'reported'");
    kit_assert_at(kit, shown, "deployment_id", "'r-1'");
    kit_assert_at(kit, shown, "message", "'exit 1'");
    kit_assert_at(kit, shown, "update_needed", "false"); /* its wish was withdrawn */
}

static void test_a_member_that_waits_shows_nothing_of_older_orders(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'name':'a'}}");
    kit_register(kit, "{'instance':{'name':'b'}}");
    kit_beat(kit, "a", "{'code_version':'1','status':1}");
    kit_beat(kit, "b", "{'code_version':'1','status':1}");
    kit_deploy(kit, "{'code_version':'2','configuration':{'batch_size':2}}");
    kit_beat(kit, "a", "{'code_version':'2'}");
    kit_beat(kit, "b", "{'code_version':'2'}");

    kit_deploy(kit, "{'code_version':'3'}");

    struct text shown = instance(kit, "b", false);
    kit_assert_at(kit, shown, "deployment_id", "'r-2'");
    kit_assert_at(kit, shown, "update_state", "'needing_update'");
    kit_assert_at(kit, shown, "attempt", "null");
    kit_assert_at(kit, shown, "cause", "null");
}

static void test_an_instance_that_fell_silent_is_not_online(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'name':'a'}}");

    kit_tick(kit, 3600000);

    kit_assert_at(kit, instance(kit, "a", false), "online", "false");
    kit_assert_at(kit, instance(kit, "a", false), "last_seen", "'2030-12-31T10:00:00.000Z'");
}

/* ---- parts ---------------------------------------------------------------------------------- */

static void test_a_selector_is_a_map_as_far_as_it_can_be(void **state)
{
    struct kit *kit = *state;
    struct selector selector;
    assert_true(selector_parse(TEXT("env=prod,a in (x),!old,zone in (a,b),k!=v,t,role=\"a b\""),
                               NULL, 0, &kit->arena, &selector, NULL));

    wire_write_selector_labels(kit_writer(kit), &selector);

    kit_assert(kit, kit_written(kit), "{'a':'x','env':'prod','role':'a b'}");
}

static void test_a_contradiction_gives_no_key_twice(void **state)
{
    struct kit *kit = *state;
    struct selector selector;
    assert_true(selector_parse(TEXT("env=a,env=b"), NULL, 0, &kit->arena, &selector, NULL));

    wire_write_selector_labels(kit_writer(kit), &selector);

    kit_assert(kit, kit_written(kit), "{'env':'a'}");
}

static void test_verbs_are_listed_by_their_words(void **state)
{
    struct kit *kit = *state;

    wire_write_verbs(kit_writer(kit), 0);
    kit_assert(kit, kit_written(kit), "[]");

    wire_write_verbs(kit_writer(kit), 1u << VERB_PAUSE | 1u << VERB_ABORT | 1u << VERB_ROLLBACK);
    kit_assert(kit, kit_written(kit), "['pause','abort','rollback']");
}

/* ---- the reply to a heartbeat --------------------------------------------------------------- */

static void test_the_reply_tells_what_to_run(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'name':'a'}}");
    kit_beat(kit, "a", "{'code_version':'1','configuration_version':'c','status':1}");
    kit_deploy(kit, "{'code_version':'2'}");
    struct wire_reply reply = { .slot = kit_slot(kit, "a"),
                                .next_heartbeat_ms = 1900,
                                .server_time = KIT_START + 5,
                                .term = 3 };

    wire_write_heartbeat_reply(kit_writer(kit), &kit->fleet, &reply);

    kit_assert(kit, kit_written(kit),
               "{'instance':'a',"
               "'current_state':{'code_version':'1','configuration_version':'c'},"
               "'desired_state':{'code_version':'2','configuration_version':null},"
               "'update_needed':true,'deployment_id':'r-1','attempt':1,'generation':1,"
               "'next_heartbeat_ms':1900,'server_time':'2030-12-31T10:00:00.005Z',"
               "'warnings':[],'message':'run the desired state','term':3}");
}

static void test_the_reply_names_what_was_ignored(void **state)
{
    struct kit *kit = *state;
    kit_register(kit, "{'instance':{'ip':'::1'}}");
    struct json_warnings warnings = { .count = 1, .list = { TEXT("/x was ignored") } };
    struct wire_reply reply = { .slot = kit_slot(kit, "::1"),
                                .server_time = KIT_START,
                                .warnings = &warnings,
                                .labels_were_ignored = true };

    wire_write_heartbeat_reply(kit_writer(kit), &kit->fleet, &reply);

    struct text written = kit_written(kit);
    kit_assert_at(kit, written, "instance", "'::1'");
    kit_assert_at(kit, written, "deployment_id", "null");
    kit_assert_at(kit, written, "update_needed", "false");
    kit_assert_at(kit, written, "warnings",
                  "['/x was ignored','/labels was ignored: the setting agent_labels is ignore']");
    kit_assert_at(kit, written, "message", "'nothing to do'");
}

static void test_warnings_that_did_not_fit_are_counted(void **state)
{
    struct kit *kit = *state;
    struct json_warnings warnings = { .more = 2 };
    for (unsigned i = 0; i < JSON_WARNINGS_MAX; i++)
        warnings.list[warnings.count++] = TEXT("w");
    kit_register(kit, "{'instance':{'name':'a'}}");

    wire_write_heartbeat_reply(kit_writer(kit), &kit->fleet,
                               &(struct wire_reply){ .slot = kit_slot(kit, "a"),
                                                     .server_time = KIT_START,
                                                     .warnings = &warnings,
                                                     .labels_were_ignored = true });

    kit_assert_at(kit, kit_written(kit), "warnings.8", "'and 3 more'");
}

/* ---- problems ------------------------------------------------------------------------------- */

static struct text problem(struct kit *kit, const struct err *err,
                           const struct wire_conflict *extra, struct text path)
{
    buffer_clear(&kit->out);
    wire_write_problem(&kit->out, err, extra, path);
    return kit_written(kit);
}

static void test_a_problem_says_where_what_and_whether_to_try_again(void **state)
{
    struct err err = { 0 };
    err_set_at(&err, ERR_INVALID, "/configuration/batch_size", "must be \"more\"");

    kit_assert(*state, problem(*state, &err, NULL, TEXT("/deploy")),
               "{'type':'/problems/invalid','title':'the request is wrong in itself',"
               "'status':400,'detail':'/configuration/batch_size: must be \\\"more\\\"',"
               "'instance':'/deploy','code':'invalid','retryable':false,"
               "'errors':[{'pointer':'/configuration/batch_size',"
               "'message':'must be \\\"more\\\"'}]}");
}

static void test_a_conflict_tells_the_state_and_what_is_allowed(void **state)
{
    struct err err = { 0 };
    struct wire_conflict extra = { .current_state = "PAUSED",
                                   .has_allowed_verbs = true,
                                   .allowed_verbs = 1u << VERB_RESUME | 1u << VERB_ABORT,
                                   .deployment = 42 };
    err_set(&err, ERR_IN_PROGRESS, "rollout r-42 is live");

    kit_assert(*state, problem(*state, &err, &extra, TEXT_NONE),
               "{'type':'/problems/rollout_in_progress','title':'another rollout is live',"
               "'status':409,'detail':'rollout r-42 is live','instance':null,"
               "'code':'rollout_in_progress','retryable':false,'errors':[],"
               "'current_state':'PAUSED','allowed_verbs':['resume','abort'],"
               "'deployment_id':'r-42'}");
}

static void test_what_does_not_apply_is_left_out_of_a_problem(void **state)
{
    struct err err = { 0 };
    struct wire_conflict extra = { .has_allowed_verbs = true };
    err_set(&err, ERR_STORE, "no space");

    struct text with = problem(*state, &err, &extra, TEXT("/x"));
    kit_assert_at(*state, with, "allowed_verbs", "[]");
    kit_assert_at(*state, with, "retryable", "true");
    kit_assert_at(*state, with, "status", "503");
    kit_assert_at(*state, with, "current_state", "missing");
    kit_assert_at(*state, with, "deployment_id", "missing");

    struct text without = problem(*state, &err, NULL, TEXT("/x"));
    kit_assert_at(*state, without, "allowed_verbs", "missing");
}

static void test_every_code_has_a_well_formed_problem(void **state)
{
    for (unsigned code = ERR_INVALID; code < ERR_CODE_COUNT; code++) {
        struct err err = { 0 };
        err_set(&err, code, "control \x01 and \xff bytes");
        kit_assert_at(*state, problem(*state, &err, NULL, TEXT("/x")), "detail",
                      "'control \\u0001 and \xef\xbf\xbd bytes'");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_instance_shows_what_is_absent_as_null),
        TEST(test_a_member_in_flight_shows_its_order),
        TEST(test_the_earlier_of_the_deadlines_that_act_is_shown),
        TEST(test_a_list_shows_each_as_it_is_shown_alone),
        TEST(test_a_deadline_of_none_is_not_shown),
        TEST(test_a_failure_is_shown_with_its_cause_after_the_end_too),
        TEST(test_a_member_that_waits_shows_nothing_of_older_orders),
        TEST(test_an_instance_that_fell_silent_is_not_online),
        TEST(test_a_selector_is_a_map_as_far_as_it_can_be),
        TEST(test_a_contradiction_gives_no_key_twice),
        TEST(test_verbs_are_listed_by_their_words),
        TEST(test_the_reply_tells_what_to_run),
        TEST(test_the_reply_names_what_was_ignored),
        TEST(test_warnings_that_did_not_fit_are_counted),
        TEST(test_a_problem_says_where_what_and_whether_to_try_again),
        TEST(test_a_conflict_tells_the_state_and_what_is_allowed),
        TEST(test_what_does_not_apply_is_left_out_of_a_problem),
        TEST(test_every_code_has_a_well_formed_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
