/* SPDX-License-Identifier: Apache-2.0
 * place.h - the directory of the database and what SQLite does not see to: modes, the lock file,
 * flushed directories, and whether the files are still where they were. */
#ifndef DIDES_STORE_SQLITE_PLACE_H
#define DIDES_STORE_SQLITE_PLACE_H

#include "base/err.h"

#include <limits.h>
#include <sys/stat.h>

enum { PLACE_DATABASE, PLACE_WAL, PLACE_LOCK, PLACE_FILES };

struct sqlite_place {
    char paths[PLACE_FILES][PATH_MAX]; /* absolute */
    char directory[PATH_MAX];
    dev_t devices[PLACE_FILES]; /* of the files that are watched */
    ino_t inodes[PLACE_FILES];
    int lock; /* descriptor that holds the lock, or -1 */
};

/* Makes sure that descriptors 0 to 2 are open, creates the directory if it is missing, takes the
 * lock, and creates an empty database file if there is none. */
bool sqlite_place_take(struct sqlite_place *ret, const char *directory, struct err *err);
void sqlite_place_release(struct sqlite_place *place);

/* Makes the names in the directory durable. SQLite does that too, but keeps failures to itself. */
bool sqlite_place_flush(const char *directory, struct err *err);
/* Remembers which files are open; false: one is not there. */
bool sqlite_place_watch(struct sqlite_place *place, struct err *err);
/* False: a file was moved, removed or replaced; *err says which. */
bool sqlite_place_check(const struct sqlite_place *place, struct err *err);

#endif
