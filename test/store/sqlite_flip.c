/* SPDX-License-Identifier: Apache-2.0
 * sqlite_flip.c - single bits of the file rot: either someone says so, or it does not matter. */
#include "model.h"
#include "store/sqlite/sqlite.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <unistd.h>
/* cmocka needs setjmp.h and stdarg.h */
#include <cmocka.h>

#define FLIPS   750 /* of each of two files */
#define BATCHES 150

static char directory[256];

struct image {
    unsigned char *bytes;
    size_t size;
};

static bool open_store(struct store_port *ret, struct err *err)
{
    struct store_sqlite_options options = { .eager = true };
    *err = (struct err){ 0 };
    return store_sqlite_open(ret, directory, &options, err);
}

static void write_batches(struct store_port *port, struct model *model, unsigned batches)
{
    struct err err = { 0 };
    for (unsigned i = 0; i < batches; i++) {
        struct store_batch batch = model_make(model);
        assert_int_equal(port->commit(port->self, &batch, &err), STORE_DURABLE);
        model_accept(model);
    }
}

static struct image read_image(const char *name)
{
    FILE *file = fopen(scratch_file(directory, name), "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    struct image image = { NULL, (size_t)ftell(file) };
    rewind(file);
    image.bytes = malloc(image.size);
    assert_non_null(image.bytes);
    assert_int_equal(fread(image.bytes, 1, image.size, file), image.size);
    fclose(file);
    return image;
}

static void write_image(const struct image *image)
{
    FILE *file = fopen(scratch_file(directory, "dides.db"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(image->bytes, 1, image->size, file), image->size);
    fclose(file);
    unlink(scratch_file(directory, "dides.db-wal"));
    unlink(scratch_file(directory, "dides.db-shm"));
}

/* Whether the rot was noticed. Fails the test when the store serves something else in silence. */
static bool is_noticed(const struct model *model)
{
    struct store_port port;
    struct err err;
    if (!open_store(&port, &err)) {
        assert_int_not_equal(err.code, ERR_NONE);
        return true;
    }
    bool agrees = model_agrees(model, &port);
    bool stopped = port.commit(port.self, &(struct store_batch){ 0 }, &err) == STORE_UNKNOWN;
    port.close(port.self);
    assert_true(agrees || stopped);
    return stopped;
}

/* A store that took no notice goes on for a while; that may not end in silence either. */
static bool is_noticed_later(struct model *model)
{
    struct store_port port;
    struct err err;
    uint64_t count = model->count;
    if (!open_store(&port, &err))
        return true;
    for (unsigned i = 0; i < 5; i++) {
        struct store_batch batch = model_make(model);
        if (port.commit(port.self, &batch, &err) == STORE_DURABLE)
            model_accept(model);
        port.tend(port.self, 5);
    }
    port.close(port.self);
    bool noticed = model->count != count + 5 || is_noticed(model);
    model_go_to(model, count);
    return noticed;
}

struct tally {
    unsigned noticed, later;
};

static void flip_bits(struct image *image, struct model *model, struct tally *ret)
{
    uint64_t random = 99;
    *ret = (struct tally){ 0 };
    for (unsigned i = 0; i < FLIPS * how_long(); i++) {
        size_t bit = random_below(&random, image->size * 8);
        if (i % 4 == 0) /* the head of the file is small and matters most */
            bit = random_below(&random, 200 * 8);
        image->bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        write_image(image);
        if (is_noticed(model))
            ret->noticed++;
        else
            ret->later += is_noticed_later(model);
        image->bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
}

static void make_dense(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "VACUUM", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Of the file itself much is free space; its backup is made dense. */
static void test_no_flipped_bit_changes_data_in_silence(void **state)
{
    static const char *const names[] = { "dides.db", "backup.db" };
    struct model model;
    struct store_port port;
    struct err err;
    (void)state;
    model_init(&model, 2, 400);
    assert_true(open_store(&port, &err));
    write_batches(&port, &model, BATCHES);
    model_backup(&port, scratch_file(directory, names[1]));
    make_dense(scratch_file(directory, names[1]));
    port.close(port.self);

    for (unsigned i = 0; i < 2; i++) {
        struct image image = read_image(names[i]);
        struct tally tally;
        flip_bits(&image, &model, &tally);
        print_message("%s: of %u flips %u were noticed at once, %u later, 0 changed data\n",
                      names[i], FLIPS * how_long(), tally.noticed, tally.later);
        assert_true(tally.noticed > FLIPS / 10);
        write_image(&image);
        assert_false(is_noticed(&model));
        free(image.bytes);
    }
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
        test_no_flipped_bit_changes_data_in_silence) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
