/* SPDX-License-Identifier: Apache-2.0
 * verbs.c - what an operator may do to a rollout (spec of rollouts, table 4.3). A verb whose result
 * is already there succeeds and changes nothing. */
#include "core/admission.h"
#include "core/command.h"
#include "core/progress.h"

#include <assert.h>

const char *verb_word(enum verb verb)
{
    static const char *const words[] = {
#define VERB_WORD(id, word, meaning) [id] = word,
        VERBS(VERB_WORD)
#undef VERB_WORD
    };
    return verb < VERB_COUNT ? words[verb] : "?";
}

const char *verb_meaning(enum verb verb)
{
    static const char *const meanings[] = {
#define VERB_MEANING(id, word, meaning) [id] = meaning,
        VERBS(VERB_MEANING)
#undef VERB_MEANING
    };
    return verb < VERB_COUNT ? meanings[verb] : "?";
}

static const uint8_t events[VERB_COUNT] = {
    [VERB_PAUSE] = ROLLOUT_PAUSE,     [VERB_RESUME] = ROLLOUT_RESUME,
    [VERB_ABORT] = ROLLOUT_ABORT,     [VERB_RETRY] = ROLLOUT_RETRY,
    [VERB_PROMOTE] = ROLLOUT_PROMOTE, [VERB_ROLLBACK] = ROLLOUT_ROLLBACK,
};

/* Of an ended rollout: nothing moves its record, but a new one may follow from it. */
static bool allows_after_end(const struct rollout *r, enum verb verb)
{
    return verb == VERB_RETRY || (verb == VERB_ROLLBACK && r->rollback_of == 0);
}

uint32_t fleet_allowed_verbs(const struct fleet *fleet, const struct rollout *r)
{
    uint32_t allowed = 0;
    for (unsigned verb = 0; verb < VERB_COUNT; verb++) {
        bool is_allowed;
        if (!rollout_is_live(r))
            is_allowed = allows_after_end(r, verb);
        else if (verb == VERB_ROLLBACK && r->rollback_of != 0)
            is_allowed = false;
        else
            is_allowed = rollout_would_move(fleet, r, events[verb]);
        allowed |= is_allowed ? 1u << verb : 0;
    }
    return allowed;
}

static bool is_there_already(const struct rollout *r, enum verb verb)
{
    return verb == VERB_ABORT && r->state == ROLLOUT_FAILED && r->cause == ROLLOUT_CAUSE_ABORTED;
}

static bool refuse(const struct rollout *r, enum verb verb, struct err *err)
{
    const char *state = rollout_machine.states.list[r->state].word;
    if (verb == VERB_PROMOTE && r->state == ROLLOUT_RUNNING)
        return err_set(err, ERR_NOTHING_TO_PROMOTE, "r-%u waits for no soak, gate or hold",
                       r->number);
    if (verb == VERB_PROMOTE && r->state == ROLLOUT_PAUSED)
        return err_set(err, ERR_REFUSED, "r-%u is PAUSED: resume it first", r->number);
    if (verb == VERB_RETRY)
        return err_set(err, ERR_NOTHING_TO_RETRY, "no member of r-%u has failed", r->number);
    return err_set(err, ERR_REFUSED, "%s makes no sense for r-%u: it is %s", verb_word(verb),
                   r->number, state);
}

/* RETRY of a rollback is the rollback of the same source once more. */
static struct rollout *repeat(struct fleet *fleet, const struct rollout *r,
                              const struct verb_command *command, struct rollout **ret_other,
                              struct err *err)
{
    if (r->rollback_of == 0)
        return admission_retry(fleet, r, command->reason, ret_other, err);
    struct rollback_command again = { .number = r->rollback_of,
                                      .config = &r->config,
                                      .is_fast = r->is_fast,
                                      .reason = command->reason };
    uint32_t number = r->number;
    struct err why = { .code = ERR_NONE };
    struct rollout *created = fleet_rollback(fleet, &again, ret_other, &why);
    if (created)
        created->retry_of = number;
    else if (why.code == ERR_NO_ROLLBACK_TARGET)
        err_set(err, ERR_NOTHING_TO_RETRY, "r-%u left nothing of r-%u to be undone", number,
                again.number);
    else
        err_set(err, why.code, "%s", why.text);
    return created;
}

bool fleet_verb(struct fleet *fleet, struct rollout *r, const struct verb_command *command,
                struct rollout **ret, struct rollout **ret_other, struct err *err)
{
    assert(command->verb != VERB_ROLLBACK);
    if (is_there_already(r, command->verb)) {
        *ret = r;
        return true;
    }
    if (!rollout_is_live(r) && command->verb == VERB_RETRY) {
        struct rollout *again = repeat(fleet, r, command, ret_other, err);
        if (again)
            *ret = again;
        return again != NULL;
    }
    struct rollout_order order = { .finish_in_flight = command->finish_in_flight,
                                   .is_full = command->is_full,
                                   .cause = ROLLOUT_CAUSE_ABORTED,
                                   .reason = command->reason };
    struct err why = { .code = ERR_NONE };
    if (!rollout_step(fleet, r, events[command->verb], &order, &why)) {
        if (why.code == ERR_REFUSED)
            return refuse(r, command->verb, err);
        return err_set(err, why.code, "%s", why.text);
    }
    if (rollout_is_live(r))
        progress_evaluate(fleet, r, NULL); /* a verb decides, even where else only requests do */
    *ret = r;
    return true;
}

bool fleet_progress(struct fleet *fleet, struct rollout *r, struct err *err)
{
    return progress_evaluate(fleet, r, err);
}
