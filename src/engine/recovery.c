/* SPDX-License-Identifier: Apache-2.0
 * recovery.c - copies of the store, and noticing that the store itself is an old copy. */
#include "engine/engine_parts.h"

#include <assert.h>
#include <inttypes.h>

/* ---- backups -------------------------------------------------------------------------------- */

bool engine_backup(struct engine *e, struct engine_backup *backup, struct err *err)
{
    if (e->recovery.backup)
        return err_set(err, ERR_UNAVAILABLE, "a backup is being made already");
    if (e->is_dead)
        return err_set(err, ERR_UNAVAILABLE, "the server is ending");
    e->recovery.backup = backup;
    backup->job = (struct commit_job){ .kind = JOB_BACKUP, .ctx = backup, .file = -1 };
    committer_submit(e->committer, &backup->job);
    return true;
}

void engine_backup_cancel(struct engine *e, struct engine_backup *backup)
{
    assert(e->recovery.backup == backup);
    committer_cancel_backup(e->committer, &backup->job);
}

/* ---- orders that this store does not know --------------------------------------------------- */

uint64_t engine_term(const struct engine *e)
{
    return e->recovery.term;
}

bool engine_is_held(const struct engine *e)
{
    return e->recovery.is_held;
}

static void log_held(const struct engine *e, const struct instance *inst, uint64_t term,
                     uint32_t generation)
{
    char seen[48], known[48];
    snprintf(seen, sizeof seen, "%" PRIu64 ".%u", term, generation);
    snprintf(known, sizeof known, "%" PRIu64 ".%u", e->recovery.term, inst->generation);
    struct log_field fields[] = { { "instance", instance_key(inst) },
                                  { "seen", text_from(seen) },
                                  { "known", text_from(known) },
                                  { NULL, TEXT_NONE } };
    e->log.write(e->log.self, LOG_ERROR_,
                 "an agent knows a newer order than this server ever gave: the database is an old "
                 "copy. Nothing is steered until dides confirm, or a restore of the right backup",
                 fields);
}

void engine_heed_observed(struct engine *e, uint32_t slot, uint64_t term, uint32_t generation)
{
    struct recovery *r = &e->recovery;
    const struct instance *inst = fleet_at(&e->fleet, slot);
    /* Who was registered since, counts from the beginning again, and its agent may not know yet. */
    bool is_loaded = inst->registered_at < r->loaded_at;
    bool is_newer = term > r->term || (term == r->term && generation > inst->generation);
    if (!is_newer || !is_loaded)
        return;
    if (term > r->term_seen)
        r->term_seen = term;
    if (r->is_held || r->is_confirmed)
        return;
    r->is_held = e->fleet.is_held = true;
    log_held(e, inst, term, generation);
}

/* ---- going on all the same ------------------------------------------------------------------ */

bool engine_confirm(struct engine *e, struct engine_confirm *confirm, struct err *err)
{
    struct recovery *r = &e->recovery;
    if (!r->is_held)
        return err_set(err, ERR_REFUSED,
                       "there is nothing to confirm: no agent knows more than "
                       "this server does");
    if (r->confirm)
        return err_set(err, ERR_REFUSED, "it is being confirmed already");
    uint64_t newest = r->term_seen > r->term ? r->term_seen : r->term;
    if (newest >= STORE_TERM_MAX)
        return err_set(err, ERR_REFUSED, "an agent reported the last term that there is");
    r->confirm = confirm;
    r->job = (struct commit_job){ .kind = JOB_TERM, .term = newest + 1, .ctx = e };
    committer_submit(e->committer, &r->job);
    return true;
}

static void log_confirmed(const struct engine *e)
{
    char term[24];
    snprintf(term, sizeof term, "%" PRIu64, e->recovery.term);
    struct log_field fields[] = { { "term", text_from(term) }, { NULL, TEXT_NONE } };
    e->log.write(e->log.self, LOG_WARNING_,
                 "an operator confirmed this database: orders count from here under a new term",
                 fields);
}

static enum engine_outcome take_term(struct engine *e)
{
    struct recovery *r = &e->recovery;
    switch (r->job.result) {
    case STORE_DURABLE:
        r->term = r->job.term;
        r->is_held = e->fleet.is_held = false;
        r->is_confirmed = true;
        log_confirmed(e);
        return ENGINE_DURABLE;
    case STORE_RETRY: engine_log_error(e, "the term was not raised", &r->job.err); break;
    case STORE_UNKNOWN: return ENGINE_UNKNOWN;
    }
    return ENGINE_DROPPED;
}

void recovery_finish(struct engine *e, struct commit_job *job)
{
    struct recovery *r = &e->recovery;
    if (job->kind == JOB_BACKUP) {
        struct engine_backup *backup = job->ctx;
        r->backup = NULL;
        backup->done(backup);
        return;
    }
    struct engine_confirm *confirm = r->confirm;
    r->confirm = NULL;
    enum engine_outcome outcome = take_term(e);
    confirm->done(confirm, outcome);
    if (outcome == ENGINE_UNKNOWN && !e->is_dead)
        engine_die(e, &job->err);
}

void recovery_stop(struct engine *e)
{
    if (e->recovery.backup)
        engine_backup_cancel(e, e->recovery.backup);
}
