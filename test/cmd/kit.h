/* SPDX-License-Identifier: Apache-2.0
 * kit.h - a server with canned answers on a free port, and `dides` run in this process against it,
 * with what it says caught. */
#ifndef DIDES_TEST_CMD_KIT_H
#define DIDES_TEST_CMD_KIT_H

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct kit;

/* cmocka's setup and teardown; *state is the kit. DIDES_SERVER is its URL meanwhile. */
int kit_open(void **state);
int kit_close(void **state);

/* Answers "METHOD /path" (any query, unless the path has one) with `body`. Several answers to the
 * same request come one after the other, the last for ever. Texts are borrowed. */
void kit_answer(struct kit *kit, const char *request, int status, const char *body);
/* The same as an event stream, which ends after `body`, or stays open. */
void kit_stream(struct kit *kit, const char *request, const char *body, bool stays_open);
/* Stops listening and cuts every connection; kit_start() listens on the same port again. */
void kit_stop(struct kit *kit);
void kit_start(struct kit *kit);

/* One line for each request that came: "POST /deploy?x=1 key=32 {body}\n". Borrowed until the next
 * call. "key=" is the length of the Idempotency-Key, "match=" If-Match, "last=" Last-Event-ID,
 * "auth=" Authorization; each only when it was sent. */
const char *kit_heard(struct kit *kit);

/* What a run said, and how it ended. */
struct said {
    int code;
    struct buffer out, err;
};
/* The words, up to NULL, are what follows "dides". Release what it returns. */
struct said dides(const char *word, ...) __attribute__((sentinel));
/* The same with a terminal of 80 columns and 24 lines as stdout; `said.out` is what it got. */
struct said dides_on_terminal(const char *word, ...) __attribute__((sentinel));
void said_release(struct said *said);

void assert_has(struct buffer *buffer, const char *part);
void assert_lacks(struct buffer *buffer, const char *part);
/* The whole of it. */
void assert_is(struct buffer *buffer, const char *whole);

#endif
