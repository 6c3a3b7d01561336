/* SPDX-License-Identifier: Apache-2.0
 * test_identity.c - what a plan rests on: whatever changes it must be heard, and nothing else. */
#include "core/story.h"
#include "plan/identity.h"

#include "base/suite.h"

static void listen(void *ctx, struct text bytes)
{
    uint64_t *hash = ctx;
    *hash = text_hash(bytes, *hash);
}

static uint64_t identity_of(struct story *s, const char *selector, const char *request)
{
    struct rollout_config config = story_config(1, 1);
    struct selector chosen = story_request(s, selector, "2/b", &config).selector;
    uint64_t hash = 1;
    struct identity_sink sink = { .add = listen, .ctx = &hash };
    assert_true(identity_feed(&s->fleet, &chosen, text_from(request), &sink, &s->err));
    return hash;
}

static struct story *some_fleet(uint64_t hash_seed)
{
    struct story *s = story_new(NULL, hash_seed);
    story_fleet(s, 20, "zone=a", "1/a");
    story_register(s, "other", "zone=b");
    return s;
}

static void test_it_does_not_depend_on_how_the_fleet_is_kept(void **state)
{
    struct story *a = some_fleet(7);
    struct story *b = some_fleet(1234);
    (void)state;
    story_register(b, "gone", "zone=c");
    story_delete(b, "gone");

    assert_true(identity_of(a, "zone=a", "r") == identity_of(b, "zone=a", "r"));

    story_free(a);
    story_free(b);
}

static void test_every_part_counts(void **state)
{
    (void)state;
    struct story *s = some_fleet(7);
    uint64_t before = identity_of(s, "zone=a", "r");

    assert_true(identity_of(s, "zone=a", "another request") != before);
    assert_true(identity_of(s, "", "r") != before);

    story_say(s, "web-03", "1/a", INSTANCE_DEGRADED);
    uint64_t sick = identity_of(s, "zone=a", "r");
    assert_true(sick != before);
    story_say(s, "web-03", "1/a", INSTANCE_HEALTHY);
    assert_true(identity_of(s, "zone=a", "r") == before);

    story_say(s, "web-03", "1/c", INSTANCE_HEALTHY);
    assert_true(identity_of(s, "zone=a", "r") != before);
    story_say(s, "web-03", "1/a", INSTANCE_HEALTHY);

    story_say_labels(s, "web-03", "rack=9");
    assert_true(identity_of(s, "zone=a", "r") != before);
    story_say_labels(s, "web-03", "!rack");
    assert_true(identity_of(s, "zone=a", "r") == before);

    s->fleet.settings.max_concurrent++;
    assert_true(identity_of(s, "zone=a", "r") != before);
    s->fleet.settings.max_concurrent--;

    story_register(s, "web-99", "zone=a");
    assert_true(identity_of(s, "zone=a", "r") != before);
    story_delete(s, "web-99");
    assert_true(identity_of(s, "zone=a", "r") == before);
    story_free(s);
}

static void test_who_is_not_selected_does_not_count(void **state)
{
    (void)state;
    struct story *s = some_fleet(7);
    uint64_t before = identity_of(s, "zone=a", "r");

    story_say(s, "other", "5/e", INSTANCE_FAILED);

    assert_true(identity_of(s, "zone=a", "r") == before);
    assert_true(identity_of(s, "", "r") != before);
    story_free(s);
}

static void test_silence_counts(void **state)
{
    (void)state;
    struct story *s = some_fleet(7);
    uint64_t before = identity_of(s, "zone=a", "r");

    story_silence(s, "web-07");
    story_wait(s, 100 * SECOND);

    assert_false(story_is_online(s, "web-07"));
    assert_true(identity_of(s, "zone=a", "r") != before);
    story_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_does_not_depend_on_how_the_fleet_is_kept),
        cmocka_unit_test(test_every_part_counts),
        cmocka_unit_test(test_who_is_not_selected_does_not_count),
        cmocka_unit_test(test_silence_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
