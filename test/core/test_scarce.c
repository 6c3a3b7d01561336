/* SPDX-License-Identifier: Apache-2.0
 * test_scarce.c - memory that runs out where no command is to blame: while a state is loaded, while
 * rounds are taken back, within the limit of an arena, and while the end of a rollout is written
 * down. test_memory.c has the commands. */
#include "core/fleet_parts.h"
#include "core/story.h"

#include "base/suite.h"

#include <stdlib.h>
#include <string.h>

/* ---- arenas --------------------------------------------------------------------------------- */

struct small_arena {
    struct arena arena;
    struct err err;
};

static struct small_arena small(size_t max)
{
    struct small_arena small = { .err = { .code = ERR_NONE } };
    arena_init(&small.arena, &memory_heap, max);
    return small;
}

static void test_a_configuration_is_copied_whole_or_not_at_all(void **state)
{
    struct story *s = *state;
    struct rollout_config config = story_config(3, 1);
    story_waves(s, &config, "one [zone=a] gate go gate on; two 2 gate go; rest");
    story_domains(s, &config, "zone max 1; rack fail 2");
    struct rollout_config copy;
    memset(&copy, 0x5a, sizeof copy);
    const struct rollout_config untouched = copy;
    size_t max = 0;

    for (bool copied = false; !copied; max += 8) {
        struct small_arena a = small(max);
        copied = rollout_config_copy(&a.arena, &config, &copy);
        if (copied) {
            assert_text(copy.waves[1].gates[0].name, "go");
            assert_text(copy.domains[1].label, "rack");
        } else {
            assert_memory_equal(&copy, &untouched, sizeof copy);
        }
        arena_release(&a.arena);
    }

    assert_true(max > 5 * sizeof(struct gate_config));
}

static void test_a_selector_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    const struct label_change labels[] = { { TEXT("rack"), TEXT("1"), false },
                                           { TEXT("row"), TEXT("2"), false } };
    bool parsed = false;

    for (size_t max = 0; !parsed; max += 8) {
        struct small_arena a = small(max);
        struct selector selector = { .count = 77 };
        parsed = selector_parse(TEXT("env in (prod,\"d e v\"),!old"), labels, 2, &a.arena,
                                &selector, &a.err);
        assert_int_equal(a.err.code, parsed ? ERR_NONE : ERR_MEMORY);
        assert_int_equal(selector.count, parsed ? 4 : 77);
        arena_release(&a.arena);
    }
}

/* ---- instances ------------------------------------------------------------------------------ */

static void test_a_record_is_added_whole_or_not_at_all(void **state)
{
    struct story *s = *state;
    uint32_t slot = 77;
    bool added = false;

    for (size_t n = 1; !added; n++) {
        story_command(s);
        faulty_memory_fail(&s->memory, n, false);
        added = fleet_add(&s->fleet, TEXT("web-01"), TEXT("10.0.0.1"), &slot, &s->err);
        assert_int_equal(s->err.code, added ? ERR_NONE : ERR_MEMORY);
        assert_true(added || slot == 77);
        assert_int_equal(s->fleet.instance_count, added ? 1 : 0);
    }

    faulty_memory_fail(&s->memory, 0, false);
    assert_int_equal(fleet_find(&s->fleet, TEXT("web-01")), slot);
}

/* ---- loading -------------------------------------------------------------------------------- */

static void live_rollout(struct story *s)
{
    story_fleet(s, 4, "zone=a", "1/a");
    struct rollout_config config = story_config(2, 1);
    story_domains(s, &config, "zone max 3");
    story_deploy(s, "", "2/b", &config);
}

/* As after a start: records only. */
static void stop(struct story *s)
{
    for (uint32_t i = 0; i < s->fleet.rollout_count; i++)
        if (s->fleet.rollouts[i]->live)
            fleet_end_live(&s->fleet, s->fleet.rollouts[i]);
}

static void test_a_state_that_finds_no_memory_is_not_served(void **state)
{
    struct story *s = *state;
    live_rollout(s);
    bool loaded = false;
    size_t n = 1;

    for (; !loaded; n++) {
        stop(s);
        story_command(s);
        faulty_memory_fail(&s->memory, n, true);
        loaded = fleet_finish_loading(&s->fleet, s->now, 0, &s->err);
        assert_int_equal(s->err.code, loaded ? ERR_NONE : ERR_MEMORY);
        faulty_memory_fail(&s->memory, 0, false);
    }

    assert_true(n > 2);
    story_check(s);
}

static void test_more_live_rollouts_than_there_can_be_are_not_served(void **state)
{
    struct story *s = *state;
    story_fleet(s, 1, "", "1/a");
    for (uint32_t number = 1; number <= FLEET_LIVE_MAX + 1; number++) {
        struct rollout *r = fleet_new_rollout(&s->fleet, &s->err);
        assert_non_null(r);
        r->number = number;
        r->state = ROLLOUT_RUNNING;
        r->config = rollout_config_default;
        r->waves = arena_take_array(&r->arena, 1, sizeof r->waves[0]);
        r->wave_count = 1;
        fleet_adopt_rollout(&s->fleet, r);
    }
    story_command(s);

    bool loaded = fleet_finish_loading(&s->fleet, s->now, 0, &s->err);

    assert_false(loaded);
}

/* ---- undoing -------------------------------------------------------------------------------- */

static void test_rounds_are_taken_back_without_memory(void **state)
{
    struct story *s = *state;
    s->keeps_rounds_open = true;
    live_rollout(s);
    fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
    char *before = story_dump(s);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_delete(s, "web-04");
    story_register(s, "web-05", "zone=b");

    faulty_memory_fail(&s->memory, 1, true);
    fleet_undo(&s->fleet);
    faulty_memory_fail(&s->memory, 0, false);

    char *after = story_dump(s);
    story_assert_same(before, after);
    free(before);
    free(after);
    story_check(s);
}

/* ---- the end of a rollout ------------------------------------------------------------------- */

/* Ten failed members with long messages are more than fits the arena's first chunk. */
static void many_failures(struct story *s)
{
    static char message[900];
    memset(message, 'x', sizeof message - 1);
    story_crowd(s);
    story_fleet(s, 10, "env=prod", "1/a");
    struct rollout_config config = story_config(10, 20);
    story_deploy(s, "env", "2/b", &config);
    for (unsigned i = 1; i <= 10; i++) {
        char name[] = { 'w', 'e', 'b', '-', (char)('0' + i / 10), (char)('0' + i % 10), 0 };
        message[0] = (char)('a' + i);
        story_say_broken(s, name, message);
    }
}

static void test_what_no_memory_can_note_does_not_keep_a_rollout_from_its_end(void **state)
{
    (void)state;
    bool had_all = false;
    uint32_t fewest = UINT32_MAX;

    for (size_t n = 1; !had_all; n++) {
        struct story *s = story_new(NULL, 7);
        many_failures(s);
        struct rollout *r = story_newest(s);
        struct verb_command command = { .verb = VERB_ABORT };
        story_command(s);
        assert_true(fleet_reserve(&s->fleet, 64, &s->err)); /* not what this is about */
        faulty_memory_fail(&s->memory, n, false);

        assert_true(fleet_verb(&s->fleet, r, &command, &r, NULL, &s->err));

        had_all = r->failure_count == 10;
        fewest = r->failure_count < fewest ? r->failure_count : fewest;
        assert_int_equal(r->state, ROLLOUT_FAILED);
        assert_int_equal(r->final.failed, 10);
        for (uint32_t i = 0; i < r->failure_count; i++)
            assert_true(r->failures[i].key.size > 0 && r->failures[i].message.size > 0);
        faulty_memory_fail(&s->memory, 0, false);
        story_done(s);
        story_free(s);
    }

    assert_true(fewest < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_configuration_is_copied_whole_or_not_at_all),
        cmocka_unit_test(test_a_selector_is_read_whole_or_not_at_all),
        STORY(test_a_record_is_added_whole_or_not_at_all),
        STORY(test_a_state_that_finds_no_memory_is_not_served),
        STORY(test_more_live_rollouts_than_there_can_be_are_not_served),
        STORY(test_rounds_are_taken_back_without_memory),
        cmocka_unit_test(test_what_no_memory_can_note_does_not_keep_a_rollout_from_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
