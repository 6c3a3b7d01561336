/* SPDX-License-Identifier: Apache-2.0
 * stopwatch.c - see stopwatch.h. */
#include "stopwatch.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

int64_t stopwatch_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

size_t stopwatch_heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double stopwatch_median(double *samples, size_t count)
{
    qsort(samples, count, sizeof samples[0], compare);
    return count % 2 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
}
