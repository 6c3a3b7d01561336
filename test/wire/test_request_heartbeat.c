/* SPDX-License-Identifier: Apache-2.0
 * test_request_heartbeat.c - every form of a heartbeat, and what contradicts itself. */
#include "base/limits.h"
#include "wire/refusals.h"
#include "wire/request.h"
#include "wire/session.h"

static struct wire_heartbeat take_with(struct kit *kit, const char *body,
                                       struct json_warnings *warnings)
{
    struct wire_heartbeat ret;
    struct err err = { 0 };
    if (!wire_read_heartbeat(kit_quote(kit, body), &kit->arena, &ret, warnings, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    return ret;
}

static struct wire_heartbeat take(struct kit *kit, const char *body)
{
    return take_with(kit, body, NULL);
}

static bool read_heartbeat(struct text body, struct arena *arena, struct err *err)
{
    struct wire_heartbeat ret, untouched;
    memset(&ret, 0x5a, sizeof ret);
    memset(&untouched, 0x5a, sizeof untouched);
    bool taken = wire_read_heartbeat(body, arena, &ret, NULL, err);
    if (!taken)
        assert_memory_equal(&ret, &untouched, sizeof ret);
    return taken;
}

static void assert_state(const struct wire_heartbeat *h, const char *code, const char *config,
                         enum instance_state status)
{
    assert_true(h->command.has_code);
    assert_text(h->command.code, code);
    assert_true(h->command.has_config);
    assert_text(h->command.config, config);
    assert_true(h->command.has_status);
    assert_int_equal(h->command.status, status);
}

/* ---- forms ---------------------------------------------------------------------------------- */

static void test_the_published_heartbeat_is_taken(void **state)
{
    struct wire_heartbeat h =
        take(*state, "{'code_version': '1.0.0', 'configuration_version': '1.0.1', 'status': 1}");

    assert_state(&h, "1.0.0", "1.0.1", INSTANCE_HEALTHY);
    assert_false(h.command.has_message);
    assert_false(h.command.has_sent_at);
    assert_int_equal(h.command.label_count, 0);
    assert_false(h.has_observed_generation);
    assert_int_equal(h.observed_term, 0);
    assert_false(h.gave_desired_state);
}

static void test_an_empty_heartbeat_says_nothing(void **state)
{
    const char *const list[] = {
        "{}",
        "{'updates':{}}",
        "{'updates':null}",
        "{'current_state':{}}",
        "{'code_version':null,'configuration_version':null,'status':null,'labels':null,"
        "'message':null,'observed_generation':null,'observed_term':null,'sent_at':null,'last_ping':"
        "null,"
        "'current_state':null,'desired_state':null,'updates':{'current_state':null}}",
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct wire_heartbeat h = take(*state, list[i]);
        assert_false(h.command.has_code || h.command.has_config || h.command.has_status);
        assert_false(h.command.has_message || h.command.has_sent_at);
        assert_int_equal(h.command.label_count, 0);
        assert_false(h.has_observed_generation || h.gave_desired_state);
    }
}

static void test_the_nested_forms_mean_the_same(void **state)
{
    const char *const list[] = {
        "{'updates':{'status':2,'current_state':{'code_version':'1','configuration_version':'2'}}}",
        ("{'updates':{'status':'degraded','current_state':{'CodeVersion':'1',"
         "'ConfigurationVersion':'2'}}}"),
        "{'status':'Degraded','current_state':{'CodeVersion':'1','configuration_version':'2'}}",
        "{'CodeVersion':'1','ConfigurationVersion':'2','status':'DEGRADED'}",
        "{'updates':{'code_version':'1','ConfigurationVersion':'2','status':2}}",
        "{'code_version':'1','updates':{'status':2,'current_state':{'ConfigurationVersion':'2'}}}",
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct wire_heartbeat h = take(*state, list[i]);
        assert_state(&h, "1", "2", INSTANCE_DEGRADED);
    }
}

static void test_the_other_fields_go_with_both_forms(void **state)
{
    const char *const list[] = {
        "{'message':'hot','observed_generation':7,'observed_term':2,'sent_at':'2031-01-01T00:00:"
        "01Z',"
        "'labels':{'zone':'a','old':null}}",
        ("{'updates':{'message':'hot','observed_generation':7,'observed_term':2,"
         "'last_ping':'2031-01-01T00:00:01Z','labels':{'zone':'a','old':null}}}"),
        "{'updates':{'status':1,'observed_term':2},'message':'hot','observed_generation':7,"
        "'sent_at':'2031-01-01T01:00:01+01:00','labels':{'zone':'a','old':null}}",
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct wire_heartbeat h = take(*state, list[i]);
        assert_true(h.command.has_message);
        assert_text(h.command.message, "hot");
        assert_true(h.has_observed_generation);
        assert_int_equal(h.observed_generation, 7);
        assert_int_equal(h.observed_term, 2);
        assert_true(h.command.has_sent_at);
        assert_int_equal(h.command.sent_at, 1924992001000);
        assert_int_equal(h.command.label_count, 2);
        assert_text(h.command.labels[0].key, "zone");
        assert_text(h.command.labels[0].value, "a");
        assert_false(h.command.labels[0].is_removal);
        assert_text(h.command.labels[1].key, "old");
        assert_true(h.command.labels[1].is_removal);
    }
}

static void test_an_empty_message_is_given(void **state)
{
    struct wire_heartbeat h = take(*state, "{'message':''}");

    assert_true(h.command.has_message);
    assert_int_equal(h.command.message.size, 0);
}

static void test_a_status_is_a_number_or_a_name_in_any_case(void **state)
{
    const struct {
        const char *body;
        enum instance_state status;
    } list[] = {
        { "{'status':0}", INSTANCE_UNKNOWN },         { "{'status':1}", INSTANCE_HEALTHY },
        { "{'status':2}", INSTANCE_DEGRADED },        { "{'status':3}", INSTANCE_FAILED },
        { "{'status':'UNKNOWN'}", INSTANCE_UNKNOWN }, { "{'status':'healthy'}", INSTANCE_HEALTHY },
        { "{'status':'Failed'}", INSTANCE_FAILED },
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct wire_heartbeat h = take(*state, list[i].body);
        assert_true(h.command.has_status);
        assert_int_equal(h.command.status, list[i].status);
    }
}

/* ---- warnings ------------------------------------------------------------------------------- */

static void test_a_desired_state_is_ignored_with_a_warning(void **state)
{
    struct json_warnings warnings = { 0 };

    struct wire_heartbeat h = take_with(
        *state, "{'desired_state':{'code_version':7},'updates':{'desired_state':[]}}", &warnings);

    assert_true(h.gave_desired_state);
    assert_false(h.command.has_code);
    assert_int_equal(warnings.count, 2);
    assert_text(warnings.list[0], "/desired_state was ignored: only the server sets it");
    assert_text(warnings.list[1], "/updates/desired_state was ignored: only the server sets it");
}

static void test_warnings_beyond_their_number_are_counted(void **state)
{
    struct json_warnings warnings = { 0 };

    take_with(*state, "{'a':1,'b':1,'c':1,'d':1,'e':1,'f':1,'g':1,'h':1,'desired_state':{}}",
              &warnings);

    assert_int_equal(warnings.count, JSON_WARNINGS_MAX);
    assert_int_equal(warnings.more, 1);
}

static void test_unknown_keys_of_a_heartbeat_are_warnings(void **state)
{
    struct json_warnings warnings = { 0 };

    take_with(*state,
              "{'statu':1,'updates':{'updates':{},'current_state':{'version':'1'}},'x':{'y':[]}}",
              &warnings);

    assert_int_equal(warnings.count, 4);
    assert_text(warnings.list[0],
                "/statu was ignored: it is not a known key; did you mean \"status\"?");
    assert_true(text_starts_with(warnings.list[1], TEXT("/updates/updates was ignored")));
    assert_true(
        text_starts_with(warnings.list[2], TEXT("/updates/current_state/version was ignored")));
    assert_true(text_starts_with(warnings.list[3], TEXT("/x was ignored")));
}

/* ---- contradictions ------------------------------------------------------------------------- */

static void test_equal_values_may_be_given_twice(void **state)
{
    struct wire_heartbeat h =
        take(*state, "{'code_version':'1','configuration_version':'2','status':1,'message':'m',"
                     "'observed_generation':3,'sent_at':'2031-01-01T00:00:00Z',"
                     "'last_ping':'2031-01-01T00:00:00.000Z','labels':{'a':'1','b':null},"
                     "'current_state':{'CodeVersion':'1','ConfigurationVersion':'2'},"
                     "'updates':{'code_version':'1','status':'HEALTHY','message':'m',"
                     "'observed_generation':3,'last_ping':'2031-01-01T00:00:00Z',"
                     "'labels':{'b':null,'a':'1'},'current_state':{'code_version':'1'}}}");

    assert_state(&h, "1", "2", INSTANCE_HEALTHY);
    assert_int_equal(h.command.label_count, 2);
    assert_int_equal(h.observed_generation, 3);
}

static void test_different_values_for_one_field_are_refused(void **state)
{
    const struct refusal list[] = {
        { "{'code_version':'1','current_state':{'code_version':'2'}}", ERR_INVALID,
          "/current_state/code_version", "given twice with different values" },
        { "{'code_version':'1','updates':{'code_version':'2'}}", ERR_INVALID,
          "/updates/code_version", "given twice" },
        { "{'ConfigurationVersion':'1','updates':{'current_state':{'ConfigurationVersion':'2'}}}",
          ERR_INVALID, "/updates/current_state/configuration_version", "given twice" },
        { "{'status':1,'updates':{'status':'FAILED'}}", ERR_INVALID, "/updates/status",
          "given twice" },
        { "{'message':'a','updates':{'message':''}}", ERR_INVALID, "/updates/message",
          "given twice" },
        { "{'observed_generation':1,'updates':{'observed_generation':2}}", ERR_INVALID,
          "/updates/observed_generation", "given twice" },
        { "{'observed_term':1,'updates':{'observed_term':2}}", ERR_INVALID,
          "/updates/observed_term", "given twice" },
        { "{'sent_at':'2031-01-01T00:00:00Z','last_ping':'2031-01-01T00:00:01Z'}", ERR_INVALID,
          "/last_ping", "given twice" },
        { "{'sent_at':'2031-01-01T00:00:00Z','updates':{'sent_at':'2031-01-01T00:00:01Z'}}",
          ERR_INVALID, "/updates/sent_at", "given twice" },
        { "{'labels':{'a':'1'},'updates':{'labels':{'a':'2'}}}", ERR_INVALID, "/updates/labels",
          "given twice" },
        { "{'labels':{'a':'1'},'updates':{'labels':{'b':'1'}}}", ERR_INVALID, "/updates/labels",
          "given twice" },
        { "{'labels':{'a':''},'updates':{'labels':{'a':null}}}", ERR_INVALID, "/updates/labels",
          "given twice" },
        { "{'labels':{'a':'1'},'updates':{'labels':{}}}", ERR_INVALID, "/updates/labels",
          "given twice" },
        { "{'code_version':'1','CodeVersion':'1'}", ERR_INVALID, "/CodeVersion", "mean the same" },
        { "{'status':1,'status':1}", ERR_BAD_JSON, "/status", "given twice" },
    };

    REFUSE(*state, read_heartbeat, list);
}

static void test_wrong_heartbeats_are_refused(void **state)
{
    const struct refusal list[] = {
        { "", ERR_BAD_JSON, "", "" },
        { "{'status':1", ERR_BAD_JSON, "", "" },
        { "{'configuration_version':'1.0.1' 'status':1}", ERR_BAD_JSON, "", "" },
        { "[]", ERR_INVALID, "", "must be an object" },
        { "{'status':4}", ERR_INVALID, "/status",
          "0 \"UNKNOWN\", 1 \"HEALTHY\", 2 \"DEGRADED\", 3 \"FAILED\"" },
        { "{'status':-1}", ERR_INVALID, "/status", "\"HEALTHY\"" },
        { "{'status':1.0}", ERR_INVALID, "/status", "" },
        { "{'status':'1'}", ERR_INVALID, "/status", "\"HEALTHY\"" },
        { "{'status':'OK'}", ERR_INVALID, "/status", "\"HEALTHY\"" },
        { "{'status':true}", ERR_INVALID, "/status", "" },
        { "{'updates':{'status':9}}", ERR_INVALID, "/updates/status", "" },
        { "{'updates':[]}", ERR_INVALID, "/updates", "must be an object" },
        { "{'code_version':''}", ERR_INVALID, "/code_version", "it is empty" },
        { "{'code_version':1}", ERR_INVALID, "/code_version", "must stand in quotes" },
        { "{'current_state':{'CodeVersion':''}}", ERR_INVALID, "/current_state/CodeVersion",
          "it is empty" },
        { "{'current_state':'1'}", ERR_INVALID, "/current_state", "must be an object" },
        { "{'sent_at':'yesterday'}", ERR_INVALID, "/sent_at", "RFC 3339" },
        { "{'last_ping':1924992001}", ERR_INVALID, "/last_ping", "RFC 3339" },
        { "{'observed_generation':-1}", ERR_INVALID, "/observed_generation", "" },
        { "{'observed_term':0}", ERR_INVALID, "/observed_term", "" },
        { "{'observed_term':9007199254740993}", ERR_INVALID, "/observed_term", "" },
        { "{'observed_generation':4294967296}", ERR_INVALID, "/observed_generation", "" },
        { "{'session':'s'}", ERR_INVALID, "", "belong together" },
        { "{'sequence':1}", ERR_INVALID, "", "belong together" },
        { "{'session':'','sequence':1}", ERR_INVALID, "", "belong together" },
        { "{'session':'s','sequence':0}", ERR_INVALID, "/sequence", "" },
        { "{'session':'s','sequence':4294967296}", ERR_INVALID, "/sequence", "" },
        { "{'session':7,'sequence':1}", ERR_INVALID, "/session", "" },
        { "{'session':'','updates':{'session':'s'}}", ERR_INVALID, "/updates/session", "" },
        { "{'sequence':1,'session':'s','updates':{'sequence':2}}", ERR_INVALID, "/updates/sequence",
          "" },
        { "{'labels':[]}", ERR_INVALID, "/labels", "" },
        { "{'labels':{'a':true}}", ERR_INVALID, "/labels/a", "not a text" },
        { "{'message':['x']}", ERR_INVALID, "/message", "" },
    };

    REFUSE(*state, read_heartbeat, list);
}

static void test_a_heartbeat_keeps_to_its_limits(void **state)
{
    struct kit *kit = *state;
    const struct refusal over[] = {
        { long_body(kit, "{'code_version':'", LIMIT_VERSION + 1, "'}"), ERR_INVALID,
          "/code_version", "too long" },
        { long_body(kit, "{'current_state':{'ConfigurationVersion':'", LIMIT_VERSION + 1, "'}}"),
          ERR_INVALID, "/current_state/ConfigurationVersion", "too long" },
        { long_body(kit, "{'sequence':1,'session':'", WIRE_SESSION_MAX + 1, "'}"), ERR_INVALID,
          "/session", "too long" },
        { long_body(kit, "{'message':'", LIMIT_MESSAGE + 1, "'}"), ERR_INVALID, "/message",
          "too long" },
        { long_body(kit, "{'labels':{'k':'", LIMIT_LABEL_VALUE + 1, "'}}"), ERR_INVALID,
          "/labels/k", "too long" },
    };

    take(kit, long_body(kit, "{'code_version':'", LIMIT_VERSION, "'}"));
    take(kit, long_body(kit, "{'current_state':{'ConfigurationVersion':'", LIMIT_VERSION, "'}}"));
    take(kit, long_body(kit, "{'message':'", LIMIT_MESSAGE, "'}"));
    take(kit, long_body(kit, "{'labels':{'k':'", LIMIT_LABEL_VALUE, "'}}"));
    assert_int_equal(take(kit, "{'observed_generation':4294967295}").observed_generation,
                     UINT32_MAX);

    REFUSE(kit, read_heartbeat, over);
}

/* ---- sessions ------------------------------------------------------------------------------- */

static void test_an_empty_session_asks_for_one(void **state)
{
    struct wire_heartbeat asks = take(*state, "{'session':''}");
    struct wire_heartbeat nested = take(*state, "{'updates':{'session':''}}");
    struct wire_heartbeat none = take(*state, "{'session':null}");

    assert_int_equal(asks.command.order, HEARTBEAT_ASKS);
    assert_int_equal(nested.command.order, HEARTBEAT_ASKS);
    assert_int_equal(none.command.order, HEARTBEAT_PLAIN);
}

static void test_session_and_sequence_order_a_report(void **state)
{
    struct wire_heartbeat h = take(*state, "{'session':'abc','updates':{'sequence':4294967295}}");

    assert_int_equal(h.command.order, HEARTBEAT_ORDERED);
    assert_int_equal(h.command.sequence, UINT32_MAX);
    assert_text(h.session, "abc");
}

static void test_a_session_is_known_by_the_process_that_gave_it(void **state)
{
    (void)state;
    char space[WIRE_SESSION_SIZE];
    const uint32_t numbers[] = { 1, 9, 10, 255, 0xabcdef, UINT32_MAX };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct text session = wire_session_text(0xfeed, numbers[i], space);
        assert_int_equal(wire_session_number(session, 0xfeed), numbers[i]);
        assert_int_equal(wire_session_number(session, 0xfeee), 0);
    }
}

static void test_what_was_never_printed_is_no_session(void **state)
{
    (void)state;
    const char *const list[] = { "",
                                 "1",
                                 "000000000000feed",
                                 "000000000000feed-",
                                 "000000000000feed-01",
                                 "000000000000feed-A",
                                 "000000000000feed-1 ",
                                 "000000000000feed-100000001",
                                 "000000000000feed-z",
                                 "000000000000feed-0",
                                 "000000000000FEED-1" };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        assert_int_equal(wire_session_number(text_from(list[i]), 0xfeed), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_published_heartbeat_is_taken),
        TEST(test_an_empty_heartbeat_says_nothing),
        TEST(test_the_nested_forms_mean_the_same),
        TEST(test_the_other_fields_go_with_both_forms),
        TEST(test_an_empty_message_is_given),
        TEST(test_a_status_is_a_number_or_a_name_in_any_case),
        TEST(test_a_desired_state_is_ignored_with_a_warning),
        TEST(test_warnings_beyond_their_number_are_counted),
        TEST(test_unknown_keys_of_a_heartbeat_are_warnings),
        TEST(test_equal_values_may_be_given_twice),
        TEST(test_different_values_for_one_field_are_refused),
        TEST(test_wrong_heartbeats_are_refused),
        TEST(test_a_heartbeat_keeps_to_its_limits),
        TEST(test_an_empty_session_asks_for_one),
        TEST(test_session_and_sequence_order_a_report),
        TEST(test_a_session_is_known_by_the_process_that_gave_it),
        TEST(test_what_was_never_printed_is_no_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
