/* SPDX-License-Identifier: Apache-2.0
 * site.h - a small HTTP server for the tests, on a real loopback socket, with a route for each way
 * to answer; and raw clients that say bytes and hear what comes. All in one thread: whoever waits
 * runs the loop meanwhile. */
#ifndef DIDES_TEST_NET_SITE_H
#define DIDES_TEST_NET_SITE_H

#include "base/buffer.h"
#include "net/http_server.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SITE_BODY_LIMIT 1000
#define SITE_HELD_MAX   2560
#define SITE_PULL_BYTES (10 * 1024 * 1024)

/*  GET  /hello    "hello\n" at once, with a field
 *  any  /echo     the body
 *  GET  /show     path, query, one field and the client's host as text
 *  GET  /late     answered at the end of the round
 *  GET  /hold     held until the test answers
 *  GET  /abandon  closed without answer
 *  GET  /error    404 as the server renders errors
 *  GET  /evil     a header with a line end in it
 *  GET  /busy     503 with Retry-After: 7
 *  GET  /stream   a stream the test feeds
 *  GET  /pull     SITE_PULL_BYTES bytes, slice by slice
 *  GET  /broken   a pull that fails after its first slice */
struct site {
    struct loop *loop;
    struct http_server *server; /* NULL once closed */
    struct http_exchange *held[SITE_HELD_MAX], *late[SITE_HELD_MAX];
    bool held_streams[SITE_HELD_MAX]; /* that one is a stream */
    size_t held_count, late_count;
    unsigned gone, pulls_open, pulls_done;
    bool is_closing, closed;
    char url[64];
};

/* Group of one test each: cmocka's setup and teardown; *state is the site. With the environment
 * variable SITE_IO_THREADS its connections are on so many threads. */
int site_open(void **state);
int site_open_quick(void **state); /* with deadlines of tenths of a second */
int site_close(void **state);
/* `closed` is set at its end. The teardown does so, too, unless it was done. */
void site_begin_close(struct site *site, int64_t grace_ms);

struct http_handler site_handler(struct site *site); /* for another server */

/* Runs the loop until `*what` >= `wanted` or five seconds have passed; then false. */
bool site_wait(struct site *site, const unsigned *what, unsigned wanted);
bool site_wait_held(struct site *site, size_t wanted);
void site_run(struct site *site, int64_t ms);
/* Answers held exchange number `i` with `body`. */
void site_answer_held(struct site *site, size_t i, const char *body);

int site_dial(struct site *site);
void site_say(int fd, struct text bytes);
/* Reads until `until` stands in what came, or the end. Fails the test after five seconds. */
void site_hear(struct site *site, int fd, struct buffer *ret, const char *until);
/* The whole talk: says, hears until the server closes, closes. */
void site_talk(struct site *site, const char *request, struct buffer *ret);
bool site_is_closed(struct site *site, int fd); /* waits up to five seconds for the end */

/* What a client heard: an empty buffer to start with, and claims about it. */
struct buffer heard_nothing(void);
void assert_has(struct buffer *heard, const char *text);
void assert_lacks(struct buffer *heard, const char *text);

#endif
