/* SPDX-License-Identifier: Apache-2.0
 * test_rollback.c - undoing rollouts, by hand and by itself (spec of rollouts, 6.3). */
#include "core/story.h"

#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>

/* Everybody named runs `version` and is HEALTHY. */
static void all_say(struct story *s, unsigned count, const char *version)
{
    static const char *const names[] = { "web-01", "web-02", "web-03", "web-04", "web-05" };
    for (unsigned i = 0; i < count; i++)
        story_say(s, names[i], version, INSTANCE_HEALTHY);
}

/* A rollout of `version` over all `count`, completed. */
static struct rollout *brought_to(struct story *s, unsigned count, const char *version)
{
    struct rollout_config config = story_config(count, 1);
    struct rollout *r = story_deploy(s, "", version, &config);
    all_say(s, count, version);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    return r;
}

static void assert_failure(const struct rollout *r, uint32_t i, const char *key,
                           enum member_cause cause, const char *message)
{
    assert_true(i < r->failure_count);
    assert_text(r->failures[i].key, key);
    assert_int_equal(r->failures[i].cause, cause);
    assert_text(r->failures[i].message, message);
}

/* ---- automatic ------------------------------------------------------------------------------ */

static void test_a_breach_fails_the_rollout_and_starts_its_rollback_in_one_command(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    story_say(s, "web-02", "2/b", INSTANCE_FAILED);

    struct rollout *back = story_newest(s);
    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
    assert_int_equal(r->rolled_back_by, back->number);
    assert_int_equal(back->state, ROLLOUT_RUNNING);
    assert_int_equal(back->rollback_of, r->number);
    assert_int_equal(back->restores, 0);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_FAILED), 1);
    assert_int_equal(story_changes(s, CHANGE_ROLLBACK_STARTED), 1);
    assert_int_equal(story_changes(s, CHANGE_ROLLOUT_CREATED), 1);
}

static void test_failed_members_are_reset_and_go_back_first(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    story_say(s, "web-02", "2/b", INSTANCE_FAILED);

    struct rollout *back = story_newest(s);
    assert_int_equal(story_instance(s, "web-02")->status, INSTANCE_UNKNOWN);
    assert_int_equal(story_member(s, "web-03"), MEMBER_IN_PROGRESS); /* it was in flight */
    assert_int_equal(story_member(s, "web-02"), MEMBER_IN_PROGRESS); /* the other slot */
    assert_int_equal(story_member(s, "web-01"), MEMBER_PENDING);
    assert_string_equal(story_wish(s, "web-02"), "1/a");
    assert_string_equal(story_wish(s, "web-03"), "1/a");
    assert_tally(back, 1, 2, 0, 0);
}

static void test_the_record_keeps_why_members_failed_when_they_went_back(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(3, 2);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say_broken(s, "web-03", "update exit 1");

    story_say_broken(s, "web-01", "port 80 in use");
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    story_say(s, "web-03", "1/a", INSTANCE_HEALTHY);
    story_say_broken(s, "web-01", "something else");

    assert_int_equal(r->rolled_back_by, story_newest(s)->number);
    assert_int_equal(r->failure_count, 2);
    assert_failure(r, 0, "web-01", CAUSE_REPORTED, "port 80 in use");
    assert_failure(r, 1, "web-03", CAUSE_REPORTED, "update exit 1");
    assert_int_equal(r->final.failed, 2);
    story_assert_survives(s);
}

static void test_an_aborted_rollout_keeps_why_members_failed(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(2, 3);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say_broken(s, "web-02", "disk full");
    assert_int_equal(r->failure_count, 0);

    story_verb(s, r, VERB_ABORT);

    assert_int_equal(r->cause, ROLLOUT_CAUSE_ABORTED);
    assert_int_equal(r->failure_count, 1);
    assert_failure(r, 0, "web-02", CAUSE_REPORTED, "disk full");
    story_assert_survives(s);
}

static void test_of_many_failed_members_the_record_keeps_the_first(void **state)
{
    struct story *s = *state;
    story_fleet(s, LIMIT_FAILURES + 2, "", "1/a");
    struct rollout_config config = story_config(LIMIT_FAILURES + 2, LIMIT_FAILURES + 2);
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    for (unsigned i = LIMIT_FAILURES + 2; i > 0; i--) {
        char name[16];
        snprintf(name, sizeof name, "web-%02u", i);
        story_say_broken(s, name, "");
    }

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->final.failed, LIMIT_FAILURES + 2);
    assert_int_equal(r->failure_count, LIMIT_FAILURES);
    assert_failure(r, 0, "web-01", CAUSE_REPORTED, "");
    assert_failure(r, LIMIT_FAILURES - 1, "web-20", CAUSE_REPORTED, "");
}

static void test_an_end_that_is_taken_back_has_no_failures(void **state)
{
    struct story *s = *state;
    struct rollout *r = story_one(s, NULL);
    char *before = story_dump(s);
    s->keeps_rounds_open = true;
    story_say_broken(s, "web-01", "disk full");
    assert_int_equal(r->failure_count, 1);

    story_undo(s);

    char *after = story_dump(s);
    assert_int_equal(r->failure_count, 0);
    story_assert_same(before, after);
    free(before);
    free(after);
}

static void test_members_go_back_to_their_own_previous_versions(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    story_say(s, "web-02", "0/z", INSTANCE_HEALTHY);
    struct rollout_config config = story_config(3, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-03", "2/b", INSTANCE_FAILED);

    struct rollout *back = story_newest(s);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
    assert_string_equal(story_wish(s, "web-02"), "0/z");
    assert_string_equal(story_wish(s, "web-03"), "1/a");
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    story_say(s, "web-02", "0/z", INSTANCE_HEALTHY);
    story_say(s, "web-03", "1/a", INSTANCE_HEALTHY);

    assert_int_equal(back->state, ROLLOUT_COMPLETED);
    assert_int_equal(back->outcome, OUTCOME_FULL);
    assert_int_equal(r->rolled_back_by, back->number);
    assert_int_equal(story_instance(s, "web-01")->trail_count, 0);
}

static void test_a_member_in_flight_on_its_old_version_completes_only_by_a_fresh_report(
    void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(2, 1);
    story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    struct rollout *back = story_newest(s);
    assert_string_equal(story_runs(s, "web-02"), "1/a");
    assert_int_equal(story_member(s, "web-02"), MEMBER_IN_PROGRESS);
    story_pass(s, 30 * SECOND);
    assert_int_equal(story_member(s, "web-02"), MEMBER_IN_PROGRESS);
    story_say(s, "web-02", "", SAME);
    assert_int_equal(story_member(s, "web-02"), MEMBER_COMPLETED);
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

/* RB6: who failed before it reached the undone version is looked at again too. */
static void test_a_member_that_failed_on_its_old_version_is_reassigned_at_once(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(1, 2);
    story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);

    assert_int_equal(story_newest(s)->rollback_of, 1);
    assert_tally(story_newest(s), 0, 2, 1, 0);
    assert_int_equal(story_member(s, "web-01"), MEMBER_IN_PROGRESS);
    assert_int_equal(story_member(s, "web-02"), MEMBER_IN_PROGRESS);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_untouched_members_are_not_needed_and_not_changed(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    story_deploy(s, "", "2/b", &config); /* web-01 */
    story_say(s, "web-04", "1/a", INSTANCE_FAILED);
    uint64_t entry = story_instance(s, "web-03")->changed_index;

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    struct rollout *back = story_newest(s);
    assert_tally(back, 0, 1, 3, 0);
    assert_int_equal(rollout_tally(back)->already_current, 3);
    assert_int_equal(story_instance(s, "web-03")->changed_index, entry);
    assert_int_equal(story_instance(s, "web-04")->status, INSTANCE_FAILED);
    assert_string_equal(story_wish(s, "web-03"), "/");
    story_say(s, "web-03", "5/e", INSTANCE_HEALTHY); /* its own affair */
    assert_int_equal(story_member(s, "web-03"), MEMBER_NOT_NEEDED);
}

static void test_a_failing_rollback_ends_and_stays(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    struct rollout *back = story_newest(s);

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    assert_ptr_equal(story_newest(s), back);
    assert_int_equal(back->state, ROLLOUT_FAILED);
    assert_int_equal(back->cause, ROLLOUT_CAUSE_THRESHOLD);
    assert_int_equal(back->rolled_back_by, 0);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
    assert_int_equal(s->fleet.live_count, 0);
    story_pass(s, HOUR);
    assert_ptr_equal(story_newest(s), back);
}

static void test_a_failing_rollback_ends_whatever_its_configuration_says(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    struct rollout_config config = story_config(1, 1);
    config.on_failure = ON_FAILURE_PAUSE;
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    struct rollout *back = story_rollback(s, r->number, NULL);

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    assert_int_equal(back->state, ROLLOUT_FAILED);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_a_breach_without_target_keeps_the_evidence(void **state)
{
    struct story *s = *state;
    story_register(s, "web-01", "");
    story_register(s, "web-02", "");
    struct rollout_config config = story_config(2, 1);
    struct rollout *r = story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "9/z", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_true(r->has_no_target);
    assert_int_equal(r->rolled_back_by, 0);
    assert_int_equal(s->fleet.rollout_count, 1);
    assert_int_equal(story_instance(s, "web-01")->status, INSTANCE_FAILED);
    assert_string_equal(story_wish(s, "web-01"), "/");
    assert_string_equal(story_wish(s, "web-02"), "/");
}

static void test_a_full_house_of_rollouts_can_still_be_rolled_back(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = LIMIT_LIVE_ROLLOUTS;
    for (unsigned i = 0; i < LIMIT_LIVE_ROLLOUTS; i++) {
        char name[] = { 'a', (char)('0' + i / 10), (char)('0' + i % 10), 0 };
        char labels[] = { 'n', '=', name[1], name[2], 0 };
        story_register(s, name, labels);
        story_say(s, name, "1/a", INSTANCE_HEALTHY);
        story_deploy(s, labels, "2/b", NULL);
    }

    story_say(s, "a42", "2/b", INSTANCE_FAILED);

    assert_int_equal(story_newest(s)->rollback_of, 43);
    assert_string_equal(story_wish(s, "a42"), "1/a");
}

/* ---- by hand -------------------------------------------------------------------------------- */

static void test_a_live_rollout_can_be_rolled_back(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_ROLLED_BACK);
    assert_int_equal(back->rollback_of, r->number);
    assert_string_equal(story_wish(s, "web-02"), "1/a");
    assert_tally(back, 1, 1, 1, 0); /* web-02 was in flight, web-03 never touched */
    story_say(s, "web-02", "", SAME);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_a_paused_rollout_can_be_rolled_back(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    story_verb(s, r, VERB_PAUSE);

    struct rollout *back = story_rollback(s, r->number, NULL);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(back->state, ROLLOUT_RUNNING);
}

static void test_repeated_rollbacks_walk_back_through_history(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *second = brought_to(s, 2, "2/b");
    struct rollout *third = brought_to(s, 2, "3/c");

    struct rollout *back = story_rollback(s, 0, "");
    assert_int_equal(back->rollback_of, third->number);
    assert_int_equal(back->restores, second->number);
    all_say(s, 2, "2/b");
    assert_int_equal(back->state, ROLLOUT_COMPLETED);

    back = story_rollback(s, 0, "");
    assert_int_equal(back->rollback_of, second->number);
    assert_int_equal(back->restores, 0);
    all_say(s, 2, "1/a");
    assert_int_equal(back->state, ROLLOUT_COMPLETED);

    assert_int_equal(story_try_rollback(s, 0, ""), ERR_NO_ROLLBACK_TARGET);
}

static void test_a_rollback_of_a_rollback_is_refused(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    brought_to(s, 2, "2/b");
    struct rollout *back = story_rollback(s, 0, NULL);

    assert_int_equal(story_try_rollback(s, back->number, NULL), ERR_REFUSED);
    assert_int_equal(story_try_rollback(s, 0, NULL), ERR_REFUSED); /* the live one */
    assert_int_equal(story_try_rollback(s, 77, NULL), ERR_NOT_FOUND);
}

static void test_a_rollback_of_something_old_is_refused_while_another_is_live(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *old = brought_to(s, 2, "2/b");
    story_deploy(s, "", "3/c", NULL);
    uint64_t before = story_hash(s);

    assert_int_equal(story_try_rollback(s, old->number, NULL), ERR_IN_PROGRESS);

    assert_true(story_hash(s) == before);
}

static void test_a_rollback_changes_only_members_that_no_later_rollout_touched(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *old = brought_to(s, 2, "2/b");
    story_say_labels(s, "web-02", "zone=b");
    struct rollout_config config = story_config(1, 1);
    story_deploy(s, "zone=b", "3/c", &config);
    story_say(s, "web-02", "3/c", INSTANCE_HEALTHY);

    struct rollout *back = story_rollback(s, old->number, NULL);

    assert_string_equal(story_wish(s, "web-01"), "1/a");
    assert_string_equal(story_wish(s, "web-02"), "3/c");
    assert_tally(back, 0, 1, 1, 0);
}

static void test_only_rollouts_with_the_same_selector_are_undone_by_it(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "env=prod", "1/a");
    brought_to(s, 2, "2/b");

    assert_int_equal(story_try_rollback(s, 0, "env=prod"), ERR_NO_ROLLBACK_TARGET);

    assert_int_equal(story_rollback(s, 0, "")->rollback_of, 1);
}

static void test_who_has_no_previous_version_goes_to_that_of_the_target_rollout(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    struct rollout *first = brought_to(s, 1, "2/b");
    story_register(s, "new", ""); /* never said what it runs */
    struct rollout_config config = story_config(2, 1);
    struct rollout *r = story_deploy(s, "", "3/c", &config);
    story_say(s, "new", "3/c", INSTANCE_HEALTHY);
    story_say(s, "web-01", "3/c", INSTANCE_HEALTHY);
    assert_int_equal(r->state, ROLLOUT_COMPLETED);

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_int_equal(back->restores, first->number);
    assert_int_equal(back->unresolved_count, 0);
    assert_string_equal(story_wish(s, "new"), "2/b");
    assert_string_equal(story_wish(s, "web-01"), "2/b");
}

static void test_what_was_rolled_back_is_no_target(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    brought_to(s, 1, "2/b");
    story_rollback(s, 0, NULL);
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    story_register(s, "new", "");
    struct rollout_config config = story_config(2, 1);
    story_deploy(s, "", "3/c", &config);
    story_say(s, "new", "3/c", INSTANCE_HEALTHY);
    story_say(s, "web-01", "3/c", INSTANCE_HEALTHY);

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_int_equal(back->restores, 0);
    assert_int_equal(back->unresolved_total, 1);
}

static void test_without_a_selector_the_newest_rollout_is_undone(void **state)
{
    struct story *s = *state;
    story_register(s, "a", "zone=a");
    story_register(s, "b", "zone=b");
    story_say(s, "a", "1/a", INSTANCE_HEALTHY);
    story_say(s, "b", "1/a", INSTANCE_HEALTHY);
    story_deploy(s, "zone=a", "2/b", NULL);
    story_say(s, "a", "2/b", INSTANCE_HEALTHY);
    struct rollout *newest = story_deploy(s, "zone=b", "2/b", NULL);
    story_say(s, "b", "2/b", INSTANCE_HEALTHY);

    assert_int_equal(story_rollback(s, 0, NULL)->rollback_of, newest->number);
}

static void test_unresolved_members_lose_their_wish_and_are_listed(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    story_register(s, "new", "");
    struct rollout_config config = story_config(2, 1);
    story_deploy(s, "", "2/b", &config);
    story_say(s, "new", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_int_equal(back->unresolved_total, 1);
    assert_int_equal(back->unresolved_count, 1);
    assert_text(back->unresolved[0], "new");
    assert_string_equal(story_wish(s, "new"), "/");
    assert_int_equal(story_member(s, "new"), MEMBER_NOT_NEEDED);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_an_unresolved_member_in_flight_is_let_go(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    story_register(s, "new", "");
    struct rollout_config config = story_config(2, 1);
    story_deploy(s, "", "2/b", &config);

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);

    assert_text(story_newest(s)->unresolved[0], "new");
    assert_string_equal(story_wish(s, "new"), "/");
    assert_int_equal(story_instance(s, "new")->assignment.state, MEMBER_NONE);
    assert_int_equal(s->fleet.tally.in_progress, 1);
}

static void test_a_target_has_another_version_in_what_the_source_changed(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    brought_to(s, 1, "1/c"); /* the same code as the one that is undone */
    brought_to(s, 1, "0/c");
    struct rollout *again = brought_to(s, 1, "1/-");
    story_register(s, "new", "");

    struct rollout *back = story_rollback(s, again->number, NULL);

    assert_int_equal(back->restores, 2);
    assert_string_equal(story_wish(s, "web-01"), "0/c");
}

static void test_a_configuration_is_rolled_back_alone(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    brought_to(s, 1, "-/b");
    story_say(s, "web-01", "5/b", INSTANCE_HEALTHY);

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_string_equal(story_wish(s, "web-01"), "/a");
    story_say(s, "web-01", "5/a", INSTANCE_HEALTHY);
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

static void test_inherited_members_in_flight_may_exceed_the_limit_but_nobody_is_added(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    struct rollout_config config = story_config(4, 5);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY); /* web-02 to web-05 fly */
    story_say(s, "web-02", "2/b", INSTANCE_DEGRADED);
    struct rollout_config one = story_config(1, 1);
    struct rollback_command command = { .number = r->number, .config = &one };

    story_command(s);
    struct rollout *back = fleet_rollback(&s->fleet, &command, NULL, &s->err);
    story_done(s);

    assert_tally(back, 1, 4, 0, 0);
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);
    story_say(s, "web-03", "", SAME);
    story_say(s, "web-04", "", SAME);
    assert_tally(back, 1, 1, 3, 0);
    story_say(s, "web-05", "", SAME);
    assert_tally(back, 0, 1, 4, 0);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
}

static void test_a_rollback_is_a_window_even_when_the_source_had_barriers(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout_config config = story_config(3, 1);
    config.mode = MODE_BARRIER;
    story_deploy(s, "", "2/b", &config);
    all_say(s, 3, "2/b");

    struct rollout *back = story_rollback(s, 0, NULL);

    assert_int_equal(back->config.mode, MODE_WINDOW);
}

static void test_a_retry_of_a_failed_rollback_tries_its_source_again(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "", "1/a");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    all_say(s, 2, "2/b");
    struct rollout *back = story_rollback(s, 0, NULL); /* takes web-01 back, web-02 waits */
    story_verb(s, back, VERB_ABORT);

    struct rollout *again = story_verb(s, back, VERB_RETRY);

    assert_int_equal(again->retry_of, back->number);
    assert_int_equal(again->rollback_of, r->number);
    assert_int_equal(r->rolled_back_by, again->number);
    assert_string_equal(story_wish(s, "web-01"), "1/a"); /* it was told, and never got there */
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    assert_string_equal(story_wish(s, "web-02"), "1/a");
}

static void test_a_retry_of_a_completed_rollback_has_nothing_to_do(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    brought_to(s, 1, "2/b");
    struct rollout *back = story_rollback(s, 0, NULL);
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    assert_int_equal(back->state, ROLLOUT_COMPLETED);

    assert_int_equal(story_try_verb(s, back, VERB_RETRY), ERR_NOTHING_TO_RETRY);
}

static void test_no_memory_for_a_selector_rolls_nothing_back(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "env=prod", "1/a");
    brought_to(s, 1, "2/b"); /* of everything */
    struct deploy_command request = story_request(s, "env=prod", "1/a", NULL);
    struct rollback_command command = { .has_selector = true, .selector = request.selector };
    uint64_t before = story_hash(s);
    story_command(s);
    faulty_memory_fail(&s->memory, 1, false);

    assert_null(fleet_rollback(&s->fleet, &command, NULL, &s->err));

    assert_int_equal(s->err.code, ERR_MEMORY);
    assert_true(story_hash(s) == before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_breach_fails_the_rollout_and_starts_its_rollback_in_one_command),
        STORY(test_failed_members_are_reset_and_go_back_first),
        STORY(test_the_record_keeps_why_members_failed_when_they_went_back),
        STORY(test_an_aborted_rollout_keeps_why_members_failed),
        STORY(test_of_many_failed_members_the_record_keeps_the_first),
        STORY(test_an_end_that_is_taken_back_has_no_failures),
        STORY(test_members_go_back_to_their_own_previous_versions),
        STORY(test_a_member_in_flight_on_its_old_version_completes_only_by_a_fresh_report),
        STORY(test_a_member_that_failed_on_its_old_version_is_reassigned_at_once),
        STORY(test_untouched_members_are_not_needed_and_not_changed),
        STORY(test_a_failing_rollback_ends_and_stays),
        STORY(test_a_failing_rollback_ends_whatever_its_configuration_says),
        STORY(test_a_breach_without_target_keeps_the_evidence),
        STORY(test_a_full_house_of_rollouts_can_still_be_rolled_back),
        STORY(test_a_live_rollout_can_be_rolled_back),
        STORY(test_a_paused_rollout_can_be_rolled_back),
        STORY(test_repeated_rollbacks_walk_back_through_history),
        STORY(test_a_rollback_of_a_rollback_is_refused),
        STORY(test_a_rollback_of_something_old_is_refused_while_another_is_live),
        STORY(test_a_rollback_changes_only_members_that_no_later_rollout_touched),
        STORY(test_only_rollouts_with_the_same_selector_are_undone_by_it),
        STORY(test_who_has_no_previous_version_goes_to_that_of_the_target_rollout),
        STORY(test_what_was_rolled_back_is_no_target),
        STORY(test_without_a_selector_the_newest_rollout_is_undone),
        STORY(test_unresolved_members_lose_their_wish_and_are_listed),
        STORY(test_an_unresolved_member_in_flight_is_let_go),
        STORY(test_a_target_has_another_version_in_what_the_source_changed),
        STORY(test_a_configuration_is_rolled_back_alone),
        STORY(test_inherited_members_in_flight_may_exceed_the_limit_but_nobody_is_added),
        STORY(test_a_rollback_is_a_window_even_when_the_source_had_barriers),
        STORY(test_a_retry_of_a_failed_rollback_tries_its_source_again),
        STORY(test_a_retry_of_a_completed_rollback_has_nothing_to_do),
        STORY(test_no_memory_for_a_selector_rolls_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
