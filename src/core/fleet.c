/* SPDX-License-Identifier: Apache-2.0
 * fleet.c - records and their log: adding, finding, touching, and taking rounds back. */
#include "core/fleet.h"

#include "core/place.h"

#include <assert.h>

struct undo_instance {
    uint64_t round;
    uint32_t slot;
    bool was_absent;
    struct instance before; /* holds its own uses of all texts */
};

struct undo_rollout {
    uint64_t round;
    struct rollout *rollout;
    bool was_absent, is_forgotten;
    struct rollout before; /* shares the arena: texts of a record are never replaced, only added */
};

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
    int order = text_compare(instance_key(fleet_at(fleet, a)), instance_key(fleet_at(fleet, b)));
    /* A deleted slot may wait for its commit while its key is in use again. */
    return order != 0 ? order : (a < b ? -1 : 1);
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
    timers_init(&fleet->timers, memory, compare_keys, fleet);
    return true;
}

void fleet_end_live(struct fleet *fleet, struct rollout *r)
{
    fleet->live[r->live->index] = NULL;
    fleet->live_count--;
    memory_give(fleet->memory, r->live->entering,
                r->live->entering_capacity * sizeof r->live->entering[0]);
    memory_give(fleet->memory, r->live, sizeof *r->live);
    r->live = NULL;
}

static void free_rollout(struct fleet *fleet, struct rollout *r)
{
    if (r->live)
        fleet_end_live(fleet, r);
    intern_drop(&fleet->texts, r->target.code);
    intern_drop(&fleet->texts, r->target.config);
    arena_release(&r->arena);
    memory_give(fleet->memory, r, sizeof *r);
}

static void drop_version(struct fleet *fleet, struct version v)
{
    intern_drop(&fleet->texts, v.code);
    intern_drop(&fleet->texts, v.config);
}

static void share_version(struct fleet *fleet, struct version v)
{
    intern_share(&fleet->texts, v.code);
    intern_share(&fleet->texts, v.config);
}

static void drop_instance_texts(struct fleet *fleet, struct instance_texts *texts)
{
    if (texts && --texts->users == 0)
        memory_give(fleet->memory, texts,
                    sizeof *texts + (size_t)texts->name_size + texts->ip_size);
}

/* One more user of everything counted that the record holds. */
static void share_record(struct fleet *fleet, const struct instance *inst)
{
    inst->texts->users++;
    labels_share(&fleet->labels, inst->labels);
    intern_share(&fleet->texts, inst->message);
    share_version(fleet, inst->current);
    share_version(fleet, inst->desired);
    share_version(fleet, inst->assignment.target);
    share_version(fleet, inst->assignment.previous);
    for (size_t i = 0; i < inst->trail_count; i++)
        share_version(fleet, inst->trail[i].previous);
}

static void drop_record(struct fleet *fleet, struct instance *inst)
{
    drop_instance_texts(fleet, inst->texts);
    labels_drop(&fleet->labels, inst->labels);
    intern_drop(&fleet->texts, inst->message);
    drop_version(fleet, inst->current);
    drop_version(fleet, inst->desired);
    drop_version(fleet, inst->assignment.target);
    drop_version(fleet, inst->assignment.previous);
    for (size_t i = 0; i < inst->trail_count; i++)
        drop_version(fleet, inst->trail[i].previous);
}

static void free_slot(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    drop_record(fleet, inst);
    *inst = (struct instance){ .texts = NULL };
    fleet->free_slots[fleet->free_count++] = slot;
}

#define LOG_KEPT 16384u /* entries of an empty list whose room is kept for the next time */

/* What one command on the whole fleet needed once is not kept for ever. */
static void give_back(struct fleet *fleet, void **items, uint32_t *capacity, size_t item_size)
{
    if (*capacity <= LOG_KEPT)
        return;
    memory_give(fleet->memory, *items, *capacity * item_size);
    *items = NULL;
    *capacity = 0;
}

static void clear_changes(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->change_count; i++) {
        drop_version(fleet, fleet->changes[i].was);
        labels_drop(&fleet->labels, fleet->changes[i].was_labels);
    }
    fleet->change_count = 0;
    fleet->woken_count = 0;
    give_back(fleet, (void **)&fleet->changes, &fleet->change_capacity, sizeof fleet->changes[0]);
    give_back(fleet, (void **)&fleet->woken, &fleet->woken_capacity, sizeof fleet->woken[0]);
}

void fleet_release(struct fleet *fleet)
{
    const struct memory *memory = fleet->memory;
    clear_changes(fleet);
    fleet->round++;
    fleet_settle(fleet, fleet->round - 1);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++)
        if (fleet_at(fleet, slot)->texts)
            free_slot(fleet, slot);
    for (uint32_t i = 0; i < fleet->rollout_count; i++)
        free_rollout(fleet, fleet->rollouts[i]);
    uint32_t chunk_count = fleet->slot_capacity / FLEET_CHUNK;
    for (uint32_t i = 0; i < chunk_count; i++)
        memory_give(memory, fleet->chunks[i], FLEET_CHUNK * sizeof(struct instance));
    memory_give(memory, fleet->chunks, fleet->chunk_capacity * sizeof fleet->chunks[0]);
    memory_give(memory, fleet->free_slots, fleet->free_capacity * sizeof fleet->free_slots[0]);
    memory_give(memory, fleet->rollouts, fleet->rollout_capacity * sizeof fleet->rollouts[0]);
    memory_give(memory, fleet->undo, fleet->undo_capacity * sizeof fleet->undo[0]);
    memory_give(memory, fleet->undo_rollouts,
                fleet->undo_rollout_capacity * sizeof fleet->undo_rollouts[0]);
    memory_give(memory, fleet->changes, fleet->change_capacity * sizeof fleet->changes[0]);
    memory_give(memory, fleet->woken, fleet->woken_capacity * sizeof fleet->woken[0]);
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

/* Index of the first rollout whose number is >= `number`. */
static uint32_t rollout_index(const struct fleet *fleet, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = fleet->rollout_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (fleet->rollouts[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct rollout *fleet_rollout(const struct fleet *fleet, uint32_t number)
{
    uint32_t i = rollout_index(fleet, number);
    if (i == fleet->rollout_count || fleet->rollouts[i]->number != number)
        return NULL;
    return fleet->rollouts[i];
}

struct rollout *fleet_first_live(const struct fleet *fleet)
{
    struct rollout *first = NULL;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        struct rollout_live *live = fleet->live[i];
        if (live && (!first || live->rollout->number < first->number))
            first = live->rollout;
    }
    return first;
}

const struct tally *rollout_tally(const struct rollout *r)
{
    return r->live ? &r->live->tally : &r->final;
}

uint32_t rollout_batch_limit(const struct rollout *r)
{
    return amount_down(r->config.batch_size, rollout_tally(r)->total);
}

uint32_t rollout_threshold(const struct rollout *r)
{
    uint32_t threshold = amount_up(r->config.failure_threshold, rollout_tally(r)->total);
    return threshold > 0 ? threshold : 1;
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

/* ---- room ----------------------------------------------------------------------------------- */

/* Grows an array to at least `wanted` items; doubling keeps the cost of many calls linear. */
static bool grow(const struct memory *memory, void **items, uint32_t *capacity, size_t wanted,
                 size_t item_size)
{
    if (wanted <= *capacity)
        return true;
    if (wanted > UINT32_MAX / 2)
        return false;
    size_t next = *capacity ? *capacity : 64;
    while (next < wanted)
        next *= 2;
    void *grown = memory->resize(memory->ctx, *items, *capacity * item_size, next * item_size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = (uint32_t)next;
    return true;
}

/* Moves what is still needed of a log to its front, when most of it is not. */
static void compact(void *items, uint32_t *first, uint32_t *count, size_t item_size)
{
    if (*first == 0 || *first < *count / 2)
        return;
    memmove(items, (char *)items + *first * item_size, (*count - *first) * item_size);
    *count -= *first;
    *first = 0;
}

#define ROLLOUTS_PER_COMMAND 8u /* the most records of rollouts that one command may touch */
#define CHANGES_PER_TOUCH    4u /* the most journal entries that one touch may cause */

static bool has_room(struct fleet *fleet, size_t touches)
{
    const struct memory *memory = fleet->memory;
    compact(fleet->undo, &fleet->undo_first, &fleet->undo_count, sizeof fleet->undo[0]);
    compact(fleet->undo_rollouts, &fleet->undo_rollout_first, &fleet->undo_rollout_count,
            sizeof fleet->undo_rollouts[0]);
    size_t rollouts = ROLLOUTS_PER_COMMAND + FLEET_LIVE_MAX;
    size_t changes = (touches + rollouts) * CHANGES_PER_TOUCH;
    return grow(memory, (void **)&fleet->undo, &fleet->undo_capacity, fleet->undo_count + touches,
                sizeof fleet->undo[0]) &&
           grow(memory, (void **)&fleet->undo_rollouts, &fleet->undo_rollout_capacity,
                fleet->undo_rollout_count + rollouts, sizeof fleet->undo_rollouts[0]) &&
           grow(memory, (void **)&fleet->changes, &fleet->change_capacity,
                fleet->change_count + changes, sizeof fleet->changes[0]) &&
           grow(memory, (void **)&fleet->woken, &fleet->woken_capacity,
                fleet->woken_count + 2 * touches, sizeof fleet->woken[0]);
}

bool fleet_reserve(struct fleet *fleet, size_t touches, struct err *err)
{
    if (fleet->is_frozen)
        return err_set(err, ERR_STORE, "the store does not accept writes now");
    if (!has_room(fleet, touches))
        return err_set(err, ERR_MEMORY, "no memory to change %zu records", touches);
    return true;
}

/* ---- touching ------------------------------------------------------------------------------- */

struct instance *fleet_touch(struct fleet *fleet, uint32_t slot)
{
    struct instance *inst = fleet_at(fleet, slot);
    if (inst->touched_round != fleet->round) {
        assert(fleet->undo_count < fleet->undo_capacity);
        share_record(fleet, inst);
        fleet->undo[fleet->undo_count++] =
            (struct undo_instance){ .round = fleet->round, .slot = slot, .before = *inst };
        inst->touched_round = fleet->round;
        place_sign(fleet, inst);
    }
    inst->changed_index = fleet->next_index;
    return inst;
}

void fleet_touch_rollout(struct fleet *fleet, struct rollout *r)
{
    r->revision++;
    if (r->touched_round == fleet->round)
        return;
    assert(fleet->undo_rollout_count < fleet->undo_rollout_capacity);
    struct undo_rollout entry = { .round = fleet->round, .rollout = r, .before = *r };
    entry.before.revision--;
    fleet->undo_rollouts[fleet->undo_rollout_count++] = entry;
    r->touched_round = fleet->round;
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
    if (!grow(memory, (void **)&fleet->chunks, &fleet->chunk_capacity, chunk_count + 1u,
              sizeof fleet->chunks[0]) ||
        !grow(memory, (void **)&fleet->free_slots, &fleet->free_capacity, slots,
              sizeof fleet->free_slots[0]))
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
    ordered_insert(&fleet->by_name, &fleet->names, slot);
    fleet->instance_count++;
}

static void unindex(struct fleet *fleet, uint32_t slot)
{
    struct text key = instance_key(fleet_at(fleet, slot));
    bool removed = map_remove(&fleet->keys, key_hash(fleet, key), slot);
    assert(removed);
    ordered_remove(&fleet->by_name, &fleet->names, slot);
    fleet->instance_count--;
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
    fleet->undo[fleet->undo_count++] =
        (struct undo_instance){ .round = fleet->round, .slot = slot, .was_absent = true };
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
    unindex(fleet, slot);
    inst->is_gone = true;
}

bool fleet_set_ip(struct fleet *fleet, struct instance *inst, struct text ip, struct err *err)
{
    if (text_equal(instance_ip(inst), ip) || inst->texts->name_size == 0)
        return true;
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
    share_version(fleet, v);
    drop_version(fleet, *place);
    *place = v;
}

void fleet_set_labels(struct fleet *fleet, struct instance *inst, uint32_t labels)
{
    labels_drop(&fleet->labels, inst->labels);
    inst->labels = labels;
}

/* ---- rollouts ------------------------------------------------------------------------------- */

#define ROLLOUT_ARENA_MAX (2u * 1024 * 1024)

static void insert_rollout(struct fleet *fleet, struct rollout *r)
{
    assert(fleet->rollout_count < fleet->rollout_capacity);
    uint32_t i = rollout_index(fleet, r->number);
    memmove(&fleet->rollouts[i + 1], &fleet->rollouts[i],
            (fleet->rollout_count - i) * sizeof fleet->rollouts[0]);
    fleet->rollouts[i] = r;
    fleet->rollout_count++;
}

static void unlink_rollout(struct fleet *fleet, const struct rollout *r)
{
    uint32_t i = rollout_index(fleet, r->number);
    assert(i < fleet->rollout_count && fleet->rollouts[i] == r);
    memmove(&fleet->rollouts[i], &fleet->rollouts[i + 1],
            (fleet->rollout_count - i - 1) * sizeof fleet->rollouts[0]);
    fleet->rollout_count--;
}

struct rollout *fleet_new_rollout(struct fleet *fleet, struct err *err)
{
    if (!fleet_reserve(fleet, 0, err))
        return NULL;
    struct rollout *r = NULL;
    if (grow(fleet->memory, (void **)&fleet->rollouts, &fleet->rollout_capacity,
             fleet->rollout_count + 1u, sizeof fleet->rollouts[0]))
        r = memory_take_zeroed(fleet->memory, sizeof *r);
    if (!r) {
        err_set(err, ERR_MEMORY, "no memory for a rollout");
        return NULL;
    }
    arena_init(&r->arena, fleet->memory, ROLLOUT_ARENA_MAX);
    return r;
}

void fleet_drop_rollout(struct fleet *fleet, struct rollout *r)
{
    if (r)
        free_rollout(fleet, r);
}

void fleet_add_rollout(struct fleet *fleet, struct rollout *r)
{
    r->number = ++fleet->last_number;
    insert_rollout(fleet, r);
    r->touched_round = fleet->round;
    assert(fleet->undo_rollout_count < fleet->undo_rollout_capacity);
    fleet->undo_rollouts[fleet->undo_rollout_count++] =
        (struct undo_rollout){ .round = fleet->round, .rollout = r, .was_absent = true };
}

void fleet_adopt_rollout(struct fleet *fleet, struct rollout *r)
{
    insert_rollout(fleet, r);
    if (r->number > fleet->last_number)
        fleet->last_number = r->number;
}

void fleet_forget_rollout(struct fleet *fleet, struct rollout *r)
{
    assert(!rollout_is_live(r) && !r->live);
    assert(fleet->undo_rollout_count < fleet->undo_rollout_capacity);
    unlink_rollout(fleet, r);
    fleet->undo_rollouts[fleet->undo_rollout_count++] =
        (struct undo_rollout){ .round = fleet->round, .rollout = r, .is_forgotten = true };
}

bool fleet_make_live(struct fleet *fleet, struct rollout *r, struct err *err)
{
    uint16_t index = 0;
    while (index < FLEET_LIVE_MAX && fleet->live[index])
        index++;
    if (index == FLEET_LIVE_MAX)
        return err_set(err, ERR_FULL, "%d rollouts are live already", LIMIT_LIVE_ROLLOUTS);
    struct rollout_live *live = memory_take_zeroed(fleet->memory, sizeof *live);
    if (!live)
        return err_set(err, ERR_MEMORY, "no memory for a rollout");
    live->rollout = r;
    live->index = index;
    for (size_t i = 0; i < MEMBER_SET_COUNT; i++)
        live->sets[i] = ORDERED_NONE;
    fleet->live[index] = live;
    fleet->live_count++;
    r->live = live;
    return true;
}

/* ---- commands and rounds -------------------------------------------------------------------- */

void fleet_publish(struct fleet *fleet, const struct change *change)
{
    assert(fleet->change_count < fleet->change_capacity);
    struct change *entry = &fleet->changes[fleet->change_count++];
    *entry = *change;
    entry->index = fleet->next_index++;
    share_version(fleet, entry->was);
    labels_share(&fleet->labels, entry->was_labels);
}

void fleet_wake(struct fleet *fleet, uint32_t slot)
{
    assert(fleet->woken_count < fleet->woken_capacity);
    fleet->woken[fleet->woken_count++] = slot;
}

void fleet_begin(struct fleet *fleet, int64_t now, struct text actor)
{
    clear_changes(fleet);
    fleet->now = now > fleet->now ? now : fleet->now;
    fleet->actor = actor;
}

static uint32_t first_dirty_instance(const struct fleet *fleet)
{
    uint32_t first = fleet->undo_count;
    while (first > fleet->undo_first && fleet->undo[first - 1].round == fleet->round)
        first--;
    return first;
}

static uint32_t first_dirty_rollout(const struct fleet *fleet)
{
    uint32_t first = fleet->undo_rollout_count;
    while (first > fleet->undo_rollout_first &&
           fleet->undo_rollouts[first - 1].round == fleet->round)
        first--;
    return first;
}

bool fleet_is_dirty(const struct fleet *fleet)
{
    return (fleet->undo_count > fleet->undo_first &&
            fleet->undo[fleet->undo_count - 1].round == fleet->round) ||
           (fleet->undo_rollout_count > fleet->undo_rollout_first &&
            fleet->undo_rollouts[fleet->undo_rollout_count - 1].round == fleet->round);
}

void fleet_each_dirty(const struct fleet *fleet,
                      void (*visit)(void *ctx, const struct fleet_dirty *dirty), void *ctx)
{
    for (uint32_t i = first_dirty_instance(fleet); i < fleet->undo_count; i++) {
        uint32_t slot = fleet->undo[i].slot;
        visit(ctx,
              &(struct fleet_dirty){ .slot = slot, .is_delete = fleet_at(fleet, slot)->is_gone });
    }
    for (uint32_t i = first_dirty_rollout(fleet); i < fleet->undo_rollout_count; i++) {
        const struct undo_rollout *entry = &fleet->undo_rollouts[i];
        visit(ctx, &(struct fleet_dirty){ .slot = FLEET_NONE,
                                          .rollout = entry->rollout,
                                          .is_delete = entry->is_forgotten });
    }
}

uint64_t fleet_end_round(struct fleet *fleet)
{
    assert(fleet->mark_count < FLEET_ROUNDS_MAX);
    fleet->marks[fleet->mark_count++] = (struct round_mark){ .round = fleet->round,
                                                             .next_index = fleet->next_index,
                                                             .last_number = fleet->last_number };
    return fleet->round++;
}

void fleet_settle(struct fleet *fleet, uint64_t round)
{
    assert(round < fleet->round);
    while (fleet->undo_first < fleet->undo_count && fleet->undo[fleet->undo_first].round <= round) {
        struct undo_instance *entry = &fleet->undo[fleet->undo_first++];
        struct instance *inst = fleet_at(fleet, entry->slot);
        if (!entry->was_absent)
            drop_record(fleet, &entry->before);
        if (inst->is_gone && inst->touched_round == entry->round)
            free_slot(fleet, entry->slot);
    }
    if (fleet->undo_first == fleet->undo_count) {
        fleet->undo_first = fleet->undo_count = 0;
        give_back(fleet, (void **)&fleet->undo, &fleet->undo_capacity, sizeof fleet->undo[0]);
    }
    while (fleet->undo_rollout_first < fleet->undo_rollout_count &&
           fleet->undo_rollouts[fleet->undo_rollout_first].round <= round) {
        struct undo_rollout *entry = &fleet->undo_rollouts[fleet->undo_rollout_first++];
        if (entry->is_forgotten)
            free_rollout(fleet, entry->rollout);
    }
    uint32_t settled = 0;
    while (settled + 1 < fleet->mark_count && fleet->marks[settled + 1].round <= round)
        settled++;
    memmove(fleet->marks, fleet->marks + settled,
            (fleet->mark_count - settled) * sizeof fleet->marks[0]);
    fleet->mark_count -= settled;
}

static void undo_instance(struct fleet *fleet, struct undo_instance *entry)
{
    struct instance *inst = fleet_at(fleet, entry->slot);
    bool was_gone = inst->is_gone;
    if (entry->was_absent) {
        if (!was_gone)
            unindex(fleet, entry->slot);
        free_slot(fleet, entry->slot);
        return;
    }
    drop_record(fleet, inst);
    *inst = entry->before;
    if (was_gone)
        fleet_index(fleet, entry->slot);
}

static void undo_rollout(struct fleet *fleet, struct undo_rollout *entry)
{
    struct rollout *r = entry->rollout;
    if (entry->was_absent) {
        unlink_rollout(fleet, r);
        free_rollout(fleet, r);
    } else if (entry->is_forgotten) {
        insert_rollout(fleet, r); /* it stood there before, so there is room */
    } else {
        struct rollout_live *live = r->live;
        struct arena arena = r->arena; /* what was added to it meanwhile is unused, not lost */
        *r = entry->before;
        r->live = live;
        r->arena = arena;
    }
}

/* A rollout whose end was taken back needs its live part again. Without memory for it there is no
 * consistent state to go on from: stop, a restart loads what is durable. */
static void revive_rollouts(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        struct rollout *r = fleet->rollouts[i];
        if (rollout_is_live(r) && !r->live) {
            bool revived = fleet_make_live(fleet, r, NULL);
            assert(revived);
        }
    }
}

void fleet_undo(struct fleet *fleet)
{
    clear_changes(fleet);
    while (fleet->undo_count > fleet->undo_first)
        undo_instance(fleet, &fleet->undo[--fleet->undo_count]);
    while (fleet->undo_rollout_count > fleet->undo_rollout_first)
        undo_rollout(fleet, &fleet->undo_rollouts[--fleet->undo_rollout_count]);
    fleet->mark_count = 1;
    fleet->next_index = fleet->marks[0].next_index;
    fleet->last_number = fleet->marks[0].last_number;
    fleet->round++; /* records touched in a round that was taken back must be logged anew */
    revive_rollouts(fleet);
    place_derive(fleet);
}
