/* SPDX-License-Identifier: Apache-2.0
 * test_deploy_body.c - flags and files become one body. */
#include "kit.h"

#include "cmd/deploy_body.h"

#include <unistd.h>

static struct buffer empty(void)
{
    struct buffer buffer;
    buffer_init(&buffer, &memory_heap, 64 * 1024);
    return buffer;
}

static void makes(const struct deploy_request *request, const char *wanted)
{
    struct buffer out = empty();
    struct err err = { 0 };
    if (!deploy_body_make(request, &out, &err))
        fail_msg("%s", err.text);
    assert_is(&out, wanted);
    buffer_release(&out);
}

static void fails(const struct deploy_request *request, enum err_code code, const char *part)
{
    struct buffer out = empty();
    struct err err = { 0 };
    assert_false(deploy_body_make(request, &out, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
    buffer_release(&out);
}

/* A file with this content; the path lives in `space`. */
static const char *file_with(char space[static 32], const char *content)
{
    snprintf(space, 32, "body-XXXXXX");
    int fd = mkstemp(space);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
    return space;
}

static void test_flags_alone_make_a_body(void **state)
{
    (void)state;

    makes(&(struct deploy_request){ .code = "2.5.0",
                                    .config = "c9",
                                    .selector = "env=prod",
                                    .batch = "10",
                                    .threshold = "5%",
                                    .mode = "barrier",
                                    .on_failure = "pause",
                                    .min_healthy = "30s",
                                    .reason = "say \"hi\"" },
          "{\"code_version\":\"2.5.0\",\"configuration_version\":\"c9\",\"selector\":\"env=prod\","
          "\"reason\":\"say \\\"hi\\\"\",\"configuration\":{\"batch_size\":10,"
          "\"failure_threshold\":\"5%\",\"mode\":\"barrier\",\"on_failure\":\"pause\","
          "\"min_healthy_time\":\"30s\"}}");
}

static void test_flags_make_a_canary(void **state)
{
    (void)state;

    makes(&(struct deploy_request){ .code = "2",
                                    .is_all = true,
                                    .canary_size = "5%",
                                    .soak = "10m",
                                    .gates = { { "ok", "sign-off" }, 2 } },
          "{\"code_version\":\"2\",\"configuration\":{\"strategy\":\"canary\",\"canary\":{"
          "\"size\":\"5%\",\"soak\":\"10m\",\"gates\":[{\"name\":\"ok\",\"type\":\"manual\"},"
          "{\"name\":\"sign-off\",\"type\":\"manual\"}]}}}");
    makes(
        &(struct deploy_request){
            .code = "2", .is_all = true, .strategy = "rolling", .canary_size = "1" },
        "{\"code_version\":\"2\",\"configuration\":{\"strategy\":\"rolling\",\"canary\":{"
        "\"size\":1}}}");
}

static void test_flags_limit_domains_and_keep_a_floor(void **state)
{
    (void)state;

    makes(&(struct deploy_request){ .code = "2",
                                    .is_all = true,
                                    .min_available = "90%",
                                    .domains = { { "zone=20%", "a=b=3" }, 2 } },
          "{\"code_version\":\"2\",\"configuration\":{\"min_available\":\"90%\",\"domains\":["
          "{\"label\":\"zone\",\"max_in_progress\":\"20%\"},"
          "{\"label\":\"a=b\",\"max_in_progress\":3}]}}");
}

static void test_flags_that_say_half_are_wrong_usage(void **state)
{
    (void)state;

    fails(&(struct deploy_request){ .code = "2", .is_all = true, .soak = "5m" }, ERR_USAGE,
          "--canary-size");
    fails(&(struct deploy_request){ .code = "2", .is_all = true, .gates = { { "ok" }, 1 } },
          ERR_USAGE, "--canary-size");
    fails(&(struct deploy_request){ .code = "2", .is_all = true, .domains = { { "zone" }, 1 } },
          ERR_USAGE, "--domain zone");
    fails(&(struct deploy_request){ .code = "2", .is_all = true, .domains = { { "=3" }, 1 } },
          ERR_USAGE, "--domain =3");
    fails(&(struct deploy_request){ .code = "2", .is_all = true, .domains = { { "zone=" }, 1 } },
          ERR_USAGE, "--domain zone=");
}

static void test_all_sends_no_selector(void **state)
{
    (void)state;

    makes(&(struct deploy_request){ .code = "2", .is_all = true }, "{\"code_version\":\"2\"}");
}

static void test_a_configuration_alone_leaves_the_code_as_it_is(void **state)
{
    (void)state;

    makes(&(struct deploy_request){ .config = "c9", .is_all = true },
          "{\"configuration_version\":\"c9\",\"code_version\":null}");
}

static void test_without_instances_or_version_there_is_no_body(void **state)
{
    (void)state;

    fails(&(struct deploy_request){ .code = "2" }, ERR_USAGE, "which instances?");
    fails(&(struct deploy_request){ .code = "2", .selector = "" }, ERR_USAGE, "which instances?");
    fails(&(struct deploy_request){ .is_all = true }, ERR_USAGE, "which version?");
    fails(&(struct deploy_request){ .code = "2", .selector = "a=b", .is_all = true }, ERR_USAGE,
          "contradict");
}

static void test_flags_win_over_a_yaml_file(void **state)
{
    char path[32];
    (void)state;
    file_with(path, "code_version: \"2.4\"\n"
                    "labels: {env: prod}\n"
                    "configuration:\n"
                    "  batch_size: 5\n"
                    "  failure_threshold: 10%\n"
                    "  dynamic: false\n");

    makes(&(struct deploy_request){ .file = path, .code = "2.5", .batch = "7" },
          "{\"labels\":{\"env\":\"prod\"},\"code_version\":\"2.5\",\"configuration\":{"
          "\"failure_threshold\":\"10%\",\"dynamic\":false,\"batch_size\":7}}");
    unlink(path);
}

static void test_flags_go_into_the_canary_of_a_file(void **state)
{
    char path[32];
    (void)state;
    file_with(path, "code_version: \"2.4\"\n"
                    "labels: {env: prod}\n"
                    "configuration:\n"
                    "  strategy: canary\n"
                    "  canary: {size: 3, soak: 1m, batch_size: 2}\n"
                    "  domains: [{label: zone, max_failed: 2}]\n");

    makes(
        &(struct deploy_request){
            .file = path, .soak = "2m", .gates = { { "ok" }, 1 }, .domains = { { "rack=1" }, 1 } },
        "{\"code_version\":\"2.4\",\"labels\":{\"env\":\"prod\"},\"configuration\":{"
        "\"strategy\":\"canary\",\"domains\":[{\"label\":\"rack\",\"max_in_progress\":1}],"
        "\"canary\":{\"size\":3,\"batch_size\":2,\"soak\":\"2m\","
        "\"gates\":[{\"name\":\"ok\",\"type\":\"manual\"}]}}}");
    unlink(path);
}

static void test_flags_assume_for_a_plan(void **state)
{
    char path[32];
    (void)state;
    file_with(path, "code_version: \"2\"\n"
                    "assume: {update: 10s, approve: 1m, fail: [{selector: a, percent: 1}]}\n");

    makes(&(struct deploy_request){ .code = "2",
                                    .is_all = true,
                                    .update = "90s",
                                    .horizon = "2h",
                                    .seed = "7",
                                    .failures = { { "zone=a:30", "b=\"x:y\":5%" }, 2 } },
          "{\"code_version\":\"2\",\"horizon\":\"2h\",\"assume\":{\"update\":\"90s\",\"seed\":7,"
          "\"fail\":[{\"selector\":\"zone=a\",\"percent\":30},"
          "{\"selector\":\"b=\\\"x:y\\\"\",\"percent\":5}]}}");
    makes(&(struct deploy_request){ .file = path, .is_all = true, .approve = "5m" },
          "{\"code_version\":\"2\",\"assume\":{\"update\":\"10s\","
          "\"fail\":[{\"selector\":\"a\",\"percent\":1}],\"approve\":\"5m\"}}");
    unlink(path);
    fails(&(struct deploy_request){ .code = "2", .is_all = true, .failures = { { "zone=a" }, 1 } },
          ERR_USAGE, "how many in a hundred?");
}

static void test_a_json_file_may_use_tabs_and_the_documented_misspellings(void **state)
{
    char path[32];
    (void)state;
    file_with(path, "{\n\t\"code_version\": \"1\",\n\t\"lables\": {\"a\": \"b\"},\n"
                    "\t\"condiguration\": {\"batch_size\": 2}\n}\n");

    makes(&(struct deploy_request){ .file = path },
          "{\"code_version\":\"1\",\"lables\":{\"a\":\"b\"},\"configuration\":{\"batch_size\":2}}");
    unlink(path);
}

static void test_a_file_that_selects_nothing_needs_all(void **state)
{
    char path[32];
    (void)state;
    file_with(path, "code_version: \"1\"\nlabels: {}\nselector: \"\"\n");

    fails(&(struct deploy_request){ .file = path }, ERR_USAGE, "which instances?");
    makes(&(struct deploy_request){ .file = path, .is_all = true },
          "{\"code_version\":\"1\",\"labels\":{},\"selector\":\"\"}");
    unlink(path);
}

static void test_files_that_cannot_be_used_are_named(void **state)
{
    char path[32];
    (void)state;

    fails(&(struct deploy_request){ .file = "no/such/file" }, ERR_IO, "no/such/file");
    file_with(path, "code_version: [1\n");
    fails(&(struct deploy_request){ .file = path }, ERR_INVALID, path);
    unlink(path);
    file_with(path, "- 1\n- 2\n");
    fails(&(struct deploy_request){ .file = path }, ERR_INVALID, "mapping");
    unlink(path);
    file_with(path, "{\"a\": 1, \"a\": 2}");
    fails(&(struct deploy_request){ .file = path }, ERR_BAD_JSON, path);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_alone_make_a_body),
        cmocka_unit_test(test_flags_make_a_canary),
        cmocka_unit_test(test_flags_limit_domains_and_keep_a_floor),
        cmocka_unit_test(test_flags_that_say_half_are_wrong_usage),
        cmocka_unit_test(test_flags_go_into_the_canary_of_a_file),
        cmocka_unit_test(test_flags_assume_for_a_plan),
        cmocka_unit_test(test_all_sends_no_selector),
        cmocka_unit_test(test_a_configuration_alone_leaves_the_code_as_it_is),
        cmocka_unit_test(test_without_instances_or_version_there_is_no_body),
        cmocka_unit_test(test_flags_win_over_a_yaml_file),
        cmocka_unit_test(test_a_json_file_may_use_tabs_and_the_documented_misspellings),
        cmocka_unit_test(test_a_file_that_selects_nothing_needs_all),
        cmocka_unit_test(test_files_that_cannot_be_used_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
