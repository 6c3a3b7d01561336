/* SPDX-License-Identifier: Apache-2.0
 * test_sessions.c - reports that are put in order by a session and a sequence (R16 of
 * doc/reliability.md). */
#include "core/story.h"

#include "base/suite.h"

static bool takes(struct story *s, uint32_t session, uint32_t sequence, const char *version,
                  int status)
{
    bool is_stale;
    assert_int_equal(story_say_ordered(s, "web-01", session, sequence, version, status, &is_stale),
                     ERR_NONE);
    return !is_stale;
}

static enum err_code refusal(struct story *s, uint32_t session, uint32_t sequence)
{
    bool is_stale;
    return story_say_ordered(s, "web-01", session, sequence, "1/a", INSTANCE_HEALTHY, &is_stale);
}

static void test_who_asks_for_a_session_says_nothing_else(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    char *before = story_dump(s);

    uint32_t session = story_ask_session(s, "web-01");

    assert_int_not_equal(session, 0);
    char *after = story_dump(s);
    story_assert_same(before, after);
    free(before);
    free(after);
}

static void test_asking_for_a_session_counts_as_a_sign_of_life(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    story_crowd(s);
    story_silence(s, "web-01");
    story_wait(s, 5 * MINUTE);
    assert_int_equal(story_instance(s, "web-01")->presence, PRESENCE_OFFLINE);

    story_ask_session(s, "web-01");

    assert_int_equal(story_instance(s, "web-01")->presence, PRESENCE_ONLINE);
}

static void test_asking_for_a_session_decides_nothing_for_who_is_in_flight(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    struct rollout *r = story_one(s, &config);
    story_say(s, "web-01", "", INSTANCE_HEALTHY);

    story_ask_session(s, "web-01");

    assert_tally(r, 0, 1, 0, 0);
}

static void test_reports_count_in_their_order(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    uint32_t session = story_ask_session(s, "web-01");

    assert_true(takes(s, session, 1, "2/b", INSTANCE_HEALTHY));
    assert_true(takes(s, session, 5, "3/c", INSTANCE_DEGRADED));

    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_DEGRADED);
    assert_int_equal(story_instance(s, "web-01")->sequence, 5);
}

static void test_a_late_or_repeated_report_changes_nothing(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    uint32_t session = story_ask_session(s, "web-01");
    takes(s, session, 2, "2/b", INSTANCE_HEALTHY);
    char *before = story_dump(s);
    int64_t last_seen = story_instance(s, "web-01")->last_seen;
    story_pass(s, 1);

    assert_false(takes(s, session, 1, "1/a", INSTANCE_FAILED));
    assert_false(takes(s, session, 2, "1/a", INSTANCE_FAILED));

    char *after = story_dump(s);
    story_assert_same(before, after);
    assert_int_equal(story_instance(s, "web-01")->last_seen, last_seen);
    free(before);
    free(after);
}

static void test_a_late_failure_of_an_older_order_does_not_fail_the_newer_one(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    struct rollout *r = story_one(s, &config);
    uint32_t session = story_ask_session(s, "web-01");
    takes(s, session, 7, "1/a", INSTANCE_UNKNOWN);

    assert_false(takes(s, session, 6, "1/a", INSTANCE_FAILED));

    assert_tally(r, 0, 1, 0, 0);
}

static void test_the_reports_of_an_ended_session_are_refused(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    uint32_t first = story_ask_session(s, "web-01");
    uint32_t second = story_ask_session(s, "web-01");
    char *before = story_dump(s);

    assert_int_not_equal(first, second);
    assert_int_equal(refusal(s, first, 100), ERR_SESSION);
    assert_int_equal(refusal(s, 0, 1), ERR_SESSION);

    char *after = story_dump(s);
    story_assert_same(before, after);
    assert_true(takes(s, second, 1, "2/b", INSTANCE_HEALTHY));
    free(before);
    free(after);
}

static void test_a_registration_ends_the_session(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    uint32_t session = story_ask_session(s, "web-01");

    story_register(s, "web-01", "app=web");

    assert_int_equal(refusal(s, session, 1), ERR_SESSION);
}

static void test_without_a_session_a_report_counts_as_now(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    uint32_t session = story_ask_session(s, "web-01");
    takes(s, session, 9, "2/b", INSTANCE_HEALTHY);

    story_say(s, "web-01", "3/c", INSTANCE_DEGRADED);

    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_DEGRADED);
    assert_true(takes(s, session, 10, "2/b", INSTANCE_HEALTHY));
}

static void test_a_round_that_is_taken_back_keeps_sessions(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    s->keeps_rounds_open = true;
    uint32_t session = story_ask_session(s, "web-01");
    takes(s, session, 3, "2/b", INSTANCE_HEALTHY);

    fleet_undo(&s->fleet);

    s->keeps_rounds_open = false;
    assert_int_equal(refusal(s, session + 1, 1), ERR_SESSION);
    assert_false(takes(s, session, 3, "2/b", INSTANCE_HEALTHY)); /* late, whatever became of it */
    assert_true(takes(s, session, 4, "2/b", INSTANCE_HEALTHY));
}

static void test_zero_is_never_a_session(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    s->fleet.last_session = UINT32_MAX;

    assert_int_equal(story_ask_session(s, "web-01"), 1);
}

static void test_a_report_without_memory_does_not_use_up_its_number(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "app=web", "1/a");
    uint32_t session = story_ask_session(s, "web-01");
    bool is_stale;
    faulty_memory_fail(&s->memory, 1, true);

    enum err_code code =
        story_say_ordered(s, "web-01", session, 1, "a-new-version/b", INSTANCE_HEALTHY, &is_stale);

    faulty_memory_fail(&s->memory, 0, false);
    assert_int_equal(code, ERR_MEMORY);
    assert_true(takes(s, session, 1, "a-new-version/b", INSTANCE_HEALTHY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_who_asks_for_a_session_says_nothing_else),
        STORY(test_asking_for_a_session_counts_as_a_sign_of_life),
        STORY(test_asking_for_a_session_decides_nothing_for_who_is_in_flight),
        STORY(test_reports_count_in_their_order),
        STORY(test_a_late_or_repeated_report_changes_nothing),
        STORY(test_a_late_failure_of_an_older_order_does_not_fail_the_newer_one),
        STORY(test_the_reports_of_an_ended_session_are_refused),
        STORY(test_a_registration_ends_the_session),
        STORY(test_without_a_session_a_report_counts_as_now),
        STORY(test_a_round_that_is_taken_back_keeps_sessions),
        STORY(test_zero_is_never_a_session),
        STORY(test_a_report_without_memory_does_not_use_up_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
