/* SPDX-License-Identifier: Apache-2.0
 * test_log_json.c - a record is one line whatever is in it, and no secret gets out. */
#include "cmd/log_json.h"

#include "base/cleanup.h"
#include "base/suite.h"
#include "wire/json_pull.h"

#include <unistd.h>

#define NEW_YEAR_2031 1924992000123ll

struct lines {
    struct buffer json, human;
};

static int set_up(void **state)
{
    struct lines *lines = calloc(1, sizeof *lines);
    assert_non_null(lines);
    buffer_init(&lines->json, &memory_heap, 1 << 20);
    buffer_init(&lines->human, &memory_heap, 1 << 20);
    *state = lines;
    return 0;
}

static int tear_down(void **state)
{
    struct lines *lines = *state;
    buffer_release(&lines->json);
    buffer_release(&lines->human);
    free(lines);
    return 0;
}

static void write_both(struct lines *lines, enum log_level level, const char *message,
                       const struct log_field *fields)
{
    log_json_line(&lines->json, NEW_YEAR_2031, level, message, fields);
    log_human_line(&lines->human, NEW_YEAR_2031, level, message, fields);
}

static void test_a_record_is_an_object_with_time_level_message_and_fields(void **state)
{
    struct lines *lines = *state;
    struct log_field fields[] = { { "address", TEXT("127.0.0.1:7420") },
                                  { "detail", TEXT("two words") },
                                  { "none", TEXT("") },
                                  { NULL, TEXT_NONE } };

    write_both(lines, LOG_INFO_, "listening", fields);

    assert_text(buffer_text(&lines->json),
                "{\"time\":\"2031-01-01T00:00:00.123Z\",\"level\":\"info\",\"message\":"
                "\"listening\",\"address\":\"127.0.0.1:7420\",\"detail\":\"two words\",\"none\":"
                "\"\"}\n");
    assert_text(buffer_text(&lines->human),
                "00:00:00Z info listening address=127.0.0.1:7420 detail=\"two words\" none=\"\"\n");
}

static void test_a_record_may_have_no_fields(void **state)
{
    struct lines *lines = *state;

    write_both(lines, LOG_ERROR_, "gone", NULL);

    assert_text(buffer_text(&lines->json), "{\"time\":\"2031-01-01T00:00:00.123Z\",\"level\":"
                                           "\"error\",\"message\":\"gone\"}\n");
    assert_text(buffer_text(&lines->human), "00:00:00Z error gone\n");
}

static size_t count(struct text t, bool (*is)(unsigned char))
{
    size_t found = 0;
    for (size_t i = 0; i < t.size; i++)
        found += is((unsigned char)t.data[i]);
    return found;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

static void test_whatever_bytes_there_are_it_is_one_valid_line(void **state)
{
    struct lines *lines = *state;
    char bytes[256]; /* all but NUL, which our own reader of JSON does not take */
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    struct log_field fields[] = { { "all", { bytes + 1, sizeof bytes - 1 } }, { NULL, TEXT_NONE } };

    write_both(lines, LOG_WARNING_, "odd", fields);

    struct arena arena;
    arena_init(&arena, &memory_heap, 1 << 20);
    const struct json_node *root = NULL;
    struct err err = { .code = ERR_NONE };
    if (!json_tree_parse(buffer_text(&lines->json), &arena, &root, &err))
        fail_msg("%s", err.text);
    assert_text(json_get_text(root, "level", TEXT_NONE), "warning");
    assert_true(text_is_utf8(buffer_text(&lines->human)));
    assert_int_equal(count(buffer_text(&lines->json), is_control), 1); /* the line end */
    assert_int_equal(count(buffer_text(&lines->human), is_control), 1);
    arena_release(&arena);
}

static void test_secrets_are_not_shown(void **state)
{
    struct lines *lines = *state;
    struct log_field fields[] = {
        { "token", TEXT("hush") },    { "agent_credential", TEXT("hush") },
        { "Password", TEXT("hush") }, { "client_secret_id", TEXT("hush") },
        { "tok", TEXT("open") },      { NULL, TEXT_NONE },
    };

    write_both(lines, LOG_INFO_, "x", fields);

    assert_null(strstr(buffer_c_string(&lines->json), "hush"));
    assert_null(strstr(buffer_c_string(&lines->human), "hush"));
    assert_non_null(strstr(buffer_c_string(&lines->json), "\"token\":\"***\""));
    assert_non_null(strstr(buffer_c_string(&lines->human), " tok=open\n"));
}

static void test_the_sink_writes_json_to_what_is_no_terminal_and_leaves_debug_out(void **state)
{
    (void)state;
    int ends[2];
    char got[512];
    struct log_json sink;
    assert_int_equal(pipe(ends), 0);
    log_json_init(&sink, ends[1]);
    struct log_port log = log_json_port(&sink);

    log.write(log.self, LOG_DEBUG_, "too much", NULL);
    log.write(log.self, LOG_INFO_, "enough", NULL);
    close(ends[1]);

    ssize_t size = read(ends[0], got, sizeof got);
    assert_true(size > 0);
    struct text line = { got, (size_t)size };
    assert_true(text_starts_with(line, TEXT("{\"time\":\"")));
    assert_true(text_ends_with(line, TEXT("\"level\":\"info\",\"message\":\"enough\"}\n")));
    assert_int_equal(text_find(line, '\n'), line.size - 1);
    close(ends[0]);
}

static void test_a_log_that_nobody_reads_stops_nothing(void **state)
{
    (void)state;
    struct log_json sink;
    log_json_init(&sink, -1);
    struct log_port log = log_json_port(&sink);

    log.write(log.self, LOG_INFO_, "into the void", NULL);

    assert_false(sink.is_human);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_record_is_an_object_with_time_level_message_and_fields),
        TEST(test_a_record_may_have_no_fields),
        TEST(test_whatever_bytes_there_are_it_is_one_valid_line),
        TEST(test_secrets_are_not_shown),
        TEST(test_the_sink_writes_json_to_what_is_no_terminal_and_leaves_debug_out),
        TEST(test_a_log_that_nobody_reads_stops_nothing),
    };
    return cmocka_run_group_tests_name("cmd/log_json", tests, NULL, NULL);
}
