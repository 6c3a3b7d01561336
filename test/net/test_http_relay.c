/* SPDX-License-Identifier: Apache-2.0
 * test_http_relay.c - what holds only for connections on threads of their own: their descriptors,
 * their shared port, their bounds, and a storm of clients that come and go while both sides talk.
 * What holds for every connection is tested by the other suites, which run once more with threads
 * (SITE_IO_THREADS). */
#include "site.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ThreadSanitizer knows one table of descriptors only, so under it threads share ours. */
#if defined(__SANITIZE_THREAD__)
#define SHARES_DESCRIPTORS true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARES_DESCRIPTORS true
#endif
#endif
#ifndef SHARES_DESCRIPTORS
#define SHARES_DESCRIPTORS false
#endif

static unsigned descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static bool is_open(struct site *site, const char *address, unsigned threads,
                    struct http_server **ret, struct err *err)
{
    struct http_server_options options = { .io_threads = threads };
    struct http_handler handler = site_handler(site);
    return http_server_open(site->loop, text_from(address), &options, &handler, ret, err);
}

static void test_a_connection_is_no_descriptor_of_the_owner(void **state)
{
    if (SHARES_DESCRIPTORS)
        skip();
    struct site *site = *state;
    struct rlimit before, few;
    int fds[60];
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = descriptors() + 64; /* for our ends, not for both */
    setrlimit(RLIMIT_NOFILE, &few);

    for (size_t i = 0; i < 60; i++) {
        fds[i] = site_dial(site);
        site_say(fds[i], TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    }

    assert_true(site_wait_held(site, 60));
    assert_int_equal(http_server_stats(site->server).connections_open, 60);
    assert_int_equal(http_server_stats(site->server).connections_refused, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    for (size_t i = 0; i < 60; i++)
        close(fds[i]);
    assert_true(site_wait(site, &site->gone, 60));
}

static void test_a_forked_child_keeps_no_connection_open(void **state)
{
    if (SHARES_DESCRIPTORS)
        skip();
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 1));
    pid_t child = fork();
    if (child == 0) {
        close(fd);
        pause();
        _exit(0);
    }

    http_abandon(site->held[0]);
    site->held[0] = NULL;

    assert_true(site_is_closed(site, fd));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(fd);
    buffer_release(&heard);
}

static void test_no_other_server_gets_into_the_shared_port(void **state)
{
    struct site *site = *state;
    struct http_server *other = NULL;
    struct err err = { 0 };
    const char *address = http_server_address(site->server);

    assert_false(is_open(site, address, 2, &other, &err));
    assert_non_null(strstr(err.text, "address already in use"));
    assert_false(is_open(site, address, 0, &other, &err));
    assert_null(other);
}

static void test_a_thread_that_cannot_start_is_told_and_leaves_nothing(void **state)
{
    struct site *site = *state;
    struct http_server *other = NULL;
    struct err err = { 0 };
    struct rlimit before, few;
    unsigned open_before = descriptors();
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = open_before + 3; /* bells of two threads, not of eight */
    setrlimit(RLIMIT_NOFILE, &few);

    assert_false(is_open(site, "127.0.0.1:0", 8, &other, &err));

    setrlimit(RLIMIT_NOFILE, &before);
    site_run(site, 20); /* the loop gives the last handle back */
    assert_true(err.text[0]);
    assert_null(other);
    if (!SHARES_DESCRIPTORS) /* libuv 1.44 keeps one of a loop that it cannot start */
        assert_int_equal(descriptors(), open_before);
}

static void test_more_than_the_owner_takes_is_told_503(void **state)
{
    struct site *site = *state;
    struct buffer out = heard_nothing();
    struct buffer heard = heard_nothing();
    const size_t size = (size_t)9 << 20; /* two of them are more than may wait */
    buffer_printf(&out,
                  "POST /large HTTP/1.1\r\nHost: a\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  size);
    memset(buffer_reserve(&out, size), 'x', size);
    int first = site_dial(site), second = site_dial(site);

    site_say(first, buffer_text(&out)); /* the owner's loop does not run meanwhile */
    site_say(second, buffer_text(&out));
    struct pollfd said = { .fd = second, .events = POLLIN };
    assert_int_equal(poll(&said, 1, 5000), 1);
    site_hear(site, second, &heard, "\r\n\r\n");

    assert_has(&heard, "HTTP/1.1 503 ");
    assert_has(&heard, "Retry-After: 1");
    buffer_clear(&heard);
    site_hear(site, first, &heard, "hello\n");
    assert_has(&heard, "HTTP/1.1 200 ");
    close(first);
    close(second);
    buffer_release(&out);
    buffer_release(&heard);
}

static void test_a_round_of_the_owner_has_a_bound(void **state)
{
    struct site *site = *state;
    int fds[SITE_HELD_MAX + 40];
    const size_t count = sizeof fds / sizeof fds[0];
    for (size_t i = 0; i < count; i++) {
        fds[i] = site_dial(site);
        site_say(fds[i], TEXT("GET /late HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for (unsigned i = 0; i < 5000 && http_server_stats(site->server).connections_open < count; i++)
        usleep(1000);
    usleep(20000); /* all are in the mailbox */

    loop_step(site->loop, true); /* answers what it has read at its end */

    assert_in_range(http_server_stats(site->server).requests, 1, SITE_HELD_MAX);
    for (size_t i = 0; i < count; i++) {
        struct buffer heard = heard_nothing();
        site_hear(site, fds[i], &heard, "late\n");
        assert_has(&heard, "late\n");
        buffer_release(&heard);
        close(fds[i]);
    }
    assert_int_equal(http_server_stats(site->server).requests, count);
}

/* ---- the storm ------------------------------------------------------------------------------ */

#define STORM_CLIENTS 4
#define STORM_TALKS   150

struct client {
    pthread_t thread;
    unsigned number;
    uint16_t port;
    _Atomic bool is_done;
};

static int dial(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = { .tv_sec = 5 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Some read all, some a little, some nothing, before they go; some go with a reset. */
static void talk(uint16_t port, unsigned draw)
{
    static const char *const paths[] = { "late", "hold", "stream", "pull", "echo", "abandon" };
    char request[128], heard[4096];
    int fd = dial(port);
    if (fd < 0)
        return;
    int size =
        snprintf(request, sizeof request,
                 "GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", paths[draw % 6]);
    (void)!send(fd, request, (size_t)size, MSG_NOSIGNAL);
    for (unsigned reads = draw / 6 % 4; reads > 0; reads--) {
        if (recv(fd, heard, sizeof heard, 0) <= 0)
            break;
    }
    struct linger hard = { .l_onoff = draw % 5 == 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

static void *live_as_client(void *ctx)
{
    struct client *client = ctx;
    for (unsigned i = 0; i < STORM_TALKS; i++)
        talk(client->port, i * 7 + client->number * 13);
    client->is_done = true;
    return NULL;
}

/* What is held is answered, ended or abandoned, whether its client is still there or not. */
static void end_some(struct site *site, unsigned draw)
{
    for (size_t i = 0; i < site->held_count; i++) {
        struct http_exchange *x = site->held[i];
        bool is_stream = site->held_streams[i];
        if (is_stream && draw % 3 == 0)
            http_stream_send(x, TEXT("data: 1\n\n"));
        if (is_stream && draw % 3 != 2)
            http_stream_end(x);
        else if (draw % 3 == 2)
            http_abandon(x);
        else
            site_answer_held(site, i, "done\n");
        site->held[i] = NULL;
    }
    site->held_count = 0;
}

static void test_clients_that_come_and_go_leave_nothing_behind(void **state)
{
    struct site *site = *state;
    struct client clients[STORM_CLIENTS];
    unsigned done = 0;
    for (unsigned i = 0; i < STORM_CLIENTS; i++) {
        clients[i] = (struct client){ .number = i, .port = http_server_port(site->server) };
        assert_int_equal(pthread_create(&clients[i].thread, NULL, live_as_client, &clients[i]), 0);
    }

    for (unsigned round = 0; done < STORM_CLIENTS; round++) {
        site_run(site, 1);
        end_some(site, round);
        done = 0;
        for (unsigned i = 0; i < STORM_CLIENTS; i++)
            done += clients[i].is_done;
    }
    for (unsigned i = 0; i < STORM_CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    for (unsigned i = 0; i < 5000 && http_server_stats(site->server).connections_open > 0; i++) {
        site_run(site, 1);
        end_some(site, 0);
    }

    assert_int_equal(http_server_stats(site->server).connections_open, 0);
    assert_int_equal(http_server_stats(site->server).exchanges_open, 0);
    assert_int_equal(site->pulls_done, site->pulls_open);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, site_open, site_close)

int main(void)
{
    setenv("SITE_IO_THREADS", "1", 1);
    const struct CMUnitTest alone[] = {
        WITH_SITE(test_more_than_the_owner_takes_is_told_503),
        WITH_SITE(test_a_round_of_the_owner_has_a_bound),
    };
    int failures = cmocka_run_group_tests_name("one thread", alone, NULL, NULL);
    setenv("SITE_IO_THREADS", "3", 1);
    const struct CMUnitTest several[] = {
        WITH_SITE(test_a_connection_is_no_descriptor_of_the_owner),
        WITH_SITE(test_a_forked_child_keeps_no_connection_open),
        WITH_SITE(test_no_other_server_gets_into_the_shared_port),
        WITH_SITE(test_a_thread_that_cannot_start_is_told_and_leaves_nothing),
        WITH_SITE(test_clients_that_come_and_go_leave_nothing_behind),
    };
    return failures + cmocka_run_group_tests_name("threads", several, NULL, NULL);
}
