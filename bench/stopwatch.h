/* SPDX-License-Identifier: Apache-2.0
 * stopwatch.h - time that passed, medians of repetitions, and lines of a table. Only for bench/. */
#ifndef DIDES_BENCH_STOPWATCH_H
#define DIDES_BENCH_STOPWATCH_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of a clock that never goes back; only differences mean anything. */
int64_t stopwatch_ns(void);
/* Bytes that the process has taken from the heap and not given back. */
size_t stopwatch_heap(void);

/* Sorts the samples. `count` is at least 1. */
double stopwatch_median(double *samples, size_t count);

#endif
