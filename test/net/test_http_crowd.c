/* SPDX-License-Identifier: Apache-2.0
 * test_http_crowd.c - more connections than one daemon of libmicrohttpd takes (see http_tier.c). */
#include "site.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CROWD 2300 /* three daemons */

static int clients[CROWD];

static bool may_open(rlim_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < count)
        return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static bool is_crowded(struct site *site, unsigned descriptors)
{
    return count_descriptors() > descriptors ||
           http_server_stats(site->server).connections_open > 0;
}

static void hold(struct site *site)
{
    for (size_t i = 0; i < CROWD; i++) {
        clients[i] = site_dial(site);
        site_say(clients[i], TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_true(site_wait_held(site, i + 1)); /* so number i is held[i] */
    }
}

static void expect_answer(struct site *site, size_t i)
{
    struct buffer heard = heard_nothing();
    char body[32];
    snprintf(body, sizeof body, "for %zu.", i);
    site_answer_held(site, i, body);
    site_hear(site, clients[i], &heard, body);
    assert_has(&heard, "HTTP/1.1 200 ");
    buffer_release(&heard);
}

static void test_a_crowd_is_held_and_each_hears_its_own_answer(void **state)
{
    struct site *site = *state;
    if (!may_open(3 * CROWD))
        skip();

    hold(site);
    for (size_t i = 0; i < CROWD; i += 2)
        expect_answer(site, i);
    for (size_t i = CROWD - 1; i < CROWD; i -= 2)
        expect_answer(site, i);

    assert_int_equal(http_server_stats(site->server).connections_open, CROWD);
    for (size_t i = 0; i < CROWD; i++)
        close(clients[i]);
}

static void test_what_a_crowd_needed_is_given_back_when_it_is_gone(void **state)
{
    struct site *site = *state;
    unsigned before = count_descriptors();
    if (!may_open(3 * CROWD))
        skip();

    hold(site);
    for (size_t i = 0; i < CROWD; i++)
        close(clients[i]);
    assert_true(site_wait(site, &site->gone, CROWD));
    for (int tries = 0; tries < 100 && is_crowded(site, before); tries++)
        site_run(site, 50);

    assert_int_equal(count_descriptors(), before);
    assert_int_equal(http_server_stats(site->server).connections_open, 0);
    struct buffer heard = heard_nothing();
    site_talk(site, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &heard);
    assert_has(&heard, "hello\n");
    buffer_release(&heard);
}

static void test_a_server_closes_in_the_middle_of_a_crowd(void **state)
{
    struct site *site = *state;
    char byte;
    if (!may_open(3 * CROWD))
        skip();

    hold(site);

    site_close(state);

    for (size_t i = 0; i < CROWD; i++) {
        ssize_t size = recv(clients[i], &byte, 1, MSG_DONTWAIT);
        assert_true(size == 0 || (size < 0 && errno == ECONNRESET));
        close(clients[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_crowd_is_held_and_each_hears_its_own_answer,
                                        site_open, site_close),
        cmocka_unit_test_setup_teardown(test_what_a_crowd_needed_is_given_back_when_it_is_gone,
                                        site_open, site_close),
        cmocka_unit_test_setup_teardown(test_a_server_closes_in_the_middle_of_a_crowd, site_open,
                                        NULL),
    };
    return cmocka_run_group_tests_name("a crowd of HTTP connections", tests, NULL, NULL);
}
