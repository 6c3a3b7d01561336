/* SPDX-License-Identifier: Apache-2.0
 * json_pull.h - a small read-only tree, for clients that look at an answer whose shape they only
 * partly care about. Looking for what is not there is no error: getters take a default, and every
 * function takes a NULL node. */
#ifndef DIDES_WIRE_JSON_PULL_H
#define DIDES_WIRE_JSON_PULL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

enum json_node_kind {
    JSON_NODE_NULL,
    JSON_NODE_BOOL,
    JSON_NODE_NUMBER,
    JSON_NODE_TEXT,
    JSON_NODE_LIST,
    JSON_NODE_OBJECT,
};

struct json_node {
    enum json_node_kind kind;
    bool truth;                           /* of a bool */
    uint32_t count;                       /* of entries, for lists and objects */
    struct text key;                      /* inside an object */
    struct text text;                     /* of a text; of a number as it was written */
    const struct json_node *first, *next; /* entry; sibling */
};

/* Parses one object or list, as strictly as json_read(). Nodes live in `arena`, texts there or in
 * `body`. Fails with ERR_BAD_JSON or ERR_MEMORY. */
bool json_tree_parse(struct text body, struct arena *arena, const struct json_node **ret,
                     struct err *err);

/* The member with that key, or NULL. */
const struct json_node *json_member(const struct json_node *node, const char *key);
/* Along a path of keys, "progress.total" or, for lists, "waves.0.name"; NULL when a part is
 * missing. Keys that contain dots need json_member(). */
const struct json_node *json_at(const struct json_node *node, const char *path);

/* The value at `path` ("" is the node itself), or `otherwise` when it is missing or of another
 * kind. Integers must be exact. */
struct text json_get_text(const struct json_node *node, const char *path, struct text otherwise);
int64_t json_get_i64(const struct json_node *node, const char *path, int64_t otherwise);
bool json_get_bool(const struct json_node *node, const char *path, bool otherwise);
int64_t json_get_time(const struct json_node *node, const char *path, int64_t otherwise); /* ms */

/* for (entry = json_first(list); entry != NULL; entry = entry->next). NULL for other kinds. */
const struct json_node *json_first(const struct json_node *node);

#endif
