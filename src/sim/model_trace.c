/* SPDX-License-Identifier: Apache-2.0
 * model_trace.c - what is told while a model runs: to people the life of rollouts and of servers,
 * when traced every event, and after a violation the last ones. And the hash of it all. */
#include "sim/model_parts.h"
#include "wire/record.h"

#define LINE_MAX 400

/* ---- sentences ------------------------------------------------------------------------------ */

void model_tell(struct model *m, const char *format, ...)
{
    char said[LINE_MAX];
    va_list list;
    if (!m->options.told)
        return;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    m->options.told(m->options.ctx, m->now, said);
}

static void put_agent(const struct model *m, const struct note *note, struct buffer *out)
{
    if (note->agent < m->crowd.count)
        buffer_printf(out, " %.*s", TEXT_ARG(m->plan->instances[note->agent].name));
}

static void put_version(const struct model *m, struct crowd_pair pair, struct buffer *out)
{
    struct version v = crowd_version(&m->crowd, pair);
    buffer_printf(out, " %.*s/%.*s", TEXT_ARG(intern_text(&m->plan->texts, v.code)),
                  TEXT_ARG(intern_text(&m->plan->texts, v.config)));
}

static void put_answer(const struct model *m, const struct note *note, struct buffer *out)
{
    static const char *const words[] = { [ANSWER_TAKEN] = "registered",
                                         [ANSWER_ORDER] = "order",
                                         [ANSWER_UNKNOWN] = "unknown",
                                         [ANSWER_BUSY] = "busy",
                                         [ANSWER_NONE] = "none" };
    buffer_printf(out, ": %s", words[note->status]);
    if (note->status != ANSWER_ORDER)
        return;
    put_version(m, note->version, out);
    buffer_printf(out, " generation %u.%u", note->number >> ORDER_TERM_SHIFT,
                  note->number & ORDER_GENERATION);
}

static void put_note(const struct model *m, const struct note *note, struct buffer *out)
{
    static const char *const words[] = {
        [NOTE_REGISTER] = "register",
        [NOTE_HEARTBEAT] = "heartbeat",
        [NOTE_TICK] = "tick",
        [NOTE_OPERATOR] = "operator",
        [NOTE_COMMIT] = "commit",
        [NOTE_REFUSED_COMMIT] = "commit refused, changes taken back",
        [NOTE_SERVER_DOWN] = "server dies",
        [NOTE_SERVER_UP] = "server is back",
        [NOTE_STORE_FAILED] = "a commit ends in doubt",
        [NOTE_ANSWER] = "answer",
        [NOTE_UNANSWERED] = "lost message of",
        [NOTE_FAULT] = "fault",
        [NOTE_FAULTS_END] = "faults end",
    };
    buffer_printf(out, "%9lld  %s", (long long)(note->at - MODEL_BEGIN_MS), words[note->kind]);
    put_agent(m, note, out);
    if (note->kind == NOTE_HEARTBEAT) {
        put_version(m, note->version, out);
        buffer_printf(out, " %s knows %u.%u", sm_word_at(&instance_machine.states, note->status),
                      note->number >> ORDER_TERM_SHIFT, note->number & ORDER_GENERATION);
    }
    if (note->kind == NOTE_ANSWER)
        put_answer(m, note, out);
    if (note->what)
        buffer_printf(out, " %s", note->what);
    if (note->kind == NOTE_OPERATOR && note->number)
        buffer_printf(out, " r-%u", note->number);
    if (note->code != ERR_NONE)
        buffer_printf(out, ": %s", err_word(note->code));
}

void model_note(struct model *m, const struct note *note)
{
    struct note *kept = &m->notes[m->note_count++ % MODEL_LAST];
    *kept = *note;
    kept->at = m->now;
    uint64_t what = (uint64_t)note->kind << 56 ^ (uint64_t)note->code << 40 ^
                    (uint64_t)note->agent << 8 ^ note->status;
    m->history = (m->history ^ what ^ note->number) * 0x9e3779b97f4a7c15u;
    if (!m->options.is_traced)
        return;
    struct buffer line;
    buffer_init(&line, &memory_heap, LINE_MAX * 4);
    put_note(m, kept, &line);
    model_tell(m, "%s", buffer_c_string(&line));
    buffer_release(&line);
}

void model_tell_last(const struct model *model, struct buffer *out)
{
    uint64_t first = model->note_count > MODEL_LAST ? model->note_count - MODEL_LAST : 0;
    for (uint64_t i = first; i < model->note_count; i++) {
        put_note(model, &model->notes[i % MODEL_LAST], out);
        buffer_add_byte(out, '\n');
    }
}

/* ---- what a command changed ----------------------------------------------------------------- */

static bool is_of_rollout(const struct change *change)
{
    return change->type >= CHANGE_ROLLOUT_CREATED;
}

static void tell_end(struct model *m, const struct rollout *r)
{
    const struct tally *t = rollout_tally(r);
    const char *cause = rollout_cause_word(r->cause), *outcome = rollout_outcome_word(r->outcome);
    model_tell(m, "r-%u %s (%s): %u of %u completed, %u failed", r->number,
               sm_word_at(&rollout_machine.states, r->state), cause ? cause : outcome, t->completed,
               t->total, t->failed);
}

/* A sentence of each change of a rollout, for people. */
static void tell_rollout(struct model *m, const struct change *change)
{
    const struct rollout *r = fleet_rollout(m->fleet, change->rollout);
    if (!r)
        return;
    if (change->type == CHANGE_ROLLOUT_COMPLETED || change->type == CHANGE_ROLLOUT_FAILED)
        tell_end(m, r);
    else if (change->type == CHANGE_ROLLBACK_STARTED)
        model_tell(m, "r-%u rolls back r-%u", r->number, r->rollback_of);
    else if (change->type != CHANGE_ROLLOUT_CREATED)
        model_tell(m, "%s r-%u: %u members", change_word(change->type), r->number,
                   rollout_tally(r)->total);
}

static void tell_change(struct model *m, const struct change *change)
{
    struct text name = TEXT_NONE;
    if (change->slot != FLEET_NONE && fleet_at(m->fleet, change->slot)->texts)
        name = instance_key(fleet_at(m->fleet, change->slot));
    model_tell(m, "           %s %.*s%s%.0u", change_word(change->type), TEXT_ARG(name),
               change->rollout ? " r-" : "", change->rollout);
}

void model_note_changes(struct model *m)
{
    const struct fleet *fleet = m->fleet;
    for (uint32_t i = 0; i < fleet->change_count; i++) {
        const struct change *change = &fleet->changes[i];
        m->history =
            (m->history ^ (uint64_t)change->type << 32 ^ change->rollout ^ change->index << 40) *
            0x9e3779b97f4a7c15u;
        if (m->options.is_traced)
            tell_change(m, change);
        if (m->options.told && is_of_rollout(change))
            tell_rollout(m, change);
    }
}

/* ---- the hash ------------------------------------------------------------------------------- */

#define HASHED_AT_ONCE 256u

/* All instances in order of their keys, which slots are not. */
static uint64_t hash_instances(const struct fleet *fleet, struct buffer *record, uint64_t hash)
{
    uint32_t slots[HASHED_AT_ONCE];
    uint32_t next = fleet_next(fleet, TEXT_NONE, true);
    while (next != FLEET_NONE) {
        uint32_t count = (uint32_t)fleet_list(fleet, next, slots, HASHED_AT_ONCE);
        for (uint32_t i = 0; i < count; i++) {
            fleet_prefetch(fleet, slots, i, count);
            buffer_clear(record);
            wire_store_instance(record, fleet, slots[i]);
            hash = text_hash(buffer_text(record), hash);
        }
        next = fleet_after(fleet, slots[count - 1]);
    }
    return hash;
}

uint64_t model_hash(const struct model *model)
{
    const struct fleet *fleet = model->fleet;
    struct buffer record;
    uint64_t hash = model->history ^ model->events;
    if (!fleet)
        return hash;
    buffer_init(&record, &memory_heap, (size_t)4 << 20);
    hash = hash_instances(fleet, &record, hash);
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        buffer_clear(&record);
        wire_store_rollout(&record, fleet, fleet->rollouts[i]);
        hash = text_hash(buffer_text(&record), hash);
    }
    buffer_release(&record);
    return hash ^ fleet->next_index << 20 ^ fleet->last_number;
}

bool model_check_all(struct model *model)
{
    struct err err = { .code = ERR_NONE };
    if (model->fleet && !model_is_broken(model) && !witness_all(&model->witness, &err))
        model_break(model, &err);
    return !model_is_broken(model);
}
