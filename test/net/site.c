/* SPDX-License-Identifier: Apache-2.0
 * site.c - see site.h. */
#include "site.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 30000 /* for what comes at once, but for busy machines and checkers */

struct pull {
    struct site *site;
    size_t left;
    bool breaks;
};

static enum http_pull on_pull(void *ctx, struct buffer *out, size_t wanted)
{
    struct pull *pull = ctx;
    size_t size = wanted < pull->left ? wanted : pull->left;
    char *space = buffer_reserve(out, size);
    assert_non_null(space);
    for (size_t i = 0; i < size; i++)
        space[i] = (char)('a' + (SITE_PULL_BYTES - pull->left + i) % 26);
    pull->left -= size;
    if (pull->breaks && pull->left < SITE_PULL_BYTES - wanted)
        return HTTP_PULL_FAILED;
    return pull->left ? HTTP_PULL_MORE : HTTP_PULL_END;
}

static void on_pull_done(void *ctx)
{
    struct pull *pull = ctx;
    pull->site->pulls_done++;
    free(pull);
}

static void on_gone(void *ctx)
{
    struct site *site = ctx;
    site->gone++;
}

static void answer_text(struct http_exchange *x, struct text body)
{
    static const struct http_header field = { "X-Test", "yes" };
    http_answer(x, &(struct http_answer){ .status = 200,
                                          .content_type = "text/plain",
                                          .headers = &field,
                                          .header_count = 1,
                                          .body = body });
}

static void show(struct http_exchange *x, const struct http_request *request)
{
    char host[HTTP_HOST_SIZE];
    struct buffer out;
    buffer_init(&out, &memory_heap, 64 * 1024);
    buffer_printf(&out, "%s|%.*s|%.*s|%.*s|%s", request->method, TEXT_ARG(request->path),
                  TEXT_ARG(request->query), TEXT_ARG(http_field(x, "x-test")),
                  http_client_host(x, host));
    answer_text(x, buffer_text(&out));
    buffer_release(&out);
}

static void hold(struct site *site, struct http_exchange *x, bool is_stream)
{
    assert_true(site->held_count < SITE_HELD_MAX);
    site->held_streams[site->held_count] = is_stream;
    site->held[site->held_count++] = x;
    http_on_gone(x, on_gone, site);
}

static void hold_until_round_ends(struct site *site, struct http_exchange *x)
{
    assert_true(site->late_count < SITE_HELD_MAX);
    site->late[site->late_count++] = x;
}

static void start_pull(struct site *site, struct http_exchange *x, bool breaks)
{
    struct pull *pull = calloc(1, sizeof *pull);
    *pull = (struct pull){ site, SITE_PULL_BYTES, breaks };
    site->pulls_open++;
    struct http_answer answer = { .status = 200, .content_type = "text/plain" };
    http_answer_pull(x, &answer, on_pull, on_pull_done, pull);
}

static void start_stream(struct site *site, struct http_exchange *x)
{
    struct http_answer head = { .status = 200,
                                .content_type = "text/event-stream",
                                .body = TEXT(": hello\n\n") };
    hold(site, x, true);
    http_stream_open(x, &head);
}

static void answer_evil(struct http_exchange *x)
{
    static const struct http_header evil = { "X-Evil", "a\r\nX-Injected: yes" };
    http_answer(x, &(struct http_answer){ .status = 200, .headers = &evil, .header_count = 1 });
}

static void answer_busy(struct http_exchange *x)
{
    static const struct http_header later = { "Retry-After", "7" };
    http_answer(x, &(struct http_answer){ .status = 503, .headers = &later, .header_count = 1 });
}

static void handle(void *ctx, struct http_exchange *x, const struct http_request *request)
{
    struct site *site = ctx;
    struct text path = request->path;
    if (text_equal(path, TEXT("/echo")))
        answer_text(x, request->body);
    else if (text_starts_with(path, TEXT("/show")))
        show(x, request);
    else if (text_equal(path, TEXT("/late")))
        hold_until_round_ends(site, x);
    else if (text_equal(path, TEXT("/hold")))
        hold(site, x, false);
    else if (text_equal(path, TEXT("/abandon")))
        http_abandon(x);
    else if (text_equal(path, TEXT("/error")))
        http_answer_error(x, 404, ERR_NOT_FOUND, "no such thing");
    else if (text_equal(path, TEXT("/evil")))
        answer_evil(x);
    else if (text_equal(path, TEXT("/busy")))
        answer_busy(x);
    else if (text_equal(path, TEXT("/stream")))
        start_stream(site, x);
    else if (text_equal(path, TEXT("/pull")) || text_equal(path, TEXT("/broken")))
        start_pull(site, x, text_equal(path, TEXT("/broken")));
    else
        answer_text(x, TEXT("hello\n"));
}

static void end_round(void *ctx)
{
    struct site *site = ctx;
    for (size_t i = 0; i < site->late_count; i++)
        answer_text(site->late[i], TEXT("late\n"));
    site->late_count = 0;
}

static size_t body_limit(void *ctx, const char *method, struct text path)
{
    (void)ctx;
    (void)method;
    return text_equal(path, TEXT("/large")) ? 10 * 1024 * 1024 : SITE_BODY_LIMIT;
}

static void render_error(void *ctx, enum err_code code, const char *detail, struct buffer *out)
{
    (void)ctx;
    buffer_printf(out, "{\"error\":\"%s\",\"detail\":\"%s\"}\n", err_word(code), detail);
}

struct http_handler site_handler(struct site *site)
{
    return (struct http_handler){ handle, body_limit, render_error, site };
}

/* The same tests hold when connections are on threads of their own. */
static unsigned io_threads(void)
{
    const char *wanted = getenv("SITE_IO_THREADS");
    return wanted ? (unsigned)strtoul(wanted, NULL, 10) : 0;
}

static int open_with(void **state, struct http_server_options options)
{
    struct site *site = calloc(1, sizeof *site);
    struct err err = { 0 };
    struct http_handler handler = site_handler(site);
    options.io_threads = io_threads();
    site->loop = loop_new(&err);
    assert_non_null(site->loop);
    if (!http_server_open(site->loop, TEXT("127.0.0.1:0"), &options, &handler, &site->server, &err))
        fail_msg("%s", err.text);
    loop_on_round_end(site->loop, end_round, site);
    snprintf(site->url, sizeof site->url, "http://%s", http_server_address(site->server));
    *state = site;
    return 0;
}

int site_open(void **state)
{
    return open_with(state, (struct http_server_options){ 0 });
}

int site_open_quick(void **state)
{
    struct http_server_options options = { .head_ms = 300,
                                           .body_ms = 300,
                                           .write_ms = 300,
                                           .idle_ms = 900,
                                           .tick_ms = 50,
                                           .connections_max = 20 };
    return open_with(state, options);
}

static void on_closed(void *ctx)
{
    struct site *site = ctx;
    site->closed = true;
    site->server = NULL;
}

void site_begin_close(struct site *site, int64_t grace_ms)
{
    if (site->server && !site->is_closing)
        http_server_close(site->server, grace_ms, on_closed, site);
    site->is_closing = true;
}

int site_close(void **state)
{
    struct site *site = *state;
    site_begin_close(site, 0);
    for (size_t i = 0; i < site->held_count; i++) {
        if (site->held[i])
            http_abandon(site->held[i]);
    }
    int64_t end_ms = loop_ticks_ms(site->loop) + PATIENCE_MS;
    while (!site->closed && loop_ticks_ms(site->loop) < end_ms)
        loop_step(site->loop, true);
    assert_true(site->closed);
    assert_int_equal(site->pulls_done, site->pulls_open);
    loop_free(site->loop);
    free(site);
    return 0;
}

static void nap(struct site *site)
{
    loop_step(site->loop, false);
    usleep(200);
}

bool site_wait(struct site *site, const unsigned *what, unsigned wanted)
{
    int64_t end_ms = loop_ticks_ms(site->loop) + PATIENCE_MS;
    while (*what < wanted && loop_ticks_ms(site->loop) < end_ms)
        nap(site);
    return *what >= wanted;
}

bool site_wait_held(struct site *site, size_t wanted)
{
    int64_t end_ms = loop_ticks_ms(site->loop) + PATIENCE_MS;
    while (site->held_count < wanted && loop_ticks_ms(site->loop) < end_ms)
        nap(site);
    return site->held_count >= wanted;
}

void site_run(struct site *site, int64_t ms)
{
    int64_t end_ms = loop_ticks_ms(site->loop) + ms;
    while (loop_ticks_ms(site->loop) < end_ms)
        nap(site);
}

void site_answer_held(struct site *site, size_t i, const char *body)
{
    struct http_exchange *x = site->held[i];
    assert_non_null(x);
    site->held[i] = NULL;
    answer_text(x, text_from(body));
}

int site_dial(struct site *site)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(http_server_port(site->server)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void site_say(int fd, struct text bytes)
{
    ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    assert_int_equal(sent, bytes.size);
}

/* Returns false at the end of what the server says. */
static bool hear_some(struct site *site, int fd, struct buffer *ret)
{
    char bytes[65536];
    ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0)
        buffer_add(ret, (struct text){ bytes, (size_t)size });
    else if (size < 0 && errno == EAGAIN)
        nap(site);
    else
        return false;
    return true;
}

void site_hear(struct site *site, int fd, struct buffer *ret, const char *until)
{
    int64_t end_ms = loop_ticks_ms(site->loop) + PATIENCE_MS;
    size_t from = 0; /* what is before was searched: megabytes are not searched at each step */
    while (!until || !strstr(buffer_c_string(ret) + from, until)) {
        from = until && ret->size > strlen(until) ? ret->size - strlen(until) : 0;
        if (!hear_some(site, fd, ret))
            return;
        loop_step(site->loop, false);
        if (loop_ticks_ms(site->loop) > end_ms)
            fail_msg("waited in vain for \"%s\", heard \"%.200s\"", until ? until : "the end",
                     buffer_c_string(ret));
    }
}

void site_talk(struct site *site, const char *request, struct buffer *ret)
{
    int fd = site_dial(site);
    site_say(fd, text_from(request));
    site_hear(site, fd, ret, NULL);
    close(fd);
}

bool site_is_closed(struct site *site, int fd)
{
    struct buffer rest;
    buffer_init(&rest, &memory_heap, 64 * 1024 * 1024);
    int64_t end_ms = loop_ticks_ms(site->loop) + PATIENCE_MS;
    bool open = true;
    while (open && loop_ticks_ms(site->loop) < end_ms)
        open = hear_some(site, fd, &rest);
    buffer_release(&rest);
    return !open;
}

struct buffer heard_nothing(void)
{
    struct buffer buffer;
    buffer_init(&buffer, &memory_heap, 64 * 1024 * 1024);
    return buffer;
}

void assert_has(struct buffer *heard, const char *text)
{
    if (!strstr(buffer_c_string(heard), text))
        fail_msg("\"%s\" is not in \"%.400s\"", text, buffer_c_string(heard));
}

void assert_lacks(struct buffer *heard, const char *text)
{
    if (strstr(buffer_c_string(heard), text))
        fail_msg("\"%s\" is in \"%.400s\"", text, buffer_c_string(heard));
}
