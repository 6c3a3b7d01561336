/* SPDX-License-Identifier: Apache-2.0
 * test_request.c - registration, bodies of verbs, and ids. */
#include "base/limits.h"
#include "wire/refusals.h"
#include "wire/request.h"

static struct wire_register take(struct kit *kit, const char *body, struct json_warnings *warnings)
{
    struct wire_register ret;
    struct err err = { 0 };
    if (!wire_read_register(kit_quote(kit, body), &kit->arena, &ret, warnings, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    return ret;
}

static bool read_register(struct text body, struct arena *arena, struct err *err)
{
    struct wire_register ret, untouched;
    memset(&ret, 0x5a, sizeof ret);
    memset(&untouched, 0x5a, sizeof untouched);
    bool taken = wire_read_register(body, arena, &ret, NULL, err);
    if (!taken)
        assert_memory_equal(&ret, &untouched, sizeof ret);
    return taken;
}

/* ---- registration --------------------------------------------------------------------------- */

static void test_the_published_registration_is_taken(void **state)
{
    struct json_warnings warnings = { 0 };

    struct wire_register r = take(*state,
                                  "{'instance': {'ip': '192.168.1.100', 'name': 'web-server-01',"
                                  " 'labels': {'environment': 'production', 'role': 'web'}},"
                                  " 'token': 'your-registration-token'}",
                                  &warnings);

    assert_text(r.command.name, "web-server-01");
    assert_text(r.command.ip, "192.168.1.100");
    assert_true(r.command.has_labels);
    assert_int_equal(r.command.label_count, 2);
    assert_text(r.command.labels[0].key, "environment");
    assert_text(r.command.labels[0].value, "production");
    assert_false(r.command.labels[0].is_removal);
    assert_text(r.command.labels[1].key, "role");
    assert_text(r.command.labels[1].value, "web");
    assert_true(r.has_token);
    assert_text(r.token, "your-registration-token");
    assert_int_equal(warnings.count, 0);
}

static void test_what_is_left_out_null_or_empty_is_not_given(void **state)
{
    struct wire_register nameless = take(*state, "{'instance':{'ip':'::1','name':''}}", NULL);
    struct wire_register by_name =
        take(*state, "{'instance':{'name':'a','ip':null,'labels':null},'token':null}", NULL);
    struct wire_register no_labels =
        take(*state, "{'instance':{'name':'a','ip':'','labels':{}},'token':''}", NULL);

    assert_int_equal(nameless.command.name.size, 0);
    assert_text(nameless.command.ip, "::1");
    assert_false(nameless.command.has_labels);
    assert_int_equal(by_name.command.ip.size, 0);
    assert_false(by_name.command.has_labels);
    assert_false(by_name.has_token);
    assert_true(no_labels.command.has_labels);
    assert_int_equal(no_labels.command.label_count, 0);
    assert_false(no_labels.has_token);
}

static void test_unknown_keys_of_a_registration_are_warnings(void **state)
{
    struct json_warnings warnings = { 0 };

    take(*state, "{'instance':{'name':'a','lables':{}},'tokn':'x','os':{'a':[1]}}", &warnings);

    assert_int_equal(warnings.count, 3);
    assert_text(warnings.list[0], "/instance/lables was ignored: it is not a known key; did you "
                                  "mean \"labels\"?");
    assert_text(warnings.list[1],
                "/tokn was ignored: it is not a known key; did you mean \"token\"?");
    assert_true(text_starts_with(warnings.list[2], TEXT("/os was ignored")));
}

static void test_wrong_registrations_are_refused(void **state)
{
    struct kit *kit = *state;
    const struct refusal list[] = {
        { "", ERR_BAD_JSON, "", "" },
        { "[]", ERR_INVALID, "", "must be an object" },
        { "{}", ERR_INVALID, "/instance", "missing" },
        { "{'instance':null}", ERR_INVALID, "/instance", "not null" },
        { "{'instance':{}}", ERR_INVALID, "/instance", "needs a name or an ip" },
        { "{'instance':{'name':'','ip':''}}", ERR_INVALID, "/instance", "needs a name or an ip" },
        { "{'instance':{'name':7}}", ERR_INVALID, "/instance/name", "must stand in quotes" },
        { "{'instance':{'name':'a\\nb'}}", ERR_INVALID, "/instance/name", "control character" },
        { "{'instance':{'name':'a\\u007f'}}", ERR_INVALID, "/instance/name", "control character" },
        { "{'instance':{'ip':'10.0.0.256'}}", ERR_INVALID, "/instance/ip", "is not an IPv4" },
        { "{'instance':{'ip':'web'}}", ERR_INVALID, "/instance/ip", "is not an IPv4" },
        { "{'instance':{'ip':'fe80::1%eth0'}}", ERR_INVALID, "/instance/ip", "is not an IPv4" },
        { "{'instance':{'name':'a','labels':{'x':null}}}", ERR_INVALID, "/instance/labels/x",
          "not a text" },
        { "{'instance':{'name':'a','labels':{'x':1}}}", ERR_INVALID, "/instance/labels/x",
          "not a text" },
        { "{'instance':{'name':'a','labels':{'':'y'}}}", ERR_INVALID, "/instance/labels/",
          "key is empty" },
        { "{'instance':{'name':'a','labels':{'x':'1','x':'2'}}}", ERR_BAD_JSON,
          "/instance/labels/x", "given twice" },
        { "{'instance':{'name':'a'},'token':1}", ERR_INVALID, "/token", "" },
    };

    REFUSE(kit, read_register, list);
}

static void test_a_registration_keeps_to_its_limits(void **state)
{
    struct kit *kit = *state;
    struct kit *k = kit;
    const struct refusal over[] = {
        { long_body(k, "{'instance':{'name':'", LIMIT_NAME + 1, "'}}"), ERR_INVALID,
          "/instance/name", "too long" },
        { long_body(k, "{'instance':{'name':'a'},'token':'", LIMIT_TOKEN + 1, "'}"), ERR_INVALID,
          "/token", "too long" },
        { long_body(k, "{'instance':{'name':'a','labels':{'k':'", LIMIT_LABEL_VALUE + 1, "'}}}"),
          ERR_INVALID, "/instance/labels/k", "too long" },
        { long_body(k, "{'instance':{'name':'a','labels':{'", LIMIT_LABEL_KEY + 1, "':''}}}"),
          ERR_INVALID, NULL, "too long" },
    };

    take(kit, long_body(k, "{'instance':{'name':'", LIMIT_NAME, "'}}"), NULL);
    take(kit, long_body(k, "{'instance':{'name':'a'},'token':'", LIMIT_TOKEN, "'}"), NULL);
    take(kit, long_body(k, "{'instance':{'name':'a','labels':{'k':'", LIMIT_LABEL_VALUE, "'}}}"),
         NULL);
    take(kit, long_body(k, "{'instance':{'name':'a','labels':{'", LIMIT_LABEL_KEY, "':''}}}"),
         NULL);

    refuse(kit, read_register, over, 3);
    struct err err = { 0 };
    assert_false(read_register(kit_quote(kit, over[3].body), &kit->arena, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(text_starts_with(text_from(err.pointer), TEXT("/instance/labels/xxx")));
}

/* {"instance":{"name":"a","labels":{"k0":"",...}}} */
static const char *body_with_labels(struct kit *kit, unsigned count)
{
    buffer_clear(&kit->out);
    buffer_add(&kit->out, TEXT("{'instance':{'name':'a','labels':{"));
    for (unsigned i = 0; i < count; i++)
        buffer_printf(&kit->out, "%s'k%u':''", i ? "," : "", i);
    buffer_add(&kit->out, TEXT("}}}"));
    struct text copy;
    assert_true(arena_copy(&kit->arena, buffer_text(&kit->out), &copy));
    return copy.data;
}

static void test_an_instance_has_at_most_64_labels(void **state)
{
    struct kit *kit = *state;
    const struct refusal list[] = {
        { body_with_labels(kit, LIMIT_LABELS + 1), ERR_INVALID, "/instance/labels", "has more" },
    };

    assert_int_equal(take(kit, body_with_labels(kit, LIMIT_LABELS), NULL).command.label_count,
                     LIMIT_LABELS);

    REFUSE(kit, read_register, list);
}

/* ---- tokens --------------------------------------------------------------------------------- */

static void test_the_token_is_read_whatever_the_fields_are(void **state)
{
    struct kit *kit = *state;
    const struct {
        const char *body, *token;
    } list[] = {
        { "{'token':'secret','instance':{'name':7}}", "secret" },
        { "{'token':'secret'}", "secret" },
        { "{'instance':{'ip':'no','ip2':{}},'token':'t','x':[]}", "t" },
        { "{'instance':{}}", "" },
        { "{'token':null}", "" },
        { "{'token':''}", "" },
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct err err = { 0 };
        struct text token = TEXT("untouched");
        assert_true(wire_read_token(kit_quote(kit, list[i].body), &kit->arena, &token, &err));
        assert_text(token, list[i].token);
    }
}

static void test_a_token_in_a_body_that_is_no_json_is_not_read(void **state)
{
    struct kit *kit = *state;
    struct text token = TEXT("untouched");
    struct err err = { 0 };

    assert_false(wire_read_token(TEXT("{\"token\":\"x\""), &kit->arena, &token, &err));

    assert_int_equal(err.code, ERR_BAD_JSON);
    assert_text(token, "untouched");
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static struct verb_command take_verb(struct kit *kit, enum verb verb, const char *body)
{
    struct verb_command ret;
    struct err err = { 0 };
    if (!wire_read_verb(kit_quote(kit, body), &kit->arena, verb, &ret, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    assert_int_equal(ret.verb, verb);
    return ret;
}

static void test_no_body_of_a_verb_is_an_empty_one(void **state)
{
    for (unsigned verb = 0; verb < VERB_ROLLBACK; verb++) {
        assert_int_equal(take_verb(*state, verb, "").reason.size, 0);
        assert_int_equal(take_verb(*state, verb, " {} ").reason.size, 0);
        assert_text(take_verb(*state, verb, "{'reason':'too hot'}").reason, "too hot");
        assert_false(take_verb(*state, verb, "{'reason':null}").finish_in_flight);
    }
}

static void test_abort_can_let_members_in_flight_finish(void **state)
{
    assert_true(take_verb(*state, VERB_ABORT, "{'in_flight':'finish'}").finish_in_flight);
    assert_true(
        take_verb(*state, VERB_ABORT, "{'in_flight':'FINISH','reason':'x'}").finish_in_flight);
    assert_false(take_verb(*state, VERB_ABORT, "{'reason':'x'}").finish_in_flight);
    assert_false(take_verb(*state, VERB_PROMOTE, "{'full':true}").finish_in_flight);
}

static bool read_pause(struct text body, struct arena *arena, struct err *err)
{
    struct verb_command ret;
    return wire_read_verb(body, arena, VERB_PAUSE, &ret, err);
}

static bool read_abort(struct text body, struct arena *arena, struct err *err)
{
    struct verb_command ret;
    return wire_read_verb(body, arena, VERB_ABORT, &ret, err);
}

static bool read_promote(struct text body, struct arena *arena, struct err *err)
{
    struct verb_command ret;
    return wire_read_verb(body, arena, VERB_PROMOTE, &ret, err);
}

static void test_wrong_bodies_of_verbs_are_refused(void **state)
{
    struct kit *kit = *state;
    const struct refusal pause[] = {
        { "x", ERR_BAD_JSON, "", "" },
        { "{'reason':1}", ERR_INVALID, "/reason", "" },
        { "{'raeson':'x'}", ERR_UNKNOWN_KEY, "/raeson", "did you mean \"reason\"?" },
        { "{'in_flight':'finish'}", ERR_UNKNOWN_KEY, "/in_flight", "" },
        { "{'full':true}", ERR_UNKNOWN_KEY, "/full", "" },
        { long_body(kit, "{'reason':'", LIMIT_REASON + 1, "'}"), ERR_INVALID, "/reason",
          "too long" },
    };
    const struct refusal aborts[] = {
        { "{'in_flight':'stop'}", ERR_INVALID, "/in_flight", "\"finish\"" },
        { "{'in_flight':null}", ERR_INVALID, "/in_flight", "" },
        { "{'full':true}", ERR_UNKNOWN_KEY, "/full", "" },
    };
    const struct refusal promotes[] = {
        { "{'full':'yes'}", ERR_INVALID, "/full", "true or false" },
        { "{'in_flight':'finish'}", ERR_UNKNOWN_KEY, "/in_flight", "" },
    };

    take_verb(kit, VERB_PAUSE, long_body(kit, "{'reason':'", LIMIT_REASON, "'}"));

    REFUSE(kit, read_pause, pause);
    REFUSE(kit, read_abort, aborts);
    REFUSE(kit, read_promote, promotes);
}

/* ---- ids ------------------------------------------------------------------------------------ */

static void test_ids_are_r_and_a_number(void **state)
{
    uint32_t number = 0;
    (void)state;

    assert_true(wire_read_rollout_id(TEXT("r-1"), &number, NULL));
    assert_int_equal(number, 1);
    assert_true(wire_read_rollout_id(TEXT("r-42"), &number, NULL));
    assert_int_equal(number, 42);
    assert_true(wire_read_rollout_id(TEXT("r-4294967295"), &number, NULL));
    assert_int_equal(number, UINT32_MAX);
}

static void test_what_is_no_id_is_refused(void **state)
{
    const char *const list[] = { "",     "r",     "r-",    "42",           "r-0",  "r-042", "R-42",
                                 "r--1", "r-4x2", "r-42 ", "r-4294967296", " r-1", "r-+1" };
    (void)state;

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct err err = { 0 };
        uint32_t number = 7;
        if (wire_read_rollout_id(text_from(list[i]), &number, &err))
            fail_msg("taken: %s", list[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(number, 7);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_published_registration_is_taken),
        TEST(test_what_is_left_out_null_or_empty_is_not_given),
        TEST(test_unknown_keys_of_a_registration_are_warnings),
        TEST(test_wrong_registrations_are_refused),
        TEST(test_a_registration_keeps_to_its_limits),
        TEST(test_an_instance_has_at_most_64_labels),
        TEST(test_the_token_is_read_whatever_the_fields_are),
        TEST(test_a_token_in_a_body_that_is_no_json_is_not_read),
        TEST(test_no_body_of_a_verb_is_an_empty_one),
        TEST(test_abort_can_let_members_in_flight_finish),
        TEST(test_wrong_bodies_of_verbs_are_refused),
        TEST(test_ids_are_r_and_a_number),
        TEST(test_what_is_no_id_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
