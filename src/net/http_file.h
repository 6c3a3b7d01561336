/* SPDX-License-Identifier: Apache-2.0
 * http_file.h - an answer that is the content of a file: an unnamed one that nobody else has, so
 * that its room on the disk is given back when it was sent. */
#ifndef DIDES_NET_HTTP_FILE_H
#define DIDES_NET_HTTP_FILE_H

#include "net/http_server.h"

struct http_file;

/* Takes the descriptor. `done` is called once from the loop, when the file was sent, or cannot be,
 * or was dropped, and is given back; then it is gone. NULL: no memory; then the descriptor is
 * closed. */
struct http_file *http_file_new(struct loop *loop, int fd, loop_fn *done, void *ctx);

/* One of these two, once. Sending gives the exchange back. */
void http_file_send(struct http_file *file, struct http_exchange *x,
                    const struct http_answer *head);
void http_file_drop(struct http_file *file);

/* At once, without calling `done`: not while it is being sent. NULL is allowed. */
void http_file_free(struct http_file *file);

#endif
