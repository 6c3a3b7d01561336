/* SPDX-License-Identifier: Apache-2.0
 * memory.h - the store port in memory, for tests and simulation, with faults on demand.
 * Nothing survives the process. "Durable" means: still there after store_memory_crash(). */
#ifndef DIDES_STORE_MEMORY_H
#define DIDES_STORE_MEMORY_H

#include "port/store.h"

/* What a planned commit does instead of working. */
enum store_memory_fault {
    STORE_MEMORY_NO_FAULT,
    STORE_MEMORY_RETRY,        /* answers RETRY, nothing changed: a full disk */
    STORE_MEMORY_UNKNOWN_KEPT, /* answers UNKNOWN, and the batch is there after the crash */
    STORE_MEMORY_UNKNOWN_LOST, /* answers UNKNOWN, and it is not */
    /* Two disks that break their promises. No store can repair these: they are there to show that
     * the checkers of a simulation notice. */
    STORE_MEMORY_TORN, /* answers UNKNOWN; after the crash the first half of the ops is there */
    STORE_MEMORY_LIE,  /* answers DURABLE; a crash loses this batch and every later one */
};

/* An empty store. False: ERR_MEMORY. backup() is refused with ERR_NOT_SUPPORTED: there is no file.
 */
bool store_memory_open(struct store_port *ret, struct err *err);

/* From now on the `nth` commit (1: the next one; empty batches do not count) has this fault, once.
 * Replaces the plan before; STORE_MEMORY_NO_FAULT cancels it. */
void store_memory_plan_fault(struct store_port *port, enum store_memory_fault fault, unsigned nth);

/* What a power cut and a new start do: forgets what was not durable and lets a store that answered
 * UNKNOWN work again. Statistics start anew; a planned fault stays planned. */
void store_memory_crash(struct store_port *port);

#endif
