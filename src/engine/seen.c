/* SPDX-License-Identifier: Apache-2.0
 * seen.c - records "seen/<group>": {"<key>":<ms>,...}. */
#include "engine/seen.h"

#include "wire/json_pull.h"
#include "wire/json_write.h"

static uint32_t group_count(const struct fleet *fleet)
{
    return (fleet->slot_count + SEEN_GROUP - 1) / SEEN_GROUP;
}

static bool was_heard(const struct fleet *fleet, uint32_t group, int64_t since)
{
    uint32_t end = (group + 1) * SEEN_GROUP;
    for (uint32_t slot = group * SEEN_GROUP; slot < end && slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (inst->texts && inst->last_seen >= since)
            return true;
    }
    return false;
}

static void write_group(const struct fleet *fleet, uint32_t group, struct batch *batch)
{
    batch_begin(batch);
    buffer_add(&batch->bytes, TEXT("seen/"));
    buffer_add_padded(&batch->bytes, group, 8);
    batch_value(batch);
    struct json_writer w;
    json_writer_init(&w, &batch->bytes);
    json_begin_object(&w);
    uint32_t end = (group + 1) * SEEN_GROUP;
    for (uint32_t slot = group * SEEN_GROUP; slot < end && slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (!inst->texts || inst->is_gone)
            continue;
        json_key_text(&w, instance_key(inst));
        json_write_i64(&w, inst->last_seen);
    }
    json_end_object(&w);
    batch_end(batch);
}

bool seen_is_due(const struct seen *seen, const struct fleet *fleet, int64_t now)
{
    uint32_t groups = group_count(fleet);
    if (seen->next_group >= groups)
        return now - seen->began_at >= SEEN_EVERY_MS;
    int64_t elapsed = now - seen->began_at;
    return (uint64_t)elapsed * groups / SEEN_EVERY_MS > seen->next_group;
}

size_t seen_write(struct seen *seen, const struct fleet *fleet, int64_t now, bool is_all,
                  struct batch *batch)
{
    uint32_t groups = group_count(fleet);
    size_t written = 0;
    if (seen->next_group >= groups || is_all) {
        seen->written_at = seen->began_at;
        seen->began_at = now;
        seen->next_group = 0;
    }
    while (seen->next_group < groups && (is_all || seen_is_due(seen, fleet, now))) {
        uint32_t group = seen->next_group++;
        if (!was_heard(fleet, group, seen->written_at))
            continue;
        write_group(fleet, group, batch);
        written++;
    }
    return written;
}

bool seen_load(struct fleet *fleet, struct text json, struct err *err)
{
    struct arena arena;
    arena_init(&arena, fleet->memory, (size_t)4 << 20);
    const struct json_node *root = NULL;
    bool parsed = json_tree_parse(json, &arena, &root, err);
    for (const struct json_node *entry = parsed ? json_first(root) : NULL; entry;
         entry = entry->next) {
        uint32_t slot = fleet_find(fleet, entry->key);
        int64_t at = json_get_i64(entry, "", 0);
        if (slot != FLEET_NONE && at > fleet_at(fleet, slot)->last_seen)
            fleet_at(fleet, slot)->last_seen = at;
    }
    arena_release(&arena);
    return parsed;
}
