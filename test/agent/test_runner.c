/* SPDX-License-Identifier: Apache-2.0
 * test_runner.c - whole lives of an agent against a scripted server and a scripted host, in virtual
 * time: answers that get lost, refusals, wishes that change, orders that are old. */
#include "agent/runner_world.h"
#include "base/suite.h"

#include <stdio.h>

/* ---- lives -------------------------------------------------------------------------------------
 */

static void test_it_registers_reports_and_then_waits_for_orders(void **state)
{
    struct world *w = *state;

    start_agent(w);
    pass(w, 1000 * 3600);

    assert_int_equal(w->registrations, 1);
    assert_string_equal(w->runs, "1.0");
    assert_int_equal(w->status, '1');
    assert_in_range(w->held, 118, 121); /* one each 30 s */
    assert_in_range(w->heartbeats - w->held, 2, 4);
}

static void test_a_wish_reaches_a_waiting_agent_at_once(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    wish(w, "2.0");
    pass(w, 4100);

    assert_string_equal(w->runs, "2.0");
    assert_int_equal(w->status, '1');
    assert_non_null(strstr(w->environment, "PATH=/bin\nLANG=C\nDIDES_CODE_VERSION=2.0\n"));
    assert_non_null(strstr(w->environment, "DIDES_PREVIOUS_CODE_VERSION=1.0\n"));
    assert_non_null(
        strstr(w->environment, "DIDES_ATTEMPT=1\nDIDES_GENERATION=1\nDIDES_DEPLOYMENT_ID=r-1\n"));
}

static void test_without_wait_it_polls_at_the_interval_it_is_given(void **state)
{
    struct world *w = *state;
    w->knows_wait = false;

    start_agent(w);
    pass(w, 100 * 1000);
    unsigned before = w->heartbeats;
    wish(w, "2.0");
    pass(w, 10000);

    assert_in_range(before, 45, 55);
    assert_int_equal(w->held, 0);
    assert_string_equal(w->runs, "2.0");
}

static void test_a_failed_update_is_told_after_its_retry(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->update_code = 4;
    wish(w, "2.0");
    pass(w, 5000);
    char meanwhile = w->status;
    pass(w, 60000);

    assert_int_equal(meanwhile, '1');
    assert_int_equal(w->updates, 2);
    assert_int_equal(w->status, '3');
    assert_string_equal(w->message, "update_command ended with exit code 4");
    assert_string_equal(w->runs, "1.0");
}

static void test_after_a_failure_the_way_back_needs_no_update(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);
    w->update_code = 4;
    wish(w, "2.0");
    pass(w, 60000);

    wish(w, "1.0");
    pass(w, 1000);

    assert_int_equal(w->updates, 2);
    assert_int_equal(w->status, '1');
}

static void test_answers_that_get_lost_change_nothing_but_the_time(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->loses_answers = true;
    wish(w, "2.0");
    pass(w, 300 * 1000);
    unsigned updates = w->updates;
    w->loses_answers = false;
    pass(w, 70000);

    assert_int_equal(updates, 0);
    assert_int_equal(w->updates, 1);
    assert_int_equal(w->registrations, 1);
    assert_string_equal(w->runs, "2.0");
}

static void test_a_server_that_is_down_is_asked_less_and_less(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->is_down = true;
    pass(w, 3600 * 1000);
    size_t asked = w->call_count;
    w->is_down = false;
    pass(w, 61000);

    assert_true(asked <= 1);
    assert_int_equal(w->registrations, 1);
    assert_int_equal(w->status, '1');
}

static void test_retry_after_is_honoured(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 1000);
    unsigned before = w->heartbeats;

    w->refuses_with = 503;
    w->retry_after_ms = 50000;
    pass(w, 35000); /* the held one comes back refused */
    w->refuses_with = 0;
    pass(w, 45000);
    unsigned early = w->heartbeats;
    pass(w, 33000); /* the next one may be held, too */

    assert_int_equal(early, before);
    assert_true(w->heartbeats > early);
}

static void test_an_instance_that_was_deleted_registers_again(void **state)
{
    struct world *w = *state;
    w->generation = 40;
    start_agent(w);
    pass(w, 20000);

    w->knows_instance = false;
    w->runs[0] = '\0';
    w->generation = 0;
    pass(w, 40000);
    wish(w, "2.0");
    pass(w, 10000);

    assert_int_equal(w->registrations, 2);
    assert_string_equal(w->runs, "2.0");
}

static void test_a_credential_is_sent_kept_and_replaced_when_refused(void **state)
{
    struct world *w = *state;
    snprintf(w->credential, sizeof w->credential, "first");
    start_agent(w);
    pass(w, 20000);
    assert_string_equal(w->saved.credential, "first");
    unsigned labelled = w->labelled;

    kill_agent(w);
    start_agent(w);
    pass(w, 20000);
    unsigned registrations = w->registrations;
    snprintf(w->credential, sizeof w->credential, "second");
    pass(w, 60000);

    assert_int_equal(registrations, 1);
    assert_int_equal(labelled, 0);
    assert_int_equal(w->labelled, 1); /* by the start without registration */
    assert_int_equal(w->registrations, 2);
    assert_string_equal(w->saved.credential, "second");
    assert_int_equal(w->status, '1');
}

static void test_an_older_generation_is_ignored(void **state)
{
    struct world *w = *state;
    w->generation = 7;
    start_agent(w);
    pass(w, 20000);

    snprintf(w->wish, sizeof w->wish, "0.9");
    w->generation = 6;
    pass(w, 120 * 1000);

    assert_int_equal(w->updates, 0);
    assert_int_equal(w->registrations, 1);
}

static void test_a_wish_that_changes_in_mid_update_waits_for_its_end(void **state)
{
    struct world *w = *state;
    w->update_ms = 20000;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 5000);

    w->update_code = 1; /* of the next: this one has its fate */
    wish(w, "3.0");
    pass(w, 10000);
    unsigned meanwhile = w->updates;
    w->update_code = 0;
    pass(w, 60000);

    assert_int_equal(meanwhile, 1);
    assert_int_equal(w->updates, 2);
    assert_string_equal(w->runs, "3.0");
}

static void test_a_failure_of_an_order_that_is_no_more_is_not_told(void **state)
{
    struct world *w = *state;
    w->update_ms = 20000;
    w->update_code = 1;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 5000);

    wish(w, "1.0");
    pass(w, 60000);

    assert_int_equal(w->updates, 1);
    assert_int_equal(w->status, '1');
}

static void test_a_killed_agent_tries_no_more_often_than_allowed(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");

    for (int i = 0; i < 6; i++) {
        pass(w, 3000); /* within the update */
        kill_agent(w);
        snprintf(w->installed, sizeof w->installed, "1.0");
        start_agent(w);
    }
    pass(w, 10000);

    assert_int_equal(w->updates, 2);
    assert_int_equal(w->status, '3');
    assert_non_null(strstr(w->message, "gave up: 2 attempts"));
}

static void test_drift_is_noticed_and_told(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 20000);

    snprintf(w->installed, sizeof w->installed, "1.9");
    pass(w, 30000);

    assert_int_equal(w->updates, 2);
    assert_string_equal(w->runs, "2.0");
}

static void test_health_is_told_when_it_changes(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);

    w->health_code = 1;
    pass(w, 11000);
    char degraded = w->status;
    w->health_code = 0;
    pass(w, 11000);

    assert_int_equal(degraded, '2');
    assert_int_equal(w->status, '1');
}

static void test_reports_go_on_in_another_session_when_the_server_forgot_theirs(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000);
    assert_int_equal(w->sessions, 1);
    unsigned before = w->heartbeats;

    w->session = 0; /* it started again */
    w->health_code = 1;
    pass(w, 45000);

    assert_int_equal(w->sessions, 2);
    assert_int_equal(w->status, '2');
    assert_in_range(w->heartbeats - before, 2, 5);
}

static void test_a_server_without_sessions_gets_plain_reports(void **state)
{
    struct world *w = *state;
    w->is_plain = true;
    start_agent(w);

    wish(w, "2.0");
    pass(w, 30000);

    assert_string_equal(w->runs, "2.0");
    assert_int_equal(w->status, '1');
    assert_int_equal(w->sessions, 0);
}

static void test_a_held_report_that_arrives_late_is_told_from_the_newer_one(void **state)
{
    struct world *w = *state;
    start_agent(w);
    pass(w, 20000); /* a heartbeat is held; this server looks at it when it lets go */
    w->health_code = 1;

    pass(w, 60000);

    assert_int_equal(w->status, '2');
}

static void test_stopping_in_mid_update_waits_and_then_kills(void **state)
{
    struct world *w = *state;
    w->update_ms = 60000;
    start_agent(w);
    pass(w, 20000);
    wish(w, "2.0");
    pass(w, 5000);
    unsigned before = w->heartbeats;

    runner_stop(w->runner);
    pass(w, 2900);
    bool early = w->has_ended;
    pass(w, 200);

    assert_false(early);
    assert_true(w->has_ended);
    assert_int_equal(w->heartbeats - before <= 1, 1); /* one was under way */
    assert_int_equal(w->saved.record.attempts, 0);
}

/* Every kind of trouble at random instants; when it is over, the agent runs what is wished. */
static void test_after_any_trouble_it_comes_right(void **state)
{
    struct world *w = *state;
    uint64_t dice = 3;
    (void)state;
    start_agent(w);

    for (int i = 0; i < 2000; i++) {
        char code[16];
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        uint32_t roll = (uint32_t)(dice >> 33);
        snprintf(code, sizeof code, "%u.0", roll % 3 + 1);
        switch (roll % 9) {
        case 0: w->is_down = !w->is_down; break;
        case 1: w->loses_answers = !w->loses_answers; break;
        case 2: w->refuses_with = w->refuses_with ? 0 : roll & 64 ? 503 : 401; break;
        case 3: w->knows_instance = false; break;
        case 4: w->knows_wait = !w->knows_wait; break;
        case 5: w->update_code = roll & 64 ? 1 : 0; break;
        case 6:
            kill_agent(w);
            start_agent(w);
            break;
        default: wish(w, code);
        }
        pass(w, roll % 9000);
    }
    w->is_down = w->loses_answers = false;
    w->refuses_with = w->update_code = 0;
    wish(w, "9.0");
    pass(w, 300 * 1000);

    assert_string_equal(w->runs, "9.0");
    assert_int_equal(w->status, '1');
    assert_null(life_invariant(runner_life(w->runner)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_registers_reports_and_then_waits_for_orders),
        TEST(test_a_wish_reaches_a_waiting_agent_at_once),
        TEST(test_without_wait_it_polls_at_the_interval_it_is_given),
        TEST(test_a_failed_update_is_told_after_its_retry),
        TEST(test_after_a_failure_the_way_back_needs_no_update),
        TEST(test_answers_that_get_lost_change_nothing_but_the_time),
        TEST(test_a_server_that_is_down_is_asked_less_and_less),
        TEST(test_retry_after_is_honoured),
        TEST(test_an_instance_that_was_deleted_registers_again),
        TEST(test_a_credential_is_sent_kept_and_replaced_when_refused),
        TEST(test_an_older_generation_is_ignored),
        TEST(test_a_wish_that_changes_in_mid_update_waits_for_its_end),
        TEST(test_a_failure_of_an_order_that_is_no_more_is_not_told),
        TEST(test_a_killed_agent_tries_no_more_often_than_allowed),
        TEST(test_drift_is_noticed_and_told),
        TEST(test_health_is_told_when_it_changes),
        TEST(test_reports_go_on_in_another_session_when_the_server_forgot_theirs),
        TEST(test_a_server_without_sessions_gets_plain_reports),
        TEST(test_a_held_report_that_arrives_late_is_told_from_the_newer_one),
        TEST(test_stopping_in_mid_update_waits_and_then_kills),
        TEST(test_after_any_trouble_it_comes_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
