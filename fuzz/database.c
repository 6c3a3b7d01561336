/* SPDX-License-Identifier: Apache-2.0
 * database.c - a database file with bytes changed: a start, a look at it and a restore see the
 * rows that were stored, or refuse. An input is a list of changes: offset (2 bytes, big-endian,
 * modulo the size), length (1), and so many bytes. */
#include "fuzz.h"
#include "store/sqlite/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct buffer original;

#define ROWS 5

static bool add_row(void *ctx, struct text key, struct text value)
{
    struct buffer *out = ctx;
    buffer_add(out, key);
    buffer_add_byte(out, ' ');
    buffer_add(out, value);
    buffer_add_byte(out, '\n');
    return true;
}

static void in_folder(char *space, size_t size, const char *name)
{
    CLAIM(snprintf(space, size, "%s/%s", fuzz_folder(), name) < (int)size);
}

static void write_rows(const char *directory)
{
    struct store_port store;
    struct store_sqlite_options options = { .eager = true };
    CLAIM(store_sqlite_open(&store, directory, &options, NULL));
    for (char i = 0; i < ROWS; i++) {
        char key[] = "instance/a";
        key[9] = (char)('a' + i);
        struct store_op op = { .key = text_from(key), .value = TEXT("{\"name\":\"web\"}") };
        struct store_batch batch = { .ops = &op, .count = 1 };
        CLAIM(store.commit(store.self, &batch, NULL) == STORE_DURABLE);
        if (i == 2) /* three are folded, two are not */
            while (store.tend(store.self, 1000))
                continue;
    }
    store.close(store.self);
}

/* A small database, once. */
static void make_original(void)
{
    char directory[512], path[600], copy[600];
    struct stat facts;
    in_folder(directory, sizeof directory, "data");
    in_folder(copy, sizeof copy, "original.db");
    write_rows(directory);
    int to = open(copy, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CLAIM(to >= 0 && store_sqlite_copy(directory, copy, to, NULL));
    CLAIM(fstat(to, &facts) == 0);
    buffer_init(&original, &memory_heap, FUZZ_ROOM);
    CLAIM(pread(to, buffer_reserve(&original, (size_t)facts.st_size), (size_t)facts.st_size, 0) ==
          facts.st_size);
    close(to);
    static const char *const files[] = { "dides.db", "dides.db-wal", "dides.db-shm", "lock" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static void change(struct buffer *bytes, struct text input)
{
    while (input.size >= 3) {
        const unsigned char *at = (const unsigned char *)input.data;
        size_t offset = (at[0] * 256u + at[1]) % bytes->size;
        size_t size = at[2];
        input = text_skip(input, 3);
        size = size < input.size ? size : input.size;
        size = size < bytes->size - offset ? size : bytes->size - offset;
        memcpy(bytes->data + offset, input.data, size);
        input = text_skip(input, size ? size : 1);
    }
}

static const char expected[] = "instance/a {\"name\":\"web\"}\ninstance/b {\"name\":\"web\"}\n"
                               "instance/c {\"name\":\"web\"}\ninstance/d {\"name\":\"web\"}\n"
                               "instance/e {\"name\":\"web\"}\n";

/* Whoever starts on it sees what was stored. */
static void open_restored(const char *directory, struct fuzz *f)
{
    struct store_port store;
    if (!store_sqlite_open(&store, directory, NULL, &f->err))
        return;
    if (store.scan(store.self, TEXT_NONE, TEXT_NONE, 0, add_row, &f->again, &f->err))
        fuzz_claim_equal(buffer_text(&f->again), text_from(expected));
    store.close(store.self);
}

static void remove_restored(const char *directory)
{
    static const char *const files[] = { "dides.db", "dides.db-wal", "dides.db-shm", "lock" };
    char path[600];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        (void)unlink(path);
    }
    CLAIM(rmdir(directory) == 0 || errno == ENOENT);
}

void fuzz_database(struct text input)
{
    struct fuzz f;
    struct store_sqlite_facts facts;
    struct store_sqlite_restored restored;
    char directory[512];
    if (!original.data)
        make_original();
    fuzz_begin(&f);
    buffer_add(&f.out, buffer_text(&original));
    change(&f.out, input);
    const char *path = fuzz_file("changed.db", buffer_text(&f.out));
    if (store_sqlite_verify(path, &facts, &f.err)) {
        CLAIM(facts.rows == ROWS && facts.format >= 1 && facts.term >= 1);
        in_folder(directory, sizeof directory, "restored");
        /* What can be read need not be what can be written. */
        if (store_sqlite_restore(directory, path, false, &restored, &f.err)) {
            open_restored(directory, &f);
            CLAIM(f.again.size > 0);
        }
        remove_restored(directory);
    } else {
        fuzz_claim_safe(text_from(f.err.text));
    }
    fuzz_end(&f);
}
