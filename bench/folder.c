/* SPDX-License-Identifier: Apache-2.0
 * folder.c - see folder.h. */
#include "folder.h"

#include "store/sqlite/sqlite.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void folder_make(char *ret, size_t size)
{
    const char *parent = getenv("TMPDIR");
    snprintf(ret, size, "%s/dides-bench-XXXXXX", parent ? parent : P_tmpdir);
    if (mkdtemp(ret))
        return;
    perror(ret);
    exit(1);
}

struct store_port folder_open(const char *directory)
{
    struct store_port store;
    struct err err = { .code = ERR_NONE };
    if (!store_sqlite_open(&store, directory, NULL, &err)) {
        fprintf(stderr, "bench: the store: %s\n", err.text);
        exit(1);
    }
    return store;
}

void folder_remove(const char *directory)
{
    static const char *const names[] = { "dides.db", "dides.db-wal", "dides.db-shm", "lock" };
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}
