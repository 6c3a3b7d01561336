/* SPDX-License-Identifier: Apache-2.0
 * steady_clock.c - see steady_clock.h. Integer nanoseconds; the wall clock is asked at most once a
 * millisecond, because a correction of less than a microsecond is none. */
#include "net/steady_clock.h"

#define SLEW_DIVISOR 1000 /* 0.1 % */
#define SLEW_STEP_NS 1000000

static int64_t read_clock(clockid_t id)
{
    struct timespec now = { 0 };
    clock_gettime(id, &now); /* cannot fail for these two clocks */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_monotonic_ns(void *self)
{
    (void)self;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_wall_ns(void *self)
{
    (void)self;
    return read_clock(CLOCK_REALTIME);
}

const struct time_source time_source_system = { system_monotonic_ns, system_wall_ns, NULL };

void steady_clock_init(struct steady_clock *clock, struct time_source source)
{
    int64_t wall_ns = source.wall_ns(source.self);
    *clock = (struct steady_clock){
        .source = source,
        .monotonic_ns = source.monotonic_ns(source.self),
        .steady_ns = wall_ns,
        .newest_ns = wall_ns,
    };
}

static int64_t clamp(int64_t value, int64_t bound)
{
    if (value > bound)
        return bound;
    return value < -bound ? -bound : value;
}

int64_t steady_clock_now_ns(struct steady_clock *clock)
{
    int64_t monotonic_ns = clock->source.monotonic_ns(clock->source.self);
    int64_t passed_ns = monotonic_ns - clock->monotonic_ns;
    int64_t now_ns = clock->steady_ns + passed_ns;
    if (passed_ns >= SLEW_STEP_NS) {
        int64_t off_ns = clock->source.wall_ns(clock->source.self) - now_ns;
        now_ns += clamp(off_ns, passed_ns / SLEW_DIVISOR);
        clock->steady_ns = now_ns;
        clock->monotonic_ns = monotonic_ns;
    }
    /* A step back by the slew could undercut what was told between two steps. */
    if (now_ns > clock->newest_ns)
        clock->newest_ns = now_ns;
    return clock->newest_ns;
}

static int64_t port_now_ms(void *self)
{
    return steady_clock_now_ns(self) / 1000000;
}

static int64_t port_now_us(void *self)
{
    return steady_clock_now_ns(self) / 1000;
}

struct clock_port steady_clock_port(struct steady_clock *clock)
{
    return (struct clock_port){ port_now_ms, port_now_us, clock };
}
