/* SPDX-License-Identifier: Apache-2.0
 * sqlite_kill.c - a process that writes is killed at random moments, again and again: what it had
 * acknowledged is there, and nothing by half. */
#include "model.h"
#include "store/sqlite/sqlite.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

#define KILLS     60
#define SEED      11
#define VALUE_MAX 800

static char directory[256];

static void open_store(struct store_port *ret)
{
    struct err err = { 0 };
    struct store_sqlite_options options = { .eager = true, .journal_max_bytes = 200 * 1024 };
    if (!store_sqlite_open(ret, directory, &options, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

/* The child: commits for ever, and tells of each batch after it is durable. */
static void write_until_killed(uint64_t count, int acknowledge)
{
    struct store_port port;
    struct model model;
    struct err err = { 0 };
    uint64_t random = count;
    open_store(&port);
    model_init(&model, SEED, VALUE_MAX);
    model_go_to(&model, count);
    for (;;) {
        struct store_batch batch = model_make(&model);
        if (port.commit(port.self, &batch, &err) != STORE_DURABLE)
            abort();
        model_accept(&model);
        if (write(acknowledge, &model.count, sizeof model.count) != sizeof model.count)
            abort();
        if (random_below(&random, 4) == 0)
            port.tend(port.self, 1);
    }
}

static uint64_t last_acknowledged(int from, uint64_t before)
{
    uint64_t count, last = before;
    while (read(from, &count, sizeof count) == sizeof count)
        last = count;
    return last;
}

/* Returns the count of the last batch that was acknowledged. */
static uint64_t write_and_kill(uint64_t count, unsigned after_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        write_until_killed(count, ends[1]);
    }
    close(ends[1]);
    usleep(after_us);
    kill(child, SIGKILL);
    uint64_t last = last_acknowledged(ends[0], count);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    return last;
}

static void test_no_kill_loses_what_was_acknowledged(void **state)
{
    struct model model;
    uint64_t random = 5, acknowledged = 0, written = 0;
    (void)state;
    model_init(&model, SEED, VALUE_MAX);
    for (unsigned i = 0; i < KILLS * how_long(); i++) {
        uint64_t before = model.count, count;
        struct store_port port;
        struct err err = { 0 };
        acknowledged = write_and_kill(before, 3000 + (unsigned)random_below(&random, 30000));
        written += acknowledged - before;

        open_store(&port);
        assert_true(model_read_count(&port, &count, &err));
        assert_true(count == acknowledged || count == acknowledged + 1);
        model_go_to(&model, count);
        assert_true(model_agrees(&model, &port));
        port.close(port.self);
    }
    print_message("%u kills, %llu batches acknowledged\n", KILLS * how_long(),
                  (unsigned long long)written);
    assert_true(written > KILLS);
    model_release(&model);
}

static int setup(void **state)
{
    (void)state;
    scratch_make_fast(directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        test_no_kill_loses_what_was_acknowledged) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
