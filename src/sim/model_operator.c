/* SPDX-License-Identifier: Apache-2.0
 * model_operator.c - who asks for rollouts: the script of a plan, or a swarm. A step whose round is
 * lost or refused is asked again, as a client with an idempotency key would. */
#include "base/limits.h"
#include "sim/model_parts.h"
#include "wire/request.h"

#define AGAIN_MS 1000

/* ---- requests ------------------------------------------------------------------------------- */

static const struct text operator_name = { "operator", 8 };

static enum err_code after(struct model *m, enum event_kind kind, const char *what,
                           const struct rollout *r, const struct err *err)
{
    enum err_code code = r ? ERR_NONE : err->code;
    model_note(m, &(struct note){ .kind = NOTE_OPERATOR,
                                  .agent = FLEET_NONE,
                                  .what = what,
                                  .number = r ? r->number : 0,
                                  .code = (uint16_t)code });
    uint32_t key = r && m->engine ? m->key : 0;
    if (key != 0)
        clients_keep(m, key, r->number);
    server_end(m, kind, FLEET_NONE, true, code);
    if (key != 0)
        clients_answer(m, key);
    return code;
}

enum err_code operator_deploy(struct model *m, const struct deploy_command *command,
                              struct err *err)
{
    if (!model_has_server(m))
        return err_set(err, ERR_UNAVAILABLE, "no server runs"), ERR_UNAVAILABLE;
    server_begin(m, operator_name);
    const struct rollout *r = fleet_deploy(m->fleet, command, NULL, err);
    return after(m, EVENT_DEPLOY, "deploy", r, err);
}

enum err_code operator_rollback(struct model *m, const struct rollback_command *command,
                                struct err *err)
{
    if (!model_has_server(m))
        return err_set(err, ERR_UNAVAILABLE, "no server runs"), ERR_UNAVAILABLE;
    server_begin(m, operator_name);
    const struct rollout *r = fleet_rollback(m->fleet, command, NULL, err);
    return after(m, EVENT_ROLLBACK, "rollback", r, err);
}

enum err_code operator_verb(struct model *m, uint32_t number, const struct verb_command *command,
                            struct err *err)
{
    struct rollout *result = NULL;
    if (!model_has_server(m))
        return err_set(err, ERR_UNAVAILABLE, "no server runs"), ERR_UNAVAILABLE;
    struct rollout *r = number ? fleet_rollout(m->fleet, number) : fleet_first_live(m->fleet);
    if (!r)
        return err_set(err, ERR_NOT_FOUND, "there is no such rollout"), ERR_NOT_FOUND;
    server_begin(m, operator_name);
    if (!fleet_verb(m->fleet, r, command, &result, NULL, err))
        result = NULL;
    return after(m, EVENT_VERB, verb_word(command->verb), result, err);
}

/* ---- the steps of a script ------------------------------------------------------------------ */

static const struct plan_step *step_of(const struct model *m)
{
    return &m->plan->steps[m->step];
}

static enum err_code read_and_deploy(struct model *m, struct text body, struct arena *arena,
                                     struct err *err)
{
    struct deploy_command command;
    return wire_read_deploy(body, arena, &command, err) ? operator_deploy(m, &command, err)
                                                        : err->code;
}

static enum err_code read_and_roll_back(struct model *m, struct text body, struct arena *arena,
                                        struct err *err)
{
    struct rollback_command command;
    return wire_read_rollback(body, arena, &command, err) ? operator_rollback(m, &command, err)
                                                          : err->code;
}

static enum err_code read_and_verb(struct model *m, const struct plan_step *step,
                                   struct arena *arena, struct err *err)
{
    struct verb_command command;
    enum verb verb = VERB_PAUSE;
    uint32_t number = 0;
    while (verb < VERB_COUNT && !text_equal(step->verb, text_from(verb_word(verb))))
        verb++;
    if ((step->rollout.data && !wire_read_rollout_id(step->rollout, &number, err)) ||
        !wire_read_verb(step->body, arena, verb, &command, err))
        return err->code;
    return operator_verb(m, number, &command, err);
}

static uint32_t behave(struct model *m, const struct plan_step *step)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->crowd.count; i++) {
        if (!selector_matches(&step->selector, &m->plan->labels, m->plan->instances[i].labels))
            continue;
        m->crowd.cells[i].behaviour = (uint8_t)(step->behaviour - m->plan->behaviours);
        count++;
    }
    return count;
}

static enum err_code carry_out(struct model *m, const struct plan_step *step, struct arena *arena,
                               struct err *err)
{
    switch ((enum plan_action)step->action) {
    case PLAN_DEPLOY: return read_and_deploy(m, step->body, arena, err);
    case PLAN_ROLLBACK: return read_and_roll_back(m, step->body, arena, err);
    case PLAN_VERB: return read_and_verb(m, step, arena, err);
    case PLAN_BEHAVE: break;
    }
    model_tell(m, "step %u (behave): %u instances behave as %.*s", m->step + 1, behave(m, step),
               TEXT_ARG(step->behaviour->name));
    return ERR_NONE;
}

static const char *name_of(const struct plan_step *step)
{
    static const char *const names[] = { [PLAN_DEPLOY] = "deploy",
                                         [PLAN_ROLLBACK] = "rollback",
                                         [PLAN_VERB] = "verb",
                                         [PLAN_BEHAVE] = "behave" };
    return names[step->action];
}

static void arm(struct model *m)
{
    int64_t due = TIMERS_NEVER;
    if (m->step < m->plan->step_count)
        due = MODEL_BEGIN_MS + step_of(m)->at_ms;
    model_set_timer(m, TIMER_OPERATOR, due > m->now ? due : m->now);
    if (due == TIMERS_NEVER)
        model_set_timer(m, TIMER_OPERATOR, due);
}

static void do_step(struct model *m)
{
    const struct plan_step *step = step_of(m);
    struct arena arena;
    struct err err = { .code = ERR_NONE };
    if (m->unsettled_count == OPERATOR_UNSETTLED) {
        model_set_timer(m, TIMER_OPERATOR, m->now + AGAIN_MS);
        return;
    }
    uint64_t round = m->fleet ? m->fleet->round : 0, drops = m->drops;
    arena_init(&arena, &memory_heap, LIMIT_BODY * 16);
    enum err_code code = carry_out(m, step, &arena, &err);
    arena_release(&arena);
    if (err_is_retryable(code) || m->drops != drops) {
        model_set_timer(m, TIMER_OPERATOR, m->now + AGAIN_MS);
        return;
    }
    if (code != ERR_NONE) {
        m->counts.refused++;
        model_tell(m, "step %u (%s): refused, %d: %s", m->step + 1, name_of(step),
                   err_http_status(code), err.text);
    } else if (step->action != PLAN_BEHAVE) {
        model_tell(m, "step %u (%s): done", m->step + 1, name_of(step));
    }
    if (code == ERR_NONE && m->fleet && !server_is_settled(m, round)) {
        m->unsettled_steps[m->unsettled_count] = m->step;
        m->unsettled_rounds[m->unsettled_count++] = round;
    }
    m->step++;
    arm(m);
}

void operator_wake(struct model *m)
{
    if (m->operate)
        m->operate(m->operator_ctx, m);
    else if (m->step < m->plan->step_count)
        do_step(m);
}

void operator_begin(struct model *m)
{
    if (m->plan->step_count > 0)
        arm(m);
}

void operator_settled(struct model *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->unsettled_count; i++) {
        if (server_is_settled(m, m->unsettled_rounds[i]))
            continue;
        m->unsettled_steps[kept] = m->unsettled_steps[i];
        m->unsettled_rounds[kept++] = m->unsettled_rounds[i];
    }
    m->unsettled_count = kept;
}

/* What was taken back is the newest: the script goes on from the first step among it. */
void operator_dropped(struct model *m)
{
    if (m->unsettled_count == 0)
        return;
    m->step = m->unsettled_steps[0];
    m->unsettled_count = 0;
    model_set_timer(m, TIMER_OPERATOR, m->now + AGAIN_MS);
}

bool operator_is_done(const struct model *m)
{
    return m->step >= m->plan->step_count && m->unsettled_count == 0 && !m->operate;
}
