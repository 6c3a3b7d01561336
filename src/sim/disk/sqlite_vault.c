/* SPDX-License-Identifier: Apache-2.0
 * sqlite_vault.c - see sqlite_vault.h. Only the lock file is on a real disk. */
#include "sim/disk/sqlite_vault.h"

#include "sim/disk/disk.h"
#include "store/sqlite/sqlite.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[256];

static bool make_directory(struct err *err)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/dides-sim-XXXXXX", base ? base : P_tmpdir);
    return mkdtemp(directory) || err_set(err, ERR_IO, "no folder for the lock of a store");
}

static bool begin(uint64_t seed, struct err *err)
{
    static bool is_registered;
    if (!is_registered)
        disk_register();
    is_registered = true;
    disk_reset(DISK_NO_FAULT, 0, seed);
    return directory[0] || make_directory(err);
}

static void end(void)
{
    DIR *folder = directory[0] ? opendir(directory) : NULL;
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    if (directory[0])
        rmdir(directory);
    directory[0] = '\0';
    disk_reset(DISK_NO_FAULT, 0, 0);
}

static bool open_store(struct store_port *ret, struct err *err)
{
    const struct store_sqlite_options options = { .vfs = DISK_VFS, .eager = true };
    return store_sqlite_open(ret, directory, &options, err);
}

static void plan(enum vault_damage damage, uint64_t after)
{
    static const enum disk_fault faults[] = {
        [VAULT_UNHARMED] = DISK_NO_FAULT, [VAULT_CUT] = DISK_CUT,
        [VAULT_EIO] = DISK_EIO,           [VAULT_FULL] = DISK_FULL,
        [VAULT_LOSE] = DISK_LOST,         [VAULT_MISDIRECT] = DISK_MISDIRECTED,
        [VAULT_SHORT] = DISK_SHORT,
    };
    disk_plan(faults[damage], after);
}

static void start_again(bool flips)
{
    disk_restart();
    if (flips && disk_flip())
        disk_restart();
}

const struct vault_disk sqlite_vault_disk = {
    .begin = begin,
    .end = end,
    .open = open_store,
    .plan = plan,
    .add_room = disk_add_room,
    .has_failed = disk_has_failed,
    .cut = disk_cut,
    .start_again = start_again,
};
