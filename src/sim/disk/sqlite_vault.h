/* SPDX-License-Identifier: Apache-2.0
 * sqlite_vault.h - the shipped SQLite store on a disk in memory, for the vault of a seed. One a
 * process at a time. */
#ifndef DIDES_SIM_DISK_SQLITE_VAULT_H
#define DIDES_SIM_DISK_SQLITE_VAULT_H

#include "sim/vault.h"

extern const struct vault_disk sqlite_vault_disk;

#endif
