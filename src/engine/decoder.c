/* SPDX-License-Identifier: Apache-2.0
 * decoder.c - a ring of parts of some rows each: filled, decoded by whoever is free, added in
 * order. Whoever waits for a part decodes another one meanwhile. */
#include "engine/decoder.h"

#include "base/buffer.h"
#include "wire/record.h"

#include <assert.h>
#include <pthread.h>

#define PARTS       16u
#define PART_ROWS   32u
#define BYTES_MAX   ((size_t)64 << 20) /* of the rows of a part */
#define SCRATCH_MAX ((size_t)256 << 20)

struct row {
    size_t key_at, key_size, value_size; /* the value follows its key */
    const struct wire_stored_instance *stored;
};

struct part {
    struct buffer bytes;
    struct row rows[PART_ROWS];
    unsigned count;
    struct arena arena; /* of what was decoded */
    struct err err;     /* of the row that could not be */
    bool is_decoded;
};

struct decoder {
    struct fleet *fleet;
    struct part parts[PARTS]; /* the nth one stands at n % PARTS */
    uint64_t added;           /* the caller's own: parts that are in the fleet */
    bool has_thread, is_running;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows, and is_decoded */
    pthread_cond_t filled_one, decoded_one;
    uint64_t filled, taken; /* parts; added <= taken <= filled <= added + PARTS */
    bool is_stopping;
};

static struct part *part_at(struct decoder *d, uint64_t n)
{
    return &d->parts[n % PARTS];
}

/* ---- decoding ------------------------------------------------------------------------------- */

static struct text key_of(const struct part *part, const struct row *row)
{
    return (struct text){ part->bytes.data + row->key_at, row->key_size };
}

static void decode(struct part *part)
{
    for (unsigned i = 0; i < part->count && part->err.code == ERR_NONE; i++) {
        struct row *row = &part->rows[i];
        struct text key = key_of(part, row);
        struct text value = { key.data + key.size, row->value_size };
        wire_decode_instance(key, value, &part->arena, &row->stored, &part->err);
    }
}

/* Decodes the next part that waits, with the lock given back meanwhile. False: none waits. */
static bool decode_next(struct decoder *d)
{
    if (d->taken == d->filled)
        return false;
    struct part *part = part_at(d, d->taken++);
    pthread_mutex_unlock(&d->lock);
    decode(part);
    pthread_mutex_lock(&d->lock);
    part->is_decoded = true;
    pthread_cond_signal(&d->decoded_one);
    return true;
}

static void *help(void *ctx)
{
    struct decoder *d = ctx;
    pthread_mutex_lock(&d->lock);
    while (!d->is_stopping)
        if (!decode_next(d))
            pthread_cond_wait(&d->filled_one, &d->lock);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* ---- adding --------------------------------------------------------------------------------- */

static bool add(struct decoder *d, struct part *part, struct err *err)
{
    for (unsigned i = 0; i < part->count && part->rows[i].stored; i++)
        if (!wire_add_instance(d->fleet, key_of(part, &part->rows[i]), part->rows[i].stored, err))
            return false;
    /* Loading needs no way back, so its log is kept short. */
    fleet_settle(d->fleet, fleet_end_round(d->fleet));
    if (part->err.code == ERR_NONE)
        return true;
    if (err)
        *err = part->err;
    return false;
}

/* The oldest part that was filled is decoded, added, and free again. */
static bool add_oldest(struct decoder *d, struct err *err)
{
    struct part *part = part_at(d, d->added);
    pthread_mutex_lock(&d->lock);
    while (!part->is_decoded)
        if (!decode_next(d))
            pthread_cond_wait(&d->decoded_one, &d->lock);
    pthread_mutex_unlock(&d->lock);
    if (!add(d, part, err))
        return false;
    buffer_clear(&part->bytes);
    arena_clear(&part->arena);
    part->count = 0;
    part->is_decoded = false;
    d->added++;
    return true;
}

static void start_helper(struct decoder *d)
{
    if (!d->has_thread || d->is_running)
        return;
    d->is_running = pthread_create(&d->thread, NULL, help, d) == 0;
    d->has_thread = d->is_running;
}

/* The part that takes rows is closed; another one is free when this returns. */
static bool close_part(struct decoder *d, struct err *err)
{
    pthread_mutex_lock(&d->lock);
    d->filled++;
    pthread_cond_signal(&d->filled_one);
    pthread_mutex_unlock(&d->lock);
    return d->filled - d->added < PARTS || add_oldest(d, err);
}

/* ---- for the loader ------------------------------------------------------------------------- */

struct decoder *decoder_new(struct fleet *fleet, bool has_thread)
{
    struct decoder *d = memory_take_zeroed(fleet->memory, sizeof *d);
    if (!d)
        return NULL;
    d->fleet = fleet;
    d->has_thread = has_thread;
    for (unsigned i = 0; i < PARTS; i++) {
        buffer_init(&d->parts[i].bytes, &memory_heap, BYTES_MAX); /* of both threads */
        arena_init(&d->parts[i].arena, &memory_heap, SCRATCH_MAX);
    }
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->filled_one, NULL);
    pthread_cond_init(&d->decoded_one, NULL);
    return d;
}

bool decoder_take(struct decoder *d, struct text key, struct text value, struct err *err)
{
    struct part *part = part_at(d, d->filled);
    struct row row = { .key_at = part->bytes.size, .key_size = key.size, .value_size = value.size };
    buffer_add(&part->bytes, key);
    buffer_add(&part->bytes, value);
    if (part->bytes.failed)
        return err_set(err, ERR_MEMORY, "no memory for records that were stored");
    part->rows[part->count++] = row;
    if (part->count < PART_ROWS)
        return true;
    start_helper(d);
    return close_part(d, err);
}

bool decoder_drain(struct decoder *d, struct err *err)
{
    if (part_at(d, d->filled)->count > 0 && !close_part(d, err))
        return false;
    while (d->added < d->filled)
        if (!add_oldest(d, err))
            return false;
    return true;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->is_stopping = true;
    pthread_cond_signal(&d->filled_one);
    pthread_mutex_unlock(&d->lock);
    if (d->is_running)
        pthread_join(d->thread, NULL);
    for (unsigned i = 0; i < PARTS; i++) {
        buffer_release(&d->parts[i].bytes);
        arena_release(&d->parts[i].arena);
    }
    pthread_cond_destroy(&d->decoded_one);
    pthread_cond_destroy(&d->filled_one);
    pthread_mutex_destroy(&d->lock);
    memory_give(d->fleet->memory, d, sizeof *d);
}
