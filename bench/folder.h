/* SPDX-License-Identifier: Apache-2.0
 * folder.h - a folder on the disk for one SQLite store, for as long as a program runs. */
#ifndef DIDES_BENCH_FOLDER_H
#define DIDES_BENCH_FOLDER_H

#include "port/store.h"

#include <stddef.h>

/* Makes a new folder in $TMPDIR, or where the C library has its temporary files, and writes its
 * path to `ret`. A failure of anything here ends the process with a sentence. */
void folder_make(char *ret, size_t size);
/* The store in it, made if it is not there. */
struct store_port folder_open(const char *directory);
/* Removes the folder with what a store left in it. */
void folder_remove(const char *directory);

#endif
