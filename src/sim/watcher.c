/* SPDX-License-Identifier: Apache-2.0
 * watcher.c - a round is one list, then one record after the other: of live rollouts, of those that
 * were live the last time, and of new ones. */
#include "sim/watcher.h"

#include <assert.h>

#define ANSWER_MEMORY ((size_t)64 * 1024 * 1024)

static void blame(struct watcher *w, const struct err *err)
{
    uint64_t i = w->violation_count++;
    if (i < WATCHER_VIOLATIONS_MAX)
        snprintf(w->violations[i], sizeof w->violations[i], "%s", err->text);
}

/* ---- what was seen -------------------------------------------------------------------------- */

static struct watched *find(const struct watcher *w, uint32_t number)
{
    for (uint32_t i = w->count; i > 0; i--)
        if (w->list[i - 1].newest.number == number)
            return &w->list[i - 1];
    return NULL;
}

static void forget_oldest(struct watcher *w)
{
    uint32_t i = 0;
    while (i + 1 < w->count && w->list[i].newest.is_live)
        i++;
    memmove(&w->list[i], &w->list[i + 1], (w->count - i - 1) * sizeof *w->list);
    w->count--;
}

static void keep_new(struct watcher *w, const struct sighting *seen)
{
    if (w->count == WATCHER_ROLLOUTS_MAX)
        forget_oldest(w);
    uint32_t at = w->count++;
    for (; at > 0 && w->list[at - 1].newest.number > seen->number; at--)
        w->list[at] = w->list[at - 1];
    w->list[at] = (struct watched){
        .newest = *seen,
        .is_old = w->rounds == 0 && !seen->is_live,
        .is_wanted = seen->is_live || w->rounds > 0,
    };
}

/* I7: nothing rolls a rollback back. */
static void check_source(struct watcher *w, const struct sighting *seen)
{
    struct err err = { 0 };
    const struct watched *source = seen->rollback_of ? find(w, seen->rollback_of) : NULL;
    if (!source || source->newest.rollback_of == 0)
        return;
    err_set(&err, ERR_CORRUPT, "I7: r-%u rolls back r-%u, which is a rollback itself",
            (unsigned)seen->number, (unsigned)seen->rollback_of);
    blame(w, &err);
}

static void see(struct watcher *w, const struct json_node *record)
{
    struct sighting seen;
    struct err err = { 0 };
    if (!sighting_read(record, &seen, &err)) {
        blame(w, &err);
        return;
    }
    struct watched *known = find(w, seen.number);
    if (!sighting_check(&seen, known ? &known->newest : NULL, &err))
        blame(w, &err);
    if (!known) {
        check_source(w, &seen);
        keep_new(w, &seen);
        return;
    }
    known->is_wanted = known->newest.is_live || seen.is_live;
    known->newest = seen;
}

static void check_live(struct watcher *w, const struct json_node *tree)
{
    struct err err = { 0 };
    uint32_t live = 0;
    const struct json_node *record = json_first(json_member(tree, "deployments"));
    for (; record; record = record->next) {
        struct sighting seen;
        live += sighting_read(record, &seen, NULL) && seen.is_live;
    }
    if (live <= w->options.max_concurrent)
        return;
    err_set(&err, ERR_CORRUPT, "I4: %u rollouts are live at once, more than max_concurrent: %u",
            (unsigned)live, (unsigned)w->options.max_concurrent);
    blame(w, &err);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void on_wake(void *ctx);
static void look_at_next(struct watcher *w);

static void wait_for_round(struct watcher *w)
{
    if (w->is_stopped)
        return;
    const struct timer_port *timer = &w->options.timer;
    if (!timer->after(timer->self, w->options.every_ms, on_wake, w)) {
        w->is_stopped = true;
        err_set(&w->trouble, ERR_MEMORY, "no memory for a timer: rollouts are not watched");
    }
}

static void miss(struct watcher *w, const struct err *why)
{
    w->missed++;
    w->trouble = *why;
    wait_for_round(w);
}

static void ask(struct watcher *w, const char *path, call_done_fn *done)
{
    const struct caller_port *caller = &w->options.caller;
    struct err err = { 0 };
    struct call call = { .method = "GET",
                         .path = text_from(path),
                         .bearer = w->options.bearer,
                         .timeout_ms = WATCHER_CALL_MS };
    w->is_calling = caller->start(caller->self, &call, done, w);
    if (w->is_calling)
        return;
    err_set(&err, ERR_UNAVAILABLE, "a call could not be started");
    miss(w, &err);
}

/* The answer as a tree, or NULL after having missed the round. */
static const struct json_node *hear(struct watcher *w, const struct call_result *result)
{
    const struct json_node *tree = NULL;
    struct err err = result->err;
    char excerpt[ERR_EXCERPT_SIZE];
    w->is_calling = false;
    arena_clear(&w->arena);
    if (result->status == 200 && json_tree_parse(result->body, &w->arena, &tree, &err))
        return tree;
    if (result->status != 0 && result->status != 200)
        err_set(&err, ERR_UNAVAILABLE, "a question about rollouts was answered %d: %s",
                result->status, err_excerpt(result->body, excerpt));
    miss(w, &err);
    return NULL;
}

static void on_record(void *ctx, const struct call_result *result)
{
    struct watcher *w = ctx;
    w->list[w->at].is_wanted = false;
    if (result->status == 404) { /* kept no longer */
        w->is_calling = false;
        look_at_next(w);
        return;
    }
    const struct json_node *tree = hear(w, result);
    if (!tree)
        return;
    struct sighting *known = &w->list[w->at].newest, seen;
    struct err err = { 0 };
    if (sighting_read(tree, &seen, &err) && sighting_check(&seen, known, &err))
        *known = seen;
    else
        blame(w, &err);
    look_at_next(w);
}

static void end_round(struct watcher *w)
{
    w->rounds++;
    if (w->options.looked)
        w->options.looked(w->options.ctx);
    wait_for_round(w);
}

static void look_at_next(struct watcher *w)
{
    char path[32];
    for (w->at = 0; w->at < w->count; w->at++)
        if (w->list[w->at].is_wanted)
            break;
    if (w->is_stopped || w->at == w->count) {
        end_round(w);
        return;
    }
    snprintf(path, sizeof path, "/deploy/r-%u", (unsigned)w->list[w->at].newest.number);
    ask(w, path, on_record);
}

static void on_list(void *ctx, const struct call_result *result)
{
    struct watcher *w = ctx;
    const struct json_node *tree = hear(w, result);
    if (!tree)
        return;
    check_live(w, tree);
    const struct json_node *record = json_first(json_member(tree, "deployments"));
    for (; record; record = record->next)
        see(w, record);
    look_at_next(w);
}

static void on_wake(void *ctx)
{
    struct watcher *w = ctx;
    char path[32];
    if (w->is_stopped)
        return;
    snprintf(path, sizeof path, "/deploy?limit=%d", WATCHER_LIST);
    ask(w, path, on_list);
}

/* ---- life ----------------------------------------------------------------------------------- */

bool watcher_start(struct watcher *watcher, const struct watcher_options *options, struct err *err)
{
    *watcher = (struct watcher){ .options = *options };
    arena_init(&watcher->arena, &memory_heap, ANSWER_MEMORY);
    watcher->list = memory_take_zeroed(&memory_heap, WATCHER_ROLLOUTS_MAX * sizeof *watcher->list);
    if (!watcher->list || !options->timer.after(options->timer.self, 1, on_wake, watcher)) {
        watcher_release(watcher);
        return err_set(err, ERR_MEMORY, "no memory to watch rollouts");
    }
    return true;
}

void watcher_stop(struct watcher *watcher)
{
    watcher->is_stopped = true;
}

void watcher_release(struct watcher *watcher)
{
    assert(!watcher->is_calling);
    memory_give(&memory_heap, watcher->list, WATCHER_ROLLOUTS_MAX * sizeof *watcher->list);
    if (watcher->arena.memory)
        arena_release(&watcher->arena);
    *watcher = (struct watcher){ .is_stopped = true };
}

/* ---- looking -------------------------------------------------------------------------------- */

uint32_t watcher_live_count(const struct watcher *watcher)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < watcher->count; i++)
        live += watcher->list[i].newest.is_live;
    return live;
}

const struct sighting *watcher_rollout(const struct watcher *watcher, uint32_t number)
{
    const struct watched *known = find(watcher, number);
    return known ? &known->newest : NULL;
}

const struct sighting *watcher_first_live(const struct watcher *watcher)
{
    for (uint32_t i = 0; i < watcher->count; i++)
        if (watcher->list[i].newest.is_live)
            return &watcher->list[i].newest;
    return NULL;
}
