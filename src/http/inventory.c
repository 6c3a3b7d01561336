/* SPDX-License-Identifier: Apache-2.0
 * inventory.c - routes of instances: registration, heartbeats, lists. */
#include "http/auth_parts.h"

#include "wire/request.h"
#include "wire/session.h"

#define EXAMINED_MAX 50000u /* instances looked at for one page of a filtered list */

/* ---- registration --------------------------------------------------------------------------- */

static void write_registered(struct api_call *call, const struct register_result *result,
                             const char *credential, const struct json_warnings *warnings)
{
    struct fleet *fleet = engine_fleet(call->api->engine);
    struct json_writer *w = &call->w;
    json_begin_object(w);
    json_key(w, "instance");
    wire_write_instance(w, fleet, result->slot, false);
    json_put_text_or_null(w, "credential",
                          text_from(credential)); /* an open server asks for none */
    json_put_u64(w, "next_heartbeat_ms", fleet_give_interval(fleet, fleet_at(fleet, result->slot)));
    json_key(w, "warnings");
    wire_write_warnings(w, warnings);
    json_put_text(w, "message",
                  result->is_new ? TEXT("registered") : TEXT("known already: updated"));
    json_end_object(w);
}

/* The journal says which token it was. */
static bool apply_registration(struct api_call *call, const struct wire_register *body,
                               const struct auth_grant *grant, struct register_result *ret)
{
    struct engine *engine = call->api->engine;
    char actor[sizeof "token:" + TOKEN_NAME_MAX] = "agent";
    if (grant->rule)
        snprintf(actor, sizeof actor, "token:%.*s", TEXT_ARG(grant->rule->name));
    engine_begin(engine, text_from(actor));
    bool done = fleet_register(engine_fleet(engine), &body->command, ret, &call->err);
    engine_end(engine);
    return done;
}

static void answer_registration(struct api_call *call, const struct wire_register *body,
                                struct auth_grant *grant, const struct json_warnings *warnings)
{
    struct engine *engine = call->api->engine;
    struct register_result result;
    char credential[SECRET_TEXT_SIZE];
    if (!apply_registration(call, body, grant, &result)) {
        auth_cancel(grant);
        api_fail(call);
        return;
    }
    bool changes_credential = grant->waiter != NULL;
    auth_grant(call, grant, result.slot, credential);
    call->is_secret = credential[0] != '\0';
    write_registered(call, &result, credential, warnings);
    secret_wipe(credential, sizeof credential);
    const struct instance *inst = fleet_at(engine_fleet(engine), result.slot);
    api_reply(call, result.is_new ? 201 : 200,
              changes_credential ? engine_round_of_all(engine) : engine_round_of(engine, inst));
}

void inventory_register(struct api_call *call)
{
    struct api *api = call->api;
    struct wire_register body;
    struct json_warnings warnings = { 0 };
    struct auth_grant grant = { .rule = NULL };
    struct text token = TEXT_NONE;
    if (!wire_read_token(call->request->body, &api->arena, &token, &call->err) ||
        !auth_token(call, token, &grant)) {
        api_fail(call);
        return;
    }
    if (replies_answer(call))
        return;
    if (!wire_read_register(call->request->body, &api->arena, &body, &warnings, &call->err) ||
        !api_is_writable(call) ||
        !auth_registration(call, body.command.name.size ? body.command.name : body.command.ip,
                           &grant)) {
        api_fail(call);
        return;
    }
    answer_registration(call, &body, &grant, &warnings);
}

/* ---- heartbeats ----------------------------------------------------------------------------- */

/* How long the client lets its reply be held; 0: not at all. */
static bool read_wait(struct api_call *call, int64_t *ret)
{
    struct text value;
    *ret = 0;
    if (!api_param(call, "wait", &value))
        return true;
    struct err why = { .code = ERR_NONE };
    if (!parse_duration(value, ret, &why) || *ret > LIMIT_WAIT_MS)
        return err_set(&call->err, ERR_INVALID, "wait must be a duration from 0s to 60s");
    return true;
}

/* What the report says of the orders that the agent knows, and of its session. */
static void take_order(struct api *api, uint32_t slot, struct wire_heartbeat *body)
{
    struct engine *engine = api->engine;
    const struct instance *inst = fleet_at(engine_fleet(engine), slot);
    bool is_of_before = body->observed_term != 0 && body->observed_term < engine_term(engine);
    body->command.is_outdated = body->has_observed_generation &&
                                (is_of_before || body->observed_generation < inst->generation);
    if (body->has_observed_generation)
        engine_heed_observed(engine, slot, body->observed_term ? body->observed_term : 1,
                             body->observed_generation);
    if (body->command.order == HEARTBEAT_ORDERED)
        body->command.session = wire_session_number(body->session, api->process);
    if (!body->has_observed_generation) /* news is what comes from now on */
        body->observed_generation = inst->generation;
}

/* Whether the agent has to hear the answer at once. */
static bool has_news(const struct api *api, uint32_t slot, const struct wire_heartbeat *body,
                     const struct heartbeat_result *result)
{
    const struct instance *inst = fleet_at(engine_fleet(api->engine), slot);
    bool is_of_before = body->observed_term != 0 && body->observed_term < engine_term(api->engine);
    return is_of_before || body->command.order == HEARTBEAT_ASKS || result->is_stale ||
           inst->generation != body->observed_generation;
}

void inventory_heartbeat(struct api_call *call)
{
    struct api *api = call->api;
    struct engine *engine = api->engine;
    struct fleet *fleet = engine_fleet(engine);
    struct wire_heartbeat body;
    struct json_warnings warnings = { 0 };
    struct heartbeat_result result;
    int64_t wait_ms;
    uint32_t slot;
    if (!auth_heartbeat(call, &slot) || !read_wait(call, &wait_ms) ||
        !wire_read_heartbeat(call->request->body, &api->arena, &body, &warnings, &call->err) ||
        !api_matches(call, fleet_at(fleet, slot)->generation)) {
        api_fail(call);
        return;
    }
    take_order(api, slot, &body);
    engine_begin(engine, TEXT("agent"));
    bool done = fleet_heartbeat(fleet, slot, &body.command, &result, &call->err);
    engine_end(engine);
    if (!done) {
        api_fail(call);
        return;
    }
    engine_count_heartbeat(engine, result.is_changed);
    struct instance *inst = fleet_at(fleet, slot);
    if (body.command.has_sent_at && body.command.order != HEARTBEAT_ASKS && !result.is_stale)
        engine_count_skew(engine, inst->clock_skew_ms);
    if (wait_ms > 0 && warnings.count == 0 && !has_news(api, slot, &body, &result) &&
        polls_hold(call, slot, wait_ms))
        return;
    wire_write_heartbeat_reply(
        &call->w, fleet,
        &(struct wire_reply){ .slot = slot,
                              .next_heartbeat_ms = fleet_give_interval(fleet, inst),
                              .server_time = fleet->now,
                              .warnings = &warnings,
                              .labels_were_ignored = result.labels_were_ignored,
                              .is_stale = result.is_stale,
                              .process = api->process,
                              .gave_session = body.command.order == HEARTBEAT_ASKS,
                              .term = engine_term(engine) });
    api_reply(call, 200, engine_round_of(engine, inst));
}

/* ---- one instance --------------------------------------------------------------------------- */

void inventory_show(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    uint32_t slot = api_instance(call);
    if (slot == FLEET_NONE) {
        api_fail(call);
        return;
    }
    wire_write_instance(&call->w, engine_fleet(engine), slot, true);
    api_tag(call, fleet_at(engine_fleet(engine), slot)->generation);
    api_reply(call, 200, engine_round_of(engine, fleet_at(engine_fleet(engine), slot)));
}

void inventory_delete(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    struct auth_grant grant = { .rule = NULL };
    uint32_t slot = api_instance(call);
    if (slot == FLEET_NONE || !api_is_freeable(call) ||
        !api_matches(call, fleet_at(engine_fleet(engine), slot)->generation) ||
        !auth_deletion(call, slot, &grant)) {
        api_fail(call);
        return;
    }
    engine_begin_freeing(engine, TEXT("operator"));
    bool done = fleet_delete(engine_fleet(engine), slot, &call->err);
    engine_end(engine);
    if (!done) {
        auth_cancel(&grant);
        api_fail(call);
        return;
    }
    auth_forget(&grant, slot);
    polls_release(call->api, slot);
    api_reply(call, 204, engine_round_of_all(engine));
}

/* ---- the list ------------------------------------------------------------------------------- */

struct filter {
    struct selector selector;
    struct text code_version;
    uint32_t deployment;
    int status, update_state; /* -1: any */
    int online;               /* -1: any */
    bool is_any;              /* no filter at all */
};

static bool read_word(struct api_call *call, const char *name, const struct sm_words *words,
                      int *ret)
{
    struct text value;
    *ret = -1;
    if (!api_param(call, name, &value))
        return true;
    for (int i = 0; i < words->count; i++) {
        uint64_t number;
        bool is_number = text_to_u64(value, words->count - 1u, &number) && (int)number == i;
        if (is_number || text_equal_nocase(value, text_from(words->list[i].word))) {
            *ret = i;
            return true;
        }
    }
    char space[ERR_EXCERPT_SIZE];
    return err_set(&call->err, ERR_INVALID,
                   "%s=%s: it must be one of the words of the API, "
                   "such as %s",
                   name, err_excerpt(value, space), words->list[1].word);
}

static bool read_online(struct api_call *call, int *ret)
{
    struct text value;
    *ret = -1;
    if (!api_param(call, "online", &value))
        return true;
    if (!text_equal(value, TEXT("true")) && !text_equal(value, TEXT("false")))
        return err_set(&call->err, ERR_INVALID, "online must be true or false");
    *ret = text_equal(value, TEXT("true")) ? 1 : 0;
    return true;
}

static bool read_filter(struct api_call *call, struct filter *ret)
{
    struct filter f = { .status = -1, .update_state = -1, .online = -1 };
    struct text value;
    if (api_param(call, "labels", &value) &&
        !selector_parse(value, NULL, 0, &call->api->arena, &f.selector, &call->err))
        return false;
    if (api_param(call, "deployment", &value) &&
        !wire_read_rollout_id(value, &f.deployment, &call->err))
        return false;
    api_param(call, "code_version", &f.code_version);
    if (!read_word(call, "status", &instance_machine.states, &f.status) ||
        !read_word(call, "update_state", &member_machine.states, &f.update_state) ||
        !read_online(call, &f.online))
        return false;
    f.is_any = f.selector.count == 0 && f.deployment == 0 && f.code_version.size == 0 &&
               f.status < 0 && f.update_state < 0 && f.online < 0;
    *ret = f;
    return true;
}

static bool passes(const struct fleet *fleet, const struct instance *inst, const struct filter *f)
{
    const struct rollout *r = fleet_rollout_of(fleet, inst);
    uint32_t deployment = r ? r->number : inst->assignment.rollout;
    return f->is_any ||
           ((f->status < 0 || inst->status == f->status) &&
            (f->online < 0 || (inst->presence == PRESENCE_ONLINE) == (f->online == 1)) &&
            (f->update_state < 0 || (int)fleet_update_state(fleet, inst) == f->update_state) &&
            (f->deployment == 0 || deployment == f->deployment) &&
            (f->code_version.size == 0 ||
             text_equal(fleet_text(fleet, inst->current.code), f->code_version)) &&
            selector_matches(&f->selector, &fleet->labels, inst->labels));
}

/* How far a page is. */
struct page {
    uint64_t limit, count; /* of instances in it */
    uint32_t examined;
    uint32_t slot; /* the next one to look at, or FLEET_NONE */
    uint32_t last; /* the newest that was looked at */
};

#define SOME 64u /* instances looked at together */

static void write_some(struct api_call *call, const struct filter *filter, struct page *page)
{
    const struct fleet *fleet = engine_fleet(call->api->engine);
    uint32_t slots[SOME + 1], passing[SOME], passing_count = 0;
    size_t found = fleet_list(fleet, page->slot, slots, SOME + 1), i = 0;
    for (; i < found && i < SOME && page->count < page->limit; i++, page->examined++) {
        if (!passes(fleet, fleet_at(fleet, slots[i]), filter))
            continue;
        passing[passing_count++] = slots[i];
        page->count++;
    }
    wire_write_instances(&call->w, fleet, passing, passing_count);
    page->last = i > 0 ? slots[i - 1] : page->last;
    page->slot = i < found ? slots[i] : FLEET_NONE;
}

/* A page in order of keys. The cursor is the key of the last instance looked at, so that it
 * survives whatever is added or removed; a page of a filtered list may end early, with a cursor. */
void inventory_list(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    struct fleet *fleet = engine_fleet(engine);
    struct filter filter;
    uint64_t limit;
    struct text cursor = TEXT_NONE;
    if (!read_filter(call, &filter) ||
        !api_param_count(call, "limit", LIMIT_LIST_MAX, LIMIT_LIST_DEFAULT, &limit)) {
        api_fail(call);
        return;
    }
    bool is_first = !api_param(call, "cursor", &cursor);
    struct page page = { .limit = limit, .slot = fleet_next(fleet, cursor, is_first) };
    json_begin_object(&call->w);
    json_key(&call->w, "instances");
    json_begin_list(&call->w);
    while (page.slot != FLEET_NONE && page.count < limit && page.examined < EXAMINED_MAX)
        write_some(call, &filter, &page);
    json_end_list(&call->w);
    json_put_u64(&call->w, "count", page.count);
    if (filter.is_any)
        json_put_u64(&call->w, "total", fleet->instance_count);
    else if (is_first && page.slot == FLEET_NONE)
        json_put_u64(&call->w, "total", page.count);
    else
        json_put_null(&call->w, "total"); /* counting the rest would cost a walk over the fleet */
    if (page.slot != FLEET_NONE && page.examined > 0)
        json_put_text(&call->w, "next_cursor", instance_key(fleet_at(fleet, page.last)));
    else
        json_put_null(&call->w, "next_cursor");
    json_end_object(&call->w);
    api_reply(call, 200, engine_round_of_all(engine));
}
