/* SPDX-License-Identifier: Apache-2.0
 * test_request_plan.c - the body of a plan, the hash that a deploy may name, and cursors. */
#include "base/limits.h"
#include "wire/refusals.h"
#include "wire/request.h"
#include "wire/view_plan.h"

#define HASH "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct wire_plan take(struct kit *kit, const char *body)
{
    struct wire_plan ret;
    struct err err = { 0 };
    if (!wire_read_plan(kit_quote(kit, body), &kit->arena, &ret, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    return ret;
}

static bool read_plan(struct text body, struct arena *arena, struct err *err)
{
    struct wire_plan ret, untouched;
    memset(&ret, 0x5a, sizeof ret);
    memset(&untouched, 0x5a, sizeof untouched);
    bool taken = wire_read_plan(body, arena, &ret, err);
    if (!taken)
        assert_memory_equal(&ret, &untouched, sizeof ret);
    return taken;
}

static void test_a_deploy_is_a_plan_with_nothing_assumed(void **state)
{
    const char *const list[] = {
        "{'code_version':'2'}",
        "{'code_version':'2','assume':{}}",
        "{'code_version':'2','assume':null,'horizon':null}",
        "{'code_version':'2','assume':{'update':null,'fail':null}}",
        "{'code_version':'2','assume':{'fail':[]},'horizon':'24h'}",
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct wire_plan plan = take(*state, list[i]);
        assert_text(plan.command.code, "2");
        assert_false(plan.assume.has_update);
        assert_int_equal(plan.assume.approve_ms, 0);
        assert_int_equal(plan.assume.fail_count, 0);
        assert_int_equal(plan.assume.seed, 1);
        assert_int_equal(plan.horizon_ms, 24 * 3600 * 1000);
    }
}

static void test_everything_that_can_be_assumed_is_taken(void **state)
{
    struct kit *kit = *state;

    struct wire_plan plan =
        take(kit, "{'code_version':'2','lables':{'env':'prod'},'condiguration':{'batch_size':7},"
                  "'plan_hash':'" HASH "','horizon':'90m','assume':{'update':'0s','approve':'1h',"
                  "'seed':9007199254740992,'fail':[{'selector':'zone=a','percent':30},"
                  "{'selector':'','percent':0}]}}");

    assert_true(plan.assume.has_update);
    assert_int_equal(plan.assume.update_ms, 0);
    assert_int_equal(plan.assume.approve_ms, 3600 * 1000);
    assert_true(plan.assume.seed == 1ull << 53);
    assert_int_equal(plan.assume.fail_count, 2);
    assert_int_equal(plan.assume.fail[0].selector.count, 1);
    assert_int_equal(plan.assume.fail[0].percent, 30);
    assert_int_equal(plan.assume.fail[1].selector.count, 0);
    assert_int_equal(plan.horizon_ms, 90 * 60 * 1000);
    assert_int_equal(plan.command.rollout.batch_size.value, 7);
    assert_int_equal(plan.command.selector.count, 1);
    assert_text(plan.command.plan_hash, HASH);
}

#define ASSUME(what) "{'code_version':'2','assume':{" what "}}"

static void test_wrong_plans_are_refused(void **state)
{
    const struct refusal list[] = {
        { "", ERR_BAD_JSON, "", "" },
        { "{}", ERR_INVALID, "/code_version", "" },
        { "{'code_version':'2','assumed':{}}", ERR_UNKNOWN_KEY, "/assumed", "\"assume\"" },
        { ASSUME("'updates':'1s'"), ERR_UNKNOWN_KEY, "/assume/updates", "\"update\"" },
        { ASSUME("'update':60"), ERR_INVALID, "/assume/update", "" },
        { ASSUME("'update':'31d'"), ERR_INVALID, "/assume/update", "" },
        { ASSUME("'approve':null"), ERR_INVALID, "/assume/approve", "" },
        { ASSUME("'seed':-1"), ERR_INVALID, "/assume/seed", "" },
        { ASSUME("'fail':{}"), ERR_INVALID, "/assume/fail", "" },
        { ASSUME("'fail':[{'selector':'a'}]"), ERR_INVALID, "/assume/fail/0/percent", "" },
        { ASSUME("'fail':[{'percent':1}]"), ERR_INVALID, "/assume/fail/0/selector", "" },
        { ASSUME("'fail':[{'selector':'a','percent':101}]"), ERR_INVALID, "/assume/fail/0/percent",
          "" },
        { ASSUME("'fail':[{'selector':'a','percent':'3%'}]"), ERR_INVALID, "/assume/fail/0/percent",
          "" },
        { ASSUME("'fail':[{'selector':'a','percent':1},{'selector':'a==','percent':1}]"),
          ERR_INVALID, "/assume/fail/1/selector", "byte" },
        { "{'code_version':'2','horizon':'0s'}", ERR_INVALID, "/horizon", "" },
        { "{'code_version':'2','horizon':'31d'}", ERR_INVALID, "/horizon", "" },
        { "{'code_version':'2','start_at':'x'}", ERR_NOT_SUPPORTED, "/start_at", "" },
        { "{'code_version':'2','selector':'a=='}", ERR_INVALID, "/selector", "" },
    };

    REFUSE(*state, read_plan, list);
}

static void test_the_hash_of_a_plan_has_one_form(void **state)
{
    const struct refusal list[] = {
        { "{'code_version':'2','plan_hash':''}", ERR_INVALID, "/plan_hash", "" },
        { "{'code_version':'2','plan_hash':'sha256:0123'}", ERR_INVALID, "/plan_hash", "" },
        { "{'code_version':'2','plan_hash':'sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef"
          "0123456789abcdef'}",
          ERR_INVALID, "/plan_hash", "64 hexadecimal digits" },
        { "{'code_version':'2','plan_hash':'sha512:0123456789abcdef0123456789abcdef0123456789abcdef"
          "0123456789abcdef'}",
          ERR_INVALID, "/plan_hash", "sha256:" },
    };
    struct deploy_command deploy;
    struct kit *kit = *state;

    assert_true(wire_read_deploy(kit_quote(kit, "{'code_version':'2','plan_hash':'" HASH "'}"),
                                 &kit->arena, &deploy, NULL));
    assert_text(deploy.plan_hash, HASH);
    REFUSE(kit, read_plan, list);
}

static void test_a_deploy_assumes_nothing(void **state)
{
    struct kit *kit = *state;
    struct deploy_command deploy;
    struct err err = { 0 };

    bool taken = wire_read_deploy(kit_quote(kit, "{'code_version':'2','assume':{}}"), &kit->arena,
                                  &deploy, &err);

    assert_false(taken);
    assert_int_equal(err.code, ERR_UNKNOWN_KEY);
}

static void test_a_cursor_says_how_many_and_who(void **state)
{
    struct wire_plan_page page = { .limit = 5 };
    (void)state;

    assert_true(wire_read_plan_cursor(TEXT("12.web.example"), &page, NULL));
    assert_int_equal(page.position, 12);
    assert_text(page.last, "web.example");
    assert_int_equal(page.limit, 5);
    const char *const wrong[] = { "", "web", "12", "12.", ".web", "-1.web", "99999999999.web" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(wire_read_plan_cursor(text_from(wrong[i]), &page, NULL));
    assert_int_equal(page.position, 12);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_deploy_is_a_plan_with_nothing_assumed),
        TEST(test_everything_that_can_be_assumed_is_taken),
        TEST(test_wrong_plans_are_refused),
        TEST(test_the_hash_of_a_plan_has_one_form),
        TEST(test_a_deploy_assumes_nothing),
        TEST(test_a_cursor_says_how_many_and_who),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
