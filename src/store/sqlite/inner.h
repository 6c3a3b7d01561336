/* SPDX-License-Identifier: Apache-2.0
 * inner.h - what the files of this folder share: the store, its statements, and how an SQLite
 * result becomes a store result. */
#ifndef DIDES_STORE_SQLITE_INNER_H
#define DIDES_STORE_SQLITE_INNER_H

#include "base/buffer.h"
#include "store/sqlite/place.h"
#include "store/sqlite/sqlite.h"

#include <sqlite3.h>
#include <sys/types.h>

/* Prepared once and kept. Ranges have two forms so that both ends are found through the index. */
/* clang-format off */
#define SQLITE_STATEMENTS(X)                                                                        \
    X(SQL_BEGIN,      "BEGIN IMMEDIATE")                                                            \
    X(SQL_COMMIT,     "COMMIT")                                                                     \
    X(SQL_APPEND,     "INSERT INTO journal(seq, batch, crc, chain) VALUES(?1, ?2, ?3, ?4)")         \
    X(SQL_JOURNAL,    "SELECT seq, batch, crc, chain FROM journal ORDER BY seq")                    \
    X(SQL_TRIM,       "DELETE FROM journal WHERE seq <= ?1")                                        \
    X(SQL_CRCS,       "SELECT key, crc FROM kv WHERE key >= ?1 ORDER BY key")                       \
    X(SQL_INSERT,     "INSERT INTO kv(key, value, crc) VALUES(?1, ?2, ?3)")                         \
    X(SQL_UPDATE,     "UPDATE kv SET value = ?2, crc = ?3 WHERE key = ?1")                          \
    X(SQL_DELETE,     "DELETE FROM kv WHERE key = ?1")                                              \
    X(SQL_FROM,       "SELECT key, value, crc FROM kv WHERE key >= ?1 ORDER BY key")                \
    X(SQL_FROM_TO,    "SELECT key, value, crc FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key")   \
    X(SQL_SET_META,   "INSERT OR REPLACE INTO meta(name, value, crc) VALUES(?1, ?2, ?3)")           \
    X(SQL_GET_META,   "SELECT value, crc FROM meta WHERE name = ?1")                                \
    X(SQL_ALL_META,   "SELECT name, value, crc FROM meta ORDER BY name")                            \
    X(SQL_FREE_PAGES, "PRAGMA freelist_count")                                                      \
    X(SQL_ALL_PAGES,  "PRAGMA page_count")
/* clang-format on */

enum sqlite_statement {
#define SQLITE_STATEMENT_ITEM(id, text) id,
    SQLITE_STATEMENTS(SQLITE_STATEMENT_ITEM)
#undef SQLITE_STATEMENT_ITEM
        SQL_COUNT
};

/* What kv holds: the journal up to and including `seq`, as `rows` rows with this digest. Of a key
 * that journal rows after `seq` change too it may hold a newer value, or have lost it already: who
 * reads both tables together never sees the difference. Kept in the meta row `folded`, which
 * changes in the same transaction as kv. */
struct sqlite_mark {
    uint64_t seq, chain, rows, digest;
};

/* A copy that is being made. */
struct sqlite_backup {
    sqlite3 *to;
    sqlite3_backup *work; /* NULL: none is under way */
    int file;             /* our own descriptor of the copy, or -1 */
    uint64_t copied;      /* pages, those included that had to be copied again */
    uint64_t pushed;      /* pages that the kernel was asked to write out */
    char path[PATH_MAX];
};

/* See reserve.c. */
struct sqlite_reserve {
    int file;          /* or -1: there is none */
    bool is_given;     /* the file is empty: its room was given to the database */
    bool is_short;     /* and nothing has come back yet: only what frees room is admitted */
    bool is_tight;     /* little room is left on the disk: the log is kept short */
    int64_t looked_ms; /* monotonic */
};

#define SQLITE_PAGE_BYTES 4096

struct sqlite_fold; /* under way; see fold.c */

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    struct store_sqlite_options options; /* with the defaults filled in */
    struct sqlite_place place;
    pid_t owner;

    struct sqlite_mark folded;
    uint64_t seq, chain;        /* of the last durable journal row */
    uint64_t pending_bytes;     /* of the batches after folded.seq */
    int wal_pages;              /* in the write-ahead log since it was last emptied */
    struct buffer encoded;      /* the batch being appended */
    struct sqlite_fold *fold;   /* NULL: none is under way */
    size_t slice_bytes;         /* how much one step of it takes; follows the speed of the disk */
    int64_t pending_since_ms;   /* monotonic: when the oldest unfolded row came; 0: none waits */
    int64_t full_since_ms;      /* monotonic: when folding last met a full disk; 0: it did not */
    int64_t looked_at_files_ms; /* monotonic */

    uint64_t term;
    struct sqlite_backup backup;
    struct sqlite_reserve reserve;

    bool is_fatal; /* answered UNKNOWN; the connection is never written to again */
    struct err why_fatal;
    struct store_stats stats;
};

/* fault.c */
enum store_result sqlite_result_of(int code);
/* Tells *err what failed while `doing`, and makes the store fatal unless the code is harmless. */
enum store_result sqlite_fault(struct store *s, int code, const char *doing, struct err *err);
/* The same for damage that SQLite did not see. Always returns false. */
__attribute__((format(printf, 3, 4))) bool sqlite_damage(struct store *s, struct err *err,
                                                         const char *format, ...);
/* A reason that is neither (the file is gone); makes the store fatal. */
__attribute__((format(printf, 2, 3))) void sqlite_stop(struct store *s, const char *format, ...);
/* Copies the reason of a fatal store. Always returns false. */
bool sqlite_refuse(const struct store *s, struct err *err);

/* statement.c: all return SQLite result codes, SQLITE_OK for success */
int sqlite_prepare_all(struct store *s);
void sqlite_finalize_all(struct store *s);
sqlite3_stmt *sqlite_statement(struct store *s, enum sqlite_statement which);
int sqlite_bind_key(sqlite3_stmt *statement, int index, struct text key);
int sqlite_bind_value(sqlite3_stmt *statement, int index, struct text value);
int sqlite_run(sqlite3_stmt *statement); /* to its end, which must come at once; resets it */
struct text sqlite_column(sqlite3_stmt *statement, int column); /* bytes of a text or blob */
int sqlite_exec(struct store *s, const char *sql);
void sqlite_rollback(struct store *s); /* of a transaction that is open; a failure is fatal */

/* journal.c */
struct sqlite_journal_row {
    uint64_t seq, chain;
    struct text batch;
    uint32_t ops;
};
typedef bool sqlite_journal_visit_fn(void *ctx, const struct sqlite_journal_row *row);
/* Walks the rows that are not folded, in order, and checks each: CRC, chain, no gap. The visitor's
 * false ends the walk with true. */
bool sqlite_journal_walk(struct store *s, sqlite_journal_visit_fn *visit, void *ctx,
                         struct err *err);
/* Checks the journal and finds its end. */
bool sqlite_journal_open(struct store *s, struct err *err);
enum store_result sqlite_journal_append(struct store *s, const struct store_batch *batch,
                                        struct err *err);

/* fold.c */
/* One transaction: moves about `bytes` from journal to kv, in order of keys. The rows they come
 * from are deleted by the step that moves the last of them. RETRY: the disk is full or there is no
 * memory, and nothing changed. */
enum store_result sqlite_fold_step(struct store *s, size_t bytes, struct err *err);
/* Folds everything that waits. */
enum store_result sqlite_fold_all(struct store *s, struct err *err);
/* Forgets how far folding was; what was moved stays moved. */
void sqlite_fold_end(struct store *s);

/* meta.c: rows of the table meta, each with its CRC */
#define SQLITE_META_SIZE 160 /* longest value */
int sqlite_meta_set(struct store *s, struct text name, struct text value);
/* The value of `name`, copied to `space`. False: *err says that it is missing, damaged or unread.
 */
bool sqlite_meta_get(struct store *s, struct text name, char space[static SQLITE_META_SIZE],
                     struct text *ret, struct err *err);
bool sqlite_mark_load(struct store *s, struct err *err);
int sqlite_mark_save(struct store *s, const struct sqlite_mark *mark);
/* Checks every row, those of unknown names included: a name that was damaged must not look like a
 * row that never was. */
bool sqlite_meta_check(struct store *s, struct err *err);
/* The term is 1 in a file that says nothing of it. */
bool sqlite_term_load(struct store *s, struct err *err);
int sqlite_term_save(struct store *s, uint64_t term);

/* schema.c */
struct sqlite_identity {
    int64_t application, format, objects;
};
bool sqlite_identity_read(struct store *s, struct sqlite_identity *ret, struct err *err);
/* False: not a database of dides (ERR_REFUSED), or of a newer one (ERR_NOT_SUPPORTED), or damaged.
 */
bool sqlite_identity_check(struct store *s, const struct sqlite_identity *file, struct err *err);
/* Creates the tables in an empty file, or checks that the file is ours and of a known format before
 * anything is written to it. Prepares the statements. */
bool sqlite_schema_open(struct store *s, struct err *err);
/* Prepares the statements for an existing file and checks what it says of itself. */
bool sqlite_schema_read(struct store *s, int64_t format, struct err *err);
/* Writes the format version to its two places. */
int sqlite_format_save(struct store *s, int64_t format);

/* check.c */
/* Opens place.paths[PLACE_DATABASE] for reading, and one state of it. */
bool sqlite_check_open(struct store *s, struct err *err);

/* scan.c */
bool sqlite_scan(struct store *s, struct text first, struct text end, size_t limit,
                 store_visit_fn *visit, void *ctx, struct err *err);
/* The same, and writes nothing: what waits in the journal stays there. */
bool sqlite_scan_as_is(struct store *s, struct text first, struct text end, size_t limit,
                       store_visit_fn *visit, void *ctx, struct err *err);

/* backup.c */
bool sqlite_backup_begin(struct store *s, struct err *err);
/* Copies some pages. */
enum store_backup sqlite_backup_step(struct store *s, int *ret_file, struct err *err);
/* Notes in the head of a copy that it has no log beside it. */
bool sqlite_backup_mark_plain(int file, struct err *err);
/* Gives up what is under way, if anything. */
void sqlite_backup_end(struct store *s);

/* reserve.c */
/* Makes the file, unless it is there; without room for it the store begins as one on a full disk.
 */
void sqlite_reserve_open(struct store *s);
void sqlite_reserve_close(struct store *s); /* the file stays */
/* Makes it again, if it was given up and there is room now. */
void sqlite_reserve_tend(struct store *s, int64_t now);
/* Counts anew whether there is room. */
void sqlite_reserve_look(struct store *s);
/* False: *err says that the batch has to wait. */
bool sqlite_reserve_admits(const struct store *s, const struct store_batch *batch, struct err *err);
/* After a full disk: gives it up if it is there, and what the log takes. False: there was nothing
 * to give. */
bool sqlite_reserve_give(struct store *s);
/* Everything in the write-ahead log goes to the database, and its room back to the disk. False:
 * there was nothing in it, or there is no room for that. */
bool sqlite_reserve_empty_log(struct store *s);

/* migrate.c */
/* The step at i leads from format first + i to the next one; it runs inside a transaction and
 * returns an SQLite result code. */
typedef int sqlite_step_fn(struct store *s);
struct sqlite_formats {
    int64_t newest;               /* of the files that this dides writes */
    int64_t oldest;               /* that it can read */
    sqlite_step_fn *const *steps; /* newest - oldest of them */
};
/* What is released; tests may put another table in its place. */
extern const struct sqlite_formats sqlite_formats;
/* Brings the file from format `from` to the newest in one transaction. False: it is as it was. */
bool sqlite_migrate(struct store *s, int64_t from, struct err *err);

#endif
