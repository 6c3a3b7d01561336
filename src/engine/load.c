/* SPDX-License-Identifier: Apache-2.0
 * load.c - the state of a new engine, from the store. */
#include "engine/engine_parts.h"

#include "engine/decoder.h"
#include "wire/json_pull.h"
#include "wire/record.h"

#define SCRATCH_MAX ((size_t)4 << 20)

struct loading {
    struct engine *e;
    struct arena scratch;
    int64_t stopped_at; /* clock of the newest batch; 0 = a new store */
    uint64_t next_index, last_number;
    uint64_t events, last_event;
    struct decoder *decoder;
    struct err *err;
};

static bool starts(struct text key, const char *prefix)
{
    return text_starts_with(key, text_from(prefix));
}

static bool load_meta(struct loading *l, struct text json)
{
    const struct json_node *root = NULL;
    if (!json_tree_parse(json, &l->scratch, &root, l->err))
        return err_set(l->err, ERR_CORRUPT, "the stored record meta/state is damaged");
    l->stopped_at = json_get_i64(root, "at", 0);
    int64_t next_index = json_get_i64(root, "next_index", 0);
    int64_t last_number = json_get_i64(root, "last_number", -1);
    if (l->stopped_at <= 0 || next_index <= 0 || last_number < 0 || last_number > UINT32_MAX)
        return err_set(l->err, ERR_CORRUPT, "the stored record meta/state is damaged");
    l->next_index = (uint64_t)next_index;
    l->last_number = (uint64_t)last_number;
    return true;
}

/* Entries come in order and go to memory as long as they fit: the newest stay. */
static bool load_event(struct loading *l, struct text key, struct text json)
{
    uint64_t index;
    struct wire_event_head head;
    if (!wire_read_event_head(key, json, &l->scratch, &index, &head, l->err))
        return false;
    struct journal *journal = &l->e->journal;
    if (l->events++ == 0) {
        journal->first = journal->next = journal->oldest = index;
    } else if (index != l->last_event + 1) {
        return err_set(l->err, ERR_CORRUPT, "journal entry %llu is missing",
                       (unsigned long long)(l->last_event + 1));
    }
    l->last_event = index;
    journal_add(journal, head.type, head.rollout, json);
    return true;
}

static void add_sized(struct buffer *out, struct text t)
{
    buffer_add(out, (struct text){ (const char *)&t.size, sizeof t.size });
    buffer_add(out, t);
}

static bool load_pair(void *ctx, struct text key, struct text value)
{
    struct loading *l = ctx;
    struct fleet *fleet = &l->e->fleet;
    arena_clear(&l->scratch);
    if (starts(key, "event/"))
        return load_event(l, key, value);
    if (starts(key, "instance/"))
        return decoder_take(l->decoder, key, value, l->err);
    if (!decoder_drain(l->decoder, l->err))
        return false;
    if (starts(key, "rollout/"))
        return wire_load_rollout(fleet, key, value, &l->scratch, l->err);
    if (text_equal(key, TEXT("meta/state")))
        return load_meta(l, value);
    if (text_equal(key, TEXT(RETENTION_KEY)))
        return retention_load(&l->e->retention, value, &l->scratch, l->err);
    if (starts(key, "seen/"))
        return seen_load(fleet, value, l->err);
    if (starts(key, ENGINE_OTHER_PREFIX)) {
        add_sized(&l->e->others, key);
        add_sized(&l->e->others, value);
        return !l->e->others.failed || err_set(l->err, ERR_MEMORY, "no memory for stored records");
    }
    char space[ERR_EXCERPT_SIZE];
    return err_set(l->err, ERR_CORRUPT, "the store has a record \"%s\" that no dides wrote",
                   err_excerpt(key, space));
}

static bool finish(struct loading *l)
{
    struct engine *e = l->e;
    struct fleet *fleet = &e->fleet;
    if (l->events > 0 && l->last_event + 1 != l->next_index)
        return err_set(l->err, ERR_CORRUPT, "the journal ends at %llu and should end at %llu",
                       (unsigned long long)l->last_event, (unsigned long long)(l->next_index - 1));
    if (l->next_index > 0)
        fleet->next_index = l->next_index;
    if (l->last_number > fleet->last_number)
        fleet->last_number = (uint32_t)l->last_number;
    e->journal.durable = fleet->next_index - 1;
    if (l->events == 0)
        e->journal.first = e->journal.next = e->journal.oldest = fleet->next_index;
    e->kept_oldest = e->journal.oldest;
    e->settled = fleet_end_round(fleet);
    fleet_settle(fleet, e->settled);

    int64_t now = e->clock.now_ms(e->clock.self);
    int64_t stood_still = l->stopped_at > 0 && now > l->stopped_at ? now - l->stopped_at : 0;
    /* Time never goes back, even when the clock of a machine does. */
    if (l->stopped_at > now) {
        e->ahead_ms = l->stopped_at - now;
        e->ahead_since = now;
        now = l->stopped_at;
    }
    e->alive_at = e->seen.began_at = now;
    return fleet_finish_loading(fleet, now, stood_still, l->err);
}

bool engine_load(struct engine *e, const struct store_port *store, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    struct loading l = { .e = e, .err = &why };
    e->last_waiter = &e->waiters;
    arena_init(&l.scratch, &memory_heap, SCRATCH_MAX);
    l.decoder = decoder_new(&e->fleet, e->options.ring != NULL);
    if (!l.decoder)
        return err_set(err, ERR_MEMORY, "no memory for the state that was stored");
    bool loaded = store->scan(store->self, TEXT_NONE, TEXT_NONE, 0, load_pair, &l, &why) &&
                  why.code == ERR_NONE && decoder_drain(l.decoder, &why) && finish(&l);
    decoder_free(l.decoder);
    arena_release(&l.scratch);
    if (!loaded && err)
        *err = why;
    return loaded;
}
