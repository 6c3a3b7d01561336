/* SPDX-License-Identifier: Apache-2.0
 * test_config.c - the configuration of an agent: layers, refusals, and that what is printed can be
 * read back. */
#include "agent/config.h"
#include "base/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct kit {
    struct config config;
    struct err err;
    char path[64];
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    assert_true(config_init(&kit->config, &kit->err));
    snprintf(kit->path, sizeof kit->path, "agent-config-XXXXXX");
    close(mkstemp(kit->path));
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    unlink(kit->path);
    config_release(&kit->config);
    free(kit);
    return 0;
}

static bool read_yaml(struct kit *kit, const char *yaml, mode_t mode)
{
    int fd = open(kit->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return config_read_file(&kit->config, kit->path, &kit->err);
}

static const char complete[] = "server: http://127.0.0.1:7420\n"
                               "name: web-1\n"
                               "labels: {env: prod, zone: a}\n"
                               "update_command: [/opt/update, --fast, 'two words']\n"
                               "version_command: [/opt/version]\n"
                               "update_timeout: 90s\n"
                               "update_retries: 3\n";

static void test_the_table_keeps_its_own_rules(void **state)
{
    struct kit *kit = *state;

    if (!json_table_check(&config_table, &kit->err))
        fail_msg("%s", kit->err.text);
}

static void test_defaults_stand_where_nothing_is_said(void **state)
{
    struct kit *kit = *state;
    const struct config_values *v = &kit->config.value;

    assert_true(v->name.size > 0);
    assert_int_equal(v->update_timeout_ms, 300 * 1000);
    assert_int_equal(v->update_retries, 1);
    assert_int_equal(v->health_timeout_ms, 30 * 1000);
    assert_int_equal(v->version_timeout_ms, 30 * 1000);
    assert_false(v->insecure);
}

static void test_a_file_gives_lists_and_maps(void **state)
{
    struct kit *kit = *state;
    const struct config_values *v = &kit->config.value;

    assert_true(read_yaml(kit, complete, 0644));

    assert_int_equal(v->update.count, 3);
    assert_text(v->update.words[2], "two words");
    assert_int_equal(v->update.words[2].data[v->update.words[2].size], '\0');
    assert_int_equal(v->label_count, 2);
    assert_int_equal(v->update_timeout_ms, 90000);
    assert_true(config_check(&kit->config, &kit->err));
}

static void test_flags_win_over_the_file(void **state)
{
    struct kit *kit = *state;
    const struct config_values *v = &kit->config.value;
    read_yaml(kit, complete, 0644);

    assert_true(config_read_flag(&kit->config, "update_command", "/bin/a b", &kit->err));
    assert_true(config_read_flag(&kit->config, "update_retries", "0", &kit->err));
    assert_true(config_read_label(&kit->config, "zone=b=c", &kit->err));
    assert_true(config_read_label(&kit->config, "x=", &kit->err));

    assert_int_equal(v->update.count, 1);
    assert_text(v->update.words[0], "/bin/a b");
    assert_int_equal(v->update_retries, 0);
    assert_int_equal(v->label_count, 3);
    assert_text(v->labels[1].value, "b=c");
}

static void test_mistakes_are_refused_and_change_nothing(void **state)
{
    struct kit *kit = *state;
    static const char *const wrong[] = { "servr: x\n",
                                         "update_command: /bin/update\n",
                                         "update_timeout: soon\n",
                                         "update_retries: -1\n",
                                         "labels: {a: 1}\n",
                                         "update_command: []x\n",
                                         "insecure: maybe\n",
                                         "name: ''\n" };
    read_yaml(kit, complete, 0644);

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(read_yaml(kit, wrong[i], 0644));
        assert_int_equal(kit->err.code, ERR_USAGE);
    }
    assert_false(config_read_flag(&kit->config, "update_retries", "many", &kit->err));
    assert_non_null(strstr(kit->err.text, "update_retries"));
    assert_false(config_read_label(&kit->config, "novalue", &kit->err));

    assert_text(kit->config.value.name, "web-1");
    assert_true(config_check(&kit->config, &kit->err));
}

static void test_a_token_is_not_taken_from_a_file_that_others_read(void **state)
{
    struct kit *kit = *state;

    assert_false(read_yaml(kit, "token: canary\n", 0644));
    assert_null(strstr(kit->err.text, "canary"));
    assert_int_equal(kit->config.value.token.size, 0);
    assert_true(read_yaml(kit, "token: canary\n", 0600));
    assert_text(kit->config.value.token, "canary");
}

static void test_a_token_file_gives_its_first_line(void **state)
{
    struct kit *kit = *state;
    read_yaml(kit, "tok\xc3\xa9n \nmore\n", 0600);
    kit->config.value.token_file = text_from(kit->path);

    assert_true(config_read_token(&kit->config, &kit->err));

    assert_text(kit->config.value.token, "tok\xc3\xa9n");
}

static void test_plain_http_stays_on_loopback(void **state)
{
    struct kit *kit = *state;
    static const struct {
        const char *server;
        bool is_fine;
    } cases[] = {
        { "http://127.0.0.1:7420", true },          { "http://127.9.9.9/x", true },
        { "http://localhost:7420", true },          { "http://[::1]:7420", true },
        { "https://deploy.example", true },         { "http://deploy.example", false },
        { "http://192.0.2.1:7420", false },         { "http://127.0.0.1.evil.example/", false },
        { "http://127.evil.example/", false },      { "http://localhost.evil.example", false },
        { "http://[2001:db8::1]:1", false },        { "ftp://127.0.0.1", false },
        { "http://127.0.0.1@evil.example", false },
    };
    read_yaml(kit, complete, 0644);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(config_read_flag(&kit->config, "server", cases[i].server, &kit->err));
        if (config_check(&kit->config, &kit->err) != cases[i].is_fine)
            fail_msg("%s", cases[i].server);
    }
    assert_true(config_read_flag(&kit->config, "server", "http://192.0.2.1", &kit->err));
    assert_true(config_read_flag(&kit->config, "insecure", "true", &kit->err));
    assert_true(config_check(&kit->config, &kit->err));
}

static void test_what_is_printed_reads_back_without_the_token(void **state)
{
    struct kit *kit = *state;
    struct config again;
    struct buffer first, second;
    read_yaml(kit, complete, 0644);
    config_set_token(&kit->config, "canary", &kit->err);
    buffer_init(&first, &memory_heap, 1 << 20);
    buffer_init(&second, &memory_heap, 1 << 20);

    config_print(&kit->config, &first);
    config_set_token(&kit->config, "", &kit->err);
    assert_null(strstr(buffer_c_string(&first), "canary"));
    buffer_clear(&first);
    config_print(&kit->config, &first);
    assert_true(config_init(&again, &kit->err));
    int fd = open(kit->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, first.data, first.size), (ssize_t)first.size);
    close(fd);
    assert_true(config_read_file(&again, kit->path, &kit->err));
    config_print(&again, &second);

    assert_string_equal(buffer_c_string(&second), buffer_c_string(&first));
    buffer_release(&first);
    buffer_release(&second);
    config_release(&again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_table_keeps_its_own_rules),
        TEST(test_defaults_stand_where_nothing_is_said),
        TEST(test_a_file_gives_lists_and_maps),
        TEST(test_flags_win_over_the_file),
        TEST(test_mistakes_are_refused_and_change_nothing),
        TEST(test_a_token_is_not_taken_from_a_file_that_others_read),
        TEST(test_a_token_file_gives_its_first_line),
        TEST(test_plain_http_stays_on_loopback),
        TEST(test_what_is_printed_reads_back_without_the_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
