/* SPDX-License-Identifier: Apache-2.0
 * http_url.h - the URL of a server, as given by a person: checked once, shown without credentials.
 */
#ifndef DIDES_NET_HTTP_URL_H
#define DIDES_NET_HTTP_URL_H

#include "base/err.h"
#include "base/text.h"

#define HTTP_URL_SIZE 512

struct http_url {
    char base[HTTP_URL_SIZE];  /* for requests: a path that starts with '/' is appended */
    char shown[HTTP_URL_SIZE]; /* for messages: without user and password */
};

/* Takes "http://host[:port][/prefix]" and https; no query, no fragment. The error says so. */
bool http_url_parse(struct text t, struct http_url *ret, struct err *err);

#endif
