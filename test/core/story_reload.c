/* SPDX-License-Identifier: Apache-2.0
 * story_reload.c - another server takes over a story: it gets the records, text by text, and
 * nothing of what was derived from them. Numbers of slots, labels and texts become others. */
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdlib.h>
#include <string.h>

/* ---- copying records ------------------------------------------------------------------------ */

struct copying {
    struct story *to;
    const struct story *from;
};

static uint32_t copy_text(struct copying *c, uint32_t id)
{
    uint32_t copy = 0;
    assert_true(intern_take(&c->to->fleet.texts, fleet_text(&c->from->fleet, id), &copy));
    return copy;
}

static struct version copy_version(struct copying *c, struct version v)
{
    return (struct version){ .code = copy_text(c, v.code), .config = copy_text(c, v.config) };
}

static uint32_t copy_labels(struct copying *c, uint32_t labels)
{
    struct label_change changes[LIMIT_LABELS];
    const struct label_sets *sets = &c->from->fleet.labels;
    size_t count = labels_count(sets, labels);
    for (size_t i = 0; i < count; i++) {
        changes[i].is_removal = false;
        labels_at(sets, labels, i, &changes[i].key, &changes[i].value);
    }
    uint32_t copy = 0;
    assert_true(labels_merge(&c->to->fleet.labels, 0, changes, count, &copy, NULL));
    return copy;
}

static void copy_instance(struct copying *c, uint32_t from)
{
    const struct instance *old = fleet_at(&c->from->fleet, from);
    uint32_t slot = FLEET_NONE;
    assert_true(fleet_add(&c->to->fleet, instance_name(old), instance_ip(old), &slot, NULL));
    struct instance *inst = fleet_at(&c->to->fleet, slot);
    struct instance fresh = *inst;
    *inst = *old;
    inst->texts = fresh.texts;
    inst->placed = fresh.placed;
    inst->touched_round = fresh.touched_round;
    inst->interval_ms = 0;
    inst->clock_skew_ms = 0;
    inst->labels = copy_labels(c, old->labels);
    inst->message = copy_text(c, old->message);
    inst->current = copy_version(c, old->current);
    inst->desired = copy_version(c, old->desired);
    inst->assignment.target = copy_version(c, old->assignment.target);
    inst->assignment.previous = copy_version(c, old->assignment.previous);
    for (size_t i = 0; i < inst->trail_count; i++)
        inst->trail[i].previous = copy_version(c, old->trail[i].previous);
    c->to->is_silent[slot] = c->from->is_silent[from];
}

static void copy_waves(struct rollout *r, const struct rollout *old)
{
    assert_true(waves_lay_out(r));
    for (uint32_t i = 0; i < r->wave_count; i++) {
        const struct wave_config *config = r->waves[i].config;
        r->waves[i] = old->waves[i];
        r->waves[i].config = config;
        assert_true(arena_copy(&r->arena, old->waves[i].last_key, &r->waves[i].last_key));
    }
}

static void copy_failures(struct rollout *r, const struct rollout *old)
{
    r->failures = arena_take_array(&r->arena, old->failure_count, sizeof r->failures[0]);
    for (uint32_t i = 0; i < old->failure_count; i++) {
        r->failures[i].cause = old->failures[i].cause;
        assert_true(arena_copy(&r->arena, old->failures[i].key, &r->failures[i].key));
        assert_true(arena_copy(&r->arena, old->failures[i].message, &r->failures[i].message));
    }
}

static void copy_rollout(struct copying *c, const struct rollout *old)
{
    struct rollout *r = fleet_new_rollout(&c->to->fleet, NULL);
    assert_non_null(r);
    struct arena arena = r->arena;
    *r = *old;
    r->arena = arena;
    r->live = NULL;
    r->touched_round = 0;
    r->target = copy_version(c, old->target);
    assert_true(rollout_config_copy(&r->arena, &old->config, &r->config));
    assert_true(arena_copy(&r->arena, old->selector_text, &r->selector_text));
    assert_true(arena_copy(&r->arena, old->created_by, &r->created_by));
    assert_true(arena_copy(&r->arena, old->reason, &r->reason));
    assert_true(selector_parse(r->selector_text, NULL, 0, &r->arena, &r->selector, NULL));
    r->unresolved = arena_take_array(&r->arena, old->unresolved_count, sizeof r->unresolved[0]);
    for (uint32_t i = 0; i < old->unresolved_count; i++)
        assert_true(arena_copy(&r->arena, old->unresolved[i], &r->unresolved[i]));
    copy_failures(r, old);
    copy_waves(r, old);
    fleet_adopt_rollout(&c->to->fleet, r);
}

/* Backwards, so that slots are others. */
static void copy_records(struct story *to, const struct story *from)
{
    struct copying c = { to, from };
    for (uint32_t slot = from->fleet.slot_count; slot > 0; slot--) {
        const struct instance *inst = fleet_at(&from->fleet, slot - 1);
        if (inst->texts && !inst->is_gone)
            copy_instance(&c, slot - 1);
    }
    for (uint32_t i = 0; i < from->fleet.rollout_count; i++)
        copy_rollout(&c, from->fleet.rollouts[i]);
    to->fleet.next_index = from->fleet.next_index;
    to->fleet.last_number = from->fleet.last_number;
    fleet_settle(&to->fleet, fleet_end_round(&to->fleet));
}

/* ---- taking over ---------------------------------------------------------------------------- */

void story_reload(struct story *s, int64_t ms)
{
    struct fleet_settings settings = s->fleet.settings;
    struct story *kept = story_new(&settings, 11);
    copy_records(kept, s);
    fleet_release(&s->fleet);
    assert_int_equal(s->memory.blocks, 0);
    assert_true(fleet_init(&s->fleet, &s->memory.memory, &settings, 13, &s->err));
    memset(s->is_silent, 0, sizeof s->is_silent);
    copy_records(s, kept);
    story_free(kept);
    s->now += ms;
    story_command(s);
    assert_true(fleet_finish_loading(&s->fleet, s->now, ms, &s->err));
    story_done(s);
}

void story_assert_survives(struct story *s)
{
    char *before = story_dump(s);
    story_restart(s, 0);
    char *restarted = story_dump(s);
    story_reload(s, 0);
    char *reloaded = story_dump(s);
    story_assert_same(before, restarted);
    story_assert_same(before, reloaded);
    free(before);
    free(restarted);
    free(reloaded);
}
