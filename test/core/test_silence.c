/* SPDX-License-Identifier: Apache-2.0
 * test_silence.c - most of a fleet falls silent at once: rollouts stand still until it is heard
 * again (R18 of the reliability guide). */
#include "core/place.h"
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT (90 * SECOND) /* of heartbeats */

static void updated(struct story *s, const char *names)
{
    story_say_all(s, names, "2/b", INSTANCE_HEALTHY);
}

static void name_one(char name[static 16], unsigned i)
{
    snprintf(name, 16, "n-%u", i);
}

/* n-1 to n-<count>, which no rollout of these stories selects. */
static void bystanders(struct story *s, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char name[16];
        name_one(name, i);
        story_register(s, name, "");
    }
}

/* Bystanders `from` to `to` say nothing from now on. */
static void fall_silent(struct story *s, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char name[16];
        name_one(name, i);
        story_silence(s, name);
    }
}

static void come_back(struct story *s, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char name[16];
        name_one(name, i);
        story_say(s, name, "", SAME);
    }
}

/* Three members, web-01 of them in flight, and six bystanders: 8 that are not in flight. */
static struct rollout *one_in_flight(struct story *s, struct rollout_config config)
{
    story_fleet(s, 3, "job=yes", "1/a");
    bystanders(s, 6);
    struct rollout *r = story_deploy(s, "job", "2/b", &config);
    assert_string_equal(story_flying(s, r), "web-01");
    return r;
}

/* Five of the eight fall silent, and are missed. */
static struct rollout *frozen_with(struct story *s, struct rollout_config config)
{
    struct rollout *r = one_in_flight(s, config);
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));
    assert_int_equal(r->frozen_at, s->now);
    return r;
}

static struct rollout *frozen(struct story *s)
{
    return frozen_with(s, story_config(1, 5));
}

/* ---- freezing ------------------------------------------------------------------------------- */

static void test_more_than_half_of_those_not_in_flight_freeze_the_fleet(void **state)
{
    struct story *s = *state;
    struct rollout *r = one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 5);

    story_wait(s, TIMEOUT - 1);
    assert_false(silence_is_frozen(&s->fleet));
    s->now += 1;
    story_tick(s);

    assert_true(silence_is_frozen(&s->fleet));
    assert_int_equal(story_changes(s, CHANGE_FLEET_SILENT), 1);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_int_equal(r->stopped_at, s->now);
    assert_int_equal(r->frozen_count, 5);
}

static void test_exactly_half_do_not(void **state)
{
    struct story *s = *state;
    struct rollout *r = one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 4);

    story_wait(s, 5 * TIMEOUT);

    assert_false(silence_is_frozen(&s->fleet));
    updated(s, "web-01");
    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_members_in_flight_do_not_vote(void **state)
{
    struct story *s = *state;
    story_fleet(s, 7, "", "1/a");
    bystanders(s, 3);
    struct rollout_config config = story_config(7, 3);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    assert_int_equal(rollout_tally(r)->in_progress, 7);
    for (unsigned i = 1; i <= 7; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%02u", i);
        story_silence(s, story_member(s, name) == MEMBER_IN_PROGRESS ? name : "n-1");
    }

    story_wait(s, 10 * MINUTE); /* the update killed its own batch */

    assert_int_equal(story_changes(s, CHANGE_FLEET_SILENT), 0);
    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
}

static void test_those_who_fall_silent_one_after_the_other_do_not_freeze_the_fleet(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));

    for (unsigned i = 1; i <= 6; i++) {
        fall_silent(s, i, i);
        story_wait(s, 2 * TIMEOUT);
        assert_false(silence_is_frozen(&s->fleet));
    }
}

static void test_those_who_fall_silent_within_one_timeout_count_together(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));

    for (unsigned i = 1; i <= 5; i++) {
        assert_false(silence_is_frozen(&s->fleet));
        fall_silent(s, i, i);
        story_wait(s, 15 * SECOND);
    }
    story_wait(s, TIMEOUT);

    assert_true(silence_is_frozen(&s->fleet));
}

static void test_who_is_heard_again_before_most_fell_silent_does_not_count(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 4);
    story_wait(s, TIMEOUT);

    come_back(s, 1, 1);
    fall_silent(s, 5, 5);
    story_wait(s, 20 * SECOND);
    come_back(s, 2, 2);
    story_wait(s, TIMEOUT);

    assert_false(silence_is_frozen(&s->fleet));
}

static void test_a_fleet_without_rollouts_freezes_too_and_tells_it(void **state)
{
    struct story *s = *state;
    bystanders(s, 5);
    fall_silent(s, 1, 3);

    story_wait(s, TIMEOUT - 1);
    s->now += 1;
    story_tick(s);

    assert_int_equal(story_changes(s, CHANGE_FLEET_SILENT), 1);
    story_wait(s, HOUR);
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 1, 2);
    assert_int_equal(story_changes(s, CHANGE_FLEET_HEARD), 1);
}

/* ---- while it is frozen --------------------------------------------------------------------- */

static void test_nobody_is_picked_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);

    updated(s, "web-01");

    assert_tally(r, 2, 0, 1, 0);
    story_wait(s, HOUR);
    assert_tally(r, 2, 0, 1, 0);
    struct waiting list[WAITING_REASON_COUNT];
    assert_int_equal(waiting_list(&s->fleet, r, list), 1);
    assert_int_equal(list[0].reason, WAITING_OFFLINE);
    assert_true(list[0].is_mass_silence);
    assert_int_equal(list[0].count, 5);
    assert_int_equal(list[0].limit, 5);
    assert_int_equal(list[0].until, 0);
}

static void test_the_next_wave_opens_after_the_thaw(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1; rest");
    struct rollout *r = frozen_with(s, config);
    updated(s, "web-01");
    assert_string_equal(story_wave_states(r), "running not_started");

    come_back(s, 1, 3);

    assert_string_equal(story_wave_states(r), "passed running");
    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_failures_are_judged_after_the_thaw(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 1);
    config.on_failure = ON_FAILURE_ABORT;
    struct rollout *r = frozen_with(s, config);

    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    story_wait(s, MINUTE);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    assert_tally(r, 2, 0, 0, 1);
    come_back(s, 1, 3);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_THRESHOLD);
}

static void test_a_failure_that_recovers_before_the_thaw_is_none(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen_with(s, story_config(1, 1));

    story_say(s, "web-01", "2/b", INSTANCE_FAILED);
    updated(s, "web-01");
    come_back(s, 1, 3);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_a_rollout_may_complete_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-02 web-03"); /* by themselves */

    updated(s, "web-01");
    come_back(s, 1, 3);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
    assert_int_equal(r->outcome, OUTCOME_FULL);
}

static void test_an_abort_works_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);

    story_verb(s, r, VERB_ABORT);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_ABORTED);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
    assert_int_equal(r->stopped_at, 0);
    assert_int_equal(r->frozen_at, 0);
}

static void test_a_rollback_works_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");
    come_back(s, 1, 3);
    assert_string_equal(story_flying(s, r), "web-02");
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));

    struct rollout *back = story_rollback(s, r->number, NULL);

    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_string_equal(story_wish(s, "web-02"), "1/a"); /* it was in flight */
    assert_tally(back, 1, 1, 1, 0);
    assert_int_equal(back->stopped_at, s->now);
    story_say(s, "web-02", "1/a", INSTANCE_HEALTHY);
    assert_string_equal(story_wish(s, "web-01"), "2/b"); /* that is a pick */
    story_wait(s, HOUR);
    assert_int_equal(back->state, ROLLOUT_RUNNING);
    come_back(s, 1, 6);
    assert_string_equal(story_wish(s, "web-01"), "1/a");
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    assert_int_equal(back->state, ROLLOUT_COMPLETED);
}

static void test_a_deploy_while_the_fleet_is_frozen_picks_after_the_thaw(void **state)
{
    struct story *s = *state;
    story_fleet(s, 2, "job=yes", "1/a");
    bystanders(s, 6);
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));
    struct rollout_config config = story_config(2, 5);
    config.progress_deadline_ms = 2 * MINUTE;
    story_waves(s, &config, "one 1; rest");

    struct rollout *r = story_deploy(s, "job", "2/b", &config);
    assert_string_equal(story_flying(s, r), "");
    assert_string_equal(story_wave_states(r), "running not_started");
    assert_true(story_waits(s, r, WAITING_OFFLINE));
    story_assert_survives(s);
    r = story_newest(s);
    story_wait(s, HOUR);
    come_back(s, 1, 3);

    assert_string_equal(story_flying(s, r), "web-01");
    story_wait(s, 2 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
}

static void test_a_deploy_that_nobody_needs_completes_in_a_frozen_fleet_too(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    story_verb(s, r, VERB_ABORT);

    r = story_deploy(s, "job", "1/a", NULL);

    assert_int_equal(r->state, ROLLOUT_COMPLETED);
}

static void test_a_promotion_works_while_the_fleet_is_frozen_and_acts_after_it(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1 gate go; rest");
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01");
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);

    story_promote(s, r, false);
    assert_int_equal(story_try_verb(s, r, VERB_PROMOTE), ERR_NOTHING_TO_PROMOTE);
    assert_string_equal(story_wave_states(r), "gated not_started");
    come_back(s, 1, 6);

    assert_string_equal(story_flying(s, r), "web-02");
}

/* ---- the thaw ------------------------------------------------------------------------------- */

static void test_more_than_half_of_the_silent_thaw_the_fleet(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");

    come_back(s, 1, 2);
    assert_true(silence_is_frozen(&s->fleet));
    assert_string_equal(story_flying(s, r), "");
    come_back(s, 3, 3);

    assert_false(silence_is_frozen(&s->fleet));
    assert_int_equal(story_changes(s, CHANGE_FLEET_HEARD), 1);
    assert_string_equal(story_flying(s, r), "web-02");
    assert_int_equal(r->frozen_at, 0);
    assert_int_equal(r->stopped_at, 0);
}

static void test_half_of_an_even_number_is_not_enough(void **state)
{
    struct story *s = *state;
    one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT);

    come_back(s, 1, 3);
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 4, 4);

    assert_false(silence_is_frozen(&s->fleet));
}

static void test_a_registration_is_a_return_too(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");
    come_back(s, 1, 2);

    story_register(s, "n-3", NULL);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_newcomers_do_not_thaw_the_fleet(void **state)
{
    struct story *s = *state;
    frozen(s);

    for (unsigned i = 20; i < 60; i++) {
        char name[16];
        name_one(name, i);
        story_register(s, name, "");
    }
    story_tick(s);

    assert_true(silence_is_frozen(&s->fleet));
}

static void test_the_deletion_of_silent_instances_thaws_the_fleet(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    updated(s, "web-01");

    story_delete(s, "n-1");
    story_delete(s, "n-2");
    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
    story_delete(s, "n-3");
    story_tick(s);

    assert_false(silence_is_frozen(&s->fleet));
    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_who_falls_silent_after_the_freeze_is_not_awaited(void **state)
{
    struct story *s = *state;
    frozen(s);
    fall_silent(s, 6, 6);
    story_silence(s, "web-02");
    story_wait(s, 2 * TIMEOUT);

    come_back(s, 1, 3);

    assert_false(silence_is_frozen(&s->fleet));
}

/* Who is given an interval of a minute may be silent for three. */
static void give_interval(struct story *s, const char *name, uint32_t interval_ms)
{
    story_instance(s, name)->interval_ms = interval_ms;
    place_arm(&s->fleet, fleet_find(&s->fleet, text_from(name)));
}

/* Missed in the same instant, but in a later command: so it is when one round cannot take all. */
static void test_who_falls_silent_in_the_instant_of_the_freeze_belongs_to_it(void **state)
{
    struct story *s = *state;
    static const char *const late[] = { "n-6", "web-02", "web-03" };
    one_in_flight(s, story_config(1, 5));
    for (size_t i = 0; i < 3; i++) {
        story_silence(s, late[i]);
        give_interval(s, late[i], MINUTE);
    }
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));

    for (size_t i = 0; i < 3; i++) {
        give_interval(s, late[i], 0);
        story_tick(s);
        assert_false(story_is_online(s, late[i]));
        assert_true(silence_is_frozen(&s->fleet));
    }
    story_assert_survives(s);
    come_back(s, 1, 4); /* four of eight */
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 5, 5);

    assert_false(silence_is_frozen(&s->fleet));
}

static void test_the_fleet_can_freeze_again(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    config.instance_deadline_ms = HOUR;
    struct rollout *r = frozen_with(s, config);
    int64_t due = story_instance(s, "web-01")->assignment.deadline_at;

    for (unsigned i = 0; i < 3; i++) {
        story_wait(s, MINUTE);
        come_back(s, 1, 5);
        assert_int_equal(story_instance(s, "web-01")->assignment.deadline_at, due + MINUTE);
        story_wait(s, 2 * TIMEOUT);
        assert_false(silence_is_frozen(&s->fleet));
        fall_silent(s, 1, 5);
        story_wait(s, TIMEOUT);
        assert_true(silence_is_frozen(&s->fleet));
        due += MINUTE;
    }

    assert_int_equal(r->state, ROLLOUT_RUNNING);
}

static void test_all_live_rollouts_freeze_and_thaw(void **state)
{
    struct story *s = *state;
    s->fleet.settings.max_concurrent = 20;
    bystanders(s, 50);
    for (unsigned i = 0; i < 20; i++) {
        char name[16], labels[16];
        snprintf(name, sizeof name, "job-%02u", i);
        snprintf(labels, sizeof labels, "job=%u", i);
        story_register(s, name, labels);
        story_say(s, name, "1/a", INSTANCE_HEALTHY);
        story_deploy(s, labels, "2/b", NULL);
    }
    fall_silent(s, 1, 26);
    story_wait(s, TIMEOUT);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(s->fleet.rollouts[i]->stopped_at, s->now);
    story_wait(s, HOUR);

    come_back(s, 1, 14);

    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(s->fleet.rollouts[i]->stopped_at, 0);
    story_wait(s, 10 * MINUTE - TIMEOUT - SECOND);
    assert_int_equal(s->fleet.rollouts[7]->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(s->fleet.rollouts[7]->state, ROLLOUT_FAILED);
}

/* ---- clocks --------------------------------------------------------------------------------- */

/* A rollout that waits for something, and the instant until which it does. */
struct wait {
    const char *name;
    struct rollout *(*begin)(struct story *s);
    int64_t (*due)(const struct story *s, const struct rollout *r);
};

static struct rollout *begin_deadline(struct story *s)
{
    struct rollout_config config = story_config(1, 5);
    config.instance_deadline_ms = 10 * HOUR;
    return one_in_flight(s, config);
}

static int64_t due_deadline(const struct story *s, const struct rollout *r)
{
    (void)r;
    return story_instance(s, "web-01")->assignment.deadline_at;
}

static struct rollout *begin_health(struct story *s)
{
    struct rollout_config config = story_config(1, 5);
    config.health_deadline_ms = config.instance_deadline_ms = 10 * HOUR;
    struct rollout *r = one_in_flight(s, config);
    story_say(s, "web-01", "2/b", INSTANCE_DEGRADED);
    return r;
}

static int64_t due_health(const struct story *s, const struct rollout *r)
{
    (void)r;
    return story_instance(s, "web-01")->assignment.health_deadline_at;
}

static struct rollout *begin_progress(struct story *s)
{
    struct rollout_config config = story_config(1, 5);
    config.instance_deadline_ms = 0;
    config.progress_deadline_ms = 10 * HOUR;
    return one_in_flight(s, config);
}

static int64_t due_progress(const struct story *s, const struct rollout *r)
{
    (void)s;
    return r->progressed_at + r->config.progress_deadline_ms;
}

static struct rollout *begin_soak(struct story *s)
{
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1 soak 36000; rest");
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01");
    return r;
}

static struct rollout *begin_gate(struct story *s)
{
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1 gate go timeout 36000; rest");
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01");
    return r;
}

static int64_t due_wave(const struct story *s, const struct rollout *r)
{
    (void)s;
    return r->wave_due_at;
}

static struct rollout *begin_leftover(struct story *s)
{
    struct rollout_config config = story_config(1, 5);
    config.leftover_timeout_ms = 10 * HOUR;
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01 web-02");
    story_say(s, "web-03", "1/a", INSTANCE_FAILED);
    return r;
}

static int64_t due_leftover(const struct story *s, const struct rollout *r)
{
    (void)s;
    return r->leftover_at;
}

static const struct wait waits[] = {
    { "instance deadline", begin_deadline, due_deadline },
    { "health deadline", begin_health, due_health },
    { "progress deadline", begin_progress, due_progress },
    { "soak", begin_soak, due_wave },
    { "gate", begin_gate, due_wave },
    { "leftovers", begin_leftover, due_leftover },
};
#define WAITS (sizeof waits / sizeof waits[0])

/* One letter of a sequence: pause, resume, freeze (it takes a timeout to notice), thaw, another
 * server. */
static struct rollout *act(struct story *s, char what)
{
    struct rollout *r = story_newest(s);
    switch (what) {
    case 'P': story_verb(s, r, VERB_PAUSE); break;
    case 'R': story_verb(s, r, VERB_RESUME); break;
    case 'F':
        fall_silent(s, 1, 6);
        story_wait(s, TIMEOUT);
        break;
    case 'T': come_back(s, 1, 6); break;
    case 'S': story_reload(s, 0); break;
    default: fail();
    }
    return story_newest(s);
}

/* Returns how long clocks stood still, as it follows from the letters alone. */
static int64_t act_all(struct story *s, const char *letters)
{
    bool is_paused = false, is_frozen = false;
    int64_t stood_still = 0;
    for (const char *at = letters; *at; at++) {
        int64_t begun = s->now;
        struct rollout *r = act(s, *at);
        stood_still += is_paused || is_frozen ? s->now - begun : 0;
        is_paused = *at == 'P' || (is_paused && *at != 'R');
        is_frozen = *at == 'F' || (is_frozen && *at != 'T');
        assert_int_equal(silence_is_frozen(&s->fleet), is_frozen);
        assert_int_equal(r->state, is_paused ? ROLLOUT_PAUSED : ROLLOUT_RUNNING);
        assert_int_equal(r->stopped_at != 0, is_paused || is_frozen);
        story_wait(s, 100 * SECOND);
        stood_still += is_paused || is_frozen ? 100 * SECOND : 0;
    }
    return stood_still;
}

static void claim_moved(const struct wait *wait, const char *letters)
{
    struct story *s = story_new(NULL, 7);
    struct rollout *r = wait->begin(s);
    int64_t due = wait->due(s, r);
    assert_int_equal(due, s->now + 10 * HOUR);

    int64_t stood_still = act_all(s, letters);

    r = story_newest(s);
    if (wait->due(s, r) != due + stood_still)
        fail_msg("%s after %s: moved by %lld s, not by %lld s", wait->name, letters,
                 (long long)(wait->due(s, r) - due) / SECOND, (long long)stood_still / SECOND);
    if (wait->due == due_wave)
        story_promote(s, r, false); /* and it goes on */
    assert_true(wait->due != due_wave || r->open_wave == 1);
    story_free(s);
}

static void test_clocks_move_by_the_time_that_the_fleet_was_frozen(void **state)
{
    (void)state;

    for (size_t i = 0; i < WAITS; i++) {
        claim_moved(&waits[i], "FT");
        claim_moved(&waits[i], "FTFT");
    }
}

static void test_clocks_move_by_pauses_and_freezes_together_in_whatever_order(void **state)
{
    (void)state;
    static const char *const orders[] = { "PFTR", "PFRT",   "FPTR",   "FPRT",  "FTPR",
                                          "PRFT", "PFTFTR", "FPRPRT", "FPTRFT" };

    for (size_t i = 0; i < WAITS; i++)
        for (size_t k = 0; k < sizeof orders / sizeof orders[0]; k++)
            claim_moved(&waits[i], orders[k]);
}

static void test_a_restart_anywhere_in_pauses_and_freezes_moves_nothing(void **state)
{
    (void)state;
    static const char *const orders[] = { "SPSFSRSTS", "SFSPSTSRS", "PFSTR", "FSPRST" };

    for (size_t i = 0; i < WAITS; i++)
        for (size_t k = 0; k < sizeof orders / sizeof orders[0]; k++)
            claim_moved(&waits[i], orders[k]);
}

/* A wave of one member, which fails five minutes after the freeze: it shows nothing but that. */
static struct rollout *failed_in_a_freeze(struct story *s)
{
    struct rollout_config config = story_config(1, 5);
    config.progress_deadline_ms = 5 * MINUTE;
    config.leftover_timeout_ms = 30 * MINUTE;
    story_waves(s, &config, "one 1; rest");
    struct rollout *r = frozen_with(s, config);
    story_wait(s, 5 * MINUTE);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    assert_true(r->leftover_at != 0);
    story_wait(s, 5 * MINUTE);
    return r;
}

static void test_leftovers_that_appear_in_a_freeze_get_their_time_after_it(void **state)
{
    struct story *s = *state;
    struct rollout *r = failed_in_a_freeze(s);

    come_back(s, 1, 3);

    assert_int_equal(r->leftover_at, s->now + 30 * MINUTE);
}

static void test_leftovers_that_vanish_in_a_freeze_leave_the_progress_deadline_as_it_was(
    void **state)
{
    struct story *s = *state;
    struct rollout *r = failed_in_a_freeze(s);
    story_verb(s, r, VERB_RETRY);
    assert_int_equal(r->leftover_at, 0);
    story_wait(s, 5 * MINUTE);

    come_back(s, 1, 3);

    assert_string_equal(story_flying(s, r), "web-01");
    story_wait(s, 5 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->cause, ROLLOUT_CAUSE_PROGRESS_DEADLINE);
}

static void test_a_breach_pause_that_is_resumed_in_a_freeze_gets_its_time_after_it(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(2, 1);
    config.on_failure = ON_FAILURE_PAUSE;
    config.progress_deadline_ms = 5 * MINUTE;
    story_fleet(s, 3, "job=yes", "1/a");
    bystanders(s, 8);
    struct rollout *r = story_deploy(s, "job", "2/b", &config);
    story_say(s, "web-01", "1/a", INSTANCE_FAILED);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    fall_silent(s, 1, 8);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));
    story_wait(s, 5 * MINUTE);

    story_verb(s, r, VERB_RESUME);
    assert_int_equal(rollout_tally(r)->acknowledged, 1);
    story_wait(s, 5 * MINUTE);
    come_back(s, 1, 8);

    assert_string_equal(story_flying(s, r), "web-02 web-03");
    story_wait(s, 5 * MINUTE - SECOND);
    assert_int_equal(r->state, ROLLOUT_RUNNING);
    story_wait(s, SECOND);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
}

static void test_min_healthy_time_runs_while_the_fleet_is_frozen(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    config.min_healthy_ms = 10 * MINUTE;
    struct rollout *r = frozen_with(s, config);
    updated(s, "web-01");

    story_wait(s, 10 * MINUTE);

    assert_tally(r, 2, 0, 1, 0); /* it is seen well, whoever else is silent */
}

/* ---- restarts and undoing ------------------------------------------------------------------- */

static void test_a_restart_while_frozen_gives_the_same_state_and_thaws_as_before(void **state)
{
    struct story *s = *state;
    frozen(s);
    updated(s, "web-01");
    come_back(s, 1, 1);
    story_assert_survives(s);
    story_restart(s, HOUR);
    story_reload(s, HOUR);
    struct rollout *r = story_newest(s);
    assert_true(silence_is_frozen(&s->fleet));
    assert_int_equal(s->fleet.silence.fallen, 5);
    assert_int_equal(s->fleet.silence.missing, 4);

    story_wait(s, MINUTE);
    assert_string_equal(story_flying(s, r), "");
    come_back(s, 2, 2);
    assert_string_equal(story_flying(s, r), "");
    come_back(s, 3, 3);

    assert_string_equal(story_flying(s, r), "web-02");
}

static void test_time_frozen_and_without_a_server_counts_once(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen(s);
    int64_t left = story_instance(s, "web-01")->assignment.deadline_at - s->now;
    story_wait(s, MINUTE);
    story_reload(s, HOUR);
    r = story_newest(s);
    story_wait(s, MINUTE);

    come_back(s, 1, 5);

    assert_int_equal(story_instance(s, "web-01")->assignment.deadline_at, s->now + left);
    assert_int_equal(r->stopped_at, 0);
}

static void test_a_freeze_and_a_thaw_are_taken_back(void **state)
{
    struct story *s = *state;
    struct rollout *r = one_in_flight(s, story_config(1, 5));
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT - SECOND);
    s->keeps_rounds_open = true;
    char *before = story_dump(s);

    s->now += SECOND;
    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
    story_undo(s);
    char *after = story_dump(s);
    story_assert_same(before, after);
    assert_false(silence_is_frozen(&s->fleet));
    free(before);
    free(after);

    story_tick(s);
    assert_true(silence_is_frozen(&s->fleet));
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
    before = story_dump(s);
    s->now += MINUTE;
    come_back(s, 1, 5);
    assert_int_equal(r->stopped_at, 0);
    story_undo(s);
    after = story_dump(s);
    story_assert_same(before, after);
    assert_true(silence_is_frozen(&s->fleet));
    come_back(s, 1, 3);
    assert_false(silence_is_frozen(&s->fleet));
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_more_than_half_of_those_not_in_flight_freeze_the_fleet),
        STORY(test_exactly_half_do_not),
        STORY(test_members_in_flight_do_not_vote),
        STORY(test_those_who_fall_silent_one_after_the_other_do_not_freeze_the_fleet),
        STORY(test_those_who_fall_silent_within_one_timeout_count_together),
        STORY(test_who_is_heard_again_before_most_fell_silent_does_not_count),
        STORY(test_a_fleet_without_rollouts_freezes_too_and_tells_it),
        STORY(test_nobody_is_picked_while_the_fleet_is_frozen),
        STORY(test_the_next_wave_opens_after_the_thaw),
        STORY(test_failures_are_judged_after_the_thaw),
        STORY(test_a_failure_that_recovers_before_the_thaw_is_none),
        STORY(test_a_rollout_may_complete_while_the_fleet_is_frozen),
        STORY(test_an_abort_works_while_the_fleet_is_frozen),
        STORY(test_a_rollback_works_while_the_fleet_is_frozen),
        STORY(test_a_deploy_while_the_fleet_is_frozen_picks_after_the_thaw),
        STORY(test_a_deploy_that_nobody_needs_completes_in_a_frozen_fleet_too),
        STORY(test_a_promotion_works_while_the_fleet_is_frozen_and_acts_after_it),
        STORY(test_more_than_half_of_the_silent_thaw_the_fleet),
        STORY(test_half_of_an_even_number_is_not_enough),
        STORY(test_a_registration_is_a_return_too),
        STORY(test_newcomers_do_not_thaw_the_fleet),
        STORY(test_the_deletion_of_silent_instances_thaws_the_fleet),
        STORY(test_who_falls_silent_after_the_freeze_is_not_awaited),
        STORY(test_who_falls_silent_in_the_instant_of_the_freeze_belongs_to_it),
        STORY(test_the_fleet_can_freeze_again),
        STORY(test_all_live_rollouts_freeze_and_thaw),
        STORY(test_clocks_move_by_the_time_that_the_fleet_was_frozen),
        STORY(test_clocks_move_by_pauses_and_freezes_together_in_whatever_order),
        STORY(test_a_restart_anywhere_in_pauses_and_freezes_moves_nothing),
        STORY(test_leftovers_that_appear_in_a_freeze_get_their_time_after_it),
        STORY(test_leftovers_that_vanish_in_a_freeze_leave_the_progress_deadline_as_it_was),
        STORY(test_a_breach_pause_that_is_resumed_in_a_freeze_gets_its_time_after_it),
        STORY(test_min_healthy_time_runs_while_the_fleet_is_frozen),
        STORY(test_a_restart_while_frozen_gives_the_same_state_and_thaws_as_before),
        STORY(test_time_frozen_and_without_a_server_counts_once),
        STORY(test_a_freeze_and_a_thaw_are_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
