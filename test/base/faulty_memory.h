/* SPDX-License-Identifier: Apache-2.0
 * faulty_memory.h - a struct memory that fails on demand and keeps accounts: it notices wrong sizes
 * and leaks, moves every block that is resized, and fills new memory with rubbish. */
#ifndef DIDES_TEST_FAULTY_MEMORY_H
#define DIDES_TEST_FAULTY_MEMORY_H

#include "base/memory.h"

#include <stdbool.h>

struct faulty_memory {
    struct memory memory;      /* hand out &faulty.memory */
    size_t blocks, bytes;      /* alive now */
    size_t requests, failures; /* of memory; releases are not counted */
    size_t fail_at;            /* the request with this number fails, counted from 1; 0: none */
    bool fail_on;              /* and so do all after it */
};

void faulty_memory_init(struct faulty_memory *faulty);
/* From now on the `n`-th request fails, and with `on` all that follow it. n 0: none. */
void faulty_memory_fail(struct faulty_memory *faulty, size_t n, bool on);

#endif
