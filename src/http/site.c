/* SPDX-License-Identifier: Apache-2.0
 * site.c - routes about the server itself. */
#include "http/api_parts.h"

void site_metrics(struct api_call *call)
{
    metrics_write(call->api, &call->api->body);
    api_reply_as(call, 200, 0, "text/plain; version=0.0.4");
}

void site_health(struct api_call *call)
{
    buffer_add(&call->api->body, TEXT("{\"status\":\"ok\"}\n"));
    api_reply(call, 200, 0);
}

void site_ready(struct api_call *call)
{
    if (!api_is_writable(call)) {
        api_fail(call);
        return;
    }
    buffer_add(&call->api->body, TEXT("{\"status\":\"ready\"}\n"));
    api_reply(call, 200, 0);
}

/* For who opens the address in a browser or with curl: every route in one line. */
void site_root(struct api_call *call)
{
    struct buffer *out = &call->api->body;
    buffer_add(out, TEXT("dides " DIDES_VERSION ": deployment control plane\n\n"));
    for (size_t i = 0; i < route_count; i++)
        buffer_printf(out, "%-6s  %-32s  %s\n", routes[i].method, routes[i].path,
                      routes[i].summary);
    api_reply_as(call, 200, 0, "text/plain; charset=utf-8");
}
