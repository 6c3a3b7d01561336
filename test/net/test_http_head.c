/* SPDX-License-Identifier: Apache-2.0
 * test_http_head.c - heads that libmicrohttpd would repair are refused, sound ones are taken. */
#include "site.h"

#include <unistd.h>

#define GET   "GET /hello HTTP/1.1\r\n"
#define HOST  "Host: a\r\n"
#define CLOSE "Connection: close\r\n"

static const struct text unsound[] = {
    /* bare line feeds, one for each place where a line ends */
    TEXT("GET /hello HTTP/1.1\n" HOST CLOSE "\r\n"),
    TEXT(GET "Host: a\n" CLOSE "\r\n"),
    TEXT(GET HOST "X: y\nY: z\r\n" CLOSE "\r\n"),
    TEXT(GET HOST CLOSE "\n"),
    TEXT("GET /hello HTTP/1.1\nHost: a\nConnection: close\n\n"),
    TEXT(GET HOST "X: y\r\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X: y\n\r\n"),
    /* a bare line feed and a blank less, or one more: the head has the size of a sound one */
    TEXT(GET "Host:a\n" CLOSE "X:  y\r\n\r\n"),
    TEXT(GET "Host:  a\n" CLOSE "X: y\r\n\r\n"),
    /* folded lines, which end up in the name of the field */
    TEXT(GET HOST "X: y\r\n z\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X: y\r\n\tz\r\n" CLOSE "\r\n"),
    TEXT(GET HOST CLOSE "X: y\r\n z\r\n\r\n"),
    TEXT(GET HOST CLOSE "X: y\r\n \r\n\r\n"),
    TEXT(GET " X: y\r\n" HOST CLOSE "\r\n"),
    TEXT(GET HOST "X:\r\n y\r\n" CLOSE "\r\n"),
    TEXT("POST /echo HTTP/1.1\r\n" HOST CLOSE "Tra: chunked\r\n nsfer-Encoding\r\n\r\n0\r\n\r\n"),
    TEXT("POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-: 3\r\n Length\r\n\r\nabc"),
    /* NUL */
    TEXT("GET /hel\0lo HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET\0 /hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET /hello\0 HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT(GET "Host: a\0b\r\n" CLOSE "\r\n"),
    TEXT(GET "Host: a\0\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X: \0\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X\0: y\r\n" CLOSE "\r\n"),
    TEXT(GET HOST CLOSE "\0X: y\r\n\r\n"),
    TEXT(GET HOST CLOSE "\0\r\nX: y\r\n\r\n"),
    /* surplus blanks and other bytes */
    TEXT("GET  /hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET /hello  HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET /hello HTTP/1.1 \r\n" HOST CLOSE "\r\n"),
    TEXT(" GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET\t/hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GE\x01T /hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("G(T /hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET ?x HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT(GET HOST "X\x80: y\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X(y): y\r\n" CLOSE "\r\n"),
    TEXT(GET HOST ": y\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X\t: y\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X: \x01\r\n" CLOSE "\r\n"),
    TEXT(GET HOST "X: \x7f\r\n" CLOSE "\r\n"),
    TEXT(GET "Host: a b\r\n" CLOSE "\r\n"),
    TEXT(GET "Host: a/b\r\n" CLOSE "\r\n"),
    TEXT(GET "Host: u@a\r\n" CLOSE "\r\n"),
    TEXT(GET "Host: a\"b\r\n" CLOSE "\r\n"),
};

static void test_a_head_that_would_be_repaired_is_refused_and_the_connection_closed(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < sizeof unsound / sizeof unsound[0]; i++) {
        struct buffer heard = heard_nothing();
        int fd = site_dial(site);
        site_say(fd, unsound[i]);
        site_say(fd, TEXT(GET HOST CLOSE "\r\n"));

        site_hear(site, fd, &heard, NULL);

        if (heard.size > 0 && !text_starts_with(buffer_text(&heard), TEXT("HTTP/1.1 4")) &&
            !text_starts_with(buffer_text(&heard), TEXT("HTTP/1.1 5")))
            fail_msg("row %zu was answered \"%.100s\"", i, buffer_c_string(&heard));
        if (http_server_stats(site->server).requests != 0)
            fail_msg("row %zu let a request through", i);
        close(fd);
        buffer_release(&heard);
    }
}

static const struct text sound[] = {
    TEXT(GET HOST CLOSE "\r\n"),
    TEXT("\r\n" GET HOST CLOSE "\r\n"),
    TEXT("GET /hello?a=1&b=2?c&&=%20 HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET /hello? HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET http://a:1/hello?b HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("BREW /hello HTTP/1.1\r\n" HOST CLOSE "\r\n"),
    TEXT("GET /hello HTTP/1.0\r\n\r\n"),
    TEXT("GET /hello HTTP/1.0\r\n" HOST "\r\n"),
    TEXT(GET "Host:a\r\nConnection:close\r\n\r\n"),
    TEXT(GET "Host: \t a \t \r\n" CLOSE "\r\n"),
    TEXT(GET "host: A.example:80\r\n" CLOSE "\r\n"),
    TEXT(GET "Host: [::1]:7420\r\n" CLOSE "\r\n"),
    TEXT(GET "Host:\r\n" CLOSE "\r\n"),
    TEXT(GET HOST CLOSE "X:\r\nY: \r\nZ: a: b\tc\xc3\xbc\r\n\r\n"),
    TEXT(GET HOST CLOSE "!#$%&'*+-.^_`|~09: y\r\n\r\n"),
    TEXT(GET HOST "Cookie: a=b; c=\"d\"\r\n" CLOSE "\r\n"),
    TEXT("POST /hello HTTP/1.1\r\n" HOST CLOSE "Content-Length: 3\r\n\r\n\n\0\r"),
    TEXT("POST /hello HTTP/1.1\r\n" HOST CLOSE "Transfer-Encoding: Chunked\r\n\r\n"
         "3;x=y\r\nabc\r\n0\r\nTrailer: a\r\n\r\n"),
};

static void test_a_sound_head_is_taken_whole_or_byte_by_byte(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < 2 * (sizeof sound / sizeof sound[0]); i++) {
        struct text head = sound[i / 2];
        struct buffer heard = heard_nothing();
        int fd = site_dial(site);

        size_t step = i % 2 == 0 ? head.size : 1;
        for (size_t at = 0; at < head.size; at += step) {
            site_say(fd, (struct text){ head.data + at, step });
            site_run(site, 0);
        }
        site_hear(site, fd, &heard, NULL);

        if (!text_starts_with(buffer_text(&heard), TEXT("HTTP/1.1 200 ")))
            fail_msg("row %zu was answered \"%.300s\"", i / 2, buffer_c_string(&heard));
        close(fd);
        buffer_release(&heard);
    }
}

static void test_nothing_behind_a_chunked_body_is_a_request(void **state)
{
    struct site *site = *state;
    static const struct text bodies[] = {
        TEXT("3\r\nabc\r\n0\r\n\r\n"),
        TEXT("3\nabc\n0\n\n"),
        TEXT("3;\nabc\r\n0\r\n\r\n"),
        TEXT("0\r\nX: y\n\n"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct buffer heard = heard_nothing();
        uint64_t before = http_server_stats(site->server).requests;
        int fd = site_dial(site);
        site_say(fd, TEXT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
        site_say(fd, bodies[i]);
        site_say(fd, TEXT(GET HOST "\r\n"));

        assert_true(site_is_closed(site, fd));

        assert_int_equal(http_server_stats(site->server).requests, before + 1);
        close(fd);
        buffer_release(&heard);
    }
}

static void test_requests_one_behind_another_are_each_walked_through(void **state)
{
    struct site *site = *state;
    struct buffer heard = heard_nothing();
    int fd = site_dial(site);
    site_say(fd, TEXT("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\none\n"
                      "GET /show?two HTTP/1.1\r\n" HOST "\r\n"
                      "\r\nGET /show?three HTTP/1.1\r\n" HOST "X-Test: a \r\n\r\n"
                      "GET /show?four HTTP/1.1\r\n" HOST "X: y\n\r\n"));

    site_hear(site, fd, &heard, NULL);

    assert_has(&heard, "one\n");
    assert_has(&heard, "GET|/show|two||127.0.0.1");
    assert_has(&heard, "GET|/show|three|a|127.0.0.1");
    assert_lacks(&heard, "four");
    assert_has(&heard, "HTTP/1.1 400 ");
    close(fd);
    buffer_release(&heard);
}

#define ON_SITE(name) cmocka_unit_test_setup_teardown(name, site_open, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SITE(test_a_head_that_would_be_repaired_is_refused_and_the_connection_closed),
        ON_SITE(test_a_sound_head_is_taken_whole_or_byte_by_byte),
        ON_SITE(test_nothing_behind_a_chunked_body_is_a_request),
        ON_SITE(test_requests_one_behind_another_are_each_walked_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
