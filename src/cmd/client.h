/* SPDX-License-Identifier: Apache-2.0
 * client.h - what the commands that talk to a server share: options, requests with a deadline, and
 * how refusals are shown. */
#ifndef DIDES_CMD_CLIENT_H
#define DIDES_CMD_CLIENT_H

#include "base/limits.h"
#include "cmd/command.h"
#include "cmd/document.h"
#include "cmd/exit_code.h"
#include "cmd/terminal.h"

struct client_options {
    const char *server, *token, *token_file, *output;
};

#define CLIENT_CALL_MS 30000 /* deadline of a request when no other is given */

/* clang-format off */
/* Rows for a struct `type` with a member `client` of the type above. */
#define CLIENT_ROWS(type)                                                                       \
    { .name = "server", .kind = OPTION_TEXT, .offset = offsetof(type, client.server),           \
      .argument = "URL", .meaning = "where the server is",                                      \
      .fallback = "http://127.0.0.1:7420", .environment = "DIDES_SERVER" },                     \
    { .name = "token", .kind = OPTION_TEXT, .offset = offsetof(type, client.token),             \
      .argument = "TOKEN", .environment = "DIDES_TOKEN",                                        \
      .meaning = "who asks; other users see arguments in the list of processes, so better "     \
                 "set the variable or use --token-file" },                                      \
    { .name = "token-file", .kind = OPTION_TEXT, .offset = offsetof(type, client.token_file),   \
      .argument = "FILE", .meaning = "read the token from this file",                           \
      .environment = "DIDES_TOKEN_FILE" },                                                      \
    { .name = "output", .letter = 'o', .kind = OPTION_TEXT,                                     \
      .offset = offsetof(type, client.output), .argument = "FORMAT",                            \
      .meaning = "how to print: table, wide, json, jsonl, yaml or name", .fallback = "table",   \
      .choices = OUTPUT_FORMATS(OUTPUT_CHOICE) }
/* For commands that do not wait for a rollout: a member `timeout_ms`. */
#define CALL_TIMEOUT_ROW(type)                                                                  \
    { .name = "timeout", .kind = OPTION_DURATION, .offset = offsetof(type, timeout_ms),         \
      .argument = "TIME", .meaning = "give up when the server has not answered for so long",    \
      .fallback = "30s" }
/* clang-format on */

struct client {
    struct text server, bearer;
    char token[LIMIT_TOKEN + 1];
    int64_t timeout_ms; /* of each request */
    enum output_format format;
    struct arena arena; /* of the newest answer's tree */
    struct buffer body; /* of the newest answer */
    int status;         /* of the newest answer; 0: there was none, and `err` says why */
    struct err err;
    const struct json_node *root; /* of the newest answer, or NULL: no body, or no JSON */
};

/* False: *ret_exit says how to end; it was remarked why. `timeout_ms` 0 stands for the default. */
bool client_open(struct client *client, const struct command *command,
                 const struct client_options *options, int64_t timeout_ms, int *ret_exit);
void client_release(struct client *client);

struct request {
    const char *method;
    const char *path; /* with query, percent-encoded */
    struct text body;
    uint64_t if_generation; /* refuse when the rollout's generation is another; 0: any */
};

/* Asks; what the answer before this one left is gone. EXIT_DONE: a 2xx, with a tree in client->root
 * unless there was no body. Says nothing. A POST carries a new Idempotency-Key. */
enum exit_code client_try(struct client *client, const struct request *request);
/* The same, and remarks a failure. */
enum exit_code client_ask(struct client *client, const struct request *request);
/* Remarks why the newest request failed: the problem document's detail, its places, and what is
 * allowed instead. */
void client_complain(const struct client *client);

/* The id of the live rollout, copied to `space`. EXIT_NOT_FOUND when none is live, EXIT_USAGE when
 * several are; remarked, unless `is_quiet` and none is. */
#define ROLLOUT_ID_SIZE 64
enum exit_code client_live_rollout(struct client *client, bool is_quiet,
                                   char space[static ROLLOUT_ID_SIZE]);
/* The id from an operand, or, when it is NULL, of the live rollout. */
enum exit_code client_rollout_id(struct client *client, const char *operand,
                                 char space[static ROLLOUT_ID_SIZE]);

/* A path under construction: parts are percent-encoded, parameters with empty values left out. */
#define PATH_MAX_BYTES LIMIT_URL
struct path {
    struct buffer text;
    bool has_query;
};
void path_init(struct path *path, const char *start);
void path_release(struct path *path);
void path_add_part(struct path *path, struct text part);
void path_add_parameter(struct path *path, const char *name, struct text value);

/* ms since the epoch, for ages. */
int64_t wall_now_ms(void);
/* ms from some start, for deadlines. */
int64_t steady_now_ms(void);
void sleep_ms(int64_t ms);

#endif
