/* SPDX-License-Identifier: Apache-2.0
 * targets.c - the table that targets.h lists. */
#include "fuzz.h"

#include <string.h>

#define FUZZ_ROW(name, bytes, words, sources) { #name, fuzz_##name, bytes, words, sources },
const struct fuzz_target fuzz_targets[] = { FUZZ_TARGETS(FUZZ_ROW) };
const size_t fuzz_target_count = sizeof fuzz_targets / sizeof fuzz_targets[0];

const struct fuzz_target *fuzz_find(const char *name)
{
    for (size_t i = 0; i < fuzz_target_count; i++)
        if (strcmp(fuzz_targets[i].name, name) == 0)
            return &fuzz_targets[i];
    return NULL;
}
