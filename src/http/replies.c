/* SPDX-License-Identifier: Apache-2.0
 * replies.c - Idempotency-Key: what was answered to a POST is kept for a day, in the same commit as
 * its effect, and answered again to the same request (spec of rollouts, Q6). Only successes are
 * kept: a refused request changed nothing, and asking again may find another state.
 * Records: reply/<percent-encoded key>. */
#include "http/api_parts.h"

#include "base/format.h"
#include "wire/json_pull.h"

#define KEPT_MS       (24ll * 3600 * 1000)
#define REPLIES_MAX   200000u
#define BYTES_MAX     ((size_t)128 << 20)
#define EXPIRE_STEP   256u /* records removed at a time */
#define SEED_OF_BODY  0x6469646573ull
#define SEED_OF_BODY2 0x7265706c79ull

struct reply {
    struct reply *next; /* by time, oldest first */
    uint64_t sum[2];    /* of method, path and body */
    int64_t at;
    uint64_t round; /* that makes it durable */
    uint32_t id;    /* in the table */
    uint32_t key_size, body_size;
    int status;
    bool is_sealed; /* the body: only the same request opens it */
    char location[24];
    char bytes[]; /* key, body */
};

static struct text key_of(const struct reply *r)
{
    return (struct text){ r->bytes, r->key_size };
}

static struct text body_of(const struct reply *r)
{
    return (struct text){ r->bytes + r->key_size, r->body_size };
}

static size_t size_of(const struct reply *r)
{
    return sizeof *r + r->key_size + r->body_size;
}

/* ---- the table ------------------------------------------------------------------------------ */

static bool has_key(const void *ctx, uint32_t item, const void *key)
{
    const struct replies *replies = ctx;
    return text_equal(key_of(replies->by_id[item]), *(const struct text *)key);
}

static struct reply *find(const struct replies *replies, struct text key)
{
    uint32_t id = map_find(&replies->keys, text_hash(key, 0), has_key, replies, &key);
    return id == MAP_NONE ? NULL : replies->by_id[id];
}

static bool add(struct replies *replies, struct reply *r)
{
    if (replies->count == replies->capacity) {
        uint32_t capacity = replies->capacity ? replies->capacity * 2 : 256;
        struct reply **grown =
            memory_heap.resize(memory_heap.ctx, replies->by_id, replies->capacity * sizeof grown[0],
                               capacity * sizeof grown[0]);
        if (!grown)
            return false;
        replies->by_id = grown;
        replies->capacity = capacity;
    }
    if (!map_insert(&replies->keys, text_hash(key_of(r), 0), replies->count))
        return false;
    r->id = replies->count++;
    replies->by_id[r->id] = r;
    *replies->last = r;
    replies->last = &r->next;
    replies->bytes += size_of(r);
    return true;
}

/* Out of map and table; the last one takes its place there. */
static void take_out(struct replies *replies, struct reply *r)
{
    struct reply *moved = replies->by_id[replies->count - 1];
    map_remove(&replies->keys, text_hash(key_of(r), 0), r->id);
    if (moved != r) {
        map_remove(&replies->keys, text_hash(key_of(moved), 0), moved->id);
        moved->id = r->id;
        replies->by_id[moved->id] = moved;
        bool inserted = map_insert(&replies->keys, text_hash(key_of(moved), 0), moved->id);
        (void)inserted; /* two were removed before: there is room */
    }
    replies->count--;
    replies->bytes -= size_of(r);
}

static void unlink_reply(struct replies *replies, const struct reply *r)
{
    struct reply **link = &replies->first;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    if (!*link)
        replies->last = link;
}

static struct reply *new_reply(struct text key, struct text body)
{
    struct reply *r = memory_take_zeroed(&memory_heap, sizeof *r + key.size + body.size);
    if (!r)
        return NULL;
    r->key_size = (uint32_t)key.size;
    r->body_size = (uint32_t)body.size;
    memcpy(r->bytes, key.data, key.size);
    if (body.size)
        memcpy(r->bytes + key.size, body.data, body.size);
    return r;
}

static void drop(struct replies *replies, struct reply *r)
{
    take_out(replies, r);
    memory_give(&memory_heap, r, size_of(r));
}

/* ---- records -------------------------------------------------------------------------------- */

static void put_key(struct buffer *out, struct text key)
{
    buffer_add(out, TEXT(REPLIES_PREFIX));
    percent_encode(out, key);
}

static void store(struct api *api, const struct reply *r)
{
    struct buffer key, value;
    struct json_writer w;
    buffer_init(&key, &memory_heap, 1024);
    buffer_init(&value, &memory_heap, API_BODY_MAX);
    put_key(&key, key_of(r));
    json_writer_init(&w, &value);
    json_begin_object(&w);
    json_put_text(&w, "key", key_of(r));
    json_put_i64(&w, "at", r->at);
    json_put_i64(&w, "status", r->status);
    json_put_i64(&w, "sum", (int64_t)r->sum[0]);
    json_put_i64(&w, "sum2", (int64_t)r->sum[1]);
    json_put_text(&w, "location", text_from(r->location));
    json_put_bool(&w, "sealed", r->is_sealed);
    json_put_text(&w, "body", body_of(r));
    json_end_object(&w);
    engine_put(api->engine, buffer_text(&key), buffer_text(&value), key.failed || value.failed);
    buffer_release(&key);
    buffer_release(&value);
}

bool replies_load(struct api *api, struct text value, struct err *err)
{
    const struct json_node *root = NULL;
    arena_clear(&api->arena);
    if (!json_tree_parse(value, &api->arena, &root, err))
        return err_set(err, ERR_CORRUPT, "a stored reply is damaged");
    struct text key = json_get_text(root, "key", TEXT_NONE);
    struct text location = json_get_text(root, "location", TEXT_NONE);
    struct reply *r = new_reply(key, json_get_text(root, "body", TEXT_NONE));
    int64_t status = json_get_i64(root, "status", 200);
    bool is_sound = key.size > 0 && location.size < sizeof r->location && status >= 200 &&
                    status < 300; /* only successes are kept */
    if (!r || !is_sound) {
        if (r)
            memory_give(&memory_heap, r, size_of(r));
        return err_set(err, r ? ERR_CORRUPT : ERR_MEMORY, "a stored reply cannot be read");
    }
    r->at = json_get_i64(root, "at", 0);
    r->status = (int)status;
    r->is_sealed = json_get_bool(root, "sealed", false);
    r->sum[0] = (uint64_t)json_get_i64(root, "sum", 0);
    r->sum[1] = (uint64_t)json_get_i64(root, "sum2", 0);
    memcpy(r->location, location.data, location.size);
    if (add(&api->replies, r))
        return true;
    memory_give(&memory_heap, r, size_of(r));
    return err_set(err, ERR_MEMORY, "no memory for stored replies");
}

/* ---- life ----------------------------------------------------------------------------------- */

void replies_open(struct api *api)
{
    map_init(&api->replies.keys, &memory_heap);
    api->replies.last = &api->replies.first;
}

void replies_close(struct api *api)
{
    struct replies *replies = &api->replies;
    while (replies->first) {
        struct reply *r = replies->first;
        replies->first = r->next;
        drop(replies, r);
    }
    map_release(&replies->keys);
    memory_give(&memory_heap, replies->by_id, replies->capacity * sizeof replies->by_id[0]);
}

void replies_expire(struct api *api)
{
    struct replies *replies = &api->replies;
    int64_t now = engine_now(api->engine);
    if (!engine_is_writable(api->engine))
        return;
    for (unsigned i = 0; i < EXPIRE_STEP && replies->first; i++) {
        struct reply *r = replies->first;
        if (now - r->at < KEPT_MS)
            return;
        struct buffer key;
        buffer_init(&key, &memory_heap, 1024);
        put_key(&key, key_of(r));
        engine_delete(api->engine, buffer_text(&key), key.failed);
        buffer_release(&key);
        unlink_reply(replies, r);
        drop(replies, r);
    }
}

/* ---- requests ------------------------------------------------------------------------------- */

static void sum_request(const struct api_call *call, uint64_t ret[2])
{
    const struct http_request *request = call->request;
    ret[0] = text_hash(request->body, text_hash(request->path, SEED_OF_BODY)) >> 1;
    ret[1] = text_hash(request->body, text_hash(request->path, SEED_OF_BODY2)) >> 1;
}

static bool is_sound_key(struct text key)
{
    return key.size > 0 && key.size <= 128 && text_is_printable(key) && text_is_utf8(key);
}

static void replay(struct api_call *call, const struct reply *r)
{
    struct api *api = call->api;
    buffer_clear(&api->body);
    if (!r->is_sealed)
        buffer_add(&api->body, body_of(r));
    else if (!secret_unseal(body_of(r), call->request->body, &api->body))
        api->body.failed = true;
    memcpy(call->fields.location, r->location, sizeof call->fields.location);
    call->fields.is_replayed = true;
    api_reply(call, r->status, engine_is_settled(api->engine, r->round) ? 0 : r->round);
}

/* Whether the call has been answered: by what was said before, or by an error. */
bool replies_answer(struct api_call *call)
{
    struct api *api = call->api;
    if (strcmp(call->request->method, "POST") != 0)
        return false;
    struct text key = http_field(call->x, "Idempotency-Key");
    if (key.data == NULL)
        return false;
    if (!is_sound_key(key)) {
        err_set(&call->err, ERR_INVALID, "Idempotency-Key must be 1 to 128 printable bytes");
        api_fail(call);
        return true;
    }
    sum_request(call, call->sum);
    const struct reply *r = find(&api->replies, key);
    if (r && r->sum[0] == call->sum[0] && r->sum[1] == call->sum[1]) {
        replay(call, r);
        return true;
    }
    if (r) {
        err_set(&call->err, ERR_KEY_REUSED, "this Idempotency-Key came with another request");
        api_fail(call);
        return true;
    }
    if (api->replies.count >= REPLIES_MAX || api->replies.bytes >= BYTES_MAX) {
        err_set(&call->err, ERR_FULL, "%u replies with a key are kept, which is the most",
                api->replies.count);
        api_fail(call);
        return true;
    }
    call->key = key;
    return false;
}

/* The request has the token in it that its sender knows, and the store does not. */
static struct reply *new_sealed_reply(const struct api_call *call)
{
    struct buffer sealed;
    buffer_init(&sealed, &memory_heap, API_BODY_MAX);
    secret_seal(buffer_text(&call->api->body), call->request->body, &sealed);
    struct reply *r = sealed.failed ? NULL : new_reply(call->key, buffer_text(&sealed));
    buffer_release(&sealed);
    return r;
}

/* Keeps a success. Returns the round that makes it durable; 0: it is not kept. */
uint64_t replies_keep(struct api_call *call, int status)
{
    struct api *api = call->api;
    if (call->key.size == 0 || status >= 300)
        return 0;
    struct reply *r =
        call->is_secret ? new_sealed_reply(call) : new_reply(call->key, buffer_text(&api->body));
    if (!r)
        return 0;
    r->at = engine_now(api->engine);
    r->status = status;
    r->is_sealed = call->is_secret;
    r->sum[0] = call->sum[0];
    r->sum[1] = call->sum[1];
    memcpy(r->location, call->fields.location, sizeof r->location);
    if (!add(&api->replies, r)) {
        memory_give(&memory_heap, r, size_of(r));
        return 0;
    }
    store(api, r);
    r->round = engine_round_of_all(api->engine);
    return r->round;
}

/* The round was taken back, and with it what was answered in it. */
void replies_forget(struct api *api, uint64_t round)
{
    struct reply *next;
    for (struct reply *r = api->replies.first; r; r = next) {
        next = r->next;
        if (r->round < round)
            continue;
        unlink_reply(&api->replies, r);
        drop(&api->replies, r);
    }
}
