/* SPDX-License-Identifier: Apache-2.0
 * http.c - bytes on a socket against the HTTP server. A second, strict reader of RFC 9112 says
 * which requests the bytes are; what the server hands over must be those, from the first on, with
 * the same methods, targets and bodies. It may refuse more, but never see another request.
 *
 * What the reader knows besides: empty lines and lines that begin with a NUL are passed over before
 * a request line; a NUL and a bare LF end a line, and a colon and a bare LF a head, as those bytes
 * cannot be told from CRLF and an empty line once libmicrohttpd has read them; nothing behind a
 * chunked body is a request. */
#include "fuzz.h"
#include "net/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_MAX 64
#define BODY_LIMIT   1000

struct seen {
    struct text method, target, body;
    bool is_chunked;
};

struct list {
    struct seen all[REQUESTS_MAX];
    size_t count;
};

static struct {
    struct loop *loop;
    struct http_server *server;
    struct list *list; /* of the present input */
    struct fuzz *f;
    bool is_closed;
} site;

/* ---- the reader ------------------------------------------------------------------------------ */

/* The line that *rest begins with, without its CRLF; false: there is no whole one, or a bare LF or
 * CR or a NUL in it. */
static bool read_line(struct text *rest, struct text *ret)
{
    size_t at = text_find(*rest, '\n');
    if (at == rest->size || at == 0 || (rest->data[at - 1] != '\r' && rest->data[at - 1] != '\0'))
        return false;
    *ret = (struct text){ rest->data, at - 1 };
    *rest = text_skip(*rest, at + 1);
    return text_find(*ret, '\r') == ret->size && text_find(*ret, '\0') == ret->size;
}

static void skip_empty_lines(struct text *rest)
{
    for (;;) {
        size_t at = text_find(*rest, '\n');
        bool is_skipped = at < rest->size &&
                          (at == 0 || rest->data[0] == '\0' || (at == 1 && rest->data[0] == '\r'));
        if (!is_skipped)
            return;
        *rest = text_skip(*rest, at + 1);
    }
}

static bool is_token(struct text t)
{
    for (size_t i = 0; i < t.size; i++)
        if (t.data[i] <= ' ' || t.data[i] == 0x7f || strchr("\"(),/:;<=>?@[\\]{}", t.data[i]))
            return false;
    return t.size > 0;
}

static bool read_request_line(struct text *rest, struct seen *ret)
{
    struct text line, version;
    if (!read_line(rest, &line) || !text_cut(&line, ' ', &ret->method) ||
        !text_cut(&line, ' ', &ret->target) || line.data == NULL)
        return false;
    version = line;
    bool is_known = version.size == 8 && text_starts_with(version, TEXT("HTTP/1.")) &&
                    version.data[7] >= '0' && version.data[7] <= '9';
    return is_known && is_token(ret->method) && ret->target.size > 0;
}

struct framing {
    uint64_t length;
    bool has_length, is_chunked;
};

static bool read_field(struct text line, struct framing *ret)
{
    size_t colon = text_find(line, ':');
    struct text name = { line.data, colon }, value = text_trim(text_skip(line, colon + 1));
    if (colon == line.size || !is_token(name))
        return false;
    if (text_equal_nocase(name, TEXT("content-length"))) {
        if (ret->has_length || !text_to_u64(value, INT64_MAX, &ret->length))
            return false;
        ret->has_length = true;
    } else if (text_equal_nocase(name, TEXT("transfer-encoding"))) {
        if (ret->is_chunked || !text_equal_nocase(value, TEXT("chunked")))
            return false;
        ret->is_chunked = true;
    }
    return !ret->has_length || !ret->is_chunked;
}

static bool read_request(struct text *rest, struct seen *ret)
{
    struct framing framing = { .length = 0 };
    struct text line;
    skip_empty_lines(rest);
    *ret = (struct seen){ .is_chunked = false };
    if (!read_request_line(rest, ret))
        return false;
    for (unsigned fields = 0;; fields++) {
        if (fields > 0 && text_starts_with(*rest, TEXT(":\n"))) {
            *rest = text_skip(*rest, 2);
            break;
        }
        if (!read_line(rest, &line))
            return false;
        if (line.size == 0)
            break;
        if (!read_field(line, &framing))
            return false;
    }
    if (framing.length > rest->size)
        return false;
    ret->is_chunked = framing.is_chunked;
    ret->body = (struct text){ rest->data, (size_t)framing.length };
    *rest = text_skip(*rest, (size_t)framing.length);
    return true;
}

/* ---- the server ------------------------------------------------------------------------------ */

static struct text keep(struct text t)
{
    struct text copy = TEXT_NONE;
    CLAIM(arena_copy(&site.f->arena, t, &copy));
    return copy;
}

static void handle(void *ctx, struct http_exchange *x, const struct http_request *request)
{
    (void)ctx;
    struct list *list = site.list;
    CLAIM(list && list->count < REQUESTS_MAX);
    CLAIM(request->path.size > 0 && text_find(request->path, '?') == request->path.size);
    CLAIM(text_is_printable(request->path) && text_is_printable(request->query));
    CLAIM(request->body.size <= BODY_LIMIT);
    buffer_clear(&site.f->out);
    buffer_add(&site.f->out, request->path);
    /* "/?" and "/" look the same here. */
    if (request->query.size > 0)
        buffer_add_byte(&site.f->out, '?');
    buffer_add(&site.f->out, request->query);
    list->all[list->count++] = (struct seen){
        .method = keep(request->is_head ? TEXT("HEAD") : text_from(request->method)),
        .target = keep(buffer_text(&site.f->out)),
        .body = keep(request->body),
    };
    http_answer(x, &(struct http_answer){ .status = 200, .body = request->body });
}

static size_t body_limit(void *ctx, const char *method, struct text path)
{
    (void)ctx;
    (void)method;
    (void)path;
    return BODY_LIMIT;
}

static void render_error(void *ctx, enum err_code code, const char *detail, struct buffer *out)
{
    (void)ctx;
    buffer_printf(out, "%s: %s", err_word(code), detail);
}

static void on_closed(void *ctx)
{
    (void)ctx;
    site.is_closed = true;
}

static void close_site(void)
{
    http_server_close(site.server, 0, on_closed, NULL);
    while (!site.is_closed)
        loop_step(site.loop, true);
    loop_free(site.loop);
}

static void open_site(void)
{
    struct http_handler handler = { handle, body_limit, render_error, NULL };
    struct http_server_options options = { .tick_ms = 1 };
    site.loop = loop_new(NULL);
    CLAIM(site.loop != NULL);
    CLAIM(http_server_open(site.loop, TEXT("127.0.0.1:0"), &options, &handler, &site.server, NULL));
    atexit(close_site);
}

static int dial(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(http_server_port(site.server)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct linger now = { .l_onoff = 1 }; /* no port may be left in TIME_WAIT */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLAIM(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    CLAIM(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* Hears until the server closes. */
static void hear(int fd, struct buffer *out)
{
    char piece[4096];
    for (int turns = 0; turns < 20000; turns++) {
        ssize_t size = recv(fd, piece, sizeof piece, MSG_DONTWAIT);
        if (size > 0)
            buffer_add(out, (struct text){ piece, (size_t)size });
        else if (size == 0 || (errno != EAGAIN && errno != EINTR))
            return;
        else
            loop_step(site.loop, true);
    }
    bool is_closed_by_the_server = false;
    CLAIM(is_closed_by_the_server);
}

/* ---- both ------------------------------------------------------------------------------------ */

/* A target with an origin in front is the path behind it. */
static struct text path_of(struct text target)
{
    if (text_starts_with(target, TEXT("http://")) || text_starts_with(target, TEXT("https://"))) {
        target = text_skip(target, text_find(target, '/') + 2);
        target = text_skip(target, text_find(target, '/'));
    }
    if (text_ends_with(target, TEXT("?")) && text_find(target, '?') == target.size - 1)
        target.size--;
    return target.size > 0 ? target : TEXT("/");
}

static void compare(const struct list *handed, struct text input)
{
    struct text rest = input;
    struct seen expected;
    for (size_t i = 0; i < handed->count; i++) {
        const struct seen *got = &handed->all[i];
        CLAIM(read_request(&rest, &expected));
        fuzz_claim_equal(got->method, expected.method);
        fuzz_claim_equal(got->target, path_of(expected.target));
        if (!expected.is_chunked)
            fuzz_claim_equal(got->body, expected.body);
        CLAIM(!expected.is_chunked || i + 1 == handed->count);
    }
}

void fuzz_http(struct text input)
{
    struct fuzz f;
    struct list list = { .count = 0 };
    if (!site.loop)
        open_site();
    fuzz_begin(&f);
    site.f = &f;
    site.list = &list;
    int fd = dial();
    CLAIM(send(fd, input.data, input.size, MSG_NOSIGNAL) == (ssize_t)input.size);
    shutdown(fd, SHUT_WR);
    hear(fd, &f.again);
    close(fd);
    while (http_server_stats(site.server).connections_open > 0)
        loop_step(site.loop, true);
    compare(&list, input);
    CLAIM(f.again.size == 0 || text_starts_with(buffer_text(&f.again), TEXT("HTTP/1.")));
    site.f = NULL;
    site.list = NULL;
    fuzz_end(&f);
}
