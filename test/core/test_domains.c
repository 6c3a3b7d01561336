/* SPDX-License-Identifier: Apache-2.0
 * test_domains.c - failure domains, and the floor of available members (spec of rollouts, 6.2: P3,
 * P7; 7.1). */
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>

static void updated(struct story *s, const char *names)
{
    story_say_all(s, names, "2/b", INSTANCE_HEALTHY);
}

/* Names are "a-1 b-1": the letter is the value of the label "zone". They run 1/a. */
static void zoned(struct story *s, const char *names)
{
    struct text rest = text_from(names);
    struct text part;
    while (text_cut(&rest, ' ', &part)) {
        char name[16], labels[16];
        snprintf(name, sizeof name, "%.*s", TEXT_ARG(part));
        snprintf(labels, sizeof labels, "zone=%c", name[0]);
        story_register(s, name, labels);
        story_say(s, name, "1/a", INSTANCE_HEALTHY);
    }
}

static struct rollout *deployed(struct story *s, const char *domains, uint32_t batch_size)
{
    struct rollout_config config = story_config(batch_size, 9);
    story_domains(s, &config, domains);
    return story_deploy(s, "", "2/b", &config);
}

static const struct waiting *reason(const struct story *s, const struct rollout *r,
                                    enum waiting_reason wanted)
{
    static struct waiting list[WAITING_REASON_COUNT];
    size_t count = waiting_list(&s->fleet, r, list);
    for (size_t i = 0; i < count; i++)
        if (list[i].reason == wanted)
            return &list[i];
    fail_msg("it does not wait for %s", waiting_word(wanted));
    return NULL;
}

/* ---- caps ----------------------------------------------------------------------------------- */

static void test_a_domain_has_no_more_in_flight_than_its_cap(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 b-1 b-2 c-1");

    struct rollout *r = deployed(s, "zone max 1", 6);

    assert_string_equal(story_flying(s, r), "a-1 b-1 c-1");
    updated(s, "b-1");
    assert_string_equal(story_flying(s, r), "a-1 b-2 c-1");
    updated(s, "c-1 b-2");
    assert_string_equal(story_flying(s, r), "a-1");
    updated(s, "a-1");
    assert_string_equal(story_flying(s, r), "a-2");
    updated(s, "a-2 a-3");
    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_members_without_the_label_are_one_more_domain(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "", "1/a");
    story_say_labels(s, "web-02", "zone=a");
    story_say_labels(s, "web-04", "zone="); /* an empty value is a value */

    struct rollout *r = deployed(s, "zone max 1", 6);

    assert_string_equal(story_flying(s, r), "web-01 web-02 web-04");
    updated(s, "web-02 web-04");
    assert_string_equal(story_flying(s, r), "web-01");
    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-03");
}

static void test_percentages_are_of_the_domain_rounded_down_and_at_least_one(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 a-4 a-5 a-6 a-7 b-1 b-2");

    struct rollout *r = deployed(s, "zone max 40%", 9); /* 2.8 and 0.8 */

    assert_string_equal(story_flying(s, r), "a-1 a-2 b-1");
}

static void test_a_percentage_follows_the_size_of_the_domain(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3");
    struct rollout *r = deployed(s, "zone max 50%", 9);
    assert_string_equal(story_flying(s, r), "a-1");

    zoned(s, "a-0");

    assert_string_equal(story_flying(s, r), "a-1 a-2"); /* 2 of 4 */
    story_delete(s, "a-0");
    updated(s, "a-1");
    assert_string_equal(story_flying(s, r), "a-2"); /* 1 of 3 again */
    updated(s, "a-2");
    assert_string_equal(story_flying(s, r), "a-3");
}

static void test_a_member_needs_room_in_each_of_its_domains(void **state)
{
    struct story *s = *state;
    static const char *const labels[] = { "zone=a,rack=1", "zone=a,rack=1", "zone=a,rack=2",
                                          "zone=b,rack=2", "zone=b,rack=3", "zone=b,rack=4" };
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        char name[] = { 'm', (char)('1' + i), 0 };
        story_register(s, name, labels[i]);
        story_say(s, name, "1/a", INSTANCE_HEALTHY);
    }

    struct rollout *r = deployed(s, "zone max 2; rack max 1", 6);

    assert_string_equal(story_flying(s, r), "m1 m3 m5 m6"); /* m4: rack 2 is taken */
    updated(s, "m5");
    assert_string_equal(story_flying(s, r), "m1 m3 m6");
    updated(s, "m3");
    assert_string_equal(story_flying(s, r), "m1 m4 m6");
    updated(s, "m1");
    assert_string_equal(story_flying(s, r), "m2 m4 m6");
}

static void test_who_waits_for_a_domain_says_for_which(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 a-4");
    story_register(s, "x", "");
    story_say(s, "x", "2/b", INSTANCE_HEALTHY);

    struct rollout *r = deployed(s, "zone max 2", 3);

    const struct waiting *w = reason(s, r, WAITING_DOMAIN_CAP);
    assert_int_equal(w->count, 2);
    assert_int_equal(w->limit, 2);
    assert_text(w->name, "zone");
    assert_text(w->value, "a");
    story_pass(s, MINUTE);
    assert_int_equal(reason(s, r, WAITING_DOMAIN_CAP)->since, s->now - MINUTE);
}

static void test_room_goes_to_the_first_in_pick_order_whatever_its_other_domains(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 a-4 a-5");
    struct rollout *r = deployed(s, "zone max 1", 5);
    story_say(s, "a-5", "1/a", INSTANCE_FAILED);
    story_say(s, "a-4", "1/a", INSTANCE_DEGRADED);
    story_say(s, "a-3", "1/a", INSTANCE_UNKNOWN);
    static const char *const order[] = { "a-1", "a-5", "a-4", "a-3", "a-2" };

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_string_equal(story_flying(s, r), order[i]);
        updated(s, order[i]);
    }

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_member_that_leaves_or_fails_frees_its_domain(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 a-4 a-5");
    struct rollout *r = deployed(s, "zone max 1", 5);

    story_delete(s, "a-1");
    assert_string_equal(story_flying(s, r), "a-2");
    story_say(s, "a-2", "1/a", INSTANCE_FAILED);
    assert_string_equal(story_flying(s, r), "a-3");
    story_verb(s, r, VERB_RETRY);
    assert_string_equal(story_flying(s, r), "a-3");
    story_silence(s, "a-3");
    story_wait(s, 10 * MINUTE);

    assert_string_equal(story_flying(s, r), "a-2"); /* FAILED first */
}

static void test_a_relabelled_member_in_flight_takes_its_slot_along(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 b-1 b-2");
    struct rollout *r = deployed(s, "zone max 1", 3);
    assert_string_equal(story_flying(s, r), "a-1 b-1");

    story_say_labels(s, "b-1", "zone=c");
    assert_string_equal(story_flying(s, r), "a-1 b-1 b-2");
    updated(s, "b-2");
    story_say_labels(s, "b-1", "zone=a"); /* that domain is over its cap now */
    updated(s, "a-1");
    assert_string_equal(story_flying(s, r), "b-1");
    assert_int_equal(reason(s, r, WAITING_DOMAIN_CAP)->count, 1);
    updated(s, "b-1");

    assert_string_equal(story_flying(s, r), "a-2");
}

static void test_a_relabelled_candidate_waits_for_its_new_domain(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 b-1 b-2");
    struct rollout *r = deployed(s, "zone max 1", 4);

    story_say_labels(s, "a-2", "zone=b");
    assert_string_equal(story_flying(s, r), "a-1 b-1");
    updated(s, "a-1");
    assert_string_equal(story_flying(s, r), "b-1");
    updated(s, "b-1");
    assert_string_equal(story_flying(s, r), "a-2");
    story_say_labels(s, "b-2", "zone=new"); /* nobody has seen that one before */

    assert_string_equal(story_flying(s, r), "a-2 b-2");
}

static void test_caps_hold_for_all_waves_together(void **state)
{
    struct story *s = *state;
    story_crowd(s);
    zoned(s, "a-1 a-2 a-3 b-1 b-2");
    story_silence(s, "a-3");
    story_wait(s, 100 * SECOND);
    struct rollout_config config = story_config(5, 9);
    story_waves(s, &config, "b [zone=b]; rest");
    story_domains(s, &config, "zone max 1");
    struct rollout *r = story_deploy(s, "zone", "2/b", &config);

    assert_string_equal(story_flying(s, r), "b-1");
    updated(s, "b-1 b-2");
    assert_string_equal(story_flying(s, r), "a-1");
    story_say(s, "a-3", "1/a", INSTANCE_FAILED);
    updated(s, "a-1");
    assert_string_equal(story_flying(s, r), "a-3");
    updated(s, "a-3");
    assert_string_equal(story_flying(s, r), "a-2");
}

static void test_a_rollback_holds_the_caps_but_for_what_it_inherits(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 a-4 b-1");
    struct rollout_config config = story_config(5, 9);
    story_domains(s, &config, "zone max 2");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    updated(s, "a-1 b-1");
    story_say(s, "a-3", "1/a", INSTANCE_FAILED);
    assert_string_equal(story_flying(s, r), "a-2 a-4");

    struct rollout *back = story_rollback(s, r->number, NULL);

    assert_string_equal(story_flying(s, back), "a-2 a-3 a-4 b-1"); /* a-3 never left its version */
    assert_string_equal(story_wish(s, "a-1"), "2/b");
    story_say_all(s, "a-2 a-3", "1/a", INSTANCE_HEALTHY);
    assert_string_equal(story_flying(s, back), "a-1 a-4 b-1");
}

static void test_many_domains_are_each_for_themselves(void **state)
{
    struct story *s = *state;
    for (unsigned i = 0; i < 300; i++) {
        char name[16], labels[16];
        snprintf(name, sizeof name, "n-%03u", i);
        snprintf(labels, sizeof labels, "rack=%u", i / 3);
        story_register(s, name, labels);
    }

    struct rollout *r = deployed(s, "rack max 1", 300);

    assert_tally(r, 200, 100, 0, 0);
    assert_int_equal(story_member(s, "n-297"), MEMBER_IN_PROGRESS);
    assert_int_equal(story_member(s, "n-298"), MEMBER_PENDING);
    updated(s, "n-150");
    assert_int_equal(story_member(s, "n-151"), MEMBER_IN_PROGRESS);
    assert_tally(r, 199, 100, 1, 0);
    story_assert_survives(s);
}

/* ---- several rollouts ----------------------------------------------------------------------- */

/* Two live rollouts, of the environments "x" and "y", whose members share zone a; that of "x" has
 * x-1 in flight, and that of "y" obeys caps. */
static struct rollout *beside_another(struct story *s, const char *domains)
{
    s->fleet.settings.max_concurrent = 3;
    story_register(s, "x-1", "env=x,zone=a");
    story_register(s, "x-2", "env=x,zone=a");
    story_register(s, "y-1", "env=y,zone=a");
    story_register(s, "y-2", "env=y,zone=a");
    story_register(s, "y-3", "env=y,zone=b");
    story_say_all(s, "x-1 x-2 y-1 y-2 y-3", "1/a", INSTANCE_HEALTHY);
    story_deploy(s, "env=x", "2/b", NULL);
    struct rollout_config config = story_config(3, 9);
    story_domains(s, &config, domains);
    return story_deploy(s, "env=y", "2/b", &config);
}

static void test_members_in_flight_of_all_live_rollouts_count(void **state)
{
    struct story *s = *state;
    struct rollout *y = beside_another(s, "zone max 1");

    assert_string_equal(story_flying(s, y), "y-3");
    updated(s, "x-1"); /* and x-2 follows at once */
    story_tick(s);
    assert_string_equal(story_flying(s, y), "y-3");
    updated(s, "x-2");
    story_tick(s);

    assert_string_equal(story_flying(s, y), "y-1 y-3");
}

static void test_a_rollout_that_ends_frees_the_domains_of_others(void **state)
{
    struct story *s = *state;
    struct rollout *y = beside_another(s, "zone max 1");
    assert_string_equal(story_flying(s, y), "y-3");

    story_verb(s, fleet_rollout(&s->fleet, 1), VERB_ABORT);
    story_tick(s);

    assert_string_equal(story_flying(s, y), "y-1 y-3");
}

static void test_a_rollback_beside_it_takes_room_of_a_domain(void **state)
{
    struct story *s = *state;
    struct rollout *y = beside_another(s, "zone max 2");
    assert_string_equal(story_flying(s, y), "y-1 y-3");
    updated(s, "x-1 x-2 y-1");
    story_tick(s);
    assert_string_equal(story_flying(s, y), "y-2 y-3");

    struct rollout_config both = story_config(2, 9);
    struct rollback_command command = { .number = 1, .config = &both, .is_fast = true };
    story_command(s);
    struct rollout *back = fleet_rollback(&s->fleet, &command, NULL, &s->err);
    story_done(s);
    assert_string_equal(story_flying(s, back), "x-1 x-2");
    story_say(s, "y-2", "1/a", INSTANCE_FAILED);
    story_verb(s, y, VERB_RETRY);
    story_tick(s);
    assert_string_equal(story_flying(s, y), "y-3"); /* the two of the rollback have the room */
    story_say(s, "x-1", "1/a", INSTANCE_HEALTHY);
    story_tick(s);

    assert_string_equal(story_flying(s, y), "y-2 y-3");
}

static void test_a_relabelled_member_of_another_rollout_moves_its_slot(void **state)
{
    struct story *s = *state;
    struct rollout *y = beside_another(s, "zone max 1");
    assert_string_equal(story_flying(s, y), "y-3");

    story_say_labels(s, "x-1", "zone=c");
    story_tick(s);
    assert_string_equal(story_flying(s, y), "y-1 y-3");
    updated(s, "y-1 y-3");
    story_say_labels(s, "x-1", "zone=a");
    story_tick(s);

    assert_string_equal(story_flying(s, y), "y-2"); /* picked before */
}

static void test_a_cap_that_others_fill_is_no_lack_of_progress(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = 2;
    story_register(s, "x", "env=x,zone=a");
    story_register(s, "y", "env=y,zone=a");
    story_say_all(s, "x y", "1/a", INSTANCE_HEALTHY);
    story_deploy(s, "env=x", "2/b", NULL);
    struct rollout_config config = story_config(3, 9);
    config.progress_deadline_ms = 2 * MINUTE;
    story_domains(s, &config, "zone max 1");
    struct rollout *y = story_deploy(s, "env=y", "2/b", &config);
    story_wait(s, 5 * MINUTE);

    updated(s, "x");
    story_tick(s);

    assert_string_equal(story_flying(s, y), "y");
    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(y->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(y->cause, ROLLOUT_CAUSE_PROGRESS_DEADLINE);
}

/* ---- failures of a domain ------------------------------------------------------------------- */

static void test_too_many_failures_in_one_domain_are_a_breach(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 b-1 b-2 b-3");
    struct rollout *r = deployed(s, "zone fail 2", 6);

    story_say_all(s, "a-1 b-1", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_say(s, "b-3", "1/a", INSTANCE_FAILED);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_DOMAIN_THRESHOLD);
    assert_int_equal(story_newest(s)->rollback_of, r->number);
}

static void test_a_percentage_of_failures_in_a_domain_is_rounded_up(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 b-1 b-2 b-3 b-4 b-5");
    struct rollout *r = deployed(s, "zone fail 40%", 8); /* 1.2 and 2 */

    story_say_all(s, "a-1 b-1", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_say(s, "a-2", "1/a", INSTANCE_FAILED);

    assert_int_equal(r->cause, ROLLOUT_CAUSE_DOMAIN_THRESHOLD);
}

static void test_a_domain_may_have_a_cap_and_another_label_its_failures(void **state)
{
    struct story *s = *state;
    story_fleet(s, 4, "zone=a,rack=1", "1/a");
    struct rollout *r = deployed(s, "zone max 2; rack fail 1", 4);
    assert_string_equal(story_flying(s, r), "web-01 web-02");

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);

    assert_int_equal(r->cause, ROLLOUT_CAUSE_DOMAIN_THRESHOLD);
}

static void test_failures_of_a_domain_are_acknowledged_by_resume(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 a-3 a-4");
    struct rollout_config config = story_config(1, 9);
    config.on_failure = ON_FAILURE_PAUSE;
    story_domains(s, &config, "zone fail 1");
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "a-1", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    story_assert_survives(s);
    r = story_newest(s);

    story_verb(s, r, VERB_RESUME);

    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_string_equal(story_flying(s, r), "a-2");
    story_say(s, "a-2", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
}

static void test_failures_count_where_the_member_is_now(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 b-1 b-2");
    struct rollout *r = deployed(s, "zone fail 2", 4);
    story_say_all(s, "a-1 b-1", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_RUNNING);

    story_say_labels(s, "a-1", "zone=b");

    assert_int_equal(r->cause, ROLLOUT_CAUSE_DOMAIN_THRESHOLD);
}

static void test_a_rollback_ends_by_the_failures_of_a_domain_too(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 b-1");
    struct rollout *r = deployed(s, "zone fail 1", 3);
    story_say(s, "a-1", "2/b", INSTANCE_FAILED);
    struct rollout *back = story_newest(s);
    assert_int_equal(back->rollback_of, r->number);

    story_say(s, "a-1", "2/b", INSTANCE_FAILED);

    assert_int_equal(back->state, ROLLOUT_FAILED);
    assert_int_equal(back->cause, ROLLOUT_CAUSE_DOMAIN_THRESHOLD);
    assert_ptr_equal(story_newest(s), back);
}

/* ---- the floor ------------------------------------------------------------------------------ */

static struct rollout *with_floor(struct story *s, struct amount floor, uint32_t batch_size)
{
    struct rollout_config config = story_config(batch_size, 9);
    config.min_available = floor;
    return story_deploy(s, "", "2/b", &config);
}

static void test_no_pick_leaves_fewer_than_min_available(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");

    struct rollout *r = with_floor(s, (struct amount){ .value = 3 }, 5);

    assert_string_equal(story_flying(s, r), "web-01 web-02");
    const struct waiting *w = reason(s, r, WAITING_MIN_AVAILABLE);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->limit, 3);
    updated(s, "web-02");
    assert_string_equal(story_flying(s, r), "web-01 web-03");
    story_say(s, "web-02", "2/b", INSTANCE_DEGRADED); /* completed, and not available */
    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-03");
    story_say(s, "web-02", "2/b", INSTANCE_HEALTHY);
    assert_string_equal(story_flying(s, r), "web-03 web-04");
}

static void test_a_percentage_of_available_members_is_rounded_up(void **state)
{
    struct story *s = *state;
    story_fleet(s, 7, "", "1/a");

    struct rollout *r = with_floor(s, (struct amount){ .value = 50, .is_percent = true }, 7);

    assert_string_equal(story_flying(s, r), "web-01 web-02 web-03"); /* 3.5 stay */
}

static void test_unavailable_members_are_always_picked(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    story_say(s, "web-04", "1/a", INSTANCE_DEGRADED);
    story_register(s, "aaa", ""); /* UNKNOWN */

    struct rollout *r = with_floor(s, (struct amount){ .value = 100, .is_percent = true }, 6);

    assert_string_equal(story_flying(s, r), "aaa web-02 web-04");
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    assert_string_equal(story_flying(s, r), "aaa web-01 web-02 web-04");
}

static void test_unavailable_joiners_are_picked_before_available_originals(void **state)
{
    struct story *s = *state;
    story_fleet(s, 3, "", "1/a");
    struct rollout *r = with_floor(s, (struct amount){ .value = 2 }, 3);
    assert_string_equal(story_flying(s, r), "web-01");

    story_register(s, "zzz", "");

    assert_string_equal(story_flying(s, r), "web-01 zzz");
}

static void test_members_that_fall_silent_are_not_available(void **state)
{
    struct story *s = *state;
    story_fleet(s, 5, "", "1/a");
    story_silence(s, "web-05");
    story_wait(s, 100 * SECOND);

    struct rollout *r = with_floor(s, (struct amount){ .value = 3 }, 5);

    assert_string_equal(story_flying(s, r), "web-01");
    story_say(s, "web-05", "", SAME);
    assert_string_equal(story_flying(s, r), "web-01 web-02");
}

static void test_a_floor_and_a_cap_hold_together(void **state)
{
    struct story *s = *state;
    zoned(s, "a-1 a-2 b-1 b-2 b-3");
    story_say(s, "a-2", "1/a", INSTANCE_FAILED);
    struct rollout_config config = story_config(5, 9);
    config.min_available.value = 3;
    story_domains(s, &config, "zone max 1");

    struct rollout *r = story_deploy(s, "", "2/b", &config);

    assert_string_equal(story_flying(s, r), "a-2 b-1"); /* a-1 waits for its zone, b-2 for both */
    updated(s, "b-1");
    assert_string_equal(story_flying(s, r), "a-2 b-2");
    updated(s, "a-2");
    assert_string_equal(story_flying(s, r), "a-1 b-2");
}

/* ---- restarts ------------------------------------------------------------------------------- */

static void test_a_restart_with_full_domains_gives_the_same_state_and_picks(void **state)
{
    struct story *s = *state;
    beside_another(s, "zone max 1; env max 2");
    story_say_labels(s, "x-1", "zone=b");
    story_tick(s);
    story_say_labels(s, "y-2", "zone=new");
    story_tick(s);
    assert_string_equal(story_flying(s, story_newest(s)), "y-1 y-3");

    story_assert_survives(s);
    struct rollout *y = story_newest(s);

    updated(s, "y-1");
    assert_string_equal(story_flying(s, y), "y-2 y-3");
    assert_int_equal(y->live->lots.cell_count, 4); /* of both labels, zones "a", "b", "new" */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_domain_has_no_more_in_flight_than_its_cap),
        STORY(test_members_without_the_label_are_one_more_domain),
        STORY(test_percentages_are_of_the_domain_rounded_down_and_at_least_one),
        STORY(test_a_percentage_follows_the_size_of_the_domain),
        STORY(test_a_member_needs_room_in_each_of_its_domains),
        STORY(test_who_waits_for_a_domain_says_for_which),
        STORY(test_room_goes_to_the_first_in_pick_order_whatever_its_other_domains),
        STORY(test_a_member_that_leaves_or_fails_frees_its_domain),
        STORY(test_a_relabelled_member_in_flight_takes_its_slot_along),
        STORY(test_a_relabelled_candidate_waits_for_its_new_domain),
        STORY(test_caps_hold_for_all_waves_together),
        STORY(test_a_rollback_holds_the_caps_but_for_what_it_inherits),
        STORY(test_many_domains_are_each_for_themselves),
        STORY(test_members_in_flight_of_all_live_rollouts_count),
        STORY(test_a_rollout_that_ends_frees_the_domains_of_others),
        STORY(test_a_rollback_beside_it_takes_room_of_a_domain),
        STORY(test_a_relabelled_member_of_another_rollout_moves_its_slot),
        STORY(test_a_cap_that_others_fill_is_no_lack_of_progress),
        STORY(test_too_many_failures_in_one_domain_are_a_breach),
        STORY(test_a_percentage_of_failures_in_a_domain_is_rounded_up),
        STORY(test_a_domain_may_have_a_cap_and_another_label_its_failures),
        STORY(test_failures_of_a_domain_are_acknowledged_by_resume),
        STORY(test_failures_count_where_the_member_is_now),
        STORY(test_a_rollback_ends_by_the_failures_of_a_domain_too),
        STORY(test_no_pick_leaves_fewer_than_min_available),
        STORY(test_a_percentage_of_available_members_is_rounded_up),
        STORY(test_unavailable_members_are_always_picked),
        STORY(test_unavailable_joiners_are_picked_before_available_originals),
        STORY(test_members_that_fall_silent_are_not_available),
        STORY(test_a_floor_and_a_cap_hold_together),
        STORY(test_a_restart_with_full_domains_gives_the_same_state_and_picks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
