/* SPDX-License-Identifier: Apache-2.0
 * test_config.c - waves, canaries, gates and failure domains in a configuration: what is taken,
 * what the core gets of it, and what is written back. */
#include "base/limits.h"
#include "wire/config.h"
#include "wire/refusals.h"
#include "wire/view.h"

static bool read_config(struct text body, struct arena *arena, struct rollout_config *ret,
                        struct err *err)
{
    struct wire_config config;
    struct rollout_config before;
    wire_config_init(&config);
    if (!json_read(&wire_config_table, body, arena, &config, NULL, err))
        return false;
    before = config.config;
    bool is_taken = wire_config_take(&config, "", arena, err);
    if (!is_taken)
        assert_memory_equal(&config.config, &before, sizeof before);
    *ret = config.config;
    return is_taken;
}

static bool try_config(struct text body, struct arena *arena, struct err *err)
{
    struct rollout_config ret;
    return read_config(body, arena, &ret, err);
}

static struct rollout_config take(struct kit *kit, const char *body)
{
    struct rollout_config ret;
    struct err err = { 0 };
    if (!read_config(kit_quote(kit, body), &kit->arena, &ret, &err))
        fail_msg("%s: %s at \"%s\"", body, err.text, err.pointer);
    return ret;
}

static struct text written(struct kit *kit, const struct rollout_config *config)
{
    wire_write_config(kit_writer(kit), config);
    return kit_written(kit);
}

/* ---- taken ---------------------------------------------------------------------------------- */

static void test_a_canary_becomes_two_waves(void **state)
{
    struct rollout_config c =
        take(*state, "{'strategy':'canary','batch_size':50,'canary':{'size':'5%','soak':'10m',"
                     "'batch_size':2,'gates':[{'name':'ok','type':'manual'}]}}");

    assert_int_equal(c.strategy, STRATEGY_CANARY);
    assert_int_equal(c.wave_count, 2);
    assert_text(c.waves[0].name, "canary");
    assert_true(c.waves[0].has_size);
    assert_true(c.waves[0].size.is_percent);
    assert_int_equal(c.waves[0].size.value, 5);
    assert_true(c.waves[0].has_batch_size);
    assert_int_equal(c.waves[0].batch_size.value, 2);
    assert_int_equal(c.waves[0].soak_ms, 600000);
    assert_int_equal(c.waves[0].gate_count, 1);
    assert_text(c.waves[0].gates[0].name, "ok");
    assert_text(c.waves[1].name, "rest");
    assert_false(c.waves[1].has_size || c.waves[1].has_selector || c.waves[1].has_batch_size);
    assert_int_equal(c.waves[1].gate_count, 0);
}

static void test_a_gate_left_alone_has_its_defaults(void **state)
{
    struct rollout_config c =
        take(*state, "{'strategy':'canary','canary':{'size':1,"
                     "'gates':[{'name':'ok','type':'manual'},{'name':'b','type':'MANUAL',"
                     "'interval':'1s','timeout':'2h','failure_limit':3,'inconclusive':'fail',"
                     "'dry_run':true}]}}");
    const struct gate_config *plain = &c.waves[0].gates[0], *full = &c.waves[0].gates[1];

    assert_int_equal(plain->type, GATE_MANUAL);
    assert_int_equal(plain->undecided, UNDECIDED_PAUSES);
    assert_int_equal(plain->timeout_ms, 0);
    assert_int_equal(plain->interval_ms, 10000);
    assert_int_equal(plain->failure_limit, 1);
    assert_false(plain->is_dry_run);
    assert_int_equal(full->undecided, UNDECIDED_FAILS);
    assert_int_equal(full->timeout_ms, 7200000);
    assert_int_equal(full->interval_ms, 1000);
    assert_int_equal(full->failure_limit, 3);
    assert_true(full->is_dry_run);
}

static void test_waves_take_what_they_say(void **state)
{
    struct rollout_config c = take(
        *state, "{'strategy':'waves','batch_size':50,'waves':["
                "{'name':'lab','selector':'zone in (b,a), site=lab','batch_size':2,'soak':'5m'},"
                "{'size':20,'mode':'barrier','failure_threshold':2},"
                "{'name':'half','percent':50,'batch_size':'10%'},{}]}");

    assert_int_equal(c.wave_count, 4);
    assert_text(c.waves[0].name, "lab");
    assert_true(c.waves[0].has_selector);
    assert_text(c.waves[0].selector_text, "site=lab,zone in (a,b)");
    assert_int_equal(c.waves[0].selector.count, 2);
    assert_false(c.waves[0].has_size || c.waves[0].has_mode || c.waves[0].has_failure_threshold);
    assert_int_equal(c.waves[0].soak_ms, 300000);
    assert_text(c.waves[1].name, "wave-2");
    assert_true(c.waves[1].has_size && !c.waves[1].size.is_percent);
    assert_int_equal(c.waves[1].size.value, 20);
    assert_true(c.waves[1].has_mode);
    assert_int_equal(c.waves[1].mode, MODE_BARRIER);
    assert_int_equal(c.waves[1].failure_threshold.value, 2);
    assert_true(c.waves[2].size.is_percent);
    assert_int_equal(c.waves[2].size.value, 50);
    assert_true(c.waves[2].batch_size.is_percent);
    assert_text(c.waves[3].name, "wave-4");
    assert_false(c.waves[3].has_size || c.waves[3].has_selector);
}

static void test_domains_and_a_floor_are_taken(void **state)
{
    struct rollout_config c =
        take(*state, "{'min_available':'90%','domains':[{'label':'zone','max_in_progress':'20%',"
                     "'max_failed':5},{'label':'rack','max_in_progress':1}]}");

    assert_true(c.min_available.is_percent);
    assert_int_equal(c.min_available.value, 90);
    assert_int_equal(c.domain_count, 2);
    assert_text(c.domains[0].label, "zone");
    assert_true(c.domains[0].has_max_in_progress && c.domains[0].has_max_failed);
    assert_true(c.domains[0].max_in_progress.is_percent);
    assert_int_equal(c.domains[0].max_failed.value, 5);
    assert_true(c.domains[1].has_max_in_progress);
    assert_false(c.domains[1].has_max_failed);
}

static void test_what_belongs_to_no_strategy_may_be_empty(void **state)
{
    const char *const list[] = {
        "{'waves':[],'domains':[]}",
        "{'waves':null,'domains':null,'canary':null}",
        "{'strategy':'waves','waves':[{}]}",
        "{'strategy':'waves','canary':null,'waves':[{'percent':100},{}]}",
        "{'strategy':'waves','waves':[{'percent':99},{'percent':1},{'size':1},{}]}",
        "{'strategy':'canary','waves':[],'canary':{'size':'100%'}}",
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        take(*state, list[i]);
}

/* ---- written back --------------------------------------------------------------------------- */

/* Everything a configuration has before and behind its domains. */
#define HEAD(strategy)                                                                             \
    "{'strategy':'" strategy "','batch_size':1,'mode':'window','failure_threshold':1,"             \
    "'on_failure':'rollback','min_healthy_time':'0s','instance_deadline':'10m',"                   \
    "'health_deadline':'5m','progress_deadline':'0s','min_available':"
#define TAIL "'dynamic':true,'offline':'wait','leftover_timeout':'10m','on_leftover':'complete'"

#define GATE(name)                                                                                 \
    "{'name':'" name "','type':'manual','interval':'10s','timeout':'0s','failure_limit':1,"        \
    "'inconclusive':'pause','dry_run':false}"

static const char *const complete[] = {
    HEAD("rolling") "0,'domains':[]," TAIL "}",
    HEAD("rolling") "'75%','domains':[{'label':'zone','max_in_progress':'20%','max_failed':5},"
                    "{'label':'a/b','max_failed':'3%'}]," TAIL "}",
    HEAD("canary") "3,'domains':[]," TAIL ",'canary':{'size':'5%','soak':'0s','gates':[]}}",
    HEAD("canary") "0,'domains':[]," TAIL ",'canary':{'size':7,'batch_size':'50%','soak':'90s',"
                   "'gates':[" GATE("ok") "," GATE("sign \\\"off\\\"") "]}}",
    HEAD("waves") "0,'domains':[{'label':'rack','max_in_progress':1}]," TAIL
                  ",'waves':[{'name':'lab','selector':'site=lab','batch_size':2,'soak':'5m',"
                  "'gates':[" GATE(
                      "go") "]},"
                            "{'name':'first','size':20,'mode':'barrier','failure_threshold':2,'"
                            "soak':'0s',"
                            "'gates':[]},"
                            "{'name':'half','percent':50,'soak':'0s','gates':[]},"
                            "{'name':'rest','batch_size':'10%','soak':'1h','gates':[]}]}",
};

static void test_what_was_sent_is_what_is_written(void **state)
{
    for (size_t i = 0; i < sizeof complete / sizeof complete[0]; i++) {
        struct rollout_config c = take(*state, complete[i]);

        kit_assert(*state, written(*state, &c), complete[i]);
    }
}

static void test_a_copy_is_written_likewise(void **state)
{
    struct kit *kit = *state;

    for (size_t i = 0; i < sizeof complete / sizeof complete[0]; i++) {
        struct rollout_config c = take(kit, complete[i]), copy;
        assert_true(rollout_config_copy(&kit->arena, &c, &copy));

        kit_assert(kit, written(kit, &copy), complete[i]);
    }
}

static void test_a_selector_of_a_wave_is_written_canonically(void **state)
{
    struct rollout_config c = take(*state, "{'strategy':'waves','waves':["
                                           "{'selector':' zone in(b , a),!old '},{'name':'z'}]}");

    kit_assert_at(*state, written(*state, &c), "waves",
                  "[{'name':'wave-1','selector':'!old,zone in (a,b)','soak':'0s','gates':[]},"
                  "{'name':'z','soak':'0s','gates':[]}]");
}

/* ---- refused -------------------------------------------------------------------------------- */

#define WAVES(json)  "{'strategy':'waves','waves':[" json "]}"
#define GATES(json)  "{'strategy':'canary','canary':{'size':1,'gates':[" json "]}}"
#define CANARY(json) "{'strategy':'canary','canary':{" json "}}"
#define X8           "xxxxxxxx"
#define X64          X8 X8 X8 X8 X8 X8 X8 X8

static void test_a_strategy_and_its_part_belong_together(void **state)
{
    const struct refusal list[] = {
        { "{'strategy':'canary'}", ERR_INVALID, "/canary", "is missing: the strategy \"canary\"" },
        { "{'strategy':'canary','canary':null}", ERR_INVALID, "/canary", "is missing" },
        { "{'strategy':'waves'}", ERR_INVALID, "/waves", "is missing: the strategy \"waves\"" },
        { "{'strategy':'waves','waves':[]}", ERR_INVALID, "/waves", "is missing" },
        { "{'canary':{'size':1}}", ERR_INVALID, "/canary",
          "belongs to the strategy \"canary\", and the strategy is \"rolling\"" },
        { "{'waves':[{}]}", ERR_INVALID, "/waves", "the strategy is \"rolling\"" },
        { "{'strategy':'waves','waves':[{}],'canary':{'size':1}}", ERR_INVALID, "/canary",
          "the strategy is \"waves\"" },
        { "{'strategy':'canary','waves':[{}],'canary':{'size':1}}", ERR_INVALID, "/waves",
          "the strategy is \"canary\"" },
        { "{'strategy':'blue_green'}", ERR_NOT_SUPPORTED, "/strategy", "\"waves\" are available" },
    };

    REFUSE(*state, try_config, list);
}

static void test_wrong_waves_are_refused(void **state)
{
    const struct refusal list[] = {
        { "{'strategy':'waves','waves':{}}", ERR_INVALID, "/waves", "it is an object" },
        { WAVES("7"), ERR_INVALID, "/waves/0", "not an object" },
        { WAVES("{'size':1}"), ERR_INVALID, "/waves/0/size", "the last wave takes everything" },
        { WAVES("{'size':1},{'percent':5}"), ERR_INVALID, "/waves/1/percent", "leave percent out" },
        { WAVES("{'size':1},{'selector':'a'}"), ERR_INVALID, "/waves/1/selector",
          "leave selector out" },
        { WAVES("{'size':1},{},{}"), ERR_INVALID, "/waves/1",
          "needs a size, a percent or a selector" },
        { WAVES("{'size':1,'percent':1},{}"), ERR_INVALID, "/waves/0/percent",
          "has a size already" },
        { WAVES("{'selector':'a','percent':1},{}"), ERR_INVALID, "/waves/0/selector",
          "has a percent already" },
        { WAVES("{'size':0},{}"), ERR_INVALID, "/waves/0/size", "from 1 to 1000000" },
        { WAVES("{'size':1000001},{}"), ERR_INVALID, "/waves/0/size", "" },
        { WAVES("{'size':'5%'},{}"), ERR_INVALID, "/waves/0/size", "" },
        { WAVES("{'percent':0},{}"), ERR_INVALID, "/waves/0/percent", "from 1 to 100" },
        { WAVES("{'percent':101},{}"), ERR_INVALID, "/waves/0/percent", "" },
        { WAVES("{'percent':60},{'size':1},{'percent':41},{}"), ERR_INVALID, "/waves/2/percent",
          "101 percent together" },
        { WAVES("{'selector':'a=='},{}"), ERR_INVALID, "/waves/0/selector", "byte 3" },
        { WAVES("{'selector':' '},{}"), ERR_INVALID, "/waves/0/selector", "selects everything" },
        { WAVES("{'size':1,'name':'a'},{'name':'a'}"), ERR_INVALID, "/waves/1/name",
          "wave 1 is called \"a\" too" },
        { WAVES("{'size':1,'name':'wave-2'},{}"), ERR_INVALID, "/waves/1/name",
          "names must differ" },
        { WAVES("{'name':''}"), ERR_INVALID, "/waves/0/name", "it is empty" },
        { WAVES("{'name':'" X64 "x'}"), ERR_INVALID, "/waves/0/name", "too long" },
        { WAVES("{'name':'a\\nb'}"), ERR_INVALID, "/waves/0/name", "control characters" },
        { WAVES("{'batch_size':0}"), ERR_INVALID, "/waves/0/batch_size", "" },
        { WAVES("{'failure_threshold':0}"), ERR_INVALID, "/waves/0/failure_threshold", "" },
        { WAVES("{'soak':'31d'}"), ERR_INVALID, "/waves/0/soak", "\"30d\"" },
        { WAVES("{'mode':'fast'}"), ERR_INVALID, "/waves/0/mode", "\"barrier\"" },
        { WAVES("{'sleector':'a'},{}"), ERR_UNKNOWN_KEY, "/waves/0/sleector", "\"selector\"?" },
    };

    REFUSE(*state, try_config, list);
}

static void test_wrong_canaries_are_refused(void **state)
{
    const struct refusal list[] = {
        { CANARY(""), ERR_INVALID, "/canary/size", "it is missing" },
        { CANARY("'size':0"), ERR_INVALID, "/canary/size", "" },
        { CANARY("'size':'0%'"), ERR_INVALID, "/canary/size", "" },
        { CANARY("'size':1,'mode':'barrier'"), ERR_UNKNOWN_KEY, "/canary/mode", "" },
        { CANARY("'size':1,'soak':5"), ERR_INVALID, "/canary/soak", "duration" },
        { CANARY("'size':1,'batch_size':0"), ERR_INVALID, "/canary/batch_size", "" },
    };

    REFUSE(*state, try_config, list);
}

static void test_wrong_gates_are_refused(void **state)
{
    const struct refusal list[] = {
        { GATES("{'type':'manual'}"), ERR_INVALID, "/canary/gates/0/name", "it is missing" },
        { GATES("{'name':'a'}"), ERR_INVALID, "/canary/gates/0/type", "it is missing" },
        { GATES("{'name':'','type':'manual'}"), ERR_INVALID, "/canary/gates/0/name", "" },
        { GATES("{'name':'a','type':'human'}"), ERR_INVALID, "/canary/gates/0/type", "\"manual\"" },
        { GATES("{'name':'a','type':'manual'},{'name':'b','type':'manual'},"
                "{'name':'a','type':'manual'}"),
          ERR_INVALID, "/canary/gates/2/name", "gate 1 of this wave has the same name" },
        { GATES("{'name':'a','type':'manual','url':'https://x'}"), ERR_INVALID,
          "/canary/gates/0/url", "a manual gate has no such key" },
        { GATES("{'name':'a','type':'manual','ulr':'https://x'}"), ERR_UNKNOWN_KEY,
          "/canary/gates/0/ulr", "\"url\"?" },
        { GATES("{'name':'a','type':'manual','timeout':'31d'}"), ERR_INVALID,
          "/canary/gates/0/timeout", "" },
        { GATES("{'name':'a','type':'manual','failure_limit':0}"), ERR_INVALID,
          "/canary/gates/0/failure_limit", "" },
        { GATES("{'name':'a','type':'manual','inconclusive':'stop'}"), ERR_INVALID,
          "/canary/gates/0/inconclusive", "\"pause\", \"pass\", \"fail\"" },
        { WAVES("{'size':1},{'gates':[{'name':'a','type':'manual'},{'name':'a','type':'manual'}]}"),
          ERR_INVALID, "/waves/1/gates/1/name", "" },
    };

    REFUSE(*state, try_config, list);
}

static void test_gates_of_other_types_are_not_supported(void **state)
{
    const struct refusal list[] = {
        { GATES("{'name':'errors','type':'webhook','url':'https://gate.example/check',"
                "'interval':'30s'}"),
          ERR_NOT_SUPPORTED, "/canary/gates/0", "\"webhook\" are reserved" },
        { GATES("{'name':'p99','type':'metric','source':'prom','query':'q','op':'<','value':0.25,"
                "'count':5}"),
          ERR_NOT_SUPPORTED, "/canary/gates/0", "\"metric\"" },
        { WAVES("{'gates':[{'name':'ok','type':'manual'},"
                "{'name':'check','type':'command','command':'smoke','args':['a']}]}"),
          ERR_NOT_SUPPORTED, "/waves/0/gates/1", "\"manual\" is available" },
    };

    REFUSE(*state, try_config, list);
}

static void test_wrong_domains_are_refused(void **state)
{
    const struct refusal list[] = {
        { "{'domains':{}}", ERR_INVALID, "/domains", "must be a list" },
        { "{'domains':7}", ERR_INVALID, "/domains", "must be a list" },
        { "{'domains':[{'max_failed':1}]}", ERR_INVALID, "/domains/0/label", "it is missing" },
        { "{'domains':[{'label':'','max_failed':1}]}", ERR_INVALID, "/domains/0/label", "" },
        { "{'domains':[{'label':'zone'}]}", ERR_INVALID, "/domains/0", "limits nothing" },
        { "{'domains':[{'label':'z','max_failed':0}]}", ERR_INVALID, "/domains/0/max_failed", "" },
        { "{'domains':[{'label':'z','max_in_progress':'0%'}]}", ERR_INVALID,
          "/domains/0/max_in_progress", "" },
        { "{'domains':[{'label':'z','max_failed':1},{'label':'z','max_in_progress':1}]}",
          ERR_INVALID, "/domains/1/label", "entry 1 is about the same label" },
        { "{'domains':[{'label':'z','max':1}]}", ERR_UNKNOWN_KEY, "/domains/0/max", "" },
        { "{'min_available':-1}", ERR_INVALID, "/min_available", "" },
        { "{'min_available':'101%'}", ERR_INVALID, "/min_available", "" },
    };

    REFUSE(*state, try_config, list);
}

/* ---- limits --------------------------------------------------------------------------------- */

/* `before`, `count` times the item with its number for %u, and `after`. */
static const char *repeated(struct kit *kit, const char *before, unsigned count, const char *item,
                            const char *after)
{
    struct text copy;
    buffer_clear(&kit->out);
    buffer_add(&kit->out, text_from(before));
    for (unsigned i = 0; i < count; i++) {
        const char *number = strstr(item, "%u");
        buffer_add(&kit->out, i > 0 ? TEXT(",") : TEXT_NONE);
        buffer_add(&kit->out, (struct text){ item, (size_t)(number - item) });
        buffer_printf(&kit->out, "%u%s", i, number + 2);
    }
    buffer_add(&kit->out, text_from(after));
    if (!arena_copy(&kit->arena, buffer_text(&kit->out), &copy))
        fail_msg("no memory");
    return copy.data;
}

static void test_lists_have_limits(void **state)
{
    const char *wave = "{'size':1,'name':'%u'}", *gate = "{'name':'%u','type':'manual'}",
               *domain = "{'label':'%u','max_failed':1}";
    const char *waves = "{'strategy':'waves','waves':[", *gates = "{'strategy':'canary','canary':"
                                                                  "{'size':1,'gates':[";
    const struct refusal over[] = {
        { repeated(*state, waves, LIMIT_WAVES, wave, ",{}]}"), ERR_INVALID, "/waves", "has more" },
        { repeated(*state, gates, LIMIT_GATES + 1, gate, "]}}"), ERR_INVALID, "/canary/gates",
          "has more" },
        { repeated(*state, "{'domains':[", LIMIT_DOMAINS + 1, domain, "]}"), ERR_INVALID,
          "/domains", "has more" },
    };

    struct rollout_config most =
        take(*state, repeated(*state, waves, LIMIT_WAVES - 1, wave, ",{}]}"));
    assert_int_equal(most.wave_count, LIMIT_WAVES);
    most = take(*state, repeated(*state, gates, LIMIT_GATES, gate, "]}}"));
    assert_int_equal(most.waves[0].gate_count, LIMIT_GATES);
    most = take(*state, repeated(*state, "{'domains':[", LIMIT_DOMAINS, domain, "]}"));
    assert_int_equal(most.domain_count, LIMIT_DOMAINS);

    REFUSE(*state, try_config, over);
}

static void test_without_memory_nothing_is_taken(void **state)
{
    struct kit *kit = *state;
    struct text body = kit_quote(kit, complete[4]);
    struct rollout_config ret;
    size_t failures = 0;

    for (size_t room = 0;; room += 64) {
        struct arena small;
        struct err err = { 0 };
        arena_init(&small, &memory_heap, room);
        bool is_taken = read_config(body, &small, &ret, &err);
        arena_release(&small);
        if (is_taken)
            break;
        assert_int_equal(err.code, ERR_MEMORY);
        failures++;
    }

    assert_true(failures > 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_canary_becomes_two_waves),
        TEST(test_a_gate_left_alone_has_its_defaults),
        TEST(test_waves_take_what_they_say),
        TEST(test_domains_and_a_floor_are_taken),
        TEST(test_what_belongs_to_no_strategy_may_be_empty),
        TEST(test_what_was_sent_is_what_is_written),
        TEST(test_a_copy_is_written_likewise),
        TEST(test_a_selector_of_a_wave_is_written_canonically),
        TEST(test_a_strategy_and_its_part_belong_together),
        TEST(test_wrong_waves_are_refused),
        TEST(test_wrong_canaries_are_refused),
        TEST(test_wrong_gates_are_refused),
        TEST(test_gates_of_other_types_are_not_supported),
        TEST(test_wrong_domains_are_refused),
        TEST(test_lists_have_limits),
        TEST(test_without_memory_nothing_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
