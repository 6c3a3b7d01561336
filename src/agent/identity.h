/* SPDX-License-Identifier: Apache-2.0
 * identity.h - what an agent keeps between two starts: who it is to which server, the credential
 * that proves it, and how often it has tried the order it is at. One small JSON file of mode 0600,
 * replaced as a whole. */
#ifndef DIDES_AGENT_IDENTITY_H
#define DIDES_AGENT_IDENTITY_H

#include "agent/life.h"
#include "base/err.h"

#define IDENTITY_SERVER_SIZE 512

/* Texts end in NUL. */
struct identity {
    char server[IDENTITY_SERVER_SIZE];
    char name[LIMIT_NAME + 1];
    char credential[LIMIT_TOKEN + 1]; /* "": none; never shown */
    struct life_record record;
};

/* Reads the file. A missing one is no failure: *ret_found is false and *ret untouched. Refuses a
 * file that is damaged (ERR_CORRUPT), or that others may read or that belongs to somebody else
 * (ERR_REFUSED). */
bool identity_load(const char *path, struct identity *ret, bool *ret_found, struct err *err);

/* Replaces the file: after a crash it is the old one or the new one, and once this has returned
 * true the new one survives a power cut. ERR_IO. */
bool identity_save(const char *path, const struct identity *identity, struct err *err);

/* Takes the lock beside the file, waiting at most `wait_ms` for an agent that is being ended, or
 * for what it left running. Returns a descriptor that holds it, or -1: *err is ERR_REFUSED
 * (somebody else has it) or ERR_IO. */
int identity_lock(const char *path, int64_t wait_ms, struct err *err);

#endif
