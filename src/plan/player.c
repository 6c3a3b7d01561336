/* SPDX-License-Identifier: Apache-2.0
 * player.c - plays the agents, the operator and the clock. */
#include "plan/parts.h"

#include "core/waves.h"

#include <assert.h>

/* Instants this far away are those of who is never missed. */
#define BEYOND_TIME (INT64_MAX / 8)

bool play_grow(struct play *p, void **items, uint32_t *capacity, uint32_t wanted, size_t item_size)
{
    if (wanted <= *capacity)
        return true;
    uint32_t next = *capacity ? *capacity * 2 : 16;
    const struct memory *memory = p->fleet->memory;
    void *grown = memory->resize(memory->ctx, *items, *capacity * item_size, next * item_size);
    if (!grown) {
        p->is_out_of_memory = true;
        return false;
    }
    *items = grown;
    *capacity = next;
    return true;
}

/* ---- after each command --------------------------------------------------------------------- */

static void await_approval(struct play *p, const struct change *change)
{
    if (!play_grow(p, (void **)&p->approvals, &p->approval_capacity, p->approval_count + 1,
                   sizeof p->approvals[0]))
        return;
    p->approvals[p->approval_count++] =
        (struct approval){ .due = p->fleet->now + p->assume->approve_ms,
                           .rollout = change->rollout,
                           .wave = change->wave,
                           .gate = change->gate };
}

static void note_member(struct play *p, const struct change *change)
{
    if (change->type == CHANGE_PICKED)
        timers_set(&p->reports, change->slot, p->fleet->now + p->f->update_ms);
    uint32_t index = p->member_of[change->slot];
    if (change->rollout != p->rollout->number || index == 0)
        return;
    struct forecast_member *m = &p->f->members[index - 1];
    if (change->type != CHANGE_PICKED) {
        m->state = change->type == CHANGE_COMPLETED ? MEMBER_COMPLETED : MEMBER_FAILED;
        m->cause = change->cause;
        m->ended_ms = play_offset(p, p->fleet->now);
    } else if (m->picked_ms == FORECAST_NEVER) {
        m->state = MEMBER_IN_PROGRESS;
        m->picked_ms = play_offset(p, p->fleet->now);
        p->order[p->picked++] = index - 1;
    }
    timeline_note_member(p, change->slot);
}

static void note_change(struct play *p, const struct change *change)
{
    switch (change->type) {
    case CHANGE_PICKED:
    case CHANGE_COMPLETED:
    case CHANGE_FAILED: note_member(p, change); break;
    case CHANGE_GATE_WAITING: await_approval(p, change); __attribute__((fallthrough));
    case CHANGE_GATE_PASSED:
    case CHANGE_GATE_INCONCLUSIVE: timeline_note_gate(p, change); break;
    case CHANGE_ROLLBACK_STARTED: {
        const struct rollout *r = fleet_rollout(p->fleet, change->rollout);
        if (r && r->rollback_of == p->rollout->number)
            p->f->rollback = r;
        break;
    }
    default: break;
    }
}

void play_note(struct play *p, uint32_t slot)
{
    for (uint32_t i = 0; i < p->fleet->change_count; i++)
        note_change(p, &p->fleet->changes[i]);
    if (slot != FLEET_NONE)
        timeline_note_member(p, slot);
    timeline_note(p);
    fleet_settle(p->fleet, fleet_end_round(p->fleet)); /* nobody takes anything back here */
}

/* ---- agents --------------------------------------------------------------------------------- */

/* Whether the member is one of those that are assumed to fail. */
static bool fails(const struct play *p, const struct rollout *r, const struct instance *inst)
{
    if (r->rollback_of != 0)
        return false;
    for (uint32_t i = 0; i < p->assume->fail_count; i++) {
        const struct forecast_failure *f = &p->assume->fail[i];
        if (selector_matches(&f->selector, &p->fleet->labels, inst->labels))
            return text_hash(instance_key(inst), p->assume->seed) % 100 < f->percent;
    }
    return false;
}

/* The update has taken its time. Who fails does so on the target: one that was FAILED before would
 * not fail by staying as it is (A4). */
static bool report(struct play *p, uint32_t slot, struct err *err)
{
    struct fleet *fleet = p->fleet;
    const struct instance *inst = fleet_at(fleet, slot);
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    timers_clear(&p->reports, slot);
    if (!r || inst->placed.state != MEMBER_IN_PROGRESS || inst->presence != PRESENCE_ONLINE)
        return true; /* its rollout has ended meanwhile */
    struct heartbeat_command command = {
        .has_code = inst->desired.code != 0,
        .has_config = inst->desired.config != 0,
        .has_status = true,
        .status = fails(p, r, inst) ? INSTANCE_FAILED : INSTANCE_HEALTHY,
        .code = fleet_text(fleet, inst->desired.code),
        .config = fleet_text(fleet, inst->desired.config),
    };
    struct heartbeat_result result;
    if (!fleet_heartbeat(fleet, slot, &command, &result, err))
        return false;
    play_note(p, slot);
    return true;
}

/* ---- the operator --------------------------------------------------------------------------- */

static bool approve(struct play *p, struct err *err)
{
    struct approval a = p->approvals[p->approval_first++];
    struct rollout *r = fleet_rollout(p->fleet, a.rollout);
    bool is_asked = r && r->state == ROLLOUT_RUNNING && r->open_wave == a.wave &&
                    r->gate == a.gate && waves_gate(r) && waves_can_promote(r);
    if (!is_asked)
        return true;
    struct verb_command promote = { .verb = VERB_PROMOTE };
    struct rollout *same;
    if (!fleet_verb(p->fleet, r, &promote, &same, NULL, err))
        return false;
    play_note(p, FLEET_NONE);
    return true;
}

/* ---- time ----------------------------------------------------------------------------------- */

enum player { PLAYER_AGENT, PLAYER_OPERATOR, PLAYER_CLOCK };

struct turn {
    int64_t at;
    enum player player;
    uint32_t slot;
};

/* At the same instant an agent comes before its deadline. `ticked_at`: so far the clock was let on;
 * what should have happened by then and did not, does not happen. */
static struct turn next_turn(const struct play *p, int64_t ticked_at, bool has_more)
{
    struct turn turn = { .player = PLAYER_AGENT };
    turn.slot = timers_first(&p->reports, &turn.at);
    if (p->approval_first < p->approval_count && p->approvals[p->approval_first].due < turn.at)
        turn =
            (struct turn){ .at = p->approvals[p->approval_first].due, .player = PLAYER_OPERATOR };
    int64_t due = has_more ? ticked_at : fleet_next_due(p->fleet);
    if (due <= ticked_at && !has_more)
        due = ticked_at + 1;
    if (due < turn.at)
        turn = (struct turn){ .at = due, .player = PLAYER_CLOCK };
    return turn;
}

static bool is_over(const struct play *p)
{
    return !rollout_is_live(p->rollout) && (!p->f->rollback || !rollout_is_live(p->f->rollback));
}

static bool let_time_pass(struct play *p, bool *ret_more, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    *ret_more = fleet_tick(p->fleet, &why);
    if (why.code != ERR_NONE)
        return err_set(err, why.code, "%s", why.text);
    play_note(p, FLEET_NONE);
    return true;
}

bool play_all(struct play *p, struct err *err)
{
    int64_t ticked_at = p->fleet->now;
    bool has_more = false;
    while (!is_over(p) && !p->is_out_of_memory) {
        struct turn turn = next_turn(p, ticked_at, has_more);
        if (turn.at > p->end_at) {
            p->f->is_cut = turn.at < BEYOND_TIME;
            break;
        }
        fleet_begin(p->fleet, turn.at, TEXT("plan"));
        bool done = true;
        switch (turn.player) {
        case PLAYER_AGENT: done = report(p, turn.slot, err); break;
        case PLAYER_OPERATOR: done = approve(p, err); break;
        case PLAYER_CLOCK:
            done = let_time_pass(p, &has_more, err);
            ticked_at = turn.at;
            break;
        }
        if (!done)
            return false;
    }
    return !p->is_out_of_memory ||
           err_set(err, ERR_MEMORY, "no memory to play the rollout to its end");
}
