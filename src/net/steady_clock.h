/* SPDX-License-Identifier: Apache-2.0
 * steady_clock.h - wall time without jumps. It starts at the wall clock, advances with the
 * monotonic clock, and is pulled toward the wall clock by at most 0.1 % of the time that passed, so
 * that an administrator's or NTP's jump of an hour fires no timeout and is caught up within six
 * weeks. */
#ifndef DIDES_NET_STEADY_CLOCK_H
#define DIDES_NET_STEADY_CLOCK_H

#include "port/clock.h"

/* Where time comes from, in nanoseconds; tests bring their own. */
struct time_source {
    int64_t (*monotonic_ns)(void *self);
    int64_t (*wall_ns)(void *self);
    void *self;
};

extern const struct time_source time_source_system;

struct steady_clock {
    struct time_source source;
    int64_t monotonic_ns; /* when `steady_ns` was right */
    int64_t steady_ns;
    int64_t newest_ns; /* the latest time told */
};

void steady_clock_init(struct steady_clock *clock, struct time_source source);
int64_t steady_clock_now_ns(struct steady_clock *clock); /* since the epoch, never going back */
struct clock_port steady_clock_port(struct steady_clock *clock);

#endif
