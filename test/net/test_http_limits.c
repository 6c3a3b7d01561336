/* SPDX-License-Identifier: Apache-2.0
 * test_http_limits.c - what the HTTP server refuses, whom it does not wait for, and how it closes.
 */
#include "site.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLOSE "Connection: close\r\n"

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

static void do_nothing(void *ctx)
{
    (void)ctx;
}

static void test_a_chunk_extension_without_end_costs_no_time_and_delays_nobody(void **state)
{
    struct site *site = *state;
    struct loop_timer *beat = loop_every(site->loop, 50, do_nothing, NULL, NULL);
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

    loop_timer_free(beat);
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

    site_begin_close(site, 4000);
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
    assert_true(site_wait_held(site, 1));
    site_say(streaming, TEXT("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_say(pulling, TEXT("GET /pull HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(site_wait_held(site, 2));
    assert_true(site_wait(site, &site->pulls_open, 1));

    site_begin_close(site, 50);
    assert_true(site_is_closed(site, waiting));
    assert_true(site_is_closed(site, streaming));
    assert_true(site_wait(site, &site->pulls_done, 1));

    assert_true(site_wait(site, &site->gone, 2));
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
