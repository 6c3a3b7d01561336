/* SPDX-License-Identifier: Apache-2.0
 * random_machine.c - see random_machine.h. */
#include "random_machine.h"

#include <assert.h>
#include <stdio.h>

/* "w0" to "w63" serve every list: kinds of words are told apart by their place. */
static const struct sm_word *words(void)
{
    static char texts[SM_STATES_MAX][8];
    static struct sm_word list[SM_STATES_MAX];
    for (size_t i = 0; i < SM_STATES_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "w%zu", i);
        list[i] = (struct sm_word){ texts[i], "a word" };
    }
    return list;
}

uint64_t random_next(uint64_t *random)
{
    uint64_t z = *random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

unsigned random_below(uint64_t *random, unsigned limit)
{
    assert(limit > 0);
    return (unsigned)(random_next(random) >> 32) % limit;
}

static uint8_t random_target(uint64_t *random, unsigned states)
{
    unsigned kind = random_below(random, 8);
    if (kind == 0)
        return SM_STAY;
    return kind == 1 ? SM_REFUSE : (uint8_t)random_below(random, states);
}

static void random_row(uint64_t *random, const struct sm_machine *machine, struct sm_row *ret)
{
    ret->from = (uint8_t)random_below(random, machine->states.count);
    ret->on = (uint8_t)random_below(random, machine->events.count);
    ret->when = (uint8_t)random_below(random, machine->guards.count);
    ret->to = random_target(random, machine->states.count);
    ret->then = 0;
}

void random_machine_init(struct random_machine *made, struct random_size size)
{
    uint64_t *random = &made->random;
    const struct sm_word *list = words();
    made->machine = (struct sm_machine){
        .name = "random",
        .states = { list, (uint8_t)(1 + random_below(random, size.states)) },
        .events = { list, (uint8_t)(1 + random_below(random, size.events)) },
        .guards = { list, (uint8_t)(1 + random_below(random, size.guards)) },
        .rows = made->rows,
        .row_count = (uint16_t)random_below(random, size.rows + 1),
    };
    made->machine.initial = (uint8_t)random_below(random, made->machine.states.count);
    if (random_below(random, 4) > 0)
        made->machine.final = SM_SET(random_below(random, made->machine.states.count));
    for (size_t i = 0; i < made->machine.row_count; i++)
        random_row(random, &made->machine, &made->rows[i]);
}

bool random_guard_holds(const void *subject, unsigned guard)
{
    const uint64_t *answers = subject;
    return (*answers >> guard & 1) != 0;
}
