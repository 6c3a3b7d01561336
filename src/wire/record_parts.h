/* SPDX-License-Identifier: Apache-2.0
 * record_parts.h - what the files of record.h share. */
#ifndef DIDES_WIRE_RECORD_PARTS_H
#define DIDES_WIRE_RECORD_PARTS_H

#include "core/fleet.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

/* Tables of the records, for tests and for the reference of the store. */
extern const struct json_table wire_stored_instance_table, wire_stored_rollout_table;

struct stored_version {
    struct text code, config;
};
extern const struct json_table wire_stored_version_table;

/* Sets ERR_CORRUPT, naming the record and what is wrong with it, and returns false. */
bool record_is_damaged(struct text key, const char *what, struct err *err);
/* Decodes a record; what json_read() refuses is a damage, except for ERR_MEMORY. */
bool record_read(const struct json_table *table, struct text key, struct text json,
                 struct arena *scratch, void *ret, struct err *err);
/* Whether what `print` writes for the record is the key it was found under. */
bool record_key_is(struct text key, const struct buffer *expected);

/* "key":{...} with the known parts; nothing for an unknown pair. */
void record_put_version(struct json_writer *w, const struct fleet *fleet, const char *key,
                        struct version v);
/* The pair with one use of each text; *ret must be 0 before. False: no memory. */
bool record_take_version(struct fleet *fleet, const struct stored_version *stored,
                         struct version *ret);

/* Members that are left out when they are 0, false, or empty. */
void record_put_number(struct json_writer *w, const char *key, int64_t value);
void record_put_word(struct json_writer *w, const char *key, const struct sm_words *words,
                     unsigned number);
void record_put_text(struct json_writer *w, const char *key, struct text t);
void record_put_true(struct json_writer *w, const char *key, bool value);
void record_put_rollout(struct json_writer *w, const char *key, uint32_t number);
/* The number of a stored "r-42"; 0 when it was left out. False: it is none. */
bool record_take_rollout(struct text id, uint32_t *ret);

#endif
