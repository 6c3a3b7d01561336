/* SPDX-License-Identifier: Apache-2.0
 * test_loop.c - the loop, its timers and wake-ups, the steady clock, addresses. */
#include "net/address.h"
#include "net/loop.h"
#include "net/steady_clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ll

struct record {
    struct loop *loop;
    char order[64]; /* one letter per call */
    size_t count;
    struct loop_timer *timer;
    struct timer_port timers;
};

static void note(struct record *r, char letter)
{
    assert_true(r->count < sizeof r->order - 1);
    r->order[r->count++] = letter;
}

static void note_a(void *ctx)
{
    note(ctx, 'a');
}

static void note_b_and_stop(void *ctx)
{
    struct record *r = ctx;
    note(r, 'b');
    loop_stop(r->loop);
}

static void note_round(void *ctx)
{
    note(ctx, 'r');
}

static void note_signal(void *ctx, int number)
{
    struct record *r = ctx;
    note(r, number == SIGTERM ? 'T' : 'U');
    loop_stop(r->loop);
}

static struct loop *open_loop(void)
{
    struct err err = { 0 };
    struct loop *loop = loop_new(&err);
    assert_non_null(loop);
    return loop;
}

static void test_one_shot_waits_come_in_the_order_of_their_delays(void **state)
{
    (void)state;
    struct record r = { .loop = open_loop() };
    struct timer_port timers = loop_timer_port(r.loop);
    assert_true(timers.after(timers.self, 20, note_b_and_stop, &r));
    assert_true(timers.after(timers.self, 1, note_a, &r));

    loop_run(r.loop);

    assert_string_equal(r.order, "ab");
    loop_free(r.loop);
}

static void wait_again(void *ctx)
{
    struct record *r = ctx;
    note(r, 'w');
    if (r->count == 3)
        loop_stop(r->loop);
    else
        assert_true(r->timers.after(r->timers.self, 0, wait_again, r));
}

static void test_a_wait_may_be_asked_for_from_inside_a_wait(void **state)
{
    (void)state;
    struct record r = { .loop = open_loop() };
    r.timers = loop_timer_port(r.loop);

    assert_true(r.timers.after(r.timers.self, 0, wait_again, &r));
    loop_run(r.loop);

    assert_string_equal(r.order, "www");
    loop_free(r.loop);
}

static void test_waits_that_are_left_are_dropped_without_a_call(void **state)
{
    (void)state;
    struct record r = { .loop = open_loop() };
    struct timer_port timers = loop_timer_port(r.loop);
    struct err err = { 0 };
    assert_true(timers.after(timers.self, 0, note_a, &r));
    assert_non_null(loop_every(r.loop, 1, note_a, &r, &err));
    assert_non_null(loop_waker_new(r.loop, note_a, &r, &err));

    loop_free(r.loop);

    assert_int_equal(r.count, 0);
}

static void stop_after_three(void *ctx)
{
    struct record *r = ctx;
    note(r, 't');
    if (r->count < 3)
        return;
    loop_timer_free(r->timer);
    loop_stop(r->loop);
}

static void test_a_repeating_timer_ends_from_its_own_callback(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct record r = { .loop = open_loop() };
    r.timer = loop_every(r.loop, 1, stop_after_three, &r, &err);
    assert_non_null(r.timer);

    loop_run(r.loop);
    loop_step(r.loop, false);

    assert_string_equal(r.order, "ttt");
    loop_free(r.loop);
}

static void test_the_round_ends_after_what_was_ready_and_once_more_at_the_stop(void **state)
{
    (void)state;
    struct record r = { .loop = open_loop() };
    struct timer_port timers = loop_timer_port(r.loop);
    loop_on_round_end(r.loop, note_round, &r);
    timers.after(timers.self, 0, note_a, &r);
    timers.after(timers.self, 0, note_a, &r);
    usleep(5000);

    loop_step(r.loop, false);

    assert_string_equal(r.order, "aarr");
    loop_free(r.loop);
}

static void *ring(void *waker)
{
    for (int i = 0; i < 100; i++)
        loop_waker_wake(waker);
    return NULL;
}

static void test_another_thread_wakes_the_loop(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct record r = { .loop = open_loop() };
    struct loop_waker *waker = loop_waker_new(r.loop, note_b_and_stop, &r, &err);
    assert_non_null(waker);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ring, waker), 0);

    loop_run(r.loop);

    assert_true(r.count >= 1);
    pthread_join(thread, NULL);
    loop_waker_free(waker);
    loop_free(r.loop);
}

static void test_signals_arrive_as_calls(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct record r = { .loop = open_loop() };
    assert_true(loop_on_signal(r.loop, SIGTERM, note_signal, &r, &err));
    assert_true(loop_on_signal(r.loop, SIGUSR1, note_signal, &r, &err));

    raise(SIGTERM);
    loop_run(r.loop);
    raise(SIGUSR1);
    loop_run(r.loop);

    assert_string_equal(r.order, "TU");
    loop_free(r.loop);
}

struct fake_time {
    int64_t monotonic_ns, wall_ns;
};

static int64_t fake_monotonic_ns(void *self)
{
    return ((struct fake_time *)self)->monotonic_ns;
}

static int64_t fake_wall_ns(void *self)
{
    return ((struct fake_time *)self)->wall_ns;
}

static void pass(struct fake_time *time, int64_t ns)
{
    time->monotonic_ns += ns;
    time->wall_ns += ns;
}

static struct steady_clock start_clock(struct fake_time *time)
{
    struct steady_clock clock;
    steady_clock_init(&clock, (struct time_source){ fake_monotonic_ns, fake_wall_ns, time });
    return clock;
}

static void test_the_steady_clock_starts_at_the_wall_clock_and_advances_with_it(void **state)
{
    (void)state;
    struct fake_time time = { .monotonic_ns = 7, .wall_ns = 1000 * SECOND_NS };
    struct steady_clock clock = start_clock(&time);
    struct clock_port port = steady_clock_port(&clock);
    assert_int_equal(port.now_ms(port.self), 1000 * 1000);

    pass(&time, 90 * SECOND_NS);

    assert_int_equal(port.now_ms(port.self), 1090 * 1000);
    assert_int_equal(port.now_us(port.self), 1090ll * 1000 * 1000);
}

static void test_a_jump_of_the_wall_clock_is_caught_up_at_a_thousandth(void **state)
{
    (void)state;
    struct fake_time time = { .wall_ns = 10000 * SECOND_NS };
    struct steady_clock clock = start_clock(&time);
    time.wall_ns += 3600 * SECOND_NS;

    pass(&time, 1000 * SECOND_NS);

    assert_int_equal(steady_clock_now_ns(&clock), 11001 * SECOND_NS);
}

static void test_a_jump_back_slows_the_clock_and_never_turns_it(void **state)
{
    (void)state;
    struct fake_time time = { .wall_ns = 10000 * SECOND_NS };
    struct steady_clock clock = start_clock(&time);
    time.wall_ns -= 3600 * SECOND_NS;
    int64_t before_ns = steady_clock_now_ns(&clock);

    for (int i = 0; i < 20000; i++) {
        pass(&time, 777777); /* readings fall before, on and after the steps of the slew */
        int64_t now_ns = steady_clock_now_ns(&clock);
        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }

    int64_t passed_ns = 20000 * 777777ll;
    assert_true(before_ns - 10000 * SECOND_NS <= passed_ns);
    assert_true(before_ns - 10000 * SECOND_NS >= passed_ns - passed_ns / 1000);
}

static void test_a_small_error_is_taken_out_exactly(void **state)
{
    (void)state;
    struct fake_time time = { .wall_ns = 10000 * SECOND_NS };
    struct steady_clock clock = start_clock(&time);
    time.wall_ns += SECOND_NS / 2;

    pass(&time, 1000 * SECOND_NS);

    assert_int_equal(steady_clock_now_ns(&clock), time.wall_ns);
}

static void test_addresses_are_read_and_written(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        { "127.0.0.1:7420", "127.0.0.1:7420" }, { "[::1]:0", "[::1]:0" },
        { "0.0.0.0:65535", "0.0.0.0:65535" },   { "[::]:80", "[::]:80" },
        { "localhost:1", "127.0.0.1:1" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        union address address;
        char space[ADDRESS_TEXT_SIZE];
        struct err err = { 0 };

        assert_true(address_parse(text_from(texts[i][0]), &address, &err));

        assert_string_equal(address_format(&address, space), texts[i][1]);
    }
}

static void test_what_is_no_address_is_refused_with_the_forms_allowed(void **state)
{
    (void)state;
    static const char *const texts[] = { "",         ":80",         "127.0.0.1", "127.0.0.1:",
                                         "1.2.3:80", "1.2.3.4:x",   "::1:80",    "[::1]80",
                                         "[::1:80",  "1.2.3.4:-1",  "host:80",   "1.2.3.4:65536",
                                         "[]:1",     "1.2.3.4: 80", "[::1%lo]:1" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        union address address;
        struct err err = { 0 };

        assert_false(address_parse(text_from(texts[i]), &address, &err));

        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "[::1]:7420"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shot_waits_come_in_the_order_of_their_delays),
        cmocka_unit_test(test_a_wait_may_be_asked_for_from_inside_a_wait),
        cmocka_unit_test(test_waits_that_are_left_are_dropped_without_a_call),
        cmocka_unit_test(test_a_repeating_timer_ends_from_its_own_callback),
        cmocka_unit_test(test_the_round_ends_after_what_was_ready_and_once_more_at_the_stop),
        cmocka_unit_test(test_another_thread_wakes_the_loop),
        cmocka_unit_test(test_signals_arrive_as_calls),
        cmocka_unit_test(test_the_steady_clock_starts_at_the_wall_clock_and_advances_with_it),
        cmocka_unit_test(test_a_jump_of_the_wall_clock_is_caught_up_at_a_thousandth),
        cmocka_unit_test(test_a_jump_back_slows_the_clock_and_never_turns_it),
        cmocka_unit_test(test_a_small_error_is_taken_out_exactly),
        cmocka_unit_test(test_addresses_are_read_and_written),
        cmocka_unit_test(test_what_is_no_address_is_refused_with_the_forms_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
