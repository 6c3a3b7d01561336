/* SPDX-License-Identifier: Apache-2.0
 * test_forked.c - computations in a copy of the process: what comes back, how it is ended, and that
 * nothing of it is left. */
#include "net/forked.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HANG_MS  20000
#define MEGABYTE ((size_t)1 << 20)

struct scene {
    struct loop *loop;
    unsigned calls;
    enum forked_outcome outcome;
    size_t size;
    char text[64];
    int value;
};

static void on_done(void *ctx, enum forked_outcome outcome, struct text text)
{
    struct scene *s = ctx;
    s->calls++;
    s->outcome = outcome;
    s->size = text.size;
    for (size_t i = 0; i < text.size && i < sizeof s->text - 1; i++)
        s->text[i] = text.data[i];
    loop_stop(s->loop);
}

static struct forked *start_within(struct scene *s, void (*work)(void *, struct buffer *),
                                   int64_t deadline_ms)
{
    struct forked_options options = { .work = work,
                                      .done = on_done,
                                      .ctx = s,
                                      .deadline_ms = deadline_ms,
                                      .memory_max = 64 * MEGABYTE,
                                      .text_max = 4 * MEGABYTE };
    struct err err = { 0 };
    struct forked *f = forked_start(s->loop, &options, &err);
    assert_non_null(f);
    return f;
}

static struct forked *start(struct scene *s, void (*work)(void *, struct buffer *))
{
    return start_within(s, work, HANG_MS);
}

static void close_scene(struct scene *s)
{
    loop_free(s->loop);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static struct scene open_scene(void)
{
    struct err err = { 0 };
    struct scene s = { .loop = loop_new(&err) };
    assert_non_null(s.loop);
    return s;
}

/* ---- results -------------------------------------------------------------------------------- */

static void work_on_value(void *ctx, struct buffer *out)
{
    struct scene *s = ctx;
    s->value++;
    buffer_printf(out, "%d", s->value);
}

static void test_the_child_sees_everything_and_changes_nothing(void **state)
{
    struct scene s = open_scene();
    (void)state;
    s.value = 41;

    start(&s, work_on_value);
    loop_run(s.loop);

    assert_int_equal(s.outcome, FORKED_DONE);
    assert_string_equal(s.text, "42");
    assert_int_equal(s.value, 41);
    assert_int_equal(s.calls, 1);
    assert_true(forked_pause_us() > 0);
    close_scene(&s);
}

static void work_long(void *ctx, struct buffer *out)
{
    (void)ctx;
    for (unsigned i = 0; i < 300000; i++)
        buffer_add(out, TEXT("0123456789"));
}

static void test_a_long_result_is_whole(void **state)
{
    struct scene s = open_scene();
    (void)state;

    start(&s, work_long);
    loop_run(s.loop);

    assert_int_equal(s.outcome, FORKED_DONE);
    assert_int_equal(s.size, 3000000);
    close_scene(&s);
}

static void work_too_long(void *ctx, struct buffer *out)
{
    (void)ctx;
    for (unsigned i = 0; i < 500000; i++)
        buffer_add(out, TEXT("0123456789"));
}

static void test_a_result_over_its_limit_is_none(void **state)
{
    struct scene s = open_scene();
    (void)state;

    start(&s, work_too_long);
    loop_run(s.loop);

    assert_int_equal(s.outcome, FORKED_DIED);
    assert_int_equal(s.size, 0);
    close_scene(&s);
}

static void work_nothing(void *ctx, struct buffer *out)
{
    (void)ctx;
    (void)out;
}

static void test_an_empty_result_is_a_result(void **state)
{
    struct scene s = open_scene();
    (void)state;

    start(&s, work_nothing);
    loop_run(s.loop);

    assert_int_equal(s.outcome, FORKED_DONE);
    assert_int_equal(s.size, 0);
    close_scene(&s);
}

/* ---- bad ends ------------------------------------------------------------------------------- */

static void work_crash(void *ctx, struct buffer *out)
{
    (void)ctx;
    buffer_add(out, TEXT("half"));
    raise(SIGKILL);
}

static void test_a_crash_is_told(void **state)
{
    struct scene s = open_scene();
    (void)state;

    start(&s, work_crash);
    loop_run(s.loop);

    assert_int_equal(s.outcome, FORKED_DIED);
    assert_int_equal(s.size, 0);
    close_scene(&s);
}

static void work_for_ever(void *ctx, struct buffer *out)
{
    (void)ctx;
    (void)out;
    for (;;)
        pause();
}

static void test_a_deadline_ends_it(void **state)
{
    struct scene s = open_scene();
    (void)state;

    start_within(&s, work_for_ever, 20);
    loop_run(s.loop);

    assert_int_equal(s.outcome, FORKED_LATE);
    close_scene(&s);
}

static void test_it_can_be_cancelled(void **state)
{
    struct scene s = open_scene();
    (void)state;

    struct forked *f = start(&s, work_for_ever);
    forked_cancel(f);
    assert_int_equal(s.calls, 0); /* not from inside */
    loop_run(s.loop);

    assert_int_equal(s.calls, 1);
    assert_int_equal(s.outcome, FORKED_CANCELLED);
    close_scene(&s);
}

static void test_it_can_be_freed_while_it_works(void **state)
{
    struct scene s = open_scene();
    (void)state;

    forked_free(start(&s, work_for_ever));
    forked_free(NULL);

    close_scene(&s);
    assert_int_equal(s.calls, 0);
}

static void work_greedily(void *ctx, struct buffer *out)
{
    struct scene *s = ctx;
    void *much =
        mmap(NULL, 512 * MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)s;
    buffer_add(out, much == MAP_FAILED ? TEXT("refused") : TEXT("given"));
}

static void test_its_memory_is_bounded(void **state)
{
    struct scene s = open_scene();
    (void)state;

    start(&s, work_greedily);
    loop_run(s.loop);

    assert_string_equal(s.text, "refused");
    close_scene(&s);
}

/* ---- what it does not have ------------------------------------------------------------------ */

static void work_on_descriptors(void *ctx, struct buffer *out)
{
    DIR *folder = opendir("/proc/self/fd");
    (void)ctx;
    if (!folder)
        return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (entry->d_name[0] != '.')
            buffer_printf(out, "%s ", entry->d_name);
    closedir(folder);
}

static void test_it_has_its_pipe_and_stderr_alone(void **state)
{
    struct scene s = open_scene();
    (void)state;

    start(&s, work_on_descriptors);
    loop_run(s.loop);

    assert_int_equal(s.size, 6); /* and the folder that it looks into */
    assert_non_null(strchr(s.text, '2'));
    assert_non_null(strchr(s.text, '3'));
    close_scene(&s);
}

static void on_signal(void *ctx, int number)
{
    struct scene *s = ctx;
    s->value = number;
}

static void work_until_terminated(void *ctx, struct buffer *out)
{
    (void)ctx;
    (void)out;
    raise(SIGTERM);
}

static void test_a_signal_for_the_child_is_none_for_the_parent(void **state)
{
    struct scene s = open_scene();
    struct err err = { 0 };
    (void)state;
    assert_true(loop_on_signal(s.loop, SIGTERM, on_signal, &s, &err));

    start(&s, work_until_terminated);
    loop_run(s.loop);

    assert_int_equal(s.outcome, FORKED_DIED);
    assert_int_equal(s.value, 0);
    close_scene(&s);
}

/* The heap of a process with other threads is in use when it forks. */
static void *use_heap(void *ctx)
{
    const bool *is_over = ctx;
    while (!__atomic_load_n(is_over, __ATOMIC_RELAXED))
        free(malloc(100));
    return NULL;
}

static void test_other_threads_do_not_hold_it_up(void **state)
{
    struct scene s = open_scene();
    pthread_t threads[2];
    bool is_over = false;
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_heap, &is_over), 0);

    for (int i = 0; i < 50; i++) {
        start(&s, work_long);
        loop_run(s.loop);
        assert_int_equal(s.outcome, FORKED_DONE);
    }

    __atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_child_sees_everything_and_changes_nothing),
        cmocka_unit_test(test_a_long_result_is_whole),
        cmocka_unit_test(test_a_result_over_its_limit_is_none),
        cmocka_unit_test(test_an_empty_result_is_a_result),
        cmocka_unit_test(test_a_crash_is_told),
        cmocka_unit_test(test_a_deadline_ends_it),
        cmocka_unit_test(test_it_can_be_cancelled),
        cmocka_unit_test(test_it_can_be_freed_while_it_works),
        cmocka_unit_test(test_its_memory_is_bounded),
        cmocka_unit_test(test_it_has_its_pipe_and_stderr_alone),
        cmocka_unit_test(test_a_signal_for_the_child_is_none_for_the_parent),
        cmocka_unit_test(test_other_threads_do_not_hold_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
