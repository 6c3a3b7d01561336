/* SPDX-License-Identifier: Apache-2.0
 * place.h - the directory of the database and what SQLite does not see to: modes, the lock file,
 * flushed directories, and whether the files are still where they were. */
#ifndef DIDES_STORE_SQLITE_PLACE_H
#define DIDES_STORE_SQLITE_PLACE_H

#include "base/err.h"

#include <limits.h>
#include <sys/stat.h>

enum { PLACE_DATABASE, PLACE_WAL, PLACE_LOCK, PLACE_FILES };
/* Files that are there for a while: a copy being made for a backup, one being made by a restore,
 * and one that is complete and whose place is that of the database (restore.c). */
enum place_scratch { PLACE_BACKUP, PLACE_RESTORING, PLACE_RESTORED, PLACE_SCRATCHES };

struct sqlite_place {
    char paths[PLACE_FILES][PATH_MAX]; /* absolute */
    char directory[PATH_MAX];
    dev_t devices[PLACE_FILES]; /* of the files that are watched */
    ino_t inodes[PLACE_FILES];
    int lock; /* descriptor that holds the lock, or -1 */
};

/* Makes sure that descriptors 0 to 2 are open, creates the directory if it is missing, takes the
 * lock, removes what a crash left half done, and puts a restored database in its place. */
bool sqlite_place_lock(struct sqlite_place *ret, const char *directory, struct err *err);
/* The same, and creates an empty database file if there is none. */
bool sqlite_place_take(struct sqlite_place *ret, const char *directory, struct err *err);
void sqlite_place_release(struct sqlite_place *place);

bool sqlite_place_scratch(const struct sqlite_place *place, enum place_scratch which,
                          char ret[static PATH_MAX], struct err *err);
/* Puts the restored database in its place. One that is there is kept under the name *ret_kept,
 * else that is "". Done again after a crash it goes on where it was. */
bool sqlite_place_switch(const struct sqlite_place *place, char ret_kept[static PATH_MAX],
                         struct err *err);

/* Root works in folders of others; what it makes there is the folder's owner's. */
bool sqlite_place_give(const struct sqlite_place *place, int file, const char *path,
                       struct err *err);

/* Makes the names in the directory durable. SQLite does that too, but keeps failures to itself. */
bool sqlite_place_flush(const char *directory, struct err *err);
/* Remembers which files are open; false: one is not there. */
bool sqlite_place_watch(struct sqlite_place *place, struct err *err);
/* False: a file was moved, removed or replaced; *err says which. */
bool sqlite_place_check(const struct sqlite_place *place, struct err *err);

#endif
