/* SPDX-License-Identifier: Apache-2.0
 * json_strict.h - a strict parser of JSON (RFC 8259) that reports what it finds: no tree, no copies
 * but of texts with escapes, one pass after that for UTF-8. It refuses what readers dispute about:
 * lone surrogates, NUL, what is no UTF-8, and documents that are neither object nor list.
 *
 * A parser of our own because parsing was half of what decoding costs, for requests and at start:
 * with YAJL 2.1.0 and a pass for what it lets through, a heartbeat took 420 ns instead of 190. */
#ifndef DIDES_WIRE_JSON_STRICT_H
#define DIDES_WIRE_JSON_STRICT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

/* What was found, in the order of the document. A false stops the parse; who returns it has set
 * *err of the run. Texts lie in the body or, those with escapes, in the arena. */
struct json_events {
    bool (*null)(void *ctx);
    bool (*truth)(void *ctx, bool truth);
    bool (*number)(void *ctx, struct text number); /* as it stands there */
    bool (*text)(void *ctx, struct text text);
    bool (*key)(void *ctx, struct text key);
    bool (*open)(void *ctx, bool is_object);
    bool (*close)(void *ctx);
};

struct json_run {
    struct text body; /* the document, without blanks at its end */
    struct arena *arena;
    struct err *err;
    size_t start, end; /* of the token at hand, for events */

    /* The parser's own. */
    const struct json_events *events;
    void *ctx;
    uint32_t objects; /* bit per level: it is an object */
    unsigned depth;
};

/* Parses `body`, one object or list, with `events` on `ctx` (usually what *run is the first member
 * of). Fails with ERR_BAD_JSON and the byte offset, ERR_MEMORY, or what an event has set. Depth is
 * at most LIMIT_JSON_DEPTH. Duplicate keys are for the events to find (json_keys.h). */
bool json_run(struct json_run *run, struct text body, struct arena *arena,
              const struct json_events *events, void *ctx, struct err *err);

#endif
