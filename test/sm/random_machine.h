/* SPDX-License-Identifier: Apache-2.0
 * random_machine.h - machines nobody thought of: any rows, sound or not, the same for the same
 * seed. */
#ifndef DIDES_TEST_SM_RANDOM_MACHINE_H
#define DIDES_TEST_SM_RANDOM_MACHINE_H

#include "sm/sm.h"

/* How large a machine may become. */
struct random_size {
    unsigned states, events, guards, rows;
};

struct random_machine {
    struct sm_machine machine; /* points into this struct: do not copy */
    struct sm_row rows[SM_ROWS_MAX];
    uint64_t random;
};

uint64_t random_next(uint64_t *random); /* splitmix64 */
unsigned random_below(uint64_t *random, unsigned limit);

/* A machine of 1 to size.states states and so on, 0 to size.rows rows. Goes on from made->random.
 */
void random_machine_init(struct random_machine *made, struct random_size size);

/* Guard g holds when bit g of the uint64_t that `subject` points to is set. */
bool random_guard_holds(const void *subject, unsigned guard);

#endif
