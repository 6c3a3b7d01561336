/* SPDX-License-Identifier: Apache-2.0
 * record_rollout.c - the stored form of rollouts. The configuration is stored complete, so that a
 * later default changes no rollout that exists. */
#include "base/limits.h"
#include "core/waves.h"
#include "wire/config.h"
#include "wire/progress.h"
#include "wire/record.h"
#include "wire/record_parts.h"
#include "wire/record_waves.h"
#include "wire/view.h"
#include "wire/words.h"

/* ---- storing -------------------------------------------------------------------------------- */

static void put_request(struct json_writer *w, const struct fleet *fleet, const struct rollout *r)
{
    json_key(w, "request");
    json_begin_object(w);
    record_put_text(w, "code_version", fleet_text(fleet, r->target.code));
    record_put_text(w, "configuration_version", fleet_text(fleet, r->target.config));
    json_key(w, "configuration");
    wire_write_config(w, &r->config);
    json_end_object(w);
}

static void put_times(struct json_writer *w, const struct rollout *r)
{
    json_put_i64(w, "created_at", r->created_at);
    record_put_number(w, "started_at", r->started_at);
    record_put_number(w, "ended_at", r->ended_at);
    record_put_number(w, "paused_at", r->paused_at);
    record_put_true(w, "breach_pause", r->is_breach_pause);
    if (r->stopped_at != r->paused_at)
        record_put_number(w, "stopped_at", r->stopped_at);
    record_put_number(w, "frozen_at", r->frozen_at);
    record_put_number(w, "frozen_count", r->frozen_count);
    record_put_number(w, "leftover_at", r->leftover_at);
    record_put_number(w, "progressed_at", r->progressed_at);
}

static void put_relations(struct json_writer *w, const struct rollout *r)
{
    record_put_rollout(w, "retry_of", r->retry_of);
    record_put_rollout(w, "rollback_of", r->rollback_of);
    record_put_rollout(w, "restores", r->restores);
    record_put_rollout(w, "rolled_back_by", r->rolled_back_by);
    record_put_true(w, "fast", r->is_fast);
    record_put_text(w, "rollback_error", r->has_no_target ? TEXT("no_target") : TEXT_NONE);
    record_put_number(w, "unresolved_total", r->unresolved_total);
    if (r->unresolved_count == 0)
        return;
    json_key(w, "unresolved");
    json_begin_list(w);
    for (uint32_t i = 0; i < r->unresolved_count; i++)
        json_write_text(w, r->unresolved[i]);
    json_end_list(w);
}

static void put_failures(struct json_writer *w, const struct rollout *r)
{
    if (r->failure_count == 0)
        return;
    json_key(w, "failures");
    json_begin_list(w);
    for (uint32_t i = 0; i < r->failure_count; i++) {
        json_begin_object(w);
        json_put_text(w, "instance", r->failures[i].key);
        record_put_word(w, "cause", &wire_member_causes, r->failures[i].cause);
        record_put_text(w, "message", r->failures[i].message);
        json_end_object(w);
    }
    json_end_list(w);
}

void wire_store_rollout(struct buffer *out, const struct fleet *fleet, const struct rollout *r)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    record_put_rollout(&w, "id", r->number);
    json_put_text(&w, "status", text_from(sm_word_at(&rollout_machine.states, r->state)));
    record_put_word(&w, "outcome", &wire_outcomes, r->outcome);
    record_put_word(&w, "cause", &wire_rollout_causes, r->cause);
    json_put_u64(&w, "generation", r->generation);
    json_put_u64(&w, "revision", r->revision);
    json_put_u64(&w, "started_index", r->started_index);
    put_request(&w, fleet, r);
    json_put_text(&w, "selector", r->selector_text);
    json_key(&w, "progress");
    json_write_table(&w, &wire_tally_table, rollout_tally(r), JSON_ABSENT_IS_OMITTED);
    record_put_text(&w, "created_by", r->created_by);
    record_put_text(&w, "reason", r->reason);
    put_times(&w, r);
    record_put_waves(&w, r);
    put_relations(&w, r);
    put_failures(&w, r);
    json_end_object(&w);
}

/* ---- loading -------------------------------------------------------------------------------- */

struct stored_request {
    struct text code, config;
    struct wire_config configuration;
};

struct stored_failure {
    struct text instance, message;
    uint8_t cause;
};

struct stored_rollout {
    struct text id, selector, created_by, reason;
    struct text retry_of, rollback_of, restores, rolled_back_by;
    struct stored_request request;
    struct tally progress;
    uint8_t status, outcome, cause, rollback_error;
    bool is_breach_pause, is_fast;
    uint32_t generation, unresolved_total, unresolved_count, frozen_count;
    uint64_t revision, started_index;
    int64_t created_at, started_at, ended_at, paused_at, stopped_at, frozen_at, leftover_at,
        progressed_at;
    struct stored_waves waves;
    struct text *unresolved;
    struct stored_failure *failures;
    uint32_t failure_count;
};

static const struct sm_words rollback_errors = {
    (const struct sm_word[]){ { "none", "" }, { "no_target", "" } }, 2
};

#define ID_SIZE            16 /* of the longest id */
#define ID(member)         .kind = JSON_TEXT, .min = 1, .max = ID_SIZE, AT(member)
#define NUMBER(member)     .kind = JSON_INTEGER, .max = INT64_MAX, AT(member)
#define SMALL(member)      .kind = JSON_INTEGER, .max = UINT32_MAX, AT(member)
#define WORD(list, member) .kind = JSON_WORD, .words = &(list), AT(member)

/* clang-format off */
#define AT(member) JSON_AT(struct stored_request, member)
static const struct json_field request_fields[] = {
    { .name = "code_version", .kind = JSON_TEXT, AT(code), .min = 1, .max = LIMIT_VERSION, .meaning = "the target; left out when it does not matter" },
    { .name = "configuration_version", .kind = JSON_TEXT, AT(config), .min = 1, .max = LIMIT_VERSION, .meaning = "likewise" },
    { .name = "configuration", .kind = JSON_OBJECT, AT(configuration), .flags = JSON_REQUIRED, .sub = &wire_config_table, .meaning = "every effective value" },
};
#undef AT

static const struct json_table request_table = {
    .name = "stored_request",
    .fields = request_fields,
    .count = 3,
    .size = sizeof(struct stored_request),
    .given_offset = JSON_NOT_KEPT,
};

#define AT(member) JSON_AT(struct stored_failure, member)
static const struct json_field failure_fields[] = {
    { .name = "instance", .kind = JSON_TEXT, AT(instance), .flags = JSON_REQUIRED, .min = 1, .max = LIMIT_NAME, .meaning = "its key" },
    { .name = "cause", WORD(wire_member_causes, cause), .meaning = "why it failed" },
    { .name = "message", .kind = JSON_TEXT, AT(message), .min = 1, .max = LIMIT_MESSAGE, .meaning = "what it had said last" },
};
#undef AT

static const struct json_table failure_table = {
    .name = "stored_failure",
    .fields = failure_fields,
    .count = sizeof failure_fields / sizeof failure_fields[0],
    .size = sizeof(struct stored_failure),
    .given_offset = JSON_NOT_KEPT,
};

#define AT(member) JSON_AT(struct stored_rollout, member)
static const struct json_field fields[] = {
    { .name = "id", ID(id), .flags = JSON_REQUIRED, .meaning = "r-<number>" },
    { .name = "status", WORD(rollout_machine.states, status), .flags = JSON_REQUIRED, .meaning = "its state" },
    { .name = "outcome", WORD(wire_outcomes, outcome), .meaning = "of a completed one" },
    { .name = "cause", WORD(wire_rollout_causes, cause), .meaning = "of a failed one, or of a breach" },
    { .name = "generation", SMALL(generation), .flags = JSON_REQUIRED, .meaning = "decisions" },
    { .name = "revision", NUMBER(revision), .flags = JSON_REQUIRED, .meaning = "changes" },
    { .name = "started_index", NUMBER(started_index), .flags = JSON_REQUIRED, .meaning = "its first journal entry" },
    { .name = "request", .kind = JSON_OBJECT, AT(request), .flags = JSON_REQUIRED, .sub = &request_table, .meaning = "what was asked for" },
    { .name = "selector", .kind = JSON_TEXT, AT(selector), .flags = JSON_REQUIRED, .max = LIMIT_SELECTOR, .meaning = "canonical" },
    { .name = "progress", .kind = JSON_OBJECT, AT(progress), .flags = JSON_REQUIRED, .sub = &wire_tally_table, .meaning = "counters; final ones once it has ended" },
    { .name = "created_by", .kind = JSON_TEXT, AT(created_by), .min = 1, .max = LIMIT_BODY, .meaning = "who asked" },
    { .name = "reason", .kind = JSON_TEXT, AT(reason), .min = 1, .max = LIMIT_REASON, .meaning = "why" },
    { .name = "created_at", NUMBER(created_at), .flags = JSON_REQUIRED, .meaning = "when it was asked for" },
    { .name = "started_at", NUMBER(started_at), .meaning = "when it began to pick" },
    { .name = "ended_at", NUMBER(ended_at), .meaning = "when it ended" },
    { .name = "paused_at", NUMBER(paused_at), .meaning = "while paused" },
    { .name = "breach_pause", .kind = JSON_BOOL, AT(is_breach_pause), .meaning = "a breach paused it" },
    { .name = "stopped_at", NUMBER(stopped_at), .meaning = "since when deadlines stand still; left out when that is since paused_at" },
    { .name = "frozen_at", NUMBER(frozen_at), .meaning = "when most of the fleet fell silent, while it is" },
    { .name = "frozen_count", SMALL(frozen_count), .meaning = "how many that were" },
    { .name = "leftover_at", NUMBER(leftover_at), .meaning = "when leftovers are given up" },
    { .name = "progressed_at", NUMBER(progressed_at), .meaning = "when a member last completed" },
    RECORD_WAVE_ROWS(struct stored_rollout),
    { .name = "retry_of", ID(retry_of), .meaning = "the rollout it repeats" },
    { .name = "rollback_of", ID(rollback_of), .meaning = "the rollout it undoes" },
    { .name = "restores", ID(restores), .meaning = "the rollout it goes back to" },
    { .name = "rolled_back_by", ID(rolled_back_by), .meaning = "the rollout that undoes it" },
    { .name = "fast", .kind = JSON_BOOL, AT(is_fast), .meaning = "without soaks and gates" },
    { .name = "rollback_error", WORD(rollback_errors, rollback_error), .meaning = "why no rollback followed" },
    { .name = "unresolved_total", SMALL(unresolved_total), .meaning = "instances with no known previous version" },
    { .name = "unresolved", .kind = JSON_TEXTS, AT(unresolved), JSON_COUNT(struct stored_rollout, unresolved_count), .min = 1, .max = LIMIT_UNRESOLVED,
      .item_min = 1, .item_max = LIMIT_NAME, .meaning = "their names, as many as are kept" },
    { .name = "failures", .kind = JSON_OBJECTS, AT(failures), JSON_COUNT(struct stored_rollout, failure_count), .min = 1, .max = LIMIT_FAILURES,
      .sub = &failure_table, .meaning = "members that had failed when it ended, as many as are kept" },
};
#undef AT
/* clang-format on */

const struct json_table wire_stored_rollout_table = {
    .name = "stored_rollout",
    .fields = fields,
    .count = sizeof fields / sizeof fields[0],
    .size = sizeof(struct stored_rollout),
    .given_offset = JSON_NOT_KEPT,
};

/* Members without texts. `r` is not in the fleet yet, so its machine has not begun. */
static void fill_plain(struct rollout *r, const struct stored_rollout *s)
{
    r->state = s->status;
    r->outcome = s->outcome;
    r->cause = s->cause;
    r->has_no_target = s->rollback_error != 0;
    r->is_fast = s->is_fast;
    r->is_breach_pause = s->is_breach_pause;
    r->generation = s->generation;
    r->revision = s->revision;
    r->started_index = s->started_index;
    r->created_at = s->created_at;
    r->started_at = s->started_at;
    r->ended_at = s->ended_at;
    r->paused_at = s->paused_at;
    r->stopped_at = s->stopped_at ? s->stopped_at : s->paused_at;
    r->frozen_at = s->frozen_at;
    r->frozen_count = s->frozen_count;
    r->leftover_at = s->leftover_at;
    r->progressed_at = s->progressed_at;
    r->unresolved_total = s->unresolved_total;
    if (!rollout_is_live(r))
        r->final = s->progress;
}

static bool fill_number(struct text key, struct rollout *r, const struct stored_rollout *s,
                        struct err *err)
{
    struct sentence expected;
    if (!record_take_rollout(s->id, &r->number) ||
        !record_take_rollout(s->retry_of, &r->retry_of) ||
        !record_take_rollout(s->rollback_of, &r->rollback_of) ||
        !record_take_rollout(s->restores, &r->restores) ||
        !record_take_rollout(s->rolled_back_by, &r->rolled_back_by))
        return record_is_damaged(key, "it names what is no rollout", err);
    sentence_init(&expected);
    wire_rollout_key(&expected.buffer, r->number);
    return record_key_is(key, &expected.buffer) ||
           record_is_damaged(key, "it is about another rollout", err);
}

static bool fill_selector(struct fleet *fleet, struct text key, struct rollout *r, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    struct buffer canonical;
    if (!selector_parse(r->selector_text, NULL, 0, &r->arena, &r->selector, &why))
        return why.code == ERR_MEMORY ? err_set(err, ERR_MEMORY, "%s", why.text)
                                      : record_is_damaged(key, why.text, err);
    buffer_init(&canonical, fleet->memory, LIMIT_SELECTOR);
    selector_print(&r->selector, &canonical);
    bool is_canonical = text_equal(buffer_text(&canonical), r->selector_text);
    bool has_failed = canonical.failed;
    buffer_release(&canonical);
    if (has_failed)
        return err_set(err, ERR_MEMORY, "no memory for a selector");
    return is_canonical || record_is_damaged(key, "/selector is not canonical", err);
}

static bool fill_failures(struct rollout *r, const struct stored_rollout *s)
{
    if (s->failure_count == 0)
        return true;
    r->failures = arena_take_array(&r->arena, s->failure_count, sizeof r->failures[0]);
    for (uint32_t i = 0; r->failures && i < s->failure_count; i++) {
        r->failures[i].cause = s->failures[i].cause;
        if (!arena_copy(&r->arena, s->failures[i].instance, &r->failures[i].key) ||
            !arena_copy(&r->arena, s->failures[i].message, &r->failures[i].message))
            return false;
        r->failure_count++;
    }
    return r->failures != NULL;
}

static bool fill_texts(struct fleet *fleet, struct rollout *r, const struct stored_rollout *s)
{
    struct stored_version target = { s->request.code, s->request.config };
    if (!rollout_config_copy(&r->arena, &s->request.configuration.config, &r->config) ||
        !waves_lay_out(r) || !record_take_version(fleet, &target, &r->target) ||
        !arena_copy(&r->arena, s->selector, &r->selector_text) ||
        !arena_copy(&r->arena, s->created_by, &r->created_by) ||
        !arena_copy(&r->arena, s->reason, &r->reason))
        return false;
    if (s->unresolved_count == 0)
        return true;
    r->unresolved = arena_take_array(&r->arena, s->unresolved_count, sizeof r->unresolved[0]);
    for (uint32_t i = 0; r->unresolved && i < s->unresolved_count; i++) {
        if (!arena_copy(&r->arena, s->unresolved[i], &r->unresolved[i]))
            return false;
        r->unresolved_count++;
    }
    return r->unresolved != NULL;
}

static bool fill(struct fleet *fleet, struct text key, struct rollout *r,
                 const struct stored_rollout *s, struct err *err)
{
    const char *fault = NULL;
    fill_plain(r, s);
    if (!fill_number(key, r, s, err))
        return false;
    bool is_good =
        fill_texts(fleet, r, s) && fill_failures(r, s) && record_take_waves(r, &s->waves, &fault);
    if (!is_good && fault)
        return record_is_damaged(key, fault, err);
    if (!is_good)
        return err_set(err, ERR_MEMORY, "no memory for a rollout that was stored");
    return fill_selector(fleet, key, r, err);
}

static bool take_fault(struct text key, const struct err *why, struct err *err)
{
    struct sentence s;
    if (why->code == ERR_MEMORY)
        return err_set(err, ERR_MEMORY, "%s", why->text);
    sentence_init(&s);
    buffer_printf(&s.buffer, "%s %s", why->pointer, why->text);
    return record_is_damaged(key, buffer_c_string(&s.buffer), err);
}

bool wire_load_rollout(struct fleet *fleet, struct text key, struct text json,
                       struct arena *scratch, struct err *err)
{
    struct stored_rollout s = { .id = TEXT_NONE };
    struct err why = { .code = ERR_NONE };
    wire_config_init(&s.request.configuration);
    if (!record_read(&wire_stored_rollout_table, key, json, scratch, &s, err))
        return false;
    if (!wire_config_take(&s.request.configuration, "/request/configuration", scratch, &why))
        return take_fault(key, &why, err);
    struct rollout *r = fleet_new_rollout(fleet, err);
    if (!r)
        return false;
    bool is_good = fill(fleet, key, r, &s, err);
    if (is_good && fleet_rollout(fleet, r->number))
        is_good = record_is_damaged(key, "there are two of it", err);
    if (!is_good) {
        fleet_drop_rollout(fleet, r);
        return false;
    }
    fleet_adopt_rollout(fleet, r);
    return true;
}
