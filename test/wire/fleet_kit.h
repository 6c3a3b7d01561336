/* SPDX-License-Identifier: Apache-2.0
 * fleet_kit.h - a small fleet for the tests of requests, views and records, and JSON that can be
 * read in C: single quotes stand for double ones. */
#ifndef DIDES_TEST_WIRE_FLEET_KIT_H
#define DIDES_TEST_WIRE_FLEET_KIT_H

#include "base/suite.h"
#include "core/command.h"
#include "wire/json_write.h"

#define KIT_START 1924941600000 /* 2030-12-31T10:00:00Z */

struct kit {
    struct fleet fleet;
    struct arena arena;
    struct buffer out;
    struct json_writer w;
};

void kit_init(struct kit *kit);
void kit_release(struct kit *kit);
int kit_setup(void **state); /* a kit as the state of a test */
int kit_teardown(void **state);

/* With " for each '. Lives as long as the kit. */
struct text kit_quote(struct kit *kit, const char *json);

/* The text before + `size` letters + after. Lives as long as the kit. */
const char *long_body(struct kit *kit, const char *before, size_t size, const char *after);

/* A new command `later_ms` after the last one. */
void kit_begin(struct kit *kit, int64_t later_ms);
/* Registers by a body; fails the test when that is refused. */
uint32_t kit_register(struct kit *kit, const char *body);
uint32_t kit_slot(struct kit *kit, const char *key);
void kit_beat(struct kit *kit, const char *key, const char *body);
struct rollout *kit_deploy(struct kit *kit, const char *body);
struct rollout *kit_rollback(struct kit *kit, const char *body);
void kit_verb(struct kit *kit, struct rollout *r, enum verb verb, const char *body);
/* Ticks until nothing is due at once. */
void kit_tick(struct kit *kit, int64_t later_ms);

/* For the next document: an empty output, and a writer for it. */
struct json_writer *kit_writer(struct kit *kit);
/* What was written, and that it is well-formed. */
struct text kit_written(struct kit *kit);

/* Fails the test with both texts unless they are equal; single quotes in `expected` as above. */
void kit_assert(struct kit *kit, struct text actual, const char *expected);
/* The value at `path` (json_pull.h) of the document, as JSON; "missing" when it is not there. */
struct text kit_at(struct kit *kit, struct text document, const char *path);
#define kit_assert_at(kit, document, path, expected)                                               \
    kit_assert(kit, kit_at(kit, document, path), expected)

#endif
