/* SPDX-License-Identifier: Apache-2.0
 * kit.h - an engine on a memory store that outlives it, with a clock that stands still. */
#ifndef DIDES_TEST_ENGINE_KIT_H
#define DIDES_TEST_ENGINE_KIT_H

#include "base/suite.h"
#include "engine/engine.h"
#include "store/memory/memory.h"

struct kit {
    struct store_port store; /* kept when the engine closes it */
    struct engine *engine;
    struct engine_options options;
    int64_t now;
    unsigned fatal_calls, log_calls;
};

#define KIT_START 1893456000000ll

void kit_open(struct kit *kit);
void kit_close(struct kit *kit);
/* A new engine after engine_free(), on the same store. */
void kit_reopen(struct kit *kit);
/* A crash of the process and a new start, `later_ms` after. What was not durable is gone. */
void kit_crash(struct kit *kit, int64_t later_ms);

/* Ends the round and takes its result. */
void kit_turn(struct kit *kit);
uint32_t kit_register(struct kit *kit, const char *name, const char *label_value);
/* Registers, and reports `code` HEALTHY. */
uint32_t kit_instance(struct kit *kit, const char *name, const char *code);
struct heartbeat_result kit_heartbeat(struct kit *kit, uint32_t slot, const char *code,
                                      enum instance_state status);
struct rollout *kit_deploy(struct kit *kit, const char *code, uint32_t batch);

/* All records as stored text, one per line: equal states have equal dumps. Owned by the caller. */
void kit_dump(struct kit *kit, struct buffer *ret);

/* A waiter that remembers its outcome: -1 = not yet. */
struct kit_waiter {
    struct engine_waiter waiter;
    int outcome;
};
void kit_wait(struct kit *kit, uint64_t round, struct kit_waiter *waiter);

#endif
