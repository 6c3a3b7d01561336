/* SPDX-License-Identifier: Apache-2.0
 * admission.c - from a request to a running rollout (spec of rollouts, 6.1). Everything that can be
 * refused is refused before the first change. */
#include "core/admission.h"

#include "core/entering.h"
#include "core/membership.h"
#include "core/place.h"
#include "core/progress.h"
#include "core/waves.h"

#include <assert.h>

/* ---- drafts --------------------------------------------------------------------------------- */

static bool copy_texts(struct fleet *fleet, struct rollout *r, const struct selector *selector,
                       struct text reason, struct err *err)
{
    struct buffer canonical;
    buffer_init(&canonical, fleet->memory,
                LIMIT_SELECTOR); /* selector_parse() allows no longer one */
    selector_print(selector, &canonical);
    bool copied = !canonical.failed &&
                  arena_copy(&r->arena, buffer_text(&canonical), &r->selector_text) &&
                  arena_copy(&r->arena, reason, &r->reason) &&
                  arena_copy(&r->arena, fleet->actor, &r->created_by);
    buffer_release(&canonical);
    if (copied)
        return selector_parse(r->selector_text, NULL, 0, &r->arena, &r->selector, err);
    return err_set(err, ERR_MEMORY, "no memory for a rollout");
}

struct rollout *admission_draft(struct fleet *fleet, const struct selector *selector,
                                const struct rollout_config *config, uint32_t rollback_of,
                                struct text reason, struct err *err)
{
    struct rollout *r = fleet_new_rollout(fleet, err);
    if (!r)
        return NULL;
    r->rollback_of = rollback_of;
    bool copied = (rollout_config_copy(&r->arena, config, &r->config) && waves_lay_out(r)) ||
                  err_set(err, ERR_MEMORY, "no memory for a rollout");
    if (!copied || !copy_texts(fleet, r, selector, reason, err) ||
        !fleet_make_live(fleet, r, err)) {
        fleet_drop_rollout(fleet, r);
        return NULL;
    }
    return r;
}

bool admission_is_free(const struct fleet *fleet, const struct selector *selector,
                       const struct rollout *but, struct rollout **ret_other, struct err *err)
{
    uint32_t others = 0;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        const struct rollout_live *live = fleet->live[i];
        if (!live || live->rollout == but)
            continue;
        others++;
        if (selector_disjoint(selector, &live->rollout->selector))
            continue;
        bool is_only = fleet->settings.max_concurrent == 1;
        if (ret_other)
            *ret_other = live->rollout;
        return err_set(err, is_only ? ERR_IN_PROGRESS : ERR_OVERLAPPING,
                       is_only ? "rollout r-%u is live, and max_concurrent is 1"
                               : "live rollout r-%u may select the same instances: some key must "
                                 "have values that do not intersect",
                       live->rollout->number);
    }
    if (others < fleet->settings.max_concurrent)
        return true;
    struct rollout *first = fleet_first_live(fleet);
    if (ret_other)
        *ret_other = first;
    return err_set(err, ERR_IN_PROGRESS, "rollout r-%u is live, and max_concurrent is %u",
                   first->number, fleet->settings.max_concurrent);
}

void admission_enter(struct fleet *fleet, struct rollout *r)
{
    fleet_add_rollout(fleet, r);
    r->created_at = fleet->now;
    r->generation = 1;
    r->started_index = fleet->next_index;
    fleet_publish(fleet, &(struct change){ .type = CHANGE_ROLLOUT_CREATED,
                                           .slot = FLEET_NONE,
                                           .rollout = r->number,
                                           .reason = r->reason });
}

void admission_start(struct fleet *fleet, struct rollout *r)
{
    r->started_at = r->progressed_at = fleet->now;
    silence_join(fleet, r);
    struct rollout_order order = { .reason = r->reason };
    bool started = rollout_step(fleet, r, ROLLOUT_START, &order, NULL);
    assert(started); /* room was reserved, and UNKNOWN always starts */
    progress_evaluate(fleet, r, NULL);
}

/* ---- deploy --------------------------------------------------------------------------------- */

/* What starting would do, counted before anything is done. */
struct prospect {
    uint32_t matches, needing, touches;
};

static struct prospect look(const struct fleet *fleet, const struct rollout *r)
{
    const struct rollout_live *live = r->live;
    struct prospect p = { .matches = live->entering_count };
    for (uint32_t i = 0; i < live->entering_count; i++) {
        fleet_prefetch(fleet, live->entering, i, live->entering_count);
        const struct instance *inst = fleet_at(fleet, live->entering[i]);
        bool is_current = version_is_at(inst->current, r->target);
        p.needing += is_current ? 0 : 1;
        p.touches +=
            instance_needs_update(inst) || (is_current && !version_is_at(inst->desired, r->target));
    }
    return p;
}

/* A5, then the join. */
static void enter_member(struct fleet *fleet, void *ctx, uint32_t slot)
{
    struct rollout *r = ctx;
    struct instance *inst = fleet_at(fleet, slot);
    if (instance_needs_update(inst))
        member_withdraw(fleet, slot);
    if (version_is_at(inst->current, r->target))
        member_wish(fleet, slot, r->target);
    bool joined = member_step(fleet, r, slot, MEMBER_JOIN);
    assert(joined);
}

static bool take_target(struct fleet *fleet, const struct deploy_command *command,
                        struct version *ret, struct err *err)
{
    struct version target = { 0 };
    if (!intern_take(&fleet->texts, command->code, &target.code))
        return err_set(err, ERR_MEMORY, "no memory for a version");
    if (!intern_take(&fleet->texts, command->config, &target.config)) {
        intern_drop(&fleet->texts, target.code);
        return err_set(err, ERR_MEMORY, "no memory for a version");
    }
    *ret = target;
    return true;
}

/* At most, whatever the first wave: it is not larger than all. */
static size_t first_picks(const struct rollout *r, const struct prospect *p)
{
    const struct wave_config *wave = r->waves[0].config;
    struct amount batch = wave && wave->has_batch_size ? wave->batch_size : r->config.batch_size;
    size_t picks = amount_down(batch, p->matches);
    return picks < p->needing ? picks : p->needing;
}

/* The draft of `command` in *ret with the fleet looked at, and room for all that starting does. */
static bool prepare(struct fleet *fleet, const struct deploy_command *command, struct rollout **ret,
                    struct prospect *ret_prospect, struct rollout **ret_other, struct err *err)
{
    if (!admission_is_free(fleet, &command->selector, NULL, ret_other, err))
        return false;
    struct rollout *r =
        admission_draft(fleet, &command->selector, &command->rollout, 0, command->reason, err);
    if (!r)
        return false;
    if (!take_target(fleet, command, &r->target, err) || !entering_choose(fleet, r, err) ||
        !waves_divide(fleet, r, err)) {
        fleet_drop_rollout(fleet, r);
        return false;
    }
    struct prospect p = look(fleet, r);
    bool fits = p.matches > 0 && fleet_reserve(fleet, p.touches + first_picks(r, &p) + 8, err);
    if (!fits) {
        if (p.matches == 0)
            err_set_at(err, ERR_NO_MATCH, "/selector", "no instance matches the selector");
        fleet_drop_rollout(fleet, r);
        return false;
    }
    *ret = r;
    *ret_prospect = p;
    return true;
}

static struct rollout *start(struct fleet *fleet, struct rollout *r)
{
    admission_enter(fleet, r);
    entering_each(fleet, r, enter_member, r);
    admission_start(fleet, r);
    return r;
}

struct rollout *fleet_deploy(struct fleet *fleet, const struct deploy_command *command,
                             struct rollout **ret_other, struct err *err)
{
    struct rollout *r = NULL;
    struct prospect prospect;
    if (!prepare(fleet, command, &r, &prospect, ret_other, err))
        return NULL;
    return start(fleet, r);
}

/* ---- again ---------------------------------------------------------------------------------- */

struct deploy_command admission_again(const struct fleet *fleet, const struct rollout *r)
{
    return (struct deploy_command){ .code = fleet_text(fleet, r->target.code),
                                    .config = fleet_text(fleet, r->target.config),
                                    .selector = r->selector,
                                    .rollout = r->config };
}

struct rollout *admission_retry(struct fleet *fleet, const struct rollout *r, struct text reason,
                                struct rollout **ret_other, struct err *err)
{
    struct deploy_command command = admission_again(fleet, r);
    command.reason = reason;
    uint32_t number = r->number;
    struct rollout *again = NULL;
    struct prospect prospect;
    if (!prepare(fleet, &command, &again, &prospect, ret_other, err))
        return NULL;
    if (prospect.needing == 0) {
        fleet_drop_rollout(fleet, again);
        err_set(err, ERR_NOTHING_TO_RETRY, "every member of r-%u runs its target", number);
        return NULL;
    }
    again->retry_of = number;
    return start(fleet, again);
}
