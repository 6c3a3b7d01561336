/* SPDX-License-Identifier: Apache-2.0
 * driver.c - one target under libFuzzer: the one that FUZZ_TARGET names. `--list` as the only
 * argument prints the targets for tool/fuzz. */
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (*argc == 2 && strcmp((*argv)[1], "--list") == 0) {
        for (size_t i = 0; i < fuzz_target_count; i++) {
            const struct fuzz_target *t = &fuzz_targets[i];
            printf("%s %u %s %s\n", t->name, t->max_bytes, t->words ? t->words : "-", t->sources);
        }
        exit(0);
    }
    const char *name = getenv("FUZZ_TARGET");
    target = name ? fuzz_find(name) : NULL;
    if (!target) {
        fprintf(stderr, "FUZZ_TARGET must name a target; --list prints them\n");
        exit(64);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target->run((struct text){ (const char *)data, size });
    return 0;
}
