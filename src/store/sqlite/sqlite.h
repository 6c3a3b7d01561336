/* SPDX-License-Identifier: Apache-2.0
 * sqlite.h - the store port in one SQLite file, the default store.
 *
 * A commit is one appended row of the table `journal`: the encoded batch (batch.h), its CRC32C and
 * a chain over all rows before it. tend() folds settled rows into the readable table `kv`. The
 * rules behind it are R1 to R6 and R22 of doc/reliability.md; the layout of the file stands in
 * schema.c. People look with `sqlite3 'file:DIR/dides.db?mode=ro'` or at a backup, and never with a
 * second writer. */
#ifndef DIDES_STORE_SQLITE_H
#define DIDES_STORE_SQLITE_H

#include "port/store.h"

struct sqlite_formats;

/* Zeroes are the defaults. */
struct store_sqlite_options {
    uint64_t journal_max_bytes; /* more waiting to be folded slows commits down; 0: 64 MiB */
    uint64_t reserve_bytes;     /* of the disk, kept for batches that free room; 0: none */
    uint32_t max_pages;         /* PRAGMA max_page_count: a ceiling for the file; 0: none */
    const char *vfs;            /* name of an SQLite VFS, for tests; NULL: the default */
    bool eager; /* tend() folds, looks at the files and writes the log back at almost every call,
                 * instead of waiting for half a second, a minute and 16 MiB; for tests */
    const struct sqlite_formats *formats; /* of files, in place of the released ones; for tests */
};

/* Opens DIRECTORY/dides.db, which is created (0600, the directory 0700) when it is missing, checks
 * the journal and takes DIRECTORY/lock for the life of the store. `options` may be NULL. An older
 * format is brought to the present one in one transaction. A restore that was cut short after its
 * point of no return is finished first.
 * The store belongs to the process that opened it: using it after fork() is an assertion.
 * False, and an existing database is as it was: ERR_REFUSED (someone else has it open, or the file
 * is not ours), ERR_NOT_SUPPORTED (written by a newer dides), ERR_CORRUPT (damaged; the sentence
 * names the row), ERR_STORE (disk full), ERR_IO, ERR_MEMORY. */
bool store_sqlite_open(struct store_port *ret, const char *directory,
                       const struct store_sqlite_options *options, struct err *err);

/* What a whole, undamaged database says of itself. */
struct store_sqlite_facts {
    int64_t format;
    uint64_t term, rows, commits; /* rows: keys; commits: since the store was made */
    uint64_t file_bytes;
};
/* Reads a database file, a backup or the one of a stopped or running server, and checks all of it:
 * the CRC of every row, the chain of the journal, the digest. Writes nothing. Errors as of
 * store_sqlite_open(), and ERR_NOT_FOUND. */
bool store_sqlite_verify(const char *file, struct store_sqlite_facts *ret, struct err *err);

struct store_sqlite_restored {
    struct store_sqlite_facts facts; /* of what is in place now */
    char kept[4096];                 /* where the database that was there before is; "": none was */
    bool kept_is_unreadable; /* its term could not be read, so that the new one may not be higher */
};
/* Puts a verified copy of `file`, a backup, in the place of DIRECTORY/dides.db, under a term above
 * both. A database that is there already is ERR_REFUSED, unless `replaces`; then it is kept beside
 * it. After a crash the next start finds the old one or the new one. ERR_REFUSED also: the
 * directory is in use. */
bool store_sqlite_restore(const char *directory, const char *file, bool replaces,
                          struct store_sqlite_restored *ret, struct err *err);

/* Copies DIRECTORY/dides.db, of which no server is using the directory (ERR_REFUSED), over the
 * descriptor `to` of a new, empty file `path`. Nothing is changed, folded or migrated. */
bool store_sqlite_copy(const char *directory, const char *path, int to, struct err *err);

/* Makes the file `partial` (path + ".partial", say), which holds a backup, durable, verifies it and
 * gives it the name `path`. A file of that name is replaced at once, or, without `replaces`,
 * ERR_REFUSED. On failure `partial` is gone and `path` as it was. */
bool store_sqlite_keep(const char *partial, const char *path, bool replaces,
                       struct store_sqlite_facts *ret, struct err *err);

#endif
