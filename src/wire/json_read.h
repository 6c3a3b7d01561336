/* SPDX-License-Identifier: Apache-2.0
 * json_read.h - decodes a body into a struct as a field table says. Strict: RFC 8259, UTF-8, no
 * duplicate keys, every limit of the table enforced, integers exact or refused. No document tree is
 * built. Source of the rules: spec of rollouts, 9.3. */
#ifndef DIDES_WIRE_JSON_READ_H
#define DIDES_WIRE_JSON_READ_H

#include "base/arena.h"
#include "base/err.h"
#include "wire/json_table.h"

/* Keys that were ignored, where the table says so. */
#define JSON_WARNINGS_MAX 8
struct json_warnings {
    struct text list[JSON_WARNINGS_MAX]; /* sentences that start with the pointer; in the arena */
    uint32_t count;                      /* entries of list */
    uint32_t more;                       /* that did not fit */
};

/* Decodes `body` into *ret, a struct as the table describes it. *ret must be initialised: what the
 * body omits stays as it is (so defaults can be set before), what it gives as null is zeroed.
 * Embedded objects keep their defaults likewise; entries of lists start zeroed.
 * Texts are views into `body`, or into `arena` when they had escapes: both must outlive *ret.
 * `warnings` may be NULL; else it must be initialised and is added to.
 * Fails with ERR_BAD_JSON (byte offset), ERR_UNKNOWN_KEY, ERR_INVALID (both with err->pointer) or
 * ERR_MEMORY; then *ret is untouched. */
bool json_read(const struct json_table *table, struct text body, struct arena *arena, void *ret,
               struct json_warnings *warnings, struct err *err);

#endif
