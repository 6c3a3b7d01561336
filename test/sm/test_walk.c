/* SPDX-License-Identifier: Apache-2.0
 * test_walk.c - what the check says of random machines agrees with walking them under all answers
 * of all guards, and its witnesses lead where they say. */
#include "findings.h"
#include "random_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WALK_GUARDS = 4, FAR = 1000 };

/* Events from `start` to each state, over all answers of all guards. */
static void walk(const struct sm_machine *machine, unsigned start, unsigned *ret_distances)
{
    for (unsigned i = 0; i < machine->states.count; i++)
        ret_distances[i] = i == start ? 0 : FAR;
    for (unsigned round = 0; round < machine->states.count; round++) {
        for (unsigned state = 0; state < machine->states.count; state++) {
            for (unsigned i = 0; ret_distances[state] == round && i < machine->events.count; i++) {
                for (uint64_t answers = 0; answers < 1u << WALK_GUARDS; answers++) {
                    const struct sm_row *row =
                        sm_pick(machine, state, i, random_guard_holds, &answers);
                    unsigned to = row ? sm_target(row, (uint8_t)state) : state;
                    if (ret_distances[to] == FAR)
                        ret_distances[to] = round + 1;
                }
            }
        }
    }
}

static bool can_end(const struct sm_machine *machine, unsigned state)
{
    unsigned distances[SM_STATES_MAX];
    walk(machine, state, distances);
    for (unsigned i = 0; i < machine->states.count; i++) {
        if ((machine->final & SM_SET(i)) && distances[i] != FAR)
            return true;
    }
    return false;
}

static const struct found *find(const struct findings *findings, const char *code,
                                const char *format, const char *word)
{
    for (size_t i = 0; i < findings->count; i++) {
        char text[128];
        assert_non_null(strstr(format, "%"));
        size_t before = (size_t)(strchr(format, '%') - format);
        snprintf(text, sizeof text, "%.*s%s%s", (int)before, format, word, format + before + 1);
        if (strcmp(findings->list[i].code, code) == 0 && strcmp(findings->list[i].text, text) == 0)
            return &findings->list[i];
    }
    return NULL;
}

/* Follows "event, event[guard], event[else]" with exactly the guards it names; where it names none,
 * with any. Returns the state it ends in. */
static unsigned follow(const struct sm_machine *machine, const char *witness, uint64_t any,
                       unsigned *ret_length)
{
    unsigned state = machine->initial;
    for (*ret_length = 0; *witness; ++*ret_length) {
        witness += strspn(witness, ", ");
        size_t size = strcspn(witness, ",[");
        int event = sm_word_find(&machine->events, witness, size);
        assert_true(event >= 0);
        witness += size;
        uint64_t answers = any;
        if (*witness == '[') {
            size = strcspn(++witness, "]");
            int guard = sm_word_find(&machine->guards, witness, size);
            assert_true(guard > 0 || strncmp(witness, "else", size) == 0);
            answers = guard > 0 ? SM_SET(guard) : 0;
            witness += size + 1;
        }
        const struct sm_row *row =
            sm_pick(machine, state, (unsigned)event, random_guard_holds, &answers);
        assert_non_null(row);
        state = sm_target(row, (uint8_t)state);
    }
    return state;
}

static void assert_witness_leads_to(const struct sm_machine *machine, const struct found *found,
                                    unsigned state, unsigned distance)
{
    unsigned length = 0;
    for (uint64_t any = 0; any < 1u << WALK_GUARDS; any++)
        assert_int_equal(follow(machine, found->witness, any, &length), state);
    assert_int_equal(length, distance);
    assert_int_equal(found->is_proven, strchr(found->witness, '[') == NULL);
}

static void assert_states_agree(const struct sm_machine *machine, const struct findings *findings)
{
    unsigned distances[SM_STATES_MAX];
    walk(machine, machine->initial, distances);
    for (unsigned state = 0; state < machine->states.count; state++) {
        const char *word = sm_word_at(&machine->states, state);
        const struct found *unreachable =
            find(findings, "unreachable", "no event leads to state %", word);
        const struct found *trap =
            find(findings, "trap", "from state % no final state can be reached", word);
        const struct found *dead_end =
            find(findings, "dead_end", "state % is not final and no row leads out of it", word);

        assert_int_equal(unreachable != NULL, distances[state] == FAR);
        if (unreachable)
            continue;
        if (machine->final != 0)
            assert_int_equal(trap || dead_end, !can_end(machine, state));
        else
            assert_null(trap);
        if (trap || dead_end)
            assert_witness_leads_to(machine, trap ? trap : dead_end, state, distances[state]);
    }
}

/* A row is shadowed exactly when no answers of the guards make anybody follow it. */
static void assert_shadows_agree(const struct sm_machine *machine, const struct findings *findings)
{
    size_t shadowed = 0, found = 0;
    for (size_t i = 0; i < machine->row_count; i++) {
        bool is_followed = false;
        const struct sm_row *row = &machine->rows[i];
        for (uint64_t answers = 0; answers < 1u << WALK_GUARDS; answers++)
            is_followed |=
                sm_match(machine, row->from, row->on, random_guard_holds, &answers) == row;
        shadowed += !is_followed;
    }
    for (size_t i = 0; i < findings->count; i++)
        found += strcmp(findings->list[i].code, "shadowed") == 0;
    assert_int_equal(found, shadowed);
}

static void test_findings_agree_with_walking_random_machines(void **unused)
{
    (void)unused;
    static const struct random_size size = { 8, 3, WALK_GUARDS, 24 };
    static struct random_machine made = { .random = 7 };

    for (unsigned i = 0; i < 3000; i++) {
        random_machine_init(&made, size);
        const struct findings *findings = findings_of(&made.machine);
        assert_states_agree(&made.machine, findings);
        assert_shadows_agree(&made.machine, findings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings_agree_with_walking_random_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
