/* SPDX-License-Identifier: Apache-2.0
 * plan.c - from the document to the plan: names looked up, shares and selectors read, the script
 * put in order. The fleet itself is made in plan_fleet.c. */
#include "sim/plan.h"

#include "base/limits.h"
#include "core/command.h"
#include "sim/plan_parts.h"
#include "wire/json_pull.h"
#include "wire/json_read.h"
#include "wire/json_write.h"
#include "wire/yaml_read.h"

#define ARENA_MAX (1024u * 1024 * 1024) /* a million instances with long names need half of it */

static const struct behaviour behaviour_default = {
    .name = { "normal", 6 },
    .latency_min_ms = 20 * 1000,
    .latency_max_ms = 90 * 1000,
    .slow_factor = 1,
};

/* ---- places --------------------------------------------------------------------------------- */

bool plan_fail(const char *place, enum err_code code, struct err *err, const char *sentence)
{
    return err_set(err, code, "%s: %s", place, sentence);
}

/* The place that json_read() found goes to the front of the sentence, where the file is known. */
static bool put_place_first(const char *above, struct err *err)
{
    struct err told = *err;
    if (above[0] != '\0' || told.pointer[0] != '\0')
        err_prefix(err, "%s%s", above, told.pointer);
    return false;
}

/* ---- shares and ranges ---------------------------------------------------------------------- */

static bool fail_share(struct text t, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    return err_set(err, ERR_INVALID, "\"%s\" is no share: 0%% to 100%%, such as 2%% or 0.25%%",
                   err_excerpt(t, space));
}

bool plan_parse_share(struct text t, uint32_t *ret, struct err *err)
{
    uint64_t whole = 0, hundredths = 0;
    if (!text_ends_with(t, TEXT("%")))
        return fail_share(t, err);
    struct text fraction = { t.data, t.size - 1 };
    struct text integer;
    text_cut(&fraction, '.', &integer);
    if (!text_to_u64(integer, 100, &whole))
        return fail_share(t, err);
    if (fraction.data) {
        bool is_short = fraction.size == 1;
        struct text digits = fraction;
        if (fraction.size == 2 && fraction.data[0] == '0')
            digits = text_skip(fraction, 1);
        if (fraction.size < 1 || fraction.size > 2 || !text_to_u64(digits, 99, &hundredths))
            return fail_share(t, err);
        hundredths *= is_short ? 10 : 1;
    }
    if (whole * 100 + hundredths > SHARE_WHOLE)
        return fail_share(t, err);
    *ret = (uint32_t)(whole * 100 + hundredths);
    return true;
}

bool plan_parse_range(struct text t, int64_t *ret_min_ms, int64_t *ret_max_ms, struct err *err)
{
    struct text rest = t, first;
    int64_t min = 0, max = 0;
    char space[ERR_EXCERPT_SIZE];
    text_cut(&rest, '-', &first);
    if (!parse_duration(text_trim(first), &min, err))
        return false;
    if (rest.data && !parse_duration(text_trim(rest), &max, err))
        return false;
    if (!rest.data)
        max = min;
    if (min > max)
        return err_set(err, ERR_INVALID, "the range \"%s\" ends before it starts",
                       err_excerpt(t, space));
    *ret_min_ms = min;
    *ret_max_ms = max;
    return true;
}

/* ---- behaviours ----------------------------------------------------------------------------- */

/* A node as JSON again, for the field table of its own. Depth is that of the document. */
static void rewrite(const struct json_node *node, struct json_writer *w)
{
    bool is_object = node->kind == JSON_NODE_OBJECT;
    if (is_object)
        json_begin_object(w);
    else if (node->kind == JSON_NODE_LIST)
        json_begin_list(w);
    for (const struct json_node *entry = json_first(node); entry; entry = entry->next) {
        if (is_object)
            json_key_text(w, entry->key);
        rewrite(entry, w);
    }
    switch (node->kind) {
    case JSON_NODE_NULL: json_write_null(w); break;
    case JSON_NODE_BOOL: json_write_bool(w, node->truth); break;
    case JSON_NODE_NUMBER: json_write_raw(w, node->text); break;
    case JSON_NODE_TEXT: json_write_text(w, node->text); break;
    case JSON_NODE_LIST: json_end_list(w); break;
    case JSON_NODE_OBJECT: json_end_object(w); break;
    }
}

static bool read_behaviour_document(struct plan *plan, const struct json_node *node,
                                    struct behaviour_document *ret, struct err *err)
{
    struct buffer json;
    struct json_writer w;
    struct text kept;
    buffer_init(&json, &memory_heap, LIMIT_BODY * 8);
    json_writer_init(&w, &json);
    rewrite(node, &w);
    bool ok = !json.failed && arena_copy(&plan->arena, buffer_text(&json), &kept);
    buffer_release(&json);
    if (!ok)
        return err_set(err, ERR_MEMORY, "no memory for a behaviour");
    return json_read(&behaviour_table, kept, &plan->arena, ret, NULL, err);
}

struct share_key {
    const char *name;
    struct text text;
    uint32_t *share;
};

static bool read_shares(const struct behaviour_document *document, struct behaviour *b,
                        struct err *err)
{
    const struct share_key keys[] = {
        { "failure_rate", document->failure_rate, &b->failure_share },
        { "crash", document->crash, &b->crash_share },
        { "lie", document->lie, &b->lie_share },
        { "slow/share", document->slow.share, &b->slow_share },
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].text.data && !plan_parse_share(keys[i].text, keys[i].share, err)) {
            err_prefix(err, "/%s", keys[i].name);
            return false;
        }
    }
    if (b->failure_share + b->crash_share + b->lie_share > SHARE_WHOLE)
        return err_set(err, ERR_INVALID,
                       "failure_rate, crash and lie are more than 100%% together");
    return true;
}

static bool read_behaviour(struct plan *plan, const struct json_node *node, struct behaviour *b,
                           struct err *err)
{
    struct behaviour_document document = { 0 };
    if (!read_behaviour_document(plan, node, &document, err))
        return put_place_first("", err);
    b->flap_ms = document.flap_ms;
    if (document.slow.factor)
        b->slow_factor = document.slow.factor;
    if (document.latency.data &&
        !plan_parse_range(document.latency, &b->latency_min_ms, &b->latency_max_ms, err)) {
        err_prefix(err, "/latency");
        return false;
    }
    if (document.code_version.data &&
        !intern_take(&plan->texts, document.code_version, &b->only_code))
        return err_set(err, ERR_MEMORY, "no memory for a behaviour");
    return read_shares(&document, b, err);
}

static bool read_behaviour_at(struct plan *plan, const struct json_node *node, struct err *err)
{
    char name[ERR_EXCERPT_SIZE];
    struct behaviour b = behaviour_default;
    struct behaviour *place = plan->behaviours; /* the first one is "normal" */
    if (!text_equal(node->key, place->name)) {
        place = &plan->behaviours[plan->behaviour_count];
        b.name = node->key;
    }
    if (node->key.size > LIMIT_NAME || node->kind != JSON_NODE_OBJECT)
        err_set(err, ERR_INVALID, "a behaviour is an object with latency, failure_rate, ...");
    else if (plan->behaviour_count == PLAN_BEHAVIOURS_MAX)
        err_set(err, ERR_INVALID, "more than %d behaviours", PLAN_BEHAVIOURS_MAX);
    else if (read_behaviour(plan, node, &b, err)) {
        if (place != plan->behaviours)
            plan->behaviour_count++;
        *place = b;
        return true;
    }
    struct err told = *err;
    const char *joint = told.text[0] == '/' ? "" : ": ";
    return err_set(err, told.code, "/behaviours/%s%s%s", err_excerpt(node->key, name), joint,
                   told.text);
}

static bool read_behaviours(struct plan *plan, struct text json, struct err *err)
{
    const struct json_node *tree = NULL;
    plan->behaviours =
        arena_take_array(&plan->arena, PLAN_BEHAVIOURS_MAX, sizeof *plan->behaviours);
    if (!plan->behaviours)
        return err_set(err, ERR_MEMORY, "no memory for the behaviours");
    plan->behaviours[0] = behaviour_default;
    plan->behaviour_count = 1;
    if (!json.data)
        return true;
    if (json.data[0] != '{')
        return plan_fail("/behaviours", ERR_INVALID, err, "must be an object of behaviours");
    if (!json_tree_parse(json, &plan->arena, &tree, err))
        return put_place_first("/behaviours: ", err);
    for (const struct json_node *node = json_first(tree); node; node = node->next)
        if (!read_behaviour_at(plan, node, err))
            return false;
    return true;
}

const struct behaviour *plan_behaviour(const struct plan *plan, struct text name)
{
    for (uint32_t i = 0; i < plan->behaviour_count; i++)
        if (text_equal(plan->behaviours[i].name, name))
            return &plan->behaviours[i];
    return NULL;
}

bool plan_find_behaviour(const struct plan *plan, struct text name, const char *place,
                         const struct behaviour **ret, struct err *err)
{
    const struct behaviour *found = name.data ? plan_behaviour(plan, name) : &plan->behaviours[0];
    char space[ERR_EXCERPT_SIZE];
    if (!found)
        return err_set(err, ERR_INVALID, "%s/behaviour: there is no behaviour \"%s\"", place,
                       err_excerpt(name, space));
    *ret = found;
    return true;
}

/* ---- script --------------------------------------------------------------------------------- */

static bool is_plain_verb(struct text t)
{
    for (int verb = 0; verb < VERB_COUNT; verb++)
        if (verb != VERB_ROLLBACK && text_equal(t, text_from(verb_word((enum verb)verb))))
            return true;
    return false;
}

static bool is_rollout_id(struct text t)
{
    uint64_t number = 0;
    return text_starts_with(t, TEXT("r-")) && text_to_u64(text_skip(t, 2), UINT32_MAX, &number);
}

static bool read_verb(struct plan *plan, const struct verb_document *document,
                      struct plan_step *step, const char *place, struct err *err)
{
    struct buffer json;
    struct json_writer w;
    if (!is_plain_verb(document->verb))
        return err_set(err, ERR_INVALID, "%s/verb/verb: pause, resume, promote, abort or retry",
                       place);
    if (document->id.data && !is_rollout_id(document->id))
        return err_set(err, ERR_INVALID, "%s/verb/id: an id such as r-1", place);
    if (document->is_full && !text_equal(document->verb, text_from(verb_word(VERB_PROMOTE))))
        return err_set(err, ERR_INVALID, "%s/verb/full: belongs to promote", place);
    step->action = PLAN_VERB;
    step->verb = document->verb;
    step->rollout = document->id;
    if (!document->reason.data && !document->is_full)
        return true;
    buffer_init(&json, &memory_heap, LIMIT_BODY);
    json_writer_init(&w, &json);
    json_begin_object(&w);
    if (document->reason.data)
        json_put_text(&w, "reason", document->reason);
    if (document->is_full)
        json_put_bool(&w, "full", true);
    json_end_object(&w);
    bool ok = !json.failed && arena_copy(&plan->arena, buffer_text(&json), &step->body);
    buffer_release(&json);
    return ok || err_set(err, ERR_MEMORY, "no memory for the script");
}

static bool read_behave(struct plan *plan, const struct behave_document *document,
                        struct plan_step *step, const char *place, struct err *err)
{
    char below[64];
    step->action = PLAN_BEHAVE;
    if (!selector_parse(document->selector, NULL, 0, &plan->arena, &step->selector, err)) {
        err_prefix(err, "%s/behave/selector", place);
        return false;
    }
    snprintf(below, sizeof below, "%s/behave", place);
    return plan_find_behaviour(plan, document->behaviour, below, &step->behaviour, err);
}

/* Of times: in virtual mode they pass as written. */
static uint32_t divisor(const struct plan *plan)
{
    return plan->mode == PLAN_HTTP ? plan->speed : 1;
}

static bool read_step(struct plan *plan, const struct step_document *document, uint32_t index,
                      struct plan_step *step, struct err *err)
{
    char place[32];
    snprintf(place, sizeof place, "/script/%u", (unsigned)index);
    uint64_t actions = document->given.fields & ~JSON_BIT(STEP_AT);
    if (actions == 0 || (actions & (actions - 1)) != 0)
        return plan_fail(place, ERR_INVALID, err,
                         "a step is `at` and one of deploy, rollback, behave and verb");
    step->at_ms = document->at_ms / divisor(plan);
    if (actions == JSON_BIT(STEP_VERB))
        return read_verb(plan, &document->verb, step, place, err);
    if (actions == JSON_BIT(STEP_BEHAVE))
        return read_behave(plan, &document->behave, step, place, err);
    step->action = actions == JSON_BIT(STEP_DEPLOY) ? PLAN_DEPLOY : PLAN_ROLLBACK;
    step->body = step->action == PLAN_DEPLOY ? document->deploy : document->rollback;
    if (step->body.data[0] != '{')
        return plan_fail(place, ERR_INVALID, err, "a deploy or rollback is an object");
    return true;
}

/* Puts the newest step where its time wants it, behind equal ones. Scripts are short and mostly in
 * order. */
static void sort_in(struct plan_step *steps, uint32_t at)
{
    struct plan_step step = steps[at];
    for (; at > 0 && steps[at - 1].at_ms > step.at_ms; at--)
        steps[at] = steps[at - 1];
    steps[at] = step;
}

static bool read_script(struct plan *plan, const struct plan_document *document, struct err *err)
{
    if (document->step_count == 0)
        return true;
    plan->steps = arena_take_array(&plan->arena, document->step_count, sizeof *plan->steps);
    if (!plan->steps)
        return err_set(err, ERR_MEMORY, "no memory for the script");
    for (uint32_t i = 0; i < document->step_count; i++) {
        if (!read_step(plan, &document->script[i], i, &plan->steps[i], err))
            return false;
        sort_in(plan->steps, i);
    }
    plan->step_count = document->step_count;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void divide_times(struct plan *plan)
{
    uint32_t by = divisor(plan);
    for (uint32_t i = 0; i < plan->behaviour_count; i++) {
        struct behaviour *b = &plan->behaviours[i];
        b->latency_min_ms /= by;
        b->latency_max_ms /= by;
        if (b->flap_ms > 0)
            b->flap_ms = b->flap_ms / by > 0 ? b->flap_ms / by : 1;
    }
}

static bool read_head(struct plan *plan, const struct plan_document *document, struct err *err)
{
    bool is_virtual = document->mode == PLAN_VIRTUAL;
    bool has_speed = document->given.fields & JSON_BIT(PLAN_SPEED);
    if (!is_virtual && document->speed == 0)
        return plan_fail("/speed", ERR_INVALID, err,
                         "0 (as fast as possible) needs virtual time; in http mode from 1 on");
    if (!is_virtual && document->given.fields & JSON_BIT(PLAN_FAULTS))
        return plan_fail("/faults", ERR_INVALID, err, "faults need mode: virtual");
    if (!is_virtual && document->wait_ms != 0)
        return plan_fail("/wait", ERR_INVALID, err, "wait needs mode: virtual");
    plan->mode = document->mode;
    plan->server = document->server;
    plan->token = document->token;
    plan->seed = document->seed;
    plan->speed = is_virtual && !has_speed ? 0 : document->speed;
    plan->max_concurrent = document->max_concurrent;
    plan->wait_ms = document->wait_ms;
    return true;
}

static bool read_document(struct plan *plan, struct text yaml, struct plan_document *ret,
                          struct err *err)
{
    struct buffer json;
    struct text kept = TEXT_NONE;
    buffer_init(&json, &memory_heap, YAML_SIZE_MAX * 8);
    bool ok = yaml_to_json(yaml, &json, err);
    if (ok && (json.failed || !arena_copy(&plan->arena, buffer_text(&json), &kept)))
        ok = err_set(err, ERR_MEMORY, "no memory for the file");
    buffer_release(&json);
    if (!ok)
        return false;
    if (kept.size == 0 || kept.data[0] != '{')
        return err_set(err, ERR_INVALID, "the file must have keys such as generate and script");
    return json_read(&plan_table, kept, &plan->arena, ret, NULL, err) || put_place_first("", err);
}

static bool read_all(struct plan *plan, struct text yaml, const uint64_t *seed, struct err *err)
{
    struct plan_document document = {
        .mode = PLAN_HTTP, .token = TEXT("sim"), .seed = 1, .speed = 1, .max_concurrent = 1
    };
    if (!read_document(plan, yaml, &document, err) || !read_head(plan, &document, err))
        return false;
    if (seed)
        plan->seed = *seed;
    return read_behaviours(plan, document.behaviours, err) &&
           plan_read_faults(plan, &document.faults, err) && plan_make_fleet(plan, &document, err) &&
           read_script(plan, &document, err);
}

static bool begin(struct plan *plan, struct err *err)
{
    *plan = (struct plan){ .max_concurrent = 1 };
    arena_init(&plan->arena, &memory_heap, ARENA_MAX);
    labels_init(&plan->labels, &memory_heap, &plan->texts);
    return intern_init(&plan->texts, &memory_heap, 0) ||
           err_set(err, ERR_MEMORY, "no memory for the simulation");
}

bool plan_read_seeded(struct plan *plan, struct text yaml, const uint64_t *seed, struct err *err)
{
    if (!begin(plan, err) || !read_all(plan, yaml, seed, err)) {
        plan_release(plan);
        return false;
    }
    divide_times(plan);
    return true;
}

bool plan_read(struct plan *plan, struct text yaml, struct err *err)
{
    return plan_read_seeded(plan, yaml, NULL, err);
}

bool plan_init(struct plan *plan, struct err *err)
{
    if (begin(plan, err) && read_behaviours(plan, TEXT_NONE, err))
        return true;
    plan_release(plan);
    return false;
}

void plan_release(struct plan *plan)
{
    labels_release(&plan->labels);
    intern_release(&plan->texts);
    arena_release(&plan->arena);
    *plan = (struct plan){ 0 };
}
