/* SPDX-License-Identifier: Apache-2.0
 * test_event_filter.c - which journal entries a selector chooses. */
#include "wire/event.h"
#include "wire/event_filter.h"
#include "wire/fleet_kit.h"

/* Whether the newest entry of the present command with that type passes the selector. */
static bool passes(struct kit *kit, enum change_type type, const char *selector)
{
    struct wire_event_filter filter;
    struct err err = { 0 };
    for (uint32_t i = kit->fleet.change_count; i > 0; i--) {
        const struct change *change = &kit->fleet.changes[i - 1];
        if (change->type != type)
            continue;
        kit_writer(kit);
        wire_write_event(&kit->out, &kit->fleet, change, kit->fleet.now);
        if (!wire_read_event_filter(text_from(selector), &kit->arena, &filter, &err))
            fail_msg("%s: %s", selector, err.text);
        return wire_event_passes(&filter, kit_written(kit));
    }
    fail_msg("no %s", change_word(type));
    return false;
}

static void add(struct kit *kit, const char *labels)
{
    char body[400];
    snprintf(body, sizeof body, "{'instance':{'name':'a','labels':%s}}", labels);
    kit_register(kit, body);
}

static void test_an_entry_about_an_instance_is_judged_by_its_labels(void **state)
{
    struct kit *kit = *state;

    add(kit, "{'env':'prod','zone':'a','canary':''}");

    static const struct {
        const char *selector;
        bool passes;
    } rows[] = {
        { "", true },
        { "env=prod", true },
        { "env=dev", false },
        { "env=pro", false },
        { "env=prod,zone=a", true },
        { "env=prod,zone=b", false },
        { "env in (dev,prod)", true },
        { "env notin (dev,prod)", false },
        { "env!=dev", true },
        { "role!=web", true },
        { "canary", true },
        { "role", false },
        { "!canary", false },
        { "!role", true },
        { "canary=\"\"", true },
        { "prod", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (passes(kit, CHANGE_REGISTERED, rows[i].selector) != rows[i].passes)
            fail_msg("%s", rows[i].selector);
}

static void test_a_change_of_labels_is_seen_from_both_sides(void **state)
{
    struct kit *kit = *state;
    add(kit, "{'env':'prod'}");

    kit_beat(kit, "a", "{'labels':{'env':'dev'}}");

    assert_true(passes(kit, CHANGE_UPDATED, "env=prod"));
    assert_true(passes(kit, CHANGE_UPDATED, "env=dev"));
    assert_false(passes(kit, CHANGE_UPDATED, "env=test"));
    assert_false(passes(kit, CHANGE_UPDATED, "env=prod,role"));

    kit_beat(kit, "a", "{'status':1}");

    assert_false(passes(kit, CHANGE_UPDATED, "env=prod"));
    assert_true(passes(kit, CHANGE_UPDATED, "env=dev"));
}

static void test_texts_with_escapes_are_compared_as_they_were_given(void **state)
{
    struct kit *kit = *state;

    add(kit, "{'labels':'{','q':'a\\\\b\\n\\u0001\\u007f/ü','x\\\\y':'1','z':'last'}");

    assert_true(passes(kit, CHANGE_REGISTERED, "labels=\"{\""));
    assert_true(passes(kit, CHANGE_REGISTERED, "\"x\\\\y\"=1"));
    assert_true(passes(kit, CHANGE_REGISTERED, "q,z=last"));
    assert_false(passes(kit, CHANGE_REGISTERED, "q=a"));
    assert_false(passes(kit, CHANGE_REGISTERED, "x"));
}

static void test_a_label_of_full_length_is_compared_whole(void **state)
{
    struct kit *kit = *state;
    char value[LIMIT_LABEL_VALUE + 1] = { 0 }, labels[320], selector[320];
    memset(value, 'v', LIMIT_LABEL_VALUE);
    snprintf(labels, sizeof labels, "{'k':'%s'}", value);

    add(kit, labels);

    snprintf(selector, sizeof selector, "k=%s", value);
    assert_true(passes(kit, CHANGE_REGISTERED, selector));
    selector[strlen(selector) - 1] = '\0';
    assert_false(passes(kit, CHANGE_REGISTERED, selector));
}

static void test_an_entry_about_a_rollout_passes_for_the_same_selector(void **state)
{
    struct kit *kit = *state;
    add(kit, "{'env':'prod','role':'web'}");
    kit_beat(kit, "a", "{'code_version':'1','status':1}");

    kit_deploy(kit, "{'code_version':'2','selector':'role=web,env=prod'}");

    assert_true(passes(kit, CHANGE_ROLLOUT_CREATED, "env=prod,role=web"));
    assert_true(passes(kit, CHANGE_ROLLOUT_STARTED, "role in (web), env == prod"));
    assert_false(passes(kit, CHANGE_ROLLOUT_STARTED, "env=prod"));
    assert_false(passes(kit, CHANGE_ROLLOUT_STARTED, ""));
    assert_true(passes(kit, CHANGE_PICKED, "env=prod"));
}

static void test_an_entry_that_says_neither_does_not_pass(void **state)
{
    struct kit *kit = *state;
    struct wire_event_filter filter;
    assert_true(wire_read_event_filter(TEXT("!env"), &kit->arena, &filter, NULL));

    const char *old = "{'index':1,'type':'instance.online','deployment_id':null,'instance':'a'}";

    assert_false(wire_event_passes(&filter, kit_quote(kit, old)));
}

static void test_an_entry_about_neither_passes(void **state)
{
    struct kit *kit = *state;
    struct wire_event_filter filter;
    const char *fleet = "{'deployment_id':null,'labels':null,'selector':null,'instance':null}";
    const char *gone = "{'deployment_id':'r-1','labels':null,'selector':null,'instance':null}";
    assert_true(wire_read_event_filter(TEXT("env=prod"), &kit->arena, &filter, NULL));

    assert_true(wire_event_passes(&filter, kit_quote(kit, fleet)));
    assert_false(wire_event_passes(&filter, kit_quote(kit, gone)));
}

static void test_a_bad_selector_is_refused(void **state)
{
    struct kit *kit = *state;
    struct wire_event_filter filter = { .quoted = TEXT("untouched") };
    struct err err = { 0 };

    assert_false(wire_read_event_filter(TEXT("env in ("), &kit->arena, &filter, &err));

    assert_int_equal(err.code, ERR_INVALID);
    assert_true(text_equal(filter.quoted, TEXT("untouched")));
}

/* Every cut of a sound entry is harmless, whatever it says. */
static void test_cut_entries_are_read_within_their_bounds(void **state)
{
    struct kit *kit = *state;
    struct wire_event_filter filter;
    assert_true(wire_read_event_filter(TEXT("env=prod,q"), &kit->arena, &filter, NULL));
    struct text whole =
        kit_quote(kit, "{'labels':{'env':'pr\\u006fd','q':'\\n'},'selector':null,'old':{}}");

    for (size_t size = 0; size <= whole.size; size++) {
        char *cut = memory_take(&memory_heap, size + 1);
        memcpy(cut, whole.data, size);
        wire_event_passes(&filter, (struct text){ cut, size });
        memory_give(&memory_heap, cut, size + 1);
    }

    assert_true(wire_event_passes(&filter, whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
        TEST(test_an_entry_about_an_instance_is_judged_by_its_labels),
        TEST(test_a_change_of_labels_is_seen_from_both_sides),
        TEST(test_texts_with_escapes_are_compared_as_they_were_given),
        TEST(test_a_label_of_full_length_is_compared_whole),
        TEST(test_an_entry_about_a_rollout_passes_for_the_same_selector),
        TEST(test_an_entry_that_says_neither_does_not_pass),
        TEST(test_an_entry_about_neither_passes),
        TEST(test_a_bad_selector_is_refused),
        TEST(test_cut_entries_are_read_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
