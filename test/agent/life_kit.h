/* SPDX-License-Identifier: Apache-2.0
 * life_kit.h - one life in short sentences: what it hears, how its commands end, how time passes.
 */
#ifndef DIDES_TEST_LIFE_KIT_H
#define DIDES_TEST_LIFE_KIT_H

#include "agent/life.h"

#define NOW 1000000

struct kit {
    struct life life;
    int64_t now;
    uint32_t effects; /* of the last event */
};

extern const struct life_options plain;

uint32_t step(struct kit *kit, struct life_event event);
struct kit start_with(struct life_options options);
uint32_t answer(struct kit *kit, struct life_answer a);
uint32_t ended(struct kit *kit, enum command_end end, int number, const char *output);
uint32_t exited(struct kit *kit, int code, const char *output);
uint32_t stop(struct kit *kit);
/* Lets time pass until the next timer fires. */
uint32_t wake(struct kit *kit);
struct life_order order_of(const char *code, uint64_t generation, bool is_needed);
uint32_t hear_of_term(struct kit *kit, const char *code, uint64_t term, uint64_t generation);
uint32_t hear(struct kit *kit, const char *code, uint64_t generation, bool is_needed);
struct life_report report_of(const struct kit *kit);
struct text message_of(const struct life_report *report);
/* Registered, runs 1.0, has heard that nothing is wished, and rests. */
struct kit settled(void);
/* The next heartbeat, answered. */
uint32_t beat(struct kit *kit, const char *code, uint64_t generation, bool is_needed);

#endif
