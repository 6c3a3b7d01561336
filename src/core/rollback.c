/* SPDX-License-Identifier: Apache-2.0
 * rollback.c - finding what to restore, and starting to restore it. */
#include "core/rollback.h"

#include "core/admission.h"
#include "core/entering.h"
#include "core/inventory.h"
#include "core/membership.h"
#include "core/place.h"
#include "core/progress.h"
#include "core/waves.h"

#include <assert.h>

/* ---- what to restore ------------------------------------------------------------------------ */

/* Whether `target` says what to run instead of what the source changed: it names all of that, and
 * another version of it. */
static bool replaces(struct version target, struct version source)
{
    bool is_whole = (!source.code || target.code) && (!source.config || target.config);
    return is_whole && !version_is_at(target, source);
}

/* RB4: the newest success before the source, on the same selector, with another version. */
const struct rollout *rollback_target(const struct fleet *fleet, const struct rollout *source)
{
    for (uint32_t i = fleet->rollout_count; i > 0; i--) {
        const struct rollout *r = fleet->rollouts[i - 1];
        if (r->number < source->number && r->state == ROLLOUT_COMPLETED && r->rollback_of == 0 &&
            r->rolled_back_by == 0 && replaces(r->target, source->target) &&
            text_equal(r->selector_text, source->selector_text))
            return r;
    }
    return NULL;
}

static bool is_touched_by(const struct instance *inst, const struct rollout *source)
{
    return inst->trail_count > 0 && inst->trail[inst->trail_count - 1].rollout == source->number;
}

/* Whether the previous version of `inst` is known as far as the source changed it. */
static bool knows_previous(const struct instance *inst, const struct rollout *source)
{
    struct version previous = inst->trail[inst->trail_count - 1].previous;
    return (source->target.code == 0 || previous.code != 0) &&
           (source->target.config == 0 || previous.config != 0);
}

struct survey {
    uint32_t resolved, unresolved;
    size_t touches;
};

static struct survey survey(const struct fleet *fleet, const struct rollout *source,
                            const struct rollout *created)
{
    const struct rollout_live *live = created->live;
    bool has_fallback = created->target.code != 0 || created->target.config != 0;
    struct survey s = { 0 };
    for (uint32_t i = 0; i < live->entering_count; i++) {
        fleet_prefetch(fleet, live->entering, i, live->entering_count);
        const struct instance *inst = fleet_at(fleet, live->entering[i]);
        bool is_touched = is_touched_by(inst, source);
        bool is_resolved = is_touched && (has_fallback || knows_previous(inst, source));
        s.resolved += is_resolved ? 1 : 0;
        s.unresolved += is_touched && !is_resolved ? 1 : 0;
        s.touches += is_touched ? 1 : 0;
    }
    return s;
}

/* The names of those that cannot be restored, in order, at most LIMIT_UNRESOLVED. */
static bool list_unresolved(struct fleet *fleet, const struct rollout *source, uint32_t count,
                            struct rollout *created)
{
    uint32_t room = count < LIMIT_UNRESOLVED ? count : LIMIT_UNRESOLVED;
    created->unresolved = arena_take_array(&created->arena, room, sizeof created->unresolved[0]);
    if (room > 0 && !created->unresolved)
        return false;
    for (uint32_t i = 0; created->unresolved_count < room; i++) {
        const struct instance *inst = fleet_at(fleet, created->live->entering[i]);
        if (!is_touched_by(inst, source) || knows_previous(inst, source))
            continue;
        if (!arena_copy(&created->arena, instance_key(inst),
                        &created->unresolved[created->unresolved_count]))
            return false;
        created->unresolved_count++;
    }
    created->unresolved_total = count;
    return true;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* A caller's configuration says nothing of waves: they are those of the source, with their soaks
 * and gates, but the limits of all of them are the caller's. That of an earlier rollback of the
 * same source says them already. */
static void borrow_waves(struct rollout_config *config, const struct rollout_config *source,
                         struct wave_config waves[static LIMIT_WAVES])
{
    for (uint32_t i = 0; i < source->wave_count; i++) {
        const struct wave_config *w = &source->waves[i];
        waves[i] = (struct wave_config){ .name = w->name,
                                         .has_size = w->has_size,
                                         .size = w->size,
                                         .has_selector = w->has_selector,
                                         .selector_text = w->selector_text,
                                         .soak_ms = w->soak_ms,
                                         .gates = w->gates,
                                         .gate_count = w->gate_count };
    }
    config->strategy = source->strategy;
    config->waves = waves;
    config->wave_count = source->wave_count;
}

static struct rollout *draft(struct fleet *fleet, const struct rollout *source,
                             const struct rollback_request *request, struct err *err)
{
    struct rollout_config config = request->config ? *request->config : source->config;
    struct wave_config waves[LIMIT_WAVES];
    if (request->config && request->config->wave_count == 0)
        borrow_waves(&config, &source->config, waves);
    config.mode = MODE_WINDOW; /* RB7 */
    struct rollout *r =
        admission_draft(fleet, &source->selector, &config, source->number, request->reason, err);
    if (!r)
        return NULL;
    r->is_fast = request->is_fast;
    const struct rollout *target = rollback_target(fleet, source);
    if (target) {
        r->restores = target->number;
        struct version v = { .code = source->target.code ? target->target.code : 0,
                             .config = source->target.config ? target->target.config : 0 };
        r->target = (struct version){ intern_share(&fleet->texts, v.code),
                                      intern_share(&fleet->texts, v.config) };
    }
    return r;
}

bool rollback_prepare(struct fleet *fleet, struct rollout *source,
                      const struct rollback_request *request, struct rollback_plan *ret,
                      struct err *err)
{
    struct rollout *r = draft(fleet, source, request, err);
    if (!r)
        return false;
    if (!entering_choose(fleet, r, err) || !waves_divide(fleet, r, err)) {
        fleet_drop_rollout(fleet, r);
        return false;
    }
    struct survey s = survey(fleet, source, r);
    if (s.resolved == 0) {
        fleet_drop_rollout(fleet, r);
        *ret = (struct rollback_plan){ .source = source };
        return true;
    }
    /* Those taken over, those let go, and room for rollout_step() to reserve the first picks. */
    if (!list_unresolved(fleet, source, s.unresolved, r) ||
        !fleet_reserve(fleet, 2 * s.touches + rollout_tally(source)->in_progress + 16, err)) {
        fleet_drop_rollout(fleet, r);
        return err_set(err, ERR_MEMORY, "no memory for a rollback");
    }
    *ret = (struct rollback_plan){ .source = source, .created = r };
    return true;
}

bool rollback_prepare_automatic(struct fleet *fleet, struct rollout *source,
                                struct rollback_plan *ret, struct err *err)
{
    struct rollback_request request = { .is_fast = true,
                                        .reason = TEXT("automatic: the rollout failed") };
    struct text actor = fleet->actor;
    fleet->actor = TEXT("server"); /* nobody asked for it: not even who sent the report */
    bool prepared = rollback_prepare(fleet, source, &request, ret, err);
    fleet->actor = actor;
    return prepared;
}

/* ---- carrying out --------------------------------------------------------------------------- */

/* RB6, RB8: what one selected instance becomes in the rollback. */
static void take_over(struct fleet *fleet, void *ctx, uint32_t slot)
{
    const struct rollback_plan *plan = ctx;
    struct instance *inst = fleet_at(fleet, slot);
    struct rollout *source = plan->source;
    struct rollout *created = plan->created;
    bool was_in_flight =
        fleet_rollout_of(fleet, inst) == source && inst->placed.state == MEMBER_IN_PROGRESS;
    bool is_touched = is_touched_by(inst, source);
    struct version restored;
    bool is_resolved = is_touched && place_target(fleet, inst, created, &restored);

    if (is_touched)
        inventory_reset(fleet, slot);
    if (is_touched && inst->assignment.rollout == source->number && was_in_flight) {
        fleet_touch(fleet, slot);
        inst->assignment.state = MEMBER_NONE;
        inst->assignment.ended_at = fleet->now;
    }
    if (is_touched && !is_resolved)
        member_wish_nothing(fleet, slot);
    bool is_now = is_resolved && (was_in_flight || !version_is_at(inst->current, source->target));
    bool joined = member_step(fleet, created, slot, is_now ? MEMBER_REASSIGN : MEMBER_JOIN);
    assert(joined);
}

void rollback_carry_out(struct fleet *fleet, struct rollback_plan *plan)
{
    struct rollout *created = plan->created;
    struct text actor = fleet->actor;
    fleet->actor = created->created_by; /* the server itself, when nobody asked for it */
    admission_enter(fleet, created);
    fleet_touch_rollout(fleet, plan->source);
    plan->source->rolled_back_by = created->number;
    fleet_publish(fleet, &(struct change){ .type = CHANGE_ROLLBACK_STARTED,
                                           .slot = FLEET_NONE,
                                           .rollout = created->number,
                                           .reason = created->reason });
    entering_each(fleet, created, take_over, plan);
    admission_start(fleet, created);
    fleet->actor = actor;
}

/* ---- the command (RB1 to RB5) --------------------------------------------------------------- */

/* RB2: whether some instance has `r` on top of its trail, for all rollouts at once: the newest one
 * that fits. */
static struct rollout *newest_touching(const struct fleet *fleet, struct text selector_text,
                                       bool has_selector)
{
    struct rollout *newest = NULL;
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (!inst->texts || inst->is_gone || inst->trail_count == 0)
            continue;
        uint32_t number = inst->trail[inst->trail_count - 1].rollout;
        if (newest && number <= newest->number)
            continue;
        struct rollout *r = fleet_rollout(fleet, number);
        if (r && !rollout_is_live(r) &&
            (!has_selector || text_equal(r->selector_text, selector_text)))
            newest = r;
    }
    return newest;
}

static struct rollout *find_source(struct fleet *fleet, const struct rollback_command *command,
                                   struct text selector_text, struct err *err)
{
    if (command->number != 0) {
        struct rollout *r = fleet_rollout(fleet, command->number);
        if (!r)
            err_set_at(err, ERR_NOT_FOUND, "/id", "there is no rollout r-%u", command->number);
        return r;
    }
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        struct rollout *r = fleet->rollouts[i];
        if (rollout_is_live(r) &&
            (!command->has_selector || text_equal(r->selector_text, selector_text)))
            return r;
    }
    struct rollout *r = newest_touching(fleet, selector_text, command->has_selector);
    if (!r)
        err_set(err, ERR_NO_ROLLBACK_TARGET, "no ended rollout%s has touched an instance",
                command->has_selector ? " with this selector" : "");
    return r;
}

static struct rollout *source_of(struct fleet *fleet, const struct rollback_command *command,
                                 struct err *err)
{
    struct buffer canonical;
    buffer_init(&canonical, fleet->memory, LIMIT_SELECTOR);
    if (command->has_selector)
        selector_print(&command->selector, &canonical);
    struct rollout *source = NULL;
    if (canonical.failed)
        err_set(err, ERR_MEMORY, "no memory for a selector");
    else
        source = find_source(fleet, command, buffer_text(&canonical), err);
    buffer_release(&canonical);
    return source;
}

struct rollout *fleet_rollback(struct fleet *fleet, const struct rollback_command *command,
                               struct rollout **ret_other, struct err *err)
{
    struct rollout *source = source_of(fleet, command, err);
    if (!source)
        return NULL;
    if (source->rollback_of != 0) {
        err_set(err, ERR_REFUSED, "r-%u is itself a rollback; deploy a version instead",
                source->number);
        return NULL;
    }
    if (!admission_is_free(fleet, &source->selector, source, ret_other, err))
        return NULL;
    struct rollback_request request = { .config = command->config,
                                        .is_fast = command->is_fast,
                                        .reason = command->reason };
    struct rollback_plan plan;
    if (!rollback_prepare(fleet, source, &request, &plan, err))
        return NULL;
    if (!plan.created) {
        err_set(err, ERR_NO_ROLLBACK_TARGET,
                "r-%u touched no instance whose previous version is known, and no completed "
                "rollout before it has another version",
                source->number);
        return NULL;
    }
    if (!rollout_is_live(source)) {
        rollback_carry_out(fleet, &plan);
        return plan.created;
    }
    struct rollout_order order = { .cause = ROLLOUT_CAUSE_ROLLED_BACK,
                                   .reason = command->reason,
                                   .rollback = &plan };
    bool stepped = rollout_step(fleet, source, ROLLOUT_ROLLBACK, &order, err);
    assert(stepped); /* room was reserved, and a live rollout can always be rolled back */
    return plan.created;
}
