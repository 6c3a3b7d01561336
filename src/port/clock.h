/* SPDX-License-Identifier: Apache-2.0
 * clock.h - time as a value. The core never sees this: it is told the time of each event. */
#ifndef DIDES_PORT_CLOCK_H
#define DIDES_PORT_CLOCK_H

#include <stdint.h>

struct clock_port {
    /* ms since the epoch, never going back: it advances with the monotonic clock and approaches the
     * wall clock slowly, so that a jump of the wall clock fires no timeout. */
    int64_t (*now_ms)(void *self);
    /* The same clock in us, to measure with. NULL: nothing is measured. */
    int64_t (*now_us)(void *self);
    void *self;
};

#endif
