/* SPDX-License-Identifier: Apache-2.0
 * story_check.c - what must hold after every command, and the state as text. */
#include "core/place.h"
#include "core/progress.h"
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the state as text ---------------------------------------------------------------------- */

static void put_version(FILE *out, const struct fleet *fleet, const char *what, struct version v)
{
    fprintf(out, " %s %.*s/%.*s", what, TEXT_ARG(fleet_text(fleet, v.code)),
            TEXT_ARG(fleet_text(fleet, v.config)));
}

static void put_order(FILE *out, const struct fleet *fleet, const struct assignment *a)
{
    fprintf(out, "\n  order r-%u attempt %u state %u cause %u was %u ack %d", a->rollout,
            a->attempt, a->state, a->cause, a->status_when_picked, a->is_acknowledged);
    put_version(out, fleet, "target", a->target);
    put_version(out, fleet, "previous", a->previous);
    fprintf(out, " at %lld %lld %lld %lld due %lld %lld", (long long)a->assigned_at,
            (long long)a->on_target_since, (long long)a->healthy_since, (long long)a->ended_at,
            (long long)a->deadline_at, (long long)a->health_deadline_at);
}

static void put_instance(FILE *out, const struct fleet *fleet, const struct instance *inst)
{
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    fprintf(out, "%.*s ip %.*s status %u presence %u generation %u since %lld",
            TEXT_ARG(instance_key(inst)), TEXT_ARG(instance_ip(inst)), inst->status, inst->presence,
            inst->generation, (long long)inst->registered_at);
    for (size_t i = 0; i < labels_count(&fleet->labels, inst->labels); i++) {
        struct text key, value;
        labels_at(&fleet->labels, inst->labels, i, &key, &value);
        fprintf(out, " %.*s=%.*s", TEXT_ARG(key), TEXT_ARG(value));
    }
    fprintf(out, " says %.*s", TEXT_ARG(fleet_text(fleet, inst->message)));
    put_version(out, fleet, "runs", inst->current);
    put_version(out, fleet, "wish", inst->desired);
    put_order(out, fleet, &inst->assignment);
    for (size_t i = 0; i < inst->trail_count; i++) {
        fprintf(out, "\n  trail r-%u wave %u", inst->trail[i].rollout, inst->trail_waves[i]);
        put_version(out, fleet, "before", inst->trail[i].previous);
    }
    fprintf(out, "\n  member of r-%u state %u wave %u offline %lld %d\n", r ? r->number : 0,
            fleet_member_state(fleet, inst), r ? inst->placed.wave : 0, (long long)inst->offline_at,
            inst->was_idle);
}

static void put_tally(FILE *out, const struct tally *t)
{
    fprintf(out, "  tally %u: %u (%u) %u (%u) %u (%u) %u (%u) %u %u\n", t->total, t->pending,
            t->pending_online, t->in_progress, t->settling, t->completed, t->already_current,
            t->failed, t->acknowledged, t->offline, t->available);
}

/* Without what may change after the end: rolled_back_by and the revision. */
static void put_frozen(FILE *out, const struct fleet *fleet, const struct rollout *r)
{
    fprintf(out, "r-%u state %u cause %u outcome %u flags %d%d%d generation %u", r->number,
            r->state, r->cause, r->outcome, r->has_no_target, r->is_fast, r->is_breach_pause,
            r->generation);
    put_version(out, fleet, "target", r->target);
    fprintf(out, " on [%.*s] by %.*s: %.*s", TEXT_ARG(r->selector_text), TEXT_ARG(r->created_by),
            TEXT_ARG(r->reason));
    for (uint32_t i = 0; i < r->unresolved_count; i++)
        fprintf(out, " unresolved %.*s", TEXT_ARG(r->unresolved[i]));
    for (uint32_t i = 0; i < r->failure_count; i++)
        fprintf(out, " failure %.*s cause %u: %.*s", TEXT_ARG(r->failures[i].key),
                r->failures[i].cause, TEXT_ARG(r->failures[i].message));
    fprintf(out, " at %lld %lld %lld %lld %lld %lld", (long long)r->created_at,
            (long long)r->started_at, (long long)r->ended_at, (long long)r->paused_at,
            (long long)r->leftover_at, (long long)r->progressed_at);
    fprintf(out, " stopped %lld frozen %lld %u", (long long)r->stopped_at, (long long)r->frozen_at,
            r->frozen_count);
    fprintf(out, " wave %u state %u gate %u state %u flags %d%d due %lld", r->open_wave,
            r->wave_state, r->gate, r->gate_state, r->is_soaked, r->is_promoted,
            (long long)r->wave_due_at);
    for (uint32_t i = 0; i < r->open_wave; i++)
        fprintf(out, " passed %lld", (long long)r->waves[i].passed_at);
    fprintf(out, " of %u %u %u index %llu\n", r->retry_of, r->rollback_of, r->restores,
            (unsigned long long)r->started_index);
    for (uint32_t i = 0; i < r->wave_count && !rollout_is_live(r); i++)
        put_tally(out, &r->waves[i].final);
    if (!rollout_is_live(r))
        put_tally(out, &r->final);
}

/* Without the names of lots and cells, which depend on the order in which labels were met. */
static void put_candidates(FILE *out, const struct fleet *fleet, const struct rollout *r,
                           uint32_t wave, uint32_t class)
{
    const struct lots *lots = &r->live->lots;
    for (uint32_t slot = fleet_next(fleet, TEXT_NONE, true); slot != FLEET_NONE;
         slot = fleet_after(fleet, slot)) {
        const struct placement *p = &fleet_at(fleet, slot)->placed;
        if (fleet_rollout_of(fleet, fleet_at(fleet, slot)) == r && p->wave == wave &&
            p->set == SET_FIRST_FAILED + class && lots_has(lots, p->lot, class, slot))
            fprintf(out, " %.*s", TEXT_ARG(instance_key(fleet_at(fleet, slot))));
    }
}

static void put_live(FILE *out, const struct fleet *fleet, const struct rollout *r)
{
    put_tally(out, &r->live->tally);
    for (uint32_t wave = 0; wave < r->wave_count; wave++) {
        put_tally(out, &r->live->waves[wave]);
        for (uint32_t class = 0; class < LOT_CLASSES; class ++) {
            fprintf(out, "  wave %u class %u:", wave, class);
            put_candidates(out, fleet, r, wave, class);
            fprintf(out, "\n");
        }
    }
    for (size_t set = SET_AWAY; set < MEMBER_SET_COUNT; set++) {
        fprintf(out, "  set %zu:", set);
        uint32_t root = r->live->sets[set];
        for (uint32_t slot = ordered_first(&fleet->members, root); slot != ORDERED_NONE;
             slot = ordered_after(&fleet->members, root, slot))
            fprintf(out, " %.*s", TEXT_ARG(instance_key(fleet_at(fleet, slot))));
        fprintf(out, "\n");
    }
}

char *story_dump(const struct story *s)
{
    const struct fleet *fleet = &s->fleet;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    fprintf(out, "next r-%u, entry %llu, %u instances, %u online, %u in flight\n",
            fleet->last_number + 1, (unsigned long long)fleet->next_index, fleet->instance_count,
            fleet->tally.online, fleet->tally.in_progress);
    fprintf(out, "silence %u since %lld: %u fell, %u missing\n", fleet->silence.state,
            (long long)fleet->silence.frozen_at, fleet->silence.fallen, fleet->silence.missing);
    for (uint32_t slot = fleet_next(fleet, TEXT_NONE, true); slot != FLEET_NONE;
         slot = fleet_after(fleet, slot))
        put_instance(out, fleet, fleet_at(fleet, slot));
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        const struct rollout *r = fleet->rollouts[i];
        put_frozen(out, fleet, r);
        fprintf(out, "  rolled back by r-%u revision %llu\n", r->rolled_back_by,
                (unsigned long long)r->revision);
        if (r->live)
            put_live(out, fleet, r);
    }
    fclose(out);
    return text;
}

void story_assert_same(const char *before, const char *after)
{
    struct text was = text_from(before);
    struct text is = text_from(after);
    struct text a;
    struct text b;
    while (text_cut(&was, '\n', &a) && text_cut(&is, '\n', &b))
        if (!text_equal(a, b))
            fail_msg("was: %.*s\nis:  %.*s", TEXT_ARG(a), TEXT_ARG(b));
    assert_string_equal(before, after);
}

uint64_t story_hash(const struct story *s)
{
    char *text = story_dump(s);
    uint64_t hash = text_hash(text_from(text), 1);
    free(text);
    return hash;
}

static uint64_t frozen_hash(const struct fleet *fleet, const struct rollout *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    put_frozen(out, fleet, r);
    fclose(out);
    uint64_t hash = text_hash((struct text){ text, size }, 1) | 1;
    free(text);
    return hash;
}

/* ---- what must hold ------------------------------------------------------------------------- */

#define CLAIM(condition, r)                                                                        \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("r-%u breaks: %s", (r)->number, #condition);                                  \
    } while (0)

/* I18: each set is in order and as large as its counter says. */
static uint32_t set_size(const struct fleet *fleet, const struct rollout *r, uint32_t root,
                         unsigned set)
{
    uint32_t size = 0;
    struct text before = TEXT_NONE;
    for (uint32_t slot = ordered_first(&fleet->members, root); slot != ORDERED_NONE;
         slot = ordered_after(&fleet->members, root, slot), size++) {
        const struct instance *inst = fleet_at(fleet, slot);
        CLAIM(fleet_rollout_of(fleet, inst) == r && inst->placed.set == set, r);
        CLAIM(size == 0 || text_compare(before, instance_key(inst)) < 0, r);
        before = instance_key(inst);
    }
    return size;
}

static void check_sets(const struct fleet *fleet, const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    uint32_t candidates = 0;
    const struct lots *lots = &r->live->lots;
    for (uint32_t i = 0; i < lots->count * LOT_CLASSES; i++)
        candidates += set_size(fleet, r, lots->list[i / LOT_CLASSES].queues[i % LOT_CLASSES].root,
                               SET_FIRST_FAILED + i % LOT_CLASSES);
    CLAIM(candidates == t->pending_online, r);
    CLAIM(set_size(fleet, r, r->live->sets[SET_AWAY], SET_AWAY) == t->pending - t->pending_online,
          r);
    CLAIM(set_size(fleet, r, r->live->sets[SET_BUSY], SET_BUSY) == t->in_progress, r);
    CLAIM(set_size(fleet, r, r->live->sets[SET_BROKEN], SET_BROKEN) == t->failed, r);
}

/* I2: the limit is passed only by what a rollback inherits, or when members leave. */
static void check_flight(struct story *s, const struct rollout *r)
{
    uint32_t busy = rollout_tally(r)->in_progress;
    uint32_t limit = rollout_batch_limit(r);
    uint32_t before = s->in_flight[r->number];
    if (before == 0 && r->rollback_of != 0)
        before =
            s->in_flight[r->rollback_of] + rollout_tally(r)->total; /* off the undone version */
    CLAIM(busy <= limit || busy <= before, r);
    s->in_flight[r->number] = busy;
}

/* I6: a live rollout can move, or says what it waits for. */
static void check_waits(const struct story *s, const struct rollout *r)
{
    struct waiting list[WAITING_REASON_COUNT];
    size_t count = waiting_list(&s->fleet, r, list);
    if (s->fleet.settings.is_manual || s->memory.failures > 0)
        return;
    CLAIM(!rollout_would_move(&s->fleet, r, ROLLOUT_EVALUATE) ||
              fleet_next_due(&s->fleet) <= s->fleet.now,
          r);
    CLAIM(count > 0 || rollout_would_move(&s->fleet, r, ROLLOUT_EVALUATE), r);
    CLAIM(r->state != ROLLOUT_PAUSED || (count > 0 && list[0].reason == WAITING_PAUSED), r);
    for (size_t i = 0; i < count; i++) {
        CLAIM(list[i].since > 0 && list[i].since <= s->fleet.now, r);
        if (!s->fleet.is_held && list[i].until != 0 && r->state == ROLLOUT_RUNNING &&
            fleet_next_due(&s->fleet) > list[i].until)
            fail_msg("r-%u waits for %s until %lld, and nothing is due before %lld", r->number,
                     waiting_word(list[i].reason), (long long)list[i].until,
                     (long long)fleet_next_due(&s->fleet));
    }
}

#define VERB_BIT(verb) (1u << (verb))

static void check_verbs(const struct fleet *fleet, const struct rollout *r)
{
    uint32_t wanted = 0;
    if (r->state == ROLLOUT_RUNNING)
        wanted |= VERB_BIT(VERB_PAUSE);
    if (r->state == ROLLOUT_RUNNING && waves_can_promote(r))
        wanted |= VERB_BIT(VERB_PROMOTE);
    if (r->state == ROLLOUT_PAUSED)
        wanted |= VERB_BIT(VERB_RESUME);
    if (rollout_is_live(r))
        wanted |= VERB_BIT(VERB_ABORT);
    if (!rollout_is_live(r) || rollout_tally(r)->failed > 0)
        wanted |= VERB_BIT(VERB_RETRY);
    if (r->rollback_of == 0)
        wanted |= VERB_BIT(VERB_ROLLBACK);
    CLAIM(fleet_allowed_verbs(fleet, r) == wanted, r);
}

static void check_live(struct story *s, const struct rollout *r)
{
    const struct fleet *fleet = &s->fleet;
    CLAIM(r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_PAUSED, r);
    CLAIM(r->live && r->live->rollout == r && fleet->live[r->live->index] == r->live, r);
    CLAIM(r->number <= fleet->last_number, r);
    check_flight(s, r);
    check_waits(s, r);
    if (!s->checks_seldom || s->commands % 8 == 0)
        check_sets(fleet, r);
}

/* I5, I7, I16. */
static void check_ended(struct story *s, const struct rollout *r)
{
    CLAIM(r->live == NULL && r->ended_at > 0, r);
    CLAIM((r->state == ROLLOUT_FAILED) == (r->cause != ROLLOUT_CAUSE_NONE), r);
    CLAIM((r->state == ROLLOUT_COMPLETED) == (r->outcome != OUTCOME_NONE), r);
    CLAIM((r->outcome == OUTCOME_FULL) ==
              (r->state == ROLLOUT_COMPLETED && r->final.completed == r->final.total),
          r);
    CLAIM(r->rollback_of == 0 || r->rolled_back_by == 0, r);
    if (r->cause == ROLLOUT_CAUSE_THRESHOLD && r->rollback_of == 0 &&
        r->config.on_failure == ON_FAILURE_ROLLBACK)
        CLAIM(r->has_no_target || r->rolled_back_by != 0, r);
    bool is_new = s->ended[r->number] == 0;
    if (!is_new && s->checks_seldom && s->commands % 16 != 0)
        return;
    uint64_t hash = frozen_hash(&s->fleet, r);
    CLAIM(is_new || s->ended[r->number] == hash, r);
    s->ended[r->number] = hash;
}

/* With few records kept, one that ends may be forgotten at once. */
static bool has_forgotten(const struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->change_count; i++)
        if (fleet->changes[i].rollout != 0 && !fleet_rollout(fleet, fleet->changes[i].rollout))
            return true;
    return false;
}

/* I3: wishes go to instances that a live rollout, or one that ended just now, selects. */
static void check_wishes(const struct fleet *fleet)
{
    if (has_forgotten(fleet))
        return;
    for (uint32_t i = 0; i < fleet->woken_count; i++) {
        const struct instance *inst = fleet_at(fleet, fleet->woken[i]);
        bool is_selected = false;
        for (uint32_t k = 0; k < fleet->rollout_count && !is_selected; k++) {
            const struct rollout *r = fleet->rollouts[k];
            is_selected = (rollout_is_live(r) || r->ended_at == fleet->now) &&
                          selector_matches(&r->selector, &fleet->labels, inst->labels);
        }
        if (!is_selected)
            fail_msg("%.*s got a wish from nobody", TEXT_ARG(instance_key(inst)));
    }
}

static void check_flying(const struct fleet *fleet)
{
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (!inst->texts || inst->is_gone)
            continue;
        const struct rollout *r = fleet_rollout_of(fleet, inst);
        bool is_flying = fleet_member_state(fleet, inst) == MEMBER_IN_PROGRESS;
        bool is_ordered = inst->assignment.state == MEMBER_IN_PROGRESS;
        assert_true(is_flying == is_ordered);
        assert_true(!is_flying || inst->assignment.rollout == r->number);
        assert_true(!r || selector_matches(&r->selector, &fleet->labels, inst->labels));
    }
}

/* I4. */
static void check_concurrency(const struct fleet *fleet)
{
    assert_true(fleet->live_count <= fleet->settings.max_concurrent);
    for (uint32_t i = 0; i < fleet->rollout_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (rollout_is_live(fleet->rollouts[i]) && rollout_is_live(fleet->rollouts[k]))
                assert_true(selector_disjoint(&fleet->rollouts[i]->selector,
                                              &fleet->rollouts[k]->selector));
}

void story_check(struct story *s)
{
    struct err what = { .code = ERR_NONE };
    if (place_check(&s->fleet, &what) != 0)
        fail_msg("%s", what.text);
    for (uint32_t i = 0; i < s->fleet.rollout_count; i++) {
        const struct rollout *r = s->fleet.rollouts[i];
        assert_true(r->number < STORY_ROLLOUTS);
        if (rollout_is_live(r))
            check_live(s, r);
        else
            check_ended(s, r);
        if (rollout_is_live(r) || !s->checks_seldom)
            check_verbs(&s->fleet, r);
    }
    check_wishes(&s->fleet);
    check_flying(&s->fleet);
    check_concurrency(&s->fleet);
}
