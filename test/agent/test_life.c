/* SPDX-License-Identifier: Apache-2.0
 * test_life.c - the two machines of an agent: their tables, and what they do about orders, failures
 * and silence. */
#include "agent/life_kit.h"
#include "base/suite.h"

#include <stdio.h>

/* ---- tables ------------------------------------------------------------------------------------
 */

static void complain(void *ctx, const struct sm_finding *finding)
{
    (void)ctx;
    print_error("%s: %s (%s)\n", finding->code, finding->text, finding->witness);
}

static void test_both_tables_are_sound(void **state)
{
    (void)state;

    assert_int_equal(sm_check(&uplink_machine, complain, NULL), 0);
    assert_int_equal(sm_check(&duty_machine, complain, NULL), 0);
}

/* Which row was followed shows in the two states around the event, and where that is not enough, in
 * its effects. */
struct walk {
    bool uplink[uplink_state_count][uplink_event_count][uplink_state_count];
    bool duty[duty_state_count][duty_event_count][duty_state_count];
};

static uint64_t roll(uint64_t *dice, uint64_t sides)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return (*dice >> 33) % sides;
}

static const char *const versions[] = { "1.0\nc1\n", "2.0\nc1\n", "3.0\nc1\n", "", "\n" };
static const char *const wishes[] = { "", "1.0", "2.0", "3.0" };

/* A random answer that the request under way could get. */
static enum uplink_event answer_at_random(struct kit *kit, uint64_t *dice)
{
    static const enum uplink_event events[] = { UPLINK_TAKEN,   UPLINK_UNKNOWN, UPLINK_DENIED,
                                                UPLINK_NO_WAIT, UPLINK_OVER,    UPLINK_MISSED };
    bool is_registration = kit->life.uplink == UPLINK_REGISTERING;
    enum life_outcome outcome = roll(dice, 3) ? LIFE_TAKEN : (enum life_outcome)roll(dice, 6);
    if ((outcome == LIFE_NO_WAIT && !kit->life.call_is_held) ||
        (outcome == LIFE_OVER && (is_registration || kit->life.told.asks)))
        outcome = LIFE_MISSED;
    struct life_order order = order_of(
        wishes[roll(dice, 4)], kit->life.record.seen_generation + roll(dice, 2), roll(dice, 4));
    answer(kit, (struct life_answer){ .outcome = outcome,
                                      .is_registration = is_registration,
                                      .is_new = roll(dice, 2),
                                      .gave_credential = roll(dice, 2),
                                      .session = text_from(roll(dice, 9) ? "s-1" : ""),
                                      .next_ms = 5000,
                                      .order = is_registration ? NULL : &order });
    return events[outcome];
}

static bool command_runs(const struct life *life)
{
    return life->duty == DUTY_READING || life->duty == DUTY_PROBING ||
           life->duty == DUTY_UPDATING || life->duty == DUTY_ENDING;
}

static void note(struct walk *seen, const struct life *before, const struct life *after, int uplink,
                 int duty)
{
    if (uplink >= 0)
        seen->uplink[before->uplink][uplink][after->uplink] = true;
    if (duty >= 0)
        seen->duty[before->duty][duty][after->duty] = true;
    bool ends_look = duty == DUTY_ENDED &&
                     (before->duty == DUTY_PROBING || after->duty != DUTY_PROBING) &&
                     before->duty != DUTY_UPDATING && before->duty != DUTY_ENDING;
    bool judged =
        ends_look || (duty == DUTY_ORDER && before->duty == DUTY_IDLE) ||
        (duty == DUTY_ORDER && before->duty == DUTY_PAUSING && after->duty != DUTY_PAUSING);
    if (!judged)
        return;
    seen->duty[before->duty][duty][DUTY_JUDGING] = true;
    seen->duty[DUTY_JUDGING][DUTY_JUDGE][after->duty] = true;
    if (uplink < 0 && before->uplink != after->uplink)
        seen->uplink[before->uplink][UPLINK_TELL][after->uplink] = true;
    else if (uplink < 0)
        seen->uplink[before->uplink][UPLINK_TELL][before->uplink] = true;
}

static void act(struct kit *kit, uint64_t *dice, struct walk *seen)
{
    struct life before = kit->life;
    uint64_t kind = roll(dice, 40);
    bool has_call = before.uplink == UPLINK_REGISTERING || before.uplink == UPLINK_REPORTING;
    kit->now += (int64_t)roll(dice, 3000);
    if (kind == 0) {
        stop(kit);
        note(seen, &before, &kit->life, UPLINK_STOP, DUTY_STOP);
    } else if (kind < 14 && has_call) {
        int event = (int)answer_at_random(kit, dice);
        bool heard = event == UPLINK_TAKEN && before.uplink == UPLINK_REPORTING;
        note(seen, &before, &kit->life, event, heard ? DUTY_ORDER : -1);
    } else if (kind < 26 && command_runs(&before)) {
        enum command_end end = roll(dice, 2) ? COMMAND_EXITED : (enum command_end)roll(dice, 5);
        ended(kit, end, (int)roll(dice, 3), versions[roll(dice, 5)]);
        note(seen, &before, &kit->life, -1, DUTY_ENDED);
    } else if (life_due(&before) != LIFE_NEVER) {
        bool uplink = before.uplink_due <= before.duty_due,
             duty = before.duty_due <= before.uplink_due;
        kit->now = life_due(&before) > kit->now ? life_due(&before) : kit->now;
        uplink |= before.uplink_due <= kit->now;
        duty |= before.duty_due <= kit->now;
        step(kit, (struct life_event){ .kind = LIFE_TIMER });
        note(seen, &before, &kit->life, uplink ? UPLINK_TIMER : -1, duty ? DUTY_TIMER : -1);
    }
}

static bool is_walked(const struct walk *seen, const struct sm_machine *m, const struct sm_row *row)
{
    uint8_t to = sm_target(row, row->from);
    return m == &uplink_machine ? seen->uplink[row->from][row->on][to]
                                : seen->duty[row->from][row->on][to];
}

static void test_random_lives_keep_the_invariants_and_take_every_row(void **state)
{
    static struct walk seen;
    const struct sm_machine *const machines[] = { &uplink_machine, &duty_machine };
    uint64_t dice = 7;
    (void)state;

    for (int life = 0; life < 4000; life++) {
        struct life_options options = plain;
        struct kit kit = { .now = NOW };
        options.has_credential = roll(&dice, 2);
        options.can_probe = roll(&dice, 2);
        life_init(&kit.life, &options);
        struct life before = kit.life;
        bool is_stillborn = roll(&dice, 20) == 0;
        step(&kit, (struct life_event){ .kind = is_stillborn ? LIFE_STOP : LIFE_START });
        note(&seen, &before, &kit.life, is_stillborn ? UPLINK_STOP : UPLINK_START,
             is_stillborn ? DUTY_STOP : DUTY_START);
        for (int i = 0; i < 150; i++)
            act(&kit, &dice, &seen);
    }

    for (size_t m = 0; m < 2; m++)
        for (size_t i = 0; i < machines[m]->row_count; i++)
            if (!is_walked(&seen, machines[m], &machines[m]->rows[i]))
                fail_msg("row %zu of %s was never taken", i, machines[m]->name);
}

/* ---- the uplink --------------------------------------------------------------------------------
 */

static void test_it_registers_and_looks_at_once(void **state)
{
    (void)state;

    struct kit kit = start_with(plain);

    assert_int_equal(kit.effects, LIFE_REGISTER | LIFE_READ);
}

static void test_a_kept_credential_spares_the_registration(void **state)
{
    struct life_options options = plain;
    (void)state;

    options.has_credential = true;
    struct kit kit = start_with(options);

    assert_int_equal(kit.effects, LIFE_REPORT | LIFE_READ);
}

static void test_the_first_report_only_asks(void **state)
{
    (void)state;
    struct kit kit = start_with(plain);
    exited(&kit, 0, "1.0\nc1\n");

    answer(&kit, (struct life_answer){ .outcome = LIFE_TAKEN, .is_registration = true });

    assert_int_equal(kit.effects & LIFE_REPORT, LIFE_REPORT);
    assert_false(report_of(&kit).has_status || report_of(&kit).has_version);
    assert_int_equal(hear(&kit, "", 1, false) & LIFE_REPORT, LIFE_REPORT);
    assert_true(report_of(&kit).has_status && report_of(&kit).has_version);
    assert_text(life_part_text(&kit.life.told.version.config), "c1");
}

static void test_back_offs_double_up_to_a_minute_with_full_jitter(void **state)
{
    (void)state;
    int64_t bound = 1000;

    for (uint32_t misses = 1; misses < 100; misses++) {
        assert_int_equal(life_backoff_ms((uint64_t)bound, misses), bound);
        assert_int_equal(life_backoff_ms((uint64_t)bound + 1, misses), 0);
        bound = bound < 30000 ? bound * 2 : 60000;
    }
}

static void test_what_the_server_asks_for_is_added_to_the_jitter(void **state)
{
    (void)state;
    struct kit kit = settled();
    wake(&kit);

    answer(&kit, (struct life_answer){ .outcome = LIFE_MISSED, .retry_after_ms = 7000 });

    assert_int_equal(kit.life.uplink, UPLINK_CUT_OFF);
    assert_true(kit.life.uplink_due >= kit.now + 7000 && kit.life.uplink_due <= kit.now + 8000);
    assert_int_equal(wake(&kit) & LIFE_REPORT, LIFE_REPORT);
}

static void test_who_is_unknown_registers_again_and_counts_orders_anew(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "1.0", 9, false);
    kit.now = kit.life.uplink_due;
    step(&kit, (struct life_event){ .kind = LIFE_TIMER });

    answer(&kit, (struct life_answer){ .outcome = LIFE_UNKNOWN });
    uint32_t again = wake(&kit);
    answer(&kit, (struct life_answer){ .outcome = LIFE_TAKEN, .is_registration = true });

    assert_int_equal(again & LIFE_REGISTER, LIFE_REGISTER);
    assert_int_equal(kit.effects & LIFE_KEEP, LIFE_KEEP);
    assert_int_equal(hear(&kit, "2.0", 1, true) & LIFE_UPDATE, LIFE_UPDATE);
}

static void test_a_credential_that_is_not_taken_is_dropped(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "1.0", 9, false);
    kit.now = kit.life.uplink_due;
    step(&kit, (struct life_event){ .kind = LIFE_TIMER });

    uint32_t denied = answer(&kit, (struct life_answer){ .outcome = LIFE_DENIED });
    wake(&kit);
    answer(&kit, (struct life_answer){ .outcome = LIFE_TAKEN, .is_registration = true });
    uint32_t older = hear(&kit, "2.0", 8, true);

    assert_int_equal(denied & LIFE_DROP, LIFE_DROP);
    assert_int_equal(older & (LIFE_IGNORED | LIFE_UPDATE), LIFE_IGNORED);
}

static void test_an_idle_agent_lets_the_server_hold_its_heartbeat(void **state)
{
    (void)state;
    struct kit kit = settled();

    wake(&kit);
    bool is_held = kit.life.call_is_held;
    kit.now += LIFE_WAIT_MS;
    hear(&kit, "", 0, false);

    assert_true(is_held);
    assert_int_equal(kit.life.uplink_due, kit.now);
}

static void test_a_server_that_does_not_hold_is_not_asked_without_end(void **state)
{
    (void)state;
    struct kit kit = settled();

    wake(&kit);
    kit.now += 3;
    hear(&kit, "", 0, false);

    assert_int_equal(kit.life.uplink_due, kit.now + 5000);
}

static void test_a_server_without_wait_is_asked_plainly(void **state)
{
    (void)state;
    struct kit kit = settled();
    wake(&kit);

    uint32_t again = answer(&kit, (struct life_answer){ .outcome = LIFE_NO_WAIT });
    bool is_held = kit.life.call_is_held;
    hear(&kit, "", 0, false);
    wake(&kit);

    assert_int_equal(again, LIFE_REPORT);
    assert_false(is_held || kit.life.call_is_held);
}

static void test_news_overtakes_a_held_heartbeat(void **state)
{
    struct life_options options = plain;
    (void)state;
    struct kit kit = settled();
    options.can_probe = true;
    kit.life.options = options;
    wake(&kit);
    uint64_t held = kit.life.call;
    kit.now = kit.life.duty_due;
    step(&kit, (struct life_event){ .kind = LIFE_TIMER });
    exited(&kit, 0, "1.0\nc1");

    uint32_t told = exited(&kit, 1, "disk is slow");
    const struct life_order newer = order_of("2.0", 4, true);
    uint32_t late =
        answer(&kit, (struct life_answer){ .call = held, .outcome = LIFE_TAKEN, .order = &newer });

    assert_int_equal(told, LIFE_REPORT);
    assert_int_equal(kit.life.told.status, INSTANCE_DEGRADED);
    assert_text(message_of(&kit.life.told), "health_command ended with exit code 1: disk is slow");
    assert_int_equal(late & LIFE_UPDATE, LIFE_UPDATE);
}

/* ---- the duty ----------------------------------------------------------------------------------
 */

static void test_success_is_what_the_version_command_prints(void **state)
{
    (void)state;
    struct kit kit = settled();

    uint32_t begun = beat(&kit, "2.0", 1, true);
    bool is_quiet = !report_of(&kit).has_status && !report_of(&kit).has_version;
    uint32_t read = exited(&kit, 0, "");
    uint32_t done = exited(&kit, 0, "2.0\nc1\n");

    assert_int_equal(begun, LIFE_SAVE | LIFE_UPDATE);
    assert_true(is_quiet);
    assert_int_equal(read, LIFE_READ);
    assert_int_equal(done, LIFE_SAVE | LIFE_REPORT | LIFE_FULFILLED);
    assert_text(life_part_text(&kit.life.told.version.code), "2.0");
    assert_int_equal(kit.life.told.status, INSTANCE_HEALTHY);
    assert_int_equal(kit.life.told.observed_generation, 1);
}

static void fail_both_attempts(struct kit *kit)
{
    for (int attempt = 1; attempt <= 2; attempt++) {
        assert_int_equal(kit->life.duty, DUTY_UPDATING);
        assert_int_equal(kit->life.record.attempts, attempt);
        exited(kit, 1, "no space left\n");
        exited(kit, 0, "1.0\nc1\n");
        if (attempt == 2)
            return;
        assert_int_equal(kit->life.duty, DUTY_PAUSING);
        assert_false(report_of(kit).has_status);
        kit->now = kit->life.duty_due;
        step(kit, (struct life_event){ .kind = LIFE_TIMER });
        exited(kit, 0, "1.0\nc1\n");
    }
}

static void test_a_failed_update_is_tried_again_and_then_told(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);

    fail_both_attempts(&kit);

    assert_int_equal(kit.effects & LIFE_GAVE_UP, LIFE_GAVE_UP);
    assert_int_equal(report_of(&kit).status, INSTANCE_FAILED);
    struct life_report report = report_of(&kit);
    assert_text(message_of(&report), "update_command ended with exit code 1: no space left");
    assert_text(life_part_text(&report.version.code), "1.0");
}

static void test_a_failure_stays_for_its_order_and_goes_with_the_next(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);
    fail_both_attempts(&kit);

    hear(&kit, "2.0", 1, true);
    uint32_t same = beat(&kit, "2.0", 1, true);
    uint8_t status = report_of(&kit).status;
    beat(&kit, "1.0", 2, false);

    assert_int_equal(same & LIFE_UPDATE, 0);
    assert_int_equal(status, INSTANCE_FAILED);
    assert_int_equal(report_of(&kit).status, INSTANCE_HEALTHY);
    assert_int_equal(beat(&kit, "2.0", 3, true) & LIFE_UPDATE, LIFE_UPDATE);
}

static void test_another_attempt_of_the_rollout_is_another_order(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);
    fail_both_attempts(&kit);
    hear(&kit, "2.0", 1, true); /* without a number: waits for a slot */
    uint8_t waiting = kit.life.duty;
    if (kit.life.uplink == UPLINK_RESTING)
        wake(&kit);
    struct life_order retried = order_of("2.0", 1, true);
    retried.id.attempt = 2;

    answer(&kit, (struct life_answer){ .outcome = LIFE_TAKEN, .order = &retried });

    assert_int_equal(waiting, DUTY_IDLE);
    assert_int_equal(kit.life.duty, DUTY_UPDATING);
    assert_int_equal(kit.life.record.attempts, 1);
}

static void test_what_came_right_later_is_healthy_once_the_failure_was_told(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);
    fail_both_attempts(&kit);
    hear(&kit, "2.0", 1, true); /* an answer to a report from before */
    hear(&kit, "2.0", 1, true);

    kit.now = kit.life.duty_due;
    step(&kit, (struct life_event){ .kind = LIFE_TIMER });
    exited(&kit, 0, "2.0\nc1\n");
    hear(&kit, "2.0", 1, true); /* to the heartbeat that went out meanwhile */

    assert_int_equal(report_of(&kit).status, INSTANCE_HEALTHY);
    assert_text(life_part_text(&kit.life.told.version.code), "2.0");
}

static void test_an_update_that_lies_is_found_out(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);
    kit.life.options.attempts_max = 1;

    exited(&kit, 0, "all done!\n");
    exited(&kit, 0, "1.5\nc1\n");

    struct life_report report = report_of(&kit);
    assert_int_equal(report.status, INSTANCE_FAILED);
    assert_text(life_part_text(&report.version.code), "1.5");
    assert_text(message_of(&report), "version_command prints 1.5 c1 after the update, not 2.0");
}

static void test_a_newer_wish_waits_for_the_command_and_starts_afresh(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);

    uint32_t meanwhile = beat(&kit, "3.0", 2, true);
    uint64_t observed = report_of(&kit).observed_generation;
    exited(&kit, 1, "");
    uint32_t next = exited(&kit, 0, "1.0\nc1\n");

    assert_int_equal(meanwhile & (LIFE_UPDATE | LIFE_KILL), 0);
    assert_int_equal(observed, 1);
    assert_int_equal(next & LIFE_UPDATE, LIFE_UPDATE);
    assert_text(life_part_text(&kit.life.tried_wish.code), "3.0");
    assert_int_equal(kit.life.record.attempts, 1);
}

static void test_an_older_order_is_ignored(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "1.0", 5, false);

    uint32_t effects = beat(&kit, "0.9", 4, true);

    assert_int_equal(effects & (LIFE_IGNORED | LIFE_UPDATE), LIFE_IGNORED);
    assert_int_equal(kit.life.order.id.generation, 5);
}

static void test_an_order_of_a_higher_term_is_newer_whatever_its_generation(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "1.0", 5, false);
    wake(&kit);

    uint32_t effects = hear_of_term(&kit, "0.9", 2, 1);

    assert_int_equal(effects & (LIFE_IGNORED | LIFE_UPDATE), LIFE_UPDATE);
    assert_int_equal(kit.life.order.id.term, 2);
}

static void test_an_order_of_a_lower_term_is_older_whatever_its_generation(void **state)
{
    (void)state;
    struct kit kit = settled();
    wake(&kit);
    hear_of_term(&kit, "1.0", 3, 1);
    wake(&kit);

    uint32_t effects = hear_of_term(&kit, "0.9", 2, 50);

    assert_int_equal(effects & (LIFE_IGNORED | LIFE_UPDATE), LIFE_IGNORED);
    assert_int_equal(kit.life.order.id.term, 3);
}

static void test_the_same_order_under_a_new_term_may_be_tried_again(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);
    while (!kit.life.has_given_up) {
        exited(&kit, 1, "");
        exited(&kit, 0, "1.0\nc1\n");
        if (!kit.life.has_given_up)
            wake(&kit);
    }
    assert_int_equal(kit.life.uplink, UPLINK_REPORTING);

    uint32_t effects = hear_of_term(&kit, "2.0", 2, 1);

    assert_int_equal(effects & LIFE_UPDATE, LIFE_UPDATE);
    assert_int_equal(kit.life.record.attempts, 1);
}

static void test_the_newest_order_is_remembered_by_the_next_process(void **state)
{
    struct life_options options = plain;
    (void)state;
    struct kit before = settled();
    uint32_t heard = beat(&before, "1.0", 9, false);
    options.record = before.life.record;
    options.has_credential = true;
    struct kit kit = start_with(options);
    exited(&kit, 0, "1.0\nc1\n");

    uint32_t effects = hear(&kit, "0.9", 8, true);
    uint32_t again = beat(&kit, "0.9", 8, true);

    assert_int_equal(heard & LIFE_SAVE, LIFE_SAVE);
    assert_int_equal(effects & (LIFE_IGNORED | LIFE_UPDATE), LIFE_IGNORED);
    assert_int_equal(again & LIFE_IGNORED, 0); /* it was said */
}

static void test_what_was_ignored_is_told_to_the_server(void **state)
{
    struct life_options options = plain;
    (void)state;
    options.record = (struct life_record){ .seen_term = 2, .seen_generation = 7 };
    options.has_credential = true;
    struct kit kit = start_with(options);
    exited(&kit, 0, "1.0\nc1\n");
    assert_false(report_of(&kit).has_observed);

    hear_of_term(&kit, "0.9", 2, 6);

    struct life_report report = report_of(&kit);
    assert_true(report.has_observed);
    assert_int_equal(report.observed_term, 2);
    assert_int_equal(report.observed_generation, 7);
    wake(&kit);
    hear_of_term(&kit, "1.1", 2, 8);
    assert_int_equal(report_of(&kit).observed_generation, 8);
}

static void test_attempts_are_bounded_even_if_each_kills_the_agent(void **state)
{
    struct life_options options = plain;
    int updates = 0;
    (void)state;

    for (int start = 0; start < 5; start++) {
        struct kit kit = start_with(options);
        answer(&kit, (struct life_answer){ .outcome = LIFE_TAKEN, .is_registration = true });
        exited(&kit, 0, "1.0\nc1\n");
        updates += (hear(&kit, "2.0", 1, true) & LIFE_UPDATE) != 0;
        options.record = kit.life.saved; /* killed here */
        if (start == 4)
            assert_int_equal(report_of(&kit).status, INSTANCE_FAILED);
    }

    assert_int_equal(updates, 2);
}

static void test_a_hiccup_of_the_version_command_starts_no_update(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "1.0", 1, false);
    kit.now = kit.life.duty_due;
    step(&kit, (struct life_event){ .kind = LIFE_TIMER });

    ended(&kit, COMMAND_TIMED_OUT, 0, "");

    assert_int_equal(kit.life.duty, DUTY_IDLE);
    struct life_report report = report_of(&kit);
    assert_int_equal(report.status, INSTANCE_DEGRADED);
    assert_text(life_part_text(&report.version.code), "1.0");
}

static void test_where_nothing_runs_yet_the_wish_is_installed(void **state)
{
    (void)state;
    struct kit kit = start_with(plain);
    answer(&kit, (struct life_answer){ .outcome = LIFE_TAKEN, .is_registration = true });
    exited(&kit, 1, "no such file\n");

    assert_int_equal(hear(&kit, "1.0", 1, true) & LIFE_UPDATE, LIFE_UPDATE);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static void test_stopping_an_idle_agent_ends_it_at_once(void **state)
{
    (void)state;
    struct kit kit = settled();

    assert_int_equal(stop(&kit), LIFE_EXIT);
    assert_int_equal(life_due(&kit.life), LIFE_NEVER);
}

static void test_a_running_update_gets_its_grace_and_is_not_counted(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);

    uint32_t at_first = stop(&kit);
    uint32_t after_grace = wake(&kit);
    uint32_t at_the_end = ended(&kit, COMMAND_STOPPED, 0, "");

    assert_int_equal(at_first, 0);
    assert_int_equal(after_grace, LIFE_KILL);
    assert_int_equal(at_the_end, LIFE_SAVE | LIFE_EXIT);
    assert_int_equal(kit.life.record.attempts, 0);
}

static void test_a_second_stop_is_impatient(void **state)
{
    (void)state;
    struct kit kit = settled();
    beat(&kit, "2.0", 1, true);
    stop(&kit);

    assert_int_equal(stop(&kit), LIFE_KILL);
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

static const struct life_answer taken = { .outcome = LIFE_TAKEN, .next_ms = 5000 };

static void test_the_first_heartbeat_asks_for_a_session_and_says_nothing_else(void **state)
{
    (void)state;
    struct kit kit = start_with(plain);

    answer(&kit,
           (struct life_answer){ .outcome = LIFE_TAKEN, .is_registration = true, .is_new = true });

    assert_true(kit.life.told.asks);
    assert_false(kit.life.told.has_status || kit.life.told.has_observed);
    assert_int_equal(kit.life.told.session.size, 0);
}

static void test_what_could_not_be_said_without_a_session_is_said_at_once_in_it(void **state)
{
    (void)state;
    struct kit kit = settled();
    struct life_answer over = { .outcome = LIFE_OVER }, given = taken;
    kit.life.is_plain = false;
    kit.life.session = (struct life_session){ .size = 1, .id = "a" };
    wake(&kit);
    given.session = TEXT("b");

    uint32_t asking = answer(&kit, over);
    bool asked = kit.life.told.asks;
    uint32_t telling = answer(&kit, given);

    assert_true(asking & LIFE_REPORT);
    assert_true(asked);
    assert_true(telling & LIFE_REPORT);
    assert_true(kit.life.told.has_status);
    assert_int_equal(kit.life.told.session.id[0], 'b');
    assert_int_equal(kit.life.told.session.sequence, 1);
}

static void test_each_report_of_a_session_has_a_higher_number(void **state)
{
    (void)state;
    struct kit kit = settled();
    kit.life.is_plain = false;
    kit.life.session = (struct life_session){ .size = 1, .sequence = 7, .id = "a" };

    wake(&kit);
    uint32_t first = kit.life.told.session.sequence;
    answer(&kit, (struct life_answer){ .outcome = LIFE_MISSED });
    wake(&kit);

    assert_int_equal(first, 8);
    assert_int_equal(kit.life.told.session.sequence, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_tables_are_sound),
        cmocka_unit_test(test_random_lives_keep_the_invariants_and_take_every_row),
        cmocka_unit_test(test_it_registers_and_looks_at_once),
        cmocka_unit_test(test_a_kept_credential_spares_the_registration),
        cmocka_unit_test(test_the_first_report_only_asks),
        cmocka_unit_test(test_back_offs_double_up_to_a_minute_with_full_jitter),
        cmocka_unit_test(test_what_the_server_asks_for_is_added_to_the_jitter),
        cmocka_unit_test(test_who_is_unknown_registers_again_and_counts_orders_anew),
        cmocka_unit_test(test_a_credential_that_is_not_taken_is_dropped),
        cmocka_unit_test(test_an_idle_agent_lets_the_server_hold_its_heartbeat),
        cmocka_unit_test(test_a_server_that_does_not_hold_is_not_asked_without_end),
        cmocka_unit_test(test_a_server_without_wait_is_asked_plainly),
        cmocka_unit_test(test_news_overtakes_a_held_heartbeat),
        cmocka_unit_test(test_success_is_what_the_version_command_prints),
        cmocka_unit_test(test_a_failed_update_is_tried_again_and_then_told),
        cmocka_unit_test(test_a_failure_stays_for_its_order_and_goes_with_the_next),
        cmocka_unit_test(test_another_attempt_of_the_rollout_is_another_order),
        cmocka_unit_test(test_what_came_right_later_is_healthy_once_the_failure_was_told),
        cmocka_unit_test(test_an_update_that_lies_is_found_out),
        cmocka_unit_test(test_a_newer_wish_waits_for_the_command_and_starts_afresh),
        cmocka_unit_test(test_an_older_order_is_ignored),
        cmocka_unit_test(test_an_order_of_a_higher_term_is_newer_whatever_its_generation),
        cmocka_unit_test(test_an_order_of_a_lower_term_is_older_whatever_its_generation),
        cmocka_unit_test(test_the_same_order_under_a_new_term_may_be_tried_again),
        cmocka_unit_test(test_the_newest_order_is_remembered_by_the_next_process),
        cmocka_unit_test(test_what_was_ignored_is_told_to_the_server),
        cmocka_unit_test(test_attempts_are_bounded_even_if_each_kills_the_agent),
        cmocka_unit_test(test_a_hiccup_of_the_version_command_starts_no_update),
        cmocka_unit_test(test_where_nothing_runs_yet_the_wish_is_installed),
        cmocka_unit_test(test_stopping_an_idle_agent_ends_it_at_once),
        cmocka_unit_test(test_a_running_update_gets_its_grace_and_is_not_counted),
        cmocka_unit_test(test_a_second_stop_is_impatient),
        cmocka_unit_test(test_the_first_heartbeat_asks_for_a_session_and_says_nothing_else),
        cmocka_unit_test(test_what_could_not_be_said_without_a_session_is_said_at_once_in_it),
        cmocka_unit_test(test_each_report_of_a_session_has_a_higher_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
