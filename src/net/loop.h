/* SPDX-License-Identifier: Apache-2.0
 * loop.h - the one event loop of a process: signals, timers, wake-ups from other threads, and the
 * end of a round. Everything but loop_waker_wake() belongs to the thread that runs the loop. */
#ifndef DIDES_NET_LOOP_H
#define DIDES_NET_LOOP_H

#include "base/err.h"
#include "port/caller.h"
#include "port/clock.h"

struct loop;
struct uv_loop_s;

typedef void loop_fn(void *ctx);
typedef void loop_signal_fn(void *ctx, int signal_number);

/* NULL: no memory or no descriptors; *err says so. */
struct loop *loop_new(struct err *err);
/* NULL is allowed. Timers, wakers and waits that are left are dropped without being called. Servers
 * and clients on this loop must have been closed before (an assertion). */
void loop_free(struct loop *loop);

/* Runs until loop_stop(). The round-end hook runs once more before this returns, so that nothing
 * that came in is left without its round. May be called again. */
void loop_run(struct loop *loop);
/* Runs what is ready now, waiting at most until the first event when `wait`; ends its round. */
void loop_step(struct loop *loop, bool wait);
/* Ends loop_run() after the callbacks of the present iteration. */
void loop_stop(struct loop *loop);

/* The hook is called once in every iteration, after all that was ready was handled and right before
 * the loop blocks: here the engine ends its round. One hook; NULL takes it away. */
void loop_on_round_end(struct loop *loop, loop_fn *hook, void *ctx);

/* Calls `fn` from the loop when the signal arrives. Two signals for one number replace each other.
 */
bool loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *ctx,
                    struct err *err);

/* A timer that fires every `interval_ms` (at least 1), first after one interval. When the loop was
 * busy for longer, missed beats are not made up for. NULL: no memory. */
struct loop_timer;
struct loop_timer *loop_every(struct loop *loop, int64_t interval_ms, loop_fn *fn, void *ctx,
                              struct err *err);
void loop_timer_free(struct loop_timer *timer); /* NULL is allowed; also from its own callback */

/* A bell: any thread may ring, the loop's thread calls `fn` soon after. Rings that come close
 * together are one call. After loop_waker_free() nobody may ring. */
struct loop_waker;
struct loop_waker *loop_waker_new(struct loop *loop, loop_fn *fn, void *ctx, struct err *err);
void loop_waker_wake(struct loop_waker *waker); /* thread-safe, also from signal handlers */
void loop_waker_free(struct loop_waker *waker); /* NULL is allowed */

/* One-shot waits on this loop, of at least 1 ms. now_ms is that of loop_clock_port(). */
struct timer_port loop_timer_port(struct loop *loop);
/* Steady wall clock, see steady_clock.h. */
struct clock_port loop_clock_port(struct loop *loop);
/* Milliseconds since some start, as of the beginning of this iteration; never goes back. */
int64_t loop_ticks_ms(const struct loop *loop);

/* For the other files of net only. */
struct uv_loop_s *loop_uv(struct loop *loop);

#endif
