/* SPDX-License-Identifier: Apache-2.0
 * stored.h - records of a fleet as they are stored, and loading them into another one. */
#ifndef DIDES_TEST_WIRE_STORED_H
#define DIDES_TEST_WIRE_STORED_H

#include "core/place.h"
#include "wire/fleet_kit.h"
#include "wire/record.h"

struct stored {
    struct text key, value;
};

static inline struct text copy_of(struct kit *kit, const struct buffer *buffer)
{
    struct text copy;
    assert_false(buffer->failed);
    assert_true(arena_copy(&kit->arena, buffer_text(buffer), &copy));
    return copy;
}

static inline struct stored store_instance(struct kit *kit, uint32_t slot)
{
    struct stored s;
    buffer_clear(&kit->out);
    wire_instance_key(&kit->out, instance_key(fleet_at(&kit->fleet, slot)));
    s.key = copy_of(kit, &kit->out);
    buffer_clear(&kit->out);
    wire_store_instance(&kit->out, &kit->fleet, slot);
    s.value = copy_of(kit, &kit->out);
    return s;
}

static inline struct stored store_rollout(struct kit *kit, const struct rollout *r)
{
    struct stored s;
    buffer_clear(&kit->out);
    wire_rollout_key(&kit->out, r->number);
    s.key = copy_of(kit, &kit->out);
    buffer_clear(&kit->out);
    wire_store_rollout(&kit->out, &kit->fleet, r);
    s.value = copy_of(kit, &kit->out);
    return s;
}

static inline void load(struct kit *to, const struct stored *s)
{
    struct err err = { 0 };
    bool is_instance = text_starts_with(s->key, TEXT("instance/"));
    bool loaded = is_instance ? wire_load_instance(&to->fleet, s->key, s->value, &to->arena, &err)
                              : wire_load_rollout(&to->fleet, s->key, s->value, &to->arena, &err);
    if (!loaded)
        fail_msg("%s: %.*s", err.text, TEXT_ARG(s->value));
}

#endif
