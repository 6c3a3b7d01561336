/* SPDX-License-Identifier: Apache-2.0
 * test_tokens.c - the setting registration_tokens: what it takes, what it refuses and how, and that
 * nothing ever shows a token. */
#include "base/cleanup.h"
#include "base/suite.h"
#include "cmd/tokens.h"

#include <sys/stat.h>
#include <unistd.h>

#define SECRET "a secret that nobody may see"

struct kit {
    struct settings settings;
    struct err err;
    char path[32], secret_path[32];
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    assert_true(secret_open(&kit->err));
    assert_true(settings_init(&kit->settings, &kit->err));
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    if (kit->path[0])
        unlink(kit->path);
    if (kit->secret_path[0])
        unlink(kit->secret_path);
    settings_release(&kit->settings);
    free(kit);
    return 0;
}

static void write_file(char path[static 32], const char *content, mode_t mode)
{
    snprintf(path, 32, "tokens-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static bool read_with_mode(struct kit *kit, const char *yaml, mode_t mode)
{
    if (kit->path[0])
        unlink(kit->path);
    write_file(kit->path, yaml, mode);
    return settings_read_file(&kit->settings, kit->path, &kit->err) &&
           settings_check(&kit->settings, &kit->err);
}

static bool read_yaml(struct kit *kit, const char *yaml)
{
    return read_with_mode(kit, yaml, 0600);
}

static bool read_set(struct kit *kit, const char *pair)
{
    return settings_read_pair(&kit->settings, pair, &kit->err) &&
           settings_check(&kit->settings, &kit->err);
}

static bool load(struct kit *kit, struct token_rule *ret)
{
    const struct setting_values *v = &kit->settings.value;
    return tokens_load(v->tokens, v->token_count, ret, &kit->err);
}

static void assert_refused(const struct kit *kit, const char *part)
{
    assert_int_equal(kit->err.code, ERR_USAGE);
    if (!strstr(kit->err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, kit->err.text);
    assert_null(strstr(kit->err.text, SECRET));
}

/* ---- what is taken -------------------------------------------------------------------------- */

static void test_a_server_without_tokens_is_open(void **state)
{
    struct kit *kit = *state;

    assert_true(settings_check(&kit->settings, &kit->err));

    assert_int_equal(kit->settings.value.token_count, 0);
}

static void test_an_entry_becomes_a_rule(void **state)
{
    struct kit *kit = *state;
    struct token_rule rules[2];

    assert_true(read_yaml(kit, "registration_tokens:\n"
                               "  - {name: web, token: " SECRET ", instances: \"web-*\"}\n"
                               "  - name: lab\n"
                               "    token: another token of sixteen bytes\n"
                               "    expires: 2031-01-01T00:00:00Z\n"));
    assert_true(load(kit, rules));

    assert_ptr_equal(token_find(rules, 2, TEXT(SECRET)), &rules[0]);
    assert_text(rules[0].name, "web");
    assert_text(rules[0].pattern, "web-*");
    assert_int_equal(rules[0].expires_at, 0);
    assert_text(rules[1].name, "lab");
    assert_int_equal(rules[1].expires_at, 1924992000000);
}

static void test_hash_file_and_text_give_the_same_rule(void **state)
{
    struct kit *kit = *state;
    struct token_rule rule;
    unsigned char hash[SECRET_HASH_SIZE];
    char hex[SECRET_HEX_SIZE + 1], pair[256];
    secret_hash(TEXT(SECRET), hash);
    secret_to_hex(hash, hex);
    write_file(kit->secret_path, "  " SECRET " \r\nand what else stands there\n", 0644);

    snprintf(pair, sizeof pair, "registration_tokens=[{\"name\":\"a\",\"sha256\":\"%s\"}]", hex);
    assert_true(read_set(kit, pair));
    assert_true(load(kit, &rule));
    assert_true(secret_equal(rule.hash, hash));

    snprintf(pair, sizeof pair, "registration_tokens=[{\"name\":\"a\",\"token_file\":\"%s\"}]",
             kit->secret_path);
    assert_true(read_set(kit, pair));
    assert_true(load(kit, &rule));
    assert_true(secret_equal(rule.hash, hash));
}

static void test_a_later_layer_replaces_the_whole_list(void **state)
{
    struct kit *kit = *state;
    assert_true(read_yaml(kit, "registration_tokens:\n"
                               "  - {name: a, token_file: a}\n"
                               "  - {name: b, token_file: b}\n"));

    char *environment[] = { "DIDES_REGISTRATION_TOKENS=[{\"name\":\"c\",\"token_file\":\"c\"}]",
                            NULL };
    assert_true(settings_read_environment(&kit->settings, environment, &kit->err));

    assert_int_equal(kit->settings.value.token_count, 1);
    assert_text(kit->settings.value.tokens[0].name, "c");
    assert_true(read_set(kit, "registration_tokens=[]"));
    assert_int_equal(kit->settings.value.token_count, 0);
}

static void test_a_token_may_come_from_the_environment(void **state)
{
    struct kit *kit = *state;
    char *environment[] = { "DIDES_REGISTRATION_TOKENS=[{\"name\":\"a\",\"token\":\"" SECRET "\"}]",
                            NULL };

    assert_true(settings_read_environment(&kit->settings, environment, &kit->err));

    assert_int_equal(kit->settings.value.token_count, 1);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void test_a_token_that_others_can_read_is_refused(void **state)
{
    struct kit *kit = *state;
    const char *yaml = "registration_tokens: [{name: a, token: " SECRET "}]\n";

    assert_false(read_with_mode(kit, yaml, 0640));
    assert_refused(kit, "holds a token where others can read it");
    assert_int_equal(kit->settings.value.token_count, 0);
    assert_false(read_set(kit, "registration_tokens=[{\"name\":\"a\",\"token\":\"" SECRET "\"}]"));
    assert_refused(kit, "--set registration_tokens holds a token where others can read it");

    assert_true(read_with_mode(kit, "registration_tokens: [{name: a, token_file: b}]\n", 0644));
}

static void test_entries_that_make_no_sense_are_refused_by_name(void **state)
{
    static const char *const table[][2] = {
        { "[{name: a}]", "\"a\" must have exactly one of token, token_file and sha256" },
        { "[{name: a, token: " SECRET ", token_file: b}]", "\"a\" must have exactly one of" },
        { "[{name: a, token_file: a}, {name: a, token_file: b}]", "\"a\" is there twice" },
        { "[{name: \"a b\", token_file: a}]", "the name \"a b\" must be" },
        { "[{token_file: a}]", "/registration_tokens/0/name" },
        { "[{name: a, token_file: a, instances: \"web-[1]\"}]",
          "instances of \"a\" must be a pattern" },
        { "[{name: a, token_file: a, expires: tomorrow}]",
          "/registration_tokens/0/expires must be" },
        { "[{name: a, token_file: a, valid: 1}]",
          "/registration_tokens/0/valid is not a known key" },
        { "[{name: a, sha256: zz}]", "/registration_tokens/0/sha256 must be" },
        { "[{name: a, sha256: "
          "\"zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}]",
          "the sha256 of \"a\" must be 64 hexadecimal digits" },
        { "[{name: a, token: short}]", "/registration_tokens/0/token must be a text" },
        { "text", "/registration_tokens must be a list" },
        { "{name: a}", "/registration_tokens must be a list" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct kit *kit = *state;
        char yaml[256];
        snprintf(yaml, sizeof yaml, "registration_tokens: %s\n", table[i][0]);

        bool is_read = read_yaml(kit, yaml);

        if (is_read)
            fail_msg("%s", table[i][0]);
        assert_refused(kit, table[i][1]);
    }
}

static void test_a_number_instead_of_a_token_is_not_repeated(void **state)
{
    struct kit *kit = *state;

    assert_false(read_yaml(kit, "registration_tokens: [{name: a, token: 12345678901234567890}]\n"));

    assert_refused(kit, "/registration_tokens/0/token must be a text in quotes");
    assert_null(strstr(kit->err.text, "1234567"));
}

static void test_two_entries_with_one_token_are_refused(void **state)
{
    struct kit *kit = *state;
    struct token_rule rules[2];
    write_file(kit->secret_path, SECRET "\n", 0600);
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "registration_tokens:\n  - {name: a, token: " SECRET
             "}\n  - {name: b, token_file: %s}\n",
             kit->secret_path);
    assert_true(read_yaml(kit, yaml));

    assert_false(load(kit, rules));

    assert_refused(kit, "\"a\" and \"b\" have the same token");
}

static void test_a_file_without_a_token_is_named(void **state)
{
    struct kit *kit = *state;
    struct token_rule rule;
    static const char *const contents[] = { "", "\n" SECRET "\n", "fifteen bytes..\n",
                                            "sixteen bytes\x01...\n", "sixteen bytes\xff...\n" };
    assert_true(read_set(kit, "registration_tokens=[{\"name\":\"a\",\"token_file\":\"no-such\"}]"));
    assert_false(load(kit, &rule));
    assert_refused(kit, "cannot read the token in no-such: No such file or directory");

    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        char pair[256];
        write_file(kit->secret_path, contents[i], 0600);
        snprintf(pair, sizeof pair, "registration_tokens=[{\"name\":\"a\",\"token_file\":\"%s\"}]",
                 kit->secret_path);
        assert_true(read_set(kit, pair));

        assert_false(load(kit, &rule));

        assert_refused(kit, "must be a token of 16 to 4096 bytes");
        unlink(kit->secret_path);
    }
}

/* ---- printing ------------------------------------------------------------------------------- */

static void test_what_is_printed_shows_no_token_and_reads_back_as_the_same_rules(void **state)
{
    struct kit *kit = *state;
    struct settings copy;
    struct token_rule first[2], second[2];
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, 1 << 20);
    write_file(kit->secret_path, "the token of a file\n", 0600);
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "registration_tokens:\n  - {name: a, token: " SECRET ", instances: \"a-*\", expires: "
             "2031-01-01T00:00:00Z}\n  - {name: b, token_file: %s}\n",
             kit->secret_path);
    assert_true(read_yaml(kit, yaml));
    assert_true(load(kit, first));

    settings_print(&kit->settings, &out);

    assert_null(strstr(buffer_c_string(&out), SECRET));
    assert_true(settings_init(&copy, &kit->err));
    unlink(kit->path);
    write_file(kit->path, buffer_c_string(&out), 0644);
    if (!settings_read_file(&copy, kit->path, &kit->err))
        fail_msg("%s", kit->err.text);
    assert_int_equal(copy.value.token_count, 2);
    assert_true(tokens_load(copy.value.tokens, 2, second, &kit->err));
    for (int i = 0; i < 2; i++) {
        assert_true(secret_equal(first[i].hash, second[i].hash));
        assert_true(text_equal(first[i].name, second[i].name));
        assert_true(text_equal(first[i].pattern, second[i].pattern));
        assert_int_equal(first[i].expires_at, second[i].expires_at);
    }
    settings_release(&copy);
}

static void test_the_table_of_an_entry_keeps_its_own_rules(void **state)
{
    struct kit *kit = *state;

    if (!json_table_check(&setting_token_table, &kit->err))
        fail_msg("%s", kit->err.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_server_without_tokens_is_open),
        TEST(test_an_entry_becomes_a_rule),
        TEST(test_hash_file_and_text_give_the_same_rule),
        TEST(test_a_later_layer_replaces_the_whole_list),
        TEST(test_a_token_may_come_from_the_environment),
        TEST(test_a_token_that_others_can_read_is_refused),
        TEST(test_entries_that_make_no_sense_are_refused_by_name),
        TEST(test_a_number_instead_of_a_token_is_not_repeated),
        TEST(test_two_entries_with_one_token_are_refused),
        TEST(test_a_file_without_a_token_is_named),
        TEST(test_what_is_printed_shows_no_token_and_reads_back_as_the_same_rules),
        TEST(test_the_table_of_an_entry_keeps_its_own_rules),
    };
    return cmocka_run_group_tests_name("cmd/tokens", tests, NULL, NULL);
}
