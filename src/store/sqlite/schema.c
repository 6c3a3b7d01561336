/* SPDX-License-Identifier: Apache-2.0
 * schema.c - the layout of the file, its identity and its format version.
 *
 *   kv       what is true up to the journal row that the meta row `folded` names
 *   journal  the batches after that (batch.h), each with its CRC32C and its chain (checksum.h)
 *   meta     `format`: as PRAGMA user_version; `folded`: seq and chain of the last folded row, rows
 *            and digest of kv; `term`: see port/store.h; `views`: which text the views were made
 *            from
 *
 * The tables change with the format version only (migrate.c). Views are no data: they are made anew
 * whenever their text below changes. */
#include "store/sqlite/inner.h"

#include "base/crc32c.h"

#include <inttypes.h>

#define APPLICATION_ID 0x64696465 /* "dide" */

static const char tables_sql[] =
    "CREATE TABLE kv(key TEXT PRIMARY KEY NOT NULL, value, crc INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE journal(seq INTEGER PRIMARY KEY, batch BLOB NOT NULL, crc INTEGER NOT NULL, "
    "chain INTEGER NOT NULL);"
    "CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value, crc INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 1684628581;"; /* APPLICATION_ID */

/* clang-format off */
/* The records of one kind, whose keys start with `prefix` and a slash; '0' follows '/' in ASCII. */
#define RECORDS(prefix) \
    " FROM kv WHERE key >= '" prefix "/' AND key < '" prefix "0' AND json_valid(value);"
/* One column: the member at `path`, or NULL. */
#define MEMBER(name, path) "json_extract(value, '$." path "') AS " name
/* The same for an instant, which records hold in ms since the epoch. */
#define INSTANT(name, path) \
    "strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(value, '$." path "') / 1000.0, 'unixepoch') AS " name

static const char views_sql[] =
    "DROP VIEW IF EXISTS instances; CREATE VIEW instances AS SELECT "
    "coalesce(json_extract(value, '$.name'), substr(key, 10)) AS name, "
    MEMBER("ip",                            "ip") ", "
    "CASE json_extract(value, '$.status') WHEN 0 THEN 'UNKNOWN' WHEN 1 THEN 'HEALTHY' "
    "WHEN 2 THEN 'DEGRADED' WHEN 3 THEN 'FAILED' ELSE json_extract(value, '$.status') END "
    "AS status, "
    MEMBER("online",                        "online") ", "
    MEMBER("code_version",                  "current_state.code_version") ", "
    MEMBER("configuration_version",         "current_state.configuration_version") ", "
    MEMBER("desired_code_version",          "desired_state.code_version") ", "
    MEMBER("desired_configuration_version", "desired_state.configuration_version") ", "
    MEMBER("generation",                    "generation") ", "
    MEMBER("rollout",                       "deployment_id") ", "
    MEMBER("update_state",                  "update_state") ", "
    MEMBER("attempt",                       "attempt") ", "
    MEMBER("cause",                         "cause") ", "
    MEMBER("message",                       "message") ", "
    INSTANT("deadline_at",                  "deadline_at") ", "
    INSTANT("registered_at",                "registered_at") ", "
    MEMBER("labels",                        "labels")
    RECORDS("instance")

    "DROP VIEW IF EXISTS rollouts; CREATE VIEW rollouts AS SELECT "
    "coalesce(json_extract(value, '$.id'), substr(key, 9)) AS id, "
    "coalesce(json_extract(value, '$.status_name'), json_extract(value, '$.status')) AS status, "
    MEMBER("outcome",               "outcome") ", "
    MEMBER("cause",                 "cause") ", "
    MEMBER("selector",              "selector") ", "
    MEMBER("code_version",          "request.code_version") ", "
    MEMBER("configuration_version", "request.configuration_version") ", "
    MEMBER("progress",              "progress") ", "
    MEMBER("created_by",            "created_by") ", "
    MEMBER("reason",                "reason") ", "
    INSTANT("created_at",           "created_at") ", "
    INSTANT("started_at",           "started_at") ", "
    INSTANT("ended_at",             "ended_at") ", "
    MEMBER("retry_of",              "retry_of") ", "
    MEMBER("rollback_of",           "rollback_of") ", "
    MEMBER("rolled_back_by",        "rolled_back_by") ", "
    MEMBER("generation",            "generation") ", "
    MEMBER("revision",              "revision")
    RECORDS("rollout")

    "DROP VIEW IF EXISTS events; CREATE VIEW events AS SELECT "
    "CAST(substr(key, 7) AS INTEGER) AS event_index, "
    MEMBER("time",       "time") ", "
    MEMBER("type",       "type") ", "
    MEMBER("rollout",    "deployment_id") ", "
    MEMBER("instance",   "instance") ", "
    MEMBER("actor",      "actor") ", "
    MEMBER("reason",     "reason") ", "
    MEMBER("old",        "old") ", "
    MEMBER("new",        "new") ", "
    "value AS event"
    RECORDS("event");
/* clang-format on */

static int read_number(struct store *s, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_ERROR : code;
}

bool sqlite_identity_read(struct store *s, struct sqlite_identity *ret, struct err *err)
{
    int code = read_number(s, "PRAGMA application_id", &ret->application);
    if (code == SQLITE_OK)
        code = read_number(s, "PRAGMA user_version", &ret->format);
    if (code == SQLITE_OK)
        code = read_number(s, "SELECT count(*) FROM sqlite_schema", &ret->objects);
    if (code == SQLITE_OK)
        return true;
    sqlite_fault(s, code, "reading the head of the database", err);
    return false;
}

bool sqlite_identity_check(struct store *s, const struct sqlite_identity *file, struct err *err)
{
    const struct sqlite_formats *formats = s->options.formats;
    const char *path = s->place.paths[PLACE_DATABASE];
    if (file->application != APPLICATION_ID)
        return err_set(err, ERR_REFUSED, "%s is not a database of dides", path);
    if (file->format > formats->newest)
        return err_set(err, ERR_NOT_SUPPORTED,
                       "%s has format %" PRId64 ", this dides (%s) knows formats up to %" PRId64
                       ": use a newer dides or a backup from before the upgrade",
                       path, file->format, DIDES_VERSION, formats->newest);
    if (file->format < 1)
        return sqlite_damage(s, err, "the database has no format version");
    if (file->format < formats->oldest)
        return err_set(err, ERR_NOT_SUPPORTED,
                       "%s has format %" PRId64 ", this dides (%s) knows formats from %" PRId64
                       ": let an older dides bring it forward first",
                       path, file->format, DIDES_VERSION, formats->oldest);
    return true;
}

/* How the connection behaves; nothing of it changes an existing database of ours. Checkpoints run
 * where their failure is seen (sqlite.c), never by themselves: SQLite would keep it secret. */
static bool configure(struct store *s, struct err *err)
{
    char ceiling[64];
    snprintf(ceiling, sizeof ceiling, "PRAGMA max_page_count = %" PRIu32,
             s->options.max_pages > 0 ? s->options.max_pages : 0xfffffffeu);
    int code = sqlite_exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                              "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;"
                              "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
                              "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;"
                              "PRAGMA secure_delete = OFF");
    if (code == SQLITE_OK)
        code = sqlite_exec(s, ceiling);
    int64_t is_wal = 0, synchronous = 0;
    if (code == SQLITE_OK)
        code = read_number(s, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_wal);
    if (code == SQLITE_OK)
        code = read_number(s, "PRAGMA synchronous", &synchronous);
    if (code != SQLITE_OK) {
        sqlite_fault(s, code, "configuring the database", err);
        return false;
    }
    if (!is_wal || synchronous != 2)
        return err_set(err, ERR_IO, "%s: this file system does not support a write-ahead log",
                       s->place.directory);
    return true;
}

static struct text views_version(char space[static SQLITE_META_SIZE])
{
    int size =
        snprintf(space, SQLITE_META_SIZE, "%" PRIu32, crc32c(0, views_sql, sizeof views_sql - 1));
    return (struct text){ space, (size_t)size };
}

static int make_views(struct store *s)
{
    char space[SQLITE_META_SIZE];
    int code = sqlite_exec(s, views_sql);
    return code == SQLITE_OK ? sqlite_meta_set(s, TEXT("views"), views_version(space)) : code;
}

int sqlite_format_save(struct store *s, int64_t format)
{
    char space[64];
    snprintf(space, sizeof space, "PRAGMA user_version = %" PRId64, format);
    int code = sqlite_exec(s, space);
    int size = snprintf(space, sizeof space, "%" PRId64, format);
    return code == SQLITE_OK
               ? sqlite_meta_set(s, TEXT("format"), (struct text){ space, (size_t)size })
               : code;
}

static int fill_new_file(struct store *s)
{
    int code = sqlite_exec(s, tables_sql);
    if (code == SQLITE_OK)
        code = sqlite_prepare_all(s);
    if (code == SQLITE_OK)
        code = sqlite_format_save(s, s->options.formats->newest);
    if (code == SQLITE_OK)
        code = sqlite_term_save(s, 1);
    if (code == SQLITE_OK)
        code = sqlite_mark_save(s, &s->folded);
    return code == SQLITE_OK ? make_views(s) : code;
}

/* Runs `change` as one transaction. */
static int in_transaction(struct store *s, int (*change)(struct store *s))
{
    int code = sqlite_exec(s, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        code = change(s);
    if (code == SQLITE_OK)
        code = sqlite_exec(s, "COMMIT");
    if (code != SQLITE_OK)
        sqlite_rollback(s);
    return code;
}

static bool create(struct store *s, struct err *err)
{
    int code = in_transaction(s, fill_new_file);
    if (code == SQLITE_OK)
        return true;
    sqlite_fault(s, code, "creating the database", err);
    return false;
}

/* Older or newer texts of the views are replaced; on a full disk they stay as they are. */
static bool refresh_views(struct store *s, struct err *err)
{
    char stored[SQLITE_META_SIZE], current[SQLITE_META_SIZE];
    struct text value;
    if (!sqlite_meta_get(s, TEXT("views"), stored, &value, err))
        return false;
    if (text_equal(value, views_version(current)))
        return true;
    int code = in_transaction(s, make_views);
    return code == SQLITE_OK || sqlite_fault(s, code, "replacing the views", err) == STORE_RETRY;
}

static bool check_format(struct store *s, int64_t format, struct err *err)
{
    char space[SQLITE_META_SIZE];
    struct text value;
    uint64_t number;
    if (!sqlite_meta_get(s, TEXT("format"), space, &value, err))
        return false;
    return (text_to_u64(value, INT64_MAX, &number) && number == (uint64_t)format) ||
           sqlite_damage(s, err, "the two format versions in the file differ");
}

bool sqlite_schema_read(struct store *s, int64_t format, struct err *err)
{
    int code = sqlite_prepare_all(s);
    if ((code & 0xff) == SQLITE_ERROR)
        return sqlite_damage(s, err, "a table is missing or not as it should be");
    if (code != SQLITE_OK) {
        sqlite_fault(s, code, "reading the tables", err);
        return false;
    }
    return check_format(s, format, err) && sqlite_meta_check(s, err);
}

static bool open_existing(struct store *s, int64_t format, struct err *err)
{
    int64_t newest = s->options.formats->newest;
    if (format < newest && !sqlite_migrate(s, format, err))
        return false;
    return sqlite_schema_read(s, newest, err) && refresh_views(s, err);
}

bool sqlite_schema_open(struct store *s, struct err *err)
{
    struct sqlite_identity file;
    if (!sqlite_identity_read(s, &file, err))
        return false;
    bool is_new = file.application == 0 && file.format == 0 && file.objects == 0;
    if (!is_new && !sqlite_identity_check(s, &file, err))
        return false;
    if (!configure(s, err))
        return false;
    return is_new ? create(s, err) : open_existing(s, file.format, err);
}
