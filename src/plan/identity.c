/* SPDX-License-Identifier: Apache-2.0
 * identity.c - see identity.h. */
#include "plan/identity.h"

#define PIECE_SIZE 32768u
#define PIECE_MAX  (PIECE_SIZE + 65536u) /* one label set or key besides */
#define NO_NUMBER  UINT32_MAX            /* of a label set that is not selected */

struct speaker {
    const struct fleet *fleet;
    const struct selector *selector;
    const struct identity_sink *sink;
    struct buffer piece;
    uint32_t *labels, *texts; /* by id: the number it was given, or 0 */
    uint32_t label_count, text_count;
    uint32_t *slots;
};

/* ---- saying --------------------------------------------------------------------------------- */

static void flush(struct speaker *s, size_t at_least)
{
    if (s->piece.failed || s->piece.size < at_least)
        return;
    s->sink->add(s->sink->ctx, buffer_text(&s->piece));
    buffer_clear(&s->piece);
}

/* Seven bits a byte, the last one without the eighth. */
static void say_number(struct speaker *s, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        buffer_add_byte(&s->piece, (char)(unsigned char)(number | 0x80));
    buffer_add_byte(&s->piece, (char)number);
}

static void say_text(struct speaker *s, struct text t)
{
    say_number(s, t.size);
    buffer_add(&s->piece, t);
}

static void say_settings(struct speaker *s)
{
    const struct fleet_settings *f = &s->fleet->settings;
    const int64_t values[] = { f->heartbeat_timeout_ms, f->heartbeat_min_ms, f->heartbeat_max_ms,
                               f->active_interval_ms,   f->target_rate,      f->max_concurrent,
                               f->max_instances,        f->rollouts_kept,    f->rollouts_kept_ms,
                               f->ignores_agent_labels, f->is_manual };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        say_number(s, (uint64_t)values[i]);
}

/* ---- members -------------------------------------------------------------------------------- */

static void say_version_part(struct speaker *s, uint32_t id)
{
    bool is_new = s->texts[id] == 0;
    if (is_new)
        s->texts[id] = ++s->text_count;
    say_number(s, s->texts[id]);
    if (is_new)
        say_text(s, fleet_text(s->fleet, id));
}

static void introduce_labels(struct speaker *s, uint32_t id)
{
    const struct label_sets *sets = &s->fleet->labels;
    size_t count = labels_count(sets, id);
    say_number(s, count);
    for (size_t i = 0; i < count; i++) {
        struct text key, value;
        labels_at(sets, id, i, &key, &value);
        say_text(s, key);
        say_text(s, value);
    }
}

static void say_member(struct speaker *s, const struct instance *inst)
{
    uint32_t *number = &s->labels[inst->labels];
    bool is_new = *number == 0;
    if (is_new)
        *number = selector_matches(s->selector, &s->fleet->labels, inst->labels) ? ++s->label_count
                                                                                 : NO_NUMBER;
    if (*number == NO_NUMBER)
        return;
    say_text(s, instance_key(inst));
    say_number(s, *number);
    if (is_new)
        introduce_labels(s, inst->labels);
    say_version_part(s, inst->current.code);
    say_version_part(s, inst->current.config);
    buffer_add_byte(&s->piece, (char)inst->status);
    buffer_add_byte(&s->piece, (char)inst->presence);
    flush(s, PIECE_SIZE);
}

/* Keys lie apart from their instances: they are asked for when those have come. */
static void prefetch(const struct speaker *s, uint32_t i, uint32_t count)
{
    if (i + 16 < count)
        __builtin_prefetch(fleet_at(s->fleet, s->slots[i + 16]));
    if (i + 8 < count)
        __builtin_prefetch(fleet_at(s->fleet, s->slots[i + 8])->texts);
}

static void say_members(struct speaker *s)
{
    uint32_t count = s->fleet->instance_count;
    if (count > 0)
        ordered_list(&s->fleet->by_name, s->fleet->names, s->slots, count);
    for (uint32_t i = 0; i < count; i++) {
        prefetch(s, i, count);
        say_member(s, fleet_at(s->fleet, s->slots[i]));
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

static size_t bytes_of(uint32_t count)
{
    return ((size_t)count + 1) * sizeof(uint32_t);
}

bool identity_feed(const struct fleet *fleet, const struct selector *selector, struct text request,
                   const struct identity_sink *sink, struct err *err)
{
    const struct memory *memory = fleet->memory;
    struct speaker s = { .fleet = fleet, .selector = selector, .sink = sink };
    buffer_init(&s.piece, memory, PIECE_MAX + request.size);
    s.labels = memory_take_zeroed(memory, bytes_of(fleet->labels.count));
    s.texts = memory_take_zeroed(memory, bytes_of(fleet->texts.count));
    s.slots = memory_take(memory, bytes_of(fleet->instance_count));
    bool said = s.labels && s.texts && s.slots;
    if (said) {
        say_text(&s, TEXT("dides plan 1"));
        say_text(&s, TEXT(DIDES_VERSION));
        say_text(&s, request);
        say_settings(&s);
        say_members(&s);
        flush(&s, 0);
        said = !s.piece.failed;
    }
    memory_give(memory, s.labels, bytes_of(fleet->labels.count));
    memory_give(memory, s.texts, bytes_of(fleet->texts.count));
    memory_give(memory, s.slots, bytes_of(fleet->instance_count));
    buffer_release(&s.piece);
    return said || err_set(err, ERR_MEMORY, "no memory for the hash of a plan");
}
