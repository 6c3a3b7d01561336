/* SPDX-License-Identifier: Apache-2.0
 * plan_faults.c - the faults of a plan: shares and ranges of the document, read. */
#include "sim/plan_parts.h"

struct fault_share {
    const char *place;
    struct text text;
    uint32_t *share;
};

static bool read_shares(const struct faults_document *d, struct faults *f, struct err *err)
{
    const struct fault_share rows[] = {
        { "/faults/loss", d->loss, &f->loss },
        { "/faults/duplicate", d->duplicate, &f->duplicate },
        { "/faults/commit/fail", d->commit.fail, &f->commit_fail },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!rows[i].text.data || plan_parse_share(rows[i].text, rows[i].share, err))
            continue;
        err_prefix(err, "%s", rows[i].place);
        return false;
    }
    /* With nothing ever arriving, or durable, there is nothing to look at. */
    if (f->loss == SHARE_WHOLE || f->commit_fail == SHARE_WHOLE)
        return plan_fail(f->loss == SHARE_WHOLE ? rows[0].place : rows[2].place, ERR_INVALID, err,
                         "100% leaves nothing to simulate");
    return true;
}

struct fault_range {
    const char *place;
    struct text text;
    int64_t *min_ms, *max_ms;
};

static bool read_ranges(const struct faults_document *d, struct faults *f, struct err *err)
{
    const struct fault_range rows[] = {
        { "/faults/delay", d->delay, &f->delay_min_ms, &f->delay_max_ms },
        { "/faults/crash/down", d->crash.down, &f->crash.down_min_ms, &f->crash.down_max_ms },
        { "/faults/restart/down", d->restart.down, &f->restart.down_min_ms,
          &f->restart.down_max_ms },
        { "/faults/commit/takes", d->commit.takes, &f->commit_min_ms, &f->commit_max_ms },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!rows[i].text.data ||
            plan_parse_range(rows[i].text, rows[i].min_ms, rows[i].max_ms, err))
            continue;
        err_prefix(err, "%s", rows[i].place);
        return false;
    }
    return true;
}

static bool read_silence(const struct silence_document *d, uint32_t index,
                         struct fault_silence *ret, struct err *err)
{
    char place[48];
    snprintf(place, sizeof place, "/faults/silence/%u", (unsigned)index);
    struct fault_silence s = { .from_ms = d->from_ms, .until_ms = d->until_ms };
    if (!plan_parse_share(d->share, &s.share, err)) {
        err_prefix(err, "%s/share", place);
        return false;
    }
    if (s.from_ms >= s.until_ms)
        return plan_fail(place, ERR_INVALID, err, "ends before it begins");
    *ret = s;
    return true;
}

bool plan_read_faults(struct plan *plan, const struct faults_document *document, struct err *err)
{
    struct faults *f = &plan->faults;
    *f = (struct faults){ .until_ms = document->until_ms };
    f->crash.every_ms = document->crash.every_ms;
    f->silent.every_ms = document->silent.every_ms;
    f->restart.every_ms = document->restart.every_ms;
    for (uint32_t i = 0; i < document->silence_count; i++)
        if (!read_silence(&document->silence[i], i, &f->silences[f->silence_count++], err))
            return false;
    return read_shares(document, f, err) && read_ranges(document, f, err);
}
