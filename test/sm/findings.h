/* SPDX-License-Identifier: Apache-2.0
 * findings.h - keeps what sm_check reports, for tests to look at. */
#ifndef DIDES_TEST_SM_FINDINGS_H
#define DIDES_TEST_SM_FINDINGS_H

#include "sm/sm.h"

struct found {
    char code[32], text[1024], witness[1024];
    enum sm_severity severity;
    bool is_proven;
};

struct findings {
    struct found list[256];
    size_t count;
};

/* Checks the machine, and that the returned number counts warnings and errors, with a visitor and
 * without. The result is overwritten by the next call. */
const struct findings *findings_of(const struct sm_machine *machine);

#endif
