/* SPDX-License-Identifier: Apache-2.0
 * migrate.c - from every format that was ever released to the present one, step by step. Records
 * are JSON whose members come and go without a new format; a format is what schema.c lays out.
 *
 * To add format n + 1: write a step here, raise `newest`, change the tables in schema.c, and make a
 * fixture of format n first (tool/fixture). */
#include "store/sqlite/inner.h"

#include <assert.h>

/* Format 1 is the first one. */
const struct sqlite_formats sqlite_formats = { .newest = 1, .oldest = 1, .steps = NULL };

/* The steps prepare what they need; statements of the present format come after them, except those
 * on the table meta, which every format has. */
static int run_steps(struct store *s, int64_t from)
{
    const struct sqlite_formats *formats = s->options.formats;
    int code = SQLITE_OK;
    for (int64_t format = from; code == SQLITE_OK && format < formats->newest; format++)
        code = formats->steps[format - formats->oldest](s);
    return code;
}

static int migrate(struct store *s, int64_t from)
{
    int code = sqlite_exec(s, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        code = run_steps(s, from);
    if (code == SQLITE_OK)
        code = sqlite_prepare_all(s);
    if (code == SQLITE_OK)
        code = sqlite_format_save(s, s->options.formats->newest);
    sqlite_finalize_all(s);
    if (code == SQLITE_OK)
        code = sqlite_exec(s, "COMMIT");
    if (code != SQLITE_OK)
        sqlite_rollback(s);
    return code;
}

bool sqlite_migrate(struct store *s, int64_t from, struct err *err)
{
    assert(from >= s->options.formats->oldest && from < s->options.formats->newest);
    int code = migrate(s, from);
    if (code == SQLITE_OK)
        return true;
    struct err why = { 0 };
    sqlite_fault(s, code, "migrating the database", &why);
    err_prefix(&why, "the database still has format %lld", (long long)from);
    if (err)
        *err = why;
    return false;
}
