/* SPDX-License-Identifier: Apache-2.0
 * sighting.c - see sighting.h. */
#include "sim/sighting.h"

uint32_t sighting_number(struct text id)
{
    uint64_t number = 0;
    if (!text_starts_with(id, TEXT("r-")) || !text_to_u64(text_skip(id, 2), UINT32_MAX, &number))
        return 0;
    return (uint32_t)number;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void copy(char *space, size_t size, struct text t)
{
    size_t count = t.size < size - 1 ? t.size : size - 1;
    if (count > 0)
        memcpy(space, t.data, count);
    space[count] = '\0';
}

#define COPY(space, node, path) copy(space, sizeof(space), json_get_text(node, path, TEXT_NONE))

static uint32_t number_at(const struct json_node *record, const char *key)
{
    return sighting_number(json_get_text(record, key, TEXT_NONE));
}

/* 10 or "25%"; `otherwise` for anything else. */
static struct amount amount_at(const struct json_node *record, const char *path)
{
    struct amount amount = { .value = 1 };
    uint32_t percent = 0;
    int64_t count = json_get_i64(record, path, 0);
    if (count > 0 && count <= UINT32_MAX)
        amount.value = (uint32_t)count;
    else if (parse_percent(json_get_text(record, path, TEXT_NONE), &percent, NULL))
        amount = (struct amount){ percent, true };
    return amount;
}

static void read_waiting(const struct json_node *record, struct sighting *s)
{
    const struct json_node *first = json_first(json_member(record, "waiting"));
    struct text reason = json_get_text(first, "reason", TEXT_NONE);
    struct text message = json_get_text(first, "message", TEXT_NONE);
    if (reason.size > 0)
        snprintf(s->waiting, sizeof s->waiting, "%.*s: %.*s", TEXT_ARG(reason), TEXT_ARG(message));
}

struct counter {
    const char *path;
    int64_t *count;
};

static bool read_counters(const struct json_node *record, struct sighting *s, struct err *err)
{
    const struct counter counters[] = {
        { "progress.total_instances", &s->total },
        { "progress.pending_instances", &s->pending },
        { "progress.in_progress_instances", &s->in_progress },
        { "progress.completed_instances", &s->completed },
        { "progress.already_current_instances", &s->already_current },
        { "progress.failed_instances", &s->failed },
        { "progress.offline_instances", &s->offline },
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        *counters[i].count = json_get_i64(record, counters[i].path, -1);
        if (*counters[i].count < 0)
            return err_set(err, ERR_INVALID, "r-%u has no count %s", (unsigned)s->number,
                           counters[i].path);
    }
    return true;
}

bool sighting_read(const struct json_node *record, struct sighting *ret, struct err *err)
{
    struct sighting s = { .number = number_at(record, "id") };
    if (s.number == 0)
        return err_set(err, ERR_INVALID, "an answer about rollouts has a record without an id");
    COPY(s.status, record, "status_name");
    COPY(s.outcome, record, "outcome");
    COPY(s.cause, record, "cause");
    COPY(s.code, record, "request.code_version");
    COPY(s.config, record, "request.configuration_version");
    s.is_live = strcmp(s.status, "COMPLETED") != 0 && strcmp(s.status, "FAILED") != 0;
    s.rollback_of = number_at(record, "rollback_of");
    s.rolled_back_by = number_at(record, "rolled_back_by");
    s.restores = number_at(record, "restores");
    s.retry_of = number_at(record, "retry_of");
    s.batch = amount_at(record, "request.configuration.batch_size");
    s.threshold = amount_at(record, "request.configuration.failure_threshold");
    s.revision = (uint64_t)json_get_i64(record, "revision", 0);
    s.created_at = json_get_time(record, "created_at", 0);
    s.ended_at = json_get_time(record, "ended_at", 0);
    read_waiting(record, &s);
    if (!read_counters(record, &s, err))
        return false;
    *ret = s;
    return true;
}

/* ---- checking ------------------------------------------------------------------------------- */

static bool check_sum(const struct sighting *s, struct err *err)
{
    if (s->pending + s->in_progress + s->completed + s->failed != s->total)
        return err_set(err, ERR_CORRUPT,
                       "I1: r-%u counts %lld pending, %lld in progress, %lld completed and %lld "
                       "failed, but %lld in all",
                       (unsigned)s->number, (long long)s->pending, (long long)s->in_progress,
                       (long long)s->completed, (long long)s->failed, (long long)s->total);
    if (s->already_current > s->completed || s->offline > s->total)
        return err_set(err, ERR_CORRUPT, "I1: r-%u counts a part larger than its whole",
                       (unsigned)s->number);
    return true;
}

/* A rollback may inherit more than its limit. A fleet that shrinks under a percentage may leave
 * more in flight than the new limit, so the larger total of the two looks counts. */
static bool check_batch(const struct sighting *now, const struct sighting *before, struct err *err)
{
    int64_t total = before && before->total > now->total ? before->total : now->total;
    uint32_t limit = amount_down(now->batch, total < UINT32_MAX ? (uint32_t)total : UINT32_MAX);
    if (now->rollback_of == 0 && now->in_progress > limit)
        return err_set(err, ERR_CORRUPT, "I2: r-%u has %lld in progress, more than its limit of %u",
                       (unsigned)now->number, (long long)now->in_progress, (unsigned)limit);
    return true;
}

static bool check_end(const struct sighting *s, struct err *err)
{
    bool is_completed = strcmp(s->status, "COMPLETED") == 0;
    if (s->is_live != (s->ended_at == 0))
        return err_set(err, ERR_CORRUPT, "r-%u is %s and has %s", (unsigned)s->number, s->status,
                       s->ended_at ? "ended" : "no end");
    if (is_completed && strcmp(s->outcome, "full") == 0 && s->completed != s->total)
        return err_set(err, ERR_CORRUPT,
                       "r-%u is completed in full with %lld of %lld instances completed",
                       (unsigned)s->number, (long long)s->completed, (long long)s->total);
    return true;
}

static bool is_same_end(const struct sighting *a, const struct sighting *b)
{
    return strcmp(a->status, b->status) == 0 && strcmp(a->outcome, b->outcome) == 0 &&
           strcmp(a->cause, b->cause) == 0 && a->ended_at == b->ended_at && a->total == b->total &&
           a->completed == b->completed && a->failed == b->failed && a->pending == b->pending &&
           a->in_progress == b->in_progress;
}

bool sighting_check(const struct sighting *now, const struct sighting *before, struct err *err)
{
    if (!check_sum(now, err) || !check_batch(now, before, err) || !check_end(now, err))
        return false;
    if (before && !before->is_live && !is_same_end(before, now))
        return err_set(err, ERR_CORRUPT, "I5: r-%u changed after it had ended",
                       (unsigned)now->number);
    return true;
}
