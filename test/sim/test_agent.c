/* SPDX-License-Identifier: Apache-2.0
 * test_agent.c - one simulated instance: its tables, its fates, its back-offs, and what it says. */
#include "base/suite.h"
#include "sim/agent.h"

#include <stdio.h>

enum { OLD = 1, NEW = 2, OTHER = 3, CONFIG = 4 };

static const struct behaviour steady = {
    .name = { "steady", 6 }, .latency_min_ms = 1000, .latency_max_ms = 1000, .slow_factor = 1
};

static struct behaviour always(uint32_t failure, uint32_t crash, uint32_t lie)
{
    struct behaviour b = steady;
    b.failure_share = failure;
    b.crash_share = crash;
    b.lie_share = lie;
    return b;
}

/* Registered at 0, runs OLD. */
static struct agent known_agent(const struct behaviour *behaviour)
{
    struct agent a;
    agent_init(&a, 1, TEXT("web-1"), (struct version){ OLD, CONFIG }, behaviour, 0);
    agent_sent(&a);
    agent_registered(&a, 0);
    return a;
}

/* A heartbeat that is answered at once. */
static void beat(struct agent *a, uint32_t code, uint64_t generation, int64_t now)
{
    const struct agent_order order = { { code, 0 }, generation, 77 };
    agent_sent(a);
    agent_answered(a, &order, a->claimed.code != code, 5000, now);
    assert_null(agent_invariant(a));
}

/* ---- tables --------------------------------------------------------------------------------- */

static void complain(void *ctx, const struct sm_finding *finding)
{
    (void)ctx;
    if (finding->severity == SM_NOTE_)
        return;
    print_error("%s: %s (%s)\n", finding->code, finding->text, finding->witness);
}

static void test_both_tables_are_sound(void **state)
{
    (void)state;

    assert_int_equal(sm_check(&link_machine, complain, NULL), 0);
    assert_int_equal(sm_check(&work_machine, complain, NULL), 0);
}

/* Which rows are followed is not visible from outside; what sets them apart is. So the fates of a
 * long random life are told by the pairs of states around each event. */
struct walk {
    bool work[work_state_count][work_event_count][work_state_count];
    bool link[link_state_count][link_event_count][link_state_count];
};

static void act(struct agent *a, struct sim_dice *dice, struct walk *seen, int64_t now)
{
    uint8_t link = a->link, work = a->work;
    switch (sim_dice_roll(dice, 6)) {
    case 0:
        agent_unknown(a, now);
        seen->link[link][LINK_UNKNOWN][a->link] = true;
        break;
    case 1:
        agent_missed(a, 0, now);
        seen->link[link][LINK_MISSED][a->link] = true;
        break;
    case 2:
        if (a->link != LINK_REGISTERING)
            break;
        agent_registered(a, now);
        seen->link[link][LINK_ACCEPTED][a->link] = true;
        break;
    case 3:
        if (a->work_due == TIMERS_NEVER)
            break;
        agent_worked(a, now);
        seen->work[work][WORK_TIMER][a->work] = true;
        if (a->link != link)
            seen->link[link][LINK_CRASH][a->link] = true;
        break;
    default: {
        uint32_t code = OLD + sim_dice_roll(dice, 3);
        bool is_wish = a->claimed.code != code;
        const struct agent_order order = { { code, 0 }, 1 + sim_dice_roll(dice, 2), 0 };
        if (a->link != LINK_BEATING)
            break;
        agent_answered(a, &order, is_wish, 100, now);
        seen->link[link][LINK_ACCEPTED][a->link] = true;
        seen->work[work][is_wish ? WORK_WISH : WORK_CONTENT][a->work] = true;
    }
    }
    const char *broken = agent_invariant(a);
    if (broken)
        fail_msg("%s", broken);
}

static bool is_walked(const struct walk *seen, const struct sm_machine *m, const struct sm_row *row)
{
    uint8_t to = sm_target(row, row->from);
    return m == &work_machine ? seen->work[row->from][row->on][to]
                              : seen->link[row->from][row->on][to];
}

static void test_random_lives_keep_the_invariants_and_take_every_row(void **state)
{
    static struct walk seen;
    const struct behaviour wild = { .latency_min_ms = 1,
                                    .latency_max_ms = 90000,
                                    .failure_share = 3000,
                                    .crash_share = 500,
                                    .lie_share = 3000,
                                    .slow_factor = 1 };
    const struct sm_machine *const machines[] = { &link_machine, &work_machine };
    struct sim_dice dice = { 5 };
    (void)state;

    for (int life = 0; life < 400; life++) {
        char name[16];
        int size = snprintf(name, sizeof name, "web-%d", life);
        struct agent a;
        agent_init(&a, 5, (struct text){ name, (size_t)size }, (struct version){ OLD, 0 }, &wild,
                   0);
        for (int64_t now = 1; now < 200; now++)
            act(&a, &dice, &seen, now * 5000);
    }

    for (size_t m = 0; m < 2; m++)
        for (size_t i = 0; i < machines[m]->row_count; i++)
            if (!is_walked(&seen, machines[m], &machines[m]->rows[i]))
                fail_msg("row %zu of %s was never taken", i, machines[m]->name);
}

/* ---- the protocol --------------------------------------------------------------------------- */

static void test_it_registers_first_and_reports_at_once(void **state)
{
    struct agent a;
    (void)state;

    agent_init(&a, 1, TEXT("web-1"), (struct version){ OLD, 0 }, &steady, 500);
    assert_int_equal(a.link, LINK_REGISTERING);
    assert_int_equal(a.call_due, 500);
    agent_sent(&a);
    agent_registered(&a, 600);

    assert_int_equal(a.link, LINK_BEATING);
    assert_int_equal(a.call_due, 600);
}

static void test_it_beats_when_the_server_says(void **state)
{
    struct agent a = known_agent(&steady);
    const struct agent_order none = { { 0, 0 }, 1, 0 };
    (void)state;

    agent_sent(&a);
    agent_answered(&a, &none, false, 7000, 1000);
    assert_int_equal(a.call_due, 8000);
    agent_sent(&a);
    agent_answered(&a, &none, false, 0, 8000);
    assert_int_equal(a.call_due, 8000 + AGENT_INTERVAL_MS);
    agent_sent(&a);
    agent_answered(&a, &none, false, INT64_MAX, 9000);
    assert_int_equal(a.call_due, 9000 + AGENT_INTERVAL_MAX_MS);
}

static void test_an_update_runs_its_time_and_is_then_reported_at_once(void **state)
{
    struct agent a = known_agent(&steady);
    (void)state;

    beat(&a, NEW, 2, 1000);

    assert_int_equal(a.work, WORK_UPDATING);
    assert_int_equal(a.work_due, 2000);
    assert_int_equal(a.claimed.code, OLD); /* never before it runs */
    agent_worked(&a, 2000);
    assert_int_equal(a.work, WORK_IDLE);
    assert_int_equal(a.running.code, NEW);
    assert_int_equal(a.claimed.code, NEW);
    assert_int_equal(a.running.config, CONFIG); /* a part left out stays */
    assert_int_equal(a.call_due, 2000);
}

static void test_an_update_that_ends_during_a_call_is_reported_right_after_it(void **state)
{
    struct agent a = known_agent(&steady);
    const struct agent_order order = { { NEW, 0 }, 2, 77 };
    (void)state;
    beat(&a, NEW, 2, 1000);

    agent_sent(&a); /* the report that says OLD */
    agent_worked(&a, 2000);
    agent_answered(&a, &order, true, 5000, 2100);

    assert_int_equal(a.work, WORK_IDLE); /* the answer is to an older report: no second update */
    assert_int_equal(a.counts.updates, 1);
    assert_int_equal(a.call_due, 2100);
}

static void test_a_newer_wish_waits_for_the_end_of_the_update(void **state)
{
    struct agent a = known_agent(&steady);
    (void)state;
    beat(&a, NEW, 2, 1000);

    beat(&a, OTHER, 3, 1500);
    assert_int_equal(a.work, WORK_UPDATING);
    assert_int_equal(agent_observed(&a), 2); /* its words are still about the older order */
    agent_worked(&a, 2000);
    assert_int_equal(a.running.code, NEW);
    beat(&a, OTHER, 3, 2000);

    assert_int_equal(a.work, WORK_UPDATING);
    assert_int_equal(agent_observed(&a), 3);
    agent_worked(&a, 3000);
    assert_int_equal(a.running.code, OTHER);
}

static void test_a_failed_update_keeps_the_old_version_and_says_so(void **state)
{
    const struct behaviour fails = always(SHARE_WHOLE, 0, 0);
    struct agent a = known_agent(&fails);
    (void)state;

    beat(&a, NEW, 2, 1000);
    assert_int_equal(agent_status(&a, 1500), INSTANCE_HEALTHY);
    agent_worked(&a, 2000);

    assert_int_equal(a.work, WORK_BROKEN);
    assert_int_equal(agent_status(&a, 2000), INSTANCE_FAILED);
    assert_non_null(agent_message(&a));
    assert_int_equal(a.claimed.code, OLD);
    assert_int_equal(a.call_due, 2000);
}

static void test_a_failed_order_is_tried_again_later_and_a_bounded_number_of_times(void **state)
{
    const struct behaviour fails = always(SHARE_WHOLE, 0, 0);
    struct agent a = known_agent(&fails);
    int64_t now = 1000;
    (void)state;

    beat(&a, NEW, 2, now);
    agent_worked(&a, now += 1000);
    beat(&a, NEW, 2, now + 1);
    assert_int_equal(a.work, WORK_BROKEN); /* not at once */
    for (int i = 0; i < 100; i++) {
        now += AGENT_AGAIN_MS;
        beat(&a, NEW, 2, now);
        if (a.work == WORK_UPDATING)
            agent_worked(&a, now += 1000);
    }

    assert_int_equal(a.counts.updates, AGENT_ATTEMPTS_MAX);
    assert_int_equal(a.work, WORK_BROKEN);
}

static void test_a_newer_order_is_tried_at_once_after_a_failure(void **state)
{
    const struct behaviour fails = always(SHARE_WHOLE, 0, 0);
    struct agent a = known_agent(&fails);
    (void)state;
    beat(&a, NEW, 2, 1000);
    agent_worked(&a, 2000);

    beat(&a, NEW, 3, 2001); /* the same version, wished anew */

    assert_int_equal(a.work, WORK_UPDATING);
}

static void test_the_end_of_its_rollout_makes_no_new_order(void **state)
{
    const struct behaviour fails = always(SHARE_WHOLE, 0, 0);
    const struct agent_order ended = { { NEW, 0 }, 2, 0 };
    const struct agent_order another = { { NEW, 0 }, 2, 78 };
    struct agent a = known_agent(&fails);
    (void)state;
    beat(&a, NEW, 2, 1000);
    agent_worked(&a, 2000);

    agent_answered(&a, &ended, true, 5000, 3000);
    assert_int_equal(a.work, WORK_BROKEN);
    agent_answered(&a, &another, true, 5000, 4000); /* a rollout of its own */
    assert_int_equal(a.work, WORK_UPDATING);
}

static void test_a_wish_for_what_runs_heals_a_broken_one(void **state)
{
    const struct behaviour fails = always(SHARE_WHOLE, 0, 0);
    struct agent a = known_agent(&fails);
    (void)state;
    beat(&a, NEW, 2, 1000);
    agent_worked(&a, 2000);

    beat(&a, OLD, 3, 3000); /* rolled back */

    assert_int_equal(a.work, WORK_IDLE);
    assert_int_equal(agent_status(&a, 3000), INSTANCE_HEALTHY);
    assert_int_equal(a.call_due, 3000); /* and says so at once */
    assert_int_equal(agent_observed(&a), 3);
}

static void test_the_failure_of_an_order_that_is_no_more_is_not_reported(void **state)
{
    const struct behaviour fails = always(SHARE_WHOLE, 0, 0);
    struct agent a = known_agent(&fails);
    (void)state;
    beat(&a, NEW, 2, 1000);
    beat(&a, OLD, 3, 1500); /* rolled back while it updates */

    agent_worked(&a, 2000);

    assert_int_equal(a.work, WORK_IDLE);
    assert_int_equal(agent_status(&a, 2000), INSTANCE_HEALTHY);
    assert_int_equal(a.counts.failures, 0);
}

static void test_a_crash_comes_half_way_and_is_for_ever(void **state)
{
    const struct behaviour crashes = always(0, SHARE_WHOLE, 0);
    struct agent a = known_agent(&crashes);
    (void)state;
    beat(&a, NEW, 2, 1000);
    assert_int_equal(a.work_due, 1500);

    agent_worked(&a, 1500);

    assert_int_equal(a.link, LINK_SILENT);
    assert_int_equal(a.call_due, TIMERS_NEVER);
    assert_int_equal(a.work_due, TIMERS_NEVER);
    agent_missed(&a, 0, 2000); /* the answer to what was under way */
    beat(&a, OTHER, 3, 2000);
    assert_int_equal(a.call_due, TIMERS_NEVER);
}

static void test_a_lie_claims_the_target_and_takes_it_back(void **state)
{
    const struct behaviour lies = always(0, 0, SHARE_WHOLE);
    struct agent a = known_agent(&lies);
    (void)state;

    beat(&a, NEW, 2, 1000);
    assert_int_equal(a.claimed.code, NEW);
    assert_int_equal(a.running.code, OLD);
    assert_int_equal(a.call_due, 1000);
    beat(&a, NEW, 2, 1100);
    assert_int_equal(a.work, WORK_LYING);
    agent_worked(&a, 2000);

    assert_int_equal(a.claimed.code, OLD);
    assert_int_equal(a.call_due, 2000);
}

static void test_a_liar_gives_up_after_a_few_attempts(void **state)
{
    const struct behaviour lies = always(0, 0, SHARE_WHOLE);
    struct agent a = known_agent(&lies);
    int64_t now = 1000;
    (void)state;

    for (int i = 0; i < 20; i++) {
        beat(&a, NEW, 2, now += 1000);
        if (a.work == WORK_LYING)
            agent_worked(&a, now += 1000);
    }

    assert_int_equal(a.counts.lies, AGENT_ATTEMPTS_MAX);
    assert_int_equal(agent_status(&a, now), INSTANCE_FAILED);
}

static void test_shares_can_be_of_one_version_only(void **state)
{
    struct behaviour fails = always(SHARE_WHOLE, 0, 0);
    struct agent a = known_agent(&fails);
    (void)state;
    fails.only_code = OTHER;

    beat(&a, NEW, 2, 1000);
    agent_worked(&a, 2000);
    assert_int_equal(a.running.code, NEW);
    beat(&a, OTHER, 3, 3000);
    agent_worked(&a, 4000);

    assert_int_equal(a.work, WORK_BROKEN);
}

static void test_flapping_starts_with_the_first_update(void **state)
{
    struct behaviour flaps = steady;
    struct agent a = known_agent(&flaps);
    (void)state;
    flaps.flap_ms = 100;

    assert_int_equal(agent_status(&a, 150), INSTANCE_HEALTHY);
    beat(&a, NEW, 2, 1000);
    agent_worked(&a, 2000);

    assert_int_equal(agent_status(&a, 2099), INSTANCE_HEALTHY);
    assert_int_equal(agent_status(&a, 2100), INSTANCE_DEGRADED);
    assert_int_equal(agent_status(&a, 2200), INSTANCE_HEALTHY);
}

/* ---- back-offs ------------------------------------------------------------------------------ */

static void test_waits_are_random_below_a_bound_that_doubles_to_a_minute(void **state)
{
    static const int64_t bounds[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
    struct sim_dice dice = { 3 };
    (void)state;

    for (uint32_t misses = 1; misses <= 9; misses++) {
        int64_t low = INT64_MAX, high = 0, bound = bounds[misses - 1];
        for (int i = 0; i < 2000; i++) {
            int64_t wait = agent_backoff_ms(&dice, misses);
            low = wait < low ? wait : low;
            high = wait > high ? wait : high;
        }
        assert_true(low >= 1 && low < bound / 50);
        assert_true(high <= bound && high > bound - bound / 50);
    }
    assert_true(agent_backoff_ms(&dice, UINT32_MAX) <= 60000);
}

static void test_only_an_accepted_heartbeat_ends_the_back_off(void **state)
{
    struct agent a = known_agent(&steady);
    (void)state;

    for (int i = 0; i < 3; i++)
        agent_missed(&a, 0, 1000);
    assert_int_equal(a.misses, 3);
    agent_unknown(&a, 2000);
    agent_registered(&a, 3000);
    assert_int_equal(a.misses, 4); /* or a server that knows it for registration only were asked
                                      without end */
    beat(&a, OLD, 1, 4000);

    assert_int_equal(a.misses, 0);
}

static void test_a_wait_the_server_asks_for_is_kept_and_jittered(void **state)
{
    struct agent a = known_agent(&steady);
    (void)state;

    agent_missed(&a, 7000, 1000);
    assert_true(a.call_due > 8000 && a.call_due <= 9000);
    agent_missed(&a, 3600 * 1000, 1000); /* nobody is made to wait for an hour */
    assert_true(a.call_due > 61000 && a.call_due <= 63000);
}

static void test_404_makes_it_register_again_without_losing_its_place(void **state)
{
    struct agent a = known_agent(&steady);
    (void)state;
    beat(&a, NEW, 2, 1000);

    agent_unknown(&a, 1200);
    assert_int_equal(a.link, LINK_REGISTERING);
    agent_worked(&a, 2000);
    agent_sent(&a);
    agent_registered(&a, 2100);

    assert_int_equal(a.claimed.code, NEW);
    assert_int_equal(a.call_due, 2100);
}

static void test_backing_off_goes_on_when_an_update_ends(void **state)
{
    struct agent a = known_agent(&steady);
    (void)state;
    beat(&a, NEW, 2, 1000);
    agent_missed(&a, 60000, 1100);
    int64_t due = a.call_due;

    agent_worked(&a, 2000);

    assert_int_equal(a.call_due, due);
}

/* ---- chance --------------------------------------------------------------------------------- */

struct fates {
    uint32_t good, failed, crashed, lied;
    int64_t slow;
};

static struct fates count_fates(const struct behaviour *b, uint64_t seed, int instances)
{
    struct fates fates = { 0 };
    for (int i = 0; i < instances; i++) {
        char name[24];
        struct agent a;
        int size = snprintf(name, sizeof name, "web-%d", i);
        agent_init(&a, seed, (struct text){ name, (size_t)size }, (struct version){ OLD, 0 }, b, 0);
        agent_registered(&a, 0);
        beat(&a, NEW, 2, 0);
        fates.slow += a.work_due > b->latency_max_ms;
        fates.lied += a.work == WORK_LYING;
        agent_worked(&a, a.work_due);
        fates.failed += a.work == WORK_BROKEN;
        fates.crashed += a.work == WORK_CRASHED;
        fates.good += a.running.code == NEW;
    }
    return fates;
}

static void test_fates_are_as_frequent_as_their_shares(void **state)
{
    const struct behaviour b = { .latency_min_ms = 1000,
                                 .latency_max_ms = 2000,
                                 .failure_share = 2000,
                                 .crash_share = 200,
                                 .lie_share = 100,
                                 .slow_share = 500,
                                 .slow_factor = 10 };
    (void)state;

    struct fates fates = count_fates(&b, 42, 20000);

    assert_in_range(fates.failed, 3830, 4170); /* 4000, three deviations of 57 */
    assert_in_range(fates.crashed, 340, 460);
    assert_in_range(fates.lied, 158, 242);
    assert_in_range(fates.slow, 905, 1095);
    assert_int_equal(fates.good + fates.failed + fates.crashed + fates.lied, 20000);
}

static void test_the_same_seed_gives_the_same_fates_whatever_the_network_does(void **state)
{
    const struct behaviour b = { .latency_min_ms = 10, .latency_max_ms = 99999, .slow_factor = 1 };
    struct agent calm = known_agent(&b), shaken = known_agent(&b);
    (void)state;

    for (int i = 0; i < 10; i++)
        agent_missed(&shaken, 0, 0);
    beat(&calm, NEW, 2, 1000);
    beat(&shaken, NEW, 2, 1000);

    assert_int_equal(calm.work_due, shaken.work_due);
}

static void test_a_certain_latency_stays_within_its_range(void **state)
{
    const struct behaviour b = { .latency_min_ms = 100, .latency_max_ms = 200, .slow_factor = 1 };
    int64_t low = INT64_MAX, high = 0;
    (void)state;

    for (int i = 0; i < 3000; i++) {
        char name[24];
        struct agent a;
        int size = snprintf(name, sizeof name, "web-%d", i);
        agent_init(&a, 9, (struct text){ name, (size_t)size }, (struct version){ 0 }, &b, 0);
        agent_registered(&a, 0);
        beat(&a, NEW, 2, 0);
        low = a.work_due < low ? a.work_due : low;
        high = a.work_due > high ? a.work_due : high;
    }

    assert_int_equal(low, 100);
    assert_int_equal(high, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_tables_are_sound),
        cmocka_unit_test(test_random_lives_keep_the_invariants_and_take_every_row),
        cmocka_unit_test(test_it_registers_first_and_reports_at_once),
        cmocka_unit_test(test_it_beats_when_the_server_says),
        cmocka_unit_test(test_an_update_runs_its_time_and_is_then_reported_at_once),
        cmocka_unit_test(test_an_update_that_ends_during_a_call_is_reported_right_after_it),
        cmocka_unit_test(test_a_newer_wish_waits_for_the_end_of_the_update),
        cmocka_unit_test(test_a_failed_update_keeps_the_old_version_and_says_so),
        cmocka_unit_test(test_a_failed_order_is_tried_again_later_and_a_bounded_number_of_times),
        cmocka_unit_test(test_a_newer_order_is_tried_at_once_after_a_failure),
        cmocka_unit_test(test_the_end_of_its_rollout_makes_no_new_order),
        cmocka_unit_test(test_a_wish_for_what_runs_heals_a_broken_one),
        cmocka_unit_test(test_the_failure_of_an_order_that_is_no_more_is_not_reported),
        cmocka_unit_test(test_a_crash_comes_half_way_and_is_for_ever),
        cmocka_unit_test(test_a_lie_claims_the_target_and_takes_it_back),
        cmocka_unit_test(test_a_liar_gives_up_after_a_few_attempts),
        cmocka_unit_test(test_shares_can_be_of_one_version_only),
        cmocka_unit_test(test_flapping_starts_with_the_first_update),
        cmocka_unit_test(test_waits_are_random_below_a_bound_that_doubles_to_a_minute),
        cmocka_unit_test(test_only_an_accepted_heartbeat_ends_the_back_off),
        cmocka_unit_test(test_a_wait_the_server_asks_for_is_kept_and_jittered),
        cmocka_unit_test(test_404_makes_it_register_again_without_losing_its_place),
        cmocka_unit_test(test_backing_off_goes_on_when_an_update_ends),
        cmocka_unit_test(test_fates_are_as_frequent_as_their_shares),
        cmocka_unit_test(test_the_same_seed_gives_the_same_fates_whatever_the_network_does),
        cmocka_unit_test(test_a_certain_latency_stays_within_its_range),
    };
    return cmocka_run_group_tests_name("sim/agent", tests, NULL, NULL);
}
