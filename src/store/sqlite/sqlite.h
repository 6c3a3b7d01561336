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

/* Zeroes are the defaults. */
struct store_sqlite_options {
    uint64_t journal_max_bytes; /* more waiting to be folded slows commits down; 0: 64 MiB */
    uint32_t max_pages;         /* PRAGMA max_page_count: a ceiling for the file; 0: none */
    const char *vfs;            /* name of an SQLite VFS, for tests; NULL: the default */
    bool eager; /* tend() folds, looks at the files and writes the log back at almost every call,
                 * instead of waiting for half a second, a minute and 16 MiB; for tests */
};

/* Opens DIRECTORY/dides.db, which is created (0600, the directory 0700) when it is missing, checks
 * the journal and takes DIRECTORY/lock for the life of the store. `options` may be NULL.
 * The store belongs to the process that opened it: using it after fork() is an assertion.
 * False, and an existing database is as it was: ERR_REFUSED (someone else has it open, or the file
 * is not ours), ERR_NOT_SUPPORTED (written by a newer dides), ERR_CORRUPT (damaged; the sentence
 * names the row), ERR_STORE (disk full), ERR_IO, ERR_MEMORY. */
bool store_sqlite_open(struct store_port *ret, const char *directory,
                       const struct store_sqlite_options *options, struct err *err);

#endif
