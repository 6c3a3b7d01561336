/* SPDX-License-Identifier: Apache-2.0
 * fleet_kit.c - a small fleet, driven by the bodies of requests. */
#include "wire/fleet_kit.h"

#include "wire/json_pull.h"
#include "wire/request.h"

#include <stdlib.h>

#define KIT_ARENA_MAX (64u << 20)

void kit_init(struct kit *kit)
{
    struct err err = { 0 };
    if (!fleet_init(&kit->fleet, &memory_heap, &fleet_settings_default, 7, &err))
        fail_msg("%s", err.text);
    arena_init(&kit->arena, &memory_heap, KIT_ARENA_MAX);
    buffer_init(&kit->out, &memory_heap, 16u << 20);
    fleet_begin(&kit->fleet, KIT_START, TEXT("ana"));
}

void kit_release(struct kit *kit)
{
    fleet_release(&kit->fleet);
    arena_release(&kit->arena);
    buffer_release(&kit->out);
}

int kit_setup(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    if (!kit)
        return -1;
    kit_init(kit);
    *state = kit;
    return 0;
}

int kit_teardown(void **state)
{
    struct kit *kit = *state;
    kit_release(kit);
    free(kit);
    return 0;
}

struct text kit_quote(struct kit *kit, const char *json)
{
    struct text copy;
    if (!arena_copy(&kit->arena, text_from(json), &copy))
        fail_msg("no memory");
    for (size_t i = 0; i < copy.size; i++)
        if (copy.data[i] == '\'')
            ((char *)(uintptr_t)copy.data)[i] = '"';
    return copy;
}

const char *long_body(struct kit *kit, const char *before, size_t size, const char *after)
{
    struct text letters;
    char *space = malloc(size);
    if (!space)
        fail_msg("no memory");
    else
        memset(space, 'x', size);
    buffer_clear(&kit->out);
    buffer_add(&kit->out, text_from(before));
    buffer_add(&kit->out, (struct text){ space, size });
    buffer_add(&kit->out, text_from(after));
    free(space);
    if (!arena_copy(&kit->arena, buffer_text(&kit->out), &letters))
        fail_msg("no memory");
    return letters.data;
}

void kit_begin(struct kit *kit, int64_t later_ms)
{
    fleet_begin(&kit->fleet, kit->fleet.now + later_ms, TEXT("ana"));
}

static void check(bool good, const char *what, const struct err *err)
{
    if (!good)
        fail_msg("%s: %s at \"%s\"", what, err->text, err->pointer);
}

uint32_t kit_register(struct kit *kit, const char *body)
{
    struct err err = { 0 };
    struct wire_register read;
    struct register_result result;
    check(wire_read_register(kit_quote(kit, body), &kit->arena, &read, NULL, &err), body, &err);
    kit_begin(kit, 0);
    check(fleet_register(&kit->fleet, &read.command, &result, &err), body, &err);
    return result.slot;
}

uint32_t kit_slot(struct kit *kit, const char *key)
{
    uint32_t slot = fleet_find(&kit->fleet, text_from(key));
    if (slot == FLEET_NONE)
        fail_msg("no instance %s", key);
    return slot;
}

void kit_beat(struct kit *kit, const char *key, const char *body)
{
    struct err err = { 0 };
    struct wire_heartbeat read;
    struct heartbeat_result result;
    check(wire_read_heartbeat(kit_quote(kit, body), &kit->arena, &read, NULL, &err), body, &err);
    kit_begin(kit, 0);
    check(fleet_heartbeat(&kit->fleet, kit_slot(kit, key), &read.command, &result, &err), body,
          &err);
}

struct rollout *kit_deploy(struct kit *kit, const char *body)
{
    struct err err = { 0 };
    struct deploy_command command;
    check(wire_read_deploy(kit_quote(kit, body), &kit->arena, &command, &err), body, &err);
    kit_begin(kit, 0);
    struct rollout *r = fleet_deploy(&kit->fleet, &command, NULL, &err);
    check(r != NULL, body, &err);
    return r;
}

struct rollout *kit_rollback(struct kit *kit, const char *body)
{
    struct err err = { 0 };
    struct rollback_command command;
    check(wire_read_rollback(kit_quote(kit, body), &kit->arena, &command, &err), body, &err);
    kit_begin(kit, 0);
    struct rollout *r = fleet_rollback(&kit->fleet, &command, NULL, &err);
    check(r != NULL, body, &err);
    return r;
}

void kit_verb(struct kit *kit, struct rollout *r, enum verb verb, const char *body)
{
    struct err err = { 0 };
    struct verb_command command;
    struct rollout *result = NULL;
    check(wire_read_verb(kit_quote(kit, body), &kit->arena, verb, &command, &err), body, &err);
    kit_begin(kit, 0);
    check(fleet_verb(&kit->fleet, r, &command, &result, NULL, &err), body, &err);
}

void kit_tick(struct kit *kit, int64_t later_ms)
{
    struct err err = { 0 };
    kit_begin(kit, later_ms);
    while (fleet_tick(&kit->fleet, &err))
        kit_begin(kit, 0);
    check(err.code == ERR_NONE, "tick", &err);
}

struct json_writer *kit_writer(struct kit *kit)
{
    buffer_clear(&kit->out);
    json_writer_init(&kit->w, &kit->out);
    return &kit->w;
}

struct text kit_written(struct kit *kit)
{
    struct err err = { 0 };
    const struct json_node *root;
    struct text copy;
    assert_false(kit->out.failed);
    if (!arena_copy(&kit->arena, buffer_text(&kit->out), &copy))
        fail_msg("no memory");
    check(json_tree_parse(copy, &kit->arena, &root, &err), copy.data, &err);
    return copy;
}

void kit_assert(struct kit *kit, struct text actual, const char *expected)
{
    struct text wanted = kit_quote(kit, expected);
    size_t same = 0;
    if (text_equal(actual, wanted))
        return;
    while (same < actual.size && same < wanted.size && actual.data[same] == wanted.data[same])
        same++;
    size_t from = same < 40 ? 0 : same - 40; /* long documents: only where they part */
    fail_msg("\n  is     ...%.160s\n  wanted ...%.160s", text_skip(actual, from).data,
             text_skip(wanted, from).data);
}

/* Back to JSON, so that a test can compare a part of a document. */
static void write_node(struct json_writer *w, const struct json_node *node)
{
    bool is_object = node->kind == JSON_NODE_OBJECT;
    switch (node->kind) {
    case JSON_NODE_NULL: json_write_null(w); return;
    case JSON_NODE_BOOL: json_write_bool(w, node->truth); return;
    case JSON_NODE_NUMBER: json_write_raw(w, node->text); return;
    case JSON_NODE_TEXT: json_write_text(w, node->text); return;
    case JSON_NODE_LIST:
    case JSON_NODE_OBJECT: break;
    }
    if (is_object)
        json_begin_object(w);
    else
        json_begin_list(w);
    for (const struct json_node *entry = node->first; entry; entry = entry->next) {
        if (is_object)
            json_key_text(w, entry->key);
        write_node(w, entry);
    }
    if (is_object)
        json_end_object(w);
    else
        json_end_list(w);
}

struct text kit_at(struct kit *kit, struct text document, const char *path)
{
    struct err err = { 0 };
    const struct json_node *root;
    check(json_tree_parse(document, &kit->arena, &root, &err), path, &err);
    const struct json_node *node = json_at(root, path);
    if (!node)
        return TEXT("missing");
    write_node(kit_writer(kit), node);
    struct text copy;
    if (!arena_copy(&kit->arena, buffer_text(&kit->out), &copy))
        fail_msg("no memory");
    return copy;
}
