/* SPDX-License-Identifier: Apache-2.0
 * event_view.c - one row per type of event: the function that says it. */
#include "cmd/event_view.h"

#include "cmd/document.h"
#include "cmd/record.h"
#include "core/change.h"

#define LABELS_SHOWN 4 /* of an instance that is new; the wide form has all */

/* The event that is being said. Rows begin a sentence with whom it is about. */
struct saying {
    struct buffer *out;
    const struct json_node *event, *before, *after; /* the two: its "old" and "new" */
};

/* ---- parts ---------------------------------------------------------------------------------- */

static void add(struct saying *s, const char *words)
{
    buffer_add(s->out, text_from(words));
}

/* `before`, then the text; nothing when there is no text. */
static void add_part(struct saying *s, const char *before, struct text part)
{
    if (part.size == 0)
        return;
    add(s, before);
    buffer_add(s->out, part);
}

static struct text of_event(const struct saying *s, const char *key)
{
    return json_get_text(s->event, key, TEXT_NONE);
}

static struct text of_new(const struct saying *s, const char *key)
{
    return json_get_text(s->after, key, TEXT_NONE);
}

static void add_rollout(struct saying *s)
{
    buffer_add(s->out, json_get_text(s->event, "deployment_id", TEXT("a rollout")));
}

static void add_instance(struct saying *s)
{
    buffer_add(s->out, json_get_text(s->event, "instance", TEXT("an instance")));
}

static void add_member(struct saying *s)
{
    struct text rollout = of_event(s, "deployment_id");
    add_part(s, "", rollout);
    add(s, rollout.size > 0 ? " " : "");
    add_instance(s);
}

/* `before`, then the version; nothing when no part of it is known. */
static bool add_runs(struct saying *s, const char *before, const struct json_node *version)
{
    if (json_get_text(version, "code_version", TEXT_NONE).size == 0 &&
        json_get_text(version, "configuration_version", TEXT_NONE).size == 0)
        return false;
    add(s, before);
    add_version(s->out, version);
    return true;
}

static void add_message(struct saying *s)
{
    add_part(s, ": ", text_trim(of_new(s, "message")));
}

/* ---- labels --------------------------------------------------------------------------------- */

static const struct json_node *find_label(const struct json_node *labels, struct text key)
{
    for (const struct json_node *label = json_first(labels); label; label = label->next)
        if (text_equal(label->key, key))
            return label;
    return NULL;
}

static void add_label(struct saying *s, struct text key, struct text value)
{
    buffer_add(s->out, key);
    buffer_add_byte(s->out, '=');
    buffer_add(s->out, value);
}

static void add_labels(struct saying *s, const struct json_node *labels)
{
    uint32_t shown = 0;
    const struct json_node *label = json_first(labels);
    for (; label && shown < LABELS_SHOWN; label = label->next, shown++) {
        add(s, shown == 0 ? ": " : " ");
        add_label(s, label->key, label->text);
    }
    if (label)
        buffer_printf(s->out, " and %u more", labels->count - shown);
}

static void add_label_change(struct saying *s, const struct json_node *was,
                             const struct json_node *is)
{
    if (was) {
        add_label(s, was->key, was->text);
        add(s, " -> ");
    }
    add_label(s, is->key, is->text);
    add(s, was ? "" : " added");
}

/* "zone=a -> zone=b, rack=7 added, tier removed", after `*separator`. */
static void add_label_changes(struct saying *s, const char **separator)
{
    const struct json_node *before = json_member(s->before, "labels");
    const struct json_node *after = json_member(s->after, "labels");
    for (const struct json_node *is = json_first(after); is; is = is->next) {
        const struct json_node *was = find_label(before, is->key);
        if (was && text_equal(was->text, is->text))
            continue;
        add(s, *separator);
        add_label_change(s, was, is);
        *separator = ", ";
    }
    for (const struct json_node *was = json_first(before); was; was = was->next) {
        if (find_label(after, was->key))
            continue;
        add_part(s, *separator, was->key);
        add(s, " removed");
        *separator = ", ";
    }
}

/* ---- instances ------------------------------------------------------------------------------ */

static void say_registered(struct saying *s)
{
    add_instance(s);
    add(s, " was registered");
    add_labels(s, json_member(s->after, "labels"));
}

/* Whether the side that was before had a status, and the other has another. */
static bool add_status_change(struct saying *s)
{
    struct text was = json_get_text(s->before, "status_name", TEXT_NONE);
    struct text is = of_new(s, "status_name");
    if (is.size == 0 || text_equal(was, is))
        return false;
    add(s, " ");
    add_part(s, "", was);
    add_part(s, was.size > 0 ? " -> " : "is ", is);
    return true;
}

static void add_version_change(struct saying *s, const char **separator)
{
    const struct json_node *is = json_member(s->after, "current_state");
    if (!is)
        return;
    add(s, *separator);
    bool was_known = add_runs(s, "", json_member(s->before, "current_state"));
    if (!add_runs(s, was_known ? " -> " : "runs ", is))
        add(s, was_known ? " -> not known" : "runs what is not known");
    *separator = ", ";
}

static void say_updated(struct saying *s)
{
    add_instance(s);
    const char *separator = add_status_change(s) ? ", " : " ";
    add_version_change(s, &separator);
    add_label_changes(s, &separator);
    if (*separator == ' ') {
        add(s, " reported");
        add_part(s, ", ip ", of_new(s, "ip"));
    }
    add_message(s);
}

static void say_online(struct saying *s)
{
    add_instance(s);
    add(s, " is heard again");
}

static void say_offline(struct saying *s)
{
    add_instance(s);
    add(s, " fell silent");
}

static void say_deleted(struct saying *s)
{
    add_instance(s);
    add(s, " was deleted");
    add_runs(s, ", it ran ", json_member(s->before, "current_state"));
}

/* ---- members -------------------------------------------------------------------------------- */

static void say_picked(struct saying *s)
{
    int64_t attempt = json_get_i64(s->after, "attempt", 0);
    add_rollout(s);
    add(s, " picked ");
    add_instance(s);
    add_runs(s, " for ", json_member(s->after, "desired_state"));
    if (attempt > 0)
        buffer_printf(s->out, ", attempt %lld", (long long)attempt);
}

static void say_member_completed(struct saying *s)
{
    add_member(s);
    add(s, " completed");
    add_runs(s, " on ", json_member(s->after, "current_state"));
}

/* A report of FAILED needs no second word for its status; the other causes have some. */
static void say_member_failed(struct saying *s)
{
    struct text status = of_new(s, "status_name");
    add_member(s);
    add(s, " failed");
    add_part(s, ": ", of_new(s, "cause"));
    if (status.size > 0 && !text_equal(status, TEXT("FAILED"))) {
        add_part(s, ", ", status);
        add_runs(s, " on ", json_member(s->after, "current_state"));
    }
    add_message(s);
}

static void say_joined(struct saying *s)
{
    add_member(s);
    add(s, " joined");
    add_part(s, ", ", of_new(s, "update_state"));
}

static void say_left(struct saying *s)
{
    add_member(s);
    add(s, " left");
}

/* ---- waves and gates ------------------------------------------------------------------------ */

static void add_wave(struct saying *s)
{
    add_rollout(s);
    add_part(s, " wave ", of_new(s, "wave"));
}

static void add_gate(struct saying *s)
{
    add_rollout(s);
    add_part(s, " gate ", of_new(s, "gate"));
}

static void say_wave_opened(struct saying *s)
{
    add_wave(s);
    add(s, " opened");
}

static void say_wave_passed(struct saying *s)
{
    int64_t failed = json_get_i64(s->after, "progress.failed_instances", 0);
    add_wave(s);
    add(s, " passed");
    if (failed > 0)
        buffer_printf(s->out, ", %lld failed", (long long)failed);
}

static void say_gate_waits(struct saying *s)
{
    add_gate(s);
    add(s, " waits");
}

static void say_gate_passed(struct saying *s)
{
    add_gate(s);
    add(s, " passed");
}

static void say_gate_undecided(struct saying *s)
{
    add_gate(s);
    add(s, " was not decided in time");
}

/* ---- rollouts ------------------------------------------------------------------------------- */

static void say_created(struct saying *s)
{
    struct text selector = of_new(s, "selector");
    add_rollout(s);
    add(s, " was created for ");
    buffer_add(s->out, selector.size > 0 ? selector : TEXT("the whole fleet"));
    add_runs(s, " -> ", s->after);
    add_part(s, ", retries ", of_new(s, "retry_of"));
    add_part(s, ", undoes ", of_new(s, "rollback_of"));
}

static void say_state(struct saying *s)
{
    add_rollout(s);
    add_status_change(s);
    add_part(s, ": ", of_new(s, "cause"));
    add_part(s, ": ", of_new(s, "outcome"));
}

static void say_promoted(struct saying *s)
{
    add_rollout(s);
    add(s, " was promoted");
}

static void say_retried(struct saying *s)
{
    add_rollout(s);
    add(s, " tries its failed members once more");
}

static void say_rollback(struct saying *s)
{
    int64_t unresolved = json_get_i64(s->after, "unresolved", 0);
    add_rollout(s);
    add_part(s, " undoes ", json_get_text(s->after, "rollback_of", TEXT("another")));
    add_part(s, ", back to ", of_new(s, "restores"));
    if (unresolved > 0)
        buffer_printf(s->out, ", %lld unresolved", (long long)unresolved);
}

/* ---- the fleet ------------------------------------------------------------------------------ */

static void add_online(struct saying *s)
{
    int64_t online = json_get_i64(s->after, "online_instances", -1);
    if (online >= 0)
        buffer_printf(s->out, ", %lld online", (long long)online);
}

static void say_silent(struct saying *s)
{
    add(s, "most of the fleet fell silent");
    add_online(s);
}

static void say_heard(struct saying *s)
{
    add(s, "most of the fleet is heard again");
    add_online(s);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* `is_act`: somebody may have done it; the others only follow from what was done. */
struct row {
    void (*say)(struct saying *s);
    bool is_act;
};

/* clang-format off */
static const struct row rows[] = {
    [CHANGE_REGISTERED]        = { say_registered,       true },
    [CHANGE_UPDATED]           = { say_updated,          true },
    [CHANGE_ONLINE]            = { say_online,           false },
    [CHANGE_OFFLINE]           = { say_offline,          false },
    [CHANGE_DELETED]           = { say_deleted,          true },
    [CHANGE_PICKED]            = { say_picked,           false },
    [CHANGE_COMPLETED]         = { say_member_completed, false },
    [CHANGE_FAILED]            = { say_member_failed,    false },
    [CHANGE_JOINED]            = { say_joined,           false },
    [CHANGE_LEFT]              = { say_left,             false },
    [CHANGE_WAVE_OPENED]       = { say_wave_opened,      false },
    [CHANGE_WAVE_PASSED]       = { say_wave_passed,      false },
    [CHANGE_GATE_WAITING]      = { say_gate_waits,       false },
    [CHANGE_GATE_PASSED]       = { say_gate_passed,      true },
    [CHANGE_GATE_INCONCLUSIVE] = { say_gate_undecided,   false },
    [CHANGE_ROLLOUT_CREATED]   = { say_created,          true },
    [CHANGE_ROLLOUT_STARTED]   = { say_state,            false },
    [CHANGE_ROLLOUT_PAUSED]    = { say_state,            true },
    [CHANGE_ROLLOUT_RESUMED]   = { say_state,            true },
    [CHANGE_ROLLOUT_PROMOTED]  = { say_promoted,         true },
    [CHANGE_ROLLOUT_RETRIED]   = { say_retried,          true },
    [CHANGE_ROLLOUT_COMPLETED] = { say_state,            false },
    [CHANGE_ROLLOUT_FAILED]    = { say_state,            true },
    [CHANGE_ROLLBACK_STARTED]  = { say_rollback,         true },
    [CHANGE_FLEET_SILENT]      = { say_silent,           false },
    [CHANGE_FLEET_HEARD]       = { say_heard,            false },
};
/* clang-format on */
_Static_assert(sizeof rows / sizeof rows[0] == CHANGE_TYPE_COUNT, "every type has a row");

static void add_side(struct saying *s, const char *before, const struct json_node *side)
{
    if (!json_first(side))
        return;
    add(s, before);
    document_add_json(s->out, side, false);
}

static void say_unknown(struct saying *s)
{
    size_t start = s->out->size;
    add_part(s, "", of_event(s, "deployment_id"));
    add_part(s, s->out->size > start ? " " : "", of_event(s, "instance"));
    add_side(s, s->out->size > start ? " old=" : "old=", s->before);
    add_side(s, s->out->size > start ? " new=" : "new=", s->after);
}

static const struct row *row_of(struct text type)
{
    static const struct row unknown = { say_unknown, true };
    for (unsigned i = 0; i < CHANGE_TYPE_COUNT; i++)
        if (text_equal(type, text_from(change_word(i))))
            return &rows[i];
    return &unknown;
}

/* Agents report and the server decides all the time, also in the course of a report: only somebody
 * else is worth a word. */
static bool is_worth_naming(struct text actor)
{
    return actor.size > 0 && !text_equal(actor, TEXT("agent")) &&
           !text_equal(actor, TEXT("server")) && !text_starts_with(actor, TEXT("token:"));
}

static void add_who_and_why(struct saying *s)
{
    struct text actor = of_event(s, "actor"), reason = of_event(s, "reason");
    if (is_worth_naming(actor))
        add_part(s, ", by ", actor);
    if (reason.size == 0)
        return;
    add_part(s, ": \"", reason);
    add(s, "\"");
}

void event_view_add(struct buffer *out, struct text type, const struct json_node *event)
{
    const struct row *row = row_of(type);
    struct saying s = { .out = out,
                        .event = event,
                        .before = json_member(event, "old"),
                        .after = json_member(event, "new") };
    row->say(&s);
    if (row->is_act)
        add_who_and_why(&s);
}
