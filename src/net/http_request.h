/* SPDX-License-Identifier: Apache-2.0
 * http_request.h - one request on a curl handle: what the client on the loop and the blocking calls
 * of the command line have in common. For the other files of net only. */
#ifndef DIDES_NET_HTTP_REQUEST_H
#define DIDES_NET_HTTP_REQUEST_H

#include "base/buffer.h"
#include "net/http_url.h"
#include "port/caller.h"

#include <curl/curl.h>

/* A handle for many requests, one after the other. */
struct http_request_handle {
    CURL *easy;
    struct curl_slist *fields;
    struct buffer url, body; /* body: that of the answer, unless a sink takes it */
    char curl_text[CURL_ERROR_SIZE];
    int64_t timeout_ms;
};

/* Once before the first handle; false with *err. Cheap when called again. */
bool http_request_start_library(struct err *err);

/* False: no memory. `body_max`: answers may be that long. */
bool http_request_init(struct http_request_handle *h, size_t body_max);
void http_request_release(struct http_request_handle *h);

/* Whether the fields of `call` can be sent as they are: no line ends, a path that starts with '/'.
 */
bool http_request_is_sound(const struct call *call);
/* Makes the handle ready for `call`; everything is copied. `more` (may be NULL) is one more header
 * line, `timeout_ms` 0 none. False: no memory. */
bool http_request_prepare(struct http_request_handle *h, const struct http_url *server,
                          const struct call *call, const char *more);

/* After the transfer: the status, or 0 and *err says which server and why. */
int http_request_result(struct http_request_handle *h, CURLcode code, const struct http_url *server,
                        int64_t *ret_retry_after_ms, struct err *err);

#endif
