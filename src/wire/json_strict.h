/* SPDX-License-Identifier: Apache-2.0
 * json_strict.h - YAJL made strict. A first pass over the bytes refuses what YAJL lets pass
 * (overlong UTF-8, lone surrogates, NUL, form feeds as blanks) and measures what YAJL will need, so
 * that the parse itself takes its memory from one block of the arena and can never run out of it.
 */
#ifndef DIDES_WIRE_JSON_STRICT_H
#define DIDES_WIRE_JSON_STRICT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

#include <yajl/yajl_parse.h>

struct json_run {
    struct text body;    /* the document, without blanks at its end */
    struct arena *arena; /* for the parser and for texts with escapes */
    struct err *err;
    yajl_handle handle;
    size_t last_end; /* offset after the last token that came to a callback */
    bool failed;     /* a callback has set *err and stopped the parse */
};

/* Parses `body`, one object or list, with `callbacks` on `ctx` (usually what *run is the first
 * member of). Numbers must be taken by yajl_number. A callback that returns 0 has set `failed` and
 * *err. Fails with ERR_BAD_JSON and the byte offset, ERR_MEMORY, or what a callback has set. Depth
 * is at most LIMIT_JSON_DEPTH. Duplicate keys are for the callbacks to find (json_keys.h). */
bool json_run(struct json_run *run, struct text body, struct arena *arena,
              const yajl_callbacks *callbacks, void *ctx, struct err *err);

/* For callbacks. Where the present token starts. */
size_t json_run_start(const struct json_run *run);
/* To be called at the end of each callback. */
void json_run_passed(struct json_run *run);
/* A text of a callback for keeps: a view into the body, or, when it had escapes, a copy. */
bool json_run_keep(struct json_run *run, const unsigned char *data, size_t size, struct text *ret);

#endif
