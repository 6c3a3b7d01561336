/* SPDX-License-Identifier: Apache-2.0
 * api.h - the HTTP API: from requests to commands of the engine and back. One table of routes
 * (routes.c) says what there is. Source: spec of rollouts, section 9. */
#ifndef DIDES_HTTP_API_H
#define DIDES_HTTP_API_H

#include "engine/engine.h"
#include "http/auth.h"
#include "net/http_server.h"

struct api;

struct api_options {
    struct engine *engine; /* borrowed until api_close() */
    struct loop *loop;     /* borrowed likewise */
    struct log_port log;
    struct auth_options auth;
};

bool api_open(const struct api_options *options, struct api **ret, struct err *err);
/* To be given to http_server_open(). */
struct http_handler api_handler(struct api *api);
/* Where connection counts come from; NULL: none. */
void api_watch_server(struct api *api, const struct http_server *server);
/* From now on /readyz is 503 and streams end. */
void api_stop(struct api *api);
/* After the server was closed and the engine freed. NULL is allowed. */
void api_close(struct api *api);

#endif
