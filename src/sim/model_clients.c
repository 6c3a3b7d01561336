/* SPDX-License-Identifier: Apache-2.0
 * model_clients.c - operators who ask with a key, and ask again until they are answered, and what
 * they were told (I14). What is kept of an answer is a record of the layer above the engine, as
 * http/replies.c writes it: in the round of its effect, or not at all. */
#include "sim/model_parts.h"

#include "wire/json_pull.h"

#define KEY_SIZE 48

struct held_reply {
    struct engine_waiter waiter; /* first: it is what the engine gives back */
    struct model *model;
    uint32_t key, rollout;
};

static struct text key_of(uint32_t key, char space[static KEY_SIZE])
{
    int size = snprintf(space, KEY_SIZE, ENGINE_OTHER_PREFIX "reply/k-%u", (unsigned)key);
    return (struct text){ space, (size_t)size };
}

__attribute__((format(printf, 2, 3))) static void blame(struct model *m, const char *format, ...)
{
    char said[ERR_TEXT_SIZE - 32];
    struct err err = { .code = ERR_NONE };
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    err_set(&err, ERR_INTERNAL, "%s", said);
    model_break(m, &err);
}

/* ---- the client ----------------------------------------------------------------------------- */

/* One key has one answer, however often it is asked for. */
static void hear(struct model *m, uint32_t key, uint32_t rollout)
{
    struct client_key *c = &m->clients.keys[key];
    if (model_chance(m, m->faults.loss)) {
        model_count(m, FAULT_LOST);
        return;
    }
    if (c->is_answered && c->rollout != rollout)
        blame(m, "I14 k-%u was answered with r-%u, and now with r-%u", (unsigned)key, c->rollout,
              rollout);
    if (c->is_answered)
        return;
    *c =
        (struct client_key){ .is_answered = true, .rollout = rollout, .commits = m->vault.commits };
}

/* I29: what it tells of is in the store. */
static void leave(struct model *m, uint32_t key, uint32_t rollout)
{
    char space[KEY_SIZE];
    if (!vault_find(&m->vault, key_of(key, space)).data && m->clients.replies[key].is_kept)
        blame(m, "I29 the answer to k-%u leaves, and is not stored", (unsigned)key);
    hear(m, key, rollout);
}

static void let_go(struct engine_waiter *waiter, enum engine_outcome outcome)
{
    struct held_reply *held = (struct held_reply *)waiter;
    struct held_reply reply = *held;
    memory_give(&memory_heap, held, sizeof *held);
    if (!reply.model->is_gone && outcome == ENGINE_DURABLE)
        leave(reply.model, reply.key, reply.rollout);
}

/* ---- the server ----------------------------------------------------------------------------- */

static void send_reply(struct model *m, uint32_t key)
{
    const struct client_reply *r = &m->clients.replies[key];
    if (r->round == 0 || server_is_settled(m, r->round)) {
        leave(m, key, r->rollout);
        return;
    }
    struct held_reply *held = memory_take_zeroed(&memory_heap, sizeof *held);
    if (!held) {
        blame(m, "no memory for an answer");
        return;
    }
    *held = (struct held_reply){
        .waiter = { .done = let_go }, .model = m, .key = key, .rollout = r->rollout
    };
    engine_wait(m->engine, r->round, &held->waiter);
}

bool clients_replay(struct model *m, uint32_t key)
{
    if (key == 0 || !m->clients.replies[key].is_kept)
        return false;
    send_reply(m, key);
    return true;
}

void clients_keep(struct model *m, uint32_t key, uint32_t rollout)
{
    char space[KEY_SIZE], value[64];
    int size = snprintf(value, sizeof value, "{\"at\":%lld,\"rollout\":%u}",
                        (long long)engine_now(m->engine), (unsigned)rollout);
    engine_put(m->engine, key_of(key, space), (struct text){ value, (size_t)size }, false);
    if (key > m->clients.newest)
        m->clients.newest = key;
    m->clients.replies[key] = (struct client_reply){ .is_kept = true,
                                                     .rollout = rollout,
                                                     .at = engine_now(m->engine),
                                                     .round = engine_round_of_all(m->engine) };
}

/* After the turn in which it was asked: the round may be durable, dropped or lost by now. */
void clients_answer(struct model *m, uint32_t key)
{
    if (m->engine && m->clients.replies[key].is_kept)
        send_reply(m, key);
}

void clients_note_drop(struct model *m)
{
    for (uint32_t key = 1; key <= m->clients.newest; key++) {
        struct client_reply *r = &m->clients.replies[key];
        if (r->is_kept && r->round != 0 && !server_is_settled(m, r->round))
            *r = (struct client_reply){ .is_kept = false };
    }
}

void clients_expire(struct model *m)
{
    char space[KEY_SIZE];
    for (uint32_t key = 1; key <= m->clients.newest && engine_is_writable(m->engine); key++) {
        struct client_reply *r = &m->clients.replies[key];
        if (!r->is_kept || engine_now(m->engine) - r->at < m->clients.kept_ms)
            continue;
        engine_delete(m->engine, key_of(key, space), false);
        *r = (struct client_reply){ .is_kept = false };
        m->clients.keys[key].is_over = true;
    }
}

/* ---- loading -------------------------------------------------------------------------------- */

static bool load_reply(void *ctx, struct text key, struct text value, struct err *err)
{
    struct model *m = ctx;
    struct arena arena;
    const struct json_node *root = NULL;
    uint64_t number;
    struct text digits = text_skip(key, sizeof ENGINE_OTHER_PREFIX "reply/k-" - 1);
    arena_init(&arena, &memory_heap, 4096);
    bool is_read =
        text_to_u64(digits, CLIENT_KEYS - 1, &number) && json_tree_parse(value, &arena, &root, err);
    if (is_read)
        m->clients.replies[number] =
            (struct client_reply){ .is_kept = true,
                                   .at = json_get_i64(root, "at", 0),
                                   .rollout = (uint32_t)json_get_i64(root, "rollout", 0) };
    arena_release(&arena);
    return is_read;
}

/* I14: every answer that was given is there, and the same. */
void clients_load(struct model *m)
{
    struct err err = { .code = ERR_NONE };
    memset(m->clients.replies, 0, sizeof m->clients.replies);
    if (!engine_each_other(m->engine, load_reply, m, &err))
        blame(m, "I14 a kept answer cannot be read: %s", err.text);
    for (uint32_t key = 1; key < CLIENT_KEYS; key++) {
        struct client_key *c = &m->clients.keys[key];
        const struct client_reply *r = &m->clients.replies[key];
        if (c->is_answered && m->vault.is_older && c->commits > m->vault.loaded)
            *c = (struct client_key){ .is_over = true }; /* an older copy was put in place */
        if (!c->is_answered || c->is_over)
            continue;
        if (!r->is_kept)
            blame(m, "I14 the answer to k-%u was given and is lost", (unsigned)key);
        else if (r->rollout != c->rollout)
            blame(m, "I14 k-%u was answered with r-%u, and r-%u is stored", (unsigned)key,
                  c->rollout, r->rollout);
    }
}

/* ---- one key, one effect -------------------------------------------------------------------- */

static bool has_key(const struct rollout *r)
{
    return r->rollback_of == 0 && r->retry_of == 0 && text_starts_with(r->reason, TEXT("k-"));
}

bool clients_hold(const struct model *m, struct err *err)
{
    const struct fleet *fleet = m->fleet;
    for (uint32_t i = 0; i < fleet->rollout_count; i++)
        for (uint32_t k = i + 1; k < fleet->rollout_count && has_key(fleet->rollouts[i]); k++)
            if (has_key(fleet->rollouts[k]) &&
                text_equal(fleet->rollouts[i]->reason, fleet->rollouts[k]->reason))
                return err_set(err, ERR_INTERNAL, "I14 one key made r-%u and r-%u",
                               fleet->rollouts[i]->number, fleet->rollouts[k]->number);
    return true;
}
