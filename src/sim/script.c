/* SPDX-License-Identifier: Apache-2.0
 * script.c - one step at a time, in order; a slow answer delays the ones behind it. */
#include "sim/script.h"

#include "base/limits.h"
#include "wire/json_pull.h"

#define WAIT_MAX_MS (3600 * 1000)
#define SAID_SIZE   (ERR_TEXT_SIZE + 128)

static void on_wake(void *ctx);

static const struct plan_step *step_of(const struct script *s)
{
    return &s->options.plan->steps[s->at];
}

static int64_t now_of(const struct script *s)
{
    return s->options.timer.now_ms(s->options.timer.self);
}

__attribute__((format(printf, 2, 3))) static void tell(const struct script *s, const char *format,
                                                       ...)
{
    char said[SAID_SIZE];
    va_list list;
    if (!s->options.told)
        return;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    s->options.told(s->options.ctx, said);
}

static void wait_ms(struct script *s, int64_t wait)
{
    if (wait > WAIT_MAX_MS)
        wait = WAIT_MAX_MS;
    if (s->options.timer.after(s->options.timer.self, wait > 0 ? wait : 0, on_wake, s))
        return;
    tell(s, "no memory for a timer: the script ends here");
    s->is_stopped = true;
    s->refused++;
}

static void wait_for_step(struct script *s)
{
    if (!s->is_stopped && s->at < s->options.plan->step_count)
        wait_ms(s, s->started_at + step_of(s)->at_ms - now_of(s));
}

static void next(struct script *s)
{
    s->at++;
    s->tries = 0;
    wait_for_step(s);
}

/* ---- what a step says ----------------------------------------------------------------------- */

static const char *name_of(const struct plan_step *step, char space[static 32])
{
    switch ((enum plan_action)step->action) {
    case PLAN_DEPLOY: return "deploy";
    case PLAN_ROLLBACK: return "rollback";
    case PLAN_BEHAVE: return "behave";
    case PLAN_VERB: break;
    }
    snprintf(space, 32, "%.*s", TEXT_ARG(step->verb));
    return space;
}

/* The sentence of a problem document, or the bytes themselves. */
static void explain(const struct call_result *result, char space[static ERR_TEXT_SIZE])
{
    struct arena arena;
    const struct json_node *tree = NULL;
    char excerpt[ERR_EXCERPT_SIZE];
    arena_init(&arena, &memory_heap, LIMIT_BODY * 4);
    if (result->status == 0)
        snprintf(space, ERR_TEXT_SIZE, "%s", result->err.text);
    else if (json_tree_parse(result->body, &arena, &tree, NULL) && json_member(tree, "detail"))
        snprintf(space, ERR_TEXT_SIZE, "%.*s", TEXT_ARG(json_get_text(tree, "detail", TEXT_NONE)));
    else
        snprintf(space, ERR_TEXT_SIZE, "%s", err_excerpt(result->body, excerpt));
    arena_release(&arena);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static bool may_try_again(const struct call_result *result)
{
    return result->status == 0 || result->status == 429 || result->status == 503;
}

static void try_later(struct script *s, int64_t retry_after_ms)
{
    s->tries++;
    wait_ms(s, retry_after_ms + agent_backoff_ms(&s->jitter, s->tries));
}

static void on_done(void *ctx, const struct call_result *result)
{
    struct script *s = ctx;
    char space[32], why[ERR_TEXT_SIZE];
    const char *name = name_of(step_of(s), space);
    s->is_calling = false;
    if (s->is_stopped)
        return;
    if (may_try_again(result) && s->tries + 1 < SCRIPT_TRIES_MAX) {
        try_later(s, result->retry_after_ms);
        return;
    }
    if (result->status >= 200 && result->status < 300) {
        tell(s, "step %u (%s): done", (unsigned)s->at + 1, name);
    } else {
        explain(result, why);
        tell(s, "step %u (%s): refused, %d: %s", (unsigned)s->at + 1, name, result->status, why);
        s->refused++;
    }
    next(s);
}

/* False: a verb, and there is no rollout for it. */
static bool path_of(const struct script *s, const struct plan_step *step, char space[static 64])
{
    if (step->action != PLAN_VERB) {
        snprintf(space, 64, "%s", step->action == PLAN_DEPLOY ? "/deploy" : "/deploy/rollback");
        return true;
    }
    const struct sighting *live = watcher_first_live(s->options.watcher);
    uint32_t number = step->rollout.data ? sighting_number(step->rollout) : live ? live->number : 0;
    snprintf(space, 64, "/deploy/r-%u/%.*s", (unsigned)number, TEXT_ARG(step->verb));
    return number != 0;
}

static void call(struct script *s, const struct plan_step *step)
{
    char path[64], space[32];
    if (!path_of(s, step, path)) {
        tell(s, "step %u (%s): refused, no rollout is live", (unsigned)s->at + 1,
             name_of(step, space));
        s->refused++;
        next(s);
        return;
    }
    snprintf(s->key, sizeof s->key, "sim-%lld-%u", (long long)s->started_at, (unsigned)s->at + 1);
    struct call asked = { .method = "POST",
                          .path = text_from(path),
                          .body = step->body,
                          .bearer = s->options.plan->token,
                          .idempotency_key = text_from(s->key),
                          .timeout_ms = SCRIPT_CALL_MS };
    s->is_calling = s->options.caller.start(s->options.caller.self, &asked, on_done, s);
    if (!s->is_calling)
        try_later(s, 0);
}

static void on_wake(void *ctx)
{
    struct script *s = ctx;
    if (s->is_stopped)
        return;
    const struct plan_step *step = step_of(s);
    if (s->tries == 0 && now_of(s) < s->started_at + step->at_ms) {
        wait_for_step(s); /* the wait was longer than one timer */
        return;
    }
    if (step->action != PLAN_BEHAVE) {
        call(s, step);
        return;
    }
    uint32_t count = http_fleet_behave(s->options.fleet, &step->selector, step->behaviour);
    tell(s, "step %u (behave): %u instances behave as %.*s", (unsigned)s->at + 1, (unsigned)count,
         TEXT_ARG(step->behaviour->name));
    next(s);
}

/* ---- life ----------------------------------------------------------------------------------- */

bool script_start(struct script *script, const struct script_options *options, struct err *err)
{
    *script = (struct script){
        .options = *options,
        .jitter = sim_dice_of(options->plan->seed, TEXT("script"), TEXT("jitter")),
    };
    script->started_at = now_of(script);
    wait_for_step(script);
    return !script->is_stopped || err_set(err, ERR_MEMORY, "no memory for a timer");
}

void script_stop(struct script *script)
{
    script->is_stopped = true;
}

bool script_is_done(const struct script *script)
{
    return script->is_stopped ||
           (script->at >= script->options.plan->step_count && !script->is_calling);
}
