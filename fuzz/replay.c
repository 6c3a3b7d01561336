/* SPDX-License-Identifier: Apache-2.0
 * replay.c - every target over its corpus, without libFuzzer: what every build tests.
 *
 * usage: replay CORPUS [TARGET]     CORPUS/TARGET holds the inputs, a file each
 *        replay --one TARGET FILE   one input, as after a crash */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char present[PATH_MAX]; /* the input that is being looked at */

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void tell_present(void)
{
    fprintf(stderr, "the input: %s\n", present);
}

/* Exactly as many bytes as there are, so that a sanitizer sees a read behind them. */
static void run_file(const struct fuzz_target *target, const char *path)
{
    struct stat facts;
    snprintf(present, sizeof present, "%s", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLAIM(fd >= 0 && fstat(fd, &facts) == 0);
    size_t size = (size_t)facts.st_size;
    char *bytes = malloc(size ? size : 1);
    CLAIM(bytes != NULL && read(fd, bytes, size) == facts.st_size);
    close(fd);
    target->run((struct text){ bytes, size });
    free(bytes);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool run_corpus(const struct fuzz_target *target, const char *corpus)
{
    char path[PATH_MAX];
    struct dirent **entries;
    snprintf(path, sizeof path, "%s/%s", corpus, target->name);
    int count = scandir(path, &entries, is_input, by_name);
    if (count <= 0) {
        printf("%-16s has no corpus\n", target->name);
        return false;
    }
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", corpus, target->name, entries[i]->d_name);
        run_file(target, path);
        free(entries[i]);
    }
    free(entries);
    printf("%-16s %4d inputs\n", target->name, count);
    return true;
}

static int run_all(const char *corpus, const char *only)
{
    unsigned passed = 0, failed = 0;
    for (size_t i = 0; i < fuzz_target_count; i++) {
        if (only && strcmp(only, fuzz_targets[i].name) != 0)
            continue;
        if (run_corpus(&fuzz_targets[i], corpus))
            passed++;
        else
            failed++;
        fflush(stdout);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(tell_present);
    if (argc == 4 && strcmp(argv[1], "--one") == 0 && fuzz_find(argv[2])) {
        run_file(fuzz_find(argv[2]), argv[3]);
        return 0;
    }
    if (argc == 2 || argc == 3)
        return run_all(argv[1], argc == 3 ? argv[2] : NULL);
    fprintf(stderr, "usage: replay CORPUS [TARGET] | replay --one TARGET FILE\n");
    return 64;
}
