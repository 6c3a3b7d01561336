/* SPDX-License-Identifier: Apache-2.0
 * test_identity.c - the credential file: what comes back, what is refused, and that a lock is one.
 */
#include "agent/identity.h"
#include "base/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct kit {
    char folder[64], path[96];
    struct err err;
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    snprintf(kit->folder, sizeof kit->folder, "agent-identity-XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    snprintf(kit->path, sizeof kit->path, "%s/agent.json", kit->folder);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    char lock[128];
    snprintf(lock, sizeof lock, "%s.lock", kit->path);
    unlink(kit->path);
    unlink(lock);
    assert_int_equal(rmdir(kit->folder), 0); /* nothing else is left behind */
    free(kit);
    return 0;
}

static void write_file(const struct kit *kit, const char *content, mode_t mode)
{
    int fd = open(kit->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void test_what_is_saved_comes_back(void **state)
{
    struct kit *kit = *state;
    struct identity out = { .server = "https://s/x",
                            .name = "w\xc3\xa9"
                                    "b \"1\"",
                            .credential = "s3cret" },
                    in;
    bool found = false;
    out.record = (struct life_record){
        .tried = { .term = 3, .generation = 7, .attempt = 2, .rollout_size = 3 },
        .attempts = 4,
        .seen_term = 3,
        .seen_generation = 8
    };
    memcpy(out.record.tried.rollout, "r-9", 3);

    assert_true(identity_save(kit->path, &out, &kit->err));
    assert_true(identity_save(kit->path, &out, &kit->err));
    assert_true(identity_load(kit->path, &in, &found, &kit->err));

    assert_true(found);
    assert_string_equal(in.server, out.server);
    assert_string_equal(in.name, out.name);
    assert_string_equal(in.credential, "s3cret");
    assert_memory_equal(&in.record, &out.record, sizeof in.record);
}

static void test_the_file_is_for_its_owner_alone_whatever_the_umask(void **state)
{
    struct kit *kit = *state;
    struct identity out = { .server = "s", .name = "n" };
    struct stat st;
    mode_t before = umask(0);

    assert_true(identity_save(kit->path, &out, &kit->err));
    umask(before);

    assert_int_equal(stat(kit->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_a_missing_file_is_no_failure(void **state)
{
    struct kit *kit = *state;
    struct identity in;
    bool found = true;

    assert_true(identity_load(kit->path, &in, &found, &kit->err));

    assert_false(found);
}

static void test_a_file_that_others_can_touch_is_refused(void **state)
{
    struct kit *kit = *state;
    struct identity in;
    bool found;

    for (mode_t bit = 01; bit <= 040; bit <<= 1) {
        write_file(kit, "{\"server\":\"s\",\"name\":\"n\"}", 0600 | bit);
        assert_false(identity_load(kit->path, &in, &found, &kit->err));
        assert_int_equal(kit->err.code, ERR_REFUSED);
    }
}

static void test_a_damaged_file_is_refused_without_a_word_of_it(void **state)
{
    struct kit *kit = *state;
    struct identity in;
    bool found;
    static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "{\"server\":1}",
        "{\"name\":\"n\"}",
        "{\"server\":\"s\",\"name\":\"n\",\"credential\":\"canary",
        "{\"server\":\"s\",\"name\":\"n\",\"credential\":{\"canary\":1}}"
    };

    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        write_file(kit, damaged[i], 0600);
        assert_false(identity_load(kit->path, &in, &found, &kit->err));
        assert_int_equal(kit->err.code, ERR_CORRUPT);
        assert_null(strstr(kit->err.text, "canary"));
    }
}

static void test_where_nothing_can_be_written_saving_says_so(void **state)
{
    struct kit *kit = *state;
    struct identity out = { .server = "s", .name = "n" };

    assert_false(identity_save("no-such-folder/agent.json", &out, &kit->err));

    assert_int_equal(kit->err.code, ERR_IO);
}

static void test_a_lock_is_for_one(void **state)
{
    struct kit *kit = *state;

    int first = identity_lock(kit->path, 0, &kit->err);
    int second = identity_lock(kit->path, 120, &kit->err);

    assert_true(first >= 0);
    assert_int_equal(second, -1);
    assert_int_equal(kit->err.code, ERR_REFUSED);
    close(first);
    int third = identity_lock(kit->path, 0, &kit->err);
    assert_true(third >= 0);
    close(third);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_saved_comes_back),
        TEST(test_the_file_is_for_its_owner_alone_whatever_the_umask),
        TEST(test_a_missing_file_is_no_failure),
        TEST(test_a_file_that_others_can_touch_is_refused),
        TEST(test_a_damaged_file_is_refused_without_a_word_of_it),
        TEST(test_where_nothing_can_be_written_saving_says_so),
        TEST(test_a_lock_is_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
