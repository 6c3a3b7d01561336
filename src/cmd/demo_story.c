/* SPDX-License-Identifier: Apache-2.0
 * demo_story.c - see demo_story.h. A state either waits for a look of the watcher or for the answer
 * to one question; each has a time after which the story is spoilt, so that the demo always ends.
 */
#include "cmd/demo_story.h"

#include "base/limits.h"
#include "wire/json_pull.h"
#include "wire/json_write.h"

#include <assert.h>

#define CALL_MS     10000
#define TRIES_MAX   5
#define PATIENCE_MS (120 * 1000) /* for one state */
#define OLD_MS      (30 * 1000)  /* for a rollout of an earlier demo to end by itself */
#define REST_MS     1500
#define SMALL_FLEET                                                                                \
    200 /* below, chance needs a larger share of failures to reach the threshold                   \
         */
#define LOOKS_MIN 2

/* ---- table ---------------------------------------------------------------------------------- */

/* clang-format off */
#define DO(effect) SM_DO(story, effect)
#define ROW(from, on, to, then) SM_ROW(story, from, on, STORY_ALWAYS, to, then)
static const struct sm_row rows[] = {
    /*  from           on           to               then                  */
    ROW(STORY_JOINING,   STORY_READY, STORY_TIDYING,   0),
    ROW(STORY_JOINING,   STORY_WRONG, STORY_SPOILT,    0),
    ROW(STORY_TIDYING,   STORY_READY, STORY_UPDATING,  DO(STORY_DEPLOY_GOOD)),
    ROW(STORY_TIDYING,   STORY_WRONG, STORY_SPOILT,    0),
    ROW(STORY_UPDATING,  STORY_READY, STORY_RESTING,   0),
    ROW(STORY_UPDATING,  STORY_WRONG, STORY_SPOILT,    0),
    ROW(STORY_RESTING,   STORY_READY, STORY_BREAKING,  DO(STORY_DEPLOY_BAD)),
    ROW(STORY_RESTING,   STORY_WRONG, STORY_SPOILT,    0),
    ROW(STORY_BREAKING,  STORY_READY, STORY_RESTORING, 0),
    ROW(STORY_BREAKING,  STORY_WRONG, STORY_SPOILT,    0),
    ROW(STORY_RESTORING, STORY_READY, STORY_TOLD,      0),
    ROW(STORY_RESTORING, STORY_WRONG, STORY_SPOILT,    0),
};
#undef ROW
#undef DO
/* clang-format on */

const struct sm_machine story_machine = {
    .name = "demo",
    .meaning = "what the demo shows",
    .states = SM_WORDS(story_state, STORY_STATES),
    .events = SM_WORDS(story_event, STORY_EVENTS),
    .guards = SM_WORDS(story_guard, STORY_GUARDS),
    .effects = SM_WORDS(story_effect, STORY_EFFECTS),
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .initial = STORY_JOINING,
    .final = SM_SET(STORY_TOLD) | SM_SET(STORY_SPOILT),
};

/* ---- small things --------------------------------------------------------------------------- */

static int64_t now_of(const struct story *s)
{
    return s->options.timer.now_ms(s->options.timer.self);
}

__attribute__((format(printf, 3, 4))) static void tell(const struct story *s,
                                                       enum panel_style style, const char *format,
                                                       ...)
{
    char said[ERR_TEXT_SIZE * 2];
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    s->options.told(s->options.ctx, style, said);
}

uint32_t story_major(struct text version)
{
    uint64_t major = 0;
    struct text rest = version, first;
    if (!text_cut(&rest, '.', &first) || !text_to_u64(first, UINT32_MAX / 2, &major))
        return 0;
    return (uint32_t)major;
}

static void take_effects(struct story *s, uint32_t effects);

static void move(struct story *s, enum story_event event)
{
    const struct sm_row *row = sm_pick(&story_machine, s->state, event, NULL, NULL);
    if (!row)
        return;
    s->state = sm_target(row, s->state);
    s->entered_at = now_of(s);
    s->has_asked = false;
    s->tries = 0;
    s->told_tenths = s->told_failures = 0;
    take_effects(s, row->then);
}

__attribute__((format(printf, 2, 3))) static void spoil(struct story *s, const char *format, ...)
{
    va_list list;
    if (story_is_over(s))
        return;
    va_start(list, format);
    vsnprintf(s->reason, sizeof s->reason, format, list);
    va_end(list);
    move(s, STORY_WRONG);
}

/* ---- questions ------------------------------------------------------------------------------ */

struct question {
    const char *method, *path;
    struct text body;
};

/* False: it was not sent; the next step asks again. */
static bool ask(struct story *s, const struct question *question, call_done_fn *done)
{
    char key[48]; /* the same for every try of a state, so that what was done is not done twice */
    snprintf(key, sizeof key, "demo-%lld-%u", (long long)s->entered_at, (unsigned)s->state);
    struct call call = { .method = question->method,
                         .path = text_from(question->path),
                         .body = question->body,
                         .bearer = s->options.plan->token,
                         .timeout_ms = CALL_MS };
    if (call.body.size > 0)
        call.idempotency_key = text_from(key);
    s->is_calling = s->options.caller.start(s->options.caller.self, &call, done, s);
    return s->is_calling;
}

/* The sentence that the answer has for people. */
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

/* Whether the answer is one to go on with. No answer, or 503: the server may be starting anew, and
 * the next step asks again. Anything else spoils the story. */
static bool take_answer(struct story *s, const struct call_result *result, const char *what)
{
    char why[ERR_TEXT_SIZE];
    s->is_calling = false;
    if (s->is_gone)
        return false;
    if (result->status >= 200 && result->status < 300)
        return true;
    bool may_pass = result->status == 0 || result->status == 503;
    if (may_pass && ++s->tries < TRIES_MAX)
        return false;
    explain(result, why);
    spoil(s, "%s: %d %s", what, result->status, why);
    return false;
}

/* ---- tidying -------------------------------------------------------------------------------- */

/* The number of an instance of the demo; 0: it is none. */
static uint32_t number_of(struct text name)
{
    uint64_t number = 0;
    if (!text_starts_with(name, TEXT(DEMO_PREFIX)) ||
        !text_to_u64(text_skip(name, sizeof DEMO_PREFIX - 1), DEMO_INSTANCES_MAX, &number))
        return 0;
    return (uint32_t)number;
}

static void on_removed(void *ctx, const struct call_result *result);

/* They would be waited for, and are there when a smaller demo follows a larger one. */
static void remove_next(struct story *s)
{
    char path[64];
    s->has_asked = s->surplus <= s->options.plan->instance_count;
    if (s->has_asked)
        return;
    snprintf(path, sizeof path, "/inventory/instances/" DEMO_PREFIX "%u", (unsigned)s->surplus);
    ask(s, &(struct question){ .method = "DELETE", .path = path }, on_removed);
}

static void on_removed(void *ctx, const struct call_result *result)
{
    struct story *s = ctx;
    bool was_absent = result->status == 404;
    if (was_absent)
        s->is_calling = false;
    else if (!take_answer(s, result, "an instance of an earlier demo could not be removed"))
        return; /* the list is asked for again */
    if (s->is_gone)
        return;
    s->surplus--;
    remove_next(s);
}

static void remove_surplus(struct story *s, const struct json_node *tree)
{
    const struct json_node *entry = json_first(json_member(tree, "instances"));
    s->surplus = 0;
    for (; entry; entry = entry->next) {
        uint32_t number = number_of(json_get_text(entry, "name", TEXT_NONE));
        if (number > s->surplus)
            s->surplus = number;
    }
    if (s->surplus > s->options.plan->instance_count)
        tell(s, PANEL_DIM, "taking away %u instances of an earlier, larger demo",
             (unsigned)(s->surplus - s->options.plan->instance_count));
    remove_next(s);
}

static void on_instances(void *ctx, const struct call_result *result)
{
    struct story *s = ctx;
    struct arena arena;
    const struct json_node *tree = NULL;
    struct err err = { .code = ERR_NONE };
    if (!take_answer(s, result, "the instances could not be listed"))
        return;
    arena_init(&arena, &memory_heap, (size_t)256 * 1024 * 1024);
    if (json_tree_parse(result->body, &arena, &tree, &err))
        remove_surplus(s, tree);
    else
        spoil(s, "the list of instances cannot be read: %s", err.text);
    arena_release(&arena);
}

static void on_aborted(void *ctx, const struct call_result *result)
{
    struct story *s = ctx;
    s->is_calling = false;
    if (result->status != 409 && /* it has ended meanwhile */
        !take_answer(s, result, "a rollout of an earlier demo could not be ended"))
        s->aborted = 0;
}

static void end_old_rollout(struct story *s, const struct sighting *live)
{
    char path[48];
    bool is_paused = strcmp(live->status, "PAUSED") == 0;
    bool is_ended = s->aborted == live->number; /* the look is older than its end */
    if (is_ended || (!is_paused && now_of(s) - s->entered_at < OLD_MS))
        return;
    tell(s, PANEL_PLAIN, "r-%u of an earlier demo is %s: aborted", (unsigned)live->number,
         live->status);
    snprintf(path, sizeof path, "/deploy/r-%u/abort", (unsigned)live->number);
    s->aborted = live->number;
    ask(s, &(struct question){ "POST", path, TEXT("{\"reason\":\"a new demo starts\"}") },
        on_aborted);
}

/* Goes on from the highest version that runs or was ever asked for. */
static void choose_versions(struct story *s)
{
    struct fleet_version versions[8];
    uint32_t highest = 0, major;
    uint32_t count = http_fleet_versions(s->options.fleet, versions, 8);
    for (uint32_t i = 0; i < count; i++)
        if ((major = story_major(versions[i].code)) > highest)
            highest = major;
    for (uint32_t i = 0; i < s->options.watcher->count; i++)
        if ((major = story_major(text_from(s->options.watcher->list[i].newest.code))) > highest)
            highest = major;
    snprintf(s->good_version, sizeof s->good_version, "%u.0.0", (unsigned)highest + 1);
    snprintf(s->bad_version, sizeof s->bad_version, "%u.0.0", (unsigned)highest + 2);
    snprintf(s->next_version, sizeof s->next_version, "%u.0.0", (unsigned)highest + 3);
}

static void step_tidying(struct story *s)
{
    const struct sighting *live = watcher_first_live(s->options.watcher);
    if (s->is_calling)
        return;
    if (live) {
        end_old_rollout(s, live);
        return;
    }
    if (!s->has_asked) {
        ask(s,
            &(struct question){ .method = "GET",
                                .path = "/inventory/instances?labels=fleet%3Ddemo&limit=10000" },
            on_instances);
        return;
    }
    choose_versions(s);
    move(s, STORY_READY);
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static void on_deployed(void *ctx, const struct call_result *result)
{
    struct story *s = ctx;
    struct arena arena;
    const struct json_node *tree = NULL;
    uint32_t number = 0;
    if (!take_answer(s, result, "the rollout was refused"))
        return;
    arena_init(&arena, &memory_heap, LIMIT_BODY * 8);
    if (json_tree_parse(result->body, &arena, &tree, NULL))
        number = sighting_number(json_get_text(tree, "id", TEXT_NONE));
    arena_release(&arena);
    if (number == 0) {
        spoil(s, "the answer to a deploy names no rollout");
        return;
    }
    s->has_asked = true;
    if (s->state == STORY_UPDATING)
        s->good = number;
    else
        s->bad = number;
}

/* As a person would send it. `offline: skip`, because the data may know fleets that are no more. */
static void deploy(struct story *s, const char *version, const char *reason)
{
    struct buffer body;
    struct json_writer w;
    buffer_init(&body, &memory_heap, LIMIT_BODY);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_put_text(&w, "code_version", text_from(version));
    json_put_text(&w, "selector", TEXT(DEMO_SELECTOR));
    json_key(&w, "configuration");
    json_begin_object(&w);
    json_put_text(&w, "batch_size", TEXT("10%"));
    json_put_text(&w, "failure_threshold", TEXT("3%"));
    json_put_text(&w, "instance_deadline", TEXT("30s"));
    json_put_text(&w, "offline", TEXT("skip"));
    json_put_text(&w, "leftover_timeout", TEXT("5s"));
    json_end_object(&w);
    json_put_text(&w, "reason", text_from(reason));
    json_end_object(&w);
    if (body.failed)
        spoil(s, "no memory for a request");
    else
        ask(s, &(struct question){ "POST", "/deploy", buffer_text(&body) }, on_deployed);
    buffer_release(&body);
}

/* A line for each tenth, and for the first failures. */
static void tell_progress(struct story *s, const struct sighting *r)
{
    uint32_t limit = amount_up(r->threshold, (uint32_t)r->total);
    uint32_t tenths = r->total > 0 ? (uint32_t)(r->completed * 10 / r->total) : 0;
    if (r->failed > 0 && s->told_failures == 0) {
        s->told_failures = 1;
        tell(s, PANEL_BAD, "r-%u: the first instance failed; %u failures end the rollout",
             (unsigned)r->number, (unsigned)limit);
    }
    if (tenths / 2 <= s->told_tenths / 2 || tenths >= 10)
        return;
    s->told_tenths = tenths;
    tell(s, PANEL_PLAIN, "r-%u: %lld of %lld done, %lld in progress, %lld failed",
         (unsigned)r->number, (long long)r->completed, (long long)r->total,
         (long long)r->in_progress, (long long)r->failed);
}

/* "5.3 s" */
static void add_seconds(const struct sighting *r, char space[static 24])
{
    int64_t ms = r->ended_at > r->created_at ? r->ended_at - r->created_at : 0;
    snprintf(space, 24, "%lld.%lld s", (long long)(ms / 1000), (long long)(ms / 100 % 10));
}

/* Ended records are looked at only once more, so a look may be one round old. */
static const struct sighting *look_at(struct story *s, uint32_t number)
{
    const struct sighting *r = number ? watcher_rollout(s->options.watcher, number) : NULL;
    if (r && r->is_live)
        tell_progress(s, r);
    return r;
}

static void step_updating(struct story *s)
{
    char took[24];
    const struct sighting *r = look_at(s, s->good);
    if (!s->has_asked && !s->is_calling)
        deploy(s, s->good_version, "demo: a version that works");
    if (!r || r->is_live)
        return;
    if (strcmp(r->status, "COMPLETED") != 0) {
        spoil(s, "r-%u should have completed and is %s (%s)", (unsigned)r->number, r->status,
              r->cause);
        return;
    }
    add_seconds(r, took);
    tell(s, PANEL_GOOD, "r-%u: completed in %s: %lld of %lld instances run %s", (unsigned)r->number,
         took, (long long)r->completed, (long long)r->total, s->good_version);
    move(s, STORY_READY);
}

static void step_breaking(struct story *s)
{
    const struct sighting *r = look_at(s, s->bad);
    if (!s->has_asked && !s->is_calling)
        deploy(s, s->bad_version, "demo: a version that breaks some instances");
    if (!r || r->is_live)
        return;
    if (strcmp(r->status, "FAILED") != 0 || strcmp(r->cause, "threshold") != 0 ||
        r->rolled_back_by == 0) {
        spoil(s, "r-%u should have failed at its threshold and been rolled back, and is %s (%s)",
              (unsigned)r->number, r->status, r->cause[0] ? r->cause : r->outcome);
        return;
    }
    s->undo = r->rolled_back_by;
    tell(s, PANEL_BAD, "r-%u: failed at its threshold, %lld of %lld instances broke",
         (unsigned)r->number, (long long)r->failed, (long long)r->total);
    tell(s, PANEL_STRONG, "r-%u: rolls it back by itself, each instance to what it ran before",
         (unsigned)s->undo);
    move(s, STORY_READY);
}

static void step_restoring(struct story *s)
{
    char took[24];
    const struct sighting *r = look_at(s, s->undo);
    if (!r || r->is_live)
        return;
    if (strcmp(r->status, "COMPLETED") != 0) {
        spoil(s, "the rollback r-%u should have completed and is %s (%s)", (unsigned)r->number,
              r->status, r->cause);
        return;
    }
    add_seconds(r, took);
    tell(s, PANEL_GOOD, "r-%u: rollback completed in %s: nobody runs %s any more",
         (unsigned)r->number, took, s->bad_version);
    move(s, STORY_READY);
}

static void step_joining(struct story *s)
{
    struct http_fleet_counts counts = http_fleet_counts(s->options.fleet);
    if (counts.registered < counts.instances || s->options.watcher->rounds < LOOKS_MIN)
        return;
    tell(s, PANEL_GOOD, "%u instances registered over HTTP and report their health",
         (unsigned)counts.registered);
    move(s, STORY_READY);
}

static void break_next_version(struct story *s)
{
    const struct selector everybody = { .count = 0 };
    uint32_t code = 0;
    s->breaks = *plan_behaviour(s->options.plan, TEXT("normal"));
    s->breaks.failure_share = s->options.plan->instance_count < SMALL_FLEET ? 2500 : 800;
    if (!intern_take(&s->options.plan->texts, text_from(s->bad_version), &code)) {
        spoil(s, "no memory for a behaviour");
        return;
    }
    s->breaks.only_code = code;
    http_fleet_behave(s->options.fleet, &everybody, &s->breaks);
    tell(s, PANEL_STRONG, "rollout of %s, which breaks %u %% of the instances it reaches",
         s->bad_version, (unsigned)s->breaks.failure_share / 100);
    deploy(s, s->bad_version, "demo: a version that breaks some instances");
}

static void take_effects(struct story *s, uint32_t effects)
{
    if (effects & SM_DO(story, STORY_DEPLOY_GOOD)) {
        tell(s, PANEL_STRONG, "rollout of %s, a tenth of the fleet at a time", s->good_version);
        deploy(s, s->good_version, "demo: a version that works");
    }
    if (effects & SM_DO(story, STORY_DEPLOY_BAD))
        break_next_version(s);
}

/* ---- from outside --------------------------------------------------------------------------- */

void story_start(struct story *story, const struct story_options *options)
{
    *story = (struct story){ .options = *options, .state = story_machine.initial };
    story->entered_at = now_of(story);
}

void story_stop(struct story *story)
{
    story->is_gone = true;
}

void story_step(struct story *s)
{
    static void (*const steps[story_state_count])(struct story *) = {
        [STORY_JOINING] = step_joining,     [STORY_TIDYING] = step_tidying,
        [STORY_UPDATING] = step_updating,   [STORY_BREAKING] = step_breaking,
        [STORY_RESTORING] = step_restoring,
    };
    if (s->is_gone || story_is_over(s))
        return;
    int64_t spent = now_of(s) - s->entered_at;
    if (spent > PATIENCE_MS)
        spoil(s, "nothing came of \"%s\" for two minutes",
              sm_word_at(&story_machine.states, s->state));
    else if (s->state == STORY_RESTING && spent >= REST_MS)
        move(s, STORY_READY);
    else if (steps[s->state])
        steps[s->state](s);
}
