/* SPDX-License-Identifier: Apache-2.0
 * deploy.c - routes of rollouts, which the API calls deployments. */
#include "http/api_parts.h"

#include "wire/request.h"

static void write_rollout(struct api_call *call, const struct rollout *r)
{
    wire_write_rollout(&call->w, engine_fleet(call->api->engine), r,
                       engine_store_fails_since(call->api->engine));
}

static struct text state_word(const struct rollout *r)
{
    return text_from(rollout_machine.states.list[r->state].word);
}

static void set_location(struct api_call *call, const struct rollout *r)
{
    snprintf(call->fields.location, sizeof call->fields.location, "/deploy/r-%u", r->number);
}

/* ---- trigger -------------------------------------------------------------------------------- */

static struct text created_message(const struct rollout *r)
{
    if (r->state == ROLLOUT_COMPLETED)
        return TEXT("nothing to do: every selected instance runs this version");
    return TEXT("started");
}

/* What every answer with a new rollout begins with; the caller adds to it and closes it. */
static void begin_created(struct api_call *call, const struct rollout *r, struct text message)
{
    struct json_writer *w = &call->w;
    set_location(call, r);
    api_tag(call, r->generation);
    json_begin_object(w);
    json_key(w, "id");
    wire_write_rollout_id(w, r->number);
    json_put_text(w, "message", message);
    json_key(w, "deployment");
    write_rollout(call, r);
}

void deploy_create(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    struct deploy_command command;
    if (!wire_read_deploy(call->request->body, &call->api->arena, &command, &call->err) ||
        !api_is_writable(call) || !plan_holds(engine_fleet(engine), &command, &call->err)) {
        api_fail(call);
        return;
    }
    engine_begin(engine, TEXT("operator"));
    struct rollout *r = fleet_deploy(engine_fleet(engine), &command, &call->conflict, &call->err);
    engine_end(engine);
    if (!r) {
        api_fail(call);
        return;
    }
    struct json_writer *w = &call->w;
    begin_created(call, r, created_message(r));
    json_key(w, "request");
    wire_write_request(w, engine_fleet(engine), r);
    json_end_object(w);
    api_reply(call, 201, engine_round_of_all(engine));
}

/* ---- reading -------------------------------------------------------------------------------- */

void deploy_status(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    struct fleet *fleet = engine_fleet(engine);
    uint64_t count = 0;
    json_begin_object(&call->w);
    json_key(&call->w, "deployments");
    json_begin_list(&call->w);
    for (size_t i = 0; i < FLEET_LIVE_MAX && count < fleet->live_count; i++) {
        if (!fleet->live[i])
            continue;
        write_rollout(call, fleet->live[i]->rollout);
        count++;
    }
    json_end_list(&call->w);
    json_put_u64(&call->w, "count", count);
    json_end_object(&call->w);
    api_reply(call, 200, engine_round_of_all(engine));
}

struct rollout_filter {
    struct text selector; /* canonical; data NULL: any */
    int state;            /* -1: any */
};

static bool read_filter(struct api_call *call, struct rollout_filter *ret)
{
    struct rollout_filter f = { .state = -1 };
    struct text value;
    if (api_param(call, "state", &value)) {
        for (int i = 0; i < rollout_state_count; i++)
            if (text_equal_nocase(value, text_from(rollout_machine.states.list[i].word)))
                f.state = i;
        if (f.state < 0)
            return err_set(&call->err, ERR_INVALID,
                           "state must be RUNNING, PAUSED, COMPLETED, FAILED or UNKNOWN");
    }
    if (api_param(call, "labels", &value)) {
        struct selector selector;
        struct buffer canonical;
        if (!selector_parse(value, NULL, 0, &call->api->arena, &selector, &call->err))
            return false;
        buffer_init(&canonical, &memory_heap, LIMIT_SELECTOR);
        selector_print(&selector, &canonical);
        bool copied = arena_copy(&call->api->arena, buffer_text(&canonical), &f.selector);
        buffer_release(&canonical);
        if (!copied)
            return err_set(&call->err, ERR_MEMORY, "no memory for a filter");
    }
    *ret = f;
    return true;
}

static bool passes(const struct rollout *r, const struct rollout_filter *f)
{
    return (f->state < 0 || r->state == f->state) &&
           (!f->selector.data || text_equal(r->selector_text, f->selector));
}

/* Newest first; the cursor is the id of the last one listed. */
void deploy_list(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    const struct fleet *fleet = engine_fleet(engine);
    struct rollout_filter filter = { .state = -1 };
    uint64_t limit;
    uint32_t before = UINT32_MAX;
    struct text cursor;
    if (!read_filter(call, &filter) ||
        !api_param_count(call, "limit", LIMIT_LIST_MAX, LIMIT_LIST_DEFAULT, &limit) ||
        (api_param(call, "cursor", &cursor) &&
         !wire_read_rollout_id(cursor, &before, &call->err))) {
        api_fail(call);
        return;
    }
    uint64_t count = 0;
    uint32_t last = 0;
    bool has_more = false;
    json_begin_object(&call->w);
    json_key(&call->w, "deployments");
    json_begin_list(&call->w);
    for (uint32_t i = fleet->rollout_count; i > 0 && !has_more; i--) {
        const struct rollout *r = fleet->rollouts[i - 1];
        if (r->number >= before || !passes(r, &filter))
            continue;
        has_more = count == limit;
        if (has_more)
            break;
        write_rollout(call, r);
        last = r->number;
        count++;
    }
    json_end_list(&call->w);
    json_put_u64(&call->w, "count", count);
    json_key(&call->w, "next_cursor");
    wire_write_rollout_id(&call->w, has_more ? last : 0);
    json_end_object(&call->w);
    api_reply(call, 200, engine_round_of_all(engine));
}

/* ---- one rollout with members --------------------------------------------------------------- */

/* The update states asked for, one bit each. */
static bool read_states(struct api_call *call, struct text value, uint32_t *ret)
{
    uint32_t states = 0;
    struct text word;
    while (text_cut(&value, ',', &word)) {
        int state = sm_word_find(&member_machine.states, word.data, word.size);
        if (state <= MEMBER_NONE)
            return err_set(&call->err, ERR_INVALID,
                           "members must be a list of failed, in_progress, needing_update, "
                           "completed and not_needed");
        states |= 1u << state;
    }
    *ret = states;
    return true;
}

/* Sets whose members are in one of the states: only these are walked, where they suffice. */
static bool is_in_small_sets(uint32_t states)
{
    return (states & ~(1u << MEMBER_FAILED | 1u << MEMBER_IN_PROGRESS)) == 0;
}

static uint64_t write_set(struct api_call *call, const struct rollout *r, enum member_set set,
                          uint64_t room)
{
    const struct fleet *fleet = engine_fleet(call->api->engine);
    uint64_t count = 0;
    uint32_t slot = ordered_first(&fleet->members, r->live->sets[set]);
    for (; slot != ORDERED_NONE && count < room; count++) {
        wire_write_instance(&call->w, fleet, slot, false);
        slot = ordered_after(&fleet->members, r->live->sets[set], slot);
    }
    return count;
}

#define MEMBERS_EXAMINED_MAX 50000u

/* By name, for states that have no set of their own and for ended rollouts. */
static uint64_t write_scanned(struct api_call *call, const struct rollout *r, uint32_t states,
                              uint64_t limit, struct text cursor, struct text *ret_cursor)
{
    const struct fleet *fleet = engine_fleet(call->api->engine);
    uint64_t count = 0;
    uint32_t examined = 0;
    uint32_t last = FLEET_NONE;
    uint32_t slot = fleet_next(fleet, cursor, cursor.size == 0);
    for (; slot != FLEET_NONE && count < limit && examined < MEMBERS_EXAMINED_MAX;
         slot = fleet_after(fleet, slot), examined++) {
        const struct instance *inst = fleet_at(fleet, slot);
        last = slot;
        bool is_member =
            r->live ? fleet_rollout_of(fleet, inst) == r : inst->assignment.rollout == r->number;
        if (!is_member || !(states & 1u << fleet_update_state(fleet, inst)))
            continue;
        wire_write_instance(&call->w, fleet, slot, false);
        count++;
    }
    *ret_cursor =
        slot != FLEET_NONE && last != FLEET_NONE ? instance_key(fleet_at(fleet, last)) : TEXT_NONE;
    return count;
}

static void write_members(struct api_call *call, const struct rollout *r, uint32_t states,
                          uint64_t limit, struct text cursor)
{
    struct text next = TEXT_NONE;
    uint64_t count = 0;
    json_begin_object(&call->w);
    json_key(&call->w, "instances");
    json_begin_list(&call->w);
    if (r->live && is_in_small_sets(states) && cursor.size == 0 &&
        rollout_tally(r)->failed + rollout_tally(r)->in_progress <= limit) {
        if (states & 1u << MEMBER_FAILED)
            count += write_set(call, r, SET_BROKEN, limit - count);
        if (states & 1u << MEMBER_IN_PROGRESS)
            count += write_set(call, r, SET_BUSY, limit - count);
    } else {
        count = write_scanned(call, r, states, limit, cursor, &next);
    }
    json_end_list(&call->w);
    json_put_u64(&call->w, "count", count);
    json_put_text_or_null(&call->w, "next_cursor", next);
    json_end_object(&call->w);
}

void deploy_show(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    const struct rollout *r = api_rollout(call);
    struct text members;
    struct text cursor = TEXT_NONE;
    uint32_t states = 0;
    uint64_t limit;
    if (!r || (api_param(call, "members", &members) && !read_states(call, members, &states)) ||
        !api_param_count(call, "limit", LIMIT_LIST_MAX, LIMIT_LIST_DEFAULT, &limit)) {
        api_fail(call);
        return;
    }
    api_param(call, "cursor", &cursor);
    api_tag(call, r->generation);
    if (states == 0) {
        write_rollout(call, r);
    } else {
        wire_write_rollout_open(&call->w, engine_fleet(engine), r,
                                engine_store_fails_since(engine));
        json_key(&call->w, "members");
        write_members(call, r, states, limit, cursor);
        json_end_object(&call->w);
    }
    api_reply(call, 200, engine_round_of_all(engine));
}

/* ---- progress ------------------------------------------------------------------------------- */

static const struct rollout *newest_ended(const struct fleet *fleet)
{
    for (uint32_t i = fleet->rollout_count; i > 0; i--)
        if (!rollout_is_live(fleet->rollouts[i - 1]))
            return fleet->rollouts[i - 1];
    return NULL;
}

static void write_progressed(struct api_call *call, const struct rollout *r)
{
    struct json_writer *w = &call->w;
    json_begin_object(w);
    json_put_text(w, "message", r ? TEXT("evaluated") : TEXT("no rollout is live"));
    json_key(w, "deployment");
    if (r)
        write_rollout(call, r);
    else
        json_write_null(w);
    json_key(w, "status");
    if (r)
        json_write_text(w, state_word(r));
    else
        json_write_null(w);
    json_key(w, "progress");
    if (r)
        wire_write_progress(w, rollout_tally(r));
    else
        json_write_null(w);
    json_key(w, "last");
    const struct rollout *last = newest_ended(engine_fleet(call->api->engine));
    if (last)
        write_rollout(call, last);
    else
        json_write_null(w);
    json_end_object(w);
}

/* The rollout asked for, or the live one with the lowest id; false with call->err. */
static bool find_progressed(struct api_call *call, struct rollout **ret)
{
    struct fleet *fleet = engine_fleet(call->api->engine);
    struct text id;
    uint32_t number;
    *ret = fleet_first_live(fleet);
    if (!api_param(call, "id", &id))
        return true;
    if (!wire_read_rollout_id(id, &number, &call->err))
        return false;
    *ret = fleet_rollout(fleet, number);
    return *ret || err_set(&call->err, ERR_NOT_FOUND, "there is no rollout r-%u", number);
}

/* Without a live rollout there is no generation that the one asked for could be. */
static bool matches_progressed(struct api_call *call, const struct rollout *r)
{
    if (r)
        return api_matches(call, r->generation);
    return http_field(call->x, "If-Match").size == 0 ||
           err_set(&call->err, ERR_PRECONDITION, "no rollout is live");
}

void deploy_progress(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    struct rollout *r;
    if (!find_progressed(call, &r) || !api_is_writable(call) || !matches_progressed(call, r)) {
        api_fail(call);
        return;
    }
    bool done = true;
    if (r && rollout_is_live(r)) {
        engine_begin(engine, TEXT("operator"));
        done = fleet_progress(engine_fleet(engine), r, &call->err);
        engine_end(engine);
    }
    if (!done) {
        api_fail(call);
        return;
    }
    write_progressed(call, r);
    if (r)
        api_tag(call, r->generation);
    api_reply(call, 200, engine_round_of_all(engine));
}

/* ---- rollback, verbs ------------------------------------------------------------------------ */

/* If-Match is about the rollout to be undone. Which one that is without an id only the core finds
 * out, and a condition that nobody tests must not look as if it held. */
static bool matches_source(struct api_call *call, const struct rollback_command *command)
{
    struct rollout *source = NULL;
    if (command->number != 0)
        source = fleet_rollout(engine_fleet(call->api->engine), command->number);
    else if (http_field(call->x, "If-Match").size > 0)
        return err_set(&call->err, ERR_INVALID, "If-Match needs the id of the rollout to undo");
    if (!source || api_matches(call, source->generation))
        return true;
    call->conflict = source;
    return false;
}

void deploy_rollback(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    struct rollback_command command;
    if (!wire_read_rollback(call->request->body, &call->api->arena, &command, &call->err) ||
        !api_is_writable(call) || !matches_source(call, &command)) {
        api_fail(call);
        return;
    }
    engine_begin(engine, TEXT("operator"));
    struct rollout *r = fleet_rollback(engine_fleet(engine), &command, &call->conflict, &call->err);
    engine_end(engine);
    if (!r) {
        api_fail(call);
        return;
    }
    struct json_writer *w = &call->w;
    begin_created(call, r, TEXT("rollback started"));
    json_key(w, "labels");
    wire_write_selector_labels(w, &r->selector);
    json_key(w, "config");
    wire_write_config(w, &r->config);
    json_end_object(w);
    api_reply(call, 201, engine_round_of_all(engine));
}

/* To abort must be possible on a full disk too. */
static bool takes_verb(struct api_call *call)
{
    return call->route->verb == VERB_ABORT ? api_is_freeable(call) : api_is_writable(call);
}

static void begin_verb(struct api_call *call)
{
    if (call->route->verb == VERB_ABORT)
        engine_begin_freeing(call->api->engine, TEXT("operator"));
    else
        engine_begin(call->api->engine, TEXT("operator"));
}

void deploy_verb(struct api_call *call)
{
    struct engine *engine = call->api->engine;
    struct verb_command command;
    struct rollout *r = api_rollout(call);
    struct rollout *result = NULL;
    if (!r ||
        !wire_read_verb(call->request->body, &call->api->arena, call->route->verb, &command,
                        &call->err) ||
        !takes_verb(call)) {
        api_fail(call);
        return;
    }
    if (!api_matches(call, r->generation)) {
        call->conflict = r;
        api_fail(call);
        return;
    }
    begin_verb(call);
    bool done = fleet_verb(engine_fleet(engine), r, &command, &result, &call->conflict, &call->err);
    engine_end(engine);
    if (!done) {
        if (!call->conflict)
            call->conflict = r;
        api_fail(call);
        return;
    }
    write_rollout(call, result);
    api_tag(call, result->generation);
    if (result != r)
        set_location(call, result);
    api_reply(call, result == r ? 200 : 201, engine_round_of_all(engine));
}
