/* SPDX-License-Identifier: Apache-2.0
 * test_http_server.c - the HTTP server against raw sockets: requests, answers, streams, pulls. */
#include "site.h"

#include "base/limits.h"

#include <sys/socket.h>
#include <unistd.h>

#define CLOSE "Connection: close\r\n"

static unsigned count(struct buffer *heard, const char *text)
{
    unsigned n = 0;
    for (const char *at = buffer_c_string(heard); (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

static void test_a_get_is_answered_at_once(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state, "GET /hello HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n", &heard);

    assert_has(&heard, "HTTP/1.1 200 OK\r\n");
    assert_has(&heard, "Content-Type: text/plain\r\n");
    assert_has(&heard, "X-Test: yes\r\n");
    assert_has(&heard, "Date: ");
    assert_has(&heard, "\r\n\r\nhello\n");
    buffer_release(&heard);
}

static void test_path_and_query_arrive_as_they_were_sent(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state,
              "GET /show%2f//a+b;c?x=%41&y=?&z HTTP/1.1\r\nHost: a\r\nx-TEST:  v 1 \r\n" CLOSE
              "\r\n",
              &heard);

    assert_has(&heard, "GET|/show%2f//a+b;c|x=%41&y=?&z|v 1|127.0.0.1");
    buffer_release(&heard);
}

static void test_an_answer_may_come_at_the_end_of_the_round(void **state)
{
    struct buffer heard = heard_nothing();
    int fd = site_dial(*state);

    site_say(fd, TEXT("GET /late HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_hear(*state, fd, &heard, "late\n");
    site_say(fd, TEXT("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_hear(*state, fd, &heard, "hello\n");

    close(fd);
    buffer_release(&heard);
}

static void test_an_answer_may_come_much_later(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 1));
    site_run(site, 1200); /* longer than every deadline of this site */

    site_answer_held(site, 0, "at last\n");
    site_hear(site, fd, &heard, "at last\n");

    assert_int_equal(site->gone, 0);
    close(fd);
    buffer_release(&heard);
}

static void test_a_waiting_client_that_leaves_is_noticed(void **state)
{
    struct site *site = *state;
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 1));

    close(fd);

    assert_true(site_wait(site, &site->gone, 1));
    site_answer_held(site, 0, "to nobody\n"); /* without effect, and gives it back */
    site_run(site, 50);
    assert_int_equal(http_server_stats(site->server).exchanges_open, 0);
    assert_int_equal(http_server_stats(site->server).connections_open, 0);
}

static void test_a_reset_while_waiting_is_noticed(void **state)
{
    struct site *site = *state;
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /hold HT"));
    assert_true(site_wait_held(site, 1));
    struct linger hard = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);

    close(fd);

    assert_true(site_wait(site, &site->gone, 1));
}

static void test_an_abandoned_exchange_closes_without_a_byte(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    site_talk(site, "GET /abandon HTTP/1.1\r\nHost: a\r\n\r\n", &heard);
    assert_int_equal(heard.size, 0);

    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 1));
    http_abandon(site->held[0]);
    site->held[0] = NULL;
    site_hear(site, fd, &heard, NULL);

    assert_int_equal(heard.size, 0);
    close(fd);
    buffer_release(&heard);
}

static void test_an_error_is_rendered_by_the_owner(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state, "GET /error HTTP/1.1\r\nHost: a\r\n\r\n", &heard);

    assert_has(&heard, "HTTP/1.1 404 ");
    assert_has(&heard, "Content-Type: application/problem+json\r\n");
    assert_has(&heard, "{\"error\":\"not_found\",\"detail\":\"no such thing\"}");
    buffer_release(&heard);
}

static void test_a_header_with_a_line_end_becomes_a_500(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state, "GET /evil HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n", &heard);

    assert_has(&heard, "HTTP/1.1 500 ");
    assert_lacks(&heard, "X-Injected");
    buffer_release(&heard);
}

static void test_head_is_a_get_without_its_body(void **state)
{
    struct buffer heard = heard_nothing();
    int fd = site_dial(*state);

    site_say(fd,
             TEXT("HEAD /show HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_hear(*state, fd, &heard, "hello\n");

    assert_has(&heard, "Content-Length: 21\r\n"); /* GET|/show|||127.0.0.1 */
    assert_lacks(&heard, "GET|/show");
    assert_int_equal(count(&heard, "HTTP/1.1 200 OK"), 2);
    close(fd);
    buffer_release(&heard);
}

static void test_a_body_arrives_whole_however_it_is_cut(void **state)
{
    struct buffer heard = heard_nothing();
    int fd = site_dial(*state);

    site_say(fd, TEXT("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhel"));
    site_run(*state, 20);
    site_say(fd, TEXT("lo wo"));
    site_run(*state, 20);
    site_say(fd, TEXT("rld"));
    site_hear(*state, fd, &heard, "hello world");

    close(fd);
    buffer_release(&heard);
}

static void test_a_chunked_body_arrives_whole(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state,
              "POST /echo HTTP/1.1\r\nHost: a\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
              "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
              &heard);

    assert_has(&heard, "hello world");
    buffer_release(&heard);
}

/* Says a POST whose body has `size` bytes, with its length in front or in chunks of 500. */
static void post(int fd, const char *path, size_t size, bool chunked)
{
    struct buffer out = heard_nothing();
    char bytes[500];
    memset(bytes, 'x', sizeof bytes);
    buffer_printf(&out, "POST %s HTTP/1.1\r\nHost: a\r\n", path);
    if (chunked)
        buffer_printf(&out, "Transfer-Encoding: chunked\r\n\r\n");
    else
        buffer_printf(&out, "Content-Length: %zu\r\n\r\n", size);
    for (size_t sent = 0; sent < size;) {
        size_t part = size - sent < sizeof bytes ? size - sent : sizeof bytes;
        if (chunked)
            buffer_printf(&out, "%zx\r\n", part);
        buffer_add(&out, (struct text){ bytes, part });
        if (chunked)
            buffer_printf(&out, "\r\n");
        sent += part;
    }
    if (chunked)
        buffer_printf(&out, "0\r\n\r\n");
    site_say(fd, buffer_text(&out));
    buffer_release(&out);
}

static void assert_posted(struct site *site, size_t size, bool chunked, const char *answer)
{
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);

    post(fd, "/echo", size, chunked);
    site_hear(site, fd, &heard, "\r\n\r\n");

    assert_has(&heard, answer);
    if (strstr(answer, "413")) {
        site_hear(site, fd, &heard, NULL);
        assert_has(&heard, "\"error\":\"body_too_large\"");
        assert_has(&heard, "Connection: close\r\n");
    }
    close(fd);
    buffer_release(&heard);
}

static void test_a_body_of_the_limit_is_taken_and_one_byte_more_is_413(void **state)
{
    assert_posted(*state, SITE_BODY_LIMIT, false, "HTTP/1.1 200 ");
    assert_posted(*state, SITE_BODY_LIMIT, true, "HTTP/1.1 200 ");
    assert_posted(*state, SITE_BODY_LIMIT + 1, false, "HTTP/1.1 413 ");
    assert_posted(*state, SITE_BODY_LIMIT + 1, true, "HTTP/1.1 413 ");
    assert_posted(*state, 200 * 1000, false, "HTTP/1.1 413 ");
    assert_posted(*state, 200 * 1000, true, "HTTP/1.1 413 ");
}

static void test_a_body_announced_as_huge_is_413_before_it_is_sent(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000000\r\n\r\n",
              &heard);

    assert_has(&heard, "HTTP/1.1 413 ");
    buffer_release(&heard);
}

static void test_a_large_body_passes_where_the_route_allows_it(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);

    post(fd, "/large", 100 * 1000, false);
    site_hear(site, fd, &heard, "hello\n");

    close(fd);
    buffer_release(&heard);
}

static void test_expect_is_answered_with_100_and_then_the_answer(void **state)
{
    struct buffer heard = heard_nothing();
    int fd = site_dial(*state);

    site_say(fd, TEXT("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                      "Expect: 100-continue\r\n\r\n"));
    site_hear(*state, fd, &heard, "100 Continue\r\n\r\n");
    site_say(fd, TEXT("body"));
    site_hear(*state, fd, &heard, "body");

    close(fd);
    buffer_release(&heard);
}

static void test_expect_with_too_large_a_body_is_413_without_100(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state,
              "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n"
              "Expect: 100-continue\r\n\r\n",
              &heard);

    assert_has(&heard, "HTTP/1.1 413 ");
    assert_lacks(&heard, "100 Continue");
    buffer_release(&heard);
}

static void test_pipelined_requests_are_answered_in_their_order(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
                      "GET /late HTTP/1.1\r\nHost: a\r\n\r\n"
                      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthird"
                      "GET /show?4 HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 1));
    site_run(site, 20);

    site_answer_held(site, 0, "first");
    site_hear(site, fd, &heard, "|4|");

    const char *all = buffer_c_string(&heard);
    assert_true(strstr(all, "first") < strstr(all, "late\n"));
    assert_true(strstr(all, "late\n") < strstr(all, "third"));
    assert_true(strstr(all, "third") < strstr(all, "|4|"));
    assert_int_equal(count(&heard, "HTTP/1.1 200 OK"), 4);
    close(fd);
    buffer_release(&heard);
}

static void test_a_thousand_requests_go_over_one_connection(void **state)
{
    struct site *site = *state;
    int fd = site_dial(site);
    for (unsigned i = 0; i < 1000; i++) {
        struct buffer heard = heard_nothing();
        char request[128], expected[32];
        const char *path = i % 3 == 0 ? "/late" : "/show";
        snprintf(request, sizeof request, "GET %s?%u HTTP/1.1\r\nHost: a\r\n\r\n", path, i);
        snprintf(expected, sizeof expected, i % 3 == 0 ? "late\n" : "|%u||127.0.0.1", i);

        site_say(fd, text_from(request));

        site_hear(site, fd, &heard, expected);
        buffer_release(&heard);
    }
    assert_int_equal(http_server_stats(site->server).connections_accepted, 1);
    assert_int_equal(http_server_stats(site->server).requests, 1000);
    close(fd);
}

static void test_two_hundred_wait_at_the_same_time(void **state)
{
    struct site *site = *state;
    int fds[200];
    for (unsigned i = 0; i < 200; i++) {
        fds[i] = site_dial(site);
        site_say(fds[i], TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    assert_true(site_wait_held(site, 200));

    for (unsigned i = 200; i > 0; i--)
        site_answer_held(site, i - 1, "done\n");

    for (unsigned i = 0; i < 200; i++) {
        struct buffer heard = heard_nothing();
        site_hear(site, fds[i], &heard, "done\n");
        assert_has(&heard, "done\n");
        buffer_release(&heard);
        close(fds[i]);
    }
}

static void test_a_stream_delivers_what_is_sent_and_ends(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_hear(site, fd, &heard, ": hello\n\n");

    assert_true(http_stream_send(site->held[0], TEXT("data: 1\n\n")));
    site_hear(site, fd, &heard, "data: 1\n\n");
    site_run(site, 1200); /* silence is no reason to close */
    assert_true(http_stream_send(site->held[0], TEXT("data: 2\n\n")));
    assert_true(http_stream_send(site->held[0], TEXT("data: 3\n\n")));
    http_stream_end(site->held[0]);
    site->held[0] = NULL;
    site_hear(site, fd, &heard, "\r\n0\r\n\r\n");

    assert_has(&heard, "Content-Type: text/event-stream\r\n");
    assert_has(&heard, "data: 2\n\n"); /* in one chunk with the next, or not */
    assert_has(&heard, "data: 3\n\n");
    assert_int_equal(site->gone, 0);
    close(fd);
    buffer_release(&heard);
}

static void test_a_reader_that_never_reads_is_bounded_and_delays_nobody(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int small = 2048, deaf = site_dial(site);
    setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    site_say(deaf, TEXT("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 1));
    char event[1000];
    memset(event, 'e', sizeof event);

    size_t taken = 0;
    while (http_stream_send(site->held[0], (struct text){ event, sizeof event })) {
        taken += sizeof event;
        loop_step(site->loop, false);
        assert_true(taken < 64 * 1024 * 1024); /* what the kernel's buffers take, and our bound */
    }
    assert_true(taken + 2 * sizeof event > LIMIT_STREAM_BYTES);
    http_abandon(site->held[0]);
    site->held[0] = NULL;

    site_talk(site, "GET /hello HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n", &heard);
    assert_has(&heard, "hello\n");
    assert_int_equal(http_server_stats(site->server).exchanges_open, 0);
    close(deaf);
    buffer_release(&heard);
}

static void test_a_stream_whose_reader_leaves_tells_its_owner(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_hear(site, fd, &heard, ": hello");

    close(fd);

    assert_true(site_wait(site, &site->gone, 1));
    site_run(site, 20);
    assert_false(http_stream_send(site->held[0], TEXT("data: x\n\n")));
    http_stream_end(site->held[0]);
    site->held[0] = NULL;
    assert_int_equal(http_server_stats(site->server).exchanges_open, 0);
    buffer_release(&heard);
}

/* Takes chunked framing away; the body must be the letters the site pulls. */
static size_t pulled_size(struct buffer *heard)
{
    const char *at = strstr(buffer_c_string(heard), "\r\n\r\n");
    assert_non_null(at);
    at += 4;
    size_t total = 0;
    for (;;) {
        char *end;
        size_t size = strtoul(at, &end, 16);
        assert_true(end > at && end[0] == '\r' && end[1] == '\n');
        if (size == 0)
            return total;
        for (size_t i = 0; i < size; i++)
            assert_true(end[2 + i] == (char)('a' + (total + i) % 26));
        total += size;
        at = end + 2 + size + 2;
    }
}

static void test_ten_megabytes_are_pulled_as_the_reader_reads(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);

    site_say(fd, TEXT("GET /pull HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_hear(site, fd, &heard, "\r\n0\r\n\r\n");

    assert_int_equal(pulled_size(&heard), SITE_PULL_BYTES);
    assert_int_equal(site->pulls_done, 1);
    close(fd);
    buffer_release(&heard);
}

static void test_a_pull_ends_when_its_reader_leaves(void **state)
{
    struct site *site = *state;
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /pull HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait(site, &site->pulls_open, 1));

    close(fd);

    assert_true(site_wait(site, &site->pulls_done, 1));
}

static void test_a_pull_that_fails_is_cut_and_has_no_proper_end(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();

    site_talk(site, "GET /broken HTTP/1.1\r\nHost: a\r\n\r\n", &heard);

    assert_has(&heard, "HTTP/1.1 200 OK");
    assert_lacks(&heard, "\r\n0\r\n\r\n");
    assert_int_equal(site->pulls_done, 1);
    buffer_release(&heard);
}

static void test_head_of_a_pull_pulls_nothing(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();

    site_talk(site, "HEAD /pull HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n", &heard);

    assert_has(&heard, "HTTP/1.1 200 OK");
    assert_lacks(&heard, "abcdef");
    assert_int_equal(site->pulls_done, 1);
    buffer_release(&heard);
}

#define WITH_SITE(test)  cmocka_unit_test_setup_teardown(test, site_open, site_close)
#define WITH_QUICK(test) cmocka_unit_test_setup_teardown(test, site_open_quick, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(test_a_get_is_answered_at_once),
        WITH_SITE(test_path_and_query_arrive_as_they_were_sent),
        WITH_SITE(test_an_answer_may_come_at_the_end_of_the_round),
        WITH_QUICK(test_an_answer_may_come_much_later),
        WITH_SITE(test_a_waiting_client_that_leaves_is_noticed),
        WITH_QUICK(test_a_reset_while_waiting_is_noticed),
        WITH_SITE(test_an_abandoned_exchange_closes_without_a_byte),
        WITH_SITE(test_an_error_is_rendered_by_the_owner),
        WITH_SITE(test_a_header_with_a_line_end_becomes_a_500),
        WITH_SITE(test_head_is_a_get_without_its_body),
        WITH_SITE(test_a_body_arrives_whole_however_it_is_cut),
        WITH_SITE(test_a_chunked_body_arrives_whole),
        WITH_SITE(test_a_body_of_the_limit_is_taken_and_one_byte_more_is_413),
        WITH_SITE(test_a_body_announced_as_huge_is_413_before_it_is_sent),
        WITH_SITE(test_a_large_body_passes_where_the_route_allows_it),
        WITH_SITE(test_expect_is_answered_with_100_and_then_the_answer),
        WITH_SITE(test_expect_with_too_large_a_body_is_413_without_100),
        WITH_SITE(test_pipelined_requests_are_answered_in_their_order),
        WITH_SITE(test_a_thousand_requests_go_over_one_connection),
        WITH_SITE(test_two_hundred_wait_at_the_same_time),
        WITH_QUICK(test_a_stream_delivers_what_is_sent_and_ends),
        WITH_SITE(test_a_reader_that_never_reads_is_bounded_and_delays_nobody),
        WITH_QUICK(test_a_stream_whose_reader_leaves_tells_its_owner),
        WITH_SITE(test_ten_megabytes_are_pulled_as_the_reader_reads),
        WITH_SITE(test_a_pull_ends_when_its_reader_leaves),
        WITH_SITE(test_a_pull_that_fails_is_cut_and_has_no_proper_end),
        WITH_SITE(test_head_of_a_pull_pulls_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
