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
    struct json_run run; /* first: events get the builder as their context */
    struct json_keys keys;
    struct json_node *root;
    unsigned depth;
    struct level levels[LIMIT_JSON_DEPTH];
};

static bool fail_memory(struct builder *b)
{
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

static bool on_null(void *ctx)
{
    return add_node(ctx, JSON_NODE_NULL) != NULL;
}

static bool on_truth(void *ctx, bool truth)
{
    struct json_node *node = add_node(ctx, JSON_NODE_BOOL);
    if (node != NULL)
        node->truth = truth;
    return node != NULL;
}

static bool add_text(struct builder *b, enum json_node_kind kind, struct text t)
{
    struct json_node *node = add_node(b, kind);
    if (node != NULL)
        node->text = t;
    return node != NULL;
}

static bool on_number(void *ctx, struct text t)
{
    return add_text(ctx, JSON_NODE_NUMBER, t);
}

static bool on_text(void *ctx, struct text t)
{
    return add_text(ctx, JSON_NODE_TEXT, t);
}

static bool on_open(void *ctx, bool is_object)
{
    struct builder *b = ctx;
    struct json_node *node = add_node(b, is_object ? JSON_NODE_OBJECT : JSON_NODE_LIST);
    if (node == NULL)
        return false;
    assert(b->depth < LIMIT_JSON_DEPTH); /* the parser has looked */
    b->levels[b->depth++] = (struct level){ .node = node, .first_key = b->keys.count };
    return true;
}

static bool on_key(void *ctx, struct text t)
{
    struct builder *b = ctx;
    b->levels[b->depth - 1].key = t;
    return json_keys_add(&b->keys, b->run.arena, t, b->run.start) || fail_memory(b);
}

static bool on_close(void *ctx)
{
    struct builder *b = ctx;
    struct level *level = &b->levels[--b->depth];
    struct json_key twice;
    return json_keys_close(&b->keys, level->first_key, &twice) ||
           err_set(b->run.err, ERR_BAD_JSON,
                   "not acceptable JSON at byte %zu: this key is given twice", twice.offset);
}

static const struct json_events events = {
    .null = on_null,
    .truth = on_truth,
    .number = on_number,
    .text = on_text,
    .key = on_key,
    .open = on_open,
    .close = on_close,
};

bool json_tree_parse(struct text body, struct arena *arena, const struct json_node **ret,
                     struct err *err)
{
    struct builder b = { .depth = 0 };
    if (!json_run(&b.run, body, arena, &events, &b, err))
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
