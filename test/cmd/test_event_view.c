/* SPDX-License-Identifier: Apache-2.0
 * test_event_view.c - the sentence of every type of event, of those that are not known, and of
 * events with parts missing. */
#include "kit.h"

#include "base/cleanup.h"
#include "cmd/event_view.h"
#include "core/change.h"

static void says(const char *type, const char *json, const char *wanted)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    struct arena arena;
    const struct json_node *event = NULL;
    struct err err = { 0 };
    buffer_init(&out, &memory_heap, 1024 * 1024);
    arena_init(&arena, &memory_heap, 1024 * 1024);
    if (!json_tree_parse(text_from(json), &arena, &event, &err))
        fail_msg("%s", err.text);
    event_view_add(&out, text_from(type), event);
    arena_release(&arena);
    assert_is(&out, wanted);
}

#define WEB_1     "\"instance\":\"web-1\",\"actor\":\"agent\",\"reason\":null,"
#define R_3       "\"deployment_id\":\"r-3\",\"actor\":null,\"reason\":null,"
#define R_3_WEB_1 "\"deployment_id\":\"r-3\"," WEB_1
#define R_3_BY_ANA                                                                                 \
    "\"deployment_id\":\"r-3\",\"instance\":null,\"actor\":\"ana\",\"reason\":\"hotfix\","
#define RUNS(code, config)                                                                         \
    "\"current_state\":{\"code_version\":" code ",\"configuration_version\":" config "}"
#define STATUS(word) "\"status\":1,\"status_name\":\"" word "\""

/* ---- instances ------------------------------------------------------------------------------ */

static void test_a_registration_tells_a_few_labels(void **state)
{
    (void)state;

    says("instance.registered",
         "{" WEB_1 "\"old\":{},\"new\":{\"ip\":null,\"labels\":{\"env\":\"prod\",\"zone\":\"a\"}}}",
         "web-1 was registered: env=prod zone=a");
    says("instance.registered", "{" WEB_1 "\"old\":{},\"new\":{\"ip\":null,\"labels\":{}}}",
         "web-1 was registered");
    says("instance.registered",
         "{" WEB_1 "\"new\":{\"labels\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\","
         "\"e\":\"5\",\"f\":\"6\"}}}",
         "web-1 was registered: a=1 b=2 c=3 d=4 and 2 more");
}

static void test_an_update_tells_status_and_version_before_and_after(void **state)
{
    (void)state;

    says("instance.updated",
         "{" WEB_1 "\"old\":{" STATUS("HEALTHY") "},\"new\":{" STATUS("DEGRADED") "}}",
         "web-1 HEALTHY -> DEGRADED");
    says("instance.updated",
         "{" WEB_1
         "\"old\":{" RUNS("\"1.0.0\"", "\"c1\"") "},\"new\":{" RUNS("\"2.0.0\"", "\"c1\"") "}}",
         "web-1 1.0.0/c1 -> 2.0.0/c1");
    says("instance.updated",
         "{" WEB_1 "\"old\":{" STATUS("UNKNOWN") "," RUNS("null", "null") "},\"new\":{" STATUS(
             "HEALTHY") "," RUNS("\"2.0.0\"", "null") ",\"message\":\" ready \"}}",
         "web-1 UNKNOWN -> HEALTHY, runs 2.0.0: ready");
    says("instance.updated",
         "{" WEB_1 "\"old\":{" RUNS("\"1.0.0\"", "null") "},\"new\":{" RUNS("null", "null") "}}",
         "web-1 1.0.0 -> not known");
}

static void test_an_update_tells_the_labels_that_differ(void **state)
{
    (void)state;

    says("instance.updated",
         "{" WEB_1 "\"old\":{\"labels\":{\"env\":\"prod\",\"tier\":\"1\",\"zone\":\"a\"}},\"new\":{"
         "\"labels\":{\"env\":\"prod\",\"rack\":\"7\",\"zone\":\"b\"}}}",
         "web-1 rack=7 added, zone=a -> zone=b, tier removed");
}

static void test_an_update_of_nothing_else_tells_address_and_message(void **state)
{
    (void)state;

    says("instance.updated",
         "{" WEB_1 "\"old\":{},\"new\":{\"ip\":\"10.0.0.7\",\"message\":\"disk 91%\"}}",
         "web-1 reported, ip 10.0.0.7: disk 91%");
    says("instance.updated", "{" WEB_1 "\"old\":{},\"new\":{\"ip\":null,\"message\":\"\"}}",
         "web-1 reported");
}

static void test_instances_fall_silent_are_heard_and_deleted(void **state)
{
    (void)state;

    says("instance.offline", "{" WEB_1 "\"old\":{\"online\":true},\"new\":{\"online\":false}}",
         "web-1 fell silent");
    says("instance.online", "{" WEB_1 "\"old\":{\"online\":false},\"new\":{\"online\":true}}",
         "web-1 is heard again");
    says("instance.deleted",
         "{\"instance\":\"web-1\",\"actor\":\"operator\",\"reason\":null,\"old\":{\"labels\":{}"
         "," RUNS("\"1.0.0\"", "\"c1\"") "},\"new\":{}}",
         "web-1 was deleted, it ran 1.0.0/c1, by operator");
}

/* ---- members -------------------------------------------------------------------------------- */

static void test_a_pick_tells_the_version_and_the_attempt_but_not_who_let_it_happen(void **state)
{
    (void)state;

    says("member.picked",
         "{\"deployment_id\":\"r-3\",\"instance\":\"web-1\",\"actor\":\"ana\",\"reason\":null,"
         "\"old\":{\"desired_state\":{\"code_version\":null,\"configuration_version\":null}},"
         "\"new\":{\"desired_state\":{\"code_version\":\"2.0.0\",\"configuration_version\":null},"
         "\"attempt\":1,\"deadline_at\":\"2031-01-01T10:00:00.000Z\"}}",
         "r-3 picked web-1 for 2.0.0, attempt 1");
}

static void test_a_member_completes_joins_and_leaves(void **state)
{
    (void)state;

    says("member.completed",
         "{" R_3_WEB_1
         "\"old\":{},\"new\":{\"update_state\":\"completed\"," RUNS("\"2.0.0\"", "null") "}}",
         "r-3 web-1 completed on 2.0.0");
    says("member.joined", "{" R_3_WEB_1 "\"old\":{},\"new\":{\"update_state\":\"needing_update\"}}",
         "r-3 web-1 joined, needing_update");
    says("member.left", "{" R_3_WEB_1 "\"old\":{},\"new\":{}}", "r-3 web-1 left");
}

static void test_a_failure_tells_its_cause_and_the_message(void **state)
{
    (void)state;

    says("member.failed",
         "{" R_3_WEB_1
         "\"old\":{},\"new\":{\"update_state\":\"failed\",\"cause\":\"reported\"," STATUS(
             "FAILED") "," RUNS("\"2.1.0\"",
                                "null") ",\"message\":\"health_command ended with exit code 22\"}}",
         "r-3 web-1 failed: reported: health_command ended with exit code 22");
    says("member.failed",
         "{" R_3_WEB_1 "\"old\":{},\"new\":{\"cause\":\"timeout\"," STATUS("HEALTHY") "," RUNS(
             "\"1.0.0\"", "\"c1\"") "}}",
         "r-3 web-1 failed: timeout, HEALTHY on 1.0.0/c1");
}

/* ---- waves, gates, rollouts ----------------------------------------------------------------- */

static void test_waves_open_and_pass(void **state)
{
    (void)state;

    says("wave.opened", "{" R_3 "\"old\":{},\"new\":{\"wave\":\"canary\",\"progress\":{}}}",
         "r-3 wave canary opened");
    says("wave.passed",
         "{" R_3 "\"new\":{\"wave\":\"canary\",\"progress\":{\"failed_instances\":0}}}",
         "r-3 wave canary passed");
    says("wave.passed",
         "{" R_3 "\"new\":{\"wave\":\"canary\",\"progress\":{\"failed_instances\":2}}}",
         "r-3 wave canary passed, 2 failed");
}

static void test_gates_wait_pass_and_are_left_undecided(void **state)
{
    (void)state;
#define GATE "\"old\":{},\"new\":{\"wave\":\"canary\",\"gate\":\"go\",\"gate_type\":\"manual\"}}"

    says("gate.waiting", "{" R_3 GATE, "r-3 gate go waits");
    says("gate.passed", "{" R_3_BY_ANA GATE, "r-3 gate go passed, by ana: \"hotfix\"");
    says("gate.inconclusive", "{" R_3 GATE, "r-3 gate go was not decided in time");
#undef GATE
}

static void test_a_rollout_is_created_for_whom_with_what_by_whom_and_why(void **state)
{
    (void)state;

    says("rollout.created",
         "{" R_3_BY_ANA "\"old\":{},\"new\":{\"status\":0,\"status_name\":\"UNKNOWN\","
         "\"selector\":\"env=prod\",\"code_version\":\"2.1.0\",\"configuration_version\":\"c1\","
         "\"retry_of\":null,\"rollback_of\":null}}",
         "r-3 was created for env=prod -> 2.1.0/c1, by ana: \"hotfix\"");
    says("rollout.created",
         "{" R_3 "\"new\":{\"selector\":\"\",\"code_version\":\"2\",\"retry_of\":\"r-2\"}}",
         "r-3 was created for the whole fleet -> 2, retries r-2");
    says("rollout.created", "{" R_3 "\"new\":{\"selector\":\"a=b\",\"rollback_of\":\"r-2\"}}",
         "r-3 was created for a=b, undoes r-2");
}

#define FROM_TO(was, is, more)                                                                     \
    "\"old\":{" STATUS(was) "},\"new\":{" STATUS(is) "," more "\"progress\":{}}}"

static void test_a_rollout_that_moves_tells_from_where_to_where(void **state)
{
    (void)state;

    says("rollout.started", "{" R_3_BY_ANA FROM_TO("UNKNOWN", "RUNNING", "\"cause\":null,"),
         "r-3 UNKNOWN -> RUNNING");
    says("rollout.paused", "{" R_3_BY_ANA FROM_TO("RUNNING", "PAUSED", ""),
         "r-3 RUNNING -> PAUSED, by ana: \"hotfix\"");
    says("rollout.resumed", "{" R_3_BY_ANA FROM_TO("PAUSED", "RUNNING", ""),
         "r-3 PAUSED -> RUNNING, by ana: \"hotfix\"");
    says("rollout.completed", "{" R_3 FROM_TO("RUNNING", "COMPLETED", "\"outcome\":\"full\","),
         "r-3 RUNNING -> COMPLETED: full");
    says("rollout.failed", "{" R_3 FROM_TO("RUNNING", "FAILED", "\"cause\":\"threshold\","),
         "r-3 RUNNING -> FAILED: threshold");
}

static void test_a_rollout_that_stays_where_it_is_tells_what_was_done(void **state)
{
    (void)state;

    says("rollout.promoted", "{" R_3_BY_ANA FROM_TO("RUNNING", "RUNNING", ""),
         "r-3 was promoted, by ana: \"hotfix\"");
    says("rollout.retried", "{" R_3_BY_ANA FROM_TO("PAUSED", "PAUSED", ""),
         "r-3 tries its failed members once more, by ana: \"hotfix\"");
}

static void test_a_rollback_tells_what_it_undoes(void **state)
{
    (void)state;

    says("rollback.started",
         "{\"deployment_id\":\"r-4\",\"actor\":\"server\",\"reason\":null,\"old\":{},"
         "\"new\":{\"rollback_of\":\"r-3\",\"restores\":\"r-2\",\"unresolved\":0}}",
         "r-4 undoes r-3, back to r-2");
    says("rollback.started",
         "{" R_3_BY_ANA "\"new\":{\"rollback_of\":\"r-2\",\"restores\":null,\"unresolved\":2}}",
         "r-3 undoes r-2, 2 unresolved, by ana: \"hotfix\"");
}

static void test_the_fleet_falls_silent_and_is_heard(void **state)
{
    (void)state;

    says("fleet.silent",
         "{\"actor\":null,\"old\":{},\"new\":{\"silent_instances\":7,\"online_instances\":2}}",
         "most of the fleet fell silent, 2 online");
    says("fleet.silent", "{\"old\":{},\"new\":{}}", "most of the fleet fell silent");
    says("fleet.heard", "{\"old\":{},\"new\":{\"online_instances\":9}}",
         "most of the fleet is heard again, 9 online");
}

/* ---- whoever it was, whatever it is --------------------------------------------------------- */

static void test_agents_and_the_server_are_not_named_but_the_reason_is_told(void **state)
{
    (void)state;

    says("instance.deleted", "{\"instance\":\"web-1\",\"actor\":\"agent\"}", "web-1 was deleted");
    says("instance.deleted", "{\"instance\":\"web-1\",\"actor\":\"token:web\"}",
         "web-1 was deleted");
    says("rollback.started",
         "{\"deployment_id\":\"r-4\",\"actor\":\"server\",\"reason\":\"automatic\","
         "\"new\":{\"rollback_of\":\"r-3\"}}",
         "r-4 undoes r-3: \"automatic\"");
}

static void test_a_type_that_is_not_known_is_shown_as_it_came(void **state)
{
    (void)state;

    says("traffic.switched",
         "{" R_3_WEB_1 "\"old\":{\"share\": 10},\"new\":{\"share\": 20},\"labels\":{\"a\":\"b\"}}",
         "r-3 web-1 old={\"share\":10} new={\"share\":20}");
    says("hook.called", "{" R_3_BY_ANA "\"old\":{},\"new\":{\"a\":1}}",
         "r-3 new={\"a\":1}, by ana: \"hotfix\"");
    says("x", "{\"new\":{\"a\":1}}", "new={\"a\":1}");
    says("x", "{}", "");
}

static void test_every_type_has_a_sentence_even_when_all_else_is_missing(void **state)
{
    (void)state;

    for (unsigned type = 0; type < CHANGE_TYPE_COUNT; type++) {
        cleanup(buffer_release) struct buffer out = { 0 };
        buffer_init(&out, &memory_heap, 1024);
        event_view_add(&out, text_from(change_word(type)), NULL);
        assert_false(out.failed);
        assert_true(out.size > 5);
        assert_lacks(&out, "old=");
    }
}

/* ---- main ----------------------------------------------------------------------------------- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_registration_tells_a_few_labels),
        cmocka_unit_test(test_an_update_tells_status_and_version_before_and_after),
        cmocka_unit_test(test_an_update_tells_the_labels_that_differ),
        cmocka_unit_test(test_an_update_of_nothing_else_tells_address_and_message),
        cmocka_unit_test(test_instances_fall_silent_are_heard_and_deleted),
        cmocka_unit_test(test_a_pick_tells_the_version_and_the_attempt_but_not_who_let_it_happen),
        cmocka_unit_test(test_a_member_completes_joins_and_leaves),
        cmocka_unit_test(test_a_failure_tells_its_cause_and_the_message),
        cmocka_unit_test(test_waves_open_and_pass),
        cmocka_unit_test(test_gates_wait_pass_and_are_left_undecided),
        cmocka_unit_test(test_a_rollout_is_created_for_whom_with_what_by_whom_and_why),
        cmocka_unit_test(test_a_rollout_that_moves_tells_from_where_to_where),
        cmocka_unit_test(test_a_rollout_that_stays_where_it_is_tells_what_was_done),
        cmocka_unit_test(test_a_rollback_tells_what_it_undoes),
        cmocka_unit_test(test_the_fleet_falls_silent_and_is_heard),
        cmocka_unit_test(test_agents_and_the_server_are_not_named_but_the_reason_is_told),
        cmocka_unit_test(test_a_type_that_is_not_known_is_shown_as_it_came),
        cmocka_unit_test(test_every_type_has_a_sentence_even_when_all_else_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
