/* SPDX-License-Identifier: Apache-2.0
 * test_view_waves.c - what clients see of waves, gates and failure domains, why a rollout that has
 * them waits, and what its journal says. */
#include "core/waves.h"
#include "wire/event.h"
#include "wire/fleet_kit.h"
#include "wire/view.h"

static struct text show(struct kit *kit, const struct rollout *r)
{
    wire_write_rollout(kit_writer(kit), &kit->fleet, r, 0);
    return kit_written(kit);
}

static struct text instance(struct kit *kit, const char *name)
{
    wire_write_instance(kit_writer(kit), &kit->fleet, kit_slot(kit, name), false);
    return kit_written(kit);
}

static void add_instances(struct kit *kit, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16], body[96];
        snprintf(name, sizeof name, "n%u", i);
        snprintf(body, sizeof body,
                 i % 3 == 2 ? "{'instance':{'name':'n%u'}}"
                            : "{'instance':{'name':'n%u','labels':{'zone':'%c'}}}",
                 i, "ab"[i % 3 % 2]);
        kit_register(kit, body);
        kit_beat(kit, name, "{'code_version':'1','status':1}");
    }
}

static void complete(struct kit *kit, const char *name)
{
    kit_beat(kit, name, "{'code_version':'2','status':1}");
}

#define CANARY(more)                                                                               \
    "{'code_version':'2','configuration':{'strategy':'canary','batch_size':3,"                     \
    "'canary':{'size':2,'soak':'10m','gates':[{'name':'go','type':'manual','timeout':'1h'},"       \
    "{'name':'b','type':'manual'}]}" more "}}"

/* ---- waves ---------------------------------------------------------------------------------- */

static void test_waves_are_shown_as_they_go(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);
    struct rollout *r = kit_deploy(kit, CANARY(""));

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "waves.0.name", "'canary'");
    kit_assert_at(kit, shown, "waves.0.state", "'running'");
    kit_assert_at(kit, shown, "waves.0.batch_limit", "3");
    kit_assert_at(kit, shown, "waves.0.soak", "'10m'");
    kit_assert_at(kit, shown, "waves.0.opened_at", "'2030-12-31T10:00:00.000Z'");
    kit_assert_at(kit, shown, "waves.0.soak_until", "null");
    kit_assert_at(kit, shown, "waves.0.gates",
                  "[{'name':'go','type':'manual','state':'not_started','until':null},"
                  "{'name':'b','type':'manual','state':'not_started','until':null}]");
    kit_assert_at(kit, shown, "waves.0.progress.in_progress_instances", "2");
    kit_assert_at(kit, shown, "waiting.0.message",
                  "'2 of 3 slots busy; nobody else of wave canary needs the update'");
    kit_assert_at(kit, shown, "waves.1.name", "'rest'");
    kit_assert_at(kit, shown, "waves.1.state", "'not_started'");
    kit_assert_at(kit, shown, "waves.1.opened_at", "null");
    kit_assert_at(kit, shown, "waves.1.progress.total_instances", "4");
    kit_assert_at(kit, instance(kit, "n1"), "wave", "'canary'");
    kit_assert_at(kit, instance(kit, "n2"), "wave", "'rest'");
}

static void test_a_soak_and_gates_say_until_when(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);
    struct rollout *r = kit_deploy(kit, CANARY(""));
    complete(kit, "n0");
    complete(kit, "n1");

    struct text soaking = show(kit, r);
    kit_assert_at(kit, soaking, "waves.0.state", "'soaking'");
    kit_assert_at(kit, soaking, "waves.0.soak_until", "'2030-12-31T10:10:00.000Z'");
    kit_assert_at(kit, soaking, "waiting",
                  "[{'reason':'soak','message':'2 completed members of wave canary are watched "
                  "for 10m; promote cuts that short','since':'2030-12-31T10:00:00.000Z',"
                  "'until':'2030-12-31T10:10:00.000Z'}]");
    kit_verb(kit, r, VERB_PROMOTE, "");

    struct text gated = show(kit, r);
    kit_assert_at(kit, gated, "waves.0.state", "'gated'");
    kit_assert_at(kit, gated, "waves.0.soak_until", "null");
    kit_assert_at(kit, gated, "waves.0.gates.0",
                  "{'name':'go','type':'manual','state':'waiting',"
                  "'until':'2030-12-31T11:00:00.000Z'}");
    kit_assert_at(kit, gated, "waiting.0.reason", "'gate:go'");
    kit_assert_at(kit, gated, "waiting.0.message", "'gate go after wave canary waits for promote'");
    kit_assert_at(kit, gated, "waiting.0.until", "'2030-12-31T11:00:00.000Z'");
    kit_verb(kit, r, VERB_PROMOTE, "{'reason':'fine'}");

    struct text second = show(kit, r);
    kit_assert_at(kit, second, "waves.0.gates.0.state", "'passed'");
    kit_assert_at(kit, second, "waiting.0.reason", "'gate:b'");
    kit_assert_at(kit, second, "waiting.0.until", "null");
}

static void test_while_it_is_paused_nothing_is_timed(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);
    struct rollout *r = kit_deploy(kit, CANARY(""));
    complete(kit, "n0");
    complete(kit, "n1");

    kit_verb(kit, r, VERB_PAUSE, "");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "waves.0.state", "'paused'");
    kit_assert_at(kit, shown, "waves.0.soak_until", "null");
    kit_assert_at(kit, shown, "waiting.0.reason", "'paused'");
}

static void test_a_gate_that_nobody_passed_pauses_with_its_name(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 3);
    struct rollout *r =
        kit_deploy(kit, "{'code_version':'2','configuration':{'strategy':'canary','canary':{"
                        "'size':1,'gates':[{'name':'go','type':'manual','timeout':'9s'}]}}}");
    complete(kit, "n0");

    kit_tick(kit, 9000);

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "status_name", "'PAUSED'");
    kit_assert_at(kit, shown, "waiting.0.message",
                  "'gate go was not decided in time; resume it to wait once more'");
    kit_assert_at(kit, shown, "waves.0.gates.0.state", "'inconclusive'");
}

static void test_soaks_and_gates_that_are_passed_over_are_not_shown(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 3);
    struct rollout *r = kit_deploy(
        kit, "{'code_version':'2','configuration':{'strategy':'waves','waves':[{'size':1,"
             "'soak':'1h'},{'soak':'1h','gates':[{'name':'go','type':'manual'}]}]}}");
    complete(kit, "n0");

    kit_verb(kit, r, VERB_PROMOTE, "{'full':true}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "waves.0.state", "'passed'");
    kit_assert_at(kit, shown, "waves.0.soak", "'1h'");
    kit_assert_at(kit, shown, "waves.1.state", "'running'");
    kit_assert_at(kit, shown, "waves.1.soak", "'0s'");
    kit_assert_at(kit, shown, "waves.1.gates", "[]");
}

/* ---- limits --------------------------------------------------------------------------------- */

static void test_domains_are_shown_those_at_a_limit_first(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);

    struct rollout *r =
        kit_deploy(kit, "{'code_version':'2','configuration':{'batch_size':2,'domains':["
                        "{'label':'zone','max_in_progress':1,'max_failed':'100%'}]}}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "domain_count", "3");
    kit_assert_at(kit, shown, "domains.0.label", "'zone'");
    kit_assert_at(kit, shown, "domains.0.value", "'a'");
    kit_assert_at(kit, shown, "domains.0.busy", "1");
    kit_assert_at(kit, shown, "domains.0.max_in_progress", "1");
    kit_assert_at(kit, shown, "domains.0.max_failed", "2");
    kit_assert_at(kit, shown, "domains.0.progress.total_instances", "2");
    kit_assert_at(kit, shown, "domains.1.value", "'b'");
    kit_assert_at(kit, shown, "domains.2.value", "null");
    kit_assert_at(kit, shown, "domains.2.busy", "0");
}

static void test_a_full_domain_is_named(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);

    struct rollout *r = kit_deploy(
        kit, "{'code_version':'2','selector':'zone=a','configuration':{'batch_size':2,'domains':["
             "{'label':'zone','max_in_progress':1}]}}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "waiting.0.reason", "'domain_cap'");
    kit_assert_at(kit, shown, "waiting.0.message",
                  "'zone=a has 1 of 1 members in flight, and those left are in such domains'");
    kit_assert_at(kit, shown, "domains.0.max_failed", "null");
}

static void test_many_domains_are_shown_in_part(void **state)
{
    struct kit *kit = *state;
    for (unsigned i = 0; i < WIRE_DOMAINS_SHOWN + 20; i++) {
        char body[96];
        snprintf(body, sizeof body, "{'instance':{'name':'n%u','labels':{'rack':'%u'}}}", i, i);
        kit_register(kit, body);
    }

    struct rollout *r = kit_deploy(
        kit, "{'code_version':'2','configuration':{'domains':[{'label':'rack','max_failed':1}]}}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "domain_count", "120");
    assert_text(kit_at(kit, shown, "domains.100"), "missing");
    assert_true(kit_at(kit, shown, "domains.99").size > 20);
    kit_verb(kit, r, VERB_ABORT, "");
    kit_assert_at(kit, show(kit, r), "domains", "[]");
}

static void test_the_floor_says_how_many_there_are(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);

    struct rollout *r = kit_deploy(
        kit, "{'code_version':'2','configuration':{'batch_size':6,'min_available':'75%'}}");

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "waiting.0.reason", "'min_available'");
    kit_assert_at(kit, shown, "waiting.0.message", "'5 members are available, and 5 must stay so'");
}

static void test_a_silent_fleet_is_why_nothing_is_decided(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);
    struct rollout *r = kit_deploy(kit, "{'code_version':'2'}");

    kit_tick(kit, 90000);

    struct text shown = show(kit, r);
    kit_assert_at(kit, shown, "status_name", "'RUNNING'");
    kit_assert_at(kit, shown, "waiting.1.reason", "'offline'");
    kit_assert_at(kit, shown, "waiting.1.message",
                  "'most of the fleet fell silent at once, and 5 of 5 are silent still: nothing is "
                  "decided until more than half of them are heard again'");
    kit_assert_at(kit, instance(kit, "n3"), "offline_since", "'2030-12-31T10:01:30.000Z'");
}

/* ---- journal -------------------------------------------------------------------------------- */

/* The entry of that type among the changes of the newest command. */
static struct text entry(struct kit *kit, enum change_type type)
{
    for (uint32_t i = 0; i < kit->fleet.change_count; i++) {
        if (kit->fleet.changes[i].type != type)
            continue;
        buffer_clear(&kit->out);
        wire_write_event(&kit->out, &kit->fleet, &kit->fleet.changes[i], kit->fleet.now);
        return kit_written(kit);
    }
    fail_msg("no %s", change_word(type));
    return TEXT_NONE;
}

static void test_entries_name_the_wave_and_the_gate(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 3);
    struct rollout *r = kit_deploy(
        kit, "{'code_version':'2','labels':{},'configuration':{'strategy':'canary','canary':{"
             "'size':1,'gates':[{'name':'go','type':'manual'}]}}}");

    kit_assert_at(kit, entry(kit, CHANGE_WAVE_OPENED), "new.wave", "'canary'");
    complete(kit, "n0");
    struct text waiting = entry(kit, CHANGE_GATE_WAITING);
    kit_assert_at(kit, waiting, "type", "'gate.waiting'");
    kit_assert_at(kit, waiting, "deployment_id", "'r-1'");
    kit_assert_at(kit, waiting, "old", "{}");
    kit_assert_at(kit, waiting, "new", "{'wave':'canary','gate':'go','gate_type':'manual'}");
    kit_verb(kit, r, VERB_PROMOTE, "{'reason':'fine'}");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_PROMOTED), "reason", "'fine'");
    kit_assert_at(kit, entry(kit, CHANGE_ROLLOUT_PROMOTED), "new.status_name", "'RUNNING'");
    kit_assert_at(kit, entry(kit, CHANGE_GATE_PASSED), "new.gate", "'go'");
    kit_assert_at(kit, entry(kit, CHANGE_WAVE_PASSED), "new.wave", "'canary'");
    kit_assert_at(kit, entry(kit, CHANGE_WAVE_PASSED), "new.progress.completed_instances", "1");
    kit_assert_at(kit, entry(kit, CHANGE_WAVE_OPENED), "new.wave", "'rest'");
}

static void test_an_entry_about_the_fleet_belongs_to_no_rollout(void **state)
{
    struct kit *kit = *state;
    add_instances(kit, 6);
    kit_deploy(kit, "{'code_version':'2'}");

    kit_tick(kit, 90000);

    struct text silent = entry(kit, CHANGE_FLEET_SILENT);
    kit_assert_at(kit, silent, "deployment_id", "null");
    kit_assert_at(kit, silent, "instance", "null");
    kit_assert_at(kit, silent, "new", "{'silent_instances':5,'online_instances':0}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_waves_are_shown_as_they_go),
        TEST(test_a_soak_and_gates_say_until_when),
        TEST(test_while_it_is_paused_nothing_is_timed),
        TEST(test_a_gate_that_nobody_passed_pauses_with_its_name),
        TEST(test_soaks_and_gates_that_are_passed_over_are_not_shown),
        TEST(test_domains_are_shown_those_at_a_limit_first),
        TEST(test_a_full_domain_is_named),
        TEST(test_many_domains_are_shown_in_part),
        TEST(test_the_floor_says_how_many_there_are),
        TEST(test_a_silent_fleet_is_why_nothing_is_decided),
        TEST(test_entries_name_the_wave_and_the_gate),
        TEST(test_an_entry_about_the_fleet_belongs_to_no_rollout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
