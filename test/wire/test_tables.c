/* SPDX-License-Identifier: Apache-2.0
 * test_tables.c - the field tables of the domain keep their own rules, and no word is lost. */
#include "base/suite.h"
#include "core/member.h"
#include "core/rollout.h"
#include "wire/config.h"
#include "wire/progress.h"
#include "wire/record_parts.h"
#include "wire/record_waves.h"
#include "wire/request_parts.h"
#include "wire/words.h"

static void test_every_table_keeps_the_rules(void **state)
{
    const struct json_table *const tables[] = {
        &wire_register_table,       &wire_heartbeat_table,      &wire_deploy_table,
        &wire_rollback_table,       &wire_verb_table,           &wire_abort_table,
        &wire_promote_table,        &wire_config_table,         &wire_progress_table,
        &wire_tally_table,          &wire_stored_version_table, &wire_stored_instance_table,
        &wire_stored_rollout_table, &wire_canary_table,         &wire_wave_table,
        &wire_plan_table,           &wire_assume_table,         &wire_gate_table,
        &wire_domain_table,         &wire_stored_wave_table,
    };
    (void)state;

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct err err = { 0 };
        if (!json_table_check(tables[i], &err))
            fail_msg("%s", err.text);
    }
}

static void test_word_lists_have_the_words_of_the_core(void **state)
{
    (void)state;

    assert_int_equal(wire_rollout_causes.count, ROLLOUT_CAUSE_COUNT);
    for (unsigned i = 1; i < ROLLOUT_CAUSE_COUNT; i++)
        assert_string_equal(sm_word_at(&wire_rollout_causes, i), rollout_cause_word(i));
    assert_int_equal(wire_outcomes.count, ROLLOUT_OUTCOME_COUNT);
    for (unsigned i = 1; i < ROLLOUT_OUTCOME_COUNT; i++)
        assert_string_equal(sm_word_at(&wire_outcomes, i), rollout_outcome_word(i));
    assert_int_equal(wire_member_causes.count, MEMBER_CAUSE_COUNT);
    for (unsigned i = 1; i < MEMBER_CAUSE_COUNT; i++)
        assert_string_equal(sm_word_at(&wire_member_causes, i), member_cause_word(i));
    assert_int_equal(wire_strategies.count, ROLLOUT_STRATEGY_COUNT);
    assert_string_equal(sm_word_at(&wire_strategies, STRATEGY_BLUE_GREEN), "blue_green");
    assert_int_equal(wire_gate_types.count, GATE_TYPE_COUNT);
    assert_int_equal(wire_undecided.count, GATE_UNDECIDED_COUNT);
    assert_int_equal(wire_modes.count, ROLLOUT_MODE_COUNT);
    assert_int_equal(wire_on_failure.count, ROLLOUT_ON_FAILURE_COUNT);
    assert_int_equal(wire_offline.count, ROLLOUT_OFFLINE_COUNT);
    assert_int_equal(wire_on_leftover.count, ROLLOUT_ON_LEFTOVER_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_table_keeps_the_rules),
        cmocka_unit_test(test_word_lists_have_the_words_of_the_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
