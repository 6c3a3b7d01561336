/* SPDX-License-Identifier: Apache-2.0
 * site.c - routes about the server itself. */
#include "http/api_parts.h"
#include "http/openapi.h"

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

/* ---- the reference of the API --------------------------------------------------------------- */

/* The document does not change while the server runs: it is printed for the first who asks. */
static bool has_document(struct api *api)
{
    if (api->openapi.size > 0 && !api->openapi.failed)
        return true;
    buffer_release(&api->openapi);
    buffer_init(&api->openapi, &memory_heap, OPENAPI_SIZE_MAX);
    openapi_write(&api->openapi);
    snprintf(api->openapi_tag, sizeof api->openapi_tag, "\"%016llx\"",
             (unsigned long long)text_hash(buffer_text(&api->openapi), 0));
    return !api->openapi.failed;
}

void site_openapi(struct api_call *call)
{
    struct api *api = call->api;
    if (!has_document(api)) {
        err_set(&call->err, ERR_MEMORY, "no memory for the document");
        api_fail(call);
        return;
    }
    snprintf(call->fields.etag, sizeof call->fields.etag, "%s", api->openapi_tag);
    bool is_known = api_lists_tag(http_field(call->x, "If-None-Match"), api->openapi_tag);
    if (!is_known)
        buffer_add(&api->body, buffer_text(&api->openapi));
    api_reply(call, is_known ? 304 : 200, 0);
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
