/* SPDX-License-Identifier: Apache-2.0
 * disk.c - a disk in memory as an SQLite VFS. One connection at a time, so locks always succeed. */
#include "disk.h"

#include "model.h"

#include <assert.h>
#include <sqlite3.h>

#define FILES       8
#define NAME_SIZE   512
#define SECTOR      512
#define SHM_REGIONS 16

struct content {
    unsigned char *bytes;
    size_t size, capacity;
};

/* One sector of a write, or a truncation (bytes NULL). */
struct change {
    size_t offset, size;
    unsigned char *bytes;
};

struct disk_file {
    char name[NAME_SIZE]; /* "": unused */
    bool exists;
    struct content cache, durable;
    struct change *changes; /* since the last flush */
    size_t change_count, change_capacity;
    unsigned char *shm[SHM_REGIONS];
};

static struct {
    struct disk_file files[FILES];
    enum disk_fault fault;
    uint64_t at, operations, random;
    bool is_off, is_full, is_lying, has_failed;
} disk;

struct handle {
    sqlite3_file base;
    struct disk_file *file;
};

static struct disk_file *file_of(sqlite3_file *handle)
{
    return ((struct handle *)handle)->file;
}

static void resize(struct content *c, size_t size)
{
    if (size > c->capacity) {
        size_t capacity = size * 2;
        c->bytes = realloc(c->bytes, capacity);
        assert(c->bytes);
        c->capacity = capacity;
    }
    if (size > c->size)
        memset(c->bytes + c->size, 0, size - c->size);
    c->size = size;
}

static void apply(struct content *c, const struct change *change)
{
    if (!change->bytes) {
        if (change->offset < c->size)
            resize(c, change->offset);
        return;
    }
    if (change->offset + change->size > c->size)
        resize(c, change->offset + change->size);
    memcpy(c->bytes + change->offset, change->bytes, change->size);
}

static void drop_changes(struct disk_file *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        free(f->changes[i].bytes);
    f->change_count = 0;
}

static void add_change(struct disk_file *f, size_t offset, const void *bytes, size_t size)
{
    if (f->change_count == f->change_capacity) {
        f->change_capacity = f->change_capacity * 2 + 16;
        f->changes = realloc(f->changes, f->change_capacity * sizeof *f->changes);
        assert(f->changes);
    }
    struct change change = { offset, size, NULL };
    if (bytes) {
        change.bytes = malloc(size);
        assert(change.bytes);
        memcpy(change.bytes, bytes, size);
    }
    f->changes[f->change_count++] = change;
    apply(&f->cache, &change);
}

static void add_write(struct disk_file *f, size_t offset, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        size_t part = SECTOR - offset % SECTOR;
        part = part < size ? part : size;
        add_change(f, offset, bytes, part);
        offset += part;
        bytes += part;
        size -= part;
    }
}

/* What a computer finds after a power cut. */
static void lose_power(struct disk_file *f)
{
    for (size_t i = 0; i < f->change_count; i++) {
        if (random_below(&disk.random, 2) == 0)
            apply(&f->durable, &f->changes[i]);
    }
    drop_changes(f);
    resize(&f->cache, 0);
    resize(&f->cache, f->durable.size);
    if (f->durable.size > 0)
        memcpy(f->cache.bytes, f->durable.bytes, f->durable.size);
}

/* SQLITE_OK, or the planned failure. `is_write`: the operation may need room. */
static int operate(int error, bool is_write)
{
    if (disk.is_off)
        return error;
    if (disk.is_full && is_write)
        return SQLITE_FULL;
    if (++disk.operations != disk.at || disk.fault == DISK_NO_FAULT)
        return SQLITE_OK;
    disk.has_failed = true;
    disk.is_off = disk.fault == DISK_CUT;
    disk.is_full = disk.fault == DISK_FULL;
    if (disk.is_full)
        return is_write ? SQLITE_FULL : SQLITE_OK;
    return error;
}

static int disk_close(sqlite3_file *handle)
{
    (void)handle;
    return SQLITE_OK;
}

static int disk_read(sqlite3_file *handle, void *out, int count, sqlite3_int64 offset)
{
    const struct content *c = &file_of(handle)->cache;
    size_t from = (size_t)offset, size = (size_t)count;
    if (disk.is_off)
        return SQLITE_IOERR_READ;
    size_t there = from >= c->size ? 0 : c->size - from < size ? c->size - from : size;
    if (there > 0)
        memcpy(out, c->bytes + from, there);
    memset((char *)out + there, 0, size - there);
    return there == size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int disk_write(sqlite3_file *handle, const void *in, int count, sqlite3_int64 offset)
{
    struct disk_file *f = file_of(handle);
    bool was_off = disk.is_off;
    int code = operate(SQLITE_IOERR_WRITE, true);
    if (code == SQLITE_OK)
        add_write(f, (size_t)offset, in, (size_t)count);
    else if (!was_off) /* any part of a write that fails may have been done */
        add_write(f, (size_t)offset, in, random_below(&disk.random, (uint64_t)count));
    return code;
}

static int disk_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    int code = operate(SQLITE_IOERR_TRUNCATE, false);
    if (code == SQLITE_OK)
        add_change(file_of(handle), (size_t)size, NULL, 0);
    return code;
}

static int disk_sync(sqlite3_file *handle, int flags)
{
    struct disk_file *f = file_of(handle);
    (void)flags;
    int code = operate(SQLITE_IOERR_FSYNC, false);
    if (disk.is_lying || disk.is_off)
        return code;
    for (size_t i = 0; code == SQLITE_OK && i < f->change_count; i++)
        apply(&f->durable, &f->changes[i]);
    drop_changes(f); /* also after a failure */
    return code;
}

static int disk_size(sqlite3_file *handle, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)file_of(handle)->cache.size;
    return disk.is_off ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int disk_lock(sqlite3_file *handle, int lock)
{
    (void)handle, (void)lock;
    return SQLITE_OK;
}

static int disk_check_lock(sqlite3_file *handle, int *ret)
{
    (void)handle;
    *ret = 0;
    return SQLITE_OK;
}

static int disk_control(sqlite3_file *handle, int what, void *argument)
{
    (void)handle, (void)what, (void)argument;
    return SQLITE_NOTFOUND;
}

static int disk_sector(sqlite3_file *handle)
{
    (void)handle;
    return 4096;
}

static int disk_characteristics(sqlite3_file *handle)
{
    (void)handle;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as the real VFS says on Linux */
}

static int disk_shm_map(sqlite3_file *handle, int region, int size, int extend, void volatile **ret)
{
    struct disk_file *f = file_of(handle);
    assert(region < SHM_REGIONS);
    if (!f->shm[region] && extend)
        f->shm[region] = calloc(1, (size_t)size);
    *ret = f->shm[region];
    return SQLITE_OK;
}

static int disk_shm_lock(sqlite3_file *handle, int offset, int count, int flags)
{
    (void)handle, (void)offset, (void)count, (void)flags;
    return SQLITE_OK;
}

static void disk_shm_barrier(sqlite3_file *handle)
{
    (void)handle;
}

static void drop_shm(struct disk_file *f)
{
    for (int i = 0; i < SHM_REGIONS; i++) {
        free(f->shm[i]);
        f->shm[i] = NULL;
    }
}

static int disk_shm_unmap(sqlite3_file *handle, int should_delete)
{
    if (should_delete)
        drop_shm(file_of(handle));
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_lock,
    .xCheckReservedLock = disk_check_lock,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_characteristics,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

/* NULL: it is not there, and `create` is false. */
static struct disk_file *find_file(const char *name, bool create)
{
    struct disk_file *unused = NULL;
    for (int i = 0; i < FILES; i++) {
        if (strcmp(disk.files[i].name, name) == 0)
            return &disk.files[i];
        if (!unused && disk.files[i].name[0] == '\0')
            unused = &disk.files[i];
    }
    if (!create)
        return NULL;
    assert(unused && strlen(name) < NAME_SIZE);
    snprintf(unused->name, NAME_SIZE, "%s", name);
    return unused;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *handle, int flags, int *ret)
{
    (void)vfs;
    assert(name); /* temporary tables stay in memory */
    *(struct handle *)handle = (struct handle){ 0 };
    if (disk.is_off)
        return SQLITE_CANTOPEN;
    struct disk_file *f = find_file(name, true);
    f->exists = true;
    *(struct handle *)handle = (struct handle){ { &methods }, f };
    if (ret)
        *ret = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int flush)
{
    (void)vfs, (void)flush;
    int code = operate(SQLITE_IOERR_DELETE, false);
    struct disk_file *f = find_file(name, false);
    if (code != SQLITE_OK || !f || !f->exists)
        return code == SQLITE_OK ? SQLITE_IOERR_DELETE_NOENT : code;
    f->exists = false;
    drop_changes(f);
    resize(&f->cache, 0);
    resize(&f->durable, 0);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs, (void)flags;
    const struct disk_file *f = find_file(name, false);
    *ret = f && f->exists && (flags != SQLITE_ACCESS_EXISTS || f->cache.size > 0);
    return disk.is_off ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void)vfs;
    snprintf(out, (size_t)size, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    for (int i = 0; i < size; i++)
        out[i] = (char)random_next(&disk.random);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
    (void)vfs;
    *ret = 2460000.5;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs, (void)size, (void)out;
    return 0;
}

void disk_register(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 1,
        .szOsFile = sizeof(struct handle),
        .mxPathname = NAME_SIZE - 16,
        .zName = DISK_VFS,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
    };
    int code = sqlite3_vfs_register(&vfs, 0);
    assert(code == SQLITE_OK);
    (void)code;
}

void disk_reset(enum disk_fault fault, uint64_t at, uint64_t seed)
{
    for (int i = 0; i < FILES; i++) {
        struct disk_file *f = &disk.files[i];
        drop_changes(f);
        drop_shm(f);
        free(f->changes);
        free(f->cache.bytes);
        free(f->durable.bytes);
        *f = (struct disk_file){ 0 };
    }
    disk.fault = fault;
    disk.at = at;
    disk.operations = 0;
    disk.random = seed;
    disk.is_off = disk.is_full = disk.is_lying = disk.has_failed = false;
}

void disk_restart(void)
{
    for (int i = 0; i < FILES; i++) {
        lose_power(&disk.files[i]);
        drop_shm(&disk.files[i]);
    }
    disk.fault = DISK_NO_FAULT;
    disk.is_off = disk.is_full = disk.is_lying = false;
}

void disk_add_room(void)
{
    disk.is_full = false;
}

bool disk_has_failed(void)
{
    return disk.has_failed;
}

uint64_t disk_operations(void)
{
    return disk.operations;
}

void disk_cut(void)
{
    disk.is_off = true;
}

void disk_lie(void)
{
    disk.is_lying = true;
}
