/* SPDX-License-Identifier: Apache-2.0
 * http_server.h - an HTTP/1.1 server on the loop. It knows no route: it hands over whole requests
 * and takes answers, at once or later, whole, pulled slice by slice, or as a stream.
 *
 * Limits: a URL over LIMIT_URL is answered 414, a head over LIMIT_HEAD or LIMIT_HEADER_FIELDS 431,
 * a body over the route's limit 413, all rendered by the owner and followed by closing. What
 * libmicrohttpd 0.9.75 refuses by itself has a short fixed body of its own, and closes: a line that
 * is no HTTP (400), an unknown version (505), HTTP/1.1 without Host (400), a malformed
 * Content-Length or chunk (400, 413), a head that does not fit its connection's memory (414, 431).
 * What it cannot say at all: a deadline missed on the way in is a closed connection, not a 408.
 *
 * Memory: a connection whose first request has a small head (agents, tools) has HTTP_SMALL_MEMORY
 * bytes for the heads of its requests and answers, any other (browsers with their cookies)
 * HTTP_LARGE_MEMORY. A later head on a small connection that outgrows it is refused with 414 or
 * 431.
 *
 * Framing: ambiguous lengths, unknown codings, a bare LF or a lone CR, folded lines, NUL, surplus
 * blanks and other breaches of RFC 9112 in a head are refused with 400 (http_head.c), and every
 * refusal closes. Between chunks libmicrohttpd takes a bare LF for a line end; therefore a
 * connection is closed after a chunked body: nothing behind one is ever a request. What it leaves
 * no trace of: empty lines and lines that begin with a NUL are passed over before a request line,
 * a NUL and a bare LF end a line as CRLF does, and a line of a colon and a bare LF ends a head as
 * an empty one does; nginx and haproxy send none of that on as it came. A method may be any token.
 *
 * Threads: with `io_threads` connections are held by that many threads, each with a loop, a
 * listener on the same port, and a table of descriptors of its own, so that the limit of open
 * descriptors holds for each. The owner stays on his loop and notices nothing: whole requests come
 * to it, and answers go back. body_limit() and render_error() are called on these threads and must
 * not touch what others write. More requests at once than the owner takes are answered 503.
 * connections_max holds for all together, give or take one per thread. Needs Linux 5.9.
 *
 * Cost of waiting: an exchange that is not answered inside handle() leaves libmicrohttpd's care and
 * comes back, about 1.5 us, and whenever any comes back, those of its thousand neighbours that
 * still wait are walked over, about 2 ns each; see http_tier.c. */
#ifndef DIDES_NET_HTTP_SERVER_H
#define DIDES_NET_HTTP_SERVER_H

#include "base/buffer.h"
#include "base/err.h"
#include "net/loop.h"

#define HTTP_SMALL_MEMORY 2560
#define HTTP_LARGE_MEMORY (24 * 1024)
#define HTTP_SMALL_HEAD   1200 /* longest first head of a small connection */
/* Of a body that is too large this much is read and dropped, so that the client, who sends first
 * and listens after, gets to see the 413. More is cut off. */
#define HTTP_SWALLOW_MAX (1024 * 1024)

#define HTTP_IO_THREADS_MAX 32

struct http_server;
/* One request and its answer. From handle() on it belongs to the owner, until he answers, abandons
 * or ends it, each exactly once, on the loop's thread. */
struct http_exchange;

struct http_request {
    const char *method; /* as sent, but "GET" for HEAD: the server leaves the body out */
    bool is_head;
    struct text path;  /* raw: not decoded, without the query */
    struct text query; /* raw, without '?'; empty: none */
    struct text body;
};

/* The owner's side. None is called from inside a function of this header, except where it says so.
 */
struct http_handler {
    /* A whole request is there. It and its views are valid during the call only. */
    void (*handle)(void *ctx, struct http_exchange *x, const struct http_request *request);
    /* The largest body for this route in bytes, asked before a body is read. */
    size_t (*body_limit)(void *ctx, const char *method, struct text path);
    /* Writes the body for an error that the server found. */
    void (*render_error)(void *ctx, enum err_code code, const char *detail, struct buffer *out);
    void *ctx;
};

/* Zero stands for the default. A connection that misses a deadline is closed. */
struct http_server_options {
    unsigned connections_max; /* 20000; beyond, a connection gets a bare 503 and is closed */
    unsigned head_ms; /* 10000: from the first request's connect, or the request line, to its head's
                         end */
    unsigned body_ms; /* 30000: for a body, plus one per byte, so at least 1 kB/s */
    unsigned
        write_ms; /* 30000: for an answer, plus one per byte; for each slice of pulls and streams */
    unsigned idle_ms; /* 75000: between two requests */
    unsigned
        tick_ms; /* 1000: how exact deadlines are; a waiting client's departure is seen as soon */
    const char *error_type; /* content type of rendered errors: application/problem+json */
    unsigned io_threads;    /* 0: connections are on the owner's loop; see "Threads" above */
};

struct http_server_stats {
    uint64_t connections_accepted, connections_refused, connections_expired;
    uint64_t requests; /* handed to the owner */
    uint64_t errors;   /* answered by the server itself, as rendered by the owner */
    unsigned connections_open;
    unsigned exchanges_open; /* in the owner's hands; without threads also those being sent */
};

/* Listens on `address` ("127.0.0.1:7420", "[::1]:0", see address.h). Options may be NULL; `handler`
 * is copied. False: *err says what is wrong with the address or who has it; *ret is untouched. */
bool http_server_open(struct loop *loop, struct text address,
                      const struct http_server_options *options, const struct http_handler *handler,
                      struct http_server **ret, struct err *err);
uint16_t http_server_port(const struct http_server *server);
const char *http_server_address(const struct http_server *server); /* with the port in use */
struct http_server_stats http_server_stats(const struct http_server *server);

/* Stops listening and closes idle connections at once, every other one after its present answer,
 * and cuts what is open after `grace_ms`; owners are told by on_gone. Calls `closed` (may be NULL)
 * from the loop when the last connection is closed and the last exchange was given back; then the
 * server is gone. Call once. */
void http_server_close(struct http_server *server, int64_t grace_ms, loop_fn *closed, void *ctx);

/* Of the exchange in handle(), or later as long as its client is there. TEXT_NONE: no such field.
 * The view is valid as long as the client is there and the exchange is not given back. */
struct text http_field(const struct http_exchange *x, const char *name);
/* The client's host, as text; `space` has HTTP_HOST_SIZE bytes and is returned. */
#define HTTP_HOST_SIZE 56
const char *http_client_host(const struct http_exchange *x, char space[static HTTP_HOST_SIZE]);

/* Who the client is when clients are counted: its IPv4 address, or the /64 network of its IPv6 one,
 * because a single host has all of that. Zeros once it is gone. */
struct http_source {
    unsigned char network[8]; /* IPv4 in the first half */
    bool is_v6, is_loopback;
};
void http_client_source(const struct http_exchange *x, struct http_source *ret);

/* Has `gone` called once when the client goes away (or the server cuts it) before the answer is
 * given, or while a stream is open. The exchange stays with the owner, who still answers, abandons
 * or ends it (also inside the call), now without effect but giving it back. NULL: not told. A
 * client that closes only its sending side counts as gone while it waits. */
void http_on_gone(struct http_exchange *x, loop_fn *gone, void *ctx);

struct http_header {
    const char *name, *value;
};

struct http_answer {
    int status;               /* 200 to 599 */
    const char *content_type; /* NULL: none */
    const struct http_header *headers;
    size_t header_count;
    struct text body; /* copied */
    bool closes;      /* close the connection after it */
};

/* Answers and gives the exchange back. A header that HTTP does not allow (a line end in it, or
 * empty) makes it a 500: half an answer could mislead. */
void http_answer(struct http_exchange *x, const struct http_answer *answer);
/* The same with an error rendered as the server's own errors are. */
void http_answer_error(struct http_exchange *x, int status, enum err_code code, const char *detail);
/* Closes the connection without an answer, or in the middle of a stream, and gives the exchange
 * back. */
void http_abandon(struct http_exchange *x);

/* Long answers: `pull` is called whenever the socket has room and appends the next slice, about
 * `wanted` bytes, at most LIMIT_STREAM_BYTES. HTTP_PULL_FAILED, or a failed buffer, cuts the
 * connection, so that the client sees that it is not whole. HEAD: never pulled.
 * `answer->body` is sent first. Gives the exchange back; `done` (may be NULL) is called exactly
 * once, when it was sent (or handed to its thread) or cannot be any more, possibly from inside. */
enum http_pull { HTTP_PULL_MORE, HTTP_PULL_END, HTTP_PULL_FAILED };
typedef enum http_pull http_pull_fn(void *ctx, struct buffer *out, size_t wanted);
void http_answer_pull(struct http_exchange *x, const struct http_answer *answer, http_pull_fn *pull,
                      loop_fn *done, void *ctx);

/* Streams: the head goes out (with `head->body`, if any, as first text), then what is sent. The
 * exchange stays with the owner until http_stream_end() or http_abandon(). The kernel may hold a
 * head without body back for 200 ms. */
void http_stream_open(struct http_exchange *x, const struct http_answer *head);
/* Queues `text` whole or not at all. False: the reader is slow and LIMIT_STREAM_BYTES are waiting,
 * no memory, or the client is gone: abandon it. */
bool http_stream_send(struct http_exchange *x, struct text text);
/* Bytes of an open stream that the socket has not taken yet. */
size_t http_stream_waiting(const struct http_exchange *x);
/* What is queued is still sent, then the answer is complete. Gives the exchange back. */
void http_stream_end(struct http_exchange *x);

#endif
