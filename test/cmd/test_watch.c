/* SPDX-License-Identifier: Apache-2.0
 * test_watch.c - waiting for the end of a rollout: every way it can end, streams that break, and
 * servers that come back. */
#include "kit.h"

#include "cmd/client.h"

#include <pthread.h>

#define RECORD(id, state, done, more)                                                              \
    "{\"id\":\"" id "\",\"status_name\":\"" state "\",\"progress\":{\"total_instances\":3,"        \
    "\"completed_instances\":" #done "}" more "}"
#define RUNNING RECORD("r-1", "RUNNING", 1, "")
#define ON      RECORD("r-1", "RUNNING", 2, "")
#define DONE    RECORD("r-1", "COMPLETED", 3, ",\"outcome\":\"full\"")
#define FAILED  RECORD("r-1", "FAILED", 1, ",\"cause\":\"threshold\"")
#define UNDONE  RECORD("r-1", "FAILED", 1, ",\"cause\":\"threshold\",\"rolled_back_by\":\"r-2\"")
#define EVENT(id)                                                                                  \
    "id: " #id "\nevent: member.completed\ndata: {\"time\":\"2031-01-01T10:00:0" #id ".000Z\"}"    \
    "\n\n"

static struct said wait_for(const char *timeout)
{
    return dides("wait", "r-1", "--timeout", timeout, NULL);
}

static void test_a_completed_rollout_is_a_success(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, ON);
    kit_answer(kit, "GET /deploy/r-1", 200, ON);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);

    struct said said = wait_for("10s");

    assert_int_equal(said.code, 0);
    assert_has(&said.out, "Z  r-1 RUNNING  done 1 of 3");
    assert_has(&said.out, "Z  r-1 RUNNING  done 2 of 3");
    assert_has(&said.out, "Z  r-1 COMPLETED  done 3 of 3");
    assert_has(&said.out, "outcome full\n");
    struct text rest = buffer_text(&said.out), line;
    unsigned lines = 0;
    while (text_cut(&rest, '\n', &line))
        lines += line.size > 0;
    assert_int_equal(lines, 3); /* what is not new is not told again */
    said_release(&said);
}

static void test_a_failure_without_rollback_is_3(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, FAILED);

    struct said said = wait_for("10s");

    assert_int_equal(said.code, 3);
    assert_has(&said.out, "cause threshold");
    said_release(&said);
}

static void test_a_failure_whose_rollback_completes_is_4(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, UNDONE);
    kit_answer(kit, "GET /deploy/r-2", 200, RECORD("r-2", "RUNNING", 0, ""));
    kit_answer(kit, "GET /deploy/r-2", 200, RECORD("r-2", "COMPLETED", 3, ""));

    struct said said = wait_for("10s");

    assert_int_equal(said.code, 4);
    assert_has(&said.err, "r-1 failed; following its rollback r-2\n");
    assert_has(&said.out, "r-2 COMPLETED");
    said_release(&said);
}

static void test_a_failure_whose_rollback_fails_is_3(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, UNDONE);
    kit_answer(kit, "GET /deploy/r-2", 200, RECORD("r-2", "FAILED", 0, ""));

    struct said said = wait_for("10s");

    assert_int_equal(said.code, 3);
    said_release(&said);
}

static void test_running_out_of_time_is_5(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);

    int64_t start_ms = steady_now_ms();
    struct said said = wait_for("500ms");

    assert_int_equal(said.code, 5);
    assert_has(&said.err, "r-1 has not ended in time");
    assert_in_range(steady_now_ms() - start_ms, 500, 3000);
    said_release(&said);
}

static void test_a_pause_ends_the_waiting_with_6(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, RECORD("r-1", "PAUSED", 1, ""));

    struct said said = wait_for("10s");

    assert_int_equal(said.code, 6);
    said_release(&said);
}

static void test_a_gate_that_waits_for_a_person_is_6_and_one_with_a_timeout_is_not(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200,
               RECORD("r-1", "RUNNING", 1,
                      ",\"waiting\":[{\"reason\":\"gate:check\",\"until\":"
                      "\"2031-01-01T10:00:00.000Z\"}]"));
    kit_answer(
        kit, "GET /deploy/r-1", 200,
        RECORD("r-1", "RUNNING", 2, ",\"waiting\":[{\"reason\":\"gate:go\",\"until\":null}]"));

    struct said said = wait_for("10s");

    assert_int_equal(said.code, 6);
    assert_has(&said.out, "waiting gate:check");
    assert_has(&said.out, "waiting gate:go");
    said_release(&said);
}

static void test_watching_goes_on_through_a_pause(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, RECORD("r-1", "PAUSED", 1, ""));
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);

    struct said said = dides("rollout", "r-1", "--watch", "--timeout", "10s", NULL);

    assert_int_equal(said.code, 0);
    assert_has(&said.out, "r-1 PAUSED");
    said_release(&said);
}

static void test_what_is_not_there_is_not_waited_for(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 404, "{\"detail\":\"no rollout r-1\"}");

    struct said said = wait_for("10s");

    assert_int_equal(said.code, 8);
    assert_is(&said.err, "dides: no rollout r-1\n");
    said_release(&said);
}

static void test_other_formats_tell_the_way_on_stderr(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy", 201, "{\"id\":\"r-1\",\"deployment\":" RUNNING "}");
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);

    struct said said =
        dides("deploy", "--code", "2", "--all", "--wait", "--timeout", "10s", "-o", "jsonl", NULL);

    assert_int_equal(said.code, 0);
    assert_is(&said.out, DONE "\n");
    assert_has(&said.err, "r-1 RUNNING");
    said_release(&said);
}

/* ---- streams -------------------------------------------------------------------------------- */

static void test_events_are_followed_after_the_last_one_when_the_stream_ends(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    for (int looks = 0; looks < 4; looks++) /* the opening, two events, the end */
        kit_answer(kit, "GET /deploy/r-1", 200, ON);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);
    kit_stream(kit, "GET /events", ": hello\n\n" EVENT(1) EVENT(2), false);
    kit_stream(kit, "GET /events", ": hello\n\n", true);

    struct said said = dides("wait", "r-1", NULL);

    assert_int_equal(said.code, 0);
    assert_non_null(strstr(kit_heard(kit), "GET /events?deployment=r-1\n"));
    assert_non_null(strstr(kit_heard(kit), "GET /events?deployment=r-1&after=2 last=2\n"));
    said_release(&said);
}

static void test_a_burst_of_events_costs_few_looks(void **state)
{
    struct kit *kit = *state;
    struct buffer burst;
    (void)state;
    buffer_init(&burst, &memory_heap, 1024 * 1024);
    for (int i = 0; i < 1000; i++)
        buffer_add(&burst, TEXT("id: 5\ndata: {\"time\":\"2031-01-01T10:00:00.000Z\"}\n\n"));
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);
    kit_stream(kit, "GET /events", buffer_c_string(&burst), false);

    int64_t start_ms = steady_now_ms();
    struct said said = dides("wait", "r-1", NULL);

    assert_int_equal(said.code, 0);
    assert_in_range(steady_now_ms() - start_ms, 600, 5000); /* five looks, 200 ms apart */
    said_release(&said);
    buffer_release(&burst);
}

static void test_an_event_that_is_no_longer_kept_is_told(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);
    kit_answer(kit, "GET /events?deployment=r-1&after=3", 410, "{\"code\":\"gone\"}");
    kit_stream(kit, "GET /events", EVENT(3), false);

    struct said said = dides("wait", "r-1", NULL);

    assert_int_equal(said.code, 0);
    assert_has(&said.err, "event 3 is no longer kept; following on from now\n");
    said_release(&said);
}

static void *restart_later(void *ctx)
{
    struct kit *kit = ctx;
    sleep_ms(300);
    kit_stop(kit);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);
    sleep_ms(700);
    kit_start(kit);
    return NULL;
}

static void test_a_restart_of_the_server_is_waited_for(void **state)
{
    struct kit *kit = *state;
    pthread_t helper;
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_stream(kit, "GET /events", EVENT(1), true);
    assert_int_equal(pthread_create(&helper, NULL, restart_later, kit), 0);

    struct said said = dides("wait", "r-1", NULL);
    pthread_join(helper, NULL);

    assert_int_equal(said.code, 0);
    assert_has(&said.err, "the server does not answer (cannot connect to ");
    assert_has(&said.err, "the server answers again; following on after event 1\n");
    assert_has(&said.out, "r-1 COMPLETED");
    said_release(&said);
}

static void *stop_later(void *ctx)
{
    sleep_ms(300);
    kit_stop(ctx);
    return NULL;
}

static void test_a_server_that_stays_away_is_75_when_the_time_is_over(void **state)
{
    struct kit *kit = *state;
    pthread_t helper;
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    assert_int_equal(pthread_create(&helper, NULL, stop_later, kit), 0);

    struct said said = wait_for("1s");
    pthread_join(helper, NULL);

    assert_int_equal(said.code, 75);
    assert_has(&said.err, "the server does not answer");
    said_release(&said);
}

/* ---- terminals ------------------------------------------------------------------------------ */

static void test_a_terminal_is_drawn_over(void **state)
{
    struct kit *kit = *state;
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    kit_answer(kit, "GET /deploy/r-1", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);

    struct said said = dides_on_terminal("rollout", "r-1", "--watch", "--timeout", "10s", NULL);

    assert_int_equal(said.code, 0);
    assert_has(&said.out, "rollout   r-1");
    assert_has(&said.out, "\033[6A\r\033[J"); /* up over the six lines of the first frame */
    assert_lacks(&said.out, "\033[32m");
    said_release(&said);
    unsetenv("NO_COLOR");
}

static void test_colours_are_shown_unless_refused(void **state)
{
    struct kit *kit = *state;
    setenv("TERM", "xterm", 1);
    kit_answer(kit, "GET /deploy/r-1", 200, DONE);

    struct said coloured = dides_on_terminal("rollout", "r-1", NULL);
    setenv("NO_COLOR", "1", 1);
    struct said plain = dides_on_terminal("rollout", "r-1", NULL);
    unsetenv("NO_COLOR");

    assert_has(&coloured.out, "\033[32mCOMPLETED\033[0m");
    assert_has(&plain.out, "COMPLETED");
    assert_lacks(&plain.out, "\033");
    said_release(&coloured);
    said_release(&plain);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_open, kit_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_completed_rollout_is_a_success),
        TEST(test_a_failure_without_rollback_is_3),
        TEST(test_a_failure_whose_rollback_completes_is_4),
        TEST(test_a_failure_whose_rollback_fails_is_3),
        TEST(test_running_out_of_time_is_5),
        TEST(test_a_pause_ends_the_waiting_with_6),
        TEST(test_a_gate_that_waits_for_a_person_is_6_and_one_with_a_timeout_is_not),
        TEST(test_watching_goes_on_through_a_pause),
        TEST(test_what_is_not_there_is_not_waited_for),
        TEST(test_other_formats_tell_the_way_on_stderr),
        TEST(test_events_are_followed_after_the_last_one_when_the_stream_ends),
        TEST(test_a_burst_of_events_costs_few_looks),
        TEST(test_an_event_that_is_no_longer_kept_is_told),
        TEST(test_a_restart_of_the_server_is_waited_for),
        TEST(test_a_server_that_stays_away_is_75_when_the_time_is_over),
        TEST(test_a_terminal_is_drawn_over),
        TEST(test_colours_are_shown_unless_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
