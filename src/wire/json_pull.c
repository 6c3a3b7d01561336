/* SPDX-License-Identifier: Apache-2.0
 * json_pull.c - building the tree, and looking things up in it. */
#include "wire/json_pull.h"

#include "base/format.h"
#include "base/limits.h"
#include "wire/json_keys.h"
#include "wire/json_strict.h"

#include <assert.h>

/* ---- building ------------------------------------------------------------------------------- */

struct level {
    struct json_node *node, *newest; /* an open object or list, and its last entry so far */
    struct text key;                 /* of the next entry */
    size_t first_key;
};

struct builder {
    struct json_run run; /* first: callbacks get the builder as their context */
    struct json_keys keys;
    struct json_node *root;
    unsigned depth;
    struct level levels[LIMIT_JSON_DEPTH];
};

static int fail_memory(struct builder *b)
{
    b->run.failed = true;
    return err_set(b->run.err, ERR_MEMORY, "no memory for the tree of %zu bytes of JSON",
                   b->run.body.size);
}

static struct json_node *add_node(struct builder *b, enum json_node_kind kind)
{
    struct json_node *node = arena_take(b->run.arena, sizeof(*node));
    struct level *level = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;
    if (node == NULL) {
        fail_memory(b);
        return NULL;
    }
    node->kind = kind;
    if (level == NULL) {
        b->root = node;
        return node;
    }
    node->key = level->key;
    if (level->newest == NULL)
        level->node->first = node;
    else
        level->newest->next = node;
    level->newest = node;
    level->node->count++;
    return node;
}

static int on_null(void *ctx)
{
    struct builder *b = ctx;
    bool good = add_node(b, JSON_NODE_NULL) != NULL;
    json_run_passed(&b->run);
    return good;
}

static int on_bool(void *ctx, int truth)
{
    struct builder *b = ctx;
    struct json_node *node = add_node(b, JSON_NODE_BOOL);
    json_run_passed(&b->run);
    if (node == NULL)
        return 0;
    node->truth = truth != 0;
    return 1;
}

static int on_number(void *ctx, const char *data, size_t size)
{
    struct builder *b = ctx;
    struct json_node *node = add_node(b, JSON_NODE_NUMBER);
    json_run_passed(&b->run);
    return node != NULL && json_run_keep(&b->run, (const unsigned char *)data, size, &node->text);
}

static int on_text(void *ctx, const unsigned char *data, size_t size)
{
    struct builder *b = ctx;
    struct json_node *node = add_node(b, JSON_NODE_TEXT);
    json_run_passed(&b->run);
    return node != NULL && json_run_keep(&b->run, data, size, &node->text);
}

static int open(struct builder *b, enum json_node_kind kind)
{
    struct json_node *node = add_node(b, kind);
    json_run_passed(&b->run);
    if (node == NULL)
        return 0;
    assert(b->depth < LIMIT_JSON_DEPTH); /* the first pass has looked */
    b->levels[b->depth++] = (struct level){ .node = node, .first_key = b->keys.count };
    return 1;
}

static int on_open_object(void *ctx)
{
    return open(ctx, JSON_NODE_OBJECT);
}

static int on_open_list(void *ctx)
{
    return open(ctx, JSON_NODE_LIST);
}

static int on_key(void *ctx, const unsigned char *data, size_t size)
{
    struct builder *b = ctx;
    struct level *level = &b->levels[b->depth - 1];
    size_t start = json_run_start(&b->run);
    json_run_passed(&b->run);
    if (!json_run_keep(&b->run, data, size, &level->key))
        return 0;
    return json_keys_add(&b->keys, b->run.arena, level->key, start) || fail_memory(b);
}

static int on_close(void *ctx)
{
    struct builder *b = ctx;
    struct level *level = &b->levels[--b->depth];
    struct json_key twice;
    json_run_passed(&b->run);
    if (json_keys_close(&b->keys, level->first_key, &twice))
        return 1;
    b->run.failed = true;
    return err_set(b->run.err, ERR_BAD_JSON,
                   "not acceptable JSON at byte %zu: this key is given twice", twice.offset);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_text,
    .yajl_start_map = on_open_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close,
    .yajl_start_array = on_open_list,
    .yajl_end_array = on_close,
};

bool json_tree_parse(struct text body, struct arena *arena, const struct json_node **ret,
                     struct err *err)
{
    struct builder b = { .depth = 0 };
    if (!json_run(&b.run, body, arena, &callbacks, &b, err))
        return false;
    *ret = b.root;
    return true;
}

/* ---- looking -------------------------------------------------------------------------------- */

const struct json_node *json_first(const struct json_node *node)
{
    return node == NULL ? NULL : node->first;
}

static const struct json_node *member(const struct json_node *node, struct text key)
{
    if (node == NULL || node->kind != JSON_NODE_OBJECT)
        return NULL;
    for (const struct json_node *entry = node->first; entry != NULL; entry = entry->next)
        if (text_equal(entry->key, key))
            return entry;
    return NULL;
}

static const struct json_node *item(const struct json_node *node, struct text index)
{
    const struct json_node *entry = node->first;
    uint64_t steps;
    if (!text_to_u64(index, UINT32_MAX, &steps) || steps >= node->count)
        return NULL;
    while (steps-- > 0)
        entry = entry->next;
    return entry;
}

const struct json_node *json_member(const struct json_node *node, const char *key)
{
    return member(node, text_from(key));
}

const struct json_node *json_at(const struct json_node *node, const char *path)
{
    struct text rest = text_from(path), part;
    if (rest.size == 0)
        return node;
    while (node != NULL && text_cut(&rest, '.', &part))
        node = node->kind == JSON_NODE_LIST ? item(node, part) : member(node, part);
    return node;
}

struct text json_get_text(const struct json_node *node, const char *path, struct text otherwise)
{
    const struct json_node *found = json_at(node, path);
    return found != NULL && found->kind == JSON_NODE_TEXT ? found->text : otherwise;
}

int64_t json_get_i64(const struct json_node *node, const char *path, int64_t otherwise)
{
    const struct json_node *found = json_at(node, path);
    uint64_t value;
    if (found == NULL || found->kind != JSON_NODE_NUMBER)
        return otherwise;
    if (text_to_u64(found->text, INT64_MAX, &value))
        return (int64_t)value;
    if (found->text.data[0] == '-' &&
        text_to_u64(text_skip(found->text, 1), (uint64_t)INT64_MAX + 1, &value))
        return (int64_t)(0 - value);
    return otherwise;
}

bool json_get_bool(const struct json_node *node, const char *path, bool otherwise)
{
    const struct json_node *found = json_at(node, path);
    return found != NULL && found->kind == JSON_NODE_BOOL ? found->truth : otherwise;
}

int64_t json_get_time(const struct json_node *node, const char *path, int64_t otherwise)
{
    int64_t ms;
    struct text t = json_get_text(node, path, TEXT_NONE);
    return t.size > 0 && parse_time(t, &ms, NULL) ? ms : otherwise;
}
