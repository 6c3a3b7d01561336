/* SPDX-License-Identifier: Apache-2.0
 * openapi.c - prints the table of routes (routes.c), the field tables of requests, the shapes of
 * answers and the list of errors as one OpenAPI document. Nothing about a single route is said
 * here. */
#include "http/openapi.h"

#include "http/api_parts.h"
#include "wire/schema.h"
#include "wire/view_shapes.h"

#include <assert.h>

struct printer {
    struct json_writer w;
    struct schema_book book;
};

/* ---- small parts ---------------------------------------------------------------------------- */

static void put(struct printer *p, const char *key, const char *text)
{
    json_put_text(&p->w, key, text_from(text));
}

static void begin(struct printer *p, const char *key)
{
    json_key(&p->w, key);
    json_begin_object(&p->w);
}

static void end(struct printer *p)
{
    json_end_object(&p->w);
}

static void refer(struct printer *p, const char *kind, const char *name)
{
    struct sentence s;
    sentence_init(&s);
    buffer_printf(&s.buffer, "#/components/%s/%s", kind, name);
    put(p, "$ref", buffer_c_string(&s.buffer));
}

static bool is_post(const struct route *route)
{
    return strcmp(route->method, "POST") == 0;
}

/* ---- headers -------------------------------------------------------------------------------- */

struct header {
    const char *id; /* under which the document refers to it */
    const char *name;
    struct shape_field field; /* only its kind, limits and meaning */
};

/* clang-format off */
static const struct header request_headers[] = {
    { "if_match", "If-Match", { .kind = SHAPE_TEXT, .meaning = "one or more ETags, or *: the request is refused with 412 when the object has changed", .example = "\"\\\"7\\\"\"" } },
    { "if_none_match", "If-None-Match", { .kind = SHAPE_TEXT, .meaning = "one or more ETags, or *: the answer is 304 when one of them is the present one" } },
    { "idempotency_key", "Idempotency-Key", { .kind = SHAPE_TEXT, .min = 1, .max = 128, .meaning = "a success is kept for 24 h and answered again to the same request; the same key with another request is 422", .example = "\"0b1c9c1e\"" } },
    { "last_event_id", "Last-Event-ID", { .kind = SHAPE_COUNT, .meaning = "resume after this index; goes before the parameter after", .example = "0" } },
};
static const struct header answer_headers[] = {
    { "etag", "ETag", { .kind = SHAPE_TEXT, .meaning = "the quoted generation of the object, for If-Match", .example = "\"\\\"7\\\"\"" } },
    { "location", "Location", { .kind = SHAPE_TEXT, .meaning = "the path of the new object", .example = "\"/deploy/r-42\"" } },
    { "idempotency_replayed", "Idempotency-Replayed", { .kind = SHAPE_BOOL, .meaning = "true: this was answered before, to the same Idempotency-Key" } },
    { "retry_after", "Retry-After", { .kind = SHAPE_COUNT, .min = 1, .meaning = "seconds", .example = "1" } },
};
/* clang-format on */
#define HEADER_COUNT (sizeof request_headers / sizeof request_headers[0])

/* Example and description of a header stand beside its schema, not in it. */
static void put_schema(struct printer *p, const struct shape_field *field, const char *fallback)
{
    json_key(&p->w, "schema");
    schema_write_field(&p->book, &p->w, field, fallback);
}

static void write_headers(struct printer *p)
{
    begin(p, "headers");
    for (size_t i = 0; i < sizeof answer_headers / sizeof answer_headers[0]; i++) {
        begin(p, answer_headers[i].id);
        put(p, "description", answer_headers[i].field.meaning);
        put_schema(p, &answer_headers[i].field, NULL);
        end(p);
    }
    end(p);
}

static void write_header_parameters(struct printer *p)
{
    begin(p, "parameters");
    for (size_t i = 0; i < HEADER_COUNT; i++) {
        begin(p, request_headers[i].id);
        put(p, "name", request_headers[i].name);
        put(p, "in", "header");
        put(p, "description", request_headers[i].field.meaning);
        put_schema(p, &request_headers[i].field, NULL);
        end(p);
    }
    end(p);
}

static void put_header(struct printer *p, const struct header *header)
{
    begin(p, header->name);
    refer(p, "headers", header->id);
    end(p);
}

/* ---- parameters ----------------------------------------------------------------------------- */

static void write_parameter(struct printer *p, const struct param *param, const char *in)
{
    const struct shape_field *field = &param->field;
    json_begin_object(&p->w);
    put(p, "name", field->name);
    put(p, "in", in);
    put(p, "description", field->meaning);
    if (strcmp(in, "path") == 0)
        json_put_bool(&p->w, "required", true);
    if (field->kind == SHAPE_WORDS) { /* one parameter, its words apart by commas */
        put(p, "style", "form");
        json_put_bool(&p->w, "explode", false);
    }
    put_schema(p, field, param->fallback);
    json_end_object(&p->w);
}

static void write_header_parameter(struct printer *p, size_t number)
{
    json_begin_object(&p->w);
    refer(p, "parameters", request_headers[number].id);
    json_end_object(&p->w);
}

static void write_path_parameters(struct printer *p, const struct route *route)
{
    struct text rest = text_from(route->path);
    struct text part;
    while (text_cut(&rest, '/', &part)) {
        if (part.size < 2 || part.data[0] != '{')
            continue;
        const struct param *param =
            param_find(route, (struct text){ part.data + 1, part.size - 2 });
        assert(param);
        write_parameter(p, param, "path");
    }
}

static void put_parameters(struct printer *p, const struct route *route)
{
    struct text rest = text_from(route->params);
    struct text name;
    json_key(&p->w, "parameters");
    json_begin_list(&p->w);
    write_path_parameters(p, route);
    while (rest.size > 0 && text_cut(&rest, ' ', &name)) {
        const struct param *param = param_find(route, name);
        assert(param);
        write_parameter(p, param, "query");
    }
    static const unsigned flags[HEADER_COUNT] = { ROUTE_MATCHED, ROUTE_CACHED, 0, ROUTE_STREAMS };
    for (size_t i = 0; i < HEADER_COUNT; i++)
        if (flags[i] ? (route->flags & flags[i]) != 0 : is_post(route))
            write_header_parameter(p, i);
    json_end_list(&p->w);
}

/* ---- security ------------------------------------------------------------------------------- */

static void write_security(struct printer *p)
{
    begin(p, "securitySchemes");
    begin(p, "credential");
    put(p, "type", "http");
    put(p, "scheme", "bearer");
    put(p, "description",
        "what the registration of this instance was answered with; needed unless the server is "
        "open, that is, has no registration tokens");
    end(p);
    end(p);
}

/* Optional: an open server asks for none, and a first registration has none. */
static void put_security(struct printer *p, const struct route *route)
{
    if (!(route_errors(route) & ROUTE_ERR(ERR_UNAUTHENTICATED)))
        return;
    json_key(&p->w, "security");
    json_begin_list(&p->w);
    json_begin_object(&p->w);
    json_end_object(&p->w);
    json_begin_object(&p->w);
    json_key(&p->w, "credential");
    json_begin_list(&p->w);
    json_end_list(&p->w);
    json_end_object(&p->w);
    json_end_list(&p->w);
}

/* ---- bodies --------------------------------------------------------------------------------- */

static void put_body(struct printer *p, const struct route *route)
{
    if (!route->body)
        return;
    begin(p, "requestBody");
    json_put_bool(&p->w, "required", !route->body->empty_is_object);
    begin(p, "content");
    begin(p, "application/json");
    json_key(&p->w, "schema");
    schema_refer_table(&p->book, &p->w, route->body, false);
    json_key(&p->w, "example");
    json_write_raw(&p->w, text_from(route->example));
    end(p);
    end(p);
    end(p);
}

static void put_content(struct printer *p, const struct route_answer *answer)
{
    if (!answer->shape && !answer->type)
        return;
    begin(p, "content");
    begin(p, answer->type ? answer->type : "application/json");
    json_key(&p->w, "schema");
    if (answer->type) {
        json_begin_object(&p->w);
        put(p, "type", strcmp(answer->type, "application/json") == 0 ? "object" : "string");
        json_end_object(&p->w);
    } else {
        schema_refer_shape(&p->book, &p->w, answer->shape);
    }
    if (answer->type && answer->shape) { /* what each entry of a stream is */
        json_key(&p->w, "x-entry");
        schema_refer_shape(&p->book, &p->w, answer->shape);
    }
    end(p);
    end(p);
}

static void put_answer(struct printer *p, const struct route *route,
                       const struct route_answer *answer)
{
    char key[8];
    snprintf(key, sizeof key, "%d", answer->status);
    begin(p, key);
    put(p, "description", answer->meaning);
    begin(p, "headers");
    if (route->flags & ROUTE_TAGGED)
        put_header(p, &answer_headers[0]);
    if (answer->status == 201 && route->flags & ROUTE_TAGGED)
        put_header(p, &answer_headers[1]);
    if (is_post(route))
        put_header(p, &answer_headers[2]);
    end(p);
    put_content(p, answer);
    end(p);
}

/* ---- errors --------------------------------------------------------------------------------- */

static bool is_of(uint64_t errors, unsigned code, int status)
{
    return errors & ROUTE_ERR(code) && err_http_status((enum err_code)code) == status;
}

/* Code by code: what each means here. */
static void put_titles(struct printer *p, uint64_t errors, int status)
{
    struct sentence s;
    sentence_init(&s);
    for (unsigned code = 0; code < ERR_CODE_COUNT; code++)
        if (is_of(errors, code, status))
            buffer_printf(&s.buffer, "%s%s: %s", s.buffer.size > 0 ? "; " : "",
                          err_word((enum err_code)code), err_title((enum err_code)code));
    json_put_text(&p->w, "description", buffer_text(&s.buffer));
}

/* The schema of problems, with the codes that this status has here. */
static void put_problem(struct printer *p, uint64_t errors, int status)
{
    begin(p, "content");
    begin(p, "application/problem+json");
    begin(p, "schema");
    json_key(&p->w, "allOf");
    json_begin_list(&p->w);
    schema_refer_shape(&p->book, &p->w, &wire_problem_shape);
    json_begin_object(&p->w);
    begin(p, "properties");
    begin(p, "code");
    json_key(&p->w, "enum");
    json_begin_list(&p->w);
    for (unsigned code = 0; code < ERR_CODE_COUNT; code++)
        if (is_of(errors, code, status))
            json_write_text(&p->w, text_from(err_word((enum err_code)code)));
    json_end_list(&p->w);
    end(p);
    end(p);
    json_end_object(&p->w);
    json_end_list(&p->w);
    end(p);
    end(p);
    end(p);
}

static bool is_retryable(uint64_t errors, int status)
{
    for (unsigned code = 0; code < ERR_CODE_COUNT; code++)
        if (is_of(errors, code, status) && err_is_retryable((enum err_code)code))
            return true;
    return false;
}

static void put_errors(struct printer *p, const struct route *route)
{
    uint64_t errors = route_errors(route);
    for (int status = 400; status < 600; status++) {
        bool is_there = false;
        for (unsigned code = 0; code < ERR_CODE_COUNT && !is_there; code++)
            is_there = is_of(errors, code, status);
        if (!is_there)
            continue;
        char key[8];
        snprintf(key, sizeof key, "%d", status);
        begin(p, key);
        put_titles(p, errors, status);
        if (is_retryable(errors, status)) {
            begin(p, "headers");
            put_header(p, &answer_headers[3]);
            end(p);
        }
        put_problem(p, errors, status);
        end(p);
    }
}

/* ---- routes --------------------------------------------------------------------------------- */

static void put_operation(struct printer *p, const struct route *route)
{
    char method[8] = { 0 };
    for (size_t i = 0; i < sizeof method - 1 && route->method[i]; i++)
        method[i] = (char)(route->method[i] | 0x20);
    begin(p, method);
    put(p, "operationId", route->name);
    put(p, "summary", route->summary);
    json_key(&p->w, "tags");
    json_begin_list(&p->w);
    json_write_text(&p->w, text_from(route->tag));
    json_end_list(&p->w);
    put_parameters(p, route);
    put_security(p, route);
    put_body(p, route);
    begin(p, "responses");
    for (size_t i = 0; i < ROUTE_ANSWERS_MAX && route->answers[i].status != 0; i++)
        put_answer(p, route, &route->answers[i]);
    put_errors(p, route);
    end(p);
    end(p);
}

static bool is_first_of_path(size_t number)
{
    for (size_t i = 0; i < number; i++)
        if (strcmp(routes[i].path, routes[number].path) == 0)
            return false;
    return true;
}

static void put_paths(struct printer *p)
{
    begin(p, "paths");
    for (size_t i = 0; i < route_count; i++) {
        if (!is_first_of_path(i))
            continue;
        begin(p, routes[i].path);
        for (size_t k = i; k < route_count; k++)
            if (strcmp(routes[k].path, routes[i].path) == 0)
                put_operation(p, &routes[k]);
        end(p);
    }
    end(p);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void put_info(struct printer *p)
{
    begin(p, "info");
    put(p, "title", "dides");
    put(p, "version", DIDES_VERSION);
    put(p, "summary", "a control plane for deployments");
    put(p, "description",
        "One trailing slash of a path is ignored, its parts are percent-decoded once, and HEAD is "
        "answered where GET is. An unknown path is 404 not_found; a known one with another method "
        "is 405 method_not_allowed, with the field Allow. Parameters and, where the schema says "
        "so, keys of bodies that are not known are refused. Errors are problem documents; programs "
        "match on their code. What is no HTTP, and a head that is far too long, may be refused "
        "without a document. Answers may get more members: ignore what you do not know.");
    begin(p, "license");
    put(p, "name", "Apache License 2.0");
    put(p, "identifier", "Apache-2.0");
    end(p);
    end(p);
    json_key(&p->w, "servers");
    json_begin_list(&p->w);
    json_begin_object(&p->w);
    put(p, "url", "/");
    json_end_object(&p->w);
    json_end_list(&p->w);
}

static void put_tags(struct printer *p)
{
    static const struct {
        const char *name, *meaning;
    } tags[] = {
        { "inventory", "instances and their reports" },
        { "rollouts", "moving instances to a version; the API calls a rollout a deployment" },
        { "events", "what has happened" },
        { "server", "the server itself" },
    };
    json_key(&p->w, "tags");
    json_begin_list(&p->w);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        json_begin_object(&p->w);
        put(p, "name", tags[i].name);
        put(p, "description", tags[i].meaning);
        json_end_object(&p->w);
    }
    json_end_list(&p->w);
}

void openapi_write(struct buffer *out)
{
    struct printer p = { .book = { .count = 0 } };
    json_writer_init(&p.w, out);
    json_begin_object(&p.w);
    put(&p, "openapi", "3.1.0");
    put_info(&p);
    put_tags(&p);
    put_paths(&p);
    begin(&p, "components");
    write_header_parameters(&p);
    write_headers(&p);
    write_security(&p);
    begin(&p, "schemas");
    schema_write_book(&p.book, &p.w);
    end(&p);
    end(&p);
    json_end_object(&p.w);
}
