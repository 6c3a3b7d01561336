/* SPDX-License-Identifier: Apache-2.0
 * test_http_client.c - the caller port and the blocking calls, against the site of site.h. */
#include "site.h"

#include "net/http_client.h"
#include "net/http_url.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 2000

struct outcome {
    unsigned done;
    int status;
    struct err err;
    int64_t retry_after_ms;
    char body[256];
};

static void on_done(void *ctx, const struct call_result *result)
{
    struct outcome *outcome = ctx;
    outcome->done++;
    outcome->status = result->status;
    outcome->err = result->err;
    outcome->retry_after_ms = result->retry_after_ms;
    snprintf(outcome->body, sizeof outcome->body, "%.*s", TEXT_ARG(result->body));
}

static struct http_client *open_client(struct site *site, const char *url,
                                       const struct http_client_options *options)
{
    struct http_client *client = NULL;
    struct err err = { 0 };
    if (!http_client_open(site->loop, text_from(url), options, &client, &err))
        fail_msg("%s", err.text);
    return client;
}

static struct outcome ask(struct site *site, struct http_client *client, const struct call *call)
{
    struct outcome outcome = { 0 };
    struct caller_port port = http_client_port(client);
    assert_true(port.start(port.self, call, on_done, &outcome));
    assert_int_equal(outcome.done, 0); /* never from inside */
    assert_true(site_wait(site, &outcome.done, 1));
    return outcome;
}

static struct call get(const char *path)
{
    return (struct call){ .method = "GET", .path = text_from(path), .timeout_ms = 5000 };
}

static void test_a_request_brings_status_and_body(void **state)
{
    struct site *site = *state;
    struct http_client *client = open_client(site, site->url, NULL);
    struct call call = get("/hello");

    struct outcome outcome = ask(site, client, &call);

    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.body, "hello\n");
    http_client_close(client);
}

static void test_methods_bodies_and_fields_follow_each_other_on_one_handle(void **state)
{
    struct site *site = *state;
    struct http_client *client = open_client(site, site->url, NULL);
    static const char *const methods[] = { "POST", "GET", "PATCH", "DELETE", "HEAD", "PUT", "GET" };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        bool has_body = methods[i][0] == 'P';
        struct call show = get("/show?q=1"), echo = get("/echo");
        show.method = echo.method = methods[i];
        echo.body = has_body ? TEXT("{\"a\":1}") : TEXT_NONE;
        echo.bearer = TEXT("secret");
        char expected[64] = "";
        if (strcmp(methods[i], "HEAD") != 0)
            snprintf(expected, sizeof expected, "%s|/show|q=1||127.0.0.1", methods[i]);

        assert_string_equal(ask(site, client, &show).body, expected);
        assert_string_equal(ask(site, client, &echo).body, has_body ? "{\"a\":1}" : "");
    }
    assert_int_equal(http_server_stats(site->server).connections_accepted, 1);
    http_client_close(client);
}

static void test_thousands_share_a_few_connections(void **state)
{
    struct site *site = *state;
    struct http_client_options options = { .connections_max = 8 };
    struct http_client *client = open_client(site, site->url, &options);
    struct caller_port port = http_client_port(client);
    struct call call = get("/hello");
    struct outcome *outcomes = calloc(MANY, sizeof *outcomes);

    for (unsigned i = 0; i < MANY; i++)
        assert_true(port.start(port.self, &call, on_done, &outcomes[i]));
    assert_int_equal(http_client_calls(client), MANY);

    for (unsigned i = 0; i < MANY; i++) {
        assert_true(site_wait(site, &outcomes[i].done, 1));
        assert_int_equal(outcomes[i].status, 200);
    }
    assert_true(http_server_stats(site->server).connections_accepted <= 8);
    assert_int_equal(http_client_calls(client), 0);
    free(outcomes);
    http_client_close(client);
}

static void test_a_refused_connection_says_where_and_why_without_the_password(void **state)
{
    struct site *site = *state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size),
                     0); /* taken, and nobody listens */
    getsockname(fd, (struct sockaddr *)&address, &size);
    char url[64], expected[96];
    snprintf(url, sizeof url, "http://me:pw@127.0.0.1:%u/", ntohs(address.sin_port));
    snprintf(expected, sizeof expected, "cannot connect to http://127.0.0.1:%u: connection refused",
             ntohs(address.sin_port));
    struct http_client *client = open_client(site, url, NULL);
    struct call call = get("/hello");

    struct outcome outcome = ask(site, client, &call);

    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.err.code, ERR_UNAVAILABLE);
    assert_string_equal(outcome.err.text, expected);
    http_client_close(client);
    close(fd);
}

static void test_no_answer_in_time_is_told_and_the_server_notices(void **state)
{
    struct site *site = *state;
    struct http_client *client = open_client(site, site->url, NULL);
    struct call call = get("/hold");
    call.timeout_ms = 100;

    struct outcome outcome = ask(site, client, &call);

    assert_int_equal(outcome.err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(outcome.err.text, "within 100 ms"));
    assert_true(site_wait(site, &site->gone, 1));
    http_client_close(client);
}

static void test_a_closed_connection_is_told(void **state)
{
    struct site *site = *state;
    struct http_client *client = open_client(site, site->url, NULL);
    struct call call = get("/abandon"), broken = get("/broken");

    struct outcome outcome = ask(site, client, &call);
    struct outcome half = ask(site, client, &broken);

    assert_int_equal(outcome.status, 0);
    assert_non_null(strstr(outcome.err.text, "without an answer"));
    assert_int_equal(half.status, 0);
    assert_non_null(strstr(half.err.text, "in the middle of its answer"));
    http_client_close(client);
}

static void test_an_answer_over_its_bound_fails(void **state)
{
    struct site *site = *state;
    struct http_client_options options = { .answer_max = 1024 * 1024 };
    struct http_client *client = open_client(site, site->url, &options);
    struct call call = get("/pull");

    struct outcome outcome = ask(site, client, &call);

    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.err.code, ERR_TOO_LARGE);
    http_client_close(client);
}

static void test_retry_after_is_read(void **state)
{
    struct site *site = *state;
    struct http_client *client = open_client(site, site->url, NULL);
    struct call call = get("/busy");

    struct outcome outcome = ask(site, client, &call);

    assert_int_equal(outcome.status, 503);
    assert_int_equal(outcome.retry_after_ms, 7000);
    http_client_close(client);
}

static void test_line_ends_in_header_values_are_refused(void **state)
{
    struct site *site = *state;
    struct http_client *client = open_client(site, site->url, NULL);
    struct caller_port port = http_client_port(client);
    struct outcome outcome = { 0 };
    struct call bearer = get("/hello"), path = get("hello");
    bearer.bearer = TEXT("a\r\nX-Injected: yes");

    assert_false(port.start(port.self, &bearer, on_done, &outcome));
    assert_false(port.start(port.self, &path, on_done, &outcome));

    site_run(site, 20);
    assert_int_equal(outcome.done, 0);
    http_client_close(client);
}

static void test_waiting_for_a_connection_counts_toward_the_timeout(void **state)
{
    struct site *site = *state;
    struct http_client_options options = { .connections_max = 1, .calls_max = 3 };
    struct http_client *client = open_client(site, site->url, &options);
    struct caller_port port = http_client_port(client);
    struct call hold = get("/hold"), quick = get("/hello"), patient = get("/hello");
    struct outcome held = { 0 }, late = { 0 }, served = { 0 }, refused = { 0 };
    quick.timeout_ms = 150;
    assert_true(port.start(port.self, &hold, on_done, &held));
    assert_true(port.start(port.self, &quick, on_done, &late));
    assert_true(port.start(port.self, &patient, on_done, &served));

    assert_false(port.start(port.self, &patient, on_done, &refused)); /* calls_max */
    assert_true(site_wait(site, &late.done, 1));
    assert_int_equal(held.done + served.done, 0);
    site_answer_held(site, 0, "go");
    assert_true(site_wait(site, &served.done, 1));

    assert_int_equal(late.err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(late.err.text, "was free within 150 ms"));
    assert_int_equal(held.status, 200);
    assert_string_equal(served.body, "hello\n");
    http_client_close(client);
}

static void test_closing_calls_everything_off_once(void **state)
{
    struct site *site = *state;
    struct http_client_options options = { .connections_max = 2 };
    struct http_client *client = open_client(site, site->url, &options);
    struct caller_port port = http_client_port(client);
    struct call call = get("/hold");
    struct outcome outcomes[3] = { 0 };
    for (unsigned i = 0; i < 3; i++)
        assert_true(port.start(port.self, &call, on_done, &outcomes[i]));
    assert_true(site_wait_held(site, 2));

    http_client_close(client);

    site_run(site, 20);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].done, 1);
        assert_int_equal(outcomes[i].err.code, ERR_UNAVAILABLE);
    }
}

static void test_what_is_no_server_url_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = { "",
                                         "ftp://a",
                                         "127.0.0.1:7420",
                                         "http://",
                                         "http://a b",
                                         "http://a?x=1",
                                         "http://a#f",
                                         "file:///etc/passwd",
                                         "http://a:99999",
                                         "http://a\r\nb",
                                         "http://\xff/",
                                         "http://a%ff/" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct http_url url;
        struct err err = { 0 };
        if (http_url_parse(text_from(texts[i]), &url, &err))
            fail_msg("\"%s\" was taken", texts[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* The blocking calls need a server that runs meanwhile: the site's loop in a thread. */
struct runner {
    struct site *site;
    pthread_t thread;
    atomic_bool ended;
};

static void feed(struct runner *runner)
{
    struct site *site = runner->site;
    for (size_t i = 0; i < site->held_count; i++) {
        if (site->held[i])
            http_stream_send(site->held[i], TEXT("id: 7\r\ndata: x\n\n"));
    }
}

static void *run_site(void *ctx)
{
    struct runner *runner = ctx;
    while (!atomic_load(&runner->ended)) {
        site_run(runner->site, 5);
        feed(runner);
    }
    return NULL;
}

static void start_runner(struct runner *runner, struct site *site)
{
    *runner = (struct runner){ .site = site };
    assert_int_equal(pthread_create(&runner->thread, NULL, run_site, runner), 0);
}

static void stop_runner(struct runner *runner)
{
    atomic_store(&runner->ended, true);
    pthread_join(runner->thread, NULL);
}

static void test_a_blocking_call_brings_the_answer_or_says_why_not(void **state)
{
    struct site *site = *state;
    struct runner runner;
    struct buffer body;
    struct err err = { 0 };
    int status = 0;
    struct call call = get("/hello");
    buffer_init(&body, &memory_heap, 1024);
    start_runner(&runner, site);

    assert_true(http_call_now(text_from(site->url), &call, &body, &status, &err));
    assert_int_equal(status, 200);
    assert_string_equal(buffer_c_string(&body), "hello\n");
    assert_false(http_call_now(TEXT("http://127.0.0.1:1"), &call, &body, &status, &err));
    assert_string_equal(err.text, "cannot connect to http://127.0.0.1:1: connection refused");

    stop_runner(&runner);
    buffer_release(&body);
}

struct lines {
    char first[3][32];
    unsigned count;
};

static bool on_line(void *ctx, struct text line)
{
    struct lines *lines = ctx;
    if (line.size == 0 || line.data[0] == ':')
        return true;
    snprintf(lines->first[lines->count++], 32, "%.*s", TEXT_ARG(line));
    return lines->count < 3;
}

static void test_a_stream_comes_line_by_line_until_it_is_enough(void **state)
{
    struct site *site = *state;
    struct runner runner;
    struct buffer body;
    struct err err = { 0 };
    struct lines lines = { 0 };
    int status = 0;
    struct http_stream_call call = { .path = TEXT("/stream"), .last_event_id = TEXT("6") };
    buffer_init(&body, &memory_heap, 1024);
    start_runner(&runner, site);

    bool ok = http_stream_lines(text_from(site->url), &call, on_line, &lines, &body, &status, &err);

    stop_runner(&runner);
    assert_true(ok);
    assert_int_equal(status, 200);
    assert_string_equal(lines.first[0], "id: 7");
    assert_string_equal(lines.first[1], "data: x");
    assert_string_equal(lines.first[2], "id: 7");
    buffer_release(&body);
}

static void test_a_stream_that_is_refused_brings_the_body_and_no_line(void **state)
{
    struct site *site = *state;
    struct runner runner;
    struct buffer body;
    struct err err = { 0 };
    struct lines lines = { 0 };
    int status = 0;
    struct http_stream_call call = { .path = TEXT("/error") };
    buffer_init(&body, &memory_heap, 1024);
    start_runner(&runner, site);

    bool ok = http_stream_lines(text_from(site->url), &call, on_line, &lines, &body, &status, &err);

    stop_runner(&runner);
    assert_true(ok);
    assert_int_equal(status, 404);
    assert_int_equal(lines.count, 0);
    assert_non_null(strstr(buffer_c_string(&body), "no such thing"));
    buffer_release(&body);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, site_open, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(test_a_request_brings_status_and_body),
        WITH_SITE(test_methods_bodies_and_fields_follow_each_other_on_one_handle),
        WITH_SITE(test_thousands_share_a_few_connections),
        WITH_SITE(test_a_refused_connection_says_where_and_why_without_the_password),
        WITH_SITE(test_no_answer_in_time_is_told_and_the_server_notices),
        WITH_SITE(test_a_closed_connection_is_told),
        WITH_SITE(test_an_answer_over_its_bound_fails),
        WITH_SITE(test_retry_after_is_read),
        WITH_SITE(test_line_ends_in_header_values_are_refused),
        WITH_SITE(test_waiting_for_a_connection_counts_toward_the_timeout),
        WITH_SITE(test_closing_calls_everything_off_once),
        cmocka_unit_test(test_what_is_no_server_url_is_refused),
        WITH_SITE(test_a_blocking_call_brings_the_answer_or_says_why_not),
        WITH_SITE(test_a_stream_comes_line_by_line_until_it_is_enough),
        WITH_SITE(test_a_stream_that_is_refused_brings_the_body_and_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
