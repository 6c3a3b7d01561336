/* SPDX-License-Identifier: Apache-2.0
 * test_promises.c - callers who break a contract are stopped, in release builds too. */
#include "base/format.h"
#include "base/intern.h"
#include "base/ordered.h"
#include "base/suite.h"
#include "base/timers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int compare(const void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx;
    return a < b ? -1 : a > b;
}

/* Runs `breach` in a process of its own, without its last words, and claims that it is aborted. */
static void assert_aborts(void (*breach)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(nowhere, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka would report it as a failure */
        breach();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void take_nothing(void)
{
    memory_take(&memory_heap, 0);
}

static void drop_a_text_once_too_often(void)
{
    struct intern intern;
    uint32_t id = 0;
    if (!intern_init(&intern, &memory_heap, 1) || !intern_take(&intern, TEXT("a"), &id))
        _exit(1);
    intern_drop(&intern, id);
    intern_drop(&intern, id);
}

static void read_a_text_nobody_uses(void)
{
    struct intern intern;
    if (!intern_init(&intern, &memory_heap, 1))
        _exit(1);
    intern_text(&intern, 1);
}

static struct ordered three_items(void)
{
    struct ordered o;
    ordered_init(&o, &memory_heap, compare, NULL);
    if (!ordered_reserve(&o, 3))
        _exit(1);
    return o;
}

static void insert_an_item_twice(void)
{
    struct ordered o = three_items();
    uint32_t root = ORDERED_NONE;
    ordered_insert(&o, &root, 0);
    ordered_insert(&o, &root, 1);
    ordered_insert(&o, &root, 0);
}

static void remove_a_missing_item(void)
{
    struct ordered o = three_items();
    uint32_t root = ORDERED_NONE;
    ordered_insert(&o, &root, 0);
    ordered_remove(&o, &root, 1);
}

static void build_from_items_out_of_order(void)
{
    struct ordered o = three_items();
    ordered_build(&o, (const uint32_t[]){ 0, 2, 1 }, 3);
}

static void set_a_timer_without_room(void)
{
    struct timers t;
    timers_init(&t, &memory_heap);
    timers_set(&t, 0, 5);
}

static void write_a_time_before_1970(void)
{
    struct buffer out;
    buffer_init(&out, &memory_heap, 100);
    format_time(&out, -1);
}

static void set_an_error_that_is_none(void)
{
    struct err err = { 0 };
    err_set(&err, ERR_NONE, "nothing");
}

static void test_a_broken_promise_ends_the_process(void **state)
{
    static void (*const breaches[])(void) = {
        take_nothing,
        drop_a_text_once_too_often,
        read_a_text_nobody_uses,
        insert_an_item_twice,
        remove_a_missing_item,
        build_from_items_out_of_order,
        set_a_timer_without_room,
        write_a_time_before_1970,
        set_an_error_that_is_none,
    };
    (void)state;

    for (size_t i = 0; i < sizeof breaches / sizeof breaches[0]; i++)
        assert_aborts(breaches[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_broken_promise_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
