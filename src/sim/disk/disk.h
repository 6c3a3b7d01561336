/* SPDX-License-Identifier: Apache-2.0
 * disk.h - a disk in memory as an SQLite VFS, that fails or loses power at any chosen operation.
 *
 * Writes reach the "cache"; a flush makes those of its file durable. When the power goes, the
 * durable content stays and every sector written since then is there or not, by chance. A flush
 * that fails drops what it should have written, as Linux does: the cache still shows it, and no
 * later flush brings it to the disk. */
#ifndef DIDES_SIM_DISK_DISK_H
#define DIDES_SIM_DISK_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_VFS "disk"

enum disk_fault {
    DISK_NO_FAULT,
    DISK_CUT,  /* the power goes: this operation and all later ones fail */
    DISK_EIO,  /* this operation fails, later ones work */
    DISK_FULL, /* this write and all later ones that need room say that there is none */
    /* Faults that nobody is told of: the operation says that it was done. */
    DISK_LOST,        /* it was not; also of a flush, a truncation or a deletion */
    DISK_MISDIRECTED, /* this write lands elsewhere in its file */
    DISK_SHORT,       /* of this write only the first part is done */
};

void disk_register(void); /* once a process */

/* An empty disk. Operation `at` (1: the first write, truncation, flush or deletion) fails like
 * `fault`. `seed` decides what a power cut leaves. */
void disk_reset(enum disk_fault fault, uint64_t at, uint64_t seed);
/* From now on, after so many operations (1: the next one). */
void disk_plan(enum disk_fault fault, uint64_t after);
/* One bit of what is durable is another one. False: the disk is empty. */
bool disk_flip(void);
/* The computer starts again; no fault is planned any more. */
void disk_restart(void);
/* Room again on a full disk. */
void disk_add_room(void);
/* Whether the planned operation came. */
bool disk_has_failed(void);
/* How many writes, truncations, flushes and deletions were done. */
uint64_t disk_operations(void);
/* The power goes now. */
void disk_cut(void);
/* From now on flushes do nothing but say that they did. */
void disk_lie(void);

/* From now on everything that is done to the disk is kept, so that one run shows all its cuts. */
void disk_record(void);
/* The disk as the computer finds it when the power went in the operation after the first
 * `operations` that were recorded: no less than in the call before. `seed` as above. */
void disk_replay(uint64_t operations, uint64_t seed);

#endif
