/* SPDX-License-Identifier: Apache-2.0
 * test_clocks.c - whatever a rollout waits for, its clock stands still while it is paused or the
 * fleet is frozen, and while no server runs (K7 of the spec of rollouts, R18 of the reliability
 * guide). */
#include "core/silence_kit.h"
#include "core/waves.h"

#include "base/suite.h"

static void updated(struct story *s, const char *names)
{
    story_say_all(s, names, "2/b", INSTANCE_HEALTHY);
}

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

static void test_a_gate_that_runs_again_in_a_freeze_gets_its_time_after_it(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(1, 5);
    story_waves(s, &config, "one 1 gate go timeout 300; rest");
    struct rollout *r = one_in_flight(s, config);
    updated(s, "web-01");
    story_wait(s, 5 * MINUTE);
    assert_int_equal(r->state, ROLLOUT_PAUSED);
    fall_silent(s, 1, 6);
    story_wait(s, TIMEOUT + MINUTE);
    assert_true(silence_is_frozen(&s->fleet));

    story_verb(s, r, VERB_RESUME);
    story_wait(s, HOUR);
    assert_int_equal(r->gate_state, GATE_WAITING);
    come_back(s, 1, 6);

    assert_int_equal(r->wave_due_at, s->now + 5 * MINUTE);
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

static void test_time_frozen_and_without_a_server_counts_once(void **state)
{
    struct story *s = *state;
    struct rollout *r = frozen_with(s, story_config(1, 5));
    int64_t left = story_instance(s, "web-01")->assignment.deadline_at - s->now;
    story_wait(s, MINUTE);
    story_reload(s, HOUR);
    r = story_newest(s);
    story_wait(s, MINUTE);

    come_back(s, 1, 5);

    assert_int_equal(story_instance(s, "web-01")->assignment.deadline_at, s->now + left);
    assert_int_equal(r->stopped_at, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_clocks_move_by_the_time_that_the_fleet_was_frozen),
        STORY(test_clocks_move_by_pauses_and_freezes_together_in_whatever_order),
        STORY(test_a_restart_anywhere_in_pauses_and_freezes_moves_nothing),
        STORY(test_leftovers_that_appear_in_a_freeze_get_their_time_after_it),
        STORY(test_leftovers_that_vanish_in_a_freeze_leave_the_progress_deadline_as_it_was),
        STORY(test_a_breach_pause_that_is_resumed_in_a_freeze_gets_its_time_after_it),
        STORY(test_a_gate_that_runs_again_in_a_freeze_gets_its_time_after_it),
        STORY(test_min_healthy_time_runs_while_the_fleet_is_frozen),
        STORY(test_time_frozen_and_without_a_server_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
