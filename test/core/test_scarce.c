/* SPDX-License-Identifier: Apache-2.0
 * test_scarce.c - memory that runs out where no command is to blame: while a state is loaded, while
 * rounds are taken back, within the limit of an arena, and while the end of a rollout is written
 * down. test_memory.c has the commands. */
#include "core/fleet_parts.h"
#include "core/story.h"

#include "base/suite.h"

#include <stdio.h>
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

/* ---- commands with texts that fill an arena ------------------------------------------------- */

struct texts {
    char reason[LIMIT_REASON + 1];
    char selector[LIMIT_SELECTOR];
};

/* A selector of so many requirements, which all with "env" meet, and a reason of `reason` bytes.
 * With 8 to 30 of the one and 0 to 210 of the other, whatever a rollout keeps begins the second
 * chunk of its arena once, and so asks for memory. */
static void fill(struct texts *texts, unsigned requirements, size_t reason)
{
    size_t used = (size_t)snprintf(texts->selector, sizeof texts->selector, "env");
    for (unsigned i = 1; i < requirements; i++)
        used += (size_t)snprintf(texts->selector + used, sizeof texts->selector - used,
                                 ",env!=%050u", i);
    memset(texts->reason, 'r', reason);
    texts->reason[reason] = 0;
}

/* Calls `visit` for texts of many sizes. */
static void each_size(size_t step, void (*visit)(const struct texts *texts, void *ctx), void *ctx)
{
    static struct texts texts;
    for (unsigned requirements = 8; requirements <= 30; requirements++) {
        for (size_t reason = 0; reason <= 210; reason += step) {
            fill(&texts, requirements, reason);
            visit(&texts, ctx);
        }
    }
}

static struct story *of_long_names(unsigned count)
{
    struct story *s = story_new(NULL, 7);
    for (unsigned i = 0; i < count; i++) {
        char name[LIMIT_NAME + 1];
        memset(name, 'n', sizeof name);
        name[sizeof name - 3] = (char)('a' + i / 26);
        name[sizeof name - 2] = (char)('a' + i % 26);
        name[sizeof name - 1] = 0;
        story_register(s, name, "env=prod");
    }
    return s;
}

/* Fails each request of a deploy in turn until none fails. */
static void deploy_with(const struct texts *texts, const char *waves)
{
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct story *s = of_long_names(16);
        struct rollout_config config = story_config(3, 1);
        story_waves(s, &config, waves);
        struct deploy_command command = story_request(s, texts->selector, "2/b", &config);
        command.reason = text_from(texts->reason);
        char *before = story_dump(s);
        story_command(s);
        faulty_memory_fail(&s->memory, n, false);

        bool deployed = fleet_deploy(&s->fleet, &command, NULL, &s->err) != NULL;

        has_failed = s->memory.failures > 0;
        faulty_memory_fail(&s->memory, 0, false);
        assert_int_equal(s->err.code, deployed ? ERR_NONE : ERR_MEMORY);
        char *after = story_dump(s);
        if (!deployed)
            story_assert_same(before, after);
        free(before);
        free(after);
        story_free(s);
    }
}

static void deploy_in_one(const struct texts *texts, void *ctx)
{
    (void)ctx;
    deploy_with(texts, "rest");
}

/* With waves, whose records come first, the texts themselves begin the second chunk. */
static void deploy_in_waves(size_t count, unsigned requirements, size_t reason)
{
    static struct texts texts;
    char waves[128] = "";
    size_t used = 0;
    for (size_t i = 0; i + 1 < count; i++)
        used += (size_t)snprintf(waves + used, sizeof waves - used, "%c 1; ", (char)('a' + i));
    snprintf(waves + used, sizeof waves - used, "rest");
    fill(&texts, requirements, reason);
    deploy_with(&texts, waves);
}

static void test_a_deploy_with_long_texts_and_names_happens_whole_or_not_at_all(void **state)
{
    (void)state;
    static struct texts texts;

    each_size(56, deploy_in_one, NULL);
    for (size_t waves = 6; waves <= 14; waves++) {
        for (size_t reason = 0; reason < 420; reason += 14)
            deploy_in_waves(waves, 1, reason);
        for (unsigned requirements = 2; requirements <= 8; requirements++)
            deploy_in_waves(waves, requirements, 0);
    }
    fill(&texts, 1, 0);
    deploy_with(&texts, "a 1; b 1; c 1; d 1; e 1; f 1; g 1; h 1; i 1; rest");
    fill(&texts, 1, 900);
    deploy_with(&texts, "a 1; b 1; c 1; d 1; e 1; f 1; g 1; h 1; i 1; rest");
}

/* Twelve were updated from nothing that is known, one from a version that can be restored. */
static struct story *mostly_unresolved(const struct texts *texts, struct rollout **ret)
{
    struct story *s = of_long_names(12);
    story_register(s, "web-01", "env=prod");
    story_say(s, "web-01", "1/a", INSTANCE_HEALTHY);
    struct rollout_config config = story_config(20, 1);
    *ret = story_deploy(s, texts->selector, "2/b", &config);
    for (uint32_t slot = 0; slot < s->fleet.slot_count; slot++) {
        char name[LIMIT_NAME + 1];
        struct text key = instance_key(fleet_at(&s->fleet, slot));
        snprintf(name, sizeof name, "%.*s", TEXT_ARG(key));
        story_say(s, name, "2/b", INSTANCE_HEALTHY);
    }
    assert_int_equal((*ret)->state, ROLLOUT_COMPLETED);
    return s;
}

static void roll_back_with(const struct texts *texts, void *ctx)
{
    (void)ctx;
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct rollout *r;
        struct story *s = mostly_unresolved(texts, &r);
        struct rollback_command command = { .number = r->number,
                                            .is_fast = true,
                                            .reason = text_from(texts->reason) };
        story_command(s);
        faulty_memory_fail(&s->memory, n, false);

        const struct rollout *back = fleet_rollback(&s->fleet, &command, NULL, &s->err);

        has_failed = s->memory.failures > 0;
        faulty_memory_fail(&s->memory, 0, false);
        bool is_back = back != NULL;
        assert_int_equal(s->err.code, is_back ? ERR_NONE : ERR_MEMORY);
        assert_true(!is_back || back->unresolved_count == 12);
        story_free(s);
    }
}

static void test_a_rollback_that_lists_long_names_happens_whole_or_not_at_all(void **state)
{
    (void)state;

    each_size(35, roll_back_with, NULL);
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
    struct fleet *fleet = &s->fleet;
    fleet_clear_changes(fleet);
    fleet_log_release(fleet);
    fleet->undo = NULL;
    fleet->undo_rollouts = NULL;
    fleet->changes = NULL;
    fleet->woken = NULL;
    fleet->undo_capacity = fleet->undo_rollout_capacity = 0;
    fleet->change_capacity = fleet->woken_capacity = 0;
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
    for (uint32_t number = FLEET_LIVE_MAX + 1; number > 0; number--) {
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

static void many_failures(struct story *s, const struct texts *texts)
{
    story_fleet(s, 10, "env=prod", "1/a");
    struct rollout_config config = story_config(10, 20);
    struct deploy_command command = story_request(s, texts->selector, "2/b", &config);
    command.reason = text_from(texts->reason);
    story_command(s);
    assert_non_null(fleet_deploy(&s->fleet, &command, NULL, &s->err));
    story_done(s);
    for (unsigned i = 1; i <= 10; i++) {
        char name[] = { 'w', 'e', 'b', '-', (char)('0' + i / 10), (char)('0' + i % 10), 0 };
        story_say_broken(s, name, "all is lost");
    }
}

/* Whether a request failed. */
static bool abort_without(const struct texts *texts, size_t n, uint32_t *fewest)
{
    struct story *s = story_new(NULL, 7);
    many_failures(s, texts);
    struct rollout *r = story_newest(s);
    struct verb_command command = { .verb = VERB_ABORT };
    story_command(s);
    assert_true(fleet_reserve(&s->fleet, 64, &s->err)); /* not what this is about */
    faulty_memory_fail(&s->memory, n, false);

    assert_true(fleet_verb(&s->fleet, r, &command, &r, NULL, &s->err));

    bool has_failed = s->memory.failures > 0;
    *fewest = r->failure_count < *fewest ? r->failure_count : *fewest;
    assert_int_equal(r->state, ROLLOUT_FAILED);
    assert_int_equal(r->final.failed, 10);
    for (uint32_t i = 0; i < r->failure_count; i++)
        assert_true(r->failures[i].key.size > 0 && r->failures[i].message.size > 0);
    faulty_memory_fail(&s->memory, 0, false);
    story_done(s);
    story_free(s);
    return has_failed;
}

static void abort_with(const struct texts *texts, void *ctx)
{
    size_t n = 1;
    while (abort_without(texts, n, ctx))
        n++;
}

static void test_what_no_memory_can_note_does_not_keep_a_rollout_from_its_end(void **state)
{
    (void)state;
    uint32_t fewest = UINT32_MAX;

    each_size(14, abort_with, &fewest);

    assert_int_equal(fewest, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_configuration_is_copied_whole_or_not_at_all),
        cmocka_unit_test(test_a_selector_is_read_whole_or_not_at_all),
        STORY(test_a_record_is_added_whole_or_not_at_all),
        cmocka_unit_test(test_a_deploy_with_long_texts_and_names_happens_whole_or_not_at_all),
        cmocka_unit_test(test_a_rollback_that_lists_long_names_happens_whole_or_not_at_all),
        STORY(test_a_state_that_finds_no_memory_is_not_served),
        STORY(test_more_live_rollouts_than_there_can_be_are_not_served),
        STORY(test_rounds_are_taken_back_without_memory),
        cmocka_unit_test(test_what_no_memory_can_note_does_not_keep_a_rollout_from_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
