/* SPDX-License-Identifier: Apache-2.0
 * test_settings.c - which layer wins, what is said of mistakes, and that the list, what is printed
 * of it and the core's own defaults agree. */
#include "cmd/settings.h"

#include "base/cleanup.h"
#include "base/suite.h"

#include <unistd.h>

/* ---- kit ------------------------------------------------------------------------------------ */

struct kit {
    struct settings settings;
    struct err err;
    char path[64];
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    assert_true(settings_init(&kit->settings, &kit->err));
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    if (kit->path[0])
        unlink(kit->path);
    settings_release(&kit->settings);
    free(kit);
    return 0;
}

/* A file of that content, until the test ends; `suffix` is "" or ".json". */
static const char *file(struct kit *kit, const char *suffix, struct text content)
{
    snprintf(kit->path, sizeof kit->path, "settings-XXXXXX%s", suffix);
    int fd = mkstemps(kit->path, (int)strlen(suffix));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.data, content.size), (ssize_t)content.size);
    close(fd);
    return kit->path;
}

static bool read_text(struct kit *kit, const char *yaml)
{
    return settings_read_file(&kit->settings, file(kit, "", text_from(yaml)), &kit->err);
}

static bool read_variable(struct kit *kit, char *pair)
{
    return settings_read_environment(&kit->settings, (char *[]){ pair, NULL }, &kit->err);
}

static void assert_says(const struct kit *kit, const char *sentence)
{
    assert_int_equal(kit->err.code, ERR_USAGE);
    assert_string_equal(kit->err.text, sentence);
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* ---- the list ------------------------------------------------------------------------------- */

static void test_the_table_keeps_its_own_rules(void **state)
{
    struct kit *kit = *state;

    bool is_sound = json_table_check(&settings_table, &kit->err);

    if (!is_sound)
        fail_msg("%s", kit->err.text);
    assert_int_equal(settings_table.count, SETTING_COUNT);
}

static void test_defaults_are_those_of_the_core(void **state)
{
    struct kit *kit = *state;
    const struct fleet_settings *core = &fleet_settings_default;

    struct fleet_settings ours = settings_fleet(&kit->settings);

    assert_int_equal(ours.heartbeat_timeout_ms, core->heartbeat_timeout_ms);
    assert_int_equal(ours.heartbeat_min_ms, core->heartbeat_min_ms);
    assert_int_equal(ours.heartbeat_max_ms, core->heartbeat_max_ms);
    assert_int_equal(ours.active_interval_ms, core->active_interval_ms);
    assert_int_equal(ours.target_rate, core->target_rate);
    assert_int_equal(ours.max_concurrent, core->max_concurrent);
    assert_int_equal(ours.max_instances, core->max_instances);
    assert_int_equal(ours.rollouts_kept, core->rollouts_kept);
    assert_int_equal(ours.rollouts_kept_ms, core->rollouts_kept_ms);
    assert_int_equal(ours.ignores_agent_labels, core->ignores_agent_labels);
    assert_int_equal(ours.is_manual, core->is_manual);
}

static void test_defaults_of_the_server_itself(void **state)
{
    const struct setting_values *v = &((struct kit *)*state)->settings.value;

    assert_text(v->listen, "127.0.0.1:7420");
    assert_text(v->data, "dides-data");
    assert_int_equal(v->store, SETTING_STORE_SQLITE);
    assert_false(v->insecure);
    assert_int_equal(v->reconcile_interval_ms, 1000);
    assert_int_equal(v->events_kept, LIMIT_EVENTS_KEPT);
    assert_int_equal(v->events_kept_days, 7);
    assert_int_equal(v->connections_max, 20000);
    assert_int_equal(v->io_threads, 0);
}

static void test_every_key_reaches_the_core_from_a_document(void **state)
{
    struct kit *kit = *state;

    bool is_read = read_text(kit, "heartbeat_timeout: 1h\n"
                                  "heartbeat_min: 101ms\n"
                                  "heartbeat_max: 102ms\n"
                                  "active_interval: 103ms\n"
                                  "target_rate: 104\n"
                                  "max_concurrent: 100\n"
                                  "max_instances: 106\n"
                                  "rollouts_kept: 107\n"
                                  "rollouts_kept_days: 108\n"
                                  "agent_labels: ignore\n"
                                  "reconcile: manual\n");

    assert_true(is_read);
    struct fleet_settings fleet = settings_fleet(&kit->settings);
    assert_int_equal(fleet.heartbeat_timeout_ms, 3600000);
    assert_int_equal(fleet.heartbeat_min_ms, 101);
    assert_int_equal(fleet.heartbeat_max_ms, 102);
    assert_int_equal(fleet.active_interval_ms, 103);
    assert_int_equal(fleet.target_rate, 104);
    assert_int_equal(fleet.max_concurrent, 100);
    assert_int_equal(fleet.max_instances, 106);
    assert_int_equal(fleet.rollouts_kept, 107);
    assert_int_equal(fleet.rollouts_kept_ms, 108ll * 24 * 3600 * 1000);
    assert_true(fleet.ignores_agent_labels);
    assert_true(fleet.is_manual);
}

/* ---- precedence ----------------------------------------------------------------------------- */

static void test_each_layer_beats_the_one_before(void **state)
{
    struct kit *kit = *state;
    struct settings *s = &kit->settings;

    assert_true(read_text(kit, "listen: 127.0.0.1:1\ndata: from-file\nstore: memory\n"
                               "max_concurrent: 2\nmax_instances: 2\n"));
    char *environment[] = { "DIDES_LISTEN=127.0.0.1:2", "DIDES_DATA=from-environment",
                            "DIDES_MAX_CONCURRENT=3", NULL };
    assert_true(settings_read_environment(s, environment, &kit->err));
    assert_true(settings_read_pair(s, "listen=127.0.0.1:3", &kit->err));
    assert_true(settings_read_pair(s, "data=from-set", &kit->err));
    assert_true(settings_read_flag(s, "listen", "127.0.0.1:4", &kit->err));

    assert_text(s->value.listen, "127.0.0.1:4");
    assert_int_equal(s->sources[SETTING_listen], SETTING_FROM_FLAG);
    assert_text(s->value.data, "from-set");
    assert_int_equal(s->sources[SETTING_data], SETTING_FROM_SET);
    assert_int_equal(s->value.max_concurrent, 3);
    assert_int_equal(s->sources[SETTING_max_concurrent], SETTING_FROM_ENVIRONMENT);
    assert_int_equal(s->value.max_instances, 2);
    assert_int_equal(s->sources[SETTING_max_instances], SETTING_FROM_FILE);
    assert_int_equal(s->sources[SETTING_target_rate], SETTING_FROM_DEFAULT);
}

static void test_a_layer_that_repeats_the_value_still_counts_as_its_source(void **state)
{
    struct kit *kit = *state;

    assert_true(settings_read_pair(&kit->settings, "store=sqlite", &kit->err));

    assert_int_equal(kit->settings.sources[SETTING_store], SETTING_FROM_SET);
}

static void test_of_two_pairs_for_one_key_the_later_wins(void **state)
{
    struct kit *kit = *state;

    assert_true(settings_read_pair(&kit->settings, "max_concurrent=7", &kit->err));
    assert_true(settings_read_pair(&kit->settings, "max_concurrent=8", &kit->err));

    assert_int_equal(kit->settings.value.max_concurrent, 8);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void test_a_file_may_be_json_by_its_name(void **state)
{
    struct kit *kit = *state;
    const char *path =
        file(kit, ".json", TEXT("{\n\t\"store\": \"memory\",\n\t\"insecure\": true}"));

    assert_true(settings_read_file(&kit->settings, path, &kit->err));

    assert_int_equal(kit->settings.value.store, SETTING_STORE_MEMORY);
    assert_true(kit->settings.value.insecure);
}

static void test_an_empty_file_changes_nothing(void **state)
{
    struct kit *kit = *state;

    assert_true(read_text(kit, "# nothing yet\n"));

    for (unsigned i = 0; i < SETTING_COUNT; i++)
        assert_int_equal(kit->settings.sources[i], SETTING_FROM_DEFAULT);
}

static void test_a_misspelt_key_in_a_file_is_named_with_the_nearest(void **state)
{
    struct kit *kit = *state;
    char expected[256];

    assert_false(read_text(kit, "store: memory\nhartbeat_timeout: 9s\n"));

    snprintf(expected, sizeof expected,
             "%s: /hartbeat_timeout is not a known key; did you mean \"heartbeat_timeout\"?",
             kit->path);
    assert_says(kit, expected);
    assert_string_equal(kit->err.pointer, "/hartbeat_timeout");
    assert_int_equal(kit->settings.value.store, SETTING_STORE_SQLITE); /* all or nothing */
}

static void test_a_bad_value_in_a_file_is_named_with_what_is_allowed(void **state)
{
    struct kit *kit = *state;
    char expected[256];

    assert_false(read_text(kit, "max_concurrent: 101\n"));

    snprintf(expected, sizeof expected,
             "%s: /max_concurrent must be an integer from 1 to 100, not 101", kit->path);
    assert_says(kit, expected);
}

static void test_a_bad_address_in_a_file_is_named(void **state)
{
    struct kit *kit = *state;
    char start[128];

    assert_false(read_text(kit, "listen: nowhere\n"));

    snprintf(start, sizeof start, "%s: /listen: \"nowhere\" is no address to listen on", kit->path);
    assert_int_equal(kit->err.code, ERR_USAGE);
    assert_contains(kit->err.text, start);
}

static void test_broken_yaml_is_named_with_its_line(void **state)
{
    struct kit *kit = *state;

    assert_false(read_text(kit, "store: memory\n  data: [\n"));

    assert_int_equal(kit->err.code, ERR_USAGE);
    assert_contains(kit->err.text, kit->path);
    assert_contains(kit->err.text, ": line ");
}

static void test_a_file_that_is_a_list_is_refused(void **state)
{
    struct kit *kit = *state;

    assert_false(read_text(kit, "- store\n"));

    assert_int_equal(kit->err.code, ERR_USAGE);
    assert_contains(kit->err.text, "must be an object");
}

static void test_a_file_that_is_missing_is_named(void **state)
{
    struct kit *kit = *state;

    assert_false(settings_read_file(&kit->settings, "no-such-file.yaml", &kit->err));

    assert_says(kit, "cannot read the configuration file no-such-file.yaml: No such file or "
                     "directory");
}

static void test_a_file_that_never_ends_is_refused(void **state)
{
    struct kit *kit = *state;

    assert_false(settings_read_file(&kit->settings, "/dev/zero", &kit->err));

    assert_says(kit, "cannot read the configuration file /dev/zero: File too large");
}

/* ---- environment ---------------------------------------------------------------------------- */

static void test_a_bad_value_in_the_environment_is_named(void **state)
{
    struct kit *kit = *state;

    assert_false(read_variable(kit, "DIDES_HEARTBEAT_MIN=9x"));

    assert_says(kit, "the environment variable DIDES_HEARTBEAT_MIN must be a duration such as "
                     "\"90s\" or \"1h30m\", from \"100ms\" to \"1h\", not \"9x\"");
}

static void test_a_misspelt_variable_is_named_with_the_nearest(void **state)
{
    struct kit *kit = *state;

    assert_false(read_variable(kit, "DIDES_HEARTBEAT_TIMEOT=9s"));

    assert_says(kit, "the environment variable DIDES_HEARTBEAT_TIMEOT is no setting; did you mean "
                     "DIDES_HEARTBEAT_TIMEOUT?");
}

static void test_a_key_in_small_letters_is_a_misspelt_variable(void **state)
{
    struct kit *kit = *state;

    assert_false(read_variable(kit, "DIDES_store=memory"));

    assert_says(kit, "the environment variable DIDES_store is no setting; did you mean "
                     "DIDES_STORE?");
}

static void test_variables_of_others_are_left_alone(void **state)
{
    struct kit *kit = *state;
    char *environment[] = { "PATH=/bin",
                            "LISTEN=127.0.0.1:1",
                            "DIDES",
                            "DIDES_",
                            "DIDES_=x",
                            "DIDES_SERVER=http://127.0.0.1:7420",
                            "DIDES_TOKEN=try-out",
                            "DIDES_CODE_VERSION=1",
                            "DIDES_CONFIGURATION_VERSION=1",
                            "DIDES_PORT=tcp://10.0.0.1:7420",
                            "DIDES_SERVICE_HOST=10.0.0.1",
                            "DIDES_SERVICE_PORT=7420",
                            "DIDES_PORT_7420_TCP_ADDR=10.0.0.1",
                            NULL };

    assert_true(settings_read_environment(&kit->settings, environment, &kit->err));

    for (unsigned i = 0; i < SETTING_COUNT; i++)
        assert_int_equal(kit->settings.sources[i], SETTING_FROM_DEFAULT);
}

static void test_one_bad_variable_undoes_the_others(void **state)
{
    struct kit *kit = *state;
    char *environment[] = { "DIDES_STORE=memory", "DIDES_INSECURE=yes", NULL };

    assert_false(settings_read_environment(&kit->settings, environment, &kit->err));

    assert_says(kit, "the environment variable DIDES_INSECURE must be true or false, not \"yes\"");
    assert_int_equal(kit->settings.value.store, SETTING_STORE_SQLITE);
    assert_int_equal(kit->settings.sources[SETTING_store], SETTING_FROM_DEFAULT);
}

/* ---- --set and flags ------------------------------------------------------------------------ */

static void test_mistakes_in_pairs_are_named(void **state)
{
    static const char *const table[][2] = {
        { "store", "--set wants KEY=VALUE, not \"store\"" },
        { "=memory", "--set wants KEY=VALUE, not \"=memory\"" },
        { "stor=memory", "--set stor is not a known key; did you mean \"store\"?" },
        { "store=disk", "--set store must be one of \"sqlite\", \"memory\", not \"disk\"" },
        { "max_concurrent=0", "--set max_concurrent must be an integer from 1 to 100, not 0" },
        { "max_concurrent=1,\"store\":\"memory\"",
          "--set max_concurrent must be an integer from 1 to 100, not \"1,\"store\":\"memory\"\"" },
        { "max_concurrent=", "--set max_concurrent must be an integer from 1 to 100, not \"\"" },
        { "max_concurrent=01",
          "--set max_concurrent must be an integer from 1 to 100, not \"01\"" },
        { "insecure=1", "--set insecure must be true or false, not \"1\"" },
        { "heartbeat_timeout=90",
          "--set heartbeat_timeout must be a duration such as \"90s\" or \"1h30m\", from \"100ms\" "
          "to \"1d\", not \"90\"" },
        { "heartbeat_timeout=2d",
          "--set heartbeat_timeout must be a duration such as \"90s\" or \"1h30m\", from \"100ms\" "
          "to \"1d\", not \"2d\"" },
        { "data=", "--set data must be a text of 1 to 4000 bytes without control characters; it is "
                   "empty" },
        { "data=a\nb", "--set data must be a text of 1 to 4000 bytes without control characters; "
                       "it has a control character" },
        { "data=\xff", "--set data must be a text in UTF-8" },
        { "\xff=1", "--set \\xff is not a known key" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct kit *kit = *state;
        struct setting_values before = kit->settings.value;

        assert_false(settings_read_pair(&kit->settings, table[i][0], &kit->err));

        if (!strstr(kit->err.text, table[i][1]))
            fail_msg("\"%s\" gives \"%s\"", table[i][0], kit->err.text);
        assert_int_equal(kit->err.code, ERR_USAGE);
        assert_int_equal(before.store, kit->settings.value.store);
        assert_int_equal(before.max_concurrent, kit->settings.value.max_concurrent);
    }
}

static void test_a_value_may_have_equals_signs_and_quotes(void **state)
{
    struct kit *kit = *state;

    assert_true(settings_read_pair(&kit->settings, "data=a=\"b\"\\", &kit->err));

    assert_text(kit->settings.value.data, "a=\"b\"\\");
}

static void test_words_may_be_in_any_letter_case(void **state)
{
    struct kit *kit = *state;

    assert_true(settings_read_pair(&kit->settings, "store=Memory", &kit->err));

    assert_int_equal(kit->settings.value.store, SETTING_STORE_MEMORY);
}

static void test_mistakes_in_flags_are_named(void **state)
{
    struct kit *kit = *state;

    assert_false(settings_read_flag(&kit->settings, "store", "etcd", &kit->err));
    assert_says(kit, "--store must be one of \"sqlite\", \"memory\", not \"etcd\"");

    assert_false(settings_read_flag(&kit->settings, "listen", "7420", &kit->err));
    assert_contains(kit->err.text, "--listen: \"7420\" is no address to listen on");
}

/* ---- what no single key can tell ------------------------------------------------------------ */

static void test_the_shortest_interval_must_not_exceed_the_longest(void **state)
{
    struct kit *kit = *state;
    assert_true(settings_read_pair(&kit->settings, "heartbeat_min=10m", &kit->err));

    assert_false(settings_check(&kit->settings, &kit->err));

    assert_says(kit, "heartbeat_min (10m, --set) must not exceed heartbeat_max (5m, default)");
}

static void test_equal_intervals_are_fine(void **state)
{
    struct kit *kit = *state;
    assert_true(settings_read_pair(&kit->settings, "heartbeat_min=5m", &kit->err));

    assert_true(settings_check(&kit->settings, &kit->err));
}

static void test_an_open_server_listens_on_loopback_only(void **state)
{
    static const struct {
        const char *listen;
        bool is_loopback;
    } table[] = {
        { "127.0.0.1:7420", true },  { "127.8.9.1:0", true },          { "localhost:7420", true },
        { "[::1]:7420", true },      { "[::ffff:127.0.0.1]:1", true }, { "0.0.0.0:7420", false },
        { "128.0.0.1:7420", false }, { "10.0.0.1:7420", false },       { "[::]:7420", false },
        { "[fe80::1]:7420", false }, { "[::ffff:10.0.0.1]:1", false },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct kit *kit = *state;
        struct settings *s = &kit->settings;
        assert_true(settings_read_flag(s, "insecure", "false", &kit->err));
        assert_true(settings_read_flag(s, "listen", table[i].listen, &kit->err));

        bool is_allowed = settings_check(s, &kit->err);
        assert_true(settings_read_flag(s, "insecure", "true", &kit->err));
        bool is_allowed_when_insecure = settings_check(s, &kit->err);

        if (is_allowed != table[i].is_loopback)
            fail_msg("%s", table[i].listen);
        assert_true(is_allowed_when_insecure);
    }
}

static void test_a_refused_address_names_the_way_out(void **state)
{
    struct kit *kit = *state;
    assert_true(settings_read_flag(&kit->settings, "listen", "0.0.0.0:7420", &kit->err));

    assert_false(settings_check(&kit->settings, &kit->err));

    assert_says(kit, "listen (\"0.0.0.0:7420\", --listen) is beyond loopback, where nothing is "
                     "encrypted and everybody who reaches it is an operator, whatever agents must "
                     "know: listen on 127.0.0.1 or [::1] with a proxy in front, or say --insecure");
}

/* ---- printing ------------------------------------------------------------------------------- */

static void test_what_is_printed_reads_back_as_the_same_settings(void **state)
{
    struct kit *kit = *state;
    struct settings *s = &kit->settings, copy;
    cleanup(buffer_release) struct buffer first = { 0 }, second = { 0 };
    buffer_init(&first, &memory_heap, 1 << 20);
    buffer_init(&second, &memory_heap, 1 << 20);
    char *environment[] = { "DIDES_HEARTBEAT_TIMEOUT=1h1m1s1ms", "DIDES_RECONCILE=manual", NULL };
    assert_true(settings_read_environment(s, environment, &kit->err));
    /* Line ends and marks of Unicode, escapes, and what YAML would take for something else. */
    assert_true(settings_read_pair(s,
                                   "data=~ \"q\" \\ # : \xc2\x85 \xe2\x80\xa8 \xef\xbb\xbf "
                                   "\xef\xbf\xbf \xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x9a\x80 \xc2\xa0",
                                   &kit->err));
    settings_print(s, &first);
    assert_false(first.failed);

    assert_true(settings_init(&copy, &kit->err));
    if (!settings_read_file(&copy, file(kit, "", buffer_text(&first)), &kit->err))
        fail_msg("%s", kit->err.text);

    assert_true(text_equal(copy.value.data, s->value.data));
    assert_int_equal(copy.value.heartbeat_timeout_ms, 3661001);
    for (unsigned i = 0; i < SETTING_COUNT; i++)
        assert_int_equal(copy.sources[i], SETTING_FROM_FILE);
    memcpy(copy.sources, s->sources, sizeof copy.sources);
    settings_print(&copy, &second);
    assert_true(text_equal(buffer_text(&first), buffer_text(&second)));
    settings_release(&copy);
}

static void test_each_line_says_meaning_range_and_source(void **state)
{
    struct kit *kit = *state;
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, 1 << 20);
    assert_true(read_text(kit, "max_instances: 5\n"));
    assert_true(read_variable(kit, "DIDES_DATA=here"));
    assert_true(settings_read_pair(&kit->settings, "reconcile=manual", &kit->err));
    assert_true(settings_read_flag(&kit->settings, "store", "memory", &kit->err));

    settings_print(&kit->settings, &out);

    const char *text = buffer_c_string(&out);
    char from_file[128];
    snprintf(from_file, sizeof from_file, "[from: file %s]\nmax_instances: 5\n", kit->path);
    assert_contains(text, from_file);
    assert_contains(text, "[from: environment DIDES_DATA]\ndata: \"here\"\n");
    assert_contains(text, "[from: --set]\nreconcile: manual\n");
    assert_contains(text, "[from: --store]\nstore: memory\n");
    assert_contains(text, "# Shortest interval given to an idle instance: a duration such as "
                          "\"90s\" or \"1h30m\", from \"100ms\" to \"1h\" [from: default]\n"
                          "heartbeat_min: 5s\n");
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        char line[128];
        snprintf(line, sizeof line, "\n%s: ", settings_table.fields[i].name);
        assert_contains(text, line);
        assert_contains(text, settings_table.fields[i].meaning);
    }
}

static void test_the_reference_has_a_row_for_every_key(void **state)
{
    (void)state;
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, 1 << 20);

    settings_markdown(&out);

    const char *text = buffer_c_string(&out);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        char cell[128];
        snprintf(cell, sizeof cell, "\n| `%s` | `", settings_table.fields[i].name);
        assert_contains(text, cell);
    }
    assert_contains(text, "| `heartbeat_timeout` | `90s` | Silence after which an instance is "
                          "offline; never less than three of its intervals | a duration such as "
                          "\"90s\" or \"1h30m\", from \"100ms\" to \"1d\" | "
                          "`DIDES_HEARTBEAT_TIMEOUT` |\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_table_keeps_its_own_rules),
        TEST(test_defaults_are_those_of_the_core),
        TEST(test_defaults_of_the_server_itself),
        TEST(test_every_key_reaches_the_core_from_a_document),
        TEST(test_each_layer_beats_the_one_before),
        TEST(test_a_layer_that_repeats_the_value_still_counts_as_its_source),
        TEST(test_of_two_pairs_for_one_key_the_later_wins),
        TEST(test_a_file_may_be_json_by_its_name),
        TEST(test_an_empty_file_changes_nothing),
        TEST(test_a_misspelt_key_in_a_file_is_named_with_the_nearest),
        TEST(test_a_bad_value_in_a_file_is_named_with_what_is_allowed),
        TEST(test_a_bad_address_in_a_file_is_named),
        TEST(test_broken_yaml_is_named_with_its_line),
        TEST(test_a_file_that_is_a_list_is_refused),
        TEST(test_a_file_that_is_missing_is_named),
        TEST(test_a_file_that_never_ends_is_refused),
        TEST(test_a_bad_value_in_the_environment_is_named),
        TEST(test_a_misspelt_variable_is_named_with_the_nearest),
        TEST(test_a_key_in_small_letters_is_a_misspelt_variable),
        TEST(test_variables_of_others_are_left_alone),
        TEST(test_one_bad_variable_undoes_the_others),
        TEST(test_mistakes_in_pairs_are_named),
        TEST(test_a_value_may_have_equals_signs_and_quotes),
        TEST(test_words_may_be_in_any_letter_case),
        TEST(test_mistakes_in_flags_are_named),
        TEST(test_the_shortest_interval_must_not_exceed_the_longest),
        TEST(test_equal_intervals_are_fine),
        TEST(test_an_open_server_listens_on_loopback_only),
        TEST(test_a_refused_address_names_the_way_out),
        TEST(test_what_is_printed_reads_back_as_the_same_settings),
        TEST(test_each_line_says_meaning_range_and_source),
        TEST(test_the_reference_has_a_row_for_every_key),
    };
    return cmocka_run_group_tests_name("cmd/settings", tests, NULL, NULL);
}
