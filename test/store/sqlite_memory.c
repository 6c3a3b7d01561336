/* SPDX-License-Identifier: Apache-2.0
 * sqlite_memory.c - every request for memory of a store fails in turn, ours and SQLite's, once and
 * for ever after: nothing leaks, nothing acknowledged is lost, nothing refused appears. */
#include "model.h"
#include "store/sqlite/sqlite.h"

#include <inttypes.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

#define BATCHES   6
#define VALUE_MAX 400

static char directory[256];

/* ---- memory that runs out ------------------------------------------------------------------- */

static struct {
    uint64_t requests, fail_at; /* 0: none */
    bool for_ever, is_armed;    /* armed: inside the store, not in the test */
    uint64_t failures;
    int64_t blocks; /* taken and not given back */
} heap;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static bool must_fail(void)
{
    if (!heap.is_armed || ++heap.requests < heap.fail_at || heap.fail_at == 0)
        return false;
    bool fails = heap.for_ever || heap.requests == heap.fail_at;
    heap.failures += fails;
    return fails;
}

static void *count(void *block)
{
    heap.blocks += block != NULL;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t number, size_t size)
{
    return must_fail() ? NULL : count(__real_calloc(number, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (must_fail())
        return NULL;
    void *moved = __real_realloc(block, size);
    heap.blocks += !block && moved;
    return moved;
}

void __wrap_free(void *block)
{
    heap.blocks -= block != NULL;
    __real_free(block);
}

/* SQLite asks how large its blocks are; the size stands in front of each. */
struct head {
    _Alignas(max_align_t) size_t size;
};

static void *lite_malloc(int size)
{
    struct head *head = __wrap_malloc(sizeof *head + (size_t)size);
    if (!head)
        return NULL;
    head->size = (size_t)size;
    return head + 1;
}

static void lite_free(void *block)
{
    if (block)
        __wrap_free((struct head *)block - 1);
}

static void *lite_realloc(void *block, int size)
{
    struct head *head = __wrap_realloc((struct head *)block - 1, sizeof *head + (size_t)size);
    if (!head)
        return NULL;
    head->size = (size_t)size;
    return head + 1;
}

static int lite_size(void *block)
{
    return block ? (int)((struct head *)block - 1)->size : 0;
}

static int lite_roundup(int size)
{
    return (size + 7) & ~7;
}

static int lite_init(void *unused)
{
    (void)unused;
    return SQLITE_OK;
}

static void lite_shutdown(void *unused)
{
    (void)unused;
}

static const sqlite3_mem_methods lite = { lite_malloc,  lite_free, lite_realloc,  lite_size,
                                          lite_roundup, lite_init, lite_shutdown, NULL };

/* ---- the story ------------------------------------------------------------------------------ */

struct outcome {
    struct model model; /* as acknowledged */
    uint64_t term;
    bool is_unknown, term_is_unknown;
};

static bool open_store(struct store_port *ret, struct err *err)
{
    struct store_sqlite_options options = { .eager = true };
    *err = (struct err){ 0 };
    heap.is_armed = true;
    bool opened = store_sqlite_open(ret, directory, &options, err);
    heap.is_armed = false;
    return opened;
}

static void commit(struct store_port *port, struct outcome *o)
{
    struct err err = { 0 };
    struct store_batch batch = model_make(&o->model);
    heap.is_armed = true;
    enum store_result result = port->commit(port->self, &batch, &err);
    heap.is_armed = false;
    assert_true(result == STORE_DURABLE || err.code != ERR_NONE);
    if (result == STORE_DURABLE && o->is_unknown)
        fail_msg("a store that had stopped took a batch");
    if (result == STORE_DURABLE)
        model_accept(&o->model);
    o->is_unknown |= result == STORE_UNKNOWN;
}

static void raise_term(struct store_port *port, struct outcome *o)
{
    struct err err = { 0 };
    heap.is_armed = true;
    enum store_result result = port->raise_term(port->self, o->term + 1, &err);
    heap.is_armed = false;
    if (result == STORE_DURABLE)
        o->term++;
    o->term_is_unknown |= result == STORE_UNKNOWN;
    o->is_unknown |= result == STORE_UNKNOWN;
}

static void back_up(struct store_port *port)
{
    enum store_backup step = STORE_BACKUP_MORE;
    struct err err = { 0 };
    int file = -1;
    heap.is_armed = true;
    if (port->backup_begin(port->self, &err))
        while (step == STORE_BACKUP_MORE)
            step = port->backup_step(port->self, 10, &file, &err);
    heap.is_armed = false;
    assert_true(step == STORE_BACKUP_DONE || err.code != ERR_NONE);
    if (file >= 0)
        close(file);
}

static void tell(struct outcome *o)
{
    struct store_port port;
    struct err err;
    if (!open_store(&port, &err)) {
        assert_int_not_equal(err.code, ERR_NONE);
        return;
    }
    for (unsigned i = 0; i < BATCHES && !o->is_unknown; i++) {
        commit(&port, o);
        heap.is_armed = true;
        if (i % 2 == 1)
            port.tend(port.self, 10);
        heap.is_armed = false;
    }
    if (!o->is_unknown)
        back_up(&port);
    if (!o->is_unknown)
        raise_term(&port, o);
    heap.is_armed = true;
    port.close(port.self);
    heap.is_armed = false;
}

static void assert_holds(struct outcome *o)
{
    struct store_port port;
    struct err err;
    uint64_t found = 0;
    if (!open_store(&port, &err) || !model_read_count(&port, &found, &err))
        fail_msg("%s", err.text);
    bool is_next = o->is_unknown && found == o->model.count + 1;
    if (found != o->model.count && !is_next)
        fail_msg("%" PRIu64 " batches are there, %" PRIu64 " were acknowledged", found,
                 o->model.count);
    uint64_t term = port.term(port.self);
    assert_true(term == o->term || (o->term_is_unknown && term == o->term + 1));
    model_go_to(&o->model, found);
    assert_true(model_agrees(&o->model, &port));
    port.close(port.self);
}

static void forget(void)
{
    static const char *const names[] = { "dides.db", "dides.db-wal", "dides.db-shm", "backup.tmp" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(scratch_file(directory, names[i]));
}

/* Whether a request failed. */
static bool try_with(uint64_t fail_at, bool for_ever)
{
    struct outcome o = { .term = 1 };
    forget();
    model_init(&o.model, 3, VALUE_MAX);
    int64_t blocks_before = heap.blocks;
    heap.requests = heap.failures = 0;
    heap.fail_at = fail_at;
    heap.for_ever = for_ever;

    tell(&o);

    bool has_failed = heap.failures > 0;
    heap.fail_at = 0;
    model_go_to(&o.model, o.model.count); /* gives back what was made and not taken */
    int64_t of_model = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++)
        of_model += o.model.values[i].data != NULL;
    assert_int_equal(heap.blocks, blocks_before + of_model);
    assert_holds(&o);
    model_release(&o.model);
    return has_failed;
}

static uint64_t try_all(bool for_ever, uint64_t step)
{
    uint64_t n = 1, tries = 0;
    for (; try_with(n, for_ever); n += step)
        tries++;
    print_message("%" PRIu64 " of %" PRIu64 " requests failed, %s\n", tries, n,
                  for_ever ? "and all after them" : "each alone");
    return tries;
}

static void test_a_request_that_fails_leaks_nothing_and_loses_nothing(void **state)
{
    (void)state;
    assert_true(try_all(false, how_long() > 1 ? 1 : 3) > 100);
}

static void test_memory_that_is_gone_for_ever_leaks_nothing_and_loses_nothing(void **state)
{
    (void)state;
    assert_true(try_all(true, how_long() > 1 ? 1 : 3) > 100);
}

static int setup(void **state)
{
    (void)state;
    /* No lookaside: every request is one of the heap. */
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &lite) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK ||
        sqlite3_initialize() != SQLITE_OK)
        return -1;
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_that_fails_leaks_nothing_and_loses_nothing),
        cmocka_unit_test(test_memory_that_is_gone_for_ever_leaks_nothing_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
