/* SPDX-License-Identifier: Apache-2.0
 * model.c - the model of a store, and scratch directories. */
#include "model.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MEMORY_FOLDER      "/dev/shm"
#define MEMORY_FOLDER_ROOM (48ull << 20)

uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return random_next(state) % bound;
}

static struct text random_text(uint64_t *state, size_t size)
{
    bool is_binary = random_below(state, 4) == 0;
    char *bytes = malloc(size + 1);
    assert(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = is_binary ? (char)random_next(state) : (char)('a' + random_below(state, 26));
    bytes[size] = '\0';
    return (struct text){ bytes, size };
}

static void text_free(struct text *t)
{
    free((void *)(uintptr_t)t->data);
    *t = TEXT_NONE;
}

static int compare_keys(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* Keys of all bytes, made different by their last two; the first byte sorts them after "count". */
static void make_keys(struct model *model)
{
    uint64_t state = model->seed;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        size_t size = 3 + random_below(&state, 40);
        struct text key = random_text(&state, size);
        char *bytes = (char *)(uintptr_t)key.data;
        bytes[0] = (char)('d' + i % 5);
        bytes[size - 2] = (char)(i >> 8);
        bytes[size - 1] = (char)i;
        model->keys[i] = key;
    }
    text_free(&model->keys[0]);
    model->keys[0] = (struct text){ strdup("count"), 5 };
    assert(model->keys[0].data);
    qsort(model->keys, MODEL_KEYS, sizeof model->keys[0], compare_keys);
}

void model_init(struct model *model, uint64_t seed, size_t value_max)
{
    *model = (struct model){ .seed = seed, .value_max = value_max };
    make_keys(model);
}

static void forget_batch(struct model *model)
{
    for (size_t i = 0; i < model->op_count; i++)
        text_free(&model->ops[i].value);
    model->op_count = 0;
}

static void forget_values(struct model *model)
{
    for (size_t i = 0; i < MODEL_KEYS; i++)
        text_free(&model->values[i]);
    model->count = 0;
}

void model_release(struct model *model)
{
    forget_batch(model);
    forget_values(model);
    for (size_t i = 0; i < MODEL_KEYS; i++)
        text_free(&model->keys[i]);
}

static struct text count_text(uint64_t count)
{
    char *bytes = malloc(32);
    assert(bytes);
    int size = snprintf(bytes, 32, "%" PRIu64, count);
    return (struct text){ bytes, (size_t)size };
}

static void add_op(struct model *model, size_t key, bool is_delete, struct text value)
{
    size_t i = model->op_count++;
    model->op_keys[i] = key;
    model->ops[i] = (struct store_op){ is_delete, model->keys[key], value };
}

struct store_batch model_make(struct model *model)
{
    uint64_t state = model->seed ^ (model->count + 1) * 0x2545f4914f6cdd1du;
    forget_batch(model);
    size_t others = random_below(&state, MODEL_OPS);
    size_t place = others > 0 ? random_below(&state, others) : 0;
    for (size_t i = 0; i < others || i == place; i++) {
        if (i == place)
            add_op(model, 0, false, count_text(model->count + 1));
        if (i == others)
            break;
        size_t key = 1 + random_below(&state, MODEL_KEYS - 1);
        if (random_below(&state, 4) == 0)
            add_op(model, key, true, TEXT_NONE);
        else
            add_op(model, key, false, random_text(&state, random_below(&state, model->value_max)));
    }
    return (struct store_batch){ .ops = model->ops, .count = model->op_count };
}

void model_accept(struct model *model)
{
    assert(model->op_count > 0);
    for (size_t i = 0; i < model->op_count; i++) {
        struct text *value = &model->values[model->op_keys[i]];
        text_free(value);
        if (model->ops[i].is_delete)
            continue;
        *value = model->ops[i].value;
        model->ops[i].value = TEXT_NONE; /* moved */
    }
    model->op_count = 0;
    model->count++;
}

void model_go_to(struct model *model, uint64_t count)
{
    forget_batch(model);
    if (count < model->count)
        forget_values(model);
    while (model->count < count) {
        model_make(model);
        model_accept(model);
    }
}

struct comparison {
    const struct model *model;
    size_t next;
    bool differs;
};

static void skip_absent(struct comparison *c)
{
    while (c->next < MODEL_KEYS && !c->model->values[c->next].data)
        c->next++;
}

/* Goes on after a difference: the store checks more when it is read to the end. */
static bool compare_pair(void *ctx, struct text key, struct text value)
{
    struct comparison *c = ctx;
    if (c->differs)
        return true;
    skip_absent(c);
    c->differs = c->next == MODEL_KEYS || !text_equal(key, c->model->keys[c->next]) ||
                 !text_equal(value, c->model->values[c->next]);
    if (c->differs)
        fprintf(stderr, "after %" PRIu64 " batches: key %zu differs\n", c->model->count, c->next);
    c->next++;
    return true;
}

bool model_agrees(const struct model *model, const struct store_port *port)
{
    struct comparison c = { model, 0, false };
    struct err err = { 0 };
    if (!port->scan(port->self, TEXT_NONE, TEXT_NONE, 0, compare_pair, &c, &err)) {
        fprintf(stderr, "after %" PRIu64 " batches: %s\n", model->count, err.text);
        return false;
    }
    skip_absent(&c);
    if (!c.differs && c.next < MODEL_KEYS)
        fprintf(stderr, "after %" PRIu64 " batches: key %zu is missing\n", model->count, c.next);
    return !c.differs && c.next == MODEL_KEYS;
}

static bool read_count(void *ctx, struct text key, struct text value)
{
    assert(text_equal(key, TEXT("count")));
    return text_to_u64(value, UINT64_MAX, ctx);
}

bool model_read_count(const struct store_port *port, uint64_t *ret, struct err *err)
{
    *ret = 0;
    return port->scan(port->self, TEXT("count"), TEXT("count0"), 0, read_count, ret, err);
}

/* ---- backups -------------------------------------------------------------------------------- */

void model_save(int file, const char *path)
{
    char space[65536];
    ssize_t got;
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert(to >= 0);
    while ((got = read(file, space, sizeof space)) > 0) {
        ssize_t put = write(to, space, (size_t)got);
        assert(put == got);
        (void)put;
    }
    assert(got == 0);
    close(to);
    close(file);
}

void model_backup(const struct store_port *port, const char *path)
{
    struct err err = { 0 };
    int file = -1;
    bool begun = port->backup_begin(port->self, &err);
    enum store_backup step = STORE_BACKUP_MORE;
    assert(begun);
    (void)begun;
    while (step == STORE_BACKUP_MORE)
        step = port->backup_step(port->self, 0, &file, &err);
    assert(step == STORE_BACKUP_DONE && file >= 0);
    model_save(file, path);
}

unsigned how_long(void)
{
    const char *wish = getenv("DIDES_LONG");
    uint64_t times = 1;
    return wish && text_to_u64(text_from(wish), 10000, &times) && times > 0 ? (unsigned)times : 1;
}

/* ---- scratch directories -------------------------------------------------------------------- */

static void make_below(const char *below, char space[static 256])
{
    snprintf(space, 256, "%s/dides-store-XXXXXX", below);
    const char *made = mkdtemp(space);
    assert(made);
    (void)made;
}

void scratch_make(char space[static 256])
{
    const char *below = getenv("TMPDIR");
    make_below(below ? below : P_tmpdir, space);
}

void scratch_make_fast(char space[static 256])
{
    struct statvfs room;
    if (statvfs(MEMORY_FOLDER, &room) == 0 && access(MEMORY_FOLDER, W_OK) == 0 &&
        room.f_bavail * room.f_frsize >= MEMORY_FOLDER_ROOM)
        make_below(MEMORY_FOLDER, space);
    else
        scratch_make(space);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

void scratch_remove(const char *directory)
{
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_file(const char *directory, const char *name)
{
    static char spaces[2][PATH_MAX];
    static unsigned turn;
    char *space = spaces[turn++ % 2];
    snprintf(space, PATH_MAX, "%s/%s", directory, name);
    return space;
}
