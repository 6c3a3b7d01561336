/* SPDX-License-Identifier: Apache-2.0
 * test_request_rollout.c - the bodies of deploy and rollback: defaults, limits, aliases, and what
 * is reserved. */
#include "base/limits.h"
#include "wire/refusals.h"
#include "wire/request.h"
#include "wire/view.h"

static struct deploy_command take(struct kit *kit, const char *body)
{
    struct deploy_command ret;
    struct err err = { 0 };
    if (!wire_read_deploy(kit_quote(kit, body), &kit->arena, &ret, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    return ret;
}

static struct rollback_command take_rollback(struct kit *kit, const char *body)
{
    struct rollback_command ret;
    struct err err = { 0 };
    if (!wire_read_rollback(kit_quote(kit, body), &kit->arena, &ret, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    return ret;
}

static bool read_deploy(struct text body, struct arena *arena, struct err *err)
{
    struct deploy_command ret, untouched;
    memset(&ret, 0x5a, sizeof ret);
    memset(&untouched, 0x5a, sizeof untouched);
    bool taken = wire_read_deploy(body, arena, &ret, err);
    if (!taken)
        assert_memory_equal(&ret, &untouched, sizeof ret);
    return taken;
}

static bool read_rollback(struct text body, struct arena *arena, struct err *err)
{
    struct rollback_command ret, untouched;
    memset(&ret, 0x5a, sizeof ret);
    memset(&untouched, 0x5a, sizeof untouched);
    bool taken = wire_read_rollback(body, arena, &ret, err);
    if (!taken)
        assert_memory_equal(&ret, &untouched, sizeof ret);
    return taken;
}

static void assert_selector(struct kit *kit, const struct selector *selector, const char *expected)
{
    buffer_clear(&kit->out);
    selector_print(selector, &kit->out);
    assert_text(buffer_text(&kit->out), expected);
}

static void assert_config(struct kit *kit, const struct rollout_config *config,
                          const char *expected)
{
    wire_write_config(kit_writer(kit), config);
    kit_assert(kit, kit_written(kit), expected);
}

#define DEFAULTS                                                                                   \
    "{'strategy':'rolling','batch_size':1,'mode':'window','failure_threshold':1,"                  \
    "'on_failure':'rollback','min_healthy_time':'0s','instance_deadline':'10m',"                   \
    "'health_deadline':'5m','progress_deadline':'0s','min_available':0,'domains':[],"              \
    "'dynamic':true,'offline':'wait','leftover_timeout':'10m','on_leftover':'complete'}"

/* ---- deploy --------------------------------------------------------------------------------- */

static void test_the_published_deploy_is_taken(void **state)
{
    struct deploy_command d =
        take(*state, "{'code_version': '1.0.0', 'configuration_version': '1.0.1',"
                     " 'lables': {'env': 'production'},"
                     " 'condiguration': {'batch_size': 2, 'failure_threshold': 1}}");

    assert_text(d.code, "1.0.0");
    assert_text(d.config, "1.0.1");
    assert_selector(*state, &d.selector, "env=production");
    assert_int_equal(d.rollout.batch_size.value, 2);
    assert_false(d.rollout.batch_size.is_percent);
    assert_int_equal(d.rollout.failure_threshold.value, 1);
    assert_int_equal(d.reason.size, 0);
    assert_int_equal(d.plan_hash.size, 0);
}

static void test_what_a_deploy_leaves_out_has_its_default(void **state)
{
    const char *const list[] = {
        "{'code_version':'1'}",
        "{'code_version':'1','configuration':{}}",
        "{'code_version':'1','configuration':null}",
        "{'code_version':'1','configuration_version':null,'labels':null,'selector':null,"
        "'condiguration':null,'plan_hash':null,'reason':null,'windows':null,'start_at':null,"
        "'approvals':null,'if_running':'reject'}",
        "{'code_version':'1','configuration':" DEFAULTS "}",
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct deploy_command d = take(*state, list[i]);
        assert_text(d.code, "1");
        assert_int_equal(d.config.size, 0);
        assert_int_equal(d.selector.count, 0);
        assert_int_equal(d.reason.size, 0);
        assert_memory_equal(&d.rollout, &rollout_config_default, sizeof d.rollout);
        assert_config(*state, &d.rollout, DEFAULTS);
    }
}

static void test_every_key_of_a_configuration_is_taken(void **state)
{
    const char *config = "{'strategy':'rolling','batch_size':'25%','mode':'barrier',"
                         "'failure_threshold':'10%','on_failure':'pause','min_healthy_time':'30s',"
                         "'instance_deadline':'1h','health_deadline':'0s',"
                         "'progress_deadline':'2d','min_available':0,'domains':[],'dynamic':false,"
                         "'offline':'skip','leftover_timeout':'500ms','on_leftover':'fail'}";
    struct kit *kit = *state;
    struct sentence body;
    sentence_init(&body);
    buffer_printf(&body.buffer, "{'code_version':'1','configuration':%s}", config);

    struct deploy_command d = take(kit, buffer_c_string(&body.buffer));

    assert_true(d.rollout.batch_size.is_percent);
    assert_int_equal(d.rollout.batch_size.value, 25);
    assert_int_equal(d.rollout.mode, MODE_BARRIER);
    assert_true(d.rollout.failure_threshold.is_percent);
    assert_int_equal(d.rollout.failure_threshold.value, 10);
    assert_int_equal(d.rollout.on_failure, ON_FAILURE_PAUSE);
    assert_int_equal(d.rollout.min_healthy_ms, 30000);
    assert_int_equal(d.rollout.instance_deadline_ms, 3600000);
    assert_int_equal(d.rollout.health_deadline_ms, 0);
    assert_int_equal(d.rollout.progress_deadline_ms, 172800000);
    assert_false(d.rollout.dynamic);
    assert_int_equal(d.rollout.offline, OFFLINE_SKIP);
    assert_int_equal(d.rollout.leftover_timeout_ms, 500);
    assert_int_equal(d.rollout.on_leftover, ON_LEFTOVER_FAIL);
    assert_config(kit, &d.rollout, config);
}

static void test_null_code_beside_a_configuration_changes_that_only(void **state)
{
    struct deploy_command d =
        take(*state, "{'code_version':null,'configuration_version':'c2','reason':'tune'}");

    assert_int_equal(d.code.size, 0);
    assert_text(d.config, "c2");
    assert_text(d.reason, "tune");
}

static void test_labels_and_selector_are_joined_by_and(void **state)
{
    struct deploy_command d =
        take(*state, "{'code_version':'1','labels':{'role':'web','env':'a b'},"
                     "'selector':'zone in (b,a), !old, role=web'}");

    assert_selector(*state, &d.selector, "env=\"a b\",!old,role=web,zone in (a,b)");
}

static void test_wrong_deploys_are_refused(void **state)
{
    const struct refusal list[] = {
        { "", ERR_BAD_JSON, "", "" },
        { "{}x", ERR_BAD_JSON, "", "something after the end" },
        { "[]", ERR_INVALID, "", "" },
        { "{}", ERR_INVALID, "/code_version", "missing" },
        { "{'configuration_version':'1'}", ERR_INVALID, "/code_version", "missing" },
        { "{'code_version':''}", ERR_INVALID, "/code_version", "it is empty" },
        { "{'code_version':null}", ERR_INVALID, "/code_version", "beside a configuration_version" },
        { "{'code_version':1}", ERR_INVALID, "/code_version", "must stand in quotes" },
        { "{'code_version':'1','configuration_version':''}", ERR_INVALID, "/configuration_version",
          "it is empty" },
        { "{'code_version':'1','slector':'a=b'}", ERR_UNKNOWN_KEY, "/slector",
          "did you mean \"selector\"?" },
        { "{'code_version':'1','label':{}}", ERR_UNKNOWN_KEY, "/label",
          "did you mean \"labels\"?" },
        { "{'code_version':'1','labels':{},'lables':{}}", ERR_INVALID, "/lables", "mean the same" },
        { "{'code_version':'1','condiguration':{},'configuration':{}}", ERR_INVALID,
          "/configuration", "mean the same" },
        { "{'code_version':'1','labels':{'a':null}}", ERR_INVALID, "/labels/a", "not a text" },
        { "{'code_version':'1','labels':['a']}", ERR_INVALID, "/labels", "it is a list" },
        { "{'code_version':'1','labels':{'a':'x\\ny'}}", ERR_INVALID, "/labels", "" },
        { "{'code_version':'1','selector':'a=='}", ERR_INVALID, "/selector", "byte 3" },
        { "{'code_version':'1','selector':'a=','labels':{'b':'c'}}", ERR_INVALID, "/selector",
          "byte 2" },
        { "{'code_version':'1','selector':'x','labels':{'a':'\\t'}}", ERR_INVALID, "/labels", "" },
        { "{'code_version':'1','configuration':[]}", ERR_INVALID, "/configuration", "" },
        { "{'code_version':'1','reason':7}", ERR_INVALID, "/reason", "" },
        { "{'code_version':'1','if_running':'wait'}", ERR_INVALID, "/if_running", "\"reject\"" },
        { "{'code_version':'1','horizon':'1h'}", ERR_UNKNOWN_KEY, "/horizon", "" },
    };

    REFUSE(*state, read_deploy, list);
}

#define CONFIG(json) "{'code_version':'1','configuration':{" json "}}"

static void test_wrong_configurations_are_refused(void **state)
{
    const struct refusal list[] = {
        { CONFIG("'batchsize':1"), ERR_UNKNOWN_KEY, "/configuration/batchsize",
          "did you mean \"batch_size\"?" },
        { CONFIG("'batch_size':0"), ERR_INVALID, "/configuration/batch_size", "from 1 to 1000000" },
        { CONFIG("'batch_size':-1"), ERR_INVALID, "/configuration/batch_size", "" },
        { CONFIG("'batch_size':1000001"), ERR_INVALID, "/configuration/batch_size", "" },
        { CONFIG("'batch_size':1.5"), ERR_INVALID, "/configuration/batch_size", "" },
        { CONFIG("'batch_size':'10'"), ERR_INVALID, "/configuration/batch_size", "" },
        { CONFIG("'batch_size':'0%'"), ERR_INVALID, "/configuration/batch_size", "" },
        { CONFIG("'batch_size':'101%'"), ERR_INVALID, "/configuration/batch_size", "" },
        { CONFIG("'batch_size':null"), ERR_INVALID, "/configuration/batch_size", "not null" },
        { CONFIG("'failure_threshold':0"), ERR_INVALID, "/configuration/failure_threshold", "" },
        { CONFIG("'failure_threshold':'0%'"), ERR_INVALID, "/configuration/failure_threshold", "" },
        { CONFIG("'failure_threshold':1000001"), ERR_INVALID, "/configuration/failure_threshold",
          "" },
        { CONFIG("'mode':'batch'"), ERR_INVALID, "/configuration/mode", "\"window\", \"barrier\"" },
        { CONFIG("'strategy':'fast'"), ERR_INVALID, "/configuration/strategy", "\"rolling\"" },
        { CONFIG("'on_failure':'stop'"), ERR_INVALID, "/configuration/on_failure", "\"pause\"" },
        { CONFIG("'offline':true"), ERR_INVALID, "/configuration/offline", "\"skip\"" },
        { CONFIG("'on_leftover':''"), ERR_INVALID, "/configuration/on_leftover", "\"fail\"" },
        { CONFIG("'dynamic':'true'"), ERR_INVALID, "/configuration/dynamic", "true or false" },
        { CONFIG("'min_healthy_time':30"), ERR_INVALID, "/configuration/min_healthy_time",
          "duration" },
        { CONFIG("'instance_deadline':'10'"), ERR_INVALID, "/configuration/instance_deadline", "" },
        { CONFIG("'instance_deadline':'-1s'"), ERR_INVALID, "/configuration/instance_deadline",
          "" },
        { CONFIG("'health_deadline':'31d'"), ERR_INVALID, "/configuration/health_deadline",
          "\"30d\"" },
        { CONFIG("'progress_deadline':'30d1ms'"), ERR_INVALID, "/configuration/progress_deadline",
          "" },
        { CONFIG("'leftover_timeout':'1m1m'"), ERR_INVALID, "/configuration/leftover_timeout", "" },
        { CONFIG("'min_available':-1"), ERR_INVALID, "/configuration/min_available", "" },
        { CONFIG("'domains':{}"), ERR_INVALID, "/configuration/domains", "must be a list" },
        { CONFIG("'strategy':'waves','waves':[{},{}]"), ERR_INVALID, "/configuration/waves/0",
          "needs a size" },
    };

    REFUSE(*state, read_deploy, list);
}

static void test_the_ends_of_every_range_are_taken(void **state)
{
    const char *const list[] = {
        CONFIG("'batch_size':1"),
        CONFIG("'batch_size':1000000"),
        CONFIG("'batch_size':'1%'"),
        CONFIG("'batch_size':'100%'"),
        CONFIG("'failure_threshold':1"),
        CONFIG("'failure_threshold':1000000"),
        CONFIG("'min_healthy_time':'0s'"),
        CONFIG("'min_healthy_time':'30d'"),
        CONFIG("'instance_deadline':'0s'"),
        CONFIG("'instance_deadline':'30d'"),
        CONFIG("'health_deadline':'30d'"),
        CONFIG("'progress_deadline':'30d'"),
        CONFIG("'leftover_timeout':'0s'"),
        CONFIG("'leftover_timeout':'30d'"),
        CONFIG("'domains':[ \n\t ]"),
        CONFIG("'domains':null"),
        CONFIG("'waves':null"),
        CONFIG("'if_running':'reject'"),
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        assert_text(take(*state, list[i]).code, "1");
}

static void test_what_is_reserved_is_not_supported(void **state)
{
    const struct refusal list[] = {
        { CONFIG("'strategy':'BLUE_GREEN'"), ERR_NOT_SUPPORTED, "/configuration/strategy", "" },
        { CONFIG("'blue_green':{'label':'pool'}"), ERR_NOT_SUPPORTED, "/configuration/blue_green",
          "reserved" },
        { CONFIG("'windows':[]"), ERR_NOT_SUPPORTED, "/configuration/windows", "reserved" },
        { CONFIG("'start_at':'2031-01-01T02:00:00Z'"), ERR_NOT_SUPPORTED, "/configuration/start_at",
          "reserved" },
        { CONFIG("'approvals':{'count':2}"), ERR_NOT_SUPPORTED, "/configuration/approvals",
          "reserved" },
        { CONFIG("'if_running':'queue'"), ERR_NOT_SUPPORTED, "/configuration/if_running",
          "\"reject\"" },
        { "{'code_version':'1','windows':[{}]}", ERR_NOT_SUPPORTED, "/windows", "reserved" },
        { "{'code_version':'1','start_at':'x'}", ERR_NOT_SUPPORTED, "/start_at", "reserved" },
        { "{'code_version':'1','approvals':{}}", ERR_NOT_SUPPORTED, "/approvals", "reserved" },
        { "{'code_version':'1','if_running':'supersede'}", ERR_NOT_SUPPORTED, "/if_running",
          "\"reject\"" },
    };

    REFUSE(*state, read_deploy, list);
}

static void test_a_deploy_keeps_to_its_limits(void **state)
{
    struct kit *kit = *state;
    const struct refusal over[] = {
        { long_body(kit, "{'code_version':'", LIMIT_VERSION + 1, "'}"), ERR_INVALID,
          "/code_version", "too long" },
        { long_body(kit, "{'code_version':'1','configuration_version':'", LIMIT_VERSION + 1, "'}"),
          ERR_INVALID, "/configuration_version", "too long" },
        { long_body(kit, "{'code_version':'1','reason':'", LIMIT_REASON + 1, "'}"), ERR_INVALID,
          "/reason", "too long" },
        { long_body(kit, "{'code_version':'1','selector':'", LIMIT_SELECTOR + 1, "'}"), ERR_INVALID,
          "/selector", "too long" },
        { long_body(kit, "{'code_version':'1','selector':'", LIMIT_LABEL_KEY + 1, "'}"),
          ERR_INVALID, "/selector", "" },
        { long_body(kit, "{'code_version':'1','labels':{'k':'", LIMIT_LABEL_VALUE + 1, "'}}"),
          ERR_INVALID, "/labels/k", "too long" },
    };

    take(kit, long_body(kit, "{'code_version':'", LIMIT_VERSION, "'}"));
    take(kit, long_body(kit, "{'code_version':'1','reason':'", LIMIT_REASON, "'}"));
    take(kit, long_body(kit, "{'code_version':'1','selector':'", LIMIT_LABEL_KEY, "'}"));
    take(kit, long_body(kit, "{'code_version':'1','labels':{'k':'", LIMIT_LABEL_VALUE, "'}}"));

    REFUSE(kit, read_deploy, over);
}

/* ---- rollback ------------------------------------------------------------------------------- */

static void test_an_empty_rollback_asks_for_everything_by_default(void **state)
{
    const char *const list[] = {
        "",
        " \n",
        "{}",
        "{'labels':{},'selector':''}",
        "{'labels':null,'selector':null,'id':null,'configuration':null,'reason':null,'fast':true}",
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct rollback_command r = take_rollback(*state, list[i]);
        assert_int_equal(r.number, 0);
        assert_false(r.has_selector);
        assert_null(r.config);
        assert_true(r.is_fast);
        assert_int_equal(r.reason.size, 0);
    }
}

static void test_a_full_rollback_is_taken(void **state)
{
    struct rollback_command r =
        take_rollback(*state, "{'lables':{'env':'prod'},'selector':'role','id':'r-42',"
                              "'condiguration':{'batch_size':'50%'},'fast':false,"
                              "'reason':'too slow'}");

    assert_int_equal(r.number, 42);
    assert_true(r.has_selector);
    assert_selector(*state, &r.selector, "env=prod,role");
    assert_non_null(r.config);
    assert_true(r.config->batch_size.is_percent);
    assert_int_equal(r.config->instance_deadline_ms, rollout_config_default.instance_deadline_ms);
    assert_int_equal(r.config->failure_threshold.value, 1);
    assert_false(r.is_fast);
    assert_text(r.reason, "too slow");
}

static void test_wrong_rollbacks_are_refused(void **state)
{
    const struct refusal list[] = {
        { "null", ERR_BAD_JSON, "", "" },
        { "{'id':42}", ERR_INVALID, "/id", "must stand in quotes" },
        { "{'id':'42'}", ERR_INVALID, "/id", "like r-42" },
        { "{'id':''}", ERR_INVALID, "/id", "it is empty" },
        { "{'fast':'no'}", ERR_INVALID, "/fast", "true or false" },
        { "{'selector':'a=b=c'}", ERR_INVALID, "/selector", "byte 3" },
        { "{'code_version':'1'}", ERR_UNKNOWN_KEY, "/code_version", "" },
        { "{'configuration':{'batch_size':0}}", ERR_INVALID, "/configuration/batch_size", "" },
        { "{'configuration':{'strategy':'waves'}}", ERR_INVALID, "/configuration/waves", "" },
        { "{'configuration':{'strategy':'waves','waves':[{}]}}", ERR_INVALID,
          "/configuration/strategy", "in reverse" },
        { "{'configuration':{'strategy':'canary','canary':{'size':1}}}", ERR_INVALID,
          "/configuration/strategy", "in reverse" },
        { "{'configuration':{'soak':'1h'}}", ERR_UNKNOWN_KEY, "/configuration/soak", "" },
        { "{'labels':{},'lables':{}}", ERR_INVALID, "/lables", "mean the same" },
        { "{'resaon':'x'}", ERR_UNKNOWN_KEY, "/resaon", "did you mean \"reason\"?" },
    };

    REFUSE(*state, read_rollback, list);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_published_deploy_is_taken),
        TEST(test_what_a_deploy_leaves_out_has_its_default),
        TEST(test_every_key_of_a_configuration_is_taken),
        TEST(test_null_code_beside_a_configuration_changes_that_only),
        TEST(test_labels_and_selector_are_joined_by_and),
        TEST(test_wrong_deploys_are_refused),
        TEST(test_wrong_configurations_are_refused),
        TEST(test_the_ends_of_every_range_are_taken),
        TEST(test_what_is_reserved_is_not_supported),
        TEST(test_a_deploy_keeps_to_its_limits),
        TEST(test_an_empty_rollback_asks_for_everything_by_default),
        TEST(test_a_full_rollback_is_taken),
        TEST(test_wrong_rollbacks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
