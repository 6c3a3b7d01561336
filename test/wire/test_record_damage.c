/* SPDX-License-Identifier: Apache-2.0
 * test_record_damage.c - a record that is not as it was written is never loaded. */
#include "base/dice.h"
#include "wire/fleet_kit.h"
#include "wire/record.h"

struct damage {
    const char *key, *value; /* ' for " */
    const char *phrase;      /* of the sentence */
};

typedef bool load_fn(struct fleet *fleet, struct text key, struct text json, struct arena *scratch,
                     struct err *err);

static void refuse(struct kit *kit, load_fn *load, const struct damage *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = { 0 };
        if (load(&kit->fleet, text_from(list[i].key), kit_quote(kit, list[i].value), &kit->arena,
                 &err))
            fail_msg("loaded: %s", list[i].value);
        if (err.code != ERR_CORRUPT || !strstr(err.text, list[i].key) ||
            !strstr(err.text, list[i].phrase))
            fail_msg("%s: \"%s\" (%s)", list[i].value, err.text, err_word(err.code));
    }
    assert_int_equal(kit->fleet.instance_count, 0);
    assert_int_equal(kit->fleet.rollout_count, 0);
}

#define REFUSE(kit, load, list) refuse(kit, load, list, sizeof(list) / sizeof((list)[0]))

#define HEAD  "{'name':'a','status':'HEALTHY','online':true,'registered_at':1,'changed_index':2"
#define ORDER HEAD ",'deployment_id':'r-1','attempt':1"

static void test_damaged_instances_are_refused(void **state)
{
    const struct damage list[] = {
        { "instance/a", "", "JSON" },
        { "instance/a", "null", "JSON" },
        { "instance/a", HEAD, "JSON" },
        { "instance/a", "{}", "missing" },
        { "instance/b", HEAD "}", "another instance" },
        { "instance/A", HEAD "}", "another instance" },
        { "instance/%61", HEAD "}", "another instance" },
        { "rollout/a", HEAD "}", "another instance" },
        { "instance/a", "{'name':'a','status':'HEALTHY','online':true,'changed_index':2}",
          "/registered_at" },
        { "instance/a", "{'status':'HEALTHY','online':true,'registered_at':1,'changed_index':2}",
          "neither name nor ip" },
        { "instance/a", HEAD ",'ip':'10.0.0'}", "/ip" },
        { "instance/a", HEAD ",'colour':'red'}", "/colour" },
        { "instance/a", HEAD ",'status':'HEALTHY'}", "given twice" },
        { "instance/a", HEAD ",'generation':4294967296}", "/generation" },
        { "instance/a", HEAD ",'generation':-1}", "/generation" },
        { "instance/a", HEAD ",'generation':1.5}", "/generation" },
        { "instance/a", HEAD ",'message':7}", "/message" },
        { "instance/a", HEAD ",'labels':{'k':null}}", "/labels/k" },
        { "instance/a", HEAD ",'current_state':{'code_version':''}}",
          "/current_state/code_version" },
        { "instance/a", HEAD ",'current_state':{'code':'1'}}", "/current_state/code" },
        { "instance/a", HEAD ",'member_of':'42'}", "no rollout" },
        { "instance/a", HEAD ",'member_of':'r-0'}", "no rollout" },
        { "instance/a", HEAD ",'attempt':1}", "without /deployment_id" },
        { "instance/a", HEAD ",'deadline_at':1}", "without /deployment_id" },
        { "instance/a", HEAD ",'deployment_id':'r-1'}", "without /attempt" },
        { "instance/a", HEAD ",'deployment_id':'r1','attempt':1}", "no rollout" },
        { "instance/a", ORDER ",'attempt':2}", "given twice" },
        { "instance/a", ORDER ",'update_state':'in progress'}", "/update_state" },
        { "instance/a", ORDER ",'cause':'bored'}", "/cause" },
        { "instance/a", ORDER ",'status_when_picked':1}", "/status_when_picked" },
        { "instance/a", ORDER ",'deadline_at':'2031-01-01T00:00:00Z'}", "/deadline_at" },
        { "instance/a", ORDER ",'deadline_at':-5}", "/deadline_at" },
        { "instance/a", HEAD ",'trail':[]}", "/trail" },
        { "instance/a", HEAD ",'trail':[{}]}", "/trail/0/deployment_id" },
        { "instance/a", HEAD ",'trail':[{'deployment_id':'x'}]}", "no rollout" },
        { "instance/a",
          HEAD ",'trail':[{'deployment_id':'r-1'},{'deployment_id':'r-2'},{'deployment_id':'r-3'},"
               "{'deployment_id':'r-4'},{'deployment_id':'r-5'}]}",
          "/trail" },
        { "instance/a",
          "{'name':'a','status':'FINE','online':true,'registered_at':1,'changed_index':2}",
          "/status" },
        { "instance/a",
          "{'name':'a','status':'HEALTHY','online':1,'registered_at':1,'changed_index':2}",
          "/online" },
        { "instance/a%0A",
          "{'name':'a\\n','status':'HEALTHY','online':true,'registered_at':1,'changed_index':2}",
          "control character" },
    };

    REFUSE(*state, wire_load_instance, list);
}

#define ROLLOUT(id, config, more)                                                                  \
    "{'id':" id ",'status':'COMPLETED','generation':2,'revision':3,'started_index':1,"             \
    "'request':{'code_version':'1','configuration':{" config "}},'selector':'a=b',"                \
    "'progress':{'total_instances':1},'created_at':5" more "}"

static void test_damaged_rollouts_are_refused(void **state)
{
    const char *key = "rollout/00000007";
    const struct damage list[] = {
        { key, "[]", "must be an object" },
        { key, "{}", "missing" },
        { key, ROLLOUT("'r-8'", "", ""), "another rollout" },
        { "rollout/7", ROLLOUT("'r-7'", "", ""), "another rollout" },
        { key, ROLLOUT("'7'", "", ""), "no rollout" },
        { key, ROLLOUT("7", "", ""), "/id" },
        { key, ROLLOUT("'r-7'", "", ",'status':'FAILED'"), "given twice" },
        { key, ROLLOUT("'r-7'", "", ",'progres':{}"), "/progres" },
        { key, ROLLOUT("'r-7'", "", ",'outcome':'good'"), "/outcome" },
        { key, ROLLOUT("'r-7'", "", ",'cause':'rain'"), "/cause" },
        { key, ROLLOUT("'r-7'", "", ",'rollback_of':'r-'"), "no rollout" },
        { key, ROLLOUT("'r-7'", "", ",'rollback_error':'lost'"), "/rollback_error" },
        { key, ROLLOUT("'r-7'", "", ",'unresolved':[]"), "/unresolved" },
        { key, ROLLOUT("'r-7'", "", ",'unresolved':[1]"), "/unresolved/0" },
        { key, ROLLOUT("'r-7'", "", ",'failures':[]"), "/failures" },
        { key, ROLLOUT("'r-7'", "", ",'failures':[{}]"), "/failures/0" },
        { key, ROLLOUT("'r-7'", "", ",'failures':[{'instance':'a','cause':'rain'}]"),
          "/failures/0/cause" },
        { key, ROLLOUT("'r-7'", "", ",'ended_at':true"), "/ended_at" },
        { key, ROLLOUT("'r-7'", "'batch_size':0", ""), "/request/configuration/batch_size" },
        { key, ROLLOUT("'r-7'", "'batch':1", ""), "/request/configuration/batch" },
        { key, ROLLOUT("'r-7'", "'strategy':'canary'", ""), "/canary is missing" },
        { key, ROLLOUT("'r-7'", "'waves':[{}]", ""), "/waves belongs to" },
        { key, ROLLOUT("'r-7'", "'strategy':'waves','waves':[{'size':1},{}]", ""),
          "/waves are not those of its configuration" },
        { key, ROLLOUT("'r-7'", "'strategy':'waves','waves':[{'size':1},{}]", ",'waves':[{}]"),
          "/waves are not those of its configuration" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{},{}]"), "/waves are not those" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[]"), "/waves" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{}],'open_wave':1"), "/open_wave is none" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{}],'open_wave':100"), "/open_wave" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{}],'wave_state':'wet'"), "/wave_state" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{}],'gate_state':'ajar'"), "/gate_state" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{}],'gate':17"), "/gate" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{'last_rank':8}]"), "/waves/0/last_rank" },
        { key, ROLLOUT("'r-7'", "", ",'waves':[{'last_key':''}]"), "/waves/0/last_key" },
        { key,
          "{'id':'r-7','status':'COMPLETED','generation':2,'revision':3,'started_index':1,"
          "'request':{'configuration':{}},'selector':'b=1,a=2',"
          "'progress':{},'created_at':5}",
          "not canonical" },
        { key,
          "{'id':'r-7','status':'COMPLETED','generation':2,'revision':3,'started_index':1,"
          "'request':{'configuration':{}},'selector':'a=(',"
          "'progress':{},'created_at':5}",
          "selector, byte" },
        { key,
          "{'id':'r-7','status':'RUNNIN','generation':2,'revision':3,'started_index':1,"
          "'request':{'configuration':{}},'selector':'','progress':{},'created_at':5}",
          "/status" },
    };
    struct kit *kit = *state;
    struct err err = { 0 };

    REFUSE(kit, wire_load_rollout, list);

    /* None of it was refused for another reason. */
    assert_true(wire_load_rollout(&kit->fleet, text_from(key),
                                  kit_quote(kit, ROLLOUT("'r-7'", "", "")), &kit->arena, &err));
    assert_int_equal(fleet_rollout(&kit->fleet, 7)->config.batch_size.value, 1);
    assert_false(wire_load_rollout(&kit->fleet, text_from(key),
                                   kit_quote(kit, ROLLOUT("'r-7'", "", "")), &kit->arena, &err));
    assert_non_null(strstr(err.text, "two of it"));
}

static void test_an_instance_is_loaded_once_only(void **state)
{
    struct kit *kit = *state;
    struct err err = { 0 };
    struct text json = kit_quote(kit, ORDER "}");
    assert_true(wire_load_instance(&kit->fleet, TEXT("instance/a"), json, &kit->arena, &err));

    assert_false(wire_load_instance(&kit->fleet, TEXT("instance/a"), json, &kit->arena, &err));

    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(kit->fleet.instance_count, 1);
}

/* One byte of a good record is replaced, or it is cut: no crash, and never a record that stores
 * differently from what was read. */
static void test_random_damage_never_loads_something_else(void **state)
{
    struct kit *kit = *state;
    struct dice dice = { 99 };
    unsigned refused = 0, loaded = 0;
    kit_register(kit, "{'instance':{'name':'web-1','ip':'10.0.0.1','labels':{'env':'prod'}}}");
    kit_beat(kit, "web-1", "{'code_version':'1','configuration_version':'c','status':1}");
    kit_deploy(kit, "{'code_version':'2'}");
    buffer_clear(&kit->out);
    wire_store_instance(&kit->out, &kit->fleet, kit_slot(kit, "web-1"));
    struct text good;
    assert_true(arena_copy(&kit->arena, buffer_text(&kit->out), &good));
    for (unsigned i = 0; i < 3000; i++) {
        struct kit other;
        struct text bad = good;
        char space[2048];
        struct err err = { 0 };
        assert_true(good.size < sizeof space);
        memcpy(space, good.data, good.size);
        bad.data = space;
        /* Any byte for any other; digits mostly for digits, which is harder to notice. */
        uint32_t at = dice_roll(&dice, (uint32_t)good.size);
        bool is_digit = space[at] >= '0' && space[at] <= '9';
        space[at] = is_digit ? (char)('0' + dice_roll(&dice, 11)) : (char)dice_roll(&dice, 256);
        if (i % 10 == 0)
            bad.size = dice_roll(&dice, (uint32_t)good.size);
        kit_init(&other);
        if (wire_load_instance(&other.fleet, TEXT("instance/web-1"), bad, &other.arena, &err)) {
            loaded++;
            buffer_clear(&other.out);
            wire_store_instance(&other.out, &other.fleet, 0);
            /* Letter case of words and the order of labels may differ, the size may not. */
            assert_int_equal(other.out.size, bad.size);
        } else {
            refused++;
            assert_int_equal(err.code, ERR_CORRUPT);
        }
        kit_release(&other);
    }
    assert_true(refused > 1000 && loaded > 100);
}

/* ---- journal entries ------------------------------------------------------------------------ */

#define EVENT "event/00000000000000000042"

static bool read_head(struct kit *kit, const char *key, const char *json, uint64_t *ret_index,
                      struct wire_event_head *ret, struct err *err)
{
    return wire_read_event_head(text_from(key), kit_quote(kit, json), &kit->arena, ret_index, ret,
                                err);
}

static void test_the_head_of_an_entry_is_read(void **state)
{
    struct wire_event_head head = { 0 };
    uint64_t index = 0;

    assert_true(read_head(*state, EVENT,
                          "{'index':42,'type':'rollout.paused','deployment_id':'r-7',"
                          "'instance':null}",
                          &index, &head, NULL));
    assert_int_equal(index, 42);
    assert_int_equal(head.type, CHANGE_ROLLOUT_PAUSED);
    assert_int_equal(head.rollout, 7);

    assert_true(read_head(*state, "event/18446744073709551615",
                          "{'index':18446744073709551615,'type':'instance.online',"
                          "'deployment_id':null,'instance':'a'}",
                          &index, &head, NULL));
    assert_true(index == UINT64_MAX);
    assert_int_equal(head.type, CHANGE_ONLINE);
    assert_int_equal(head.rollout, 0);
}

static void test_damaged_heads_are_refused(void **state)
{
    const char *const list[][2] = {
        { EVENT, "" },
        { EVENT, "{}" },
        { EVENT, "{'index':43,'type':'instance.online','deployment_id':null,'a':1}" },
        { EVENT, "{'index':042,'type':'instance.online','deployment_id':null,'a':1}" },
        { EVENT, "{'index':,'type':'instance.online','deployment_id':null,'a':1}" },
        { EVENT, "{'index':42,'type':'instance.onlin','deployment_id':null,'a':1}" },
        { EVENT, "{'index':42,'type':'instance.online','deployment_id':'r-0','a':1}" },
        { EVENT, "{'index':42,'type':'instance.online','deployment_id':'r-4294967296','a':1}" },
        { EVENT, "{'index':42,'type':'instance.online','deployment_id':'7','a':1}" },
        { EVENT, "{'index':42,'type':'instance.online','deployment_id':null,'a':1" },
        { EVENT, "{'index':42,'type':'instance.online','deployment_id':nul,'a':1}" },
        { EVENT, "{'index':42,'type':'instance.online" },
        { "event/42", "{'index':42,'type':'instance.online','deployment_id':null,'a':1}" },
        { "event/0000000000000000004x",
          "{'index':42,'type':'instance.online','deployment_id':null,'a':1}" },
        { "events/00000000000000000042",
          "{'index':42,'type':'instance.online','deployment_id':null,'a':1}" },
        { "event/99999999999999999999",
          "{'index':42,'type':'instance.online','deployment_id':null,'a':1}" },
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct wire_event_head head = { .rollout = 5 };
        uint64_t index = 5;
        struct err err = { 0 };
        if (read_head(*state, list[i][0], list[i][1], &index, &head, &err))
            fail_msg("taken: %s: %s", list[i][0], list[i][1]);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_non_null(strstr(err.text, list[i][0]));
        assert_int_equal(index, 5);
        assert_int_equal(head.rollout, 5);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_damaged_instances_are_refused),
        TEST(test_damaged_rollouts_are_refused),
        TEST(test_an_instance_is_loaded_once_only),
        TEST(test_random_damage_never_loads_something_else),
        TEST(test_the_head_of_an_entry_is_read),
        TEST(test_damaged_heads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
