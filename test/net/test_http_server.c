/* SPDX-License-Identifier: Apache-2.0
 * test_http_server.c - the HTTP server against raw sockets: what a client may do, and what it may
 * not. */
#include "site.h"

#include "base/limits.h"

#include <sys/socket.h>
#include <unistd.h>

#define CLOSE "Connection: close\r\n"

static struct buffer heard_nothing(void)
{
    struct buffer buffer;
    buffer_init(&buffer, &memory_heap, 64 * 1024 * 1024);
    return buffer;
}

static void assert_has(struct buffer *heard, const char *text)
{
    if (!strstr(buffer_c_string(heard), text))
        fail_msg("\"%s\" is not in \"%.400s\"", text, buffer_c_string(heard));
}

static void assert_lacks(struct buffer *heard, const char *text)
{
    if (strstr(buffer_c_string(heard), text))
        fail_msg("\"%s\" is in \"%.400s\"", text, buffer_c_string(heard));
}

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
    assert_has(&heard, "data: 2\n\ndata: 3\n\n");
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
    assert_true(taken >= LIMIT_STREAM_BYTES);
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

/* A GET whose URL or one header has `size` bytes of filling. */
static void say_long(int fd, size_t url_size, size_t field_size, unsigned fields)
{
    struct buffer out = heard_nothing();
    buffer_printf(&out, "GET /hello?");
    for (size_t i = 0; i < url_size; i++)
        buffer_add_byte(&out, 'u');
    buffer_printf(&out, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for (unsigned n = 0; n < fields; n++) {
        buffer_printf(&out, "X-%u: ", n);
        for (size_t i = 0; i < field_size; i++)
            buffer_add_byte(&out, 'h');
        buffer_printf(&out, "\r\n");
    }
    buffer_printf(&out, "\r\n");
    site_say(fd, buffer_text(&out));
    buffer_release(&out);
}

static void test_long_heads_work_up_to_their_limits_and_are_refused_beyond(void **state)
{
    static const struct {
        size_t url, field;
        unsigned fields;
        const char *answer;
    } rows[] = {
        { 8000, 10, 1, "HTTP/1.1 200 " },   { 8300, 10, 1, "HTTP/1.1 414 " },
        { 30000, 10, 1, "HTTP/1.1 414 " },  { 10, 16000, 1, "HTTP/1.1 200 " },
        { 10, 17000, 1, "HTTP/1.1 431 " },  { 10, 60000, 1, "HTTP/1.1 431 " },
        { 10, 20, 62, "HTTP/1.1 200 " },    { 10, 20, 63, "HTTP/1.1 431 " },
        { 7000, 140, 60, "HTTP/1.1 200 " }, { 10, 1000, 100, "HTTP/1.1 431 " },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer heard = heard_nothing();
        int fd = site_dial(*state);

        say_long(fd, rows[i].url, rows[i].field, rows[i].fields);
        site_hear(*state, fd, &heard, "\r\n\r\n");

        assert_has(&heard, rows[i].answer);
        close(fd);
        buffer_release(&heard);
    }
}

static void test_a_small_connection_takes_a_longer_head_or_says_so(void **state)
{
    struct site *site = *state;
    for (size_t size = 1000; size < 6000; size += 500) {
        struct buffer heard = heard_nothing();
        int fd = site_dial(site);
        site_say(fd, TEXT("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        site_hear(site, fd, &heard, "hello\n");
        buffer_clear(&heard);

        say_long(fd, 10, size, 1);
        site_hear(site, fd, &heard, "\r\n\r\n");

        assert_has(&heard, size <= 1500 ? "HTTP/1.1 200 " : "HTTP/1.1 ");
        if (size >= 2500)
            assert_has(&heard, "HTTP/1.1 431 ");
        close(fd);
        buffer_release(&heard);
    }
}

/* What must not pass as a request: a 4xx or 5xx, or a closed connection, and nothing of it handled.
 */
#define GET  "GET /hello HTTP/1.1\r\n"
#define POST "POST /echo HTTP/1.1\r\nHost: a\r\n"
static const char *const malformed[] = {
    "\x16\x03\x01\x02\x01\xfc\x03\x03garbage\r\n\r\n",
    "GET\r\n\r\n",
    "hello\r\n\r\n",
    "GET /hello\r\n\r\n",
    "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET /hello HTTP/9.9\r\nHost: a\r\n\r\n",
    "GET /hello HTPP/1.1\r\nHost: a\r\n\r\n",
    GET "\r\n",
    GET "Host: a\r\nHost: b\r\n\r\n",
    GET "Host: a\r\nno colon here\r\n\r\n",
    GET "Host : a\r\n\r\n",
    GET "Host: a\r\nX Y: a\r\n\r\n",
    GET "Host: a\r\nX: a\rb\r\n\r\n",
    "GET /hel lo HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hel\x01lo HTTP/1.1\r\nHost: a\r\n\r\n",
    POST "Content-Length : 3\r\n\r\nabc",
    POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    POST "Content-Length: -1\r\n\r\n",
    POST "Content-Length: +3\r\n\r\nabc",
    POST "Content-Length: 0x3\r\n\r\nabc",
    POST "Content-Length: 3,3\r\n\r\nabc",
    POST "Content-Length: 99999999999999999999999\r\n\r\n",
    POST "Content-Length: \r\n\r\n",
    POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: gzip\r\n\r\n",
    POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
};

static void test_what_is_no_sound_http_is_refused_and_closed(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct buffer heard = heard_nothing();
        int fd = site_dial(site);
        site_say(fd, text_from(malformed[i]));
        shutdown(fd, SHUT_WR);

        site_hear(site, fd, &heard, NULL);

        const char *answer = buffer_c_string(&heard);
        bool refused = heard.size == 0 || strncmp(answer, "HTTP/1.1 4", 10) == 0 ||
                       strncmp(answer, "HTTP/1.1 5", 10) == 0;
        if (!refused)
            fail_msg("\"%s\" was answered \"%.100s\"", malformed[i], answer);
        assert_int_equal(http_server_stats(site->server).requests, 0);
        close(fd);
        buffer_release(&heard);
    }
}

static void test_a_chunk_extension_without_end_costs_no_time_and_delays_nobody(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing(), out = heard_nothing();
    buffer_printf(&out, POST "Transfer-Encoding: chunked\r\n\r\n3;");
    for (int i = 0; i < 30000; i++)
        buffer_add_byte(&out, 'e');
    int fd = site_dial(site);
    site_say(fd, buffer_text(&out));
    site_run(site, 50);
    clock_t before = clock();

    int64_t end_ms = loop_ticks_ms(site->loop) + 200;
    while (loop_ticks_ms(site->loop) < end_ms)
        loop_step(site->loop, true); /* a loop that spins never blocks here */
    clock_t spent = clock() - before;

    assert_true(spent < CLOCKS_PER_SEC / 20);
    site_talk(site, "GET /hello HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n", &heard);
    assert_has(&heard, "hello\n");
    assert_true(site_is_closed(site, fd));
    close(fd);
    buffer_release(&out);
    buffer_release(&heard);
}

static void test_a_url_with_its_origin_is_the_path_behind_it(void **state)
{
    struct buffer heard = heard_nothing();

    site_talk(*state, "GET http://a:7420/show?x=/ HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n", &heard);
    site_talk(*state, "GET http://a HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n", &heard);

    assert_has(&heard, "GET|/show|x=/||127.0.0.1");
    assert_has(&heard, "hello\n");
    buffer_release(&heard);
}

static void test_random_bytes_do_no_harm(void **state)
{
    struct site *site = *state;
    uint64_t dice = 88172645463325252ull;
    static const char *const words[] = { "GET ",
                                         "/",
                                         " HTTP/1.1\r\n",
                                         "Host: a\r\n",
                                         "\r\n",
                                         "\n",
                                         "POST ",
                                         "%00",
                                         "Content-Length: 7\r\n",
                                         ":",
                                         ";",
                                         "\r",
                                         "Transfer-Encoding: chunked\r\n",
                                         "5\r\nhello\r\n",
                                         "\t" };
    for (int round = 0; round < 300; round++) {
        struct buffer out = heard_nothing();
        for (int n = 0; n < 12; n++) {
            dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
            buffer_add(&out, text_from(words[dice % (sizeof words / sizeof words[0])]));
            if (dice % 5 == 0)
                buffer_add_byte(&out, (char)(dice >> 32));
        }
        int fd = site_dial(site);
        site_say(fd, buffer_text(&out));
        shutdown(fd, SHUT_WR);
        assert_true(site_is_closed(site, fd));
        close(fd);
        buffer_release(&out);
    }
}

static void test_a_client_that_ends_its_side_right_away_is_answered_and_closed(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    shutdown(fd, SHUT_WR);

    site_hear(site, fd, &heard, NULL);

    assert_has(&heard, "hello\n");
    assert_int_equal(http_server_stats(site->server).connections_expired, 0);
    close(fd);
    buffer_release(&heard);
}

static void test_slow_clients_are_closed(void **state)
{
    static const char *const starts[] = {
        "",
        "GET /hello HT",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", /* then idle */
    };
    struct site *site = *state;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        int fd = site_dial(site);
        if (starts[i][0])
            site_say(fd, text_from(starts[i]));

        assert_true(site_is_closed(site, fd));

        close(fd);
    }
    assert_true(http_server_stats(site->server).connections_expired >= 5);
}

static void test_a_head_that_drips_is_closed_although_bytes_come(void **state)
{
    struct site *site = *state;
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /hello HTTP/1.1\r\nHost: a\r\nX: "));
    char byte;
    unsigned drops = 0;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 0) {
        (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        site_run(site, 50);
        assert_true(drops++ < 40);
    }
    close(fd);
}

static void test_a_reader_that_stalls_is_closed(void **state)
{
    struct site *site = *state;
    int fd = site_dial(site);
    site_say(fd, TEXT("GET /pull HTTP/1.1\r\nHost: a\r\n\r\n"));

    assert_true(site_wait(site, &site->pulls_done, 1));

    assert_int_equal(http_server_stats(site->server).connections_expired, 1);
    close(fd);
}

static void test_one_connection_too_many_is_told_503(void **state)
{
    struct site *site = *state;
    int fds[20];
    for (unsigned i = 0; i < 20; i++) {
        fds[i] = site_dial(site);
        site_say(fds[i], TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    assert_true(site_wait_held(site, 20));
    struct buffer heard = heard_nothing();

    site_talk(site, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", &heard);

    assert_has(&heard, "HTTP/1.1 503 ");
    assert_has(&heard, "\"error\":\"limit_reached\"");
    for (unsigned i = 0; i < 20; i++)
        close(fds[i]);
    buffer_release(&heard);
}

static void note_closed(void *ctx)
{
    struct site *site = ctx;
    site->closed = true;
    site->server = NULL;
}

static void run_until_closed(struct site *site)
{
    for (int i = 0; i < 500 && !site->closed; i++)
        site_run(site, 10);
    assert_true(site->closed);
}

static void test_closing_finishes_the_open_exchange_and_closes_idle_connections(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int idle = site_dial(site), busy = site_dial(site);
    site_say(idle, TEXT("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_hear(site, idle, &heard, "hello\n");
    site_say(busy, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 1));

    http_server_close(site->server, 4000, note_closed, site);
    assert_true(site_is_closed(site, idle));
    assert_false(site->closed);
    site_answer_held(site, 0, "bye\n");
    buffer_clear(&heard);
    site_hear(site, busy, &heard, NULL);

    assert_has(&heard, "bye\n");
    assert_has(&heard, "Connection: close\r\n");
    run_until_closed(site);
    assert_int_equal(site->gone, 0);
    close(idle);
    close(busy);
    buffer_release(&heard);
}

static void test_closing_cuts_what_is_open_when_the_grace_is_over(void **state)
{
    struct site *site = *state;
    int waiting = site_dial(site), streaming = site_dial(site), pulling = site_dial(site);
    site_say(waiting, TEXT("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_say(streaming, TEXT("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_say(pulling, TEXT("GET /pull HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 2));
    assert_true(site_wait(site, &site->pulls_open, 1));

    http_server_close(site->server, 50, note_closed, site);
    assert_true(site_is_closed(site, waiting));
    assert_true(site_is_closed(site, streaming));
    assert_true(site_wait(site, &site->pulls_done, 1));

    assert_int_equal(site->gone, 2);
    assert_false(site->closed); /* two exchanges are still with their owner */
    http_abandon(site->held[0]);
    http_stream_end(site->held[1]);
    site->held[0] = site->held[1] = NULL;
    run_until_closed(site);
    close(waiting);
    close(streaming);
    close(pulling);
}

static void no_handler(void *ctx, struct http_exchange *x, const struct http_request *request)
{
    (void)ctx;
    (void)x;
    (void)request;
    fail();
}

static size_t no_limit(void *ctx, const char *method, struct text path)
{
    (void)ctx;
    (void)method;
    (void)path;
    return 0;
}

static void no_error(void *ctx, enum err_code code, const char *detail, struct buffer *out)
{
    (void)ctx;
    (void)code;
    (void)detail;
    (void)out;
}

static void test_an_address_in_use_and_a_bad_one_are_told(void **state)
{
    struct site *site = *state;
    struct http_handler handler = { no_handler, no_limit, no_error, NULL };
    struct http_server *server = NULL;
    struct err err = { 0 };

    assert_false(http_server_open(site->loop, text_from(http_server_address(site->server)), NULL,
                                  &handler, &server, &err));
    assert_non_null(strstr(err.text, "address already in use"));
    assert_non_null(strstr(err.text, http_server_address(site->server)));
    assert_false(http_server_open(site->loop, TEXT("7420"), NULL, &handler, &server, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(server);
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
        WITH_SITE(test_long_heads_work_up_to_their_limits_and_are_refused_beyond),
        WITH_SITE(test_a_small_connection_takes_a_longer_head_or_says_so),
        WITH_SITE(test_what_is_no_sound_http_is_refused_and_closed),
        WITH_QUICK(test_a_chunk_extension_without_end_costs_no_time_and_delays_nobody),
        WITH_SITE(test_a_url_with_its_origin_is_the_path_behind_it),
        WITH_QUICK(test_random_bytes_do_no_harm),
        WITH_QUICK(test_a_client_that_ends_its_side_right_away_is_answered_and_closed),
        WITH_QUICK(test_slow_clients_are_closed),
        WITH_QUICK(test_a_head_that_drips_is_closed_although_bytes_come),
        WITH_QUICK(test_a_reader_that_stalls_is_closed),
        WITH_QUICK(test_one_connection_too_many_is_told_503),
        WITH_SITE(test_closing_finishes_the_open_exchange_and_closes_idle_connections),
        WITH_SITE(test_closing_cuts_what_is_open_when_the_grace_is_over),
        WITH_SITE(test_an_address_in_use_and_a_bad_one_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
