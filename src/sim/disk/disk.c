/* SPDX-License-Identifier: Apache-2.0
 * disk.c - a disk in memory as an SQLite VFS. One connection at a time, so locks always succeed. */
#include "sim/disk/disk.h"

#include "sim/dice.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    uint64_t at, operations;
    struct sim_dice dice;
    bool is_off, is_full, is_lying, has_failed;
} disk;

/* What was done, for disk_replay(). */
struct entry {
    enum { ENTRY_CREATE, ENTRY_CHANGE, ENTRY_FLUSH, ENTRY_DELETE } kind;
    uint64_t operation;
    size_t file;
    struct change change; /* of ENTRY_CHANGE; the bytes are its own */
};

static struct {
    bool is_on;
    struct entry *entries;
    size_t count, capacity;
    size_t done;                   /* by disk_replay() */
    struct disk_file files[FILES]; /* as of `done`: durable content and the changes since */
} record;

struct handle {
    sqlite3_file base;
    struct disk_file *file;
};

static struct disk_file *file_of(sqlite3_file *handle)
{
    return ((struct handle *)handle)->file;
}

static void *copy_of(const void *bytes, size_t size)
{
    void *copy = malloc(size);
    assert(copy);
    memcpy(copy, bytes, size);
    return copy;
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

static void keep_entry(const struct disk_file *f, struct entry entry)
{
    if (!record.is_on)
        return;
    if (record.count == record.capacity) {
        record.capacity = record.capacity * 2 + 1024;
        record.entries = realloc(record.entries, record.capacity * sizeof record.entries[0]);
        assert(record.entries);
    }
    entry.operation = disk.operations;
    entry.file = (size_t)(f - disk.files);
    if (entry.change.bytes)
        entry.change.bytes = copy_of(entry.change.bytes, entry.change.size);
    record.entries[record.count++] = entry;
}

static void note_change(struct disk_file *f, struct change change)
{
    if (f->change_count == f->change_capacity) {
        f->change_capacity = f->change_capacity * 2 + 16;
        f->changes = realloc(f->changes, f->change_capacity * sizeof *f->changes);
        assert(f->changes);
    }
    f->changes[f->change_count++] = change;
}

static void add_change(struct disk_file *f, size_t offset, const void *bytes, size_t size)
{
    struct change change = { offset, size, bytes ? copy_of(bytes, size) : NULL };
    note_change(f, change);
    apply(&f->cache, &change);
    keep_entry(f, (struct entry){ .kind = ENTRY_CHANGE, .change = change });
}

/* A sector is written or not: what a cut leaves is decided for each. */
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

static void empty(struct disk_file *f)
{
    f->exists = false;
    drop_changes(f);
    resize(&f->cache, 0);
    resize(&f->durable, 0);
}

static void copy_content(struct content *to, const struct content *from)
{
    resize(to, 0);
    resize(to, from->size);
    if (from->size > 0)
        memcpy(to->bytes, from->bytes, from->size);
}

static void make_durable(struct disk_file *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        apply(&f->durable, &f->changes[i]);
}

/* What a computer finds after a power cut. */
static void lose_power(struct disk_file *f)
{
    for (size_t i = 0; i < f->change_count; i++) {
        if (sim_dice_roll(&disk.dice, 2) == 0)
            apply(&f->durable, &f->changes[i]);
    }
    drop_changes(f);
    copy_content(&f->cache, &f->durable);
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
    return disk.fault >= DISK_LOST ? SQLITE_OK : error;
}

/* Whether the operation that was just counted is the one that nobody is told of. */
static bool is_silently(enum disk_fault fault)
{
    return disk.fault == fault && disk.operations == disk.at;
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
    size_t at = (size_t)offset, size = (size_t)count;
    if (code == SQLITE_OK && is_silently(DISK_LOST))
        size = 0;
    if (code == SQLITE_OK && is_silently(DISK_SHORT))
        size = sim_dice_roll(&disk.dice, (uint32_t)size);
    if (code == SQLITE_OK && is_silently(DISK_MISDIRECTED))
        at = sim_dice_roll(&disk.dice, (uint32_t)(f->cache.size / SECTOR + 8)) * SECTOR;
    if (code == SQLITE_OK)
        add_write(f, at, in, size);
    else if (!was_off) /* any part of a write that fails may have been done */
        add_write(f, (size_t)offset, in, sim_dice_roll(&disk.dice, (uint32_t)count));
    return code;
}

static int disk_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    int code = operate(SQLITE_IOERR_TRUNCATE, false);
    if (code == SQLITE_OK && !is_silently(DISK_LOST))
        add_change(file_of(handle), (size_t)size, NULL, 0);
    return code;
}

static int disk_sync(sqlite3_file *handle, int flags)
{
    struct disk_file *f = file_of(handle);
    (void)flags;
    int code = operate(SQLITE_IOERR_FSYNC, false);
    if (disk.is_lying || disk.is_off || (code == SQLITE_OK && is_silently(DISK_LOST)))
        return code;
    if (code == SQLITE_OK)
        keep_entry(f, (struct entry){ .kind = ENTRY_FLUSH });
    if (code == SQLITE_OK)
        make_durable(f);
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
    keep_entry(f, (struct entry){ .kind = ENTRY_CREATE });
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
    if (is_silently(DISK_LOST))
        return SQLITE_OK;
    keep_entry(f, (struct entry){ .kind = ENTRY_DELETE });
    empty(f);
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
        out[i] = (char)sim_dice_next(&disk.dice);
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

static void clear(struct disk_file files[static FILES])
{
    for (int i = 0; i < FILES; i++) {
        struct disk_file *f = &files[i];
        drop_changes(f);
        drop_shm(f);
        free(f->changes);
        free(f->cache.bytes);
        free(f->durable.bytes);
        *f = (struct disk_file){ 0 };
    }
}

static void forget_record(void)
{
    for (size_t i = 0; i < record.count; i++)
        free(record.entries[i].change.bytes);
    free(record.entries);
    clear(record.files);
    record.entries = NULL;
    record.count = record.capacity = record.done = 0;
    record.is_on = false;
}

void disk_reset(enum disk_fault fault, uint64_t at, uint64_t seed)
{
    clear(disk.files);
    forget_record();
    disk.fault = fault;
    disk.at = at;
    disk.operations = 0;
    disk.dice = (struct sim_dice){ seed };
    disk.is_off = disk.is_full = disk.is_lying = disk.has_failed = false;
}

void disk_plan(enum disk_fault fault, uint64_t after)
{
    disk.fault = fault;
    disk.at = disk.operations + after;
    disk.has_failed = false;
}

bool disk_flip(void)
{
    struct disk_file *f = &disk.files[sim_dice_roll(&disk.dice, FILES)];
    for (int i = 0; i < FILES && f->durable.size == 0; i++)
        f = &disk.files[i];
    if (f->durable.size == 0)
        return false;
    uint32_t at = sim_dice_roll(&disk.dice, (uint32_t)f->durable.size);
    f->durable.bytes[at] ^= (unsigned char)(1u << sim_dice_roll(&disk.dice, 8));
    return true;
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

/* ---- one run, all its cuts ------------------------------------------------------------------ */

/* The record begins with a disk on which everything is durable. */
void disk_record(void)
{
    forget_record();
    for (int i = 0; i < FILES; i++) {
        struct disk_file *f = &disk.files[i], *copy = &record.files[i];
        make_durable(f);
        drop_changes(f);
        copy->exists = f->exists;
        copy_content(&copy->durable, &f->durable);
    }
    disk.operations = 0;
    record.is_on = true;
}

static void redo(const struct entry *entry)
{
    struct disk_file *f = &record.files[entry->file];
    struct change change = entry->change;
    switch (entry->kind) {
    case ENTRY_CREATE: f->exists = true; break;
    case ENTRY_CHANGE:
        if (change.bytes)
            change.bytes = copy_of(change.bytes, change.size);
        note_change(f, change);
        break;
    case ENTRY_FLUSH:
        make_durable(f);
        drop_changes(f);
        break;
    case ENTRY_DELETE: empty(f); break;
    }
}

/* Any part of the write that the cut came into; its last sector may be torn. */
static void redo_in_part(size_t i, uint64_t operation)
{
    for (; i < record.count && record.entries[i].operation == operation; i++) {
        const struct entry *entry = &record.entries[i];
        if (entry->kind != ENTRY_CHANGE)
            return;
        struct change part = entry->change;
        uint64_t chance = sim_dice_roll(&disk.dice, 3);
        if (chance == 0)
            return;
        if (chance == 1 && part.bytes)
            part.size = 1 + sim_dice_roll(&disk.dice, (uint32_t)part.size);
        apply(&disk.files[entry->file].durable, &part);
        if (chance == 1)
            return;
    }
}

void disk_replay(uint64_t operations, uint64_t seed)
{
    record.is_on = false;
    while (record.done < record.count && record.entries[record.done].operation <= operations)
        redo(&record.entries[record.done++]);
    disk.dice = (struct sim_dice){ seed };
    for (int i = 0; i < FILES; i++) {
        const struct disk_file *from = &record.files[i];
        struct disk_file *f = &disk.files[i];
        drop_changes(f);
        drop_shm(f);
        f->exists = from->exists;
        copy_content(&f->durable, &from->durable);
        for (size_t k = 0; k < from->change_count; k++)
            if (sim_dice_roll(&disk.dice, 2) == 0)
                apply(&f->durable, &from->changes[k]);
    }
    redo_in_part(record.done, operations + 1);
    for (int i = 0; i < FILES; i++)
        copy_content(&disk.files[i].cache, &disk.files[i].durable);
    disk.fault = DISK_NO_FAULT;
    disk.operations = 0;
    disk.is_off = disk.is_full = disk.is_lying = disk.has_failed = false;
}
