/* SPDX-License-Identifier: Apache-2.0
 * http_client.h - requests to one server. On the loop: a caller port with kept connections for
 * thousands of callers. Blocking: for the command line, one request or one stream at a time.
 * Neither follows redirects, uses proxies or cookies, or speaks anything but HTTP/1.1. */
#ifndef DIDES_NET_HTTP_CLIENT_H
#define DIDES_NET_HTTP_CLIENT_H

#include "base/buffer.h"
#include "base/err.h"
#include "net/loop.h"
#include "port/caller.h"

#define HTTP_ANSWER_MAX (16 * 1024 * 1024)

/* Zero stands for the default. */
struct http_client_options {
    unsigned connections_max; /* 64; requests beyond wait for a free one, within their timeout */
    unsigned calls_max;       /* 100000 under way or waiting; more are refused */
    size_t answer_max;        /* HTTP_ANSWER_MAX bytes; a longer body fails with ERR_TOO_LARGE */
};

struct http_client;

/* `server_url` as in http_url.h. Options may be NULL. Does not connect yet. */
bool http_client_open(struct loop *loop, struct text server_url,
                      const struct http_client_options *options, struct http_client **ret,
                      struct err *err);
/* Ends what is under way: every `done` is called with ERR_UNAVAILABLE, from inside. Its memory goes
 * when the loop has run once more. NULL is allowed. */
void http_client_close(struct http_client *client);

/* start() also refuses a path without '/' in front and control characters in header values. */
struct caller_port http_client_port(struct http_client *client);
/* Requests under way or waiting for a connection. */
unsigned http_client_calls(const struct http_client *client);

/* Asks and waits. True: there is an answer, whatever its status; its body replaces what *ret_body
 * (an initialised buffer, whose maximum bounds the answer) held. False: *err says which server and
 * why. */
bool http_call_now(struct text server_url, const struct call *call, struct buffer *ret_body,
                   int *ret_status, struct err *err);

struct http_stream_call {
    struct text path;          /* with query */
    struct text bearer;        /* or empty */
    struct text last_event_id; /* or empty */
    int64_t silence_ms; /* give up after so long without a byte, in whole seconds; 0: never */
};

/* One line of the stream without its end; borrowed. False ends the stream. */
typedef bool http_line_fn(void *ctx, struct text line);

/* Reads an event stream until it ends or `on_line` says so. True: the server ended it, or on_line
 * did; *ret_status is its status, and if that is no 2xx, the body is in *ret_body and on_line was
 * not called. False: *err says which server and why; lines may have come before. */
bool http_stream_lines(struct text server_url, const struct http_stream_call *call,
                       http_line_fn *on_line, void *ctx, struct buffer *ret_body, int *ret_status,
                       struct err *err);

/* Some bytes of a body, borrowed; false ends the transfer. */
typedef bool http_bytes_fn(void *ctx, struct text bytes);

/* Asks, and hands the body of a 2xx answer over as it comes; any other body is in *ret_body, as of
 * http_call_now(). call->timeout_ms bounds the silence before and in the answer, not the whole.
 * True: there was an answer, and it came to its proper end. False: *err says why not; ERR_IO when
 * `on_bytes` ended it. */
bool http_download(struct text server_url, const struct call *call, http_bytes_fn *on_bytes,
                   void *ctx, struct buffer *ret_body, int *ret_status, struct err *err);

#endif
