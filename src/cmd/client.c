/* SPDX-License-Identifier: Apache-2.0
 * client.c - see client.h. */
#include "cmd/client.h"

#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/options.h"
#include "net/http_client.h"

#include <errno.h>
#include <sys/random.h>

#define TREE_MAX     (8 * (size_t)HTTP_ANSWER_MAX)
#define KEY_BYTES    16 /* of an Idempotency-Key */
#define PROBLEMS_MAX 20 /* places that are listed */
#define NS_PER_MS    1000000

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

int64_t wall_now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t steady_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

void sleep_ms(int64_t ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS };
    while (ms > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* ---- options -------------------------------------------------------------------------------- */

static bool read_token(struct client *client, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        remark("cannot read the token in %s: %s", path, strerror(errno));
        return false;
    }
    size_t size = fread(client->token, 1, sizeof client->token, file);
    bool is_whole = !ferror(file) && size <= LIMIT_TOKEN;
    fclose(file);
    client->bearer = text_trim((struct text){ client->token, size });
    if (is_whole && client->bearer.size > 0 && text_is_printable(client->bearer))
        return true;
    remark("%s does not hold one token of at most %d bytes", path, LIMIT_TOKEN);
    return false;
}

bool client_open(struct client *client, const struct command *command,
                 const struct client_options *options, int64_t timeout_ms, int *ret_exit)
{
    *client = (struct client){ .server = text_from(options->server),
                               .bearer = text_from(options->token),
                               .timeout_ms = timeout_ms > 0 ? timeout_ms : CLIENT_CALL_MS };
    arena_init(&client->arena, &memory_heap, TREE_MAX);
    buffer_init(&client->body, &memory_heap, HTTP_ANSWER_MAX);
    if (!output_format_parse(text_from(options->output), &client->format)) {
        *ret_exit =
            wrong_usage(command, "--output: \"%s\" is none of table, wide, json, jsonl, yaml, name",
                        options->output);
        return false;
    }
    if (client->bearer.size == 0 && options->token_file &&
        !read_token(client, options->token_file)) {
        *ret_exit = EXIT_OTHER;
        return false;
    }
    return true;
}

void client_release(struct client *client)
{
    if (!client->body.memory)
        return;
    arena_release(&client->arena);
    buffer_release(&client->body);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* 128 random bits in hex; false: the kernel has none. */
static bool make_key(char space[static 2 * KEY_BYTES + 1], struct err *err)
{
    uint8_t bytes[KEY_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_set(err, ERR_IO, "no random bytes for an idempotency key: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(space + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static bool send_request(struct client *client, const struct request *request, struct err *err)
{
    char key[2 * KEY_BYTES + 1] = "", generation[32] = "";
    if (strcmp(request->method, "POST") == 0 && !make_key(key, err))
        return false;
    if (request->if_generation > 0)
        snprintf(generation, sizeof generation, "\"%llu\"",
                 (unsigned long long)request->if_generation);
    struct call call = { .method = request->method,
                         .path = text_from(request->path),
                         .body = request->body,
                         .bearer = client->bearer,
                         .idempotency_key = text_from(key),
                         .if_match = text_from(generation),
                         .timeout_ms = client->timeout_ms };
    return http_call_now(client->server, &call, &client->body, &client->status, err);
}

static bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

enum exit_code client_try(struct client *client, const struct request *request)
{
    struct err err = { 0 };
    arena_clear(&client->arena);
    buffer_clear(&client->body);
    client->root = NULL;
    client->status = 0;
    client->err = err;
    if (!send_request(client, request, &client->err))
        return exit_of_err(&client->err);
    if (client->body.size > 0 &&
        !json_tree_parse(buffer_text(&client->body), &client->arena, &client->root, &err)) {
        client->root = NULL;
        if (is_success(client->status)) {
            err_prefix(&err, "the answer to %s %s", request->method, request->path);
            client->err = err;
            client->status = 0;
            return EXIT_OTHER;
        }
    }
    if (is_success(client->status))
        return EXIT_DONE;
    return exit_of_status(client->status, json_get_text(client->root, "code", TEXT_NONE));
}

static void remark_allowed(const struct json_node *problem)
{
    const struct json_node *verb = json_first(json_member(problem, "allowed_verbs"));
    cleanup(buffer_release) struct buffer list = { 0 };
    buffer_init(&list, &memory_heap, LIMIT_BODY);
    for (; verb; verb = verb->next) {
        buffer_add(&list, list.size > 0 ? TEXT(", ") : TEXT_NONE);
        buffer_add(&list, json_get_text(verb, "", TEXT("?")));
    }
    if (list.size > 0 && !list.failed)
        remark_more("  allowed now: %s", buffer_c_string(&list));
}

/* The places of the faults; not one that the detail has told already. */
static void remark_places(const struct json_node *problem, struct text detail)
{
    const struct json_node *error = json_first(json_member(problem, "errors"));
    for (unsigned count = 0; error && count < PROBLEMS_MAX; error = error->next, count++) {
        struct text pointer = json_get_text(error, "pointer", TEXT_NONE);
        struct text message = json_get_text(error, "message", TEXT_NONE);
        bool is_told = text_starts_with(detail, pointer) && text_ends_with(detail, message);
        if (!is_told)
            remark_more("  %.*s: %.*s", TEXT_ARG(pointer), TEXT_ARG(message));
    }
}

void client_complain(const struct client *client)
{
    const struct json_node *problem = client->root;
    if (client->status == 0) {
        remark("%s", client->err.text);
        return;
    }
    struct text detail = json_get_text(problem, "detail", TEXT_NONE);
    if (detail.size == 0)
        detail = json_get_text(problem, "title", TEXT_NONE);
    if (detail.size == 0) {
        remark("the server answered with status %d and no reason", client->status);
        return;
    }
    remark("%.*s", TEXT_ARG(detail));
    remark_places(problem, detail);
    struct text state = json_get_text(problem, "current_state", TEXT_NONE);
    if (state.size > 0)
        remark_more("  state now: %.*s", TEXT_ARG(state));
    remark_allowed(problem);
    struct text other = json_get_text(problem, "deployment_id", TEXT_NONE);
    if (other.size > 0)
        remark_more("  see: dides rollout %.*s", TEXT_ARG(other));
}

enum exit_code client_ask(struct client *client, const struct request *request)
{
    enum exit_code code = client_try(client, request);
    if (code != EXIT_DONE)
        client_complain(client);
    return code;
}

/* ---- which rollout -------------------------------------------------------------------------- */

enum exit_code client_live_rollout(struct client *client, bool is_quiet,
                                   char space[static ROLLOUT_ID_SIZE])
{
    enum exit_code code =
        client_ask(client, &(struct request){ .method = "GET", .path = "/deploy/status" });
    if (code != EXIT_DONE)
        return code;
    const struct json_node *list = json_member(client->root, "deployments");
    const struct json_node *first = json_first(list);
    struct text id = json_get_text(first, "id", TEXT_NONE);
    if (!first) {
        if (!is_quiet)
            remark("no rollout is live; name one: dides rollouts lists all");
        return EXIT_NOT_FOUND;
    }
    if (first->next) {
        remark("%u rollouts are live; say which one: dides rollouts --active lists them",
               (unsigned)list->count);
        return EXIT_USAGE;
    }
    if (id.size == 0 || id.size >= ROLLOUT_ID_SIZE) {
        remark("the server named no id of the live rollout");
        return EXIT_OTHER;
    }
    snprintf(space, ROLLOUT_ID_SIZE, "%.*s", TEXT_ARG(id));
    return EXIT_DONE;
}

enum exit_code client_rollout_id(struct client *client, const char *operand,
                                 char space[static ROLLOUT_ID_SIZE])
{
    if (!operand)
        return client_live_rollout(client, false, space);
    if (operand[0] == '\0' || strlen(operand) >= ROLLOUT_ID_SIZE) {
        remark("\"%s\" is no id of a rollout; they look like r-42", operand);
        return EXIT_USAGE;
    }
    snprintf(space, ROLLOUT_ID_SIZE, "%s", operand);
    return EXIT_DONE;
}

/* ---- paths ---------------------------------------------------------------------------------- */

void path_init(struct path *path, const char *start)
{
    *path = (struct path){ .has_query = strchr(start, '?') != NULL };
    buffer_init(&path->text, &memory_heap, PATH_MAX_BYTES);
    buffer_add(&path->text, text_from(start));
}

void path_release(struct path *path)
{
    buffer_release(&path->text);
}

void path_add_part(struct path *path, struct text part)
{
    buffer_add_byte(&path->text, '/');
    percent_encode(&path->text, part);
}

void path_add_parameter(struct path *path, const char *name, struct text value)
{
    if (value.size == 0)
        return;
    buffer_add_byte(&path->text, path->has_query ? '&' : '?');
    buffer_add(&path->text, text_from(name));
    buffer_add_byte(&path->text, '=');
    percent_encode(&path->text, value);
    path->has_query = true;
}
