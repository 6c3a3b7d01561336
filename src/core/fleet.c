/* SPDX-License-Identifier: Apache-2.0
 * fleet.c - instances: adding, finding and removing them. Rollouts are in fleet_rollouts.c, the log
 * that lets rounds be taken back in fleet_log.c. */
#include "core/fleet.h"

#include "core/fleet_parts.h"
#include "core/place.h"

#include <assert.h>

const struct fleet_settings fleet_settings_default = {
    .heartbeat_timeout_ms = 90 * 1000,
    .heartbeat_min_ms = 5 * 1000,
    .heartbeat_max_ms = 300 * 1000,
    .active_interval_ms = 2 * 1000,
    .target_rate = 20000,
    .max_concurrent = 1,
    .max_instances = LIMIT_INSTANCES,
    .rollouts_kept = LIMIT_ROLLOUTS_KEPT,
    .rollouts_kept_ms = 90ll * 24 * 3600 * 1000,
};

/* ---- orders --------------------------------------------------------------------------------- */

static int compare_keys(const void *ctx, uint32_t a, uint32_t b)
{
    const struct fleet *fleet = ctx;
    if (a == b)
        return 0;
    uint32_t rank_a = fleet->ranks[a], rank_b = fleet->ranks[b];
    if (rank_a != 0 && rank_b != 0)
        return rank_a < rank_b ? -1 : 1;
    return text_compare(instance_key(fleet_at(fleet, a)), instance_key(fleet_at(fleet, b)));
}

static int place_key(const void *ctx, uint32_t item, const void *key)
{
    return text_compare(instance_key(fleet_at(ctx, item)), *(const struct text *)key);
}

static bool key_is(const void *ctx, uint32_t item, const void *key)
{
    return text_equal(instance_key(fleet_at(ctx, item)), *(const struct text *)key);
}

static uint64_t key_hash(const struct fleet *fleet, struct text key)
{
    return text_hash(key, fleet->texts.seed);
}

/* ---- life ----------------------------------------------------------------------------------- */

bool fleet_init(struct fleet *fleet, const struct memory *memory,
                const struct fleet_settings *settings, uint64_t hash_seed, struct err *err)
{
    *fleet = (struct fleet){ .memory = memory,
                             .settings = *settings,
                             .names = ORDERED_NONE,
                             .round = 1,
                             .next_index = 1,
                             .mark_count = 1,
                             .marks = { { .round = 0, .next_index = 1 } } };
    if (!intern_init(&fleet->texts, memory, hash_seed))
        return err_set(err, ERR_MEMORY, "no memory for an empty fleet");
    labels_init(&fleet->labels, memory, &fleet->texts);
    map_init(&fleet->keys, memory);
    ordered_init(&fleet->by_name, memory, compare_keys, fleet);
    ordered_init(&fleet->members, memory, compare_keys, fleet);
    timers_init(&fleet->timers, memory);
    silence_begin(fleet);
    return true;
}

void fleet_drop_version(struct fleet *fleet, struct version v)
{
    intern_drop(&fleet->texts, v.code);
    intern_drop(&fleet->texts, v.config);
}

void fleet_share_version(struct fleet *fleet, struct version v)
{
    intern_share(&fleet->texts, v.code);
    intern_share(&fleet->texts, v.config);
}

static void drop_instance_texts(struct fleet *fleet, struct instance_texts *texts)
{
    if (--texts->users == 0)
        memory_give(fleet->memory, texts,
                    sizeof *texts + (size_t)texts->name_size + texts->ip_size);
}

/* One more user of everything counted that the record holds. */
void fleet_share_record(struct fleet *fleet, const struct instance *inst)
{
    inst->texts->users++;
    labels_share(&fleet->labels, inst->labels);
    intern_share(&fleet->texts, inst->message);
    fleet_share_version(fleet, inst->current);
    fleet_share_version(fleet, inst->desired);
    fleet_share_version(fleet, inst->assignment.target);
    fleet_share_version(fleet, inst->assignment.previous);
    for (size_t i = 0; i < inst->trail_count; i++)
        fleet_share_version(fleet, inst->trail[i].previous);
}

void fleet_drop_record(struct fleet *fleet, struct instance *inst)
{
    drop_instance_texts(fleet, inst->texts);
    labels_drop(&fleet->labels, inst->labels);
    intern_drop(&fleet->texts, inst->message);
    fleet_drop_version(fleet, inst->current);
    fleet_drop_version(fleet, inst->desired);
    fleet_drop_version(fleet, inst->assignment.target);
    fleet_drop_version(fleet, inst->assignment.previous);
    for (size_t i = 0; i < inst->trail_count; i++)
        fleet_drop_version(fleet, inst->trail[i].previous);
}

void fleet_free_slot(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    fleet_drop_record(fleet, inst);
    *inst = (struct instance){ .texts = NULL };
    fleet->free_slots[fleet->free_count++] = slot;
}

void fleet_release(struct fleet *fleet)
{
    const struct memory *memory = fleet->memory;
    fleet_clear_changes(fleet);
    fleet->round++;
    fleet_settle(fleet, fleet->round - 1);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++)
        if (fleet_at(fleet, slot)->texts)
            fleet_free_slot(fleet, slot);
    for (uint32_t i = 0; i < fleet->rollout_count; i++)
        fleet_free_rollout(fleet, fleet->rollouts[i]);
    uint32_t chunk_count = fleet->slot_capacity / FLEET_CHUNK;
    for (uint32_t i = 0; i < chunk_count; i++)
        memory_give(memory, fleet->chunks[i], FLEET_CHUNK * sizeof(struct instance));
    memory_give(memory, fleet->chunks, fleet->chunk_capacity * sizeof fleet->chunks[0]);
    memory_give(memory, fleet->free_slots, fleet->free_capacity * sizeof fleet->free_slots[0]);
    memory_give(memory, fleet->ranks, fleet->rank_capacity * sizeof fleet->ranks[0]);
    memory_give(memory, fleet->rollouts, fleet->rollout_capacity * sizeof fleet->rollouts[0]);
    fleet_log_release(fleet);
    map_release(&fleet->keys);
    ordered_release(&fleet->by_name);
    ordered_release(&fleet->members);
    timers_release(&fleet->timers);
    labels_release(&fleet->labels);
    intern_release(&fleet->texts);
    *fleet = (struct fleet){ .memory = memory };
}

/* ---- reading -------------------------------------------------------------------------------- */

struct text instance_name(const struct instance *inst)
{
    return (struct text){ inst->texts->bytes, inst->texts->name_size };
}

struct text instance_ip(const struct instance *inst)
{
    return (struct text){ inst->texts->bytes + inst->texts->name_size, inst->texts->ip_size };
}

struct text instance_key(const struct instance *inst)
{
    return inst->texts->name_size ? instance_name(inst) : instance_ip(inst);
}

uint32_t fleet_find(const struct fleet *fleet, struct text key)
{
    return map_find(&fleet->keys, key_hash(fleet, key), key_is, fleet, &key);
}

uint32_t fleet_next(const struct fleet *fleet, struct text after, bool or_equal)
{
    return ordered_seek(&fleet->by_name, fleet->names, place_key, fleet, &after, or_equal);
}

uint32_t fleet_after(const struct fleet *fleet, uint32_t slot)
{
    return ordered_after(&fleet->by_name, fleet->names, slot);
}

size_t fleet_list(const struct fleet *fleet, uint32_t slot, uint32_t *ret, size_t max)
{
    return slot == FLEET_NONE ? 0 : ordered_take(&fleet->by_name, fleet->names, slot, ret, max);
}

struct rollout *fleet_rollout_of(const struct fleet *fleet, const struct instance *inst)
{
    if (inst->placed.live == 0)
        return NULL;
    const struct rollout_live *live = fleet->live[inst->placed.live - 1];
    return live && live->rollout->number == inst->placed.rollout ? live->rollout : NULL;
}

enum member_state fleet_member_state(const struct fleet *fleet, const struct instance *inst)
{
    return fleet_rollout_of(fleet, inst) ? inst->placed.state : MEMBER_NONE;
}

enum member_state fleet_update_state(const struct fleet *fleet, const struct instance *inst)
{
    if (fleet_rollout_of(fleet, inst))
        return inst->placed.state;
    enum member_state state = inst->assignment.state;
    /* A slot that was never given says nothing once its rollout has ended. */
    return state == MEMBER_PENDING || state == MEMBER_NOT_NEEDED ? MEMBER_NONE : state;
}

bool instance_needs_update(const struct instance *inst)
{
    return !version_is_at(inst->current, inst->desired);
}

/* ---- instances ------------------------------------------------------------------------------ */

/* One more chunk of slots, with room for them in everything that is indexed by slot. */
static bool add_chunk(struct fleet *fleet)
{
    const struct memory *memory = fleet->memory;
    uint32_t slots = fleet->slot_capacity + FLEET_CHUNK;
    uint32_t chunk_count = fleet->slot_capacity / FLEET_CHUNK;
    if (!ordered_reserve(&fleet->by_name, slots) || !ordered_reserve(&fleet->members, slots) ||
        !timers_reserve(&fleet->timers, slots))
        return false;
    if (!fleet_grow(memory, (void **)&fleet->chunks, &fleet->chunk_capacity, chunk_count + 1u,
                    sizeof fleet->chunks[0]) ||
        !fleet_grow(memory, (void **)&fleet->free_slots, &fleet->free_capacity, slots,
                    sizeof fleet->free_slots[0]) ||
        !fleet_grow(memory, (void **)&fleet->ranks, &fleet->rank_capacity, slots,
                    sizeof fleet->ranks[0]))
        return false;
    struct instance *chunk = memory_take_zeroed(memory, FLEET_CHUNK * sizeof *chunk);
    if (!chunk)
        return false;
    fleet->chunks[chunk_count] = chunk;
    fleet->slot_capacity = slots;
    return true;
}

static struct instance_texts *new_texts(struct fleet *fleet, struct text name, struct text ip)
{
    assert(name.size <= LIMIT_NAME && ip.size <= UINT8_MAX && name.size + ip.size > 0);
    struct instance_texts *texts = memory_take(fleet->memory, sizeof *texts + name.size + ip.size);
    if (!texts)
        return NULL;
    *texts = (struct instance_texts){ .users = 1,
                                      .name_size = (uint8_t)name.size,
                                      .ip_size = (uint8_t)ip.size };
    if (name.size)
        memcpy(texts->bytes, name.data, name.size);
    if (ip.size)
        memcpy(texts->bytes + name.size, ip.data, ip.size);
    return texts;
}

void fleet_index(struct fleet *fleet, uint32_t slot)
{
    struct text key = instance_key(fleet_at(fleet, slot));
    bool inserted = map_insert(&fleet->keys, key_hash(fleet, key), slot);
    assert(inserted); /* room was reserved, and the map never gives it back */
    fleet->ranks[slot] = 0;
    ordered_insert(&fleet->by_name, &fleet->names, slot);
    fleet->instance_count++;
}

void fleet_unindex(struct fleet *fleet, uint32_t slot)
{
    struct text key = instance_key(fleet_at(fleet, slot));
    bool removed = map_remove(&fleet->keys, key_hash(fleet, key), slot);
    assert(removed);
    ordered_remove(&fleet->by_name, &fleet->names, slot);
    fleet->ranks[slot] = 0;
    fleet->instance_count--;
}

void fleet_number_all(struct fleet *fleet, uint32_t *ret)
{
    ordered_list(&fleet->by_name, fleet->names, ret, fleet->instance_count);
    for (uint32_t i = 0; i < fleet->instance_count; i++)
        fleet->ranks[ret[i]] = i + 1;
}

bool fleet_add(struct fleet *fleet, struct text name, struct text ip, uint32_t *ret_slot,
               struct err *err)
{
    if (fleet->free_count == 0 && fleet->slot_count == fleet->slot_capacity && !add_chunk(fleet))
        return err_set(err, ERR_MEMORY, "no memory for another instance");
    if (!fleet_reserve(fleet, 1, err))
        return false;
    if (!map_reserve(&fleet->keys, fleet->instance_count + 1))
        return err_set(err, ERR_MEMORY, "no memory for another instance");
    struct instance_texts *texts = new_texts(fleet, name, ip);
    if (!texts)
        return err_set(err, ERR_MEMORY, "no memory for another instance");

    uint32_t slot =
        fleet->free_count ? fleet->free_slots[--fleet->free_count] : fleet->slot_count++;
    struct instance *inst = fleet_at(fleet, slot);
    *inst = (struct instance){ .texts = texts,
                               .touched_round = fleet->round,
                               .changed_index = fleet->next_index,
                               .presence = PRESENCE_ONLINE };
    fleet_log_new(fleet, slot);
    fleet_index(fleet, slot);
    inst->placed.status = instance_state_count; /* counted nowhere yet */
    *ret_slot = slot;
    return true;
}

void fleet_remove(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_touch(fleet, slot);
    assert(!inst->is_gone && !fleet_rollout_of(fleet, inst));
    place_take_out(fleet, slot);
    fleet_unindex(fleet, slot);
    inst->is_gone = true;
}

bool fleet_set_ip(struct fleet *fleet, struct instance *inst, struct text ip, struct err *err)
{
    if (inst->texts->name_size == 0)
        return true; /* its address is its key */
    struct instance_texts *texts = new_texts(fleet, instance_name(inst), ip);
    if (!texts)
        return err_set(err, ERR_MEMORY, "no memory for an address");
    drop_instance_texts(fleet, inst->texts);
    inst->texts = texts;
    return true;
}

void fleet_set_text(struct fleet *fleet, uint32_t *place, uint32_t id)
{
    uint32_t old = *place;
    *place = id;
    intern_drop(&fleet->texts, old);
}

void fleet_set_version(struct fleet *fleet, struct version *place, struct version v)
{
    fleet_share_version(fleet, v);
    fleet_drop_version(fleet, *place);
    *place = v;
}

void fleet_set_labels(struct fleet *fleet, struct instance *inst, uint32_t labels)
{
    place_set_labels(fleet, inst, labels);
}
