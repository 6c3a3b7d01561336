/* SPDX-License-Identifier: Apache-2.0
 * test_client.c - the commands against a server with canned answers: what they ask, what they print
 * and how they end. */
#include "kit.h"

#include <unistd.h>

#define RUNNING                                                                                    \
    "{\"id\":\"r-42\",\"status_name\":\"RUNNING\",\"selector\":\"env=prod\",\"request\":"          \
    "{\"code_version\":\"2\",\"configuration_version\":\"c\"},\"progress\":{"                      \
    "\"total_instances\":3,\"completed_instances\":1},\"ended_at\":null}"
#define COMPLETED                                                                                  \
    "{\"id\":\"r-41\",\"status_name\":\"COMPLETED\",\"outcome\":\"full\",\"selector\":\"\","       \
    "\"progress\":{\"total_instances\":3,\"completed_instances\":3}}"
#define ONE_LIVE  "{\"deployments\":[" RUNNING "],\"count\":1}"
#define NONE_LIVE "{\"deployments\":[],\"count\":0}"
#define WEB_1                                                                                      \
    "{\"name\":\"web-1\",\"ip\":\"10.0.0.1\",\"labels\":{\"env\":\"prod\"},\"status_name\":"       \
    "\"HEALTHY\",\"online\":true,\"current_state\":{\"code_version\":\"1\"},\"desired_state\":{}," \
    "\"update_state\":\"none\",\"message\":\"a\\u001bb\"}"
#define WEB_2 "{\"name\":\"web-2\",\"status_name\":\"FAILED\",\"online\":false}"

static void heard(struct kit *kit, const char *part)
{
    if (!strstr(kit_heard(kit), part))
        fail_msg("\"%s\" was not heard, but \"%s\"", part, kit_heard(kit));
}

/* ---- instances ------------------------------------------------------------------------------ */

static void test_instances_are_listed_with_filters_escaped(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 200,
               "{\"instances\":[" WEB_1 "," WEB_2 "],\"total\":2,\"next_cursor\":null}");

    struct said said = dides("instances", "-l", "env in (a,b)", "--status", "failed", NULL);

    assert_int_equal(said.code, 0);
    assert_is(&said.out, "NAME   STATUS   ONLINE   RUNS  WISH  UPDATE  ROLLOUT  SEEN\n"
                         "web-1  HEALTHY  online   1     -     none    -           -\n"
                         "web-2  FAILED   offline  -     -     -       -           -\n");
    assert_is(&said.err, "");
    heard(kit, "GET /inventory/instances?labels=env%20in%20%28a%2Cb%29&status=failed&limit=1000\n");
    said_release(&said);
}

static void test_wide_shows_more_and_escapes_what_instances_say(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 200, "{\"instances\":[" WEB_1 "]}");

    struct said said = dides("instances", "-o", "wide", NULL);

    assert_has(&said.out, "10.0.0.1  env=prod");
    assert_has(&said.out, "a\\x1Bb\n");
    said_release(&said);
}

static void test_pages_are_joined(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances?limit=1000", 200,
               "{\"instances\":[" WEB_1 "],\"next_cursor\":\"web-1\"}");
    kit_answer(kit, "GET /inventory/instances?limit=1000&cursor=web-1", 200,
               "{\"instances\":[" WEB_2 "],\"next_cursor\":null}");

    struct said names = dides("instances", "-o", "name", "--limit", "0", NULL);
    struct said json = dides("instances", "-o", "json", "--limit", "0", NULL);

    assert_is(&names.out, "web-1\nweb-2\n");
    assert_has(&json.out, "[\n  {\n    \"name\": \"web-1\",");
    assert_has(&json.out, "},\n  {\n    \"name\": \"web-2\",");
    assert_has(&json.out, "\n  }\n]\n");
    said_release(&names);
    said_release(&json);
}

static void test_a_limit_ends_the_list_and_says_so(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 200,
               "{\"instances\":[" WEB_1 "],\"total\":2,\"next_cursor\":\"web-1\"}");

    struct said said = dides("instances", "-o", "name", "--limit", "1", NULL);

    assert_int_equal(said.code, 0);
    assert_is(&said.out, "web-1\n");
    assert_is(&said.err, "dides: 1 of 2 instances; --limit 0 lists all\n");
    heard(kit, "limit=1\n");
    said_release(&said);
}

static void test_an_empty_list_is_a_list(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances", 200, "{\"instances\":[],\"next_cursor\":null}");

    struct said json = dides("instances", "-o", "json", NULL);
    struct said yaml = dides("instances", "-o", "yaml", NULL);
    struct said lines = dides("instances", "-o", "jsonl", NULL);

    assert_is(&json.out, "[]\n");
    assert_is(&yaml.out, "[]\n");
    assert_is(&lines.out, "");
    said_release(&json);
    said_release(&yaml);
    said_release(&lines);
}

static void test_one_instance_is_shown_by_its_escaped_name(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /inventory/instances/web%2F1", 200, WEB_1);

    struct said said = dides("instances", "web/1", NULL);
    struct said yaml = dides("instances", "web/1", "-o", "yaml", NULL);

    assert_int_equal(said.code, 0);
    assert_has(&said.out, "name            web-1\n");
    assert_has(&said.out, "labels          env=prod\n");
    assert_has(&said.out, "message         a\\x1Bb\n");
    assert_has(&yaml.out, "name: web-1\n");
    said_release(&said);
    said_release(&yaml);
}

static void test_rm_deletes_and_404_is_not_found(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "DELETE /inventory/instances/web-1", 204, "");
    kit_answer(kit, "DELETE /inventory/instances/web-9", 404,
               "{\"detail\":\"no instance is called web-9\",\"code\":\"not_found\"}");

    struct said good = dides("instances", "rm", "web-1", NULL);
    struct said bad = dides("instances", "rm", "web-9", NULL);

    assert_int_equal(good.code, 0);
    assert_is(&good.out, "");
    assert_is(&good.err, "removed web-1\n");
    assert_int_equal(bad.code, 8);
    assert_is(&bad.err, "dides: no instance is called web-9\n");
    said_release(&good);
    said_release(&bad);
}

/* ---- deploy and verbs ----------------------------------------------------------------------- */

static void test_deploy_sends_a_key_and_prints_one_line(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy", 201, "{\"id\":\"r-42\",\"deployment\":" RUNNING "}");

    struct said said = dides("deploy", "--code", "2", "--all", NULL);
    struct said name = dides("deploy", "--code", "2", "--all", "-o", "name", NULL);

    assert_int_equal(said.code, 0);
    assert_has(&said.out, "r-42 RUNNING  done 1 of 3");
    assert_is(&name.out, "r-42\n");
    heard(kit, "POST /deploy key=32 {\"code_version\":\"2\"}\n");
    said_release(&said);
    said_release(&name);
}

/* Less than a server says: older and newer ones may. */
#define PLAN                                                                                       \
    "{\"plan_hash\":\"sha256:0a\",\"request\":{\"selector\":\"a=\\u001b\",\"code_version\":\"2\"}" \
    ","                                                                                            \
    "\"members\":{\"total_instances\":3,\"pending_instances\":%s},"                                \
    "\"result\":{\"status_name\":\"FAILED\"},\"timeline\":{\"duration_ms\":90000},"                \
    "\"limits\":{\"stop\":{\"reason\":\"threshold\",\"message\":\"it fails\",\"at_ms\":90000}},"   \
    "\"conflicts\":[{\"deployment_id\":\"r-7\",\"code\":\"rollout_in_progress\"}]}"

static void test_a_plan_ends_with_the_deploy_that_carries_it_out(void **state)
{
    struct kit *kit = *state;
    char body[1024];
    snprintf(body, sizeof body, PLAN, "2");
    kit_answer(kit, "POST /deploy/plan?limit=1", 200, body);

    struct said said = dides("plan", "--code", "2", "-l", "a in (b,'c')", "--gate", "go",
                             "--canary-size", "1", "--assume-fail", "a=b:50", "--seed", "3", NULL);

    assert_int_equal(said.code, 2);
    assert_has(&said.out, "plan      a=\\x1B   -> 2\n");
    assert_has(&said.out, "members   2 of 3 need the update");
    assert_has(&said.out, "result    FAILED after 1m30s");
    assert_has(&said.out, "stops     threshold after 1m30s: it fails\n");
    assert_has(&said.out, "conflict  r-7 is live");
    assert_has(&said.out, "\ndides deploy --code 2 -l 'a in (b,'\\''c'\\'')' --canary-size 1 "
                          "--gate go --plan sha256:0a\n");
    said_release(&said);
}

static void test_a_plan_of_nothing_ends_with_0_and_no_command(void **state)
{
    struct kit *kit = *state;
    char body[1024];
    snprintf(body, sizeof body, PLAN, "0");
    kit_answer(kit, "POST /deploy/plan?limit=1", 200, body);
    kit_answer(kit, "POST /deploy/plan?limit=1000", 200, body);

    struct said said = dides("plan", "--code", "2", "--all", NULL);
    struct said name = dides("plan", "--code", "2", "--all", "-o", "name", NULL);

    assert_int_equal(said.code, 0);
    assert_null(strstr(buffer_c_string(&said.out), "dides deploy"));
    assert_int_equal(name.code, 0);
    assert_is(&name.out, "sha256:0a\n");
    said_release(&said);
    said_release(&name);
}

static void test_deploy_without_a_selector_asks_nothing_of_the_server(void **state)
{
    struct kit *kit = *state;

    struct said said = dides("deploy", "--code", "2", NULL);

    assert_int_equal(said.code, 64);
    assert_has(&said.err, "dides: deploy: which instances? -l SEL says so, or --all");
    assert_string_equal(kit_heard(kit), "");
    said_release(&said);
}

static void test_a_refused_body_is_explained_place_by_place(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy", 400,
               "{\"detail\":\"the body has 2 faults\",\"code\":\"invalid\",\"errors\":["
               "{\"pointer\":\"/configuration/batch_size\",\"message\":\"must be at least 1\"},"
               "{\"pointer\":\"/sel\",\"message\":\"is not known\\u001b[0m\"}]}");

    struct said said = dides("deploy", "--code", "2", "--all", "--batch", "0", NULL);

    assert_int_equal(said.code, 64);
    assert_is(&said.out, "");
    assert_is(&said.err, "dides: the body has 2 faults\n"
                         "  /configuration/batch_size: must be at least 1\n"
                         "  /sel: is not known\\x1B[0m\n");
    said_release(&said);
}

static void test_one_fault_is_not_told_twice(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy", 422,
               "{\"detail\":\"/selector: nothing matches\",\"code\":\"no_match\",\"errors\":["
               "{\"pointer\":\"/selector\",\"message\":\"nothing matches\"}]}");

    struct said said = dides("deploy", "--code", "2", "-l", "a=b", NULL);

    assert_int_equal(said.code, 8);
    assert_is(&said.err, "dides: /selector: nothing matches\n");
    said_release(&said);
}

static void test_a_conflict_says_what_is_allowed(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy/r-42/promote", 409,
               "{\"detail\":\"resume it first\",\"code\":\"refused\",\"current_state\":\"PAUSED\","
               "\"allowed_verbs\":[\"resume\",\"abort\"],\"deployment_id\":\"r-42\"}");

    struct said said = dides("promote", "r-42", NULL);

    assert_int_equal(said.code, 7);
    assert_is(&said.err, "dides: resume it first\n"
                         "  state now: PAUSED\n"
                         "  allowed now: resume, abort\n"
                         "  see: dides rollout r-42\n");
    said_release(&said);
}

static void test_verbs_act_on_the_live_rollout_by_default(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200, ONE_LIVE);
    kit_answer(kit, "POST /deploy/r-42/pause", 200, RUNNING);

    struct said said = dides("pause", "--reason", "lunch", "--if-generation", "7", NULL);

    assert_int_equal(said.code, 0);
    heard(kit, "POST /deploy/r-42/pause key=32 match=\"7\" {\"reason\":\"lunch\"}\n");
    said_release(&said);
}

static void test_verbs_without_a_live_rollout_are_not_found(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200, NONE_LIVE);

    struct said said = dides("resume", NULL);

    assert_int_equal(said.code, 8);
    assert_has(&said.err, "no rollout is live");
    said_release(&said);
}

static void test_with_several_live_rollouts_one_must_be_named(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200,
               "{\"deployments\":[" RUNNING "," RUNNING "],\"count\":2}");

    struct said said = dides("abort", "-y", NULL);

    assert_int_equal(said.code, 64);
    assert_has(&said.err, "2 rollouts are live; say which one");
    said_release(&said);
}

static void test_the_flags_of_verbs_are_in_their_bodies(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy/r-1/", 200, RUNNING);
    kit_answer(kit, "POST /deploy/r-1/abort", 200, RUNNING);
    kit_answer(kit, "POST /deploy/r-1/promote", 200, RUNNING);
    kit_answer(kit, "POST /deploy/r-1/retry", 201, RUNNING);

    struct said abort = dides("abort", "r-1", "--finish", "-y", NULL);
    struct said promote = dides("promote", "r-1", "--full", NULL);
    struct said retry = dides("retry", "r-1", NULL);

    assert_int_equal(abort.code, 0);
    assert_int_equal(promote.code, 0);
    assert_int_equal(retry.code, 0);
    heard(kit, "/abort key=32 {\"in_flight\":\"finish\"}\n");
    heard(kit, "/promote key=32 {\"full\":true}\n");
    heard(kit, "/retry key=32 {}\n");
    said_release(&abort);
    said_release(&promote);
    said_release(&retry);
}

static void test_rollback_leaves_the_choice_to_the_server_unless_told(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy/rollback", 201, "{\"id\":\"r-43\",\"deployment\":" RUNNING "}");

    struct said free_choice = dides("rollback", "-y", NULL);
    struct said named = dides("rollback", "r-41", "-l", "env=prod", "--reason", "slow", NULL);

    assert_int_equal(free_choice.code, 0);
    assert_int_equal(named.code, 0);
    heard(kit, "POST /deploy/rollback key=32 {}\n");
    heard(kit, "{\"id\":\"r-41\",\"selector\":\"env=prod\",\"reason\":\"slow\"}\n");
    said_release(&free_choice);
    said_release(&named);
}

static void test_progress_tells_where_the_rollout_stands(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "POST /deploy/progress", 200,
               "{\"message\":\"evaluated\",\"deployment\":" RUNNING ",\"last\":null}");
    kit_answer(kit, "POST /deploy/progress", 200,
               "{\"message\":\"no rollout is live\",\"deployment\":null}");

    struct said live = dides("progress", "r-42", NULL);
    struct said none = dides("progress", NULL);

    assert_int_equal(live.code, 0);
    assert_has(&live.out, "r-42 RUNNING");
    assert_is(&live.err, "evaluated\n");
    heard(kit, "POST /deploy/progress?id=r-42 key=32 {}\n");
    assert_int_equal(none.code, 0);
    assert_is(&none.out, "");
    assert_is(&none.err, "no rollout is live\n");
    said_release(&live);
    said_release(&none);
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static void test_rollouts_are_listed(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy", 200,
               "{\"deployments\":[" RUNNING "," COMPLETED "],\"next_cursor\":null}");

    struct said said = dides("rollouts", "-l", "env=prod", NULL);

    assert_int_equal(said.code, 0);
    assert_is(&said.out,
              "ID    STATE      SELECTOR       TARGET  DONE  FAILED  TOTAL  AGE  TOOK  NOTE\n"
              "r-42  RUNNING    env=prod       2/c        1       0      3    -     -  -\n"
              "r-41  COMPLETED  (whole fleet)  -          3       0      3    -     -  full\n");
    heard(kit, "GET /deploy?labels=env%3Dprod&limit=1000\n");
    said_release(&said);
}

static void test_active_rollouts_are_filtered_by_canonical_selector(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200, ONE_LIVE);

    struct said same = dides("rollouts", "--active", "-l", "env in (prod)", "-o", "name", NULL);
    struct said other = dides("rollouts", "--active", "-l", "env=dev", "-o", "name", NULL);
    struct said wrong = dides("rollouts", "--active", "-l", "env=(", NULL);

    assert_is(&same.out, "r-42\n");
    assert_is(&other.out, "");
    assert_int_equal(wrong.code, 64);
    heard(kit, "GET /deploy/status\n"); /* no query: the route knows none */
    said_release(&same);
    said_release(&other);
    said_release(&wrong);
}

static void test_rollout_shows_the_live_one_or_else_the_newest(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200, ONE_LIVE);
    kit_answer(kit, "GET /deploy/status", 200, NONE_LIVE);
    kit_answer(kit, "GET /deploy?limit=1", 200, "{\"deployments\":[" COMPLETED "]}");
    kit_answer(kit, "GET /deploy/r-42", 200, RUNNING);
    kit_answer(kit, "GET /deploy/r-41", 200, COMPLETED);

    struct said live = dides("rollout", NULL);
    struct said newest = dides("rollout", NULL);

    assert_has(&live.out, "rollout   r-42  env=prod   -> 2/c");
    assert_has(&newest.out, "rollout   r-41  (whole fleet)");
    heard(kit, "GET /deploy/r-42?members=failed%2Cin_progress\n");
    said_release(&live);
    said_release(&newest);
}

static void test_without_any_rollout_there_is_nothing_to_show(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy/status", 200, NONE_LIVE);
    kit_answer(kit, "GET /deploy?limit=1", 200, "{\"deployments\":[]}");

    struct said said = dides("rollout", NULL);

    assert_int_equal(said.code, 8);
    assert_has(&said.err, "there is no rollout yet");
    said_release(&said);
}

/* ---- events --------------------------------------------------------------------------------- */

#define EVENT_7                                                                                    \
    "id: 7\nevent: member.failed\ndata: {\"index\":7,\"type\":\"member.failed\",\"time\":"         \
    "\"2031-01-01T10:00:00.000Z\",\"instance\":\"web-1\",\"reason\":null,\"old\":{\"a\":1}}\n\n"

static void test_events_are_listed_from_the_first_that_is_kept(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /events?follow=false&after=0", 410,
               "{\"detail\":\"the oldest index still kept is 7\",\"code\":\"gone\",\"oldest\":7}");
    kit_stream(kit, "GET /events?follow=false&after=6", ": hello\n\n" EVENT_7, false);

    struct said said = dides("events", NULL);

    assert_int_equal(said.code, 0);
    assert_is(&said.out, "2031-01-01T10:00:00.000Z       7  member.failed         web-1 failed\n");
    assert_is(&said.err, "");
    said_release(&said);
}

static void test_events_have_filters_and_formats(void **state)
{
    struct kit *kit = *state;
    kit_stream(kit, "GET /events", EVENT_7, false);

    struct said lines = dides("events", "--after", "6", "--types", "member.failed", "--deployment",
                              "r-1", "-o", "jsonl", NULL);
    struct said names = dides("events", "-o", "name", NULL);
    struct said wide = dides("events", "-o", "wide", NULL);

    assert_has(&lines.out, "{\"index\":7,\"type\":\"member.failed\",");
    heard(kit, "GET /events?follow=false&after=6&types=member.failed&deployment=r-1\n");
    assert_is(&names.out, "7\n");
    assert_is(&wide.out, "2031-01-01T10:00:00.000Z       7  member.failed         instance=web-1  "
                         "old={\"a\":1}\n");
    said_release(&lines);
    said_release(&names);
    said_release(&wide);
}

static void test_following_goes_on_after_the_last_event_until_refused(void **state)
{
    struct kit *kit = *state;
    kit_stream(kit, "GET /events", EVENT_7, false);
    kit_answer(kit, "GET /events?after=7", 401, "{\"detail\":\"who are you?\"}");

    struct said said = dides("events", "--follow", NULL);

    assert_int_equal(said.code, 9);
    assert_has(&said.out, "member.failed");
    assert_is(&said.err, "dides: the stream of events ended; following on after event 7\n"
                         "dides: who are you?\n");
    heard(kit, "GET /events\nGET /events?after=7 last=7\n");
    said_release(&said);
}

/* ---- servers that do not answer ------------------------------------------------------------- */

static void test_a_refused_connection_is_worth_another_try(void **state)
{
    struct kit *kit = *state;
    kit_stop(kit);

    struct said list = dides("rollouts", NULL);
    struct said events = dides("events", "--follow", NULL);
    struct said wait = dides("wait", "r-1", NULL);

    assert_int_equal(list.code, 75);
    assert_is(&list.out, "");
    assert_has(&list.err, "cannot connect to http://127.0.0.1:");
    assert_int_equal(events.code, 75);
    assert_int_equal(wait.code, 75);
    said_release(&list);
    said_release(&events);
    said_release(&wait);
}

static void test_a_server_that_is_silent_is_given_up(void **state)
{
    struct kit *kit = *state;
    kit_stream(kit, "GET /deploy", "", true);

    struct said said = dides("rollouts", "--timeout", "300ms", NULL);

    assert_int_equal(said.code, 75);
    assert_has(&said.err, "within 300 ms");
    said_release(&said);
}

static void test_statuses_become_exit_codes(void **state)
{
    struct kit *kit = *state;
    kit_answer(kit, "GET /deploy", 403, "{\"detail\":\"viewers may not\"}");
    kit_answer(kit, "GET /deploy", 503, "{\"title\":\"not ready\"}");
    kit_answer(kit, "GET /deploy", 500, "<html>");
    kit_answer(kit, "GET /deploy", 200, "<html>");

    struct said forbidden = dides("rollouts", NULL);
    struct said busy = dides("rollouts", NULL);
    struct said broken = dides("rollouts", NULL);
    struct said nonsense = dides("rollouts", NULL);

    assert_int_equal(forbidden.code, 9);
    assert_int_equal(busy.code, 75);
    assert_is(&busy.err, "dides: not ready\n");
    assert_int_equal(broken.code, 1);
    assert_is(&broken.err, "dides: the server answered with status 500 and no reason\n");
    assert_int_equal(nonsense.code, 1);
    assert_has(&nonsense.err, "the answer to GET /deploy");
    said_release(&forbidden);
    said_release(&busy);
    said_release(&broken);
    said_release(&nonsense);
}

/* ---- who asks ------------------------------------------------------------------------------- */

static void test_the_token_comes_from_flag_variable_or_file(void **state)
{
    struct kit *kit = *state;
    char path[] = "token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from-file\n", 10), 10);
    close(fd);
    kit_answer(kit, "GET /deploy", 200, "{\"deployments\":[]}");

    struct said file = dides("rollouts", "--token-file", path, NULL);
    setenv("DIDES_TOKEN", "from-variable", 1);
    struct said variable = dides("rollouts", "--token-file", path, NULL);
    struct said flag = dides("rollouts", "--token", "from-flag", NULL);
    unsetenv("DIDES_TOKEN");
    unlink(path);
    struct said gone = dides("rollouts", "--token-file", path, NULL);

    heard(kit, "limit=1000 auth=Bearer from-file\n");
    heard(kit, "limit=1000 auth=Bearer from-variable\n");
    heard(kit, "limit=1000 auth=Bearer from-flag\n");
    assert_int_equal(gone.code, 1);
    assert_has(&gone.err, "cannot read the token");
    said_release(&file);
    said_release(&variable);
    said_release(&flag);
    said_release(&gone);
}

static void test_an_unknown_output_format_is_wrong_usage(void **state)
{
    struct kit *kit = *state;

    struct said said = dides("rollouts", "-o", "xml", NULL);

    assert_int_equal(said.code, 64);
    assert_has(&said.err, "\"xml\" is none of table, wide");
    assert_string_equal(kit_heard(kit), "");
    said_release(&said);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_open, kit_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_instances_are_listed_with_filters_escaped),
        TEST(test_wide_shows_more_and_escapes_what_instances_say),
        TEST(test_pages_are_joined),
        TEST(test_a_limit_ends_the_list_and_says_so),
        TEST(test_an_empty_list_is_a_list),
        TEST(test_one_instance_is_shown_by_its_escaped_name),
        TEST(test_rm_deletes_and_404_is_not_found),
        TEST(test_deploy_sends_a_key_and_prints_one_line),
        TEST(test_deploy_without_a_selector_asks_nothing_of_the_server),
        TEST(test_a_plan_ends_with_the_deploy_that_carries_it_out),
        TEST(test_a_plan_of_nothing_ends_with_0_and_no_command),
        TEST(test_a_refused_body_is_explained_place_by_place),
        TEST(test_one_fault_is_not_told_twice),
        TEST(test_a_conflict_says_what_is_allowed),
        TEST(test_verbs_act_on_the_live_rollout_by_default),
        TEST(test_verbs_without_a_live_rollout_are_not_found),
        TEST(test_with_several_live_rollouts_one_must_be_named),
        TEST(test_the_flags_of_verbs_are_in_their_bodies),
        TEST(test_rollback_leaves_the_choice_to_the_server_unless_told),
        TEST(test_progress_tells_where_the_rollout_stands),
        TEST(test_rollouts_are_listed),
        TEST(test_active_rollouts_are_filtered_by_canonical_selector),
        TEST(test_rollout_shows_the_live_one_or_else_the_newest),
        TEST(test_without_any_rollout_there_is_nothing_to_show),
        TEST(test_events_are_listed_from_the_first_that_is_kept),
        TEST(test_events_have_filters_and_formats),
        TEST(test_following_goes_on_after_the_last_event_until_refused),
        TEST(test_a_refused_connection_is_worth_another_try),
        TEST(test_a_server_that_is_silent_is_given_up),
        TEST(test_statuses_become_exit_codes),
        TEST(test_the_token_comes_from_flag_variable_or_file),
        TEST(test_an_unknown_output_format_is_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
